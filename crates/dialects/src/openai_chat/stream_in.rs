//! Reading a stream.

use sluice_types::Usage;

use super::message::Fields;
use super::names::{FAILED, PAUSED, Seen, read_finish};
use super::{answer_in, content, error, messages_in, thinking};
use crate::exchange::{Dropped, Event, Media, Part, PartKind, Raw, Source, Text};
use crate::json::{Doc, Kind, Value};
use crate::openai::read_usage;
use crate::tier::tier_of;
use crate::wire::{Decode, Frame, Malformed};

/// Choices of a stream at most; OpenAI's limit of `n`.
const MAX_CHOICES: usize = 128;

/// Tool calls of a choice at most, far more than any model makes.
const MAX_TOOLS: usize = 1_024;

/// Where a sink of events is borrowed for one frame.
type Sink<'s> = dyn FnMut(Event<'_>) + 's;

/// Reads the chunks of a stream.
#[derive(Debug, Default)]
pub struct Decoder {
    started: bool,
    ended: bool,
    choices: Vec<Choice>,
}

/// How far one choice has come.
#[derive(Debug, Default)]
struct Choice {
    seen: Seen,
    finished: bool,
    tools: Vec<Tool>,
}

/// A tool call by the provider's count.
#[derive(Debug)]
struct Tool {
    /// `None` for a call in the old form.
    index: Option<u64>,
    /// Its id, escaped; empty until it is known.
    id: Vec<u8>,
    /// Its beginning was handed on.
    begun: bool,
    /// Arguments that came before the name.
    early: Vec<u8>,
}

impl Decode for Decoder {
    fn frame(&mut self, frame: Frame<'_>, sink: &mut Sink<'_>) -> Result<(), Malformed> {
        let data = frame.data.trim_ascii();
        if self.ended || data.is_empty() {
            return Ok(());
        }
        if data == b"[DONE]" {
            self.finish(Event::End, sink);
            return Ok(());
        }
        if frame.name == Some(b"error") {
            let failed = error::read_error(502, data);
            self.finish(Event::Error(failed), sink);
            return Ok(());
        }
        let doc = Doc::parse(data).map_err(|_| Malformed("has an event that is no JSON object"))?;
        self.chunk(doc.root(), sink)
    }

    fn end(&mut self, sink: &mut Sink<'_>) {
        // Some providers leave out the last line.
        if self.choices.iter().any(|choice| choice.finished) {
            self.finish(Event::End, sink);
        }
    }
}

impl Decoder {
    fn finish(&mut self, last: Event<'_>, sink: &mut Sink<'_>) {
        if !self.ended {
            self.ended = true;
            sink(last);
        }
    }

    fn chunk(&mut self, root: Value<'_>, sink: &mut Sink<'_>) -> Result<(), Malformed> {
        if let Some(failed) = error::read_event(root) {
            self.finish(Event::Error(failed), sink);
            return Ok(());
        }
        let choices = root.get("choices");
        let has_choices = choices.is_some_and(|choices| choices.elements().next().is_some());
        let usage = root.get("usage").or_else(|| root.get("x_groq")?.get("usage"));
        let usage = usage.and_then(|usage| read_usage(usage.raw()));
        // Azure's first chunk has no choices, no id and no model: the answer begins with the next.
        if !self.started && (has_choices || usage.is_some()) {
            self.started = true;
            let text = |name| root.text_of(name).filter(|text| !text.is_empty());
            sink(Event::Start { id: text("id"), model: text("model") });
        }
        for choice in choices.into_iter().flat_map(Value::elements) {
            self.choice(choice, sink)?;
        }
        if let Some(usage) = usage {
            let tier = root.get("service_tier").map_or(&[][..], |tier| tier.raw());
            sink(Event::Usage(Usage { tier: tier_of(tier), ..usage }));
        }
        Ok(())
    }

