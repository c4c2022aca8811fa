//! Meters: what is used of a budget or a rate limit, reserved before and settled after.
//!
//! [`MeterState::reserve`] takes what a request is estimated to use, or refuses; [`MeterState::settle`] replaces the estimate
//! by what was used. Both are a few compare-and-swaps, each of which decides on one word, so that under any interleaving of
//! threads no more is reserved than the limit. What exceeds it is only what a request used beyond its reservation.
//!
//! A reservation belongs to the window it was made in. When it is settled after that window has passed, nothing changes: the
//! present window owes it nothing.
//!
//! Windows and their edges are told by the wall clock (milliseconds since 1970), since they are those of invoices and reports.
//! Rates and sliding windows have no edges and go by the monotonic clock (nanoseconds). What becomes of windows when the wall
//! clock is set: forth, the window it shows is opened. Back, into a window that is still known (the newest two are): that one
//! is used on, as it stands. Back beyond: see [`MeterState::reserve`].

mod calendar;
mod sliding;
mod spec;
mod windows;

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

pub use calendar::CalendarUnit;
pub use spec::{MAX_LIMIT, Measure, MeterSpec, Mode, SpecError, WindowSpec};

use crate::bucket;
use crate::{Charge, TokenBucket};
use calendar::Calendar;
use sliding::Sliding;
use windows::{Layout, Tag, Windows};

const NS_PER_MS: u64 = 1_000_000;

/// Hint of when to try again after a refusal for concurrency, in nanoseconds: when a request will end is not known.
const CONCURRENCY_RETRY_NS: u64 = 1_000_000_000;

/// The counter of one meter, shared by every worker. Amounts are in whatever unit its limit is in and never negative; sums
/// end at 2^63 - 1.
#[derive(Debug)]
#[repr(align(64))]
pub struct MeterState {
    counter: Counter,
    limit: AtomicI64,
    reports_only: AtomicBool,
    /// Reserved and not settled, in whichever window.
    reserved: AtomicI64,
    refused: AtomicU64,
    measure: Measure,
    window: WindowSpec,
}

#[derive(Debug)]
enum Counter {
    Held(AtomicI64),
    Ever(AtomicI64),
    Rate(TokenBucket),
    Windows(Windows),
    Sliding(Box<Sliding>),
}

/// What a request has reserved of one meter. It ends in [`MeterState::settle`], once, which is why it cannot be copied.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a reservation that is not settled stands as it was estimated"]
pub struct Reservation {
    amount: i64,
    place: Place,
}

#[derive(Debug, PartialEq, Eq)]
enum Place {
    Held,
    Ever,
    Rate { units: u64, period: u64 },
    Window(Tag),
    Step(u64),
}

impl Reservation {
    /// What was reserved.
    #[must_use]
    pub const fn amount(&self) -> i64 {
        self.amount
    }
}

/// Why an amount is not to be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shortage {
    /// The limit.
    pub limit: i64,
    /// What is used and reserved of it.
    pub used: i64,
    /// What was asked for.
    pub requested: i64,
    /// When to try again, in nanoseconds from now: exact for rates if nobody else takes it, the end of the window for
    /// windows, the latest moment at which enough has slid out for sliding ones. `None`: waiting does not help, more than the
    /// limit was asked for, or the window never ends.
    pub retry_after_ns: Option<u64>,
    /// When all of it is free again, in milliseconds since 1970; `None` where that is not known (concurrency, ever).
    pub reset_ms: Option<u64>,
}

/// A meter as it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// The limit.
    pub limit: i64,
    /// Used and reserved; it can be more than the limit.
    pub used: i64,
    /// Of that, reserved by requests that are running. Those that began in an earlier window are among them until they are
    /// settled.
    pub reserved: i64,
    /// Reservations that were refused since the counter was made; with [`Mode::Report`], those that would have been.
    pub refused: u64,
    /// Beginning of the window, in milliseconds since 1970; `None` where there is none (rate, ever, concurrency).
    pub window_start_ms: Option<u64>,
    /// When the window ends, or for sliding windows now, likewise.
    pub window_end_ms: Option<u64>,
    /// When all of it is free again if nothing comes, likewise; `None` for concurrency and ever.
    pub reset_ms: Option<u64>,
}

