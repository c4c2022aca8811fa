//! Canonical requests, written for Bedrock: the conversation.

#[path = "support/bedrock.rs"]
#[allow(dead_code, reason = "each test binary uses a part")]
mod bedrock;

use bedrock::{CLAUDE, asking, call, media, message, result, text, tool, written, written_for};
use serde_json::{Value, json};
use sluice_dialects::bedrock::{mapped_name, read_request};
use sluice_dialects::exchange::{Dropped, PartKind, Role, Source, Text, ToolChoice};
use sluice_dialects::json::Doc;
use sluice_dialects::wire::Quirks;

#[test]
fn trap_01_turns_alternate() {
    let request = asking(vec![
        message(Role::User, vec![text("a")]),
        message(Role::User, vec![text("b")]),
        message(Role::Assistant, vec![text("c")]),
        message(Role::Assistant, vec![text(" ")]),
        message(Role::Assistant, vec![text("d")]),
        message(Role::User, vec![text("e")]),
    ]);
    let expected = json!([
        {"role":"user","content":[{"text":"a"},{"text":"b"}]},
        {"role":"assistant","content":[{"text":"c"},{"text":"d"}]},
        {"role":"user","content":[{"text":"e"}]},
    ]);
    assert_eq!(written(&request)["messages"], expected);
}

#[test]
fn trap_02_the_user_speaks_first() {
    let request =
        asking(vec![message(Role::Assistant, vec![text("Hello")]), message(Role::User, vec![text("Hi")])]);
    assert_eq!(written(&request)["messages"][0]["role"], "user");
    assert_eq!(written(&request)["messages"].as_array().unwrap().len(), 3);
}

#[test]
fn trap_03_system_prompts_keep_their_order() {
    let request = asking(vec![
        message(Role::System, vec![text("one"), text(" ")]),
        message(Role::User, vec![text("Hi")]),
        message(Role::System, vec![text("two")]),
    ]);
    assert_eq!(written(&request)["system"], json!([{"text":"one"},{"text":"two"}]));
}

#[test]
fn trap_04_a_system_prompt_alone_gets_a_turn() {
    let request = asking(vec![message(Role::System, vec![text("one")])]);
    assert_eq!(written(&request)["messages"], json!([{"role":"user","content":[{"text":"."}]}]));
}

#[test]
fn trap_05_empty_content_is_dropped() {
    let request = asking(vec![
        message(Role::User, vec![text(""), text("a"), text("\n ")]),
        message(Role::Assistant, vec![text("")]),
        message(Role::User, vec![text("b")]),
    ]);
    assert_eq!(written(&request)["messages"], json!([{"role":"user","content":[{"text":"a"},{"text":"b"}]}]));
}

#[test]
fn trap_06_a_prefill_ends_without_white_space() {
    let request =
        asking(vec![message(Role::User, vec![text("a")]), message(Role::Assistant, vec![text("b \n")])]);
    assert_eq!(written(&request)["messages"][1]["content"], json!([{"text":"b"}]));
}

#[test]
fn trap_13_documents() {
    let pdf = |name| PartKind::Document(media(Source::Base64(Text::literal("JVBERi0xLjQ=")), Some(name)));
    let request = asking(vec![message(Role::User, vec![pdf("a.pdf"), pdf("a.pdf")])]);
    let expected = json!([
        {"document":{"format":"pdf","name":"a-pdf","source":{"bytes":"JVBERi0xLjQ="}}},
        {"document":{"format":"pdf","name":"a-pdf (2)","source":{"bytes":"JVBERi0xLjQ="}}},
        {"text":"."},
    ]);
    assert_eq!(written(&request)["messages"][0]["content"], expected);
}

