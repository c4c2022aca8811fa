//! Recorded traffic of real providers, where it is at hand.

mod support;

use std::fs;

use serde_json::Value;
use sluice_dialects::openai::stream::EventClass;
use sluice_dialects::openai::{Endpoint, inspect};
use sluice_types::Usage;
use support::fuzz_bodies::{Followed, follow, tap_body};
use support::recorded::{Exchange, cassette, files, fixtures, report};

fn endpoint_of(path: &str) -> Option<Endpoint> {
    let path = path.split('?').next().unwrap_or_default();
    Some(match path.rsplit("/").next().unwrap_or_default() {
        "completions" if path.ends_with("chat/completions") => Endpoint::Chat,
        "completions" => Endpoint::Completions,
        "embeddings" => Endpoint::Embeddings,
        "responses" => Endpoint::Responses,
        _ => return None,
    })
}

/// Follows a stream whole and cut in many ways, with the same outcome.
fn followed(endpoint: Endpoint, stream: &[u8]) -> Followed {
    let whole = follow(endpoint, stream, &mut |_| usize::MAX);
    for length in [1, 2, 3, 7, 64, 1000] {
        assert_eq!(follow(endpoint, stream, &mut |_| length), whole);
    }
    whole
}

/// Usage by way of a tree.
fn reference_usage(value: &Value) -> Option<Usage> {
    let usage = value.get("usage").filter(|usage| usage.is_object())?;
    let count = |paths: [&str; 2]| {
        let found = paths.iter().find_map(|path| usage.pointer(path)?.as_u64());
        u32::try_from(found.unwrap_or_default()).expect("recorded counts are small")
    };
    Some(Usage {
        input: count(["/prompt_tokens", "/input_tokens"]),
        cached_input: count(["/prompt_tokens_details/cached_tokens", "/input_tokens_details/cached_tokens"]),
        cache_write: count([
            "/prompt_tokens_details/cache_write_tokens",
            "/input_tokens_details/cache_write_tokens",
        ]),
        output: count(["/completion_tokens", "/output_tokens"]),
        reasoning: count([
            "/completion_tokens_details/reasoning_tokens",
            "/output_tokens_details/reasoning_tokens",
        ]),
        audio_input: count(["/prompt_tokens_details/audio_tokens", "/input_tokens_details/audio_tokens"]),
        image_input: count(["/prompt_tokens_details/image_tokens", "/input_tokens_details/image_tokens"]),
        audio_output: count([
            "/completion_tokens_details/audio_tokens",
            "/output_tokens_details/audio_tokens",
        ]),
        image_output: count([
            "/completion_tokens_details/image_tokens",
            "/output_tokens_details/image_tokens",
        ]),
        ..Usage::default()
    })
}

/// The usage of the last chunk, or of the response the last event holds, that has any.
fn reference_stream_usage(stream: &Followed) -> Option<Usage> {
    let data =
        stream.events.iter().filter_map(|(_, data)| serde_json::from_slice::<Value>(data.as_deref()?).ok());
    data.filter_map(|value| reference_usage(value.get("response").unwrap_or(&value))).next_back()
}

/// Whether a choice has a reason to have finished, or a response has come to its end.
fn reference_finished(stream: &Followed) -> bool {
    let finished = |value: &Value| {
        let choices = value.get("choices").and_then(Value::as_array);
        choices.is_some_and(|choices| choices.iter().any(|choice| choice["finish_reason"].is_string()))
            || value["type"] == "response.completed"
    };
    let mut data = stream.events.iter().filter_map(|(_, data)| data.as_deref());
    data.any(|data| serde_json::from_slice(data).is_ok_and(|value| finished(&value)))
}

