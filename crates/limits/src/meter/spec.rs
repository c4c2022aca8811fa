//! What a meter is told, and what is wrong with it.

use std::fmt;

use super::calendar::{Calendar, CalendarUnit};
use crate::bucket::MAX_PERIOD_NS;

/// The largest limit: nine million USD in pico-USD. Beyond it 63 bits could not hold what is used.
pub const MAX_LIMIT: i64 = 9_000_000_000_000_000_000;

const SECOND_MS: u64 = 1_000;

/// The longest period of a fixed or sliding window, ten years.
const MAX_WINDOW_MS: u64 = 3_660 * 86_400 * SECOND_MS;

/// One limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeterSpec {
    /// What is limited.
    pub measure: Measure,
    /// The limit, in the unit of the amounts; at most [`MAX_LIMIT`]. 0 lets through only what is worth nothing.
    pub limit: i64,
    /// Over which time; not looked at by [`Measure::Concurrency`].
    pub window: WindowSpec,
    /// Whether it refuses.
    pub mode: Mode,
}

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// What is used within the window: requests, thousandths of tokens, pico-USD.
    Amounts,
    /// What is held at once: it comes back whole when it is settled.
    Concurrency,
}

/// Whether a limit refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It does.
    Enforce,
    /// It counts what it would have refused.
    Report,
}

/// The time a limit is over. Times are milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WindowSpec {
    /// A bucket that refills evenly.
    Rate {
        /// Time in which an empty bucket is full again: 1 ms to 366 days.
        period_ms: u64,
    },
    /// Windows of one length, one after the other.
    Fixed {
        /// Length: whole seconds, to ten years.
        period_ms: u64,
        /// Beginning of any one of them, since 1970: whole seconds.
        anchor_ms: u64,
    },
    /// The time up to now, in sixteen steps.
    Sliding {
        /// Length: 1 second to ten years.
        period_ms: u64,
    },
    /// Units of a calendar.
    Calendar {
        /// Unit.
        unit: CalendarUnit,
        /// IANA name, as `Europe/Berlin`.
        time_zone: String,
    },
    /// All time.
    Ever,
}

/// Why a [`MeterSpec`] cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpecError {
    /// The limit is below 0 or above [`MAX_LIMIT`].
    Limit(i64),
    /// The period is too short or too long.
    Period {
        /// What it is.
        period_ms: u64,
        /// The shortest there can be.
        least_ms: u64,
        /// The longest.
        most_ms: u64,
    },
    /// A period or anchor of fixed windows that is not whole seconds, in milliseconds.
    NotWholeSeconds(u64),
    /// No time zone has this name.
    TimeZone(String),
}

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Limit(limit) => write!(f, "a limit of {limit} is not within 0 and {MAX_LIMIT}"),
            Self::Period { period_ms, least_ms, most_ms } => {
                write!(f, "a period of {period_ms} ms is not within {least_ms} ms and {most_ms} ms")
            }
            Self::NotWholeSeconds(ms) => write!(f, "{ms} ms are not whole seconds, as fixed windows have"),
            Self::TimeZone(name) => {
                write!(f, "no time zone is named {name:?}; expected one as \"Europe/Berlin\"")
            }
        }
    }
}

impl std::error::Error for SpecError {}

impl MeterSpec {
    /// # Errors
    /// What cannot be: of the window only where one is looked at.
    pub(super) fn check(&self) -> Result<(), SpecError> {
        check_limit(self.limit)?;
        match self.window {
            _ if self.measure == Measure::Concurrency => Ok(()),
            WindowSpec::Rate { period_ms } => within(period_ms, 1, MAX_PERIOD_NS / 1_000_000),
            WindowSpec::Sliding { period_ms } => within(period_ms, SECOND_MS, MAX_WINDOW_MS),
            WindowSpec::Fixed { period_ms, anchor_ms } => {
                within(period_ms, SECOND_MS, MAX_WINDOW_MS)?;
                match [period_ms, anchor_ms].into_iter().find(|ms| !ms.is_multiple_of(SECOND_MS)) {
                    Some(ms) => Err(SpecError::NotWholeSeconds(ms)),
                    None => Ok(()),
                }
            }
            WindowSpec::Calendar { unit, ref time_zone } => Calendar::new(unit, time_zone).map(drop),
            WindowSpec::Ever => Ok(()),
        }
    }
}

fn check_limit(limit: i64) -> Result<(), SpecError> {
    if (0..=MAX_LIMIT).contains(&limit) { Ok(()) } else { Err(SpecError::Limit(limit)) }
}

fn within(period_ms: u64, least_ms: u64, most_ms: u64) -> Result<(), SpecError> {
    if (least_ms..=most_ms).contains(&period_ms) {
        Ok(())
    } else {
        Err(SpecError::Period { period_ms, least_ms, most_ms })
    }
}
