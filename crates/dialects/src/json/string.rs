//! Strings: skipping them fast, and decoding the few that are read.

use super::JsonErrorKind;
use super::simd::{self, BLOCK, LANE};

/// What was seen while skipping strings, for checks that only some documents need.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    /// A byte above 0x7f in or next to a string: the body needs a UTF-8 check. May be set without need, never missed.
    pub(super) non_ascii: bool,
    /// A backslash escape in a string.
    pub(super) escape: bool,
}

/// Skips a string from just after its opening quote to just after its closing one, checking escapes and control
/// characters. On error `at` is left at the offending byte.
///
/// Long runs are read in blocks, and all stops of a block are worked off its mask: reading anew after each escape would
/// chain the latencies of load, comparison and count, and real prompts have an escaped line end every fifty bytes.
#[inline]
pub(super) fn skip(bytes: &[u8], at: &mut usize, seen: &mut Seen) -> Result<(), JsonErrorKind> {
    if let Some(block) = bytes.get(*at..).and_then(|rest| rest.first_chunk::<LANE>()) {
        let text = simd::text_lane(block);
        seen.non_ascii |= text.non_ascii;
        let plain = text.stops.trailing_zeros() as usize;
        if plain < LANE && block[plain] == b'"' {
            *at += plain + 1;
            return Ok(());
        }
        *at += plain.min(LANE);
    }
    skip_long(bytes, at, seen)
}

/// Offset after the closing quote of the string that opens at `open`, if it is whole and well formed.
pub(crate) fn string_end(bytes: &[u8], open: usize) -> Option<usize> {
    let mut at = open + 1;
    skip(bytes, &mut at, &mut Seen::default()).ok()?;
    Some(at)
}

fn skip_long(bytes: &[u8], at: &mut usize, seen: &mut Seen) -> Result<(), JsonErrorKind> {
    while let Some(block) = bytes.get(*at..).and_then(|rest| rest.first_chunk::<BLOCK>()) {
        let text = simd::text_block(block);
        seen.non_ascii |= text.non_ascii;
        let start = *at;
        let mut stops = text.stops;
        *at = start + BLOCK;
        while stops != 0 {
            *at = start + stops.trailing_zeros() as usize;
            if stop(bytes, at, seen)? {
                return Ok(());
            }
            let Some(rest) = u64::MAX.checked_shl(u32::try_from(*at - start).unwrap_or(u32::MAX)) else {
                break;
            };
            stops &= rest;
            if stops == 0 {
                *at = start + BLOCK;
            }
        }
    }
    skip_tail(bytes, at, seen)
}

fn skip_tail(bytes: &[u8], at: &mut usize, seen: &mut Seen) -> Result<(), JsonErrorKind> {
    while let Some(byte) = bytes.get(*at) {
        seen.non_ascii |= *byte >= 0x80;
        if !simd::is_text_stop(*byte) {
            *at += 1;
        } else if stop(bytes, at, seen)? {
            return Ok(());
        }
    }
    Err(JsonErrorKind::UnexpectedEnd)
}

/// Deals with the byte at `at`, which ends a run of plain text. True after the closing quote, false after an escape.
#[inline(always)]
fn stop(bytes: &[u8], at: &mut usize, seen: &mut Seen) -> Result<bool, JsonErrorKind> {
    match bytes[*at] {
        b'"' => {
            *at += 1;
            Ok(true)
        }
        b'\\' => {
            seen.escape = true;
            *at += escape_len(&bytes[*at..])?;
            Ok(false)
        }
        _ => Err(JsonErrorKind::ControlCharacter),
    }
}

/// Length of the escape sequence `bytes` begins with.
#[inline(always)]
fn escape_len(bytes: &[u8]) -> Result<usize, JsonErrorKind> {
    match bytes.get(1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(2),
        Some(b'u') => hex4(bytes.get(2..).unwrap_or_default()).map(|_| 6),
        Some(_) => Err(JsonErrorKind::InvalidEscape),
        None => Err(JsonErrorKind::UnexpectedEnd),
    }
}

fn hex4(bytes: &[u8]) -> Result<u16, JsonErrorKind> {
    let digits = bytes.first_chunk::<4>().ok_or(JsonErrorKind::UnexpectedEnd)?;
    let mut unit = 0;
    for digit in digits {
        let value = (*digit as char).to_digit(16).ok_or(JsonErrorKind::InvalidEscape)?;
        unit = unit << 4 | value;
    }
    u16::try_from(unit).map_err(|_| JsonErrorKind::InvalidEscape)
}

/// One decoded step of a string: a run of plain bytes, or the character an escape stands for.
pub(super) enum Piece<'a> {
    /// Plain bytes, without escapes.
    Plain(&'a [u8]),
    /// A character that was escaped.
    Escaped(char),
}

/// Decodes the inside of a string (without its quotes). The text must have been validated by [`skip`]; what is not
/// valid ends the iteration with an error.
pub(super) fn pieces(mut text: &[u8]) -> impl Iterator<Item = Result<Piece<'_>, JsonErrorKind>> {
    std::iter::from_fn(move || {
        let first = *text.first()?;
        if first != b'\\' {
            let (plain, rest) = text.split_at(memchr::memchr(b'\\', text).unwrap_or(text.len()));
            text = rest;
            return Some(Ok(Piece::Plain(plain)));
        }
        let decoded = decode_escape(text);
        text = decoded.as_ref().map_or(&[][..], |(_, len)| &text[*len..]);
        Some(decoded.map(|(character, _)| Piece::Escaped(character)))
    })
}

/// The character of the escape `text` begins with, and how many bytes it takes: twelve for a surrogate pair.
fn decode_escape(text: &[u8]) -> Result<(char, usize), JsonErrorKind> {
    let simple = match text.get(1) {
        Some(b'"') => '"',
        Some(b'\\') => '\\',
        Some(b'/') => '/',
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'u') => return decode_unicode(text),
        Some(_) => return Err(JsonErrorKind::InvalidEscape),
        None => return Err(JsonErrorKind::UnexpectedEnd),
    };
    Ok((simple, 2))
}

fn decode_unicode(text: &[u8]) -> Result<(char, usize), JsonErrorKind> {
    let first = hex4(&text[2..])?;
    if let Some(character) = char::from_u32(u32::from(first)) {
        return Ok((character, 6));
    }
    let second = match text.get(6..8) {
        Some(b"\\u") => hex4(&text[8..])?,
        _ => return Err(JsonErrorKind::LoneSurrogate),
    };
    match char::decode_utf16([first, second]).next() {
        Some(Ok(character)) => Ok((character, 12)),
        _ => Err(JsonErrorKind::LoneSurrogate),
    }
}
