//! The `usageMetadata` object.
//!
//! Source: the REST reference of `GenerateContentResponse` and the types of `@google/genai` 3.1.

use sluice_types::{ServiceTier, Usage};

use crate::json::{self, Out};
use crate::tier::tier_of;

/// The counts, the two lists by modality that have axes of their own in [`Usage`], and how urgently it was served: in the
/// words of Google AI Studio and of Vertex AI.
const WANTED: [&str; 10] = [
    "promptTokenCount",
    "toolUsePromptTokenCount",
    "cachedContentTokenCount",
    "candidatesTokenCount",
    "thoughtsTokenCount",
    "totalTokenCount",
    "promptTokensDetails",
    "candidatesTokensDetails",
    "serviceTier",
    "trafficType",
];

/// Reads a `usageMetadata` object. `None` where it is no object or counts nothing we know.
///
/// What tools of the provider added to the prompt is billed as input. Thoughts are generated tokens beside those of the
/// candidates; some models count them among the candidates' as well, which shows in the total.
#[must_use]
pub fn read_usage(value: &[u8]) -> Option<Usage> {
    let members = json::scan_object_lenient(value, &WANTED).ok()?;
    let of = |index: usize| members.values[index].map(|span| span.of(value));
    let count = |index: usize| json::as_u64(of(index)?);
    let [prompt, tools, cached, candidates, thoughts, total] = [0, 1, 2, 3, 4, 5].map(count);
    if [prompt, candidates, thoughts, total].iter().all(Option::is_none) {
        return None;
    }
    let input = prompt.unwrap_or(0).saturating_add(tools.unwrap_or(0));
    let reasoning = thoughts.unwrap_or(0);
    let output = match (candidates, total) {
        (Some(candidates), Some(total)) if reasoning > 0 && input.saturating_add(candidates) == total => {
            candidates
        }
        (Some(candidates), _) => candidates.saturating_add(reasoning),
        (None, Some(total)) => total.saturating_sub(input).max(reasoning),
        (None, None) => reasoning,
    };
    let [studio, vertex] = [8, 9].map(|index| of(index).map_or(ServiceTier::Standard, tier_of));
    let (audio_input, image_input) = by_modality(of(6));
    let (audio_output, image_output) = by_modality(of(7));
    Some(Usage {
        input: small(input),
        cached_input: small(cached.unwrap_or(0)),
        output: small(output),
        reasoning: small(reasoning),
        audio_input: small(audio_input),
        image_input: small(image_input),
        audio_output: small(audio_output),
        image_output: small(image_output),
        tier: if studio == ServiceTier::Standard { vertex } else { studio },
        ..Usage::default()
    })
}

/// Tokens of sound and of images in a list of `{"modality","tokenCount"}`.
fn by_modality(details: Option<&[u8]>) -> (u64, u64) {
    let (mut audio, mut image) = (0, 0);
    for detail in json::elements(details.unwrap_or_default()) {
        let Ok(members) = json::scan_object_lenient(detail, &["modality", "tokenCount"]) else { continue };
        let [modality, count] = members.values.map(|span| span.map_or(&[][..], |span| span.of(detail)));
        let count = json::as_u64(count).unwrap_or(0);
        match modality {
            b"\"AUDIO\"" => audio += count,
            b"\"IMAGE\"" => image += count,
            _ => {}
        }
    }
    (audio, image)
}

/// What does not fit 32 bits is the largest that does.
fn small(count: u64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Appends a `usageMetadata` object.
pub(super) fn write_usage(usage: &Usage, out: &mut Out<'_>) {
    let some = |count: u32| (count > 0).then_some(u64::from(count));
    out.begin_object();
    out.field_number("promptTokenCount", Some(usage.input.into()));
    out.field_number("candidatesTokenCount", Some(usage.output.saturating_sub(usage.reasoning).into()));
    out.field_number("totalTokenCount", Some(usage.total()));
    out.field_number("cachedContentTokenCount", some(usage.cached_input));
    out.field_number("thoughtsTokenCount", some(usage.reasoning));
    write_details("promptTokensDetails", usage.input, usage.audio_input, usage.image_input, out);
    let visible = usage.output.saturating_sub(usage.reasoning);
    write_details("candidatesTokensDetails", visible, usage.audio_output, usage.image_output, out);
    out.end_object();
}

/// Appends the list by modality, where there is more to say than that all of it is text.
fn write_details(name: &str, all: u32, audio: u32, image: u32, out: &mut Out<'_>) {
    if audio == 0 && image == 0 {
        return;
    }
    let text = all.saturating_sub(audio).saturating_sub(image);
    out.key(name).begin_array();
    for (modality, count) in [("TEXT", text), ("AUDIO", audio), ("IMAGE", image)] {
        if count > 0 {
            out.begin_object()
                .field("modality", modality)
                .field_number("tokenCount", Some(count.into()))
                .end_object();
        }
    }
    out.end_array();
}
