//! Who may ask, and what of it reaches the provider: credentials, headers, loops.

#![allow(clippy::unwrap_used, reason = "only tests call this")]

mod support;

use std::io::Write;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use sluice_types::ErrorKind;
use support::*;

fn request_with(lines: &str) -> Vec<u8> {
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: g\r\n{lines}content-length: {}\r\n\r\n{CHAT}",
        CHAT.len()
    )
    .into_bytes()
}

fn now_ms() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// check 43: any header will do, and two different keys will not.
#[test]
fn a_key_is_taken_from_whichever_header_carries_it() {
    let upstream = Upstream::answering(json_answer("200 OK", COMPLETION));
    let gateway = Gateway::before(&[&upstream]);
    let cases = [
        (200, format!("authorization: Bearer {KEY}\r\n")),
        (200, format!("Authorization: bearer  {KEY} \r\n")),
        (200, format!("x-api-key: {KEY}\r\n")),
        (200, format!("api-key: {KEY}\r\n")),
        (200, format!("x-goog-api-key: {KEY}\r\n")),
        (200, format!("x-api-key: {KEY}\r\nauthorization: Bearer {KEY}\r\n")),
        (400, format!("x-api-key: other\r\nauthorization: Bearer {KEY}\r\n")),
        (400, format!("authorization: Bearer {KEY}\r\nauthorization: Bearer other\r\n")),
        (401, String::new()),
        (401, format!("authorization: {KEY}\r\n")),
        (401, format!("authorization: Basic {KEY}\r\n")),
        (401, "authorization: Bearer\r\n".into()),
        (401, "authorization: Bearer \r\n".into()),
        (401, format!("cookie: key={KEY}\r\n")),
    ];
    for (status, lines) in cases {
        assert_eq!(gateway.raw(&request_with(&lines)).status, status, "{lines:?}");
    }
    let in_query =
        format!("POST /v1/chat/completions?key={KEY} HTTP/1.1\r\nhost: g\r\ncontent-length: 0\r\n\r\n");
    assert_eq!(gateway.raw(in_query.as_bytes()).status, 401);
    // Whichever way it came in, one key has one limit and one account.
    assert!(gateway.records().iter().all(|record| record.get("key_id") == 7));
}

/// check 43: the limits are those of the key.
#[test]
fn one_limit_holds_for_every_way_to_send_the_key() {
    let upstream = Upstream::answering(json_answer("200 OK", COMPLETION));
    let gateway =
        Gateway::before_with(&[&upstream], &[("/keys/0/limits", json!({"requests_per_minute": 4}))]);
    let headers = ["authorization: Bearer ", "x-api-key: ", "api-key: ", "x-goog-api-key: "];
    for name in headers {
        assert_eq!(gateway.raw(&request_with(&format!("{name}{KEY}\r\n"))).status, 200);
    }
    for name in headers {
        assert_eq!(gateway.raw(&request_with(&format!("{name}{KEY}\r\n"))).status, 429);
    }
}

/// check 42: every refusal for want of a valid key is the same to the byte, but for the request's id and the time it took.
#[test]
fn no_refusal_tells_one_bad_key_from_another() {
    let keys = json!([
        {"id": 7, "digests": [{"sha256": digest(KEY)}], "models": ["*"]},
        {"id": 8, "digests": [{"sha256": digest("expired"), "expires_at_ms": now_ms() - 1}], "models": ["*"]},
    ]);
    let gateway = Gateway::start(&with(snapshot(&[]), &[("/keys", keys)]));
    let bare = |answer: Answer| {
        let own = ["x-sluice-request-id", "x-request-id", "server-timing"];
        let head: Vec<&str> =
            answer.head.lines().filter(|line| !own.iter().any(|name| line.starts_with(name))).collect();
        (head.join("\n"), answer.text())
    };
    let expected = bare(gateway.raw(&request_with("")));
    assert!(expected.0.contains("401 Unauthorized") && expected.0.contains("www-authenticate: Bearer"));
    let long = "a".repeat(10_000);
    for key in
        ["unknown", "expired", "sk-slc-", &KEY[..KEY.len() - 1], &format!("{KEY}x"), "%00", "\u{e9}", &long]
    {
        let answer = bare(gateway.raw(&request_with(&format!("authorization: Bearer {key}\r\n"))));
        assert_eq!(answer, expected, "{key:.20}");
    }
    // Strangers fill no ledger, but they are counted.
    assert!(gateway.records().is_empty());
    let stats = gateway.is_at_rest();
    let refused = stats.errors.iter().find(|row| row.class == ErrorKind::Unauthenticated.code()).unwrap();
    assert_eq!(refused.count, 9);
}

