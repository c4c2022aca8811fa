//! Relay: passes a held answer on, bytes untouched, and reads off it what it cost.

use std::ops::Range;
use std::time::Instant;

use sluice_dialects::errors::openai_stream_error;
use sluice_dialects::exchange::{ApiError, Event};
use sluice_dialects::openai::Endpoint;
use sluice_dialects::openai::body::BodyTap;
use sluice_dialects::openai::stream::EventClass;
use sluice_dialects::sse;
use sluice_dialects::wire::{AnswerContext, Malformed};
use sluice_pipeline::{Task, task_of, wire_of};
use sluice_types::{ErrorKind, Route};

use crate::answer::{Answer, BodyLength, ClientGone, push_decimal, push_own_headers};
use crate::exchange::{Call, Exchange, answers_text, estimate_tokens};
use crate::follow::{Boundary, Follow};
use crate::hold::{Held, HeldBody, HeldHead, body_limit};
use crate::inflow::{Fault, Inflow};
use crate::kept_headers::{self, push_own};
use crate::metrics::AttemptOutcome;
use crate::refusal::Ended;
use crate::relay_translated;
use crate::timers::shorter;

/// After a stream's own end marker the provider gets this long to end its framing, so that the connection can be kept.
pub(crate) const AFTER_END_MS: u32 = 1_000;

/// Passes the answer on to its end.
pub(crate) async fn relay<A: Answer>(
    x: &mut Exchange<'_, '_, A>,
    call: Call<'_>,
    held: Held,
) -> Result<(), Ended> {
    #[cfg(feature = "fault-injection")]
    crate::fault::inject("relay", x.head, &x.request.bytes);
    // Nothing can be tried again from here on, so the request's memory is free.
    x.request.release();
    let max_idle = x.settlement.provider().map_or(0, |provider| provider.max_idle_per_worker);
    if held.head.status >= 400 {
        x.settlement.fail(ErrorKind::UpstreamError);
    }
    let outcome = match held.body {
        HeldBody::Events { tap, boundary } => {
            let strip_usage = !call.view.include_usage();
            let mut stream = StreamRelay {
                tap,
                boundary,
                inflow: held.inflow,
                strip_usage,
                // Only OpenAI's streams say that they are over; elsewhere a reason to finish has to do.
                choices: Endpoint::from_route(x.route).map_or(1, |_| call.view.n()),
                marked_end: false,
                failed: false,
            };
            stream.run(x, held.head).await.map(|()| stream.inflow)
        }
        HeldBody::Document { tap, usage } => {
            if let Some(usage) = usage {
                x.settlement.set_usage(usage);
            }
            relay_document(x, held.inflow, held.head, held.whole, tap).await
        }
        HeldBody::Translated(stream) => {
            Box::pin(relay_translated::relay(x, held.inflow, held.head, *stream)).await
        }
        HeldBody::Opaque => relay_document(x, held.inflow, held.head, held.whole, None).await,
    };
    match outcome {
        Ok(inflow) => {
            if held.head.status < 400 {
                x.settlement.count_attempt(AttemptOutcome::Ok);
            }
            x.settlement.answer_ends();
            inflow.finish(max_idle);
            Ok(())
        }
        Err(broken) => {
            let (attempt, kind) = match broken {
                Broken::Client => (AttemptOutcome::ClientGone, ErrorKind::ClientGone),
                Broken::Provider => (AttemptOutcome::Truncated, ErrorKind::UpstreamTruncated),
                Broken::Answer => (AttemptOutcome::ServerError, ErrorKind::UpstreamError),
            };
            x.settlement.count_attempt(attempt);
            x.settlement.fail(kind);
            // The provider's own error ended the answer as it should, and the client may use the connection again.
            if matches!(broken, Broken::Answer) { Ok(()) } else { Err(Ended::Closed) }
        }
    }
}

/// Why an answer that had begun did not end well.
pub(crate) enum Broken {
    Client,
    Provider,
    /// The provider said itself that it failed, and that was passed on as the end of the answer.
    Answer,
}

