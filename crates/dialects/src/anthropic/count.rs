//! Answers of `/v1/messages/count_tokens`.

use crate::json::{Doc, Out};

/// Appends an answer.
pub fn write_token_count(tokens: u64, out: &mut Vec<u8>) {
    Out::new(out).begin_object().key("input_tokens").number(tokens).end_object();
}

/// The tokens an answer counts; `None` where it is none.
#[must_use]
pub fn read_token_count(doc: &Doc<'_>) -> Option<u64> {
    doc.root().get("input_tokens")?.u64()
}