    fn choice(&mut self, choice: Value<'_>, sink: &mut Sink<'_>) -> Result<(), Malformed> {
        let index = choice.get("index").and_then(Value::u64).unwrap_or(0);
        let at = usize::try_from(index).ok().filter(|at| *at < MAX_CHOICES);
        let (Some(at), Ok(number)) = (at, u32::try_from(index)) else {
            return Err(Malformed("has too many choices"));
        };
        if self.choices.len() <= at {
            self.choices.resize_with(at + 1, Choice::default);
        }
        let state = &mut self.choices[at];
        if let Some(delta) = choice.get("delta") {
            state.delta(number, delta, sink)?;
        }
        if let Some(logprobs) = choice.get("logprobs").filter(|value| value.is_object()) {
            sink(Event::Logprobs { choice: number, logprobs: Raw::written(logprobs.raw()) });
        }
        if let Some(reason) = choice.text_of("finish_reason") {
            state.finish(number, choice, &reason, sink);
        }
        Ok(())
    }
}

impl Choice {
    fn delta(&mut self, choice: u32, delta: Value<'_>, sink: &mut Sink<'_>) -> Result<(), Malformed> {
        let fields = Fields::of(delta, |_| {});
        for thought in thinking::read(&fields) {
            self.part(choice, thought, sink);
        }
        self.content(choice, fields.content, sink)?;
        if let Some(text) = fields.refusal.and_then(Value::text) {
            self.part(choice, PartKind::Refusal(text), sink);
        }
        messages_in::read_images(fields.images, |image| self.part(choice, PartKind::Image(image), sink));
        if let Some(audio) = fields.audio {
            self.audio(choice, audio, sink);
        }
        for call in fields.tool_calls.into_iter().flat_map(Value::elements) {
            self.tool(choice, call, sink)?;
        }
        if let Some(function) = fields.function_call {
            let at = self.tool_at(None, None, true)?;
            self.tool_delta(choice, at, Some(function), None, None, sink);
        }
        Ok(())
    }

    fn content(
        &mut self,
        choice: u32,
        content: Option<Value<'_>>,
        sink: &mut Sink<'_>,
    ) -> Result<(), Malformed> {
        let Some(value) = content else { return Ok(()) };
        if let Some(text) = value.text() {
            self.part(choice, PartKind::Text(text), sink);
            return Ok(());
        }
        let mut parts: Vec<Part<'_>> = Vec::new();
        content::read(content, &mut parts, &mut Dropped::default())
            .map_err(|_| Malformed("has a malformed delta"))?;
        parts.into_iter().for_each(|part| self.part(choice, part.kind, sink));
        Ok(())
    }

    fn part(&mut self, choice: u32, part: PartKind<'_>, sink: &mut Sink<'_>) {
        match part {
            PartKind::Text(text) if !text.is_empty() => sink(Event::Text { choice, text }),
            PartKind::Refusal(text) if !text.is_empty() => {
                self.seen.refusal = true;
                sink(Event::Refusal { choice, text });
            }
            PartKind::Thinking { text, signature } => {
                if !text.is_empty() {
                    sink(Event::Thinking { choice, text });
                }
                if let Some(signature) = signature {
                    sink(Event::Signature { choice, signature });
                }
            }
            PartKind::RedactedThinking(data) => sink(Event::RedactedThinking { choice, data }),
            PartKind::Image(Media { source: Source::Base64(data), media_type, .. }) => {
                let media_type = media_type.unwrap_or(Text::literal("image/png"));
                sink(Event::Media { choice, media_type, data });
            }
            _ => {}
        }
    }

    /// Sound comes as samples in base64, each piece by itself, and what is said in it as text.
    fn audio(&mut self, choice: u32, audio: Value<'_>, sink: &mut Sink<'_>) {
        if let Some(transcript) = audio.text_of("transcript") {
            self.part(choice, PartKind::Text(transcript), sink);
        }
        if let Some(data) = audio.text_of("data").filter(|data| !data.is_empty()) {
            sink(Event::Media { choice, media_type: Text::literal("audio/pcm"), data });
        }
    }

