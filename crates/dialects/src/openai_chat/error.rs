//! Errors.

use crate::exchange::{ApiError, ErrorClass, Text};
use crate::json::{Doc, Kind, Out, Value};

/// Most bytes of a provider's message that are passed on.
const MAX_MESSAGE_BYTES: usize = 2_048;

/// Reads the body of an error answer: OpenAI's, or that of one of the many that are nearly like it (an array around it,
/// `error` as a string, Mistral's `detail`, a bare `message`), or whatever else was sent.
#[must_use]
pub fn read_error(status: u16, body: &[u8]) -> ApiError {
    let trimmed = body.trim_ascii();
    let object = trimmed.strip_prefix(b"[").and_then(|rest| rest.strip_suffix(b"]")).unwrap_or(trimmed);
    match Doc::parse(object) {
        Ok(doc) => read_root(doc.root(), Some(status)),
        Err(_) => ApiError::of_status(status, text_message(status, trimmed)),
    }
}

/// The error that an event of a stream holds; `None` where it holds none. The status is that of its class.
pub(super) fn read_event(root: Value<'_>) -> Option<ApiError> {
    let error = root.get("error")?;
    let is_error = matches!(error.kind(), Kind::Object | Kind::String);
    is_error.then(|| read_root(root, None))
}

fn read_root(root: Value<'_>, status: Option<u16>) -> ApiError {
    let error = root.get("error").filter(|error| error.is_object()).unwrap_or(root);
    let message = message(root, error);
    let code = error.get("code").and_then(word);
    let kind = error.text_of("type").map(|kind| kind.decode().into_owned());
    let status_inside = error.get("code").and_then(Value::u64).and_then(|code| u16::try_from(code).ok());
    let known = status.or(status_inside.filter(|code| (400..600).contains(code)));
    let inner = error.get("innererror").and_then(|inner| inner.text_of("code"));
    let words = [code.as_deref(), kind.as_deref(), inner.as_ref().map(|_| "content_filter")];
    let class = class_of(known, &words, &message);
    let status = known.unwrap_or_else(|| status_of(class));
    let message = if message.is_empty() { unexplained(status) } else { message };
    ApiError {
        status,
        class,
        retry_after_ms: retry_delay(error).or_else(|| retry_hint(&message)),
        message,
        code,
        param: error.text_of("param").map(|param| param.decode().into_owned()),
    }
}

/// A code, which some providers give as a number.
fn word(value: Value<'_>) -> Option<String> {
    match value.kind() {
        Kind::String => value.text().map(|text| text.decode().into_owned()).filter(|text| !text.is_empty()),
        Kind::Number => Some(String::from_utf8_lossy(value.raw()).into_owned()),
        _ => None,
    }
}

fn message(root: Value<'_>, error: Value<'_>) -> String {
    let text = error.text_of("message").or_else(|| root.text_of("error")).or_else(|| root.text_of("detail"));
    let text = text.or_else(|| root.text_of("msg"));
    let decoded = match (text, root.get("detail").filter(|detail| detail.is_array() || detail.is_object())) {
        (Some(text), _) => text.decode().into_owned(),
        (None, Some(detail)) => details(detail),
        (None, None) => String::new(),
    };
    cut(decoded)
}

/// What a validator found wrong: `[{"loc":[…],"msg":…}]`.
fn details(detail: Value<'_>) -> String {
    let found: Vec<_> = detail.elements().filter_map(|found| found.text_of("msg")).collect();
    if found.is_empty() {
        return String::from_utf8_lossy(detail.raw()).into_owned();
    }
    let words: Vec<_> = found.iter().map(Text::decode).collect();
    words.join("; ")
}

fn cut(mut message: String) -> String {
    let mut end = message.len().min(MAX_MESSAGE_BYTES);
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    message.truncate(end);
    message
}

fn unexplained(status: u16) -> String {
    format!("The provider answered with status {status} and no explanation.")
}

/// What is no JSON: words are passed on, a web page is not.
fn text_message(status: u16, body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(MAX_MESSAGE_BYTES)]).into_owned();
    if text.is_empty() || text.starts_with('<') { unexplained(status) } else { cut(text) }
}

fn class_of(status: Option<u16>, words: &[Option<&str>], message: &str) -> ErrorClass {
    if let Some(class) = words.iter().flatten().find_map(|word| class_of_word(word)) {
        return class;
    }
    match status.map(ErrorClass::of_status) {
        Some(ErrorClass::InvalidRequest) | None if is_context_message(message) => ErrorClass::ContextLength,
        Some(class) => class,
        None if words.contains(&Some("invalid_request_error")) => ErrorClass::InvalidRequest,
        None => ErrorClass::Server,
    }
}

fn is_context_message(message: &str) -> bool {
    ["maximum context length", "context window", "prompt is too long"]
        .iter()
        .any(|words| message.contains(words))
}

