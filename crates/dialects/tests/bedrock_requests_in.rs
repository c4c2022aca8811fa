//! Bedrock's requests as clients send them, read.

use std::fs;
use std::path::Path;

use sluice_dialects::bedrock::read_request;
use sluice_dialects::exchange::{
    Arguments, CacheHint, ChatRequest, Dropped, Effort, Format, PartKind, Role, Source, ToolChoice,
};
use sluice_dialects::json::Doc;

/// Reads a request; the check sees it and what was dropped.
fn reading(body: &[u8], check: impl FnOnce(ChatRequest<'_>, Vec<String>)) {
    let doc = Doc::parse(body).expect("JSON");
    let mut dropped = Dropped::default();
    let request = read_request(&doc, true, &mut dropped).expect("a good request");
    assert!(request.stream, "the path says so");
    check(request, dropped.names().map(str::to_owned).collect());
}

fn case(name: &str, check: impl FnOnce(ChatRequest<'_>, Vec<String>)) {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/bedrock").join(name).join("request.json");
    reading(&fs::read(&path).expect("a case"), check);
}

fn texts<'r>(request: &'r ChatRequest<'_>, message: usize) -> Vec<String> {
    let text = |kind: &'r PartKind<'_>| match kind {
        PartKind::Text(text) => Some(text.decode().into_owned()),
        _ => None,
    };
    request.messages[message].parts.iter().filter_map(|part| text(&part.kind)).collect()
}

#[test]
fn every_case_is_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/bedrock");
    let names: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(names.len() >= 18);
    for name in names {
        case(&name.to_string_lossy(), |request, _| assert!(!request.messages.is_empty()));
    }
}

#[test]
fn parameters() {
    case("text", |request, dropped| {
        assert_eq!(request.max_tokens, Some(256));
        assert_eq!(request.temperature.unwrap().as_bytes(), b"0.5");
        assert_eq!(request.top_p.unwrap().as_bytes(), b"0.9");
        assert!(dropped.is_empty());
    });
    case("stop", |request, dropped| {
        assert_eq!(request.stop.iter().map(|text| text.decode()).collect::<Vec<_>>(), ["four", "\n\n"]);
        assert_eq!(request.top_k.unwrap().as_bytes(), b"40");
        assert!(dropped.is_empty());
    });
}

#[test]
fn trap_03_system_prompts_come_first() {
    case("system", |request, _| {
        assert_eq!(request.messages[0].role, Role::System);
        assert_eq!(texts(&request, 0), ["You are a pirate.", "Answer in one line."]);
        assert_eq!(request.messages[1].role, Role::User);
    });
}

#[test]
fn trap_11_results_of_tools_stand_apart() {
    case("tool-single", |request, _| {
        let roles: Vec<_> = request.messages.iter().map(|message| message.role).collect();
        assert_eq!(roles, [Role::User, Role::Assistant, Role::User, Role::User]);
        let PartKind::ToolCall(call) = &request.messages[1].parts[1].kind else { panic!("no call") };
        assert!(call.name.is("get_weather"));
        assert!(matches!(&call.arguments, Arguments::Object(raw) if raw.as_bytes().starts_with(b"{")));
        let PartKind::ToolResult(result) = &request.messages[2].parts[0].kind else { panic!("no result") };
        assert_eq!((&result.id, result.is_error, result.parts.len()), (&call.id, false, 1));
        let PartKind::Text(json) = &result.parts[0].kind else { panic!("no text") };
        let json: serde_json::Value = serde_json::from_str(&json.decode()).unwrap();
        assert_eq!(json["temperature"], 21);
        assert_eq!(texts(&request, 3), ["And in Oslo?"]);
        assert_eq!(request.tool_choice, Some(ToolChoice::Auto));
        assert_eq!(request.tools.len(), 1);
    });
    case("tools-parallel", |request, _| {
        let results = &request.messages[2].parts;
        assert_eq!(results.len(), 2);
        assert!(matches!(&results[1].kind, PartKind::ToolResult(result) if result.is_error));
        assert_eq!(request.tool_choice, Some(ToolChoice::Required));
    });
    case("tool-no-arguments", |request, _| {
        assert!(matches!(&request.tool_choice, Some(ToolChoice::Named(name)) if name.is("now")));
    });
}

#[test]
fn edge_46_media() {
    case("image-base64", |request, _| {
        let PartKind::Image(image) = &request.messages[0].parts[1].kind else { panic!("no image") };
        assert!(image.media_type.as_ref().unwrap().is("image/png"));
        assert!(matches!(&image.source, Source::Base64(data) if data.as_escaped().starts_with(b"iVBOR")));
    });
    case("image-url", |request, dropped| {
        assert_eq!(dropped, ["messages.s3Location.bucketOwner"]);
        let PartKind::Image(image) = &request.messages[0].parts[0].kind else { panic!("no image") };
        assert!(matches!(&image.source, Source::Url(url) if url.is("s3://my-bucket/cats/1.jpeg")));
    });
    case("document", |request, _| {
        let PartKind::Document(document) = &request.messages[0].parts[0].kind else { panic!("no document") };
        assert!(document.name.as_ref().unwrap().is("Q3 report"));
        assert!(document.media_type.as_ref().unwrap().is("application/pdf"));
    });
    case("tool-result-image", |request, _| {
        let PartKind::ToolResult(result) = &request.messages[2].parts[0].kind else { panic!("no result") };
        assert!(matches!(result.parts[1].kind, PartKind::Image(_)));
    });
}

