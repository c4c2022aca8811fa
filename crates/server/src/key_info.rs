//! What a key's holder may know of it: what it is allowed, and how much of its limits and budgets is left.

use serde_json::{Value, json};
use sluice_limits::Level as RateLevel;
use sluice_limits::meter::Level;
use sluice_pipeline::{Counts, KeyPlan, MeterPlan, Moment, Plan, Rfc3339};
use sluice_types::MeterMode;

use crate::meter_refusal::amount;
use crate::refusal::Refusal;
use crate::settle::Settlement;
use crate::worker::WorkerPlan;

/// The document of the key that was presented. Without one there is nothing to tell.
pub(crate) fn document(plan: &WorkerPlan, settlement: &Settlement<'_>) -> Result<Vec<u8>, Refusal> {
    let plan = plan.plan();
    let key = settlement.key().map(|key| plan.keys.get(key)).ok_or_else(Refusal::unauthenticated)?;
    let now = settlement.now();
    let [models, providers, routes] = key.told();
    let document = json!({
        "object": "key",
        "name": &*key.name,
        "models": models,
        "providers": providers,
        "routes": routes,
        "expires_at": key.expires_at_ms.map(moment),
        "limits": own_limits(key, now).into_iter().chain(limits(plan, key, now)).collect::<Vec<_>>(),
        "budgets": budgets(plan, key, now),
    });
    Ok(document.to_string().into_bytes())
}

fn moment(at_ms: u64) -> String {
    Rfc3339(at_ms).to_string()
}

/// The limits per minute and the concurrency of the key itself.
fn own_limits(key: &KeyPlan, now: Moment) -> Vec<Value> {
    let limits = &key.limits;
    let rate = |measure: &str, level: RateLevel| {
        json!({
            "name": format!("{measure} per minute"),
            "measure": measure,
            "limit": level.limit(),
            "remaining": level.remaining(),
            "reset_at": moment(now.wall_ms.saturating_add(level.reset_ns().div_ceil(1_000_000))),
        })
    };
    let concurrency = |limit: u32| {
        let remaining = limit.saturating_sub(key.state.in_flight());
        json!({
            "name": "requests at once", "measure": "concurrency", "limit": limit, "remaining": remaining,
            "reset_at": null,
        })
    };
    let requests = key.state.request_level(limits, now.mono_ns).map(|level| rate("requests", level));
    let tokens = key.state.token_level(limits, now.mono_ns).map(|level| rate("tokens", level));
    requests.into_iter().chain(tokens).chain(limits.concurrency.map(concurrency)).collect()
}

fn meters_of<'p>(plan: &'p Plan, key: &'p KeyPlan) -> impl Iterator<Item = &'p MeterPlan> {
    key.meters.slots().iter().map(|slot| &plan.meters[*slot as usize])
}

/// The meters of the key that count requests and tokens.
fn limits(plan: &Plan, key: &KeyPlan, now: Moment) -> Vec<Value> {
    let limit = |meter: &MeterPlan| {
        let (level, unit) = (meter.level(now), unit_of(meter.counts));
        json!({
            "name": &*meter.name,
            "measure": measure_of(meter.counts),
            "mode": mode_of(meter.mode),
            "limit": level.limit / unit,
            "remaining": level.remaining() / unit,
            "reset_at": level.reset_ms.map(moment),
        })
    };
    meters_of(plan, key).filter(|meter| meter.counts != Counts::Money).map(limit).collect()
}

/// The meters of the key that count money. Amounts are decimal texts of USD, since JSON numbers are doubles to most.
fn budgets(plan: &Plan, key: &KeyPlan, now: Moment) -> Vec<Value> {
    let budget = |meter: &MeterPlan| {
        let level: Level = meter.level(now);
        let usd = |picousd: i64| amount(Counts::Money, picousd);
        json!({
            "name": &*meter.name,
            "mode": mode_of(meter.mode),
            "limit_usd": usd(level.limit),
            "used_usd": usd(level.used - level.reserved),
            "reserved_usd": usd(level.reserved),
            "remaining_usd": usd(level.remaining()),
            "window_start": level.window_start_ms.map(moment),
            "window_end": level.window_end_ms.map(moment),
        })
    };
    meters_of(plan, key).filter(|meter| meter.counts == Counts::Money).map(budget).collect()
}

fn mode_of(mode: MeterMode) -> &'static str {
    match mode {
        MeterMode::Strict => "strict",
        MeterMode::Normal => "normal",
        MeterMode::Soft => "soft",
    }
}

fn measure_of(counts: Counts) -> &'static str {
    match counts {
        Counts::Requests => "requests",
        Counts::Concurrency => "concurrency",
        Counts::Money => "usd",
        Counts::Tokens { .. } => "tokens",
    }
}

/// Units of the counter in one of what it counts.
pub(crate) fn unit_of(counts: Counts) -> i64 {
    if let Counts::Tokens { .. } = counts { 1_000 } else { 1 }
}
