//! A request's life through the fast lane, from the client's bytes to the provider's and back.

#![allow(clippy::unwrap_used, reason = "only tests call this")]

mod support;

use std::io::Write;

use support::*;

#[test]
fn a_request_passes_untouched_and_is_booked() {
    let upstream = Upstream::answering(json_answer("200 OK", COMPLETION));
    let gateway = Gateway::before(&[&upstream]);
    let answer = gateway.chat(CHAT);
    assert_eq!((answer.status, answer.text().as_str(), answer.whole), (200, COMPLETION, true));
    let seen = String::from_utf8(upstream.next_request()).unwrap();
    let (head, body) = seen.split_once("\r\n\r\n").unwrap();
    assert_eq!(body, CHAT);
    assert!(head.starts_with("POST /v1/chat/completions HTTP/1.1\r\n"), "{head}");
    assert!(head.contains(&format!("authorization: Bearer {PROVIDER_KEY}")), "{head}");
    assert!(!head.contains(KEY), "{head}");
    let timing = answer.header("server-timing").unwrap();
    assert!(timing.starts_with("gateway;dur=") && timing.contains("upstream;dur="), "{timing}");
    assert_eq!(answer.header("x-request-id"), answer.header("x-sluice-request-id"));
    let record = gateway.record();
    let fields =
        ["key_id", "model_id", "provider_id", "target_id", "status", "input_tokens", "cached_input_tokens"];
    assert_eq!(fields.map(|name| record.get(name)), [7, 1, 1, 1, 200, 11, 4]);
    assert_eq!(["output_tokens", "reasoning_tokens", "attempts"].map(|name| record.get(name)), [7, 3, 1]);
}

#[test]
fn an_alias_is_rewritten_in_place() {
    let upstream = Upstream::answering(json_answer("200 OK", COMPLETION));
    let gateway = Gateway::before(&[&upstream]);
    for (asked, sent) in [("alias", "real-name"), ("other-alias", "real-name"), ("pre/gpt-4o", "gpt-4o")] {
        let body = |model: &str| format!(r#"{{ "x": [1.50, 1e3], "model" : "{model}" , "messages":[] }}"#);
        assert_eq!(gateway.chat(&body(asked)).status, 200);
        assert!(upstream.next_request().ends_with(body(sent).as_bytes()), "{asked}");
    }
}

#[test]
fn requests_follow_each_other_on_one_connection() {
    let upstream = Upstream::answering(json_answer("200 OK", COMPLETION));
    let gateway = Gateway::before(&[&upstream]);
    let mut stream = gateway.connect();
    for _ in 0..50 {
        stream.write_all(&chat_request(CHAT)).unwrap();
        assert_eq!(read_answer(&mut stream).status, 200);
    }
    // Two at once: the second waits its turn.
    stream.write_all(&[chat_request(CHAT), chat_request(CHAT)].concat()).unwrap();
    assert_eq!(read_answer(&mut stream).status, 200);
    assert_eq!(read_answer(&mut stream).status, 200);
    let pools = gateway.is_at_rest().pools;
    assert_eq!((pools[0].connects_total, pools[0].reuses_total), (1, 51));
}

#[test]
fn a_stream_is_relayed_event_by_event_and_its_usage_is_kept_to_ourselves() {
    let events = [
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]}\n\n",
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"},\"finish_reason\":null}]}\n\n",
        "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":2,\"total_tokens\":7}}\n\n",
        "data: [DONE]\n\n",
    ];
    let upstream = Upstream::start(move |stream, _| {
        stream.write_all(STREAM_HEAD).unwrap();
        for event in events {
            stream.write_all(&chunk(event)).unwrap();
        }
        stream.write_all(b"0\r\n\r\n").unwrap();
        Keep::Open
    });
    let gateway = Gateway::before(&[&upstream]);
    let answer = gateway.chat(r#"{"model":"m","stream":true,"messages":[]}"#);
    let without_usage = [events[0], events[1], events[2], events[4]].concat();
    assert_eq!((answer.status, answer.text(), answer.whole), (200, without_usage, true));
    let sent = String::from_utf8(upstream.next_request()).unwrap();
    assert!(
        sent.ends_with(
            r#"{"stream_options":{"include_usage":true},"model":"m","stream":true,"messages":[]}"#
        ),
        "{sent}"
    );
    let record = gateway.record();
    assert_eq!(["input_tokens", "output_tokens", "flags"].map(|name| record.get(name)), [5, 2, 1]);
    let asked = r#"{"model":"m","stream":true,"stream_options":{"include_usage":true},"messages":[]}"#;
    assert_eq!(gateway.chat(asked).text(), events.concat());
    assert!(upstream.next_request().ends_with(asked.as_bytes()));
}
