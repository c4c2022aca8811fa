//! The field section of a head: what was sent, where, and what of it is known.

use core::ops::Range;

use crate::bytes::{TOKEN, is, list, trim_end, trim_start};
use crate::known::COUNT;
use crate::lines::Lines;
use crate::scan::{NAME_BLOCK, find_colon, is_plain_name};
use crate::{HeadError, Known, MAX_HEADERS, Parse};

/// Offsets into a head. [`MAX_HEAD_BYTES`](crate::MAX_HEAD_BYTES) keeps them within sixteen bits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    start: u16,
    end: u16,
}

impl Span {
    pub(crate) const EMPTY: Self = Self { start: 0, end: 0 };

    #[inline(always)]
    pub(crate) fn new(start: usize, end: usize) -> Self {
        Self { start: narrow(start), end: narrow(end) }
    }

    #[inline(always)]
    pub(crate) fn of<'b>(&self, buf: &'b [u8]) -> &'b [u8] {
        &buf[usize::from(self.start)..usize::from(self.end)]
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.start == self.end
    }
}

#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "a head has at most 32 KiB")]
fn narrow(offset: usize) -> u16 {
    debug_assert!(offset <= crate::MAX_HEAD_BYTES);
    offset as u16
}

/// One line of the field section.
#[derive(Clone, Copy, Debug)]
struct Line {
    name: Span,
    value: Span,
    known: Option<Known>,
}

/// One header field as it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'b> {
    /// The name in the sender's spelling.
    pub name: &'b [u8],
    /// The value without the white space around it; may hold bytes above 0x7f.
    pub value: &'b [u8],
    /// Which field it is, where some part of the gateway looks at it.
    pub known: Option<Known>,
    /// From the name to the end of the value, as it was sent.
    pub line: &'b [u8],
}

/// The header fields of a head, as offsets into the buffer it was read from. Each method wants that buffer (or any
/// that begins with the same head); with another one it returns nonsense or panics, never reads out of bounds.
#[derive(Clone, Debug)]
pub struct Fields {
    lines: [Line; MAX_HEADERS],
    len: usize,
    /// How often each known field was sent.
    counts: [u8; COUNT],
    /// Index of its first line; meaningful where the count is not 0.
    first: [u8; COUNT],
    /// Some `Connection` field names an option besides `close`, `keep-alive` and hop-by-hop fields.
    pub(crate) connection_names_fields: bool,
}

impl Fields {
    pub(crate) const fn new() -> Self {
        const NONE: Line = Line { name: Span::EMPTY, value: Span::EMPTY, known: None };
        Self {
            lines: [NONE; MAX_HEADERS],
            len: 0,
            counts: [0; COUNT],
            first: [0; COUNT],
            connection_names_fields: false,
        }
    }

    pub(crate) fn clear(&mut self) {
        self.len = 0;
        self.counts = [0; COUNT];
        self.connection_names_fields = false;
    }

    /// Reads on in the field section, up to its empty line.
    #[inline(always)]
    pub(crate) fn read(&mut self, lines: &mut Lines<'_>) -> Result<Parse, HeadError> {
        while let Some(line) = lines.cut()? {
            if line.is_empty() {
                return Ok(Parse::Complete);
            }
            self.push(lines.head(), line)?;
        }
        Ok(Parse::Partial)
    }

