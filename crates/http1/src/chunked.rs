//! Chunked coding (RFC 9112 section 7.1): reading it in place, however it was split, and writing it.

use core::fmt;
use core::ops::Range;

use crate::bytes::{TOKEN, hex, is};
use crate::scan::is_control;

/// Bytes of chunk extensions in one body. Nobody uses them; unbounded they are a way to send without ever being served.
pub const MAX_EXTENSION_BYTES: u32 = 4 * 1024;

/// Trailer fields of one body. They are checked and dropped, never merged into the head.
pub const MAX_TRAILERS: u32 = 64;

/// Bytes of the trailer section of one body.
pub const MAX_TRAILER_BYTES: u32 = 8 * 1024;

/// Bytes of chunk headers and line ends per byte of payload, beyond [`FRAMING_ALLOWANCE_BYTES`]. A chunk of one byte
/// costs five bytes of framing, of two bytes two and a half each: a body that goes on in single bytes is refused.
pub const MAX_FRAMING_RATIO: u64 = 4;

/// Framing that is free of [`MAX_FRAMING_RATIO`]: some sixty-five thousand chunks of a single byte.
pub const FRAMING_ALLOWANCE_BYTES: u64 = 64 * 1024;

/// Hexadecimal digits of a chunk size: as many as 64 bits need, leading zeros included.
const MAX_SIZE_DIGITS: u8 = 16;

/// What ends a chunked body that has no trailers.
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// Why a chunked body is refused. The connection is of no further use: where the next message begins is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChunkError {
    /// A size that is not 1 to 16 hexadecimal digits followed by CRLF or an extension.
    Size,
    /// A control or non-ASCII character in an extension.
    Extension,
    /// More extensions than [`MAX_EXTENSION_BYTES`].
    ExtensionsTooLong,
    /// A chunk that is not followed by CRLF, or a CR without LF.
    LineEnd,
    /// A trailer line that is not a header field.
    Trailer,
    /// More trailers than [`MAX_TRAILERS`] or [`MAX_TRAILER_BYTES`].
    TrailersTooLong,
    /// More framing than [`MAX_FRAMING_RATIO`] grants.
    ChunksTooSmall,
}

impl ChunkError {
    /// A sentence for the client or the log.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::Size => "a chunk size is not 1 to 16 hexadecimal digits",
            Self::Extension => "a chunk extension contains a character that is not allowed there",
            Self::ExtensionsTooLong => "the chunk extensions are longer than 4 KiB in total",
            Self::LineEnd => "a chunk is not ended by CRLF",
            Self::Trailer => "a trailer is not a valid header line",
            Self::TrailersTooLong => "there are more than 64 trailers or 8 KiB of them",
            Self::ChunksTooSmall => "the body is sent in chunks of so few bytes that most of it is framing",
        }
    }

    /// The status a client is told.
    #[must_use]
    pub const fn status(self) -> u16 {
        400
    }
}

impl fmt::Display for ChunkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

impl core::error::Error for ChunkError {}

/// What [`ChunkedDecoder::decode`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Decoded {
    /// Bytes that were read; all of them, unless the body ended before. What follows belongs to the next message.
    pub consumed: usize,
    /// Bytes of payload, now at the front of the buffer.
    pub produced: usize,
    /// The body is whole.
    pub done: bool,
}

/// What [`ChunkedDecoder::next_piece`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Piece {
    /// Bytes that were read, payload and framing.
    pub consumed: usize,
    /// Where the payload stands; may be empty.
    pub payload: Range<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Size,
    Extension,
    SizeLineFeed,
    Payload,
    PayloadReturn,
    PayloadLineFeed,
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerLineFeed,
    LastLineFeed,
    Done,
}

/// Reads one chunked body. It keeps no bytes, only where it stands, so a body may be split anywhere.
///
/// After an error the decoder must not be used again.
#[derive(Clone, Debug)]
pub struct ChunkedDecoder {
    state: State,
    /// Digits of the size read so far.
    digits: u8,
    trailers: u32,
    extension_bytes: u32,
    trailer_bytes: u32,
    /// The size while it is read, then what is left of the chunk.
    remaining: u64,
    payload_bytes: u64,
    framing_bytes: u64,
}

impl Default for ChunkedDecoder {
    fn default() -> Self {
        Self::new()
    }
}

