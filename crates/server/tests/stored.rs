//! Calls about what a provider keeps: files, batches, stored responses.

#![allow(clippy::unwrap_used, reason = "only tests call this")]

mod support;

use serde_json::{Value, json};
use sluice_types::{ErrorKind, Route};
use support::*;

const FILE: &str = r#"{"id":"file-1","object":"file","bytes":3,"filename":"a.jsonl","purpose":"batch"}"#;

fn request(method: &str, path: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = if method == "POST" { format!("content-length: {}\r\n", body.len()) } else { String::new() };
    format!(
        "{method} {path} HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {KEY}\r\n{headers}{length}\r\n{body}"
    )
    .into_bytes()
}

fn first_line(request: &[u8]) -> String {
    String::from_utf8_lossy(request).lines().next().unwrap().to_owned()
}

/// Changes that make the last of some providers one of Anthropic's.
fn anthropic(at: usize) -> Vec<(String, Value)> {
    vec![
        (format!("/providers/{at}/dialect"), json!("anthropic")),
        (format!("/providers/{at}/auth"), json!({"kind": "header", "name": "x-api-key"})),
    ]
}

fn gateway_of(upstreams: &[&Upstream], changes: &[(String, Value)]) -> Gateway {
    let changes: Vec<(&str, Value)> =
        changes.iter().map(|(place, value)| (place.as_str(), value.clone())).collect();
    Gateway::before_with(upstreams, &changes)
}

#[test]
fn calls_pass_with_method_path_and_the_query_that_is_known() {
    let upstream = Upstream::answering(json_answer("200 OK", FILE));
    let gateway = Gateway::before(&[&upstream]);
    let files = Route::Files;
    let cases = [
        (
            files,
            "GET",
            "/v1/files?limit=2&after=file-0&key=k&purpose=batch",
            "/v1/files?limit=2&after=file-0&purpose=batch",
        ),
        (files, "GET", "/openai/v1/files/file-1", "/v1/files/file-1"),
        (files, "DELETE", "/openai/files/file-1", "/v1/files/file-1"),
        (files, "GET", "/v1/files/file-1/content", "/v1/files/file-1/content"),
        (Route::Batches, "GET", "/v1/batches", "/v1/batches"),
        (Route::Batches, "GET", "/v1/batches/batch_1", "/v1/batches/batch_1"),
        (Route::Batches, "POST", "/v1/batches/batch_1/cancel", "/v1/batches/batch_1/cancel"),
        (
            Route::StoredResponses,
            "GET",
            "/v1/responses/resp_1?include[]=a&stream=true&starting_after=4",
            "/v1/responses/resp_1?include[]=a&stream=true&starting_after=4",
        ),
        (Route::StoredResponses, "DELETE", "/v1/responses/resp_1", "/v1/responses/resp_1"),
        (Route::StoredResponses, "POST", "/v1/responses/resp_1/cancel", "/v1/responses/resp_1/cancel"),
        (
            Route::StoredResponses,
            "GET",
            "/v1/responses/resp_1/input_items",
            "/v1/responses/resp_1/input_items",
        ),
    ];
    for (route, method, path, expected) in cases {
        let answer = gateway.raw(&request(method, path, "", ""));
        assert_eq!((answer.status, answer.text().as_str()), (200, FILE), "{method} {path}");
        let sent = upstream.next_request();
        assert_eq!(first_line(&sent), format!("{method} {expected} HTTP/1.1"));
        let sent = String::from_utf8(sent).unwrap();
        assert!(sent.contains(&format!("\r\nauthorization: Bearer {PROVIDER_KEY}\r\n")), "{sent}");
        assert!(!sent.contains("content-type"), "{sent}");
        assert_eq!(sent.contains("\r\ncontent-length: 0\r\n"), method == "POST", "{sent}");
        let record = gateway.record();
        assert_eq!((record.get("route"), record.get("provider_id")), (route as u64, 1), "{path}");
        assert_eq!((record.get("model_id"), record.get("target_id"), record.get("attempts")), (0, 0, 1));
        assert_eq!((record.tokens(), record.get("flags")), ((0, 0), 0));
        assert_eq!(record.get("response_bytes"), FILE.len() as u64);
    }
    let stats = gateway.is_at_rest();
    let row = stats.targets.iter().find(|row| row.target_id == 0).unwrap();
    assert_eq!((row.provider_id, row.attempts.ok), (1, cases.len() as u64));
}

