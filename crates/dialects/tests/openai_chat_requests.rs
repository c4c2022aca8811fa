//! Requests of chat completions: what is read of them, and what is written.

#[path = "support/openai_chat.rs"]
mod openai_chat;

use openai_chat::{call, of_messages, refused, result, rewritten, text, user, with_request, write};
use serde_json::{Value, json};
use sluice_dialects::exchange::{
    Arguments, CacheHint, ChatRequest, Effort, Format, Media, Message, PartKind, Reasoning, Role, Source,
    Text, Tool, ToolChoice,
};
use sluice_dialects::wire::{Quirk, Quirks};

#[test]
fn a_request_comes_out_as_it_went_in() {
    let body = json!({
        "model": "m-1",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "name": "ada", "content": [
                {"type": "text", "text": "What \"is\" this?\n"},
                {"type": "image_url", "image_url": {"url": "https://x.test/a.png", "detail": "low"}},
                {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
                {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}},
                {"type": "file", "file": {"file_id": "file-1"}},
            ]},
            {"role": "assistant", "content": null, "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{\"a\":12345678901234567890}"}},
                {"id": "c2", "type": "custom", "custom": {"name": "g", "input": "free"}},
            ]},
            {"role": "tool", "tool_call_id": "c1", "content": "one"},
            {"role": "tool", "tool_call_id": "c2", "content": "two"},
            {"role": "user", "content": "Go on."},
            {"role": "assistant", "content": null, "refusal": "No."},
        ],
        "tools": [
            {"type": "function", "function": {"name": "f", "description": "F", "parameters": {"type": "object"}, "strict": true}},
            {"type": "custom", "custom": {"name": "g", "description": "G"}},
        ],
        "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [
            {"type": "function", "function": {"name": "f"}}, {"type": "custom", "custom": {"name": "g"}},
        ]}},
        "parallel_tool_calls": false,
        "response_format": {"type": "json_schema", "json_schema": {"name": "r", "schema": {"type": "object"}, "strict": true}},
        "stream": true,
        "stream_options": {"include_usage": true},
        "temperature": 0.7, "top_p": 1, "frequency_penalty": -0.5, "presence_penalty": 1e-1, "seed": 12345678901234567_u64,
        "stop": ["a", "b"], "n": 3, "logprobs": true, "top_logprobs": 2, "logit_bias": {"5": -100},
        "max_completion_tokens": 77, "reasoning_effort": "xhigh", "verbosity": "high", "service_tier": "priority",
        "user": "u", "prompt_cache_key": "k",
    });
    let (written, dropped) = rewritten(&body, Quirks::NONE);
    assert_eq!(written, body);
    assert_eq!(dropped, [""; 0]);
}

#[test]
fn what_has_no_canonical_form_is_noted() {
    let body = json!({
        "model": "m", "messages": [{"role": "user", "content": [{"type": "text", "text": "x"}, {"type": "hologram"}], "mood": 1}],
        "store": true, "metadata": {"a": "b"}, "prediction": {"type": "content", "content": "x"}, "moderation": null,
        "tools": [{"type": "web_search"}, {"type": "custom", "custom": {"name": "g", "format": {"type": "grammar"}}}],
        "response_format": {"type": "grammar"}, "safety_identifier": "s", "user": "u", "brand_new": 1,
    });
    let mut dropped = with_request(&body, |_, dropped| dropped).unwrap();
    dropped.sort();
    let expected = [
        "brand_new",
        "messages.content.hologram",
        "messages.mood",
        "metadata",
        "prediction",
        "response_format",
        "safety_identifier",
        "store",
        "tools.custom.format",
        "tools.web_search",
    ];
    assert_eq!(dropped, expected);
}

