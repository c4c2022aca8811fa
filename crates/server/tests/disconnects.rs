//! Clients that leave: the provider is let go, and what was used is booked.

#![allow(clippy::unwrap_used, reason = "only tests call this")]

mod support;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use sluice_types::{ErrorKind, flags};
use support::*;

/// How a client leaves.
#[derive(Clone, Copy, Debug)]
enum Leaving {
    Close,
    Reset,
    /// It will send nothing more; for us that means it is gone.
    HalfClose,
}

const LEAVING: [Leaving; 3] = [Leaving::Close, Leaving::Reset, Leaving::HalfClose];

/// When it leaves: what the provider has sent by then, the request, and what is booked.
struct When {
    what: &'static str,
    sent: Vec<u8>,
    request: &'static str,
    status: u64,
    flags: u8,
}

fn moments() -> Vec<When> {
    let tool = "data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"c\",\"function\":{\"name\":\"f\",\"arguments\":\"{\"}}]},\"finish_reason\":null}]}\n\n";
    let estimated = flags::ESTIMATED | flags::CLIENT_ABORTED;
    let head =
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 400000\r\n\r\n{\"a\":\"";
    let when = |what, sent: Vec<u8>, request, status, flags| When { what, sent, request, status, flags };
    vec![
        when("before the first byte of a stream", vec![], STREAM, 499, estimated),
        when("before the first byte of a document", vec![], CHAT, 499, estimated),
        when("behind the head of a stream", STREAM_HEAD.to_vec(), STREAM, 499, estimated),
        when("in a document that is held", head.to_vec(), CHAT, 499, estimated),
        when("in a document", [&head[..], &[b'a'; 100_000]].concat(), CHAT, 200, estimated),
        when(
            "in a stream",
            [STREAM_HEAD, &chunk(ROLE), &chunk(&token("some text that was paid for"))].concat(),
            STREAM,
            200,
            estimated | flags::STREAM,
        ),
        when(
            "in a tool call",
            [STREAM_HEAD, &chunk(ROLE), &chunk(tool)].concat(),
            STREAM,
            200,
            estimated | flags::STREAM,
        ),
        when(
            "behind the usage of a stream",
            [
                STREAM_HEAD,
                &chunk(ROLE),
                &chunk(&USAGE.replace("\"choices\":[]", "\"choices\":[{\"index\":0}]")),
            ]
            .concat(),
            STREAM,
            200,
            flags::CLIENT_ABORTED | flags::STREAM,
        ),
    ]
}

#[test]
fn a_client_that_leaves_takes_its_provider_along_within_a_second() {
    for_each(
        moments().into_iter().flat_map(|when| {
            LEAVING
                .map(|leaving| (leaving, when.sent.clone(), when.what, when.request, when.status, when.flags))
        }),
        |(leaving, sent, what, request, status, wanted_flags)| {
            let what = format!("{leaving:?} {what}");
            let (upstream, closed) = Upstream::hanging_after(sent);
            let changes = [
                ("/keys/0/limits", json!({"concurrency": 1})),
                ("/providers/0/timeouts/first_byte_ms", json!(60_000)),
                ("/providers/0/timeouts/between_chunks_ms", json!(60_000)),
            ];
            let gateway = Gateway::before_with(&[&upstream], &changes);
            let mut stream = gateway.connect();
            stream.write_all(&chat_request(request)).unwrap();
            upstream.next_request();
            if status == 200 {
                stream.read_exact(&mut [0; 200]).unwrap();
            } else {
                thread::sleep(Duration::from_millis(50));
            }
            let left = Instant::now();
            let held = match leaving {
                Leaving::Close => None,
                Leaving::Reset => {
                    reset(&stream);
                    None
                }
                Leaving::HalfClose => {
                    stream.shutdown(Shutdown::Write).unwrap();
                    Some(stream.try_clone().unwrap())
                }
            };
            drop(stream);
            let at =
                closed.recv_timeout(Duration::from_secs(2)).unwrap_or_else(|_| panic!("{what}: not let go"));
            assert!(at - left < Duration::from_secs(1), "{what}: {:?}", at - left);
            drop(held);
            let record = gateway.record();
            assert_eq!(
                (record.get("status"), record.error()),
                (status, Some(ErrorKind::ClientGone)),
                "{what}"
            );
            assert_eq!(record.get("flags"), u64::from(wanted_flags), "{what}");
            let (input, output) = record.tokens();
            assert!(input > 0, "{what}: the prompt was sent, so it is booked");
            if what.contains("in a stream") || what.contains("tool call") {
                assert!(output > 0, "{what}: what was generated is booked");
            }
            let stats = gateway.is_at_rest();
            assert_eq!(stats.targets[0].attempts.client_gone, 1, "{what}");
            assert_eq!(stats.pools[0].idle, 0, "{what}: a connection with an unread answer was kept");
            // The key's only slot is free again.
            let (next, _) = Upstream::hanging_after("");
            drop(next);
            let mut stream = gateway.connect();
            stream.write_all(&chat_request(request)).unwrap();
            upstream.next_request();
        },
    );
}

/// A client that leaves while it is sending its body has used nothing.
#[test]
fn a_client_that_leaves_in_its_own_body_costs_nothing() {
    let upstream = Upstream::answering(json_answer("200 OK", COMPLETION));
    let gateway = Gateway::before(&[&upstream]);
    for leaving in LEAVING {
        let mut stream = gateway.connect();
        stream.write_all(&chat_request(CHAT)[..100]).unwrap();
        let _ = stream.write_all(&chat_request(CHAT)[100..150]);
        let whole = chat_request(CHAT);
        stream.write_all(&whole[150..whole.len() - 5]).unwrap();
        match leaving {
            Leaving::Close => {}
            Leaving::Reset => reset(&stream),
            Leaving::HalfClose => stream.shutdown(Shutdown::Write).unwrap(),
        }
        drop(stream);
        let record = gateway.record();
        assert_eq!(
            (record.get("status"), record.error(), record.tokens()),
            (499, Some(ErrorKind::ClientGone), (0, 0))
        );
        assert_eq!(record.get("attempts"), 0);
    }
    gateway.is_at_rest();
    assert_eq!(upstream.times_asked(), 0);
}

/// A provider that takes no more of a body does not keep its client, and a client that leaves does not wait for it.
#[test]
fn a_provider_that_stops_taking_the_body_is_let_go() {
    let stalled = || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, closed) = channel();
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                stream.read_exact(&mut [0; 1000]).unwrap();
                sender.send(stream).unwrap();
            }
        });
        (address, closed)
    };
    let body = format!(r#"{{"model":"m","messages":["{}"]}}"#, "a".repeat(24 << 20));
    let ((first, held), second) = (stalled(), Upstream::answering(json_answer("200 OK", COMPLETION)));
    let changes = [("/settings/write_timeout_ms", json!(400)), ("/settings/body_timeout_ms", json!(10_000))];
    let gateway = Gateway::start(&with(snapshot(&[first, second.address]), &changes));
    assert_eq!(gateway.chat(&body).status, 200);
    assert_eq!((gateway.record().get("attempts"), gateway.is_at_rest().targets[0].attempts.timeout), (2, 1));
    drop(held);
    let (address, held) = stalled();
    let changes =
        [("/settings/write_timeout_ms", json!(60_000)), ("/settings/body_timeout_ms", json!(10_000))];
    let gateway = Gateway::start(&with(snapshot(&[address]), &changes));
    let mut client = gateway.connect();
    client.write_all(&chat_request(&body)).unwrap();
    let _provider = held.recv_timeout(Duration::from_secs(5)).unwrap();
    thread::sleep(Duration::from_millis(50));
    let left = Instant::now();
    drop(client);
    let record = gateway.record();
    assert!(left.elapsed() < Duration::from_secs(1), "{:?}", left.elapsed());
    assert_eq!(record.error(), Some(ErrorKind::ClientGone));
    gateway.is_at_rest();
}

