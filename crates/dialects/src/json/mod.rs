//! A strict JSON scanner that finds a few members of an object and builds nothing.
//!
//! It accepts what RFC 8259 defines and `serde_json` accepts for values it does not decode, less what [`JsonErrorKind`]
//! lists as policy. Two readers that disagree about a document are a security bug (the gateway authorises one model and
//! the provider serves another), so a document in which the members we act on could be read in two ways is refused
//! rather than interpreted: written twice, written with escapes, or written in another case (Go's `encoding/json`
//! matches names without regard to case).
//!
//! Lone surrogate escapes (`"\ud800"`) are accepted in values that are passed through, as `serde_json::value::RawValue`
//! does, and refused where the text is used: in member names of the scanned object and in strings that are read.
//! Numbers follow the grammar and are never evaluated, so `1e400` passes.

mod counts;
mod doc;
mod names;
mod out;
mod read;
mod scan;
mod simd;
mod string;

use std::fmt;

pub(crate) use counts::{closes_document, walk_counts};
pub use doc::{Doc, Value};
pub(crate) use names::Names;
pub use out::Out;
pub use read::{Kind, StringError, as_bool, as_u64, json_escaped, kind_of, quote_into, quote_onto, unescape};
pub(crate) use read::{decode_text, push_json_string};
pub use scan::scan_object;
pub(crate) use scan::{elements, scan_object_lenient};
pub(crate) use simd::structural_stop;
pub(crate) use string::{TextEnd, string_end, text_end};

/// Deepest nesting of arrays and objects accepted, the outermost object included. Matches the width of the bit stack
/// that remembers the kinds of the open containers; real requests stay under 20.
pub const MAX_DEPTH: u32 = 64;

/// A range of bytes in the body that was scanned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Offset of the first byte.
    pub start: u32,
    /// Offset after the last byte.
    pub end: u32,
}

impl Span {
    /// The bytes of the span. Empty when the span is not of this body.
    #[must_use]
    pub fn of(self, body: &[u8]) -> &[u8] {
        body.get(self.start as usize..self.end as usize).unwrap_or_default()
    }

    /// Length in bytes.
    #[must_use]
    pub fn len(self) -> usize {
        (self.end - self.start) as usize
    }

    /// Whether it has no bytes.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// A span found by scanning the bytes of `self`, as a span of the body `self` belongs to.
    #[must_use]
    pub fn nested(self, inner: Self) -> Self {
        Self { start: self.start + inner.start, end: self.start + inner.end }
    }
}

/// Where the wanted members of an object are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Members<const N: usize> {
    /// For each wanted member the span of its value (strings with their quotes), in the order they were asked for.
    pub values: [Option<Span>; N],
    /// Offset just after the opening brace: where a member can be inserted.
    pub after_brace: u32,
    /// Whether the object has no members at all.
    pub empty: bool,
}

/// What is wrong with a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JsonErrorKind {
    /// The document does not begin with an object.
    NotAnObject,
    /// The document ends before the object does.
    UnexpectedEnd,
    /// A byte that the grammar does not allow at this place.
    UnexpectedByte,
    /// A number that breaks the grammar (`01`, `1.`, `+1`, `.5`).
    InvalidNumber,
    /// A backslash followed by something that is no escape.
    InvalidEscape,
    /// A control character inside a string that must be escaped.
    ControlCharacter,
    /// The body is not UTF-8.
    InvalidUtf8,
    /// Something but white space follows the object.
    TrailingBytes,
    /// A surrogate escape without its other half in a member name.
    LoneSurrogate,
    /// Policy: the body begins with a byte order mark.
    ByteOrderMark,
    /// Policy: nested deeper than [`MAX_DEPTH`].
    TooDeep,
    /// Policy: a wanted member (its index) is there twice.
    DuplicateMember(u8),
    /// Policy: the name of a wanted member (its index) is spelled with escapes or in another case, so that another
    /// reader may or may not take it for that member.
    AmbiguousMember(u8),
    /// Policy: too long for 32-bit offsets.
    TooLong,
}

/// Why a document was refused, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JsonError {
    /// What is wrong.
    pub kind: JsonErrorKind,
    /// Byte offset of it in the body.
    pub offset: usize,
}

impl JsonErrorKind {
    fn sentence(self) -> &'static str {
        match self {
            Self::NotAnObject => "the body must be a JSON object",
            Self::UnexpectedEnd => "the JSON ends before it is complete",
            Self::UnexpectedByte => "unexpected character in JSON",
            Self::InvalidNumber => "malformed number in JSON",
            Self::InvalidEscape => "malformed escape sequence in a JSON string",
            Self::ControlCharacter => "unescaped control character in a JSON string",
            Self::InvalidUtf8 => "the body is not valid UTF-8",
            Self::TrailingBytes => "unexpected characters after the JSON object",
            Self::LoneSurrogate => "unpaired surrogate in a JSON member name",
            Self::ByteOrderMark => "the body must not begin with a byte order mark",
            Self::TooDeep => "the JSON is nested more than 64 levels deep",
            Self::DuplicateMember(_) => "the same JSON member is given twice",
            Self::AmbiguousMember(_) => "a known JSON member is spelled with escapes or in another case",
            Self::TooLong => "the JSON is too long",
        }
    }
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (at byte {})", self.kind.sentence(), self.offset)
    }
}

impl std::error::Error for JsonError {}
