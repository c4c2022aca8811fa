use memchr::{memchr, memmem};

/// Longest response head.
const MAX_HEAD_BYTES: usize = 64 * 1024;
/// Longest line of the chunked coding.
const MAX_CHUNK_LINE_BYTES: usize = 4096;

/// What is wrong with an answer as HTTP.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BadResponse(pub(crate) &'static str);

/// Reads one HTTP/1.1 response after another, in whatever parts it arrives.
#[derive(Debug, Default)]
pub(crate) struct ResponseReader {
    state: State,
    /// The head, or a line of the coding, while it arrives in parts.
    partial: Vec<u8>,
    /// Status of the response being read, once its head is whole.
    pub(crate) status: u16,
    /// Whether the server will close the connection after it.
    pub(crate) close: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Nothing has arrived yet.
    #[default]
    Start,
    Head,
    /// Bytes of the body that are left.
    Length(u64),
    ChunkSize,
    ChunkData(u64),
    ChunkEnd,
    Trailers,
    UntilClose,
    Whole,
}

impl ResponseReader {
    /// Starts anew for the next response of the connection.
    pub(crate) fn reset(&mut self) {
        self.state = State::Start;
        self.partial.clear();
        (self.status, self.close) = (0, false);
    }

    /// Whether any byte has arrived.
    pub(crate) fn started(&self) -> bool {
        self.state != State::Start
    }

    /// Takes the next bytes, hands those of the body to `on_body`, and says whether the response is whole.
    pub(crate) fn feed(
        &mut self,
        mut bytes: &[u8],
        on_body: &mut impl FnMut(&[u8]),
    ) -> Result<bool, BadResponse> {
        while !bytes.is_empty() {
            bytes = match self.state {
                State::Start | State::Head => self.head(bytes)?,
                State::Length(left) => self.data(bytes, left, on_body, State::Length),
                State::ChunkSize => self.chunk_size(bytes)?,
                State::ChunkData(left) => self.data(bytes, left, on_body, State::ChunkData),
                State::ChunkEnd | State::Trailers => self.chunk_line(bytes)?,
                State::UntilClose => {
                    on_body(bytes);
                    &[]
                }
                State::Whole => return Err(BadResponse("bytes after the end of the response")),
            };
        }
        Ok(self.state == State::Whole)
    }

    /// The server has closed the connection: whether that ends the response properly.
    pub(crate) fn end(&mut self) -> bool {
        matches!(self.state, State::UntilClose | State::Whole)
    }

    fn data<'a>(
        &mut self,
        bytes: &'a [u8],
        left: u64,
        on_body: &mut impl FnMut(&[u8]),
        state: fn(u64) -> State,
    ) -> &'a [u8] {
        let take = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
        on_body(&bytes[..take]);
        let left = left - take as u64;
        self.state = match (left, state(0)) {
            (0, State::ChunkData(_)) => State::ChunkEnd,
            (0, _) => State::Whole,
            _ => state(left),
        };
        &bytes[take..]
    }

    fn head<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], BadResponse> {
        self.state = State::Head;
        if self.partial.is_empty()
            && let Some(end) = memmem::find(bytes, b"\r\n\r\n")
        {
            self.state = self.parse(&bytes[..end])?;
            return Ok(&bytes[end + 4..]);
        }
        let seen = self.partial.len();
        self.partial.extend_from_slice(bytes);
        let Some(end) = memmem::find(&self.partial, b"\r\n\r\n") else {
            return if self.partial.len() > MAX_HEAD_BYTES {
                Err(BadResponse("an endless head"))
            } else {
                Ok(&[])
            };
        };
        let head = std::mem::take(&mut self.partial);
        self.state = self.parse(&head[..end])?;
        self.partial = head;
        self.partial.clear();
        Ok(&bytes[end + 4 - seen..])
    }

    fn parse(&mut self, head: &[u8]) -> Result<State, BadResponse> {
        let mut lines = head.split(|byte| *byte == b'\n').map(|line| line.trim_ascii_end());
        self.status = status(lines.next().unwrap_or_default())?;
        let (mut length, mut chunked) = (None, false);
        for line in lines {
            let colon = memchr(b':', line).ok_or(BadResponse("a header without a colon"))?;
            let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
            if name.eq_ignore_ascii_case(b"content-length") {
                let number = std::str::from_utf8(value).ok().and_then(|text| text.parse::<u64>().ok());
                length = Some(number.ok_or(BadResponse("a content-length that is no number"))?);
            } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
                chunked = value.eq_ignore_ascii_case(b"chunked");
            } else if name.eq_ignore_ascii_case(b"connection") {
                self.close = value.eq_ignore_ascii_case(b"close");
            }
        }
        self.framing(length, chunked)
    }

    fn framing(&mut self, length: Option<u64>, chunked: bool) -> Result<State, BadResponse> {
        match (self.status, length, chunked) {
            (100..=199, ..) => Ok(State::Head),
            (204 | 304, ..) | (_, Some(0), false) => Ok(State::Whole),
            (_, Some(_), true) => Err(BadResponse("both content-length and chunked coding")),
            (_, None, true) => Ok(State::ChunkSize),
            (_, Some(length), false) => Ok(State::Length(length)),
            (_, None, false) => {
                self.close = true;
                Ok(State::UntilClose)
            }
        }
    }

    fn chunk_size<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], BadResponse> {
        let rest = self.line(bytes)?;
        if let Some(line) = self.whole_line() {
            let digits = line.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
            let size = std::str::from_utf8(digits).ok().and_then(|text| u64::from_str_radix(text, 16).ok());
            self.state = match size.ok_or(BadResponse("a chunk size that is no number"))? {
                0 => State::Trailers,
                size => State::ChunkData(size),
            };
            self.partial.clear();
        }
        Ok(rest)
    }

    /// The empty line after a chunk, or the trailers and the empty line after the last.
    fn chunk_line<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], BadResponse> {
        let rest = self.line(bytes)?;
        let Some(line) = self.whole_line() else { return Ok(rest) };
        let empty = line.is_empty();
        self.partial.clear();
        self.state = match (self.state, empty) {
            (State::ChunkEnd, true) => State::ChunkSize,
            (State::ChunkEnd, false) => return Err(BadResponse("a chunk longer than its size")),
            (_, true) => State::Whole,
            (state, false) => state,
        };
        Ok(rest)
    }

    /// Moves bytes up to a line end into `partial`.
    fn line<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], BadResponse> {
        let end = memchr(b'\n', bytes).map_or(bytes.len(), |at| at + 1);
        self.partial.extend_from_slice(&bytes[..end]);
        if self.partial.len() > MAX_CHUNK_LINE_BYTES {
            return Err(BadResponse("an endless line in the chunked coding"));
        }
        Ok(&bytes[end..])
    }

    fn whole_line(&self) -> Option<&[u8]> {
        self.partial.strip_suffix(b"\r\n")
    }
}

