//! The fast lane: HTTP/1.1 on a worker's own sockets. [`Connection::serve_request`] is the life of a request.

use std::future::{Future, poll_fn};
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;
use std::time::Instant;

use sluice_dialects::wire::Wire;
use sluice_http1::{Framing, HeadError, Parse, RequestHead, ResponseHead};
use sluice_pipeline::wire_of_path;
use sluice_types::{ErrorKind, Settings};

use crate::answer::{Answer, BodyLength, send_refusal, write_panic};
use crate::buffers::{Buffer, DEFAULT_BYTES};
use crate::exchange::{self, Exchange, Rare, Request};
use crate::gate;
use crate::h1_answer::{H1Answer, Progress};
use crate::refusal::{Ended, Refusal};
use crate::request_body::BodyState;
use crate::scratch::Scratch;
use crate::settle::Settlement;
use crate::stream::Stream;
use crate::timers::Timer;
use crate::worker::{Worker, WorkerPlan};
use crate::{models_api, request_body};

/// First bytes of an HTTP/2 connection (RFC 9113, 3.4).
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How much of an unwanted body is read to save the connection.
const MAX_DISCARDED_BODY: u64 = 64 << 10;

/// How much is read, and for how long, after a connection's last answer. Closing while the client still sends would
/// reset the connection, and the client might never see the answer.
const LINGER_BYTES: usize = 1 << 20;
const LINGER_MS: u32 = 1_000;

/// Room that is made for a request before its head has said how long it is: as much as the last one took, within these.
const MIN_ROOM_BYTES: usize = 4 << 10;
const MAX_ROOM_BYTES: usize = 256 << 10;

/// How a connection left the fast lane.
pub(crate) enum Left {
    Closed,
    /// It speaks HTTP/2.
    Http2 {
        stream: Stream,
        first_bytes: Buffer,
    },
}

/// What follows a request.
enum Next {
    Request,
    Close,
    /// Close, but read on for a moment.
    Linger,
    Http2,
}

struct Connection {
    stream: Stream,
    timer: Timer,
    peer: IpAddr,
    /// Bytes read and not used yet; holds no memory between requests.
    input: Buffer,
    served: u32,
    /// Bytes of the last request: room for as many is made before the next is read, which saves a large one a second
    /// reading and a move.
    last_request_bytes: usize,
    /// How far the answer to the request at hand has come.
    progress: Progress,
    /// The dialect that the path of the request at hand is of.
    wire: Wire,
}

/// Serves a connection until it closes or turns out to speak HTTP/2.
pub(crate) async fn serve(worker: &Rc<Worker>, stream: Stream, peer: IpAddr) -> Left {
    let timer = worker.timers.timer();
    let input = Buffer::default();
    let mut connection = Connection {
        stream,
        timer,
        peer,
        input,
        served: 0,
        last_request_bytes: DEFAULT_BYTES,
        progress: Progress::Nothing,
        wire: Wire::OpenaiChat,
    };
    loop {
        connection.progress = Progress::Nothing;
        // Pinned where it is made: a request's future is large, and moving it would be the largest copy of the request.
        let next = {
            let mut request = pin!(connection.serve_request(worker));
            catch_panic(request.as_mut()).await
        };
        match next {
            Some(Next::Request) => {}
            Some(Next::Close) => return Left::Closed,
            Some(Next::Linger) => {
                connection.linger().await;
                return Left::Closed;
            }
            Some(Next::Http2) => {
                return Left::Http2 { stream: connection.stream, first_bytes: connection.input };
            }
            None => {
                connection.answer_panic(worker).await;
                return Left::Closed;
            }
        }
    }
}

/// Runs a future; `None` if it panicked. One bad request must not take its worker along.
pub(crate) async fn catch_panic<T>(mut future: Pin<&mut impl Future<Output = T>>) -> Option<T> {
    poll_fn(|cx| match std::panic::catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Ok(poll) => poll.map(Some),
        Err(_) => Poll::Ready(None),
    })
    .await
}

