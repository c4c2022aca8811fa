//! Documents that are valid JSON and not what they should be: readers refuse them or make the best of them, and whatever
//! was read can be written.

use std::path::Path;

use serde_json::{Value, json};
use sluice_dialects::cohere::StreamTap;
use sluice_dialects::embeddings::{EmbedWire, Encodings};
use sluice_dialects::exchange::Dropped;
use sluice_dialects::json::Doc;
use sluice_dialects::rerank::RerankWire;
use sluice_dialects::wire::{AnswerContext, Frame, Quirks, Tap, Target, Wire};

const TARGET: Target<'_> = Target { model: "m", quirks: Quirks::NONE, default_max_tokens: 4096 };

/// The document with each of its values replaced by others, one at a time.
fn each_variant(document: &Value, check: &mut dyn FnMut(&[u8])) {
    let odd = [
        json!(null),
        json!(0),
        json!(-1.5e300),
        json!(""),
        json!("\u{0}\"é"),
        json!([]),
        json!({}),
        json!([[1]]),
        json!(true),
    ];
    for path in paths(document, String::new()) {
        for value in &odd {
            let mut variant = document.clone();
            *variant.pointer_mut(&path).expect("a value") = value.clone();
            check(variant.to_string().as_bytes());
        }
    }
}

fn paths(value: &Value, path: String) -> Vec<String> {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(members) => {
            members.iter().map(|(name, value)| (name.replace('~', "~0").replace('/', "~1"), value)).collect()
        }
        Value::Array(elements) => {
            elements.iter().enumerate().map(|(at, value)| (at.to_string(), value)).collect()
        }
        _ => Vec::new(),
    };
    let mut all: Vec<_> =
        children.into_iter().flat_map(|(name, value)| paths(value, format!("{path}/{name}"))).collect();
    all.push(path);
    all
}

fn files(folder: &str, name: &str) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(folder);
    let entries = std::fs::read_dir(folder).expect("cases");
    entries
        .filter_map(|entry| std::fs::read_to_string(entry.expect("an entry").path().join(name)).ok())
        .collect()
}

fn is_json(bytes: &[u8]) {
    assert!(serde_json::from_slice::<Value>(bytes).is_ok(), "{}", String::from_utf8_lossy(bytes));
}

#[test]
fn edge_30_requests() {
    for body in files("cohere", "request.json") {
        each_variant(&serde_json::from_str(&body).expect("JSON"), &mut |body| {
            let _ = sluice_dialects::cohere::inspect(body);
            let Ok(doc) = Doc::parse(body) else { return };
            let mut dropped = Dropped::default();
            let Ok(request) = Wire::Cohere.read_request(&doc, false, &mut dropped) else { return };
            for wire in [Wire::Cohere, Wire::Ollama] {
                let mut out = Vec::new();
                if wire.write_request(&request, &TARGET, &mut dropped, &mut out).is_ok() {
                    is_json(&out);
                }
            }
        });
    }
}

#[test]
fn edge_30_answers() {
    for (wire, folder) in [(Wire::Cohere, "cohere"), (Wire::Ollama, "ollama")] {
        for body in files(folder, "answer.json") {
            each_variant(&serde_json::from_str(&body).expect("JSON"), &mut |body| {
                let _ = wire.read_error(500, body);
                let Ok(doc) = Doc::parse(body) else { return };
                let Ok(answer) = wire.read_answer(&doc) else { return };
                let mut out = Vec::new();
                Wire::Cohere.write_answer(&answer, &AnswerContext::default(), &mut out);
                is_json(&out);
            });
        }
    }
}

/// Streams with one event of each kind replaced at a time; what is written of them ends once, if it ends.
fn streams(wire: Wire, stream: &str, marker: &str) {
    let frames: Vec<&str> = stream.lines().filter_map(|line| line.strip_prefix(marker)).collect();
    let mut kinds = Vec::new();
    for at in 0..frames.len() {
        let Ok(event) = serde_json::from_str::<Value>(frames[at]) else { continue };
        if kinds.contains(&event["type"]) && marker == "data: " {
            continue;
        }
        kinds.push(event["type"].clone());
        each_variant(&event, &mut |variant| {
            let (mut decoder, mut encoder) = (wire.decoder(), Wire::Cohere.encoder(AnswerContext::default()));
            let (mut tap, mut out) = (StreamTap::default(), Vec::new());
            for (position, data) in frames.iter().enumerate() {
                let frame =
                    Frame { name: None, data: if position == at { variant } else { data.as_bytes() } };
                let _ = decoder.frame(frame, &mut |event| encoder.event(&event, &mut out));
                tap.frame(frame);
            }
            let out = String::from_utf8(out).expect("UTF-8");
            assert!(out.matches("data: [DONE]").count() <= 1);
            for data in
                out.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]")
            {
                is_json(data.as_bytes());
            }
        });
    }
}

