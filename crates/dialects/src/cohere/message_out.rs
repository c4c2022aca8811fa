//! The messages of a request, written.

use super::media::write_media_url;
use super::tools::mapped_name;
use crate::exchange::pairing::{self, Answers, NO_RESULT};
use crate::exchange::{
    Arguments, ChatRequest, Dropped, Media, Message, Part, PartKind, Role, Source, Text, ToolCall,
    ToolResult, losses,
};
use crate::json::{Out, push_json_string, scan_object_lenient};

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
    /// The calls of the model's last turn that had any, with their results.
    answers: Answers<'w, 'a>,
}

impl<'w, 'a, 'd> MessageWriter<'w, 'a, 'd> {
    pub(super) fn new(request: &'w ChatRequest<'a>, dropped: &'d mut Dropped) -> Self {
        Self { request, dropped, documents: Vec::new(), count: 0, answers: Answers::default() }
    }

    /// Appends the messages as an array.
    pub(super) fn write(&mut self, out: &mut Out<'_>) {
        out.begin_array();
        let request = self.request;
        for (at, message) in request.messages.iter().enumerate() {
            self.dropped.note_if(message.name.is_some(), losses::MESSAGE_NAME);
            self.dropped.note_if(message.parts.iter().any(|part| part.cache.is_some()), losses::CACHE);
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

    /// A message of the user. What its results of tools hold besides text is said in it, since messages of tools hold texts
    /// only, and so are results without calls, which Cohere refuses.
    fn user(&mut self, message: &'w Message<'a>, out: &mut Out<'_>) {
        let (mut hoisted, mut rest) = (Vec::new(), Vec::new());
        for part in &message.parts {
            match &part.kind {
                PartKind::ToolResult(result) if self.answers.contains(part) => {
                    hoisted.extend(result.parts.iter().filter(|part| text_of(&part.kind).is_none()));
                }
                PartKind::ToolResult(result) => {
                    self.dropped.note(losses::TOOL_CALL_ID);
                    hoisted.extend(&result.parts);
                }
                _ => rest.push(part),
            }
        }
        self.dropped.note_if(hoisted.iter().any(|part| text_of(&part.kind).is_none()), losses::TOOL_CONTENT);
        self.plain("user", hoisted.into_iter().chain(rest), out);
    }

    /// Answers the calls of a turn directly behind it, each in a message of its own.
    fn results(&mut self, turn: &'w Message<'a>, following: &'w [Message<'a>], out: &mut Out<'_>) {
        let answers = Answers::of(turn, following);
        for answer in answers.iter() {
            self.count += 1;
            out.begin_object().field("role", "tool").key("tool_call_id").text(&answer.call.id);
            match answer.result.map(|part| &part.kind) {
                Some(PartKind::ToolResult(result)) => self.tool_result(result, out),
                _ => _ = out.field("content", NO_RESULT),
            }
            out.end_object();
        }
        if pairing::calls(turn).next().is_some() {
            self.answers = answers;
        }
    }

    fn tool_result(&mut self, result: &ToolResult<'_>, out: &mut Out<'_>) {
        self.dropped.note_if(result.is_error, losses::TOOL_ERROR);
        let texts =
            || result.parts.iter().filter_map(|part| text_of(&part.kind)).filter(|text| !text.is_empty());
        out.key("content");
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
            kind => self.dropped.note(losses::of_part(kind)),
        }
        false
    }

    /// A turn of the model. Text beside calls of tools is its plan for them.
    fn assistant(&mut self, message: &'w Message<'a>, out: &mut Out<'_>) {
        let (mut texts, mut thoughts, mut calls) = (Vec::new(), Vec::new(), Vec::new());
        for part in &message.parts {
            match &part.kind {
                PartKind::ToolCall(call) => calls.push(call),
                PartKind::Thinking { text, signature } => {
                    self.dropped.note_if(signature.is_some(), losses::THINKING_PROOF);
                    thoughts.extend(Some(text).filter(|text| !text.is_blank()));
                }
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
