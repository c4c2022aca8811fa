//! Cohere's streams: read, written and tapped.

use std::path::Path;

use serde_json::{Value, json};
use sluice_dialects::cohere::StreamTap;
use sluice_dialects::exchange::{ApiError, Event, Finish, Raw, Text};
use sluice_dialects::openai::stream::EventClass;
use sluice_dialects::wire::{AnswerContext, Frame, Tap, Wire};
use sluice_types::Usage;

fn case(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/cohere");
    std::fs::read_to_string(folder.join(name).join("stream.sse"))
        .unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Names and data of a stream's events.
fn frames(stream: &str) -> Vec<(Option<&str>, &str)> {
    stream
        .split("\n\n")
        .filter(|block| !block.is_empty())
        .map(|block| {
            let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name));
            (field("event: "), field("data: ").expect("data"))
        })
        .collect()
}

fn decoded(stream: &str) -> Vec<String> {
    let mut decoder = Wire::Cohere.decoder();
    let mut events = Vec::new();
    for (name, data) in frames(stream) {
        let frame = Frame { name: name.map(str::as_bytes), data: data.as_bytes() };
        decoder
            .frame(frame, &mut |event| events.push(format!("{event:?}")))
            .expect("a frame that can be read");
    }
    decoder.end(&mut |event| events.push(format!("{event:?}")));
    events
}

