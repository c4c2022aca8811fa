//! The units of a calendar in a time zone, as spans of time without gap or overlap.
//!
//! Time zones come from the database that is compiled in: the same in every container, and nothing is read when a plan is
//! made. What is asked here costs about a microsecond, so that callers keep the span they are in.

use jiff::civil::{Date, DateTime, Weekday};
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};
use jiff::{Timestamp, ToSpan as _};

use super::spec::SpecError;

const HOUR_S: i64 = 3_600;

/// Unit of a calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CalendarUnit {
    /// 60 minutes from the full hour of the zone's clock. Where the clock changes by a part of an hour, the hours beside the
    /// change are shorter.
    Hour,
    /// From midnight, or the first moment there is where a change of clocks skips it. Where midnight comes twice, from the
    /// first.
    Day,
    /// From Monday.
    Week,
    /// From the first.
    Month,
    /// From the first of January, April, July or October.
    Quarter,
    /// From the first of January.
    Year,
}

/// A unit in a time zone.
#[derive(Clone, Debug)]
pub(super) struct Calendar {
    unit: CalendarUnit,
    zone: TimeZone,
}

/// From a moment to before another, in seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start_s: i64,
    pub(super) end_s: i64,
}

impl Span {
    fn contains(self, at_s: i64) -> bool {
        self.start_s <= at_s && at_s < self.end_s
    }
}

impl Calendar {
    /// # Errors
    /// [`SpecError::TimeZone`]
    pub(super) fn new(unit: CalendarUnit, time_zone: &str) -> Result<Self, SpecError> {
        match TimeZoneDatabase::bundled().get(time_zone) {
            Ok(zone) if !zone.is_unknown() => Ok(Self { unit, zone }),
            _ => Err(SpecError::TimeZone(time_zone.to_owned())),
        }
    }

    /// The unit that `at_s` is in. Where a date is out of the calendar's range (years beyond 9999) it is the one hour
    /// around the moment, which no caller gets to see: times are confined to four centuries before they come here.
    pub(super) fn span(&self, at_s: i64) -> Span {
        let span = match self.unit {
            CalendarUnit::Hour => self.hour(at_s),
            _ => self.dates(at_s),
        };
        span.unwrap_or(Span { start_s: at_s, end_s: at_s.saturating_add(HOUR_S) })
    }

    fn hour(&self, at_s: i64) -> Option<Span> {
        let at = Timestamp::from_second(at_s).ok()?;
        let offset = self.zone.to_offset(at);
        let local = at_s + i64::from(offset.seconds());
        let start_s = at_s - local.rem_euclid(HOUR_S);
        let end_s = start_s + HOUR_S;
        let (start, end) = (Timestamp::from_second(start_s).ok()?, Timestamp::from_second(end_s).ok()?);
        let changed = self.zone.to_offset(start) != offset;
        let changes = self.zone.to_offset(Timestamp::from_second(end_s - 1).ok()?) != offset;
        let from = if changed { self.change_before(at)? } else { start };
        let to = if changes { self.zone.following(at).next()?.timestamp() } else { end };
        Some(Span { start_s: from.as_second(), end_s: to.as_second() })
    }

    /// The last change of the zone's clock at or before `at`.
    fn change_before(&self, at: Timestamp) -> Option<Timestamp> {
        let after = at.checked_add(1.second()).ok()?;
        Some(self.zone.preceding(after).next()?.timestamp())
    }

    fn dates(&self, at_s: i64) -> Option<Span> {
        let at = Timestamp::from_second(at_s).ok()?;
        let first = first_date(self.unit, self.zone.to_datetime(at).date())?;
        let span = self.span_of(first)?;
        if span.contains(at_s) {
            return Some(span);
        }
        // The clock was set back over midnight: the local date is one day early, and its span has ended.
        let next = if at_s < span.start_s { before(self.unit, first)? } else { after(self.unit, first)? };
        let span = self.span_of(next)?;
        span.contains(at_s).then_some(span)
    }

    fn span_of(&self, first: Date) -> Option<Span> {
        let next = after(self.unit, first)?;
        Some(Span { start_s: self.beginning(first)?.as_second(), end_s: self.beginning(next)?.as_second() })
    }

    /// The first moment of a date, or of the one after where the zone skipped it.
    fn beginning(&self, date: Date) -> Option<Timestamp> {
        let midnight = DateTime::from_parts(date, jiff::civil::Time::midnight());
        let moment = self.zone.to_ambiguous_timestamp(midnight);
        let gap = matches!(moment.offset(), AmbiguousOffset::Gap { .. });
        let moment = moment.compatible().ok()?;
        if gap { self.change_before(moment) } else { Some(moment) }
    }
}

/// The first date of the unit that `date` is in.
fn first_date(unit: CalendarUnit, date: Date) -> Option<Date> {
    let month = match unit {
        CalendarUnit::Hour | CalendarUnit::Day => return Some(date),
        CalendarUnit::Week => {
            let days = date.weekday().since(Weekday::Monday);
            return date.checked_sub(i64::from(days).days()).ok();
        }
        CalendarUnit::Month => date.month(),
        CalendarUnit::Quarter => date.month() - (date.month() - 1) % 3,
        CalendarUnit::Year => 1,
    };
    Date::new(date.year(), month, 1).ok()
}

/// The first date of the next unit.
fn after(unit: CalendarUnit, first: Date) -> Option<Date> {
    first.checked_add(length(unit)).ok()
}

/// The first date of the unit before.
fn before(unit: CalendarUnit, first: Date) -> Option<Date> {
    first.checked_sub(length(unit)).ok()
}

fn length(unit: CalendarUnit) -> jiff::Span {
    match unit {
        CalendarUnit::Hour | CalendarUnit::Day => 1.day(),
        CalendarUnit::Week => 1.week(),
        CalendarUnit::Month => 1.month(),
        CalendarUnit::Quarter => 3.months(),
        CalendarUnit::Year => 1.year(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Clocks that go from 23:30 to 00:30: midnight is in the middle of what is skipped. No zone has done so since 2000.
    #[test]
    fn a_day_whose_midnight_is_skipped_begins_with_the_change() {
        let zone = TimeZone::posix("STD0DST-1,M3.2.6/23:30,M10.1.6/3").expect("a time zone");
        let calendar = Calendar { unit: CalendarUnit::Day, zone };
        let second = |text: &str| text.parse::<Timestamp>().expect("a moment").as_second();
        let change = second("2026-03-14T23:30:00Z");
        let saturday = Span { start_s: second("2026-03-14T00:00:00Z"), end_s: change };
        let sunday = Span { start_s: change, end_s: second("2026-03-15T23:00:00Z") };
        assert_eq!(calendar.span(change - 1), saturday);
        assert_eq!(calendar.span(change), sunday);
        assert_eq!(calendar.span(sunday.end_s - 1), sunday);
    }
}
