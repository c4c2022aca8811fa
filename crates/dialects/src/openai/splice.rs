//! The body as it is sent upstream: slices of the original between what we own.

use super::request::{RequestView, UsageOption};
use crate::json::Span;

/// Most pieces a body is cut into: what lies before, between and after two splices, and the splices themselves.
pub const MAX_PIECES: usize = 5;

const OPTIONS_MEMBER: &[u8] = b"\"stream_options\":{\"include_usage\":true},";
const OPTIONS_VALUE: &[u8] = b"{\"include_usage\":true}";
const USAGE_MEMBER: &[u8] = b"\"include_usage\":true,";
const USAGE_VALUE: &[u8] = b"true";

/// A body in pieces, none of them empty, ready for a vectored write.
#[derive(Clone, Copy, Debug)]
pub struct Pieces<'a> {
    slices: [&'a [u8]; MAX_PIECES],
    used: usize,
    bytes: usize,
}

impl<'a> Pieces<'a> {
    /// The pieces in order.
    #[must_use]
    pub fn as_slices(&self) -> &[&'a [u8]] {
        &self.slices[..self.used]
    }

    /// Length of the whole, for `content-length`.
    #[must_use]
    pub fn len_bytes(&self) -> usize {
        self.bytes
    }

    /// A body, with one value of it replaced.
    pub(crate) fn replacing(body: &'a [u8], replaced: Option<(Span, &'a str)>) -> Self {
        let splice = |(span, with): (Span, &'a str)| Splice {
            start: span.start,
            end: span.end,
            with: with.as_bytes(),
        };
        cut(body, [replaced.map(splice), None])
    }

    /// A body with a first member more, written with its comma.
    pub(crate) fn beginning_with(body: &'a [u8], member: &'a str) -> Self {
        cut(body, [Some(first_member(body, member)), None])
    }

    /// A body that is one piece.
    #[must_use]
    pub fn whole(body: &'a [u8]) -> Self {
        cut(body, [None, None])
    }

    fn push(&mut self, slice: &'a [u8]) {
        if !slice.is_empty() {
            self.slices[self.used] = slice;
            self.used += 1;
            self.bytes += slice.len();
        }
    }
}

/// One replacement: the bytes from `start` to `end` give way to `with`.
#[derive(Clone, Copy)]
struct Splice<'a> {
    start: u32,
    end: u32,
    with: &'a [u8],
}

impl RequestView {
    /// The model's name as the client wrote it, unescaped. `body` is the one that was inspected; of any other the name
    /// is empty.
    #[must_use]
    pub fn model<'a>(&self, body: &'a [u8], scratch: &'a mut [u8; super::MAX_MODEL_BYTES]) -> &'a str {
        crate::json::unescape(self.model.unwrap_or_default().of(body), scratch).unwrap_or_default()
    }

    /// The body to send upstream. `upstream_model` is the name to put in place of the client's, as a JSON string with
    /// its quotes (see [`crate::json::json_escaped`]); where the body has no model it is the member to begin with, as
    /// `"model":"NAME",`. With `force_usage` the provider of a stream is asked for usage
    /// whether the client did or not. `body` is the one that was inspected.
    #[must_use]
    pub fn splices<'a>(
        &self,
        body: &'a [u8],
        upstream_model: Option<&'a str>,
        force_usage: bool,
    ) -> Pieces<'a> {
        let model = upstream_model.map(|name| match self.model {
            Some(model) => Splice { start: model.start, end: model.end, with: name.as_bytes() },
            None => first_member(body, name),
        });
        let usage = if force_usage && self.stream { self.usage_option.splice() } else { None };
        match (usage, model) {
            (Some(usage), Some(model)) if usage.start > model.start => cut(body, [Some(model), Some(usage)]),
            (usage, model) => cut(body, [usage, model]),
        }
    }
}

impl UsageOption {
    fn splice(self) -> Option<Splice<'static>> {
        let (start, end, with) = match self {
            Self::Nothing => return None,
            Self::InsertOptions(at) => (at, at, OPTIONS_MEMBER),
            Self::ReplaceOptions(span) => (span.start, span.end, OPTIONS_VALUE),
            Self::InsertMember(at) => (at, at, USAGE_MEMBER),
            Self::ReplaceMember(span) => (span.start, span.end, USAGE_VALUE),
        };
        Some(Splice { start, end, with })
    }
}

/// Inserts a member in front of all others; there are others in every body that is accepted.
fn first_member<'a>(body: &[u8], member: &'a str) -> Splice<'a> {
    let at = memchr::memchr(b'{', body).map_or(0, |brace| brace + 1);
    let at = u32::try_from(at).unwrap_or_default();
    Splice { start: at, end: at, with: member.as_bytes() }
}

/// Cuts a body at splices that are in order and do not overlap.
fn cut<'a>(body: &'a [u8], splices: [Option<Splice<'a>>; 2]) -> Pieces<'a> {
    let mut pieces = Pieces { slices: [&[]; MAX_PIECES], used: 0, bytes: 0 };
    let mut from = 0;
    for splice in splices.into_iter().flatten() {
        pieces.push(body.get(from..splice.start as usize).unwrap_or_default());
        pieces.push(splice.with);
        from = splice.end as usize;
    }
    pieces.push(body.get(from..).unwrap_or_default());
    pieces
}
