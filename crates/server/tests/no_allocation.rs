//! Nothing is allocated for a request on the fast lane, once the worker has warmed up.
//!
//! The whole process is counted: client and upstream here are loops over fixed buffers, so what is allocated while they
//! run was allocated by the gateway.

#![allow(clippy::unwrap_used, reason = "only tests call this")]

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use support::*;

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call is handed to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's contract is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's contract is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's contract is passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's contract is passed on.
        unsafe { System.realloc(pointer, layout, new_size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

const WARM_UP: usize = 300;
const COUNTED: usize = 2_000;

/// Reads a message of exactly `length` bytes into `buffer`.
fn read_exactly(stream: &mut TcpStream, buffer: &mut [u8], length: usize) {
    stream.read_exact(&mut buffer[..length]).unwrap();
}

/// An upstream that knows how long each request is and allocates nothing.
fn upstream(request_length: usize, answer: Vec<u8>) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_nodelay(true).unwrap();
        let mut buffer = vec![0; request_length];
        loop {
            if stream.read_exact(&mut buffer).is_err() {
                return;
            }
            stream.write_all(&answer).unwrap();
        }
    });
    address
}

/// Length of the request the gateway sends for `request`, learnt from one that an ordinary upstream records.
fn length_upstream(request: &[u8], answer: &[u8]) -> (usize, usize) {
    let recorder = Upstream::answering(answer.to_vec());
    let gateway = Gateway::before(&[&recorder]);
    let mut stream = gateway.connect();
    stream.write_all(request).unwrap();
    let received = read_answer(&mut stream);
    assert_eq!(received.status, 200, "{}", received.text());
    (recorder.next_request().len(), received.head.len())
}

/// Allocations of the process while `COUNTED` requests pass.
fn count(request: &[u8], answer: &[u8], answer_body: usize) -> u64 {
    let (request_length, _) = length_upstream(request, answer);
    let address = upstream(request_length, answer.to_vec());
    let gateway = Gateway::start(&snapshot(&[address]));
    let mut stream = gateway.connect();
    let mut buffer = vec![0; 1 << 20];
    let mut exchange = |stream: &mut TcpStream| {
        stream.write_all(request).unwrap();
        // The head's length varies with the time in it, so it is read up to its end, byte by byte from a small window.
        let mut filled = 0;
        while !buffer[..filled].ends_with(b"\r\n\r\n") {
            read_exactly(stream, &mut buffer[filled..], 1);
            filled += 1;
        }
        read_exactly(stream, &mut buffer, answer_body);
    };
    for _ in 0..WARM_UP {
        exchange(&mut stream);
    }
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    for _ in 0..COUNTED {
        exchange(&mut stream);
    }
    ALLOCATIONS.load(Ordering::Relaxed) - before
}

fn chat(model: &str, content_bytes: usize, more: &str) -> Vec<u8> {
    let content = "x".repeat(content_bytes);
    chat_request(&format!(
        r#"{{"model":"{model}","messages":[{{"role":"user","content":"{content}"}}]{more}}}"#
    ))
}

#[test]
fn requests_allocate_nothing() {
    let document = json_answer("200 OK", COMPLETION);
    let events = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"},\"finish_reason\":\"stop\"}]}\n\n\
                  data: {\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":2}}\n\ndata: [DONE]\n\n";
    let stream = [STREAM_HEAD, &chunk(events), b"0\r\n\r\n"].concat();
    let stream_body = chunk(events).len() + 5;
    let streamed = r#","stream":true,"stream_options":{"include_usage":true}"#;
    let cases = [
        ("1 KB", chat("m", 900, ""), &document, COMPLETION.len()),
        ("alias", chat("alias", 900, ""), &document, COMPLETION.len()),
        ("wildcard", chat("pre/some-model", 900, ""), &document, COMPLETION.len()),
        ("20 KB", chat("m", 20_000, ""), &document, COMPLETION.len()),
        ("120 KB", chat("m", 120_000, ""), &document, COMPLETION.len()),
        ("stream", chat("m", 900, streamed), &stream, stream_body),
    ];
    // One after the other, in one test: the count is of the whole process.
    for (name, request, answer, body) in cases {
        assert_eq!(count(&request, answer, body), 0, "allocations in {COUNTED} requests: {name}");
    }
}
