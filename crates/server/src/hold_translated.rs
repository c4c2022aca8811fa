//! Holding back an answer that is translated: a whole one becomes a document of the client's dialect, a stream is held
//! until it says something.

use sluice_dialects::errors::redact_key;
use sluice_dialects::exchange::{Dropped, Event};
use sluice_dialects::json::Doc;
use sluice_dialects::wire::{Malformed, Wire};
use sluice_http1::Known;
use sluice_types::Usage;

use crate::answer::Answer;
use crate::content_coding;
use crate::exchange::Exchange;
use crate::hold::{
    HOLD_BYTES, Held, HeldBody, HeldHead, Media, Source, body_limit, check_length, is_encoded,
    is_event_stream, plain_error, read_held,
};
use crate::inflow::{Fault, Inflow};
use crate::outbound::{Translated, Translation};
use crate::stream_error::{StreamError, written};
use crate::translated_stream::TranslatedStream;
use crate::verdict::{Said, Verdict, error_verdict};

/// Reads on until the answer is worth passing on.
pub(crate) async fn hold<A: Answer>(
    x: &mut Exchange<'_, '_, A>,
    inflow: Inflow,
    from: Source<'_>,
    translation: &Translation,
) -> Result<(Held, Verdict), Fault> {
    match x.upstream_head.status {
        200..=299 if is_stream(x, &inflow, translation) => {
            if !translation.stream {
                return Err(Fault::Invalid("the provider sent a stream, for which nobody asked"));
            }
            stream(x, inflow, from, translation).await
        }
        200..=299 => document(x, inflow, from, translation).await,
        300..=399 => Err(Fault::Invalid("the provider redirected the request, which is never followed")),
        _ => error(x, inflow, from, translation).await,
    }
}

fn is_stream<A>(x: &Exchange<'_, '_, A>, inflow: &Inflow, translation: &Translation) -> bool {
    let is_lines = matches!(translation.kind, Translated::Chat(Wire::Ollama))
        && x.upstream_head
            .known(&inflow.bytes, Known::ContentType)
            .is_some_and(|media| media.starts_with(b"application/x-ndjson"));
    is_lines || is_event_stream(x.upstream_head, &inflow.bytes)
}

async fn document<A: Answer>(
    x: &mut Exchange<'_, '_, A>,
    mut inflow: Inflow,
    from: Source<'_>,
    translation: &Translation,
) -> Result<(Held, Verdict), Fault> {
    check_length(x, &inflow)?;
    let limit = x.plan.plan().settings.max_response_body_bytes;
    read_held(x, &mut inflow, from.provider, usize::try_from(limit).unwrap_or(usize::MAX)).await?;
    check_length(x, &inflow)?;
    let head_len = x.upstream_head.head_len;
    let plain = match x.upstream_head.known(&inflow.bytes, Known::ContentEncoding) {
        Some(coding) if is_encoded(x.upstream_head, &inflow.bytes) => {
            content_coding::decode(coding, &inflow.bytes[head_len..], limit).map_err(|_| {
                Fault::Invalid("the provider's answer is in a content coding that cannot be read")
            })?
        }
        _ => None,
    };
    let body = plain.as_deref().unwrap_or(&inflow.bytes[head_len..]);
    let (out, usage) = translated(body, x.request.body(), translation)?;
    inflow.replace_body(head_len, &out);
    let media = if translation.stream { TranslatedStream::new(translation).media() } else { Media::Json };
    let head = HeldHead::own(200, media);
    let body = HeldBody::Document { tap: None, usage };
    Ok((Held { inflow, body, head, whole: true }, Verdict::Deliver))
}

/// A whole answer in the client's dialect, and what it cost.
fn translated(
    body: &[u8],
    request: &[u8],
    translation: &Translation,
) -> Result<(Vec<u8>, Option<Usage>), Fault> {
    let doc = Doc::parse(body)
        .map_err(|_| Fault::Invalid("the provider answered with something other than a JSON object"))?;
    let mut out = Vec::with_capacity(body.len() + 256);
    match translation.kind {
        Translated::Chat(wire) => {
            let mut answer = wire.read_answer(&doc).map_err(malformed)?;
            translation.tools.names.restore_answer(&mut answer);
            translation.tools.custom.restore_answer(&mut answer);
            if translation.stream {
                // A provider that does not stream was asked for a stream.
                let mut encoder = translation.to.encoder(translation.context.clone());
                answer.replay(&mut |event| encoder.event(&event, &mut out));
            } else {
                translation.to.write_answer(&answer, &translation.context, &mut out);
            }
            Ok((out, answer.priced_usage()))
        }
        Translated::GeminiArray => {
            let answer = Wire::Gemini.read_answer(&doc).map_err(malformed)?;
            out.push(b'[');
            out.extend_from_slice(body);
            out.push(b']');
            Ok((out, answer.usage))
        }
        Translated::Embed { from, to, encodings } => {
            let answer = from.read_answer(&doc).map_err(malformed)?;
            to.write_answer(&answer, &translation.context, encodings, &mut out);
            Ok((out, answer.usage))
        }
        Translated::Rerank { from, to } => {
            let asked =
                Doc::parse(request).map_err(|_| Fault::Invalid("it cannot be matched to its request"))?;
            let mut answer = from.read_answer(&doc).map_err(malformed)?;
            if let Ok(request) = to.read_request(&asked, &mut Dropped::default()) {
                answer.attach(&request);
            }
            to.write_answer(&answer, &translation.context, &mut out);
            Ok((out, answer.usage.tokens))
        }
    }
}

