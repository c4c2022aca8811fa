//! The full lane: HTTP/2 on hyper, for clients that speak it by prior knowledge or by ALPN.
//!
//! The lane turns what it received into the head of an HTTP/1.1 request and hands that to the same parser, gate and
//! exchange as the fast lane, so that no rule about requests exists twice. It is built for correctness; the lane that
//! is built for speed is the other one.

use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request as HttpRequest, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming};
use hyper::rt::{Executor, ReadBufCursor};
use sluice_http1::{Parse, RequestHead, ResponseHead};
use sluice_types::ErrorKind;
use tokio::sync::{mpsc, oneshot};

use crate::answer::{Answer, BodyLength, ClientGone, send_refusal};
use crate::buffers::Buffer;
use crate::exchange::{self, Exchange, Request};
use crate::gate::{self, Asked};
use crate::refusal::{Ended, Refusal};
use crate::request_body::too_large;
use crate::settle::Settlement;
use crate::stream::Stream;
use crate::timers::Timer;
use crate::worker::{Worker, WorkerPlan};
use crate::{content_coding, fast_lane, models_api};

/// Streams a client may have open at once on one connection.
const MAX_STREAMS: u32 = 100;

/// Bytes of decoded header fields in one request, each counted with 32 bytes of overhead (RFC 9113, 6.5.2).
const MAX_HEADER_LIST_BYTES: u32 = 32 << 10;

/// Streams a client may reset before we have answered them; a flood of these is how HTTP/2 servers are worn down.
const MAX_PENDING_RESETS: usize = 20;

/// Bytes of answers buffered per stream.
const MAX_SEND_BUFFER_BYTES: usize = 64 << 10;

/// Frames of an answer on their way to the connection.
const FRAMES_IN_FLIGHT: usize = 2;

/// A silent connection is asked whether it lives after this, and closed when it does not say so in time.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// Serves a connection that speaks HTTP/2. `first_bytes` have been read from it already.
pub(crate) async fn serve(worker: &Rc<Worker>, stream: Stream, first_bytes: Buffer, peer: IpAddr) {
    let io = Rewound { stream, first_bytes };
    let service = hyper::service::service_fn(|request| {
        let worker = Rc::clone(worker);
        async move { Ok::<_, Infallible>(begin(worker, request, peer).await) }
    });
    let mut builder = hyper::server::conn::http2::Builder::new(LocalExecutor);
    builder
        .timer(TokioTimer)
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEADER_LIST_BYTES)
        .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
        .max_send_buf_size(MAX_SEND_BUFFER_BYTES)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    let mut connection = std::pin::pin!(builder.serve_connection(io, service));
    let timer = worker.timers.timer();
    let mut told = false;
    // A connection that breaks ends its streams, whose settlements say so.
    let _ = timer
        .limit(0, |cx| {
            if worker.shared.is_draining() && !told {
                told = true;
                connection.as_mut().graceful_shutdown();
            }
            connection.as_mut().poll(cx)
        })
        .await;
}

/// Starts the life of one request in a task of its own and waits for the head of its answer.
async fn begin(worker: Rc<Worker>, request: HttpRequest<Incoming>, peer: IpAddr) -> Response<Frames> {
    let (head_sender, head) = oneshot::channel();
    let (body_sender, frames) = mpsc::channel(FRAMES_IN_FLIGHT);
    let answer = H2Answer { head: Some(head_sender), body: body_sender, status: 200, out: Vec::new() };
    tokio::task::spawn_local(async move {
        let request = std::pin::pin!(serve_request(&worker, request, peer, answer));
        let _ = fast_lane::catch_panic(request).await;
    });
    match head.await {
        Ok(mut response) => {
            response.body_mut().0 = Some(frames);
            response
        }
        // The task ended without an answer: it panicked, or had nobody to answer.
        Err(_) => panic_answer(),
    }
}

