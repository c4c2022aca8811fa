//! Reading the input: items become turns.
//!
//! What the model did (reasoning, messages, calls) stands in items of their own here and in one turn in the canonical
//! form, so neighbours are joined; so are neighbouring outputs of tools. What users and operators say stays as it is.

use crate::exchange::{Arguments, Dropped, Message, Part, PartKind, Raw, Role, Text, ToolCall, ToolResult};
use crate::json::{Kind, Value};
use crate::openai::RequestError;

use super::media;
use super::request_in::{note_others, wrong};
use super::{CALL_SIGNATURE, REDACTED, behind};

const INPUT: &str = "input";

/// Reads `input`, a string or items, and appends the messages it comes to.
pub(super) fn messages<'d>(
    input: Value<'d>,
    messages: &mut Vec<Message<'d>>,
    dropped: &mut Dropped,
) -> Result<(), RequestError> {
    match (input.text(), input.is_array()) {
        (Some(text), _) => {
            messages.push(message(Role::User, vec![PartKind::Text(text).into()]));
            Ok(())
        }
        (None, true) => {
            let mut turns = Turns { messages, run: Run::None, signature: None };
            for item in input.elements() {
                turns.item(item, dropped)?;
            }
            if input.elements().next().is_none() {
                return Err(RequestError::about(INPUT, "Invalid 'input': empty array."));
            }
            Ok(())
        }
        _ => Err(wrong(INPUT)),
    }
}

fn message<'d>(role: Role, parts: Vec<Part<'d>>) -> Message<'d> {
    Message { role, parts, name: None }
}

/// What the last message may be continued with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Run {
    None,
    Assistant,
    Results,
}

struct Turns<'m, 'd> {
    messages: &'m mut Vec<Message<'d>>,
    run: Run,
    /// Gemini's signature of the call that comes next.
    signature: Option<Text<'d>>,
}

impl<'d> Turns<'_, 'd> {
    fn item(&mut self, item: Value<'d>, dropped: &mut Dropped) -> Result<(), RequestError> {
        if !item.is_object() {
            return Err(wrong(INPUT));
        }
        let kind = match item.text_of("type") {
            Some(kind) => kind,
            None if item.get("role").is_some() => Text::literal("message"),
            None => Text::literal("item_reference"),
        };
        match &*kind.decode() {
            "message" => self.message(item, dropped)?,
            "function_call" => {
                note_others(item, &["type", "id", "call_id", "name", "arguments", "status"], INPUT, dropped);
                let call = ToolCall { signature: self.signature.take(), ..call(item, "arguments", false)? };
                self.push(Run::Assistant, PartKind::ToolCall(call));
            }
            "custom_tool_call" => {
                note_others(item, &["type", "id", "call_id", "name", "input", "status"], INPUT, dropped);
                self.push(Run::Assistant, PartKind::ToolCall(call(item, "input", true)?));
            }
            "function_call_output" | "custom_tool_call_output" => {
                note_others(item, &["type", "id", "call_id", "name", "output", "status"], INPUT, dropped);
                self.push(Run::Results, PartKind::ToolResult(result(item, dropped)?));
            }
            "reasoning" => self.reasoning(item, dropped),
            "item_reference" => {
                return Err(RequestError::about(
                    INPUT,
                    "The provider of this model does not keep items to refer to; send the items themselves, as most clients do with 'store' set to false.",
                ));
            }
            kept if kept.starts_with("compaction") => {
                return Err(RequestError::about(
                    INPUT,
                    "A compacted conversation can be read by its provider only; send the items themselves.",
                ));
            }
            other => dropped.note(format!("input.{other}")),
        }
        Ok(())
    }

    fn reasoning(&mut self, item: Value<'d>, dropped: &mut Dropped) {
        let proof = item.get("encrypted_content");
        if let Some(signature) = proof.and_then(|proof| behind(&proof, CALL_SIGNATURE)) {
            self.signature = Some(signature);
            return;
        }
        match thought(item) {
            Some(thought) => self.push(Run::Assistant, thought),
            None => dropped.note("input.reasoning"),
        }
    }

    fn message(&mut self, item: Value<'d>, dropped: &mut Dropped) -> Result<(), RequestError> {
        note_others(item, &["type", "id", "role", "content", "status"], INPUT, dropped);
        let role = item.text_of("role").ok_or_else(|| wrong(INPUT))?;
        let content = item.get("content").ok_or_else(|| wrong(INPUT))?;
        let parts = content_parts(content, dropped)?;
        let role = match &*role.decode() {
            "user" => Role::User,
            "system" | "developer" => Role::System,
            "assistant" => {
                for part in parts {
                    self.push(Run::Assistant, part);
                }
                return Ok(());
            }
            _ => return Err(RequestError::about(INPUT, "Unknown role of a message.")),
        };
        self.run = Run::None;
        self.messages.push(message(role, parts));
        Ok(())
    }

    /// Appends to the last message if it is of the same run, or begins one.
    fn push(&mut self, run: Run, part: impl Into<Part<'d>>) {
        if self.run != run {
            self.run = run;
            let role = if run == Run::Assistant { Role::Assistant } else { Role::User };
            self.messages.push(message(role, Vec::new()));
        }
        if let Some(last) = self.messages.last_mut() {
            last.parts.push(part.into());
        }
    }
}

