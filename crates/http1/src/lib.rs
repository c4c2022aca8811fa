//! The HTTP/1.1 grammar of Sluice: heads, framing and chunked coding over byte slices.
//!
//! Every reader here is a strict subset of RFC 9112: where two servers are known to read the same bytes differently,
//! the bytes are refused instead of repaired, because a gateway that repairs is one half of a request-smuggling pair.
//! What is accepted is understood in exactly one way, and a parsed head speaks in offsets into the caller's buffer, so
//! the buffer may be grown or moved between reads.
//!
//! What is absent: no IO, no clock, no allocation (`no_std` holds that), no `unsafe` but the vector loads of `scan`, no
//! header map, no normalising of paths, no `obs-fold`, no HTTP/0.9, no bare line feeds.
//!
//! - [`RequestHead`] and [`ResponseHead`] read heads incrementally; one value is reused for a whole connection.
//! - [`ChunkedDecoder`] reads chunked bodies in place; [`write_chunk_header`] and [`LAST_CHUNK`] write them.
//! - [`Known`] names the fields that a gateway acts on; [`Fields::end_to_end`] filters what belongs to one hop.

#![no_std]
#![deny(unsafe_code)]

mod bytes;
mod chunked;
mod error;
mod fields;
mod framing;
mod host;
mod known;
mod lines;
mod request;
mod response;
mod scan;
mod target;

pub use chunked::{
    ChunkError, ChunkedDecoder, Decoded, FRAMING_ALLOWANCE_BYTES, LAST_CHUNK, MAX_EXTENSION_BYTES,
    MAX_FRAMING_RATIO, MAX_TRAILER_BYTES, MAX_TRAILERS, Piece, write_chunk_header,
};
pub use error::HeadError;
pub use fields::{EndToEnd, Field, FieldIter, Fields};
pub use known::{Known, is_hop_by_hop};
pub use request::{Framing, Method, RequestHead};
pub use response::{ResponseFraming, ResponseHead};

/// Header fields in one head. More is a header bomb or a defect: the largest SDK sends about thirty.
pub const MAX_HEADERS: usize = 100;

/// Bytes of one head, from its first byte to its empty line inclusive.
pub const MAX_HEAD_BYTES: usize = 32 * 1024;

/// Bytes of one line of a head without its line end.
pub const MAX_LINE_BYTES: usize = 16 * 1024;

/// Options named by all `Connection` fields of one head. Filtering compares every field with every option, so without
/// a bound one head could ask for a million comparisons.
pub const MAX_CONNECTION_OPTIONS: usize = 32;

/// Whether a head is whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parse {
    /// More bytes are needed; call again with the same bytes and what followed them.
    Partial,
    /// The head is whole; `head_len` says where it ends.
    Complete,
}
