//! What is learnt from a stream that passes through: usage, its end, errors.

use super::frame::{FrameKind, member};
use super::usage::Counts;
use crate::json::{self, Kind, Names, string_end};
use crate::openai::stream::EventClass;
use crate::wire::{Frame, Learnt, Tap};

/// Members of a delta whose strings the model wrote.
const GENERATED: Names = Names::new(["\"text\"", "\"partial_json\"", "\"thinking\"", "\"content\""]);

/// Follows one stream, frame by frame. Text deltas are searched for the strings the model wrote and not parsed.
#[derive(Clone, Debug, Default)]
pub struct StreamTap {
    counts: Option<Counts>,
    finished: bool,
    saw_output: bool,
    output_bytes: u64,
}

impl StreamTap {
    /// Whether anything generated was seen: after that, failing over to another provider would show.
    #[must_use]
    pub fn saw_output(&self) -> bool {
        self.saw_output
    }

    fn measure(&mut self, data: &[u8]) {
        let mut measured = 0;
        GENERATED.each_in(data, |_, at| {
            if at >= measured && data.get(at) == Some(&b'"') {
                let end = string_end(data, at).unwrap_or(data.len());
                self.output_bytes += end.saturating_sub(at + 2) as u64;
                measured = end;
            }
        });
    }

    fn merge(&mut self, usage: Option<&[u8]>) {
        if let Some(counts) = usage.and_then(Counts::read) {
            self.counts.get_or_insert_default().merge(counts);
        }
    }

    /// `message_start`; its message must be there.
    fn start(&mut self, data: &[u8]) -> EventClass {
        let Some(message) = member(data, "message") else { return EventClass::Malformed };
        self.merge(member(message, "usage"));
        EventClass::Forward
    }

    fn message_delta(&mut self, data: &[u8]) -> EventClass {
        let Ok(members) = json::scan_object_lenient(data, &["delta", "usage"]) else {
            return EventClass::Malformed;
        };
        let [delta, usage] = members.values.map(|span| span.map(|span| span.of(data)));
        let reason = delta.and_then(|delta| member(delta, "stop_reason"));
        self.finished |= reason.is_some_and(|reason| json::kind_of(reason) == Kind::String);
        self.merge(usage);
        EventClass::Forward
    }
}

impl Tap for StreamTap {
    fn frame(&mut self, frame: Frame<'_>) -> EventClass {
        let data = frame.data;
        match FrameKind::of(&frame) {
            FrameKind::Start => self.start(data),
            FrameKind::BlockDelta => {
                self.saw_output = true;
                self.measure(data);
                EventClass::Forward
            }
            FrameKind::BlockStart => {
                self.saw_output = true;
                EventClass::Forward
            }
            FrameKind::MessageDelta => self.message_delta(data),
            FrameKind::Stop => {
                self.finished = true;
                EventClass::Done
            }
            FrameKind::BlockStop | FrameKind::Other => EventClass::Forward,
            FrameKind::Error => EventClass::Error,
            FrameKind::Malformed => EventClass::Malformed,
        }
    }

    fn learnt(&self) -> Learnt {
        let usage = self.counts.map(|counts| counts.usage());
        Learnt { usage, finished: self.finished, output_bytes: self.output_bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(tap: &mut StreamTap, name: &str, data: &str) -> EventClass {
        tap.frame(Frame { name: (!name.is_empty()).then_some(name.as_bytes()), data: data.as_bytes() })
    }

    #[test]
    fn edge_16_usage_of_start_and_delta_is_merged_not_added() {
        let mut tap = StreamTap::default();
        let start = r#"{"type":"message_start","message":{"usage":{"input_tokens":50,"cache_creation_input_tokens":100,
            "cache_read_input_tokens":200,"output_tokens":1}}}"#;
        assert_eq!(feed(&mut tap, "message_start", start), EventClass::Forward);
        let delta = r#"{"type":"message_delta","delta":{"stop_reason":null},"usage":{"output_tokens":20}}"#;
        feed(&mut tap, "message_delta", delta);
        assert!(!tap.finished() && !tap.saw_output());
        let delta =
            r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":30}}"#;
        feed(&mut tap, "message_delta", delta);
        let usage = tap.usage().unwrap();
        assert_eq!((usage.input, usage.cached_input, usage.cache_write, usage.output), (350, 200, 100, 30));
        assert!(tap.finished());
        assert_eq!(feed(&mut tap, "message_stop", r#"{"type":"message_stop"}"#), EventClass::Done);
    }

    #[test]
    fn output_is_measured_by_what_the_model_wrote() {
        let mut tap = StreamTap::default();
        let deltas = [
            (r#"{"type":"text_delta","text":"a\"b"}"#, 4),
            (r#"{"type":"input_json_delta","partial_json":"{\"text\":\"x\"}"}"#, 16),
            (r#"{"type":"thinking_delta","thinking":"hm"}"#, 2),
            (r#"{"type":"signature_delta","signature":"EqRk"}"#, 0),
            (r#"{"type":"text_delta","text":""}"#, 0),
        ];
        for (delta, bytes) in deltas {
            let before = tap.output_bytes();
            let data = format!(r#"{{"type":"content_block_delta","index":0,"delta":{delta}}}"#);
            assert_eq!(feed(&mut tap, "content_block_delta", &data), EventClass::Forward);
            assert_eq!(tap.output_bytes() - before, bytes, "{delta}");
        }
        assert!(tap.saw_output() && tap.usage().is_none());
    }

    #[test]
    fn frames_without_a_name_are_told_by_their_type() {
        let mut tap = StreamTap::default();
        assert_eq!(feed(&mut tap, "", r#"{"type":"ping"}"#), EventClass::Forward);
        assert_eq!(feed(&mut tap, "", r#"{"error":{},"type" : "error"}"#), EventClass::Error);
        assert_eq!(feed(&mut tap, "", r#"{"type":"message_stop"}"#), EventClass::Done);
        assert_eq!(feed(&mut tap, "message_stop", "{}"), EventClass::Done);
        assert_eq!(feed(&mut tap, "", ""), EventClass::Forward);
    }

    #[test]
    fn edge_26_other_data_is_malformed() {
        let mut tap = StreamTap::default();
        assert_eq!(feed(&mut tap, "message_start", "<html>"), EventClass::Malformed);
        assert_eq!(feed(&mut tap, "message_start", "{}"), EventClass::Malformed);
        assert_eq!(feed(&mut tap, "message_delta", "{\"delta\":}"), EventClass::Malformed);
        assert_eq!(feed(&mut tap, "error", "overloaded"), EventClass::Error);
        assert_eq!(feed(&mut tap, "", "[DONE]"), EventClass::Forward);
    }
}
