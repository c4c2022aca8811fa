//! The messages of a request, written.

use crate::cohere::joined;
use crate::exchange::{
    Arguments, ChatRequest, Dropped, Media, Message, Part, PartKind, Role, Source, Text, ToolCall,
    ToolResult, tool_name,
};
use crate::json::Out;

/// Whether a medium is taken: bytes of images, and documents of text.
pub(super) fn takes(kind: &PartKind<'_>) -> bool {
    matches!(
        kind,
        PartKind::Image(Media { source: Source::Base64(_), .. })
            | PartKind::Document(Media { source: Source::Text(_), .. })
    )
}

/// Appends the conversation as an array; returns how many messages it has.
pub(super) fn write_messages(request: &ChatRequest<'_>, dropped: &mut Dropped, out: &mut Out<'_>) -> usize {
    let mut count = 0;
    let mut calls = Vec::new();
    out.begin_array();
    for message in &request.messages {
        dropped.note_if(message.name.is_some(), "messages.name");
        dropped.note_if(message.parts.iter().any(|part| part.cache.is_some()), "cache_control");
        count += match message.role {
            Role::System => Content::of(message.parts.iter(), dropped).write("system", out),
            Role::User => write_user(request, message, &calls, dropped, out),
            Role::Assistant => {
                calls = message.parts.iter().filter_map(call_of).map(|call| &call.id).collect();
                write_assistant(message, dropped, out)
            }
        };
    }
    out.end_array();
    count
}

fn call_of<'m, 'a>(part: &'m Part<'a>) -> Option<&'m ToolCall<'a>> {
    match &part.kind {
        PartKind::ToolCall(call) => Some(call),
        _ => None,
    }
}

/// What tools answered, in the order of their calls since there are no ids, then what the user says. Images of tools go
/// with the latter.
fn write_user(
    request: &ChatRequest<'_>,
    message: &Message<'_>,
    calls: &[&Text<'_>],
    dropped: &mut Dropped,
    out: &mut Out<'_>,
) -> usize {
    let mut results: Vec<_> = message.parts.iter().filter_map(result_of).collect();
    results.sort_by_key(|result| calls.iter().position(|id| **id == result.id).unwrap_or(usize::MAX));
    for result in &results {
        dropped.note_if(result.is_error, "messages.tool.is_error");
        let texts: Vec<_> = result.parts.iter().filter_map(text_of).collect();
        out.begin_object().field("role", "tool").key("content").text(&joined(&texts));
        let name = result.name.as_ref().or_else(|| tool_name(&request.messages, &result.id));
        out.field_text("tool_name", name).key("tool_call_id").text(&result.id).end_object();
    }
    let hoisted = results.iter().flat_map(|result| &result.parts).filter(|part| text_of(part).is_none());
    let rest = message.parts.iter().filter(|part| result_of(part).is_none());
    results.len() + Content::of(hoisted.chain(rest), dropped).write("user", out)
}

fn result_of<'m, 'a>(part: &'m Part<'a>) -> Option<&'m ToolResult<'a>> {
    match &part.kind {
        PartKind::ToolResult(result) => Some(result),
        _ => None,
    }
}

/// What can be said as text.
fn text_of<'m, 'a>(part: &'m Part<'a>) -> Option<&'m Text<'a>> {
    match &part.kind {
        PartKind::Text(text)
        | PartKind::Refusal(text)
        | PartKind::Document(Media { source: Source::Text(text), .. }) => Some(text),
        _ => None,
    }
}

/// What a message holds: texts, which become one, and images.
struct Content<'m, 'a> {
    texts: Vec<&'m Text<'a>>,
    images: Vec<&'m Text<'a>>,
}

impl<'m, 'a> Content<'m, 'a> {
    fn of(parts: impl Iterator<Item = &'m Part<'a>>, dropped: &mut Dropped) -> Self
    where
        'a: 'm,
    {
        let mut content = Self { texts: Vec::new(), images: Vec::new() };
        for part in parts {
            match &part.kind {
                PartKind::Image(Media { source: Source::Base64(data), detail, .. }) => {
                    dropped.note_if(detail.is_some(), "image.detail");
                    content.images.push(data);
                }
                // Only bytes are taken; fetching is not the gateway's to do.
                PartKind::Image(_) => dropped.note("messages.content.image_url"),
                PartKind::Audio(_) => dropped.note("messages.content.input_audio"),
                PartKind::Video(_) => dropped.note("messages.content.video"),
                _ => match text_of(part) {
                    Some(text) if !text.is_blank() => content.texts.push(text),
                    Some(_) => {}
                    None => {
                        dropped.note_if(matches!(part.kind, PartKind::Document(_)), "messages.content.file")
                    }
                },
            }
        }
        content
    }

    /// Appends a message, unless there is nothing in it; returns how many were written.
    fn write(&self, role: &str, out: &mut Out<'_>) -> usize {
        if self.texts.is_empty() && self.images.is_empty() {
            return 0;
        }
        out.begin_object().field("role", role).key("content").text(&joined(&self.texts));
        if !self.images.is_empty() {
            out.key("images").begin_array();
            for image in &self.images {
                out.text(image);
            }
            out.end_array();
        }
        out.end_object();
        1
    }
}

fn write_assistant(message: &Message<'_>, dropped: &mut Dropped, out: &mut Out<'_>) -> usize {
    let content = Content::of(message.parts.iter().filter(|part| call_of(part).is_none()), dropped);
    let thoughts: Vec<_> = message.parts.iter().filter_map(thought_of).collect();
    let mut calls = message.parts.iter().filter_map(call_of).peekable();
    dropped.note_if(!content.images.is_empty(), "messages.content.image_url");
    if content.texts.is_empty() && thoughts.is_empty() && calls.peek().is_none() {
        return 0;
    }
    out.begin_object().field("role", "assistant").key("content").text(&joined(&content.texts));
    if !thoughts.is_empty() {
        out.key("thinking").text(&joined(&thoughts));
    }
    if calls.peek().is_some() {
        out.key("tool_calls").begin_array();
        calls.for_each(|call| write_call(call, out));
        out.end_array();
    }
    out.end_object();
    1
}

fn thought_of<'m, 'a>(part: &'m Part<'a>) -> Option<&'m Text<'a>> {
    match &part.kind {
        PartKind::Thinking { text, .. } if !text.is_blank() => Some(text),
        _ => None,
    }
}

fn write_call(call: &ToolCall<'_>, out: &mut Out<'_>) {
    out.begin_object().key("id").text(&call.id).key("function").begin_object();
    out.key("name").text(&call.name).key("arguments");
    match &call.arguments {
        Arguments::Text(text) if call.custom => {
            out.begin_object().key("input").text(text).end_object();
        }
        arguments => arguments.write_object(out.bytes()),
    }
    out.end_object().end_object();
}
