//! Anthropic's dialect: parameters as the provider gets them.

#[path = "support/anthropic.rs"]
mod support;

use serde_json::{Value, json};
use sluice_dialects::exchange::{ChatRequest, Effort, Format, Number, Raw, Reasoning, Text, ToolChoice};
use sluice_dialects::wire::{Quirk, Quirks};
use support::{asking, written_as};

const ADAPTIVE: Quirks = Quirks::NONE.with(Quirk::AdaptiveThinking);
const NO_FORMAT: Quirks = Quirks::NONE.with(Quirk::NoOutputFormat);

fn changed(more: Value, quirks: Quirks, change: impl FnOnce(&mut ChatRequest<'_>)) -> (Value, Vec<String>) {
    written_as(&asking(more), quirks, change).expect("it can be written")
}

fn number(digits: &'static str) -> Option<Number<'static>> {
    Some(Number::written(digits.as_bytes()))
}

#[test]
fn trap_46_a_limit_is_always_written() {
    let limit = |given: Option<u64>| {
        changed(json!({}), Quirks::NONE, |request| request.max_tokens = given).0["max_tokens"].clone()
    };
    assert_eq!(limit(Some(5)), 5);
    assert_eq!(limit(None), 4096);
}

fn thinking(limit: Option<u64>, quirks: Quirks, reasoning: Reasoning) -> (Value, Value, Vec<String>) {
    let (written, dropped) = changed(json!({}), quirks, |request| {
        request.max_tokens = limit;
        request.reasoning = Some(reasoning);
    });
    (written["thinking"].clone(), written["max_tokens"].clone(), dropped)
}

#[test]
fn trap_47_a_budget_is_less_than_the_limit() {
    let budget = |limit: Option<u64>, budget: u64| {
        let reasoning = Reasoning { budget: Some(budget), ..Reasoning::default() };
        let (thinking, limit, dropped) = thinking(limit, Quirks::NONE, reasoning);
        (thinking["budget_tokens"].as_u64(), limit.as_u64().unwrap(), dropped.len())
    };
    assert_eq!(budget(Some(10_000), 4_000), (Some(4_000), 10_000, 0));
    assert_eq!(budget(Some(10_000), 10), (Some(1_024), 10_000, 0));
    // A limit of the client's is kept.
    assert_eq!(budget(Some(4_000), 4_000), (Some(3_000), 4_000, 0));
    assert_eq!(budget(Some(1_200), 4_000), (None, 1_200, 1));
    // Ours is not.
    assert_eq!(budget(None, 4_000), (Some(4_000), 4_096, 0));
    assert_eq!(budget(None, 16_384), (Some(16_384), 20_480, 0));
    assert_eq!(budget(Some(100), u64::MAX), (None, 100, 1));
    assert_eq!(budget(None, u64::MAX), (Some(u64::MAX), u64::MAX, 0));
}

#[test]
fn trap_56_effort_becomes_a_budget_or_stays() {
    let effort = |effort| Reasoning { effort: Some(effort), ..Reasoning::default() };
    let (budget, ..) = thinking(Some(32_000), Quirks::NONE, effort(Effort::High));
    assert_eq!(budget, json!({"type": "enabled", "budget_tokens": 16_384}));
    assert_eq!(thinking(None, Quirks::NONE, effort(Effort::None)).0, Value::Null);
    assert_eq!(thinking(None, ADAPTIVE, effort(Effort::None)).0, json!({"type": "disabled"}));
    let dynamic = Reasoning { dynamic: true, ..Reasoning::default() };
    assert_eq!(thinking(Some(9_000), Quirks::NONE, dynamic).0["budget_tokens"], 8_192);
    assert_eq!(thinking(None, ADAPTIVE, dynamic).0, json!({"type": "adaptive"}));
    let adaptive = |reasoning: Reasoning| {
        let (written, _) = changed(json!({}), ADAPTIVE, |request| request.reasoning = Some(reasoning));
        (written["thinking"].clone(), written["output_config"].clone())
    };
    let shown = Reasoning { show: Some(true), ..effort(Effort::Minimal) };
    assert_eq!(
        adaptive(shown),
        (json!({"type": "adaptive", "display": "summarized"}), json!({"effort": "low"}))
    );
    let budget = Reasoning { budget: Some(20_000), show: Some(false), ..Reasoning::default() };
    assert_eq!(
        adaptive(budget),
        (json!({"type": "adaptive", "display": "omitted"}), json!({"effort": "high"}))
    );
    assert_eq!(adaptive(effort(Effort::Xhigh)).1, json!({"effort": "xhigh"}));
}

#[test]
fn trap_27_a_forced_call_goes_before_thinking() {
    let tools = json!({"tools": [{"name": "f", "input_schema": {"type": "object"}}], "max_tokens": 9000, "temperature": 0.5});
    let forced = |quirks| {
        changed(tools.clone(), quirks, |request| {
            request.tool_choice = Some(ToolChoice::Required);
            request.reasoning = Some(Reasoning { effort: Some(Effort::Low), ..Reasoning::default() });
        })
    };
    let (written, dropped) = forced(Quirks::NONE);
    assert_eq!((&written["thinking"], &written["tool_choice"]["type"]), (&Value::Null, &json!("any")));
    assert_eq!((dropped, &written["temperature"]), (vec!["reasoning_effort".to_owned()], &json!(0.5)));
    let (written, dropped) = forced(ADAPTIVE);
    assert_eq!((&written["thinking"], &written["output_config"]), (&Value::Null, &json!({"effort": "low"})));
    assert_eq!(dropped, ["reasoning_effort", "temperature"]);
}

#[test]
fn thoughts_that_did_not_come_back_end_the_thinking() {
    let call = json!({"type": "tool_use", "id": "a", "name": "f", "input": {}});
    let thought = json!({"type": "thinking", "thinking": "t", "signature": "EqMB"});
    let result =
        json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "content": "1"}]});
    let asked = |turn: Value, last: Value, quirks| {
        let messages =
            json!([{"role": "user", "content": "go"}, {"role": "assistant", "content": turn}, last]);
        let (written, dropped) =
            changed(json!({"messages": messages, "max_tokens": 9000}), quirks, |request| {
                request.reasoning = Some(Reasoning { effort: Some(Effort::Low), ..Reasoning::default() });
            });
        (written["thinking"]["type"].as_str().map(str::to_owned), dropped.len())
    };
    assert_eq!(asked(json!([call]), result.clone(), Quirks::NONE), (None, 1));
    assert_eq!(asked(json!([thought, call]), result.clone(), Quirks::NONE), (Some("enabled".to_owned()), 0));
    assert_eq!(asked(json!([call]), result, ADAPTIVE), (Some("adaptive".to_owned()), 0));
    let next = json!({"role": "user", "content": "and now?"});
    assert_eq!(asked(json!("text"), next, Quirks::NONE), (Some("enabled".to_owned()), 0));
}

