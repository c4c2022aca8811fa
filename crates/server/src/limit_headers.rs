//! Headers that tell a client how much of its key's limits is left, by the names its dialect has for them.

use std::io::Write as _;

use sluice_dialects::wire::Wire;
use sluice_pipeline::{Counts, KeyPlan, Moment, Plan, Rfc3339};
use sluice_types::MeterMode;

use crate::answer::push_decimal;
use crate::key_info::unit_of;

/// The smallest remainder of all budgets of the key, in USD.
const BUDGET: &[u8] = b"x-sluice-budget-remaining: ";

/// Which limits a key has, and so which headers are ours.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct OwnLimits {
    requests: bool,
    tokens: bool,
    money: bool,
}

impl OwnLimits {
    pub(crate) fn of(key: &KeyPlan) -> Self {
        let facts = key.meters.facts();
        Self {
            requests: key.limits.requests_per_minute.is_some() || facts.limit_requests(),
            tokens: key.limits.tokens_per_minute.is_some() || facts.limit_tokens(),
            money: facts.limit_money(),
        }
    }

    fn any(self) -> bool {
        self.requests || self.tokens || self.money
    }

    /// Whether a header of a provider has the name of one of ours. What it says of others is kept.
    pub(crate) fn replace(self, name: &[u8]) -> bool {
        if !(self.requests || self.tokens) || name.len() > 64 {
            return false;
        }
        let starts = |start: &[u8]| name.get(..start.len()).is_some_and(|it| it.eq_ignore_ascii_case(start));
        let is_of = |word: &[u8]| {
            let ends = name.len() > word.len() && name[name.len() - word.len()..].eq_ignore_ascii_case(word);
            starts(b"x-ratelimit-") && ends
        };
        self.requests && (is_of(b"-requests") || starts(b"anthropic-ratelimit-requests-"))
            || self.tokens && (is_of(b"-tokens") || starts(b"anthropic-ratelimit-tokens-"))
    }
}

/// The limit of a sort that has the least left.
#[derive(Clone, Copy)]
struct Tightest {
    limit: u64,
    remaining: u64,
    /// Milliseconds until it is whole again; absent where that is never.
    reset_in_ms: Option<u64>,
}

impl Tightest {
    fn or(self, other: Option<Self>) -> Self {
        other.filter(|other| other.remaining <= self.remaining).unwrap_or(self)
    }
}

/// Appends what is left, as far as the key has such limits. What is reserved by this request is not left.
pub(crate) fn push(out: &mut Vec<u8>, wire: Wire, plan: &Plan, key: &KeyPlan, now: Moment) {
    let own = OwnLimits::of(key);
    if !own.any() {
        return;
    }
    let (mut requests, mut tokens, mut money) = of_key(key, now);
    for slot in key.meters.slots() {
        let meter = &plan.meters[*slot as usize];
        if meter.mode == MeterMode::Soft || meter.counts == Counts::Concurrency {
            continue;
        }
        let level = meter.level(now);
        let in_units = |amount: i64| u64::try_from(amount / unit_of(meter.counts)).unwrap_or(0);
        let found = Tightest {
            limit: in_units(level.limit),
            remaining: in_units(level.remaining()),
            reset_in_ms: level.reset_ms.map(|reset_ms| reset_ms.saturating_sub(now.wall_ms)),
        };
        let tightest = match meter.counts {
            Counts::Requests => &mut requests,
            Counts::Tokens { .. } => &mut tokens,
            Counts::Money | Counts::Concurrency => &mut money,
        };
        *tightest = Some(found.or(*tightest));
    }
    for (sort, tightest) in [("requests", requests), ("tokens", tokens)] {
        if let Some(tightest) = tightest {
            push_limit(out, wire, sort, tightest, now);
        }
    }
    if let Some(money) = money {
        out.extend_from_slice(BUDGET);
        push_usd(out, money.remaining);
        out.extend_from_slice(b"\r\n");
    }
}

