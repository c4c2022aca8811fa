//! Images as URLs, and data URLs as media.

use crate::exchange::{Media, Source, Text};
use crate::json::Out;

/// A medium that is given by its URL. A data URL in base64 is taken apart; parameters of its media type are dropped.
pub(crate) fn media_of_url<'a>(url: &Text<'a>) -> Media<'a> {
    let (source, media_type) = match data_url(url) {
        Some((media_type, data)) => (Source::Base64(data), media_type),
        None => (Source::Url(url.clone()), None),
    };
    Media { source, media_type, name: None, detail: None }
}

/// The media type and the data of a data URL in base64.
fn data_url<'a>(url: &Text<'a>) -> Option<(Option<Text<'a>>, Text<'a>)> {
    let decoded = url.decode();
    let rest =
        decoded.get(..5).filter(|scheme| scheme.eq_ignore_ascii_case("data:")).map(|_| &decoded[5..])?;
    let (head, data) = rest.split_once(',')?;
    let mut parameters = head.split(';');
    let media_type = parameters.next().filter(|media_type| !media_type.is_empty());
    if !parameters.any(|parameter| parameter.eq_ignore_ascii_case("base64")) {
        return None;
    }
    Some((media_type.map(|media_type| Text::plain(&media_type.to_ascii_lowercase())), Text::plain(data)))
}

/// The media type that the first bytes of an image tell, in base64.
pub(crate) fn sniffed_media_type(data: &Text<'_>) -> Option<&'static str> {
    const KNOWN: [(&[u8], &str); 5] = [
        (b"iVBORw0KGgo", "image/png"),
        (b"/9j/", "image/jpeg"),
        (b"R0lGOD", "image/gif"),
        (b"UklGR", "image/webp"),
        (b"JVBERi0", "application/pdf"),
    ];
    let data = data.as_escaped();
    KNOWN.iter().find(|(start, _)| data.starts_with(start)).map(|(_, media_type)| *media_type)
}

/// Appends a medium as a URL, its bytes as a data URL; `false` where it has neither.
pub(crate) fn write_media_url(media: &Media<'_>, out: &mut Out<'_>) -> bool {
    let data = match &media.source {
        Source::Url(url) => {
            out.text(url);
            return true;
        }
        Source::Base64(data) => data,
        Source::File(_) | Source::Text(_) => return false,
    };
    let media_type = media.media_type.as_ref().filter(|media_type| !media_type.is_empty());
    let mut url = Text::escaped(b"data:").into_owned();
    match media_type {
        Some(media_type) if media_type.is("image/jpg") => url.push(&Text::literal("image/jpeg")),
        Some(media_type) => url.push(media_type),
        None => url.push(&Text::literal(sniffed_media_type(data).unwrap_or("image/png"))),
    }
    url.push(&Text::literal(";base64,"));
    url.push(data);
    out.text(&url);
    true
}
