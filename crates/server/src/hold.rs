//! Holding back: an answer is not passed on until it is known to be one.
//!
//! A body that is no stream is held until it is whole or [`HOLD_BYTES`] of it are there; a client can use no part of a
//! JSON document, so this costs it nothing, and a truncated, empty or foreign answer can still go to another target. A
//! stream is held until its first event, so that an error in place of an answer is an HTTP error again.

use std::time::Instant;

use sluice_dialects::embeddings::COHERE_USAGE;
use sluice_dialects::errors::redact_key;
use sluice_dialects::openai::body::{BodyTap, OPENAI_USAGE, UsageShape};
use sluice_dialects::openai::stream::EventClass;
use sluice_dialects::openai::{answer_tier, usage_at_end};
use sluice_dialects::rerank::RerankWire;
use sluice_dialects::wire::Malformed;
use sluice_dialects::{anthropic, bedrock, cohere, gemini};
use sluice_http1::{Known, ResponseHead};
use sluice_pipeline::{ProviderPlan, Upstream, wire_of};
use sluice_types::Usage;

use crate::answer::{Answer, may_stream};
use crate::buffers::Buffer;
use crate::content_coding;
use crate::exchange::Exchange;
use crate::follow::{Boundary, Follow};
use crate::hold_translated;
use crate::inflow::{Fault, Inflow};
use crate::outbound::Outbound;
use crate::stream_error::{StreamError, stream_error};
use crate::timers::shorter;
use crate::translated_stream::TranslatedStream;
use crate::verdict::{Said, Verdict, error_verdict};

/// How much of a body is held before it is passed on in part.
pub(crate) const HOLD_BYTES: usize = 64 << 10;

/// An answer that is ready to be passed on, or given up.
pub(crate) struct Held {
    pub(crate) inflow: Inflow,
    pub(crate) body: HeldBody,
    pub(crate) head: HeldHead,
    /// All of the body is in the buffer.
    pub(crate) whole: bool,
}

/// What is said in front of a body, besides the provider's headers.
#[derive(Clone, Copy)]
pub(crate) struct HeldHead {
    /// Status to answer with; differs from the provider's where it hid an error behind a 200.
    pub(crate) status: u16,
    /// The body is without the content coding its head speaks of.
    pub(crate) decoded: bool,
    /// The body's media type, where it is another one than the provider's.
    pub(crate) media: Option<Media>,
}

/// A media type of ours.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Media {
    Json,
    Events,
    AmazonEvents,
}

impl Media {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Events => "text/event-stream; charset=utf-8",
            Self::AmazonEvents => "application/vnd.amazon.eventstream",
        }
    }
}

impl HeldHead {
    /// As the provider sent it.
    fn of(head: &ResponseHead) -> Self {
        Self { status: head.status, decoded: false, media: None }
    }

    /// Of a body that we have written.
    pub(crate) fn own(status: u16, media: Media) -> Self {
        Self { status, decoded: true, media: Some(media) }
    }

    /// Whether a header of the provider does not fit the body any more.
    pub(crate) fn is_untrue(self, known: Known) -> bool {
        match known {
            Known::ContentType => self.media.is_some(),
            Known::ContentEncoding => self.decoded,
            _ => false,
        }
    }
}

/// What kind of body it is, with the tap that has seen all of it so far.
pub(crate) enum HeldBody {
    /// Passed on as bytes.
    ///
    /// `tap` has seen what is held; it is kept only if more is to come, and boxed, for it is large and the answers that
    /// outgrow the hold are few.
    Document { tap: Option<Box<BodyTap>>, usage: Option<Usage> },
    /// Passed on event by event.
    Events { tap: Follow, boundary: Boundary },
    /// Passed on event by event in another dialect.
    Translated(Box<TranslatedStream>),
    /// In a content coding we cannot look into, or an error: passed on as it is.
    Opaque,
}

impl Held {
    /// Gives the answer up. If it was read to its end, its connection is kept.
    pub(crate) fn discard(self, provider: &ProviderPlan) {
        self.inflow.finish(provider.max_idle_per_worker);
    }
}

/// Who is answering.
#[derive(Clone, Copy)]
pub(crate) struct Source<'p> {
    pub(crate) provider: &'p ProviderPlan,
    /// The plain key that was sent, to mask it where the provider repeats it.
    pub(crate) secret: &'p str,
    /// How it was asked.
    pub(crate) outbound: &'p Outbound,
}

