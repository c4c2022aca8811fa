//! Prices as the data plane takes them: whole numbers of pico-USD (10⁻¹² USD).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a model costs at a provider. TypeScript has applied the operator's rules; what depends on the request is left.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Rates by the size of the prompt, ascending; the first holds from 0.
    pub standard: Vec<PriceTier>,
    /// The same where the provider says it served with `flex`; empty where the standard ones hold.
    #[serde(default)]
    pub flex: Vec<PriceTier>,
    /// The same for `priority`.
    #[serde(default)]
    pub priority: Vec<PriceTier>,
    /// The same for `batch`.
    #[serde(default)]
    pub batch: Vec<PriceTier>,
    /// Pico-USD per request, besides its tokens.
    #[serde(default)]
    pub request: u64,
    /// Region times agreed factor, in hundred-millionths; 100,000,000 is the price itself.
    pub factor: u64,
}

/// Rates that hold for a whole request whose prompt is larger than a bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PriceTier {
    /// The tier holds where the prompt has more tokens than this, cached ones included.
    pub above_input_tokens: u32,
    /// Rates.
    pub rates: Rates,
}

/// Pico-USD per token, by what it is. Every token of a request is of exactly one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rates {
    /// Prompt, where nothing below applies.
    pub input: u64,
    /// Read from the provider's cache.
    pub cached_input: u64,
    /// Written to it for a short time.
    pub cache_write: u64,
    /// Written to it for an hour.
    pub cache_write_1h: u64,
    /// Sound in the prompt.
    pub audio_input: u64,
    /// Images in the prompt.
    pub image_input: u64,
    /// Answer, where nothing below applies.
    pub output: u64,
    /// Reasoning.
    pub reasoning: u64,
    /// Sound in the answer.
    pub audio_output: u64,
    /// Images in the answer.
    pub image_output: u64,
}
