//! Between dialects: what goes wrong at the provider is told in the client's words, or another provider answers.

#![allow(clippy::unwrap_used, reason = "only tests call this")]

mod support;

use std::io::{Read, Write};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sluice_dialects::exchange::ErrorClass;
use sluice_types::{ErrorKind, flags};
use support::dialects::*;
use support::*;

/// Pairs in which every dialect asks and every dialect answers.
const PAIRS: [(Api, Api); 8] = [
    (OPENAI, ANTHROPIC),
    (RESPONSES, GEMINI),
    (ANTHROPIC, OPENAI),
    (ANTHROPIC, BEDROCK),
    (GEMINI, COHERE),
    (BEDROCK, RESPONSES),
    (COHERE, OLLAMA),
    (OPENAI, BEDROCK),
];

/// A provider's error of some case.
fn error_of(provider: Api) -> (u16, Vec<u8>) {
    let case: Value = serde_json::from_str(&provider.file("error-before", "error.json")).unwrap();
    let status = u16::try_from(case["status"].as_u64().unwrap()).unwrap();
    (status, http_answer(&format!("{status} Error"), "application/json", case["body"].to_string().as_bytes()))
}

#[test]
fn errors_are_told_in_the_clients_dialect() {
    for_each(PAIRS, |(client, provider)| {
        let (status, bytes) = error_of(provider);
        for stream in [false, true] {
            let what = format!("{} to {}", client.name, provider.name);
            let upstream = Upstream::answering(bytes.clone());
            let gateway = gateway_of(&[(provider, &upstream)]);
            let answer = gateway.raw(&client.request("m", stream));
            assert_eq!((answer.status, answer.whole), (status, true), "{what}: {}", answer.text());
            assert_eq!(answer.header("content-type"), Some("application/json"), "{what}");
            check_shape(client, &answer, &what);
            let meant = provider.wire.read_error(status, &read_answer(&mut &bytes[..]).body);
            let said = client.wire.read_error(status, &answer.body);
            assert_eq!((said.class, said.message), (meant.class, meant.message), "{what}: {}", answer.text());
            let record = gateway.record();
            assert_eq!((record.error(), record.tokens()), (Some(ErrorKind::UpstreamError), (0, 0)), "{what}");
        }
    });
}

/// The members that each dialect's SDK looks for.
fn check_shape(client: Api, answer: &Answer, what: &str) {
    let body = answer.json();
    let is_text = |pointer: &str| body.pointer(pointer).is_some_and(Value::is_string);
    let fits = match client.name {
        "openai" | "openai_responses" => is_text("/error/message") && is_text("/error/type"),
        "anthropic" => body["type"] == "error" && is_text("/error/type") && is_text("/error/message"),
        "gemini" => {
            body["error"]["code"] == answer.status && is_text("/error/status") && is_text("/error/message")
        }
        _ => is_text("/message"),
    };
    assert!(fits, "{what}: {}", answer.text());
    assert_eq!(answer.header("x-amzn-errortype").is_some(), client == BEDROCK, "{what}: {}", answer.head);
}

