use sluice_types::Usage;

use super::answer::write_id;
use super::finish_name;
use super::logprobs::{each_token, write_item};
use super::tool_queue::{Step, ToolQueue};
use super::usage::write_usage;
use crate::exchange::{ApiError, Event, Finish, Raw, Text};
use crate::json::Out;
use crate::wire::{AnswerContext, Encode};

/// Writes a stream of `/v2/chat`, of the first choice.
///
/// Text is written as content even where calls of tools follow, though Cohere's own models put that into `tool_plan`:
/// what follows is not known when it is written. Clients read both.
#[derive(Debug)]
pub struct Encoder {
    context: AnswerContext,
    started: bool,
    /// The content block that is open.
    block: Option<Block>,
    /// How many content blocks there were.
    blocks: u64,
    tools: ToolQueue,
    usage: Usage,
    finish: Option<Finish>,
    /// A tool was called, which is the reason to finish where none is given.
    called: bool,
    ended: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Block {
    Text,
    Thinking,
}

impl Block {
    fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Thinking => "thinking",
        }
    }
}

impl Encoder {
    /// A writer of one stream.
    #[must_use]
    pub fn new(context: AnswerContext) -> Self {
        Self {
            context,
            started: false,
            block: None,
            blocks: 0,
            tools: ToolQueue::default(),
            usage: Usage::default(),
            finish: None,
            called: false,
            ended: false,
        }
    }
}

impl Encode for Encoder {
    fn event(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        if self.ended {
            return;
        }
        match event {
            Event::Start { id, .. } => self.start(id.as_ref(), out),
            Event::Text { choice: 0, text } | Event::Refusal { choice: 0, text } => {
                self.content(Block::Text, text, out);
            }
            Event::Thinking { choice: 0, text } => self.content(Block::Thinking, text, out),
            Event::Logprobs { choice: 0, logprobs } => self.logprobs(logprobs, out),
            Event::ToolStart { choice: 0, tool, id, name, custom, .. } => {
                self.start(None, out);
                self.close_block(out);
                self.called = true;
                self.tools
                    .start(*tool, (id, name, *custom), &mut |index, step| write_step(index, &step, out));
            }
            Event::ToolArguments { choice: 0, tool, fragment } => {
                self.tools.arguments(*tool, fragment, &mut |index, step| write_step(index, &step, out));
            }
            Event::ToolEnd { choice: 0, tool } => {
                self.tools.end(*tool, &mut |index, step| write_step(index, &step, out));
            }
            Event::Finish { choice: 0, finish, .. } => {
                self.close(out);
                self.finish.get_or_insert(*finish);
            }
            Event::Usage(usage) => self.usage.merge_max(*usage),
            Event::Error(error) => self.end(Some(error), out),
            Event::End => self.end(None, out),
            _ => {}
        }
    }
}

impl Encoder {
    fn start(&mut self, id: Option<&Text<'_>>, out: &mut Vec<u8>) {
        if self.started {
            return;
        }
        self.started = true;
        write_frame(out, "message-start", |out| {
            out.key("id");
            write_id(id, &self.context, out);
            out.key("delta").begin_object().key("message").begin_object().field("role", "assistant");
            out.key("content").begin_array().end_array().field("tool_plan", "");
            out.key("tool_calls").begin_array().end_array().key("citations").begin_array().end_array();
            out.end_object().end_object();
        });
    }

    fn open(&mut self, block: Block, out: &mut Vec<u8>) {
        self.start(None, out);
        if self.block == Some(block) {
            return;
        }
        self.close_block(out);
        self.block = Some(block);
        write_frame(out, "content-start", |out| {
            out.key("index").number(self.blocks).key("delta").begin_object().key("message").begin_object();
            out.key("content").begin_object().field("type", block.name()).field(block.name(), "");
            out.end_object().end_object().end_object();
        });
    }

    fn content(&mut self, block: Block, text: &Text<'_>, out: &mut Vec<u8>) {
        if text.is_empty() {
            return;
        }
        self.open(block, out);
        write_frame(out, "content-delta", |out| {
            write_content(self.blocks, block, text, out);
        });
    }

