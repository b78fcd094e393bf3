//! `candle`: a ready-made bar.
//!
//! ```json
//! {"symbol":"BTC","timestamp":1611239640000,"interval":"1m","open":31500,"high":31600,"low":31450,"close":31571.74,"volume":12.5,"count":310}
//! ```
//!
//! `timestamp` is the *open* time, as archives have it; the event time is the close, open time + interval - 1 ms, since
//! nothing of the bar but its open is known before. Where the record has no `interval`, a close time says it (of Binance's
//! klines and archives), else `source.interval` does, or in a file the spacing of its candles. Without any of them a candle
//! cannot be used: a guess that is too short lets forecasts know closes before their time. An open that is a day without a
//! time is that of a candle of whole days in `source.timezone`, of one where nothing says how many.
//!
//! These may be absent, or nothing that can be read, and then are unknown for every window that holds the bar:
//!
//! | field | is |
//! |---|---|
//! | `count`, `trades` | how many trades the bar stands for |
//! | `quote_volume` | sum of price times size, which over `volume` is the vwap |
//! | `vwap` | the volume-weighted price, where there is no `quote_volume` |
//! | `taker_buy_volume` | the part of `volume` that takers bought, and no more than that; the rest they sold. Of a bar without volume it is known |
//!
//! Binance's klines (see [`trade`](super::trade)) come as such candles. One that is not closed yet is ignored, as `unclosed`.
//!
//! ```
//! use tickcast::config::Format;
//! use tickcast::formats::Decoder;
//! use tickcast::market::{Quote, SymbolTable};
//!
//! let (mut symbols, mut out) = (SymbolTable::default(), Vec::new());
//! let value = br#"{"symbol":"BTC","timestamp":1611239640,"interval":"5m","open":3,"high":4,"low":1,"close":2,"volume":9}"#;
//! Decoder::json(Format::Candle, None, None).decode(None, value, &mut symbols, &mut out).unwrap();
//! assert_eq!(out[0].at.to_string(), "2021-01-21T14:38:59.999Z");
//! let Quote::Candle { bar, .. } = &out[0].quote else { panic!() };
//! assert_eq!((bar.close.to_string().as_str(), bar.known_count(), bar.vwap()), ("2", None, None));
//! ```

use super::DecodeError;
use super::error::shown;
use super::fields::{self, Field, Fields, Names};
use super::raw::Raw;
use super::stamp::Stamp;
use crate::market::fixed::SCALE;
use crate::market::time::TIMESTAMP_END;
use crate::market::{Observation, Ohlcv, OhlcvError, Prices, Quote, Span, Timestamp, Zone};
use jiff::civil::Date;

/// The kind of a candle that still changes.
pub(super) const UNCLOSED: &str = "unclosed";
/// The kind of a message with trades, where only candles are wanted.
pub(super) const TRADE: &str = "trade";

const DAY_MS: i64 = 86_400_000;
/// A candle that a close time makes longer than a leap year has a wrong close time.
const INTERVAL_MAX_MS: i64 = 366 * 86_400_000;

/// The observation of a candle's fields; `interval` is that of candles that do not say.
pub(super) fn observe(
    record: &Fields<'_>,
    interval: Option<Span>,
    names: &mut Names<'_>,
) -> Result<Observation, DecodeError> {
    let (at, interval) = close_time(record, interval, names.zone)?;
    let bar = bar(record)?;
    let symbol = names.resolve("symbol", record.get(Field::Symbol))?;
    Ok(Observation {
        symbol,
        at,
        quote: Quote::Candle { bar: Box::new(bar), interval },
        identity: None,
        reported: None,
    })
}

/// The observation of a table's row, which may have no volume: then what follows from one is unknown.
pub(super) fn observe_row(
    record: &Fields<'_>,
    interval: Option<Span>,
    names: &mut Names<'_>,
) -> Result<Observation, DecodeError> {
    if !record.get(Field::Volume).or(record.get(Field::Size)).is_absent() {
        return observe(record, interval, names);
    }
    let mut without = *record;
    without.set(Field::Volume, Raw::Number(b"0"));
    // Of a volume that is said to be 0 these would be known; here nobody says so.
    without.set(Field::Vwap, Raw::Absent);
    without.set(Field::QuoteVolume, Raw::Absent);
    without.set(Field::TakerBuyVolume, Raw::Absent);
    let mut seen = observe(&without, interval, names)?;
    if let Quote::Candle { bar, .. } = &mut seen.quote {
        (bar.notional, bar.notional_unknown) = (0, true);
        (bar.signed_volume, bar.sides_unknown) = (0, true);
    }
    Ok(seen)
}

