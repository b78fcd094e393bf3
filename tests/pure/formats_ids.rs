//! Which trade a record says it is: what tells of the same trade agrees, what tells of another differs, and an id never costs a price.

use tickcast::config::Format;
use tickcast::formats::{Decoded, Decoder};
use tickcast::market::{IdSpace, Symbol, SymbolTable, TradeId};

fn ids_by(mut decoder: Decoder, value: &str) -> Vec<Option<TradeId>> {
    let (mut symbols, mut out) = (SymbolTable::default(), Vec::new());
    assert_eq!(decoder.decode(None, value.as_bytes(), &mut symbols, &mut out), Ok(Decoded::Used), "{value}");
    out.iter().map(|seen| seen.identity).collect()
}

fn ids(value: &str) -> Vec<Option<TradeId>> {
    ids_by(Decoder::json(Format::Auto, None, None), value)
}

fn line(header: &str, line: &str) -> Option<TradeId> {
    let symbol = Some(Symbol::new("X").unwrap());
    ids_by(Decoder::csv(header.as_bytes(), symbol, None).unwrap(), line)[0]
}

#[test]
fn each_venue_numbers_its_trades() {
    use IdSpace::{
        BinanceFutures, BinanceFuturesAggregate, BinanceSpot, BinanceSpotAggregate, Coinbase, Kraken, Plain,
        PlainAggregate,
    };
    let tick = r#""symbol":"BTC","timestamp":1611239671964,"price":5"#;
    for (value, expected) in [
        (
            r#"{"e":"trade","s":"A","t":17,"p":"1","q":"2","T":1723161255342,"m":true,"M":true}"#,
            vec![(BinanceSpot, 17)],
        ),
        (r#"{"M":true,"T":1723161255342,"q":"2","p":"1","t":17,"s":"A","e":"trade"}"#, vec![(BinanceSpot, 17)]),
        (r#"{"e":"trade","s":"A","t":17,"p":"1","q":"2","T":1723161255342,"m":true}"#, vec![(BinanceFutures, 17)]),
        (
            r#"{"stream":"a@aggTrade","data":{"e":"aggTrade","a":17,"s":"A","p":"1","q":"2","f":1,"l":2,"T":1723161255342,"m":true,"M":true}}"#,
            vec![(BinanceSpotAggregate, 17)],
        ),
        (
            r#"{"e":"aggTrade","a":0,"s":"A","p":"1","q":"2","f":1,"l":2,"T":1723161255342,"m":true}"#,
            vec![(BinanceFuturesAggregate, 0)],
        ),
        (
            r#"{"type":"last_match","trade_id":17,"side":"sell","size":"9","price":"1","product_id":"A-B","time":"2021-04-17T16:43:37Z"}"#,
            vec![(Coinbase, 17)],
        ),
        (
            r#"{"type":"ticker","product_id":"A-B","price":"1","side":"buy","time":"2021-04-17T16:43:30Z","trade_id":17,"last_size":"0.04"}"#,
            vec![(Coinbase, 17)],
        ),
        (
            r#"{"channel":"market_trades","timestamp":"2026-08-09T21:05:48Z","events":[{"type":"update","trades":[{"product_id":"A-B","trade_id":"17","price":"1","size":"1","time":"2026-08-09T21:05:48Z","side":"SELL"},{"product_id":"A-B","trade_id":"16","price":"1","size":"2","time":"2026-08-09T21:05:48.1Z","side":"BUY"}]}]}"#,
            vec![(Coinbase, 17), (Coinbase, 16)],
        ),
        (
            r#"{"channel":"trade","type":"snapshot","data":[{"symbol":"A/B","side":"sell","price":1,"qty":4.0,"trade_id":17,"timestamp":"2023-09-25T07:49:37.708706Z"}]}"#,
            vec![(Kraken, 17)],
        ),
        (&format!(r#"{{"trade_id":17,{tick}}}"#), vec![(Plain, 17)]),
        (&format!(r#"{{{tick},"tradeId":"17"}}"#), vec![(Plain, 17)]),
        (&format!(r#"{{"tid":17,{tick},"trade_id":18,"tradeId":19}}"#), vec![(Plain, 18)]),
        (&format!(r#"{{"trade_id":null,"tid":17,{tick}}}"#), vec![(Plain, 17)]),
        (&format!(r#"{{{tick},"agg_trade_id":17}}"#), vec![(PlainAggregate, 17)]),
    ] {
        let expected: Vec<_> = expected.into_iter().map(|(space, number)| Some(TradeId::new(space, number))).collect();
        assert_eq!(ids(value), expected, "{value}");
    }
}

#[test]
fn an_id_that_is_none_costs_no_price() {
    let tick = r#""symbol":"BTC","timestamp":1611239671964,"price":5"#;
    for id in ["null", "\"\"", "\"n/a\"", "0", "-1", "1.5", "1e3", "true", "{}", "[1]", r#""a\u0062""#] {
        assert_eq!(ids(&format!(r#"{{{tick},"trade_id":{id}}}"#)), [None], "{id}");
    }
    for value in [
        format!(r#"{{{tick},"id":17}}"#),
        // A price is not the trade, and v1 of Kraken has no ids.
        r#"{"type":"ticker","product_id":"A-B","price":"1","time":"2021-04-17T16:43:30Z","trade_id":17}"#.to_owned(),
        r#"[993,[["354.11","0.8959","1618678142.557535","s","l",""]],"trade","XBT/USD"]"#.to_owned(),
    ] {
        assert_eq!(ids(&value), [None], "{value}");
    }
}

#[test]
fn a_file_and_the_stream_of_one_market_agree() {
    let stream = ids(r#"{"e":"trade","s":"X","t":4665846,"p":"1","q":"2","T":1617321600123,"m":true,"M":true}"#)[0];
    let archive = "4665846,65083.7,0.25,16270.925,1617321600123,True,True";
    assert_eq!(line(archive, archive), stream);
    assert_eq!(line("id,price,qty,quote_qty,time,is_buyer_maker,is_best_match", archive), stream);
    let aggregate = "4665846,65083.7,0.25,5665846,5665847,1617321600123456,False,True";
    let space = IdSpace::BinanceSpotAggregate;
    assert_eq!(line(aggregate, aggregate), Some(TradeId::new(space, 4_665_846)));

    let tick = ids(r#"{"symbol":"X","timestamp":1611239671964,"price":5,"trade_id":"7f3c-6e1a"}"#)[0];
    assert!(tick.is_some());
    for header in ["timestamp,price,trade_id", "ts,price,TID", "time,price,trdMatchID"] {
        assert_eq!(line(header, "1611239671964,5,7f3c-6e1a"), tick, "{header}");
    }
    assert_eq!(line("timestamp,price,id", "1611239671964,5,7f3c-6e1a"), None);
    assert_eq!(line("timestamp,price,trade_id", "1611239671964,5,"), None);
}

#[test]
fn exchanges_in_one_file_number_by_themselves() {
    let header = "exchange,symbol,timestamp,local_timestamp,id,side,price,amount";
    let of =
        |exchange: &str, id: u32| line(header, &format!("{exchange},X,1611239671964000,1611239671964001,{id},buy,5,1"));
    assert!(of("binance", 17).is_some());
    assert!(of("binance", 17) == of("binance", 17) && of("binance", 17) != of("binance", 18));
    assert_ne!(of("binance", 17), of("bybit", 17));
    let json = r#"{"exchange":"binance","trade_id":17,"symbol":"X","timestamp":1611239671964,"price":5}"#;
    assert_eq!(ids(json)[0], of("binance", 17));
}
