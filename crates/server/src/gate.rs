//! The gate: who is asking, and for what. Every request passes it before any of its body is read; what is not
//! expressly public needs a key.

use std::net::IpAddr;

use sluice_dialects::wire::Wire;
use sluice_http1::{Known, RequestHead};
use sluice_pipeline::{
    Call, CredentialError, ModelsShape, RouteMatch, StoredCall, digest_of, find_credential, find_query_key,
    is_form, match_route, percent_decode_into, wire_of, wire_of_path,
};
use sluice_types::{ErrorKind, Route};

use crate::exchange::Rare;
use crate::refusal::Refusal;
use crate::settle::Settlement;
use crate::worker::{Worker, WorkerPlan};
use crate::{call_view, form, stored};

/// Header that carries the ids of the gateways a request has passed.
const VIA_HEADER: &[u8] = b"x-sluice-via";

/// Gateways a request may pass in all, ours included.
const MAX_HOPS: usize = 8;

/// What a request that passed the gate asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked<'p> {
    /// Generate something from a body.
    Call(Call<'p>),
    /// Something about what a provider keeps.
    Stored(StoredCall<'p>),
    /// The list of models.
    ListModels(ModelsShape),
    /// One model.
    GetModel(&'p str, ModelsShape),
    /// What a key is allowed and has left.
    KeyInfo,
    /// Whether the process lives.
    Health,
    /// Whether it wants traffic.
    Ready,
}

/// Lets a request in, or says why not.
pub(crate) fn pass<'b>(
    worker: &Worker,
    plan: &WorkerPlan,
    head: &RequestHead,
    bytes: &'b [u8],
    peer: IpAddr,
    settlement: &mut Settlement<'_>,
) -> Result<Asked<'b>, Refusal> {
    let found = told_by_headers(match_route(head.method, head.path(bytes)), head, bytes);
    match found {
        RouteMatch::Health => return Ok(Asked::Health),
        RouteMatch::Ready => return Ok(Asked::Ready),
        RouteMatch::Call(call) => settlement.set_route(call.route),
        RouteMatch::Stored(call) => settlement.set_route(call.route),
        RouteMatch::ListModels(shape) => refuse_as(settlement, Route::Models, shape),
        RouteMatch::GetModel(_, shape) => refuse_as(settlement, Route::Model, shape),
        RouteMatch::KeyInfo => {
            settlement.set_route(Route::KeyInfo);
            settlement.set_wire(wire_of_path(head.path(bytes)));
        }
        RouteMatch::WrongMethod(_) | RouteMatch::Unknown => {
            settlement.set_wire(wire_of_path(head.path(bytes)));
        }
    }
    let caller = authenticate(worker, plan, head, bytes, peer, settlement)?;
    settlement.set_caller(caller);
    refuse_route(plan, settlement)?;
    #[cfg(feature = "fault-injection")]
    crate::fault::inject("gate", head, bytes);
    refuse_loops(head, bytes, &worker.shared.instance)?;
    match found {
        RouteMatch::Call(call) => Ok(Asked::Call(call)),
        RouteMatch::Stored(call) => Ok(Asked::Stored(call)),
        RouteMatch::ListModels(shape) => Ok(Asked::ListModels(shape)),
        RouteMatch::GetModel(name, shape) => Ok(Asked::GetModel(name, shape)),
        RouteMatch::KeyInfo => Ok(Asked::KeyInfo),
        RouteMatch::Health => Ok(Asked::Health),
        RouteMatch::Ready => Ok(Asked::Ready),
        RouteMatch::WrongMethod(allow) => Err(wrong_method(allow)),
        RouteMatch::Unknown => Err(Refusal::new(
            ErrorKind::UnknownRoute,
            "No such path. This gateway serves the paths of OpenAI (/v1/chat/completions, /v1/responses, \
             /v1/embeddings, /v1/models, …), Anthropic (/v1/messages), Gemini (/v1beta/models/…:generateContent), \
             Bedrock (/model/…/converse) and Cohere (/v2/chat, /v2/embed, /v2/rerank).",
        )),
    }
}

/// Notes a route that several dialects have, and whose refusals are told in the caller's.
fn refuse_as(settlement: &mut Settlement<'_>, route: Route, shape: ModelsShape) {
    settlement.set_route(route);
    settlement.set_wire(match shape {
        ModelsShape::Openai => Wire::OpenaiChat,
        ModelsShape::Anthropic => Wire::Anthropic,
        ModelsShape::Gemini => Wire::Gemini,
    });
}

/// OpenAI and Anthropic have the same paths for their models and files; clients of Anthropic name its version.
fn told_by_headers<'p>(found: RouteMatch<'p>, head: &RequestHead, bytes: &[u8]) -> RouteMatch<'p> {
    let is_anthropic = || head.known(bytes, Known::AnthropicVersion).is_some();
    match found {
        RouteMatch::ListModels(ModelsShape::Openai) if is_anthropic() => {
            RouteMatch::ListModels(ModelsShape::Anthropic)
        }
        RouteMatch::GetModel(name, ModelsShape::Openai) if is_anthropic() => {
            RouteMatch::GetModel(name, ModelsShape::Anthropic)
        }
        RouteMatch::Stored(call) if call.route == Route::Files && is_anthropic() => {
            RouteMatch::Stored(StoredCall { route: Route::AnthropicFiles, ..call })
        }
        found => found,
    }
}

