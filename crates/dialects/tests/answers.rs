//! The tap on whole answers, and the errors of our own.

mod support;

use proptest::prelude::*;
use sluice_dialects::errors::{openai_body, openai_stream_error, redact_key};
use sluice_dialects::openai::Endpoint;
use sluice_dialects::openai::body::{BodyFacts, MAX_USAGE_BYTES};
use sluice_types::{ErrorKind, Usage};
use support::fuzz_bodies::tap_body;
use support::{fuzz_bodies, generate};

/// The facts of an answer, the same for pieces of every length.
fn facts(body: &str) -> BodyFacts {
    let whole = tap_body([body.as_bytes()]);
    for length in 1..=body.len().min(600) {
        assert_eq!(tap_body(body.as_bytes().chunks(length)), whole, "in pieces of {length}");
    }
    whole
}

#[test]
fn finds_usage_at_the_top_level_only() {
    let usage = |input, output| Some(Usage { input, output, ..Usage::default() });
    let cases = [
        (r#"{"usage":{"prompt_tokens":8,"completion_tokens":3}}"#, usage(8, 3)),
        (" {\n \"usage\" : { \"prompt_tokens\" : 8 }\n}\n", usage(8, 0)),
        (
            r#"{"a":"\"usage\":{\"prompt_tokens\":1}","usage":{"input_tokens":8,"output_tokens":2},"b":[]}"#,
            usage(8, 2),
        ),
        (r#"{"tools":[{"usage":{"prompt_tokens":1}}],"x":{"usage":{"prompt_tokens":2}}}"#, None),
        (r#"{"tools":[{"usage":{"prompt_tokens":1}}],"usage":{"prompt_tokens":8}}"#, usage(8, 0)),
        (r#"{"usage":null}"#, None),
        (r#"{"usage":[{"prompt_tokens":1}]}"#, None),
        (r#"{"usage":"{\"prompt_tokens\":1}"}"#, None),
        (r#"{"usage":{"prompt_tokens":"many"}}"#, None),
        (r#"{"usages":{"prompt_tokens":1},"usag":{"prompt_tokens":1},"":{"prompt_tokens":1}}"#, None),
        (
            r#"{"us\u0061ge":{"prompt_tokens":1},"usage\"":{"prompt_tokens":1},"\"usage":{"prompt_tokens":1}}"#,
            None,
        ),
        (r#"{"x":"usage","y":{"prompt_tokens":1}}"#, None),
        (r#"{"x":1,"usage":{"prompt_tokens":8,"note":"}\\\"{"},"y":2.5e3}"#, usage(8, 0)),
        (r#"{"usage":{"prompt_tokens":8},"usage":{"completion_tokens":3}}"#, usage(8, 3)),
        (r#"{"data":[{"embedding":[0.1,-2e-3]}],"usage":{"prompt_tokens":8,"total_tokens":8}}"#, usage(8, 0)),
    ];
    for (body, expected) in cases {
        let facts = facts(body);
        assert_eq!(facts.usage, expected, "{body}");
        assert!(facts.is_json_object && facts.complete && !facts.has_error, "{body}");
        assert_eq!(facts.bytes, body.len() as u64);
    }
}

#[test]
fn tells_what_an_answer_is() {
    let cases = [
        // (body, is an object, is complete, has an error)
        ("", false, false, false),
        ("<html>{}</html>", false, false, false),
        ("[{}]", false, false, false),
        ("null", false, false, false),
        ("{}", true, true, false),
        (" {} \r\n\t", true, true, false),
        ("{}x", true, false, false),
        ("{}{}", true, false, false),
        (r#"{"a":[1,2"#, true, false, false),
        (r#"{"a":{"b":1}"#, true, false, false),
        (r#"{"a":"}"#, true, false, false),
        (r#"{"error":{"message":"no"}}"#, true, true, true),
        (r#"{"error":"no"}"#, true, true, true),
        (r#"{"error" : null }"#, true, true, false),
        (r#"{"x":{"error":"no"},"errors":1,"y":["error"]}"#, true, true, false),
        (r#"{"a":1,"error":true}"#, true, true, true),
    ];
    for (body, is_json_object, complete, has_error) in cases {
        let found = facts(body);
        let expected =
            BodyFacts { usage: None, is_json_object, complete, has_error, bytes: body.len() as u64 };
        assert_eq!(found, expected, "{body:?}");
    }
}

#[test]
fn usage_has_a_bound() {
    let with_padding = |len: usize| {
        let usage = format!(r#"{{"prompt_tokens":8,"x":"{}"}}"#, "y".repeat(len));
        (usage.len(), format!(r#"{{"usage":{usage}}}"#))
    };
    let overhead = with_padding(0).0;
    let (fits, body) = with_padding(MAX_USAGE_BYTES - overhead);
    assert_eq!(fits, MAX_USAGE_BYTES);
    assert_eq!(tap_body(body.as_bytes().chunks(100)).usage.unwrap().input, 8);
    let (_, body) = with_padding(MAX_USAGE_BYTES - overhead + 1);
    for length in [1, 100, body.len()] {
        assert_eq!(tap_body(body.as_bytes().chunks(length)).usage, None, "in pieces of {length}");
    }
    assert!(tap_body(body.as_bytes().chunks(100)).complete);
}

#[test]
fn errors_have_openais_shape() {
    for kind in ErrorKind::ALL {
        let mut out = Vec::new();
        openai_body(&mut out, kind, "a \"b\"\n\u{1}é", Some("model"));
        let value: serde_json::Value = serde_json::from_slice(&out).unwrap();
        let expected = serde_json::json!({"error": {
            "message": "a \"b\"\n\u{1}é", "type": kind.openai_type(), "param": "model", "code": kind.code(),
        }});
        assert_eq!(value, expected);
    }
    let mut out = Vec::new();
    openai_body(&mut out, ErrorKind::UnknownRoute, "m", None);
    let expected =
        r#"{"error":{"message":"m","type":"invalid_request_error","param":null,"code":"unknown_url"}}"#;
    assert_eq!(String::from_utf8(out).unwrap(), expected);
}

#[test]
fn errors_in_streams_are_events() {
    let written = |endpoint| {
        let mut out = b"data: {}\n\n".to_vec();
        openai_stream_error(&mut out, endpoint, ErrorKind::UpstreamTruncated, "cut\noff", 7);
        String::from_utf8(out).unwrap()
    };
    assert_eq!(
        written(Endpoint::Chat),
        "data: {}\n\ndata: {\"error\":{\"message\":\"cut\\noff\",\"type\":\"server_error\",\"param\":null,\"code\":\"upstream_truncated\"}}\n\n"
    );
    assert_eq!(
        written(Endpoint::Responses),
        "data: {}\n\nevent: error\ndata: {\"type\":\"error\",\"message\":\"cut\\noff\",\"param\":null,\"code\":\"upstream_truncated\",\"sequence_number\":7}\n\n"
    );
    // What we write, we recognise.
    for endpoint in [Endpoint::Chat, Endpoint::Completions, Endpoint::Responses] {
        let stream = written(endpoint);
        let found = fuzz_bodies::follow(endpoint, &stream.as_bytes()[10..], &mut |_| usize::MAX);
        assert_eq!(found.classes, [sluice_dialects::openai::stream::EventClass::Error]);
    }
}

#[test]
fn keys_are_masked_in_every_form_they_are_echoed() {
    const KEY: &str = "sk-proj-Ab3dEf6hIj9LmN0pQrStUvWxYz12345678wXyZ";
    let cases = [
        (format!("provided: {KEY}. You"), format!("provided: {}. You", "*".repeat(KEY.len()))),
        ("provided: sk-proj-********wXyZ. You".into(), "provided: ********************. You".into()),
        ("key sk-pro...XyZ\"".into(), "key ******...***\"".into()),
        ("key sk-p…wXyZ,".into(), "key ****…****,".into()),
        (r#"\nsk-proj...wXyZ.""#.into(), r#"\n*******...****.""#.into()),
        ("key ***wXyZ".into(), "key *******".into()),
        ("key sk-p***".into(), "key *******".into()),
        ("part Ef6hIj9LmN0 of".into(), "part *********** of".into()),
        (
            format!("{{\"a\":\"{KEY}\",\"b\":\"{KEY}\"}}"),
            format!("{{\"a\":\"{0}\",\"b\":\"{0}\"}}", "*".repeat(KEY.len())),
        ),
        // Not of the key, or too little of it.
        ("sk-other-key wXyZ and so on...".into(), "sk-other-key wXyZ and so on...".into()),
        ("wait... please, sk".into(), "wait... please, sk".into()),
        (String::new(), String::new()),
    ];
    for (body, expected) in cases {
        let mut masked = body.clone().into_bytes();
        let count = redact_key(&mut masked, KEY);
        assert_eq!(String::from_utf8(masked).unwrap(), expected);
        assert_eq!(count > 0, body != expected, "{body}");
    }
    assert_eq!(redact_key(&mut b"nothing to hide".to_vec(), ""), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_split_of_an_answer_gives_the_same_facts(choice in any::<u8>(), body in generate::object()) {
        fuzz_bodies::body_tap(&[&[choice], body.as_bytes()].concat());
    }

    #[test]
    fn any_split_of_a_damaged_answer_gives_the_same_facts(choice in any::<u8>(), body in generate::mutated(generate::object())) {
        fuzz_bodies::body_tap(&[&[choice], &body[..]].concat());
    }

    /// No eight characters of a key are left, whatever it stands in.
    #[test]
    fn no_long_piece_of_a_key_is_left(key in "[A-Za-z0-9_-]{8,60}", before in ".{0,20}", cut in 0..30_usize, after in ".{0,20}") {
        let part = &key[cut.min(key.len() - 8)..];
        let mut body = format!("{before}{part}{after}").into_bytes();
        redact_key(&mut body, &key);
        let body = String::from_utf8(body).unwrap();
        prop_assert!(!key.as_bytes().windows(8).any(|piece| body.as_bytes().windows(8).any(|left| left == piece)));
    }
}
