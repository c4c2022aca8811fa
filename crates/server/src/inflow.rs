//! A provider's answer as it arrives: read from a leased connection, taken out of its framing, kept in one buffer.

use std::io;
use std::time::Instant;

use sluice_http1::{ChunkedDecoder, Parse, ResponseFraming, ResponseHead};

use crate::answer::Answer;
use crate::buffers::Buffer;
use crate::pool::Lease;
use crate::timers::{Timer, left_of};

/// Interim answers (1xx) skipped before the real one.
const MAX_INTERIM_ANSWERS: usize = 8;

/// What stopped an answer from arriving.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The client went away meanwhile.
    ClientGone,
    /// A time limit passed.
    Timeout,
    /// The connection was refused, reset or closed.
    Broken(io::Error),
    /// What arrived is not HTTP, or not the API.
    Invalid(&'static str),
}

enum Framing {
    /// The head is not complete yet.
    Head,
    /// So many bytes are still to come.
    Length(u64),
    Chunked(ChunkedDecoder),
    UntilClose,
}

/// One answer of a provider. The buffer holds the raw head and, behind it, body bytes without their framing.
pub(crate) struct Inflow {
    pub(crate) lease: Lease,
    pub(crate) bytes: Buffer,
    framing: Framing,
    /// The body has ended as its framing says it should.
    done: bool,
    /// The connection may serve another request once this answer is done.
    reusable: bool,
    /// When bytes were last read.
    pub(crate) last_read: Instant,
}

impl Inflow {
    /// The answer to a request that was sent on `lease` at `sent`.
    pub(crate) fn new(lease: Lease, sent: Instant) -> Self {
        Self {
            lease,
            bytes: Buffer::default(),
            framing: Framing::Head,
            done: false,
            reusable: false,
            last_read: sent,
        }
    }

    /// Whether the body has ended as its framing says it should.
    pub(crate) fn is_done(&self) -> bool {
        self.done
    }

    /// The length its head declares for what of the body is still to come.
    pub(crate) fn remaining_length(&self) -> Option<u64> {
        match self.framing {
            Framing::Length(remaining) => Some(remaining),
            _ => None,
        }
    }

    /// Reads the head, all of which has to come within `limit_ms`.
    pub(crate) async fn read_head(
        &mut self,
        head: &mut ResponseHead,
        timer: &Timer,
        limit_ms: u32,
        answer: &mut impl Answer,
    ) -> Result<(), Fault> {
        let mut interim = 0;
        let began = self.last_read;
        loop {
            match head.parse(&self.bytes, false) {
                Err(_) => return Err(Fault::Invalid("the provider did not answer in HTTP/1.1")),
                Ok(Parse::Partial) => {
                    let elapsed = self.last_read.saturating_duration_since(began);
                    let left_ms = left_of(limit_ms, elapsed).ok_or(Fault::Timeout)?;
                    self.read(timer, left_ms, answer).await?;
                }
                Ok(Parse::Complete) if head.status < 200 => {
                    interim += 1;
                    if interim > MAX_INTERIM_ANSWERS || head.status == 101 {
                        return Err(Fault::Invalid("the provider sent interim answers only"));
                    }
                    self.bytes.consume(head.head_len);
                }
                Ok(Parse::Complete) => return self.begin_body(head),
            }
        }
    }

    fn begin_body(&mut self, head: &ResponseHead) -> Result<(), Fault> {
        self.reusable = head.keep_alive;
        self.framing = match head.framing {
            ResponseFraming::None => Framing::Length(0),
            ResponseFraming::Length(length) => Framing::Length(length),
            ResponseFraming::Chunked => Framing::Chunked(ChunkedDecoder::new()),
            ResponseFraming::UntilClose => {
                self.reusable = false;
                Framing::UntilClose
            }
        };
        self.absorb(head.head_len)
    }

    /// Waits for more of the body, at most `limit_ms`. Returns having read something, or with the body done.
    pub(crate) async fn read_body(
        &mut self,
        timer: &Timer,
        limit_ms: u32,
        answer: &mut impl Answer,
    ) -> Result<(), Fault> {
        let before = self.bytes.len();
        match self.read(timer, limit_ms, answer).await {
            Ok(()) => self.absorb(before),
            Err(Fault::Broken(error))
                if matches!(self.framing, Framing::UntilClose)
                    && error.kind() == io::ErrorKind::UnexpectedEof =>
            {
                self.done = true;
                Ok(())
            }
            Err(fault) => Err(fault),
        }
    }

    /// Takes the framing off the bytes from `from` on.
    fn absorb(&mut self, from: usize) -> Result<(), Fault> {
        let arrived = self.bytes.len() - from;
        match &mut self.framing {
            Framing::Head | Framing::UntilClose => {}
            Framing::Length(remaining) => {
                let taken = usize::try_from(*remaining).map_or(arrived, |remaining| arrived.min(remaining));
                *remaining -= taken as u64;
                self.done = *remaining == 0;
                self.cut_surplus(from + taken);
            }
            Framing::Chunked(decoder) => {
                let Ok(decoded) = decoder.decode(&mut self.bytes[from..]) else {
                    self.bytes.truncate(from);
                    return Err(Fault::Invalid("the provider's chunked coding is broken"));
                };
                self.done = decoded.done;
                if decoded.consumed < arrived {
                    self.reusable = false;
                }
                self.bytes.truncate(from + decoded.produced);
            }
        }
        Ok(())
    }

    /// Bytes after the end of an answer belong to nothing we asked for.
    fn cut_surplus(&mut self, len: usize) {
        if self.bytes.len() > len {
            self.reusable = false;
            self.bytes.truncate(len);
        }
    }

    /// Reads once, watching the client meanwhile. The end of the stream is a fault of kind `UnexpectedEof`.
    async fn read(&mut self, timer: &Timer, limit_ms: u32, answer: &mut impl Answer) -> Result<(), Fault> {
        let stream = self.lease.stream();
        if self.bytes.is_released() && !stream.buffers_inside() {
            // An idle stream holds no buffer: take one only when there is something to read.
            let ready = timer
                .limit(limit_ms, |cx| match stream.poll_read_ready(cx) {
                    std::task::Poll::Ready(outcome) => std::task::Poll::Ready(outcome.map_err(Fault::Broken)),
                    std::task::Poll::Pending => answer.poll_gone(cx).map(|_| Err(Fault::ClientGone)),
                })
                .await;
            ready.map_err(|_| Fault::Timeout)??;
        }
        let bytes = &mut self.bytes;
        let outcome = timer
            .limit(limit_ms, |cx| match stream.poll_read(cx, bytes.spare()) {
                std::task::Poll::Ready(outcome) => std::task::Poll::Ready(outcome.map_err(Fault::Broken)),
                std::task::Poll::Pending => answer.poll_gone(cx).map(|_| Err(Fault::ClientGone)),
            })
            .await;
        let count = outcome.map_err(|_| Fault::Timeout)??;
        self.last_read = Instant::now();
        if count == 0 {
            return Err(Fault::Broken(io::ErrorKind::UnexpectedEof.into()));
        }
        self.bytes.filled(count);
        Ok(())
    }

    /// Puts another body in place of what has arrived behind the head of `head_len` bytes.
    pub(crate) fn replace_body(&mut self, head_len: usize, body: &[u8]) {
        self.bytes.truncate(head_len);
        self.bytes.extend(body);
    }

    /// The answer has been used up: keeps the connection if another request may follow on it.
    pub(crate) fn finish(self, max_idle: u32) {
        if self.done && self.reusable {
            self.lease.give_back(max_idle, self.last_read);
        }
    }
}
