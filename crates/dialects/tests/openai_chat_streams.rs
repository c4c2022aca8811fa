//! Streams of chat completions.

use serde_json::{Value, json};
use sluice_dialects::exchange::{ApiError, ErrorClass, Event, Finish, Text};
use sluice_dialects::sse::{Data, events};
use sluice_dialects::wire::{AnswerContext, Frame, Malformed, Wire};
use sluice_types::Usage;

/// The events of a stream, as they print.
fn decode(stream: &str) -> Result<Vec<String>, Malformed> {
    let mut decoder = Wire::OpenaiChat.decoder();
    let mut found = Vec::new();
    for event in events(stream.as_bytes()) {
        let Data::Line(data) = event.data() else { continue };
        decoder.frame(Frame { name: event.name, data }, &mut |event| found.push(short(&event)))?;
    }
    decoder.end(&mut |event| found.push(short(&event)));
    Ok(found)
}

fn short(event: &Event<'_>) -> String {
    match event {
        Event::Start { id, model } => format!("start {id:?} {model:?}"),
        Event::Text { choice, text } => format!("text {choice} {text:?}"),
        Event::Thinking { text, .. } => format!("thinking {text:?}"),
        Event::Signature { signature, .. } => format!("signature {signature:?}"),
        Event::RedactedThinking { data, .. } => format!("redacted {data:?}"),
        Event::Refusal { text, .. } => format!("refusal {text:?}"),
        Event::ToolStart { choice, tool, id, name, custom, .. } => {
            format!("tool {choice}.{tool} {id:?} {name:?}{}", if *custom { " custom" } else { "" })
        }
        Event::ToolArguments { tool, fragment, .. } => format!("arguments {tool} {fragment:?}"),
        Event::Media { media_type, data, .. } => format!("media {media_type:?} {data:?}"),
        Event::Logprobs { choice, logprobs } => format!("logprobs {choice} {logprobs:?}"),
        Event::Finish { choice, finish, .. } => format!("finish {choice} {finish:?}"),
        Event::Usage(usage) => format!("usage {} {}", usage.input, usage.output),
        Event::Error(error) => format!("error {} {:?} {}", error.status, error.class, error.message),
        other => format!("{other:?}"),
    }
}

/// A stream of chunks with these deltas, each a whole choice where it has an index.
fn stream(chunks: &[Value]) -> String {
    let chunk = |choice: &Value| {
        let choice =
            if choice.get("index").is_some() { choice.clone() } else { json!({"index": 0, "delta": choice}) };
        format!("data: {}\n\n", json!({"id": "c", "model": "m", "choices": [choice], "usage": null}))
    };
    chunks.iter().map(chunk).collect::<String>() + "data: [DONE]\n\n"
}

fn decoded(chunks: &[Value]) -> Vec<String> {
    let mut found = decode(&stream(chunks)).expect("a stream of the dialect");
    assert_eq!(found.remove(0), "start Some(\"c\") Some(\"m\")");
    assert_eq!(found.pop().as_deref(), Some("End"));
    found
}

#[test]
fn text_thinking_and_refusals_are_read() {
    let found = decoded(&[
        json!({"role": "assistant", "content": "", "refusal": null}),
        json!({"reasoning_content": "hm", "content": null}),
        json!({"reasoning": "so", "reasoning_details": [{"type": "reasoning.text", "text": "so", "index": 0}]}),
        json!({"reasoning_details": [{"type": "reasoning.text", "signature": "s"}, {"type": "reasoning.encrypted", "data": "d"}]}),
        json!({"thinking_blocks": [{"type": "thinking", "thinking": "", "signature": "t"}]}),
        json!({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "mistral"}]}, {"type": "text", "text": "a"}]}),
        json!({"content": "b"}),
        json!({"refusal": "no"}),
        json!({"index": 0, "delta": {"content": "c"}, "finish_reason": "model_length"}),
    ]);
    let expected = [
        "thinking \"hm\"",
        "thinking \"so\"",
        "signature \"s\"",
        "redacted \"d\"",
        "signature \"t\"",
        "thinking \"mistral\"",
        "text 0 \"a\"",
        "text 0 \"b\"",
        "refusal \"no\"",
        "text 0 \"c\"",
        "finish 0 Length",
    ];
    assert_eq!(found, expected);
}

