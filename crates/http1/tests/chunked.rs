//! Chunked coding: what is read, what is refused, what it may cost.

use sluice_http1::{
    ChunkError as E, ChunkedDecoder, Decoded, FRAMING_ALLOWANCE_BYTES, LAST_CHUNK, MAX_EXTENSION_BYTES,
    MAX_TRAILER_BYTES, MAX_TRAILERS, write_chunk_header,
};

fn decode(body: &[u8]) -> Result<(Vec<u8>, Decoded), E> {
    let mut buf = body.to_vec();
    let decoded = ChunkedDecoder::new().decode(&mut buf)?;
    buf.truncate(decoded.produced);
    Ok((buf, decoded))
}

/// Body, its payload, and what of the bytes belongs to the next message.
const ACCEPTED: &[(&str, &str, &str)] = &[
    ("0\r\n\r\n", "", ""),
    ("5\r\nhello\r\n0\r\n\r\n", "hello", ""),
    ("5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", "hello world", ""),
    ("a\r\n0123456789\r\n0\r\n\r\nGET / HTTP/1.1\r\n", "0123456789", "GET / HTTP/1.1\r\n"),
    ("A\r\n0123456789\r\n000\r\n\r\n", "0123456789", ""),
    ("0000000000000005\r\nhello\r\n0000000000000000\r\n\r\n", "hello", ""),
    ("2\r\n\r\n\r\n0\r\n\r\n", "\r\n", ""),
    ("5;a\r\nhello\r\n0;b=\"c;\td\"\r\n\r\n", "hello", ""),
    ("5;\r\nhello\r\n0\r\n\r\n", "hello", ""),
    ("1\r\nx\r\n0\r\nA: b\r\nCache-Control:\r\nC: caf\u{e9}\tx\r\n\r\nrest", "x", "rest"),
];

/// The number of the check, body, refusal.
#[rustfmt::skip]
const REFUSED: &[(u8, &str, E)] = &[
    (6, "0x5\r\nhello\r\n0\r\n\r\n", E::Size),
    (6, "+5\r\nhello\r\n0\r\n\r\n", E::Size),
    (6, "-1\r\nhello\r\n0\r\n\r\n", E::Size),
    (6, "0_2e\r\n", E::Size),
    (6, "00000000000000005\r\nhello\r\n0\r\n\r\n", E::Size),
    (6, "fffffffffffffffff\r\n", E::Size),
    (6, "\r\nhello\r\n0\r\n\r\n", E::Size),
    (6, ";a\r\nhello\r\n0\r\n\r\n", E::Size),
    (6, " 5\r\nhello\r\n0\r\n\r\n", E::Size),
    (6, "5 \r\nhello\r\n0\r\n\r\n", E::Size),
    (6, "5\t;a\r\nhello\r\n0\r\n\r\n", E::Size),
    (6, "5g\r\nhello\r\n0\r\n\r\n", E::Size),
    (6, "5,5\r\nhello\r\n0\r\n\r\n", E::Size),
    (6, "\u{665}\r\nhello\r\n0\r\n\r\n", E::Size),
    (6, "5\nhello\r\n0\r\n\r\n", E::Size),
    (6, "\n5\r\nhello\r\n0\r\n\r\n", E::Size),
    (6, "5\r\rhello\r\n0\r\n\r\n", E::LineEnd),
    (6, "5\rhello\r\n0\r\n\r\n", E::LineEnd),
    (6, "5\r\nhello\n0\r\n\r\n", E::LineEnd),
    (6, "5\r\nhello\r0\r\n\r\n", E::LineEnd),
    (6, "5\r\nhelloo\r\n0\r\n\r\n", E::LineEnd),
    (6, "5\r\nhello0\r\n\r\n", E::LineEnd),
    (6, "5\r\nhello\r\n0\n\r\n", E::Size),
    (6, "5\r\nhello\r\n0\r\n\n", E::Trailer),
    (6, "5\r\nhello\r\n0\r\n\rx", E::LineEnd),
    (6, "5\r\nhello\r\n\r\n", E::Size),
    (7, "5;a\nhello\r\n0\r\n\r\n", E::Extension),
    (7, "5;a\rb\r\nhello\r\n0\r\n\r\n", E::LineEnd),
    (7, "5;a\0\r\nhello\r\n0\r\n\r\n", E::Extension),
    (7, "5;caf\u{e9}\r\nhello\r\n0\r\n\r\n", E::Extension),
    (9, "0\r\nA\r\n\r\n", E::Trailer),
    (9, "0\r\n: b\r\n\r\n", E::Trailer),
    (9, "0\r\nA : b\r\n\r\n", E::Trailer),
    (9, "0\r\n A: b\r\n\r\n", E::Trailer),
    (9, "0\r\nA: b\r\n c\r\n\r\n", E::Trailer),
    (9, "0\r\nA: b\n\r\n", E::Trailer),
    (9, "0\r\nA: b\rc\r\n\r\n", E::LineEnd),
    (9, "0\r\nA: \0\r\n\r\n", E::Trailer),
    (9, "0\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", E::Trailer),
];

#[test]
fn accepted() {
    for (body, payload, rest) in ACCEPTED {
        let (found, decoded) = decode(body.as_bytes()).unwrap_or_else(|error| panic!("{body:?}: {error}"));
        assert!(decoded.done, "{body:?}");
        assert_eq!(found, payload.as_bytes(), "{body:?}");
        assert_eq!(&body[decoded.consumed..], *rest, "{body:?}");
    }
}

