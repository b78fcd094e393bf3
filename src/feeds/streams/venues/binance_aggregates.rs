//! Binance, spot: `aggTrade`: what one order took at one price is one trade.
//!
//! Aggregates have contiguous ids of their own (`a`) and say which trades they are made of (`f`, `l`). A busy market has some times
//! fewer of them, and a page of them is cheap. All else is as with [`Binance`].
//! <https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams#aggregate-trade-streams>

use super::binance::{self, Binance, taker};
use super::{CandlePages, Markets, Page, Said, Told, Trade, Venue, Want, ascending, id};
use crate::feeds::streams::candle::Candle;
use crate::feeds::streams::record::Ids;
use crate::feeds::streams::watch::Rules;
use crate::market::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::time::Duration;

/// Aggregates of a page.
const PAGE: usize = 1000;

/// See above.
#[derive(Clone, Copy, Debug)]
pub struct BinanceAggregates;

/// In the stream and in pages alike.
#[derive(Deserialize)]
struct Aggregate<'a> {
    #[serde(borrow, rename = "e")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "s")]
    market: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "a")]
    id: Option<&'a RawValue>,
    #[serde(borrow, rename = "p")]
    price: Option<&'a RawValue>,
    #[serde(borrow, rename = "q")]
    size: Option<&'a RawValue>,
    #[serde(borrow, rename = "f")]
    first: Option<&'a RawValue>,
    #[serde(borrow, rename = "l")]
    last: Option<&'a RawValue>,
    #[serde(borrow, rename = "T")]
    at: Option<&'a RawValue>,
    #[serde(rename = "m")]
    buyer_is_maker: Option<bool>,
}

impl Aggregate<'_> {
    fn trade(&self, market: usize) -> Result<Trade, String> {
        let missing = || "an aggregate lacks one of a, p, q, T".to_owned();
        let told = Told {
            id: id(self.id.ok_or_else(missing)?)?,
            at: self.at.ok_or_else(missing)?,
            price: self.price.ok_or_else(missing)?,
            size: self.size.ok_or_else(missing)?,
            side: self.buyer_is_maker.map(taker),
        };
        // -1 where it has none.
        let part = |raw: Option<&RawValue>| raw.and_then(|raw| id(raw).ok());
        let parts = part(self.first).zip(part(self.last)).filter(|(first, last)| first <= last);
        Ok(Trade { parts, ..told.trade(market)? })
    }
}

fn event(markets: &Markets, text: &str) -> Result<Said, String> {
    let event: Aggregate<'_> = serde_json::from_str(text).map_err(|error| error.to_string())?;
    match event.kind.as_deref() {
        Some("aggTrade") => {}
        Some("serverShutdown") => return Ok(Said::Ending),
        _ => return Ok(Said::Other),
    }
    let market = event.market.as_deref().ok_or_else(|| "an aggregate lacks its s".to_owned())?;
    let Some(market) = markets.place(market) else { return Ok(Said::Foreign) };
    event.trade(market).map(Said::Trade)
}

impl Venue for BinanceAggregates {
    fn name(&self) -> &'static str {
        Binance.name()
    }

    fn stream_url(&self) -> &'static str {
        Binance.stream_url()
    }

    fn api_url(&self) -> &'static str {
        Binance.api_url()
    }

    fn ids(&self) -> Ids {
        Ids::Aggregates
    }

    fn rules(&self) -> Rules {
        Binance.rules()
    }

    fn markets_max(&self) -> usize {
        Binance.markets_max()
    }

    fn address(&self, base: &str, markets: &[&str]) -> String {
        binance::address(base, markets, "aggTrade")
    }

    fn subscribe(&self, markets: &[&str]) -> Vec<String> {
        Binance.subscribe(markets)
    }

    fn read(&self, markets: &Markets, text: &str, said: &mut Vec<Said>) -> Result<(), String> {
        binance::read(markets, text, "aggTrade", event, said)
    }

    fn page_every(&self) -> Duration {
        // A page weighs 4; 6,000 a minute are allowed, and shared with others.
        Duration::from_millis(150)
    }

    fn page(&self, want: &Want) -> String {
        format!("/api/v3/aggTrades?symbol={}&fromId={}&limit={PAGE}", want.market, want.hole.first)
    }

    fn read_page(&self, _: &Want, body: &str) -> Result<Page, String> {
        let rows: Vec<Aggregate<'_>> = serde_json::from_str(body).map_err(|error| error.to_string())?;
        let trades = ascending(rows.iter().map(|row| row.trade(0)).collect::<Result<_, _>>()?);
        let through = trades.last().map(|trade| trade.id);
        Ok(Page { trades, through, cursor: None, lacks: false })
    }

    fn candle_pages(&self) -> CandlePages {
        Binance.candle_pages()
    }

    fn candles(&self, market: &str, from: Timestamp, to: Timestamp) -> String {
        Binance.candles(market, from, to)
    }

    fn read_candles(&self, body: &str) -> Result<Vec<Candle>, String> {
        Binance.read_candles(body)
    }
}
