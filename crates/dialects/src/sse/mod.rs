//! Server-sent events, on bytes: where whole events end, and what is in one.
//!
//! The rules are those of the WHATWG: lines end with `\n`, `\r\n` or `\r`; a blank line ends an event; a line that begins
//! with a colon is a comment; one space after a field's colon is dropped; several `data` lines are joined with `\n`.
//! Nothing is decoded: UTF-8 split over two reads is no concern here, for events are only looked at whole.
//!
//! One liberty: a byte order mark is skipped in front of any line, not only in front of the first, so that an event is
//! read the same wherever the stream was cut.

mod boundary;
mod event;

pub use boundary::EventBoundary;
pub use event::{Data, Event, Events, events, unfinished};
