//! Embeddings, between all the dialects that have them.

mod support;

use std::fs;

use serde_json::{Value, json};
use sluice_dialects::embeddings::{EmbedInput, EmbedRequest, EmbedWire, Encodings, Purpose, Truncate};
use sluice_dialects::exchange::Dropped;
use sluice_dialects::json::Doc;
use sluice_dialects::wire::AnswerContext;
use support::recorded::{cassette, fixtures};

const ALL: [EmbedWire; 11] = [
    EmbedWire::Openai,
    EmbedWire::Mistral,
    EmbedWire::Voyage,
    EmbedWire::Jina,
    EmbedWire::GeminiContent,
    EmbedWire::GeminiBatch,
    EmbedWire::Vertex,
    EmbedWire::BedrockTitan,
    EmbedWire::BedrockCohere,
    EmbedWire::Cohere,
    EmbedWire::Ollama,
];

fn read<T>(from: EmbedWire, body: &Value, check: impl FnOnce(&EmbedRequest<'_>, &Dropped) -> T) -> T {
    let body = body.to_string();
    let doc = Doc::parse(body.as_bytes()).expect("JSON");
    let mut dropped = Dropped::default();
    let request = from.read_request(&doc, &mut dropped).expect("a request");
    check(&request, &dropped)
}

/// A request as another dialect has it, and what was left behind.
fn translated(from: EmbedWire, body: &Value, to: EmbedWire) -> (Value, Vec<String>) {
    read(from, body, |request, dropped| {
        let (mut out, mut dropped) = (Vec::new(), dropped.clone());
        to.write_request(request, "m", &mut dropped, &mut out).expect("a request that can be written");
        let body =
            serde_json::from_slice(&out).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&out)));
        (body, dropped.names().map(str::to_owned).collect())
    })
}

fn refused(from: EmbedWire, body: &Value, to: EmbedWire) -> Option<&'static str> {
    read(from, body, |request, _| {
        to.write_request(request, "m", &mut Dropped::default(), &mut Vec::new()).expect_err("a refusal").param
    })
}

/// An answer as another dialect has it.
fn answered(from: EmbedWire, body: &Value, to: EmbedWire, encodings: Encodings) -> Value {
    let body = body.to_string();
    let doc = Doc::parse(body.as_bytes()).expect("JSON");
    let answer = from.read_answer(&doc).expect("an answer");
    let context = AnswerContext {
        id: "0123456789abcdef0123456789abcdef".to_owned(),
        model: "asked".to_owned(),
        ..AnswerContext::default()
    };
    let mut out = Vec::new();
    to.write_answer(&answer, &context, encodings, &mut out);
    serde_json::from_slice(&out).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&out)))
}

const FLOAT: Encodings = Encodings { float: true, base64: false };
const BASE64: Encodings = Encodings { float: false, base64: true };

/// An answer of two vectors, in a dialect's own form.
fn answer_of(wire: EmbedWire) -> Value {
    let (one, two) = (json!([0.5, -1.25]), json!([1, 2e-7]));
    match wire {
        EmbedWire::Openai | EmbedWire::Mistral | EmbedWire::Voyage | EmbedWire::Jina => json!({
            "object": "list", "model": "theirs", "usage": {"prompt_tokens": 7, "total_tokens": 7},
            "data": [
                {"object": "embedding", "index": 1, "embedding": two},
                {"object": "embedding", "index": 0, "embedding": one},
            ],
        }),
        EmbedWire::GeminiContent => {
            json!({"embedding": {"values": one}, "usageMetadata": {"promptTokenCount": 7}})
        }
        EmbedWire::GeminiBatch => json!({
            "embeddings": [{"values": one}, {"values": two}], "usageMetadata": {"promptTokenCount": 7},
        }),
        EmbedWire::Vertex => json!({"predictions": [
            {"embeddings": {"values": one, "statistics": {"token_count": 3, "truncated": false}}},
            {"embeddings": {"values": two, "statistics": {"token_count": 4, "truncated": false}}},
        ]}),
        EmbedWire::BedrockTitan => json!({
            "embedding": one, "embeddingsByType": {"float": one}, "inputTextTokenCount": 7,
        }),
        EmbedWire::BedrockCohere | EmbedWire::Cohere => json!({
            "id": "5b1c9c5e-0d0a-4f67-a8a8-b0a1d5a0a0d2", "response_type": "embeddings_by_type",
            "embeddings": {"float": [one, two]}, "texts": ["a", "b"],
            "meta": {"api_version": {"version": "2"}, "billed_units": {"input_tokens": 7.0}},
        }),
        EmbedWire::Ollama => json!({
            "model": "theirs", "embeddings": [one, two], "total_duration": 1, "load_duration": 1, "prompt_eval_count": 7,
        }),
    }
}

