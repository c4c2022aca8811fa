//! The one way of writing a request that both sides hash.

use super::{PathEncoding, SignedRequest, ascii};

/// The canonical request. The headers are in order.
pub(super) fn request(
    request: &SignedRequest<'_>,
    headers: &[(&str, &str)],
    signed: &str,
    paths: PathEncoding,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    out.extend_from_slice(request.method.as_bytes());
    out.push(b'\n');
    match paths {
        _ if request.path.is_empty() => out.push(b'/'),
        PathEncoding::Once => out.extend_from_slice(request.path.as_bytes()),
        PathEncoding::Twice => push_encoded(&mut out, request.path.as_bytes(), b"/"),
    }
    out.push(b'\n');
    push_query(&mut out, request.query);
    out.push(b'\n');
    for (name, value) in headers {
        push_header(&mut out, name, value);
    }
    out.push(b'\n');
    out.extend_from_slice(signed.as_bytes());
    out.push(b'\n');
    out.extend_from_slice(ascii(request.body_sha256_hex).as_bytes());
    out
}

/// The names of the headers with semicolons between them.
pub(super) fn signed_headers(headers: &[(&str, &str)]) -> String {
    let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
    names.join(";")
}

/// A header without white space around its value, runs of spaces in it as one.
fn push_header(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend_from_slice(name.as_bytes());
    out.push(b':');
    let mut words = value.split(' ').filter(|word| !word.is_empty());
    if let Some(first) = words.next() {
        out.extend_from_slice(first.as_bytes());
    }
    for word in words {
        out.push(b' ');
        out.extend_from_slice(word.as_bytes());
    }
    out.push(b'\n');
}

/// The parameters in order of their names and values, each encoded exactly once, all with an equals sign.
fn push_query(out: &mut Vec<u8>, query: &str) {
    let encoded = |text: &str| {
        let mut out = Vec::with_capacity(text.len());
        push_encoded(&mut out, &decoded(text.as_bytes()), b"");
        out
    };
    let parameters = query.split('&').filter(|parameter| !parameter.is_empty());
    let mut parameters: Vec<_> = parameters
        .map(|parameter| parameter.split_once('=').unwrap_or((parameter, "")))
        .map(|(name, value)| (encoded(name), encoded(value)))
        .collect();
    parameters.sort_unstable();
    for (nth, (name, value)) in parameters.iter().enumerate() {
        if nth > 0 {
            out.push(b'&');
        }
        out.extend_from_slice(name);
        out.push(b'=');
        out.extend_from_slice(value);
    }
}

/// Percent-encodes all but unreserved characters (RFC 3986) and those in `kept`.
fn push_encoded(out: &mut Vec<u8>, text: &[u8], kept: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text {
        let unreserved = byte.is_ascii_alphanumeric() || b"-._~".contains(byte) || kept.contains(byte);
        if unreserved {
            out.push(*byte);
        } else {
            out.extend([b'%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
        }
    }
}

/// Undoes percent-encoding; what is none stays.
fn decoded(text: &[u8]) -> Vec<u8> {
    let digit = |at: usize| text.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        match (digit(at + 1), digit(at + 2)) {
            (Some(high), Some(low)) if *byte == b'%' => {
                out.push(u8::try_from(high * 16 + low).unwrap_or_default());
                at += 3;
            }
            _ => {
                out.push(*byte);
                at += 1;
            }
        }
    }
    out
}
