//! Reading streams.

use super::FORMAT_TOOL;
use super::answer::{object_of, refusal_of};
use super::error::read_stream_error;
use super::finish::read_finish;
use super::frame::FrameKind;
use super::usage::Counts;
use crate::exchange::{Arguments, Event, Finish, Raw, Text};
use crate::json::{Doc, Value};
use crate::wire::{Decode, Frame, Malformed};

type Sink<'s> = dyn FnMut(Event<'_>) + 's;

/// The only choice there is.
const CHOICE: u32 = 0;

/// Reads one stream. Blocks come one after the other; their indexes count blocks of all kinds, while tool calls are
/// numbered among themselves.
#[derive(Debug, Default)]
pub struct Decoder {
    counts: Counts,
    block: Block,
    /// Tool calls begun.
    tools: u32,
    /// The tool that stands in for a format was called.
    formatted: bool,
    finished: bool,
    ended: bool,
}

/// What the open block is.
#[derive(Debug, Default)]
enum Block {
    /// None is open, or one whose deltas say themselves what they are.
    #[default]
    Plain,
    /// A call.
    Tool {
        /// Which, among the calls.
        number: u32,
        /// Arguments that its start had, which some that speak this dialect send whole. They count if no fragment
        /// follows.
        whole: Option<Raw<'static>>,
    },
    /// The call of the tool that stands in for a format.
    Format,
    /// A call of one of the provider's own tools, or something else of no canonical form.
    Foreign,
}

impl Decode for Decoder {
    fn frame(&mut self, frame: Frame<'_>, sink: &mut Sink<'_>) -> Result<(), Malformed> {
        let kind = FrameKind::of(&frame);
        if self.ended || kind == FrameKind::Other {
            return Ok(());
        }
        if kind == FrameKind::Error {
            self.ended = true;
            sink(Event::Error(read_stream_error(frame.data)));
            return Ok(());
        }
        let doc = Doc::parse(frame.data).map_err(|_| Malformed("has an event that is no JSON object"))?;
        let root = doc.root();
        match kind {
            FrameKind::Start => self.start(root, sink),
            FrameKind::BlockStart => self.block_start(root, sink),
            FrameKind::BlockDelta => self.block_delta(root, sink),
            FrameKind::BlockStop => self.block_stop(sink),
            FrameKind::MessageDelta => self.message_delta(root, sink),
            FrameKind::Stop => self.stop(sink),
            FrameKind::Error | FrameKind::Other | FrameKind::Malformed => {}
        }
        Ok(())
    }

    /// The dialect marks its end; where the mark is missing after a reason to stop, nothing else is.
    fn end(&mut self, sink: &mut Sink<'_>) {
        if self.finished && !self.ended {
            self.stop(sink);
        }
    }
}

impl Decoder {
    fn start(&mut self, root: Value<'_>, sink: &mut Sink<'_>) {
        let message = root.get("message");
        let text = |name| message.and_then(|message| message.text_of(name));
        sink(Event::Start { id: text("id"), model: text("model") });
        self.usage(message, sink);
    }

    /// Reads the `usage` of a message, or of an event about it.
    fn usage(&mut self, of: Option<Value<'_>>, sink: &mut Sink<'_>) {
        let usage = of.and_then(|of| of.get("usage"));
        if let Some(counts) = usage.and_then(|usage| Counts::read(usage.raw())) {
            self.counts.merge(counts);
            sink(Event::Usage(self.counts.usage()));
        }
    }

    fn block_start(&mut self, root: Value<'_>, sink: &mut Sink<'_>) {
        // A block whose end was not said ends where the next begins.
        self.block_stop(sink);
        let Some(block) = root.get("content_block") else { return };
        let text = |name| block.text_of(name).filter(|text| !text.is_empty());
        match &*block.text_of("type").unwrap_or_default().decode() {
            "text" => emit_text(text("text"), sink),
            "thinking" => {
                emit_thinking(text("thinking"), sink);
                emit_signature(text("signature"), sink);
            }
            "redacted_thinking" => {
                if let Some(data) = text("data") {
                    sink(Event::RedactedThinking { choice: CHOICE, data });
                }
            }
            "tool_use" => self.tool_start(block, sink),
            _ => self.block = Block::Foreign,
        }
    }

