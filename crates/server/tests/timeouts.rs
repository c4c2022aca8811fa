//! Time limits towards providers: each on its own, and the next target when one passes.

#![allow(clippy::unwrap_used, reason = "only tests call this")]

mod support;

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use support::*;

/// Another target, which answers at once.
fn other() -> Upstream {
    Upstream::start(|stream, request| {
        let is_stream = String::from_utf8_lossy(request).contains("\"stream\":true");
        let events = stream_of(&[ROLE, &token("other"), FINISH, DONE]);
        stream.write_all(&if is_stream { events } else { json_answer("200 OK", COMPLETION) }).unwrap();
        Keep::Open
    })
}

fn silent() -> Upstream {
    Upstream::hanging_after("").0
}

#[test]
fn a_connection_that_is_never_made_times_out() {
    // A listener whose queue is full answers no further handshake.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let full = socket2::SockRef::from(&listener);
    full.listen(0).unwrap();
    let mut queued = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(100)) {
        queued.push(stream);
        assert!(queued.len() < 10, "the queue is not full");
    }
    let second = other();
    let changes = [("/providers/0/timeouts/connect_ms", json!(200))];
    let gateway = Gateway::start(&with(snapshot(&[address, second.address]), &changes));
    let began = Instant::now();
    assert_eq!(gateway.chat(CHAT).status, 200);
    assert!((Duration::from_millis(190)..Duration::from_millis(900)).contains(&began.elapsed()));
    assert_eq!(gateway.is_at_rest().targets[0].attempts.timeout, 1);
    let alone = gateway.chat(r#"{"model":"m0","messages":[]}"#);
    assert_eq!((alone.status, alone.error_code().as_str()), (504, "upstream_timeout"));
}

/// The first byte may be slow where its limit allows, and the gaps after it have a limit of their own.
#[test]
fn a_slow_first_byte_is_held_to_its_own_limit() {
    let slow = || {
        Upstream::start(|stream, _| {
            thread::sleep(Duration::from_millis(600));
            stream.write_all(&stream_of(&[ROLE, &token("slow"), FINISH, DONE])).unwrap();
            Keep::Open
        })
    };
    let gap = ("/providers/0/timeouts/between_chunks_ms", json!(200));
    let (patient, impatient, second) = (slow(), slow(), other());
    let gateway = Gateway::before_with(
        &[&patient],
        &[gap.clone(), ("/providers/0/timeouts/first_byte_ms", json!(2000))],
    );
    assert!(gateway.chat(STREAM).text().contains("slow"));
    let changes = [gap, ("/providers/0/timeouts/first_byte_ms", json!(300))];
    let gateway = Gateway::before_with(&[&impatient, &second], &changes);
    assert!(gateway.chat(STREAM).text().contains("other"));
}

#[test]
fn a_head_that_trickles_in_is_held_to_the_same_limit() {
    let trickling = Upstream::start(|stream, _| {
        for byte in b"HTTP/1.1 200 OK\r\nx-long: ".iter().chain(std::iter::repeat_n(&b'a', 200)) {
            thread::sleep(Duration::from_millis(20));
            if stream.write_all(&[*byte]).is_err() {
                break;
            }
        }
        Keep::Close
    });
    let second = other();
    let gateway =
        Gateway::before_with(&[&trickling, &second], &[("/providers/0/timeouts/first_byte_ms", json!(300))]);
    let began = Instant::now();
    assert_eq!(gateway.chat(CHAT).status, 200);
    assert!(began.elapsed() < Duration::from_millis(900), "{:?}", began.elapsed());
}

#[test]
fn the_limit_on_the_whole_exchange_spans_its_attempts() {
    let (first, second) = (silent(), silent());
    let total = ["/providers/0/timeouts/total_ms", "/providers/1/timeouts/total_ms"];
    let gateway = Gateway::before_with(&[&first, &second], &total.map(|pointer| (pointer, json!(400))));
    let began = Instant::now();
    let answer = gateway.chat(CHAT);
    assert_eq!((answer.status, answer.error_code().as_str()), (504, "upstream_timeout"));
    assert!(
        (Duration::from_millis(390)..Duration::from_millis(700)).contains(&began.elapsed()),
        "{:?}",
        began.elapsed()
    );
}
