//! Requests in Google's dialect as clients send them.

use std::fs;

use sluice_dialects::exchange::{
    Arguments, ChatRequest, Dropped, Effort, Format, PartKind, Role, Source, Text, ToolChoice,
};
use sluice_dialects::gemini::read_request;
use sluice_dialects::json::Doc;

fn case(name: &str) -> String {
    let path = format!("{}/tests/cases/gemini/{name}/request.json", env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Reads a request and hands it to `check` with what was dropped.
fn read(text: &str, check: impl FnOnce(&ChatRequest<'_>, &[&str])) {
    let doc = Doc::parse(text.as_bytes()).expect("JSON");
    let mut dropped = Dropped::default();
    let request = read_request(&doc, true, &mut dropped).unwrap_or_else(|error| panic!("{text}: {error}"));
    check(&request, &dropped.names().collect::<Vec<_>>());
}

fn refused(text: &str) -> Option<&'static str> {
    let doc = Doc::parse(text.as_bytes()).expect("JSON");
    read_request(&doc, false, &mut Dropped::default()).expect_err(text).param
}

fn text(text: &str) -> Text<'static> {
    Text::plain(text)
}

fn digits(number: Option<&sluice_dialects::exchange::Number<'_>>) -> Option<f64> {
    number?.as_f64()
}

#[test]
fn settings_are_read() {
    read(&case("text"), |request, dropped| {
        assert!(request.stream);
        assert_eq!(request.max_tokens, Some(64));
        assert_eq!(digits(request.temperature.as_ref()), Some(0.7));
        assert_eq!(digits(request.top_p.as_ref()), Some(0.95));
        assert_eq!(digits(request.top_k.as_ref()), Some(40.0));
        assert_eq!(request.messages.len(), 1);
        assert_eq!(request.messages[0].parts[0].kind, PartKind::Text(text("Say hello in two words.")));
        assert!(dropped.is_empty());
    });
    read(&case("stop"), |request, _| {
        assert_eq!(request.stop, [text("5"), text("five")]);
        assert_eq!(digits(request.seed.as_ref()), Some(42.0));
        assert_eq!(digits(request.frequency_penalty.as_ref()), Some(-0.5));
    });
}

#[test]
fn trap_03_system_comes_first_and_in_order() {
    read(&case("system"), |request, _| {
        assert_eq!(request.messages[0].role, Role::System);
        assert_eq!(request.messages[0].parts.len(), 2);
        assert_eq!(request.messages[1].role, Role::User);
    });
    let body = r#"{"contents":[{"parts":[{"text":"x"}]}],"systemInstruction":"Be brief."}"#;
    read(body, |request, _| assert_eq!(request.messages[0].parts[0].kind, PartKind::Text(text("Be brief."))));
}

#[test]
fn trap_20_calls_and_results_without_ids_are_paired() {
    read(&case("tools-parallel"), |request, dropped| {
        let PartKind::ToolCall(second) = &request.messages[1].parts[1].kind else { panic!("a call") };
        assert_eq!((second.id.decode(), second.name.decode()), ("call_1".into(), "get_weather".into()));
        let PartKind::ToolCall(first) = &request.messages[1].parts[0].kind else { panic!("a call") };
        assert!(first.signature.is_some());
        assert!(matches!(&first.arguments, Arguments::Object(raw) if raw.as_bytes().starts_with(b"{")));
        let results = &request.messages[2].parts;
        for (index, (part, words)) in results.iter().zip(["18", "3"]).enumerate() {
            let PartKind::ToolResult(result) = &part.kind else { panic!("a result") };
            assert_eq!(result.id, text(&format!("call_{index}")));
            assert_eq!(result.parts[0].kind, PartKind::Text(text(words)));
        }
        assert_eq!(request.tool_choice, Some(ToolChoice::Auto));
        assert!(dropped.is_empty());
    });
}

#[test]
fn results_of_the_same_turn_are_paired_by_name_first() {
    let body = r#"{"contents":[{"role":"user","parts":[{"text":"x"}]},
        {"role":"model","parts":[{"functionCall":{"name":"a","args":{}}},{"functionCall":{"name":"b","id":"own"}}]},
        {"role":"user","parts":[{"text":"later"},{"functionResponse":{"name":"b","response":{"error":"no"}}},
            {"functionResponse":{"name":"a","response":{"x":[1]}}}]}]}"#;
    read(body, |request, _| {
        // What the user says beside results comes behind them.
        assert_eq!(request.messages.len(), 4);
        let PartKind::ToolResult(b) = &request.messages[2].parts[0].kind else { panic!("a result") };
        assert_eq!((b.id.decode(), b.is_error), ("own".into(), true));
        let PartKind::ToolResult(a) = &request.messages[2].parts[1].kind else { panic!("a result") };
        assert_eq!(a.id, text("call_0"));
        assert_eq!(a.parts[0].kind, PartKind::Text(text(r#"{"x":[1]}"#)));
        assert_eq!(request.messages[3].parts[0].kind, PartKind::Text(text("later")));
    });
}

#[test]
fn trap_22_images_in_results_are_read() {
    read(&case("tool-result-image"), |request, _| {
        let PartKind::ToolResult(result) = &request.messages[2].parts[0].kind else { panic!("a result") };
        assert!(matches!(&result.parts[1].kind, PartKind::Image(_)));
        let schema = request.tools[0].schema.as_ref().expect("a schema");
        assert!(String::from_utf8_lossy(schema.as_bytes()).contains("additionalProperties"));
    });
}

#[test]
fn tools_and_choices_are_read() {
    read(&case("tool-single"), |request, _| {
        assert_eq!(request.tool_choice, Some(ToolChoice::Named(text("get_weather"))));
        let schema = request.tools[0].schema.as_ref().expect("a schema");
        let schema: serde_json::Value = serde_json::from_slice(schema.as_bytes()).expect("JSON");
        assert_eq!(schema["type"], "object");
        assert_eq!(schema["properties"]["unit"]["type"], serde_json::json!(["string", "null"]));
    });
    let choice = |config: &str| {
        let mut found = None;
        let body = format!(
            r#"{{"contents":[{{"parts":[{{"text":"x"}}]}}],"toolConfig":{{"functionCallingConfig":{config}}}}}"#
        );
        read(&body, |request, _| found = request.tool_choice.as_ref().map(|choice| format!("{choice:?}")));
        found.unwrap_or_default()
    };
    assert_eq!(choice(r#"{"mode":"ANY"}"#), "Required");
    assert_eq!(choice(r#"{"mode":"NONE"}"#), "None");
    assert_eq!(choice(r#"{"mode":"VALIDATED"}"#), "Auto");
    assert_eq!(
        choice(r#"{"mode":"ANY","allowedFunctionNames":["a","b"]}"#),
        r#"Allowed { names: ["a", "b"], required: true }"#
    );
    assert_eq!(choice(r#"{"mode":"MODE_UNSPECIFIED"}"#), "");
}

#[test]
fn media_are_read() {
    read(&case("image-url"), |request, _| {
        let PartKind::Image(image) = &request.messages[0].parts[1].kind else { panic!("an image") };
        assert_eq!(image.source, Source::Url(text("https://example.com/cat.jpg")));
    });
    read(&case("image-base64"), |request, _| {
        let PartKind::Image(image) = &request.messages[0].parts[0].kind else { panic!("an image") };
        assert!(matches!(&image.source, Source::Base64(data) if data.decode().starts_with("iVBOR")));
        assert_eq!(image.media_type, Some(text("image/png")));
    });
    read(&case("document"), |request, _| {
        assert!(matches!(&request.messages[0].parts[1].kind, PartKind::Document(_)));
    });
    let body = r#"{"contents":[{"parts":[{"inlineData":{"mimeType":"audio/wav","data":"_-8="}},
        {"fileData":{"mimeType":"video/mp4","fileUri":"https://generativelanguage.googleapis.com/v1beta/files/x"},"videoMetadata":{"fps":1}}]}]}"#;
    read(body, |request, dropped| {
        let PartKind::Audio(audio) = &request.messages[0].parts[0].kind else { panic!("a sound") };
        assert_eq!(audio.source, Source::Base64(text("/+8=")));
        let PartKind::Video(film) = &request.messages[0].parts[1].kind else { panic!("a film") };
        assert!(matches!(film.source, Source::File(_)));
        assert_eq!(dropped, ["contents.parts.videoMetadata"]);
    });
}

#[test]
fn formats_and_thinking_are_read() {
    read(&case("structured-output"), |request, _| {
        let Some(Format::Schema { schema, .. }) = &request.format else { panic!("a schema") };
        let schema: serde_json::Value = serde_json::from_slice(schema.as_bytes()).expect("JSON");
        assert_eq!(schema["properties"]["tags"]["maxItems"], 3);
        assert_eq!(schema.get("propertyOrdering"), None);
    });
    read(&case("reasoning"), |request, _| {
        let reasoning = request.reasoning.expect("reasoning");
        assert_eq!((reasoning.budget, reasoning.show, reasoning.dynamic), (Some(2048), Some(true), false));
    });
    let body = r#"{"contents":[{"parts":[{"text":"x"}]}],"generationConfig":{"thinkingConfig":{"thinkingLevel":"LOW"},"responseMimeType":"application/json"}}"#;
    read(body, |request, _| {
        assert_eq!(request.reasoning.and_then(|reasoning| reasoning.effort), Some(Effort::Low));
        assert_eq!(request.format, Some(Format::Json));
    });
}

#[test]
fn both_spellings_are_read() {
    read(&case("snake-case"), |request, dropped| {
        assert_eq!(request.messages.len(), 4);
        assert_eq!(request.messages[0].role, Role::System);
        assert!(matches!(&request.messages[1].parts[0].kind, PartKind::Image(_)));
        let PartKind::ToolCall(call) = &request.messages[2].parts[0].kind else { panic!("a call") };
        assert!(call.signature.is_some());
        let PartKind::ToolResult(result) = &request.messages[3].parts[0].kind else { panic!("a result") };
        assert_eq!(result.parts[0].kind, PartKind::Text(text("seen")));
        assert_eq!((request.max_tokens, request.stop.len()), (Some(9), 1));
        assert_eq!(request.format, Some(Format::Json));
        assert!(request.reasoning.is_some_and(|reasoning| reasoning.dynamic && reasoning.show == Some(true)));
        assert_eq!(request.tool_choice, Some(ToolChoice::Required));
        assert_eq!(request.tools.len(), 1);
        assert_eq!(dropped, ["tools.google_search", "safety_settings"]);
    });
}

#[test]
fn trap_33_what_only_google_has_is_noted() {
    read(&case("content-filter"), |_, dropped| assert_eq!(dropped, ["safetySettings"]));
    read(&case("usage-cache-reasoning"), |_, dropped| assert_eq!(dropped, ["cachedContent"]));
    let body = r#"{"contents":[{"role":"model","parts":[{"executableCode":{"code":"1"}},{"text":"x"}]}],"labels":{},
        "tools":[{"codeExecution":{}}],"generationConfig":{"mediaResolution":"M","responseModalities":["TEXT","IMAGE"]}}"#;
    read(body, |_, dropped| {
        let expected = [
            "labels",
            "tools.codeExecution",
            "generationConfig.mediaResolution",
            "generationConfig.responseModalities",
            "contents.parts.executableCode",
        ];
        assert_eq!(dropped, expected);
    });
}

#[test]
fn thoughts_in_pieces_are_one() {
    let body = r#"{"contents":[{"role":"model","parts":[{"text":"a","thought":true},{"text":"b","thought":true},
        {"text":"","thought":true,"thoughtSignature":"c2ln"},{"text":"","thought":true},{"text":"done","thoughtSignature":"c2kg"}]}]}"#;
    read(body, |request, dropped| {
        let expected = [
            PartKind::Thinking { text: text("ab"), signature: Some(text("c2ln")) },
            PartKind::Text(text("done")),
        ];
        assert_eq!(dropped, ["contents.parts.thoughtSignature"]);
        let found: Vec<_> = request.messages[0].parts.iter().map(|part| part.kind.clone()).collect();
        assert_eq!(found, expected);
    });
}

#[test]
fn turns_kept_as_a_stream_had_them_are_one() {
    let body = r#"{"contents":[{"role":"user","parts":[{"text":"x"}]},
        {"role":"model","parts":[{"text":"hm ","thought":true}]},{"role":"model","parts":[{"text":"so","thought":true}]},
        {"role":"model","parts":[{"text":"","thought":true,"thoughtSignature":"c2ln"}]},
        {"role":"model","parts":[{"text":"Hel"}]},{"role":"model","parts":[{"text":"lo"}]},
        {"role":"model","parts":[{"functionCall":{"id":"c","name":"f","args":{}}}]},{"role":"user","parts":[{"text":"y"}]}]}"#;
    read(body, |request, _| {
        assert_eq!(request.messages.len(), 3);
        let parts = &request.messages[1].parts;
        let thought = PartKind::Thinking { text: text("hm so"), signature: Some(text("c2ln")) };
        assert_eq!(
            (&parts[0].kind, &parts[1].kind, parts.len()),
            (&thought, &PartKind::Text(text("Hello")), 3)
        );
    });
}