/// Reads on until the answer is worth passing on.
pub(crate) async fn hold<A: Answer>(
    x: &mut Exchange<'_, '_, A>,
    inflow: Inflow,
    from: Source<'_>,
) -> Result<(Held, Verdict), Fault> {
    if let Some(translation) = &from.outbound.translation {
        // Boxed, so that requests which are not translated have no larger a future to move.
        return Box::pin(hold_translated::hold(x, inflow, from, translation)).await;
    }
    match x.upstream_head.status {
        200..=299 if is_opaque(from.outbound.call, x.upstream_head, &inflow.bytes) => {
            check_length(x, &inflow)?;
            Ok(not_looked_into(x, inflow))
        }
        200..=299 if is_event_stream(x.upstream_head, &inflow.bytes) && may_stream(x.route) => {
            hold_stream(x, inflow, from).await
        }
        200..=299 if is_encoded(x.upstream_head, &inflow.bytes) => Ok(not_looked_into(x, inflow)),
        200..=299 => hold_document(x, inflow, from).await,
        300..=399 => Err(Fault::Invalid("the provider redirected the request, which is never followed")),
        _ => hold_error(x, inflow, from).await,
    }
}

/// Whether the answer to a call is in a format of its own: sound, whatever a model of Bedrock speaks, what a provider
/// keeps, or a transcript as plain text.
fn is_opaque(call: Upstream, head: &ResponseHead, bytes: &[u8]) -> bool {
    match call {
        Upstream::Speech | Upstream::Invoke | Upstream::InvokeStream => true,
        Upstream::Transcriptions | Upstream::Translations => {
            let content_type = head.known(bytes, Known::ContentType).unwrap_or_default();
            content_type.get(..5).is_some_and(|start| start.eq_ignore_ascii_case(b"text/"))
                && !is_event_stream(head, bytes)
        }
        call => call.is_stored(),
    }
}

/// Whether the head announces events, of either framing.
pub(crate) fn is_event_stream(head: &ResponseHead, bytes: &[u8]) -> bool {
    let content_type = head.known(bytes, Known::ContentType).unwrap_or_default();
    let is =
        |media: &[u8]| content_type.get(..media.len()).is_some_and(|start| start.eq_ignore_ascii_case(media));
    (is(b"text/event-stream") || is(b"application/vnd.amazon.eventstream")) && !is_encoded(head, bytes)
}

pub(crate) fn is_encoded(head: &ResponseHead, bytes: &[u8]) -> bool {
    head.known(bytes, Known::ContentEncoding).is_some_and(|coding| !coding.eq_ignore_ascii_case(b"identity"))
}

/// The longest wait for the next bytes of a body that last got some at `now`.
pub(crate) fn body_limit<A>(
    x: &Exchange<'_, '_, A>,
    provider: &ProviderPlan,
    now: Instant,
) -> Result<u32, Fault> {
    let total_ms = x.settlement.left_of_ms(provider.timeouts.total_ms, now).ok_or(Fault::Timeout)?;
    Ok(shorter(provider.timeouts.between_chunks_ms, total_ms))
}

/// Holds a body until it is whole or long enough.
pub(crate) async fn read_held<A: Answer>(
    x: &mut Exchange<'_, '_, A>,
    inflow: &mut Inflow,
    provider: &ProviderPlan,
    most: usize,
) -> Result<(), Fault> {
    let began = inflow.last_read;
    while !inflow.is_done() && inflow.bytes.len() < x.upstream_head.head_len + most {
        if let Some(remaining) = inflow.remaining_length() {
            // One buffer of the right size instead of several doublings.
            let wanted = usize::try_from(remaining).unwrap_or(HOLD_BYTES).min(HOLD_BYTES);
            inflow.bytes.reserve(wanted.max(1));
        }
        let limit_ms = body_limit(x, provider, inflow.last_read)?;
        inflow.read_body(x.timer, limit_ms, x.answer).await?;
    }
    x.settlement.waited_from(began, inflow.last_read);
    Ok(())
}

/// An answer in a content coding, which nobody asked for: passed on as it comes, since holding back what may be a stream
/// would stall it.
fn not_looked_into<A>(x: &Exchange<'_, '_, A>, inflow: Inflow) -> (Held, Verdict) {
    let (head, whole) = (HeldHead::of(x.upstream_head), inflow.is_done());
    (Held { inflow, body: HeldBody::Opaque, head, whole }, Verdict::Deliver)
}

