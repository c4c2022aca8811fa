//! The full lane: HTTP/2 on hyper, for clients that speak it by prior knowledge or by ALPN.
//!
//! The lane turns what it received into the head of an HTTP/1.1 request and hands that to the same parser, gate and
//! exchange as the fast lane, so that no rule about requests exists twice. It is built for correctness; the lane that
//! is built for speed is the other one.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::Future;
use std::net::IpAddr;
use std::pin::pin;
use std::rc::Rc;
use std::time::{Duration, Instant};

use http::{Request as HttpRequest, Response};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use sluice_http1::{Parse, RequestHead, ResponseHead};
use sluice_pipeline::wire_of_path;
use sluice_types::ErrorKind;
use tokio::sync::oneshot;

use crate::answer::send_refusal;
use crate::buffers::Buffer;
use crate::exchange::{self, Exchange, Rare, Request};
use crate::gate;
use crate::h2_answer::{Frames, H2Answer, panic_answer};
use crate::hyper_io::{LocalExecutor, Rewound, StreamEnd, TokioTimer};
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

/// A silent connection is asked whether it lives after this, and closed when it does not say so in time.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// Streams of one connection.
#[derive(Debug, Default)]
struct Streams {
    open: Cell<usize>,
    served: Cell<u32>,
    /// One was opened since this was last looked at.
    used: Cell<bool>,
}

/// Counts a stream for as long as it is served.
struct Open(Rc<Streams>);

impl Open {
    fn new(streams: &Rc<Streams>) -> Self {
        streams.open.set(streams.open.get() + 1);
        streams.served.set(streams.served.get() + 1);
        streams.used.set(true);
        Self(Rc::clone(streams))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.set(self.0.open.get() - 1);
    }
}

/// Serves a connection that speaks HTTP/2. `first_bytes` have been read from it already.
pub(crate) async fn serve(worker: &Rc<Worker>, stream: Stream, first_bytes: Buffer, peer: IpAddr) {
    let io = Rewound { stream, first_bytes };
    let streams = Rc::new(Streams::default());
    let service = hyper::service::service_fn(|request| {
        let (worker, open) = (Rc::clone(worker), Open::new(&streams));
        async move { Ok::<_, Infallible>(begin(worker, request, peer, open).await) }
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
    let mut connection = pin!(builder.serve_connection(io, service));
    let timer = worker.timers.timer();
    let mut closing = false;
    loop {
        let limits = limits(worker);
        let limit_ms = if closing { limits.write_timeout_ms } else { limits.idle_timeout_ms };
        let driven = timer.limit(limit_ms, |cx| {
            let outcome = connection.as_mut().poll(cx);
            let used_up = streams.served.get() >= limits.max_requests_per_connection;
            if outcome.is_pending() && !closing && (used_up || worker.shared.is_draining()) {
                closing = true;
                connection.as_mut().graceful_shutdown();
                return connection.as_mut().poll(cx).map(drop);
            }
            outcome.map(drop)
        });
        // A connection that breaks ends its streams, whose settlements say so.
        if driven.await.is_ok() {
            return;
        }
        if streams.used.replace(false) || streams.open.get() > 0 {
            continue;
        }
        if closing {
            // What is left is a client that does not take its answers, or does not say goodbye.
            return;
        }
        closing = true;
        connection.as_mut().graceful_shutdown();
    }
}

/// Limits of a connection, in milliseconds and requests.
struct Limits {
    idle_timeout_ms: u32,
    write_timeout_ms: u32,
    max_requests_per_connection: u32,
}

fn limits(worker: &Worker) -> Limits {
    let plan = worker.plan();
    let settings = &plan.plan().settings;
    Limits {
        idle_timeout_ms: settings.idle_timeout_ms,
        write_timeout_ms: settings.write_timeout_ms,
        max_requests_per_connection: settings.max_requests_per_connection,
    }
}

/// Starts the life of one request in a task of its own and waits for the head of its answer.
async fn begin(
    worker: Rc<Worker>,
    request: HttpRequest<Incoming>,
    peer: IpAddr,
    open: Open,
) -> Response<Frames> {
    let wire = wire_of_path(request.uri().path());
    let (head_sender, head) = oneshot::channel();
    let write_timeout_ms = limits(&worker).write_timeout_ms;
    let timer = worker.timers.timer();
    let mut answer = H2Answer::new(head_sender, StreamEnd::of_this_task(), timer, write_timeout_ms);
    answer.without_body = request.method() == http::Method::HEAD;
    tokio::task::spawn_local(async move {
        let _open = open;
        let request = pin!(serve_request(&worker, request, peer, answer));
        let _ = fast_lane::catch_panic(request).await;
    });
    // Without a head the task panicked, or had nobody to answer.
    head.await.unwrap_or_else(|_| panic_answer(wire))
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
        Ok(Parse::Partial) => return Err(incomplete_head().into()),
        Err(error) => return Err(fast_lane::head_refusal(error).into()),
    }
    let asked = gate::pass(worker, plan, &head, &bytes, peer, settlement)?;
    let mut rare = Rare::default();
    let Some(route) = gate::take_call(asked, &head, &bytes, &mut rare)? else {
        return models_api::answer(worker, plan, (asked, head.query(&bytes)), answer, settlement).await;
    };
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
        name: &mut String::new(),
        rare: &mut rare,
    };
    exchange::run(exchange).await
}

fn incomplete_head() -> Refusal {
    Refusal::new(ErrorKind::BadRequestSyntax, "Bad HTTP request: the head is incomplete.")
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
        let mut frame = pin!(body.frame());
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
