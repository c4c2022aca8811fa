//! A case of one dialect written in another.

use serde_json::{Map, Value};
use sluice_dialects::exchange::{Dropped, Event};
use sluice_dialects::json::Doc;
use sluice_dialects::wire::Wire;

use super::canon::{self, Answered, Fold};
use super::cases::{Case, OwnFrame, context, dialects, target};

/// A dialect and the name of its folder.
pub(crate) type Dialect = (Wire, &'static str);

/// Ordered pairs of a dialect that clients speak and one that providers do.
pub(crate) fn pairs() -> Vec<(Dialect, Dialect)> {
    let all = dialects();
    let ingress = all.iter().filter(|(wire, _)| *wire != Wire::Ollama);
    ingress.flat_map(|client| all.iter().map(|provider| (*client, *provider))).collect()
}

/// Runs a check over pairs and cases, and fails with all that was found.
pub(crate) fn report(found: &[String]) {
    assert!(found.is_empty(), "{} of them:\n{}", found.len(), found.join("\n"));
}

/// A request rewritten for another dialect.
pub(crate) struct Rewritten {
    pub(crate) before: Map<String, Value>,
    pub(crate) body: Result<Vec<u8>, String>,
    pub(crate) dropped: Vec<String>,
}

pub(crate) fn rewrite(case: &Case, request: &[u8], provider: Wire) -> Rewritten {
    let doc = Doc::parse(request).unwrap_or_else(|error| panic!("{}/{}: {error}", case.dialect, case.name));
    let mut dropped = Dropped::default();
    let read = case.wire.read_request(&doc, case.stream.is_some(), &mut dropped);
    let read = read.unwrap_or_else(|error| panic!("{}/{}: {error}", case.dialect, case.name));
    let mut dropped = Dropped::default();
    let mut out = Vec::new();
    let written = provider.write_request(&read, &target(provider), &mut dropped, &mut out);
    Rewritten {
        before: canon::request(&read),
        body: written.map(|()| out).map_err(|error| error.to_string()),
        dropped: dropped.names().map(str::to_owned).collect(),
    }
}

/// A provider's answer in a client's dialect.
pub(crate) fn rewrite_answer(provider: Wire, body: &[u8], client: Wire) -> (Answered, Vec<u8>) {
    let doc = Doc::parse(body).expect("an answer as JSON");
    let answer = provider.read_answer(&doc).expect("an answer of the dialect");
    let mut out = Vec::new();
    client.write_answer(&answer, &context(), &mut out);
    (canon::answer(&answer), out)
}

/// A provider's stream in a client's dialect.
pub(crate) fn rewrite_stream(provider: Wire, stream: &[OwnFrame], client: Wire) -> (Answered, Vec<u8>) {
    let mut decoder = provider.decoder();
    let mut encoder = client.encoder(context());
    let (mut fold, mut out) = (Fold::default(), Vec::new());
    let mut sink = |event: Event<'_>| {
        fold.event(&event);
        encoder.event(&event, &mut out);
    };
    for frame in stream {
        decoder.frame(frame.borrow(), &mut sink).expect("a frame of the dialect");
    }
    decoder.end(&mut sink);
    (fold.finish(), out)
}
