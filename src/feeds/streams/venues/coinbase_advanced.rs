//! Coinbase Advanced Trade: `market_trades`, with `heartbeats` as the sign of life.
//!
//! A market's first message is a snapshot of its last trades; what follows comes in batches, the newest first. It is the book of Coinbase
//! Exchange with the same ids, contiguous per product, so that what is missing is asked for there. Messages are numbered over a
//! connection. Nothing documents how it answers where one of several products is unknown, so that each is asked for by itself.
//! <https://docs.cdp.coinbase.com/coinbase-app/advanced-trade-apis/websocket/websocket-channels>

use super::coinbase::{Coinbase, taker};
use super::{CandlePages, Markets, Page, Said, Told, Venue, Want, id, named};
use crate::feeds::streams::candle::Candle;
use crate::feeds::streams::watch::Rules;
use crate::market::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

/// See above.
#[derive(Clone, Copy, Debug)]
pub struct CoinbaseAdvanced;

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    channel: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
    sequence_num: Option<u64>,
    #[serde(borrow)]
    events: Option<&'a RawValue>,
    #[serde(borrow)]
    message: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow, default)]
    trades: Vec<Line<'a>>,
}

#[derive(Deserialize)]
struct Subscribed<'a> {
    #[serde(borrow, default)]
    subscriptions: BTreeMap<Cow<'a, str>, Vec<Cow<'a, str>>>,
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    trade_id: &'a RawValue,
    #[serde(borrow)]
    product_id: Cow<'a, str>,
    #[serde(borrow)]
    price: &'a RawValue,
    #[serde(borrow)]
    size: &'a RawValue,
    #[serde(borrow)]
    side: Option<Cow<'a, str>>,
    #[serde(borrow)]
    time: &'a RawValue,
}

/// Whose trades a market's are: what is quoted in USDC has the book of the same in USD, but for two that have their own.
fn book(market: &str) -> Cow<'_, str> {
    match market.strip_suffix("-USDC") {
        Some(base) if !matches!(base, "USDT" | "EURC") => format!("{base}-USD").into(),
        _ => market.into(),
    }
}

/// The markets whose trades a product's are: one, or that in USD and that in USDC.
fn places<'a>(markets: &'a Markets, product: &'a str) -> impl Iterator<Item = usize> + 'a {
    let twin = product.ends_with("-USD").then(|| format!("{product}C")).filter(|twin| book(twin) == product);
    [markets.place(product), twin.and_then(|twin| markets.place(&twin))].into_iter().flatten()
}

/// The trades of all events of a message, by their ids.
fn read_trades(markets: &Markets, events: &str, said: &mut Vec<Said>) -> Result<(), String> {
    let events: Vec<Event<'_>> = serde_json::from_str(events).map_err(|error| error.to_string())?;
    let mut trades = Vec::new();
    let mut foreign = 0;
    for line in events.iter().flat_map(|event| &event.trades) {
        let side = taker(line.side.as_deref());
        let told = Told { id: id(line.trade_id)?, at: line.time, price: line.price, size: line.size, side };
        let before = trades.len();
        for market in places(markets, &line.product_id) {
            trades.push(told.trade(market)?);
        }
        foreign += usize::from(trades.len() == before);
    }
    trades.sort_by_key(|trade| trade.id);
    said.extend(trades.into_iter().map(Said::Trade));
    said.extend(std::iter::repeat_n(Said::Foreign, foreign));
    Ok(())
}

impl Venue for CoinbaseAdvanced {
    fn name(&self) -> &'static str {
        "coinbase_advanced"
    }

    fn stream_url(&self) -> &'static str {
        "wss://advanced-trade-ws.coinbase.com"
    }

    fn api_url(&self) -> &'static str {
        Coinbase.api_url()
    }

    fn rules(&self) -> Rules {
        // A heartbeat comes each second.
        Rules { silent_after: Duration::from_secs(10), pings_are_life: false, ping_every: None, renew_after: None }
    }

    fn markets_max(&self) -> usize {
        // As many as are asked for, one by one, in the time that an answer may take.
        30
    }

    fn subscribe(&self, markets: &[&str]) -> Vec<String> {
        let beats = serde_json::json!({"type": "subscribe", "channel": "heartbeats"});
        let trades = markets.iter().map(
            |market| serde_json::json!({"type": "subscribe", "product_ids": [market], "channel": "market_trades"}),
        );
        std::iter::once(beats).chain(trades).map(|asked| asked.to_string()).collect()
    }

    fn read(&self, markets: &Markets, text: &str, said: &mut Vec<Said>) -> Result<(), String> {
        let message: Message<'_> = serde_json::from_str(text).map_err(|error| error.to_string())?;
        said.extend(message.sequence_num.map(Said::Numbered));
        let events = message.events.map_or("[]", RawValue::get);
        match (message.channel.as_deref(), message.kind.as_deref()) {
            (Some("market_trades"), _) => read_trades(markets, events, said)?,
            (Some("subscriptions"), _) => {
                let events: Vec<Subscribed<'_>> = serde_json::from_str(events).map_err(|error| error.to_string())?;
                let products = events.iter().filter_map(|event| event.subscriptions.get("market_trades")).flatten();
                said.extend(products.flat_map(|product| places(markets, product)).map(Said::Acknowledged));
            }
            (_, Some("error")) => {
                let why = message.message.as_deref().unwrap_or("no reason");
                said.push(Said::Refused(named(markets, why), why.to_owned()));
            }
            _ => said.push(Said::Other),
        }
        Ok(())
    }

    fn page_every(&self) -> Duration {
        Coinbase.page_every()
    }

    fn page(&self, want: &Want) -> String {
        Coinbase.page(&Want { market: book(&want.market).into_owned(), ..want.clone() })
    }

    fn read_page(&self, want: &Want, body: &str) -> Result<Page, String> {
        Coinbase.read_page(want, body)
    }

    fn candle_pages(&self) -> CandlePages {
        Coinbase.candle_pages()
    }

    fn candles(&self, market: &str, from: Timestamp, to: Timestamp) -> String {
        Coinbase.candles(&book(market), from, to)
    }

    fn read_candles(&self, body: &str) -> Result<Vec<Candle>, String> {
        Coinbase.read_candles(body)
    }
}
