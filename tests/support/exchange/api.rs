//! What an exchange says over HTTP.

use super::words::{parts, shown, stamp, wire};
use super::{Call, Kind, Shared, candles, head, is_sell, trade};
use std::collections::BTreeMap;
use std::io::Write;
use std::net::TcpStream;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

/// One call of the API.
pub fn answer(mut stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    let head = head(&stream)?;
    shared.asked.lock().unwrap().push(Instant::now());
    let mut send = |status: &str, headers: &str, body: &str| {
        let length = body.len();
        write!(stream, "HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}")
    };
    if shared.away_until.lock().unwrap().is_some_and(|until| Instant::now() < until) {
        return send("503 Away", "", "");
    }
    match shared.calls.lock().unwrap().pop_front() {
        Some(Call::Status(status, headers)) => return send(&format!("{status} No"), headers, ""),
        Some(Call::Cut) => return Ok(()),
        Some(Call::Text(text)) => return send("200 OK", "", text),
        Some(Call::Slow(time)) => std::thread::sleep(time),
        Some(Call::Well) | None => {}
    }
    let target = head.split_whitespace().nth(1).unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let query: BTreeMap<&str, &str> = query.split('&').filter_map(|pair| pair.split_once('=')).collect();
    let number = |name: &str| query.get(name).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    let forgotten = shared.forgotten.lock().unwrap().clone();
    let made = shared.made.load(Relaxed);
    let has = |id: &u64| !forgotten.contains(id);
    let at_ms = |id: u64| shared.pace.at_ms(id);
    if let Some(body) = candles::answer(shared, path, &query) {
        return send("200 OK", "Content-Type: application/json\r\n", &body);
    }
    let latest = |span_ms: u64| {
        let since = at_ms(made).saturating_sub(span_ms);
        (1..=made).rev().take_while(move |id| at_ms(*id) >= since).filter(has)
    };
    let body = match shared.kind {
        Kind::Bitstamp => {
            let market = path.split('/').nth(4).unwrap();
            let hours = if query["time"] == "day" { 24 } else { 1 };
            let rows = latest(hours * 3_600_000).map(|id| {
                let ((price, size), at, wire) = (trade(market, id), at_ms(id) / 1000, wire(shared.kind, id));
                let side = u8::from(is_sell(id));
                format!(r#"{{"date":"{at}","tid":"{wire}","amount":"{size}","type":"{side}","price":"{price}"}}"#)
            });
            format!("[{}]", rows.collect::<Vec<_>>().join(","))
        }
        Kind::Binance => {
            let market = query["symbol"];
            let ids = (number("fromId").max(1)..=made).filter(has).take(1000);
            let rows = ids.map(|id| {
                let (price, size) = trade(market, id);
                let (at, is_sell) = (at_ms(id), is_sell(id));
                format!(r#"{{"id":{id},"price":"{price}","qty":"{size}","quoteQty":"1","time":{at},"isBuyerMaker":{is_sell},"isBestMatch":true}}"#)
            });
            format!("[{}]", rows.collect::<Vec<_>>().join(","))
        }
        Kind::BinanceAggregates => {
            assert_eq!(path, "/api/v3/aggTrades");
            let market = query["symbol"];
            let ids = (number("fromId").max(1)..=made).filter(has).take(1000);
            let rows = ids.map(|id| {
                let ((price, size), (first, last)) = (trade(market, id), parts(id));
                let (at, is_sell) = (at_ms(id), is_sell(id));
                format!(
                    r#"{{"a":{id},"p":"{price}","q":"{size}","f":{first},"l":{last},"T":{at},"m":{is_sell},"M":true}}"#
                )
            });
            format!("[{}]", rows.collect::<Vec<_>>().join(","))
        }
        Kind::Bybit => {
            let market = query["symbol"];
            let rows = latest(u64::MAX).take(60).map(|id| {
                let ((price, size), at, wire) = (trade(market, id), at_ms(id), wire(shared.kind, id));
                let side = if is_sell(id) { "Sell" } else { "Buy" };
                format!(r#"{{"execId":"{wire}","symbol":"{market}","price":"{price}","size":"{size}","side":"{side}","time":"{at}","isBlockTrade":false,"isRPITrade":false}}"#)
            });
            let rows = rows.collect::<Vec<_>>().join(",");
            format!(
                r#"{{"retCode":0,"retMsg":"OK","result":{{"category":"spot","list":[{rows}]}},"retExtInfo":{{}},"time":1672053054358}}"#
            )
        }
        Kind::Coinbase | Kind::CoinbaseAdvanced => {
            let product = path.split('/').nth(2).unwrap();
            let market = shared.markets.iter().find(|market| shown(shared.kind, market) == product).unwrap();
            let ids = (1..number("after").min(made + 1)).rev().filter(has).take(1000);
            let rows = ids.map(|id| {
                let ((price, size), side) = (trade(market, id), if is_sell(id) { "buy" } else { "sell" });
                format!(
                    r#"{{"trade_id":{id},"side":"{side}","size":"{size}","price":"{price}","time":"{}"}}"#,
                    stamp(at_ms(id))
                )
            });
            format!("[{}]", rows.collect::<Vec<_>>().join(","))
        }
        Kind::Okx => {
            let market = query["instId"];
            let ids = (1..number("after").min(made + 1)).rev().filter(has).take(100);
            let rows = ids.map(|id| {
                let ((price, size), side, at) = (trade(market, id), if is_sell(id) { "sell" } else { "buy" }, at_ms(id));
                format!(r#"{{"instId":"{market}","side":"{side}","sz":"{size}","px":"{price}","tradeId":"{id}","ts":"{at}"}}"#)
            });
            format!(r#"{{"code":"0","msg":"","data":[{}]}}"#, rows.collect::<Vec<_>>().join(","))
        }
        Kind::Kraken => {
            let since: u64 = query["since"].parse().unwrap();
            let market = *shared
                .markets
                .iter()
                .find(|name| query["pair"] == name.replace("BTC", "XBT").replace('/', ""))
                .unwrap();
            let ns = |id: u64| at_ms(id) * 1_000_000 + 736_900;
            let ids: Vec<u64> = (1..=made).filter(|id| ns(*id) > since).filter(has).take(1000).collect();
            let rows: Vec<String> = ids
                .iter()
                .map(|id| {
                    let ((price, size), ns) = (trade(market, *id), ns(*id));
                    let side = if is_sell(*id) { "s" } else { "b" };
                    format!(
                        r#"["{price}","{size}",{}.{:07},"{side}","m","",{id}]"#,
                        ns / 1_000_000_000,
                        ns % 1_000_000_000 / 100
                    )
                })
                .collect();
            let last = ids.last().map_or(since, |id| ns(*id));
            format!(r#"{{"error":[],"result":{{"PAIR":[{}],"last":"{last}"}}}}"#, rows.join(","))
        }
    };
    send("200 OK", "Content-Type: application/json\r\n", &body)
}
