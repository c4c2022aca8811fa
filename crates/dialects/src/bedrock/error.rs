//! Errors: plain ones with a status, and exceptions in streams.
//!
//! A body is `{"message": …}`; what sort of error it is says the header `x-amzn-errortype`, and some front ends' `__type`
//! in the body.

use crate::exchange::{ApiError, ErrorClass};
use crate::json::{Doc, Out, Value};

/// Exceptions with their class, and the status they come with.
const EXCEPTIONS: [(&str, ErrorClass, u16); 20] = [
    ("ValidationException", ErrorClass::InvalidRequest, 400),
    ("ThrottlingException", ErrorClass::RateLimit, 429),
    ("InternalServerException", ErrorClass::Server, 500),
    ("ServiceUnavailableException", ErrorClass::Overloaded, 503),
    ("AccessDeniedException", ErrorClass::Permission, 403),
    ("UnrecognizedClientException", ErrorClass::Authentication, 401),
    ("ResourceNotFoundException", ErrorClass::NotFound, 404),
    ("ModelTimeoutException", ErrorClass::Timeout, 408),
    ("ConflictException", ErrorClass::Conflict, 409),
    // The status of these two says that something the request depended on failed: the model.
    ("ModelErrorException", ErrorClass::Server, 500),
    ("ModelStreamErrorException", ErrorClass::Server, 500),
    ("ModelNotReadyException", ErrorClass::RateLimit, 429),
    ("ServiceQuotaExceededException", ErrorClass::RateLimit, 429),
    ("TooManyRequestsException", ErrorClass::RateLimit, 429),
    ("ExpiredTokenException", ErrorClass::Authentication, 401),
    ("InvalidSignatureException", ErrorClass::Authentication, 401),
    ("MissingAuthenticationTokenException", ErrorClass::Authentication, 401),
    ("IncompleteSignatureException", ErrorClass::Authentication, 401),
    ("UnknownOperationException", ErrorClass::NotFound, 404),
    ("RequestEntityTooLargeException", ErrorClass::TooLarge, 413),
];

/// What the messages of some classes say. The exception alone does not tell them from its others.
const TELLING: [(&str, ErrorClass); 12] = [
    ("too long for requested model", ErrorClass::ContextLength),
    ("prompt is too long", ErrorClass::ContextLength),
    ("exceed context limit", ErrorClass::ContextLength),
    ("maximum context length", ErrorClass::ContextLength),
    ("too many input tokens", ErrorClass::ContextLength),
    ("content filtering policy", ErrorClass::ContentFilter),
    ("security token", ErrorClass::Authentication),
    ("request signature", ErrorClass::Authentication),
    ("signature expired", ErrorClass::Authentication),
    ("api key", ErrorClass::Authentication),
    ("bearer token", ErrorClass::Authentication),
    ("payment instrument", ErrorClass::Billing),
];

/// Longest message taken over from a provider, in bytes.
const MAX_MESSAGE_BYTES: usize = 2 << 10;

/// Reads the body of an error, whatever it is.
#[must_use]
pub fn read_error(status: u16, body: &[u8]) -> ApiError {
    read_named(status, None, body)
}

/// Reads an exception of a stream, or an error whose header names the exception.
pub(super) fn read_named(status: u16, name: Option<&str>, body: &[u8]) -> ApiError {
    let doc = Doc::parse(body.trim_ascii()).ok();
    let root = doc.as_ref().map(Doc::root);
    let error = root.map(|root| root.get("error").filter(|error| error.is_object()).unwrap_or(root));
    let message = error.and_then(message_of).or_else(|| plain_message(body));
    let message = message.unwrap_or_else(|| format!("Amazon Bedrock answered with status {status}."));
    let typed = error.and_then(|error| {
        ["__type", "code", "type"]
            .iter()
            .find_map(|name| error.text_of(name))
            .map(|name| name.decode().into_owned())
    });
    // A name may come with its namespace in front or its address behind.
    let name = name.map(str::to_owned).or(typed);
    let name = name.as_deref().map(|name| name.rsplit('#').next().unwrap_or(name));
    let name = name.map(|name| name.split(':').next().unwrap_or(name));
    let known = name.and_then(|name| EXCEPTIONS.iter().find(|(known, ..)| known.eq_ignore_ascii_case(name)));
    let mut found = ApiError::of_status(status, message);
    match known {
        Some((_, class, usual)) => (found.class, found.status) = (*class, *usual),
        None if status == 424 => (found.class, found.status) = (ErrorClass::Server, 500),
        None => {}
    }
    found.code = known.map(|(name, ..)| (*name).to_owned()).or(name.map(str::to_owned));
    found.code = found.code.filter(|code| code.len() <= 64);
    refine(&mut found);
    found
}

/// What only the message tells.
fn refine(error: &mut ApiError) {
    if !matches!(error.class, ErrorClass::InvalidRequest | ErrorClass::Permission) {
        return;
    }
    let message = error.message.to_ascii_lowercase();
    let Some((_, class)) = TELLING.iter().find(|(words, _)| message.contains(words)) else { return };
    error.class = *class;
    match class {
        ErrorClass::Authentication => error.status = 401,
        ErrorClass::Billing => error.status = 402,
        _ => {}
    }
}

fn message_of(error: Value<'_>) -> Option<String> {
    let text = ["message", "Message", "error"].iter().find_map(|name| error.text_of(name))?;
    let message = cut(&text.decode()).to_owned();
    (!message.trim().is_empty()).then_some(message)
}

/// The body itself, where it is plain text: no document, and no page for browsers.
fn plain_message(body: &[u8]) -> Option<String> {
    let body = body.trim_ascii();
    let text = std::str::from_utf8(body).ok()?;
    let plain = !text.is_empty() && !text.starts_with(['{', '[', '<', '"']);
    plain.then(|| cut(text).to_owned())
}

fn cut(text: &str) -> &str {
    let end = (0..=MAX_MESSAGE_BYTES.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or_default()]
}

/// Writes the body of an error.
pub fn write_error(error: &ApiError, out: &mut Vec<u8>) {
    Out::new(out).begin_object().field("message", &error.message).end_object();
}

/// The value of the header `x-amzn-errortype`, by which SDKs know the exception.
#[must_use]
pub fn error_type(error: &ApiError) -> &'static str {
    match error.class {
        ErrorClass::InvalidRequest
        | ErrorClass::ContextLength
        | ErrorClass::ContentFilter
        | ErrorClass::TooLarge => "ValidationException",
        ErrorClass::Authentication => "UnrecognizedClientException",
        ErrorClass::Permission => "AccessDeniedException",
        ErrorClass::Billing => "ServiceQuotaExceededException",
        ErrorClass::NotFound => "ResourceNotFoundException",
        ErrorClass::Conflict => "ConflictException",
        ErrorClass::RateLimit => "ThrottlingException",
        ErrorClass::Timeout => "ModelTimeoutException",
        ErrorClass::Overloaded => "ServiceUnavailableException",
        ErrorClass::Server => "InternalServerException",
    }
}

/// The exception that stands for an error in a stream, of the few there are.
pub(super) fn stream_exception(error: &ApiError) -> &'static str {
    match error.class {
        ErrorClass::RateLimit | ErrorClass::Billing => "throttlingException",
        ErrorClass::Overloaded => "serviceUnavailableException",
        ErrorClass::Timeout => "modelStreamErrorException",
        ErrorClass::Server => "internalServerException",
        _ => "validationException",
    }
}