/// checks 47 and 49
#[test]
fn keys_rotate_with_overlap_expire_and_are_revoked() {
    let upstream = Upstream::answering(json_answer("200 OK", COMPLETION));
    let with_digests = |digests: Value| with(snapshot(&[upstream.address]), &[("/keys/0/digests", digests)]);
    let soon = now_ms() + 400;
    let both = json!([{"sha256": digest("new")}, {"sha256": digest(KEY), "expires_at_ms": soon}]);
    let gateway = Gateway::start(&with_digests(both));
    let status = |key: &str| gateway.raw(&request_with(&format!("x-api-key: {key}\r\n"))).status;
    assert_eq!([status("new"), status(KEY)], [200, 200]);
    // A connection that has authenticated before is asked again for every request.
    let mut stream = gateway.connect();
    stream.write_all(&chat_request(CHAT)).unwrap();
    assert_eq!(read_answer(&mut stream).status, 200);
    while now_ms() <= soon {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!([status("new"), status(KEY)], [200, 401]);
    stream.write_all(&chat_request(CHAT)).unwrap();
    assert_eq!(read_answer(&mut stream).status, 401);
    gateway.plane.apply(&parse(&with_digests(json!([])))).unwrap();
    eventually("the revoked key is refused", || status("new") == 401);
}

/// check 48
#[test]
fn guessers_are_throttled_by_address_and_honest_clients_are_not() {
    let upstream = Upstream::answering(json_answer("200 OK", COMPLETION));
    let gateway = Gateway::before_with(&[&upstream], &[("/settings/max_auth_failures_per_minute", json!(5))]);
    for _ in 0..10 {
        assert_eq!(gateway.chat(CHAT).status, 200);
    }
    for _ in 0..5 {
        assert_eq!(gateway.raw(&request_with("x-api-key: guess\r\n")).status, 401);
    }
    let answer = gateway.raw(&request_with("x-api-key: guess\r\n"));
    assert_eq!((answer.status, answer.error_code().as_str()), (429, "too_many_failed_authentications"));
    let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((50..=60).contains(&wait), "{wait}");
    // A right guess looks no different while the address is throttled.
    assert_eq!(gateway.chat(CHAT).status, 429);
}

/// check 41: failing takes as long whether the key is near a real one or not, of another length, or one that has expired. A
/// coarse bound: what it would catch is a comparison that stops at the first difference of a stored secret, or a look-up
/// that is much slower on one way.
#[test]
fn a_miss_takes_as_long_as_a_near_miss() {
    let keys = json!([
        {"id": 7, "digests": [{"sha256": digest(KEY)}], "models": ["*"]},
        {"id": 8, "digests": [{"sha256": digest("sk-slc-expired!"), "expires_at_ms": now_ms() - 1}], "models": ["*"]},
    ]);
    let changes = [("/keys", keys), ("/settings/max_auth_failures_per_minute", json!(0))];
    let gateway = Gateway::start(&with(snapshot(&[]), &changes));
    let mut stream = gateway.connect();
    let near = format!("{}x", &KEY[..KEY.len() - 1]);
    let kinds = [near, "z".repeat(KEY.len()), "z".into(), format!("{KEY}{KEY}"), "sk-slc-expired!".into()];
    let mut times = [const { Vec::new() }; 5];
    for _ in 0..300 {
        for (key, times) in kinds.iter().zip(&mut times) {
            let request = format!("GET /v1/models HTTP/1.1\r\nhost: g\r\nx-api-key: {key}\r\n\r\n");
            let began = Instant::now();
            stream.write_all(request.as_bytes()).unwrap();
            assert_eq!(read_answer(&mut stream).status, 401);
            times.push(began.elapsed());
        }
    }
    let medians = times.map(|mut times| {
        times.sort_unstable();
        times[times.len() / 2].as_micros()
    });
    let (least, most) = (medians.iter().min().unwrap(), medians.iter().max().unwrap());
    assert!(*most < least * 2 + 50, "{medians:?} µs");
}

#[test]
fn without_required_keys_strangers_are_served_whatever_key_their_client_sends() {
    let upstream = Upstream::answering(json_answer("200 OK", COMPLETION));
    let gateway = Gateway::before_with(&[&upstream], &[("/settings/require_key", json!(false))]);
    assert_eq!(gateway.raw(&request_with("")).status, 200);
    assert_eq!(gateway.record().get("key_id"), 0);
    for unknown in ["x-api-key: unknown\r\n", "authorization: Bearer unknown\r\n", "x-api-key:\r\n"] {
        assert_eq!(gateway.raw(&request_with(unknown)).status, 200, "{unknown}");
        assert_eq!(gateway.record().get("key_id"), 0, "{unknown}");
    }
    assert_eq!(gateway.chat(CHAT).status, 200);
    assert_eq!(gateway.record().get("key_id"), 7);
}

/// checks 45 and 46: what goes to the provider is a list; everything else stays here.
#[test]
fn a_provider_sees_its_own_credential_and_the_headers_on_the_list() {
    let upstream = Upstream::answering(json_answer("200 OK", COMPLETION));
    let gateway = Gateway::before(&[&upstream]);
    let passed = [
        "user-agent: openai-node/5",
        "openai-beta: assistants=v2",
        "idempotency-key: 1-a",
        "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "tracestate: a=b",
        "x-client-request-id: mine",
    ];
    let kept_here = [
        "cookie: session=1",
        "x-forwarded-for: 10.0.0.1",
        "x-forwarded-host: evil",
        "forwarded: for=10.0.0.1",
        "x-real-ip: 10.0.0.1",
        "openai-organization: org-1",
        "openai-project: proj_1",
        "x-amz-security-token: t",
        "accept-encoding: gzip",
        "x-portkey-custom-host: evil",
        "proxy-authorization: Basic x",
        "te: trailers",
        "connection: keep-alive, openai-beta",
        "via: 1.1 other",
        "referer: http://a/?key=1",
        "x-stainless-os: Linux",
        "x-request-id: forged",
        "x-sluice-request-id: forged",
    ];
    let lines: String = passed.iter().chain(&kept_here).map(|line| format!("{line}\r\n")).collect();
    let headers = format!("authorization: Bearer {KEY}\r\nx-api-key: {KEY}\r\napi-key: {KEY}\r\n{lines}");
    assert_eq!(gateway.raw(&request_with(&headers)).status, 200);
    let seen = String::from_utf8(upstream.next_request()).unwrap();
    let (head, _) = seen.split_once("\r\n\r\n").unwrap();
    assert!(!seen.contains(KEY), "{seen}");
    let mut names: Vec<&str> = head.lines().skip(1).map(|line| line.split(':').next().unwrap()).collect();
    names.sort_unstable();
    let expected = [
        "accept",
        "accept-encoding",
        "authorization",
        "content-length",
        "content-type",
        "host",
        "idempotency-key",
        "openai-beta",
        "traceparent",
        "tracestate",
        "user-agent",
        "x-client-request-id",
        "x-sluice-via",
    ];
    assert_eq!(names, expected, "{head}");
    for line in passed {
        assert!(head.contains(line), "{line}");
    }
    assert!(head.contains(&format!("host: {}\r\n", upstream.address)));
    assert!(head.contains(&format!("authorization: Bearer {PROVIDER_KEY}")));
}

#[test]
fn a_provider_gets_its_key_the_way_it_wants_it() {
    let upstream = Upstream::answering(json_answer("200 OK", COMPLETION));
    let cases = [
        (json!({"kind": "header", "name": "api-key"}), Some(format!("api-key: {PROVIDER_KEY}"))),
        (json!({"kind": "none"}), None),
    ];
    for (auth, line) in cases {
        let changes = [
            ("/providers/0/auth", auth),
            ("/providers/0/headers", json!([{"name": "x-fixed", "value": "yes"}])),
        ];
        let gateway = Gateway::before_with(&[&upstream], &changes);
        assert_eq!(gateway.chat(CHAT).status, 200);
        let seen = String::from_utf8(upstream.next_request()).unwrap();
        assert!(!seen.contains("authorization") && seen.contains("x-fixed: yes\r\n"), "{seen}");
        assert_eq!(seen.contains(PROVIDER_KEY), line.is_some());
        assert!(line.is_none_or(|line| seen.contains(&line)));
    }
}

/// check 45: providers repeat the key they refuse. It is ours, and no client is to see it, whole or in part.
#[test]
fn a_provider_key_in_an_error_is_masked() {
    let shortened = format!("{}***{}", &PROVIDER_KEY[..8], &PROVIDER_KEY[PROVIDER_KEY.len() - 4..]);
    let padded = format!("{}{PROVIDER_KEY}{}", " ".repeat(60_000), " ".repeat(40_000));
    let across = format!("{}{PROVIDER_KEY}{}", " ".repeat((64 << 10) - 60), " ".repeat(40_000));
    for text in [PROVIDER_KEY, &shortened, &padded, &across] {
        let body = format!(r#"{{"error":{{"message":"Incorrect API key provided: {text}."}}}}"#);
        let event = format!("data: {body}\n\n");
        let chunked = [STREAM_HEAD.to_vec(), chunk(&event)].concat();
        for bytes in
            [json_answer("401 Unauthorized", &body), json_answer("500 Internal Server Error", &body), chunked]
        {
            let upstream = Upstream::closing_after(bytes);
            let gateway = Gateway::before(&[&upstream]);
            let answer = gateway.chat(STREAM);
            assert!(answer.status >= 400 && answer.body.len() > 50, "{}", answer.status);
            let tail = &PROVIDER_KEY[PROVIDER_KEY.len() - 4..];
            assert!(
                !answer.text().contains("sk-can") && !answer.text().contains(tail),
                "{:.200}",
                answer.text().trim()
            );
            assert!(!answer.head.contains(PROVIDER_KEY));
        }
    }
}

/// What is printed, counted or recorded holds no secret, whatever the request came to.
#[test]
fn no_secret_is_printed_counted_or_recorded() {
    let bodies = ["200 OK", "401 Unauthorized", "429 Too Many Requests", "500 Internal Server Error"]
        .map(|status| json_answer(status, &format!(r#"{{"error":"{PROVIDER_KEY} {KEY}"}}"#)));
    for bytes in bodies {
        let upstream = Upstream::answering(bytes);
        let plan = snapshot(&[upstream.address]);
        let gateway = Gateway::start(&plan);
        gateway.chat(CHAT);
        gateway.raw(&request_with(&format!("x-api-key: {KEY}-wrong\r\n")));
        let records: Vec<u8> = gateway.records().into_iter().flat_map(|record| record.0).collect();
        let printed = format!("{:?} {:?}", gateway.plane, parse(&plan));
        let counted = serde_json::to_string(&gateway.plane.stats()).unwrap();
        let error = gateway.plane.apply(&parse(&with(plan, &[("/keys/0/id", json!(0))]))).unwrap_err();
        let all = [printed.as_bytes(), counted.as_bytes(), &records, format!("{error} {error:?}").as_bytes()]
            .concat();
        for secret in [PROVIDER_KEY, KEY] {
            assert!(!all.windows(secret.len()).any(|window| window == secret.as_bytes()), "{secret}");
        }
    }
}

#[test]
fn a_request_that_goes_in_circles_is_stopped() {
    // Two gateways that lead to each other.
    let (one_port, two_port) = (free_port(), free_port());
    let listening = |port: u16| json!({"listeners": [{"address": format!("127.0.0.1:{port}")}], "workers": 1, "max_connections": 100});
    let leading_to = |port: u16| {
        let changes = [("/providers/0/keys/0/secret", json!(KEY))];
        with(snapshot(&[format!("127.0.0.1:{port}").parse().unwrap()]), &changes)
    };
    let one = Gateway::start_with(&leading_to(two_port), listening(one_port));
    let two = Gateway::start_with(&leading_to(one_port), listening(two_port));
    let answer = one.chat(CHAT);
    assert_eq!((answer.status, answer.error_code().as_str()), (508, "loop_detected"));
    assert_eq!(
        [one.record().get("status"), one.record().get("status"), two.record().get("status")],
        [508; 3]
    );
    one.is_at_rest();
    two.is_at_rest();
    // And one that leads to itself.
    let port = free_port();
    let own = Gateway::start_with(&leading_to(port), listening(port));
    assert_eq!(own.chat(CHAT).status, 508);
}

#[test]
fn a_request_may_pass_a_few_gateways_but_not_many() {
    let upstream = Upstream::answering(json_answer("200 OK", COMPLETION));
    let gateway = Gateway::before(&[&upstream]);
    let via = |count: usize| {
        format!(
            "authorization: Bearer {KEY}\r\nx-sluice-via: {}\r\n",
            vec!["0123456789abcdef"; count].join(", ")
        )
    };
    let mut line = via(7);
    assert_eq!(gateway.raw(&request_with(&line)).status, 200);
    let seen = String::from_utf8(upstream.next_request()).unwrap();
    assert_eq!(seen.matches("x-sluice-via: ").count(), 2, "{seen}");
    line.push_str("x-sluice-via: fedcba9876543210\r\n");
    assert_eq!(gateway.raw(&request_with(&line)).status, 508);
    assert_eq!(gateway.raw(&request_with(&via(50))).status, 508);
}

fn free_port() -> u16 {
    refusing_address().port()
}
