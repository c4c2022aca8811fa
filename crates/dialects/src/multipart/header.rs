//! The head of a part.

use super::{FormErrorKind, MAX_PART_HEAD_BYTES};

/// What the head of a part says.
pub(super) struct Disposition<'a> {
    /// The field's name as it is written, without its quotes.
    pub(super) name: &'a [u8],
    /// It is no file and not encoded.
    pub(super) is_text: bool,
}

/// A parameter of a field's value.
pub(super) struct Parameter<'a> {
    pub(super) name: &'a [u8],
    /// Without its quotes.
    pub(super) value: &'a [u8],
}

/// Reads the head of a part from `at`, and moves `at` behind its empty line.
pub(super) fn disposition<'a>(body: &'a [u8], at: &mut usize) -> Result<Disposition<'a>, FormErrorKind> {
    let limit = at.saturating_add(MAX_PART_HEAD_BYTES);
    let (mut name, mut is_text) = (None, true);
    loop {
        let line = line(body, at, limit)?;
        if line.is_empty() {
            break;
        }
        let line = Line::of(line).ok_or(FormErrorKind::PartHead)?;
        if line.name.eq_ignore_ascii_case(b"content-disposition") {
            let found = form_data(line.value).ok_or(FormErrorKind::PartHead)?;
            is_text &= found.is_text;
            if name.replace(found.name).is_some() {
                return Err(FormErrorKind::PartHead);
            }
        } else if line.name.eq_ignore_ascii_case(b"content-transfer-encoding") {
            is_text &=
                [&b"7bit"[..], b"8bit", b"binary"].iter().any(|it| line.value.eq_ignore_ascii_case(it));
        }
    }
    Ok(Disposition { name: name.ok_or(FormErrorKind::PartHead)?, is_text })
}

/// The next line without its end, which must be CR LF and begin before `limit`.
fn line<'a>(body: &'a [u8], at: &mut usize, limit: usize) -> Result<&'a [u8], FormErrorKind> {
    let within = &body[*at..limit.min(body.len())];
    let Some(len) = memchr::memchr2(b'\r', b'\n', within) else {
        let cut = limit < body.len();
        return Err(if cut { FormErrorKind::PartHeadTooLong } else { FormErrorKind::UnexpectedEnd });
    };
    match body.get(*at + len..*at + len + 2) {
        Some(b"\r\n") => {}
        Some(_) => return Err(FormErrorKind::PartHead),
        None => return Err(FormErrorKind::UnexpectedEnd),
    }
    *at += len + 2;
    Ok(&within[..len])
}

struct Line<'a> {
    name: &'a [u8],
    value: &'a [u8],
}

impl<'a> Line<'a> {
    /// `None` where it is no field line; a folded one begins with a blank, which no name does.
    fn of(line: &'a [u8]) -> Option<Self> {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let (name, value) = (&line[..colon], &line[colon + 1..]);
        let is_text = value.iter().all(|byte| *byte == b'\t' || !byte.is_ascii_control());
        (is_token(name) && is_text).then_some(Self { name, value: value.trim_ascii() })
    }
}

/// Reads `form-data; name="…"; filename="…"`.
fn form_data(value: &[u8]) -> Option<Disposition<'_>> {
    let end = value.iter().position(|byte| *byte == b';')?;
    if !value[..end].trim_ascii().eq_ignore_ascii_case(b"form-data") {
        return None;
    }
    let (mut name, mut is_text, mut rest) = (None, true, &value[end..]);
    while let Some((parameter, after)) = parameter(rest)? {
        let is = |text: &[u8]| parameter.name.eq_ignore_ascii_case(text);
        if is(b"name") {
            // Readers differ in what they make of a backslash in a name.
            if name.replace(parameter.value).is_some() || parameter.value.contains(&b'\\') {
                return None;
            }
        } else if is(b"filename") || is(b"filename*") {
            is_text = false;
        } else if is(b"name*") {
            return None;
        }
        rest = after;
    }
    Some(Disposition { name: name?, is_text })
}

/// The next parameter of `; name=value; …`, and what follows it. `None` outside where the grammar is broken, inside where
/// there is no further one.
///
/// A quoted value ends at the first quote. One that holds an escaped quote is refused: some readers know the escape, others
/// do not and would find other parameters behind it.
pub(super) fn parameter(rest: &[u8]) -> Option<Option<(Parameter<'_>, &[u8])>> {
    let rest = rest.trim_ascii_start();
    let Some((first, rest)) = rest.split_first() else { return Some(None) };
    if *first != b';' {
        return None;
    }
    let rest = rest.trim_ascii_start();
    let equals = rest.iter().position(|byte| *byte == b'=')?;
    let (name, rest) = (&rest[..equals], &rest[equals + 1..]);
    let (value, after) = match rest.split_first() {
        Some((b'"', quoted)) => {
            let end = quoted.iter().position(|byte| *byte == b'"')?;
            if quoted[..end].ends_with(b"\\") {
                return None;
            }
            (&quoted[..end], &quoted[end + 1..])
        }
        _ => {
            let end = rest.iter().position(|byte| *byte == b';').unwrap_or(rest.len());
            let value = rest[..end].trim_ascii_end();
            (is_unquoted(value).then_some(value)?, &rest[end..])
        }
    };
    is_token(name).then_some(Some((Parameter { name, value }, after)))
}

fn is_token(name: &[u8]) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !name.is_empty() && name.iter().all(allowed)
}

/// A value without quotes. More than a token may be in it, for boundaries come with slashes and colons, but nothing that
/// another reader could end it at.
fn is_unquoted(value: &[u8]) -> bool {
    !value.is_empty() && value.iter().all(|byte| byte.is_ascii_graphic() && !b"\"\\,;".contains(byte))
}
