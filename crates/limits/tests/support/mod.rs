//! What the tests of meters share.
#![allow(dead_code, reason = "each test file uses its part")]

use jiff::civil::DateTime;
use jiff::tz::TimeZoneDatabase;
use sluice_limits::meter::{CalendarUnit, Measure, MeterSpec, MeterState, Mode, Reservation, WindowSpec};

pub(crate) const SECOND_MS: u64 = 1_000;
pub(crate) const MINUTE_MS: u64 = 60 * SECOND_MS;
pub(crate) const HOUR_MS: u64 = 60 * MINUTE_MS;
pub(crate) const DAY_MS: u64 = 24 * HOUR_MS;
pub(crate) const NS_PER_MS: u64 = 1_000_000;

/// Zones whose clocks do unusual things: by half an hour, over midnight, at midnight, by a whole day, not at all.
pub(crate) const ZONES: [&str; 10] = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kolkata",
    "Pacific/Apia",
    "America/St_Johns",
    "America/Sao_Paulo",
    "Africa/Cairo",
    "Antarctica/Troll",
];

pub(crate) const UNITS: [CalendarUnit; 6] = [
    CalendarUnit::Hour,
    CalendarUnit::Day,
    CalendarUnit::Week,
    CalendarUnit::Month,
    CalendarUnit::Quarter,
    CalendarUnit::Year,
];

pub(crate) fn fixed(period_ms: u64) -> WindowSpec {
    WindowSpec::Fixed { period_ms, anchor_ms: 0 }
}

pub(crate) fn calendar(unit: CalendarUnit, zone: &str) -> WindowSpec {
    WindowSpec::Calendar { unit, time_zone: zone.to_owned() }
}

pub(crate) fn spec(limit: i64, window: WindowSpec) -> MeterSpec {
    MeterSpec { measure: Measure::Amounts, limit, window, mode: Mode::Enforce }
}

pub(crate) fn meter(limit: i64, window: WindowSpec) -> MeterState {
    MeterState::new(&spec(limit, window)).expect("a good specification")
}

/// A local date and time with the zone's first offset where it comes twice, in milliseconds since 1970.
pub(crate) fn at(local: &str, zone: &str) -> u64 {
    let local: DateTime = local.parse().expect("a date and time");
    let zone = TimeZoneDatabase::bundled().get(zone).expect("a zone");
    u64::try_from(local.to_zoned_datetime(zone).expect("in range").timestamp().as_millisecond())
        .expect("after 1970")
}

/// A moment in UTC, in milliseconds since 1970.
pub(crate) fn utc(local: &str) -> u64 {
    at(local, "UTC")
}

/// A meter with a clock that is set by hand: wall and monotonic time go on together, and only the wall clock jumps.
pub(crate) struct Clocked {
    pub(crate) meter: MeterState,
    pub(crate) wall_ms: u64,
    pub(crate) mono_ns: u64,
}

impl Clocked {
    pub(crate) fn new(meter: MeterState, wall_ms: u64) -> Self {
        Self { meter, wall_ms, mono_ns: 5_000_000_000 }
    }

    pub(crate) fn wait(&mut self, ms: u64) {
        self.wall_ms += ms;
        self.mono_ns += ms * NS_PER_MS;
    }

    pub(crate) fn reserve(&self, amount: i64) -> Option<Reservation> {
        self.meter.reserve(amount, self.wall_ms, self.mono_ns).ok()
    }

    /// Reserves and settles with the same amount.
    pub(crate) fn use_up(&self, amount: i64) -> bool {
        match self.reserve(amount) {
            Some(reservation) => {
                self.settle(reservation, amount);
                true
            }
            None => false,
        }
    }

    pub(crate) fn settle(&self, reservation: Reservation, actual: i64) {
        self.meter.settle(reservation, actual, self.mono_ns);
    }

    pub(crate) fn used(&self) -> i64 {
        self.meter.level(self.wall_ms, self.mono_ns).used
    }
}
