//! Tools and parameters in Google's dialect as providers get them.

#[path = "support/gemini.rs"]
mod gemini;

use gemini::{GEMINI_3, call, message, result, target, tool, try_write, user, write};
use serde_json::{Value, json};
use sluice_dialects::exchange::{
    ChatRequest, Effort, Format, Number, PartKind, Raw, Reasoning, Role, Text, ToolChoice,
};
use sluice_dialects::gemini::mapped_name;
use sluice_dialects::wire::Quirks;

#[test]
fn trap_24_25_tool_choices_are_written() {
    let choose = |choice| {
        let request = ChatRequest {
            messages: vec![user("x")],
            tools: vec![tool("f", "{}")],
            tool_choice: Some(choice),
            ..ChatRequest::default()
        };
        write(&request, Quirks::NONE).0["toolConfig"]["functionCallingConfig"].clone()
    };
    let names = || vec![Text::literal("f"), Text::literal("g")];
    assert_eq!(choose(ToolChoice::Auto), json!({"mode":"AUTO"}));
    assert_eq!(choose(ToolChoice::None), json!({"mode":"NONE"}));
    assert_eq!(choose(ToolChoice::Required), json!({"mode":"ANY"}));
    assert_eq!(
        choose(ToolChoice::Named(Text::literal("f"))),
        json!({"mode":"ANY","allowedFunctionNames":["f"]})
    );
    let allowed = choose(ToolChoice::Allowed { names: names(), required: true });
    assert_eq!(allowed, json!({"mode":"ANY","allowedFunctionNames":["f","g"]}));
    let allowed = choose(ToolChoice::Allowed { names: names(), required: false });
    assert_eq!(allowed, json!({"mode":"VALIDATED","allowedFunctionNames":["f","g"]}));
}

#[test]
fn edge_42_a_tool_choice_without_tools_is_dropped() {
    let request = ChatRequest {
        messages: vec![user("x")],
        tool_choice: Some(ToolChoice::Required),
        ..ChatRequest::default()
    };
    let (found, dropped) = write(&request, Quirks::NONE);
    assert_eq!((found.get("toolConfig"), dropped.as_str()), (None, "tool_choice"));
}

