//! Writing messages.

use super::{PRELUDE_BYTES, STRING};

/// Appends a message with these headers, all of them strings, and this payload.
pub fn write_message(out: &mut Vec<u8>, headers: &[(&str, &str)], payload: &[u8]) {
    write_with(out, headers, |out| out.extend_from_slice(payload));
}

/// Appends an event whose payload, a JSON object, is appended by `payload`.
pub fn write_event(out: &mut Vec<u8>, event_type: &str, payload: impl FnOnce(&mut Vec<u8>)) {
    let headers =
        [(":event-type", event_type), (":content-type", "application/json"), (":message-type", "event")];
    write_with(out, &headers, payload);
}

/// Appends an exception whose payload, a JSON object, is appended by `payload`.
pub fn write_exception(out: &mut Vec<u8>, exception_type: &str, payload: impl FnOnce(&mut Vec<u8>)) {
    let headers = [
        (":exception-type", exception_type),
        (":content-type", "application/json"),
        (":message-type", "exception"),
    ];
    write_with(out, &headers, payload);
}

fn write_with(out: &mut Vec<u8>, headers: &[(&str, &str)], payload: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; PRELUDE_BYTES]);
    for (name, value) in headers {
        write_header(out, name, value);
    }
    let headers_length = out.len() - start - PRELUDE_BYTES;
    payload(out);
    let length = out.len() - start + 4;
    put(out, start, length_field(length));
    put(out, start + 4, length_field(headers_length));
    let checksum = crc32fast::hash(&out[start..start + 8]);
    put(out, start + 8, checksum);
    let checksum = crc32fast::hash(&out[start..]);
    out.extend_from_slice(&checksum.to_be_bytes());
}

/// Names and values are ours and short; what a length field cannot hold is cut off.
fn write_header(out: &mut Vec<u8>, name: &str, value: &str) {
    let name_length = u8::try_from(name.len()).unwrap_or(u8::MAX);
    let value_length = u16::try_from(value.len()).unwrap_or(u16::MAX);
    out.push(name_length);
    out.extend_from_slice(&name.as_bytes()[..usize::from(name_length)]);
    out.push(STRING);
    out.extend_from_slice(&value_length.to_be_bytes());
    out.extend_from_slice(&value.as_bytes()[..usize::from(value_length)]);
}

/// A message of 4 GiB, which the field could not hold, does not fit the memory a request may use.
fn length_field(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

fn put(out: &mut [u8], at: usize, number: u32) {
    out[at..at + 4].copy_from_slice(&number.to_be_bytes());
}
