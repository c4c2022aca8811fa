//! The counters of one key, and admission against all of its limits at once.

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::{Charge, Level, Shortage, TokenBucket};

/// Hint of when to try again after a refusal for concurrency, in nanoseconds: when a request will end is not known.
const CONCURRENCY_RETRY_NS: u64 = 1_000_000_000;

/// Limits of one key; `None` is unlimited, 0 lets nothing through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Requests per minute.
    pub requests_per_minute: Option<u64>,
    /// Tokens per minute, input and output.
    pub tokens_per_minute: Option<u64>,
    /// Requests at once.
    pub concurrency: Option<u32>,
}

/// The counters of one key, shared by every worker. They have a cache line of their own: two keys that are used from
/// two cores must not slow each other down.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct KeyState {
    requests: TokenBucket,
    tokens: TokenBucket,
    in_flight: AtomicU32,
}

/// What an admitted request holds. It ends in [`KeyState::settle`], once, which is why it cannot be copied.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "an admitted request holds a slot until it is settled"]
pub struct Admitted {
    tokens: Charge,
}

impl Admitted {
    /// Tokens taken from the minute's limit; 0 where there is none.
    #[must_use]
    pub const fn reserved_tokens(&self) -> u64 {
        self.tokens.tokens()
    }
}

/// Which limit refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LimitKind {
    /// [`Limits::requests_per_minute`]
    Requests,
    /// [`Limits::tokens_per_minute`]
    Tokens,
    /// [`Limits::concurrency`]
    Concurrency,
}

/// Why a request is not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Which limit refused.
    pub which: LimitKind,
    /// Its value.
    pub limit: u64,
    /// How much of it was asked for.
    pub requested: u64,
    /// When to try again, in nanoseconds from now. `None`: the request is larger than the whole limit and will never be
    /// admitted; the client has to ask for less.
    pub retry_after_ns: Option<u64>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { limit, requested, .. } = self;
        match (self.which, self.retry_after_ns) {
            (LimitKind::Requests, _) => write!(f, "the limit of {limit} requests per minute is reached"),
            (LimitKind::Concurrency, _) => write!(f, "the limit of {limit} requests at once is reached"),
            (LimitKind::Tokens, Some(_)) => {
                write!(f, "the limit of {limit} tokens per minute is reached; this request needs {requested}")
            }
            (LimitKind::Tokens, None) => write!(
                f,
                "this request needs {requested} tokens, more than the whole limit of {limit} tokens per minute"
            ),
        }
    }
}

impl KeyState {
    /// Counters at rest.
    #[must_use]
    pub const fn new() -> Self {
        Self { requests: TokenBucket::new(), tokens: TokenBucket::new(), in_flight: AtomicU32::new(0) }
    }

    /// Admits one request against all limits, or against none: what an earlier limit granted is given back when a later
    /// one refuses. The order is from the cheapest to give back to the dearest; in the moment between the two another
    /// thread can be refused by what is about to come back, and none can be admitted by it.
    ///
    /// Every request is counted as in flight, limited or not, so that a limit that is set later is exact from its first
    /// moment.
    ///
    /// # Errors
    /// The limit that refused.
    #[inline]
    pub fn admit(&self, limits: &Limits, estimated_tokens: u64, now_ns: u64) -> Result<Admitted, Refusal> {
        self.enter(limits.concurrency)?;
        let request = match take(&self.requests, 1, limits.requests_per_minute, now_ns) {
            Ok(charge) => charge,
            Err(shortage) => {
                self.leave();
                return Err(refusal(LimitKind::Requests, limits.requests_per_minute, 1, shortage));
            }
        };
        match take(&self.tokens, estimated_tokens, limits.tokens_per_minute, now_ns) {
            Ok(tokens) => Ok(Admitted { tokens }),
            Err(shortage) => {
                self.requests.settle(request, 0, limits.requests_per_minute.unwrap_or(0), now_ns);
                self.leave();
                Err(refusal(LimitKind::Tokens, limits.tokens_per_minute, estimated_tokens, shortage))
            }
        }
    }

    /// Ends an admitted request: frees its slot and replaces the estimate by what was used. Without a token limit
    /// nothing is charged.
    #[inline]
    pub fn settle(&self, limits: &Limits, admitted: Admitted, actual_tokens: u64, now_ns: u64) {
        if let Some(limit) = limits.tokens_per_minute {
            self.tokens.settle(admitted.tokens, actual_tokens, limit, now_ns);
        }
        self.leave();
    }

    /// Requests that were admitted and not settled.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// How full the bucket of requests is, where there is a limit.
    #[must_use]
    pub fn request_level(&self, limits: &Limits, now_ns: u64) -> Option<Level> {
        limits.requests_per_minute.map(|limit| self.requests.level(limit, now_ns))
    }

    /// How full the bucket of tokens is, where there is a limit.
    #[must_use]
    pub fn token_level(&self, limits: &Limits, now_ns: u64) -> Option<Level> {
        limits.tokens_per_minute.map(|limit| self.tokens.level(limit, now_ns))
    }

    #[inline]
    fn enter(&self, limit: Option<u32>) -> Result<(), Refusal> {
        let limit = limit.unwrap_or(u32::MAX);
        let grow = |current: u32| (current < limit).then_some(current + 1);
        match self.in_flight.fetch_update(Ordering::AcqRel, Ordering::Relaxed, grow) {
            Ok(_) => Ok(()),
            Err(_) => Err(Refusal {
                which: LimitKind::Concurrency,
                limit: u64::from(limit),
                requested: 1,
                retry_after_ns: (limit > 0).then_some(CONCURRENCY_RETRY_NS),
            }),
        }
    }

    #[inline]
    fn leave(&self) {
        let before = self.in_flight.fetch_sub(1, Ordering::AcqRel);
        debug_assert!(before > 0, "left more often than entered");
    }
}

#[inline]
fn take(bucket: &TokenBucket, n: u64, limit: Option<u64>, now_ns: u64) -> Result<Charge, Shortage> {
    match limit {
        Some(limit) => bucket.try_take(n, limit, now_ns),
        None => Ok(Charge::NONE),
    }
}

#[cold]
fn refusal(which: LimitKind, limit: Option<u64>, requested: u64, shortage: Shortage) -> Refusal {
    let retry_after_ns = match shortage {
        Shortage::RetryAfter(ns) => Some(ns),
        Shortage::NeverFits => None,
    };
    Refusal { which, limit: limit.unwrap_or(0), requested, retry_after_ns }
}
