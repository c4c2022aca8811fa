//! Writing streams.
//!
//! Blocks follow one another: each is ended before the next begins. Texts and thoughts need no start, only tool calls and
//! images do. A provider that sends several tool calls at once may leave one unfinished while it goes on with another;
//! what is not for the open one then waits until it is finished.

use super::answer::marked;
use super::arguments::Arguments;
use super::error::stream_exception;
use super::finish::stop_reason;
use super::media::image_format;
use super::usage::write_usage;
use crate::event_stream::{write_event, write_exception};
use crate::exchange::{ApiError, Event, Finish, Text};
use crate::json::Out;
use crate::wire::{AnswerContext, Encode};
use sluice_types::Usage;

/// Writes the events of a stream as messages of an event stream.
#[derive(Debug, Default)]
pub struct Encoder {
    started: bool,
    ended: bool,
    /// Number of the block that is open, or else of the next.
    index: u64,
    open: Option<Open>,
    /// Events that wait for the open tool call to be finished.
    waiting: Vec<Event<'static>>,
    any_tool: bool,
    finish: Option<(Finish, Option<Text<'static>>)>,
    usage: Usage,
}

/// The block that is open.
#[derive(Debug)]
enum Open {
    Text,
    /// With a signature no more is to be added.
    Thinking {
        signed: bool,
    },
    Tool {
        tool: u32,
        arguments: Arguments,
    },
}

impl Encoder {
    /// A writer of one stream. Nothing in it depends on the request: the model is not named, and the id is a header.
    #[must_use]
    pub fn new(_: AnswerContext) -> Self {
        Self::default()
    }
}

impl Encode for Encoder {
    fn event(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        if self.ended {
            return;
        }
        match event {
            Event::Start { .. } => self.start(out),
            Event::Usage(usage) => self.usage.merge_max(*usage),
            Event::Finish { choice: 0, finish, stop_sequence } => {
                let sequence = stop_sequence.clone().map(Text::into_owned);
                self.finish.get_or_insert((*finish, sequence));
            }
            Event::Error(error) => self.error(error, out),
            Event::End => self.end(out),
            _ => self.content(event, out),
        }
    }
}

impl Encoder {
    fn start(&mut self, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.started, true) {
            message(out, "messageStart", |out| {
                out.field("role", "assistant");
            });
        }
    }

    /// What belongs to a block.
    fn content(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        if choice_of(event) != Some(0) {
            return;
        }
        self.start(out);
        if self.is_for_open(event) || (self.waiting.is_empty() && !self.tool_is_unfinished()) {
            self.block(event, out);
        } else {
            self.waiting.extend(owned(event));
        }
        if !self.tool_is_unfinished() {
            self.go_on(out);
        }
    }

    fn is_for_open(&self, event: &Event<'_>) -> bool {
        matches!(self.open, Some(Open::Tool { tool, .. }) if tool_of(event) == Some(tool))
    }

    fn tool_is_unfinished(&self) -> bool {
        matches!(&self.open, Some(Open::Tool { arguments, .. }) if !arguments.are_complete())
    }

    /// What has waited, in order. What is for another block than the one that thereby opens has to wait on.
    fn go_on(&mut self, out: &mut Vec<u8>) {
        while !self.waiting.is_empty() {
            let mut kept = Vec::new();
            let waiting = std::mem::take(&mut self.waiting);
            let before = waiting.len();
            for event in waiting {
                if self.is_for_open(&event) || (kept.is_empty() && !self.tool_is_unfinished()) {
                    self.block(&event, out);
                } else {
                    kept.push(event);
                }
            }
            self.waiting = kept;
            if self.waiting.len() == before {
                return;
            }
        }
    }