/// What codes and types say, of which the type `invalid_request_error` says nothing. Source: OpenAI's guide to error codes
/// and specification 2.3.0, Azure's content filter.
fn class_of_word(word: &str) -> Option<ErrorClass> {
    Some(match word {
        "context_length_exceeded" => ErrorClass::ContextLength,
        "content_filter" | "content_policy_violation" | "ResponsibleAIPolicyViolation" => {
            ErrorClass::ContentFilter
        }
        "invalid_api_key" | "authentication_error" => ErrorClass::Authentication,
        "insufficient_quota"
        | "credit_balance_exhausted"
        | "organization_spend_limit_exceeded"
        | "project_spend_limit_exceeded"
        | "organization_usage_limit_exceeded"
        | "billing_hard_limit_reached"
        | "billing_not_active" => ErrorClass::Billing,
        "permission_error" | "unsupported_country_region_territory" => ErrorClass::Permission,
        "model_not_found" | "not_found_error" | "DeploymentNotFound" | "unknown_url" => ErrorClass::NotFound,
        "request_too_large" => ErrorClass::TooLarge,
        "rate_limit_exceeded" | "rate_limit_error" | "slow_down" | "tokens" | "requests" => {
            ErrorClass::RateLimit
        }
        "server_is_overloaded" | "overloaded_error" | "service_unavailable" => ErrorClass::Overloaded,
        "timeout" | "request_timeout" | "upstream_timeout" => ErrorClass::Timeout,
        _ => return None,
    })
}

fn status_of(class: ErrorClass) -> u16 {
    match class {
        ErrorClass::InvalidRequest | ErrorClass::ContextLength | ErrorClass::ContentFilter => 400,
        ErrorClass::Authentication => 401,
        ErrorClass::Billing | ErrorClass::RateLimit => 429,
        ErrorClass::Permission => 403,
        ErrorClass::NotFound => 404,
        ErrorClass::Conflict => 409,
        ErrorClass::TooLarge => 413,
        ErrorClass::Timeout => 504,
        ErrorClass::Overloaded => 503,
        ErrorClass::Server => 500,
    }
}

/// Google's `RetryInfo`, which its compatible endpoint leaves in `details`.
fn retry_delay(error: Value<'_>) -> Option<u64> {
    let delay = error.get("details")?.elements().find_map(|detail| detail.text_of("retryDelay"))?;
    duration_ms(&delay.decode())
}

/// The delay in a sentence like "Please try again in 5.289s."
fn retry_hint(message: &str) -> Option<u64> {
    let (_, rest) = message.split_once("try again in ")?;
    let word = rest.split_whitespace().next()?;
    duration_ms(word.trim_end_matches(['.', ',']))
}

/// A duration as `120ms`, `5.289s` or `6m0s`.
fn duration_ms(text: &str) -> Option<u64> {
    let (mut total, mut rest) = (0.0, text);
    while !rest.is_empty() {
        let unit_at = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..unit_at].parse().ok()?;
        let after = &rest[unit_at..];
        let unit_end = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        total += number * unit_ms(&after[..unit_end])?;
        rest = &after[unit_end..];
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "no number parsed is negative; it saturates"
    )]
    (total > 0.0).then(|| total.ceil() as u64)
}

fn unit_ms(unit: &str) -> Option<f64> {
    match unit {
        "ms" => Some(1.0),
        "s" => Some(1_000.0),
        "m" => Some(60_000.0),
        "h" => Some(3_600_000.0),
        _ => None,
    }
}

/// Appends `{"error":{"message","type","param","code"}}`.
pub fn write_error(error: &ApiError, out: &mut Vec<u8>) {
    let (kind, class_code) = words_of(error.class);
    let own_code = error.code.as_deref().filter(|_| !has_one_code(error.class));
    let mut out = Out::new(out);
    out.begin_object()
        .key("error")
        .begin_object()
        .field("message", &error.message)
        .field("type", kind)
        .key("param");
    match &error.param {
        Some(param) => out.string(param),
        None => out.null(),
    };
    out.key("code");
    match own_code.or(class_code) {
        Some(code) => out.string(code),
        None => out.null(),
    };
    out.end_object().end_object();
}

/// Whether clients know the class by one code only, so that another dialect's would hide it from them.
fn has_one_code(class: ErrorClass) -> bool {
    matches!(class, ErrorClass::ContextLength | ErrorClass::ContentFilter)
}

/// The type of a class, and its code where no better one is known.
fn words_of(class: ErrorClass) -> (&'static str, Option<&'static str>) {
    const INVALID: &str = "invalid_request_error";
    match class {
        ErrorClass::InvalidRequest | ErrorClass::Conflict => (INVALID, None),
        ErrorClass::ContextLength => (INVALID, Some("context_length_exceeded")),
        ErrorClass::ContentFilter => (INVALID, Some("content_filter")),
        ErrorClass::Authentication => (INVALID, Some("invalid_api_key")),
        ErrorClass::Billing => ("insufficient_quota", Some("insufficient_quota")),
        ErrorClass::Permission => ("permission_error", None),
        ErrorClass::NotFound => (INVALID, Some("model_not_found")),
        ErrorClass::TooLarge => (INVALID, Some("request_too_large")),
        ErrorClass::RateLimit => ("rate_limit_error", Some("rate_limit_exceeded")),
        ErrorClass::Timeout => ("server_error", Some("upstream_timeout")),
        ErrorClass::Overloaded => ("server_error", Some("server_is_overloaded")),
        ErrorClass::Server => ("server_error", None),
    }
}