#[test]
fn every_beginning_of_a_body_waits_for_more() {
    for (body, payload, rest) in ACCEPTED {
        for len in 0..body.len() - rest.len() {
            let (found, decoded) = decode(&body.as_bytes()[..len]).expect("a valid beginning");
            assert!(!decoded.done && decoded.consumed == len, "{body:?} up to {len}");
            assert!(payload.as_bytes().starts_with(&found), "{body:?} up to {len}");
        }
    }
}

#[test]
fn refused() {
    for (check, body, error) in REFUSED {
        assert_eq!(decode(body.as_bytes()).map(drop), Err(*error), "check {check}: {body:?}");
    }
}

#[test]
fn the_longest_size_is_read_and_its_payload_counted() {
    let mut decoder = ChunkedDecoder::new();
    let mut buf = *b"ffffffffffffffff\r\nabc";
    let decoded = decoder.decode(&mut buf).expect("a valid beginning");
    assert_eq!(decoded, Decoded { consumed: buf.len(), produced: 3, done: false });
    assert_eq!(decoder.payload_bytes(), 3);
}

#[test]
fn extensions_are_bounded_in_total() {
    let budget = MAX_EXTENSION_BYTES as usize;
    let one = |len: usize| format!("5;{}\r\nhello\r\n0\r\n\r\n", "e".repeat(len - 1));
    assert!(decode(one(budget).as_bytes()).expect("within the bound").1.done);
    assert_eq!(decode(one(budget + 1).as_bytes()).map(drop), Err(E::ExtensionsTooLong));
    let many = |chunks: usize| format!("{}0\r\n\r\n", "5;ab\r\nhello\r\n".repeat(chunks));
    assert!(decode(many(budget / 3).as_bytes()).expect("within the bound").1.done);
    assert_eq!(decode(many(budget / 3 + 1).as_bytes()).map(drop), Err(E::ExtensionsTooLong));
}

#[test]
fn trailers_are_bounded_in_number_and_size() {
    let many = |count: usize| format!("0\r\n{}\r\n", "A: b\r\n".repeat(count));
    assert!(decode(many(MAX_TRAILERS as usize).as_bytes()).expect("within the bound").1.done);
    assert_eq!(decode(many(MAX_TRAILERS as usize + 1).as_bytes()).map(drop), Err(E::TrailersTooLong));
    let long = |len: usize| format!("0\r\nA:{}\r\n\r\n", "b".repeat(len - 4));
    assert!(decode(long(MAX_TRAILER_BYTES as usize - 1).as_bytes()).expect("within the bound").1.done);
    assert_eq!(decode(long(MAX_TRAILER_BYTES as usize + 1).as_bytes()).map(drop), Err(E::TrailersTooLong));
}

#[test]
fn tiny_chunks_are_free_up_to_the_allowance() {
    let allowed = usize::try_from(FRAMING_ALLOWANCE_BYTES).expect("a small number") - 10;
    let ones = |count: usize| format!("{}0\r\n\r\n", "1\r\nx\r\n".repeat(count));
    assert!(decode(ones(allowed).as_bytes()).expect("within the bound").1.done);
    assert_eq!(decode(ones(allowed + 20).as_bytes()).map(drop), Err(E::ChunksTooSmall));
    let twos = format!("{}0\r\n\r\n", "2\r\nxy\r\n".repeat(1_000_000));
    assert!(decode(twos.as_bytes()).expect("two bytes each are no abuse").1.done);
}

#[test]
fn padded_sizes_count_as_framing() {
    let padded = "0000000000000001\r\nx\r\n".repeat(5_000);
    assert_eq!(decode(padded.as_bytes()).map(drop), Err(E::ChunksTooSmall));
}

#[test]
fn pieces_name_the_payload_where_it_stands() {
    let body = b"5\r\nhello\r\n6;x\r\n world\r\n0\r\n\r\nrest";
    let mut decoder = ChunkedDecoder::new();
    let (mut at, mut pieces) = (0, Vec::new());
    while !decoder.is_done() {
        let piece = decoder.next_piece(&body[at..]).expect("a valid body");
        pieces.push(&body[at..][piece.payload]);
        at += piece.consumed;
    }
    assert_eq!(pieces, [&b"hello"[..], b" world", b""]);
    assert_eq!(&body[at..], b"rest");
}

#[test]
fn chunk_headers_are_read_back() {
    let mut out = [0; 18];
    for (len, expected) in
        [(0, "0\r\n"), (1, "1\r\n"), (15, "f\r\n"), (16, "10\r\n"), (0xabcd_ef01, "abcdef01\r\n")]
    {
        assert_eq!(write_chunk_header(&mut out, len), expected.as_bytes());
    }
    assert_eq!(write_chunk_header(&mut out, usize::MAX), b"ffffffffffffffff\r\n");
    for len in [1, 9, 10, 255, 256, 65_535, 65_536] {
        let payload = vec![b'p'; len];
        let body = [write_chunk_header(&mut out, len), &payload, b"\r\n", LAST_CHUNK].concat();
        assert_eq!(decode(&body).expect("our own writing").0, payload);
    }
}
