//! Whole answers.

use super::finish::{explanation_of, read_finish, reason_of};
use super::usage::{Counts, write_usage};
use super::{FORMAT_TOOL, TOOL_SIGNATURE};
use crate::exchange::{Arguments, ChatAnswer, Choice, Finish, Part, PartKind, Raw, Text, ToolCall};
use crate::json::{Doc, Out, Value};
use crate::wire::{AnswerContext, Malformed};
use sluice_types::Usage;

/// Kinds of citations. Those of other dialects are not written.
const CITATIONS: [&str; 5] = [
    "char_location",
    "page_location",
    "content_block_location",
    "web_search_result_location",
    "search_result_location",
];

/// Reads a whole answer. Blocks of the provider's own tools have no canonical form and are passed over: their outcome is
/// in the text. The call of the tool that stands in for a format is the text it was made for.
///
/// # Errors
///
/// Where there is no list of blocks.
pub fn read_answer<'d>(doc: &'d Doc<'d>) -> Result<ChatAnswer<'d>, Malformed> {
    let root = doc.root();
    let content = root.get("content").filter(|content| content.is_array());
    let content = content.ok_or(Malformed("has no list `content`"))?;
    let mut choice = Choice::default();
    let mut formatted = false;
    for block in content.elements() {
        match read_block(block, &mut choice.citations) {
            Some(PartKind::ToolCall(call)) if call.name.is(FORMAT_TOOL) => {
                formatted = true;
                choice.parts.push(PartKind::Text(call.arguments.to_text().into_owned()).into());
            }
            Some(kind) => choice.parts.push(kind.into()),
            None => {}
        }
    }
    choice.finish = root.text_of("stop_reason").map_or(Finish::Stop, |reason| read_finish(&reason));
    let is_call = |part: &Part<'_>| matches!(part.kind, PartKind::ToolCall(_));
    if formatted && choice.finish == Finish::ToolCalls && !choice.parts.iter().any(is_call) {
        choice.finish = Finish::Stop;
    }
    choice.stop_sequence = root.text_of("stop_sequence");
    if let Some(explanation) = root.get("stop_details").and_then(refusal_of) {
        choice.parts.push(PartKind::Refusal(explanation).into());
    }
    let usage = root.get("usage");
    Ok(ChatAnswer {
        id: root.text_of("id"),
        model: root.text_of("model"),
        choices: vec![choice],
        usage: usage.and_then(|usage| Counts::read(usage.raw())).map(|counts| counts.usage()),
        service_tier: usage.and_then(|usage| usage.text_of("service_tier")),
    })
}

