//! Documents of the `data` collection, as JSON: what the job stored of a tick, or what the student project stored.
//!
//! ```json
//! {"_id":"btc.ticks/3/7","symbol":"BTC","timestamp":"2021-01-21T14:34:31.964Z","price_usd":31571.74,
//!  "size":0.02,"side":"buy","open":31500.25,"topic":"btc.ticks","partition":3,"offset":7}
//! ```
//!
//! A tick, but for `open`, `high`, `low`, `close` and `volume`: these are what the record reported beside its price (the
//! bar of an hour, in the student project's documents), and are kept as that; the volume is nobody's size. A candle was
//! stored with the price and the time of its close, and comes back as a tick of them.
//!
//! ```
//! use tickcast::formats::{Decoded, Decoder};
//! use tickcast::market::{Symbol, SymbolTable};
//!
//! let (mut symbols, mut out) = (SymbolTable::default(), Vec::new());
//! let mut decoder = Decoder::documents(Some(Symbol::new("BTC").unwrap()));
//! let value = br#"{"price_usd":31571.74,"timestamp":"2021-01-21T14:34:31.964Z","open":32737.58,"volume":806986987.75}"#;
//! assert_eq!(decoder.decode(None, value, &mut symbols, &mut out), Ok(Decoded::Used));
//! assert_eq!(out[0].reported.as_ref().unwrap().open, Some(32737.58));
//! ```

use super::record::JsonRecord;
use super::{DecodeError, tick};
use crate::formats::fields::Names;
use crate::market::Observation;

/// The observation of a document.
pub(super) fn observe(value: &[u8], names: &mut Names<'_>) -> Result<Observation, DecodeError> {
    let mut record = JsonRecord::default();
    record.read(value)?;
    if !record.is_priced() {
        return Err(DecodeError::missing("price_usd"));
    }
    tick::observe(&record.fields, true, names)
}
