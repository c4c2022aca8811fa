//! Counters of one worker, written by its thread alone and read by anyone.
//!
//! A count is a relaxed load and store, not a locked addition: there is one writer, so nothing is lost, and no cache
//! line is fought over. Readers sum over the workers.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use sluice_types::{
    AttemptStats, ErrorKind, ErrorStats, Histogram, LATENCY_BOUNDS_US, PoolStats, Route, RouteStats, Stats,
    TargetStats, TokenStats, Usage, WorkerStats,
};

/// A number with one writer.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, more: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(more), Relaxed);
    }

    pub(crate) fn sub(&self, less: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_sub(less), Relaxed);
    }

    pub(crate) fn set(&self, value: u64) {
        self.0.store(value, Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

const BUCKETS: usize = LATENCY_BOUNDS_US.len() + 1;

/// Latencies in the fixed buckets.
#[derive(Debug, Default)]
pub(crate) struct Latency {
    counts: [Counter; BUCKETS],
    sum_us: Counter,
}

impl Latency {
    pub(crate) fn observe(&self, us: u64) {
        let bucket = LATENCY_BOUNDS_US.partition_point(|bound| u64::from(*bound) < us);
        self.counts[bucket].add(1);
        self.sum_us.add(us);
    }

    fn add_to(&self, sum: &mut Histogram) {
        sum.counts.resize(BUCKETS, 0);
        for (total, count) in sum.counts.iter_mut().zip(&self.counts) {
            *total += count.get();
        }
        sum.sum_us += self.sum_us.get();
    }
}

/// What came of an upstream attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AttemptOutcome {
    Ok,
    RateLimited,
    ClientError,
    ServerError,
    Unreachable,
    Timeout,
    Truncated,
    ClientGone,
}

const OUTCOMES: usize = 8;

/// Counters of one target.
#[derive(Debug, Default)]
pub(crate) struct TargetCells {
    ids: TargetIds,
    attempts: [Counter; OUTCOMES],
    tokens: [Counter; 10],
    pub(crate) first_byte: Latency,
    pub(crate) upstream: Latency,
}

/// Which target, provider and model a row of counters belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct TargetIds {
    pub(crate) target: u32,
    pub(crate) provider: u32,
    pub(crate) model: u32,
}

impl TargetCells {
    pub(crate) fn count_attempt(&self, outcome: AttemptOutcome) {
        self.attempts[outcome as usize].add(1);
    }

    fn is_used(&self) -> bool {
        self.attempts.iter().any(|counter| counter.get() > 0)
    }

    pub(crate) fn count_tokens(&self, usage: &Usage) {
        let by_kind = [
            usage.input,
            usage.cached_input,
            usage.cache_write,
            usage.output,
            usage.reasoning,
            usage.cache_write_1h,
            usage.audio_input,
            usage.image_input,
            usage.audio_output,
            usage.image_output,
        ];
        for (counter, tokens) in self.tokens.iter().zip(by_kind).filter(|(_, tokens)| *tokens != 0) {
            counter.add(u64::from(tokens));
        }
    }

    fn add_to(&self, sum: &mut TargetStats) {
        let [ok, rate_limited, client_error, server_error, unreachable, timeout, truncated, client_gone] =
            std::array::from_fn(|at| self.attempts[at].get());
        let attempts = &mut sum.attempts;
        attempts.ok += ok;
        attempts.rate_limited += rate_limited;
        attempts.client_error += client_error;
        attempts.server_error += server_error;
        attempts.unreachable += unreachable;
        attempts.timeout += timeout;
        attempts.truncated += truncated;
        attempts.client_gone += client_gone;
        self.add_tokens_to(&mut sum.tokens);
        self.first_byte.add_to(&mut sum.first_byte);
        self.upstream.add_to(&mut sum.upstream);
    }

    /// In the order of [`Self::count_tokens`].
    fn add_tokens_to(&self, sum: &mut TokenStats) {
        let kinds = [
            &mut sum.input,
            &mut sum.cached_input,
            &mut sum.cache_write,
            &mut sum.output,
            &mut sum.reasoning,
            &mut sum.cache_write_1h,
            &mut sum.audio_input,
            &mut sum.image_input,
            &mut sum.audio_output,
            &mut sum.image_output,
        ];
        for (sum, counter) in kinds.into_iter().zip(&self.tokens) {
            *sum += counter.get();
        }
    }
}

