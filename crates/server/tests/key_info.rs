//! What a key's holder is told of its limits: headers of answers, and the document about the key.

#![allow(clippy::unwrap_used, reason = "only tests call this")]

mod support;

use serde_json::{Value, json};
use support::h2_client;
use support::meters::*;
use support::*;

fn day() -> Value {
    json!({"kind": "calendar", "unit": "day", "time_zone": "UTC"})
}

/// A gateway whose key has a budget of 10 USD a day and one of 2 USD, limits of requests and tokens, and a soft meter.
fn gateway(upstream: &Upstream) -> Gateway {
    let meters = [
        with(budget(1, 10_000_000), &[("/window", day())]),
        budget(2, 2_000_000),
        with(
            meter(3, "requests", 100),
            &[("/window", json!({"kind": "fixed", "period_ms": 86_400_000, "anchor_ms": 0}))],
        ),
        tokens(4, 5_000),
        with(budget(5, 1), &[("/mode", json!("soft"))]),
        meter(6, "concurrency", 9),
    ];
    let more = [
        ("/keys/0/limits", json!({"requests_per_minute": 1000, "tokens_per_minute": 4000})),
        ("/keys/0/name", json!("alice's laptop")),
        ("/keys/0/models", json!(["m", "pre/*"])),
        ("/keys/0/routes", json!(["chat_*", "messages"])),
        ("/keys/0/digests/0/expires_at_ms", json!(4_107_542_400_000_u64)),
    ];
    Gateway::start(&metered(&[upstream], &meters, &more))
}

