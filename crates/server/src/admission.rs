//! Admission: what a request may use is reserved on everything that limits it, or it is refused. First the meters of its key
//! and model and the key's own limits; then, for every attempt, those of the provider and of the credential.

use sluice_limits::{LimitKind, Pass, Refusal as LimitRefusal, pick_weighted};
use sluice_pipeline::{
    Asked, BYTES_PER_TOKEN, Barred, Demand, MeterFacts, MeterSet, ModelPlan, Plan, Short, Task, barred,
    demand, is_form, is_stored, reserve, task_of,
};
use sluice_types::{ErrorKind, Route, Unpriced};

use crate::call_view::View;
use crate::exchange::Exchange;
use crate::meter_refusal;
use crate::refusal::Refusal;

/// Lets a request in, or says why not. What it reserved is the settlement's to give back. `generates` is false for calls
/// that use nothing, whatever their model: only that they are requests counts.
pub(crate) fn admit<A>(
    x: &mut Exchange<'_, '_, A>,
    view: &View,
    model: &ModelPlan,
    uses: Uses,
) -> Result<(), Refusal> {
    let plan = x.plan.plan();
    let key = x.settlement.key().map(|key| plan.keys.get(key));
    let barred = barred(plan, key, model, uses == Uses::Nothing);
    if barred.for_want_of_a_price && barred.all_of(model) {
        return Err(not_priced(plan, uses));
    }
    x.rare.barred = barred.targets;
    let of_key = key.map_or(MeterFacts::default(), |key| key.meters.facts());
    let facts = of_key.and(model.facts);
    if facts.any() {
        x.rare.demand = demand_of(x, view, model, barred, facts, uses)?;
        let of_key = key.map(|key| &key.meters);
        for set in of_key.into_iter().chain([&model.meters]) {
            take(x, set).map_err(|short| refuse(x, &short))?;
        }
        x.settlement.all_admitted();
    }
    admit_by_key(x, view)
}

/// What a call uses up.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Uses {
    /// What its body and its model say.
    Model,
    /// Nothing.
    Nothing,
    /// Something that nobody knows beforehand, nor afterwards: that of a batch.
    Unknown,
}

fn demand_of<A>(
    x: &Exchange<'_, '_, A>,
    view: &View,
    model: &ModelPlan,
    barred: Barred,
    facts: MeterFacts,
    uses: Uses,
) -> Result<Demand, Refusal> {
    if uses != Uses::Model {
        return Ok(Demand::FREE);
    }
    let asked = Asked {
        body: x.request.body(),
        is_text: is_text(x.route),
        max_output_tokens: view.max_output_tokens(),
        n: view.n(),
        generates: matches!(task_of(x.route), Task::Chat | Task::Native),
    };
    demand(x.plan.plan(), model, barred, facts, &asked).map_err(|_| {
        let message = "A limit that must never be exceeded holds for this request, and nothing says how long its answer can \
                       be: set `max_tokens`, or `max_output_tokens` of the model in the gateway's configuration.";
        Refusal::new(ErrorKind::MaxTokensRequired, message).with_param(Some("max_tokens"))
    })
}

fn not_priced(plan: &Plan, uses: Uses) -> Refusal {
    let what = if uses == Uses::Unknown { "What a batch costs" } else { "What this model costs" };
    let why = match plan.settings.unpriced {
        Unpriced::Refuse => "and requests without a price are refused",
        _ => "and a budget of money holds for this request",
    };
    let message =
        format!("{what} is not known, {why}. An operator can set a price, or `settings.unpriced: allow`.");
    Refusal::new(ErrorKind::ModelNotPriced, message).with_param(Some("model"))
}

/// Takes places on a set of meters.
fn take<A>(x: &mut Exchange<'_, '_, A>, set: &MeterSet) -> Result<(), Short> {
    if set.is_empty() {
        return Ok(());
    }
    let (plan, now) = (x.plan, x.settlement.now());
    reserve(plan.plan(), set, &x.rare.demand, now, x.settlement.holds())
}

#[cold]
pub(crate) fn refuse<A>(x: &mut Exchange<'_, '_, A>, short: &Short) -> Refusal {
    x.settlement.refused_by_a_meter();
    meter_refusal::of(x.plan.plan(), short)
}

