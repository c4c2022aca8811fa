//! Reading messages.

use super::TOOL_SIGNATURE;
use super::answer::object_of;
use super::request_in::{cache_hint, refused, wrong_type};
use crate::exchange::{
    Arguments, Dropped, Media, Message, Part, PartKind, Role, Source, Text, ToolCall, ToolResult,
};
use crate::json::Value;
use crate::openai::RequestError;

/// Reads the system prompt that stands apart; `None` where there is nothing in it.
pub(super) fn read_system<'d>(
    system: Value<'d>,
    dropped: &mut Dropped,
) -> Result<Option<Message<'d>>, RequestError> {
    let parts = Blocks::of("system", dropped).read(system)?.rest;
    Ok((!parts.is_empty()).then_some(Message { role: Role::System, parts, name: None }))
}

/// Reads the conversation and appends it. Results of tools become messages of their own, before what else the user says.
pub(super) fn read_messages<'d>(
    messages: Value<'d>,
    into: &mut Vec<Message<'d>>,
    dropped: &mut Dropped,
) -> Result<(), RequestError> {
    if !messages.is_array() {
        return Err(wrong_type("messages"));
    }
    let before = into.len();
    for message in messages.elements() {
        let role = match message.get("role") {
            Some(role) if role.is("user") => Role::User,
            Some(role) if role.is("assistant") => Role::Assistant,
            Some(role) if role.is("system") => Role::System,
            _ => return Err(refused("messages", "A message needs a role: user, assistant or system.")),
        };
        let content = message.get("content");
        let content = content.ok_or_else(|| refused("messages", "A message needs content."))?;
        let Read { results, rest } = Blocks::of("messages", dropped).read(content)?;
        if !results.is_empty() {
            into.push(Message { role: Role::User, parts: results, name: None });
        }
        if !rest.is_empty() {
            into.push(Message { role, parts: rest, name: None });
        }
    }
    if into.len() == before {
        return Err(refused("messages", "There must be at least one message with content."));
    }
    Ok(())
}

/// What was read of one content.
#[derive(Default)]
struct Read<'d> {
    /// Results of tools.
    results: Vec<Part<'d>>,
    /// Everything else.
    rest: Vec<Part<'d>>,
}

/// Reads blocks. What they are part of names them in errors and in what is noted.
struct Blocks<'b> {
    param: &'static str,
    dropped: &'b mut Dropped,
}

impl<'b> Blocks<'b> {
    fn of(param: &'static str, dropped: &'b mut Dropped) -> Self {
        Self { param, dropped }
    }

