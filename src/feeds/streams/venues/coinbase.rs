//! Coinbase Exchange: `matches`, with `heartbeat` as the sign of life.
//!
//! Ids are contiguous per product. The side is that of the maker. A subscription to several products fails whole where one of them
//! is unknown. <https://docs.cdp.coinbase.com/exchange/websocket-feed/channels>

use super::{CandlePages, Markets, Page, Said, Told, Venue, Want, ascending, id, named};
use crate::feeds::streams::candle::{Candle, rows};
use crate::feeds::streams::watch::Rules;
use crate::market::{Side, Timestamp};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::time::Duration;

/// Trades of a page.
const PAGE: u64 = 1000;

/// See above.
#[derive(Clone, Copy, Debug)]
pub struct Coinbase;

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    product_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    trade_id: Option<&'a RawValue>,
    #[serde(borrow)]
    price: Option<&'a RawValue>,
    #[serde(borrow)]
    size: Option<&'a RawValue>,
    #[serde(borrow)]
    side: Option<Cow<'a, str>>,
    #[serde(borrow)]
    time: Option<&'a RawValue>,
    #[serde(borrow, default)]
    channels: Vec<Channel<'a>>,
    #[serde(borrow)]
    message: Option<Cow<'a, str>>,
    #[serde(borrow)]
    reason: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Channel<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    product_ids: Vec<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Row<'a> {
    #[serde(borrow)]
    trade_id: &'a RawValue,
    #[serde(borrow)]
    price: &'a RawValue,
    #[serde(borrow)]
    size: &'a RawValue,
    #[serde(borrow)]
    side: Option<Cow<'a, str>>,
    #[serde(borrow)]
    time: &'a RawValue,
}

/// The other side of the maker's.
pub(super) fn taker(maker: Option<&str>) -> Option<Side> {
    match maker {
        Some("buy" | "BUY") => Some(Side::Sell),
        Some("sell" | "SELL") => Some(Side::Buy),
        _ => None,
    }
}

/// The end (not included) of the page that begins with the first id that is missing.
fn page_end(want: &Want) -> u64 {
    want.hole.first.saturating_add(PAGE).min(want.hole.last + 1)
}

impl Venue for Coinbase {
    fn name(&self) -> &'static str {
        "coinbase"
    }

    fn stream_url(&self) -> &'static str {
        "wss://ws-feed.exchange.coinbase.com"
    }

    fn api_url(&self) -> &'static str {
        "https://api.exchange.coinbase.com"
    }

    fn rules(&self) -> Rules {
        // A heartbeat of each product comes each second.
        Rules { silent_after: Duration::from_secs(10), pings_are_life: false, ping_every: None, renew_after: None }
    }

    fn markets_max(&self) -> usize {
        100
    }

    fn subscribe(&self, markets: &[&str]) -> Vec<String> {
        let asked =
            serde_json::json!({"type": "subscribe", "product_ids": markets, "channels": ["matches", "heartbeat"]});
        vec![asked.to_string()]
    }

    fn subscribes_whole(&self) -> bool {
        true
    }

    fn read(&self, markets: &Markets, text: &str, said: &mut Vec<Said>) -> Result<(), String> {
        let message: Message<'_> = serde_json::from_str(text).map_err(|error| error.to_string())?;
        match message.kind.as_deref() {
            Some("match" | "last_match") => {
                let missing = || "a match lacks one of product_id, trade_id, price, size, time".to_owned();
                let Some(market) = markets.place(message.product_id.as_deref().ok_or_else(missing)?) else {
                    said.push(Said::Foreign);
                    return Ok(());
                };
                let told = Told {
                    id: id(message.trade_id.ok_or_else(missing)?)?,
                    at: message.time.ok_or_else(missing)?,
                    price: message.price.ok_or_else(missing)?,
                    size: message.size.ok_or_else(missing)?,
                    side: taker(message.side.as_deref()),
                };
                said.push(Said::Trade(told.trade(market)?));
            }
            Some("subscriptions") => {
                let matches = message.channels.iter().filter(|channel| channel.name == "matches");
                let names = matches.flat_map(|channel| &channel.product_ids);
                said.extend(names.filter_map(|name| markets.place(name)).map(Said::Acknowledged));
            }
            Some("error") => {
                let why = [message.message.as_deref(), message.reason.as_deref()];
                let why = why.into_iter().flatten().collect::<Vec<_>>().join(": ");
                said.push(Said::Refused(named(markets, &why), why));
            }
            _ => said.push(Said::Other),
        }
        Ok(())
    }

    fn page_every(&self) -> Duration {
        // Eight a second are allowed.
        Duration::from_millis(200)
    }

    fn page(&self, want: &Want) -> String {
        format!("/products/{}/trades?limit={PAGE}&after={}", want.market, page_end(want))
    }

    fn read_page(&self, _: &Want, body: &str) -> Result<Page, String> {
        let rows: Vec<Row<'_>> = serde_json::from_str(body).map_err(|error| error.to_string())?;
        let trades = rows.iter().map(|row| {
            let side = taker(row.side.as_deref());
            Told { id: id(row.trade_id)?, at: row.time, price: row.price, size: row.size, side }.trade(0)
        });
        let trades = ascending(trades.collect::<Result<_, _>>()?);
        // They are those before the end, the newest first: nothing is left out between.
        let through = trades.last().map(|trade| trade.id);
        Ok(Page { trades, through, cursor: None, lacks: false })
    }

    fn candle_pages(&self) -> CandlePages {
        // 300 are allowed, both ends included.
        CandlePages { minutes: 299, back: None }
    }

    fn candles(&self, market: &str, from: Timestamp, to: Timestamp) -> String {
        format!("/products/{market}/candles?granularity=60&start={from}&end={to}")
    }

    fn read_candles(&self, body: &str) -> Result<Vec<Candle>, String> {
        let candle = |row: &[&RawValue]| match *row {
            [at, low, high, open, close, volume, ..] => Candle::read(at, [open, high, low, close, volume], &[]),
            _ => Err("a candle has less than six elements".to_owned()),
        };
        rows(body)?.iter().map(|row| candle(row)).collect()
    }
}
