//! What is read of requests, what is refused, and what is spliced.

mod support;

use proptest::prelude::*;
use serde_json::{Value, json};
use sluice_dialects::json::json_escaped;
use sluice_dialects::openai::{Endpoint, RequestView, inspect};
use sluice_types::{ErrorKind, Route};
use support::{fuzz_bodies, generate};

use Endpoint::{Chat, Completions, Embeddings, Responses};

fn view(endpoint: Endpoint, body: &str) -> RequestView {
    inspect(endpoint, body.as_bytes()).unwrap_or_else(|error| panic!("{body}: {error}"))
}

fn refusal(endpoint: Endpoint, body: &str) -> (Option<&'static str>, String) {
    let error = inspect(endpoint, body.as_bytes()).expect_err(body);
    assert_eq!(error.kind(), ErrorKind::InvalidBody);
    (error.param, error.message.into_owned())
}

/// The body sent upstream, as text.
fn sent(endpoint: Endpoint, body: &str, model: Option<&str>, force_usage: bool) -> String {
    let pieces = view(endpoint, body).splices(body.as_bytes(), model, force_usage);
    let sent = String::from_utf8(pieces.as_slices().concat()).expect("whole characters are spliced");
    assert_eq!(sent.len(), pieces.len_bytes());
    sent
}

#[test]
fn every_route_with_a_body_has_an_endpoint() {
    let found: Vec<_> = Route::ALL.iter().filter_map(|route| Endpoint::from_route(*route)).collect();
    assert_eq!(found, [Chat, Completions, Embeddings, Responses]);
}

