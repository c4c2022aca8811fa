//! Dialects other than OpenAI's pass untouched where the provider speaks them too: documents, streams, usage, errors.

#![allow(clippy::unwrap_used, reason = "only tests call this")]

mod support;

use std::thread;
use std::time::Duration;

use std::io::Write;

use serde_json::{Value, json};
use sluice_types::{ErrorKind, flags};
use support::dialects::*;
use support::*;

/// Every native pair, Vertex's paths included.
const NATIVE: [Api; 5] = [ANTHROPIC, GEMINI, VERTEX, BEDROCK, COHERE];

/// Cases with everything a tap could trip over.
const CASES: [&str; 5] = ["text", "tools-parallel", "reasoning", "length", "usage-cache-reasoning"];

#[test]
fn documents_pass_untouched() {
    for_each(NATIVE, |api| {
        for case in CASES {
            let upstream = Upstream::answering(api.answer(case));
            let gateway = gateway_of(&[(api, &upstream)]);
            let answer = gateway.raw(&api.request("m", false));
            assert_eq!((answer.status, answer.whole), (200, true), "{} {case}: {}", api.name, answer.text());
            assert!(answer.body == api.document(case), "{} {case}", api.name);
            assert_eq!(answer.header("content-type"), Some("application/json"));
            let (sent, asked) = (seen(&upstream), api.request("m", false));
            assert!(asked.ends_with(&sent.body), "{} {case}", api.name);
            assert_eq!(sent.line, format!("POST {}", api.path("m", false)), "{}", api.name);
            let record = gateway.record();
            assert_eq!((record.error(), record.get("flags")), (None, 0), "{} {case}", api.name);
            assert_eq!(record.get("response_bytes"), api.document(case).len() as u64);
        }
    });
}

#[test]
fn streams_pass_untouched() {
    for_each(NATIVE, |api| {
        for case in CASES {
            let upstream = Upstream::answering(api.streamed(case));
            let gateway = gateway_of(&[(api, &upstream)]);
            let answer = gateway.raw(&api.request("m", true));
            assert_eq!((answer.status, answer.whole), (200, true), "{} {case}: {}", api.name, answer.text());
            assert!(answer.body == api.frames(case).concat(), "{} {case}: {}", api.name, answer.text());
            assert_eq!(answer.header("content-type"), Some(api.stream_media()));
            assert_eq!(seen(&upstream).line, format!("POST {}", api.path("m", true)), "{}", api.name);
            let record = gateway.record();
            let wanted = (None, u64::from(flags::STREAM));
            assert_eq!((record.error(), record.get("flags")), wanted, "{} {case}", api.name);
        }
    });
}

/// What each case's usage is booked as: every kind of tokens, from the document and from the stream.
#[test]
fn all_kinds_of_usage_are_booked() {
    let names = [
        "input_tokens",
        "cached_input_tokens",
        "cache_write_tokens",
        "cache_write_1h_tokens",
        "output_tokens",
        "reasoning_tokens",
    ];
    let cases = [
        (ANTHROPIC, [1811, 1500, 300, 200, 84, 40]),
        (GEMINI, [5100, 4096, 0, 0, 253, 250]),
        (VERTEX, [5100, 4096, 0, 0, 253, 250]),
        (BEDROCK, [2035, 1800, 230, 200, 7, 0]),
        // What is billed, which is not what the model saw.
        (COHERE, [1480, 600, 0, 0, 12, 0]),
    ];
    for_each(cases, |(api, wanted)| {
        for stream in [false, true] {
            let case = "usage-cache-reasoning";
            let upstream = Upstream::answering(if stream { api.streamed(case) } else { api.answer(case) });
            let gateway = gateway_of(&[(api, &upstream)]);
            assert_eq!(gateway.raw(&api.request("m", stream)).status, 200);
            let record = gateway.record();
            let booked = names.map(|name| record.get(name));
            assert_eq!(booked, wanted, "{} stream: {stream}", api.name);
        }
    });
}

#[test]
fn sound_and_images_are_booked_apart() {
    let usage = json!({
        "promptTokenCount": 100, "candidatesTokenCount": 60, "totalTokenCount": 160,
        "promptTokensDetails": [
            {"modality": "TEXT", "tokenCount": 10}, {"modality": "AUDIO", "tokenCount": 70},
            {"modality": "IMAGE", "tokenCount": 20},
        ],
        "candidatesTokensDetails": [{"modality": "AUDIO", "tokenCount": 40}, {"modality": "IMAGE", "tokenCount": 20}],
    });
    let body = json!({
        "candidates": [{"content": {"parts": [{"text": "x"}], "role": "model"}, "finishReason": "STOP"}],
        "usageMetadata": usage,
    });
    let event = format!("data: {body}\n\n").into_bytes();
    let answers = [
        (false, http_answer("200 OK", "application/json", body.to_string().as_bytes())),
        (true, GEMINI.streamed_as(&[event])),
    ];
    for (stream, bytes) in answers {
        let upstream = Upstream::answering(bytes);
        let gateway = gateway_of(&[(GEMINI, &upstream)]);
        assert_eq!(gateway.raw(&GEMINI.request("m", stream)).status, 200);
        let record = gateway.record();
        let names =
            ["audio_input_tokens", "image_input_tokens", "audio_output_tokens", "image_output_tokens"];
        assert_eq!(names.map(|name| record.get(name)), [70, 20, 40, 20], "stream: {stream}");
    }
}

