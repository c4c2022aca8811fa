//! Amazon's binary event stream, `application/vnd.amazon.eventstream`: messages with headers and a payload, each guarded
//! by two checksums.
//!
//! A message is, with all numbers in network order:
//!
//! | bytes | meaning |
//! |---|---|
//! | 4 | length of the whole message |
//! | 4 | length of the headers |
//! | 4 | CRC-32 of the eight bytes before |
//! | … | headers: length of the name (1), the name, type of the value (1), the value |
//! | … | payload |
//! | 4 | CRC-32 of everything before |
//!
//! The CRC is that of gzip. Source: the encoding as the AWS SDK's developer guide describes it, and recorded traffic.

mod read;
mod write;

pub use read::{Message, MessageKind, messages, whole_messages};
pub use write::{write_event, write_exception, write_message};

/// Longest message accepted, in bytes: what the SDKs of AWS accept, with which the providers' messages must do.
pub const MAX_MESSAGE_BYTES: usize = 16 << 20;

/// Bytes before the headers: two lengths and their checksum.
const PRELUDE_BYTES: usize = 12;

/// Bytes of a message without headers and payload.
const OVERHEAD_BYTES: usize = PRELUDE_BYTES + 4;

/// The type of header values that are strings: two bytes of length, then UTF-8.
const STRING: u8 = 7;
