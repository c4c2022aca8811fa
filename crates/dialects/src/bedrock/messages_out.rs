//! Writing the conversation: turns that alternate and begin with the user's, each call of a tool with its result.

use std::borrow::Cow;

use super::media::{Sort, can_write, write_media};
use super::model_fields::Family;
use crate::exchange::pairing::NO_RESULT;
use crate::exchange::{
    CacheHint, ChatRequest, Dropped, Media, Message, Part, PartKind, Role, Text, ToolCall, ToolResult, losses,
};
use crate::json::Out;
use crate::lost_media::refuse_emptied;
use crate::openai::RequestError;
use crate::tool_names::{NameRules, ToolNames};

/// Stands where a text must be and none is: blank ones are refused.
const FILLER: Text<'static> = Text::literal(".");

/// Stands for the answer of a tool that said nothing.
const NO_OUTPUT: Text<'static> = Text::literal("(no output)");

/// Longest id of a tool's call, in bytes.
const MAX_ID_BYTES: usize = 64;

/// Writes the messages of one request.
pub(super) struct MessageWriter<'w> {
    names: &'w ToolNames,
    rules: &'w NameRules,
    family: Family,
    dropped: &'w mut Dropped,
    /// Names of documents so far.
    documents: Vec<String>,
}

/// All that one side says before the other speaks.
struct Turn<'r, 'a> {
    role: Role,
    parts: Vec<&'r Part<'a>>,
}

impl<'r, 'a> Turn<'r, 'a> {
    fn calls(&self) -> impl Iterator<Item = &'r ToolCall<'a>> {
        self.parts.iter().filter_map(|part| match &part.kind {
            PartKind::ToolCall(call) => Some(call),
            _ => None,
        })
    }

    /// The first result of a call.
    fn result_of(&self, call: &ToolCall<'_>) -> Option<(&'r Part<'a>, &'r ToolResult<'a>)> {
        self.parts.iter().find_map(|part| match &part.kind {
            PartKind::ToolResult(result) if result.id == call.id => Some((*part, result)),
            _ => None,
        })
    }
}

/// Whether a medium can be sent.
fn takes(kind: &PartKind<'_>) -> bool {
    match kind {
        PartKind::Image(media) => can_write(Sort::Image, media),
        PartKind::Document(media) => can_write(Sort::Document, media),
        PartKind::Video(media) => can_write(Sort::Video, media),
        PartKind::Audio(media) => can_write(Sort::Audio, media),
        _ => true,
    }
}

