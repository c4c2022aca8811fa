//! Reading the messages of a request.

use super::message::Fields;
use super::{content, media, thinking};
use crate::exchange::{Arguments, Dropped, Message, Part, PartKind, Raw, Role, Text, ToolCall, ToolResult};
use crate::json::{Kind, Value};
use crate::openai::RequestError;

/// Reads `messages`.
///
/// # Errors
///
/// What is wrong with them.
pub(super) fn read<'d>(messages: Value<'d>, dropped: &mut Dropped) -> Result<Vec<Message<'d>>, RequestError> {
    if !messages.is_array() {
        return Err(invalid("Invalid type for 'messages': expected an array."));
    }
    let mut reader = Reader { messages: Vec::new(), function_calls: 0, dropped };
    messages.elements().try_for_each(|message| reader.message(message))?;
    if reader.messages.is_empty() {
        return Err(invalid("Invalid 'messages': empty array."));
    }
    Ok(reader.messages)
}

#[cold]
fn invalid(message: &'static str) -> RequestError {
    RequestError::about("messages", message)
}

struct Reader<'d, 'n> {
    messages: Vec<Message<'d>>,
    /// Calls in the old form, which has no ids: the result that follows is of the last one.
    function_calls: u32,
    dropped: &'n mut Dropped,
}

impl<'d> Reader<'d, '_> {
    fn message(&mut self, message: Value<'d>) -> Result<(), RequestError> {
        if !message.is_object() {
            return Err(invalid("A message must be an object."));
        }
        let dropped = &mut *self.dropped;
        let fields = Fields::of(message, |name| dropped.note(format!("messages.{name}")));
        let role = fields.role.and_then(Value::text).ok_or_else(|| invalid("A message must have a role."))?;
        match &*role.decode() {
            "system" | "developer" => self.plain(Role::System, &fields),
            "user" => self.plain(Role::User, &fields),
            "assistant" => self.assistant(&fields),
            "tool" => {
                let id = fields.tool_call_id.and_then(Value::text);
                let id =
                    id.ok_or_else(|| invalid("A message of the role 'tool' must have a tool_call_id."))?;
                self.result(id, &fields)
            }
            "function" => self.result(function_id(self.function_calls.max(1)), &fields),
            _ => Err(invalid("A message has a role that is not known.")),
        }
    }

    fn plain(&mut self, role: Role, fields: &Fields<'d>) -> Result<(), RequestError> {
        let mut parts = Vec::new();
        content::read(fields.content, &mut parts, self.dropped)?;
        content::mark_last(fields, &mut parts);
        self.push(role, parts, fields)
    }

    fn assistant(&mut self, fields: &Fields<'d>) -> Result<(), RequestError> {
        let mut parts: Vec<Part<'d>> = thinking::read(fields).into_iter().map(Part::from).collect();
        content::read(fields.content, &mut parts, self.dropped)?;
        let refusal = fields.refusal.and_then(Value::text).filter(|text| !text.is_empty());
        parts.extend(refusal.map(|text| PartKind::Refusal(text).into()));
        read_images(fields.images, |image| parts.push(PartKind::Image(image).into()));
        self.dropped.note_if(fields.audio.is_some(), "messages.audio");
        let cited = fields.annotations.is_some_and(|list| list.elements().next().is_some());
        self.dropped.note_if(cited, "messages.annotations");
        content::mark_last(fields, &mut parts);
        for call in fields.tool_calls.into_iter().flat_map(Value::elements) {
            let call =
                read_call(call).ok_or_else(|| invalid("A tool call must have an id and a function."))?;
            if call.id.is_empty() {
                return Err(invalid("A tool call must have an id."));
            }
            parts.push(PartKind::ToolCall(call).into());
        }
        if let Some(call) = fields.function_call {
            self.function_calls += 1;
            let call = read_function(call, function_id(self.function_calls));
            parts.push(
                PartKind::ToolCall(call.ok_or_else(|| invalid("A function_call must have a name."))?).into(),
            );
        }
        self.push(Role::Assistant, parts, fields)
    }

    fn push(&mut self, role: Role, parts: Vec<Part<'d>>, fields: &Fields<'d>) -> Result<(), RequestError> {
        let name = fields.name.map(|name| name.text().ok_or_else(|| invalid("A name must be a string.")));
        self.messages.push(Message { role, parts, name: name.transpose()? });
        Ok(())
    }

    /// A result of a tool joins those before it.
    fn result(&mut self, id: Text<'d>, fields: &Fields<'d>) -> Result<(), RequestError> {
        let mut parts = Vec::new();
        content::read(fields.content, &mut parts, self.dropped)?;
        let name = fields.name.and_then(Value::text);
        let mut part: Part<'d> = PartKind::ToolResult(ToolResult { id, name, parts, is_error: false }).into();
        content::mark_last(fields, std::slice::from_mut(&mut part));
        match self.messages.last_mut() {
            Some(last) if is_results(last) => last.parts.push(part),
            _ => self.messages.push(Message { role: Role::User, parts: vec![part], name: None }),
        }
        Ok(())
    }
}

fn is_results(message: &Message<'_>) -> bool {
    message.role == Role::User
        && matches!(message.parts.first(), Some(Part { kind: PartKind::ToolResult(_), .. }))
}

/// An id for the call of a dialect that has none.
fn function_id(number: u32) -> Text<'static> {
    Text::plain(&format!("call_{}", number - 1))
}

/// One of `tool_calls`. Without an id it has an empty one. `None` where it names no tool.
pub(super) fn read_call(call: Value<'_>) -> Option<ToolCall<'_>> {
    let id = call.text_of("id").unwrap_or_default();
    let mut read = match call.get("custom") {
        Some(custom) => ToolCall {
            id,
            name: custom.text_of("name")?,
            arguments: Arguments::Text(custom.text_of("input").unwrap_or_default()),
            signature: None,
            custom: true,
        },
        None => read_function(call.get("function")?, id)?,
    };
    read.signature = call_signature(call);
    Some(read)
}

/// The inside of a function's call; `None` where it has no name.
pub(super) fn read_function<'d>(function: Value<'d>, id: Text<'d>) -> Option<ToolCall<'d>> {
    let name = function.text_of("name").filter(|name| !name.is_empty())?;
    let arguments = read_arguments(function.get("arguments"));
    Some(ToolCall { id, name, arguments, signature: None, custom: false })
}

/// A string as OpenAI has it, or an object as Mistral may.
pub(super) fn read_arguments(arguments: Option<Value<'_>>) -> Arguments<'_> {
    match arguments {
        Some(value) if value.kind() == Kind::Object => Arguments::Object(Raw::written(value.raw())),
        Some(value) => Arguments::Text(value.text().unwrap_or_default()),
        None => Arguments::Text(Text::default()),
    }
}

/// Gemini's signature of a call, as Google's compatible endpoint has it.
pub(super) fn call_signature(call: Value<'_>) -> Option<Text<'_>> {
    call.get("extra_content")?.get("google")?.text_of("thought_signature")
}

/// Images that a model generated, as OpenRouter has them.
pub(super) fn read_images<'d>(images: Option<Value<'d>>, mut each: impl FnMut(crate::exchange::Media<'d>)) {
    for image in images.into_iter().flat_map(Value::elements) {
        let url = image.get("image_url").and_then(|image| image.text().or_else(|| image.text_of("url")));
        if let Some(url) = url {
            each(media::read_url(&url));
        }
    }
}
