//! Images and documents in requests.

use std::borrow::Cow;

use crate::exchange::{Media, Source, Text};
use crate::json::Out;

/// Types of images the dialect takes, with what the base64 of each begins with.
const IMAGES: [(&str, &[u8]); 4] =
    [("image/jpeg", b"/9j/"), ("image/png", b"iVBOR"), ("image/gif", b"R0lG"), ("image/webp", b"UklGR")];

const PDF: &str = "application/pdf";

/// Whether an image can be written: its bytes, its web address, or the id it was uploaded under.
pub(super) fn can_write_image(image: &Media<'_>) -> bool {
    match &image.source {
        Source::Base64(data) => !data.is_empty(),
        Source::Url(url) => is_web(url),
        Source::File(_) => true,
        Source::Text(_) => false,
    }
}

/// Whether a document can be written: a PDF, or plain text that is given as such.
pub(super) fn can_write_document(document: &Media<'_>) -> bool {
    match &document.source {
        Source::Base64(data) => {
            let named = document.media_type.as_ref().map(essence);
            named.as_deref() == Some(PDF) || data.as_escaped().starts_with(b"JVBERi")
        }
        Source::Url(url) => is_web(url),
        Source::File(_) => true,
        Source::Text(text) => !text.is_blank(),
    }
}

fn is_web(url: &Text<'_>) -> bool {
    let url = url.decode();
    let scheme = url.split("://").next().unwrap_or_default();
    scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http")
}

/// Writes the `source` of an image.
pub(super) fn write_image(image: &Media<'_>, out: &mut Out<'_>) {
    write_source(image, out, |out, data| {
        out.field("type", "base64");
        match image_type(image.media_type.as_ref(), data) {
            Ok(known) => out.field("media_type", known),
            Err(other) => out.field("media_type", &other),
        };
        out.key("data").text(data);
    });
}

/// Writes the `source` of a document.
pub(super) fn write_document(document: &Media<'_>, out: &mut Out<'_>) {
    write_source(document, out, |out, data| {
        out.field("type", "base64").field("media_type", PDF).key("data").text(data);
    });
}

fn write_source(media: &Media<'_>, out: &mut Out<'_>, base64: impl FnOnce(&mut Out<'_>, &Text<'_>)) {
    out.key("source").begin_object();
    match &media.source {
        Source::Base64(data) => base64(out, data),
        Source::Url(url) => {
            out.field("type", "url").key("url").text(url);
        }
        Source::File(id) => {
            out.field("type", "file").key("file_id").text(id);
        }
        Source::Text(text) => {
            out.field("type", "text").field("media_type", "text/plain").key("data").text(text);
        }
    }
    out.end_object();
}

/// The type of an image: the one it is said to have, or, where that says nothing, the one its bytes begin like. A type the
/// dialect does not know is an error, and for the provider to judge.
fn image_type(said: Option<&Text<'_>>, data: &Text<'_>) -> Result<&'static str, String> {
    let said = said.map(essence).unwrap_or_default();
    let said = if said == "image/jpg" { Cow::Borrowed("image/jpeg") } else { said };
    if let Some((known, _)) = IMAGES.iter().find(|(known, _)| *known == said) {
        return Ok(known);
    }
    let alike = IMAGES.iter().find(|(_, magic)| data.as_escaped().starts_with(magic));
    match alike {
        Some((known, _)) => Ok(known),
        None if said.is_empty() => Ok("image/png"),
        None => Err(said.into_owned()),
    }
}

/// A media type without its parameters.
fn essence<'t>(media_type: &'t Text<'_>) -> Cow<'t, str> {
    let whole = media_type.decode();
    let end = whole.find(';').unwrap_or(whole.len());
    let plain = whole[..end].trim();
    if plain.len() == whole.len() && !plain.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return whole;
    }
    Cow::Owned(plain.to_ascii_lowercase())
}
