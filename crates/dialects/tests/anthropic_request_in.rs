//! Anthropic's dialect: what clients send, in canonical form.

#[path = "support/anthropic.rs"]
mod support;

use serde_json::{Value, json};
use sluice_dialects::exchange::{
    Arguments, CacheHint, Effort, Format, PartKind, Role, Source, Text, ToolChoice,
};
use support::{asking, case, case_names, reading, refused, talking};

fn roles(request: &sluice_dialects::exchange::ChatRequest<'_>) -> Vec<Role> {
    request.messages.iter().map(|message| message.role).collect()
}

#[test]
fn every_case_is_read_whole() {
    for name in case_names() {
        let Some(body) = case(&name, "request.json") else { continue };
        let body: Value = serde_json::from_str(&body).unwrap();
        let dropped = reading(&body, |request| {
            assert_eq!(request.max_tokens, body["max_tokens"].as_u64(), "{name}");
            assert_eq!(request.stream, body["stream"] == true, "{name}");
        });
        let expected: &[&str] = match name.as_str() {
            "tool-invalid-arguments" => &["tools.eager_input_streaming"],
            _ => &[],
        };
        assert_eq!(dropped, expected, "{name}");
    }
}

#[test]
fn trap_03_system_prompts_keep_their_order() {
    let body = json!({"model": "m", "system": [{"type": "text", "text": "one"},
            {"type": "text", "text": "two", "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
        "messages": [{"role": "user", "content": "Hi"}, {"role": "system", "content": "three"},
            {"role": "user", "content": "Ho"}]});
    let dropped = reading(&body, |request| {
        assert_eq!(roles(request), [Role::System, Role::User, Role::System, Role::User]);
        assert_eq!(request.messages[0].parts.len(), 2);
        assert_eq!(request.messages[0].parts[1].cache, Some(CacheHint::Hour));
    });
    assert_eq!(dropped, [""; 0]);
}

#[test]
fn trap_11_results_become_a_message_of_their_own() {
    let body = talking(json!([
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "f", "input": {"x": 12345678901234567890_u64}}]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "a", "is_error": true, "cache_control": {"type": "ephemeral"},
                "content": [{"type": "text", "text": "no"}, {"type": "tool_reference", "tool_name": "g"}]},
            {"type": "text", "text": "so?"}]}
    ]));
    let dropped = reading(&body, |request| {
        assert_eq!(roles(request), [Role::User, Role::Assistant, Role::User, Role::User]);
        let PartKind::ToolCall(call) = &request.messages[1].parts[0].kind else { panic!("a call") };
        let Arguments::Object(input) = &call.arguments else { panic!("an object") };
        assert_eq!(input.as_bytes(), br#"{"x":12345678901234567890}"#);
        let [part] = &request.messages[2].parts[..] else { panic!("one result") };
        let PartKind::ToolResult(result) = &part.kind else { panic!("a result") };
        assert!(result.is_error && result.id.is("a"));
        assert_eq!(part.cache, Some(CacheHint::Short));
        assert_eq!(result.parts, [PartKind::Text(Text::literal("no")).into()]);
        assert_eq!(request.messages[3].parts, [PartKind::Text(Text::literal("so?")).into()]);
    });
    assert_eq!(dropped, ["messages.tool_reference"]);
}

#[test]
fn trap_33_tools_of_the_provider_are_noted() {
    let body = asking(json!({
        "tools": [{"type": "web_search_20250305", "name": "web_search", "max_uses": 5}, {"type": "bash_20250124", "name": "bash"},
            {"type": "custom", "name": "f", "input_schema": {"type": "object"}, "strict": true, "defer_loading": true}],
        "tool_choice": {"type": "tool", "name": "web_search"},
        "mcp_servers": [], "container": "c_1", "context_management": {"edits": []}, "speed": "fast", "inference_geo": null,
        "messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": [
            {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}},
            {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []},
            {"type": "text", "text": "Found."}]}, {"role": "user", "content": "Ok"}]
    }));
    let dropped = reading(&body, |request| {
        assert_eq!(request.tools.len(), 1);
        assert_eq!((request.tools[0].strict, &request.tool_choice), (Some(true), &None));
        assert_eq!(request.messages[1].parts, [PartKind::Text(Text::literal("Found.")).into()]);
    });
    let expected = [
        "container",
        "context_management",
        "mcp_servers",
        "speed",
        "messages.server_tool_use",
        "messages.web_search_tool_result",
        "tools.web_search",
        "tools.bash",
        "tools.defer_loading",
        "tool_choice",
    ];
    assert_eq!(dropped, expected);
}

