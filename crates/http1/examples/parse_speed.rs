//! Prints nanoseconds per head: `cargo run -p sluice-http1 --profile quick --example parse_speed`.
#![expect(clippy::print_stdout, reason = "its purpose")]

use std::hint::black_box;
use std::time::Instant;

use sluice_http1::{ChunkedDecoder, Parse, RequestHead, ResponseHead};

/// As the official OpenAI SDK for Node sends it.
const REQUEST: &[u8] = include_bytes!("../tests/data/openai_sdk_request.http");
/// As OpenAI's API answers it.
const RESPONSE: &[u8] = include_bytes!("../tests/data/openai_response.http");

const ROUNDS: usize = 9;
const REPEATS: u32 = 200_000;

fn main() {
    let mut request = RequestHead::new();
    report("request head", REQUEST.len(), || {
        assert_eq!(request.parse(black_box(REQUEST)), Ok(Parse::Complete));
        black_box(&request);
    });
    let mut response = ResponseHead::new();
    report("response head", RESPONSE.len(), || {
        assert_eq!(response.parse(black_box(RESPONSE), false), Ok(Parse::Complete));
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
    let mut fields = [httparse::EMPTY_HEADER; 100];
    report("request head by httparse", REQUEST.len(), || {
        let mut other = httparse::Request::new(&mut fields);
        assert!(other.parse(black_box(REQUEST)).expect("a valid head").is_complete());
        black_box(&other);
        fields = [httparse::EMPTY_HEADER; 100];
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

/// The median of several rounds, so that one interruption does not count.
fn report(what: &str, bytes: usize, mut work: impl FnMut()) {
    let mut rounds = [0.0; ROUNDS];
    for round in &mut rounds {
        let start = Instant::now();
        for _ in 0..REPEATS {
            work();
        }
        *round = start.elapsed().as_nanos() as f64 / f64::from(REPEATS);
    }
    rounds.sort_by(f64::total_cmp);
    println!("{what} ({bytes} bytes): {:.0} ns, best {:.0}", rounds[ROUNDS / 2], rounds[0]);
}
