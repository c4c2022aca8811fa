//! Anthropic's dialect: messages and tools as the provider gets them.

#[path = "support/anthropic.rs"]
mod support;

use serde_json::{Value, json};
use sluice_dialects::anthropic::mapped_name;
use sluice_dialects::exchange::{Arguments, ChatRequest, Media, PartKind, Source, Text, ToolChoice};
use sluice_dialects::wire::{Quirk, Quirks};
use support::{asking, case, case_names, talking, written, written_as};

/// The messages that come of these.
fn messages(messages: Value) -> (Value, Vec<String>) {
    let (body, dropped) = written(&talking(messages));
    (body["messages"].clone(), dropped)
}

fn changed(body: &Value, change: impl FnOnce(&mut ChatRequest<'_>)) -> (Value, Vec<String>) {
    written_as(body, Quirks::NONE, change).expect("it can be written")
}

fn call(id: &str) -> Value {
    json!({"type": "tool_use", "id": id, "name": "f", "input": {}})
}

fn result(id: &str) -> Value {
    json!({"type": "tool_result", "tool_use_id": id, "content": id})
}

/// A list of one text may be written as a string, and only there.
fn plain(content: &Value) -> Value {
    match content {
        Value::Array(items) => match &items[..] {
            [one] if one["type"] == "text" && one.get("cache_control").is_none() => one["text"].clone(),
            _ => items.iter().map(plain).collect(),
        },
        Value::Object(members) => members.iter().map(|(name, value)| (name.clone(), plain(value))).collect(),
        other => other.clone(),
    }
}

#[test]
fn every_case_is_written_as_it_was() {
    for name in case_names() {
        let Some(body) = case(&name, "request.json") else { continue };
        let mut body: Value = serde_json::from_str(&body).unwrap();
        let quirks = match body["thinking"]["type"].as_str() {
            Some("adaptive") => Quirks::NONE.with(Quirk::AdaptiveThinking),
            _ => Quirks::NONE,
        };
        let (written, _) = written_as(&body, quirks, |_| {}).unwrap();
        body["model"] = "claude-there".into();
        if name == "tool-invalid-arguments" {
            body["tools"][0].as_object_mut().unwrap().remove("eager_input_streaming");
        }
        if name == "tools-parallel" {
            body["tool_choice"].as_object_mut().unwrap().remove("disable_parallel_tool_use");
        }
        assert_eq!(plain(&written), plain(&body), "{name}");
    }
}

#[test]
fn trap_01_turns_of_one_role_are_merged() {
    let (written, _) = messages(json!([
        {"role": "user", "content": "a"}, {"role": "user", "content": "b"},
        {"role": "assistant", "content": "c"}, {"role": "assistant", "content": "d"}, {"role": "user", "content": "e"}
    ]));
    let texts = |a: &str, b: &str| json!([{"type": "text", "text": a}, {"type": "text", "text": b}]);
    assert_eq!(
        written,
        json!([{"role": "user", "content": texts("a", "b")}, {"role": "assistant", "content": texts("c", "d")},
            {"role": "user", "content": "e"}])
    );
}

#[test]
fn trap_02_the_user_begins() {
    let (written, _) =
        messages(json!([{"role": "assistant", "content": "a"}, {"role": "user", "content": "b"}]));
    assert_eq!(written[0], json!({"role": "user", "content": "Continue."}));
    assert_eq!(written.as_array().unwrap().len(), 3);
}

#[test]
fn trap_03_and_04_system_prompts_are_gathered_and_one_is_asked() {
    let (body, _) = written(&asking(json!({"system": "one", "messages": [{"role": "user", "content": "Hi"},
        {"role": "system", "content": "two"}, {"role": "user", "content": "Ho"}]})));
    assert_eq!(body["system"], json!([{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]));
    assert_eq!(body["messages"].as_array().unwrap().len(), 1);
    let (body, _) = written(&talking(
        json!([{"role": "system", "content": "one"}, {"role": "system", "content": "two"}]),
    ));
    assert_eq!(body["system"], "one");
    assert_eq!(body["messages"], json!([{"role": "user", "content": "two"}]));
}

#[test]
fn trap_05_empty_content_is_dropped() {
    let (written, dropped) = messages(
        json!([{"role": "user", "content": [{"type": "text", "text": " \n"}, {"type": "text", "text": "a"}]},
        {"role": "assistant", "content": "  "}, {"role": "user", "content": "b"}]),
    );
    let merged = json!([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]);
    assert_eq!(written, json!([{"role": "user", "content": merged}]));
    assert_eq!(dropped, [""; 0]);
    let blank = written_as(&talking(json!([{"role": "user", "content": "\t"}])), Quirks::NONE, |_| {});
    assert_eq!(blank.unwrap_err().param, Some("messages"));
}

#[test]
fn trap_06_prefill_is_trimmed_or_asked_for() {
    let body = talking(
        json!([{"role": "user", "content": "a"}, {"role": "assistant", "content": "{\"a\":\\ \t\n"}]),
    );
    let (written, dropped) = written(&body);
    assert_eq!(written["messages"][1]["content"], json!([{"type": "text", "text": "{\"a\":\\"}]));
    assert_eq!(dropped, [""; 0]);
    let (written, dropped) = written_as(&body, Quirks::NONE.with(Quirk::AdaptiveThinking), |_| {}).unwrap();
    assert_eq!(written["messages"][2], json!({"role": "user", "content": "Continue."}));
    assert_eq!(dropped, ["messages.prefill"]);
}

#[test]
fn trap_08_and_11_calls_come_last_and_results_first() {
    let (written, _) = messages(json!([
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": [call("a"), {"type": "text", "text": "t"}]},
        {"role": "assistant", "content": [call("b")]},
        {"role": "user", "content": "also"},
        {"role": "user", "content": [result("b")]},
        {"role": "user", "content": [result("a")]}
    ]));
    // Trap 17 and 19: one message, in the order of the calls.
    assert_eq!(written[1]["content"], json!([{"type": "text", "text": "t"}, call("a"), call("b")]));
    assert_eq!(written[2]["content"], json!([result("a"), result("b"), {"type": "text", "text": "also"}]));
}

#[test]
fn trap_18_missing_and_surplus_results() {
    let (written, dropped) = messages(json!([
        {"role": "user", "content": [result("gone"), {"type": "text", "text": "go"}]},
        {"role": "assistant", "content": [call("a"), call("b")]},
        {"role": "user", "content": [result("b"), result("b"), result("c")]},
        {"role": "assistant", "content": [call("d")]}
    ]));
    let missing = |id: &str| json!({"type": "tool_result", "tool_use_id": id, "content": "The call was not answered.", "is_error": true});
    let said = |text: &str| json!({"type": "text", "text": text});
    assert_eq!(written[0]["content"], json!([said("gone"), said("go")]));
    assert_eq!(written[2]["content"], json!([missing("a"), result("b"), said("b"), said("c")]));
    assert_eq!(written[4], json!({"role": "user", "content": [missing("d")]}));
    assert_eq!(dropped, ["messages.tool_call_id"]);
}

#[test]
fn trap_14_and_15_arguments_are_objects() {
    let body =
        talking(json!([{"role": "user", "content": "go"}, {"role": "assistant", "content": [call("a")]}]));
    let input = |text: &'static str, custom: bool| {
        let change = |request: &mut ChatRequest<'_>| {
            let PartKind::ToolCall(call) = &mut request.messages[1].parts[0].kind else { panic!("a call") };
            call.arguments = Arguments::Text(Text::plain(text));
            call.custom = custom;
        };
        changed(&body, change).0["messages"][1]["content"][0]["input"].clone()
    };
    assert_eq!(input("", false), json!({}));
    assert_eq!(input("{\"a\":1}", false), json!({"a": 1}));
    assert_eq!(input("{\"a\":", false), json!({"input": "{\"a\":"}));
    assert_eq!(input("{\"a\":1}", true), json!({"input": "{\"a\":1}"}));
}

