//! Calls whose body is a form: sound and images.

#![allow(clippy::unwrap_used, reason = "only tests call this")]

mod support;

use bytes::Bytes;
use serde_json::{Value, json};
use sluice_types::{ErrorKind, Route};
use support::*;

const TRANSCRIPT: &str = r#"{"text":"hello","usage":{"type":"tokens","input_tokens":14,"output_tokens":5,"total_tokens":19,"input_token_details":{"text_tokens":0,"audio_tokens":14}}}"#;

/// A file that has in it what else only stands around parts.
const SOUND: &[u8] =
    b"RIFF\0\xff\r\n--\r\n\r\n--other\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nx";

fn form_of(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut body = Vec::new();
    body.extend_from_slice(
        b"--b-1\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\nContent-Type: audio/wav\r\n\r\n",
    );
    body.extend_from_slice(SOUND);
    body.extend_from_slice(b"\r\n");
    for (name, value) in fields {
        body.extend_from_slice(
            format!("--b-1\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n").as_bytes(),
        );
    }
    body.extend_from_slice(b"--b-1--\r\n");
    body
}

const FORM: &str = "multipart/form-data; boundary=b-1";

fn post_form(path: &str, content_type: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {KEY}\r\ncontent-type: {content_type}\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fn body_of(request: &[u8]) -> &[u8] {
    let at = request.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap();
    &request[at + 4..]
}

fn head_of(request: &[u8]) -> String {
    String::from_utf8(request[..request.len() - body_of(request).len()].to_vec()).unwrap()
}

#[test]
fn forms_pass_untouched_but_for_the_name_of_the_model() {
    let upstream = Upstream::answering(json_answer("200 OK", TRANSCRIPT));
    let gateway = Gateway::before(&[&upstream]);
    for (path, route) in [
        ("/v1/audio/transcriptions", Route::Transcriptions),
        ("/v1/audio/translations", Route::Translations),
        ("/v1/images/edits", Route::ImageEdits),
        ("/openai/v1/images/variations", Route::ImageVariations),
    ] {
        for (asked, sent) in [("m", "m"), ("alias", "real-name"), ("pre/whisper", "whisper")] {
            let body = form_of(&[("language", "en"), ("model", asked), ("prompt", "\"x\"")]);
            let answer = gateway.raw(&post_form(path, FORM, &body));
            assert_eq!((answer.status, answer.text().as_str()), (200, TRANSCRIPT), "{path}");
            let request = upstream.next_request();
            let head = head_of(&request);
            let api = path.trim_start_matches("/openai");
            assert!(head.starts_with(&format!("POST {api} HTTP/1.1\r\nhost: ")), "{head}");
            assert_eq!(head.matches("content-type").count(), 1, "{head}");
            assert!(head.contains(&format!("\r\ncontent-type: {FORM}\r\n")), "{head}");
            assert!(head.contains(&format!("\r\nauthorization: Bearer {PROVIDER_KEY}\r\n")), "{head}");
            let expected = form_of(&[("language", "en"), ("model", sent), ("prompt", "\"x\"")]);
            assert_eq!(body_of(&request), expected, "{path} {asked}");
            let record = gateway.record();
            assert_eq!(record.get("route"), route as u64);
            assert_eq!(record.tokens(), (14, 5));
            assert_eq!(record.get("audio_input_tokens"), 14);
            assert_eq!((record.get("flags"), record.get("request_bytes")), (0, body.len() as u64));
        }
    }
    gateway.is_at_rest();
}

#[test]
fn nothing_is_estimated_from_the_bytes_of_sound_and_images() {
    let upstream = Upstream::answering(json_answer(
        "200 OK",
        r#"{"text":"hello","usage":{"type":"duration","seconds":9}}"#,
    ));
    // A limit far below what the file would count as.
    let gateway = Gateway::before_with(&[&upstream], &[("/keys/0/limits", json!({"tokens_per_minute": 5}))]);
    let answer = gateway.raw(&post_form("/v1/audio/transcriptions", FORM, &form_of(&[("model", "m")])));
    assert_eq!(answer.status, 200, "{}", answer.text());
    let record = gateway.record();
    assert_eq!((record.tokens(), record.get("flags")), ((0, 0), 0));
}

#[test]
fn a_transcript_may_be_plain_text() {
    let text = "1\n00:00:00,000 --> 00:00:02,000\nhello\n\n";
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {}\r\n\r\n{text}",
        text.len()
    );
    let upstream = Upstream::answering(answer);
    let gateway = Gateway::before(&[&upstream]);
    let form = form_of(&[("model", "m"), ("response_format", "srt")]);
    let answer = gateway.raw(&post_form("/v1/audio/transcriptions", FORM, &form));
    assert_eq!((answer.status, answer.text().as_str()), (200, text));
    assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(gateway.record().tokens(), (0, 0));
}

