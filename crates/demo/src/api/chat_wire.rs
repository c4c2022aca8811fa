//! The JSON of chat completions, in the order in which OpenAI writes it.

use serde::Serialize;

use super::speech::Speech;

#[derive(Serialize)]
pub(super) struct Completion<'a> {
    pub(super) id: &'a str,
    pub(super) object: &'static str,
    pub(super) created: u64,
    pub(super) model: &'a str,
    pub(super) choices: [FullChoice<'a>; 1],
    pub(super) usage: Usage,
    pub(super) service_tier: &'static str,
    pub(super) system_fingerprint: &'static str,
}

#[derive(Serialize)]
pub(super) struct FullChoice<'a> {
    pub(super) index: u32,
    pub(super) message: Message<'a>,
    pub(super) logprobs: Option<()>,
    pub(super) finish_reason: &'static str,
}

#[derive(Serialize)]
pub(super) struct Message<'a> {
    pub(super) role: &'static str,
    pub(super) content: Option<&'a str>,
    pub(super) refusal: Option<()>,
    pub(super) annotations: [(); 0],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tool_calls: Option<[ToolCall<'a>; 1]>,
}

#[derive(Serialize)]
pub(super) struct Chunk<'a> {
    pub(super) id: &'a str,
    pub(super) object: &'static str,
    pub(super) created: u64,
    pub(super) model: &'a str,
    pub(super) service_tier: &'static str,
    pub(super) system_fingerprint: &'static str,
    pub(super) choices: &'a [DeltaChoice<'a>],
    /// Null on every chunk but the last when usage was asked for, else absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) usage: Option<Option<Usage>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) obfuscation: Option<&'static str>,
}

#[derive(Serialize)]
pub(super) struct DeltaChoice<'a> {
    pub(super) index: u32,
    pub(super) delta: Delta<'a>,
    pub(super) logprobs: Option<()>,
    pub(super) finish_reason: Option<&'static str>,
}

#[derive(Default, Serialize)]
pub(super) struct Delta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tool_calls: Option<[ToolCall<'a>; 1]>,
}

#[derive(Default, Serialize)]
pub(super) struct ToolCall<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) index: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<&'a str>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub(super) kind: Option<&'static str>,
    pub(super) function: Function<'a>,
}

#[derive(Default, Serialize)]
pub(super) struct Function<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<&'a str>,
    pub(super) arguments: &'a str,
}

/// Usage as chat and text completions report it.
#[derive(Clone, Copy, Serialize)]
pub(super) struct Usage {
    pub(super) prompt_tokens: usize,
    pub(super) completion_tokens: usize,
    pub(super) total_tokens: usize,
    pub(super) prompt_tokens_details: PromptDetails,
    pub(super) completion_tokens_details: CompletionDetails,
}

#[derive(Clone, Copy, Default, Serialize)]
pub(super) struct PromptDetails {
    pub(super) cached_tokens: usize,
    pub(super) audio_tokens: usize,
}

#[derive(Clone, Copy, Default, Serialize)]
pub(super) struct CompletionDetails {
    pub(super) reasoning_tokens: usize,
    pub(super) audio_tokens: usize,
    pub(super) accepted_prediction_tokens: usize,
    pub(super) rejected_prediction_tokens: usize,
}

impl Usage {
    pub(super) fn of(speech: &Speech) -> Self {
        Self {
            prompt_tokens: speech.prompt_tokens,
            completion_tokens: speech.completion_tokens,
            total_tokens: speech.prompt_tokens + speech.completion_tokens,
            prompt_tokens_details: PromptDetails::default(),
            completion_tokens_details: CompletionDetails::default(),
        }
    }
}