/// Takes places on the meters of a target's provider and of one of its credentials, and returns which one. A credential
/// without room is left for another, and so is one that cools down, unless none else is left and it is wanted all the same.
///
/// # Errors
/// A meter that has no room, of the provider or of the last credential that was tried; or there is no credential to use.
pub(crate) fn enter_target<A>(
    x: &mut Exchange<'_, '_, A>,
    target: u32,
    wanted: Wanted,
) -> Result<usize, Closed> {
    let plan = x.plan.plan();
    let target = &plan.targets[target as usize];
    let provider = &plan.providers[target.provider as usize];
    // What a provider keeps is seen by the credential that made it only, so it is always the same one.
    let is_fixed = is_stored(x.route);
    let rotates = provider.rotates && !is_fixed;
    let pick = |x: &Exchange<'_, '_, A>, excluded: u64| {
        let random = if is_fixed { 0 } else { x.worker.random() };
        pick_weighted(provider.credential_weights.iter().copied(), excluded, random)
    };
    if !rotates && !target.facts.any() {
        return Ok(pick(x, 0).unwrap_or(0));
    }
    take(x, &provider.meters).map_err(Closed::Full)?;
    let now_ns = x.worker.monotonic_ns(x.settlement.latest());
    let (mut excluded, mut short) = (wanted.excluded, None);
    while let Some(credential) = pick(x, excluded) {
        excluded |= 1 << credential;
        let plan = &provider.credentials[credential];
        let is_open = rotates && matches!(plan.cooldown.try_pass(now_ns), Pass::No { .. });
        if is_open && !wanted.even_if_cooling {
            continue;
        }
        match take(x, &plan.meters) {
            Ok(()) => return Ok(credential),
            Err(found) => short = Some(found),
        }
        if is_fixed {
            break;
        }
    }
    if short.is_none() && !rotates {
        return Ok(0);
    }
    x.settlement.leave_target();
    Err(short.map_or(Closed::NoCredential, Closed::Full))
}

/// Which credentials of a provider may be used.
#[derive(Clone, Copy, Default)]
pub(crate) struct Wanted {
    /// Those that may not, a bit each.
    pub(crate) excluded: u64,
    /// One that cools down is better than none.
    pub(crate) even_if_cooling: bool,
}

/// Why a target cannot be asked.
pub(crate) enum Closed {
    /// A meter has no room.
    Full(Short),
    /// Every credential cools down, or has been tried.
    NoCredential,
}

/// Reserves what the request may use on the key's own limits.
fn admit_by_key<A>(x: &mut Exchange<'_, '_, A>, view: &View) -> Result<(), Refusal> {
    let input = if is_text(x.route) { x.request.body().len() as u64 / BYTES_PER_TOKEN } else { 0 };
    let input_tokens = u32::try_from(input).unwrap_or(u32::MAX);
    // Booked in the end only if the provider reports nothing; until it answers, nothing is known to have been used.
    let Some(key) = x.settlement.key() else { return Ok(()) };
    let key = x.plan.plan().keys.get(key);
    let output_tokens = view.max_output_tokens().unwrap_or(0).saturating_mul(view.n());
    let reserve = u64::from(input_tokens).saturating_add(output_tokens);
    let now_ns = x.worker.monotonic_ns(x.settlement.latest());
    match key.state.admit(&key.limits, reserve, now_ns) {
        Ok(admitted) => {
            x.settlement.set_admitted(admitted);
            Ok(())
        }
        Err(refusal) => {
            x.settlement.refused_by_a_meter();
            Err(limit_refusal(&refusal))
        }
    }
}

fn limit_refusal(refusal: &LimitRefusal) -> Refusal {
    let kind = match refusal.which {
        LimitKind::Requests => ErrorKind::RequestRateLimited,
        LimitKind::Tokens => ErrorKind::TokenRateLimited,
        LimitKind::Concurrency => ErrorKind::ConcurrencyLimited,
    };
    let answer = Refusal::new(kind, format!("This key cannot send the request now: {refusal}."));
    match refusal.retry_after_ns {
        Some(after) => answer.with_retry_after_ns(after),
        None => answer,
    }
}

/// Whether the body of a request is text, whose tokens can be estimated.
pub(crate) fn is_text(route: Route) -> bool {
    !is_form(route) && !is_stored(route)
}
