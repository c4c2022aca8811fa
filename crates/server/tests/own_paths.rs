//! Providers whose calls go elsewhere than their dialect has them, and Claude on Vertex AI, whose bodies differ too.

#![allow(clippy::unwrap_used, reason = "only tests call this")]

mod support;

use serde_json::{Value, json};
use support::dialects::*;
use support::*;

const VERTEX_VERSION: &str = "vertex-2023-10-16";

/// The changes that make the first provider one of other paths.
fn paths(of: &[(&str, &str)]) -> Value {
    of.iter().map(|(call, path)| json!({"call": call, "path": path})).collect()
}

fn claude_on_vertex(upstream: &Upstream) -> Gateway {
    let own = paths(&[
        ("chat", "/publishers/anthropic/models/{model}:rawPredict"),
        ("chat_stream", "/publishers/anthropic/models/{model}:streamRawPredict"),
        ("count_tokens", "/publishers/anthropic/models/count-tokens:rawPredict"),
    ]);
    let changes = [
        ("/providers/0/paths", own),
        ("/providers/0/quirks", json!(["vertex_body"])),
        ("/providers/0/auth", json!({"kind": "bearer"})),
    ];
    gateway_with(&[(ANTHROPIC, upstream)], &changes)
}

#[test]
fn requests_of_anthropics_clients_pass_to_vertex_with_the_version_in_place_of_the_model() {
    for (stream, method) in [(false, "rawPredict"), (true, "streamRawPredict")] {
        let answer = if stream { ANTHROPIC.streamed("text") } else { ANTHROPIC.answer("text") };
        let upstream = Upstream::answering(answer);
        let gateway = claude_on_vertex(&upstream);
        for (asked, named) in [("m", "m"), ("alias", "real-name"), ("pre/claude@1", "claude%401")] {
            let extra = json!({"metadata": {"x": 1e3, "model": "inner"}});
            let lines = "anthropic-beta: some-beta\r\n";
            let request = ANTHROPIC.request_with(asked, stream, lines, &extra);
            let request =
                String::from_utf8(request).unwrap().replacen("/v1/messages", "/v1/messages?beta=true", 1);
            let answer = gateway.raw(request.as_bytes());
            assert_eq!((answer.status, answer.whole), (200, true), "{}", answer.text());
            let sent = seen(&upstream);
            assert_eq!(sent.line, format!("POST /v1/publishers/anthropic/models/{named}:{method}"));
            assert_eq!(sent.header("anthropic-beta"), Some("some-beta"));
            assert_eq!(sent.header("authorization"), Some(&*format!("bearer {PROVIDER_KEY}")));
            let mut wanted = with_members(ANTHROPIC.body(asked, stream), &extra);
            wanted.as_object_mut().unwrap().remove("model");
            wanted["anthropic_version"] = json!(VERTEX_VERSION);
            assert_eq!(sent.json(), wanted);
            // Everything else is as the client wrote it, in its order.
            let text = String::from_utf8(sent.body).unwrap();
            let member = format!("\"anthropic_version\":\"{VERTEX_VERSION}\"");
            let undone = text.replacen(&member, &format!("\"model\":\"{asked}\""), 1);
            assert!(request.ends_with(&undone), "{undone}");
            assert!(gateway.record().tokens().0 > 0);
        }
    }
}

