//! Writing streams.

use std::collections::VecDeque;

use sluice_types::Usage;

use super::answer::{made_id, marked, write_start, write_stop};
use super::block::{Block, BlockKind};
use super::error::write_error;
use super::usage::write_usage;
use crate::exchange::{Event, Finish, Text};
use crate::json::Out;
use crate::wire::{AnswerContext, Encode};

/// Writes one stream.
///
/// Blocks are strictly sequential in this dialect, while other dialects mix fragments of several calls. So blocks stand in
/// a queue: the first is open and written as it comes, those behind it wait with what they have. Text and thinking end
/// where something else begins; a call ends when it is said to, or, once another block waits, when its arguments are a
/// whole JSON value.
#[derive(Debug)]
pub struct Encoder {
    context: AnswerContext,
    id: Option<Text<'static>>,
    model: Option<Text<'static>>,
    usage: Usage,
    started: bool,
    blocks: VecDeque<Block>,
    /// The start of the first block was written.
    open: bool,
    /// Of the first block.
    index: u64,
    /// Calls begun.
    calls: usize,
    has_text: bool,
    refusal: Text<'static>,
    finish: Option<(Finish, Option<Text<'static>>)>,
    ended: bool,
}

impl Encode for Encoder {
    fn event(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        if self.ended {
            return;
        }
        match event {
            Event::Start { id, model } => {
                self.id = id.clone().map(Text::into_owned);
                self.model = model.clone().map(Text::into_owned);
            }
            Event::Usage(usage) => self.usage.merge_max(*usage),
            Event::Error(error) => {
                self.ended = true;
                out.extend_from_slice(b"event: error\ndata: ");
                write_error(error, out);
                out.extend_from_slice(b"\n\n");
            }
            Event::End => self.end(out),
            event => self.content(event, out),
        }
    }
}

impl Encoder {
    /// A writer of which nothing has been written.
    #[must_use]
    pub fn new(context: AnswerContext) -> Self {
        Self {
            context,
            id: None,
            model: None,
            usage: Usage::default(),
            started: false,
            blocks: VecDeque::new(),
            open: false,
            index: 0,
            calls: 0,
            has_text: false,
            refusal: Text::default(),
            finish: None,
            ended: false,
        }
    }

    /// An event of a choice. The dialect has one choice, and no place for generated media and probabilities.
    fn content(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        match event {
            Event::Text { choice: 0, text } if !text.is_empty() => {
                self.has_text = true;
                self.append(text, BlockKind::Text, out);
            }
            Event::Thinking { choice: 0, text } if !text.is_empty() => {
                self.append(text, BlockKind::Thinking, out);
            }
            Event::Signature { choice: 0, signature } => self.sign(signature, out),
            Event::RedactedThinking { choice: 0, data } => {
                self.push(Block::whole(BlockKind::Redacted(data.clone().into_owned())), out);
            }
            Event::Refusal { choice: 0, text } => self.refusal.push(text),
            Event::ToolStart { choice: 0, tool, id, name, custom, signature } => {
                if let Some(signature) = signature {
                    self.push(Block::signed(marked(signature)), out);
                }
                let id = if id.is_empty() {
                    Text::plain(&made_id(&self.context, self.calls))
                } else {
                    id.clone().into_owned()
                };
                self.calls += 1;
                self.push(Block::tool(*tool, id, name.clone().into_owned(), *custom), out);
            }
            Event::ToolArguments { choice: 0, tool, fragment } => {
                if let Some(block) = self.tool(*tool) {
                    block.add_arguments(fragment);
                    self.advance(out);
                }
            }
            Event::ToolEnd { choice: 0, tool } => {
                if let Some(block) = self.tool(*tool) {
                    block.ended = true;
                    self.advance(out);
                }
            }
            Event::Finish { choice: 0, finish, stop_sequence } if self.finish.is_none() => {
                self.finish = Some((*finish, stop_sequence.clone().map(Text::into_owned)));
                self.end_blocks(out);
            }
            _ => {}
        }
    }

