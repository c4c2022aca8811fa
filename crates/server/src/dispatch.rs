//! Dispatch: sends the request to a target and waits for an answer worth passing on. Until one is, nothing has been
//! said to the client, so any failure may be answered by trying the next target.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Instant;

use sluice_limits::{FailureKind, Pass, pick_weighted};
use sluice_pipeline::{MAX_TARGETS, Plan, ProviderPlan, Short, TargetPlan, is_stored};
use sluice_types::ErrorKind;

use crate::admission::{self, Closed, Wanted};
use crate::answer::Answer;
use crate::exchange::{Call, Exchange, estimate_prompt};
use crate::hold::{self, Held, Source};
use crate::inflow::{Fault, Inflow};
use crate::metrics::AttemptOutcome;
use crate::open_call::{self, OpenCall};
use crate::outbound::{self, Egress, Outbound};
use crate::pool::Lease;
use crate::refusal::{Ended, Refusal};
use crate::rotation::{KeyFault, KeysTried};
use crate::timers::shorter;
use crate::verdict::{ErrorVerdict, Failure, Verdict};

/// Attempts at most per request, over all targets.
const MAX_ATTEMPTS: u32 = 8;

/// Slices of a request sent at once: the head, and the body around what is spliced into it.
const MAX_SLICES: usize = 9;

/// A failed attempt, and how it looks to the client if no other target helps.
struct Failed {
    outcome: AttemptOutcome,
    refusal: Refusal,
    /// The target is to blame, not the request.
    is_fault: bool,
}

/// Finds a target that answers. Returns with the answer held (see [`hold`]), nothing of it sent yet.
pub(crate) async fn dispatch<A: Answer>(x: &mut Exchange<'_, '_, A>, call: Call<'_>) -> Result<Held, Ended> {
    let mut attempts = 0;
    let mut tried = Tried { targets: x.rare.barred, ..Tried::default() };
    let mut last =
        Refusal::new(ErrorKind::UpstreamUnreachable, "No target of this model can be used at the moment.");
    let mut next = choose(x, call, &mut tried);
    if let (None, Some(full)) = (&next, &tried.full) {
        return Err(admission::refuse(x, full).into());
    }
    while let Some(target) = next {
        attempts += 1;
        x.settlement.begin_attempt(target.index);
        let plan = Rc::clone(x.plan);
        let (row, cells) =
            (&plan.plan().targets[target.index as usize], &plan.targets[target.index as usize]);
        match attempt(x, call, row, target.credential).await {
            Ok((held, Verdict::Deliver)) => {
                succeeded(x, target, &tried, x.worker.monotonic_ns(held.inflow.last_read));
                return Ok(held);
            }
            Ok((held, Verdict::Error(error))) => {
                cells.count_attempt(error.outcome);
                let now_ns = x.worker.monotonic_ns(held.inflow.last_read);
                let is_final = failed_with(x, call, target, &mut tried, error, now_ns);
                // An error answer that no other target can better is the client's to see, as it came.
                if attempts == MAX_ATTEMPTS {
                    return Ok(held);
                }
                next = sibling(x, target, &tried);
                if next.is_none() && !is_final {
                    next = choose(x, call, &mut tried);
                }
                if next.is_none() {
                    return Ok(held);
                }
                held.discard(provider_of(&plan, row));
                continue;
            }
            Err(None) => {
                cells.count_attempt(AttemptOutcome::ClientGone);
                x.settlement.fail(ErrorKind::ClientGone);
                return Err(Ended::Closed);
            }
            Err(Some(failed)) => {
                cells.count_attempt(failed.outcome);
                if failed.is_fault {
                    let now_ns = x.worker.monotonic_ns(Instant::now());
                    row.state.cooldown.record_failure(FailureKind::Fault, None, now_ns);
                }
                last = failed.refusal;
            }
        }
        if attempts == MAX_ATTEMPTS {
            break;
        }
        next = choose(x, call, &mut tried);
    }
    // What no target was asked is the request's own fault.
    let is_theirs = last.kind.status() >= 500;
    let down = is_theirs.then(|| all_down(x, call)).flatten();
    Err(down.unwrap_or(last).into())
}

