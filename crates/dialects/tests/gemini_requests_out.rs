//! Requests in Google's dialect as providers get them.

use serde_json::{Value, json};
use sluice_dialects::exchange::{
    Arguments, CacheHint, ChatRequest, Dropped, Effort, Format, Media, Message, Number, Part, PartKind, Raw,
    Reasoning, Role, Source, Text, Tool, ToolCall, ToolChoice, ToolResult,
};
use sluice_dialects::gemini::{mapped_name, write_request, write_token_request};
use sluice_dialects::openai::RequestError;
use sluice_dialects::wire::{Quirk, Quirks, Target};

const GEMINI_3: Quirks = Quirks::NONE.with(Quirk::ThinkingLevel);
const VERTEX: Quirks = Quirks::NONE.with(Quirk::NoCallIds);

fn target(model: &str, quirks: Quirks) -> Target<'_> {
    Target { model, quirks, default_max_tokens: 4096 }
}

fn try_write(request: &ChatRequest<'_>, target: &Target<'_>) -> Result<(Value, String), RequestError> {
    let (mut out, mut dropped) = (Vec::new(), Dropped::default());
    write_request(request, target, &mut dropped, &mut out)?;
    let value = serde_json::from_slice(&out)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&out)));
    Ok((value, dropped.header_value()))
}

fn write(request: &ChatRequest<'_>, quirks: Quirks) -> (Value, String) {
    try_write(request, &target("gemini-2.5-flash", quirks)).expect("a request Google can be asked")
}

fn contents(messages: Vec<Message<'static>>, quirks: Quirks) -> Value {
    write(&ChatRequest { messages, ..ChatRequest::default() }, quirks).0["contents"].clone()
}

fn message(role: Role, kinds: Vec<PartKind<'static>>) -> Message<'static> {
    Message { role, parts: kinds.into_iter().map(Part::from).collect(), name: None }
}

fn words(text: &str) -> PartKind<'static> {
    PartKind::Text(Text::plain(text))
}

fn user(text: &str) -> Message<'static> {
    message(Role::User, vec![words(text)])
}

fn call(id: &str, name: &str, arguments: &str) -> PartKind<'static> {
    PartKind::ToolCall(ToolCall {
        id: Text::plain(id),
        name: Text::plain(name),
        arguments: Arguments::Text(Text::plain(arguments)),
        signature: None,
        custom: false,
    })
}

fn result_of(id: &str, parts: Vec<PartKind<'static>>, is_error: bool) -> PartKind<'static> {
    let parts = parts.into_iter().map(Part::from).collect();
    PartKind::ToolResult(ToolResult { id: Text::plain(id), name: None, parts, is_error })
}

fn result(id: &str, text: &str) -> PartKind<'static> {
    result_of(id, vec![words(text)], false)
}

fn image(source: Source<'static>, media_type: Option<&'static str>) -> PartKind<'static> {
    PartKind::Image(Media { source, media_type: media_type.map(Text::literal), name: None, detail: None })
}

fn tool(name: &str, schema: &str) -> Tool<'static> {
    Tool {
        name: Text::plain(name),
        description: None,
        schema: Some(Raw::owned(schema.as_bytes().to_vec())),
        strict: None,
        custom: false,
        cache: None,
    }
}

#[test]
fn trap_01_turns_of_one_speaker_are_merged() {
    let messages = vec![
        user("a"),
        user("b"),
        message(Role::Assistant, vec![words("c")]),
        message(Role::Assistant, vec![words("d")]),
        user("e"),
    ];
    let expected = json!([
        {"role":"user","parts":[{"text":"a"},{"text":"b"}]},
        {"role":"model","parts":[{"text":"c"},{"text":"d"}]},
        {"role":"user","parts":[{"text":"e"}]}]);
    assert_eq!(contents(messages, Quirks::NONE), expected);
}

#[test]
fn trap_02_the_user_speaks_first() {
    let found = contents(vec![message(Role::Assistant, vec![words("hi")]), user("x")], Quirks::NONE);
    assert_eq!(found[0], json!({"role":"user","parts":[{"text":" "}]}));
    assert_eq!(found[1]["role"], "model");
}

#[test]
fn trap_03_04_system_prompts_stand_apart_and_are_not_alone() {
    let messages = vec![message(Role::System, vec![words("one")]), message(Role::System, vec![words("two")])];
    let (found, _) = write(&ChatRequest { messages, ..ChatRequest::default() }, Quirks::NONE);
    assert_eq!(found["systemInstruction"], json!({"parts":[{"text":"one"},{"text":"two"}]}));
    assert_eq!(found["contents"], json!([{"role":"user","parts":[{"text":" "}]}]));
    assert!(try_write(&ChatRequest::default(), &target("m", Quirks::NONE)).is_err());
}

