//! Why a generation ended. Source: `stop_reason` in the reference of the Messages API.

use crate::exchange::{Finish, Text};

/// Reads a reason. One that is not known is taken for an end like any other.
pub(super) fn read_finish(reason: &Text<'_>) -> Finish {
    match &*reason.decode() {
        "tool_use" => Finish::ToolCalls,
        "max_tokens" | "model_context_window_exceeded" => Finish::Length,
        "stop_sequence" => Finish::StopSequence,
        "refusal" => Finish::Refusal,
        "pause_turn" => Finish::Pause,
        _ => Finish::Stop,
    }
}

/// The reason for a finish, given whether tools were called: some dialects do not tell a call from an end, and clients
/// that are told of a call look for one.
///
/// A filter's cut and a failed generation become `refusal`, the only reason that tells a client not to take the answer
/// for whole.
pub(super) fn reason_of(finish: Finish, has_calls: bool) -> &'static str {
    match finish {
        Finish::Stop | Finish::ToolCalls if has_calls => "tool_use",
        Finish::Stop | Finish::ToolCalls => "end_turn",
        Finish::StopSequence => "stop_sequence",
        Finish::Length => "max_tokens",
        Finish::ContentFilter | Finish::Refusal | Finish::Error => "refusal",
        Finish::Pause => "pause_turn",
    }
}

/// What `stop_details` says of a finish where the model has not said anything.
pub(super) fn explanation_of(finish: Finish) -> Option<Text<'static>> {
    match finish {
        Finish::ContentFilter => Some(Text::literal("The provider's content filter ended the answer.")),
        Finish::Error => Some(Text::literal("The provider failed to finish the answer.")),
        _ => None,
    }
}
