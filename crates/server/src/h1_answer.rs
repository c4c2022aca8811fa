//! An answer written to an HTTP/1 connection.

use std::io::IoSlice;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use sluice_http1::{LAST_CHUNK, write_chunk_header};

use crate::answer::{Answer, BodyLength, ClientGone, push_decimal};
use crate::buffers::Buffer;
use crate::stream::Stream;
use crate::timers::Timer;

/// How the body that is being sent ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    Length,
    Chunked,
    UntilClose,
}

/// How far an answer has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Nothing has been sent.
    Nothing,
    /// The head has been sent, and maybe part of the body.
    Begun,
    /// All has been sent.
    Whole,
}

/// The answer to one request on an HTTP/1 connection.
pub(crate) struct H1Answer<'c> {
    pub(crate) stream: &'c mut Stream,
    pub(crate) timer: &'c Timer,
    /// Head under construction.
    pub(crate) out: &'c mut Vec<u8>,
    /// Bytes of a next request that came early.
    pub(crate) ahead: &'c mut Buffer,
    pub(crate) write_timeout_ms: u32,
    /// The client speaks HTTP/1.0, which knows no chunks.
    pub(crate) http10: bool,
    /// The request was `HEAD`: headers only.
    pub(crate) without_body: bool,
    /// Whether the connection is kept after this answer.
    pub(crate) keep_alive: bool,
    /// Whether the data plane wants its connections to end.
    pub(crate) draining: Option<&'c AtomicBool>,
    pub(crate) progress: &'c mut Progress,
    framing: Framing,
}

impl<'c> H1Answer<'c> {
    pub(crate) fn new(
        stream: &'c mut Stream,
        timer: &'c Timer,
        out: &'c mut Vec<u8>,
        ahead: &'c mut Buffer,
        progress: &'c mut Progress,
        write_timeout_ms: u32,
    ) -> Self {
        Self {
            stream,
            timer,
            out,
            ahead,
            write_timeout_ms,
            http10: false,
            without_body: false,
            keep_alive: false,
            draining: None,
            progress,
            framing: Framing::Length,
        }
    }

    /// Tells a waiting client to send its body.
    pub(crate) async fn send_continue(&mut self) -> Result<(), ClientGone> {
        let mut slices = [IoSlice::new(b"HTTP/1.1 100 Continue\r\n\r\n")];
        self.stream.write_all(&mut slices, self.timer, self.write_timeout_ms).await.map_err(|_| ClientGone)
    }

    async fn write(&mut self, body: &[u8], with_head: bool, last: bool) -> Result<(), ClientGone> {
        let mut size = [0; 18];
        let chunked = self.framing == Framing::Chunked;
        let head: &[u8] = if with_head { self.out } else { &[] };
        let (before, after): (&[u8], &[u8]) = if chunked && !body.is_empty() {
            (write_chunk_header(&mut size, body.len()), b"\r\n")
        } else {
            (&[], &[])
        };
        let end = if chunked && last { LAST_CHUNK } else { &[] };
        let mut slices = [head, before, body, after, end].map(IoSlice::new);
        let written = self.stream.write_all(&mut slices, self.timer, self.write_timeout_ms).await;
        *self.progress = if last { Progress::Whole } else { Progress::Begun };
        if written.is_err() {
            self.keep_alive = false;
        }
        written.map_err(|_| ClientGone)
    }
}

impl Answer for H1Answer<'_> {
    fn begin(&mut self, status: u16) -> &mut Vec<u8> {
        self.out.clear();
        self.out.extend_from_slice(b"HTTP/1.1 ");
        push_decimal(self.out, u64::from(status), 3);
        self.out.push(b' ');
        self.out.extend_from_slice(reason_of(status).as_bytes());
        self.out.extend_from_slice(b"\r\n");
        self.out
    }

    async fn send_head(&mut self, length: BodyLength, body: &[u8], last: bool) -> Result<(), ClientGone> {
        match length {
            BodyLength::Known(bytes) => {
                self.framing = Framing::Length;
                self.out.extend_from_slice(b"content-length: ");
                push_decimal(self.out, bytes, 1);
                self.out.extend_from_slice(b"\r\n");
            }
            BodyLength::Unknown if self.http10 => {
                self.framing = Framing::UntilClose;
                self.keep_alive = false;
            }
            BodyLength::Unknown => {
                self.framing = Framing::Chunked;
                self.out.extend_from_slice(b"transfer-encoding: chunked\r\n");
            }
        }
        self.keep_alive &= !self.draining.is_some_and(|draining| draining.load(Ordering::Relaxed));
        match (self.keep_alive, self.http10) {
            (false, _) => self.out.extend_from_slice(b"connection: close\r\n"),
            (true, true) => self.out.extend_from_slice(b"connection: keep-alive\r\n"),
            (true, false) => {}
        }
        self.out.extend_from_slice(b"\r\n");
        let body = if self.without_body { &[] } else { body };
        self.write(body, true, last).await
    }

    async fn send(&mut self, body: &[u8], last: bool) -> Result<(), ClientGone> {
        if body.is_empty() && !last {
            return Ok(());
        }
        self.write(body, false, last).await
    }

    async fn break_off(&mut self, last_words: &[u8]) {
        self.keep_alive = false;
        if self.framing != Framing::Length {
            // The chunk that would end the body is never sent: what follows is the end of the connection. Where that is
            // what ends the body, the last words are all that tells.
            let _ = self.write(last_words, false, false).await;
        }
    }

    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<ClientGone> {
        /// How much of a next request is taken in before this one is answered; the rest waits in the kernel.
        const MAX_AHEAD: usize = 16 << 10;
        while self.ahead.len() < MAX_AHEAD
            && (self.stream.buffers_inside() || self.stream.poll_read_ready(cx).is_ready())
        {
            match self.stream.poll_read(cx, self.ahead.spare()) {
                Poll::Ready(Ok(count)) if count > 0 => self.ahead.filled(count),
                Poll::Ready(_) => return Poll::Ready(ClientGone),
                Poll::Pending => break,
            }
        }
        if self.ahead.is_empty() && !self.ahead.is_released() {
            self.ahead.release();
        }
        Poll::Pending
    }
}

/// Reason phrases of the statuses we send; clients ignore them, people read them.
fn reason_of(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        417 => "Expectation Failed",
        422 => "Unprocessable Content",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        508 => "Loop Detected",
        529 => "Overloaded",
        _ => "",
    }
}
