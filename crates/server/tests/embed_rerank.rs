//! Embeddings and rerank: passed on where the provider speaks the client's dialect, else translated.

#![allow(clippy::unwrap_used, reason = "only tests call this")]

mod support;

use serde_json::{Value, json};
use support::dialects::*;
use support::*;

/// Who answers embeddings how: the model asked for, the path at the provider, the answer of two vectors, its tokens.
fn embedders() -> Vec<(Api, &'static str, &'static str, Value, u64)> {
    let openai = json!({"object": "list", "model": "x", "usage": {"prompt_tokens": 7, "total_tokens": 7}, "data": [
        {"object": "embedding", "index": 0, "embedding": [0.5, -1.25]},
        {"object": "embedding", "index": 1, "embedding": [1.0, 2.0]},
    ]});
    let gemini = json!({"embeddings": [{"values": [0.5, -1.25]}, {"values": [1.0, 2.0]}]});
    let vertex = json!({"predictions": [
        {"embeddings": {"values": [0.5, -1.25], "statistics": {"token_count": 3, "truncated": false}}},
        {"embeddings": {"values": [1.0, 2.0], "statistics": {"token_count": 4, "truncated": false}}},
    ]});
    let cohere = json!({"id": "e", "embeddings": {"float": [[0.5, -1.25], [1.0, 2.0]]}, "texts": ["a", "b"],
        "meta": {"billed_units": {"input_tokens": 7}}});
    let bedrock = json!({"id": "e", "response_type": "embeddings_by_type", "texts": ["a", "b"],
        "embeddings": {"float": [[0.5, -1.25], [1.0, 2.0]]}});
    let ollama = json!({"model": "x", "embeddings": [[0.5, -1.25], [1.0, 2.0]], "prompt_eval_count": 7});
    vec![
        (OPENAI, "m", "/v1/embeddings", openai, 7),
        (GEMINI, "m", "/v1beta/models/m:batchEmbedContents", gemini, 0),
        (VERTEX, "m", "/v1/projects/p/locations/l/publishers/google/models/m:predict", vertex, 7),
        (COHERE, "m", "/v2/embed", cohere, 7),
        (BEDROCK, "pre/cohere.embed-v4:0", "/model/cohere.embed-v4%3A0/invoke", bedrock, 0),
        (OLLAMA, "m", "/api/embed", ollama, 7),
    ]
}

/// The vectors of an answer in the shape its client reads.
fn vectors(client: &str, answer: &Value) -> Value {
    let each = |list: &Value, name: &str| {
        json!(list.as_array().unwrap().iter().map(|one| one[name].clone()).collect::<Vec<_>>())
    };
    match client {
        "openai" => each(&answer["data"], "embedding"),
        "gemini" => each(&answer["embeddings"], "values"),
        _ => answer["embeddings"]["float"].clone(),
    }
}

/// A client's request for two vectors.
fn ask(client: &str, model: &str) -> Vec<u8> {
    let model_in_path = model.replace('/', "%2F");
    match client {
        "openai" => post("/v1/embeddings", &json!({"model": model, "input": ["a", "b"]}).to_string()),
        "gemini" => {
            let one = |text: &str| json!({"model": format!("models/{model}"), "content": {"parts": [{"text": text}]}});
            let path = format!("/v1beta/models/{model_in_path}:batchEmbedContents");
            post(&path, &json!({"requests": [one("a"), one("b")]}).to_string())
        }
        _ => {
            let body = json!({"model": model, "texts": ["a", "b"], "input_type": "search_document",
                "embedding_types": ["float"]});
            post("/v2/embed", &body.to_string())
        }
    }
}

#[test]
fn embeddings_in_every_dialect() {
    for client in ["openai", "gemini", "cohere"] {
        for (provider, model, path, answer, tokens) in embedders() {
            let what = format!("{client} to {}", provider.name);
            let upstream = Upstream::answering(json_answer("200 OK", &answer.to_string()));
            let gateway = gateway_of(&[(provider, &upstream)]);
            let got = gateway.raw(&ask(client, model));
            assert_eq!(got.status, 200, "{what}: {}", got.text());
            let got = got.json();
            // As numbers, for one dialect writes `1.0` where another writes `1`.
            let wanted = [[0.5, -1.25], [1.0, 2.0]];
            let found: Vec<Vec<f64>> = serde_json::from_value(vectors(client, &got)).unwrap();
            assert_eq!(found, wanted, "{what}: {got}");
            let sent = seen(&upstream);
            assert_eq!(sent.line, format!("POST {path}"), "{what}");
            let record = gateway.record();
            assert_eq!((record.error(), record.get("attempts")), (None, 1), "{what}");
            if tokens > 0 {
                assert_eq!((record.tokens(), record.get("flags")), ((tokens, 0), 0), "{what}");
            }
            if client == "openai" && provider != OPENAI {
                assert_eq!(got["model"], model, "{what}");
            }
        }
    }
}

