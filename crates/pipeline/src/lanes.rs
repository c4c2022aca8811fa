//! Which call a request becomes at a provider: the same one, untouched, or another one it is translated into.

use sluice_dialects::wire::{Quirk, Quirks, Wire};
use sluice_types::{Dialect, Route};

/// A call that a provider offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Upstream {
    /// OpenAI's chat completions.
    Chat,
    /// OpenAI's completions.
    Completions,
    /// OpenAI's embeddings.
    Embeddings,
    /// OpenAI's responses.
    Responses,
    /// OpenAI's image generation.
    Images,
    /// OpenAI's speech.
    Speech,
    /// OpenAI's moderations.
    Moderations,
    /// Anthropic's messages.
    Messages,
    /// Anthropic's token counts.
    CountTokens,
    /// Gemini's whole answers.
    GenerateContent,
    /// Gemini's streams.
    StreamGenerateContent,
    /// Gemini's token counts.
    GeminiCountTokens,
    /// Gemini's embedding of one text.
    EmbedContent,
    /// Gemini's embeddings of several.
    BatchEmbedContents,
    /// Bedrock's whole answers.
    Converse,
    /// Bedrock's streams.
    ConverseStream,
    /// Bedrock's models in formats of their own.
    Invoke,
    /// The same as a stream.
    InvokeStream,
    /// Cohere's chat.
    CohereChat,
    /// Cohere's embeddings.
    CohereEmbed,
    /// Rerank, at Cohere and at those who serve OpenAI's dialect otherwise.
    Rerank,
    /// Ollama's chat.
    OllamaChat,
    /// Ollama's embeddings.
    OllamaEmbed,
    /// Vertex AI's embeddings.
    Predict,
}

impl Upstream {
    /// Every call, in the order of the discriminants.
    pub const ALL: [Self; 24] = [
        Self::Chat,
        Self::Completions,
        Self::Embeddings,
        Self::Responses,
        Self::Images,
        Self::Speech,
        Self::Moderations,
        Self::Messages,
        Self::CountTokens,
        Self::GenerateContent,
        Self::StreamGenerateContent,
        Self::GeminiCountTokens,
        Self::EmbedContent,
        Self::BatchEmbedContents,
        Self::Converse,
        Self::ConverseStream,
        Self::Invoke,
        Self::InvokeStream,
        Self::CohereChat,
        Self::CohereEmbed,
        Self::Rerank,
        Self::OllamaChat,
        Self::OllamaEmbed,
        Self::Predict,
    ];

    /// The call that a route is, at a provider of its own dialect; `None` for routes that take no body.
    #[must_use]
    pub fn of_route(route: Route) -> Option<Self> {
        Some(match route {
            Route::Chat => Self::Chat,
            Route::Completions => Self::Completions,
            Route::Embeddings => Self::Embeddings,
            Route::Responses => Self::Responses,
            Route::Images => Self::Images,
            Route::Speech => Self::Speech,
            Route::Moderations => Self::Moderations,
            Route::Messages => Self::Messages,
            Route::CountTokens => Self::CountTokens,
            Route::GenerateContent => Self::GenerateContent,
            Route::StreamGenerateContent => Self::StreamGenerateContent,
            Route::GeminiCountTokens => Self::GeminiCountTokens,
            Route::EmbedContent => Self::EmbedContent,
            Route::BatchEmbedContents => Self::BatchEmbedContents,
            Route::Converse => Self::Converse,
            Route::ConverseStream => Self::ConverseStream,
            Route::Invoke => Self::Invoke,
            Route::InvokeStream => Self::InvokeStream,
            Route::CohereChat => Self::CohereChat,
            Route::CohereEmbed => Self::CohereEmbed,
            Route::Rerank => Self::Rerank,
            Route::Models | Route::Model | Route::None => return None,
        })
    }
}

/// The dialect a route speaks: what its errors look like, and what its chats are read as.
#[must_use]
pub fn wire_of(route: Route) -> Wire {
    match route {
        Route::Responses => Wire::OpenaiResponses,
        Route::Messages | Route::CountTokens => Wire::Anthropic,
        Route::GenerateContent
        | Route::StreamGenerateContent
        | Route::GeminiCountTokens
        | Route::EmbedContent
        | Route::BatchEmbedContents => Wire::Gemini,
        Route::Converse | Route::ConverseStream | Route::Invoke | Route::InvokeStream => Wire::Bedrock,
        Route::CohereChat | Route::CohereEmbed | Route::Rerank => Wire::Cohere,
        _ => Wire::OpenaiChat,
    }
}

/// What a route asks for, whatever its dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// A chat, which can be translated.
    Chat,
    /// Embeddings, which can be translated.
    Embed,
    /// Rerank, which can be translated.
    Rerank,
    /// A count of tokens, which is estimated where the provider cannot count.
    Count,
    /// What only providers of the same dialect offer.
    Native,
}

/// The task of a route.
#[must_use]
pub fn task_of(route: Route) -> Task {
    match route {
        Route::Chat
        | Route::Responses
        | Route::Messages
        | Route::GenerateContent
        | Route::StreamGenerateContent
        | Route::Converse
        | Route::ConverseStream
        | Route::CohereChat => Task::Chat,
        Route::Embeddings | Route::EmbedContent | Route::BatchEmbedContents | Route::CohereEmbed => {
            Task::Embed
        }
        Route::Rerank => Task::Rerank,
        Route::CountTokens | Route::GeminiCountTokens => Task::Count,
        _ => Task::Native,
    }
}