#[test]
fn edge_32_bad_requests_are_refused_by_member() {
    let message = json!([{"role": "user", "content": "x"}]);
    assert_eq!(refused(&json!({"model": "m"})), Some("messages"));
    assert_eq!(refused(&json!({"messages": []})), Some("messages"));
    assert_eq!(refused(&json!({"messages": "hi"})), Some("messages"));
    for bad in [
        json!("x"),
        json!({"content": "x"}),
        json!({"role": "wizard", "content": "x"}),
        json!({"role": "user", "content": 1}),
        json!({"role": "tool", "content": "x"}),
        json!({"role": "user", "content": [{"type": "image_url"}]}),
        json!({"role": "assistant", "tool_calls": [{"id": "c"}]}),
        json!({"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": ""}}]}),
    ] {
        assert_eq!(refused(&json!({"messages": [bad.clone()]})), Some("messages"), "{bad}");
    }
    for (member, value) in [
        ("temperature", json!("hot")),
        ("max_tokens", json!(-1)),
        ("max_completion_tokens", json!(1.5)),
        ("stop", json!(7)),
        ("n", json!(0)),
        ("stream", json!("yes")),
        ("logit_bias", json!([])),
        ("tools", json!({})),
        ("tool_choice", json!("maybe")),
        ("reasoning_effort", json!("extreme")),
        ("user", json!(5)),
        ("response_format", json!({"type": "json_schema"})),
    ] {
        assert_eq!(refused(&json!({"messages": message, member: value})), Some(member), "{member}");
    }
    let empty = json!({"messages": message, "tools": [], "stop": null, "temperature": null, "stream": null, "n": null});
    assert!(with_request(&empty, |request, _| assert!(request.tools.is_empty())).is_ok());
}

#[test]
fn trap_03_several_system_messages_keep_their_order() {
    let body = json!({"messages": [
        {"role": "developer", "content": "one"}, {"role": "user", "content": "two"}, {"role": "system", "content": "three"},
    ]});
    let (written, _) = rewritten(&body, Quirks::NONE);
    let roles: Vec<_> = written["messages"].as_array().unwrap().iter().map(|m| m["role"].clone()).collect();
    assert_eq!(roles, ["system", "user", "system"]);
}

#[test]
fn trap_17_results_are_one_message_in_and_several_out() {
    let body = json!({"messages": [
        {"role": "assistant", "content": "", "tool_calls": [
            {"id": "a", "type": "function", "function": {"name": "f", "arguments": ""}},
            {"id": "b", "function": {"name": "f", "arguments": {"x": 1}}},
        ]},
        {"role": "tool", "tool_call_id": "b", "content": [{"type": "text", "text": "1"}, {"type": "text", "text": "2"}]},
        {"role": "tool", "tool_call_id": "a", "content": ""},
        {"role": "user", "content": "next"},
    ]});
    with_request(&body, |request, _| {
        assert_eq!(request.messages.len(), 3);
        assert_eq!(request.messages[1].parts.len(), 2);
        let PartKind::ToolCall(second) = &request.messages[0].parts[1].kind else { panic!("a call") };
        assert!(matches!(&second.arguments, Arguments::Object(raw) if raw.as_bytes() == b"{\"x\":1}"));
    })
    .unwrap();
    let (written, _) = rewritten(&body, Quirks::NONE);
    assert_eq!(written["messages"][0]["tool_calls"][0]["function"]["arguments"], "{}");
    assert_eq!(written["messages"][0]["tool_calls"][1]["function"]["arguments"], "{\"x\":1}");
    // In the order of the calls.
    assert_eq!(written["messages"][1], json!({"role": "tool", "tool_call_id": "a", "content": ""}));
    assert_eq!(written["messages"][2]["content"][1]["text"], "2");
}

#[test]
fn functions_of_old_have_ids_by_position() {
    let body = json!({
        "messages": [
            {"role": "assistant", "content": null, "function_call": {"name": "f", "arguments": "{}"}},
            {"role": "function", "name": "f", "content": "1"},
            {"role": "assistant", "content": null, "function_call": {"name": "g", "arguments": "{}"}},
            {"role": "function", "name": "g", "content": "2"},
        ],
        "functions": [{"name": "f", "parameters": {"type": "object"}}], "function_call": {"name": "f"},
    });
    let (written, _) = rewritten(&body, Quirks::NONE);
    assert_eq!(written["messages"][2]["tool_calls"][0]["id"], "call_1");
    assert_eq!(written["messages"][3]["tool_call_id"], "call_1");
    assert_eq!(written["tool_choice"], json!({"type": "function", "function": {"name": "f"}}));
}

