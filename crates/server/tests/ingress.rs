//! Heads and framing: what is not read in exactly one way is refused, and nothing behind it becomes a request.

#![allow(clippy::unwrap_used, reason = "only tests call this")]

mod support;

use std::io::Write;
use std::net::Shutdown;
use std::sync::LazyLock;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::json;
use support::*;

const TARGET: &str = "POST /v1/chat/completions HTTP/1.1\r\n";

/// Status and headers (with the request line) of requests that must be refused. A body of five bytes follows each.
const MALFORMED: [(u16, &str); 59] = [
    // Two framings, or one that can be read in two ways.
    (400, "content-length: 5\r\ntransfer-encoding: chunked\r\n"),
    (400, "transfer-encoding: chunked\r\ncontent-length: 5\r\n"),
    (400, "content-length: 5\r\ncontent-length: 6\r\n"),
    (400, "content-length: 5\r\ncontent-length: 5\r\n"),
    (400, "content-length: 5, 5\r\n"),
    (400, "content-length: +5\r\n"),
    (400, "content-length: -5\r\n"),
    (400, "content-length: 1_0\r\n"),
    (400, "content-length: 0x5\r\n"),
    (400, "content-length:\r\n"),
    (400, "content-length: 5 5\r\n"),
    (400, "content-length: 18446744073709551616\r\n"),
    (400, "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n"),
    (400, "transfer-encoding: chunked, identity\r\n"),
    (400, "transfer-encoding: chunked, chunked\r\n"),
    (400, "transfer-encoding: xchunked\r\n"),
    (400, "transfer-encoding: identity\r\n"),
    (400, "transfer-encoding:\r\n"),
    (400, "transfer-encoding: \u{b}chunked\r\n"),
    (400, "transfer-encoding : chunked\r\n"),
    (400, "transfer-encoding\t: chunked\r\n"),
    (400, "transfer-encoding: gzip, chunked\r\n"),
    // Field lines.
    (400, "content-length : 5\r\n"),
    (400, "x-test: a\0b\r\n"),
    (400, "x-test: a\rb\r\n"),
    (400, "x-test: a\nb\r\n"),
    (400, "x-test: a\r\n folded\r\n"),
    (400, "x-test: a\r\n\tfolded\r\n"),
    (400, " x-leading: a\r\n"),
    (400, "no colon\r\n"),
    (400, ": no name\r\n"),
    (400, "x(test): a\r\n"),
    (400, "x-test: a\n"),
    // Expectations.
    (417, "expect: 200-ok\r\ncontent-length: 5\r\n"),
    // Whole requests from here on, since the request line is what is wrong.
    (400, "GET /healthz\r\n"),
    (400, "GET /healthz HTTP/1.32\r\n"),
    (400, "GET /healthz HTTP/2.0\r\n"),
    (400, "GET /healthz HTTP/1.32x\r\n"),
    (400, "GET  /healthz HTTP/1.1\r\n"),
    (400, "GET /healthz  HTTP/1.1\r\n"),
    (400, "G\u{c9}T /healthz HTTP/1.1\r\n"),
    (400, "GET healthz HTTP/1.1\r\n"),
    (400, "GET ftp://gateway/healthz HTTP/1.1\r\n"),
    (400, "GET http://other/healthz HTTP/1.1\r\n"),
    (400, "CONNECT gateway:443 HTTP/1.1\r\n"),
    // Paths with a second reading.
    (400, "GET //healthz HTTP/1.1\r\n"),
    (400, "GET /./healthz HTTP/1.1\r\n"),
    (400, "GET /v1/../healthz HTTP/1.1\r\n"),
    (400, "GET /%2e%2e/healthz HTTP/1.1\r\n"),
    (400, "GET /v1/%2E/models HTTP/1.1\r\n"),
    (400, "GET /v1%2fmodels HTTP/1.1\r\n"),
    (400, "GET /v1%5cmodels HTTP/1.1\r\n"),
    (400, "GET /v1/models;x=1 HTTP/1.1\r\n"),
    (400, "GET /v1/models%00 HTTP/1.1\r\n"),
    (400, "GET /v1/%c0%afmodels HTTP/1.1\r\n"),
    (400, "GET /v1/%6dodels HTTP/1.1\r\n"),
    (400, "GET /v1/models%zz HTTP/1.1\r\n"),
    (400, "GET /v1/models# HTTP/1.1\r\n"),
    (400, "GET /v1/mod\u{e9}ls HTTP/1.1\r\n"),
];

