//! What the gateway reads of a request's body, whichever its dialect.

use sluice_dialects::native::{inspect_model, model_name, with_model};
use sluice_dialects::openai::{self, Endpoint, MAX_MODEL_BYTES, Pieces, RequestError, RequestView};
use sluice_dialects::wire::NativeView;
use sluice_dialects::{anthropic, bedrock, cohere, gemini};
use sluice_http1::{Known, RequestHead};
use sluice_types::{ErrorKind, Route};

use crate::form::FormView;
use crate::refusal::Refusal;

/// The view of one request. Facts only: no bytes are kept.
#[derive(Clone, Copy, Debug)]
pub(crate) enum View {
    /// Of OpenAI's dialect.
    Openai(RequestView),
    /// Of any other.
    Native(NativeView),
    /// A form.
    Form(FormView),
}

/// Validates a body and reads what is acted on. `in_path` says that the path names the model.
pub(crate) fn inspect(route: Route, body: &[u8], in_path: bool) -> Result<View, RequestError> {
    if let Some(endpoint) = Endpoint::from_route(route) {
        return openai::inspect_call(endpoint, body, in_path).map(View::Openai);
    }
    let mut view = match route {
        Route::Messages | Route::CountTokens => anthropic::inspect(body),
        Route::GenerateContent | Route::StreamGenerateContent => gemini::inspect(body),
        Route::Converse | Route::ConverseStream => bedrock::inspect(body),
        Route::CohereChat => cohere::inspect(body),
        _ => inspect_model(body),
    }?;
    view.n = view.n.max(1);
    view.stream |=
        matches!(route, Route::StreamGenerateContent | Route::ConverseStream | Route::InvokeStream);
    if !in_path {
        model_name(body, view.model, &mut [0; MAX_MODEL_BYTES])?;
    }
    Ok(View::Native(view))
}

impl View {
    /// The model the body names; empty where it names none.
    pub(crate) fn model<'a>(&self, body: &'a [u8], scratch: &'a mut [u8; MAX_MODEL_BYTES]) -> &'a str {
        match self {
            Self::Openai(view) => view.model(body, scratch),
            Self::Native(view) => model_name(body, view.model, scratch).unwrap_or_default(),
            Self::Form(view) => view.model(body),
        }
    }

    /// Whether the body names the model.
    pub(crate) fn names_model(&self) -> bool {
        match self {
            Self::Openai(view) => view.names_model(),
            Self::Native(view) => view.model.is_some(),
            Self::Form(view) => view.model.is_some(),
        }
    }

    pub(crate) fn stream(&self) -> bool {
        match self {
            Self::Openai(view) => view.stream,
            Self::Native(view) => view.stream,
            Self::Form(view) => view.stream,
        }
    }

    /// Whether the client wants usage in its stream; all but OpenAI's clients always get it.
    pub(crate) fn include_usage(&self) -> bool {
        match self {
            Self::Openai(view) => view.include_usage,
            Self::Native(_) | Self::Form(_) => true,
        }
    }

    pub(crate) fn max_output_tokens(&self) -> Option<u64> {
        match self {
            Self::Openai(view) => view.max_output_tokens,
            Self::Native(view) => view.max_output_tokens,
            Self::Form(_) => None,
        }
    }

    /// Answers wanted, at least 1.
    pub(crate) fn n(&self) -> u64 {
        match self {
            Self::Openai(view) => view.n,
            Self::Native(view) => view.n,
            Self::Form(_) => 1,
        }
    }

    /// The body to send to a provider of the same dialect. `model` is its name there as a JSON string with quotes, or a
    /// member with a comma where the body names none; in a form it is what [`FormView::write_model`] wrote.
    pub(crate) fn splices<'a>(
        &self,
        body: &'a [u8],
        model: Option<&'a str>,
        force_usage: bool,
    ) -> Pieces<'a> {
        match self {
            Self::Openai(view) => view.splices(body, model, force_usage),
            Self::Native(view) => with_model(body, view.model, model),
            Self::Form(view) => view.splices(body, model),
        }
    }
}

/// The model a request asks for: as the path has it, or else the body.
pub(crate) fn asked_model<'a>(
    view: &View,
    path_model: &'a str,
    body: &'a [u8],
    scratch: &'a mut [u8; MAX_MODEL_BYTES],
) -> &'a str {
    if path_model.is_empty() { view.model(body, scratch) } else { path_model }
}

/// Refuses a body that says it is something other than JSON.
pub(crate) fn check_content_type(head: &RequestHead, bytes: &[u8]) -> Result<(), Refusal> {
    if is_json(head, bytes).unwrap_or(true) {
        return Ok(());
    }
    Err(Refusal::new(
        ErrorKind::InvalidBody,
        "The body is not JSON. Send it with `Content-Type: application/json`.",
    ))
}

/// Whether the content type is JSON's; `None` where there is none.
pub(crate) fn is_json(head: &RequestHead, bytes: &[u8]) -> Option<bool> {
    let content_type = head.known(bytes, Known::ContentType)?;
    let media = content_type.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    Some(
        media.eq_ignore_ascii_case(b"application/json")
            || media.len() > 5 && media[media.len() - 5..].eq_ignore_ascii_case(b"+json"),
    )
}
