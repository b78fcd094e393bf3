//! Stamps as they usually come, read fast; everything else is left to [`Timestamp::parse`], which gives the same answers, and
//! what that does not know to `written`.

use super::written::{self, Wrong};
use crate::market::{Timestamp, Zone};
use jiff::civil::Date;

/// What a stamp says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stamp {
    /// A moment.
    Moment(Timestamp),
    /// A day, without a time.
    Day(Date),
}

/// Reads a stamp as people write them; `zone` is that of stamps that name none.
///
/// # Errors
/// What is wrong with it, to stand behind the stamp.
pub(super) fn read(text: &[u8], zone: &Zone) -> Result<Stamp, String> {
    match plain(text) {
        Some(at) => Ok(Stamp::Moment(at)),
        None => read_any(text, zone),
    }
}

/// Reads what nearly every stamp is; none where it is another, or out of range.
#[inline]
pub(super) fn plain(text: &[u8]) -> Option<Timestamp> {
    match epoch(text) {
        Some(value) => Timestamp::from_epoch(value).ok(),
        None => utc(text),
    }
}

/// Before [`Timestamp::parse`], which takes its time to refuse.
#[inline(never)]
fn read_any(text: &[u8], zone: &Zone) -> Result<Stamp, String> {
    match written::read(text, zone) {
        Ok(stamp) => Ok(stamp),
        Err(Wrong::Says(why)) => Err(why.into_owned()),
        Err(Wrong::Unknown) => Timestamp::parse(text).map(Stamp::Moment).map_err(|error| error.to_string()),
    }
}

/// Digits that an `i64` holds for sure.
#[inline]
fn epoch(text: &[u8]) -> Option<i64> {
    if !(1..=18).contains(&text.len()) {
        return None;
    }
    text.iter().try_fold(0_i64, |sum, b| b.is_ascii_digit().then(|| sum * 10 + i64::from(b - b'0')))
}

/// The unit of an epoch stamp, told by its size as [`Timestamp::from_epoch`] does; none of a text that is no such stamp.
pub(super) fn unit(text: &[u8]) -> Option<&'static str> {
    let digits = text.iter().all(u8::is_ascii_digit).then_some(text)?;
    let value = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Timestamp::from_epoch(value).ok()?;
    Some(match value {
        0..100_000_000_000 => "seconds",
        100_000_000_000..100_000_000_000_000 => "milliseconds",
        100_000_000_000_000..100_000_000_000_000_000 => "microseconds",
        _ => "nanoseconds",
    })
}

/// `2021-01-21T14:34:31.964034086Z`, with up to nine places, from 2000 to 2099.
#[inline]
fn utc(text: &[u8]) -> Option<Timestamp> {
    let (date, rest) = text.split_first_chunk::<19>()?;
    if [date[4], date[7], date[10], date[13], date[16]] != *b"--T::" || date[0..2] != *b"20" {
        return None;
    }
    let year = two(date, 2)?;
    let (month, day) = (two(date, 5)?, two(date, 8)?);
    let (hour, minute, second) = (two(date, 11)?, two(date, 14)?, two(date, 17)?);
    // Day of the year before each month begins, in a year that is not leap.
    const BEFORE: [i64; 13] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365];
    let leap = year % 4 == 0;
    if !(1..=12).contains(&month) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let (before, after) = (BEFORE[month as usize - 1], BEFORE[month as usize]);
    if day < 1 || day > after - before + i64::from(leap && month == 2) {
        return None;
    }
    // 10,957 days from 1970 to 2000; between 2000 and 2099 every fourth year is leap.
    let days = 10_957 + year * 365 + (year + 3) / 4 + before + i64::from(leap && month > 2) + day - 1;
    let seconds = days * 86_400 + hour * 3600 + minute * 60 + second;
    Some(Timestamp::from_millis(seconds * 1000 + fraction_ms(rest)?))
}

#[inline]
fn two(text: &[u8; 19], at: usize) -> Option<i64> {
    let (tens, ones) = (text[at].wrapping_sub(b'0'), text[at + 1].wrapping_sub(b'0'));
    (tens <= 9 && ones <= 9).then(|| i64::from(tens) * 10 + i64::from(ones))
}

/// `Z` or `.964034086Z`, cut to milliseconds.
#[inline]
fn fraction_ms(rest: &[u8]) -> Option<i64> {
    match rest {
        [b'Z'] => Some(0),
        [b'.', digits @ .., b'Z'] if (1..=9).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit) => {
            Some(digits.iter().take(3).zip([100, 10, 1]).map(|(d, unit)| i64::from(d - b'0') * unit).sum())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::time::TimeError;
    use proptest::prelude::*;

    /// The plain ones, and the full parser.
    fn parse(text: &[u8]) -> Result<Timestamp, TimeError> {
        if let Some(value) = epoch(text) {
            return Timestamp::from_epoch(value);
        }
        utc(text).map_or_else(|| Timestamp::parse(text), Ok)
    }

    #[test]
    fn every_day_of_the_century_is_right() {
        let mut ms = crate::market::time::TIMESTAMP_MIN.millis() + 45_296_789;
        while ms < crate::market::time::TIMESTAMP_END.millis() {
            let expected = Timestamp::from_millis(ms);
            assert_eq!(utc(expected.to_string().as_bytes()), Some(expected));
            ms += 86_400_000;
        }
    }

    #[test]
    fn leaves_the_rest_to_the_full_parser() {
        for text in ["2021-02-29T00:00:00Z", "2021-13-01T00:00:00Z", "1999-12-31T23:59:59Z", "2100-01-01T00:00:00Z", ""]
        {
            assert_eq!(utc(text.as_bytes()), None, "{text}");
            assert!(parse(text.as_bytes()).is_err(), "{text}");
        }
        assert_eq!(parse(b"2021-01-21T15:34:31.964+01:00").map(Timestamp::millis), Ok(1_611_239_671_964));
        assert_eq!(parse(b"1611239671.964").map(Timestamp::millis), Ok(1_611_239_671_964));
    }

    #[test]
    fn units_are_told_by_size() {
        for (text, expected) in [
            ("1611239671", Some("seconds")),
            ("1611239671964", Some("milliseconds")),
            ("1611239671964034", Some("microseconds")),
            ("1611239671964034086", Some("nanoseconds")),
            ("16112396719640340860000", None),
            ("1611", None),
            ("1611239671.5", None),
            ("", None),
        ] {
            assert_eq!(unit(text.as_bytes()), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_full_parser(text in "20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9](\\.[0-9]{0,10})?Z?") {
            prop_assert_eq!(parse(text.as_bytes()), Timestamp::parse(text.as_bytes()));
        }

        #[test]
        fn agrees_with_the_full_parser_on_numbers(text in "[0-9]{0,21}(\\.[0-9]{0,4})?") {
            prop_assert_eq!(parse(text.as_bytes()), Timestamp::parse(text.as_bytes()));
        }
    }
}
