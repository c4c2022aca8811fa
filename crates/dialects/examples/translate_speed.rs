//! Prints what a translation costs, the median of many calls:
//! `cargo run --release -p sluice-dialects --example translate_speed`
//!
//! A request is translated whole: parsed, read from the client's dialect and written in the provider's. `scan_object` of the
//! same body is what a request costs that passes untouched. A stream is measured per event, from the provider's frame to the
//! client's bytes.
#![expect(clippy::print_stdout, reason = "its output is its purpose")]

use std::hint::black_box;
use std::time::Instant;

use sluice_dialects::event_stream;
use sluice_dialects::exchange::{ChatRequest, Dropped, Event, Finish, Text};
use sluice_dialects::json::{Doc, scan_object};
use sluice_dialects::sse;
use sluice_dialects::wire::{AnswerContext, Frame, Quirks, Target, Wire};
use sluice_types::Usage;

const CLIENTS: [(Wire, &str); 6] = [
    (Wire::OpenaiChat, "chat"),
    (Wire::OpenaiResponses, "responses"),
    (Wire::Anthropic, "anthropic"),
    (Wire::Gemini, "gemini"),
    (Wire::Bedrock, "bedrock"),
    (Wire::Cohere, "cohere"),
];

const TARGET: Target<'static> =
    Target { model: "their-model", quirks: Quirks::NONE, default_max_tokens: 4_096 };

/// Text deltas of the stream that is measured.
const DELTAS: usize = 200;

fn main() {
    for size in [1_000, 100_000] {
        heading(&format!("request of {size} bytes, microseconds"));
        println!("{:>10}", "scan");
        for (client, name) in CLIENTS {
            let body = body(client, size);
            print_row(name, |provider| median(size, || translate(client, provider, &body)));
            println!("{:>10.2}", median(size, || scan_object(&body, &["model", "stream"]).is_ok()));
        }
    }
    heading("event of a stream, from the row's provider to the column's client, microseconds");
    println!();
    for (provider, name) in CLIENTS {
        let stream = frames(provider);
        #[expect(clippy::cast_precision_loss, reason = "some hundreds")]
        let events = stream.len() as f64;
        print_row(name, |client| median(20_000, || follow(provider, client, &stream)) / events);
        println!();
    }
}

fn heading(title: &str) {
    print!("\n{title}\n{:<10}", "");
    CLIENTS.iter().for_each(|(_, name)| print!("{name:>10}"));
}

fn print_row(name: &str, mut figure: impl FnMut(Wire) -> f64) {
    print!("{name:<10}");
    CLIENTS.iter().for_each(|(other, _)| print!("{:>10.2}", figure(*other)));
}

/// The median of single calls, in microseconds; fewer of them where each takes long.
#[expect(clippy::cast_precision_loss, reason = "nanoseconds of one call")]
fn median<T>(size: usize, mut run: impl FnMut() -> T) -> f64 {
    let calls = (20_000_000 / size).clamp(301, 4_001);
    let mut took: Vec<u128> = Vec::with_capacity(calls);
    for _ in 0..calls {
        let start = Instant::now();
        black_box(run());
        took.push(start.elapsed().as_nanos());
    }
    took.sort_unstable();
    took[calls / 2] as f64 / 1_000.0
}

/// A conversation with a tool in a dialect, by way of the translation itself.
fn body(wire: Wire, size: usize) -> Vec<u8> {
    let chat = chat(size.saturating_sub(750));
    let doc = Doc::parse(chat.as_bytes()).expect("a good request");
    let request = read(Wire::OpenaiChat, &doc);
    let mut out = Vec::new();
    wire.write_request(&request, &TARGET, &mut Dropped::default(), &mut out)
        .expect("a request all can express");
    out
}

fn chat(text_len: usize) -> String {
    let text =
        "The quick brown fox jumps over the \\\"lazy\\\" dog,\\nagain and again; ".repeat(text_len / 68 + 1);
    let tool = r#"{"type":"function","function":{"name":"get_weather","description":"Weather of a city","parameters":{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}}}"#;
    let call = r#"{"role":"assistant","content":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"get_weather","arguments":"{\"city\":\"Oslo\"}"}}]}"#;
    format!(
        r#"{{"model":"m","messages":[{{"role":"system","content":"Be brief."}},{{"role":"user","content":"{text}"}},{call},{{"role":"tool","tool_call_id":"call_1","content":"snow"}},{{"role":"user","content":"And now?"}}],"tools":[{tool}],"temperature":0.7,"max_completion_tokens":256,"stream":true}}"#
    )
}

fn read<'d>(wire: Wire, doc: &'d Doc<'d>) -> ChatRequest<'d> {
    wire.read_request(doc, true, &mut Dropped::default()).expect("a good request")
}

fn translate(client: Wire, provider: Wire, body: &[u8]) -> usize {
    let doc = Doc::parse(body).expect("a good request");
    let request = read(client, &doc);
    let mut out = Vec::with_capacity(body.len() + 512);
    provider
        .write_request(&request, &TARGET, &mut Dropped::default(), &mut out)
        .expect("a request all can express");
    out.len()
}

fn context() -> AnswerContext {
    AnswerContext {
        id: "0123456789abcdef".into(),
        model: "m".into(),
        created: 1,
        include_usage: true,
        json_array: false,
    }
}

/// The frames of a stream of text in a dialect, by way of its writer.
fn frames(wire: Wire) -> Vec<(Option<Vec<u8>>, Vec<u8>)> {
    let (mut encoder, mut out) = (wire.encoder(context()), Vec::new());
    encoder.event(&Event::Start { id: None, model: None }, &mut out);
    for _ in 0..DELTAS {
        encoder.event(&Event::Text { choice: 0, text: Text::literal(" token\\n") }, &mut out);
    }
    encoder.event(&Event::Finish { choice: 0, finish: Finish::Stop, stop_sequence: None }, &mut out);
    encoder.event(&Event::Usage(Usage { input: 9, output: 200, ..Usage::default() }), &mut out);
    encoder.event(&Event::End, &mut out);
    let own = |name: Option<&[u8]>, data: &[u8]| (name.map(<[u8]>::to_vec), data.to_vec());
    if wire == Wire::Bedrock {
        return event_stream::messages(&out)
            .map(|message| message.frame())
            .map(|it| own(it.name, it.data))
            .collect();
    }
    let with_data = sse::events(&out).filter_map(|event| Some(own(event.name, event.data_lines().next()?)));
    with_data.collect()
}

fn follow(provider: Wire, client: Wire, frames: &[(Option<Vec<u8>>, Vec<u8>)]) -> usize {
    let (mut decoder, mut encoder) = (provider.decoder(), client.encoder(context()));
    let (mut out, mut bytes) = (Vec::with_capacity(4_096), 0);
    for (name, data) in frames {
        let frame = Frame { name: name.as_deref(), data };
        decoder.frame(frame, &mut |event| encoder.event(&event, &mut out)).expect("a frame of the dialect");
        bytes += out.len();
        out.clear();
    }
    decoder.end(&mut |event| encoder.event(&event, &mut out));
    bytes + out.len()
}