impl Connection {
    /// The life of a request: read head → pass the gate (route, authenticate) → read body → exchange (inspect, admit,
    /// route, dispatch, relay) → settle, which the settlement does when it goes out of scope.
    async fn serve_request(&mut self, worker: &Rc<Worker>) -> Next {
        let idle_timeout_ms = worker.plan().plan().settings.idle_timeout_ms;
        let Some(started) = self.wait_for_request(worker, idle_timeout_ms).await else { return Next::Close };
        // Taken only now: a connection that waits holds no memory, and no plan that has been replaced meanwhile.
        let plan = worker.plan();
        let settings = &plan.plan().settings;
        let mut scratch = Scratch::take();
        match self.read_head(&mut scratch.request_head, settings).await {
            Ok(true) => {}
            Ok(false) => return Next::Http2,
            Err(None) => return Next::Close,
            Err(Some(refusal)) => {
                return self.refuse_head(worker, &plan, &mut scratch, started, &refusal).await;
            }
        }
        let mut settlement = Settlement::begin(worker, Rc::clone(&plan), started);
        let Scratch { request_head: head, response_head, out, egress, name, rare } = &mut *scratch;
        let bytes = std::mem::take(&mut self.input);
        self.wire = wire_of_path(head.path(&bytes));
        let mut request = Request { bytes, body: head.head_len..head.head_len, decoded: None };
        let mut ahead = Buffer::default();
        self.served += 1;
        let mut answer = H1Answer::new(
            &mut self.stream,
            &self.timer,
            out,
            &mut ahead,
            &mut self.progress,
            settings.write_timeout_ms,
        );
        answer.http10 = head.minor_version == 0;
        answer.without_body = head.method == sluice_http1::Method::Head;
        answer.keep_alive = head.keep_alive && self.served < settings.max_requests_per_connection;
        answer.draining = Some(&worker.shared.draining);
        let mut body = BodyState::Unread;
        let handled = Handling {
            worker,
            plan: &plan,
            head,
            peer: self.peer,
            request: &mut request,
            answer: &mut answer,
            settlement: &mut settlement,
            response_head,
            egress,
            name,
            rare,
            body: &mut body,
        };
        let outcome = handled.run().await;
        let next = match outcome {
            Ok(()) if answer.keep_alive => next_after(body, head, &request),
            Ok(()) => Next::Linger,
            Err(Ended::Closed) => Next::Close,
            Err(Ended::Refused(refusal)) => {
                let next = next_after(body, head, &request);
                answer.keep_alive &= matches!(next, Next::Request);
                match send_refusal(&mut answer, &mut settlement, &refusal).await {
                    Ok(()) if answer.keep_alive => next,
                    Ok(()) => Next::Linger,
                    Err(_) => Next::Close,
                }
            }
        };
        drop(settlement);
        if !matches!(next, Next::Request) {
            return next;
        }
        self.keep_surplus(head, request, ahead, body).await
    }

    /// Waits for the first byte of a request, holding no memory meanwhile. `None` when there will be none.
    async fn wait_for_request(&mut self, worker: &Worker, idle_timeout_ms: u32) -> Option<Instant> {
        if !self.input.is_empty() {
            return Some(Instant::now());
        }
        self.input.discard();
        let (stream, input) = (&mut self.stream, &mut self.input);
        let room = self.last_request_bytes.clamp(MIN_ROOM_BYTES, MAX_ROOM_BYTES);
        let read = self.timer.limit(idle_timeout_ms, |cx| {
            if worker.shared.is_draining() {
                return Poll::Ready(Ok(0));
            }
            if !stream.buffers_inside() && stream.poll_read_ready(cx).is_pending() {
                return Poll::Pending;
            }
            input.reserve(room);
            let read = stream.poll_read(cx, input.spare());
            if read.is_pending() {
                input.discard();
            }
            read
        });
        match read.await {
            Ok(Ok(count)) if count > 0 => {
                self.input.filled(count);
                Some(Instant::now())
            }
            _ => None,
        }
    }

