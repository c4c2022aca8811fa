//! Anthropic's dialect: whole answers and errors, from the provider and for the client.

#[path = "support/anthropic.rs"]
mod support;

use serde_json::{Value, json};
use sluice_dialects::anthropic::{read_answer, read_error, write_answer, write_token_count};
use sluice_dialects::exchange::{
    Arguments, ChatAnswer, Choice, ErrorClass, Finish, PartKind, Raw, Text, ToolCall,
};
use sluice_dialects::json::Doc;
use sluice_types::Usage;
use support::{case, case_names, context};

fn reading<T>(body: &Value, look: impl FnOnce(&ChatAnswer<'_>) -> T) -> T {
    let body = body.to_string();
    let doc = Doc::parse(body.as_bytes()).expect("JSON");
    look(&read_answer(&doc).expect("an answer"))
}

fn written(answer: &ChatAnswer<'_>) -> Value {
    let mut out = Vec::new();
    write_answer(answer, &context(), &mut out);
    serde_json::from_slice(&out).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&out)))
}

fn answer(parts: Vec<PartKind<'static>>, finish: Finish) -> ChatAnswer<'static> {
    let parts = parts.into_iter().map(Into::into).collect();
    ChatAnswer { choices: vec![Choice { parts, finish, ..Choice::default() }], ..ChatAnswer::default() }
}

fn call(id: &'static str, arguments: &'static str) -> PartKind<'static> {
    let arguments = Arguments::Text(Text::plain(arguments));
    let (id, name) = (Text::literal(id), Text::literal("f"));
    PartKind::ToolCall(ToolCall { id, name, arguments, signature: None, custom: false })
}

#[test]
fn every_case_is_written_as_it_was() {
    let mut seen = 0;
    for name in case_names() {
        let Some(body) = case(&name, "answer.json") else { continue };
        let mut body: Value = serde_json::from_str(&body).unwrap();
        let written = reading(&body, written);
        body["model"] = "alias".into();
        let thought = body["usage"]["output_tokens_details"]["thinking_tokens"].as_u64().unwrap_or_default();
        body["usage"]["output_tokens_details"] = json!({"thinking_tokens": thought});
        if name == "refusal" {
            body["stop_details"]["category"] = Value::Null;
        }
        assert_eq!(written, body, "{name}");
        seen += 1;
    }
    assert!(seen >= 15, "only {seen}");
}

#[test]
fn trap_75_usage_counts_the_cache_once() {
    let body: Value = serde_json::from_str(&case("usage-cache-reasoning", "answer.json").unwrap()).unwrap();
    let usage = reading(&body, |answer| answer.usage).unwrap();
    let expected = Usage {
        input: 1811,
        cached_input: 1500,
        cache_write: 300,
        cache_write_1h: 200,
        output: 84,
        reasoning: 40,
        ..Usage::default()
    };
    assert_eq!(usage, expected);
}

#[test]
fn trap_78_reasons_to_stop() {
    let finish = |reason: Value| {
        reading(&json!({"content": [], "stop_reason": reason}), |answer| answer.choices[0].finish)
    };
    for (reason, expected) in [
        ("end_turn", Finish::Stop),
        ("max_tokens", Finish::Length),
        ("model_context_window_exceeded", Finish::Length),
        ("stop_sequence", Finish::StopSequence),
        ("tool_use", Finish::ToolCalls),
        ("pause_turn", Finish::Pause),
        ("refusal", Finish::Refusal),
        ("new", Finish::Stop),
    ] {
        assert_eq!(finish(reason.into()), expected, "{reason}");
    }
    assert_eq!(finish(Value::Null), Finish::Stop);
    let reason = |finish, parts| written(&answer(parts, finish))["stop_reason"].clone();
    for (finish, expected) in [
        (Finish::Stop, "end_turn"),
        (Finish::Length, "max_tokens"),
        (Finish::StopSequence, "stop_sequence"),
        (Finish::ToolCalls, "end_turn"),
        (Finish::Pause, "pause_turn"),
        (Finish::Refusal, "refusal"),
        (Finish::ContentFilter, "refusal"),
        (Finish::Error, "refusal"),
    ] {
        assert_eq!(reason(finish, Vec::new()), expected, "{finish:?}");
    }
    // Trap 31: who says no more than that it ended may have called all the same.
    assert_eq!(reason(Finish::Stop, vec![call("a", "")]), "tool_use");
    assert_eq!(reason(Finish::Length, vec![call("a", "")]), "max_tokens");
}