#[test]
fn trap_20_ids_are_made_to_fit() {
    let (written, _) = messages(
        json!([{"role": "user", "content": "go"}, {"role": "assistant", "content": [call("a:b.c")]},
        {"role": "user", "content": [result("a:b.c")]}]),
    );
    assert_eq!(written[1]["content"][0]["id"], "a_b_c");
    assert_eq!(written[2]["content"][0]["tool_use_id"], "a_b_c");
}

#[test]
fn trap_22_results_hold_images_and_nothing_empty() {
    let content = json!([{"type": "text", "text": ""}, {"type": "text", "text": "a"},
        {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}]);
    let (written, _) =
        messages(json!([{"role": "user", "content": "go"}, {"role": "assistant", "content": [call("a")]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "content": content}]}]));
    assert_eq!(written[2]["content"][0]["content"].as_array().unwrap()[..], content.as_array().unwrap()[1..]);
}

#[test]
fn trap_23_names_of_tools_are_mapped_everywhere() {
    let body = asking(
        json!({"tools": [{"name": "a.b", "input_schema": {"type": "object"}}, {"name": "a_b", "input_schema": {"type": "object"}}],
        "tool_choice": {"type": "tool", "name": "a.b"},
        "messages": [{"role": "user", "content": "go"}, {"role": "assistant", "content": [
            {"type": "tool_use", "id": "x", "name": "a.b", "input": {}}]}, {"role": "user", "content": [result("x")]}]}),
    );
    let mut mapped = String::new();
    let (written, _) = changed(&body, |request| {
        mapped = mapped_name(&request.tools, &request.tools[0].name).decode().into_owned();
    });
    assert_eq!(mapped, "a_b_2");
    assert_eq!(written["tools"][0]["name"], "a_b_2");
    assert_eq!(written["tools"][1]["name"], "a_b");
    assert_eq!(written["tool_choice"]["name"], "a_b_2");
    assert_eq!(written["messages"][1]["content"][0]["name"], "a_b_2");
}