#[test]
fn trap_48_and_49_sampling() {
    let sampling = |quirks, temperature, top_p, thinks: bool| {
        let (written, dropped) = changed(json!({"top_k": 5, "max_tokens": 9000}), quirks, |request| {
            request.temperature = temperature;
            request.top_p = top_p;
            request.reasoning = thinks.then_some(Reasoning { budget: Some(2000), ..Reasoning::default() });
        });
        let values: Vec<_> = ["temperature", "top_p", "top_k"]
            .iter()
            .filter_map(|name| written.get(name).map(|value| format!("{name}={value}")))
            .collect();
        (values.join(" "), dropped.join(" "))
    };
    let both = |values: &str, dropped: &str| (values.to_owned(), dropped.to_owned());
    assert_eq!(sampling(Quirks::NONE, number("0.2"), None, false), both("temperature=0.2 top_k=5", ""));
    assert_eq!(
        sampling(Quirks::NONE, number("1.6"), None, false),
        both("temperature=1 top_k=5", "temperature")
    );
    assert_eq!(sampling(Quirks::NONE, None, number("0.9"), false), both("top_p=0.9 top_k=5", ""));
    assert_eq!(
        sampling(Quirks::NONE, number("0.2"), number("0.9"), false),
        both("temperature=0.2 top_k=5", "top_p")
    );
    assert_eq!(
        sampling(Quirks::NONE, number("0.2"), number("1.0"), false),
        both("temperature=0.2 top_k=5", "")
    );
    assert_eq!(sampling(Quirks::NONE, number("0.2"), None, true), both("", "temperature top_k"));
    assert_eq!(sampling(ADAPTIVE, number("0.2"), number("0.9"), false), both("", "temperature top_p top_k"));
}

#[test]
fn trap_50_blank_stops_are_dropped() {
    let (written, dropped) = changed(json!({"stop_sequences": ["a", "\n\n", ""]}), Quirks::NONE, |_| {});
    assert_eq!((written["stop_sequences"].clone(), dropped), (json!(["a"]), vec!["stop".to_owned()]));
}

#[test]
fn trap_51_several_answers_are_refused() {
    let refused = written_as(&asking(json!({})), Quirks::NONE, |request| request.n = Some(2));
    assert_eq!(refused.unwrap_err().param, Some("n"));
    assert!(written_as(&asking(json!({})), Quirks::NONE, |request| request.n = Some(1)).is_ok());
}

