//! Anthropic's dialect: recorded traffic, where it is at hand.

#[allow(dead_code, reason = "each test binary uses a part")]
#[path = "support/recorded.rs"]
mod recorded;
#[path = "support/anthropic.rs"]
mod support;

use std::fs;

use serde_json::Value;
use sluice_dialects::anthropic::{Decoder, Encoder, StreamTap, read_answer};
use sluice_dialects::json::Doc;
use sluice_dialects::openai::stream::EventClass;
use sluice_dialects::sse::{Data, events};
use sluice_dialects::wire::{Decode, Encode, Frame, Tap};
use support::{accumulate, context, decode, frames};

/// The usage of a stream by way of trees: input of the start, the rest of the last report.
fn reference_usage(stream: &str) -> (u64, u64) {
    let count = |usage: &Value, name: &str| usage[name].as_u64().unwrap_or_default();
    let (mut input, mut output) = (0, 0);
    for data in stream.lines().filter_map(|line| line.strip_prefix("data: ")) {
        let data: Value = serde_json::from_str(data).expect("JSON");
        let usage = data.get("usage").or(data.pointer("/message/usage"));
        let Some(usage) = usage else { continue };
        let parts = ["input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"];
        input = input.max(parts.iter().map(|name| count(usage, name)).sum());
        output = output.max(count(usage, "output_tokens"));
    }
    (input, output)
}

fn check_stream(name: &str, stream: &str) {
    let (mut tap, mut decoder) = (StreamTap::default(), Decoder::default());
    let mut encoder = Encoder::new(context());
    let (mut out, mut usage) = (Vec::new(), None);
    let text = format!("{}\n\n", stream.trim_end());
    let mut last = EventClass::Forward;
    for event in events(text.as_bytes()) {
        let Data::Line(data) = event.data() else { panic!("{name}: data of one line") };
        let frame = Frame { name: event.name, data };
        last = tap.frame(frame);
        assert!(!matches!(last, EventClass::Malformed | EventClass::Error), "{name}");
        let mut sink = |event: sluice_dialects::exchange::Event<'_>| {
            if let sluice_dialects::exchange::Event::Usage(reported) = event {
                usage = Some(reported);
            }
            encoder.event(&event, &mut out);
        };
        decoder.frame(frame, &mut sink).unwrap_or_else(|error| panic!("{name}: {error:?}"));
    }
    assert_eq!(last, EventClass::Done, "{name}");
    assert!(tap.finished(), "{name}");
    assert_eq!(tap.usage(), usage, "{name}");
    let usage = usage.expect("usage is reported");
    assert_eq!((u64::from(usage.input), u64::from(usage.output)), reference_usage(stream), "{name}");
    let message = accumulate(&frames(&out));
    assert_eq!(message["stopped"], true, "{name}");
    let reason =
        stream.rsplit_once("\"stop_reason\":\"").map(|(_, rest)| rest.split('"').next().unwrap_or_default());
    assert_eq!(message["stop_reason"].as_str(), reason, "{name}");
    // What comes out is a stream of the dialect, and says the same when it is read.
    let mut again = Encoder::new(context());
    let mut second = Vec::new();
    let first = String::from_utf8(out).expect("UTF-8");
    decode(&first, &mut |event| again.event(&event, &mut second)).expect("a good stream");
    assert_eq!(accumulate(&frames(&second)), message, "{name}");
}

#[test]
fn recorded_streams() {
    let Some(folder) = recorded::fixtures() else { return };
    let streams = recorded::files(&folder.join("anthropic-streams"), &["sse", "txt"]);
    let oddities = recorded::files(&folder.join("oddities/anthropic"), &["sse"]);
    let mut seen = 0;
    for path in streams.iter().chain(&oddities) {
        check_stream(&path.to_string_lossy(), &fs::read_to_string(path).unwrap());
        seen += 1;
    }
    assert!(seen >= 12, "only {seen} streams were read");
    recorded::report(&format!("{seen} recorded streams"));
}

#[test]
fn recorded_answers() {
    let Some(folder) = recorded::fixtures() else { return };
    for path in recorded::files(&folder.join("oddities/anthropic"), &["json"]) {
        let body = fs::read(&path).unwrap();
        let doc = Doc::parse(&body).unwrap();
        let answer = read_answer(&doc).unwrap_or_else(|error| panic!("{}: {error:?}", path.display()));
        assert_eq!(answer.choices[0].parts.len(), 1);
        assert!(answer.usage.unwrap().input >= 10);
    }
}