    fn tool_start(&mut self, block: Value<'_>, sink: &mut Sink<'_>) {
        let name = block.text_of("name").unwrap_or_default();
        if name.is(FORMAT_TOOL) {
            self.formatted = true;
            self.block = Block::Format;
            return;
        }
        let id = block.text_of("id").unwrap_or_default();
        let input = block.get("input").filter(|input| input.members().next().is_some());
        self.block =
            Block::Tool { number: self.tools, whole: input.map(|input| object_of(Some(input)).into_owned()) };
        sink(Event::ToolStart { choice: CHOICE, tool: self.tools, id, name, custom: false, signature: None });
        self.tools += 1;
    }

    fn block_delta(&mut self, root: Value<'_>, sink: &mut Sink<'_>) {
        let Some(delta) = root.get("delta") else { return };
        let text = |name| delta.text_of(name).filter(|text| !text.is_empty());
        match &*delta.text_of("type").unwrap_or_default().decode() {
            "text_delta" => emit_text(text("text"), sink),
            "thinking_delta" => emit_thinking(text("thinking"), sink),
            "signature_delta" => emit_signature(text("signature"), sink),
            "input_json_delta" => self.fragment(text("partial_json"), sink),
            _ => {}
        }
    }

    fn fragment(&mut self, fragment: Option<Text<'_>>, sink: &mut Sink<'_>) {
        let Some(fragment) = fragment else { return };
        match &mut self.block {
            Block::Tool { number, whole } => {
                *whole = None;
                sink(Event::ToolArguments { choice: CHOICE, tool: *number, fragment });
            }
            Block::Format => sink(Event::Text { choice: CHOICE, text: fragment }),
            Block::Plain | Block::Foreign => {}
        }
    }

    fn block_stop(&mut self, sink: &mut Sink<'_>) {
        if let Block::Tool { number: tool, whole } = std::mem::take(&mut self.block) {
            if let Some(whole) = whole {
                let fragment = Arguments::Object(whole);
                sink(Event::ToolArguments { choice: CHOICE, tool, fragment: fragment.to_text() });
            }
            sink(Event::ToolEnd { choice: CHOICE, tool });
        }
    }

    fn message_delta(&mut self, root: Value<'_>, sink: &mut Sink<'_>) {
        self.usage(Some(root), sink);
        let Some(delta) = root.get("delta") else { return };
        let Some(reason) = delta.text_of("stop_reason").filter(|_| !self.finished) else { return };
        self.block_stop(sink);
        self.finished = true;
        if let Some(text) = delta.get("stop_details").and_then(refusal_of) {
            sink(Event::Refusal { choice: CHOICE, text });
        }
        let finish = match read_finish(&reason) {
            Finish::ToolCalls if self.formatted && self.tools == 0 => Finish::Stop,
            finish => finish,
        };
        sink(Event::Finish { choice: CHOICE, finish, stop_sequence: delta.text_of("stop_sequence") });
    }

    fn stop(&mut self, sink: &mut Sink<'_>) {
        self.block_stop(sink);
        self.ended = true;
        sink(Event::End);
    }
}

fn emit_text(text: Option<Text<'_>>, sink: &mut Sink<'_>) {
    if let Some(text) = text {
        sink(Event::Text { choice: CHOICE, text });
    }
}

fn emit_thinking(text: Option<Text<'_>>, sink: &mut Sink<'_>) {
    if let Some(text) = text {
        sink(Event::Thinking { choice: CHOICE, text });
    }
}

fn emit_signature(signature: Option<Text<'_>>, sink: &mut Sink<'_>) {
    if let Some(signature) = signature {
        sink(Event::Signature { choice: CHOICE, signature });
    }
}