/// A call's id. Items that were kept by their own id only have that.
fn call_id(item: Value<'_>) -> Option<Text<'_>> {
    item.text_of("call_id").or_else(|| item.text_of("id"))
}

/// A function call or a custom tool's, of a request or an answer.
pub(super) fn call<'d>(item: Value<'d>, arguments: &str, custom: bool) -> Result<ToolCall<'d>, RequestError> {
    let arguments = match item.get(arguments) {
        Some(value) if value.kind() == Kind::Object => Arguments::Object(Raw::written(value.raw())),
        value => Arguments::Text(value.and_then(Value::text).unwrap_or_default()),
    };
    Ok(ToolCall {
        id: call_id(item).ok_or_else(|| wrong(INPUT))?,
        name: item.text_of("name").ok_or_else(|| wrong(INPUT))?,
        arguments,
        signature: None,
        custom,
    })
}

fn result<'d>(item: Value<'d>, dropped: &mut Dropped) -> Result<ToolResult<'d>, RequestError> {
    let output = item.get("output").ok_or_else(|| wrong(INPUT))?;
    Ok(ToolResult {
        id: item.text_of("call_id").ok_or_else(|| wrong(INPUT))?,
        name: item.text_of("name"),
        parts: content_parts(output, dropped)?,
        is_error: false,
    })
}

/// A reasoning item; `None` where it holds nothing (it is kept by its id then).
pub(super) fn thought(item: Value<'_>) -> Option<PartKind<'_>> {
    let signature = item.text_of("encrypted_content").filter(|proof| !proof.is_empty());
    let shown = joined(item.get("summary")).or_else(|| joined(item.get("content")));
    let redacted = item.get("encrypted_content").and_then(|proof| behind(&proof, REDACTED));
    match (shown, redacted) {
        (None, Some(data)) => Some(PartKind::RedactedThinking(data)),
        (None, None) if signature.is_none() => None,
        (shown, _) => Some(PartKind::Thinking { text: shown.unwrap_or_default(), signature }),
    }
}

/// The texts of a list of parts with an empty line between them.
fn joined(parts: Option<Value<'_>>) -> Option<Text<'_>> {
    let mut texts = parts?.elements().filter_map(|part| part.text_of("text"));
    let mut all = texts.next()?;
    for text in texts {
        all.push(&PARAGRAPH);
        all.push(&text);
    }
    Some(all).filter(|all| !all.is_empty())
}

/// Between the parts of a summary.
pub(super) const PARAGRAPH: Text<'static> = Text::escaped(b"\\n\\n");

/// The content of a message or the output of a tool: a string or parts.
fn content_parts<'d>(content: Value<'d>, dropped: &mut Dropped) -> Result<Vec<Part<'d>>, RequestError> {
    if let Some(text) = content.text() {
        return Ok(vec![PartKind::Text(text).into()]);
    }
    if !content.is_array() {
        return Err(wrong(INPUT));
    }
    let mut parts = Vec::with_capacity(1);
    for part in content.elements() {
        let Some(kind) = content_part(part, dropped)? else { continue };
        parts.push(Part { kind, cache: media::cache_hint(part) });
    }
    Ok(parts)
}

fn content_part<'d>(part: Value<'d>, dropped: &mut Dropped) -> Result<Option<PartKind<'d>>, RequestError> {
    let text = |name| part.text_of(name).ok_or_else(|| wrong(INPUT));
    let kind = text("type")?;
    Ok(Some(match &*kind.decode() {
        "input_text" | "output_text" | "text" => {
            let annotated = part.get("annotations").is_some_and(|all| all.elements().next().is_some());
            dropped.note_if(annotated, "input.annotations");
            PartKind::Text(text("text")?)
        }
        "refusal" => PartKind::Refusal(text("refusal")?),
        "input_image" => PartKind::Image(media::image(part)?),
        "input_file" => PartKind::Document(media::file(part, dropped)?),
        "input_audio" => PartKind::Audio(media::audio(part)?),
        other => {
            dropped.note(format!("input.{other}"));
            return Ok(None);
        }
    }))
}
