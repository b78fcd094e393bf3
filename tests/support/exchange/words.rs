//! An exchange's words.

use super::{Kind, Shared, is_sell, trade};

pub fn stamp(ms: u64) -> String {
    jiff::Timestamp::from_millisecond(ms as i64).unwrap().strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

/// A trade's number as its venue has it. Where markets share numbers, each leaves some out.
pub const fn wire(kind: Kind, id: u64) -> u64 {
    match kind {
        Kind::Bitstamp => 343_000_000 + id * 7 + id % 5,
        Kind::Bybit => 2_290_000_000_000_000_000 + id * 7 + id % 5,
        _ => id,
    }
}

/// The number that a venue's own exchange writes so.
pub fn unwire(exchange: &str, wire: u64) -> u64 {
    match exchange.split(':').next() {
        Some("bitstamp") => (wire - 343_000_000) / 7,
        Some("bybit") => (wire - 2_290_000_000_000_000_000) / 7,
        _ => wire,
    }
}

/// The first and the last of the trades that an aggregate is made of.
pub const fn parts(id: u64) -> (u64, u64) {
    (id * 3 - 2, id * 3)
}

/// A trade as the stream has it; of venues that have several in a message, an element of its list.
pub(super) fn line(shared: &Shared, market: &str, id: u64) -> String {
    let ((price, size), at) = (trade(market, id), shared.pace.at_ms(id));
    match shared.kind {
        Kind::Binance => format!(
            r#"{{"stream":"{}@trade","data":{{"e":"trade","E":{at},"s":"{market}","t":{id},"p":"{price}","q":"{size}","T":{at},"m":{},"M":true}}}}"#,
            market.to_lowercase(),
            is_sell(id)
        ),
        Kind::BinanceAggregates => format!(
            r#"{{"stream":"{}@aggTrade","data":{{"e":"aggTrade","E":{at},"s":"{market}","a":{id},"p":"{price}","q":"{size}","f":{},"l":{},"T":{at},"m":{},"M":true}}}}"#,
            market.to_lowercase(),
            parts(id).0,
            parts(id).1,
            is_sell(id)
        ),
        Kind::Bitstamp => format!(
            r#"{{"data":{{"id":{},"timestamp":"{}","amount":{size},"amount_str":"{size}","price":{price},"price_str":"{price}","type":{},"microtimestamp":"{at}000","buy_order_id":1757206328406016,"sell_order_id":1757206107889664}},"channel":"live_trades_{market}","event":"trade"}}"#,
            wire(shared.kind, id),
            at / 1000,
            u8::from(is_sell(id))
        ),
        Kind::Bybit => format!(
            r#"{{"i":"{}","T":{at},"p":"{price}","v":"{size}","S":"{}","seq":{},"s":"{market}","BT":false,"RPI":false}}"#,
            wire(shared.kind, id),
            if is_sell(id) { "Sell" } else { "Buy" },
            89_200_463_112 + id / 2
        ),
        Kind::Coinbase => format!(
            r#"{{"type":"match","trade_id":{id},"maker_order_id":"a","taker_order_id":"b","side":"{}","size":"{size}","price":"{price}","product_id":"{market}","sequence":{},"time":"{}"}}"#,
            if is_sell(id) { "buy" } else { "sell" },
            id * 3,
            stamp(at)
        ),
        Kind::CoinbaseAdvanced => format!(
            r#"{{"trade_id":"{id}","product_id":"{}","price":"{price}","size":"{size}","side":"{}","time":"{}"}}"#,
            shown(shared.kind, market),
            if is_sell(id) { "BUY" } else { "SELL" },
            stamp(at)
        ),
        Kind::Okx => format!(
            r#"{{"arg":{{"channel":"trades-all","instId":"{market}"}},"data":[{{"instId":"{market}","tradeId":"{id}","px":"{price}","sz":"{size}","source":"0","side":"{}","ts":"{at}"}}]}}"#,
            if is_sell(id) { "sell" } else { "buy" }
        ),
        Kind::Kraken => format!(
            r#"{{"symbol":"{market}","side":"{}","price":{price},"qty":{size},"ord_type":"market","trade_id":{id},"timestamp":"{}"}}"#,
            if is_sell(id) { "sell" } else { "buy" },
            stamp(at)
        ),
    }
}

/// How the venue calls a market in what it says.
pub fn shown(kind: Kind, market: &str) -> String {
    match (kind, market.strip_suffix("-USDC")) {
        (Kind::CoinbaseAdvanced, Some(base)) => format!("{base}-USD"),
        _ => market.to_owned(),
    }
}
