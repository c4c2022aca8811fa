//! Open-loop and closed-loop load with SSE timing.
