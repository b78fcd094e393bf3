//! Bybit, v5, spot: `publicTrade`.
//!
//! A text ping every 20 s keeps a connection open. One symbol that there is not makes a subscription fail whole, and an answer names
//! none of those that were asked for: each is asked for by itself, with its name as the request's. Ids are documented as numbers that
//! markets share, beyond 2^59. Of what was missed only the last sixty trades can be had.
//! <https://bybit-exchange.github.io/docs/v5/websocket/public/trade>

use super::{CandlePages, Markets, Page, Said, Told, Venue, Want, ascending, large_id, named, of_the_last};
use crate::feeds::streams::candle::Candle;
use crate::feeds::streams::sequence::Numbering;
use crate::feeds::streams::watch::Rules;
use crate::market::{Side, Span, Timestamp};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::time::Duration;

/// See above.
#[derive(Clone, Copy, Debug)]
pub struct Bybit;

/// The name of a market's topic, before the market's.
const TOPIC: &str = "publicTrade.";

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    topic: Option<Cow<'a, str>>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    op: Option<Cow<'a, str>>,
    success: Option<bool>,
    #[serde(borrow)]
    ret_msg: Option<Cow<'a, str>>,
    #[serde(borrow)]
    req_id: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    i: &'a RawValue,
    #[serde(borrow, rename = "T")]
    at: &'a RawValue,
    #[serde(borrow)]
    s: Cow<'a, str>,
    #[serde(borrow)]
    p: &'a RawValue,
    #[serde(borrow)]
    v: &'a RawValue,
    #[serde(borrow, rename = "S")]
    side: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    ret_code: i64,
    #[serde(borrow)]
    ret_msg: Option<Cow<'a, str>>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct List<T> {
    list: Vec<T>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Row<'a> {
    #[serde(borrow)]
    exec_id: &'a RawValue,
    #[serde(borrow)]
    price: &'a RawValue,
    #[serde(borrow)]
    size: &'a RawValue,
    #[serde(borrow)]
    side: Option<Cow<'a, str>>,
    #[serde(borrow)]
    time: &'a RawValue,
}

/// The taker's.
fn side(text: Option<&str>) -> Option<Side> {
    match text {
        Some("Buy") => Some(Side::Buy),
        Some("Sell") => Some(Side::Sell),
        _ => None,
    }
}

/// The list of an answer of the HTTP API.
fn list<'a, T: Deserialize<'a>>(body: &'a str) -> Result<Vec<T>, String> {
    let answer: Answer<'a> = serde_json::from_str(body).map_err(|error| error.to_string())?;
    if answer.ret_code != 0 {
        return Err(format!("{}: {}", answer.ret_code, answer.ret_msg.as_deref().unwrap_or_default()));
    }
    let result = answer.result.ok_or("an answer without a result")?;
    serde_json::from_str::<List<T>>(result.get()).map(|result| result.list).map_err(|error| error.to_string())
}

fn read_trades(markets: &Markets, data: &str, said: &mut Vec<Said>) -> Result<(), String> {
    let lines: Vec<Line<'_>> = serde_json::from_str(data).map_err(|error| error.to_string())?;
    let mut read = Vec::new();
    for line in &lines {
        let Some(market) = markets.place(&line.s) else {
            read.push(Said::Foreign);
            continue;
        };
        let side = side(line.side.as_deref());
        let told = Told { id: large_id(line.i)?, at: line.at, price: line.p, size: line.v, side };
        read.push(Said::Trade(told.trade(market)?));
    }
    said.append(&mut read);
    Ok(())
}

impl Venue for Bybit {
    fn name(&self) -> &'static str {
        "bybit"
    }

    fn stream_url(&self) -> &'static str {
        "wss://stream.bybit.com/v5/public/spot"
    }

    fn api_url(&self) -> &'static str {
        "https://api.bybit.com"
    }

    fn numbering(&self) -> Numbering {
        Numbering::Ascending
    }

    fn rules(&self) -> Rules {
        Rules {
            silent_after: Duration::from_secs(45),
            pings_are_life: false,
            ping_every: Some(Duration::from_secs(20)),
            renew_after: None,
        }
    }

    fn markets_max(&self) -> usize {
        // As many as are asked for, one by one, in the time that an answer may take.
        30
    }

    fn subscribe(&self, markets: &[&str]) -> Vec<String> {
        let asked = |market: &&str| {
            serde_json::json!({"req_id": market, "op": "subscribe", "args": [format!("{TOPIC}{market}")]}).to_string()
        };
        markets.iter().map(asked).collect()
    }

    fn ping(&self) -> Option<&'static str> {
        Some(r#"{"op":"ping"}"#)
    }

    fn read(&self, markets: &Markets, text: &str, said: &mut Vec<Said>) -> Result<(), String> {
        let message: Message<'_> = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if message.topic.is_some_and(|topic| topic.starts_with(TOPIC)) {
            return read_trades(markets, message.data.map_or("[]", RawValue::get), said);
        }
        let market = message.req_id.as_deref().and_then(|name| markets.place(name));
        said.push(match (message.op.as_deref(), message.success, market) {
            (Some("subscribe"), Some(true), Some(market)) => Said::Acknowledged(market),
            (Some("subscribe"), Some(false), market) => {
                let why = message.ret_msg.as_deref().unwrap_or("no reason");
                Said::Refused(market.or_else(|| named(markets, why)), why.to_owned())
            }
            _ => Said::Other,
        });
        Ok(())
    }

    fn page_every(&self) -> Duration {
        // 600 in five seconds are allowed, over all that is asked from one address.
        Duration::from_millis(100)
    }

    fn page(&self, want: &Want) -> String {
        format!("/v5/market/recent-trade?category=spot&symbol={}&limit=60", want.market)
    }

    fn read_page(&self, want: &Want, body: &str) -> Result<Page, String> {
        let rows: Vec<Row<'_>> = list(body)?;
        let trades = rows.iter().map(|row| {
            let side = side(row.side.as_deref());
            Told { id: large_id(row.exec_id)?, at: row.time, price: row.price, size: row.size, side }.trade(0)
        });
        let trades = ascending(trades.collect::<Result<_, _>>()?);
        Ok(of_the_last(want, trades, Span::from_millis(1), None))
    }

    fn candle_pages(&self) -> CandlePages {
        // A thousand are allowed, and both ends are included.
        CandlePages { minutes: 999, back: None }
    }

    fn candles(&self, market: &str, from: Timestamp, to: Timestamp) -> String {
        let (from, last) = (from.millis(), to.millis() - 1);
        format!("/v5/market/kline?category=spot&symbol={market}&interval=1&start={from}&end={last}&limit=1000")
    }

    fn read_candles(&self, body: &str) -> Result<Vec<Candle>, String> {
        let candle = |row: Vec<&RawValue>| match row[..] {
            [at, open, high, low, close, volume, turnover, ..] => {
                Candle::read(at, [open, high, low, close, volume], &[("quote_volume", turnover)])
            }
            _ => Err("a candle has less than seven elements".to_owned()),
        };
        list(body)?.into_iter().map(candle).collect()
    }
}
