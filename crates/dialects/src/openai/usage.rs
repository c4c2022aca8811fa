//! The `usage` object in all the shapes OpenAI's dialect has.

use sluice_types::Usage;

use crate::json::{self, Kind, Span};

/// Reads a usage object.
///
/// Chat completions and completions count `prompt_tokens` and `completion_tokens`, Responses `input_tokens` and
/// `output_tokens`, each with details; DeepSeek reports cached tokens as `prompt_cache_hit_tokens`, and some providers of
/// embeddings give nothing but `total_tokens`, which then is all input. Members that are
/// absent, `null` or no count are as absent. `None` where the value is no object, is malformed, or counts nothing we
/// know: a usage of zero would pass for a free request.
pub(super) fn read_usage(value: &[u8]) -> Option<Usage> {
    const WANTED: [&str; 10] = [
        "prompt_tokens",
        "input_tokens",
        "completion_tokens",
        "output_tokens",
        "prompt_tokens_details",
        "input_tokens_details",
        "completion_tokens_details",
        "output_tokens_details",
        "prompt_cache_hit_tokens",
        "total_tokens",
    ];
    let members = json::scan_object_lenient(value, &WANTED).ok()?;
    let [prompt, input, completion, output, in_parts_1, in_parts_2, out_parts_1, out_parts_2, hits, total] =
        members.values;
    let output = count(value, completion).max(count(value, output));
    let input = count(value, prompt).max(count(value, input));
    let input = if input.or(output).is_none() { count(value, total)?.into() } else { input };
    let [cached, written] =
        details(value, [in_parts_1, in_parts_2], &["cached_tokens", "cache_write_tokens"]);
    let [reasoning] = details(value, [out_parts_1, out_parts_2], &["reasoning_tokens"]);
    Some(Usage {
        input: input.unwrap_or_default(),
        cached_input: cached.max(count(value, hits)).unwrap_or_default(),
        cache_write: written.unwrap_or_default(),
        output: output.unwrap_or_default(),
        reasoning: reasoning.unwrap_or_default(),
    })
}

/// The wanted counts of the first of two members that is an object.
fn details<const N: usize>(value: &[u8], either: [Option<Span>; 2], wanted: &[&str; N]) -> [Option<u32>; N] {
    let mut objects = either.into_iter().flatten().map(|span| span.of(value));
    let object = objects.find(|object| json::kind_of(object) == Kind::Object).unwrap_or_default();
    match json::scan_object_lenient(object, wanted) {
        Ok(members) => members.values.map(|span| count(object, span)),
        Err(_) => [None; N],
    }
}

/// A count of tokens; what does not fit 32 bits is the largest that does.
fn count(body: &[u8], value: Option<Span>) -> Option<u32> {
    let number = json::as_u64(value?.of(body))?;
    Some(u32::try_from(number).unwrap_or(u32::MAX))
}
