//! Kraken, v2: `trade`.
//!
//! Heartbeats come each second where nothing else does. Ids are contiguous per market. What was missed is asked for by time, with a
//! cursor of nanoseconds that is a text and stays one. <https://docs.kraken.com/api/docs/websocket-v2/trade>

use super::{CandlePages, Markets, Page, Said, Told, Venue, Want, ascending, id};
use crate::feeds::streams::candle::{Candle, rows};
use crate::feeds::streams::watch::Rules;
use crate::market::{Side, Timestamp};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

/// A page begins so much before the last trade that is known: its stamp has fewer digits than the cursor.
const BEFORE_NS: i128 = 1_000_000;

/// See above.
#[derive(Clone, Copy, Debug)]
pub struct Kraken;

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    channel: Option<Cow<'a, str>>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    method: Option<Cow<'a, str>>,
    success: Option<bool>,
    #[serde(borrow)]
    result: Option<Answer<'a>>,
    #[serde(borrow)]
    symbol: Option<Cow<'a, str>>,
    #[serde(borrow)]
    error: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    channel: Option<Cow<'a, str>>,
    #[serde(borrow)]
    symbol: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    symbol: Cow<'a, str>,
    #[serde(borrow)]
    side: Option<Cow<'a, str>>,
    #[serde(borrow)]
    price: &'a RawValue,
    #[serde(borrow)]
    qty: &'a RawValue,
    #[serde(borrow)]
    trade_id: &'a RawValue,
    #[serde(borrow)]
    timestamp: &'a RawValue,
}

#[derive(Deserialize)]
struct Answered<'a> {
    #[serde(borrow)]
    error: Vec<Cow<'a, str>>,
    #[serde(borrow, default)]
    result: BTreeMap<Cow<'a, str>, &'a RawValue>,
}

fn side(text: Option<&str>) -> Option<Side> {
    match text {
        Some("buy" | "b") => Some(Side::Buy),
        Some("sell" | "s") => Some(Side::Sell),
        _ => None,
    }
}

/// As the HTTP API spells a market of the stream.
fn pair(market: &str) -> String {
    let old = |name: &str| match name {
        "BTC" => "XBT".to_owned(),
        "DOGE" => "XDG".to_owned(),
        name => name.to_owned(),
    };
    market.split('/').map(old).collect()
}

/// Nanoseconds since the epoch of a stamp as JSON.
fn nanoseconds(at: &str) -> Option<i128> {
    if let Some(text) = at.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
        return text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_nanosecond);
    }
    let (seconds, fraction) = at.split_once('.').unwrap_or((at, ""));
    let digits: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    Some(seconds.parse::<i128>().ok()? * 1_000_000_000 + digits.parse::<i128>().ok()?)
}

