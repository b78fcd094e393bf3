//! Stamps as people write them, beside RFC 3339 and epochs.
//!
//! | written | read as |
//! |---|---|
//! | `2023-01-31 12:30`, `2023-01-31T12:30:05.25`, `2023/01/31 12:30:05` | clocks of `source.timezone`, said once |
//! | `2023-01-31D12:30:05.000000000` | the same: BitMEX |
//! | `2023-01-31 12:30:05 UTC`, `… GMT`, `…+00:00`, `…+0100`, `…-05` | with their zone |
//! | `01/31/2023 12:30`, `1/31/2023 12:30:05 PM` | month, day, year: the American order, said once |
//! | `2018-01-31 12-PM` | hours: CryptoDataDownload |
//! | `31-Jan-2023 12:30`, `Jan 31, 2023` | month by name, in English |
//! | `1.6725312e+12`, `1672531200.5` | an epoch stamp of that number |
//! | `2023-01-31`, `20230131`, `01/31/2023`, `Jan 31, 2023` | a day, which only a candle may have for its open |
//!
//! Clocks that a zone skips or shows twice are errors, as are days whose order nobody can tell (`01-02-2023`, `01.02.2023`) and
//! zones by letters other than UTC, GMT and Z, which mean different things in different places.

use super::stamp::Stamp;
use crate::market::fixed::{self, SCALE};
use crate::market::time::{TIMESTAMP_END, TIMESTAMP_MIN, TimeError};
use crate::market::zone::Ambiguity;
use crate::market::{Timestamp, Zone};
use jiff::civil::{Date, DateTime, Time};
use std::borrow::Cow;
use std::sync::Once;

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
/// The longest stamp that is looked at: every one above is shorter.
const BYTES_MAX: usize = 64;

static ZONE_SAID: Once = Once::new();
static ORDER_SAID: Once = Once::new();

/// Reads a stamp that is no plain one. Of what it does not know, nothing is allocated.
pub(super) fn read(text: &[u8], zone: &Zone) -> Result<Stamp, Wrong> {
    let text = text.trim_ascii();
    if text.len() > BYTES_MAX {
        return Err(Wrong::Unknown);
    }
    if text.len() == 8 && text.iter().all(u8::is_ascii_digit) {
        // As epoch seconds it lies in 1970, where no stamp does.
        let number = |from: usize, to: usize| text[from..to].iter().fold(0, |sum, b| sum * 10 + i16::from(b - b'0'));
        let date = Date::new(number(0, 4), number(4, 6) as i8, number(6, 8) as i8).map_err(|_| Wrong::Unknown)?;
        return in_range(date).map(Stamp::Day);
    }
    if let Some(moment) = exponent(text) {
        return moment.map(Stamp::Moment).map_err(|_| OUT_OF_RANGE);
    }
    let mut scan = Scan { rest: text };
    let date = scan.date()?;
    let Some(time) = scan.time()? else { return in_range(date).map(Stamp::Day) };
    let offset = scan.offset()?;
    let reading = DateTime::from_parts(date, time);
    let at = match offset {
        Some(seconds) => Zone::default().moment(reading).map(|at| Timestamp::from_millis(at.millis() - seconds * 1000)),
        None if zone.is_nowhere() => zone.moment(reading),
        None => {
            ZONE_SAID.call_once(|| tracing::info!("stamps without a zone are read as source.timezone = {zone}"));
            zone.moment(reading)
        }
    };
    let on_clocks =
        |what: &str| Wrong::Says(format!("{what} of {zone}: write it with its offset from UTC, as in +01:00").into());
    match at {
        Ok(at) if (TIMESTAMP_MIN..TIMESTAMP_END).contains(&at) => Ok(Stamp::Moment(at)),
        Ok(_) => Err(OUT_OF_RANGE),
        Err(Ambiguity::Gap) => Err(on_clocks("does not exist, since clocks go forward over it, on those")),
        Err(Ambiguity::Fold) => Err(on_clocks("is there twice, since clocks go back over it, on those")),
    }
}

