//! Errors. Source: the errors page of the Messages API and the error types of its official clients.

use crate::exchange::{ApiError, ErrorClass};
use crate::json::{self, Doc, Out, Value};

/// Most bytes of a foreign body that become a message.
const MAX_MESSAGE_BYTES: usize = 2048;

/// Types of errors, with what they mean in any dialect and the status they come with where that is not told, as in a
/// stream. The first of a class is the one that is written for it.
const TYPES: [(&str, ErrorClass, u16); 12] = [
    ("invalid_request_error", ErrorClass::InvalidRequest, 400),
    ("authentication_error", ErrorClass::Authentication, 401),
    ("billing_error", ErrorClass::Billing, 402),
    ("permission_error", ErrorClass::Permission, 403),
    ("not_found_error", ErrorClass::NotFound, 404),
    ("conflict_error", ErrorClass::Conflict, 409),
    ("request_too_large", ErrorClass::TooLarge, 413),
    ("rate_limit_error", ErrorClass::RateLimit, 429),
    ("api_error", ErrorClass::Server, 500),
    ("timeout_error", ErrorClass::Timeout, 504),
    ("overloaded_error", ErrorClass::Overloaded, 529),
    ("server_error", ErrorClass::Server, 500),
];

/// Members of a request that messages of errors begin with, as `messages.1.content: …`.
const PARAMS: [&str; 12] = [
    "messages",
    "system",
    "tools",
    "tool_choice",
    "model",
    "max_tokens",
    "thinking",
    "output_config",
    "temperature",
    "top_p",
    "stop_sequences",
    "metadata",
];

/// Reads the body of an error answer: the dialect's own, another's, or no JSON at all.
#[must_use]
pub fn read_error(status: u16, body: &[u8]) -> ApiError {
    let body = body.trim_ascii();
    // Some gateways wrap the error in an array.
    let body = json::elements(body).next().unwrap_or(body);
    match Doc::parse(body) {
        Ok(doc) => of_object(Some(status), doc.root()),
        Err(_) => ApiError::of_status(status, text_of(status, body)),
    }
}

/// Reads the data of an `error` event; its type says which status it would have had.
pub(super) fn read_stream_error(data: &[u8]) -> ApiError {
    match Doc::parse(data) {
        Ok(doc) => of_object(None, doc.root()),
        Err(_) => ApiError::of_status(500, text_of(500, data)),
    }
}

fn of_object(status: Option<u16>, root: Value<'_>) -> ApiError {
    let error = root.get("error").unwrap_or(root);
    let text = |from: Value<'_>, name| from.text_of(name).map(|text| text.decode().into_owned());
    let named = error.text_of("type").and_then(|kind| TYPES.iter().find(|(name, ..)| kind.is(name)));
    let status = status.or(named.map(|(.., status)| *status)).unwrap_or(500);
    let code = error.get("details").and_then(|details| text(details, "error_code"));
    let code = code.or_else(|| text(error, "error_code")).or_else(|| text(error, "code"));
    let message = error.text().map(|text| text.decode().into_owned());
    let message = message.or_else(|| text(error, "message")).or_else(|| text(root, "message"));
    let message = message.or_else(|| text(root, "detail"));
    let message = message.unwrap_or_else(|| String::from_utf8_lossy(root.raw()).into_owned());
    let class = match named {
        // A status that says more than "invalid" is the better witness: 413 and 404 come with either type.
        Some((_, ErrorClass::InvalidRequest, _)) | None => ErrorClass::of_status(status),
        Some((_, class, _)) => *class,
    };
    ApiError {
        status,
        class: refined(class, &message, code.as_deref()),
        param: param_of(&message),
        message: clipped(message),
        code,
        retry_after_ms: None,
    }
}

/// What only the words of an error tell. They may change; then the error is as it was typed.
fn refined(class: ErrorClass, message: &str, code: Option<&str>) -> ErrorClass {
    let says = |words: &str| message.contains(words);
    match class {
        _ if code.is_some_and(|code| code.contains("spend_limit")) => ErrorClass::Billing,
        ErrorClass::InvalidRequest if code == Some("context_length_exceeded") => ErrorClass::ContextLength,
        ErrorClass::InvalidRequest if says("prompt is too long") || says("exceed context limit") => {
            ErrorClass::ContextLength
        }
        ErrorClass::InvalidRequest if says("credit balance is too low") => ErrorClass::Billing,
        ErrorClass::InvalidRequest if says("content filtering policy") => ErrorClass::ContentFilter,
        class => class,
    }
}

/// The member that a message is about: the path before its first colon.
fn param_of(message: &str) -> Option<String> {
    let (path, _) = message.split_once(": ")?;
    let member = path.split('.').next()?;
    (PARAMS.contains(&member) && path.len() <= 128 && !path.contains(' ')).then(|| path.to_owned())
}

fn text_of(status: u16, body: &[u8]) -> String {
    if body.is_empty() || body.starts_with(b"<") || body.contains(&0) {
        return format!("The provider answered with status {status} and no explanation.");
    }
    clipped(String::from_utf8_lossy(&body[..body.len().min(MAX_MESSAGE_BYTES)]).into_owned())
}

