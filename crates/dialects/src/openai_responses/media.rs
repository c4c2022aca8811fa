//! Images, files and sound in items.

use crate::exchange::{CacheHint, Dropped, Media, Source, Text, losses};
use crate::json::{Out, Value};
use crate::openai::RequestError;

use super::request_in::wrong;

/// Reads an `input_image`.
pub(super) fn image(part: Value<'_>) -> Result<Media<'_>, RequestError> {
    // Clients that know chat completions better write an object with the URL.
    let url = part.get("image_url").map(|url| url.get("url").unwrap_or(url));
    let (source, media_type) = match (url, part.text_of("file_id")) {
        (Some(url), _) => by_url(url)?,
        (None, Some(id)) => (Source::File(id), None),
        (None, None) => return Err(wrong("input")),
    };
    Ok(Media { source, media_type, name: None, detail: part.text_of("detail") })
}

/// Reads an `input_file`.
pub(super) fn file<'d>(part: Value<'d>, dropped: &mut Dropped) -> Result<Media<'d>, RequestError> {
    dropped.note_if(part.get("detail").is_some(), "file.detail");
    let name = part.text_of("filename");
    let (source, media_type) = match (part.get("file_data"), part.get("file_url"), part.text_of("file_id")) {
        (Some(data), _, _) => match by_url(data)? {
            // Not every client puts `data:` in front.
            (Source::Url(data), _) => (Source::Base64(data), name.as_ref().and_then(type_by_name)),
            found => found,
        },
        (None, Some(url), _) => by_url(url)?,
        (None, None, Some(id)) => (Source::File(id), None),
        (None, None, None) => return Err(wrong("input")),
    };
    Ok(Media { source, media_type, name, detail: None })
}

/// Reads an `input_audio`, which the API knew for a while and some servers still do.
pub(super) fn audio(part: Value<'_>) -> Result<Media<'_>, RequestError> {
    let audio = part.get("input_audio").unwrap_or(part);
    let data = audio.text_of("data").ok_or_else(|| wrong("input"))?;
    let format = audio.text_of("format");
    let media_type = format.map(|format| if format.is("mp3") { "audio/mpeg" } else { "audio/wav" });
    Ok(Media {
        source: Source::Base64(data),
        media_type: media_type.map(Text::literal),
        name: None,
        detail: None,
    })
}

/// A breakpoint for the provider's cache.
pub(super) fn cache_hint(part: Value<'_>) -> Option<CacheHint> {
    part.get("prompt_cache_breakpoint").map(|_| CacheHint::Short)
}

/// A URL, or the data in it with its media type.
fn by_url(url: Value<'_>) -> Result<(Source<'_>, Option<Text<'_>>), RequestError> {
    let text = url.text().ok_or_else(|| wrong("input"))?;
    let inside = url.raw().strip_prefix(b"\"").and_then(|it| it.strip_suffix(b"\"")).unwrap_or_default();
    if !inside.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"data:")) {
        return Ok((Source::Url(text), None));
    }
    let Some(comma) = memchr::memchr(b',', inside) else { return Ok((Source::Url(text), None)) };
    let (head, data) = (&inside[5..comma], &inside[comma + 1..]);
    if !head.to_ascii_lowercase().ends_with(b";base64") {
        return Ok((Source::Url(text), None));
    }
    let end = memchr::memchr(b';', head).unwrap_or(head.len());
    // Some writers escape slashes.
    let media_type = Text::plain(&Text::escaped(&head[..end]).decode().to_ascii_lowercase());
    let data = if memchr::memchr(b'\\', data).is_some() {
        Text::plain(&Text::escaped(data).decode())
    } else {
        Text::escaped(data)
    };
    let media_type = if media_type.is("image/jpg") { Text::literal("image/jpeg") } else { media_type };
    Ok((Source::Base64(data), Some(media_type).filter(|it| !it.is_empty())))
}

