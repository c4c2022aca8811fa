//! Recorded chat completions, translated into every dialect, where recordings are at hand.

mod support;

use std::fs;

use sluice_dialects::exchange::Dropped;
use sluice_dialects::json::Doc;
use sluice_dialects::openai::Endpoint;
use sluice_dialects::wire::Wire;
use support::canon::{self, Answered, Fold, Given};
use support::cases::{OwnFrame, WIRES, context, frames, sse_frames, target};
use support::fuzz_bodies::follow;
use support::recorded::{Exchange, cassette, files, fixtures};

/// The recorded exchanges of chat completions.
fn exchanges() -> Vec<(String, Exchange)> {
    let Some(folder) = fixtures() else { return Vec::new() };
    let all = files(&folder.join("openai-recorded"), &["yaml"]);
    let name = |path: &std::path::Path| path.file_stem().expect("a name").to_string_lossy().into_owned();
    let all = all.iter().map(|path| (name(path), cassette(path)));
    let found: Vec<_> = all.filter(|(_, exchange)| exchange.path.contains("chat/completions")).collect();
    assert!(found.len() >= 15, "only {} recordings", found.len());
    found
}

fn clients() -> impl Iterator<Item = Wire> {
    WIRES.into_iter().map(|(wire, _)| wire).filter(|wire| *wire != Wire::Ollama)
}

#[test]
fn recorded_requests_are_read_and_written() {
    for (name, exchange) in exchanges().iter().filter(|(_, exchange)| exchange.status == 200) {
        let doc = Doc::parse(exchange.request.as_bytes()).unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut dropped = Dropped::default();
        let request = Wire::OpenaiChat.read_request(&doc, false, &mut dropped);
        let request = request.unwrap_or_else(|error| panic!("{name}: {error}"));
        for (wire, dialect) in WIRES {
            let mut out = Vec::new();
            let written = wire.write_request(&request, &target(wire), &mut Dropped::default(), &mut out);
            if written.is_ok() {
                assert!(Doc::parse(&out).is_ok(), "{name} -> {dialect}: {}", String::from_utf8_lossy(&out));
            }
        }
        let names: Vec<&str> = dropped.names().collect();
        let known = [
            "store",
            "metadata",
            "modalities",
            "audio",
            "web_search_options",
            "prediction",
            "stream_options",
        ];
        assert!(names.iter().all(|name| known.contains(name)), "{name}: {names:?}");
    }
}

#[test]
fn recorded_answers_say_the_same_to_every_client() {
    for (name, exchange) in &exchanges() {
        if exchange.status != 200 || !exchange.response.trim_start().starts_with('{') {
            continue;
        }
        let doc = Doc::parse(exchange.response.as_bytes()).unwrap_or_else(|error| panic!("{name}: {error}"));
        let answer = Wire::OpenaiChat.read_answer(&doc).unwrap_or_else(|error| panic!("{name}: {}", error.0));
        for client in clients() {
            let mut out = Vec::new();
            client.write_answer(&answer, &context(), &mut out);
            let doc = Doc::parse(&out).unwrap_or_else(|error| panic!("{name} -> {client:?}: {error}"));
            let again =
                client.read_answer(&doc).unwrap_or_else(|error| panic!("{name} -> {client:?}: {}", error.0));
            assert_eq!(said(&canon::answer(&again)), said(&canon::answer(&answer)), "{name} -> {client:?}");
        }
    }
}

/// What all dialects can say of an answer with one choice.
fn said(answered: &Answered) -> Answered {
    let first = answered.choices.first().cloned().unwrap_or_default();
    let first = Given { text: first.text, calls: first.calls, finish: first.finish, ..Given::default() };
    Answered { choices: vec![first], usage: answered.usage, ..Answered::default() }
}

#[test]
fn recorded_errors_keep_status_and_words() {
    for (name, exchange) in exchanges().iter().filter(|(_, exchange)| exchange.status >= 400) {
        let error = Wire::OpenaiChat.read_error(exchange.status, exchange.response.as_bytes());
        assert_eq!(error.status, exchange.status, "{name}");
        assert!(
            exchange.response.contains(&error.message[..error.message.len().min(20)]),
            "{name}: {error:?}"
        );
    }
}

fn decode(wire: Wire, stream: &[OwnFrame]) -> Answered {
    let (mut decoder, mut fold) = (wire.decoder(), Fold::default());
    for frame in stream {
        let read = decoder.frame(frame.borrow(), &mut |event| fold.event(&event));
        read.unwrap_or_else(|error| {
            panic!("{wire:?}: {}: {}", error.0, String::from_utf8_lossy(&frame.data))
        });
    }
    decoder.end(&mut |event| fold.event(&event));
    fold.finish()
}

/// The recorded and the odd streams of this dialect, whole ones only.
fn streams() -> Vec<(String, Vec<u8>)> {
    let recorded = exchanges().into_iter().filter(|(_, exchange)| exchange.response.starts_with("data:"));
    let mut streams: Vec<_> =
        recorded.map(|(name, exchange)| (name, exchange.response.into_bytes())).collect();
    let Some(folder) = fixtures() else { return streams };
    for odd in ["oddities/openai", "oddities/protocol-conversion"] {
        for path in files(&folder.join(odd), &["sse"]) {
            let stream = fs::read(&path).expect("a readable file");
            if stream.starts_with(b"data:") && stream.trim_ascii_end().ends_with(b"[DONE]") {
                streams.push((path.display().to_string(), stream));
            }
        }
    }
    streams
}

#[test]
fn recorded_streams_say_the_same_to_every_client() {
    for (name, stream) in streams() {
        let frames_in = sse_frames(&stream);
        let answered = decode(Wire::OpenaiChat, &frames_in);
        assert!(answered.ended && answered.error.is_none(), "{name}");
        // The tap of what passes untouched counts the same.
        let tapped = follow(Endpoint::Chat, &stream, &mut |_| usize::MAX);
        assert_eq!(answered.usage, tapped.usage.map(|usage| (usage.input, usage.output)), "{name}");
        for client in clients() {
            let (mut decoder, mut encoder, mut out) =
                (Wire::OpenaiChat.decoder(), client.encoder(context()), Vec::new());
            for frame in &frames_in {
                let read = decoder.frame(frame.borrow(), &mut |event| encoder.event(&event, &mut out));
                read.expect("it was read before");
            }
            decoder.end(&mut |event| encoder.event(&event, &mut out));
            let again = decode(client, &frames(client, &out));
            let (mut before, after) = (said(&answered), said(&again));
            if answered.usage.is_none() {
                before.usage = after.usage;
            }
            assert_eq!(before, after, "{name} -> {client:?}");
        }
    }
}