/// The case as bytes: its lines within a request that would else be served, and a second request right behind.
fn with_a_second_request(lines: &str) -> Vec<u8> {
    let is_whole = lines.contains("HTTP/") || lines.starts_with("GET");
    let start = if is_whole { "" } else { TARGET };
    let head = format!(
        "{start}{lines}host: gateway\r\nauthorization: Bearer {KEY}\r\ncontent-type: application/json\r\n\r\nhello"
    );
    [head.as_bytes(), &chat_request(CHAT)].concat()
}

#[test]
fn malformed_requests_are_refused_and_nothing_behind_them_is_read_as_a_request() {
    let upstream = Upstream::answering(json_answer("200 OK", COMPLETION));
    let gateway = Gateway::before(&[&upstream]);
    for (status, lines) in MALFORMED {
        let mut stream = gateway.connect();
        stream.write_all(&with_a_second_request(lines)).unwrap();
        let answer = read_answer(&mut stream);
        assert_eq!(answer.status, status, "{lines:?}: {}", answer.text());
        assert_eq!(answer.header("connection"), Some("close"), "{lines:?}");
        assert_eq!(answer.json()["error"]["type"], "invalid_request_error", "{lines:?}");
        assert_eq!(read_to_end(&mut stream), b"", "{lines:?}");
    }
    assert_eq!(upstream.times_asked(), 0);
    gateway.is_at_rest();
}

/// The same for raw bytes above 0x7f, which a `str` cannot hold.
#[test]
fn a_coding_hidden_behind_a_no_break_space_is_refused() {
    let upstream = Upstream::answering(json_answer("200 OK", COMPLETION));
    let gateway = Gateway::before(&[&upstream]);
    for value in [&b"\xa0chunked"[..], b"chunked\xa0", b"\x85chunked"] {
        let head = [TARGET.as_bytes(), b"host: gateway\r\ntransfer-encoding: ", value, b"\r\n\r\n0\r\n\r\n"]
            .concat();
        assert_eq!(gateway.raw(&head).status, 400, "{value:?}");
    }
}

#[test]
fn host_names_are_checked() {
    let gateway = Gateway::before(&[]);
    let cases: [(u16, &str); 12] = [
        (200, "host: gateway\r\n"),
        (200, "host: 127.0.0.1:8080\r\n"),
        (400, ""),
        (400, "host:\r\n"),
        (400, "host: a\r\nhost: a\r\n"),
        (400, "host: a\r\nhost: b\r\n"),
        (400, "host: a/health\r\n"),
        (400, "host: a/health?\r\n"),
        (400, "host: a#\r\n"),
        (400, "host: user@a\r\n"),
        (400, "host: a b\r\n"),
        (400, "host: a, b\r\n"),
    ];
    for (status, lines) in cases {
        let answer = gateway.raw(format!("GET /healthz HTTP/1.1\r\n{lines}\r\n").as_bytes());
        assert_eq!(answer.status, status, "{lines:?}");
    }
    let absolute = |host: &str| format!("GET http://Gateway:80/healthz HTTP/1.1\r\nhost: {host}\r\n\r\n");
    assert_eq!(gateway.raw(absolute("gateway").as_bytes()).status, 200);
    assert_eq!(gateway.raw(absolute("gateway:81").as_bytes()).status, 400);
}

#[test]
fn a_transfer_coding_is_not_part_of_http_1_0() {
    let upstream = Upstream::answering(json_answer("200 OK", COMPLETION));
    let gateway = Gateway::before(&[&upstream]);
    let head = "POST /v1/chat/completions HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n";
    assert_eq!(gateway.raw(head.as_bytes()).status, 400);
    assert_eq!(upstream.times_asked(), 0);
}