/// Counters of one provider's connections.
#[derive(Debug, Default)]
pub(crate) struct PoolCells {
    pub(crate) idle: Counter,
    pub(crate) active: Counter,
    pub(crate) connects: Counter,
    pub(crate) connect_errors: Counter,
    pub(crate) reuses: Counter,
}

/// Status classes of finished requests: 2xx, 3xx, 4xx, 5xx, and 499 on its own.
const CLASSES: usize = 5;

/// Finished requests by route and class.
#[derive(Debug)]
struct Routes([[Counter; CLASSES]; Route::ALL.len()]);

impl Default for Routes {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Default::default()))
    }
}

/// Finished requests that failed, by kind.
#[derive(Debug)]
struct Errors([Counter; ErrorKind::ALL.len()]);

impl Default for Errors {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Counter::default()))
    }
}

/// All counters of one worker.
#[derive(Debug, Default)]
pub(crate) struct WorkerCells {
    pub(crate) snapshot_version: Counter,
    pub(crate) connections_total: Counter,
    pub(crate) active_requests: Counter,
    pub(crate) active_streams: Counter,
    pub(crate) ring_dropped: Counter,
    pub(crate) gateway: Latency,
    routes: Routes,
    errors: Errors,
    /// Rows by id. Locked when a plan is adopted and when counters are read, never by a request.
    targets: Mutex<HashMap<TargetIds, Arc<TargetCells>>>,
    pools: Mutex<HashMap<u32, Arc<PoolCells>>>,
}

impl WorkerCells {
    pub(crate) fn count_request(&self, route: Route, status: u16) {
        let class = if status == ErrorKind::ClientGone.status() {
            4
        } else {
            usize::from(status / 100).clamp(2, 5) - 2
        };
        self.routes.0[route as usize - 1][class].add(1);
    }

    pub(crate) fn count_error(&self, kind: ErrorKind) {
        self.errors.0[kind as usize - 1].add(1);
    }

    pub(crate) fn target(&self, ids: TargetIds) -> Arc<TargetCells> {
        let mut targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(
            targets.entry(ids).or_insert_with(|| Arc::new(TargetCells { ids, ..TargetCells::default() })),
        )
    }

    pub(crate) fn pool(&self, provider: u32) -> Arc<PoolCells> {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(pools.entry(provider).or_default())
    }
}

/// What the shared side of the data plane knows of a worker besides its counters.
pub(crate) struct WorkerReading<'w> {
    pub(crate) cells: &'w WorkerCells,
    pub(crate) connections: u64,
    pub(crate) ring_used: u64,
}

