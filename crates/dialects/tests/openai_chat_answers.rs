//! Whole answers and errors of chat completions.

use serde_json::{Value, json};
use sluice_dialects::exchange::{ApiError, ChatAnswer, ErrorClass, Finish, PartKind, Raw};
use sluice_dialects::json::Doc;
use sluice_dialects::wire::{AnswerContext, Malformed, Wire};

fn with_answer<T>(body: &Value, check: impl FnOnce(&ChatAnswer<'_>) -> T) -> Result<T, Malformed> {
    let bytes = serde_json::to_vec(body).expect("a tree can be written");
    let doc = Doc::parse(&bytes).expect("an object");
    Wire::OpenaiChat.read_answer(&doc).map(|answer| check(&answer))
}

fn write(answer: &ChatAnswer<'_>) -> Value {
    let context =
        AnswerContext { id: "01".into(), model: "m".into(), created: 7, ..AnswerContext::default() };
    let mut out = Vec::new();
    Wire::OpenaiChat.write_answer(answer, &context, &mut out);
    serde_json::from_slice(&out).expect("JSON")
}

fn of_choice(choice: Value) -> Value {
    json!({"id": "chatcmpl-1", "choices": [choice]})
}

fn finish(choice: Value) -> Finish {
    with_answer(&of_choice(choice), |answer| answer.choices[0].finish).expect("a good answer")
}

#[test]
fn an_answer_comes_out_as_it_went_in() {
    let body = json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 7, "model": "m",
        "choices": [
            {"index": 0, "message": {
                "role": "assistant", "content": "a\"b\n", "refusal": null, "reasoning_content": "hm",
                "thinking_blocks": [{"type": "thinking", "thinking": "hm", "signature": "s"}],
                "tool_calls": [
                    {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{\"a\": 1}"}, "extra_content": {"google": {"thought_signature": "g"}}},
                    {"id": "d", "type": "custom", "custom": {"name": "g", "input": "free"}},
                ],
                "images": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}],
                "annotations": [{"type": "url_citation", "url_citation": {"start_index": 0, "end_index": 1, "url": "u", "title": "t"}}],
            }, "logprobs": {"content": [], "refusal": null}, "finish_reason": "tool_calls"},
            {"index": 1, "message": {"role": "assistant", "content": null, "refusal": "no"}, "logprobs": null, "finish_reason": "stop"},
        ],
        "service_tier": "default",
        "usage": {
            "prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14,
            "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 2, "audio_tokens": 1},
            "completion_tokens_details": {"reasoning_tokens": 3, "audio_tokens": 1},
        },
    });
    assert_eq!(with_answer(&body, write).unwrap(), body);
    with_answer(&body, |answer| assert_eq!(answer.choices[1].finish, Finish::Refusal)).unwrap();
}

#[test]
fn mistrals_and_openrouters_ways_are_known() {
    let content = json!([
        {"type": "thinking", "thinking": [{"type": "text", "text": "h"}, {"type": "text", "text": "m"}]}, {"type": "text", "text": "So."},
    ]);
    let call = json!([{"id": "abc123XYZ", "function": {"name": "f", "arguments": {"a": 1}}}]);
    let body =
        of_choice(json!({"message": {"content": content, "tool_calls": call}, "finish_reason": "stop"}));
    let written = with_answer(&body, write).unwrap();
    let message = &written["choices"][0]["message"];
    assert_eq!((&message["content"], &message["reasoning_content"]), (&json!("So."), &json!("hm")));
    assert_eq!(message["tool_calls"][0]["function"]["arguments"], "{\"a\":1}");
    assert_eq!(written["choices"][0]["finish_reason"], "tool_calls");
    let details =
        json!([{"type": "reasoning.summary", "summary": "s"}, {"type": "reasoning.encrypted", "data": "e"}]);
    let body =
        of_choice(json!({"message": {"content": "x", "reasoning": "s", "reasoning_details": details}}));
    let written = with_answer(&body, write).unwrap();
    assert_eq!(written["choices"][0]["message"]["thinking_blocks"][1]["data"], "e");
    assert_eq!(written["choices"][0]["message"]["reasoning_content"], "s");
}

