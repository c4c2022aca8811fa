//! Checks 94 and 139: clocks that are set back and forth neither reopen what was used up nor lock anybody out for longer than
//! they were set.

mod support;

use proptest::prelude::*;
use sluice_limits::meter::{CalendarUnit, WindowSpec};
use support::{Clocked, DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, calendar, fixed, meter, utc};

const LIMIT: i64 = 10;

fn used_up(window: WindowSpec, wall_ms: u64) -> Clocked {
    let clock = Clocked::new(meter(LIMIT, window), wall_ms);
    assert!(clock.use_up(LIMIT));
    clock
}

fn windows_with_edges() -> Vec<WindowSpec> {
    vec![
        fixed(HOUR_MS),
        fixed(DAY_MS),
        calendar(CalendarUnit::Hour, "Europe/Berlin"),
        calendar(CalendarUnit::Day, "Europe/Berlin"),
        calendar(CalendarUnit::Month, "America/New_York"),
    ]
}

#[test]
fn check_94_a_window_that_was_used_up_stays_so_when_the_clock_is_set_back_an_hour() {
    for window in windows_with_edges() {
        let begin = utc("2026-11-01T06:00:00");
        let mut clock = used_up(window.clone(), begin - SECOND_MS);
        clock.wait(SECOND_MS);
        let new_window = clock.used() == 0;
        assert!(!new_window || clock.use_up(LIMIT), "{window:?}");
        let end = clock.meter.level(clock.wall_ms, clock.mono_ns).window_end_ms.expect("a window");
        clock.wall_ms -= HOUR_MS;
        while clock.wall_ms < end.min(begin + DAY_MS) {
            assert!(!clock.use_up(1), "{window:?} reopened at {}", clock.wall_ms);
            clock.wait(MINUTE_MS);
        }
        if clock.wall_ms >= end {
            assert!(clock.use_up(LIMIT), "{window:?} is not locked for longer than the jump");
        }
    }
}

/// Set back further than what is remembered: nothing is granted for one length of real time, and then as always.
#[test]
fn check_139_short_windows_are_not_locked_for_an_hour() {
    let mut clock = Clocked::new(meter(LIMIT, fixed(MINUTE_MS)), utc("2026-05-13T10:00:00"));
    for _ in 0..60 {
        assert!(clock.use_up(LIMIT));
        clock.wait(MINUTE_MS);
    }
    assert!(clock.use_up(LIMIT));
    clock.wait(20 * SECOND_MS);
    clock.wall_ms -= HOUR_MS;
    for _ in 0..60 {
        assert!(!clock.use_up(1), "within a minute of the jump");
        clock.wait(SECOND_MS);
    }
    let mut granted = 0;
    for _ in 0..HOUR_MS / SECOND_MS {
        granted += i64::from(clock.use_up(1));
        clock.wait(SECOND_MS);
    }
    assert!((59 * LIMIT..=61 * LIMIT).contains(&granted), "{granted} in an hour");
}

/// The hour that the clock shows a second time is the hour it was before.
#[test]
fn check_94_what_is_remembered_is_used_on() {
    let mut clock = Clocked::new(meter(LIMIT, fixed(HOUR_MS)), utc("2026-05-13T10:30:00"));
    assert!(clock.use_up(4));
    clock.wait(HOUR_MS);
    assert!(clock.use_up(7));
    clock.wall_ms -= HOUR_MS;
    assert_eq!(clock.used(), 4);
    assert!(!clock.use_up(7) && clock.use_up(6));
    clock.wait(HOUR_MS);
    assert_eq!(clock.used(), 7);
    assert!(!clock.use_up(4) && clock.use_up(3));
}

#[test]
fn check_139_a_clock_that_was_set_forth_by_mistake() {
    for forth in [HOUR_MS, 400 * DAY_MS, 40_000 * DAY_MS] {
        let mut clock = used_up(fixed(HOUR_MS), utc("2026-05-13T10:30:00"));
        clock.wall_ms += forth;
        assert!(clock.use_up(LIMIT), "the window it shows");
        clock.wall_ms -= forth;
        assert!(!clock.use_up(1), "back in the window that is used up");
        clock.wait(30 * MINUTE_MS);
        assert_eq!(clock.use_up(LIMIT), forth != HOUR_MS, "what was used ahead of time is used");
        clock.wait(HOUR_MS);
        assert!(clock.use_up(LIMIT));
    }
}

#[test]
fn check_139_rates_and_sliding_windows_do_not_look_at_the_wall_clock() {
    for window in [WindowSpec::Rate { period_ms: HOUR_MS }, WindowSpec::Sliding { period_ms: HOUR_MS }] {
        let mut clock = used_up(window, utc("2026-05-13T10:30:00"));
        for wall_ms in [0, clock.wall_ms - HOUR_MS, clock.wall_ms + HOUR_MS, u64::MAX / 2] {
            clock.wall_ms = wall_ms;
            assert!(!clock.use_up(1));
        }
        clock.wall_ms = 0;
        clock.wait(HOUR_MS + HOUR_MS / 16);
        assert!(clock.use_up(LIMIT));
    }
}

/// A clock that is right again ends the waiting; the next time it is wrong begins another.
#[test]
fn waiting_begins_anew() {
    let mut clock = Clocked::new(meter(LIMIT, fixed(MINUTE_MS)), utc("2026-05-13T10:00:00"));
    for _ in 0..3 {
        assert!(clock.use_up(LIMIT));
        clock.wait(MINUTE_MS);
    }
    assert!(clock.use_up(LIMIT));
    for _ in 0..3 {
        clock.wall_ms -= HOUR_MS;
        assert!(!clock.use_up(1));
        clock.wall_ms += HOUR_MS;
        assert!(!clock.use_up(1));
        clock.mono_ns += 59_000_000_000;
    }
}

/// What happens to the clocks.
#[derive(Clone, Debug)]
enum Step {
    Wait(u64),
    Back(u64),
    Forth(u64),
    Use(i64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let jump = || prop_oneof![0..2 * HOUR_MS, Just(HOUR_MS), 0..400 * DAY_MS];
    let step = prop_oneof![
        4 => (0..2 * HOUR_MS).prop_map(Step::Wait),
        1 => jump().prop_map(Step::Back),
        1 => jump().prop_map(Step::Forth),
        6 => (1..=LIMIT).prop_map(Step::Use),
    ];
    prop::collection::vec(step, 1..80)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

    /// Whatever the clock did, three lengths of real time later at the latest a whole window is to be had: one that is
    /// waited for, and the two that are remembered.
    #[test]
    fn check_139_nobody_is_locked_out(steps in steps(), hour_ms in prop::sample::select(vec![MINUTE_MS, HOUR_MS])) {
        let mut clock = Clocked::new(meter(LIMIT, fixed(hour_ms)), utc("2026-05-13T10:30:00"));
        for step in steps {
            match step {
                Step::Wait(ms) => clock.wait(ms),
                Step::Back(ms) => clock.wall_ms -= ms,
                Step::Forth(ms) => clock.wall_ms += ms,
                Step::Use(amount) => {
                    let _granted = clock.use_up(amount);
                }
            }
            prop_assert!((0..=LIMIT).contains(&clock.used()));
        }
        let free = (0..=3 * 60).any(|_| {
            let granted = clock.use_up(LIMIT);
            clock.wait(hour_ms / 60);
            granted
        });
        prop_assert!(free);
    }
}
