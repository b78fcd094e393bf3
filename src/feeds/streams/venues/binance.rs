//! Binance, spot: `trade`, by the addresses that carry market data alone.
//!
//! Streams are named in the address, so that nothing has to be sent but one question for the list of them, which is their
//! acknowledgement. The venue pings each 20 s and ends a connection after 24 h; ids are contiguous.
//! <https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams>

use super::{CandlePages, Markets, Page, Said, Told, Venue, Want, ascending, id};
use crate::feeds::streams::candle::{Candle, rows};
use crate::feeds::streams::watch::Rules;
use crate::market::{Side, Timestamp};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::time::Duration;

/// Trades of a page.
const PAGE: usize = 1000;

/// See above.
#[derive(Clone, Copy, Debug)]
pub struct Binance;

/// Bare, in `{"stream","data"}`, or an answer.
#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    stream: Option<Cow<'a, str>>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow, rename = "e")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow, rename = "e")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "s")]
    market: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "t")]
    id: Option<&'a RawValue>,
    #[serde(borrow, rename = "p")]
    price: Option<&'a RawValue>,
    #[serde(borrow, rename = "q")]
    size: Option<&'a RawValue>,
    #[serde(borrow, rename = "T")]
    at: Option<&'a RawValue>,
    #[serde(rename = "m")]
    buyer_is_maker: Option<bool>,
}

#[derive(Deserialize)]
struct Row<'a> {
    #[serde(borrow)]
    id: &'a RawValue,
    #[serde(borrow)]
    price: &'a RawValue,
    #[serde(borrow)]
    qty: &'a RawValue,
    #[serde(borrow)]
    time: &'a RawValue,
    #[serde(rename = "isBuyerMaker")]
    buyer_is_maker: bool,
}

pub(super) const fn taker(buyer_is_maker: bool) -> Side {
    if buyer_is_maker { Side::Sell } else { Side::Buy }
}

/// The address of these markets' streams, of which `kind` is the name behind the `@`.
pub(super) fn address(base: &str, markets: &[&str], kind: &str) -> String {
    let streams: Vec<String> = markets.iter().map(|market| format!("{}@{kind}", market.to_lowercase())).collect();
    format!("{base}/stream?streams={}", streams.join("/"))
}

/// What a message says, of streams of that kind: `event` reads one of theirs.
pub(super) fn read(
    markets: &Markets,
    text: &str,
    kind: &str,
    event: fn(&Markets, &str) -> Result<Said, String>,
    said: &mut Vec<Said>,
) -> Result<(), String> {
    let message: Message<'_> = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if let Some(data) = message.data {
        let is_end = message.stream.as_deref() == Some("!serverShutdown");
        said.push(if is_end { Said::Ending } else { event(markets, data.get())? });
    } else if message.kind.is_some() {
        said.push(event(markets, text)?);
    } else if let Some(error) = message.error {
        said.push(Said::Refused(None, error.get().to_owned()));
    } else if let Some(result) = message.result {
        let streams: Vec<Cow<'_, str>> = serde_json::from_str(result.get()).unwrap_or_default();
        let named = streams.iter().filter_map(|stream| stream.strip_suffix(kind)?.strip_suffix('@'));
        said.extend(named.filter_map(|name| markets.place(&name.to_uppercase())).map(Said::Acknowledged));
    } else {
        said.push(Said::Other);
    }
    Ok(())
}

fn event(markets: &Markets, text: &str) -> Result<Said, String> {
    let event: Event<'_> = serde_json::from_str(text).map_err(|error| error.to_string())?;
    match event.kind.as_deref() {
        Some("trade") => {}
        Some("serverShutdown") => return Ok(Said::Ending),
        _ => return Ok(Said::Other),
    }
    let missing = || "a trade lacks one of s, t, p, q, T".to_owned();
    let Some(market) = markets.place(event.market.as_deref().ok_or_else(missing)?) else { return Ok(Said::Foreign) };
    let told = Told {
        id: id(event.id.ok_or_else(missing)?)?,
        at: event.at.ok_or_else(missing)?,
        price: event.price.ok_or_else(missing)?,
        size: event.size.ok_or_else(missing)?,
        side: event.buyer_is_maker.map(taker),
    };
    told.trade(market).map(Said::Trade)
}

impl Venue for Binance {
    fn name(&self) -> &'static str {
        "binance"
    }

    fn stream_url(&self) -> &'static str {
        "wss://data-stream.binance.vision"
    }

    fn api_url(&self) -> &'static str {
        "https://data-api.binance.vision"
    }

    fn rules(&self) -> Rules {
        Rules {
            // Two of its pings and a half.
            silent_after: Duration::from_secs(50),
            pings_are_life: true,
            ping_every: None,
            renew_after: Some(Duration::from_secs(23 * 3600)),
        }
    }

    fn markets_max(&self) -> usize {
        // 1,024 would be allowed; an address of 8 kB passes everywhere.
        300
    }

    fn address(&self, base: &str, markets: &[&str]) -> String {
        address(base, markets, "trade")
    }

    fn subscribe(&self, _: &[&str]) -> Vec<String> {
        vec![r#"{"method":"LIST_SUBSCRIPTIONS","id":1}"#.to_owned()]
    }

    fn read(&self, markets: &Markets, text: &str, said: &mut Vec<Said>) -> Result<(), String> {
        read(markets, text, "trade", event, said)
    }

    fn page_every(&self) -> Duration {
        // A page weighs 25; 6,000 a minute are allowed.
        Duration::from_millis(300)
    }

    fn page(&self, want: &Want) -> String {
        format!("/api/v3/historicalTrades?symbol={}&fromId={}&limit={PAGE}", want.market, want.hole.first)
    }

    fn read_page(&self, _: &Want, body: &str) -> Result<Page, String> {
        let rows: Vec<Row<'_>> = serde_json::from_str(body).map_err(|error| error.to_string())?;
        let trades = rows.iter().map(|row| {
            let side = Some(taker(row.buyer_is_maker));
            Told { id: id(row.id)?, at: row.time, price: row.price, size: row.qty, side }.trade(0)
        });
        let trades = ascending(trades.collect::<Result<_, _>>()?);
        let through = trades.last().map(|trade| trade.id);
        Ok(Page { trades, through, cursor: None, lacks: false })
    }

    fn candle_pages(&self) -> CandlePages {
        CandlePages { minutes: 1000, back: None }
    }

    fn candles(&self, market: &str, from: Timestamp, to: Timestamp) -> String {
        let (from, last) = (from.millis(), to.millis() - 1);
        format!("/api/v3/klines?symbol={market}&interval=1m&startTime={from}&endTime={last}&limit={PAGE}")
    }

    fn read_candles(&self, body: &str) -> Result<Vec<Candle>, String> {
        let candle = |row: &[&RawValue]| match *row {
            [at, open, high, low, close, volume, _, quote, count, bought, ..] => Candle::read(
                at,
                [open, high, low, close, volume],
                &[("quote_volume", quote), ("count", count), ("taker_buy_volume", bought)],
            ),
            _ => Err("a candle has less than ten elements".to_owned()),
        };
        rows(body)?.iter().map(|row| candle(row)).collect()
    }
}
