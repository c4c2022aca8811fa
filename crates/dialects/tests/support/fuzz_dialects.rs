//! What the fuzz target of the translations does: no bytes make a dialect panic, and what it makes of those it understands
//! is JSON. Apart from the other bodies, for those are of what passes untouched.
#![allow(dead_code, reason = "each test binary and fuzz target uses a part")]

use sluice_dialects::exchange::{Dropped, Event};
use sluice_dialects::json::Doc;
use sluice_dialects::sse::{events, unfinished};
use sluice_dialects::wire::{AnswerContext, Encode, Frame, Quirks, Target, Wire};

/// Every dialect.
pub(crate) const WIRES: [Wire; 7] = [
    Wire::OpenaiChat,
    Wire::OpenaiResponses,
    Wire::Anthropic,
    Wire::Gemini,
    Wire::Bedrock,
    Wire::Cohere,
    Wire::Ollama,
];

/// The first byte chooses one of the dialects and what the rest is taken for; what is understood is written in all.
pub(crate) fn dialect(wires: &[Wire], data: &[u8]) {
    let Some((choice, body)) = data.split_first() else { return };
    let (choice, kind) = (usize::from(*choice) / 5, choice % 5);
    let wire = wires[choice % wires.len()];
    match kind {
        0 => parse(body),
        1 => request(wire, wires, body),
        2 => answer(wire, wires, body),
        3 => stream(wire, wires, body),
        _ => error(wire, wires, body),
    }
}

/// A document says where all is, and `serde_json` agrees on what is one.
fn parse(body: &[u8]) {
    let Ok(doc) = Doc::parse(body) else { return };
    let root = doc.root();
    assert!(is_json(root.raw()));
    for (name, value) in root.members() {
        assert!(is_json(value.raw()));
        let _ = (
            name.decode(),
            value.u64(),
            value.bool(),
            value.number(),
            value.text().map(|text| text.is_blank()),
        );
        value.elements().for_each(|element| assert!(is_json(element.raw())));
    }
}

fn is_json(text: &[u8]) -> bool {
    serde_json::from_slice::<&serde_json::value::RawValue>(text).is_ok()
}

fn context() -> AnswerContext {
    AnswerContext { id: "01".into(), model: "m".into(), created: 1, include_usage: true, json_array: false }
}

/// Ollama takes no requests, and so is only written to.
fn request(wire: Wire, wires: &[Wire], body: &[u8]) {
    let Ok(doc) = Doc::parse(body) else { return };
    let Ok(request) = wire.read_request(&doc, false, &mut Dropped::default()) else { return };
    for to in wires {
        let (mut dropped, mut out) = (Dropped::default(), Vec::new());
        let target = Target { model: "m", quirks: Quirks::NONE, default_max_tokens: 64 };
        if to.write_request(&request, &target, &mut dropped, &mut out).is_ok() {
            assert!(is_json(&out), "{to:?}: {}", String::from_utf8_lossy(&out));
        }
        let _ = dropped.header_value();
    }
}

fn clients(wires: &[Wire]) -> impl Iterator<Item = Wire> {
    wires.iter().copied().filter(|wire| *wire != Wire::Ollama)
}

fn answer(wire: Wire, wires: &[Wire], body: &[u8]) {
    let Ok(doc) = Doc::parse(body) else { return };
    let Ok(answer) = wire.read_answer(&doc) else { return };
    for to in clients(wires) {
        let mut out = Vec::new();
        to.write_answer(&answer, &context(), &mut out);
        assert!(is_json(&out), "{to:?}: {}", String::from_utf8_lossy(&out));
    }
}

/// Server-sent events for all, for what frames are cut from is not the dialect's.
fn stream(wire: Wire, wires: &[Wire], body: &[u8]) {
    let mut decoder = wire.decoder();
    let mut encoders: Vec<Box<dyn Encode>> = clients(wires).map(|to| to.encoder(context())).collect();
    let mut out = Vec::new();
    let mut sink = |event: Event<'_>| {
        for encoder in &mut encoders {
            out.clear();
            encoder.event(&event, &mut out);
        }
    };
    for event in events(body).chain(Some(unfinished(body))) {
        let mut data = Vec::new();
        event.join_data(&mut data);
        if decoder.frame(Frame { name: event.name, data: &data }, &mut sink).is_err() {
            return;
        }
    }
    decoder.end(&mut sink);
}

fn error(wire: Wire, wires: &[Wire], body: &[u8]) {
    let status = 400 + u16::from(body.first().copied().unwrap_or_default());
    let error = wire.read_error(status, body);
    assert!(error.message.len() <= 4_096, "a message is not a whole body");
    for to in clients(wires) {
        let mut out = Vec::new();
        to.write_error(&error, &mut out);
        assert!(is_json(&out), "{to:?}: {}", String::from_utf8_lossy(&out));
    }
}
