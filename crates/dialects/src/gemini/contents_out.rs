//! The conversation as Google wants it: turns of user and model by turns, results of tools in the order of the calls and
//! alone in their turn, no empty parts.

use super::media::{can_write, write_media};
use super::tools_out::NAMES;
use crate::exchange::pairing::NO_RESULT;
use crate::exchange::{
    ChatRequest, Dropped, Media, Message, PartKind, Role, Source, Text, ToolCall, ToolResult, losses,
};
use crate::json::{self, Out};
use crate::lost_media::refuse_emptied;
use crate::openai::RequestError;
use crate::tool_names::ToolNames;
use crate::wire::{Quirk, Quirks};

/// The signature that tells Gemini not to look for one. Google documents it for calls that another model made.
const NO_SIGNATURE: &str = "skip_thought_signature_validator";

/// Who speaks in a turn. Results of tools have one of their own: Gemini 3 refuses them beside other parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Speaker {
    User,
    Model,
    Tools,
}

struct Turn<'r, 'a> {
    speaker: Speaker,
    pieces: Vec<Piece<'r, 'a>>,
}

struct Piece<'r, 'a> {
    part: &'r PartKind<'a>,
    /// Of a result: which call of the turn before it is for.
    call: Option<usize>,
}

/// The turns of a conversation, and the parts of its system prompts.
pub(super) struct Turns<'r, 'a> {
    turns: Vec<Turn<'r, 'a>>,
    system: Vec<&'r Text<'a>>,
}

impl<'r, 'a> Turns<'r, 'a> {
    /// Sorts the messages into turns.
    ///
    /// # Errors
    ///
    /// Where there are none, or one would be empty.
    pub(super) fn of(request: &'r ChatRequest<'a>, dropped: &mut Dropped) -> Result<Self, RequestError> {
        let mut sorted = Self { turns: Vec::with_capacity(request.messages.len()), system: Vec::new() };
        refuse_emptied(
            &request.messages,
            "media of a known type, as bytes (base64) or by an https: or gs:// address",
            takes,
        )?;
        for message in &request.messages {
            sorted.message(message, dropped);
        }
        if sorted.turns.is_empty() && sorted.system.is_empty() {
            return Err(RequestError::about("messages", "The conversation holds nothing to answer."));
        }
        Ok(sorted)
    }

    fn message(&mut self, message: &'r Message<'a>, dropped: &mut Dropped) {
        dropped.note_if(message.name.is_some(), losses::MESSAGE_NAME);
        for part in &message.parts {
            dropped.note_if(part.cache.is_some(), losses::CACHE);
            match (&part.kind, message.role) {
                (PartKind::ToolResult(result), _) => self.result(&part.kind, result, dropped),
                (PartKind::Text(text) | PartKind::Refusal(text), _) if text.is_empty() => {}
                (PartKind::Text(text), Role::System) => self.system.push(text),
                (kind, Role::System) | (kind @ PartKind::RedactedThinking(_), _) => {
                    dropped.note(losses::of_part(kind));
                }
                (PartKind::Thinking { text, signature }, _) => {
                    // Proof of another provider's thinking would be refused, and Google asks for its own only with calls.
                    dropped.note_if(signature.is_some(), losses::THINKING_PROOF);
                    if !text.is_empty() {
                        self.push(Speaker::Model, &part.kind);
                    }
                }
                (kind, Role::User) => self.said_by_user(kind, dropped),
                (kind, Role::Assistant) if takes(kind) => self.push(Speaker::Model, kind),
                (kind, Role::Assistant) => dropped.note(lost_name(kind)),
            }
        }
    }

    fn said_by_user(&mut self, kind: &'r PartKind<'a>, dropped: &mut Dropped) {
        if takes(kind) {
            note_media(kind, dropped);
            self.push(Speaker::User, kind);
        } else {
            dropped.note(lost_name(kind));
        }
    }

