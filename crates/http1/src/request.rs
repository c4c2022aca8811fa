//! Request heads.

use crate::bytes::{TOKEN, all, is_text};
use crate::fields::Span;
use crate::framing::{Declared, connection, declared};
use crate::lines::{Lines, Position};
use crate::target::{self, Target};
use crate::{Fields, HeadError, Known, MAX_HEAD_BYTES, Parse, host};

/// The method of a request. Methods are case-sensitive: `get` is [`Method::Other`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// `GET`
    Get,
    /// `POST`
    Post,
    /// `HEAD`
    Head,
    /// `OPTIONS`
    Options,
    /// `PUT`
    Put,
    /// `PATCH`
    Patch,
    /// `DELETE`
    Delete,
    /// Any other token; [`RequestHead::method_name`] has it.
    Other,
}

/// How the body of a request ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is no body, and no field that speaks of one.
    None,
    /// `Content-Length` bytes; may be 0.
    Length(u64),
    /// Chunked coding; see [`ChunkedDecoder`](crate::ChunkedDecoder).
    Chunked,
}

/// A request head, read incrementally and as offsets into the caller's buffer. About 1.2 KiB: keep one per connection.
///
/// A field of this type is meaningful once [`RequestHead::parse`] has returned [`Parse::Complete`].
#[derive(Clone, Debug)]
pub struct RequestHead {
    /// The method.
    pub method: Method,
    /// 0 for HTTP/1.0, 1 for HTTP/1.1.
    pub minor_version: u8,
    /// How the body ends.
    pub framing: Framing,
    /// Whether the client wants to keep the connection.
    pub keep_alive: bool,
    /// The client waits for `100 Continue` before it sends the body. Never set in HTTP/1.0, nor without a body.
    pub expect_continue: bool,
    /// The client asks for another protocol. It may be ignored; bytes that follow are then an ordinary request.
    pub upgrade: bool,
    /// Bytes of the head, counted from the start of the buffer: the body begins here.
    pub head_len: usize,
    method_name: Span,
    path: Span,
    query: Option<Span>,
    fields: Fields,
    stage: Stage,
    position: Position,
    authority: Option<(Span, &'static [u8])>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Before the request line; one empty line may still come.
    Start,
    /// After that empty line.
    AfterEmptyLine,
    Fields,
    /// The next call begins a new head.
    Done,
}

impl Default for RequestHead {
    fn default() -> Self {
        Self::new()
    }
}

impl RequestHead {
    /// A reader that has seen nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            method: Method::Other,
            minor_version: 1,
            framing: Framing::None,
            keep_alive: false,
            expect_continue: false,
            upgrade: false,
            head_len: 0,
            method_name: Span::EMPTY,
            path: Span::EMPTY,
            query: None,
            fields: Fields::new(),
            stage: Stage::Done,
            position: Position::START,
            authority: None,
        }
    }

    /// Forgets a head that was read in part, for a reader that goes to another connection.
    pub fn reset(&mut self) {
        self.stage = Stage::Done;
    }

    /// Reads on in `buf`, which holds everything from the start of the head: the bytes of the call before, and more.
    /// After `Complete` or an error the next call begins a new head. Each byte is searched once over all calls, and
    /// neither the result nor the error depends on how the bytes were split.
    ///
    /// # Errors
    /// What is wrong with the head. Where its body ends is then unknown: answer and close.
    #[inline]
    pub fn parse(&mut self, buf: &[u8]) -> Result<Parse, HeadError> {
        if self.stage == Stage::Done || !self.position.continues(buf.len()) {
            self.begin();
        }
        let result = self.read(&buf[..buf.len().min(MAX_HEAD_BYTES)]);
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
    fn read(&mut self, head: &[u8]) -> Result<Parse, HeadError> {
        let mut lines = Lines::resume(head, self.position);
        let mut result = Parse::Complete;
        while self.stage != Stage::Fields && result == Parse::Complete {
            result = self.read_start(&mut lines)?;
        }
        if result == Parse::Complete {
            result = self.fields.read(&mut lines)?;
        }
        self.position = lines.position();
        if result == Parse::Complete { self.finish(head) } else { Ok(result) }
    }

    /// Reads the request line, or the one empty line that may stand before it (RFC 9112 section 2.2).
    #[inline]
    fn read_start(&mut self, lines: &mut Lines<'_>) -> Result<Parse, HeadError> {
        let Some(line) = lines.cut()? else { return Ok(Parse::Partial) };
        if line.is_empty() && self.stage == Stage::Start {
            self.stage = Stage::AfterEmptyLine;
        } else {
            self.request_line(lines.head(), line.start, line.end)?;
            self.stage = Stage::Fields;
        }
        Ok(Parse::Complete)
    }

    fn request_line(&mut self, head: &[u8], start: usize, end: usize) -> Result<(), HeadError> {
        let line = &head[start..end];
        let (before, minor_version) = split_version(line)?;
        let method_len = before.iter().position(|&byte| byte == b' ').ok_or(HeadError::RequestLine)?;
        self.method = method(&before[..method_len])?;
        self.minor_version = minor_version;
        self.method_name = Span::new(start, start + method_len);
        let target_start = method_len + 1;
        self.set_target(target::parse(&before[target_start..], self.method)?, start + target_start);
        Ok(())
    }

    fn set_target(&mut self, target: Target, base: usize) {
        let span = |range: core::ops::Range<usize>| Span::new(base + range.start, base + range.end);
        self.path = span(target.path);
        self.query = target.query.map(span);
        self.authority = target.authority.map(|(range, default_port)| (span(range), default_port));
    }

    /// The field section is whole: what it means is read from all of it at once.
    fn finish(&mut self, head: &[u8]) -> Result<Parse, HeadError> {
        self.head_len = self.position.next;
        self.check_host(head)?;
        self.framing = match declared(&self.fields, head, self.minor_version)? {
            Declared::Nothing => Framing::None,
            Declared::Length(length) => Framing::Length(length),
            Declared::Chunked => Framing::Chunked,
        };
        let connection = connection(&self.fields, head)?;
        self.keep_alive = connection.persists(self.minor_version);
        self.fields.connection_names_fields = connection.names_fields;
        self.upgrade = self.fields.count(Known::Upgrade) > 0;
        self.expect_continue = self.expects_continue(head)?;
        Ok(Parse::Complete)
    }

    fn check_host(&self, head: &[u8]) -> Result<(), HeadError> {
        let Some(value) = self.fields.get(head, Known::Host) else {
            return if self.minor_version == 0 { Ok(()) } else { Err(HeadError::HostMissing) };
        };
        if self.fields.count(Known::Host) > 1 {
            return Err(HeadError::HostRepeated);
        }
        if !host::is_valid(value) {
            return Err(HeadError::Host);
        }
        match self.authority {
            Some((authority, port)) if !host::same(authority.of(head), value, port) => {
                Err(HeadError::HostMismatch)
            }
            _ => Ok(()),
        }
    }

    fn expects_continue(&self, head: &[u8]) -> Result<bool, HeadError> {
        for value in self.fields.all(head, Known::Expect) {
            if !is_text(value, b"100-continue") {
                return Err(HeadError::Expectation);
            }
        }
        let has_body = !matches!(self.framing, Framing::None | Framing::Length(0));
        Ok(self.fields.count(Known::Expect) > 0 && has_body && self.minor_version == 1)
    }

    /// The method as it was sent.
    #[must_use]
    pub fn method_name<'b>(&self, buf: &'b [u8]) -> &'b str {
        ascii(self.method_name.of(buf))
    }

    /// The path as it was sent, which is its only spelling (see [`HeadError::Path`]); `*` for `OPTIONS *`.
    #[must_use]
    #[inline]
    pub fn path<'b>(&self, buf: &'b [u8]) -> &'b str {
        if self.path.is_empty() { "/" } else { ascii(self.path.of(buf)) }
    }

    /// What follows the question mark, as it was sent.
    #[must_use]
    pub fn query<'b>(&self, buf: &'b [u8]) -> Option<&'b str> {
        self.query.map(|query| ascii(query.of(buf)))
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

