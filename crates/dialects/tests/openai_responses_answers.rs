//! OpenAI's Responses: whole answers and errors.

#[path = "support/responses.rs"]
mod responses;

use responses::{Said, WIRE, case, cases_with, context};
use serde_json::{Value, json};
use sluice_dialects::exchange::{Arguments, ChatAnswer, Choice, Finish, PartKind, Raw, Text, ToolCall};
use sluice_dialects::json::Doc;
use sluice_dialects::wire::Malformed;

fn written(answer: &ChatAnswer<'_>) -> Value {
    let mut out = Vec::new();
    WIRE.write_answer(answer, &context(), &mut out);
    serde_json::from_slice(&out).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&out)))
}

fn read<T>(body: &Value, then: impl FnOnce(Result<ChatAnswer<'_>, Malformed>) -> T) -> T {
    let body = body.to_string();
    let doc = Doc::parse(body.as_bytes()).expect("JSON");
    then(WIRE.read_answer(&doc))
}

fn answer(parts: Vec<PartKind<'static>>, finish: Finish) -> ChatAnswer<'static> {
    let parts = parts.into_iter().map(Into::into).collect();
    ChatAnswer { choices: vec![Choice { parts, finish, ..Choice::default() }], ..ChatAnswer::default() }
}

#[test]
fn answers_survive_being_read_and_written() {
    for name in cases_with("answer.json") {
        let body = case(&name, "answer.json");
        let doc = Doc::parse(&body).unwrap();
        let first = WIRE.read_answer(&doc).unwrap();
        let again = written(&first);
        let original: Value = serde_json::from_slice(&body).unwrap();
        for member in ["id", "status", "incomplete_details", "usage", "service_tier", "error"] {
            assert_eq!(again[member], original[member], "{name}: {member}");
        }
        assert_eq!(again["model"], "my-model");
        read(&again, |second| {
            assert_eq!(Said::by_answer(&second.unwrap()), Said::by_answer(&first), "{name}")
        });
    }
}

#[test]
fn answers_have_every_member_that_is_required() {
    let written = written(&answer(vec![PartKind::Text(Text::literal("Hi"))], Finish::Stop));
    for member in [
        "id",
        "object",
        "created_at",
        "error",
        "incomplete_details",
        "instructions",
        "model",
        "tools",
        "output",
        "parallel_tool_calls",
        "metadata",
        "tool_choice",
        "temperature",
        "top_p",
        "status",
        "usage",
    ] {
        assert!(written.get(member).is_some(), "{member}");
    }
    let content = json!([{"type": "output_text", "annotations": [], "logprobs": [], "text": "Hi"}]);
    let message = json!({
        "id": "msg_0123abcd_0", "type": "message", "status": "completed", "role": "assistant", "content": content,
    });
    assert_eq!(written["output"], json!([message]));
}

#[test]
fn trap_78_reasons_to_finish() {
    let cases: [(&str, Finish); 9] = [
        ("text", Finish::Stop),
        ("tool-single", Finish::ToolCalls),
        ("custom-tool", Finish::ToolCalls),
        ("length", Finish::Length),
        ("content-filter", Finish::ContentFilter),
        ("refusal", Finish::Refusal),
        ("reasoning", Finish::Stop),
        ("web-search", Finish::Stop),
        ("tools-parallel", Finish::ToolCalls),
    ];
    for (name, finish) in cases {
        let body = case(name, "answer.json");
        let doc = Doc::parse(&body).unwrap();
        assert_eq!(WIRE.read_answer(&doc).unwrap().choices[0].finish, finish, "{name}");
    }
    // A prompt that was refused has no choice.
    let refused = written(&ChatAnswer::default());
    assert_eq!((&refused["status"], &refused["output"]), (&json!("incomplete"), &json!([])));
    let failed = written(&answer(vec![], Finish::Error));
    assert_eq!((&failed["status"], &failed["error"]["code"]), (&json!("failed"), &json!("server_error")));
}

#[test]
fn what_is_no_answer_is_malformed() {
    for body in [
        json!({}),
        json!({"output": null}),
        json!({"output": [], "status": "failed", "error": {"code": "server_error", "message": "m"}}),
        json!({"output": [], "status": "in_progress"}),
        json!({"output": [], "status": "queued"}),
        json!({"output": [{"id": "x"}]}),
        json!({"output": [{"type": "function_call", "arguments": "{}"}]}),
        json!({"choices": [{"message": {"content": "of another dialect"}}]}),
    ] {
        read(&body, |answer| assert!(answer.is_err(), "{body}"));
    }
    read(&json!({"output": [{"type": "of_next_month"}]}), |answer| {
        assert!(answer.unwrap().choices[0].parts.is_empty());
    });
}

#[test]
fn citations_of_openai_become_annotations() {
    let url = br#"{"type":"url_citation","url_citation":{"url":"https://x","title":"X","start_index":0,"end_index":2}}"#;
    let own = br#"{"type":"url_citation","url":"https://y","title":"Y","start_index":0,"end_index":2}"#;
    let mut cited = answer(
        vec![PartKind::Text(Text::literal("Hi")), PartKind::Text(Text::literal(" there"))],
        Finish::Stop,
    );
    cited.choices[0].citations = [&url[..], own, br#"{"type":"char_location"}"#].map(Raw::written).to_vec();
    let part = &written(&cited)["output"][0]["content"][0];
    assert_eq!(part["text"], "Hi there");
    let expected = |letter: &str, title: &str| json!({"type": "url_citation", "url": format!("https://{letter}"), "title": title, "start_index": 0, "end_index": 2});
    assert_eq!(part["annotations"], json!([expected("x", "X"), expected("y", "Y")]));
}

#[test]
fn trap_32_custom_input_is_unwrapped() {
    let call = |arguments, custom| {
        let (id, name) = (Text::literal("c"), Text::literal("f"));
        PartKind::ToolCall(ToolCall { id, name, arguments, signature: None, custom })
    };
    let wrapped = Arguments::Object(Raw::written(br#"{"input":"a\nb"}"#));
    let output = written(&answer(
        vec![
            call(wrapped.clone(), true),
            call(wrapped, false),
            call(Arguments::Text(Text::literal("free")), true),
            call(Arguments::Text(Text::default()), false),
        ],
        Finish::ToolCalls,
    ))["output"]
        .take();
    assert_eq!((&output[0]["type"], &output[0]["input"]), (&json!("custom_tool_call"), &json!("a\nb")));
    assert_eq!(
        (&output[1]["type"], &output[1]["arguments"]),
        (&json!("function_call"), &json!("{\"input\":\"a\\nb\"}"))
    );
    assert_eq!(output[2]["input"], "free");
    assert_eq!(output[3]["arguments"], "{}");
}

#[test]
fn numbers_of_items_are_unique() {
    let text = || PartKind::Text(Text::literal("t"));
    let thought = || PartKind::Thinking { text: Text::literal("h"), signature: None };
    let output = written(&answer(
        vec![
            thought(),
            text(),
            PartKind::Refusal(Text::literal("no")),
            thought(),
            PartKind::RedactedThinking(Text::literal("x")),
        ],
        Finish::Length,
    ))["output"]
        .take();
    let ids: Vec<_> = output.as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["rs_0123abcd_0", "msg_0123abcd_1", "rs_0123abcd_2", "rs_0123abcd_3"]);
    assert_eq!(output[1]["content"].as_array().unwrap().len(), 2);
    assert_eq!(output[3]["encrypted_content"], "redacted_thinking:x");
}
