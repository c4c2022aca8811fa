//! What the gateway answers itself: the models of a key, health and readiness.

#![allow(clippy::unwrap_used, reason = "only tests call this")]

mod support;

use serde_json::{Value, json};
use support::*;

const NAMES: [&str; 5] = ["gpt-4o", "openai/gpt-4o", "@cf/meta/llama-3", "ft:gpt-4o:org::id", "a b"];

fn gateway(allowed: Value) -> Gateway {
    let models: Vec<Value> =
        (1..).zip(NAMES).map(|(id, name)| json!({"id": id, "name": name, "targets": []})).collect();
    let wildcard = json!({"id": 90, "name": "star-*", "aliases": ["alias"], "targets": []});
    let models = json!([models, vec![wildcard]].concat());
    Gateway::start(&with(snapshot(&[]), &[("/models", models), ("/keys/0/models", allowed)]))
}

fn listed(gateway: &Gateway) -> Vec<String> {
    let list = gateway.raw(&get("/v1/models")).json();
    assert_eq!(list["object"], "list");
    let data = list["data"].as_array().unwrap();
    assert!(
        data.iter().all(|model| model["object"] == "model"
            && model["owned_by"].is_string()
            && model["created"] == 0)
    );
    data.iter().map(|model| model["id"].as_str().unwrap().to_string()).collect()
}

#[test]
fn a_key_sees_the_models_it_may_use() {
    let all: Vec<&str> = NAMES.into_iter().chain(["alias"]).collect();
    assert_eq!(listed(&gateway(json!(["*"]))), all);
    assert_eq!(listed(&gateway(json!(["gpt-*", "openai/*"]))), NAMES[..2]);
    assert_eq!(listed(&gateway(json!([]))), [""; 0]);
}

/// A name with a slash comes plainly from one SDK and escaped from another.
#[test]
fn a_model_is_found_by_its_name_however_it_is_escaped() {
    let gateway = gateway(json!(["*"]));
    let found = [
        ("/v1/models/gpt-4o", "gpt-4o"),
        ("/v1/models/openai/gpt-4o", "openai/gpt-4o"),
        ("/v1/models/openai%2Fgpt-4o", "openai/gpt-4o"),
        ("/v1/models/openai%2fgpt-4o?x=1", "openai/gpt-4o"),
        ("/v1/models/%40cf%2Fmeta%2Fllama-3", "@cf/meta/llama-3"),
        ("/v1/models/ft%3Agpt-4o%3Aorg%3A%3Aid", "ft:gpt-4o:org::id"),
        ("/v1/models/a%20b", "a b"),
        ("/v1/models/star-x", "star-x"),
        ("/v1/models/alias", "alias"),
    ];
    for (path, id) in found {
        let answer = gateway.raw(&get(path));
        assert_eq!((answer.status, answer.json()["id"].as_str()), (200, Some(id)), "{path}");
        assert_eq!(gateway.record().get("status"), 200);
    }
    let refused = [
        (404, "/v1/models/none"),
        (404, "/v1/models/"),
        (404, "/v1/models/openai"),
        (400, "/v1/models/..%2Fchat%2Fcompletions"),
        (400, "/v1/models/openai%252Fgpt-4o"),
        (400, "/v1/models/openai%2Fgpt-4o/x"),
        (400, "/v1/models%2Fgpt-4o"),
        (400, "/v1/chat%2Fcompletions"),
        (400, "/v1/models/%2e%2e%2fchat"),
        (400, "/v1/models/../models"),
    ];
    for (status, path) in refused {
        assert_eq!(gateway.raw(&get(path)).status, status, "{path}");
    }
}