#[test]
fn bodies_pass_as_they_are() {
    let upstream = Upstream::answering(json_answer("200 OK", FILE));
    let gateway = Gateway::before(&[&upstream]);
    let form = "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n{}\r\n--x--\r\n";
    let upload = request("POST", "/v1/files", "content-type: multipart/form-data; boundary=x\r\n", form);
    assert_eq!(gateway.raw(&upload).status, 200);
    let sent = String::from_utf8(upstream.next_request()).unwrap();
    assert!(sent.contains("\r\ncontent-type: multipart/form-data; boundary=x\r\n"), "{sent}");
    assert!(sent.ends_with(&format!("\r\n\r\n{form}")), "{sent}");
    let batch = r#"{"input_file_id":"file-1","endpoint":"/v1/chat/completions","completion_window":"24h"}"#;
    assert_eq!(gateway.raw(&post("/v1/batches", batch)).status, 200);
    let sent = String::from_utf8(upstream.next_request()).unwrap();
    assert!(sent.starts_with("POST /v1/batches HTTP/1.1\r\n") && sent.ends_with(batch), "{sent}");
}

#[test]
fn bad_bodies_and_paths_are_refused_before_anyone_is_asked() {
    let upstream = Upstream::answering(json_answer("200 OK", FILE));
    let gateway = Gateway::before(&[&upstream]);
    let json = "content-type: application/json\r\n";
    let cases = [
        (400, request("POST", "/v1/files", json, "{}")),
        (400, request("POST", "/v1/files", "", "x")),
        (400, request("POST", "/v1/batches", json, "{\"a\":")),
        (400, request("POST", "/v1/batches", "content-type: text/plain\r\n", "{}")),
        (400, request("GET", "/v1/files", "content-length: 2\r\n", "{}")),
        (400, request("DELETE", "/v1/files/file-1", "content-length: 2\r\n", "{}")),
        (400, request("GET", "/v1/files/../models", "", "")),
        (400, request("GET", "/v1/files/%2e%2e/models", "", "")),
        (400, request("GET", "/v1/files/a%2Fb", "", "")),
        (404, request("GET", "/v1/files/a%20b", "", "")),
        (404, request("GET", "/v1/files/.a", "", "")),
        (404, request("GET", "/v1/files/a/b", "", "")),
        (405, request("PUT", "/v1/files/a", "", "")),
        (405, request("GET", "/v1/batches/a/cancel", "", "")),
    ];
    for (status, bytes) in cases {
        let answer = gateway.raw(&bytes);
        assert_eq!(answer.status, status, "{}: {}", first_line(&bytes), answer.text());
    }
    assert_eq!(upstream.times_asked(), 0);
}

