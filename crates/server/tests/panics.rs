//! A panic while one request is handled is an error 500 for that request alone.

#![allow(clippy::unwrap_used, reason = "only tests call this")]

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::json;
use sluice_types::ErrorKind;
use support::h2_client;
use support::*;

fn panicking(stage: &str) -> Vec<u8> {
    post_with("/v1/chat/completions", &format!("x-sluice-test-panic: {stage}\r\n"), CHAT)
}

#[test]
fn a_panic_is_a_500_for_its_request_alone() {
    let upstream = Upstream::answering(json_answer("200 OK", COMPLETION));
    let (streaming, _closed) =
        Upstream::hanging_after([STREAM_HEAD, &chunk(ROLE), &chunk(&token("a"))].concat());
    let gateway =
        Gateway::before_with(&[&upstream, &streaming], &[("/keys/0/limits", json!({"concurrency": 2}))]);
    // A stream that is under way on the same worker, and goes on.
    let mut bystander = gateway.connect();
    bystander.write_all(&chat_request(&STREAM.replace("\"m\"", "\"m1\""))).unwrap();
    streaming.next_request();
    for (at, stage) in (0..).zip(["gate", "relay"]) {
        let mut stream = gateway.connect();
        stream.write_all(&panicking(stage)).unwrap();
        let answer = read_answer(&mut stream);
        assert_eq!((answer.status, answer.error_code().as_str()), (500, "internal_error"), "{stage}");
        assert!(is_closed(&mut stream, Duration::from_secs(2)), "{stage}");
        let record = gateway.record();
        assert_eq!((record.get("status"), record.error()), (500, Some(ErrorKind::Internal)), "{stage}");
        // The key's other slot is free again, and the worker serves.
        assert_eq!(gateway.chat(CHAT).status, 200, "{stage}");
        assert_eq!(gateway.record().get("status"), 200);
        eventually("only the bystander is left", || gateway.plane.active_requests() == 1);
        let stats = gateway.plane.stats();
        let counted: u64 = stats.routes.iter().flat_map(|route| route.by_class).sum();
        let errors: u64 = stats.errors.iter().map(|row| row.count).sum();
        assert_eq!((counted, errors), (2 * at + 2, at + 1), "{stage}");
    }
    assert_eq!(read_answer_head(&mut bystander), 200);
    assert_eq!(gateway.plane.active_requests(), 1);
}

fn read_answer_head(stream: &mut TcpStream) -> u16 {
    let mut head = [0; 12];
    stream.read_exact(&mut head).unwrap();
    std::str::from_utf8(&head[9..]).unwrap().parse().unwrap()
}

#[test]
fn a_panic_on_one_stream_of_a_connection_leaves_the_others() {
    let upstream = Upstream::answering(json_answer("200 OK", COMPLETION));
    let gateway = Gateway::before(&[&upstream]);
    h2_client::run(async {
        let mut client = h2_client::connect(gateway.address).await;
        for stage in ["gate", "relay"] {
            let head =
                h2_client::request("POST", "/v1/chat/completions").header("x-sluice-test-panic", stage);
            let answer = h2_client::send(&mut client, head, CHAT.as_bytes()).await.unwrap();
            assert_eq!(
                (answer.status, answer.json()["error"]["code"].as_str()),
                (500, Some("internal_error"))
            );
            assert_eq!(h2_client::chat(&mut client, CHAT).await.status, 200);
        }
    });
    gateway.is_at_rest();
}
