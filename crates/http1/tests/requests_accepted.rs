//! What is accepted, and what is read from it.

use sluice_http1::{Framing, Known, Method, Parse, RequestHead};

fn parsed(head: &str) -> RequestHead {
    let mut request = RequestHead::new();
    assert_eq!(request.parse(head.as_bytes()), Ok(Parse::Complete), "{head:?}");
    request
}

/// What a row of the table expects.
#[derive(Debug, PartialEq)]
struct Facts {
    method: Method,
    path: &'static str,
    query: Option<&'static str>,
    minor_version: u8,
    framing: Framing,
    keep_alive: bool,
    expect_continue: bool,
    upgrade: bool,
}

const PLAIN: Facts = Facts {
    method: Method::Get,
    path: "/",
    query: None,
    minor_version: 1,
    framing: Framing::None,
    keep_alive: true,
    expect_continue: false,
    upgrade: false,
};

#[rustfmt::skip]
fn rows() -> Vec<(&'static str, Facts)> {
    use Framing::{Chunked, Length};
    vec![
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", PLAIN),
        ("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", PLAIN),
        ("GET / HTTP/1.0\r\n\r\n", Facts { minor_version: 0, keep_alive: false, ..PLAIN }),
        ("GET / HTTP/1.0\r\nHost: a\r\nConnection: Keep-Alive\r\n\r\n", Facts { minor_version: 0, ..PLAIN }),
        ("GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", Facts { minor_version: 0, keep_alive: false, ..PLAIN }),
        ("GET / HTTP/1.1\r\nHost:a\r\nConnection:close\r\n\r\n", Facts { keep_alive: false, ..PLAIN }),
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection: x\r\nConnection: , CLOSE\t,\r\n\r\n", Facts { keep_alive: false, ..PLAIN }),
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection: closed\r\n\r\n", PLAIN),
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection:\r\n\r\n", PLAIN),
        ("HEAD /v1/models HTTP/1.1\r\nHost: a\r\n\r\n", Facts { method: Method::Head, path: "/v1/models", ..PLAIN }),
        ("PUT /x HTTP/1.1\r\nHost: a\r\n\r\n", Facts { method: Method::Put, path: "/x", ..PLAIN }),
        ("PATCH /x HTTP/1.1\r\nHost: a\r\n\r\n", Facts { method: Method::Patch, path: "/x", ..PLAIN }),
        ("DELETE /x HTTP/1.1\r\nHost: a\r\n\r\n", Facts { method: Method::Delete, path: "/x", ..PLAIN }),
        ("TRACE /x HTTP/1.1\r\nHost: a\r\n\r\n", Facts { method: Method::Other, path: "/x", ..PLAIN }),
        ("get /x HTTP/1.1\r\nHost: a\r\n\r\n", Facts { method: Method::Other, path: "/x", ..PLAIN }),
        ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", Facts { method: Method::Options, path: "*", ..PLAIN }),
        ("OPTIONS /v1 HTTP/1.1\r\nHost: a\r\n\r\n", Facts { method: Method::Options, path: "/v1", ..PLAIN }),
        ("GET /v1/models?limit=2&after=a/../b//c;d HTTP/1.1\r\nHost: a\r\n\r\n",
            Facts { path: "/v1/models", query: Some("limit=2&after=a/../b//c;d"), ..PLAIN }),
        ("GET /v1? HTTP/1.1\r\nHost: a\r\n\r\n", Facts { path: "/v1", query: Some(""), ..PLAIN }),
        ("GET /v1?a=?&b[]=%2e%2E%00{|}^`\\ HTTP/1.1\r\nHost: a\r\n\r\n",
            Facts { path: "/v1", query: Some("a=?&b[]=%2e%2E%00{|}^`\\"), ..PLAIN }),
        ("GET http://A.example/v1?x HTTP/1.1\r\nHost: a.EXAMPLE\r\n\r\n", Facts { path: "/v1", query: Some("x"), ..PLAIN }),
        ("GET http://a:80/v1 HTTP/1.1\r\nHost: a\r\n\r\n", Facts { path: "/v1", ..PLAIN }),
        ("GET HTTPS://a/v1 HTTP/1.1\r\nHost: a:443\r\n\r\n", Facts { path: "/v1", ..PLAIN }),
        ("GET http://[::1]:8080 HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n", PLAIN),
        ("GET http://a?x HTTP/1.1\r\nHost: a\r\n\r\n", Facts { query: Some("x"), ..PLAIN }),
        ("GET http://a/ HTTP/1.0\r\n\r\n", Facts { minor_version: 0, keep_alive: false, ..PLAIN }),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", Facts { method: Method::Post, framing: Length(0), ..PLAIN }),
        ("POST / HTTP/1.1\r\nHost: a\r\ncontent-LENGTH:\t 18446744073709551615 \t\r\n\r\n",
            Facts { method: Method::Post, framing: Length(u64::MAX), ..PLAIN }),
        ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0000000000000000000000000000000007\r\n\r\n", Facts { framing: Length(7), ..PLAIN }),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n", Facts { method: Method::Post, framing: Chunked, ..PLAIN }),
        ("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 3\r\n\r\n",
            Facts { method: Method::Post, framing: Length(3), expect_continue: true, ..PLAIN }),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n",
            Facts { method: Method::Post, framing: Chunked, expect_continue: true, ..PLAIN }),
        ("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n", Facts { method: Method::Post, ..PLAIN }),
        ("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n",
            Facts { method: Method::Post, framing: Length(0), ..PLAIN }),
        ("POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n",
            Facts { method: Method::Post, minor_version: 0, keep_alive: false, framing: Length(3), ..PLAIN }),
        ("GET /chat HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", Facts { path: "/chat", upgrade: true, ..PLAIN }),
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n",
            Facts { upgrade: true, ..PLAIN }),
    ]
}