fn clipped(mut text: String) -> String {
    if text.len() > MAX_MESSAGE_BYTES {
        let end = (0..=MAX_MESSAGE_BYTES).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
    }
    text
}

/// Appends the body of an error answer; the event of a stream has the same data. `request_id` is left out: it is in the
/// header. The member at fault stands before the message, as the provider has it, unless the message names it.
pub fn write_error(error: &ApiError, out: &mut Vec<u8>) {
    let mut out = Out::new(out);
    out.begin_object().field("type", "error").key("error").begin_object();
    out.field("type", type_of(error.class));
    match error.param.as_deref().filter(|param| !error.message.contains(param)) {
        Some(param) => out.field("message", &format!("{param}: {}", error.message)),
        None => out.field("message", &error.message),
    };
    if let Some(code) = &error.code {
        out.key("details").begin_object().field("error_code", code).end_object();
    }
    out.end_object().end_object();
}

fn type_of(class: ErrorClass) -> &'static str {
    let class = match class {
        ErrorClass::ContextLength | ErrorClass::ContentFilter => ErrorClass::InvalidRequest,
        class => class,
    };
    TYPES.iter().find(|(_, known, _)| *known == class).map_or("api_error", |(name, ..)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(status: u16, body: &str) -> ApiError {
        read_error(status, body.as_bytes())
    }

    #[test]
    fn types_tell_the_class() {
        let body = |kind: &str| {
            format!(r#"{{"type":"error","error":{{"type":"{kind}","message":"m"}},"request_id":"req_1"}}"#)
        };
        for (kind, class, status) in TYPES {
            let error = read(status, &body(kind));
            assert_eq!((error.class, error.status, &*error.message), (class, status, "m"), "{kind}");
            assert_eq!(read_stream_error(body(kind).as_bytes()).status, status, "{kind}");
        }
        assert_eq!(read(529, &body("new_error")).class, ErrorClass::Overloaded);
        assert_eq!(read(413, &body("invalid_request_error")).class, ErrorClass::TooLarge);
    }

    #[test]
    fn words_and_codes_tell_more() {
        let invalid = |message: &str| {
            read(
                400,
                &format!(
                    r#"{{"type":"error","error":{{"type":"invalid_request_error","message":"{message}"}}}}"#
                ),
            )
        };
        assert_eq!(
            invalid("prompt is too long: 210000 tokens > 200000 maximum").class,
            ErrorClass::ContextLength
        );
        assert_eq!(invalid("Your credit balance is too low").class, ErrorClass::Billing);
        assert_eq!(
            invalid("messages.1.content: Field required").param.as_deref(),
            Some("messages.1.content")
        );
        assert_eq!(invalid("well: no").param, None);
        let spent = r#"{"error":{"type":"rate_limit_error","message":"m","details":{"error_code":"enforced_spend_limit_reached"}}}"#;
        let spent = read(429, spent);
        assert_eq!((spent.class, spent.status), (ErrorClass::Billing, 429));
        assert_eq!(spent.code.as_deref(), Some("enforced_spend_limit_reached"));
    }

    #[test]
    fn edge_24_any_body_is_read() {
        for body in ["", "<html><body>Bad Gateway</body></html>", "\0\0"] {
            let error = read(502, body);
            assert_eq!(error.class, ErrorClass::Server);
            assert_eq!(error.message, "The provider answered with status 502 and no explanation.");
        }
        assert_eq!(read(503, "upstream connect error").message, "upstream connect error");
        assert_eq!(read(429, r#"[{"error":{"code":429,"message":"slow"}}]"#).message, "slow");
        assert_eq!(read(404, r#"{"message":"no such model"}"#).message, "no such model");
        assert_eq!(read(404, r#"{"detail":"Not Found"}"#).message, "Not Found");
        assert_eq!(read(400, r#"{"error":"bad"}"#).message, "bad");
        let openai = read(400, r#"{"error":{"message":"m","type":"x","code":"context_length_exceeded"}}"#);
        assert_eq!(openai.class, ErrorClass::ContextLength);
        assert!(read(500, &"ä".repeat(5000)).message.len() <= MAX_MESSAGE_BYTES);
        assert!(
            read(500, &format!(r#"{{"error":"{}"}}"#, "ä".repeat(5000))).message.len() <= MAX_MESSAGE_BYTES
        );
    }

    #[test]
    fn errors_are_written_with_their_type_and_code() {
        let mut error = ApiError::of_status(529, "Overloaded \"now\"");
        let mut out = Vec::new();
        write_error(&error, &mut out);
        assert_eq!(
            out,
            br#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded \"now\""}}"#
        );
        error.code = Some("all_targets_failed".to_owned());
        error.class = ErrorClass::ContextLength;
        error.param = Some("messages".to_owned());
        out.clear();
        write_error(&error, &mut out);
        let back = read_error(400, &out);
        assert_eq!(
            (back.class, back.code.as_deref()),
            (ErrorClass::InvalidRequest, Some("all_targets_failed"))
        );
    }
}