impl Venue for Kraken {
    fn name(&self) -> &'static str {
        "kraken"
    }

    fn stream_url(&self) -> &'static str {
        "wss://ws.kraken.com/v2"
    }

    fn api_url(&self) -> &'static str {
        "https://api.kraken.com"
    }

    fn rules(&self) -> Rules {
        // Its own advice.
        Rules { silent_after: Duration::from_secs(5), pings_are_life: false, ping_every: None, renew_after: None }
    }

    fn markets_max(&self) -> usize {
        200
    }

    fn subscribe(&self, markets: &[&str]) -> Vec<String> {
        let params = serde_json::json!({"channel": "trade", "symbol": markets, "snapshot": false});
        vec![serde_json::json!({"method": "subscribe", "params": params}).to_string()]
    }

    fn read(&self, markets: &Markets, text: &str, said: &mut Vec<Said>) -> Result<(), String> {
        let message: Message<'_> = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if message.channel.as_deref() == Some("trade") {
            let data = message.data.map_or("[]", RawValue::get);
            let lines: Vec<Line<'_>> = serde_json::from_str(data).map_err(|error| error.to_string())?;
            let from = said.len();
            for line in lines {
                let Some(market) = markets.place(&line.symbol) else {
                    said.push(Said::Foreign);
                    continue;
                };
                let told = Told {
                    id: id(line.trade_id)?,
                    at: line.timestamp,
                    price: line.price,
                    size: line.qty,
                    side: side(line.side.as_deref()),
                };
                let trade = told.trade(market).inspect_err(|_| said.truncate(from))?;
                said.push(Said::Trade(trade));
            }
        } else if message.method.as_deref() == Some("subscribe") {
            let answered = message.result.as_ref();
            let name = answered.and_then(|answer| answer.symbol.as_deref()).or(message.symbol.as_deref());
            let market = name.and_then(|name| markets.place(name));
            let is_ours = answered.is_none_or(|answer| answer.channel.as_deref().is_none_or(|name| name == "trade"));
            match (message.success, market) {
                (Some(true), Some(market)) if is_ours => said.push(Said::Acknowledged(market)),
                (Some(false), market) => {
                    said.push(Said::Refused(market, message.error.as_deref().unwrap_or("no reason").to_owned()));
                }
                _ => said.push(Said::Other),
            }
        } else {
            said.push(Said::Other);
        }
        Ok(())
    }

    fn page_every(&self) -> Duration {
        // One a second per market is what it bears for long.
        Duration::from_secs(1)
    }

    fn page(&self, want: &Want) -> String {
        let since = want.cursor.clone().or_else(|| Some((nanoseconds(&want.after_at)? - BEFORE_NS).to_string()));
        format!("/0/public/Trades?pair={}&since={}&count=1000", pair(&want.market), since.unwrap_or_default())
    }

    fn read_page(&self, _: &Want, body: &str) -> Result<Page, String> {
        let Answered { error, mut result } = serde_json::from_str(body).map_err(|error| error.to_string())?;
        if !error.is_empty() {
            return Err(error.join(", "));
        }
        let cursor = result.remove("last").map(|last| super::unquoted(last).to_owned());
        let rows = result.into_values().next().map_or("[]", RawValue::get);
        let rows: Vec<Vec<&RawValue>> = serde_json::from_str(rows).map_err(|error| error.to_string())?;
        let trades = rows.iter().map(|row| {
            let [price, size, at, taker, _, _, number, ..] = row[..] else {
                return Err("a trade has less than seven elements".to_owned());
            };
            Told { id: id(number)?, at, price, size, side: side(Some(super::unquoted(taker))) }.trade(0)
        });
        let trades = ascending(trades.collect::<Result<_, _>>()?);
        let through = trades.last().map(|trade| trade.id);
        Ok(Page { trades, through, cursor, lacks: false })
    }

    fn candle_pages(&self) -> CandlePages {
        // The last one is of a minute that is not over.
        CandlePages { minutes: 719, back: Some(719) }
    }

    fn candles(&self, market: &str, from: Timestamp, _: Timestamp) -> String {
        // Those after a moment, up to now.
        format!("/0/public/OHLC?pair={}&interval=1&since={}", pair(market), from.millis().div_euclid(1000) - 1)
    }

    fn read_candles(&self, body: &str) -> Result<Vec<Candle>, String> {
        let Answered { error, mut result } = serde_json::from_str(body).map_err(|error| error.to_string())?;
        if !error.is_empty() {
            return Err(error.join(", "));
        }
        result.remove("last");
        let candle = |row: &[&RawValue]| match *row {
            [at, open, high, low, close, vwap, volume, count, ..] => {
                Candle::read(at, [open, high, low, close, volume], &[("vwap", vwap), ("count", count)])
            }
            _ => Err("a candle has less than eight elements".to_owned()),
        };
        let body = result.into_values().next().map_or("[]", RawValue::get);
        let mut rows = rows(body)?;
        // Of the minute that is not over.
        rows.pop();
        rows.iter().map(|row| candle(row)).collect()
    }
}