/// Parsing let only ASCII through; a buffer that says otherwise is not the one that was parsed.
fn ascii(bytes: &[u8]) -> &str {
    core::str::from_utf8(bytes).expect("the buffer is the one that was parsed, where this span is ASCII")
}

/// Splits ` HTTP/1.x` off a request line.
#[inline]
fn split_version(line: &[u8]) -> Result<(&[u8], u8), HeadError> {
    let (before, version) = line.split_last_chunk::<9>().ok_or(HeadError::RequestLine)?;
    match version {
        b" HTTP/1.1" => Ok((before, 1)),
        b" HTTP/1.0" => Ok((before, 0)),
        [b' ', b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] => Err(HeadError::Version),
        _ => Err(HeadError::RequestLine),
    }
}

fn method(name: &[u8]) -> Result<Method, HeadError> {
    Ok(match name {
        b"GET" => Method::Get,
        b"POST" => Method::Post,
        b"HEAD" => Method::Head,
        b"OPTIONS" => Method::Options,
        b"PUT" => Method::Put,
        b"PATCH" => Method::Patch,
        b"DELETE" => Method::Delete,
        b"CONNECT" => return Err(HeadError::Connect),
        _ if all(name, TOKEN) => Method::Other,
        _ => return Err(HeadError::RequestLine),
    })
}
