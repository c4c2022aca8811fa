//! Event streams: boundaries, events, and what the tap makes of them.

mod support;

use proptest::prelude::*;
use sluice_dialects::openai::Endpoint;
use sluice_dialects::openai::stream::{EventClass, StreamTap};
use sluice_dialects::sse::{Data, EventBoundary, events, unfinished};
use sluice_types::Usage;
use support::fuzz_bodies::{Followed, follow};
use support::{fuzz_bodies, generate};

use Endpoint::{Chat, Completions, Responses};
use EventClass::{Done, Error, Forward, Malformed, UsageOnly};

/// Follows a stream whole, and in pieces of every length, with the same outcome.
fn followed(endpoint: Endpoint, stream: &str) -> Followed {
    let whole = follow(endpoint, stream.as_bytes(), &mut |_| usize::MAX);
    for length in 1..stream.len() {
        assert_eq!(follow(endpoint, stream.as_bytes(), &mut |_| length), whole, "in pieces of {length}");
    }
    for cut in 1..stream.len() {
        let mut first = |at: usize| if at == 0 { cut } else { usize::MAX };
        assert_eq!(follow(endpoint, stream.as_bytes(), &mut first), whole, "cut at {cut}");
    }
    whole
}

fn classes(endpoint: Endpoint, data: &[&str]) -> Vec<EventClass> {
    let stream: String = data.iter().map(|data| format!("data: {data}\n\n")).collect();
    followed(endpoint, &stream).classes
}

#[test]
fn reads_events_as_the_standard_says() {
    type Named = (Option<&'static str>, Option<&'static str>);
    let cases: [(&str, &[Named]); 20] = [
        ("data: a\n\n", &[(None, Some("a"))]),
        ("data: a\r\n\r\n", &[(None, Some("a"))]),
        ("data: a\r\r", &[(None, Some("a"))]),
        ("data: a\n\r\n", &[(None, Some("a"))]),
        ("data: a\r\n\n", &[(None, Some("a"))]),
        ("data: a\n\r", &[(None, Some("a"))]),
        ("data:a\n\ndata:  b\n\n", &[(None, Some("a")), (None, Some(" b"))]),
        ("data: a\ndata: b\n\n", &[(None, Some("a\nb"))]),
        ("data\n\n", &[(None, Some(""))]),
        ("data: \n\ndata:\ndata\n\n", &[(None, Some("")), (None, Some("\n"))]),
        ("event: x\ndata: a\n\n", &[(Some("x"), Some("a"))]),
        ("data: a\nevent: x\n\n", &[(Some("x"), Some("a"))]),
        ("event: x\nevent: y\ndata: a\n\n", &[(Some("y"), Some("a"))]),
        ("event: x\n\ndata: a\n\n", &[(Some("x"), None), (None, Some("a"))]),
        (": ping\n\n:\n\ndata: a\n\n", &[(None, Some("a"))]),
        (": ping\ndata: a\n: pong\n\n\n\n", &[(None, Some("a"))]),
        ("id: 1\nretry: 3000\ndata: a\nunknown: z\n\n", &[(None, Some("a"))]),
        ("\u{feff}data: a\n\ndata: é😀\r\n\r\n", &[(None, Some("a")), (None, Some("é😀"))]),
        ("data: a\n\ndata: b", &[(None, Some("a"))]),
        ("data : a\ndatax: b\n\n", &[(None, None)]),
    ];
    for (stream, expected) in cases {
        let text =
            |bytes: &Option<Vec<u8>>| bytes.as_ref().map(|bytes| String::from_utf8(bytes.clone()).unwrap());
        let found = followed(Chat, stream).events;
        let found: Vec<_> = found.iter().map(|(name, data)| (text(name), text(data))).collect();
        let expected: Vec<_> =
            expected.iter().map(|(n, d)| (n.map(str::to_owned), d.map(str::to_owned))).collect();
        assert_eq!(found, expected, "{stream:?}");
    }
}

#[test]
fn the_boundary_looks_at_new_bytes_only() {
    let mut boundary = EventBoundary::new();
    assert_eq!(boundary.whole_events(b"data: a\n"), 0);
    assert_eq!(boundary.whole_events(b"data: a\n\ndata: b"), 9);
    assert_eq!(boundary.whole_events(b"data: a\n\ndata: b\n"), 9);
    boundary.consumed(9);
    assert_eq!(boundary.whole_events(b"data: b\n"), 0);
    assert_eq!(boundary.whole_events(b"data: b\n\n: c\n\nd"), 14);
    boundary.consumed(9);
    assert_eq!(boundary.whole_events(b": c\n\nd"), 5);
    // Bytes that were looked at are not looked at again, even if they were to change.
    boundary.consumed(5);
    assert_eq!(boundary.whole_events(b"\n"), 0);
}

