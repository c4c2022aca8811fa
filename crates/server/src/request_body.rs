//! Reading a request's body on the fast lane: into the buffer that holds its head, within the limits, once.

use std::task::Poll;
use std::time::Instant;

use sluice_http1::{ChunkedDecoder, Framing, Known, RequestHead};
use sluice_types::{ErrorKind, Settings};

use crate::content_coding;
use crate::exchange::Request;
use crate::h1_answer::H1Answer;
use crate::refusal::{Ended, Refusal};
use crate::settle::Settlement;

/// Up to this length a declared body gets its room at once; a longer one earns it by arriving.
const RESERVED_AT_ONCE: u64 = 1 << 20;

/// How much of the body has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyState {
    /// Nothing, apart from what came with the head.
    Unread,
    /// Some of it; where it ends is not known any more.
    Partly,
    /// All of it.
    Whole,
}

/// Reads the body and takes its content coding off.
pub(crate) async fn read(
    head: &RequestHead,
    request: &mut Request,
    answer: &mut H1Answer<'_>,
    settings: &Settings,
    settlement: &mut Settlement<'_>,
    state: &mut BodyState,
) -> Result<(), Ended> {
    let limit = settings.max_request_body_bytes;
    if let Framing::Length(length) = head.framing
        && length > limit
    {
        return Err(too_large(limit).into());
    }
    if head.expect_continue {
        answer.send_continue().await.map_err(|_| Ended::Closed)?;
    }
    *state = BodyState::Partly;
    match head.framing {
        Framing::None => {}
        Framing::Length(length) => {
            let length = usize::try_from(length).map_err(|_| too_large(limit))?;
            read_length(head.head_len, length, request, answer, settings, settlement).await?;
        }
        Framing::Chunked => read_chunks(head.head_len, request, answer, settings, settlement).await?,
    }
    *state = BodyState::Whole;
    if let Some(coding) = head.known(&request.bytes, Known::ContentEncoding) {
        let decoded = content_coding::decode(coding, request.body(), limit)?;
        request.decoded = decoded;
    }
    Ok(())
}

pub(crate) fn too_large(limit: u64) -> Refusal {
    Refusal::new(ErrorKind::BodyTooLarge, format!("The request body is longer than {limit} bytes."))
}

async fn read_length(
    head_len: usize,
    length: usize,
    request: &mut Request,
    answer: &mut H1Answer<'_>,
    settings: &Settings,
    settlement: &mut Settlement<'_>,
) -> Result<(), Ended> {
    let end = head_len + length;
    if request.bytes.len() < end {
        let deadline = answer.timer.deadline_after(settings.body_timeout_ms);
        let began = Instant::now();
        while request.bytes.len() < end {
            let missing = (end - request.bytes.len()) as u64;
            request.bytes.reserve(usize::try_from(missing.min(RESERVED_AT_ONCE)).unwrap_or(1));
            read_more(request, answer, deadline).await?;
        }
        settlement.waited_from(began, Instant::now());
    }
    request.body = head_len..end;
    Ok(())
}

async fn read_chunks(
    head_len: usize,
    request: &mut Request,
    answer: &mut H1Answer<'_>,
    settings: &Settings,
    settlement: &mut Settlement<'_>,
) -> Result<(), Ended> {
    let limit = settings.max_request_body_bytes;
    let deadline = answer.timer.deadline_after(settings.body_timeout_ms);
    let began = Instant::now();
    let mut decoder = ChunkedDecoder::new();
    let mut end = head_len;
    loop {
        let decoded = decoder.decode(&mut request.bytes[end..]).map_err(|error| {
            Refusal::new(ErrorKind::BadRequestSyntax, format!("Bad chunked body: {error}."))
        })?;
        // What is left behind the payload is framing, or after the end the next request.
        request.bytes.remove(end + decoded.produced..end + decoded.consumed);
        end += decoded.produced;
        if (end - head_len) as u64 > limit {
            return Err(too_large(limit).into());
        }
        if decoded.done {
            break;
        }
        read_more(request, answer, deadline).await?;
    }
    settlement.waited_from(began, Instant::now());
    request.body = head_len..end;
    Ok(())
}

async fn read_more(request: &mut Request, answer: &mut H1Answer<'_>, deadline: u64) -> Result<(), Ended> {
    let limit_ms = answer.timer.left_until(deadline);
    let (stream, bytes) = (&mut *answer.stream, &mut request.bytes);
    let read = answer.timer.limit(limit_ms, |cx| -> Poll<_> { stream.poll_read(cx, bytes.spare()) }).await;
    match read {
        Ok(Ok(count)) if count > 0 => {
            request.bytes.filled(count);
            Ok(())
        }
        Ok(_) => Err(Ended::Closed),
        Err(_) => {
            let message = "The body of the request did not arrive in time.";
            Err(Refusal::new(ErrorKind::RequestTimeout, message).into())
        }
    }
}
