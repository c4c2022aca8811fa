//! The messages of a request.

use super::media::media_of_url;
use super::request_in::wanted;
use crate::exchange::{Arguments, Dropped, Message, Part, PartKind, Role, Text, ToolCall, ToolResult};
use crate::json::{Kind, Value};
use crate::openai::RequestError;

/// Reads the conversation.
pub(super) fn read_messages<'d>(
    root: Value<'d>,
    dropped: &mut Dropped,
) -> Result<Vec<Message<'d>>, RequestError> {
    let refused = |message| RequestError::about("messages", message);
    let list = root.get("messages").ok_or_else(|| refused("Missing required parameter."))?;
    if !list.is_array() {
        return Err(refused("Invalid type for this parameter."));
    }
    let mut messages = Vec::<Message<'d>>::new();
    let mut after_result = false;
    for message in list.elements() {
        let role = wanted(message.text_of("role"), "messages")?;
        let is_result = role.is("tool");
        let (role, parts) = match &*role.decode() {
            "system" | "developer" => (Role::System, read_content(message, dropped)?),
            "user" => (Role::User, read_content(message, dropped)?),
            "assistant" => (Role::Assistant, read_assistant(message, dropped)?),
            "tool" => (Role::User, vec![read_result(message)?]),
            _ => return Err(refused("Invalid 'role': expected system, user, assistant or tool.")),
        };
        note_members(message, dropped);
        match messages.last_mut() {
            Some(last) if after_result && is_result => last.parts.extend(parts),
            _ => messages.push(Message { role, parts, name: None }),
        }
        after_result = is_result;
    }
    if messages.is_empty() {
        return Err(refused("Invalid 'messages': empty array."));
    }
    Ok(messages)
}

fn note_members(message: Value<'_>, dropped: &mut Dropped) {
    const KNOWN: [&str; 5] = ["role", "content", "tool_calls", "tool_plan", "tool_call_id"];
    for (name, value) in message.members() {
        if value.kind() != Kind::Null && !KNOWN.iter().any(|known| name.is(known)) {
            dropped.note(format!("messages.{}", name.decode()));
        }
    }
}

/// The content of a message: a string, or a list of blocks.
fn read_content<'d>(message: Value<'d>, dropped: &mut Dropped) -> Result<Vec<Part<'d>>, RequestError> {
    let Some(content) = message.get("content") else { return Ok(Vec::new()) };
    if let Some(text) = content.text() {
        return Ok(vec![PartKind::Text(text).into()]);
    }
    if !content.is_array() {
        return Err(RequestError::about("messages", "Invalid 'content': expected a string or an array."));
    }
    let mut parts = Vec::new();
    for block in content.elements() {
        let kind = wanted(block.text_of("type"), "messages")?;
        let part = match &*kind.decode() {
            "text" => PartKind::Text(wanted(block.text_of("text"), "messages")?),
            "thinking" => {
                PartKind::Thinking { text: wanted(block.text_of("thinking"), "messages")?, signature: None }
            }
            "image_url" => wanted(read_image(block), "messages")?,
            other => {
                dropped.note(format!("messages.content.{other}"));
                continue;
            }
        };
        parts.push(part.into());
    }
    Ok(parts)
}

fn read_image(block: Value<'_>) -> Option<PartKind<'_>> {
    let image = block.get("image_url")?;
    let mut media = media_of_url(&image.text().or_else(|| image.text_of("url"))?);
    media.detail = image.text_of("detail");
    Some(PartKind::Image(media))
}

/// What the model said. Its plan for the tools is text before their calls.
fn read_assistant<'d>(message: Value<'d>, dropped: &mut Dropped) -> Result<Vec<Part<'d>>, RequestError> {
    let mut parts = read_content(message, dropped)?;
    parts.extend(
        message.text_of("tool_plan").filter(|plan| !plan.is_empty()).map(|plan| PartKind::Text(plan).into()),
    );
    for (position, call) in message.get("tool_calls").into_iter().flat_map(Value::elements).enumerate() {
        parts.push(wanted(read_call(call, position), "messages")?);
    }
    Ok(parts)
}

/// One call of a tool; `None` where it has no name.
pub(super) fn read_call(call: Value<'_>, position: usize) -> Option<Part<'_>> {
    let function = call.get("function")?;
    let arguments = match function.get("arguments") {
        Some(arguments) if arguments.is_object() => {
            Arguments::Object(crate::exchange::Raw::written(arguments.raw()))
        }
        arguments => Arguments::Text(arguments.and_then(Value::text).unwrap_or_default()),
    };
    let call = ToolCall {
        id: call.text_of("id").unwrap_or_else(|| Text::plain(&format!("call_{position}"))),
        name: function.text_of("name")?,
        arguments,
        signature: None,
        custom: false,
    };
    Some(PartKind::ToolCall(call).into())
}

/// What a tool answered. Its documents are data of the tool's, so they are carried as text.
fn read_result(message: Value<'_>) -> Result<Part<'_>, RequestError> {
    let id = wanted(message.text_of("tool_call_id"), "messages")?;
    let mut parts = Vec::new();
    match message.get("content") {
        None => {}
        Some(content) if content.is_array() => {
            for block in content.elements() {
                let text = match block.get("document") {
                    Some(document) => document_block_text(document),
                    None => block.text_of("text"),
                };
                parts.push(PartKind::Text(wanted(text, "messages")?).into());
            }
        }
        Some(content) => parts.push(PartKind::Text(wanted(content.text(), "messages")?).into()),
    }
    Ok(PartKind::ToolResult(ToolResult { id, name: None, parts, is_error: false }).into())
}

/// A document of a tool's answer: its data, and its id too where it has one, for the model cites by it.
fn document_block_text(document: Value<'_>) -> Option<Text<'_>> {
    let data = document.get("data")?;
    match (document.get("id"), data.text()) {
        (None, Some(text)) => Some(text),
        (None, None) => Some(Text::plain(&String::from_utf8_lossy(data.raw()))),
        (Some(_), _) => Some(Text::plain(&String::from_utf8_lossy(document.raw()))),
    }
}
