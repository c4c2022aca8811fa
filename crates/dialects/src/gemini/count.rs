//! Answers of `countTokens`.

use crate::json::{Doc, Out, Value};

/// Appends the body of an answer to `countTokens`.
pub fn write_token_count(tokens: u64, out: &mut Vec<u8>) {
    Out::new(out).begin_object().field_number("totalTokens", Some(tokens)).end_object();
}

/// Reads the body of an answer to `countTokens`; `None` where it is no such answer.
#[must_use]
pub fn read_token_count(body: &[u8]) -> Option<u64> {
    Doc::parse(body).ok()?.root().get("totalTokens").and_then(Value::u64)
}
