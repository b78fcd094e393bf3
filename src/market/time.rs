//! Event time: stamps, spans and steps.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Milliseconds since the Unix epoch, UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

/// 2000-01-01T00:00:00Z: the first stamp that a tick may carry.
pub const TIMESTAMP_MIN: Timestamp = Timestamp(946_684_800_000);
/// 2100-01-01T00:00:00Z: the first stamp that a tick may no longer carry.
pub const TIMESTAMP_END: Timestamp = Timestamp(4_102_444_800_000);

/// Why something is no stamp of a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    /// Neither RFC 3339 nor a number.
    #[error("is neither RFC 3339 nor epoch seconds, milliseconds, microseconds or nanoseconds")]
    NotATime,
    /// Before 2000 or after 2099.
    #[error("lies outside of the years 2000 to 2099")]
    OutOfRange,
}

impl Timestamp {
    /// Before every other.
    pub const MIN: Self = Self(i64::MIN);
    /// After every other.
    pub const MAX: Self = Self(i64::MAX);

    /// From milliseconds since the epoch.
    #[must_use]
    pub const fn from_millis(ms: i64) -> Self {
        Self(ms)
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// A stamp in seconds, milliseconds, microseconds or nanoseconds: the four ranges of 2000 to 2099 do not overlap.
    ///
    /// # Errors
    /// When it lies in none of them.
    pub fn from_epoch(value: i64) -> Result<Self, TimeError> {
        let ms = match value {
            0..=99_999_999_999 => value.checked_mul(1000),
            100_000_000_000..=99_999_999_999_999 => Some(value),
            100_000_000_000_000..=99_999_999_999_999_999 => Some(value / 1000),
            100_000_000_000_000_000.. => Some(value / 1_000_000),
            i64::MIN..=-1 => None,
        };
        ms.map(Self).ok_or(TimeError::OutOfRange)?.in_range()
    }

    /// Reads an epoch stamp in digits (a fraction is allowed, and cut to milliseconds), or RFC 3339.
    ///
    /// # Errors
    /// When it is neither, or out of range.
    pub fn parse(text: &[u8]) -> Result<Self, TimeError> {
        let text = std::str::from_utf8(text).map_err(|_| TimeError::NotATime)?;
        if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
            return text.parse().map_err(|_| TimeError::OutOfRange).and_then(Self::from_epoch);
        }
        if let Some((whole, fraction)) = text.split_once('.')
            && !whole.is_empty()
            && whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit())
        {
            let base = whole.parse().map_err(|_| TimeError::OutOfRange).and_then(Self::from_epoch)?;
            // Only seconds have a fraction that reaches milliseconds.
            let ms = if whole.len() <= 11 {
                fraction.bytes().chain(*b"000").take(3).fold(0, |sum, d| sum * 10 + i64::from(d - b'0'))
            } else {
                0
            };
            return Self(base.0 + ms).in_range();
        }
        let parsed = jiff::Timestamp::from_str(text).map_err(|_| TimeError::NotATime)?;
        Self(parsed.as_nanosecond().div_euclid(1_000_000) as i64).in_range()
    }

    fn in_range(self) -> Result<Self, TimeError> {
        if (TIMESTAMP_MIN..TIMESTAMP_END).contains(&self) { Ok(self) } else { Err(TimeError::OutOfRange) }
    }

    /// This stamp and `span` later; a broker's stamp may be any number, so the last one there is stays itself.
    #[must_use]
    pub const fn plus(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0))
    }

    /// Whether it lies at a whole number of `span` since the epoch.
    #[must_use]
    pub const fn is_multiple_of(self, span: Span) -> bool {
        span.0 > 0 && self.0.rem_euclid(span.0) == 0
    }

    /// This stamp and `span` earlier, the first one there is at the most.
    #[must_use]
    pub const fn minus(self, span: Span) -> Self {
        Self(self.0.saturating_sub(span.0))
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 with milliseconds: `2021-01-21T14:34:00.000Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(stamp) => write!(f, "{stamp:.3}"),
            Err(_) => write!(f, "{} ms", self.0),
        }
    }
}

/// A length of event time in milliseconds, positive or zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Span(i64);

/// Why a text is no [`Span`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no duration: write a whole number and a unit, as in 250ms, 5s, 1m, 1h, 1d")]
pub struct SpanError(String);

/// The longest [`Span`]: ten years.
const SPAN_MAX_MS: i64 = 10 * 366 * 86_400_000;
const UNITS: [(&str, i64); 5] = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

impl Span {
    /// From milliseconds.
    #[must_use]
    pub const fn from_millis(ms: i64) -> Self {
        Self(ms)
    }

    /// Milliseconds.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// As a wall-clock duration.
    #[must_use]
    pub const fn to_std(self) -> std::time::Duration {
        std::time::Duration::from_millis(self.0.unsigned_abs())
    }

    /// How many of `part` this is, where it is a multiple of it.
    #[must_use]
    pub fn in_units_of(self, part: Self) -> Option<i64> {
        (part.0 > 0 && self.0 % part.0 == 0).then(|| self.0 / part.0)
    }
}

impl FromStr for Span {
    type Err = SpanError;

    fn from_str(text: &str) -> Result<Self, SpanError> {
        let wrong = || SpanError(text.to_owned());
        let split = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let (number, unit) = text.split_at(split);
        let number: i64 = number.parse().map_err(|_| wrong())?;
        let (_, unit_ms) = UNITS.into_iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
        number.checked_mul(unit_ms).filter(|ms| *ms <= SPAN_MAX_MS).map(Self).ok_or_else(wrong)
    }
}

impl fmt::Display for Span {
    /// In the largest unit that divides it: 60 s are `1m`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = UNITS.into_iter().rev().find(|(_, ms)| self.0 != 0 && self.0 % ms == 0);
        let (unit, ms) = whole.unwrap_or(("s", 1000));
        f.pad(&format!("{}{unit}", self.0 / ms))
    }
}

impl TryFrom<String> for Span {
    type Error = SpanError;
    fn try_from(text: String) -> Result<Self, SpanError> {
        text.parse()
    }
}

impl From<Span> for String {
    fn from(span: Span) -> Self {
        span.to_string()
    }
}

/// Number of a step: step `n` ends at `n` times its length since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Step(i64);

impl Step {
    /// From its number.
    #[must_use]
    pub const fn from_number(number: i64) -> Self {
        Self(number)
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> i64 {
        self.0
    }

    /// The step of `length` that ends at `end`, where one does.
    #[must_use]
    pub const fn ending_at(end: Timestamp, length: Span) -> Option<Self> {
        if end.0 % length.0 == 0 { Some(Self(end.0 / length.0)) } else { None }
    }

    /// The last step of `length` that ends at or before `at`.
    #[must_use]
    pub const fn before(at: Timestamp, length: Span) -> Self {
        Self(at.0.div_euclid(length.0))
    }

    /// Its end, where steps have this length.
    #[must_use]
    pub const fn end(self, length: Span) -> Timestamp {
        Timestamp(self.0.saturating_mul(length.0))
    }

    /// The step after it.
    #[must_use]
    pub const fn following(self) -> Self {
        Self(self.0 + 1)
    }

    /// The step before it.
    #[must_use]
    pub const fn previous(self) -> Self {
        Self(self.0 - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_kind_of_stamp() {
        let expected = Timestamp(1_611_239_671_964);
        for text in [
            "2021-01-21T14:34:31.964034086Z",
            "2021-01-21T15:34:31.964+01:00",
            "1611239671964",
            "1611239671.964",
            "1611239671964034",
            "1611239671964034086",
        ] {
            assert_eq!(Timestamp::parse(text.as_bytes()), Ok(expected), "{text}");
        }
        assert_eq!(Timestamp::parse(b"1611239671").map(Timestamp::millis), Ok(1_611_239_671_000));
        assert_eq!(expected.to_string(), "2021-01-21T14:34:31.964Z");
        assert_eq!(Timestamp(1_611_239_640_000).to_string(), "2021-01-21T14:34:00.000Z");
    }

    #[test]
    fn refuses_other_centuries_and_nonsense() {
        for text in ["1999-12-31T23:59:59.999Z", "2100-01-01T00:00:00Z", "0", "4102444800", "99999999999999999999999"] {
            assert_eq!(Timestamp::parse(text.as_bytes()), Err(TimeError::OutOfRange), "{text}");
        }
        for text in ["", "yesterday", "2021-13-01T00:00:00Z", "-5", "1e9"] {
            assert_eq!(Timestamp::parse(text.as_bytes()), Err(TimeError::NotATime), "{text}");
        }
    }

    #[test]
    fn spans_read_and_show() {
        for (text, ms, shown) in [
            ("250ms", 250, "250ms"),
            ("5s", 5000, "5s"),
            ("60s", 60_000, "1m"),
            ("90m", 5_400_000, "90m"),
            ("24h", 86_400_000, "1d"),
            ("0s", 0, "0s"),
        ] {
            let span: Span = text.parse().unwrap();
            assert_eq!((span.millis(), span.to_string().as_str()), (ms, shown));
        }
        for text in ["", "5", "s", "5 s", "-5s", "1.5s", "5w", "99999999999d"] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
    }

    /// A broker's stamp is whatever its producer wrote.
    #[test]
    fn sums_stay_within_what_there_is() {
        let (last, first, hour) = (Timestamp(i64::MAX), Timestamp(i64::MIN), Span(3_600_000));
        assert_eq!((last.plus(hour), first.minus(hour)), (last, first));
    }

    #[test]
    fn steps_end_at_multiples_of_their_length() {
        let minute = Span(60_000);
        assert_eq!(Step::ending_at(Timestamp(120_000), minute), Some(Step(2)));
        assert_eq!(Step::ending_at(Timestamp(120_001), minute), None);
        assert_eq!(Step::before(Timestamp(179_999), minute), Step(2));
        assert_eq!(Step(2).end(minute), Timestamp(120_000));
        assert_eq!(Step(2).following().previous(), Step(2));
    }
}
