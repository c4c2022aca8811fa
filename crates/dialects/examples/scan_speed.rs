//! Prints what the hot functions cost, in nanoseconds per call:
//! `cargo run --profile quick -p sluice-dialects --example scan_speed`
//!
//! The least of many rounds is printed, which on a shared machine is the figure that can be repeated.
#![expect(clippy::print_stdout, reason = "its output is its purpose")]

use std::hint::black_box;
use std::time::Instant;

use serde_json::value::RawValue;
use sluice_dialects::openai::body::BodyTap;
use sluice_dialects::openai::stream::StreamTap;
use sluice_dialects::openai::{Endpoint, inspect};
use sluice_dialects::sse::{EventBoundary, events};

const SIZES: [usize; 3] = [1_000, 20_000, 120_000];
const ROUNDS: usize = 30;

fn main() {
    println!(
        "{:<44} {:>9} {:>9} {:>9}",
        "ns per call, by size of body in bytes", SIZES[0], SIZES[1], SIZES[2]
    );
    row("inspect, long strings", |len| chat(&prose(len, 0)), inspect_body);
    row("inspect, an escape every 50 bytes", |len| chat(&prose(len, 50)), inspect_body);
    row("inspect, text beyond ASCII", |len| chat(&"текст 漢字 ".repeat(len / 20)), inspect_body);
    row("inspect, tools (short strings, deep)", tools, inspect_body);
    row("inspect, tools, indented", |len| indented(&tools(len / 2)), inspect_body);
    row("  serde_json, long strings, for comparison", |len| chat(&prose(len, 0)), serde_members);
    row("splice", |len| chat(&prose(len, 0)), splice_body);
    row("answer, chat", |len| answer(&prose(len, 50)), tap_body);
    row("answer, embeddings as numbers", embeddings, tap_body);
    row("answer, embeddings as base64", |len| embeddings_base64(&"QUJD".repeat(len / 4)), tap_body);
    row("stream, boundary alone", stream, find_boundary);
    row("stream, boundary, events and tap", stream, follow);
    let frames = events(stream(120_000).as_bytes()).count();
    println!("a stream of 120,000 bytes has {frames} events");
}

fn row(name: &str, body: impl Fn(usize) -> String, run: impl Fn(&[u8]) -> usize) {
    let figures = SIZES.map(|size| nanoseconds(body(size).as_bytes(), &run));
    println!("{name:<44} {:>9.0} {:>9.0} {:>9.0}", figures[0], figures[1], figures[2]);
}

#[expect(clippy::cast_precision_loss, reason = "a few million at most")]
fn nanoseconds(body: &[u8], run: impl Fn(&[u8]) -> usize) -> f64 {
    let repeats = (20_000_000 / body.len()).clamp(20, 5_000);
    let round = || {
        let start = Instant::now();
        for _ in 0..repeats {
            black_box(run(black_box(body)));
        }
        start.elapsed().as_nanos() as f64 / repeats as f64
    };
    (0..ROUNDS).map(|_| round()).fold(f64::INFINITY, f64::min)
}

fn inspect_body(body: &[u8]) -> usize {
    inspect(Endpoint::Chat, body).expect("a good request").input.map_or(0, |span| span.len())
}

fn splice_body(body: &[u8]) -> usize {
    let view = inspect(Endpoint::Chat, body).expect("a good request");
    let start = view.splices(body, Some("\"another\""), true);
    black_box(start.as_slices()).len()
}

fn serde_members(body: &[u8]) -> usize {
    let members: std::collections::BTreeMap<&str, &RawValue> =
        serde_json::from_slice(body).expect("a good request");
    members.len()
}

fn tap_body(body: &[u8]) -> usize {
    let mut tap = BodyTap::new();
    body.chunks(65_536).for_each(|piece| tap.feed(piece));
    tap.finish().usage.map_or(0, |usage| usage.input as usize)
}

fn find_boundary(stream: &[u8]) -> usize {
    EventBoundary::new().whole_events(stream)
}

fn follow(stream: &[u8]) -> usize {
    let mut tap = StreamTap::new(Endpoint::Chat);
    let whole = EventBoundary::new().whole_events(stream);
    for event in events(&stream[..whole]) {
        black_box(tap.event(&event));
    }
    usize::from(tap.finished())
}

/// Text of a length, with an escaped line end every so many bytes, or none at all.
fn prose(len: usize, escape_every: usize) -> String {
    let plain = "The quick brown fox jumps over the lazy dog, again and again; ".repeat(len / 60 + 1);
    let mut text = String::new();
    for (at, character) in plain.chars().take(len.saturating_sub(180)).enumerate() {
        if escape_every > 0 && at % escape_every == escape_every - 1 {
            text.push_str("\\n");
        }
        text.push(character);
    }
    text
}

fn chat(content: &str) -> String {
    let third = content.char_indices().nth(content.chars().count() / 3).map_or(0, |(at, _)| at);
    let (first, second) = content.split_at(third);
    format!(
        r#"{{"model":"gpt-4o-mini","messages":[{{"role":"system","content":"{first}"}},{{"role":"user","content":"{second}"}}],"temperature":0.7,"max_tokens":256,"stream":true,"user":"u-1"}}"#
    )
}

fn tools(len: usize) -> String {
    let tool = r#"{"type":"function","function":{"name":"get_weather","description":"Current weather of a city","parameters":{"type":"object","properties":{"city":{"type":"string","enum":["Oslo","Rome"]},"days":{"type":"integer","minimum":1,"maximum":14}},"required":["city"],"additionalProperties":false}}}"#;
    let tools = vec![tool; len / tool.len() + 1].join(",");
    format!(r#"{{"model":"gpt-4o-mini","messages":[{{"role":"user","content":"hi"}}],"tools":[{tools}]}}"#)
}

fn indented(body: &str) -> String {
    let value: serde_json::Value = serde_json::from_str(body).expect("a good request");
    serde_json::to_string_pretty(&value).expect("a tree can be written")
}

fn answer(content: &str) -> String {
    format!(
        r#"{{"id":"chatcmpl-1","object":"chat.completion","model":"gpt-4o-mini","choices":[{{"index":0,"message":{{"role":"assistant","content":"{content}","refusal":null}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":10,"completion_tokens":20,"total_tokens":30,"prompt_tokens_details":{{"cached_tokens":0}}}}}}"#
    )
}

fn embeddings(len: usize) -> String {
    let numbers = vec!["-0.006929283495992422"; len / 22 + 1].join(",");
    format!(
        r#"{{"object":"list","data":[{{"object":"embedding","index":0,"embedding":[{numbers}]}}],"usage":{{"prompt_tokens":8,"total_tokens":8}}}}"#
    )
}

fn embeddings_base64(text: &str) -> String {
    format!(
        r#"{{"object":"list","data":[{{"object":"embedding","index":0,"embedding":"{text}"}}],"usage":{{"prompt_tokens":8,"total_tokens":8}}}}"#
    )
}

fn stream(len: usize) -> String {
    let chunk = r#"data: {"id":"chatcmpl-C4HqHBe4xca0k0EzsCnf1t6V3YFXp","object":"chat.completion.chunk","created":1755137933,"model":"gpt-5-nano-2025-08-07","service_tier":"default","system_fingerprint":null,"choices":[{"index":0,"delta":{"content":" token"},"finish_reason":null}],"usage":null,"obfuscation":"nX3df"}"#;
    format!("{chunk}\n\n").repeat((len / chunk.len()).max(1))
}
