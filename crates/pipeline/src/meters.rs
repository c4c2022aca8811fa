//! Meters: the budgets and rate limits of a snapshot, found by the slots that keys, models, providers and provider keys
//! hold. What is counted lives in [`MeterState`]s, which outlive every plan.

use std::collections::HashMap;
use std::sync::Arc;

use sluice_limits::meter::{Level, MAX_LIMIT, MeterSpec, MeterState, SpecError};
use sluice_types::{Measure, Meter, MeterMode, MeterUse, RefusalStyle, TokenWeights, Usage};

use crate::admission::Moment;
use crate::meter_spec::{MICRO_USD, THOUSAND, spec_of};
use crate::plan::PlanError;
use crate::registry::{MeterCounter, Registry};

/// A meter as the request path sees it.
#[derive(Debug)]
pub struct MeterPlan {
    /// `Meter::id`
    pub id: u32,
    /// What clients are told was hit.
    pub name: Box<str>,
    /// The limit, in the unit of the counter: requests, thousandths of weighted tokens, pico-USD.
    pub limit: i64,
    /// How hard it is.
    pub mode: MeterMode,
    /// How a refusal looks.
    pub refusal: RefusalStyle,
    /// What it counts.
    pub counts: Counts,
    counter: Arc<MeterCounter>,
}

/// What a meter counts, ready to be computed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counts {
    /// Requests.
    Requests,
    /// Requests at once.
    Concurrency,
    /// Pico-USD.
    Money,
    /// Thousandths of weighted tokens. `input` and `output` are what a token weighs whose kind is not known yet.
    Tokens {
        /// Of the prompt.
        input: u32,
        /// Of the answer.
        output: u32,
        /// Of each kind.
        weights: TokenWeights,
    },
}

/// What a request uses, or is expected to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quantity {
    /// Tokens of the prompt.
    pub input: u64,
    /// Tokens of the answer.
    pub output: u64,
    /// Money.
    pub picousd: i64,
}

/// What a request is let in for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Demand {
    /// What it is likely to use.
    pub likely: Quantity,
    /// What it can use at most; looked at by meters in `strict` mode only.
    pub most: Quantity,
    /// It generates nothing, so that only its being a request counts.
    pub is_free: bool,
}

impl Demand {
    /// Of a request that generates nothing.
    pub const FREE: Self = {
        let none = Quantity { input: 0, output: 0, picousd: 0 };
        Self { likely: none, most: none, is_free: true }
    };
}

/// What a request has used in the end.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outcome {
    /// Tokens.
    pub usage: Usage,
    /// Money; 0 where its model has no price.
    pub picousd: i64,
    /// Whether it counts as a request; one that was let in nowhere does not.
    pub is_request: bool,
}

impl MeterPlan {
    fn compile(at: usize, meter: &Meter, registry: &Registry) -> Result<Self, PlanError> {
        let path = format!("meters[{at}]");
        if meter.id == 0 {
            return Err(PlanError::new(&format!("{path}.id"), "id_zero", "ids start at 1"));
        }
        let (limit, spec) = limit_and_spec(meter, &path)?;
        if let Some(used) = &meter.used {
            amount_of(used).ok_or_else(|| {
                let path = format!("{path}.used.amount");
                PlanError::new(&path, "bad_amount", "expected a whole number of at most 9·10¹⁸")
            })?;
        }
        Ok(Self {
            id: meter.id,
            name: meter.name.as_str().into(),
            limit,
            mode: meter.mode,
            refusal: meter.refusal,
            counts: counts_of(meter),
            counter: registry.meter(meter, &spec).map_err(|error| refused(&path, &error))?,
        })
    }

    /// What is used and reserved, by all workers and under all plans.
    #[inline]
    #[must_use]
    pub fn state(&self) -> &MeterState {
        &self.counter.state
    }

    /// Whether a meter counts what requests use, not how many there are.
    #[must_use]
    pub fn counts_use(&self) -> bool {
        matches!(self.counts, Counts::Tokens { .. } | Counts::Money)
    }

    /// What a request reserves.
    #[inline]
    #[must_use]
    pub fn claim(&self, demand: &Demand) -> i64 {
        let quantity = if self.mode == MeterMode::Strict { &demand.most } else { &demand.likely };
        match self.counts {
            Counts::Requests | Counts::Concurrency => 1,
            Counts::Money => quantity.picousd,
            Counts::Tokens { input, output, .. } => {
                let of = |tokens: u64, weight: u32| tokens.saturating_mul(weight.into());
                let sum = of(quantity.input, input).saturating_add(of(quantity.output, output));
                i64::try_from(sum).unwrap_or(i64::MAX)
            }
        }
    }

    /// What a request has used up; a place among those at once is free again.
    #[inline]
    #[must_use]
    pub fn actual(&self, outcome: &Outcome) -> i64 {
        match &self.counts {
            Counts::Requests => outcome.is_request.into(),
            Counts::Concurrency => 0,
            Counts::Money => outcome.picousd,
            Counts::Tokens { weights, .. } => weigh(&outcome.usage, weights),
        }
    }

