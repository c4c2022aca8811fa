//! Cohere's chat, version 2: `POST /v2/chat`, whole and as a stream.
//!
//! Source of the shapes: the types and the reader of streams of the official client `cohere-ai` 8.1.
//!
//! The choices that are not obvious:
//!
//! - `tool_plan` is what the model says before it calls tools, so it is text before the calls, and text before calls is
//!   written as `tool_plan`. Only `thinking` blocks are thinking.
//! - `documents` stand beside the messages; they are read as documents of the last user message and written back there.
//! - A tool choice that names tools is written as the list of just these tools with `REQUIRED`, which says the same.
//! - Usage is what is billed (`billed_units`); the larger `tokens` counts Cohere's own prompt too.

mod answer;
mod error;
mod inspect;
mod logprobs;
mod media;
mod message_in;
mod message_out;
mod request_in;
mod request_out;
mod stream_in;
mod stream_out;
mod tap;
mod tool_queue;
mod tools;
mod usage;

pub use answer::{read_answer, write_answer};
pub use error::{read_error, write_error};
pub use inspect::inspect;
pub use request_in::read_request;
pub use request_out::write_request;
pub use stream_in::Decoder;
pub use stream_out::Encoder;
pub use tap::StreamTap;
pub use tools::mapped_name;
pub use usage::read_usage;

pub(crate) use answer::write_id;
pub(crate) use error::{read_any_error, shortened};
pub(crate) use message_out::joined;

use crate::exchange::{Finish, Text};

/// Cohere's word for why a generation ended.
fn finish_name(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop | Finish::Refusal | Finish::Pause => "COMPLETE",
        Finish::StopSequence => "STOP_SEQUENCE",
        Finish::Length => "MAX_TOKENS",
        Finish::ToolCalls => "TOOL_CALL",
        // Clients take anything else for a whole answer.
        Finish::ContentFilter | Finish::Error => "ERROR",
    }
}

/// Why a generation ended, by Cohere's word for it. Words that are not known are an end like any other.
fn finish_of(name: &Text<'_>) -> Finish {
    match &*name.decode() {
        "STOP_SEQUENCE" => Finish::StopSequence,
        "MAX_TOKENS" | "ERROR_LIMIT" => Finish::Length,
        "TOOL_CALL" => Finish::ToolCalls,
        "ERROR_TOXIC" => Finish::ContentFilter,
        "ERROR" | "TIMEOUT" => Finish::Error,
        _ => Finish::Stop,
    }
}
