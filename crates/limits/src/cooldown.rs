//! A passive circuit breaker for one target or credential: it learns from the traffic, and probes with one request.
//!
//! All of its state is one word, so that every event is one atomic transition of a pure function. A probe holds no slot:
//! it *closes the door behind itself* by moving the deadline on, and if it never reports back (its client went away),
//! the deadline passes and the next request becomes the probe.

use std::sync::atomic::{AtomicU64, Ordering};

/// Failures in a row that open it.
const FAILURES_TO_OPEN: u64 = 5;

/// First time in the open state, in microseconds; it doubles with each probe that fails.
const FIRST_OPEN_US: u64 = 1_000_000;

/// Longest time in the open state without the target's own word for it: a target that recovers is back within it.
const MAX_OPEN_US: u64 = 30_000_000;

/// Longest `Retry-After` that is believed. A longer one costs one probe an hour.
const MAX_RETRY_AFTER_US: u64 = 3_600_000_000;

/// How long a probe may take before another request is let through in its place.
const PROBE_US: u64 = 10_000_000;

/// How a target failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// No connection, no answer in time, or a status of 500 and above. Counted; opens after five in a row.
    Fault,
    /// 429. With a `Retry-After` it opens for exactly that long; without one it counts as a fault.
    RateLimited,
    /// The account is out of money or its credential is refused (401, 402, 403): opens at once, since trying again
    /// cannot help within seconds.
    Rejected,
}

/// Whether a request may go to the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// It is in use.
    Yes,
    /// It is to be tried again, by this request alone. Its success or failure decides.
    Probe,
    /// It is out of use, for this many nanoseconds.
    No {
        /// Nanoseconds until it is tried again.
        retry_after_ns: u64,
    },
}

/// The state of one target or credential, shared by every worker.
#[derive(Debug, Default)]
pub struct Cooldown {
    word: AtomicU64,
}

impl Cooldown {
    /// A target in use.
    #[must_use]
    pub const fn new() -> Self {
        Self { word: AtomicU64::new(0) }
    }

    /// Whether the target is out of use; changes nothing, so that targets can be compared before one is chosen.
    #[must_use]
    #[inline]
    pub fn is_open(&self, now_ns: u64) -> bool {
        let word = self.word.load(Ordering::Acquire);
        word != 0 && State::unpack(word).is_open(micros(now_ns))
    }

    /// Asks to send a request. After [`Pass::Yes`] and [`Pass::Probe`] report how it went.
    #[inline]
    pub fn try_pass(&self, now_ns: u64) -> Pass {
        let mut word = self.word.load(Ordering::Acquire);
        loop {
            let state = State::unpack(word);
            if state.deadline_us == 0 {
                return Pass::Yes;
            }
            let now_us = micros(now_ns);
            if state.is_open(now_us) {
                return Pass::No { retry_after_ns: (state.deadline_us - now_us).saturating_mul(1_000) };
            }
            match self.replace(word, state.probe(now_us)) {
                Ok(()) => return Pass::Probe,
                Err(current) => word = current,
            }
        }
    }

    /// The target answered. Closes the breaker, unless the answer is one to an older request that came while the target
    /// was set aside: a `Retry-After` is not cut short by a stream that began before it.
    #[inline]
    pub fn record_success(&self, now_ns: u64) {
        self.change(|state| state.succeeded(micros(now_ns)));
    }

    /// The target failed. `retry_after_ns` is what it asked for, if it did.
    #[inline]
    pub fn record_failure(&self, kind: FailureKind, retry_after_ns: Option<u64>, now_ns: u64) {
        self.change(|state| state.failed(kind, retry_after_ns.map(micros_up), micros_up(now_ns)));
    }

    #[inline]
    fn change(&self, transition: impl Fn(State) -> State) {
        let mut word = self.word.load(Ordering::Acquire);
        loop {
            let state = State::unpack(word);
            let next = transition(state);
            if next == state {
                return;
            }
            match self.replace(word, next) {
                Ok(()) => return,
                Err(current) => word = current,
            }
        }
    }

    #[inline]
    fn replace(&self, from: u64, to: State) -> Result<(), u64> {
        self.word.compare_exchange_weak(from, to.pack(), Ordering::AcqRel, Ordering::Acquire).map(drop)
    }
}

#[inline]
fn micros(ns: u64) -> u64 {
    ns / 1_000
}

/// Rounded up, so that no wait ends early.
#[inline]
fn micros_up(ns: u64) -> u64 {
    ns.div_ceil(1_000)
}

/// The state, unpacked. 56 bits of microseconds, 7 of failures, one for the probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State {
    /// End of the open state; 0 while closed.
    deadline_us: u64,
    /// Failures in a row, saturating.
    failures: u64,
    /// A probe is under way, until the deadline.
    probing: bool,
}

const FAILURE_BITS: u32 = 7;
const MAX_FAILURES: u64 = (1 << FAILURE_BITS) - 1;

impl State {
    const CLOSED: Self = Self { deadline_us: 0, failures: 0, probing: false };

    fn unpack(word: u64) -> Self {
        Self {
            deadline_us: word >> (FAILURE_BITS + 1),
            failures: (word >> 1) & MAX_FAILURES,
            probing: word & 1 == 1,
        }
    }

    fn pack(self) -> u64 {
        (self.deadline_us << (FAILURE_BITS + 1)) | (self.failures << 1) | u64::from(self.probing)
    }

    fn is_open(self, now_us: u64) -> bool {
        now_us < self.deadline_us
    }

    fn probe(self, now_us: u64) -> Self {
        Self { deadline_us: now_us + PROBE_US, probing: true, ..self }
    }

    fn succeeded(self, now_us: u64) -> Self {
        if self.is_open(now_us) && !self.probing { self } else { Self::CLOSED }
    }

    fn failed(self, kind: FailureKind, retry_after_us: Option<u64>, now_us: u64) -> Self {
        if let (FailureKind::RateLimited, Some(wait_us)) = (kind, retry_after_us) {
            return self.set_aside(wait_us.min(MAX_RETRY_AFTER_US), now_us);
        }
        if kind == FailureKind::Rejected {
            return self.set_aside(MAX_OPEN_US, now_us);
        }
        if self.is_open(now_us) && !self.probing {
            return self;
        }
        let failures = (self.failures + 1).min(MAX_FAILURES);
        if failures < FAILURES_TO_OPEN && self.deadline_us == 0 {
            return Self { failures, ..self };
        }
        let doublings = failures.saturating_sub(FAILURES_TO_OPEN).min(16);
        let open_us = (FIRST_OPEN_US << doublings).min(MAX_OPEN_US);
        Self { deadline_us: now_us + open_us, failures, probing: false }
    }

    /// Opens for a stated time; an earlier statement that reaches further stands.
    fn set_aside(self, wait_us: u64, now_us: u64) -> Self {
        let stated_before = if self.probing { 0 } else { self.deadline_us };
        Self { deadline_us: stated_before.max(now_us + wait_us), probing: false, ..self }
    }
}
