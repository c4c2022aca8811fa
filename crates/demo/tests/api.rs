//! The API as a client sees it.

mod support;

use serde_json::{Value, json};
use support::{get, post, start};

const CHAT: &str = "/v1/chat/completions";

#[test]
fn answers_have_the_shape_of_their_endpoint() {
    let provider = start("{}");
    let chat = r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;
    let parts = r#"{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"hi"}]}]}"#;
    for (path, body, pointer, expected) in [
        (CHAT, chat, "/object", json!("chat.completion")),
        (CHAT, chat, "/choices/0/finish_reason", json!("stop")),
        (CHAT, chat, "/choices/0/message/role", json!("assistant")),
        (CHAT, chat, "/model", json!("m")),
        (CHAT, chat, "/usage/prompt_tokens", json!(4)),
        (CHAT, parts, "/usage/prompt_tokens", json!(4)),
        (
            CHAT,
            r#"{"model":"m","max_tokens":2,"messages":[{"role":"user"}]}"#,
            "/choices/0/finish_reason",
            json!("length"),
        ),
        (
            CHAT,
            r#"{"model":"m","max_tokens":2,"messages":[{"role":"user"}]}"#,
            "/usage/completion_tokens",
            json!(2),
        ),
        ("/v1/completions", r#"{"model":"m","prompt":"one two"}"#, "/object", json!("text_completion")),
        ("/v1/completions", r#"{"model":"m","prompt":"one two"}"#, "/usage/prompt_tokens", json!(2)),
        ("/v1/completions", r#"{"model":"m","prompt":["one two"]}"#, "/usage/completion_tokens", json!(16)),
        ("/v1/embeddings", r#"{"model":"m","input":"a b"}"#, "/data/0/object", json!("embedding")),
        ("/v1/embeddings", r#"{"model":"m","input":["a","b c"]}"#, "/data/1/index", json!(1)),
        ("/v1/embeddings", r#"{"model":"m","input":["a","b c"]}"#, "/usage/total_tokens", json!(3)),
        ("/v1/embeddings", r#"{"model":"m","input":[1,2,3]}"#, "/usage/prompt_tokens", json!(3)),
        ("/v1/responses", r#"{"model":"m","input":"hi"}"#, "/output/0/content/0/type", json!("output_text")),
        ("/v1/responses", r#"{"model":"m","input":"hi"}"#, "/status", json!("completed")),
        (
            "/v1/responses",
            r#"{"model":"m","input":"hi","max_output_tokens":1}"#,
            "/status",
            json!("incomplete"),
        ),
    ] {
        let response = post(&provider, path, body);
        assert_eq!(response.status, 200, "{path} {body}: {}", response.body);
        assert_eq!(response.json().pointer(pointer), Some(&expected), "{path} {body} {pointer}");
    }
}

#[test]
fn models_are_listed_and_found() {
    let provider = start("{}");
    let list = get(&provider, "/v1/models").json();
    let first = list["data"][0].clone();
    assert_eq!((&list["object"], &first["id"]), (&json!("list"), &json!("demo")));
    assert_eq!(get(&provider, "/v1/models/demo").json(), first);
    let absent = get(&provider, "/v1/models/absent");
    assert_eq!((absent.status, &absent.json()["error"]["code"]), (404, &json!("model_not_found")));
}

#[test]
fn errors_have_openais_shape() {
    let provider = start("{}");
    for (path, body, status, code, param) in [
        (CHAT, "{", 400, Value::Null, Value::Null),
        (CHAT, "[]", 400, Value::Null, Value::Null),
        (CHAT, "{}", 400, json!("missing_required_parameter"), json!("model")),
        (CHAT, r#"{"model":7,"messages":[]}"#, 400, json!("invalid_value"), json!("model")),
        (CHAT, r#"{"model":"m"}"#, 400, json!("missing_required_parameter"), json!("messages")),
        (CHAT, r#"{"model":"m","messages":[]}"#, 400, json!("invalid_value"), json!("messages")),
        (CHAT, r#"{"model":"m","messages":[{}]}"#, 400, json!("invalid_value"), json!("messages")),
        (
            CHAT,
            r#"{"model":"m","messages":[{"role":"user"}],"stream":1}"#,
            400,
            json!("invalid_value"),
            json!("stream"),
        ),
        (
            CHAT,
            r#"{"model":"m","messages":[{"role":"user"}],"max_tokens":0}"#,
            400,
            json!("invalid_value"),
            json!("max_tokens"),
        ),
        (
            CHAT,
            r#"{"model":"m","messages":[{"role":"user"}],"n":2}"#,
            400,
            json!("invalid_value"),
            json!("n"),
        ),
        ("/v1/completions", r#"{"model":"m"}"#, 400, json!("missing_required_parameter"), json!("prompt")),
        (
            "/v1/completions",
            r#"{"model":"m","prompt":["a","b"]}"#,
            400,
            json!("invalid_value"),
            json!("prompt"),
        ),
        ("/v1/embeddings", r#"{"model":"m","input":""}"#, 400, json!("invalid_value"), json!("input")),
        ("/v1/embeddings", r#"{"model":"m","input":[]}"#, 400, json!("invalid_value"), json!("input")),
        (
            "/v1/embeddings",
            r#"{"model":"m","input":"a","dimensions":4097}"#,
            400,
            json!("invalid_value"),
            json!("dimensions"),
        ),
        (
            "/v1/embeddings",
            r#"{"model":"m","input":"a","encoding_format":"x"}"#,
            400,
            json!("invalid_value"),
            json!("encoding_format"),
        ),
        ("/v1/responses", r#"{"model":"m"}"#, 400, json!("missing_required_parameter"), json!("input")),
        ("/v1/nothing", "{}", 404, json!("unknown_url"), Value::Null),
        ("/v1/models", "{}", 405, json!("method_not_supported"), Value::Null),
    ] {
        let response = post(&provider, path, body);
        let error = &response.json()["error"];
        assert_eq!(
            (response.status, &error["code"], &error["param"]),
            (status, &code, &param),
            "{path} {body}"
        );
        assert_eq!(error["type"], "invalid_request_error");
        assert!(!error["message"].as_str().unwrap().is_empty());
    }
    assert_eq!(get(&provider, CHAT).status, 405);
}

#[test]
fn a_stream_says_the_same_as_a_whole_answer() {
    for options in ["{}", r#"{"chunks":7}"#, r#"{"chunks":90}"#, r#"{"response_bytes":500,"chunks":3}"#] {
        let provider = start(options);
        let ask = |extra: &str| {
            let body = format!(r#"{{"model":"m","messages":[{{"role":"user","content":"a b c"}}]{extra}}}"#);
            post(&provider, CHAT, &body)
        };
        let whole = ask("").json();
        let (chunks, done) = ask(r#","stream":true,"stream_options":{"include_usage":true}"#).events();
        assert!(done);
        let content: String = chunks
            .iter()
            .filter_map(|chunk| chunk.pointer("/choices/0/delta/content").and_then(Value::as_str))
            .collect();
        assert_eq!(whole.pointer("/choices/0/message/content"), Some(&json!(content)), "{options}");
        let (last, others) = chunks.split_last().unwrap();
        assert_eq!((&last["usage"], &last["choices"]), (&whole["usage"], &json!([])));
        assert!(others.iter().all(|chunk| chunk.get("usage") == Some(&Value::Null)));
        assert!(chunks.iter().all(|chunk| chunk["id"] == last["id"]));
        let (chunks, _) = ask(r#","stream":true"#).events();
        assert!(chunks.iter().all(|chunk| chunk.get("usage").is_none()), "usage only when it is asked for");
        assert_eq!(chunks.last().unwrap().pointer("/choices/0/finish_reason"), Some(&json!("stop")));
    }
}

#[test]
fn a_stream_has_the_chunks_asked_for() {
    for (options, chunks) in [(r#"{"chunks":1}"#, 1), (r#"{"chunks":50}"#, 50)] {
        let provider = start(options);
        for (path, body, pointer) in [
            (
                CHAT,
                r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"x"}]}"#,
                "/choices/0/delta/content",
            ),
            ("/v1/completions", r#"{"model":"m","stream":true,"prompt":"x"}"#, "/choices/0/text"),
            ("/v1/responses", r#"{"model":"m","stream":true,"input":"x"}"#, "/delta"),
        ] {
            let (events, _) = post(&provider, path, body).events();
            let with_text = |event: &&Value| event.pointer(pointer).is_some_and(|text| text != "");
            assert_eq!(events.iter().filter(with_text).count(), chunks, "{path}");
        }
    }
}

const TOOLS: &str = r#""tools":[{"type":"function","function":{"name":"get_weather","parameters":{"type":"object",
    "properties":{"city":{"type":"string"},"days":{"type":"integer"}}}}}],"tool_choice":"required""#;

#[test]
fn tool_calls_come_whole_and_in_parts() {
    let provider = start("{}");
    let ask = |extra: &str| {
        let body = format!(r#"{{"model":"m","messages":[{{"role":"user","content":"x"}}],{TOOLS}{extra}}}"#);
        post(&provider, CHAT, &body)
    };
    let whole = ask("").json();
    let call = whole.pointer("/choices/0/message/tool_calls/0").unwrap();
    assert_eq!(whole.pointer("/choices/0/finish_reason"), Some(&json!("tool_calls")));
    assert_eq!(call["function"]["name"], "get_weather");
    let arguments: Value = serde_json::from_str(call["function"]["arguments"].as_str().unwrap()).unwrap();
    assert_eq!(arguments, json!({"city": "demo", "days": 1}));
    let (chunks, _) = ask(r#","stream":true"#).events();
    let deltas: Vec<&Value> =
        chunks.iter().filter_map(|chunk| chunk.pointer("/choices/0/delta/tool_calls/0")).collect();
    let joined: String = deltas.iter().filter_map(|delta| delta["function"]["arguments"].as_str()).collect();
    assert_eq!(joined, call["function"]["arguments"].as_str().unwrap());
    assert_eq!((&deltas[0]["type"], &deltas[0]["index"]), (&call["type"], &json!(0)));
    assert!(deltas[0]["id"].as_str().unwrap().starts_with("call_"));
    assert!(deltas[1..].iter().all(|delta| delta.get("id").is_none()));
}

#[test]
fn a_tool_result_is_answered_in_words() {
    let provider = start("{}");
    let body = format!(
        r#"{{"model":"m",{},"messages":[{{"role":"user","content":"use a tool"}},
        {{"role":"tool","tool_call_id":"c","content":"sunny"}}]}}"#,
        TOOLS.replace("required", "auto")
    );
    let answer = post(&provider, CHAT, &body).json();
    let said = answer.pointer("/choices/0/message/content").unwrap().as_str().unwrap();
    assert!(said.contains("sunny"), "{said}");
}

#[test]
fn structured_answers_fit_their_schema() {
    let provider = start("{}");
    let format = r#"{"type":"json_schema","json_schema":{"name":"x","schema":{"type":"object",
        "properties":{"ok":{"type":"boolean"}}}}}"#;
    let body = format!(r#"{{"model":"m","messages":[{{"role":"user"}}],"response_format":{format}}}"#);
    let answer = post(&provider, CHAT, &body).json();
    assert_eq!(answer.pointer("/choices/0/message/content"), Some(&json!(r#"{"ok":true}"#)));
}

#[test]
fn responses_stream_in_order_and_end_with_the_response() {
    let provider = start(r#"{"chunks":2}"#);
    for (extra, middle) in [
        (
            "",
            vec![
                "content_part.added",
                "output_text.delta",
                "output_text.delta",
                "output_text.done",
                "content_part.done",
            ],
        ),
        (
            r#","tools":[{"type":"function","name":"f"}],"tool_choice":"required""#,
            vec![
                "function_call_arguments.delta",
                "function_call_arguments.delta",
                "function_call_arguments.done",
            ],
        ),
    ] {
        let whole =
            post(&provider, "/v1/responses", &format!(r#"{{"model":"m","input":"x"{extra}}}"#)).json();
        let body = format!(r#"{{"model":"m","input":"x","max_output_tokens":2,"stream":true{extra}}}"#);
        let response = post(&provider, "/v1/responses", &body);
        let (events, done) = response.events();
        assert!(!done, "this API has no [DONE]");
        let kinds: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
        let names: Vec<&str> =
            response.body.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
        assert_eq!(kinds, names);
        let begin = ["response.created", "response.in_progress", "response.output_item.added"];
        let middle: Vec<String> = middle.iter().map(|kind| format!("response.{kind}")).collect();
        assert_eq!(
            (&kinds[..3], &kinds[3..kinds.len() - 2]),
            (&begin[..], middle.iter().map(String::as_str).collect::<Vec<_>>().as_slice())
        );
        assert_eq!(kinds[kinds.len() - 2], "response.output_item.done");
        assert!(events.iter().enumerate().all(|(index, event)| event["sequence_number"] == index));
        let last = &events.last().unwrap()["response"];
        assert_eq!(last["output"][0]["type"], whole["output"][0]["type"]);
        assert!(last["usage"]["total_tokens"].as_u64() > Some(0));
    }
}

#[test]
fn embeddings_are_the_same_in_both_encodings() {
    let provider = start("{}");
    let ask = |format: &str| {
        let body =
            format!(r#"{{"model":"m","input":"good day","dimensions":8,"encoding_format":"{format}"}}"#);
        post(&provider, "/v1/embeddings", &body).json()
    };
    let floats = ask("float")["data"][0]["embedding"].as_array().unwrap().len();
    let base64 = ask("base64")["data"][0]["embedding"].as_str().unwrap().len();
    assert_eq!((floats, base64), (8, 44), "8 numbers of 4 bytes are 44 digits");
    let default = post(&provider, "/v1/embeddings", r#"{"model":"m","input":"x"}"#).json();
    assert_eq!(default["data"][0]["embedding"].as_array().unwrap().len(), 1536);
}

#[test]
fn the_same_request_has_the_same_answer() {
    let provider = start(r#"{"threads":2}"#);
    let body = r#"{"model":"m","messages":[{"role":"user","content":"again"}]}"#;
    let first = post(&provider, CHAT, body);
    for _ in 0..4 {
        assert_eq!(post(&provider, CHAT, body).json()["id"], first.json()["id"]);
    }
    let other = post(&provider, CHAT, &body.replace("again", "other"));
    assert_ne!(other.json()["id"], first.json()["id"]);
}