#[test]
fn trap_14_arguments_are_always_objects() {
    let arguments = |text: &str| {
        let request = asking(vec![
            message(Role::User, vec![self::text("a")]),
            message(Role::Assistant, vec![call("1", text)]),
        ]);
        written(&request)["messages"][1]["content"][0]["toolUse"]["input"].clone()
    };
    assert_eq!(arguments(""), json!({}));
    assert_eq!(arguments("{\"a\":12345678901234567890}").to_string(), "{\"a\":12345678901234567890}");
    assert_eq!(arguments("{\"a\":"), json!({"input":"{\"a\":"}));
    assert_eq!(arguments("[1]"), json!({"input":"[1]"}));
}

#[test]
fn trap_17_results_are_one_turn_in_the_order_of_the_calls() {
    let request = asking(vec![
        message(Role::User, vec![text("a")]),
        message(Role::Assistant, vec![call("1", "{}"), call("2", "{}"), call("3", "{}")]),
        message(Role::User, vec![result("2", vec![text("two")])]),
        message(Role::User, vec![result("1", vec![text("one")]), result("9", vec![text("nine")])]),
        message(Role::User, vec![text("b")]),
    ]);
    let (value, dropped) = written_for(CLAUDE, Quirks::NONE, &request);
    let expected = json!([
        {"toolResult":{"toolUseId":"1","content":[{"text":"one"}]}},
        {"toolResult":{"toolUseId":"2","content":[{"text":"two"}]}},
        {"toolResult":{"toolUseId":"3","content":[{"text":"The call was not answered."}],"status":"error"}},
        {"text":"nine"},
        {"text":"b"},
    ]);
    assert_eq!(value["messages"][2]["content"], expected);
    assert_eq!(value["messages"].as_array().unwrap().len(), 3);
    assert_eq!(dropped, ["messages.tool_call_id"]);
}

#[test]
fn trap_18_an_open_call_is_answered() {
    let request =
        asking(vec![message(Role::User, vec![text("a")]), message(Role::Assistant, vec![call("1", "{}")])]);
    assert_eq!(written(&request)["messages"][2]["content"][0]["toolResult"]["toolUseId"], "1");
    let request = asking(vec![
        message(Role::User, vec![text("a")]),
        message(Role::Assistant, vec![call("1", "{}")]),
        message(Role::Assistant, vec![text("b")]),
        message(Role::User, vec![text("c")]),
    ]);
    let content = &written(&request)["messages"][2]["content"];
    assert_eq!((&content[0]["toolResult"]["status"], &content[1]), (&json!("error"), &json!({"text":"c"})));
}

#[test]
fn trap_22_images_in_results() {
    let png = PartKind::Image(media(Source::Base64(Text::literal("iVBORw0KGgo=")), None));
    let request = asking(vec![
        message(Role::User, vec![text("a")]),
        message(Role::Assistant, vec![call("1", "{}")]),
        message(Role::User, vec![result("1", vec![text(""), png])]),
    ]);
    let expected = json!([{"image":{"format":"png","source":{"bytes":"iVBORw0KGgo="}}}]);
    assert_eq!(written(&request)["messages"][2]["content"][0]["toolResult"]["content"], expected);
}

#[test]
fn trap_23_names_and_ids_fit() {
    let mut request = asking(vec![
        message(Role::User, vec![text("a")]),
        message(
            Role::Assistant,
            vec![call("call.1", "{}"), call("call:1", "{}"), call(&"x".repeat(90), "{}")],
        ),
    ]);
    request.tools = vec![tool("fs.read"), tool("fs_read")];
    let value = written(&request);
    assert_eq!(value["toolConfig"]["tools"][0]["toolSpec"]["name"], "fs_read_2");
    assert_eq!(value["toolConfig"]["tools"][1]["toolSpec"]["name"], "fs_read");
    assert!(mapped_name(&request.tools, &Text::literal("fs.read")).is("fs_read_2"));
    let id = |turn: usize, nth: usize, kind: &str| {
        value["messages"][turn]["content"][nth][kind]["toolUseId"].as_str().unwrap().to_owned()
    };
    let ids: Vec<_> = (0..3).map(|nth| id(1, nth, "toolUse")).collect();
    assert_eq!(ids, (0..3).map(|nth| id(2, nth, "toolResult")).collect::<Vec<_>>());
    assert!(ids[0] != ids[1] && ids.iter().all(|id| id.len() <= 64 && !id.contains(['.', ':'])));
}

