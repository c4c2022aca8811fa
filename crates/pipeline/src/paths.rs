//! Paths that a provider's configuration gives in place of its dialect's.

use sluice_dialects::json::json_escaped;
use sluice_dialects::wire::{Quirk, Quirks};
use sluice_types::{CallKind, Dialect, Provider};

use crate::heads::{MODEL, is_offered};
use crate::lanes::Upstream;
use crate::plan::PlanError;

/// Longest path, in bytes.
const MAX_PATH_BYTES: usize = 512;

/// Longest name of a model, in bytes.
const MAX_NAME_BYTES: usize = 256;

/// What a body that passes untouched names as the model, where the path names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BodyModel {
    /// What the client sent: the dialect has the model in the path only.
    AsSent,
    /// The name at the provider, as in the path.
    Named,
    /// Always the same, as a quoted JSON string.
    Fixed(Box<str>),
    /// Nothing: the version of Anthropic's API takes its place.
    Version,
}

impl BodyModel {
    pub(crate) fn of(provider: &Provider) -> Self {
        let in_path_only =
            matches!(provider.dialect, Dialect::Gemini | Dialect::Vertex | Dialect::Bedrock | Dialect::Azure);
        if provider.dialect == Dialect::Anthropic && Quirks::of(&provider.quirks).has(Quirk::VertexBody) {
            return Self::Version;
        }
        match &provider.model_in_body {
            _ if in_path_only => Self::AsSent,
            Some(name) => Self::Fixed(json_escaped(name).into()),
            None => Self::Named,
        }
    }
}

/// The path that the configuration has for a call.
pub(crate) fn own_path(provider: &Provider, call: Upstream) -> Option<&str> {
    let kind = kind_of(call)?;
    provider.paths.iter().find(|entry| entry.call == kind).map(|entry| entry.path.as_str())
}

/// The kind of a call; `None` for those whose paths are the dialect's everywhere.
fn kind_of(call: Upstream) -> Option<CallKind> {
    use Upstream as U;
    Some(match call {
        U::Chat | U::Messages | U::GenerateContent | U::Converse | U::CohereChat | U::OllamaChat => {
            CallKind::Chat
        }
        U::ChatStream | U::MessagesStream | U::StreamGenerateContent | U::ConverseStream => {
            CallKind::ChatStream
        }
        U::Completions => CallKind::Completions,
        U::Responses => CallKind::Responses,
        U::Embeddings | U::CohereEmbed | U::OllamaEmbed | U::Predict => CallKind::Embeddings,
        U::Rerank => CallKind::Rerank,
        U::CountTokens | U::GeminiCountTokens => CallKind::CountTokens,
        U::Moderations => CallKind::Moderations,
        U::Images => CallKind::Images,
        U::Speech => CallKind::Speech,
        U::Transcriptions => CallKind::Transcriptions,
        U::Translations => CallKind::Translations,
        _ => return None,
    })
}

/// Refuses paths that could not be sent, or would never be. `path` is where the provider stands in the snapshot.
pub(crate) fn check(provider: &Provider, path: &str) -> Result<(), PlanError> {
    for (nth, entry) in provider.paths.iter().enumerate() {
        let place = format!("{path}.paths[{nth}]");
        if let Err(why) = check_path(&entry.path) {
            return Err(PlanError::new(&format!("{place}.path"), "bad_path", why));
        }
        if provider.paths[..nth].iter().any(|earlier| earlier.call == entry.call) {
            return Err(PlanError::new(
                &format!("{place}.call"),
                "duplicate_call",
                "expected each call once",
            ));
        }
        let has_it = |call: &Upstream| kind_of(*call) == Some(entry.call) && is_offered(provider, *call);
        if !Upstream::ALL.iter().any(has_it) {
            return Err(PlanError::new(
                &format!("{place}.call"),
                "unknown_call",
                "expected a call that the dialect has",
            ));
        }
    }
    let Some(name) = &provider.model_in_body else { return Ok(()) };
    let place = format!("{path}.model_in_body");
    if name.len() > MAX_NAME_BYTES {
        return Err(PlanError::new(&place, "bad_name", "expected at most 256 bytes"));
    }
    if !provider.paths.iter().any(|entry| entry.path.contains(MODEL)) {
        return Err(PlanError::new(&place, "unused_name", "expected a path with {model} beside it"));
    }
    Ok(())
}

fn check_path(path: &str) -> Result<(), &'static str> {
    let (target, _query) = path.split_once('?').unwrap_or((path, ""));
    let is_plain = |b: u8| b.is_ascii_graphic() && !matches!(b, b'#' | b'\\' | b'"' | b'<' | b'>');
    let braces = path.replacen(MODEL, "", 1);
    if path.len() > MAX_PATH_BYTES {
        return Err("expected at most 512 bytes");
    }
    if !path.starts_with('/') || path.starts_with("//") {
        return Err("expected a path that begins with one /");
    }
    if !path.bytes().all(is_plain) {
        return Err("expected printable characters without white space, fragment or backslash");
    }
    if braces.contains(['{', '}']) || (path.contains(MODEL) && !target.contains(MODEL)) {
        return Err("expected no braces but those of {model}, once, before any query");
    }
    if target.split('/').any(|segment| matches!(segment, "." | "..")) {
        return Err("expected no segments that lead elsewhere");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_to_one_place() {
        let good = [
            "/embed",
            "/v2/chat/completions?api-version=1",
            "/publishers/anthropic/models/{model}:rawPredict",
            "/v1/models/count-tokens:rawPredict",
        ];
        for path in good {
            assert_eq!(check_path(path), Ok(()), "{path}");
        }
        let long = format!("/{}", "a".repeat(MAX_PATH_BYTES));
        let bad = [
            "",
            "embed",
            "//host/embed",
            "https://host/embed",
            "/a b",
            "/a#b",
            "/a\\b",
            "/a\r\nx: y",
            "/{model}/{model}",
            "/{name}",
            "/a?model={model}",
            "/a/../b",
            &long,
        ];
        for path in bad {
            assert!(check_path(path).is_err(), "{path}");
        }
    }
}
