//! A window that ends now, in sixteen steps.
//!
//! What is used is added up by step, in seventeen of them: the one that now is in and the sixteen before it. Any span of the
//! window's length that ends in a step lies within these, so that **in no span of the window's length more than the limit is
//! granted**, without allowance. The price is that what was used counts for up to a seventeenth step, a sixteenth of the
//! length longer than it must.
//!
//! Time is monotonic here. A window without edges needs no clock, and so no clock that is set forth or back can open or lock
//! it.
//!
//! One total is what limits; the steps say when it goes down. What goes into a step is in the total before, what goes out of a
//! step leaves the total after, each once, because a step's sum and its number change in one word: the total is never less
//! than the sum of the steps.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use portable_atomic::AtomicU128;

use super::{Room, add, join, room, split};

const STEPS: u64 = 16;
const SLOTS: usize = 17;

#[derive(Debug)]
pub(super) struct Sliding {
    total: AtomicI64,
    /// The newest step that was seen; all that are too old for it have been taken from the total.
    latest: AtomicU64,
    step_ns: u64,
    /// The steps by number modulo seventeen: number and sum.
    slots: [AtomicU128; SLOTS],
}

/// How a sliding window stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) used: i64,
    /// Nanoseconds until it is empty, if nothing comes.
    pub(super) empty_ns: u64,
    /// Nanoseconds until there is room for what was asked for.
    pub(super) room_ns: u64,
}

#[derive(Clone, Copy)]
struct Step {
    number: u64,
    sum: i64,
}

impl Step {
    #[inline]
    fn unpack(word: u128) -> Self {
        let (number, sum) = split(word);
        Self { number, sum }
    }

    #[inline]
    fn pack(self) -> u128 {
        join(self.number, self.sum)
    }
}

impl Sliding {
    pub(super) fn new(period_ns: u64) -> Self {
        Self {
            total: AtomicI64::new(0),
            latest: AtomicU64::new(0),
            step_ns: period_ns.div_ceil(STEPS).max(1),
            slots: [const { AtomicU128::new(0) }; SLOTS],
        }
    }

    /// Adds to the step of now if there is room, and returns its number.
    ///
    /// # Errors
    /// How the window stands, when there is not.
    #[inline]
    pub(super) fn reserve(&self, amount: i64, limit: Room, mono_ns: u64) -> Result<u64, Standing> {
        loop {
            let step = self.advance(mono_ns);
            let grow = |used| room(used, amount, limit);
            if self.total.fetch_update(Ordering::AcqRel, Ordering::Acquire, grow).is_err() {
                return Err(self.standing(amount, limit, mono_ns));
            }
            if self.add(step, amount) {
                return Ok(step);
            }
            self.shrink(amount);
        }
    }

    /// Changes what was used in a step, unless it has slid out.
    #[inline]
    pub(super) fn adjust(&self, step: u64, delta: i64) {
        if delta >= 0 {
            add(&self.total, delta);
            if !self.add_kept(step, delta) {
                self.shrink(delta);
            }
        } else if self.add_kept(step, delta) {
            self.shrink(-delta);
        }
    }

    /// Counts what was used `ago_ns` before now.
    pub(super) fn preload(&self, amount: i64, ago_ns: u64, mono_ns: u64) {
        let step = self.advance(mono_ns).saturating_sub(ago_ns / self.step_ns);
        add(&self.total, amount);
        let kept = self.latest.load(Ordering::Acquire).saturating_sub(step) <= STEPS;
        if !kept || !self.add(step, amount) {
            self.shrink(amount);
        }
    }

    pub(super) fn level(&self, mono_ns: u64) -> Standing {
        self.standing(0, Room::Any, mono_ns)
    }

    pub(super) const fn length_ns(&self) -> u64 {
        self.step_ns * STEPS
    }

    /// The step of now. Time does not go back: the newest that was seen is now, if another thread's clock is ahead.
    #[inline]
    fn advance(&self, mono_ns: u64) -> u64 {
        let step = self.step(mono_ns);
        let latest = self.latest.load(Ordering::Acquire);
        if step <= latest {
            return latest;
        }
        self.drop_old(step);
        self.latest.fetch_max(step, Ordering::AcqRel).max(step)
    }

    /// Steps are numbered so that there are seventeen before the beginning of the clock.
    #[inline]
    fn step(&self, mono_ns: u64) -> u64 {
        mono_ns / self.step_ns + SLOTS as u64
    }

    #[cold]
    fn drop_old(&self, now: u64) {
        for number in now - STEPS..=now {
            self.claim(number);
        }
    }

    /// Makes a slot that of step `number`, unless it is that of a later one; returns what it holds.
    #[inline]
    fn claim(&self, number: u64) -> Step {
        let slot = self.slot(number);
        let mut word = slot.load(Ordering::Acquire);
        loop {
            let seen = Step::unpack(word);
            if seen.number >= number {
                return seen;
            }
            let fresh = Step { number, sum: 0 };
            match slot.compare_exchange_weak(word, fresh.pack(), Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => {
                    self.shrink(seen.sum);
                    return fresh;
                }
                Err(current) => word = current,
            }
        }
    }

    /// Adds to a step, making its slot its own; false when the slot is a later step's.
    #[inline]
    fn add(&self, number: u64, amount: i64) -> bool {
        self.claim(number).number == number && self.add_kept(number, amount)
    }

    #[inline]
    fn add_kept(&self, number: u64, delta: i64) -> bool {
        let slot = self.slot(number);
        let mut word = slot.load(Ordering::Acquire);
        loop {
            let seen = Step::unpack(word);
            if seen.number != number {
                return false;
            }
            let next = Step { number, sum: seen.sum.saturating_add(delta).max(0) };
            match slot.compare_exchange_weak(word, next.pack(), Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return true,
                Err(current) => word = current,
            }
        }
    }

    #[inline]
    fn shrink(&self, by: i64) {
        if by != 0 {
            add(&self.total, -by);
        }
    }

    #[inline]
    fn slot(&self, number: u64) -> &AtomicU128 {
        &self.slots[usize::try_from(number % SLOTS as u64).unwrap_or(0)]
    }

    #[cold]
    fn standing(&self, amount: i64, limit: Room, mono_ns: u64) -> Standing {
        let now = self.advance(mono_ns);
        let used = self.total.load(Ordering::Acquire);
        let (mut left, mut empty_ns, mut room_ns) = (used, 0, None);
        for number in now - STEPS..=now {
            let step = Step::unpack(self.slot(number).load(Ordering::Acquire));
            if step.number != number || step.sum == 0 {
                continue;
            }
            left = left.saturating_sub(step.sum);
            empty_ns = self.until(number + SLOTS as u64, mono_ns);
            if room_ns.is_none() && room(left, amount, limit).is_some() {
                room_ns = Some(empty_ns);
            }
        }
        let room_ns = room_ns.unwrap_or_else(|| self.length_ns() + self.step_ns);
        Standing { used, empty_ns, room_ns }
    }

    /// Nanoseconds until a step begins.
    fn until(&self, number: u64, mono_ns: u64) -> u64 {
        (number - SLOTS as u64).saturating_mul(self.step_ns).saturating_sub(mono_ns)
    }
}
