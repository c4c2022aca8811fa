//! Admission: what a request is let in for, which targets it may go to, and the places it takes on meters.

use sluice_limits::meter::{Reservation, Shortage};
use sluice_types::Unpriced;

use crate::egress::TargetPlan;
use crate::estimate::{likely_input, most_input};
use crate::keys::KeyPlan;
use crate::meters::{Demand, MeterFacts, MeterSet, Outcome, Quantity};
use crate::models::ModelPlan;
use crate::plan::Plan;

/// Targets of one model that are considered; a bit each.
pub const MAX_TARGETS: usize = 64;

/// A moment, as the counters take it.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// When the request began, milliseconds since 1970: that decides which window it belongs to.
    pub wall_ms: u64,
    /// Nanoseconds since any fixed moment.
    pub mono_ns: u64,
}

/// What is known of a request before it is let in.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'b> {
    /// Its body.
    pub body: &'b [u8],
    /// The body is text, whose bytes tell its tokens.
    pub is_text: bool,
    /// Most tokens of one answer, where the client says so.
    pub max_output_tokens: Option<u64>,
    /// Answers wanted.
    pub n: u64,
    /// Tokens are generated, not only read.
    pub generates: bool,
}

/// The targets of a model that a request may not go to, a bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Barred {
    /// In the order of the tiers.
    pub targets: u64,
    /// Some of them have no price, and would be open if they had one.
    pub for_want_of_a_price: bool,
}

impl Barred {
    /// Whether no target of the model is left.
    #[must_use]
    pub fn all_of(&self, model: &ModelPlan) -> bool {
        let count = model.tiers.iter().map(Vec::len).sum::<usize>().min(MAX_TARGETS);
        count > 0 && self.targets.count_ones() as usize == count
    }
}

/// Which targets have to have a price.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Priced {
    None,
    /// Those with a budget of money of their own.
    Budgeted,
    All,
}

fn priced(plan: &Plan, key: Option<&KeyPlan>, model: &ModelPlan, is_free: bool) -> Priced {
    if is_free || !model.has_unpriced {
        return Priced::None;
    }
    let of_key = key.map_or(MeterFacts::default(), |key| key.meters.facts());
    match plan.settings.unpriced {
        Unpriced::Allow => Priced::None,
        Unpriced::Refuse => Priced::All,
        Unpriced::RefuseUnderBudget if of_key.and(model.meters.facts()).limit_money() => Priced::All,
        Unpriced::RefuseUnderBudget if model.facts.limit_money() => Priced::Budgeted,
        Unpriced::RefuseUnderBudget => Priced::None,
    }
}

/// The targets that a request may not go to: those of providers that are closed to its key, and, unless it costs nothing,
/// those without a price where money is limited.
#[must_use]
pub fn barred(plan: &Plan, key: Option<&KeyPlan>, model: &ModelPlan, is_free: bool) -> Barred {
    let restricting = key.filter(|key| key.restricts_providers());
    let priced = priced(plan, key, model, is_free);
    let mut barred = Barred::default();
    if restricting.is_none() && priced == Priced::None {
        return barred;
    }
    for (nth, target) in model.tiers.iter().flatten().take(MAX_TARGETS).enumerate() {
        let target = &plan.targets[*target as usize];
        let closed = restricting.is_some_and(|key| !key.allows_provider(target.provider));
        let needs_price = priced == Priced::All || priced == Priced::Budgeted && target.facts.limit_money();
        let unpriced = needs_price && target.price.is_none();
        barred.for_want_of_a_price |= unpriced && !closed;
        barred.targets |= u64::from(closed || unpriced) << nth;
    }
    barred
}

/// The most that the answer can be long is not known, so nothing that must not be exceeded can let the request in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unbounded;

