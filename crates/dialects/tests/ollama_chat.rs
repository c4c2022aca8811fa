//! Ollama's chat, which is a target only: requests written, answers and streams read.

use std::path::Path;

use serde_json::{Value, json};
use sluice_dialects::exchange::{
    Arguments, ChatRequest, Dropped, Effort, ErrorClass, Event, Finish, Format, Media, Message, Number, Part,
    PartKind, Raw, Reasoning, Role, Source, Text, Tool, ToolCall, ToolChoice, ToolResult,
};
use sluice_dialects::json::Doc;
use sluice_dialects::wire::{AnswerContext, Frame, Quirks, Target, Wire};

fn case(path: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/ollama");
    std::fs::read_to_string(folder.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn written(request: &ChatRequest<'_>) -> (Value, Vec<String>) {
    let target = Target { model: "llama3.2", quirks: Quirks::NONE, default_max_tokens: 4096 };
    let (mut out, mut dropped) = (Vec::new(), Dropped::default());
    Wire::Ollama
        .write_request(request, &target, &mut dropped, &mut out)
        .expect("a request that can be written");
    let body = serde_json::from_slice(&out).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&out)));
    (body, dropped.names().map(str::to_owned).collect())
}

fn decoded(stream: &str) -> Vec<String> {
    let mut decoder = Wire::Ollama.decoder();
    let mut events = Vec::new();
    for line in stream.lines() {
        let frame = Frame { name: None, data: line.as_bytes() };
        decoder
            .frame(frame, &mut |event| events.push(format!("{event:?}")))
            .expect("a line that can be read");
    }
    decoder.end(&mut |event| events.push(format!("{event:?}")));
    events
}

