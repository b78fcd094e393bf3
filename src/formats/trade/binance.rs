//! Binance: `trade`, `aggTrade` and `kline` events; everything else of its public streams is ignored by kind.
//!
//! ```json
//! {"e":"trade","E":1723161255343,"s":"BTCUSDT","t":3735683259,"p":"61837.63","q":"0.02","T":1723161255342,"m":true,"M":true}
//! {"e":"kline","E":1626992760203,"s":"SUSHIUSDT","k":{"t":1626992700000,"T":1626992759999,"o":"7.6080","c":"7.6170",
//!  "h":"7.6180","l":"7.6070","v":"3005","n":113,"x":true,"q":"22875.8590","V":"1900", …}}
//! ```
//!
//! `T` is the time of the trade, in ms or (where a client asks for it) µs. A kline's interval is that from `t` to `T`, so
//! that weeks and months need no names.

use super::super::error::unknown;
use super::super::fields::{self, Field, Fields, trade_id};
use super::super::json::{Cursor, Syntax};
use super::super::raw::Raw;
use super::super::{DecodeError, Decoded, candle};
use super::batch::{Batch, Spelling, Trade};
use super::{Feed, NOT_WANTED, Sink, ignored};
use crate::market::{IdSpace, TradeId};

/// The kinds without a trade: of events, the value of `e`.
pub(in super::super) const IGNORED: &[&str] = &[
    BOOK_TICKER,
    DEPTH,
    ANSWER,
    KLINE,
    candle::UNCLOSED,
    "depthUpdate",
    "24hrTicker",
    "24hrMiniTicker",
    "1hTicker",
    "4hTicker",
    "1dTicker",
    "avgPrice",
    "referencePrice",
    "blockTrade",
    "markPriceUpdate",
    "indexPriceUpdate",
    "continuous_kline",
    "indexPrice_kline",
    "markPrice_kline",
    "forceOrder",
    "compositeIndex",
    "assetIndexUpdate",
    "contractInfo",
    "tradingSession",
    "serverShutdown",
];
/// The best prices: on spot markets an event without a name.
const BOOK_TICKER: &str = "bookTicker";
/// The top of the order book, which has no name.
const DEPTH: &str = "depth";
/// The answer to a request: `{"result":null,"id":1}`, `{"code":2,"msg":"…","id":1}`.
const ANSWER: &str = "answer";
/// A kline, where only trades are wanted.
const KLINE: &str = "kline";

const SPELLING: Spelling = Spelling { symbol: "s", at: "T", price: "p", size: "q" };

/// The keys of an event that matter.
#[derive(Debug, Default)]
pub(in super::super) struct Event<'a> {
    /// `e`
    pub kind: Raw<'a>,
    symbol: Raw<'a>,
    price: Raw<'a>,
    size: Raw<'a>,
    time: Raw<'a>,
    buyer_is_maker: Raw<'a>,
    /// `t`
    trade_id: Raw<'a>,
    /// `a`: of an aggregate trade its id, of a best price the ask.
    aggregate_id: Raw<'a>,
    /// Whether it has `M`: spot markets have, futures have not, and each numbers its trades by itself.
    is_spot: bool,
    kline: Raw<'a>,
    /// Which keys of order books it has, a bit each.
    book: u8,
}

/// The keys of a best price without a name, by bit.
const QUOTE_KEYS: [&[u8]; 5] = [b"u", b"b", b"B", b"a", b"A"];
const QUOTE: u8 = 0b1_1111;
/// The keys of an order book without a name, by bit, from the sixth.
const DEPTH_KEYS: [&[u8]; 3] = [b"lastUpdateId", b"bids", b"asks"];
const BOOK: u8 = 0b1110_0000;

impl<'a> Event<'a> {
    /// Whether a key may be one of an event's.
    #[inline]
    pub fn knows(key: &[u8]) -> bool {
        key.len() == 1 || DEPTH_KEYS.contains(&key)
    }

    /// Reads the value of a key that it knows.
    #[inline]
    pub fn read_field(&mut self, cursor: &mut Cursor<'a>, key: &[u8]) -> Result<(), Syntax> {
        let value = cursor.value()?;
        match key {
            b"e" => self.kind = value,
            b"s" => self.symbol = value,
            b"p" => self.price = value,
            b"q" => self.size = value,
            b"T" => self.time = value,
            b"m" => self.buyer_is_maker = value,
            b"k" => self.kline = value,
            b"t" => self.trade_id = value,
            b"M" => self.is_spot = true,
            _ => {
                if key == b"a" {
                    self.aggregate_id = value;
                }
                let keys = QUOTE_KEYS.iter().chain(&DEPTH_KEYS);
                if let Some(bit) = keys.into_iter().position(|known| *known == key) {
                    self.book |= 1 << bit;
                }
            }
        }
        Ok(())
    }

