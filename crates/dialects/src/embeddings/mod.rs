//! Embeddings: texts in, vectors out, in every dialect that has them.
//!
//! A vector stays as it is written, an array of numbers or base64, and is copied; only where the client wants the other
//! form is it converted. OpenAI's own client asks for base64 unless told otherwise, and few providers give it.
//!
//! Sources: OpenAI's specification 2.3.0 and recorded traffic; the types of `@google/genai`, `cohere-ai` and `ollama`;
//! the documentation of Amazon Bedrock, Mistral, Voyage AI and Jina AI.

mod base64;
mod bedrock;
mod cohere;
mod gemini;
mod ollama;
mod openai;
mod vector;
mod vertex;

pub use vector::Vector;

use sluice_types::Usage;

use crate::exchange::{Dropped, Raw, Text, losses};
use crate::json::{Doc, Out, Value};
use crate::openai::RequestError;
use crate::openai::body::UsageShape;
use crate::wire::{AnswerContext, Malformed, Wire};

/// Where Cohere's answers have their usage: what is billed.
pub const COHERE_USAGE: UsageShape = UsageShape { name: "meta", read: cohere::read_usage };

/// A format of requests for embeddings and their answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EmbedWire {
    /// OpenAI's `/v1/embeddings`; also Azure's and that of most providers.
    Openai,
    /// The same at Mistral, where the dimension has another name.
    Mistral,
    /// The same at Voyage AI, with a type of input.
    Voyage,
    /// The same at Jina AI, with a task.
    Jina,
    /// Google's `embedContent`: one input.
    GeminiContent,
    /// Google's `batchEmbedContents`.
    GeminiBatch,
    /// Vertex AI's `predict` of embedding models.
    Vertex,
    /// Amazon's Titan models by Bedrock's `invoke`: one input.
    BedrockTitan,
    /// Cohere's models by Bedrock's `invoke`.
    BedrockCohere,
    /// Cohere's `/v2/embed`.
    Cohere,
    /// Ollama's `/api/embed`.
    Ollama,
}

/// A request in canonical form.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EmbedRequest<'a> {
    /// What to embed, at least one.
    pub inputs: Vec<EmbedInput<'a>>,
    /// How many numbers a vector is to have.
    pub dimensions: Option<u64>,
    /// In which forms the client wants its vectors.
    pub encodings: Encodings,
    /// What the vectors are for.
    pub purpose: Option<Purpose>,
    /// What to do with inputs that are too long.
    pub truncate: Option<Truncate>,
    /// An opaque name of the end user.
    pub user: Option<Text<'a>>,
}

/// One input.
#[derive(Clone, Debug, PartialEq)]
pub enum EmbedInput<'a> {
    /// A text.
    Text(Text<'a>),
    /// An array of numbers of tokens, which mean something to one tokenizer only.
    Tokens(Raw<'a>),
    /// The URL of an image, mostly a data URL.
    Image(Text<'a>),
}

/// In which forms vectors are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encodings {
    /// As arrays of numbers.
    pub float: bool,
    /// As base64 of 32-bit numbers, little-endian.
    pub base64: bool,
}

impl Default for Encodings {
    fn default() -> Self {
        Self { float: true, base64: false }
    }
}

/// What vectors are for; models that know make better ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To search with.
    Query,
    /// To be found.
    Document,
    /// To compare texts.
    Similarity,
    /// To sort texts into classes.
    Classification,
    /// To find groups.
    Clustering,
    /// To search code with.
    CodeQuery,
    /// To find answers with.
    QuestionAnswering,
    /// To find evidence with.
    FactVerification,
}

/// What to do with inputs that are too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truncate {
    /// Refuse them.
    Never,
    /// Cut off the beginning.
    Start,
    /// Cut off the end.
    End,
}

/// An answer in canonical form.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EmbedAnswer<'a> {
    /// The provider's id of it.
    pub id: Option<Text<'a>>,
    /// The model as the provider calls it.
    pub model: Option<Text<'a>>,
    /// The vectors in the order of the inputs.
    pub vectors: Vec<Vector<'a>>,
    /// What it cost.
    pub usage: Option<Usage>,
}

