//! What the field section says about the connection and the length of the body; shared by requests and responses.

use crate::bytes::{is_text, list};
use crate::{Fields, HeadError, Known, MAX_CONNECTION_OPTIONS, is_hop_by_hop};

/// The length of a body as its fields state it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Declared {
    Nothing,
    Length(u64),
    Chunked,
}

/// Reads `Content-Length` and `Transfer-Encoding` together, because only together do they have a meaning.
#[inline]
pub(crate) fn declared(fields: &Fields, buf: &[u8], minor_version: u8) -> Result<Declared, HeadError> {
    if fields.count(Known::TransferEncoding) > 0 {
        return transfer_encoding(fields, buf, minor_version);
    }
    match fields.get(buf, Known::ContentLength) {
        None => Ok(Declared::Nothing),
        Some(_) if fields.count(Known::ContentLength) > 1 => Err(HeadError::ContentLengthRepeated),
        Some(value) => decimal(value).map(Declared::Length).ok_or(HeadError::ContentLength),
    }
}

fn transfer_encoding(fields: &Fields, buf: &[u8], minor_version: u8) -> Result<Declared, HeadError> {
    if fields.count(Known::ContentLength) > 0 {
        return Err(HeadError::FramingConflict);
    }
    if minor_version == 0 {
        return Err(HeadError::TransferEncodingVersion);
    }
    if fields.count(Known::TransferEncoding) > 1 {
        return Err(HeadError::TransferEncodingRepeated);
    }
    let value = fields.get(buf, Known::TransferEncoding).unwrap_or_default();
    if is_text(value, b"chunked") {
        return Ok(Declared::Chunked);
    }
    Err(if is_registered_stack(value) { HeadError::TransferCoding } else { HeadError::TransferEncoding })
}

/// Whether `value` is one registered compression followed by `chunked`: well-formed, only not offered.
fn is_registered_stack(value: &[u8]) -> bool {
    const REGISTERED: [&[u8]; 5] = [b"gzip", b"x-gzip", b"deflate", b"compress", b"x-compress"];
    let mut codings = list(value);
    let first = codings.next().unwrap_or_default();
    let second = codings.next().unwrap_or_default();
    REGISTERED.iter().any(|name| first.eq_ignore_ascii_case(name))
        && is_text(second, b"chunked")
        && codings.next().is_none()
}

/// A plain decimal number below 2^64: digits only, no sign, no list, not empty.
#[inline]
fn decimal(value: &[u8]) -> Option<u64> {
    if value.is_empty() {
        return None;
    }
    value.iter().try_fold(0u64, |number, &byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

/// What the `Connection` fields ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Connection {
    close: bool,
    keep_alive: bool,
    /// An option that is the name of a field which would otherwise be forwarded.
    pub(crate) names_fields: bool,
}

impl Connection {
    /// Whether the connection persists after this message (RFC 9112 section 9.3).
    #[inline]
    pub(crate) fn persists(self, minor_version: u8) -> bool {
        !self.close && (minor_version == 1 || self.keep_alive)
    }
}

/// Reads every `Connection` field.
#[inline]
pub(crate) fn connection(fields: &Fields, buf: &[u8]) -> Result<Connection, HeadError> {
    let mut connection = Connection::default();
    let first = match fields.get(buf, Known::Connection) {
        None => return Ok(connection),
        Some(first) => first,
    };
    if fields.count(Known::Connection) == 1 && is_text(first, b"keep-alive") {
        connection.keep_alive = true;
        return Ok(connection);
    }
    for (i, option) in fields.all(buf, Known::Connection).flat_map(list).enumerate() {
        if i == MAX_CONNECTION_OPTIONS {
            return Err(HeadError::TooManyConnectionOptions);
        }
        if is_text(option, b"close") {
            connection.close = true;
        } else if is_text(option, b"keep-alive") {
            connection.keep_alive = true;
        } else if !is_hop_by_hop(option) {
            connection.names_fields = true;
        }
    }
    Ok(connection)
}
