//! Anthropic's dialect: messages.
//!
//! Source of the shapes: the reference of the Messages API (versions 2023-06-01 and 2026-10-21), the types of its official
//! clients and recorded traffic.

mod answer;
mod block;
mod count;
mod error;
mod finish;
mod frame;
mod inspect;
mod media;
mod message_in;
mod message_out;
mod request_in;
mod request_out;
mod stream_in;
mod stream_out;
mod tap;
mod tools_in;
mod tools_out;
mod turns;
mod usage;
mod vertex;

pub use answer::{read_answer, write_answer};
pub use count::write_token_count;
pub use error::{read_error, write_error};
pub use inspect::inspect;
pub use request_in::read_request;
pub use request_out::write_request;
pub use stream_in::Decoder;
pub use stream_out::Encoder;
pub use tap::StreamTap;
pub use usage::read_usage;
pub use vertex::{VERTEX_MEMBER, in_place_of_model, refuse_own_version};

use crate::exchange::{Text, Tool};
use crate::tool_names::NameRules;

/// The tool that stands in for a format where the model knows none: it is forced, and its call is read as the answer.
const FORMAT_TOOL: &str = "sluice_answer_format";

/// What stands before the signature of a call, see `answer::marked`.
const TOOL_SIGNATURE: &str = "tool:";

/// `[a-zA-Z0-9_-]{1,128}`
const NAMES: NameRules = NameRules { max_bytes: 128, ..NameRules::COMMON };

/// The name that a tool has in requests of this dialect, see [`NameRules::mapped_name`].
#[must_use]
pub fn mapped_name<'n>(tools: &[Tool<'_>], name: &'n Text<'_>) -> Text<'n> {
    NAMES.mapped_name(tools, name)
}