#[test]
fn facts() {
    for (head, expected) in rows() {
        for behind in
            ["", "x", "GET / HTTP/1.1\r\n\r\n and so on, far behind the end of the head, as in a pipeline"]
        {
            let buf = format!("{head}{behind}");
            let request = parsed(&buf);
            let found = Facts {
                method: request.method,
                path: expected.path,
                query: expected.query,
                minor_version: request.minor_version,
                framing: request.framing,
                keep_alive: request.keep_alive,
                expect_continue: request.expect_continue,
                upgrade: request.upgrade,
            };
            assert_eq!(found, expected, "{head:?}");
            assert_eq!(request.path(buf.as_bytes()), expected.path, "{head:?}");
            assert_eq!(request.query(buf.as_bytes()), expected.query, "{head:?}");
            assert_eq!(request.head_len, head.len(), "{head:?}");
        }
    }
}

/// Paths with one reading only, escapes included.
#[test]
fn paths() {
    let paths = [
        "/",
        "/v1",
        "/v1/",
        "/v1/chat/completions",
        "/v1/models/gpt-4.1",
        "/v1/models/ft:gpt-4o:org::id",
        "/v1/models/openai%2Fgpt-4o",
        "/v1/models/%40cf%2fmeta%2fllama-3",
        "/...",
        "/.a",
        "/a.",
        "/..a",
        "/a..b",
        "/~user/-_.!$&'()*+,=:@",
        "/model/anthropic.claude%3A0/converse",
        "/a%20b",
        "/%E9%80%9A%e4%b9%89",
        "/%F0%9F%A6%80",
        "/%c3%a9",
        "/a%3Fb%23",
        "/%22",
        "/%5B%5D",
    ];
    for path in paths {
        let head = format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(parsed(&head).path(head.as_bytes()), path);
    }
}

#[test]
fn fields_are_as_sent_and_known_ones_are_found() {
    let head = "POST /v1 HTTP/1.1\r\nhOsT: a:1\r\nAuthorization: Bearer k\r\nX-API-Key:k1\r\nx-api-key:  k2\t \r\n\
                Empty:\r\nBlank: \t \r\nOdd!#$%&'*+.^_`|~Name: v:w : x\r\nUtf: caf\u{e9}\tx\r\n\
                a-name-that-is-longer-than-any-block-of-it: long\r\nContent-Type: application/json\r\n\r\n";
    let request = parsed(head);
    let buf = head.as_bytes();
    let fields: Vec<_> =
        request.fields().iter(buf).map(|field| (field.name, field.value, field.known)).collect();
    let expected: [(&str, &str, Option<Known>); 10] = [
        ("hOsT", "a:1", Some(Known::Host)),
        ("Authorization", "Bearer k", Some(Known::Authorization)),
        ("X-API-Key", "k1", Some(Known::XApiKey)),
        ("x-api-key", "k2", Some(Known::XApiKey)),
        ("Empty", "", None),
        ("Blank", "", None),
        ("Odd!#$%&'*+.^_`|~Name", "v:w : x", None),
        ("Utf", "caf\u{e9}\tx", None),
        ("a-name-that-is-longer-than-any-block-of-it", "long", None),
        ("Content-Type", "application/json", Some(Known::ContentType)),
    ];
    let expected: Vec<_> =
        expected.iter().map(|(name, value, known)| (name.as_bytes(), value.as_bytes(), *known)).collect();
    assert_eq!(fields, expected);
    assert_eq!(request.fields().len(), 10);
    assert_eq!(request.fields().count(Known::XApiKey), 2);
    assert_eq!(request.fields().count(Known::ApiKey), 0);
    assert_eq!(request.known(buf, Known::XApiKey), Some(&b"k1"[..]));
    assert_eq!(request.known(buf, Known::ApiKey), None);
    assert_eq!(request.fields().all(buf, Known::XApiKey).collect::<Vec<_>>(), [b"k1", b"k2"]);
    assert_eq!(request.method_name(buf), "POST");
}

