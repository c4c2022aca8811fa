//! Between dialects: what is rare. Spoilt bytes, silence before the first word, HTTP/2, other targets for what one cannot do.

#![allow(clippy::unwrap_used, reason = "only tests call this")]

mod support;

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use support::dialects::*;
use support::h2_client::{connect, request, run, send};
use support::*;

/// An upstream that spoils another byte of its answer's body each time it is asked.
fn spoilt_elsewhere_each_time(head: Vec<u8>, body: Vec<u8>, chunked: bool) -> Upstream {
    const STEP: usize = 7;
    const SPOILERS: [u8; 6] = [b'"', b'{', 0, 0xff, b'\\', b'9'];
    let next = AtomicUsize::new(0);
    Upstream::start(move |stream, _| {
        let nth = next.fetch_add(1, Ordering::SeqCst);
        let (mut body, at) = (body.clone(), nth * STEP % body.len());
        body[at] = SPOILERS[nth % SPOILERS.len()];
        let body = if chunked { [chunk_of(&body), b"0\r\n\r\n".to_vec()].concat() } else { body };
        let _ = stream.write_all(&[head.clone(), body].concat());
        Keep::Open
    })
}

/// Whatever a provider sends, the gateway says in the client's dialect either what it read or that it could not.
#[test]
fn spoilt_answers_harm_nobody() {
    for_each(PROVIDERS, |provider| {
        let client = if provider == ANTHROPIC { OPENAI } else { ANTHROPIC };
        for stream in [false, true] {
            let (head, body) = if stream {
                (provider.stream_head(), provider.stream("tools-parallel"))
            } else {
                let body = provider.document("tools-parallel");
                let length = body.len();
                let head = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
                );
                (head.into_bytes(), body)
            };
            let times = (body.len() / 7).min(250);
            let upstream = spoilt_elsewhere_each_time(head, body, stream);
            let gateway = gateway_of(&[(provider, &upstream)]);
            let mut answers = [0, 0];
            for nth in 0..times {
                let answer = gateway.raw(&client.request("m", stream));
                let what = format!("{} {stream} {nth}: {}", provider.name, answer.text());
                // A provider's own error may be spoilt in any way; an error of ours would be `internal_error`.
                assert!([200, 502].contains(&answer.status) || answer.status >= 400, "{what}");
                assert!(!answer.text().contains("internal_error"), "{what}");
                answers[usize::from(answer.status == 200)] += 1;
                if answer.status == 200 && answer.whole {
                    client.read(&answer);
                } else if answer.status != 200 {
                    assert!(answer.json().is_object(), "{what}");
                }
            }
            assert!(answers[1] > 0, "{} {stream}: {answers:?}", provider.name);
            gateway.is_at_rest();
            assert_eq!(gateway.records().len(), times);
        }
    });
}

/// A provider that breaks off, or falls silent, before it has said anything: the next answers.
#[test]
fn silence_before_the_first_word() {
    for_each(
        [(ANTHROPIC, 3), (BEDROCK, 1), (RESPONSES, 2), (COHERE, 1), (OPENAI, 0)],
        |(provider, count)| {
            let client = if provider == ANTHROPIC { OPENAI } else { ANTHROPIC };
            let chunks: Vec<u8> =
                provider.frames("text")[..count].iter().flat_map(|frame| chunk_of(frame)).collect();
            let begun = [provider.stream_head(), chunks].concat();
            let ended = [begun.clone(), b"0\r\n\r\n".to_vec()].concat();
            let (hanging, _closed) = Upstream::hanging_after(begun.clone());
            for first in [Upstream::closing_after(begun), Upstream::answering(ended), hanging] {
                let second = Upstream::answering(OLLAMA.streamed("text"));
                let gateway = gateway_of(&[(provider, &first), (OLLAMA, &second)]);
                let answer = gateway.raw(&client.request("m", true));
                assert_eq!(answer.status, 200, "{}: {}", provider.name, answer.text());
                let said = client.read(&answer);
                assert_eq!((said.text.as_str(), said.ended), ("Bonjour ! 👋", true), "{}", provider.name);
                assert_eq!(gateway.record().get("attempts"), 2, "{}", provider.name);
            }
        },
    );
}

