//! Canonical requests, written for Bedrock.

mod support;

use serde_json::{Value, json};
use sluice_dialects::bedrock::{mapped_name, read_request, write_request};
use sluice_dialects::exchange::{
    Arguments, CacheHint, ChatRequest, Dropped, Effort, Format, Media, Message, Number, Part, PartKind, Raw,
    Reasoning, Role, Source, Text, Tool, ToolCall, ToolChoice, ToolResult,
};
use sluice_dialects::json::Doc;
use sluice_dialects::wire::{Quirk, Quirks, Target};

const CLAUDE: &str = "anthropic.claude-sonnet-4-5-20250929-v1:0";

fn written_for(model: &str, quirks: Quirks, request: &ChatRequest<'_>) -> (Value, Vec<String>) {
    let (mut dropped, mut out) = (Dropped::default(), Vec::new());
    let target = Target { model, quirks, default_max_tokens: 4096 };
    write_request(request, &target, &mut dropped, &mut out).unwrap();
    let value = serde_json::from_slice(&out).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&out)));
    (value, dropped.names().map(str::to_owned).collect())
}

fn written(request: &ChatRequest<'_>) -> Value {
    written_for(CLAUDE, Quirks::NONE, request).0
}

fn message(role: Role, parts: Vec<PartKind<'static>>) -> Message<'static> {
    Message { role, parts: parts.into_iter().map(Part::from).collect(), name: None }
}

fn text(text: &'static str) -> PartKind<'static> {
    PartKind::Text(Text::plain(text))
}

fn call(id: &str, arguments: &str) -> PartKind<'static> {
    PartKind::ToolCall(ToolCall {
        id: Text::plain(id),
        name: Text::plain("f"),
        arguments: Arguments::Text(Text::plain(arguments)),
        signature: None,
        custom: false,
    })
}

fn result(id: &str, parts: Vec<PartKind<'static>>) -> PartKind<'static> {
    let parts = parts.into_iter().map(Part::from).collect();
    PartKind::ToolResult(ToolResult { id: Text::plain(id), name: None, parts, is_error: false })
}

fn tool(name: &str) -> Tool<'static> {
    Tool {
        name: Text::plain(name),
        description: None,
        schema: None,
        strict: None,
        custom: false,
        cache: None,
    }
}

fn asking(messages: Vec<Message<'static>>) -> ChatRequest<'static> {
    ChatRequest { messages, ..ChatRequest::default() }
}

fn hi() -> ChatRequest<'static> {
    asking(vec![message(Role::User, vec![text("Hi")])])
}

fn media(source: Source<'static>, name: Option<&'static str>) -> Media<'static> {
    Media { source, media_type: None, name: name.map(Text::plain), detail: None }
}

#[test]
fn trap_01_turns_alternate() {
    let request = asking(vec![
        message(Role::User, vec![text("a")]),
        message(Role::User, vec![text("b")]),
        message(Role::Assistant, vec![text("c")]),
        message(Role::Assistant, vec![text(" ")]),
        message(Role::Assistant, vec![text("d")]),
        message(Role::User, vec![text("e")]),
    ]);
    let expected = json!([
        {"role":"user","content":[{"text":"a"},{"text":"b"}]},
        {"role":"assistant","content":[{"text":"c"},{"text":"d"}]},
        {"role":"user","content":[{"text":"e"}]},
    ]);
    assert_eq!(written(&request)["messages"], expected);
}

#[test]
fn trap_02_the_user_speaks_first() {
    let request =
        asking(vec![message(Role::Assistant, vec![text("Hello")]), message(Role::User, vec![text("Hi")])]);
    assert_eq!(written(&request)["messages"][0]["role"], "user");
    assert_eq!(written(&request)["messages"].as_array().unwrap().len(), 3);
}

#[test]
fn trap_03_system_prompts_keep_their_order() {
    let request = asking(vec![
        message(Role::System, vec![text("one"), text(" ")]),
        message(Role::User, vec![text("Hi")]),
        message(Role::System, vec![text("two")]),
    ]);
    assert_eq!(written(&request)["system"], json!([{"text":"one"},{"text":"two"}]));
}

#[test]
fn trap_04_a_system_prompt_alone_gets_a_turn() {
    let request = asking(vec![message(Role::System, vec![text("one")])]);
    assert_eq!(written(&request)["messages"], json!([{"role":"user","content":[{"text":"."}]}]));
}