fn type_by_name(name: &Text<'_>) -> Option<Text<'static>> {
    let name = name.decode().to_ascii_lowercase();
    let (_, extension) = name.rsplit_once('.')?;
    Some(Text::literal(match extension {
        "pdf" => "application/pdf",
        "txt" => "text/plain",
        "md" => "text/markdown",
        "csv" => "text/csv",
        "html" | "htm" => "text/html",
        "json" => "application/json",
        "docx" => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "xlsx" => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        _ => return None,
    }))
}

/// What base64 begins with for the types we may meet without being told.
const MAGIC: [(&[u8], &str); 5] = [
    (b"iVBOR", "image/png"),
    (b"/9j/", "image/jpeg"),
    (b"R0lG", "image/gif"),
    (b"UklG", "image/webp"),
    (b"JVBER", "application/pdf"),
];

/// The media type that was given, or that the data begins like.
fn media_type<'m>(media: &'m Media<'_>, data: &Text<'_>, otherwise: &'static str) -> Text<'m> {
    match &media.media_type {
        Some(given) => given.borrow(),
        None => {
            let known = MAGIC.iter().find(|(magic, _)| data.as_escaped().starts_with(magic));
            Text::literal(known.map_or(otherwise, |(_, name)| name))
        }
    }
}

/// Appends a member with a `data:` URL.
fn data_url(out: &mut Out<'_>, key: &str, media_type: &Text<'_>, data: &Text<'_>) {
    let bytes = out.key(key).bytes();
    for piece in [b"\"data:", media_type.as_escaped(), b";base64,", data.as_escaped(), b"\""] {
        bytes.extend_from_slice(piece);
    }
}

/// Whether OpenAI can have it: but for what is at an address that it cannot read.
pub(super) fn takes(media: &Media<'_>) -> bool {
    !matches!(&media.source, Source::Url(url) if !is_fetchable(url))
}

/// Appends an `input_image` without closing its object, or says by what name it was left out.
pub(super) fn open_image(out: &mut Out<'_>, image: &Media<'_>) -> Result<(), &'static str> {
    match &image.source {
        Source::Url(url) if !is_fetchable(url) => return Err(losses::IMAGE),
        Source::Text(_) => return Err(losses::IMAGE),
        _ => {}
    }
    out.begin_object().field("type", "input_image");
    match &image.source {
        Source::Base64(data) => data_url(out, "image_url", &media_type(image, data, "image/png"), data),
        Source::Url(url) | Source::Text(url) => drop(out.key("image_url").text(url)),
        Source::File(id) => drop(out.key("file_id").text(id)),
    }
    out.field_text("detail", image.detail.as_ref());
    Ok(())
}

/// The same of an `input_file`, or an `input_text` where the document is text.
pub(super) fn open_document(out: &mut Out<'_>, document: &Media<'_>) -> Result<(), &'static str> {
    match &document.source {
        Source::Text(text) => {
            out.begin_object().field("type", "input_text").key("text").text(text);
        }
        Source::Base64(data) => {
            let media_type = media_type(document, data, "application/pdf");
            out.begin_object().field("type", "input_file");
            match &document.name {
                Some(name) => out.key("filename").text(name),
                // Data must have a name.
                None => out.field("filename", file_name(&media_type)),
            };
            data_url(out, "file_data", &media_type, data);
        }
        Source::Url(url) if !is_fetchable(url) => return Err(losses::FILE),
        Source::Url(url) => {
            out.begin_object().field("type", "input_file").key("file_url").text(url);
        }
        Source::File(id) => {
            out.begin_object().field("type", "input_file").key("file_id").text(id);
        }
    }
    Ok(())
}

fn file_name(media_type: &Text<'_>) -> &'static str {
    if media_type.is("application/pdf") { "document.pdf" } else { "document.txt" }
}

/// Whether OpenAI can fetch it: `gs:` and `s3:` need credentials it does not have.
fn is_fetchable(url: &Text<'_>) -> bool {
    let url = url.decode();
    ["https:", "http:", "data:"].iter().any(|scheme| url.starts_with(scheme))
}
