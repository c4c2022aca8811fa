//! Anthropic's dialect: messages.
//!
//! Source of the shapes: the reference of the Messages API (versions 2023-06-01 and 2026-10-21), the types of its official
//! clients and recorded traffic.

mod count;
mod error;
mod frame;
mod inspect;
mod tap;
mod usage;

pub use count::{read_token_count, write_token_count};
pub use error::{read_error, write_error};
pub use inspect::inspect;
pub use tap::StreamTap;
pub use usage::read_usage;

use crate::exchange::{ChatAnswer, ChatRequest, Dropped, Event};
use crate::json::Doc;
use crate::openai::RequestError;
use crate::wire::{AnswerContext, Decode, Encode, Frame, Malformed, Target};

pub fn read_request<'d>(_: &'d Doc<'d>, _: bool, _: &mut Dropped) -> Result<ChatRequest<'d>, RequestError> {
    unimplemented!()
}
pub fn write_request(
    _: &ChatRequest<'_>,
    _: &Target<'_>,
    _: &mut Dropped,
    _: &mut Vec<u8>,
) -> Result<(), RequestError> {
    unimplemented!()
}
pub fn read_answer<'d>(_: &'d Doc<'d>) -> Result<ChatAnswer<'d>, Malformed> {
    unimplemented!()
}
pub fn write_answer(_: &ChatAnswer<'_>, _: &AnswerContext, _: &mut Vec<u8>) {
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
