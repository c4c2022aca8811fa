//! Rate limits, concurrency, weighted choice and cool-down; time is an argument.
