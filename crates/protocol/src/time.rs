//! Points in time, as whole microseconds, and where they come from.

use serde::{Deserialize, Serialize};

const MICROS_PER_SECOND: i64 = 1_000_000;
const SECONDS_PER_DAY: i64 = 86_400;

/// A point in time: microseconds since 1970-01-01T00:00:00Z without leap seconds. Serialized as
/// that integer.
///
/// Arithmetic saturates, so that a hostile `exp` of `i64::MAX` is merely very late.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The point `micros` microseconds after the epoch.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// The point `seconds` seconds after the epoch: a `NumericDate` (RFC 7519 section 2).
    #[must_use]
    pub const fn from_unix_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(MICROS_PER_SECOND))
    }

    /// Microseconds since the epoch.
    #[must_use]
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down: a `NumericDate` (RFC 7519 section 2).
    #[must_use]
    pub const fn unix_seconds(self) -> i64 {
        self.0.div_euclid(MICROS_PER_SECOND)
    }

    /// `micros` later.
    #[must_use]
    pub const fn plus_micros(self, micros: i64) -> Self {
        Self(self.0.saturating_add(micros))
    }

    /// `seconds` later.
    #[must_use]
    pub const fn plus_seconds(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(MICROS_PER_SECOND)))
    }

    /// `seconds` earlier.
    #[must_use]
    pub const fn minus_seconds(self, seconds: i64) -> Self {
        Self(self.0.saturating_sub(seconds.saturating_mul(MICROS_PER_SECOND)))
    }

    /// Whole seconds from `earlier` to this point, rounded down; negative when this point is the
    /// earlier one.
    #[must_use]
    pub const fn seconds_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0).div_euclid(MICROS_PER_SECOND)
    }

    /// RFC 3339 in UTC with milliseconds, rounded down: `2026-01-05T09:00:00.000Z`. Four-digit
    /// years only are RFC 3339; others are written in full.
    #[must_use]
    pub fn to_rfc3339_millis(self) -> String {
        let seconds = self.unix_seconds();
        let millis = self.0.rem_euclid(MICROS_PER_SECOND) / 1_000;
        let (year, month, day) = civil_date(seconds.div_euclid(SECONDS_PER_DAY));
        let second_of_day = seconds.rem_euclid(SECONDS_PER_DAY);
        let (hour, minute, second) =
            (second_of_day / 3_600, second_of_day / 60 % 60, second_of_day % 60);
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
    }

    /// The time that a text in RFC 3339 names: in UTC, with or without a fraction, of which milliseconds are kept. A date alone is
    /// its first moment. Nothing if it is another text or names no time of the years 1970 to 9999.
    #[must_use]
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        let (date, time) = match text.split_once('T') {
            Some((date, time)) => (date, time.strip_suffix('Z')?),
            None => (text, "00:00:00"),
        };
        let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
        let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
        let [hour, minute, second] = numbers(time, ':', [2, 2, 2])?;
        if fraction.is_empty() || !fraction.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let millis: i64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
        let days = days_before(year, month, day)?;
        if hour > 23 || minute > 59 || second > 59 || year < 1970 {
            return None;
        }
        let seconds = days * SECONDS_PER_DAY + hour * 3_600 + minute * 60 + second;
        Some(Self(seconds * MICROS_PER_SECOND + millis * 1_000))
    }
}

/// Three numbers with exactly so many digits.
fn numbers(text: &str, separator: char, digits: [usize; 3]) -> Option<[i64; 3]> {
    let mut parts = text.split(separator);
    let mut numbers = [0; 3];
    for (number, digits) in numbers.iter_mut().zip(digits) {
        let part = parts.next()?;
        if part.len() != digits || !part.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        *number = part.parse().ok()?;
    }
    parts.next().is_none().then_some(numbers)
}

/// Days from 1970-01-01 to a date, if there is such a date: the inverse of [`civil_date`].
fn days_before(year: i64, month: i64, day: i64) -> Option<i64> {
    let (year_from_march, month_from_march) =
        if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let leap_days = year_from_march.div_euclid(4) - year_from_march.div_euclid(100)
        + year_from_march.div_euclid(400);
    let days = year_from_march * 365 + leap_days + day_of_year - 719_468;
    (civil_date(days) == (year, month, day)).then_some(days)
}

/// Year, month and day of the proleptic Gregorian calendar, from days since 1970-01-01.
///
/// Counts in years that begin on 1 March, so that the leap day is the last of its year, and in eras
/// of 400 years, after which the calendar repeats.
const fn civil_date(days_since_epoch: i64) -> (i64, i64, i64) {
    const DAYS_TO_EPOCH_FROM_1_MARCH_0000: i64 = 719_468;
    const DAYS_PER_ERA: i64 = 146_097;
    let days = days_since_epoch + DAYS_TO_EPOCH_FROM_1_MARCH_0000;
    let era = days.div_euclid(DAYS_PER_ERA);
    let day_of_era = days.rem_euclid(DAYS_PER_ERA);
    let leap_days = day_of_era / 1_460 - day_of_era / 36_524 + day_of_era / 146_096;
    let year_of_era = (day_of_era - leap_days) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // March to July and August to December have 153 days each.
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month, day)
}

