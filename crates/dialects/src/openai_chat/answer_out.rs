//! Writing a whole answer.

use sluice_types::Usage;

use super::names::{FAILED, PAUSED, SERVICE_TIERS, write_finish};
use super::{media, messages_out, thinking};
use crate::exchange::{ChatAnswer, Choice, Finish, Part, PartKind, Raw, Source, Text};
use crate::json::{Doc, Out, Value};
use crate::wire::AnswerContext;

/// Appends the answer for a client.
pub fn write_answer(answer: &ChatAnswer<'_>, context: &AnswerContext, out: &mut Vec<u8>) {
    let mut out = Out::new(out);
    out.begin_object()
        .key("id")
        .text(&answer_id(answer.id.as_ref(), context))
        .field("object", "chat.completion");
    out.key("created").number(context.created).field("model", &context.model).key("choices").begin_array();
    for (index, choice) in answer.choices.iter().enumerate() {
        write_choice(index as u64, choice, context, &mut out);
    }
    if answer.choices.is_empty() {
        // The prompt was refused. Clients look at the first choice without asking whether there is one.
        let refused = Choice { finish: Finish::ContentFilter, ..Choice::default() };
        write_choice(0, &refused, context, &mut out);
    }
    out.end_array();
    let known = |tier: &&Text<'_>| SERVICE_TIERS.iter().any(|known| tier.is(known));
    out.field_text("service_tier", answer.service_tier.as_ref().filter(known));
    if let Some(usage) = &answer.usage {
        write_usage(usage, &mut out);
    }
    out.end_object();
}

/// The provider's id where it is one of this dialect, else one of ours.
pub(super) fn answer_id<'t>(id: Option<&'t Text<'_>>, context: &AnswerContext) -> Text<'t> {
    match id {
        Some(id) if id.as_escaped().starts_with(b"chatcmpl-") => id.borrow(),
        _ => Text::plain(&format!("chatcmpl-{}", context.id)),
    }
}

fn write_choice(index: u64, choice: &Choice<'_>, context: &AnswerContext, out: &mut Out<'_>) {
    out.begin_object().key("index").number(index).key("message");
    write_message(choice, context, out);
    out.key("logprobs");
    match &choice.logprobs {
        Some(logprobs) => out.raw(logprobs.as_bytes()),
        None => out.null(),
    };
    let has_refusal = choice.parts.iter().any(|part| matches!(part.kind, PartKind::Refusal(_)));
    out.field("finish_reason", write_finish(choice.finish, has_refusal));
    write_finish_details(choice.finish, choice.stop_sequence.as_ref(), out);
    out.end_object();
}

/// What OpenAI does not say of an end: the stop text (in vLLM's `stop_reason`), and that a turn was paused or
/// failed.
pub(super) fn write_finish_details(finish: Finish, stop_sequence: Option<&Text<'_>>, out: &mut Out<'_>) {
    match finish {
        Finish::StopSequence => out.field_text("stop_reason", stop_sequence),
        Finish::Pause => out.field("native_finish_reason", PAUSED),
        Finish::Error => out.field("native_finish_reason", FAILED),
        _ => out,
    };
}

fn write_message(choice: &Choice<'_>, context: &AnswerContext, out: &mut Out<'_>) {
    let parts = &choice.parts;
    out.begin_object().field("role", "assistant").key("content");
    write_joined(parts, |kind| if let PartKind::Text(text) = kind { Some(text) } else { None }, out);
    out.key("refusal");
    write_joined(parts, |kind| if let PartKind::Refusal(text) = kind { Some(text) } else { None }, out);
    thinking::write(parts, true, out);
    write_calls(parts, out);
    write_images(parts, out);
    write_audio(parts, context, out);
    write_citations(&choice.citations, out);
    out.end_object();
}

/// The texts of a kind as one string, `null` where there are none.
fn write_joined<'p>(
    parts: &'p [Part<'_>],
    text: impl for<'k> Fn(&'k PartKind<'p>) -> Option<&'k Text<'p>>,
    out: &mut Out<'_>,
) {
    let mut texts = parts.iter().filter_map(|part| text(&part.kind));
    let Some(first) = texts.next() else {
        out.null();
        return;
    };
    out.text(first);
    let bytes = out.bytes();
    for more in texts {
        bytes.pop();
        bytes.extend_from_slice(more.as_escaped());
        bytes.push(b'"');
    }
}

fn write_calls(parts: &[Part<'_>], out: &mut Out<'_>) {
    let mut calls = parts.iter().filter_map(|part| match &part.kind {
        PartKind::ToolCall(call) => Some(call),
        _ => None,
    });
    let Some(first) = calls.next() else { return };
    out.key("tool_calls").begin_array();
    for call in std::iter::once(first).chain(calls) {
        messages_out::write_call(call, &call.id, &call.name, true, out);
    }
    out.end_array();
}

fn write_images(parts: &[Part<'_>], out: &mut Out<'_>) {
    let is_image = |part: &&Part<'_>| matches!(part.kind, PartKind::Image(_));
    if !parts.iter().any(|part| is_image(&part)) {
        return;
    }
    out.key("images").begin_array();
    for part in parts.iter().filter(is_image) {
        if media::open_part(&part.kind, out).is_ok() {
            out.end_object();
        }
    }
    out.end_array();
}

fn write_audio(parts: &[Part<'_>], context: &AnswerContext, out: &mut Out<'_>) {
    let data = parts.iter().find_map(|part| match &part.kind {
        PartKind::Audio(media) => match &media.source {
            Source::Base64(data) => Some(data),
            _ => None,
        },
        _ => None,
    });
    let Some(data) = data else { return };
    out.key("audio").begin_object().field("id", &format!("audio_{}", context.id));
    // It is nowhere kept to be referred to, so its id is of no use from the beginning.
    out.key("expires_at").number(context.created).key("data").text(data).field("transcript", "").end_object();
}

/// Citations of URLs, as chat completions or Responses write them; others have no place here.
fn write_citations(citations: &[Raw<'_>], out: &mut Out<'_>) {
    let mut begun = false;
    for citation in citations {
        let Ok(doc) = Doc::parse(citation.as_bytes()) else { continue };
        let root = doc.root();
        if !root.get("type").is_some_and(|kind| kind.is("url_citation")) {
            continue;
        }
        if !begun {
            out.key("annotations").begin_array();
            begun = true;
        }
        let inner = root.get("url_citation").unwrap_or(root);
        out.begin_object().field("type", "url_citation").key("url_citation").begin_object();
        for name in ["start_index", "end_index", "url", "title"] {
            out.field_raw(name, inner.get(name).map(Value::raw));
        }
        out.end_object().end_object();
    }
    if begun {
        out.end_array();
    }
}

/// Appends `usage`.
pub(super) fn write_usage(usage: &Usage, out: &mut Out<'_>) {
    let some = |count: u32| (count > 0).then_some(u64::from(count));
    out.key("usage").begin_object();
    out.key("prompt_tokens").number(usage.input.into()).key("completion_tokens").number(usage.output.into());
    out.key("total_tokens").number(usage.total()).key("prompt_tokens_details").begin_object();
    out.key("cached_tokens").number(usage.cached_input.into());
    out.field_number("cache_write_tokens", some(usage.cache_write));
    out.field_number("audio_tokens", some(usage.audio_input));
    out.field_number("image_tokens", some(usage.image_input)).end_object();
    out.key("completion_tokens_details").begin_object();
    out.key("reasoning_tokens").number(usage.reasoning.into());
    out.field_number("audio_tokens", some(usage.audio_output));
    out.field_number("image_tokens", some(usage.image_output)).end_object().end_object();
}