#[test]
fn transcripts_and_images_can_be_streams() {
    let delta = "data: {\"type\":\"transcript.text.delta\",\"delta\":\"hel\",\"logprobs\":[]}\n\n";
    let done = "data: {\"type\":\"transcript.text.done\",\"text\":\"hello\",\"usage\":{\"type\":\"tokens\",\"input_tokens\":14,\"input_token_details\":{\"text_tokens\":10,\"audio_tokens\":4},\"output_tokens\":31,\"total_tokens\":45}}\n\n";
    let upstream = Upstream::answering(stream_of(&[delta, done]));
    let gateway = Gateway::before(&[&upstream]);
    let form = form_of(&[("model", "m"), ("stream", "true")]);
    let answer = gateway.raw(&post_form("/v1/audio/transcriptions", FORM, &form));
    assert_eq!((answer.status, answer.text()), (200, [delta, done].concat()));
    assert!(answer.whole);
    let record = gateway.record();
    assert_eq!((record.tokens(), record.get("flags")), ((14, 31), 1));

    let partial = "event: image_generation.partial_image\ndata: {\"type\":\"image_generation.partial_image\",\"b64_json\":\"AA\",\"partial_image_index\":0}\n\n";
    let complete = "event: image_generation.completed\ndata: {\"type\":\"image_generation.completed\",\"b64_json\":\"AA\",\"usage\":{\"total_tokens\":100,\"input_tokens\":50,\"output_tokens\":50,\"input_tokens_details\":{\"text_tokens\":10,\"image_tokens\":40}}}\n\n";
    let upstream = Upstream::answering(stream_of(&[partial, complete]));
    let gateway = Gateway::before(&[&upstream]);
    let answer = gateway.raw(&post("/v1/images/generations", r#"{"model":"m","prompt":"x","stream":true}"#));
    assert_eq!((answer.status, answer.text()), (200, [partial, complete].concat()));
    assert_eq!(gateway.record().tokens(), (50, 50));
}

#[test]
fn a_stream_that_breaks_off_or_begins_with_an_error_says_so() {
    let delta = "data: {\"type\":\"transcript.text.delta\",\"delta\":\"hel\"}\n\n";
    let upstream = Upstream::closing_after(stream_of(&[delta]));
    let gateway = Gateway::before(&[&upstream]);
    let form = form_of(&[("model", "m"), ("stream", "true")]);
    let answer = gateway.raw(&post_form("/v1/audio/transcriptions", FORM, &form));
    assert!(answer.text().starts_with(delta) && answer.text().contains("\"error\""), "{}", answer.text());
    assert_eq!(gateway.record().error(), Some(ErrorKind::UpstreamTruncated));

    let error = "data: {\"error\":{\"message\":\"Audio too short\",\"type\":\"invalid_request_error\"}}\n\n";
    let upstream = Upstream::answering(stream_of(&[error]));
    let gateway = Gateway::before(&[&upstream]);
    let answer = gateway.raw(&post_form("/v1/audio/transcriptions", FORM, &form));
    assert!(answer.status >= 400, "{}", answer.status);
    assert_eq!(answer.error_message(), "Audio too short");
}

#[test]
fn bad_forms_are_refused_before_anyone_is_asked() {
    let upstream = Upstream::answering(json_answer("200 OK", TRANSCRIPT));
    let gateway = Gateway::before(&[&upstream]);
    let good = form_of(&[("model", "m")]);
    let cases: [(&str, Vec<u8>, u16, Value); 11] = [
        (FORM, form_of(&[]), 400, json!("model")),
        (FORM, form_of(&[("model", "")]), 400, json!("model")),
        (FORM, form_of(&[("model", "m"), ("model", "m")]), 400, json!("model")),
        (FORM, form_of(&[("model", "m\nx")]), 400, json!("model")),
        (FORM, form_of(&[("model", "m"), ("stream", "perhaps")]), 400, json!("stream")),
        (FORM, form_of(&[("model", "none")]), 404, json!("model")),
        (FORM, good[..good.len() - 4].to_vec(), 400, Value::Null),
        (FORM, b"{\"model\":\"m\"}".to_vec(), 400, Value::Null),
        ("multipart/form-data", good.clone(), 400, Value::Null),
        ("multipart/form-data; boundary=b-2", good.clone(), 400, Value::Null),
        ("application/json", b"{\"model\":\"m\"}".to_vec(), 400, Value::Null),
    ];
    for (content_type, body, status, param) in cases {
        let answer = gateway.raw(&post_form("/v1/audio/transcriptions", content_type, &body));
        assert_eq!((answer.status, &answer.json()["error"]["param"]), (status, &param), "{}", answer.text());
        assert_eq!(answer.json()["error"]["type"], "invalid_request_error");
    }
    assert_eq!(upstream.times_asked(), 0);
    // Forms are not taken where JSON is due.
    let answer = gateway.raw(&post_form("/v1/chat/completions", FORM, &good));
    assert_eq!((answer.status, answer.error_code().as_str()), (400, "invalid_request_body"));
}

#[test]
fn edits_of_images_may_be_json() {
    let upstream = Upstream::answering(json_answer("200 OK", r#"{"data":[]}"#));
    let gateway = Gateway::before(&[&upstream]);
    let answer = gateway
        .raw(&post("/v1/images/edits", r#"{"model":"alias","prompt":"x","images":[{"file_id":"f"}]}"#));
    assert_eq!(answer.status, 200, "{}", answer.text());
    let request = upstream.next_request();
    assert!(head_of(&request).contains("\r\ncontent-type: application/json\r\n"));
    let expected = br#"{"model":"real-name","prompt":"x","images":[{"file_id":"f"}]}"#;
    assert_eq!(body_of(&request), expected);
}

#[test]
fn a_key_is_held_to_its_models() {
    let upstream = Upstream::answering(json_answer("200 OK", TRANSCRIPT));
    let gateway = Gateway::before_with(&[&upstream], &[("/keys/0/models", json!(["m0"]))]);
    let ask = |model: &str| {
        gateway.raw(&post_form("/v1/audio/transcriptions", FORM, &form_of(&[("model", model)]))).status
    };
    assert_eq!((ask("m"), ask("m0")), (404, 200));
}

#[test]
fn another_target_gets_the_same_form() {
    let broken = Upstream::answering(json_answer("500 Internal Server Error", "{}"));
    let upstream = Upstream::answering(json_answer("200 OK", TRANSCRIPT));
    let gateway = Gateway::before(&[&broken, &upstream]);
    let form = form_of(&[("model", "m")]);
    assert_eq!(gateway.raw(&post_form("/v1/audio/transcriptions", FORM, &form)).status, 200);
    assert_eq!((body_of(&broken.next_request()), body_of(&upstream.next_request())), (&form[..], &form[..]));
}

/// Azure names its deployments in the path; a provider that does not gets the model in the form.
#[test]
fn deployments_take_forms() {
    let upstream = Upstream::answering(json_answer("200 OK", TRANSCRIPT));
    let gateway = Gateway::before(&[&upstream]);
    let ask = |form: &[u8]| {
        let path = "/openai/deployments/alias/audio/transcriptions?api-version=2024-10-21";
        assert_eq!(gateway.raw(&post_form(path, FORM, form)).status, 200);
        upstream.next_request()
    };
    let with_model = form_of(&[("model", "real-name")]);
    assert_eq!(body_of(&ask(&form_of(&[("model", "anything")]))), with_model);
    let request = ask(&form_of(&[]));
    let field = "--b-1\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nreal-name\r\n";
    assert_eq!(body_of(&request), [field.as_bytes(), &form_of(&[])].concat());

    let azure = [("/providers/0/dialect", json!("azure"))];
    let gateway = Gateway::before_with(&[&upstream], &azure);
    let form = form_of(&[("model", "alias")]);
    assert_eq!(gateway.raw(&post_form("/v1/audio/transcriptions", FORM, &form)).status, 200);
    let request = upstream.next_request();
    let line = head_of(&request).lines().next().unwrap().to_owned();
    assert!(line.contains("/openai/deployments/real-name/audio/transcriptions?api-version="), "{line}");
    assert_eq!(body_of(&request), form);
}

#[test]
fn forms_pass_over_http2() {
    let upstream = Upstream::answering(json_answer("200 OK", TRANSCRIPT));
    let gateway = Gateway::before(&[&upstream]);
    let form = form_of(&[("model", "alias")]);
    let answer = h2_client::run(async {
        let mut client = h2_client::connect(gateway.address).await;
        let head = h2_client::request("POST", "/v1/audio/transcriptions").header("content-type", FORM);
        h2_client::send(&mut client, head, &Bytes::from(form)).await.unwrap()
    });
    assert_eq!(answer.status, 200);
    assert_eq!(body_of(&upstream.next_request()), form_of(&[("model", "real-name")]));
}