#[test]
fn thoughts_and_how_much_of_them() {
    case("reasoning", |request, _| {
        assert_eq!(request.reasoning.unwrap().budget, Some(2048));
        let parts = &request.messages[1].parts;
        assert!(matches!(&parts[0].kind, PartKind::Thinking { signature: Some(_), .. }));
        assert!(matches!(&parts[1].kind, PartKind::RedactedThinking(_)));
    });
    let body = br#"{"messages":[{"role":"user","content":[{"text":"x"}]}],"outputConfig":{"effort":"xhigh"},
        "additionalModelRequestFields":{"thinking":{"type":"adaptive","display":"omitted"},"anthropic_beta":["x"]}}"#;
    reading(body, |request, dropped| {
        let reasoning = request.reasoning.unwrap();
        assert_eq!(
            (reasoning.effort, reasoning.dynamic, reasoning.show),
            (Some(Effort::Xhigh), true, Some(false))
        );
        assert_eq!(dropped, ["additionalModelRequestFields.anthropic_beta"]);
    });
}

#[test]
fn trap_44_the_schema_is_a_document_in_a_string() {
    case("structured-output", |request, _| {
        let Some(Format::Schema { name, schema, .. }) = &request.format else { panic!("no schema") };
        assert!(name.as_ref().unwrap().is("city"));
        assert!(schema.as_bytes().starts_with(b"{\"type\":\"object\""));
    });
}

#[test]
fn trap_77_cache_points_belong_to_what_is_before_them() {
    case("usage-cache-reasoning", |request, dropped| {
        assert_eq!(request.messages[0].parts[0].cache, Some(CacheHint::Hour));
        assert_eq!(request.messages[1].parts[0].cache, Some(CacheHint::Short));
        assert_eq!(request.tools[0].cache, Some(CacheHint::Short));
        assert!(request.service_tier.unwrap().is("priority"));
        assert_eq!(dropped, ["requestMetadata"]);
    });
}

#[test]
fn what_has_no_canonical_form_is_noted() {
    case("content-filter", |request, dropped| {
        assert_eq!(texts(&request, 0), ["How do I pick a lock?"]);
        assert_eq!(dropped, ["guardContent", "guardrailConfig"]);
    });
    let body = br#"{"messages":[{"role":"user","content":[{"text":"x"},{"novelty":{}},{"image":null}]}],
        "toolConfig":{"tools":[{"systemTool":{"name":"nova_grounding"}}]},"novelty":1,"inferenceConfig":{"novelty":1}}"#;
    reading(body, |request, dropped| {
        assert_eq!(request.messages[0].parts.len(), 1);
        assert_eq!(
            dropped,
            ["messages.novelty", "tools.nova_grounding", "novelty", "inferenceConfig.novelty"]
        );
    });
}

#[test]
fn edge_32_what_is_wrong_is_named() {
    let message = |content: &str| format!(r#"{{"messages":[{{"role":"user","content":{content}}}]}}"#);
    let cases = [
        ("{}".to_owned(), "messages"),
        (r#"{"messages":[]}"#.to_owned(), "messages"),
        (r#"{"messages":{}}"#.to_owned(), "messages"),
        (r#"{"system":[{"text":"x"}],"messages":[]}"#.to_owned(), "messages"),
        (r#"{"messages":[{"role":"tool","content":[]}]}"#.to_owned(), "messages"),
        (r#"{"messages":[{"role":"user"}]}"#.to_owned(), "messages"),
        (message("\"text\""), "messages"),
        (message("[\"text\"]"), "messages"),
        (message(r#"[{"text":1}]"#), "messages"),
        (message(r#"[{"image":{"format":"png"}}]"#), "messages"),
        (message(r#"[{"toolUse":{"name":"x"}}]"#), "messages"),
        (message(r#"[{"toolResult":{"toolUseId":"1","content":[{"toolResult":{}}]}}]"#), "messages"),
        (r#"{"messages":[],"inferenceConfig":{"maxTokens":"1"}}"#.to_owned(), "inferenceConfig.maxTokens"),
        (
            r#"{"messages":[],"inferenceConfig":{"stopSequences":"x"}}"#.to_owned(),
            "inferenceConfig.stopSequences",
        ),
        (r#"{"messages":[],"toolConfig":{"toolChoice":{"none":{}}}}"#.to_owned(), "toolConfig.toolChoice"),
    ];
    for (body, param) in cases {
        let doc = Doc::parse(body.as_bytes()).unwrap();
        let error = read_request(&doc, false, &mut Dropped::default()).unwrap_err();
        assert_eq!(error.param, Some(param), "{body}");
    }
}
