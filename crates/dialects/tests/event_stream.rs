//! Amazon's event stream: cut, read and written.

mod support;

use proptest::prelude::*;
use sluice_dialects::event_stream::{
    MAX_MESSAGE_BYTES, Message, MessageKind, messages, whole_messages, write_event, write_exception,
    write_message,
};
use support::fuzz_bodies;

fn event(name: &str, payload: &str) -> Vec<u8> {
    let mut out = Vec::new();
    write_event(&mut out, name, |out| out.extend_from_slice(payload.as_bytes()));
    out
}

#[test]
fn the_encoding_is_that_of_the_documentation() {
    // The empty message and the one with a header and a payload of the encoding's published test vectors.
    let mut out = Vec::new();
    write_message(&mut out, &[], b"");
    assert_eq!(out, [0, 0, 0, 16, 0, 0, 0, 0, 5, 194, 72, 235, 125, 152, 200, 255]);
    out.clear();
    write_message(&mut out, &[], b"{'foo':'bar'}");
    assert_eq!(out[..12], [0, 0, 0, 29, 0, 0, 0, 0, 253, 82, 140, 90]);
    assert_eq!(out[25..], [195, 101, 57, 54]);
    out.clear();
    write_message(&mut out, &[("content-type", "application/json")], b"{'foo':'bar'}");
    assert_eq!(out[..12], [0, 0, 0, 61, 0, 0, 0, 32, 7, 253, 131, 150]);
    assert_eq!(out[57..], [141, 156, 8, 177]);
}

#[test]
fn edge_01_messages_are_found_however_they_are_split() {
    let stream =
        [event("messageStart", "{}"), event("contentBlockDelta", "{\"a\":1}"), event("messageStop", "{}")];
    let (first, stream) = (stream[0].len(), stream.concat());
    for end in 0..=stream.len() {
        let whole = whole_messages(&stream[..end]).unwrap();
        assert!(whole <= end && (end < first) == (whole == 0));
        assert_eq!(whole_messages(&stream[..end]), Ok(whole), "asking twice changes nothing");
    }
    let names: Vec<_> = messages(&stream).map(|message| message.name).collect();
    assert_eq!(names, [&b"messageStart"[..], b"contentBlockDelta", b"messageStop"]);
}

#[test]
fn kinds_of_messages() {
    let mut stream = event("metadata", "{}");
    write_exception(&mut stream, "throttlingException", |out| {
        out.extend_from_slice(b"{\"message\":\"slow\"}")
    });
    let error =
        [(":message-type", "error"), (":error-code", "InternalFailure"), (":error-message", "oh \"no\"")];
    write_message(&mut stream, &error, b"");
    assert_eq!(whole_messages(&stream), Ok(stream.len()));
    let read: Vec<Message<'_>> = messages(&stream).collect();
    let kinds: Vec<_> = read.iter().map(|message| message.kind).collect();
    assert_eq!(kinds, [MessageKind::Event, MessageKind::Exception, MessageKind::Error]);
    let frames: Vec<_> =
        read.iter().map(|message| (message.frame().name.unwrap(), message.payload)).collect();
    assert_eq!(frames[1], (&b"throttlingException"[..], &b"{\"message\":\"slow\"}"[..]));
    assert_eq!(frames[2], (&b"error"[..], &b"oh \"no\""[..]));
    assert_eq!(read[1].range.end, read[2].range.start);
}

#[test]
fn headers_of_every_type_are_passed_over() {
    let mut headers: Vec<u8> = Vec::new();
    let values: [&[u8]; 10] = [
        &[0],
        &[1],
        &[2, 9],
        &[3, 0, 9],
        &[4, 0, 0, 0, 9],
        &[5, 0, 0, 0, 0, 0, 0, 0, 9],
        &[6, 0, 2, 1, 2],
        &[7, 0, 1, b'x'],
        &[8, 0, 0, 0, 0, 0, 0, 0, 9],
        &[9; 17],
    ];
    for value in values {
        headers.extend_from_slice(&[1, b'h']);
        headers.extend_from_slice(value);
    }
    let stream = raw_message(&headers, b"{}");
    assert_eq!(whole_messages(&stream), Ok(stream.len()));
    assert_eq!(messages(&stream).next().unwrap().payload, b"{}");
    for broken in [&[1][..], &[1, b'h', 10], &[1, b'h', 7, 0, 9, b'x'], &[0], &[1, b'h', 9, 1]] {
        assert!(whole_messages(&raw_message(broken, b"{}")).is_err(), "{broken:?}");
    }
}

/// A message with these bytes as headers.
fn raw_message(headers: &[u8], payload: &[u8]) -> Vec<u8> {
    let number = |length: usize| u32::try_from(length).expect("a short length").to_be_bytes();
    let mut out = number(headers.len() + payload.len() + 16).to_vec();
    out.extend(number(headers.len()));
    out.extend(crc32(&out).to_be_bytes());
    out.extend_from_slice(headers);
    out.extend_from_slice(payload);
    out.extend(crc32(&out).to_be_bytes());
    out
}

/// CRC-32 by its definition, bit after bit.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
    let byte = |crc: u32, byte: &u8| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc));
    !bytes.iter().fold(!0, byte)
}

#[test]
fn what_is_damaged_is_refused() {
    let whole = event("contentBlockDelta", "{\"delta\":{\"text\":\"Hello\"}}");
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        assert!(whole_messages(&damaged).is_err(), "byte {at}");
    }
    // Lengths that cannot be are refused as soon as they are there.
    for (length, headers) in [(15, 0), (MAX_MESSAGE_BYTES + 1, 0), (100, 85), (0, 0), (100, usize::MAX >> 32)]
    {
        let number = |length: usize| u32::try_from(length).unwrap().to_be_bytes();
        let mut prelude = number(length).to_vec();
        prelude.extend(number(headers));
        prelude.extend(crc32(&prelude).to_be_bytes());
        assert!(whole_messages(&prelude).is_err(), "{length} {headers}");
    }
}

#[test]
fn recorded_stream() {
    let Some(stream) = support::recorded::oddity("bedrock/bedrock-converse-streaming.bin") else { return };
    assert_eq!(whole_messages(&stream), Ok(stream.len()));
    let names: Vec<_> =
        messages(&stream).map(|message| String::from_utf8_lossy(message.name).into_owned()).collect();
    let expected = [
        "messageStart",
        "contentBlockDelta",
        "contentBlockDelta",
        "contentBlockStop",
        "messageStop",
        "metadata",
    ];
    assert_eq!(names, expected);
    // Written anew with the same headers, it is the same bytes.
    let mut again = Vec::new();
    for message in messages(&stream) {
        let name = std::str::from_utf8(message.name).unwrap();
        write_event(&mut again, name, |out| out.extend_from_slice(message.payload));
    }
    assert_eq!(again, stream);
}

proptest! {
    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        fuzz_bodies::event_stream(&bytes);
    }

    #[test]
    fn any_messages(choice in any::<u8>(), payloads in proptest::collection::vec("[ -~]{0,60}", 0..6)) {
        let mut stream = vec![choice];
        payloads.iter().for_each(|payload| stream.extend(event("contentBlockDelta", payload)));
        fuzz_bodies::event_stream(&stream);
    }
}