#[test]
fn every_answer_reads_as_openais() {
    for wire in ALL {
        let out = answered(wire, &answer_of(wire), EmbedWire::Openai, FLOAT);
        let single = matches!(wire, EmbedWire::GeminiContent | EmbedWire::BedrockTitan);
        assert_eq!(
            out["data"][0],
            json!({"object": "embedding", "index": 0, "embedding": [0.5, -1.25]}),
            "{wire:?}"
        );
        assert_eq!(out["data"].as_array().unwrap().len(), if single { 1 } else { 2 }, "{wire:?}");
        assert_eq!(out["usage"], json!({"prompt_tokens": 7, "total_tokens": 7}), "{wire:?}");
        assert_eq!(out["model"], "asked");
    }
}

#[test]
fn every_answer_can_be_written_and_read_again() {
    for wire in ALL {
        let written = answered(EmbedWire::Openai, &answer_of(EmbedWire::Openai), wire, FLOAT);
        let again = answered(wire, &written, EmbedWire::Openai, FLOAT);
        assert_eq!(again["data"][0]["embedding"], json!([0.5, -1.25]), "{wire:?}");
        assert_eq!(again["usage"]["prompt_tokens"], 7, "{wire:?}");
        assert_eq!(
            wire.usage_of(written.to_string().as_bytes()).map(|usage| usage.input),
            Some(7),
            "{wire:?}"
        );
    }
}

#[test]
fn vectors_change_between_numbers_and_base64() {
    // 0.5 is 0x3f000000 and -1.25 is 0xbfa00000, little-endian.
    let base64 = answered(EmbedWire::Ollama, &answer_of(EmbedWire::Ollama), EmbedWire::Openai, BASE64);
    assert_eq!(base64["data"][0]["embedding"], "AAAAPwAAoL8=");
    let floats = answered(EmbedWire::Openai, &base64, EmbedWire::GeminiBatch, FLOAT);
    assert_eq!(floats["embeddings"][0]["values"], json!([0.5, -1.25]));
    let small = floats["embeddings"][1]["values"][1].as_f64().unwrap();
    assert!((small - 2e-7).abs() < 1e-14, "{small}");
    let both = Encodings { float: true, base64: true };
    let cohere = answered(EmbedWire::Openai, &base64, EmbedWire::Cohere, both);
    assert_eq!(cohere["embeddings"]["base64"][0], "AAAAPwAAoL8=");
    assert_eq!(cohere["embeddings"]["float"][0], json!([0.5, -1.25]));
    assert_eq!(cohere["id"], "01234567-89ab-cdef-0123-456789abcdef");
}

#[test]
fn edge_58_what_is_no_vector_is_refused() {
    let none = |body: Value| {
        let body = body.to_string();
        let doc = Doc::parse(body.as_bytes()).expect("JSON");
        EmbedWire::Openai.read_answer(&doc).is_err()
    };
    assert!(none(json!({"data": [{"embedding": [1, null]}]})));
    assert!(none(json!({"data": [{"embedding": {}}]})));
    assert!(none(json!({"data": [{}]})));
    assert!(none(json!({"error": {"message": "no"}})));
    // What is no number (here NaN, 0x7fc00000) has no form in JSON.
    let nan = json!({"data": [{"index": 0, "embedding": "AADAfwAAAD8="}]});
    assert_eq!(
        answered(EmbedWire::Openai, &nan, EmbedWire::Openai, FLOAT)["data"][0]["embedding"],
        json!([null, 0.5])
    );
}