/// An epoch stamp with an exponent; none where the text is no such number.
fn exponent(text: &[u8]) -> Option<Result<Timestamp, TimeError>> {
    if !text.first()?.is_ascii_digit() || !text.iter().any(|byte| matches!(byte, b'e' | b'E')) {
        return None;
    }
    let units = fixed::units(text).ok()?;
    let whole = i64::try_from(units / i128::from(SCALE)).map_err(|_| TimeError::OutOfRange);
    Some(whole.and_then(Timestamp::from_epoch).map(|at| {
        // Only seconds have a fraction that reaches milliseconds.
        let ms = if units < 100_000_000_000 * i128::from(SCALE) { units % i128::from(SCALE) / 100_000 } else { 0 };
        Timestamp::from_millis(at.millis() + ms as i64)
    }))
}

const OUT_OF_RANGE: Wrong = Wrong::Says(Cow::Borrowed("lies outside of the years 2000 to 2099"));

fn in_range(date: Date) -> Result<Date, Wrong> {
    if (2000..2100).contains(&date.year()) { Ok(date) } else { Err(OUT_OF_RANGE) }
}

/// Why something is no stamp.
#[derive(Debug)]
pub(super) enum Wrong {
    /// It looks like none.
    Unknown,
    /// It looks like one, but; to stand behind the stamp.
    Says(Cow<'static, str>),
}

const fn says<T>(why: &'static str) -> Result<T, Wrong> {
    Err(Wrong::Says(Cow::Borrowed(why)))
}

/// A place in a stamp.
struct Scan<'a> {
    rest: &'a [u8],
}

