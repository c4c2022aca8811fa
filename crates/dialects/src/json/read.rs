//! Reading the values that were found, and writing strings.

use std::borrow::Cow;
use std::fmt;

use super::string::{Piece, pieces};

/// What sort of value a span holds, by its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `null`
    Null,
    /// `true` or `false`
    Bool,
    /// Any number.
    Number,
    /// A string.
    String,
    /// An array.
    Array,
    /// An object.
    Object,
}

/// The sort of a scanned value. A value begins with its first significant byte, so one look suffices.
#[must_use]
pub fn kind_of(value: &[u8]) -> Kind {
    match value.first() {
        Some(b'"') => Kind::String,
        Some(b'{') => Kind::Object,
        Some(b'[') => Kind::Array,
        Some(b't' | b'f') => Kind::Bool,
        Some(b'-' | b'0'..=b'9') => Kind::Number,
        _ => Kind::Null,
    }
}

/// A scanned value as a boolean; `None` for every other kind.
#[must_use]
pub fn as_bool(value: &[u8]) -> Option<bool> {
    match value {
        b"true" => Some(true),
        b"false" => Some(false),
        _ => None,
    }
}

/// A scanned value as a whole number that is not negative: `12`, and also `12.0` and `1.2e1`, which are the same number.
/// What is larger than the type holds is its largest value; anything else is `None`.
#[must_use]
pub fn as_u64(value: &[u8]) -> Option<u64> {
    if !value.is_empty() && value.iter().all(u8::is_ascii_digit) {
        let digit = |number: u64, byte: &u8| number.saturating_mul(10).saturating_add(u64::from(byte - b'0'));
        return Some(value.iter().fold(0, digit));
    }
    if kind_of(value) != Kind::Number {
        return None;
    }
    let number: f64 = std::str::from_utf8(value).ok()?.parse().ok()?;
    let whole = number >= 0.0 && (number.is_infinite() || number.fract() == 0.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates")]
    whole.then_some(number as u64)
}

/// Why a value could not be read as a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StringError {
    /// The value is of another kind.
    NotAString,
    /// It does not fit the scratch space.
    TooLong,
    /// It holds a surrogate escape without its other half, or bytes that are not UTF-8.
    NotText,
}

impl fmt::Display for StringError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAString => "not a string",
            Self::TooLong => "too long",
            Self::NotText => "not valid Unicode text",
        })
    }
}

impl std::error::Error for StringError {}

/// A scanned value (with its quotes) as text. Without escapes that is a slice of the value itself; otherwise it is
/// decoded into `scratch`.
///
/// # Errors
///
/// [`StringError`]; the length is checked only where the scratch space is needed.
pub fn unescape<'a>(value: &'a [u8], scratch: &'a mut [u8]) -> Result<&'a str, StringError> {
    let inner = value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
    let inner = inner.ok_or(StringError::NotAString)?;
    let text = if memchr::memchr(b'\\', inner).is_none() { inner } else { decode(inner, scratch)? };
    std::str::from_utf8(text).map_err(|_| StringError::NotText)
}

fn decode<'a>(inner: &[u8], scratch: &'a mut [u8]) -> Result<&'a [u8], StringError> {
    let mut used = 0;
    for piece in pieces(inner) {
        let mut utf8 = [0; 4];
        let bytes = match piece.map_err(|_| StringError::NotText)? {
            Piece::Plain(plain) => plain,
            Piece::Escaped(character) => character.encode_utf8(&mut utf8).as_bytes(),
        };
        let room = scratch.get_mut(used..used + bytes.len()).ok_or(StringError::TooLong)?;
        room.copy_from_slice(bytes);
        used += bytes.len();
    }
    Ok(&scratch[..used])
}

/// The inside of a string that was scanned, decoded; half a surrogate pair, and what is no UTF-8, become U+FFFD.
pub(crate) fn decode_text(inner: &[u8]) -> Cow<'_, str> {
    if memchr::memchr(b'\\', inner).is_none() {
        return String::from_utf8_lossy(inner);
    }
    let mut out = String::with_capacity(inner.len());
    let mut rest = inner;
    while !rest.is_empty() {
        let plain = memchr::memchr(b'\\', rest).unwrap_or(rest.len());
        out.push_str(&String::from_utf8_lossy(&rest[..plain]));
        rest = &rest[plain..];
        if !rest.is_empty() {
            // An escape that stands for no character is passed over: six bytes of half a pair, or what is left.
            let (character, len) =
                super::string::decode_escape(rest).unwrap_or(('\u{fffd}', rest.len().min(6)));
            out.push(character);
            rest = &rest[len..];
        }
    }
    Cow::Owned(out)
}

/// `text` as a JSON string with its quotes, fit to be spliced into a body.
#[must_use]
pub fn json_escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    quote_into(&mut out, text);
    out
}

/// Replaces what is in `out` by a text as a JSON string; see [`json_escaped`].
pub fn quote_into(out: &mut String, text: &str) {
    out.clear();
    quote_onto(out, text);
}

/// The same behind what is in `out`.
pub fn quote_onto(out: &mut String, text: &str) {
    let mut bytes = std::mem::take(out).into_bytes();
    push_json_string(&mut bytes, text);
    *out = String::from_utf8(bytes).expect("escaping replaces ASCII characters by ASCII characters");
}

/// Appends `text` as a JSON string with its quotes.
pub(crate) fn push_json_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0..0x20 => push_control(out, byte),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

fn push_control(out: &mut Vec<u8>, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.extend_from_slice(b"\\u00");
    out.extend([DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 0x0f)]]);
}