#[test]
fn trap_52_to_57_what_has_no_peer_is_noted() {
    let (_, dropped) = changed(json!({}), Quirks::NONE, |request| {
        request.seed = number("7");
        request.frequency_penalty = number("0.1");
        request.presence_penalty = number("0.1");
        request.logprobs = Some(true);
        request.top_logprobs = Some(3);
        request.logit_bias = Some(Raw::written(b"{}"));
        request.verbosity = Some(Text::literal("low"));
        request.cache_key = Some(Text::literal("k"));
        request.service_tier = Some(Text::literal("flex"));
        request.format = Some(Format::Json);
        request.messages[0].name = Some(Text::literal("ann"));
    });
    let expected = [
        "messages.name",
        "response_format",
        "frequency_penalty",
        "presence_penalty",
        "seed",
        "logprobs",
        "top_logprobs",
        "logit_bias",
        "verbosity",
        "prompt_cache_key",
        "service_tier",
    ];
    assert_eq!(dropped, expected);
}

#[test]
fn trap_55_user_and_tier_are_carried() {
    let (written, dropped) = changed(json!({}), Quirks::NONE, |request| {
        request.user = Some(Text::literal("u\\\"1"));
        request.service_tier = Some(Text::literal("default"));
        request.stream = true;
    });
    assert_eq!(written["metadata"], json!({"user_id": "u\"1"}));
    assert_eq!((&written["service_tier"], &written["stream"]), (&json!("standard_only"), &json!(true)));
    assert_eq!(dropped, [""; 0]);
}

fn with_schema(request: &mut ChatRequest<'_>) {
    request.format = Some(Format::Schema {
        name: Some(Text::literal("answer")),
        description: None,
        schema: Raw::written(br#"{"type":"object","properties":{"b":{},"a":{}}}"#),
        strict: Some(true),
    });
}

#[test]
fn trap_44_a_schema_is_a_format() {
    let (written, dropped) = changed(json!({}), Quirks::NONE, with_schema);
    let schema = json!({"type": "object", "properties": {"a": {}, "b": {}}});
    assert_eq!(written["output_config"], json!({"format": {"type": "json_schema", "schema": schema}}));
    assert_eq!(dropped, [""; 0]);
}

#[test]
fn trap_44_where_there_is_no_format_a_tool_stands_in() {
    let (written, dropped) = changed(json!({}), NO_FORMAT, with_schema);
    assert_eq!(written["tools"][0]["name"], "sluice_answer_format");
    assert_eq!(written["tools"][0]["input_schema"]["type"], "object");
    assert_eq!(written["tool_choice"], json!({"type": "tool", "name": "sluice_answer_format"}));
    assert_eq!((&written["output_config"], dropped.len()), (&Value::Null, 0));
    // Beside other tools, one of all must be called; without thinking, which cannot be had then.
    let tools = json!({"tools": [{"name": "f", "input_schema": {"type": "object"}, "strict": true}], "max_tokens": 9000});
    let (written, dropped) = changed(tools.clone(), NO_FORMAT, |request| {
        with_schema(request);
        request.reasoning = Some(Reasoning { budget: Some(2000), ..Reasoning::default() });
    });
    assert_eq!(written["tools"].as_array().unwrap().len(), 2);
    assert_eq!(written["tools"][0].get("strict"), None);
    assert_eq!(written["tool_choice"], json!({"type": "any"}));
    assert_eq!(
        (dropped, &written["thinking"]),
        (vec!["tools.strict".to_owned(), "reasoning_effort".to_owned()], &Value::Null)
    );
    // A call that is demanded by name is no answer in a format.
    let (written, dropped) = changed(tools, NO_FORMAT, |request| {
        with_schema(request);
        request.tool_choice = Some(ToolChoice::Named(Text::literal("f")));
        request.tools[0].strict = None;
    });
    assert_eq!(written["tools"].as_array().unwrap().len(), 1);
    assert_eq!(dropped, ["response_format"]);
}

#[test]
fn vertex_has_the_version_in_the_body_and_the_model_in_the_path() {
    let vertex = Quirks::NONE.with(Quirk::VertexBody);
    let (there, dropped) = changed(json!({"stream": true}), vertex, |request| request.stream = true);
    let (mut here, _) = changed(json!({"stream": true}), Quirks::NONE, |request| request.stream = true);
    assert_eq!((&there["anthropic_version"], &there["stream"]), (&json!("vertex-2023-10-16"), &json!(true)));
    let members = here.as_object_mut().unwrap();
    assert!(members.remove("model").is_some());
    members.insert("anthropic_version".into(), json!("vertex-2023-10-16"));
    assert_eq!((there, dropped), (here, vec![]));
}