#[test]
fn a_whole_event_is_not_held_back_for_half_a_line_end() {
    let mut boundary = EventBoundary::new();
    assert_eq!(boundary.whole_events(b"data: a\r\n\r"), 10);
    boundary.consumed(10);
    assert_eq!(boundary.whole_events(b"\n"), 1);
    assert!(events(b"\n").all(|event| event.is_comment_only() && event.data() == Data::None));
}

#[test]
fn the_end_of_a_stream_without_a_blank_line_can_be_read() {
    let rest = unfinished(b"event: x\ndata: [DONE]");
    assert_eq!((rest.name, rest.data(), rest.end), (Some(&b"x"[..]), Data::Line(b"[DONE]"), 21));
    assert_eq!(StreamTap::new(Chat).event(&rest), Done);
    assert!(unfinished(b"").is_comment_only());
}

const ROLE: &str = r#"{"id":"c","choices":[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"finish_reason":null}],"usage":null}"#;
const TEXT: &str = r#"{"id":"c","choices":[{"index":0,"delta":{"content":"Hi \"error\" \u00e9"},"finish_reason":null}],"usage":null,"obfuscation":"xx"}"#;
const STOP: &str = r#"{"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null}"#;
const USAGE: &str = r#"{"id":"c","choices":[],"usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15,"prompt_tokens_details":{"cached_tokens":4,"cache_write_tokens":2},"completion_tokens_details":{"reasoning_tokens":3}}}"#;

