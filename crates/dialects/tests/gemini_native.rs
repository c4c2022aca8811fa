//! Google's dialect where it passes untouched: requests, streams, usage and errors.

use sluice_dialects::exchange::{ApiError, ErrorClass};
use sluice_dialects::gemini::{self, StreamTap, inspect, read_error, read_usage};
use sluice_dialects::openai::stream::EventClass;
use sluice_dialects::wire::{Frame, Tap};
use sluice_types::Usage;

fn usage(text: &str) -> Usage {
    read_usage(text.as_bytes()).expect("a usage object")
}

#[test]
fn trap_76_completion_is_candidates_and_thoughts() {
    let text = r#"{"promptTokenCount":100,"candidatesTokenCount":20,"thoughtsTokenCount":30,"totalTokenCount":160,
        "toolUsePromptTokenCount":10,"cachedContentTokenCount":64,
        "promptTokensDetails":[{"modality":"TEXT","tokenCount":40},{"modality":"IMAGE","tokenCount":50},{"modality":"AUDIO","tokenCount":10}],
        "candidatesTokensDetails":[{"modality":"IMAGE","tokenCount":7}]}"#;
    let expected = Usage {
        input: 110,
        cached_input: 64,
        output: 50,
        reasoning: 30,
        audio_input: 10,
        image_input: 50,
        image_output: 7,
        ..Usage::default()
    };
    assert_eq!(usage(text), expected);
}