#[test]
fn trap_05_empty_content_is_dropped() {
    let messages = vec![
        user("a"),
        message(Role::Assistant, vec![words("")]),
        message(Role::User, vec![words(""), words("b")]),
    ];
    assert_eq!(
        contents(messages, Quirks::NONE),
        json!([{"role":"user","parts":[{"text":"a"},{"text":"b"}]}])
    );
}

fn two_calls() -> Vec<Message<'static>> {
    vec![user("go"), message(Role::Assistant, vec![call("x", "f", "{\"a\":1}"), call("y", "g", "")])]
}

#[test]
fn trap_12_17_19_results_stand_alone_and_in_the_order_of_the_calls() {
    let mut messages = two_calls();
    messages.push(message(Role::User, vec![result("y", "second")]));
    messages.push(message(Role::User, vec![result("x", "{\"n\": 12345678901234567890}"), words("and now?")]));
    let expected = json!([
        {"role":"user","parts":[{"text":"go"}]},
        {"role":"model","parts":[{"functionCall":{"id":"x","name":"f","args":{"a":1}}},{"functionCall":{"id":"y","name":"g","args":{}}}]},
        {"role":"user","parts":[
            {"functionResponse":{"id":"x","name":"f","response":{"n":12_345_678_901_234_567_890_u64}}},
            {"functionResponse":{"id":"y","name":"g","response":{"output":"second"}}}]},
        {"role":"user","parts":[{"text":"and now?"}]}]);
    assert_eq!(contents(messages, Quirks::NONE), expected);
}

#[test]
fn trap_18_a_result_for_no_call_becomes_text() {
    let messages = vec![user("a"), message(Role::User, vec![result("z", "?")])];
    let (found, dropped) = write(&ChatRequest { messages, ..ChatRequest::default() }, Quirks::NONE);
    assert_eq!(found["contents"], json!([{"role":"user","parts":[{"text":"a"},{"text":"?"}]}]));
    assert_eq!(dropped, "messages.tool_call_id");
}

#[test]
fn trap_18_a_late_result_goes_to_its_call() {
    let mut messages = two_calls();
    messages.extend([
        message(Role::User, vec![result("x", "1")]),
        user("wait"),
        message(Role::User, vec![result("y", "2")]),
    ]);
    let found = contents(messages, Quirks::NONE);
    assert_eq!(found[2]["parts"].as_array().map(Vec::len), Some(2));
    assert_eq!(found[3], json!({"role":"user","parts":[{"text":"wait"}]}));
}

#[test]
fn trap_20_vertex_gets_no_ids() {
    let mut messages = two_calls();
    messages.push(message(Role::User, vec![result("x", "1"), result("y", "2")]));
    let found = contents(messages, VERTEX).to_string();
    assert!(!found.contains("\"id\""), "{found}");
}

#[test]
fn trap_14_21_arguments_are_objects_and_errors_say_so() {
    let messages = vec![
        user("go"),
        message(Role::Assistant, vec![call("x", "f", "{\"a\":")]),
        message(Role::User, vec![result_of("x", vec![words("no such file")], true)]),
    ];
    let found = contents(messages, Quirks::NONE);
    assert_eq!(found[1]["parts"][0]["functionCall"]["args"], json!({"input":"{\"a\":"}));
    assert_eq!(found[2]["parts"][0]["functionResponse"]["response"], json!({"error":"no such file"}));
}

#[test]
fn trap_22_images_of_results_go_where_the_model_takes_them() {
    let picture = || image(Source::Base64(Text::literal("iVBORw0KGgo=")), None);
    let messages = || {
        vec![
            user("go"),
            message(Role::Assistant, vec![call("x", "f", "{}")]),
            message(Role::User, vec![result_of("x", vec![words("a"), words("b"), picture()], false)]),
        ]
    };
    let inline = json!({"inlineData":{"mimeType":"image/png","data":"iVBORw0KGgo="}});
    let found = contents(messages(), GEMINI_3);
    assert_eq!(found[2]["parts"][0]["functionResponse"]["parts"], json!([inline]));
    assert_eq!(found[2]["parts"][0]["functionResponse"]["response"], json!({"output":"a\nb"}));
    let found = contents(messages(), Quirks::NONE);
    assert_eq!(found[2]["parts"].as_array().map(Vec::len), Some(1));
    assert_eq!(found[3], json!({"role":"user","parts":[inline]}));
}

