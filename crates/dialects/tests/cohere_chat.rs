//! Cohere's chat: what is read from its own forms, and what is written from canonical ones.

use std::path::Path;

use serde_json::{Value, json};
use sluice_dialects::exchange::{
    Arguments, ChatAnswer, ChatRequest, Choice, Dropped, Effort, ErrorClass, Finish, Format, Media, Message,
    Number, Part, PartKind, Raw, Reasoning, Role, Source, Text, Tool, ToolCall, ToolChoice, ToolResult,
};
use sluice_dialects::json::Doc;
use sluice_dialects::wire::{AnswerContext, Quirks, Target, Wire};
use sluice_types::Usage;

fn case(path: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/cohere");
    std::fs::read(folder.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn with_request(body: &[u8], check: impl FnOnce(ChatRequest<'_>, Vec<String>)) {
    let doc = Doc::parse(body).expect("valid JSON");
    let mut dropped = Dropped::default();
    let request = Wire::Cohere.read_request(&doc, false, &mut dropped).expect("a request");
    check(request, dropped.names().map(str::to_owned).collect());
}

fn refused(body: &Value) -> Option<&'static str> {
    let body = body.to_string();
    let doc = Doc::parse(body.as_bytes()).expect("valid JSON");
    Wire::Cohere.read_request(&doc, false, &mut Dropped::default()).expect_err("a refusal").param
}

const TARGET: Target<'_> =
    Target { model: "command-a-03-2025", quirks: Quirks::NONE, default_max_tokens: 4096 };

fn written(request: &ChatRequest<'_>) -> (Value, Vec<String>) {
    let (mut out, mut dropped) = (Vec::new(), Dropped::default());
    Wire::Cohere
        .write_request(request, &TARGET, &mut dropped, &mut out)
        .expect("a request that can be written");
    let body = serde_json::from_slice(&out).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&out)));
    (body, dropped.names().map(str::to_owned).collect())
}