#[test]
fn tokens_are_counted_on_vertex_where_the_body_has_version_and_model() {
    let upstream = Upstream::answering(json_answer("200 OK", r#"{"input_tokens": 42}"#));
    let gateway = claude_on_vertex(&upstream);
    for (asked, named) in [("m", "m"), ("alias", "real-name")] {
        let answer =
            gateway.raw(&post("/v1/messages/count_tokens", &ANTHROPIC.body(asked, false).to_string()));
        assert_eq!((answer.status, answer.json()["input_tokens"].as_u64()), (200, Some(42)));
        let sent = seen(&upstream);
        assert_eq!(sent.line, "POST /v1/publishers/anthropic/models/count-tokens:rawPredict");
        let wanted = with_members(
            ANTHROPIC.body(asked, false),
            &json!({"anthropic_version": VERTEX_VERSION, "model": named}),
        );
        assert_eq!(sent.json(), wanted);
    }
}

#[test]
fn clients_of_all_dialects_reach_claude_on_vertex() {
    for api in CLIENTS.into_iter().filter(|api| *api != ANTHROPIC) {
        for (stream, method) in [(false, "rawPredict"), (true, "streamRawPredict")] {
            let answer = if stream { ANTHROPIC.streamed("text") } else { ANTHROPIC.answer("text") };
            let upstream = Upstream::answering(answer);
            let gateway = claude_on_vertex(&upstream);
            let answer = gateway.raw(&api.request("alias", stream));
            assert_eq!(answer.status, 200, "{}: {}", api.name, answer.text());
            assert!(!api.read(&answer).text.is_empty(), "{}", api.name);
            let sent = seen(&upstream);
            assert_eq!(sent.line, format!("POST /v1/publishers/anthropic/models/real-name:{method}"));
            let body = sent.json();
            assert_eq!((&body["anthropic_version"], &body["model"]), (&json!(VERTEX_VERSION), &Value::Null));
            assert_eq!(body["stream"], if stream { json!(true) } else { Value::Null });
        }
    }
}

#[test]
fn a_version_of_the_clients_own_is_refused_and_so_is_what_vertex_has_not() {
    let upstream = Upstream::answering(ANTHROPIC.answer("text"));
    let gateway = claude_on_vertex(&upstream);
    let body = with_members(ANTHROPIC.body("m", false), &json!({"anthropic_version": "x"}));
    let answer = gateway.raw(&post("/v1/messages", &body.to_string()));
    assert_eq!((answer.status, answer.json()["type"].as_str()), (400, Some("error")), "{}", answer.text());
    assert!(answer.text().contains("anthropic_version"));
    let batches = format!("GET /v1/messages/batches HTTP/1.1\r\nhost: g\r\nx-api-key: {KEY}\r\n\r\n");
    assert!(gateway.raw(batches.as_bytes()).status >= 400);
    assert_eq!(upstream.times_asked(), 0);
}

#[test]
fn chats_and_embeddings_go_where_the_configuration_says() {
    let own = paths(&[
        ("chat", "/x/{model}:predict?v=1"),
        ("chat_stream", "/x/{model}:stream"),
        ("embeddings", "/embed"),
    ]);
    let cases = [
        ("m", "m", None, "m"),
        ("pre/a:b", "a%3Ab", None, "a:b"),
        ("alias", "real-name", Some(""), ""),
        ("alias", "real-name", Some("model"), "model"),
    ];
    for (asked, in_path, fixed, in_body) in cases {
        let mut changes = vec![("/providers/0/paths", own.clone())];
        changes.extend(fixed.map(|name| ("/providers/0/model_in_body", json!(name))));
        let upstream = Upstream::answering(OPENAI.answer("text"));
        let gateway = gateway_with(&[(OPENAI, &upstream)], &changes);
        for api in [OPENAI, GEMINI] {
            let answer = gateway.raw(&api.request(asked, false));
            assert_eq!(answer.status, 200, "{}", answer.text());
            let sent = seen(&upstream);
            assert_eq!(sent.line, format!("POST /v1/x/{in_path}:predict?v=1"));
            assert_eq!(sent.json()["model"], in_body, "{}", api.name);
        }
        let streaming = Upstream::answering(OPENAI.streamed("text"));
        let gateway = gateway_with(&[(OPENAI, &streaming)], &changes);
        for api in [OPENAI, ANTHROPIC] {
            let answer = gateway.raw(&api.request(asked, true));
            assert_eq!((answer.status, answer.whole), (200, true), "{}", answer.text());
            assert!(api.read(&answer).ended);
            let sent = seen(&streaming);
            assert_eq!(
                (&*sent.line, &sent.json()["model"]),
                (&*format!("POST /v1/x/{in_path}:stream"), &json!(in_body))
            );
        }
    }
    let vectors = Upstream::answering(json_answer(
        "200 OK",
        r#"{"object":"list","model":"m","data":[{"object":"embedding","index":0,"embedding":[0.5]}],"usage":{"prompt_tokens":1,"total_tokens":1}}"#,
    ));
    let gateway = gateway_with(&[(OPENAI, &vectors)], &[("/providers/0/paths", own)]);
    let requests = [
        ("/v1/embeddings", json!({"model": "m", "input": "a"})),
        (
            "/v2/embed",
            json!({"model": "m", "input_type": "search_query", "embedding_types": ["float"], "texts": ["a"]}),
        ),
    ];
    for (path, body) in requests {
        let answer = gateway.raw(&post(path, &body.to_string()));
        assert_eq!(answer.status, 200, "{}", answer.text());
        let sent = seen(&vectors);
        assert_eq!((&*sent.line, &sent.json()["model"]), ("POST /v1/embed", &json!("m")));
    }
}

#[test]
fn a_snapshot_with_paths_that_cannot_be_sent_is_refused_by_place_and_name() {
    let upstream = Upstream::answering(OPENAI.answer("text"));
    let gateway = gateway_of(&[(OPENAI, &upstream)]);
    let cases = [
        (paths(&[("chat", "chat")]), Value::Null, "providers[0].paths[0].path", "bad_path"),
        (paths(&[("chat", "/a\r\nx: y")]), Value::Null, "providers[0].paths[0].path", "bad_path"),
        (
            paths(&[("chat", "/a"), ("chat", "/b")]),
            Value::Null,
            "providers[0].paths[1].call",
            "duplicate_call",
        ),
        (paths(&[("count_tokens", "/a")]), Value::Null, "providers[0].paths[0].call", "unknown_call"),
        (paths(&[("chat", "/a")]), json!("m"), "providers[0].model_in_body", "unused_name"),
    ];
    for (own, model, path, code) in cases {
        let changes =
            [("/version", json!(2)), ("/providers/0/paths", own), ("/providers/0/model_in_body", model)];
        let changed = with(snapshot_of(&[(OPENAI, &upstream)]), &changes);
        let refused = gateway.plane.apply(&parse(&changed)).unwrap_err();
        assert_eq!((refused.path.as_str(), refused.code), (path, code), "{}", refused.message);
    }
    assert_eq!(gateway.raw(&OPENAI.request("m", false)).status, 200);
}
