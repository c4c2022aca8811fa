//! Scripted upstreams for tests.
