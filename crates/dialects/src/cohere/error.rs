use crate::exchange::{ApiError, ErrorClass};
use crate::json::{Doc, Out, Value};

/// Longest message taken over from a foreign body, in bytes.
const MAX_MESSAGE_BYTES: usize = 2048;

/// Reads the body of an error answer: `{"message": …}`, or whatever else it is.
#[must_use]
pub fn read_error(status: u16, body: &[u8]) -> ApiError {
    let mut error = read_any_error(status, body);
    let message = error.message.to_ascii_lowercase();
    if status == 498 {
        // Cohere's own status for a token that is not valid.
        error.class = ErrorClass::Authentication;
    } else if error.class == ErrorClass::InvalidRequest
        && (message.contains("too many tokens") || message.contains("context length"))
    {
        error.class = ErrorClass::ContextLength;
    }
    error
}

/// Appends the body of an error answer.
pub fn write_error(error: &ApiError, out: &mut Vec<u8>) {
    let mut out = Out::new(out);
    out.begin_object().field("message", &error.message);
    if let Some(code) = &error.code {
        out.field("code", code);
    }
    out.end_object();
}

/// Reads an error of any shape that is common: a message at the top, an `error` that is a string or an object, a
/// `detail`. A body that is none of these (an HTML page of a proxy) leaves its status only.
pub(crate) fn read_any_error(status: u16, body: &[u8]) -> ApiError {
    let fallback = || ApiError::of_status(status, format!("The provider answered with status {status}."));
    let body = body.trim_ascii();
    // A shim of Google's wraps its errors in an array.
    let inner = body.strip_prefix(b"[").and_then(|body| body.strip_suffix(b"]")).unwrap_or(body);
    let Ok(doc) = Doc::parse(inner) else {
        return match std::str::from_utf8(body) {
            Ok(text) if !text.is_empty() && !text.starts_with('<') && !text.starts_with('{') => {
                ApiError::of_status(status, shortened(text))
            }
            _ => fallback(),
        };
    };
    let root = doc.root();
    let around = root.get("error").filter(|error| error.is_object()).unwrap_or(root);
    let message = first_text(around, &["message", "error", "detail", "msg"]).or_else(|| {
        let first = around.get("detail")?.elements().next()?;
        first_text(first, &["msg", "message"])
    });
    let Some(message) = message else { return fallback() };
    let mut error = ApiError::of_status(status, shortened(&message));
    error.code = first_text(around, &["code", "type"]).map(|code| shortened(&code));
    error.param = first_text(around, &["param"]).map(|param| shortened(&param));
    error
}

fn first_text(object: Value<'_>, names: &[&str]) -> Option<String> {
    let text = names.iter().find_map(|name| object.text_of(name))?;
    Some(text.decode().into_owned()).filter(|text| !text.is_empty())
}

/// The text, cut to what may be taken over of a foreign body.
pub(crate) fn shortened(text: &str) -> String {
    let most = text.len().min(MAX_MESSAGE_BYTES);
    // A character has at most four bytes.
    let end = (most.saturating_sub(3)..=most).rfind(|end| text.is_char_boundary(*end));
    text[..end.unwrap_or_default()].to_owned()
}
