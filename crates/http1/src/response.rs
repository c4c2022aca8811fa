//! Response heads, as an upstream sends them.

use crate::framing::{Declared, connection, declared};
use crate::lines::{Lines, Position};
use crate::{Fields, HeadError, Known, MAX_HEAD_BYTES, Parse};

/// How the body of a response ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseFraming {
    /// There is no body: 1xx, 204, 304, or the answer to `HEAD`.
    None,
    /// `Content-Length` bytes; may be 0.
    Length(u64),
    /// Chunked coding; see [`ChunkedDecoder`](crate::ChunkedDecoder).
    Chunked,
    /// The end of the connection ends it, so a body that was cut short cannot be told from a whole one.
    UntilClose,
}

/// A response head, read incrementally and as offsets into the caller's buffer; as strict about framing as
/// [`RequestHead`](crate::RequestHead), and lenient where servers differ without consequence (an absent reason phrase).
///
/// A field of this type is meaningful once [`ResponseHead::parse`] has returned [`Parse::Complete`].
#[derive(Clone, Debug)]
pub struct ResponseHead {
    /// Status code, 100 to 999.
    pub status: u16,
    /// 0 for HTTP/1.0, 1 for HTTP/1.1.
    pub minor_version: u8,
    /// How the body ends.
    pub framing: ResponseFraming,
    /// Whether the connection can carry another request after this response.
    pub keep_alive: bool,
    /// Bytes of the head, counted from the start of the buffer: the body begins here.
    pub head_len: usize,
    fields: Fields,
    stage: Stage,
    position: Position,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Start,
    Fields,
    /// The next call begins a new head.
    Done,
}

impl Default for ResponseHead {
    fn default() -> Self {
        Self::new()
    }
}

impl ResponseHead {
    /// A reader that has seen nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            status: 0,
            minor_version: 1,
            framing: ResponseFraming::None,
            keep_alive: false,
            head_len: 0,
            fields: Fields::new(),
            stage: Stage::Done,
            position: Position::START,
        }
    }

    /// Forgets a head that was read in part.
    pub fn reset(&mut self) {
        self.stage = Stage::Done;
    }

    /// Reads on in `buf`; the contract is that of [`RequestHead::parse`](crate::RequestHead::parse).
    /// `request_was_head` says that the request's method was `HEAD`, whose answer has fields of a body but none.
    ///
    /// An informational response (1xx) is a head of its own: skip `head_len` bytes and parse again.
    ///
    /// # Errors
    /// What is wrong with the head. The connection is of no further use.
    #[inline]
    pub fn parse(&mut self, buf: &[u8], request_was_head: bool) -> Result<Parse, HeadError> {
        if self.stage == Stage::Done || !self.position.continues(buf.len()) {
            self.begin();
        }
        let result = self.read(&buf[..buf.len().min(MAX_HEAD_BYTES)], request_was_head);
        match result {
            Ok(Parse::Partial) if buf.len() < MAX_HEAD_BYTES => Ok(Parse::Partial),
            Ok(Parse::Partial) => self.fail(HeadError::HeadTooLarge),
            Ok(Parse::Complete) => {
                self.stage = Stage::Done;
                result
            }
            Err(error) => self.fail(error),
        }
    }

    #[cold]
    fn fail(&mut self, error: HeadError) -> Result<Parse, HeadError> {
        self.stage = Stage::Done;
        Err(error)
    }

    fn begin(&mut self) {
        self.stage = Stage::Start;
        self.position = Position::START;
        self.fields.clear();
    }

    #[inline]
    fn read(&mut self, head: &[u8], request_was_head: bool) -> Result<Parse, HeadError> {
        let mut lines = Lines::resume(head, self.position);
        let mut result = Parse::Complete;
        if self.stage == Stage::Start {
            result = self.read_start(&mut lines)?;
        }
        if result == Parse::Complete {
            result = self.fields.read(&mut lines)?;
        }
        self.position = lines.position();
        if result == Parse::Complete { self.finish(head, request_was_head) } else { Ok(result) }
    }

    #[inline]
    fn read_start(&mut self, lines: &mut Lines<'_>) -> Result<Parse, HeadError> {
        let Some(line) = lines.cut()? else { return Ok(Parse::Partial) };
        (self.minor_version, self.status) = status_line(&lines.head()[line])?;
        self.stage = Stage::Fields;
        Ok(Parse::Complete)
    }

    fn finish(&mut self, head: &[u8], request_was_head: bool) -> Result<Parse, HeadError> {
        self.head_len = self.position.next;
        let declared = declared(&self.fields, head, self.minor_version)?;
        let connection = connection(&self.fields, head)?;
        self.fields.connection_names_fields = connection.names_fields;
        let never_has_body = matches!(self.status, 100..=199 | 204);
        self.framing = if never_has_body || self.status == 304 || request_was_head {
            ResponseFraming::None
        } else {
            match declared {
                Declared::Nothing => ResponseFraming::UntilClose,
                Declared::Length(length) => ResponseFraming::Length(length),
                Declared::Chunked => ResponseFraming::Chunked,
            }
        };
        let lies = never_has_body && !matches!(declared, Declared::Nothing | Declared::Length(0));
        self.keep_alive = connection.persists(self.minor_version)
            && self.framing != ResponseFraming::UntilClose
            && self.status != 101
            && !lies;
        Ok(Parse::Complete)
    }

    /// The header fields.
    #[must_use]
    #[inline]
    pub fn fields(&self) -> &Fields {
        &self.fields
    }

    /// The value of the first field of this kind; short for `fields().get`.
    #[must_use]
    #[inline]
    pub fn known<'b>(&self, buf: &'b [u8], known: Known) -> Option<&'b [u8]> {
        self.fields.get(buf, known)
    }
}

/// `HTTP/1.x SP 3DIGIT [SP reason]`. RFC 9112 wants the second space even without a reason; many servers do not send it.
fn status_line(line: &[u8]) -> Result<(u8, u16), HeadError> {
    let (version, rest) = line.split_first_chunk::<9>().ok_or(HeadError::StatusLine)?;
    let minor_version = match version {
        b"HTTP/1.1 " => 1,
        b"HTTP/1.0 " => 0,
        [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9', b' '] => {
            return Err(HeadError::Version);
        }
        _ => return Err(HeadError::StatusLine),
    };
    let status = match rest {
        [a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9'] => digits(*a, *b, *c),
        [a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', b' ', ..] => digits(*a, *b, *c),
        _ => return Err(HeadError::StatusLine),
    };
    Ok((minor_version, status))
}

fn digits(a: u8, b: u8, c: u8) -> u16 {
    u16::from(a - b'0') * 100 + u16::from(b - b'0') * 10 + u16::from(c - b'0')
}
