//! Request heads, rendered once per credential and call: everything but what differs from request to request.

use std::fmt::Write as _;

use sluice_dialects::wire::{Quirk, Quirks};
use sluice_types::{Dialect, Provider};

use crate::base_url::BaseUrl;
use crate::lanes::{Upstream, offers};
use crate::paths::own_path;

/// A request line and fixed headers, cut open where the model's name and a query go.
///
/// Most calls send JSON with POST, and their heads begin with the method and have the content type. Those of the calls
/// that [`Upstream::is_open`] names have neither: they differ from request to request.
#[derive(Debug)]
pub struct Head {
    /// From the start up to the model's name; without one, up to the end of the path and its fixed query.
    before_model: Box<[u8]>,
    /// What follows the model's name (or what else the client's path ends with) in path and query; `None` where the path
    /// has none in it.
    after_model: Option<Box<[u8]>>,
    has_query: bool,
    /// From the blank behind the target to the last fixed header; the head is still open.
    rest: Box<[u8]>,
}

impl Head {
    /// Whether the path names the model, or what of the provider's the call is about.
    #[must_use]
    pub fn names_model(&self) -> bool {
        self.after_model.is_some()
    }

    /// Appends the head up to its open end. `model` is the name as it goes into the path, escaped (see
    /// [`percent_encoded`]); `query` is what the client's own adds, without its question mark.
    pub fn render(&self, out: &mut Vec<u8>, model: &str, query: &str) {
        out.extend_from_slice(&self.before_model);
        if let Some(after) = &self.after_model {
            out.extend_from_slice(model.as_bytes());
            out.extend_from_slice(after);
        }
        if !query.is_empty() {
            out.push(if self.has_query { b'&' } else { b'?' });
            out.extend_from_slice(query.as_bytes());
        }
        out.extend_from_slice(&self.rest);
    }

    /// Path and query of a head that [`Head::render`] has appended to `out`, which held nothing before.
    #[must_use]
    pub fn target_of(rendered: &[u8]) -> &[u8] {
        let target = rendered.strip_prefix(b"POST ").unwrap_or_default();
        target.split(|byte| *byte == b' ').next().unwrap_or_default()
    }
}

/// The heads of one credential.
pub(crate) struct Heads([Option<Box<Head>>; Upstream::ALL.len()]);

impl Heads {
    /// `headers` are lines with their ends; `query` is a parameter that every request carries, or empty.
    pub(crate) fn render(provider: &Provider, url: &BaseUrl, headers: &str, query: &str) -> Self {
        Self(Upstream::ALL.map(|call| {
            let path = path_of(provider, call)?;
            Some(Box::new(head(url, &path, call.is_open(), headers, query)))
        }))
    }

    pub(crate) fn of(&self, call: Upstream) -> Option<&Head> {
        self.0[call as usize].as_deref()
    }
}

/// Stands for the model's name in a path.
pub(crate) const MODEL: &str = "{model}";

fn head(url: &BaseUrl, path: &str, is_open: bool, headers: &str, query: &str) -> Head {
    let (prefix, authority) = (&url.prefix, &url.authority);
    let (method, content_type) =
        if is_open { ("", "") } else { ("POST ", "content-type: application/json\r\n") };
    let mut target = format!("{method}{prefix}{path}");
    if !query.is_empty() {
        target.push(if path.contains('?') { '&' } else { '?' });
        target.push_str(query);
    }
    // `identity`, since usage is read from the answer; a provider that compresses all the same is passed through.
    let rest = format!(
        " HTTP/1.1\r\nhost: {authority}\r\n{content_type}accept: */*\r\n\
         accept-encoding: identity\r\n{headers}"
    );
    let has_query = target.contains('?');
    let (before, after) = match target.split_once(MODEL) {
        Some((before, after)) => (before.to_owned(), Some(after.as_bytes().into())),
        None => (target, None),
    };
    Head {
        before_model: before.into_bytes().into(),
        after_model: after,
        has_query,
        rest: rest.into_bytes().into(),
    }
}

