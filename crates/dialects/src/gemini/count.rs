//! Answers of `countTokens`.

use crate::json::Out;

/// Appends the body of an answer to `countTokens`.
pub fn write_token_count(tokens: u64, out: &mut Vec<u8>) {
    Out::new(out).begin_object().field_number("totalTokens", Some(tokens)).end_object();
}
