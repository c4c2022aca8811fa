//! Nothing is allocated for a request on the fast lane, once the worker has warmed up.
//!
//! The whole process is counted: client and upstream here are loops over fixed buffers, so what is allocated while they
//! run was allocated by the gateway.

#![allow(clippy::unwrap_used, reason = "only tests call this")]

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use serde_json::{Value, json};
use support::dialects::*;
use support::meters::{budget, meter, price, tokens};
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

const WARM_UP: usize = 200;
const COUNTED: usize = 1_000;

/// Reads a message of exactly `length` bytes into `buffer`.
fn read_exactly(stream: &mut TcpStream, buffer: &mut [u8], length: usize) {
    stream.read_exact(&mut buffer[..length]).unwrap();
}

/// An upstream that knows how long each request is and allocates nothing.
fn upstream(request_length: usize, answer: Vec<u8>) -> SocketAddr {
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

/// What is counted: a request in some dialect, and the answer of a provider that speaks it too.
struct Case {
    name: String,
    api: Api,
    request: Vec<u8>,
    answer: Vec<u8>,
    /// Changes to the snapshot.
    changes: Vec<(&'static str, Value)>,
}

impl Case {
    fn new(name: &str, api: Api, request: Vec<u8>, answer: &[u8]) -> Self {
        Self { name: name.to_owned(), api, request, answer: answer.to_vec(), changes: Vec::new() }
    }

    /// A gateway before a provider at this address.
    fn gateway(&self, address: SocketAddr) -> Gateway {
        Gateway::start(&with(snapshot_at(&[(self.api, address)]), &self.changes))
    }

    /// Lengths of the request that the gateway sends and of the answer's body with its framing, learnt from an ordinary
    /// client and upstream.
    fn lengths(&self) -> (usize, usize) {
        let recorder = Upstream::answering(self.answer.clone());
        let gateway = self.gateway(recorder.address);
        let mut stream = gateway.connect();
        stream.write_all(&self.request).unwrap();
        let received = read_answer(&mut stream);
        assert_eq!((received.status, received.whole), (200, true), "{}", received.text());
        let head = self.answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
        (recorder.next_request().len(), self.answer.len() - head)
    }

    /// Allocations of the process while `COUNTED` requests pass.
    fn count(&self) -> u64 {
        let (request_length, answer_body) = self.lengths();
        let gateway = self.gateway(upstream(request_length, self.answer.clone()));
        let mut stream = gateway.connect();
        let mut buffer = vec![0; 1 << 20];
        let mut exchange = |stream: &mut TcpStream| {
            stream.write_all(&self.request).unwrap();
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
    let streamed = r#","stream":true,"stream_options":{"include_usage":true}"#;
    let cases = [
        Case::new("1 KB", OPENAI, chat("m", 900, ""), &document),
        Case::new("alias", OPENAI, chat("alias", 900, ""), &document),
        Case::new("wildcard", OPENAI, chat("pre/some-model", 900, ""), &document),
        Case::new("20 KB", OPENAI, chat("m", 20_000, ""), &document),
        Case::new("120 KB", OPENAI, chat("m", 120_000, ""), &document),
        Case::new("stream", OPENAI, chat("m", 900, streamed), &stream),
        metered_case("metered", OPENAI, chat("m", 900, r#","max_tokens":100"#), &document),
        metered_case(
            "metered stream",
            OPENAI,
            chat("m", 900, &format!(r#","max_tokens":100{streamed}"#)),
            &stream,
        ),
        metered_case(
            "metered messages",
            ANTHROPIC,
            ANTHROPIC.request_with("m", false, "", &json!({"filler": "x".repeat(900), "max_tokens": 100})),
            &ANTHROPIC.answer("usage-cache-reasoning"),
        ),
    ];
    // One after the other, in one test: the count is of the whole process.
    for case in cases.into_iter().chain(OTHERS.into_iter().flat_map(native)) {
        assert_eq!(case.count(), 0, "allocations in {COUNTED} requests: {}", case.name);
    }
    signed_requests_allocate_a_fixed_number_of_times();
}

/// Five limits and two budgets on a key, in every mode, and one on the provider and its credential.
fn metered_case(name: &str, api: Api, request: Vec<u8>, answer: &[u8]) -> Case {
    let window = |kind: Value| ("/window", kind);
    let most = 1 << 50;
    let meters = json!([
        with(
            budget(1, 9_000_000_000_000),
            &[window(json!({"kind": "calendar", "unit": "month", "time_zone": "Europe/Berlin"}))]
        ),
        with(budget(2, 9_000_000_000_000), &[("/mode", json!("strict"))]),
        with(meter(3, "requests", most), &[window(json!({"kind": "rate", "period_ms": 60_000}))]),
        with(tokens(4, 1 << 40), &[window(json!({"kind": "rate", "period_ms": 60_000}))]),
        with(tokens(5, 1 << 40), &[window(json!({"kind": "sliding", "period_ms": 3_600_000}))]),
        with(
            meter(6, "requests", most),
            &[window(json!({"kind": "fixed", "period_ms": 60_000, "anchor_ms": 0}))]
        ),
        meter(7, "concurrency", 1000),
        meter(8, "requests", most),
        meter(9, "concurrency", 1000),
    ]);
    let mut case = Case::new(name, api, request, answer);
    case.changes = vec![
        ("/meters", meters),
        ("/keys/0/meters", json!([1, 2, 3, 4, 5, 6, 7])),
        ("/keys/0/routes", json!(["chat_completions", "messages"])),
        ("/keys/0/providers", json!(["*"])),
        ("/keys/0/networks", json!(["127.0.0.0/8"])),
        ("/providers/0/meters", json!([8])),
        ("/providers/0/keys/0/meters", json!([9])),
        ("/models/0/targets/0/price", price()),
    ];
    case
}

/// The cases of a dialect that is not OpenAI's.
fn native(api: Api) -> Vec<Case> {
    let body = json!({"filler": "x".repeat(900)});
    let request = |model: &str, stream: bool| api.request_with(model, stream, "", &body);
    // All at once, for how a stream is cut into chunks again depends on how it is read.
    let stream = api.streamed_as(&[api.stream("usage-cache-reasoning")]);
    let document = api.answer("usage-cache-reasoning");
    let wildcard = if matches!(api.name, "gemini" | "bedrock") { "pre%2Fa:b" } else { "pre/a:b" };
    let named = |name: &str| format!("{} {name}", api.name);
    vec![
        Case::new(&named("document"), api, request("m", false), &document),
        Case::new(&named("alias"), api, request("alias", false), &document),
        Case::new(&named("wildcard"), api, request(wildcard, false), &document),
        Case::new(&named("stream"), api, request("m", true), &stream),
    ]
}

/// A signature takes strings that are made for it; how many is no secret, but it must not grow with use.
fn signed_requests_allocate_a_fixed_number_of_times() {
    let key = json!({"access_key_id": "AKID", "secret_access_key": "0123456789abcdef"}).to_string();
    let mut case = Case::new("signed", BEDROCK, BEDROCK.request("m", false), &BEDROCK.answer("text"));
    case.changes = vec![
        ("/providers/0/auth", json!({"kind": "aws_sig_v4", "region": "us-east-1", "service": "bedrock"})),
        ("/providers/0/keys/0/secret", json!(key)),
    ];
    let count = case.count();
    let each = count / COUNTED as u64;
    assert!(each <= 40, "{each} allocations for each signature");
}