#[test]
fn the_provider_is_named_by_a_header_or_the_first_that_offers_it() {
    let (one, two, claude) = (
        Upstream::answering(json_answer("200 OK", r#"{"id":"one"}"#)),
        Upstream::answering(json_answer("200 OK", r#"{"id":"two"}"#)),
        Upstream::answering(json_answer("200 OK", r#"{"id":"claude"}"#)),
    );
    let gateway = gateway_of(&[&one, &two, &claude], &anthropic(2));
    let ask = |path: &str, headers: &str| gateway.raw(&request("GET", path, headers, ""));
    assert_eq!(ask("/v1/files", "").json()["id"], "one");
    assert_eq!(ask("/v1/files", "x-sluice-provider: p0\r\n").json()["id"], "one");
    assert_eq!(ask("/v1/files", "X-Sluice-Provider: p1\r\n").json()["id"], "two");
    assert!(!String::from_utf8(two.next_request()).unwrap().contains("x-sluice-provider"));
    // Anthropic has files and batches of its own.
    assert_eq!(ask("/v1/messages/batches?limit=3&after_id=b", "").json()["id"], "claude");
    let sent = String::from_utf8(claude.next_request()).unwrap();
    assert!(sent.starts_with("GET /v1/messages/batches?limit=3&after_id=b HTTP/1.1\r\n"), "{sent}");
    assert!(sent.contains("\r\nanthropic-version: 2023-06-01\r\n"), "{sent}");
    assert_eq!(ask("/anthropic/v1/files", "").json()["id"], "claude");
    assert_eq!(ask("/v1/files", "anthropic-version: 2023-06-01\r\n").json()["id"], "claude");
    let route = |record: Record| record.get("route");
    let routes: Vec<u64> = gateway.records().into_iter().map(route).collect();
    let expected = [
        Route::Files,
        Route::Files,
        Route::Files,
        Route::MessageBatches,
        Route::AnthropicFiles,
        Route::AnthropicFiles,
    ];
    assert_eq!(routes, expected.map(|route| route as u64));
    // Names that lead nowhere.
    for (path, headers) in [
        ("/v1/files", "x-sluice-provider: none\r\n"),
        ("/v1/files", "x-sluice-provider: p2\r\n"),
        ("/v1/files", "x-sluice-provider:\r\n"),
        ("/v1/files", "x-sluice-provider: p0\r\nx-sluice-provider: p0\r\n"),
    ] {
        let answer = ask(path, headers);
        assert_eq!((answer.status, answer.error_code().as_str()), (404, "provider_not_found"), "{headers}");
        assert_eq!(answer.header("x-should-retry"), Some("false"));
    }
    // In the shape of the caller's dialect.
    let answer = ask("/v1/messages/batches", "x-sluice-provider: p0\r\n");
    assert_eq!((answer.status, answer.json()["type"].clone()), (404, json!("error")));
    assert_eq!(answer.json()["error"]["type"], "not_found_error");
}

#[test]
fn a_restricted_key_reaches_the_providers_of_its_models_only() {
    let (one, two) = (
        Upstream::answering(json_answer("200 OK", r#"{"id":"one"}"#)),
        Upstream::answering(json_answer("200 OK", r#"{"id":"two"}"#)),
    );
    let restricted = |models: Value| Gateway::before_with(&[&one, &two], &[("/keys/0/models", models)]);
    let object =
        |gateway: &Gateway, headers: &str| gateway.raw(&request("GET", "/v1/files/file-1", headers, ""));
    let gateway = restricted(json!(["m1"]));
    for headers in ["", "x-sluice-provider: p1\r\n"] {
        assert_eq!(object(&gateway, headers).json()["id"], "two");
    }
    let answer = object(&gateway, "x-sluice-provider: p0\r\n");
    assert_eq!((answer.status, answer.error_code().as_str()), (404, "provider_not_found"));
    assert_eq!(one.times_asked(), 0);
    // Aliases and patterns lead to providers as well as names do.
    for models in [json!(["other-alias"]), json!(["pre/x"]), json!(["pre/gpt-*"]), json!(["al*"])] {
        let gateway = restricted(models);
        assert_eq!(object(&gateway, "x-sluice-provider: p0\r\n").status, 200);
        assert_eq!(object(&gateway, "x-sluice-provider: p1\r\n").status, 404);
    }
    assert_eq!(object(&restricted(json!([])), "").status, 404);
}

/// A list shows what all keys have made, and a batch has models run that no list of ours is asked about.
#[test]
fn lists_and_batches_are_for_keys_that_may_use_everything() {
    let upstream = Upstream::answering(json_answer("200 OK", FILE));
    let gateway = Gateway::before_with(&[&upstream], &[("/keys/0/models", json!(["m", "m0", "alias"]))]);
    for bytes in [
        request("GET", "/v1/files", "", ""),
        request("GET", "/v1/batches", "", ""),
        post("/v1/batches", "{}"),
        post("/v1/messages/batches", "{}"),
    ] {
        let answer = gateway.raw(&bytes);
        assert_eq!(answer.status, 403, "{}", first_line(&bytes));
        let record = gateway.record();
        assert_eq!((record.error(), record.get("key_id")), (Some(ErrorKind::NotPermitted), 7));
    }
    assert_eq!(upstream.times_asked(), 0);
    let form = "content-type: multipart/form-data; boundary=x\r\n";
    assert_eq!(gateway.raw(&request("POST", "/v1/files", form, "--x--\r\n")).status, 200);
    assert_eq!(gateway.raw(&request("GET", "/v1/batches/batch_1", "", "")).status, 200);
}

#[test]
fn keys_and_limits_hold() {
    let upstream = Upstream::answering(json_answer("200 OK", FILE));
    let limits = json!({"requests_per_minute": 1, "tokens_per_minute": 1});
    let gateway = Gateway::before_with(&[&upstream], &[("/keys/0/limits", limits)]);
    let answer =
        gateway.raw(b"GET /v1/files HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer wrong\r\n\r\n");
    assert_eq!(answer.status, 401);
    assert_eq!(gateway.raw(&get("/v1/files")).status, 200);
    let answer = gateway.raw(&get("/v1/files"));
    assert_eq!((answer.status, answer.error_code().as_str()), (429, "rate_limit_exceeded"));
    assert_eq!(upstream.times_asked(), 1);
}

#[test]
fn contents_pass_whatever_they_are() {
    let lines = "{\"custom_id\":\"1\"}\n".repeat(20_000);
    let mut answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\ncontent-disposition: attachment; filename=\"a\"\r\n\
         content-length: {}\r\n\r\n",
        lines.len()
    )
    .into_bytes();
    answer.extend_from_slice(lines.as_bytes());
    let upstream = Upstream::answering(answer);
    let gateway = Gateway::before(&[&upstream]);
    let answer = gateway.raw(&get("/v1/files/file-1/content"));
    assert_eq!((answer.status, answer.body.len()), (200, lines.len()));
    assert_eq!(answer.header("content-disposition"), Some("attachment; filename=\"a\""));
    assert_eq!(answer.text(), lines);
    let record = gateway.record();
    assert_eq!((record.tokens(), record.get("flags")), ((0, 0), 0));
    // One that is longer than may pass is refused before any of it is sent.
    let short = [("/settings/max_response_body_bytes", json!(1000))];
    let answer = Gateway::before_with(&[&upstream], &short).raw(&get("/v1/files/file-1/content"));
    assert_eq!((answer.status, answer.error_code().as_str()), (502, "upstream_invalid_response"));
}

#[test]
fn errors_of_the_provider_pass_and_are_not_tried_again() {
    let body = format!(
        r#"{{"error":{{"message":"No such File object: file-1 ({PROVIDER_KEY})","type":"invalid_request_error","param":"id","code":null}}}}"#
    );
    let missing = Upstream::answering(json_answer("404 Not Found", &body));
    let other = Upstream::answering(json_answer("200 OK", FILE));
    let gateway = Gateway::before(&[&missing, &other]);
    let answer = gateway.raw(&get("/v1/files/file-1"));
    assert_eq!(answer.status, 404);
    assert!(answer.error_message().starts_with("No such File") && !answer.text().contains(PROVIDER_KEY));
    assert_eq!(gateway.record().error(), Some(ErrorKind::UpstreamError));
    let failing =
        Upstream::answering(json_answer("500 Internal Server Error", "{\"error\":{\"message\":\"x\"}}"));
    let gateway = Gateway::before(&[&failing, &other]);
    assert_eq!(gateway.raw(&get("/v1/files/file-1")).status, 500);
    assert_eq!((failing.times_asked(), other.times_asked()), (1, 0));
}

/// What one credential has made another may not see.
#[test]
fn the_same_credential_is_used_each_time() {
    let upstream = Upstream::answering(json_answer("200 OK", FILE));
    let keys = json!([
        {"id": 1, "secret": "sk-unused-0123456789", "weight": 0},
        {"id": 2, "secret": "sk-first-0123456789", "weight": 1},
        {"id": 3, "secret": "sk-second-0123456789", "weight": 1000},
    ]);
    let gateway = Gateway::before_with(&[&upstream], &[("/providers/0/keys", keys)]);
    for _ in 0..20 {
        assert_eq!(gateway.raw(&get("/v1/files/file-1")).status, 200);
        assert!(String::from_utf8(upstream.next_request()).unwrap().contains("Bearer sk-first-0123456789"));
    }
}

#[test]
fn azure_has_its_own_paths() {
    let upstream = Upstream::answering(json_answer("200 OK", FILE));
    let gateway = Gateway::before_with(&[&upstream], &[("/providers/0/dialect", json!("azure"))]);
    assert_eq!(gateway.raw(&get("/openai/files/file-1?api-version=2020-01-01&limit=1")).status, 200);
    let line = first_line(&upstream.next_request());
    assert!(line.ends_with("/openai/files/file-1?api-version=2024-10-21&limit=1 HTTP/1.1"), "{line}");
}
