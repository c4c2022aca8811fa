//! Headers of a provider's answer that are passed on.

use sluice_http1::{Field, ResponseHead};

use crate::hold::HeldHead;
use crate::limit_headers::OwnLimits;

/// Headers of a provider that mean its own site, not the answer: cookies and transport policy would bind the client to
/// a host it never spoke to, and what is left of a budget there is not the key's.
fn is_dropped(name: &[u8]) -> bool {
    let is = |text: &[u8]| name.eq_ignore_ascii_case(text);
    // By length first: nearly every header is settled with one look.
    match name.len() {
        7 => is(b"alt-svc"),
        10 => is(b"set-cookie"),
        14 => is(b"content-length"),
        19 => is(b"x-sluice-request-id"),
        25 => is(b"strict-transport-security") || is(b"x-sluice-budget-remaining"),
        _ => false,
    }
}

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
    for Field { name, value, known, line } in head.fields().end_to_end(bytes) {
        if known.is_some_and(|known| held.is_untrue(known)) {
            continue;
        }
        if limits.replace(name) || is_dropped(name) {
            continue;
        }
        has_request_id |= name.len() == 12 && name.eq_ignore_ascii_case(b"x-request-id");
        if line.len() == name.len() + value.len() + 2 && line[name.len() + 1] == b' ' {
            // As we write it, as nearly all are.
            out.extend_from_slice(line);
        } else {
            out.extend_from_slice(name);
            out.extend_from_slice(b": ");
            out.extend_from_slice(value);
        }
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
