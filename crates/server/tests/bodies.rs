//! Bodies of requests: bounds, content codings, and what is taken for JSON.

#![allow(clippy::unwrap_used, reason = "only tests call this")]

mod support;

use std::io::{Read, Write};
use std::time::Duration;

use serde_json::json;
use sluice_types::ErrorKind;
use support::*;

const HEAD: &str = "POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\n";

fn gateway_with_limit(upstream: &Upstream, bytes: u64) -> Gateway {
    Gateway::before_with(&[upstream], &[("/settings/max_request_body_bytes", json!(bytes))])
}

/// A request with a body of exactly so many bytes.
fn chat_of(bytes: usize) -> String {
    let empty = r#"{"model":"m","messages":[{"role":"user","content":""}]}"#;
    empty.replace("\"\"}", &format!("\"{}\"}}", "a".repeat(bytes - empty.len())))
}

#[test]
fn a_declared_length_over_the_limit_is_refused_at_once() {
    let upstream = Upstream::answering(json_answer("200 OK", COMPLETION));
    let gateway = gateway_with_limit(&upstream, 1000);
    assert_eq!(gateway.chat(&chat_of(1000)).status, 200);
    for length in ["100000", "18446744073709551615"] {
        let mut stream = gateway.connect();
        let head = format!("{HEAD}authorization: Bearer {KEY}\r\ncontent-length: {length}\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let answer = read_answer(&mut stream);
        assert_eq!((answer.status, answer.error_code().as_str()), (413, "request_too_large"));
        assert_eq!(answer.header("connection"), Some("close"));
        assert_eq!(read_to_end(&mut stream), b"");
    }
    assert_eq!(upstream.times_asked(), 1);
    assert_eq!([gateway.record().get("status"), gateway.record().get("status")], [200, 413]);
}

#[test]
fn a_chunked_body_is_refused_as_soon_as_it_passes_the_limit() {
    let upstream = Upstream::answering(json_answer("200 OK", COMPLETION));
    let gateway = gateway_with_limit(&upstream, 100_000);
    let mut stream = gateway.connect();
    let head = format!("{HEAD}authorization: Bearer {KEY}\r\ntransfer-encoding: chunked\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let piece = chunk(&"a".repeat(1000));
    // Far less than a connection's buffers hold is taken before the refusal, however much is offered.
    let sent = (0..100_000).take_while(|_| stream.write_all(&piece).is_ok()).count();
    assert!(sent < 20_000, "{sent} kB were taken");
    // The rest was still in flight, so the answer may have been lost to a reset; the record tells.
    let record = gateway.record();
    assert_eq!((record.get("status"), record.error()), (413, Some(ErrorKind::BodyTooLarge)));
    let exact = chat_of(100_000);
    let body = [chunk(&exact[..60_000]), chunk(&exact[60_000..]), b"0\r\n\r\n".to_vec()].concat();
    assert_eq!(gateway.raw(&[head.as_bytes(), &body].concat()).status, 200);
    let over = chat_of(100_001);
    let body = [chunk(&over[..60_000]), chunk(&over[60_000..]), b"0\r\n\r\n".to_vec()].concat();
    assert_eq!(gateway.raw(&[head.as_bytes(), &body].concat()).status, 413);
    assert_eq!(upstream.times_asked(), 1);
}

#[test]
fn a_large_body_passes_untouched_by_length_and_in_chunks() {
    let upstream = Upstream::answering(json_answer("200 OK", COMPLETION));
    let gateway = Gateway::before(&[&upstream]);
    let body = chat_of(3 << 20);
    assert_eq!(gateway.chat(&body).status, 200);
    let seen = upstream.next_request();
    assert!(seen.ends_with(body.as_bytes()));
    let mut request =
        format!("{HEAD}authorization: Bearer {KEY}\r\ntransfer-encoding: chunked\r\n\r\n").into_bytes();
    for (at, piece) in body.as_bytes().chunks(70_001).enumerate() {
        // Sizes of every length, with and without an extension.
        let extension = if at % 2 == 0 { "" } else { ";a=b" };
        request.extend(format!("{:x}{extension}\r\n", piece.len()).as_bytes());
        request.extend([piece, b"\r\n"].concat());
    }
    request.extend(b"0\r\n\r\n");
    assert_eq!(gateway.raw(&request).status, 200);
    assert!(upstream.next_request().ends_with(body.as_bytes()));
}

#[test]
fn an_early_refusal_of_the_provider_is_passed_on_though_it_did_not_take_the_body() {
    let refusal = json_answer("413 Payload Too Large", r#"{"error":{"message":"too long"}}"#);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.read_exact(&mut [0; 1000]).unwrap();
        stream.write_all(&refusal).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        std::thread::sleep(Duration::from_secs(1));
    });
    let gateway = Gateway::start(&snapshot(&[address]));
    let answer = gateway.chat(&chat_of(200_000));
    assert_eq!((answer.status, answer.json()["error"]["message"].as_str()), (413, Some("too long")));
}

/// `CHAT` in each coding. The gateway has no encoders for the last three, so they are kept as bytes: raw deflate stored
/// in zlib, one uncompressed metablock of brotli, one raw block of zstd.
fn codings() -> Vec<(&'static str, Vec<u8>)> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(CHAT.as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    zlib.write_all(CHAT.as_bytes()).unwrap();
    let length = u8::try_from(CHAT.len()).unwrap();
    // Brotli (RFC 7932, 9.2): window bits 0, not last, four nibbles of length less one, uncompressed; then an empty last
    // metablock. Zstandard (RFC 8878, 3.1): single segment with a content size of one byte, one last raw block.
    let header = (u32::from(length) - 1) << 4 | 1 << 20;
    let brotli = [&header.to_le_bytes()[..3], CHAT.as_bytes(), &[3]].concat();
    let block = u32::from(length) << 3 | 1;
    let zstd = [&[0x28, 0xb5, 0x2f, 0xfd, 0x20, length], &block.to_le_bytes()[..3], CHAT.as_bytes()].concat();
    vec![
        ("gzip", gzip.clone()),
        ("x-gzip", gzip),
        ("deflate", zlib.finish().unwrap()),
        ("br", brotli),
        ("zstd", zstd),
    ]
}

fn encoded(coding: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "{HEAD}authorization: Bearer {KEY}\r\ncontent-encoding: {coding}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

#[test]
fn content_codings_are_taken_off_before_the_provider() {
    let upstream = Upstream::answering(json_answer("200 OK", COMPLETION));
    let gateway = Gateway::before(&[&upstream]);
    for (coding, body) in codings() {
        assert_eq!(gateway.raw(&encoded(coding, &body)).status, 200, "{coding}");
        let seen = String::from_utf8(upstream.next_request()).unwrap();
        assert!(seen.ends_with(CHAT), "{coding}: {seen}");
        assert!(!seen.to_ascii_lowercase().contains("content-encoding"), "{coding}: {seen}");
        assert!(seen.contains(&format!("content-length: {}\r\n", CHAT.len())), "{coding}: {seen}");
        // Cut short, it is no body.
        let answer = gateway.raw(&encoded(coding, &body[..body.len() / 2]));
        assert_eq!((answer.status, answer.error_code().as_str()), (400, "invalid_request_body"), "{coding}");
    }
    for coding in ["gzip, gzip", "gzip,br", "compress", "aes128gcm"] {
        let answer = gateway.raw(&encoded(coding, b"x"));
        assert_eq!(
            (answer.status, answer.error_code().as_str()),
            (415, "unsupported_content_encoding"),
            "{coding}"
        );
    }
    assert_eq!(gateway.raw(&encoded("identity", CHAT.as_bytes())).status, 200);
}

/// Ten gigabytes of zeros in ten megabytes: gzip members of a thousand to one, in a row.
#[test]
fn a_bomb_is_refused_with_flat_memory() {
    let upstream = Upstream::answering(json_answer("200 OK", COMPLETION));
    let gateway = Gateway::before(&[&upstream]);
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(&vec![b' '; 64 << 20]).unwrap();
    let member = encoder.finish().unwrap();
    assert!(member.len() < 100_000);
    let before = peak_memory_kib();
    for bomb in [member.clone(), member.repeat(160)] {
        let answer = gateway.raw(&encoded("gzip", &bomb));
        assert_eq!((answer.status, answer.error_code().as_str()), (413, "request_too_large"));
    }
    let grown = peak_memory_kib() - before;
    assert!(grown < 160 << 10, "{grown} KiB");
    assert_eq!(upstream.times_asked(), 0);
}

fn peak_memory_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Bodies that two readers could understand differently, or that are no request at all; and the member at fault.
const REFUSED: [(&str, Option<&str>); 41] = [
    ("", None),
    ("null", None),
    ("[]", None),
    ("\"a\"", None),
    ("{", None),
    ("{}", Some("model")),
    ("\u{feff}{\"model\":\"m\",\"messages\":[]}", None),
    (r#"{"model":"m","messages":[]} x"#, None),
    (r#"{"model":"m","messages":[]}{}"#, None),
    (r#"{"model":"m","messages":[],}"#, None),
    (r#"{"model":"m","messages":[1,]}"#, None),
    (r#"{"model":"m",'messages':[]}"#, None),
    (r#"{"model":"m","messages":[] /* c */}"#, None),
    (r#"{"model":"m","messages":[NaN]}"#, None),
    (r#"{"model":"m","messages":[01]}"#, None),
    (r#"{"model":"m","messages":[1.]}"#, None),
    (r#"{"model":"m","messages":["\x"]}"#, None),
    ("{\"model\":\"m\",\"messages\":[\"a\u{1}\"]}", None),
    // Twice the same member, also where one spelling hides it.
    (r#"{"model":"m","model":"m0","messages":[]}"#, Some("model")),
    (r#"{"model":"m","mode\u006c":"m0","messages":[]}"#, Some("model")),
    (r#"{"model":"m","messages":[],"stream":true,"stream":false}"#, Some("stream")),
    (r#"{"model":"m","messages":[],"max_tokens":1,"max_tokens":2}"#, Some("max_tokens")),
    (r#"{"messages":[]}"#, Some("model")),
    (r#"{"model":null,"messages":[]}"#, Some("model")),
    (r#"{"model":"","messages":[]}"#, Some("model")),
    (r#"{"model":1,"messages":[]}"#, Some("model")),
    (r#"{"model":["m"],"messages":[]}"#, Some("model")),
    (r#"{"model":"\ud800","messages":[]}"#, Some("model")),
    (r#"{"model":"none","messages":[]}"#, Some("model")),
    (r#"{"Model":"m","messages":[]}"#, Some("model")),
    (r#"{"model":"m"}"#, Some("messages")),
    (r#"{"model":"m","messages":null}"#, Some("messages")),
    (r#"{"model":"m","messages":"hello"}"#, Some("messages")),
    (r#"{"model":"m","messages":{}}"#, Some("messages")),
    (r#"{"model":"m","messages":[],"stream":"true"}"#, Some("stream")),
    (r#"{"model":"m","messages":[],"stream":1}"#, Some("stream")),
    (r#"{"model":"m","messages":[],"max_tokens":"5"}"#, Some("max_tokens")),
    (r#"{"model":"m","messages":[],"n":[]}"#, Some("n")),
    (r#"{"model":"m","messages":[],"stream_options":[]}"#, Some("stream_options")),
    (
        r#"{"model":"m","messages":[],"stream_options":{"include_usage":1}}"#,
        Some("stream_options.include_usage"),
    ),
    (
        r#"{"model":"m","stream_options":{"include_usage":true,"include_usage":false},"messages":[]}"#,
        Some("stream_options.include_usage"),
    ),
];

#[test]
fn bodies_with_a_second_reading_are_refused_in_one_shape() {
    let upstream = Upstream::answering(json_answer("200 OK", COMPLETION));
    let gateway = Gateway::before(&[&upstream]);
    let mut stream = gateway.connect();
    let too_deep = format!(r#"{{"model":"m","messages":{}{}}}"#, "[".repeat(200), "]".repeat(200));
    let too_long = format!(r#"{{"model":"{}","messages":[]}}"#, "m".repeat(257));
    let built = [(too_deep.as_str(), None), (too_long.as_str(), Some("model"))];
    for (body, param) in REFUSED.into_iter().chain(built) {
        stream.write_all(&chat_request(body)).unwrap();
        let answer = read_answer(&mut stream);
        let status = if body.contains("none") { 404 } else { 400 };
        assert_eq!(answer.status, status, "{body}: {}", answer.text());
        let error = &answer.json()["error"];
        assert_eq!(
            (error["type"].as_str(), error["param"].as_str()),
            (Some("invalid_request_error"), param),
            "{body}"
        );
        assert_eq!(error.as_object().unwrap().len(), 4, "{body}");
        assert_eq!(answer.header("content-type"), Some("application/json"));
    }
    // Bytes that are not UTF-8, which no `str` holds.
    let invalid = [&br#"{"model":"m","messages":["#[..], b"\"\xff\"", b"]}"].concat();
    let head = format!("{HEAD}authorization: Bearer {KEY}\r\ncontent-length: {}\r\n\r\n", invalid.len());
    stream.write_all(&[head.as_bytes(), &invalid].concat()).unwrap();
    assert_eq!(read_answer(&mut stream).status, 400);
    assert_eq!(upstream.times_asked(), 0);
    let count = REFUSED.len() + built.len() + 1;
    for _ in 0..count {
        assert!([400, 404].contains(&gateway.record().get("status")));
    }
}

/// What is the provider's to judge passes as it was written.
#[test]
fn unusual_bodies_pass_byte_for_byte() {
    let upstream = Upstream::answering(json_answer("200 OK", COMPLETION));
    let gateway = Gateway::before(&[&upstream]);
    let deep = format!(r#"{{"model":"m","messages":{}{}}}"#, "[".repeat(60), "]".repeat(60));
    let bodies = [
        r#"{"model":"m","messages":[]}"#,
        r#"{"model":"m","messages":[1e400,-0,1E+2,123456789012345678901234567890.10]}"#,
        r#"{"model":"m","messages":["\ud83d\ude00","\ud800","😀"]}"#,
        " \r\n\t{ \"model\" : \"m\" , \"messages\" : [ ] } \n",
        r#"{"model":"m","messages":[],"prompt":"both"}"#,
        r#"{"model":"m","messages":[],"unknown":{"model":"x","stream":true},"tools":[]}"#,
        r#"{"model":"m","messages":[],"stream":null,"max_tokens":-5,"n":0}"#,
        r#"{"mod\u0065l":"m","messages":[]}"#,
        r#"{"model":"\u006d","messages":[]}"#,
        &deep,
    ];
    for body in bodies {
        let answer = gateway.chat(body);
        if body.contains("mod\\u0065l") {
            // A known member in a spelling that other readers may miss.
            assert_eq!((answer.status, upstream.requests.try_recv().is_err()), (400, true), "{body}");
            continue;
        }
        assert_eq!(answer.status, 200, "{body}: {}", answer.text());
        assert!(upstream.next_request().ends_with(body.as_bytes()), "{body}");
    }
}

#[test]
fn only_json_is_taken_for_json() {
    let upstream = Upstream::answering(json_answer("200 OK", COMPLETION));
    let gateway = Gateway::before(&[&upstream]);
    let cases = [
        (200, ""),
        (200, "content-type: application/json; charset=utf-8\r\n"),
        (200, "content-type: Application/JSON\r\n"),
        (200, "content-type: application/vnd.api+json\r\n"),
        (400, "content-type: text/plain\r\n"),
        (400, "content-type: application/x-www-form-urlencoded\r\n"),
        (400, "content-type: multipart/form-data; boundary=x\r\n"),
        (400, "content-type: application/jsonp\r\n"),
        (400, "content-type:\r\n"),
    ];
    let mut stream = gateway.connect();
    for (status, lines) in cases {
        let length = CHAT.len();
        let head =
            format!("{HEAD}authorization: Bearer {KEY}\r\n{lines}content-length: {length}\r\n\r\n{CHAT}");
        stream.write_all(head.as_bytes()).unwrap();
        let answer = read_answer(&mut stream);
        assert_eq!(answer.status, status, "{lines:?}");
        assert!(status == 200 || answer.error_code() == "invalid_request_body", "{lines:?}");
    }
}

/// Nothing of one request is left for the next on the same connection.
#[test]
fn requests_on_one_connection_do_not_colour_each_other() {
    let upstream = Upstream::answering(json_answer("200 OK", COMPLETION));
    let gateway = Gateway::before(&[&upstream]);
    let mut stream = gateway.connect();
    let bodies = [
        r#"{"model":"alias","messages":[],"stream":false,"user":"one"}"#,
        r#"{"model":"m","messages":[{"role":"user","content":"two"}]}"#,
        r#"{"model":"pre/x","messages":[]}"#,
    ];
    let sent = [bodies[0].replace("alias", "real-name"), bodies[1].into(), bodies[2].replace("pre/x", "x")];
    for _ in 0..3 {
        for (body, sent) in bodies.iter().zip(&sent) {
            stream.write_all(&post_with("/v1/chat/completions", "openai-beta: x\r\n", body)).unwrap();
            assert_eq!(read_answer(&mut stream).status, 200);
            assert!(upstream.next_request().ends_with(sent.as_bytes()), "{body}");
        }
    }
}
