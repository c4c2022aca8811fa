//! The messages of a request, written.

use super::media::write_media_url;
use super::tools::mapped_name;
use crate::exchange::{
    Arguments, ChatRequest, Dropped, Media, Message, Part, PartKind, Role, Source, Text, ToolCall, ToolResult,
};
use crate::json::{Out, push_json_string, scan_object_lenient};

/// What a call is answered with that has no result.
const NO_RESULT: &str = "The tool call was not executed.";

/// Whether a medium is taken: images by bytes or address, and documents of text.
pub(super) fn takes(kind: &PartKind<'_>) -> bool {
    matches!(
        kind,
        PartKind::Image(Media { source: Source::Base64(_) | Source::Url(_), .. })
            | PartKind::Document(Media { source: Source::Text(_), .. })
    )
}

/// Writes the conversation of one request.
pub(super) struct MessageWriter<'w, 'a, 'd> {
    request: &'w ChatRequest<'a>,
    dropped: &'d mut Dropped,
    /// Documents of text, which stand beside the messages.
    pub(super) documents: Vec<&'w Media<'a>>,
    /// How many messages were written.
    pub(super) count: usize,
    /// Results that were written behind their calls.
    answered: Vec<&'w Part<'a>>,
}

impl<'w, 'a, 'd> MessageWriter<'w, 'a, 'd> {
    pub(super) fn new(request: &'w ChatRequest<'a>, dropped: &'d mut Dropped) -> Self {
        Self { request, dropped, documents: Vec::new(), count: 0, answered: Vec::new() }
    }

    /// Appends the messages as an array.
    pub(super) fn write(&mut self, out: &mut Out<'_>) {
        out.begin_array();
        let request = self.request;
        for (at, message) in request.messages.iter().enumerate() {
            self.dropped.note_if(message.name.is_some(), "messages.name");
            self.dropped.note_if(message.parts.iter().any(|part| part.cache.is_some()), "cache_control");
            match message.role {
                Role::System => self.plain("system", message.parts.iter(), out),
                Role::User => self.user(message, out),
                Role::Assistant => {
                    self.assistant(message, out);
                    self.results(message, &request.messages[at + 1..], out);
                }
            }
        }
        out.end_array();
    }

    /// Answers every call, in their order and directly behind them, with its result from what follows up to the model's
    /// next turn. A call without one is refused.
    fn results(&mut self, message: &'w Message<'a>, later: &'w [Message<'a>], out: &mut Out<'_>) {
        let later = later.iter().take_while(|message| message.role != Role::Assistant);
        let given = || later.clone().flat_map(|message| &message.parts);
        for part in &message.parts {
            let PartKind::ToolCall(call) = &part.kind else { continue };
            let answer = given().find_map(|part| match &part.kind {
                PartKind::ToolResult(result) if result.id == call.id => Some((part, result)),
                _ => None,
            });
            if let Some((part, result)) = answer {
                self.answered.push(part);
                self.tool_result(result, out);
            } else {
                self.count += 1;
                out.begin_object().field("role", "tool").key("tool_call_id").text(&call.id);
                out.field("content", NO_RESULT).end_object();
            }
        }
    }

    /// What the user says. Images that tools returned go with it, since messages of tools hold texts only.
    fn user(&mut self, message: &'w Message<'a>, out: &mut Out<'_>) {
        let (mut hoisted, mut rest) = (Vec::new(), Vec::new());
        for part in &message.parts {
            match &part.kind {
                PartKind::ToolResult(result)
                    if self.answered.iter().any(|answered| std::ptr::eq(*answered, part)) =>
                {
                    hoisted.extend(result.parts.iter().filter(|part| text_of(&part.kind).is_none()));
                }
                PartKind::ToolResult(result) => {
                    // Cohere refuses a result without its call; what it says is kept.
                    self.dropped.note("messages.tool_call_id");
                    hoisted.extend(&result.parts);
                }
                _ => rest.push(part),
            }
        }
        self.plain("user", hoisted.into_iter().chain(rest), out);
    }

    fn tool_result(&mut self, result: &'w ToolResult<'a>, out: &mut Out<'_>) {
        self.dropped.note_if(result.is_error, "messages.tool.is_error");
        let texts =
            || result.parts.iter().filter_map(|part| text_of(&part.kind)).filter(|text| !text.is_empty());
        self.count += 1;
        out.begin_object().field("role", "tool").key("tool_call_id").text(&result.id).key("content");
        match (texts().next(), texts().nth(1)) {
            // An empty answer is refused; this is what the text is to hold where it holds anything.
            (None, _) => drop(out.string("{}")),
            (Some(text), None) => drop(out.text(text)),
            _ => {
                out.begin_array();
                texts().for_each(|text| write_text_block(text, out));
                out.end_array();
            }
        }
        out.end_object();
    }

    /// A message of texts and images, left out where nothing is in it.
    fn plain(&mut self, role: &str, parts: impl Iterator<Item = &'w Part<'a>>, out: &mut Out<'_>) {
        let parts: Vec<_> = parts.filter(|part| self.is_carried(role, part)).collect();
        if parts.is_empty() {
            return;
        }
        self.count += 1;
        out.begin_object().field("role", role).key("content");
        match parts.as_slice() {
            [Part { kind: PartKind::Text(text) | PartKind::Refusal(text), .. }] => drop(out.text(text)),
            _ => {
                out.begin_array();
                parts.iter().for_each(|part| write_block(part, out));
                out.end_array();
            }
        }
        out.end_object();
    }

    /// Whether a part is written where it stands; notes it where it is not.
    fn is_carried(&mut self, role: &str, part: &'w Part<'a>) -> bool {
        match &part.kind {
            PartKind::Text(text) | PartKind::Refusal(text) => return !text.is_blank(),
            PartKind::Image(Media { source: Source::Base64(_) | Source::Url(_), .. }) if role == "user" => {
                return true;
            }
            PartKind::Document(media @ Media { source: Source::Text(_), .. }) => self.documents.push(media),
            PartKind::Image(_) => self.dropped.note("messages.content.image_url"),
            PartKind::Document(_) => self.dropped.note("messages.content.file"),
            PartKind::Audio(_) => self.dropped.note("messages.content.input_audio"),
            PartKind::Video(_) => self.dropped.note("messages.content.video"),
            PartKind::Thinking { .. } | PartKind::RedactedThinking(_) => {
                self.dropped.note("messages.thinking")
            }
            PartKind::ToolCall(_) | PartKind::ToolResult(_) => self.dropped.note("messages.tool_calls"),
        }
        false
    }

    /// A turn of the model. Text beside calls of tools is its plan for them.
    fn assistant(&mut self, message: &'w Message<'a>, out: &mut Out<'_>) {
        let (mut texts, mut thoughts, mut calls) = (Vec::new(), Vec::new(), Vec::new());
        for part in &message.parts {
            match &part.kind {
                PartKind::ToolCall(call) => calls.push(call),
                PartKind::Thinking { text, .. } if !text.is_blank() => thoughts.push(text),
                // A signature without a thought means nothing here.
                PartKind::Thinking { .. } => {}
                PartKind::Text(text) | PartKind::Refusal(text) if !text.is_blank() => texts.push(text),
                _ => drop(self.is_carried("assistant", part)),
            }
        }
        if texts.is_empty() && thoughts.is_empty() && calls.is_empty() {
            return;
        }
        self.count += 1;
        out.begin_object().field("role", "assistant");
        if calls.is_empty() {
            write_content(&thoughts, &texts, out);
        } else {
            if !thoughts.is_empty() {
                write_content(&thoughts, &[], out);
            }
            if !texts.is_empty() {
                out.key("tool_plan").text(&joined(&texts));
            }
            out.key("tool_calls").begin_array();
            calls.iter().for_each(|call| write_call(self.request, call, out));
            out.end_array();
        }
        out.end_object();
    }
}

