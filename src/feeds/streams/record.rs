//! What is published: one record per trade, and one per hole that could not be filled.
//!
//! ```json
//! {"symbol":"BTCUSDT","exchange":"binance","market":"BTCUSDT","trade_id":3735683259,"timestamp":1723161255342,
//!  "price":61837.63000000,"size":0.02000000,"side":"sell","received_at":"2024-08-09T00:00:55.391Z"}
//! {"symbol":"BTCUSDT","exchange":"binance","market":"BTCUSDT","first_trade_id":3735683260,"last_trade_id":3735683270,
//!  "after":1723161255342,"reason":"not_at_the_venue","noticed_at":"2024-08-09T00:01:07.108Z"}
//! ```
//!
//! Aggregate trades have `agg_trade_id` instead, and `first_trade_id` and `last_trade_id`: those that they are made of; a hole among them
//! has `first_agg_trade_id` and `last_agg_trade_id`. Where a venue's ids do not tell what is missing, the second has `after_trade_id`, `before_trade_id`, `after` and `before`: two
//! trades, between which nothing is known. The first is a `tick`: see the formats. Numbers stand as the venue wrote them.

use super::sequence::Hole;
use super::trade::Trade;
use crate::market::{Side, Timestamp};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::io::Write as _;

/// What an id is of. Trades and aggregates of one market number by themselves what they both tell: one is never the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ids {
    /// Single trades: `trade_id`.
    #[default]
    Trades,
    /// Aggregates of them: `agg_trade_id`.
    Aggregates,
}

impl Ids {
    /// Their key in records.
    const fn key(self) -> &'static str {
        match self {
            Self::Trades => "trade_id",
            Self::Aggregates => "agg_trade_id",
        }
    }
}

/// Who a market is in records.
#[derive(Clone, Debug)]
pub struct Names {
    /// The key, and `symbol`.
    pub symbol: String,
    /// `exchange`: the venue, and where one symbol has several of its markets, that too, since each numbers by itself.
    pub exchange: String,
    /// `market`: the venue's spelling.
    pub market: String,
    /// What its ids are of.
    pub ids: Ids,
    /// The beginning of each value.
    head: String,
}

impl Names {
    /// These.
    #[must_use]
    pub fn new(symbol: String, exchange: String, market: String) -> Self {
        // A text as JSON cannot fail.
        let quoted = |text: &str| serde_json::to_string(text).unwrap_or_default();
        let head = format!(
            "{{\"symbol\":{},\"exchange\":{},\"market\":{},",
            quoted(&symbol),
            quoted(&exchange),
            quoted(&market)
        );
        Self { symbol, exchange, market, ids: Ids::default(), head }
    }

    /// The same with ids of these.
    #[must_use]
    pub fn numbered(self, ids: Ids) -> Self {
        Self { ids, ..self }
    }

    /// The beginning of each value, up to what is its own.
    pub(super) fn head(&self) -> &str {
        &self.head
    }
}

/// For people.
impl std::fmt::Display for Names {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.exchange, self.market)
    }
}

/// Writes a trade's value.
pub fn write(names: &Names, trade: &Trade, out: &mut Vec<u8>) {
    write_fields(names, trade, out);
    // A vector takes everything.
    let _ = write!(out, ",\"received_at\":\"{}\"}}", trade.received);
}

/// Writes the value of a trade that was asked for, not listened to: the same whenever that was.
pub fn write_told(names: &Names, trade: &Trade, out: &mut Vec<u8>) {
    write_fields(names, trade, out);
    out.push(b'}');
}

fn write_fields(names: &Names, trade: &Trade, out: &mut Vec<u8>) {
    out.clear();
    let Trade { id, at, price, size, side, parts, .. } = trade;
    let side = match side {
        Some(Side::Buy) => ",\"side\":\"buy\"",
        Some(Side::Sell) => ",\"side\":\"sell\"",
        None => "",
    };
    let (head, key) = (&names.head, names.ids.key());
    // A vector takes everything.
    let _ = write!(out, "{head}\"{key}\":{id},\"timestamp\":{at},\"price\":{price},\"size\":{size}{side}");
    if let Some((first, last)) = parts {
        let _ = write!(out, ",\"first_trade_id\":{first},\"last_trade_id\":{last}");
    }
}

