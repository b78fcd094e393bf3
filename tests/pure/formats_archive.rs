//! CSV files as Binance's archives have them, with and without a header.

use crate::shown::show;
use tickcast::formats::{Decoded, Decoder};
use tickcast::market::{Symbol, SymbolTable};

fn decode_line(first: &str, line: &str) -> (Result<Decoded, &'static str>, Vec<String>) {
    let symbol = Some(Symbol::new("X").unwrap());
    let mut decoder = Decoder::csv(first.as_bytes(), symbol, None).unwrap();
    assert_eq!(decoder.is_record(), first.starts_with(|first: char| first.is_ascii_digit()));
    let (mut symbols, mut out) = (SymbolTable::default(), Vec::new());
    let answer = decoder.decode(None, line.as_bytes(), &mut symbols, &mut out).map_err(|error| error.reason);
    (answer, out.iter().map(|seen| show(seen, &symbols)).collect())
}

#[test]
fn archives_are_read_with_and_without_a_header() {
    let kline = "1617321600000,2,4,1,3,31.5,1617325199999,94.5,913,17.25,51.75,0";
    let candle = "X 2 4 1 3 v 31.5 n Some(913) q Some(945000000000000000) s Some(3.0) 1h 2021-04-02T00:59:59.999Z";
    let klines = "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore";
    let micros = kline.replace("00000,2", "00000000,2").replace("9999,94", "9999999,94");
    let trade = "4665846,65083.7,0.25,16270.925,1617321600123,True,True";
    let sold = "X 65083.7 x 0.25 sell 2021-04-02T00:00:00.123Z";
    let aggregate = "4665846,65083.7,0.25,5665846,5665847,1617321600123456,False,True";
    let bought = "X 65083.7 x 0.25 buy 2021-04-02T00:00:00.123Z";
    for (first, line, expected) in [
        (kline, kline, candle),
        (&micros, &micros, candle),
        (klines, kline, candle),
        (klines, &micros, candle),
        (kline, &micros, candle),
        (trade, trade, sold),
        ("id,price,qty,quote_qty,time,is_buyer_maker,is_best_match", trade, sold),
        (aggregate, aggregate, bought),
        ("agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker,x", aggregate, bought),
    ] {
        assert_eq!(decode_line(first, line), (Ok(Decoded::Used), vec![expected.to_owned()]), "{first}");
    }
    for (first, line, expected) in [
        (trade, "4665846,65083.7,0.25,16270.925,1617321600123,True", "wrong_columns"),
        (kline, &kline.replace("1617325199999", "1617321599999"), "wrong_field"),
    ] {
        assert_eq!(decode_line(first, line).0, Err(expected), "{line}");
    }
    // What may be absent costs nothing where it cannot be read.
    let unknown = trade.replace(",True,True", ",maybe,True");
    assert_eq!(decode_line(trade, &unknown), (Ok(Decoded::Used), vec![sold.replace("sell", "?")]));
    let (answer, seen) = decode_line(kline, &kline.replace(",17.25,", ",32,"));
    assert!(answer == Ok(Decoded::Used) && seen[0].contains("s None"), "{seen:?}");
    let decoder = Decoder::csv(klines.as_bytes(), Some(Symbol::new("X").unwrap()), None).unwrap();
    assert_eq!(decoder.stamp_unit(kline.as_bytes()), Some("milliseconds"));
    assert_eq!(decoder.stamp_unit(micros.as_bytes()), Some("microseconds"));
    assert_eq!(decoder.stamp_unit(klines.as_bytes()), None);
}
