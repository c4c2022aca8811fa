//! A token bucket in two words.
//!
//! The bucket is kept as the instant at which it will be full again (the generic cell rate algorithm), not as a level:
//! refilling then costs nothing, and taking is one compare-and-swap on one word. A level and a time of refill in two
//! words would be simpler to read, but a thread that is descheduled between them can hand out a refill twice.
//!
//! Instants are counted in sixteenths of a nanosecond and rounded against the taker, so that rounding is far below one
//! token: at a million tokens per minute a token is worth 960,000 of them.

use std::sync::atomic::{AtomicU64, Ordering};

/// Period of a bucket unless it is given another: one minute, in nanoseconds.
pub const PERIOD_NS: u64 = 60_000_000_000;

/// A bucket in debt is full again after this long at the latest, however much was charged to it. Without a bound one
/// wrong usage report could lock a key out for years.
const MAX_DEBT_NS: u64 = 3_600_000_000_000;

/// Internal units per nanosecond. Sixteen leaves 36 years until the clock wraps, and wrapping is harmless.
const UNITS_PER_NS: u64 = 16;

/// The longest period, 366 days: what is ahead of the clock stays far below half of what a word holds.
pub(crate) const MAX_PERIOD_NS: u64 = 366 * 86_400 * 1_000_000_000;

/// A bucket that nothing was ever taken from.
const UNTOUCHED: u64 = 0;

/// A bucket that holds what its limit grants in one period and refills evenly. The limit is an argument of every call.
///
/// Guarantee: over any span of time the tokens taken, less those given back, are at most the limit plus what refills
/// in that span (to within a sixteenth of one token). Under a clock that stands still they are at most the limit.
#[derive(Debug)]
pub struct TokenBucket {
    /// Time in which an empty bucket is full again, in units.
    period: u64,
    /// When the bucket is full, in wrapping units; [`UNTOUCHED`] when it always was.
    full_at: AtomicU64,
    /// When the bucket was last seen full, in nanoseconds. A charge made before it has been paid back by time already.
    seen_full_ns: AtomicU64,
}

/// What [`TokenBucket::try_take`] took; give it to [`TokenBucket::settle`].
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a charge that is not settled stands as it was estimated"]
pub struct Charge {
    pub(crate) tokens: u64,
    pub(crate) units: u64,
    /// `seen_full_ns` at the time of the charge.
    pub(crate) period: u64,
}

impl Charge {
    /// A charge of nothing, to settle what was not reserved.
    pub const NONE: Self = Self { tokens: 0, units: 0, period: 0 };

    /// Tokens that were taken.
    #[must_use]
    pub const fn tokens(&self) -> u64 {
        self.tokens
    }
}

/// Why tokens are not to be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shortage {
    /// They will be there after this many nanoseconds, if nobody else takes them.
    RetryAfter(u64),
    /// More than the whole bucket was asked for: waiting does not help.
    NeverFits,
}

/// How full a bucket was; the numbers of `x-ratelimit-*` headers, computed only when asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    limit: u64,
    period: u64,
    ahead: u64,
}

impl Level {
    /// The limit it was measured against, in tokens per period.
    #[must_use]
    pub const fn limit(&self) -> u64 {
        self.limit
    }

    /// Tokens that could be taken at once.
    #[must_use]
    pub fn remaining(&self) -> u64 {
        let room = Rate::of(self.limit, self.period).capacity().saturating_sub(self.ahead);
        let tokens = u128::from(room) * u128::from(self.limit) / u128::from(self.period);
        u64::try_from(tokens).unwrap_or(u64::MAX).min(self.limit)
    }

    /// Nanoseconds until the bucket is full, if nobody takes from it.
    #[must_use]
    pub const fn reset_ns(&self) -> u64 {
        self.ahead.div_ceil(UNITS_PER_NS)
    }
}

