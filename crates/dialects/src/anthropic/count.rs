//! Answers of `/v1/messages/count_tokens`.

use crate::json::Out;

/// Appends an answer.
pub fn write_token_count(tokens: u64, out: &mut Vec<u8>) {
    Out::new(out).begin_object().key("input_tokens").number(tokens).end_object();
}