    /// The kind of an event of an order book that has no name.
    pub fn book(&self) -> Option<&'static str> {
        if self.book & BOOK == BOOK {
            return Some(DEPTH);
        }
        (self.book & QUOTE == QUOTE && !matches!(self.symbol, Raw::Absent)).then_some(BOOK_TICKER)
    }

    /// Appends its trade or candle.
    #[inline]
    fn observe(&self, sink: &mut Sink<'_, '_>) -> Result<Decoded, DecodeError> {
        match self.kind {
            Raw::Text(b"trade" | b"aggTrade") => {
                if !sink.wants_trades() {
                    return Ok(NOT_WANTED);
                }
                let Self { symbol, price, size, time, buyer_is_maker, .. } = *self;
                let side = fields::taker(buyer_is_maker);
                let identity = self.identity();
                let trade = Trade { symbol, at: time, price, size: Some(size), side, identity };
                sink.out.push(trade.observe(&SPELLING, sink.names)?);
                Ok(Decoded::Used)
            }
            Raw::Text(b"kline") => self.observe_kline(sink),
            Raw::Text(kind) => ignored(IGNORED, kind, "Binance's event"),
            kind => match self.book() {
                Some(book) => Ok(Decoded::Ignored(book)),
                None => Err(no_event(kind)),
            },
        }
    }

    #[inline]
    fn identity(&self) -> Option<TradeId> {
        let (id, space) = match (self.kind, self.is_spot) {
            (Raw::Text(b"trade"), true) => (self.trade_id, IdSpace::BinanceSpot),
            (Raw::Text(b"trade"), false) => (self.trade_id, IdSpace::BinanceFutures),
            (_, true) => (self.aggregate_id, IdSpace::BinanceSpotAggregate),
            (_, false) => (self.aggregate_id, IdSpace::BinanceFuturesAggregate),
        };
        trade_id(id, |text| TradeId::parse(space, text))
    }

    fn observe_kline(&self, sink: &mut Sink<'_, '_>) -> Result<Decoded, DecodeError> {
        if !sink.wants_candles() {
            return Ok(Decoded::Ignored(KLINE));
        }
        let Raw::Object(text) = self.kline else {
            return Err(DecodeError::wrong("k", format_args!("is {}; it must be an object", self.kline.kind())));
        };
        let (mut record, mut is_closed) = (Fields::default(), Raw::Absent);
        record.set(Field::Symbol, self.symbol);
        let mut cursor = Cursor::new(text);
        cursor.take(b'{');
        cursor.object(|cursor, key| {
            let value = cursor.value()?;
            let field = match key {
                b"s" => Field::Symbol,
                b"t" => Field::Timestamp,
                b"T" => Field::CloseTime,
                b"o" => Field::Open,
                b"h" => Field::High,
                b"l" => Field::Low,
                b"c" => Field::Close,
                b"v" => Field::Volume,
                b"q" => Field::QuoteVolume,
                b"n" => Field::Count,
                b"V" => Field::TakerBuyVolume,
                b"x" => {
                    is_closed = value;
                    return Ok(());
                }
                _ => return Ok(()),
            };
            record.set(field, value);
            Ok(())
        })?;
        match is_closed {
            Raw::Bool(true) => {}
            Raw::Bool(false) => return Ok(Decoded::Ignored(candle::UNCLOSED)),
            Raw::Absent | Raw::Null => return Err(DecodeError::missing("k.x")),
            other => return Err(DecodeError::wrong("k.x", format_args!("is {}; it must be a boolean", other.kind()))),
        }
        sink.out.push(candle::observe(&record, sink.json.interval, sink.names)?);
        Ok(Decoded::Used)
    }
}

#[cold]
fn no_event(kind: Raw<'_>) -> DecodeError {
    match kind {
        Raw::Absent => unknown(format_args!("an event of Binance without `e`")),
        kind => unknown(format_args!("`e` of an event of Binance is {}", kind.kind())),
    }
}

/// Appends the observations of an object.
#[inline]
pub(super) fn observe(
    feed: &Feed<'_>,
    wrapped: Option<&Event<'_>>,
    sink: &mut Sink<'_, '_>,
) -> Result<Decoded, DecodeError> {
    if !matches!(feed.stream, Raw::Absent) {
        return match (wrapped, feed.list) {
            (Some(event), _) => event.observe(sink),
            (None, Raw::Array(list)) => observe_list(list, sink),
            (None, _) => Err(DecodeError::missing("data")),
        };
    }
    if matches!(feed.event.kind, Raw::Absent) && feed.event.book().is_none() {
        return Ok(Decoded::Ignored(ANSWER));
    }
    feed.event.observe(sink)
}

/// Appends the observations of an array of events, such as the statistics of all markets. If no event has a price or
/// trade, the first one's kind is the message's.
fn observe_list(text: &[u8], sink: &mut Sink<'_, '_>) -> Result<Decoded, DecodeError> {
    let mut batch = Batch::default();
    let mut cursor = Cursor::new(text);
    cursor.take(b'[');
    cursor.array(|cursor| {
        let mut event = None::<Event<'_>>;
        cursor.fields_of(&mut event, |event, cursor, key| {
            if Event::knows(key) { event.read_field(cursor, key) } else { cursor.value().map(drop) }
        })?;
        batch.take(event.map_or_else(|| Err(no_event(Raw::Absent)), |event| event.observe(sink)));
        Ok(())
    })?;
    batch.finish()
}
