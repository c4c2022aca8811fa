//! Ollama's own chat: `POST /api/chat`, as a target only.
//!
//! Source of the shapes: Ollama's API documentation and the types of its official client `ollama` 0.6.
//!
//! Answers are one JSON document, streams one for each line, the last with `"done":true` and the counts. Arguments of
//! calls are objects and whole; a call may have no id. Whether a tool is called cannot be demanded.
//!
//! Clients cannot use this dialect: what would serve them says so.

mod answer;
mod messages;
mod request;
mod stream;

pub use answer::{read_answer, read_usage};
pub use request::write_request;
pub use stream::Decoder;

use crate::exchange::{ApiError, ChatAnswer, ChatRequest, Dropped, Event, Finish};
use crate::json::{Doc, Out};
use crate::openai::RequestError;
use crate::wire::{AnswerContext, Encode};

/// What a client of this dialect would be told.
const NOT_SERVED: &str = "Ollama's own API is not served here; use one of the other dialects.";

/// Refuses: clients cannot use this dialect.
///
/// # Errors
///
/// Always.
pub fn read_request<'d>(_: &'d Doc<'d>, _: bool, _: &mut Dropped) -> Result<ChatRequest<'d>, RequestError> {
    Err(RequestError { message: NOT_SERVED.into(), param: None })
}

/// Appends that this dialect is not served.
pub fn write_answer(_: &ChatAnswer<'_>, _: &AnswerContext, out: &mut Vec<u8>) {
    Out::new(out).begin_object().field("error", NOT_SERVED).end_object();
}

/// Reads the body of an error answer: `{"error": "…"}`, or whatever else it is.
#[must_use]
pub fn read_error(status: u16, body: &[u8]) -> ApiError {
    crate::cohere::read_any_error(status, body)
}

/// Appends the body of an error answer.
pub fn write_error(error: &ApiError, out: &mut Vec<u8>) {
    Out::new(out).begin_object().field("error", &error.message).end_object();
}

/// Writes no streams: it says once that this dialect is not served.
#[derive(Clone, Copy, Debug)]
pub struct Encoder {
    told: bool,
}

impl Encoder {
    /// A writer of one stream.
    #[must_use]
    pub fn new(_: AnswerContext) -> Self {
        Self { told: false }
    }
}

impl Encode for Encoder {
    fn event(&mut self, _: &Event<'_>, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.told, true) {
            Out::new(out).begin_object().field("error", NOT_SERVED).end_object();
            out.push(b'\n');
        }
    }
}

/// Why a generation ended. Calls of tools have no reason of their own.
fn finish_of(reason: &str, calls_tools: bool) -> Finish {
    match reason {
        "length" => Finish::Length,
        _ if calls_tools => Finish::ToolCalls,
        _ => Finish::Stop,
    }
}
