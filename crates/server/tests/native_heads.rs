//! What goes to a provider around the body: path, model, query, headers, credential, signature.

#![allow(clippy::unwrap_used, reason = "only tests call this")]

mod support;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use support::dialects::*;
use support::*;

/// A model's target under another name.
fn renamed(name: &str) -> Value {
    json!([{"id": 90, "provider": 1, "weight": 1, "tier": 0, "upstream_model": name}])
}

#[test]
fn the_model_is_renamed_in_the_path_escaped_once() {
    let arn = "arn:aws:bedrock:us-east-1:1:inference-profile/us.x-v1:0";
    let escaped = "arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fus.x-v1%3A0";
    // What the client asks for, and what the provider is asked for.
    let cases = [
        ("m0", "m0"),
        ("alias", "real-name"),
        ("other-alias", "real-name"),
        ("pre%2Fgemini-2.5", "gemini-2.5"),
        ("pre%2Fa%2Fb:c", "a%2Fb%3Ac"),
        ("fixed", escaped),
        ("a%3Ab", "a%3Ab"),
    ];
    for_each([GEMINI, VERTEX, BEDROCK], |api| {
        let upstream = Upstream::answering(api.answer("text"));
        let mut snapshot = snapshot_of(&[(api, &upstream)]);
        let models = snapshot["models"].as_array_mut().unwrap();
        models.push(json!({"id": 80, "name": "fixed", "targets": renamed(arn)}));
        models.push(json!({"id": 81, "name": "a:b",
            "targets": [{"id": 91, "provider": 1, "weight": 1, "tier": 0}]}));
        let gateway = Gateway::start(&snapshot);
        for (asked, sent) in cases {
            let answer = gateway.raw(&api.request(asked, false));
            assert_eq!(answer.status, 200, "{} {asked}: {}", api.name, answer.text());
            assert_eq!(seen(&upstream).line, format!("POST {}", api.path(sent, false)), "{asked}");
        }
        if api != BEDROCK {
            // Google's clients leave a slash as it is.
            assert_eq!(gateway.raw(&api.request("pre/a/b", false)).status, 200);
            assert_eq!(seen(&upstream).line, format!("POST {}", api.path("a%2Fb", false)));
        }
    });
}

