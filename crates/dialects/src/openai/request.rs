//! What the gateway reads of a request, and nothing more.

use std::borrow::Cow;
use std::fmt;

use sluice_types::ErrorKind;

use super::Endpoint;
use crate::json::{self, JsonError, JsonErrorKind, Kind, Members, Span};

/// Longest model name accepted, in bytes of UTF-8. The longest in any provider's catalogue are under 120.
pub const MAX_MODEL_BYTES: usize = 256;

/// The members of a request that the gateway acts on. Facts only: no bytes are kept, so the view outlives the buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestView {
    /// Where the request was sent.
    pub endpoint: Endpoint,
    /// The answer is to be a stream of events.
    pub stream: bool,
    /// The client asked for usage at the end of the stream.
    pub include_usage: bool,
    /// Most tokens each choice may have: the largest of `max_completion_tokens`, `max_tokens` (which a provider may read
    /// either of) or `max_output_tokens`. `None` where the client sets no limit, or a negative one, which is for the
    /// provider to judge.
    pub max_output_tokens: Option<u64>,
    /// Choices the provider generates (`n`, or `best_of` where that is more), at least 1.
    pub n: u64,
    /// Where the prompt is: `messages`, `prompt` or `input`.
    pub input: Option<Span>,
    /// The value of `model`, with its quotes; `None` where the path names it.
    pub(super) model: Option<Span>,
    /// How to ask for usage.
    pub(super) usage_option: UsageOption,
}

impl RequestView {
    /// Whether the body names the model.
    #[must_use]
    pub fn names_model(&self) -> bool {
        self.model.is_some()
    }
}

/// What it takes to have `stream_options.include_usage` set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UsageOption {
    /// Nothing: it is set, or the endpoint does not have it.
    Nothing,
    /// Insert `stream_options` as the first member, at this offset.
    InsertOptions(u32),
    /// Replace the value of `stream_options`, which is `null` or `{}`.
    ReplaceOptions(Span),
    /// Insert `include_usage` as the first member of `stream_options`, at this offset.
    InsertMember(u32),
    /// Replace the value of `include_usage`, which is `false` or `null`.
    ReplaceMember(Span),
}

/// Why a request was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestError {
    /// A sentence for the client. Holds nothing of the body but positions.
    pub message: Cow<'static, str>,
    /// The member it is about, as in `error.param`.
    pub param: Option<&'static str>,
}