#[test]
fn edge_30_streams() {
    files("cohere", "stream.sse").iter().for_each(|stream| streams(Wire::Cohere, stream, "data: "));
    files("ollama", "stream.jsonl").iter().for_each(|stream| streams(Wire::Ollama, stream, ""));
}

#[test]
fn edge_30_embeddings_and_reranking() {
    let requests = [
        (
            EmbedWire::Openai,
            json!({"input": ["a", [1], {"text": "b"}], "dimensions": 1, "encoding_format": "float", "user": "u"}),
        ),
        (
            EmbedWire::GeminiBatch,
            json!({"requests": [{"content": {"parts": [{"text": "a"}]}, "taskType": "CLUSTERING"}]}),
        ),
        (
            EmbedWire::Vertex,
            json!({"instances": [{"content": "a", "task_type": "x"}], "parameters": {"autoTruncate": true}}),
        ),
        (EmbedWire::BedrockTitan, json!({"inputText": "a", "dimensions": 2, "embeddingTypes": ["float"]})),
        (
            EmbedWire::Cohere,
            json!({"texts": ["a"], "inputs": [{"content": [{"text": "a"}]}], "embedding_types": ["float"]}),
        ),
        (EmbedWire::Ollama, json!({"input": ["a"], "truncate": true})),
    ];
    for (from, body) in requests {
        each_variant(&body, &mut |body| {
            let Ok(doc) = Doc::parse(body) else { return };
            let mut dropped = Dropped::default();
            let Ok(request) = from.read_request(&doc, &mut dropped) else { return };
            for to in [
                EmbedWire::Openai,
                EmbedWire::Jina,
                EmbedWire::GeminiBatch,
                EmbedWire::Vertex,
                EmbedWire::Cohere,
            ] {
                let mut out = Vec::new();
                if to.write_request(&request, "m", &mut dropped, &mut out).is_ok() {
                    is_json(&out);
                }
            }
        });
    }
    let answers = [
        (
            EmbedWire::Openai,
            json!({"data": [{"index": 0, "embedding": [0.5]}], "usage": {"prompt_tokens": 1}}),
        ),
        (EmbedWire::Openai, json!({"data": [{"index": 0, "embedding": "AAAAPw=="}]})),
        (
            EmbedWire::GeminiBatch,
            json!({"embeddings": [{"values": [1e99]}], "usageMetadata": {"promptTokenCount": 1}}),
        ),
        (
            EmbedWire::Vertex,
            json!({"predictions": [{"embeddings": {"values": [1], "statistics": {"token_count": 1}}}]}),
        ),
        (
            EmbedWire::Cohere,
            json!({"embeddings": {"float": [[1]]}, "meta": {"billed_units": {"input_tokens": 1}}}),
        ),
    ];
    for (from, body) in answers {
        each_variant(&body, &mut |body| {
            let _ = from.usage_of(body);
            let Ok(doc) = Doc::parse(body) else { return };
            let Ok(answer) = from.read_answer(&doc) else { return };
            for (float, base64) in [(true, false), (false, true)] {
                for to in [EmbedWire::Openai, EmbedWire::Cohere, EmbedWire::GeminiContent] {
                    let mut out = Vec::new();
                    to.write_answer(
                        &answer,
                        &AnswerContext::default(),
                        Encodings { float, base64 },
                        &mut out,
                    );
                    is_json(&out);
                }
            }
        });
    }
    let request =
        json!({"query": "q", "documents": ["a", {"text": "b"}], "top_n": 1, "return_documents": true});
    each_variant(&request, &mut |body| {
        let Ok(doc) = Doc::parse(body) else { return };
        let Ok(request) = RerankWire::Jina.read_request(&doc, &mut Dropped::default()) else { return };
        let mut out = Vec::new();
        RerankWire::Voyage.write_request(&request, "m", &mut Dropped::default(), &mut out);
        is_json(&out);
    });
}
