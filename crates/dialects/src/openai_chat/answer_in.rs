//! Reading a whole answer.

use super::message::Fields;
use super::names::{FAILED, PAUSED, Seen, read_finish};
use super::{content, messages_in, thinking};
use crate::exchange::{ChatAnswer, Choice, Dropped, Finish, Media, Part, PartKind, Raw, Source, Text};
use crate::json::{Doc, Value};
use crate::openai::read_usage;
use crate::wire::Malformed;

/// Reads a provider's answer.
///
/// # Errors
///
/// Where it has no list of choices, or a tool call names no tool.
pub fn read_answer<'d>(doc: &'d Doc<'d>) -> Result<ChatAnswer<'d>, Malformed> {
    let root = doc.root();
    let choices =
        root.get("choices").filter(|choices| choices.is_array()).ok_or(Malformed("has no choices"))?;
    Ok(ChatAnswer {
        id: root.text_of("id").filter(|id| !id.is_empty()),
        model: root.text_of("model").filter(|model| !model.is_empty()),
        choices: choices.elements().map(read_choice).collect::<Result<_, _>>()?,
        usage: root.get("usage").and_then(|usage| read_usage(usage.raw())),
        service_tier: root.text_of("service_tier"),
    })
}

fn read_choice(choice: Value<'_>) -> Result<Choice<'_>, Malformed> {
    let fields = choice.get("message").map(|message| Fields::of(message, |_| {})).unwrap_or_default();
    let parts = read_parts(&fields)?;
    let stop_sequence = choice.text_of("stop_reason");
    let seen = Seen {
        tools: parts.iter().any(|part| matches!(part.kind, PartKind::ToolCall(_))),
        refusal: parts.iter().any(|part| matches!(part.kind, PartKind::Refusal(_))),
        stop_sequence: stop_sequence.is_some(),
        paused: is_marked(choice, PAUSED),
        failed: is_marked(choice, FAILED),
    };
    let finish = choice.text_of("finish_reason").map_or(Finish::Stop, |reason| read_finish(&reason));
    let finish = seen.refine(finish);
    Ok(Choice {
        parts,
        finish,
        stop_sequence: stop_sequence.filter(|_| finish == Finish::StopSequence),
        logprobs: choice
            .get("logprobs")
            .filter(|value| value.is_object())
            .map(|value| Raw::written(value.raw())),
        citations: fields
            .annotations
            .into_iter()
            .flat_map(Value::elements)
            .map(|cited| Raw::written(cited.raw()))
            .collect(),
    })
}

/// Whether the reason of the provider behind the provider is one of our marks.
pub(super) fn is_marked(choice: Value<'_>, mark: &str) -> bool {
    choice.get("native_finish_reason").is_some_and(|reason| reason.is(mark))
}

fn read_parts<'d>(fields: &Fields<'d>) -> Result<Vec<Part<'d>>, Malformed> {
    let mut parts: Vec<Part<'d>> = thinking::read(fields).into_iter().map(Part::from).collect();
    // What is left behind in an answer is of kinds nobody knows yet; there is nobody to tell.
    content::read(fields.content, &mut parts, &mut Dropped::default())
        .map_err(|_| Malformed("has a malformed content"))?;
    let refusal = fields.refusal.and_then(Value::text).filter(|text| !text.is_empty());
    parts.extend(refusal.map(|text| PartKind::Refusal(text).into()));
    messages_in::read_images(fields.images, |image| parts.push(PartKind::Image(image).into()));
    if let Some(audio) = fields.audio {
        read_audio(audio, &mut parts);
    }
    for (at, call) in fields.tool_calls.into_iter().flat_map(Value::elements).enumerate() {
        let mut call = messages_in::read_call(call).ok_or(Malformed("has a tool call that names no tool"))?;
        if call.id.is_empty() {
            call.id = Text::plain(&format!("call_{at}"));
        }
        parts.push(PartKind::ToolCall(call).into());
    }
    if let Some(call) = fields.function_call {
        let call = messages_in::read_function(call, Text::literal("call_0"));
        let call = call.ok_or(Malformed("has a function call that names no function"))?;
        parts.push(PartKind::ToolCall(call).into());
    }
    Ok(parts)
}

/// Sound, and what is said in it, which is no content of its own.
fn read_audio<'d>(audio: Value<'d>, parts: &mut Vec<Part<'d>>) {
    let transcript = audio.text_of("transcript").filter(|text| !text.is_empty());
    if !parts.iter().any(|part| matches!(part.kind, PartKind::Text(_))) {
        parts.extend(transcript.map(|text| PartKind::Text(text).into()));
    }
    if let Some(data) = audio.text_of("data") {
        let media = Media { source: Source::Base64(data), media_type: None, name: None, detail: None };
        parts.push(PartKind::Audio(media).into());
    }
}
