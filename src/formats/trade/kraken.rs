//! Kraken: `trade` of v2, and of v1, whose messages with data are arrays.
//!
//! ```json
//! {"channel":"trade","type":"update","data":[{"symbol":"BTC/USD","side":"sell","price":65083.7,"qty":0.25,
//!  "ord_type":"market","trade_id":4665846,"timestamp":"2023-09-25T07:48:36.925533Z"}]}
//! [993,[["354.11000000","0.89594024","1618678142.557535","s","l",""]],"trade","XMR/USD"]
//! ```
//!
//! Sides are the taker's. What v2's `snapshot` repeats after each connect is known by `trade_id`; v1 has no ids. `ticker` is ignored: it tells of no trade that `trade` does not.

use super::super::error::unknown;
use super::super::fields::{self, trade_id};
use super::super::json::{Cursor, Syntax};
use super::super::raw::Raw;
use super::super::{DecodeError, Decoded};
use super::batch::{Batch, Spelling, Trade};
use super::{Feed, NOT_WANTED, Sink, ignored};
use crate::market::{IdSpace, TradeId};

/// The kinds without a trade: v2's `channel` and `method`, v1's `event` and the name in its arrays.
pub(in super::super) const IGNORED: &[&str] = &[
    "heartbeat",
    "status",
    "ticker",
    "book",
    "level3",
    "ohlc",
    "instrument",
    "spread",
    "systemStatus",
    "subscriptionStatus",
    "subscribe",
    "unsubscribe",
    "ping",
    "pong",
    "error",
];

const V2: Spelling = Spelling { symbol: "symbol", at: "timestamp", price: "price", size: "qty" };
const V1: Spelling = Spelling { symbol: "pair", at: "time", price: "price", size: "volume" };
/// Elements of a trade in v1: price, volume, time, side; more follow.
const V1_ELEMENTS: usize = 4;

/// What one trade of v2 says.
#[derive(Default)]
struct Line<'a> {
    symbol: Raw<'a>,
    side: Raw<'a>,
    price: Raw<'a>,
    size: Raw<'a>,
    time: Raw<'a>,
    id: Raw<'a>,
}

/// An object: of v2, or a message of v1 without data.
pub(super) fn observe(feed: &Feed<'_>, sink: &mut Sink<'_, '_>) -> Result<Decoded, DecodeError> {
    match (feed.channel, feed.method, feed.event_name) {
        (Raw::Text(b"trade"), ..) => {}
        (Raw::Text(channel), ..) => return ignored(IGNORED, channel, "Kraken's channel"),
        (_, Raw::Text(method), _) => return ignored(IGNORED, method, "Kraken's answer to"),
        (_, _, name) => return ignored(IGNORED, name.text("event", "a string")?, "Kraken's event"),
    }
    if !sink.wants_trades() {
        return Ok(NOT_WANTED);
    }
    let Raw::Array(text) = feed.list else { return Err(DecodeError::missing("data")) };
    let mut batch = Batch::default();
    let mut cursor = Cursor::new(text);
    cursor.take(b'[');
    cursor.array(|cursor| {
        let mut line = None::<Line<'_>>;
        cursor.fields_of(&mut line, |line, cursor, key| {
            let value = cursor.value()?;
            match key {
                b"symbol" => line.symbol = value,
                b"side" => line.side = value,
                b"price" => line.price = value,
                b"qty" => line.size = value,
                b"timestamp" => line.time = value,
                b"trade_id" => line.id = value,
                _ => {}
            }
            Ok(())
        })?;
        match line {
            Some(Line { symbol, side, price, size, time, id }) => {
                let (side, identity) = (fields::side(side), trade_id(id, |text| TradeId::parse(IdSpace::Kraken, text)));
                let trade = Trade { symbol, at: time, price, size: Some(size), side, identity };
                batch.add(trade.observe(&V2, sink.names), sink.out);
            }
            None => batch.fail(DecodeError::wrong("data", format_args!("a trade must be an object"))),
        }
        Ok(())
    })?;
    batch.finish()
}

/// An array of v1: `[channel, data, …, name, pair]`.
pub(in super::super) fn observe_array(text: &[u8], sink: &mut Sink<'_, '_>) -> Result<Decoded, DecodeError> {
    let (mut first, mut data, mut name, mut pair, mut count) = (Raw::Absent, Raw::Absent, Raw::Absent, Raw::Absent, 0);
    let mut cursor = Cursor::new(text);
    cursor.take(b'[');
    cursor.array(|cursor| {
        let value = cursor.value()?;
        match count {
            0 => first = value,
            1 => data = value,
            _ => {}
        }
        (name, pair) = (pair, value);
        count += 1;
        Ok(())
    })?;
    if matches!(first, Raw::Array(_)) {
        return Err(unknown(format_args!(
            "the value is a list of lists, whose fields have no names: make objects of them, or in a file name them with source.files.columns"
        )));
    }
    // Updates of order books have two parts of data.
    let (Raw::Number(_), 4..=5, Raw::Text(name), Raw::Text(_)) = (first, count, name, pair) else {
        return Err(unknown(format_args!("the value is an array, but none of Kraken's")));
    };
    if name != b"trade" {
        // `book-10`, `ohlc-5`: the depth and the interval are no part of the kind.
        let kind = name.split(|b| *b == b'-').next().unwrap_or(name);
        return ignored(IGNORED, kind, "Kraken's channel");
    }
    if !sink.wants_trades() {
        return Ok(NOT_WANTED);
    }
    let Raw::Array(trades) = data else {
        return Err(DecodeError::wrong("trade", format_args!("its data is {}; it must be an array", data.kind())));
    };
    let mut batch = Batch::default();
    let mut cursor = Cursor::new(trades);
    cursor.take(b'[');
    cursor.array(|cursor| {
        match read_v1(cursor)? {
            Some([price, size, at, side]) => {
                let side = fields::side(side);
                let trade = Trade { symbol: pair, at, price, size: Some(size), side, identity: None };
                batch.add(trade.observe(&V1, sink.names), sink.out);
            }
            None => batch.fail(DecodeError::wrong("trade", format_args!("must be an array of four elements or more"))),
        }
        Ok(())
    })?;
    batch.finish()
}

/// The elements of a trade that matter; none where it is no array of so many.
fn read_v1<'a>(cursor: &mut Cursor<'a>) -> Result<Option<[Raw<'a>; V1_ELEMENTS]>, Syntax> {
    if !cursor.take(b'[') {
        return cursor.value().map(|_| None);
    }
    let (mut elements, mut count) = ([Raw::Absent; V1_ELEMENTS], 0);
    cursor.array(|cursor| {
        let value = cursor.value()?;
        if let Some(element) = elements.get_mut(count) {
            *element = value;
        }
        count += 1;
        Ok(())
    })?;
    Ok((count >= V1_ELEMENTS).then_some(elements))
}