    /// Reads until the head is whole (`true`) or the connection turns out to speak HTTP/2 (`false`).
    async fn read_head(
        &mut self,
        head: &mut RequestHead,
        settings: &Settings,
    ) -> Result<bool, Option<Refusal>> {
        let mut deadline = None;
        head.reset();
        loop {
            let preface =
                self.served == 0 && HTTP2_PREFACE.starts_with(&self.input[..self.input.len().min(24)]);
            if preface && self.input.len() >= HTTP2_PREFACE.len() {
                return Ok(false);
            }
            if !preface
                && head.parse(&self.input).map_err(|error| Some(head_refusal(error)))? == Parse::Complete
            {
                return Ok(true);
            }
            let deadline =
                *deadline.get_or_insert_with(|| self.timer.deadline_after(settings.header_timeout_ms));
            let limit_ms = self.timer.left_until(deadline);
            let (stream, input) = (&mut self.stream, &mut self.input);
            match self.timer.limit(limit_ms, |cx| stream.poll_read(cx, input.spare())).await {
                Ok(Ok(count)) if count > 0 => self.input.filled(count),
                Ok(_) => return Err(None),
                Err(_) => {
                    let message = "The head of the request did not arrive in time.";
                    return Err(Some(Refusal::new(ErrorKind::RequestTimeout, message)));
                }
            }
        }
    }

    /// Answers a head that is not HTTP as we read it. Where its body ends is unknown, so the connection ends.
    async fn refuse_head(
        &mut self,
        worker: &Rc<Worker>,
        plan: &Rc<WorkerPlan>,
        scratch: &mut Scratch,
        started: Instant,
        refusal: &Refusal,
    ) -> Next {
        let mut settlement = Settlement::begin(worker, Rc::clone(plan), started);
        let limit_ms = plan.plan().settings.write_timeout_ms;
        let mut ahead = Buffer::default();
        let mut answer = H1Answer::new(
            &mut self.stream,
            &self.timer,
            &mut scratch.out,
            &mut ahead,
            &mut self.progress,
            limit_ms,
        );
        match send_refusal(&mut answer, &mut settlement, refusal).await {
            Ok(()) => Next::Linger,
            Err(_) => Next::Close,
        }
    }

    /// Puts bytes that came after the request in front of what is read next, and skips what is left of an unwanted
    /// body.
    async fn keep_surplus(
        &mut self,
        head: &RequestHead,
        mut request: Request,
        ahead: Buffer,
        body: BodyState,
    ) -> Next {
        let mut skip = 0;
        if let (BodyState::Unread, Framing::Length(length)) = (body, head.framing) {
            let have = (request.bytes.len() - head.head_len) as u64;
            request.body.end = head.head_len + usize::try_from(length.min(have)).unwrap_or(0);
            skip = length.saturating_sub(have);
        }
        if let Framing::Length(length) = head.framing {
            self.last_request_bytes =
                head.head_len.saturating_add(usize::try_from(length).unwrap_or(MAX_ROOM_BYTES));
        }
        request.release();
        self.input = request.bytes;
        if self.input.is_empty() {
            self.input = ahead;
        } else {
            self.input.extend(&ahead);
        }
        if skip == 0 { Next::Request } else { self.skip_body(skip).await }
    }

    async fn skip_body(&mut self, mut left: u64) -> Next {
        let deadline = self.timer.deadline_after(LINGER_MS);
        loop {
            let have = self.input.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            self.input.consume(have);
            left -= have as u64;
            if left == 0 {
                return Next::Request;
            }
            let (stream, input) = (&mut self.stream, &mut self.input);
            let limit_ms = self.timer.left_until(deadline);
            match self.timer.limit(limit_ms, |cx| stream.poll_read(cx, input.spare())).await {
                Ok(Ok(count)) if count > 0 => self.input.filled(count),
                _ => return Next::Close,
            }
        }
    }