#[test]
fn trap_05_empty_content_is_dropped() {
    let request = asking(vec![
        message(Role::User, vec![text(""), text("a"), text("\n ")]),
        message(Role::Assistant, vec![text("")]),
        message(Role::User, vec![text("b")]),
    ]);
    assert_eq!(written(&request)["messages"], json!([{"role":"user","content":[{"text":"a"},{"text":"b"}]}]));
}

#[test]
fn trap_06_a_prefill_ends_without_white_space() {
    let request =
        asking(vec![message(Role::User, vec![text("a")]), message(Role::Assistant, vec![text("b \n")])]);
    assert_eq!(written(&request)["messages"][1]["content"], json!([{"text":"b"}]));
}

#[test]
fn trap_13_documents() {
    let pdf = |name| PartKind::Document(media(Source::Base64(Text::literal("JVBERi0xLjQ=")), Some(name)));
    let request = asking(vec![message(Role::User, vec![pdf("a.pdf"), pdf("a.pdf")])]);
    let expected = json!([
        {"document":{"format":"pdf","name":"a-pdf","source":{"bytes":"JVBERi0xLjQ="}}},
        {"document":{"format":"pdf","name":"a-pdf (2)","source":{"bytes":"JVBERi0xLjQ="}}},
        {"text":"."},
    ]);
    assert_eq!(written(&request)["messages"][0]["content"], expected);
}

#[test]
fn trap_14_arguments_are_always_objects() {
    let arguments = |text: &str| {
        let request = asking(vec![
            message(Role::User, vec![self::text("a")]),
            message(Role::Assistant, vec![call("1", text)]),
        ]);
        written(&request)["messages"][1]["content"][0]["toolUse"]["input"].clone()
    };
    assert_eq!(arguments(""), json!({}));
    assert_eq!(arguments("{\"a\":12345678901234567890}").to_string(), "{\"a\":12345678901234567890}");
    assert_eq!(arguments("{\"a\":"), json!({"input":"{\"a\":"}));
    assert_eq!(arguments("[1]"), json!({"input":"[1]"}));
}

#[test]
fn trap_17_results_are_one_turn_in_the_order_of_the_calls() {
    let request = asking(vec![
        message(Role::User, vec![text("a")]),
        message(Role::Assistant, vec![call("1", "{}"), call("2", "{}"), call("3", "{}")]),
        message(Role::User, vec![result("2", vec![text("two")])]),
        message(Role::User, vec![result("1", vec![text("one")]), result("9", vec![text("nine")])]),
        message(Role::User, vec![text("b")]),
    ]);
    let (value, dropped) = written_for(CLAUDE, Quirks::NONE, &request);
    let expected = json!([
        {"toolResult":{"toolUseId":"1","content":[{"text":"one"}]}},
        {"toolResult":{"toolUseId":"2","content":[{"text":"two"}]}},
        {"toolResult":{"toolUseId":"3","content":[{"text":"(no output)"}],"status":"error"}},
        {"text":"nine"},
        {"text":"b"},
    ]);
    assert_eq!(value["messages"][2]["content"], expected);
    assert_eq!(value["messages"].as_array().unwrap().len(), 3);
    assert_eq!(dropped, ["messages.tool_call_id"]);
}

#[test]
fn trap_18_an_open_call_is_answered() {
    let request =
        asking(vec![message(Role::User, vec![text("a")]), message(Role::Assistant, vec![call("1", "{}")])]);
    assert_eq!(written(&request)["messages"][2]["content"][0]["toolResult"]["toolUseId"], "1");
    let request = asking(vec![
        message(Role::User, vec![text("a")]),
        message(Role::Assistant, vec![call("1", "{}")]),
        message(Role::Assistant, vec![text("b")]),
        message(Role::User, vec![text("c")]),
    ]);
    let content = &written(&request)["messages"][2]["content"];
    assert_eq!((&content[0]["toolResult"]["status"], &content[1]), (&json!("error"), &json!({"text":"c"})));
}

#[test]
fn trap_22_images_in_results() {
    let png = PartKind::Image(media(Source::Base64(Text::literal("iVBORw0KGgo=")), None));
    let request = asking(vec![
        message(Role::User, vec![text("a")]),
        message(Role::Assistant, vec![call("1", "{}")]),
        message(Role::User, vec![result("1", vec![text(""), png])]),
    ]);
    let expected = json!([{"image":{"format":"png","source":{"bytes":"iVBORw0KGgo="}}}]);
    assert_eq!(written(&request)["messages"][2]["content"][0]["toolResult"]["content"], expected);
}