/// A limit in units of time.
#[derive(Clone, Copy)]
struct Rate {
    limit: u64,
    period: u64,
    /// What one token costs, rounded up.
    token: u64,
}

impl Rate {
    #[inline]
    fn of(limit: u64, period: u64) -> Self {
        Self { limit, period, token: period.div_ceil(limit.max(1)) }
    }

    /// What `n` tokens cost, rounded up; `n` is at most the limit.
    #[inline]
    fn cost(self, n: u64) -> u64 {
        if n == 1 { self.token } else { proportion(n, self.limit, self.period) }
    }

    /// How far ahead of the clock a bucket may be. It is the period and the little by which rounding up makes a whole
    /// bucket of single tokens dearer than that, so that a limit of 7 lets 7 through; never enough for a token more.
    #[inline]
    fn capacity(self) -> u64 {
        let excess = self.token.saturating_mul(self.limit).saturating_sub(self.period);
        self.period + excess.min(self.token / 16)
    }
}

/// `n` parts of `limit` of a period, rounded up.
#[inline]
fn proportion(n: u64, limit: u64, period: u64) -> u64 {
    let limit = limit.max(1);
    match n.checked_mul(period) {
        Some(product) => product.div_ceil(limit),
        None => {
            let units = (u128::from(n) * u128::from(period)).div_ceil(u128::from(limit));
            u64::try_from(units).unwrap_or(u64::MAX)
        }
    }
}

impl TokenBucket {
    /// A full bucket whose limits are per minute.
    #[must_use]
    pub const fn new() -> Self {
        Self::with_period(PERIOD_NS)
    }

    /// A full bucket whose limits are per `period_ns`, which is taken to be from 1 microsecond to 366 days.
    #[must_use]
    pub(crate) const fn with_period(period_ns: u64) -> Self {
        let period_ns = if period_ns < 1_000 { 1_000 } else { period_ns };
        let period_ns = if period_ns > MAX_PERIOD_NS { MAX_PERIOD_NS } else { period_ns };
        Self {
            period: period_ns * UNITS_PER_NS,
            full_at: AtomicU64::new(UNTOUCHED),
            seen_full_ns: AtomicU64::new(0),
        }
    }

    /// Takes `n` tokens or none. A limit of 0 lets nothing through; 0 tokens are always to be had.
    ///
    /// # Errors
    /// [`Shortage`], with how long to wait.
    #[inline]
    pub fn try_take(&self, n: u64, limit: u64, now_ns: u64) -> Result<Charge, Shortage> {
        if n == 0 {
            return Ok(Charge::NONE);
        }
        if n > limit {
            return Err(Shortage::NeverFits);
        }
        let rate = Rate::of(limit, self.period);
        let units = rate.cost(n);
        let room = rate.capacity();
        let now = now_ns.wrapping_mul(UNITS_PER_NS);
        let mut full_at = self.full_at.load(Ordering::Acquire);
        loop {
            let ahead = self.ahead(full_at, now);
            if ahead + units > room {
                return Err(Shortage::RetryAfter((ahead + units - room).div_ceil(UNITS_PER_NS)));
            }
            if ahead == 0 {
                self.seen_full_ns.fetch_max(now_ns, Ordering::AcqRel);
            }
            match self.swap(full_at, now, ahead + units) {
                Ok(()) => {
                    return Ok(Charge {
                        tokens: n,
                        units,
                        period: self.seen_full_ns.load(Ordering::Acquire),
                    });
                }
                Err(current) => full_at = current,
            }
        }
    }

    /// Replaces an estimate by what was really used: gives back the rest or charges what is missing, even into debt.
    /// What a later period has paid back already is not given back a second time.
    #[inline]
    pub fn settle(&self, charge: Charge, actual: u64, limit: u64, now_ns: u64) {
        if actual > charge.tokens {
            self.charge(proportion(actual - charge.tokens, limit, self.period), now_ns);
        } else if actual < charge.tokens {
            let kept = proportion_of(charge.units, actual, charge.tokens);
            self.give_back(charge.units - kept, charge.period);
        }
    }

