//! Words of the dialect and what they stand for.

use crate::exchange::{Finish, Text};

/// Why a choice ended. Besides OpenAI's reasons Mistral's and OpenRouter's are known; an unknown one is an ordinary end.
pub(super) fn read_finish(reason: &Text<'_>) -> Finish {
    match &*reason.decode() {
        "length" | "max_tokens" | "model_length" => Finish::Length,
        "tool_calls" | "function_call" => Finish::ToolCalls,
        "content_filter" => Finish::ContentFilter,
        "refusal" => Finish::Refusal,
        "error" => Finish::Error,
        _ => Finish::Stop,
    }
}

/// What is known of a choice besides its `finish_reason`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    /// It has called a tool.
    pub(super) tools: bool,
    /// It has a refusal in words.
    pub(super) refusal: bool,
    /// A stop text is named.
    pub(super) stop_sequence: bool,
    /// The provider behind the provider paused.
    pub(super) paused: bool,
    /// It failed.
    pub(super) failed: bool,
}

impl Seen {
    /// Why a choice really ended that says `stop`: OpenAI refuses with it, and some providers call tools with it. What says
    /// `content_filter` may be a failure by the mark of [`FAILED`].
    pub(super) fn refine(self, finish: Finish) -> Finish {
        match finish {
            Finish::Stop if self.tools => Finish::ToolCalls,
            Finish::Stop if self.paused => Finish::Pause,
            Finish::Stop if self.refusal => Finish::Refusal,
            Finish::Stop if self.stop_sequence => Finish::StopSequence,
            Finish::ContentFilter if self.failed => Finish::Error,
            finish => finish,
        }
    }
}

/// `finish_reason`. A refusal in words ends as OpenAI's own do; one without them is known to clients as a filter's doing.
///
/// OpenAI has no reason for a failure, and clients that know OpenAI's only fail at `error`, as OpenRouter has it, with a
/// message about the reason (.NET) or the whole answer (Rust). Of OpenAI's reasons a filter's is the one by which they
/// take an answer for unusable, where `stop` would hide the failure. What it was is said in `native_finish_reason`.
pub(super) fn write_finish(finish: Finish, has_refusal: bool) -> &'static str {
    match finish {
        Finish::Stop | Finish::StopSequence | Finish::Pause => "stop",
        Finish::Refusal if has_refusal => "stop",
        Finish::Refusal | Finish::ContentFilter | Finish::Error => "content_filter",
        Finish::Length => "length",
        Finish::ToolCalls => "tool_calls",
    }
}

/// The mark of a paused turn in `native_finish_reason`, which OpenRouter has for reasons of the provider behind it.
pub(super) const PAUSED: &str = "pause_turn";

/// The mark of a failure, in the same place.
pub(super) const FAILED: &str = "error";

/// Service tiers a client of OpenAI may ask for.
pub(super) const SERVICE_TIERS: [&str; 6] = ["auto", "default", "flex", "scale", "priority", "fast"];
