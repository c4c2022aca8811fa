//! Whole answers in Google's dialect.

use std::fs;

use serde_json::{Value, json};
use sluice_dialects::exchange::{
    Arguments, ChatAnswer, Choice, Finish, Media, Part, PartKind, Raw, Source, Text, ToolCall,
};
use sluice_dialects::gemini::{read_answer, write_answer};
use sluice_dialects::json::Doc;
use sluice_dialects::wire::AnswerContext;
use sluice_types::Usage;

fn case(name: &str) -> String {
    let path = format!("{}/tests/cases/gemini/{name}/answer.json", env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn read(text: &str, check: impl FnOnce(&ChatAnswer<'_>)) {
    let doc = Doc::parse(text.as_bytes()).expect("JSON");
    check(&read_answer(&doc).unwrap_or_else(|error| panic!("{}: {text}", error.0)));
}

fn context() -> AnswerContext {
    AnswerContext { id: "0123456789abcdef".into(), model: "asked-for".into(), ..AnswerContext::default() }
}

fn write(answer: &ChatAnswer<'_>) -> Value {
    let mut out = Vec::new();
    write_answer(answer, &context(), &mut out);
    serde_json::from_slice(&out).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&out)))
}

fn one(parts: Vec<PartKind<'static>>, finish: Finish) -> ChatAnswer<'static> {
    let parts = parts.into_iter().map(Part::from).collect();
    ChatAnswer { choices: vec![Choice { parts, finish, ..Choice::default() }], ..ChatAnswer::default() }
}

#[test]
fn text_is_read() {
    read(&case("text"), |answer| {
        assert_eq!(answer.id, Some(Text::literal("mAaKaYCxOeWtz7IPp4rE8As")));
        assert_eq!(answer.model, Some(Text::literal("gemini-2.5-flash")));
        assert_eq!(answer.choices.len(), 1);
        assert_eq!(answer.choices[0].finish, Finish::Stop);
        assert_eq!(answer.choices[0].parts[0].kind, PartKind::Text(Text::plain("Hello, wörld\"!\n")));
        assert_eq!(answer.usage.map(|usage| (usage.input, usage.output)), Some((7, 5)));
    });
}

#[test]
fn trap_31_stop_with_calls_is_tool_calls() {
    read(&case("tools-parallel"), |answer| {
        let choice = &answer.choices[0];
        assert_eq!(choice.finish, Finish::ToolCalls);
        assert_eq!(choice.parts.len(), 3);
        let PartKind::ToolCall(call) = &choice.parts[1].kind else { panic!("a call") };
        assert_eq!(call.id, Text::literal("call_mAaKaYCxOeWtz7IPp4rE8As_0"));
        assert!(call.signature.is_some());
        let PartKind::ToolCall(call) = &choice.parts[2].kind else { panic!("a call") };
        assert_eq!(call.id, Text::literal("call_mAaKaYCxOeWtz7IPp4rE8As_1"));
        assert!(call.id.as_escaped().len() <= 40);
    });
}

#[test]
fn trap_15_16_arguments_are_kept_as_they_are() {
    let arguments = |answer: &ChatAnswer<'_>| match &answer.choices[0].parts[0].kind {
        PartKind::ToolCall(call) => call.arguments.to_text().decode().into_owned(),
        other => panic!("{other:?}"),
    };
    read(&case("tool-single"), |answer| assert!(arguments(answer).contains("12345678901234567890")));
    read(&case("tool-no-arguments"), |answer| assert_eq!(arguments(answer), "{}"));
}

#[test]
fn trap_78_reasons_to_finish() {
    for (name, finish) in [
        ("length", Finish::Length),
        ("stop", Finish::Stop),
        ("content-filter", Finish::ContentFilter),
        ("refusal", Finish::ContentFilter),
        ("tool-invalid-arguments", Finish::Error),
    ] {
        read(&case(name), |answer| assert_eq!(answer.choices[0].finish, finish, "{name}"));
    }
    let reason = |finish| {
        write(&one(vec![PartKind::Text(Text::literal("x"))], finish))["candidates"][0]["finishReason"].clone()
    };
    assert_eq!(reason(Finish::Length), "MAX_TOKENS");
    assert_eq!(reason(Finish::ToolCalls), "STOP");
    assert_eq!(reason(Finish::StopSequence), "STOP");
    assert_eq!(reason(Finish::Refusal), "SAFETY");
    assert_eq!(reason(Finish::Error), "OTHER");
}

#[test]
fn trap_10_a_blocked_prompt_is_a_choice_without_parts() {
    read(&case("refusal"), |answer| {
        assert_eq!(answer.choices.len(), 1);
        assert!(answer.choices[0].parts.is_empty());
        assert_eq!(answer.usage.map(|usage| (usage.input, usage.output)), Some((9, 0)));
    });
    let found = write(&ChatAnswer::default());
    assert_eq!(found["promptFeedback"], json!({"blockReason":"SAFETY"}));
    assert_eq!(found.get("candidates"), None);
}

#[test]
fn thoughts_are_read() {
    read(&case("reasoning"), |answer| {
        let parts: Vec<_> = answer.choices[0].parts.iter().map(|part| &part.kind).collect();
        assert!(matches!(parts[0], PartKind::Thinking { signature: None, text } if !text.is_empty()));
        assert!(matches!(parts[1], PartKind::Text(_)));
        assert_eq!(parts.len(), 2);
        assert_eq!(answer.usage.map(|usage| (usage.output, usage.reasoning)), Some((131, 120)));
    });
}

