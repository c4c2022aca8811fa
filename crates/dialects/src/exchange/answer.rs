//! An answer in canonical form: whole, or as the events of a stream.

use sluice_types::Usage;

use super::{ApiError, Part, Raw, Text};
use crate::tier::named;

/// A whole answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChatAnswer<'a> {
    /// The provider's id of it.
    pub id: Option<Text<'a>>,
    /// The model as the provider calls it.
    pub model: Option<Text<'a>>,
    /// What was generated; one unless several were asked for. Empty where the prompt was refused.
    pub choices: Vec<Choice<'a>>,
    /// What it cost.
    pub usage: Option<Usage>,
    /// The service tier it was served at.
    pub service_tier: Option<Text<'a>>,
}

impl ChatAnswer<'_> {
    /// The usage, with the tier it is priced by.
    #[must_use]
    pub fn priced_usage(&self) -> Option<Usage> {
        let usage = self.usage?;
        let tier = self.service_tier.as_ref().map_or(usage.tier, |tier| named(tier.decode().as_bytes()));
        Some(Usage { tier, ..usage })
    }
}

/// One generated answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Choice<'a> {
    /// What was generated, in order: text, thinking, tool calls, refusals, media.
    pub parts: Vec<Part<'a>>,
    /// Why it ended.
    pub finish: Finish,
    /// The text that ended it.
    pub stop_sequence: Option<Text<'a>>,
    /// OpenAI's `logprobs` as they are.
    pub logprobs: Option<Raw<'a>>,
    /// Citations as the dialect writes them, for writers of the same dialect family; others drop them.
    pub citations: Vec<Raw<'a>>,
}

/// Why a generation ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Finish {
    /// By itself.
    #[default]
    Stop,
    /// One of the stop texts came up.
    StopSequence,
    /// The token limit, or the end of the model's context.
    Length,
    /// Tools are to be called.
    ToolCalls,
    /// A filter of the provider cut it off.
    ContentFilter,
    /// The model refused.
    Refusal,
    /// The provider paused a long turn; send it back to go on (Anthropic's `pause_turn`).
    Pause,
    /// What the model wrote was unusable (malformed tool call), or it failed.
    Error,
}

/// One step of a stream. Texts are fragments, to be joined.
///
/// A decoder yields, in this order: one [`Event::Start`]; any number of the middle ones; for each choice one
/// [`Event::Finish`]; [`Event::Usage`] whenever it learns more (cumulative, see [`Usage::merge_max`]); and [`Event::End`]
/// once, when the stream has said that it is over. [`Event::Error`] ends it at any point. Fragments of different tools of
/// one choice may interleave; text, thinking and refusals belong where they come.
#[derive(Clone, Debug, PartialEq)]
pub enum Event<'a> {
    /// The answer begins.
    Start {
        /// The provider's id of it.
        id: Option<Text<'a>>,
        /// The model as the provider calls it.
        model: Option<Text<'a>>,
    },
    /// Text.
    Text {
        /// Which choice.
        choice: u32,
        /// The fragment.
        text: Text<'a>,
    },
    /// Thinking.
    Thinking {
        /// Which choice.
        choice: u32,
        /// The fragment.
        text: Text<'a>,
    },
    /// The provider's proof of the thinking before it.
    Signature {
        /// Which choice.
        choice: u32,
        /// The whole signature, or the next fragment of it.
        signature: Text<'a>,
    },
    /// A thought in encrypted form, whole.
    RedactedThinking {
        /// Which choice.
        choice: u32,
        /// The data.
        data: Text<'a>,
    },
    /// A refusal in words.
    Refusal {
        /// Which choice.
        choice: u32,
        /// The fragment.
        text: Text<'a>,
    },
    /// A tool call begins.
    ToolStart {
        /// Which choice.
        choice: u32,
        /// Which of the choice's tool calls, from 0 in order of their beginning.
        tool: u32,
        /// Links the result to it; decoders of dialects without ids make one.
        id: Text<'a>,
        /// The tool's name.
        name: Text<'a>,
        /// One of OpenAI's custom tools.
        custom: bool,
        /// Gemini's `thoughtSignature` of the call.
        signature: Option<Text<'a>>,
    },
    /// More of a tool call's arguments, as text.
    ToolArguments {
        /// Which choice.
        choice: u32,
        /// Which tool call.
        tool: u32,
        /// The fragment.
        fragment: Text<'a>,
    },
    /// A tool call is whole; sent by decoders whose dialect says so.
    ToolEnd {
        /// Which choice.
        choice: u32,
        /// Which tool call.
        tool: u32,
    },
    /// A generated image or sound, whole.
    Media {
        /// Which choice.
        choice: u32,
        /// IANA media type.
        media_type: Text<'a>,
        /// Base64.
        data: Text<'a>,
    },
    /// Probabilities of the tokens of a text, OpenAI's object as it is.
    Logprobs {
        /// Which choice.
        choice: u32,
        /// The object.
        logprobs: Raw<'a>,
    },
    /// A choice has ended.
    Finish {
        /// Which choice.
        choice: u32,
        /// Why.
        finish: Finish,
        /// The text that ended it.
        stop_sequence: Option<Text<'a>>,
    },
    /// What it has cost so far.
    Usage(Usage),
    /// The provider failed; nothing follows.
    Error(ApiError),
    /// The stream is over and whole.
    End,
}