    fn push(&mut self, speaker: Speaker, part: &'r PartKind<'a>) {
        let piece = Piece { part, call: None };
        match self.turns.last_mut() {
            Some(turn) if turn.speaker == speaker => turn.pieces.push(piece),
            _ => self.turns.push(Turn { speaker, pieces: vec![piece] }),
        }
    }

    /// Puts a result into the turn behind that of its call, whatever was said in between.
    fn result(&mut self, part: &'r PartKind<'a>, result: &'r ToolResult<'a>, dropped: &mut Dropped) {
        for (kind, _) in result.parts.iter().filter_map(|part| as_media(&part.kind)) {
            dropped.note_if(!takes(kind), lost_name(kind));
        }
        let found = self.turns.iter().enumerate().rev().find_map(|(at, turn)| {
            let mut calls = turn.calls().enumerate();
            calls.find(|(_, call)| call.id == result.id).map(|(order, _)| (at + 1, order))
        });
        let Some((at, order)) = found else { return self.orphan(result, dropped) };
        if self.turns.get(at).is_none_or(|turn| turn.speaker != Speaker::Tools) {
            self.turns.insert(at, Turn { speaker: Speaker::Tools, pieces: Vec::new() });
        }
        let pieces = &mut self.turns[at].pieces;
        if pieces.iter().any(|piece| piece.call == Some(order)) {
            return self.orphan(result, dropped);
        }
        pieces.push(Piece { part, call: Some(order) });
    }

    /// A result of no call, as clients leave behind that cut off the beginning of a conversation, or a second one of the same.
    /// Calls and results must be as many, so it would be refused; what it says is kept.
    fn orphan(&mut self, result: &'r ToolResult<'a>, dropped: &mut Dropped) {
        dropped.note(losses::TOOL_CALL_ID);
        for part in &result.parts {
            match &part.kind {
                PartKind::Text(text) if text.is_empty() => {}
                PartKind::Text(_) => self.push(Speaker::User, &part.kind),
                kind if as_media(kind).is_some() => self.said_by_user(kind, dropped),
                kind => dropped.note(losses::of_part(kind)),
            }
        }
    }

    /// Appends the system prompts as `systemInstruction`, if there are any.
    pub(super) fn write_system(&self, out: &mut Out<'_>) {
        if self.system.is_empty() {
            return;
        }
        out.key("systemInstruction").begin_object().key("parts").begin_array();
        self.system.iter().for_each(|text| write_text(text, out));
        out.end_array().end_object();
    }

    /// Appends the turns as `contents`.
    pub(super) fn write(&self, quirks: Quirks, names: &ToolNames, out: &mut Out<'_>) {
        let current = self.turns.iter().rposition(|turn| turn.speaker == Speaker::User).unwrap_or(0);
        out.key("contents").begin_array();
        if self.turns.first().is_none_or(|turn| turn.speaker == Speaker::Model) {
            // A conversation begins with the user. A blank is the least that is no empty part.
            begin("user", out);
            write_text(&Text::literal(" "), out);
            end(out);
        }
        for (at, turn) in self.turns.iter().enumerate() {
            turn.write(quirks, names, at >= current, out);
            let calls: Vec<_> = turn.calls().collect();
            if !calls.is_empty() {
                let results = self.turns.get(at + 1).filter(|next| next.speaker == Speaker::Tools);
                write_results(&calls, results, quirks, names, out);
            }
        }
        out.end_array();
    }
}

/// Whether a part can be sent: all but some media can.
fn takes(kind: &PartKind<'_>) -> bool {
    as_media(kind).is_none_or(|(_, media)| can_write(media))
}

