//! Headers of a provider's answer that are passed on.

use sluice_http1::{Field, ResponseHead};

use crate::hold::HeldHead;
use crate::limit_headers::OwnLimits;

/// Headers of a provider that mean its own site, not the answer: cookies and transport policy would bind the client to
/// a host it never spoke to, and what is left of a budget there is not the key's.
const DROPPED_HEADERS: [&str; 6] = [
    "set-cookie",
    "alt-svc",
    "strict-transport-security",
    "content-length",
    "x-sluice-request-id",
    "x-sluice-budget-remaining",
];

/// Appends the provider's headers that are the answer's own; tells whether a request id is among them. Of what it
/// says about limits, that is left out which the key has limits of its own for.
pub(crate) fn push(
    out: &mut Vec<u8>,
    head: &ResponseHead,
    bytes: &[u8],
    held: HeldHead,
    limits: OwnLimits,
) -> bool {
    let mut has_request_id = false;
    if let Some(media) = held.media {
        push_own(out, "content-type", media.name());
    }
    for Field { name, value, known } in head.fields().end_to_end(bytes) {
        if known.is_some_and(|known| held.is_untrue(known)) {
            continue;
        }
        if limits.replace(name) {
            continue;
        }
        if DROPPED_HEADERS.iter().any(|dropped| name.eq_ignore_ascii_case(dropped.as_bytes())) {
            continue;
        }
        has_request_id |= name.eq_ignore_ascii_case(b"x-request-id");
        out.extend_from_slice(name);
        out.extend_from_slice(b": ");
        out.extend_from_slice(value);
        out.extend_from_slice(b"\r\n");
    }
    has_request_id
}

/// Appends a header of ours, unless it is empty.
pub(crate) fn push_own(out: &mut Vec<u8>, name: &str, value: &str) {
    if !value.is_empty() {
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
}
