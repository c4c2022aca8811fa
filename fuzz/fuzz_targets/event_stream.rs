#![no_main]
//! Amazon's event stream: however a response is split, the same messages, and what is written is read.

#[path = "../../crates/dialects/tests/support/fuzz_bodies.rs"]
mod bodies;

libfuzzer_sys::fuzz_target!(|data: &[u8]| bodies::event_stream(data));