#[test]
fn reads_the_facts_of_each_endpoint() {
    let body = r#"{"messages":[{"role":"user","content":"hi"}],"model":"gpt-4o","stream":true,"stream_options":{"include_usage":true},"max_tokens":5,"max_completion_tokens":9,"n":3}"#;
    let chat = view(Chat, body);
    assert_eq!((chat.stream, chat.include_usage, chat.max_output_tokens, chat.n), (true, true, Some(9), 3));
    assert_eq!(chat.input.unwrap().of(body.as_bytes()), br#"[{"role":"user","content":"hi"}]"#);

    let completions = view(
        Completions,
        r#"{"model":"m","prompt":["a"],"max_tokens":5,"n":2,"best_of":4,"max_completion_tokens":"x"}"#,
    );
    assert_eq!((completions.max_output_tokens, completions.n), (Some(5), 4));

    let embeddings = view(Embeddings, r#"{"model":"m","input":"a","stream":"whatever","n":[]}"#);
    assert_eq!((embeddings.stream, embeddings.max_output_tokens, embeddings.n), (false, None, 1));

    let responses = view(
        Responses,
        r#"{"model":"m","max_output_tokens":7,"stream":true,"stream_options":{},"max_tokens":1}"#,
    );
    assert_eq!(
        (responses.stream, responses.include_usage, responses.max_output_tokens),
        (true, false, Some(7))
    );
    assert_eq!(responses.input, None);
}

#[test]
fn absent_null_and_false_are_one() {
    for stream in ["", r#""stream":null,"#, r#""stream":false,"#] {
        assert!(!view(Chat, &format!(r#"{{{stream}"model":"m","messages":[]}}"#)).stream, "{stream}");
    }
    let nulls = r#"{"model":"m","messages":[],"stream":null,"stream_options":null,"max_tokens":null,"max_completion_tokens":null,"n":null}"#;
    let view = view(Chat, nulls);
    assert_eq!((view.include_usage, view.max_output_tokens, view.n), (false, None, 1));
}

/// Numbers that are no sensible count are for the provider to judge; it has an error of its own for them.
#[test]
fn counts_out_of_range_are_passed_on() {
    for (number, expected) in
        [("-1", None), ("1.5", None), ("0", Some(0)), ("1e3", Some(1000)), ("1e99", Some(u64::MAX))]
    {
        let body = format!(r#"{{"model":"m","messages":[],"max_tokens":{number},"n":{number}}}"#);
        assert_eq!(view(Chat, &body).max_output_tokens, expected, "{number}");
        assert_eq!(view(Chat, &body).n, expected.unwrap_or(1).max(1), "{number}");
    }
}

#[test]
fn the_model_is_read_unescaped() {
    let longest = "x".repeat(256);
    let escaped = r"\u0078".repeat(256);
    let cases = [
        ("gpt-4o", "gpt-4o"),
        (r"a\/b\u00e9\ud83d\ude00", "a/bé😀"),
        ("deepseek-ai/DeepSeek-V3:free", "deepseek-ai/DeepSeek-V3:free"),
        (longest.as_str(), longest.as_str()),
        (escaped.as_str(), longest.as_str()),
    ];
    for (written, expected) in cases {
        let body = format!(r#"{{"input":"x","model" : "{written}"}}"#);
        assert_eq!(view(Embeddings, &body).model(body.as_bytes(), &mut [0; 256]), expected);
    }
}

#[test]
fn refuses_models_that_are_no_name() {
    let too_long = format!("\"{}\"", "x".repeat(257));
    let escaped_too_long = format!("\"{}\"", r"\u0078".repeat(257));
    let models = ["null", "1", "true", "[]", "{}", "\"\"", r#""\ud800""#, &too_long, &escaped_too_long];
    for model in models {
        for endpoint in [Chat, Completions, Embeddings, Responses] {
            let body = format!(r#"{{"model":{model},"messages":[],"input":""}}"#);
            assert_eq!(refusal(endpoint, &body).0, Some("model"), "{body}");
        }
    }
    assert_eq!(
        refusal(Chat, r#"{"messages":[]}"#),
        (Some("model"), "You must provide a model parameter.".into())
    );
}

#[test]
fn refuses_members_of_impossible_types() {
    let cases = [
        (Chat, r#"{"model":"m"}"#, "messages"),
        (Chat, r#"{"model":"m","messages":null}"#, "messages"),
        (Chat, r#"{"model":"m","messages":"hi"}"#, "messages"),
        (Chat, r#"{"model":"m","messages":{"role":"user"}}"#, "messages"),
        (Chat, r#"{"model":"m","prompt":"hi"}"#, "messages"),
        (Chat, r#"{"model":"m","messages":[],"stream":1}"#, "stream"),
        (Chat, r#"{"model":"m","messages":[],"stream":0}"#, "stream"),
        (Chat, r#"{"model":"m","messages":[],"stream":"true"}"#, "stream"),
        (Chat, r#"{"model":"m","messages":[],"max_tokens":"5"}"#, "max_tokens"),
        (Chat, r#"{"model":"m","messages":[],"max_completion_tokens":[5]}"#, "max_completion_tokens"),
        (Chat, r#"{"model":"m","messages":[],"n":true}"#, "n"),
        (Chat, r#"{"model":"m","messages":[],"stream_options":true}"#, "stream_options"),
        (
            Chat,
            r#"{"model":"m","messages":[],"stream_options":{"include_usage":1}}"#,
            "stream_options.include_usage",
        ),
        (
            Chat,
            r#"{"model":"m","messages":[],"stream_options":{"include_usage":true,"include_usage":false}}"#,
            "stream_options.include_usage",
        ),
        (Chat, r#"{"model":"m","messages":[],"messages":[]}"#, "messages"),
        (Chat, r#"{"model":"m","messages":[],"Model":"n"}"#, "model"),
        (Completions, r#"{"model":"m","prompt":5}"#, "prompt"),
        (Completions, r#"{"model":"m","prompt":{}}"#, "prompt"),
        (Completions, r#"{"model":"m","prompt":"","best_of":"2"}"#, "best_of"),
        (Embeddings, r#"{"model":"m"}"#, "input"),
        (Embeddings, r#"{"model":"m","input":null}"#, "input"),
        (Embeddings, r#"{"model":"m","input":{"a":1}}"#, "input"),
        (Responses, r#"{"model":"m","input":7}"#, "input"),
        (Responses, r#"{"model":"m","stream":"yes"}"#, "stream"),
        (Responses, r#"{"model":"m","max_output_tokens":"7"}"#, "max_output_tokens"),
    ];
    for (endpoint, body, param) in cases {
        assert_eq!(refusal(endpoint, body).0, Some(param), "{endpoint:?} {body}");
    }
}

#[test]
fn leaves_the_rest_to_the_provider() {
    let cases = [
        (Chat, r#"{"model":"m","messages":[]}"#),
        (Chat, r#"{"model":"m","messages":[1,null,"x"],"prompt":"both","tools":[],"temperature":"hot"}"#),
        (Completions, r#"{"model":"m"}"#),
        (Completions, r#"{"model":"m","prompt":null}"#),
        (Completions, r#"{"model":"m","prompt":[[1,2],[3]]}"#),
        (Embeddings, r#"{"model":"m","input":[]}"#),
        (Embeddings, r#"{"model":"m","input":[1,2,3],"dimensions":-1}"#),
        (Responses, r#"{"model":"m","prompt":{"id":"p"},"previous_response_id":"r"}"#),
        (Responses, r#"{"model":"m","input":[{"role":"user"}],"stream_options":7}"#),
    ];
    for (endpoint, body) in cases {
        assert_eq!(sent(endpoint, body, None, true), body);
    }
}

#[test]
fn refuses_what_is_no_json_with_a_sentence() {
    for body in ["", "hello", "model=m", "<html>", "[]", r#"{"model":"m","messages":[]"#] {
        let (param, message) = refusal(Chat, body);
        assert_eq!(param, None);
        assert!(
            message.starts_with("Could not parse the request body: ")
                && message.ends_with(')') | message.ends_with('.')
        );
    }
}

#[test]
fn splices_the_model() {
    let body = r#"{"model":"a","messages":[] , "user":"a"}"#;
    assert_eq!(sent(Chat, body, Some("\"b\""), true), r#"{"model":"b","messages":[] , "user":"a"}"#);
    assert_eq!(sent(Chat, body, None, false), body);
    let view = view(Chat, body);
    assert_eq!(
        view.splices(body.as_bytes(), None, true).as_slices(),
        [body.as_bytes()],
        "one piece, the body itself"
    );
    let pieces = view.splices(body.as_bytes(), Some("\"b\""), true);
    assert!(std::ptr::eq(pieces.as_slices()[2], &raw const body.as_bytes()[12..]), "slices of the original");
}

#[test]
fn asks_for_usage_where_the_client_did_not() {
    let cases = [
        (r#"{"stream":true,"#, r#"{"stream_options":{"include_usage":true},"stream":true,"#),
        (" {\n \"stream\":true,", " {\"stream_options\":{\"include_usage\":true},\n \"stream\":true,"),
        (
            r#"{"stream":true,"stream_options":null,"#,
            r#"{"stream":true,"stream_options":{"include_usage":true},"#,
        ),
        (
            r#"{"stream":true,"stream_options": { },"#,
            r#"{"stream":true,"stream_options": {"include_usage":true},"#,
        ),
        (
            r#"{"stream":true,"stream_options":{"include_obfuscation":false},"#,
            r#"{"stream":true,"stream_options":{"include_usage":true,"include_obfuscation":false},"#,
        ),
        (
            r#"{"stream":true,"stream_options":{"a":1,"include_usage":false,"b":2},"#,
            r#"{"stream":true,"stream_options":{"a":1,"include_usage":true,"b":2},"#,
        ),
        (
            r#"{"stream_options":{"include_usage":null},"stream":true,"#,
            r#"{"stream_options":{"include_usage":true},"stream":true,"#,
        ),
        (
            r#"{"stream":true,"stream_options":{"include_usage":true},"#,
            r#"{"stream":true,"stream_options":{"include_usage":true},"#,
        ),
        (r#"{"stream":false,"#, r#"{"stream":false,"#),
        ("{", "{"),
    ];
    for (endpoint, rest) in
        [(Chat, r#""messages":[],"model":"a"}"#), (Completions, r#""prompt":"x","model":"a"}"#)]
    {
        let renamed = rest.replace("\"a\"", "\"b\"");
        for (before, after) in cases {
            let body = format!("{before}{rest}");
            assert_eq!(sent(endpoint, &body, None, false), body);
            assert_eq!(sent(endpoint, &body, None, true), format!("{after}{rest}"));
            assert_eq!(sent(endpoint, &body, Some("\"b\""), true), format!("{after}{renamed}"));
        }
    }
}

/// The option may stand on either side of the model.
#[test]
fn splices_in_any_order() {
    let body = r#"{"model":"a","stream":true,"messages":[],"stream_options":{"include_usage":false},"z":1}"#;
    let expected =
        r#"{"model":"b\"","stream":true,"messages":[],"stream_options":{"include_usage":true},"z":1}"#;
    assert_eq!(sent(Chat, body, Some(&json_escaped("b\"")), true), expected);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Compared as trees: what was sent is what was received with two members set.
    #[test]
    fn splicing_sets_two_members_and_nothing_else(body in generate::request(), model in any::<String>(), force in any::<bool>()) {
        fuzz_bodies::scan_object(body.as_bytes());
        let Ok(view) = inspect(Chat, body.as_bytes()) else { return Ok(()) };
        let Ok(mut expected) = serde_json::from_str::<Value>(&body) else { return Ok(()) };
        expected["model"] = model.clone().into();
        if force && view.stream {
            if !expected["stream_options"].is_object() {
                expected["stream_options"] = json!({});
            }
            expected["stream_options"]["include_usage"] = true.into();
        }
        let sent = view.splices(body.as_bytes(), Some(&json_escaped(&model)), force).as_slices().concat();
        prop_assert_eq!(serde_json::from_slice::<Value>(&sent).unwrap(), expected);
    }
}
