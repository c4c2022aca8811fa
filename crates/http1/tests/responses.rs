//! Response heads: what is read, what is refused.

use sluice_http1::{HeadError as E, Known, Parse, ResponseFraming as F, ResponseHead};

/// Head, whether the request was `HEAD`, then status, framing and whether the connection persists.
#[rustfmt::skip]
const ACCEPTED: &[(&str, bool, u16, F, bool)] = &[
    ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", false, 200, F::Length(5), true),
    ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", true, 200, F::None, true),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", false, 200, F::Chunked, true),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", true, 200, F::None, true),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: CHUNKED\r\nConnection: close\r\n\r\n", false, 200, F::Chunked, false),
    ("HTTP/1.1 200 OK\r\n\r\n", false, 200, F::UntilClose, false),
    ("HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n\r\n", false, 200, F::UntilClose, false),
    ("HTTP/1.1 200 OK\r\n\r\n", true, 200, F::None, true),
    ("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", false, 200, F::Length(0), false),
    ("HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n", false, 200, F::Length(0), true),
    ("HTTP/1.0 200 OK\r\n\r\n", false, 200, F::UntilClose, false),
    // No reason, with the space that belongs there and without.
    ("HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", false, 200, F::Length(0), true),
    ("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", false, 200, F::Length(0), true),
    ("HTTP/1.1 200 caf\u{e9}\t(ok)\r\nContent-Length: 0\r\n\r\n", false, 200, F::Length(0), true),
    ("HTTP/1.1 529 \r\nContent-Length: 0\r\n\r\n", false, 529, F::Length(0), true),
    ("HTTP/1.1 999 No\r\nContent-Length: 0\r\n\r\n", false, 999, F::Length(0), true),
    // Statuses without a body, and fields that contradict them.
    ("HTTP/1.1 100 Continue\r\n\r\n", false, 100, F::None, true),
    ("HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", false, 101, F::None, false),
    ("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", false, 103, F::None, true),
    ("HTTP/1.1 204 No Content\r\n\r\n", false, 204, F::None, true),
    ("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", false, 204, F::None, true),
    ("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", false, 204, F::None, false),
    ("HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", false, 204, F::None, false),
    ("HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\n", false, 100, F::None, false),
    ("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", false, 304, F::None, true),
    ("HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", false, 304, F::None, true),
];

#[rustfmt::skip]
const REFUSED: &[(&str, E)] = &[
    ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", E::FramingConflict),
    ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", E::ContentLengthRepeated),
    ("HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n", E::ContentLength),
    ("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", E::ContentLength),
    ("HTTP/1.1 304 Not Modified\r\nContent-Length: x\r\n\r\n", E::ContentLength),
    ("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", E::TransferEncodingVersion),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", E::TransferEncodingRepeated),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, identity\r\n\r\n", E::TransferEncoding),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", E::TransferCoding),
    ("HTTP/1.1 200 OK\nContent-Length: 5\r\n\r\n", E::BareLineFeed),
    ("HTTP/1.1 200 OK\r\nContent-Length: 5\n\r\n", E::BareLineFeed),
    ("HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", E::Folded),
    ("HTTP/1.1 200 OK\r\nA : b\r\n\r\n", E::SpaceBeforeColon),
    ("HTTP/1.1 200 OK\r\nA\r\n\r\n", E::FieldName),
    ("HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n", E::BareCarriageReturn),
    ("HTTP/1.1 200 OK\r\nA: b\0c\r\n\r\n", E::ControlCharacter),
    ("HTTP/1.1 200 \u{1}\r\n\r\n", E::ControlCharacter),
    ("\r\nHTTP/1.1 200 OK\r\n\r\n", E::StatusLine),
    ("HTTP/1.1  200 OK\r\n\r\n", E::StatusLine),
    ("HTTP/1.1 20 OK\r\n\r\n", E::StatusLine),
    ("HTTP/1.1 2000 OK\r\n\r\n", E::StatusLine),
    ("HTTP/1.1 099 OK\r\n\r\n", E::StatusLine),
    ("HTTP/1.1 +20 OK\r\n\r\n", E::StatusLine),
    ("HTTP/1.1 200OK\r\n\r\n", E::StatusLine),
    ("HTTP/1.1 200\tOK\r\n\r\n", E::StatusLine),
    ("HTTP/1.1\r\n\r\n", E::StatusLine),
    ("HTTP/1.10 200 OK\r\n\r\n", E::StatusLine),
    ("http/1.1 200 OK\r\n\r\n", E::StatusLine),
    ("ICY 200 OK\r\n\r\n", E::StatusLine),
    ("<html>\r\n\r\n", E::StatusLine),
    ("HTTP/2.0 200 OK\r\n\r\n", E::Version),
    ("HTTP/1.2 200 OK\r\n\r\n", E::Version),
];

#[test]
fn accepted() {
    for &(head, was_head, status, framing, keep_alive) in ACCEPTED {
        let buf = format!("{head}hello, and more of the body than a block");
        let mut response = ResponseHead::new();
        assert_eq!(response.parse(buf.as_bytes(), was_head), Ok(Parse::Complete), "{head:?}");
        let found = (response.status, response.framing, response.keep_alive, response.head_len);
        assert_eq!(found, (status, framing, keep_alive, head.len()), "{head:?}");
    }
}

#[test]
fn refused() {
    for (head, error) in REFUSED {
        for was_head in [false, true] {
            assert_eq!(ResponseHead::new().parse(head.as_bytes(), was_head), Err(*error), "{head:?}");
        }
    }
}

#[test]
fn an_informational_head_comes_before_the_final_one() {
    let buf = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx";
    let mut response = ResponseHead::new();
    assert_eq!(response.parse(buf, false), Ok(Parse::Complete));
    assert_eq!(response.status, 100);
    let rest = &buf[response.head_len..];
    assert_eq!(response.parse(rest, false), Ok(Parse::Complete));
    assert_eq!((response.status, response.framing), (200, F::Length(1)));
    assert_eq!(&rest[response.head_len..], b"x");
}

#[test]
fn heads_of_real_servers() {
    let buf = include_bytes!("data/openai_response.http");
    let mut response = ResponseHead::new();
    assert_eq!(response.parse(buf, false), Ok(Parse::Complete));
    assert_eq!((response.status, response.framing, response.keep_alive), (200, F::Chunked, true));
    assert_eq!(response.fields().len(), 23);
    assert_eq!(response.known(buf, Known::XRequestId), Some(&b"req_0123456789abcdef0123456789abcdef"[..]));
    let dropped = response.fields().len() - response.fields().end_to_end(buf).count();
    assert_eq!(dropped, 2, "Transfer-Encoding and Connection");
}
