//! Meters of the snapshot in the terms of the counters.

use sluice_limits::meter as limits;
use sluice_types::{CalendarUnit, Measure, Meter, MeterMode, Window};

use crate::plan::PlanError;

/// Thousandths, which weights of tokens are counted in.
pub(crate) const THOUSAND: i64 = 1_000;

/// Pico-USD of a micro-USD.
pub(crate) const MICRO_USD: i64 = 1_000_000;

/// What a counter is made of; `limit` is in its unit.
pub(crate) fn spec_of(meter: &Meter, limit: i64, path: &str) -> Result<limits::MeterSpec, PlanError> {
    if matches!((meter.measure, &meter.window), (Measure::Cost, Window::Rate { .. })) {
        let message = "expected a window for money: a rate counts requests and tokens only";
        return Err(PlanError::new(&format!("{path}.window"), "bad_window", message));
    }
    Ok(limits::MeterSpec {
        measure: match meter.measure {
            Measure::Concurrency => limits::Measure::Concurrency,
            Measure::Requests | Measure::Tokens { .. } | Measure::Cost => limits::Measure::Amounts,
        },
        limit,
        window: window_of(&meter.window),
        mode: mode_of(meter.mode),
    })
}

/// When the window of a meter that is open at a moment began, milliseconds since 1970; absent where it has no beginning (all
/// time, a rate, requests at once), and for a meter that no plan would take.
#[must_use]
pub fn window_start(meter: &Meter, at_ms: u64) -> Option<u64> {
    let spec = spec_of(meter, 1, "").ok()?;
    limits::MeterState::new(&spec).ok()?.level(at_ms, 0).window_start_ms
}

pub(crate) fn mode_of(mode: MeterMode) -> limits::Mode {
    match mode {
        MeterMode::Strict | MeterMode::Normal => limits::Mode::Enforce,
        MeterMode::Soft => limits::Mode::Report,
    }
}

fn window_of(window: &Window) -> limits::WindowSpec {
    match window {
        Window::Rate { period_ms } => limits::WindowSpec::Rate { period_ms: *period_ms },
        Window::Fixed { period_ms, anchor_ms } => {
            limits::WindowSpec::Fixed { period_ms: *period_ms, anchor_ms: *anchor_ms }
        }
        Window::Sliding { period_ms } => limits::WindowSpec::Sliding { period_ms: *period_ms },
        Window::Calendar { unit, time_zone } => {
            limits::WindowSpec::Calendar { unit: unit_of(*unit), time_zone: time_zone.clone() }
        }
        Window::Ever => limits::WindowSpec::Ever,
    }
}

fn unit_of(unit: CalendarUnit) -> limits::CalendarUnit {
    match unit {
        CalendarUnit::Hour => limits::CalendarUnit::Hour,
        CalendarUnit::Day => limits::CalendarUnit::Day,
        CalendarUnit::Week => limits::CalendarUnit::Week,
        CalendarUnit::Month => limits::CalendarUnit::Month,
        CalendarUnit::Quarter => limits::CalendarUnit::Quarter,
        CalendarUnit::Year => limits::CalendarUnit::Year,
    }
}