#[test]
fn follows_a_chat_stream() {
    let stream: String = [ROLE, TEXT, STOP, USAGE, "[DONE]"].map(|data| format!("data: {data}\n\n")).concat();
    let found = followed(Chat, &stream);
    assert_eq!(found.classes, [Forward, Forward, Forward, UsageOnly, Done]);
    assert_eq!(
        found.usage,
        Some(Usage {
            input: 10,
            cached_input: 4,
            cache_write: 2,
            output: 5,
            reasoning: 3,
            ..Usage::default()
        })
    );
    assert!(found.finished && found.saw_output);
    assert_eq!(found.output_bytes, r#"Hi \"error\" \u00e9"#.len() as u64);
    assert_eq!(found.next_sequence_number, 4);
}

#[test]
fn tells_the_chunks_of_chat_apart() {
    let cases = [
        // Azure's verdict on the prompt has no choices either.
        (r#"{"choices":[],"prompt_filter_results":[{}],"usage":null}"#, Forward),
        (r#"{"choices":[],"prompt_filter_results":[{}]}"#, Forward),
        (r#"{"choices":[{"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":1}}"#, Forward),
        (r#"{"usage" : {"prompt_tokens":1}, "choices" : [ ] }"#, UsageOnly),
        (r#"{"choices":[],"usage":{"malformed":"yes"}}"#, UsageOnly),
        (r#"{"choices":[],"usage":"none"}"#, Forward),
        (r#"{"choices":null,"usage":{"prompt_tokens":1}}"#, Forward),
        (r#"{"usage":{"prompt_tokens":1}}"#, Forward),
        (r#"{"error":{"message":"overloaded"}}"#, Error),
        (r#"{"error":"overloaded","choices":[]}"#, Error),
        (r#"{"error":null,"choices":[]}"#, Forward),
        (r#"{"choices":[{"delta":{"tool_calls":[{"error":{"message":"mine"}}]}}]}"#, Forward),
        (r#"{"choices":[{"delta":{"content":"data: [DONE]"}}]}"#, Forward),
        (r#"{"choices":[],"usage":{"prompt_tokens":1}"#, Malformed),
        (r#"{"choices":[],"usage":{"prompt_tokens":1},}"#, Malformed),
        ("Internal Server Error", Malformed),
        ("[1]", Malformed),
        ("[DONE]", Done),
        (" [DONE] ", Done),
        ("", Forward),
    ];
    for (data, expected) in cases {
        assert_eq!(classes(Chat, &[data]), [expected], "{data}");
    }
    assert_eq!(followed(Chat, "event: error\ndata: {\"message\":\"no\"}\n\n").classes, [Error]);
    assert_eq!(followed(Chat, "event: error\ndata: no\n\n").classes, [Error]);
}

#[test]
fn a_stream_is_finished_when_a_choice_is() {
    let cases = [
        (r#"{"choices":[{"finish_reason":"stop"}]}"#, true),
        (r#"{"choices":[{"finish_reason":null},{"finish_reason" : "length"}]}"#, true),
        (r#"{"choices":[{"finish_reason":null,"delta":{}}]}"#, false),
        (r#"{"choices":[{"delta":{"finish_reason":"stop"}}]}"#, false),
        (r#"{"finish_reason":"stop","choices":[]}"#, false),
        (r#"{"choices":[{"delta":{"content":"\"finish_reason\":\"stop\""}}]}"#, false),
        (r#"{"choices":{"finish_reason":"stop"}}"#, false),
        (r#"{"choices":null,"x":{"finish_reason":"stop"}}"#, false),
    ];
    for (data, finished) in cases {
        assert_eq!(followed(Chat, &format!("data: {data}\n\n")).finished, finished, "{data}");
    }
}

#[test]
fn usage_is_merged_and_never_erased() {
    let input = |input, output| Some(Usage { input, output, ..Usage::default() });
    let cases: [(&[&str], Option<Usage>); 11] = [
        (&["null"], None),
        (&["{}"], None),
        (&["[1]", "7", "\"x\""], None),
        (&[r#"{"prompt_tokens":"5","completion_tokens":-1}"#], None),
        (&[r#"{"prompt_tokens":5}"#, "null", "{}", r#"{"prompt_tokens":null}"#], input(5, 0)),
        (&[r#"{"prompt_tokens":5,"completion_tokens":1}"#, r#"{"completion_tokens":9}"#], input(5, 9)),
        (
            &[r#"{"prompt_tokens":5,"completion_tokens":9}"#, r#"{"prompt_tokens":0,"completion_tokens":0}"#],
            input(5, 9),
        ),
        (&[r#"{"prompt_tokens":99999999999}"#], input(u32::MAX, 0)),
        (
            &[r#"{"prompt_tokens":5,"prompt_tokens_details":null,"completion_tokens_details":[]}"#],
            input(5, 0),
        ),
        (
            &[
                r#"{"prompt_tokens":5,"completion_tokens":2,"prompt_cache_hit_tokens":3,"prompt_cache_miss_tokens":2}"#,
            ],
            Some(Usage { input: 5, cached_input: 3, output: 2, ..Usage::default() }),
        ),
        (&[r#"{"total_tokens":12}"#], input(12, 0)),
    ];
    for (reports, expected) in cases {
        let stream: String =
            reports.iter().map(|usage| format!("data: {{\"choices\":[],\"usage\":{usage}}}\n\n")).collect();
        assert_eq!(followed(Chat, &stream).usage, expected, "{reports:?}");
    }
}

#[test]
fn measures_what_was_generated() {
    let cases = [
        (r#"{"role":"assistant","content":""}"#, 0, false),
        (r#"{"role":"assistant","content":null}"#, 0, false),
        (r#"{}"#, 0, false),
        (r#"{"content":"four"}"#, 4, true),
        (r#"{"reasoning_content":"four","content":null}"#, 4, true),
        (r#"{"content" : "a\"b"}"#, 4, true),
        (r#"{"content":[{"type":"text","text":"abc"}]}"#, 3, true),
        (
            r#"{"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"f","arguments":""}}]}"#,
            1,
            true,
        ),
        (r#"{"tool_calls":[{"index":0,"function":{"arguments":"{\"a\":"}}]}"#, 7, true),
        (r#"{"audio":{"id":"a","data":"AAAA"}}"#, 0, true),
    ];
    for (delta, bytes, any) in cases {
        let data = format!("data: {{\"choices\":[{{\"delta\":{delta},\"finish_reason\":null}}]}}\n\n");
        let found = followed(Chat, &data);
        assert_eq!((found.output_bytes, found.saw_output), (bytes, any), "{delta}");
    }
    let inside = r#"{"choices":[{"delta":{"delta":{"delta":"abc"},"content":"de"}}]}"#;
    assert_eq!(followed(Chat, &format!("data: {inside}\n\n")).output_bytes, 5, "nothing is counted twice");
    let two = r#"{"choices":[{"index":0,"delta":{"content":"ab"}},{"index":1,"delta":{"content":"cde"}}]}"#;
    assert_eq!(followed(Chat, &format!("data: {two}\n\n")).output_bytes, 5);
}

#[test]
fn follows_a_completions_stream() {
    let text = r#"{"choices":[{"text":" +","index":0,"logprobs":null,"finish_reason":null}],"usage":null}"#;
    let last = r#"{"choices":[{"text":"","index":0,"logprobs":null,"finish_reason":"length"}],"usage":null}"#;
    let stream: String = [text, last, USAGE, "[DONE]"].map(|data| format!("data: {data}\n\n")).concat();
    let found = followed(Completions, &stream);
    assert_eq!(found.classes, [Forward, Forward, UsageOnly, Done]);
    assert_eq!((found.finished, found.output_bytes, found.usage.unwrap().output), (true, 2, 5));
}

/// With and without the `event` field, which repeats the type.
#[test]
fn follows_a_responses_stream() {
    let events = [
        r#"{"type":"response.created","response":{"usage":null,"error":null,"tools":[{"usage":{"input_tokens":1}}]},"sequence_number":0}"#,
        r#"{"type":"response.in_progress","response":{},"sequence_number":1}"#,
        r#"{"type":"response.output_text.delta","delta":"Hi\n","sequence_number":2}"#,
        r#"{"type":"response.output_text.done","text":"Hi\n","sequence_number":3}"#,
        r#"{"type":"response.completed","response":{"error":null,"usage":{"input_tokens":10,"output_tokens":5,"input_tokens_details":{"cached_tokens":2},"output_tokens_details":{"reasoning_tokens":1}}},"sequence_number":4}"#,
    ];
    let name = |data: &str| data.split('"').nth(3).unwrap().to_owned();
    let named: String =
        events.iter().map(|data| format!("event: {}\ndata: {data}\n\n", name(data))).collect();
    let unnamed: String = events.iter().map(|data| format!("data: {data}\n\n")).collect();
    for stream in [named, unnamed] {
        let found = followed(Responses, &stream);
        assert_eq!(found.classes, [Forward; 5]);
        assert_eq!(
            found.usage,
            Some(Usage {
                input: 10,
                cached_input: 2,
                cache_write: 0,
                output: 5,
                reasoning: 1,
                ..Usage::default()
            })
        );
        assert!(found.finished && found.saw_output);
        assert_eq!((found.output_bytes, found.next_sequence_number), (4, 5));
    }
}

#[test]
fn tells_the_ends_of_a_responses_stream_apart() {
    let cases = [
        (r#"{"type":"response.incomplete","response":{"usage":{"input_tokens":3}}}"#, Forward, true, Some(3)),
        (
            r#"{"type":"response.failed","response":{"error":{"code":"server_error"},"usage":null}}"#,
            Error,
            true,
            None,
        ),
        (r#"{"type":"response.failed","response":{"usage":{"input_tokens":3}}}"#, Error, true, Some(3)),
        (r#"{"type":"error","code":"server_is_overloaded","message":"m"}"#, Error, false, None),
        (r#"{"error":{"message":"m"}}"#, Error, false, None),
        (r#"{"type":"response.completed","response":null}"#, Forward, true, None),
        (r#"{"type":"response.completed","usage":{"input_tokens":3}}"#, Forward, true, None),
        (r#"{"type":"response.a_new_one","x":{"usage":{"input_tokens":3}}}"#, Forward, false, None),
        (r#"{"type":7}"#, Forward, false, None),
        (r#"{"type":"response.completed","#, Malformed, false, None),
    ];
    for (data, class, finished, input) in cases {
        let found = followed(Responses, &format!("data: {data}\n\n"));
        assert_eq!(found.classes, [class], "{data}");
        assert_eq!((found.finished, found.usage.map(|usage| usage.input)), (finished, input), "{data}");
    }
    let preamble = "event: response.created\ndata: {}\n\nevent: error\ndata: {\"type\":\"error\"}\n\n";
    let found = followed(Responses, preamble);
    assert!(found.classes == [Forward, Error] && !found.saw_output, "may still fail over");
}

#[test]
fn data_of_several_lines_is_joined_before_it_is_looked_at() {
    let found = followed(Chat, "data: {\"choices\":[],\ndata: \"usage\":{\"prompt_tokens\":3}\ndata: }\n\n");
    assert_eq!((found.classes, found.usage.unwrap().input), (vec![UsageOnly], 3));
}

/// A hostile provider cannot make an event cost more than its length: half a megabyte of deltas within deltas.
#[test]
fn deltas_within_deltas_are_measured_once() {
    let data = format!("data: {{{}}}\n\n", "\"delta\":{".repeat(50_000));
    let found = follow(Chat, data.as_bytes(), &mut |_| usize::MAX);
    assert_eq!((found.classes, found.output_bytes), (vec![Forward], 0));
}

/// Nested too deep to be looked at is no reason to break a stream that its client may understand.
#[test]
fn what_is_nested_too_deep_is_passed_on() {
    let data = format!(r#"{{"x":{}1{},"usage":{{"prompt_tokens":3}}}}"#, "[".repeat(100), "]".repeat(100));
    assert_eq!(classes(Chat, &[&data]), [Forward]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn any_split_gives_the_same_events(stream in generate::stream()) {
        fuzz_bodies::sse_tap(&stream);
    }

    #[test]
    fn any_bytes_give_the_same_events(stream in proptest::collection::vec(
        prop_oneof![prop::sample::select(b"data:\r\n\r\n \xef\xbb\xbf{}[]".to_vec()), any::<u8>()], 0..60)) {
        fuzz_bodies::sse_tap(&stream);
    }
}