impl From<ClientGone> for Broken {
    fn from(_: ClientGone) -> Self {
        Self::Client
    }
}

/// Sends status and headers with the first bytes of the body.
pub(crate) async fn send_head<A: Answer>(
    x: &mut Exchange<'_, '_, A>,
    head: HeldHead,
    inflow_bytes: &[u8],
    length: BodyLength,
    body: Range<usize>,
    last: bool,
) -> Result<(), ClientGone> {
    let own = x.settlement.own_time(Instant::now());
    x.settlement.answer_begins(head.status, own);
    let out = x.answer.begin(head.status);
    let limits = x.settlement.own_limits();
    let has_request_id = kept_headers::push(out, x.upstream_head, inflow_bytes, head, limits);
    push_own(out, "x-sluice-dropped", &x.rare.dropped);
    push_own(out, "x-amzn-errortype", x.rare.error_type);
    if let Some(seconds) = x.rare.retry_after_s {
        out.extend_from_slice(b"retry-after: ");
        push_decimal(out, seconds, 1);
        out.extend_from_slice(b"\r\n");
    }
    push_own_headers(out, x.settlement, has_request_id, own);
    x.settlement.add_response_bytes(body.len());
    x.answer.send_head(length, &inflow_bytes[body], last).await
}

/// Relays a body that is no stream. `tap` reads its usage; without one it is an error or cannot be looked into.
async fn relay_document<A: Answer>(
    x: &mut Exchange<'_, '_, A>,
    mut inflow: Inflow,
    head: HeldHead,
    whole: bool,
    mut tap: Option<Box<BodyTap>>,
) -> Result<Inflow, Broken> {
    let head_len = x.upstream_head.head_len;
    let held = inflow.bytes.len() - head_len;
    if whole {
        book_document(x, head.status, held as u64, tap.as_deref());
        let bytes = &inflow.bytes;
        send_head(x, head, bytes, BodyLength::Known(held as u64), head_len..bytes.len(), true).await?;
        return Ok(inflow);
    }
    let length = match inflow.remaining_length() {
        Some(remaining) => BodyLength::Known(held as u64 + remaining),
        None => BodyLength::Unknown,
    };
    let bytes = &inflow.bytes;
    send_head(x, head, bytes, length, head_len..bytes.len(), false).await?;
    let mut sent = held as u64;
    let limit = x.plan.plan().settings.max_response_body_bytes;
    loop {
        inflow.bytes.consume(inflow.bytes.len());
        if inflow.is_done() {
            break;
        }
        match read_body(x, &mut inflow, 0).await {
            Ok(()) => {}
            Err(Fault::ClientGone) => return Err(Broken::Client),
            Err(_) => return break_off(x, sent).await,
        }
        sent += inflow.bytes.len() as u64;
        if sent > limit {
            return break_off(x, sent).await;
        }
        if let Some(tap) = &mut tap {
            tap.feed(&inflow.bytes);
        }
        // Where the end of the connection ends the body, only the document itself can say that it was cut short.
        let cut = inflow.is_done()
            && length == BodyLength::Unknown
            && tap.as_ref().is_some_and(|tap| !tap.facts().complete);
        x.settlement.add_response_bytes(inflow.bytes.len());
        x.answer.send(&inflow.bytes, inflow.is_done() && !cut).await?;
        if cut {
            return break_off(x, sent).await;
        }
    }
    book_document(x, head.status, sent, tap.as_deref());
    Ok(inflow)
}

/// Reads on within the limits of the provider, and within `limit_ms`.
pub(crate) async fn read_body<A: Answer>(
    x: &mut Exchange<'_, '_, A>,
    inflow: &mut Inflow,
    limit_ms: u32,
) -> Result<(), Fault> {
    let body_ms = match x.settlement.provider() {
        Some(provider) => body_limit(x, provider, inflow.last_read)?,
        None => 0,
    };
    inflow.read_body(x.timer, shorter(body_ms, limit_ms), x.answer).await
}

async fn break_off<A: Answer>(x: &mut Exchange<'_, '_, A>, sent: u64) -> Result<Inflow, Broken> {
    x.settlement.estimate().output = estimate_output(x.route, sent);
    x.answer.break_off(&[]).await;
    Err(Broken::Provider)
}

