//! Google's `generateContent`, of the Gemini API and of Vertex AI, as what clients send and as what providers get.
//!
//! Source: the REST reference, the types of `@google/genai` 3.1 and recorded traffic. The model and whether a stream is
//! wanted stand in the path. Google's own reader takes every member in `camelCase` and in `snake_case`, and so do ours;
//! what we write is `camelCase`.

mod answer;
mod contents_in;
mod contents_out;
mod count;
mod error;
mod finish;
mod inspect;
mod logprobs;
mod media;
mod names;
mod request_in;
mod request_out;
mod schema;
mod schema_in;
mod stream_in;
mod stream_out;
mod tap;
mod tools_in;
mod tools_out;
mod usage;

pub use answer::{read_answer, write_answer};
pub use count::write_token_count;
pub use error::{read_error, write_error};
pub use inspect::inspect;
pub use request_in::read_request;
pub use request_out::write_request;
pub use stream_in::Decoder;
pub use stream_out::Encoder;
pub use tap::StreamTap;
pub use tools_out::mapped_name;
pub use usage::read_usage;
