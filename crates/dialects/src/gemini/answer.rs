//! Whole answers.

use super::contents_in::{CallIds, read_parts, stem_of};
use super::contents_out::{write_call, write_part};
use super::finish::{finish_message, finish_reason, read_finish};
use super::logprobs;
use super::usage::{read_usage, write_usage};
use crate::exchange::{ChatAnswer, Choice, Dropped, Finish, Part, PartKind, Text};
use crate::json::{Doc, Out, Value};
use crate::wire::{AnswerContext, Malformed};

/// Reads an answer of `generateContent`.
///
/// # Errors
///
/// Where it holds neither candidates nor a reason why there are none.
pub fn read_answer<'d>(doc: &'d Doc<'d>) -> Result<ChatAnswer<'d>, Malformed> {
    let root = doc.root();
    let id = root.text_of("responseId");
    let mut answer = ChatAnswer { model: root.text_of("modelVersion"), ..ChatAnswer::default() };
    let mut ids = CallIds::after(stem_of(id.as_ref()).into(), 0);
    answer.id = id;
    answer.usage = root.get("usageMetadata").and_then(|usage| read_usage(usage.raw()));
    for candidate in root.get("candidates").into_iter().flat_map(Value::elements) {
        answer.choices.push(read_candidate(candidate, &mut ids)?);
    }
    if answer.choices.is_empty() {
        answer.choices.push(without_candidates(root, answer.usage.is_some())?);
    }
    Ok(answer)
}

fn read_candidate<'d>(candidate: Value<'d>, ids: &mut CallIds<'d>) -> Result<Choice<'d>, Malformed> {
    let mut parts = Vec::new();
    if let Some(content) = candidate.get("content") {
        // What has no canonical form (code that Google ran, its output) other dialects have no place for either.
        read_parts(content, ids, &mut Dropped::default(), &mut parts)
            .map_err(|_| Malformed("holds a part that is not what it says it is"))?;
    }
    let has_calls = parts.iter().any(|part| matches!(part.kind, PartKind::ToolCall(_)));
    let reason = candidate.text_of("finishReason").unwrap_or_default();
    Ok(Choice {
        parts,
        finish: read_finish(&reason, has_calls),
        stop_sequence: None,
        logprobs: candidate.get("logprobsResult").and_then(logprobs::to_openai),
        citations: Vec::new(),
    })
}

/// A prompt that was blocked has no candidates, and neither has a generation that failed at once.
fn without_candidates<'d>(root: Value<'_>, has_usage: bool) -> Result<Choice<'d>, Malformed> {
    let finish = match root.get("promptFeedback").and_then(|feedback| feedback.get("blockReason")) {
        Some(_) => Finish::ContentFilter,
        None if has_usage => Finish::Error,
        None => return Err(Malformed("holds no candidates")),
    };
    Ok(Choice { finish, ..Choice::default() })
}

/// Appends an answer of `generateContent`.
pub fn write_answer(answer: &ChatAnswer<'_>, context: &AnswerContext, out: &mut Vec<u8>) {
    let mut out = Out::new(out);
    out.begin_object();
    if answer.choices.is_empty() {
        out.key("promptFeedback").begin_object().field("blockReason", "SAFETY").end_object();
    } else {
        out.key("candidates").begin_array();
        for (index, choice) in answer.choices.iter().enumerate() {
            write_candidate(index, choice, &mut out);
        }
        out.end_array();
    }
    if let Some(usage) = &answer.usage {
        write_usage(usage, out.key("usageMetadata"));
    }
    write_origin(answer.id.as_ref(), context, &mut out);
    out.end_object();
}

fn write_candidate(index: usize, choice: &Choice<'_>, out: &mut Out<'_>) {
    out.begin_object();
    if !choice.parts.is_empty() {
        out.key("content").begin_object().key("parts").begin_array();
        choice.parts.iter().for_each(|part| write_answer_part(part, out));
        out.end_array().field("role", "model").end_object();
    }
    out.field("finishReason", finish_reason(choice.finish));
    if let Some(message) = finish_message(choice.finish) {
        out.field("finishMessage", message);
    }
    out.field_number("index", Some(index as u64));
    if let Some(logprobs) = &choice.logprobs {
        logprobs::write_google(logprobs, out);
    }
    out.end_object();
}

fn write_answer_part(part: &Part<'_>, out: &mut Out<'_>) {
    match &part.kind {
        PartKind::ToolCall(call) => write_call(call, &call.name, true, false, out),
        PartKind::Thinking { text, signature } => write_thought(text, signature.as_ref(), out),
        // Not a generated medium without a type, which no client could show.
        kind => write_part(kind, out),
    }
}

/// Appends a thought with its signature.
pub(super) fn write_thought(text: &Text<'_>, signature: Option<&Text<'_>>, out: &mut Out<'_>) {
    out.begin_object().key("text").text(text).key("thought").bool(true);
    out.field_text("thoughtSignature", signature).end_object();
}

/// Appends what says which model answered, and under which id.
pub(super) fn write_origin(id: Option<&Text<'_>>, context: &AnswerContext, out: &mut Out<'_>) {
    out.field("modelVersion", &context.model);
    match id.filter(|id| is_ours(id)) {
        Some(id) => out.key("responseId").text(id),
        None => out.field("responseId", &context.id),
    };
}

/// Whether an id looks like one of Google's: two dozen letters of the alphabet of base64 for addresses, without the
/// prefixes other dialects have.
fn is_ours(id: &Text<'_>) -> bool {
    let id = id.as_escaped();
    (16..=32).contains(&id.len())
        && id.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(byte))
        && !["chatcmpl", "cmpl-", "msg_", "resp_", "gen-"]
            .iter()
            .any(|prefix| id.starts_with(prefix.as_bytes()))
}
