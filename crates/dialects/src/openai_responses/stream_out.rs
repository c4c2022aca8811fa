//! Writing streams.

use std::collections::VecDeque;

use sluice_types::Usage;

use crate::exchange::{ApiError, Event, Finish, Text};
use crate::wire::{AnswerContext, Encode};

use super::error::code;
use super::response_out::{Response, Status, response_id, write_response};
use super::stream_items::{Items, OpenCall};

/// Writes the events of a stream.
///
/// Clients rely on one item being open at a time, as OpenAI has it, while fragments of several tool calls may come
/// interleaved. So what comes while a call is not complete, and is not of it, is held back until it is.
#[derive(Debug)]
pub struct Encoder {
    context: AnswerContext,
    id: String,
    items: Items,
    held: VecDeque<Held>,
    usage: Option<Usage>,
    finish: Option<Finish>,
    started: bool,
    ended: bool,
}

/// What is held back: a call with what there is of its arguments, or anything else.
#[derive(Debug)]
enum Held {
    Call(OpenCall),
    Other(Event<'static>),
}

impl Encoder {
    /// A writer for one stream.
    #[must_use]
    pub fn new(context: AnswerContext) -> Self {
        Self {
            id: response_id(None, &context.id),
            items: Items::new(&context.id),
            context,
            held: VecDeque::new(),
            usage: None,
            finish: None,
            started: false,
            ended: false,
        }
    }

    fn start(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.started, true) {
            return;
        }
        self.response("response.created", Status::InProgress, None, out);
        self.response("response.in_progress", Status::InProgress, None, out);
    }

    /// An event with the whole response.
    fn response(&mut self, kind: &str, status: Status<'_>, usage: Option<Usage>, out: &mut Vec<u8>) {
        let Items { frames, output, .. } = &mut self.items;
        let response = Response {
            id: &self.id,
            model: &self.context.model,
            created: self.context.created,
            status,
            output,
            usage,
            service_tier: None,
        };
        frames.push(kind, out, |data| {
            data.key("response");
            write_response(&response, data);
        });
    }

    /// Something of the answer itself.
    fn content(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        self.start(out);
        let of_tool = match event {
            Event::ToolArguments { tool, .. } | Event::ToolEnd { tool, .. } => Some(*tool),
            _ => None,
        };
        let open = self.items.open_call().map(|call| call.tool);
        if of_tool.is_some() && of_tool == open {
            self.write(event, out);
        } else if self.held.is_empty() && self.is_free(out) {
            self.write(event, out);
            return;
        } else {
            self.hold(event);
        }
        self.release(false, out);
    }

    /// Whether another item may begin; ends a call that is complete.
    fn is_free(&mut self, out: &mut Vec<u8>) -> bool {
        match self.items.open_call() {
            Some(call) if !call.is_complete() => return false,
            Some(_) => self.items.close("completed", out),
            None => {}
        }
        true
    }

    fn hold(&mut self, event: &Event<'_>) {
        let call = |of: u32| move |held: &&mut Held| matches!(held, Held::Call(call) if call.tool == of);
        match event {
            Event::ToolStart { .. } => self.held.extend(new_call(event).map(Held::Call)),
            Event::ToolArguments { tool, fragment, .. } => {
                if let Some(Held::Call(call)) = self.held.iter_mut().rev().find(call(*tool)) {
                    call.arguments.push(fragment);
                }
            }
            Event::ToolEnd { tool, .. } => {
                if let Some(Held::Call(call)) = self.held.iter_mut().rev().find(call(*tool)) {
                    call.ended = true;
                }
            }
            other => self.hold_other(other),
        }
    }

    fn hold_other(&mut self, event: &Event<'_>) {
        match (self.held.back_mut(), event) {
            (Some(Held::Other(Event::Text { text, .. })), Event::Text { text: more, .. })
            | (Some(Held::Other(Event::Thinking { text, .. })), Event::Thinking { text: more, .. })
            | (Some(Held::Other(Event::Refusal { text, .. })), Event::Refusal { text: more, .. }) => {
                text.push(more)
            }
            _ => self.held.extend(owned(event).map(Held::Other)),
        }
    }

    /// Writes what was held back as far as it can be, or all of it.
    fn release(&mut self, all: bool, out: &mut Vec<u8>) {
        while !self.held.is_empty() && (self.is_free(out) || all) {
            match self.held.pop_front() {
                Some(Held::Call(call)) => self.items.call(call, out),
                Some(Held::Other(event)) => self.write(&event, out),
                None => {}
            }
        }
    }

