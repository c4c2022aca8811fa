//! What is refused, as data: one row per spelling, with the number of the check it belongs to.

use sluice_http1::{HeadError as E, MAX_HEAD_BYTES, MAX_HEADERS, MAX_LINE_BYTES, Parse, RequestHead};

/// A request line that is in order.
const GET: &str = "GET / HTTP/1.1\r\n";
const POST: &str = "POST /v1 HTTP/1.1\r\nHost: a\r\n";

/// Check, start of the head, the rest of it, refusal.
const REFUSED: &[(u8, &str, &str, E)] = &[
    // 1: both ways to frame a body
    (1, POST, "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", E::FramingConflict),
    (1, POST, "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n", E::FramingConflict),
    (1, POST, "transfer-encoding: identity\r\ncontent-length: 5\r\n\r\n", E::FramingConflict),
    (1, POST, "Transfer-Encoding:\r\nContent-Length: 5\r\n\r\n", E::FramingConflict),
    // 2: two lengths
    (2, POST, "Content-Length: 5\r\nContent-Length: 6\r\n\r\n", E::ContentLengthRepeated),
    (2, POST, "Content-Length: 5\r\nA: b\r\ncontent-length: 5\r\n\r\n", E::ContentLengthRepeated),
    (2, POST, "Content-Length: 5, 5\r\n\r\n", E::ContentLength),
    (2, POST, "Content-Length: 5,5\r\n\r\n", E::ContentLength),
    // 3: lengths that are no plain decimal numbers
    (3, POST, "Content-Length: +5\r\n\r\n", E::ContentLength),
    (3, POST, "Content-Length: -5\r\n\r\n", E::ContentLength),
    (3, POST, "Content-Length: 1_0\r\n\r\n", E::ContentLength),
    (3, POST, "Content-Length: 0x5\r\n\r\n", E::ContentLength),
    (3, POST, "Content-Length: 5h\r\n\r\n", E::ContentLength),
    (3, POST, "Content-Length: 5 5\r\n\r\n", E::ContentLength),
    (3, POST, "Content-Length: 5.0\r\n\r\n", E::ContentLength),
    (3, POST, "Content-Length: 1e3\r\n\r\n", E::ContentLength),
    (3, POST, "Content-Length: \"5\"\r\n\r\n", E::ContentLength),
    (3, POST, "Content-Length: \u{a0}5\r\n\r\n", E::ContentLength),
    (3, POST, "Content-Length: \u{663}\r\n\r\n", E::ContentLength),
    (3, POST, "Content-Length:\r\n\r\n", E::ContentLength),
    (3, POST, "Content-Length: \t \r\n\r\n", E::ContentLength),
    (3, POST, " Content-Length: 5\r\n\r\n", E::Folded),
    (3, POST, "Content-Length: 18446744073709551616\r\n\r\n", E::ContentLength),
    (3, POST, "Content-Length: 99999999999999999999\r\n\r\n", E::ContentLength),
    (3, POST, "Content-Length: 184467440737095516150\r\n\r\n", E::ContentLength),
    // 4: transfer codings
    (
        4,
        POST,
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        E::TransferEncodingRepeated,
    ),
    (
        4,
        POST,
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n",
        E::TransferEncodingRepeated,
    ),
    (
        4,
        POST,
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n",
        E::TransferEncodingRepeated,
    ),
    (4, POST, "Transfer-Encoding: chunked, identity\r\n\r\n", E::TransferEncoding),
    (4, POST, "Transfer-Encoding: identity, chunked\r\n\r\n", E::TransferEncoding),
    (4, POST, "Transfer-Encoding: chunked, chunked\r\n\r\n", E::TransferEncoding),
    (4, POST, "Transfer-Encoding: identity\r\n\r\n", E::TransferEncoding),
    (4, POST, "Transfer-Encoding: xchunked\r\n\r\n", E::TransferEncoding),
    (4, POST, "Transfer-Encoding: chunkedx\r\n\r\n", E::TransferEncoding),
    (4, POST, "Transfer-Encoding: chunked;q=1\r\n\r\n", E::TransferEncoding),
    (4, POST, "Transfer-Encoding: \"chunked\"\r\n\r\n", E::TransferEncoding),
    (4, POST, "Transfer-Encoding: ,chunked\r\n\r\n", E::TransferEncoding),
    (4, POST, "Transfer-Encoding: chunked,\r\n\r\n", E::TransferEncoding),
    (4, POST, "Transfer-Encoding: chun ked\r\n\r\n", E::TransferEncoding),
    (4, POST, "Transfer-Encoding:\r\n\r\n", E::TransferEncoding),
    (4, POST, "Transfer-Encoding: gzip\r\n\r\n", E::TransferEncoding),
    (4, POST, "Transfer-Encoding: chunked, gzip\r\n\r\n", E::TransferEncoding),
    (4, POST, "Transfer-Encoding: gzip, chunked\r\n\r\n", E::TransferCoding),
    (4, POST, "Transfer-Encoding: X-GZIP,Chunked\r\n\r\n", E::TransferCoding),
    (4, POST, "Transfer-Encoding : chunked\r\n\r\n", E::SpaceBeforeColon),
    (4, POST, "Transfer-Encoding\t: chunked\r\n\r\n", E::SpaceBeforeColon),
    (4, POST, "Transfer-Encoding:\u{b}chunked\r\n\r\n", E::ControlCharacter),
    (4, POST, "Transfer-Encoding: chunked\u{0}\r\n\r\n", E::ControlCharacter),
    (4, POST, "Transfer-Encoding:\r\n chunked\r\n\r\n", E::Folded),
    (4, POST, "Transfer\u{212a}Encoding: chunked\r\n\r\n", E::FieldName),
    // 5: chunked coding in HTTP/1.0
    (5, "POST / HTTP/1.0\r\n", "Transfer-Encoding: chunked\r\n\r\n", E::TransferEncodingVersion),
    (
        5,
        "POST / HTTP/1.0\r\nHost: a\r\n",
        "Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n",
        E::TransferEncodingVersion,
    ),
    // 10: controls, folding, names
    (10, GET, "Host: a\u{0}\r\n\r\n", E::ControlCharacter),
    (10, GET, "Host: a\r\nA: b\u{1}c\r\n\r\n", E::ControlCharacter),
    (10, GET, "Host: a\r\nA: b\u{7f}\r\n\r\n", E::ControlCharacter),
    (10, GET, "Host: a\r\nA: b\rc\r\n\r\n", E::BareCarriageReturn),
    (10, GET, "Host: a\r\nA: b\r\r\n\r\n", E::BareCarriageReturn),
    (10, GET, "Host: a\r\nA: b\r\n c\r\n\r\n", E::Folded),
    (10, GET, "Host: a\r\nA: b\r\n\tc\r\n\r\n", E::Folded),
    (10, GET, "Host: a\r\nA: b\r\n \r\n\r\n", E::Folded),
    (10, GET, "\tHost: a\r\n\r\n", E::Folded),
    (10, GET, " Host: a\r\n\r\n", E::Folded),
    (10, GET, "Host : a\r\n\r\n", E::SpaceBeforeColon),
    (10, GET, "Host\t : a\r\n\r\n", E::SpaceBeforeColon),
    (10, GET, "Host: a\r\n: b\r\n\r\n", E::FieldName),
    (10, GET, "Host: a\r\n:\r\n\r\n", E::FieldName),
    (10, GET, "Host: a\r\nno-colon-here-but-long-enough-for-a-whole-block\r\n\r\n", E::FieldName),
    (10, GET, "Host: a\r\nshort\r\nA: b\r\n\r\n", E::FieldName),
    (10, GET, "Host: a\r\na b: c\r\n\r\n", E::FieldName),
    (10, GET, "Host: a\r\n(a): c\r\n\r\n", E::FieldName),
    (10, GET, "Host: a\r\na\"b: c\r\n\r\n", E::FieldName),
    (10, GET, "Host: a\r\na\u{e9}: this value goes on so that a block is read at once\r\n\r\n", E::FieldName),
    (10, GET, "Host: a\r\na\u{0}: c\r\n\r\n", E::ControlCharacter),
    (10, GET, "Host: a\r\na\r: c\r\n\r\n", E::BareCarriageReturn),
    // 11: bare line feeds
    (11, "GET / HTTP/1.1\n", "Host: a\r\n\r\n", E::BareLineFeed),
    (11, GET, "Host: a\n\r\n", E::BareLineFeed),
    (11, GET, "Host: a\r\nA: b\n\nGET /admin HTTP/1.1\r\n", E::BareLineFeed),
    (11, GET, "Host: a\r\n\n", E::BareLineFeed),
    (11, "\n", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", E::BareLineFeed),
    (11, GET, "Host: a\r\n\r\r\n", E::BareCarriageReturn),
    // 12: versions
    (12, "GET /\r\n", "\r\n", E::RequestLine),
    (12, "GET / HTTP/0.9\r\n", "\r\n", E::Version),
    (12, "GET / HTTP/1.32\r\n", "Host: a\r\n\r\n", E::RequestLine),
    (12, "GET / HTTP/1.2\r\n", "Host: a\r\n\r\n", E::Version),
    (12, "GET / HTTP/2.0\r\n", "Host: a\r\n\r\n", E::Version),
    (12, "PRI * HTTP/2.0\r\n", "\r\nSM\r\n\r\n", E::Version),
    (12, "GET / HTTP/1\r\n", "Host: a\r\n\r\n", E::RequestLine),
    (12, "GET / HTTP/11\r\n", "Host: a\r\n\r\n", E::RequestLine),
    (12, "GET / HTTP/1.\r\n", "Host: a\r\n\r\n", E::RequestLine),
    (12, "GET / HTTP/01.1\r\n", "Host: a\r\n\r\n", E::RequestLine),
    (12, "GET / http/1.1\r\n", "Host: a\r\n\r\n", E::RequestLine),
    (12, "GET / HTTPS/1.1\r\n", "Host: a\r\n\r\n", E::RequestLine),
    (12, "GET / HTTP/1.1 \r\n", "Host: a\r\n\r\n", E::RequestLine),
    (12, "GET / HTTP/1,1\r\n", "Host: a\r\n\r\n", E::RequestLine),
    // the rest of the request line
    (12, "GET  / HTTP/1.1\r\n", "Host: a\r\n\r\n", E::Target),
    (12, "GET /  HTTP/1.1\r\n", "Host: a\r\n\r\n", E::Path),
    (12, "GET\t/ HTTP/1.1\r\n", "Host: a\r\n\r\n", E::RequestLine),
    (12, "GET /\tHTTP/1.1\r\n", "Host: a\r\n\r\n", E::RequestLine),
    (12, " GET / HTTP/1.1\r\n", "Host: a\r\n\r\n", E::RequestLine),
    (12, "GET HTTP/1.1\r\n", "Host: a\r\n\r\n", E::RequestLine),
    (12, "/ HTTP/1.1\r\n", "Host: a\r\n\r\n", E::RequestLine),
    (12, "G(T / HTTP/1.1\r\n", "Host: a\r\n\r\n", E::RequestLine),
    (12, "GET: / HTTP/1.1\r\n", "Host: a\r\n\r\n", E::RequestLine),
    (12, "\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", E::RequestLine),
    // 13: hosts
    (13, GET, "\r\n", E::HostMissing),
    (13, GET, "Hosts: a\r\n\r\n", E::HostMissing),
    (13, GET, "Host: a\r\nHost: a\r\n\r\n", E::HostRepeated),
    (13, GET, "Host: a\r\nhOST: b\r\n\r\n", E::HostRepeated),
    (13, "GET / HTTP/1.0\r\n", "Host: a\r\nHost: a\r\n\r\n", E::HostRepeated),
    (13, GET, "Host:\r\n\r\n", E::Host),
    (13, GET, "Host: a/health\r\n\r\n", E::Host),
    (13, GET, "Host: a?\r\n\r\n", E::Host),
    (13, GET, "Host: a#b\r\n\r\n", E::Host),
    (13, GET, "Host: u@a\r\n\r\n", E::Host),
    (13, GET, "Host: a b\r\n\r\n", E::Host),
    (13, GET, "Host: a, b\r\n\r\n", E::Host),
    (13, GET, "Host: a:80:80\r\n\r\n", E::Host),
    (13, GET, "Host: a:x\r\n\r\n", E::Host),
    (13, GET, "Host: a:65536\r\n\r\n", E::Host),
    (13, GET, "Host: a\\b\r\n\r\n", E::Host),
    (13, GET, "Host: a%2fb\r\n\r\n", E::Host),
    (13, GET, "Host: b\u{fc}cher\r\n\r\n", E::Host),
    (13, "GET / HTTP/1.0\r\n", "Host: a/b\r\n\r\n", E::Host),
    (13, "GET http://a/ HTTP/1.1\r\n", "Host: b\r\n\r\n", E::HostMismatch),
    (13, "GET http://a:81/ HTTP/1.1\r\n", "Host: a\r\n\r\n", E::HostMismatch),
    (13, "GET https://a:80/ HTTP/1.1\r\n", "Host: a\r\n\r\n", E::HostMismatch),
    (13, "GET http://a/ HTTP/1.1\r\n", "\r\n", E::HostMissing),
    (13, "GET http://u@a/ HTTP/1.1\r\n", "Host: a\r\n\r\n", E::Target),
    (13, "GET http:///x HTTP/1.1\r\n", "Host: a\r\n\r\n", E::Target),
    (13, "GET ftp://a/ HTTP/1.1\r\n", "Host: a\r\n\r\n", E::Target),
    (13, "GET http:/a HTTP/1.1\r\n", "Host: a\r\n\r\n", E::Target),
    (13, "GET a/b HTTP/1.1\r\n", "Host: a\r\n\r\n", E::Target),
    (13, "GET a:80 HTTP/1.1\r\n", "Host: a\r\n\r\n", E::Target),
    (13, "GET * HTTP/1.1\r\n", "Host: a\r\n\r\n", E::Target),
    (13, "OPTIONS *x HTTP/1.1\r\n", "Host: a\r\n\r\n", E::Target),
    (13, "GET http://a\\b/ HTTP/1.1\r\n", "Host: a\r\n\r\n", E::Target),
    // 16: expectations
    (16, POST, "Content-Length: 1\r\nExpect: 200-ok\r\n\r\n", E::Expectation),
    (16, POST, "Content-Length: 1\r\nExpect:\r\n\r\n", E::Expectation),
    (16, POST, "Content-Length: 1\r\nExpect: 100-continue, x\r\n\r\n", E::Expectation),
    (16, POST, "Content-Length: 1\r\nExpect: 100-continue\r\nExpect: x\r\n\r\n", E::Expectation),
    // 17: tunnels
    (17, "CONNECT a:443 HTTP/1.1\r\n", "Host: a:443\r\n\r\n", E::Connect),
    (17, "CONNECT / HTTP/1.1\r\n", "Host: a\r\n\r\n", E::Connect),
];

/// Check 14: paths with a second reading. Each is also tried with a query, in absolute form and behind `/v1`.
const PATHS: &[&str] = &[
    "//",
    "//evil.example/x",
    "/v1//models",
    "/v1/models//",
    "/.",
    "/..",
    "/./v1",
    "/../v1",
    "/v1/.",
    "/v1/..",
    "/v1/./models",
    "/v1/../admin",
    "/%2e%2e/admin",
    "/%2E/x",
    "/.%2e/x",
    "/v1%2fmodels",
    "/v1%2Fmodels",
    "/v1/models%2fa",
    "/v1/models/%2fa",
    "/v1/models/a%2fb/c",
    "/v1/models/a/b%2fc",
    "/v1/models/a%2f%2fb",
    "/v1/models/..%2fa",
    "/v1/models/.%2fa",
    "/v1/models/a%2f..",
    "/v1/models/a%2F..%2fb",
    "/v1/models/a%2f.?b",
    "/v1/models/a%5cb",
    "/v1/models/a%252fb",
    "/v1/modelsx/a%2fb",
    "/v2/engines/a%2fb",
    "/v1%5cmodels",
    "/v1%5Cmodels",
    "/v1\\models",
    "/v1;x=1/models",
    "/v1/models;a",
    "/v1%3bmodels",
    "/%00",
    "/v1/models%00.png",
    "/%0d%0a",
    "/%0a",
    "/%7f",
    "/%1f",
    "/%c0%ae%c0%ae/x",
    "/%c0%af",
    "/%e0%80%af",
    "/%f0%80%80%af",
    "/%c1%9c",
    "/%ed%a0%80",
    "/%ff",
    "/%80",
    "/%c3",
    "/%c3x",
    "/%c3%",
    "/%e2%82",
    "/%f4%90%80%80",
    "/caf\u{e9}",
    "/\u{ff0f}",
    "/%",
    "/%2",
    "/%zz",
    "/%u002f",
    "/%25",
    "/%252e",
    "/%252f",
    "/%41dmin",
    "/%61dmin",
    "/%2dx",
    "/%5fx",
    "/%7ex",
    "/%30",
    "/a b",
    "/a#b",
    "/a\"b",
    "/a<b",
    "/a>b",
    "/a[b]",
    "/a{b}",
    "/a|b",
    "/a^b",
    "/a`b",
];

/// Queries with a byte that does not belong there.
const QUERIES: &[&str] = &["a b", "a#b", "a\"b", "a<b", "a>b", "caf\u{e9}", "%", "%2", "%zz", "a=%0"];

fn verdict(head: &[u8]) -> Result<Parse, E> {
    RequestHead::new().parse(head)
}

#[test]
fn refused_for_the_stated_reason() {
    for (check, start, rest, error) in REFUSED {
        let head = format!("{start}{rest}");
        assert_eq!(verdict(head.as_bytes()), Err(*error), "check {check}: {head:?}");
    }
}

#[test]
fn refused_also_with_a_body_behind_it() {
    for (check, start, rest, error) in REFUSED {
        let head = format!("{start}{rest}{}", "x".repeat(100));
        assert_eq!(verdict(head.as_bytes()), Err(*error), "check {check}: {head:?}");
    }
}

#[test]
fn a_byte_that_looks_like_a_space_is_none() {
    for value in [&b"\xa0chunked"[..], b"chunked\xa0", b"\x85chunked", b"chunked\xff"] {
        let head = [POST.as_bytes(), b"Transfer-Encoding: ", value, b"\r\n\r\n"].concat();
        assert_eq!(verdict(&head), Err(E::TransferEncoding), "{value:x?}");
    }
}

#[test]
fn paths_with_two_readings() {
    for path in PATHS {
        let forms =
            [path.to_string(), format!("{path}?a=/../b"), format!("http://a{path}"), format!("/v1{path}")];
        for target in forms {
            let head = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
            assert_eq!(verdict(head.as_bytes()), Err(E::Path), "{target}");
        }
    }
}

#[test]
fn queries_with_raw_characters() {
    for query in QUERIES {
        let head = format!("GET /v1?{query} HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(verdict(head.as_bytes()), Err(E::Query), "{query}");
    }
}

#[test]
fn every_control_character_is_refused_wherever_it_stands() {
    let head =
        b"GET /v1/models?a=b HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer x\r\nAccept: */*\r\n\r\n";
    assert_eq!(verdict(head), Ok(Parse::Complete));
    for control in (0..0x20).chain([0x7f]).filter(|byte| *byte != b'\t') {
        // Before the last byte a line feed would end the head, and what is behind it is no part of it.
        for position in 0..head.len() - 1 {
            let mut broken = head.to_vec();
            broken.insert(position, control);
            assert!(verdict(&broken).is_err(), "{control:#x} at {position}");
        }
    }
}

// 18: sizes

#[test]
fn header_count() {
    for (count, expected) in [(MAX_HEADERS, Ok(Parse::Complete)), (MAX_HEADERS + 1, Err(E::TooManyHeaders))] {
        let head = format!("{GET}Host: a\r\n{}\r\n", "A: b\r\n".repeat(count - 1));
        assert_eq!(verdict(head.as_bytes()), expected, "{count}");
    }
}

#[test]
fn line_length() {
    for (len, expected) in [(MAX_LINE_BYTES, Ok(Parse::Complete)), (MAX_LINE_BYTES + 1, Err(E::LineTooLong))]
    {
        let field = format!("{GET}Host: a\r\nA: {}\r\n\r\n", "b".repeat(len - 3));
        assert_eq!(verdict(field.as_bytes()), expected, "field of {len}");
        let target = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "b".repeat(len - 14));
        assert_eq!(verdict(target.as_bytes()), expected, "request line of {len}");
    }
    let endless = vec![b'a'; MAX_LINE_BYTES + 1];
    assert_eq!(verdict(&endless[..MAX_LINE_BYTES]), Ok(Parse::Partial));
    assert_eq!(verdict(&endless), Err(E::LineTooLong));
}

#[test]
fn head_length() {
    let lines = format!("{GET}Host: a\r\nA: {}\r\n", "b".repeat(MAX_LINE_BYTES - 3));
    for (len, expected) in [(MAX_HEAD_BYTES, Ok(Parse::Complete)), (MAX_HEAD_BYTES + 1, Err(E::HeadTooLarge))]
    {
        let filler = len - lines.len() - "C: \r\n\r\n".len();
        let head = format!("{lines}C: {}\r\n\r\n", "d".repeat(filler));
        assert_eq!(head.len(), len);
        assert_eq!(verdict(head.as_bytes()), expected, "{len}");
        assert_eq!(verdict(&head.as_bytes()[..MAX_HEAD_BYTES - 1]), Ok(Parse::Partial));
    }
}

#[test]
fn connection_options() {
    for (count, expected) in [(32, Ok(Parse::Complete)), (33, Err(E::TooManyConnectionOptions))] {
        let one_line = format!("{GET}Host: a\r\nConnection: {}\r\n\r\n", "x,".repeat(count));
        assert_eq!(verdict(one_line.as_bytes()), expected, "{count}");
        let lines = format!("{GET}Host: a\r\n{}\r\n", "Connection: x\r\n".repeat(count));
        assert_eq!(verdict(lines.as_bytes()), expected, "{count}");
    }
}

#[test]
fn statuses() {
    let statuses = [
        (E::Version, 505),
        (E::Connect, 501),
        (E::TransferCoding, 501),
        (E::LineTooLong, 431),
        (E::HeadTooLarge, 431),
        (E::TooManyHeaders, 431),
        (E::Expectation, 417),
        (E::FramingConflict, 400),
        (E::Path, 400),
        (E::HostMissing, 400),
    ];
    for (error, status) in statuses {
        assert_eq!(error.status(), status, "{error:?}");
    }
}
