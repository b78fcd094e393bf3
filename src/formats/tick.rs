//! `tick`: one trade or price.
//!
//! ```json
//! {"symbol":"BTC","timestamp":"2021-01-21T14:34:31.964Z","price":31571.74,"size":0.02,"side":"buy"}
//! ```
//!
//! `price_usd` and `volume` are accepted for `price` and `size`. `size` and `side` may be absent or `null`. `timestamp`
//! is RFC 3339, or epoch seconds, milliseconds, microseconds or nanoseconds. Numbers may be strings of numbers, unknown
//! keys are passed over, and of a key that comes twice the last one counts. `side` is who took the liquidity; CSV files may
//! say it as `is_buyer_maker` instead.
//!
//! ```
//! use tickcast::config::Format;
//! use tickcast::formats::{Decoded, Decoder};
//! use tickcast::market::{Fixed, SymbolTable};
//!
//! let (mut symbols, mut out) = (SymbolTable::default(), Vec::new());
//! let mut decoder = Decoder::json(Format::Tick, None, None);
//! let value = br#"{"symbol":"BTC","timestamp":1611239671964,"price":31571.74,"size":"0.02"}"#;
//! assert_eq!(decoder.decode(None, value, &mut symbols, &mut out), Ok(Decoded::Used));
//! assert_eq!(out[0].at.to_string(), "2021-01-21T14:34:31.964Z");
//! assert_eq!(out[0].quote.price(), Fixed::parse(b"31571.74").unwrap());
//!
//! let error = decoder.decode(None, br#"{"symbol":"BTC","timestamp":1611239671964,"price":-1}"#, &mut symbols, &mut out);
//! assert_eq!(error.unwrap_err().reason, "wrong_field");
//! ```

use super::DecodeError;
use super::fields::{self, Field, Fields, Names};
use super::raw::Raw;
use crate::market::{Fixed, Observation, Quote};

/// The observation of a tick's fields.
#[inline]
pub(super) fn observe(record: &Fields<'_>, names: &mut Names<'_>) -> Result<Observation, DecodeError> {
    let at = fields::timestamp("timestamp", record.get(Field::Timestamp))?;
    let price = fields::price("price", record.get(Field::Price).or(record.get(Field::PriceUsd)))?;
    let size = match record.get(Field::Size).or(record.get(Field::Volume)) {
        Raw::Absent | Raw::Null => Fixed::ZERO,
        raw => fields::size("size", raw)?,
    };
    let side = match fields::side(record.get(Field::Side))? {
        None => fields::taker("is_buyer_maker", record.get(Field::BuyerMaker))?,
        side => side,
    };
    let symbol = names.resolve("symbol", record.get(Field::Symbol))?;
    Ok(Observation { symbol, at, quote: Quote::Tick { price, size, side }, reported: None })
}
