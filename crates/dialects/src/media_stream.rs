//! What is learnt from OpenAI's streams of media that pass through: transcriptions and images.
//!
//! Their events say what they are in `type`: `transcript.text.delta`, `transcript.text.done`,
//! `image_generation.partial_image`, `image_generation.completed`, `image_edit.completed`. The last one has the usage.

use sluice_types::Usage;

use crate::json::{self, Kind};
use crate::openai::read_usage;
use crate::openai::stream::EventClass;
use crate::wire::{Frame, Tap};

/// Follows one stream, event by event.
#[derive(Clone, Copy, Debug, Default)]
pub struct StreamTap {
    usage: Option<Usage>,
    finished: bool,
}

impl Tap for StreamTap {
    fn frame(&mut self, frame: Frame<'_>) -> EventClass {
        let data = frame.data.trim_ascii();
        if data == b"[DONE]" {
            self.finished = true;
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
        self.finished |= kind.ends_with(b".done\"") || kind.ends_with(b".completed\"");
        if let Some(usage) = usage.and_then(read_usage) {
            self.usage.get_or_insert_default().merge_max(usage);
        }
        EventClass::Forward
    }

    fn usage(&self) -> Option<Usage> {
        self.usage
    }

    fn finished(&self) -> bool {
        self.finished
    }

    /// Sound and images cost by measures of their own; nothing is estimated from their bytes.
    fn output_bytes(&self) -> u64 {
        0
    }
}