impl ChunkedDecoder {
    /// A decoder at the start of a body.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            state: State::Size,
            digits: 0,
            trailers: 0,
            extension_bytes: 0,
            trailer_bytes: 0,
            remaining: 0,
            payload_bytes: 0,
            framing_bytes: 0,
        }
    }

    /// Whether the body is whole.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// Payload read so far, in bytes; what a body limit is compared with.
    #[must_use]
    pub const fn payload_bytes(&self) -> u64 {
        self.payload_bytes
    }

    /// Reads `buf` and moves the payload in it to its front.
    ///
    /// # Errors
    /// What is wrong with the coding. The contents of `buf` are then unspecified.
    pub fn decode(&mut self, buf: &mut [u8]) -> Result<Decoded, ChunkError> {
        let (mut consumed, mut produced) = (0, 0);
        while consumed < buf.len() && !self.is_done() {
            let piece = self.next_piece(&buf[consumed..])?;
            let payload = consumed + piece.payload.start..consumed + piece.payload.end;
            let len = payload.len();
            if payload.start != produced {
                buf.copy_within(payload, produced);
            }
            produced += len;
            consumed += piece.consumed;
        }
        Ok(Decoded { consumed, produced, done: self.is_done() })
    }

    /// Reads `buf` up to the end of its first run of payload, for a caller that sends the runs on without moving them.
    /// Call again with what is left until it is empty or [`ChunkedDecoder::is_done`].
    ///
    /// # Errors
    /// What is wrong with the coding.
    #[inline]
    pub fn next_piece(&mut self, buf: &[u8]) -> Result<Piece, ChunkError> {
        let mut at = 0;
        while at < buf.len() && !self.is_done() {
            if self.state == State::Payload {
                let len = self.take_payload(buf.len() - at);
                return Ok(Piece { consumed: at + len, payload: at..at + len });
            }
            self.step(buf[at])?;
            at += 1;
        }
        Ok(Piece { consumed: at, payload: at..at })
    }

    #[inline]
    fn take_payload(&mut self, available: usize) -> usize {
        let len = usize::try_from(self.remaining).unwrap_or(usize::MAX).min(available);
        self.remaining -= len as u64;
        self.payload_bytes = self.payload_bytes.saturating_add(len as u64);
        if self.remaining == 0 {
            self.state = State::PayloadReturn;
        }
        len
    }

    /// Reads one byte of framing.
    #[inline]
    fn step(&mut self, byte: u8) -> Result<(), ChunkError> {
        self.framing_bytes += 1;
        self.state = match self.state {
            State::Size => self.size(byte)?,
            State::Extension => self.extension(byte)?,
            State::SizeLineFeed => self.end_of_size(byte)?,
            State::PayloadReturn => expect(byte, b'\r', State::PayloadLineFeed)?,
            State::PayloadLineFeed => self.end_of_payload(byte)?,
            State::TrailerStart | State::TrailerName | State::TrailerValue | State::TrailerLineFeed => {
                self.trailer(byte)?
            }
            State::LastLineFeed => expect(byte, b'\n', State::Done)?,
            State::Payload | State::Done => self.state,
        };
        Ok(())
    }

    #[inline]
    fn size(&mut self, byte: u8) -> Result<State, ChunkError> {
        if let Some(digit) = hex(byte) {
            if self.digits == MAX_SIZE_DIGITS {
                return Err(ChunkError::Size);
            }
            self.digits += 1;
            self.remaining = self.remaining << 4 | u64::from(digit);
            return Ok(State::Size);
        }
        match byte {
            b'\r' if self.digits > 0 => Ok(State::SizeLineFeed),
            b';' if self.digits > 0 => self.extension(byte),
            _ => Err(ChunkError::Size),
        }
    }

    fn extension(&mut self, byte: u8) -> Result<State, ChunkError> {
        if byte == b'\r' {
            return Ok(State::SizeLineFeed);
        }
        if is_control(byte) || !byte.is_ascii() {
            return Err(ChunkError::Extension);
        }
        self.extension_bytes += 1;
        if self.extension_bytes > MAX_EXTENSION_BYTES {
            Err(ChunkError::ExtensionsTooLong)
        } else {
            Ok(State::Extension)
        }
    }

    #[inline]
    fn end_of_size(&mut self, byte: u8) -> Result<State, ChunkError> {
        let next = if self.remaining == 0 { State::TrailerStart } else { State::Payload };
        if self.framing_bytes
            > MAX_FRAMING_RATIO.saturating_mul(self.payload_bytes).saturating_add(FRAMING_ALLOWANCE_BYTES)
        {
            return Err(ChunkError::ChunksTooSmall);
        }
        expect(byte, b'\n', next)
    }

    #[inline]
    fn end_of_payload(&mut self, byte: u8) -> Result<State, ChunkError> {
        self.digits = 0;
        expect(byte, b'\n', State::Size)
    }

    fn trailer(&mut self, byte: u8) -> Result<State, ChunkError> {
        self.trailer_bytes += 1;
        if self.trailer_bytes > MAX_TRAILER_BYTES {
            return Err(ChunkError::TrailersTooLong);
        }
        match (self.state, byte) {
            (State::TrailerStart, b'\r') => Ok(State::LastLineFeed),
            (State::TrailerStart, _) if is(byte, TOKEN) => self.begin_trailer(),
            (State::TrailerName, b':') => Ok(State::TrailerValue),
            (State::TrailerName, _) if is(byte, TOKEN) => Ok(State::TrailerName),
            (State::TrailerValue, b'\r') => Ok(State::TrailerLineFeed),
            (State::TrailerValue, _) if !is_control(byte) => Ok(State::TrailerValue),
            (State::TrailerLineFeed, _) => expect(byte, b'\n', State::TrailerStart),
            _ => Err(ChunkError::Trailer),
        }
    }

    fn begin_trailer(&mut self) -> Result<State, ChunkError> {
        self.trailers += 1;
        if self.trailers > MAX_TRAILERS { Err(ChunkError::TrailersTooLong) } else { Ok(State::TrailerName) }
    }
}

#[inline]
fn expect(byte: u8, wanted: u8, next: State) -> Result<State, ChunkError> {
    if byte == wanted { Ok(next) } else { Err(ChunkError::LineEnd) }
}

/// Writes the header of a chunk of `len` bytes (`len` in hexadecimal and CRLF) into `out` and returns the part of it
/// that is used. Behind the payload belongs a further CRLF; a `len` of 0 is the last chunk and ends the body.
pub fn write_chunk_header(out: &mut [u8; 18], len: usize) -> &[u8] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut start = out.len() - 2;
    out[start..].copy_from_slice(b"\r\n");
    let mut rest = len;
    loop {
        start -= 1;
        out[start] = DIGITS[rest % 16];
        rest /= 16;
        if rest == 0 {
            return &out[start..];
        }
    }
}