#[test]
fn trap_24_a_history_with_tools_needs_a_tool() {
    let mut request = asking(vec![
        message(Role::User, vec![text("a")]),
        message(Role::Assistant, vec![call("1", "{}")]),
        message(Role::User, vec![result("1", vec![text("one")])]),
    ]);
    assert_eq!(written(&request)["toolConfig"]["tools"][0]["toolSpec"]["name"], "unavailable");
    request.tools = vec![tool("f")];
    assert_eq!(written(&request)["toolConfig"]["tools"][0]["toolSpec"]["name"], "f");
    request.tool_choice = Some(ToolChoice::None);
    let config = written(&request)["toolConfig"].clone();
    assert_eq!(
        (&config["tools"][0]["toolSpec"]["name"], config.get("toolChoice")),
        (&json!("unavailable"), None)
    );
}

#[test]
fn trap_60_media_must_be_at_hand() {
    let dropped = |source| {
        let mut image = media(source, None);
        image.media_type = Some(Text::literal("image/png"));
        let request = asking(vec![message(Role::User, vec![text("see"), PartKind::Image(image)])]);
        let (value, dropped) = written_for(CLAUDE, Quirks::NONE, &request);
        (value["messages"][0]["content"].as_array().map(Vec::len), dropped)
    };
    let left_out = (Some(1), vec!["messages.content.image_url".to_owned()]);
    assert_eq!(dropped(Source::Url(Text::literal("https://example.com/a.png"))), left_out);
    assert_eq!(dropped(Source::File(Text::literal("file-1"))), left_out);
    assert_eq!(dropped(Source::Url(Text::literal("s3://bucket/a.png"))), (Some(2), vec![]));
}

#[test]
fn thoughts_go_back_to_claude_with_their_signature_only() {
    let thought = |signature: Option<&'static str>| PartKind::Thinking {
        text: Text::literal("hm"),
        signature: signature.map(Text::plain),
    };
    let request = asking(vec![
        message(Role::User, vec![text("a")]),
        message(
            Role::Assistant,
            vec![thought(None), thought(Some("EqMB")), thought(Some("gAAAAABo")), text("b")],
        ),
        message(Role::User, vec![text("c")]),
    ]);
    let expected =
        json!([{"reasoningContent":{"reasoningText":{"text":"hm","signature":"EqMB"}}},{"text":"b"}]);
    let (value, dropped) = written_for(CLAUDE, Quirks::NONE, &request);
    assert_eq!(
        (&value["messages"][1]["content"], &*dropped),
        (&expected, &["messages.reasoning_content".to_owned()][..])
    );
}

#[test]
fn what_is_read_and_written_is_the_same_request() {
    for name in [
        "text",
        "system",
        "multi-turn",
        "tools-parallel",
        "tool-result-image",
        "image-base64",
        "document",
        "reasoning",
    ] {
        let path = format!("{}/tests/cases/bedrock/{name}/request.json", env!("CARGO_MANIFEST_DIR"));
        let body = std::fs::read(path).unwrap();
        let doc = Doc::parse(&body).unwrap();
        let mut dropped = Dropped::default();
        let request = read_request(&doc, false, &mut dropped).unwrap();
        // Claude takes either a temperature or `topP`.
        let model = if name == "text" { "amazon.nova-pro-v1:0" } else { CLAUDE };
        let (value, more) = written_for(model, Quirks::NONE, &request);
        assert_eq!(value, serde_json::from_slice::<Value>(&body).unwrap(), "{name}");
        assert!(dropped.is_empty() && more.is_empty(), "{name}");
    }
}
