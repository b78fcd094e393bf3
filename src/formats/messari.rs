//! `messari`: the market-data payload of Messari's API, one price a message.
//!
//! ```json
//! {"status":{"elapsed":2,"timestamp":"2021-01-21T14:34:31.964034086Z"},
//!  "data":{"symbol":"BTC","market_data":{"price_usd":31571.742818217568,"ohlcv_last_1_hour":{"open":…}}}}
//! ```
//!
//! A leading `+` is passed over; `timestamp` may stand beside `status` instead of in it, and `data` in `status` instead
//! of beside it. The price is `market_data.price_usd`, the symbol `data.symbol` as it is spelled there, the size unknown;
//! the bar of the last hour is kept as what the record reports, where anybody wants it. An error body of the API (it has a
//! `status.error_code`, and no price) is ignored, as `error_body`.
//!
//! ```
//! use tickcast::config::Format;
//! use tickcast::formats::{Decoded, Decoder};
//! use tickcast::market::SymbolTable;
//!
//! let (mut symbols, mut out) = (SymbolTable::default(), Vec::new());
//! let mut decoder = Decoder::json(Format::Messari, None, None);
//! let value = br#"+{"status":{"timestamp":"2021-01-21T14:34:31.964034086Z",
//!     "data":{"symbol":"BTC","market_data":{"price_usd":31571.742818217568}}}}"#;
//! assert_eq!(decoder.decode(None, value, &mut symbols, &mut out), Ok(Decoded::Used));
//! assert_eq!(out[0].quote.price().to_string(), "31571.74281822");
//!
//! let error = br#"{"status":{"timestamp":"2021-01-21T14:34:31Z","error_code":404}}"#;
//! assert_eq!(decoder.decode(None, error, &mut symbols, &mut out), Ok(Decoded::Ignored("error_body")));
//! ```

use super::fields::{self, Field, Fields, Names};
use super::json::{Cursor, Syntax};
use super::raw::Raw;
use super::{DecodeError, Decoded};
use crate::market::{Fixed, Observation, Quote, Reported};

/// The kind of a well-formed message without a price: the API's answer to a wrong request.
pub(super) const ERROR_BODY: &str = "error_body";

/// The parts of a payload beside the common [`Fields`].
#[derive(Debug, Default)]
pub(super) struct Payload<'a> {
    /// `status`, where it is an object.
    pub status: Option<Status<'a>>,
    /// `data` beside it, where that is an object.
    pub data: Option<Data<'a>>,
}

/// `status`
#[derive(Debug, Default)]
pub(super) struct Status<'a> {
    timestamp: Raw<'a>,
    error_code: Raw<'a>,
    data: Option<Data<'a>>,
}

/// `data`
#[derive(Debug, Default)]
pub(super) struct Data<'a> {
    symbol: Raw<'a>,
    market: Option<Market<'a>>,
}

/// `market_data`
#[derive(Debug, Default)]
struct Market<'a> {
    price: Raw<'a>,
    /// Open, high, low, close and volume of the last hour.
    hour: Option<[Raw<'a>; 5]>,
}

impl Payload<'_> {
    /// Whether it looks like a payload at all.
    pub fn is_likely(&self) -> bool {
        self.status.is_some() || self.data.as_ref().is_some_and(|data| data.market.is_some())
    }
}

impl<'a> Status<'a> {
    /// Reads it in place.
    pub fn read(slot: &mut Option<Self>, cursor: &mut Cursor<'a>) -> Result<(), Syntax> {
        cursor.fields_of(slot, |status, cursor, key| {
            match key {
                b"timestamp" => status.timestamp = cursor.value()?,
                b"error_code" => status.error_code = cursor.value()?,
                b"data" => Data::read(&mut status.data, cursor, |cursor, _| cursor.value().map(drop))?,
                _ => drop(cursor.value()?),
            }
            Ok(())
        })
    }
}

impl<'a> Data<'a> {
    /// Reads it in place, and leaves what it does not know to `other`.
    #[inline]
    pub fn read(
        slot: &mut Option<Self>,
        cursor: &mut Cursor<'a>,
        mut other: impl FnMut(&mut Cursor<'a>, &[u8]) -> Result<(), Syntax>,
    ) -> Result<(), Syntax> {
        cursor.fields_of(slot, |data, cursor, key| {
            match key {
                b"symbol" => data.symbol = cursor.value()?,
                b"market_data" => Market::read(&mut data.market, cursor)?,
                _ => other(cursor, key)?,
            }
            Ok(())
        })
    }
}

impl<'a> Market<'a> {
    fn read(slot: &mut Option<Self>, cursor: &mut Cursor<'a>) -> Result<(), Syntax> {
        cursor.fields_of(slot, |market, cursor, key| {
            match key {
                b"price_usd" => market.price = cursor.value()?,
                b"ohlcv_last_1_hour" => read_bar(&mut market.hour, cursor)?,
                _ => drop(cursor.value()?),
            }
            Ok(())
        })
    }
}

fn read_bar<'a>(slot: &mut Option<[Raw<'a>; 5]>, cursor: &mut Cursor<'a>) -> Result<(), Syntax> {
    cursor.fields_of(slot, |bar, cursor, key| {
        let value = cursor.value()?;
        match key {
            b"open" => bar[0] = value,
            b"high" => bar[1] = value,
            b"low" => bar[2] = value,
            b"close" => bar[3] = value,
            b"volume" => bar[4] = value,
            _ => {}
        }
        Ok(())
    })
}

/// Appends a payload's observation.
pub(super) fn observe(
    record: &Fields<'_>,
    payload: &Payload<'_>,
    with_reported: bool,
    names: &mut Names<'_>,
    out: &mut Vec<Observation>,
) -> Result<Decoded, DecodeError> {
    let status = payload.status.as_ref();
    let data = payload.data.as_ref().or(status.and_then(|status| status.data.as_ref()));
    let market = data.and_then(|data| data.market.as_ref());
    let price = market.map_or(Raw::Absent, |market| market.price);
    if price.is_absent() && status.is_some_and(|status| !status.error_code.is_absent()) {
        return Ok(Decoded::Ignored(ERROR_BODY));
    }
    let price = fields::price("market_data.price_usd", price)?;
    let stamp = status.map_or(Raw::Absent, |status| status.timestamp).or(record.get(Field::Timestamp));
    let at = fields::timestamp("status.timestamp", stamp, names.zone)?;
    let symbol = names.resolve("data.symbol", data.map_or(Raw::Absent, |data| data.symbol))?;
    let quote = Quote::Tick { price, size: Fixed::ZERO, side: None };
    let hour = market.filter(|_| with_reported).and_then(|market| market.hour.as_ref());
    let reported = hour.and_then(reported);
    out.push(Observation { symbol, at, quote, identity: None, reported });
    Ok(Decoded::Used)
}

/// The hourly bar, where any of it is a number: nothing is computed from it, so that nothing in it fails the record.
pub(super) fn reported(hour: &[Raw<'_>; 5]) -> Option<Box<Reported>> {
    let number = |raw: Raw<'_>| match raw.extended() {
        Raw::Number(text) | Raw::Text(text) => {
            std::str::from_utf8(text).ok()?.parse().ok().filter(|value: &f64| value.is_finite())
        }
        _ => None,
    };
    let [open, high, low, close, volume] = hour.map(number);
    let reported = Reported { open, high, low, close, volume };
    (reported != Reported::default()).then(|| Box::new(reported))
}
