//! The content of a message: a string, or a list of parts.

use super::media;
use super::message::Fields;
use crate::exchange::{CacheHint, Dropped, Part, PartKind, Text};
use crate::json::{Kind, Value};
use crate::openai::RequestError;

/// Appends what a content holds. An empty string is no part.
///
/// # Errors
///
/// Where a part has not what makes it one.
pub(super) fn read<'d>(
    content: Option<Value<'d>>,
    parts: &mut Vec<Part<'d>>,
    dropped: &mut Dropped,
) -> Result<(), RequestError> {
    let Some(content) = content else { return Ok(()) };
    match content.kind() {
        Kind::String => {
            let text = content.text().filter(|text| !text.is_empty());
            parts.extend(text.map(|text| PartKind::Text(text).into()));
            Ok(())
        }
        Kind::Array => content.elements().try_for_each(|element| read_part(element, parts, dropped)),
        _ => Err(invalid("The content of a message must be a string or an array.")),
    }
}

#[cold]
fn invalid(message: &'static str) -> RequestError {
    RequestError::about("messages", message)
}

fn read_part<'d>(
    part: Value<'d>,
    parts: &mut Vec<Part<'d>>,
    dropped: &mut Dropped,
) -> Result<(), RequestError> {
    if part.kind() == Kind::String {
        return read(Some(part), parts, dropped);
    }
    let named = part.text_of("type").or_else(|| part.get("text").map(|_| Text::literal("text")));
    let Some(named) = named else { return Err(invalid("A part of a message's content must have a type.")) };
    let kind = match &*named.decode() {
        "text" | "input_text" | "output_text" => part.text_of("text").map(PartKind::Text),
        "image_url" => image(part).map(PartKind::Image),
        "input_audio" => part.get("input_audio").and_then(media::read_audio).map(PartKind::Audio),
        "file" => part.get("file").and_then(media::read_file).map(PartKind::Document),
        "document_url" => document_url(part),
        "video_url" => url_of(part, "video_url").map(|url| PartKind::Video(media::read_url(&url))),
        "refusal" => part.text_of("refusal").map(PartKind::Refusal),
        "thinking" => return thinking(part, parts, dropped),
        "redacted_thinking" => part.text_of("data").map(PartKind::RedactedThinking),
        other => {
            dropped.note(format!("messages.content.{other}"));
            return Ok(());
        }
    };
    let Some(kind) = kind else {
        return Err(invalid("A part of a message's content lacks what its type names."));
    };
    parts.push(Part { kind, cache: cache_hint(part) });
    Ok(())
}

/// The URL of a part, which is a string by itself or in an object (Mistral has both).
fn url_of<'d>(part: Value<'d>, name: &str) -> Option<Text<'d>> {
    let value = part.get(name)?;
    value.text().or_else(|| value.text_of("url"))
}

fn image(part: Value<'_>) -> Option<crate::exchange::Media<'_>> {
    let mut image = media::read_url(&url_of(part, "image_url")?);
    image.detail = part.get("image_url").and_then(|image| image.text_of("detail"));
    Some(image)
}

/// Mistral's documents.
fn document_url(part: Value<'_>) -> Option<PartKind<'_>> {
    let mut document = media::read_url(&url_of(part, "document_url")?);
    document.name = part.text_of("document_name");
    Some(PartKind::Document(document))
}

/// A thought among the parts, its text in a list of parts (Mistral) or by itself.
fn thinking<'d>(
    part: Value<'d>,
    parts: &mut Vec<Part<'d>>,
    dropped: &mut Dropped,
) -> Result<(), RequestError> {
    let Some(thinking) = part.get("thinking") else { return Ok(()) };
    let mut text: Option<Text<'d>> = thinking.text();
    for element in thinking.elements() {
        match (element.text_of("text"), &mut text) {
            (Some(more), Some(text)) => text.push(&more),
            (Some(more), None) => text = Some(more),
            (None, _) => dropped.note("messages.content.thinking.reference"),
        }
    }
    let (text, signature) = (text.unwrap_or_default(), part.text_of("signature"));
    if !text.is_empty() || signature.is_some() {
        parts.push(PartKind::Thinking { text, signature }.into());
    }
    Ok(())
}

/// OpenAI's breakpoint, or Anthropic's mark as several clients send it through this dialect.
pub(super) fn cache_hint(part: Value<'_>) -> Option<CacheHint> {
    let mut found = None;
    for (name, value) in part.members().filter(|(_, value)| value.is_object()) {
        if name.is("prompt_cache_breakpoint") {
            found = Some(CacheHint::Short);
        } else if name.is("cache_control") {
            found = Some(read_cache_control(value));
        }
    }
    found
}

fn read_cache_control(value: Value<'_>) -> CacheHint {
    if value.get("ttl").is_some_and(|ttl| ttl.is("1h")) { CacheHint::Hour } else { CacheHint::Short }
}

/// The same on a whole message: it is that of its last part.
pub(super) fn mark_last(fields: &Fields<'_>, parts: &mut [Part<'_>]) {
    if let (Some(control), Some(last)) =
        (fields.cache_control.filter(|value| value.is_object()), parts.last_mut())
    {
        last.cache = Some(read_cache_control(control));
    }
}