/// Whether a call has a path at the provider: whether its dialect has the call, or what it is translated into.
pub(crate) fn is_offered(provider: &Provider, call: Upstream) -> bool {
    let dialect = provider.dialect;
    let streamed = match call {
        Upstream::ChatStream => Some(Upstream::Chat),
        Upstream::MessagesStream => Some(Upstream::Messages),
        _ => None,
    };
    if let Some(whole) = streamed {
        return own_path(provider, call).is_some() && offers(dialect, whole, Quirks::NONE);
    }
    let rerank_of_others = call == Upstream::Rerank && dialect != Dialect::Cohere;
    // A model may have what its provider has not, but the form of bodies is the same for all.
    let vertex = Quirks::of(&provider.quirks).has(Quirk::VertexBody);
    let quirks = if vertex { Quirks::NONE.with(Quirk::VertexBody) } else { Quirks::NONE };
    // Bedrock embeds through `invoke`, which it offers.
    offers(dialect, call, quirks) || rerank_of_others || is_translated_to(dialect, call)
}

/// The path of a call under the base URL, with its fixed query; `None` where the provider does not offer it.
fn path_of(provider: &Provider, call: Upstream) -> Option<String> {
    if !is_offered(provider, call) {
        return None;
    }
    if let Some(path) = own_path(provider, call) {
        return Some(path.to_owned());
    }
    let path = match call {
        Upstream::Chat | Upstream::ChatStream => "/chat/completions",
        Upstream::Completions => "/completions",
        Upstream::Embeddings => "/embeddings",
        Upstream::Responses => "/responses",
        Upstream::Images => "/images/generations",
        Upstream::Speech => "/audio/speech",
        Upstream::Moderations => "/moderations",
        Upstream::Messages | Upstream::MessagesStream => "/messages",
        Upstream::CountTokens => "/messages/count_tokens",
        Upstream::GenerateContent => "/models/{model}:generateContent",
        // A stream is always asked for as events: the form without `alt` is one JSON array.
        Upstream::StreamGenerateContent => "/models/{model}:streamGenerateContent?alt=sse",
        Upstream::GeminiCountTokens => "/models/{model}:countTokens",
        Upstream::EmbedContent => "/models/{model}:embedContent",
        Upstream::BatchEmbedContents => "/models/{model}:batchEmbedContents",
        Upstream::Converse => "/model/{model}/converse",
        Upstream::ConverseStream => "/model/{model}/converse-stream",
        Upstream::Invoke => "/model/{model}/invoke",
        Upstream::InvokeStream => "/model/{model}/invoke-with-response-stream",
        Upstream::CohereChat => "/v2/chat",
        Upstream::CohereEmbed => "/v2/embed",
        Upstream::Rerank if provider.dialect == Dialect::Cohere => "/v2/rerank",
        Upstream::Rerank => "/rerank",
        Upstream::OllamaChat => "/api/chat",
        Upstream::OllamaEmbed => "/api/embed",
        Upstream::Predict => "/models/{model}:predict",
        Upstream::Transcriptions => "/audio/transcriptions",
        Upstream::Translations => "/audio/translations",
        Upstream::ImageEdits => "/images/edits",
        Upstream::ImageVariations => "/images/variations",
        Upstream::Files | Upstream::AnthropicFiles => "/files{model}",
        Upstream::Batches => "/batches{model}",
        Upstream::StoredResponses => "/responses{model}",
        Upstream::MessageBatches => "/messages/batches{model}",
    };
    Some(match provider.dialect {
        Dialect::Vertex => format!("/publishers/google{path}"),
        Dialect::Azure => {
            let version = provider.api_version.as_deref().unwrap_or(AZURE_API_VERSION);
            let deployment = if call.is_stored() { "" } else { "/deployments/{model}" };
            format!("/openai{deployment}{path}?api-version={}", percent_encoded(version))
        }
        _ => path.to_owned(),
    })
}