    /// Probabilities, beside a text of nothing: the texts they are of were written before or come after.
    fn logprobs(&mut self, logprobs: &Raw<'_>, out: &mut Vec<u8>) {
        each_token(logprobs, |token| {
            self.open(Block::Text, out);
            write_frame(out, "content-delta", |out| {
                write_content(self.blocks, Block::Text, &Text::default(), out);
                out.key("logprobs");
                write_item(token, out);
            });
        });
    }

    fn close_block(&mut self, out: &mut Vec<u8>) {
        if self.block.take().is_some() {
            write_frame(out, "content-end", |out| {
                out.key("index").number(self.blocks);
            });
            self.blocks += 1;
        }
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        self.start(None, out);
        self.close_block(out);
        self.tools.finish(&mut |index, step| write_step(index, &step, out));
    }

    fn end(&mut self, error: Option<&ApiError>, out: &mut Vec<u8>) {
        self.close(out);
        self.ended = true;
        let given = self.finish.unwrap_or(if self.called { Finish::ToolCalls } else { Finish::Stop });
        let finish = if error.is_some() { Finish::Error } else { given };
        write_frame(out, "message-end", |out| {
            out.key("delta").begin_object();
            match error {
                Some(error) => {
                    out.field("error", &error.message);
                }
                // There is no word for it.
                None if finish == Finish::ContentFilter => {
                    out.field("error", "The answer was cut off by the provider's content filter.");
                }
                None => {}
            }
            out.field("finish_reason", finish_name(finish)).key("usage");
            write_usage(&self.usage, out);
            out.end_object();
        });
        out.extend_from_slice(b"data: [DONE]\n\n");
    }
}

/// One event: its name, and its data with the type first.
fn write_frame(out: &mut Vec<u8>, kind: &str, members: impl FnOnce(&mut Out<'_>)) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(kind.as_bytes());
    out.extend_from_slice(b"\ndata: ");
    let start = out.len();
    let mut data = Out::new(out);
    data.begin_object().field("type", kind);
    members(&mut data);
    data.end_object();
    escape_terminator(out, start);
    out.extend_from_slice(b"\n\n");
}

/// Cohere's client ends a stream at any line that has `[DONE]` in it, generated text or not. In JSON that can only be in a
/// string, where the bracket may as well be written as an escape.
fn escape_terminator(out: &mut Vec<u8>, mut from: usize) {
    while let Some(at) = memchr::memmem::find(&out[from..], b"[DONE]") {
        from += at;
        out.splice(from..=from, *b"\\u005b");
    }
}

fn write_content(index: u64, block: Block, text: &Text<'_>, out: &mut Out<'_>) {
    out.key("index").number(index).key("delta").begin_object().key("message").begin_object();
    out.key("content").begin_object().key(block.name()).text(text);
    out.end_object().end_object().end_object();
}

fn write_step(index: usize, step: &Step<'_>, out: &mut Vec<u8>) {
    let index = index as u64;
    match step {
        Step::Start { id, name } => write_frame(out, "tool-call-start", |out| {
            begin_calls(index, out);
            out.key("id").text(id).field("type", "function").key("function").begin_object();
            out.key("name").text(name).field("arguments", "");
            end_calls(out);
        }),
        Step::Arguments(fragment) => write_frame(out, "tool-call-delta", |out| {
            begin_calls(index, out);
            out.key("function").begin_object().key("arguments").text(fragment);
            end_calls(out);
        }),
        Step::End => write_frame(out, "tool-call-end", |out| {
            out.key("index").number(index);
        }),
    }
}

fn begin_calls(index: u64, out: &mut Out<'_>) {
    out.key("index").number(index).key("delta").begin_object().key("message").begin_object();
    out.key("tool_calls").begin_object();
}

/// Closes the function, the call, the message and the delta.
fn end_calls(out: &mut Out<'_>) {
    out.end_object().end_object().end_object().end_object();
}