    /// How it stands.
    #[must_use]
    pub fn level(&self, now: Moment) -> Level {
        self.state().level(now.wall_ms, now.mono_ns)
    }
}

/// The limit in the unit of the counter, and what the counter is told.
fn limit_and_spec(meter: &Meter, path: &str) -> Result<(i64, MeterSpec), PlanError> {
    let factor = match meter.measure {
        Measure::Requests | Measure::Concurrency => 1,
        Measure::Tokens { .. } => THOUSAND,
        Measure::Cost => MICRO_USD,
    };
    let limit = i64::try_from(meter.limit).ok().and_then(|limit| limit.checked_mul(factor));
    let limit = limit.filter(|limit| *limit <= MAX_LIMIT).ok_or_else(|| {
        let message = "expected at most 9,000,000 USD, 9·10¹⁵ tokens or 9·10¹⁸ requests";
        PlanError::new(&format!("{path}.limit"), "limit_too_large", message)
    })?;
    Ok((limit, spec_of(meter, limit, path)?))
}

fn amount_of(used: &MeterUse) -> Option<i64> {
    used.amount.parse().ok().filter(|amount| (0..=MAX_LIMIT).contains(amount))
}

fn refused(path: &str, error: &SpecError) -> PlanError {
    let (member, code) = match error {
        SpecError::Limit(_) => ("limit", "limit_too_large"),
        SpecError::Period { .. } | SpecError::NotWholeSeconds(_) => ("window", "bad_window"),
        SpecError::TimeZone(_) => ("window.time_zone", "unknown_time_zone"),
    };
    PlanError::new(&format!("{path}.{member}"), code, &error.to_string())
}

/// Gives the counters of a plan's meters their limits, and those that are new what had been used before them.
pub(crate) fn put_into_force(meters: &[Meter], plans: &[MeterPlan], registry: &Registry, now: Moment) {
    for (meter, plan) in meters.iter().zip(plans) {
        let is_new = registry.keep(plan.id, &plan.counter);
        match (is_new, meter.used.as_ref().and_then(|used| Some((used.at_ms, amount_of(used)?)))) {
            (true, Some((at_ms, amount))) => {
                plan.state().preload(at_ms, amount, now.wall_ms, now.mono_ns);
            }
            (true, None) => {}
            // Measure and window are those it was made for, and the rest was checked when the plan was compiled.
            (false, _) => {
                if let Ok((_, spec)) = limit_and_spec(meter, "meters") {
                    let _ = plan.state().set_spec(&spec);
                }
            }
        }
    }
}

fn counts_of(meter: &Meter) -> Counts {
    match meter.measure {
        Measure::Requests => Counts::Requests,
        Measure::Concurrency => Counts::Concurrency,
        Measure::Cost => Counts::Money,
        Measure::Tokens { weights } => {
            let TokenWeights { input, cached_input, cache_write, cache_write_1h, .. } = weights;
            let TokenWeights { audio_input, image_input, .. } = weights;
            let TokenWeights { output, reasoning, audio_output, image_output, .. } = weights;
            // Kinds are not known beforehand: what cannot be exceeded has to take the heaviest.
            let heaviest = meter.mode == MeterMode::Strict;
            let inputs = [cached_input, cache_write, cache_write_1h, audio_input, image_input];
            let heaviest_input = inputs.into_iter().fold(input, u32::max);
            let heaviest_output = [reasoning, audio_output, image_output].into_iter().fold(output, u32::max);
            Counts::Tokens {
                input: if heaviest { heaviest_input } else { input },
                output: if heaviest { heaviest_output } else { output },
                weights,
            }
        }
    }
}

/// Weighted tokens in thousandths, every token being of one kind: those of the cache come first, as in prices.
fn weigh(usage: &Usage, weights: &TokenWeights) -> i64 {
    let (mut input, mut output) = (usage.input, usage.output);
    let mut sum = 0_u128;
    let mut take = |left: &mut u32, tokens: u32, weight: u32| {
        let taken = tokens.min(*left);
        *left -= taken;
        sum += u128::from(taken) * u128::from(weight);
    };
    let hourly = usage.cache_write_1h.min(usage.cache_write);
    take(&mut input, usage.cached_input, weights.cached_input);
    take(&mut input, hourly, weights.cache_write_1h);
    take(&mut input, usage.cache_write - hourly, weights.cache_write);
    take(&mut input, usage.audio_input, weights.audio_input);
    take(&mut input, usage.image_input, weights.image_input);
    take(&mut input, u32::MAX, weights.input);
    take(&mut output, usage.reasoning, weights.reasoning);
    take(&mut output, usage.audio_output, weights.audio_output);
    take(&mut output, usage.image_output, weights.image_output);
    take(&mut output, u32::MAX, weights.output);
    i64::try_from(sum).unwrap_or(i64::MAX)
}

/// What is to be known of some meters before any of them is looked at; a set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MeterFacts(u8);

impl MeterFacts {
    const ANY: u8 = 1;
    const REQUESTS: u8 = 2;
    const TOKENS: u8 = 4;
    const MONEY: u8 = 8;
    /// Tokens or money must never be exceeded.
    const STRICT: u8 = 16;

