//! Provider wire formats: bytes in, bytes and facts out.
//!
//! Nothing here awaits, reads a clock, opens anything or keeps a connection's state beyond what it was fed: the same
//! bytes in give the same answers out, however they were split. The functions a request meets on its way
//! ([`openai::inspect`], [`openai::RequestView::splices`], [`sse::EventBoundary`], [`openai::stream::StreamTap`],
//! [`openai::body::BodyTap`]) do not allocate.
//!
//! Same dialect in and out, a body is never parsed into a tree and never written anew. It is validated, the few members
//! we act on are located by their byte spans, and what we own is spliced between slices of the original.

//!
//! Between dialects, a request or answer is read into one canonical form ([`exchange`]) and written from it; [`wire::Wire`]
//! chooses the reader and the writer.

pub mod anthropic;
pub mod bedrock;
pub mod cohere;
pub mod custom_tools;
pub mod embeddings;
pub mod errors;
pub mod event_stream;
pub mod exchange;
pub mod gemini;
pub mod json;
mod lost_media;
pub mod media_stream;
pub mod multipart;
pub mod native;
pub mod ollama;
pub mod openai;
pub mod openai_chat;
pub mod openai_responses;
pub mod rerank;
pub mod sse;
mod tier;
pub mod tool_names;
pub mod wire;