fn status(line: &[u8]) -> Result<u16, BadResponse> {
    let code = line.strip_prefix(b"HTTP/1.1 ").and_then(|rest| rest.get(..3));
    let code = code.and_then(|digits| std::str::from_utf8(digits).ok()).and_then(|text| text.parse().ok());
    code.ok_or(BadResponse("a status line that is not HTTP/1.1"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Several responses on one connection, each cut anywhere, are what was sent.
        #[test]
        fn bodies_survive_any_chunks_and_any_splits(
            bodies in prop::collection::vec(prop::collection::vec("[a-z]{1,40}", 0..6), 1..4),
            reads in prop::collection::vec(1usize..60, 1..20),
        ) {
            let mut reader = ResponseReader::default();
            for chunks in bodies {
                let coded: String = chunks.iter().map(|chunk| format!("{:x}\r\n{chunk}\r\n", chunk.len())).collect();
                let response = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{coded}0\r\n\r\n");
                let (mut rest, mut body, mut whole) = (response.as_bytes(), Vec::new(), false);
                for read in reads.iter().cycle() {
                    prop_assert!(!whole || rest.is_empty());
                    if rest.is_empty() {
                        break;
                    }
                    let (now, later) = rest.split_at((*read).min(rest.len()));
                    whole = reader.feed(now, &mut |bytes| body.extend_from_slice(bytes)).unwrap();
                    rest = later;
                }
                prop_assert!(whole);
                prop_assert_eq!(body, chunks.concat().into_bytes());
                reader.reset();
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), at in 0usize..400) {
            let mut reader = ResponseReader::default();
            let (first, second) = bytes.split_at(at.min(bytes.len()));
            if reader.feed(first, &mut |_| {}).is_ok() {
                let _ = reader.feed(second, &mut |_| {});
            }
        }
    }

    /// Feeds `response` in two parts and returns whether it was whole, and its body.
    fn read(response: &[u8], at: usize) -> Result<(bool, Vec<u8>), BadResponse> {
        let mut reader = ResponseReader::default();
        let mut body = Vec::new();
        let mut whole = reader.feed(&response[..at], &mut |bytes| body.extend_from_slice(bytes))?;
        if at < response.len() {
            whole = reader.feed(&response[at..], &mut |bytes| body.extend_from_slice(bytes))?;
        }
        Ok((whole, body))
    }

    #[test]
    fn responses_are_whole_at_their_last_byte_however_they_are_split() {
        for (response, body) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello"),
            ("HTTP/1.1 204 No Content\r\n\r\n", ""),
            ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", ""),
            (
                "HTTP/1.1 200 \r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\nA;x\r\n0123456789\r\n0\r\n\r\n",
                "abc0123456789",
            ),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\ntrailer: x\r\n\r\n", "a"),
            ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx", "x"),
        ] {
            for at in 0..=response.len() {
                let read = read(response.as_bytes(), at);
                assert_eq!(read, Ok((true, body.as_bytes().to_vec())), "{response:?} split at {at}");
                assert!(!matches!(self::read(&response.as_bytes()[..response.len() - 1], 0), Ok((true, _))));
            }
        }
    }

    #[test]
    fn what_breaks_http_is_refused() {
        for response in [
            "HTTP/1.0 200 OK\r\n\r\n",
            "junk\r\n\r\n",
            "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nab",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nab\r\n",
        ] {
            assert!(read(response.as_bytes(), 0).is_err(), "{response:?}");
        }
    }

    #[test]
    fn only_a_response_without_length_ends_with_the_connection() {
        for (response, proper) in [
            ("HTTP/1.1 200 OK\r\n\r\nhello", true),
            ("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello", false),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n", false),
            ("HTTP/1.1 200 OK\r\n", false),
        ] {
            let mut reader = ResponseReader::default();
            assert_eq!(reader.feed(response.as_bytes(), &mut |_| {}), Ok(false));
            assert_eq!(reader.end(), proper, "{response:?}");
        }
    }
}
