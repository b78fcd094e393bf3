//! OKX, spot: `trades-all`, which tells of trades one by one (`trades` sums them up, with the last one's id).
//!
//! It closes what is silent for 30 s: a text `ping` is answered by `pong`. Before an upgrade it announces the end (`notice` 64008). Ids are
//! contiguous per instrument. <https://www.okx.com/docs-v5/en/#order-book-trading-market-data-ws-all-trades-channel>

use super::{CandlePages, Markets, Page, Said, Told, Venue, Want, ascending, id, named};
use crate::feeds::streams::candle::Candle;
use crate::feeds::streams::watch::Rules;
use crate::market::{Side, Timestamp};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::time::Duration;

/// Trades of a page.
const PAGE: u64 = 100;
/// `notice`: this connection will be closed.
const CLOSING: &str = "64008";

/// See above.
#[derive(Clone, Copy, Debug)]
pub struct Okx;

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    event: Option<Cow<'a, str>>,
    #[serde(borrow)]
    arg: Option<Argument<'a>>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    code: Option<Cow<'a, str>>,
    #[serde(borrow)]
    msg: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Argument<'a> {
    #[serde(borrow)]
    channel: Cow<'a, str>,
    #[serde(borrow)]
    inst_id: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    #[serde(borrow)]
    inst_id: Cow<'a, str>,
    #[serde(borrow)]
    trade_id: &'a RawValue,
    #[serde(borrow)]
    px: &'a RawValue,
    #[serde(borrow)]
    sz: &'a RawValue,
    #[serde(borrow)]
    side: Option<Cow<'a, str>>,
    #[serde(borrow)]
    ts: &'a RawValue,
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    code: Cow<'a, str>,
    #[serde(borrow)]
    msg: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    data: Vec<Line<'a>>,
}

#[derive(Deserialize)]
struct Candles<'a> {
    #[serde(borrow)]
    code: Cow<'a, str>,
    #[serde(borrow)]
    msg: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    data: Vec<Vec<&'a RawValue>>,
}

impl Line<'_> {
    fn told(&self) -> Result<Told<'_>, String> {
        // The taker's.
        let side = match self.side.as_deref() {
            Some("buy") => Some(Side::Buy),
            Some("sell") => Some(Side::Sell),
            _ => None,
        };
        Ok(Told { id: id(self.trade_id)?, at: self.ts, price: self.px, size: self.sz, side })
    }
}

impl Venue for Okx {
    fn name(&self) -> &'static str {
        "okx"
    }

    fn stream_url(&self) -> &'static str {
        "wss://ws.okx.com:8443/ws/v5/business"
    }

    fn api_url(&self) -> &'static str {
        "https://www.okx.com"
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
        100
    }

    fn subscribe(&self, markets: &[&str]) -> Vec<String> {
        let arguments: Vec<_> =
            markets.iter().map(|market| serde_json::json!({"channel": "trades-all", "instId": market})).collect();
        vec![serde_json::json!({"op": "subscribe", "args": arguments}).to_string()]
    }

    fn ping(&self) -> Option<&'static str> {
        Some("ping")
    }

    fn read(&self, markets: &Markets, text: &str, said: &mut Vec<Said>) -> Result<(), String> {
        if text == "pong" {
            said.push(Said::Other);
            return Ok(());
        }
        let message: Message<'_> = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let words = message.msg.as_deref().unwrap_or_default();
        match (message.event.as_deref(), &message.arg, message.data) {
            (None, Some(argument), Some(data)) if argument.channel == "trades-all" => {
                let lines: Vec<Line<'_>> = serde_json::from_str(data.get()).map_err(|error| error.to_string())?;
                let from = said.len();
                for line in lines {
                    let Some(market) = markets.place(&line.inst_id) else {
                        said.push(Said::Foreign);
                        continue;
                    };
                    let trade = line.told().and_then(|told| told.trade(market));
                    let trade = trade.inspect_err(|_| said.truncate(from))?;
                    said.push(Said::Trade(trade));
                }
            }
            (Some("subscribe"), Some(argument), _) => {
                let market = argument.inst_id.as_deref().and_then(|name| markets.place(name));
                said.push(market.map_or(Said::Other, Said::Acknowledged));
            }
            (Some("error"), ..) => {
                said.push(Said::Refused(named(markets, words), words.to_owned()));
            }
            (Some("notice"), ..) if message.code.as_deref() == Some(CLOSING) => said.push(Said::Ending),
            _ => said.push(Said::Other),
        }
        Ok(())
    }

    fn page_every(&self) -> Duration {
        // Twenty in two seconds are allowed.
        Duration::from_millis(150)
    }

    fn page(&self, want: &Want) -> String {
        let end = want.hole.first.saturating_add(PAGE).min(want.hole.last + 1);
        format!("/api/v5/market/history-trades?instId={}&type=1&after={end}&limit={PAGE}", want.market)
    }

    fn read_page(&self, _: &Want, body: &str) -> Result<Page, String> {
        let answer: Answer<'_> = serde_json::from_str(body).map_err(|error| error.to_string())?;
        if answer.code != "0" {
            return Err(format!("{}: {}", answer.code, answer.msg.as_deref().unwrap_or_default()));
        }
        let trades = answer.data.iter().map(|line| line.told()?.trade(0));
        let trades = ascending(trades.collect::<Result<_, _>>()?);
        // They are those before the end, the newest first: nothing is left out between.
        let through = trades.last().map(|trade| trade.id);
        Ok(Page { trades, through, cursor: None, lacks: false })
    }

    fn candle_pages(&self) -> CandlePages {
        CandlePages { minutes: 100, back: None }
    }

    fn candles(&self, market: &str, from: Timestamp, to: Timestamp) -> String {
        // Newer than one moment and older than the other.
        let (before, after) = (from.millis() - 1, to.millis());
        format!("/api/v5/market/history-candles?instId={market}&bar=1m&before={before}&after={after}&limit=100")
    }

    fn read_candles(&self, body: &str) -> Result<Vec<Candle>, String> {
        let answer: Candles<'_> = serde_json::from_str(body).map_err(|error| error.to_string())?;
        if answer.code != "0" {
            return Err(format!("{}: {}", answer.code, answer.msg.as_deref().unwrap_or_default()));
        }
        let candle = |row: &[&RawValue]| match *row {
            [at, open, high, low, close, volume, _, quote, ..] => {
                Candle::read(at, [open, high, low, close, volume], &[("quote_volume", quote)])
            }
            _ => Err("a candle has less than eight elements".to_owned()),
        };
        // The last element says whether its minute is over.
        let is_over = |row: &&Vec<&RawValue>| row.get(8).is_none_or(|confirmed| super::unquoted(confirmed) != "0");
        answer.data.iter().filter(is_over).map(|row| candle(row)).collect()
    }
}