fn malformed(Malformed(why): Malformed) -> Fault {
    Fault::Invalid(why)
}

async fn stream<A: Answer>(
    x: &mut Exchange<'_, '_, A>,
    mut inflow: Inflow,
    from: Source<'_>,
    translation: &Translation,
) -> Result<(Held, Verdict), Fault> {
    let mut stream = TranslatedStream::new(translation);
    let head_len = x.upstream_head.head_len;
    // The stream's own bytes begin at the front of the buffer it works on.
    let mut body = inflow.bytes[head_len..].to_vec();
    inflow.bytes.truncate(head_len);
    let began = inflow.last_read;
    loop {
        stream.feed(&mut body).map_err(malformed)?;
        if inflow.is_done() && !stream.has_spoken() {
            // Its only frame may be without the mark that ends one.
            stream.keep(std::mem::take(&mut body));
            stream.end();
        }
        if let Some(error) = stream.take_first_error() {
            let StreamError { status, mut document, error_type } = written(translation.to, &error);
            redact_key(&mut document, from.secret);
            inflow.replace_body(head_len, &document);
            let verdict = error_verdict(x.upstream_head, &inflow.bytes, status, Said::of(&error));
            x.rare.error_type = error_type;
            let head = HeldHead::own(status, Media::Json);
            return Ok((Held { inflow, body: HeldBody::Opaque, head, whole: true }, verdict));
        }
        if stream.has_spoken() {
            break;
        }
        if inflow.is_done() {
            return Err(Fault::Invalid("the provider's stream ended before its first event"));
        }
        if body.len() > x.plan.plan().settings.max_event_bytes as usize {
            return Err(Fault::Invalid("the provider's first event is too long"));
        }
        let limit_ms = body_limit(x, from.provider, inflow.last_read)?;
        inflow.read_body(x.timer, limit_ms, x.answer).await?;
        body.extend_from_slice(&inflow.bytes[head_len..]);
        inflow.bytes.truncate(head_len);
    }
    x.settlement.waited_from(began, inflow.last_read);
    stream.keep(body);
    let head = HeldHead::own(200, stream.media());
    Ok((Held { inflow, body: HeldBody::Translated(Box::new(stream)), head, whole: false }, Verdict::Deliver))
}

async fn error<A: Answer>(
    x: &mut Exchange<'_, '_, A>,
    mut inflow: Inflow,
    from: Source<'_>,
    translation: &Translation,
) -> Result<(Held, Verdict), Fault> {
    read_held(x, &mut inflow, from.provider, HOLD_BYTES).await?;
    let (head_len, status) = (x.upstream_head.head_len, x.upstream_head.status);
    if let Some(plain) = plain_error(x.upstream_head, &inflow.bytes) {
        inflow.replace_body(head_len, &plain);
    }
    let wire = match translation.kind {
        Translated::Chat(wire) => wire,
        Translated::GeminiArray => Wire::Gemini,
        Translated::Embed { from, .. } => from.errors(),
        Translated::Rerank { from, .. } => from.errors(),
    };
    let error = wire.read_error(status, &inflow.bytes[head_len..]);
    let StreamError { status: shown, mut document, error_type } = written(translation.to, &error);
    redact_key(&mut document, from.secret);
    inflow.replace_body(head_len, &document);
    let verdict = error_verdict(x.upstream_head, &inflow.bytes, status, Said::of(&error));
    x.rare.error_type = error_type;
    if x.upstream_head.known(&inflow.bytes, Known::RetryAfter).is_none() {
        // Where the client's dialect has no place for it in the body, its SDK looks for it in the head.
        x.rare.retry_after_s = error.retry_after_ms.map(|ms| ms.div_ceil(1_000).max(1));
    }
    let head = HeldHead::own(shown, Media::Json);
    Ok((Held { inflow, body: HeldBody::Opaque, head, whole: true }, verdict))
}

/// Whether an event says something that an answer begins with: the frame around it does not.
pub(crate) fn speaks(event: &Event<'_>) -> bool {
    !matches!(event, Event::Start { .. } | Event::Usage(_))
}
