//! The demo provider: an OpenAI-shaped upstream for first steps, tests and benchmarks.