    fn write(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        let items = &mut self.items;
        match event {
            Event::Text { text, .. } => items.text(text, false, out),
            Event::Refusal { text, .. } => items.text(text, true, out),
            Event::Thinking { text, .. } => items.thinking(text, out),
            Event::Signature { signature, .. } => items.proof(signature, out),
            Event::RedactedThinking { data, .. } => items.redacted(data, out),
            Event::ToolStart { .. } => {
                if let Some(call) = new_call(event) {
                    items.call(call, out);
                }
            }
            Event::ToolArguments { tool, .. } | Event::ToolEnd { tool, .. }
                if items.open_call().is_none_or(|call| call.tool != *tool) => {}
            Event::ToolArguments { fragment, .. } => items.arguments(fragment, out),
            Event::ToolEnd { .. } => items.close("completed", out),
            Event::Media { media_type, data, .. } if media_type.as_escaped().starts_with(b"image") => {
                items.image(data, out);
            }
            Event::Logprobs { logprobs, .. } => items.logprobs(logprobs, out),
            _ => {}
        }
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        self.start(out);
        self.release(true, out);
        self.ended = true;
        let status = Status::of(self.finish.unwrap_or_default(), self.items.refused);
        self.items.close(status.of_last_item(), out);
        let kind = match status {
            Status::Completed | Status::InProgress => "response.completed",
            Status::Incomplete(_) => "response.incomplete",
            Status::Failed(_) => "response.failed",
        };
        // Clients do not take the last event for one without usage.
        self.response(kind, status, Some(self.usage.unwrap_or_default()), out);
    }

    /// Both events there are for it, as the service sends them: some clients know the one, some the other.
    fn fail(&mut self, error: &ApiError, out: &mut Vec<u8>) {
        self.start(out);
        self.ended = true;
        self.items.frames.push("error", out, |data| {
            data.field("code", code(error)).field("message", &error.message).key("param");
            match &error.param {
                Some(param) => data.string(param),
                None => data.null(),
            };
        });
        self.response("response.failed", Status::Failed(Some(error)), self.usage, out);
    }
}

impl Encode for Encoder {
    fn event(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        if self.ended {
            return;
        }
        match event {
            Event::Start { id, .. } if !self.started => {
                self.id = response_id(id.as_ref(), &self.context.id);
                self.start(out);
            }
            Event::Start { .. } => {}
            Event::Usage(usage) => self.usage.get_or_insert_default().merge_max(*usage),
            Event::Finish { choice: 0, finish, .. } => {
                self.finish.get_or_insert(*finish);
            }
            Event::End => self.end(out),
            Event::Error(error) => self.fail(error, out),
            Event::Text { choice: 0, .. }
            | Event::Refusal { choice: 0, .. }
            | Event::Thinking { choice: 0, .. }
            | Event::Signature { choice: 0, .. }
            | Event::RedactedThinking { choice: 0, .. }
            | Event::ToolStart { choice: 0, .. }
            | Event::ToolArguments { choice: 0, .. }
            | Event::ToolEnd { choice: 0, .. }
            | Event::Media { choice: 0, .. }
            | Event::Logprobs { choice: 0, .. } => self.content(event, out),
            // A response has one choice.
            _ => {}
        }
    }
}

/// The call that an event begins.
fn new_call(event: &Event<'_>) -> Option<OpenCall> {
    let Event::ToolStart { tool, id, name, custom, signature, .. } = event else { return None };
    Some(OpenCall {
        tool: *tool,
        call_id: id.borrow().into_owned(),
        name: name.borrow().into_owned(),
        custom: *custom,
        arguments: Text::default(),
        signature: signature.as_ref().map(|signature| signature.borrow().into_owned()),
        ended: false,
    })
}

/// The event with bytes of its own; `None` for kinds that are not held back.
fn owned(event: &Event<'_>) -> Option<Event<'static>> {
    let own = |text: &Text<'_>| text.borrow().into_owned();
    Some(match event {
        Event::Text { choice, text } => Event::Text { choice: *choice, text: own(text) },
        Event::Refusal { choice, text } => Event::Refusal { choice: *choice, text: own(text) },
        Event::Thinking { choice, text } => Event::Thinking { choice: *choice, text: own(text) },
        Event::Signature { choice, signature } => {
            Event::Signature { choice: *choice, signature: own(signature) }
        }
        Event::RedactedThinking { choice, data } => {
            Event::RedactedThinking { choice: *choice, data: own(data) }
        }
        Event::Media { choice, media_type, data } => {
            Event::Media { choice: *choice, media_type: own(media_type), data: own(data) }
        }
        Event::Logprobs { choice, logprobs } => {
            Event::Logprobs { choice: *choice, logprobs: logprobs.clone().into_owned() }
        }
        _ => return None,
    })
}
