//! A look at a file's first records: how long its candles are, and whether it runs backwards.
//!
//! A candle is known at its close. Where neither it nor the configuration says how long it is, the least spacing of opens does:
//! no candle is longer than the time to the next. A length that is given has to fit the spacing, else a forecast might know
//! a close before its time.

use crate::formats::Decoder;
use crate::market::{Observation, Quote, Span, SymbolId, SymbolTable, Timestamp, Zone};
use std::collections::BTreeMap;

/// Rows that are looked at.
pub(super) const ROWS_MAX: usize = 1000;
/// Bytes of rows that are kept for it: rows of JSON may be long.
pub(super) const BYTES_MAX: usize = 8 << 20;
/// Steps back that make a file one that runs backwards, where none leads on. Fewer do in a file that has no more rows.
const FALLS_MIN: usize = 10;
const FALLS_MIN_OF_ALL: usize = 3;
/// Spacings that a given interval has to be the greatest common divisor of; of fewer it may be by chance a divisor only.
const SPACINGS_MIN: usize = 3;
/// Of candles that do not say it, while they are looked at: no candle says that itself.
const UNSAID: Span = Span::from_millis(0);
const DAY: Span = Span::from_millis(86_400_000);

/// What the first records say.
#[derive(Debug, Default)]
pub(super) struct Look {
    symbols: SymbolTable,
    series: BTreeMap<SymbolId, Series>,
    observed: Vec<Observation>,
    /// Whether the only stamp so far is a date without a time.
    is_date: bool,
    /// The first open.
    first_open: Option<Timestamp>,
    /// The first record that lies before the one in front of it.
    fall: Option<(Timestamp, Timestamp)>,
    rises: usize,
    falls: usize,
}

/// What is seen of a symbol.
#[derive(Debug, Default)]
struct Series {
    /// The opens of candles that do not say how long they are.
    opens: Vec<Timestamp>,
    last: Option<Timestamp>,
}

/// What a look finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Interval {
    /// The interval of candles that do not say it.
    pub span: Span,
    /// Where it comes from.
    pub origin: Origin,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The least spacing of opens; whether it divides all others.
    Spacing(bool),
    /// The only candle has a date without a time.
    Date,
}

impl Look {
    /// A decoder that tells candles that say how long they are from others.
    pub(super) fn decoder(decoder: &Decoder) -> Decoder {
        // By clocks that are never put forward or back: days have 24 hours.
        decoder.clone().with_interval(Some(UNSAID)).with_zone(Zone::nowhere())
    }

    /// Takes a row; what does not decode says nothing.
    pub(super) fn take(&mut self, decoder: &mut Decoder, row: &[u8]) {
        self.observed.clear();
        if decoder.decode(None, row, &mut self.symbols, &mut self.observed).is_err() {
            self.observed.clear();
        }
        // Within one record there may be any order.
        self.observed.sort_by_key(|seen| (seen.symbol, seen.at));
        let mut before = None;
        for seen in &self.observed {
            let series = self.series.entry(seen.symbol).or_default();
            let mut at = seen.at;
            if matches!(seen.quote, Quote::Candle { interval: UNSAID, .. }) {
                let open = at.plus(Span::from_millis(1));
                at = open;
                self.is_date = self.first_open.is_none() && decoder.stamp_text(row).is_some_and(is_date);
                self.first_open.get_or_insert(open);
                series.opens.push(open);
            }
            if before.replace(seen.symbol) != Some(seen.symbol) {
                match series.last.replace(at) {
                    Some(last) if at > last => self.rises += 1,
                    Some(last) if at < last => {
                        self.falls += 1;
                        self.fall.get_or_insert((last, at));
                    }
                    _ => {}
                }
            }
        }
    }

    /// Whether further rows would say no more.
    pub(super) fn is_decided(&self) -> bool {
        self.rises > 0 && self.first_open.is_none()
    }

    /// Why the file cannot be read in its order, if it runs backwards. `whole`: all its rows were looked at.
    pub(super) fn backwards(&self, whole: bool) -> Option<(Timestamp, Timestamp)> {
        let least = if whole { FALLS_MIN_OF_ALL } else { FALLS_MIN };
        self.fall.filter(|_| self.rises == 0 && self.falls >= least)
    }

    /// The interval of candles that do not say it; none where there are no such candles, or the configuration gives it.
    ///
    /// # Errors
    /// When it can be told from nothing, or what is given contradicts the spacing.
    pub(super) fn interval(&self, given: Option<Span>) -> Result<Option<Interval>, String> {
        let Some(first) = self.first_open else { return Ok(None) };
        let spacings = self.spacings();
        let least = spacings.iter().copied().min();
        let divisor = spacings.iter().copied().fold(0, gcd);
        let span = Span::from_millis;
        if let (Some(given), Some(least)) = (given, least) {
            let ms = given.millis();
            if least < ms {
                return Err(format!(
                    "its candles open {} apart, but source.interval is {given}: set it to {}, or leave it out",
                    span(least),
                    span(divisor)
                ));
            }
            if spacings.len() >= SPACINGS_MIN && divisor != ms {
                return Err(format!(
                    "its candles open at multiples of {}, but source.interval is {given}: set it to {}, or leave it out",
                    span(divisor),
                    span(divisor)
                ));
            }
        }
        if given.is_some() {
            return Ok(None);
        }
        let count: usize = self.series.values().map(|series| series.opens.len()).sum();
        let most = self.series.values().map(|series| series.opens.len()).max().unwrap_or(0);
        match least {
            Some(least) => Ok(Some(Interval { span: span(least), origin: Origin::Spacing(divisor == least) })),
            None if most > 1 => Err(format!(
                "all its {count} candles open at {first}: no spacing says how long they are; have their stamps lost the time \
                 of day? If not, set source.interval, as in 1m"
            )),
            None if self.is_date => Ok(Some(Interval { span: DAY, origin: Origin::Date })),
            None => Err(format!(
                "no spacing says how long its candles are ({count} of them, the first opens at {first}): set source.interval, as \
                 in 1m"
            )),
        }
    }

    /// The spacings of opens that follow each other, per symbol, in milliseconds; none is 0.
    fn spacings(&self) -> Vec<i64> {
        let mut spacings = Vec::new();
        for series in self.series.values() {
            let mut opens: Vec<i64> = series.opens.iter().map(|open| open.millis()).collect();
            opens.sort_unstable();
            opens.dedup();
            spacings.extend(opens.windows(2).map(|pair| pair[1] - pair[0]));
        }
        spacings
    }
}

fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Whether a stamp is a date without a time: it has no colon, and is no number.
fn is_date(text: &[u8]) -> bool {
    let is_number = text.iter().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+'));
    !is_number && !text.contains(&b':')
}

#[cfg(test)]
#[path = "look_tests.rs"]
mod tests;