#[test]
fn trap_23_names_and_ids_fit() {
    let mut request = asking(vec![
        message(Role::User, vec![text("a")]),
        message(
            Role::Assistant,
            vec![call("call.1", "{}"), call("call:1", "{}"), call(&"x".repeat(90), "{}")],
        ),
    ]);
    request.tools = vec![tool("fs.read"), tool("fs_read")];
    let value = written(&request);
    assert_eq!(value["toolConfig"]["tools"][0]["toolSpec"]["name"], "fs_read_2");
    assert_eq!(value["toolConfig"]["tools"][1]["toolSpec"]["name"], "fs_read");
    assert!(mapped_name(&request.tools, &Text::literal("fs.read")).is("fs_read_2"));
    let id = |turn: usize, nth: usize, kind: &str| {
        value["messages"][turn]["content"][nth][kind]["toolUseId"].as_str().unwrap().to_owned()
    };
    let ids: Vec<_> = (0..3).map(|nth| id(1, nth, "toolUse")).collect();
    assert_eq!(ids, (0..3).map(|nth| id(2, nth, "toolResult")).collect::<Vec<_>>());
    assert!(ids[0] != ids[1] && ids.iter().all(|id| id.len() <= 64 && !id.contains(['.', ':'])));
}

#[test]
fn trap_24_choices() {
    let choosing = |choice: Option<ToolChoice<'static>>| {
        let request = ChatRequest { tools: vec![tool("a"), tool("b.c")], tool_choice: choice, ..hi() };
        let config = &written(&request)["toolConfig"];
        (config["tools"].as_array().map_or(0, Vec::len), config["toolChoice"].clone())
    };
    assert_eq!(choosing(None), (2, Value::Null));
    assert_eq!(choosing(Some(ToolChoice::Auto)), (2, json!({"auto":{}})));
    assert_eq!(choosing(Some(ToolChoice::Required)), (2, json!({"any":{}})));
    assert_eq!(choosing(Some(ToolChoice::Named(Text::literal("b.c")))), (2, json!({"tool":{"name":"b_c"}})));
    assert_eq!(choosing(Some(ToolChoice::None)), (0, Value::Null));
    let allowed = |required| ToolChoice::Allowed { names: vec![Text::literal("a")], required };
    assert_eq!(choosing(Some(allowed(false))), (1, json!({"auto":{}})));
    assert_eq!(choosing(Some(allowed(true))), (1, json!({"any":{}})));
}

#[test]
fn trap_24_a_history_with_tools_needs_a_tool() {
    let mut request = asking(vec![
        message(Role::User, vec![text("a")]),
        message(Role::Assistant, vec![call("1", "{}")]),
        message(Role::User, vec![result("1", vec![text("one")])]),
    ]);
    assert_eq!(written(&request)["toolConfig"]["tools"][0]["toolSpec"]["name"], "unavailable");
    request.tools = vec![tool("f")];
    assert_eq!(written(&request)["toolConfig"]["tools"][0]["toolSpec"]["name"], "f");
    request.tool_choice = Some(ToolChoice::None);
    let config = written(&request)["toolConfig"].clone();
    assert_eq!(
        (&config["tools"][0]["toolSpec"]["name"], config.get("toolChoice")),
        (&json!("unavailable"), None)
    );
}