/// Tokens of a document that does not say how many they are. What only weighs or measures its input generates none.
fn estimate_output(route: Route, body_bytes: u64) -> u32 {
    match task_of(route) {
        Task::Embed | Task::Rerank | Task::Count => 0,
        Task::Native if !answers_text(route) => 0,
        Task::Chat | Task::Native => estimate_tokens(body_bytes),
    }
}

/// Books what a document says it cost, or an estimate of a successful one that does not say. An error costs nothing.
fn book_document<A>(x: &mut Exchange<'_, '_, A>, status: u16, body_bytes: u64, tap: Option<&BodyTap>) {
    match tap.and_then(|tap| tap.facts().usage) {
        Some(usage) => x.settlement.set_usage(usage),
        None if status < 400 => x.settlement.estimate().output = estimate_output(x.route, body_bytes),
        None => *x.settlement.estimate() = sluice_types::Usage::default(),
    }
}

/// A stream on its way through, in whole events only. No client can use a part of an event, so holding one back until
/// its end delays nothing; and it lets the usage event be taken out and keeps half an event from ever being sent.
struct StreamRelay {
    tap: Follow,
    boundary: Boundary,
    inflow: Inflow,
    strip_usage: bool,
    /// Choices the client asked for.
    choices: u64,
    /// The stream's own end marker has been seen.
    marked_end: bool,
    /// An error of the provider has been passed on.
    failed: bool,
}

/// An error of ours as the last event of a stream.
fn last_words(route: Route, message: &str, sequence_number: u64) -> Vec<u8> {
    let mut event = Vec::new();
    let kind = ErrorKind::UpstreamTruncated;
    match Endpoint::from_route(route) {
        Some(endpoint) => openai_stream_error(&mut event, endpoint, kind, message, sequence_number),
        None => {
            let error = Event::Error(ApiError::own(kind, message, None));
            wire_of(route).encoder(AnswerContext::default()).event(&error, &mut event);
        }
    }
    event
}

/// What waiting for more of a stream came to.
enum More {
    Arrived,
    /// Nothing more will come, and the answer was complete before.
    Ended,
}

impl StreamRelay {
    async fn run<A: Answer>(&mut self, x: &mut Exchange<'_, '_, A>, head: HeldHead) -> Result<(), Broken> {
        x.settlement.set_streaming();
        let mut from = x.upstream_head.head_len;
        let mut head_sent = false;
        loop {
            let mut to = match self.take_whole_events(from) {
                Ok(count) => from + count,
                // What cannot be cut into events cannot be passed on as such.
                Err(Malformed(why)) => {
                    if !head_sent {
                        send_head(x, head, &self.inflow.bytes, BodyLength::Unknown, from..from, false)
                            .await?;
                    }
                    return self.break_off(x, &format!("The stream is broken: {why}.")).await.map(|_| ());
                }
            };
            if self.inflow.is_done() {
                to = self.take_rest(to);
            }
            let last = self.inflow.is_done() && self.is_complete();
            let bytes = &self.inflow.bytes;
            if !head_sent {
                send_head(x, head, bytes, BodyLength::Unknown, from..to, last).await?;
                head_sent = true;
            } else if to > from || last {
                x.settlement.add_response_bytes(to - from);
                x.answer.send(&bytes[from..to], last).await?;
            }
            self.inflow.bytes.consume(to);
            from = 0;
            self.book(x);
            if last {
                return self.end();
            }
            if let More::Ended = self.read_more(x).await? {
                x.answer.send(&self.inflow.bytes, true).await?;
                return self.end();
            }
        }
    }

    /// Taps the whole events behind `from`, takes out the usage event if nobody asked for it, and returns how many
    /// bytes may be sent.
    fn take_whole_events(&mut self, from: usize) -> Result<usize, Malformed> {
        let whole = self.boundary.whole(&self.inflow.bytes[from..])?;
        self.boundary.consumed(whole);
        let (mut at, mut to) = (from, from + whole);
        while let Some(usage) = self.tap_events(at..to) {
            at = usage.start;
            to -= usage.len();
            self.inflow.bytes.remove(usage);
        }
        Ok(to - from)
    }

