//! Traps of translation that concern every writer of answers: one answer or stream, written for all clients.

mod support;

use serde_json::{Value, json};
use sluice_dialects::exchange::Event;
use sluice_dialects::json::Doc;
use sluice_dialects::wire::AnswerContext;
use sluice_dialects::wire::Wire::{self, Anthropic, Bedrock, Cohere, Gemini, OpenaiChat, OpenaiResponses};
use support::cases::{OwnFrame, context, frames, sse_frames};

const CLIENTS: [Wire; 6] = [OpenaiChat, OpenaiResponses, Anthropic, Gemini, Bedrock, Cohere];

fn each(check: impl Fn(Wire)) {
    CLIENTS.into_iter().for_each(check);
}

/// A whole answer for a client.
fn answer(from: Wire, body: &Value, to: Wire) -> Value {
    let body = body.to_string();
    let doc = Doc::parse(body.as_bytes()).expect("JSON");
    let mut out = Vec::new();
    to.write_answer(&from.read_answer(&doc).expect("an answer"), &context(), &mut out);
    serde_json::from_slice(&out).expect("JSON")
}

/// A stream for a client, in frames.
fn stream_with(from: Wire, stream: &str, to: Wire, context: AnswerContext) -> Vec<OwnFrame> {
    let (mut decoder, mut encoder, mut out) = (from.decoder(), to.encoder(context), Vec::new());
    let mut sink = |event: Event<'_>| encoder.event(&event, &mut out);
    for frame in sse_frames(stream.as_bytes()) {
        decoder.frame(frame.borrow(), &mut sink).expect("a frame");
    }
    decoder.end(&mut sink);
    frames(to, &out)
}

/// The data of a stream for a client, all of it.
fn stream(from: Wire, stream: &str, to: Wire) -> String {
    let frames = stream_with(from, stream, to, context());
    frames.iter().map(|frame| String::from_utf8_lossy(&frame.data).into_owned() + "\n").collect()
}

/// Events of a chat stream.
fn chunks(data: &[Value]) -> String {
    data.iter().map(|data| format!("data: {data}\n\n")).collect::<String>() + "data: [DONE]\n\n"
}

fn chunk(delta: Value, finish: Value) -> Value {
    json!({"id": "c", "model": "x", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})
}

fn call(index: u32, id: &str, arguments: &str) -> Value {
    let function = json!({"name": "f", "arguments": arguments});
    chunk(
        json!({"tool_calls": [{"index": index, "id": id, "type": "function", "function": function}]}),
        Value::Null,
    )
}

/// How often a piece of text stands in another.
fn count(text: &str, piece: &str) -> usize {
    text.matches(piece).count()
}

