//! Every stored case, from every dialect into every other: nothing is lost but what is named.

mod support;

use serde_json::Value;
use sluice_dialects::exchange::{Dropped, ErrorClass};
use sluice_dialects::json::Doc;
use sluice_dialects::wire::Wire;
use support::canon;
use support::canon::{Answered, Fold};
use support::cases::{OwnFrame, cases, frames};
use support::rewrite::{Rewritten, pairs, report, rewrite, rewrite_answer, rewrite_stream};

/// Members of a canonical request with the words by which what was dropped of them is named.
const NAMED: [(&str, &[&str]); 25] = [
    ("system", &["messages.content", "system"]),
    ("turns", &["messages.", "image", "document", "file", "audio", "video", "thinking", "tool_result"]),
    ("names", &["messages.name"]),
    ("cache", &["cache"]),
    ("tools", &["tools"]),
    ("tool_choice", &["tool_choice"]),
    ("parallel_tool_calls", &["parallel_tool_calls"]),
    ("max_tokens", &["max_tokens"]),
    ("temperature", &["temperature"]),
    ("top_p", &["top_p"]),
    ("top_k", &["top_k"]),
    ("frequency_penalty", &["frequency_penalty"]),
    ("presence_penalty", &["presence_penalty"]),
    ("seed", &["seed"]),
    ("stop", &["stop"]),
    ("n", &["n"]),
    ("logprobs", &["logprobs"]),
    ("top_logprobs", &["top_logprobs"]),
    ("logit_bias", &["logit_bias"]),
    ("format", &["response_format"]),
    ("reasoning", &["reasoning", "thinking"]),
    ("user", &["user"]),
    ("verbosity", &["verbosity"]),
    ("service_tier", &["service_tier"]),
    ("cache_key", &["prompt_cache_key"]),
];

/// The members that were lost without a word.
fn lost(provider: Wire, rewritten: &Rewritten, after: &serde_json::Map<String, Value>) -> Vec<String> {
    let mut lost = Vec::new();
    for (name, words) in NAMED {
        let (mut before, mut after) = (rewritten.before[name].clone(), after[name].clone());
        if name == "turns" {
            without_proofs(provider, &mut before);
            without_proofs(provider, &mut after);
        }
        let said = rewritten.dropped.iter().any(|dropped| {
            let elsewhere = name == "turns" && dropped == "messages.name";
            !elsewhere
                && words
                    .iter()
                    .any(|word| dropped.starts_with(word) || *word == "cache" && dropped.contains(word))
        });
        // A limit may have to be made up, and to think as the model sees fit is what most do unasked.
        let by_default = name == "max_tokens" && before.is_null() || before == "dynamic" && after != "off";
        if before != after && !said && !by_default {
            lost.push(format!("{name}: {before} became {after}, dropped {:?}", rewritten.dropped));
        }
    }
    lost
}

/// Takes away proofs that mean nothing to the provider and need no word: Gemini's of a call anywhere else, and all where
/// thoughts have none.
fn without_proofs(provider: Wire, turns: &mut Value) {
    let kinds: &[&str] = match provider {
        Wire::Gemini => &[],
        Wire::Cohere => &["call", "thinking"],
        _ => &["call"],
    };
    let parts = turns.as_array_mut().into_iter().flatten().filter_map(|turn| turn[1].as_array_mut());
    for part in parts.flatten() {
        for kind in kinds {
            if let Some(signature) = part.get_mut(kind).and_then(|part| part.get_mut("signature")) {
                signature.take();
            }
        }
    }
}

#[test]
fn requests_keep_all_that_is_not_named() {
    let mut found = Vec::new();
    for ((client, dialect), (provider, to)) in pairs() {
        for case in cases(client, dialect) {
            let Some(request) = &case.request else { continue };
            let rewritten = rewrite(&case, request, provider);
            let Ok(body) = &rewritten.body else { continue };
            let label = format!("{dialect} -> {to}, {}", case.name);
            let Ok(doc) = Doc::parse(body) else {
                found.push(format!("{label}: no JSON: {}", String::from_utf8_lossy(body)));
                continue;
            };
            if provider == Wire::Ollama {
                continue;
            }
            match provider.read_request(&doc, case.stream.is_some(), &mut Dropped::default()) {
                Ok(again) => found.extend(
                    lost(provider, &rewritten, &canon::request(&again))
                        .iter()
                        .map(|lost| format!("{label}: {lost}")),
                ),
                Err(error) => found.push(format!("{label}: refused: {error}")),
            }
        }
    }
    report(&found);
}

fn read_answer(wire: Wire, body: &[u8]) -> Result<Answered, String> {
    let doc = Doc::parse(body).map_err(|error| error.to_string())?;
    let answer = wire.read_answer(&doc).map_err(|malformed| malformed.0.to_owned())?;
    Ok(canon::answer(&answer))
}