/// Notes that a target answered, and with which key.
fn succeeded<A>(x: &Exchange<'_, '_, A>, at: Choice, tried: &Tried, now_ns: u64) {
    let plan = x.plan.plan();
    let row = &plan.targets[at.index as usize];
    row.state.cooldown.record_success(now_ns);
    let provider = &plan.providers[row.provider as usize];
    if provider.rotates && !is_stored(x.route) {
        tried.keys.answered(at.credential, provider, now_ns);
    }
}

/// Notes an error answer: against the key, if it has siblings and is what failed, or against the target. Whether no other
/// target is to be asked, since the request is at fault.
fn failed_with<A>(
    x: &Exchange<'_, '_, A>,
    call: Call<'_>,
    at: Choice,
    tried: &mut Tried,
    error: ErrorVerdict,
    now_ns: u64,
) -> bool {
    let plan = x.plan.plan();
    let row = &plan.targets[at.index as usize];
    let provider = &plan.providers[row.provider as usize];
    let of_key = if provider.rotates && !is_stored(x.route) { KeyFault::of(error) } else { None };
    if let Some(fault) = of_key {
        tried.keys.failed(at.credential, &provider.credentials[at.credential], fault, now_ns);
        tried.has_sibling = true;
        if fault.is_rejected() {
            tried.rejected |= account(plan, call, row.provider).fold(0, |bits, (bit, _)| bits | bit);
        }
        return matches!(fault, KeyFault::Forbidden);
    }
    tried.has_sibling = false;
    match error.failure {
        Some(Failure { kind: FailureKind::Rejected, .. }) => {
            for (bit, target) in account(plan, call, row.provider) {
                target.state.cooldown.record_failure(FailureKind::Rejected, None, now_ns);
                tried.targets |= bit;
            }
        }
        Some(Failure { kind, retry_after_ns }) => {
            row.state.cooldown.record_failure(kind, retry_after_ns, now_ns);
        }
        // The request was at fault, and the target well enough to say so.
        None => succeeded(x, at, tried, now_ns),
    }
    error.failure.is_none()
}

/// The same target with another key of its provider, if the last one failed and there is one left.
fn sibling<A>(x: &mut Exchange<'_, '_, A>, at: Choice, tried: &Tried) -> Option<Choice> {
    if !tried.has_sibling {
        return None;
    }
    x.settlement.leave_target();
    let wanted = Wanted { excluded: tried.keys.failed, even_if_cooling: false };
    let credential = admission::enter_target(x, at.index, wanted).ok()?;
    Some(Choice { credential, ..at })
}

/// The targets of a model that are one provider's, each with its bit: an account that has turned a request away is not
/// asked again under another model's name.
fn account<'p>(plan: &'p Plan, call: Call<'p>, provider: u32) -> impl Iterator<Item = (u64, &'p TargetPlan)> {
    let all = call.model.tiers.iter().flatten().take(MAX_TARGETS).enumerate();
    let all = all.map(|(nth, index)| (1 << nth, &plan.targets[*index as usize]));
    all.filter(move |(_, target)| target.provider == provider)
}

/// The answer where every target has failed so often that it is left alone for a while: when the first of them is tried
/// again. A request that comes earlier is still let through to one of them, see [`choose`].
fn all_down<A>(x: &Exchange<'_, '_, A>, call: Call<'_>) -> Option<Refusal> {
    let now_ns = x.worker.monotonic_ns(Instant::now());
    let targets = &x.plan.plan().targets;
    let mut wait_ns: Option<u64> = None;
    for index in call.model.tiers.iter().flatten() {
        let cooldown = &targets[*index as usize].state.cooldown;
        if !cooldown.is_open(now_ns) {
            return None;
        }
        // An open one only says how long it stays so.
        if let Pass::No { retry_after_ns } = cooldown.try_pass(now_ns) {
            wait_ns = Some(wait_ns.map_or(retry_after_ns, |least| least.min(retry_after_ns)));
        }
    }
    let message = "Every provider of this model has failed of late. Try again later.";
    wait_ns.map(|ns| Refusal::new(ErrorKind::TargetsDown, message).with_retry_after_ns(ns))
}