#[test]
fn trap_10_refusals_are_shown_and_explained() {
    let refusal = || PartKind::Refusal(Text::literal("No."));
    let alone = written(&answer(vec![refusal()], Finish::Refusal));
    assert_eq!(alone["content"], json!([{"type": "text", "text": "No."}]));
    assert_eq!(alone["stop_details"], json!({"type": "refusal", "category": null, "explanation": "No."}));
    let text = PartKind::Text(Text::literal("Well"));
    let both = written(&answer(vec![text, refusal()], Finish::Refusal));
    assert_eq!(both["content"], json!([{"type": "text", "text": "Well"}]));
    let none = written(&ChatAnswer::default());
    assert_eq!((&none["content"], &none["stop_reason"]), (&json!([]), &json!("refusal")));
    assert!(none["stop_details"]["explanation"].is_string());
}

#[test]
fn trap_14_and_15_arguments_become_objects() {
    let parts = vec![call("a", ""), call("", "{\"x\": 1}"), call("c", "{\"x\":")];
    let blocks = written(&answer(parts, Finish::ToolCalls))["content"].clone();
    assert_eq!(blocks[0], json!({"type": "tool_use", "id": "a", "name": "f", "input": {}}));
    assert_eq!((&blocks[1]["id"], &blocks[1]["input"]), (&json!("toolu_0f1e_1"), &json!({"x": 1})));
    assert_eq!(blocks[2]["input"], json!({"input": "{\"x\":"}));
}

#[test]
fn trap_71_signatures_of_calls_stand_before_them() {
    let PartKind::ToolCall(mut call) = call("a", "{}") else { panic!("a call") };
    call.signature = Some(Text::literal("Ab+/="));
    let blocks = written(&answer(vec![PartKind::ToolCall(call)], Finish::ToolCalls))["content"].clone();
    assert_eq!(blocks[0], json!({"type": "thinking", "thinking": "", "signature": "tool:Ab+/="}));
    assert_eq!(blocks[1]["type"], "tool_use");
}

#[test]
fn ids_and_models_look_like_the_dialects() {
    let mut own = answer(vec![PartKind::Text(Text::literal("a"))], Finish::Stop);
    own.id = Some(Text::literal("chatcmpl-1"));
    own.model = Some(Text::literal("gpt"));
    own.service_tier = Some(Text::literal("default"));
    let body = written(&own);
    assert_eq!((&body["id"], &body["model"]), (&json!("msg_0f1e"), &json!("alias")));
    assert_eq!(body["usage"]["service_tier"], "standard");
    own.id = Some(Text::literal("msg_bdrk_1"));
    assert_eq!(written(&own)["id"], "msg_bdrk_1");
}

#[test]
fn only_own_citations_are_written() {
    let mut own = answer(vec![PartKind::Text(Text::literal("a"))], Finish::Stop);
    let cited = br#"{"type":"char_location","cited_text":"x","document_index":0}"#;
    own.choices[0].citations = vec![Raw::written(br#"{"type":"url_citation"}"#), Raw::written(cited)];
    let body = written(&own);
    assert_eq!(body["content"][0]["citations"].as_array().unwrap().len(), 1);
    assert_eq!(reading(&body, |answer| answer.choices[0].citations.len()), 1);
}

#[test]
fn trap_44_the_call_that_stands_in_for_a_format_is_text() {
    let block =
        json!({"type": "tool_use", "id": "t", "name": "sluice_answer_format", "input": {"a": "\"b\""}});
    let body = json!({"content": [block, {"type": "web_search_tool_result"}], "stop_reason": "tool_use"});
    reading(&body, |answer| {
        let choice = &answer.choices[0];
        let [part] = &choice.parts[..] else { panic!("one part") };
        let PartKind::Text(text) = &part.kind else { panic!("text") };
        assert_eq!(text.decode(), r#"{"a":"\"b\""}"#);
        assert_eq!(choice.finish, Finish::Stop);
    });
}

#[test]
fn edge_26_what_is_no_answer_is_malformed() {
    for body in [r#"{"type":"error","error":{}}"#, r#"{"content":"a"}"#, r#"{"choices":[]}"#] {
        let doc = Doc::parse(body.as_bytes()).unwrap();
        assert!(read_answer(&doc).is_err(), "{body}");
    }
}

#[test]
fn errors_of_the_cases_are_read() {
    for (name, class, status) in [
        ("error-before", ErrorClass::RateLimit, 429),
        ("error-overloaded", ErrorClass::Overloaded, 529),
        ("content-filter", ErrorClass::ContentFilter, 400),
    ] {
        let error: Value = serde_json::from_str(&case(name, "error.json").unwrap()).unwrap();
        assert_eq!(error["status"], status);
        let read = read_error(status, error["body"].to_string().as_bytes());
        assert_eq!((read.class, read.status), (class, status), "{name}");
        assert_eq!(error["body"]["error"]["message"], read.message);
    }
}

#[test]
fn counts_of_tokens_are_written() {
    let mut out = Vec::new();
    write_token_count(2095, &mut out);
    assert_eq!(out, br#"{"input_tokens":2095}"#);
}