    fn of(meter: &MeterPlan) -> Self {
        let strict = if meter.mode == MeterMode::Strict { Self::STRICT } else { 0 };
        Self(match meter.counts {
            _ if meter.mode == MeterMode::Soft => Self::ANY,
            Counts::Requests => Self::ANY | Self::REQUESTS,
            Counts::Concurrency => Self::ANY,
            Counts::Tokens { .. } => Self::ANY | Self::TOKENS | strict,
            Counts::Money => Self::ANY | Self::MONEY | strict,
        })
    }

    /// Those of both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether there are meters at all.
    #[must_use]
    pub fn any(self) -> bool {
        self.0 != 0
    }

    /// Whether requests are limited, and not only counted.
    #[must_use]
    pub fn limit_requests(self) -> bool {
        self.0 & Self::REQUESTS != 0
    }

    /// Whether tokens are limited.
    #[must_use]
    pub fn limit_tokens(self) -> bool {
        self.0 & Self::TOKENS != 0
    }

    /// Whether money is limited.
    #[must_use]
    pub fn limit_money(self) -> bool {
        self.0 & Self::MONEY != 0
    }

    /// Whether one has to know the most that a request can use.
    #[must_use]
    pub fn are_strict(self) -> bool {
        self.0 & Self::STRICT != 0
    }
}

/// The meters of one key, model, provider or provider key.
#[derive(Clone, Debug, Default)]
pub struct MeterSet {
    slots: Box<[u32]>,
    facts: MeterFacts,
}

impl MeterSet {
    /// Indexes into [`crate::Plan::meters`].
    #[must_use]
    pub fn slots(&self) -> &[u32] {
        &self.slots
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// What is to be known of them.
    #[must_use]
    pub fn facts(&self) -> MeterFacts {
        self.facts
    }
}

/// The meters of a plan while it is compiled.
#[derive(Debug, Default)]
pub(crate) struct MeterTable {
    pub(crate) meters: Vec<MeterPlan>,
    by_id: HashMap<u32, u32>,
}

impl MeterTable {
    pub(crate) fn compile(meters: &[Meter], registry: &Registry) -> Result<Self, PlanError> {
        let mut table =
            Self { meters: Vec::with_capacity(meters.len()), by_id: HashMap::with_capacity(meters.len()) };
        for (at, meter) in meters.iter().enumerate() {
            let slot = u32::try_from(at).map_err(|_| PlanError::too_many("meters"))?;
            if table.by_id.insert(meter.id, slot).is_some() {
                let path = format!("meters[{at}].id");
                return Err(PlanError::new(&path, "duplicate_id", "two meters have the same id"));
            }
            table.meters.push(MeterPlan::compile(at, meter, registry)?);
        }
        Ok(table)
    }

    /// The set of these ids; `path` is the place of their owner.
    pub(crate) fn set_of(&self, ids: &[u32], path: &str) -> Result<MeterSet, PlanError> {
        if ids.is_empty() {
            return Ok(MeterSet::default());
        }
        let (mut slots, mut facts) = (Vec::with_capacity(ids.len()), MeterFacts::default());
        for (at, id) in ids.iter().enumerate() {
            let slot = *self.by_id.get(id).ok_or_else(|| {
                let path = format!("{path}.meters[{at}]");
                PlanError::new(&path, "unknown_meter", "expected the id of a listed meter")
            })?;
            if !slots.contains(&slot) {
                slots.push(slot);
                facts = facts.and(MeterFacts::of(&self.meters[slot as usize]));
            }
        }
        Ok(MeterSet { slots: slots.into(), facts })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_weighs_what_its_kind_does() {
        let weights = TokenWeights {
            input: 1_000,
            cached_input: 100,
            cache_write: 1_250,
            cache_write_1h: 2_000,
            audio_input: 3_000,
            image_input: 4_000,
            output: 5_000,
            reasoning: 6_000,
            audio_output: 7_000,
            image_output: 8_000,
        };
        let usage = Usage {
            input: 100,
            cached_input: 50,
            cache_write: 20,
            cache_write_1h: 5,
            audio_input: 10,
            image_input: 10,
            output: 10,
            reasoning: 4,
            audio_output: 1,
            image_output: 2,
            ..Usage::default()
        };
        let input = 50 * 100 + 5 * 2_000 + 15 * 1_250 + 10 * 3_000 + 10 * 4_000 + 10 * 1_000;
        let output = 4 * 6_000 + 7_000 + 2 * 8_000 + 3 * 5_000;
        assert_eq!(weigh(&usage, &weights), input + output);
        // What is claimed beyond the whole is not counted twice.
        let odd = Usage { input: 10, cached_input: 30, output: 5, reasoning: 9, ..Usage::default() };
        assert_eq!(weigh(&odd, &weights), 10 * 100 + 5 * 6_000);
        let most = Usage { input: u32::MAX, output: u32::MAX, ..Usage::default() };
        let heavy = TokenWeights { input: u32::MAX, output: u32::MAX, ..weights };
        assert_eq!(weigh(&most, &heavy), i64::MAX);
    }
}
