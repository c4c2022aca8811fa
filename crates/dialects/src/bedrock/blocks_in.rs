//! Reading blocks of content: of requests and of answers.

use super::answer::unmarked;
use super::media::{Sort, read_media};
use crate::exchange::{Arguments, CacheHint, Dropped, Part, PartKind, Raw, Text, ToolCall, ToolResult};
use crate::json::{Kind, Value};

/// The parts of a message as its blocks are read.
#[derive(Default)]
pub(super) struct Blocks<'d> {
    /// What was read so far.
    pub(super) parts: Vec<Part<'d>>,
    /// Citations, each as it is written.
    pub(super) citations: Vec<Raw<'d>>,
    /// The proof of the next call, see [`super::answer::marked`].
    call_signature: Option<Text<'d>>,
}

impl<'d> Blocks<'d> {
    /// Reads the blocks of an array. What has no place in canonical form is noted.
    pub(super) fn read(content: Value<'d>, dropped: &mut Dropped) -> Result<Self, &'static str> {
        if !content.is_array() {
            return Err("The content of a message must be a list of blocks.");
        }
        let mut blocks = Self { parts: Vec::with_capacity(4), ..Self::default() };
        for block in content.elements() {
            blocks.block(block, dropped)?;
        }
        Ok(blocks)
    }

    /// A block is an object with one member, whose name tells what it is.
    fn block(&mut self, block: Value<'d>, dropped: &mut Dropped) -> Result<(), &'static str> {
        if !block.is_object() {
            return Err("A block of content must be an object.");
        }
        for (name, value) in block.members().filter(|(_, value)| value.kind() != Kind::Null) {
            let kind = match name.as_escaped() {
                b"text" => PartKind::Text(value.text().ok_or("The text of a block must be a string.")?),
                b"image" => PartKind::Image(read_media(Sort::Image, value, dropped)?),
                b"document" => PartKind::Document(read_media(Sort::Document, value, dropped)?),
                b"video" => PartKind::Video(read_media(Sort::Video, value, dropped)?),
                b"audio" => PartKind::Audio(read_media(Sort::Audio, value, dropped)?),
                // What the service ran itself means nothing elsewhere.
                b"toolUse" | b"toolResult" if value.get("type").is_some() => {
                    dropped.note("messages.server_tool_use");
                    continue;
                }
                b"toolUse" => {
                    let signature = self.call_signature.take();
                    PartKind::ToolCall(ToolCall { signature, ..read_tool_use(value)? })
                }
                b"toolResult" => PartKind::ToolResult(read_tool_result(value, dropped)?),
                b"reasoningContent" => match read_reasoning(value) {
                    Some(PartKind::Thinking { text, signature: Some(signature) }) if text.is_empty() => {
                        match unmarked(&signature) {
                            None => PartKind::Thinking { text, signature: Some(signature) },
                            own => {
                                self.call_signature = own;
                                continue;
                            }
                        }
                    }
                    Some(kind) => kind,
                    None => continue,
                },
                b"cachePoint" => {
                    self.cache_point(value, dropped);
                    continue;
                }
                b"guardContent" => PartKind::Text(read_guarded(value, dropped)),
                b"citationsContent" => {
                    let citations = value.get("citations").into_iter().flat_map(Value::elements);
                    self.citations.extend(citations.map(|citation| Raw::written(citation.raw())));
                    PartKind::Text(read_texts(value))
                }
                b"searchResult" => {
                    dropped.note("messages.searchResult.source");
                    PartKind::Text(read_texts(value))
                }
                other => {
                    dropped.note(format!("messages.{}", String::from_utf8_lossy(other)));
                    continue;
                }
            };
            self.parts.push(kind.into());
        }
        Ok(())
    }

    /// The prompt is cached up to the block before.
    fn cache_point(&mut self, point: Value<'_>, dropped: &mut Dropped) {
        match self.parts.last_mut() {
            Some(part) => part.cache = Some(read_cache_point(point)),
            None => dropped.note("messages.cachePoint"),
        }
    }
}

/// How long a `cachePoint` keeps.
pub(super) fn read_cache_point(point: Value<'_>) -> CacheHint {
    if point.text_of("ttl").is_some_and(|ttl| ttl.is("1h")) { CacheHint::Hour } else { CacheHint::Short }
}

fn read_tool_use<'d>(call: Value<'d>) -> Result<ToolCall<'d>, &'static str> {
    let arguments = match call.get("input") {
        None => Arguments::Object(Raw::written(b"{}")),
        Some(input) if input.is_object() => Arguments::Object(Raw::written(input.raw())),
        Some(input) => Arguments::Text(
            input.text().unwrap_or_else(|| Text::plain(&String::from_utf8_lossy(input.raw()))),
        ),
    };
    Ok(ToolCall {
        id: call.text_of("toolUseId").ok_or("A toolUse needs a toolUseId.")?,
        name: call.text_of("name").ok_or("A toolUse needs a name.")?,
        arguments,
        signature: None,
        custom: false,
    })
}

fn read_tool_result<'d>(result: Value<'d>, dropped: &mut Dropped) -> Result<ToolResult<'d>, &'static str> {
    let mut parts = Vec::new();
    for block in result.get("content").into_iter().flat_map(Value::elements) {
        // JSON is what a tool answered, too; canonical results are texts.
        if let Some(json) = block.get("json") {
            parts.push(PartKind::Text(Text::plain(&String::from_utf8_lossy(json.raw()))).into());
            continue;
        }
        // Blocks of a result hold no results in turn, so this ends.
        if block.get("toolResult").is_some() {
            return Err("A toolResult cannot hold another.");
        }
        let mut blocks = Blocks::default();
        blocks.block(block, dropped)?;
        parts.append(&mut blocks.parts);
    }
    Ok(ToolResult {
        id: result.text_of("toolUseId").ok_or("A toolResult needs a toolUseId.")?,
        name: None,
        parts,
        is_error: result.text_of("status").is_some_and(|status| status.is("error")),
    })
}

fn read_reasoning<'d>(reasoning: Value<'d>) -> Option<PartKind<'d>> {
    if let Some(data) = reasoning.text_of("redactedContent") {
        return Some(PartKind::RedactedThinking(data));
    }
    let text = reasoning.get("reasoningText")?;
    Some(PartKind::Thinking {
        text: text.text_of("text").unwrap_or_default(),
        signature: text.text_of("signature").filter(|signature| !signature.is_empty()),
    })
}

/// A text that guardrails are to look at.
fn read_guarded<'d>(guarded: Value<'d>, dropped: &mut Dropped) -> Text<'d> {
    dropped.note("guardContent");
    guarded.get("text").and_then(|text| text.text_of("text")).unwrap_or_default()
}

/// The texts of a block's `content`, joined.
fn read_texts(block: Value<'_>) -> Text<'_> {
    let mut texts =
        block.get("content").into_iter().flat_map(Value::elements).filter_map(|part| part.text_of("text"));
    let mut joined = texts.next().unwrap_or_default();
    texts.for_each(|text| joined.push(&text));
    joined
}
