//! An answer written to one stream of an HTTP/2 connection.

use std::convert::Infallible;
use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode};
use hyper::body::{Body, Frame};
use sluice_dialects::wire::Wire;
use tokio::sync::{mpsc, oneshot};

use crate::answer::{Answer, BodyLength, ClientGone, write_panic};
use crate::hyper_io::StreamEnd;
use crate::timers::Timer;

/// Frames of an answer on their way to the connection.
const FRAMES_IN_FLIGHT: usize = 2;

/// Longest frame: once hyper has taken one it keeps it, however small the client's window is.
const MAX_FRAME_BYTES: usize = 16 << 10;

/// A reset overtakes what is queued before it, so the last words get this long to leave.
const LAST_WORDS: Duration = Duration::from_millis(20);

/// What a stream is sent.
enum Sent {
    Data(Bytes),
    /// The answer is whole. One that ends without this is reset.
    End,
}

/// The answer broke off; hyper resets the stream with it.
#[derive(Debug)]
pub(crate) struct BrokenOff;

impl std::fmt::Display for BrokenOff {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the answer broke off")
    }
}

impl std::error::Error for BrokenOff {}

/// The answer to one HTTP/2 stream.
pub(crate) struct H2Answer {
    head: Option<oneshot::Sender<Response<Frames>>>,
    body: mpsc::Sender<Sent>,
    /// The other end of `body`, until the head goes out.
    frames: Option<Frames>,
    /// Resolves when hyper lets go of the frames: the stream was reset, or the connection is gone.
    let_go: oneshot::Receiver<Infallible>,
    is_let_go: bool,
    end: StreamEnd,
    timer: Timer,
    write_timeout_ms: u32,
    /// The request was `HEAD`: headers only.
    pub(crate) without_body: bool,
    status: u16,
    out: Vec<u8>,
}

impl H2Answer {
    /// An answer whose head goes to `head`. A client that takes nothing for `write_timeout_ms` loses the stream.
    pub(crate) fn new(
        head: oneshot::Sender<Response<Frames>>,
        end: StreamEnd,
        timer: Timer,
        write_timeout_ms: u32,
    ) -> Self {
        let (body, receiver) = mpsc::channel(FRAMES_IN_FLIGHT);
        let (held, let_go) = oneshot::channel();
        Self {
            head: Some(head),
            body,
            frames: Some(Frames { receiver, _held: Some(held) }),
            let_go,
            is_let_go: false,
            end,
            timer,
            write_timeout_ms,
            without_body: false,
            status: 200,
            out: Vec::new(),
        }
    }

    async fn write(&mut self, body: &[u8], last: bool) -> Result<(), ClientGone> {
        if !self.without_body {
            for piece in body.chunks(MAX_FRAME_BYTES) {
                self.queue(Sent::Data(Bytes::copy_from_slice(piece))).await?;
            }
        }
        if last { self.finish().await } else { Ok(()) }
    }

    async fn queue(&mut self, sent: Sent) -> Result<(), ClientGone> {
        let mut sending = pin!(self.body.send(sent));
        match self.timer.limit(self.write_timeout_ms, |cx| sending.as_mut().poll(cx)).await {
            Ok(outcome) => outcome.map_err(|_| ClientGone),
            Err(_) => {
                self.end.end();
                Err(ClientGone)
            }
        }
    }

    /// Waits until all of the answer has been taken, for until then it may have to be taken back.
    async fn finish(&mut self) -> Result<(), ClientGone> {
        self.queue(Sent::End).await?;
        let mut taken = pin!(self.body.closed());
        let outcome = self.timer.limit(self.write_timeout_ms, |cx| taken.as_mut().poll(cx)).await;
        outcome.map_err(|_| {
            self.end.end();
            ClientGone
        })
    }

    fn response(&mut self, length: BodyLength) -> Option<Response<Frames>> {
        let mut response = Response::new(self.frames.take()?);
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::BAD_GATEWAY);
        push_lines(&mut response, &self.out);
        if let BodyLength::Known(bytes) = length {
            response.headers_mut().insert(http::header::CONTENT_LENGTH, bytes.into());
        }
        Some(response)
    }
}

impl Answer for H2Answer {
    fn begin(&mut self, status: u16) -> &mut Vec<u8> {
        self.status = status;
        self.out.clear();
        &mut self.out
    }

    async fn send_head(&mut self, length: BodyLength, body: &[u8], last: bool) -> Result<(), ClientGone> {
        let response = self.response(length).ok_or(ClientGone)?;
        let head = self.head.take().ok_or(ClientGone)?;
        head.send(response).map_err(|_| ClientGone)?;
        self.write(body, last).await
    }

    async fn send(&mut self, body: &[u8], last: bool) -> Result<(), ClientGone> {
        self.write(body, last).await
    }

    async fn break_off(&mut self, last_words: &[u8]) {
        // What ends the stream as broken is that no end was sent.
        if !last_words.is_empty() && self.write(last_words, false).await.is_ok() {
            tokio::time::sleep(LAST_WORDS).await;
        }
    }

    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<ClientGone> {
        if let Some(head) = &mut self.head
            && head.poll_closed(cx).is_ready()
        {
            return Poll::Ready(ClientGone);
        }
        // Waiting for the channel to close would have to be begun anew with each poll, which forgets whom to wake.
        if !self.is_let_go {
            ready!(Pin::new(&mut self.let_go).poll(cx)).err();
            self.is_let_go = true;
        }
        Poll::Ready(ClientGone)
    }
}

/// The body of an answer as hyper takes it: frames as they come.
pub(crate) struct Frames {
    receiver: mpsc::Receiver<Sent>,
    /// Tells the answer, by being dropped, that nobody takes it any more.
    _held: Option<oneshot::Sender<Infallible>>,
}

impl Body for Frames {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        Poll::Ready(match ready!(self.receiver.poll_recv(cx)) {
            Some(Sent::Data(data)) => Some(Ok(Frame::data(data))),
            Some(Sent::End) => None,
            None => Some(Err(BrokenOff)),
        })
    }
}

/// The answer to a request whose handling panicked.
pub(crate) fn panic_answer(wire: Wire) -> Response<Frames> {
    let mut out = Vec::new();
    let body = write_panic(wire, &mut out);
    let (sender, receiver) = mpsc::channel(2);
    for sent in [Sent::Data(body.into()), Sent::End] {
        // There is room for both.
        let _ = sender.try_send(sent);
    }
    let mut response = Response::new(Frames { receiver, _held: None });
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    push_lines(&mut response, &out);
    response
}

/// Takes header lines over.
fn push_lines(response: &mut Response<Frames>, lines: &[u8]) {
    for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let name = HeaderName::from_bytes(&line[..colon]);
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            response.headers_mut().append(name, value);
        }
    }
}