#[test]
fn another_dialect_answers_where_the_first_provider_fails() {
    let html = http_answer("500 Internal Server Error", "text/html", b"<html>nginx</html>");
    let foreign = json_answer("200 OK", r#"{"status":"ok","data":[]}"#);
    let page = http_answer("200 OK", "text/html", b"<!doctype html>");
    let empty = json_answer("200 OK", "");
    for_each(PAIRS, |(client, provider)| {
        let failing = [html.clone(), foreign.clone(), page.clone(), empty.clone(), error_of(GEMINI).1];
        for (nth, bytes) in failing.into_iter().enumerate() {
            for stream in [false, true] {
                let what = format!("{} to {}: {nth} {stream}", client.name, provider.name);
                let first = Upstream::answering(bytes.clone());
                let good = if stream { provider.streamed("text") } else { provider.answer("text") };
                let (second, alone) = (Upstream::answering(good), Upstream::answering(bytes.clone()));
                // First a dialect that is neither the client's nor the second's, so that all are translated.
                let third = if client == GEMINI { ANTHROPIC } else { GEMINI };
                let third = if third == provider { COHERE } else { third };
                let gateway = gateway_of(&[(third, &first), (provider, &second)]);
                let answer = gateway.raw(&client.request("m", stream));
                assert_eq!(answer.status, 200, "{what}: {}", answer.text());
                assert!(!client.read(&answer).text.is_empty(), "{what}");
                assert_eq!((gateway.record().get("attempts"), first.times_asked()), (2, 1), "{what}");
                let gateway = gateway_of(&[(third, &alone)]);
                let answer = gateway.raw(&client.request("m", stream));
                assert_eq!(answer.status, [500, 502, 502, 502, 429][nth], "{what}: {}", answer.text());
                check_shape(client, &answer, &what);
            }
        }
    });
}

#[test]
fn an_error_at_the_front_of_a_stream_is_an_http_error_and_another_provider_answers() {
    for_each(PAIRS, |(client, provider)| {
        if provider == COHERE {
            return;
        }
        let what = format!("{} to {}", client.name, provider.name);
        let frames = provider.frames("error-in-stream");
        let error = provider.streamed_as(&frames[frames.len() - 1..]);
        let alone = Upstream::answering(error.clone());
        let answer = gateway_of(&[(provider, &alone)]).raw(&client.request("m", true));
        assert!(answer.status >= 400, "{what}: {} {}", answer.status, answer.text());
        check_shape(client, &answer, &what);
        let second = if provider == GEMINI { ANTHROPIC } else { GEMINI };
        let (failing, good) = (Upstream::answering(error), Upstream::answering(second.streamed("text")));
        let gateway = gateway_of(&[(provider, &failing), (second, &good)]);
        let answer = gateway.raw(&client.request("m", true));
        assert_eq!(answer.status, 200, "{what}: {}", answer.text());
        assert!(client.read(&answer).ended, "{what}");
    });
}

#[test]
fn an_error_inside_a_stream_is_one_in_the_clients_dialect() {
    for_each(PAIRS, |(client, provider)| {
        let what = format!("{} to {}", client.name, provider.name);
        let upstream = Upstream::answering(provider.streamed("error-in-stream"));
        let gateway = gateway_of(&[(provider, &upstream)]);
        let answer = gateway.raw(&client.request("m", true));
        assert_eq!(answer.status, 200, "{what}: {}", answer.text());
        let said = client.read(&answer);
        assert!(!said.text.is_empty(), "{what}: {}", answer.text());
        let error = said.error.unwrap_or_else(|| panic!("{what}: {}", answer.text()));
        assert!(!error.message.is_empty(), "{what}: {}", answer.text());
        assert_eq!(gateway.record().error(), Some(ErrorKind::UpstreamError), "{what}");
        gateway.is_at_rest();
    });
}

#[test]
fn a_stream_cut_short_ends_with_an_error() {
    for_each(PAIRS, |(client, provider)| {
        let frames = provider.frames("text");
        let count = frames.len().min(match provider.name {
            "gemini" | "ollama" => 1,
            "openai_responses" => 6,
            "anthropic" => 5,
            _ => 3,
        });
        let half: Vec<u8> =
            [provider.stream_head(), frames[..count].iter().flat_map(|f| chunk_of(f)).collect()].concat();
        for bytes in [half.clone(), [half, b"0\r\n\r\n".to_vec()].concat()] {
            let what = format!("{} to {}", client.name, provider.name);
            let upstream = Upstream::closing_after(bytes);
            let gateway = gateway_of(&[(provider, &upstream)]);
            let answer = gateway.raw(&client.request("m", true));
            assert_eq!((answer.status, answer.whole), (200, false), "{what}: {}", answer.text());
            let said = client.read(&answer);
            let error = said.error.unwrap_or_else(|| panic!("{what}: {}", answer.text()));
            assert!(error.message.contains("provider"), "{what}: {error:?}");
            let record = gateway.record();
            assert_eq!(record.error(), Some(ErrorKind::UpstreamTruncated), "{what}");
            assert_ne!(record.get("flags") & u64::from(flags::TRUNCATED), 0, "{what}");
        }
    });
}

#[test]
fn googles_time_to_wait_cools_the_target_down() {
    let limited = Upstream::answering(error_of(GEMINI).1);
    let other = Upstream::answering(COHERE.answer("text"));
    let gateway = gateway_of(&[(GEMINI, &limited), (COHERE, &other)]);
    for _ in 0..5 {
        assert_eq!(gateway.raw(&ANTHROPIC.request("m", false)).status, 200);
        thread::sleep(Duration::from_millis(400));
    }
    assert_eq!(limited.times_asked(), 1);
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

/// Nobody asked for a content coding, but what comes in one is read all the same.
#[test]
fn compressed_answers_are_read() {
    let gzipped = |status: &str, body: &[u8]| {
        let body = gzip(body);
        let length = body.len();
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\ncontent-length: {length}\r\n\r\n"
        );
        [head.as_bytes(), &body].concat()
    };
    for_each(PAIRS, |(client, provider)| {
        let upstream = Upstream::answering(gzipped("200 OK", &provider.document("text")));
        let answer = gateway_of(&[(provider, &upstream)]).raw(&client.request("m", false));
        assert_eq!((answer.status, answer.header("content-encoding")), (200, None), "{}", answer.text());
        assert!(!client.read(&answer).text.is_empty());
        let error = read_answer(&mut &error_of(provider).1[..]).body;
        let upstream = Upstream::answering(gzipped("429 Too Many", &error));
        let answer = gateway_of(&[(provider, &upstream)]).raw(&client.request("m", false));
        assert_eq!((answer.status, answer.header("content-encoding")), (429, None));
        check_shape(client, &answer, client.name);
        let said = client.wire.read_error(429, &answer.body);
        assert_eq!(said.class, ErrorClass::RateLimit);
    });
}

/// A stream in a content coding that nobody asked for cannot be read event by event: it is no answer, and never garbage.
#[test]
fn edge_28_a_compressed_stream_is_no_stream_to_translate() {
    for_each([(OPENAI, ANTHROPIC), (ANTHROPIC, OPENAI), (GEMINI, COHERE)], |(client, provider)| {
        let body = gzip(&provider.frames("text").concat());
        let length = body.len();
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-encoding: gzip\r\ncontent-length: {length}\r\n\r\n"
        );
        let upstream = Upstream::answering([head.as_bytes(), &body].concat());
        let answer = gateway_of(&[(provider, &upstream)]).raw(&client.request("m", true));
        assert_eq!((answer.status, answer.whole), (502, true), "{}", answer.text());
        check_shape(client, &answer, client.name);
    });
}