#[test]
fn what_belongs_to_one_hop_is_filtered() {
    let cases: &[(&str, &[&str])] = &[
        ("A: 1\r\nb: 2\r\n", &["Host", "A", "b"]),
        (
            "Connection: keep-alive\r\nKeep-Alive: 5\r\nTE: trailers\r\nTrailer: x\r\nUpgrade: h2c\r\nA: 1\r\n",
            &["Host", "A"],
        ),
        ("Proxy-Connection: x\r\nProxy-Authorization: y\r\nProxy-Authenticate: z\r\n", &["Host"]),
        ("Connection: a, B\r\nA: 1\r\nb: 2\r\nC: 3\r\n", &["Host", "C"]),
        ("A: 1\r\nConnection: close\r\nConnection: ,a ,\r\n", &["Host"]),
        ("Connection: authorization\r\nAuthorization: x\r\nC: 3\r\n", &["Host", "C"]),
        ("Connection: upgrade\r\nAb: 1\r\n", &["Host", "Ab"]),
        ("Content-Length: 0\r\nContent-Type: x\r\n", &["Host", "Content-Length", "Content-Type"]),
    ];
    for (fields, expected) in cases {
        let head = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        let request = parsed(&head);
        let kept: Vec<_> = request.fields().end_to_end(head.as_bytes()).map(|field| field.name).collect();
        let expected: Vec<_> = expected.iter().map(|name| name.as_bytes()).collect();
        assert_eq!(kept, expected, "{fields:?}");
    }
}

#[test]
fn one_value_reads_many_heads() {
    let mut request = RequestHead::new();
    let first = b"POST /a?b HTTP/1.1\r\nHost: a\r\nConnection: x\r\nX: 1\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n";
    let second = b"GET /c HTTP/1.1\r\nHost: a\r\nX: 2\r\n\r\n";
    for _ in 0..3 {
        assert_eq!(request.parse(first), Ok(Parse::Complete));
        assert!(request.expect_continue && request.framing == Framing::Length(1));
        assert!(request.parse(b"nonsense\n").is_err());
        assert_eq!(request.parse(b"GET / HT"), Ok(Parse::Partial));
        request.reset();
        assert_eq!(request.parse(second), Ok(Parse::Complete));
        assert_eq!((request.path(second), request.query(second)), ("/c", None));
        assert!(!request.expect_continue && request.framing == Framing::None);
        assert_eq!(request.fields().count(Known::Connection), 0);
        assert_eq!(request.fields().end_to_end(second).count(), 2);
    }
}

#[test]
fn a_shorter_buffer_begins_a_new_head() {
    let mut request = RequestHead::new();
    assert_eq!(request.parse(b"POST /a-long-beginning HTTP/1.1\r\nHost: a\r\nA"), Ok(Parse::Partial));
    let head = b"GET /c HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(request.parse(&head[..20]), Ok(Parse::Partial));
    assert_eq!(request.parse(head), Ok(Parse::Complete));
    assert_eq!(request.path(head), "/c");
}

#[test]
fn heads_of_real_clients() {
    let buf = include_bytes!("data/openai_sdk_request.http");
    let mut request = RequestHead::new();
    assert_eq!(request.parse(buf), Ok(Parse::Complete));
    assert_eq!(request.path(buf), "/v1/chat/completions");
    assert_eq!((request.framing, request.keep_alive), (Framing::Length(1024), true));
    assert_eq!(request.fields().len(), 21);
    assert_eq!(request.known(buf, Known::OpenaiProject), Some(&b"proj_0123456789abcdef"[..]));
    assert_eq!(request.known(buf, Known::ContentType), Some(&b"application/json"[..]));
}