/// What a key may not use looks the same as what does not exist, on every route and by every name.
#[test]
fn a_model_that_is_not_allowed_does_not_exist() {
    let upstream = Upstream::answering(json_answer("200 OK", COMPLETION));
    let gateway = Gateway::before_with(&[&upstream], &[("/keys/0/models", json!(["other-alias", "pre/a*"]))]);
    let routes = [
        ("/v1/chat/completions", r#"{"model":"NAME","messages":[]}"#),
        ("/v1/completions", r#"{"model":"NAME","prompt":""}"#),
        ("/v1/embeddings", r#"{"model":"NAME","input":""}"#),
        ("/v1/responses", r#"{"model":"NAME","input":""}"#),
    ];
    let message = |answer: &Answer, name: &str| answer.error_message().replace(&format!("`{name}`"), "NAME");
    for (path, body) in routes {
        let ask = |name: &str| gateway.raw(&post(path, &body.replace("NAME", name)));
        assert_eq!([ask("other-alias").status, ask("pre/abc").status], [200, 200], "{path}");
        let unknown = ask("unknown");
        for name in ["m", "m0", "alias", "real-name", "pre/b", "pre/*", "*"] {
            let answer = ask(name);
            assert_eq!(
                (answer.status, answer.error_code()),
                (404, "model_not_found".into()),
                "{path} {name}"
            );
            assert_eq!(message(&answer, name), message(&unknown, "unknown"), "{path} {name}");
            assert_eq!(answer.json()["error"]["param"], "model");
        }
    }
    assert_eq!(gateway.raw(&get("/v1/models/m")).status, 404);
    assert_eq!(gateway.raw(&get("/v1/models/other-alias")).status, 200);
    assert_eq!(upstream.times_asked(), 8);
}

#[test]
fn health_needs_no_key_and_tells_nothing() {
    let gateway = gateway(json!(["*"]));
    for (path, body) in [("/healthz", "ok\n"), ("/readyz", "ready\n")] {
        let answer = gateway.raw(format!("GET {path} HTTP/1.1\r\nhost: g\r\n\r\n").as_bytes());
        assert_eq!((answer.status, answer.text().as_str()), (200, body));
    }
    gateway.plane.set_unready();
    let answer = gateway.raw(b"GET /readyz HTTP/1.1\r\nhost: g\r\n\r\n");
    assert_eq!((answer.status, answer.text().as_str()), (503, "draining\n"));
    assert_eq!(gateway.raw(b"GET /healthz HTTP/1.1\r\nhost: g\r\n\r\n").status, 200);
    assert!(gateway.records().is_empty());
}

/// As each API has it: pages with ids around them, pages with a token to the next, and all at once.
#[test]
fn lists_come_in_the_pages_of_their_dialect() {
    let names: Vec<String> = (1..=60).map(|nth| format!("n/{nth:02}")).collect();
    let models: Vec<Value> =
        (1..).zip(&names).map(|(id, name)| json!({"id": id, "name": name, "targets": []})).collect();
    let gateway = Gateway::start(&with(snapshot(&[]), &[("/models", json!(models))]));
    let get_as = |path: &str, header: &str| {
        let head = format!("GET {path} HTTP/1.1\r\nhost: g\r\nauthorization: Bearer {KEY}\r\n{header}\r\n");
        gateway.raw(head.as_bytes())
    };
    let anthropic = |query: &str| {
        let list = get_as(&format!("/v1/models{query}"), "anthropic-version: 2023-06-01\r\n").json();
        let ids: Vec<String> = list["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|model| model["id"].as_str().unwrap().into())
            .collect();
        assert_eq!(list["first_id"].as_str(), ids.first().map(String::as_str), "{query}");
        assert_eq!(list["last_id"].as_str(), ids.last().map(String::as_str), "{query}");
        (ids, list["has_more"].as_bool().unwrap())
    };
    assert_eq!(anthropic(""), (names[..20].to_vec(), true));
    assert_eq!(anthropic("?after_id=n%2F20&limit=20"), (names[20..40].to_vec(), true));
    assert_eq!(anthropic("?after_id=n%2F40"), (names[40..].to_vec(), false));
    assert_eq!(anthropic("?before_id=n%2F21&limit=5"), (names[15..20].to_vec(), true));
    assert_eq!(anthropic("?limit=1000"), (names.clone(), false));
    let refused = get_as("/v1/models?limit=0", "anthropic-version: 2023-06-01\r\n");
    assert_eq!(refused.status, 400);
    assert_eq!(refused.json()["error"]["message"], "limit: found `0`, expected a number from 1 to 1000.");

    let gemini = |query: &str| get_as(&format!("/v1beta/models{query}"), "").json();
    let of_page = |list: &Value| -> Vec<String> {
        let models = list["models"].as_array().unwrap();
        models.iter().map(|model| model["baseModelId"].as_str().unwrap().to_owned()).collect()
    };
    let first = gemini("");
    assert_eq!(of_page(&first), names[..50]);
    let token = first["nextPageToken"].as_str().unwrap();
    let second = gemini(&format!("?pageToken={token}"));
    assert_eq!((of_page(&second), second.get("nextPageToken")), (names[50..].to_vec(), None));
    assert_eq!(of_page(&gemini("?pageSize=1000")), names);
    let refused = get_as("/v1beta/models?pageToken=x", "");
    assert_eq!((refused.status, refused.json()["error"]["status"].as_str()), (400, Some("INVALID_ARGUMENT")));

    let all = get_as("/v1/models?limit=1", "").json();
    assert_eq!(all["data"].as_array().unwrap().len(), 60);
}

#[test]
fn a_model_of_embeddings_says_to_gemini_what_it_is_for() {
    let models = json!([
        {"id": 1, "name": "vectors", "info": {"embeds": true, "context_window": 2048}, "targets": []},
        {"id": 2, "name": "words", "targets": []},
    ]);
    let gateway = Gateway::start(&with(snapshot(&[]), &[("/models", models)]));
    let golden = json!({"models": [
        {
            "name": "models/vectors", "baseModelId": "vectors", "displayName": "vectors", "inputTokenLimit": 2048,
            "supportedGenerationMethods": ["embedContent", "batchEmbedContents"],
        },
        {
            "name": "models/words", "baseModelId": "words", "displayName": "words",
            "supportedGenerationMethods": ["generateContent", "streamGenerateContent", "countTokens"],
        },
    ]});
    assert_eq!(gateway.raw(&get("/v1beta/models")).json(), golden);
    assert_eq!(gateway.raw(&get("/v1beta/models/vectors")).json(), golden["models"][0]);
}
