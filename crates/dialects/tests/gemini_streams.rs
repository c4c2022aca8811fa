//! Streams in Google's dialect.

use std::fs;

use serde_json::{Value, json};
use sluice_dialects::exchange::{ApiError, Event, Finish, Raw, Text};
use sluice_dialects::gemini::{Decoder, Encoder};
use sluice_dialects::wire::{AnswerContext, Decode, Encode, Frame, Malformed};
use sluice_types::Usage;

fn case(name: &str) -> String {
    let path = format!("{}/tests/cases/gemini/{name}/stream.sse", env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The events of a stream, as they print; and whether it could be read.
fn decode<'f>(frames: impl IntoIterator<Item = &'f str>) -> (Vec<String>, Result<(), Malformed>) {
    let (mut decoder, mut events) = (Decoder::default(), Vec::new());
    for data in frames {
        let frame = Frame { name: None, data: data.as_bytes() };
        if let Err(error) = decoder.frame(frame, &mut |event| events.push(format!("{event:?}"))) {
            return (events, Err(error));
        }
    }
    decoder.end(&mut |event| events.push(format!("{event:?}")));
    (events, Ok(()))
}

fn decode_case(name: &str) -> Vec<String> {
    let text = case(name);
    let (events, read) = decode(text.lines().filter_map(|line| line.strip_prefix("data: ")));
    assert_eq!(read, Ok(()), "{name}");
    events
}

fn context(json_array: bool) -> AnswerContext {
    AnswerContext { id: "0123456789abcdef".into(), model: "m".into(), json_array, ..AnswerContext::default() }
}

fn encode(events: &[Event<'_>], json_array: bool) -> String {
    let mut encoder = Encoder::new(context(json_array));
    let mut out = Vec::new();
    events.iter().for_each(|event| encoder.event(event, &mut out));
    String::from_utf8(out).expect("UTF-8")
}

/// The data of every event written.
fn chunks(events: &[Event<'_>]) -> Vec<Value> {
    let stream = encode(events, false);
    let whole = stream.strip_suffix("\r\n\r\n").unwrap_or_else(|| panic!("unfinished: {stream}"));
    let data = whole.split("\r\n\r\n").map(|event| event.strip_prefix("data: ").expect("data"));
    data.map(|data| serde_json::from_str(data).unwrap_or_else(|error| panic!("{error}: {data}"))).collect()
}

/// The parts of every event written.
fn parts(events: &[Event<'_>]) -> Vec<Value> {
    chunks(events).iter().map(|chunk| chunk["candidates"][0]["content"]["parts"].clone()).collect()
}

fn text(text: &'static str) -> Event<'static> {
    Event::Text { choice: 0, text: Text::literal(text) }
}

fn start(tool: u32, name: &'static str) -> Event<'static> {
    Event::ToolStart {
        choice: 0,
        tool,
        id: Text::plain(&format!("id{tool}")),
        name: Text::literal(name),
        custom: false,
        signature: None,
    }
}

fn piece(tool: u32, fragment: &str) -> Event<'static> {
    Event::ToolArguments { choice: 0, tool, fragment: Text::plain(fragment) }
}

fn finish(finish: Finish) -> Event<'static> {
    Event::Finish { choice: 0, finish, stop_sequence: None }
}

#[test]
fn text_is_decoded() {
    let events = decode_case("text");
    assert_eq!(
        events[0],
        r#"Start { id: Some("mAaKaYCxOeWtz7IPp4rE8As"), model: Some("gemini-2.5-flash") }"#
    );
    assert_eq!(events[1], r#"Text { choice: 0, text: "Hello," }"#);
    assert!(events[2].starts_with("Usage(Usage { input: 7, "));
    assert_eq!(events[4], "Finish { choice: 0, finish: Stop, stop_sequence: None }");
    assert_eq!(events.last().map(String::as_str), Some("End"));
}

#[test]
fn trap_31_whole_calls_are_decoded_and_end_with_tool_calls() {
    let events = decode_case("tools-parallel");
    let calls: Vec<_> = events.iter().filter(|event| event.starts_with("Tool")).collect();
    assert_eq!(calls.len(), 6);
    assert!(calls[0].contains(r#"tool: 0, id: "call_mAaKaYCxOeWtz7IPp4rE8As_0""#), "{}", calls[0]);
    assert!(calls[3].contains(r#"tool: 1, id: "call_mAaKaYCxOeWtz7IPp4rE8As_1""#), "{}", calls[3]);
    assert_eq!(calls[5], "ToolEnd { choice: 0, tool: 1 }");
    assert!(events.contains(&"Finish { choice: 0, finish: ToolCalls, stop_sequence: None }".to_owned()));
}

#[test]
fn thoughts_and_signatures_are_decoded() {
    let events = decode_case("reasoning");
    assert_eq!(events[1], r#"Thinking { choice: 0, text: "**Dividing** 91" }"#);
    // That of a text is no thought's.
    assert!(!events.iter().any(|event| event.starts_with("Signature")));
    let chunk =
        r#"{"candidates":[{"content":{"parts":[{"text":"hm","thought":true,"thoughtSignature":"c2ln"}]}}]}"#;
    assert_eq!(decode([chunk]).0[2], r#"Signature { choice: 0, signature: "c2ln" }"#);
}

#[test]
fn trap_10_a_blocked_prompt_is_decoded() {
    let events = decode_case("refusal");
    assert!(events.contains(&"Finish { choice: 0, finish: ContentFilter, stop_sequence: None }".to_owned()));
    assert_eq!(events.last().map(String::as_str), Some("End"));
}

#[test]
fn trap_72_an_error_ends_the_stream() {
    let events = decode_case("error-in-stream");
    assert!(events.last().expect("events").starts_with("Error(ApiError { status: 503, class: Overloaded"));
    let (events, _) =
        decode([r#"[{"error":{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED"}}]"#, "{}"]);
    assert_eq!(events.len(), 1);
}

#[test]
fn edge_07_09_a_stream_ends_once_and_only_when_whole() {
    let chunk = r#"{"candidates":[{"content":{"parts":[{"text":"a"}]},"index":0}]}"#;
    let (events, _) = decode([chunk]);
    assert!(!events.contains(&"End".to_owned()));
    let last = r#"{"candidates":[{"finishReason":"STOP","index":0}]}"#;
    let (events, _) = decode([chunk, last, "", last]);
    assert_eq!(events.iter().filter(|event| event.starts_with("Finish")).count(), 1);
    assert_eq!(events.iter().filter(|event| *event == "End").count(), 1);
    let two = r#"{"candidates":[{"finishReason":"STOP","index":0},{"content":{"parts":[{"text":"b"}]},"index":1}]}"#;
    assert!(!decode([two]).0.contains(&"End".to_owned()));
}

#[test]
fn edge_29_30_nonsense_is_malformed() {
    for data in [
        "<html>",
        "{",
        r#"{"candidates":[{"index":4000000000}]}"#,
        r#"{"candidates":[{"content":{"parts":[1]}}]}"#,
    ] {
        assert!(decode([data]).1.is_err(), "{data}");
    }
    assert!(decode(["[DONE]", r#"{"unknown":1,"candidates":null}"#, r#"{"candidates":[1]}"#]).1.is_ok());
}

#[test]
fn text_is_encoded() {
    let usage = Usage { input: 3, output: 2, ..Usage::default() };
    let found = chunks(&[
        Event::Start { id: Some(Text::literal("msg_01AbCdEfGhIjKlMn")), model: None },
        text("a"),
        text(""),
        text("b"),
        finish(Finish::Length),
        Event::Usage(usage),
        Event::End,
        Event::End,
        text("late"),
    ]);
    let origin = |mut chunk: Value| {
        chunk["modelVersion"] = json!("m");
        chunk["responseId"] = json!("0123456789abcdef");
        chunk
    };
    let part = |text: &str| {
        origin(json!({"candidates":[{"content":{"parts":[{"text":text}],"role":"model"},"index":0}]}))
    };
    let last = origin(json!({
        "candidates":[{"content":{"parts":[{"text":""}],"role":"model"},"finishReason":"MAX_TOKENS","index":0}],
        "usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":2,"totalTokenCount":5}}));
    assert_eq!(found, [part("a"), part("b"), last]);
}

#[test]
fn edge_41_calls_are_sent_whole() {
    let call = |id: &str, name: &str, args: Value| json!({"functionCall":{"id":id,"name":name,"args":args}});
    // Interleaved, and never said to be over.
    let found = parts(&[
        start(0, "f"),
        start(1, "g"),
        piece(0, "{\"a\":"),
        piece(1, "{\"b\":"),
        piece(0, "1}"),
        piece(1, "broken"),
        finish(Finish::ToolCalls),
        Event::End,
    ]);
    let broken = call("id1", "g", json!({"input":"{\"b\":broken"}));
    assert_eq!(found, [json!([call("id0", "f", json!({"a":1})), broken])]);
    // Each as it is over.
    let ended = |tool| Event::ToolEnd { choice: 0, tool };
    let found = parts(&[
        start(0, "f"),
        ended(0),
        start(1, "g"),
        piece(1, "{}"),
        ended(1),
        finish(Finish::ToolCalls),
        Event::End,
    ]);
    assert_eq!(found[0], json!([call("id0", "f", json!({}))]));
    assert_eq!(found[1], json!([call("id1", "g", json!({}))]));
    assert_eq!(found[2], json!([{"text":""}]));
}

#[test]
fn arguments_on_several_lines_do_not_cut_the_event() {
    let found = parts(&[
        start(0, "f"),
        piece(0, "{\n  \"a\": \"x\\ny\"\r\n}"),
        finish(Finish::ToolCalls),
        Event::End,
    ]);
    assert_eq!(found[0][0]["functionCall"]["args"], json!({"a":"x\ny"}));
    let stream = encode(&[start(0, "f"), piece(0, "{\n\n}"), Event::End], false);
    assert_eq!(stream.lines().count(), 2, "{stream}");
}

#[test]
fn thoughts_signatures_and_media_are_encoded() {
    let signature = || Event::Signature { choice: 0, signature: Text::literal("c2ln") };
    let found = parts(&[
        Event::Thinking { choice: 0, text: Text::literal("hm") },
        signature(),
        text("a"),
        signature(),
        Event::Refusal { choice: 0, text: Text::literal("no") },
        Event::Media { choice: 0, media_type: Text::literal("image/png"), data: Text::literal("aGk=") },
        Event::RedactedThinking { choice: 0, data: Text::literal("x") },
        Event::End,
    ]);
    let expected = [
        json!([{"text":"hm","thought":true}]),
        json!([{"text":"","thought":true,"thoughtSignature":"c2ln"}]),
        json!([{"text":"a"}]),
        json!([{"text":"","thought":true,"thoughtSignature":"c2ln"}]),
        json!([{"text":"no"}]),
        json!([{"inlineData":{"mimeType":"image/png","data":"aGk="}}]),
        json!([{"text":""}]),
    ];
    assert_eq!(found, expected);
}

#[test]
fn probabilities_are_encoded() {
    let logprobs = Raw::written(br#"{"content":[{"token":"a","logprob":-1,"top_logprobs":[]}]}"#);
    let found = chunks(&[text("a"), Event::Logprobs { choice: 0, logprobs }, Event::End]);
    assert_eq!(found[1]["candidates"][0]["logprobsResult"]["chosenCandidates"][0]["token"], "a");
}

#[test]
fn several_choices_end_together() {
    let found = chunks(&[
        text("a"),
        Event::Text { choice: 1, text: Text::literal("b") },
        finish(Finish::Stop),
        Event::Finish { choice: 1, finish: Finish::Length, stop_sequence: None },
        Event::End,
    ]);
    let last: Vec<_> = found[2]["candidates"]
        .as_array()
        .expect("candidates")
        .iter()
        .map(|one| one["finishReason"].clone())
        .collect();
    assert_eq!(last, ["STOP", "MAX_TOKENS"]);
    assert_eq!(found[1]["candidates"][0]["index"], 1);
}

#[test]
fn edge_14_an_end_without_anything_is_legal() {
    let found = chunks(&[Event::End]);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["candidates"][0]["finishReason"], "STOP");
}

fn overloaded() -> Event<'static> {
    Event::Error(ApiError::of_status(503, "busy"))
}

#[test]
fn an_error_is_encoded_and_nothing_follows() {
    let found = chunks(&[text("a"), overloaded(), finish(Finish::Stop), Event::End]);
    assert_eq!(found.len(), 2);
    assert_eq!(found[1], json!({"error":{"code":503,"message":"busy","status":"UNAVAILABLE"}}));
}

#[test]
fn a_stream_can_be_an_array() {
    for events in [
        vec![text("a"), text("b"), finish(Finish::Stop), Event::End, Event::End],
        vec![text("a"), overloaded(), Event::End],
        vec![overloaded()],
        vec![Event::Start { id: None, model: None }, Event::Usage(Usage::default()), Event::End],
    ] {
        let stream = encode(&events, true);
        assert!(stream.starts_with("[{") && stream.ends_with("}]"), "{stream}");
        let array: Vec<Value> =
            serde_json::from_str(&stream).unwrap_or_else(|error| panic!("{error}: {stream}"));
        assert_eq!(stream.matches(",\r\n").count(), array.len() - 1);
    }
    assert_eq!(encode(&[Event::End], true), "[]");
}

#[test]
fn every_case_survives_decoding_and_encoding() {
    for name in
        ["text", "tools-parallel", "reasoning", "length", "tool-no-arguments", "usage-cache-reasoning"]
    {
        let stream = case(name);
        let (mut decoder, mut encoder) = (Decoder::default(), Encoder::new(context(false)));
        let mut out = Vec::new();
        for data in stream.lines().filter_map(|line| line.strip_prefix("data: ")) {
            let frame = Frame { name: None, data: data.as_bytes() };
            decoder.frame(frame, &mut |event| encoder.event(&event, &mut out)).expect("a good frame");
        }
        decoder.end(&mut |event| encoder.event(&event, &mut out));
        let again = String::from_utf8(out).expect("UTF-8");
        let (events, read) = decode(again.lines().filter_map(|line| line.strip_prefix("data: ")));
        assert_eq!(read, Ok(()));
        let matter = |events: Vec<String>| -> Vec<String> {
            events
                .into_iter()
                .filter(|event| !event.starts_with("Usage") && !event.starts_with("Start"))
                .collect()
        };
        assert_eq!(matter(events), matter(decode_case(name)), "{name}");
    }
}
