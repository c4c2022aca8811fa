//! Budgets and rate limits: what is reserved, what is refused and how, and that every way out settles.

#![allow(clippy::unwrap_used, reason = "only tests call this")]

mod support;

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use sluice_types::{ErrorKind, MeterLevel};
use support::h2_client;
use support::*;

/// Pico-USD per token of the prompt and of the answer.
const INPUT: i64 = 1_000_000;
const OUTPUT: i64 = 4_000_000;

/// An answer that used so many tokens.
fn used(input: u32, output: u32) -> Vec<u8> {
    let usage = format!(r#"{{"usage":{{"prompt_tokens":{input},"completion_tokens":{output}}}}}"#);
    json_answer("200 OK", &usage)
}

fn cost(input: i64, output: i64) -> i64 {
    input * INPUT + output * OUTPUT
}

fn price() -> Value {
    let rates = json!({
        "input": INPUT, "cached_input": INPUT, "cache_write": INPUT, "cache_write_1h": INPUT, "audio_input": INPUT,
        "image_input": INPUT, "output": OUTPUT, "reasoning": OUTPUT, "audio_output": OUTPUT, "image_output": OUTPUT,
    });
    json!({"standard": [{"above_input_tokens": 0, "rates": rates}], "factor": 100_000_000})
}

fn meter(id: u32, measure: &str, limit: u64) -> Value {
    json!({"id": id, "name": format!("budget \"{id}\""), "measure": {"kind": measure}, "limit": limit, "window": {"kind": "ever"}})
}

fn tokens(id: u32, limit: u64) -> Value {
    let weights = json!({
        "input": 1000, "cached_input": 1000, "cache_write": 1000, "cache_write_1h": 1000, "audio_input": 1000,
        "image_input": 1000, "output": 1000, "reasoning": 1000, "audio_output": 1000, "image_output": 1000,
    });
    with(meter(id, "requests", limit), &[("/measure", json!({"kind": "tokens", "weights": weights}))])
}

/// A budget of so many micro-USD.
fn budget(id: u32, limit: u64) -> Value {
    meter(id, "cost", limit)
}

/// A snapshot whose targets all have a price, with these meters on the key.
fn metered(upstreams: &[&Upstream], meters: &[Value], changes: &[(&str, Value)]) -> Value {
    let addresses: Vec<_> = upstreams.iter().map(|upstream| upstream.address).collect();
    let mut snapshot = snapshot(&addresses);
    for model in snapshot["models"].as_array_mut().unwrap() {
        for target in model["targets"].as_array_mut().unwrap() {
            target["price"] = price();
        }
    }
    let ids: Vec<Value> = meters.iter().map(|meter| meter["id"].clone()).collect();
    snapshot["keys"][0]["meters"] = json!(ids);
    snapshot["meters"] = json!(meters);
    with(snapshot, changes)
}

fn level(gateway: &Gateway, id: u32) -> MeterLevel {
    gateway.plane.meter_levels(Some(&[id])).remove(0)
}

/// What of a meter is used and reserved.
fn standing(gateway: &Gateway, id: u32) -> (i64, i64) {
    let level = level(gateway, id);
    (level.used.parse().unwrap(), level.reserved.parse().unwrap())
}

fn capped(max_tokens: u64) -> String {
    format!(r#"{{"model":"m","max_tokens":{max_tokens},"messages":[]}}"#)
}

/// checks 85 and 86: the prompt and the most that is asked for are reserved at their prices, and what was not used comes back.
#[test]
fn what_a_request_may_cost_is_reserved_and_what_it_did_cost_is_charged() {
    let (hanging, _closed) = Upstream::hanging_after("");
    let body = capped(100);
    let likely = cost(i64::try_from(body.len() / 4).unwrap(), 100);
    let most = cost(i64::try_from(body.len()).unwrap(), 100);
    for (mode, reserved) in [("normal", likely), ("strict", most), ("soft", likely)] {
        let meters = [
            with(budget(1, 1_000_000), &[("/mode", json!(mode))]),
            meter(2, "requests", 10),
            tokens(3, 1000),
        ];
        let gateway = Gateway::start(&metered(&[&hanging], &meters, &[]));
        let mut stream = gateway.connect();
        stream.write_all(&chat_request(&body)).unwrap();
        hanging.next_request();
        assert_eq!(standing(&gateway, 1), (reserved, reserved), "{mode}");
        assert_eq!(standing(&gateway, 2), (1, 1));
        drop(stream);
        gateway.is_at_rest();
    }
    let upstream = Upstream::answering(used(10, 7));
    let meters =
        [budget(1, 1_000_000), meter(2, "requests", 10), tokens(3, 1000), meter(4, "concurrency", 2)];
    let gateway = Gateway::start(&metered(&[&upstream], &meters, &[]));
    for nth in 1..=3 {
        assert_eq!(gateway.chat(&body).status, 200);
        gateway.is_at_rest();
        assert_eq!(standing(&gateway, 1), (nth * cost(10, 7), 0));
        assert_eq!(standing(&gateway, 2), (nth, 0));
        assert_eq!(standing(&gateway, 3), (nth * 17_000, 0));
        assert_eq!(standing(&gateway, 4), (0, 0));
    }
    // Sum of rows = counter.
    let records = gateway.records();
    let sum: i64 = records.iter().map(|record| i64::try_from(record.get("cost_picousd")).unwrap()).sum();
    assert_eq!(sum, standing(&gateway, 1).0);
}

/// check 85: without `max_tokens` the reservation is capped by what the model can generate.
#[test]
fn answers_without_a_limit_are_reserved_by_what_the_model_can_say() {
    let (hanging, _closed) = Upstream::hanging_after("");
    let input = i64::try_from(CHAT.len()).unwrap();
    let cap = ("/models/0/targets/0/max_output_tokens", json!(50));
    let strict = || with(budget(1, 1_000_000), &[("/mode", json!("strict"))]);
    let cases = [
        (budget(1, 1_000_000), vec![cap.clone()], cost(input / 4, 50)),
        (budget(1, 1_000_000), vec![], cost(input / 4, 4096)),
        (strict(), vec![cap], cost(input, 50)),
        (
            strict(),
            vec![("/models/0/info", json!({"max_output_tokens": 60, "context_window": 10}))],
            cost(10, 60),
        ),
    ];
    for (meter, changes, expected) in cases {
        let gateway = Gateway::start(&metered(&[&hanging], &[meter], &changes));
        let mut stream = gateway.connect();
        stream.write_all(&chat_request(CHAT)).unwrap();
        hanging.next_request();
        assert_eq!(standing(&gateway, 1), (expected, expected), "{changes:?}");
    }
    // What must not be exceeded lets nothing in whose most is not known.
    let gateway = Gateway::start(&metered(&[&hanging], &[strict()], &[]));
    let answer = gateway.chat(CHAT);
    assert_eq!((answer.status, answer.error_code().as_str()), (400, "max_tokens_required"));
    assert_eq!(answer.json()["error"]["param"], "max_tokens");
    assert_eq!(standing(&gateway, 1), (0, 0));
    // Nothing is generated by what only reads.
    let upstream = Upstream::answering(used(3, 0));
    let gateway = Gateway::start(&metered(&[&upstream], &[strict()], &[]));
    assert_eq!(gateway.raw(&post("/v1/embeddings", r#"{"model":"m","input":"a"}"#)).status, 200);
    gateway.is_at_rest();
    assert_eq!(standing(&gateway, 1), (cost(3, 0), 0));
}

/// The answers that are seen teach what to expect of the next.
#[test]
fn what_answers_use_is_learnt() {
    let upstream = Upstream::start(|stream, request| {
        if String::from_utf8_lossy(request).contains("hang") {
            wait_for_end(stream);
            return Keep::Close;
        }
        stream.write_all(&used(1, 100)).unwrap();
        Keep::Open
    });
    let gateway = Gateway::start(&metered(&[&upstream], &[budget(1, 100_000_000)], &[]));
    assert_eq!(gateway.chat(CHAT).status, 200);
    gateway.is_at_rest();
    upstream.next_request();
    let body = CHAT.replace("hello", "hang!");
    let mut stream = gateway.connect();
    stream.write_all(&chat_request(&body)).unwrap();
    upstream.next_request();
    assert_eq!(standing(&gateway, 1).1, cost(i64::try_from(body.len() / 4).unwrap(), 150));
}

/// Refusals name the meter, what is used, the limit and the reset, with the status and in the dialect that is wanted.
#[test]
fn a_refusal_names_the_meter_and_when_it_resets() {
    let upstream = Upstream::answering(used(1, 1));
    let day = json!({"kind": "calendar", "unit": "year", "time_zone": "UTC"});
    let full = |change: (&str, Value)| {
        let meter = with(
            budget(1, 0),
            &[("/window", day.clone()), ("/name", json!("budget \"y\" of team \"t\"")), change],
        );
        Gateway::start(&metered(&[&upstream], &[meter], &[]))
    };
    let cases = [
        ("too_many_requests", 429, "insufficient_quota", "insufficient_quota"),
        ("payment_required", 402, "insufficient_quota", "insufficient_quota"),
        ("budget_exceeded", 400, "budget_exceeded", "budget_exceeded"),
    ];
    for (style, status, kind, code) in cases {
        let gateway = full(("/refusal", json!(style)));
        let answer = gateway.chat(&capped(1));
        let error = &answer.json()["error"];
        assert_eq!(
            (answer.status, error["type"].as_str(), error["code"].as_str()),
            (status, Some(kind), Some(code))
        );
        let message = answer.error_message();
        assert!(
            message.contains("budget \"y\" of team \"t\"") && message.contains("0 of 0 USD"),
            "{message}"
        );
        assert_eq!(answer.header("x-should-retry"), Some("false"));
        assert_eq!(level(&gateway, 1).refused, 1);
    }
    let cut = |meter: Value| {
        with(meter, &[("/window", json!({"kind": "fixed", "period_ms": 86_400_000, "anchor_ms": 0}))])
    };
    // One fits, and no second.
    let gateway = Gateway::start(&metered(&[&upstream], &[cut(meter(5, "requests", 1))], &[]));
    assert_eq!(gateway.chat(CHAT).status, 200);
    let refused = gateway.chat(CHAT);
    assert_eq!((refused.status, refused.error_code().as_str()), (429, "rate_limit_exceeded"));
    let seconds: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=86_400).contains(&seconds));
    assert!(refused.error_message().contains("It resets at 2"), "{}", refused.error_message());
    let dialects = [
        (
            post("/v1/messages", r#"{"model":"m","max_tokens":1,"messages":[]}"#),
            "/error/type",
            "rate_limit_error",
        ),
        (
            post("/v1beta/models/m:generateContent", r#"{"contents":[]}"#),
            "/error/status",
            "RESOURCE_EXHAUSTED",
        ),
        (post("/v2/chat", r#"{"model":"m","messages":[]}"#), "/code", "rate_limit_exceeded"),
    ];
    for (request, place, expected) in dialects {
        let answer = gateway.raw(&request);
        assert_eq!(answer.status, 429, "{expected}");
        assert_eq!(answer.json().pointer(place).unwrap(), expected);
    }
    let google = gateway.raw(&post("/v1beta/models/m:generateContent", r#"{"contents":[]}"#)).json();
    let details = google["error"]["details"].as_array().unwrap();
    assert!(details.iter().any(|detail| detail["retryDelay"].is_string()), "{google}");
    let bedrock = gateway.raw(&post("/model/m/converse", r#"{"messages":[]}"#));
    assert_eq!((bedrock.status, bedrock.header("x-amzn-errortype")), (429, Some("ThrottlingException")));
    // What never ends names no time.
    let ever = Gateway::start(&metered(&[&upstream], &[meter(6, "requests", 0)], &[]));
    let answer = ever.chat(CHAT);
    assert_eq!((answer.status, answer.header("retry-after")), (429, None));
    assert_eq!(upstream.times_asked(), 1);
}

/// All meters have to have room, or none is charged.
#[test]
fn a_request_is_let_in_by_all_meters_or_by_none() {
    let upstream = Upstream::answering(used(1, 1));
    let meters = [
        meter(1, "requests", 100),
        tokens(2, 100_000),
        meter(3, "concurrency", 5),
        budget(4, 1_000_000),
        meter(5, "requests", 1),
    ];
    let more = [("/models/0/meters", json!([5])), ("/keys/0/meters", json!([1, 2, 3, 4, 4]))];
    let gateway = Gateway::start(&metered(&[&upstream], &meters, &more));
    assert_eq!(gateway.chat(&capped(9)).status, 200);
    gateway.is_at_rest();
    let before: Vec<_> = (1..=5).map(|id| standing(&gateway, id)).collect();
    for _ in 0..5 {
        assert_eq!(gateway.chat(&capped(9)).status, 429);
    }
    gateway.is_at_rest();
    assert_eq!((1..=5).map(|id| standing(&gateway, id)).collect::<Vec<_>>(), before);
    // The key's own limits come last, and take nothing from a meter either.
    let more = [("/keys/0/limits", json!({"requests_per_minute": 1}))];
    let gateway = Gateway::start(&metered(&[&upstream], &meters[..4], &more));
    assert_eq!([gateway.chat(&capped(9)).status, gateway.chat(&capped(9)).status], [200, 429]);
    gateway.is_at_rest();
    assert_eq!(standing(&gateway, 1), (1, 0));
}

/// check 84: whatever comes at once, no more reaches the provider than the budget is for, streams or not, on both lanes.
#[test]
fn a_crowd_never_overspends_a_budget() {
    for mode in ["strict", "normal"] {
        let running = std::sync::Arc::new(AtomicUsize::new(0));
        let upstream = Upstream::start(move |stream, request| {
            running.fetch_add(1, Ordering::SeqCst);
            thread::sleep(Duration::from_millis(30));
            let usage =
                "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":30,\"completion_tokens\":100}}\n\n";
            let streams = String::from_utf8_lossy(request).contains("\"stream\":true");
            let answer = if streams { stream_of(&[ROLE, FINISH, usage, DONE]) } else { used(30, 100) };
            stream.write_all(&answer).unwrap();
            Keep::Open
        });
        let document = capped(100);
        let stream = document.replace("\"messages\"", "\"stream\":true,\"messages\"");
        // Ten times the most that the longer of them reserves, and not eleven times the less.
        let most = |body: &str| cost(i64::try_from(body.len()).unwrap(), 100);
        assert!(most(&document) * 11 > most(&stream) * 10);
        let limit = u64::try_from(most(&stream) * 10).unwrap().div_ceil(1_000_000);
        let meter = with(budget(1, limit), &[("/mode", json!(mode))]);
        let options =
            json!({"listeners": [{"address": "127.0.0.1:0"}], "workers": 2, "max_connections": 1000});
        let gateway = Gateway::start_with(&metered(&[&upstream], &[meter], &[]), options);
        let ok = AtomicUsize::new(0);
        thread::scope(|scope| {
            for nth in 0..200 {
                let (gateway, ok, body) = (&gateway, &ok, if nth % 2 == 0 { &document } else { &stream });
                scope.spawn(move || {
                    let status = if nth % 10 == 9 {
                        h2_client::run(async {
                            let mut client = h2_client::connect(gateway.address).await;
                            h2_client::chat(&mut client, body).await.status
                        })
                    } else {
                        gateway.chat(body).status
                    };
                    assert!(status == 200 || status == 429, "{status}");
                    ok.fetch_add(usize::from(status == 200), Ordering::SeqCst);
                });
            }
        });
        gateway.is_at_rest();
        let (spent, reserved) = standing(&gateway, 1);
        let limit = i64::try_from(limit).unwrap() * 1_000_000;
        let asked = upstream.times_asked();
        assert_eq!((asked, reserved), (ok.load(Ordering::SeqCst), 0), "{mode}");
        assert_eq!(spent, i64::try_from(asked).unwrap() * cost(30, 100), "{mode}");
        // In `normal` the estimate of the prompt was 7 tokens below the truth, for each of those that ran at once.
        assert!(
            spent <= limit + if mode == "strict" { 0 } else { 10 * cost(23, 0) },
            "{mode}: {spent} of {limit}"
        );
        let bound = if mode == "strict" { 8..=10 } else { 8..=11 };
        assert!(bound.contains(&asked), "{mode}: {asked}");
    }
}

/// check 90: an answer that does not say what it used is settled by an estimate, and marked.
#[test]
fn an_answer_without_usage_is_charged_by_estimate() {
    let upstream =
        Upstream::answering(json_answer("200 OK", r#"{"choices":[{"message":{"content":"hello, hello"}}]}"#));
    let gateway = Gateway::start(&metered(&[&upstream], &[budget(1, 1_000_000)], &[]));
    assert_eq!(gateway.chat(&capped(100)).status, 200);
    let record = gateway.record();
    assert_eq!(record.get("flags") & 2, 2);
    let (input, output) = record.tokens();
    assert!(input > 0 && output > 0);
    gateway.is_at_rest();
    let expected = cost(i64::try_from(input).unwrap(), i64::try_from(output).unwrap());
    assert_eq!(standing(&gateway, 1), (expected, 0));
}

/// check 91: an attempt that failed costs the key nothing; it counts as a request for the provider that it was sent to.
#[test]
fn failed_attempts_are_the_providers_requests_and_nobodys_money() {
    let failing = Upstream::answering(json_answer("500 Oh", "{}"));
    let healthy = Upstream::answering(used(10, 10));
    let meters = [
        budget(1, 1_000_000),
        meter(2, "requests", 100),
        meter(3, "requests", 100),
        meter(4, "requests", 100),
        budget(5, 1_000_000),
        budget(6, 1_000_000),
        meter(7, "requests", 100),
    ];
    let more = [
        ("/keys/0/meters", json!([1, 2])),
        ("/providers/0/meters", json!([3, 5])),
        ("/providers/1/meters", json!([4, 6])),
        ("/providers/1/keys/0/meters", json!([7])),
    ];
    let gateway = Gateway::start(&metered(&[&failing, &healthy], &meters, &more));
    assert_eq!(gateway.chat(&capped(50)).status, 200);
    gateway.is_at_rest();
    let expected = [cost(10, 10), 1, 1, 1, 0, cost(10, 10), 1];
    let found: Vec<_> = (1..=7).map(|id| standing(&gateway, id)).collect();
    assert_eq!(found, expected.map(|used| (used, 0)));
    // When all fail, nothing was spent.
    let gateway = Gateway::start(&metered(&[&failing, &failing], &meters, &more));
    assert_eq!(gateway.chat(&capped(50)).status, 500);
    gateway.is_at_rest();
    let expected = [0, 1, 1, 1, 0, 0, 1];
    let found: Vec<_> = (1..=7).map(|id| standing(&gateway, id)).collect();
    assert_eq!(found, expected.map(|used| (used, 0)));
}

/// A provider, or a credential, without room is passed over; when none is left the meter says so.
#[test]
fn a_target_without_room_is_passed_over() {
    let first = Upstream::answering(used(1, 1));
    let second = Upstream::answering(used(1, 1));
    let meters = [meter(1, "requests", 2), meter(2, "requests", 1), meter(9, "requests", 100)];
    let more = [
        ("/keys/0/meters", json!([9])),
        ("/providers/0/meters", json!([1])),
        ("/providers/1/meters", json!([2])),
    ];
    let gateway = Gateway::start(&metered(&[&first, &second], &meters, &more));
    assert_eq!([0; 5].map(|_| gateway.chat(CHAT).status), [200, 200, 200, 429, 429]);
    assert_eq!((first.times_asked(), second.times_asked()), (2, 1));
    gateway.is_at_rest();
    // Who was let in nowhere was no request.
    assert_eq!(standing(&gateway, 9), (3, 0));
    assert!(gateway.chat(CHAT).error_message().contains("budget \"1\""));
    // Of two credentials the one that has room is used.
    let keys = json!([
        {"id": 100, "secret": "first-key", "weight": 1000, "meters": [1]},
        {"id": 101, "secret": "second-key", "weight": 1, "meters": [2]},
    ]);
    let more = [("/keys/0/meters", json!([9])), ("/providers/0/keys", keys)];
    let gateway = Gateway::start(&metered(&[&first], &meters, &more));
    assert_eq!([0; 4].map(|_| gateway.chat(CHAT).status), [200, 200, 200, 429]);
    // An error that the next target could better, if it had room, is the client's to see.
    let failing = Upstream::answering(json_answer("500 Oh", r#"{"error":{"message":"no luck"}}"#));
    let more = [("/keys/0/meters", json!([9])), ("/providers/1/meters", json!([2]))];
    let full = [meter(2, "requests", 0), meter(9, "requests", 100)];
    let gateway = Gateway::start(&metered(&[&failing, &second], &full, &more));
    let answer = gateway.chat(CHAT);
    assert_eq!((answer.status, answer.error_message().as_str()), (500, "no luck"));
}

/// Money that is limited cannot be spent on what has no price.
#[test]
fn models_without_a_price_are_refused_where_money_is_limited() {
    let upstream = Upstream::answering(used(1, 1));
    let other = Upstream::answering(used(1, 1));
    let start = |meters: &[Value], changes: &[(&str, Value)]| {
        let mut snapshot = metered(&[&upstream, &other], meters, changes);
        snapshot["models"][0]["targets"][0].as_object_mut().unwrap().remove("price");
        snapshot["models"][3]["targets"][0].as_object_mut().unwrap().remove("price");
        Gateway::start(&snapshot)
    };
    let unpriced = capped(1).replace("\"m\"", "\"m0\"");
    let gateway = start(&[budget(1, 1000)], &[]);
    let answer = gateway.chat(&unpriced);
    assert_eq!((answer.status, answer.error_code().as_str()), (400, "model_not_priced"));
    assert!(answer.error_message().contains("prices.unpriced"), "{}", answer.error_message());
    assert_eq!(gateway.record().error(), Some(ErrorKind::ModelNotPriced));
    // Where another target has a price, it is the one that is used.
    assert_eq!([0; 4].map(|_| gateway.chat(&capped(1)).status), [200; 4]);
    assert_eq!((upstream.times_asked(), other.times_asked()), (0, 4));
    // What costs nothing passes, and a batch does not.
    assert_eq!(gateway.raw(&get("/v1/files/f")).status, 200);
    let batch = gateway.raw(&post("/v1/batches", "{}"));
    assert_eq!((batch.status, batch.error_code().as_str()), (400, "model_not_priced"));
    let cases = [
        (vec![budget(1, 1000)], json!("allow"), 200),
        (vec![with(budget(1, 1000), &[("/mode", json!("soft"))])], json!("refuse_under_budget"), 200),
        (vec![meter(1, "requests", 10)], json!("refuse_under_budget"), 200),
        (vec![], json!("refuse_under_budget"), 200),
        (vec![], json!("refuse"), 400),
    ];
    for (meters, policy, status) in cases {
        let gateway = start(&meters, &[("/settings/unpriced", policy.clone())]);
        assert_eq!(gateway.chat(&unpriced).status, status, "{meters:?} {policy}");
    }
    // The budget may be the provider's.
    let gateway =
        start(&[budget(1, 1000)], &[("/keys/0/meters", json!([])), ("/providers/0/meters", json!([1]))]);
    assert_eq!(gateway.chat(&unpriced).status, 400);
}

/// A soft meter counts and refuses nothing.
#[test]
fn soft_meters_only_report() {
    let upstream = Upstream::answering(used(10, 10));
    let soft = |meter: Value| with(meter, &[("/mode", json!("soft"))]);
    let gateway =
        Gateway::start(&metered(&[&upstream], &[soft(budget(1, 0)), soft(meter(2, "requests", 1))], &[]));
    assert_eq!([0; 3].map(|_| gateway.chat(CHAT).status), [200; 3]);
    gateway.is_at_rest();
    assert_eq!((standing(&gateway, 1), standing(&gateway, 2)), ((3 * cost(10, 10), 0), (3, 0)));
    assert_eq!(level(&gateway, 2).refused, 2);
}

/// Counters outlive plans: a changed limit keeps them, and what was used before is read only once.
#[test]
fn counters_outlive_plans() {
    let upstream = Upstream::answering(used(1, 1));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    let of = |limit: u64, window: Value, amount: &str| {
        let used = json!({"at_ms": u64::try_from(now).unwrap(), "amount": amount});
        metered(
            &[&upstream],
            &[with(meter(1, "requests", limit), &[("/window", window), ("/used", used)])],
            &[],
        )
    };
    let ever = || json!({"kind": "ever"});
    let gateway = Gateway::start(&of(5, ever(), "3"));
    assert_eq!([0; 3].map(|_| gateway.chat(CHAT).status), [200, 200, 429]);
    gateway.plane.apply(&parse(&of(6, ever(), "3"))).unwrap();
    eventually("the new limit holds", || gateway.chat(CHAT).status == 200);
    gateway.is_at_rest();
    assert_eq!(standing(&gateway, 1).0, 6);
    // A snapshot that is refused changes no limit.
    let mut broken = of(100, ever(), "3");
    broken["keys"][0]["meters"] = json!([1, 77]);
    let error = gateway.plane.apply(&parse(&broken)).unwrap_err();
    assert_eq!((error.path.as_str(), error.code), ("keys[0].meters[1]", "unknown_meter"));
    assert_eq!(gateway.chat(CHAT).status, 429);
    // Another window is another counter, which begins with what is told of it.
    gateway
        .plane
        .apply(&parse(&of(8, json!({"kind": "calendar", "unit": "year", "time_zone": "Europe/Berlin"}), "7")))
        .unwrap();
    eventually("the new window is used", || standing(&gateway, 1).0 == 7);
    let bad = [
        (
            json!({"kind": "calendar", "unit": "day", "time_zone": "Mars/Base"}),
            "meters[0].window.time_zone",
            "unknown_time_zone",
        ),
        (json!({"kind": "rate", "period_ms": 0}), "meters[0].window", "bad_window"),
    ];
    for (window, path, code) in bad {
        let error = gateway.plane.apply(&parse(&of(8, window, "7"))).unwrap_err();
        assert_eq!((error.path.as_str(), error.code), (path, code));
    }
    assert_eq!(gateway.plane.apply(&parse(&of(8, ever(), "-1"))).unwrap_err().path, "meters[0].used.amount");
}
