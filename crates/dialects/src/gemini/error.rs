//! Errors, read from whatever a provider sent and written as Google's clients expect them.
//!
//! Source: `google.rpc.Status` with `google.rpc.error_details`, as the REST front of Google's services writes them:
//! `{"error":{"code","message","status","details":[{"@type",…}]}}`.

use crate::exchange::{ApiError, ErrorClass, Text};
use crate::json::{self, Doc, Out, Value};

/// Most bytes of a provider's words that are passed on.
const MAX_MESSAGE_BYTES: usize = 2_048;

/// Reads the body of an error answer, or an event with an error: Google's, also wrapped in an array as its front for
/// OpenAI's dialect does, or that of another dialect, or no JSON at all.
#[must_use]
pub fn read_error(status: u16, body: &[u8]) -> ApiError {
    let body = body.trim_ascii();
    let object = if body.starts_with(b"[") { json::elements(body).next().unwrap_or_default() } else { body };
    let Ok(doc) = Doc::parse(object) else { return unreadable(status, body) };
    let root = doc.root();
    match root.get("error") {
        Some(error) if error.is_object() => of_object(status, error),
        Some(error) => of_words(status, error.text()),
        None => of_object(status, root),
    }
}

/// What is no JSON: plain words are passed on, a page of HTML is not.
fn unreadable(status: u16, body: &[u8]) -> ApiError {
    let words = String::from_utf8_lossy(&body[..body.len().min(MAX_MESSAGE_BYTES)]);
    let plain = !words.is_empty() && !words.starts_with(['<', '{', '[']);
    ApiError::of_status(status, if plain { cut(&words) } else { unnamed(status) })
}

fn of_words(status: u16, words: Option<Text<'_>>) -> ApiError {
    let words = words.map(|words| cut(&words.decode())).filter(|words| !words.is_empty());
    ApiError::of_status(status, words.unwrap_or_else(|| unnamed(status)))
}

fn unnamed(status: u16) -> String {
    format!("The provider answered with status {status}.")
}

fn of_object(status: u16, error: Value<'_>) -> ApiError {
    let status = http_status(status, error);
    let mut read = of_words(status, error.text_of("message"));
    let name = ["status", "code", "type"].into_iter().find_map(|member| error.text_of(member));
    read.code = name.map(|name| cut(&name.decode()));
    if let Some(class) = read.code.as_deref().and_then(class_of_name) {
        read.class = class;
    }
    // 402 says more than the status name Google gives it.
    if status == 402 {
        read.class = ErrorClass::Billing;
    }
    read.param = error.text_of("param").map(|param| cut(&param.decode()));
    if let Some(details) = error.get("details") {
        read_details(details, &mut read);
    }
    if read.class == ErrorClass::InvalidRequest {
        read.class = class_of_message(&read.message);
    }
    read
}

/// The status of the answer, or, of an error that came with 200, the one it names.
fn http_status(status: u16, error: Value<'_>) -> u16 {
    if status >= 400 {
        return status;
    }
    let named = error.get("code").and_then(Value::u64).and_then(|code| u16::try_from(code).ok());
    named.filter(|code| (400..600).contains(code)).unwrap_or(502)
}

fn read_details(details: Value<'_>, error: &mut ApiError) {
    let mut per_day = false;
    for detail in details.elements() {
        let kind = detail.text_of("@type").unwrap_or_default();
        let kind = kind.decode();
        match kind.rsplit('.').next().unwrap_or_default() {
            "RetryInfo" => {
                error.retry_after_ms = detail.text_of("retryDelay").and_then(|text| duration_ms(&text))
            }
            "ErrorInfo" => read_info(detail, error),
            "BadRequest" => {
                let violation = detail.get("fieldViolations").and_then(|list| list.elements().next());
                let field = violation.and_then(|violation| violation.text_of("field"));
                error.param = field.map(|field| cut(&field.decode())).or_else(|| error.param.take());
            }
            "QuotaFailure" => per_day |= detail.get("violations").is_some_and(is_per_day),
            _ => {}
        }
    }
    if per_day {
        // The delay that comes with it is that of the quota per minute; a wait that short is in vain.
        error.retry_after_ms = None;
    }
}

/// The reason is more exact than the status: an invalid key comes as `INVALID_ARGUMENT`.
fn read_info(detail: Value<'_>, error: &mut ApiError) {
    let Some(reason) = detail.text_of("reason") else { return };
    let reason = cut(&reason.decode());
    match reason.as_str() {
        "API_KEY_INVALID" | "ACCESS_TOKEN_EXPIRED" => error.class = ErrorClass::Authentication,
        "BILLING_DISABLED" => error.class = ErrorClass::Billing,
        _ => {}
    }
    error.code = Some(reason);
}

