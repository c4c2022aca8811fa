//! Load on upstreams that are broken on purpose: every fault is a failure of its own kind, never a success.
#![allow(clippy::unwrap_used, reason = "only tests call this")]

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;

use serde_json::{Value, json};
use sluice_loadgen::{LoadOptions, LoadReport};

/// Listens for as long as the test runs and answers every request with `answer`, after which it closes the connection
/// or keeps it.
fn upstream(answer: &'static str, close: bool) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || answer_all(stream, answer, close));
        }
    });
    address
}

fn answer_all(mut stream: TcpStream, answer: &str, close: bool) {
    let mut buffer = [0; 16 * 1024];
    while stream.read(&mut buffer).is_ok_and(|count| count > 0) {
        if stream.write_all(answer.as_bytes()).is_err() || close {
            let _ = stream.shutdown(Shutdown::Both);
            return;
        }
    }
}

fn load(address: SocketAddr, more: &Value) -> Result<LoadReport, String> {
    let mut options = json!({
        "url": format!("http://{address}/"),
        "body": {"kind": "text", "text": "{}"},
        "mode": {"kind": "closed", "connections": 2},
        "duration_ms": 100,
        "timeout_ms": 50,
    });
    options.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let options: LoadOptions = serde_json::from_value(options).unwrap();
    sluice_loadgen::run(&options)
}

const OK_STREAM: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";

#[test]
fn every_fault_has_its_kind() {
    let stream =
        |body: &str| -> &'static str { format!("{OK_STREAM}{:x}\r\n{body}\r\n0\r\n\r\n", body.len()).leak() };
    for (answer, close, streaming, kind) in [
        ("HTTP/1.1 500 No\r\ncontent-length: 2\r\n\r\nno", false, false, "status"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello", true, false, "truncated"),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n", true, false, "truncated"),
        ("", true, false, "closed"),
        ("", false, false, "timeout"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello", false, false, "timeout"),
        ("SSH-2.0-x\r\n\r\n", false, false, "framing"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhello", false, false, "framing"),
        (stream("data: {}\n\n"), false, true, "stream_unfinished"),
        (stream("data: [DONE]\n\ndata: {}\n\n"), false, true, "stream_unfinished"),
        (stream("data: {\"error\":{}}\n\ndata: [DONE]\n\n"), false, true, "stream_error"),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n8\r\ndata: {}\r\n", true, true, "truncated"),
    ] {
        for mode in [
            json!({"kind": "closed", "connections": 2}),
            json!({"kind": "open", "requests_per_second": 200, "max_connections": 50}),
        ] {
            let report = load(upstream(answer, close), &json!({"mode": mode, "stream": streaming})).unwrap();
            let kinds: Vec<_> = report.failures.keys().copied().collect();
            assert_eq!(
                (kinds, report.requests),
                (vec![kind], 0),
                "{answer:?} {mode}: {:?}",
                report.first_failure
            );
            assert_eq!(report.failed, report.failures[kind]);
            assert!(report.first_failure.unwrap().starts_with(kind));
        }
    }
}

#[test]
fn a_pair_counts_faults_too() {
    let good = upstream("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", false);
    for (answer, close, kind) in [
        ("HTTP/1.1 500 No\r\ncontent-length: 2\r\n\r\nno", false, "status"),
        ("", true, "closed"),
        ("", false, "timeout"),
    ] {
        let mode = json!({"kind": "paired", "direct_url": format!("http://{good}/"), "slice_ms": 20});
        let report = load(upstream(answer, close), &json!({"mode": mode})).unwrap();
        assert!(report.failures.contains_key(kind), "{answer:?}: {:?}", report.failures);
        assert_eq!(report.requests, 0);
        assert!(report.paired.unwrap().direct_requests > 0);
    }
}

#[test]
fn an_answer_that_ends_with_the_connection_is_an_answer() {
    let report = load(upstream("HTTP/1.1 200 OK\r\n\r\nhello", true), &json!({})).unwrap();
    assert!(report.requests > 0, "{report:?}");
    assert_eq!(report.failed, 0, "{:?}", report.first_failure);
}

#[test]
fn nobody_there_is_an_error_or_a_failure() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = load(gone, &json!({})).unwrap_err();
    assert!(error.contains("cannot connect"), "{error}");
    let mode = json!({"kind": "open", "requests_per_second": 100, "max_connections": 5});
    let report = load(gone, &json!({"mode": mode})).unwrap();
    assert_eq!((report.failures.get("connect"), report.requests), (Some(&10), 0));
}

#[test]
fn options_that_cannot_be_used_are_named() {
    let address = "127.0.0.1:9".parse().unwrap();
    for (more, part) in [
        (json!({"threads": 0}), "threads"),
        (json!({"duration_ms": 0}), "duration_ms"),
        (json!({"url": "https://x/"}), "http://"),
        (json!({"mode": {"kind": "closed", "connections": 0}}), "connections"),
        (
            json!({"mode": {"kind": "open", "requests_per_second": 0, "max_connections": 1}}),
            "requests_per_second",
        ),
        (json!({"headers": {"a": "b\r\nc"}}), "header"),
    ] {
        let error = load(address, &more).unwrap_err();
        assert!(error.contains(part), "{more}: {error}");
    }
}