    /// Taps the events in `range`, up to one that is to be taken out; returns where that one is.
    fn tap_events(&mut self, range: Range<usize>) -> Option<Range<usize>> {
        let (marked_end, failed, strip_usage) = (&mut self.marked_end, &mut self.failed, self.strip_usage);
        let taken = self.tap.each(&self.inflow.bytes[range.clone()], |class| {
            *marked_end |= class == EventClass::Done;
            *failed |= class == EventClass::Error;
            class == EventClass::UsageOnly && strip_usage
        })?;
        Some(range.start + taken.start..range.start + taken.end)
    }

    /// Taps what the stream left from `from` on without a blank line behind it, now that no more will come, and returns
    /// how many bytes may be sent: clients read such an event or drop it, but half of one they could only choke on.
    fn take_rest(&mut self, from: usize) -> usize {
        if self.tap.is_binary() {
            // Half a message is none.
            self.inflow.bytes.truncate(from);
            return from;
        }
        let rest = sse::unfinished(&self.inflow.bytes[from..]);
        let keep = match self.tap.event(&rest) {
            EventClass::UsageOnly => !self.strip_usage,
            EventClass::Malformed => false,
            EventClass::Done => {
                self.marked_end = true;
                true
            }
            EventClass::Error => {
                self.failed = true;
                true
            }
            EventClass::Forward => true,
        };
        // Unless the answer is complete, an event of our own has to follow, and would become part of this one.
        if !(keep && self.is_complete()) {
            self.inflow.bytes.truncate(from);
        }
        self.inflow.bytes.len()
    }

    /// Whether the answer has come to its end. With several choices a reason to finish is the end of one of them only. An
    /// error of the provider's is an end that says so itself; a connection cut behind it might overtake it.
    fn is_complete(&self) -> bool {
        self.marked_end || self.failed || self.tap.finished() && self.choices == 1
    }

    /// The end has been sent.
    fn end(&self) -> Result<(), Broken> {
        if self.failed { Err(Broken::Answer) } else { Ok(()) }
    }

    /// Waits for more. A stream that breaks before its answer is complete is broken off towards the client too.
    async fn read_more<A: Answer>(&mut self, x: &mut Exchange<'_, '_, A>) -> Result<More, Broken> {
        if self.inflow.is_done() {
            return self.break_off(x, "The provider's stream ended before its answer was complete.").await;
        }
        if self.inflow.bytes.is_empty() {
            self.inflow.bytes.release();
        }
        if self.inflow.bytes.len() > x.plan.plan().settings.max_event_bytes as usize {
            return self
                .break_off(x, "The provider sent an event that is longer than this gateway passes on.")
                .await;
        }
        let limit_ms = if self.marked_end { AFTER_END_MS } else { 0 };
        let fault = match read_body(x, &mut self.inflow, limit_ms).await {
            Ok(()) => return Ok(More::Arrived),
            Err(Fault::ClientGone) => return Err(Broken::Client),
            Err(fault) => fault,
        };
        self.take_rest(0);
        match fault {
            _ if self.is_complete() => Ok(More::Ended),
            Fault::Timeout => {
                self.break_off(x, "The provider stopped sending in the middle of its answer.").await
            }
            _ => self.break_off(x, "The provider closed the connection in the middle of its answer.").await,
        }
    }

    /// Tells the client in its own dialect that the answer is not whole, and ends it so that no client can miss it.
    async fn break_off<A: Answer>(&self, x: &mut Exchange<'_, '_, A>, message: &str) -> Result<More, Broken> {
        let event = last_words(x.route, message, self.tap.next_sequence_number());
        x.answer.break_off(&event).await;
        Err(Broken::Provider)
    }

    /// Books what the stream has cost so far, so that it is known however it ends.
    fn book<A>(&self, x: &mut Exchange<'_, '_, A>) {
        x.settlement.book_stream(self.tap.usage(), self.tap.output_bytes());
    }
}
