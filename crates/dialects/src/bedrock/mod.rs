//! Amazon Bedrock's `Converse` and `ConverseStream`.
//!
//! Model and kind of answer are in the path. The answer names no model and has its id in the header `x-amzn-requestid`.
//! Streams are messages of Amazon's event stream ([`crate::event_stream`]): a frame's name is the event's or exception's
//! type. Source of the shapes: the types of the official SDK (`@aws-sdk/client-bedrock-runtime` 3.1164), the API reference
//! and recorded traffic.

mod answer;
mod arguments;
mod blocks_in;
mod error;
mod finish;
mod media;
mod messages_out;
mod model_fields;
mod request_in;
mod request_out;
mod stream_in;
mod stream_out;
mod tap;
mod usage;

pub(crate) use media::shows;

pub use answer::{read_answer, write_answer};
pub use error::{error_type, read_error, write_error};
pub use request_in::read_request;
pub use request_out::{mapped_name, write_request};
pub use stream_in::Decoder;
pub use stream_out::Encoder;
pub use tap::{StreamTap, inspect};
pub use usage::{answer_tier, read_usage};

/// Whether a frame of this name is an error: an exception, or what else is none of the events.
fn is_error_name(name: &[u8]) -> bool {
    name.ends_with(b"Exception") || name == b"error"
}
