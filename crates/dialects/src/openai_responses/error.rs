//! Errors. Their bodies are those of chat completions; a stream has an event for them, and a response a member.

use crate::errors::http_error_of_event;
use crate::exchange::{ApiError, ErrorClass};
use crate::json::Doc;
use crate::openai::Endpoint;

/// Reads the body of an error answer, whatever it is.
#[must_use]
pub fn read_error(status: u16, body: &[u8]) -> ApiError {
    crate::openai_chat::read_error(status, body)
}

/// Appends the body of an error answer.
pub fn write_error(error: &ApiError, out: &mut Vec<u8>) {
    crate::openai_chat::write_error(error, out);
}

/// The error of an `error` event or of a failed response.
pub(super) fn error_of_event(data: &[u8]) -> ApiError {
    let nested =
        Doc::parse(data).is_ok_and(|doc| doc.root().get("error").is_some_and(|error| error.is_object()));
    // The specification has the members in the event itself, the service often in an `error` object.
    let endpoint = if nested { Endpoint::Chat } else { Endpoint::Responses };
    let (status, body) = http_error_of_event(endpoint, data);
    read_error(status, &body)
}

/// The code of an error where clients act on it.
pub(super) fn code(error: &ApiError) -> &str {
    match error.class {
        ErrorClass::ContextLength => "context_length_exceeded",
        ErrorClass::Billing => "insufficient_quota",
        ErrorClass::RateLimit => "rate_limit_exceeded",
        ErrorClass::Overloaded => "server_is_overloaded",
        ErrorClass::InvalidRequest | ErrorClass::ContentFilter => {
            error.code.as_deref().unwrap_or("invalid_prompt")
        }
        _ => error.code.as_deref().unwrap_or("server_error"),
    }
}