/// The version of Azure's API that is asked for where none is configured: the latest that is generally available on the
/// deployment paths.
const AZURE_API_VERSION: &str = "2024-10-21";

/// Whether a provider of the dialect gets the call by translation only.
fn is_translated_to(dialect: Dialect, call: Upstream) -> bool {
    dialect == Dialect::OpenaiResponses && call == Upstream::Chat
}

/// A name as one segment of a path: everything but RFC 3986's unreserved characters is escaped.
#[must_use]
pub fn percent_encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    percent_encode_into(&mut out, text);
    out
}

/// The same in place of what is in `out`.
pub fn percent_encode_into(out: &mut String, text: &str) {
    out.clear();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

/// A segment of a path without its escapes. What is no escape stays as it is.
#[must_use]
pub fn percent_decoded(segment: &str) -> String {
    let mut out = String::with_capacity(segment.len());
    percent_decode_into(&mut out, segment);
    out
}

/// The same in place of what is in `out`, whose memory is used again.
pub fn percent_decode_into(text: &mut String, segment: &str) {
    let mut out = std::mem::take(text).into_bytes();
    out.clear();
    let mut rest = segment.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let decoded = (*first == b'%').then(|| after.get(..2)).flatten().and_then(|digits| {
            std::str::from_utf8(digits).ok().and_then(|digits| u8::from_str_radix(digits, 16).ok())
        });
        out.push(decoded.unwrap_or(*first));
        rest = if decoded.is_some() { &after[2..] } else { after };
    }
    *text =
        String::from_utf8(out).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_and_decoded_once() {
        assert_eq!(percent_decoded("openai%2Fgpt-4o"), "openai/gpt-4o");
        assert_eq!(percent_decoded("a%252Fb%"), "a%2Fb%");
        assert_eq!(percent_encoded("anthropic.claude-v2:0"), "anthropic.claude-v2%3A0");
        assert_eq!(percent_encoded("arn:aws/x"), "arn%3Aaws%2Fx");
    }

    #[test]
    fn heads_take_model_and_query() {
        let url = BaseUrl::parse("https://h/v1beta").unwrap();
        let with_model = head(&url, "/models/{model}:stream?alt=sse", false, "a: b\r\n", "key=k");
        let mut out = Vec::new();
        with_model.render(&mut out, "m%2Fn", "x=1");
        let text = String::from_utf8(out.clone()).unwrap();
        assert!(
            text.starts_with("POST /v1beta/models/m%2Fn:stream?alt=sse&key=k&x=1 HTTP/1.1\r\nhost: h\r\n"),
            "{text}"
        );
        assert_eq!(Head::target_of(&out), b"/v1beta/models/m%2Fn:stream?alt=sse&key=k&x=1");
        let plain = head(&url, "/messages", false, "", "");
        out.clear();
        plain.render(&mut out, "ignored", "beta=true");
        assert!(out.starts_with(b"POST /v1beta/messages?beta=true HTTP/1.1\r\n"));
        let open = head(&url, "/files{model}", true, "", "");
        out.clear();
        open.render(&mut out, "/file-1/content", "limit=1");
        assert!(
            out.starts_with(b"/v1beta/files/file-1/content?limit=1 HTTP/1.1\r\nhost: h\r\naccept: */*\r\n")
        );
    }

    #[test]
    fn edge_74_models_are_one_segment_of_the_path() {
        let url = BaseUrl::parse("https://h").unwrap();
        let (mut out, model) = (Vec::new(), "arn:aws:bedrock:us-east-1:1:inference-profile/us.x-v1:0");
        let stream = head(&url, "/model/{model}/converse-stream", false, "", "");
        stream.render(&mut out, &percent_encoded(model), "");
        let expected =
            "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fus.x-v1%3A0/converse-stream";
        assert_eq!(Head::target_of(&out), expected.as_bytes());
    }
}