    /// Ends the sending side and reads on for a moment.
    async fn linger(&mut self) {
        let deadline = self.timer.deadline_after(LINGER_MS);
        let stream = &mut self.stream;
        let _ = self.timer.limit(LINGER_MS, |cx| stream.poll_shutdown(cx)).await;
        let mut read = 0;
        while read < LINGER_BYTES {
            self.input.discard();
            let (stream, input) = (&mut self.stream, &mut self.input);
            let limit_ms = self.timer.left_until(deadline);
            match self.timer.limit(limit_ms, |cx| stream.poll_read(cx, input.spare())).await {
                Ok(Ok(count)) if count > 0 => read += count,
                _ => return,
            }
        }
    }

    /// Answers 500 for a request whose handling panicked, unless its answer had begun.
    async fn answer_panic(&mut self, worker: &Rc<Worker>) {
        if self.progress != Progress::Nothing {
            return;
        }
        let limit_ms = worker.plan().plan().settings.write_timeout_ms;
        let (mut out, mut ahead) = (Vec::new(), Buffer::default());
        let mut answer =
            H1Answer::new(&mut self.stream, &self.timer, &mut out, &mut ahead, &mut self.progress, limit_ms);
        // The books of the request were closed when it unwound, so this answer has none of its own.
        let body = write_panic(self.wire, answer.begin(ErrorKind::Internal.status()));
        if answer.send_head(BodyLength::Known(body.len() as u64), &body, true).await.is_ok() {
            self.linger().await;
        }
    }
}

/// Whether the connection can be used after an answer that was given with the body in this state.
fn next_after(body: BodyState, head: &RequestHead, request: &Request) -> Next {
    let have = request.bytes.len().saturating_sub(head.head_len) as u64;
    match (body, head.framing) {
        (BodyState::Whole, _) | (BodyState::Unread, Framing::None) => Next::Request,
        // A client that waits for `100 Continue` may or may not send its body after another answer.
        (BodyState::Unread, _) if head.expect_continue => Next::Linger,
        (BodyState::Unread, Framing::Length(length)) if length.saturating_sub(have) <= MAX_DISCARDED_BODY => {
            Next::Request
        }
        _ => Next::Linger,
    }
}

/// The answer to a head that is not read.
pub(crate) fn head_refusal(error: HeadError) -> Refusal {
    let kind = match error.status() {
        431 => ErrorKind::HeadTooLarge,
        417 => ErrorKind::ExpectationFailed,
        _ => ErrorKind::BadRequestSyntax,
    };
    Refusal::new(kind, format!("Bad HTTP request: {error}."))
}

/// A request between its head and its answer.
struct Handling<'h, 'c, 'w> {
    worker: &'w Rc<Worker>,
    plan: &'h Rc<WorkerPlan>,
    head: &'h RequestHead,
    peer: IpAddr,
    request: &'h mut Request,
    answer: &'h mut H1Answer<'c>,
    settlement: &'h mut Settlement<'w>,
    response_head: &'h mut ResponseHead,
    egress: &'h mut Vec<u8>,
    name: &'h mut String,
    rare: &'h mut Rare,
    body: &'h mut BodyState,
}

impl Handling<'_, '_, '_> {
    async fn run(self) -> Result<(), Ended> {
        let (worker, plan) = (self.worker, self.plan);
        let asked = gate::pass(worker, plan, self.head, &self.request.bytes, self.peer, self.settlement)
            .map_err(Ended::from)?;
        let Some(route) = gate::take_call(asked, self.head, &self.request.bytes, self.rare)? else {
            let query = self.head.query(&self.request.bytes);
            return models_api::answer(worker, plan, (asked, query), self.answer, self.settlement).await;
        };
        request_body::read(
            self.head,
            self.request,
            self.answer,
            &plan.plan().settings,
            self.settlement,
            self.body,
        )
        .await?;
        let timer = self.answer.timer;
        let exchange = Exchange {
            worker,
            plan,
            route,
            head: self.head,
            request: self.request,
            answer: self.answer,
            timer,
            settlement: self.settlement,
            upstream_head: self.response_head,
            egress: self.egress,
            name: self.name,
            rare: self.rare,
        };
        exchange::run(exchange).await
    }
}