#[test]
fn the_model_is_renamed_in_the_body_and_nothing_else_is() {
    for_each([ANTHROPIC, COHERE], |api| {
        let upstream = Upstream::answering(api.answer("text"));
        let gateway = gateway_of(&[(api, &upstream)]);
        for (asked, sent) in [("m0", "m0"), ("alias", "real-name"), ("pre/a/b:c", "a/b:c")] {
            let body =
                format!(r#"{{ "x" : [1.50, "é"] , "model":"{asked}","messages":[], "max_tokens":1e0}}"#);
            let answer = gateway.raw(&post(&api.path("", false), &body));
            assert_eq!(answer.status, 200, "{} {asked}: {}", api.name, answer.text());
            let wanted = body.replace(asked, sent);
            assert_eq!(String::from_utf8(seen(&upstream).body).unwrap(), wanted, "{}", api.name);
        }
    });
}

const HEADERS: &str = "anthropic-version: 2024-01-01\r\nanthropic-beta: a-1,b-2\r\nopenai-beta: x=1\r\n\
                       x-api-key: sk-slc-test-key\r\nx-goog-api-key: sk-slc-test-key\r\ncookie: c=1\r\n\
                       x-amz-date: 20260101T000000Z\r\ntraceparent: 00-1\r\nx-goog-api-client: gl/1\r\n";

#[test]
fn headers_reach_the_dialect_they_belong_to() {
    for_each([ANTHROPIC, GEMINI, VERTEX, BEDROCK, COHERE], |api| {
        let upstream = Upstream::answering(api.answer("text"));
        let gateway = gateway_of(&[(api, &upstream)]);
        assert_eq!(gateway.raw(&api.request_with("m", false, HEADERS, &json!({}))).status, 200);
        let sent = seen(&upstream);
        let is_anthropic = api == ANTHROPIC;
        assert_eq!(sent.header("anthropic-version"), is_anthropic.then_some("2024-01-01"), "{}", api.name);
        assert_eq!(sent.header("anthropic-beta"), is_anthropic.then_some("a-1,b-2"), "{}", api.name);
        for name in ["openai-beta", "cookie", "x-amz-date", "x-goog-api-client"] {
            assert_eq!(sent.header(name), None, "{} {name}", api.name);
        }
        assert_eq!(sent.header("traceparent"), Some("00-1"));
        let credential = match api.name {
            "anthropic" => "x-api-key",
            "gemini" => "x-goog-api-key",
            _ => "authorization",
        };
        assert!(sent.header(credential).unwrap().ends_with(PROVIDER_KEY), "{}", sent.head);
        assert!(!sent.head.contains(KEY), "{}", sent.head);
        // Each header comes once.
        assert_eq!(sent.head.matches("anthropic-version").count(), usize::from(is_anthropic));
    });
}

#[test]
fn anthropics_version_is_added_where_none_is_named() {
    for client in [ANTHROPIC, OPENAI] {
        let upstream = Upstream::answering(ANTHROPIC.answer("text"));
        let gateway = gateway_of(&[(ANTHROPIC, &upstream)]);
        assert_eq!(gateway.raw(&client.request("m", false)).status, 200);
        let sent = seen(&upstream);
        assert_eq!(sent.header("anthropic-version"), Some("2023-06-01"), "{}", client.name);
        assert_eq!(sent.line, "POST /v1/messages");
    }
    // The operator's own is the only one.
    let fixed = [("/providers/0/headers", json!([{"name": "anthropic-version", "value": "2026-02-02"}]))];
    for lines in ["", "anthropic-version: 2024-01-01\r\n"] {
        let upstream = Upstream::answering(ANTHROPIC.answer("text"));
        let gateway = gateway_with(&[(ANTHROPIC, &upstream)], &fixed);
        gateway.raw(&ANTHROPIC.request_with("m", false, lines, &json!({})));
        let sent = seen(&upstream);
        assert_eq!(sent.header("anthropic-version"), Some("2026-02-02"));
        assert_eq!(sent.head.matches("anthropic-version").count(), 1);
    }
    // What belongs to one dialect does not follow a translation into another.
    let upstream = Upstream::answering(OPENAI.answer("text"));
    let gateway = gateway_of(&[(OPENAI, &upstream)]);
    assert_eq!(gateway.raw(&ANTHROPIC.request_with("m", false, HEADERS, &json!({}))).status, 200);
    let sent = seen(&upstream);
    assert!(!sent.head.contains("anthropic") && !sent.head.contains("openai-beta"), "{}", sent.head);
}

#[test]
fn queries_are_kept_only_where_they_mean_something() {
    let upstream = Upstream::answering(ANTHROPIC.answer("text"));
    let gateway = gateway_of(&[(ANTHROPIC, &upstream)]);
    let body = ANTHROPIC.body("m", false).to_string();
    for (query, sent) in [("?beta=true", "?beta=true"), ("?x=1", ""), ("?beta=true&key=k", ""), ("", "")] {
        assert_eq!(gateway.raw(&post(&format!("/v1/messages{query}"), &body)).status, 200);
        assert_eq!(seen(&upstream).line, format!("POST /v1/messages{sent}"), "{query}");
    }
    // A client of another dialect has nothing to say in Anthropic's.
    let body = OPENAI.body("m", false).to_string();
    assert_eq!(gateway.raw(&post("/v1/chat/completions?beta=true", &body)).status, 200);
    assert_eq!(seen(&upstream).line, "POST /v1/messages");
}

/// A request without any credential in its head.
fn bare(path: &str, lines: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("POST {path} HTTP/1.1\r\nhost: g\r\n{lines}content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}")
        .into_bytes()
}

/// check 44: taken where clients of Gemini send it and nowhere else, and never sent on.
#[test]
fn a_key_in_geminis_query_is_taken_and_never_sent_on() {
    let upstream = Upstream::answering(GEMINI.answer("text"));
    let gateway = gateway_of(&[(GEMINI, &upstream)]);
    let body = GEMINI.body("m", false).to_string();
    for query in [format!("?key={KEY}"), format!("?alt=json&key={KEY}"), format!("?key={KEY}&x=1")] {
        let path = format!("/v1beta/models/m:generateContent{query}");
        assert_eq!(gateway.raw(&bare(&path, "", &body)).status, 200, "{query}");
        let sent = seen(&upstream);
        assert_eq!(sent.line, "POST /v1beta/models/m:generateContent");
        assert!(!sent.head.contains(KEY));
    }
    for path in ["/v1beta/models/m:generateContent?key=wrong", "/v1beta/models/m:generateContent"] {
        let answer = gateway.raw(&bare(path, "", &body));
        assert_eq!((answer.status, &answer.json()["error"]["status"]), (401, &json!("UNAUTHENTICATED")));
    }
    // Nobody else's key is looked for there.
    let body = OPENAI.body("m", false).to_string();
    assert_eq!(gateway.raw(&bare(&format!("/v1/chat/completions?key={KEY}"), "", &body)).status, 401);
    let list = |path: &str| {
        let bytes = format!("GET {path}?key={KEY} HTTP/1.1\r\nhost: g\r\n\r\n");
        gateway.raw(bytes.as_bytes()).status
    };
    let paths = ["/v1beta/models", "/genai/v1beta/models", "/v1beta/models/m", "/genai/v1beta/models/m"];
    assert_eq!(paths.map(list), [200; 4]);
}

#[test]
fn every_sdks_header_carries_the_virtual_key() {
    let signed = format!(
        "authorization: AWS4-HMAC-SHA256 Credential={KEY}/20261124/us-east-1/bedrock/aws4_request, \
         SignedHeaders=host;x-amz-date, Signature={}\r\n",
        "0".repeat(64)
    );
    let lines = [format!("x-goog-api-key: {KEY}\r\n"), format!("x-api-key: {KEY}\r\n"), signed];
    for_each(OTHERS, |api| {
        let upstream = Upstream::answering(api.answer("text"));
        let gateway = gateway_of(&[(api, &upstream)]);
        let body = api.body("m", false).to_string();
        for lines in &lines {
            let answer = gateway.raw(&bare(&api.path("m", false), lines, &body));
            assert_eq!(answer.status, 200, "{} {lines}: {}", api.name, answer.text());
            let sent = seen(&upstream);
            assert!(!sent.head.contains(KEY) && !sent.head.contains("aws4"), "{}", sent.head);
            assert_eq!(gateway.record().get("key_id"), 7);
        }
        assert_eq!(gateway.raw(&bare(&api.path("m", false), "x-api-key: no\r\n", &body)).status, 401);
    });
}

#[test]
fn a_providers_key_in_the_query() {
    let upstream = Upstream::answering(GEMINI.answer("text"));
    let auth = [("/providers/0/auth", json!({"kind": "query", "name": "key"}))];
    let gateway = gateway_with(&[(GEMINI, &upstream)], &auth);
    assert_eq!(gateway.raw(&GEMINI.request("m", false)).status, 200);
    let sent = seen(&upstream);
    assert_eq!(sent.line, format!("POST /v1beta/models/m:generateContent?key={PROVIDER_KEY}"));
    assert_eq!(sent.header("authorization"), None);
    gateway.raw(&GEMINI.request("m", true));
    let sent = seen(&upstream);
    assert_eq!(sent.line, format!("POST /v1beta/models/m:streamGenerateContent?alt=sse&key={PROVIDER_KEY}"));
}

/// HMAC with SHA-256 (RFC 2104), of its own so that the signature is checked by other code than made it.
fn hmac(key: &[u8], data: &[u8]) -> Vec<u8> {
    let mut block = [0_u8; 64];
    block[..key.len()].copy_from_slice(key);
    let padded = |with: u8| block.map(|byte| byte ^ with);
    let inner = Sha256::digest([&padded(0x36)[..], data].concat());
    Sha256::digest([&padded(0x5c)[..], &inner[..]].concat()).to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The signature that AWS expects of a request it sees ("Create a signed AWS API request").
fn expected_signature(sent: &Seen, secret: &str, token: bool) -> String {
    let target = sent.line.strip_prefix("POST ").unwrap();
    // Every service but S3 wants the path encoded once more than it is sent.
    let path = target.replace('%', "%25");
    let (host, date) =
        (sent.header("host").unwrap(), sent.header("x-amz-date").unwrap().to_ascii_uppercase());
    let digest = hex(&Sha256::digest(&sent.body));
    let (more, names) = if token {
        ("x-amz-security-token:session-token\n", "host;x-amz-content-sha256;x-amz-date;x-amz-security-token")
    } else {
        ("", "host;x-amz-content-sha256;x-amz-date")
    };
    let canonical = format!(
        "POST\n{path}\n\nhost:{host}\nx-amz-content-sha256:{digest}\nx-amz-date:{date}\n{more}\n{names}\n{digest}"
    );
    let day = &date[..8];
    let scope = format!("{day}/us-east-1/bedrock/aws4_request");
    let to_sign = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", hex(&Sha256::digest(canonical)));
    let mut key = hmac(format!("AWS4{secret}").as_bytes(), day.as_bytes());
    for part in ["us-east-1", "bedrock", "aws4_request"] {
        key = hmac(&key, part.as_bytes());
    }
    format!(
        "aws4-hmac-sha256 credential=akid/{scope}, signedheaders={names}, signature={}",
        hex(&hmac(&key, to_sign.as_bytes()))
    )
}

#[test]
fn requests_to_aws_are_signed_as_it_expects() {
    let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
    for token in [false, true] {
        let mut key = json!({"access_key_id": "AKID", "secret_access_key": secret});
        if token {
            key["session_token"] = json!("session-token");
        }
        let changes = [
            ("/providers/0/auth", json!({"kind": "aws_sig_v4", "region": "us-east-1", "service": "bedrock"})),
            ("/providers/0/keys/0/secret", json!(key.to_string())),
        ];
        for client in [BEDROCK, ANTHROPIC] {
            let upstream = Upstream::answering(BEDROCK.answer("text"));
            let gateway = gateway_with(&[(BEDROCK, &upstream)], &changes);
            let model = if client == BEDROCK {
                "pre%2Fus.anthropic.claude-v2:0"
            } else {
                "pre/us.anthropic.claude-v2:0"
            };
            let answer = gateway.raw(&client.request(model, false));
            assert_eq!(answer.status, 200, "{}", answer.text());
            let sent = seen(&upstream);
            assert_eq!(sent.line, "POST /model/us.anthropic.claude-v2%3A0/converse");
            assert_eq!(sent.header("authorization"), Some(&*expected_signature(&sent, secret, token)));
            assert_eq!(sent.header("x-amz-security-token"), token.then_some("session-token"));
            assert!(!sent.head.contains(&secret.to_ascii_lowercase()));
        }
    }
}
