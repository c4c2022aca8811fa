//! Streams as providers send them: each event is an answer with the next pieces.

use std::borrow::Cow;

use super::contents_in::{CallIds, read_parts, stem_of};
use super::error::read_error;
use super::finish::read_finish;
use super::logprobs;
use super::usage::read_usage;
use crate::exchange::{Arguments, Dropped, Event, Finish, Media, Part, PartKind, Source, Text};
use crate::json::{Doc, Value};
use crate::wire::{Decode, Frame, Malformed};

/// Reads the frames of a stream that was asked for with `alt=sse`.
#[derive(Debug, Default)]
pub struct Decoder {
    started: bool,
    failed: bool,
    /// What the ids of calls begin with.
    stem: String,
    /// Calls seen so far, of all choices.
    calls: u32,
    choices: Vec<Choice>,
}

#[derive(Debug, Default)]
struct Choice {
    index: u32,
    calls: u32,
    finished: bool,
}

impl Decode for Decoder {
    fn frame(&mut self, frame: Frame<'_>, sink: &mut dyn FnMut(Event<'_>)) -> Result<(), Malformed> {
        let data = frame.data.trim_ascii();
        if self.failed || data.is_empty() || data == b"[DONE]" {
            return Ok(());
        }
        if data.starts_with(b"[") {
            self.fail(data, sink);
            return Ok(());
        }
        let doc = Doc::parse(data).map_err(|_| Malformed("holds an event that is no JSON object"))?;
        let root = doc.root();
        if root.get("error").is_some() {
            self.fail(data, sink);
            return Ok(());
        }
        self.start(root, sink);
        for candidate in root.get("candidates").into_iter().flat_map(Value::elements) {
            self.candidate(candidate, sink)?;
        }
        if let Some(usage) = root.get("usageMetadata").and_then(|usage| read_usage(usage.raw())) {
            sink(Event::Usage(usage));
        }
        if root.get("promptFeedback").is_some_and(|feedback| feedback.get("blockReason").is_some()) {
            self.finish(0, Finish::ContentFilter, sink);
        }
        Ok(())
    }

    fn end(&mut self, sink: &mut dyn FnMut(Event<'_>)) {
        let whole = !self.choices.is_empty() && self.choices.iter().all(|choice| choice.finished);
        if whole && !self.failed {
            sink(Event::End);
        }
    }
}

impl Decoder {
    fn fail(&mut self, data: &[u8], sink: &mut dyn FnMut(Event<'_>)) {
        self.failed = true;
        sink(Event::Error(read_error(200, data)));
    }

    fn start(&mut self, root: Value<'_>, sink: &mut dyn FnMut(Event<'_>)) {
        if self.started {
            return;
        }
        self.started = true;
        self.stem = stem_of(root.text_of("responseId").as_ref());
        sink(Event::Start { id: root.text_of("responseId"), model: root.text_of("modelVersion") });
    }

    /// Where the choice with this index is in the list.
    fn choice(&mut self, index: u32) -> usize {
        let known = self.choices.iter().position(|choice| choice.index == index);
        known.unwrap_or_else(|| {
            self.choices.push(Choice { index, ..Choice::default() });
            self.choices.len() - 1
        })
    }

    fn candidate(&mut self, candidate: Value<'_>, sink: &mut dyn FnMut(Event<'_>)) -> Result<(), Malformed> {
        let index = candidate.get("index").and_then(Value::u64).unwrap_or(0);
        // Google gives eight candidates at most.
        let index = u32::try_from(index).ok().filter(|index| *index < 128);
        let index = index.ok_or(Malformed("holds a candidate with an impossible index"))?;
        let at = self.choice(index);
        if let Some(content) = candidate.get("content") {
            self.content(at, content, sink)?;
        }
        if let Some(logprobs) = candidate.get("logprobsResult").and_then(logprobs::to_openai) {
            sink(Event::Logprobs { choice: index, logprobs });
        }
        if let Some(reason) = candidate.text_of("finishReason") {
            let finish = read_finish(&reason, self.choices[at].calls > 0);
            self.finish(index, finish, sink);
        }
        Ok(())
    }

    fn finish(&mut self, index: u32, finish: Finish, sink: &mut dyn FnMut(Event<'_>)) {
        let at = self.choice(index);
        if !std::mem::replace(&mut self.choices[at].finished, true) {
            sink(Event::Finish { choice: index, finish, stop_sequence: None });
        }
    }

    fn content(
        &mut self,
        at: usize,
        content: Value<'_>,
        sink: &mut dyn FnMut(Event<'_>),
    ) -> Result<(), Malformed> {
        let mut parts = Vec::new();
        let stem = std::mem::take(&mut self.stem);
        let mut ids = CallIds::after(Cow::Borrowed(&stem), self.calls);
        let read = read_parts(content, &mut ids, &mut Dropped::default(), &mut parts);
        read.map_err(|_| Malformed("holds a part that is not what it says it is"))?;
        for part in parts {
            self.part(at, part, sink);
        }
        self.stem = stem;
        Ok(())
    }

    fn part(&mut self, at: usize, part: Part<'_>, sink: &mut dyn FnMut(Event<'_>)) {
        let choice = self.choices[at].index;
        match part.kind {
            PartKind::Text(text) => sink(Event::Text { choice, text }),
            PartKind::Thinking { text, signature } => {
                if !text.is_empty() {
                    sink(Event::Thinking { choice, text });
                }
                if let Some(signature) = signature {
                    sink(Event::Signature { choice, signature });
                }
            }
            PartKind::ToolCall(call) => {
                let tool = self.choices[at].calls;
                self.choices[at].calls += 1;
                self.calls += 1;
                let fragment = match &call.arguments {
                    Arguments::Object(raw) => Text::plain(&String::from_utf8_lossy(raw.as_bytes())),
                    Arguments::Text(text) => text.borrow(),
                };
                let (id, name, signature) = (call.id, call.name, call.signature);
                sink(Event::ToolStart { choice, tool, id, name, custom: false, signature });
                sink(Event::ToolArguments { choice, tool, fragment });
                sink(Event::ToolEnd { choice, tool });
            }
            PartKind::Image(media)
            | PartKind::Audio(media)
            | PartKind::Video(media)
            | PartKind::Document(media) => {
                send_media(choice, media, sink);
            }
            PartKind::ToolResult(_) | PartKind::RedactedThinking(_) | PartKind::Refusal(_) => {}
        }
    }
}

fn send_media(choice: u32, media: Media<'_>, sink: &mut dyn FnMut(Event<'_>)) {
    if let (Source::Base64(data), Some(media_type)) = (media.source, media.media_type) {
        sink(Event::Media { choice, media_type, data });
    }
}
