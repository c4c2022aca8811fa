//! Errors as clients of OpenAI's dialect expect them: the one place that turns an [`ErrorKind`] into a body.

mod from_stream;
mod redact;

pub use from_stream::http_error_of_event;
pub use redact::redact_key;

use sluice_types::ErrorKind;

use crate::json::push_json_string;
use crate::openai::Endpoint;

/// Appends the body of an error answer: `{"error":{"message","type","param","code"}}`.
pub fn openai_body(out: &mut Vec<u8>, kind: ErrorKind, message: &str, param: Option<&str>) {
    out.extend_from_slice(b"{\"error\":{\"message\":");
    push_json_string(out, message);
    out.extend_from_slice(b",\"type\":");
    push_json_string(out, kind.openai_type());
    push_param_and_code(out, kind, param);
    out.extend_from_slice(b"}}");
}

/// Appends an error as an event of a stream that has begun.
///
/// Chat completions and completions carry the body of an error answer as data, which their clients raise. Responses has
/// an event of its own, numbered like all of its events: `sequence_number` is that of the next one (see
/// [`crate::openai::stream::StreamTap::next_sequence_number`]).
pub fn openai_stream_error(
    out: &mut Vec<u8>,
    endpoint: Endpoint,
    kind: ErrorKind,
    message: &str,
    sequence_number: u64,
) {
    if endpoint == Endpoint::Responses {
        out.extend_from_slice(b"event: error\ndata: {\"type\":\"error\",\"message\":");
        push_json_string(out, message);
        push_param_and_code(out, kind, None);
        out.extend_from_slice(b",\"sequence_number\":");
        out.extend_from_slice(sequence_number.to_string().as_bytes());
        out.push(b'}');
    } else {
        out.extend_from_slice(b"data: ");
        openai_body(out, kind, message, None);
    }
    out.extend_from_slice(b"\n\n");
}

fn push_param_and_code(out: &mut Vec<u8>, kind: ErrorKind, param: Option<&str>) {
    out.extend_from_slice(b",\"param\":");
    match param {
        Some(param) => push_json_string(out, param),
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(b",\"code\":");
    push_json_string(out, kind.code());
}
