use std::io;
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, sleep, sleep_until};

use crate::head::{BadHead, Framing, Head, MAX_BODY_BYTES, MAX_HEAD_BYTES, dechunk};
use crate::reply::{Frame, Reply, STAMP_DIGITS};
use crate::service::Service;

/// Room made for every read; a benchmark's small request arrives in one.
const READ_BYTES: usize = 16 * 1024;
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
const BAD_REQUEST: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// Serves one connection until either side ends it.
pub(crate) async fn serve<S>(mut stream: S, service: Rc<Service>) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut inbox = Inbox::default();
    while let Some(received) = inbox.receive(&mut stream).await? {
        let Ok(head) = received else {
            stream.write_all(BAD_REQUEST).await?;
            return stream.shutdown().await;
        };
        let reply = inbox.answer(&head, &service);
        service.counters.request();
        send(&mut stream, &reply, &service).await.inspect_err(|_| service.counters.abort())?;
        if !head.keep_alive {
            return stream.shutdown().await;
        }
        inbox.release();
    }
    Ok(())
}

/// Bytes received and not yet answered.
#[derive(Default)]
struct Inbox {
    bytes: Vec<u8>,
    /// Length of the request at the start of `bytes`, coding included.
    request_len: usize,
    /// The body of a request in chunked coding.
    unchunked: Vec<u8>,
}

impl Inbox {
    /// Reads until a request is whole. `None` when the client has closed the connection.
    async fn receive<S>(&mut self, stream: &mut S) -> io::Result<Option<Result<Head, BadHead>>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut continued = false;
        loop {
            let mut wanted = READ_BYTES;
            match Head::parse(&self.bytes) {
                Err(bad) => return Ok(Some(Err(bad))),
                Ok(Some(head)) => match self.body_end(&head) {
                    Err(bad) => return Ok(Some(Err(bad))),
                    Ok(Some(end)) if end <= self.bytes.len() => {
                        self.request_len = end;
                        return Ok(Some(Ok(head)));
                    }
                    Ok(end) => {
                        wanted = end.map_or(READ_BYTES, |end| end - self.bytes.len());
                        if head.expects_continue && !continued {
                            stream.write_all(CONTINUE).await?;
                            continued = true;
                        }
                    }
                },
                Ok(None) => {}
            }
            self.bytes.reserve(wanted);
            if stream.read_buf(&mut self.bytes).await? == 0 {
                return Ok(None);
            }
        }
    }

    /// Where the request ends; `None` while that is not known.
    fn body_end(&mut self, head: &Head) -> Result<Option<usize>, BadHead> {
        match head.body {
            Framing::Length(length) => Ok(Some(head.len + length)),
            Framing::Chunked if self.bytes.len() > MAX_HEAD_BYTES + 2 * MAX_BODY_BYTES => Err(BadHead),
            Framing::Chunked => {
                Ok(dechunk(&self.bytes[head.len..], &mut self.unchunked)?.map(|coded| head.len + coded))
            }
        }
    }

    fn answer(&self, head: &Head, service: &Service) -> Rc<Reply> {
        let body = match head.body {
            Framing::Length(_) => &self.bytes[head.len..self.request_len],
            Framing::Chunked => &self.unchunked,
        };
        service.answer(&self.bytes[head.method.clone()], &self.bytes[head.target.clone()], body)
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
