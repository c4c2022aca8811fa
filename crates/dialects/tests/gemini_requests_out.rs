//! Conversations in Google's dialect as providers get them.

#[path = "support/gemini.rs"]
mod gemini;

use gemini::{
    GEMINI_3, VERTEX, call, contents, image, message, result, result_of, target, try_write, user, words,
    write,
};
use serde_json::json;
use sluice_dialects::exchange::{CacheHint, ChatRequest, Media, Message, Part, PartKind, Role, Source, Text};
use sluice_dialects::wire::Quirks;

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
    assert_eq!(dropped, "messages.thinking_blocks");
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
    assert_eq!(dropped, "messages.name, cache_control, messages.content.image_url.detail");
}
