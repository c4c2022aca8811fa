//! Properties over generated heads and bodies: every split gives the same result, and `httparse` agrees with what is
//! accepted. The bodies of the fuzz targets hold the assertions.

mod support;

use proptest::collection::vec;
use proptest::prelude::*;
use sluice_http1::{ChunkedDecoder, Framing, Parse, RequestHead, write_chunk_header};
use support::fuzz_bodies;

/// A field name: known ones in any case, plain ones, ones with every `tchar`.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prop::sample::select(sluice_http1::Known::ALL.to_vec()).prop_map(|known| known.name().to_owned()),
        2 => "[A-Za-z0-9-]{1,40}",
        1 => "[!#$%&'*+.^_`|~A-Za-z0-9-]{1,30}",
    ]
    .prop_flat_map(|name| (Just(name), any::<bool>()))
    .prop_map(|(name, upper)| if upper { name.to_uppercase() } else { name })
    .prop_filter("these decide the framing and are added apart", |name| {
        !["host", "content-length", "transfer-encoding", "expect"].contains(&&*name.to_lowercase())
    })
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        "[!-~]{1,20}",
        "[!-~]([ \\t!-~]{0,100}[!-~])?",
        "[\u{a0}-\u{2ff}]([ -~\u{a0}-\u{2ff}]{0,20}[!-~])?",
        Just("close".to_owned()),
        Just("keep-alive, x-a".to_owned()),
    ]
}

fn space() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["", " ", "  ", "\t", " \t "])
}

fn framing() -> impl Strategy<Value = (String, Framing)> {
    prop_oneof![
        Just((String::new(), Framing::None)),
        any::<u64>().prop_map(|length| (format!("Content-Length: {length}\r\n"), Framing::Length(length))),
        Just(("transfer-encoding: chunked\r\n".to_owned(), Framing::Chunked)),
    ]
}

/// A valid request head and what is in it.
#[derive(Clone, Debug)]
struct Head {
    text: String,
    target: String,
    fields: Vec<(String, String)>,
    framing: Framing,
}

fn head() -> impl Strategy<Value = Head> {
    let method = prop::sample::select(vec!["GET", "POST", "PUT", "OPTIONS", "M-SEARCH", "x"]);
    let segment = "[A-Za-z0-9_~:-]{1,12}|%20|%C3%A9|a\\.b";
    let target = (vec(segment, 0..5), prop::option::of("[A-Za-z0-9=&/?%20]{0,3}"))
        .prop_map(|(segments, query)| {
            (format!("/{}", segments.join("/")), query.filter(|query| !query.contains('%')))
        })
        .prop_map(|(path, query)| query.map_or(path.clone(), |query| format!("{path}?{query}")));
    let fields = vec((name(), space(), value(), space()), 0..40);
    (any::<bool>(), method, target, fields, framing()).prop_map(
        |(empty_line, method, target, fields, (lines, framing))| {
            let mut text = format!("{}{method} {target} HTTP/1.1\r\n", if empty_line { "\r\n" } else { "" });
            for (name, before, value, after) in &fields {
                text += &format!("{name}:{before}{value}{after}\r\n");
            }
            text += &format!("Host: a.example:8080\r\n{lines}\r\n");
            let fields = fields.into_iter().map(|(name, _, value, _)| (name, value)).collect();
            Head { text, target, fields, framing }
        },
    )
}

/// Bytes as a head is made of, in any order.
fn debris() -> impl Strategy<Value = Vec<u8>> {
    let part = prop::sample::select(vec![
        "GET ",
        "POST ",
        "/",
        "/v1/",
        "*",
        " HTTP/1.1\r\n",
        " HTTP/1.0\r\n",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.0 204\r\n",
        "\r\n",
        "\r",
        "\n",
        "Host: a\r\n",
        "Host: ",
        "Content-Length: 5\r\n",
        "content-length:",
        "Transfer-Encoding: chunked\r\n",
        "chunked",
        "Connection: close, x\r\n",
        "Expect: 100-continue\r\n",
        "Upgrade: h2c\r\n",
        ":",
        " ",
        "\t",
        "a",
        "%2e",
        "%41",
        "?",
        "http://a",
        ";",
        "..",
        "\0",
        "\u{7f}",
        "\u{e9}",
        ",",
        "X: y\r\n",
        "x-stainless-lang: js\r\n",
    ]);
    vec(part, 0..24).prop_map(|parts| parts.concat().into_bytes())
}