#[test]
fn trap_75_76_usage_is_counted_once() {
    read(&case("usage-cache-reasoning"), |answer| {
        let expected =
            Usage { input: 5_100, cached_input: 4_096, output: 253, reasoning: 250, ..Usage::default() };
        assert_eq!(answer.usage, Some(expected));
    });
    read(&case("image-base64"), |answer| assert_eq!(answer.usage.map(|usage| usage.image_input), Some(258)));
}

#[test]
fn edge_26_what_is_no_answer_is_malformed() {
    for text in [
        "{}",
        r#"{"choices":[]}"#,
        r#"{"error":{"code":500}}"#,
        r#"{"candidates":[]}"#,
        r#"{"candidates":null}"#,
    ] {
        let doc = Doc::parse(text.as_bytes()).expect("JSON");
        assert!(read_answer(&doc).is_err(), "{text}");
    }
    let doc = Doc::parse(br#"{"candidates":[{"content":{"parts":[{"text":1}]}}]}"#).expect("JSON");
    assert!(read_answer(&doc).is_err());
}

#[test]
fn an_answer_is_written() {
    let call = ToolCall {
        id: Text::literal("toolu_1"),
        name: Text::literal("f"),
        arguments: Arguments::Text(Text::plain("{\"a\":1}")),
        signature: Some(Text::literal("c2ln")),
        custom: false,
    };
    let image = Media {
        source: Source::Base64(Text::literal("iVBORw0KGgo=")),
        media_type: Some(Text::literal("image/png")),
        name: None,
        detail: None,
    };
    let mut answer = one(
        vec![
            PartKind::Thinking { text: Text::literal("hm"), signature: Some(Text::literal("cHJvb2Y=")) },
            PartKind::Text(Text::plain("a\"b")),
            PartKind::Refusal(Text::literal("no")),
            PartKind::Image(image),
            PartKind::ToolCall(call),
        ],
        Finish::ToolCalls,
    );
    answer.id = Some(Text::literal("chatcmpl-abcdefghijklmnop"));
    answer.usage = Some(Usage {
        input: 10,
        cached_input: 4,
        output: 9,
        reasoning: 3,
        audio_output: 2,
        ..Usage::default()
    });
    let expected = json!({
        "candidates":[{"content":{"parts":[
            {"text":"hm","thought":true,"thoughtSignature":"cHJvb2Y="},
            {"text":"a\"b"},
            {"text":"no"},
            {"inlineData":{"mimeType":"image/png","data":"iVBORw0KGgo="}},
            {"functionCall":{"id":"toolu_1","name":"f","args":{"a":1}},"thoughtSignature":"c2ln"}
        ],"role":"model"},"finishReason":"STOP","index":0}],
        "usageMetadata":{"promptTokenCount":10,"candidatesTokenCount":6,"totalTokenCount":19,
            "cachedContentTokenCount":4,"thoughtsTokenCount":3,
            "candidatesTokensDetails":[{"modality":"TEXT","tokenCount":4},{"modality":"AUDIO","tokenCount":2}]},
        "modelVersion":"asked-for","responseId":"0123456789abcdef"});
    assert_eq!(write(&answer), expected);
}

#[test]
fn every_case_survives_writing_and_reading() {
    let folder = format!("{}/tests/cases/gemini", env!("CARGO_MANIFEST_DIR"));
    let mut seen = 0;
    for entry in fs::read_dir(folder).expect("the cases") {
        let Ok(text) = fs::read_to_string(entry.expect("a case").path().join("answer.json")) else {
            continue;
        };
        seen += 1;
        read(&text, |answer| {
            let mut out = Vec::new();
            write_answer(answer, &AnswerContext { model: "gemini-2.5-flash".into(), ..context() }, &mut out);
            let doc = Doc::parse(&out).expect("JSON");
            assert_eq!(read_answer(&doc).as_ref(), Ok(answer));
        });
    }
    assert!(seen > 10);
}

#[test]
fn trap_53_probabilities_change_between_dialects() {
    let text = r#"{"candidates":[{"content":{"parts":[{"text":"a"}]},"finishReason":"STOP","logprobsResult":{
        "chosenCandidates":[{"token":"a","tokenId":7,"logProbability":-0.25}],
        "topCandidates":[{"candidates":[{"token":"a","logProbability":-0.25},{"token":"b","logProbability":-2}]}]}}]}"#;
    let openai = json!({"content":[{"token":"a","logprob":-0.25,"bytes":null,"top_logprobs":[
        {"token":"a","logprob":-0.25,"bytes":null},{"token":"b","logprob":-2,"bytes":null}]}],"refusal":null});
    read(text, |answer| {
        let found = answer.choices[0].logprobs.as_ref().expect("probabilities");
        assert_eq!(serde_json::from_slice::<Value>(found.as_bytes()).expect("JSON"), openai);
    });
    let mut answer = one(vec![PartKind::Text(Text::literal("a"))], Finish::Stop);
    answer.choices[0].logprobs = Some(Raw::owned(openai.to_string().into_bytes()));
    let found = write(&answer)["candidates"][0]["logprobsResult"].clone();
    assert_eq!(found["chosenCandidates"], json!([{"token":"a","logProbability":-0.25}]));
    assert_eq!(found["topCandidates"][0]["candidates"][1], json!({"token":"b","logProbability":-2}));
}