    fn block(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        match event {
            Event::Text { text, .. } | Event::Refusal { text, .. } if !text.is_empty() => {
                self.text(text, out)
            }
            Event::Thinking { text, .. } if !text.is_empty() => self.thinking(text, out),
            Event::Signature { signature, .. } if !signature.is_empty() => self.signature(signature, out),
            Event::RedactedThinking { data, .. } => {
                self.close(out);
                self.delta(out, |out| {
                    out.key("reasoningContent")
                        .begin_object()
                        .field_text("redactedContent", Some(data))
                        .end_object();
                });
                self.stop_block(out);
            }
            Event::ToolStart { tool, id, name, custom, signature, .. } => {
                if let Some(proof) = signature {
                    self.close(out);
                    self.signature(&marked(proof), out);
                }
                self.tool_start(*tool, id, name, *custom, out);
            }
            Event::ToolArguments { tool, fragment, .. } => self.tool_arguments(*tool, fragment, out),
            Event::ToolEnd { tool, .. } => self.tool_end(*tool, out),
            Event::Media { media_type, data, .. } => self.image(media_type, data, out),
            _ => {}
        }
    }

    fn text(&mut self, text: &Text<'_>, out: &mut Vec<u8>) {
        if !matches!(self.open, Some(Open::Text)) {
            self.close(out);
            self.open = Some(Open::Text);
        }
        self.delta(out, |out| {
            out.field_text("text", Some(text));
        });
    }

    fn thinking(&mut self, text: &Text<'_>, out: &mut Vec<u8>) {
        if !matches!(self.open, Some(Open::Thinking { signed: false })) {
            self.close(out);
            self.open = Some(Open::Thinking { signed: false });
        }
        self.delta(out, |out| {
            out.key("reasoningContent").begin_object().field_text("text", Some(text)).end_object();
        });
    }

    fn signature(&mut self, signature: &Text<'_>, out: &mut Vec<u8>) {
        if !matches!(self.open, Some(Open::Thinking { .. })) {
            self.close(out);
        }
        self.open = Some(Open::Thinking { signed: true });
        self.delta(out, |out| {
            out.key("reasoningContent").begin_object().field_text("signature", Some(signature)).end_object();
        });
    }

    fn tool_start(&mut self, tool: u32, id: &Text<'_>, name: &Text<'_>, custom: bool, out: &mut Vec<u8>) {
        self.close(out);
        self.any_tool = true;
        self.open = Some(Open::Tool { tool, arguments: Arguments::new(custom) });
        self.start_block(out, |out| {
            out.key("toolUse")
                .begin_object()
                .field_text("toolUseId", Some(id))
                .field_text("name", Some(name));
            out.end_object();
        });
    }

    fn tool_arguments(&mut self, tool: u32, fragment: &Text<'_>, out: &mut Vec<u8>) {
        let Some(Open::Tool { tool: open, arguments }) = &mut self.open else { return };
        if *open != tool || fragment.is_empty() {
            return;
        }
        let fragment = arguments.take(fragment);
        self.input(&fragment, out);
    }

    fn tool_end(&mut self, tool: u32, out: &mut Vec<u8>) {
        if matches!(self.open, Some(Open::Tool { tool: open, .. }) if open == tool) {
            self.close(out);
        }
    }

    fn input(&mut self, fragment: &Text<'_>, out: &mut Vec<u8>) {
        self.delta(out, |out| {
            out.key("toolUse").begin_object().field_text("input", Some(fragment)).end_object();
        });
    }

    fn image(&mut self, media_type: &Text<'_>, data: &Text<'_>, out: &mut Vec<u8>) {
        let Some(format) = image_format(media_type) else { return };
        self.close(out);
        self.start_block(out, |out| {
            out.key("image").begin_object().field("format", format).end_object();
        });
        self.delta(out, |out| {
            out.key("image").begin_object().key("source").begin_object().field_text("bytes", Some(data));
            out.end_object().end_object();
        });
        self.stop_block(out);
    }

    /// Ends the block that is open.
    fn close(&mut self, out: &mut Vec<u8>) {
        match self.open.take() {
            None => return,
            Some(Open::Tool { arguments, .. }) => {
                if let Some(rest) = arguments.finish() {
                    self.input(&rest, out);
                }
            }
            Some(Open::Text | Open::Thinking { .. }) => {}
        }
        self.stop_block(out);
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        self.start(out);
        // Each round finishes at least the tool call that is open.
        while self.open.is_some() || !self.waiting.is_empty() {
            self.close(out);
            self.go_on(out);
        }
        self.ended = true;
        let (finish, sequence) = self.finish.take().unwrap_or_default();
        let finish = if finish == Finish::Stop && self.any_tool { Finish::ToolCalls } else { finish };
        message(out, "messageStop", |out| {
            out.field("stopReason", stop_reason(finish));
            if let Some(sequence) = &sequence {
                out.key("additionalModelResponseFields").begin_object();
                out.field_text("stop_sequence", Some(sequence)).end_object();
            }
        });
        message(out, "metadata", |out| {
            write_usage(&self.usage, out);
            out.key("metrics").begin_object().key("latencyMs").number(0).end_object();
        });
    }

