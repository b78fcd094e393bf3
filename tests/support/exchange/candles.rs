//! An exchange's candles of a minute.

use super::words::shown;
use super::{Kind, Pace, Shared, is_sell, trade};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering::Relaxed;

pub const MINUTE_MS: u64 = 60_000;
const SCALE: u128 = 100_000_000;

/// A minute's, as texts.
pub struct Candle {
    pub open_ms: u64,
    pub open: String,
    pub high: String,
    pub low: String,
    pub close: String,
    pub volume: String,
    pub quote_volume: String,
    pub taker_buy_volume: String,
    pub count: u64,
}

fn fixed(text: &str) -> u128 {
    let (whole, fraction) = text.split_once('.').unwrap();
    whole.parse::<u128>().unwrap() * SCALE + fraction.parse::<u128>().unwrap()
}

fn text(fixed: u128) -> String {
    format!("{}.{:08}", fixed / SCALE, fixed % SCALE)
}

/// The candle of the minute that opens then, of the trades that were made by now; none of a minute without.
pub fn candle(pace: Pace, made: u64, market: &str, open_ms: u64) -> Option<Candle> {
    let ids = pace.id_at(open_ms).max(1)..pace.id_at(open_ms + MINUTE_MS).min(made + 1);
    let trades: Vec<(u64, u128, u128)> = ids
        .map(|id| {
            let (price, size) = trade(market, id);
            (id, fixed(&price), fixed(&size))
        })
        .collect();
    let (first, last) = (trades.first()?, trades.last()?);
    let prices = || trades.iter().map(|(_, price, _)| *price);
    let bought = trades.iter().filter(|(id, ..)| !is_sell(*id)).map(|(.., size)| size);
    Some(Candle {
        open_ms,
        open: text(first.1),
        high: text(prices().max()?),
        low: text(prices().min()?),
        close: text(last.1),
        volume: text(trades.iter().map(|(.., size)| size).sum()),
        quote_volume: text(trades.iter().map(|(_, price, size)| price * size).sum::<u128>() / SCALE),
        taker_buy_volume: text(bought.sum()),
        count: trades.len() as u64,
    })
}

/// What is answered to a call for candles; none to other calls.
pub(super) fn answer(shared: &Shared, path: &str, query: &BTreeMap<&str, &str>) -> Option<String> {
    let number = |name: &str| query.get(name).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    let moment = |name: &str| query[name].parse::<jiff::Timestamp>().unwrap().as_millisecond() as u64;
    let up = |ms: u64| ms.div_ceil(MINUTE_MS) * MINUTE_MS;
    let now = shared.pace.at_ms(shared.made.load(Relaxed));
    let all = |market: &str, from: u64, to: u64, most: usize| -> Vec<Candle> {
        let made = shared.made.load(Relaxed);
        let opens = (up(from)..to).step_by(MINUTE_MS as usize).take(most);
        opens.filter_map(|open| candle(shared.pace, made, market, open)).collect()
    };
    Some(match shared.kind {
        Kind::Binance | Kind::BinanceAggregates if path == "/api/v3/klines" => {
            let rows = all(query["symbol"], number("startTime"), number("endTime") + 1, 1000).into_iter().map(|c| {
                let close_ms = c.open_ms + MINUTE_MS - 1;
                format!(
                    r#"[{},"{}","{}","{}","{}","{}",{close_ms},"{}",{},"{}","1","0"]"#,
                    c.open_ms, c.open, c.high, c.low, c.close, c.volume, c.quote_volume, c.count, c.taker_buy_volume
                )
            });
            format!("[{}]", rows.collect::<Vec<_>>().join(","))
        }
        Kind::Bitstamp if path.starts_with("/api/v2/ohlc/") => {
            let market = path.split('/').nth(4).unwrap();
            let rows = all(market, number("start") * 1000, number("end") * 1000 + 1, 1000).into_iter().map(|c| {
                format!(
                    r#"{{"timestamp":"{}","open":"{}","high":"{}","low":"{}","close":"{}","volume":"{}"}}"#,
                    c.open_ms / 1000,
                    c.open,
                    c.high,
                    c.low,
                    c.close,
                    c.volume
                )
            });
            let rows = rows.collect::<Vec<_>>().join(",");
            format!(r#"{{"data":{{"ohlc":[{rows}],"pair":"{market}"}}}}"#)
        }
        Kind::Bybit if path == "/v5/market/kline" => {
            let rows = all(query["symbol"], number("start"), number("end") + 1, 1000).into_iter().rev().map(|c| {
                let (open_ms, quote) = (c.open_ms, c.quote_volume);
                format!(r#"["{open_ms}","{}","{}","{}","{}","{}","{quote}"]"#, c.open, c.high, c.low, c.close, c.volume)
            });
            let rows = rows.collect::<Vec<_>>().join(",");
            let result = format!(r#"{{"category":"spot","symbol":"{}","list":[{rows}]}}"#, query["symbol"]);
            format!(r#"{{"retCode":0,"retMsg":"OK","result":{result},"retExtInfo":{{}},"time":1672025956592}}"#)
        }
        Kind::Coinbase | Kind::CoinbaseAdvanced if path.ends_with("/candles") => {
            let product = path.split('/').nth(2).unwrap();
            let market = shared.markets.iter().find(|market| shown(shared.kind, market) == product)?;
            // Those at both ends, the newest first, with prices that are bare numbers.
            let rows = all(market, moment("start"), moment("end") + 1, 300)
                .into_iter()
                .rev()
                .map(|c| format!("[{},{},{},{},{},{}]", c.open_ms / 1000, c.low, c.high, c.open, c.close, c.volume));
            format!("[{}]", rows.collect::<Vec<_>>().join(","))
        }
        Kind::Okx if path == "/api/v5/market/history-candles" => {
            let rows = all(query["instId"], number("before") + 1, number("after").min(now), 100).into_iter().rev();
            let rows = rows.map(|c| {
                format!(
                    r#"["{}","{}","{}","{}","{}","{}","1","{}","1"]"#,
                    c.open_ms, c.open, c.high, c.low, c.close, c.volume, c.quote_volume
                )
            });
            format!(r#"{{"code":"0","msg":"","data":[{}]}}"#, rows.collect::<Vec<_>>().join(","))
        }
        Kind::Kraken if path == "/0/public/OHLC" => {
            let pair = query["pair"];
            let market = shared.markets.iter().find(|name| pair == name.replace("BTC", "XBT").replace('/', ""))?;
            // The last 720, one of which is not over.
            let from = (number("since") * 1000 + 1).max((now + 1).saturating_sub(720 * MINUTE_MS));
            let rows = all(market, from, now + 1, usize::MAX).into_iter().map(|c| {
                format!(
                    r#"[{},"{}","{}","{}","{}","{}","{}",{}]"#,
                    c.open_ms / 1000,
                    c.open,
                    c.high,
                    c.low,
                    c.close,
                    c.close,
                    c.volume,
                    c.count
                )
            });
            format!(r#"{{"error":[],"result":{{"PAIR":[{}],"last":1}}}}"#, rows.collect::<Vec<_>>().join(","))
        }
        _ => return None,
    })
}