/// The limits per minute of the key itself: of requests, of tokens, and none of money.
fn of_key(key: &KeyPlan, now: Moment) -> (Option<Tightest>, Option<Tightest>, Option<Tightest>) {
    let rate = |level: sluice_limits::Level| Tightest {
        limit: level.limit(),
        remaining: level.remaining(),
        reset_in_ms: Some(level.reset_ns().div_ceil(1_000_000)),
    };
    let requests = key.state.request_level(&key.limits, now.mono_ns).map(rate);
    (requests, key.state.token_level(&key.limits, now.mono_ns).map(rate), None)
}

/// Names and times as Anthropic has them for its clients, and as OpenAI has them for all others, whose dialects have none.
fn push_limit(out: &mut Vec<u8>, wire: Wire, sort: &str, tightest: Tightest, now: Moment) {
    let is_anthropic = wire == Wire::Anthropic;
    let name = |out: &mut Vec<u8>, what: &str| {
        let parts = if is_anthropic {
            ["anthropic-ratelimit-", sort, "-", what, ": "]
        } else {
            ["x-ratelimit-", what, "-", sort, ": "]
        };
        parts.iter().for_each(|part| out.extend_from_slice(part.as_bytes()));
    };
    name(out, "limit");
    push_decimal(out, tightest.limit, 1);
    out.extend_from_slice(b"\r\n");
    name(out, "remaining");
    push_decimal(out, tightest.remaining, 1);
    out.extend_from_slice(b"\r\n");
    let Some(ms) = tightest.reset_in_ms else { return };
    name(out, "reset");
    if is_anthropic {
        // A vector takes all that is written to it.
        let _ = write!(out, "{}", Rfc3339(now.wall_ms.saturating_add(ms)));
    } else {
        push_duration(out, ms);
    }
    out.extend_from_slice(b"\r\n");
}

/// A duration as OpenAI writes it: `20ms`, `1s`, `6m0s`.
fn push_duration(out: &mut Vec<u8>, ms: u64) {
    if ms < 1_000 {
        push_decimal(out, ms, 1);
        out.extend_from_slice(b"ms");
        return;
    }
    let seconds = ms.div_ceil(1_000);
    if seconds >= 3_600 {
        push_decimal(out, seconds / 3_600, 1);
        out.push(b'h');
    }
    if seconds >= 60 {
        push_decimal(out, seconds / 60 % 60, 1);
        out.push(b'm');
    }
    push_decimal(out, seconds % 60, 1);
    out.push(b's');
}

/// An amount of pico-USD in USD, rounded down to the millionth.
fn push_usd(out: &mut Vec<u8>, picousd: u64) {
    push_decimal(out, picousd / 1_000_000_000_000, 1);
    out.push(b'.');
    push_decimal(out, picousd / 1_000_000 % 1_000_000, 6);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_amounts_are_written_as_clients_read_them() {
        let duration = |ms| {
            let mut out = Vec::new();
            push_duration(&mut out, ms);
            String::from_utf8(out).unwrap_or_default()
        };
        let found = [0, 999, 1_000, 1_001, 360_000, 3_600_000, 90_061_000].map(duration);
        assert_eq!(found, ["0ms", "999ms", "1s", "2s", "6m0s", "1h0m0s", "25h1m1s"]);
        let mut out = Vec::new();
        push_usd(&mut out, 1_234_567_899_999);
        assert_eq!(out, b"1.234567");
    }

    #[test]
    fn a_provider_speaks_of_limits_that_the_key_has_not() {
        let own = OwnLimits { requests: true, tokens: false, money: true };
        for name in
            ["x-ratelimit-limit-requests", "X-RateLimit-Reset-Requests", "anthropic-ratelimit-requests-reset"]
        {
            assert!(own.replace(name.as_bytes()), "{name}");
        }
        for name in
            ["x-ratelimit-limit-tokens", "anthropic-ratelimit-tokens-limit", "x-requests", "retry-after"]
        {
            assert!(!own.replace(name.as_bytes()), "{name}");
        }
        assert!(!OwnLimits::default().replace(b"x-ratelimit-limit-requests"));
    }
}
