//! Requests as the demo provider needs them: method, target, where the body is, and what becomes of the connection.

use std::ops::Range;

use memchr::memmem;

/// Longest request head.
pub(crate) const MAX_HEAD_BYTES: usize = 64 * 1024;
/// Longest request body.
pub(crate) const MAX_BODY_BYTES: usize = 64 * 1024 * 1024;

/// A request head; positions are relative to its first byte.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) method: Range<usize>,
    pub(crate) target: Range<usize>,
    /// Bytes of the head, its empty line included.
    pub(crate) len: usize,
    pub(crate) body: Framing,
    pub(crate) keep_alive: bool,
    /// Whether the client waits for a `100 Continue`.
    pub(crate) expects_continue: bool,
}

/// How a body is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    Length(usize),
    Chunked,
}

/// What is wrong with a head.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BadHead;

impl Head {
    /// Reads the head at the start of `bytes`; `None` while it is not whole.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Option<Self>, BadHead> {
        let Some(end) = memmem::find(bytes, b"\r\n\r\n") else {
            return if bytes.len() > MAX_HEAD_BYTES { Err(BadHead) } else { Ok(None) };
        };
        let mut lines = bytes[..end].split(|byte| *byte == b'\n').map(|line| line.trim_ascii_end());
        let mut head = Self::request_line(lines.next().unwrap_or_default(), end + 4)?;
        for line in lines {
            let colon = line.iter().position(|byte| *byte == b':').ok_or(BadHead)?;
            head.header(&line[..colon], line[colon + 1..].trim_ascii())?;
        }
        Ok(Some(head))
    }

    fn request_line(line: &[u8], len: usize) -> Result<Self, BadHead> {
        let first = line.iter().position(|byte| *byte == b' ').ok_or(BadHead)?;
        let second = line.iter().rposition(|byte| *byte == b' ').filter(|at| *at > first).ok_or(BadHead)?;
        let keep_alive = match &line[second + 1..] {
            b"HTTP/1.1" => true,
            b"HTTP/1.0" => false,
            _ => return Err(BadHead),
        };
        let (method, target, body) = (0..first, first + 1..second, Framing::Length(0));
        Ok(Self { method, target, len, body, keep_alive, expects_continue: false })
    }

    fn header(&mut self, name: &[u8], value: &[u8]) -> Result<(), BadHead> {
        if name.eq_ignore_ascii_case(b"content-length") {
            let length = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
            self.body = Framing::Length(length.filter(|length| *length <= MAX_BODY_BYTES).ok_or(BadHead)?);
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            if !value.eq_ignore_ascii_case(b"chunked") {
                return Err(BadHead);
            }
            self.body = Framing::Chunked;
        } else if name.eq_ignore_ascii_case(b"connection") {
            self.keep_alive = self.keep_alive && !value.eq_ignore_ascii_case(b"close");
        } else if name.eq_ignore_ascii_case(b"expect") {
            self.expects_continue = value.eq_ignore_ascii_case(b"100-continue");
        }
        Ok(())
    }
}

/// Removes the chunked coding from the start of `bytes` and appends what it carried to `body`. Returns the bytes of
/// the coding once it is whole. Trailers are skipped.
pub(crate) fn dechunk(bytes: &[u8], body: &mut Vec<u8>) -> Result<Option<usize>, BadHead> {
    body.clear();
    let mut at = 0;
    loop {
        let Some(line_end) = memmem::find(&bytes[at..], b"\r\n") else { return Ok(None) };
        let line = &bytes[at..at + line_end];
        at += line_end + 2;
        let digits = line.split(|byte| *byte == b';').next().unwrap_or_default();
        let size =
            std::str::from_utf8(digits).ok().and_then(|text| usize::from_str_radix(text.trim(), 16).ok());
        let size = size.filter(|size| body.len() + size <= MAX_BODY_BYTES).ok_or(BadHead)?;
        if size == 0 {
            return Ok(end_of_trailers(&bytes[at..]).map(|trailers| at + trailers));
        }
        let Some(chunk) = bytes.get(at..at + size + 2) else { return Ok(None) };
        if !chunk.ends_with(b"\r\n") {
            return Err(BadHead);
        }
        body.extend_from_slice(&chunk[..size]);
        at += size + 2;
    }
}

fn end_of_trailers(bytes: &[u8]) -> Option<usize> {
    if bytes.starts_with(b"\r\n") { Some(2) } else { memmem::find(bytes, b"\r\n\r\n").map(|at| at + 4) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_read() {
        for (head, body, keep_alive, expects_continue) in [
            ("GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n", Framing::Length(0), true, false),
            ("POST /a HTTP/1.1\r\nContent-Length:  12 \r\n\r\n", Framing::Length(12), true, false),
            ("POST /a HTTP/1.1\r\ntransfer-encoding: Chunked\r\n\r\n", Framing::Chunked, true, false),
            ("POST /a HTTP/1.1\r\nconnection: close\r\n\r\n", Framing::Length(0), false, false),
            ("POST /a HTTP/1.0\r\n\r\n", Framing::Length(0), false, false),
            ("POST /a HTTP/1.1\r\nexpect: 100-continue\r\n\r\n", Framing::Length(0), true, true),
        ] {
            let read = Head::parse(head.as_bytes()).unwrap().unwrap();
            assert_eq!((read.body, read.keep_alive), (body, keep_alive), "{head}");
            assert_eq!(read.expects_continue, expects_continue, "{head}");
            assert_eq!(read.len, head.len());
        }
    }

    #[test]
    fn a_head_in_parts_is_waited_for() {
        let head = b"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: 2\r\n\r\n";
        for end in 0..head.len() {
            assert_eq!(Head::parse(&head[..end]), Ok(None), "{end}");
        }
    }

    #[test]
    fn bad_heads_are_refused() {
        for head in [
            "POST\r\n\r\n",
            "POST /a HTTP/2.0\r\n\r\n",
            "POST /a HTTP/1.1\r\nno colon\r\n\r\n",
            "POST /a HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
            "POST /a HTTP/1.1\r\ncontent-length: 67108865\r\n\r\n",
            "POST /a HTTP/1.1\r\ntransfer-encoding: gzip\r\n\r\n",
        ] {
            assert_eq!(Head::parse(head.as_bytes()), Err(BadHead), "{head}");
        }
        assert_eq!(Head::parse(&[b'a'; MAX_HEAD_BYTES + 1]), Err(BadHead));
    }

    #[test]
    fn chunked_bodies_are_joined_however_they_are_split() {
        let coded = b"5\r\nhello\r\n1;ext=1\r\n!\r\n0\r\ntrailer: x\r\n\r\nnext";
        let whole = coded.len() - 4;
        let mut body = Vec::new();
        for end in 0..whole {
            assert_eq!(dechunk(&coded[..end], &mut body), Ok(None), "{end}");
        }
        assert_eq!(dechunk(coded, &mut body), Ok(Some(whole)));
        assert_eq!(body, b"hello!");
        assert_eq!(dechunk(b"x\r\n", &mut body), Err(BadHead));
        assert_eq!(dechunk(b"1\r\nabc", &mut body), Err(BadHead));
    }
}
