//! What one answer of the API observed.
//!
//! `status.timestamp` is the time of the *answer*, and so differs in every one. What is observed is the trade behind the
//! price: `market_data.last_trade_at` and `market_data.price_usd`. Volumes and bars move on with the clock where nothing
//! was traded, so they do not make an observation new. Only where an answer does not say when the last trade was, all of
//! `market_data` stands for it.

use crate::config::Format;
use crate::formats::{Decoded, Decoder};
use crate::market::{Fixed, Observation, Symbol, SymbolTable, Timestamp};
use serde_json::Value;

/// A trade that lies further after the answer that tells of it is none: one such stamp would make all later ones old.
const TRADE_AHEAD_MS_MAX: i64 = 60_000;

/// An answer that can be used.
#[derive(Clone, Debug, PartialEq)]
pub struct MarketData {
    /// As the answer spells it.
    pub symbol: Symbol,
    /// When it was given.
    pub answered_at: Timestamp,
    /// When the last trade was, where it says so.
    pub trade_at: Option<Timestamp>,
    /// The price in dollars.
    pub price: Fixed,
    /// All of `market_data`, whatever the order of its fields.
    pub market: Value,
}

impl MarketData {
    /// Reads an answer's body, as the job will read the record.
    ///
    /// # Errors
    /// When the job could not use it. The message says why.
    pub fn read(body: &[u8]) -> Result<Self, String> {
        let mut symbols = SymbolTable::default();
        let mut out = Vec::new();
        let mut decoder = Decoder::json(Format::Messari, None, None);
        match decoder.decode(None, body, &mut symbols, &mut out).map_err(|error| error.to_string())? {
            Decoded::Used | Decoded::Partly(_) => {}
            Decoded::Ignored(kind) => return Err(format!("no price in it ({kind})")),
        }
        let Some(Observation { symbol, at, quote, .. }) = out.pop() else { return Err("no price in it".to_owned()) };
        // What was published by others may begin with the seed's plus sign.
        let text = body.trim_ascii_start();
        let text = text.strip_prefix(b"+").unwrap_or(text);
        let mut value: Value = serde_json::from_slice(text).map_err(|error| format!("not JSON: {error}"))?;
        let places = ["/data/market_data", "/status/data/market_data"];
        let market = places.iter().find_map(|place| Some(value.pointer_mut(place)?.take())).unwrap_or_default();
        let stamp = market.get("last_trade_at").and_then(Value::as_str);
        let trade_at = stamp.and_then(|stamp| Timestamp::parse(stamp.as_bytes()).ok());
        Ok(Self {
            symbol: symbols.name(symbol).clone(),
            answered_at: at,
            trade_at: trade_at.filter(|trade| trade.millis() <= at.millis() + TRADE_AHEAD_MS_MAX),
            price: quote.price(),
            market,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = r#"{"status":{"timestamp":"2021-01-21T14:34:31.964034086Z"},"data":{"symbol":"BTC",
        "market_data":{"price_usd":31571.742818217568,"last_trade_at":"2021-01-21T14:34:29.826Z"}}}"#;

    #[test]
    fn the_trade_is_read_beside_what_the_job_reads() {
        let read = MarketData::read(BODY.as_bytes()).unwrap();
        assert_eq!(read.symbol.as_str(), "BTC");
        assert_eq!(read.answered_at.to_string(), "2021-01-21T14:34:31.964Z");
        assert_eq!(read.trade_at.unwrap().to_string(), "2021-01-21T14:34:29.826Z");
        assert_eq!(read.price.to_string(), "31571.74281822");
        assert!(read.market.get("price_usd").is_some());
    }

    #[test]
    fn a_trade_without_a_sensible_time_has_none() {
        let change = |from: &str, to: &str| MarketData::read(BODY.replace(from, to).as_bytes()).unwrap().trade_at;
        assert!(change("14:34:29.826Z", "14:35:31.964Z").is_some(), "clocks differ a little");
        for stamp in ["\"2021-01-21T14:35:31.965Z\"", "\"0001-01-01T00:00:00Z\"", "\"soon\"", "null", "7"] {
            assert_eq!(change("\"2021-01-21T14:34:29.826Z\"", stamp), None, "{stamp}");
        }
    }

    #[test]
    fn what_the_job_could_not_use_is_told() {
        for (body, why) in [
            ("", "empty"),
            ("<html>busy</html>", "JSON"),
            (&BODY[..BODY.len() - 2], "JSON"),
            (&BODY.replace("31571.742818217568", "null"), "price_usd"),
            (&BODY.replace("31571.742818217568", "-1"), "price_usd"),
            (&BODY.replace("\"BTC\"", "null"), "symbol"),
            (r#"{"status":{"timestamp":"2021-01-21T14:34:31Z","error_code":404}}"#, "no price in it (error_body)"),
        ] {
            let error = MarketData::read(body.as_bytes()).unwrap_err();
            assert!(error.contains(why), "{body}: {error}");
        }
    }
}