/// Writes the value that tells of a hole.
pub fn write_gap(names: &Names, hole: Hole, after: Option<&str>, reason: &str, now: Timestamp, out: &mut Vec<u8>) {
    out.clear();
    let (Hole { first, last }, head, key) = (hole, &names.head, names.ids.key());
    let after = after.unwrap_or("null");
    let _ = write!(
        out,
        "{head}\"first_{key}\":{first},\"last_{key}\":{last},\"after\":{after},\"reason\":\"{reason}\",\"noticed_at\":\"{now}\"}}"
    );
}

/// Writes the value that tells that it is not known what was traded between two trades, where no ids tell: their ids, and when they
/// were made.
pub fn write_time_gap(
    names: &Names,
    after: (u64, Option<&str>),
    before: (u64, &str),
    reason: &str,
    now: Timestamp,
    out: &mut Vec<u8>,
) {
    out.clear();
    let ((after_id, after), (before_id, before), head, key) = (after, before, &names.head, names.ids.key());
    let after = after.unwrap_or("null");
    let _ = write!(
        out,
        "{head}\"after_{key}\":{after_id},\"before_{key}\":{before_id},\"after\":{after},\"before\":{before},\"reason\":\"{reason}\",\"noticed_at\":\"{now}\"}}"
    );
}

/// What a record says of its trade.
#[derive(Deserialize)]
pub struct Written<'a> {
    #[serde(borrow)]
    pub symbol: Cow<'a, str>,
    #[serde(borrow)]
    pub exchange: Cow<'a, str>,
    #[serde(borrow)]
    pub market: Cow<'a, str>,
    trade_id: Option<u64>,
    agg_trade_id: Option<u64>,
    last_trade_id: Option<u64>,
    #[serde(borrow)]
    pub timestamp: &'a RawValue,
}

impl Written<'_> {
    /// Its id, and what that is of.
    pub fn id(&self) -> Option<(Ids, u64)> {
        let of = |ids: Ids, id: Option<u64>| id.map(|id| (ids, id));
        of(Ids::Trades, self.trade_id).or(of(Ids::Aggregates, self.agg_trade_id))
    }

    /// The last trade that it tells of, where it says.
    pub fn last_trade(&self) -> Option<u64> {
        self.trade_id.or(self.last_trade_id)
    }
}