/// What a medium is noted by that cannot be sent.
fn lost_name(kind: &PartKind<'_>) -> &'static str {
    match kind {
        PartKind::Image(_) => "messages.content.image_url",
        PartKind::Audio(_) => "messages.content.input_audio",
        PartKind::Video(_) => "messages.content.video",
        _ => "messages.content.file",
    }
}

fn note_media(kind: &PartKind<'_>, dropped: &mut Dropped) {
    let (PartKind::Image(media)
    | PartKind::Audio(media)
    | PartKind::Video(media)
    | PartKind::Document(media)) = kind
    else {
        return;
    };
    dropped.note_if(media.detail.as_ref().is_some_and(|detail| !detail.is("auto")), losses::IMAGE_DETAIL);
    dropped.note_if(media.name.is_some(), losses::FILE_NAME);
}

fn begin(role: &str, out: &mut Out<'_>) {
    out.begin_object().field("role", role).key("parts").begin_array();
}

fn end(out: &mut Out<'_>) {
    out.end_array().end_object();
}

fn write_text(text: &Text<'_>, out: &mut Out<'_>) {
    out.begin_object().key("text").text(text).end_object();
}

impl<'r, 'a> Turn<'r, 'a> {
    fn calls(&self) -> impl Iterator<Item = &'r ToolCall<'a>> {
        self.pieces.iter().filter_map(|piece| match piece.part {
            PartKind::ToolCall(call) => Some(call),
            _ => None,
        })
    }

    /// `current` says that the turn is one the model is still in, whose calls need their signatures. Results are written
    /// behind their calls.
    fn write(&self, quirks: Quirks, names: &ToolNames, current: bool, out: &mut Out<'_>) {
        if self.speaker == Speaker::Tools {
            return;
        }
        begin(if self.speaker == Speaker::Model { "model" } else { "user" }, out);
        // Of calls made at once only the first is signed.
        let mut sign = current && quirks.has(Quirk::ThinkingLevel);
        for piece in &self.pieces {
            match piece.part {
                PartKind::ToolCall(call) => {
                    let sign = std::mem::take(&mut sign);
                    let name = names.mapped(&NAMES, &call.name);
                    write_call(call, &name, !quirks.has(Quirk::NoCallIds), sign, out);
                }
                part => write_part(part, out),
            }
        }
        end(out);
    }

    /// The result of a call by its place among those of the turn before.
    fn result_of(&self, order: usize) -> Option<&'r ToolResult<'a>> {
        let piece = self.pieces.iter().find(|piece| piece.call == Some(order))?;
        match piece.part {
            PartKind::ToolResult(result) => Some(result),
            _ => None,
        }
    }

    /// Models before Gemini 3 take no media within a result, so they come in a turn behind it.
    fn write_media_of_results(&self, out: &mut Out<'_>) {
        let results = self.pieces.iter().filter_map(|piece| match piece.part {
            PartKind::ToolResult(result) => Some(result),
            _ => None,
        });
        let mut media = results.flat_map(media_of).peekable();
        if media.peek().is_none() {
            return;
        }
        begin("user", out);
        media.for_each(|media| write_media(media, out));
        end(out);
    }
}

/// Appends the results of a turn's calls in their order. Google refuses more of them or fewer.
fn write_results(
    calls: &[&ToolCall<'_>],
    results: Option<&Turn<'_, '_>>,
    quirks: Quirks,
    names: &ToolNames,
    out: &mut Out<'_>,
) {
    begin("user", out);
    for (order, call) in calls.iter().enumerate() {
        let name = names.mapped(&NAMES, &call.name);
        match results.and_then(|results| results.result_of(order)) {
            Some(result) => write_result(result, &name, quirks, out),
            None => {
                begin_response(&call.id, &name, quirks, out);
                out.begin_object().field("error", NO_RESULT).end_object();
                out.end_object().end_object();
            }
        }
    }
    end(out);
    if let Some(results) = results.filter(|_| !quirks.has(Quirk::ThinkingLevel)) {
        results.write_media_of_results(out);
    }
}

/// Begins the result of a call, up to the value of its `response`.
fn begin_response(id: &Text<'_>, name: &Text<'_>, quirks: Quirks, out: &mut Out<'_>) {
    out.begin_object().key("functionResponse").begin_object();
    if !quirks.has(Quirk::NoCallIds) && !id.is_empty() {
        out.key("id").text(id);
    }
    out.key("name").text(name).key("response");
}

/// The parts of a result that are no text, and can be sent.
fn media_of<'r, 'a>(result: &'r ToolResult<'a>) -> impl Iterator<Item = &'r Media<'a>> {
    let media = result.parts.iter().filter_map(|part| as_media(&part.kind));
    media.map(|(_, media)| media).filter(|media| !matches!(media.source, Source::Text(_)) && can_write(media))
}

fn as_media<'r, 'a>(kind: &'r PartKind<'a>) -> Option<(&'r PartKind<'a>, &'r Media<'a>)> {
    match kind {
        PartKind::Image(media)
        | PartKind::Audio(media)
        | PartKind::Document(media)
        | PartKind::Video(media) => Some((kind, media)),
        _ => None,
    }
}

/// Appends a part of a turn that is no result of a tool.
pub(super) fn write_part(kind: &PartKind<'_>, out: &mut Out<'_>) {
    match kind {
        PartKind::Text(text) | PartKind::Refusal(text) => write_text(text, out),
        PartKind::Thinking { text, .. } => {
            out.begin_object().key("text").text(text).key("thought").bool(true).end_object();
        }
        PartKind::ToolCall(call) => write_call(call, &call.name, true, false, out),
        PartKind::ToolResult(_) | PartKind::RedactedThinking(_) => {}
        PartKind::Image(media)
        | PartKind::Audio(media)
        | PartKind::Document(media)
        | PartKind::Video(media) => write_media(media, out),
    }
}

/// Appends a call, by the name its tool has there. `sign` puts Google's stand-in where the signature is missing.
pub(super) fn write_call(call: &ToolCall<'_>, name: &Text<'_>, with_id: bool, sign: bool, out: &mut Out<'_>) {
    out.begin_object().key("functionCall").begin_object();
    if with_id && !call.id.is_empty() {
        out.key("id").text(&call.id);
    }
    out.key("name").text(name).key("args");
    if call.custom {
        out.begin_object().key("input").text(&call.arguments.to_text()).end_object();
    } else {
        call.arguments.write_object(out.bytes());
    }
    out.end_object();
    match &call.signature {
        Some(signature) => _ = out.key("thoughtSignature").text(signature),
        None if sign => _ = out.field("thoughtSignature", NO_SIGNATURE),
        None => {}
    }
    out.end_object();
}

fn write_result(result: &ToolResult<'_>, name: &Text<'_>, quirks: Quirks, out: &mut Out<'_>) {
    begin_response(&result.id, name, quirks, out);
    write_response(result, out);
    if quirks.has(Quirk::ThinkingLevel) && media_of(result).next().is_some() {
        out.key("parts").begin_array();
        media_of(result).for_each(|media| write_media(media, out));
        out.end_array();
    }
    out.end_object().end_object();
}

/// The response must be an object. A result that is one goes as it is; any other text is its `output`, or its `error`.
fn write_response(result: &ToolResult<'_>, out: &mut Out<'_>) {
    let text = joined(result);
    if !result.is_error && may_be_object(&text) {
        let decoded = text.decode();
        if json::scan_object_lenient(decoded.as_bytes(), &[]).is_ok() {
            out.raw(decoded.trim().as_bytes());
            return;
        }
    }
    out.begin_object().key(if result.is_error { "error" } else { "output" }).text(&text).end_object();
}

/// The texts of a result, each on lines of its own.
fn joined<'r>(result: &'r ToolResult<'_>) -> Text<'r> {
    let mut texts = result.parts.iter().filter_map(|part| match &part.kind {
        PartKind::Text(text) | PartKind::Document(Media { source: Source::Text(text), .. }) => {
            Some(text.borrow())
        }
        _ => None,
    });
    let mut joined = texts.next().unwrap_or_default();
    for text in texts {
        joined.push(&Text::escaped(b"\\n"));
        joined.push(&text);
    }
    joined
}

/// Spares most results the decoding.
fn may_be_object(text: &Text<'_>) -> bool {
    matches!(text.as_escaped().trim_ascii_start().first(), Some(b'{' | b'\\'))
}
