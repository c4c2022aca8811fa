//! What the tests of Anthropic's dialect have in common.
#![allow(dead_code, reason = "each test binary uses a part")]

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
use sluice_dialects::anthropic::{Decoder, Encoder, read_request, write_request};
use sluice_dialects::exchange::{ChatRequest, Dropped, Event};
use sluice_dialects::json::Doc;
use sluice_dialects::openai::RequestError;
use sluice_dialects::sse::{Data, events};
use sluice_dialects::wire::{AnswerContext, Decode, Encode, Frame, Malformed, Quirks, Target};

/// The folder of the dialect's cases.
pub(crate) fn cases() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/cases/anthropic")
}

/// A file of a case, where it has it.
pub(crate) fn case(name: &str, file: &str) -> Option<String> {
    fs::read_to_string(cases().join(name).join(file)).ok()
}

/// Names of all cases.
pub(crate) fn case_names() -> Vec<String> {
    let entries = fs::read_dir(cases()).expect("the cases are there");
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Reads a request, hands it to a look, and returns what was dropped.
pub(crate) fn reading(body: &Value, look: impl FnOnce(&ChatRequest<'_>)) -> Vec<String> {
    let body = body.to_string();
    let doc = Doc::parse(body.as_bytes()).expect("JSON");
    let mut dropped = Dropped::default();
    let request = read_request(&doc, false, &mut dropped).unwrap_or_else(|error| panic!("{body}: {error}"));
    look(&request);
    dropped.names().map(str::to_owned).collect()
}

/// Reads a request that is refused; the member it is refused for.
pub(crate) fn refused(body: &Value) -> Option<&'static str> {
    let body = body.to_string();
    let doc = Doc::parse(body.as_bytes()).expect("JSON");
    let read = read_request(&doc, false, &mut Dropped::default());
    read.expect_err("it is refused").param
}

/// Reads a request, lets it be changed, writes it for a target with these quirks, and returns what was written and what was
/// left behind on both ways.
pub(crate) fn written_as(
    body: &Value,
    quirks: Quirks,
    change: impl FnOnce(&mut ChatRequest<'_>),
) -> Result<(Value, Vec<String>), RequestError> {
    let body = body.to_string();
    let doc = Doc::parse(body.as_bytes()).expect("JSON");
    let mut dropped = Dropped::default();
    let mut request = read_request(&doc, false, &mut dropped)?;
    change(&mut request);
    let target = Target { model: "claude-there", quirks, default_max_tokens: 4096 };
    let mut out = Vec::new();
    write_request(&request, &target, &mut dropped, &mut out)?;
    let written = serde_json::from_slice(&out)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&out)));
    Ok((written, dropped.names().map(str::to_owned).collect()))
}

/// The same without quirks and changes.
pub(crate) fn written(body: &Value) -> (Value, Vec<String>) {
    written_as(body, Quirks::NONE, |_| {}).unwrap_or_else(|error| panic!("{body}: {error}"))
}

/// A request of one message.
pub(crate) fn asking(more: Value) -> Value {
    let mut request =
        json!({"model": "m", "max_tokens": 100, "messages": [{"role": "user", "content": "Hi"}]});
    let Value::Object(more) = more else { panic!("an object") };
    request.as_object_mut().expect("an object").extend(more);
    request
}

/// A request of these messages.
pub(crate) fn talking(messages: Value) -> Value {
    asking(json!({"messages": messages}))
}

pub(crate) fn context() -> AnswerContext {
    AnswerContext { id: "0f1e".to_owned(), model: "alias".to_owned(), ..AnswerContext::default() }
}

/// Decodes a stream whole and hands each event on.
pub(crate) fn decode(stream: &str, sink: &mut dyn FnMut(Event<'_>)) -> Result<(), Malformed> {
    let mut decoder = Decoder::default();
    let text = format!("{}\n\n", stream.trim_end());
    for event in events(text.as_bytes()) {
        if let Data::Line(data) = event.data() {
            decoder.frame(Frame { name: event.name, data }, sink)?;
        }
    }
    decoder.end(sink);
    Ok(())
}

/// The events of a stream as they print.
pub(crate) fn decoded(stream: &str) -> Vec<String> {
    let mut printed = Vec::new();
    decode(stream, &mut |event| printed.push(format!("{event:?}"))).expect("a good stream");
    printed
}

/// What an encoder makes of events: names and data.
pub(crate) fn encoded(list: &[Event<'_>]) -> Vec<(String, Value)> {
    let mut encoder = Encoder::new(context());
    let mut out = Vec::new();
    list.iter().for_each(|event| encoder.event(event, &mut out));
    frames(&out)
}

pub(crate) fn frames(stream: &[u8]) -> Vec<(String, Value)> {
    let frame = |event: sluice_dialects::sse::Event<'_>| {
        let Data::Line(data) = event.data() else { panic!("one line of data") };
        let name = String::from_utf8_lossy(event.name.expect("a name")).into_owned();
        (name, serde_json::from_slice(data).expect("JSON"))
    };
    let whole: usize = events(stream).map(|event| event.bytes.len()).sum();
    assert_eq!(whole, stream.len(), "whole frames only");
    events(stream).map(frame).collect()
}

/// What a client makes of a stream, by the rules of the official ones: blocks are strictly sequential, a signature is
/// replaced and not extended, counts overwrite.
pub(crate) fn accumulate(frames: &[(String, Value)]) -> Value {
    let mut message = Value::Null;
    let mut open: Option<usize> = None;
    let mut json = String::new();
    for (name, data) in frames {
        assert_eq!(data["type"], name.as_str());
        match name.as_str() {
            "message_start" => {
                assert!(message.is_null(), "one start");
                message = data["message"].clone();
            }
            "content_block_start" => {
                let content = message["content"].as_array_mut().expect("blocks");
                assert_eq!((open, data["index"].as_u64()), (None, Some(content.len() as u64)));
                open = Some(content.len());
                content.push(data["content_block"].clone());
                json.clear();
            }
            "content_block_delta" => {
                assert_eq!(data["index"].as_u64(), open.map(|index| index as u64));
                let block = &mut message["content"][open.expect("an open block")];
                add_delta(block, &data["delta"], &mut json);
            }
            "content_block_stop" => {
                let index = open.take().expect("an open block");
                assert_eq!(data["index"].as_u64(), Some(index as u64));
                if !json.is_empty() {
                    let input = serde_json::from_str(&json).unwrap_or_else(|_| Value::String(json.clone()));
                    message["content"][index]["input"] = input;
                }
            }
            "message_delta" => {
                assert_eq!(open, None, "all blocks are closed");
                for (key, value) in data["delta"].as_object().expect("a delta") {
                    message[key.as_str()] = value.clone();
                }
                message["usage"] = data["usage"].clone();
            }
            "message_stop" => message["stopped"] = true.into(),
            "error" => message["error"] = data["error"].clone(),
            other => panic!("{other}"),
        }
    }
    message
}

fn add_delta(block: &mut Value, delta: &Value, json: &mut String) {
    let (member, from) = match delta["type"].as_str().expect("a type") {
        "text_delta" => ("text", "text"),
        "thinking_delta" => ("thinking", "thinking"),
        "signature_delta" => {
            block["signature"] = delta["signature"].clone();
            return;
        }
        "input_json_delta" => {
            *json += delta["partial_json"].as_str().expect("a text");
            return;
        }
        other => panic!("{other}"),
    };
    let whole = [&block[member], &delta[from]].map(|text| text.as_str().expect("a text")).concat();
    block[member] = whole.into();
}