impl Level {
    /// What could be reserved at once.
    #[must_use]
    pub fn remaining(&self) -> i64 {
        self.limit.saturating_sub(self.used).max(0)
    }
}

/// Up to what may be used.
#[derive(Clone, Copy)]
enum Room {
    UpTo(i64),
    Any,
}

/// A word of two halves: what a sum is of, and the sum.
#[inline]
const fn join(what: u64, sum: i64) -> u128 {
    ((what as u128) << 64) | sum.cast_unsigned() as u128
}

#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the low half is meant")]
const fn split(word: u128) -> (u64, i64) {
    ((word >> 64) as u64, (word as u64).cast_signed())
}

/// What is used when `amount` is added, if there is room. Nothing is always to be had: it takes no room, and a request that is
/// free must not fail because others have overdrawn.
#[inline]
fn room(used: i64, amount: i64, limit: Room) -> Option<i64> {
    match limit {
        Room::UpTo(limit) if amount != 0 && amount > limit.saturating_sub(used) => None,
        _ => Some(used.saturating_add(amount)),
    }
}

impl MeterState {
    /// A counter at 0.
    ///
    /// # Errors
    /// [`SpecError`]
    pub fn new(spec: &MeterSpec) -> Result<Self, SpecError> {
        spec.check()?;
        Ok(Self {
            counter: Counter::new(spec)?,
            limit: AtomicI64::new(spec.limit),
            reports_only: AtomicBool::new(spec.mode == Mode::Report),
            reserved: AtomicI64::new(0),
            refused: AtomicU64::new(0),
            measure: spec.measure,
            window: spec.window.clone(),
        })
    }

    /// Takes on another limit or mode and keeps what is counted; a limit that was lowered below what is used refuses until
    /// there is room. Of a rate the used share is kept. `false` when the measure or the window differs, which needs another
    /// counter: nothing is changed then.
    ///
    /// # Errors
    /// [`SpecError`]; nothing is changed.
    pub fn set_spec(&self, spec: &MeterSpec) -> Result<bool, SpecError> {
        spec.check()?;
        let same = self.measure == spec.measure
            && (self.measure == Measure::Concurrency || self.window == spec.window);
        if same {
            self.limit.store(spec.limit, Ordering::Relaxed);
            self.reports_only.store(spec.mode == Mode::Report, Ordering::Relaxed);
        }
        Ok(same)
    }

    /// Takes `amount` (of concurrency: 1), or nothing. An amount of 0 is always to be had.
    ///
    /// `wall_ms` chooses the window. When the wall clock is set back to before both windows that are known, the newest is used
    /// on for at most its own length by the monotonic clock; then the window the wall clock shows is opened anew. So nothing
    /// that was used up is granted again at once, and nobody is locked out for longer than the clock was set back.
    ///
    /// # Errors
    /// [`Shortage`]
    #[inline]
    pub fn reserve(&self, amount: i64, wall_ms: u64, mono_ns: u64) -> Result<Reservation, Shortage> {
        let amount = amount.max(0);
        let limit = self.limit.load(Ordering::Relaxed);
        let place = match self.counter.take(amount, limit, Room::UpTo(limit), wall_ms, mono_ns) {
            Ok(place) => place,
            Err(shortage) => self.refuse(shortage, wall_ms, mono_ns)?,
        };
        self.reserved.fetch_add(amount, Ordering::Relaxed);
        Ok(Reservation { amount, place })
    }

    /// Replaces what was reserved by what was used; 0 gives all of it back. More than was reserved is charged even where that
    /// exceeds the limit. A reservation whose window has passed changes nothing.
    #[inline]
    pub fn settle(&self, reservation: Reservation, actual: i64, mono_ns: u64) {
        let Reservation { amount, place } = reservation;
        let actual = actual.max(0);
        self.reserved.fetch_sub(amount, Ordering::Relaxed);
        match (&self.counter, place) {
            (Counter::Held(held), Place::Held) => {
                held.fetch_sub(amount, Ordering::AcqRel);
            }
            (_, _) if actual == amount => {}
            (Counter::Ever(used), Place::Ever) => add(used, actual - amount),
            (Counter::Windows(windows), Place::Window(tag)) => windows.adjust(tag, actual - amount),
            (Counter::Sliding(sliding), Place::Step(step)) => sliding.adjust(step, actual - amount),
            (Counter::Rate(bucket), Place::Rate { units, period }) => {
                let charge = Charge { tokens: amount.cast_unsigned(), units, period };
                let limit = self.limit.load(Ordering::Relaxed).cast_unsigned();
                bucket.settle(charge, actual.cast_unsigned(), limit, mono_ns);
            }
            _ => debug_assert!(false, "settled with another meter"),
        }
    }

