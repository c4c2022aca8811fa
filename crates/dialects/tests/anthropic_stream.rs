//! Anthropic's dialect: streams, read and written.

#[path = "support/anthropic.rs"]
mod support;

use serde_json::{Value, json};
use sluice_dialects::anthropic::Encoder;
use sluice_dialects::exchange::{ApiError, Event, Finish, Text};
use sluice_dialects::wire::Encode;
use sluice_types::Usage;
use support::{accumulate, case, case_names, context, decode, decoded, encoded, frames};

fn text(text: &str) -> Event<'static> {
    Event::Text { choice: 0, text: Text::plain(text) }
}

fn thinking(text: &str) -> Event<'static> {
    Event::Thinking { choice: 0, text: Text::plain(text) }
}

fn signature(signature: &'static str) -> Event<'static> {
    Event::Signature { choice: 0, signature: Text::literal(signature) }
}

fn tool(tool: u32, id: &'static str) -> Event<'static> {
    let (id, name) = (Text::literal(id), Text::literal("f"));
    Event::ToolStart { choice: 0, tool, id, name, custom: false, signature: None }
}

fn arguments(tool: u32, fragment: &str) -> Event<'static> {
    Event::ToolArguments { choice: 0, tool, fragment: Text::plain(fragment) }
}

fn finish(finish: Finish) -> Event<'static> {
    Event::Finish { choice: 0, finish, stop_sequence: None }
}

