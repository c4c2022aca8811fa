#![no_main]
//! Chunked bodies: the same payload and end however they are split, and those of a plain reading of the grammar.

#[path = "../../crates/http1/tests/support/fuzz_bodies.rs"]
mod bodies;

libfuzzer_sys::fuzz_target!(|data: &[u8]| bodies::chunked(data));