/// What a request is let in for: the dearest and longest that any of the targets that are open to it makes of it. `facts`
/// are those of all meters that may apply; what none of them asks for is not computed.
///
/// # Errors
/// [`Unbounded`]
pub fn demand(
    plan: &Plan,
    model: &ModelPlan,
    barred: Barred,
    facts: MeterFacts,
    asked: &Asked<'_>,
) -> Result<Demand, Unbounded> {
    let mut demand = Demand::default();
    demand.likely.input = if asked.is_text { likely_input(asked.body.len()) } else { 0 };
    if facts.are_strict() {
        demand.most.input = most_input(asked.body, model.info.context_window);
    }
    let targets = model.tiers.iter().flatten().take(MAX_TARGETS).enumerate();
    for (_, target) in targets.filter(|(nth, _)| barred.targets & 1 << nth == 0) {
        let target = &plan.targets[*target as usize];
        raise(&mut demand.likely, target, likely_output(target, asked));
        if facts.are_strict() {
            let output = most_output(target, model, asked).ok_or(Unbounded)?;
            raise(&mut demand.most, target, output);
        }
    }
    Ok(demand)
}

fn raise(quantity: &mut Quantity, target: &TargetPlan, output: u64) {
    quantity.output = quantity.output.max(output);
    if let Some(price) = &target.price {
        quantity.picousd = quantity.picousd.max(price.most(quantity.input, output));
    }
}

fn likely_output(target: &TargetPlan, asked: &Asked<'_>) -> u64 {
    if !asked.generates {
        return 0;
    }
    let one = asked.max_output_tokens.unwrap_or_else(|| {
        let learnt = target.state.output.tokens();
        target.max_output_tokens.map_or(learnt, |most| learnt.min(most.into()))
    });
    one.saturating_mul(asked.n)
}

fn most_output(target: &TargetPlan, model: &ModelPlan, asked: &Asked<'_>) -> Option<u64> {
    if !asked.generates {
        return Some(0);
    }
    let known = target.max_output_tokens.or(model.info.max_output_tokens).map(u64::from);
    asked.max_output_tokens.or(known).map(|one| one.saturating_mul(asked.n))
}

/// A place that a request has taken on a meter. It ends in [`settle`], once.
#[derive(Debug)]
pub struct Hold {
    /// Index into [`Plan::meters`].
    slot: u32,
    reservation: Reservation,
}

/// A meter that has no room.
#[derive(Clone, Copy, Debug)]
pub struct Short {
    /// Index into [`Plan::meters`].
    pub slot: u32,
    /// What it was asked for, and when there may be room.
    pub shortage: Shortage,
}

/// Takes a place on each meter of a set, or on none of them. Those that are held already are not asked twice. `holds` keeps
/// its memory from request to request, so that nothing is allocated here.
///
/// # Errors
/// The first meter that has no room.
pub fn reserve(
    plan: &Plan,
    set: &MeterSet,
    demand: &Demand,
    now: Moment,
    holds: &mut Vec<Hold>,
) -> Result<(), Short> {
    let before = holds.len();
    for slot in set.slots() {
        let meter = &plan.meters[*slot as usize];
        let is_held = holds[..before].iter().any(|hold| hold.slot == *slot);
        if is_held || demand.is_free && meter.counts_use() {
            continue;
        }
        match meter.state().reserve(meter.claim(demand), now.wall_ms, now.mono_ns) {
            Ok(reservation) => holds.push(Hold { slot: *slot, reservation }),
            Err(shortage) => {
                settle(plan, holds.drain(before..), &Outcome::default(), now.mono_ns);
                return Err(Short { slot: *slot, shortage });
            }
        }
    }
    Ok(())
}

/// Replaces what was reserved by what was used.
pub fn settle(plan: &Plan, holds: impl Iterator<Item = Hold>, outcome: &Outcome, mono_ns: u64) {
    for Hold { slot, reservation } in holds {
        let meter = &plan.meters[slot as usize];
        meter.state().settle(reservation, meter.actual(outcome), mono_ns);
    }
}