/// The event time, and how long the candle is.
fn close_time(record: &Fields<'_>, interval: Option<Span>, zone: &Zone) -> Result<(Timestamp, Span), DecodeError> {
    let (open, day) = match fields::stamp("timestamp", record.get(Field::Timestamp), zone)? {
        Stamp::Moment(open) => (open, None),
        Stamp::Day(day) => (zone.start_of_day(day), Some(day)),
    };
    let interval = match record.get(Field::Interval) {
        Raw::Absent | Raw::Null => match (record.get(Field::CloseTime), interval, day) {
            (Raw::Absent | Raw::Null, Some(interval), _) => interval,
            (Raw::Absent | Raw::Null, None, Some(_)) => Span::from_millis(DAY_MS),
            (Raw::Absent | Raw::Null, None, None) => {
                return Err(DecodeError::wrong(
                    "interval",
                    format_args!(
                        "is missing, and nothing else says how long the candle is: give it as in \"interval\":\"1m\", or set source.interval"
                    ),
                ));
            }
            (close, ..) => until(open, fields::timestamp("close_time", close, zone)?)?,
        },
        Raw::Text(text) => read_interval(text)?,
        Raw::Number(text) | Raw::Escaped(text) => {
            return Err(DecodeError::wrong(
                "interval",
                format_args!("`{}` must be a text such as \"1m\"", shown(text)),
            ));
        }
        other => {
            let kind = other.kind();
            return Err(DecodeError::wrong("interval", format_args!("is {kind}; it must be a text such as \"1m\"")));
        }
    };
    let end = match day {
        Some(day) => end_of_days(day, interval, zone)?,
        None => open.plus(interval),
    };
    let at = end.minus(Span::from_millis(1));
    if at < TIMESTAMP_END {
        return Ok((at, interval));
    }
    Err(DecodeError::wrong("timestamp", format_args!("the candle closes after the year 2099")))
}

/// The end of a candle that begins with a day: so many days later by the calendar, whatever clocks do meanwhile.
fn end_of_days(day: Date, interval: Span, zone: &Zone) -> Result<Timestamp, DecodeError> {
    let days = interval.in_units_of(Span::from_millis(DAY_MS));
    let end = days.and_then(|days| day.checked_add(jiff::Span::new().try_days(days).ok()?).ok());
    match end {
        Some(end) => Ok(zone.start_of_day(end)),
        None => Err(DecodeError::wrong(
            "timestamp",
            format_args!("`{day}` is a day without a time, and a candle of {interval} is not one of whole days"),
        )),
    }
}

/// The interval up to a close time, which is its last millisecond or its end: whole seconds.
fn until(open: Timestamp, close: Timestamp) -> Result<Span, DecodeError> {
    let ms = close.millis() - open.millis();
    if (1..=INTERVAL_MAX_MS).contains(&ms) {
        return Ok(Span::from_millis((ms + 999) / 1000 * 1000));
    }
    Err(DecodeError::wrong(
        "close_time",
        format_args!("lies {ms} ms after the open time: it must be later, by a year at most"),
    ))
}

fn read_interval(text: &[u8]) -> Result<Span, DecodeError> {
    // `1H`, `1D` and `1w` are common, and clear; `1M` is a month to some.
    let text = std::str::from_utf8(text).unwrap_or_default();
    let weeks = text
        .strip_suffix(['w', 'W'])
        .and_then(|weeks| weeks.parse::<i64>().ok())
        .filter(|weeks| (0..1000).contains(weeks));
    let span = match weeks {
        Some(weeks) => Ok(Span::from_millis(weeks * 7 * DAY_MS)),
        None if text.ends_with(['H', 'D']) => text.to_ascii_lowercase().parse::<Span>(),
        None => text.parse::<Span>(),
    };
    match span {
        Ok(span) if span > Span::default() => Ok(span),
        Ok(_) => Err(DecodeError::wrong("interval", format_args!("must be longer than 0"))),
        Err(error) => Err(DecodeError::wrong("interval", format_args!("{error}"))),
    }
}

fn bar(record: &Fields<'_>) -> Result<Ohlcv, DecodeError> {
    let prices = Prices {
        open: fields::price("open", record.get(Field::Open))?,
        high: fields::price("high", record.get(Field::High))?,
        low: fields::price("low", record.get(Field::Low))?,
        close: fields::price("close", record.get(Field::Close))?,
    };
    let volume = fields::volume("volume", record.get(Field::Volume).or(record.get(Field::Size)))?;
    let count = whole(record.get(Field::Count));
    let notional = notional(record, volume);
    let signed_volume = signed_volume(record.get(Field::TakerBuyVolume), volume);
    Ohlcv::new_checked(prices, volume, notional, signed_volume, count).map_err(|error| {
        let field = match error {
            OhlcvError::HighBelowLow { .. } => "high",
            OhlcvError::NegativeVolume => "volume",
            OhlcvError::SignedBeyondVolume => "taker_buy_volume",
        };
        DecodeError::wrong(field, format_args!("{error}"))
    })
}

/// Price times size, in units of 1e-16: of a quote volume exactly, of a vwap as near as that is.
fn notional(record: &Fields<'_>, volume: i128) -> Option<i128> {
    match fields::known_volume(record.get(Field::QuoteVolume)) {
        Some(quote) => Some(quote * i128::from(SCALE)),
        None => fields::known_volume(record.get(Field::Vwap)).map(|vwap| vwap.saturating_mul(volume)),
    }
}

/// What takers bought less what they sold, in units of 1e-8.
fn signed_volume(taker_buy_volume: Raw<'_>, volume: i128) -> Option<i128> {
    if volume == 0 {
        return Some(0);
    }
    let bought = fields::known_volume(taker_buy_volume).filter(|bought| *bought <= volume)?;
    Some(2 * bought - volume)
}

/// A whole number, 0 or more.
fn whole(raw: Raw<'_>) -> Option<u64> {
    let units = fields::known_volume(raw).filter(|units| units % i128::from(SCALE) == 0)?;
    u64::try_from(units / i128::from(SCALE)).ok()
}