/// What the client's dialect cannot say is taken from both.
fn comparable(client: Wire, mut answered: Answered) -> Answered {
    if !matches!(client, Wire::OpenaiChat | Wire::Gemini) {
        answered.choices.truncate(1);
    }
    if answered.choices.is_empty() {
        answered.choices.push(canon::Given { finish: "content_filter", ..canon::Given::default() });
    }
    for given in &mut answered.choices {
        // Gemini's proofs of calls are kept among those of thoughts by dialects that have no place for them at a call.
        if given.signature.starts_with("tool") {
            given.signature.clear();
        }
        match client {
            Wire::Cohere => {
                given.signature.clear();
                given.redacted.clear();
                given.media.clear();
            }
            Wire::Anthropic | Wire::Bedrock => given.media.clear(),
            Wire::Gemini => given.redacted.clear(),
            _ => {}
        }
    }
    answered
}

/// Whether a client understands the same. An answer that was filtered, refused or failed may be said otherwise where the
/// dialect has no word for it, but not less.
fn is_same(client: Wire, before: &Answered, after: &Answered) -> bool {
    let (before, after) = (comparable(client, before.clone()), comparable(client, after.clone()));
    let broken = before.choices.iter().any(|given| matches!(given.finish, "content_filter" | "error"));
    let tolerant = match client {
        Wire::Anthropic | Wire::Cohere => true,
        Wire::OpenaiResponses => before.choices[0].finish == "error",
        _ => false,
    };
    if broken && tolerant {
        return after.choices[0].text.starts_with(&before.choices[0].text);
    }
    before == after
}

#[test]
fn answers_say_the_same() {
    let mut found = Vec::new();
    for ((client, to), (provider, dialect)) in pairs() {
        for case in cases(provider, dialect) {
            let Some(body) = &case.answer else { continue };
            let (before, written) = rewrite_answer(provider, body, client);
            let label = format!("{dialect} -> {to}, {}", case.name);
            match read_answer(client, &written) {
                Ok(after) => {
                    if !is_same(client, &before, &after) {
                        found.push(format!("{label}:\n  {before:?}\n  {after:?}"));
                    }
                }
                // A failed answer is no answer in the Responses dialect.
                Err(_)
                    if client == Wire::OpenaiResponses
                        && before.choices.iter().any(|it| it.finish == "error") => {}
                Err(why) => found.push(format!("{label}: {why}: {}", String::from_utf8_lossy(&written))),
            }
        }
    }
    report(&found);
}

fn decode(wire: Wire, stream: &[OwnFrame]) -> Result<Answered, String> {
    let mut decoder = wire.decoder();
    let mut fold = Fold::default();
    for frame in stream {
        let read = decoder.frame(frame.borrow(), &mut |event| fold.event(&event));
        read.map_err(|malformed| format!("{}: {}", malformed.0, String::from_utf8_lossy(&frame.data)))?;
    }
    decoder.end(&mut |event| fold.event(&event));
    Ok(fold.finish())
}

#[test]
fn streams_say_the_same() {
    let mut found = Vec::new();
    for ((client, to), (provider, dialect)) in pairs() {
        for case in cases(provider, dialect) {
            let Some(stream) = &case.stream else { continue };
            let label = format!("{dialect} -> {to}, {}", case.name);
            let (before, written) = rewrite_stream(provider, stream, client);
            if before.error.is_none() && !before.ended {
                found.push(format!("{label}: the stream never ends"));
            }
            match decode(client, &frames(client, &written)) {
                Ok(after) => {
                    let same = if before.error.is_some() {
                        is_same_failure(&before, &after)
                    } else if client == Wire::OpenaiChat
                        && before.choices.iter().all(|it| it.finish == "error")
                    {
                        // A failure has no reason in chat completions: the stream ends with an error.
                        after.error.is_some() && is_same_text(&before, &after)
                    } else {
                        is_same(client, &before, &after)
                    };
                    if !same {
                        found.push(format!("{label}:\n  {before:?}\n  {after:?}"));
                    }
                }
                Err(why) => found.push(format!("{label}: {why}")),
            }
        }
    }
    report(&found);
}

/// What was said before the failure, and that it failed, with its words.
fn is_same_failure(before: &Answered, after: &Answered) -> bool {
    let words = |answered: &Answered| answered.error.clone().map(|(_, message)| message);
    is_same_text(before, after) && words(before) == words(after)
}

fn is_same_text(before: &Answered, after: &Answered) -> bool {
    let texts = |answered: &Answered| -> Vec<String> {
        let said = answered.choices.iter().map(|given| given.text.clone());
        said.filter(|text| !text.is_empty()).collect()
    };
    texts(before) == texts(after)
}

#[test]
fn errors_keep_their_class() {
    let mut found = Vec::new();
    for ((client, to), (provider, dialect)) in pairs() {
        for case in cases(provider, dialect) {
            let Some((status, body)) = &case.error else { continue };
            let label = format!("{dialect} -> {to}, {}", case.name);
            let before = provider.read_error(*status, body);
            let mut written = Vec::new();
            client.write_error(&before, &mut written);
            let after = client.read_error(before.status, &written);
            if (before.status / 100) != (*status / 100) || before.message.is_empty() {
                found.push(format!("{label}: {status} became {before:?}"));
            }
            let same_class =
                after.class == before.class || after.class == ErrorClass::of_status(before.status);
            if !same_class || before.message != after.message {
                found.push(format!("{label}:\n  {before:?}\n  {after:?}"));
            }
        }
    }
    report(&found);
}
