//! Reading streams.

use sluice_types::Usage;

use super::answer::unmarked;
use super::error::read_named;
use super::finish::read_stop_reason;
use super::is_error_name;
use super::media::{Sort, media_type_of};
use super::usage::read_usage;
use crate::exchange::{Event, Text};
use crate::json::{Doc, Value};
use crate::tier::tier_of_type;
use crate::wire::{Decode, Frame, Malformed};

/// Reads the events of a stream. The answer is whole once `messageStop` was seen; usage comes behind it.
#[derive(Debug, Default)]
pub struct Decoder {
    /// Blocks that are tool calls, and which call each is.
    tools: Vec<(u64, u32)>,
    /// The media type of the image that is being sent, with its block.
    image: Option<(u64, Text<'static>)>,
    /// The proof of the next call, see [`super::answer::marked`].
    call_signature: Option<Text<'static>>,
    stopped: bool,
    ended: bool,
}

impl Decode for Decoder {
    fn frame(&mut self, frame: Frame<'_>, sink: &mut dyn FnMut(Event<'_>)) -> Result<(), Malformed> {
        let name = frame.name.unwrap_or_default();
        if self.ended {
            return Ok(());
        }
        if is_error_name(name) {
            self.ended = true;
            let name = std::str::from_utf8(name).ok().filter(|name| *name != "error");
            sink(Event::Error(read_named(500, name, frame.data)));
            return Ok(());
        }
        const KNOWN: [&[u8]; 6] = [
            b"messageStart",
            b"contentBlockStart",
            b"contentBlockDelta",
            b"contentBlockStop",
            b"messageStop",
            b"metadata",
        ];
        if !KNOWN.contains(&name) {
            return Ok(());
        }
        let doc = Doc::parse(frame.data).map_err(|_| Malformed("has an event that is not JSON"))?;
        let event = doc.root();
        match name {
            b"messageStart" => sink(Event::Start { id: None, model: None }),
            b"contentBlockStart" => self.block_start(event, sink),
            b"contentBlockDelta" => self.delta(event, sink),
            b"contentBlockStop" => self.block_stop(event, sink),
            b"messageStop" => self.stop(event, sink),
            _ => self.metadata(event, sink),
        }
        Ok(())
    }

    fn end(&mut self, sink: &mut dyn FnMut(Event<'_>)) {
        if self.stopped && !self.ended {
            self.ended = true;
            sink(Event::End);
        }
    }
}

/// Which block an event is about.
fn block_index(event: Value<'_>) -> u64 {
    event.get("contentBlockIndex").and_then(Value::u64).unwrap_or_default()
}

impl Decoder {
    fn block_start(&mut self, event: Value<'_>, sink: &mut dyn FnMut(Event<'_>)) {
        let Some(start) = event.get("start") else { return };
        let block = block_index(event);
        if let Some(image) = start.get("image") {
            let media_type = image.text_of("format").and_then(|format| media_type_of(Sort::Image, &format));
            self.image = media_type.map(|media_type| (block, media_type));
        }
        // What the service runs itself has a type besides, and is no call to anyone.
        let call = start.get("toolUse").filter(|call| call.get("type").is_none());
        let Some(call) = call else { return };
        let tool = u32::try_from(self.tools.len()).unwrap_or(u32::MAX);
        self.tools.push((block, tool));
        sink(Event::ToolStart {
            choice: 0,
            tool,
            id: call.text_of("toolUseId").unwrap_or_default(),
            name: call.text_of("name").unwrap_or_default(),
            custom: false,
            signature: self.call_signature.take(),
        });
    }

    fn tool_of(&self, block: u64) -> Option<u32> {
        self.tools.iter().rev().find(|(index, _)| *index == block).map(|(_, tool)| *tool)
    }

    fn delta(&mut self, event: Value<'_>, sink: &mut dyn FnMut(Event<'_>)) {
        let Some(delta) = event.get("delta") else { return };
        for (name, value) in delta.members() {
            match name.as_escaped() {
                b"text" => {
                    if let Some(text) = value.text() {
                        sink(Event::Text { choice: 0, text });
                    }
                }
                b"toolUse" => {
                    if let (Some(tool), Some(fragment)) =
                        (self.tool_of(block_index(event)), value.text_of("input"))
                    {
                        sink(Event::ToolArguments { choice: 0, tool, fragment });
                    }
                }
                b"reasoningContent" => self.reasoning(value, sink),
                b"image" => {
                    let data = value.get("source").and_then(|source| source.text_of("bytes"));
                    if let (Some((_, media_type)), Some(data)) = (&self.image, data) {
                        sink(Event::Media { choice: 0, media_type: media_type.borrow(), data });
                    }
                }
                // Citations, results of tools the service runs, and what is yet to come.
                _ => {}
            }
        }
    }

    fn block_stop(&mut self, event: Value<'_>, sink: &mut dyn FnMut(Event<'_>)) {
        let block = block_index(event);
        if let Some(tool) = self.tool_of(block) {
            sink(Event::ToolEnd { choice: 0, tool });
        }
        self.image = self.image.take().filter(|(index, _)| *index != block);
    }

    fn stop(&mut self, event: Value<'_>, sink: &mut dyn FnMut(Event<'_>)) {
        if std::mem::replace(&mut self.stopped, true) {
            return;
        }
        let fields = event.get("additionalModelResponseFields");
        sink(Event::Finish {
            choice: 0,
            finish: read_stop_reason(event.text_of("stopReason").as_ref()),
            stop_sequence: fields.and_then(|fields| fields.text_of("stop_sequence")),
        });
    }

    /// The last event; one before the answer is whole is only a report.
    fn metadata(&mut self, event: Value<'_>, sink: &mut dyn FnMut(Event<'_>)) {
        if let Some(usage) = event.get("usage").and_then(|usage| read_usage(usage.raw())) {
            let tier = event.get("serviceTier").map_or(&[][..], |tier| tier.raw());
            sink(Event::Usage(Usage { tier: tier_of_type(tier), ..usage }));
        }
        self.end(sink);
    }

    fn reasoning(&mut self, delta: Value<'_>, sink: &mut dyn FnMut(Event<'_>)) {
        if let Some(text) = delta.text_of("text") {
            sink(Event::Thinking { choice: 0, text });
        }
        if let Some(signature) = delta.text_of("signature") {
            match unmarked(&signature) {
                None => sink(Event::Signature { choice: 0, signature }),
                own => self.call_signature = own,
            }
        }
        if let Some(data) = delta.text_of("redactedContent") {
            sink(Event::RedactedThinking { choice: 0, data });
        }
    }
}
