//! Time zones, for stamps that do not name one.

use super::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::{AmbiguousOffset, TimeZone};
use serde::Deserialize;
use std::fmt;
use std::str::FromStr;

/// A time zone by its IANA name; UTC by default.
#[derive(Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct Zone {
    zone: TimeZone,
    is_utc: bool,
    name: Box<str>,
}

/// Why a text is no [`Zone`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no time zone: write an IANA name, as in UTC, Europe/Berlin, America/New_York")]
pub struct ZoneError(String);

/// Why a clock's reading is no moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ambiguity {
    /// Clocks went forward over it.
    Gap,
    /// Clocks went back over it: it was there twice.
    Fold,
}

impl Zone {
    /// Clocks that are never put forward or back, of no place: for who only compares stamps.
    #[must_use]
    pub fn nowhere() -> Self {
        Self { name: "".into(), ..Self::default() }
    }

    /// Whether it is of no place.
    #[must_use]
    pub fn is_nowhere(&self) -> bool {
        self.name.is_empty()
    }

    /// The moment at which clocks of this zone show `reading`.
    ///
    /// # Errors
    /// When they never do, or do twice.
    pub fn moment(&self, reading: DateTime) -> Result<Timestamp, Ambiguity> {
        let utc = millis(reading);
        if self.is_utc {
            return Ok(Timestamp::from_millis(utc));
        }
        match self.zone.to_ambiguous_timestamp(reading).offset() {
            AmbiguousOffset::Unambiguous { offset } => {
                Ok(Timestamp::from_millis(utc - i64::from(offset.seconds()) * 1000))
            }
            AmbiguousOffset::Gap { .. } => Err(Ambiguity::Gap),
            AmbiguousOffset::Fold { .. } => Err(Ambiguity::Fold),
        }
    }

    /// The first moment of a day: midnight, or where clocks go forward over that, the moment at which they do.
    #[must_use]
    pub fn start_of_day(&self, date: Date) -> Timestamp {
        let midnight = date.to_datetime(jiff::civil::Time::midnight());
        let utc = millis(midnight);
        if self.is_utc {
            return Timestamp::from_millis(utc);
        }
        let ambiguous = self.zone.to_ambiguous_timestamp(midnight);
        let offset = match ambiguous.offset() {
            AmbiguousOffset::Unambiguous { offset } => offset,
            AmbiguousOffset::Gap { before, .. } | AmbiguousOffset::Fold { before, .. } => before,
        };
        Timestamp::from_millis(utc - i64::from(offset.seconds()) * 1000)
    }
}

/// Milliseconds since 1970, were the reading one of UTC.
fn millis(reading: DateTime) -> i64 {
    let days = i64::from(reading.date().since(Date::constant(1970, 1, 1)).map_or(0, |span| span.get_days()));
    let time = reading.time();
    let (hour, minute, second) = (i64::from(time.hour()), i64::from(time.minute()), i64::from(time.second()));
    ((days * 24 + hour) * 60 + minute) * 60_000 + second * 1000 + i64::from(time.millisecond())
}

impl Default for Zone {
    fn default() -> Self {
        Self { zone: TimeZone::UTC, is_utc: true, name: "UTC".into() }
    }
}

impl FromStr for Zone {
    type Err = ZoneError;

    fn from_str(name: &str) -> Result<Self, ZoneError> {
        let zone = TimeZone::get(name).map_err(|_| ZoneError(name.to_owned()))?;
        let is_utc = zone.to_fixed_offset().is_ok_and(|offset| offset == jiff::tz::Offset::UTC);
        Ok(Self { zone, is_utc, name: name.into() })
    }
}

impl TryFrom<String> for Zone {
    type Error = ZoneError;

    fn try_from(name: String) -> Result<Self, ZoneError> {
        name.parse()
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::{date, datetime};

    #[test]
    fn clocks_are_read_as_their_zone_has_them() {
        let utc = Zone::default();
        let berlin: Zone = "Europe/Berlin".parse().unwrap();
        let at = |zone: &Zone, reading| zone.moment(reading).map(|at| at.to_string());
        let winter = datetime(2023, 1, 31, 12, 30, 5, 250_000_000);
        assert_eq!(at(&utc, winter), Ok("2023-01-31T12:30:05.250Z".to_owned()));
        assert_eq!(at(&berlin, winter), Ok("2023-01-31T11:30:05.250Z".to_owned()));
        assert_eq!(at(&berlin, datetime(2023, 7, 1, 0, 0, 0, 0)), Ok("2023-06-30T22:00:00.000Z".to_owned()));
        assert_eq!(at(&berlin, datetime(2023, 3, 26, 2, 30, 0, 0)), Err(Ambiguity::Gap));
        assert_eq!(at(&berlin, datetime(2023, 10, 29, 2, 30, 0, 0)), Err(Ambiguity::Fold));
        assert_eq!(at(&utc, datetime(2023, 10, 29, 2, 30, 0, 0)), Ok("2023-10-29T02:30:00.000Z".to_owned()));
        for name in ["Etc/UTC", "GMT", "utc"] {
            assert_eq!(at(&name.parse().unwrap(), winter), at(&utc, winter), "{name}");
        }
    }

    #[test]
    fn a_day_begins_where_clocks_begin_it() {
        let length = |zone: &str, day: Date| {
            let zone: Zone = zone.parse().unwrap();
            (zone.start_of_day(day.tomorrow().unwrap()).millis() - zone.start_of_day(day).millis()) / 3_600_000
        };
        assert_eq!(length("UTC", date(2023, 3, 26)), 24);
        assert_eq!([length("Europe/Berlin", date(2023, 3, 26)), length("Europe/Berlin", date(2023, 10, 29))], [23, 25]);
        // Clocks of Santiago go forward at midnight.
        assert_eq!(
            [length("America/Santiago", date(2023, 9, 2)), length("America/Santiago", date(2023, 9, 3))],
            [24, 23]
        );
    }

    #[test]
    fn other_names_are_refused() {
        for name in ["", "Mars/Olympus", "CEST", "+01:00"] {
            assert!(name.parse::<Zone>().unwrap_err().to_string().contains("IANA"), "{name}");
        }
    }
}
