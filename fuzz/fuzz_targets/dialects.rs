#![no_main]
//! Translations: no request, answer, stream or error makes a dialect panic, and all that is written is JSON.

#[path = "../../crates/dialects/tests/support/fuzz_dialects.rs"]
mod bodies;

libfuzzer_sys::fuzz_target!(|data: &[u8]| bodies::dialect(&bodies::WIRES, data));