    fn tool(&mut self, choice: u32, call: Value<'_>, sink: &mut Sink<'_>) -> Result<(), Malformed> {
        let id = call.text_of("id").filter(|id| !id.is_empty());
        let custom = call.get("custom");
        let inner = custom.or_else(|| call.get("function"));
        let names = inner.is_some_and(|inner| inner.get("name").is_some_and(|name| !name.is("")));
        let at = self.tool_at(call.get("index").and_then(Value::u64).or(Some(0)), id.as_ref(), names)?;
        if let Some(id) = &id
            && self.tools[at].id.is_empty()
        {
            self.tools[at].id = id.as_escaped().to_vec();
        }
        let signature = messages_in::call_signature(call);
        self.tool_delta(choice, at, inner, custom, signature, sink);
        Ok(())
    }

    /// Which call a delta is of. Google's compatible endpoint counts none, so that all have the same index: what brings
    /// another id and a name is another call.
    fn tool_at(
        &mut self,
        index: Option<u64>,
        id: Option<&Text<'_>>,
        names: bool,
    ) -> Result<usize, Malformed> {
        let last = self.tools.iter().rposition(|tool| tool.index == index);
        let is_other = |tool: &Tool| match id {
            Some(id) => names && !tool.id.is_empty() && tool.id != id.as_escaped(),
            None => false,
        };
        match last {
            Some(at) if !is_other(&self.tools[at]) => Ok(at),
            _ if self.tools.len() >= MAX_TOOLS => Err(Malformed("has too many tool calls")),
            _ => {
                self.tools.push(Tool { index, id: Vec::new(), begun: false, early: Vec::new() });
                Ok(self.tools.len() - 1)
            }
        }
    }

    fn tool_delta(
        &mut self,
        choice: u32,
        at: usize,
        inner: Option<Value<'_>>,
        custom: Option<Value<'_>>,
        signature: Option<Text<'_>>,
        sink: &mut Sink<'_>,
    ) {
        let Some(inner) = inner else { return };
        let tool = u32::try_from(at).unwrap_or(u32::MAX);
        let state = &mut self.tools[at];
        let name = inner.text_of("name").filter(|name| !name.is_empty());
        if let (false, Some(name)) = (state.begun, name) {
            state.begun = true;
            self.seen.tools = true;
            let id = if state.id.is_empty() { made_id(choice, tool) } else { Text::escaped(&state.id) };
            sink(Event::ToolStart { choice, tool, id, name, custom: custom.is_some(), signature });
            if !state.early.is_empty() {
                sink(Event::ToolArguments { choice, tool, fragment: Text::escaped(&state.early) });
            }
        }
        let Some(arguments) = inner.get(if custom.is_some() { "input" } else { "arguments" }) else { return };
        let fragment = match arguments.kind() {
            Kind::Object => Text::plain(&String::from_utf8_lossy(arguments.raw())),
            _ => arguments.text().unwrap_or_default(),
        };
        if state.begun && !fragment.is_empty() {
            sink(Event::ToolArguments { choice, tool, fragment });
        } else if !state.begun {
            state.early.extend_from_slice(fragment.as_escaped());
        }
    }

    fn finish(&mut self, choice: u32, value: Value<'_>, reason: &Text<'_>, sink: &mut Sink<'_>) {
        if std::mem::replace(&mut self.finished, true) {
            return;
        }
        let stop_sequence = value.text_of("stop_reason");
        self.seen.stop_sequence = stop_sequence.is_some();
        self.seen.paused = answer_in::is_marked(value, PAUSED);
        self.seen.failed = answer_in::is_marked(value, FAILED);
        let finish = self.seen.refine(read_finish(reason));
        let stop_sequence = stop_sequence.filter(|_| finish == crate::exchange::Finish::StopSequence);
        sink(Event::Finish { choice, finish, stop_sequence });
    }
}

/// An id for a call that has none.
fn made_id(choice: u32, tool: u32) -> Text<'static> {
    match choice {
        0 => Text::plain(&format!("call_{tool}")),
        _ => Text::plain(&format!("call_{choice}_{tool}")),
    }
}
