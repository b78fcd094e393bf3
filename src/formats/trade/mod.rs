//! `trade`: messages of the exchanges' public streams, as they come over the wire.
//!
//! | exchange | messages with trades or prices | symbol |
//! |---|---|---|
//! | Binance | `trade`, `aggTrade`, and closed `kline`s, which are candles (see `candle`); bare or in `{"stream","data"}` | `BTCUSDT` |
//! | Coinbase Exchange | `match`, `last_match`, `ticker` | `BTC-USD` |
//! | Coinbase Advanced Trade | `market_trades`, `ticker` | `BTC-USD` |
//! | Kraken | `trade` of v2, and arrays with `trade` of v1 | v2 `BTC/USD`, v1 `XBT/USD` |
//!
//! A symbol is what the exchange calls it. The side is the taker's: of Binance, a buyer that is the maker (`m`) means that
//! the taker sold; Coinbase gives the maker's side in `match` and `market_trades`, the taker's in `ticker`; Kraken the
//! taker's. The event time is that of the trade; of a `ticker` of Advanced Trade, which has none, that of the message.
//!
//! A trade that was seen is known by its venue's id: two collectors, a snapshot after a reconnect, `match` and `ticker` of
//! Coinbase tell of it once. Only v1 of Kraken has none. But `trade` and `aggTrade` number by themselves what they both tell, and
//! a kline has no ids: a stream should carry one of them; of trades mixed with klines, the configured format `trade` or `candle`
//! picks one and ignores the other.
//!
//! One message may hold several trades. It is used if any of them can be, and those that cannot are left out with a
//! reason ([`Decoded::Partly`]); if none can, the first one's reason is the message's. A message whose list is empty is
//! ignored, as `no_trade`.
//!
//! Other messages of these streams (order books, statistics, heartbeats, acknowledgements) are ignored by their kind:
//! `IGNORED` of each exchange is the closed list of the kinds, and one that is on none is undecodable. Block
//! trades of Binance are among the ignored: their prices are agreed on outside of the market.
//!
//! ```
//! use tickcast::config::Format;
//! use tickcast::formats::{Decoded, Decoder};
//! use tickcast::market::{Quote, Side, SymbolTable};
//!
//! let (mut symbols, mut out) = (SymbolTable::default(), Vec::new());
//! let mut decoder = Decoder::json(Format::Trade, None, None);
//! let value = br#"{"stream":"btcusdt@trade","data":{"e":"trade","E":1723161255343,"s":"BTCUSDT","t":3735683259,
//!     "p":"61837.63000000","q":"0.02000000","T":1723161255342,"m":true,"M":true}}"#;
//! assert_eq!(decoder.decode(None, value, &mut symbols, &mut out), Ok(Decoded::Used));
//! assert_eq!(symbols.name(out[0].symbol).as_str(), "BTCUSDT");
//! assert!(matches!(out[0].quote, Quote::Tick { side: Some(Side::Sell), .. }));
//!
//! let beat = br#"{"channel":"heartbeat"}"#;
//! assert_eq!(decoder.decode(None, beat, &mut symbols, &mut out), Ok(Decoded::Ignored("heartbeat")));
//! ```

mod batch;
pub(super) mod binance;
pub(super) mod coinbase;
mod feed;
pub(super) mod kraken;

pub(super) use batch::Batch;
pub(super) use binance::Event;
pub(super) use feed::{Feed, Venue};

use super::error::unknown;
use super::fields::Names;
use super::{DecodeError, Decoded, Json, candle};
use crate::config::Format;
use crate::market::Observation;

/// The kind of a message whose list of trades is empty.
pub(super) const NO_TRADE: &str = "no_trade";

/// Where observations go, and what is needed to make them.
pub(super) struct Sink<'s, 'c> {
    pub json: Json,
    pub names: &'s mut Names<'c>,
    pub out: &'s mut Vec<Observation>,
}

impl Sink<'_, '_> {
    /// Whether trades are wanted.
    fn wants_trades(&self) -> bool {
        self.json.format != Format::Candle
    }

    /// Whether candles are wanted.
    fn wants_candles(&self) -> bool {
        self.json.format != Format::Trade
    }
}

/// Appends the observations of an exchange's object.
pub(super) fn observe(
    venue: Venue,
    feed: &Feed<'_>,
    wrapped: Option<&Event<'_>>,
    record: &super::fields::Fields<'_>,
    sink: &mut Sink<'_, '_>,
) -> Result<Decoded, DecodeError> {
    match venue {
        Venue::Binance => binance::observe(feed, wrapped, sink),
        Venue::CoinbaseExchange => coinbase::exchange(feed, record, sink),
        Venue::CoinbaseAdvanced => coinbase::advanced(feed, record, sink),
        Venue::Kraken => kraken::observe(feed, sink),
    }
}

/// The kind of a message that has no trade, if it is on the list.
fn ignored(kinds: &[&'static str], kind: &[u8], of: &str) -> Result<Decoded, DecodeError> {
    match kinds.iter().find(|known| known.as_bytes() == kind) {
        Some(known) => Ok(Decoded::Ignored(known)),
        None => Err(unknown(format_args!("{of} `{}` is not known", super::error::shown(kind)))),
    }
}

/// What becomes of a message with trades where only candles are wanted.
const NOT_WANTED: Decoded = Decoded::Ignored(candle::TRADE);
