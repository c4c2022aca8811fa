//! What is in an event.

use memchr::memchr2;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// One event, borrowed from the buffer it lies in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Event<'a> {
    /// The whole event with its blank line, as it came.
    pub bytes: &'a [u8],
    /// Where it begins in the buffer.
    pub start: usize,
    /// Where it ends in the buffer.
    pub end: usize,
    /// The value of its last `event` field.
    pub name: Option<&'a [u8]>,
    /// The value of its first `data` field.
    first_data: Option<&'a [u8]>,
    /// It has more than one `data` field.
    multi_line: bool,
    /// It has a field of any name.
    has_field: bool,
}

/// The data of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Data<'a> {
    /// It has none.
    None,
    /// One line, as nearly always.
    Line(&'a [u8]),
    /// Several lines; see [`Event::join_data`].
    Lines,
}

impl<'a> Event<'a> {
    /// Its data, where that takes no copying.
    #[must_use]
    pub fn data(&self) -> Data<'a> {
        match self.first_data {
            None => Data::None,
            Some(_) if self.multi_line => Data::Lines,
            Some(line) => Data::Line(line),
        }
    }

    /// The values of its `data` fields in order.
    pub fn data_lines(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        lines(self.bytes)
            .map(|(line, _)| field(line))
            .filter(|(name, _)| *name == b"data")
            .map(|(_, value)| value)
    }

    /// Replaces what is in `scratch` by its data, lines joined with `\n`.
    pub fn join_data(&self, scratch: &mut Vec<u8>) {
        scratch.clear();
        for (index, line) in self.data_lines().enumerate() {
            if index > 0 {
                scratch.push(b'\n');
            }
            scratch.extend_from_slice(line);
        }
    }

    /// Whether it has no field at all: comments, such as keep-alives, or blank lines.
    #[must_use]
    pub fn is_comment_only(&self) -> bool {
        !self.has_field
    }

    fn line(&mut self, line: &'a [u8]) {
        let (name, value) = field(line);
        self.has_field |= !name.is_empty();
        match name {
            b"data" if self.first_data.is_none() => self.first_data = Some(value),
            b"data" => self.multi_line = true,
            b"event" => self.name = Some(value),
            _ => {}
        }
    }
}

/// The whole events at the front of `buf`, which must begin where an event does. What follows the last blank line is not
/// yielded.
#[must_use]
pub fn events(buf: &[u8]) -> Events<'_> {
    Events { buf, at: 0 }
}

/// What a stream that has ended left after its last whole event, read as if a blank line had followed.
#[must_use]
pub fn unfinished(rest: &[u8]) -> Event<'_> {
    let mut event = Event { bytes: rest, end: rest.len(), ..Event::default() };
    lines(rest).for_each(|(line, _)| event.line(line));
    event
}

/// Iterator of [`events`].
#[derive(Clone, Debug)]
pub struct Events<'a> {
    buf: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Events<'a> {
    type Item = Event<'a>;

    fn next(&mut self) -> Option<Event<'a>> {
        let start = self.at;
        let rest = self.buf.get(start..)?;
        let mut event = Event { start, ..Event::default() };
        for (line, end) in lines(rest) {
            if line.is_empty() {
                let end = end?;
                event.bytes = &rest[..end];
                event.end = start + end;
                self.at = event.end;
                return Some(event);
            }
            event.line(line);
        }
        None
    }
}

/// The lines of an event, each with the offset after its line end; `None` where the line is not ended.
fn lines(event: &[u8]) -> impl Iterator<Item = (&[u8], Option<usize>)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = event.get(at..).filter(|rest| !rest.is_empty())?;
        let Some(len) = memchr2(b'\n', b'\r', rest) else {
            at = event.len();
            return Some((rest, None));
        };
        let line_end = if rest[len..].starts_with(b"\r\n") { 2 } else { 1 };
        at += len + line_end;
        Some((&rest[..len], Some(at)))
    })
}

/// Name and value of a line. A comment's name is empty.
fn field(line: &[u8]) -> (&[u8], &[u8]) {
    // Nearly every line of a stream is this one.
    if let Some(value) = line.strip_prefix(b"data:") {
        return (&line[..4], value.strip_prefix(b" ").unwrap_or(value));
    }
    let line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
    let Some(colon) = memchr::memchr(b':', line) else { return (line, &[]) };
    let value = &line[colon + 1..];
    (&line[..colon], value.strip_prefix(b" ").unwrap_or(value))
}
