//! Random requests between dialects, streams cut anywhere, and bytes that are nothing at all.

mod support;

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};
use sluice_dialects::exchange::Dropped;
use sluice_dialects::json::Doc;
use sluice_dialects::sse::{EventBoundary, events};
use sluice_dialects::wire::Wire;
use support::cases::{OwnFrame, dialects, folder, own_frame, sse_frames, target};
use support::{canon, fuzz_dialects, generate};

/// Text that no dialect has reason to change: it begins and ends with a letter, for some trim, and is longer than nothing.
fn words() -> impl Strategy<Value = String> {
    "[a-zA-Z][a-zA-Z \"\\\\/é漢😀\t]{0,30}[a-z]"
}

fn arguments() -> impl Strategy<Value = String> {
    let object = |(name, text, number): (String, String, i64)| json!({name: text, "n": number}).to_string();
    ("[a-z]{1,8}", words(), any::<i64>()).prop_map(object)
}

/// A user's turn, and how it was answered: by text, or by calls, their results and text.
fn exchange() -> impl Strategy<Value = Vec<Value>> {
    let calls = vec((prop::sample::select(vec!["get_weather", "get_time"]), arguments(), words()), 0..3);
    (words(), calls, words()).prop_map(|(asked, calls, answered)| {
        let mut messages = vec![json!({"role": "user", "content": asked})];
        if !calls.is_empty() {
            let call = |(at, (name, arguments, _)): (usize, &(&str, String, String))| {
                json!({"id": format!("call_{at}"), "type": "function", "function": {"name": name, "arguments": arguments}})
            };
            let made: Vec<Value> = calls.iter().enumerate().map(call).collect();
            messages.push(json!({"role": "assistant", "content": null, "tool_calls": made}));
            for (at, (_, _, result)) in calls.iter().enumerate() {
                messages.push(json!({"role": "tool", "tool_call_id": format!("call_{at}"), "content": result}));
            }
        }
        messages.push(json!({"role": "assistant", "content": answered}));
        messages
    })
}

/// A request that every dialect can express.
fn request() -> impl Strategy<Value = Value> {
    let tool = |name: &str| {
        let parameters =
            json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
        json!({"type": "function", "function": {"name": name, "description": "does it", "parameters": parameters}})
    };
    let tools = json!([tool("get_weather"), tool("get_time")]);
    let parts = (
        proptest::option::of(words()),
        vec(exchange(), 0..4),
        words(),
        16..100_000_u32,
        0..=10_u32,
        any::<bool>(),
    );
    parts.prop_map(move |(system, exchanges, last, max_tokens, tenths, required)| {
        let mut messages: Vec<Value> = system.map(|text| json!({"role": "system", "content": text})).into_iter().collect();
        // Ids are to be told apart over the whole conversation.
        for (round, exchange) in exchanges.into_iter().enumerate() {
            let text = json!(exchange).to_string().replace("\"call_", &format!("\"call_{round}_"));
            let Ok(Value::Array(turns)) = serde_json::from_str(&text) else { continue };
            messages.extend(turns);
        }
        messages.push(json!({"role": "user", "content": last}));
        json!({
            "model": "m", "messages": messages, "tools": tools, "max_completion_tokens": max_tokens,
            "temperature": f64::from(tenths) / 10.0, "tool_choice": if required { "required" } else { "auto" },
        })
    })
}

