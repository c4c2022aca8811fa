//! Several keys of one provider: one that is refused or limited is left for another, and a lone key is what it was.

#![allow(clippy::unwrap_used, reason = "only tests call this")]

mod support;

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::*;

const REFUSED: &str = r#"{"error":{"message":"no such key","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}"#;
const SPENT: &str = r#"{"error":{"message":"no money","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}"#;
const LIMITED: &str =
    r#"{"error":{"message":"slow down","type":"requests","param":null,"code":"rate_limit_exceeded"}}"#;

/// Answers by the key that a request came with: what `of` says, or a completion.
fn by_key(of: impl Fn(&str) -> Option<Vec<u8>> + Send + Sync + 'static) -> Upstream {
    Upstream::start(move |stream, request| {
        let answer = of(&key_of(request)).unwrap_or_else(|| json_answer("200 OK", COMPLETION));
        stream.write_all(&answer).unwrap();
        Keep::Open
    })
}

fn key_of(request: &[u8]) -> String {
    let text = String::from_utf8_lossy(request).into_owned();
    let (_, rest) = text.split_once("authorization: Bearer ").unwrap();
    rest.lines().next().unwrap().to_owned()
}

/// The keys that an upstream was asked with, in order.
fn keys_seen(upstream: &Upstream) -> Vec<String> {
    (0..upstream.times_asked()).map(|_| key_of(&upstream.next_request())).collect()
}

/// Keys of a provider, by name and weight. One of a million is chosen first, whatever chance says.
fn keys(of: &[(&str, u32)]) -> Value {
    let keys =
        (100..).zip(of).map(|(id, (secret, weight))| json!({"id": id, "secret": secret, "weight": weight}));
    keys.collect()
}

const FIRST: u32 = u32::MAX;

fn gateway(upstreams: &[&Upstream], of: &[(&str, u32)]) -> Gateway {
    Gateway::before_with(upstreams, &[("/providers/0/keys", keys(of))])
}

fn limited(lines: &str) -> Vec<u8> {
    let head = "HTTP/1.1 429 Too Many Requests\r\ncontent-type: application/json\r\n";
    format!("{head}{lines}content-length: {}\r\n\r\n{LIMITED}", LIMITED.len()).into_bytes()
}

#[test]
fn a_refused_key_is_left_for_its_sibling_and_then_left_alone() {
    for status in ["401 Unauthorized", "402 Payment Required", "403 Forbidden"] {
        let upstream = by_key(move |key| (key == "bad").then(|| json_answer(status, REFUSED)));
        let gateway = gateway(&[&upstream], &[("bad", FIRST), ("good", 1)]);
        for nth in 0..3 {
            assert_eq!(gateway.chat(CHAT).status, 200, "{status}");
            let record = gateway.record();
            assert_eq!(record.get("attempts"), if nth == 0 { 2 } else { 1 }, "{status}");
            assert_eq!((record.get("provider_id"), record.get("status")), (1, 200), "{status}");
        }
        assert_eq!(keys_seen(&upstream), ["bad", "good", "good", "good"], "{status}");
        let stats = gateway.is_at_rest();
        let attempts = &stats.targets[0].attempts;
        assert_eq!((attempts.client_error, attempts.ok), (1, 3), "{status}");
    }
}

#[test]
fn check_112_a_limited_key_is_left_alone_for_as_long_as_it_asked() {
    let busy = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&busy);
    let upstream = by_key(move |key| {
        count.fetch_add(usize::from(key == "busy"), Ordering::SeqCst);
        (key == "busy").then(|| limited("retry-after: 2\r\n"))
    });
    let gateway = gateway(&[&upstream], &[("busy", FIRST), ("free", 1)]);
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(1800) {
        assert_eq!(gateway.chat(CHAT).status, 200);
        thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(busy.load(Ordering::SeqCst), 1);
    eventually("it is asked again", || {
        assert_eq!(gateway.chat(CHAT).status, 200);
        busy.load(Ordering::SeqCst) == 2
    });
}

/// Without a word about when, it is asked by the next request again, and fails five times before it is left alone.
#[test]
fn check_113_a_limited_key_is_tried_once_by_a_request() {
    let upstream = by_key(|key| (key == "busy").then(|| limited("")));
    let gateway = gateway(&[&upstream], &[("busy", FIRST), ("free", 1)]);
    for _ in 0..8 {
        assert_eq!(gateway.chat(CHAT).status, 200);
    }
    let seen = keys_seen(&upstream);
    assert_eq!(seen.iter().filter(|key| *key == "busy").count(), 5, "{seen:?}");
}

