//! Meters, case by case. Check 86: what was not used comes back, and nothing is negative.

mod support;

use sluice_limits::meter::{
    CalendarUnit, Level, MAX_LIMIT, Measure, MeterSpec, MeterState, Mode, SpecError, WindowSpec,
};
use support::{Clocked, DAY_MS, HOUR_MS, MINUTE_MS, NS_PER_MS, SECOND_MS, calendar, fixed, meter, spec, utc};

fn every_window() -> Vec<WindowSpec> {
    vec![
        WindowSpec::Rate { period_ms: DAY_MS },
        fixed(HOUR_MS),
        WindowSpec::Sliding { period_ms: HOUR_MS },
        calendar(CalendarUnit::Month, "Europe/Berlin"),
        WindowSpec::Ever,
    ]
}

fn concurrency(limit: i64) -> MeterState {
    let spec =
        MeterSpec { measure: Measure::Concurrency, limit, window: WindowSpec::Ever, mode: Mode::Enforce };
    MeterState::new(&spec).expect("a good specification")
}

#[test]
fn check_86_what_was_not_used_comes_back_and_never_more() {
    for window in every_window() {
        let clock = Clocked::new(meter(100, window.clone()), utc("2026-05-13T10:30:00"));
        let first = clock.reserve(60).expect("room");
        assert!(clock.reserve(41).is_none(), "{window:?}");
        clock.settle(first, 10);
        assert_eq!(clock.used(), 10, "{window:?}");
        let all = clock.reserve(90).expect("room");
        clock.settle(all, 0);
        assert_eq!(clock.used(), 10, "{window:?}");
        let negative = clock.reserve(5).expect("room");
        clock.settle(negative, i64::MIN);
        assert_eq!(clock.used(), 10, "a negative amount is nothing: {window:?}");
        assert_eq!(clock.meter.level(clock.wall_ms, clock.mono_ns).reserved, 0);
    }
}

#[test]
fn more_than_was_reserved_is_charged_beyond_the_limit() {
    for window in every_window() {
        let clock = Clocked::new(meter(100, window.clone()), utc("2026-05-13T10:30:00"));
        let reservation = clock.reserve(100).expect("room");
        clock.settle(reservation, 150);
        let level = clock.meter.level(clock.wall_ms, clock.mono_ns);
        assert_eq!(level.remaining(), 0, "{window:?}");
        // A rate tells no debt apart from an empty bucket.
        let shown = if matches!(window, WindowSpec::Rate { .. }) { 100 } else { 150 };
        assert_eq!(level.used, shown, "{window:?}");
        assert!(clock.reserve(1).is_none(), "{window:?}");
        assert!(clock.reserve(0).is_some(), "what is free passes: {window:?}");
    }
}

#[test]
fn refusals_say_what_is_used_and_when_to_come_back() {
    let wall = utc("2026-05-13T10:30:00");
    let day_ns = DAY_MS * NS_PER_MS;
    let (step_ns, hour_ns) = (HOUR_MS * NS_PER_MS / 16, HOUR_MS * NS_PER_MS);
    let half_ns = hour_ns / 2;
    let month_end = utc("2026-05-31T22:00:00");
    let cases = [
        (WindowSpec::Rate { period_ms: DAY_MS }, Some(day_ns / 10), Some(wall + DAY_MS)),
        (fixed(HOUR_MS), Some(half_ns), Some(utc("2026-05-13T11:00:00"))),
        (
            calendar(CalendarUnit::Month, "Europe/Berlin"),
            Some((month_end - wall) * NS_PER_MS),
            Some(month_end),
        ),
        // Monotonic time is five seconds: the first step ends, and sixteen more.
        (
            WindowSpec::Sliding { period_ms: HOUR_MS },
            Some(hour_ns + step_ns - 5_000_000_000),
            Some(wall + (hour_ns + step_ns) / NS_PER_MS - 5 * SECOND_MS),
        ),
        (WindowSpec::Ever, None, None),
    ];
    for (window, retry_after_ns, reset_ms) in cases {
        let clock = Clocked::new(meter(100, window.clone()), wall);
        assert!(clock.use_up(100));
        let shortage = clock.meter.reserve(10, wall, clock.mono_ns).expect_err("used up");
        assert_eq!((shortage.limit, shortage.used, shortage.requested), (100, 100, 10), "{window:?}");
        assert_eq!(shortage.retry_after_ns, retry_after_ns, "{window:?}");
        assert_eq!(shortage.reset_ms, reset_ms, "{window:?}");
        let never = clock.meter.reserve(101, wall, clock.mono_ns).expect_err("more than the limit");
        assert_eq!(never.retry_after_ns, None, "waiting does not help: {window:?}");
        assert_eq!(clock.meter.level(wall, clock.mono_ns).refused, 2);
    }
}

