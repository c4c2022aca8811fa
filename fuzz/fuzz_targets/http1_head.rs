#![no_main]
//! Heads: the same verdict however they are split, and what is accepted `httparse` accepts with the same meaning.

#[path = "../../crates/http1/tests/support/fuzz_bodies.rs"]
mod bodies;

libfuzzer_sys::fuzz_target!(|data: &[u8]| bodies::head(data));
