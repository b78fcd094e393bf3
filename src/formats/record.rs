//! One pass over a JSON object: the fields of every format, and which format they are. The order of keys never matters.

use super::error::unknown;
use super::fields::{Field, Fields};
use super::json::{Cursor, Syntax};
use super::messari::{Data, Payload, Status};
use super::raw::Raw;
use super::trade::{self, Event, Feed, Sink, Venue};
use super::{DecodeError, Decoded};
use crate::market::IdSpace;

/// Everything that a format may ask of a JSON object.
#[derive(Debug, Default)]
pub(super) struct JsonRecord<'a> {
    pub fields: Fields<'a>,
    pub payload: Payload<'a>,
    /// The keys of exchanges, made when the first of them comes: most records have none.
    feed: Option<Feed<'a>>,
    /// Those of Binance within `data`.
    wrapped: Option<Event<'a>>,
}

/// Which format an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Tick,
    Candle,
    Messari,
    Venue(Venue),
}

impl<'a> JsonRecord<'a> {
    /// Reads an object; true if it is ASCII, false if its strings have yet to be checked for UTF-8.
    #[inline]
    pub fn read(&mut self, text: &'a [u8]) -> Result<bool, DecodeError> {
        let mut cursor = Cursor::new(text);
        cursor.space();
        if !cursor.take(b'{') {
            return Err(not_an_object(cursor));
        }
        cursor.object(|cursor, key| self.field(cursor, key)).and_then(|()| cursor.end())?;
        Ok(cursor.is_ascii())
    }

    #[inline(always)]
    fn field(&mut self, cursor: &mut Cursor<'a>, key: &[u8]) -> Result<(), Syntax> {
        let field = match key.len() {
            1 => return self.feed().event.read_field(cursor, key),
            4 => match key {
                b"size" => Field::Size,
                b"side" => Field::Side,
                b"open" => Field::Open,
                b"high" => Field::High,
                b"vwap" => Field::Vwap,
                b"data" => return self.data(cursor),
                _ => return self.other(cursor, key),
            },
            5 => match key {
                b"price" => Field::Price,
                b"close" => Field::Close,
                b"count" => Field::Count,
                _ => return self.other(cursor, key),
            },
            6 => match key {
                b"symbol" => Field::Symbol,
                b"volume" => Field::Volume,
                b"trades" => Field::Count,
                b"status" => return Status::read(&mut self.payload.status, cursor),
                _ => return self.other(cursor, key),
            },
            8 => match key {
                b"trade_id" => return self.trade_id(cursor, 5, IdSpace::Plain),
                b"exchange" => Field::Exchange,
                b"interval" => Field::Interval,
                _ => return self.other(cursor, key),
            },
            9 => match key {
                b"timestamp" => Field::Timestamp,
                b"price_usd" => Field::PriceUsd,
                _ => return self.other(cursor, key),
            },
            _ => match key {
                b"low" => Field::Low,
                b"quote_volume" => Field::QuoteVolume,
                b"taker_buy_volume" => Field::TakerBuyVolume,
                b"close_time" => Field::CloseTime,
                b"is_buyer_maker" => Field::BuyerMaker,
                b"tradeId" => return self.trade_id(cursor, 4, IdSpace::Plain),
                b"tid" => return self.trade_id(cursor, 3, IdSpace::Plain),
                b"trdMatchID" => return self.trade_id(cursor, 2, IdSpace::Plain),
                b"agg_trade_id" => return self.trade_id(cursor, 1, IdSpace::PlainAggregate),
                _ => return self.other(cursor, key),
            },
        };
        // Of a key that comes twice, the last one counts.
        self.fields.set(field, cursor.value()?);
        Ok(())
    }

    #[inline]
    fn trade_id(&mut self, cursor: &mut Cursor<'a>, rank: u8, ids: IdSpace) -> Result<(), Syntax> {
        self.fields.set_id(rank, ids, cursor.value()?);
        Ok(())
    }

    #[inline]
    fn feed(&mut self) -> &mut Feed<'a> {
        self.feed.get_or_insert_default()
    }

    /// A key that only exchanges have, or one that nobody knows.
    fn other(&mut self, cursor: &mut Cursor<'a>, key: &[u8]) -> Result<(), Syntax> {
        if Feed::knows(key) { self.feed().read_field(cursor, key) } else { cursor.value().map(drop) }
    }

    /// `data`: Messari's object, or an event or a list of an exchange.
    fn data(&mut self, cursor: &mut Cursor<'a>) -> Result<(), Syntax> {
        (self.payload.data, self.wrapped) = (None, None);
        if let Some(feed) = &mut self.feed {
            feed.list = Raw::Absent;
        }
        if cursor.is_at(b'{') {
            let wrapped = &mut self.wrapped;
            return Data::read(&mut self.payload.data, cursor, |cursor, key| {
                if Event::knows(key) {
                    wrapped.get_or_insert_default().read_field(cursor, key)
                } else {
                    cursor.value().map(drop)
                }
            });
        }
        let value = cursor.value()?;
        if matches!(value, Raw::Array(_)) {
            self.feed().list = value;
        }
        Ok(())
    }

    /// Appends the observations of an exchange's message.
    #[inline]
    pub fn observe_message(&self, venue: Venue, sink: &mut Sink<'_, '_>) -> Result<Decoded, DecodeError> {
        let feed = self.feed.as_ref().ok_or_else(|| unknown(format_args!("it is no message of an exchange")))?;
        trade::observe(venue, feed, self.wrapped.as_ref(), &self.fields, sink)
    }

    /// Whose message it is, where it is an exchange's.
    pub fn venue(&self) -> Option<Venue> {
        self.feed.as_ref().and_then(Feed::venue)
    }

    /// Whether it has a price.
    #[inline]
    pub fn is_priced(&self) -> bool {
        self.fields.has(Field::Price) || self.fields.has(Field::PriceUsd)
    }

    /// What an envelope holds: of a record that is nothing itself.
    pub fn content(&self) -> Option<Raw<'a>> {
        let feed = self.feed.as_ref().filter(|feed| !matches!(feed.content, Raw::Absent))?;
        (!self.is_priced() && !self.fields.has_bar()).then_some(feed.content)
    }

    /// The format that the keys say.
    ///
    /// # Errors
    /// When they say none.
    #[inline]
    pub fn detect(&self) -> Result<Kind, DecodeError> {
        let has = |field| self.fields.has(field);
        // Whatever statistics stand beside it.
        if self.is_priced() {
            // Coinbase says `price` as ticks do, but `product_id` and `time` for symbol and timestamp.
            let is_product = self.feed.as_ref().is_some_and(Feed::is_product);
            return Ok(if is_product && !has(Field::Symbol) {
                Kind::Venue(Venue::CoinbaseExchange)
            } else {
                Kind::Tick
            });
        }
        if self.fields.has_bar() {
            return Ok(Kind::Candle);
        }
        if let Some(venue) = self.venue() {
            return Ok(Kind::Venue(venue));
        }
        if self.payload.is_likely() {
            return Ok(Kind::Messari);
        }
        if has(Field::Timestamp) || has(Field::Symbol) {
            return Ok(Kind::Tick);
        }
        Err(unknown(format_args!("the object has none of the keys of a record")))
    }
}

#[cold]
fn not_an_object(mut cursor: Cursor<'_>) -> DecodeError {
    match cursor.value().and_then(|value| cursor.end().map(|()| value)) {
        Err(error) => DecodeError::from(error),
        Ok(value) => unknown(format_args!("the value is {}, not an object", value.kind())),
    }
}
