use super::answer::{read_call, read_logprobs, read_usage};
use super::finish_of;
use crate::exchange::{Event, Text};
use crate::json::{Doc, Value};
use crate::wire::{Decode, Frame, Malformed};

/// Reads a stream of `/api/chat`: a document for each line.
#[derive(Clone, Debug, Default)]
pub struct Decoder {
    started: bool,
    ended: bool,
    /// How many tools were called.
    tools: u32,
}

type Sink<'s> = &'s mut dyn FnMut(Event<'_>);

impl Decode for Decoder {
    fn frame(&mut self, frame: Frame<'_>, sink: &mut dyn FnMut(Event<'_>)) -> Result<(), Malformed> {
        let data = frame.data.trim_ascii();
        if self.ended || data.is_empty() {
            return Ok(());
        }
        let doc = Doc::parse(data).map_err(|_| Malformed("has a line that is not JSON"))?;
        let root = doc.root();
        if root.get("error").is_some() {
            self.ended = true;
            sink(Event::Error(super::read_error(500, data)));
            return Ok(());
        }
        if !self.started {
            self.started = true;
            sink(Event::Start { id: None, model: root.text_of("model") });
        }
        if let Some(message) = root.get("message") {
            self.message(message, sink)?;
        }
        if let Some(logprobs) = read_logprobs(root) {
            sink(Event::Logprobs { choice: 0, logprobs });
        }
        if root.get("done").and_then(Value::bool) == Some(true) {
            self.ended = true;
            read_usage(data).into_iter().for_each(|usage| sink(Event::Usage(usage)));
            let reason = root.text_of("done_reason").unwrap_or_default();
            let finish = finish_of(&reason.decode(), self.tools > 0);
            sink(Event::Finish { choice: 0, finish, stop_sequence: None });
            sink(Event::End);
        }
        Ok(())
    }

    fn end(&mut self, _sink: &mut dyn FnMut(Event<'_>)) {}
}

impl Decoder {
    fn message(&mut self, message: Value<'_>, sink: Sink<'_>) -> Result<(), Malformed> {
        let not_empty = |text: &Text<'_>| !text.is_empty();
        if let Some(text) = message.text_of("thinking").filter(not_empty) {
            sink(Event::Thinking { choice: 0, text });
        }
        if let Some(text) = message.text_of("content").filter(not_empty) {
            sink(Event::Text { choice: 0, text });
        }
        for call in message.get("tool_calls").into_iter().flat_map(Value::elements) {
            let tool = self.tools;
            let call = read_call(call, tool as usize)?;
            self.tools += 1;
            let fragment = call.arguments.to_text();
            let (id, name) = (call.id.borrow(), call.name.borrow());
            sink(Event::ToolStart { choice: 0, tool, id, name, custom: false, signature: None });
            sink(Event::ToolArguments { choice: 0, tool, fragment });
            sink(Event::ToolEnd { choice: 0, tool });
        }
        Ok(())
    }
}
