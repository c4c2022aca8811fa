//! Cutting a stream into messages and reading their headers.

use std::ops::Range;

use super::{MAX_MESSAGE_BYTES, OVERHEAD_BYTES, PRELUDE_BYTES, STRING};
use crate::wire::{Frame, Malformed};

/// What sort of message it is, by its header `:message-type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageKind {
    /// An event of the stream.
    Event,
    /// An error that the service's interface lists.
    Exception,
    /// Any other error; it has a code and words in its headers.
    Error,
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// Where it is in the bytes it was read from.
    pub range: Range<usize>,
    /// What sort it is.
    pub kind: MessageKind,
    /// The value of `:event-type`, `:exception-type` or `:error-code`; empty where there is none.
    pub name: &'a [u8],
    /// What it says; JSON for the services we speak to. Of a [`MessageKind::Error`] without payload, `:error-message`.
    pub payload: &'a [u8],
}

impl<'a> Message<'a> {
    /// The message as a frame. Errors without a name that says so are called `error`.
    #[must_use]
    pub fn frame(&self) -> Frame<'a> {
        let unnamed = self.kind != MessageKind::Event && !self.name.ends_with(b"Exception");
        Frame { name: Some(if unnamed { b"error" } else { self.name }), data: self.payload }
    }
}

/// How many bytes of `buf` from its beginning are whole messages. The rest is the beginning of one more.
///
/// Of a message that is not whole only the twelve bytes of its prelude are looked at, so asking again with every read costs
/// nothing as long as whole messages are taken out of the buffer.
///
/// # Errors
///
/// Where a checksum is wrong, a length cannot be, or the headers are broken: what follows cannot be read at all.
pub fn whole_messages(buf: &[u8]) -> Result<usize, Malformed> {
    let mut at = 0;
    while let Some(length) = whole_message(&buf[at..])? {
        at += length;
    }
    Ok(at)
}

/// The messages of bytes that [`whole_messages`] found to be whole. Ends early where they are not.
pub fn messages(buf: &[u8]) -> impl Iterator<Item = Message<'_>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = buf.get(at..)?;
        let (length, headers_length) = lengths(rest)?;
        let mut message = parse(rest.get(..length)?, headers_length)?;
        message.range = at..at + length;
        at += length;
        Some(message)
    })
}

/// The length of the message that `buf` begins with; `None` where it is not whole.
fn whole_message(buf: &[u8]) -> Result<Option<usize>, Malformed> {
    let Some((length, headers_length)) = lengths(buf) else { return Ok(None) };
    if number(buf, 8) != Some(crc32fast::hash(&buf[..8])) {
        return Err(Malformed("has an event stream with a wrong checksum"));
    }
    let room = length.checked_sub(OVERHEAD_BYTES);
    if length > MAX_MESSAGE_BYTES || room.is_none_or(|room| headers_length > room) {
        return Err(Malformed("has an event stream with an impossible length"));
    }
    let Some(message) = buf.get(..length) else { return Ok(None) };
    if number(message, length - 4) != Some(crc32fast::hash(&message[..length - 4])) {
        return Err(Malformed("has an event stream with a wrong checksum"));
    }
    if parse(message, headers_length).is_none() {
        return Err(Malformed("has an event stream with broken headers"));
    }
    Ok(Some(length))
}

/// The two lengths of the prelude, if it is there.
fn lengths(buf: &[u8]) -> Option<(usize, usize)> {
    let prelude = buf.get(..PRELUDE_BYTES)?;
    Some((number(prelude, 0)? as usize, number(prelude, 4)? as usize))
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// Reads a message that is whole; `None` where its headers are broken.
fn parse(message: &[u8], headers_length: usize) -> Option<Message<'_>> {
    let body = message.get(PRELUDE_BYTES..message.len().checked_sub(4)?)?;
    let (mut headers, payload) = body.split_at_checked(headers_length)?;
    let (mut kind, mut name, mut words) = (MessageKind::Event, &[][..], &[][..]);
    while !headers.is_empty() {
        let (header, value) = take_header(&mut headers)?;
        match header {
            b":message-type" => kind = kind_named(value),
            b":event-type" | b":exception-type" | b":error-code" => name = value,
            b":error-message" => words = value,
            _ => {}
        }
    }
    let payload = if kind == MessageKind::Error && payload.is_empty() { words } else { payload };
    Some(Message { range: 0..message.len(), kind, name, payload })
}

fn kind_named(value: &[u8]) -> MessageKind {
    match value {
        b"exception" => MessageKind::Exception,
        b"error" => MessageKind::Error,
        _ => MessageKind::Event,
    }
}

/// Takes one header off the front: its name and, where it is a string, its value.
fn take_header<'a>(headers: &mut &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    let name_length = usize::from(*take(headers, 1)?.first()?);
    let name = take(headers, name_length)?;
    let kind = *take(headers, 1)?.first()?;
    let value_length = match kind {
        // True and false have no bytes; then come whole numbers of 1, 2, 4 and 8 bytes.
        0 | 1 => 0,
        2 => 1,
        3 => 2,
        4 => 4,
        // A number, a time.
        5 | 8 => 8,
        // Bytes, a string.
        6 | STRING => usize::from(u16::from_be_bytes(*take(headers, 2)?.first_chunk()?)),
        // A UUID.
        9 => 16,
        _ => return None,
    };
    let value = take(headers, value_length)?;
    Some((name, if kind == STRING { value } else { &[] }))
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(taken)
}