/// What a request says with names, and a value for each.
type Names<T, const N: usize> = [(T, &'static str); N];

/// The value that a name stands for.
fn named<T: Copy, const N: usize>(names: &Names<T, N>, name: &Text<'_>) -> Option<T> {
    let name = name.decode();
    names.iter().find(|(_, known)| known.eq_ignore_ascii_case(&name)).map(|(value, _)| *value)
}

/// The first name of a value.
fn name_of<T: PartialEq, const N: usize>(names: &Names<T, N>, value: T) -> Option<&'static str> {
    names.iter().find(|(known, _)| *known == value).map(|(_, name)| *name)
}

const WRONG_TYPE: &str = "Invalid type for this parameter.";

/// What a member must be, or else an error that names it.
fn wanted<T>(value: Option<T>, param: &'static str) -> Result<T, RequestError> {
    value.ok_or_else(|| RequestError::about(param, WRONG_TYPE))
}

/// The request, which must ask for something.
fn checked<'a>(request: EmbedRequest<'a>, param: &'static str) -> Result<EmbedRequest<'a>, RequestError> {
    if request.inputs.is_empty() {
        return Err(RequestError::about(param, "There must be at least one input."));
    }
    Ok(request)
}

/// The inputs as texts, for who takes nothing else.
fn texts<'r, 'a>(request: &'r EmbedRequest<'a>) -> Result<Vec<&'r Text<'a>>, RequestError> {
    let text = |input: &'r EmbedInput<'a>| match input {
        EmbedInput::Text(text) => Ok(text),
        EmbedInput::Tokens(_) => {
            Err(RequestError::about("input", "This model takes texts, not numbers of tokens."))
        }
        EmbedInput::Image(_) => Err(RequestError::about("input", "This model takes texts, not images.")),
    };
    request.inputs.iter().map(text).collect()
}

/// The only input, for who takes one at a time.
fn only_text<'r, 'a>(request: &'r EmbedRequest<'a>) -> Result<&'r Text<'a>, RequestError> {
    match texts(request)?.as_slice() {
        [text] => Ok(text),
        _ => Err(RequestError::about("input", "This model takes one input at a time.")),
    }
}

/// Appends texts as an array.
fn write_texts<'t>(texts: impl IntoIterator<Item = &'t Text<'t>>, out: &mut Out<'_>) {
    out.begin_array();
    for text in texts {
        out.text(text);
    }
    out.end_array();
}

/// The vectors of an array, each an array of numbers or base64.
fn read_vectors<'d>(list: Value<'d>) -> Result<Vec<Vector<'d>>, Malformed> {
    list.elements().map(Vector::read).collect()
}