/// A client that leaves does not take its pipelined requests to the provider.
#[test]
fn requests_behind_one_whose_client_left_are_not_sent() {
    let (upstream, closed) = Upstream::hanging_after("");
    let gateway = Gateway::before(&[&upstream]);
    let mut stream = gateway.connect();
    stream.write_all(&chat_request(CHAT).repeat(3)).unwrap();
    upstream.next_request();
    drop(stream);
    closed.recv_timeout(Duration::from_secs(1)).unwrap();
    gateway.is_at_rest();
    assert_eq!(upstream.times_asked(), 1);
    assert_eq!(gateway.records().len(), 1);
}

/// Events are passed on as they come, one by one and at once.
#[test]
fn every_event_is_passed_on_when_it_comes() {
    let upstream = Upstream::start(|stream, _| {
        stream.write_all(STREAM_HEAD).unwrap();
        for _ in 0..50 {
            // The time it was sent, so that the client can tell how long it was under way.
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_micros();
            stream.write_all(&chunk(&token(&now.to_string()))).unwrap();
            thread::sleep(Duration::from_millis(4));
        }
        stream.write_all(&[chunk(FINISH), chunk(DONE), b"0\r\n\r\n".to_vec()].concat()).unwrap();
        Keep::Open
    });
    let gateway = Gateway::before(&[&upstream]);
    let mut stream = gateway.connect();
    stream.write_all(&chat_request(STREAM)).unwrap();
    let (mut delays, mut seen) = (Vec::new(), Vec::new());
    let mut piece = [0; 4096];
    while !seen.ends_with(b"0\r\n\r\n") {
        let count = stream.read(&mut piece).unwrap();
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_micros();
        let text = String::from_utf8_lossy(&piece[..count]).into_owned();
        for sent in text
            .split("\"content\":\"")
            .skip(1)
            .filter_map(|rest| rest.split('"').next()?.parse::<u128>().ok())
        {
            delays.push(now - sent);
        }
        seen.extend_from_slice(&piece[..count]);
    }
    assert_eq!(delays.len(), 50);
    delays.sort_unstable();
    // Half a millisecond for the three sockets, on a machine that is busy with other tests.
    assert!(delays[25] < 2_000, "median {} µs", delays[25]);
}