#[test]
fn http_1_0_is_answered_without_chunks_and_closed() {
    let upstream = Upstream::answering(stream_of(&[ROLE, &token("a"), FINISH, DONE]));
    let gateway = Gateway::before(&[&upstream]);
    let length = STREAM.len();
    let head = format!(
        "POST /v1/chat/completions HTTP/1.0\r\nauthorization: Bearer {KEY}\r\ncontent-length: {length}\r\n\r\n{STREAM}"
    );
    let mut stream = gateway.connect();
    stream.write_all(head.as_bytes()).unwrap();
    let answer = read_answer(&mut stream);
    assert_eq!((answer.status, answer.header("transfer-encoding")), (200, None));
    assert_eq!(answer.text(), [ROLE, &token("a"), FINISH, DONE].concat());
}

/// Chunked bodies, without the last two bytes of their head.
#[test]
fn bad_chunks_are_refused_and_nothing_behind_them_is_read_as_a_request() {
    let upstream = Upstream::answering(json_answer("200 OK", COMPLETION));
    let gateway = Gateway::before(&[&upstream]);
    let long_extension = format!("5;{}\r\nhello\r\n0\r\n\r\n", "x".repeat(5 << 10));
    let many_trailers = format!("0\r\n{}\r\n", "a: b\r\n".repeat(65));
    let cases = [
        "0x5\r\nhello\r\n0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        "-1\r\nhello\r\n0\r\n\r\n",
        "0_2e\r\nhello\r\n0\r\n\r\n",
        "\r\nhello\r\n0\r\n\r\n",
        " 5\r\nhello\r\n0\r\n\r\n",
        "00000000000000005\r\nhello\r\n0\r\n\r\n",
        "5\nhello\r\n0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5\r\nhelloX\r\n0\r\n\r\n",
        "5\r\nhello\r\n0\n\r\n",
        "5\r\nhello\r\n0\r\n\n",
        "5;\u{1}\r\nhello\r\n0\r\n\r\n",
        "0\r\nno colon\r\n\r\n",
        "0\r\n folded: a\r\n\r\n",
        &long_extension,
        &many_trailers,
    ];
    for body in cases {
        let head = format!(
            "{TARGET}host: gateway\r\nauthorization: Bearer {KEY}\r\ntransfer-encoding: chunked\r\n\r\n{body}"
        );
        let mut stream = gateway.connect();
        stream.write_all(&[head.as_bytes(), &chat_request(CHAT)].concat()).unwrap();
        let answer = read_answer(&mut stream);
        assert_eq!((answer.status, answer.header("connection")), (400, Some("close")), "{body:?}");
        assert_eq!(read_to_end(&mut stream), b"", "{body:?}");
    }
    assert_eq!(upstream.times_asked(), 0);
}

#[test]
fn trailers_are_dropped_and_never_become_headers() {
    let upstream = Upstream::answering(json_answer("200 OK", COMPLETION));
    let gateway = Gateway::before(&[&upstream]);
    let size = CHAT.len();
    let head = format!("{TARGET}host: gateway\r\ntransfer-encoding: chunked\r\n");
    let body = format!(
        "{size:X};ext=\"1\"\r\n{CHAT}\r\n000\r\nauthorization: Bearer {KEY}\r\nopenai-beta: x\r\n\r\n"
    );
    assert_eq!(gateway.raw(format!("{head}\r\n{body}").as_bytes()).status, 401);
    let mut stream = gateway.connect();
    let once = format!("{head}authorization: Bearer {KEY}\r\n\r\n{body}");
    // The connection is in step behind the trailers.
    stream.write_all([once.as_bytes(), &chat_request(CHAT)].concat().as_slice()).unwrap();
    assert_eq!([read_answer(&mut stream).status, read_answer(&mut stream).status], [200, 200]);
    let seen = String::from_utf8(upstream.next_request()).unwrap();
    assert!(seen.ends_with(CHAT) && seen.contains(&format!("content-length: {size}\r\n")), "{seen}");
    assert!(
        !seen.contains("openai-beta") && !seen.to_ascii_lowercase().contains("transfer-encoding"),
        "{seen}"
    );
}