/// The answer to a request whose handling panicked.
fn panic_answer() -> Response<Frames> {
    let mut body = Vec::new();
    let message = "The gateway failed to handle this request.";
    sluice_dialects::errors::openai_body(&mut body, ErrorKind::Internal, message, None);
    let (sender, frames) = mpsc::channel(1);
    // There is room for one.
    let _ = sender.try_send(Ok(body.into()));
    let mut response = Response::new(Frames(Some(frames)));
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response.headers_mut().insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// The life of a request on this lane; the stages are those of the fast lane.
async fn serve_request(
    worker: &Rc<Worker>,
    request: HttpRequest<Incoming>,
    peer: IpAddr,
    mut answer: H2Answer,
) {
    let started = Instant::now();
    let plan = worker.plan();
    let mut settlement = Settlement::begin(worker, Rc::clone(&plan), started);
    let timer = worker.timers.timer();
    let outcome = handle(worker, &plan, request, peer, &mut answer, &timer, &mut settlement).await;
    if let Err(Ended::Refused(refusal)) = outcome {
        let _ = send_refusal(&mut answer, &mut settlement, &refusal).await;
    }
}

async fn handle<'w>(
    worker: &'w Rc<Worker>,
    plan: &Rc<WorkerPlan>,
    request: HttpRequest<Incoming>,
    peer: IpAddr,
    answer: &mut H2Answer,
    timer: &Timer,
    settlement: &mut Settlement<'w>,
) -> Result<(), Ended> {
    let (parts, body) = request.into_parts();
    let mut bytes = Buffer::default();
    bytes.extend(&head_as_http1(&parts));
    let mut head = RequestHead::new();
    match head.parse(&bytes) {
        Ok(Parse::Complete) => {}
        Ok(Parse::Partial) => return Err(bad_head("the head is incomplete").into()),
        Err(error) => return Err(bad_head(&error.to_string()).into()),
    }
    let asked = gate::pass(worker, plan, &head, &bytes, peer, settlement)?;
    let route = match asked {
        Asked::Call(route) => route,
        other => return models_api::answer(worker, plan, other, answer, settlement).await,
    };
    gate::check_content_type(&head, &bytes)?;
    let limit = plan.plan().settings.max_request_body_bytes;
    let head_len = head.head_len;
    read_body(body, &mut bytes, limit, timer, plan.plan().settings.body_timeout_ms).await?;
    let body = head_len..bytes.len();
    let mut request = Request { bytes, body, decoded: None };
    if let Some(coding) = parts.headers.get(http::header::CONTENT_ENCODING) {
        request.decoded = content_coding::decode(coding.as_bytes(), request.body(), limit)?;
    }
    let exchange = Exchange {
        worker,
        plan,
        route,
        head: &head,
        request: &mut request,
        answer,
        timer,
        settlement,
        upstream_head: &mut ResponseHead::new(),
        egress: &mut Vec::new(),
    };
    exchange::run(exchange).await
}

fn bad_head(why: &str) -> Refusal {
    Refusal::new(ErrorKind::BadRequestSyntax, format!("Bad HTTP request: {why}."))
}

/// Writes a head as HTTP/1.1. Names and values have been checked by the HTTP/2 layer to hold no line ends.
fn head_as_http1(parts: &http::request::Parts) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    out.extend_from_slice(format!("{} {path} HTTP/1.1\r\n", parts.method).as_bytes());
    let authority = parts.uri.authority().map(|authority| authority.as_str());
    if let Some(authority) = authority {
        out.extend_from_slice(format!("host: {authority}\r\n").as_bytes());
    }
    for (name, value) in &parts.headers {
        // An authority and a `host` that differ are a smuggling attempt; the parser sees both and refuses.
        let repeats_authority =
            name == http::header::HOST && authority.is_some_and(|it| value.as_bytes() == it.as_bytes());
        if repeats_authority || name == http::header::CONTENT_LENGTH {
            continue;
        }
        out.extend_from_slice(name.as_str().as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
    out
}

async fn read_body(
    mut body: Incoming,
    bytes: &mut Buffer,
    limit: u64,
    timer: &Timer,
    timeout_ms: u32,
) -> Result<(), Ended> {
    if body.size_hint().lower() > limit {
        return Err(too_large(limit).into());
    }
    let deadline = timer.deadline_after(timeout_ms);
    let mut read = 0;
    loop {
        let mut frame = std::pin::pin!(body.frame());
        match timer.limit(timer.left_until(deadline), |cx| frame.as_mut().poll(cx)).await {
            Ok(None) => return Ok(()),
            Ok(Some(Ok(frame))) => {
                // Trailers are read and dropped.
                let Ok(data) = frame.into_data() else { continue };
                read += data.len() as u64;
                if read > limit {
                    return Err(too_large(limit).into());
                }
                bytes.extend(&data);
            }
            Ok(Some(Err(_))) => return Err(Ended::Closed),
            Err(_) => {
                let message = "The body of the request did not arrive in time.";
                return Err(Refusal::new(ErrorKind::RequestTimeout, message).into());
            }
        }
    }
}

/// What a stream is sent: data, or the word that its answer broke off.
type Sent = Result<Bytes, BrokenOff>;

/// The answer broke off; hyper resets the stream with it.
#[derive(Debug)]
struct BrokenOff;

impl std::fmt::Display for BrokenOff {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the provider's answer broke off")
    }
}