    /// How the meter stands at this time.
    #[must_use]
    pub fn level(&self, wall_ms: u64, mono_ns: u64) -> Level {
        let limit = self.limit.load(Ordering::Relaxed);
        let reserved = self.reserved.load(Ordering::Relaxed).max(0);
        let refused = self.refused.load(Ordering::Relaxed);
        let mut level = Level {
            limit,
            used: 0,
            reserved,
            refused,
            window_start_ms: None,
            window_end_ms: None,
            reset_ms: None,
        };
        self.counter.fill(&mut level, wall_ms, mono_ns);
        level.reserved = reserved.min(level.used);
        level
    }

    /// Counts what was used at `at_ms` before this counter was made. A window that has passed by `wall_ms` stays without effect,
    /// as does concurrency.
    pub fn preload(&self, at_ms: u64, amount: i64, wall_ms: u64, mono_ns: u64) {
        let amount = amount.max(0);
        let ago_ns = wall_ms.saturating_sub(at_ms).saturating_mul(NS_PER_MS);
        match &self.counter {
            Counter::Held(_) => {}
            Counter::Ever(used) => add(used, amount),
            Counter::Sliding(sliding) => sliding.preload(amount, ago_ns, mono_ns),
            Counter::Windows(windows) if at_ms < windows.level(wall_ms).start_ms => {}
            Counter::Windows(windows) => {
                // With any room it is never refused.
                let _any = windows.reserve(amount, Room::Any, at_ms, mono_ns);
            }
            Counter::Rate(bucket) => {
                let limit = self.limit.load(Ordering::Relaxed).cast_unsigned();
                bucket.preload(amount.cast_unsigned(), limit, ago_ns, mono_ns);
            }
        }
    }

    #[cold]
    fn refuse(&self, shortage: Shortage, wall_ms: u64, mono_ns: u64) -> Result<Place, Shortage> {
        self.refused.fetch_add(1, Ordering::Relaxed);
        if !self.reports_only.load(Ordering::Relaxed) {
            return Err(shortage);
        }
        self.counter.take(shortage.requested, shortage.limit, Room::Any, wall_ms, mono_ns)
    }
}

impl Counter {
    fn new(spec: &MeterSpec) -> Result<Self, SpecError> {
        if spec.measure == Measure::Concurrency {
            return Ok(Self::Held(AtomicI64::new(0)));
        }
        Ok(match spec.window {
            WindowSpec::Ever => Self::Ever(AtomicI64::new(0)),
            WindowSpec::Rate { period_ms } => Self::Rate(TokenBucket::with_period(period_ms * NS_PER_MS)),
            WindowSpec::Sliding { period_ms } => Self::Sliding(Box::new(Sliding::new(period_ms * NS_PER_MS))),
            WindowSpec::Fixed { period_ms, anchor_ms } => Self::Windows(Windows::new(Layout::Fixed {
                period_s: period_ms / 1_000,
                anchor_s: anchor_ms / 1_000,
            })),
            WindowSpec::Calendar { unit, ref time_zone } => {
                Self::Windows(Windows::new(Layout::Calendar(Calendar::new(unit, time_zone)?)))
            }
        })
    }