impl RequestError {
    /// The class of the error, always [`ErrorKind::InvalidBody`].
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::InvalidBody
    }

    /// About one member.
    #[cold]
    #[must_use]
    pub fn about(param: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self { message: message.into(), param: Some(param) }
    }

    #[cold]
    pub(crate) fn json(error: JsonError, wanted: &[&'static str]) -> Self {
        let param = match error.kind {
            JsonErrorKind::DuplicateMember(index) | JsonErrorKind::AmbiguousMember(index) => {
                wanted.get(usize::from(index)).copied()
            }
            _ => None,
        };
        Self { message: Cow::Owned(format!("Could not parse the request body: {error}.")), param }
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for RequestError {}

/// Validates a request body and reads what the gateway acts on.
///
/// Refuses what is not JSON, what two readers could understand differently, and members we act on that have a type they
/// cannot have. Everything else is the provider's to judge: limits, ranges, unknown members, an empty list of messages.
///
/// # Errors
///
/// [`RequestError`], with the member it is about where there is one.
pub fn inspect(endpoint: Endpoint, body: &[u8]) -> Result<RequestView, RequestError> {
    inspect_call(endpoint, body, false)
}

/// The same for a request whose path names the model, as Azure's do: the body may then leave it out.
///
/// # Errors
///
/// As [`inspect`].
pub fn inspect_call(endpoint: Endpoint, body: &[u8], in_path: bool) -> Result<RequestView, RequestError> {
    match endpoint {
        Endpoint::Chat => chat(body, in_path),
        Endpoint::Completions => completions(body, in_path),
        Endpoint::Embeddings => embeddings(body, in_path),
        Endpoint::Responses => responses(body, in_path),
    }
}

fn chat(body: &[u8], in_path: bool) -> Result<RequestView, RequestError> {
    const WANTED: [&str; 7] =
        ["model", "messages", "stream", "stream_options", "max_completion_tokens", "max_tokens", "n"];
    let members = scan(body, &WANTED)?;
    let [model, messages, stream, options, max_completion, max, n] = members.values;
    let mut view = view(Endpoint::Chat, body, model, in_path)?;
    view.input = Some(required(body, messages, "messages", &[Kind::Array])?);
    view.stream = flag(body, stream, "stream")?;
    let max_completion = count(body, max_completion, "max_completion_tokens")?;
    view.max_output_tokens = max_completion.max(count(body, max, "max_tokens")?);
    view.n = count(body, n, "n")?.unwrap_or(1).max(1);
    usage_option(&mut view, body, options, members.after_brace)?;
    Ok(view)
}

fn completions(body: &[u8], in_path: bool) -> Result<RequestView, RequestError> {
    const WANTED: [&str; 7] = ["model", "prompt", "stream", "stream_options", "max_tokens", "n", "best_of"];
    let members = scan(body, &WANTED)?;
    let [model, prompt, stream, options, max, n, best_of] = members.values;
    let mut view = view(Endpoint::Completions, body, model, in_path)?;
    view.input = optional(body, prompt, "prompt", &[Kind::String, Kind::Array, Kind::Null])?;
    view.stream = flag(body, stream, "stream")?;
    view.max_output_tokens = count(body, max, "max_tokens")?;
    view.n = count(body, n, "n")?.max(count(body, best_of, "best_of")?).unwrap_or(1).max(1);
    usage_option(&mut view, body, options, members.after_brace)?;
    Ok(view)
}

fn embeddings(body: &[u8], in_path: bool) -> Result<RequestView, RequestError> {
    const WANTED: [&str; 2] = ["model", "input"];
    let [model, input] = scan(body, &WANTED)?.values;
    let mut view = view(Endpoint::Embeddings, body, model, in_path)?;
    view.input = Some(required(body, input, "input", &[Kind::String, Kind::Array])?);
    Ok(view)
}

fn responses(body: &[u8], in_path: bool) -> Result<RequestView, RequestError> {
    const WANTED: [&str; 4] = ["model", "input", "stream", "max_output_tokens"];
    let [model, input, stream, max] = scan(body, &WANTED)?.values;
    let mut view = view(Endpoint::Responses, body, model, in_path)?;
    // A stored prompt or conversation may stand in for it.
    view.input = optional(body, input, "input", &[Kind::String, Kind::Array, Kind::Null])?;
    view.stream = flag(body, stream, "stream")?;
    view.max_output_tokens = count(body, max, "max_output_tokens")?;
    Ok(view)
}

/// Where the wanted members of a body are.
pub(crate) fn scan<const N: usize>(
    body: &[u8],
    wanted: &[&'static str; N],
) -> Result<Members<N>, RequestError> {
    json::scan_object(body, wanted).map_err(|error| RequestError::json(error, wanted))
}

/// A view with the model read and everything else at its default.
fn view(
    endpoint: Endpoint,
    body: &[u8],
    model: Option<Span>,
    in_path: bool,
) -> Result<RequestView, RequestError> {
    if model.is_some() || !in_path {
        crate::native::model_name(body, model, &mut [0; MAX_MODEL_BYTES])?;
    }
    Ok(RequestView {
        endpoint,
        stream: false,
        include_usage: false,
        max_output_tokens: None,
        n: 1,
        input: None,
        model,
        usage_option: UsageOption::Nothing,
    })
}

/// The place of a member that must be there, of one of these kinds.
pub(crate) fn required(
    body: &[u8],
    value: Option<Span>,
    param: &'static str,
    kinds: &[Kind],
) -> Result<Span, RequestError> {
    let present = optional(body, value, param, kinds)?;
    present.ok_or_else(|| RequestError::about(param, MISSING))
}

const MISSING: &str = "Missing required parameter.";
const WRONG_TYPE: &str = "Invalid type for this parameter.";

fn optional(
    body: &[u8],
    value: Option<Span>,
    param: &'static str,
    kinds: &[Kind],
) -> Result<Option<Span>, RequestError> {
    match value {
        Some(span) if !kinds.contains(&json::kind_of(span.of(body))) => {
            Err(RequestError::about(param, WRONG_TYPE))
        }
        value => Ok(value),
    }
}

/// A boolean; absent and `null` are false.
pub(crate) fn flag(body: &[u8], value: Option<Span>, param: &'static str) -> Result<bool, RequestError> {
    let Some(value) = value.map(|span| span.of(body)) else { return Ok(false) };
    match (json::as_bool(value), json::kind_of(value)) {
        (Some(flag), _) => Ok(flag),
        (None, Kind::Null) => Ok(false),
        _ => Err(RequestError::about(param, WRONG_TYPE)),
    }
}

/// A count; absent and `null` are none, and so are numbers that are no count.
pub(crate) fn count(
    body: &[u8],
    value: Option<Span>,
    param: &'static str,
) -> Result<Option<u64>, RequestError> {
    let Some(value) = value.map(|span| span.of(body)) else { return Ok(None) };
    match json::kind_of(value) {
        Kind::Number => Ok(json::as_u64(value)),
        Kind::Null => Ok(None),
        _ => Err(RequestError::about(param, WRONG_TYPE)),
    }
}

/// Reads `stream_options.include_usage`, and what it would take to set it.
fn usage_option(
    view: &mut RequestView,
    body: &[u8],
    options: Option<Span>,
    after_brace: u32,
) -> Result<(), RequestError> {
    let Some(span) = options else {
        view.usage_option = UsageOption::InsertOptions(after_brace);
        return Ok(());
    };
    match json::kind_of(span.of(body)) {
        Kind::Null => view.usage_option = UsageOption::ReplaceOptions(span),
        Kind::Object => return usage_member(view, body, span),
        _ => return Err(RequestError::about("stream_options", WRONG_TYPE)),
    }
    Ok(())
}

fn usage_member(view: &mut RequestView, body: &[u8], options: Span) -> Result<(), RequestError> {
    const PARAM: &str = "stream_options.include_usage";
    let members = json::scan_object(options.of(body), &["include_usage"])
        .map_err(|error| RequestError::json(error, &[PARAM]))?;
    let include = members.values[0].map(|span| options.nested(span));
    view.include_usage = flag(body, include, PARAM)?;
    view.usage_option = match include {
        _ if view.include_usage => UsageOption::Nothing,
        _ if members.empty => UsageOption::ReplaceOptions(options),
        Some(value) => UsageOption::ReplaceMember(value),
        None => UsageOption::InsertMember(options.start + members.after_brace),
    };
    Ok(())
}
