//! The names by which writers note what they leave out, one for each thing whatever the dialect: OpenAI's name of the
//! member in chat completions where it has one, else the name most dialects know it by. A reader notes a member that has
//! no canonical form by the name it has in its own dialect.
//!
//! They are part of the interface: clients find them in `x-sluice-dropped`, and `docs/dialects.md` lists them.

use super::PartKind;

/// Defines names and the list of them.
macro_rules! losses {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal;)+) => {
        $($(#[doc = $doc])+ pub const $name: &str = $text;)+

        /// All of them with what they mean, for the documentation and tests.
        pub const ALL: &[(&str, &str)] = &[$(($text, concat!($($doc),+))),+];
    };
}

losses! {
    /// Text where none can be.
    CONTENT = "messages.content";
    /// The name of who speaks.
    MESSAGE_NAME = "messages.name";
    /// An image, or the place it is at.
    IMAGE = "messages.content.image_url";
    /// How closely to look at an image.
    IMAGE_DETAIL = "messages.content.image_url.detail";
    /// Sound.
    AUDIO = "messages.content.input_audio";
    /// A film.
    VIDEO = "messages.content.video";
    /// A document, or the place it is at.
    FILE = "messages.content.file";
    /// The name of a document or of another medium.
    FILE_NAME = "messages.content.file.filename";
    /// A thought.
    THINKING = "messages.reasoning_content";
    /// The proof of a thought, or a thought in encrypted form.
    THINKING_PROOF = "messages.thinking_blocks";
    /// A call where none can be.
    TOOL_CALLS = "messages.tool_calls";
    /// Gemini's proof of the thought before a call.
    TOOL_CALL_SIGNATURE = "messages.tool_calls.signature";
    /// That a result answers a call: there is none. What it says is kept as the user's words.
    TOOL_CALL_ID = "messages.tool_call_id";
    /// That an image or a document was a tool's: it is sent behind the results, or not at all.
    TOOL_CONTENT = "messages.tool.content";
    /// That a tool failed.
    TOOL_ERROR = "messages.tool.is_error";
    /// A turn of the model that it is to go on with; it is asked to go on instead.
    PREFILL = "messages.prefill";
    /// Where the prompt is to be cached.
    CACHE = "cache_control";
    /// The client's key for the cache of prompts.
    CACHE_KEY = "prompt_cache_key";
    /// That a tool must be called, where none is offered or none can be demanded.
    TOOL_CHOICE = "tool_choice";
    /// That arguments fit the schema exactly.
    TOOL_STRICT = "tools.strict";
    /// Whether several tools may be called at once.
    PARALLEL_TOOL_CALLS = "parallel_tool_calls";
    /// The form of the answer.
    FORMAT = "response_format";
    /// What the form of the answer is for.
    FORMAT_DESCRIPTION = "response_format.description";
    /// Whether the answer must fit its schema exactly.
    FORMAT_STRICT = "response_format.strict";
    /// How much to think.
    EFFORT = "reasoning_effort";
    /// Whether thoughts are shown.
    SHOW_THINKING = "reasoning.summary";
    /// The limit of the answer's length, or how far it was moved.
    MAX_TOKENS = "max_tokens";
    /// The temperature, or how far it was moved.
    TEMPERATURE = "temperature";
    /// Nucleus sampling.
    TOP_P = "top_p";
    /// Sampling among the likeliest.
    TOP_K = "top_k";
    /// The penalty by frequency, or how far it was moved.
    FREQUENCY_PENALTY = "frequency_penalty";
    /// The penalty by presence, or how far it was moved.
    PRESENCE_PENALTY = "presence_penalty";
    /// For repeatable sampling.
    SEED = "seed";
    /// Texts that end the answer: all, those that are too many, or blank ones.
    STOP = "stop";
    /// Probabilities of tokens.
    LOGPROBS = "logprobs";
    /// Probabilities of the alternatives.
    TOP_LOGPROBS = "top_logprobs";
    /// Bias of tokens.
    LOGIT_BIAS = "logit_bias";
    /// The name of the end user.
    USER = "user";
    /// How much to say.
    VERBOSITY = "verbosity";
    /// The service tier, where the provider has none of that name.
    SERVICE_TIER = "service_tier";
    /// Embeddings: what they are for.
    INPUT_TYPE = "input_type";
    /// Embeddings: which end of a long text is cut off.
    TRUNCATE = "truncate";
    /// Ranking: whether long documents are cut.
    TRUNCATION = "truncation";
    /// Ranking: how much of a document is read.
    MAX_TOKENS_PER_DOCUMENT = "max_tokens_per_doc";
}

/// The name of a part that is left out.
pub(crate) const fn of_part(kind: &PartKind<'_>) -> &'static str {
    match kind {
        PartKind::Text(_) | PartKind::Refusal(_) => CONTENT,
        PartKind::Image(_) => IMAGE,
        PartKind::Audio(_) => AUDIO,
        PartKind::Document(_) => FILE,
        PartKind::Video(_) => VIDEO,
        PartKind::ToolCall(_) => TOOL_CALLS,
        PartKind::ToolResult(_) => TOOL_CALL_ID,
        PartKind::Thinking { .. } => THINKING,
        PartKind::RedactedThinking(_) => THINKING_PROOF,
    }
}
