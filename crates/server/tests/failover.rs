//! The next target: when it is asked, when it never is, and what the client sees of those before it.

#![allow(clippy::unwrap_used, reason = "only tests call this")]

mod support;

use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sluice_types::ErrorKind;
use support::*;

const OTHER: &str = r#"{"id":"c2","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"other"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}"#;

/// Answers streams and documents alike.
fn healthy() -> Upstream {
    Upstream::start(|stream, request| {
        let is_stream = String::from_utf8_lossy(request).contains("\"stream\":true");
        let answer = if is_stream {
            stream_of(&[ROLE, &token("other"), FINISH, USAGE, DONE])
        } else {
            json_answer("200 OK", OTHER)
        };
        stream.write_all(&answer).unwrap();
        Keep::Open
    })
}

/// A way to fail before the first byte of an answer, and how the attempt is counted.
struct Failing {
    what: &'static str,
    upstream: fn() -> Upstream,
    counted: fn(&sluice_types::AttemptStats) -> u64,
    /// Status the client sees when no other target is left, and the code of our own error.
    alone: (u16, Option<&'static str>),
}

fn error(status: &'static str) -> Upstream {
    Upstream::answering(json_answer(
        status,
        r#"{"error":{"message":"theirs","type":"t","param":null,"code":"c"}}"#,
    ))
}

fn broken(head: &str) -> Upstream {
    Upstream::closing_after(head)
}

fn silent() -> Upstream {
    Upstream::hanging_after("").0
}

fn table() -> Vec<Failing> {
    vec![
        Failing {
            what: "429",
            upstream: || error("429 Too Many Requests"),
            counted: |attempts| attempts.rate_limited,
            alone: (429, None),
        },
        Failing {
            what: "500",
            upstream: || error("500 Internal Server Error"),
            counted: |attempts| attempts.server_error,
            alone: (500, None),
        },
        Failing {
            what: "503",
            upstream: || error("503 Service Unavailable"),
            counted: |attempts| attempts.server_error,
            alone: (503, None),
        },
        Failing {
            what: "529",
            upstream: || error("529 Overloaded"),
            counted: |attempts| attempts.server_error,
            alone: (529, None),
        },
        Failing {
            what: "408",
            upstream: || error("408 Request Timeout"),
            counted: |attempts| attempts.server_error,
            alone: (408, None),
        },
        Failing {
            what: "reset",
            upstream: Upstream::resetting,
            counted: |attempts| attempts.unreachable,
            alone: (502, Some("upstream_unreachable")),
        },
        Failing {
            what: "closed without a word",
            upstream: || broken(""),
            counted: |attempts| attempts.unreachable,
            alone: (502, Some("upstream_unreachable")),
        },
        Failing {
            what: "closed in the head",
            upstream: || broken("HTTP/1.1 200 OK\r\ncontent-type: appl"),
            counted: |attempts| attempts.server_error,
            alone: (502, Some("upstream_invalid_response")),
        },
        Failing {
            what: "closed behind the head",
            upstream: || {
                broken("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n")
            },
            counted: |attempts| attempts.unreachable,
            alone: (502, Some("upstream_unreachable")),
        },
        Failing {
            what: "silent",
            upstream: silent,
            counted: |attempts| attempts.timeout,
            alone: (504, Some("upstream_timeout")),
        },
        Failing {
            what: "silent behind the head",
            upstream: || Upstream::hanging_after(STREAM_HEAD).0,
            counted: |attempts| attempts.timeout,
            alone: (504, Some("upstream_timeout")),
        },
    ]
}

fn short_limits() -> Vec<(&'static str, Value)> {
    ["/providers/0/timeouts/first_byte_ms", "/providers/0/timeouts/between_chunks_ms"]
        .map(|pointer| (pointer, json!(300)))
        .into()
}

#[test]
fn a_failure_before_the_first_byte_goes_to_the_next_target() {
    for_each(table().iter().flat_map(|case| [(case, CHAT), (case, STREAM)]), |(case, body)| {
        let what = case.what;
        let (first, second) = ((case.upstream)(), healthy());
        let gateway = Gateway::before_with(&[&first, &second], &short_limits());
        let began = Instant::now();
        let answer = gateway.chat(body);
        assert!(began.elapsed() < Duration::from_millis(1300), "{what}: {:?}", began.elapsed());
        assert_eq!((answer.status, answer.whole), (200, true), "{what}: {}", answer.text());
        assert!(answer.text().contains("other") && !answer.text().contains("theirs"), "{what}");
        assert_eq!((first.times_asked(), second.times_asked()), (1, 1), "{what}");
        let record = gateway.record();
        let fields = ["attempts", "provider_id", "target_id", "status"].map(|name| record.get(name));
        assert_eq!((fields, record.error()), ([2, 2, 2, 200], None), "{what}");
        // What the answering provider reported, and nothing of the one before.
        assert_eq!(record.tokens(), if body == CHAT { (3, 2) } else { (5, 2) }, "{what}");
        let stats = gateway.is_at_rest();
        assert_eq!((case.counted)(&stats.targets[0].attempts), 1, "{what}: {:?}", stats.targets[0].attempts);
        assert_eq!(stats.targets[1].attempts.ok, 1, "{what}");
    });
}

#[test]
fn the_last_failure_is_what_the_client_sees() {
    for_each(table(), |case| {
        let what = case.what;
        let (first, second) = (error("500 Internal Server Error"), (case.upstream)());
        let limits =
            ["first_byte_ms", "between_chunks_ms"].map(|name| format!("/providers/1/timeouts/{name}"));
        let changes: Vec<(&str, Value)> =
            limits.iter().map(|pointer| (pointer.as_str(), json!(300))).collect();
        let gateway = Gateway::before_with(&[&first, &second], &changes);
        let answer = gateway.chat(CHAT);
        let (status, code) = case.alone;
        assert_eq!(answer.status, status, "{what}: {}", answer.text());
        match code {
            None => assert_eq!(answer.json()["error"]["message"], "theirs", "{what}"),
            Some(code) => {
                assert_eq!(answer.error_code(), code, "{what}");
                // We have tried what there is, and say nothing of where it is.
                assert_eq!(answer.header("x-should-retry"), Some("false"), "{what}");
                assert!(!answer.text().contains("127.0.0.1"), "{what}: {}", answer.text());
                assert!(answer.error_message().contains("`p1`"), "{what}: {}", answer.text());
            }
        }
        let record = gateway.record();
        assert_eq!((record.get("attempts"), record.get("status")), (2, u64::from(status)), "{what}");
        assert!(record.error().is_some(), "{what}");
        gateway.is_at_rest();
    });
}

#[test]
fn a_target_that_refuses_connections_is_passed_over() {
    let second = healthy();
    let gateway = Gateway::start(&snapshot(&[refusing_address(), second.address]));
    for _ in 0..10 {
        assert_eq!(gateway.chat(CHAT).status, 200);
    }
    let alone = gateway.chat(r#"{"model":"m0","messages":[]}"#);
    assert_eq!((alone.status, alone.error_code().as_str()), (502, "upstream_unreachable"));
    let stats = gateway.is_at_rest();
    // Five failures open its breaker: the rest did not go there at all.
    let first = stats.targets.iter().find(|target| target.target_id == 1).unwrap();
    assert_eq!((first.attempts.unreachable, second.times_asked()), (5, 10));
    assert_eq!(stats.pools[0].connect_errors_total, 6);
}

/// Errors of the request itself, which no other target would answer otherwise.
#[test]
fn an_error_of_the_request_stays_with_its_target() {
    let bodies = [
        (
            "400 Bad Request",
            r#"{"error":{"message":"too long","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}"#,
        ),
        (
            "400 Bad Request",
            r#"{"error":{"message":"filtered","type":null,"param":"prompt","code":"content_filter","innererror":{"code":"ResponsibleAIPolicyViolation"}}}"#,
        ),
        ("401 Unauthorized", r#"{"error":{"message":"no"}}"#),
        ("403 Forbidden", r#"{"error":{"message":"no"}}"#),
        ("404 Not Found", r#"{"error":{"message":"no"}}"#),
        ("422 Unprocessable Entity", r#"{"detail":[{"loc":["body"],"msg":"no"}]}"#),
    ];
    for (status, body) in bodies {
        for request in [CHAT, STREAM] {
            let (first, second) = (Upstream::answering(json_answer(status, body)), healthy());
            let gateway = Gateway::before(&[&first, &second]);
            let answer = gateway.chat(request);
            assert_eq!(
                (answer.status.to_string(), answer.text()),
                (status[..3].to_string(), body.to_string())
            );
            assert_eq!(answer.header("content-type"), Some("application/json"));
            assert_eq!((first.times_asked(), second.times_asked()), (1, 0), "{status}");
            let record = gateway.record();
            assert_eq!(
                (record.error(), record.tokens()),
                (Some(ErrorKind::UpstreamError), (0, 0)),
                "{status}"
            );
        }
    }
}

/// A client's next request may follow on the same connection whatever became of the one before.
#[test]
fn connections_on_both_sides_outlive_an_error() {
    let upstream = error("500 Internal Server Error");
    let gateway = Gateway::before(&[&upstream]);
    let mut stream = gateway.connect();
    for _ in 0..3 {
        stream.write_all(&chat_request(CHAT)).unwrap();
        assert_eq!(read_answer(&mut stream).status, 500);
    }
    let pool = &gateway.is_at_rest().pools[0];
    assert_eq!((pool.connects_total, pool.reuses_total), (1, 2));
}

#[test]
fn limits_of_the_provider_are_passed_on() {
    let lines = "retry-after: 7\r\nretry-after-ms: 6500\r\nx-ratelimit-limit-requests: 60\r\nx-ratelimit-remaining-tokens: 0\r\n\
                 x-ratelimit-reset-tokens: 6m0s\r\nx-request-id: req_theirs\r\nx-should-retry: true\r\n";
    let body =
        r#"{"error":{"message":"slow down","type":"tokens","param":null,"code":"rate_limit_exceeded"}}"#;
    let head = format!(
        "HTTP/1.1 429 Too Many Requests\r\ncontent-type: application/json\r\n{lines}content-length: {}\r\n\r\n{body}",
        body.len()
    );
    let upstream = Upstream::answering(head);
    let gateway = Gateway::before(&[&upstream]);
    for request in [CHAT, STREAM] {
        let answer = gateway.chat(request);
        assert_eq!((answer.status, answer.text().as_str()), (429, body));
        for line in lines.lines() {
            let (name, value) = line.split_once(": ").unwrap();
            assert_eq!(answer.header(name), Some(value), "{name}");
        }
        assert_ne!(answer.header("x-sluice-request-id"), Some("req_theirs"));
        assert_eq!(answer.header("x-sluice-request-id"), Some(gateway.record().id().as_str()));
    }
}

#[test]
fn a_target_is_left_alone_for_as_long_as_it_asked() {
    for_each(["retry-after: 2", "retry-after-ms: 2000", "Retry-After: 2\r\nretry-after-ms: 1900"], |line| {
        let limited = format!("HTTP/1.1 429 Too Many Requests\r\n{line}\r\ncontent-length: 2\r\n\r\n{{}}");
        let (first, second) = (Upstream::answering(limited), healthy());
        let gateway = Gateway::before(&[&first, &second]);
        let began = Instant::now();
        assert_eq!(gateway.chat(CHAT).status, 200);
        while began.elapsed() < Duration::from_millis(1800) {
            assert_eq!((gateway.chat(CHAT).status, first.times_asked()), (200, 1), "{line}");
            thread::sleep(Duration::from_millis(20));
        }
        eventually("it is asked again", || {
            assert_eq!(gateway.chat(CHAT).status, 200);
            first.times_asked() == 2
        });
        assert!(
            (Duration::from_millis(1850)..Duration::from_millis(3000)).contains(&began.elapsed()),
            "{line}"
        );
    });
}

/// A target that is out of use is better than none.
#[test]
fn a_target_that_cools_down_is_asked_if_it_is_all_there_is() {
    let limited = "HTTP/1.1 429 Too Many Requests\r\nretry-after: 60\r\ncontent-length: 2\r\n\r\n{}";
    let upstream = Upstream::answering(limited);
    let gateway = Gateway::before(&[&upstream]);
    for asked in 1..=3 {
        assert_eq!((gateway.chat(CHAT).status, upstream.times_asked()), (429, asked));
    }
}

/// Their addresses are nobody's business, and whoever waits as long as is said finds one that is tried again.
#[test]
fn check_123_with_every_target_down_the_answer_says_when_to_come_back_and_names_no_host() {
    let gone: Vec<SocketAddr> =
        (0..2).map(|_| TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()).collect();
    let gateway = Gateway::start(&snapshot(&gone));
    let mut statuses = Vec::new();
    for _ in 0..6 {
        let answer = gateway.chat(CHAT);
        let text = answer.text();
        assert!(gone.iter().all(|address| !text.contains(&address.port().to_string())), "{text}");
        assert!(!text.contains("127.0.0.1"), "{text}");
        statuses.push((answer.status, answer.error_code(), answer.header("retry-after").map(str::to_owned)));
    }
    let unreachable = (502, "upstream_unreachable".to_owned(), None);
    let down = (503, "upstreams_unavailable".to_owned(), Some("1".to_owned()));
    assert_eq!(statuses, [vec![unreachable; 4], vec![down; 2]].concat());
    assert_eq!(gateway.chat(CHAT).header("x-should-retry"), Some("true"));
}

/// Unhealthy for its first requests, then healthy: the breaker opens, one request probes, and the traffic comes back.
#[test]
fn the_traffic_returns_to_a_target_that_has_recovered() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    let healthy_now = Arc::new(AtomicBool::new(false));
    let switch = Arc::clone(&healthy_now);
    let first = Upstream::start(move |stream, _| {
        let answer = if switch.load(Ordering::SeqCst) {
            json_answer("200 OK", COMPLETION)
        } else {
            json_answer("503 Service Unavailable", "{}")
        };
        stream.write_all(&answer).unwrap();
        Keep::Open
    });
    let second = healthy();
    let gateway = Gateway::before(&[&first, &second]);
    for _ in 0..20 {
        assert_eq!(gateway.chat(CHAT).status, 200);
    }
    assert_eq!(first.times_asked(), 5);
    // After a second one request tries it, and fails; the others do not.
    thread::sleep(Duration::from_millis(1100));
    for _ in 0..20 {
        assert_eq!(gateway.chat(CHAT).status, 200);
    }
    assert_eq!(first.times_asked(), 6);
    healthy_now.store(true, Ordering::SeqCst);
    let asked_before = second.times_asked();
    eventually("all traffic is back", || {
        let answer = gateway.chat(CHAT);
        assert_eq!(answer.status, 200);
        answer.text() == COMPLETION
    });
    let during = second.times_asked() - asked_before;
    assert!(during > 0);
    for _ in 0..10 {
        assert_eq!(gateway.chat(CHAT).text(), COMPLETION);
    }
}

#[test]
fn targets_of_one_tier_share_by_weight_and_the_next_tier_waits() {
    let upstreams: Vec<Upstream> = (0..4).map(|_| healthy()).collect();
    let addresses: Vec<_> = upstreams.iter().map(|upstream| upstream.address).collect();
    let target =
        |id: usize, weight: u32, tier: u32| json!({"id": id, "provider": id, "weight": weight, "tier": tier});
    let targets = json!([target(1, 3, 0), target(2, 1, 0), target(3, 0, 0), target(4, 1, 1)]);
    let gateway = Gateway::start(&with(snapshot(&addresses), &[("/models/0/targets", targets)]));
    let mut stream = gateway.connect();
    for _ in 0..400 {
        stream.write_all(&chat_request(CHAT)).unwrap();
        assert_eq!(read_answer(&mut stream).status, 200);
    }
    let asked: Vec<usize> = upstreams.iter().map(Upstream::times_asked).collect();
    assert_eq!(asked[0] + asked[1], 400);
    assert!((250..350).contains(&asked[0]), "{asked:?}");
    assert_eq!(asked[2..], [0, 0]);
}

#[test]
fn attempts_are_bounded() {
    let upstreams: Vec<Upstream> = (0..12).map(|_| error("500 Internal Server Error")).collect();
    let references: Vec<&Upstream> = upstreams.iter().collect();
    let gateway = Gateway::before(&references);
    assert_eq!(gateway.chat(CHAT).status, 500);
    assert_eq!(upstreams.iter().map(Upstream::times_asked).sum::<usize>(), 8);
    assert_eq!(gateway.record().get("attempts"), 8);
}

/// A pooled connection that the provider closed meanwhile is no failure of the provider: the request goes out again on
/// a new one, once, and only if not a byte of an answer came.
#[test]
fn a_stale_connection_is_replaced_without_a_trace() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    for how in [Keep::Open, Keep::Close] {
        let count = Arc::new(AtomicUsize::new(0));
        let counting = Arc::clone(&count);
        // Every second request on a connection is met by its end.
        let upstream = Upstream::start(move |stream, _| {
            if counting.fetch_add(1, Ordering::SeqCst) % 2 == 1 {
                if how == Keep::Close {
                    reset(stream);
                }
                return Keep::Close;
            }
            stream.write_all(&json_answer("200 OK", COMPLETION)).unwrap();
            Keep::Open
        });
        let gateway = Gateway::before(&[&upstream]);
        let mut stream = gateway.connect();
        for _ in 0..5 {
            stream.write_all(&chat_request(CHAT)).unwrap();
            assert_eq!(read_answer(&mut stream).status, 200);
            assert_eq!(gateway.record().get("attempts"), 1);
        }
        let stats = gateway.is_at_rest();
        assert_eq!((stats.targets[0].attempts.ok, stats.targets[0].attempts.unreachable), (5, 0));
        assert_eq!((stats.pools[0].connects_total, upstream.times_asked()), (5, 9));
    }
}
