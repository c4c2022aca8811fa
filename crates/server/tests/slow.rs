//! Clients that are slow, silent or too many.

#![allow(clippy::unwrap_used, reason = "only tests call this")]

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use sluice_types::ErrorKind;
use support::*;

const REQUEST_HEAD: &str = "POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\n";

/// Time from now until the gateway has closed the connection.
fn time_to_close(stream: &mut TcpStream) -> Duration {
    let began = Instant::now();
    read_to_end(stream);
    began.elapsed()
}

#[test]
fn a_head_that_trickles_in_is_cut_off_in_time() {
    let gateway = Gateway::before_with(&[], &[("/settings/header_timeout_ms", json!(300))]);
    for_each([0, 1, 10, 60], |first| {
        let mut stream = gateway.connect();
        let mut head = REQUEST_HEAD.bytes().cycle();
        let sent: Vec<u8> = head.by_ref().take(first.max(1)).collect();
        stream.write_all(&sent).unwrap();
        let mut trickle = stream.try_clone().unwrap();
        // A byte every 20 ms keeps no deadline from passing.
        let trickling = thread::spawn(move || {
            for byte in REQUEST_HEAD.bytes().cycle().skip(first.max(1)).take(100) {
                thread::sleep(Duration::from_millis(20));
                if trickle.write_all(&[byte]).is_err() {
                    return;
                }
            }
        });
        let began = Instant::now();
        let answer = read_answer(&mut stream);
        let took = began.elapsed();
        assert_eq!((answer.status, answer.error_code().as_str()), (408, "request_timeout"));
        assert!((Duration::from_millis(250)..Duration::from_millis(900)).contains(&took), "{took:?}");
        drop(stream);
        trickling.join().unwrap();
    });
    gateway.is_at_rest();
}

#[test]
fn thousands_of_trickling_heads_do_not_stop_the_service() {
    // Both ends of each are in this process.
    let trickling = connections_at_once(3_000);
    let upstream = Upstream::answering(json_answer("200 OK", COMPLETION));
    let gateway = Gateway::before_with(&[&upstream], &[("/settings/header_timeout_ms", json!(1500))]);
    let streams: Vec<TcpStream> = (0..trickling)
        .map(|_| {
            let mut stream = gateway.connect();
            stream.write_all(REQUEST_HEAD.as_bytes()).unwrap();
            stream
        })
        .collect();
    for _ in 0..20 {
        let began = Instant::now();
        assert_eq!(gateway.chat(CHAT).status, 200);
        assert!(began.elapsed() < Duration::from_millis(500), "{:?}", began.elapsed());
    }
    eventually("all of them are cut off", || gateway.plane.stats().workers[0].connections == 0);
    drop(streams);
}

