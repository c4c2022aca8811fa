//! Where an answer goes. The stages of a request write to an [`Answer`]; what is behind it, a socket or a stream of an
//! HTTP/2 connection, is the lane's business.

use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use sluice_dialects::exchange::ApiError;
use sluice_dialects::wire::Wire;
use sluice_types::{ErrorKind, Route};

use crate::refusal::Refusal;
use crate::settle::Settlement;

/// How long the body of an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyLength {
    /// Exactly so many bytes.
    Known(u64),
    /// Until it ends.
    Unknown,
}

/// The client no longer takes the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ClientGone;

/// The client's side of one request.
pub(crate) trait Answer {
    /// Begins a head and returns the buffer its header lines are appended to, each as `name: value\r\n`. Framing and
    /// connection headers are the lane's and must not be among them.
    fn begin(&mut self, status: u16) -> &mut Vec<u8>;

    /// Sends the head with the first bytes of the body; `last` if the body ends with them.
    async fn send_head(&mut self, length: BodyLength, body: &[u8], last: bool) -> Result<(), ClientGone>;

    /// Sends further bytes of the body. Returns when the client has taken them, which is what holds back the provider.
    async fn send(&mut self, body: &[u8], last: bool) -> Result<(), ClientGone>;

    /// Sends last words, then ends the answer so that no client takes it for whole.
    async fn break_off(&mut self, last_words: &[u8]);

    /// Whether the client has gone away; wakes the task when it does.
    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<ClientGone>;
}

/// Appends the headers every answer carries: the request's id and where its time went.
pub(crate) fn push_own_headers(
    out: &mut Vec<u8>,
    settlement: &Settlement<'_>,
    has_request_id: bool,
    own: Duration,
) {
    let id = hex(settlement.request_id());
    out.extend_from_slice(b"x-sluice-request-id: ");
    out.extend_from_slice(&id);
    if !has_request_id {
        // A provider's own id is worth more to the caller's support case than ours, so ours only fills the gap.
        out.extend_from_slice(b"\r\nx-request-id: ");
        out.extend_from_slice(&id);
    }
    out.extend_from_slice(b"\r\n");
    settlement.push_limits(out);
    out.extend_from_slice(b"server-timing: gateway;dur=");
    push_millis(out, own);
    let waited = settlement.waited();
    if !waited.is_zero() {
        out.extend_from_slice(b", upstream;dur=");
        push_millis(out, waited);
    }
    out.extend_from_slice(b"\r\n");
}

/// Sends an error in the dialect of the route.
pub(crate) async fn send_refusal(
    answer: &mut impl Answer,
    settlement: &mut Settlement<'_>,
    refusal: &Refusal,
) -> Result<(), ClientGone> {
    let own = settlement.own_time(Instant::now());
    settlement.fail(refusal.kind);
    settlement.answer_begins(refusal.kind.status(), own);
    let mut body = Vec::with_capacity(256);
    let wire = settlement.wire();
    let error = write_refusal(wire, refusal, &mut body);
    let out = answer.begin(refusal.kind.status());
    out.extend_from_slice(b"content-type: application/json\r\n");
    if let Some(error) = error {
        push_error_headers(out, wire, &error);
    }
    if let Some(seconds) = refusal.retry_after_s {
        out.extend_from_slice(format!("retry-after: {seconds}\r\n").as_bytes());
    }
    if let Some(methods) = refusal.allow {
        out.extend_from_slice(format!("allow: {methods}\r\n").as_bytes());
    }
    if refusal.kind == ErrorKind::Unauthenticated {
        out.extend_from_slice(b"www-authenticate: Bearer\r\n");
    }
    let retry: &[u8] = if refusal.is_worth_a_retry() { b"true" } else { b"false" };
    out.extend_from_slice(b"x-should-retry: ");
    out.extend_from_slice(retry);
    out.extend_from_slice(b"\r\n");
    push_own_headers(out, settlement, false, own);
    settlement.add_response_bytes(body.len());
    answer.send_head(BodyLength::Known(body.len() as u64), &body, true).await?;
    settlement.answer_ends();
    Ok(())
}

/// Appends an error's body; returns the error where it is not of OpenAI's dialect, whose errors need no more.
fn write_refusal(wire: Wire, refusal: &Refusal, body: &mut Vec<u8>) -> Option<ApiError> {
    if matches!(wire, Wire::OpenaiChat | Wire::OpenaiResponses) {
        sluice_dialects::errors::openai_body(body, refusal.kind, &refusal.message, refusal.param);
        return None;
    }
    // The other dialects have no place for the member that is at fault but the message.
    let message = match refusal.param {
        Some(param) if !refusal.message.contains(param) => format!("{param}: {}", refusal.message).into(),
        _ => refusal.message.clone(),
    };
    let retry_after_ms = refusal.retry_after_s.map(|seconds| seconds.saturating_mul(1_000));
    let error = ApiError { retry_after_ms, ..ApiError::own(refusal.kind, &message, refusal.param) };
    wire.write_error(&error, body);
    Some(error)
}

