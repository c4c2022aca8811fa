//! Images, sounds and documents as parts of a message.

use crate::exchange::{Media, PartKind, Source, Text, losses};
use crate::json::{Out, Value};

/// Reads a `data:` URI or any other URL. `;charset=` and other parameters of the media type are left out.
pub(super) fn read_url<'d>(url: &Text<'d>) -> Media<'d> {
    let media = |source, media_type| Media { source, media_type, name: None, detail: None };
    match data_uri(url) {
        Some((media_type, data)) => media(Source::Base64(data), media_type),
        None => media(Source::Url(url.clone()), None),
    }
}

/// Media type and base64 of a `data:` URI.
fn data_uri<'d>(url: &Text<'d>) -> Option<(Option<Text<'d>>, Text<'d>)> {
    let decoded = url.decode();
    let rest =
        decoded.get(..5).filter(|scheme| scheme.eq_ignore_ascii_case("data:")).map(|_| &decoded[5..])?;
    let (head, data) = rest.split_once(',')?;
    let media_type = head.split(';').next().unwrap_or_default();
    let head_is_base64 = head.rsplit(';').next().is_some_and(|last| last.eq_ignore_ascii_case("base64"));
    if !head_is_base64 {
        return None;
    }
    let media_type = (!media_type.is_empty()).then(|| normal_media_type(media_type));
    Some((media_type, inside(url, data)))
}

/// The end of a text by itself, borrowed from the document where nothing in it is escaped.
fn inside<'d>(whole: &Text<'d>, end: &str) -> Text<'d> {
    match whole.tail(end.len()) {
        Some(tail) => tail,
        None => Text::plain(end),
    }
}

fn normal_media_type(media_type: &str) -> Text<'static> {
    let lower = media_type.trim().to_ascii_lowercase();
    Text::plain(if lower == "image/jpg" { "image/jpeg" } else { &lower })
}

/// `input_audio`: base64 and a format, `wav` or `mp3`.
pub(super) fn read_audio<'d>(audio: Value<'d>) -> Option<Media<'d>> {
    let data = audio.text_of("data")?;
    let media_type = audio.text_of("format").map(|format| match &*format.decode() {
        "mp3" => Text::literal("audio/mpeg"),
        other => Text::plain(&format!("audio/{other}")),
    });
    Some(Media { source: Source::Base64(data), media_type, name: None, detail: None })
}

/// `file`: an id, or data with or without `data:` in front, and a name.
pub(super) fn read_file<'d>(file: Value<'d>) -> Option<Media<'d>> {
    let mut media = match (file.text_of("file_data"), file.text_of("file_id")) {
        (Some(data), _) => match read_url(&data) {
            Media { source: Source::Url(bare), .. } if !bare.decode().contains(':') => {
                Media { source: Source::Base64(bare), media_type: None, name: None, detail: None }
            }
            media => media,
        },
        (None, Some(id)) => Media { source: Source::File(id), media_type: None, name: None, detail: None },
        (None, None) => return None,
    };
    media.name = file.text_of("filename");
    Some(media)
}

/// Whether a part of a user's message can be sent.
pub(super) fn takes(kind: &PartKind<'_>) -> bool {
    match kind {
        PartKind::Image(media) => match &media.source {
            Source::Base64(_) => true,
            Source::Url(url) => is_web(url),
            Source::File(_) | Source::Text(_) => false,
        },
        PartKind::Audio(media) => matches!(media.source, Source::Base64(_)),
        PartKind::Document(media) => !matches!(media.source, Source::Url(_)),
        PartKind::Video(_) => false,
        _ => true,
    }
}

/// Appends a medium as a part of a user's message, without closing its object, or says by what name it was left out.
pub(super) fn open_part(kind: &PartKind<'_>, out: &mut Out<'_>) -> Result<(), &'static str> {
    match kind {
        PartKind::Image(media) => open_image(media, out),
        PartKind::Audio(media) => open_audio(media, out),
        PartKind::Document(media) => open_document(media, out),
        kind => Err(losses::of_part(kind)),
    }
}

pub(super) fn open_image(media: &Media<'_>, out: &mut Out<'_>) -> Result<(), &'static str> {
    let url = match &media.source {
        Source::Url(url) if is_web(url) => url.clone(),
        Source::Base64(data) => data_url(media.media_type.as_ref(), data, "image/png"),
        Source::Url(_) | Source::File(_) | Source::Text(_) => return Err(losses::IMAGE),
    };
    out.begin_object().field("type", "image_url").key("image_url").begin_object();
    out.key("url").text(&url).field_text("detail", media.detail.as_ref()).end_object();
    Ok(())
}

fn open_audio(media: &Media<'_>, out: &mut Out<'_>) -> Result<(), &'static str> {
    let Source::Base64(data) = &media.source else { return Err(losses::AUDIO) };
    out.begin_object().field("type", "input_audio").key("input_audio").begin_object();
    out.key("data").text(data).key("format").text(&audio_format(media.media_type.as_ref())).end_object();
    Ok(())
}

fn audio_format(media_type: Option<&Text<'_>>) -> Text<'static> {
    let Some(media_type) = media_type else { return Text::literal("wav") };
    let media_type = media_type.decode();
    match media_type.rsplit('/').next().unwrap_or_default() {
        "mpeg" | "mp3" => Text::literal("mp3"),
        "wav" | "wave" | "x-wav" | "vnd.wave" => Text::literal("wav"),
        other => Text::plain(other),
    }
}

fn open_document(media: &Media<'_>, out: &mut Out<'_>) -> Result<(), &'static str> {
    match &media.source {
        Source::Text(text) => {
            out.begin_object().field("type", "text").key("text").text(text);
        }
        Source::File(id) => {
            out.begin_object()
                .field("type", "file")
                .key("file")
                .begin_object()
                .key("file_id")
                .text(id)
                .end_object();
        }
        Source::Base64(data) => {
            let name = media.name.clone().unwrap_or(Text::literal("document.pdf"));
            let data = data_url(media.media_type.as_ref(), data, "application/pdf");
            out.begin_object().field("type", "file").key("file").begin_object();
            out.key("filename").text(&name).key("file_data").text(&data).end_object();
        }
        Source::Url(_) => return Err(losses::FILE),
    }
    Ok(())
}

/// Whether a provider may be expected to fetch it: `gs:` and `s3:` need credentials it does not have.
fn is_web(url: &Text<'_>) -> bool {
    let url = url.decode();
    url.starts_with("https:") || url.starts_with("http:")
}

/// A `data:` URI.
pub(super) fn data_url(
    media_type: Option<&Text<'_>>,
    data: &Text<'_>,
    default: &'static str,
) -> Text<'static> {
    let sniffed = sniff(data).map(Text::literal);
    let media_type = media_type.map_or_else(|| sniffed.unwrap_or(Text::literal(default)), Text::borrow);
    let mut url = Text::literal("data:").into_owned();
    url.push(&media_type);
    url.push(&Text::literal(";base64,"));
    url.push(data);
    url
}

/// The media type that the first bytes show, in base64.
fn sniff(data: &Text<'_>) -> Option<&'static str> {
    const KNOWN: [(&[u8], &str); 6] = [
        (b"iVBORw0", "image/png"),
        (b"/9j/", "image/jpeg"),
        (b"\\/9j\\/", "image/jpeg"),
        (b"R0lGOD", "image/gif"),
        (b"UklGR", "image/webp"),
        (b"JVBERi0", "application/pdf"),
    ];
    KNOWN.iter().find(|(start, _)| data.as_escaped().starts_with(start)).map(|(_, media_type)| *media_type)
}
