//! Anthropic's dialect: whatever value stands in the place of another, what is written is legal.

#[path = "support/anthropic.rs"]
mod support;

use serde_json::{Value, json};
use sluice_dialects::anthropic::{Decoder, Encoder, read_answer, write_answer};
use sluice_dialects::json::Doc;
use sluice_dialects::wire::{Decode, Encode, Frame, Quirk, Quirks};
use support::{accumulate, case, case_names, context, frames, written_as};

/// Calls `try_it` with the document, each of its values replaced by each of some others, or taken away.
fn mutated(document: &Value, try_it: &mut dyn FnMut(&Value)) {
    let others =
        [json!(null), json!(-1), json!(1e30), json!(""), json!("x"), json!([]), json!({}), json!([{}])];
    for path in paths(document, String::new()) {
        for other in &others {
            let mut changed = document.clone();
            *changed.pointer_mut(&path).expect("a path of it") = other.clone();
            try_it(&changed);
        }
        let (parent, name) = path.rsplit_once('/').expect("not the root");
        let mut changed = document.clone();
        match changed.pointer_mut(parent) {
            Some(Value::Object(members)) => drop(members.remove(name)),
            Some(Value::Array(items)) => drop(items.remove(name.parse().expect("an index"))),
            _ => panic!("{parent}"),
        }
        try_it(&changed);
    }
}

fn paths(value: &Value, at: String) -> Vec<String> {
    let mut found = Vec::new();
    let members: Vec<(String, &Value)> = match value {
        Value::Object(members) => members.iter().map(|(name, value)| (name.clone(), value)).collect(),
        Value::Array(items) => {
            items.iter().enumerate().map(|(nth, value)| (nth.to_string(), value)).collect()
        }
        _ => Vec::new(),
    };
    for (name, value) in members {
        let path = format!("{at}/{name}");
        found.push(path.clone());
        found.extend(paths(value, path));
    }
    found
}

/// The rules the provider has for conversations.
fn check_conversation(body: &Value) {
    let messages = body["messages"].as_array().expect("messages");
    let mut calls: Vec<String> = Vec::new();
    for (nth, message) in messages.iter().enumerate() {
        assert_eq!(message["role"], if nth % 2 == 0 { "user" } else { "assistant" }, "{body}");
        let text = |text: &Value| assert!(!text.as_str().expect("a text").trim().is_empty(), "{body}");
        let Some(blocks) = message["content"].as_array() else {
            text(&message["content"]);
            assert!(calls.is_empty(), "{body}");
            continue;
        };
        assert!(!blocks.is_empty(), "{body}");
        let ids = |name: &str| -> Vec<String> {
            blocks.iter().filter_map(|block| block[name].as_str().map(str::to_owned)).collect()
        };
        assert_eq!(ids("tool_use_id"), calls, "{body}");
        assert!(blocks[..calls.len()].iter().all(|block| block["type"] == "tool_result"), "{body}");
        blocks.iter().filter(|block| block["type"] == "text").for_each(|block| text(&block["text"]));
        calls = ids("id");
        assert!(calls.is_empty() || body["tools"].is_array(), "{body}");
    }
    assert!(calls.is_empty(), "{body}");
    if body["thinking"]["type"] == "enabled" {
        let (budget, limit) = (&body["thinking"]["budget_tokens"], &body["max_tokens"]);
        assert!(budget.as_u64() >= Some(1024) && budget.as_u64() <= limit.as_u64(), "{body}");
    }
}

#[test]
fn edge_30_requests() {
    let quirks = Quirks::NONE.with(Quirk::AdaptiveThinking).with(Quirk::NoOutputFormat);
    let (mut written, mut refused) = (0, 0);
    for name in case_names() {
        let Some(body) = case(&name, "request.json") else { continue };
        let body: Value = serde_json::from_str(&body).unwrap();
        mutated(&body, &mut |body| {
            for quirks in [Quirks::NONE, quirks] {
                match written_as(body, quirks, |_| {}) {
                    Ok((body, _)) => {
                        check_conversation(&body);
                        written += 1;
                    }
                    Err(_) => refused += 1,
                }
            }
        });
    }
    assert!(written > 1000 && refused > 1000, "{written} written, {refused} refused");
}

#[test]
fn edge_30_answers() {
    for name in case_names() {
        let Some(body) = case(&name, "answer.json") else { continue };
        let body: Value = serde_json::from_str(&body).unwrap();
        mutated(&body, &mut |body| {
            let body = body.to_string();
            let doc = Doc::parse(body.as_bytes()).unwrap();
            let Ok(answer) = read_answer(&doc) else { return };
            let mut out = Vec::new();
            write_answer(&answer, &context(), &mut out);
            let written: Value =
                serde_json::from_slice(&out).unwrap_or_else(|error| panic!("{error}: {body}"));
            assert!(written["content"].is_array() && written["stop_reason"].is_string(), "{body}");
        });
    }
}

#[test]
fn edge_30_streams() {
    for name in ["tool-single", "reasoning", "refusal", "error-in-stream"] {
        let stream = case(name, "stream.sse").unwrap();
        let data: Vec<Value> = stream
            .lines()
            .filter_map(|line| line.strip_prefix("data: "))
            .map(|data| serde_json::from_str(data).unwrap())
            .collect();
        for nth in 0..data.len() {
            mutated(&data[nth], &mut |changed| {
                let mut encoder = Encoder::new(context());
                let (mut decoder, mut out) = (Decoder::default(), Vec::new());
                for (at, own) in data.iter().enumerate() {
                    let frame = if at == nth { changed } else { own }.to_string();
                    let frame = Frame { name: None, data: frame.as_bytes() };
                    decoder.frame(frame, &mut |event| encoder.event(&event, &mut out)).unwrap();
                }
                decoder.end(&mut |event| encoder.event(&event, &mut out));
                accumulate(&frames(&out));
            });
        }
    }
}
