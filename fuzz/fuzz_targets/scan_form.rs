#![no_main]
//! The walk over a form against a plain splitting of it: the same fields found.

#[path = "../../crates/dialects/tests/support/fuzz_bodies.rs"]
mod bodies;

libfuzzer_sys::fuzz_target!(|data: &[u8]| bodies::scan_form(data));