    #[inline]
    fn take(
        &self,
        amount: i64,
        limit: i64,
        room: Room,
        wall_ms: u64,
        mono_ns: u64,
    ) -> Result<Place, Shortage> {
        let fits = |ns: u64| (amount <= limit).then_some(ns);
        let short = |used, retry_after_ns, reset_ms| Shortage {
            limit,
            used,
            requested: amount,
            retry_after_ns,
            reset_ms,
        };
        match self {
            Self::Windows(windows) => match windows.reserve(amount, room, wall_ms, mono_ns) {
                Ok(tag) => Ok(Place::Window(tag)),
                Err(window) => {
                    let wait = window.end_ms.saturating_sub(wall_ms).saturating_mul(NS_PER_MS);
                    Err(short(window.used, fits(wait), Some(window.end_ms)))
                }
            },
            Self::Rate(bucket) => take_rate(bucket, amount, limit, room, mono_ns)
                .map_err(|(used, wait, reset_ns)| short(used, wait, Some(after(wall_ms, reset_ns)))),
            Self::Sliding(sliding) => match sliding.reserve(amount, room, mono_ns) {
                Ok(step) => Ok(Place::Step(step)),
                Err(now) => Err(short(now.used, fits(now.room_ns), Some(after(wall_ms, now.empty_ns)))),
            },
            Self::Ever(used) => match grow(used, amount, room) {
                Ok(()) => Ok(Place::Ever),
                Err(used) => Err(short(used, None, None)),
            },
            Self::Held(held) => match grow(held, amount, room) {
                Ok(()) => Ok(Place::Held),
                Err(used) => Err(short(used, fits(CONCURRENCY_RETRY_NS), None)),
            },
        }
    }

    fn fill(&self, level: &mut Level, wall_ms: u64, mono_ns: u64) {
        match self {
            Self::Held(used) | Self::Ever(used) => level.used = used.load(Ordering::Acquire).max(0),
            Self::Rate(bucket) => {
                let now = bucket.level(level.limit.cast_unsigned(), mono_ns);
                level.used = level.limit - now.remaining().cast_signed();
                level.reset_ms = Some(after(wall_ms, now.reset_ns()));
            }
            Self::Windows(windows) => {
                let now = windows.level(wall_ms);
                level.used = now.used;
                level.window_start_ms = Some(now.start_ms);
                level.window_end_ms = Some(now.end_ms);
                level.reset_ms = level.window_end_ms;
            }
            Self::Sliding(sliding) => {
                let now = sliding.level(mono_ns);
                level.used = now.used;
                level.window_start_ms = Some(wall_ms.saturating_sub(sliding.length_ns() / NS_PER_MS));
                level.window_end_ms = Some(wall_ms);
                level.reset_ms = Some(after(wall_ms, now.empty_ns));
            }
        }
    }
}

/// What a rate is short of: what is used, nanoseconds until there is enough, and until all is free.
type RateShortage = (i64, Option<u64>, u64);

#[inline]
fn take_rate(
    bucket: &TokenBucket,
    amount: i64,
    limit: i64,
    room: Room,
    mono_ns: u64,
) -> Result<Place, RateShortage> {
    let (amount, most) = (amount.cast_unsigned(), limit.cast_unsigned());
    let taken = match room {
        Room::UpTo(_) => bucket.try_take(amount, most, mono_ns),
        Room::Any => Ok(bucket.take_anyway(amount, most, mono_ns)),
    };
    match taken {
        Ok(Charge { units, period, .. }) => Ok(Place::Rate { units, period }),
        Err(shortage) => {
            let level = bucket.level(most, mono_ns);
            let wait = match shortage {
                bucket::Shortage::RetryAfter(ns) => Some(ns),
                bucket::Shortage::NeverFits => None,
            };
            Err((limit - level.remaining().cast_signed(), wait, level.reset_ns()))
        }
    }
}

/// A wall clock some nanoseconds on, rounded up.
fn after(wall_ms: u64, ns: u64) -> u64 {
    wall_ms.saturating_add(ns.div_ceil(NS_PER_MS))
}

#[inline]
fn grow(total: &AtomicI64, amount: i64, limit: Room) -> Result<(), i64> {
    total.fetch_update(Ordering::AcqRel, Ordering::Acquire, |used| room(used, amount, limit)).map(drop)
}

fn add(total: &AtomicI64, delta: i64) {
    let next = |used: i64| Some(used.saturating_add(delta).max(0));
    let _always = total.fetch_update(Ordering::AcqRel, Ordering::Acquire, next);
}