fn provider_of<'p>(plan: &'p crate::worker::WorkerPlan, target: &TargetPlan) -> &'p ProviderPlan {
    &plan.plan().providers[target.provider as usize]
}

/// Where the request goes next: a target, by its index in the plan, and a credential of its provider.
#[derive(Clone, Copy)]
struct Choice {
    index: u32,
    credential: usize,
}

/// What is known of the targets of one request.
#[derive(Default)]
struct Tried {
    /// Those that are not to be tried (again), a bit each.
    targets: u64,
    /// Those of them that were passed over since all their keys cool down.
    cooling: u64,
    /// Those of accounts that turned this request away: not even where all else has failed.
    rejected: u64,
    /// The keys of the target that was tried last.
    keys: KeysTried,
    /// It was one of several keys that failed there.
    has_sibling: bool,
    /// The first meter that had no room for a target.
    full: Option<Short>,
}

/// The next target with a key that is in use, and with room on its meters. What the one before had is given back first. If
/// there is none, a target whose keys all cool down is tried with one of them.
fn choose<A>(x: &mut Exchange<'_, '_, A>, call: Call<'_>, tried: &mut Tried) -> Option<Choice> {
    x.settlement.leave_target();
    tried.keys = KeysTried::default();
    while let Some(target) = choose_target(x, call, tried.targets) {
        tried.targets |= target.bit;
        match admission::enter_target(x, target.index, Wanted::default()) {
            Ok(credential) => return Some(Choice { index: target.index, credential }),
            Err(Closed::Full(short)) => _ = tried.full.get_or_insert(short),
            Err(Closed::NoCredential) => tried.cooling |= target.bit,
        }
    }
    while let Some(target) = choose_from_tiers(x, call, !tried.cooling | tried.rejected) {
        tried.cooling &= !target.bit;
        let wanted = Wanted { even_if_cooling: true, ..Wanted::default() };
        match admission::enter_target(x, target.index, wanted) {
            Ok(credential) => return Some(Choice { index: target.index, credential }),
            Err(Closed::Full(short)) => _ = tried.full.get_or_insert(short),
            Err(Closed::NoCredential) => {}
        }
    }
    None
}

struct Candidate {
    index: u32,
    bit: u64,
}

/// The next target: by weight among those of the first tier that has any left, leaving out what was tried and what is
/// cooling down. If all that is left is cooling down, one of them is tried all the same: an answer from a doubtful
/// target beats none.
fn choose_target<A>(x: &Exchange<'_, '_, A>, call: Call<'_>, tried: u64) -> Option<Candidate> {
    let now_ns = x.worker.monotonic_ns(x.settlement.latest());
    let targets = &x.plan.plan().targets;
    let mut excluded = tried;
    while let Some(choice) = choose_from_tiers(x, call, excluded) {
        match targets[choice.index as usize].state.cooldown.try_pass(now_ns) {
            Pass::Yes | Pass::Probe => return Some(choice),
            Pass::No { .. } => excluded |= choice.bit,
        }
    }
    choose_from_tiers(x, call, tried)
}

