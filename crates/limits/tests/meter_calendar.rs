//! Check 94: windows of a calendar over changes of clocks, ends of months, leap years and days that never were.

mod support;

use jiff::civil::Date;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{Timestamp, ToSpan as _};
use proptest::prelude::*;
use sluice_limits::meter::{CalendarUnit, MeterState};
use support::{DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, UNITS, ZONES, at, calendar, meter, utc};

fn span(meter: &MeterState, wall_ms: u64) -> (u64, u64) {
    let level = meter.level(wall_ms, 0);
    (level.window_start_ms.expect("a window"), level.window_end_ms.expect("a window"))
}

fn text((start, end): (u64, u64)) -> String {
    let show = |ms: u64| Timestamp::from_millisecond(ms.cast_signed()).expect("in range").to_string();
    format!("{} {}", show(start), show(end))
}

#[test]
fn check_94_edges_by_hand() {
    use CalendarUnit::{Day, Hour, Month, Quarter, Week, Year};
    let cases = [
        // The day clocks go forth has 23 hours, the day they go back 25.
        (Day, "Europe/Berlin", "2026-03-29T12:00:00", "2026-03-28T23:00:00Z 2026-03-29T22:00:00Z"),
        (Day, "Europe/Berlin", "2026-10-25T12:00:00", "2026-10-24T22:00:00Z 2026-10-25T23:00:00Z"),
        (Month, "Europe/Berlin", "2026-03-31T23:59:59", "2026-02-28T23:00:00Z 2026-03-31T22:00:00Z"),
        (Week, "Europe/Berlin", "2026-10-25T23:59:59", "2026-10-18T22:00:00Z 2026-10-25T23:00:00Z"),
        (Quarter, "Europe/Berlin", "2026-12-31T23:59:59", "2026-09-30T22:00:00Z 2026-12-31T23:00:00Z"),
        (Day, "America/New_York", "2026-03-08T12:00:00", "2026-03-08T05:00:00Z 2026-03-09T04:00:00Z"),
        (Day, "America/New_York", "2026-11-01T01:30:00", "2026-11-01T04:00:00Z 2026-11-02T05:00:00Z"),
        (Year, "America/New_York", "2026-07-04T00:00:00", "2026-01-01T05:00:00Z 2027-01-01T05:00:00Z"),
        // The hour that comes twice is two windows.
        (Hour, "Europe/Berlin", "2026-10-25T02:30:00", "2026-10-25T00:00:00Z 2026-10-25T01:00:00Z"),
        // By half an hour: at two the clock shows half past two, or half past one.
        (Day, "Australia/Lord_Howe", "2026-10-04T12:00:00", "2026-10-03T13:30:00Z 2026-10-04T13:00:00Z"),
        (Hour, "Australia/Lord_Howe", "2026-10-04T01:10:00", "2026-10-03T14:30:00Z 2026-10-03T15:30:00Z"),
        (Hour, "Australia/Lord_Howe", "2026-10-04T02:40:00", "2026-10-03T15:30:00Z 2026-10-03T16:00:00Z"),
        (Hour, "Australia/Lord_Howe", "2026-10-04T03:00:00", "2026-10-03T16:00:00Z 2026-10-03T17:00:00Z"),
        (Hour, "Australia/Lord_Howe", "2026-04-05T01:10:00", "2026-04-04T14:00:00Z 2026-04-04T15:00:00Z"),
        (Hour, "Asia/Kolkata", "2026-05-13T10:15:00", "2026-05-13T04:30:00Z 2026-05-13T05:30:00Z"),
        (Month, "Asia/Kolkata", "2026-02-01T00:00:00", "2026-01-31T18:30:00Z 2026-02-28T18:30:00Z"),
        // 30 December 2011 never was in Apia.
        (Day, "Pacific/Apia", "2011-12-29T12:00:00", "2011-12-29T10:00:00Z 2011-12-30T10:00:00Z"),
        (Day, "Pacific/Apia", "2011-12-31T00:00:00", "2011-12-30T10:00:00Z 2011-12-31T10:00:00Z"),
        (Month, "Pacific/Apia", "2011-12-31T12:00:00", "2011-12-01T10:00:00Z 2011-12-31T10:00:00Z"),
        (Week, "Pacific/Apia", "2011-12-31T12:00:00", "2011-12-26T10:00:00Z 2012-01-01T10:00:00Z"),
        // Midnight itself is skipped, or comes twice.
        (Day, "America/Sao_Paulo", "2018-11-04T12:00:00", "2018-11-04T03:00:00Z 2018-11-05T02:00:00Z"),
        (Day, "Africa/Cairo", "2026-04-24T12:00:00", "2026-04-23T22:00:00Z 2026-04-24T21:00:00Z"),
        (Day, "Africa/Cairo", "2026-10-29T12:00:00", "2026-10-28T21:00:00Z 2026-10-29T22:00:00Z"),
        // A minute after midnight the clock is set back to before it: the new day has begun and stays.
        (Day, "America/St_Johns", "2010-11-06T12:00:00", "2010-11-06T02:30:00Z 2010-11-07T02:30:00Z"),
        (Day, "America/St_Johns", "2010-11-07T12:00:00", "2010-11-07T02:30:00Z 2010-11-08T03:30:00Z"),
        // Leap years.
        (Month, "UTC", "2028-02-29T23:59:59", "2028-02-01T00:00:00Z 2028-03-01T00:00:00Z"),
        (Month, "UTC", "2100-02-28T23:59:59", "2100-02-01T00:00:00Z 2100-03-01T00:00:00Z"),
        (Year, "UTC", "2028-12-31T23:59:59", "2028-01-01T00:00:00Z 2029-01-01T00:00:00Z"),
        (Week, "UTC", "2027-01-01T00:00:00", "2026-12-28T00:00:00Z 2027-01-04T00:00:00Z"),
    ];
    for (unit, zone, local, expected) in cases {
        let meter = meter(1, calendar(unit, zone));
        assert_eq!(text(span(&meter, at(local, zone))), expected, "{unit:?} of {local} in {zone}");
    }
}

