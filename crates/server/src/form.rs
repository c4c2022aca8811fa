//! Calls whose body is a form: sound to transcribe, images to edit. They name their model in a field.

use sluice_dialects::json::Span;
use sluice_dialects::multipart::{Boundary, FormError, FormErrorKind, scan_form};
use sluice_dialects::native::with_model;
use sluice_dialects::openai::{MAX_MODEL_BYTES, Pieces, RequestError};
use sluice_http1::{Known, RequestHead};
use sluice_types::{ErrorKind, Route};

use crate::call_view::{self, View};
use crate::refusal::Refusal;

/// The fields that are acted on.
const WANTED: [&str; 2] = ["model", "stream"];

/// What is read of a form.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FormView {
    /// The value of `model`; absent only where the path names it.
    pub(crate) model: Option<Span>,
    /// The answer is to be a stream of events.
    pub(crate) stream: bool,
}

impl FormView {
    /// The model the form names; empty where it names none.
    pub(crate) fn model<'a>(&self, body: &'a [u8]) -> &'a str {
        std::str::from_utf8(self.model.unwrap_or_default().of(body)).unwrap_or_default()
    }

    /// The form with another model, as [`FormView::write_model`] wrote it.
    pub(crate) fn splices<'a>(&self, body: &'a [u8], model: Option<&'a str>) -> Pieces<'a> {
        with_model(body, Some(self.model.unwrap_or_default()), model)
    }

    /// Writes what goes in place of the model: its name, or the whole field where the form has none.
    pub(crate) fn write_model(&self, out: &mut String, name: &str, boundary: Option<Boundary<'_>>) {
        out.clear();
        let boundary = boundary.filter(|_| self.model.is_none());
        if let Some(boundary) = boundary {
            out.push_str("--");
            out.push_str(&String::from_utf8_lossy(boundary.as_bytes()));
            out.push_str("\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n");
        }
        out.push_str(name);
        if boundary.is_some() {
            out.push_str("\r\n");
        }
    }
}

/// The boundary that the head of a request names.
pub(crate) fn boundary_of<'b>(head: &RequestHead, bytes: &'b [u8]) -> Option<Boundary<'b>> {
    Boundary::of(head.known(bytes, Known::ContentType)?)
}

/// Refuses a body that says it is no form. Edits of images may be JSON, with the images as references.
pub(crate) fn check_content_type(route: Route, head: &RequestHead, bytes: &[u8]) -> Result<(), Refusal> {
    if boundary_of(head, bytes).is_some()
        || route == Route::ImageEdits && call_view::is_json(head, bytes) == Some(true)
    {
        return Ok(());
    }
    Err(Refusal::new(
        ErrorKind::InvalidBody,
        "The body is not a form. Send it with `Content-Type: multipart/form-data` and its boundary.",
    ))
}

/// Validates a form and reads what is acted on. `in_path` says that the path names the model.
pub(crate) fn inspect(
    route: Route,
    head: &RequestHead,
    bytes: &[u8],
    body: &[u8],
    in_path: bool,
) -> Result<View, RequestError> {
    let Some(boundary) = boundary_of(head, bytes) else {
        return call_view::inspect(route, body, in_path);
    };
    let [model, stream] = scan_form(body, boundary, &WANTED).map_err(refused)?;
    match model {
        Some(model) => check_model(model.of(body))?,
        None if in_path => {}
        None => return Err(RequestError::about("model", "You must provide a model parameter.")),
    }
    let stream = stream.map_or(Ok(false), |stream| flag(stream.of(body)))?;
    Ok(View::Form(FormView { model, stream }))
}

fn refused(error: FormError) -> RequestError {
    let param = match error.kind {
        FormErrorKind::DuplicateField(index)
        | FormErrorKind::AmbiguousField(index)
        | FormErrorKind::NotText(index) => WANTED.get(usize::from(index)).copied(),
        _ => None,
    };
    RequestError { message: format!("Could not parse the request body: {error}.").into(), param }
}

fn check_model(name: &[u8]) -> Result<(), RequestError> {
    let message = match std::str::from_utf8(name) {
        Ok("") => "Invalid 'model': empty string.",
        Ok(name) if name.len() > MAX_MODEL_BYTES => "Invalid 'model': longer than 256 bytes.",
        Ok(name) if !name.chars().any(char::is_control) => return Ok(()),
        _ => "Invalid 'model': not valid Unicode text of one line.",
    };
    Err(RequestError::about("model", message))
}

/// A truth in a form, in the spellings that OpenAI's server takes.
fn flag(value: &[u8]) -> Result<bool, RequestError> {
    let is = |words: &[&str]| words.iter().any(|word| value.eq_ignore_ascii_case(word.as_bytes()));
    match value {
        _ if is(&["true", "1", "yes", "on", "t", "y"]) => Ok(true),
        _ if is(&["false", "0", "no", "off", "f", "n", "", "null"]) => Ok(false),
        _ => Err(RequestError::about("stream", "Invalid type for 'stream': expected true or false.")),
    }
}