fn text(text: &'static str) -> Part<'static> {
    PartKind::Text(Text::literal(text)).into()
}

fn message(role: Role, parts: Vec<Part<'static>>) -> Message<'static> {
    Message { role, parts, name: None }
}

fn call(id: &'static str, name: &'static str, arguments: &'static str) -> Part<'static> {
    let arguments = Arguments::Text(Text::plain(arguments));
    let (id, name) = (Text::literal(id), Text::literal(name));
    PartKind::ToolCall(ToolCall { id, name, arguments, signature: None, custom: false }).into()
}

fn result(id: &'static str, parts: Vec<Part<'static>>) -> Part<'static> {
    PartKind::ToolResult(ToolResult { id: Text::literal(id), name: None, parts, is_error: false }).into()
}

fn tool(name: &'static str) -> Tool<'static> {
    let name = Text::literal(name);
    Tool { name, description: None, schema: None, strict: None, custom: false, cache: None }
}

fn asking(parts: Vec<Part<'static>>) -> ChatRequest<'static> {
    ChatRequest { messages: vec![message(Role::User, parts)], ..ChatRequest::default() }
}

#[test]
fn requests_of_its_own_come_back_as_they_were() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/cohere");
    for entry in std::fs::read_dir(folder).expect("cases") {
        let path = entry.expect("an entry").path().join("request.json");
        let Ok(body) = std::fs::read(&path) else { continue };
        let mut expected: Value = serde_json::from_slice(&body).expect("JSON");
        with_request(&body, |request, dropped| {
            let (mut out, _) = written(&request);
            let case = path.display();
            // What differs for a reason is tested below.
            if !path.to_string_lossy().contains("document") {
                assert!(dropped.is_empty(), "{case}: {dropped:?}");
            }
            for body in [&mut out, &mut expected] {
                body.as_object_mut().expect("an object").remove("documents");
                body.as_object_mut().expect("an object").remove("citation_options");
                for message in body["messages"].as_array_mut().expect("messages") {
                    if let Some([block]) = message["content"].as_array().map(Vec::as_slice) {
                        let text = block["text"].as_str().map(str::to_owned);
                        message["content"] =
                            json!(text.unwrap_or_else(|| block["document"]["data"].to_string()));
                    }
                    if message["role"] == "tool" || message["tool_calls"].is_array() {
                        message["content"] = json!(null);
                        message["tool_calls"] = json!(null);
                    }
                }
                body["model"] = json!(null);
            }
            assert_eq!(out, expected, "{case}");
        });
    }
}

#[test]
fn members_are_read() {
    with_request(&case("text/request.json"), |request, _| {
        assert_eq!(request.max_tokens, Some(64));
        assert_eq!(request.top_p, Some(Number::written(b"0.9")));
        assert_eq!(request.top_k, Some(Number::written(b"40")));
        assert_eq!(request.stop, [Text::literal("END")]);
    });
    with_request(&case("tool-single/request.json"), |request, _| {
        assert_eq!(request.tool_choice, Some(ToolChoice::Required));
        assert_eq!(request.tools[0].strict, Some(true));
        assert_eq!(request.messages[1].parts[0], text("I will look up the weather in Paris."));
        let PartKind::ToolResult(result) = &request.messages[2].parts[0].kind else { panic!("a result") };
        let PartKind::Text(data) = &result.parts[0].kind else { panic!("text") };
        assert_eq!(serde_json::from_str::<Value>(&data.decode()).unwrap()["temperature"], 18);
    });
    with_request(&case("tools-parallel/request.json"), |request, _| {
        assert_eq!(request.messages.len(), 3, "a run of results is one message");
        assert_eq!(request.messages[2].parts.len(), 2);
    });
    with_request(&case("image-base64/request.json"), |request, _| {
        let PartKind::Image(media) = &request.messages[0].parts[0].kind else { panic!("an image") };
        assert_eq!(media.media_type, Some(Text::literal("image/png")));
        assert!(matches!(&media.source, Source::Base64(data) if data.as_escaped().starts_with(b"iVBOR")));
    });
    with_request(&case("document/request.json"), |request, dropped| {
        let PartKind::Document(media) = &request.messages[0].parts[0].kind else { panic!("a document") };
        assert_eq!(media.name, Some(Text::literal("doc-1")));
        assert_eq!(media.source, Source::Text(Text::literal("The report was written by Ada Lovelace.")));
        assert_eq!(request.messages[0].parts.len(), 3);
        assert_eq!(dropped, ["citation_options"]);
        assert_eq!(written(&request).0["documents"][1], json!({"data": {"text": "It was printed in 1843."}}));
    });
    with_request(&case("reasoning/request.json"), |request, _| {
        assert_eq!(request.reasoning.and_then(|reasoning| reasoning.budget), Some(2000));
        assert!(matches!(request.messages[1].parts[0].kind, PartKind::Thinking { .. }));
    });
    with_request(&case("structured-output/request.json"), |request, _| {
        assert!(matches!(request.format, Some(Format::Schema { .. })));
    });
}

#[test]
fn what_cannot_be_read_names_its_member() {
    let messages = json!([{"role": "user", "content": "x"}]);
    assert_eq!(refused(&json!({})), Some("messages"));
    assert_eq!(refused(&json!({"messages": []})), Some("messages"));
    assert_eq!(refused(&json!({"messages": [{"role": "robot", "content": "x"}]})), Some("messages"));
    assert_eq!(refused(&json!({"messages": [{"role": "user", "content": 1}]})), Some("messages"));
    assert_eq!(refused(&json!({"messages": [{"role": "tool", "content": "x"}]})), Some("messages"));
    assert_eq!(refused(&json!({"messages": messages, "p": "high"})), Some("p"));
    assert_eq!(refused(&json!({"messages": messages, "tool_choice": "SOME"})), Some("tool_choice"));
    assert_eq!(refused(&json!({"messages": messages, "tools": [{"type": "function"}]})), Some("tools"));
    assert_eq!(refused(&json!({"messages": messages, "documents": "x"})), Some("documents"));
    assert_eq!(refused(&json!({"messages": messages, "thinking": {}})), Some("thinking"));
}

#[test]
fn trap_05_empty_content_is_dropped() {
    let mut request = asking(vec![text(" "), text("hi"), text("")]);
    request.messages.push(message(Role::Assistant, vec![text("")]));
    assert_eq!(written(&request).0["messages"], json!([{"role": "user", "content": "hi"}]));
    let empty = asking(vec![text("  ")]);
    let error =
        Wire::Cohere.write_request(&empty, &TARGET, &mut Dropped::default(), &mut Vec::new()).unwrap_err();
    assert_eq!(error.param, Some("messages"));
}

#[test]
fn trap_08_text_beside_calls_is_the_plan() {
    let mut request = asking(vec![text("hi")]);
    request.messages.push(message(
        Role::Assistant,
        vec![text("I look."), call("c1", "f", ""), call("c2", "f", "{\"a\":")],
    ));
    let (body, _) = written(&request);
    let turn = &body["messages"][1];
    assert_eq!(turn["tool_plan"], "I look.");
    assert_eq!(turn.get("content"), None);
    assert_eq!(turn["tool_calls"][0]["function"]["arguments"], "{}", "trap 15");
    assert_eq!(turn["tool_calls"][1]["function"]["arguments"], "{\"input\":\"{\\\"a\\\":\"}", "trap 14");
}

#[test]
fn trap_17_18_19_results_follow_their_calls_in_order() {
    let mut request = asking(vec![text("hi")]);
    request.messages.push(message(Role::Assistant, vec![call("a", "f", "{}"), call("b", "g", "{}")]));
    let image = Media {
        source: Source::Base64(Text::literal("/9j/4AAQ")),
        media_type: None,
        name: None,
        detail: None,
    };
    request.messages.push(message(
        Role::User,
        vec![
            text("and then?"),
            result("b", vec![text("two"), PartKind::Image(image).into()]),
            result("stray", vec![text("lost")]),
            result("a", vec![]),
        ],
    ));
    let (body, dropped) = written(&request);
    let expected = json!([
        {"role": "tool", "tool_call_id": "a", "content": "{}"},
        {"role": "tool", "tool_call_id": "b", "content": "two"},
        {"role": "user", "content": [
            {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,/9j/4AAQ"}},
            {"type": "text", "text": "lost"},
            {"type": "text", "text": "and then?"},
        ]},
    ]);
    assert_eq!(body["messages"].as_array().unwrap()[2..], expected.as_array().unwrap()[..]);
    assert_eq!(dropped, ["messages.tool_call_id", "messages.tool.content"]);
}

#[test]
fn trap_18_a_call_without_a_result_gets_one_and_proofs_are_noted() {
    let mut request = asking(vec![text("go")]);
    let thought = PartKind::Thinking { text: Text::literal("hm"), signature: Some(Text::literal("proof")) };
    request.messages.push(message(Role::Assistant, vec![thought.into(), call("a", "f", "{}")]));
    request.messages.push(message(Role::User, vec![text("never mind")]));
    let (body, dropped) = written(&request);
    let missing = json!({"role": "tool", "tool_call_id": "a", "content": "The call was not answered."});
    assert_eq!(body["messages"][2], missing);
    assert_eq!(body["messages"][3], json!({"role": "user", "content": "never mind"}));
    assert_eq!(dropped, ["messages.thinking_blocks"]);
}

#[test]
fn trap_23_names_of_tools_are_mapped() {
    let tools = [tool("a-b"), tool("a.b"), tool("a_b"), tool("1x"), tool("fine")];
    let mapped: Vec<_> = tools
        .iter()
        .map(|tool| sluice_dialects::cohere::mapped_name(&tools, &tool.name).decode().into_owned())
        .collect();
    assert_eq!(mapped, ["a_b_2", "a_b_3", "a_b", "_1x", "fine"]);
}

#[test]
fn trap_24_25_a_choice_of_some_tools_is_the_list_of_them() {
    let mut request = asking(vec![text("hi")]);
    request.tools = vec![tool("f"), tool("g")];
    request.tool_choice = Some(ToolChoice::Named(Text::literal("g")));
    let (body, dropped) = written(&request);
    assert_eq!(body["tools"].as_array().unwrap().len(), 1);
    assert_eq!(
        body["tools"][0]["function"],
        json!({"name": "g", "parameters": {"type": "object", "properties": {}}})
    );
    assert_eq!(body["tool_choice"], "REQUIRED");
    assert!(dropped.is_empty());
    request.tool_choice = Some(ToolChoice::Allowed { names: vec![Text::literal("f")], required: false });
    let (body, _) = written(&request);
    assert_eq!((body["tools"].as_array().unwrap().len(), body.get("tool_choice")), (1, None));
    request.tool_choice = Some(ToolChoice::None);
    assert_eq!(written(&request).0["tool_choice"], "NONE");
    request.tool_choice = Some(ToolChoice::Named(Text::literal("h")));
    let error =
        Wire::Cohere.write_request(&request, &TARGET, &mut Dropped::default(), &mut Vec::new()).unwrap_err();
    assert_eq!(error.param, Some("tool_choice"));
}

#[test]
fn trap_32_custom_tools_take_one_text() {
    let mut request = asking(vec![text("hi")]);
    request.tools = vec![Tool { custom: true, ..tool("shell") }];
    let arguments = Arguments::Text(Text::plain("ls \"x\""));
    let (id, name) = (Text::literal("c"), Text::literal("shell"));
    let call = ToolCall { id, name, arguments, signature: None, custom: true };
    request.messages.push(message(Role::Assistant, vec![PartKind::ToolCall(call).into()]));
    let (body, _) = written(&request);
    assert_eq!(body["tools"][0]["function"]["parameters"]["required"], json!(["input"]));
    let arguments = &body["messages"][1]["tool_calls"][0]["function"]["arguments"];
    assert_eq!(arguments, "{\"input\":\"ls \\\"x\\\"\"}");
}

#[test]
fn trap_44_45_48_51_57_parameters() {
    let mut request = asking(vec![text("hi")]);
    request.top_p = Some(Number::written(b"1"));
    request.frequency_penalty = Some(Number::written(b"-0.5"));
    request.stop = vec![Text::literal("a"); 6];
    request.logit_bias = Some(Raw::written(b"{}"));
    request.user = Some(Text::literal("u"));
    request.format = Some(Format::Json);
    request.reasoning = Some(Reasoning { effort: Some(Effort::Low), ..Reasoning::default() });
    request.max_tokens = Some(1000);
    let (body, dropped) = written(&request);
    assert_eq!(body["p"], json!(0.99));
    assert_eq!(body["frequency_penalty"], json!(0));
    assert_eq!(body["response_format"], json!({"type": "json_object"}));
    assert_eq!(body["thinking"], json!({"type": "enabled", "token_budget": 500}));
    assert_eq!(body["stop_sequences"].as_array().unwrap().len(), 5);
    assert_eq!(dropped, ["frequency_penalty", "stop", "logit_bias", "user"]);
    request.tools = vec![tool("f")];
    request.reasoning = Some(Reasoning { effort: Some(Effort::None), ..Reasoning::default() });
    let (body, dropped) = written(&request);
    assert_eq!(body.get("response_format"), None);
    assert_eq!(body["thinking"], json!({"type": "disabled"}));
    assert!(dropped.contains(&"response_format".to_owned()));
    request.n = Some(2);
    let error =
        Wire::Cohere.write_request(&request, &TARGET, &mut Dropped::default(), &mut Vec::new()).unwrap_err();
    assert_eq!(error.param, Some("n"));
}

#[test]
fn answers_of_its_own_come_back_as_they_were() {
    for name in [
        "text",
        "tool-single",
        "tools-parallel",
        "document",
        "reasoning",
        "stop",
        "length",
        "tool-no-arguments",
    ] {
        let body = case(&format!("{name}/answer.json"));
        let doc = Doc::parse(&body).expect("JSON");
        let answer = Wire::Cohere.read_answer(&doc).expect("an answer");
        let mut out = Vec::new();
        Wire::Cohere.write_answer(&answer, &AnswerContext::default(), &mut out);
        let mut expected: Value = serde_json::from_slice(&body).expect("JSON");
        let mut written: Value = serde_json::from_slice(&out).expect("JSON");
        let usage = expected["usage"]["billed_units"].clone();
        assert_eq!(written["usage"]["billed_units"], usage, "{name}");
        (expected["usage"], written["usage"]) = (json!(null), json!(null));
        assert_eq!(written, expected, "{name}");
    }
}

#[test]
fn trap_75_what_is_billed_counts() {
    let usage = |text: &str| sluice_dialects::cohere::read_usage(text.as_bytes());
    let counted =
        |input, cached_input, output| Some(Usage { input, cached_input, output, ..Usage::default() });
    let both = r#"{"billed_units":{"input_tokens":5.0,"output_tokens":4},"tokens":{"input_tokens":71,"output_tokens":9},"cached_tokens":3}"#;
    assert_eq!(usage(both), counted(5, 3, 4));
    let tokens = r#"{"tokens":{"input_tokens":71,"output_tokens":9},"cached_tokens":64}"#;
    assert_eq!(usage(tokens), counted(71, 64, 9));
    assert_eq!(usage(r#"{"billed_units":{"input_tokens":50},"cached_tokens":176}"#), counted(50, 50, 0));
    assert_eq!(usage(r#"{"billed_units":{"search_units":1}}"#), None);
    assert_eq!(usage("null"), None);
}

#[test]
fn trap_78_ends_have_names() {
    let finish = |finish| {
        let choice = Choice { finish, ..Choice::default() };
        let answer = ChatAnswer { choices: vec![choice], ..ChatAnswer::default() };
        let mut out = Vec::new();
        let context =
            AnswerContext { id: "0123456789abcdef0123456789abcdef".to_owned(), ..AnswerContext::default() };
        Wire::Cohere.write_answer(&answer, &context, &mut out);
        let body: Value = serde_json::from_slice(&out).expect("JSON");
        assert_eq!(body["id"], "01234567-89ab-cdef-0123-456789abcdef");
        body["finish_reason"].as_str().expect("a reason").to_owned()
    };
    let ends = [
        (Finish::Stop, "COMPLETE"),
        (Finish::StopSequence, "STOP_SEQUENCE"),
        (Finish::Length, "MAX_TOKENS"),
        (Finish::ToolCalls, "TOOL_CALL"),
        (Finish::ContentFilter, "ERROR"),
        (Finish::Refusal, "COMPLETE"),
        (Finish::Error, "ERROR"),
    ];
    for (end, name) in ends {
        assert_eq!(finish(end), name);
    }
}

#[test]
fn errors_of_any_shape_are_read() {
    let recorded: Value = serde_json::from_slice(&case("error-before/error.json")).expect("JSON");
    let error = Wire::Cohere.read_error(429, recorded["body"].to_string().as_bytes());
    assert_eq!(error.class, ErrorClass::RateLimit);
    assert!(error.message.starts_with("You are using a Trial key"));
    let read = |status, body: &str| Wire::Cohere.read_error(status, body.as_bytes());
    assert_eq!(
        read(400, r#"{"message":"too many tokens: 130000 > 128000"}"#).class,
        ErrorClass::ContextLength
    );
    assert_eq!(read(498, r#"{"message":"invalid token"}"#).class, ErrorClass::Authentication);
    assert_eq!(read(502, "<html>bad</html>").message, "The provider answered with status 502.");
    assert_eq!(read(500, "").class, ErrorClass::Server);
    assert_eq!(read(422, r#"{"detail":[{"msg":"field required"}]}"#).message, "field required");
    assert_eq!(read(400, r#"[{"error":{"message":"m","code":7}}]"#).message, "m");
    assert_eq!(read(400, &format!("{{\"message\":\"{}\"}}", "é".repeat(3000))).message.len(), 2048);
    let mut out = Vec::new();
    Wire::Cohere.write_error(&read(400, r#"{"message":"no \"x\""}"#), &mut out);
    assert_eq!(serde_json::from_slice::<Value>(&out).unwrap(), json!({"message": "no \"x\""}));
}

#[test]
fn native_requests_are_inspected() {
    let view = sluice_dialects::cohere::inspect(&case("text/request.json")).expect("a request");
    assert_eq!((view.stream, view.max_output_tokens, view.n), (false, Some(64), 1));
    assert!(sluice_dialects::cohere::inspect(br#"{"model":"m","model":"n","messages":[]}"#).is_err());
    assert!(sluice_dialects::cohere::inspect(br#"{"model":"m"}"#).is_err());
}
