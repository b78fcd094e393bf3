//! `candle`: a ready-made bar.
//!
//! ```json
//! {"symbol":"BTC","timestamp":1611239640000,"interval":"1m","open":31500,"high":31600,"low":31450,"close":31571.74,"volume":12.5,"count":310}
//! ```
//!
//! `timestamp` is the *open* time, as archives have it; the event time is the close, open time + interval - 1 ms, since
//! nothing of the bar but its open is known before. Where the record has no `interval`, a close time says it (of Binance's
//! klines and archives), else the configured one counts, else one minute.
//!
//! These may be absent, and then are unknown for every window that holds the bar:
//!
//! | field | is |
//! |---|---|
//! | `count`, `trades` | how many trades the bar stands for |
//! | `quote_volume` | sum of price times size, which over `volume` is the vwap |
//! | `vwap` | the volume-weighted price, where there is no `quote_volume` |
//! | `taker_buy_volume` | the part of `volume` that takers bought; the rest they sold. Of a bar without volume it is known |
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
use crate::market::fixed::SCALE;
use crate::market::time::TIMESTAMP_END;
use crate::market::{Observation, Ohlcv, OhlcvError, Prices, Quote, Span, Timestamp};

/// The kind of a candle that still changes.
pub(super) const UNCLOSED: &str = "unclosed";
/// The kind of a message with trades, where only candles are wanted.
pub(super) const TRADE: &str = "trade";

/// The interval of candles where neither they nor the configuration say.
pub(super) const INTERVAL_DEFAULT: Span = Span::from_millis(60_000);
/// A candle that a close time makes longer than a leap year has a wrong close time.
const INTERVAL_MAX_MS: i64 = 366 * 86_400_000;

/// The observation of a candle's fields.
pub(super) fn observe(record: &Fields<'_>, interval: Span, names: &mut Names<'_>) -> Result<Observation, DecodeError> {
    let (at, interval) = close_time(record, interval)?;
    let bar = bar(record)?;
    let symbol = names.resolve("symbol", record.get(Field::Symbol))?;
    Ok(Observation { symbol, at, quote: Quote::Candle { bar: Box::new(bar), interval }, reported: None })
}

/// The event time, and how long the candle is.
fn close_time(record: &Fields<'_>, interval: Span) -> Result<(Timestamp, Span), DecodeError> {
    let open = fields::timestamp("timestamp", record.get(Field::Timestamp))?;
    let interval = match record.get(Field::Interval) {
        Raw::Absent | Raw::Null => match record.get(Field::CloseTime) {
            Raw::Absent | Raw::Null => interval,
            close => until(open, fields::timestamp("close_time", close)?)?,
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
    let at = open.plus(interval).minus(Span::from_millis(1));
    if at < TIMESTAMP_END {
        return Ok((at, interval));
    }
    Err(DecodeError::wrong("timestamp", format_args!("the candle closes after the year 2099")))
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
    let span = std::str::from_utf8(text).unwrap_or_default().parse::<Span>();
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
    let volume = i128::from(fields::size("volume", record.get(Field::Volume).or(record.get(Field::Size)))?.raw());
    let count = match record.get(Field::Count) {
        Raw::Absent | Raw::Null => None,
        raw => Some(whole("count", raw)?),
    };
    let notional = notional(record, volume)?;
    let signed_volume = signed_volume(record, volume)?;
    Ohlcv::new_checked(prices, volume, notional, signed_volume, count).map_err(|error| {
        let field = match error {
            OhlcvError::Outside { field, .. } => field,
            OhlcvError::NegativeVolume => "volume",
            OhlcvError::SignedBeyondVolume => "taker_buy_volume",
        };
        DecodeError::wrong(field, format_args!("{error}"))
    })
}

/// Price times size, in units of 1e-16: of a quote volume exactly, of a vwap as near as that is.
fn notional(record: &Fields<'_>, volume: i128) -> Result<Option<i128>, DecodeError> {
    match record.get(Field::QuoteVolume) {
        Raw::Absent | Raw::Null => {}
        raw => {
            let quote = fields::size("quote_volume", raw)?;
            return Ok(Some(i128::from(quote.raw()) * i128::from(SCALE)));
        }
    }
    Ok(match record.get(Field::Vwap) {
        Raw::Absent | Raw::Null => None,
        raw => Some(i128::from(fields::size("vwap", raw)?.raw()).saturating_mul(volume)),
    })
}

/// What takers bought less what they sold, in units of 1e-8.
fn signed_volume(record: &Fields<'_>, volume: i128) -> Result<Option<i128>, DecodeError> {
    let raw = record.get(Field::TakerBuyVolume);
    if raw.is_absent() {
        return Ok((volume == 0).then_some(0));
    }
    let bought = fields::size("taker_buy_volume", raw)?;
    if i128::from(bought.raw()) > volume {
        return Err(DecodeError::wrong("taker_buy_volume", format_args!("`{bought}` is more than the volume")));
    }
    Ok(Some(2 * i128::from(bought.raw()) - volume))
}

/// A whole number, 0 or more.
fn whole(name: &'static str, raw: Raw<'_>) -> Result<u64, DecodeError> {
    let value = fields::size(name, raw)?;
    match u64::try_from(value.raw() / SCALE) {
        Ok(whole) if value.raw() % SCALE == 0 => Ok(whole),
        _ => Err(DecodeError::wrong(name, format_args!("`{value}` is not a whole number"))),
    }
}
