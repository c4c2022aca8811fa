//! Bedrock's streams, read and written.

mod support;

use std::fs;

use serde_json::{Value, json};
use sluice_dialects::bedrock::{Decoder, Encoder};
use sluice_dialects::event_stream::{MessageKind, messages, whole_messages};
use sluice_dialects::exchange::{ApiError, ErrorClass, Event, Finish, Text};
use sluice_dialects::wire::{AnswerContext, Decode, Encode, Frame};
use sluice_types::Usage;

/// Reads frames of a name and data, and shows the events in short.
fn decoded(frames: &[(&str, &str)]) -> Vec<String> {
    let mut decoder = Decoder::default();
    let mut shown = Vec::new();
    for (name, data) in frames {
        let frame = Frame { name: Some(name.as_bytes()), data: data.as_bytes() };
        decoder.frame(frame, &mut |event| shown.push(show(&event))).expect("a frame that can be read");
    }
    decoder.end(&mut |event| shown.push(show(&event)));
    shown
}

fn show(event: &Event<'_>) -> String {
    match event {
        Event::Start { .. } => "start".into(),
        Event::Text { text, .. } => format!("text {}", text.decode()),
        Event::Thinking { text, .. } => format!("thinking {}", text.decode()),
        Event::Signature { signature, .. } => format!("signature {}", signature.decode()),
        Event::RedactedThinking { data, .. } => format!("redacted {}", data.decode()),
        Event::ToolStart { tool, id, name, .. } => format!("tool {tool} {} {}", id.decode(), name.decode()),
        Event::ToolArguments { tool, fragment, .. } => format!("arguments {tool} {}", fragment.decode()),
        Event::ToolEnd { tool, .. } => format!("end {tool}"),
        Event::Finish { finish, stop_sequence, .. } => {
            let sequence = stop_sequence.as_ref().map(|text| text.decode().into_owned()).unwrap_or_default();
            format!("finish {finish:?} {sequence}").trim().to_owned()
        }
        Event::Usage(usage) => format!("usage {} {}", usage.input, usage.output),
        Event::Error(error) => format!("error {:?} {}", error.class, error.message),
        Event::End => "end".into(),
        other => format!("{other:?}"),
    }
}

fn case(name: &str) -> Vec<String> {
    let path = format!("{}/tests/cases/bedrock/{name}/stream.jsonl", env!("CARGO_MANIFEST_DIR"));
    let lines: Vec<Value> =
        fs::read_to_string(path).expect("a case").lines().map(|line| line.parse().expect("JSON")).collect();
    let frames: Vec<_> = lines
        .iter()
        .map(|line| (line["event"].as_str().expect("a name"), line["data"].to_string()))
        .collect();
    decoded(&frames.iter().map(|(name, data)| (*name, data.as_str())).collect::<Vec<_>>())
}

/// The texts of events that begin with a word, joined.
fn joined(shown: &[String], word: &str) -> String {
    shown.iter().filter_map(|event| event.strip_prefix(word)).collect()
}

#[test]
fn cases_are_decoded() {
    let text = case("text");
    assert_eq!(joined(&text, "text "), "Hello! How can I help you today?");
    assert_eq!(text[text.len() - 3..], ["finish Stop", "usage 12 9", "end"]);
    let tools = case("tools-parallel");
    assert_eq!(joined(&tools, "arguments 1 "), "{\"city\": \"Bergen\"}");
    assert!(tools.contains(&"tool 1 tooluse_dddddddddddddddddddddd get_weather".to_owned()));
    assert!(tools.contains(&"end 0".to_owned()) && tools.contains(&"finish ToolCalls".to_owned()));
    let thoughts = case("reasoning");
    assert_eq!(joined(&thoughts, "thinking "), "13*13 = 169, since 12*13 = 156 and 156+13 = 169.");
    assert!(
        joined(&thoughts, "signature ").starts_with("EqMB")
            && joined(&thoughts, "redacted ").starts_with("EmwK")
    );
    assert!(case("stop").contains(&"finish StopSequence four".to_owned()));
    assert_eq!(
        case("error-in-stream").last().unwrap(),
        "error Overloaded Bedrock is unable to process your request."
    );
    assert!(case("usage-cache-reasoning").contains(&"usage 2035 7".to_owned()));
}