    /// Reads a text, or a list of blocks.
    fn read<'d>(&mut self, content: Value<'d>) -> Result<Read<'d>, RequestError> {
        let mut read = Read::default();
        if let Some(text) = content.text() {
            if !text.is_empty() {
                read.rest.push(PartKind::Text(text).into());
            }
            return Ok(read);
        }
        if !content.is_array() {
            return Err(wrong_type(self.param));
        }
        let mut call_signature = None;
        for block in content.elements() {
            let from = read.rest.len();
            self.block(block, &mut read, &mut call_signature)?;
            let cache = block.get("cache_control").map(cache_hint);
            let last = if read.rest.len() > from { read.rest.last_mut() } else { read.results.last_mut() };
            if let Some(last) = last.filter(|_| cache.is_some()) {
                last.cache = cache;
            }
        }
        Ok(read)
    }

    /// Reads one block. `call_signature` is that of the next call, see [`super::answer::marked`].
    fn block<'d>(
        &mut self,
        block: Value<'d>,
        into: &mut Read<'d>,
        call_signature: &mut Option<Text<'d>>,
    ) -> Result<(), RequestError> {
        let kind = block.text_of("type");
        let kind = kind.ok_or_else(|| refused(self.param, "A block needs a type."))?;
        let part = match &*kind.decode() {
            "text" => {
                let cited = block.get("citations").is_some_and(|own| own.elements().next().is_some());
                self.dropped.note_if(cited, "messages.citations");
                PartKind::Text(self.text(block, "text")?)
            }
            "image" => PartKind::Image(self.image(block)?),
            "document" => return self.document(block, into),
            "search_result" => return self.search_result(block, into),
            "thinking" => {
                let signature = block.text_of("signature").filter(|signature| !signature.is_empty());
                let text = block.text_of("thinking").unwrap_or_default();
                match block.get("signature").and_then(unmarked) {
                    Some(own) if text.is_empty() => {
                        *call_signature = Some(own);
                        return Ok(());
                    }
                    _ => PartKind::Thinking { text, signature },
                }
            }
            "redacted_thinking" => PartKind::RedactedThinking(self.text(block, "data")?),
            "tool_use" => PartKind::ToolCall(ToolCall {
                id: self.text(block, "id")?,
                name: self.text(block, "name")?,
                arguments: Arguments::Object(object_of(block.get("input"))),
                signature: call_signature.take(),
                custom: false,
            }),
            "tool_result" => {
                let result = self.tool_result(block)?;
                into.results.push(PartKind::ToolResult(result).into());
                return Ok(());
            }
            // Calls of the provider's own tools with their results, uploads to its containers, and what is yet unknown.
            other => {
                self.dropped.note(format!("messages.{other}"));
                return Ok(());
            }
        };
        into.rest.push(part.into());
        Ok(())
    }

    fn text<'d>(&self, block: Value<'d>, name: &str) -> Result<Text<'d>, RequestError> {
        let text = block.text_of(name);
        text.ok_or_else(|| refused(self.param, "A block lacks a text that its type needs."))
    }

    fn image<'d>(&self, block: Value<'d>) -> Result<Media<'d>, RequestError> {
        let source = block.get("source");
        let source = source.ok_or_else(|| refused(self.param, "A block lacks its source."))?;
        self.media(source)
    }

    fn media<'d>(&self, source: Value<'d>) -> Result<Media<'d>, RequestError> {
        let kind = source.text_of("type").unwrap_or_default();
        let place = match &*kind.decode() {
            "base64" => Source::Base64(self.text(source, "data")?),
            "url" => Source::Url(self.text(source, "url")?),
            "file" => Source::File(self.text(source, "file_id")?),
            "text" => Source::Text(self.text(source, "data")?),
            _ => return Err(refused(self.param, "Not a type of source that is known.")),
        };
        Ok(Media { source: place, media_type: source.text_of("media_type"), name: None, detail: None })
    }

    /// A document. One that is a list of blocks is read as these blocks.
    fn document<'d>(&mut self, block: Value<'d>, into: &mut Read<'d>) -> Result<(), RequestError> {
        let source = block.get("source");
        let source = source.ok_or_else(|| refused(self.param, "A block lacks its source."))?;
        let cited = block.get("citations").and_then(|own| own.get("enabled")?.bool());
        self.dropped.note_if(cited == Some(true), "document.citations");
        self.dropped.note_if(block.get("context").is_some(), "document.context");
        let title = block.text_of("title");
        if !source.get("type").is_some_and(|kind| kind.is("content")) {
            let media = Media { name: title, ..self.media(source)? };
            into.rest.push(PartKind::Document(media).into());
            return Ok(());
        }
        let content =
            source.get("content").ok_or_else(|| refused(self.param, "A block lacks its content."))?;
        if let Some(text) = content.text() {
            let media = Media { source: Source::Text(text), media_type: None, name: title, detail: None };
            into.rest.push(PartKind::Document(media).into());
            return Ok(());
        }
        self.dropped.note_if(title.is_some(), "document.title");
        self.plain_blocks(content, into)
    }

    fn search_result<'d>(&mut self, block: Value<'d>, into: &mut Read<'d>) -> Result<(), RequestError> {
        self.dropped.note("search_result.source");
        let content =
            block.get("content").ok_or_else(|| refused(self.param, "A block lacks its content."))?;
        self.plain_blocks(content, into)
    }

    /// Texts and images, in documents and results.
    fn plain_blocks<'d>(&mut self, content: Value<'d>, into: &mut Read<'d>) -> Result<(), RequestError> {
        for block in content.elements() {
            match block.get("type") {
                Some(kind) if kind.is("text") => {
                    into.rest.push(PartKind::Text(self.text(block, "text")?).into());
                }
                Some(kind) if kind.is("image") => into.rest.push(PartKind::Image(self.image(block)?).into()),
                _ => return Err(refused(self.param, "Only texts and images may stand in a block.")),
            }
        }
        Ok(())
    }

    fn tool_result<'d>(&mut self, block: Value<'d>) -> Result<ToolResult<'d>, RequestError> {
        let id = self.text(block, "tool_use_id")?;
        let is_error = block.get("is_error").and_then(Value::bool).unwrap_or_default();
        let mut parts = Vec::new();
        match block.get("content") {
            Some(content) if content.is_array() => {
                for inner in content.elements() {
                    self.result_block(inner, &mut parts)?;
                }
            }
            Some(content) => {
                let text = content.text().ok_or_else(|| wrong_type(self.param))?;
                parts.push(PartKind::Text(text).into());
            }
            None => {}
        }
        Ok(ToolResult { id, name: None, parts, is_error })
    }

    /// A block of a result. Results hold no results, so this does not go deeper.
    fn result_block<'d>(&mut self, block: Value<'d>, parts: &mut Vec<Part<'d>>) -> Result<(), RequestError> {
        let mut read = Read::default();
        match block.text_of("type") {
            Some(kind)
                if ["text", "image", "document", "search_result"].iter().any(|known| kind.is(known)) =>
            {
                self.block(block, &mut read, &mut None)?;
            }
            Some(kind) => self.dropped.note(format!("messages.{}", kind.decode())),
            None => return Err(refused(self.param, "A block needs a type.")),
        }
        parts.append(&mut read.rest);
        Ok(())
    }
}

/// The signature of a call, if it is marked as one.
fn unmarked(signature: Value<'_>) -> Option<Text<'_>> {
    let inside = signature.raw().strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    inside.strip_prefix(TOOL_SIGNATURE.as_bytes()).map(Text::escaped)
}