#[test]
fn trap_24_and_26_choices_of_tools_are_read() {
    let choice = |choice: Value| {
        let mut read = None;
        let tools = json!([{"name": "f", "input_schema": {"type": "object"}}]);
        reading(&asking(json!({"tools": tools, "tool_choice": choice})), |request| {
            let named = match &request.tool_choice {
                Some(ToolChoice::Auto) => "auto",
                Some(ToolChoice::None) => "none",
                Some(ToolChoice::Required) => "required",
                Some(ToolChoice::Named(name)) if name.is("f") => "f",
                _ => "other",
            };
            read = Some((named, request.parallel_tool_calls));
        });
        read.unwrap()
    };
    assert_eq!(choice(json!({"type": "auto", "disable_parallel_tool_use": true})), ("auto", Some(false)));
    assert_eq!(choice(json!({"type": "any"})), ("required", None));
    assert_eq!(choice(json!({"type": "none"})), ("none", None));
    assert_eq!(
        choice(json!({"type": "tool", "name": "f", "disable_parallel_tool_use": false})),
        ("f", Some(true))
    );
}

#[test]
fn trap_56_thinking_and_effort_are_read() {
    let reasoning = |more: Value| {
        let mut read = None;
        let dropped = reading(&asking(more), |request| read = request.reasoning);
        (read, dropped)
    };
    let (read, _) =
        reasoning(json!({"thinking": {"type": "enabled", "budget_tokens": 2048, "display": "omitted"}}));
    let read = read.unwrap();
    assert_eq!((read.budget, read.show, read.dynamic), (Some(2048), Some(false), false));
    let (read, _) =
        reasoning(json!({"thinking": {"type": "adaptive"}, "output_config": {"effort": "xhigh"}}));
    let read = read.unwrap();
    assert_eq!((read.effort, read.dynamic, read.show), (Some(Effort::Xhigh), true, None));
    let (read, dropped) =
        reasoning(json!({"thinking": {"type": "disabled"}, "output_config": {"effort": "low"}}));
    assert!(read.unwrap().is_off());
    assert_eq!(dropped, ["output_config.effort"]);
    let (read, dropped) = reasoning(json!({"thinking": {"type": "between_tools"}}));
    assert!(read.unwrap().dynamic);
    assert_eq!(dropped, ["thinking.between_tools"]);
    assert_eq!(reasoning(json!({"thinking": null})).0, None);
}

#[test]
fn trap_44_formats_are_read_old_and_new() {
    let format = json!({"type": "json_schema", "schema": {"type": "object", "properties": {}}});
    for more in [json!({"output_config": {"format": format}}), json!({"output_format": format})] {
        reading(&asking(more), |request| {
            let Some(Format::Schema { schema, strict: None, .. }) = &request.format else {
                panic!("a schema")
            };
            assert_eq!(schema.as_bytes(), br#"{"properties":{},"type":"object"}"#);
        });
    }
}

#[test]
fn trap_60_and_63_media_are_read() {
    let body = talking(json!([{"role": "user", "content": [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw"}},
        {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}},
        {"type": "image", "source": {"type": "file", "file_id": "file_1"}},
        {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0"}, "title": "a.pdf",
            "citations": {"enabled": true}, "context": "c"},
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "t"}},
        {"type": "document", "source": {"type": "content", "content": "c"}},
        {"type": "document", "title": "t", "source": {"type": "content", "content": [{"type": "text", "text": "b"},
            {"type": "image", "source": {"type": "url", "url": "https://example.com/b.png"}}]}},
        {"type": "search_result", "source": "s", "title": "t", "content": [{"type": "text", "text": "found"}]}
    ]}]));
    let dropped = reading(&body, |request| {
        let parts: Vec<_> = request.messages[0].parts.iter().map(|part| &part.kind).collect();
        let [
            PartKind::Image(base64),
            PartKind::Image(url),
            PartKind::Image(file),
            PartKind::Document(pdf),
            PartKind::Document(text),
            PartKind::Document(content),
            PartKind::Text(_),
            PartKind::Image(_),
            PartKind::Text(_),
        ] = parts[..]
        else {
            panic!("{parts:?}")
        };
        assert_eq!(base64.source, Source::Base64(Text::literal("iVBORw")));
        assert_eq!(url.source, Source::Url(Text::literal("https://example.com/a.png")));
        assert_eq!(file.source, Source::File(Text::literal("file_1")));
        assert_eq!(pdf.name, Some(Text::literal("a.pdf")));
        assert_eq!(text.source, Source::Text(Text::literal("t")));
        assert_eq!(content.source, Source::Text(Text::literal("c")));
    });
    assert_eq!(dropped, ["document.citations", "document.context", "document.title", "search_result.source"]);
}