fn wrong_method(allow: &'static str) -> Refusal {
    let message = format!("This path takes {allow} only.");
    Refusal { allow: Some(allow), ..Refusal::new(ErrorKind::MethodNotAllowed, message) }
}

fn authenticate(
    worker: &Worker,
    plan: &WorkerPlan,
    head: &RequestHead,
    bytes: &[u8],
    peer: IpAddr,
    settlement: &Settlement<'_>,
) -> Result<Option<u32>, Refusal> {
    let settings = &plan.plan().settings;
    let presented = match find_credential(head, bytes) {
        Ok(presented) => presented,
        Err(CredentialError::Ambiguous) => {
            return Err(Refusal::new(
                ErrorKind::AmbiguousCredentials,
                "The request carries two different keys. Send one, in one header.",
            ));
        }
        Err(CredentialError::Malformed) => Some(&[][..]),
    };
    let presented = presented.or_else(|| query_key(head, bytes, settlement));
    if !settings.require_key {
        // Clients send a key because they must; one that is known here brings its limits along, others mean nothing.
        return Ok(presented.and_then(|key| find_key(plan, key, peer, settlement)));
    }
    let Some(presented) = presented else {
        return Err(Refusal::unauthenticated());
    };
    // Asked before the look-up, so that a guesser learns nothing once it is throttled.
    let (limit, now_ns) = (settings.max_auth_failures_per_minute, worker.monotonic_ns(settlement.latest()));
    if let Some(wait_ns) = worker.shared.auth_failures.blocked_for(peer, limit, now_ns) {
        let message = "Too many failed authentications from this address. Try again later.";
        return Err(Refusal::new(ErrorKind::AuthThrottled, message).with_retry_after_ns(wait_ns));
    }
    match find_key(plan, presented, peer, settlement) {
        Some(key) => Ok(Some(key)),
        None => {
            worker.shared.auth_failures.record(peer, now_ns);
            Err(Refusal::unauthenticated())
        }
    }
}

/// The key that was presented, if it is good at this time and for a client at this address. Which of them it is that fails
/// looks the same, so that whoever has found a key learns nothing from elsewhere.
fn find_key(plan: &WorkerPlan, presented: &[u8], peer: IpAddr, settlement: &Settlement<'_>) -> Option<u32> {
    let keys = &plan.plan().keys;
    let found = keys.find(&digest_of(presented), settlement.started_at_ms());
    found.filter(|key| keys.get(*key).allows_client(peer))
}

/// Refuses what the key may not call, before any of the body is read.
fn refuse_route(plan: &WorkerPlan, settlement: &Settlement<'_>) -> Result<(), Refusal> {
    let (route, Some(key)) = (settlement.route(), settlement.key()) else { return Ok(()) };
    if plan.plan().keys.get(key).allows_route(route) {
        return Ok(());
    }
    let message = format!("This key may not call the route `{}`.", route.label());
    Err(Refusal::new(ErrorKind::NotPermitted, message))
}

/// Clients of Gemini may send their key in the query; nobody else's is looked for there.
fn query_key<'b>(head: &RequestHead, bytes: &'b [u8], settlement: &Settlement<'_>) -> Option<&'b [u8]> {
    let is_gemini =
        wire_of(settlement.route()) == Wire::Gemini || wire_of_path(head.path(bytes)) == Wire::Gemini;
    if is_gemini { find_query_key(head.query(bytes)?) } else { None }
}

/// A request that has been here before would come again for ever.
fn refuse_loops(head: &RequestHead, bytes: &[u8], instance: &str) -> Result<(), Refusal> {
    let mut hops = 0;
    for field in head.fields().iter(bytes).filter(|field| field.name.eq_ignore_ascii_case(VIA_HEADER)) {
        for id in field.value.split(|byte| *byte == b',') {
            hops += 1;
            if id.trim_ascii() == instance.as_bytes() || hops >= MAX_HOPS {
                return Err(Refusal::new(
                    ErrorKind::LoopDetected,
                    "The request has passed through this gateway before: a provider's base URL leads back here.",
                ));
            }
        }
    }
    Ok(())
}

/// Takes out of a head what its call needs beyond the life of the head's bytes, and refuses a body of a type that the call
/// does not take. `None` where no provider is asked.
pub(crate) fn take_call(
    asked: Asked<'_>,
    head: &RequestHead,
    bytes: &[u8],
    rare: &mut Rare,
) -> Result<Option<Route>, Refusal> {
    match asked {
        Asked::Call(call) => {
            take_path_model(call, rare);
            if is_form(call.route) {
                form::check_content_type(call.route, head, bytes)?;
            } else {
                call_view::check_content_type(head, bytes)?;
            }
            Ok(Some(call.route))
        }
        Asked::Stored(call) => {
            rare.path_model.clear();
            stored::take(call, head, bytes, rare)?;
            Ok(Some(call.route))
        }
        _ => Ok(None),
    }
}

/// Keeps the model that a path names.
fn take_path_model(call: Call<'_>, rare: &mut Rare) {
    percent_decode_into(&mut rare.path_model, call.model.unwrap_or_default());
}