#[test]
fn trap_14_15_edge_41_arguments_of_whole_answers_are_what_the_dialect_wants() {
    let calls: Vec<_> = [("a", "{not"), ("b", "[1]"), ("c", "")]
        .map(|(id, arguments)| json!({"id": id, "type": "function", "function": {"name": "f", "arguments": arguments}}))
        .into();
    let body = json!({"id": "c", "model": "x", "choices": [{"index": 0, "finish_reason": "tool_calls",
        "message": {"role": "assistant", "content": null, "tool_calls": calls}}]});
    each(|client| {
        let text = answer(OpenaiChat, &body, client).to_string();
        let found = |pieces: [&str; 3]| pieces.iter().all(|piece| text.contains(piece));
        let is_right = match client {
            OpenaiChat | OpenaiResponses => found([r#":"{not""#, r#":"[1]""#, r#":"{}""#]),
            Cohere => found([r#"{\"input\":\"{not\"}"#, r#"{\"input\":\"[1]\"}"#, r#":"{}""#]),
            _ => found([r#"{"input":"{not"}"#, r#"{"input":"[1]"}"#, ":{}"]),
        };
        assert!(is_right, "{client:?}: {text}");
    });
}

/// Fragments are sent on as they come, so what they come to cannot be mended: a client of any dialect must be ready for
/// arguments that are cut off. Only Google's clients get calls whole, and theirs are objects.
#[test]
fn trap_14_15_37_edge_41_arguments_in_streams_stay_what_the_model_wrote() {
    let stream_of_calls = chunks(&[
        call(0, "a", "{\"a\": not"),
        call(1, "b", "[1,2]"),
        call(2, "c", ""),
        chunk(json!({}), json!("tool_calls")),
    ]);
    each(|client| {
        let text = stream(OpenaiChat, &stream_of_calls, client);
        if client == Gemini {
            for whole in [r#"{"input":"{\"a\": not"}"#, r#"{"input":"[1,2]"}"#, r#""args":{}"#] {
                assert!(text.contains(whole), "{text}");
            }
            return;
        }
        assert!(text.contains(r#""{\"a\": not""#) && text.contains(r#""[1,2]""#), "{client:?}: {text}");
        // No arguments are an empty object; Anthropic's clients take no fragment at all for that.
        assert_eq!(text.contains(r#""{}""#), client != Anthropic, "{client:?}: {text}");
        for frame in text.lines().filter(|line| *line != "[DONE]") {
            assert!(serde_json::from_str::<Value>(frame).is_ok(), "{client:?}: {frame}");
        }
    });
}

#[test]
fn trap_60_media_that_a_client_cannot_be_shown_are_not_an_empty_answer() {
    let part = json!({"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}});
    let body = |parts: &[&Value]| json!({"candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": "STOP", "index": 0}]});
    let (alone, beside) = (body(&[&part]), body(&[&json!({"text": "here"}), &part]));
    each(|client| {
        let shows = !matches!(client, Anthropic | Cohere);
        let words = |text: &str| text.contains("which this API cannot show");
        let whole = |body: &Value| answer(Gemini, body, client).to_string();
        let streamed = |body: &Value| stream(Gemini, &format!("data: {body}\n\n"), client);
        for text in [whole(&alone), streamed(&alone)] {
            assert_eq!((text.contains("iVBORw0KGgo"), words(&text)), (shows, !shows), "{client:?}: {text}");
        }
        for text in [whole(&beside), streamed(&beside)] {
            assert!(text.contains("here") && !words(&text), "{client:?}: {text}");
        }
    });
}

#[test]
fn trap_64_sound_has_its_transcript_beside_it() {
    let body = json!({"id": "c", "model": "x", "choices": [{"index": 0, "finish_reason": "stop", "message":
        {"role": "assistant", "content": null, "audio": {"id": "a", "data": "AAAA", "expires_at": 1, "transcript": "spoken"}}}]});
    each(|client| {
        let text = answer(OpenaiChat, &body, client).to_string();
        assert!(text.contains("spoken") && !text.contains("cannot show"), "{client:?}: {text}");
    });
}

const CLAUDE: &str = r#"event: message_start
data: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"c","content":[],"stop_reason":null,"usage":{"input_tokens":10,"cache_read_input_tokens":5,"output_tokens":1}}}

event: ping
data: {"type":"ping"}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hi"}}

event: content_block_stop
data: {"type":"content_block_stop","index":0}

event: content_block_start
data: {"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"toolu_1","name":"f","input":{}}}

event: content_block_delta
data: {"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{\"a\":1}"}}

event: content_block_stop
data: {"type":"content_block_stop","index":1}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"output_tokens":20}}

event: message_stop
data: {"type":"message_stop"}

"#;

#[test]
fn trap_28_29_30_66_calls_are_numbered_and_pings_and_empty_starts_are_nothing() {
    let text = stream(Anthropic, CLAUDE, OpenaiChat);
    assert!(text.contains(r#""tool_calls":[{"index":0,"id":"toolu_1""#), "{text}");
    assert_eq!((count(&text, "ping"), count(&text, r#""arguments":"{}""#)), (0, 0));
    assert_eq!(count(&text, r#""arguments":"{\"a\":1}""#), 1);
    each(|client| assert_eq!(count(&stream(Anthropic, CLAUDE, client), "ping"), 0, "{client:?}"));
}

#[test]
fn trap_67_68_edge_16_usage_comes_last_and_to_chat_clients_only_if_they_asked() {
    let asked = stream(Anthropic, CLAUDE, OpenaiChat);
    let usage = r#""choices":[],"usage":{"prompt_tokens":15,"completion_tokens":20,"total_tokens":35,"#;
    assert!(asked.contains(usage), "{asked}");
    let unasked =
        stream_with(Anthropic, CLAUDE, OpenaiChat, AnswerContext { include_usage: false, ..context() });
    for frame in unasked.iter().filter(|frame| frame.data != b"[DONE]") {
        let chunk: Value = serde_json::from_slice(&frame.data).expect("JSON");
        assert!(chunk["choices"][0].is_object() && chunk.get("usage").is_none(), "{chunk}");
    }
    for (client, usage) in [
        (OpenaiResponses, r#""usage":{"input_tokens":15"#),
        (Anthropic, r#""usage":{"input_tokens":10,"#),
        (Gemini, r#""promptTokenCount":15"#),
        (Bedrock, r#""usage":{"inputTokens":10,"outputTokens":20,"totalTokens":35,"#),
        (Cohere, r#""input_tokens":15"#),
    ] {
        let text = stream(Anthropic, CLAUDE, client);
        assert!(text.contains(usage), "{client:?}: {text}");
    }
}

#[test]
fn trap_65_69_70_edge_09_10_12_13_a_stream_begins_and_ends_once() {
    let mut parts = vec![chunk(json!({"role": "assistant", "content": "Hi"}), Value::Null)];
    parts.push(chunk(json!({"content": "!"}), Value::Null));
    parts.iter_mut().for_each(|part| part["usage"] = Value::Null);
    parts.push(chunk(json!({}), json!("stop")));
    parts.push(chunk(json!({}), json!("stop")));
    parts.push(json!({"id": "c", "choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}}));
    for (client, marks) in [
        (OpenaiChat, &[r#""role":"assistant""#, r#""finish_reason":"stop""#, "[DONE]"][..]),
        (
            OpenaiResponses,
            &[
                r#""type":"response.created""#,
                r#""type":"response.output_item.done""#,
                r#""type":"response.completed""#,
            ],
        ),
        (
            Anthropic,
            &[
                r#""type":"message_start""#,
                r#""type":"content_block_stop""#,
                r#""stop_reason":"end_turn""#,
                r#""type":"message_stop""#,
            ],
        ),
        (Gemini, &[r#""finishReason":"STOP""#, "promptTokenCount"]),
        (
            Bedrock,
            &[
                r#"{"role":"assistant"}"#,
                r#"{"contentBlockIndex":0}"#,
                r#""stopReason":"end_turn""#,
                r#""inputTokens":3"#,
            ],
        ),
        (
            Cohere,
            &[r#""type":"message-start""#, r#""type":"content-end""#, r#""type":"message-end""#, "[DONE]"],
        ),
    ] {
        let text = stream(OpenaiChat, &chunks(&parts), client);
        for mark in marks {
            assert_eq!(count(&text, mark), 1, "{client:?} {mark}: {text}");
        }
        assert!(text.contains("Hi") && text.contains('!'), "{client:?}: {text}");
    }
}

#[test]
fn trap_73_74_edge_04_05_06_padding_and_comments_are_not_copied_and_text_is_no_terminator() {
    let text = "one data: [DONE] two";
    let mut first = chunk(json!({"role": "assistant", "content": text}), Value::Null);
    first["obfuscation"] = json!("x7Yq");
    let last = chunk(json!({}), json!("stop"));
    let azure =
        json!({"choices": [], "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": {}}]});
    let odd = format!(
        ": hello\r\nretry: 10\r\n\r\ndata:\r\n\r\ndata: {azure}\r\n\r\nid: 7\r\nevent: x\r\ndata: {first}\r\n\r\ndata: {last}\r\n\r\ndata: [DONE]\r\n\r\n"
    );
    each(|client| {
        let written = stream(OpenaiChat, &odd, client);
        for absent in ["x7Yq", "obfuscation", "prompt_filter_results", "hello"] {
            assert!(!written.contains(absent), "{client:?} has {absent}: {written}");
        }
        // Cohere's clients look for the terminator anywhere in a line, so it is spelt otherwise within a text.
        let said = written.contains(text) || written.contains(r"one data: \u005bDONE] two");
        assert!(said, "{client:?}: {written}");
    });
}

#[test]
fn trap_72_an_error_is_the_last_word_in_every_dialect() {
    let start = &CLAUDE[..CLAUDE.find("event: content_block_stop").expect("a stop")];
    let error = r#"{"type":"error","error":{"type":"overloaded_error","message":"Too busy"}}"#;
    let broken = format!("{start}event: error\ndata: {error}\n\n");
    each(|client| {
        let frames = stream_with(Anthropic, &broken, client, context());
        let text = |frame: &OwnFrame| String::from_utf8_lossy(&frame.data).into_owned();
        let at = frames.iter().rposition(|frame| text(frame).contains("Too busy")).expect("the error");
        // Cohere's streams end with their terminator, whatever happened.
        let behind: Vec<_> = frames[at + 1..].iter().map(text).collect();
        assert!(behind.is_empty() || client == Cohere && behind == ["[DONE]"], "{client:?}: {behind:?}");
    });
}

#[test]
fn trap_75_76_edge_18_cached_and_hidden_tokens_are_counted_once_in_every_dialect() {
    let body = json!({"candidates": [{"content": {"parts": [{"text": "a"}]}, "finishReason": "STOP", "index": 0}],
        "usageMetadata": {"promptTokenCount": 100, "cachedContentTokenCount": 40, "candidatesTokenCount": 10,
            "thoughtsTokenCount": 5, "toolUsePromptTokenCount": 7, "totalTokenCount": 122}});
    for (client, pointer, expected) in [
        (OpenaiChat, "/usage/prompt_tokens", 107),
        (OpenaiChat, "/usage/completion_tokens", 15),
        (OpenaiChat, "/usage/total_tokens", 122),
        (OpenaiChat, "/usage/prompt_tokens_details/cached_tokens", 40),
        (OpenaiChat, "/usage/completion_tokens_details/reasoning_tokens", 5),
        (OpenaiResponses, "/usage/input_tokens", 107),
        (OpenaiResponses, "/usage/output_tokens", 15),
        (Anthropic, "/usage/input_tokens", 67),
        (Anthropic, "/usage/cache_read_input_tokens", 40),
        (Anthropic, "/usage/output_tokens", 15),
        (Gemini, "/usageMetadata/candidatesTokenCount", 10),
        (Gemini, "/usageMetadata/totalTokenCount", 122),
        (Bedrock, "/usage/inputTokens", 67),
        (Bedrock, "/usage/cacheReadInputTokens", 40),
        (Bedrock, "/usage/totalTokens", 122),
        (Cohere, "/usage/billed_units/input_tokens", 107),
    ] {
        let written = answer(Gemini, &body, client);
        assert_eq!(written.pointer(pointer), Some(&json!(expected)), "{client:?} {pointer}: {written}");
    }
}

#[test]
fn edge_14_15_no_usage_and_what_is_none_do_no_harm() {
    for usage in [Value::Null, json!("a lot"), json!({"prompt_tokens": -1}), json!([])] {
        let mut last = chunk(json!({}), json!("stop"));
        last["usage"] = usage;
        let odd = chunks(&[chunk(json!({"content": "Hi"}), Value::Null), last]);
        each(|client| assert!(stream(OpenaiChat, &odd, client).contains("Hi"), "{client:?}"));
    }
}
