//! Dates as signatures write them.

use std::fmt;

use super::SECONDS_PER_DAY;

/// A moment in UTC.
pub(super) struct Date {
    /// Days since 1970.
    pub(super) days: u64,
    second_of_day: u64,
    year: u64,
    month: u64,
    day_of_month: u64,
}

/// Days of 400 years, after which the calendar repeats.
const DAYS_PER_ERA: u64 = 146_097;

impl Date {
    /// The moment this many seconds after 1970 began.
    pub(super) fn of(now_s: u64) -> Self {
        let days = now_s / SECONDS_PER_DAY;
        // Years are counted from March, so that the day a leap year adds is the last of its year; and from the year 0,
        // 719,468 days before 1970.
        let shifted = days + 719_468;
        let (era, of_era) = (shifted / DAYS_PER_ERA, shifted % DAYS_PER_ERA);
        let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        // From March on, months have 31 and 30 days in turn, but for two in a row with 31: 153 days in five months.
        let march_month = (5 * of_year + 2) / 153;
        let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
        Self {
            days,
            second_of_day: now_s % SECONDS_PER_DAY,
            year: era * 400 + year_of_era + u64::from(month <= 2),
            month,
            day_of_month: of_year - (153 * march_month + 2) / 5 + 1,
        }
    }

    /// `YYYYMMDD`
    pub(super) fn day(&self) -> String {
        format!("{:04}{:02}{:02}", self.year, self.month, self.day_of_month)
    }

    /// `YYYYMMDDTHHMMSSZ`
    pub(super) fn time(&self) -> String {
        let (hour, minute) = (self.second_of_day / 3_600, self.second_of_day / 60 % 60);
        format!("{}T{hour:02}{minute:02}{:02}Z", self.day(), self.second_of_day % 60)
    }
}

/// A moment in milliseconds since 1970, written as `YYYY-MM-DDTHH:MM:SSZ` (RFC 3339), rounded up to the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rfc3339(pub u64);

impl Rfc3339 {
    /// Bytes of a date.
    pub const BYTES: usize = "YYYY-MM-DDTHH:MM:SSZ".len();

    /// The date in ASCII, without the machinery of formatting: answers carry it. What is past the year 9999 is written as
    /// its last year.
    #[must_use]
    pub fn to_ascii(self) -> [u8; Self::BYTES] {
        let Date { year, month, day_of_month, second_of_day, .. } = Date::of(self.0.div_ceil(1_000));
        let year = year.min(9_999);
        let mut out = *b"0000-00-00T00:00:00Z";
        let pairs = [
            (0, year / 100),
            (2, year % 100),
            (5, month),
            (8, day_of_month),
            (11, second_of_day / 3_600),
            (14, second_of_day / 60 % 60),
            (17, second_of_day % 60),
        ];
        for (at, pair) in pairs {
            out[at] += (pair / 10 % 10) as u8;
            out[at + 1] += (pair % 10) as u8;
        }
        out
    }
}

impl fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_ascii().iter().try_for_each(|byte| fmt::Write::write_char(f, char::from(*byte)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments() {
        let cases = [
            (0, "19700101T000000Z"),
            (951_782_399, "20000228T235959Z"),
            (951_782_400, "20000229T000000Z"),
            (951_868_800, "20000301T000000Z"),
            (1_440_938_160, "20150830T123600Z"),
            (1_735_689_599, "20241231T235959Z"),
            (1_735_689_600, "20250101T000000Z"),
            (4_107_542_400, "21000301T000000Z"),
        ];
        for (seconds, expected) in cases {
            assert_eq!(Date::of(seconds).time(), expected);
        }
        assert_eq!(Rfc3339(951_782_399_001).to_string(), "2000-02-29T00:00:00Z");
        assert_eq!(Rfc3339(1_735_689_599_000).to_string(), "2024-12-31T23:59:59Z");
        assert_eq!(Rfc3339(u64::MAX).to_string()[..5], *"9999-");
    }
}
