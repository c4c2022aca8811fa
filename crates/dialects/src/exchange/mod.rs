//! One exchange in canonical form: what every dialect is read into and written from.
//!
//! Readers borrow from the document they read; texts stay escaped and numbers stay digits (see [`Text`]), so that a
//! translation copies most bytes once and interprets few.

mod answer;
mod dropped;
mod error;
pub mod losses;
pub(crate) mod pairing;
mod replay;
mod request;
mod text;

pub use answer::{ChatAnswer, Choice, Event, Finish};
pub use dropped::Dropped;
pub use error::{ApiError, ErrorClass};
pub use request::{
    CacheHint, ChatRequest, Effort, Format, Media, Message, Part, PartKind, Reasoning, Role, Source, Tool,
    ToolCall, ToolChoice, ToolResult, tool_name,
};
pub use text::{Arguments, Number, Raw, Text};
