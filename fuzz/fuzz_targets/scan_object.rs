#![no_main]
//! The span scanner against `serde_json`: the same documents accepted, the same values found.

#[path = "../../crates/dialects/tests/support/fuzz_bodies.rs"]
mod bodies;

libfuzzer_sys::fuzz_target!(|data: &[u8]| bodies::scan_object(data));