fn text_of<'p, 'a>(kind: &'p PartKind<'a>) -> Option<&'p Text<'a>> {
    match kind {
        PartKind::Text(text) | PartKind::Refusal(text) => Some(text),
        _ => None,
    }
}

/// `"content"` of an assistant: a string where it is one text.
fn write_content(thoughts: &[&Text<'_>], texts: &[&Text<'_>], out: &mut Out<'_>) {
    out.key("content");
    if let ([], [text]) = (thoughts, texts) {
        out.text(text);
        return;
    }
    out.begin_array();
    for thought in thoughts {
        out.begin_object().field("type", "thinking").key("thinking").text(thought).end_object();
    }
    texts.iter().for_each(|text| write_text_block(text, out));
    out.end_array();
}

pub(super) fn write_text_block(text: &Text<'_>, out: &mut Out<'_>) {
    out.begin_object().field("type", "text").key("text").text(text).end_object();
}

fn write_block(part: &Part<'_>, out: &mut Out<'_>) {
    match &part.kind {
        PartKind::Text(text) | PartKind::Refusal(text) => write_text_block(text, out),
        PartKind::Image(media) => {
            out.begin_object().field("type", "image_url").key("image_url").begin_object().key("url");
            write_media_url(media, out);
            out.field_text("detail", media.detail.as_ref()).end_object().end_object();
        }
        _ => {}
    }
}

/// The texts as one. Nothing goes between them: clients that stream keep an answer as the pieces it came in.
pub(crate) fn joined<'t>(texts: &[&Text<'t>]) -> Text<'t> {
    let mut all = Text::default();
    texts.iter().for_each(|text| all.push(text));
    all
}

fn write_call(request: &ChatRequest<'_>, call: &ToolCall<'_>, out: &mut Out<'_>) {
    write_call_named(&mapped_name(&request.tools, &call.name), call, out);
}

/// Appends a call of a tool. Its arguments are an object in a string.
pub(super) fn write_call_named(name: &Text<'_>, call: &ToolCall<'_>, out: &mut Out<'_>) {
    out.begin_object().key("id").text(&call.id).field("type", "function").key("function").begin_object();
    out.key("name").text(name).key("arguments");
    match &call.arguments {
        Arguments::Text(text) if call.custom => {
            let mut object = b"{\"input\":\"".to_vec();
            object.extend_from_slice(text.as_escaped());
            object.extend_from_slice(b"\"}");
            push_json_string(out.bytes(), &String::from_utf8_lossy(&object));
        }
        Arguments::Text(text) if scan_object_lenient(text.decode().as_bytes(), &[]).is_ok() => {
            out.text(text);
        }
        Arguments::Object(_) => call.arguments.write_string(out.bytes()),
        Arguments::Text(_) => {
            let mut object = Vec::new();
            call.arguments.write_object(&mut object);
            push_json_string(out.bytes(), &String::from_utf8_lossy(&object));
        }
    }
    out.end_object().end_object();
}