#[test]
fn embeddings_of_the_same_dialect_pass_untouched() {
    for (client, provider) in [("openai", OPENAI), ("gemini", GEMINI), ("cohere", COHERE)] {
        let (_, _, _, answer, _) = embedders().into_iter().find(|row| row.0 == provider).unwrap();
        let text = serde_json::to_string_pretty(&answer).unwrap();
        let upstream = Upstream::answering(json_answer("200 OK", &text));
        let gateway = gateway_of(&[(provider, &upstream)]);
        let request = ask(client, "m");
        assert_eq!(gateway.raw(&request).text(), text, "{client}");
        assert!(request.ends_with(&seen(&upstream).body), "{client}");
    }
    // One text, as Gemini's other path takes it.
    let upstream = Upstream::answering(json_answer("200 OK", r#"{"embedding":{"values":[0.5]}}"#));
    let gateway = gateway_of(&[(GEMINI, &upstream)]);
    let body = r#"{"content":{"parts":[{"text":"a"}]}}"#;
    let answer = gateway.raw(&post("/v1beta/models/m:embedContent", body));
    assert_eq!(answer.text(), r#"{"embedding":{"values":[0.5]}}"#);
    assert_eq!(seen(&upstream).line, "POST /v1beta/models/m:embedContent");
}

#[test]
fn rerank_in_both_shapes() {
    let cohere = json!({"id": "r", "results": [{"index": 1, "relevance_score": 0.9}, {"index": 0, "relevance_score": 0.1}],
        "meta": {"billed_units": {"search_units": 1}}});
    let jina = json!({"model": "j", "object": "list", "usage": {"total_tokens": 15}, "results": [
        {"index": 1, "relevance_score": 0.9}, {"index": 0, "relevance_score": 0.1}]});
    let body = json!({"model": "m", "query": "q", "documents": ["a", "b"], "top_n": 2}).to_string();
    let cases = [(COHERE, "/v2/rerank", &cohere), (OPENAI, "/v1/rerank", &jina)];
    for (provider, path, answer) in cases {
        for asked in ["/v2/rerank", "/v1/rerank", "/cohere/v2/rerank"] {
            let upstream = Upstream::answering(json_answer("200 OK", &answer.to_string()));
            let gateway = gateway_of(&[(provider, &upstream)]);
            let got = gateway.raw(&post(asked, &body));
            assert_eq!(got.status, 200, "{asked}: {}", got.text());
            let results = &got.json()["results"];
            assert_eq!((&results[0]["index"], &results[0]["relevance_score"]), (&json!(1), &json!(0.9)));
            assert_eq!(results.as_array().unwrap().len(), 2);
            assert_eq!(seen(&upstream).line, format!("POST {path}"), "{asked}");
            assert_eq!(gateway.record().error(), None);
        }
    }
}

#[test]
fn what_fails_is_told_in_the_clients_shape() {
    let error = json!({"error": {"message": "no such model", "type": "invalid_request_error", "code": null}});
    let upstream = Upstream::answering(json_answer("404 Not Found", &error.to_string()));
    let gateway = gateway_of(&[(OPENAI, &upstream)]);
    let cohere = gateway.raw(&ask("cohere", "m"));
    assert_eq!((cohere.status, &cohere.json()["message"]), (404, &json!("no such model")));
    let gemini = gateway.raw(&ask("gemini", "m"));
    assert_eq!((gemini.status, &gemini.json()["error"]["status"]), (404, &json!("NOT_FOUND")));
    // A 200 that is no answer is one of another provider's.
    let foreign = Upstream::answering(json_answer("200 OK", r#"{"status":"ok"}"#));
    let good =
        Upstream::answering(json_answer("200 OK", r#"{"embeddings":[{"values":[0.5]},{"values":[1]}]}"#));
    let gateway = gateway_of(&[(OLLAMA, &foreign), (GEMINI, &good)]);
    let answer = gateway.raw(&ask("openai", "m"));
    assert_eq!((answer.status, gateway.record().get("attempts")), (200, 2), "{}", answer.text());
}

/// What only providers of the same dialect offer is refused, in words.
#[test]
fn what_a_provider_does_not_offer_is_refused() {
    let upstream = Upstream::answering(ANTHROPIC.answer("text"));
    let gateway = gateway_of(&[(ANTHROPIC, &upstream)]);
    let speech = r#"{"model":"m","input":"x","voice":"v"}"#;
    let cases = [("/v1/audio/speech", speech), ("/v1/completions", r#"{"model":"m","prompt":"x"}"#)];
    for (path, body) in cases {
        let answer = gateway.raw(&post(path, body));
        assert!((400..500).contains(&answer.status), "{path}: {} {}", answer.status, answer.text());
        assert!(answer.error_message().contains("p0"), "{}", answer.text());
    }
    assert_eq!(upstream.times_asked(), 0);
}

/// Vectors fill more than is held, and are no text that somebody generated.
#[test]
fn long_embeddings_are_booked_for_what_they_embed() {
    let vector = vec!["0.0123456"; 20_000].join(",");
    let cases = [
        (
            COHERE,
            format!(
                r#"{{"embeddings":{{"float":[[{vector}]]}},"meta":{{"billed_units":{{"input_tokens":7}}}}}}"#
            ),
            Some(7),
        ),
        (
            GEMINI,
            format!(r#"{{"embeddings":[{{"values":[{vector}]}}],"usageMetadata":{{"promptTokenCount":7}}}}"#),
            Some(7),
        ),
        (GEMINI, format!(r#"{{"embeddings":[{{"values":[{vector}]}}]}}"#), None),
        (OPENAI, format!(r#"{{"data":[{{"embedding":[{vector}]}}]}}"#), None),
    ];
    for (provider, body, tokens) in cases {
        let client = if provider == OPENAI { "openai" } else { provider.name };
        let upstream = Upstream::answering(json_answer("200 OK", &body));
        let gateway = gateway_of(&[(provider, &upstream)]);
        let request = ask(client, "m");
        assert!(gateway.raw(&request).text() == body, "{client}");
        let asked = seen(&upstream).body.len() as u64;
        let record = gateway.record();
        assert_eq!(record.tokens(), (tokens.unwrap_or(asked.div_ceil(4)), 0), "{client}");
        assert_eq!(record.get("flags") == 0, tokens.is_some(), "{client}");
    }
}
