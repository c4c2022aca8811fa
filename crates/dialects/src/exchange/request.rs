//! A chat request in canonical form.

use super::{Arguments, Number, Raw, Text};
use crate::openai::RequestError;

/// Everything the dialects can ask of a model in one turn. Members are what two dialects or more have in common; what only
/// one has is noted in [`super::Dropped`] when it is left behind.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChatRequest<'a> {
    /// The conversation in order. System prompts that stand apart in their dialect come first, as [`Role::System`].
    pub messages: Vec<Message<'a>>,
    /// Tools the model may call.
    pub tools: Vec<Tool<'a>>,
    /// Whether and which it must.
    pub tool_choice: Option<ToolChoice<'a>>,
    /// Whether it may call several at once; `None` leaves it to the model.
    pub parallel_tool_calls: Option<bool>,
    /// The answer is to be a stream.
    pub stream: bool,
    /// The client wants usage in the stream; only OpenAI's chat completions ask.
    pub include_usage: bool,
    /// Most tokens to generate, reasoning included.
    pub max_tokens: Option<u64>,
    /// 0 to 2 where OpenAI set the scale, 0 to 1 where Anthropic did; carried as given, clamped by the writer.
    pub temperature: Option<Number<'a>>,
    /// Nucleus sampling.
    pub top_p: Option<Number<'a>>,
    /// Sampling among the likeliest.
    pub top_k: Option<Number<'a>>,
    /// Penalty by frequency.
    pub frequency_penalty: Option<Number<'a>>,
    /// Penalty by presence.
    pub presence_penalty: Option<Number<'a>>,
    /// For repeatable sampling.
    pub seed: Option<Number<'a>>,
    /// Texts that end the generation.
    pub stop: Vec<Text<'a>>,
    /// How many answers; 1 unless given.
    pub n: Option<u64>,
    /// Whether token probabilities are wanted, and how many alternatives.
    pub logprobs: Option<bool>,
    /// Alternatives per token.
    pub top_logprobs: Option<u64>,
    /// Bias by token id, OpenAI's object as it is.
    pub logit_bias: Option<Raw<'a>>,
    /// What the answer must look like.
    pub format: Option<Format<'a>>,
    /// How much the model is to think.
    pub reasoning: Option<Reasoning>,
    /// An opaque name of the end user.
    pub user: Option<Text<'a>>,
    /// OpenAI's `verbosity`: `low`, `medium`, `high`.
    pub verbosity: Option<Text<'a>>,
    /// The provider's service tier, in the words of the dialect it came in.
    pub service_tier: Option<Text<'a>>,
    /// OpenAI's `prompt_cache_key`.
    pub cache_key: Option<Text<'a>>,
}

impl ChatRequest<'_> {
    /// Refuses a request for several answers, for dialects that have one only.
    pub(crate) fn require_one_answer(&self) -> Result<(), RequestError> {
        if self.n.is_some_and(|n| n > 1) {
            return Err(RequestError::about("n", "This model gives one answer at a time: 'n' must be 1."));
        }
        Ok(())
    }
}

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The operator: `system` and `developer`.
    System,
    /// The end user; also carries results of tools.
    User,
    /// The model.
    Assistant,
}

/// One turn.
#[derive(Clone, Debug, PartialEq)]
pub struct Message<'a> {
    /// Who speaks.
    pub role: Role,
    /// What, in order. Results of tools are parts of a [`Role::User`] message of their own, as Anthropic has it: a reader
    /// of OpenAI's makes one of each run of `tool` messages and leaves what the user says behind them to the next.
    pub parts: Vec<Part<'a>>,
    /// OpenAI's `name` of the participant.
    pub name: Option<Text<'a>>,
}

/// A piece of a turn.
#[derive(Clone, Debug, PartialEq)]
pub struct Part<'a> {
    /// What it is.
    pub kind: PartKind<'a>,
    /// The provider is to cache the prompt up to here.
    pub cache: Option<CacheHint>,
}

