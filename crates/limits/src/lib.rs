//! Budgets, rate limits, concurrency, weighted choice and cool-down.
//!
//! The state here outlives configuration: a plan holds *limits*, which are numbers, and passes them in with every call,
//! so that a changed limit takes effect at once and loses nothing that was counted. Workers on any thread share the
//! state through atomics; nothing on the path locks, waits or allocates, and every decision is one compare-and-swap on
//! one word, so that a limit is exact under races instead of nearly so.
//!
//! What is absent: no clock (time is an argument, monotonic nanoseconds from any fixed origin), no randomness, no IO,
//! no `unsafe`.
//!
//! - [`KeyState`] admits the requests of one key, all limits or none, and settles them.
//! - [`TokenBucket`] is the rate limiter under it.
//! - [`meter`] counts budgets and limits over windows, and reserves on all that hold for a request or on none.
//! - [`Cooldown`] takes a failing target out of use; [`pick_weighted`] chooses among the rest.
//! - [`FailureMeter`] counts failed authentications per address in bounded memory.

#![forbid(unsafe_code)]

mod bucket;
mod cooldown;
mod failures;
mod key;
pub mod meter;
mod pick;

pub use bucket::{Charge, Level, PERIOD_NS, Shortage, TokenBucket};
pub use cooldown::{Cooldown, FailureKind, Pass};
pub use failures::FailureMeter;
pub use key::{Admitted, KeyState, LimitKind, Limits, Refusal};
pub use pick::{MAX_CHOICES, pick_weighted};
