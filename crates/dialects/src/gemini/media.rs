//! Images, sounds, films and documents: `inlineData` and `fileData`.

use super::names::text_of;
use crate::exchange::{Media, PartKind, Source, Text};
use crate::json::{Out, Value};

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

/// Whether Google can be given the medium: its type is known, and it can be read from where it is.
pub(super) fn can_write(media: &Media<'_>) -> bool {
    match &media.source {
        Source::Text(_) => true,
        Source::Base64(data) => declared(media).or_else(|| sniffed(data)).is_some(),
        Source::Url(url) => {
            let decoded = url.decode();
            let readable = ["https://", "http://", "gs://"].iter().any(|scheme| decoded.starts_with(scheme));
            readable && (is_film(&decoded) || declared(media).or_else(|| by_extension(&decoded)).is_some())
        }
        Source::File(id) => {
            let uri = id.decode();
            uri.starts_with(FILES_API) || uri.starts_with("gs://")
        }
    }
}

/// Appends a medium as a part, if it is one that [`can_write`] lets through.
pub(super) fn write_media(media: &Media<'_>, out: &mut Out<'_>) {
    match &media.source {
        Source::Text(text) => {
            out.begin_object().key("text").text(text).end_object();
        }
        Source::Base64(data) => {
            let Some(media_type) = declared(media).or_else(|| sniffed(data)) else { return };
            out.begin_object().key("inlineData").begin_object();
            out.key("mimeType").text(&media_type).key("data").text(data).end_object().end_object();
        }
        Source::Url(url) => write_url(media, url, out),
        Source::File(id) => write_file(declared(media).as_ref(), id, out),
    }
}

/// Gemini reads public addresses since early 2026, Vertex AI before that; both need to be told the type, but for films of
/// YouTube.
fn write_url(media: &Media<'_>, url: &Text<'_>, out: &mut Out<'_>) {
    let decoded = url.decode();
    if is_film(&decoded) {
        return write_file(None, url, out);
    }
    let media_type = declared(media).or_else(|| by_extension(&decoded));
    write_file(media_type.as_ref(), url, out);
}

fn is_film(url: &str) -> bool {
    const HOSTS: [&str; 3] = ["https://www.youtube.com/", "https://youtube.com/", "https://youtu.be/"];
    HOSTS.iter().any(|host| url.starts_with(host))
}

fn write_file(media_type: Option<&Text<'_>>, uri: &Text<'_>, out: &mut Out<'_>) {
    out.begin_object().key("fileData").begin_object();
    out.field_text("mimeType", media_type).key("fileUri").text(uri).end_object().end_object();
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
