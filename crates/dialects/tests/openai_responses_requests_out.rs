//! OpenAI's Responses: requests to providers.

#[path = "support/responses.rs"]
mod responses;

use responses::{WIRE, with_request, written};
use serde_json::{Value, json};
use sluice_dialects::exchange::{
    Arguments, CacheHint, ChatRequest, Dropped, Format, Media, Message, Number, Part, PartKind, Reasoning,
    Role, Source, Text, Tool, ToolCall, ToolResult,
};
use sluice_dialects::wire::{Quirk, Quirks, Target};

/// Reads a body, and hands on the request with what was left behind.
fn read(body: &Value, then: impl FnOnce(&ChatRequest<'_>, Vec<String>)) {
    with_request(body.to_string().as_bytes(), then);
}

fn message(role: Role, parts: Vec<PartKind<'static>>) -> Message<'static> {
    Message { role, parts: parts.into_iter().map(Part::from).collect(), name: None }
}

fn text(text: &'static str) -> PartKind<'static> {
    PartKind::Text(Text::plain(text))
}

fn call(id: &str, custom: bool) -> PartKind<'static> {
    PartKind::ToolCall(ToolCall {
        id: Text::plain(id),
        name: Text::literal("f"),
        arguments: Arguments::Text(Text::plain("{\"a\":1}")),
        signature: None,
        custom,
    })
}

fn result(id: &str, parts: Vec<PartKind<'static>>) -> PartKind<'static> {
    let parts = parts.into_iter().map(Part::from).collect();
    PartKind::ToolResult(ToolResult { id: Text::plain(id), name: None, parts, is_error: false })
}

fn conversation(messages: Vec<Message<'static>>) -> ChatRequest<'static> {
    ChatRequest { messages, ..ChatRequest::default() }
}

#[test]
fn nothing_is_stored_and_reasoning_can_be_sent_back() {
    let reasoning = Some(Reasoning { budget: Some(10_000), show: Some(true), ..Reasoning::default() });
    let request =
        ChatRequest { reasoning, stream: true, ..conversation(vec![message(Role::User, vec![text("Hi")])]) };
    let expected = json!({
        "model": "gpt-5-mini", "input": [{"type": "message", "role": "user", "content": "Hi"}],
        "reasoning": {"effort": "medium", "summary": "auto"}, "include": ["reasoning.encrypted_content"],
        "stream": true, "store": false,
    });
    assert_eq!(written(&request), (expected, vec![]));
    let off = Some(Reasoning { budget: Some(0), ..Reasoning::default() });
    let (body, _) = written(&ChatRequest { reasoning: off, ..request.clone() });
    assert_eq!((&body["reasoning"], body.get("include")), (&json!({"effort": "none"}), None));
    let dynamic = Some(Reasoning { dynamic: true, ..Reasoning::default() });
    let (body, _) = written(&ChatRequest { reasoning: dynamic, ..request });
    assert_eq!((body.get("reasoning"), &body["include"][0]), (None, &json!("reasoning.encrypted_content")));
}

#[test]
fn trap_03_several_system_prompts_stay_in_order() {
    let user = || message(Role::User, vec![text("Hi")]);
    let system = |prompt| message(Role::System, vec![text(prompt)]);
    let (body, _) = written(&conversation(vec![system("one"), user(), system("two")]));
    assert_eq!((&body["instructions"], &body["input"][1]["role"]), (&json!("one"), &json!("system")));
    let (body, _) = written(&conversation(vec![system("one"), system("two"), user()]));
    assert_eq!((body.get("instructions"), &body["input"][0]["content"]), (None, &json!("one")));
    let (body, _) = written(&conversation(vec![system("one")]));
    assert_eq!(body["input"], json!([{"type": "message", "role": "system", "content": "one"}]));
}

#[test]
fn trap_18_every_call_has_an_output_and_every_output_a_call() {
    let request = conversation(vec![
        message(Role::User, vec![text("go")]),
        message(Role::Assistant, vec![text("Well"), call("c1", false), call("c2", true)]),
        message(Role::User, vec![result("c1", vec![text("one")]), result("lost", vec![text("whose?")])]),
        message(Role::User, vec![text("and?")]),
    ]);
    let (body, dropped) = written(&request);
    assert_eq!(
        body["input"],
        json!([
            {"type": "message", "role": "user", "content": "go"},
            {"type": "message", "role": "assistant", "content": "Well"},
            {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{\"a\":1}"},
            {"type": "custom_tool_call", "call_id": "c2", "name": "f", "input": "{\"a\":1}"},
            {"type": "custom_tool_call_output", "call_id": "c2", "output": "The call was not answered."},
            {"type": "function_call_output", "call_id": "c1", "output": "one"},
            {"type": "message", "role": "user", "content": "whose?"},
            {"type": "message", "role": "user", "content": "and?"},
        ])
    );
    assert_eq!(dropped, ["messages.tool_call_id"]);
}

#[test]
fn trap_22_outputs_may_hold_images() {
    let image = PartKind::Image(Media {
        source: Source::Base64(Text::literal("iVBORw0")),
        media_type: None,
        name: None,
        detail: Some(Text::literal("low")),
    });
    let request = conversation(vec![
        message(Role::Assistant, vec![call("c1", false)]),
        message(Role::User, vec![result("c1", vec![text("see"), image])]),
    ]);
    let output = json!([
        {"type": "input_text", "text": "see"},
        {"type": "input_image", "image_url": "data:image/png;base64,iVBORw0", "detail": "low"},
    ]);
    assert_eq!(written(&request).0["input"][1]["output"], output);
}

#[test]
fn trap_63_documents_are_files_with_a_name() {
    let document = |source, name: Option<&'static str>| {
        PartKind::Document(Media { source, media_type: None, name: name.map(Text::literal), detail: None })
    };
    let request = conversation(vec![message(
        Role::User,
        vec![
            document(Source::Base64(Text::literal("JVBERi0")), None),
            document(Source::Base64(Text::literal("JVBERi0")), Some("r.pdf")),
            document(Source::Url(Text::literal("https://x/y.pdf")), None),
            document(Source::File(Text::literal("file-1")), None),
            document(Source::Text(Text::literal("plain")), None),
            document(Source::Url(Text::literal("gs://x/y.pdf")), None),
        ],
    )]);
    let (body, dropped) = written(&request);
    let data = "data:application/pdf;base64,JVBERi0";
    assert_eq!(
        body["input"][0]["content"],
        json!([
            {"type": "input_file", "filename": "document.pdf", "file_data": data},
            {"type": "input_file", "filename": "r.pdf", "file_data": data},
            {"type": "input_file", "file_url": "https://x/y.pdf"},
            {"type": "input_file", "file_id": "file-1"},
            {"type": "input_text", "text": "plain"},
        ])
    );
    assert_eq!(dropped, ["messages.content.file"]);
}

#[test]
fn trap_35_functions_are_not_strict_unless_asked() {
    let body = json!({
        "input": "x",
        "tools": [{"type": "function", "name": "a"}, {"type": "function", "name": "b", "strict": true}],
        "tool_choice": {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "a"}]},
    });
    read(&body, |request, _| {
        let (again, _) = written(request);
        assert_eq!(
            (&again["tools"][0]["strict"], &again["tools"][1]["strict"]),
            (&json!(false), &json!(true))
        );
        assert_eq!(again["tools"][1]["parameters"]["additionalProperties"], false);
        assert_eq!(again["tool_choice"], body["tool_choice"]);
    });
}

#[test]
fn edge_42_choices_go_with_the_tools() {
    read(&json!({"input": "x", "tool_choice": "required"}), |request, dropped| {
        assert_eq!((&request.tool_choice, dropped), (&None, vec!["tool_choice".to_owned()]));
    });
    read(&json!({"input": "x", "tools": [], "tool_choice": "auto"}), |request, dropped| {
        assert!(dropped.is_empty());
        assert_eq!(written(request).0.get("tool_choice"), None);
    });
}

#[test]
fn trap_23_names_and_ids_are_made_to_fit() {
    let long = "x".repeat(100);
    let mut request = conversation(vec![
        message(Role::Assistant, vec![call(&long, false)]),
        message(Role::User, vec![result(&long, vec![text("one")])]),
    ]);
    request.tools.push(Tool {
        name: Text::literal("fs.read:all"),
        description: None,
        schema: None,
        strict: None,
        custom: false,
        cache: None,
    });
    let (body, _) = written(&request);
    assert_eq!(body["tools"][0]["name"], "fs_read_all");
    let id = body["input"][0]["call_id"].as_str().unwrap();
    assert!(id.len() <= 64 && id.starts_with("xxxx"));
    assert_eq!(body["input"][1]["call_id"], id);
}

#[test]
fn traps_49_to_57_parameters_without_a_place_are_named() {
    let number = || Some(Number::written(b"1"));
    let request = ChatRequest {
        max_tokens: Some(1),
        temperature: Some(Number::written(b"0.70")),
        top_k: number(),
        frequency_penalty: number(),
        presence_penalty: number(),
        seed: number(),
        stop: vec![Text::literal("END")],
        n: Some(1),
        logprobs: Some(true),
        top_logprobs: Some(2),
        service_tier: Some(Text::literal("standard_only")),
        user: Some(Text::literal("u")),
        cache_key: Some(Text::literal("k")),
        format: Some(Format::Json),
        verbosity: Some(Text::literal("low")),
        ..conversation(vec![message(Role::User, vec![text("Hi")])])
    };
    let (body, dropped) = written(&request);
    assert_eq!(
        dropped,
        ["max_tokens", "top_k", "frequency_penalty", "presence_penalty", "seed", "stop", "service_tier"]
    );
    assert_eq!(
        body,
        json!({
            "model": "gpt-5-mini", "input": [{"type": "message", "role": "user", "content": "Hi"}],
            "max_output_tokens": 16, "temperature": 0.70, "top_logprobs": 2,
            "text": {"format": {"type": "json_object"}, "verbosity": "low"},
            "include": ["message.output_text.logprobs"], "user": "u", "prompt_cache_key": "k", "store": false,
        })
    );
    let several = ChatRequest { n: Some(2), ..request };
    let target = sluice_dialects::wire::Target { model: "m", quirks: Quirks::NONE, default_max_tokens: 1 };
    let error = WIRE.write_request(&several, &target, &mut Dropped::default(), &mut Vec::new()).unwrap_err();
    assert_eq!(error.param, Some("n"));
}

#[test]
fn proofs_of_other_providers_are_not_sent() {
    let thought = |proof: &'static str| PartKind::Thinking {
        text: Text::literal("Hm"),
        signature: Some(Text::literal(proof)),
    };
    let request = conversation(vec![
        message(Role::User, vec![text("Hi")]),
        message(Role::Assistant, vec![thought("gAAAAABo"), thought("ErUBCkYIBx"), text("Ho")]),
        message(Role::User, vec![text("Hi")]),
    ]);
    let (body, dropped) = written(&request);
    let summary = json!([{"type": "summary_text", "text": "Hm"}]);
    assert_eq!(
        body["input"][1],
        json!({"type": "reasoning", "summary": summary, "encrypted_content": "gAAAAABo"})
    );
    assert_eq!(body["input"][2]["content"], "Ho");
    assert_eq!(body["include"], json!(["reasoning.encrypted_content"]));
    assert_eq!(dropped, ["messages.reasoning_content"]);
}

#[test]
fn trap_77_breakpoints_go_where_they_are_taken() {
    let cached = |kind| Part { kind, cache: Some(CacheHint::Short) };
    let image = || {
        PartKind::Image(Media {
            source: Source::File(Text::literal("file-1")),
            media_type: None,
            name: None,
            detail: None,
        })
    };
    let system = Message { role: Role::System, parts: vec![cached(text("rules"))], name: None };
    let user = Message { role: Role::User, parts: vec![cached(text("Hi")), cached(image())], name: None };
    let request = conversation(vec![system, user]);
    let (body, dropped) = written(&request);
    assert_eq!(
        (&body["input"][0]["content"], &dropped[..]),
        (&json!("rules"), &["cache_control".to_owned()][..])
    );
    let quirks = Quirks::of(&[Quirk::CacheBreakpoints]);
    let target = Target { model: "m", quirks, default_max_tokens: 1 };
    let mut out = Vec::new();
    WIRE.write_request(&request, &target, &mut Dropped::default(), &mut out).unwrap();
    let body: Value = serde_json::from_slice(&out).unwrap();
    let explicit = json!({"mode": "explicit"});
    assert_eq!(body["input"][0]["content"][0]["prompt_cache_breakpoint"], explicit);
    assert_eq!(body["input"][1]["content"][0]["prompt_cache_breakpoint"], explicit);
    assert_eq!(body["input"][1]["content"][1].get("prompt_cache_breakpoint"), None);
}

#[test]
fn a_request_without_content_is_refused() {
    let target = Target { model: "m", quirks: Quirks::NONE, default_max_tokens: 1 };
    for messages in
        [vec![], vec![message(Role::User, vec![])], vec![message(Role::Assistant, vec![text("")])]]
    {
        let request = conversation(messages);
        let error =
            WIRE.write_request(&request, &target, &mut Dropped::default(), &mut Vec::new()).unwrap_err();
        assert_eq!(error.param, Some("messages"));
    }
}