fn is_per_day(violations: Value<'_>) -> bool {
    violations.elements().any(|one| one.text_of("quotaId").is_some_and(|id| id.decode().contains("PerDay")))
}

/// A `google.protobuf.Duration`, as `46s` or `46.5s`, rounded up.
fn duration_ms(text: &Text<'_>) -> Option<u64> {
    let text = text.decode();
    let seconds: f64 = text.strip_suffix('s')?.parse().ok()?;
    let ms = (seconds * 1000.0).ceil();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be in range")]
    (0.0..1e15).contains(&ms).then_some(ms as u64)
}

/// The class of a `google.rpc.Code` by its name.
fn class_of_name(name: &str) -> Option<ErrorClass> {
    Some(match name {
        "INVALID_ARGUMENT" | "FAILED_PRECONDITION" | "OUT_OF_RANGE" | "UNIMPLEMENTED" => {
            ErrorClass::InvalidRequest
        }
        "UNAUTHENTICATED" => ErrorClass::Authentication,
        "PERMISSION_DENIED" => ErrorClass::Permission,
        "NOT_FOUND" => ErrorClass::NotFound,
        "ALREADY_EXISTS" | "ABORTED" => ErrorClass::Conflict,
        "RESOURCE_EXHAUSTED" => ErrorClass::RateLimit,
        "DEADLINE_EXCEEDED" => ErrorClass::Timeout,
        "UNAVAILABLE" => ErrorClass::Overloaded,
        "INTERNAL" | "UNKNOWN" | "DATA_LOSS" => ErrorClass::Server,
        _ => return None,
    })
}

/// Google gives a prompt that is too long no code of its own.
fn class_of_message(message: &str) -> ErrorClass {
    let too_long = message.contains("exceeds the maximum number of tokens");
    if too_long { ErrorClass::ContextLength } else { ErrorClass::InvalidRequest }
}

/// A text of the provider, cut where it would be too long to pass on.
fn cut(text: &str) -> String {
    let mut end = text.len().min(MAX_MESSAGE_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

/// The name of the `google.rpc.Code` for a class.
fn name_of_class(class: ErrorClass) -> &'static str {
    match class {
        ErrorClass::InvalidRequest
        | ErrorClass::ContextLength
        | ErrorClass::ContentFilter
        | ErrorClass::TooLarge => "INVALID_ARGUMENT",
        ErrorClass::Authentication => "UNAUTHENTICATED",
        ErrorClass::Billing => "FAILED_PRECONDITION",
        ErrorClass::Permission => "PERMISSION_DENIED",
        ErrorClass::NotFound => "NOT_FOUND",
        ErrorClass::Conflict => "ABORTED",
        ErrorClass::RateLimit => "RESOURCE_EXHAUSTED",
        ErrorClass::Timeout => "DEADLINE_EXCEEDED",
        ErrorClass::Overloaded => "UNAVAILABLE",
        ErrorClass::Server => "INTERNAL",
    }
}

/// Appends the body of an error answer.
pub fn write_error(error: &ApiError, out: &mut Vec<u8>) {
    let name = name_of_class(error.class);
    let mut out = Out::new(out);
    out.begin_object().key("error").begin_object();
    out.field_number("code", Some(error.status.into()));
    out.field("message", &error.message).field("status", name);
    let reason = error.code.as_deref().filter(|code| *code != name);
    if reason.is_some() || error.param.is_some() || error.retry_after_ms.is_some() {
        out.key("details").begin_array();
        write_details(reason, error, &mut out);
        out.end_array();
    }
    out.end_object().end_object();
}

fn write_details(reason: Option<&str>, error: &ApiError, out: &mut Out<'_>) {
    if let Some(reason) = reason {
        out.begin_object().field("@type", "type.googleapis.com/google.rpc.ErrorInfo");
        out.field("reason", reason).field("domain", "sluice").end_object();
    }
    if let Some(field) = &error.param {
        out.begin_object().field("@type", "type.googleapis.com/google.rpc.BadRequest");
        out.key("fieldViolations").begin_array().begin_object();
        out.field("field", field).field("description", &error.message);
        out.end_object().end_array().end_object();
    }
    if let Some(ms) = error.retry_after_ms {
        out.begin_object().field("@type", "type.googleapis.com/google.rpc.RetryInfo");
        out.field("retryDelay", &seconds(ms)).end_object();
    }
}

/// Milliseconds as a `google.protobuf.Duration`.
fn seconds(ms: u64) -> String {
    match ms % 1_000 {
        0 => format!("{}s", ms / 1_000),
        rest => format!("{}.{rest:03}s", ms / 1_000),
    }
}