/// Writes a canonical request in a dialect and reads it back.
fn through(wire: Wire, body: &[u8]) -> (serde_json::Map<String, Value>, Vec<u8>) {
    let doc = Doc::parse(body).expect("a request as JSON");
    let request =
        Wire::OpenaiChat.read_request(&doc, false, &mut Dropped::default()).expect("a good request");
    let mut out = Vec::new();
    wire.write_request(&request, &target(wire), &mut Dropped::default(), &mut out)
        .expect("a request all can express");
    (canon::request(&request), out)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn requests_come_back_as_they_were(body in request()) {
        let body = serde_json::to_vec(&body).unwrap();
        for (wire, dialect) in dialects().into_iter().filter(|(wire, _)| *wire != Wire::Ollama) {
            let (before, written) = through(wire, &body);
            let doc = Doc::parse(&written).unwrap();
            let again = wire.read_request(&doc, false, &mut Dropped::default()).unwrap();
            let after = canon::request(&again);
            for member in ["system", "turns", "tools", "tool_choice", "max_tokens", "temperature"] {
                prop_assert_eq!(&before[member], &after[member], "{} {}", dialect, member);
            }
            // And home again.
            let mut home = Vec::new();
            Wire::OpenaiChat.write_request(&again, &target(Wire::OpenaiChat), &mut Dropped::default(), &mut home).unwrap();
            let doc = Doc::parse(&home).unwrap();
            let last = Wire::OpenaiChat.read_request(&doc, false, &mut Dropped::default()).unwrap();
            prop_assert_eq!(&before["turns"], &canon::request(&last)["turns"], "{} and back", dialect);
        }
    }

    #[test]
    fn frames_are_the_same_however_a_stream_is_cut(seed in any::<u64>()) {
        for (_, dialect) in dialects() {
            for entry in std::fs::read_dir(folder("cases").join(dialect)).unwrap() {
                let Ok(stream) = std::fs::read(entry.unwrap().path().join("stream.sse")) else { continue };
                prop_assert_eq!(cut(&stream, seed), sse_frames(&stream));
            }
        }
    }

    #[test]
    fn nothing_that_is_sent_makes_a_dialect_panic(choice in any::<u8>(), body in generate::mutated(generate::request())) {
fuzz_dialects::dialect(&wires(), &[&[choice][..], &body].concat());
    }

    #[test]
    fn cases_with_bytes_changed_make_no_dialect_panic(seed in any::<u64>()) {
        let all = dialects();
        let at = usize::try_from(seed % all.len() as u64).unwrap();
        for mut input in stored(all[at].1) {
            let place = usize::try_from(seed / 7 % (input.len() as u64)).unwrap();
            input[place] = u8::try_from(seed >> 56).unwrap();
            for kind in 0..5 {
                let choice = u8::try_from(at * 5 + kind).unwrap();
                fuzz_dialects::dialect(&wires(), &[&[choice][..], &input].concat());
            }
        }
    }
}

/// The dialects that are there.
fn wires() -> Vec<Wire> {
    dialects().into_iter().map(|(wire, _)| wire).collect()
}

/// The files of a dialect's cases.
fn stored(dialect: &str) -> Vec<Vec<u8>> {
    let Ok(entries) = std::fs::read_dir(folder("cases").join(dialect)) else { return Vec::new() };
    let files = entries.flat_map(|entry| {
        std::fs::read_dir(entry.expect("a readable folder").path()).expect("a readable folder")
    });
    files
        .map(|file| std::fs::read(file.expect("a readable file").path()).expect("a readable file"))
        .filter(|bytes| !bytes.is_empty())
        .collect()
}

/// The frames of a stream that arrives in pieces of lengths made from a seed.
fn cut(stream: &[u8], seed: u64) -> Vec<OwnFrame> {
    let (mut boundary, mut buffer, mut frames, mut state) =
        (EventBoundary::new(), Vec::new(), Vec::new(), seed);
    let mut rest = stream;
    while !rest.is_empty() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let len = usize::try_from(state >> 33).expect("31 bits") % 40 + 1;
        let (piece, later) = rest.split_at(len.min(rest.len()));
        buffer.extend_from_slice(piece);
        rest = later;
        let whole = boundary.whole_events(&buffer);
        frames.extend(events(&buffer[..whole]).filter_map(|event| own_frame(&event)));
        buffer.drain(..whole);
        boundary.consumed(whole);
    }
    frames.extend(own_frame(&sluice_dialects::sse::unfinished(&buffer)));
    frames
}