impl EmbedWire {
    /// Reads a request.
    ///
    /// # Errors
    ///
    /// What is wrong with the request, in words for the client.
    pub fn read_request<'d>(
        self,
        doc: &'d Doc<'d>,
        dropped: &mut Dropped,
    ) -> Result<EmbedRequest<'d>, RequestError> {
        match self {
            Self::Openai | Self::Mistral | Self::Voyage | Self::Jina => openai::read_request(doc, dropped),
            Self::GeminiContent => gemini::read_content(doc, dropped),
            Self::GeminiBatch => gemini::read_batch(doc, dropped),
            Self::Vertex => vertex::read_request(doc, dropped),
            Self::BedrockTitan => bedrock::read_request(doc, dropped),
            Self::BedrockCohere | Self::Cohere => cohere::read_request(doc, dropped),
            Self::Ollama => ollama::read_request(doc, dropped),
        }
    }

    /// Appends a request's body. What the target cannot take is noted; inputs it cannot take are an error, since vectors
    /// are told apart by their position.
    ///
    /// # Errors
    ///
    /// Where the target cannot take the inputs, or not as many.
    pub fn write_request(
        self,
        request: &EmbedRequest<'_>,
        model: &str,
        dropped: &mut Dropped,
        out: &mut Vec<u8>,
    ) -> Result<(), RequestError> {
        let out = &mut Out::new(out);
        if !matches!(self, Self::Openai | Self::Mistral) {
            dropped.note_if(request.user.is_some(), losses::USER);
        }
        match self {
            Self::Openai | Self::Mistral | Self::Voyage | Self::Jina => {
                openai::write_request(self, request, model, dropped, out)
            }
            Self::GeminiContent => gemini::write_content(request, dropped, out),
            Self::GeminiBatch => gemini::write_batch(request, model, dropped, out),
            Self::Vertex => vertex::write_request(request, dropped, out),
            Self::BedrockTitan => bedrock::write_request(request, dropped, out),
            Self::BedrockCohere => cohere::write_request(request, None, model, dropped, out),
            Self::Cohere => cohere::write_request(request, Some(model), model, dropped, out),
            Self::Ollama => ollama::write_request(request, model, dropped, out),
        }
    }

    /// Reads an answer.
    ///
    /// # Errors
    ///
    /// Where it is no answer of this dialect.
    pub fn read_answer<'d>(self, doc: &'d Doc<'d>) -> Result<EmbedAnswer<'d>, Malformed> {
        match self {
            Self::Openai | Self::Mistral | Self::Voyage | Self::Jina => openai::read_answer(doc),
            Self::GeminiContent | Self::GeminiBatch => gemini::read_answer(doc),
            Self::Vertex => vertex::read_answer(doc),
            Self::BedrockTitan => bedrock::read_answer(doc),
            Self::BedrockCohere | Self::Cohere => cohere::read_answer(doc),
            Self::Ollama => ollama::read_answer(doc),
        }
    }

    /// Appends an answer's body, the vectors in the forms the client wants where the dialect has a choice.
    pub fn write_answer(
        self,
        answer: &EmbedAnswer<'_>,
        context: &AnswerContext,
        encodings: Encodings,
        out: &mut Vec<u8>,
    ) {
        let out = &mut Out::new(out);
        match self {
            Self::Openai | Self::Mistral | Self::Voyage | Self::Jina => {
                openai::write_answer(answer, context, encodings, out);
            }
            Self::GeminiContent => gemini::write_one(answer, out),
            Self::GeminiBatch => gemini::write_all(answer, out),
            Self::Vertex => vertex::write_answer(answer, out),
            Self::BedrockTitan => bedrock::write_answer(answer, out),
            Self::BedrockCohere | Self::Cohere => cohere::write_answer(answer, context, encodings, out),
            Self::Ollama => ollama::write_answer(answer, context, out),
        }
    }

    /// What an answer that is passed on untouched cost; reads no vectors but Vertex AI's.
    #[must_use]
    pub fn usage_of(self, body: &[u8]) -> Option<Usage> {
        let member = |name: &str| {
            let members = crate::json::scan_object_lenient(body, &[name]).ok()?;
            members.values[0].map(|span| span.of(body))
        };
        match self {
            Self::Openai | Self::Mistral | Self::Voyage | Self::Jina => {
                crate::openai::read_usage(member("usage")?)
            }
            Self::GeminiContent | Self::GeminiBatch => gemini::read_usage(member("usageMetadata")?),
            // Its counts stand with the vectors.
            Self::Vertex => vertex::read_answer(&Doc::parse(body).ok()?).ok()?.usage,
            Self::BedrockTitan => bedrock::read_usage(body),
            Self::BedrockCohere | Self::Cohere => cohere::read_usage(member("meta")?),
            Self::Ollama => crate::ollama::read_usage(body),
        }
    }

    /// The dialect whose errors it has.
    #[must_use]
    pub fn errors(self) -> Wire {
        match self {
            Self::Openai | Self::Mistral | Self::Voyage | Self::Jina => Wire::OpenaiChat,
            Self::GeminiContent | Self::GeminiBatch | Self::Vertex => Wire::Gemini,
            Self::BedrockTitan | Self::BedrockCohere => Wire::Bedrock,
            Self::Cohere => Wire::Cohere,
            Self::Ollama => Wire::Ollama,
        }
    }
}
