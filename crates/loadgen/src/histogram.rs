/// Buckets per doubling, as a power of two: a value is known to within 1/128 of itself.
const PRECISION_BITS: u32 = 7;
/// Values of the first, linear range.
const LINEAR: u64 = 1 << PRECISION_BITS;
/// Largest value told apart, nanoseconds (about 73 minutes); greater ones count as this.
const MAX_VALUE: u64 = (1 << 42) - 1;

/// Counts of durations in nanoseconds: linear at first, then every doubling in 128 equal buckets. It has a fixed size
/// of 36 KB, so a run of any length fits, and two of them merge without loss.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram {
    counts: Vec<u64>,
    count: u64,
    sum: u128,
    least: u64,
    greatest: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; index(MAX_VALUE) + 1], count: 0, sum: 0, least: u64::MAX, greatest: 0 }
    }
}

impl Histogram {
    /// Adds one value.
    pub fn record(&mut self, nanoseconds: u64) {
        let value = nanoseconds.min(MAX_VALUE);
        self.counts[index(value)] += 1;
        self.count += 1;
        self.sum += u128::from(value);
        self.least = self.least.min(value);
        self.greatest = self.greatest.max(value);
    }

    /// Adds all values of another histogram.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
        self.count += other.count;
        self.sum += other.sum;
        self.least = self.least.min(other.least);
        self.greatest = self.greatest.max(other.greatest);
    }

    /// How many values there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The smallest value; 0 when there is none.
    #[must_use]
    pub fn min(&self) -> u64 {
        if self.count == 0 { 0 } else { self.least }
    }

    /// The largest value; 0 when there is none.
    #[must_use]
    pub fn max(&self) -> u64 {
        self.greatest
    }

    /// The mean; 0 when there is no value.
    #[must_use]
    pub fn mean(&self) -> u64 {
        let mean = self.sum.checked_div(u128::from(self.count)).unwrap_or(0);
        u64::try_from(mean).expect("a mean is no greater than the greatest value")
    }

    /// The smallest value that `share` (0 to 1) of all values do not exceed, to within 1/128 of itself; 0 when there
    /// is none.
    #[must_use]
    pub fn quantile(&self, share: f64) -> u64 {
        let wanted = rank(self.count, share);
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted && *count > 0 {
                return upper_bound(index).clamp(self.min(), self.greatest);
            }
        }
        self.greatest
    }
}

/// The place, from 1, of the value that `share` of `count` values do not exceed.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::cast_possible_truncation,
    reason = "a count of values is far below 2^53"
)]
fn rank(count: u64, share: f64) -> u64 {
    ((count as f64 * share.clamp(0.0, 1.0)).ceil() as u64).max(1)
}

fn index(value: u64) -> usize {
    let index = if value < LINEAR {
        value
    } else {
        let doubling = u64::from(value.ilog2() - PRECISION_BITS);
        LINEAR * (doubling + 1) + (value >> doubling) - LINEAR
    };
    usize::try_from(index).expect("at most a few thousand buckets")
}

/// The largest value of a bucket.
fn upper_bound(index: usize) -> u64 {
    let index = index as u64;
    if index < LINEAR {
        return index;
    }
    let doubling = index / LINEAR - 1;
    ((index % LINEAR + LINEAR + 1) << doubling) - 1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(values: &[u64]) -> Histogram {
        let mut histogram = Histogram::default();
        values.iter().for_each(|value| histogram.record(*value));
        histogram
    }

    fn values() -> impl Strategy<Value = Vec<u64>> {
        prop::collection::vec(prop_oneof![0..300u64, 0..1_000_000u64, 0..=MAX_VALUE], 1..200)
    }

    proptest! {
        #[test]
        fn a_bucket_holds_the_value_and_is_narrow(value in 0..=MAX_VALUE) {
            let bound = upper_bound(index(value));
            prop_assert!(bound >= value);
            prop_assert!(bound - value <= value / LINEAR);
            prop_assert!(index(value) == 0 || upper_bound(index(value) - 1) < value);
        }

        #[test]
        fn quantiles_are_those_of_the_sorted_values(values in values(), share in 0.0..=1.0f64) {
            let mut sorted = values.clone();
            sorted.sort_unstable();
            let place = usize::try_from(rank(values.len() as u64, share)).unwrap();
            let exact = sorted[place - 1];
            let told = of(&values).quantile(share);
            prop_assert!(told >= exact && told - exact <= exact / LINEAR, "{told} for {exact}");
        }

        #[test]
        fn merging_is_recording_both(left in values(), right in values()) {
            let mut merged = of(&left);
            merged.merge(&of(&right));
            prop_assert_eq!(merged, of(&[left, right].concat()));
        }

        #[test]
        fn the_ends_and_the_mean_are_exact(values in values()) {
            let histogram = of(&values);
            prop_assert_eq!(histogram.min(), *values.iter().min().unwrap());
            prop_assert_eq!(histogram.max(), *values.iter().max().unwrap());
            let sum: u128 = values.iter().map(|value| u128::from(*value)).sum();
            prop_assert_eq!(u128::from(histogram.mean()), sum / values.len() as u128);
        }
    }

    #[test]
    fn an_empty_histogram_is_all_zero() {
        let empty = Histogram::default();
        assert_eq!(
            (empty.count(), empty.min(), empty.max(), empty.mean(), empty.quantile(0.5)),
            (0, 0, 0, 0, 0)
        );
    }

    #[test]
    fn values_beyond_the_range_count_as_the_greatest() {
        assert_eq!(of(&[u64::MAX]).max(), MAX_VALUE);
    }
}
