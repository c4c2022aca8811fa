//! Writing the input: turns become items.

use std::collections::HashMap;

use crate::exchange::pairing::NO_RESULT;
use crate::exchange::{
    Arguments, Dropped, Message, Part, PartKind, Role, Source, Text, ToolCall, ToolResult, losses,
};
use crate::json::Out;
use crate::tool_names::{NameRules, ToolNames};

use super::media;

/// Longest id of a call that is accepted, in bytes.
const MAX_CALL_ID: usize = 64;

/// How every `encrypted_content` of OpenAI's begins: it is a Fernet token, version 128, with a time stamp whose upper
/// bytes are zero until 2106. The proofs of other providers are refused, so they are not sent.
const OWN_PROOF: &[u8] = b"gAAAA";

/// The member that asks to cache the prompt up to a part.
const BREAKPOINT: &str = "prompt_cache_breakpoint";

/// What is known of a call.
#[derive(Clone, Copy, Default)]
struct Call {
    custom: bool,
    answered: bool,
}

/// Writes the items of a conversation.
pub(super) struct Items<'r, 'a> {
    messages: &'r [Message<'a>],
    names: &'r ToolNames,
    calls: HashMap<&'r [u8], Call>,
    dropped: &'r mut Dropped,
    /// The provider takes breakpoints for its cache.
    breakpoints: bool,
    /// An item with encrypted reasoning was written.
    pub(super) has_reasoning: bool,
}

impl<'r, 'a> Items<'r, 'a> {
    pub(super) fn new(
        messages: &'r [Message<'a>],
        names: &'r ToolNames,
        breakpoints: bool,
        dropped: &'r mut Dropped,
    ) -> Self {
        let mut calls: HashMap<&[u8], Call> = HashMap::new();
        for part in messages.iter().flat_map(|message| &message.parts) {
            match &part.kind {
                PartKind::ToolCall(call) => {
                    calls.entry(call.id.as_escaped()).or_default().custom = call.custom;
                }
                PartKind::ToolResult(result) => {
                    if let Some(call) = calls.get_mut(result.id.as_escaped()) {
                        call.answered = true;
                    }
                }
                _ => {}
            }
        }
        Self { messages, names, calls, dropped, breakpoints, has_reasoning: false }
    }

    /// Appends the items, inside of an array.
    pub(super) fn write(&mut self, out: &mut Out<'_>) {
        for message in self.messages {
            self.dropped.note_if(message.name.is_some(), losses::MESSAGE_NAME);
            for group in message.parts.chunk_by(|a, b| is_content(a) && is_content(b)) {
                self.dropped.note_if(group[0].cache.is_some() && !is_content(&group[0]), losses::CACHE);
                match &group[0].kind {
                    PartKind::ToolCall(call) => self.call(call, out),
                    PartKind::ToolResult(result) => self.result(result, out),
                    PartKind::Thinking { text, signature } => self.thinking(text, signature.as_ref(), out),
                    PartKind::RedactedThinking(_) => self.dropped.note(losses::THINKING_PROOF),
                    _ => self.message(message.role, group, out),
                }
            }
            self.missing_results(message, out);
        }
    }

    /// A message of texts and media that stand next to each other.
    fn message(&mut self, role: Role, parts: &[Part<'_>], out: &mut Out<'_>) {
        let from_model = role == Role::Assistant;
        let sent = |part: &&Part<'_>| match &part.kind {
            PartKind::Text(text) => !text.is_empty() || !from_model && parts.len() == 1,
            _ => true,
        };
        let sent: Vec<&Part<'_>> = parts.iter().filter(sent).collect();
        if sent.is_empty() {
            return;
        }
        let mark = out.bytes().len();
        out.begin_object().field("type", "message").field("role", role_name(role)).key("content");
        if self.content(from_model, &sent, out) {
            out.end_object();
        } else {
            out.bytes().truncate(mark);
        }
    }

    /// Appends the content of a message or the output of a tool: a string where that says all, else a list of parts.
    /// Says whether there is anything in it.
    fn content(&mut self, from_model: bool, parts: &[&Part<'_>], out: &mut Out<'_>) -> bool {
        match parts {
            [Part { kind: PartKind::Text(text), cache }] if cache.is_none() || !self.breakpoints => {
                self.dropped.note_if(cache.is_some(), losses::CACHE);
                out.text(text);
                return true;
            }
            _ => out.begin_array(),
        };
        for part in parts {
            match content_part(from_model, part, out) {
                Ok(()) => self.end_part(from_model, part, out),
                Err(name) => self.dropped.note(name),
            }
        }
        let written = !out.bytes().ends_with(b"[");
        out.end_array();
        written
    }

    /// Ends a part, with its breakpoint. What the model said has none, and images are refused with one.
    fn end_part(&mut self, from_model: bool, part: &Part<'_>, out: &mut Out<'_>) {
        if part.cache.is_some() {
            if self.breakpoints && !from_model && !matches!(part.kind, PartKind::Image(_)) {
                out.key(BREAKPOINT).begin_object().field("mode", "explicit").end_object();
            } else {
                self.dropped.note(losses::CACHE);
            }
        }
        out.end_object();
    }

    fn call(&mut self, call: &ToolCall<'_>, out: &mut Out<'_>) {
        out.begin_object().field("type", if call.custom { "custom_tool_call" } else { "function_call" });
        write_call_id(&call.id, out);
        out.key("name").text(&self.names.mapped(&NameRules::COMMON, &call.name));
        out.key(if call.custom { "input" } else { "arguments" });
        match &call.arguments {
            Arguments::Text(text) if !call.custom && text.is_blank() => drop(out.string("{}")),
            arguments => arguments.write_string(out.bytes()),
        }
        out.end_object();
    }

    fn result(&mut self, result: &ToolResult<'_>, out: &mut Out<'_>) {
        self.dropped.note_if(result.is_error, losses::TOOL_ERROR);
        let Some(call) = self.calls.get(result.id.as_escaped()) else {
            // Without its call it is refused; what it says is kept.
            self.dropped.note(losses::TOOL_CALL_ID);
            return self.message(Role::User, &result.parts, out);
        };
        open_result(call.custom, &result.id, out);
        let parts: Vec<&Part<'_>> = result.parts.iter().collect();
        let mark = out.bytes().len();
        if !self.content(false, &parts, out) {
            out.bytes().truncate(mark);
            out.string("");
        }
        out.end_object();
    }

    fn thinking(&mut self, text: &Text<'_>, signature: Option<&Text<'_>>, out: &mut Out<'_>) {
        let Some(proof) = signature.filter(|proof| proof.as_escaped().starts_with(OWN_PROOF)) else {
            return self.dropped.note(losses::THINKING);
        };
        self.has_reasoning = true;
        out.begin_object().field("type", "reasoning").key("summary").begin_array();
        if !text.is_empty() {
            out.begin_object().field("type", "summary_text").key("text").text(text).end_object();
        }
        out.end_array().key("encrypted_content").text(proof).end_object();
    }

    /// Answers the calls of a turn that nothing answers.
    fn missing_results(&self, message: &Message<'_>, out: &mut Out<'_>) {
        for part in &message.parts {
            let PartKind::ToolCall(call) = &part.kind else { continue };
            if !self.calls.get(call.id.as_escaped()).is_some_and(|call| call.answered) {
                open_result(call.custom, &call.id, out);
                out.string(NO_RESULT).end_object();
            }
        }
    }
}