#[test]
fn a_settlement_after_its_window_changes_nothing() {
    for window in [fixed(HOUR_MS), calendar(CalendarUnit::Hour, "Asia/Kolkata")] {
        let mut clock = Clocked::new(meter(100, window), utc("2026-05-13T10:00:00"));
        let (old, dear) = (clock.reserve(40).expect("room"), clock.reserve(40).expect("room"));
        clock.wait(HOUR_MS);
        let new = clock.reserve(100).expect("a new window");
        clock.settle(old, 0);
        assert_eq!(clock.used(), 100);
        clock.wait(HOUR_MS);
        assert!(clock.use_up(30));
        clock.settle(dear, 100_000);
        clock.settle(new, 0);
        assert_eq!(clock.used(), 30);
    }
}

/// A request that was let in before midnight is of the day before, even where another worker has opened the new day.
#[test]
fn a_late_request_is_of_its_own_window() {
    let mut clock = Clocked::new(meter(100, fixed(HOUR_MS)), utc("2026-05-13T10:59:59"));
    assert!(clock.use_up(90));
    clock.wait(SECOND_MS);
    assert!(clock.use_up(100));
    let earlier = clock.wall_ms - 1;
    let late = clock.meter.reserve(10, earlier, clock.mono_ns).expect("10 were left");
    assert!(clock.meter.reserve(1, earlier, clock.mono_ns).is_err());
    clock.settle(late, 5);
    assert_eq!(clock.meter.level(earlier, clock.mono_ns).used, 95);
    assert_eq!(clock.used(), 100);
}

#[test]
fn concurrency_comes_back_whole() {
    let clock = Clocked::new(concurrency(2), 0);
    let (a, b) = (clock.reserve(1).expect("room"), clock.reserve(1).expect("room"));
    let shortage = clock.meter.reserve(1, 0, 0).expect_err("two are held");
    assert_eq!((shortage.used, shortage.retry_after_ns), (2, Some(1_000_000_000)));
    clock.settle(a, 7);
    assert_eq!(clock.used(), 1);
    clock.settle(b, 0);
    assert_eq!(clock.used(), 0);
}

#[test]
fn what_reports_refuses_nothing_and_counts_what_it_would_have() {
    for window in every_window() {
        let soft = MeterSpec { mode: Mode::Report, ..spec(100, window.clone()) };
        let clock =
            Clocked::new(MeterState::new(&soft).expect("a good specification"), utc("2026-05-13T10:30:00"));
        for _ in 0..3 {
            assert!(clock.use_up(60), "{window:?}");
        }
        let level = clock.meter.level(clock.wall_ms, clock.mono_ns);
        assert_eq!((level.refused, level.remaining()), (2, 0), "{window:?}");
        if !matches!(window, WindowSpec::Rate { .. }) {
            assert_eq!(level.used, 180, "{window:?}");
        }
        let dear = clock.reserve(1_000).expect("nothing is refused");
        clock.settle(dear, 0);
        let reservation = clock.reserve(i64::MAX).expect("nothing is refused");
        clock.settle(reservation, i64::MAX);
    }
}

#[test]
fn a_new_limit_keeps_what_is_counted() {
    let clock = Clocked::new(meter(100, fixed(HOUR_MS)), utc("2026-05-13T10:30:00"));
    assert!(clock.use_up(80));
    assert_eq!(clock.meter.set_spec(&spec(50, fixed(HOUR_MS))), Ok(true));
    assert!(clock.reserve(1).is_none());
    assert_eq!(clock.meter.set_spec(&spec(90, fixed(HOUR_MS))), Ok(true));
    assert!(clock.reserve(11).is_none() && clock.use_up(10));
    let soft = MeterSpec { mode: Mode::Report, ..spec(90, fixed(HOUR_MS)) };
    assert_eq!(clock.meter.set_spec(&soft), Ok(true));
    assert!(clock.use_up(10));
    assert_eq!(clock.meter.set_spec(&spec(1_000, fixed(DAY_MS))), Ok(false), "another window");
    let held = MeterSpec { measure: Measure::Concurrency, ..spec(1_000, fixed(HOUR_MS)) };
    assert_eq!(clock.meter.set_spec(&held), Ok(false), "another measure");
    assert_eq!(clock.meter.set_spec(&spec(-1, fixed(HOUR_MS))), Err(SpecError::Limit(-1)));
    assert_eq!((clock.used(), clock.meter.level(clock.wall_ms, 0).limit), (100, 90));
}

