//! Why an answer ended, in Bedrock's words.

use crate::exchange::{Finish, Text};

const STOP_REASONS: [(&str, Finish); 11] = [
    ("end_turn", Finish::Stop),
    ("stop_sequence", Finish::StopSequence),
    ("max_tokens", Finish::Length),
    ("model_context_window_exceeded", Finish::Length),
    ("tool_use", Finish::ToolCalls),
    ("content_filtered", Finish::ContentFilter),
    ("guardrail_intervened", Finish::ContentFilter),
    ("malformed_model_output", Finish::Error),
    ("malformed_tool_use", Finish::Error),
    // Not in the SDK's list; words of Claude that the service may let through.
    ("refusal", Finish::Refusal),
    ("pause_turn", Finish::Pause),
];

/// What a `stopReason` says; one that is not known is an ordinary end.
pub(super) fn read_stop_reason(reason: Option<&Text<'_>>) -> Finish {
    let known = reason.and_then(|reason| STOP_REASONS.iter().find(|(name, _)| reason.is(name)));
    known.map_or(Finish::Stop, |(_, finish)| *finish)
}

/// The `stopReason` of an end. Clients know the values of the SDK's list only.
pub(super) fn stop_reason(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop | Finish::Pause => "end_turn",
        Finish::StopSequence => "stop_sequence",
        Finish::Length => "max_tokens",
        Finish::ToolCalls => "tool_use",
        Finish::ContentFilter | Finish::Refusal => "content_filtered",
        Finish::Error => "malformed_model_output",
    }
}