#[test]
fn tools_are_told_apart() {
    let start = |index, id: &str, name: &str| json!({"tool_calls": [{"index": index, "id": id, "function": {"name": name, "arguments": ""}}]});
    let more = |index, text: &str| json!({"tool_calls": [{"index": index, "function": {"arguments": text}}]});
    let end = json!({"index": 0, "delta": {}, "finish_reason": "stop"});
    let found = decoded(&[
        start(0, "a", "f"),
        more(0, "{"),
        start(1, "b", "g"),
        more(1, "{}"),
        more(0, "}"),
        end.clone(),
    ]);
    let expected = [
        "tool 0.0 \"a\" \"f\"",
        "arguments 0 \"{\"",
        "tool 0.1 \"b\" \"g\"",
        "arguments 1 \"{}\"",
        "arguments 0 \"}\"",
        "finish 0 ToolCalls",
    ];
    assert_eq!(found, expected);
    // All with one index, but other ids; the id and the name repeated.
    let found = decoded(&[
        start(0, "a", "f"),
        start(0, "a", "f"),
        more(0, "1"),
        start(0, "b", "g"),
        more(0, "2"),
        end.clone(),
    ]);
    assert_eq!(
        found[..4],
        ["tool 0.0 \"a\" \"f\"", "arguments 0 \"1\"", "tool 0.1 \"b\" \"g\"", "arguments 1 \"2\""]
    );
    // Without an index and an id, a name that comes late, an object, and a custom tool.
    let odd = [
        json!({"tool_calls": [{"function": {"arguments": "{\"a"}}]}),
        json!({"tool_calls": [{"function": {"name": "f", "arguments": "\":1}"}}]}),
        json!({"tool_calls": [{"index": 1, "id": "c", "function": {"name": "g", "arguments": {"x": 1}}}]}),
        json!({"tool_calls": [{"index": 2, "id": "d", "type": "custom", "custom": {"name": "h", "input": "free"}}]}),
        json!({"tool_calls": [{"index": 3, "id": "e", "function": null}]}),
    ];
    let expected = [
        "tool 0.0 \"call_0\" \"f\"",
        "arguments 0 \"{\\\"a\"",
        "arguments 0 \"\\\":1}\"",
        "tool 0.1 \"c\" \"g\"",
        "arguments 1 \"{\\\"x\\\":1}\"",
        "tool 0.2 \"d\" \"h\" custom",
        "arguments 2 \"free\"",
    ];
    assert_eq!(decoded(&odd), expected);
    assert_eq!(
        decoded(&[json!({"function_call": {"name": "f"}}), json!({"function_call": {"arguments": "{}"}})])
            .len(),
        2
    );
}

#[test]
fn edge_09_and_10_a_choice_ends_once() {
    let end = |reason: Value| json!({"index": 0, "delta": {"content": ""}, "finish_reason": reason});
    let found = decoded(&[end(Value::Null), end(json!("stop")), end(json!("stop"))]);
    assert_eq!(found, ["finish 0 Stop"]);
    let refused = decoded(&[json!({"refusal": "no"}), end(json!("stop"))]);
    assert_eq!(refused.last().unwrap(), "finish 0 Refusal");
}

#[test]
fn edge_07_a_stream_ends_with_its_last_line_or_a_reason() {
    let whole = stream(&[json!({"index": 0, "delta": {"content": "x"}, "finish_reason": "stop"})]);
    let unended = whole.replace("data: [DONE]\n\n", "");
    assert_eq!(decode(&unended).unwrap().last().unwrap(), "End");
    let cut = stream(&[json!({"content": "x"})]).replace("data: [DONE]\n\n", "");
    assert_eq!(decode(&cut).unwrap().last().unwrap(), "text 0 \"x\"");
}

#[test]
fn trap_74_azure_begins_without_choices() {
    let first = json!({"id": "", "model": "", "choices": [], "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": {}}]});
    let offsets = json!({"choices": [{"index": 0, "delta": {}, "content_filter_offsets": {"check_offset": 1}, "finish_reason": null}]});
    let rest = stream(&[json!({"content": "x"})]);
    let found =
        decode(&format!("data: {first}\n\n{}data: {offsets}\n\n", rest.replace("data: [DONE]\n\n", "")))
            .unwrap();
    assert_eq!(found, ["start Some(\"c\") Some(\"m\")", "text 0 \"x\""]);
}

