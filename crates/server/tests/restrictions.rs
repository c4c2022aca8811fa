//! What a key may reach besides its models: providers, routes, and the networks it is good in.

#![allow(clippy::unwrap_used, reason = "only tests call this")]

mod support;

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};
use sluice_types::ErrorKind;
use support::h2_client;
use support::*;

const OTHER: &str = "other";

/// The key of the tests, restricted, and another one that is not.
fn keys(restrictions: &Value) -> Value {
    let mut key = json!({"id": 7, "digests": [{"sha256": digest(KEY)}], "models": ["*"]});
    for (name, value) in restrictions.as_object().unwrap() {
        key[name] = value.clone();
    }
    json!([key, {"id": 8, "digests": [{"sha256": digest(OTHER)}], "models": ["*"]}])
}

fn restricted(upstreams: &[&Upstream], restrictions: &Value) -> Gateway {
    Gateway::before_with(upstreams, &[("/keys", keys(restrictions))])
}

fn by(secret: &str, request: Vec<u8>) -> Vec<u8> {
    String::from_utf8(request).unwrap().replace(KEY, secret).into_bytes()
}

fn names_of(list: &Value) -> Vec<&str> {
    list["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap()).collect()
}

/// check 50: the list of providers holds for every tier, for fail-over, for lists of models, for counts of tokens and for
/// what providers keep.
#[test]
fn a_key_reaches_no_provider_but_its_own() {
    let first = Upstream::answering(json_answer("200 OK", COMPLETION));
    let second = Upstream::answering(json_answer("200 OK", COMPLETION));
    let gateway = restricted(&[&first, &second], &json!({"providers": ["p1", "gone-*"]}));
    // `m` leads to the first provider by preference, and to the second behind it.
    for _ in 0..10 {
        assert_eq!(gateway.chat(CHAT).status, 200);
    }
    assert_eq!((first.times_asked(), second.times_asked()), (0, 10));
    let unknown = gateway.chat(&CHAT.replace("\"m\"", "\"x0\""));
    let barred = gateway.chat(&CHAT.replace("\"m\"", "\"m0\""));
    assert_eq!((barred.status, barred.error_code().as_str()), (404, "model_not_found"));
    assert_eq!(barred.text().replace("m0", "x0"), unknown.text());
    for request in [
        post("/v1/messages/count_tokens", r#"{"model":"m0","messages":[]}"#),
        post("/v1/embeddings", r#"{"model":"m0","input":"a"}"#),
        post("/v1beta/models/m0:generateContent", r#"{"contents":[]}"#),
        get("/v1/models/m0"),
    ] {
        assert_eq!(gateway.raw(&request).status, 404, "{}", String::from_utf8_lossy(&request));
    }
    assert_eq!(names_of(&gateway.raw(&get("/v1/models")).json()), ["m", "m1"]);
    let all = gateway.raw(&by(OTHER, get("/v1/models"))).json();
    assert_eq!(names_of(&all), ["m", "alias", "other-alias", "m0", "m1"]);
    let files = |provider: &str| {
        let request = String::from_utf8(get("/v1/files/f")).unwrap();
        gateway.raw(
            request.replace("\r\n\r\n", &format!("\r\nx-sluice-provider: {provider}\r\n\r\n")).as_bytes(),
        )
    };
    assert_eq!((files("p0").status, files("p0").error_code().as_str()), (404, "provider_not_found"));
    assert_eq!((files("p1").status, gateway.raw(&get("/v1/files/f")).status), (200, 200));
    assert_eq!(first.times_asked(), 0);
    h2_client::run(async {
        let mut client = h2_client::connect(gateway.address).await;
        let answer = h2_client::chat(&mut client, &CHAT.replace("\"m\"", "\"m0\"")).await;
        assert_eq!(answer.status, 404);
    });
}

/// check 50: a provider that a key is barred from is no fall-back either.
#[test]
fn no_failure_leads_to_a_provider_that_is_barred() {
    let failing = Upstream::answering(json_answer("500 Oh", "{}"));
    let healthy = Upstream::answering(json_answer("200 OK", COMPLETION));
    let gateway = restricted(&[&failing, &healthy], &json!({"providers": ["p0"]}));
    for _ in 0..8 {
        assert_eq!(gateway.chat(CHAT).status, 500);
    }
    assert_eq!(healthy.times_asked(), 0);
    assert_eq!(gateway.raw(&by(OTHER, chat_request(CHAT))).status, 200);
    assert_eq!(healthy.times_asked(), 1);
    let none = restricted(&[&failing, &healthy], &json!({"providers": []}));
    assert_eq!(none.chat(CHAT).status, 404);
    assert_eq!(names_of(&none.raw(&get("/v1/models")).json()), [""; 0]);
}

/// check 50: routes are refused on both lanes, before a body is read.
#[test]
fn a_key_calls_no_route_but_its_own() {
    let upstream = Upstream::answering(json_answer("200 OK", COMPLETION));
    let gateway = restricted(&[&upstream], &json!({"routes": ["chat_completions", "model*"]}));
    for request in
        [chat_request(CHAT), post("/openai/chat/completions", CHAT), get("/v1/models"), get("/v1/models/m")]
    {
        assert_eq!(gateway.raw(&request).status, 200, "{}", String::from_utf8_lossy(&request));
    }
    assert_eq!(gateway.records().len(), 4);
    let refused = [
        ("completions", post("/v1/completions", r#"{"model":"m","prompt":"a"}"#)),
        ("responses", post("/v1/responses", r#"{"model":"m","input":"a"}"#)),
        ("messages", post("/v1/messages", r#"{"model":"m","max_tokens":1,"messages":[]}"#)),
        ("count_tokens", post("/v1/messages/count_tokens", r#"{"model":"m","messages":[]}"#)),
        ("converse", post("/model/m/converse", "{}")),
        ("rerank", post("/v2/rerank", "{}")),
        ("batches", post("/v1/batches", "{}")),
        ("files", get("/v1/files")),
        ("stored_responses", get("/v1/responses/r")),
    ];
    for (route, request) in refused {
        let answer = gateway.raw(&request);
        assert_eq!(answer.status, 403, "{route}");
        assert!(answer.text().contains(&format!("`{route}`")), "{}", answer.text());
        assert_eq!(gateway.record().error(), Some(ErrorKind::NotPermitted), "{route}");
    }
    // Nothing of this body is ever sent, and the answer is there all the same.
    let mut stream = gateway.connect();
    let head = "POST /v1/embeddings HTTP/1.1\r\nhost: g\r\nauthorization: Bearer";
    stream.write_all(format!("{head} {KEY}\r\ncontent-length: 1000\r\n\r\n").as_bytes()).unwrap();
    assert_eq!(read_answer(&mut stream).status, 403);
    // What does not exist is told so, and who is nobody is told that first.
    assert_eq!(gateway.raw(&get("/v1/nothing")).status, 404);
    assert_eq!(gateway.raw(&get("/v1/embeddings")).status, 405);
    assert_eq!(gateway.raw(&by("nobody", post("/v1/embeddings", "{}"))).status, 401);
    h2_client::run(async {
        let mut client = h2_client::connect(gateway.address).await;
        let head = h2_client::request("POST", "/v1/embeddings");
        assert_eq!(h2_client::send(&mut client, head, b"{}").await.unwrap().status, 403);
    });
    assert_eq!(upstream.times_asked(), 2);
}

/// The head and body of an answer, without what differs between any two.
fn bare(answer: &Answer) -> (String, String) {
    let own = ["x-sluice-request-id", "x-request-id", "server-timing"];
    let is_own = |line: &&str| !own.iter().any(|name| line.starts_with(name));
    (answer.head.lines().filter(is_own).collect::<Vec<_>>().join("\n"), answer.text())
}

/// check 42: a key that is used from elsewhere is refused with the bytes of one that does not exist.
#[test]
fn a_key_is_unknown_outside_its_networks() {
    let upstream = Upstream::answering(json_answer("200 OK", COMPLETION));
    let outside = restricted(&[&upstream], &json!({"networks": ["10.0.0.0/8", "2001:db8::/32"]}));
    for request in [chat_request(CHAT), get("/v1/models"), get("/v1/files/f"), get("/v1/nothing")] {
        let refused = outside.raw(&request);
        assert_eq!(refused.status, 401);
        assert_eq!(bare(&refused), bare(&outside.raw(&by("unknown", request))));
    }
    // It fills no ledger either.
    assert!(outside.records().is_empty());
    assert_eq!(outside.raw(&by(OTHER, chat_request(CHAT))).status, 200);
    let inside = restricted(&[&upstream], &json!({"networks": ["10.0.0.0/8", "127.0.0.0/8"]}));
    assert_eq!(inside.chat(CHAT).status, 200);
    // It counts as a failed authentication, as an unknown one does.
    let throttled = [
        ("/keys", keys(&json!({"networks": ["10.0.0.0/8"]}))),
        ("/settings/max_auth_failures_per_minute", json!(2)),
    ];
    let gateway = Gateway::before_with(&[&upstream], &throttled);
    assert_eq!([0; 3].map(|_| gateway.chat(CHAT).status), [401, 401, 429]);
    h2_client::run(async {
        let mut client = h2_client::connect(outside.address).await;
        assert_eq!(h2_client::chat(&mut client, CHAT).await.status, 401);
    });
}

/// A socket of both families sees clients of IPv4 by their mapped addresses.
#[test]
fn a_mapped_address_is_that_of_ipv4() {
    let upstream = Upstream::answering(json_answer("200 OK", COMPLETION));
    let options = json!({"listeners": [{"address": "[::]:0"}], "workers": 1, "max_connections": 100});
    let snapshot =
        with(snapshot(&[upstream.address]), &[("/keys", keys(&json!({"networks": ["127.0.0.1/32"]})))]);
    let gateway = Gateway::start_with(&snapshot, options);
    let status = |host: &str| {
        // Machines without IPv6, or with sockets of one family only, cannot be asked.
        let mut stream = TcpStream::connect((host, gateway.address.port())).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        stream.write_all(&chat_request(CHAT)).unwrap();
        Some(read_answer(&mut stream).status)
    };
    assert!(status("127.0.0.1").is_none_or(|status| status == 200));
    assert!(status("::1").is_none_or(|status| status == 401));
}

/// What cannot be compiled changes nothing.
#[test]
fn bad_restrictions_refuse_the_snapshot() {
    let upstream = Upstream::answering(json_answer("200 OK", COMPLETION));
    let gateway = restricted(&[&upstream], &json!({}));
    let cases = [
        (json!({"networks": ["10.0.0.0/8", "10.0.0.0/64"]}), "keys[0].networks[1]", "bad_network"),
        (json!({"networks": ["example.org"]}), "keys[0].networks[0]", "bad_network"),
        (json!({"routes": ["chat"]}), "keys[0].routes[0]", "unknown_route"),
        (json!({"providers": ["a*b*"]}), "keys[0].providers[0]", "bad_pattern"),
    ];
    for (restrictions, path, code) in cases {
        let snapshot = with(snapshot(&[upstream.address]), &[("/keys", keys(&restrictions))]);
        let error = gateway.plane.apply(&parse(&snapshot)).unwrap_err();
        assert_eq!((error.path.as_str(), error.code), (path, code));
        assert_eq!(gateway.chat(CHAT).status, 200);
    }
}

/// check 47: what a change takes away is refused from the next request on, on open connections too.
#[test]
fn a_restriction_holds_from_the_next_request_on() {
    let upstream = Upstream::answering(json_answer("200 OK", COMPLETION));
    let gateway = restricted(&[&upstream], &json!({}));
    let mut stream = gateway.connect();
    let mut status = || {
        stream.write_all(&chat_request(CHAT)).unwrap();
        read_answer(&mut stream).status
    };
    assert_eq!(status(), 200);
    let apply = |restrictions: &Value| {
        gateway
            .plane
            .apply(&parse(&with(snapshot(&[upstream.address]), &[("/keys", keys(restrictions))])))
            .unwrap();
    };
    apply(&json!({"routes": ["embeddings"]}));
    eventually("the route is closed", || status() == 403);
    apply(&json!({"networks": ["10.0.0.0/8"]}));
    eventually("the network is closed", || status() == 401);
}