/// A provider that repeats its key in an error does not give it away.
#[test]
fn the_providers_key_is_masked() {
    let words = format!("Incorrect API key provided: {PROVIDER_KEY}.");
    let body =
        json!({"error": {"message": words, "code": 401, "type": "authentication_error"}, "message": words});
    for_each(PAIRS, |(client, provider)| {
        let upstream = Upstream::answering(json_answer("401 Unauthorized", &body.to_string()));
        let answer = gateway_of(&[(provider, &upstream)]).raw(&client.request("m", false));
        assert_eq!(answer.status, 401);
        assert!(!answer.text().contains(PROVIDER_KEY), "{}", answer.text());
        assert!(answer.text().contains("Incorrect API key provided: ***"), "{}", answer.text());
    });
}

#[test]
fn an_event_that_is_too_long_breaks_the_stream_off() {
    let limit = [("/settings/max_event_bytes", json!(20_000))];
    for_each([(OPENAI, ANTHROPIC), (ANTHROPIC, BEDROCK), (GEMINI, OLLAMA)], |(client, provider)| {
        let frames = provider.frames("text");
        let endless = match provider.name {
            // A message that says it is a megabyte long, as its prelude with a right checksum.
            "bedrock" => {
                let mut long = Vec::new();
                let fill = |out: &mut Vec<u8>| out.resize(out.len() + 1_000_000, b' ');
                sluice_dialects::event_stream::write_event(&mut long, "contentBlockDelta", fill);
                long.truncate(60_000);
                long
            }
            "ollama" => vec![b' '; 60_000],
            _ => [b"data: ".to_vec(), vec![b' '; 60_000]].concat(),
        };
        let said = if provider == OLLAMA { 1 } else { 5 };
        for from in [0, said] {
            let chunks: Vec<u8> = frames[..from].iter().chain([&endless]).flat_map(|f| chunk_of(f)).collect();
            let (upstream, _closed) = Upstream::hanging_after([provider.stream_head(), chunks].concat());
            let gateway = gateway_with(&[(provider, &upstream)], &limit);
            let answer = gateway.raw(&client.request("m", true));
            if from == 0 {
                assert_eq!(answer.status, 502, "{}: {}", provider.name, answer.text());
                continue;
            }
            assert_eq!((answer.status, answer.whole), (200, false), "{}", provider.name);
            let error = client.read(&answer).error.unwrap_or_else(|| panic!("{}", answer.text()));
            assert!(error.message.contains("longer"), "{error:?}");
        }
    });
}