impl Scan<'_> {
    fn take(&mut self, byte: u8) -> bool {
        let here = self.rest.first() == Some(&byte);
        self.rest = &self.rest[usize::from(here)..];
        here
    }

    fn space(&mut self) {
        self.rest = self.rest.trim_ascii_start();
    }

    /// A number of up to `digits_max` digits, and how many it has.
    fn number(&mut self, digits_max: usize) -> Result<(i32, usize), Wrong> {
        let digits = self.rest.iter().take(digits_max + 1).take_while(|byte| byte.is_ascii_digit()).count();
        if digits == 0 || digits > digits_max {
            return Err(Wrong::Unknown);
        }
        let value = self.rest[..digits].iter().fold(0, |sum, byte| sum * 10 + i32::from(byte - b'0'));
        self.rest = &self.rest[digits..];
        Ok((value, digits))
    }

    /// A number of one or two digits.
    fn two(&mut self) -> Result<i8, Wrong> {
        self.number(2).map(|(value, _)| value as i8)
    }

    /// A word of letters, in lower case.
    fn word(&mut self) -> String {
        let letters = self.rest.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
        let word = String::from_utf8_lossy(&self.rest[..letters]).to_ascii_lowercase();
        self.rest = &self.rest[letters..];
        word
    }

    /// The number of a month by its name, whole or by its first three letters.
    fn month(&mut self) -> Result<i8, Wrong> {
        let word = self.word();
        let found = MONTHS
            .iter()
            .position(|name| *name == word || name[..3] == word || (word == "sept" && *name == "september"));
        found.map(|place| place as i8 + 1).ok_or(Wrong::Unknown)
    }

    fn date(&mut self) -> Result<Date, Wrong> {
        let (year, month, day) = if self.rest.first().is_some_and(u8::is_ascii_alphabetic) {
            // Jan 31, 2023
            let month = self.month()?;
            self.space();
            let day = self.two()?;
            self.take(b',');
            self.space();
            (self.number(4)?.0, month, day)
        } else {
            let (first, digits) = self.number(4)?;
            let between = *self.rest.first().ok_or(Wrong::Unknown)?;
            if !matches!(between, b'-' | b'/' | b'.' | b' ') {
                return Err(Wrong::Unknown);
            }
            self.rest = &self.rest[1..];
            if self.rest.first().is_some_and(u8::is_ascii_alphabetic) {
                // 31-Jan-2023, 2023-Jan-31
                let month = self.month()?;
                if !self.take(between) {
                    return Err(Wrong::Unknown);
                }
                let (last, _) = self.number(4)?;
                if digits == 4 { (first, month, i8::try_from(last).unwrap_or(0)) } else { (last, month, first as i8) }
            } else {
                let middle = self.two()?;
                if between == b' ' || !self.take(between) {
                    return Err(Wrong::Unknown);
                }
                let (last, last_digits) = self.number(4)?;
                match (digits, between, last_digits) {
                    (4, _, 1..=2) => (first, middle, last as i8),
                    (1..=2, b'/', 4) if first > 12 => {
                        return says(
                            "has no such month: days with / are read in the order month/day/year; write it as in 2023-01-31",
                        );
                    }
                    (1..=2, b'/', 4) => {
                        ORDER_SAID.call_once(|| {
                            tracing::info!("days such as 01/31/2023 are read in the order month/day/year");
                        });
                        (last, first as i8, middle)
                    }
                    (1..=2, _, 4) => {
                        return says("may mean month or day first: write it as in 2023-01-31");
                    }
                    _ => return Err(Wrong::Unknown),
                }
            }
        };
        let year = i16::try_from(year).map_err(|_| Wrong::Unknown)?;
        Date::new(year, month, day).or_else(|_| says("is no day of the calendar"))
    }

    /// The time of the day, where there is one.
    fn time(&mut self) -> Result<Option<Time>, Wrong> {
        let before = self.rest;
        self.take(b',');
        if !(self.take(b'T') || self.take(b't') || self.take(b'D') || self.take(b'_')) {
            self.space();
        }
        if self.rest.is_empty() && before.is_empty() {
            return Ok(None);
        }
        let mut hour = self.two()?;
        let (mut minute, mut second, mut nanos) = (0, 0, 0);
        let has_minutes = self.take(b':');
        if has_minutes {
            minute = self.two()?;
            if self.take(b':') {
                second = self.two()?;
                if self.take(b'.') || self.take(b',') {
                    let digits = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
                    if digits == 0 {
                        return Err(Wrong::Unknown);
                    }
                    let fraction = self.rest[..digits].iter().chain([b'0'; 9].iter()).take(9);
                    nanos = fraction.fold(0, |sum, byte| sum * 10 + i32::from(byte - b'0'));
                    self.rest = &self.rest[digits..];
                }
            }
        }
        let is_half = self.half_of_day();
        if !has_minutes && is_half.is_none() {
            return says("has an hour without minutes: write it as in 2023-01-31 12:00");
        }
        if let Some(afternoon) = is_half {
            if !(1..=12).contains(&hour) {
                return says("has AM or PM, and no hour from 1 to 12");
            }
            hour = hour % 12 + if afternoon { 12 } else { 0 };
        }
        Time::new(hour, minute, second, nanos).map(Some).or_else(|_| says("is no time of the day"))
    }

    /// AM or PM, with a blank or a hyphen before it: whether it is the latter.
    fn half_of_day(&mut self) -> Option<bool> {
        let rest = self.rest.trim_ascii_start();
        let rest = rest.strip_prefix(b"-").unwrap_or(rest);
        let half = [&b"AM"[..], b"PM"]
            .iter()
            .position(|half| rest.get(..2).is_some_and(|here| here.eq_ignore_ascii_case(half)))?;
        self.rest = &rest[2..];
        Some(half == 1)
    }

    /// Seconds east of Greenwich, where the stamp says; nothing may follow.
    fn offset(&mut self) -> Result<Option<i64>, Wrong> {
        self.space();
        let offset = match self.rest {
            [] => return Ok(None),
            [b'+' | b'-', ..] => {
                let sign = if self.take(b'-') { -1 } else { i64::from(self.take(b'+')) };
                let (hours, digits) = self.number(4)?;
                let (hours, minutes) = match digits {
                    4 => (hours / 100, hours % 100),
                    1..=2 if self.take(b':') => (hours, i32::from(self.two()?)),
                    1..=2 => (hours, 0),
                    _ => return Err(Wrong::Unknown),
                };
                if hours > 18 || minutes > 59 {
                    return Err(Wrong::Unknown);
                }
                sign * i64::from(hours * 3600 + minutes * 60)
            }
            rest => {
                const ZONES: [&[u8]; 3] = [b"UTC", b"GMT", b"Z"];
                let Some(zone) = ZONES.iter().find(|zone| rest.eq_ignore_ascii_case(zone)) else {
                    let letters = rest.iter().all(u8::is_ascii_alphabetic);
                    return if letters {
                        says(
                            "names a zone by letters, which mean different ones: write its offset as in +01:00, or leave it out and set source.timezone",
                        )
                    } else {
                        Err(Wrong::Unknown)
                    };
                };
                self.rest = &rest[zone.len()..];
                0
            }
        };
        if self.rest.is_empty() { Ok(Some(offset)) } else { Err(Wrong::Unknown) }
    }
}

#[cfg(test)]
#[path = "written_tests.rs"]
mod tests;
