//! What is learnt from OpenAI's streams of media that pass through: transcriptions and images.
//!
//! Their events say what they are in `type`: `transcript.text.delta`, `transcript.text.done`,
//! `image_generation.partial_image`, `image_generation.completed`, `image_edit.completed`. The last one has the usage.

use crate::json::{self, Kind};
use crate::openai::read_usage;
use crate::openai::stream::EventClass;
use crate::wire::{Frame, Learnt, Tap};

/// Follows one stream, event by event. Sound and images cost by measures of their own; nothing is estimated from their
/// bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct StreamTap {
    learnt: Learnt,
}

impl Tap for StreamTap {
    fn frame(&mut self, frame: Frame<'_>) -> EventClass {
        let data = frame.data.trim_ascii();
        if data == b"[DONE]" {
            self.learnt.finished = true;
            return EventClass::Done;
        }
        let Ok(members) = json::scan_object_lenient(data, &["type", "usage", "error"]) else {
            return EventClass::Malformed;
        };
        let [kind, usage, error] = members.values.map(|span| span.map(|span| span.of(data)));
        let kind = kind.unwrap_or_default();
        if kind == b"\"error\"" || error.is_some_and(|error| json::kind_of(error) != Kind::Null) {
            return EventClass::Error;
        }
        self.learnt.finished |= kind.ends_with(b".done\"") || kind.ends_with(b".completed\"");
        self.learnt.merge(usage.and_then(read_usage));
        EventClass::Forward
    }

    fn learnt(&self) -> Learnt {
        self.learnt
    }
}
