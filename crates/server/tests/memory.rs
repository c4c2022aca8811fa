//! What waits costs little: idle connections, idle streams, and readers slower than their provider.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "only tests call this; what they measure is shown"
)]

mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::json;
use support::h2_frames::*;
use support::*;

/// An upstream that answers everything with the beginning of a stream and keeps the connection, in one thread.
fn beginning_streams() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    socket2::SockRef::from(&listener).listen(4096).unwrap();
    thread::spawn(move || {
        let mut kept = Vec::new();
        for mut stream in listener.incoming().flatten() {
            read_message(&mut stream).unwrap();
            stream.write_all(&[STREAM_HEAD, &chunk(ROLE), &chunk(&token("a"))].concat()).unwrap();
            kept.push(stream);
        }
    });
    address
}

#[test]
fn an_idle_stream_costs_a_few_kibibytes() {
    if served_as_child() {
        return;
    }
    let streams = connections_at_once(4_000) / 2;
    let changes = [
        ("/providers/0/timeouts/between_chunks_ms", json!(600_000)),
        ("/settings/idle_timeout_ms", json!(600_000)),
    ];
    let plan = with(snapshot(&[beginning_streams()]), &changes);
    let gateway = GatewayProcess::start("an_idle_stream_costs_a_few_kibibytes", &plan, None);
    let open = |count: usize, request: &[u8]| -> Vec<TcpStream> {
        (0..count)
            .map(|_| {
                let mut stream = gateway.connect();
                stream.write_all(request).unwrap();
                stream.read_exact(&mut [0; 200]).unwrap();
                stream
            })
            .collect()
    };
    // The pools of buffers fill up to their bounds first.
    let warm = open(streams / 4, &chat_request(STREAM));
    let before = gateway.resident_kib();
    let idle = open(streams, &chat_request(STREAM));
    let per_stream = (gateway.resident_kib() - before) as f64 / streams as f64;
    let middle = gateway.resident_kib();
    let waiting = open(streams, &get("/v1/models"));
    let per_connection = gateway.resident_kib().saturating_sub(middle) as f64 / streams as f64;
    println!(
        "{streams} idle streams: {per_stream:.1} KiB each; as many idle connections: {per_connection:.1} KiB each"
    );
    // Unoptimised, a task is several times as large as in a release.
    let bound = if cfg!(debug_assertions) { 24.0 } else { 8.0 };
    assert!(per_stream < bound && per_connection < bound, "{per_stream:.1} KiB, {per_connection:.1} KiB");
    drop((warm, idle, waiting));
}

/// What is taken from the provider and not yet by the client, beyond what the kernel's buffers hold, stays small.
#[test]
fn a_slow_reader_holds_back_its_provider() {
    if served_as_child() {
        return;
    }
    let written = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&written);
    let upstream = Upstream::start(move |stream, _| {
        let event = chunk(&token(&"a".repeat(16 << 10)));
        let _ = stream.write_all(STREAM_HEAD);
        while stream.write_all(&event).is_ok() {
            counter.fetch_add(event.len(), Ordering::SeqCst);
        }
        Keep::Close
    });
    let plan = with(snapshot(&[upstream.address]), &[("/settings/write_timeout_ms", json!(10_000))]);
    let gateway = GatewayProcess::start("a_slow_reader_holds_back_its_provider", &plan, None);
    assert_eq!(gateway.raw(&get("/v1/models")).status, 200);
    let before = gateway.resident_kib();
    let mut stream = gateway.connect();
    stream.write_all(&chat_request(STREAM)).unwrap();
    stream.read_exact(&mut [0; 1000]).unwrap();
    let mut at = written.load(Ordering::SeqCst);
    eventually("the provider is held back", || {
        thread::sleep(Duration::from_millis(200));
        let now = written.load(Ordering::SeqCst);
        let still = now == at;
        at = now;
        still
    });
    let grown = gateway.resident_kib().saturating_sub(before);
    println!("a provider held back after {} KiB, of which {grown} KiB in the gateway's memory", at >> 10);
    assert!(grown < 512, "{grown} KiB");
    // Four kernel buffers of a few MiB each at the most, and little else.
    assert!(at < 32 << 20, "{at} bytes");
    // It goes on when the client does.
    let mut rest = vec![0; 1 << 20];
    for _ in 0..(at >> 20) + 4 {
        stream.read_exact(&mut rest).unwrap();
    }
    assert!(written.load(Ordering::SeqCst) > at);
}

/// Header blocks that unpack to thousands of times their size, on streams without a window: refused by what they unpack
/// to, and nothing of it stays.
#[test]
fn header_bombs_leave_no_memory_behind() {
    if served_as_child() {
        return;
    }
    let gateway = GatewayProcess::start("header_bombs_leave_no_memory_behind", &snapshot(&[]), None);
    assert_eq!(gateway.raw(&get("/v1/models")).status, 200);
    let before = gateway.resident_kib();
    let bombs: Vec<TcpStream> = (0..50)
        .map(|_| {
            let mut stream = gateway.connect();
            let insert = [&[0x40, 6][..], b"x-bomb", &[120], &[b'a'; 120]].concat();
            let block = [get_fields("/healthz"), insert, vec![0xbe; 15_000]].concat();
            let streams =
                (0..100).flat_map(|at| frame(HEADERS, END_HEADERS | END_STREAM, 2 * at + 1, &block));
            // SETTINGS_INITIAL_WINDOW_SIZE 0.
            let _ = stream.write_all(&greeting(&[(4, 0)]));
            let _ = stream.write_all(&streams.collect::<Vec<u8>>());
            stream
        })
        .collect();
    thread::sleep(Duration::from_millis(300));
    let grown = gateway.resident_kib().saturating_sub(before);
    println!("fifty connections with a hundred header bombs each: {grown} KiB");
    assert!(grown < 64 << 10, "{grown} KiB");
    assert_eq!(gateway.raw(&get("/v1/models")).status, 200);
    drop(bombs);
}
