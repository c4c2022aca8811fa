use super::logprobs::{read_logprobs, write_logprobs};
use super::message_in::read_call;
use super::message_out::{joined, write_call_named, write_text_block};
use super::usage::{read_usage, write_usage};
use super::{finish_name, finish_of};
use crate::exchange::{ChatAnswer, Choice, Finish, Part, PartKind, Raw, Text};
use crate::json::{Doc, Out, Value};
use crate::wire::{AnswerContext, Malformed};

/// Reads what Cohere answers.
///
/// # Errors
///
/// Where there is no message.
pub fn read_answer<'d>(doc: &'d Doc<'d>) -> Result<ChatAnswer<'d>, Malformed> {
    let root = doc.root();
    let message =
        root.get("message").filter(|message| message.is_object()).ok_or(Malformed("has no message"))?;
    let choice = Choice {
        parts: read_parts(message)?,
        finish: root.text_of("finish_reason").map_or(Finish::Stop, |name| finish_of(&name)),
        stop_sequence: None,
        logprobs: read_logprobs(root.get("logprobs").into_iter().flat_map(Value::elements)),
        citations: message
            .get("citations")
            .into_iter()
            .flat_map(Value::elements)
            .map(|citation| Raw::written(citation.raw()))
            .collect(),
    };
    Ok(ChatAnswer {
        id: root.text_of("id"),
        model: root.text_of("model"),
        choices: vec![choice],
        usage: root.get("usage").and_then(|usage| read_usage(usage.raw())),
        service_tier: None,
    })
}

/// What was generated. The plan for the tools is text before their calls.
fn read_parts(message: Value<'_>) -> Result<Vec<Part<'_>>, Malformed> {
    let mut parts = Vec::<Part<'_>>::new();
    let content = message.get("content");
    parts.extend(content.and_then(Value::text).map(|text| PartKind::Text(text).into()));
    for block in content.into_iter().flat_map(Value::elements) {
        if let Some(text) = block.text_of("thinking") {
            parts.push(PartKind::Thinking { text, signature: None }.into());
        } else if let Some(text) = block.text_of("text") {
            parts.push(PartKind::Text(text).into());
        }
    }
    parts.extend(
        message.text_of("tool_plan").filter(|plan| !plan.is_empty()).map(|plan| PartKind::Text(plan).into()),
    );
    for (position, call) in message.get("tool_calls").into_iter().flat_map(Value::elements).enumerate() {
        parts.push(read_call(call, position).ok_or(Malformed("calls a tool without a name"))?);
    }
    Ok(parts)
}

/// Appends an answer as Cohere gives it: one choice, the first.
pub fn write_answer(answer: &ChatAnswer<'_>, context: &AnswerContext, out: &mut Vec<u8>) {
    let nothing = Choice { finish: Finish::ContentFilter, ..Choice::default() };
    let choice = answer.choices.first().unwrap_or(&nothing);
    let mut out = Out::new(out);
    out.begin_object().key("id");
    write_id(answer.id.as_ref(), context, &mut out);
    out.key("message");
    write_message(choice, &mut out);
    out.field("finish_reason", finish_name(choice.finish));
    if let Some(logprobs) = &choice.logprobs {
        out.key("logprobs");
        write_logprobs(logprobs, &mut out);
    }
    out.key("usage");
    write_usage(&answer.usage.unwrap_or_default(), &mut out);
    out.end_object();
}

/// The id: a UUID, the provider's where it gave one.
pub(crate) fn write_id(id: Option<&Text<'_>>, context: &AnswerContext, out: &mut Out<'_>) {
    if let Some(id) = id.filter(|id| is_uuid(id.as_escaped())) {
        out.text(id);
        return;
    }
    match context.id.as_bytes() {
        hex if hex.len() == 32 && hex.iter().all(u8::is_ascii_hexdigit) => {
            let id = &context.id;
            let uuid = format!("{}-{}-{}-{}-{}", &id[..8], &id[8..12], &id[12..16], &id[16..20], &id[20..]);
            out.string(&uuid);
        }
        _ => drop(out.string(&context.id)),
    }
}

fn is_uuid(id: &[u8]) -> bool {
    let fits = |(at, byte): (usize, &u8)| match at {
        8 | 13 | 18 | 23 => *byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    };
    id.len() == 36 && id.iter().enumerate().all(fits)
}

fn write_message(choice: &Choice<'_>, out: &mut Out<'_>) {
    let calls = || {
        choice.parts.iter().filter_map(|part| match &part.kind {
            PartKind::ToolCall(call) => Some(call),
            _ => None,
        })
    };
    let has_calls = calls().next().is_some();
    let mut texts = Vec::new();
    out.begin_object().field("role", "assistant");
    let mut content = Vec::new();
    let mut blocks = Out::new(&mut content);
    blocks.begin_array();
    for part in &choice.parts {
        match &part.kind {
            PartKind::Thinking { text, .. } if !text.is_empty() => {
                blocks.begin_object().field("type", "thinking").key("thinking").text(text).end_object();
            }
            PartKind::Text(text) | PartKind::Refusal(text) if has_calls => texts.push(text),
            PartKind::Text(text) | PartKind::Refusal(text) => write_text_block(text, &mut blocks),
            _ => {}
        }
    }
    blocks.end_array();
    if !has_calls || content.len() > 2 {
        out.key("content").raw(&content);
    }
    if has_calls {
        if !texts.is_empty() {
            out.key("tool_plan").text(&joined(&texts));
        }
        out.key("tool_calls").begin_array();
        calls().for_each(|call| write_call_named(&call.name, call, out));
        out.end_array();
    }
    write_citations(&choice.citations, out);
    out.end_object();
}

/// Citations of Cohere's own; those of other dialects point into documents in other ways.
fn write_citations(citations: &[Raw<'_>], out: &mut Out<'_>) {
    let is_own = |citation: &&Raw<'_>| {
        Doc::parse(citation.as_bytes())
            .is_ok_and(|doc| doc.root().get("sources").is_some_and(Value::is_array))
    };
    let mut own = citations.iter().filter(is_own).peekable();
    if own.peek().is_none() {
        return;
    }
    out.key("citations").begin_array();
    own.for_each(|citation| {
        out.raw(citation.as_bytes());
    });
    out.end_array();
}