#[test]
fn trap_32_34_tools_share_an_entry_and_free_text_is_wrapped() {
    let mut free = tool("edit", "{}");
    free.custom = true;
    let mut typed = call("x", "edit", "{\"not\":\"arguments\"}");
    if let PartKind::ToolCall(call) = &mut typed {
        call.custom = true;
    }
    let request = ChatRequest {
        messages: vec![user("x"), message(Role::Assistant, vec![typed])],
        tools: vec![free, tool("now", r#"{"type":"object","properties":{}}"#)],
        parallel_tool_calls: Some(false),
        ..ChatRequest::default()
    };
    let (found, dropped) = write(&request, Quirks::NONE);
    let input = json!({"type":"OBJECT","properties":{"input":{"type":"STRING"}},"required":["input"]});
    let expected = json!([{"functionDeclarations":[{"name":"edit","parameters":input},{"name":"now"}]}]);
    assert_eq!(found["tools"], expected);
    let arguments = &found["contents"][1]["parts"][0]["functionCall"]["args"];
    assert_eq!(*arguments, json!({"input":"{\"not\":\"arguments\"}"}));
    assert_eq!(dropped, "parallel_tool_calls");
}

#[test]
fn trap_23_names_are_made_to_fit() {
    let choice = ToolChoice::Named(Text::literal("2d plot"));
    let request = ChatRequest {
        messages: vec![
            user("x"),
            message(Role::Assistant, vec![call("a", "2d plot", "{}"), call("b", "mcp:fs.read", "{}")]),
            message(Role::User, vec![result("a", "1"), result("b", "2")]),
        ],
        tools: vec![tool("2d plot", "{}"), tool("mcp:fs.read", "{}")],
        tool_choice: Some(choice),
        ..ChatRequest::default()
    };
    assert_eq!(mapped_name(&request.tools, &Text::literal("2d plot")), Text::literal("_2d_plot"));
    let (found, _) = write(&request, Quirks::NONE);
    let expected = json!([{"functionDeclarations":[{"name":"_2d_plot"},{"name":"mcp:fs.read"}]}]);
    assert_eq!(found["tools"], expected);
    let names = &found["toolConfig"]["functionCallingConfig"]["allowedFunctionNames"];
    assert_eq!(*names, json!(["_2d_plot"]));
    assert_eq!(found["contents"][1]["parts"][0]["functionCall"]["name"], "_2d_plot");
    assert_eq!(found["contents"][2]["parts"][0]["functionResponse"]["name"], "_2d_plot");
}

#[test]
fn parameters_are_written() {
    let request = ChatRequest {
        messages: vec![user("x")],
        max_tokens: Some(100),
        temperature: Some(Number::written(b"0.70")),
        top_k: Some(Number::written(b"5")),
        seed: Some(Number::written(b"7")),
        stop: ["a", "b", "c", "d", "e", "f"].map(Text::literal).to_vec(),
        n: Some(2),
        logprobs: Some(true),
        top_logprobs: Some(3),
        logit_bias: Some(Raw::written(b"{}")),
        user: Some(Text::literal("u")),
        service_tier: Some(Text::literal("auto")),
        ..ChatRequest::default()
    };
    let (found, dropped) = write(&request, Quirks::NONE);
    let expected = json!({"maxOutputTokens":100,"temperature":0.7,"topK":5,"seed":7,
        "stopSequences":["a","b","c","d","e"],"candidateCount":2,"responseLogprobs":true,"logprobs":3});
    assert_eq!(found["generationConfig"], expected);
    assert_eq!(dropped, "stop, logit_bias, user");
    let long = ChatRequest {
        messages: vec![user("x")],
        seed: Some(Number::written(b"5000000000")),
        ..ChatRequest::default()
    };
    assert_eq!(write(&long, Quirks::NONE).1, "seed");
    let plain = ChatRequest { messages: vec![user("x")], n: Some(1), ..ChatRequest::default() };
    assert_eq!(write(&plain, Quirks::NONE).0.get("generationConfig"), None);
}

#[test]
fn trap_51_more_answers_than_google_gives_are_refused() {
    for n in [0, 9] {
        let request = ChatRequest { messages: vec![user("x")], n: Some(n), ..ChatRequest::default() };
        let error = try_write(&request, &target("m", Quirks::NONE)).expect_err("an impossible count");
        assert_eq!(error.param, Some("n"));
    }
}

#[test]
fn trap_47_56_thinking_is_a_budget_or_a_level() {
    let think = |model: &str, quirks, reasoning, max_tokens| {
        let request = ChatRequest {
            messages: vec![user("x")],
            reasoning: Some(reasoning),
            max_tokens,
            ..ChatRequest::default()
        };
        try_write(&request, &target(model, quirks)).expect("a request").0["generationConfig"]["thinkingConfig"].clone()
    };
    let effort = |effort| Reasoning { effort: Some(effort), ..Reasoning::default() };
    let budget = |tokens| Reasoning { budget: Some(tokens), ..Reasoning::default() };
    let flash = |reasoning| think("gemini-2.5-flash", Quirks::NONE, reasoning, None);
    assert_eq!(flash(effort(Effort::Medium)), json!({"thinkingBudget":8192}));
    assert_eq!(flash(effort(Effort::None)), json!({"thinkingBudget":0}));
    assert_eq!(flash(effort(Effort::Max)), json!({"thinkingBudget":24576}));
    assert_eq!(
        flash(Reasoning { dynamic: true, show: Some(true), ..Reasoning::default() }),
        json!({"thinkingBudget":-1,"includeThoughts":true})
    );
    let pro = |reasoning| think("gemini-2.5-pro", Quirks::NONE, reasoning, None);
    assert_eq!(pro(budget(0)), json!({"thinkingBudget":128}));
    assert_eq!(think("m", Quirks::NONE, budget(5000), Some(2000)), json!({"thinkingBudget":1999}));
    assert_eq!(think("m", Quirks::NONE, effort(Effort::High), Some(2000)), json!({"thinkingBudget":1000}));
    assert_eq!(
        think("gemini-3-pro-preview", GEMINI_3, effort(Effort::Medium), None),
        json!({"thinkingLevel":"HIGH"})
    );
    assert_eq!(
        think("gemini-3.1-pro", GEMINI_3, effort(Effort::Medium), None),
        json!({"thinkingLevel":"MEDIUM"})
    );
    assert_eq!(
        think("gemini-3-pro-preview", GEMINI_3, effort(Effort::None), None),
        json!({"thinkingLevel":"LOW"})
    );
    assert_eq!(
        think("gemini-3-flash", GEMINI_3, effort(Effort::Minimal), None),
        json!({"thinkingLevel":"MINIMAL"})
    );
    assert_eq!(think("gemini-3-flash", GEMINI_3, budget(1024), None), json!({"thinkingLevel":"LOW"}));
    assert_eq!(think("gemini-2.0-flash", Quirks::NONE, effort(Effort::High), None), Value::Null);
}

#[test]
fn trap_44_45_formats_are_written() {
    let schema = Format::Schema {
        name: Some(Text::literal("n")),
        description: None,
        schema: Raw::written(
            br#"{"type":"object","properties":{"a":{"type":"string"}},"additionalProperties":false}"#,
        ),
        strict: Some(true),
    };
    let mut request =
        ChatRequest { messages: vec![user("x")], format: Some(schema), ..ChatRequest::default() };
    let expected = json!({"responseMimeType":"application/json",
        "responseSchema":{"type":"OBJECT","properties":{"a":{"type":"STRING"}}}});
    assert_eq!(write(&request, Quirks::NONE).0["generationConfig"], expected);
    request.tools = vec![tool("f", "{}")];
    assert_eq!(write(&request, GEMINI_3).0["generationConfig"], expected);
    let (found, dropped) = write(&request, Quirks::NONE);
    assert_eq!((found.get("generationConfig"), dropped.as_str()), (None, "response_format"));
    request.tools.clear();
    request.format = Some(Format::Json);
    assert_eq!(
        write(&request, Quirks::NONE).0["generationConfig"],
        json!({"responseMimeType":"application/json"})
    );
}
