//! Amazon Bedrock's `Converse` and `ConverseStream`.
//!
//! Model and kind of answer are in the path. The answer names no model and has its id in the header `x-amzn-requestid`.
//! Streams are messages of Amazon's event stream ([`crate::event_stream`]): a frame's name is the event's or exception's
//! type. Source of the shapes: the types of the official SDK (`@aws-sdk/client-bedrock-runtime` 3.1164), the API reference
//! and recorded traffic.

mod tap;
mod usage;

pub use tap::{StreamTap, inspect};
pub use usage::read_usage;

/// Appends the path a model is asked at: its name, which may be an ARN with colons and slashes, percent-encoded as one
/// segment.
pub fn write_path(model: &str, stream: bool, out: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    out.push_str("/model/");
    for byte in model.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let digits = [byte >> 4, byte & 15].map(|digit| char::from(DIGITS[usize::from(digit)]));
            out.push('%');
            out.extend(digits);
        }
    }
    out.push_str(if stream { "/converse-stream" } else { "/converse" });
}
use crate::exchange::{ApiError, ChatAnswer, ChatRequest, Dropped, Event};
use crate::json::Doc;
use crate::openai::RequestError;
use crate::wire::{AnswerContext, Decode, Encode, Frame, Malformed, Target};

pub fn read_request<'d>(_: &'d Doc<'d>, _: bool, _: &mut Dropped) -> Result<ChatRequest<'d>, RequestError> {
    unimplemented!()
}
pub fn write_request(_: &ChatRequest<'_>, _: &Target<'_>, _: &mut Dropped, _: &mut Vec<u8>) -> Result<(), RequestError> {
    unimplemented!()
}
pub fn read_answer<'d>(_: &'d Doc<'d>) -> Result<ChatAnswer<'d>, Malformed> {
    unimplemented!()
}
pub fn write_answer(_: &ChatAnswer<'_>, _: &AnswerContext, _: &mut Vec<u8>) {
    unimplemented!()
}
pub fn read_error(_: u16, _: &[u8]) -> ApiError {
    unimplemented!()
}
pub fn write_error(_: &ApiError, _: &mut Vec<u8>) {
    unimplemented!()
}
#[derive(Default)]
pub struct Decoder;
impl Decode for Decoder {
    fn frame(&mut self, _: Frame<'_>, _: &mut dyn FnMut(Event<'_>)) -> Result<(), Malformed> {
        unimplemented!()
    }
    fn end(&mut self, _: &mut dyn FnMut(Event<'_>)) {
        unimplemented!()
    }
}
pub struct Encoder;
impl Encoder {
    pub fn new(_: AnswerContext) -> Self {
        Self
    }
}
impl Encode for Encoder {
    fn event(&mut self, _: &Event<'_>, _: &mut Vec<u8>) {
        unimplemented!()
    }
}

/// Whether a frame of this name is an error: an exception, or what else is none of the events.
fn is_error_name(name: &[u8]) -> bool {
    name.ends_with(b"Exception") || name == b"error"
}

/// Stand-in.
pub fn error_type(_: &ApiError) -> &'static str {
    "ValidationException"
}
