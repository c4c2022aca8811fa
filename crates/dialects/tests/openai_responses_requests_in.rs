//! OpenAI's Responses: requests of clients.

#[path = "support/responses.rs"]
mod responses;

use responses::{WIRE, case, cases_with, with_request, written_bytes};
use serde_json::{Value, json};
use sluice_dialects::exchange::{
    CacheHint, ChatRequest, Dropped, Effort, PartKind, Reasoning, Role, Text, ToolChoice,
};
use sluice_dialects::json::Doc;

fn refused(body: &Value) -> (String, Option<&'static str>) {
    let body = body.to_string();
    let doc = Doc::parse(body.as_bytes()).expect("JSON");
    let error = WIRE.read_request(&doc, false, &mut Dropped::default()).expect_err("refused");
    (error.message.into_owned(), error.param)
}

/// Reads a body, and hands on the request with what was left behind.
fn read(body: &Value, then: impl FnOnce(&ChatRequest<'_>, Vec<String>)) {
    with_request(body.to_string().as_bytes(), then);
}

fn text(text: &'static str) -> PartKind<'static> {
    PartKind::Text(Text::plain(text))
}

#[test]
fn requests_survive_being_read_and_written() {
    for name in cases_with("request.json") {
        let body = case(&name, "request.json");
        with_request(&body, |first, _| {
            let (again, _) = written_bytes(first);
            let doc = Doc::parse(&again).unwrap();
            let second = WIRE.read_request(&doc, false, &mut Dropped::default()).unwrap();
            assert_eq!(format!("{:?}", second.messages), format!("{:?}", first.messages), "{name}");
            assert_eq!(second.tool_choice, first.tool_choice, "{name}");
            assert_eq!(second.format, first.format, "{name}");
            assert_eq!(second.reasoning, first.reasoning, "{name}");
            assert_eq!(second.max_tokens, first.max_tokens, "{name}");
            let names = |request: &ChatRequest<'_>| {
                request
                    .tools
                    .iter()
                    .map(|tool| (tool.name.decode().into_owned(), tool.custom))
                    .collect::<Vec<_>>()
            };
            assert_eq!(names(&second), names(first), "{name}");
        });
    }
}

#[test]
fn instructions_and_developers_are_the_system() {
    with_request(&case("system", "request.json"), |request, dropped| {
        let roles: Vec<_> = request.messages.iter().map(|message| message.role).collect();
        assert_eq!(roles, [Role::System, Role::System, Role::User]);
        assert_eq!(request.messages[0].parts[0].kind, text("Answer in one word."));
        assert!(dropped.is_empty());
    });
}

#[test]
fn trap_17_outputs_are_joined_and_so_is_what_the_model_did() {
    with_request(&case("tools-parallel", "request.json"), |request, _| {
        let shape: Vec<_> =
            request.messages.iter().map(|message| (message.role, message.parts.len())).collect();
        assert_eq!(shape, [(Role::User, 1), (Role::Assistant, 2), (Role::User, 2), (Role::User, 1)]);
        assert_eq!(request.tool_choice, Some(ToolChoice::Required));
        assert_eq!(request.parallel_tool_calls, Some(true));
    });
    with_request(&case("reasoning", "request.json"), |request, _| {
        let shape: Vec<_> =
            request.messages.iter().map(|message| (message.role, message.parts.len())).collect();
        assert_eq!(shape, [(Role::User, 1), (Role::Assistant, 2), (Role::User, 1)]);
        let PartKind::Thinking { text, signature } = &request.messages[1].parts[0].kind else { panic!() };
        assert_eq!(text.decode(), "**Counting letters**\n\nThree.");
        assert!(signature.as_ref().unwrap().as_escaped().starts_with(b"gAAAA"));
        let reasoning = Reasoning { effort: Some(Effort::High), show: Some(true), ..Reasoning::default() };
        assert_eq!(request.reasoning, Some(reasoning));
    });
}

#[test]
fn trap_59_state_of_the_provider_is_refused() {
    for (param, value) in [
        ("previous_response_id", json!("resp_1")),
        ("conversation", json!("conv_1")),
        ("conversation", json!({"id": "conv_1"})),
        ("prompt", json!({"id": "pmpt_1"})),
        ("background", json!(true)),
    ] {
        let (message, found) = refused(&json!({"model": "m", "input": "x", param: value}));
        assert_eq!(found, Some(param), "{message}");
    }
    for item in [
        json!({"type": "item_reference", "id": "msg_1"}),
        json!({"id": "msg_1"}),
        json!({"type": "compaction", "encrypted_content": "x"}),
    ] {
        assert_eq!(refused(&json!({"input": [item]})).1, Some("input"));
    }
    let body = json!({"input": "x", "previous_response_id": null, "conversation": null, "background": false});
    read(&body, |_, dropped| assert!(dropped.is_empty()));
}

#[test]
fn edge_32_wrong_types_are_refused_by_name() {
    for (param, value) in [
        ("input", json!(null)),
        ("input", json!([])),
        ("input", json!(5)),
        ("input", json!(["x"])),
        ("input", json!([{"role": "user"}])),
        ("input", json!([{"role": "robot", "content": "x"}])),
        ("input", json!([{"type": "function_call_output", "call_id": "c"}])),
        ("input", json!([{"role": "user", "content": [{"type": "input_image"}]}])),
        ("instructions", json!(["x"])),
        ("stream", json!("yes")),
        ("tools", json!({})),
        ("tools", json!([{"type": "function"}])),
        ("tools", json!([{"type": "function", "name": "f", "parameters": []}])),
        ("tool_choice", json!("any")),
        ("tool_choice", json!({"type": "function"})),
        ("temperature", json!("hot")),
        ("max_output_tokens", json!(-1)),
        ("text", json!("json")),
        ("text.format", json!(null)),
        ("reasoning", json!("high")),
        ("reasoning.effort", json!(null)),
        ("include", json!("all")),
    ] {
        let body = match param {
            "text.format" => json!({"input": "x", "text": {"format": {"type": "yaml"}}}),
            "reasoning.effort" => json!({"input": "x", "reasoning": {"effort": "utmost"}}),
            _ => {
                let mut body = json!({"input": "x"});
                body[param] = value;
                body
            }
        };
        assert_eq!(refused(&body).1, Some(param), "{body}");
    }
}

#[test]
fn what_has_no_place_is_named() {
    let body = json!({
        "model": "m", "store": true, "metadata": {"a": "b"}, "truncation": "auto", "moderation": {}, "of_next_month": 1,
        "include": ["file_search_call.results", "reasoning.encrypted_content"],
        "text": {"verbosity": "low", "odd": 1},
        "reasoning": {"effort": "low", "context": "all_turns"},
        "tools": [
            {"type": "web_search"}, {"type": "mcp", "server_label": "x"}, {"type": "namespace", "name": "n", "tools": []},
            {"type": "function", "name": "f", "parameters": {"type": "object"}, "defer_loading": true},
            {"type": "custom", "name": "c", "format": {"type": "grammar", "syntax": "lark", "definition": "x"}},
        ],
        "tool_choice": {"type": "web_search"},
        "input": [
            {"role": "user", "content": [{"type": "input_text", "text": "x"}, {"type": "input_hologram"}]},
            {"role": "assistant", "phase": "commentary", "content": [
                {"type": "output_text", "text": "y", "annotations": [{"type": "url_citation"}]}]},
            {"type": "web_search_call", "id": "ws_1", "status": "completed"},
            {"type": "reasoning", "id": "rs_1", "summary": []},
        ],
    });
    read(&body, |request, mut dropped| {
        dropped.sort();
        assert_eq!(
            dropped,
            [
                "include",
                "input.annotations",
                "input.input_hologram",
                "input.phase",
                "input.reasoning",
                "input.web_search_call",
                "metadata",
                "moderation",
                "of_next_month",
                "reasoning.context",
                "store",
                "text.odd",
                "tool_choice.web_search",
                "tools.defer_loading",
                "tools.format",
                "tools.mcp",
                "tools.namespace",
                "tools.web_search",
                "truncation"
            ]
        );
        assert_eq!((request.tools.len(), &request.tool_choice), (2, &None));
        assert_eq!(request.messages.len(), 2);
    });
}

#[test]
fn trap_62_data_urls_are_taken_apart() {
    let body = json!({"input": [{"role": "user", "content": [
        {"type": "input_image", "image_url": "DATA:image/jpg;charset=utf-8;base64,/9j/4AA", "detail": "original"},
        {"type": "input_file", "filename": "a.PDF", "file_data": "JVBERi0"},
        {"type": "input_file", "file_url": "https://example.com/a.pdf"},
        {"type": "input_file", "file_id": "file-1"},
        {"type": "input_image", "file_id": "file-2"},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}},
        {"type": "input_image", "image_url": "https://example.com/a.png",
         "prompt_cache_breakpoint": {"mode": "explicit"}},
    ]}]});
    let body = body.to_string().replace("/9j/4AA", "\\/9j\\/4AA");
    with_request(body.as_bytes(), |request, dropped| {
        assert!(dropped.is_empty(), "{dropped:?}");
        let parts = &request.messages[0].parts;
        let media = |at: usize| match &parts[at].kind {
            PartKind::Image(media) | PartKind::Document(media) | PartKind::Audio(media) => {
                (format!("{:?}", media.source), media.media_type.as_ref().map(|it| it.decode().into_owned()))
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(media(0), ("Base64(\"/9j/4AA\")".into(), Some("image/jpeg".into())));
        assert_eq!(media(1), ("Base64(\"JVBERi0\")".into(), Some("application/pdf".into())));
        assert_eq!(media(2), ("Url(\"https://example.com/a.pdf\")".into(), None));
        assert_eq!(media(3), ("File(\"file-1\")".into(), None));
        assert_eq!(media(4), ("File(\"file-2\")".into(), None));
        assert_eq!(media(5), ("Base64(\"AAAA\")".into(), Some("audio/mpeg".into())));
        assert_eq!(parts[6].cache, Some(CacheHint::Short));
    });
}
