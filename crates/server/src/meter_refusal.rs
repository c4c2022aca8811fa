//! What a client is told when a budget or a limit is used up.

use sluice_pipeline::{Counts, MeterPlan, Plan, Rfc3339, Short};
use sluice_types::{ErrorKind, RefusalStyle};

use crate::refusal::Refusal;

/// The refusal of a meter: which it is, what of it is used, what was asked for, and when it is free again.
pub(crate) fn of(plan: &Plan, short: &Short) -> Refusal {
    let meter = &plan.meters[short.slot as usize];
    let refusal = Refusal::new(kind_of(meter), message_of(meter, short));
    match short.shortage.retry_after_ns {
        Some(after_ns) => refusal.with_retry_after_ns(after_ns),
        None => refusal,
    }
}

fn kind_of(meter: &MeterPlan) -> ErrorKind {
    match (meter.refusal, meter.counts) {
        (RefusalStyle::PaymentRequired, _) => ErrorKind::PaymentRequired,
        (RefusalStyle::BudgetExceeded, _) => ErrorKind::BudgetExceeded,
        (RefusalStyle::TooManyRequests, Counts::Money) => ErrorKind::QuotaExceeded,
        (RefusalStyle::TooManyRequests, Counts::Requests) => ErrorKind::RequestRateLimited,
        (RefusalStyle::TooManyRequests, Counts::Tokens { .. }) => ErrorKind::TokenRateLimited,
        (RefusalStyle::TooManyRequests, Counts::Concurrency) => ErrorKind::ConcurrencyLimited,
    }
}

fn message_of(meter: &MeterPlan, short: &Short) -> String {
    let (name, shortage) = (&meter.name, &short.shortage);
    let used = amount(meter.counts, shortage.used);
    let limit = amount(meter.counts, shortage.limit);
    let unit = unit(meter.counts);
    // Words that clients of LiteLLM look for.
    let exceeded =
        if meter.refusal == RefusalStyle::BudgetExceeded { "Budget has been exceeded! " } else { "" };
    let mut message = format!("{exceeded}The {name} has no room for this request: {used} of {limit} {unit}");
    if let Counts::Tokens { .. } | Counts::Money = meter.counts {
        let asked = amount(meter.counts, shortage.requested);
        message.push_str(&format!(" are used or reserved, and it may use {asked}."));
    } else {
        message.push_str(" are used.");
    }
    if shortage.requested > shortage.limit {
        message.push_str(" That is more than the whole limit, so waiting does not help.");
    } else if let Some(reset_ms) = shortage.reset_ms {
        message.push_str(&format!(" It resets at {}.", Rfc3339(reset_ms)));
    }
    message
}

fn unit(counts: Counts) -> &'static str {
    match counts {
        Counts::Requests => "requests",
        Counts::Concurrency => "requests at once",
        Counts::Money => "USD",
        Counts::Tokens { .. } => "tokens",
    }
}

/// An amount in the unit that people know, exactly.
pub(crate) fn amount(counts: Counts, amount: i64) -> String {
    match counts {
        Counts::Requests | Counts::Concurrency => amount.to_string(),
        Counts::Tokens { .. } => decimal(amount, 3),
        Counts::Money => decimal(amount, 12),
    }
}

/// A number of units of 10^-`digits`, without zeros at its end.
fn decimal(amount: i64, digits: usize) -> String {
    let text = format!("{:0width$}", amount.unsigned_abs(), width = digits + 1);
    let (whole, rest) = text.split_at(text.len() - digits);
    let rest = rest.trim_end_matches('0');
    let sign = if amount < 0 { "-" } else { "" };
    if rest.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{rest}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_exact() {
        let cases = [
            (0, "0"),
            (1, "0.000000000001"),
            (10_000_000_000_000, "10"),
            (1_250_000_000_000, "1.25"),
            (-500_000_000_000, "-0.5"),
            (i64::MAX, "9223372.036854775807"),
        ];
        for (picousd, expected) in cases {
            assert_eq!(amount(Counts::Money, picousd), expected);
        }
        assert_eq!(amount(Counts::Requests, 12), "12");
    }
}