#[test]
fn trap_36_schemas_are_objects() {
    let schema = |schema: Option<&'static str>, custom| {
        let schema = schema.map(|schema| Raw::written(schema.as_bytes()));
        let request = ChatRequest { tools: vec![Tool { schema, custom, ..tool("a") }], ..hi() };
        written(&request)["toolConfig"]["tools"][0]["toolSpec"]["inputSchema"]["json"].to_string()
    };
    assert_eq!(schema(None, false), r#"{"properties":{},"type":"object"}"#);
    assert_eq!(schema(Some("{}"), false), r#"{"type":"object"}"#);
    assert_eq!(
        schema(Some(r#"{"properties":{"a":{}}}"#), false),
        r#"{"properties":{"a":{}},"type":"object"}"#
    );
    assert_eq!(schema(Some(r#"{"type":"object","x":1}"#), false), r#"{"type":"object","x":1}"#);
    assert!(schema(None, true).contains("\"required\":[\"input\"]"));
}

#[test]
fn trap_44_structured_output() {
    let format = Format::Schema {
        name: Some(Text::literal("city")),
        description: None,
        schema: Raw::written(br#"{"type":"object"}"#),
        strict: Some(true),
    };
    let request = ChatRequest { format: Some(format), ..hi() };
    let expected = json!({"textFormat":{"type":"json_schema","structure":{"jsonSchema":{
        "schema":"{\"type\":\"object\"}","name":"city"}}}});
    assert_eq!(written(&request)["outputConfig"], expected);
}

#[test]
fn trap_47_budgets_leave_room() {
    let thinking = |budget, max_tokens| {
        let reasoning = Some(Reasoning { budget: Some(budget), ..Reasoning::default() });
        let temperature = Some(Number::written(b"0.3"));
        let request = ChatRequest { reasoning, max_tokens, temperature, ..hi() };
        let (value, dropped) = written_for(CLAUDE, Quirks::NONE, &request);
        (value["additionalModelRequestFields"]["thinking"].clone(), dropped)
    };
    let enabled = |budget: u64| json!({"type":"enabled","budget_tokens":budget});
    assert_eq!(thinking(2048, Some(8192)), (enabled(2048), vec!["temperature".to_owned()]));
    assert_eq!(thinking(8192, Some(2000)).0, enabled(1999));
    assert_eq!(thinking(10, None).0, enabled(1024));
    assert_eq!(thinking(2048, Some(1000)), (Value::Null, vec!["reasoning_effort".to_owned()]));
    assert_eq!(thinking(0, None), (Value::Null, vec![]));
}

#[test]
fn trap_27_a_forced_tool_excludes_thinking() {
    let reasoning = Some(Reasoning { effort: Some(Effort::High), ..Reasoning::default() });
    let request =
        ChatRequest { reasoning, tools: vec![tool("a")], tool_choice: Some(ToolChoice::Required), ..hi() };
    let (value, dropped) = written_for(CLAUDE, Quirks::NONE, &request);
    assert_eq!(
        (value.get("additionalModelRequestFields"), &*dropped),
        (None, &["reasoning_effort".to_owned()][..])
    );
}

#[test]
fn trap_56_efforts_by_family() {
    let fields = |model: &str, quirks| {
        let reasoning = Some(Reasoning { effort: Some(Effort::Max), ..Reasoning::default() });
        let request = ChatRequest { reasoning, top_k: Some(Number::written(b"5")), ..hi() };
        let (value, dropped) = written_for(model, quirks, &request);
        (value["additionalModelRequestFields"].clone(), value["outputConfig"]["effort"].clone(), dropped)
    };
    let adaptive = fields(CLAUDE, Quirks::NONE.with(Quirk::AdaptiveThinking));
    assert_eq!(adaptive, (json!({"thinking":{"type":"adaptive"}}), json!("max"), vec!["top_k".to_owned()]));
    let openai = fields("openai.gpt-oss-120b-1:0", Quirks::NONE);
    assert_eq!(openai, (json!({"reasoning_effort":"high","top_k":5}), Value::Null, vec![]));
    let nova = fields("us.amazon.nova-2-lite-v1:0", Quirks::NONE);
    let expected = json!({"reasoningConfig":{"type":"enabled","maxReasoningEffort":"high"},"inferenceConfig":{"topK":5}});
    assert_eq!(nova, (expected, Value::Null, vec![]));
    let other = fields("meta.llama3-70b-instruct-v1:0", Quirks::NONE);
    assert_eq!(other, (json!({"top_k":5}), Value::Null, vec!["reasoning_effort".to_owned()]));
}

#[test]
fn trap_48_temperature_ends_at_one() {
    let config = |temperature: &'static [u8]| {
        let request = ChatRequest { temperature: Some(Number::written(temperature)), ..hi() };
        let (value, dropped) = written_for(CLAUDE, Quirks::NONE, &request);
        (value["inferenceConfig"]["temperature"].to_string(), dropped.len())
    };
    assert_eq!(config(b"0.70"), ("0.7".to_owned(), 0));
    assert_eq!(config(b"1.5"), ("1".to_owned(), 1));
}

#[test]
fn trap_51_several_answers_are_refused() {
    let target = Target { model: CLAUDE, quirks: Quirks::NONE, default_max_tokens: 1 };
    let request = ChatRequest { n: Some(2), ..hi() };
    let error = write_request(&request, &target, &mut Dropped::default(), &mut Vec::new()).unwrap_err();
    assert_eq!(error.param, Some("n"));
}

#[test]
fn trap_54_what_has_no_place_is_noted() {
    let request = ChatRequest {
        seed: Some(Number::written(b"1")),
        logprobs: Some(true),
        user: Some(Text::literal("u")),
        logit_bias: Some(Raw::written(b"{}")),
        frequency_penalty: Some(Number::written(b"1")),
        parallel_tool_calls: Some(false),
        format: Some(Format::Json),
        service_tier: Some(Text::literal("scale")),
        ..hi()
    };
    let (value, dropped) = written_for(CLAUDE, Quirks::NONE, &request);
    assert_eq!(value, json!({"messages":[{"role":"user","content":[{"text":"Hi"}]}]}));
    let expected = [
        "frequency_penalty",
        "seed",
        "logprobs",
        "logit_bias",
        "user",
        "parallel_tool_calls",
        "response_format",
        "service_tier",
    ];
    assert_eq!(dropped, expected);
}

#[test]
fn trap_60_media_must_be_at_hand() {
    let target = Target { model: CLAUDE, quirks: Quirks::NONE, default_max_tokens: 1 };
    let refused = |source| {
        let mut image = media(source, None);
        image.media_type = Some(Text::literal("image/png"));
        let request = asking(vec![message(Role::User, vec![PartKind::Image(image)])]);
        write_request(&request, &target, &mut Dropped::default(), &mut Vec::new()).is_err()
    };
    assert!(refused(Source::Url(Text::literal("https://example.com/a.png"))));
    assert!(refused(Source::File(Text::literal("file-1"))));
    assert!(!refused(Source::Url(Text::literal("s3://bucket/a.png"))));
}

#[test]
fn trap_77_cache_points_where_the_model_takes_them() {
    let mut request = hi();
    request.messages[0].parts[0].cache = Some(CacheHint::Hour);
    let expected = json!([{"text":"Hi"},{"cachePoint":{"type":"default","ttl":"1h"}}]);
    assert_eq!(written(&request)["messages"][0]["content"], expected);
    let (value, dropped) = written_for("meta.llama3-70b-instruct-v1:0", Quirks::NONE, &request);
    assert_eq!(value["messages"][0]["content"], json!([{"text":"Hi"}]));
    assert_eq!(dropped, ["cache_control"]);
}

#[test]
fn thoughts_go_back_to_claude_with_their_signature_only() {
    let thought = |signature: Option<&'static str>| PartKind::Thinking {
        text: Text::literal("hm"),
        signature: signature.map(Text::plain),
    };
    let request = asking(vec![
        message(Role::User, vec![text("a")]),
        message(Role::Assistant, vec![thought(None), thought(Some("sig")), text("b")]),
        message(Role::User, vec![text("c")]),
    ]);
    let expected =
        json!([{"reasoningContent":{"reasoningText":{"text":"hm","signature":"sig"}}},{"text":"b"}]);
    let (value, dropped) = written_for(CLAUDE, Quirks::NONE, &request);
    assert_eq!(
        (&value["messages"][1]["content"], &*dropped),
        (&expected, &["messages.reasoning_content".to_owned()][..])
    );
}

#[test]
fn what_is_read_and_written_is_the_same_request() {
    for name in [
        "text",
        "system",
        "multi-turn",
        "tools-parallel",
        "tool-result-image",
        "image-base64",
        "document",
        "reasoning",
    ] {
        let path = format!("{}/tests/cases/bedrock/{name}/request.json", env!("CARGO_MANIFEST_DIR"));
        let body = std::fs::read(path).unwrap();
        let doc = Doc::parse(&body).unwrap();
        let mut dropped = Dropped::default();
        let request = read_request(&doc, false, &mut dropped).unwrap();
        let (value, more) = written_for(CLAUDE, Quirks::NONE, &request);
        assert_eq!(value, serde_json::from_slice::<Value>(&body).unwrap(), "{name}");
        assert!(dropped.is_empty() && more.is_empty(), "{name}");
    }
}
