//! Data shared by every crate of the data plane, and with the TypeScript side: ids, the [`Snapshot`], the
//! [`UsageRecord`], [`Secret`] and [`ErrorKind`]. No behaviour beyond reading and printing itself, no IO, no clock.
//!
//! Rust owns these shapes. `cargo run -p sluice-types --example generate` writes the JSON Schema and the record layout
//! that the TypeScript side is compiled against.

mod call_path;
mod error_kind;
mod journal;
mod meter;
mod price;
mod record;
mod secret;
mod snapshot;
mod stats;

pub use call_path::{CallKind, CallPath};
pub use error_kind::ErrorKind;
pub use journal::{JournalOptions, JournalStats, JournalSync};
pub use meter::{
    CalendarUnit, Measure, Meter, MeterLevel, MeterMode, MeterUse, RefusalStyle, TokenWeights, Window,
};
pub use price::{Price, PriceTier, Rates};
pub use record::{FIELDS, Field, FieldKind, RECORD_BYTES, Route, ServiceTier, UsageRecord, flags};
pub use secret::Secret;
pub use snapshot::{
    AllowList, Auth, Dialect, Header, KeyDigest, KeyLimits, Listener, Model, ModelInfo, Provider,
    ProviderKey, ProviderTimeouts, Quirk, Settings, Snapshot, StartOptions, Target, TlsFiles, Unpriced,
    Unsupported, VirtualKey,
};

pub use stats::{
    AttemptStats, ErrorStats, Histogram, LATENCY_BOUNDS_US, PoolStats, RouteStats, Stats, TargetStats,
    TokenStats, WorkerStats,
};

/// Token counts of one exchange, each axis on its own; nothing is counted twice.
///
/// `input` is the whole prompt including what a provider read from or wrote to its cache; `cached_input` and
/// `cache_write` are parts of it. `output` is everything generated, of which `reasoning` is a part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Prompt tokens, cached ones included.
    pub input: u32,
    /// Prompt tokens served from the provider's cache (a part of `input`).
    pub cached_input: u32,
    /// Prompt tokens written to the provider's cache (a part of `input`).
    pub cache_write: u32,
    /// Those of them that are kept for an hour (a part of `cache_write`).
    pub cache_write_1h: u32,
    /// Prompt tokens of sound (a part of `input`).
    pub audio_input: u32,
    /// Prompt tokens of images (a part of `input`).
    pub image_input: u32,
    /// Generated tokens, reasoning included.
    pub output: u32,
    /// Generated tokens spent on reasoning (a part of `output`).
    pub reasoning: u32,
    /// Generated tokens of sound (a part of `output`).
    pub audio_output: u32,
    /// Generated tokens of images (a part of `output`).
    pub image_output: u32,
    /// How urgently the provider says it served.
    pub tier: ServiceTier,
}

impl Usage {
    /// Merges a later report field by field. Reports within one stream are cumulative and may omit fields, so the
    /// larger value of each wins and an absent field never erases an earlier one.
    pub fn merge_max(&mut self, later: Self) {
        self.input = self.input.max(later.input);
        self.cached_input = self.cached_input.max(later.cached_input);
        self.cache_write = self.cache_write.max(later.cache_write);
        self.cache_write_1h = self.cache_write_1h.max(later.cache_write_1h);
        self.audio_input = self.audio_input.max(later.audio_input);
        self.image_input = self.image_input.max(later.image_input);
        self.output = self.output.max(later.output);
        self.reasoning = self.reasoning.max(later.reasoning);
        self.audio_output = self.audio_output.max(later.audio_output);
        self.image_output = self.image_output.max(later.image_output);
        if later.tier != ServiceTier::Standard {
            self.tier = later.tier;
        }
    }

    /// Input plus output.
    #[must_use]
    pub fn total(&self) -> u64 {
        u64::from(self.input) + u64::from(self.output)
    }
}