#[test]
fn trap_11_and_18_results_come_first_and_orphans_become_text() {
    let request = of_messages(vec![
        Message { role: Role::Assistant, parts: vec![text("Look."), call("a", "f", "{}")], name: None },
        user(vec![
            text("and?"),
            result("a", vec![text("ok")], true),
            result("zzz", vec![text("lost")], false),
        ]),
    ]);
    let (written, dropped) = write(&request, Quirks::NONE);
    assert_eq!(written["messages"][0]["content"], "Look.");
    assert_eq!(written["messages"][1], json!({"role": "tool", "tool_call_id": "a", "content": "ok"}));
    let said = json!([{"type": "text", "text": "and?"}, {"type": "text", "text": "lost"}]);
    assert_eq!(written["messages"][2], json!({"role": "user", "content": said}));
    assert_eq!(dropped, ["messages.tool.is_error", "messages.tool_call_id"]);
}

#[test]
fn trap_11_18_every_call_is_answered_directly_behind_it() {
    let assistant = |parts| Message { role: Role::Assistant, parts, name: None };
    let request = of_messages(vec![
        assistant(vec![call("a", "f", "{}"), call("b", "f", "{}"), call("b", "f", "{}")]),
        user(vec![text("wait")]),
        user(vec![result("b", vec![text("one")], false), result("b", vec![text("two")], false)]),
        user(vec![result("b", vec![text("three")], false)]),
        assistant(vec![call("c", "f", "{}")]),
    ]);
    let (written, dropped) = write(&request, Quirks::NONE);
    let answer = |id: &str, text: &str| json!({"role": "tool", "tool_call_id": id, "content": text});
    let none = "The call was not answered.";
    assert_eq!(written["messages"][1], answer("a", none));
    assert_eq!(written["messages"][2], answer("b", "one"));
    assert_eq!(written["messages"][3], answer("b", "two"));
    assert_eq!(written["messages"][4], json!({"role": "user", "content": "wait"}));
    assert_eq!(written["messages"][5], json!({"role": "user", "content": "three"}));
    assert_eq!(written["messages"][7], answer("c", none));
    assert_eq!(dropped, ["messages.tool_call_id"]);
}

#[test]
fn trap_22_images_of_results_go_to_the_user_behind() {
    let source = Source::Base64(Text::literal("/9j/4AAQ"));
    let image = Media { source, media_type: None, name: None, detail: None };
    let request = of_messages(vec![
        Message { role: Role::Assistant, parts: vec![call("a", "f", "{}")], name: None },
        user(vec![result("a", vec![text("see"), PartKind::Image(image).into()], false)]),
    ]);
    let (written, dropped) = write(&request, Quirks::NONE);
    assert_eq!(written["messages"][1]["content"], "see");
    assert_eq!(written["messages"][2]["content"][0]["image_url"]["url"], "data:image/jpeg;base64,/9j/4AAQ");
    assert_eq!(dropped, ["messages.tool.content"]);
}

#[test]
fn trap_60_media_that_cannot_be_sent_are_noted() {
    let media = |source| Media { source, media_type: None, name: None, detail: None };
    let parts = vec![
        PartKind::Image(media(Source::Url(Text::literal("gs://bucket/a.png")))).into(),
        PartKind::Document(media(Source::Url(Text::literal("https://x.test/a.pdf")))).into(),
        PartKind::Video(media(Source::Base64(Text::literal("AAAA")))).into(),
    ];
    let parts = [vec![text("see")], parts].concat();
    let (written, dropped) = write(&of_messages(vec![user(parts)]), Quirks::NONE);
    assert_eq!(written["messages"], json!([{"role": "user", "content": [{"type": "text", "text": "see"}]}]));
    assert_eq!(dropped, ["messages.content.image_url", "messages.content.file", "messages.content.video"]);
}

#[test]
fn trap_62_data_uris_are_taken_apart() {
    let url = "data:IMAGE/jpg;charset=utf-8;base64,/9j/4A==";
    let body = json!({"messages": [{"role": "user", "content": [
        {"type": "image_url", "image_url": {"url": url}}, {"type": "image_url", "image_url": "https://x.test/a"},
        {"type": "file", "file": {"file_data": "JVBERi0=", "filename": "a.pdf"}},
        {"type": "document_url", "document_url": "https://x.test/b.pdf"},
    ]}]});
    with_request(&body, |request, _| {
        let parts = &request.messages[0].parts;
        let PartKind::Image(image) = &parts[0].kind else { panic!("an image") };
        assert!(image.media_type.as_ref().unwrap().is("image/jpeg"));
        assert_eq!(image.source, Source::Base64(Text::literal("/9j/4A==")));
        assert!(matches!(&parts[1].kind, PartKind::Image(Media { source: Source::Url(_), .. })));
        assert!(matches!(&parts[2].kind, PartKind::Document(Media { source: Source::Base64(_), .. })));
        assert!(matches!(&parts[3].kind, PartKind::Document(Media { source: Source::Url(_), .. })));
    })
    .unwrap();
}

