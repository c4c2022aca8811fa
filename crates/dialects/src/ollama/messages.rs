//! The messages of a request, written.

use crate::cohere::joined;
use crate::exchange::pairing::{self, Answer, Answers, NO_RESULT};
use crate::exchange::{
    Arguments, ChatRequest, Dropped, Media, Message, Part, PartKind, Role, Source, Text, ToolCall,
    ToolResult, losses,
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
    let mut answers = Answers::default();
    out.begin_array();
    for (at, message) in request.messages.iter().enumerate() {
        dropped.note_if(message.name.is_some(), losses::MESSAGE_NAME);
        dropped.note_if(message.parts.iter().any(|part| part.cache.is_some()), losses::CACHE);
        count += match message.role {
            Role::System => Content::of(message.parts.iter(), dropped).write("system", out),
            Role::User => write_user(message, &answers, dropped, out),
            Role::Assistant => {
                let written = write_assistant(message, dropped, out);
                if pairing::calls(message).next().is_some() {
                    answers = Answers::of(message, &request.messages[at + 1..]);
                    written + write_results(&answers, dropped, out)
                } else {
                    written
                }
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

/// What tools answered, directly behind the calls and in their order, since there are no ids. Returns how many there are.
fn write_results(answers: &Answers<'_, '_>, dropped: &mut Dropped, out: &mut Out<'_>) -> usize {
    for Answer { call, result } in answers.iter() {
        match result.and_then(result_of) {
            Some(result) => write_result(result, &call.name, dropped, out),
            None => {
                out.begin_object().field("role", "tool").field("content", NO_RESULT);
                out.key("tool_name").text(&call.name).key("tool_call_id").text(&call.id).end_object();
            }
        }
    }
    answers.iter().count()
}

fn write_result(result: &ToolResult<'_>, name: &Text<'_>, dropped: &mut Dropped, out: &mut Out<'_>) {
    dropped.note_if(result.is_error, losses::TOOL_ERROR);
    let texts: Vec<_> = result.parts.iter().filter_map(text_of).collect();
    out.begin_object().field("role", "tool").key("content").text(&joined(&texts));
    out.key("tool_name").text(name).key("tool_call_id").text(&result.id).end_object();
}

/// A message of the user, with what results hold besides text, and with results that answer nothing.
fn write_user(
    message: &Message<'_>,
    answers: &Answers<'_, '_>,
    dropped: &mut Dropped,
    out: &mut Out<'_>,
) -> usize {
    let (mut hoisted, mut rest) = (Vec::new(), Vec::new());
    for part in &message.parts {
        match result_of(part) {
            Some(result) if answers.contains(part) => {
                hoisted.extend(result.parts.iter().filter(|part| text_of(part).is_none()));
            }
            Some(result) => {
                dropped.note(losses::TOOL_CALL_ID);
                hoisted.extend(&result.parts);
            }
            None => rest.push(part),
        }
    }
    dropped.note_if(hoisted.iter().any(|part| text_of(part).is_none()), losses::TOOL_CONTENT);
    Content::of(hoisted.into_iter().chain(rest), dropped).write("user", out)
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
                    dropped.note_if(detail.is_some(), losses::IMAGE_DETAIL);
                    content.images.push(data);
                }
                // Only bytes are taken of images; fetching is not the gateway's to do.
                kind => match text_of(part) {
                    Some(text) if !text.is_blank() => content.texts.push(text),
                    Some(_) => {}
                    None => dropped.note(losses::of_part(kind)),
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
    for part in &message.parts {
        let signed = matches!(part.kind, PartKind::Thinking { signature: Some(_), .. });
        dropped.note_if(signed, losses::THINKING_PROOF);
    }
    let said = |part: &&Part<'_>| !matches!(part.kind, PartKind::ToolCall(_) | PartKind::Thinking { .. });
    let content = Content::of(message.parts.iter().filter(said), dropped);
    let thoughts: Vec<_> = message.parts.iter().filter_map(thought_of).collect();
    let mut calls = message.parts.iter().filter_map(call_of).peekable();
    dropped.note_if(!content.images.is_empty(), losses::IMAGE);
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