#[test]
fn openais_requests_reach_everyone() {
    let body = json!({"model": "x", "input": ["a", "b\n\"é"], "dimensions": 256, "encoding_format": "base64", "user": "u"});
    let to = |wire| translated(EmbedWire::Openai, &body, wire);
    let (out, dropped) = to(EmbedWire::Openai);
    assert_eq!(
        out,
        json!({"model": "m", "input": ["a", "b\n\"é"], "dimensions": 256, "encoding_format": "base64", "user": "u"})
    );
    assert!(dropped.is_empty());
    let (out, dropped) = to(EmbedWire::Cohere);
    let expected = json!({
        "model": "m", "texts": ["a", "b\n\"é"], "input_type": "search_document", "embedding_types": ["float"],
        "output_dimension": 256,
    });
    assert_eq!((out, dropped), (expected, vec!["user".to_owned()]));
    assert_eq!(to(EmbedWire::BedrockCohere).0.get("model"), None);
    assert_eq!(to(EmbedWire::Mistral).0["output_dimension"], 256);
    assert_eq!(to(EmbedWire::Voyage).0["output_dimension"], 256);
    assert_eq!(to(EmbedWire::Jina).0["embedding_type"], "base64");
    assert_eq!(to(EmbedWire::Ollama).0, json!({"model": "m", "input": ["a", "b\n\"é"], "dimensions": 256}));
    let expected = json!({
        "model": "models/m", "content": {"parts": [{"text": "a"}]}, "outputDimensionality": 256,
    });
    assert_eq!(to(EmbedWire::GeminiBatch).0["requests"][0], expected);
    let expected = json!({
        "instances": [{"content": "a"}, {"content": "b\n\"é"}], "parameters": {"outputDimensionality": 256},
    });
    assert_eq!(to(EmbedWire::Vertex).0, expected);
    assert_eq!(refused(EmbedWire::Openai, &body, EmbedWire::BedrockTitan), Some("input"));
    let one = json!({"model": "x", "input": "a", "dimensions": 256});
    let (out, _) = translated(EmbedWire::Openai, &one, EmbedWire::BedrockTitan);
    assert_eq!(out, json!({"inputText": "a", "dimensions": 256}));
    let (out, _) = translated(EmbedWire::Openai, &one, EmbedWire::GeminiContent);
    assert_eq!(out, json!({"content": {"parts": [{"text": "a"}]}, "outputDimensionality": 256}));
}

#[test]
fn numbers_of_tokens_go_to_openais_kind_only() {
    for input in [json!([1, 2, 3]), json!([[1, 2], [3]])] {
        let body = json!({"model": "x", "input": input});
        let (out, _) = translated(EmbedWire::Openai, &body, EmbedWire::Openai);
        let lists = out["input"].as_array().unwrap().iter().all(Value::is_array);
        assert!(lists, "{out}");
        assert_eq!(refused(EmbedWire::Openai, &body, EmbedWire::Cohere), Some("input"));
    }
}

#[test]
fn purposes_and_truncation_have_names_everywhere() {
    let body = json!({"model": "x", "texts": ["a"], "input_type": "search_query", "truncate": "END", "embedding_types": ["float"]});
    let to = |wire| translated(EmbedWire::Cohere, &body, wire);
    assert_eq!(to(EmbedWire::GeminiContent).0["taskType"], "RETRIEVAL_QUERY");
    assert_eq!(to(EmbedWire::Vertex).0["instances"][0]["task_type"], "RETRIEVAL_QUERY");
    assert_eq!(to(EmbedWire::Vertex).0["parameters"]["autoTruncate"], true);
    assert_eq!(to(EmbedWire::Voyage).0["input_type"], "query");
    assert_eq!(to(EmbedWire::Voyage).0["truncation"], true);
    assert_eq!(to(EmbedWire::Jina).0["task"], "retrieval.query");
    assert_eq!(to(EmbedWire::Ollama).0["truncate"], true);
    assert_eq!(to(EmbedWire::Cohere).0["truncate"], "END");
    assert_eq!(to(EmbedWire::Openai).1, ["truncate", "input_type"]);
    let jina = json!({"model": "x", "input": ["a"], "task": "text-matching", "truncate": false});
    read(EmbedWire::Jina, &jina, |request, _| {
        assert_eq!((request.purpose, request.truncate), (Some(Purpose::Similarity), Some(Truncate::Never)));
    });
}

#[test]
fn images_go_where_they_are_taken() {
    let url = "data:image/png;base64,iVBORw0KGgo=";
    let body = json!({"model": "x", "images": [url], "input_type": "image", "embedding_types": ["float"]});
    let (out, dropped) = translated(EmbedWire::Cohere, &body, EmbedWire::Cohere);
    assert_eq!((&out["images"][0], &out["input_type"]), (&json!(url), &json!("image")));
    assert!(dropped.is_empty());
    assert_eq!(translated(EmbedWire::Cohere, &body, EmbedWire::Jina).0["input"], json!([{"image": url}]));
    assert_eq!(refused(EmbedWire::Cohere, &body, EmbedWire::Openai), Some("input"));
    let mixed = json!({"model": "x", "inputs": [
        {"content": [{"type": "text", "text": "a"}]},
        {"content": [{"type": "image_url", "image_url": {"url": url}}]},
    ]});
    let (out, _) = translated(EmbedWire::Cohere, &mixed, EmbedWire::Cohere);
    assert_eq!(out["inputs"], mixed["inputs"]);
}

