//! Thinking in all the ways it is written; see the module above for ours.

use super::message::Fields;
use crate::exchange::{Part, PartKind, Text};
use crate::json::{Out, Value};

/// The thoughts of a message, or what a delta holds of them, in order.
///
/// `thinking_blocks` and OpenRouter's `reasoning_details` say more than `reasoning_content` and `reasoning`, whose text they
/// repeat; those count where the blocks have no text.
pub(super) fn read<'d>(fields: &Fields<'d>) -> Vec<PartKind<'d>> {
    let plain = [fields.reasoning_content, fields.reasoning].into_iter().flatten().find_map(non_empty_text);
    let blocks = fields.thinking_blocks.or(fields.reasoning_details);
    let mut thoughts: Vec<_> =
        blocks.into_iter().flat_map(|blocks| blocks.elements().filter_map(block)).collect();
    let Some(plain) = plain else { return thoughts };
    let has_text =
        |thought: &PartKind<'_>| matches!(thought, PartKind::Thinking { text, .. } if !text.is_empty());
    if thoughts.iter().any(has_text) {
        return thoughts;
    }
    match thoughts.iter_mut().find(|thought| matches!(thought, PartKind::Thinking { .. })) {
        Some(PartKind::Thinking { text, .. }) => *text = plain,
        _ => thoughts.insert(0, PartKind::Thinking { text: plain, signature: None }),
    }
    thoughts
}

fn non_empty_text(value: Value<'_>) -> Option<Text<'_>> {
    value.text().filter(|text| !text.is_empty())
}

/// One of `thinking_blocks` or `reasoning_details`.
fn block(block: Value<'_>) -> Option<PartKind<'_>> {
    let kind = block.text_of("type")?;
    let text = match &*kind.decode() {
        "redacted_thinking" | "reasoning.encrypted" => {
            return block.text_of("data").map(PartKind::RedactedThinking);
        }
        "thinking" => block.text_of("thinking"),
        "reasoning.text" => block.text_of("text"),
        "reasoning.summary" => block.text_of("summary"),
        _ => return None,
    };
    let signature = block.get("signature").and_then(non_empty_text);
    let text = text.unwrap_or_default();
    (signature.is_some() || !text.is_empty()).then_some(PartKind::Thinking { text, signature })
}

/// Appends `reasoning_content`, and `thinking_blocks` where there is more to say and they are wanted.
pub(super) fn write(parts: &[Part<'_>], with_blocks: bool, out: &mut Out<'_>) {
    let mut joined: Option<Text<'_>> = None;
    let mut has_more = false;
    for part in parts {
        match &part.kind {
            PartKind::Thinking { text, signature } => {
                has_more |= signature.is_some();
                match &mut joined {
                    Some(joined) => joined.push(text),
                    None => joined = Some(text.borrow()),
                }
            }
            PartKind::RedactedThinking(_) => has_more = true,
            _ => {}
        }
    }
    out.field_text("reasoning_content", joined.as_ref().filter(|text| !text.is_empty()));
    if has_more && with_blocks {
        out.key("thinking_blocks").begin_array();
        parts.iter().for_each(|part| write_block(&part.kind, out));
        out.end_array();
    }
}

fn write_block(thought: &PartKind<'_>, out: &mut Out<'_>) {
    match thought {
        PartKind::Thinking { text, signature } => signed(text, signature.as_ref(), out),
        PartKind::RedactedThinking(data) => redacted(data, out),
        _ => {}
    }
}

/// One thought.
pub(super) fn signed(text: &Text<'_>, signature: Option<&Text<'_>>, out: &mut Out<'_>) {
    out.begin_object().field("type", "thinking").key("thinking").text(text);
    out.field_text("signature", signature).end_object();
}

/// One encrypted thought.
pub(super) fn redacted(data: &Text<'_>, out: &mut Out<'_>) {
    out.begin_object().field("type", "redacted_thinking").key("data").text(data).end_object();
}
