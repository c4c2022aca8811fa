//! The stored cases of every dialect, and how its streams are cut into frames.

use std::fs;
use std::path::{Path, PathBuf};

use sluice_dialects::event_stream;
use sluice_dialects::sse;
use sluice_dialects::wire::{AnswerContext, Frame, Quirks, Target, Wire};

/// Every dialect with the name of its folder of cases.
pub(crate) const WIRES: [(Wire, &str); 7] = [
    (Wire::OpenaiChat, "openai_chat"),
    (Wire::OpenaiResponses, "openai_responses"),
    (Wire::Anthropic, "anthropic"),
    (Wire::Gemini, "gemini"),
    (Wire::Bedrock, "bedrock"),
    (Wire::Cohere, "cohere"),
    (Wire::Ollama, "ollama"),
];

/// A frame that owns its bytes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct OwnFrame {
    pub(crate) name: Option<Vec<u8>>,
    pub(crate) data: Vec<u8>,
}

impl OwnFrame {
    pub(crate) fn borrow(&self) -> Frame<'_> {
        Frame { name: self.name.as_deref(), data: &self.data }
    }
}

/// One exchange in a dialect's own form, or parts of one.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) wire: Wire,
    pub(crate) dialect: &'static str,
    pub(crate) name: String,
    pub(crate) request: Option<Vec<u8>>,
    pub(crate) answer: Option<Vec<u8>>,
    pub(crate) stream: Option<Vec<OwnFrame>>,
    /// Status and body.
    pub(crate) error: Option<(u16, Vec<u8>)>,
}

/// The folder of all cases, or of what they became.
pub(crate) fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name)
}

/// The dialects whose cases are there.
pub(crate) fn dialects() -> Vec<(Wire, &'static str)> {
    WIRES.into_iter().filter(|(_, name)| folder("cases").join(name).is_dir()).collect()
}

/// The cases of a dialect, by name.
pub(crate) fn cases(wire: Wire, dialect: &'static str) -> Vec<Case> {
    let entries = fs::read_dir(folder("cases").join(dialect)).expect("a folder of cases");
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.expect("a readable folder").path()).collect();
    folders.sort();
    folders.iter().map(|folder| case(wire, dialect, folder)).collect()
}

fn case(wire: Wire, dialect: &'static str, folder: &Path) -> Case {
    let file = |name: &str| fs::read(folder.join(name)).ok();
    let jsonl = file("stream.jsonl").map(|text| jsonl_frames(wire, &text));
    Case {
        wire,
        dialect,
        name: folder.file_name().expect("a name").to_string_lossy().into_owned(),
        request: file("request.json"),
        answer: file("answer.json"),
        stream: file("stream.sse").map(|text| sse_frames(&text)).or(jsonl),
        error: file("error.json").map(|text| error(&text)),
    }
}

/// `{"status":429,"body":…}`; a body that is a string is one that is no JSON.
fn error(text: &[u8]) -> (u16, Vec<u8>) {
    let value: serde_json::Value = serde_json::from_slice(text).expect("an error as JSON");
    let status = value["status"].as_u64().and_then(|status| u16::try_from(status).ok()).expect("a status");
    let body = match &value["body"] {
        serde_json::Value::String(text) => text.as_bytes().to_vec(),
        body => body.to_string().into_bytes(),
    };
    (status, body)
}

/// Lines of JSON: by themselves, or an event's name with its data for dialects with a framing of bytes.
fn jsonl_frames(wire: Wire, text: &[u8]) -> Vec<OwnFrame> {
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
    let frame = |line: &[u8]| {
        if wire != Wire::Bedrock {
            return OwnFrame { name: None, data: line.to_vec() };
        }
        let value: serde_json::Value = serde_json::from_slice(line).expect("a line of JSON");
        let name = value["event"].as_str().or(value["exception"].as_str()).expect("an event's name");
        OwnFrame { name: Some(name.as_bytes().to_vec()), data: value["data"].to_string().into_bytes() }
    };
    lines.map(frame).collect()
}

/// The events of a stream of server-sent events.
pub(crate) fn sse_frames(stream: &[u8]) -> Vec<OwnFrame> {
    let mut frames: Vec<OwnFrame> = sse::events(stream).filter_map(|event| own_frame(&event)).collect();
    let whole = sse::EventBoundary::new().whole_events(stream);
    frames.extend(own_frame(&sse::unfinished(&stream[whole..])));
    frames
}

pub(crate) fn own_frame(event: &sse::Event<'_>) -> Option<OwnFrame> {
    event.data_lines().next()?;
    let mut data = Vec::new();
    event.join_data(&mut data);
    Some(OwnFrame { name: event.name.map(<[u8]>::to_vec), data })
}

/// Cuts what an encoder wrote.
pub(crate) fn frames(wire: Wire, stream: &[u8]) -> Vec<OwnFrame> {
    if wire != Wire::Bedrock {
        return sse_frames(stream);
    }
    assert_eq!(event_stream::whole_messages(stream), Ok(stream.len()), "whole messages");
    let own = |frame: Frame<'_>| OwnFrame { name: frame.name.map(<[u8]>::to_vec), data: frame.data.to_vec() };
    event_stream::messages(stream).map(|message| own(message.frame())).collect()
}

/// What writers of answers are told.
pub(crate) fn context() -> AnswerContext {
    AnswerContext {
        id: "01".into(),
        model: "m".into(),
        created: 1_764_000_000,
        include_usage: true,
        json_array: false,
    }
}

/// Where requests go. Some dialects write by the family that the model's name tells.
pub(crate) fn target(wire: Wire) -> Target<'static> {
    let model = match wire {
        Wire::OpenaiChat | Wire::OpenaiResponses => "gpt-5-mini",
        Wire::Anthropic => "claude-sonnet-4-5",
        Wire::Gemini => "gemini-2.5-pro",
        Wire::Bedrock => "anthropic.claude-sonnet-4-5-20250929-v1:0",
        Wire::Cohere => "command-a-03-2025",
        Wire::Ollama => "llama3.2",
    };
    Target { model, quirks: Quirks::NONE, default_max_tokens: 4_096 }
}