impl<'a> From<PartKind<'a>> for Part<'a> {
    fn from(kind: PartKind<'a>) -> Self {
        Self { kind, cache: None }
    }
}

/// How long a cached prompt lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheHint {
    /// The provider's default, about five minutes.
    Short,
    /// An hour.
    Hour,
}

/// What a piece of a turn is.
#[derive(Clone, Debug, PartialEq)]
pub enum PartKind<'a> {
    /// Text.
    Text(Text<'a>),
    /// An image.
    Image(Media<'a>),
    /// Sound.
    Audio(Media<'a>),
    /// A document, mostly PDF.
    Document(Media<'a>),
    /// A moving picture.
    Video(Media<'a>),
    /// The model calls a tool.
    ToolCall(ToolCall<'a>),
    /// What a tool answered.
    ToolResult(ToolResult<'a>),
    /// What the model thought. `signature` is the provider's proof that it did, and means nothing to another provider.
    Thinking {
        /// The thought, or a summary of it; may be empty where only the signature is shown.
        text: Text<'a>,
        /// Anthropic's `signature`, Gemini's `thoughtSignature`, OpenAI's `encrypted_content`.
        signature: Option<Text<'a>>,
    },
    /// A thought that the provider shows in encrypted form only.
    RedactedThinking(Text<'a>),
    /// The model's refusal, in words of its own.
    Refusal(Text<'a>),
}

/// An image, sound, document or film.
#[derive(Clone, Debug, PartialEq)]
pub struct Media<'a> {
    /// Where its bytes are.
    pub source: Source<'a>,
    /// IANA media type, as `image/png`; `None` where it is unknown.
    pub media_type: Option<Text<'a>>,
    /// File name or title.
    pub name: Option<Text<'a>>,
    /// OpenAI's `detail` of images: `auto`, `low`, `high`.
    pub detail: Option<Text<'a>>,
}

/// Where the bytes of a medium are.
#[derive(Clone, Debug, PartialEq)]
pub enum Source<'a> {
    /// Base64, without `data:` in front.
    Base64(Text<'a>),
    /// Anywhere: `https:`, `gs:` or `s3:`.
    Url(Text<'a>),
    /// An id at the provider it was uploaded to.
    File(Text<'a>),
    /// Plain text.
    Text(Text<'a>),
}

/// A call of a tool by the model.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolCall<'a> {
    /// Links the result to it. Readers of dialects without ids make one: `call_N`, by position.
    pub id: Text<'a>,
    /// The tool's name.
    pub name: Text<'a>,
    /// What it is called with.
    pub arguments: Arguments<'a>,
    /// Gemini's `thoughtSignature` of the call.
    pub signature: Option<Text<'a>>,
    /// It is one of OpenAI's custom tools: the arguments are free text, not an object.
    pub custom: bool,
}

/// What a tool answered.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolResult<'a> {
    /// [`ToolCall::id`]
    pub id: Text<'a>,
    /// The tool's name, where the dialect repeats it. Writers that need it find it by the id (see [`tool_name`]).
    pub name: Option<Text<'a>>,
    /// Text, images and documents.
    pub parts: Vec<Part<'a>>,
    /// The tool failed.
    pub is_error: bool,
}

/// A tool the model may call.
#[derive(Clone, Debug, PartialEq)]
pub struct Tool<'a> {
    /// Its name.
    pub name: Text<'a>,
    /// What it does.
    pub description: Option<Text<'a>>,
    /// JSON Schema of its arguments; `None` where it takes none.
    pub schema: Option<Raw<'a>>,
    /// The arguments must fit the schema exactly.
    pub strict: Option<bool>,
    /// One of OpenAI's custom tools, which take free text. Other dialects get a function with one string `input`.
    pub custom: bool,
    /// The provider is to cache the prompt up to here.
    pub cache: Option<CacheHint>,
}

/// Whether the model must call a tool.
#[derive(Clone, Debug, PartialEq)]
pub enum ToolChoice<'a> {
    /// If it likes.
    Auto,
    /// No.
    None,
    /// Some tool.
    Required,
    /// This one.
    Named(Text<'a>),
    /// One of these; it must with `required`.
    Allowed {
        /// Their names.
        names: Vec<Text<'a>>,
        /// Whether one must be called.
        required: bool,
    },
}

/// What the answer must look like.
#[derive(Clone, Debug, PartialEq)]
pub enum Format<'a> {
    /// Text, the default.
    Text,
    /// Any JSON object.
    Json,
    /// JSON that fits a schema.
    Schema {
        /// OpenAI wants a name.
        name: Option<Text<'a>>,
        /// What it is for.
        description: Option<Text<'a>>,
        /// The JSON Schema.
        schema: Raw<'a>,
        /// Fit it exactly.
        strict: Option<bool>,
    },
}

/// How much the model is to think. A dialect gives an effort or a budget; the writer turns one into the other where it
/// must, see [`Effort::budget`] and [`Effort::of_budget`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reasoning {
    /// How hard.
    pub effort: Option<Effort>,
    /// How many tokens. `Some(0)` is none at all.
    pub budget: Option<u64>,
    /// As much as the model sees fit (`adaptive`, `-1`).
    pub dynamic: bool,
    /// Whether thoughts are to be shown (`includeThoughts`, `summary`, `display`).
    pub show: Option<bool>,
}

impl Reasoning {
    /// Whether thinking is turned off.
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.effort == Some(Effort::None) || self.budget == Some(0)
    }
}

/// OpenAI's `reasoning_effort`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effort {
    /// Off.
    None,
    /// As little as the model can.
    Minimal,
    /// Little.
    Low,
    /// The default of most models.
    Medium,
    /// Much.
    High,
    /// More.
    Xhigh,
    /// All it can.
    Max,
}

impl Effort {
    /// Every effort with its name in OpenAI's dialect.
    pub const NAMES: [(Self, &'static str); 7] = [
        (Self::None, "none"),
        (Self::Minimal, "minimal"),
        (Self::Low, "low"),
        (Self::Medium, "medium"),
        (Self::High, "high"),
        (Self::Xhigh, "xhigh"),
        (Self::Max, "max"),
    ];

    /// By its name.
    #[must_use]
    pub fn named(name: &Text<'_>) -> Option<Self> {
        Self::NAMES.iter().find(|(_, known)| name.is(known)).map(|(effort, _)| *effort)
    }

    /// Its name in OpenAI's dialect.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(effort, _)| *effort == self).map_or("medium", |(_, name)| name)
    }

    /// The budget in tokens that stands for it where a dialect knows budgets only. The steps are those most gateways use;
    /// no provider publishes any.
    #[must_use]
    pub fn budget(self) -> u64 {
        match self {
            Self::None => 0,
            Self::Minimal | Self::Low => 1_024,
            Self::Medium => 8_192,
            Self::High => 16_384,
            Self::Xhigh | Self::Max => 32_768,
        }
    }

    /// The effort nearest to a budget.
    #[must_use]
    pub fn of_budget(tokens: u64) -> Self {
        match tokens {
            0 => Self::None,
            1..=2_048 => Self::Low,
            2_049..=12_000 => Self::Medium,
            _ => Self::High,
        }
    }
}

/// The name of the tool that a call with this id in the messages before was of.
#[must_use]
pub fn tool_name<'m, 'a>(messages: &'m [Message<'a>], id: &Text<'_>) -> Option<&'m Text<'a>> {
    messages.iter().rev().flat_map(|message| message.parts.iter().rev()).find_map(|part| match &part.kind {
        PartKind::ToolCall(call) if call.id == *id => Some(&call.name),
        _ => None,
    })
}
