use std::collections::BTreeMap;

use serde::Serialize;

use crate::failure::Failures;
use crate::histogram::Histogram;

/// What a run measured. Times are microseconds.
#[derive(Clone, Debug, Serialize)]
pub struct LoadReport {
    /// Measured time, milliseconds; the warm-up is not in it.
    pub duration_ms: u64,
    /// Requests that fell into the measured time and were answered rightly.
    pub requests: u64,
    /// Requests that fell into the measured time and failed.
    pub failed: u64,
    /// Failures by kind.
    pub failures: BTreeMap<&'static str, u64>,
    /// What the first failure looked like.
    pub first_failure: Option<String>,
    /// Right answers within the measured time, per second.
    pub requests_per_second: f64,
    /// All right answers, those of the warm-up and of the last moment included: what CPU time is divided by.
    pub answered: u64,
    /// From the time a request was due to the last byte of its answer.
    pub latency: Summary,
    /// From the time a request was due to the first event of its stream.
    pub first_event: Option<Summary>,
    /// Between two arrivals of events of one stream.
    pub gap: Option<Summary>,
    /// From the provider's stamp in a chunk to its arrival, where chunks are stamped.
    pub transit: Option<Summary>,
    /// Bytes received.
    pub bytes_received: u64,
    /// Connections made.
    pub connects: u64,
    /// Most requests under way at once.
    pub peak_in_flight: u64,
    /// Most requests that waited for a connection at once.
    pub peak_backlog: u64,
    /// The comparison of a paired run.
    pub paired: Option<PairedReport>,
}

/// What a paired run measured besides; the report's own figures are those of `url`.
#[derive(Clone, Debug, Serialize)]
pub struct PairedReport {
    /// Latency of the other URL.
    pub direct: Summary,
    /// Requests answered rightly by the other URL.
    pub direct_requests: u64,
    /// Turns taken by each.
    pub slices: u64,
    /// Difference of the medians.
    pub added_p50_us: f64,
    /// Difference of the 99th percentiles.
    pub added_p99_us: f64,
    /// Median over the turns of the difference of their medians: robust against a disturbance of a few turns.
    pub added_p50_by_slice_us: f64,
}

/// The shape of a distribution of times, microseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Summary {
    /// How many times there are.
    pub count: u64,
    /// Smallest.
    pub min_us: f64,
    /// Mean.
    pub mean_us: f64,
    /// Median.
    pub p50_us: f64,
    /// 90th percentile.
    pub p90_us: f64,
    /// 99th percentile.
    pub p99_us: f64,
    /// 99.9th percentile.
    pub p999_us: f64,
    /// Largest.
    pub max_us: f64,
}

impl Summary {
    /// Sums up a histogram.
    #[must_use]
    pub fn of(histogram: &Histogram) -> Self {
        Self {
            count: histogram.count(),
            min_us: microseconds(histogram.min()),
            mean_us: microseconds(histogram.mean()),
            p50_us: microseconds(histogram.quantile(0.5)),
            p90_us: microseconds(histogram.quantile(0.9)),
            p99_us: microseconds(histogram.quantile(0.99)),
            p999_us: microseconds(histogram.quantile(0.999)),
            max_us: microseconds(histogram.max()),
        }
    }
}

/// Nanoseconds as microseconds.
#[expect(clippy::cast_precision_loss, reason = "times are far below 2^53 nanoseconds")]
pub(crate) fn microseconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1000.0
}

/// What one thread has measured.
#[derive(Debug, Default)]
pub(crate) struct Record {
    pub(crate) failures: Failures,
    pub(crate) answered: u64,
    /// Right answers that were whole within the measured time, whenever they were asked for.
    pub(crate) in_window: u64,
    pub(crate) latency: Histogram,
    pub(crate) first_event: Histogram,
    pub(crate) gap: Histogram,
    pub(crate) transit: Histogram,
    pub(crate) bytes_received: u64,
    pub(crate) connects: u64,
    pub(crate) peak_in_flight: u64,
    pub(crate) peak_backlog: u64,
}

impl Record {
    pub(crate) fn merge(&mut self, other: Self) {
        self.failures.merge(other.failures);
        self.answered += other.answered;
        self.in_window += other.in_window;
        self.latency.merge(&other.latency);
        self.first_event.merge(&other.first_event);
        self.gap.merge(&other.gap);
        self.transit.merge(&other.transit);
        self.bytes_received += other.bytes_received;
        self.connects += other.connects;
        self.peak_in_flight += other.peak_in_flight;
        self.peak_backlog += other.peak_backlog;
    }

    pub(crate) fn report(self, duration_ms: u64) -> LoadReport {
        let some = |histogram: &Histogram| (histogram.count() > 0).then(|| Summary::of(histogram));
        LoadReport {
            duration_ms,
            requests: self.latency.count(),
            failed: self.failures.total(),
            failures: self.failures.by_name(),
            requests_per_second: per_second(self.in_window, duration_ms),
            answered: self.answered,
            latency: Summary::of(&self.latency),
            first_event: some(&self.first_event),
            gap: some(&self.gap),
            transit: some(&self.transit),
            bytes_received: self.bytes_received,
            connects: self.connects,
            peak_in_flight: self.peak_in_flight,
            peak_backlog: self.peak_backlog,
            paired: None,
            first_failure: self.failures.first,
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts and durations are far below 2^53")]
fn per_second(count: u64, duration_ms: u64) -> f64 {
    count as f64 * 1000.0 / duration_ms.max(1) as f64
}
