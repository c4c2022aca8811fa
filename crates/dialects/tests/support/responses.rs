//! What the tests of the Responses dialect share: cases, streams, and what a stream must be like.
#![allow(dead_code, reason = "each test binary uses a part")]

use std::path::{Path, PathBuf};

use serde_json::Value;
use sluice_dialects::exchange::{ChatAnswer, ChatRequest, Dropped, Event, Finish, PartKind};
use sluice_dialects::json::Doc;
use sluice_dialects::wire::{AnswerContext, Frame, Target, Wire};
use sluice_types::Usage;

pub(crate) const WIRE: Wire = Wire::OpenaiResponses;

/// The folder with the cases.
pub(crate) fn cases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/openai_responses")
}

/// A file of a case.
pub(crate) fn case(name: &str, file: &str) -> Vec<u8> {
    let path = cases().join(name).join(file);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The names of all cases with a file.
pub(crate) fn cases_with(file: &str) -> Vec<String> {
    let folders = std::fs::read_dir(cases()).expect("the cases").map(|entry| entry.expect("a case").path());
    let with = folders.filter(|folder| folder.join(file).is_file());
    let mut names: Vec<_> =
        with.map(|folder| folder.file_name().expect("a name").to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Reads a request and hands it on, with the names of what was left behind.
pub(crate) fn with_request<T>(body: &[u8], then: impl FnOnce(&ChatRequest<'_>, Vec<String>) -> T) -> T {
    let doc = Doc::parse(body).expect("JSON");
    let mut dropped = Dropped::default();
    let request = WIRE.read_request(&doc, false, &mut dropped).expect("a request");
    then(&request, dropped.names().map(str::to_owned).collect())
}

/// Writes a request, and the names of what was left behind.
pub(crate) fn written_bytes(request: &ChatRequest<'_>) -> (Vec<u8>, Vec<String>) {
    let target = Target { model: "gpt-5-mini", quirks: Default::default(), default_max_tokens: 4096 };
    let (mut dropped, mut out) = (Dropped::default(), Vec::new());
    WIRE.write_request(request, &target, &mut dropped, &mut out).expect("a request that can be written");
    (out, dropped.names().map(str::to_owned).collect())
}

/// The same as JSON.
pub(crate) fn written(request: &ChatRequest<'_>) -> (Value, Vec<String>) {
    let (out, names) = written_bytes(request);
    let read = serde_json::from_slice(&out);
    (read.unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&out))), names)
}

pub(crate) fn context() -> AnswerContext {
    AnswerContext {
        id: "0123abcd".into(),
        model: "my-model".into(),
        created: 1_760_000_000,
        ..AnswerContext::default()
    }
}

/// The frames of a server-sent stream.
pub(crate) fn frames(stream: &[u8]) -> Vec<(String, String)> {
    let text = std::str::from_utf8(stream).expect("UTF-8").replace("\r\n", "\n");
    let frames = text.split("\n\n").filter(|frame| !frame.trim().is_empty());
    let field = |frame: &str, name: &str| {
        frame.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().to_owned()
    };
    frames.map(|frame| (field(frame, "event: "), field(frame, "data: "))).collect()
}

/// Decodes a stream of this dialect.
pub(crate) fn decode(stream: &[u8], sink: &mut dyn FnMut(Event<'_>)) {
    let mut decoder = WIRE.decoder();
    for (name, data) in frames(stream) {
        let frame = Frame { name: (!name.is_empty()).then_some(name.as_bytes()), data: data.as_bytes() };
        decoder.frame(frame, sink).expect("a well-formed frame");
    }
    decoder.end(sink);
}

/// Encodes events.
pub(crate) fn encode(events: &[Event<'_>]) -> Vec<u8> {
    let (mut encoder, mut out) = (WIRE.encoder(context()), Vec::new());
    events.iter().for_each(|event| encoder.event(event, &mut out));
    out
}

/// Decodes a stream and encodes what it says.
pub(crate) fn recode(stream: &[u8]) -> Vec<u8> {
    let (mut encoder, mut out) = (WIRE.encoder(context()), Vec::new());
    decode(stream, &mut |event| encoder.event(&event, &mut out));
    out
}

/// What an answer says, however it was sent.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Said {
    pub(crate) parts: Vec<String>,
    pub(crate) finish: Option<Finish>,
    pub(crate) usage: Option<Usage>,
    pub(crate) error: Option<String>,
    pub(crate) ends: usize,
}

impl Said {
    pub(crate) fn by_answer(answer: &ChatAnswer<'_>) -> Self {
        let mut said = Self { usage: answer.usage, ends: 1, ..Self::default() };
        let choice = &answer.choices[0];
        said.finish = Some(choice.finish);
        for part in &choice.parts {
            match &part.kind {
                PartKind::Text(text) => said.add("text", &text.decode()),
                PartKind::Refusal(text) => said.add("refusal", &text.decode()),
                PartKind::Thinking { text, signature } => {
                    if !text.is_empty() {
                        said.add("thinking", &text.decode());
                    }
                    if let Some(signature) = signature {
                        said.add("signature", &signature.decode());
                    }
                }
                PartKind::RedactedThinking(data) => said.add("redacted", &data.decode()),
                PartKind::ToolCall(call) => {
                    said.parts.push(format!(
                        "call {} {} {}: ",
                        call.id.decode(),
                        call.name.decode(),
                        call.custom
                    ));
                    said.last().push_str(&call.arguments.to_text().decode());
                }
                other => said.parts.push(format!("{other:?}")),
            }
        }
        said
    }

    pub(crate) fn by_stream(stream: &[u8]) -> Self {
        let mut said = Self::default();
        let mut calls: Vec<usize> = Vec::new();
        decode(stream, &mut |event| match event {
            Event::Text { text, .. } => said.add("text", &text.decode()),
            Event::Refusal { text, .. } => said.add("refusal", &text.decode()),
            Event::Thinking { text, .. } => said.add("thinking", &text.decode()),
            Event::Signature { signature, .. } => said.add("signature", &signature.decode()),
            Event::RedactedThinking { data, .. } => said.add("redacted", &data.decode()),
            Event::ToolStart { id, name, custom, tool, .. } => {
                assert_eq!(tool as usize, calls.len(), "calls are counted in order");
                calls.push(said.parts.len());
                said.parts.push(format!("call {} {} {custom}: ", id.decode(), name.decode()));
            }
            Event::ToolArguments { tool, fragment, .. } => {
                said.parts[calls[tool as usize]].push_str(&fragment.decode());
            }
            Event::Finish { finish, .. } => assert_eq!(said.finish.replace(finish), None, "one reason"),
            Event::Usage(usage) => said.usage = Some(usage),
            Event::Error(error) => said.error = Some(error.message),
            Event::End => said.ends += 1,
            _ => {}
        });
        said
    }

    fn last(&mut self) -> &mut String {
        self.parts.last_mut().expect("a part")
    }

    /// Fragments of a kind next to each other are one.
    fn add(&mut self, kind: &str, text: &str) {
        match self.parts.last_mut() {
            Some(last) if last.starts_with(kind) => last.push_str(text),
            _ => self.parts.push(format!("{kind}: {text}")),
        }
    }
}

/// Checks all that clients rely on in a stream: numbering, order, that what is added is done, that pieces and wholes agree,
/// and that the last event has it all. Returns the kinds in order.
pub(crate) fn checked(stream: &[u8]) -> Vec<String> {
    let mut kinds = Vec::new();
    let mut items: Vec<Value> = Vec::new();
    let mut open: Option<(Value, String)> = None;
    for (at, (name, data)) in frames(stream).into_iter().enumerate() {
        let event: Value = serde_json::from_str(&data).unwrap_or_else(|error| panic!("{error}: {data}"));
        assert_eq!(event["type"], name.as_str());
        assert_eq!(event["sequence_number"], at);
        check_place(&event, items.len(), open.as_ref());
        match name.as_str() {
            "response.output_item.added" => {
                assert!(open.is_none(), "one item at a time");
                open = Some((event["item"].clone(), String::new()));
            }
            "response.content_part.added" | "response.reasoning_summary_part.added" => {
                open.as_mut().expect("an item").1.clear();
            }
            "response.output_item.done" => {
                let (added, _) = open.take().expect("an item to end");
                for member in ["id", "type", "call_id", "name", "role"] {
                    assert_eq!(added[member], event["item"][member], "{member}");
                }
                items.push(event["item"].clone());
            }
            "response.completed" | "response.incomplete" | "response.failed" => {
                assert_eq!(event["response"]["output"], Value::Array(items.clone()));
                assert!(event["response"]["usage"].is_object() || name == "response.failed");
                assert_eq!(
                    name,
                    format!("response.{}", event["response"]["status"].as_str().expect("a status"))
                );
                if name != "response.failed" {
                    assert!(open.is_none(), "nothing is left open");
                }
            }
            _ => check_text(&name, &event, open.as_mut()),
        }
        kinds.push(name);
    }
    assert_eq!(kinds[..2], ["response.created", "response.in_progress"]);
    let ends = ["response.completed", "response.incomplete", "response.failed"];
    assert_eq!(kinds.iter().filter(|kind| ends.contains(&kind.as_str())).count(), 1, "one end");
    assert!(ends.contains(&kinds.last().expect("events").as_str()), "and it is last");
    kinds
}

fn check_place(event: &Value, index: usize, open: Option<&(Value, String)>) {
    if let Some(found) = event.get("output_index") {
        assert_eq!(found, index);
    }
    if let Some(id) = event.get("item_id") {
        assert_eq!(id, &open.expect("an open item").0["id"]);
    }
}

/// Fragments add up to the whole.
fn check_text(name: &str, event: &Value, open: Option<&mut (Value, String)>) {
    let Some((_, so_far)) = open else { return };
    if name.ends_with(".delta") {
        so_far.push_str(event["delta"].as_str().expect("a delta"));
    } else if let Some(whole) =
        ["text", "refusal", "arguments", "input"].iter().find_map(|it| event[*it].as_str())
    {
        assert_eq!(whole, so_far.as_str(), "{name}");
    }
}