fn choose_from_tiers<A>(x: &Exchange<'_, '_, A>, call: Call<'_>, excluded: u64) -> Option<Candidate> {
    let targets = &x.plan.plan().targets;
    let mut first_bit = 0;
    for tier in &call.model.tiers {
        let weights = tier.iter().map(|index| targets[*index as usize].weight);
        if first_bit >= MAX_TARGETS {
            return None;
        }
        if let Some(nth) = pick_weighted(weights, excluded >> first_bit, x.worker.random())
            && first_bit + nth < MAX_TARGETS
        {
            return Some(Candidate { index: tier[nth], bit: 1 << (first_bit + nth) });
        }
        first_bit += tier.len();
    }
    None
}

/// One attempt at one target. `Err(None)` means the client is gone.
async fn attempt<A: Answer>(
    x: &mut Exchange<'_, '_, A>,
    call: Call<'_>,
    target: &TargetPlan,
    credential: usize,
) -> Result<(Held, Verdict), Option<Failed>> {
    let plan = Rc::clone(x.plan);
    let provider = provider_of(&plan, target);
    let outbound = outbound::prepare(x, call, target, provider).map_err(unsent)?;
    let mut fresh_only = false;
    loop {
        let lease = lease(x, target, fresh_only).await?;
        let reused = lease.reused;
        match send_and_await(x, call, target, &outbound, credential, lease).await {
            // The provider closed an idle connection just as we used it. Nothing was processed; once more, on a new one.
            Err(Fault::Broken(_)) if reused => fresh_only = true,
            Ok(inflow) => {
                let from = Source {
                    provider,
                    secret: provider.credentials[credential].secret(),
                    outbound: &outbound,
                };
                return hold::hold(x, inflow, from).await.map_err(|fault| failed(fault, provider));
            }
            Err(fault) => return Err(failed(fault, provider)),
        }
    }
}

/// A connection to the target's provider: one that is idle, or a new one.
async fn lease<A: Answer>(
    x: &mut Exchange<'_, '_, A>,
    target: &TargetPlan,
    fresh_only: bool,
) -> Result<Lease, Option<Failed>> {
    let pool = &x.plan.pools[target.provider as usize];
    if !fresh_only && let Some(lease) = pool.take_idle() {
        return Ok(lease);
    }
    let provider = provider_of(x.plan, target);
    let began = Instant::now();
    let total_ms = x.settlement.left_of_ms(provider.timeouts.total_ms, began);
    let total_ms = total_ms.ok_or_else(|| failed(Fault::Timeout, provider))?;
    let limit_ms = shorter(provider.timeouts.connect_ms, total_ms);
    // Boxed, for it is large and rare, and would else make every connection's task as large.
    let mut connecting = pin!(Box::pin(pool.connect()));
    let answer = &mut *x.answer;
    let outcome = x
        .timer
        .limit(limit_ms, |cx| match connecting.as_mut().poll(cx) {
            Poll::Ready(outcome) => Poll::Ready(outcome.map_err(Fault::Broken)),
            Poll::Pending => answer.poll_gone(cx).map(|_| Err(Fault::ClientGone)),
        })
        .await;
    x.settlement.waited_from(began, Instant::now());
    outcome.unwrap_or(Err(Fault::Timeout)).map_err(|fault| failed(fault, provider))
}