#[test]
fn what_was_used_before_is_counted_where_its_window_is_open() {
    let wall = utc("2026-05-13T10:30:00");
    let mono_ns = 1_000;
    for window in [fixed(HOUR_MS), calendar(CalendarUnit::Day, "Europe/Berlin"), WindowSpec::Ever] {
        let clock = Clocked::new(meter(100, window.clone()), wall);
        clock.meter.preload(wall - 10 * MINUTE_MS, 70, wall, mono_ns);
        assert_eq!(clock.used(), 70, "{window:?}");
        assert!(clock.reserve(31).is_none() && clock.use_up(30));
        clock.meter.preload(wall, i64::MAX, wall, mono_ns);
        assert_eq!(clock.used(), i64::MAX, "sums have an end: {window:?}");
    }
    let clock = Clocked::new(meter(100, fixed(HOUR_MS)), wall);
    clock.meter.preload(wall - HOUR_MS, 70, wall, mono_ns);
    assert_eq!(clock.used(), 0, "of the hour before");
    let mut clock = Clocked::new(meter(100, fixed(HOUR_MS)), wall);
    assert!(clock.use_up(1));
    clock.wait(HOUR_MS);
    assert!(clock.use_up(2));
    clock.meter.preload(wall - 5 * HOUR_MS, 70, clock.wall_ms, mono_ns);
    assert_eq!(clock.used(), 2, "of an hour that is long gone");
    clock.meter.preload(clock.wall_ms + HOUR_MS, 70, clock.wall_ms, mono_ns);
    clock.wait(HOUR_MS);
    assert_eq!(clock.used(), 70, "of the hour that is next, by a clock that was set back");
    let sliding =
        Clocked { mono_ns, ..Clocked::new(meter(100, WindowSpec::Sliding { period_ms: HOUR_MS }), wall) };
    sliding.meter.preload(wall - 2 * HOUR_MS, 70, wall, mono_ns);
    assert_eq!(sliding.used(), 0);
    sliding.meter.preload(wall - 50 * MINUTE_MS, 70, wall, mono_ns);
    assert_eq!(sliding.used(), 70);
    let rate = Clocked { mono_ns, ..Clocked::new(meter(100, WindowSpec::Rate { period_ms: HOUR_MS }), wall) };
    rate.meter.preload(wall - 30 * MINUTE_MS, 70, wall, mono_ns);
    assert_eq!(rate.used(), 20, "half an hour brings 50 back");
}

#[test]
fn levels_name_their_window() {
    let wall = utc("2026-02-10T12:00:00");
    let level = |window| meter(100, window).level(wall, 0);
    let span = |level: Level| (level.window_start_ms, level.window_end_ms);
    let month = level(calendar(CalendarUnit::Month, "America/New_York"));
    assert_eq!(span(month), (Some(utc("2026-02-01T05:00:00")), Some(utc("2026-03-01T05:00:00"))));
    assert_eq!((month.used, month.remaining(), month.reset_ms), (0, 100, month.window_end_ms));
    let sliding = level(WindowSpec::Sliding { period_ms: HOUR_MS });
    assert_eq!(span(sliding), (Some(wall - HOUR_MS), Some(wall)));
    assert_eq!(span(level(WindowSpec::Ever)), (None, None));
    assert_eq!(level(WindowSpec::Rate { period_ms: HOUR_MS }).reset_ms, Some(wall));
    let anchored = WindowSpec::Fixed { period_ms: 30 * DAY_MS, anchor_ms: utc("2027-01-01T00:00:00") };
    let begins = utc("2027-01-01T00:00:00") - 11 * 30 * DAY_MS;
    assert_eq!(span(level(anchored)), (Some(begins), Some(begins + 30 * DAY_MS)), "an anchor in the future");
}

#[test]
fn bad_specifications_are_named() {
    let cases: Vec<(MeterSpec, &str)> = vec![
        (spec(-1, WindowSpec::Ever), "a limit of -1"),
        (spec(MAX_LIMIT + 1, WindowSpec::Ever), "a limit of 9000000000000000001"),
        (
            spec(1, calendar(CalendarUnit::Day, "Europe/Atlantis")),
            "no time zone is named \"Europe/Atlantis\"",
        ),
        (spec(1, calendar(CalendarUnit::Day, "")), "no time zone is named \"\""),
        (spec(1, calendar(CalendarUnit::Day, "Etc/Unknown")), "no time zone is named"),
        (spec(1, calendar(CalendarUnit::Day, "../../etc/localtime")), "no time zone is named"),
        (spec(1, fixed(0)), "a period of 0 ms"),
        (spec(1, fixed(u64::MAX)), "a period of"),
        (spec(1, fixed(1_500)), "1500 ms are not whole seconds"),
        (spec(1, WindowSpec::Fixed { period_ms: 1_000, anchor_ms: 1 }), "1 ms are not whole seconds"),
        (spec(1, WindowSpec::Sliding { period_ms: 0 }), "a period of 0 ms"),
        (spec(1, WindowSpec::Rate { period_ms: 0 }), "a period of 0 ms"),
        (spec(1, WindowSpec::Rate { period_ms: 367 * DAY_MS }), "a period of"),
    ];
    for (spec, expected) in cases {
        let error = MeterState::new(&spec).expect_err(expected).to_string();
        assert!(error.contains(expected), "{error}");
    }
    assert!(MeterState::new(&spec(MAX_LIMIT, calendar(CalendarUnit::Year, "europe/berlin"))).is_ok());
    let unused = MeterSpec { measure: Measure::Concurrency, ..spec(1, fixed(0)) };
    assert!(MeterState::new(&unused).is_ok(), "a window that is not looked at");
}

#[test]
fn counters_need_no_lock() {
    assert!(portable_atomic::AtomicU128::is_lock_free());
}