/// A provider that has said all, and then neither ends its answer nor says more, has answered.
#[test]
fn an_answer_that_is_complete_is_whole_however_the_provider_ends_it() {
    for_each([ANTHROPIC, GEMINI, BEDROCK, COHERE, OLLAMA, OPENAI, RESPONSES], |provider| {
        let client = if provider == ANTHROPIC { OPENAI } else { ANTHROPIC };
        let chunks: Vec<u8> = provider.frames("text").iter().flat_map(|frame| chunk_of(frame)).collect();
        let unended = [provider.stream_head(), chunks].concat();
        let until_close = {
            let media = provider.stream_media();
            let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {media}\r\nconnection: close\r\n\r\n");
            [head.into_bytes(), provider.stream("text")].concat()
        };
        let (hanging, _closed) = Upstream::hanging_after(unended.clone());
        for upstream in [Upstream::closing_after(unended), hanging, Upstream::closing_after(until_close)] {
            for asked in [client, provider] {
                if asked == OLLAMA {
                    continue;
                }
                let gateway = gateway_of(&[(provider, &upstream)]);
                let answer = gateway.raw(&asked.request("m", true));
                let what = format!("{} to {}: {}", asked.name, provider.name, answer.text());
                assert_eq!((answer.status, answer.whole), (200, true), "{what}");
                let said = asked.read(&answer);
                assert!(said.ended && said.error.is_none() && !said.text.is_empty(), "{what}");
                let record = gateway.record();
                assert_eq!((record.error(), record.get("flags")), (None, 1), "{what}");
            }
        }
    });
}

/// A client that asked for a document can read nothing else.
#[test]
fn a_stream_in_place_of_a_document_is_no_answer() {
    let first = Upstream::answering(ANTHROPIC.streamed("text"));
    let second = Upstream::answering(COHERE.answer("text"));
    let gateway = gateway_of(&[(ANTHROPIC, &first)]);
    assert_eq!(gateway.raw(&OPENAI.request("m", false)).status, 502);
    let gateway = gateway_of(&[(ANTHROPIC, &first), (COHERE, &second)]);
    let answer = gateway.raw(&OPENAI.request("m", false));
    assert_eq!((answer.status, OPENAI.read(&answer).text.as_str()), (200, "Bonjour ! 👋"));
}

/// Ollama's lines end with a line end, but one that is missing at the very end costs nothing.
#[test]
fn a_last_frame_without_its_end_is_read() {
    let line = r#"{"model":"m","message":{"role":"assistant","content":"hi"},"done":true,"done_reason":"stop","prompt_eval_count":2,"eval_count":1}"#;
    let event = format!("data: {}", String::from_utf8(GEMINI.document("text")).unwrap().replace('\n', " "));
    for (provider, frame) in [(OLLAMA, line.to_owned()), (GEMINI, event)] {
        let upstream = Upstream::answering(provider.streamed_as(&[frame.into_bytes()]));
        let gateway = gateway_of(&[(provider, &upstream)]);
        let answer = gateway.raw(&ANTHROPIC.request("m", true));
        assert_eq!((answer.status, answer.whole), (200, true), "{}: {}", provider.name, answer.text());
        let said = ANTHROPIC.read(&answer);
        assert!(said.ended && !said.text.is_empty(), "{}: {said:?}", provider.name);
        assert_eq!(gateway.record().error(), None);
    }
}

#[test]
fn a_target_that_can_do_what_another_cannot_is_asked() {
    let (first, second) =
        (Upstream::answering(ANTHROPIC.answer("text")), Upstream::answering(OPENAI.answer("text")));
    let reject = [("/settings/translate_unsupported", json!("reject"))];
    let gateway = gateway_with(&[(ANTHROPIC, &first), (OPENAI, &second)], &reject);
    let answer = gateway.raw(&OPENAI.request_with("m", false, "", &json!({"seed": 7})));
    assert!(answer.status == 200 && answer.body == OPENAI.document("text"), "{}", answer.text());
    assert_eq!((first.times_asked(), second.times_asked()), (0, 1));
}

/// Names of members that nobody knows are the client's, and stand in a header: they can neither add one nor fill it.
#[test]
fn strange_names_of_members_do_no_harm_in_the_head() {
    let upstream = Upstream::answering(ANTHROPIC.answer("text"));
    let gateway = gateway_of(&[(ANTHROPIC, &upstream)]);
    let mut more = json!({"x\r\nevil: 1": 1, "a, b": 1, "é漢": 2, "\u{0}": 3, "": 4, "long".repeat(500): 5});
    for nth in 0..3000 {
        more[format!("unknown_member_{nth}")] = json!(nth);
    }
    let answer = gateway.raw(&OPENAI.request_with("m", false, "", &more));
    assert_eq!((answer.status, answer.header("evil")), (200, None), "{}", answer.head);
    let dropped = answer.header("x-sluice-dropped").unwrap();
    assert!(dropped.len() <= 4096, "{}", dropped.len());
    assert!(dropped.bytes().all(|byte| (0x20..0x7f).contains(&byte)), "{dropped}");
    assert!(answer.head.is_ascii() && !OPENAI.read(&answer).text.is_empty());
}