/// The body that tells of a defect of ours, in the caller's dialect; what its head says goes to `out`.
pub(crate) fn write_panic(wire: Wire, out: &mut Vec<u8>) -> Vec<u8> {
    let refusal = Refusal::new(ErrorKind::Internal, "The gateway failed to handle this request.");
    let mut body = Vec::new();
    out.extend_from_slice(b"content-type: application/json\r\n");
    if let Some(error) = write_refusal(wire, &refusal, &mut body) {
        push_error_headers(out, wire, &error);
    }
    body
}

/// Appends what a dialect says of an error in its head.
pub(crate) fn push_error_headers(out: &mut Vec<u8>, wire: Wire, error: &ApiError) {
    if wire == Wire::Bedrock {
        out.extend_from_slice(b"x-amzn-errortype: ");
        out.extend_from_slice(sluice_dialects::bedrock::error_type(error).as_bytes());
        out.extend_from_slice(b"\r\n");
    }
}

/// Sends a small JSON or text document of our own.
pub(crate) async fn send_document(
    answer: &mut impl Answer,
    settlement: &mut Settlement<'_>,
    status: u16,
    content_type: &str,
    body: &[u8],
) -> Result<(), ClientGone> {
    let own = settlement.own_time(Instant::now());
    settlement.answer_begins(status, own);
    let out = answer.begin(status);
    out.extend_from_slice(format!("content-type: {content_type}\r\n").as_bytes());
    push_own_headers(out, settlement, false, own);
    settlement.add_response_bytes(body.len());
    answer.send_head(BodyLength::Known(body.len() as u64), body, true).await?;
    settlement.answer_ends();
    Ok(())
}

/// Whether answers of this route may be streams.
pub(crate) fn may_stream(route: Route) -> bool {
    matches!(
        route,
        Route::Chat
            | Route::Completions
            | Route::Responses
            | Route::Messages
            | Route::StreamGenerateContent
            | Route::ConverseStream
            | Route::InvokeStream
            | Route::CohereChat
            | Route::Images
            | Route::ImageEdits
            | Route::Transcriptions
    )
}

/// An id in hexadecimal, without allocating.
pub(crate) fn hex(id: &[u8; 16]) -> [u8; 32] {
    let mut out = [0; 32];
    for (at, byte) in id.iter().enumerate() {
        out[2 * at] = hex_digit(byte >> 4);
        out[2 * at + 1] = hex_digit(byte & 15);
    }
    out
}

/// A digit by arithmetic and not from a table, which the compiler does for many at once.
const fn hex_digit(nibble: u8) -> u8 {
    nibble + if nibble < 10 { b'0' } else { b'a' - 10 }
}

/// Appends a duration as milliseconds with three decimals.
fn push_millis(out: &mut Vec<u8>, duration: Duration) {
    let us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    push_decimal(out, us / 1_000, 1);
    out.push(b'.');
    push_decimal(out, us % 1_000, 3);
}

/// The numbers below 100, two digits each.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[b'0'; 2]; 100];
    let mut number = 0_u8;
    while number < 100 {
        pairs[number as usize] = [b'0' + number / 10, b'0' + number % 10];
        number += 1;
    }
    pairs
};

/// Appends a number in decimal with at least `digits` digits, without allocating.
pub(crate) fn push_decimal(out: &mut Vec<u8>, mut value: u64, digits: usize) {
    let mut text = [b'0'; 20];
    let mut at = text.len();
    while value >= 100 {
        at -= 2;
        text[at..at + 2].copy_from_slice(&PAIRS[(value % 100) as usize]);
        value /= 100;
    }
    while value > 0 {
        at -= 1;
        text[at] = b'0' + (value % 10) as u8;
        value /= 10;
    }
    // What is in front of the number is zeros.
    out.extend_from_slice(&text[at.min(text.len() - digits)..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_ids() {
        let mut out = Vec::new();
        push_millis(&mut out, Duration::from_micros(42));
        out.push(b' ');
        push_millis(&mut out, Duration::from_micros(1_234_567));
        out.push(b' ');
        push_decimal(&mut out, u64::MAX, 1);
        out.push(b' ');
        push_decimal(&mut out, 0, 1);
        assert_eq!(out, b"0.042 1234.567 18446744073709551615 0");
        assert_eq!(&hex(&[0xab; 16])[..4], b"abab");
    }
}
