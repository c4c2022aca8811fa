//! Bedrock's whole answers and errors, read and written.

mod support;

use std::fs;

use serde_json::{Value, json};
use sluice_dialects::bedrock::{error_type, read_answer, read_error, write_answer, write_error};
use sluice_dialects::exchange::{
    ApiError, Arguments, ChatAnswer, Choice, ErrorClass, Finish, PartKind, Raw, Text, ToolCall,
};
use sluice_dialects::json::Doc;
use sluice_dialects::wire::AnswerContext;
use sluice_types::Usage;

fn written(answer: &ChatAnswer<'_>) -> Value {
    let mut out = Vec::new();
    write_answer(answer, &AnswerContext::default(), &mut out);
    serde_json::from_slice(&out).expect("what is written is JSON")
}

fn case(name: &str) -> Vec<u8> {
    fs::read(format!("{}/tests/cases/bedrock/{name}", env!("CARGO_MANIFEST_DIR"))).expect("a case")
}

#[test]
fn cases_are_read_and_written_again() {
    for name in [
        "text",
        "tool-single",
        "tools-parallel",
        "tool-no-arguments",
        "reasoning",
        "stop",
        "length",
        "usage-cache-reasoning",
    ] {
        let body = case(&format!("{name}/answer.json"));
        let doc = Doc::parse(&body).unwrap();
        let mut expected: Value = serde_json::from_slice(&body).unwrap();
        expected["metrics"]["latencyMs"] = json!(0);
        expected["usage"].as_object_mut().unwrap().remove("serverToolUsage");
        assert_eq!(written(&read_answer(&doc).unwrap()), expected, "{name}");
    }
}

#[test]
fn what_an_answer_says() {
    let body = case("reasoning/answer.json");
    let doc = Doc::parse(&body).unwrap();
    let answer = read_answer(&doc).unwrap();
    let parts = &answer.choices[0].parts;
    assert!(matches!(&parts[0].kind, PartKind::Thinking { signature: Some(_), .. }));
    assert!(matches!(&parts[1].kind, PartKind::RedactedThinking(_)));
    assert_eq!(answer.usage, Some(Usage { input: 95, output: 60, ..Usage::default() }));
    let body = case("content-filter/answer.json");
    let doc = Doc::parse(&body).unwrap();
    assert_eq!(read_answer(&doc).unwrap().choices[0].finish, Finish::ContentFilter);
}

#[test]
fn trap_78_reasons_to_finish() {
    let cases = [
        ("end_turn", Finish::Stop),
        ("stop_sequence", Finish::StopSequence),
        ("max_tokens", Finish::Length),
        ("model_context_window_exceeded", Finish::Length),
        ("tool_use", Finish::ToolCalls),
        ("guardrail_intervened", Finish::ContentFilter),
        ("content_filtered", Finish::ContentFilter),
        ("malformed_tool_use", Finish::Error),
        ("malformed_model_output", Finish::Error),
        ("something_new", Finish::Stop),
    ];
    for (reason, finish) in cases {
        let body =
            json!({"output":{"message":{"role":"assistant","content":[]}},"stopReason":reason}).to_string();
        let doc = Doc::parse(body.as_bytes()).unwrap();
        assert_eq!(read_answer(&doc).unwrap().choices[0].finish, finish, "{reason}");
    }
}

#[test]
fn citations_are_kept_apart() {
    let body =
        br#"{"output":{"message":{"role":"assistant","content":[{"citationsContent":{"content":[{"text":"a"},
        {"text":"b"}],"citations":[{"title":"t"}]}}]}},"stopReason":"end_turn"}"#;
    let doc = Doc::parse(body).unwrap();
    let answer = read_answer(&doc).unwrap();
    assert!(matches!(&answer.choices[0].parts[0].kind, PartKind::Text(text) if text.is("ab")));
    assert_eq!(answer.choices[0].citations[0].as_bytes(), b"{\"title\":\"t\"}");
}

#[test]
fn edge_26_what_is_no_answer_is_refused() {
    let cases = [
        &b"{}"[..],
        br#"{"message":"no"}"#,
        br#"{"output":{"message":{"content":"text"}}}"#,
        br#"{"output":{"message":{"content":[{"toolUse":{}}]}}}"#,
        br#"{"Output":{"__type":"com.amazon.coral.service#UnknownOperationException"},"Version":"1.0"}"#,
    ];
    for body in cases {
        assert!(read_answer(&Doc::parse(body).unwrap()).is_err(), "{}", String::from_utf8_lossy(body));
    }
}

#[test]
fn edge_41_arguments_that_are_no_object() {
    let call = |arguments: &str, custom| {
        let part = PartKind::ToolCall(ToolCall {
            id: Text::literal("1"),
            name: Text::literal("f"),
            arguments: Arguments::Text(Text::plain(arguments)),
            signature: None,
            custom,
        });
        let choice = Choice { parts: vec![part.into()], finish: Finish::ToolCalls, ..Choice::default() };
        let answer = ChatAnswer { choices: vec![choice], ..ChatAnswer::default() };
        written(&answer)["output"]["message"]["content"][0]["toolUse"]["input"].clone()
    };
    assert_eq!(call("", false), json!({}));
    assert_eq!(call("{\"a\":1}", false), json!({"a":1}));
    assert_eq!(call("{\"a\":", false), json!({"input":"{\"a\":"}));
    assert_eq!(call("{\"a\":1}", true), json!({"input":"{\"a\":1}"}));
}