#[test]
fn trap_71_signatures_of_calls_come_back_to_their_calls() {
    let body = talking(json!([{"role": "user", "content": "Hi"}, {"role": "assistant", "content": [
        {"type": "thinking", "thinking": "", "signature": "tool:Ab+/="},
        {"type": "tool_use", "id": "a", "name": "f", "input": {}},
        {"type": "tool_use", "id": "b", "name": "f", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "content": "1"}]}]));
    reading(&body, |request| {
        let [first, second] = &request.messages[1].parts[..] else { panic!("two calls") };
        let signature = |part: &PartKind<'_>| match part {
            PartKind::ToolCall(call) => call.signature.clone().map(Text::into_owned),
            _ => panic!("a call"),
        };
        assert_eq!(signature(&first.kind), Some(Text::literal("Ab+/=")));
        assert_eq!(signature(&second.kind), None);
    });
}

#[test]
fn other_members_are_read() {
    let body = asking(json!({"temperature": 1.0e0, "top_p": 0.5, "top_k": 3, "stop_sequences": ["a", "\n"],
        "metadata": {"user_id": "u", "team": "t"}, "service_tier": "auto", "cache_control": {"type": "ephemeral"}}));
    let dropped = reading(&body, |request| {
        assert_eq!(request.temperature.as_ref().unwrap().as_bytes(), b"1.0");
        assert_eq!((request.stop.len(), request.user.clone()), (2, Some(Text::literal("u"))));
        assert_eq!(request.service_tier, Some(Text::literal("auto")));
        assert_eq!(request.messages[0].parts[0].cache, Some(CacheHint::Short));
    });
    assert_eq!(dropped, ["metadata.team"]);
}

#[test]
fn edge_32_what_cannot_be_read_is_refused() {
    let of = |messages: Value| refused(&talking(messages));
    assert_eq!(refused(&json!({"model": "m"})), Some("messages"));
    for messages in [
        json!([]),
        json!("Hi"),
        json!([{"content": "Hi"}]),
        json!([{"role": "tool", "content": "Hi"}]),
        json!([{"role": "user"}]),
        json!([{"role": "user", "content": 1}]),
        json!([{"role": "user", "content": ""}]),
        json!([{"role": "user", "content": [{"text": "Hi"}]}]),
        json!([{"role": "user", "content": [{"type": "text"}]}]),
        json!([{"role": "user", "content": [{"type": "image"}]}]),
        json!([{"role": "user", "content": [{"type": "image", "source": {"type": "odd"}}]}]),
    ] {
        assert_eq!(of(messages.clone()), Some("messages"), "{messages}");
    }
    for (more, param) in [
        (json!({"max_tokens": "9"}), "max_tokens"),
        (json!({"stream": 1}), "stream"),
        (json!({"temperature": "hot"}), "temperature"),
        (json!({"stop_sequences": "a"}), "stop_sequences"),
        (json!({"stop_sequences": [1]}), "stop_sequences"),
        (json!({"system": 5}), "system"),
        (json!({"tools": {}}), "tools"),
        (json!({"tools": [{"input_schema": {}}]}), "tools"),
        (json!({"tool_choice": {"type": "odd"}}), "tool_choice"),
        (json!({"thinking": {"type": "enabled"}}), "thinking"),
        (json!({"output_config": {"effort": "huge"}}), "output_config.effort"),
        (json!({"metadata": []}), "metadata"),
    ] {
        assert_eq!(refused(&asking(more)), Some(param));
    }
}

#[test]
fn edge_45_empty_lists_and_null_say_nothing() {
    let body = asking(
        json!({"tools": [], "stop_sequences": [], "system": [], "temperature": null, "tool_choice": null}),
    );
    let dropped = reading(&body, |request| {
        assert!(request.tools.is_empty() && request.stop.is_empty() && request.temperature.is_none());
        assert_eq!(roles(request), [Role::User]);
    });
    assert_eq!(dropped, [""; 0]);
}
