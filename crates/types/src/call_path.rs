//! Calls whose paths a provider has somewhere else than its dialect has them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a call asks a provider for, whatever the dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CallKind {
    /// A chat, in the provider's dialect.
    Chat,
    /// A chat whose answer is a stream, where that has a path of its own.
    ChatStream,
    /// OpenAI's completions.
    Completions,
    /// OpenAI's responses.
    Responses,
    /// Embeddings.
    Embeddings,
    /// Rerank.
    Rerank,
    /// A count of tokens.
    CountTokens,
    /// OpenAI's moderations.
    Moderations,
    /// OpenAI's images.
    Images,
    /// OpenAI's speech.
    Speech,
    /// OpenAI's transcriptions.
    Transcriptions,
    /// OpenAI's translations of speech.
    Translations,
}

/// The path of one kind of call at one provider.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CallPath {
    /// Which call.
    pub call: CallKind,
    /// From the base URL's path on: begins with `/`, may have a query, and may have `{model}` once in its path, which
    /// stands for the model's name at the provider.
    pub path: String,
}
