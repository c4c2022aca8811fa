//! The request target. One spelling per path: whatever a router, a policy or an upstream might read in a second way is
//! refused here, so that authentication and routing cannot disagree about where a request goes.

use core::ops::Range;

use crate::bytes::{PATH, QUERY, hex, is};
use crate::{HeadError, Method};

/// A target as ranges relative to its own start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// Empty for an absolute target without a path, which means `/`.
    pub(crate) path: Range<usize>,
    /// Without its question mark.
    pub(crate) query: Option<Range<usize>>,
    /// Authority and default port suffix of an absolute target.
    pub(crate) authority: Option<(Range<usize>, &'static [u8])>,
}

/// Reads a target: `/path?query`, `http(s)://authority/path?query`, or `*` for `OPTIONS`.
pub(crate) fn parse(target: &[u8], method: Method) -> Result<Target, HeadError> {
    match target {
        [b'/', ..] => origin(target, 0, None),
        b"*" if method == Method::Options => Ok(Target { path: 0..1, query: None, authority: None }),
        _ => absolute(target),
    }
}

fn origin(
    target: &[u8],
    start: usize,
    authority: Option<(Range<usize>, &'static [u8])>,
) -> Result<Target, HeadError> {
    let path = start..start + path_len(&target[start..])?;
    let query = (path.end < target.len()).then(|| path.end + 1..target.len());
    if let Some(query) = &query {
        check_query(&target[query.clone()])?;
    }
    Ok(Target { path, query, authority })
}

fn absolute(target: &[u8]) -> Result<Target, HeadError> {
    let (start, default_port) = if has_scheme(target, b"http://") {
        (7, &b":80"[..])
    } else if has_scheme(target, b"https://") {
        (8, &b":443"[..])
    } else {
        return Err(HeadError::Target);
    };
    let len = target[start..].iter().position(|byte| b"/?#".contains(byte)).unwrap_or(target.len() - start);
    let authority = start..start + len;
    if !crate::host::is_valid(&target[authority.clone()]) {
        return Err(HeadError::Target);
    }
    origin(target, authority.end, Some((authority, default_port)))
}

fn has_scheme(target: &[u8], scheme: &[u8]) -> bool {
    target.get(..scheme.len()).is_some_and(|prefix| prefix.eq_ignore_ascii_case(scheme))
}

/// Length of the path at the start of `rest`, which ends at a question mark or with `rest`.
#[inline]
fn path_len(rest: &[u8]) -> Result<usize, HeadError> {
    let (mut at, mut segment, mut in_name) = (0, 0, false);
    while let Some(&byte) = rest.get(at) {
        at += match byte {
            byte if is(byte, PATH) => 1,
            b'/' if !(starts_bad_segment(&rest[at + 1..]) || in_name && ends_with_name(&rest[..segment])) => {
                (segment, in_name) = (at + 1, false);
                1
            }
            b'.' => 1,
            b'%' if is_slash_in_name(rest, segment, at) => {
                in_name = true;
                3
            }
            b'%' => escaped_len(&rest[at..]).ok_or(HeadError::Path)?,
            b'?' => break,
            _ => return Err(HeadError::Path),
        };
    }
    Ok(at)
}

/// Whether the segment that starts here is a dot segment, or empty though another one follows. An escaped slash ends a
/// segment too: where it is let through, somebody may decode it.
#[inline]
fn starts_bad_segment(rest: &[u8]) -> bool {
    let ends = |rest: &[u8]| matches!(rest, [] | [b'/' | b'?', ..]) || starts_with_escaped_slash(rest);
    match rest {
        [b'/', ..] => true,
        [b'.', b'.', rest @ ..] | [b'.', rest @ ..] => ends(rest),
        _ => starts_with_escaped_slash(rest),
    }
}

#[inline]
fn starts_with_escaped_slash(rest: &[u8]) -> bool {
    matches!(rest, [b'%', b'2', b'f' | b'F', ..])
}

/// The segments before which the name of a model stands. Names hold slashes, and clients escape them.
const BEFORE_MODEL: [&[u8]; 3] = [b"/models/", b"/model/", b"/deployments/"];

/// Whether an escaped slash stands at `at` and may: within a segment, begun at `segment`, that is the name of a model. The
/// path keeps it escaped, so whoever routes by it sees one segment; only the look-up of the name decodes it.
#[cold]
fn is_slash_in_name(path: &[u8], segment: usize, at: usize) -> bool {
    starts_with_escaped_slash(&path[at..])
        && BEFORE_MODEL.iter().any(|before| path[..segment].ends_with(before))
        && !starts_bad_segment(&path[at + 3..])
}

/// Whether the name that follows `path` is its last segment: behind the names in other paths comes what to do with them.
fn ends_with_name(path: &[u8]) -> bool {
    path.ends_with(BEFORE_MODEL[0])
}

/// Length of the escaped character at the start of `rest`, where escaping it was right: a byte of ASCII that may not
/// stand in a path plainly and that nobody takes for structure, or a whole UTF-8 sequence in its shortest form.
fn escaped_len(rest: &[u8]) -> Option<usize> {
    let byte = unescape(rest)?;
    if byte.is_ascii() {
        let plain = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        let structural = byte.is_ascii_control() || b"/\\;%".contains(&byte);
        return (!plain && !structural).then_some(3);
    }
    let mut character = [0; 4];
    let len = utf8_len(byte)?;
    for (i, slot) in character[..len].iter_mut().enumerate() {
        *slot = unescape(rest.get(3 * i..)?)?;
    }
    core::str::from_utf8(&character[..len]).is_ok().then_some(3 * len)
}

/// Bytes of the UTF-8 sequence that `first` begins.
fn utf8_len(first: u8) -> Option<usize> {
    match first {
        0xc2..=0xdf => Some(2),
        0xe0..=0xef => Some(3),
        0xf0..=0xf4 => Some(4),
        _ => None,
    }
}

/// The byte that the percent escape at the start of `bytes` stands for.
fn unescape(bytes: &[u8]) -> Option<u8> {
    match bytes {
        [b'%', high, low, ..] => Some((hex(*high)? << 4) | hex(*low)?),
        _ => None,
    }
}

fn check_query(query: &[u8]) -> Result<(), HeadError> {
    let mut at = 0;
    while let Some(&byte) = query.get(at) {
        at += match byte {
            byte if is(byte, QUERY) => 1,
            b'%' if unescape(&query[at..]).is_some() => 3,
            _ => return Err(HeadError::Query),
        };
    }
    Ok(())
}