/// Whether it belongs into a message, with others of its kind.
fn is_content(part: &Part<'_>) -> bool {
    use PartKind::{Audio, Document, Image, Refusal, Text, Video};
    matches!(part.kind, Text(_) | Refusal(_) | Image(_) | Audio(_) | Document(_) | Video(_))
}

fn role_name(role: Role) -> &'static str {
    match role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
    }
}

/// Appends a part without closing its object, or says by what name it was left out.
fn content_part(from_model: bool, part: &Part<'_>, out: &mut Out<'_>) -> Result<(), &'static str> {
    match &part.kind {
        PartKind::Text(text) if from_model => {
            out.begin_object().field("type", "output_text").key("text").text(text);
            out.key("annotations").begin_array().end_array();
        }
        PartKind::Refusal(text) if from_model => {
            out.begin_object().field("type", "refusal").key("refusal").text(text);
        }
        PartKind::Text(text) | PartKind::Refusal(text) => {
            out.begin_object().field("type", "input_text").key("text").text(text);
        }
        // What the model drew or said cannot be shown to it as its own.
        kind if from_model => return Err(losses::of_part(kind)),
        PartKind::Image(image) => media::open_image(out, image)?,
        PartKind::Document(document) => media::open_document(out, document)?,
        kind => return Err(losses::of_part(kind)),
    }
    Ok(())
}

/// Whether a part of the user's can be sent.
pub(super) fn takes(kind: &PartKind<'_>) -> bool {
    match kind {
        PartKind::Image(image) => media::takes(image) && !matches!(image.source, Source::Text(_)),
        PartKind::Document(document) => media::takes(document),
        PartKind::Audio(_) | PartKind::Video(_) => false,
        _ => true,
    }
}

/// The output of a call up to its value.
fn open_result(custom: bool, id: &Text<'_>, out: &mut Out<'_>) {
    let kind = if custom { "custom_tool_call_output" } else { "function_call_output" };
    out.begin_object().field("type", kind);
    write_call_id(id, out);
    out.key("output");
}

/// Appends a call's id; one that is too long is cut, with a hash of the whole in place of what was cut off, so that call
/// and output still agree.
fn write_call_id(id: &Text<'_>, out: &mut Out<'_>) {
    out.key("call_id");
    let whole = id.as_escaped();
    if whole.len() <= MAX_CALL_ID {
        out.text(id);
        return;
    }
    let hash = whole.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let kept: String = id.decode().chars().filter(char::is_ascii_alphanumeric).take(40).collect();
    out.string(&format!("{kept}_{hash:016x}"));
}