/// Clients of other dialects look for the time to wait in the head.
#[test]
fn googles_time_to_wait_is_told_in_the_head() {
    let case: Value = serde_json::from_str(&GEMINI.file("error-before", "error.json")).unwrap();
    let body = case["body"].to_string();
    let upstream = Upstream::answering(json_answer("429 Too Many Requests", &body));
    let gateway = gateway_of(&[(GEMINI, &upstream)]);
    let answer = gateway.raw(&ANTHROPIC.request("m", false));
    assert_eq!((answer.status, answer.header("retry-after")), (429, Some("47")), "{}", answer.head);
    // What the provider says itself stays.
    let length = body.len();
    let head = format!("HTTP/1.1 429 Too Many\r\nretry-after: 3\r\ncontent-length: {length}\r\n\r\n{body}");
    let upstream = Upstream::answering(head);
    let answer = gateway_of(&[(GEMINI, &upstream)]).raw(&ANTHROPIC.request("m", false));
    assert_eq!(answer.head.matches("retry-after").count(), 1);
    assert_eq!(answer.header("retry-after"), Some("3"));
}

#[test]
fn over_http2_too() {
    let pairs = [
        (ANTHROPIC, ANTHROPIC),
        (BEDROCK, BEDROCK),
        (GEMINI, GEMINI),
        (OPENAI, ANTHROPIC),
        (BEDROCK, GEMINI),
    ];
    for (client, provider) in pairs {
        for stream in [false, true] {
            let answer = if stream { provider.streamed("text") } else { provider.answer("text") };
            let upstream = Upstream::answering(answer);
            let gateway = gateway_of(&[(provider, &upstream)]);
            let (address, body) = (gateway.address, client.body("m", stream).to_string());
            let answer = run(async move {
                let mut connection = connect(address).await;
                let head =
                    request("POST", &client.path("m", stream)).header("content-type", "application/json");
                send(&mut connection, head, body.as_bytes()).await.unwrap()
            });
            let text = String::from_utf8_lossy(&answer.body).into_owned();
            assert_eq!((answer.status, answer.broken), (200, None), "{}: {text}", client.name);
            let media = answer.headers["content-type"].to_str().unwrap();
            if client == provider {
                let wanted = if stream { provider.stream("text") } else { provider.document("text") };
                assert!(answer.body == wanted, "{}: {text}", client.name);
            } else {
                let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {media}\r\n\r\n");
                let said = client.read(&Answer { head, body: answer.body, ..Answer::default() });
                assert!(said.ended && !said.text.is_empty(), "{}: {text}", client.name);
            }
        }
    }
}

/// Bedrock's models in formats of their own pass as bytes.
#[test]
fn invoke_passes_untouched() {
    let body = r#"{"anthropic_version":"bedrock-2023-05-31","max_tokens":5,"messages":[]}"#;
    let document = br#"{"completion": 1.0}"#;
    let upstream = Upstream::answering(http_answer("200 OK", "application/json", document));
    let gateway = gateway_of(&[(BEDROCK, &upstream)]);
    let answer = gateway.raw(&post("/model/pre%2Fx:0/invoke", body));
    assert!(answer.status == 200 && answer.body == document);
    let sent = seen(&upstream);
    assert_eq!((sent.line.as_str(), sent.body), ("POST /model/x%3A0/invoke", body.as_bytes().to_vec()));
    let stream = BEDROCK.streamed("text");
    let upstream = Upstream::answering(stream);
    let gateway = gateway_of(&[(BEDROCK, &upstream)]);
    let answer = gateway.raw(&post("/bedrock/model/m/invoke-with-response-stream", body));
    assert!(answer.whole && answer.body == BEDROCK.stream("text"));
    assert_eq!(seen(&upstream).line, "POST /model/m/invoke-with-response-stream");
    assert_eq!(answer.header("content-type"), Some("application/vnd.amazon.eventstream"));
}