/// The second time that the clock shows 23:30 of the old day it is the new day's window all the same.
#[test]
fn the_local_date_can_go_back() {
    let meter = meter(1, calendar(CalendarUnit::Day, "America/St_Johns"));
    let set_back = utc("2010-11-07T02:31:00");
    for wall_ms in [set_back - 1, set_back, set_back + HOUR_MS - 1, set_back + HOUR_MS] {
        assert_eq!(text(span(&meter, wall_ms)), "2010-11-07T02:30:00Z 2010-11-08T03:30:00Z");
    }
}

/// Clocks that are not set show the first or the last window there is, and nothing breaks.
#[test]
fn clocks_that_are_not_set() {
    for unit in UNITS {
        let meter = meter(10, calendar(unit, "Europe/Berlin"));
        for wall_ms in [0, 1, u64::MAX / 2, u64::MAX] {
            let (start, end) = span(&meter, wall_ms);
            assert!(start < end && start > utc("1998-12-01T00:00:00") && end < utc("2501-12-31T00:00:00"));
            let reservation = meter.reserve(1, wall_ms, 0).expect("room");
            meter.settle(reservation, 0, 0);
        }
    }
}

fn zone(name: &str) -> TimeZone {
    TimeZoneDatabase::bundled().get(name).expect("a zone")
}

/// Moments near which something happens, and any others.
fn moments() -> impl Strategy<Value = u64> {
    let special = prop::sample::select(vec![
        utc("2026-03-29T01:00:00"),
        utc("2026-10-25T01:00:00"),
        utc("2026-03-08T07:00:00"),
        utc("2026-11-01T06:00:00"),
        utc("2026-04-04T15:00:00"),
        utc("2026-10-03T15:30:00"),
        utc("2011-12-30T10:00:00"),
        utc("2010-11-07T02:31:00"),
        utc("2018-11-04T03:00:00"),
        utc("2026-04-23T22:00:00"),
        utc("2028-03-01T00:00:00"),
        utc("2027-01-01T00:00:00"),
    ]);
    let near = (special, 0..4 * HOUR_MS).prop_map(|(at, off)| at + off - 2 * HOUR_MS);
    prop_oneof![near, utc("2001-02-01T00:00:00")..utc("2200-01-01T00:00:00")]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(3_000) })]

    /// Every moment is in exactly one window: they touch, and all moments of one agree about it.
    #[test]
    fn check_94_windows_have_no_gap_and_no_overlap(
        name in prop::sample::select(ZONES.to_vec()),
        unit in prop::sample::select(UNITS.to_vec()),
        wall_ms in moments(),
        part in 0..1_000_u64,
    ) {
        let meter = meter(1, calendar(unit, name));
        let (start, end) = span(&meter, wall_ms);
        prop_assert!(start <= wall_ms && wall_ms < end);
        prop_assert_eq!(span(&meter, end).0, end, "the next begins where this one ends");
        prop_assert_eq!(span(&meter, start - 1).1, start, "and the one before ends where it begins");
        let within = start + (end - start - 1) * part / 1_000;
        prop_assert_eq!(span(&meter, within), (start, end));
        prop_assert_eq!((start % MINUTE_MS, end % MINUTE_MS), (0, 0), "whole minutes");
    }

    /// A window begins with the first moment of a first date, by a search that asks the zone for nothing but its offset.
    #[test]
    fn check_94_windows_begin_with_their_first_date(
        name in prop::sample::select(ZONES.to_vec()),
        unit in prop::sample::select(UNITS[1..].to_vec()),
        wall_ms in moments(),
    ) {
        let (start, end) = span(&meter(1, calendar(unit, name)), wall_ms);
        let (first, next) = (zone_date(name, start), zone_date(name, end));
        prop_assert!(zone_date(name, start - SECOND_MS) < first, "the first moment of its date");
        prop_assert!(zone_date(name, end - SECOND_MS) < next || name == "America/St_Johns");
        let skipped = name == "Pacific/Apia" && first == Date::constant(2011, 12, 31);
        prop_assert!(skipped || begins_unit(unit, first), "{unit:?} began on {first}");
        let longest = [1, 7, 31, 92, 366][UNITS[1..].iter().position(|u| *u == unit).expect("known")];
        prop_assert!(end - start <= longest * DAY_MS + 2 * HOUR_MS);
    }
}

fn zone_date(name: &str, at_ms: u64) -> Date {
    let at = Timestamp::from_millisecond(at_ms.cast_signed()).expect("in range");
    zone(name).to_datetime(at).date()
}

/// Whether a unit begins on a date, by comparing it with the day before.
fn begins_unit(unit: CalendarUnit, date: Date) -> bool {
    let before = date.yesterday().expect("in range");
    match unit {
        CalendarUnit::Hour | CalendarUnit::Day => true,
        CalendarUnit::Week => date.iso_week_date().week() != before.iso_week_date().week(),
        CalendarUnit::Month => date.month() != before.month(),
        CalendarUnit::Quarter => (date.month() - 1) / 3 != (before.month() - 1) / 3,
        CalendarUnit::Year => date.checked_sub(1.day()).expect("in range").year() != date.year(),
    }
}
