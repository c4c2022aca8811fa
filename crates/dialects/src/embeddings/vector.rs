use std::io::Write;

use super::base64;
use crate::exchange::{Raw, Text};
use crate::json::{Kind, Out, Value, elements};
use crate::wire::Malformed;

/// One vector, as it is written.
#[derive(Clone, Debug, PartialEq)]
pub enum Vector<'a> {
    /// A JSON array of numbers.
    Floats(Raw<'a>),
    /// Base64 of 32-bit numbers, little-endian.
    Base64(Text<'a>),
}

impl<'a> Vector<'a> {
    /// Reads a vector in either form.
    pub(super) fn read(value: Value<'a>) -> Result<Self, Malformed> {
        match value.text() {
            Some(text) if value.raw().contains(&b'\\') => Ok(Self::Base64(Text::plain(&text.decode()))),
            Some(text) => Ok(Self::Base64(text)),
            None if value.is_array() && value.elements().all(|number| number.kind() == Kind::Number) => {
                Ok(Self::Floats(Raw::written(value.raw())))
            }
            None => Err(Malformed("has a vector that is none")),
        }
    }

    /// Appends it as an array of numbers. Base64 that is none is an empty array.
    pub(super) fn write_floats(&self, out: &mut Out<'_>) {
        let text = match self {
            Self::Floats(array) => {
                out.raw(array.as_bytes());
                return;
            }
            Self::Base64(text) => text,
        };
        let bytes = base64::decode(text.as_escaped()).unwrap_or_default();
        out.begin_array();
        for number in bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)) {
            if !out.bytes().ends_with(b"[") {
                out.bytes().push(b',');
            }
            // Its shortest form that reads back the same. What is no number has no form in JSON.
            let written = if number.is_finite() {
                write!(out.bytes(), "{number:?}")
            } else {
                write!(out.bytes(), "null")
            };
            debug_assert!(written.is_ok(), "writing to memory does not fail");
        }
        out.end_array();
    }

    /// Appends it as base64 of 32-bit numbers.
    pub(super) fn write_base64(&self, out: &mut Out<'_>) {
        let array = match self {
            Self::Base64(text) => {
                out.text(text);
                return;
            }
            Self::Floats(array) => array,
        };
        let number = |written: &[u8]| std::str::from_utf8(written).ok()?.parse::<f32>().ok();
        let numbers = elements(array.as_bytes()).map(|written| number(written).unwrap_or_default());
        let bytes: Vec<u8> = numbers.flat_map(f32::to_le_bytes).collect();
        // The quotes as a text of nothing, taken apart for what goes between.
        out.string("");
        out.bytes().pop();
        base64::encode(&bytes, out.bytes());
        out.bytes().push(b'"');
    }
}