#[test]
fn trap_24_25_and_26_choices_of_tools() {
    let tools = json!([{"name": "f", "input_schema": {"type": "object"}}, {"name": "g", "input_schema": {"type": "object"}}]);
    let body = asking(json!({"tools": tools}));
    let choice = |choice: Option<ToolChoice<'static>>, parallel: Option<bool>| {
        let (written, _) = changed(&body, |request| {
            request.tool_choice = choice;
            request.parallel_tool_calls = parallel;
        });
        (written["tool_choice"].clone(), written["tools"].as_array().unwrap().len())
    };
    let allowed = |required| Some(ToolChoice::Allowed { names: vec![Text::literal("g")], required });
    assert_eq!(choice(None, None), (Value::Null, 2));
    assert_eq!(choice(None, Some(false)), (json!({"type": "auto", "disable_parallel_tool_use": true}), 2));
    assert_eq!(choice(Some(ToolChoice::Required), None), (json!({"type": "any"}), 2));
    assert_eq!(choice(Some(ToolChoice::None), Some(false)), (json!({"type": "none"}), 2));
    let named = Some(ToolChoice::Named(Text::literal("f")));
    let single = json!({"type": "tool", "name": "f", "disable_parallel_tool_use": true});
    assert_eq!(choice(named, Some(false)), (single, 2));
    assert_eq!(choice(allowed(true), None), (json!({"type": "any"}), 1));
    assert_eq!(choice(allowed(false), None), (json!({"type": "auto"}), 1));
}

#[test]
fn edge_42_a_choice_without_tools_is_dropped() {
    let (written, dropped) =
        changed(&asking(json!({})), |request| request.tool_choice = Some(ToolChoice::Required));
    assert_eq!((&written["tool_choice"], &written["tools"]), (&Value::Null, &Value::Null));
    assert_eq!(dropped, ["tool_choice"]);
}

#[test]
fn calls_in_the_history_need_tools() {
    let (written, _) = written(&talking(
        json!([{"role": "user", "content": "go"}, {"role": "assistant", "content": [call("a")]},
        {"role": "user", "content": [result("a")]}]),
    ));
    assert_eq!(
        written["tools"],
        json!([{"name": "f", "input_schema": {"type": "object", "properties": {}}}])
    );
    assert_eq!(written["tool_choice"], json!({"type": "none"}));
}

#[test]
fn trap_32_and_36_schemas_say_what_they_are() {
    let tool = |name: &str, schema: Value| json!({"name": name, "input_schema": schema});
    let tools = json!([tool("a", json!({})), tool("b", json!({"properties": {"x": {}}})), {"name": "c"}, tool("d", json!({"type": "object"}))]);
    let (written, _) = changed(&asking(json!({"tools": tools})), |request| {
        request.tools[3].custom = true;
    });
    let schema = |nth: usize| written["tools"][nth]["input_schema"].clone();
    let nothing = json!({"type": "object", "properties": {}});
    assert_eq!((schema(0), schema(2)), (nothing.clone(), nothing));
    assert_eq!(schema(1), json!({"type": "object", "properties": {"x": {}}}));
    assert_eq!(schema(3)["required"], json!(["input"]));
}