#[test]
fn answers_tell_what_is_left_of_the_tightest_limit() {
    let upstream = Upstream::answering(used(100, 100));
    let gateway = gateway(&upstream);
    assert_eq!(gateway.chat(&capped(100)).status, 200);
    gateway.is_at_rest();
    let answer = gateway.chat(&capped(100));
    // What is left is less by what this request has reserved.
    let reserved = cost(i64::try_from(capped(100).len() / 4).unwrap(), 100);
    let left = 2_000_000_000_000 - cost(100, 100) - reserved;
    let expected = format!("{}.{:06}", left / 1_000_000_000_000, left / 1_000_000 % 1_000_000);
    assert_eq!(answer.header("x-sluice-budget-remaining"), Some(expected.as_str()));
    assert_eq!(answer.header("x-ratelimit-limit-requests"), Some("100"));
    assert_eq!(answer.header("x-ratelimit-remaining-requests"), Some("98"));
    assert!(answer.header("x-ratelimit-reset-requests").unwrap().ends_with('s'));
    // The bucket of 4000 a minute has less left than the 5000 for ever.
    assert_eq!(answer.header("x-ratelimit-limit-tokens"), Some("4000"));
    let tokens: u64 = answer.header("x-ratelimit-remaining-tokens").unwrap().parse().unwrap();
    assert!((3_600..=3_900).contains(&tokens), "{tokens}");
    h2_client::run(async {
        let mut client = h2_client::connect(gateway.address).await;
        let answer = h2_client::chat(&mut client, &capped(100)).await;
        assert_eq!(answer.headers["x-ratelimit-limit-requests"], "100");
    });
    // Errors of ours and of the provider say so too, and Anthropic's clients read it by Anthropic's names.
    let anthropic = gateway.raw(&post("/v1/messages", r#"{"model":"m","max_tokens":1,"messages":[]}"#));
    assert_eq!(anthropic.header("anthropic-ratelimit-requests-limit"), Some("100"));
    assert_eq!(anthropic.header("anthropic-ratelimit-tokens-limit"), Some("4000"));
    let reset = anthropic.header("anthropic-ratelimit-requests-reset").unwrap();
    assert!(reset.ends_with("T00:00:00Z"), "{reset}");
    assert!(anthropic.header("x-ratelimit-limit-requests").is_none());
    let refused = gateway.chat("{");
    assert_eq!((refused.status, refused.header("x-ratelimit-limit-requests")), (400, Some("100")));
}

/// Of what a provider says about its limits, that is kept which the key has no limits of its own for.
#[test]
fn a_providers_limits_are_told_where_the_key_has_none() {
    let body = r#"{"usage":{"prompt_tokens":1,"completion_tokens":1}}"#;
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-ratelimit-limit-requests: 7777\r\n\
                x-ratelimit-limit-tokens: 8888\r\nx-sluice-budget-remaining: 12\r\n";
    let upstream = Upstream::answering(format!("{head}content-length: {}\r\n\r\n{body}", body.len()));
    let gateway = Gateway::start(&metered(&[&upstream], &[meter(1, "requests", 5)], &[]));
    let answer = gateway.chat(CHAT);
    assert_eq!(answer.header("x-ratelimit-limit-requests"), Some("5"));
    assert_eq!(answer.header("x-ratelimit-limit-tokens"), Some("8888"));
    assert_eq!(answer.head.matches("x-ratelimit-limit-requests").count(), 1);
    assert_eq!(answer.header("x-sluice-budget-remaining"), None);
    let plain = Gateway::before(&[&upstream]);
    let answer = plain.chat(CHAT);
    assert_eq!(answer.header("x-ratelimit-limit-requests"), Some("7777"));
    assert_eq!(answer.header("x-sluice-budget-remaining"), None);
}

#[test]
fn a_key_tells_its_holder_what_it_is_good_for() {
    let upstream = Upstream::answering(used(100, 100));
    let gateway = gateway(&upstream);
    assert_eq!(gateway.chat(&capped(100)).status, 200);
    gateway.is_at_rest();
    for path in [
        "/v1/key/info",
        "/openai/v1/key/info",
        "/anthropic/v1/key/info",
        "/genai/v1/key/info",
        "/bedrock/v1/key/info",
        "/cohere/v1/key/info",
    ] {
        assert_eq!(gateway.raw(&get(path)).status, 200, "{path}");
    }
    for header in ["x-api-key: ", "api-key: ", "x-goog-api-key: "] {
        let request =
            String::from_utf8(get("/v1/key/info")).unwrap().replace("authorization: Bearer ", header);
        assert_eq!(gateway.raw(request.as_bytes()).status, 200, "{header}");
    }
    let info = gateway.raw(&get("/v1/key/info")).json();
    assert_eq!(info["name"], "alice's laptop");
    assert_eq!((&info["models"], &info["providers"]), (&json!(["m", "pre/*"]), &json!(["*"])));
    assert_eq!(
        (&info["routes"], &info["expires_at"]),
        (&json!(["chat_*", "messages"]), &json!("2100-03-01T00:00:00Z"))
    );
    let budget = &info["budgets"][0];
    assert_eq!(
        (&budget["name"], &budget["mode"], &budget["limit_usd"]),
        (&json!("budget \"1\""), &json!("normal"), &json!("10"))
    );
    assert_eq!(
        (&budget["used_usd"], &budget["reserved_usd"], &budget["remaining_usd"]),
        (&json!("0.0005"), &json!("0"), &json!("9.9995"))
    );
    assert!(budget["window_start"].as_str().unwrap().ends_with("T00:00:00Z"), "{budget}");
    assert_eq!(info["budgets"][1]["window_end"], Value::Null);
    assert_eq!((&info["budgets"][2]["mode"], info["budgets"].as_array().unwrap().len()), (&json!("soft"), 3));
    let limits: Vec<(&str, u64, u64)> = info["limits"]
        .as_array()
        .unwrap()
        .iter()
        .map(|limit| {
            (
                limit["measure"].as_str().unwrap(),
                limit["limit"].as_u64().unwrap(),
                limit["remaining"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(limits[0].0, "requests");
    assert_eq!(limits[2..], [("requests", 100, 99), ("tokens", 5_000, 4_800), ("concurrency", 9, 9)]);
    // To ask costs nothing, and is refused to nobody but strangers.
    assert_eq!(standing(&gateway, 3), (1, 0));
    let stranger = String::from_utf8(get("/v1/key/info")).unwrap().replace(KEY, "stranger");
    assert_eq!(gateway.raw(stranger.as_bytes()).status, 401);
    assert_eq!(gateway.raw(&post("/v1/key/info", "{}")).status, 405);
    let open = Gateway::before_with(&[&upstream], &[("/settings/require_key", json!(false))]);
    assert_eq!(open.raw(b"GET /v1/key/info HTTP/1.1\r\nhost: g\r\n\r\n").status, 401);
    assert_eq!(open.raw(&get("/v1/key/info")).json()["limits"], json!([]));
    let anthropic = gateway.raw(stranger.replace("/v1/", "/anthropic/v1/").as_bytes()).json();
    assert_eq!(anthropic["type"], "error");
}
