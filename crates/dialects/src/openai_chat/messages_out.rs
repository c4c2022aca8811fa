//! Writing the messages of a request.

use super::{media, thinking, tools_out};
use crate::exchange::pairing::{self, Answers, NO_RESULT};
use crate::exchange::{
    Arguments, ChatRequest, Dropped, Message, Part, PartKind, Role, Text, ToolCall, losses,
};
use crate::json::Out;
use crate::lost_media::refuse_emptied;
use crate::openai::RequestError;
use crate::tool_names::ToolNames;
use crate::wire::{Quirk, Quirks, Target};

/// Length of the ids that [`Quirk::ShortCallIds`] demands.
const SHORT_ID_BYTES: usize = 9;

/// Appends `messages`.
///
/// # Errors
///
/// Where one would be empty.
pub(super) fn write(
    request: &ChatRequest<'_>,
    target: &Target<'_>,
    names: &ToolNames,
    dropped: &mut Dropped,
    out: &mut Out<'_>,
) -> Result<(), RequestError> {
    let plain = target.quirks.has(Quirk::StringContent);
    let expected = if plain {
        "text"
    } else {
        "images, sound and documents as bytes (base64), or images by an https: address"
    };
    refuse_emptied(&request.messages, expected, |kind| !plain && media::takes(kind))?;
    out.key("messages").begin_array();
    let mut writer = Writer { quirks: target.quirks, names, answers: Answers::default(), dropped, out };
    for (at, message) in request.messages.iter().enumerate() {
        writer.message(message, &request.messages[at + 1..]);
    }
    out.end_array();
    Ok(())
}

struct Writer<'w, 'o> {
    quirks: Quirks,
    names: &'w ToolNames,
    /// The calls of the model's last turn that had any. OpenAI refuses results that answer none of them.
    answers: Answers<'w, 'w>,
    dropped: &'w mut Dropped,
    out: &'w mut Out<'o>,
}

