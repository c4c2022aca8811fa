//! OpenAI's Responses: streams.

#[path = "support/responses.rs"]
mod responses;

use responses::{Said, case, cases_with, checked, context, decode, encode, frames, recode};
use serde_json::{Value, json};
use sluice_dialects::exchange::{ApiError, ErrorClass, Event, Finish, Raw, Text};
use sluice_dialects::json::Doc;
use sluice_dialects::wire::{Frame, Wire};
use sluice_types::Usage;

fn text(text: &str) -> Event<'static> {
    Event::Text { choice: 0, text: Text::plain(text) }
}

fn thinking(text: &str) -> Event<'static> {
    Event::Thinking { choice: 0, text: Text::plain(text) }
}

fn signature(text: &str) -> Event<'static> {
    Event::Signature { choice: 0, signature: Text::plain(text) }
}

fn tool(tool: u32, name: &str) -> Event<'static> {
    let (id, name) = (Text::plain(&format!("call_{tool}")), Text::plain(name));
    Event::ToolStart { choice: 0, tool, id, name, custom: false, signature: None }
}

fn arguments(tool: u32, fragment: &str) -> Event<'static> {
    Event::ToolArguments { choice: 0, tool, fragment: Text::plain(fragment) }
}

fn finish(finish: Finish) -> Event<'static> {
    Event::Finish { choice: 0, finish, stop_sequence: None }
}

/// The response in the last event.
fn last_response(stream: &[u8]) -> Value {
    let (_, data) = frames(stream).pop().expect("an event");
    serde_json::from_str::<Value>(&data).expect("JSON")["response"].take()
}

#[test]
fn streams_say_what_whole_answers_say() {
    let names = cases_with("answer.json");
    assert!(names.len() >= 15);
    for name in names {
        let body = case(&name, "answer.json");
        let doc = Doc::parse(&body).unwrap();
        let whole = Said::by_answer(&responses::WIRE.read_answer(&doc).unwrap());
        assert_eq!(Said::by_stream(&case(&name, "stream.sse")), whole, "{name}");
    }
}

#[test]
fn what_is_written_can_be_read_back_and_is_well_formed() {
    for name in cases_with("stream.sse") {
        let stream = case(&name, "stream.sse");
        let own = recode(&stream);
        checked(&own);
        assert_eq!(Said::by_stream(&own), Said::by_stream(&stream), "{name}");
    }
}

#[test]
fn a_text_has_all_events_in_order() {
    let stream = encode(&[
        Event::Start { id: Some(Text::literal("msg_of_another")), model: Some(Text::literal("m")) },
        text("Hel"),
        text("lo"),
        Event::Usage(Usage { input: 5, cached_input: 2, output: 3, reasoning: 1, ..Usage::default() }),
        finish(Finish::Stop),
        Event::End,
    ]);
    assert_eq!(
        checked(&stream),
        [
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.content_part.added",
            "response.output_text.delta",
            "response.output_text.delta",
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.completed",
        ]
    );
    let response = last_response(&stream);
    assert_eq!(response["id"], "resp_0123abcd");
    assert_eq!(response["model"], "my-model");
    assert_eq!(response["created_at"], 1_760_000_000);
    assert_eq!(response["output"][0]["content"][0]["text"], "Hello");
    let usage = json!({
        "input_tokens": 5, "input_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 0},
        "output_tokens": 3, "output_tokens_details": {"reasoning_tokens": 1}, "total_tokens": 8,
    });
    assert_eq!(response["usage"], usage);
}

