//! The span scanner: what it accepts, what it finds, and that `serde_json` agrees.

mod support;

use proptest::prelude::*;
use sluice_dialects::json::{
    JsonErrorKind as Kind, MAX_DEPTH, Members, as_u64, json_escaped, scan_object, unescape,
};
use support::{fuzz_bodies, generate};

const WANTED: [&str; 3] = ["model", "stream", "max_tokens"];

fn scan(body: &str) -> Members<3> {
    scan_object(body.as_bytes(), &WANTED).unwrap_or_else(|error| panic!("{body}: {error}"))
}

fn refusal(body: &[u8]) -> (Kind, usize) {
    let error = scan_object(body, &WANTED).expect_err(&String::from_utf8_lossy(body));
    (error.kind, error.offset)
}

#[test]
fn finds_the_values_of_wanted_members() {
    let cases: [(&str, [Option<&str>; 3]); 7] = [
        (r"{}", [None, None, None]),
        (r#"{"model":"a"}"#, [Some(r#""a""#), None, None]),
        (" {\n\"model\" :\t\"a\" , \"stream\" : true }\r\n", [Some(r#""a""#), Some("true"), None]),
        (r#"{"x":{"model":"inner"},"model":null}"#, [Some("null"), None, None]),
        (r#"{"x":["model",{"stream":1}],"max_tokens":1e400}"#, [None, None, Some("1e400")]),
        (r#"{"models":1,"mode":2,"Modem":3,"model":{"a":[]}}"#, [Some(r#"{"a":[]}"#), None, None]),
        (r#"{"x":"\"model\":\"no\"","stream":[[]]}"#, [None, Some("[[]]"), None]),
    ];
    for (body, expected) in cases {
        let found = scan(body)
            .values
            .map(|span| span.map(|span| std::str::from_utf8(span.of(body.as_bytes())).unwrap()));
        assert_eq!(found, expected, "{body}");
    }
}

#[test]
fn says_where_a_member_can_be_inserted() {
    for (body, after_brace, empty) in [("{}", 1, true), (" { \n}", 2, true), (" {\n\"a\":1}", 2, false)] {
        let members = scan(body);
        assert_eq!((members.after_brace, members.empty), (after_brace, empty), "{body:?}");
    }
}

#[test]
fn accepts_what_the_grammar_allows() {
    let values = [
        "0",
        "-0",
        "-1.5e+10",
        "1E5",
        "0.0",
        "9007199254740993",
        "1e400",
        "1e-400",
        "true",
        "false",
        "null",
        "\"\"",
        r#""\u0000\ud800 \udc00\uD83D\uDE00""#,
        r#""\"\\\/\b\f\n\r\t""#,
        "\"\u{7f}\u{80}\u{2028}\u{10ffff}\"",
        "[]",
        "{}",
        "[[],{},[{}]]",
        r#"{"":{"":""}}"#,
        r#"{"a":1,"a":2}"#,
        "[ 1 ,\n2\t,\r3 ]",
    ];
    for value in values {
        scan(&format!("{{\"x\":{value}}}"));
        scan(&format!("{{\"x\":[{value},{value}]}}"));
    }
}

#[test]
fn refuses_what_the_grammar_does_not_allow() {
    let cases: [(&[u8], Kind, usize); 48] = [
        (b"", Kind::UnexpectedEnd, 0),
        (b"  ", Kind::UnexpectedEnd, 2),
        (b"[]", Kind::NotAnObject, 0),
        (b" \"{}\"", Kind::NotAnObject, 1),
        (b"null", Kind::NotAnObject, 0),
        (b"\xef\xbb\xbf{}", Kind::ByteOrderMark, 0),
        (b"{} {}", Kind::TrailingBytes, 3),
        (b"{}\0", Kind::TrailingBytes, 2),
        (b"{", Kind::UnexpectedEnd, 1),
        (b"{\"a\"", Kind::UnexpectedEnd, 4),
        (b"{\"a\":", Kind::UnexpectedEnd, 5),
        (b"{\"a\":1", Kind::UnexpectedEnd, 6),
        (b"{\"a\":1,", Kind::UnexpectedEnd, 7),
        (b"{\"a\":1,}", Kind::UnexpectedByte, 7),
        (b"{,\"a\":1}", Kind::UnexpectedByte, 1),
        (b"{\"a\":1 \"b\":2}", Kind::UnexpectedByte, 7),
        (b"{\"a\" 1}", Kind::UnexpectedByte, 5),
        (b"{\"a\"::1}", Kind::UnexpectedByte, 5),
        (b"{a:1}", Kind::UnexpectedByte, 1),
        (b"{'a':1}", Kind::UnexpectedByte, 1),
        (b"{1:1}", Kind::UnexpectedByte, 1),
        (b"{\"a\":1]", Kind::UnexpectedByte, 6),
        (b"{\"a\":[1}", Kind::UnexpectedByte, 7),
        (b"{\"a\":[1,]}", Kind::UnexpectedByte, 8),
        (b"{\"a\":[,1]}", Kind::UnexpectedByte, 6),
        (b"{\"a\":[1 2]}", Kind::UnexpectedByte, 8),
        (b"{\"a\":{]}", Kind::UnexpectedByte, 6),
        (b"{\"a\":{\"b\":1,}}", Kind::UnexpectedByte, 12),
        (b"{\"a\":01}", Kind::InvalidNumber, 6),
        (b"{\"a\":-}", Kind::InvalidNumber, 6),
        (b"{\"a\":1.}", Kind::InvalidNumber, 7),
        (b"{\"a\":1e}", Kind::InvalidNumber, 7),
        (b"{\"a\":1e+}", Kind::InvalidNumber, 8),
        (b"{\"a\":.5}", Kind::UnexpectedByte, 5),
        (b"{\"a\":+1}", Kind::UnexpectedByte, 5),
        (b"{\"a\":NaN}", Kind::UnexpectedByte, 5),
        (b"{\"a\":0x1}", Kind::UnexpectedByte, 6),
        (b"{\"a\":1\x0b}", Kind::UnexpectedByte, 6),
        (b"{\"a\":True}", Kind::UnexpectedByte, 5),
        (b"{\"a\":nul}", Kind::UnexpectedByte, 8),
        (b"{\"a\":nu", Kind::UnexpectedEnd, 7),
        (b"{\"a\":\"\n\"}", Kind::ControlCharacter, 6),
        (b"{\"a\":\"\\x\"}", Kind::InvalidEscape, 6),
        (b"{\"a\":\"\\u12g4\"}", Kind::InvalidEscape, 6),
        (b"{\"a\":\"\\u12", Kind::UnexpectedEnd, 6),
        (b"{\"a\":\"", Kind::UnexpectedEnd, 6),
        (b"{\"a\":\"\xff\"}", Kind::InvalidUtf8, 6),
        (b"{\"a\":\xc3\xa9}", Kind::UnexpectedByte, 5),
    ];
    for (body, kind, offset) in cases {
        assert_eq!(refusal(body), (kind, offset), "{}", String::from_utf8_lossy(body));
    }
}

/// An offence at every distance from the start of a string: in a lane, in a block, in the tail, across them.
#[test]
fn refuses_offences_wherever_they_stand_in_a_string() {
    for before in 0..200 {
        for after in [0, 1, 5, 15, 16, 63, 64, 100, 300] {
            let body = |offence: &[u8]| {
                [b"{\"a\":\"", &vec![b'x'; before][..], offence, &vec![b'y'; after], b"\"}"].concat()
            };
            assert_eq!(refusal(&body(b"\x1f")), (Kind::ControlCharacter, before + 6));
            assert_eq!(refusal(&body(b"\\q")), (Kind::InvalidEscape, before + 6));
            assert_eq!(refusal(&body(b"\\u00zz")), (Kind::InvalidEscape, before + 6));
            assert_eq!(refusal(&body(b"\xc3\x28")), (Kind::InvalidUtf8, before + 6));
            for fine in [&b"\\\\"[..], b"\\\"", b"\\u0000\\n", b"\\n\\\"\\\\\\\"", "é".as_bytes(), b"\x7f"] {
                assert!(scan_object(&body(fine), &WANTED).is_ok(), "{before} {after} {fine:?}");
            }
        }
    }
}

#[test]
fn refuses_members_that_two_readers_could_understand_differently() {
    let cases: [(&str, Kind); 14] = [
        (r#"{"model":1,"model":1}"#, Kind::DuplicateMember(0)),
        (r#"{"stream":1,"x":2,"stream":3}"#, Kind::DuplicateMember(1)),
        (r#"{"mod\u0065l":1}"#, Kind::AmbiguousMember(0)),
        (r#"{"\u006dodel":1,"model":2}"#, Kind::AmbiguousMember(0)),
        (r#"{"Model":1}"#, Kind::AmbiguousMember(0)),
        (r#"{"model":1,"STREAM":2}"#, Kind::AmbiguousMember(1)),
        (r#"{"M\u006fdel":1}"#, Kind::AmbiguousMember(0)),
        (r#"{"ſtream":1}"#, Kind::AmbiguousMember(1)),
        (r#"{"\u017Ftream":1}"#, Kind::AmbiguousMember(1)),
        ("{\"max_to\u{212a}ens\":1}", Kind::AmbiguousMember(2)),
        (r#"{"mod\ud800el":1}"#, Kind::LoneSurrogate),
        (r#"{"\udc00":1}"#, Kind::LoneSurrogate),
        (r#"{"\ud800\u0041":1}"#, Kind::LoneSurrogate),
        (r#"{"\ud800\ud800":1}"#, Kind::LoneSurrogate),
    ];
    for (body, kind) in cases {
        assert_eq!(refusal(body.as_bytes()).0, kind, "{body}");
    }
    // Not wanted, not ambiguous: other names, and names inside of values.
    scan(
        r#"{"a":1,"a":2,"A":3,"mod\u00e9l":4,"x":{"model":1,"model":2,"Model":3},"\ud83d\ude00":5,"modèl":6}"#,
    );
}

#[test]
fn nesting_has_a_limit() {
    let nested = |levels: usize, open: &str, close: &str| {
        format!("{{\"a\":{}0{}}}", open.repeat(levels), close.repeat(levels))
    };
    let deepest = MAX_DEPTH as usize - 1;
    for (open, close) in [("[", "]"), ("{\"b\":", "}"), ("[{\"c\":[", "]}]")] {
        let levels = deepest / open.matches(['[', '{']).count();
        scan(&nested(levels, open, close));
        assert_eq!(refusal(nested(deepest + 1, open, close).as_bytes()).0, Kind::TooDeep);
    }
    // No recursion: a megabyte of brackets is refused like any other.
    assert_eq!(refusal(nested(1 << 20, "[", "]").as_bytes()), (Kind::TooDeep, 5 + deepest));
}

#[test]
fn errors_read_as_sentences() {
    let error = scan_object(b"{\"model\":1,\"model\":2}", &WANTED).unwrap_err();
    assert_eq!(error.to_string(), "the same JSON member is given twice (at byte 11)");
}

#[test]
fn whole_numbers_are_read_in_any_spelling() {
    let cases = [
        ("0", Some(0)),
        ("4096", Some(4096)),
        ("18446744073709551615", Some(u64::MAX)),
        ("18446744073709551616", Some(u64::MAX)),
        ("1e400", Some(u64::MAX)),
        ("1e3", Some(1000)),
        ("100.0", Some(100)),
        ("-0", Some(0)),
        ("-1", None),
        ("1.5", None),
        ("1e-400", Some(0)),
        ("\"1\"", None),
        ("null", None),
        ("true", None),
        ("", None),
    ];
    for (text, expected) in cases {
        assert_eq!(as_u64(text.as_bytes()), expected, "{text}");
    }
}

#[test]
fn strings_are_unescaped_into_a_bounded_scratch() {
    let mut scratch = [0; 8];
    assert_eq!(unescape(br#""longer than eight""#, &mut scratch), Ok("longer than eight"));
    assert_eq!(unescape(br#""a\ud83d""#, &mut scratch).unwrap_err().to_string(), "not valid Unicode text");
    assert_eq!(unescape(br#""\u00e9\ud83d\ude00\n""#, &mut scratch), Ok("é😀\n"));
    assert_eq!(unescape(br#""\u00e9\ud83d\ude00\n\tx""#, &mut scratch).unwrap_err().to_string(), "too long");
    assert_eq!(unescape(b"12", &mut scratch).unwrap_err().to_string(), "not a string");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn agrees_with_serde_json_on_documents(document in generate::object()) {
        fuzz_bodies::scan_object(document.as_bytes());
    }

    #[test]
    fn agrees_with_serde_json_on_damaged_documents(document in generate::mutated(generate::object())) {
        fuzz_bodies::scan_object(&document);
    }

    #[test]
    fn agrees_with_serde_json_on_requests(body in generate::request()) {
        fuzz_bodies::scan_object(body.as_bytes());
    }

    #[test]
    fn agrees_with_serde_json_on_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
        fuzz_bodies::scan_object(&bytes);
    }

    #[test]
    fn written_strings_read_back(text in any::<String>()) {
        let written = json_escaped(&text);
        prop_assert_eq!(serde_json::from_str::<String>(&written).unwrap(), text.clone());
        let mut scratch = vec![0; written.len()];
        prop_assert_eq!(unescape(written.as_bytes(), &mut scratch), Ok(text.as_str()));
    }
}
