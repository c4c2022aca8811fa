//! The dialects behind one door: reading and writing by [`Wire`].

pub use sluice_types::Quirk;
use sluice_types::Usage;

use crate::exchange::{ApiError, ChatAnswer, ChatRequest, Dropped, Event, Tool};
use crate::json::{Doc, Span};
use crate::lost_media::{self, WithWords};
use crate::openai::RequestError;
use crate::tool_names::ToolNames;
use crate::{anthropic, bedrock, cohere, gemini, ollama, openai_chat, openai_responses};

/// A format of chat requests and answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wire {
    /// OpenAI's chat completions; also Azure's and that of most providers.
    OpenaiChat,
    /// OpenAI's responses.
    OpenaiResponses,
    /// Anthropic's messages.
    Anthropic,
    /// Google's `generateContent`, of Gemini and Vertex AI.
    Gemini,
    /// Amazon Bedrock's `converse`.
    Bedrock,
    /// Cohere's chat, version 2.
    Cohere,
    /// Ollama's own chat; only as a target.
    Ollama,
}

/// What a writer of requests needs to know of where they go.
#[derive(Clone, Copy, Debug)]
pub struct Target<'t> {
    /// The model's name there; written into the body where the dialect has it there.
    pub model: &'t str,
    /// What is special about the provider.
    pub quirks: Quirks,
    /// Most tokens to ask for where the dialect demands a limit and the client gave none.
    pub default_max_tokens: u64,
}

/// What is special about a provider of a dialect; a set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quirks(u32);

impl Quirks {
    /// None.
    pub const NONE: Self = Self(0);

    /// The set with one more.
    #[must_use]
    pub const fn with(self, quirk: Quirk) -> Self {
        Self(self.0 | 1 << quirk as u32)
    }

    /// Those of a list.
    #[must_use]
    pub fn of(list: &[Quirk]) -> Self {
        list.iter().fold(Self::NONE, |set, quirk| set.with(*quirk))
    }

    /// All of both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether it is in the set.
    #[must_use]
    pub const fn has(self, quirk: Quirk) -> bool {
        self.0 & 1 << quirk as u32 != 0
    }
}

/// What a writer of answers needs to know besides the answer.
#[derive(Clone, Debug, Default)]
pub struct AnswerContext {
    /// Id of the answer, unique: the request's id in hexadecimal, without a prefix; used where the provider gave none, or
    /// one that does not look like the dialect's.
    pub id: String,
    /// The model by the name the client asked for.
    pub model: String,
    /// Seconds since 1970.
    pub created: u64,
    /// The client asked for usage in the stream (OpenAI chat); the other dialects always have it.
    pub include_usage: bool,
    /// Gemini: the stream is a JSON array, not server-sent events.
    pub json_array: bool,
}

/// One frame of a stream: a server-sent event, a message of Amazon's event stream, or a line of JSON.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// The event's name, or `:event-type` or `:exception-type`.
    pub name: Option<&'a [u8]>,
    /// Its data.
    pub data: &'a [u8],
}

/// An answer that is not what the dialect allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed(
    /// What is wrong, as the end of a sentence: "the provider's answer …".
    pub &'static str,
);

