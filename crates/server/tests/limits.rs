//! The limits of a key: what lets a request in, what it holds, and that it is given back on every way out.

#![allow(clippy::unwrap_used, reason = "only tests call this")]

mod support;

use std::io::Write;
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use sluice_types::ErrorKind;
use support::meters::{budget, meter, metered, tokens};
use support::*;

fn limited(upstream: &Upstream, limits: Value) -> Gateway {
    Gateway::before_with(&[upstream], &[("/keys/0/limits", limits)])
}

fn usage(tokens: u32) -> Vec<u8> {
    json_answer("200 OK", &format!(r#"{{"usage":{{"prompt_tokens":{tokens},"completion_tokens":0}}}}"#))
}

#[test]
fn a_request_over_a_limit_is_told_which_and_until_when() {
    let upstream = Upstream::answering(usage(100));
    let cases = [
        (
            json!({"requests_per_minute": 2}),
            "requests",
            "rate_limit_exceeded",
            "2 requests per minute",
            20..=30,
        ),
        (json!({"tokens_per_minute": 150}), "tokens", "rate_limit_exceeded", "150 tokens per minute", 1..=60),
    ];
    for (limits, kind, code, said, wait) in cases {
        let gateway = limited(&upstream, limits);
        assert_eq!([gateway.chat(CHAT).status, gateway.chat(CHAT).status], [200, 200], "{kind}");
        let asked = upstream.times_asked();
        let answer = gateway.chat(CHAT);
        assert_eq!(answer.status, 429, "{kind}");
        let error = &answer.json()["error"];
        assert_eq!((error["type"].as_str(), error["code"].as_str()), (Some(kind), Some(code)));
        assert!(answer.error_message().contains(said), "{}", answer.error_message());
        let seconds: u64 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!(wait.contains(&seconds), "{kind}: {seconds}");
        assert_eq!(answer.header("x-should-retry"), Some("true"));
        assert_eq!(upstream.times_asked(), asked, "{kind}: it cost the provider something");
        let records = gateway.records();
        let last = records.last().unwrap();
        assert_eq!(
            (records.len(), last.get("status"), last.tokens(), last.get("attempts")),
            (3, 429, (0, 0), 0)
        );
    }
}

/// What can never be let in is not to be tried again.
#[test]
fn a_request_larger_than_its_limit_is_told_not_to_come_back() {
    let upstream = Upstream::answering(usage(1));
    let gateway = limited(&upstream, json!({"tokens_per_minute": 100}));
    let answer = gateway.chat(r#"{"model":"m","max_tokens":200,"messages":[]}"#);
    assert_eq!((answer.status, answer.header("retry-after")), (429, None));
    assert_eq!(answer.header("x-should-retry"), Some("false"));
    assert!(
        answer.error_message().contains("more than the whole limit of 100"),
        "{}",
        answer.error_message()
    );
    // The refusal took nothing.
    assert_eq!(gateway.chat(r#"{"model":"m","max_tokens":80,"messages":[]}"#).status, 200);
    // Each of several choices may be that long.
    assert_eq!(gateway.chat(r#"{"model":"m","max_tokens":30,"n":4,"messages":[]}"#).status, 429);
    let huge = r#"{"model":"m","max_tokens":18446744073709551615,"n":18446744073709551615,"messages":[]}"#;
    assert_eq!(gateway.chat(huge).status, 429);
    let none = limited(&upstream, json!({"requests_per_minute": 0}));
    assert_eq!(none.chat(CHAT).header("x-should-retry"), Some("false"));
}

#[test]
fn tokens_are_settled_by_what_was_used() {
    // Reserved are the prompt and the most it may answer; charged is what the provider reports.
    let upstream = Upstream::answering(usage(10));
    let gateway = limited(&upstream, json!({"tokens_per_minute": 1000}));
    let greedy = r#"{"model":"m","max_tokens":900,"messages":[]}"#;
    for _ in 0..8 {
        assert_eq!(gateway.chat(greedy).status, 200);
    }
    // Used more than reserved: the difference is owed.
    let upstream = Upstream::answering(usage(5000));
    let gateway = limited(&upstream, json!({"tokens_per_minute": 1000}));
    assert_eq!([gateway.chat(CHAT).status, gateway.chat(CHAT).status], [200, 429]);
    let wait: u64 = gateway.chat(CHAT).header("retry-after").unwrap().parse().unwrap();
    assert!(wait > 60, "{wait}");
    // A failure costs nothing.
    let upstream = Upstream::answering(json_answer("500 Internal Server Error", "{}"));
    let gateway = limited(&upstream, json!({"tokens_per_minute": 1000}));
    for _ in 0..10 {
        assert_eq!(gateway.chat(greedy).status, 500);
    }
    // A stream is charged by its last word.
    let upstream = Upstream::answering(stream_of(&[ROLE, &token("a"), FINISH, USAGE, DONE]));
    let gateway = limited(&upstream, json!({"tokens_per_minute": 1000}));
    for _ in 0..8 {
        assert!(gateway.chat(&greedy.replace("\"messages\"", "\"stream\":true,\"messages\"")).whole);
    }
}

#[test]
fn the_limits_of_one_key_are_not_those_of_another() {
    let upstream = Upstream::answering(json_answer("200 OK", COMPLETION));
    let key = |id: u32, secret: &str| json!({"id": id, "digests": [{"sha256": digest(secret)}], "models": ["*"], "limits": {"requests_per_minute": 1}});
    let keys = json!([key(7, KEY), key(8, "other")]);
    let gateway = Gateway::before_with(&[&upstream], &[("/keys", keys)]);
    let other = String::from_utf8(chat_request(CHAT)).unwrap().replace(KEY, "other");
    assert_eq!([gateway.chat(CHAT).status, gateway.chat(CHAT).status], [200, 429]);
    assert_eq!([gateway.raw(other.as_bytes()).status, gateway.raw(other.as_bytes()).status], [200, 429]);
}

#[test]
fn limits_survive_a_reload_and_follow_it() {
    let upstream = Upstream::answering(json_answer("200 OK", COMPLETION));
    let plan = |limit: u32| {
        with(snapshot(&[upstream.address]), &[("/keys/0/limits", json!({"requests_per_minute": limit}))])
    };
    let gateway = Gateway::start(&plan(2));
    assert_eq!([0; 3].map(|_| gateway.chat(CHAT).status), [200, 200, 429]);
    gateway.plane.apply(&parse(&plan(2))).unwrap();
    assert_eq!(gateway.chat(CHAT).status, 429);
    gateway.plane.apply(&parse(&plan(60_000))).unwrap();
    eventually("the new limit holds", || gateway.chat(CHAT).status == 200);
}

#[test]
fn concurrency_is_held_while_a_request_lasts_and_no_longer() {
    let (upstream, _closed) = Upstream::hanging_after([STREAM_HEAD, &chunk(ROLE)].concat());
    let gateway = limited(&upstream, json!({"concurrency": 3}));
    let streams: Vec<TcpStream> = (0..3)
        .map(|_| {
            let mut stream = gateway.connect();
            stream.write_all(&chat_request(STREAM)).unwrap();
            upstream.next_request();
            stream
        })
        .collect();
    let answer = gateway.chat(STREAM);
    assert_eq!((answer.status, answer.error_code().as_str()), (429, "concurrency_limit_exceeded"));
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert!(answer.error_message().contains("3 requests at once"), "{}", answer.error_message());
    eventually("three are under way", || {
        let stats = gateway.plane.stats();
        (stats.workers[0].active_requests, stats.pools[0].active) == (3, 3)
    });
    drop(streams);
    gateway.is_at_rest();
    let mut stream = gateway.connect();
    stream.write_all(&chat_request(STREAM)).unwrap();
    upstream.next_request();
}

/// A way out of a request, and the status it is booked with.
struct WayOut {
    what: &'static str,
    upstream: fn() -> Upstream,
    request: fn() -> Vec<u8>,
    /// The client leaves as soon as the provider was asked.
    leaves: bool,
    status: u64,
    error: Option<ErrorKind>,
}

fn ways_out() -> Vec<WayOut> {
    let way = |what, upstream, request, status, error| WayOut {
        what,
        upstream,
        request,
        leaves: false,
        status,
        error,
    };
    let leaving = |what, upstream, request, status| WayOut {
        leaves: true,
        ..way(what, upstream, request, status, Some(ErrorKind::ClientGone))
    };
    let chat: fn() -> Vec<u8> = || chat_request(CHAT);
    let stream: fn() -> Vec<u8> = || chat_request(STREAM);
    let fine: fn() -> Upstream = || Upstream::answering(json_answer("200 OK", COMPLETION));
    let silent: fn() -> Upstream = || Upstream::hanging_after("").0;
    let cut: fn() -> Upstream =
        || Upstream::closing_after([STREAM_HEAD, &chunk(ROLE), &chunk(&token("a"))].concat());
    vec![
        way("an answer", fine, chat, 200, None),
        way("a stream", || Upstream::answering(stream_of(&[ROLE, FINISH, DONE])), stream, 200, None),
        way(
            "an error of the provider",
            || Upstream::answering(json_answer("400 Bad Request", "{}")),
            chat,
            400,
            Some(ErrorKind::UpstreamError),
        ),
        way(
            "a fault of the provider",
            || Upstream::answering(json_answer("500 Oh", "{}")),
            chat,
            500,
            Some(ErrorKind::UpstreamError),
        ),
        way(
            "an error in place of a stream",
            || Upstream::answering(stream_of(&["data: {\"error\":{\"code\":\"slow_down\"}}\n\n"])),
            stream,
            429,
            Some(ErrorKind::UpstreamError),
        ),
        way("a reset", Upstream::resetting, chat, 502, Some(ErrorKind::UpstreamUnreachable)),
        way("no answer in time", silent, chat, 504, Some(ErrorKind::UpstreamTimeout)),
        way(
            "no API",
            || Upstream::answering("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"),
            chat,
            502,
            Some(ErrorKind::UpstreamInvalid),
        ),
        way("a cut", cut, stream, 200, Some(ErrorKind::UpstreamTruncated)),
        leaving("a client that leaves before the answer", silent, chat, 499),
        leaving(
            "a client that leaves in a stream",
            || Upstream::hanging_after([STREAM_HEAD, &chunk(ROLE)].concat()).0,
            stream,
            200,
        ),
        way("a bad body", fine, || chat_request("{"), 400, Some(ErrorKind::InvalidBody)),
        way(
            "no such model",
            fine,
            || chat_request(r#"{"model":"x","messages":[]}"#),
            404,
            Some(ErrorKind::ModelNotFound),
        ),
        way("a path that is not served", fine, || get("/v1/x"), 404, Some(ErrorKind::UnknownRoute)),
        way(
            "a method that is not served",
            fine,
            || get("/v1/embeddings"),
            405,
            Some(ErrorKind::MethodNotAllowed),
        ),
        way(
            "a wrong content type",
            fine,
            || {
                String::from_utf8(chat_request(CHAT))
                    .unwrap()
                    .replace("application/json", "text/plain")
                    .into()
            },
            400,
            Some(ErrorKind::InvalidBody),
        ),
        way(
            "an unknown coding",
            fine,
            || post_with("/v1/chat/completions", "content-encoding: x\r\n", CHAT),
            415,
            Some(ErrorKind::UnsupportedEncoding),
        ),
        way("a list of models", fine, || get("/v1/models"), 200, None),
        way("a model", fine, || get("/v1/models/m"), 200, None),
    ]
}

/// Every request of a known caller leaves one record and nothing else, whichever way it goes out.
#[test]
fn every_way_out_is_booked_once_and_gives_back_what_it_held() {
    for_each(ways_out(), |way| {
        let what = way.what;
        let upstream = (way.upstream)();
        let changes = [
            (
                "/keys/0/limits",
                json!({"concurrency": 1, "requests_per_minute": 1000, "tokens_per_minute": 1_000_000}),
            ),
            ("/providers/0/timeouts/first_byte_ms", json!(400)),
            ("/providers/0/meters", json!([4])),
            ("/keys/0/meters", json!([1, 2, 3])),
            ("/models/0/meters", json!([5])),
        ];
        let at_once = |id| meter(id, "concurrency", 1);
        let meters = [budget(1, 1_000_000), tokens(2, 1_000_000), at_once(3), at_once(4), at_once(5)];
        let gateway = Gateway::start(&metered(&[&upstream], &meters, &changes));
        for _ in 0..2 {
            let mut stream = gateway.connect();
            stream.write_all(&(way.request)()).unwrap();
            if way.leaves {
                upstream.next_request();
                thread::sleep(Duration::from_millis(50));
                drop(stream);
            } else {
                let status = u64::from(read_answer(&mut stream).status);
                assert_eq!(status, way.status, "{what}");
            }
            let record = gateway.record();
            assert_eq!((record.get("status"), record.error()), (way.status, way.error), "{what}");
            assert_eq!(record.get("key_id"), 7, "{what}");
            assert!(record.get("route") > 0 && record.get("started_at_ms") > 1_700_000_000_000, "{what}");
            assert!(record.get("duration_us") > 0, "{what}");
            assert_ne!(record.id(), "0".repeat(32));
            gateway.is_at_rest();
        }
        assert!(gateway.records().is_empty(), "{what}");
        for level in gateway.plane.meter_levels(None) {
            assert_eq!(level.reserved, "0", "{what}: meter {}", level.id);
        }
        let stats = gateway.is_at_rest();
        let counted: u64 = stats.routes.iter().flat_map(|route| route.by_class).sum();
        assert_eq!(counted, 2, "{what}");
        let errors: u64 = stats.errors.iter().map(|row| row.count).sum();
        assert_eq!(errors, if way.error.is_some() { 2 } else { 0 }, "{what}");
    });
}

/// Many at once against a small limit: never more than it allows reach the provider.
#[test]
fn a_burst_over_the_limit_never_reaches_the_provider() {
    let upstream = Upstream::start(|stream, _| {
        thread::sleep(Duration::from_millis(20));
        stream.write_all(&json_answer("200 OK", COMPLETION)).unwrap();
        Keep::Open
    });
    let options = json!({"listeners": [{"address": "127.0.0.1:0"}], "workers": 2, "max_connections": 1000});
    let plan = with(snapshot(&[upstream.address]), &[("/keys/0/limits", json!({"requests_per_minute": 10}))]);
    let gateway = Gateway::start_with(&plan, options);
    let passed = std::sync::atomic::AtomicUsize::new(0);
    for_each(0..100, |_| {
        if gateway.chat(CHAT).status == 200 {
            passed.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        }
    });
    assert_eq!((passed.into_inner(), upstream.times_asked()), (10, 10));
    gateway.is_at_rest();
    assert_eq!(gateway.records().len(), 100);
}