    /// Appends the field in `line`, which is a part of `head`, not empty and without controls but tabs.
    #[inline(always)]
    fn push(&mut self, head: &[u8], Range { start, end }: Range<usize>) -> Result<(), HeadError> {
        let (name_len, known) = match quick_name(&head[start..]) {
            Some(name) => name,
            None => slow_name(&head[start..end])?,
        };
        let value = trim_start(&head[start + name_len + 1..end]);
        let value_start = end - value.len();
        let slot = self.lines.get_mut(self.len).ok_or(HeadError::TooManyHeaders)?;
        *slot = Line {
            name: Span::new(start, start + name_len),
            value: Span::new(value_start, value_start + trim_end(value).len()),
            known,
        };
        if let Some(known) = known {
            self.note(known);
        }
        self.len += 1;
        Ok(())
    }

    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "there are at most 100 lines")]
    fn note(&mut self, known: Known) {
        let count = &mut self.counts[known as usize];
        if *count == 0 {
            self.first[known as usize] = self.len as u8;
        }
        *count += 1;
    }

    /// How many fields were sent.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no field was sent.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How often a known field was sent. More than once for a credential is a reason to refuse.
    #[must_use]
    #[inline]
    pub fn count(&self, known: Known) -> usize {
        usize::from(self.counts[known as usize])
    }

    /// The value of the first field of this kind.
    #[must_use]
    #[inline]
    pub fn get<'b>(&self, buf: &'b [u8], known: Known) -> Option<&'b [u8]> {
        if self.counts[known as usize] == 0 {
            return None;
        }
        Some(self.lines[usize::from(self.first[known as usize])].value.of(buf))
    }

    /// The values of every field of this kind, in order.
    pub fn all<'b>(&self, buf: &'b [u8], known: Known) -> impl Iterator<Item = &'b [u8]> {
        let lines = if self.count(known) == 0 { &[] } else { &self.lines[..self.len] };
        lines.iter().filter(move |line| line.known == Some(known)).map(|line| line.value.of(buf))
    }

    /// Every field, in order.
    #[must_use]
    pub fn iter<'h, 'b>(&'h self, buf: &'b [u8]) -> FieldIter<'h, 'b> {
        FieldIter { lines: self.lines[..self.len].iter(), buf }
    }

    /// The fields that an intermediary may forward: all but the hop-by-hop ones and those that this message's
    /// `Connection` fields name. `Content-Length` and `Host` are among them; whoever writes the new head decides those.
    #[must_use]
    pub fn end_to_end<'h, 'b>(&'h self, buf: &'b [u8]) -> EndToEnd<'h, 'b> {
        EndToEnd { fields: self, inner: self.iter(buf) }
    }

    /// Whether a `Connection` field of this message names `name`.
    fn names_option(&self, buf: &[u8], name: &[u8]) -> bool {
        self.all(buf, Known::Connection).flat_map(list).any(|option| option.eq_ignore_ascii_case(name))
    }
}

/// The name at the start of `bytes`, where it is a known one or of common characters, and its colon stands within a
/// block. Neither has a line end in it, so the name is part of the line.
#[inline(always)]
fn quick_name(bytes: &[u8]) -> Option<(usize, Option<Known>)> {
    let block = bytes.first_chunk::<NAME_BLOCK>()?;
    let len = find_colon(block)?;
    if len == 0 {
        return None;
    }
    let known = Known::from_padded(block, len);
    (known.is_some() || is_plain_name(block, len)).then_some((len, known))
}

/// Any other name: long, of unusual characters, close to the end of the data, or none.
#[cold]
fn slow_name(line: &[u8]) -> Result<(usize, Option<Known>), HeadError> {
    let len = line.iter().position(|&byte| !is(byte, TOKEN)).unwrap_or(line.len());
    match line.get(len) {
        Some(b':') if len > 0 => Ok((len, Known::from_name(&line[..len]))),
        Some(b' ' | b'\t') if len == 0 => Err(HeadError::Folded),
        Some(b' ' | b'\t') if trim_start(&line[len..]).first() == Some(&b':') => {
            Err(HeadError::SpaceBeforeColon)
        }
        _ => Err(HeadError::FieldName),
    }
}

/// Iterator of [`Fields::iter`].
#[derive(Clone, Debug)]
pub struct FieldIter<'h, 'b> {
    lines: core::slice::Iter<'h, Line>,
    buf: &'b [u8],
}

impl<'b> Iterator for FieldIter<'_, 'b> {
    type Item = Field<'b>;

    #[inline]
    fn next(&mut self) -> Option<Field<'b>> {
        let line = self.lines.next()?;
        Some(Field {
            name: line.name.of(self.buf),
            value: line.value.of(self.buf),
            known: line.known,
            line: Span { start: line.name.start, end: line.value.end }.of(self.buf),
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.lines.size_hint()
    }
}

impl ExactSizeIterator for FieldIter<'_, '_> {}

/// Iterator of [`Fields::end_to_end`].
#[derive(Clone, Debug)]
pub struct EndToEnd<'h, 'b> {
    fields: &'h Fields,
    inner: FieldIter<'h, 'b>,
}

impl<'b> Iterator for EndToEnd<'_, 'b> {
    type Item = Field<'b>;

    #[inline]
    fn next(&mut self) -> Option<Field<'b>> {
        let (fields, buf) = (self.fields, self.inner.buf);
        self.inner.by_ref().find(|field| {
            let belongs_to_hop = field.known.is_some_and(Known::is_hop_by_hop)
                || (fields.connection_names_fields && fields.names_option(buf, field.name));
            !belongs_to_hop
        })
    }
}