/// How a request reaches a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// As it is: the provider speaks its dialect.
    Same(Upstream),
    /// Translated, as chat in another dialect.
    Chat {
        /// The dialect.
        to: Wire,
    },
    /// Translated, as embeddings in another dialect.
    Embed,
    /// Translated, as rerank in another shape.
    Rerank,
    /// Not at all: the gateway estimates the count.
    Estimate,
    /// The provider does not offer it.
    Unsupported,
}

/// How a request of this route reaches a provider of this dialect.
#[must_use]
pub fn lane(route: Route, dialect: Dialect, quirks: Quirks) -> Lane {
    if let Some(call) = Upstream::of_route(route)
        && offers(dialect, call, quirks)
    {
        return Lane::Same(call);
    }
    match task_of(route) {
        Task::Chat => Lane::Chat { to: chat_wire(dialect) },
        Task::Embed => Lane::Embed,
        Task::Rerank => Lane::Rerank,
        Task::Count => Lane::Estimate,
        Task::Native => Lane::Unsupported,
    }
}

/// The dialect in which a provider holds chats.
#[must_use]
pub fn chat_wire(dialect: Dialect) -> Wire {
    match dialect {
        Dialect::Openai | Dialect::Azure => Wire::OpenaiChat,
        Dialect::OpenaiResponses => Wire::OpenaiResponses,
        Dialect::Anthropic => Wire::Anthropic,
        Dialect::Gemini | Dialect::Vertex => Wire::Gemini,
        Dialect::Bedrock => Wire::Bedrock,
        Dialect::Cohere => Wire::Cohere,
        Dialect::Ollama => Wire::Ollama,
    }
}

/// The call a translated chat is.
#[must_use]
pub fn chat_call(wire: Wire, stream: bool) -> Upstream {
    match wire {
        Wire::OpenaiChat => Upstream::Chat,
        Wire::OpenaiResponses => Upstream::Responses,
        Wire::Anthropic => Upstream::Messages,
        Wire::Gemini if stream => Upstream::StreamGenerateContent,
        Wire::Gemini => Upstream::GenerateContent,
        Wire::Bedrock if stream => Upstream::ConverseStream,
        Wire::Bedrock => Upstream::Converse,
        Wire::Cohere => Upstream::CohereChat,
        Wire::Ollama => Upstream::OllamaChat,
    }
}

/// Whether providers of a dialect offer a call.
#[must_use]
pub fn offers(dialect: Dialect, call: Upstream, quirks: Quirks) -> bool {
    use Upstream as U;
    match dialect {
        Dialect::Openai => match call {
            U::Responses => !quirks.has(Quirk::NoResponses),
            U::Chat | U::Completions | U::Embeddings | U::Images | U::Speech | U::Moderations => true,
            _ => false,
        },
        Dialect::OpenaiResponses => {
            matches!(call, U::Responses | U::Embeddings | U::Images | U::Speech | U::Moderations)
        }
        Dialect::Azure => matches!(call, U::Chat | U::Completions | U::Embeddings | U::Images | U::Speech),
        Dialect::Anthropic => matches!(call, U::Messages | U::CountTokens),
        Dialect::Gemini => matches!(
            call,
            U::GenerateContent
                | U::StreamGenerateContent
                | U::GeminiCountTokens
                | U::EmbedContent
                | U::BatchEmbedContents
        ),
        Dialect::Vertex => {
            matches!(call, U::GenerateContent | U::StreamGenerateContent | U::GeminiCountTokens | U::Predict)
        }
        Dialect::Bedrock => matches!(call, U::Converse | U::ConverseStream | U::Invoke | U::InvokeStream),
        Dialect::Cohere => matches!(call, U::CohereChat | U::CohereEmbed | U::Rerank),
        Dialect::Ollama => matches!(call, U::OllamaChat | U::OllamaEmbed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_dialect_passes_untouched_and_others_are_translated() {
        let none = Quirks::NONE;
        assert_eq!(lane(Route::Chat, Dialect::Openai, none), Lane::Same(Upstream::Chat));
        assert_eq!(lane(Route::Responses, Dialect::Openai, none), Lane::Same(Upstream::Responses));
        let without = none.with(Quirk::NoResponses);
        assert_eq!(lane(Route::Responses, Dialect::Openai, without), Lane::Chat { to: Wire::OpenaiChat });
        assert_eq!(
            lane(Route::Chat, Dialect::OpenaiResponses, none),
            Lane::Chat { to: Wire::OpenaiResponses }
        );
        assert_eq!(lane(Route::Messages, Dialect::Anthropic, none), Lane::Same(Upstream::Messages));
        assert_eq!(lane(Route::Messages, Dialect::Bedrock, none), Lane::Chat { to: Wire::Bedrock });
        assert_eq!(lane(Route::CountTokens, Dialect::Openai, none), Lane::Estimate);
        assert_eq!(lane(Route::Completions, Dialect::Anthropic, none), Lane::Unsupported);
        assert_eq!(lane(Route::Rerank, Dialect::Cohere, none), Lane::Same(Upstream::Rerank));
    }

    #[test]
    fn every_call_is_numbered_in_order() {
        for (at, call) in Upstream::ALL.iter().enumerate() {
            assert_eq!(*call as usize, at);
        }
    }
}
