//! The kinds of a stream's events. Source: the streaming guide of the Messages API, and recorded streams.

use crate::json::{self, Kind};
use crate::wire::Frame;

/// What an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FrameKind {
    /// `message_start`
    Start,
    /// `content_block_start`
    BlockStart,
    /// `content_block_delta`
    BlockDelta,
    /// `content_block_stop`
    BlockStop,
    /// `message_delta`: why it ended, and usage.
    MessageDelta,
    /// `message_stop`
    Stop,
    /// `error`
    Error,
    /// `ping`, what is yet unknown, and frames without data.
    Other,
    /// The data is no JSON object.
    Malformed,
}

impl FrameKind {
    /// The kind by the event's name. Where it has none that is known, by the `type` in its data: some that speak this
    /// dialect send no names.
    pub(super) fn of(frame: &Frame<'_>) -> Self {
        let data = frame.data.trim_ascii();
        let kind = match frame.name.map(Self::named) {
            Some(Self::Other) | None => Self::named(data_type(data)),
            Some(kind) => kind,
        };
        match kind {
            Self::Error => kind,
            // Some that speak this dialect end their streams as OpenAI does; its clients pass over frames without a name.
            _ if data.is_empty() || data == b"[DONE]" => Self::Other,
            _ if !(data.starts_with(b"{") && data.ends_with(b"}")) => Self::Malformed,
            kind => kind,
        }
    }

    fn named(name: &[u8]) -> Self {
        match name {
            b"content_block_delta" => Self::BlockDelta,
            b"content_block_start" => Self::BlockStart,
            b"content_block_stop" => Self::BlockStop,
            b"message_start" => Self::Start,
            b"message_delta" => Self::MessageDelta,
            b"message_stop" => Self::Stop,
            b"error" => Self::Error,
            _ => Self::Other,
        }
    }
}

/// The value of `type` in an event's data, without its quotes.
fn data_type(data: &[u8]) -> &[u8] {
    if let Some(rest) = data.strip_prefix(b"{\"type\":\"") {
        return rest.split(|byte| *byte == b'"').next().unwrap_or_default();
    }
    let value = member(data, "type").unwrap_or_default();
    value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or_default()
}

/// A member of an object, where it is one and has it.
pub(super) fn member<'d>(object: &'d [u8], name: &str) -> Option<&'d [u8]> {
    let [value] = json::scan_object_lenient(object, &[name]).ok()?.values;
    value.map(|span| span.of(object)).filter(|value| json::kind_of(value) != Kind::Null)
}
