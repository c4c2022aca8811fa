//! Prints what it takes to put a snapshot of many metered keys into service, and what admission costs a request.
//!
//! `cargo run --release -p sluice-pipeline --example metered [KEYS]`; each key has three limits and two budgets.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a program that measures")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sluice_pipeline::{
    Asked, Barred, Moment, Outcome, Plan, Registry, compile, demand, digest_of, put_into_force, reserve,
    settle,
};
use sluice_types::{Snapshot, Usage};

const REQUESTS: u32 = 1_000_000;
const WALL_MS: u64 = 1_780_000_000_000;

fn meter(id: usize, measure: &Value, window: &Value) -> Value {
    let limit = if measure["kind"] == "cost" { 9_000_000_000_000_u64 } else { 1 << 40 };
    json!({"id": id, "name": format!("limit {id}"), "measure": measure, "limit": limit, "window": window})
}

fn meters(first: usize, all: bool) -> Vec<Value> {
    let weights = [
        "input",
        "cached_input",
        "cache_write",
        "cache_write_1h",
        "audio_input",
        "image_input",
        "output",
        "reasoning",
        "audio_output",
        "image_output",
    ];
    let weights: Value = weights
        .into_iter()
        .map(|name| (name.to_owned(), json!(1000)))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let tokens = json!({"kind": "tokens", "weights": weights});
    let (requests, cost, concurrency) =
        (json!({"kind": "requests"}), json!({"kind": "cost"}), json!({"kind": "concurrency"}));
    let rate = json!({"kind": "rate", "period_ms": 60_000});
    let calendar = |unit: &str| json!({"kind": "calendar", "unit": unit, "time_zone": "Europe/Berlin"});
    let mut found = vec![
        meter(first, &cost, &calendar("month")),
        meter(first + 1, &cost, &calendar("day")),
        meter(first + 2, &requests, &rate),
        meter(first + 3, &tokens, &rate),
        meter(first + 4, &concurrency, &json!({"kind": "ever"})),
    ];
    if all {
        found.push(meter(first + 5, &tokens, &json!({"kind": "sliding", "period_ms": 3_600_000})));
        found.push(meter(
            first + 6,
            &requests,
            &json!({"kind": "fixed", "period_ms": 60_000, "anchor_ms": 0}),
        ));
    }
    found
}

fn key(id: usize, meters: &[usize]) -> Value {
    let digest: String = digest_of(&id.to_le_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    json!({"id": id, "name": format!("key {id}"), "digests": [{"sha256": digest}], "models": ["*"], "meters": meters})
}

fn snapshot(keys: usize) -> String {
    let names = [
        "input",
        "cached_input",
        "cache_write",
        "cache_write_1h",
        "audio_input",
        "image_input",
        "output",
        "reasoning",
        "audio_output",
        "image_output",
    ];
    let rates: Value = names
        .into_iter()
        .map(|name| (name.to_owned(), json!(1_000_000)))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let price = json!({"standard": [{"above_input_tokens": 0, "rates": rates}], "factor": 100_000_000});
    let mut all_meters: Vec<Value> = (0..keys).flat_map(|at| meters(at * 5 + 1, false)).collect();
    let mut all_keys: Vec<Value> =
        (0..keys).map(|at| key(at + 1, &(at * 5 + 1..at * 5 + 6).collect::<Vec<_>>())).collect();
    let first = keys * 5 + 1;
    all_meters.extend(meters(first, true));
    all_keys.push(key(keys + 1, &(first..first + 7).collect::<Vec<_>>()));
    json!({
        "version": 1,
        "settings": {
            "max_request_body_bytes": 1 << 20, "max_response_body_bytes": 1 << 20, "max_event_bytes": 1 << 20,
            "header_timeout_ms": 1, "body_timeout_ms": 1, "idle_timeout_ms": 1, "write_timeout_ms": 1,
            "max_requests_per_connection": 1, "max_auth_failures_per_minute": 0, "require_key": true,
        },
        "providers": [{
            "id": 1, "name": "p", "dialect": "openai", "base_url": "http://localhost/v1", "auth": {"kind": "none"},
            "keys": [], "usage_in_stream": true, "idle_timeout_ms": 1, "max_idle_per_worker": 1,
            "timeouts": {"connect_ms": 1, "first_byte_ms": 1, "between_chunks_ms": 1, "total_ms": 1},
        }],
        "models": [{"id": 1, "name": "m", "targets": [{"id": 1, "provider": 1, "weight": 1, "tier": 0, "price": price}]}],
        "keys": all_keys,
        "meters": all_meters,
    })
    .to_string()
}

fn main() {
    let keys = std::env::args().nth(1).and_then(|keys| keys.parse().ok()).unwrap_or(10_000);
    let text = snapshot(keys);
    let registry = Registry::default();
    let mut served: Option<Plan> = None;
    for round in ["first", "again", "again"] {
        let started = Instant::now();
        let parsed: Snapshot = serde_json::from_str(&text).unwrap();
        let read = started.elapsed();
        let plan = compile(&parsed, &registry).unwrap();
        let compiled = started.elapsed() - read;
        put_into_force(&parsed, &plan, &registry, Moment { wall_ms: WALL_MS, mono_ns: 1 });
        let forced = started.elapsed() - read - compiled;
        let before = served.replace(plan);
        let started = Instant::now();
        drop(before);
        println!(
            "{round}: {} MB read in {read:.1?}, compiled in {compiled:.1?}, put into force in {forced:.1?}, freed in {:.1?}",
            text.len() >> 20,
            started.elapsed()
        );
    }
    let plan = served.unwrap();
    println!(
        "a request with five limits and two budgets: {:.0?}",
        admission(&plan, u32::try_from(keys).unwrap())
    );
    println!("a request with nothing of the sort: {:.1?}", admission_without(&plan));
}

/// What admission and settlement take for the key at this index.
fn admission(plan: &Plan, key: u32) -> Duration {
    let (key, model) = (plan.keys.get(key), plan.models.find("m").unwrap().model);
    let body = [b'x'; 1_000];
    let asked = Asked { body: &body, is_text: true, max_output_tokens: Some(100), n: 1, generates: true };
    let usage = Usage { input: 200, output: 50, ..Usage::default() };
    let outcome = Outcome { usage, picousd: 250_000_000, is_request: true };
    let mut holds = Vec::with_capacity(16);
    let started = Instant::now();
    for nth in 0..u64::from(REQUESTS) {
        let now = Moment { wall_ms: WALL_MS + nth / 1_000, mono_ns: 1 + nth * 1_000 };
        let facts = key.meters.facts().and(model.facts);
        let demand = demand(plan, model, Barred::default(), facts, black_box(&asked)).unwrap();
        reserve(plan, &key.meters, &demand, now, &mut holds).unwrap();
        settle(plan, holds.drain(..), black_box(&outcome), now.mono_ns + 500);
    }
    started.elapsed() / REQUESTS
}

/// What is looked at of a request without meters.
fn admission_without(plan: &Plan) -> Duration {
    let model = plan.models.find("m").unwrap().model;
    let started = Instant::now();
    for _ in 0..REQUESTS {
        let barred = sluice_pipeline::barred(plan, None, black_box(model), false);
        black_box((barred, model.facts.any()));
    }
    started.elapsed() / REQUESTS
}
