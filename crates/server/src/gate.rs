//! The gate: who is asking, and for what. Every request passes it before any of its body is read; what is not
//! expressly public needs a key.

use std::net::IpAddr;

use sluice_dialects::wire::Wire;
use sluice_http1::{Known, RequestHead};
use sluice_pipeline::{
    Call, CredentialError, ModelsShape, RouteMatch, digest_of, find_credential, find_query_key, match_route,
    percent_decode_into, wire_of, wire_of_path,
};
use sluice_types::{ErrorKind, Route};

use crate::exchange::Rare;
use crate::refusal::Refusal;
use crate::settle::Settlement;
use crate::worker::{Worker, WorkerPlan};

/// Header that carries the ids of the gateways a request has passed.
const VIA_HEADER: &[u8] = b"x-sluice-via";

/// Gateways a request may pass in all, ours included.
const MAX_HOPS: usize = 8;

/// What a request that passed the gate asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked<'p> {
    /// Generate something from a body.
    Call(Call<'p>),
    /// The list of models.
    ListModels(ModelsShape),
    /// One model.
    GetModel(&'p str, ModelsShape),
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
    let found = match_route(head.method, head.path(bytes));
    match found {
        RouteMatch::Health => return Ok(Asked::Health),
        RouteMatch::Ready => return Ok(Asked::Ready),
        RouteMatch::Call(call) => settlement.set_route(call.route),
        RouteMatch::ListModels(shape) => refuse_as(settlement, Route::Models, shape, head, bytes),
        RouteMatch::GetModel(_, shape) => refuse_as(settlement, Route::Model, shape, head, bytes),
        RouteMatch::WrongMethod(_) | RouteMatch::Unknown => {
            settlement.set_wire(wire_of_path(head.path(bytes)));
        }
    }
    let caller = authenticate(worker, plan, head, bytes, peer, settlement)?;
    settlement.set_caller(caller);
    #[cfg(feature = "fault-injection")]
    crate::fault::inject("gate", head, bytes);
    refuse_loops(head, bytes, &worker.shared.instance)?;
    match found {
        RouteMatch::Call(call) => Ok(Asked::Call(call)),
        RouteMatch::ListModels(shape) => Ok(Asked::ListModels(told_by_headers(shape, head, bytes))),
        RouteMatch::GetModel(name, shape) => Ok(Asked::GetModel(name, told_by_headers(shape, head, bytes))),
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
fn refuse_as(
    settlement: &mut Settlement<'_>,
    route: Route,
    shape: ModelsShape,
    head: &RequestHead,
    bytes: &[u8],
) {
    settlement.set_route(route);
    settlement.set_wire(match told_by_headers(shape, head, bytes) {
        ModelsShape::Openai => Wire::OpenaiChat,
        ModelsShape::Anthropic => Wire::Anthropic,
        ModelsShape::Gemini => Wire::Gemini,
    });
}

/// OpenAI and Anthropic have the same path for their models; clients of Anthropic name its version.
fn told_by_headers(shape: ModelsShape, head: &RequestHead, bytes: &[u8]) -> ModelsShape {
    match shape {
        ModelsShape::Openai if head.known(bytes, Known::AnthropicVersion).is_some() => ModelsShape::Anthropic,
        shape => shape,
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
        let known =
            presented.and_then(|key| plan.plan().keys.find(&digest_of(key), settlement.started_at_ms()));
        return Ok(known);
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
    match plan.plan().keys.find(&digest_of(presented), settlement.started_at_ms()) {
        Some(key) => Ok(Some(key)),
        None => {
            worker.shared.auth_failures.record(peer, now_ns);
            Err(Refusal::unauthenticated())
        }
    }
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

/// Keeps the model that a path names beyond the life of the head's bytes.
pub(crate) fn take_path_model(call: Call<'_>, rare: &mut Rare) {
    percent_decode_into(&mut rare.path_model, call.model.unwrap_or_default());
}

/// Refuses a body that says it is something other than JSON.
pub(crate) fn check_content_type(head: &RequestHead, bytes: &[u8]) -> Result<(), Refusal> {
    let Some(content_type) = head.known(bytes, Known::ContentType) else { return Ok(()) };
    let media = content_type.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    let is_json = media.eq_ignore_ascii_case(b"application/json")
        || media.len() > 5 && media[media.len() - 5..].eq_ignore_ascii_case(b"+json");
    if is_json {
        return Ok(());
    }
    Err(Refusal::new(
        ErrorKind::InvalidBody,
        "The body is not JSON. Send it with `Content-Type: application/json`.",
    ))
}