#[test]
fn calls_of_the_current_turn_are_signed() {
    let mut messages = two_calls();
    messages.extend([message(Role::User, vec![result("x", "1"), result("y", "2")]), user("again")]);
    messages.push(message(Role::Assistant, vec![call("v", "f", "{}"), call("w", "f", "{}")]));
    messages.push(message(Role::User, vec![result("v", "1"), result("w", "2")]));
    let found = contents(messages.clone(), GEMINI_3);
    assert_eq!(found[1]["parts"][0].get("thoughtSignature"), None);
    assert_eq!(found[4]["parts"][0]["thoughtSignature"], "skip_thought_signature_validator");
    assert_eq!(found[4]["parts"][1].get("thoughtSignature"), None);
    assert!(!contents(messages, Quirks::NONE).to_string().contains("thoughtSignature"));
    let mut signed = two_calls();
    if let PartKind::ToolCall(call) = &mut signed[1].parts[0].kind {
        call.signature = Some(Text::literal("c2ln"));
    }
    let found = contents(signed, GEMINI_3);
    assert_eq!(found[1]["parts"][0]["thoughtSignature"], "c2ln");
    assert_eq!(found[1]["parts"][1].get("thoughtSignature"), None);
}

#[test]
fn thoughts_are_sent_without_their_proofs() {
    let thought = PartKind::Thinking { text: Text::literal("hm"), signature: Some(Text::literal("proof")) };
    let hidden = PartKind::RedactedThinking(Text::literal("xyz"));
    let messages = vec![user("a"), message(Role::Assistant, vec![thought, hidden, words("b")]), user("c")];
    let (found, dropped) = write(&ChatRequest { messages, ..ChatRequest::default() }, GEMINI_3);
    assert_eq!(found["contents"][1]["parts"], json!([{"text":"hm","thought":true},{"text":"b"}]));
    assert_eq!(dropped, "thinking.signature, redacted_thinking");
}

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

#[test]
fn trap_60_63_media_are_written_or_left_out() {
    let one = |kind| {
        let messages = vec![message(Role::User, vec![words("see"), kind])];
        let (found, dropped) = write(&ChatRequest { messages, ..ChatRequest::default() }, Quirks::NONE);
        found["contents"][0]["parts"].get(1).cloned().ok_or(dropped)
    };
    let url = |url: &'static str, media_type| image(Source::Url(Text::literal(url)), media_type);
    let file = |media_type: &str, uri: &str| json!({"fileData":{"mimeType":media_type,"fileUri":uri}});
    assert_eq!(
        one(url("https://x.test/a.png?w=1", None)).ok(),
        Some(file("image/png", "https://x.test/a.png?w=1"))
    );
    assert_eq!(one(url("gs://b/o", Some("image/webp"))).ok(), Some(file("image/webp", "gs://b/o")));
    for bad in ["https://x.test/a", "s3://bucket/a.png", "file:///etc/passwd"] {
        assert_eq!(one(url(bad, None)).expect_err(bad), "messages.content.image_url");
    }
    assert!(one(image(Source::File(Text::literal("file-abc")), None)).is_err());
    let jpeg = one(image(Source::Base64(Text::literal("/9j/4AAQ")), Some("image/jpg"))).expect("an image");
    assert_eq!(jpeg["inlineData"]["mimeType"], "image/jpeg");
    let pdf = Media {
        source: Source::Base64(Text::literal("JVBERi0x")),
        media_type: None,
        name: None,
        detail: None,
    };
    assert_eq!(
        one(PartKind::Document(pdf)).expect("a document")["inlineData"]["mimeType"],
        "application/pdf"
    );
}

#[test]
fn trap_09_61_77_what_google_has_no_place_for_is_noted() {
    let media = Media {
        source: Source::Base64(Text::literal("iVBORw0KGgo=")),
        media_type: None,
        name: None,
        detail: Some(Text::literal("high")),
    };
    let mut part = Part::from(PartKind::Image(media));
    part.cache = Some(CacheHint::Short);
    let messages = vec![Message { role: Role::User, parts: vec![part], name: Some(Text::literal("ada")) }];
    let (_, dropped) = write(&ChatRequest { messages, ..ChatRequest::default() }, Quirks::NONE);
    assert_eq!(dropped, "messages.name, cache_control, image.detail");
}

#[test]
fn a_request_to_count_tokens_is_written() {
    let request = ChatRequest { messages: vec![user("x")], ..ChatRequest::default() };
    let count = |quirks| {
        let mut out = Vec::new();
        write_token_request(&request, &target("gemini-x", quirks), &mut Dropped::default(), &mut out)
            .expect("a request");
        serde_json::from_slice::<Value>(&out).expect("JSON")
    };
    let contents = json!([{"role":"user","parts":[{"text":"x"}]}]);
    assert_eq!(
        count(Quirks::NONE),
        json!({"generateContentRequest":{"model":"models/gemini-x","contents":contents}})
    );
    assert_eq!(count(VERTEX), json!({"contents":contents}));
}
