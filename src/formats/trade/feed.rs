//! The keys beside those of ticks that messages of exchanges have, and whose message they make it.

use super::super::json::{Cursor, Syntax};
use super::super::raw::Raw;
use super::binance::Event;

/// Whose message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Venue {
    Binance,
    CoinbaseExchange,
    CoinbaseAdvanced,
    Kraken,
}

/// A message's keys at its top.
#[derive(Debug, Default)]
pub(in super::super) struct Feed<'a> {
    /// Binance, without `{"stream","data"}`.
    pub event: Event<'a>,
    /// Binance: which stream the event in `data` is of.
    pub stream: Raw<'a>,
    /// Binance: the answer to a request.
    pub result: Raw<'a>,
    pub id: Raw<'a>,
    pub code: Raw<'a>,
    /// Coinbase Advanced Trade, Kraken v2.
    pub channel: Raw<'a>,
    /// Coinbase Advanced Trade: an array.
    pub events: Raw<'a>,
    /// Kraken v1: what is no array.
    pub event_name: Raw<'a>,
    /// Kraken v2: the answer to a request.
    pub method: Raw<'a>,
    /// `data`, where it is an array.
    pub list: Raw<'a>,
    /// Coinbase Exchange.
    pub kind: Raw<'a>,
    pub product: Raw<'a>,
    pub time: Raw<'a>,
    pub last_size: Raw<'a>,
    /// What an envelope holds: `payload` of Kafka Connect, `after` of Debezium.
    pub content: Raw<'a>,
}

impl<'a> Feed<'a> {
    /// Whether a key that is no tick's or candle's is one of these.
    pub fn knows(key: &[u8]) -> bool {
        Event::knows(key)
            || matches!(
                key,
                b"stream"
                    | b"result"
                    | b"id"
                    | b"code"
                    | b"channel"
                    | b"events"
                    | b"event"
                    | b"method"
                    | b"type"
                    | b"product_id"
                    | b"time"
                    | b"last_size"
                    | b"payload"
                    | b"after"
            )
    }

    /// Reads the value of a key that it knows.
    pub fn read_field(&mut self, cursor: &mut Cursor<'a>, key: &[u8]) -> Result<(), Syntax> {
        let slot = match key {
            b"stream" => &mut self.stream,
            b"result" => &mut self.result,
            b"id" => &mut self.id,
            b"code" => &mut self.code,
            b"channel" => &mut self.channel,
            b"events" => &mut self.events,
            b"event" => &mut self.event_name,
            b"method" => &mut self.method,
            b"type" => &mut self.kind,
            b"product_id" => &mut self.product,
            b"time" => &mut self.time,
            b"last_size" => &mut self.last_size,
            b"payload" | b"after" => &mut self.content,
            _ => return self.event.read_field(cursor, key),
        };
        *slot = cursor.value()?;
        Ok(())
    }

    /// Whether it tells of a product of Coinbase Exchange.
    pub fn is_product(&self) -> bool {
        matches!(self.kind, Raw::Text(_)) && !matches!(self.product, Raw::Absent)
    }

    /// Whose message the keys make it.
    pub fn venue(&self) -> Option<Venue> {
        let is_text = |raw| matches!(raw, Raw::Text(_));
        let is_answer = |raw| !matches!(raw, Raw::Absent);
        Some(if is_text(self.channel) {
            if matches!(self.events, Raw::Absent) { Venue::Kraken } else { Venue::CoinbaseAdvanced }
        } else if is_text(self.stream) || is_text(self.event.kind) || self.event.book().is_some() {
            Venue::Binance
        } else if is_text(self.kind) {
            Venue::CoinbaseExchange
        } else if is_text(self.event_name) || is_text(self.method) {
            Venue::Kraken
        } else if is_answer(self.id) && (is_answer(self.result) || is_answer(self.code)) {
            Venue::Binance
        } else {
            return None;
        })
    }
}