fn encoded(events: &[Event<'_>]) -> String {
    let context =
        AnswerContext { id: "0123456789abcdef0123456789abcdef".to_owned(), ..AnswerContext::default() };
    let mut encoder = Wire::Cohere.encoder(context);
    let mut out = Vec::new();
    events.iter().for_each(|event| encoder.event(event, &mut out));
    String::from_utf8(out).expect("UTF-8")
}

/// What the written events say, in short.
fn outline(stream: &str) -> Vec<String> {
    let short = |(name, data): (Option<&str>, &str)| {
        let Some(name) = name else { return data.to_owned() };
        let data: Value = serde_json::from_str(data).expect("JSON");
        assert_eq!(data["type"], name);
        let message = &data["delta"]["message"];
        let content = message["content"].as_object().and_then(|content| content.values().next_back());
        let detail = [
            content.cloned(),
            message["tool_calls"]["function"].get("arguments").cloned(),
            data["delta"].get("finish_reason").cloned(),
        ];
        let detail: Vec<_> = detail.iter().flatten().filter_map(Value::as_str).collect();
        let index = data["index"].as_u64().map_or(String::new(), |index| index.to_string());
        format!("{name} {index} {}", detail.join("")).trim_end().to_owned()
    };
    frames(stream).into_iter().map(short).collect()
}

fn start(tool: u32, name: &'static str) -> Event<'static> {
    let (id, name) = (Text::plain(&format!("id{tool}")), Text::literal(name));
    Event::ToolStart { choice: 0, tool, id, name, custom: false, signature: None }
}

fn arguments(tool: u32, fragment: &str) -> Event<'static> {
    Event::ToolArguments { choice: 0, tool, fragment: Text::plain(fragment) }
}

fn text(text: &'static str) -> Event<'static> {
    Event::Text { choice: 0, text: Text::literal(text) }
}

fn finish(finish: Finish) -> Event<'static> {
    Event::Finish { choice: 0, finish, stop_sequence: None }
}

#[test]
fn text_is_read() {
    let events = decoded(&case("text"));
    assert!(events[0].starts_with("Start { id: Some(\"c14c80c3-"), "{}", events[0]);
    assert_eq!(events[1], r#"Text { choice: 0, text: "Bon" }"#);
    assert!(events[5].starts_with("Usage(Usage { input: 5,"), "{}", events[5]);
    assert_eq!(events[6..], ["Finish { choice: 0, finish: Stop, stop_sequence: None }", "End"]);
}

#[test]
fn thinking_and_tools_are_read() {
    assert_eq!(decoded(&case("reasoning"))[1], r#"Thinking { choice: 0, text: "391 + 9" }"#);
    let events = decoded(&case("tools-parallel"));
    assert_eq!(events[1], r#"Text { choice: 0, text: "I will look up" }"#);
    assert!(events[3].starts_with("ToolStart { choice: 0, tool: 0, id: \"get_weather_1byjy32y4hvq\""));
    assert_eq!(events[6], "ToolEnd { choice: 0, tool: 0 }");
    assert!(events[7].contains("tool: 1"));
    assert!(events.contains(&"Finish { choice: 0, finish: ToolCalls, stop_sequence: None }".to_owned()));
}

#[test]
fn trap_72_failures_within_a_stream_are_errors() {
    let events = decoded(&case("error-in-stream"));
    assert!(events.last().unwrap().starts_with("Error(ApiError { status: 500"), "{events:?}");
    let late = decoded("data: {\"message\":\"internal server error\",\"id\":\"x\"}\n\n");
    assert!(late[0].contains("internal server error"));
    assert!(decoded("event: message-end\ndata: {\"type\":\"message-end\",\"delta\":{\"finish_reason\":\"TIMEOUT\"}}\n\n")[0].contains("504"));
}

#[test]
fn a_stream_that_was_cut_says_nothing_of_an_end() {
    let stream = case("text");
    let cut = &stream[..stream.find("event: message-end").unwrap()];
    assert!(!decoded(cut).iter().any(|event| event == "End" || event.starts_with("Finish")));
}

#[test]
fn unknown_events_are_passed_over_and_broken_ones_are_not() {
    assert_eq!(decoded("event: debug\ndata: {\"type\":\"debug\",\"prompt\":\"x\"}\n\n"), [""; 0]);
    let mut decoder = Wire::Cohere.decoder();
    assert!(decoder.frame(Frame { name: None, data: b"{\"type\":" }, &mut |_| {}).is_err());
}

#[test]
fn trap_65_69_70_blocks_are_opened_and_closed_once() {
    let usage = Usage { input: 7, output: 3, ..Usage::default() };
    let stream = encoded(&[
        Event::Thinking { choice: 0, text: Text::literal("hm") },
        Event::Signature { choice: 0, signature: Text::literal("sig") },
        text("Hel"),
        text("lo"),
        finish(Finish::Length),
        Event::Usage(usage),
        Event::End,
        Event::End,
    ]);
    let expected = [
        "message-start",
        "content-start 0 thinking",
        "content-delta 0 hm",
        "content-end 0",
        "content-start 1 text",
        "content-delta 1 Hel",
        "content-delta 1 lo",
        "content-end 1",
        "message-end  MAX_TOKENS",
        "[DONE]",
    ];
    assert_eq!(outline(&stream), expected);
    assert!(stream.contains("\"id\":\"01234567-89ab-cdef-0123-456789abcdef\""));
    let events = frames(&stream);
    let end: Value = serde_json::from_str(events[8].1).expect("JSON");
    assert_eq!(end["delta"]["usage"]["billed_units"], json!({"input_tokens": 7, "output_tokens": 3}));
}

#[test]
fn trap_28_interleaved_tools_come_one_after_another() {
    let stream = encoded(&[
        text("hi"),
        start(0, "f"),
        start(1, "g"),
        arguments(0, "{\"a\":"),
        arguments(1, "{\"b\":"),
        arguments(0, "\"}\"}"),
        arguments(1, "2}"),
        start(2, "h"),
        finish(Finish::ToolCalls),
        Event::End,
    ]);
    let expected = [
        "message-start",
        "content-start 0 text",
        "content-delta 0 hi",
        "content-end 0",
        "tool-call-start 0",
        "tool-call-delta 0 {\"a\":",
        "tool-call-delta 0 \"}\"}",
        "tool-call-end 0",
        "tool-call-start 1",
        "tool-call-delta 1 {\"b\":",
        "tool-call-delta 1 2}",
        "tool-call-end 1",
        "tool-call-start 2",
        "tool-call-delta 2 {}",
        "tool-call-end 2",
        "message-end  TOOL_CALL",
        "[DONE]",
    ];
    assert_eq!(outline(&stream), expected);
}

#[test]
fn an_end_without_anything_before_it_is_whole() {
    assert_eq!(outline(&encoded(&[Event::End])), ["message-start", "message-end  COMPLETE", "[DONE]"]);
    let error = encoded(&[text("x"), Event::Error(ApiError::of_status(503, "busy \"now\"")), Event::End]);
    assert_eq!(outline(&error)[4..], ["message-end  ERROR", "[DONE]"]);
    assert!(error.contains(r#""error":"busy \"now\"""#));
}

#[test]
fn edge_06_the_terminator_within_text_ends_nothing() {
    let stream = encoded(&[text("say [DONE], [DONE]"), Event::End]);
    assert_eq!(stream.matches("[DONE]").count(), 1);
    assert!(decoded(&stream).contains(&r#"Text { choice: 0, text: "say [DONE], [DONE]" }"#.to_owned()));
}

#[test]
fn trap_32_custom_tools_become_an_object() {
    let (id, name) = (Text::literal("id"), Text::literal("shell"));
    let stream = encoded(&[
        Event::ToolStart { choice: 0, tool: 0, id, name, custom: true, signature: None },
        arguments(0, "ls "),
        arguments(0, "\"x\""),
        Event::End,
    ]);
    assert_eq!(outline(&stream)[2], "tool-call-delta 0 {\"input\":\"ls \\\"x\\\"\"}");
}

#[test]
fn trap_53_probabilities_go_with_a_delta() {
    let logprobs =
        Raw::written(br#"{"content": [{"token":"hi", "logprob":-0.5,"bytes":null,"top_logprobs":[]}]}"#);
    let stream = encoded(&[text("hi"), Event::Logprobs { choice: 0, logprobs }, Event::End]);
    assert!(stream.contains(r#""logprobs":{"text":"hi","token_ids":[],"logprobs":[-0.5]}"#), "{stream}");
    assert!(
        decoded(&stream).iter().any(|event| event.contains(r#"{"content":[{"token":"hi","logprob":-0.5"#))
    );
}

#[test]
fn what_is_written_reads_back_the_same() {
    for name in ["text", "tools-parallel", "tool-no-arguments", "reasoning", "length", "stop"] {
        let mut decoder = Wire::Cohere.decoder();
        let mut encoder = Wire::Cohere.encoder(AnswerContext::default());
        let (stream, mut out) = (case(name), Vec::new());
        for (name, data) in frames(&stream) {
            let frame = Frame { name: name.map(str::as_bytes), data: data.as_bytes() };
            decoder.frame(frame, &mut |event| encoder.event(&event, &mut out)).expect("a frame");
        }
        assert_eq!(decoded(std::str::from_utf8(&out).unwrap()), decoded(&stream), "{name}");
    }
}

#[test]
fn streams_that_pass_are_tapped() {
    let tapped = |stream: &str| {
        let mut tap = StreamTap::default();
        let classes: Vec<_> = frames(stream)
            .into_iter()
            .map(|(name, data)| tap.frame(Frame { name: name.map(str::as_bytes), data: data.as_bytes() }))
            .collect();
        (tap, classes)
    };
    let (tap, classes) = tapped(&case("usage-cache-reasoning"));
    let usage = tap.usage().expect("usage");
    assert_eq!((usage.input, usage.cached_input, usage.output), (1480, 600, 12));
    assert!(tap.finished());
    assert_eq!(tap.output_bytes(), 20);
    assert_eq!(classes.last(), Some(&EventClass::Done));
    assert!(classes[..classes.len() - 1].iter().all(|class| *class == EventClass::Forward));
    let (tap, _) = tapped(&case("tools-parallel"));
    assert_eq!(tap.output_bytes(), 27 + 10 + 10 + 10 + 9);
    let (tap, classes) = tapped(&case("error-in-stream"));
    assert_eq!((tap.finished(), classes[3]), (false, EventClass::Error));
    let (tap, classes) =
        tapped("data: {\"type\":\"message-end\",\"delta\":{\"finish_reason\":\"COMPLETE\"}}\n\n");
    assert_eq!((tap.finished(), classes[0]), (true, EventClass::Forward));
    assert_eq!(tapped("data: {\"message\":\"no\"}\n\n").1, [EventClass::Error]);
    assert_eq!(tapped("data: oops\n\n").1, [EventClass::Malformed]);
}
