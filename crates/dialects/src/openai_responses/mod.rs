//! OpenAI's Responses API, as ingress and as egress.
//!
//! A conversation is a flat list of items here: messages, reasoning, calls of tools and their outputs. Reading joins
//! neighbours into turns (see `items_in`), writing takes the turns apart again. Server state (`previous_response_id`,
//! `conversation`, stored prompts) stays with the provider that keeps it, so a request that builds on it is refused
//! rather than translated without its history.
//!
//! Every event of a stream carries a `sequence_number` and says where it belongs by `output_index`, `item_id` and
//! `content_index`; the last one holds the whole response. There is no `[DONE]`.
//!
//! What is the same in all of OpenAI's dialects (the view of a request that passes untouched, usage, the tap on a stream)
//! is in [`crate::openai`].
//!
//! Source of the shapes: OpenAI's specification 2.3.0 and the types of its official clients.

mod answer_in;
mod answer_out;
mod error;
mod items_in;
mod items_out;
mod media;
mod params_in;
mod request_in;
mod request_out;
mod response_out;
mod stream_in;
mod stream_items;
mod stream_out;

use crate::{exchange, json};

pub use answer_in::read_answer;
pub use answer_out::write_answer;
pub use error::{read_error, write_error};
pub use request_in::read_request;
pub use request_out::{mapped_name, write_request};
pub use stream_in::Decoder;
pub use stream_out::Encoder;

/// In front of what Anthropic calls redacted thinking where it travels as `encrypted_content`, so that it is told apart
/// from the signature of a thought when the client sends it back. Clients do not look into either.
const REDACTED: &str = "redacted_thinking:";

/// The same for Gemini's signature of a tool call, which travels in a reasoning item in front of the call.
const CALL_SIGNATURE: &str = "tool_signature:";

/// What is behind a prefix of a text, where it begins with it.
fn behind<'d>(text: &json::Value<'d>, prefix: &str) -> Option<exchange::Text<'d>> {
    let inside = text.raw().strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    inside.strip_prefix(prefix.as_bytes()).map(exchange::Text::escaped)
}