#[test]
fn trap_61_and_62_images_have_a_known_type() {
    let kind = |media_type: Option<&'static str>, data: &'static str| {
        let image = Media {
            source: Source::Base64(Text::literal(data)),
            media_type: media_type.map(Text::literal),
            name: None,
            detail: Some(Text::literal("high")),
        };
        let (written, dropped) = changed(&asking(json!({})), |request| {
            request.messages[0].parts.push(PartKind::Image(image).into());
        });
        assert_eq!(dropped, ["messages.content.image_url.detail"]);
        written["messages"][0]["content"][1]["source"]["media_type"].as_str().unwrap().to_owned()
    };
    assert_eq!(kind(Some("image/jpg"), "AAAA"), "image/jpeg");
    assert_eq!(kind(Some("Image/PNG; charset=utf-8"), "AAAA"), "image/png");
    assert_eq!(kind(None, "R0lGODlh"), "image/gif");
    assert_eq!(kind(Some("application/octet-stream"), "UklGRg"), "image/webp");
    assert_eq!(kind(Some("image/heic"), "AAAA"), "image/heic");
}

#[test]
fn trap_60_63_and_64_media_without_a_place_are_noted() {
    let media = |source: Source<'static>, media_type: Option<&'static str>| Media {
        source,
        media_type: media_type.map(Text::literal),
        name: None,
        detail: None,
    };
    let (written, dropped) = changed(&asking(json!({})), |request| {
        let parts = &mut request.messages[0].parts;
        let url = |url| Source::Url(Text::literal(url));
        parts.push(PartKind::Image(media(url("gs://bucket/a.png"), None)).into());
        parts.push(PartKind::Audio(media(Source::Base64(Text::literal("AAAA")), Some("audio/wav"))).into());
        parts.push(PartKind::Video(media(url("https://example.com/v.mp4"), None)).into());
        parts.push(PartKind::Document(media(Source::Base64(Text::literal("AAAA")), Some("text/csv"))).into());
        parts.push(PartKind::Document(media(Source::Base64(Text::literal("JVBERi0")), None)).into());
    });
    let names = ["image_url", "input_audio", "video", "file"].map(|name| format!("messages.content.{name}"));
    assert_eq!(dropped, names);
    let pdf = json!({"type": "base64", "media_type": "application/pdf", "data": "JVBERi0"});
    assert_eq!(written["messages"][0]["content"][1], json!({"type": "document", "source": pdf}));
}

#[test]
fn trap_71_thoughts_of_others_are_left_behind() {
    let (written, dropped) =
        messages(json!([{"role": "user", "content": "a"}, {"role": "assistant", "content": [
        {"type": "thinking", "thinking": "own", "signature": "EqMB"},
        {"type": "thinking", "thinking": "unsigned", "signature": ""},
        {"type": "thinking", "thinking": "", "signature": "gAAAAABo"},
        {"type": "text", "text": "b"}]}, {"role": "user", "content": "c"}]));
    assert_eq!(
        written[1]["content"],
        json!([{"type": "thinking", "thinking": "own", "signature": "EqMB"}, {"type": "text", "text": "b"}])
    );
    assert_eq!(dropped, ["messages.reasoning_content"]);
}

#[test]
fn trap_77_the_last_four_breakpoints_are_written() {
    let hint = json!({"type": "ephemeral"});
    let text = |text: &str| json!({"type": "text", "text": text, "cache_control": hint});
    let body = asking(
        json!({"system": [text("s")], "tools": [{"name": "f", "input_schema": {"type": "object"}, "cache_control": hint}],
        "messages": [{"role": "user", "content": [text("a"), text("b"), {"type": "text", "text": "c", "cache_control": {"type": "ephemeral", "ttl": "1h"}}, text("d")]}]}),
    );
    let (written, dropped) = written(&body);
    assert_eq!(dropped, ["cache_control"]);
    assert_eq!(written["tools"][0].get("cache_control"), None);
    assert_eq!(written["system"], json!([{"type": "text", "text": "s"}]));
    let content = written["messages"][0]["content"].as_array().unwrap();
    let hints: Vec<_> = content.iter().map(|block| block["cache_control"]["type"].as_str()).collect();
    assert_eq!(hints, [Some("ephemeral"); 4]);
    assert_eq!(content[2]["cache_control"]["ttl"], "1h");
}