#[test]
fn the_proof_of_a_call_goes_to_the_client_and_comes_back() {
    let part = PartKind::ToolCall(ToolCall {
        id: Text::literal("1"),
        name: Text::literal("f"),
        arguments: Arguments::Object(Raw::written(b"{}")),
        signature: Some(Text::literal("CiQBproof")),
        custom: false,
    });
    let choice = Choice { parts: vec![part.into()], ..Choice::default() };
    let answer = ChatAnswer { choices: vec![choice], ..ChatAnswer::default() };
    let value = written(&answer);
    let content = &value["output"]["message"]["content"];
    assert_eq!(content[0]["reasoningContent"]["reasoningText"]["signature"], "call.CiQBproof");
    let body = value.to_string();
    let doc = Doc::parse(body.as_bytes()).unwrap();
    assert_eq!(read_answer(&doc).unwrap().choices, answer.choices);
}

#[test]
fn a_refused_prompt_is_an_answer() {
    let value = written(&ChatAnswer::default());
    assert_eq!(
        (&value["stopReason"], &value["output"]["message"]["content"]),
        (&json!("content_filtered"), &json!([]))
    );
    assert_eq!(value["usage"]["totalTokens"], 0);
}

#[test]
fn errors_are_classed() {
    let cases: [(u16, &str, ErrorClass, u16); 13] = [
        (429, r#"{"message":"Too many requests"}"#, ErrorClass::RateLimit, 429),
        (400, r#"{"message":"Input is too long for requested model."}"#, ErrorClass::ContextLength, 400),
        (400, r#"{"message":"Malformed input request"}"#, ErrorClass::InvalidRequest, 400),
        (
            400,
            r#"{"__type":"com.amazon.coral#ThrottlingException","message":"slow"}"#,
            ErrorClass::RateLimit,
            429,
        ),
        (400, r#"{"message":"Output blocked by content filtering policy"}"#, ErrorClass::ContentFilter, 400),
        (
            403,
            r#"{"Message":"User: x is not authorized to perform: bedrock:InvokeModel"}"#,
            ErrorClass::Permission,
            403,
        ),
        (
            403,
            r#"{"message":"The security token included in the request is expired"}"#,
            ErrorClass::Authentication,
            401,
        ),
        (404, r#"{"message":"The provided model identifier is invalid."}"#, ErrorClass::NotFound, 404),
        (408, r#"{"message":"x"}"#, ErrorClass::Timeout, 408),
        (424, r#"{"message":"x","originalStatusCode":500}"#, ErrorClass::Server, 500),
        (503, r#"{"message":"x"}"#, ErrorClass::Overloaded, 503),
        (502, "<html><body>Bad Gateway</body></html>", ErrorClass::Server, 502),
        (
            401,
            r#"{"error":{"message":"Invalid key","type":"authentication_error","code":"invalid"}}"#,
            ErrorClass::Authentication,
            401,
        ),
    ];
    for (status, body, class, expected) in cases {
        let error = read_error(status, body.as_bytes());
        assert_eq!((error.class, error.status), (class, expected), "{body}");
        assert!(!error.message.is_empty() && !error.message.contains('<'), "{body}");
    }
}

#[test]
fn edge_24_foreign_bodies_are_bounded() {
    for body in ["é".repeat(5000), format!("{{\"message\":\"{}\"}}", "é".repeat(5000))] {
        let error = read_error(500, body.as_bytes());
        assert!(error.message.len() <= 2048 && error.message.starts_with('é'));
    }
    for body in [&b""[..], b"[]", b"\xff\xfe", b"{", b"{\"message\":\"\"}"] {
        assert_eq!(read_error(500, body).message, "Amazon Bedrock answered with status 500.");
    }
}

#[test]
fn errors_are_written_with_their_type() {
    let mut out = Vec::new();
    let error = ApiError::of_status(429, "slow \"down\"");
    write_error(&error, &mut out);
    assert_eq!(out, br#"{"message":"slow \"down\""}"#);
    let kinds = [
        (429, "ThrottlingException"),
        (400, "ValidationException"),
        (404, "ResourceNotFoundException"),
        (403, "AccessDeniedException"),
        (500, "InternalServerException"),
        (529, "ServiceUnavailableException"),
    ];
    for (status, kind) in kinds {
        assert_eq!(error_type(&ApiError::of_status(status, "")), kind);
    }
}

#[test]
fn recorded_answer() {
    let Some(body) = support::recorded::oddity("bedrock/converse-basic.json") else { return };
    let doc = Doc::parse(&body).unwrap();
    let answer = read_answer(&doc).unwrap();
    assert!(matches!(&answer.choices[0].parts[0].kind, PartKind::Text(text) if text.is("Hello!")));
    assert_eq!(answer.usage, Some(Usage { input: 13, output: 5, ..Usage::default() }));
}
