//! What the data plane counts, summed over its workers, as handed to TypeScript on request.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Upper bounds of the latency histograms' buckets, microseconds; one further bucket counts everything above.
pub const LATENCY_BOUNDS_US: [u32; 22] = [
    5,
    10,
    20,
    30,
    50,
    75,
    100,
    150,
    250,
    500,
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    1_000_000,
    5_000_000,
    30_000_000,
    120_000_000,
];

/// One reading of all counters. Counters rise from the start of the process; gauges are of this moment.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
pub struct Stats {
    /// Version of the snapshot last accepted.
    pub snapshot_version: u64,
    /// False once draining has begun.
    pub ready: bool,
    /// One entry per worker.
    pub workers: Vec<WorkerStats>,
    /// One entry per target that has been in any snapshot since the start.
    pub targets: Vec<TargetStats>,
    /// Finished requests by route and status class.
    pub routes: Vec<RouteStats>,
    /// Requests that ended in an error, by the code of their `ErrorKind`.
    pub errors: Vec<ErrorStats>,
    /// The gateway's own time per request.
    pub gateway: Histogram,
    /// Upstream connections by provider.
    pub pools: Vec<PoolStats>,
}

/// One worker thread.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
pub struct WorkerStats {
    /// Index, from 0.
    pub worker: u32,
    /// Version of the snapshot new requests on this worker begin with.
    pub snapshot_version: u64,
    /// Client connections open.
    pub connections: u64,
    /// Client connections accepted since the start.
    pub connections_total: u64,
    /// Requests being served, streams included.
    pub active_requests: u64,
    /// Streams being served.
    pub active_streams: u64,
    /// Usage records lost because the ring was full: the journal could not take them in time. Their tokens are still in the
    /// counters.
    pub ring_dropped: u64,
    /// Usage records waiting.
    pub ring_used: u64,
}

/// One target: a model at a provider.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
pub struct TargetStats {
    /// `Target::id`
    pub target_id: u32,
    /// `Provider::id`
    pub provider_id: u32,
    /// `Model::id`
    pub model_id: u32,
    /// Attempts, by what came of them.
    pub attempts: AttemptStats,
    /// Tokens by kind.
    pub tokens: TokenStats,
    /// From the request sent upstream to the first byte of its answer.
    pub first_byte: Histogram,
    /// From the request sent upstream to the last byte of its answer.
    pub upstream: Histogram,
}

/// Upstream attempts by outcome.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema)]
pub struct AttemptStats {
    /// Answered with a status below 400 and whole.
    pub ok: u64,
    /// Answered 429.
    pub rate_limited: u64,
    /// Answered another 4xx.
    pub client_error: u64,
    /// Answered 5xx, or something that is not the API.
    pub server_error: u64,
    /// Not reached, or reset before an answer.
    pub unreachable: u64,
    /// Ran into a time limit.
    pub timeout: u64,
    /// Broke off in the middle of an answer.
    pub truncated: u64,
    /// Given up because the client went away.
    pub client_gone: u64,
}

/// Tokens by kind, as in [`crate::Usage`].
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema)]
pub struct TokenStats {
    /// Prompt tokens, cached ones included.
    pub input: u64,
    /// Prompt tokens read from the provider's cache.
    pub cached_input: u64,
    /// Prompt tokens written to the provider's cache.
    pub cache_write: u64,
    /// Generated tokens, reasoning included.
    pub output: u64,
    /// Generated tokens spent on reasoning.
    pub reasoning: u64,
    /// Prompt tokens written to the provider's cache for an hour, a part of `cache_write`.
    pub cache_write_1h: u64,
    /// Prompt tokens of sound.
    pub audio_input: u64,
    /// Prompt tokens of images.
    pub image_input: u64,
    /// Generated tokens of sound.
    pub audio_output: u64,
    /// Generated tokens of images.
    pub image_output: u64,
}

/// Finished requests of one route.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
pub struct RouteStats {
    /// `Route::label`
    pub route: String,
    /// Requests by status class: index 0 is 2xx, then 3xx, 4xx, 5xx, and last 499 (client gone).
    pub by_class: [u64; 5],
}

/// Errors of one class.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
pub struct ErrorStats {
    /// `ErrorKind::code`
    pub class: String,
    /// How many.
    pub count: u64,
}

/// Counts per bucket of [`LATENCY_BOUNDS_US`] (not cumulative), one more for what lies above, and the sum.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
pub struct Histogram {
    /// One count per bucket, `LATENCY_BOUNDS_US.len() + 1` of them.
    pub counts: Vec<u64>,
    /// Sum of all values, microseconds.
    pub sum_us: u64,
}

/// Upstream connections of one provider, over all workers.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
pub struct PoolStats {
    /// `Provider::id`
    pub provider_id: u32,
    /// Connections waiting for use.
    pub idle: u64,
    /// Connections in use.
    pub active: u64,
    /// Connections made since the start.
    pub connects_total: u64,
    /// Connections that failed to come up since the start.
    pub connect_errors_total: u64,
    /// Requests sent on a connection that had served before.
    pub reuses_total: u64,
}
