//! What is asked besides chats: counts of tokens, models, embeddings, rerank, and the paths under which SDKs ask.

#![allow(clippy::unwrap_used, reason = "only tests call this")]

mod support;

use serde_json::{Value, json};
use support::dialects::*;
use support::*;

const GEMINI_COUNT: &str = "/v1beta/models/m:countTokens";

#[test]
fn tokens_are_counted_by_the_provider() {
    let cases = [
        (ANTHROPIC, "/v1/messages/count_tokens", r#"{"input_tokens": 42}"#),
        (GEMINI, GEMINI_COUNT, r#"{"totalTokens": 42, "promptTokensDetails": []}"#),
    ];
    for (api, path, document) in cases {
        let upstream = Upstream::answering(json_answer("200 OK", document));
        let gateway = gateway_of(&[(api, &upstream)]);
        let body = api.body("m", false).to_string();
        let answer = gateway.raw(&post(path, &body));
        assert_eq!((answer.status, answer.text().as_str()), (200, document));
        let sent = seen(&upstream);
        assert_eq!((sent.line, sent.body), (format!("POST {path}"), body.into_bytes()));
        // To count costs nothing.
        let record = gateway.record();
        assert_eq!((record.tokens(), record.get("flags"), record.error()), ((0, 0), 0, None));
    }
}

#[test]
fn tokens_are_estimated_where_no_provider_counts() {
    let upstream = Upstream::answering(OPENAI.answer("text"));
    let gateway = gateway_of(&[(OPENAI, &upstream)]);
    let cases = [
        (ANTHROPIC, "/v1/messages/count_tokens", "input_tokens"),
        (GEMINI, GEMINI_COUNT, "totalTokens"),
        (ANTHROPIC, "/anthropic/v1/messages/count_tokens?beta=true", "input_tokens"),
    ];
    for (api, path, member) in cases {
        let body = api.body("m", false).to_string();
        let answer = gateway.raw(&post(path, &body));
        assert_eq!(answer.status, 200, "{}", answer.text());
        let estimate = answer.json()[member].as_u64().unwrap();
        assert_eq!(estimate, (body.len() as u64).div_ceil(4));
        assert_eq!((gateway.record().tokens(), upstream.times_asked()), ((0, 0), 0));
    }
}

#[test]
fn an_estimate_is_a_request_like_any_other_to_the_limits() {
    let upstream = Upstream::answering(OPENAI.answer("text"));
    let limits = [("/keys/0/limits", json!({"requests_per_minute": 1}))];
    let gateway = gateway_with(&[(OPENAI, &upstream)], &limits);
    let count = post("/v1/messages/count_tokens", &ANTHROPIC.body("m", false).to_string());
    assert_eq!([gateway.raw(&count).status, gateway.raw(&count).status], [200, 429]);
}

/// A provider that counts is asked even where another is preferred.
#[test]
fn whoever_of_the_models_providers_counts_is_asked() {
    let first = Upstream::answering(OPENAI.answer("text"));
    let second = Upstream::answering(json_answer("200 OK", r#"{"input_tokens":42}"#));
    let gateway = gateway_of(&[(OPENAI, &first), (ANTHROPIC, &second)]);
    let body = ANTHROPIC.body("m", false).to_string();
    let answer = gateway.raw(&post("/v1/messages/count_tokens", &body));
    assert_eq!((answer.status, answer.text().as_str()), (200, r#"{"input_tokens":42}"#));
    assert_eq!(first.times_asked(), 0);
}

#[test]
fn models_are_listed_in_three_shapes() {
    let upstream = Upstream::answering(OPENAI.answer("text"));
    let gateway = gateway_of(&[(OPENAI, &upstream)]);
    let get_with = |path: &str, lines: &str| {
        let bytes = format!("GET {path} HTTP/1.1\r\nhost: g\r\nx-api-key: {KEY}\r\n{lines}\r\n");
        gateway.raw(bytes.as_bytes()).json()
    };
    let version = "anthropic-version: 2023-06-01\r\n";
    for path in ["/v1/models", "/openai/v1/models", "/openai/models", "/cohere/v1/models"] {
        let list = get_with(path, "");
        assert_eq!((&list["object"], &list["data"][0]["id"]), (&json!("list"), &json!("m")), "{path}");
    }
    for (path, lines) in [("/v1/models?limit=100", version), ("/anthropic/v1/models", "")] {
        let list = get_with(path, lines);
        assert_eq!((&list["has_more"], &list["first_id"]), (&json!(false), &json!("m")), "{path}");
        let first = &list["data"][0];
        assert_eq!((&first["type"], &first["id"]), (&json!("model"), &json!("m")));
        assert!(first["created_at"].is_string() && first["display_name"].is_string());
    }
    for path in ["/v1beta/models", "/genai/v1beta/models?pageSize=50", "/genai/v1/models"] {
        let list = get_with(path, "");
        assert_eq!(list["models"][0]["name"], "models/m", "{path}");
        assert!(list["models"][0]["supportedGenerationMethods"].is_array());
    }
    assert_eq!(get_with("/v1/models/m", "")["object"], "model");
    assert_eq!(get_with("/v1/models/m", version)["type"], "model");
    assert_eq!(get_with("/anthropic/v1/models/m", "")["type"], "model");
    assert_eq!(get_with("/v1beta/models/m", "")["name"], "models/m");
    assert_eq!(get_with("/genai/v1beta/models/m", "")["name"], "models/m");
}

#[test]
fn sdks_find_their_paths_under_their_prefixes() {
    let cases = [
        (OPENAI, "/openai/v1/chat/completions"),
        (OPENAI, "/openai/chat/completions"),
        (ANTHROPIC, "/anthropic/v1/messages"),
        (GEMINI, "/genai/v1beta/models/m:generateContent"),
        (GEMINI, "/genai/v1/models/m:generateContent"),
        (GEMINI, "/v1/models/m:generateContent"),
        (VERTEX, "/genai/v1beta1/projects/x/locations/y/publishers/google/models/m:generateContent"),
        (VERTEX, "/v1/projects/x/locations/y/publishers/google/models/m:generateContent"),
        (BEDROCK, "/bedrock/model/m/converse"),
        (COHERE, "/cohere/v2/chat"),
    ];
    for_each(cases, |(api, path)| {
        let upstream = Upstream::answering(api.answer("text"));
        let gateway = gateway_of(&[(api, &upstream)]);
        let answer = gateway.raw(&post(path, &api.body("m", false).to_string()));
        assert!(answer.status == 200 && answer.body == api.document("text"), "{path}: {}", answer.text());
        assert_eq!(seen(&upstream).line, format!("POST {}", api.path("m", false)));
    });
}

/// Azure's clients name the model in the path, and in the body perhaps not.
#[test]
fn azures_deployment_paths() {
    let bodies = [
        (r#"{"messages":[],"x":1.0}"#, r#"{"model":"NAME","messages":[],"x":1.0}"#),
        (r#" { "messages":[], "model": "other" }"#, r#" { "messages":[], "model": "NAME" }"#),
    ];
    for (asked, name) in [("m0", "m0"), ("alias", "real-name"), ("pre%2Fa%2Fb", "a/b")] {
        for (body, sent) in bodies {
            let upstream = Upstream::answering(json_answer("200 OK", COMPLETION));
            let gateway = gateway_of(&[(OPENAI, &upstream)]);
            let path = format!("/openai/deployments/{asked}/chat/completions?api-version=2024-10-21");
            let answer = gateway.raw(&post(&path, body));
            assert_eq!(answer.status, 200, "{}", answer.text());
            let seen = seen(&upstream);
            assert_eq!(seen.line, "POST /v1/chat/completions");
            assert_eq!(String::from_utf8(seen.body).unwrap(), sent.replace("NAME", name));
        }
    }
    let upstream = Upstream::answering(json_answer("200 OK", r#"{"data":[]}"#));
    let gateway = gateway_of(&[(OPENAI, &upstream)]);
    let path = "/openai/deployments/alias/images/generations";
    assert_eq!(gateway.raw(&post(path, r#"{"prompt":"x"}"#)).status, 200);
    assert_eq!(seen(&upstream).json(), json!({"model": "real-name", "prompt": "x"}));
    // Towards Azure the model is in the path whatever the client speaks.
    let azure = Upstream::answering(OPENAI.answer("text"));
    let changes = [
        ("/providers/0/dialect", json!("azure")),
        ("/providers/0/base_url", json!(format!("http://{}", azure.address))),
        ("/providers/0/auth", json!({"kind": "header", "name": "api-key"})),
        ("/providers/0/api_version", json!("2025-01-01-preview")),
    ];
    let gateway = gateway_with(&[(OPENAI, &azure)], &changes);
    let path = "/openai/deployments/pre%2Fa:b/chat/completions?api-version=x";
    let requests = [
        post(path, r#"{"messages":[]}"#),
        OPENAI.request("pre/a:b", false),
        ANTHROPIC.request("pre/a:b", false),
    ];
    for request in requests {
        let answer = gateway.raw(&request);
        assert_eq!(answer.status, 200, "{}", answer.text());
        let sent = seen(&azure);
        assert_eq!(
            sent.line,
            "POST /openai/deployments/a%3Ab/chat/completions?api-version=2025-01-01-preview"
        );
        assert_eq!(sent.header("api-key"), Some(PROVIDER_KEY));
    }
}

/// Every refusal of ours, told in the caller's dialect.
#[test]
fn refusals_are_told_in_the_callers_dialect() {
    let upstream = Upstream::answering(OPENAI.answer("text"));
    let changes = [("/settings/max_request_body_bytes", json!(2000))];
    let gateway = gateway_with(&[(OPENAI, &upstream)], &changes);
    let throttled =
        gateway_with(&[(OPENAI, &upstream)], &[("/keys/0/limits", json!({"requests_per_minute": 1}))]);
    throttled.raw(&OPENAI.request("m", false));
    for api in CLIENTS {
        let path = api.path("m", false);
        let unknown = api.request("nosuch", false);
        let no_key = String::from_utf8(api.request("m", false)).unwrap().replace(KEY, "sk-slc-wrong");
        let long = post(&path, &with_filler(api));
        let wrong_method = format!("DELETE {path} HTTP/1.1\r\nhost: g\r\nx-api-key: {KEY}\r\n\r\n");
        let broken = post(&path, "{\"model\":");
        let answers = [
            (401, gateway.raw(no_key.as_bytes())),
            (404, gateway.raw(&unknown)),
            (413, gateway.raw(&long)),
            (405, gateway.raw(wrong_method.as_bytes())),
            (400, gateway.raw(&broken)),
            (429, throttled.raw(&api.request("m", false))),
        ];
        for (status, answer) in answers {
            assert_eq!(answer.status, status, "{}: {}", api.name, answer.text());
            let body = answer.json();
            let (at, name) = match api.name {
                "openai" | "openai_responses" => ("/error/code", None),
                "anthropic" => ("/error/type", Some(anthropic_error(status))),
                "gemini" => ("/error/status", Some(google_status(status))),
                _ => ("/message", None),
            };
            let found = body.pointer(at).and_then(Value::as_str);
            assert!(found.is_some(), "{} {status}: {}", api.name, answer.text());
            assert!(name.is_none_or(|name| found == Some(name)), "{} {status}: {found:?}", api.name);
            assert_eq!(answer.header("x-amzn-errortype").is_some(), api == BEDROCK, "{status}");
            assert_eq!(answer.header("retry-after").is_some(), status == 429, "{} {status}", api.name);
            assert_eq!(answer.header("allow").is_some(), status == 405, "{} {status}", api.name);
        }
    }
}

fn with_filler(api: Api) -> String {
    let mut body = api.body("m", false);
    body["filler"] = json!("x".repeat(3000));
    body.to_string()
}

fn anthropic_error(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        _ => "invalid_request_error",
    }
}

fn google_status(status: u16) -> &'static str {
    match status {
        401 => "UNAUTHENTICATED",
        404 => "NOT_FOUND",
        429 => "RESOURCE_EXHAUSTED",
        _ => "INVALID_ARGUMENT",
    }
}

/// Paths that lead nowhere, and lists of models, are refused in the dialect of whoever asks there.
#[test]
fn paths_that_lead_nowhere_are_refused_in_the_dialect_of_their_prefix() {
    let gateway = Gateway::start(&snapshot(&[]));
    let shape = |path: &str, key: &str, lines: &str| {
        let bytes = format!("GET {path} HTTP/1.1\r\nhost: g\r\nx-api-key: {key}\r\n{lines}\r\n");
        let answer = gateway.raw(bytes.as_bytes());
        let body = answer.json();
        let shape = match (&body["type"], &body["error"]["status"], &body["error"]["code"]) {
            (Value::String(_), _, _) => "anthropic",
            (_, Value::String(_), _) => "gemini",
            (_, _, Value::String(_)) => "openai",
            _ if answer.header("x-amzn-errortype").is_some() => "bedrock",
            _ => "cohere",
        };
        (answer.status, shape)
    };
    let version = "anthropic-version: 2023-06-01\r\n";
    assert_eq!(shape("/v1/nothing", KEY, ""), (404, "openai"));
    assert_eq!(shape("/anthropic/v1/nothing", KEY, ""), (404, "anthropic"));
    assert_eq!(shape("/v1/messages/batches", KEY, ""), (404, "anthropic"));
    assert_eq!(shape("/v1beta/nothing", KEY, ""), (404, "gemini"));
    assert_eq!(shape("/bedrock/nothing", KEY, ""), (404, "bedrock"));
    assert_eq!(shape("/v2/nothing", KEY, ""), (404, "cohere"));
    assert_eq!(shape("/v1beta/models", "no", ""), (401, "gemini"));
    assert_eq!(shape("/v1/models", "no", ""), (401, "openai"));
    assert_eq!(shape("/v1/models", "no", version), (401, "anthropic"));
    assert_eq!(shape("/v1/models/nosuch", KEY, version), (404, "anthropic"));
    assert_eq!(shape("/genai/v1beta/models/nosuch", KEY, ""), (404, "gemini"));
}

/// Dialects without a place for it tell in the message which member is at fault.
#[test]
fn a_refusal_names_the_member_at_fault() {
    let upstream = Upstream::answering(json_answer("200 OK", "{}"));
    let gateway = gateway_of(&[(OPENAI, &upstream)]);
    let cases = [
        ("/model/m/converse", r#"{"messages":5}"#, "/message"),
        ("/v1/messages", r#"{"model":"m","max_tokens":9,"messages":5}"#, "/error/message"),
        ("/v1beta/models/m:generateContent", r#"{"contents":5}"#, "/error/message"),
    ];
    for (path, body, place) in cases {
        let answer = gateway.raw(&post(path, body));
        let document = answer.json();
        let message = document.pointer(place).and_then(Value::as_str).unwrap_or_default();
        let member = if path.contains("v1beta") { "contents" } else { "messages" };
        assert!(answer.status == 400 && message.contains(member), "{path}: {}", answer.text());
    }
}