fn check_answer(name: &str, body: &str) {
    let value: Value = serde_json::from_str(body).unwrap_or_else(|error| panic!("{name}: {error}"));
    let facts = tap_body([body.as_bytes()]);
    for length in [1, 2, 13, 100, 4096] {
        assert_eq!(tap_body(body.as_bytes().chunks(length)), facts, "{name}");
    }
    assert!(facts.is_json_object && facts.complete, "{name}");
    assert_eq!(facts.usage, reference_usage(&value), "{name}");
    assert_eq!(facts.has_error, value.get("error").is_some_and(|error| !error.is_null()), "{name}");
}

fn check_request(name: &str, endpoint: Endpoint, exchange: &Exchange) -> bool {
    let body = exchange.request.as_bytes();
    let view = inspect(endpoint, body).unwrap_or_else(|error| panic!("{name}: {error}"));
    let value: Value = serde_json::from_str(&exchange.request).expect("recorded requests are JSON");
    assert_eq!(view.model(body, &mut [0; 256]), value["model"], "{name}");
    assert_eq!(view.stream, value.get("stream") == Some(&Value::Bool(true)), "{name}");
    assert_eq!(view.splices(body, None, false).as_slices(), [body], "{name}");
    let asked = value.pointer("/stream_options/include_usage") == Some(&Value::Bool(true));
    assert_eq!(view.include_usage, asked, "{name}");
    view.stream
}

/// Every request is accepted, those included that the provider refused: its refusals are its own.
#[test]
fn recorded_exchanges() {
    let Some(folder) = fixtures() else { return };
    let mut seen = 0;
    for path in files(&folder.join("openai-recorded"), &["yaml"]) {
        let name = path.file_name().expect("a file").to_string_lossy().into_owned();
        let exchange = cassette(&path);
        let Some(endpoint) = endpoint_of(&exchange.path) else { continue };
        assert_eq!(
            exchange.lengths,
            [exchange.request.len(), exchange.response.len()],
            "{name} is read as recorded"
        );
        seen += 1;
        if check_request(&name, endpoint, &exchange) && exchange.status == 200 {
            let stream = followed(endpoint, exchange.response.as_bytes());
            assert_eq!(stream.classes.last(), Some(&EventClass::Done), "{name}");
            assert!(stream.finished && stream.rest.is_empty(), "{name}");
            // All of one answer went into reasoning.
            assert_eq!(stream.saw_output, name != "chat-streaming-detailed-usage.yaml", "{name}");
            assert_eq!(stream.usage, reference_stream_usage(&stream), "{name}");
            assert_eq!(stream.usage.is_some(), stream.classes.contains(&EventClass::UsageOnly), "{name}");
        } else {
            check_answer(&name, &exchange.response);
        }
    }
    assert!(seen >= 30, "only {seen} exchanges were read");
    report(&format!("{seen} recorded exchanges"));
}

#[test]
fn recorded_oddities() {
    let Some(folder) = fixtures() else { return };
    let oddities = folder.join("oddities");
    let mut seen = 0;
    for path in
        [files(&oddities.join("openai"), &["json"]), files(&oddities.join("protocol-conversion"), &["json"])]
            .concat()
    {
        check_answer(&path.to_string_lossy(), &fs::read_to_string(&path).expect("a readable file"));
        seen += 1;
    }
    for path in
        [files(&oddities.join("openai"), &["sse"]), files(&oddities.join("protocol-conversion"), &["sse"])]
            .concat()
    {
        let name = path.file_name().expect("a file").to_string_lossy().into_owned();
        let endpoint = if name.starts_with("responses") { Endpoint::Responses } else { Endpoint::Chat };
        let stream = followed(endpoint, &fs::read(&path).expect("a readable file"));
        if name == "anthropic-mismatch.sse" {
            assert!(!stream.classes.contains(&EventClass::Done), "another dialect never finishes");
        } else {
            assert_eq!(stream.usage, reference_stream_usage(&stream), "{name}");
        }
        assert_eq!(stream.finished, reference_finished(&stream), "{name}");
        assert!(!stream.classes.contains(&EventClass::Malformed), "{name}");
        seen += 1;
    }
    assert!(seen >= 40, "only {seen} files were read");
    report(&format!("{seen} oddities"));
}
