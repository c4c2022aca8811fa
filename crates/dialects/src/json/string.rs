//! Strings: skipping them fast, and decoding the few that are read.

use super::JsonErrorKind;
use super::simd::{self, BLOCK, LANE, TextBlocks};

/// What was seen while skipping strings.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    /// A byte above 0x7f in or next to a string: the body needs a UTF-8 check. May be set without need, never missed.
    pub(super) non_ascii: bool,
    /// A backslash escape in a string.
    pub(super) escape: bool,
    /// Where a string was found to be malformed.
    pub(super) offence: usize,
}

/// Skips a string from `at`, just after its opening quote, to just after its closing one, checking escapes and control
/// characters.
///
/// Names and short values are settled with one look at 16 bytes. Longer runs are read in blocks, and all stops of a block
/// are worked off its mask: reading anew after each escape would chain the latencies of load, comparison and count, and
/// real prompts have an escaped line end every fifty bytes.
#[inline(always)]
pub(super) fn skip(bytes: &[u8], at: usize, seen: &mut Seen) -> Result<usize, JsonErrorKind> {
    let Some(block) = block::<LANE>(bytes, at) else { return skip_tail::<true>(bytes, at, seen) };
    seen.non_ascii |= simd::has_non_ascii_short(block);
    let stops = simd::text_stops_short(block);
    let plain = stops.trailing_zeros() as usize;
    if stops != 0 && block[plain % LANE] == b'"' {
        return Ok(at + plain + 1);
    }
    skip_long::<true>(bytes, at + plain.min(LANE), seen)
}

/// Offset after the closing quote of the string that opens at `open`, if it is whole and well formed.
pub(crate) fn string_end(bytes: &[u8], open: usize) -> Option<usize> {
    skip(bytes, open + 1, &mut Seen::default()).ok()
}

/// How a run of string text ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TextEnd {
    /// With the closing quote: the offset after it.
    Quote(usize),
    /// With the bytes, just after a backslash.
    Backslash,
    /// With the bytes.
    Open,
}

/// Skips string text from `at` on, whatever is escaped in it.
pub(crate) fn text_end(bytes: &[u8], at: usize) -> TextEnd {
    let mut seen = Seen::default();
    match skip_long::<false>(bytes, at, &mut seen) {
        Ok(end) => TextEnd::Quote(end),
        // What the last backslash escapes is the next byte, beyond these.
        Err(_) if seen.offence > bytes.len() => TextEnd::Backslash,
        Err(_) => TextEnd::Open,
    }
}

/// Text of which at least so much may follow is worth a dispatch.
#[cfg(target_arch = "x86_64")]
const WORTH_A_DISPATCH: usize = 4 * BLOCK;

/// `STRICT` text is checked; other text is only followed to its end.
fn skip_long<const STRICT: bool>(bytes: &[u8], at: usize, seen: &mut Seen) -> Result<usize, JsonErrorKind> {
    #[cfg(target_arch = "x86_64")]
    if bytes.len() - at.min(bytes.len()) >= WORTH_A_DISPATCH {
        if std::is_x86_feature_detected!("avx512bw") {
            // SAFETY: the processor has what the function needs.
            return unsafe { skip_avx512::<STRICT>(bytes, at, seen) };
        }
        if std::is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has what the function needs.
            return unsafe { skip_avx2::<STRICT>(bytes, at, seen) };
        }
    }
    skip_blocks::<simd::Base, STRICT>(bytes, at, seen)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw")]
fn skip_avx512<const STRICT: bool>(bytes: &[u8], at: usize, seen: &mut Seen) -> Result<usize, JsonErrorKind> {
    skip_blocks::<simd::wide::Avx512, STRICT>(bytes, at, seen)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn skip_avx2<const STRICT: bool>(bytes: &[u8], at: usize, seen: &mut Seen) -> Result<usize, JsonErrorKind> {
    skip_blocks::<simd::wide::Avx2, STRICT>(bytes, at, seen)
}

#[inline(always)]
fn skip_blocks<T: TextBlocks, const STRICT: bool>(
    bytes: &[u8],
    mut at: usize,
    seen: &mut Seen,
) -> Result<usize, JsonErrorKind> {
    while let Some(block) = block::<BLOCK>(bytes, at) {
        let marks = T::marks(block);
        if STRICT {
            seen.non_ascii |= marks.non_ascii;
            seen.escape |= marks.escapes;
        }
        let mut stops = marks.stops;
        let mut place = BLOCK;
        while stops != 0 {
            place = stops.trailing_zeros() as usize;
            if block[place % BLOCK] == b'"' {
                return Ok(at + place + 1);
            }
            place += stop::<STRICT>(bytes, at + place, seen)?;
            if place >= BLOCK {
                break;
            }
            stops = stops >> place << place;
            if stops == 0 {
                place = BLOCK;
            }
        }
        at += place;
    }
    skip_tail::<STRICT>(bytes, at, seen)
}

fn skip_tail<const STRICT: bool>(
    bytes: &[u8],
    mut at: usize,
    seen: &mut Seen,
) -> Result<usize, JsonErrorKind> {
    while let Some(byte) = bytes.get(at) {
        seen.non_ascii |= *byte >= 0x80;
        if !simd::is_text_stop(*byte) {
            at += 1;
        } else if *byte == b'"' {
            return Ok(at + 1);
        } else {
            at += stop::<STRICT>(bytes, at, seen)?;
        }
    }
    seen.offence = at;
    Err(JsonErrorKind::UnexpectedEnd)
}

#[inline(always)]
fn block<const LEN: usize>(bytes: &[u8], at: usize) -> Option<&[u8; LEN]> {
    bytes.get(at..)?.first_chunk()
}

/// How many bytes to pass over at `at`, where an escape begins or a control character stands.
#[inline(always)]
fn stop<const STRICT: bool>(bytes: &[u8], at: usize, seen: &mut Seen) -> Result<usize, JsonErrorKind> {
    let escape = bytes[at] == b'\\';
    if !STRICT {
        return Ok(if escape { 2 } else { 1 });
    }
    seen.escape = true;
    let checked = if escape { escape_len(&bytes[at..]) } else { Err(JsonErrorKind::ControlCharacter) };
    if checked.is_err() {
        seen.offence = at;
    }
    checked
}

/// Length of the escape sequence `bytes` begins with.
#[inline(always)]
fn escape_len(bytes: &[u8]) -> Result<usize, JsonErrorKind> {
    match bytes.get(1) {
        Some(b'u') => hex4(bytes.get(2..).unwrap_or_default()).map(|_| 6),
        Some(byte) if SIMPLE_ESCAPE[usize::from(*byte)] => Ok(2),
        Some(_) => Err(JsonErrorKind::InvalidEscape),
        None => Err(JsonErrorKind::UnexpectedEnd),
    }
}

/// Which bytes make an escape of two characters.
const SIMPLE_ESCAPE: [bool; 256] = {
    let mut table = [false; 256];
    let mut rest: &[u8] = br#""\/bfnrt"#;
    while let [byte, tail @ ..] = rest {
        table[*byte as usize] = true;
        rest = tail;
    }
    table
};

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
pub(super) fn decode_escape(text: &[u8]) -> Result<(char, usize), JsonErrorKind> {
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