/// Serializes a [`Timestamp`] as whole seconds, the `NumericDate` of RFC 7519: `#[serde(with =
/// "unix_seconds")]`.
pub mod unix_seconds {
    use serde::{Deserialize, Deserializer, Serializer};

    use super::Timestamp;

    /// Writes whole seconds, rounded down.
    pub fn serialize<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(at.unix_seconds())
    }

    /// Reads whole seconds. A fraction is refused.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        i64::deserialize(deserializer).map(Timestamp::from_unix_seconds)
    }
}

/// Where the time comes from. Code that decides takes a [`Timestamp`]; only compositions hold a
/// clock.
pub trait Clock: Send + Sync {
    /// The present, as this clock sees it.
    fn now(&self) -> Timestamp;
}

/// The clock of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is where the injected time comes from")]
    fn now(&self) -> Timestamp {
        let since_epoch = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            // A clock before 1970 is broken; the epoch is as good an answer as any.
            .unwrap_or_default();
        Timestamp(i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_dates_are_written_in_rfc_3339() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399, "2000-02-28T23:59:59.000Z"),
            (951_782_400, "2000-02-29T00:00:00.000Z"),
            (1_767_603_600, "2026-01-05T09:00:00.000Z"),
            (4_107_542_399, "2100-02-28T23:59:59.000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.000Z"),
        ] {
            assert_eq!(Timestamp::from_unix_seconds(seconds).to_rfc3339_millis(), expected);
        }
        assert_eq!(Timestamp::from_micros(1_999).to_rfc3339_millis(), "1970-01-01T00:00:00.001Z");
    }

    #[test]
    fn times_in_rfc_3339_are_read_and_nothing_else() {
        for (text, micros) in [
            ("1970-01-01", Some(0)),
            ("1970-01-01T00:00:01Z", Some(1_000_000)),
            ("1970-01-01T00:00:00.0015Z", Some(1_000)),
            ("2000-02-29T00:00:00.5Z", Some(951_782_400_500_000)),
            ("2001-02-29", None),
            ("2001-13-01", None),
            ("2001-00-01", None),
            ("2001-01-00", None),
            ("1969-12-31", None),
            ("70-01-01", None),
            ("1970-01-01T24:00:00Z", None),
            ("1970-01-01T00:00:00", None),
            ("1970-01-01T00:00:00+01:00", None),
            ("1970-01-01T00:00:00.Z", None),
            ("1970-01-01T00:00:00.-1Z", None),
            ("1970-01-01T00:00:00.äZ", None),
            ("1970-01-01-01", None),
            ("+970-01-01", None),
            ("", None),
        ] {
            assert_eq!(Timestamp::parse_rfc3339(text).map(Timestamp::micros), micros, "{text}");
        }
    }

    /// The days of all whole years and months before the date, counted one by one.
    fn days_by_counting(year: i64, month: i64, day: i64) -> i64 {
        let is_leap = |y: i64| y % 4 == 0 && (y % 100 != 0 || y % 400 == 0);
        let years: i64 = (1970..year).map(|y| if is_leap(y) { 366 } else { 365 }).sum();
        let february = if is_leap(year) { 29 } else { 28 };
        let lengths = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        let months: i64 = lengths.iter().take(usize::try_from(month - 1).unwrap()).sum();
        years + months + day - 1
    }

    proptest! {
        #[test]
        fn a_date_counts_back_to_its_day(days in 0_i64..200_000) {
            let (year, month, day) = civil_date(days);
            prop_assert_eq!(days_by_counting(year, month, day), days);
        }

        #[test]
        fn a_time_is_read_as_it_was_written(millis in 0_i64..253_402_300_799_999) {
            let at = Timestamp::from_micros(millis * 1_000);
            prop_assert_eq!(Timestamp::parse_rfc3339(&at.to_rfc3339_millis()), Some(at));
        }

        #[test]
        fn text_sorts_as_time_does(a in 0_i64..4_000_000_000, b in 0_i64..4_000_000_000) {
            let [a, b] = [a, b].map(Timestamp::from_unix_seconds);
            prop_assert_eq!(a.cmp(&b), a.to_rfc3339_millis().cmp(&b.to_rfc3339_millis()));
        }

        #[test]
        fn arithmetic_never_overflows(at: i64, seconds: i64) {
            let at = Timestamp::from_micros(at);
            let later = at.plus_seconds(seconds);
            let earlier = at.minus_seconds(seconds);
            prop_assert!(seconds < 0 || (earlier <= at && at <= later));
            prop_assert!(later.seconds_since(earlier) >= 0 || seconds < 0);
        }
    }
}