/// Sends the request and waits for the head of the answer.
async fn send_and_await<A: Answer>(
    x: &mut Exchange<'_, '_, A>,
    call: Call<'_>,
    target: &TargetPlan,
    outbound: &Outbound,
    credential: usize,
    mut lease: Lease,
) -> Result<Inflow, Fault> {
    let plan = Rc::clone(x.plan);
    let provider = provider_of(&plan, target);
    let credential = &provider.credentials[credential];
    let head = credential.head(outbound.call).ok_or(Fault::Invalid("it does not offer this API"))?;
    let is_open = outbound.call.is_open();
    if is_open {
        open_call::write_name(x, call, target, provider, head);
    } else {
        outbound::write_name(x, call, target, provider, head);
    }
    let request = &*x.request;
    let (in_head, in_body) = if is_open { (&**x.name, &**x.name) } else { outbound::names(x.name, provider) };
    let in_path = !x.rare.path_model.is_empty();
    let open = is_open.then(|| OpenCall::of(x.route, x.rare, x.head, &request.bytes));
    let to = Egress { target, provider, credential, head, outbound, open };
    let pieces = outbound::body(request, &x.rare.translated, in_body, in_path, call, &to);
    let instance = &x.worker.shared.instance;
    outbound::render_head(x.egress, in_head, &pieces, x.head, &request.bytes, instance, &to);
    let mut slices = [IoSlice::new(&[]); MAX_SLICES];
    let count = 1 + pieces.as_slices().len();
    slices[0] = IoSlice::new(x.egress);
    for (slice, piece) in slices[1..].iter_mut().zip(pieces.as_slices()) {
        *slice = IoSlice::new(piece);
    }
    let write_limit = x.plan.plan().settings.write_timeout_ms;
    let answer = &mut *x.answer;
    let gone = |cx: &mut Context<'_>| answer.poll_gone(cx).map(|_| io::ErrorKind::Interrupted.into());
    let stream = lease.stream();
    let written = stream.write_all_unless(&mut slices[..count], x.timer, write_limit, gone).await;
    match written.map_err(|error| (error.kind(), error)) {
        Ok(()) => {}
        Err((io::ErrorKind::Interrupted, _)) => return Err(Fault::ClientGone),
        Err((io::ErrorKind::TimedOut, _)) => return Err(Fault::Timeout),
        Err((_, error)) if lease.reused => return Err(Fault::Broken(error)),
        // A provider may refuse a body before it has taken all of it; its reason is then waiting to be read.
        Err(_) => {}
    }
    estimate_prompt(x);
    let sent = Instant::now();
    x.settlement.sent(sent);
    let total_ms = x.settlement.left_of_ms(provider.timeouts.total_ms, sent).ok_or(Fault::Timeout)?;
    let limit_ms = shorter(provider.timeouts.first_byte_ms, total_ms);
    let mut inflow = Inflow::new(lease, sent);
    let outcome = inflow.read_head(x.upstream_head, x.timer, limit_ms, x.answer).await;
    match outcome {
        Ok(()) => {
            x.settlement.waited_from(sent, inflow.last_read);
            x.settlement.first_byte(inflow.last_read.saturating_duration_since(sent));
            Ok(inflow)
        }
        Err(Fault::Broken(error)) if !inflow.bytes.is_empty() => {
            // It had begun to answer, so the request may have been processed: not the case of a stale connection.
            let _ = error;
            Err(Fault::Invalid("the provider's answer broke off in its head"))
        }
        Err(fault) => {
            x.settlement.waited_from(sent, Instant::now());
            Err(fault)
        }
    }
}

/// A request that could not be sent for reasons of its own.
fn unsent(refusal: Refusal) -> Option<Failed> {
    Some(Failed { outcome: AttemptOutcome::ClientError, refusal, is_fault: false })
}

/// Puts a fault into the terms of the breaker, the metrics and the client. The message names the provider by its name
/// in the config, never by host.
fn failed(fault: Fault, provider: &ProviderPlan) -> Option<Failed> {
    let name = &provider.name;
    let (outcome, kind, message) = match fault {
        Fault::ClientGone => return None,
        Fault::Timeout => (
            AttemptOutcome::Timeout,
            ErrorKind::UpstreamTimeout,
            format!("The provider `{name}` did not answer in time."),
        ),
        Fault::Broken(_) => (
            AttemptOutcome::Unreachable,
            ErrorKind::UpstreamUnreachable,
            format!(
                "The provider `{name}` could not be reached, or closed the connection before it answered."
            ),
        ),
        Fault::Invalid(why) => (
            AttemptOutcome::ServerError,
            ErrorKind::UpstreamInvalid,
            format!("The provider `{name}` gave an unusable answer: {why}."),
        ),
    };
    Some(Failed { outcome, refusal: Refusal::new(kind, message), is_fault: true })
}