    /// Text or thinking: more of the last block, or a new one.
    fn append(&mut self, text: &Text<'_>, kind: BlockKind, out: &mut Vec<u8>) {
        match self.blocks.back_mut().filter(|last| last.goes_on_as(&kind)) {
            Some(last) => {
                last.add(text);
                self.advance(out);
            }
            None => {
                let mut block = Block::new(kind);
                block.add(text);
                self.push(block, out);
            }
        }
    }

    /// A signature belongs to the thought before it; without one there, to a thought that is not shown.
    fn sign(&mut self, signature: &Text<'_>, out: &mut Vec<u8>) {
        match self.blocks.back_mut().filter(|last| last.kind == BlockKind::Thinking) {
            Some(last) => last.signature.push(signature),
            None => {
                let mut block = Block::new(BlockKind::Thinking);
                block.signature.push(signature);
                self.push(block, out);
            }
        }
    }

    fn tool(&mut self, wanted: u32) -> Option<&mut Block> {
        self.blocks.iter_mut().find(|block| block.tool_number() == Some(wanted))
    }

    fn push(&mut self, block: Block, out: &mut Vec<u8>) {
        if let Some(last) = self.blocks.back_mut() {
            last.ended |= last.tool_number().is_none();
        }
        self.blocks.push_back(block);
        self.advance(out);
    }

    /// Writes what can be written: what the first block has, its end, the next one's start, and so on.
    fn advance(&mut self, out: &mut Vec<u8>) {
        let others_wait = |blocks: &VecDeque<Block>| blocks.len() > 1;
        while !self.blocks.is_empty() {
            self.start(out);
            let waiting = others_wait(&self.blocks);
            let Some(first) = self.blocks.front_mut() else { return };
            if !self.open {
                first.write_start(self.index, out);
                self.open = true;
            }
            let ends = first.ended || (waiting && first.is_complete());
            first.write_deltas(self.index, ends, out);
            if !ends {
                return;
            }
            frame("content_block_stop", out, |out| {
                out.key("index").number(self.index);
            });
            self.blocks.pop_front();
            self.open = false;
            self.index += 1;
        }
    }

    /// Writes the beginning, if it was not. It waits for the first block, so that usage which is known by then is in it.
    fn start(&mut self, out: &mut Vec<u8>) {
        if self.started {
            return;
        }
        self.started = true;
        out.extend_from_slice(b"event: message_start\ndata: ");
        let (id, model) = (self.id.as_ref(), self.model.as_ref());
        write_start(&mut Out::new(out), id, model, &self.usage, &self.context);
        out.extend_from_slice(b"\n\n");
    }

    /// Nothing more will come of any block. A refusal is shown as text where there is no other.
    fn end_blocks(&mut self, out: &mut Vec<u8>) {
        self.start(out);
        self.blocks.iter_mut().for_each(|block| block.ended = true);
        if !self.has_text && !self.refusal.is_empty() {
            self.has_text = true;
            let mut block = Block::whole(BlockKind::Text);
            block.add(&self.refusal);
            self.blocks.push_back(block);
        }
        self.advance(out);
    }

    /// The reason to stop is written here and not with [`Event::Finish`], for usage may follow that.
    fn end(&mut self, out: &mut Vec<u8>) {
        self.ended = true;
        self.end_blocks(out);
        let (finish, sequence) = self.finish.take().unwrap_or_default();
        frame("message_delta", out, |out| {
            out.key("delta").begin_object();
            let refusal = Some(&self.refusal).filter(|refusal| !refusal.is_empty());
            write_stop(out, finish, self.calls > 0, sequence.as_ref(), refusal);
            out.end_object().key("usage");
            write_usage(&self.usage, None, out);
        });
        frame("message_stop", out, |_| {});
    }
}

/// Appends one frame: its name, and an object with the name as `type` and further members.
pub(super) fn frame(name: &str, out: &mut Vec<u8>, members: impl FnOnce(&mut Out<'_>)) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\ndata: ");
    let mut json = Out::new(out);
    json.begin_object().field("type", name);
    members(&mut json);
    json.end_object();
    out.extend_from_slice(b"\n\n");
}
