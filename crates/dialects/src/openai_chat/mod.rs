//! OpenAI's chat completions, as a client and as a provider, Azure's and that of the many providers which speak it.
//!
//! Source of the shapes: OpenAI's specification 2.3.0, Azure's content filter fields, and what Mistral, DeepSeek, OpenRouter
//! and Google's compatible endpoint add. What is tapped from bodies that pass untouched is in [`crate::openai`].
//!
//! Thinking has no place in OpenAI's own format. It is written, and read back from what clients return, as follows:
//!
//! - `reasoning_content` of a message or delta holds the text of all thoughts, as DeepSeek has it.
//! - `thinking_blocks` of a message holds every thought by itself, once one of them is signed or encrypted:
//!   `{"type":"thinking","thinking":TEXT,"signature":SIGNATURE}` and `{"type":"redacted_thinking","data":DATA}`. A client that
//!   returns it with its next request lets the provider go on where it was.
//! - `thinking_blocks` of a delta holds what `reasoning_content` does not: an encrypted thought, or the signature (with an
//!   empty `thinking`) of the thought whose text came in the deltas before.
//! - `extra_content.google.thought_signature` of a tool call is Gemini's signature of it.
//! - `images` of a message or delta are generated images, as `image_url` parts.

mod answer_in;
mod answer_out;
mod content;
mod error;
mod media;
mod message;
mod messages_in;
mod messages_out;
mod names;
mod request_in;
mod request_out;
mod stream_in;
mod stream_out;
mod thinking;
mod tools_in;
mod tools_out;

pub use answer_in::read_answer;
pub use answer_out::write_answer;
pub use error::{read_error, write_error};
pub use request_in::read_request;
pub use request_out::write_request;
pub use stream_in::Decoder;
pub use stream_out::Encoder;
pub use tools_out::mapped_name;