/// Refuses a body that is, or says it will be, longer than is passed on.
pub(crate) fn check_length<A>(x: &Exchange<'_, '_, A>, inflow: &Inflow) -> Result<(), Fault> {
    let arrived = (inflow.bytes.len() - x.upstream_head.head_len) as u64;
    let length = arrived.saturating_add(inflow.remaining_length().unwrap_or(0));
    if length > x.plan.plan().settings.max_response_body_bytes {
        return Err(Fault::Invalid("the provider's answer is longer than this gateway passes on"));
    }
    Ok(())
}

async fn hold_document<A: Answer>(
    x: &mut Exchange<'_, '_, A>,
    mut inflow: Inflow,
    from: Source<'_>,
) -> Result<(Held, Verdict), Fault> {
    check_length(x, &inflow)?;
    read_held(x, &mut inflow, from.provider, HOLD_BYTES).await?;
    check_length(x, &inflow)?;
    let (head, whole) = (HeldHead::of(x.upstream_head), inflow.is_done());
    let body = &inflow.bytes[x.upstream_head.head_len..];
    if body.iter().find(|byte| !byte.is_ascii_whitespace()).is_none_or(|first| *first != b'{') {
        return Err(Fault::Invalid("the provider answered with something other than a JSON object"));
    }
    if whole && let Some(usage) = usage_at_once(from.outbound.call, body) {
        let body = HeldBody::Document { tap: None, usage: Some(usage) };
        return Ok((Held { inflow, body, head, whole }, Verdict::Deliver));
    }
    let mut tap = BodyTap::of(usage_shape(from.outbound.call));
    tap.feed(body);
    let facts = tap.facts();
    if whole && !facts.complete {
        return Err(Fault::Invalid("the provider's answer is cut short"));
    }
    // To count costs nothing.
    let usage = if is_count(from.outbound.call) { Some(Usage::default()) } else { facts.usage };
    let usage = usage.map(|usage| if whole { with_tier(usage, from.outbound.call, body) } else { usage });
    let body = HeldBody::Document { tap: (!whole).then(|| Box::new(tap)), usage };
    Ok((Held { inflow, body, head, whole }, Verdict::Deliver))
}

/// Where the answers to a call have their usage.
fn usage_shape(call: Upstream) -> UsageShape {
    match call {
        Upstream::Messages | Upstream::MessagesStream => {
            UsageShape { name: "usage", read: anthropic::read_usage }
        }
        Upstream::GenerateContent => UsageShape { name: "usageMetadata", read: gemini::read_usage },
        Upstream::Converse => UsageShape { name: "usage", read: bedrock::read_usage },
        Upstream::CohereChat => UsageShape { name: "usage", read: cohere::read_usage },
        Upstream::CohereEmbed => COHERE_USAGE,
        Upstream::EmbedContent | Upstream::BatchEmbedContents => {
            UsageShape { name: "usageMetadata", read: gemini::read_usage }
        }
        _ => OPENAI_USAGE,
    }
}

/// The usage of a whole answer, with the service tier where that stands elsewhere.
fn with_tier(usage: Usage, call: Upstream, body: &[u8]) -> Usage {
    match call {
        Upstream::Chat | Upstream::Completions | Upstream::Responses => {
            Usage { tier: answer_tier(body), ..usage }
        }
        Upstream::Converse => Usage { tier: bedrock::answer_tier(body), ..usage },
        _ => usage,
    }
}

/// The usage of a whole answer, where it is found without a tap: from its end, or as it does not stand in one member of its own.
fn usage_at_once(call: Upstream, body: &[u8]) -> Option<Usage> {
    match call {
        Upstream::Rerank => RerankWire::Cohere.usage_of(body).tokens,
        _ if is_openai(call) => usage_at_end(body).map(|usage| with_tier(usage, call, body)),
        _ => None,
    }
}

fn is_count(call: Upstream) -> bool {
    matches!(call, Upstream::CountTokens | Upstream::GeminiCountTokens)
}

fn is_openai(call: Upstream) -> bool {
    matches!(
        call,
        Upstream::Chat
            | Upstream::ChatStream
            | Upstream::Completions
            | Upstream::Embeddings
            | Upstream::Responses
    )
}