impl<'w> Writer<'w, '_> {
    fn message(&mut self, message: &'w Message<'w>, following: &'w [Message<'w>]) {
        match message.role {
            // Never `developer`: models that know it take `system` for it, and many providers know no other.
            Role::System => self.plain("system", message),
            Role::User => self.user(message),
            Role::Assistant => {
                self.assistant(message);
                self.results(message, following);
            }
        }
    }

    /// What the user says, and before it what could not be in the results of tools.
    fn user(&mut self, message: &'w Message<'w>) {
        let mut moved: Vec<&Part<'_>> = Vec::new();
        for part in &message.parts {
            match &part.kind {
                PartKind::ToolResult(result) if self.answers.contains(part) => {
                    moved.extend(result.parts.iter().filter(|part| !is_text(part)));
                }
                PartKind::ToolResult(result) => {
                    self.dropped.note(losses::TOOL_CALL_ID);
                    moved.extend(&result.parts);
                }
                _ => moved.push(part),
            }
        }
        let only_results = !message.parts.is_empty() && moved.is_empty();
        if !only_results {
            self.open("user", message);
            self.content(&moved);
            self.out.end_object();
        }
    }

    /// Answers the calls of a turn directly behind it, in their order, for OpenAI demands that.
    fn results(&mut self, turn: &'w Message<'w>, following: &'w [Message<'w>]) {
        let answers = Answers::of(turn, following);
        for answer in answers.iter() {
            let id = self.call_id(&answer.call.id);
            self.out.begin_object().field("role", "tool").key("tool_call_id").text(&id);
            match answer.result {
                Some(part) => self.result(part),
                None => _ = self.out.field("content", NO_RESULT),
            }
            self.out.end_object();
        }
        if pairing::calls(turn).next().is_some() {
            self.answers = answers;
        }
    }

    fn open(&mut self, role: &str, message: &Message<'_>) {
        self.out.begin_object().field("role", role).field_text("name", message.name.as_ref());
    }

    fn plain(&mut self, role: &str, message: &Message<'_>) {
        self.open(role, message);
        let parts: Vec<&Part<'_>> = message.parts.iter().filter(|part| self.takes_text(part)).collect();
        self.content(&parts);
        self.out.end_object();
    }

    /// Whether it is text; the roles that can say nothing else lose the rest.
    fn takes_text(&mut self, part: &Part<'_>) -> bool {
        self.dropped.note_if(!is_text(part), losses::of_part(&part.kind));
        is_text(part)
    }

    /// The content of a result. Images and documents have no place in it and go to the user's message behind.
    fn result(&mut self, part: &Part<'_>) {
        let PartKind::ToolResult(result) = &part.kind else { return };
        let texts: Vec<_> = result.parts.iter().filter(|part| is_text(part)).collect();
        self.dropped.note_if(texts.len() < result.parts.len(), losses::TOOL_CONTENT);
        self.dropped.note_if(result.is_error, losses::TOOL_ERROR);
        self.dropped.note_if(part.cache.is_some(), losses::CACHE);
        self.content(&texts);
    }

    fn assistant(&mut self, message: &'w Message<'w>) {
        self.open("assistant", message);
        let (mut texts, mut has_calls, mut refusal) = (Vec::new(), false, None);
        for part in &message.parts {
            match &part.kind {
                PartKind::Text(_) => texts.push(part),
                PartKind::Refusal(text) => refusal = Some(text),
                PartKind::ToolCall(_) => has_calls = true,
                PartKind::Thinking { .. } | PartKind::RedactedThinking(_) => {}
                kind => self.dropped.note(losses::of_part(kind)),
            }
        }
        if texts.is_empty() && (has_calls || refusal.is_some()) {
            self.out.key("content").null();
        } else {
            self.content(&texts);
        }
        self.out.field_text("refusal", refusal);
        self.thinking(&message.parts);
        if has_calls {
            self.calls(&message.parts);
        }
        self.out.end_object();
    }

    fn thinking(&mut self, parts: &[Part<'_>]) {
        let takes = self.quirks.has(Quirk::TakesReasoning);
        for part in parts {
            match &part.kind {
                PartKind::Thinking { signature: None, .. } if takes => {}
                PartKind::Thinking { .. } if !takes => self.dropped.note(losses::THINKING),
                // Proofs are of another provider: none that speaks this dialect gives any.
                PartKind::Thinking { .. } | PartKind::RedactedThinking(_) => {
                    self.dropped.note(losses::THINKING_PROOF);
                }
                _ => {}
            }
        }
        if takes {
            thinking::write(parts, false, self.out);
        }
    }

    fn calls(&mut self, parts: &[Part<'_>]) {
        self.out.key("tool_calls").begin_array();
        for part in parts {
            self.dropped.note_if(part.cache.is_some(), losses::CACHE);
            if let PartKind::ToolCall(call) = &part.kind {
                let id = self.call_id(&call.id);
                let signed = self.quirks.has(Quirk::TakesReasoning);
                self.dropped.note_if(call.signature.is_some() && !signed, losses::TOOL_CALL_SIGNATURE);
                let name = self.names.mapped(&tools_out::NAMES, &call.name);
                write_call(call, &id, &name, signed, self.out);
            }
        }
        self.out.end_array();
    }

    fn call_id<'t>(&self, id: &'t Text<'t>) -> Text<'t> {
        let plain = id.decode();
        let fits = plain.len() == SHORT_ID_BYTES && plain.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if fits || !self.quirks.has(Quirk::ShortCallIds) { id.borrow() } else { short_id(&plain) }
    }

    /// Appends `content`: a string where that says all, else a list of parts.
    fn content(&mut self, parts: &[&Part<'_>]) {
        self.out.key("content");
        match parts {
            [] => {
                self.out.string("");
            }
            [Part { kind: PartKind::Text(text), cache }] if cache.is_none() || !self.takes_breakpoints() => {
                self.dropped.note_if(cache.is_some(), losses::CACHE);
                self.out.text(text);
            }
            _ if self.quirks.has(Quirk::StringContent) => self.joined(parts),
            _ => {
                self.out.begin_array();
                parts.iter().for_each(|part| self.part(part));
                if self.out.bytes().ends_with(b"[") {
                    // None of them could be said, and OpenAI refuses an empty list.
                    self.out.bytes().pop();
                    self.out.string("");
                } else {
                    self.out.end_array();
                }
            }
        }
    }

    /// All texts as one, with line ends between them.
    fn joined(&mut self, parts: &[&Part<'_>]) {
        let mut joined = Text::default();
        for part in parts {
            self.dropped.note_if(part.cache.is_some(), losses::CACHE);
            let PartKind::Text(text) = &part.kind else {
                self.dropped.note(losses::of_part(&part.kind));
                continue;
            };
            if !joined.is_empty() {
                joined.push(&Text::literal("\\n"));
            }
            joined.push(text);
        }
        self.out.text(&joined);
    }

    fn part(&mut self, part: &Part<'_>) {
        let opened = match &part.kind {
            PartKind::Text(text) => {
                self.out.begin_object().field("type", "text").key("text").text(text);
                Ok(())
            }
            kind => media::open_part(kind, self.out),
        };
        match opened {
            Ok(()) => {
                self.breakpoint(part);
                self.out.end_object();
            }
            Err(name) => self.dropped.note(name),
        }
    }

    fn takes_breakpoints(&self) -> bool {
        self.quirks.has(Quirk::CacheBreakpoints)
    }

    /// OpenAI refuses breakpoints on images.
    fn breakpoint(&mut self, part: &Part<'_>) {
        let can = self.takes_breakpoints() && !matches!(part.kind, PartKind::Image(_));
        match part.cache {
            Some(_) if can => {
                self.out.key("prompt_cache_breakpoint").begin_object().field("mode", "explicit").end_object();
            }
            cache => self.dropped.note_if(cache.is_some(), losses::CACHE),
        }
    }
}

fn is_text(part: &Part<'_>) -> bool {
    matches!(part.kind, PartKind::Text(_))
}

/// One call, by an id and a name that are not always its own. `signed`: with Gemini's signature.
pub(super) fn write_call(
    call: &ToolCall<'_>,
    id: &Text<'_>,
    name: &Text<'_>,
    signed: bool,
    out: &mut Out<'_>,
) {
    let (kind, arguments) = if call.custom { ("custom", "input") } else { ("function", "arguments") };
    out.begin_object().key("id").text(id).field("type", kind).key(kind).begin_object();
    out.key("name").text(name).key(arguments);
    if call.custom || !is_blank(call) {
        call.arguments.write_string(out.bytes());
    } else {
        out.string("{}");
    }
    out.end_object();
    if let Some(signature) = call.signature.as_ref().filter(|_| signed) {
        write_signature(signature, out);
    }
    out.end_object();
}

/// Clients parse arguments as JSON, and no text is none.
fn is_blank(call: &ToolCall<'_>) -> bool {
    matches!(&call.arguments, Arguments::Text(text) if text.is_blank())
}

/// Gemini's signature of a call, as Google's compatible endpoint has it.
pub(super) fn write_signature(signature: &Text<'_>, out: &mut Out<'_>) {
    out.key("extra_content").begin_object().key("google").begin_object();
    out.key("thought_signature").text(signature).end_object().end_object();
}

/// Nine letters and digits that stand for an id, always the same for the same (FNV-1a in base 36).
fn short_id(id: &str) -> Text<'static> {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let mut hash = id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let mut short = String::with_capacity(SHORT_ID_BYTES);
    for _ in 0..SHORT_ID_BYTES {
        short.push(char::from(DIGITS[(hash % 36) as usize]));
        hash /= 36;
    }
    Text::plain(&short)
}