/// A valid chunked body, its payload, and its length without what follows.
fn body() -> impl Strategy<Value = (Vec<u8>, Vec<u8>, usize)> {
    let chunk = (vec(any::<u8>(), 1..400), prop::sample::select(vec!["", ";", ";a=b", ";q=\"x y\""]));
    let trailers = prop::sample::select(vec!["", "A: b\r\n", "Digest:\r\nX-Y: z\r\n"]);
    (vec(chunk, 0..12), trailers, vec(any::<u8>(), 0..20)).prop_map(|(chunks, trailers, rest)| {
        let (mut text, mut payload, mut out) = (Vec::new(), Vec::new(), [0; 18]);
        for (chunk, extension) in chunks {
            let header = write_chunk_header(&mut out, chunk.len());
            text.extend(
                [&header[..header.len() - 2], extension.as_bytes(), b"\r\n", &chunk, b"\r\n"].concat(),
            );
            payload.extend(chunk);
        }
        text.extend([b"0\r\n", trailers.as_bytes(), b"\r\n"].concat());
        let len = text.len();
        text.extend(rest);
        (text, payload, len)
    })
}

fn chunk_debris() -> impl Strategy<Value = Vec<u8>> {
    let part = prop::sample::select(vec![
        "0\r\n",
        "5\r\nhello\r\n",
        "1",
        "a\r\n",
        "\r\n",
        "\r",
        "\n",
        ";x",
        ";",
        " ",
        "0",
        "A: b\r\n",
        "A",
        ":",
        "g",
        "\u{e9}",
        "\0",
        "ffffffff",
        "x",
    ]);
    vec(part, 0..16).prop_map(|parts| parts.concat().into_bytes())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn valid_heads_are_read_as_they_were_written(head in head()) {
        let mut request = RequestHead::new();
        let buf = head.text.as_bytes();
        prop_assert_eq!(request.parse(buf), Ok(Parse::Complete));
        prop_assert_eq!(request.head_len, buf.len());
        prop_assert_eq!(request.framing, head.framing);
        let query = request.query(buf).map_or(String::new(), |query| format!("?{query}"));
        prop_assert_eq!(format!("{}{query}", request.path(buf)), head.target);
        let found: Vec<_> = request.fields().iter(buf).take(head.fields.len())
            .map(|field| (String::from_utf8_lossy(field.name).into_owned(), String::from_utf8_lossy(field.value).into_owned()))
            .collect();
        prop_assert_eq!(found, head.fields);
        fuzz_bodies::head(buf);
    }

    #[test]
    fn one_changed_byte_never_divides_the_readers(head in head(), position: prop::sample::Index, byte: u8) {
        let mut buf = head.text.into_bytes();
        let position = position.index(buf.len());
        buf[position] = byte;
        fuzz_bodies::head(&buf);
    }

    #[test]
    fn debris_never_divides_the_readers(data in debris()) {
        fuzz_bodies::head(&data);
    }

    #[test]
    fn valid_bodies_are_read_as_they_were_written((text, payload, len) in body()) {
        let mut buf = text.clone();
        let decoded = ChunkedDecoder::new().decode(&mut buf).expect("a valid body");
        prop_assert!(decoded.done);
        prop_assert_eq!(decoded.consumed, len);
        prop_assert_eq!(&buf[..decoded.produced], &payload[..]);
        prop_assert_eq!(&buf[decoded.consumed..], &text[len..]);
        fuzz_bodies::chunked(&text);
    }

    #[test]
    fn one_changed_byte_never_divides_the_decoders((mut text, _, _) in body(), position: prop::sample::Index, byte: u8) {
        let position = position.index(text.len());
        text[position] = byte;
        fuzz_bodies::chunked(&text);
    }

    #[test]
    fn chunk_debris_never_divides_the_decoders(data in chunk_debris()) {
        fuzz_bodies::chunked(&data);
    }
}
