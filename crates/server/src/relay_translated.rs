//! Relay of a stream that is translated on its way: whole frames in, one write for all that came with one read.

use sluice_dialects::exchange::ApiError;
use sluice_dialects::wire::Malformed;
use sluice_types::ErrorKind;

use crate::answer::{Answer, BodyLength};
use crate::exchange::Exchange;
use crate::hold::HeldHead;
use crate::inflow::{Fault, Inflow};
use crate::relay::{AFTER_END_MS, Broken, read_body, send_head};
use crate::translated_stream::TranslatedStream;

/// Passes the stream on to its end.
pub(crate) async fn relay<A: Answer>(
    x: &mut Exchange<'_, '_, A>,
    mut inflow: Inflow,
    head: HeldHead,
    mut stream: TranslatedStream,
) -> Result<Inflow, Broken> {
    x.settlement.set_streaming();
    let mut head_sent = false;
    loop {
        if inflow.is_done() && !stream.ended() {
            stream.end();
        }
        let over = stream.ended() || stream.failed();
        // An error of the provider's is an end of its own, and one that a client must get to see: a connection cut behind
        // it may overtake it.
        let last = over && inflow.is_done() || stream.failed();
        let out = std::mem::take(stream.out());
        if head_sent {
            x.settlement.add_response_bytes(out.len());
            x.answer.send(&out, last).await?;
        } else {
            let bytes = 0..out.len();
            send_head(x, head, &inflow.bytes, BodyLength::Unknown, 0..0, false).await?;
            x.settlement.add_response_bytes(bytes.len());
            x.answer.send(&out, last).await?;
            head_sent = true;
        }
        recycle(out, &mut stream);
        book(x, &stream);
        if stream.failed() {
            return Err(Broken::Answer);
        }
        if last {
            return Ok(inflow);
        }
        if inflow.is_done() {
            return break_off(x, &mut stream, "The provider's stream ended before its answer was complete.")
                .await;
        }
        inflow.bytes.consume(inflow.bytes.len());
        inflow.bytes.release();
        let limit_ms = if over { AFTER_END_MS } else { 0 };
        match read_body(x, &mut inflow, limit_ms).await {
            Ok(()) => {}
            Err(Fault::ClientGone) => return Err(Broken::Client),
            Err(_) if over => {
                x.answer.send(&[], true).await?;
                return Ok(inflow);
            }
            Err(fault) => {
                // Streams without an end mark of their own may have said all there was.
                stream.end();
                if !stream.ended() {
                    return break_off(x, &mut stream, words(&fault)).await;
                }
                book(x, &stream);
                x.settlement.add_response_bytes(stream.out().len());
                x.answer.send(stream.out(), true).await?;
                return Ok(inflow);
            }
        }
        if let Err(Malformed(why)) = stream.more(&inflow.bytes) {
            let message = format!("The stream is broken: {why}.");
            return break_off(x, &mut stream, &message).await;
        }
        if stream.unread() > x.plan.plan().settings.max_event_bytes as usize {
            let message = "The provider sent an event that is longer than this gateway passes on.";
            return break_off(x, &mut stream, message).await;
        }
    }
}

fn words(fault: &Fault) -> &'static str {
    match fault {
        Fault::Timeout => "The provider stopped sending in the middle of its answer.",
        _ => "The provider closed the connection in the middle of its answer.",
    }
}

/// The buffer serves the next frames.
fn recycle(mut out: Vec<u8>, stream: &mut TranslatedStream) {
    out.clear();
    *stream.out() = out;
}

/// Tells the client in its own dialect that the answer is not whole.
async fn break_off<A: Answer>(
    x: &mut Exchange<'_, '_, A>,
    stream: &mut TranslatedStream,
    message: &str,
) -> Result<Inflow, Broken> {
    stream.break_off(ApiError::own(ErrorKind::UpstreamTruncated, message, None));
    let words = std::mem::take(stream.out());
    x.answer.break_off(&words).await;
    Err(Broken::Provider)
}

/// Books what the stream has cost so far.
fn book<A>(x: &mut Exchange<'_, '_, A>, stream: &TranslatedStream) {
    x.settlement.book_stream(stream.usage(), stream.output_bytes());
}