#[test]
fn trap_71_thinking_that_clients_send_back_is_read() {
    let body = json!({"messages": [{
        "role": "assistant", "content": "So.", "reasoning_content": "ab",
        "thinking_blocks": [
            {"type": "thinking", "thinking": "a", "signature": "s1"}, {"type": "redacted_thinking", "data": "d"},
            {"type": "thinking", "thinking": "b", "signature": "s2"},
        ],
        "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "{}"}, "extra_content": {"google": {"thought_signature": "g"}}}],
    }]});
    with_request(&body, |request, _| {
        let parts = &request.messages[0].parts;
        let thought = |text, signature| PartKind::Thinking {
            text: Text::literal(text),
            signature: Some(Text::literal(signature)),
        };
        assert_eq!(parts[0].kind, thought("a", "s1"));
        assert_eq!(parts[1].kind, PartKind::RedactedThinking(Text::literal("d")));
        assert_eq!(parts[2].kind, thought("b", "s2"));
        let PartKind::ToolCall(call) = &parts[4].kind else { panic!("a call") };
        assert!(call.signature.as_ref().unwrap().is("g"));
        let (plain, dropped) = write(request, Quirks::NONE);
        assert_eq!(plain["messages"][0].get("reasoning_content"), None);
        assert_eq!(
            dropped,
            ["messages.reasoning_content", "messages.thinking_blocks", "messages.tool_calls.signature"]
        );
        let (written, _) = write(request, Quirks::NONE.with(Quirk::TakesReasoning));
        assert_eq!(written["messages"][0]["reasoning_content"], "ab");
        let signed = &written["messages"][0]["tool_calls"][0]["extra_content"];
        assert_eq!(signed["google"]["thought_signature"], "g");
    })
    .unwrap();
}

#[test]
fn other_ways_to_ask_for_thinking_are_known() {
    let reasoning = |member: &str, value: Value| {
        let body = json!({"messages": [{"role": "user", "content": "x"}], member: value});
        with_request(&body, |request, _| request.reasoning.unwrap()).unwrap()
    };
    assert_eq!(reasoning("reasoning", json!({"effort": "low"})).effort, Some(Effort::Low));
    assert_eq!(reasoning("reasoning", json!({"max_tokens": 900, "exclude": true})).budget, Some(900));
    assert_eq!(reasoning("thinking", json!({"type": "enabled", "budget_tokens": 2048})).budget, Some(2048));
    assert!(reasoning("thinking", json!({"type": "disabled"})).is_off());
    assert!(reasoning("thinking", json!({"type": "adaptive"})).dynamic);
}

#[test]
fn trap_56_budgets_become_efforts() {
    let effort = |reasoning| {
        let request = ChatRequest { reasoning: Some(reasoning), ..of_messages(vec![user(vec![text("x")])]) };
        write(&request, Quirks::NONE).0["reasoning_effort"].clone()
    };
    assert_eq!(effort(Reasoning { budget: Some(0), ..Reasoning::default() }), "none");
    assert_eq!(effort(Reasoning { budget: Some(8_000), ..Reasoning::default() }), "medium");
    assert_eq!(effort(Reasoning { dynamic: true, ..Reasoning::default() }), Value::Null);
    assert_eq!(effort(Reasoning { effort: Some(Effort::Minimal), ..Reasoning::default() }), "minimal");
}

#[test]
fn trap_77_breakpoints_are_sent_only_where_they_are_taken() {
    let mut request = of_messages(vec![user(vec![text("long"), text("short")])]);
    request.messages[0].parts[0].cache = Some(CacheHint::Hour);
    let (plain, dropped) = write(&request, Quirks::NONE);
    assert_eq!(plain["messages"][0]["content"][0], json!({"type": "text", "text": "long"}));
    assert_eq!(dropped, ["cache_control"]);
    let (written, _) = write(&request, Quirks::NONE.with(Quirk::CacheBreakpoints));
    assert_eq!(written["messages"][0]["content"][0]["prompt_cache_breakpoint"], json!({"mode": "explicit"}));
    let mut single = of_messages(vec![user(vec![text("long")])]);
    single.messages[0].parts[0].cache = Some(CacheHint::Short);
    assert_eq!(write(&single, Quirks::NONE).0["messages"][0]["content"], "long");
}

