//! Prints nanoseconds per head: `cargo run -p sluice-http1 --profile quick --example parse_speed`.
#![expect(clippy::print_stdout, reason = "its purpose")]

use std::hint::black_box;
use std::time::Instant;

use sluice_http1::{ChunkedDecoder, Parse, RequestHead, ResponseHead};

/// As the official OpenAI SDK for Node sends it.
const REQUEST: &[u8] = include_bytes!("../tests/data/openai_sdk_request.http");
/// As OpenAI's API answers it.
const RESPONSE: &[u8] = include_bytes!("../tests/data/openai_response.http");

/// Bytes of body that have arrived with a head.
const BODY_BYTES: usize = 1024;

const ROUNDS: usize = 300;
const REPEATS: u32 = 2_000;

fn main() {
    let request_buf = [REQUEST, &[b'x'; BODY_BYTES]].concat();
    let mut request = RequestHead::new();
    report("request head", REQUEST.len(), || {
        assert_eq!(request.parse(black_box(&request_buf)), Ok(Parse::Complete));
        black_box(&request);
    });
    report("request head by httparse", REQUEST.len(), || {
        let mut fields = [httparse::EMPTY_HEADER; 32];
        let mut other = httparse::Request::new(&mut fields);
        assert!(other.parse(black_box(&request_buf)).expect("a valid head").is_complete());
        black_box(&other);
    });
    let response_buf = [RESPONSE, &[b'x'; BODY_BYTES]].concat();
    let mut response = ResponseHead::new();
    report("response head", RESPONSE.len(), || {
        assert_eq!(response.parse(black_box(&response_buf), false), Ok(Parse::Complete));
        black_box(&response);
    });
    let chunks = chunks();
    let mut buf = chunks.clone();
    report("32 chunks of 300 bytes", chunks.len(), || {
        buf.copy_from_slice(&chunks);
        let mut decoder = ChunkedDecoder::new();
        assert!(decoder.decode(black_box(&mut buf)).expect("a valid body").done);
    });
    report("(of which the copy of them)", chunks.len(), || {
        buf.copy_from_slice(&chunks);
        black_box(&mut buf);
    });
}

fn chunks() -> Vec<u8> {
    let mut body = Vec::new();
    for _ in 0..32 {
        body.extend_from_slice(b"12c\r\n");
        body.extend_from_slice(&[b'x'; 300]);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"0\r\n\r\n");
    body
}

/// The best of many short rounds: what the work costs when nothing interrupts it.
fn report(what: &str, bytes: usize, mut work: impl FnMut()) {
    let mut best = f64::MAX;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        for _ in 0..REPEATS {
            work();
        }
        best = best.min(start.elapsed().as_nanos() as f64 / f64::from(REPEATS));
    }
    println!("{what} ({bytes} bytes): {best:.0} ns");
}
