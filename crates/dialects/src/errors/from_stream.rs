//! An error that a provider sent as an event of a stream with status 200, as the HTTP error it should have been.

use crate::json;
use crate::openai::Endpoint;

/// Status and body for an error event that came in place of an answer. `data` is the event's data.
///
/// The status follows the error's `code` or `type`, which name the cause the way OpenAI's HTTP errors do; one that
/// names nothing known is a fault of the provider.
#[must_use]
pub fn http_error_of_event(endpoint: Endpoint, data: &[u8]) -> (u16, Vec<u8>) {
    let error = match endpoint {
        Endpoint::Responses => response_error(data),
        _ => member(data, "error"),
    };
    let status = error.map_or(502, status_of);
    let body = match (endpoint, error) {
        (Endpoint::Responses, Some(error)) => [b"{\"error\":", error, b"}"].concat(),
        _ => data.to_vec(),
    };
    (status, body)
}

/// The error object of a Responses stream: the whole `error` event, or what a failed response holds.
fn response_error(data: &[u8]) -> Option<&[u8]> {
    match member(data, "response") {
        Some(response) => member(response, "error"),
        None => Some(data),
    }
}

fn member<'d>(object: &'d [u8], name: &str) -> Option<&'d [u8]> {
    let members = json::scan_object(object, &[name]).ok()?;
    members.values[0].map(|span| span.of(object))
}

fn status_of(error: &[u8]) -> u16 {
    let text = |name| member(error, name).and_then(|value| value.strip_prefix(b"\"")?.strip_suffix(b"\""));
    [text("code"), text("type")].into_iter().flatten().find_map(known_status).unwrap_or(502)
}

/// Source: OpenAI's error codes guide and specification 2.3.0.
fn known_status(name: &[u8]) -> Option<u16> {
    Some(match name {
        b"rate_limit_exceeded"
        | b"rate_limit_error"
        | b"slow_down"
        | b"insufficient_quota"
        | b"tokens"
        | b"requests" => 429,
        b"server_is_overloaded" | b"service_unavailable" | b"overloaded_error" => 503,
        b"server_error" | b"internal_error" | b"api_error" => 500,
        b"invalid_api_key" | b"authentication_error" => 401,
        b"model_not_found" | b"not_found_error" => 404,
        b"invalid_request_error"
        | b"context_length_exceeded"
        | b"content_filter"
        | b"content_policy_violation"
        | b"invalid_prompt" => 400,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_become_http_errors() {
        let chat = br#"{"error":{"message":"m","type":"server_error","code":"rate_limit_exceeded"}}"#;
        let failed = br#"{"type":"response.failed","response":{"id":"r","error":{"code":"server_error","message":"m"}}}"#;
        let event = br#"{"type":"error","code":"server_is_overloaded","message":"m","param":null}"#;
        assert_eq!(http_error_of_event(Endpoint::Chat, chat), (429, chat.to_vec()));
        let (status, body) = http_error_of_event(Endpoint::Responses, failed);
        assert_eq!((status, &body[..]), (500, &br#"{"error":{"code":"server_error","message":"m"}}"#[..]));
        assert_eq!(http_error_of_event(Endpoint::Responses, event).0, 503);
        assert_eq!(http_error_of_event(Endpoint::Chat, b"{\"error\":\"odd\"}").0, 502);
        assert_eq!(http_error_of_event(Endpoint::Chat, b"not json").0, 502);
    }
}