#[test]
fn trap_78_reasons_to_finish_are_read() {
    assert_eq!(finish(json!({"message": {"content": "x"}, "finish_reason": "stop"})), Finish::Stop);
    assert_eq!(finish(json!({"message": {"content": "x"}, "finish_reason": "length"})), Finish::Length);
    assert_eq!(finish(json!({"message": {"content": "x"}, "finish_reason": "error"})), Finish::Error);
    assert_eq!(
        finish(json!({"message": {"content": "x"}, "finish_reason": "stop", "stop_reason": "END"})),
        Finish::StopSequence
    );
    assert_eq!(
        finish(
            json!({"message": {"content": "x"}, "finish_reason": "stop", "native_finish_reason": "pause_turn"})
        ),
        Finish::Pause
    );
    assert_eq!(finish(json!({"message": {"content": null}, "finish_reason": null})), Finish::Stop);
    assert_eq!(
        finish(
            json!({"message": {"function_call": {"name": "f", "arguments": "{}"}}, "finish_reason": "function_call"})
        ),
        Finish::ToolCalls
    );
}

#[test]
fn edge_19_and_26_what_is_no_answer_is_malformed() {
    for body in [
        json!({}),
        json!({"choices": null}),
        json!({"choices": {}}),
        of_choice(json!({"message": {"content": 5}})),
        of_choice(json!({"message": {"tool_calls": [{"id": "c", "function": null}]}})),
    ] {
        assert!(with_answer(&body, |_| ()).is_err(), "{body}");
    }
    with_answer(&of_choice(json!({"message": null})), |answer| assert!(answer.choices[0].parts.is_empty()))
        .unwrap();
}

#[test]
fn a_refused_prompt_still_has_a_choice() {
    let written = write(&ChatAnswer::default());
    assert_eq!(written["choices"][0]["finish_reason"], "content_filter");
    assert_eq!(written["id"], "chatcmpl-01");
}

#[test]
fn sound_is_carried_with_what_is_said() {
    let audio = json!({"id": "audio_1", "data": "AA", "transcript": "hi", "expires_at": 1});
    let body = of_choice(json!({"message": {"content": null, "audio": audio}, "finish_reason": "stop"}));
    let written = with_answer(&body, write).unwrap();
    assert_eq!(written["choices"][0]["message"]["content"], "hi");
    assert_eq!(written["choices"][0]["message"]["audio"]["data"], "AA");
}

