use super::usage::read_usage;
use crate::json::{self, Kind, Names, string_end};
use crate::openai::stream::EventClass;
use crate::wire::{Frame, Learnt, Tap};

/// The members whose strings the model wrote.
const OUTPUT: Names = Names::new(["\"text\"", "\"thinking\"", "\"tool_plan\"", "\"arguments\""]);

/// Follows a stream that is passed on untouched.
#[derive(Clone, Debug, Default)]
pub struct StreamTap {
    learnt: Learnt,
}

impl Tap for StreamTap {
    fn frame(&mut self, frame: Frame<'_>) -> EventClass {
        let data = frame.data.trim_ascii();
        match data {
            b"" => return EventClass::Forward,
            b"[DONE]" => return EventClass::Done,
            _ => {}
        }
        if !(data.starts_with(b"{") && data.ends_with(b"}")) {
            return if frame.name == Some(b"error") { EventClass::Error } else { EventClass::Malformed };
        }
        match frame.name {
            Some(name) => self.event(name, data),
            None => match members(data, &["type"]) {
                Some([kind]) => self.event(unquoted(kind), data),
                None => EventClass::Malformed,
            },
        }
    }

    fn learnt(&self) -> Learnt {
        self.learnt
    }
}

impl StreamTap {
    fn event(&mut self, kind: &[u8], data: &[u8]) -> EventClass {
        match kind {
            b"content-start" | b"content-delta" | b"tool-plan-delta" | b"tool-call-start"
            | b"tool-call-delta" => {
                OUTPUT.each_in(data, |_, at| self.learnt.output_bytes += string_bytes(data, at));
                EventClass::Forward
            }
            b"message-end" => self.message_end(data),
            b"error" => EventClass::Error,
            // An error that came too late for a status of its own: `{"message": …}`.
            b"" if matches!(members(data, &["message"]), Some([message]) if !message.is_empty()) => {
                EventClass::Error
            }
            _ => EventClass::Forward,
        }
    }

    fn message_end(&mut self, data: &[u8]) -> EventClass {
        let Some([delta]) = members(data, &["delta"]) else { return EventClass::Malformed };
        let Some([finish, usage, error]) = members(delta, &["finish_reason", "usage", "error"]) else {
            return EventClass::Forward;
        };
        self.learnt.merge(read_usage(usage));
        let failed =
            matches!(unquoted(finish), b"ERROR" | b"TIMEOUT") || json::kind_of(error) == Kind::String;
        self.learnt.finished |= !failed && !finish.is_empty();
        if failed { EventClass::Error } else { EventClass::Forward }
    }
}

/// Length of the string at `at`, as written between its quotes.
fn string_bytes(data: &[u8], at: usize) -> u64 {
    if data.get(at) != Some(&b'"') {
        return 0;
    }
    string_end(data, at).map_or(0, |end| (end - at - 2) as u64)
}

/// The values of the wanted members, empty where there is none; `None` where this is no object.
fn members<'a, const N: usize>(object: &'a [u8], wanted: &[&str; N]) -> Option<[&'a [u8]; N]> {
    let members = json::scan_object_lenient(object, wanted).ok()?;
    Some(members.values.map(|span| span.map_or(&[][..], |span| span.of(object))))
}

fn unquoted(value: &[u8]) -> &[u8] {
    value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or_default()
}
