//! Days and months in UTC: what one file of an archive holds.

use crate::market::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use std::fmt;

const DAY_MS: i64 = 86_400_000;

/// A day or a whole month.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Period {
    /// Days since 1970.
    Day(i32),
    /// Months since January 1970.
    Month(i32),
}

/// The first day of a month, in days since 1970.
fn month_begin(month: i32) -> i32 {
    // Months of the years that stamps may lie in are days of a calendar.
    let (year, of_year) = (1970 + month.div_euclid(12), month.rem_euclid(12) + 1);
    let date = Date::new(year as i16, of_year as i8, 1).unwrap_or(Date::constant(1970, 1, 1));
    (date - Date::constant(1970, 1, 1)).get_days()
}

fn date(day: i32) -> Date {
    Date::constant(1970, 1, 1).saturating_add(jiff::Span::new().days(day))
}

impl Period {
    /// The day of a moment.
    #[must_use]
    pub const fn day_of(at: Timestamp) -> Self {
        Self::Day(at.millis().div_euclid(DAY_MS) as i32)
    }

    /// The month of a moment.
    #[must_use]
    pub fn month_of(at: Timestamp) -> Self {
        let date = date(at.millis().div_euclid(DAY_MS) as i32);
        Self::Month((i32::from(date.year()) - 1970) * 12 + i32::from(date.month()) - 1)
    }

    /// The one behind it, as long.
    #[must_use]
    pub const fn next(self) -> Self {
        match self {
            Self::Day(day) => Self::Day(day + 1),
            Self::Month(month) => Self::Month(month + 1),
        }
    }

    fn first_day(self) -> i32 {
        match self {
            Self::Day(day) => day,
            Self::Month(month) => month_begin(month),
        }
    }

    /// Its first moment.
    #[must_use]
    pub fn begin(self) -> Timestamp {
        Timestamp::from_millis(i64::from(self.first_day()) * DAY_MS)
    }

    /// The moment behind it.
    #[must_use]
    pub fn end(self) -> Timestamp {
        self.next().begin()
    }

    /// Its days.
    pub fn days(self) -> impl Iterator<Item = Self> {
        (self.first_day()..self.next().first_day()).map(Self::Day)
    }

    /// Year, month, and of a day its number.
    #[must_use]
    pub fn parts(self) -> (String, String, Option<String>) {
        let first = date(self.first_day());
        let day = matches!(self, Self::Day(_)).then(|| format!("{:02}", first.day()));
        (format!("{:04}", first.year()), format!("{:02}", first.month()), day)
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.parts();
        write!(f, "{year}-{month}")?;
        day.map_or(Ok(()), |day| write!(f, "-{day}"))
    }
}

/// The files that hold [from, to): of each whole month one, where `with_months`, else one a day.
#[must_use]
pub fn periods(from: Timestamp, to: Timestamp, with_months: bool) -> Vec<Period> {
    let mut found = Vec::new();
    let mut at = from;
    while at < to {
        let month = Period::month_of(at);
        let is_whole = with_months && month.begin() >= from && month.end() <= to;
        let next = if is_whole { month } else { Period::day_of(at) };
        found.push(next);
        at = next.end();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn whole_months_are_months_and_the_rest_is_days() {
        let shown = |from, to, months| {
            periods(at(from), at(to), months).iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
        };
        let (from, to) = ("2023-12-30T05:00:00Z", "2024-03-02T00:00:01Z");
        assert_eq!(shown(from, to, true), "2023-12-30 2023-12-31 2024-01 2024-02 2024-03-01 2024-03-02");
        assert_eq!(shown(from, "2024-01-01T00:00:00Z", false), "2023-12-30 2023-12-31");
        assert_eq!(shown("2024-02-01T00:00:00Z", "2024-03-01T00:00:00Z", true), "2024-02");
        assert_eq!(shown("2024-02-01T00:00:00.001Z", "2024-02-03T00:00:00Z", true), "2024-02-01 2024-02-02");
        assert_eq!(Period::month_of(at(to)).days().count(), 31);
        assert_eq!(Period::month_of(at("2024-02-29T12:00:00Z")).end(), at("2024-03-01T00:00:00Z"));
    }
}
