//! Values in wrong places: nothing panics, and what is written stays well-formed.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
use sluice_dialects::bedrock::{Decoder, Encoder, read_answer, read_request, write_answer, write_request};
use sluice_dialects::event_stream::whole_messages;
use sluice_dialects::exchange::Dropped;
use sluice_dialects::json::Doc;
use sluice_dialects::wire::{AnswerContext, Decode, Encode, Frame, Quirks, Target};

/// The files of this name in all cases.
fn cases(name: &str) -> Vec<String> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/cases/bedrock");
    let entries = fs::read_dir(folder).expect("cases").map(|entry| entry.expect("a case").path().join(name));
    let texts: Vec<String> = entries.filter_map(|path| fs::read_to_string(path).ok()).collect();
    assert!(texts.len() > 10);
    texts
}

/// Calls `try_it` with the document once for each of its values and each wrong value in its place.
fn damaged(document: &Value, try_it: &mut impl FnMut(&Value)) {
    let wrong = [
        json!(null),
        json!(true),
        json!(-1.5),
        json!(""),
        json!("\\\"\u{1}é"),
        json!([]),
        json!({}),
        json!([{}]),
    ];
    for path in paths(document, "") {
        for value in &wrong {
            let mut copy = document.clone();
            *copy.pointer_mut(&path).expect("it is there") = value.clone();
            try_it(&copy);
        }
    }
}

/// The pointers to all values but the outermost.
fn paths(value: &Value, at: &str) -> Vec<String> {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(members) => {
            members.iter().map(|(name, value)| (format!("{at}/{name}"), value)).collect()
        }
        Value::Array(items) => {
            items.iter().enumerate().map(|(nth, value)| (format!("{at}/{nth}"), value)).collect()
        }
        _ => Vec::new(),
    };
    let deeper = children.iter().flat_map(|(path, value)| paths(value, path)).collect::<Vec<_>>();
    children.into_iter().map(|(path, _)| path).chain(deeper).collect()
}

fn is_json(bytes: &[u8]) {
    let parsed = serde_json::from_slice::<Value>(bytes);
    assert!(parsed.is_ok(), "{}", String::from_utf8_lossy(bytes));
}

#[test]
fn edge_30_requests() {
    let target = Target { model: "anthropic.claude", quirks: Quirks::NONE, default_max_tokens: 1 };
    for text in cases("request.json") {
        damaged(&text.parse().unwrap(), &mut |request| {
            let body = request.to_string();
            let doc = Doc::parse(body.as_bytes()).unwrap();
            let (mut dropped, mut out) = (Dropped::default(), Vec::new());
            let Ok(read) = read_request(&doc, false, &mut dropped) else { return };
            if write_request(&read, &target, &mut dropped, &mut out).is_ok() {
                is_json(&out);
            }
        });
    }
}

#[test]
fn edge_30_answers() {
    for text in cases("answer.json") {
        damaged(&text.parse().unwrap(), &mut |answer| {
            let body = answer.to_string();
            let doc = Doc::parse(body.as_bytes()).unwrap();
            let mut out = Vec::new();
            if let Ok(read) = read_answer(&doc) {
                write_answer(&read, &AnswerContext::default(), &mut out);
                is_json(&out);
            }
        });
    }
}

#[test]
fn edge_30_streams() {
    for text in cases("stream.jsonl") {
        let lines: Vec<Value> = text.lines().map(|line| line.parse().unwrap()).collect();
        for damaged_line in 0..lines.len() {
            damaged(&lines[damaged_line]["data"], &mut |data| {
                let (mut decoder, mut encoder) = (Decoder::default(), Encoder::new(AnswerContext::default()));
                let mut out = Vec::new();
                for (nth, line) in lines.iter().enumerate() {
                    let data = if nth == damaged_line { data } else { &line["data"] }.to_string();
                    let frame =
                        Frame { name: line["event"].as_str().map(str::as_bytes), data: data.as_bytes() };
                    decoder.frame(frame, &mut |event| encoder.event(&event, &mut out)).unwrap();
                }
                assert_eq!(whole_messages(&out), Ok(out.len()));
            });
        }
    }
}
