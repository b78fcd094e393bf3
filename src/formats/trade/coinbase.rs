//! Coinbase: `match`, `last_match` and `ticker` of Exchange; `market_trades` and `ticker` of Advanced Trade.
//!
//! ```json
//! {"type":"match","trade_id":280232,"side":"sell","size":"985","price":"0.00001305","product_id":"SKL-BTC","time":"2021-04-17T16:43:37.089723Z", …}
//! {"channel":"market_trades","timestamp":"2026-08-09T21:05:48.251397169Z","events":[{"type":"update","trades":[
//!  {"product_id":"BTC-USD","price":"65083.67","size":"0.01034361","time":"2026-08-09T21:05:48.167634Z","side":"SELL", …}]}]}
//! ```
//!
//! In both, the side of a trade is its maker's, so that the taker's is the other one (as recorded: what says `SELL`
//! traded at the best ask). The `ticker` of Exchange tells of the same trade with the taker's side. It is a trade where it
//! has `last_size` and `side`, else a price; that of Advanced Trade is a price. All of them give a trade's one `trade_id`: what
//! `match` and `ticker` both tell, and what `last_match` repeats after each connect, counts once.

use super::super::fields::{self, Field, Fields, trade_id};
use super::super::json::{Cursor, Syntax};
use super::super::raw::Raw;
use super::super::{DecodeError, Decoded};
use super::batch::{Batch, Spelling, Trade};
use super::{Feed, NOT_WANTED, Sink, ignored};
use crate::market::{IdSpace, Side, TradeId};

/// The kinds without a trade or price: of Exchange the `type`, of Advanced Trade the `channel`.
pub(in super::super) const IGNORED: &[&str] = &[
    "subscriptions",
    "heartbeat",
    "heartbeats",
    "status",
    "snapshot",
    "l2update",
    "l2_data",
    "received",
    "open",
    "done",
    "change",
    "activate",
    "auction",
    "rfq_match",
    "candles",
    "user",
    "futures_balance_summary",
    "error",
];

const EXCHANGE: Spelling = Spelling { symbol: "product_id", at: "time", price: "price", size: "size" };
const EXCHANGE_TICKER: Spelling = Spelling { symbol: "product_id", at: "time", price: "price", size: "last_size" };
const ADVANCED_TICKER: Spelling = Spelling { symbol: "product_id", at: "timestamp", price: "price", size: "size" };

/// The taker's side, from the maker's.
fn other(maker: Option<Side>) -> Option<Side> {
    maker.map(|side| match side {
        Side::Buy => Side::Sell,
        Side::Sell => Side::Buy,
    })
}

/// Coinbase numbers the trades of a product once, for all channels.
fn identity(id: Raw<'_>) -> Option<TradeId> {
    trade_id(id, |text| TradeId::parse(IdSpace::Coinbase, text))
}

/// A message of Exchange.
pub(super) fn exchange(feed: &Feed<'_>, record: &Fields<'_>, sink: &mut Sink<'_, '_>) -> Result<Decoded, DecodeError> {
    let kind = feed.kind.text("type", "a string")?;
    let (symbol, at, price) = (feed.product, feed.time, record.get(Field::Price));
    let side = fields::side(record.get(Field::Side));
    let identity = identity(record.get(Field::TradeId));
    let (trade, spelling) = match kind {
        b"match" | b"last_match" => {
            let size = record.get(Field::Size);
            (Trade { symbol, at, price, size: Some(size), side: other(side), identity }, &EXCHANGE)
        }
        b"ticker" => {
            let is_trade = !feed.last_size.is_absent() && !record.get(Field::Side).is_absent();
            let size = is_trade.then_some(feed.last_size);
            // A price is not the trade: that may come yet, and brings its size.
            let (side, identity) = if is_trade { (side, identity) } else { (None, None) };
            (Trade { symbol, at, price, size, side, identity }, &EXCHANGE_TICKER)
        }
        kind => return ignored(IGNORED, kind, "Coinbase's message of type"),
    };
    if !sink.wants_trades() {
        return Ok(NOT_WANTED);
    }
    sink.out.push(trade.observe(spelling, sink.names)?);
    Ok(Decoded::Used)
}

/// What one trade or ticker of Advanced Trade says.
#[derive(Default)]
struct Product<'a> {
    id: Raw<'a>,
    price: Raw<'a>,
    size: Raw<'a>,
    time: Raw<'a>,
    side: Raw<'a>,
    trade_id: Raw<'a>,
}

impl<'a> Product<'a> {
    fn read(slot: &mut Option<Self>, cursor: &mut Cursor<'a>) -> Result<(), Syntax> {
        cursor.fields_of(slot, |product, cursor, key| {
            let value = cursor.value()?;
            match key {
                b"product_id" => product.id = value,
                b"price" => product.price = value,
                b"size" => product.size = value,
                b"time" => product.time = value,
                b"side" => product.side = value,
                b"trade_id" => product.trade_id = value,
                _ => {}
            }
            Ok(())
        })
    }
}

/// A message of Advanced Trade.
pub(super) fn advanced(feed: &Feed<'_>, record: &Fields<'_>, sink: &mut Sink<'_, '_>) -> Result<Decoded, DecodeError> {
    let (list, is_ticker): (&[u8], bool) = match feed.channel.text("channel", "a string")? {
        b"market_trades" => (b"trades", false),
        b"ticker" | b"ticker_batch" => (b"tickers", true),
        channel => return ignored(IGNORED, channel, "Coinbase's channel"),
    };
    if !sink.wants_trades() {
        return Ok(NOT_WANTED);
    }
    let Raw::Array(events) = feed.events else {
        return Err(DecodeError::wrong("events", format_args!("is {}; it must be an array", feed.events.kind())));
    };
    let mut batch = Batch::default();
    let mut product = |cursor: &mut Cursor<'_>| {
        let mut product = None;
        Product::read(&mut product, cursor)?;
        let Some(Product { id: symbol, price, size, time, side, trade_id }) = product else {
            batch.fail(DecodeError::wrong("events", format_args!("a trade must be an object")));
            return Ok(());
        };
        let observed = if is_ticker {
            let at = record.get(Field::Timestamp);
            Trade { symbol, at, price, size: None, side: None, identity: None }.observe(&ADVANCED_TICKER, sink.names)
        } else {
            let side = other(fields::side(side));
            let identity = identity(trade_id);
            Trade { symbol, at: time, price, size: Some(size), side, identity }.observe(&EXCHANGE, sink.names)
        };
        batch.add(observed, sink.out);
        Ok(())
    };
    let mut cursor = Cursor::new(events);
    cursor.take(b'[');
    let mut wrong = None;
    cursor.array(|cursor| {
        if !cursor.take(b'{') {
            wrong = Some(DecodeError::wrong("events", format_args!("an event must be an object")));
            return cursor.value().map(drop);
        }
        cursor.object(|cursor, key| {
            if key != list {
                return cursor.value().map(drop);
            }
            if cursor.take(b'[') {
                return cursor.array(&mut product);
            }
            wrong = Some(DecodeError::wrong("events", format_args!("trades or tickers must be an array")));
            cursor.value().map(drop)
        })
    })?;
    if let Some(error) = wrong {
        batch.fail(error);
    }
    batch.finish()
}
