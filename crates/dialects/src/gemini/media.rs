//! Images, sounds, films and documents: `inlineData` and `fileData`.

use super::names::text_of;
use crate::exchange::{Media, PartKind, Source, Text};
use crate::json::{Out, Value};
use crate::openai::RequestError;

/// Where files live that were uploaded to the Gemini API.
const FILES_API: &str = "https://generativelanguage.googleapis.com/";

/// Reads `inlineData`; `None` where it has no data.
pub(super) fn read_inline(blob: Value<'_>) -> Option<PartKind<'_>> {
    let data = standard_base64(text_of(blob, "data")?);
    Some(kind_of(blob, Source::Base64(data)))
}

/// Reads `fileData`; `None` where it has no address.
pub(super) fn read_file(file: Value<'_>) -> Option<PartKind<'_>> {
    let uri = text_of(file, "fileUri")?;
    // A file uploaded to Google means nothing to another provider, unlike an address anyone can read.
    let source = if uri.decode().starts_with(FILES_API) { Source::File(uri) } else { Source::Url(uri) };
    Some(kind_of(file, source))
}

fn kind_of<'d>(value: Value<'d>, source: Source<'d>) -> PartKind<'d> {
    let media_type = text_of(value, "mimeType");
    let decoded = media_type.as_ref().map(Text::decode).unwrap_or_default();
    let wrap = match decoded.split('/').next() {
        Some("image") => PartKind::Image,
        Some("audio") => PartKind::Audio,
        Some("video") => PartKind::Video,
        _ => PartKind::Document,
    };
    drop(decoded);
    wrap(Media { source, media_type, name: text_of(value, "displayName"), detail: None })
}

/// Google takes both alphabets of base64, the other dialects the standard one.
fn standard_base64(data: Text<'_>) -> Text<'_> {
    if memchr::memchr2(b'-', b'_', data.as_escaped()).is_none() {
        return data;
    }
    Text::plain(&data.decode().replace('-', "+").replace('_', "/"))
}

/// Appends the medium as a part.
///
/// # Errors
///
/// Where its type is unknown or Google cannot read it from where it is.
pub(super) fn write_media(
    kind: &PartKind<'_>,
    media: &Media<'_>,
    out: &mut Out<'_>,
) -> Result<(), RequestError> {
    match &media.source {
        Source::Text(text) => {
            out.begin_object().key("text").text(text).end_object();
        }
        Source::Base64(data) => {
            let media_type = declared(media).or_else(|| sniffed(data)).ok_or_else(|| unknown_type(kind))?;
            out.begin_object().key("inlineData").begin_object();
            out.key("mimeType").text(&media_type).key("data").text(data).end_object().end_object();
        }
        Source::Url(url) => write_url(kind, media, url, out)?,
        Source::File(id) => {
            let uri = id.decode();
            if !uri.starts_with(FILES_API) && !uri.starts_with("gs://") {
                return Err(about(kind, "was uploaded to another provider; send its bytes or an address"));
            }
            write_file(declared(media).as_ref(), id, out);
        }
    }
    Ok(())
}

/// Gemini reads public addresses since early 2026, Vertex AI before that; both need to be told the type, but for films of
/// YouTube.
fn write_url(
    kind: &PartKind<'_>,
    media: &Media<'_>,
    url: &Text<'_>,
    out: &mut Out<'_>,
) -> Result<(), RequestError> {
    let decoded = url.decode();
    if !["https://", "http://", "gs://"].iter().any(|scheme| decoded.starts_with(scheme)) {
        return Err(about(kind, "must be given as bytes, or at an address that begins with https: or gs:"));
    }
    let film = ["https://www.youtube.com/", "https://youtube.com/", "https://youtu.be/"];
    if film.iter().any(|host| decoded.starts_with(host)) {
        write_file(None, url, out);
        return Ok(());
    }
    let media_type = declared(media).or_else(|| by_extension(&decoded)).ok_or_else(|| unknown_type(kind))?;
    write_file(Some(&media_type), url, out);
    Ok(())
}

fn write_file(media_type: Option<&Text<'_>>, uri: &Text<'_>, out: &mut Out<'_>) {
    out.begin_object().key("fileData").begin_object();
    out.field_text("mimeType", media_type).key("fileUri").text(uri).end_object().end_object();
}

fn unknown_type(kind: &PartKind<'_>) -> RequestError {
    about(kind, "needs a media type that Gemini can be told")
}

fn about(kind: &PartKind<'_>, what: &str) -> RequestError {
    let (param, noun) = match kind {
        PartKind::Image(_) => ("messages.content.image_url", "An image"),
        PartKind::Audio(_) => ("messages.content.input_audio", "A sound"),
        PartKind::Video(_) => ("messages.content.video", "A film"),
        _ => ("messages.content.file", "A document"),
    };
    RequestError::about(param, format!("{noun} {what}."))
}

/// The type the client gave, without parameters and by its registered name.
fn declared<'m>(media: &'m Media<'_>) -> Option<Text<'m>> {
    let given = media.media_type.as_ref()?;
    let decoded = given.decode();
    let bare = decoded.split(';').next().unwrap_or_default().trim();
    match bare {
        "" | "application/octet-stream" => None,
        "image/jpg" => Some(Text::literal("image/jpeg")),
        "video/quicktime" => Some(Text::literal("video/mov")),
        _ if bare.len() == decoded.len() => Some(given.borrow()),
        _ => Some(Text::plain(bare)),
    }
}

/// The type by the first bytes, as they look in base64.
fn sniffed(data: &Text<'_>) -> Option<Text<'static>> {
    const BEGINNINGS: [(&[u8], &str); 7] = [
        (b"iVBORw0KGgo", "image/png"),
        (b"/9j/", "image/jpeg"),
        (b"\\/9j", "image/jpeg"),
        (b"R0lGOD", "image/gif"),
        (b"UklGR", "image/webp"),
        (b"JVBERi0", "application/pdf"),
        (b"SUQz", "audio/mp3"),
    ];
    let found = BEGINNINGS.iter().find(|(beginning, _)| data.as_escaped().starts_with(beginning));
    found.map(|(_, media_type)| Text::literal(media_type))
}

/// The type by the end of the address's path.
fn by_extension(url: &str) -> Option<Text<'static>> {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let extension = path.rsplit('/').next()?.rsplit_once('.')?.1.to_ascii_lowercase();
    let media_type = match extension.as_str() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "gif" => "image/gif",
        "heic" => "image/heic",
        "heif" => "image/heif",
        "bmp" => "image/bmp",
        "pdf" => "application/pdf",
        "txt" => "text/plain",
        "md" => "text/markdown",
        "html" | "htm" => "text/html",
        "csv" => "text/csv",
        "json" => "application/json",
        "mp3" => "audio/mp3",
        "wav" => "audio/wav",
        "flac" => "audio/flac",
        "ogg" => "audio/ogg",
        "aac" => "audio/aac",
        "mp4" => "video/mp4",
        "mov" => "video/mov",
        "webm" => "video/webm",
        "mpeg" | "mpg" => "video/mpeg",
        _ => return None,
    };
    Some(Text::literal(media_type))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trap_62_media_types_are_found_and_cleaned() {
        let declared = |text: &str| {
            let media = Media {
                source: Source::Text(Text::default()),
                media_type: Some(Text::plain(text)),
                name: None,
                detail: None,
            };
            declared(&media).map(|found| found.decode().into_owned())
        };
        assert_eq!(declared("image/jpg").as_deref(), Some("image/jpeg"));
        assert_eq!(declared("text/plain;charset=utf-8").as_deref(), Some("text/plain"));
        assert_eq!(declared("image/png").as_deref(), Some("image/png"));
        assert_eq!(declared(""), None);
        assert!(by_extension("https://x.test/a/B.JPG?w=1").is_some_and(|found| found.is("image/jpeg")));
        assert_eq!(by_extension("https://x.test/picture"), None);
        assert!(sniffed(&Text::literal("iVBORw0KGgoAAAA")).is_some_and(|found| found.is("image/png")));
    }
}
