//! How urgently a provider says it served: the words of all dialects.

use sluice_types::ServiceTier;

use crate::json;

/// The tier that a JSON value names. Standard is also what is no text, is left to the provider (`auto`), paid for in
/// advance (`scale`, `reserved`, provisioned throughput), or not known.
pub(crate) fn tier_of(value: &[u8]) -> ServiceTier {
    let name = value.trim_ascii().strip_prefix(b"\"").and_then(|name| name.strip_suffix(b"\""));
    named(name.unwrap_or_default())
}

/// The same for a plain name: of OpenAI, Anthropic and Bedrock, Gemini's `serviceTier` and Vertex AI's `trafficType`.
pub(crate) fn named(name: &[u8]) -> ServiceTier {
    match name {
        b"flex" | b"FLEX" | b"ON_DEMAND_FLEX" => ServiceTier::Flex,
        b"priority" | b"PRIORITY" | b"ON_DEMAND_PRIORITY" => ServiceTier::Priority,
        b"batch" | b"BATCH" => ServiceTier::Batch,
        _ => ServiceTier::Standard,
    }
}

/// The tier in Bedrock's `serviceTier`, an object with a `type`.
pub(crate) fn tier_of_type(value: &[u8]) -> ServiceTier {
    let kind = json::scan_object_lenient(value, &["type"]).ok().and_then(|members| members.values[0]);
    kind.map_or(ServiceTier::Standard, |kind| tier_of(kind.of(value)))
}
