//! Messages of exchanges: each kind of message, each spelling that the order of keys gives it, and lists of trades some of
//! which are wrong.

use crate::shown::show;
use proptest::prelude::*;
use tickcast::config::Format;
use tickcast::formats::{Decoded, Decoder, IGNORED, REASONS};
use tickcast::market::SymbolTable;

type Answer = Result<Decoded, &'static str>;

fn decode_as(format: Format, value: &str) -> (Answer, Vec<String>) {
    let (mut symbols, mut out) = (SymbolTable::default(), Vec::new());
    let answer = Decoder::json(format, None, None).decode(None, value.as_bytes(), &mut symbols, &mut out);
    let answer = answer.map_err(|error| {
        assert!(REASONS.iter().any(|(known, _)| *known == error.reason) && error.detail.len() < 400, "{error:?}");
        error.reason
    });
    match answer {
        Ok(Decoded::Used | Decoded::Partly(_)) => assert!(!out.is_empty(), "{value}"),
        Ok(Decoded::Ignored(kind)) => {
            assert!(out.is_empty() && IGNORED.iter().any(|(_, kinds)| kinds.contains(&kind)), "{kind}: {value}");
        }
        Err(_) => assert!(out.is_empty() && symbols.is_empty(), "{value}"),
    }
    (answer, out.iter().map(|seen| show(seen, &symbols)).collect())
}

fn decode(value: &str) -> (Answer, Vec<String>) {
    decode_as(Format::Auto, value)
}

const TRADE: &str = r#"{"e":"trade","E":1723161255343,"s":"BTCUSDT","t":3735683259,"p":"61837.63000000","q":"0.02000000","T":1723161255342,"m":true,"M":true}"#;
const AGG_TRADE: &str = r#"{"e":"aggTrade","E":1626992741575,"a":16599292,"s":"CTKUSDT","p":"1.01100","q":"10","f":23961322,"l":23961322,"T":1626992741421987,"m":false}"#;
const KLINE: &str = r#"{"e":"kline","E":1626992760203,"s":"SUSHIUSDT","k":{"t":1626992700000,"T":1626992759999,"s":"SUSHIUSDT","i":"1m","f":126902874,"L":126902986,"o":"7.6080","c":"7.6170","h":"7.6180","l":"7.6070","v":"3005","n":113,"x":true,"q":"22875.8590","V":"1900","Q":"14464.6960","B":"0"}}"#;
const MATCH: &str = r#"{"type":"match","trade_id":280232,"maker_order_id":"2a0d","taker_order_id":"3c82","side":"sell","size":"985","price":"0.00001305","product_id":"SKL-BTC","sequence":177100030,"time":"2021-04-17T16:43:37.089723Z"}"#;
const TICKER: &str = r#"{"type":"ticker","sequence":333938798,"product_id":"BAND-GBP","price":"14.7775","open_24h":"14.6647","volume_24h":"94381.28000000","low_24h":"14.3691","high_24h":"16.55","best_bid":"14.7550","best_ask":"14.8060","side":"buy","time":"2021-04-17T16:43:30.244075Z","trade_id":881613,"last_size":"0.04"}"#;
const MARKET_TRADES: &str = r#"{"channel":"market_trades","client_id":"","timestamp":"2026-08-09T21:05:48.251397169Z","sequence_num":9,"events":[{"type":"update","trades":[{"product_id":"BTC-USD","trade_id":"2","price":"65083.67","size":"0.01034361","time":"2026-08-09T21:05:48.167634Z","side":"SELL"},{"product_id":"ETH-USD","trade_id":"1","price":"1919.5","size":"2","time":"2026-08-09T21:05:48.1Z","side":"BUY"}]}]}"#;
const ADVANCED_TICKER: &str = r#"{"channel":"ticker","timestamp":"2026-08-09T21:05:48.298032046Z","sequence_num":10,"events":[{"type":"update","tickers":[{"type":"ticker","product_id":"ETH-USD","price":"1919.41","volume_24_h":"19975.95","best_bid":"1919.44","best_ask":"1919.49"}]}]}"#;
const KRAKEN: &str = r#"{"channel":"trade","type":"update","data":[{"symbol":"MATIC/USD","side":"sell","price":0.5117,"qty":40.0,"ord_type":"market","trade_id":4665906,"timestamp":"2023-09-25T07:49:37.708706Z"},{"symbol":"MATIC/USD","side":"buy","price":0.5118,"qty":1e1,"ord_type":"limit","trade_id":4665907,"timestamp":"2023-09-25T07:49:37.708707Z"}]}"#;
const KRAKEN_V1: &str = r#"[993,[["354.11000000","0.89594024","1618678142.557535","s","l",""],["354.12","1","1618678142.557536","b","m",""]],"trade","XBT/USD"]"#;