/// Bytes that are looked for, wherever they are.
fn contains(haystack: &[u8], needle: &str) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle.as_bytes())
}

#[test]
fn errors_pass_with_the_providers_key_masked() {
    let words = format!("Incorrect key {PROVIDER_KEY} given.");
    for_each(NATIVE, |api| {
        for (status, kind) in [("401 Unauthorized", "a"), ("400 Bad Request", "b"), ("529 Overloaded", "c")] {
            let body = json!({"type": "error", "error": {"type": kind, "message": words}, "message": words});
            let bytes = http_answer(status, "application/json", body.to_string().as_bytes());
            for stream in [false, true] {
                let upstream = Upstream::answering(bytes.clone());
                let gateway = gateway_of(&[(api, &upstream)]);
                let answer = gateway.raw(&api.request("m", stream));
                assert_eq!(answer.status.to_string(), status[..3], "{}: {}", api.name, answer.text());
                assert!(!contains(&answer.body, PROVIDER_KEY), "{}: {}", api.name, answer.text());
                let masked = answer.json()["message"].as_str().unwrap().to_string();
                assert!(masked.starts_with("Incorrect key ***"), "{}: {masked}", api.name);
                let record = gateway.record();
                assert_eq!((record.tokens(), record.error()), ((0, 0), Some(ErrorKind::UpstreamError)));
            }
        }
    });
}