#[test]
fn edge_07_a_stream_that_is_cut_has_no_end() {
    assert_eq!(decoded(&[("messageStart", "{}"), ("contentBlockDelta", "{}")]), ["start"]);
    assert_eq!(decoded(&[("messageStop", r#"{"stopReason":"max_tokens"}"#)]), ["finish Length", "end"]);
}

#[test]
fn trap_69_there_is_one_end() {
    let stop = ("messageStop", r#"{"stopReason":"end_turn"}"#);
    let usage = ("metadata", r#"{"usage":{"inputTokens":1,"outputTokens":2}}"#);
    assert_eq!(decoded(&[stop, stop, usage, usage]), ["finish Stop", "usage 1 2", "end"]);
    assert_eq!(decoded(&[usage, stop]), ["usage 1 2", "finish Stop", "end"]);
}

#[test]
fn what_is_not_known_is_passed_over() {
    let shown = decoded(&[
        ("initial-response", ""),
        (
            "contentBlockStart",
            r#"{"contentBlockIndex":0,"start":{"toolUse":{"toolUseId":"1","name":"s","type":"server_tool_use"}}}"#,
        ),
        ("contentBlockDelta", r#"{"contentBlockIndex":0,"delta":{"toolUse":{"input":"{}"}}}"#),
        ("contentBlockDelta", r#"{"contentBlockIndex":1,"delta":{"citation":{"title":"x"}}}"#),
        ("contentBlockStop", r#"{"contentBlockIndex":0}"#),
    ]);
    assert_eq!(shown, [""; 0]);
    let mut decoder = Decoder::default();
    let broken = Frame { name: Some(b"contentBlockDelta"), data: b"{" };
    assert!(decoder.frame(broken, &mut |_| {}).is_err());
}

#[test]
fn exceptions_of_all_sorts() {
    let cases = [
        ("throttlingException", ErrorClass::RateLimit, 429),
        ("modelStreamErrorException", ErrorClass::Server, 500),
        ("validationException", ErrorClass::InvalidRequest, 400),
        ("someNewException", ErrorClass::Server, 500),
        ("error", ErrorClass::Server, 500),
    ];
    for (name, class, status) in cases {
        let frame = Frame { name: Some(name.as_bytes()), data: br#"{"message":"why"}"# };
        let mut seen = None;
        Decoder::default()
            .frame(frame, &mut |event| match event {
                Event::Error(error) => seen = Some((error.class, error.status, error.message)),
                other => panic!("{other:?}"),
            })
            .unwrap();
        assert_eq!(seen, Some((class, status, "why".to_owned())), "{name}");
    }
}

/// Writes events; shows what they come to.
fn encoded(events: &[Event<'static>]) -> Vec<(String, Value)> {
    let mut encoder = Encoder::new(AnswerContext::default());
    let mut out = Vec::new();
    events.iter().for_each(|event| encoder.event(event, &mut out));
    assert_eq!(whole_messages(&out), Ok(out.len()));
    let read = messages(&out).map(|message| {
        assert_eq!(message.kind == MessageKind::Exception, message.name.ends_with(b"Exception"));
        let payload = serde_json::from_slice(message.payload).expect("JSON");
        (String::from_utf8_lossy(message.name).into_owned(), payload)
    });
    read.collect()
}

fn text(text: &str) -> Event<'static> {
    Event::Text { choice: 0, text: Text::plain(text) }
}

fn start(tool: u32, custom: bool) -> Event<'static> {
    let (id, name) = (Text::plain(&format!("id{tool}")), Text::plain(&format!("tool{tool}")));
    Event::ToolStart { choice: 0, tool, id, name, custom, signature: None }
}

fn arguments(tool: u32, fragment: &str) -> Event<'static> {
    Event::ToolArguments { choice: 0, tool, fragment: Text::plain(fragment) }
}

fn finish(finish: Finish) -> Event<'static> {
    Event::Finish { choice: 0, finish, stop_sequence: None }
}

/// The blocks of a stream, each as its number and what was in it, after a check that they follow one another.
fn blocks(events: &[Event<'static>]) -> Vec<String> {
    let mut blocks: Vec<String> = Vec::new();
    let mut open = false;
    for (name, payload) in encoded(events) {
        let index = payload["contentBlockIndex"].as_u64();
        match name.as_str() {
            "contentBlockStart" => {
                assert!(!open && index == Some(blocks.len() as u64));
                blocks.push(format!("{}:", payload["start"]["toolUse"]["name"].as_str().unwrap_or("image")));
                open = true;
            }
            "contentBlockDelta" => {
                if !open {
                    assert_eq!(index, Some(blocks.len() as u64));
                    blocks.push(String::new());
                    open = true;
                }
                assert_eq!(index, Some(blocks.len() as u64 - 1));
                let delta = &payload["delta"];
                let places = [
                    &delta["text"],
                    &delta["toolUse"]["input"],
                    &delta["reasoningContent"]["text"],
                    &delta["reasoningContent"]["signature"],
                    &delta["reasoningContent"]["redactedContent"],
                    &delta["image"]["source"]["bytes"],
                ];
                let found = places.iter().find_map(|place| place.as_str()).expect("a known delta");
                blocks.last_mut().expect("it is open").push_str(found);
            }
            "contentBlockStop" => {
                assert!(std::mem::take(&mut open) && index == Some(blocks.len() as u64 - 1));
            }
            _ => assert!(!open, "{name} within a block"),
        }
    }
    blocks
}

#[test]
fn trap_70_a_text_is_written() {
    let usage = Usage { input: 7, cached_input: 4, output: 5, ..Usage::default() };
    let events = [
        Event::Start { id: None, model: None },
        text("Hel"),
        text(""),
        text("lo\"\n"),
        Event::Usage(Usage { output: 1, ..Usage::default() }),
        finish(Finish::Length),
        Event::Usage(usage),
        Event::End,
        Event::End,
        text("more"),
    ];
    let expected = [
        ("messageStart", json!({"role":"assistant"})),
        ("contentBlockDelta", json!({"contentBlockIndex":0,"delta":{"text":"Hel"}})),
        ("contentBlockDelta", json!({"contentBlockIndex":0,"delta":{"text":"lo\"\n"}})),
        ("contentBlockStop", json!({"contentBlockIndex":0})),
        ("messageStop", json!({"stopReason":"max_tokens"})),
        (
            "metadata",
            json!({"usage":{"inputTokens":3,"outputTokens":5,"totalTokens":12,"cacheReadInputTokens":4,
                "cacheWriteInputTokens":0},"metrics":{"latencyMs":0}}),
        ),
    ];
    let expected = expected.map(|(name, payload)| (name.to_owned(), payload));
    assert_eq!(encoded(&events), expected);
}

#[test]
fn trap_28_interleaved_calls_are_written_one_after_the_other() {
    let events = [
        text("a"),
        start(0, false),
        start(1, false),
        arguments(1, "{\"b\""),
        arguments(0, "{\"a\":"),
        text("between"),
        arguments(0, "1}"),
        arguments(1, ":2}"),
        finish(Finish::ToolCalls),
        Event::End,
    ];
    assert_eq!(blocks(&events), ["a", "tool0:{\"a\":1}", "tool1:{\"b\":2}", "between"]);
    // Without an end of theirs they are finished by the end of the stream.
    let events = [
        start(0, false),
        start(1, false),
        start(2, false),
        arguments(2, "{"),
        arguments(1, "{}"),
        Event::End,
    ];
    assert_eq!(blocks(&events), ["tool0:{}", "tool1:{}", "tool2:{"]);
    // With one, the next follows at once.
    let end = |tool| Event::ToolEnd { choice: 0, tool };
    let events =
        [start(0, false), start(1, false), arguments(1, "{}"), end(1), end(0), text("z"), Event::End];
    assert_eq!(blocks(&events), ["tool0:{}", "tool1:{}", "z"]);
}

#[test]
fn trap_29_arguments_are_written_once() {
    let events =
        [start(0, false), arguments(0, ""), arguments(0, "{}"), arguments(0, " "), text("x"), Event::End];
    assert_eq!(blocks(&events), ["tool0:{} ", "x"]);
    let events = [start(0, true), arguments(0, "say \"hi\""), Event::End];
    assert_eq!(blocks(&events), ["tool0:{\"input\":\"say \\\"hi\\\"\"}"]);
}

#[test]
fn trap_31_calls_end_with_their_reason() {
    let reason = |events: &[Event<'static>]| {
        let written = encoded(events);
        written.iter().find(|(name, _)| name == "messageStop").unwrap().1["stopReason"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(reason(&[start(0, false), finish(Finish::Stop), Event::End]), "tool_use");
    assert_eq!(reason(&[start(0, false), finish(Finish::Length), Event::End]), "max_tokens");
    assert_eq!(reason(&[Event::End]), "end_turn");
    assert_eq!(reason(&[finish(Finish::Refusal), finish(Finish::Stop), Event::End]), "content_filtered");
}

#[test]
fn the_proof_of_a_call_stands_before_it() {
    let mut proven = start(0, false);
    if let Event::ToolStart { signature, .. } = &mut proven {
        *signature = Some(Text::literal("CiQB"));
    }
    let events =
        [Event::Thinking { choice: 0, text: Text::literal("hm") }, proven, arguments(0, "{}"), Event::End];
    assert_eq!(blocks(&events), ["hm", "call.CiQB", "tool0:{}"]);
}

#[test]
fn trap_71_thoughts_are_blocks() {
    let events = [
        Event::Thinking { choice: 0, text: Text::literal("hm") },
        Event::Signature { choice: 0, signature: Text::literal("S") },
        Event::Signature { choice: 0, signature: Text::literal("T") },
        Event::Thinking { choice: 0, text: Text::literal("oh") },
        Event::RedactedThinking { choice: 0, data: Text::literal("R") },
        Event::Signature { choice: 0, signature: Text::literal("U") },
        Event::Refusal { choice: 0, text: Text::literal("no") },
        Event::Text { choice: 1, text: Text::literal("other choice") },
        Event::Media { choice: 0, media_type: Text::literal("image/png"), data: Text::literal("iVBO") },
        Event::Media { choice: 0, media_type: Text::literal("audio/wav"), data: Text::literal("UklG") },
        Event::End,
    ];
    assert_eq!(blocks(&events), ["hmST", "oh", "R", "U", "no", "image:iVBO"]);
}

#[test]
fn trap_72_errors_are_exceptions() {
    let error = |status| Event::Error(ApiError::of_status(status, "why \"so\""));
    let cases = [
        (429, "throttlingException"),
        (503, "serviceUnavailableException"),
        (500, "internalServerException"),
        (504, "modelStreamErrorException"),
        (400, "validationException"),
    ];
    for (status, name) in cases {
        let written = encoded(&[text("a"), error(status), Event::End]);
        let (last, payload) = written.last().unwrap();
        assert_eq!((last.as_str(), payload), (name, &json!({"message":"why \"so\""})));
    }
}

#[test]
fn what_is_decoded_and_encoded_decodes_to_the_same() {
    for name in
        ["text", "tools-parallel", "tool-single", "reasoning", "stop", "length", "usage-cache-reasoning"]
    {
        let path = format!("{}/tests/cases/bedrock/{name}/stream.jsonl", env!("CARGO_MANIFEST_DIR"));
        let (mut decoder, mut encoder) = (Decoder::default(), Encoder::new(AnswerContext::default()));
        let mut out = Vec::new();
        for line in fs::read_to_string(path).unwrap().lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            let data = line["data"].to_string();
            let frame = Frame { name: line["event"].as_str().map(str::as_bytes), data: data.as_bytes() };
            decoder.frame(frame, &mut |event| encoder.event(&event, &mut out)).unwrap();
        }
        let (mut again, mut shown) = (Decoder::default(), Vec::new());
        for message in messages(&out) {
            again.frame(message.frame(), &mut |event| shown.push(show(&event))).unwrap();
        }
        let significant = |shown: Vec<String>| -> Vec<String> {
            shown.into_iter().filter(|event| !event.starts_with("arguments") || event.len() > 12).collect()
        };
        assert_eq!(significant(shown), significant(case(name)), "{name}");
    }
}

#[test]
fn recorded_stream() {
    let Some(stream) = support::recorded::oddity("bedrock/bedrock-converse-streaming.bin") else { return };
    let (mut decoder, mut shown) = (Decoder::default(), Vec::new());
    for message in messages(&stream) {
        decoder.frame(message.frame(), &mut |event| shown.push(show(&event))).unwrap();
    }
    assert_eq!(shown, ["start", "text Hello", "text .", "finish Stop", "usage 13 5", "end"]);
}