#[test]
fn a_million_chunks_of_one_byte_are_refused_early() {
    let upstream = Upstream::answering(json_answer("200 OK", COMPLETION));
    let gateway = Gateway::before_with(&[&upstream], &[("/settings/body_timeout_ms", json!(20_000))]);
    let mut stream = gateway.connect();
    let head =
        format!("{TARGET}host: gateway\r\nauthorization: Bearer {KEY}\r\ntransfer-encoding: chunked\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let (began, block) = (std::time::Instant::now(), "1\r\n \r\n".repeat(10_000));
    let sent = (0..100).take_while(|_| stream.write_all(block.as_bytes()).is_ok()).count();
    assert_eq!(read_answer(&mut stream).status, 400);
    assert!(sent < 100, "all million chunks were taken");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[test]
fn heads_are_bounded_in_lines_and_bytes() {
    let gateway = Gateway::before(&[]);
    let health =
        |lines: &str| gateway.raw(format!("GET /healthz HTTP/1.1\r\nhost: g\r\n{lines}\r\n").as_bytes());
    let line = |length: usize| format!("x-long: {}\r\n", "a".repeat(length - 8));
    assert_eq!(health(&"a: b\r\n".repeat(99)).status, 200);
    assert_eq!(health(&"a: b\r\n".repeat(100)).status, 431);
    assert_eq!(health(&line(16 << 10)).status, 200);
    assert_eq!(health(&line((16 << 10) + 1)).status, 431);
    assert_eq!(health(&[line(16_000), line(16_000)].concat()).status, 200);
    assert_eq!(health(&[line(16_000), line(16_000), line(1_000)].concat()).status, 431);
    let long_path = format!("GET /{} HTTP/1.1\r\nhost: g\r\n\r\n", "a".repeat(20 << 10));
    assert_eq!(gateway.raw(long_path.as_bytes()).status, 431);
}

#[test]
fn a_waiting_client_is_told_to_send_or_refused_without_it() {
    let upstream = Upstream::answering(json_answer("200 OK", COMPLETION));
    let gateway = Gateway::before_with(&[&upstream], &[("/settings/max_request_body_bytes", json!(1000))]);
    let head = |key: &str, length: usize| {
        format!(
            "{TARGET}host: gateway\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\n\
             expect: 100-continue\r\ncontent-length: {length}\r\n\r\n"
        )
    };
    let mut stream = gateway.connect();
    stream.write_all(head(KEY, CHAT.len()).as_bytes()).unwrap();
    let mut interim = [0; 25];
    std::io::Read::read_exact(&mut stream, &mut interim).unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(CHAT.as_bytes()).unwrap();
    assert_eq!(read_answer(&mut stream).status, 200);
    stream.write_all(&chat_request(CHAT)).unwrap();
    assert_eq!(read_answer(&mut stream).status, 200);
    assert!(!String::from_utf8(upstream.next_request()).unwrap().to_ascii_lowercase().contains("expect"));
    for (status, head) in [(401, head("wrong", CHAT.len())), (413, head(KEY, 1001))] {
        let mut stream = gateway.connect();
        stream.write_all(head.as_bytes()).unwrap();
        let answer = read_answer(&mut stream);
        // The client may or may not send its body after that, so nothing can follow on this connection.
        assert_eq!((answer.status, answer.header("connection")), (status, Some("close")));
        stream.write_all(&chat_request(CHAT)).unwrap();
        assert_eq!(read_to_end(&mut stream), b"");
    }
    assert_eq!(upstream.times_asked(), 2);
}

#[test]
fn an_upgrade_is_ignored_and_what_follows_is_an_ordinary_request() {
    let upstream = Upstream::answering(json_answer("200 OK", COMPLETION));
    let gateway = Gateway::before(&[&upstream]);
    for protocol in ["websocket", "h2c"] {
        let mut stream = gateway.connect();
        let lines =
            format!("upgrade: {protocol}\r\nconnection: upgrade, http2-settings\r\nhttp2-settings: AAA\r\n");
        let request = post_with("/v1/chat/completions", &lines, CHAT);
        stream.write_all(&[request, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec()].concat()).unwrap();
        let first = read_answer(&mut stream);
        assert_eq!((first.status, first.header("upgrade")), (200, None));
        assert_eq!(read_answer(&mut stream).status, 400);
        let seen = String::from_utf8(upstream.next_request()).unwrap().to_ascii_lowercase();
        assert!(!seen.contains("upgrade") && !seen.contains("http2-settings"), "{seen}");
    }
}

/// An early refusal leaves an unread body on the connection: it is skipped if it is short, or the connection ends. In
/// no case is any of it taken for a request.
#[test]
fn a_body_behind_an_early_refusal_never_becomes_a_request() {
    let upstream = Upstream::answering(json_answer("200 OK", COMPLETION));
    let gateway = Gateway::before(&[&upstream]);
    let smuggled = String::from_utf8(chat_request(CHAT)).unwrap();
    let refused =
        |framing: &str| format!("{TARGET}host: gateway\r\nauthorization: Bearer wrong\r\n{framing}\r\n");
    let short = refused(&format!("content-length: {}\r\n", smuggled.len()));
    let long = refused("content-length: 200000\r\n");
    let chunked = refused("transfer-encoding: chunked\r\n");
    let cases = [
        (short, smuggled.clone(), true),
        (long, format!("{smuggled}{}", " ".repeat(200_000 - smuggled.len())), false),
        (chunked, format!("{:x}\r\n{smuggled}\r\n0\r\n\r\n", smuggled.len()), false),
    ];
    for (head, body, goes_on) in cases {
        // The body comes with the head, in part, or later.
        for split in [head.len(), head.len() + 10, head.len() + body.len()] {
            let all = [head.as_str(), &body, &String::from_utf8(get("/v1/models")).unwrap()].concat();
            let mut stream = gateway.connect();
            stream.write_all(&all.as_bytes()[..split]).unwrap();
            let first = read_answer(&mut stream);
            assert_eq!((first.status, first.header("connection").is_none()), (401, goes_on), "{head}");
            let _ = stream.write_all(&all.as_bytes()[split..]);
            if goes_on {
                assert_eq!(read_answer(&mut stream).json()["object"], "list", "{head} {split}");
            } else {
                assert_eq!(read_to_end(&mut stream), b"", "{head} {split}");
            }
        }
    }
    assert_eq!(upstream.times_asked(), 0);
    gateway.is_at_rest();
}

#[test]
fn paths_and_methods_that_are_not_served_say_so() {
    let gateway = Gateway::before(&[]);
    let cases = [
        ("GET", "/v1/chat/completions", 405, "method_not_supported", Some("POST")),
        ("DELETE", "/v1/models", 405, "method_not_supported", Some("GET, HEAD")),
        ("post", "/v1/chat/completions", 405, "method_not_supported", Some("POST")),
        ("GET", "/v1/fine_tuning/jobs", 404, "unknown_url", None),
        ("GET", "/", 404, "unknown_url", None),
        ("OPTIONS", "*", 404, "unknown_url", None),
        ("GET", "/V1/models", 404, "unknown_url", None),
        ("GET", "/v1/models/nothing", 404, "model_not_found", None),
    ];
    for (method, path, status, code, allow) in cases {
        let request = format!("{method} {path} HTTP/1.1\r\nhost: g\r\nauthorization: Bearer {KEY}\r\n\r\n");
        let answer = gateway.raw(request.as_bytes());
        assert_eq!((answer.status, answer.error_code().as_str()), (status, code), "{method} {path}");
        assert_eq!(answer.header("allow"), allow, "{method} {path}");
        // Without a key a stranger learns nothing of what exists.
        let request = format!("{method} {path} HTTP/1.1\r\nhost: g\r\n\r\n");
        assert_eq!(gateway.raw(request.as_bytes()).status, 401, "{method} {path}");
    }
}

#[test]
fn a_head_request_has_headers_and_no_body() {
    let gateway = Gateway::before(&[]);
    let mut stream = gateway.connect();
    stream
        .write_all(b"HEAD /healthz HTTP/1.1\r\nhost: g\r\n\r\nGET /readyz HTTP/1.1\r\nhost: g\r\n\r\n")
        .unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let all = String::from_utf8(read_to_end(&mut stream)).unwrap();
    let (head, rest) = all.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.contains("content-length: 3"), "{head}");
    assert!(rest.starts_with("HTTP/1.1 200 OK\r\n") && rest.ends_with("\r\n\r\nready\n"), "{rest}");
}

/// A body on a request that takes none is skipped, like one behind a refusal.
#[test]
fn a_body_nobody_wants_never_becomes_a_request() {
    let upstream = Upstream::answering(json_answer("200 OK", COMPLETION));
    let gateway = Gateway::before(&[&upstream]);
    let smuggled = chat_request(CHAT);
    let head = format!(
        "GET /v1/models HTTP/1.1\r\nhost: g\r\nauthorization: Bearer {KEY}\r\ncontent-length: {}\r\n\r\n",
        smuggled.len()
    );
    let mut stream = gateway.connect();
    for _ in 0..3 {
        stream.write_all(&[head.as_bytes(), &smuggled].concat()).unwrap();
        assert_eq!(read_answer(&mut stream).json()["object"], "list");
    }
    assert_eq!(upstream.times_asked(), 0);
}

#[test]
fn connections_are_kept_or_closed_as_the_client_asks() {
    let upstream = Upstream::answering(json_answer("200 OK", COMPLETION));
    let gateway = Gateway::before(&[&upstream]);
    let cases = [
        ("1.1", "", true),
        ("1.1", "connection: close\r\n", false),
        ("1.1", "connection: x, Close\r\n", false),
        ("1.1", "connection: keep-alive\r\n", true),
        ("1.0", "", false),
        ("1.0", "connection: keep-alive\r\n", true),
    ];
    for (version, lines, kept) in cases {
        let request = format!("GET /v1/models HTTP/{version}\r\nhost: g\r\nx-api-key: {KEY}\r\n{lines}\r\n");
        let mut stream = gateway.connect();
        stream.write_all(request.as_bytes()).unwrap();
        let answer = read_answer(&mut stream);
        let said = match (kept, version) {
            (false, _) => Some("close"),
            (true, "1.0") => Some("keep-alive"),
            (true, _) => None,
        };
        assert_eq!(answer.header("connection"), said, "{version} {lines:?}");
        assert_eq!(is_closed(&mut stream, Duration::from_millis(200)), !kept, "{version} {lines:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is done to the bytes of a request, what comes back is HTTP or the end, and the next client is served.
    #[test]
    fn mangled_requests_harm_nobody(
        edits in prop::collection::vec((0_usize..300, any::<u8>(), 0_u8..3), 1..6)
    ) {
        static GATEWAY: LazyLock<Gateway> = LazyLock::new(|| {
            let upstream = Upstream::answering(json_answer("200 OK", COMPLETION));
            let soon = ["/settings/header_timeout_ms", "/settings/body_timeout_ms", "/settings/idle_timeout_ms"];
            Gateway::before_with(&[&upstream], &soon.map(|pointer| (pointer, json!(20))))
        });
        let mut bytes = chat_request(CHAT);
        for (at, byte, kind) in edits {
            let at = at % bytes.len();
            match kind {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => drop(bytes.remove(at)),
            }
        }
        let mut stream = GATEWAY.connect();
        stream.write_all(&bytes).unwrap();
        let answer = read_to_end(&mut stream);
        prop_assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 "), "{:?}", String::from_utf8_lossy(&answer));
        let healthy = GATEWAY.raw(b"GET /healthz HTTP/1.1\r\nhost: g\r\n\r\n");
        prop_assert_eq!(healthy.status, 200);
        GATEWAY.is_at_rest();
    }
}