#[test]
fn trap_28_interleaved_tools_are_written_one_after_another() {
    let stream = encode(&[
        text("Wait."),
        tool(0, "a"),
        arguments(0, "{\"x\""),
        tool(1, "b"),
        arguments(1, "{\"y\":"),
        arguments(0, ":1}"),
        tool(2, "c"),
        arguments(2, "{}"),
        arguments(1, "2}"),
        text("Done."),
        finish(Finish::ToolCalls),
        Event::End,
    ]);
    checked(&stream);
    let said = Said::by_stream(&stream);
    assert_eq!(
        said.parts,
        [
            "text: Wait.",
            "call call_0 a false: {\"x\":1}",
            "call call_1 b false: {\"y\":2}",
            "call call_2 c false: {}",
            "text: Done."
        ]
    );
    assert_eq!(said.finish, Some(Finish::ToolCalls));
}

#[test]
fn edge_41_tools_that_never_end_or_have_no_arguments() {
    let stream = encode(&[tool(0, "a"), tool(1, "b"), arguments(1, "{\"half\":"), text("!"), Event::End]);
    checked(&stream);
    let said = Said::by_stream(&stream);
    // No arguments are an empty object; invalid ones stay as the model wrote them.
    assert_eq!(said.parts, ["call call_0 a false: {}", "call call_1 b false: {\"half\":", "text: !"]);
    let ended = encode(&[
        tool(0, "a"),
        Event::ToolEnd { choice: 0, tool: 0 },
        arguments(0, "late"),
        arguments(7, "of nobody"),
        Event::End,
    ]);
    checked(&ended);
    assert_eq!(Said::by_stream(&ended).parts, ["call call_0 a false: {}"]);
}

#[test]
fn trap_32_custom_tools_have_events_of_their_own() {
    let kinds = checked(&recode(&case("custom-tool", "stream.sse")));
    assert!(kinds.iter().any(|kind| kind == "response.custom_tool_call_input.delta"));
    assert!(kinds.iter().any(|kind| kind == "response.custom_tool_call_input.done"));
}

