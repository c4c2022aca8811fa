//! A panic while one request is handled is an error 500 for that request alone.

#![allow(clippy::unwrap_used, reason = "only tests call this")]

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::json;
use sluice_types::ErrorKind;
use support::dialects::{CLIENTS, OLLAMA, gateway_of};
use support::h2_client;
use support::meters::{budget, meter, metered, standing};
use support::*;

fn panicking(stage: &str) -> Vec<u8> {
    post_with("/v1/chat/completions", &format!("x-sluice-test-panic: {stage}\r\n"), CHAT)
}

#[test]
fn a_panic_is_a_500_for_its_request_alone() {
    let upstream = Upstream::answering(json_answer("200 OK", COMPLETION));
    let (streaming, _closed) =
        Upstream::hanging_after([STREAM_HEAD, &chunk(ROLE), &chunk(&token("a"))].concat());
    let gateway = Gateway::start(&metered(
        &[&upstream, &streaming],
        &[meter(1, "concurrency", 2), budget(2, 1_000_000)],
        &[("/keys/0/limits", json!({"concurrency": 2}))],
    ));
    // A stream that is under way on the same worker, and goes on.
    let mut bystander = gateway.connect();
    bystander.write_all(&chat_request(&STREAM.replace("\"m\"", "\"m1\""))).unwrap();
    streaming.next_request();
    let held = standing(&gateway, 2).1;
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
        assert_eq!((standing(&gateway, 1).1, standing(&gateway, 2).1), (1, held), "{stage}");
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

/// In every dialect the caller may have, on both lanes, and the next request is served as if nothing had been.
#[test]
fn a_panic_in_translation_is_told_in_the_callers_dialect() {
    let upstream = Upstream::answering(OLLAMA.answer("text"));
    let gateway = gateway_of(&[(OLLAMA, &upstream)]);
    for api in CLIENTS {
        let lines = "x-sluice-test-panic: translate\r\n";
        let answer = gateway.raw(&api.request_with("m", false, lines, &json!({})));
        assert_eq!((answer.status, answer.whole), (500, true), "{}", api.name);
        let error = api.wire.read_error(500, &answer.body);
        assert_eq!(error.message, "The gateway failed to handle this request.", "{}", api.name);
        let mut written = Vec::new();
        api.wire.write_error(&error, &mut written);
        let members = |body: &[u8]| {
            let value: serde_json::Value = serde_json::from_slice(body).unwrap();
            let mut names: Vec<String> = value.as_object().unwrap().keys().cloned().collect();
            names.sort();
            names
        };
        assert_eq!(members(&answer.body), members(&written), "{}", api.name);
        assert_eq!(answer.header("x-amzn-errortype").is_some(), api.name == "bedrock");
        assert_eq!(gateway.record().error(), Some(ErrorKind::Internal), "{}", api.name);
        let next = gateway.raw(&api.request("m", false));
        assert_eq!(next.status, 200, "{}: {}", api.name, next.text());
        assert_eq!(gateway.record().get("status"), 200);
    }
    h2_client::run(async {
        let mut client = h2_client::connect(gateway.address).await;
        let body = r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hello"}]}"#;
        let head = h2_client::request("POST", "/v1/messages").header("x-sluice-test-panic", "translate");
        let answer = h2_client::send(&mut client, head, body.as_bytes()).await.unwrap();
        assert_eq!((answer.status, answer.json()["type"].as_str()), (500, Some("error")));
        let head = h2_client::request("POST", "/v1/messages");
        assert_eq!(h2_client::send(&mut client, head, body.as_bytes()).await.unwrap().status, 200);
    });
    gateway.is_at_rest();
}