fn message(events: &[Event<'_>]) -> Value {
    accumulate(&encoded(events))
}

/// A stream, decoded and encoded again, as a client puts it together.
fn through(stream: &str) -> Value {
    let mut encoder = Encoder::new(context());
    let mut out = Vec::new();
    decode(stream, &mut |event| encoder.event(&event, &mut out)).expect("a good stream");
    accumulate(&frames(&out))
}

#[test]
fn every_case_comes_through_as_its_whole_answer() {
    let mut seen = 0;
    for name in case_names() {
        let (Some(stream), Some(answer)) = (case(&name, "stream.sse"), case(&name, "answer.json")) else {
            continue;
        };
        let answer: Value = serde_json::from_str(&answer).unwrap();
        let message = through(&stream);
        for member in ["id", "content", "stop_reason", "stop_sequence"] {
            assert_eq!(message[member], answer[member], "{name}");
        }
        for count in ["input_tokens", "cache_read_input_tokens", "cache_creation", "output_tokens"] {
            assert_eq!(message["usage"][count], answer["usage"][count], "{name}");
        }
        assert_eq!((&message["model"], &message["stopped"]), (&json!("alias"), &json!(true)), "{name}");
        seen += 1;
    }
    assert!(seen >= 14, "only {seen}");
}

#[test]
fn trap_28_calls_are_numbered_among_themselves() {
    let printed = decoded(&case("tool-single", "stream.sse").unwrap()).join("\n");
    assert!(
        printed.contains("ToolStart { choice: 0, tool: 0, id: \"toolu_01NRLabsLyVHZPKxbKvkfSMn\""),
        "{printed}"
    );
    let printed = decoded(&case("tools-parallel", "stream.sse").unwrap()).join("\n");
    assert!(printed.contains("tool: 2, id: \"toolu_01e\""), "{printed}");
    assert_eq!(printed.matches("ToolEnd").count(), 3);
}

#[test]
fn trap_29_and_30_an_empty_start_is_no_fragment() {
    let printed = decoded(&case("tool-no-arguments", "stream.sse").unwrap()).join("\n");
    assert!(!printed.contains("ToolArguments"), "{printed}");
    // Whole arguments in the start count where no fragment follows.
    let start = r#"data: {"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"a","name":"f","input":{"x":1}}}"#;
    let delta = r#"data: {"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{}"}}"#;
    let stop = r#"data: {"type":"content_block_stop","index":0}"#;
    let fragment = |lines: &[&str]| decoded(&lines.join("\n\n"))[1].clone();
    assert!(fragment(&[start, stop]).contains(r#"fragment: "{\"x\":1}""#));
    assert!(fragment(&[start, delta, stop]).contains(r#"fragment: "{}""#));
}

#[test]
fn trap_37_truncated_arguments_stay_as_they_are() {
    let message = through(&case("tool-invalid-arguments", "stream.sse").unwrap());
    assert_eq!(message["content"][0]["input"], "{\"city\": \"Llanfairpwll");
    assert_eq!(message["stop_reason"], "max_tokens");
}

#[test]
fn trap_67_usage_is_cumulative() {
    let printed = decoded(&case("usage-cache-reasoning", "stream.sse").unwrap());
    let usage: Vec<_> = printed.iter().filter(|event| event.starts_with("Usage")).collect();
    assert!(usage[0].contains("input: 1811") && usage[0].contains("output: 1,"), "{usage:?}");
    assert!(usage[1].contains("input: 1811") && usage[1].contains("output: 84"), "{usage:?}");
    assert!(usage[1].contains("cache_write_1h: 200") && usage[1].contains("reasoning: 40"), "{usage:?}");
}

#[test]
fn trap_72_an_error_ends_the_stream() {
    let stream = case("error-in-stream", "stream.sse").unwrap();
    let printed = decoded(&(stream.clone() + &case("text", "stream.sse").unwrap()));
    assert!(printed.last().unwrap().contains("status: 529, class: Overloaded"), "{printed:?}");
    let message = through(&stream);
    assert_eq!(message["error"], json!({"type": "overloaded_error", "message": "Overloaded"}));
    assert_eq!(encoded(&[Event::Error(ApiError::of_status(429, "slow")), Event::End]).len(), 1);
}

#[test]
fn edge_07_the_end_is_told_if_there_was_a_reason() {
    let stream = case("text", "stream.sse").unwrap();
    let cut = stream.rsplit_once("event: message_stop").unwrap().0;
    assert_eq!(decoded(cut).last().unwrap(), "End");
    let cut = stream.rsplit_once("event: message_delta").unwrap().0;
    assert!(decoded(cut).last().unwrap().starts_with("Text"));
    let doubled = stream.clone() + &stream;
    assert_eq!(decoded(&doubled).iter().filter(|event| *event == "End").count(), 1);
}

#[test]
fn edge_26_data_of_no_object_is_malformed() {
    for stream in ["event: message_start\ndata: <html>", "data: {\"type\":\"message_start\""] {
        assert!(decode(stream, &mut |_| {}).is_err(), "{stream}");
    }
    assert_eq!(
        decoded("event: new_kind\ndata: {\"type\":\"new_kind\"}\n\nevent: ping\ndata: {\"type\": \"ping\"}"),
        [""; 0]
    );
}

#[test]
fn trap_70_blocks_are_opened_and_closed_once() {
    let events = [
        Event::Start { id: Some(Text::literal("msg_1")), model: None },
        thinking("h"),
        thinking("m"),
        signature("s1"),
        signature("s2"),
        text("a"),
        text("b"),
        tool(0, "t"),
        arguments(0, "{\"x\":"),
        arguments(0, "1}"),
        finish(Finish::ToolCalls),
        Event::Usage(Usage { input: 5, output: 2, ..Usage::default() }),
        Event::End,
        Event::End,
    ];
    let names: Vec<_> = encoded(&events).into_iter().map(|(name, _)| name).collect();
    let block = |deltas: usize| {
        [vec!["content_block_start"], vec!["content_block_delta"; deltas], vec!["content_block_stop"]]
            .concat()
    };
    let expected =
        [vec!["message_start"], block(3), block(2), block(2), vec!["message_delta", "message_stop"]].concat();
    assert_eq!(names, expected);
    let message = message(&events);
    assert_eq!(
        message["content"],
        json!([{"type": "thinking", "thinking": "hm", "signature": "s1s2"}, {"type": "text", "text": "ab"},
            {"type": "tool_use", "id": "t", "name": "f", "input": {"x": 1}}])
    );
    assert_eq!((&message["id"], &message["stop_reason"]), (&json!("msg_1"), &json!("tool_use")));
    assert_eq!(
        (&message["usage"]["input_tokens"], &message["usage"]["output_tokens"]),
        (&json!(5), &json!(2))
    );
}

#[test]
fn interleaved_calls_are_written_one_after_the_other() {
    let events = [
        tool(0, "a"),
        arguments(0, "{\"s\":\"}"),
        tool(1, "b"),
        arguments(1, "{\"y\":"),
        text("behind"),
        arguments(0, "\"}"),
        arguments(1, "2}"),
        arguments(0, " "),
        tool(2, ""),
        Event::ToolEnd { choice: 0, tool: 1 },
        finish(Finish::ToolCalls),
        Event::End,
    ];
    assert_eq!(
        message(&events)["content"],
        json!([{"type": "tool_use", "id": "a", "name": "f", "input": {"s": "}"}},
            {"type": "tool_use", "id": "b", "name": "f", "input": {"y": 2}}, {"type": "text", "text": "behind"},
            {"type": "tool_use", "id": "toolu_0f1e_2", "name": "f", "input": {}}])
    );
    // What can be written is, before the end.
    assert_eq!(encoded(&events[..6]).last().unwrap().0, "content_block_delta");
}

#[test]
fn edge_09_and_14_ends_are_legal_whatever_came() {
    let empty = message(&[Event::End]);
    assert_eq!((&empty["content"], &empty["stop_reason"]), (&json!([]), &json!("end_turn")));
    assert_eq!((&empty["id"], &empty["usage"]["output_tokens"]), (&json!("msg_0f1e"), &json!(0)));
    let twice = message(&[text("a"), finish(Finish::Length), finish(Finish::Stop), Event::End]);
    assert_eq!(twice["stop_reason"], "max_tokens");
    let unfinished = message(&[tool(0, "a"), arguments(0, "{}"), Event::End]);
    assert_eq!((&unfinished["stop_reason"], &unfinished["stopped"]), (&json!("tool_use"), &json!(true)));
    assert_eq!(encoded(&[Event::Start { id: None, model: None }]), []);
    let late = [finish(Finish::Stop), text("late"), Event::End];
    assert_eq!(message(&late)["content"][0]["text"], "late");
    let other = [Event::Text { choice: 1, text: Text::literal("x") }, text(""), Event::End];
    assert_eq!(message(&other)["content"], json!([]));
}

#[test]
fn usage_that_is_known_stands_in_the_start() {
    let events = [Event::Usage(Usage { input: 9, cached_input: 4, ..Usage::default() }), text("a")];
    let usage = encoded(&events)[0].1["message"]["usage"].clone();
    assert_eq!((&usage["input_tokens"], &usage["cache_read_input_tokens"]), (&json!(5), &json!(4)));
}

#[test]
fn trap_10_refusals_are_shown_and_explained() {
    let refusal = |text| Event::Refusal { choice: 0, text: Text::literal(text) };
    let alone = message(&[refusal("I "), refusal("won't."), finish(Finish::Refusal), Event::End]);
    assert_eq!(alone["content"], json!([{"type": "text", "text": "I won't."}]));
    assert_eq!(alone["stop_details"]["explanation"], "I won't.");
    assert_eq!(alone["stop_reason"], "refusal");
    let both = message(&[text("So"), refusal("no"), finish(Finish::Refusal), Event::End]);
    assert_eq!(both["content"].as_array().unwrap().len(), 1);
}

#[test]
fn trap_32_and_71_custom_calls_and_signatures() {
    let start = Event::ToolStart {
        choice: 0,
        tool: 0,
        id: Text::literal("c"),
        name: Text::literal("sh"),
        custom: true,
        signature: Some(Text::literal("S=")),
    };
    let list =
        [start, arguments(0, "echo \"a\\n"), arguments(0, "\"\n"), finish(Finish::ToolCalls), Event::End];
    let message = message(&list);
    assert_eq!(message["content"][0], json!({"type": "thinking", "thinking": "", "signature": "tool:S="}));
    assert_eq!(message["content"][1]["input"], json!({"input": "echo \"a\\n\"\n"}));
}

#[test]
fn thoughts_that_are_not_shown_keep_their_place() {
    let data = Text::literal("Emw");
    let list =
        [signature("s"), Event::RedactedThinking { choice: 0, data }, thinking("t"), text("a"), Event::End];
    assert_eq!(
        message(&list)["content"],
        json!([{"type": "thinking", "thinking": "", "signature": "s"}, {"type": "redacted_thinking", "data": "Emw"},
            {"type": "thinking", "thinking": "t", "signature": ""}, {"type": "text", "text": "a"}])
    );
}

#[test]
fn trap_44_the_call_that_stands_in_for_a_format_is_text() {
    let stream =
        case("tool-single", "stream.sse").unwrap().replace("\"get_weather\"", "\"sluice_answer_format\"");
    let message = through(&stream);
    assert_eq!(
        message["content"],
        json!([{"type": "text", "text": "Let me check Oslo.{\"city\": \"Oslo\"}"}])
    );
    assert_eq!(message["stop_reason"], "end_turn");
}