#[test]
fn thoughts_within_the_candidates_are_not_counted_twice() {
    let text =
        r#"{"promptTokenCount":10,"candidatesTokenCount":50,"thoughtsTokenCount":30,"totalTokenCount":60}"#;
    let read = usage(text);
    assert_eq!((read.output, read.reasoning), (50, 30));
    // Cut off while it thought: no candidates are counted at all.
    let read = usage(r#"{"promptTokenCount":10,"thoughtsTokenCount":30,"totalTokenCount":40}"#);
    assert_eq!((read.output, read.reasoning), (30, 30));
    let read = usage(r#"{"promptTokenCount":10,"totalTokenCount":10}"#);
    assert_eq!((read.input, read.output), (10, 0));
}

#[test]
fn edge_15_malformed_usage_is_none() {
    for text in ["", "null", "[]", "{}", "{", "\"x\"", "{\"promptTokenCount\":\"many\"}"] {
        assert_eq!(read_usage(text.as_bytes()), None, "{text}");
    }
}

fn follow(frames: &[&str]) -> (StreamTap, Vec<EventClass>) {
    let mut tap = StreamTap::default();
    let classes = frames.iter().map(|data| tap.frame(Frame { name: None, data: data.as_bytes() })).collect();
    (tap, classes)
}

#[test]
fn edge_17_a_stream_is_tapped() {
    let (tap, classes) = follow(&[
        r#"{"candidates":[{"content":{"parts":[{"text":"Hel\"lo"}],"role":"model"},"index":0}],"usageMetadata":{"promptTokenCount":5,"totalTokenCount":5}}"#,
        r#"{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":{"text":"x"}}}],"role":"model"},"index":0}],"usageMetadata":{"promptTokenCount":5,"candidatesTokenCount":2,"totalTokenCount":7}}"#,
        "",
        r#"{"candidates":[{"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":5,"candidatesTokenCount":9,"totalTokenCount":14}}"#,
    ]);
    assert!(classes.iter().all(|class| *class == EventClass::Forward));
    assert!(tap.finished());
    assert_eq!(tap.usage().map(|usage| (usage.input, usage.output)), Some((5, 9)));
    assert_eq!(tap.output_bytes(), 7 + 10);
}

#[test]
fn edge_10_a_stream_without_a_reason_is_not_finished() {
    let (tap, _) = follow(&[
        r#"{"candidates":[{"content":{"parts":[{"text":"\"finishReason\":\"STOP\""}]},"finishReason":null}]}"#,
        r#"{"candidates":[{"content":{"parts":[{"functionCall":{"args":{"finishReason":"STOP","usageMetadata":{"promptTokenCount":9}}}}]}}]}"#,
    ]);
    assert!(!tap.finished());
    assert_eq!(tap.usage(), None);
    let (tap, _) =
        follow(&[r#"{"promptFeedback":{"blockReason":"SAFETY"},"usageMetadata":{"promptTokenCount":3}}"#]);
    assert!(tap.finished());
}

#[test]
fn errors_and_nonsense_in_a_stream_are_told_apart() {
    let (_, classes) = follow(&[
        r#"{"error":{"code":503,"message":"overloaded","status":"UNAVAILABLE"}}"#,
        r#"[{"error":{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED"}}]"#,
        r#"{"error":null,"candidates":[]}"#,
        "<html>",
        "[]",
    ]);
    let expected = [
        EventClass::Error,
        EventClass::Error,
        EventClass::Forward,
        EventClass::Malformed,
        EventClass::Malformed,
    ];
    assert_eq!(classes, expected);
}

#[test]
fn a_request_is_inspected() {
    let body = br#"{"contents":[{"parts":[{"text":"hi"}]}],"generationConfig":{"maxOutputTokens":50,"candidateCount":2}}"#;
    let view = inspect(body).expect("a good request");
    assert_eq!((view.model, view.stream, view.max_output_tokens, view.n), (None, false, Some(50), 2));
    assert_eq!(view.input.map(|span| span.of(body)), Some(&br#"[{"parts":[{"text":"hi"}]}]"#[..]));
    let body = br#"{"contents":[],"generation_config":{"max_output_tokens":"7"}}"#;
    assert_eq!(inspect(body).expect("the other spelling").max_output_tokens, Some(7));
    let body = br#"{"contents":[],"generationConfig":null}"#;
    assert_eq!(inspect(body).expect("nothing set").n, 1);
}

#[test]
fn edge_31_a_bad_request_is_refused_with_its_member() {
    let cases: [(&str, Option<&str>); 7] = [
        ("", None),
        ("{}", Some("contents")),
        (r#"{"contents":"hi"}"#, Some("contents")),
        (r#"{"contents":[],"contents":[]}"#, None),
        (r#"{"contents":[],"generationConfig":{},"generation_config":{}}"#, Some("generationConfig")),
        (r#"{"contents":[],"generationConfig":[]}"#, Some("generationConfig")),
        (
            r#"{"contents":[],"generationConfig":{"maxOutputTokens":-1}}"#,
            Some("generationConfig.maxOutputTokens"),
        ),
    ];
    for (body, param) in cases {
        assert_eq!(inspect(body.as_bytes()).expect_err(body).param, param, "{body}");
    }
}

#[test]
fn errors_are_read_with_their_details() {
    let body = br#"{"error":{"code":429,"message":"Quota exceeded","status":"RESOURCE_EXHAUSTED","details":[
        {"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{"quotaId":"GenerateRequestsPerMinutePerProjectPerModel"}]},
        {"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"46.2s"}]}}"#;
    let error = read_error(429, body);
    assert_eq!((error.status, error.class), (429, ErrorClass::RateLimit));
    assert_eq!(error.message, "Quota exceeded");
    assert_eq!(error.code.as_deref(), Some("RESOURCE_EXHAUSTED"));
    assert_eq!(error.retry_after_ms, Some(46_200));
    let wrapped = [b"[".as_slice(), body, b"]\n"].concat();
    assert_eq!(read_error(429, &wrapped), error);
    let per_day = String::from_utf8_lossy(body).replace("PerMinute", "PerDay");
    assert_eq!(read_error(429, per_day.as_bytes()).retry_after_ms, None);
}

#[test]
fn errors_get_the_class_they_mean() {
    let key = br#"{"error":{"code":400,"message":"API key not valid.","status":"INVALID_ARGUMENT","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID","domain":"googleapis.com"}]}}"#;
    assert_eq!(read_error(400, key).class, ErrorClass::Authentication);
    let long = br#"{"error":{"code":400,"message":"The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).","status":"INVALID_ARGUMENT"}}"#;
    assert_eq!(read_error(400, long).class, ErrorClass::ContextLength);
    let field = br#"{"error":{"code":400,"message":"bad","status":"INVALID_ARGUMENT","details":[{"@type":"type.googleapis.com/google.rpc.BadRequest","fieldViolations":[{"field":"contents[0]","description":"bad"}]}]}}"#;
    assert_eq!(read_error(400, field).param.as_deref(), Some("contents[0]"));
    // In a stream the status of the answer was 200.
    assert_eq!(read_error(200, long).status, 400);
}

#[test]
fn edge_24_any_body_is_an_error() {
    for body in ["", "<html>no</html>", "{", "[]", "[1]", "{}"] {
        let error = read_error(503, body.as_bytes());
        assert_eq!(error.message, "The provider answered with status 503.", "{body}");
        assert_eq!(error.class, ErrorClass::Overloaded);
    }
    assert_eq!(read_error(500, b"upstream connect error").message, "upstream connect error");
    assert_eq!(read_error(400, br#"{"error":"odd"}"#).message, "odd");
    let openai =
        read_error(401, br#"{"error":{"message":"m","type":"t","code":"invalid_api_key","param":"p"}}"#);
    assert_eq!((openai.code.as_deref(), openai.param.as_deref()), (Some("invalid_api_key"), Some("p")));
    let long = format!("{{\"error\":{{\"message\":\"{}\"}}}}", "ü".repeat(5_000));
    assert!(read_error(500, long.as_bytes()).message.len() <= 2_048);
}

#[test]
fn errors_survive_writing_and_reading() {
    let error = ApiError {
        status: 429,
        class: ErrorClass::RateLimit,
        message: "Too \"many\"".into(),
        code: Some("rate_limit_exceeded".into()),
        param: Some("contents".into()),
        retry_after_ms: Some(1_500),
    };
    let mut out = Vec::new();
    gemini::write_error(&error, &mut out);
    assert_eq!(read_error(429, &out), error);
    let value: serde_json::Value = serde_json::from_slice(&out).expect("JSON");
    assert_eq!(value["error"]["status"], "RESOURCE_EXHAUSTED");
    assert_eq!(value["error"]["code"], 429);
    assert_eq!(value["error"]["details"][2]["retryDelay"], "1.500s");
}

#[test]
fn token_counts_are_written() {
    let mut out = Vec::new();
    gemini::write_token_count(31, &mut out);
    assert_eq!(out, br#"{"totalTokens":31}"#);
}
