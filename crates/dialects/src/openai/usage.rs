//! The `usage` object in all the shapes OpenAI's dialect has.

use sluice_types::Usage;

use crate::json;

/// Reads a usage object.
///
/// Chat completions and completions count `prompt_tokens` and `completion_tokens`, Responses `input_tokens` and
/// `output_tokens`, each with details; DeepSeek reports cached tokens as `prompt_cache_hit_tokens`, and some providers of
/// embeddings give nothing but `total_tokens`, which then is all input. Transcriptions have their details in
/// `input_token_details`, or count seconds and no tokens. Members that are
/// absent, `null` or no count are as absent. `None` where the value is no object, is malformed, or counts nothing we
/// know: a usage of zero would pass for a free request.
pub(crate) fn read_usage(value: &[u8]) -> Option<Usage> {
    let (usage, end) = usage_at(value, 0)?;
    value[end..].trim_ascii().is_empty().then_some(usage)
}

/// The same for a usage object that begins at `at` in a larger document; also says where it ends.
pub(super) fn usage_at(document: &[u8], at: usize) -> Option<(Usage, usize)> {
    let mut counts = Counts::default();
    let end = json::walk_counts(document, at, &mut |around, name, number| counts.take(around, name, number))
        .ok()?;
    Some((counts.into_usage()?, end))
}

/// Counts as they are found; of one that is given twice, under one name or two, the larger stands.
#[derive(Default)]
struct Counts {
    input: Option<u32>,
    output: Option<u32>,
    total: Option<u32>,
    cached: Option<u32>,
    written: Option<u32>,
    reasoning: Option<u32>,
    audio_input: Option<u32>,
    image_input: Option<u32>,
    audio_output: Option<u32>,
    image_output: Option<u32>,
}

impl Counts {
    fn take(&mut self, around: &[u8], name: &[u8], number: &[u8]) {
        let into = match (around, name) {
            (b"", b"prompt_tokens" | b"input_tokens") => &mut self.input,
            (b"", b"completion_tokens" | b"output_tokens") => &mut self.output,
            (b"", b"total_tokens") => &mut self.total,
            (b"", b"prompt_cache_hit_tokens") => &mut self.cached,
            (b"prompt_tokens_details" | b"input_tokens_details", b"cached_tokens") => &mut self.cached,
            (b"prompt_tokens_details" | b"input_tokens_details", b"cache_write_tokens") => &mut self.written,
            (
                b"prompt_tokens_details" | b"input_tokens_details" | b"input_token_details",
                b"audio_tokens",
            ) => &mut self.audio_input,
            (b"prompt_tokens_details" | b"input_tokens_details", b"image_tokens") => &mut self.image_input,
            (b"completion_tokens_details" | b"output_tokens_details", b"reasoning_tokens") => {
                &mut self.reasoning
            }
            (b"completion_tokens_details" | b"output_tokens_details", b"audio_tokens") => {
                &mut self.audio_output
            }
            (b"completion_tokens_details" | b"output_tokens_details", b"image_tokens") => {
                &mut self.image_output
            }
            _ => return,
        };
        // What does not fit 32 bits is the largest that does.
        let count = json::as_u64(number).map(|number| u32::try_from(number).unwrap_or(u32::MAX));
        *into = (*into).max(count);
    }

    fn into_usage(self) -> Option<Usage> {
        let input = if self.input.or(self.output).is_none() { Some(self.total?) } else { self.input };
        Some(Usage {
            input: input.unwrap_or_default(),
            cached_input: self.cached.unwrap_or_default(),
            cache_write: self.written.unwrap_or_default(),
            output: self.output.unwrap_or_default(),
            reasoning: self.reasoning.unwrap_or_default(),
            audio_input: self.audio_input.unwrap_or_default(),
            image_input: self.image_input.unwrap_or_default(),
            audio_output: self.audio_output.unwrap_or_default(),
            image_output: self.image_output.unwrap_or_default(),
            ..Usage::default()
        })
    }
}
