#![no_main]
//! The tap on whole answers: however an answer is split, the same facts, and those of `serde_json`.

#[path = "../../crates/dialects/tests/support/fuzz_bodies.rs"]
mod bodies;

libfuzzer_sys::fuzz_target!(|data: &[u8]| bodies::body_tap(data));