#[test]
fn with_every_key_out_of_use_the_target_is_passed_over() {
    let first = by_key(|key| match key {
        "spent" => Some(json_answer("402 Payment Required", SPENT)),
        _ => Some(limited("retry-after: 60\r\n")),
    });
    let second = by_key(|_| None);
    let gateway = gateway(&[&first, &second], &[("spent", 1), ("busy", 1)]);
    for attempts in [3, 1, 1] {
        assert_eq!(gateway.chat(CHAT).status, 200);
        assert_eq!(gateway.record().get("attempts"), attempts);
    }
    assert_eq!((first.times_asked(), second.times_asked()), (2, 3));
    // Where there is no other, one of them is better than none, and what it says is the client's to see.
    let alone = gateway.chat(r#"{"model":"m0","messages":[]}"#);
    assert!([402, 429].contains(&alone.status), "{}", alone.text());
}

#[test]
fn every_key_refused_is_the_clients_to_see() {
    for (status, answer) in [(401, "401 Unauthorized"), (403, "403 Forbidden")] {
        let upstream = by_key(move |_| Some(json_answer(answer, REFUSED)));
        let gateway = gateway(&[&upstream], &[("a", 1), ("b", 1)]);
        let answer = gateway.chat(CHAT);
        assert_eq!((answer.status, answer.text().as_str()), (status, REFUSED));
        let mut seen = keys_seen(&upstream);
        seen.sort();
        assert_eq!(seen, ["a", "b"]);
    }
}

/// A client that asks for what no key may have puts none of them out of use.
#[test]
fn what_no_key_may_do_is_held_against_none() {
    let upstream = Upstream::start(|stream, request| {
        let is_asked = String::from_utf8_lossy(request).contains("secret");
        let answer =
            if is_asked { json_answer("403 Forbidden", "{}") } else { json_answer("200 OK", COMPLETION) };
        stream.write_all(&answer).unwrap();
        Keep::Open
    });
    let other = by_key(|_| None);
    let gateway = gateway(&[&upstream, &other], &[("a", 1), ("b", 1)]);
    let asked = r#"{"model":"m","messages":[{"role":"user","content":"secret"}]}"#;
    assert_eq!((gateway.chat(asked).status, upstream.times_asked()), (403, 2));
    for _ in 0..8 {
        assert_eq!((gateway.chat(CHAT).status, gateway.chat(CHAT).status), (200, 200));
    }
    assert_eq!(other.times_asked(), 0);
}

#[test]
fn a_lone_key_is_not_taken_out_of_use() {
    for (status, answer) in [(401, "401 Unauthorized"), (403, "403 Forbidden")] {
        let (first, second) = (by_key(move |_| Some(json_answer(answer, REFUSED))), by_key(|_| None));
        // A sibling of weight 0 is out of use, and no sibling.
        let gateway = gateway(&[&first, &second], &[("lone", 1), ("unused", 0)]);
        for asked in 1..=3 {
            assert_eq!((gateway.chat(CHAT).status, first.times_asked()), (status, asked));
        }
        assert_eq!(second.times_asked(), 0);
    }
}

/// Neither by waiting nor under another model's name is an account without money asked twice by one request.
#[test]
fn check_114_an_account_without_money_is_not_asked_again() {
    let spend_limit =
        r#"{"error":{"message":"spent","type":"rate_limit_error","code":"project_spend_limit_exceeded"}}"#;
    let exhausted = SPENT.replace("insufficient_quota", "credit_balance_exhausted");
    let answers = [
        json_answer("402 Payment Required", SPENT),
        json_answer("429 Too Many Requests", SPENT),
        json_answer("429 Too Many Requests", &exhausted),
        json_answer("429 Too Many Requests", spend_limit),
    ];
    for (answer, of) in
        answers.iter().flat_map(|answer| [(answer, &[("a", 1)][..]), (answer, &[("a", 1), ("b", 1)])])
    {
        let answer = answer.clone();
        let text = String::from_utf8_lossy(&answer).into_owned();
        let (first, second) = (by_key(move |_| Some(answer.clone())), by_key(|_| None));
        let targets = json!([
            {"id": 1, "provider": 1, "weight": 1, "tier": 0, "upstream_model": "large"},
            {"id": 2, "provider": 1, "weight": 1, "tier": 1, "upstream_model": "small"},
            {"id": 3, "provider": 2, "weight": 1, "tier": 2},
        ]);
        let changes = [("/providers/0/keys", keys(of)), ("/models/0/targets", targets)];
        let gateway = Gateway::before_with(&[&first, &second], &changes);
        assert_eq!(gateway.chat(CHAT).status, 200, "{text}");
        assert_eq!((first.times_asked(), second.times_asked()), (of.len(), 1), "{text}");
        assert_eq!(gateway.chat(CHAT).status, 200, "{text}");
        assert_eq!((first.times_asked(), second.times_asked()), (of.len(), 2), "{text}");
    }
}

#[test]
fn no_other_key_is_tried_after_the_first_byte() {
    let broken = [&stream_of(&[ROLE, &token("half")])[..], b""].concat();
    let cut = broken.len() - 5;
    let upstream = Upstream::closing_after(broken[..cut].to_vec());
    let gateway = gateway(&[&upstream], &[("a", 1), ("b", 1)]);
    let answer = gateway.chat(STREAM);
    assert!(answer.text().contains("half"), "{}", answer.text());
    assert!(!answer.text().contains("[DONE]"), "{}", answer.text());
    assert_eq!((upstream.times_asked(), gateway.record().get("attempts")), (1, 1));
}

#[test]
fn the_keys_that_are_left_share_by_weight() {
    let upstream = by_key(|key| (key == "bad").then(|| json_answer("401 Unauthorized", REFUSED)));
    let gateway = gateway(&[&upstream], &[("bad", 100), ("often", 30), ("seldom", 10), ("never", 0)]);
    for _ in 0..200 {
        assert_eq!(gateway.chat(CHAT).status, 200);
    }
    let seen = keys_seen(&upstream);
    let count = |name: &str| seen.iter().filter(|key| *key == name).count();
    assert_eq!((count("bad"), count("never")), (1, 0));
    assert!((20..=85).contains(&count("seldom")), "{}", count("seldom"));
}

/// The error of an answer that is translated says the same of its key.
#[test]
fn a_translated_refusal_goes_to_a_sibling() {
    let upstream = by_key(|key| (key == "bad").then(|| json_answer("429 Too Many Requests", SPENT)));
    let gateway = gateway(&[&upstream], &[("bad", FIRST), ("good", 1)]);
    let body = r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}"#;
    for _ in 0..2 {
        let answer = gateway.raw(&post("/v1/messages", body));
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    assert_eq!(keys_seen(&upstream), ["bad", "good", "good"]);
}
