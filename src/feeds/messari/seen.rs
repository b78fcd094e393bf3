//! What was published already, by symbol, so that nothing is published twice. Pure.

use super::market_data::MarketData;
use crate::market::{Fixed, Symbol, Timestamp};
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};

/// Prices that are kept of one moment: exchanges trade in the same millisecond, and servers of the API may differ.
const PRICES_MAX: usize = 64;
/// An answer that is older than one before, by up to this, comes from a server that lags; by more, a clock was set right.
const LAG_MS_MAX: i64 = 3_600_000;

/// Whether to publish an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Novelty {
    /// Yes.
    New,
    /// It was published.
    Unchanged,
    /// What came after it was published: it would be out of order.
    Outdated,
}

/// What was published last of each symbol.
#[derive(Clone, Debug, Default)]
pub struct Seen(BTreeMap<Symbol, Last>);

#[derive(Clone, Debug)]
struct Last {
    trade_at: Option<Timestamp>,
    /// Published of that moment, the latest last.
    prices: VecDeque<Fixed>,
    market: Value,
}

impl Seen {
    /// Compares an answer with what was published.
    #[must_use]
    pub fn judge(&self, data: &MarketData) -> Novelty {
        let Some(last) = self.0.get(&data.symbol) else { return Novelty::New };
        match (data.trade_at, last.trade_at) {
            (Some(at), Some(before)) if at == before && last.prices.contains(&data.price) => Novelty::Unchanged,
            (Some(at), Some(before)) if at < before && before.millis() - at.millis() <= LAG_MS_MAX => Novelty::Outdated,
            (None, _) if data.market == last.market => Novelty::Unchanged,
            _ => Novelty::New,
        }
    }

    /// Notes that an answer was published.
    pub fn remember(&mut self, data: MarketData) {
        let MarketData { symbol, trade_at, price, market, .. } = data;
        let last = self.0.entry(symbol).or_insert_with(|| Last {
            trade_at: None,
            prices: VecDeque::new(),
            market: Value::Null,
        });
        last.market = market;
        if trade_at.is_none() {
            return; // When the last trade was is known from before.
        }
        if last.trade_at != trade_at {
            last.trade_at = trade_at;
            last.prices.clear();
        }
        if last.prices.len() == PRICES_MAX {
            last.prices.pop_front();
        }
        last.prices.push_back(price);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An answer given at second `answered` about a trade at `trade`, with a volume that always moves on.
    fn data(symbol: &str, answered: i64, trade: Option<i64>, price: &str) -> MarketData {
        let stamp = |second: i64| Timestamp::from_millis((1_611_239_000 + second) * 1000).to_string();
        let trade = trade.map_or("null".to_owned(), |second| format!("{:?}", stamp(second)));
        let volume = if trade == "null" { 1 } else { answered };
        let body = format!(
            r#"{{"status":{{"elapsed":{answered},"timestamp":"{}"}},"data":{{"symbol":"{symbol}","market_data":
            {{"volume_last_24_hours":{volume},"price_usd":{price},"last_trade_at":{trade}}}}}}}"#,
            stamp(answered)
        );
        MarketData::read(body.as_bytes()).unwrap()
    }

    #[test]
    fn the_trade_decides() {
        let mut seen = Seen::default();
        let table = [
            // Answered, traded, price.
            (10, Some(9), "100", Novelty::New),
            (20, Some(9), "100", Novelty::Unchanged), // only the answer and the volumes moved on
            (30, Some(9), "100.0", Novelty::Unchanged), // the same number
            (40, Some(9), "101", Novelty::New),       // another price of that moment
            (50, Some(9), "100", Novelty::Unchanged), // a server that has not seen it
            (60, Some(52), "101", Novelty::New),      // a trade at the same price
            (70, Some(9), "100", Novelty::Outdated),  // a server that lags
            (80, Some(51), "7", Novelty::Outdated),   // the same, with what we never saw
            (90, None, "101", Novelty::New),          // does not say when
            (95, None, "101", Novelty::Unchanged),    // all of it as before
            (97, Some(52), "101", Novelty::Unchanged), // what was known before that still holds
            (99, None, "102", Novelty::New),
            (5000, Some(4990), "102", Novelty::New),
            (1500, Some(1391), "102", Novelty::Outdated), // 3,599 s back
            (1500, Some(1389), "102", Novelty::New),      // 3,601 s back: a clock was set right
            (1600, Some(1595), "103", Novelty::New),
        ];
        for (answered, trade, price, expected) in table {
            let data = data("BTC", answered, trade, price);
            assert_eq!(seen.judge(&data), expected, "answered {answered}, traded {trade:?} at {price}");
            if expected == Novelty::New {
                seen.remember(data);
            }
        }
        assert_eq!(seen.judge(&data("ETH", 1600, Some(9), "100")), Novelty::New, "symbols are apart");
    }

    #[test]
    fn the_order_of_fields_makes_nothing_new() {
        let body = |fields: &str| {
            let head = r#"{"status":{"timestamp":"2021-01-21T14:34:31Z"},"data":{"symbol":"BTC","market_data":{"#;
            MarketData::read(format!("{head}{fields}}}}}}}").as_bytes()).unwrap()
        };
        let mut seen = Seen::default();
        seen.remember(body(r#""price_usd":1,"volume":2"#));
        assert_eq!(seen.judge(&body(r#""volume":2,"price_usd":1"#)), Novelty::Unchanged);
        assert_eq!(seen.judge(&body(r#""volume":3,"price_usd":1"#)), Novelty::New);
    }

    #[test]
    fn memory_is_bounded() {
        let mut seen = Seen::default();
        for price in 1..=1000 {
            seen.remember(data("BTC", 10, Some(9), &price.to_string()));
        }
        assert_eq!(seen.0.values().map(|last| last.prices.len()).sum::<usize>(), PRICES_MAX);
        assert_eq!(seen.judge(&data("BTC", 20, Some(9), "1000")), Novelty::Unchanged);
    }
}
