//! Headers that tell a client how much of its key's limits is left, by the names its dialect has for them.

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
    #[inline]
    pub(crate) fn replace(self, name: &[u8]) -> bool {
        if let Some((start, rest)) = name.split_first_chunk()
            && is(start, b"x-ratelimit-")
        {
            let requests = || rest.last_chunk().is_some_and(|end| is(end, b"-requests"));
            let tokens = || rest.last_chunk().is_some_and(|end| is(end, b"-tokens"));
            return self.requests && requests() || self.tokens && tokens();
        }
        if let Some((start, rest)) = name.split_first_chunk()
            && is(start, b"anthropic-ratelimit-")
        {
            let requests = || rest.first_chunk().is_some_and(|next| is(next, b"requests-"));
            let tokens = || rest.first_chunk().is_some_and(|next| is(next, b"tokens-"));
            return self.requests && requests() || self.tokens && tokens();
        }
        false
    }
}

/// Whether a part of a header's name is this one, which has small letters and `-` only: no other character of names
/// becomes one of those by this bit. Of a length that is known, it is a comparison of words.
#[inline]
fn is<const N: usize>(part: &[u8; N], small: &[u8; N]) -> bool {
    let word = |bytes: &[u8; 8]| u64::from_le_bytes(*bytes) | 0x2020_2020_2020_2020;
    let (words, rest) = part.as_chunks();
    let (wanted, wanted_rest) = small.as_chunks();
    // The last word may overlap the one before it; only what is shorter than a word is looked at by bytes.
    let ends = match (part.last_chunk(), small.last_chunk()) {
        (Some(end), Some(wanted)) => word(end) == word(wanted),
        _ => rest.eq_ignore_ascii_case(wanted_rest),
    };
    ends && words.iter().map(word).eq(wanted.iter().map(word))
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
    let is_anthropic = wire == Wire::Anthropic;
    let names = if is_anthropic { &ANTHROPIC_NAMES } else { &OPENAI_NAMES };
    for (names, tightest) in names.iter().zip([requests, tokens]) {
        if let Some(tightest) = tightest {
            push_limit(out, names, is_anthropic, tightest, now);
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

/// The lines of one limit, up to their values.
struct Names {
    limit: &'static [u8],
    remaining: &'static [u8],
    reset: &'static [u8],
}

/// Those of requests and of tokens at Anthropic.
const ANTHROPIC_NAMES: [Names; 2] = [
    Names {
        limit: b"anthropic-ratelimit-requests-limit: ",
        remaining: b"\r\nanthropic-ratelimit-requests-remaining: ",
        reset: b"\r\nanthropic-ratelimit-requests-reset: ",
    },
    Names {
        limit: b"anthropic-ratelimit-tokens-limit: ",
        remaining: b"\r\nanthropic-ratelimit-tokens-remaining: ",
        reset: b"\r\nanthropic-ratelimit-tokens-reset: ",
    },
];

/// Those at OpenAI, which all others get whose dialects have none.
const OPENAI_NAMES: [Names; 2] = [
    Names {
        limit: b"x-ratelimit-limit-requests: ",
        remaining: b"\r\nx-ratelimit-remaining-requests: ",
        reset: b"\r\nx-ratelimit-reset-requests: ",
    },
    Names {
        limit: b"x-ratelimit-limit-tokens: ",
        remaining: b"\r\nx-ratelimit-remaining-tokens: ",
        reset: b"\r\nx-ratelimit-reset-tokens: ",
    },
];

/// Times as the dialect has them: Anthropic's are moments, those of others durations.
fn push_limit(out: &mut Vec<u8>, names: &Names, is_anthropic: bool, tightest: Tightest, now: Moment) {
    out.extend_from_slice(names.limit);
    push_decimal(out, tightest.limit, 1);
    out.extend_from_slice(names.remaining);
    push_decimal(out, tightest.remaining, 1);
    if let Some(ms) = tightest.reset_in_ms {
        out.extend_from_slice(names.reset);
        if is_anthropic {
            out.extend_from_slice(&Rfc3339(now.wall_ms.saturating_add(ms)).to_ascii());
        } else {
            push_duration(out, ms);
        }
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
            ["x-ratelimit-limit-requests", "X-RateLimit-Reset-Requests", "Anthropic-RateLimit-requests-reset"]
        {
            assert!(own.replace(name.as_bytes()), "{name}");
        }
        for name in [
            "x-ratelimit-limit-tokens",
            "anthropic-ratelimit-tokens-limit",
            "x-requests",
            "retry-after",
            "x-ratelimit-requests",
            "anthropic-ratelimit-requests",
            "",
        ] {
            assert!(!own.replace(name.as_bytes()), "{name}");
        }
        assert!(!OwnLimits::default().replace(b"x-ratelimit-limit-requests"));
    }
}