#[test]
fn errors_end_a_stream() {
    let error = |text: &str| decode(&format!("{text}\n\ndata: {{\"choices\":[]}}\n\n")).unwrap();
    let found =
        error(r#"data: {"error":{"message":"busy","type":"server_error","code":"server_is_overloaded"}}"#);
    assert_eq!(found, ["error 503 Overloaded busy"]);
    assert_eq!(error(r#"data: {"error":{"message":"m","code":429}}"#), ["error 429 RateLimit m"]);
    assert_eq!(error("event: error\ndata: {\"message\":\"m\"}"), ["error 502 Server m"]);
    assert_eq!(
        error("event: error\ndata: <html>"),
        ["error 502 Server The provider answered with status 502 and no explanation."]
    );
    assert!(decode("data: nonsense\n\n").is_err());
    assert_eq!(decode("data: {\"type\":\"message_start\"}\n\ndata: \n\n").unwrap(), [""; 0]);
}

#[test]
fn usage_is_read_wherever_it_is() {
    let usage = json!({"prompt_tokens": 3, "completion_tokens": 4});
    for chunk in [
        json!({"choices": [], "usage": usage}),
        json!({"choices": [], "x_groq": {"usage": usage}}),
        json!({"choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": null}], "usage": usage}),
    ] {
        assert_eq!(decode(&format!("data: {chunk}\n\n")).unwrap().last().unwrap(), "usage 3 4", "{chunk}");
    }
}

/// What the events are written as: the chunks, less what is the same in all.
fn encoded(include_usage: bool, events: &[Event<'_>]) -> Vec<Value> {
    let context = AnswerContext {
        id: "01".into(),
        model: "gpt-\"x\"".into(),
        created: 7,
        include_usage,
        json_array: false,
    };
    let mut encoder = Wire::OpenaiChat.encoder(context);
    let mut out = Vec::new();
    events.iter().for_each(|event| encoder.event(event, &mut out));
    let text = String::from_utf8(out).expect("text");
    let chunk = |frame: &str| {
        let data = frame.strip_prefix("data: ").expect("data only");
        let Ok(mut value) = serde_json::from_str::<Value>(data) else { return json!(data) };
        if value.get("error").is_none() {
            let head = [
                ("id", json!("chatcmpl-01")),
                ("object", json!("chat.completion.chunk")),
                ("created", json!(7)),
                ("model", json!("gpt-\"x\"")),
            ];
            for (name, expected) in head {
                assert_eq!(value.as_object_mut().expect("an object").remove(name), Some(expected));
            }
        }
        value
    };
    assert!(text.is_empty() || text.ends_with("\n\n"));
    text.split_terminator("\n\n").map(chunk).collect()
}

fn deltas(chunks: &[Value]) -> Vec<Value> {
    chunks
        .iter()
        .filter_map(|chunk| chunk.pointer("/choices/0/delta"))
        .filter(|delta| **delta != json!({}))
        .cloned()
        .collect()
}

fn tool_start(tool: u32, custom: bool) -> Event<'static> {
    let (id, name) = (Text::literal("a"), Text::literal("f"));
    Event::ToolStart { choice: 0, tool, id, name, custom, signature: None }
}

const FINISH: Event<'static> = Event::Finish { choice: 0, finish: Finish::Stop, stop_sequence: None };

fn words(text: &'static str) -> Event<'static> {
    Event::Text { choice: 0, text: Text::literal(text) }
}

#[test]
fn trap_65_to_69_first_role_then_usage_then_done_once() {
    let usage = |input, output| Event::Usage(Usage { input, output, ..Usage::default() });
    let start = Event::Start { id: None, model: None };
    let all =
        [start, usage(5, 1), words("hi"), FINISH, FINISH, usage(5, 2), Event::End, Event::End, words("late")];
    let chunks = encoded(true, &all);
    assert_eq!(
        chunks[0]["choices"][0],
        json!({"index": 0, "delta": {"role": "assistant", "content": ""}, "logprobs": null, "finish_reason": null})
    );
    assert_eq!(
        (&chunks[1]["choices"][0]["delta"], &chunks[1]["usage"]),
        (&json!({"content": "hi"}), &Value::Null)
    );
    assert_eq!(chunks[2]["choices"][0]["finish_reason"], "stop");
    assert_eq!(chunks[3]["choices"], json!([]));
    assert_eq!(chunks[3]["usage"]["total_tokens"], 7);
    assert_eq!(chunks[4..], [json!("[DONE]")]);
    let silent = encoded(false, &all);
    assert_eq!(silent.len(), 4);
    assert!(silent.iter().all(|chunk| chunk.get("usage").is_none()));
}

#[test]
fn an_end_without_a_reason_is_still_one() {
    let chunks = encoded(false, &[words("x"), Event::End]);
    assert_eq!(chunks[2]["choices"][0]["finish_reason"], "stop");
    let chunks = encoded(false, &[Event::End]);
    assert_eq!(chunks.len(), 3);
    let chunks = encoded(false, &[tool_start(0, false), Event::End]);
    assert_eq!(chunks[3]["choices"][0]["finish_reason"], "tool_calls");
}

#[test]
fn trap_15_and_28_tool_calls_keep_their_index_and_have_arguments() {
    let argument = |tool, text| Event::ToolArguments { choice: 0, tool, fragment: Text::literal(text) };
    let chunks = encoded(
        false,
        &[
            tool_start(0, false),
            tool_start(1, false),
            argument(1, "1"),
            tool_start(2, true),
            argument(2, "x"),
            Event::ToolEnd { choice: 0, tool: 0 },
            FINISH,
        ],
    );
    let calls: Vec<_> =
        deltas(&chunks).into_iter().skip(1).map(|delta| delta["tool_calls"][0].clone()).collect();
    assert_eq!(
        calls[0],
        json!({"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}})
    );
    assert_eq!(calls[2], json!({"index": 1, "function": {"arguments": "1"}}));
    assert_eq!(
        calls[3],
        json!({"index": 2, "id": "a", "type": "custom", "custom": {"name": "f", "input": ""}})
    );
    assert_eq!(calls[4], json!({"index": 2, "custom": {"input": "x"}}));
    assert_eq!(calls[5..], [json!({"index": 0, "function": {"arguments": "{}"}})]);
}

#[test]
fn trap_71_signatures_go_beside_the_text() {
    let chunks = encoded(
        false,
        &[
            Event::Thinking { choice: 0, text: Text::literal("hm") },
            Event::Signature { choice: 0, signature: Text::literal("s") },
            Event::RedactedThinking { choice: 0, data: Text::literal("d") },
            Event::Refusal { choice: 0, text: Text::literal("no") },
            Event::Media { choice: 0, media_type: Text::literal("image/png"), data: Text::literal("AA") },
            Event::Finish { choice: 0, finish: Finish::Refusal, stop_sequence: None },
        ],
    );
    let expected = [
        json!({"role": "assistant", "content": ""}),
        json!({"reasoning_content": "hm"}),
        json!({"thinking_blocks": [{"type": "thinking", "thinking": "", "signature": "s"}]}),
        json!({"thinking_blocks": [{"type": "redacted_thinking", "data": "d"}]}),
        json!({"refusal": "no"}),
        json!({"images": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}]}),
    ];
    assert_eq!(deltas(&chunks), expected);
    assert_eq!(chunks.last().unwrap()["choices"][0]["finish_reason"], "stop");
}

#[test]
fn trap_72_an_error_is_the_last_word() {
    let failed = ApiError { class: ErrorClass::Overloaded, ..ApiError::of_status(529, "Overloaded") };
    let chunks = encoded(true, &[words("x"), Event::Error(failed), FINISH, Event::End]);
    let error = json!({"error": {"message": "Overloaded", "type": "server_error", "param": null, "code": "server_is_overloaded"}});
    assert_eq!(chunks[2..], [error]);
}

#[test]
fn trap_78_reasons_to_finish() {
    let reason = |finish| {
        let stop_sequence = (finish == Finish::StopSequence).then_some(Text::literal("END"));
        let chunks = encoded(false, &[Event::Finish { choice: 1, finish, stop_sequence }]);
        chunks[1]["choices"][0].clone()
    };
    assert_eq!(reason(Finish::StopSequence)["stop_reason"], "END");
    assert_eq!(reason(Finish::Pause)["native_finish_reason"], "pause_turn");
    let names = [Finish::Stop, Finish::Length, Finish::ToolCalls, Finish::ContentFilter, Finish::Refusal]
        .map(|finish| reason(finish)["finish_reason"].clone());
    assert_eq!(names, ["stop", "length", "tool_calls", "content_filter", "content_filter"]);
}

#[test]
fn trap_78_a_failure_is_an_error_and_no_reason() {
    let failed = |choice| Event::Finish { choice, finish: Finish::Error, stop_sequence: None };
    let usage = Event::Usage(sluice_types::Usage { input: 3, output: 4, ..sluice_types::Usage::default() });
    let chunks = encoded(true, &[words("x"), failed(0), FINISH, usage, Event::End]);
    assert_eq!(chunks[2]["usage"]["completion_tokens"], 4);
    assert_eq!(chunks[3]["error"]["message"], "The provider failed to finish the answer.");
    assert_eq!(chunks.len(), 4);
    // Another choice may still be good.
    let good = Event::Finish { choice: 1, finish: Finish::Stop, stop_sequence: None };
    let chunks = encoded(false, &[failed(0), good, Event::End]);
    let ends: Vec<_> = chunks
        .iter()
        .map(|chunk| &chunk["choices"][0])
        .filter(|choice| !choice["finish_reason"].is_null())
        .map(|choice| (choice["index"].as_u64().unwrap(), choice["finish_reason"].as_str().unwrap()))
        .collect();
    assert_eq!(ends, [(1, "stop"), (0, "content_filter")]);
}
