#![no_main]
//! Event boundaries and taps: however a response is split, the same events, classes and usage.

#[path = "../../crates/dialects/tests/support/fuzz_bodies.rs"]
mod bodies;

libfuzzer_sys::fuzz_target!(|data: &[u8]| bodies::sse_tap(data));