fn text(text: &'static str) -> Part<'static> {
    PartKind::Text(Text::literal(text)).into()
}

fn image(source: Source<'static>) -> Part<'static> {
    PartKind::Image(Media { source, media_type: None, name: None, detail: None }).into()
}

fn tool(name: &'static str) -> Tool<'static> {
    let name = Text::literal(name);
    Tool { name, description: None, schema: None, strict: None, custom: false, cache: None }
}

fn message(role: Role, parts: Vec<Part<'static>>) -> Message<'static> {
    Message { role, parts, name: None }
}

fn asking(parts: Vec<Part<'static>>) -> ChatRequest<'static> {
    ChatRequest { messages: vec![message(Role::User, parts)], ..ChatRequest::default() }
}

#[test]
fn a_stream_is_the_default_and_so_is_said() {
    let mut request = asking(vec![text("hi")]);
    let expected =
        json!({"model": "llama3.2", "messages": [{"role": "user", "content": "hi"}], "stream": false});
    assert_eq!(written(&request).0, expected);
    request.stream = true;
    assert_eq!(written(&request).0["stream"], true);
}

#[test]
fn parameters_are_options() {
    let mut request = asking(vec![text("hi")]);
    request.max_tokens = Some(64);
    request.temperature = Some(Number::written(b"0.30"));
    request.seed = Some(Number::written(b"7"));
    request.stop = vec![Text::literal("END")];
    request.logprobs = Some(true);
    request.top_logprobs = Some(2);
    request.user = Some(Text::literal("u"));
    let (body, dropped) = written(&request);
    assert_eq!(body["options"], json!({"num_predict": 64, "temperature": 0.30, "seed": 7, "stop": ["END"]}));
    assert_eq!((&body["logprobs"], &body["top_logprobs"]), (&json!(true), &json!(2)));
    assert_eq!(dropped, ["user"]);
}

#[test]
fn trap_14_17_19_arguments_are_objects_and_results_in_order() {
    let call = |id, name, arguments| {
        let arguments = Arguments::Text(Text::plain(arguments));
        let (id, name) = (Text::literal(id), Text::literal(name));
        PartKind::ToolCall(ToolCall { id, name, arguments, signature: None, custom: false }).into()
    };
    let result = |id, parts| {
        PartKind::ToolResult(ToolResult { id: Text::literal(id), name: None, parts, is_error: false }).into()
    };
    let mut request = asking(vec![text("hi")]);
    let calls = vec![text("I look."), call("a", "f", "{\"x\":12345678901234567890}"), call("b", "g", "")];
    request.messages.push(message(Role::Assistant, calls));
    let results = vec![
        result("b", vec![text("two"), image(Source::Base64(Text::literal("iVBOR")))]),
        result("a", vec![text("one")]),
    ];
    request.messages.push(message(Role::User, results));
    let messages = written(&request).0["messages"].clone();
    assert_eq!(messages[1]["content"], "I look.");
    assert_eq!(
        messages[1]["tool_calls"][0]["function"]["arguments"].to_string(),
        r#"{"x":12345678901234567890}"#
    );
    assert_eq!(messages[1]["tool_calls"][1]["function"]["arguments"], json!({}));
    assert_eq!(messages[2], json!({"role": "tool", "content": "one", "tool_name": "f", "tool_call_id": "a"}));
    assert_eq!(messages[3]["tool_name"], "g");
    assert_eq!(messages[4], json!({"role": "user", "content": "", "images": ["iVBOR"]}));
}

#[test]
fn trap_24_choices_are_narrowed() {
    let mut request = asking(vec![text("hi")]);
    request.tools = vec![tool("f"), tool("g")];
    request.tool_choice = Some(ToolChoice::None);
    assert_eq!(written(&request).0.get("tools"), None);
    request.tool_choice = Some(ToolChoice::Named(Text::literal("g")));
    let (body, dropped) = written(&request);
    assert_eq!(body["tools"][0]["function"]["name"], "g");
    assert_eq!(dropped, ["tool_choice"]);
}

#[test]
fn trap_44_45_56_formats_and_efforts() {
    let mut request = asking(vec![text("hi")]);
    request.format = Some(Format::Json);
    assert_eq!(written(&request).0["format"], "json");
    let schema = Raw::written(br#"{"type":"object"}"#);
    request.format = Some(Format::Schema { name: None, description: None, schema, strict: None });
    assert_eq!(written(&request).0["format"], json!({"type": "object"}));
    let mut think = |reasoning| {
        request.reasoning = Some(reasoning);
        written(&request).0["think"].clone()
    };
    assert_eq!(think(Reasoning { effort: Some(Effort::None), ..Reasoning::default() }), false);
    assert_eq!(think(Reasoning { effort: Some(Effort::Xhigh), ..Reasoning::default() }), "high");
    assert_eq!(think(Reasoning { budget: Some(1024), ..Reasoning::default() }), "low");
    assert_eq!(think(Reasoning { dynamic: true, ..Reasoning::default() }), true);
    assert_eq!(think(Reasoning::default()), Value::Null);
}

#[test]
fn trap_60_images_are_bytes() {
    let url = image(Source::Url(Text::literal("https://example.com/cat.png")));
    let (body, dropped) =
        written(&asking(vec![text("what?"), url, image(Source::Base64(Text::literal("iVBOR")))]));
    assert_eq!(body["messages"][0]["images"], json!(["iVBOR"]));
    assert_eq!(dropped, ["messages.content.image_url"]);
}

#[test]
fn answers_are_read() {
    let read = |name: &str, check: &dyn Fn(&[Part<'_>], Finish)| {
        let body = case(&format!("{name}/answer.json"));
        let doc = Doc::parse(body.as_bytes()).expect("JSON");
        let answer = Wire::Ollama.read_answer(&doc).expect("an answer");
        let usage = answer.usage.expect("usage");
        assert_eq!((usage.input, usage.output), (26, 9));
        check(&answer.choices[0].parts, answer.choices[0].finish);
    };
    read("text", &|parts, finish| {
        assert_eq!(parts, [PartKind::Text(Text::plain("Bonjour ! 👋")).into()]);
        assert_eq!(finish, Finish::Stop);
    });
    read("tools-parallel", &|parts, finish| {
        let PartKind::ToolCall(second) = &parts[1].kind else { panic!("a call") };
        assert_eq!(second.id, Text::literal("call_1"));
        assert_eq!(finish, Finish::ToolCalls);
    });
    read("tool-single", &|parts, _| {
        let PartKind::ToolCall(call) = &parts[0].kind else { panic!("a call") };
        assert_eq!(call.id, Text::literal("call_k2x9"));
        assert!(format!("{:?}", call.arguments).contains("12345678901234567890"), "trap 16");
    });
    read("reasoning", &|parts, _| assert!(matches!(parts[0].kind, PartKind::Thinking { .. })));
    read("length", &|_, finish| assert_eq!(finish, Finish::Length));
}

#[test]
fn streams_are_read() {
    let events = decoded(&case("tools-parallel/stream.jsonl"));
    assert_eq!(events[0], "Start { id: None, model: Some(\"llama3.2\") }");
    assert!(events[1].starts_with("ToolStart { choice: 0, tool: 0, id: \"call_0\", name: \"get_weather\""));
    assert_eq!(events[2], r#"ToolArguments { choice: 0, tool: 0, fragment: "{\"city\":\"Paris\"}" }"#);
    assert_eq!(events[3], "ToolEnd { choice: 0, tool: 0 }");
    assert!(events[7].starts_with("Usage"));
    assert_eq!(events[8..], ["Finish { choice: 0, finish: ToolCalls, stop_sequence: None }", "End"]);
    let events = decoded(&case("reasoning/stream.jsonl"));
    assert_eq!(events[1], r#"Thinking { choice: 0, text: "391 + 9" }"#);
    let events = decoded(&case("error-in-stream/stream.jsonl"));
    assert!(events.last().unwrap().contains("unexpected EOF"), "trap 72");
    let cut = case("text/stream.jsonl");
    assert!(!decoded(cut.lines().next().unwrap()).contains(&"End".to_owned()));
}

#[test]
fn errors_are_read() {
    let recorded: Value = serde_json::from_str(&case("error-before/error.json")).expect("JSON");
    let error = Wire::Ollama.read_error(404, recorded["body"].to_string().as_bytes());
    assert_eq!((error.class, error.message.as_str()), (ErrorClass::NotFound, "model 'llama9' not found"));
}

#[test]
fn clients_are_told_that_it_is_not_served() {
    let doc = Doc::parse(b"{\"messages\":[]}").expect("JSON");
    assert!(Wire::Ollama.read_request(&doc, false, &mut Dropped::default()).is_err());
    let mut out = Vec::new();
    let mut encoder = Wire::Ollama.encoder(AnswerContext::default());
    encoder.event(&Event::End, &mut out);
    encoder.event(&Event::End, &mut out);
    assert_eq!(String::from_utf8(out).unwrap().lines().count(), 1);
}
