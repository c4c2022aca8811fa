//! Meters, prices, and gateways that have them.

use serde_json::{Value, json};
use sluice_types::MeterLevel;

use super::{Gateway, Upstream, json_answer, snapshot, with};

/// Pico-USD per token of the prompt and of the answer.
pub const INPUT: i64 = 1_000_000;
pub const OUTPUT: i64 = 4_000_000;

/// An answer that used so many tokens.
pub fn used(input: u32, output: u32) -> Vec<u8> {
    let usage = format!(r#"{{"usage":{{"prompt_tokens":{input},"completion_tokens":{output}}}}}"#);
    json_answer("200 OK", &usage)
}

pub fn cost(input: i64, output: i64) -> i64 {
    input * INPUT + output * OUTPUT
}

pub fn price() -> Value {
    let rates = json!({
        "input": INPUT, "cached_input": INPUT, "cache_write": INPUT, "cache_write_1h": INPUT, "audio_input": INPUT,
        "image_input": INPUT, "output": OUTPUT, "reasoning": OUTPUT, "audio_output": OUTPUT, "image_output": OUTPUT,
    });
    json!({"standard": [{"above_input_tokens": 0, "rates": rates}], "factor": 100_000_000})
}

pub fn meter(id: u32, measure: &str, limit: u64) -> Value {
    json!({"id": id, "name": format!("budget \"{id}\""), "measure": {"kind": measure}, "limit": limit, "window": {"kind": "ever"}})
}

pub fn tokens(id: u32, limit: u64) -> Value {
    let weights = json!({
        "input": 1000, "cached_input": 1000, "cache_write": 1000, "cache_write_1h": 1000, "audio_input": 1000,
        "image_input": 1000, "output": 1000, "reasoning": 1000, "audio_output": 1000, "image_output": 1000,
    });
    with(meter(id, "requests", limit), &[("/measure", json!({"kind": "tokens", "weights": weights}))])
}

/// A budget of so many micro-USD.
pub fn budget(id: u32, limit: u64) -> Value {
    meter(id, "cost", limit)
}

/// A snapshot whose targets all have a price, with these meters on the key.
pub fn metered(upstreams: &[&Upstream], meters: &[Value], changes: &[(&str, Value)]) -> Value {
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

pub fn level(gateway: &Gateway, id: u32) -> MeterLevel {
    gateway.plane.meter_levels(Some(&[id])).remove(0)
}

/// What of a meter is used and reserved.
pub fn standing(gateway: &Gateway, id: u32) -> (i64, i64) {
    let level = level(gateway, id);
    (level.used.parse().unwrap(), level.reserved.parse().unwrap())
}

pub fn capped(max_tokens: u64) -> String {
    format!(r#"{{"model":"m","max_tokens":{max_tokens},"messages":[]}}"#)
}
