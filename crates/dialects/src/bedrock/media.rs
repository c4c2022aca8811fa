//! Images, documents, sound and films: formats, sources and the names of documents.

use crate::exchange::{Dropped, Media, Source, Text};
use crate::json::{Out, Value};

/// A sort of medium.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    Image,
    Document,
    Video,
    Audio,
}

/// Formats by their names here, with their media types; of several types of a format the first is the usual one.
type Formats = &'static [(&'static str, &'static str)];

const IMAGES: Formats = &[
    ("png", "image/png"),
    ("jpeg", "image/jpeg"),
    ("jpeg", "image/jpg"),
    ("gif", "image/gif"),
    ("webp", "image/webp"),
];

const DOCUMENTS: Formats = &[
    ("pdf", "application/pdf"),
    ("csv", "text/csv"),
    ("doc", "application/msword"),
    ("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ("xls", "application/vnd.ms-excel"),
    ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ("html", "text/html"),
    ("md", "text/markdown"),
    ("txt", "text/plain"),
];

const VIDEOS: Formats = &[
    ("mp4", "video/mp4"),
    ("mov", "video/quicktime"),
    ("mkv", "video/x-matroska"),
    ("webm", "video/webm"),
    ("flv", "video/x-flv"),
    ("mpeg", "video/mpeg"),
    ("mpg", "video/mpg"),
    ("wmv", "video/x-ms-wmv"),
    ("three_gp", "video/3gpp"),
];

const AUDIOS: Formats = &[
    ("mp3", "audio/mpeg"),
    ("mp3", "audio/mp3"),
    ("wav", "audio/wav"),
    ("wav", "audio/x-wav"),
    ("flac", "audio/flac"),
    ("ogg", "audio/ogg"),
    ("opus", "audio/opus"),
    ("aac", "audio/aac"),
    ("m4a", "audio/mp4"),
    ("m4a", "audio/m4a"),
    ("webm", "audio/webm"),
    ("pcm", "audio/pcm"),
    ("mka", "audio/x-matroska"),
];

/// How the Base64 of some formats begins.
const BEGINNINGS: [(Sort, &str, &str); 5] = [
    (Sort::Image, "iVBORw0KGgo", "png"),
    (Sort::Image, "/9j/", "jpeg"),
    (Sort::Image, "R0lGOD", "gif"),
    (Sort::Image, "UklGR", "webp"),
    (Sort::Document, "JVBERi0", "pdf"),
];

impl Sort {
    fn formats(self) -> Formats {
        match self {
            Self::Image => IMAGES,
            Self::Document => DOCUMENTS,
            Self::Video => VIDEOS,
            Self::Audio => AUDIOS,
        }
    }

    /// The name of the block that holds one.
    pub(super) fn block(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Document => "document",
            Self::Video => "video",
            Self::Audio => "audio",
        }
    }

    /// The format of a medium: as it says, or else as its name or its first bytes tell.
    fn format_of(self, media: &Media<'_>) -> Option<&'static str> {
        let said = media.media_type.as_ref().and_then(|said| {
            let said = said.decode();
            let said = said.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
            self.formats().iter().find(|(_, media_type)| *media_type == said)
        });
        let named = || {
            let name = media.name.as_ref()?.decode();
            let extension = name.rsplit_once('.')?.1.to_ascii_lowercase();
            self.formats().iter().find(|(format, _)| *format == extension)
        };
        said.or_else(named).map(|(format, _)| *format).or_else(|| self.format_by_content(media))
    }

    fn format_by_content(self, media: &Media<'_>) -> Option<&'static str> {
        match &media.source {
            Source::Text(_) => Some("txt"),
            Source::Base64(data) => {
                let begins = |beginning: &str| data.as_escaped().starts_with(beginning.as_bytes());
                let known = BEGINNINGS.iter().find(|(sort, beginning, _)| *sort == self && begins(beginning));
                known.map(|(_, _, format)| *format)
            }
            _ => None,
        }
    }
}

/// Reads a block of a medium: `{format, name, source}`.
pub(super) fn read_media<'d>(
    sort: Sort,
    block: Value<'d>,
    dropped: &mut Dropped,
) -> Result<Media<'d>, &'static str> {
    let mut media =
        Media { source: Source::Text(Text::default()), media_type: None, name: None, detail: None };
    let mut source = None;
    for (name, value) in block.members() {
        match name.as_escaped() {
            b"format" => media.media_type = value.text().and_then(|format| media_type_of(sort, &format)),
            b"name" => media.name = value.text(),
            b"source" => source = read_source(value, dropped),
            other => dropped.note(format!("messages.{}.{}", sort.block(), String::from_utf8_lossy(other))),
        }
    }
    media.source =
        source.ok_or("An image, document, video or sound needs a source of bytes, text or s3Location.")?;
    Ok(media)
}

pub(super) fn media_type_of(sort: Sort, format: &Text<'_>) -> Option<Text<'static>> {
    let known = sort.formats().iter().find(|(name, _)| format.is(name));
    known.map(|(_, media_type)| Text::literal(media_type))
}

/// Whether a generated medium of this type can be shown.
pub(crate) fn shows(media_type: &Text<'_>, in_stream: bool) -> bool {
    let is_sound = || AUDIOS.iter().any(|(_, known)| media_type.is(known));
    image_format(media_type).is_some() || !in_stream && is_sound()
}

/// Whether a medium can be sent: it is at hand, and of a format that is known.
pub(super) fn can_write(sort: Sort, media: &Media<'_>) -> bool {
    let at_hand = match &media.source {
        Source::Base64(_) => true,
        Source::Url(url) => url.as_escaped().starts_with(b"s3:"),
        Source::File(_) => false,
        Source::Text(_) => sort == Sort::Document,
    };
    at_hand && sort.format_of(media).is_some()
}

/// The format of a generated image.
pub(super) fn image_format(media_type: &Text<'_>) -> Option<&'static str> {
    let known = IMAGES.iter().find(|(_, known)| media_type.is(known));
    known.map(|(format, _)| *format)
}

fn read_source<'d>(source: Value<'d>, dropped: &mut Dropped) -> Option<Source<'d>> {
    if let Some(bytes) = source.text_of("bytes") {
        return Some(Source::Base64(bytes));
    }
    if let Some(location) = source.get("s3Location") {
        dropped.note_if(location.get("bucketOwner").is_some(), "messages.s3Location.bucketOwner");
        return location.text_of("uri").map(Source::Url);
    }
    if let Some(text) = source.text_of("text") {
        return Some(Source::Text(text));
    }
    let mut text = Text::default();
    for block in source.get("content")?.elements() {
        text.push(&block.text_of("text").unwrap_or_default());
    }
    Some(Source::Text(text))
}

/// Writes a medium as a block, of those that [`can_write`] lets through. Names of documents are made unique among those
/// of the request, which `names` holds.
pub(super) fn write_media(sort: Sort, media: &Media<'_>, names: &mut Vec<String>, out: &mut Out<'_>) {
    let Some(format) = sort.format_of(media) else { return };
    out.begin_object().key(sort.block()).begin_object().field("format", format);
    if sort == Sort::Document {
        let name = document_name(media, names);
        out.field("name", &name);
        names.push(name);
    }
    out.key("source").begin_object();
    match &media.source {
        Source::Base64(data) => out.field_text("bytes", Some(data)),
        Source::Url(uri) => out.key("s3Location").begin_object().field_text("uri", Some(uri)).end_object(),
        Source::Text(text) | Source::File(text) => out.field_text("text", Some(text)),
    };
    out.end_object().end_object().end_object();
}

/// Longest name of a document, in bytes.
const MAX_NAME_BYTES: usize = 200;

/// A name as the service wants it: letters, digits, single spaces, hyphens, parentheses and square brackets.
fn document_name(media: &Media<'_>, taken: &[String]) -> String {
    let given = media.name.as_ref().map(|name| name.decode().into_owned()).unwrap_or_default();
    let mut name = String::with_capacity(given.len());
    for character in given.chars() {
        let fits = character.is_ascii_alphanumeric() || "()[]".contains(character);
        let character = if fits {
            character
        } else if character.is_whitespace() {
            ' '
        } else {
            '-'
        };
        if character != ' ' || !(name.is_empty() || name.ends_with(' ')) {
            name.push(character);
        }
    }
    // Room for a number behind it.
    name.truncate(MAX_NAME_BYTES - 8);
    let name = match name.trim_end() {
        "" => "document",
        name => name,
    };
    let numbered = |nth: usize| if nth == 1 { name.to_owned() } else { format!("{name} ({nth})") };
    let free = (1..=taken.len() + 1).map(numbered).find(|own| !taken.contains(own));
    free.unwrap_or_else(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(name: &str) -> Media<'static> {
        let name = (!name.is_empty()).then(|| Text::plain(name));
        Media { source: Source::Base64(Text::literal("JVBERi0xLjQ=")), media_type: None, name, detail: None }
    }

    #[test]
    fn trap_13_names_of_documents_are_plain_and_unique() {
        let mut names = Vec::new();
        for name in ["q3 report.pdf", "q3  report.pdf", "../../x_ä", "", " ", &"n".repeat(300)] {
            let name = document_name(&document(name), &names);
            names.push(name);
        }
        let expected =
            ["q3 report-pdf", "q3 report-pdf (2)", "------x--", "document", "document (2)", &"n".repeat(192)];
        assert_eq!(names, expected);
    }

    #[test]
    fn trap_62_formats_are_found_where_they_can_be() {
        let media = |media_type: Option<&str>, data: &'static str| Media {
            source: Source::Base64(Text::literal(data)),
            media_type: media_type.map(Text::plain),
            name: None,
            detail: None,
        };
        let image = |media_type, data| Sort::Image.format_of(&media(media_type, data));
        assert_eq!(image(Some("image/jpg"), ""), Some("jpeg"));
        assert_eq!(image(Some("IMAGE/PNG; charset=binary"), ""), Some("png"));
        assert_eq!(image(None, "/9j/4AAQ"), Some("jpeg"));
        assert_eq!(image(Some("application/octet-stream"), "iVBORw0KGgoAAA"), Some("png"));
        assert_eq!(image(Some("image/bmp"), "Qk0"), None);
        assert_eq!(Sort::Document.format_of(&document("")), Some("pdf"));
    }
}