/// Why the model refused, in words.
pub(super) fn refusal_of(details: Value<'_>) -> Option<Text<'_>> {
    details.text_of("explanation").filter(|text| !text.is_empty())
}

fn read_block<'d>(block: Value<'d>, citations: &mut Vec<Raw<'d>>) -> Option<PartKind<'d>> {
    let text = |name| block.text_of(name).filter(|text| !text.is_empty());
    match &*block.text_of("type")?.decode() {
        "text" => {
            let own = block.get("citations").into_iter().flat_map(Value::elements);
            citations.extend(own.map(|citation| Raw::written(citation.raw())));
            text("text").map(PartKind::Text)
        }
        "thinking" => {
            let (thought, signature) = (text("thinking"), text("signature"));
            (thought.is_some() || signature.is_some())
                .then(|| PartKind::Thinking { text: thought.unwrap_or_default(), signature })
        }
        "redacted_thinking" => text("data").map(PartKind::RedactedThinking),
        "tool_use" => Some(PartKind::ToolCall(ToolCall {
            id: block.text_of("id")?,
            name: block.text_of("name")?,
            arguments: Arguments::Object(object_of(block.get("input"))),
            signature: None,
            custom: false,
        })),
        _ => None,
    }
}

/// An object as it is written; an empty one where there is none.
pub(super) fn object_of(value: Option<Value<'_>>) -> Raw<'_> {
    Raw::written(value.filter(|value| value.is_object()).map_or(b"{}", Value::raw))
}

/// Appends a whole answer. Of several choices the first is written, for the dialect has one; generated media have no place
/// in it.
pub fn write_answer(answer: &ChatAnswer<'_>, context: &AnswerContext, out: &mut Vec<u8>) {
    let empty = Choice { finish: Finish::ContentFilter, ..Choice::default() };
    let choice = answer.choices.first().unwrap_or(&empty);
    let has_calls = choice.parts.iter().any(|part| matches!(part.kind, PartKind::ToolCall(_)));
    let mut out = Out::new(out);
    out.begin_object();
    write_head(&mut out, answer.id.as_ref(), answer.model.as_ref(), context);
    out.key("content").begin_array();
    write_parts(choice, context, &mut out);
    out.end_array();
    let refusal = choice.parts.iter().find_map(|part| match &part.kind {
        PartKind::Refusal(text) => Some(text),
        _ => None,
    });
    write_stop(&mut out, choice.finish, has_calls, choice.stop_sequence.as_ref(), refusal);
    out.key("usage");
    let tier = answer.service_tier.as_ref().and_then(tier_of);
    write_usage(&answer.usage.unwrap_or_default(), tier, &mut out);
    out.end_object();
}

/// The members an answer begins with, in a stream as well.
pub(super) fn write_head(
    out: &mut Out<'_>,
    id: Option<&Text<'_>>,
    model: Option<&Text<'_>>,
    context: &AnswerContext,
) {
    match id.filter(|id| id.as_escaped().starts_with(b"msg_")) {
        Some(id) => out.key("id").text(id),
        None => out.field("id", &format!("msg_{}", context.id)),
    };
    out.field("type", "message").field("role", "assistant");
    match model.filter(|_| context.model.is_empty()) {
        Some(model) => out.key("model").text(model),
        None => out.field("model", &context.model),
    };
}

/// Why it ended, as it stands in a whole answer and in the `delta` of a stream.
pub(super) fn write_stop(
    out: &mut Out<'_>,
    finish: Finish,
    has_calls: bool,
    sequence: Option<&Text<'_>>,
    refusal: Option<&Text<'_>>,
) {
    let reason = reason_of(finish, has_calls);
    out.field("stop_reason", reason);
    match sequence.filter(|_| finish == Finish::StopSequence) {
        Some(sequence) => out.key("stop_sequence").text(sequence),
        None => out.key("stop_sequence").null(),
    };
    if reason != "refusal" {
        return;
    }
    let fallback = explanation_of(finish);
    out.key("stop_details").begin_object().field("type", "refusal").key("category").null();
    match refusal.or(fallback.as_ref()) {
        Some(text) => out.key("explanation").text(text),
        None => out.key("explanation").null(),
    };
    out.end_object();
}

/// A refusal is shown as text where there is no other: clients show what is in the blocks.
fn write_parts(choice: &Choice<'_>, context: &AnswerContext, out: &mut Out<'_>) {
    let is_text = |part: &Part<'_>| matches!(&part.kind, PartKind::Text(text) if !text.is_empty());
    let has_text = choice.parts.iter().any(is_text);
    let mut citations = &choice.citations[..];
    for (nth, part) in choice.parts.iter().enumerate() {
        match &part.kind {
            PartKind::Text(text) if !text.is_empty() => {
                write_text(text, citations, out);
                citations = &[];
            }
            PartKind::Refusal(text) if !has_text && !text.is_empty() => write_text(text, &[], out),
            PartKind::Thinking { text, signature } => write_thinking(text, signature.as_ref(), out),
            PartKind::RedactedThinking(data) => {
                out.begin_object().field("type", "redacted_thinking").key("data").text(data).end_object();
            }
            PartKind::ToolCall(call) => write_call(call, nth, context, out),
            _ => {}
        }
    }
}

fn write_text(text: &Text<'_>, citations: &[Raw<'_>], out: &mut Out<'_>) {
    out.begin_object().field("type", "text").key("text").text(text);
    let mut own = citations.iter().filter(|citation| is_own_citation(citation.as_bytes())).peekable();
    if own.peek().is_some() {
        out.key("citations").begin_array();
        own.for_each(|citation| {
            out.raw(citation.as_bytes());
        });
        out.end_array();
    }
    out.end_object();
}

fn is_own_citation(citation: &[u8]) -> bool {
    let Ok(doc) = Doc::parse(citation) else { return false };
    doc.root().get("type").is_some_and(|kind| CITATIONS.iter().any(|known| kind.is(known)))
}

/// A thought. A missing signature is an empty one: the member is required, and what comes back without is dropped.
pub(super) fn write_thinking(text: &Text<'_>, signature: Option<&Text<'_>>, out: &mut Out<'_>) {
    out.begin_object().field("type", "thinking").key("thinking").text(text);
    out.key("signature").text(signature.unwrap_or(&Text::default())).end_object();
}

/// A call; `nth` makes an id for one that has none.
fn write_call(call: &ToolCall<'_>, nth: usize, context: &AnswerContext, out: &mut Out<'_>) {
    if let Some(signature) = &call.signature {
        write_thinking(&Text::default(), Some(&marked(signature)), out);
    }
    out.begin_object().field("type", "tool_use");
    if call.id.is_empty() {
        out.field("id", &made_id(context, nth));
    } else {
        out.key("id").text(&call.id);
    }
    out.key("name").text(&call.name).key("input");
    write_input(call, out);
    out.end_object();
}

/// The id of a call that the provider gave none.
pub(super) fn made_id(context: &AnswerContext, nth: usize) -> String {
    format!("toolu_{}_{nth}", context.id)
}

/// The proof that goes with a call (Gemini's), in the `signature` of an empty thought in front of it: clients give those
/// back as they are. The mark, which no signature can begin with, keeps it apart from those of thoughts.
pub(super) fn marked(signature: &Text<'_>) -> Text<'static> {
    let mut marked = Text::literal(TOOL_SIGNATURE);
    marked.push(signature);
    marked
}

/// A call's arguments as the object that the dialect demands; free text is the member `input` of one.
pub(super) fn write_input(call: &ToolCall<'_>, out: &mut Out<'_>) {
    match &call.arguments {
        Arguments::Text(text) if call.custom => {
            out.begin_object().key("input").text(text).end_object();
        }
        arguments => arguments.write_object(out.bytes()),
    }
}

/// The tier an answer was served at, in Anthropic's words.
fn tier_of(tier: &Text<'_>) -> Option<&'static str> {
    match &*tier.decode() {
        "standard" | "default" => Some("standard"),
        "priority" => Some("priority"),
        "batch" => Some("batch"),
        _ => None,
    }
}

/// Writes what is known at the beginning of a stream.
pub(super) fn write_start(
    out: &mut Out<'_>,
    id: Option<&Text<'_>>,
    model: Option<&Text<'_>>,
    usage: &Usage,
    context: &AnswerContext,
) {
    out.begin_object().field("type", "message_start").key("message").begin_object();
    write_head(out, id, model, context);
    out.key("content").begin_array().end_array();
    out.key("stop_reason").null().key("stop_sequence").null().key("usage");
    write_usage(usage, None, out);
    out.end_object().end_object();
}
