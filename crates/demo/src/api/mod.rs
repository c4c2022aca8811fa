//! The API itself: one module per endpoint, each from a parsed body to a [`Reply`] or a [`Refusal`].

mod chat;
mod chat_wire;
mod completions;
mod embeddings;
mod models;
mod refusal;
mod responses;
mod speech;

use serde_json::Value;

pub(crate) use refusal::Refusal;

use crate::options::DemoOptions;
use crate::prng::fnv1a;
use crate::reply::Reply;

/// What an endpoint may know besides the body.
pub(crate) struct Context<'a> {
    pub(crate) options: &'a DemoOptions,
    /// Seconds since 1970 when the provider started: `created` in every answer.
    pub(crate) created: u64,
    /// Digest of the request, from which its ids are made.
    pub(crate) digest: u64,
}

impl Context<'_> {
    fn request_id(&self) -> String {
        format!("req_demo{:016x}", self.digest)
    }

    fn id(&self, prefix: &str) -> String {
        format!("{prefix}demo{:016x}", self.digest)
    }
}

type Endpoint = fn(&Value, &Context<'_>) -> Result<Reply, Refusal>;

/// Answers one request. Whatever comes in, an answer goes out.
pub(crate) fn answer(method: &str, path: &str, body: &[u8], options: &DemoOptions, created: u64) -> Reply {
    let context = Context { options, created, digest: fnv1a(body) ^ fnv1a(path.as_bytes()) };
    dispatch(method, path, body, &context).unwrap_or_else(|refusal| refusal.reply(&context.request_id()))
}

/// The answer to a request that was chosen to fail.
pub(crate) fn injected_error() -> Reply {
    Refusal::server_error().reply("req_demo_injected")
}

/// The answer to bytes that are not a request.
pub(crate) fn bad_http(status: u16, why: &str) -> Reply {
    Refusal::bad_http(status, why).reply("req_demo_refused")
}

fn dispatch(method: &str, path: &str, body: &[u8], context: &Context<'_>) -> Result<Reply, Refusal> {
    if path == "/v1/models" {
        return expect_method(method, "GET").map(|()| models::list(context));
    }
    if let Some(id) = path.strip_prefix("/v1/models/") {
        return expect_method(method, "GET").and_then(|()| models::get(id, context));
    }
    let endpoint = endpoint(path).ok_or_else(|| Refusal::unknown_url(method, path))?;
    expect_method(method, "POST")?;
    let body: Value = serde_json::from_slice(body).map_err(|_| Refusal::not_json())?;
    if !body.is_object() {
        return Err(Refusal::not_json());
    }
    endpoint(&body, context)
}

fn endpoint(path: &str) -> Option<Endpoint> {
    match path {
        "/v1/chat/completions" => Some(chat::answer),
        "/v1/completions" => Some(completions::answer),
        "/v1/embeddings" => Some(embeddings::answer),
        "/v1/responses" => Some(responses::answer),
        _ => None,
    }
}

fn expect_method(method: &str, expected: &str) -> Result<(), Refusal> {
    if method == expected { Ok(()) } else { Err(Refusal::wrong_method(method)) }
}

/// The model's name, which every endpoint requires.
fn model(body: &Value) -> Result<&str, Refusal> {
    match body.get("model") {
        Some(Value::String(name)) if !name.is_empty() => Ok(name),
        Some(Value::String(_)) | None => Err(Refusal::missing("model")),
        Some(_) => Err(Refusal::invalid("model", "a string")),
    }
}

/// A switch that is off when absent.
fn flag(body: &Value, name: &'static str) -> Result<bool, Refusal> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(on)) => Ok(*on),
        Some(_) => Err(Refusal::invalid(name, "a boolean")),
    }
}

/// A count of at least one that may be absent.
fn count(body: &Value, name: &'static str) -> Result<Option<usize>, Refusal> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_u64().and_then(|count| usize::try_from(count).ok()) {
            Some(count) if count > 0 => Ok(Some(count)),
            _ => Err(Refusal::invalid(name, "an integer of at least 1")),
        },
    }
}

/// Refuses `n` other than 1: the demo has one answer to a request.
fn single_choice(body: &Value) -> Result<(), Refusal> {
    match count(body, "n")? {
        None | Some(1) => Ok(()),
        Some(_) => Err(Refusal::invalid("n", "1 with the demo provider")),
    }
}

fn include_usage(body: &Value) -> bool {
    body.pointer("/stream_options/include_usage").and_then(Value::as_bool).unwrap_or(false)
}