/// A provider of AWS names its errors in a header, which clients go by.
#[test]
fn the_name_of_bedrocks_error_is_kept() {
    let bytes = b"HTTP/1.1 400 Bad Request\r\nx-amzn-ErrorType: ValidationException:http://x/\r\n\
                  content-type: application/json\r\ncontent-length: 16\r\n\r\n{\"message\":\"no\"}";
    let upstream = Upstream::answering(bytes.to_vec());
    let answer = gateway_of(&[(BEDROCK, &upstream)]).raw(&BEDROCK.request("m", false));
    assert_eq!((answer.status, answer.text().as_str()), (400, r#"{"message":"no"}"#));
    assert_eq!(answer.header("x-amzn-errortype"), Some("ValidationException:http://x/"));
}

/// An error as the first event of a stream is an HTTP error, in the dialect's shape; later it passes as it is.
#[test]
fn errors_in_streams() {
    for_each(NATIVE, |api| {
        let frames = api.frames("error-in-stream");
        let all = api.streamed_as(&frames);
        let upstream = Upstream::answering(all);
        let gateway = gateway_of(&[(api, &upstream)]);
        let answer = gateway.raw(&api.request("m", true));
        assert_eq!(answer.status, 200, "{}", api.name);
        assert!(answer.body == frames.concat(), "{}: {}", api.name, answer.text());
        let record = gateway.record();
        assert_eq!(record.error(), Some(ErrorKind::UpstreamError), "{}", api.name);
        if api == COHERE {
            // Its error is part of its last event and has no status, so there is no other answer to make of it.
            return;
        }
        let upstream = Upstream::answering(api.streamed_as(&frames[frames.len() - 1..]));
        let gateway = gateway_of(&[(api, &upstream)]);
        let answer = gateway.raw(&api.request("m", true));
        assert!(answer.status >= 500, "{}: {} {}", api.name, answer.status, answer.text());
        assert_eq!(answer.header("content-type"), Some("application/json"), "{}", api.name);
        let error = api.wire.read_error(answer.status, &answer.body);
        assert!(error.message.len() > 5 && error.message.len() < 100, "{}: {error:?}", api.name);
        assert_eq!(answer.header("x-amzn-errortype").is_some(), api == BEDROCK, "{}", api.name);
    });
}

/// A stream that ends too early ends with an error in its own dialect, and is not taken for whole.
#[test]
fn a_stream_cut_short_says_so_in_its_dialect() {
    for_each(NATIVE, |api| {
        let mut frames = api.frames("text");
        frames.truncate(frames.len() / 2);
        let chunks: Vec<u8> = frames.iter().flat_map(|frame| chunk_of(frame)).collect();
        let half = [api.stream_head(), chunks].concat();
        for bytes in [half.clone(), [half, b"0\r\n\r\n".to_vec()].concat()] {
            let upstream = Upstream::closing_after(bytes);
            let gateway = gateway_of(&[(api, &upstream)]);
            let mut stream = gateway.connect();
            stream.write_all(&api.request("m", true)).unwrap();
            let answer = read_answer(&mut stream);
            assert_eq!((answer.status, answer.whole), (200, false), "{}", api.name);
            let sent = frames.concat();
            assert!(answer.body.starts_with(&sent), "{}: {}", api.name, answer.text());
            let words = api.read_stream(&answer.body[sent.len()..]);
            let error = words.error.unwrap_or_else(|| panic!("{}: {}", api.name, answer.text()));
            assert!(error.message.contains("provider"), "{}: {error:?}", api.name);
            assert_eq!((words.text.as_str(), words.ended), ("", false), "{}", api.name);
            let record = gateway.record();
            assert_eq!(record.error(), Some(ErrorKind::UpstreamTruncated), "{}", api.name);
        }
    });
}

/// What Google says of the time to wait stands in the body of its error.
#[test]
fn a_provider_is_left_alone_as_long_as_its_error_says() {
    let (status, body) = error_case(GEMINI);
    let limited = Upstream::answering(http_answer(&status, "application/json", &body));
    let other = Upstream::answering(GEMINI.answer("text"));
    let gateway = gateway_of(&[(GEMINI, &limited), (GEMINI, &other)]);
    for _ in 0..5 {
        assert_eq!(gateway.raw(&GEMINI.request("m", false)).status, 200);
        thread::sleep(Duration::from_millis(400));
    }
    assert_eq!(limited.times_asked(), 1);
    // Alone, it is asked again all the same, and its answer is the client's to see.
    let answer = gateway.raw(&GEMINI.request("m0", false));
    assert_eq!((answer.status, answer.body == body), (429, true));
}

/// The error of a case: its status and its body.
fn error_case(api: Api) -> (String, Vec<u8>) {
    let case: Value = serde_json::from_str(&api.file("error-before", "error.json")).unwrap();
    (format!("{} Error", case["status"]), case["body"].to_string().into_bytes())
}

#[test]
fn what_cannot_be_cut_into_messages_is_no_stream_of_bedrocks() {
    let events = BEDROCK.frames("text");
    let mut broken = events.concat();
    let middle = events[0].len() + events[1].len() + 20;
    broken[middle] ^= 1;
    let upstream = Upstream::answering(BEDROCK.streamed_as(&[broken]));
    let gateway = gateway_of(&[(BEDROCK, &upstream)]);
    let mut stream = gateway.connect();
    stream.write_all(&BEDROCK.request("m", true)).unwrap();
    let answer = read_answer(&mut stream);
    if answer.status == 200 {
        let said = BEDROCK.read_stream(&answer.body);
        assert!(said.error.is_some() && !answer.whole, "{said:?}");
    } else {
        assert_eq!(answer.status, 502);
    }
    let mut broken = BEDROCK.frames("text").concat();
    broken[9] ^= 1;
    let second = Upstream::answering(BEDROCK.streamed("text"));
    let first = Upstream::answering(BEDROCK.streamed_as(&[broken]));
    let gateway = gateway_of(&[(BEDROCK, &first), (BEDROCK, &second)]);
    let answer = gateway.raw(&BEDROCK.request("m", true));
    assert!(answer.body == BEDROCK.frames("text").concat());
    assert_eq!(gateway.record().get("attempts"), 2);
}

/// A document that outgrows what is held is read for its usage as it passes, wherever that stands in it.
#[test]
fn long_documents_are_booked() {
    let filler = "x".repeat(200_000);
    let cases = [
        (ANTHROPIC, "usage", json!({"input_tokens": 5, "output_tokens": 7}), (5, 7)),
        (GEMINI, "usageMetadata", json!({"promptTokenCount": 5, "candidatesTokenCount": 7}), (5, 7)),
        (BEDROCK, "usage", json!({"inputTokens": 5, "outputTokens": 7, "totalTokens": 12}), (5, 7)),
        (COHERE, "usage", json!({"billed_units": {"input_tokens": 5, "output_tokens": 7}}), (5, 7)),
    ];
    for_each(cases, |(api, name, usage, tokens)| {
        let decoy = r#""a":{"usage":{"input_tokens":1000}}"#;
        let bodies = [
            format!(r#"{{{decoy},"filler":"{filler}","{name}":{usage}}}"#),
            format!(r#"{{"{name}":{usage},"filler":"{filler}",{decoy}}}"#),
        ];
        for body in bodies {
            let chunks: Vec<u8> = body.as_bytes().chunks(50_000).flat_map(chunk_of).collect();
            let head =
                b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
            let chunked = [&head[..], &chunks, b"0\r\n\r\n"].concat();
            for bytes in [chunked, json_answer("200 OK", &body)] {
                let upstream = Upstream::answering(bytes);
                let gateway = gateway_of(&[(api, &upstream)]);
                let answer = gateway.raw(&api.request("m", false));
                assert!(answer.whole && answer.text() == body, "{}", api.name);
                let record = gateway.record();
                assert_eq!((record.tokens(), record.get("flags")), (tokens, 0), "{}", api.name);
            }
        }
    });
}
