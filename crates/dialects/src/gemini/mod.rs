//! Not written yet.

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
