use std::io;
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sluice_http1::{ChunkError, ChunkedDecoder, Framing, HeadError, Method, Parse, RequestHead};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, sleep, sleep_until};

use crate::api;
use crate::reply::{Frame, Reply, STAMP_DIGITS};
use crate::service::Service;

/// Room made for every read; a benchmark's small request arrives in one.
const READ_BYTES: usize = 16 * 1024;
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
/// Longest request body.
const MAX_BODY_BYTES: usize = 64 * 1024 * 1024;
const TOO_LARGE: Ending = Ending::Refused(413, "the body is longer than 64 MiB");

/// Serves one connection until either side ends it.
pub(crate) async fn serve<S>(mut stream: S, service: Rc<Service>) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut inbox = Inbox::default();
    loop {
        match inbox.receive(&mut stream).await {
            Ok(()) => {}
            Err(Ending::Gone) => return Ok(()),
            Err(Ending::Broken(error)) => return Err(error),
            Err(Ending::Refused(status, why)) => {
                stream.write_all(api::bad_http(status, why).bytes()).await?;
                return stream.shutdown().await;
            }
        }
        let reply = inbox.answer(&service);
        service.counters.request();
        let sent = match inbox.head.method {
            Method::Head => stream.write_all(reply.head()).await,
            _ => send(&mut stream, &reply, &service).await,
        };
        sent.inspect_err(|_| service.counters.abort())?;
        if !inbox.head.keep_alive {
            return stream.shutdown().await;
        }
        inbox.release();
    }
}

/// Why no further request comes from a connection.
enum Ending {
    /// The client has closed it.
    Gone,
    Broken(io::Error),
    /// What came is not HTTP as we take it; the status and the reason the client is told.
    Refused(u16, &'static str),
}

impl From<io::Error> for Ending {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

impl From<HeadError> for Ending {
    fn from(error: HeadError) -> Self {
        Self::Refused(error.status(), error.message())
    }
}

impl From<ChunkError> for Ending {
    fn from(error: ChunkError) -> Self {
        Self::Refused(error.status(), error.message())
    }
}

/// Bytes received and not yet answered.
#[derive(Default)]
struct Inbox {
    bytes: Vec<u8>,
    head: RequestHead,
    /// Length of the request at the start of `bytes`, coding included.
    request_len: usize,
    /// The body of a request in chunked coding.
    unchunked: Vec<u8>,
}

impl Inbox {
    /// Reads until a request is whole.
    async fn receive<S>(&mut self, stream: &mut S) -> Result<(), Ending>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        while self.head.parse(&self.bytes)? == Parse::Partial {
            self.fill(stream, READ_BYTES).await?;
        }
        if self.head.expect_continue {
            stream.write_all(CONTINUE).await?;
        }
        match self.head.framing {
            Framing::None => self.request_len = self.head.head_len,
            Framing::Length(length) => self.receive_length(stream, length).await?,
            Framing::Chunked => self.receive_chunked(stream).await?,
        }
        Ok(())
    }

    async fn receive_length<S: AsyncRead + Unpin>(
        &mut self,
        stream: &mut S,
        length: u64,
    ) -> Result<(), Ending> {
        let length = usize::try_from(length).ok().filter(|length| *length <= MAX_BODY_BYTES);
        self.request_len = self.head.head_len + length.ok_or(TOO_LARGE)?;
        while self.bytes.len() < self.request_len {
            self.fill(stream, self.request_len - self.bytes.len()).await?;
        }
        Ok(())
    }

    async fn receive_chunked<S: AsyncRead + Unpin>(&mut self, stream: &mut S) -> Result<(), Ending> {
        let mut decoder = ChunkedDecoder::new();
        self.unchunked.clear();
        self.request_len = self.head.head_len;
        while !decoder.is_done() {
            if self.request_len == self.bytes.len() {
                self.fill(stream, READ_BYTES).await?;
            }
            let coded = &self.bytes[self.request_len..];
            let piece = decoder.next_piece(coded)?;
            self.unchunked.extend_from_slice(&coded[piece.payload]);
            self.request_len += piece.consumed;
            if self.unchunked.len() > MAX_BODY_BYTES {
                return Err(TOO_LARGE);
            }
        }
        Ok(())
    }

    async fn fill<S: AsyncRead + Unpin>(&mut self, stream: &mut S, wanted: usize) -> Result<(), Ending> {
        self.bytes.reserve(wanted);
        match stream.read_buf(&mut self.bytes).await? {
            0 => Err(Ending::Gone),
            _ => Ok(()),
        }
    }

    fn answer(&self, service: &Service) -> Rc<Reply> {
        let body = match self.head.framing {
            Framing::None => &[],
            Framing::Length(_) => &self.bytes[self.head.head_len..self.request_len],
            Framing::Chunked => self.unchunked.as_slice(),
        };
        service.answer(self.head.method_name(&self.bytes), self.head.path(&self.bytes), body)
    }

    /// Forgets the request that has been answered; a pipelined one moves to the front.
    fn release(&mut self) {
        self.bytes.drain(..self.request_len);
    }
}

async fn send<S: AsyncWrite + Unpin>(stream: &mut S, reply: &Reply, service: &Service) -> io::Result<()> {
    if !service.delay().is_zero() {
        sleep(service.delay()).await;
    }
    let stamped = reply.frames().iter().any(|frame| frame.stamp.is_some());
    if service.gap().is_zero() && !stamped {
        stream.write_all(reply.bytes()).await?;
    } else {
        send_frames(stream, reply, service.gap()).await?;
    }
    stream.flush().await
}

/// Writes the frames one by one, each at its own time since the first, so that lateness does not add up.
async fn send_frames<S: AsyncWrite + Unpin>(stream: &mut S, reply: &Reply, gap: Duration) -> io::Result<()> {
    let mut due = Instant::now();
    let mut start = 0;
    let mut scratch = Vec::new();
    for frame in reply.frames() {
        if start > 0 && !gap.is_zero() {
            due += gap;
            sleep_until(due).await;
        }
        let bytes = &reply.bytes()[start..frame.end];
        stream.write_all(stamp(bytes, start, frame, &mut scratch)).await?;
        stream.flush().await?;
        start = frame.end;
    }
    Ok(())
}

/// The frame with the present time in its stamp, if it has one.
fn stamp<'a>(bytes: &'a [u8], start: usize, frame: &Frame, scratch: &'a mut Vec<u8>) -> &'a [u8] {
    let Some(at) = frame.stamp else { return bytes };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    scratch.clear();
    scratch.extend_from_slice(bytes);
    scratch[at - start..at - start + STAMP_DIGITS]
        .copy_from_slice(format!("{now:0STAMP_DIGITS$}").as_bytes());
    scratch
}