#[test]
fn trap_71_thoughts_keep_their_proofs() {
    let stream = encode(&[
        thinking("One"),
        thinking(" two"),
        signature("proof"),
        thinking("three"),
        Event::RedactedThinking { choice: 0, data: Text::literal("secret") },
        thinking(""),
        signature("alone"),
        Event::ToolStart {
            choice: 0,
            tool: 0,
            id: Text::literal("call_0"),
            name: Text::literal("f"),
            custom: false,
            signature: Some(Text::literal("of the call")),
        },
        Event::End,
    ]);
    checked(&stream);
    let output = last_response(&stream)["output"].take();
    let proofs: Vec<_> =
        output.as_array().unwrap().iter().map(|item| item["encrypted_content"].clone()).collect();
    assert_eq!(
        proofs,
        [
            json!("proof"),
            Value::Null,
            json!("redacted_thinking:secret"),
            json!("alone"),
            json!("tool_signature:of the call"),
            Value::Null
        ]
    );
    assert_eq!(output[0]["summary"], json!([{"type": "summary_text", "text": "One two"}]));
    assert_eq!(output[3]["summary"], json!([]));
    // The client sends its output back as input.
    let body = json!({"model": "m", "input": output}).to_string();
    responses::with_request(body.as_bytes(), |request, dropped| {
        assert!(dropped.is_empty(), "{dropped:?}");
        let parts = format!("{:?}", request.messages[0].parts);
        assert!(parts.contains(r#"Thinking { text: "One two", signature: Some("proof") }"#), "{parts}");
        assert!(parts.contains(r#"RedactedThinking("secret")"#), "{parts}");
        assert!(parts.contains(r#"Thinking { text: "", signature: Some("alone") }"#), "{parts}");
        assert!(parts.contains(r#"signature: Some("of the call"), custom: false"#), "{parts}");
    });
}

#[test]
fn trap_72_an_error_is_told_in_both_ways() {
    let error = ApiError { class: ErrorClass::Overloaded, ..ApiError::of_status(529, "Overloaded \"now\"") };
    let stream = encode(&[text("Once"), Event::Error(error), text("upon"), Event::End]);
    let kinds = checked(&stream);
    assert_eq!(kinds[kinds.len() - 2..], ["error", "response.failed"]);
    let (_, data) = frames(&stream).swap_remove(kinds.len() - 2);
    let event: Value = serde_json::from_str(&data).unwrap();
    assert_eq!((&event["code"], &event["param"]), (&json!("server_is_overloaded"), &Value::Null));
    let expected = json!({"code": "server_is_overloaded", "message": "Overloaded \"now\""});
    assert_eq!(last_response(&stream)["error"], expected);
    // Before anything was sent, it begins all the same.
    checked(&encode(&[Event::Error(ApiError::of_status(500, "no"))]));
}

#[test]
fn trap_78_reasons_to_finish() {
    for (reason, status, details) in [
        (Finish::Stop, "completed", Value::Null),
        (Finish::StopSequence, "completed", Value::Null),
        (Finish::ToolCalls, "completed", Value::Null),
        (Finish::Pause, "completed", Value::Null),
        (Finish::Length, "incomplete", json!({"reason": "max_output_tokens"})),
        (Finish::ContentFilter, "incomplete", json!({"reason": "content_filter"})),
        (Finish::Refusal, "incomplete", json!({"reason": "content_filter"})),
        (Finish::Error, "failed", Value::Null),
    ] {
        let response = last_response(&encode(&[text("x"), finish(reason), finish(Finish::Stop), Event::End]));
        assert_eq!((&response["status"], &response["incomplete_details"]), (&json!(status), &details));
    }
    let words = Event::Refusal { choice: 0, text: Text::literal("No.") };
    let response = last_response(&encode(&[words, finish(Finish::Refusal), Event::End]));
    assert_eq!(response["status"], "completed");
    assert_eq!(response["output"][0]["content"], json!([{"type": "refusal", "refusal": "No."}]));
}

#[test]
fn an_empty_stream_still_ends() {
    assert_eq!(checked(&encode(&[Event::End])).len(), 3);
    assert!(encode(&[]).is_empty());
}

#[test]
fn other_choices_and_sounds_have_no_place() {
    let other = Event::Text { choice: 1, text: Text::literal("other") };
    let sound =
        Event::Media { choice: 0, media_type: Text::literal("audio/pcm"), data: Text::literal("AAAA") };
    let image =
        Event::Media { choice: 0, media_type: Text::literal("image/png"), data: Text::literal("iVBOR") };
    let stream = encode(&[text("a"), other, sound, image, text("b"), Event::End]);
    checked(&stream);
    let output = last_response(&stream)["output"].take();
    let kinds: Vec<_> =
        output.as_array().unwrap().iter().map(|item| item["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["message", "image_generation_call", "message"]);
    assert_eq!(output[1]["result"], "iVBOR");
}

#[test]
fn probabilities_come_with_the_text() {
    let token = json!({"token": "Hi", "bytes": [72, 105], "logprob": -0.1, "top_logprobs": []});
    let object = json!({"content": [token], "refusal": null}).to_string();
    let logprobs = || Event::Logprobs { choice: 0, logprobs: Raw::owned(object.clone().into_bytes()) };
    for events in [[logprobs(), text("Hi"), Event::End], [text("Hi"), logprobs(), Event::End]] {
        let stream = encode(&events);
        checked(&stream);
        assert_eq!(last_response(&stream)["output"][0]["content"][0]["logprobs"], json!([token]));
        let mut seen = 0;
        decode(&stream, &mut |event| {
            if let Event::Logprobs { logprobs, .. } = event {
                let read: Value = serde_json::from_slice(logprobs.as_bytes()).unwrap();
                assert_eq!(read["content"], json!([token]));
                seen += 1;
            }
        });
        assert_eq!(seen, 1);
    }
}

#[test]
fn halves_of_a_character_are_joined() {
    let half = |half| Event::Text { choice: 0, text: Text::escaped(half) };
    let stream = encode(&[half(br"\ud83d"), half(br"\udc4b"), Event::End]);
    let done = frames(&stream).into_iter().find(|(name, _)| name == "response.output_text.done").unwrap().1;
    assert!(done.contains(r#""text":"\ud83d\udc4b""#), "{done}");
}

#[test]
fn edge_29_frames_that_are_no_json_are_malformed() {
    let mut decoder = Wire::OpenaiResponses.decoder();
    let mut none = |event: Event<'_>| panic!("{event:?}");
    let mut frame = |data: &[u8]| decoder.frame(Frame { name: None, data }, &mut none);
    for data in [
        &b""[..],
        b"  ",
        b"[DONE]",
        b"{}",
        br#"{"type":"response.of_next_month","delta":"x"}"#,
        br#"{"type":5}"#,
    ] {
        assert_eq!(frame(data), Ok(()));
    }
    for data in [&b"<html>"[..], b"[1]", b"{\"type\":"] {
        assert!(frame(data).is_err());
    }
}

#[test]
fn servers_that_send_wholes_only_are_understood() {
    let item = |kind: &str, more: Value| {
        let mut item = json!({"id": "i", "type": kind});
        item.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        item
    };
    let message = item("message", json!({"content": [{"type": "output_text", "text": "Hi"}]}));
    let call = item("function_call", json!({"call_id": "c", "name": "f", "arguments": "{\"a\":1}"}));
    let thought =
        item("reasoning", json!({"summary": [], "content": [{"type": "reasoning_text", "text": "Hm"}]}));
    let event = |event: Value| format!("data: {event}\n\n");
    let end =
        event(json!({"type": "response.completed", "response": {"id": "resp_1", "status": "completed"}}));
    let done = |index: usize, item: &Value| {
        event(json!({"type": "response.output_item.done", "output_index": index, "item": item}))
    };
    let expected = ["thinking: Hm", "text: Hi", "call c f false: {\"a\":1}"];
    let items = [&thought, &message, &call];
    let in_items: String = items.iter().enumerate().map(|(index, item)| done(index, item)).collect();
    assert_eq!(Said::by_stream((in_items + &end).as_bytes()).parts, expected);
    let at_end = json!({"type": "response.completed", "response": {"id": "resp_1", "output": items}});
    let said = Said::by_stream(event(at_end).as_bytes());
    assert_eq!(
        (&said.parts[..], said.finish, said.ends),
        (&expected.map(String::from)[..], Some(Finish::ToolCalls), 1)
    );
}

#[test]
fn a_stream_that_is_cut_off_has_no_end() {
    let whole = case("text", "stream.sse");
    let cut = &whole[..whole.len() / 2];
    let cut = &cut[..cut.windows(2).rposition(|end| end == b"\n\n").unwrap() + 2];
    assert_eq!(Said::by_stream(cut).ends, 0);
    assert_eq!(context().id, "0123abcd");
}

#[test]
fn errors_in_streams_are_read_in_every_shape() {
    let read = |data: &str| {
        let mut found = None;
        let stream = format!("data: {data}\n\n");
        decode(stream.as_bytes(), &mut |event| {
            if let Event::Error(error) = event {
                found = Some((error.class, error.message));
            }
        });
        found.unwrap_or_else(|| panic!("{data}"))
    };
    let overloaded = (ErrorClass::Overloaded, "Busy.".to_owned());
    for data in [
        r#"{"type":"error","code":"server_is_overloaded","message":"Busy.","param":null,"sequence_number":2}"#,
        r#"{"type":"error","error":{"type":"server_error","code":"server_is_overloaded","message":"Busy."}}"#,
        r#"{"type":"response.failed","response":{"id":"r","error":{"code":"server_is_overloaded","message":"Busy."}}}"#,
    ] {
        assert_eq!(read(data), overloaded, "{data}");
    }
    let failed = read(r#"{"type":"response.failed","response":{"id":"r","error":null}}"#);
    assert_eq!(failed.0, ErrorClass::Server);
}