#[test]
fn geminis_batches_are_read() {
    let one = |text: &str, task: &str| json!({"model": "models/x", "content": {"parts": [{"text": text}]}, "taskType": task, "outputDimensionality": 8});
    let body = json!({"requests": [one("a", "CLUSTERING"), one("b", "CLUSTERING")]});
    read(EmbedWire::GeminiBatch, &body, |request, dropped| {
        assert_eq!(request.inputs.len(), 2);
        assert!(matches!(&request.inputs[1], EmbedInput::Text(text) if text.is("b")));
        assert_eq!((request.purpose, request.dimensions), (Some(Purpose::Clustering), Some(8)));
        assert!(dropped.is_empty());
    });
    let body = json!({"requests": [one("a", "CLUSTERING"), one("b", "RETRIEVAL_QUERY")]}).to_string();
    let doc = Doc::parse(body.as_bytes()).unwrap();
    assert!(EmbedWire::GeminiBatch.read_request(&doc, &mut Dropped::default()).is_err());
}

#[test]
fn requests_without_inputs_are_refused() {
    for (wire, body, param) in [
        (EmbedWire::Openai, json!({"model": "x"}), "input"),
        (EmbedWire::Openai, json!({"model": "x", "input": []}), "input"),
        (EmbedWire::Openai, json!({"model": "x", "input": [null]}), "input"),
        (
            EmbedWire::Openai,
            json!({"model": "x", "input": "a", "encoding_format": "int8"}),
            "encoding_format",
        ),
        (
            EmbedWire::Cohere,
            json!({"model": "x", "texts": ["a"], "embedding_types": ["int8"]}),
            "embedding_types",
        ),
        (EmbedWire::Cohere, json!({"model": "x", "texts": "a"}), "texts"),
        (EmbedWire::GeminiContent, json!({"content": {"parts": []}}), "content"),
        (EmbedWire::BedrockTitan, json!({}), "inputText"),
        (EmbedWire::Vertex, json!({"instances": [{}]}), "instances"),
    ] {
        let body = body.to_string();
        let doc = Doc::parse(body.as_bytes()).unwrap();
        let error = wire.read_request(&doc, &mut Dropped::default()).expect_err(&body);
        assert_eq!(error.param, Some(param), "{body}");
    }
}

#[test]
fn recorded_vectors_survive() {
    let Some(folder) = fixtures() else { return };
    let recorded = |name: &str| cassette(&folder.join("openai-recorded").join(name));
    let exchange = recorded("embeddings-base64.yaml");
    let body: Value = serde_json::from_str(&exchange.response).expect("JSON");
    let floats = answered(EmbedWire::Openai, &body, EmbedWire::Openai, FLOAT);
    assert!(floats["data"][0]["embedding"].as_array().is_some_and(|vector| vector.len() == 1536));
    let again = answered(EmbedWire::Openai, &floats, EmbedWire::Openai, BASE64);
    assert_eq!(again["data"][0]["embedding"], body["data"][0]["embedding"], "not a bit is lost");
    for name in [
        "embeddings-basic.yaml",
        "embeddings-tokens.yaml",
        "embeddings-mixed-batch.yaml",
        "embeddings-dimensions.yaml",
    ] {
        let exchange = recorded(name);
        let request: Value = serde_json::from_str(&exchange.request).expect("JSON");
        read(EmbedWire::Openai, &request, |request, dropped| {
            assert!(!request.inputs.is_empty() && dropped.is_empty(), "{name}");
        });
        if exchange.status == 200 {
            let body = serde_json::from_str(&exchange.response).expect("JSON");
            let out = answered(EmbedWire::Openai, &body, EmbedWire::Openai, FLOAT);
            assert_eq!(out["usage"]["prompt_tokens"], body["usage"]["prompt_tokens"], "{name}");
        }
    }
    let vertex =
        fs::read_to_string(folder.join("oddities/vertex-ai/predictions-embeddings.json")).expect("a fixture");
    let out =
        answered(EmbedWire::Vertex, &serde_json::from_str(&vertex).expect("JSON"), EmbedWire::Openai, FLOAT);
    assert_eq!(out["data"][0]["embedding"], json!([0.0123, -0.0456, 0.0789, 0.0012]));
    assert_eq!(out["usage"]["prompt_tokens"], 7);
}
