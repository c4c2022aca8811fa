//! What is read of a request that passes untouched, where all that matters of its body is the model.

use crate::json::{self, Span, StringError};
use crate::openai::{MAX_MODEL_BYTES, Pieces, RequestError};
use crate::wire::NativeView;

/// Validates a body and finds its model: for calls of which nothing else is acted on.
///
/// # Errors
///
/// Where it is no JSON object, names its model twice, or the model is no text.
pub fn inspect_model(body: &[u8]) -> Result<NativeView, RequestError> {
    let members =
        json::scan_object(body, &["model"]).map_err(|error| RequestError::json(error, &["model"]))?;
    Ok(NativeView { model: members.values[0], n: 1, ..NativeView::default() })
}

/// The model's name, which must be there.
///
/// # Errors
///
/// Where it is missing, no text, empty or too long.
pub fn model_name<'a>(
    body: &'a [u8],
    model: Option<Span>,
    scratch: &'a mut [u8; MAX_MODEL_BYTES],
) -> Result<&'a str, RequestError> {
    let refused = |message| RequestError::about("model", message);
    let model = model.ok_or_else(|| refused("You must provide a model parameter."))?;
    match json::unescape(model.of(body), scratch) {
        Ok("") => Err(refused("Invalid 'model': empty string.")),
        Ok(name) if name.len() <= MAX_MODEL_BYTES => Ok(name),
        Ok(_) | Err(StringError::TooLong) => Err(refused("Invalid 'model': longer than 256 bytes.")),
        Err(StringError::NotAString) => Err(refused("Invalid type for 'model': expected a string.")),
        Err(StringError::NotText) => Err(refused("Invalid 'model': not valid Unicode text.")),
    }
}

/// The body to send upstream: as it is, but for the model's name, a JSON string with its quotes; where the body has no
/// model, the member to begin with, as `"model":"NAME",`.
#[must_use]
pub fn with_model<'a>(body: &'a [u8], model: Option<Span>, name: Option<&'a str>) -> Pieces<'a> {
    match (model, name) {
        (None, Some(member)) => Pieces::beginning_with(body, member),
        _ => Pieces::replacing(body, model.zip(name)),
    }
}