/// Sums the counters of all workers.
pub(crate) fn collect(snapshot_version: u64, ready: bool, readings: &[WorkerReading<'_>]) -> Stats {
    let mut stats = Stats { snapshot_version, ready, ..Stats::default() };
    let mut targets: HashMap<TargetIds, TargetStats> = HashMap::new();
    let mut pools: HashMap<u32, PoolStats> = HashMap::new();
    stats.routes =
        Route::ALL.iter().map(|of| RouteStats { route: of.label().into(), by_class: [0; CLASSES] }).collect();
    stats.errors = ErrorKind::ALL.iter().map(|of| ErrorStats { class: of.code().into(), count: 0 }).collect();
    for (worker, reading) in (0..).zip(readings) {
        stats.workers.push(worker_stats(worker, reading));
        add_worker(reading.cells, &mut stats, &mut targets, &mut pools);
    }
    merge_same_class(&mut stats.errors);
    stats.targets = targets.into_values().collect();
    stats.targets.sort_by_key(|row| row.target_id);
    stats.pools = pools.into_values().collect();
    stats.pools.sort_by_key(|row| row.provider_id);
    stats
}

fn worker_stats(worker: u32, reading: &WorkerReading<'_>) -> WorkerStats {
    let cells = reading.cells;
    WorkerStats {
        worker,
        snapshot_version: cells.snapshot_version.get(),
        connections: reading.connections,
        connections_total: cells.connections_total.get(),
        active_requests: cells.active_requests.get(),
        active_streams: cells.active_streams.get(),
        ring_dropped: cells.ring_dropped.get(),
        ring_used: reading.ring_used,
    }
}

fn add_worker(
    cells: &WorkerCells,
    stats: &mut Stats,
    targets: &mut HashMap<TargetIds, TargetStats>,
    pools: &mut HashMap<u32, PoolStats>,
) {
    cells.gateway.add_to(&mut stats.gateway);
    for (row, counters) in stats.routes.iter_mut().zip(&cells.routes.0) {
        for (total, counter) in row.by_class.iter_mut().zip(counters) {
            *total += counter.get();
        }
    }
    for (row, counter) in stats.errors.iter_mut().zip(&cells.errors.0) {
        row.count += counter.get();
    }
    let rows = cells.targets.lock().unwrap_or_else(PoisonError::into_inner);
    // Each provider has a row for calls that name no model, and most providers never get any.
    for (ids, row) in rows.iter().filter(|(ids, row)| ids.target != 0 || row.is_used()) {
        let sum = targets.entry(*ids).or_insert_with(|| new_target_stats(row.ids));
        row.add_to(sum);
    }
    for (provider_id, row) in cells.pools.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        let sum = pools.entry(*provider_id).or_default();
        sum.provider_id = *provider_id;
        sum.idle += row.idle.get();
        sum.active += row.active.get();
        sum.connects_total += row.connects.get();
        sum.connect_errors_total += row.connect_errors.get();
        sum.reuses_total += row.reuses.get();
    }
}

fn new_target_stats(ids: TargetIds) -> TargetStats {
    TargetStats {
        target_id: ids.target,
        provider_id: ids.provider,
        model_id: ids.model,
        attempts: AttemptStats::default(),
        tokens: TokenStats::default(),
        first_byte: Histogram::default(),
        upstream: Histogram::default(),
    }
}

/// Two kinds may share a code (both rate limits are `rate_limit_exceeded`); a metric may not name one twice.
fn merge_same_class(errors: &mut Vec<ErrorStats>) {
    let mut merged: Vec<ErrorStats> = Vec::with_capacity(errors.len());
    for row in errors.drain(..) {
        match merged.iter_mut().find(|seen| seen.class == row.class) {
            Some(seen) => seen.count += row.count,
            None => merged.push(row),
        }
    }
    *errors = merged;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_hold_what_is_at_most_their_bound() {
        let latency = Latency::default();
        for us in [0, 5, 6, 120_000_000, 120_000_001] {
            latency.observe(us);
        }
        let mut sum = Histogram::default();
        latency.add_to(&mut sum);
        assert_eq!((sum.counts[0], sum.counts[1]), (2, 1));
        assert_eq!((sum.counts[BUCKETS - 2], sum.counts[BUCKETS - 1]), (1, 1));
        assert_eq!(sum.sum_us, 240_000_012);
    }

    #[test]
    fn workers_are_summed() {
        let (one, two) = (WorkerCells::default(), WorkerCells::default());
        let ids = TargetIds { target: 3, provider: 2, model: 1 };
        for cells in [&one, &two] {
            cells.count_request(Route::Chat, 200);
            cells.count_request(Route::Chat, 499);
            cells.count_error(ErrorKind::RequestRateLimited);
            cells.count_error(ErrorKind::TokenRateLimited);
            cells.target(ids).count_attempt(AttemptOutcome::Ok);
            cells.target(ids).count_tokens(&Usage { input: 10, output: 5, ..Usage::default() });
        }
        let reading = |cells| WorkerReading { cells, connections: 1, ring_used: 0 };
        let stats = collect(9, true, &[reading(&one), reading(&two)]);
        assert_eq!(stats.routes[0].by_class, [2, 0, 0, 0, 2]);
        assert_eq!(stats.targets.len(), 1);
        assert_eq!((stats.targets[0].attempts.ok, stats.targets[0].tokens.input), (2, 20));
        let limited: Vec<u64> = stats
            .errors
            .iter()
            .filter(|row| row.class == "rate_limit_exceeded")
            .map(|row| row.count)
            .collect();
        assert_eq!(limited, [4]);
    }
}