#[test]
fn a_body_that_trickles_in_is_cut_off_in_time() {
    let upstream = Upstream::answering(json_answer("200 OK", COMPLETION));
    let gateway = Gateway::before_with(&[&upstream], &[("/settings/body_timeout_ms", json!(300))]);
    for_each(["content-length: 1000\r\n", "transfer-encoding: chunked\r\n"], |framing| {
        let mut stream = gateway.connect();
        let head = format!("{REQUEST_HEAD}authorization: Bearer {KEY}\r\n{framing}\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let mut trickle = stream.try_clone().unwrap();
        let trickling = thread::spawn(move || {
            for _ in 0..100 {
                thread::sleep(Duration::from_millis(20));
                if trickle.write_all(b"1\r\n \r\n").is_err() {
                    return;
                }
            }
        });
        let began = Instant::now();
        let answer = read_answer(&mut stream);
        let took = began.elapsed();
        assert_eq!((answer.status, answer.error_code().as_str()), (408, "request_timeout"), "{framing}");
        assert!((Duration::from_millis(250)..Duration::from_millis(900)).contains(&took), "{took:?}");
        drop(stream);
        trickling.join().unwrap();
    });
    assert_eq!(upstream.times_asked(), 0);
    for _ in 0..2 {
        assert_eq!(gateway.record().error(), Some(ErrorKind::RequestTimeout));
    }
    gateway.is_at_rest();
}

/// A client that takes nothing is cut off, and the provider with it; neither document nor stream is held for it.
#[test]
fn a_reader_that_stalls_is_cut_off_and_so_is_its_provider() {
    let endless = |head: &'static [u8], piece: Vec<u8>| {
        Upstream::start(move |stream, _| {
            let _ = stream.write_all(head);
            while stream.write_all(&piece).is_ok() {}
            Keep::Close
        })
    };
    let event = chunk(&token(&"a".repeat(8000)));
    let document = format!("{{\"a\":[{}", "1,".repeat(8000)).into_bytes();
    let cases = [
        (endless(STREAM_HEAD, event), STREAM),
        (endless(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n", document), CHAT),
    ];
    for_each(cases, |(upstream, body)| {
        let limit = [
            ("/settings/write_timeout_ms", json!(300)),
            ("/settings/max_response_body_bytes", json!(1u64 << 40)),
        ];
        let gateway = Gateway::before_with(&[&upstream], &limit);
        let mut stream = gateway.connect();
        stream.write_all(&chat_request(body)).unwrap();
        let began = Instant::now();
        stream.read_exact(&mut [0; 12]).unwrap();
        let record = gateway.record();
        let took = began.elapsed();
        assert!((Duration::from_millis(250)..Duration::from_millis(2000)).contains(&took), "{took:?}");
        assert_eq!((record.get("status"), record.error()), (200, Some(ErrorKind::ClientGone)));
        assert!(record.get("response_bytes") < 16 << 20, "{}", record.get("response_bytes"));
        gateway.is_at_rest();
    });
}

#[test]
fn an_idle_connection_is_closed_in_time() {
    let upstream = Upstream::answering(json_answer("200 OK", COMPLETION));
    let gateway = Gateway::before_with(&[&upstream], &[("/settings/idle_timeout_ms", json!(300))]);
    for_each([0, 1, 2], |requests| {
        let mut stream = gateway.connect();
        for _ in 0..requests {
            thread::sleep(Duration::from_millis(150));
            stream.write_all(&chat_request(CHAT)).unwrap();
            assert_eq!(read_answer(&mut stream).status, 200);
        }
        let took = time_to_close(&mut stream);
        assert!((Duration::from_millis(250)..Duration::from_millis(900)).contains(&took), "{took:?}");
    });
    eventually("none is left", || gateway.plane.stats().workers[0].connections == 0);
}

#[test]
fn a_connection_serves_so_many_requests_and_no_more() {
    let upstream = Upstream::answering(json_answer("200 OK", COMPLETION));
    let gateway = Gateway::before_with(&[&upstream], &[("/settings/max_requests_per_connection", json!(3))]);
    let mut stream = gateway.connect();
    stream.write_all(&chat_request(CHAT).repeat(5)).unwrap();
    let closing = [0; 3].map(|_| read_answer(&mut stream).header("connection").map(str::to_owned));
    assert_eq!(closing, [None, None, Some("close".to_owned())]);
    assert_eq!(read_to_end(&mut stream), b"");
    assert_eq!(upstream.times_asked(), 3);
}

#[test]
fn connections_over_the_bound_wait_their_turn() {
    let upstream = Upstream::answering(json_answer("200 OK", COMPLETION));
    let options = json!({"listeners": [{"address": "127.0.0.1:0"}], "workers": 1, "max_connections": 3});
    let gateway = Gateway::start_with(&snapshot(&[upstream.address]), options);
    let mut held: Vec<TcpStream> = (0..3)
        .map(|_| {
            let mut stream = gateway.connect();
            stream.write_all(&chat_request(CHAT)).unwrap();
            assert_eq!(read_answer(&mut stream).status, 200);
            stream
        })
        .collect();
    let mut waiting = gateway.connect();
    waiting.write_all(&chat_request(CHAT)).unwrap();
    waiting.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    assert!(waiting.read(&mut [0; 1]).is_err(), "a fourth connection was served");
    assert_eq!(gateway.plane.stats().workers[0].connections, 3);
    held.pop();
    waiting.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    assert_eq!(read_answer(&mut waiting).status, 200);
}
