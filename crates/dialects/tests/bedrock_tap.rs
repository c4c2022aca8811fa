//! Bedrock's requests and streams that pass through untouched.

mod support;

use sluice_dialects::bedrock::{StreamTap, inspect};
use sluice_dialects::event_stream::messages;
use sluice_dialects::openai::stream::EventClass;
use sluice_dialects::wire::{Frame, Tap};
use sluice_types::Usage;

fn tap(tap: &mut StreamTap, name: &str, data: &str) -> EventClass {
    tap.frame(Frame { name: Some(name.as_bytes()), data: data.as_bytes() })
}

#[test]
fn a_stream_is_tapped() {
    let mut found = StreamTap::default();
    let mut forward = |name, data| assert_eq!(tap(&mut found, name, data), EventClass::Forward, "{name}");
    forward("messageStart", r#"{"p":"abcdef","role":"assistant"}"#);
    forward("contentBlockDelta", r#"{"contentBlockIndex":0,"delta":{"text":"Hel\"lo"},"p":"abcdefghij"}"#);
    forward("contentBlockDelta", r#"{"contentBlockIndex":1,"delta":{"toolUse":{"input":"{\"a\""}}}"#);
    forward(
        "contentBlockDelta",
        r#"{"contentBlockIndex":2,"delta":{"reasoningContent":{"signature":"xxxxxxxx"}}}"#,
    );
    forward("contentBlockDelta", r#"{"contentBlockIndex":2,"delta":{"reasoningContent":{"text":"so"}}}"#);
    forward("somethingNew", r#"{"delta":{"text":"x"}}"#);
    assert_eq!((found.output_bytes(), found.finished(), found.usage()), (7 + 6 + 2, false, None));
    assert_eq!(tap(&mut found, "messageStop", r#"{"stopReason":"end_turn"}"#), EventClass::Forward);
    assert!(found.finished());
    let metadata =
        r#"{"metrics":{"latencyMs":9},"usage":{"inputTokens":3,"outputTokens":5,"cacheReadInputTokens":4}}"#;
    assert_eq!(tap(&mut found, "metadata", metadata), EventClass::Forward);
    let expected = Usage { input: 7, cached_input: 4, output: 5, ..Usage::default() };
    assert_eq!(found.usage(), Some(expected));
}

#[test]
fn errors_and_rubbish_are_told_apart() {
    let mut found = StreamTap::default();
    assert_eq!(tap(&mut found, "throttlingException", r#"{"message":"slow"}"#), EventClass::Error);
    assert_eq!(tap(&mut found, "error", "no JSON"), EventClass::Error);
    assert_eq!(tap(&mut found, "contentBlockDelta", "no JSON"), EventClass::Malformed);
    assert_eq!(tap(&mut found, "metadata", "{\"usage\":}"), EventClass::Malformed);
    assert!(!found.finished());
}

#[test]
fn recorded_stream() {
    let Some(stream) = support::recorded::oddity("bedrock/bedrock-converse-streaming.bin") else { return };
    let mut found = StreamTap::default();
    for message in messages(&stream) {
        assert_eq!(found.frame(message.frame()), EventClass::Forward);
    }
    assert_eq!((found.output_bytes(), found.finished()), (6, true));
    assert_eq!(found.usage(), Some(Usage { input: 13, output: 5, ..Usage::default() }));
}

#[test]
fn requests_are_inspected() {
    let body = br#"{"inferenceConfig":{"maxTokens":77,"topP":0.5},"messages":[{"role":"user"}],"x":1}"#;
    let view = inspect(body).unwrap();
    assert_eq!((view.model, view.stream, view.max_output_tokens, view.n), (None, false, Some(77), 1));
    assert_eq!(view.input.unwrap().of(body), br#"[{"role":"user"}]"#);
    assert_eq!(inspect(b"{}").unwrap().input, None, "a stored prompt may stand in for them");
    assert_eq!(inspect(br#"{"inferenceConfig":null,"messages":null}"#).unwrap().n, 1);
    let refused = [
        (&b"[]"[..], None),
        (b"{\"messages\":{}}", Some("messages")),
        (b"{\"messages\":[],\"messages\":[]}", Some("messages")),
        (b"{\"inferenceConfig\":[]}", Some("inferenceConfig")),
        (b"{\"inferenceConfig\":{\"maxTokens\":\"1\"}}", Some("inferenceConfig.maxTokens")),
        (b"{\"inferenceConfig\":{\"maxTokens\":1,\"maxtokens\":2}}", Some("inferenceConfig.maxTokens")),
    ];
    for (body, param) in refused {
        assert_eq!(inspect(body).unwrap_err().param, param, "{}", String::from_utf8_lossy(body));
    }
}
