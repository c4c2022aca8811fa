//! Gemini's stream without `alt=sse`: one JSON array, of the provider's own objects and of translated ones.

#![allow(clippy::unwrap_used, reason = "only tests call this")]

mod support;

use std::io::Read;
use std::io::Write;

use serde_json::{Value, json};
use sluice_types::{ErrorKind, flags};
use support::dialects::*;
use support::*;

/// Asks for a stream as one array.
fn ask(gateway: &Gateway, query: &str) -> Answer {
    let body = GEMINI.body("m", true).to_string();
    gateway.raw(&post(&format!("/v1beta/models/m:streamGenerateContent{query}"), &body))
}

fn elements(answer: &Answer) -> Vec<Value> {
    answer.json().as_array().unwrap_or_else(|| panic!("{}", answer.text())).clone()
}

/// The text of all elements.
fn text_of(elements: &[Value]) -> String {
    let parts = elements
        .iter()
        .filter_map(|element| element.pointer("/candidates/0/content/parts/0/text").and_then(Value::as_str));
    parts.collect()
}

#[test]
fn a_providers_own_objects_are_the_elements() {
    for api in [GEMINI, VERTEX] {
        let upstream = Upstream::answering(api.streamed("text"));
        let gateway = gateway_of(&[(api, &upstream)]);
        for query in ["", "?alt=json", "?$alt=json;enum-encoding=int"] {
            let answer = ask(&gateway, query);
            assert_eq!((answer.status, answer.whole), (200, true), "{}", answer.text());
            assert_eq!(answer.header("content-type"), Some("application/json"));
            let wanted: Vec<Value> =
                api.frames("text").iter().map(|frame| serde_json::from_slice(&frame[6..]).unwrap()).collect();
            assert_eq!(elements(&answer), wanted);
            // The provider is always asked for events.
            assert!(seen(&upstream).line.ends_with("/models/m:streamGenerateContent?alt=sse"));
            let record = gateway.record();
            assert_eq!((record.tokens(), record.error()), ((7, 5), None));
            assert_eq!(record.get("flags"), u64::from(flags::STREAM));
        }
        assert!(ask(&gateway, "?alt=sse").body == api.frames("text").concat());
    }
}

#[test]
fn a_translated_stream_is_an_array_too() {
    for_each([OPENAI, RESPONSES, ANTHROPIC, BEDROCK, COHERE, OLLAMA], |provider| {
        for bytes in [provider.streamed("text"), provider.answer("text")] {
            let upstream = Upstream::answering(bytes);
            let gateway = gateway_of(&[(provider, &upstream)]);
            let answer = ask(&gateway, "");
            assert_eq!((answer.status, answer.whole), (200, true), "{}: {}", provider.name, answer.text());
            assert_eq!(answer.header("content-type"), Some("application/json"), "{}", provider.name);
            let elements = elements(&answer);
            let text = text_of(&elements);
            assert!(!text.is_empty(), "{}: {}", provider.name, answer.text());
            assert_eq!(
                elements.last().unwrap()["candidates"][0]["finishReason"],
                "STOP",
                "{}",
                provider.name
            );
            assert!(gateway.record().tokens().1 > 0, "{}", provider.name);
        }
    });
}

/// A document, whatever the provider was asked for, is an array of one.
#[test]
fn a_document_is_an_array_of_one() {
    let upstream = Upstream::answering(GEMINI.answer("text"));
    let gateway = gateway_of(&[(GEMINI, &upstream)]);
    let answer = ask(&gateway, "");
    assert_eq!(elements(&answer), [serde_json::from_slice::<Value>(&GEMINI.document("text")).unwrap()]);
    assert_eq!(gateway.record().tokens(), (7, 5));
}

#[test]
fn errors_are_documents_before_and_elements_inside() {
    for provider in [GEMINI, ANTHROPIC] {
        let upstream = Upstream::answering(provider.streamed("error-in-stream"));
        let gateway = gateway_of(&[(provider, &upstream)]);
        let answer = ask(&gateway, "");
        assert_eq!(answer.status, 200);
        let elements: Vec<Value> = elements(&answer);
        assert!(elements.len() > 1 && elements.last().unwrap()["error"]["message"].is_string());
        assert_eq!(elements.iter().filter(|element| element["error"].is_object()).count(), 1);
        assert_eq!(gateway.record().error(), Some(ErrorKind::UpstreamError));
        let frames = provider.frames("error-in-stream");
        let upstream = Upstream::answering(provider.streamed_as(&frames[frames.len() - 1..]));
        let answer = ask(&gateway_of(&[(provider, &upstream)]), "");
        assert!(answer.status >= 500 && answer.json()["error"]["status"].is_string(), "{}", answer.text());
        let upstream = Upstream::answering(json_answer(
            "404 Not Found",
            r#"{"error":{"code":404,"message":"no m","status":"NOT_FOUND"}}"#,
        ));
        let answer = ask(&gateway_of(&[(provider, &upstream)]), "");
        assert_eq!((answer.status, &answer.json()["error"]["message"]), (404, &json!("no m")));
    }
}

#[test]
fn a_stream_cut_short_is_closed_with_an_error() {
    for provider in [GEMINI, ANTHROPIC] {
        let count = if provider == GEMINI { 1 } else { 4 };
        let chunks: Vec<u8> =
            provider.frames("text")[..count].iter().flat_map(|frame| chunk_of(frame)).collect();
        let upstream = Upstream::closing_after([provider.stream_head(), chunks].concat());
        let gateway = gateway_of(&[(provider, &upstream)]);
        let answer = ask(&gateway, "");
        assert_eq!((answer.status, answer.whole), (200, false));
        // What arrived is an array all the same.
        let elements = elements(&answer);
        assert!(elements.last().unwrap()["error"]["message"].is_string(), "{}", answer.text());
        assert_eq!(gateway.record().error(), Some(ErrorKind::UpstreamTruncated));
    }
}

/// Elements are sent when they come, not when the array is whole.
#[test]
fn elements_come_at_once() {
    let frames = GEMINI.frames("text");
    let (upstream, _closed) = Upstream::hanging_after([GEMINI.stream_head(), chunk_of(&frames[0])].concat());
    let gateway = gateway_of(&[(GEMINI, &upstream)]);
    let mut stream = gateway.connect();
    let body = GEMINI.body("m", true).to_string();
    stream.write_all(&post("/v1beta/models/m:streamGenerateContent", &body)).unwrap();
    let mut seen = Vec::new();
    let mut piece = [0; 4096];
    while !seen.windows(6).any(|window| window == b"Hello,") {
        let count = stream.read(&mut piece).expect("the first element came at once");
        assert!(count > 0);
        seen.extend_from_slice(&piece[..count]);
    }
}