fn wrapped(event: &str) -> String {
    format!(r#"{{"stream":"x@y","data":{event}}}"#)
}

/// Every message that has a trade, price or candle, and what it says.
fn used() -> Vec<(String, Vec<&'static str>)> {
    let candle = "SUSHIUSDT 7.608 7.618 7.607 7.617 v 3005 n Some(113) q Some(228758590000000000000) s Some(795.0) 1m 2021-07-22T22:25:59.999Z";
    let mut all = vec![
        (MATCH.to_owned(), vec!["SKL-BTC 0.00001305 x 985 buy 2021-04-17T16:43:37.089Z"]),
        (MATCH.replace("\"match", "\"last_match"), vec!["SKL-BTC 0.00001305 x 985 buy 2021-04-17T16:43:37.089Z"]),
        (TICKER.to_owned(), vec!["BAND-GBP 14.7775 x 0.04 buy 2021-04-17T16:43:30.244Z"]),
        (TICKER.replace("last_size", "x"), vec!["BAND-GBP 14.7775 x 0 ? 2021-04-17T16:43:30.244Z"]),
        (TICKER.replace("\"side\"", "\"x\""), vec!["BAND-GBP 14.7775 x 0 ? 2021-04-17T16:43:30.244Z"]),
        (
            MARKET_TRADES.to_owned(),
            vec![
                "BTC-USD 65083.67 x 0.01034361 buy 2026-08-09T21:05:48.167Z",
                "ETH-USD 1919.5 x 2 sell 2026-08-09T21:05:48.100Z",
            ],
        ),
        (ADVANCED_TICKER.to_owned(), vec!["ETH-USD 1919.41 x 0 ? 2026-08-09T21:05:48.298Z"]),
        (
            KRAKEN.to_owned(),
            vec![
                "MATIC/USD 0.5117 x 40 sell 2023-09-25T07:49:37.708Z",
                "MATIC/USD 0.5118 x 10 buy 2023-09-25T07:49:37.708Z",
            ],
        ),
        (
            KRAKEN.replace("update", "snapshot"),
            vec![
                "MATIC/USD 0.5117 x 40 sell 2023-09-25T07:49:37.708Z",
                "MATIC/USD 0.5118 x 10 buy 2023-09-25T07:49:37.708Z",
            ],
        ),
        (
            KRAKEN_V1.to_owned(),
            vec![
                "XBT/USD 354.11 x 0.89594024 sell 2021-04-17T16:49:02.557Z",
                "XBT/USD 354.12 x 1 buy 2021-04-17T16:49:02.557Z",
            ],
        ),
        (
            format!("[{TRADE} , {AGG_TRADE}]"),
            vec![
                "BTCUSDT 61837.63 x 0.02 sell 2024-08-08T23:54:15.342Z",
                "CTKUSDT 1.011 x 10 buy 2021-07-22T22:25:41.421Z",
            ],
        ),
    ];
    for (event, said) in [
        (TRADE, "BTCUSDT 61837.63 x 0.02 sell 2024-08-08T23:54:15.342Z"),
        (AGG_TRADE, "CTKUSDT 1.011 x 10 buy 2021-07-22T22:25:41.421Z"),
        (KLINE, candle),
    ] {
        all.extend([event.to_owned(), wrapped(event)].map(|value| (value, vec![said])));
    }
    all
}

/// Messages without a trade, by kind.
fn ignored() -> Vec<(String, &'static str)> {
    let text = |text: &str| text.to_owned();
    let quote =
        r#"{"u":499869768,"s":"NKNUSDT","b":"0.35210000","B":"672.00000000","a":"0.35260000","A":"3199.00000000"}"#;
    let depth = r#"{"lastUpdateId":160,"bids":[["0.0024","10"]],"asks":[["0.0026","100"]]}"#;
    let statistics =
        r#"[{"e":"24hrMiniTicker","s":"A","c":"1","o":"1","h":"1","l":"1"},{"e":"24hrMiniTicker","s":"B"}]"#;
    let mut all = vec![
        (text(quote), "bookTicker"),
        (wrapped(quote), "bookTicker"),
        (text(depth), "depth"),
        (wrapped(depth), "depth"),
        (text(statistics), "24hrMiniTicker"),
        (wrapped(statistics), "24hrMiniTicker"),
        (text(r#"{"result":null,"id":1}"#), "answer"),
        (text(r#"{"code":2,"msg":"Invalid request","id":1}"#), "answer"),
        (KLINE.replace("\"x\":true", "\"x\":false"), "unclosed"),
        (text(r#"{"type":"subscriptions","channels":[{"name":"ticker","product_ids":["BTC-USD"]}]}"#), "subscriptions"),
        (
            text(
                r#"{"type":"heartbeat","sequence":90,"last_trade_id":20,"product_id":"BTC-USD","time":"2014-11-07T08:19:28.464459Z"}"#,
            ),
            "heartbeat",
        ),
        (
            text(
                r#"{"type":"l2update","product_id":"BTC-USD","changes":[["buy","1","0"]],"time":"2022-08-04T15:25:05.010758Z"}"#,
            ),
            "l2update",
        ),
        (text(r#"{"type":"snapshot","product_id":"BTC-USD","bids":[["1","2"]],"asks":[["2","3"]]}"#), "snapshot"),
        (text(r#"{"type":"status","currencies":[],"products":[]}"#), "status"),
        (
            text(
                r#"{"type":"open","time":"2014-11-07T08:19:27.028459Z","product_id":"BTC-USD","price":"200.2","remaining_size":"1.00","side":"sell"}"#,
            ),
            "open",
        ),
        (text(r#"{"type":"error","message":"no"}"#), "error"),
        (
            text(
                r#"{"channel":"subscriptions","timestamp":"2026-08-09T21:05:48Z","sequence_num":2,"events":[{"subscriptions":{}}]}"#,
            ),
            "subscriptions",
        ),
        (
            text(
                r#"{"channel":"heartbeats","timestamp":"2026-08-09T21:05:48Z","events":[{"heartbeat_counter":41691}]}"#,
            ),
            "heartbeats",
        ),
        (
            text(
                r#"{"channel":"l2_data","timestamp":"2026-08-09T21:05:48Z","events":[{"type":"update","product_id":"BTC-USD","updates":[]}]}"#,
            ),
            "l2_data",
        ),
        (
            text(
                r#"{"channel":"candles","timestamp":"2026-08-09T21:05:48Z","events":[{"type":"update","candles":[]}]}"#,
            ),
            "candles",
        ),
        (
            text(
                r#"{"channel":"market_trades","timestamp":"2026-08-09T21:05:48Z","events":[{"type":"update","trades":[]}]}"#,
            ),
            "no_trade",
        ),
        (text(r#"{"channel":"heartbeat"}"#), "heartbeat"),
        (text(r#"{"channel":"status","type":"update","data":[{"system":"online","api_version":"v2"}]}"#), "status"),
        (text(r#"{"channel":"ticker","type":"update","data":[{"symbol":"A/B","bid":0.1,"last":0.1}]}"#), "ticker"),
        (text(r#"{"channel":"book","type":"update","data":[{"symbol":"A/B","bids":[],"asks":[]}]}"#), "book"),
        (text(r#"{"channel":"trade","type":"snapshot","data":[]}"#), "no_trade"),
        (
            text(
                r#"{"method":"subscribe","result":{"channel":"trade","snapshot":true,"symbol":"A/B"},"success":true,"time_in":"2023-09-25T09:04:31.742599Z"}"#,
            ),
            "subscribe",
        ),
        (text(r#"{"event":"heartbeat"}"#), "heartbeat"),
        (
            text(r#"{"connectionID":18239578009413566319,"event":"systemStatus","status":"online","version":"1.8.3"}"#),
            "systemStatus",
        ),
        (
            text(
                r#"{"channelID":1665,"channelName":"trade","event":"subscriptionStatus","pair":"A/B","status":"subscribed","subscription":{"name":"trade"}}"#,
            ),
            "subscriptionStatus",
        ),
        (text(r#"[1668,{"a":["13.2",35,"35.7"]},"ticker","WAVES/EUR"]"#), "ticker"),
        (text(r#"[1840,{"a":[]},{"b":[],"c":"1"},"book-1000","WAVES/EUR"]"#), "book"),
        (text(r#"[42,["1542057314.748456","1542057360.435743","3586.7"],"ohlc-5","XBT/USD"]"#), "ohlc"),
        (text(r#"[0,["5698.4","5700.0"],"spread","XBT/USD"]"#), "spread"),
        (text(r#"[0,[],"trade","XBT/USD"]"#), "no_trade"),
    ];
    for event in ["depthUpdate", "24hrTicker", "1hTicker", "avgPrice", "markPriceUpdate", "forceOrder", "blockTrade"] {
        let value = format!(
            r#"{{"e":"{event}","E":1672515782136,"s":"BNBBTC","p":"1","q":"2","b":[],"a":[],"T":1672515782136}}"#
        );
        all.extend([(value.clone(), event), (wrapped(&value), event)]);
    }
    all
}

#[test]
fn messages_with_trades_say_what_they_say() {
    for (value, expected) in used() {
        let (answer, said) = decode(&value);
        assert_eq!(answer, Ok(Decoded::Used), "{value}");
        assert_eq!(said, expected, "{value}");
    }
}

#[test]
fn messages_without_trades_are_ignored_by_kind() {
    for (value, kind) in ignored() {
        assert_eq!(decode(&value).0, Ok(Decoded::Ignored(kind)), "{value}");
        assert_eq!(
            decode_as(Format::Trade, &value).0,
            Ok(Decoded::Ignored(if kind == "unclosed" { "kline" } else { kind })),
            "{value}"
        );
    }
}

#[test]
fn the_configured_format_picks_trades_or_candles() {
    let is_candle = |value: &str| value.contains("kline");
    for (value, expected) in used() {
        let (trades, candles) = (decode_as(Format::Trade, &value), decode_as(Format::Candle, &value));
        let (wanted, other, kind) =
            if is_candle(&value) { (candles, trades, "kline") } else { (trades, candles, "trade") };
        assert_eq!(
            (wanted.0, wanted.1),
            (Ok(Decoded::Used), expected.iter().map(|&s| s.to_owned()).collect()),
            "{value}"
        );
        assert_eq!(other.0, Ok(Decoded::Ignored(kind)), "{value}");
    }
    let tick = r#"{"symbol":"BTC","timestamp":1611239671964,"price":5}"#;
    assert_eq!(decode_as(Format::Trade, tick).0, Err("unknown_format"));
}

#[test]
fn ticks_stay_ticks_whatever_else_they_carry() {
    for more in [
        r#""type":"match","product_id":"X""#,
        r#""channel":"trade""#,
        r#""stream":"x@trade","data":{"e":"trade"}"#,
        r#""e":"trade","s":"X","p":"1""#,
        r#""event":"heartbeat","method":"ping","id":1,"result":null"#,
        r#""time":"2021-01-01T00:00:00Z","last_size":"7","lastUpdateId":1,"bids":[],"asks":[]"#,
    ] {
        let value = format!(r#"{{{more},"symbol":"BTC","timestamp":1611239671964,"price":5,"size":2}}"#);
        assert_eq!(
            decode(&value),
            (Ok(Decoded::Used), vec!["BTC 5 x 2 ? 2021-01-21T14:34:31.964Z".to_owned()]),
            "{value}"
        );
    }
}

#[test]
fn what_is_wrong_in_a_message_has_a_reason() {
    let wrong = |value: &str, from: &str, to: &str| {
        assert!(value.contains(from), "{value} holds {from}");
        value.replace(from, to)
    };
    // What may be absent costs nothing where it cannot be read.
    for value in [
        wrong(TRADE, "\"m\":true", "\"m\":\"maybe\""),
        wrong(TRADE, "\"m\":true", "\"m\":[]"),
        wrong(KLINE, "\"V\":\"1900\"", "\"V\":\"3005.1\""),
        wrong(MATCH, "\"sell\"", "\"sold\""),
        r#"[0,[["1","1","1618678142.5","x","l",""]],"trade","A/B"]"#.to_owned(),
    ] {
        let (answer, seen) = decode(&value);
        assert!(
            answer == Ok(Decoded::Used) && (seen[0].contains(" ? ") || seen[0].contains(" s None ")),
            "{value}: {seen:?}"
        );
    }
    for (value, expected) in [
        (wrong(TRADE, "61837.63000000", "0"), "wrong_field"),
        (wrong(TRADE, "61837.63000000", "NaN"), "wrong_field"),
        (wrong(TRADE, r#""p":"61837.63000000","#, ""), "missing_field"),
        (wrong(TRADE, r#""q":"0.02000000","#, ""), "missing_field"),
        (wrong(TRADE, r#""T":1723161255342,"#, ""), "missing_field"),
        (wrong(TRADE, r#""s":"BTCUSDT","#, ""), "missing_field"),
        (wrong(TRADE, "BTCUSDT", ""), "wrong_field"),
        (wrong(TRADE, "\"e\":\"trade\"", "\"e\":\"trades\""), "unknown_format"),
        (wrong(TRADE, "\"e\":\"trade\"", "\"e\":1"), "unknown_format"),
        (wrapped("{}"), "missing_field"),
        (wrapped("1"), "missing_field"),
        (wrapped("[1]"), "unknown_format"),
        (wrong(KLINE, "\"x\":true", "\"x\":1"), "wrong_field"),
        (wrong(KLINE, "\"x\":true,", ""), "missing_field"),
        (wrong(KLINE, "\"T\":1626992759999", "\"T\":1626992699999"), "wrong_field"),
        (wrong(KLINE, "\"T\":1626992759999", "\"T\":1726992699999"), "wrong_field"),
        (wrong(KLINE, "\"h\":\"7.6180\"", "\"h\":\"7.6060\""), "wrong_field"),
        (r#"{"e":"kline","s":"A","k":[1]}"#.to_owned(), "wrong_field"),
        (wrong(MATCH, "\"985\"", "\"-1\""), "wrong_field"),
        (wrong(MATCH, "\"price\"", "\"prise\""), "missing_field"),
        (wrong(MATCH, "\"time\"", "\"thyme\""), "missing_field"),
        (wrong(MATCH, "\"match\"", "\"mismatch\""), "unknown_format"),
        (r#"{"channel":"market_trades","timestamp":"2026-08-09T21:05:48Z","events":{}}"#.to_owned(), "wrong_field"),
        (r#"{"channel":"market_trades","timestamp":"2026-08-09T21:05:48Z","events":[1]}"#.to_owned(), "wrong_field"),
        (
            r#"{"channel":"market_trades","timestamp":"2026-08-09T21:05:48Z","events":[{"trades":{}}]}"#.to_owned(),
            "wrong_field",
        ),
        (
            r#"{"channel":"market_trades","timestamp":"2026-08-09T21:05:48Z","events":[{"trades":[1]}]}"#.to_owned(),
            "wrong_field",
        ),
        (r#"{"channel":"a channel that nobody knows","events":[]}"#.to_owned(), "unknown_format"),
        (r#"{"channel":"trade","type":"update","data":[{}]}"#.to_owned(), "missing_field"),
        (r#"{"channel":"trade","type":"update","data":[[]]}"#.to_owned(), "wrong_field"),
        (r#"{"channel":"trade","type":"update"}"#.to_owned(), "missing_field"),
        (r#"{"method":"a method that nobody knows"}"#.to_owned(), "unknown_format"),
        (r#"{"event":"an event that nobody knows"}"#.to_owned(), "unknown_format"),
        (r#"[0,[["1","1","1618678142.5"]],"trade","A/B"]"#.to_owned(), "wrong_field"),
        (r#"[0,[1],"trade","A/B"]"#.to_owned(), "wrong_field"),
        (r#"[0,{},"trade","A/B"]"#.to_owned(), "wrong_field"),
        (r#"[0,[],"trade"]"#.to_owned(), "unknown_format"),
        (r#"[0,[],"trades","A/B"]"#.to_owned(), "unknown_format"),
        (r#"["a",[],"trade","A/B"]"#.to_owned(), "unknown_format"),
        (r#"[0,[],"trade","A/B"] 1"#.to_owned(), "not_json"),
        (r#"[0,[],"trade","A/B""#.to_owned(), "not_json"),
        (format!("+{TRADE}"), "not_json"),
    ] {
        assert_eq!(decode(&value).0, Err(expected), "{value}");
    }
}

#[test]
fn of_several_trades_those_that_can_be_used_are() {
    for (value, from, to, reason, left) in [
        (MARKET_TRADES, "65083.67", "-1", "wrong_field", "ETH-USD 1919.5 x 2 sell 2026-08-09T21:05:48.100Z"),
        (
            MARKET_TRADES,
            "\"size\":\"2\",",
            "",
            "missing_field",
            "BTC-USD 65083.67 x 0.01034361 buy 2026-08-09T21:05:48.167Z",
        ),
        (KRAKEN, "0.5117", "0", "wrong_field", "MATIC/USD 0.5118 x 10 buy 2023-09-25T07:49:37.708Z"),
        (KRAKEN_V1, "\"354.12\"", "null", "missing_field", "XBT/USD 354.11 x 0.89594024 sell 2021-04-17T16:49:02.557Z"),
    ] {
        assert!(value.contains(from));
        let (answer, said) = decode(&value.replace(from, to));
        assert_eq!((answer, said), (Ok(Decoded::Partly(reason)), vec![left.to_owned()]), "{value}");
    }
    let (answer, _) = decode(&MARKET_TRADES.replace("\"size\"", "\"x\""));
    assert_eq!(answer, Err("missing_field"), "none can be used");
}

proptest! {
    /// The order of keys, at any depth, does not matter.
    #[test]
    fn keys_may_come_in_any_order(seed in any::<u64>()) {
        let mut random = seed;
        let messages = used().into_iter().map(|(value, _)| value).chain(ignored().into_iter().map(|(value, _)| value));
        for value in messages {
            let shuffled = shuffle(&serde_json::from_str(&value).unwrap(), &mut random);
            prop_assert_eq!(decode(&shuffled), decode(&value), "{}", shuffled);
        }
    }
}

/// The same document with the keys of its objects in another order.
fn shuffle(value: &serde_json::Value, random: &mut u64) -> String {
    match value {
        serde_json::Value::Object(map) => {
            let mut fields: Vec<String> =
                map.iter().map(|(key, value)| format!("{key:?}:{}", shuffle(value, random))).collect();
            for at in (1..fields.len()).rev() {
                *random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                fields.swap(at, (*random >> 33) as usize % (at + 1));
            }
            format!("{{{}}}", fields.join(","))
        }
        serde_json::Value::Array(list) => {
            let list: Vec<String> = list.iter().map(|value| shuffle(value, random)).collect();
            format!("[{}]", list.join(","))
        }
        other => other.to_string(),
    }
}
