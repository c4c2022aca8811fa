//! Reading whole answers, and the parts of them that streams end with.

use crate::exchange::{ChatAnswer, Choice, Finish, Media, PartKind, Raw, Source, Text};
use crate::json::{Doc, Value};
use crate::openai::read_usage;
use crate::wire::Malformed;

use super::items_in::{call, thought};

/// Reads an answer.
///
/// # Errors
///
/// What is no response, has not come to its end, or failed before anything was generated.
pub fn read_answer<'d>(doc: &'d Doc<'d>) -> Result<ChatAnswer<'d>, Malformed> {
    let response = doc.root();
    let output = response.get("output").filter(|output| output.is_array());
    let choice = match (status_of(response), output) {
        (Ended::Not, _) => return Err(Malformed("is a response that is not finished")),
        (Ended::Failed, None) => return Err(Malformed("is a response that failed")),
        (Ended::Failed, Some(output)) if output.elements().next().is_none() => {
            return Err(Malformed("is a response that failed"));
        }
        (_, None) => return Err(Malformed("is no response: it has no output")),
        (_, Some(output)) => read_output(response, output)?,
    };
    Ok(ChatAnswer {
        id: response.text_of("id"),
        model: response.text_of("model"),
        choices: vec![choice],
        usage: response.get("usage").and_then(|usage| read_usage(usage.raw())),
        service_tier: response.text_of("service_tier"),
    })
}

/// Whether a response is over.
enum Ended {
    Not,
    Failed,
    Yes,
}

fn status_of(response: Value<'_>) -> Ended {
    // Servers that are like OpenAI's leave it out.
    match response.text_of("status") {
        Some(status) if status.is("queued") || status.is("in_progress") => Ended::Not,
        Some(status) if status.is("failed") => Ended::Failed,
        _ => Ended::Yes,
    }
}

fn read_output<'d>(response: Value<'d>, output: Value<'d>) -> Result<Choice<'d>, Malformed> {
    let mut choice = Choice::default();
    for item in output.elements() {
        read_item(item, &mut choice)?;
    }
    let has = |test: fn(&PartKind<'_>) -> bool| choice.parts.iter().any(|part| test(&part.kind));
    let seen = Seen {
        calls: has(|kind| matches!(kind, PartKind::ToolCall(_))),
        text: has(|kind| matches!(kind, PartKind::Text(_))),
        refusal: has(|kind| matches!(kind, PartKind::Refusal(_))),
    };
    choice.finish = finish_of(response, seen);
    Ok(choice)
}

fn read_item<'d>(item: Value<'d>, choice: &mut Choice<'d>) -> Result<(), Malformed> {
    let Some(kind) = item.text_of("type") else { return Err(Malformed("has an item without a type")) };
    let read_call = |arguments, custom| {
        call(item, arguments, custom).map_err(|_| Malformed("has a tool call without a name or an id"))
    };
    match &*kind.decode() {
        "message" => read_message(item, choice),
        "function_call" => choice.parts.push(PartKind::ToolCall(read_call("arguments", false)?).into()),
        "custom_tool_call" => choice.parts.push(PartKind::ToolCall(read_call("input", true)?).into()),
        "reasoning" => choice.parts.extend(thought(item).map(Into::into)),
        "image_generation_call" => {
            choice.parts.extend(image(item).map(|image| PartKind::Image(image).into()));
        }
        // What the provider's own tools did; the answer's text tells of it.
        _ => {}
    }
    Ok(())
}

fn read_message<'d>(item: Value<'d>, choice: &mut Choice<'d>) {
    for part in item.get("content").into_iter().flat_map(Value::elements) {
        if let Some(text) = part.text_of("refusal") {
            choice.parts.push(PartKind::Refusal(text).into());
        } else if let Some(text) = part.text_of("text") {
            choice.parts.push(PartKind::Text(text).into());
            let annotations = part.get("annotations").into_iter().flat_map(Value::elements);
            choice.citations.extend(annotations.map(|annotation| Raw::written(annotation.raw())));
            if let Some(logprobs) = logprobs(part) {
                choice.logprobs = Some(logprobs);
            }
        }
    }
}

/// The probabilities of a part or of a fragment, in the object that chat completions have around them.
pub(super) fn logprobs(part: Value<'_>) -> Option<Raw<'static>> {
    let list = part.get("logprobs").filter(|list| list.elements().next().is_some())?;
    Some(Raw::owned([b"{\"content\":", list.raw(), b",\"refusal\":null}"].concat()))
}

/// A generated image; `None` where it failed.
pub(super) fn image(item: Value<'_>) -> Option<Media<'_>> {
    let data = item.text_of("result").filter(|data| !data.is_empty())?;
    let format = item.text_of("output_format");
    let media_type = match format.as_ref().map(Text::decode).as_deref() {
        Some("jpeg" | "jpg") => "image/jpeg",
        Some("webp") => "image/webp",
        _ => "image/png",
    };
    Some(Media {
        source: Source::Base64(data),
        media_type: Some(Text::literal(media_type)),
        name: None,
        detail: None,
    })
}

/// What an answer has, as far as it decides why it ended.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    pub(super) calls: bool,
    pub(super) text: bool,
    pub(super) refusal: bool,
}

/// Why a response ended.
pub(super) fn finish_of(response: Value<'_>, seen: Seen) -> Finish {
    let status = response.text_of("status");
    let reason = response.get("incomplete_details").and_then(|details| details.text_of("reason"));
    match (status.as_ref().map(Text::decode).as_deref(), reason) {
        (Some("failed" | "cancelled"), _) => Finish::Error,
        (_, Some(reason)) if reason.is("content_filter") => Finish::ContentFilter,
        (Some("incomplete"), _) | (_, Some(_)) => Finish::Length,
        _ if seen.calls => Finish::ToolCalls,
        _ if seen.refusal => Finish::Refusal,
        _ => Finish::Stop,
    }
}