/// Reads back what [`write`] wrote; none of what others did.
pub fn read(value: &[u8]) -> Option<Written<'_>> {
    serde_json::from_slice(value).ok().filter(|written: &Written<'_>| written.id().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Format;
    use crate::formats::{Decoded, Decoder};
    use crate::market::{Fixed, IdSpace, Quote, SymbolTable, TradeId};

    #[test]
    fn a_record_is_a_tick_with_the_venues_own_digits_and_is_read_back() {
        let names = Names::new("BTC \"1\"".to_owned(), "kraken".to_owned(), "BTC/USD".to_owned());
        let trade = Trade {
            market: 0,
            id: 4_665_846,
            at: "\"2023-09-25T07:48:36.925533Z\"".into(),
            price: "65083.70000001".into(),
            size: "1e-8".into(),
            side: Some(Side::Sell),
            parts: None,
            received: Timestamp::from_millis(1_695_628_117_000),
        };
        let mut out = Vec::new();
        write(&names, &trade, &mut out);
        let mut symbols = SymbolTable::default();
        let mut ticks = Vec::new();
        let decoded = Decoder::json(Format::Auto, None, None).decode(None, &out, &mut symbols, &mut ticks);
        assert_eq!(decoded, Ok(Decoded::Used), "{}", String::from_utf8_lossy(&out));
        let tick = &ticks[0];
        assert_eq!((symbols.name(tick.symbol).as_str(), tick.at.millis()), ("BTC \"1\"", 1_695_628_116_925));
        assert_eq!(tick.quote.price(), Fixed::parse(b"65083.70000001").unwrap());
        assert!(
            matches!(tick.quote, Quote::Tick { side: Some(Side::Sell), size, .. } if size == Fixed::parse(b"0.00000001").unwrap())
        );
        assert_eq!(tick.identity, TradeId::parse(IdSpace::Kraken, b"4665846"), "as in the venue's own message");
        let written = read(&out).unwrap();
        assert_eq!(
            (written.id(), &*written.market, written.timestamp.get()),
            (Some((Ids::Trades, 4_665_846)), "BTC/USD", &*trade.at)
        );
        assert!(read(br#"{"symbol":"BTC","price":1}"#).is_none());
    }

    #[test]
    fn an_aggregate_is_known_by_its_own_number_as_in_the_stream_and_in_archives() {
        let names = Names::new("BTCUSDT".to_owned(), "binance".to_owned(), "BTCUSDT".to_owned());
        let names = names.numbered(Ids::Aggregates);
        let (at, price, size) = ("1498793709153".into(), "0.01633102".into(), "4.70443515".into());
        let (side, received) = (Some(Side::Sell), Timestamp::from_millis(1_498_793_709_200));
        let trade = Trade { market: 0, id: 26_129, at, price, size, side, parts: Some((27_781, 27_785)), received };
        let (mut out, mut symbols, mut ticks) = (Vec::new(), SymbolTable::default(), Vec::new());
        write(&names, &trade, &mut out);
        let decoded = Decoder::json(Format::Auto, None, None).decode(None, &out, &mut symbols, &mut ticks);
        assert_eq!(decoded, Ok(Decoded::Used), "{}", String::from_utf8_lossy(&out));
        assert_eq!(ticks[0].identity, TradeId::parse(IdSpace::BinanceSpotAggregate, b"26129"));
        let written = read(&out).unwrap();
        assert_eq!((written.id(), written.last_trade()), (Some((Ids::Aggregates, 26_129)), Some(27_785)));
        write_gap(&names, Hole { first: 5, last: 9 }, None, "too_large", Timestamp::from_millis(0), &mut out);
        let told: serde_json::Value = serde_json::from_slice(&out).unwrap();
        let ids = ["first_agg_trade_id", "last_agg_trade_id", "first_trade_id"].map(|name| told[name].as_u64());
        assert_eq!(ids, [Some(5), Some(9), None]);
    }

    #[test]
    fn a_gap_without_ids_is_told_with_what_is_around_it() {
        let names = Names::new("btcusd".to_owned(), "bitstamp".to_owned(), "btcusd".to_owned());
        let mut out = Vec::new();
        let after = (5, Some("1723161255342"));
        write_time_gap(&names, after, (9, "1723161255"), "not_in_time", Timestamp::from_millis(0), &mut out);
        let told: serde_json::Value = serde_json::from_slice(&out).unwrap();
        let expected = serde_json::json!({"symbol": "btcusd", "exchange": "bitstamp", "market": "btcusd", "after_trade_id": 5,
            "before_trade_id": 9, "after": 1_723_161_255_342_u64, "before": 1_723_161_255, "reason": "not_in_time",
            "noticed_at": "1970-01-01T00:00:00.000Z"});
        assert_eq!(told, expected);
    }

    #[test]
    fn ids_too_large_for_a_number_are_known_by_all_their_digits() {
        let names = Names::new("BTC".to_owned(), "bybit".to_owned(), "BTCUSDT".to_owned());
        let identity = |id: u64| {
            let (at, price, size) = ("1735689653898".into(), "93611.04".into(), "0.000725".into());
            let trade =
                Trade { market: 0, id, at, price, size, side: None, parts: None, received: Timestamp::from_millis(0) };
            let (mut out, mut symbols, mut ticks) = (Vec::new(), SymbolTable::default(), Vec::new());
            write(&names, &trade, &mut out);
            assert_eq!(read(&out).unwrap().id(), Some((Ids::Trades, id)));
            let decoded = Decoder::json(Format::Auto, None, None).decode(None, &out, &mut symbols, &mut ticks);
            assert_eq!(decoded, Ok(Decoded::Used), "{}", String::from_utf8_lossy(&out));
            ticks[0].identity.unwrap()
        };
        let first = 2_290_000_000_587_387_108;
        let known: std::collections::BTreeSet<_> = (first..first + 10_000).map(identity).collect();
        assert_eq!((known.len(), known.contains(&identity(first + 77))), (10_000, true));
        assert!(!known.contains(&identity(first + 10_000)));
    }

    #[test]
    fn a_gap_is_told_with_its_ids() {
        let names = Names::new("BTCUSDT".to_owned(), "binance".to_owned(), "BTCUSDT".to_owned());
        let mut out = Vec::new();
        write_gap(
            &names,
            Hole { first: 5, last: 9 },
            Some("1723161255342"),
            "too_large",
            Timestamp::from_millis(0),
            &mut out,
        );
        let told: serde_json::Value = serde_json::from_slice(&out).unwrap();
        let expected = serde_json::json!({"symbol": "BTCUSDT", "exchange": "binance", "market": "BTCUSDT", "first_trade_id": 5,
            "last_trade_id": 9, "after": 1_723_161_255_342_u64, "reason": "too_large", "noticed_at": "1970-01-01T00:00:00.000Z"});
        assert_eq!(told, expected);
    }
}
