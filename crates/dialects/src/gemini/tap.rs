//! What is learnt from a stream that passes through untouched.

use super::usage::read_usage;
use crate::json::{self, JsonErrorKind, Kind, Names};
use crate::openai::stream::EventClass;
use crate::wire::{Frame, Learnt, Tap};

/// What holds generated text within the content of a candidate. The last two are one, for the table has four places.
const OUTPUT: Names = Names::new(["\"text\"", "\"args\"", "\"code\"", "\"code\""]);

/// Follows one stream, event by event.
///
/// Every event of this dialect carries usage, so each is scanned once for its outermost members; no tree is built. Usage is
/// cumulative, the largest of each count stands.
#[derive(Clone, Copy, Debug, Default)]
pub struct StreamTap {
    learnt: Learnt,
}

impl Tap for StreamTap {
    fn frame(&mut self, frame: Frame<'_>) -> EventClass {
        match frame.data.trim_ascii() {
            b"" => EventClass::Forward,
            data if data.starts_with(b"[") => self.array(data),
            data => self.response(data),
        }
    }

    fn learnt(&self) -> Learnt {
        self.learnt
    }
}

impl StreamTap {
    /// Some fronts of Google wrap an error into an array.
    fn array(&mut self, data: &[u8]) -> EventClass {
        match json::elements(data).next() {
            Some(first) if self.response(first) == EventClass::Error => EventClass::Error,
            _ => EventClass::Malformed,
        }
    }

    fn response(&mut self, data: &[u8]) -> EventClass {
        let wanted = ["candidates", "usageMetadata", "promptFeedback", "error"];
        let members = match json::scan_object_lenient(data, &wanted) {
            Ok(members) => members.values.map(|span| span.map_or(&[][..], |span| span.of(data))),
            Err(error) if error.kind == JsonErrorKind::TooDeep => return EventClass::Forward,
            Err(_) => return EventClass::Malformed,
        };
        let [candidates, usage, feedback, error] = members;
        if matches!(json::kind_of(error), Kind::Object | Kind::String) {
            return EventClass::Error;
        }
        json::elements(candidates).for_each(|candidate| self.candidate(candidate));
        self.learnt.finished |= is_string(feedback, "blockReason");
        self.learnt.merge(read_usage(usage));
        EventClass::Forward
    }

    fn candidate(&mut self, candidate: &[u8]) {
        let Ok(members) = json::scan_object_lenient(candidate, &["content", "finishReason"]) else { return };
        let [content, reason] = members.values.map(|span| span.map_or(&[][..], |span| span.of(candidate)));
        self.learnt.finished |= json::kind_of(reason) == Kind::String;
        let mut measured = 0;
        OUTPUT.each_in(content, |_, at| {
            if at < measured {
                return;
            }
            // Arguments may hold members of these names themselves, which are not measured again.
            measured = match json::kind_of(&content[at..]) {
                Kind::String => json::string_end(content, at).unwrap_or(at),
                Kind::Object => json::walk_counts(content, at, &mut |_, _, _| {}).unwrap_or(at),
                _ => at,
            };
            self.learnt.output_bytes += (measured - at).saturating_sub(2) as u64;
        });
    }
}

fn is_string(object: &[u8], name: &str) -> bool {
    let members = json::scan_object_lenient(object, &[name]).ok();
    members
        .and_then(|members| members.values[0])
        .is_some_and(|span| json::kind_of(span.of(object)) == Kind::String)
}