    #[inline]
    fn charge(&self, units: u64, now_ns: u64) {
        let now = now_ns.wrapping_mul(UNITS_PER_NS);
        let mut full_at = self.full_at.load(Ordering::Acquire);
        loop {
            let ahead = self.ahead(full_at, now);
            if ahead == 0 {
                self.seen_full_ns.fetch_max(now_ns, Ordering::AcqRel);
            }
            match self.swap(full_at, now, ahead.saturating_add(units).min(self.max_ahead())) {
                Ok(()) => return,
                Err(current) => full_at = current,
            }
        }
    }

    #[inline]
    fn give_back(&self, units: u64, period: u64) {
        let mut full_at = self.full_at.load(Ordering::Acquire);
        while self.seen_full_ns.load(Ordering::Acquire) == period {
            match self.swap(full_at, full_at, 0u64.wrapping_sub(units)) {
                Ok(()) => return,
                Err(current) => full_at = current,
            }
        }
    }

    /// Moves the instant from `from` to `base + ahead`, which is never [`UNTOUCHED`].
    #[inline]
    fn swap(&self, from: u64, base: u64, ahead: u64) -> Result<(), u64> {
        let to = base.wrapping_add(ahead);
        let to = if to == UNTOUCHED { UNTOUCHED.wrapping_sub(1) } else { to };
        self.full_at.compare_exchange_weak(from, to, Ordering::AcqRel, Ordering::Acquire).map(drop)
    }

    /// How full the bucket is.
    #[must_use]
    pub fn level(&self, limit: u64, now_ns: u64) -> Level {
        let full_at = self.full_at.load(Ordering::Acquire);
        let ahead = self.ahead(full_at, now_ns.wrapping_mul(UNITS_PER_NS));
        Level { limit, period: self.period, ahead }
    }

    /// Takes `n` tokens that may not be there, into debt: for limits that only report.
    pub(crate) fn take_anyway(&self, n: u64, limit: u64, now_ns: u64) -> Charge {
        let units = proportion(n, limit, self.period).min(self.max_ahead());
        self.charge(units, now_ns);
        Charge { tokens: n, units, period: self.seen_full_ns.load(Ordering::Acquire) }
    }

    /// Takes `n` tokens as if that had happened `ago_ns` before now.
    pub(crate) fn preload(&self, n: u64, limit: u64, ago_ns: u64, now_ns: u64) {
        let units = proportion(n, limit, self.period);
        self.charge(units.saturating_sub(ago_ns.saturating_mul(UNITS_PER_NS)), now_ns);
    }

    const fn max_ahead(&self) -> u64 {
        self.period + MAX_DEBT_NS * UNITS_PER_NS
    }

    /// How far `full_at` lies ahead of `now`; 0 when it has passed. The difference is taken modulo 2^64, so the clock may
    /// wrap. What lies further ahead than any debt, and than another thread's reading of the clock could explain, comes
    /// from a clock that was set back: it counts as passed, so that no jump can lock a key out.
    #[inline]
    fn ahead(&self, full_at: u64, now: u64) -> u64 {
        let distance = full_at.wrapping_sub(now);
        if full_at == UNTOUCHED || distance > self.max_ahead() + self.period {
            0
        } else {
            distance.min(self.max_ahead())
        }
    }
}

impl Default for TokenBucket {
    fn default() -> Self {
        Self::new()
    }
}

/// `part` of `whole` of `units`, rounded up: what stays charged when only a part was used.
fn proportion_of(units: u64, part: u64, whole: u64) -> u64 {
    if part == 0 {
        return 0;
    }
    let kept = (u128::from(units) * u128::from(part)).div_ceil(u128::from(whole));
    u64::try_from(kept).unwrap_or(units)
}
