//! Answers that are no streams, and the headers around every answer.

#![allow(clippy::unwrap_used, reason = "only tests call this")]

mod support;

use std::io::Write;
use std::thread;
use std::time::Duration;

use serde_json::json;
use sluice_types::{ErrorKind, flags};
use support::*;

/// A document of so many bytes, with its usage at the end.
fn document_of(bytes: usize) -> String {
    let (before, after) =
        (r#"{"object":"list","data":[""#, r#""],"usage":{"prompt_tokens":9,"total_tokens":9}}"#);
    format!("{before}{}{after}", "a".repeat(bytes - before.len() - after.len()))
}

fn chunked(body: &str, size: usize) -> Vec<u8> {
    let head =
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    let pieces = body.as_bytes().chunks(size).flat_map(|piece| chunk(std::str::from_utf8(piece).unwrap()));
    [head, pieces.collect(), b"0\r\n\r\n".to_vec()].concat()
}

fn until_close(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n{body}")
        .into_bytes()
}

#[test]
fn documents_of_every_size_and_framing_pass_untouched() {
    for size in [100, 16 << 10, 64 << 10, (64 << 10) + 1, 200_000, 3 << 20] {
        let body = document_of(size);
        let framings = [
            json_answer("200 OK", &body),
            chunked(&body, 50_000),
            chunked(&body, size.max(7) / 7),
            until_close(&body),
        ];
        for_each(framings.into_iter().enumerate(), |(framing, bytes)| {
            let upstream = Upstream::closing_after(bytes);
            let gateway = Gateway::before(&[&upstream]);
            let answer = gateway.raw(&post("/v1/embeddings", r#"{"model":"m","input":"x"}"#));
            assert_eq!((answer.status, answer.whole), (200, true), "{size} {framing}");
            assert!(answer.text() == body, "{size} {framing}");
            let record = gateway.record();
            assert_eq!((record.tokens(), record.error()), ((9, 0), None), "{size} {framing}");
            assert_eq!(record.get("response_bytes"), size as u64, "{size} {framing}");
        });
    }
}

/// A 200 that is no answer: held back whole, so another target can still serve.
#[test]
fn what_is_no_answer_is_not_passed_on_as_one() {
    let with_length = |content_type: &str, body: &str| {
        let length = body.len();
        format!("HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\n\r\n{body}")
            .into_bytes()
    };
    let html = "<!doctype html><title>502</title>";
    let cut = &COMPLETION[..COMPLETION.len() - 20];
    let cases = [
        ("empty", with_length("application/json", "")),
        ("blank", with_length("application/json", " \r\n")),
        ("html", with_length("text/html", html)),
        ("html that says it is JSON", with_length("application/json", html)),
        ("a list", with_length("application/json", "[]")),
        ("a word", with_length("application/json", "null")),
        ("cut short", with_length("application/json", cut)),
        ("cut short until close", until_close(cut)),
        ("cut short by its length", json_answer("200 OK", COMPLETION)[..200].to_vec()),
        ("cut short in its chunks", chunked(COMPLETION, 50)[..200].to_vec()),
    ];
    for_each(cases, |(what, bytes)| {
        let broken = || Upstream::closing_after(bytes.clone());
        let (alone, first) = (broken(), broken());
        let gateway = Gateway::before(&[&alone]);
        let answer = gateway.chat(CHAT);
        assert_eq!(answer.status, 502, "{what}: {}", answer.text());
        assert!(
            ["upstream_invalid_response", "upstream_unreachable"].contains(&answer.error_code().as_str()),
            "{what}"
        );
        assert_eq!(gateway.record().get("status"), 502, "{what}");
        let second = Upstream::answering(json_answer("200 OK", COMPLETION));
        let gateway = Gateway::before(&[&first, &second]);
        assert_eq!(
            (gateway.chat(CHAT).text().as_str(), gateway.record().get("attempts")),
            (COMPLETION, 2),
            "{what}"
        );
        gateway.is_at_rest();
    });
}

/// JSON objects that are odd are the provider's business, and no defect of ours.
#[test]
fn odd_answers_pass_as_they_are() {
    let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(5000), "]".repeat(5000));
    let bodies = [
        "{}",
        r#"{"choices":null,"usage":null}"#,
        r#"{"choices":[{"message":{"content":null,"tool_calls":[]}}]}"#,
        r#"{"usage":{"prompt_tokens":"many"}}"#,
        r#"{"usage":{"prompt_tokens":-1,"completion_tokens":1e300}}"#,
        r#"{"usage":[],"usage":{"prompt_tokens":1}}"#,
        r#"{"error":{"message":"in a 200"}}"#,
        r#"{"a":"\ud800","b":1e400}"#,
        &deep,
    ];
    for body in bodies {
        let upstream = Upstream::answering(json_answer("200 OK", body));
        let gateway = Gateway::before(&[&upstream]);
        assert_eq!((gateway.chat(CHAT).status, gateway.chat(CHAT).text().as_str()), (200, body));
        gateway.is_at_rest();
    }
}

/// Bytes that have been sent cannot be taken back: a longer document that breaks off is broken off.
#[test]
fn a_long_document_cut_short_never_looks_whole() {
    let body = document_of(300_000);
    let cut = &body[..200_000];
    let cases = [
        ("by its length", json_answer("200 OK", &body)[..200_000].to_vec()),
        ("in its chunks", chunked(&body, 1000)[..200_000].to_vec()),
        ("until close", until_close(cut)),
    ];
    for_each(cases, |(what, bytes)| {
        let upstream = Upstream::closing_after(bytes);
        let gateway = Gateway::before(&[&upstream]);
        let mut stream = gateway.connect();
        stream.write_all(&chat_request(CHAT)).unwrap();
        let answer = read_answer(&mut stream);
        assert_eq!((answer.status, answer.whole), (200, false), "{what}");
        assert_eq!(read_to_end(&mut stream), b"", "{what}");
        let record = gateway.record();
        assert_eq!(record.error(), Some(ErrorKind::UpstreamTruncated), "{what}");
        assert_eq!(record.get("flags"), u64::from(flags::TRUNCATED | flags::ESTIMATED), "{what}");
        gateway.is_at_rest();
    });
}

#[test]
fn an_answer_over_its_limit_is_refused_or_broken_off() {
    let limit = [("/settings/max_response_body_bytes", json!(100_000))];
    let (fits, over) = (document_of(100_000), document_of(100_001));
    let declared = Upstream::answering(json_answer("200 OK", &over));
    let gateway = Gateway::before_with(&[&declared], &limit);
    assert_eq!(
        (gateway.chat(CHAT).status, gateway.record().error()),
        (502, Some(ErrorKind::UpstreamInvalid))
    );
    // What is held whole can still be refused; what has begun can only be broken off.
    let (just_over, far_over) = (chunked(&over, 10_000), chunked(&document_of(300_000), 10_000));
    let held = Upstream::answering(just_over);
    assert_eq!(Gateway::before_with(&[&held], &limit).chat(CHAT).status, 502);
    let begun = Upstream::start(move |stream, _| {
        stream.write_all(&far_over[..90_000]).unwrap();
        thread::sleep(Duration::from_millis(100));
        let _ = stream.write_all(&far_over[90_000..]);
        Keep::Close
    });
    let answer = Gateway::before_with(&[&begun], &limit).chat(CHAT);
    assert_eq!((answer.status, answer.whole, answer.body.len() <= 100_000), (200, false, true));
    for bytes in [json_answer("200 OK", &fits), chunked(&fits, 10_000)] {
        let upstream = Upstream::answering(bytes);
        assert!(Gateway::before_with(&[&upstream], &limit).chat(CHAT).whole);
    }
}

fn gzip(plain: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(plain.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn gzipped(status: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\ncontent-length: {length}\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}

/// We always ask for plain bytes, whatever the client accepts. A provider that compresses all the same is passed on.
#[test]
fn compressed_answers_pass_and_compressed_errors_are_made_plain() {
    let accepting = ["accept-encoding: gzip, br\r\n", ""];
    for lines in accepting {
        let upstream = Upstream::answering(gzipped("200 OK", &gzip(COMPLETION)));
        let gateway = Gateway::before(&[&upstream]);
        let answer = gateway.raw(&post_with("/v1/chat/completions", lines, CHAT));
        assert_eq!((answer.status, answer.header("content-encoding")), (200, Some("gzip")));
        assert_eq!(answer.body, gzip(COMPLETION));
        let seen = String::from_utf8(upstream.next_request()).unwrap().to_ascii_lowercase();
        assert!(seen.contains("accept-encoding: identity\r\n") && !seen.contains("gzip"), "{seen}");
        assert_eq!(gateway.record().get("flags"), u64::from(flags::ESTIMATED));
        let error = format!(r#"{{"error":{{"message":"Incorrect API key provided: {PROVIDER_KEY}."}}}}"#);
        for status in ["401 Unauthorized", "500 Internal Server Error"] {
            let upstream = Upstream::answering(gzipped(status, &gzip(&error)));
            let answer = Gateway::before(&[&upstream]).raw(&post_with("/v1/chat/completions", lines, CHAT));
            assert_eq!(
                (answer.status.to_string().as_str(), answer.header("content-encoding")),
                (&status[..3], None)
            );
            assert!(
                answer.error_message().starts_with("Incorrect API key provided: ***"),
                "{}",
                answer.text()
            );
        }
    }
    // Plain bytes that say they are compressed stay as they are.
    let upstream = Upstream::answering(gzipped("500 Internal Server Error", br#"{"error":{}}"#));
    let answer = Gateway::before(&[&upstream]).chat(CHAT);
    assert_eq!(
        (answer.text().as_str(), answer.header("content-encoding")),
        (r#"{"error":{}}"#, Some("gzip"))
    );
}

#[test]
fn a_compressed_stream_is_not_held_back() {
    let first = gzip(ROLE);
    let head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n";
    let size = format!("{:x}\r\n", first.len()).into_bytes();
    let bytes = [&head[..], &size, &first, b"\r\n"].concat();
    let (upstream, _closed) = Upstream::hanging_after(bytes);
    let gateway = Gateway::before(&[&upstream]);
    let mut stream = gateway.connect();
    stream.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    stream.write_all(&chat_request(STREAM)).unwrap();
    let mut seen = vec![0; 4096];
    let mut len = 0;
    while !seen[..len].windows(first.len()).any(|window| window == first) {
        len += std::io::Read::read(&mut stream, &mut seen[len..]).expect("the first piece came at once");
    }
}

#[test]
fn an_error_that_is_a_stream_or_a_page_keeps_its_status_and_its_form() {
    let cases = [
        (
            "400 Bad Request",
            "text/event-stream",
            "data: {\"error\":{\"message\":\"no\"}}\n\ndata: [DONE]\n\n",
        ),
        ("500 Internal Server Error", "text/html", "<html>nginx</html>"),
        ("502 Bad Gateway", "text/plain", ""),
    ];
    for (status, content_type, body) in cases {
        for request in [CHAT, STREAM] {
            let length = body.len();
            let bytes = format!(
                "HTTP/1.1 {status}\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\n\r\n{body}"
            );
            let upstream = Upstream::answering(bytes);
            let answer = Gateway::before(&[&upstream]).chat(request);
            assert_eq!((answer.status.to_string().as_str(), answer.text().as_str()), (&status[..3], body));
            assert_eq!((answer.header("content-type"), answer.whole), (Some(content_type), true));
        }
    }
}

#[test]
fn interim_answers_are_skipped_up_to_a_bound() {
    let interim = "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n";
    let answer_after = |count: usize| {
        let bytes = [interim.repeat(count).into_bytes(), json_answer("200 OK", COMPLETION)].concat();
        let upstream = Upstream::closing_after(bytes);
        Gateway::before(&[&upstream]).chat(CHAT)
    };
    assert_eq!((answer_after(1).status, answer_after(8).status, answer_after(9).status), (200, 200, 502));
    assert_eq!(answer_after(2).header("link"), None);
}

#[test]
fn surplus_bytes_of_a_provider_reach_nobody() {
    let poisoned =
        [json_answer("200 OK", COMPLETION), json_answer("200 OK", r#"{"poisoned":true}"#)].concat();
    let upstream = Upstream::start(move |stream, _| {
        stream.write_all(&poisoned).unwrap();
        thread::sleep(Duration::from_millis(20));
        Keep::Open
    });
    let gateway = Gateway::before(&[&upstream]);
    for _ in 0..5 {
        assert_eq!(gateway.chat(CHAT).text(), COMPLETION);
    }
    assert_eq!(gateway.is_at_rest().pools[0].reuses_total, 0);
}

/// Unasked bytes on an idle connection to a provider: it is not used again.
#[test]
fn a_connection_that_spoke_unasked_is_not_used_again() {
    let upstream = Upstream::start(|stream, _| {
        stream.write_all(&json_answer("200 OK", COMPLETION)).unwrap();
        thread::sleep(Duration::from_millis(30));
        let _ = stream.write_all(&json_answer("200 OK", r#"{"poisoned":true}"#));
        Keep::Open
    });
    let gateway = Gateway::before(&[&upstream]);
    for _ in 0..3 {
        assert_eq!(gateway.chat(CHAT).text(), COMPLETION);
        thread::sleep(Duration::from_millis(80));
    }
    assert_eq!(gateway.is_at_rest().pools[0].reuses_total, 0);
}

#[test]
fn headers_of_the_answer_are_kept_but_for_those_of_the_connection_and_the_site() {
    let kept = [
        ("content-type", "application/json; charset=utf-8"),
        ("x-request-id", "req_1"),
        ("openai-processing-ms", "12"),
        ("openai-version", "2020-10-01"),
        ("x-ratelimit-remaining-requests", "59"),
        ("x-unknown", "kept, as \u{e9}"),
        ("date", "Tue, 01 Sep 2026 00:00:00 GMT"),
    ];
    let dropped = [
        "connection: keep-alive, x-hop",
        "x-hop: 1",
        "keep-alive: timeout=5",
        "proxy-authenticate: Basic",
        "trailer: x",
        "upgrade: h2c",
        "set-cookie: __cf_bm=1; path=/",
        "alt-svc: h3=\":443\"",
        "strict-transport-security: max-age=1",
        "x-sluice-request-id: forged",
    ];
    let lines: String = kept.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let hidden: String = dropped.iter().map(|line| format!("{line}\r\n")).collect();
    let length = COMPLETION.len();
    let bytes = format!("HTTP/1.1 200 OK\r\n{lines}{hidden}content-length: {length}\r\n\r\n{COMPLETION}");
    let upstream = Upstream::answering(bytes);
    let gateway = Gateway::before(&[&upstream]);
    let answer = gateway.chat(CHAT);
    for (name, value) in kept {
        assert_eq!(answer.header(name), Some(value), "{name}");
    }
    let head = answer.head.to_ascii_lowercase();
    for line in dropped.iter().filter(|line| !line.starts_with("x-sluice")) {
        let name = line.split(':').next().unwrap();
        assert!(!head.contains(&format!("\r\n{name}:")), "{name} in {head}");
    }
    assert_eq!(answer.header("x-sluice-request-id"), Some(gateway.record().id().as_str()));
    assert_eq!(head.matches("content-length:").count(), 1);
}

/// Every path of the API leads to the same path under the provider's base URL.
#[test]
fn every_route_passes_and_is_booked() {
    let responses = r#"{"id":"r","object":"response","output":[],"usage":{"input_tokens":4,"output_tokens":6,"output_tokens_details":{"reasoning_tokens":1},"input_tokens_details":{"cached_tokens":2},"total_tokens":10}}"#;
    let cases = [
        ("/chat/completions", CHAT, COMPLETION, [11, 4, 7, 3]),
        ("/completions", r#"{"model":"m","prompt":"a"}"#, COMPLETION, [11, 4, 7, 3]),
        (
            "/embeddings",
            r#"{"model":"m","input":["a","b"]}"#,
            r#"{"data":[],"usage":{"prompt_tokens":5,"total_tokens":5}}"#,
            [5, 0, 0, 0],
        ),
        ("/responses", r#"{"model":"m","input":"a"}"#, responses, [4, 2, 6, 1]),
    ];
    for (at, (path, request, body, tokens)) in cases.into_iter().enumerate() {
        let upstream = Upstream::answering(json_answer("200 OK", body));
        let gateway = Gateway::before(&[&upstream]);
        let answer = gateway.raw(&post(&format!("/v1{path}"), request));
        assert_eq!((answer.status, answer.text().as_str()), (200, body));
        let seen = String::from_utf8(upstream.next_request()).unwrap();
        assert!(
            seen.starts_with(&format!("POST /v1{path} HTTP/1.1\r\n")) && seen.ends_with(request),
            "{seen}"
        );
        let record = gateway.record();
        let names = ["input_tokens", "cached_input_tokens", "output_tokens", "reasoning_tokens"];
        assert_eq!(names.map(|name| record.get(name)), tokens, "{path}");
        assert_eq!(record.get("route"), at as u64 + 1);
        // A query is ours alone: none of it may override what the provider is configured with.
        let with_query = post(&format!("/v1{path}?api-version=1&key=sk-other"), request);
        assert_eq!(gateway.raw(&with_query).status, 200);
        assert!(upstream.next_request().starts_with(format!("POST /v1{path} HTTP/1.1\r\n").as_bytes()));
    }
}