async fn hold_stream<A: Answer>(
    x: &mut Exchange<'_, '_, A>,
    mut inflow: Inflow,
    from: Source<'_>,
) -> Result<(Held, Verdict), Fault> {
    let head_len = x.upstream_head.head_len;
    // A tap of its own: the stream is tapped from its beginning when it is relayed.
    let mut tap = Follow::of(x.route);
    let mut boundary = Boundary::of(&tap);
    // Up to here there are comments only, each looked at once.
    let mut seen = 0;
    let began = inflow.last_read;
    let class = loop {
        let body = &inflow.bytes[head_len..];
        let whole = boundary.whole(body).map_err(|Malformed(why)| Fault::Invalid(why))?;
        if let Some(class) = tap.first(&body[..whole], seen) {
            break class;
        }
        seen = whole;
        if inflow.is_done() {
            return Err(Fault::Invalid("the provider's stream ended before its first event"));
        }
        if body.len() > x.plan.plan().settings.max_event_bytes as usize {
            return Err(Fault::Invalid("the provider's first event is too long"));
        }
        let limit_ms = body_limit(x, from.provider, inflow.last_read)?;
        inflow.read_body(x.timer, limit_ms, x.answer).await?;
    };
    x.settlement.waited_from(began, inflow.last_read);
    match class {
        EventClass::Error => return error_from_stream(x, inflow, from),
        EventClass::Malformed | EventClass::Done => {
            return Err(Fault::Invalid("the provider's stream does not begin with an event of this API"));
        }
        EventClass::Forward | EventClass::UsageOnly => {}
    }
    let tap = Follow::of(x.route);
    let boundary = Boundary::of(&tap);
    let body = HeldBody::Events { tap, boundary };
    Ok((Held { inflow, body, head: HeldHead::of(x.upstream_head), whole: false }, Verdict::Deliver))
}

/// An error that a provider put into a stream with status 200 becomes the HTTP error it should have been.
fn error_from_stream<A: Answer>(
    x: &mut Exchange<'_, '_, A>,
    mut inflow: Inflow,
    from: Source<'_>,
) -> Result<(Held, Verdict), Fault> {
    let head_len = x.upstream_head.head_len;
    let body = &inflow.bytes[head_len..];
    let Some(StreamError { status, mut document, error_type }) = stream_error(x.route, body) else {
        return Err(Fault::Invalid(
            "the provider sent an error that is not of this API in place of an answer",
        ));
    };
    redact_key(&mut document, from.secret);
    inflow.replace_body(head_len, &document);
    let said = Said::of(&wire_of(x.route).read_error(status, &inflow.bytes[head_len..]));
    let verdict = error_verdict(x.upstream_head, &inflow.bytes, status, said);
    x.rare.error_type = error_type;
    let head = HeldHead { decoded: false, ..HeldHead::own(status, Media::Json) };
    Ok((Held { inflow, body: HeldBody::Opaque, head, whole: true }, verdict))
}

async fn hold_error<A: Answer>(
    x: &mut Exchange<'_, '_, A>,
    mut inflow: Inflow,
    from: Source<'_>,
) -> Result<(Held, Verdict), Fault> {
    read_held(x, &mut inflow, from.provider, HOLD_BYTES).await?;
    let (head_len, status) = (x.upstream_head.head_len, x.upstream_head.status);
    let plain = plain_error(x.upstream_head, &inflow.bytes);
    if let Some(plain) = &plain {
        inflow.replace_body(head_len, plain);
    }
    redact_key(&mut inflow.bytes[head_len..], from.secret);
    // Google says in the body how long it wants to be left alone.
    let said = Said::is_worth_reading(status)
        .then(|| Said::of(&wire_of(x.route).read_error(status, &inflow.bytes[head_len..])));
    let verdict = error_verdict(x.upstream_head, &inflow.bytes, status, said.unwrap_or_default());
    // A longer one ends here, for what is not held cannot be searched for our key.
    let head = HeldHead { status, decoded: plain.is_some(), media: None };
    Ok((Held { inflow, body: HeldBody::Opaque, head, whole: true }, verdict))
}

/// The body of an error without its content coding, if it has one that comes off: a key is not to be seen in it else.
pub(crate) fn plain_error(head: &ResponseHead, bytes: &[u8]) -> Option<Buffer> {
    let coding = head.known(bytes, Known::ContentEncoding)?;
    content_coding::decode(coding, &bytes[head.head_len..], HOLD_BYTES as u64).ok().flatten()
}
