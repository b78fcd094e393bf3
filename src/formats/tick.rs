//! `tick`: one trade or price.
//!
//! ```json
//! {"symbol":"BTC","timestamp":"2021-01-21T14:34:31.964Z","price":31571.74,"size":0.02,"side":"buy"}
//! ```
//!
//! `price_usd` and `volume` are accepted for `price` and `size`. `size` and `side` may be absent or `null`; a `side` that is
//! neither `buy` (`b`) nor `sell` (`s`) is unknown. `timestamp` is RFC 3339, epoch seconds, milliseconds, microseconds or
//! nanoseconds, or written as people do (`written.rs`). Numbers may be strings of numbers, unknown keys are passed over, and
//! of a key that comes twice the last one counts. `side` is who took the liquidity; CSV files may say it as
//! `is_buyer_maker` instead.
//!
//! `trade_id` (else `tradeId`, `tid`, `trdMatchID` or `agg_trade_id`) says which trade it is: one that was seen is ignored. An
//! `exchange` beside it says whose number it is. A bare `id` says nothing: it may be the coin's.
//!
//! A record with a price is a tick, whatever stands beside it. Where any of `open`, `high`, `low`, `close` does, as in the
//! student project's documents, they and `volume` are what the record reports of some hour or day: the volume is nobody's size.
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
use super::messari;
use super::raw::Raw;
use crate::market::{Observation, Reported};

/// The observation of a tick's fields, and of what it reports besides where that is wanted.
#[inline]
pub(super) fn observe(
    record: &Fields<'_>,
    with_reported: bool,
    names: &mut Names<'_>,
) -> Result<Observation, DecodeError> {
    let at = fields::timestamp("timestamp", record.get(Field::Timestamp), names.zone)?;
    let price = match record.get(Field::Price) {
        Raw::Absent | Raw::Null => {
            let name = if record.has(Field::PriceUsd) { "price_usd" } else { "price" };
            fields::price(name, record.get(Field::PriceUsd))?
        }
        price => fields::price("price", price)?,
    };
    let side = fields::side(record.get(Field::Side)).or_else(|| fields::taker(record.get(Field::BuyerMaker)));
    let volume = record.get(Field::Volume);
    // Asked only where it matters.
    let reports_bar = (with_reported || !volume.is_absent()) && record.has_bar();
    let size = record.get(Field::Size).or(if reports_bar { Raw::Absent } else { volume });
    let quote = fields::tick("size", price, size, side)?;
    let symbol = names.resolve("symbol", record.get(Field::Symbol))?;
    let reported = if reports_bar && with_reported { reported(record) } else { None };
    Ok(Observation { symbol, at, quote, identity: record.identity(), reported })
}

#[cold]
fn reported(record: &Fields<'_>) -> Option<Box<Reported>> {
    let bar = [Field::Open, Field::High, Field::Low, Field::Close, Field::Volume].map(|field| record.get(field));
    messari::reported(&bar)
}