/// A client that goes takes its provider's work along, and pays for what was said until then.
#[test]
fn a_client_that_leaves_stops_the_provider_and_is_booked() {
    for_each(PAIRS, |(client, provider)| {
        let frames = provider.frames(if provider == OLLAMA { "text" } else { "usage-cache-reasoning" });
        let count = match provider.name {
            "gemini" | "ollama" => 1,
            "openai_responses" => frames.len() - 2,
            _ => frames.len() * 2 / 3,
        };
        let chunks: Vec<u8> = frames[..count].iter().flat_map(|frame| chunk_of(frame)).collect();
        let (upstream, closed) = Upstream::hanging_after([provider.stream_head(), chunks].concat());
        let gateway = gateway_of(&[(provider, &upstream)]);
        let mut stream = gateway.connect();
        stream.write_all(&client.request("m", true)).unwrap();
        let mut piece = [0; 4096];
        assert!(stream.read(&mut piece).unwrap() > 0);
        let left = Instant::now();
        drop(stream);
        let after = closed.recv_timeout(Duration::from_secs(3)).expect("the provider was let go");
        assert!(after.saturating_duration_since(left) < Duration::from_millis(800), "{}", provider.name);
        let record = gateway.record();
        assert_eq!(record.error(), Some(ErrorKind::ClientGone), "{}", provider.name);
        assert!(record.get("input_tokens") > 0 && record.get("output_tokens") > 0, "{}", provider.name);
        gateway.is_at_rest();
    });
}

/// What a translated answer cost is settled against the key's limits.
#[test]
fn limits_settle() {
    let limits = [("/keys/0/limits", json!({"tokens_per_minute": 3000, "concurrency": 1}))];
    for stream in [false, true] {
        let case = "usage-cache-reasoning";
        let upstream =
            Upstream::answering(if stream { ANTHROPIC.streamed(case) } else { ANTHROPIC.answer(case) });
        let gateway = gateway_with(&[(ANTHROPIC, &upstream)], &limits);
        // 1895 tokens each: the second goes over the limit, and the third is refused.
        let statuses = [0; 3].map(|_| {
            let status = gateway.raw(&BEDROCK.request("m", stream)).status;
            gateway.is_at_rest();
            status
        });
        assert_eq!(statuses, [200, 200, 429], "stream: {stream}");
    }
}