/// Whether a tool is called or answers anywhere.
pub(super) fn has_tool_blocks(messages: &[Message<'_>]) -> bool {
    let is_tool = |part: &Part<'_>| matches!(part.kind, PartKind::ToolCall(_) | PartKind::ToolResult(_));
    messages.iter().any(|message| message.parts.iter().any(is_tool))
}

/// Whether the conversation ends with results of tools, and what the user says besides, and their calls come without the
/// thoughts that led to them.
pub(super) fn open_calls_are_unproven(request: &ChatRequest<'_>) -> bool {
    let messages = &request.messages;
    let answer = messages.iter().rposition(|message| message.role == Role::Assistant);
    let after = &messages[answer.map_or(0, |at| at + 1)..];
    let is_result = |part: &Part<'_>| matches!(part.kind, PartKind::ToolResult(_));
    after.iter().any(|message| message.parts.iter().any(is_result))
        && !answer.is_some_and(|at| messages[at].parts.iter().any(is_proven))
}

/// Whether it is a thought of Claude's, by how its signature begins: with the tag of a protobuf's second field, which in
/// Base64 is an E. Those of other providers begin otherwise, and are refused as forged.
fn is_proven(part: &Part<'_>) -> bool {
    match &part.kind {
        PartKind::Thinking { signature: Some(proof), .. } => proof.as_escaped().starts_with(b"E"),
        // Some SDKs encode it a second time.
        PartKind::RedactedThinking(data) => {
            [&b"E"[..], b"RW", b"RX"].iter().any(|own| data.as_escaped().starts_with(own))
        }
        _ => false,
    }
}

/// Sets a cache point where one is asked for, as far as the model takes it.
pub(super) fn write_cache_point(
    cache: Option<CacheHint>,
    family: Family,
    dropped: &mut Dropped,
    out: &mut Out<'_>,
) {
    let Some(cache) = cache else { return };
    if !family.caches() {
        dropped.note(losses::CACHE);
        return;
    }
    out.begin_object().key("cachePoint").begin_object().field("type", "default");
    if cache == CacheHint::Hour {
        out.field("ttl", "1h");
    }
    out.end_object().end_object();
}

impl<'w> MessageWriter<'w> {
    pub(super) fn new(
        names: &'w ToolNames,
        rules: &'w NameRules,
        family: Family,
        dropped: &'w mut Dropped,
    ) -> Self {
        Self { names, rules, family, dropped, documents: Vec::new() }
    }

    /// Writes the member `messages`.
    pub(super) fn write(mut self, messages: &[Message<'_>], out: &mut Out<'_>) -> Result<(), RequestError> {
        refuse_emptied(messages, "media of a known type, as bytes (base64) or at an s3:// location", takes)?;
        let turns = self.turns(messages);
        if turns.is_empty() && !messages.iter().any(|message| message.role == Role::System) {
            return Err(RequestError::about("messages", "There must be at least one message with content."));
        }
        out.key("messages").begin_array();
        if turns.first().is_none_or(|turn| turn.role == Role::Assistant) {
            begin_turn("user", out);
            write_text(&FILLER, out);
            end_turn(out);
        }
        let mut calls = Vec::new();
        for (nth, turn) in turns.iter().enumerate() {
            if turn.role == Role::Assistant {
                self.assistant(turn, nth + 1 == turns.len(), out);
                calls = turn.calls().collect();
            } else {
                self.user(turn, &std::mem::take(&mut calls), out);
            }
        }
        if !calls.is_empty() {
            self.user(&Turn { role: Role::User, parts: Vec::new() }, &calls, out);
        }
        out.end_array();
        Ok(())
    }

    /// The turns, without what cannot be said and without those in which then nothing is.
    fn turns<'r, 'a>(&mut self, messages: &'r [Message<'a>]) -> Vec<Turn<'r, 'a>> {
        let mut turns: Vec<Turn<'r, 'a>> = Vec::with_capacity(messages.len());
        for message in messages.iter().filter(|message| message.role != Role::System) {
            let mut parts =
                message.parts.iter().filter(|part| self.can_be_said(message.role, part)).peekable();
            if parts.peek().is_none() {
                continue;
            }
            match turns.last_mut() {
                Some(last) if last.role == message.role => last.parts.extend(parts),
                _ => {
                    let parts = parts.collect();
                    turns.push(Turn { role: message.role, parts });
                }
            }
        }
        turns
    }

    fn can_be_said(&mut self, role: Role, part: &Part<'_>) -> bool {
        let can = match &part.kind {
            PartKind::Text(text) | PartKind::Refusal(text) => return !text.is_blank(),
            // Without a signature of its own Claude believes no thought, and other models take none back.
            PartKind::Thinking { .. } | PartKind::RedactedThinking(_) => {
                let can = self.family == Family::Claude && is_proven(part) && role == Role::Assistant;
                self.dropped.note_if(!can, losses::of_part(&part.kind));
                return can;
            }
            PartKind::ToolCall(_) => role == Role::Assistant,
            PartKind::ToolResult(_) => role == Role::User,
            kind @ (PartKind::Image(_) | PartKind::Document(_) | PartKind::Video(_) | PartKind::Audio(_)) => {
                role == Role::User && takes(kind)
            }
        };
        self.dropped.note_if(!can, losses::of_part(&part.kind));
        can
    }

    fn assistant(&mut self, turn: &Turn<'_, '_>, last: bool, out: &mut Out<'_>) {
        begin_turn("assistant", out);
        for (nth, part) in turn.parts.iter().enumerate() {
            match &part.kind {
                // White space at the end of what the model is to go on from is refused.
                PartKind::Text(text) if last && nth + 1 == turn.parts.len() => {
                    write_text(&Text::plain(text.decode().trim_end()), out);
                }
                _ => self.block(part, out),
            }
            // Behind a thought none may stand.
            let thought = matches!(part.kind, PartKind::Thinking { .. } | PartKind::RedactedThinking(_));
            write_cache_point(part.cache.filter(|_| !thought), self.family, self.dropped, out);
        }
        end_turn(out);
    }

    /// Results of the calls before, in their order and one for each, and then the rest.
    fn user(&mut self, turn: &Turn<'_, '_>, calls: &[&ToolCall<'_>], out: &mut Out<'_>) {
        begin_turn("user", out);
        let mut answered: Vec<*const Part<'_>> = Vec::with_capacity(calls.len());
        for call in calls {
            match turn.result_of(call) {
                Some((part, result)) if !answered.contains(&std::ptr::from_ref(part).cast()) => {
                    answered.push(std::ptr::from_ref(part).cast());
                    self.result(result, out);
                    write_cache_point(part.cache, self.family, self.dropped, out);
                }
                _ => write_missing_result(call, out),
            }
        }
        let rest = turn.parts.iter().filter(|part| !answered.contains(&std::ptr::from_ref(**part).cast()));
        let (mut document, mut text) = (false, false);
        for part in rest {
            document |= matches!(part.kind, PartKind::Document(_));
            text |= matches!(part.kind, PartKind::Text(_));
            self.block(part, out);
            write_cache_point(part.cache, self.family, self.dropped, out);
        }
        // A document alone is refused.
        if document && !text {
            write_text(&FILLER, out);
        }
        end_turn(out);
    }

    fn block(&mut self, part: &Part<'_>, out: &mut Out<'_>) {
        match &part.kind {
            PartKind::Text(text) | PartKind::Refusal(text) => write_text(text, out),
            PartKind::Image(media) => {
                let detail = media.detail.as_ref().is_some_and(|detail| !detail.is("auto"));
                self.dropped.note_if(detail, losses::IMAGE_DETAIL);
                self.media(Sort::Image, media, out);
            }
            PartKind::Document(media) => self.media(Sort::Document, media, out),
            PartKind::Video(media) => self.media(Sort::Video, media, out),
            PartKind::Audio(media) => self.media(Sort::Audio, media, out),
            PartKind::ToolCall(call) => self.call(call, out),
            PartKind::ToolResult(result) => self.orphan(result, out),
            PartKind::Thinking { text, signature } => {
                out.begin_object().key("reasoningContent").begin_object();
                out.key("reasoningText").begin_object().field_text("text", Some(text));
                out.field_text("signature", signature.as_ref()).end_object().end_object().end_object();
            }
            PartKind::RedactedThinking(data) => {
                out.begin_object().key("reasoningContent").begin_object();
                out.field_text("redactedContent", Some(data)).end_object().end_object();
            }
        }
    }

    fn media(&mut self, sort: Sort, media: &Media<'_>, out: &mut Out<'_>) {
        write_media(sort, media, &mut self.documents, out);
    }

    fn call(&mut self, call: &ToolCall<'_>, out: &mut Out<'_>) {
        out.begin_object().key("toolUse").begin_object();
        out.field_text("toolUseId", Some(&fitting_id(&call.id)));
        out.field_text("name", Some(&self.names.mapped(self.rules, &call.name))).key("input");
        if call.custom {
            out.begin_object().field_text("input", Some(&call.arguments.to_text())).end_object();
        } else {
            call.arguments.write_object(out.bytes());
        }
        out.end_object().end_object();
    }

    fn result(&mut self, result: &ToolResult<'_>, out: &mut Out<'_>) {
        begin_result(&result.id, out);
        let mut any = false;
        for part in &result.parts {
            match &part.kind {
                PartKind::Text(text) if text.is_blank() => continue,
                PartKind::Text(_) | PartKind::Image(_) | PartKind::Document(_) | PartKind::Video(_)
                    if self.can_be_said(Role::User, part) =>
                {
                    self.block(part, out);
                    any = true;
                }
                PartKind::Image(_) | PartKind::Document(_) | PartKind::Video(_) => {}
                kind => self.dropped.note(losses::of_part(kind)),
            }
        }
        if !any {
            write_text(&NO_OUTPUT, out);
        }
        end_result(result.is_error, out);
    }

    /// A result of no call is refused as such; what it says is kept.
    fn orphan(&mut self, result: &ToolResult<'_>, out: &mut Out<'_>) {
        self.dropped.note(losses::TOOL_CALL_ID);
        let mut any = false;
        for part in &result.parts {
            let nested = matches!(part.kind, PartKind::ToolResult(_));
            if !nested && self.can_be_said(Role::User, part) {
                self.block(part, out);
                any = true;
            }
        }
        if !any {
            write_text(&NO_OUTPUT, out);
        }
    }
}

fn begin_turn(role: &str, out: &mut Out<'_>) {
    out.begin_object().field("role", role).key("content").begin_array();
}

fn end_turn(out: &mut Out<'_>) {
    out.end_array().end_object();
}

fn write_text(text: &Text<'_>, out: &mut Out<'_>) {
    out.begin_object().field_text("text", Some(text)).end_object();
}

fn begin_result(id: &Text<'_>, out: &mut Out<'_>) {
    out.begin_object().key("toolResult").begin_object();
    out.field_text("toolUseId", Some(&fitting_id(id))).key("content").begin_array();
}

fn end_result(is_error: bool, out: &mut Out<'_>) {
    out.end_array();
    if is_error {
        out.field("status", "error");
    }
    out.end_object().end_object();
}

/// A call without a result is refused.
fn write_missing_result(call: &ToolCall<'_>, out: &mut Out<'_>) {
    begin_result(&call.id, out);
    write_text(&Text::literal(NO_RESULT), out);
    end_result(true, out);
}

/// An id as the service allows it: letters, digits, underscores and hyphens. Calls and results are changed alike, so they
/// still belong together; a checksum keeps ids apart that were changed into the same.
fn fitting_id<'t>(id: &'t Text<'_>) -> Text<'t> {
    let fits = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let escaped = id.as_escaped();
    if !escaped.is_empty() && escaped.len() <= MAX_ID_BYTES && escaped.iter().all(fits) {
        return id.borrow();
    }
    let id: Cow<'_, str> = id.decode();
    let checksum = format!("_{:08x}", crc32fast::hash(id.as_bytes()));
    let kept = id.bytes().take(MAX_ID_BYTES - checksum.len());
    let kept: String = kept.map(|byte| if fits(&byte) { char::from(byte) } else { '_' }).collect();
    Text::plain(&(kept + &checksum))
}
