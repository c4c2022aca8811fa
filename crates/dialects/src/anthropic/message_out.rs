//! Writing messages.

use super::answer::{write_input, write_thinking};
use super::mapped_name;
use super::media::{can_write_document, can_write_image, write_document, write_image};
use super::turns::{Block, Turn};
use crate::exchange::pairing::NO_RESULT;
use crate::exchange::{CacheHint, Dropped, Media, Part, PartKind, Text, Tool, ToolCall, ToolResult, losses};
use crate::json::Out;

/// Most breakpoints of the cache in one request.
const MAX_BREAKPOINTS: usize = 4;

/// Which breakpoints are written: the last ones, for each covers what the earlier ones do.
#[derive(Debug)]
pub(super) struct Breakpoints {
    skipped: usize,
}

impl Breakpoints {
    /// Of so many in all.
    pub(super) fn of(count: usize, dropped: &mut Dropped) -> Self {
        dropped.note_if(count > MAX_BREAKPOINTS, losses::CACHE);
        Self { skipped: count.saturating_sub(MAX_BREAKPOINTS) }
    }

    /// Writes the next one, if it is one.
    pub(super) fn write(&mut self, hint: Option<CacheHint>, out: &mut Out<'_>) {
        let Some(hint) = hint else { return };
        if self.skipped > 0 {
            self.skipped -= 1;
            return;
        }
        out.key("cache_control").begin_object().field("type", "ephemeral");
        if hint == CacheHint::Hour {
            out.field("ttl", "1h");
        }
        out.end_object();
    }
}

/// What writing a message takes besides it.
pub(super) struct MessageWriter<'w, 'a> {
    pub(super) tools: &'w [Tool<'a>],
    pub(super) breakpoints: Breakpoints,
    pub(super) dropped: &'w mut Dropped,
}

impl MessageWriter<'_, '_> {
    /// Writes the system prompt, as a string where that says all.
    pub(super) fn system(&mut self, parts: &[&Part<'_>], out: &mut Out<'_>) {
        if parts.is_empty() {
            return;
        }
        out.key("system");
        if let [Part { kind: PartKind::Text(text), cache: None }] = parts {
            out.text(text);
            return;
        }
        out.begin_array();
        for part in parts {
            self.block(Block::Part(part), out);
        }
        out.end_array();
    }

    /// Writes a turn.
    pub(super) fn turn(&mut self, turn: &Turn<'_, '_>, out: &mut Out<'_>) {
        out.begin_object().field("role", if turn.is_user { "user" } else { "assistant" }).key("content");
        match &turn.blocks[..] {
            [Block::Part(Part { kind: PartKind::Text(text), cache: None })] => {
                out.text(text);
            }
            [Block::Own(text)] => {
                out.string(text);
            }
            blocks => {
                out.begin_array();
                for block in blocks {
                    self.block(*block, out);
                }
                out.end_array();
            }
        }
        out.end_object();
    }

    fn block(&mut self, block: Block<'_, '_>, out: &mut Out<'_>) {
        match block {
            // Thoughts are closed at once: they take no hint.
            Block::Part(Part { kind: PartKind::Thinking { text, signature }, .. }) => {
                write_thinking(text, signature.as_ref(), out);
                return;
            }
            Block::Part(part) => self.part(&part.kind, out),
            Block::Prefill(text) => {
                let decoded = text.decode();
                out.begin_object().field("type", "text").field("text", decoded.trim_end());
            }
            Block::NoResult(id) => {
                out.begin_object().field("type", "tool_result").key("tool_use_id");
                write_id(id, out);
                out.field("content", NO_RESULT).key("is_error").bool(true);
            }
            Block::Own(text) => {
                out.begin_object().field("type", "text").field("text", text);
            }
        }
        self.breakpoints.write(block.cache(), out);
        out.end_object();
    }

    /// Writes a part's object and leaves it open. Only parts that [`super::turns`] lets through come here.
    fn part(&mut self, part: &PartKind<'_>, out: &mut Out<'_>) {
        out.begin_object();
        match part {
            PartKind::Text(text) | PartKind::Refusal(text) => {
                out.field("type", "text").key("text").text(text);
            }
            PartKind::Image(image) => self.image(image, out),
            PartKind::Document(document) => self.document(document, out),
            PartKind::ToolCall(call) => self.call(call, out),
            PartKind::ToolResult(result) => self.result(result, out),
            PartKind::RedactedThinking(data) => {
                out.field("type", "redacted_thinking").key("data").text(data);
            }
            PartKind::Thinking { .. } | PartKind::Audio(_) | PartKind::Video(_) => {}
        }
    }

    fn image(&mut self, image: &Media<'_>, out: &mut Out<'_>) {
        let detailed = image.detail.as_ref().is_some_and(|detail| !detail.is("auto"));
        self.dropped.note_if(detailed, losses::IMAGE_DETAIL);
        out.field("type", "image");
        write_image(image, out);
    }

    fn document(&mut self, document: &Media<'_>, out: &mut Out<'_>) {
        out.field("type", "document");
        write_document(document, out);
        out.field_text("title", document.name.as_ref());
    }

    fn call(&mut self, call: &ToolCall<'_>, out: &mut Out<'_>) {
        out.field("type", "tool_use").key("id");
        write_id(&call.id, out);
        out.key("name").text(&mapped_name(self.tools, &call.name)).key("input");
        write_input(call, out);
    }

    fn result(&mut self, result: &ToolResult<'_>, out: &mut Out<'_>) {
        out.field("type", "tool_result").key("tool_use_id");
        write_id(&result.id, out);
        let parts: Vec<&PartKind<'_>> =
            result.parts.iter().map(|part| &part.kind).filter(|part| self.result_takes(part)).collect();
        match parts[..] {
            [] => {}
            [PartKind::Text(text)] => {
                out.key("content").text(text);
            }
            _ => {
                out.key("content").begin_array();
                for part in parts {
                    self.part(part, out);
                    out.end_object();
                }
                out.end_array();
            }
        }
        if result.is_error {
            out.key("is_error").bool(true);
        }
    }

    fn result_takes(&mut self, part: &PartKind<'_>) -> bool {
        let takes = match part {
            PartKind::Text(text) => return !text.is_blank(),
            PartKind::Image(media) => can_write_image(media),
            PartKind::Document(media) => can_write_document(media),
            _ => false,
        };
        self.dropped.note_if(!takes, losses::of_part(part));
        takes
    }
}

/// Writes the id of a call. What the dialect does not allow in one becomes an underscore, in calls and results alike.
fn write_id(id: &Text<'_>, out: &mut Out<'_>) {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    let escaped = id.as_escaped();
    if !escaped.is_empty() && escaped.iter().all(|byte| allowed(*byte)) {
        out.text(id);
        return;
    }
    let fitted: String =
        escaped.iter().map(|byte| if allowed(*byte) { char::from(*byte) } else { '_' }).collect();
    out.string(if fitted.is_empty() { "_" } else { &fitted });
}
