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
    /// OpenAI's transcriptions.
    Transcriptions,
    /// OpenAI's translations of speech.
    Translations,
    /// OpenAI's edits of images.
    ImageEdits,
    /// OpenAI's variations of images.
    ImageVariations,
    /// OpenAI's files.
    Files,
    /// OpenAI's batches.
    Batches,
    /// Responses that OpenAI has stored.
    StoredResponses,
    /// Anthropic's batches.
    MessageBatches,
    /// Anthropic's files.
    AnthropicFiles,
    /// A stream of OpenAI's chat completions, where it has a path of its own.
    ChatStream,
    /// A stream of Anthropic's messages, where it has a path of its own.
    MessagesStream,
}

impl Upstream {
    /// Every call, in the order of the discriminants.
    pub const ALL: [Self; 35] = [
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
        Self::Transcriptions,
        Self::Translations,
        Self::ImageEdits,
        Self::ImageVariations,
        Self::Files,
        Self::Batches,
        Self::StoredResponses,
        Self::MessageBatches,
        Self::AnthropicFiles,
        Self::ChatStream,
        Self::MessagesStream,
    ];

    /// Whether the method and the type of the body differ from request to request; everything else is JSON by POST.
    #[must_use]
    pub fn is_open(self) -> bool {
        matches!(self, Self::Transcriptions | Self::Translations | Self::ImageEdits | Self::ImageVariations)
            || self.is_stored()
    }

    /// Whether it is about what the provider keeps.
    #[must_use]
    pub fn is_stored(self) -> bool {
        matches!(
            self,
            Self::Files | Self::Batches | Self::StoredResponses | Self::MessageBatches | Self::AnthropicFiles
        )
    }

    /// The call that a stream of the call is, at a provider that has a path of its own for streams.
    #[must_use]
    pub fn streamed(self) -> Option<Self> {
        match self {
            Self::Chat => Some(Self::ChatStream),
            Self::Messages => Some(Self::MessagesStream),
            _ => None,
        }
    }

    /// The call that a route is, at a provider of its own dialect; `None` for routes that no provider answers.
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
            Route::Transcriptions => Self::Transcriptions,
            Route::Translations => Self::Translations,
            Route::ImageEdits => Self::ImageEdits,
            Route::ImageVariations => Self::ImageVariations,
            Route::Files => Self::Files,
            Route::Batches => Self::Batches,
            Route::StoredResponses => Self::StoredResponses,
            Route::MessageBatches => Self::MessageBatches,
            Route::AnthropicFiles => Self::AnthropicFiles,
            Route::Models | Route::Model | Route::KeyInfo | Route::None => return None,
        })
    }
}

/// Whether the body of a call is a form.
#[must_use]
pub fn is_form(route: Route) -> bool {
    matches!(route, Route::Transcriptions | Route::Translations | Route::ImageEdits | Route::ImageVariations)
}

/// Whether a call is about what a provider keeps, such as a file. It names no model, and goes to one provider.
#[must_use]
pub fn is_stored(route: Route) -> bool {
    matches!(
        route,
        Route::Files
            | Route::Batches
            | Route::StoredResponses
            | Route::MessageBatches
            | Route::AnthropicFiles
    )
}

/// The dialect a route speaks: what its errors look like, and what its chats are read as.
#[must_use]
pub fn wire_of(route: Route) -> Wire {
    match route {
        Route::Responses | Route::StoredResponses => Wire::OpenaiResponses,
        Route::Messages | Route::CountTokens | Route::MessageBatches | Route::AnthropicFiles => {
            Wire::Anthropic
        }
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
            U::Responses | U::StoredResponses => !quirks.has(Quirk::NoResponses),
            U::Chat | U::Completions => true,
            _ => is_openai_other(call),
        },
        Dialect::OpenaiResponses => {
            matches!(call, U::Responses | U::StoredResponses) || is_openai_other(call)
        }
        Dialect::Azure => match call {
            U::Chat | U::Completions => true,
            U::Moderations | U::ImageVariations => false,
            _ => is_openai_other(call),
        },
        Dialect::Anthropic => match call {
            U::MessageBatches | U::AnthropicFiles => !quirks.has(Quirk::VertexBody),
            _ => matches!(call, U::Messages | U::CountTokens),
        },
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

/// What OpenAI offers besides the generation of text.
fn is_openai_other(call: Upstream) -> bool {
    use Upstream as U;
    matches!(
        call,
        U::Embeddings
            | U::Images
            | U::ImageEdits
            | U::ImageVariations
            | U::Speech
            | U::Transcriptions
            | U::Translations
            | U::Moderations
            | U::Files
            | U::Batches
    )
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
