use super::finish_of;
use super::logprobs::read_logprobs;
use super::usage::read_usage;
use crate::exchange::{ApiError, Event, Finish, Text};
use crate::json::{Doc, Value};
use crate::wire::{Decode, Frame, Malformed};

/// Reads a stream of `/v2/chat`. Its events say themselves what they are (`data.type`), so their names are not needed.
/// Citations have no canonical event and are passed over.
#[derive(Clone, Debug, Default)]
pub struct Decoder {
    /// Cohere's `index` of each tool call, in order of their beginning.
    tools: Vec<u64>,
    ended: bool,
}

type Sink<'s> = &'s mut dyn FnMut(Event<'_>);

impl Decode for Decoder {
    fn frame(&mut self, frame: Frame<'_>, sink: &mut dyn FnMut(Event<'_>)) -> Result<(), Malformed> {
        let data = frame.data.trim_ascii();
        if self.ended || matches!(data, b"" | b"[DONE]") {
            return Ok(());
        }
        let doc = Doc::parse(data).map_err(|_| Malformed("has an event that is not JSON"))?;
        let root = doc.root();
        let kind = root.text_of("type");
        let kind = match &kind {
            Some(kind) => kind.decode(),
            None => String::from_utf8_lossy(frame.name.unwrap_or_default()),
        };
        match &*kind {
            "message-start" => {
                let model = root.get("delta").and_then(|delta| delta.get("message")?.text_of("model"));
                sink(Event::Start { id: root.text_of("id"), model });
            }
            "content-start" | "content-delta" => content(root, sink),
            "tool-plan-delta" => {
                text_event(message(root).and_then(|message| message.text_of("tool_plan")), sink)
            }
            "tool-call-start" => self.tool_start(root, sink)?,
            "tool-call-delta" => self.tool_delta(root, sink),
            "tool-call-end" => {
                if let Some(tool) = self.tool(root) {
                    sink(Event::ToolEnd { choice: 0, tool });
                }
            }
            "message-end" => self.message_end(root, sink),
            "error" => self.error(root, sink),
            "" if root.get("message").is_some() => self.error(root, sink),
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, _sink: &mut dyn FnMut(Event<'_>)) {}
}

impl Decoder {
    /// Which of the tool calls an event is of.
    fn tool(&self, root: Value<'_>) -> Option<u32> {
        let index = root.get("index").and_then(Value::u64);
        let position = match index {
            Some(index) => self.tools.iter().rposition(|known| *known == index),
            None => self.tools.len().checked_sub(1),
        };
        u32::try_from(position?).ok()
    }

    fn tool_start(&mut self, root: Value<'_>, sink: Sink<'_>) -> Result<(), Malformed> {
        let call = tool_call(root).ok_or(Malformed("begins a tool call that is not there"))?;
        let function = call.get("function").ok_or(Malformed("begins a tool call without a function"))?;
        let name = function.text_of("name").ok_or(Malformed("calls a tool without a name"))?;
        let position = self.tools.len();
        self.tools.push(root.get("index").and_then(Value::u64).unwrap_or(position as u64));
        let tool = u32::try_from(position).map_err(|_| Malformed("calls too many tools"))?;
        let id = call.text_of("id").unwrap_or_else(|| Text::plain(&format!("call_{position}")));
        sink(Event::ToolStart { choice: 0, tool, id, name, custom: false, signature: None });
        arguments(tool, function, sink);
        Ok(())
    }

    fn tool_delta(&mut self, root: Value<'_>, sink: Sink<'_>) {
        let function = tool_call(root).and_then(|call| call.get("function"));
        if let (Some(tool), Some(function)) = (self.tool(root), function) {
            arguments(tool, function, sink);
        }
    }

    fn message_end(&mut self, root: Value<'_>, sink: Sink<'_>) {
        self.ended = true;
        let delta = root.get("delta").unwrap_or(root);
        if let Some(usage) = delta.get("usage").and_then(|usage| read_usage(usage.raw())) {
            sink(Event::Usage(usage));
        }
        let finish = delta.text_of("finish_reason");
        let error = delta.text_of("error").filter(|error| !error.is_empty());
        let failed =
            error.is_some() || finish.as_ref().is_some_and(|finish| finish_of(finish) == Finish::Error);
        if failed {
            let status = if finish.is_some_and(|finish| finish.is("TIMEOUT")) { 504 } else { 500 };
            let message = error.map(|error| super::shortened(&error.decode()));
            let message = message.unwrap_or_else(|| "The provider could not finish the answer.".to_owned());
            return sink(Event::Error(ApiError::of_status(status, message)));
        }
        let finish = finish.map_or(Finish::Stop, |name| finish_of(&name));
        sink(Event::Finish { choice: 0, finish, stop_sequence: None });
        sink(Event::End);
    }

    fn error(&mut self, root: Value<'_>, sink: Sink<'_>) {
        self.ended = true;
        sink(Event::Error(super::read_any_error(500, root.raw())));
    }
}

fn message(root: Value<'_>) -> Option<Value<'_>> {
    root.get("delta")?.get("message")
}

/// The call an event is about; one server of Cohere's dialect has it in an array.
fn tool_call(root: Value<'_>) -> Option<Value<'_>> {
    let calls = message(root)?.get("tool_calls")?;
    if calls.is_array() { calls.elements().next() } else { Some(calls) }
}

fn text_event(text: Option<Text<'_>>, sink: Sink<'_>) {
    if let Some(text) = text.filter(|text| !text.is_empty()) {
        sink(Event::Text { choice: 0, text });
    }
}

fn content(root: Value<'_>, sink: Sink<'_>) {
    let Some(content) = message(root).and_then(|message| message.get("content")) else { return };
    text_event(content.text_of("text"), sink);
    if let Some(text) = content.text_of("thinking").filter(|text| !text.is_empty()) {
        sink(Event::Thinking { choice: 0, text });
    }
    if let Some(logprobs) = root.get("logprobs").and_then(|item| read_logprobs(std::iter::once(item))) {
        sink(Event::Logprobs { choice: 0, logprobs });
    }
}

fn arguments(tool: u32, function: Value<'_>, sink: Sink<'_>) {
    if let Some(fragment) = function.text_of("arguments").filter(|fragment| !fragment.is_empty()) {
        sink(Event::ToolArguments { choice: 0, tool, fragment });
    }
}
