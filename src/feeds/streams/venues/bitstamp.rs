//! Bitstamp: `live_trades_<pair>`.
//!
//! Ids ascend over all markets, so that a market's leave numbers out. What was missed is among the trades of the last hour or day, whose
//! stamps are whole seconds; no more can be had. Before maintenance it asks to connect anew. Pairs that there are not may be confirmed
//! all the same: `--check` shows whether trades come. <https://www.bitstamp.net/websocket/v2/>

use super::{CandlePages, Markets, Page, Said, Told, Venue, Want, ascending, id, of_the_last};
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
pub struct Bitstamp;

/// The name of a market's channel, before the market's.
const CHANNEL: &str = "live_trades_";
/// As far back as trades are given out, after the last hour.
const FAR: &str = "day";

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    event: Option<Cow<'a, str>>,
    #[serde(borrow)]
    channel: Option<Cow<'a, str>>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    id: &'a RawValue,
    #[serde(borrow)]
    microtimestamp: &'a RawValue,
    #[serde(borrow)]
    price_str: &'a RawValue,
    #[serde(borrow)]
    amount_str: &'a RawValue,
    #[serde(borrow, rename = "type")]
    side: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Wrong<'a> {
    #[serde(borrow)]
    message: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Row<'a> {
    #[serde(borrow)]
    tid: &'a RawValue,
    #[serde(borrow)]
    date: &'a RawValue,
    #[serde(borrow)]
    price: &'a RawValue,
    #[serde(borrow)]
    amount: &'a RawValue,
    #[serde(borrow, rename = "type")]
    side: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Candles<'a> {
    #[serde(borrow)]
    data: Ohlc<'a>,
}

#[derive(Deserialize)]
struct Ohlc<'a> {
    #[serde(borrow)]
    ohlc: Vec<Minute<'a>>,
}

#[derive(Deserialize)]
struct Minute<'a> {
    #[serde(borrow)]
    timestamp: &'a RawValue,
    #[serde(borrow)]
    open: &'a RawValue,
    #[serde(borrow)]
    high: &'a RawValue,
    #[serde(borrow)]
    low: &'a RawValue,
    #[serde(borrow)]
    close: &'a RawValue,
    #[serde(borrow)]
    volume: &'a RawValue,
}

/// The taker's.
fn side(kind: Option<&RawValue>) -> Option<Side> {
    match kind.map(super::unquoted) {
        Some("0") => Some(Side::Buy),
        Some("1") => Some(Side::Sell),
        _ => None,
    }
}

impl Venue for Bitstamp {
    fn name(&self) -> &'static str {
        "bitstamp"
    }

    fn stream_url(&self) -> &'static str {
        "wss://ws.bitstamp.net"
    }

    fn api_url(&self) -> &'static str {
        "https://www.bitstamp.net"
    }

    fn numbering(&self) -> Numbering {
        Numbering::Ascending
    }

    fn rules(&self) -> Rules {
        Rules {
            silent_after: Duration::from_secs(30),
            pings_are_life: false,
            ping_every: Some(Duration::from_secs(12)),
            renew_after: None,
        }
    }

    fn markets_max(&self) -> usize {
        // As many as are asked for, one by one, in the time that an answer may take.
        30
    }

    fn subscribe(&self, markets: &[&str]) -> Vec<String> {
        let asked = |market: &&str| {
            serde_json::json!({"event": "bts:subscribe", "data": {"channel": format!("{CHANNEL}{market}")}}).to_string()
        };
        markets.iter().map(asked).collect()
    }

    fn ping(&self) -> Option<&'static str> {
        Some(r#"{"event":"bts:heartbeat"}"#)
    }

    fn read(&self, markets: &Markets, text: &str, said: &mut Vec<Said>) -> Result<(), String> {
        let message: Message<'_> = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let pair = message.channel.as_deref().and_then(|channel| channel.strip_prefix(CHANNEL));
        let market = pair.and_then(|pair| markets.place(pair));
        let data = message.data.map_or("{}", RawValue::get);
        said.push(match (message.event.as_deref(), market) {
            (Some("trade"), Some(market)) => {
                let line: Line<'_> = serde_json::from_str(data).map_err(|error| error.to_string())?;
                let told = Told {
                    id: id(line.id)?,
                    at: line.microtimestamp,
                    price: line.price_str,
                    size: line.amount_str,
                    side: side(line.side),
                };
                Said::Trade(told.trade(market)?)
            }
            (Some("trade"), None) => Said::Foreign,
            (Some("bts:subscription_succeeded"), Some(market)) => Said::Acknowledged(market),
            (Some("bts:error"), market) => {
                let wrong: Wrong<'_> = serde_json::from_str(data).map_err(|error| error.to_string())?;
                Said::Refused(market, wrong.message.as_deref().unwrap_or("no reason").to_owned())
            }
            (Some("bts:request_reconnect"), _) => Said::Ending,
            _ => Said::Other,
        });
        Ok(())
    }

    fn page_every(&self) -> Duration {
        // 10,000 in ten minutes are allowed, but a day's answer is long.
        Duration::from_millis(500)
    }

    fn page(&self, want: &Want) -> String {
        format!("/api/v2/transactions/{}/?time={}", want.market, want.cursor.as_deref().unwrap_or("hour"))
    }

    fn read_page(&self, want: &Want, body: &str) -> Result<Page, String> {
        let rows: Vec<Row<'_>> = serde_json::from_str(body).map_err(|error| error.to_string())?;
        let trades = rows.iter().map(|row| {
            Told { id: id(row.tid)?, at: row.date, price: row.price, size: row.amount, side: side(row.side) }.trade(0)
        });
        let trades = ascending(trades.collect::<Result<_, _>>()?);
        Ok(of_the_last(want, trades, Span::from_millis(1000), Some(FAR)))
    }

    fn candle_pages(&self) -> CandlePages {
        // A thousand are allowed, and both ends may be included.
        CandlePages { minutes: 999, back: None }
    }

    fn candles(&self, market: &str, from: Timestamp, to: Timestamp) -> String {
        let (from, last) = (from.millis().div_euclid(1000), (to.millis() - 1).div_euclid(1000));
        format!("/api/v2/ohlc/{market}/?step=60&limit=1000&start={from}&end={last}")
    }

    fn read_candles(&self, body: &str) -> Result<Vec<Candle>, String> {
        let answer: Candles<'_> = serde_json::from_str(body).map_err(|error| error.to_string())?;
        let candle = |c: &Minute<'_>| Candle::read(c.timestamp, [c.open, c.high, c.low, c.close, c.volume], &[]);
        answer.data.ohlc.iter().map(candle).collect()
    }
}
