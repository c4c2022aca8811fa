//! Whole answers.

use super::blocks_in::Blocks;
use super::finish::{read_stop_reason, stop_reason};
use super::media::{Sort, can_write, write_media};
use super::usage::{read_usage, write_usage};
use crate::exchange::{ChatAnswer, Choice, Dropped, Finish, Media, Part, PartKind, Text, ToolCall};
use crate::json::{Doc, Out};
use crate::wire::{AnswerContext, Malformed};

/// Reads an answer.
///
/// # Errors
///
/// Where it has no message, or one that cannot be read.
pub fn read_answer<'d>(doc: &'d Doc<'d>) -> Result<ChatAnswer<'d>, Malformed> {
    let root = doc.root();
    let content = root.get("output").and_then(|output| output.get("message")?.get("content"));
    let content = content.ok_or(Malformed("has no message"))?;
    let blocks = Blocks::read(content, &mut Dropped::default())
        .map_err(|_| Malformed("has a message that cannot be read"))?;
    let stop_sequence =
        root.get("additionalModelResponseFields").and_then(|fields| fields.text_of("stop_sequence"));
    let choice = Choice {
        parts: blocks.parts,
        finish: read_stop_reason(root.text_of("stopReason").as_ref()),
        stop_sequence,
        logprobs: None,
        citations: blocks.citations,
    };
    Ok(ChatAnswer {
        id: None,
        model: None,
        choices: vec![choice],
        usage: root.get("usage").and_then(|usage| read_usage(usage.raw())),
        service_tier: root.get("serviceTier").and_then(|tier| tier.text_of("type")),
    })
}

/// Writes an answer. Its id and its model have no place in it; of several choices the first is the answer.
pub fn write_answer(answer: &ChatAnswer<'_>, _: &AnswerContext, out: &mut Vec<u8>) {
    let mut out = Out::new(out);
    let choice = answer.choices.first();
    out.begin_object().key("output").begin_object().key("message").begin_object();
    out.field("role", "assistant").key("content").begin_array();
    for part in choice.into_iter().flat_map(|choice| &choice.parts) {
        write_part(part, &mut out);
    }
    out.end_array().end_object().end_object();
    // Without a choice the prompt was refused.
    out.field("stopReason", stop_reason(choice.map_or(Finish::ContentFilter, |choice| choice.finish)));
    write_usage(&answer.usage.unwrap_or_default(), &mut out);
    out.key("metrics").begin_object().key("latencyMs").number(0).end_object();
    if let Some(sequence) = choice.and_then(|choice| choice.stop_sequence.as_ref()) {
        out.key("additionalModelResponseFields").begin_object();
        out.field_text("stop_sequence", Some(sequence)).end_object();
    }
    let known =
        |tier: &&Text<'_>| ["default", "flex", "priority", "reserved"].iter().any(|known| tier.is(known));
    if let Some(tier) = answer.service_tier.as_ref().filter(known) {
        out.key("serviceTier").begin_object().field_text("type", Some(tier)).end_object();
    }
    out.end_object();
}

fn write_part(part: &Part<'_>, out: &mut Out<'_>) {
    match &part.kind {
        PartKind::Text(text) | PartKind::Refusal(text) if text.is_empty() => {}
        PartKind::Text(text) | PartKind::Refusal(text) => {
            out.begin_object().field_text("text", Some(text)).end_object();
        }
        PartKind::Thinking { text, signature } => {
            out.begin_object().key("reasoningContent").begin_object().key("reasoningText").begin_object();
            out.field_text("text", Some(text)).field_text("signature", signature.as_ref());
            out.end_object().end_object().end_object();
        }
        PartKind::RedactedThinking(data) => {
            out.begin_object().key("reasoningContent").begin_object();
            out.field_text("redactedContent", Some(data)).end_object().end_object();
        }
        PartKind::ToolCall(call) => write_call(call, out),
        PartKind::Image(media) => write_generated(Sort::Image, media, out),
        PartKind::Audio(media) => write_generated(Sort::Audio, media, out),
        PartKind::Document(_) | PartKind::Video(_) | PartKind::ToolResult(_) => {}
    }
}

fn write_call(call: &ToolCall<'_>, out: &mut Out<'_>) {
    if let Some(proof) = &call.signature {
        out.begin_object().key("reasoningContent").begin_object().key("reasoningText").begin_object();
        out.field("text", "").field_text("signature", Some(&marked(proof)));
        out.end_object().end_object().end_object();
    }
    out.begin_object().key("toolUse").begin_object();
    out.field_text("toolUseId", Some(&call.id)).field_text("name", Some(&call.name)).key("input");
    if call.custom {
        out.begin_object().field_text("input", Some(&call.arguments.to_text())).end_object();
    } else {
        call.arguments.write_object(out.bytes());
    }
    out.end_object().end_object();
}

/// What the proof that goes with a call (Gemini's) begins with in the `signature` of an empty thought before it. Clients
/// give those back as they are. No signature of a thought has a dot in it.
const CALL_MARK: &str = "call.";

/// A call's proof as a signature.
pub(super) fn marked(proof: &Text<'_>) -> Text<'static> {
    let mut marked = Text::literal(CALL_MARK);
    marked.push(proof);
    marked
}

/// The proof of a call that a signature is, if it is one.
pub(super) fn unmarked(signature: &Text<'_>) -> Option<Text<'static>> {
    let decoded = signature.decode();
    decoded.strip_prefix(CALL_MARK).map(Text::plain)
}

/// A medium of a format that has no name here is left out.
fn write_generated(sort: Sort, media: &Media<'_>, out: &mut Out<'_>) {
    if can_write(sort, media) {
        write_media(sort, media, &mut Vec::new(), out);
    }
}
