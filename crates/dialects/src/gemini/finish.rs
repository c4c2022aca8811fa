//! Reasons to finish.

use crate::exchange::{Finish, Text};

/// The reason a candidate gives. Calls of tools end with `STOP` like everything else.
pub(super) fn read_finish(reason: &Text<'_>, has_calls: bool) -> Finish {
    let reason = reason.decode();
    match reason.as_ref() {
        "MAX_TOKENS" | "CONTINUATION" => Finish::Length,
        "SAFETY"
        | "RECITATION"
        | "LANGUAGE"
        | "BLOCKLIST"
        | "PROHIBITED_CONTENT"
        | "SPII"
        | "MODEL_ARMOR"
        | "IMAGE_SAFETY"
        | "IMAGE_PROHIBITED_CONTENT"
        | "IMAGE_RECITATION" => Finish::ContentFilter,
        "MALFORMED_FUNCTION_CALL"
        | "UNEXPECTED_TOOL_CALL"
        | "TOO_MANY_TOOL_CALLS"
        | "MALFORMED_RESPONSE"
        | "MISSING_THOUGHT_SIGNATURE"
        | "OTHER"
        | "NO_IMAGE"
        | "IMAGE_OTHER" => Finish::Error,
        _ if has_calls => Finish::ToolCalls,
        _ => Finish::Stop,
    }
}

/// The reason as Google names it.
pub(super) fn finish_reason(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop | Finish::StopSequence | Finish::ToolCalls | Finish::Pause => "STOP",
        Finish::Length => "MAX_TOKENS",
        Finish::ContentFilter | Finish::Refusal => "SAFETY",
        Finish::Error => "OTHER",
    }
}

/// What the reason leaves out, for people.
pub(super) fn finish_message(finish: Finish) -> Option<&'static str> {
    match finish {
        Finish::Pause => Some("The turn was paused; send it back to go on."),
        Finish::Refusal => Some("The model refused."),
        _ => None,
    }
}