#[test]
fn quirks_change_what_is_written() {
    let body = json!({
        "messages": [
            {"role": "system", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
            {"role": "user", "content": [{"type": "text", "text": "x"}, {"type": "image_url", "image_url": {"url": "https://x.test"}}]},
            {"role": "assistant", "content": null, "tool_calls": [
                {"id": "call_long_one", "function": {"name": "f", "arguments": "{}"}}, {"id": "abc123XYZ", "function": {"name": "f", "arguments": "{}"}},
            ]},
            {"role": "tool", "tool_call_id": "call_long_one", "content": "1"}, {"role": "tool", "tool_call_id": "abc123XYZ", "content": "2"},
        ],
        "tools": [{"type": "function", "function": {"name": "f"}}, {"type": "function", "function": {"name": "g"}}],
        "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [{"type": "function", "function": {"name": "g"}}]}},
        "parallel_tool_calls": false, "max_completion_tokens": 5, "seed": 1, "stream": true,
    });
    let all = [
        Quirk::OldMaxTokens,
        Quirk::NoStreamOptions,
        Quirk::RandomSeed,
        Quirk::AnyTool,
        Quirk::NoParallelToolCalls,
        Quirk::StringContent,
        Quirk::ShortCallIds,
    ];
    let (written, dropped) = rewritten(&body, all.into_iter().fold(Quirks::NONE, Quirks::with));
    assert_eq!((&written["max_tokens"], &written["max_completion_tokens"]), (&json!(5), &Value::Null));
    assert_eq!((&written["stream"], &written["stream_options"]), (&json!(true), &Value::Null));
    assert_eq!((&written["random_seed"], &written["seed"]), (&json!(1), &Value::Null));
    assert_eq!((&written["tool_choice"], written["tools"].as_array().unwrap().len()), (&json!("any"), 1));
    assert_eq!(written["messages"][0]["content"], "a\nb");
    assert_eq!(written["messages"][1]["content"], "x");
    let short = written["messages"][2]["tool_calls"][0]["id"].as_str().unwrap();
    assert!(short.len() == 9 && short.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{short}");
    assert_eq!(written["messages"][3]["tool_call_id"], short);
    assert_eq!(written["messages"][4]["tool_call_id"], "abc123XYZ");
    assert_eq!(dropped, ["messages.content.image_url", "parallel_tool_calls"]);
}

#[test]
fn what_openai_does_not_take_is_noted() {
    let tool = Tool {
        name: Text::literal("fs.read"),
        description: None,
        schema: None,
        strict: None,
        custom: false,
        cache: Some(CacheHint::Short),
    };
    let request = ChatRequest {
        tools: vec![tool],
        tool_choice: Some(ToolChoice::Named(Text::literal("fs.read"))),
        top_k: Some(sluice_dialects::exchange::Number::written(b"40")),
        stop: ["1", "2", "3", "4", "5"].map(Text::literal).to_vec(),
        service_tier: Some(Text::literal("standard_only")),
        reasoning: Some(Reasoning { show: Some(true), ..Reasoning::default() }),
        format: Some(Format::Json),
        ..of_messages(vec![user(vec![])])
    };
    let (written, dropped) = write(&request, Quirks::NONE);
    assert_eq!(written["tools"][0]["function"]["name"], "fs_read");
    assert_eq!(written["tool_choice"]["function"]["name"], "fs_read");
    assert_eq!(written["stop"].as_array().unwrap().len(), 4);
    assert_eq!(written["messages"][0]["content"], "");
    assert_eq!(dropped, ["cache_control", "top_k", "stop", "reasoning.summary", "service_tier"]);
}

#[test]
fn edge_42_a_choice_without_tools_is_left_out() {
    let mut request = of_messages(vec![user(vec![text("x")])]);
    request.tool_choice = Some(ToolChoice::Required);
    request.parallel_tool_calls = Some(true);
    let (written, dropped) = write(&request, Quirks::NONE);
    assert_eq!(written, json!({"model": "m-1", "messages": [{"role": "user", "content": "x"}]}));
    assert_eq!(dropped, ["tool_choice"]);
}
