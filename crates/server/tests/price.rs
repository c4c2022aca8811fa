//! What a request costs is booked by the prices it was admitted under, at the tier it was served with.

#![allow(clippy::unwrap_used, reason = "only tests call this")]

mod support;

use std::io::{Read, Write};

use serde_json::{Value, json};
use support::*;

/// One rate for all of the prompt, one for all of the answer.
fn tiers(input: u64, output: u64) -> Value {
    json!([{"above_input_tokens": 0, "rates": {
        "input": input, "cached_input": input, "cache_write": input, "cache_write_1h": input, "audio_input": input,
        "image_input": input, "output": output, "reasoning": output, "audio_output": output, "image_output": output,
    }}])
}

fn price(input: u64, output: u64) -> Value {
    json!({
        "standard": tiers(input, output), "flex": tiers(1, 1), "priority": tiers(1000, 1000), "request": 5,
        "factor": 100_000_000,
    })
}

fn priced(upstream: &Upstream, version: u64, price: &Value) -> Value {
    let changes = [
        ("/version", json!(version)),
        ("/prices", json!(version)),
        ("/models/0/targets/0/price", price.clone()),
    ];
    with(snapshot(&[upstream.address]), &changes)
}

fn cost(record: &Record) -> i64 {
    i64::from_ne_bytes(record.get("cost_picousd").to_ne_bytes())
}

#[test]
fn check_92_a_request_costs_what_it_did_when_it_was_admitted() {
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let upstream = Upstream::start(move |stream, _| {
        stream.write_all(&[STREAM_HEAD, &chunk(ROLE)].concat()).unwrap();
        wait.lock().unwrap().recv().unwrap();
        let end = [chunk(&token("late")), chunk(FINISH), chunk(USAGE), chunk(DONE), b"0\r\n\r\n".to_vec()];
        stream.write_all(&end.concat()).unwrap();
        Keep::Open
    });
    let gateway = Gateway::start(&priced(&upstream, 1, &price(10, 20)));
    let mut stream = gateway.connect();
    stream.write_all(&chat_request(STREAM)).unwrap();
    stream.read_exact(&mut [0; 50]).unwrap();
    gateway.plane.apply(&parse(&priced(&upstream, 2, &price(7000, 9000)))).unwrap();
    eventually("the new plan is in use", || {
        gateway.plane.stats().workers.iter().all(|worker| worker.snapshot_version == 2)
            || gateway.raw(&get("/v1/models")).status != 200
    });
    go.send(()).unwrap();
    assert!(read_answer(&mut stream).whole);
    let of_chats =
        |records: Vec<Record>| records.into_iter().find(|record| record.get("target_id") != 0).unwrap();
    let before = of_chats(gateway.records());
    assert_eq!((before.tokens(), cost(&before), before.get("prices_id")), ((5, 2), 5 * 10 + 2 * 20 + 5, 1));

    go.send(()).unwrap();
    assert_eq!(gateway.chat(STREAM).status, 200);
    let after = of_chats(gateway.records());
    assert_eq!((cost(&after), after.get("prices_id")), (5 * 7000 + 2 * 9000 + 5, 2));
}

#[test]
fn costs_are_unknown_without_a_price_and_nothing_where_nothing_was_asked() {
    let upstream = Upstream::answering(json_answer("200 OK", COMPLETION));
    let gateway = Gateway::before(&[&upstream]);
    assert_eq!(gateway.chat(CHAT).status, 200);
    assert_eq!(cost(&gateway.record()), -1);
    assert_eq!(gateway.chat(r#"{"model":"unheard-of","messages":[]}"#).status, 404);
    assert_eq!(cost(&gateway.record()), 0);
}

#[test]
fn a_failure_without_a_token_costs_nothing() {
    let failing =
        Upstream::answering(json_answer("500 Internal Server Error", r#"{"error":{"message":"no"}}"#));
    let gateway = Gateway::start(&priced(&failing, 1, &price(10, 20)));
    assert_eq!(gateway.chat(CHAT).status, 500);
    assert_eq!(cost(&gateway.record()), 0);
}

#[test]
fn the_tier_a_provider_served_with_is_priced_and_recorded() {
    const USED: &str = r#""usage":{"prompt_tokens":11,"completion_tokens":7}"#;
    let chat = |rest: &str| {
        format!(
            r#"{{"choices":[{{"index":0,"message":{{"role":"assistant","content":"hi"}},"finish_reason":"stop"}}],{rest}}}"#
        )
    };
    let cases = [
        (chat(&format!(r#"{USED},"service_tier":"default""#)), 0, 11 * 10 + 7 * 20 + 5),
        (chat(&format!(r#"{USED},"service_tier":"flex""#)), 1, 18 + 5),
        (chat(&format!(r#""service_tier":"priority",{USED}"#)), 2, 18_000 + 5),
        (chat(&format!(r#"{USED},"metadata":{{"service_tier":"flex"}}"#)), 0, 11 * 10 + 7 * 20 + 5),
        (chat(&format!(r#"{USED},"service_tier":"priority","system_fingerprint":"x""#)), 2, 18_000 + 5),
    ];
    for (body, tier, expected) in cases {
        let upstream = Upstream::answering(json_answer("200 OK", &body));
        let gateway = Gateway::start(&priced(&upstream, 1, &price(10, 20)));
        assert_eq!(gateway.chat(CHAT).status, 200);
        let record = gateway.record();
        assert_eq!((record.get("service_tier"), cost(&record)), (tier, expected), "{body}");
    }
}

#[test]
fn the_tier_of_streams_and_of_other_dialects_is_known_too() {
    let usage = USAGE.replace("\"usage\"", "\"service_tier\":\"flex\",\"usage\"");
    let streaming = Upstream::answering(stream_of(&[ROLE, &token("a"), FINISH, &usage, DONE]));
    let gateway = Gateway::start(&priced(&streaming, 1, &price(10, 20)));
    assert_eq!(gateway.chat(STREAM).status, 200);
    let record = gateway.record();
    assert_eq!((record.get("service_tier"), cost(&record)), (1, 7 + 5));

    let message = r#"{"id":"m","type":"message","role":"assistant","model":"c","content":[{"type":"text","text":"hi"}],
        "stop_reason":"end_turn","usage":{"input_tokens":3,"output_tokens":2,"service_tier":"priority"}}"#;
    let anthropic = Upstream::answering(json_answer("200 OK", message));
    let snapshot =
        with(priced(&anthropic, 1, &price(10, 20)), &[("/providers/0/dialect", json!("anthropic"))]);
    let gateway = Gateway::start(&snapshot);
    assert_eq!(gateway.chat(CHAT).status, 200);
    let record = gateway.record();
    assert_eq!((record.get("service_tier"), cost(&record)), (2, 5_000 + 5));
}