#[test]
fn citations_of_responses_are_put_into_this_shape() {
    let citation =
        Raw::written(br#"{"type":"url_citation","start_index":1,"end_index":2,"url":"u","title":"t"}"#);
    let other = Raw::written(br#"{"type":"char_location","cited_text":"x"}"#);
    with_answer(&of_choice(json!({"message": {"content": "x"}})), |answer| {
        let mut answer = answer.clone();
        answer.choices[0].citations = vec![other, citation];
        let annotations = &write(&answer)["choices"][0]["message"]["annotations"];
        assert_eq!(annotations.as_array().unwrap().len(), 1);
        assert_eq!(
            annotations[0]["url_citation"],
            json!({"start_index": 1, "end_index": 2, "url": "u", "title": "t"})
        );
    })
    .unwrap();
}

#[test]
fn parts_of_one_kind_are_joined() {
    let content = json!([{"type": "text", "text": "a\""}, {"type": "text", "text": "b"}, {"type": "refusal", "refusal": "no"}]);
    with_answer(&of_choice(json!({"message": {"content": content}})), |answer| {
        assert!(matches!(answer.choices[0].parts[2].kind, PartKind::Refusal(_)));
        assert_eq!(write(answer)["choices"][0]["message"]["content"], "a\"b");
    })
    .unwrap();
}

fn error(status: u16, body: &str) -> ApiError {
    Wire::OpenaiChat.read_error(status, body.as_bytes())
}

#[test]
fn errors_of_all_shapes_are_read() {
    let class = |status, body: &str| error(status, body).class;
    let code = |code: &str| {
        format!("{{\"error\":{{\"message\":\"m\",\"type\":\"invalid_request_error\",\"code\":\"{code}\"}}}}")
    };
    assert_eq!(class(400, &code("context_length_exceeded")), ErrorClass::ContextLength);
    assert_eq!(class(429, &code("insufficient_quota")), ErrorClass::Billing);
    assert_eq!(class(429, &code("slow_down")), ErrorClass::RateLimit);
    assert_eq!(class(401, &code("invalid_api_key")), ErrorClass::Authentication);
    assert_eq!(class(404, &code("model_not_found")), ErrorClass::NotFound);
    assert_eq!(
        class(400, r#"{"error":{"message":"This model's maximum context length is 8 tokens"}}"#),
        ErrorClass::ContextLength
    );
    let azure = r#"{"error":{"code":"content_filter","param":"prompt","innererror":{"code":"ResponsibleAIPolicyViolation"}}}"#;
    assert_eq!(class(400, azure), ErrorClass::ContentFilter);
    assert_eq!(error(400, azure).param.as_deref(), Some("prompt"));
    assert_eq!(
        class(500, r#"{"error":{"message":"m","type":"server_error","code":null}}"#),
        ErrorClass::Server
    );
    for (body, message) in [
        (r#"{"error":"plain words"}"#, "plain words"),
        (r#"[{"error":{"code":429,"message":"in an array","status":"RESOURCE_EXHAUSTED"}}]"#, "in an array"),
        (r#"{"object":"error","message":"of mistral","type":"x","code":"1901"}"#, "of mistral"),
        (r#"{"detail":[{"loc":["body"],"msg":"one"},{"msg":"two"}]}"#, "one; two"),
        (r#"{"detail":"just so"}"#, "just so"),
        ("Bad Gateway", "Bad Gateway"),
        ("<html>down</html>", "The provider answered with status 502 and no explanation."),
        ("", "The provider answered with status 502 and no explanation."),
        ("{}", "The provider answered with status 502 and no explanation."),
    ] {
        let read = error(502, body);
        assert_eq!((read.status, read.message.as_str()), (502, message), "{body}");
    }
    assert!(error(500, &"é".repeat(5_000)).message.len() <= 2_048);
    assert!(error(500, &format!("{{\"error\":\"{}\"}}", "é".repeat(5_000))).message.len() <= 2_048);
}

#[test]
fn when_to_try_again_is_read() {
    let delay =
        |message: &str| error(429, &format!("{{\"error\":{{\"message\":\"{message}\"}}}}")).retry_after_ms;
    assert_eq!(delay("Please try again in 5.289s. Visit"), Some(5_289));
    assert_eq!(delay("Please try again in 300ms."), Some(300));
    assert_eq!(delay("Please try again in 6m0s."), Some(360_000));
    assert_eq!(delay("Please try again in a while."), None);
    let google =
        r#"[{"error":{"code":429,"message":"m","details":[{"@type":"x/RetryInfo","retryDelay":"46s"}]}}]"#;
    assert_eq!(error(429, google).retry_after_ms, Some(46_000));
}

#[test]
fn errors_are_written_with_what_clients_look_for() {
    let written = |class, code: Option<&str>| {
        let failed = ApiError { class, code: code.map(str::to_owned), ..ApiError::of_status(400, "m") };
        let mut out = Vec::new();
        Wire::OpenaiChat.write_error(&failed, &mut out);
        let body: Value = serde_json::from_slice(&out).unwrap();
        (body["error"]["type"].clone(), body["error"]["code"].clone())
    };
    let invalid = json!("invalid_request_error");
    assert_eq!(
        written(ErrorClass::ContextLength, Some("INVALID_ARGUMENT")),
        (invalid.clone(), json!("context_length_exceeded"))
    );
    assert_eq!(
        written(ErrorClass::RateLimit, None),
        (json!("rate_limit_error"), json!("rate_limit_exceeded"))
    );
    assert_eq!(
        written(ErrorClass::RateLimit, Some("slow_down")),
        (json!("rate_limit_error"), json!("slow_down"))
    );
    assert_eq!(written(ErrorClass::InvalidRequest, None), (invalid, Value::Null));
}
