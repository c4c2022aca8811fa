//! Canonical requests, written for Bedrock: tools and parameters.

#[path = "support/bedrock.rs"]
#[allow(dead_code, reason = "each test binary uses a part")]
mod bedrock;

use bedrock::{CLAUDE, hi, tool, written, written_for};
use serde_json::{Value, json};
use sluice_dialects::bedrock::write_request;
use sluice_dialects::exchange::{
    CacheHint, ChatRequest, Dropped, Effort, Format, Number, Raw, Reasoning, Text, Tool, ToolChoice,
};
use sluice_dialects::wire::{Quirk, Quirks, Target};

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
    assert_eq!(thinking(8192, Some(2000)).0, enabled(1500));
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
fn trap_77_cache_points_where_the_model_takes_them() {
    let mut request = hi();
    request.messages[0].parts[0].cache = Some(CacheHint::Hour);
    let expected = json!([{"text":"Hi"},{"cachePoint":{"type":"default","ttl":"1h"}}]);
    assert_eq!(written(&request)["messages"][0]["content"], expected);
    let (value, dropped) = written_for("meta.llama3-70b-instruct-v1:0", Quirks::NONE, &request);
    assert_eq!(value["messages"][0]["content"], json!([{"text":"Hi"}]));
    assert_eq!(dropped, ["cache_control"]);
}