    fn error(&mut self, error: &ApiError, out: &mut Vec<u8>) {
        self.ended = true;
        write_exception(out, stream_exception(error), |payload| {
            payload.push(b'{');
            Out::new(payload).field("message", &error.message).end_object();
        });
    }

    fn start_block(&mut self, out: &mut Vec<u8>, start: impl FnOnce(&mut Out<'_>)) {
        message(out, "contentBlockStart", |out| {
            out.key("start").begin_object();
            start(out);
            out.end_object().key("contentBlockIndex").number(self.index);
        });
    }

    fn delta(&mut self, out: &mut Vec<u8>, delta: impl FnOnce(&mut Out<'_>)) {
        message(out, "contentBlockDelta", |out| {
            out.key("contentBlockIndex").number(self.index).key("delta").begin_object();
            delta(out);
            out.end_object();
        });
    }

    fn stop_block(&mut self, out: &mut Vec<u8>) {
        message(out, "contentBlockStop", |out| {
            out.key("contentBlockIndex").number(self.index);
        });
        self.index += 1;
    }
}

/// Appends a message whose payload has these members. The opening brace is put down first: what stands before it in the
/// buffer is binary.
fn message(out: &mut Vec<u8>, name: &str, members: impl FnOnce(&mut Out<'_>)) {
    write_event(out, name, |payload| {
        payload.push(b'{');
        let mut out = Out::new(payload);
        members(&mut out);
        out.end_object();
    });
}

/// The choice an event of a block belongs to.
fn choice_of(event: &Event<'_>) -> Option<u32> {
    match event {
        Event::Text { choice, .. }
        | Event::Thinking { choice, .. }
        | Event::Signature { choice, .. }
        | Event::RedactedThinking { choice, .. }
        | Event::Refusal { choice, .. }
        | Event::ToolStart { choice, .. }
        | Event::ToolArguments { choice, .. }
        | Event::ToolEnd { choice, .. }
        | Event::Media { choice, .. } => Some(*choice),
        _ => None,
    }
}

/// The tool call an event goes on with.
fn tool_of(event: &Event<'_>) -> Option<u32> {
    match event {
        Event::ToolArguments { tool, .. } | Event::ToolEnd { tool, .. } => Some(*tool),
        _ => None,
    }
}

/// The event with bytes of its own.
fn owned(event: &Event<'_>) -> Option<Event<'static>> {
    let own = |text: &Text<'_>| text.clone().into_owned();
    let choice = 0;
    Some(match event {
        Event::Text { text, .. } => Event::Text { choice, text: own(text) },
        Event::Thinking { text, .. } => Event::Thinking { choice, text: own(text) },
        Event::Signature { signature, .. } => Event::Signature { choice, signature: own(signature) },
        Event::RedactedThinking { data, .. } => Event::RedactedThinking { choice, data: own(data) },
        Event::Refusal { text, .. } => Event::Refusal { choice, text: own(text) },
        Event::ToolStart { tool, id, name, custom, signature, .. } => Event::ToolStart {
            choice,
            tool: *tool,
            id: own(id),
            name: own(name),
            custom: *custom,
            signature: signature.as_ref().map(own),
        },
        Event::ToolArguments { tool, fragment, .. } => {
            Event::ToolArguments { choice, tool: *tool, fragment: own(fragment) }
        }
        Event::ToolEnd { tool, .. } => Event::ToolEnd { choice, tool: *tool },
        Event::Media { media_type, data, .. } => {
            Event::Media { choice, media_type: own(media_type), data: own(data) }
        }
        _ => return None,
    })
}