impl std::error::Error for BrokenOff {}

/// The answer to one HTTP/2 stream.
struct H2Answer {
    head: Option<oneshot::Sender<Response<Frames>>>,
    body: mpsc::Sender<Sent>,
    status: u16,
    out: Vec<u8>,
}

impl H2Answer {
    async fn frame(&mut self, body: &[u8]) -> Result<(), ClientGone> {
        if body.is_empty() {
            return Ok(());
        }
        self.body.send(Ok(Bytes::copy_from_slice(body))).await.map_err(|_| ClientGone)
    }
}

impl Answer for H2Answer {
    fn begin(&mut self, status: u16) -> &mut Vec<u8> {
        self.status = status;
        self.out.clear();
        &mut self.out
    }

    async fn send_head(&mut self, length: BodyLength, body: &[u8], _last: bool) -> Result<(), ClientGone> {
        let mut response = Response::new(Frames(None));
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::BAD_GATEWAY);
        for line in self.out.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
            let name = HeaderName::from_bytes(&line[..colon]);
            let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii());
            if let (Ok(name), Ok(value)) = (name, value) {
                response.headers_mut().append(name, value);
            }
        }
        if let BodyLength::Known(bytes) = length {
            response.headers_mut().insert(http::header::CONTENT_LENGTH, bytes.into());
        }
        let head = self.head.take().ok_or(ClientGone)?;
        head.send(response).map_err(|_| ClientGone)?;
        self.frame(body).await
    }

    async fn send(&mut self, body: &[u8], _last: bool) -> Result<(), ClientGone> {
        self.frame(body).await
    }

    async fn break_off(&mut self, last_words: &[u8]) {
        if self.frame(last_words).await.is_ok() {
            let _ = self.body.send(Err(BrokenOff)).await;
        }
    }

    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<ClientGone> {
        if let Some(head) = &mut self.head
            && head.poll_closed(cx).is_ready()
        {
            return Poll::Ready(ClientGone);
        }
        let mut closed = std::pin::pin!(self.body.closed());
        closed.as_mut().poll(cx).map(|()| ClientGone)
    }
}

/// The body of an answer as hyper takes it: frames as they come, the end when the sender is gone.
struct Frames(Option<mpsc::Receiver<Sent>>);

impl Body for Frames {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        let Some(receiver) = &mut self.0 else { return Poll::Ready(None) };
        let sent = ready!(receiver.poll_recv(cx));
        Poll::Ready(sent.map(|sent| sent.map(Frame::data)))
    }
}

/// Runs hyper's tasks on this worker.
#[derive(Clone, Copy)]
struct LocalExecutor;

impl<F: Future + 'static> Executor<F> for LocalExecutor {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(async move {
            future.await;
        });
    }
}

/// A stream some bytes of which have been read already.
struct Rewound {
    stream: Stream,
    first_bytes: Buffer,
}

impl hyper::rt::Read for Rewound {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.first_bytes.is_empty() {
            this.first_bytes.discard();
            let count = ready!(this.stream.poll_read(cx, this.first_bytes.spare()))?;
            this.first_bytes.filled(count);
        }
        let count = buf.remaining().min(this.first_bytes.len());
        buf.put_slice(&this.first_bytes[..count]);
        this.first_bytes.consume(count);
        Poll::Ready(Ok(()))
    }
}

impl hyper::rt::Write for Rewound {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.stream.poll_write(cx, &[io::IoSlice::new(buf)])
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stream.poll_write(cx, bufs)
    }
}

/// Timers for hyper's keep-alive.
#[derive(Clone, Copy)]
struct TokioTimer;

impl hyper::rt::Timer for TokioTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn hyper::rt::Sleep>> {
        Box::pin(TokioSleep(Box::pin(tokio::time::sleep(duration))))
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn hyper::rt::Sleep>> {
        Box::pin(TokioSleep(Box::pin(tokio::time::sleep_until(deadline.into()))))
    }
}

struct TokioSleep(Pin<Box<tokio::time::Sleep>>);

impl Future for TokioSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(cx)
    }
}

impl hyper::rt::Sleep for TokioSleep {}