/// Reads the frames of a stream.
pub trait Decode {
    /// Reads the next frame and hands on what it says. What the frame cannot be read as is [`Malformed`]; frames of kinds
    /// that are not known are passed over.
    ///
    /// # Errors
    ///
    /// [`Malformed`]
    fn frame(&mut self, frame: Frame<'_>, sink: &mut dyn FnMut(Event<'_>)) -> Result<(), Malformed>;

    /// The stream has ended. For dialects whose streams end without a mark of their own, this is where [`Event::End`]
    /// comes from, if a reason to finish was seen; a stream that was cut short says nothing.
    fn end(&mut self, sink: &mut dyn FnMut(Event<'_>));
}

/// Writes a stream.
pub trait Encode {
    /// Appends what the event comes to: nothing, or one or more whole frames.
    fn event(&mut self, event: &Event<'_>, out: &mut Vec<u8>);
}

/// What a stream that is passed on untouched is tapped for. Must not allocate in steady state.
pub trait Tap {
    /// Looks at the next frame.
    fn frame(&mut self, frame: Frame<'_>) -> crate::openai::stream::EventClass;
    /// What was learnt so far.
    fn learnt(&self) -> Learnt;
    /// Usage as far as it was reported.
    fn usage(&self) -> Option<Usage> {
        self.learnt().usage
    }
    /// Whether the generation has come to its end, so that a stream which ends now is whole.
    fn finished(&self) -> bool {
        self.learnt().finished
    }
    /// Bytes of generated text, as written in JSON, to estimate tokens by.
    fn output_bytes(&self) -> u64 {
        self.learnt().output_bytes
    }
}

/// What a [`Tap`] has learnt of a stream.
#[derive(Clone, Copy, Debug, Default)]
pub struct Learnt {
    /// Usage as far as it was reported, the largest of each count.
    pub usage: Option<Usage>,
    /// The generation has come to its end.
    pub finished: bool,
    /// Bytes of generated text, as written in JSON.
    pub output_bytes: u64,
}

impl Learnt {
    /// Adds usage that was reported, if any was.
    pub(crate) fn merge(&mut self, usage: Option<Usage>) {
        if let Some(usage) = usage {
            self.usage.get_or_insert_default().merge_max(usage);
        }
    }
}

/// What is read of a request that is passed on untouched, besides its path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NativeView {
    /// The value of `model` with its quotes; `None` in dialects that have it in the path.
    pub model: Option<Span>,
    /// The body asks for a stream.
    pub stream: bool,
    /// Most tokens to generate.
    pub max_output_tokens: Option<u64>,
    /// Answers wanted, at least 1.
    pub n: u64,
    /// Where the prompt is: `messages` or `contents`.
    pub input: Option<Span>,
}

/// Runs `$body` with `$module` standing for the module of the dialect.
macro_rules! by_wire {
    ($wire:expr, $module:ident => $body:expr) => {
        match $wire {
            Wire::OpenaiChat => {
                use openai_chat as $module;
                $body
            }
            Wire::OpenaiResponses => {
                use openai_responses as $module;
                $body
            }
            Wire::Anthropic => {
                use anthropic as $module;
                $body
            }
            Wire::Gemini => {
                use gemini as $module;
                $body
            }
            Wire::Bedrock => {
                use bedrock as $module;
                $body
            }
            Wire::Cohere => {
                use cohere as $module;
                $body
            }
            Wire::Ollama => {
                use ollama as $module;
                $body
            }
        }
    };
}

impl Wire {
    /// Reads a request. `stream` says whether the path asks for a stream; dialects that say so in the body ignore it.
    ///
    /// # Errors
    ///
    /// What is wrong with the request, in words for the client.
    pub fn read_request<'d>(
        self,
        doc: &'d Doc<'d>,
        stream: bool,
        dropped: &mut Dropped,
    ) -> Result<ChatRequest<'d>, RequestError> {
        by_wire!(self, dialect => dialect::read_request(doc, stream, dropped))
    }

    /// Appends a request's body.
    ///
    /// # Errors
    ///
    /// Where the dialect cannot express the request at all.
    pub fn write_request(
        self,
        request: &ChatRequest<'_>,
        target: &Target<'_>,
        dropped: &mut Dropped,
        out: &mut Vec<u8>,
    ) -> Result<(), RequestError> {
        by_wire!(self, dialect => dialect::write_request(request, target, dropped, out))
    }

    /// The names of a request's tools that are others there, to be changed back in the answer.
    #[must_use]
    pub fn tool_names(self, tools: &[Tool<'_>]) -> ToolNames {
        match self {
            Self::OpenaiChat => ToolNames::of(tools, openai_chat::mapped_name),
            Self::OpenaiResponses => ToolNames::of(tools, openai_responses::mapped_name),
            Self::Anthropic => ToolNames::of(tools, anthropic::mapped_name),
            Self::Gemini => ToolNames::of(tools, gemini::mapped_name),
            Self::Bedrock => ToolNames::of(tools, bedrock::mapped_name),
            Self::Cohere => ToolNames::of(tools, cohere::mapped_name),
            Self::Ollama => ToolNames::default(),
        }
    }

    /// Reads a whole answer.
    ///
    /// # Errors
    ///
    /// Where it is no answer of this dialect.
    pub fn read_answer<'d>(self, doc: &'d Doc<'d>) -> Result<ChatAnswer<'d>, Malformed> {
        by_wire!(self, dialect => dialect::read_answer(doc))
    }

    /// Appends a whole answer's body.
    pub fn write_answer(self, answer: &ChatAnswer<'_>, context: &AnswerContext, out: &mut Vec<u8>) {
        let with_words = lost_media::with_words(self, answer);
        let answer = with_words.as_ref().unwrap_or(answer);
        by_wire!(self, dialect => dialect::write_answer(answer, context, out));
    }

    /// Reads the body of an error answer, whatever it is.
    #[must_use]
    pub fn read_error(self, status: u16, body: &[u8]) -> ApiError {
        by_wire!(self, dialect => dialect::read_error(status, body))
    }

    /// Appends the body of an error answer.
    pub fn write_error(self, error: &ApiError, out: &mut Vec<u8>) {
        by_wire!(self, dialect => dialect::write_error(error, out));
    }

    /// A reader of streams.
    #[must_use]
    pub fn decoder(self) -> Box<dyn Decode> {
        by_wire!(self, dialect => Box::new(dialect::Decoder::default()))
    }

    /// A writer of streams.
    #[must_use]
    pub fn encoder(self, context: AnswerContext) -> Box<dyn Encode> {
        let encoder: Box<dyn Encode> = by_wire!(self, dialect => Box::new(dialect::Encoder::new(context)));
        Box::new(WithWords::new(self, encoder))
    }
}