#[test]
fn a_request_to_count_tokens_is_read() {
    let body = r#"{"generateContentRequest":{"model":"models/m","contents":[{"parts":[{"text":"x"}]}]}}"#;
    read(body, |request, dropped| {
        assert_eq!(request.messages.len(), 1);
        assert!(dropped.is_empty());
    });
}

#[test]
fn edge_32_bad_requests_are_refused_with_their_member() {
    let content = |part: &str| format!(r#"{{"contents":[{{"parts":[{part}]}}]}}"#);
    let config = |config: &str| {
        format!(r#"{{"contents":[{{"parts":[{{"text":"x"}}]}}],"generationConfig":{config}}}"#)
    };
    let cases = [
        ("{}".to_owned(), "contents"),
        (r#"{"contents":[]}"#.to_owned(), "contents"),
        (r#"{"contents":"x"}"#.to_owned(), "contents"),
        (r#"{"contents":[{"parts":[{"text":""}]}]}"#.to_owned(), "contents"),
        (r#"{"contents":["x"]}"#.to_owned(), "contents"),
        (r#"{"contents":[{"role":"assistant","parts":[]}]}"#.to_owned(), "contents.role"),
        (content("1"), "contents.parts"),
        (content(r#"{"text":1}"#), "contents.parts.text"),
        (content(r#"{"functionCall":{}}"#), "contents.parts.functionCall.name"),
        (content(r#"{"functionCall":{"name":"f","args":"x"}}"#), "contents.parts.functionCall.args"),
        (
            content(r#"{"functionResponse":{"name":"f","response":"x"}}"#),
            "contents.parts.functionResponse.response",
        ),
        (content(r#"{"inlineData":{"mimeType":"image/png"}}"#), "contents.parts.inlineData"),
        (config("[]"), "generationConfig"),
        (config(r#"{"temperature":"hot"}"#), "generationConfig.temperature"),
        (config(r#"{"maxOutputTokens":-5}"#), "generationConfig.maxOutputTokens"),
        (config(r#"{"stopSequences":"x"}"#), "generationConfig.stopSequences"),
        (r#"{"contents":[{"parts":[{"text":"x"}]}],"tools":{}}"#.to_owned(), "tools"),
    ];
    for (body, param) in cases {
        assert_eq!(refused(&body), Some(param), "{body}");
    }
}
