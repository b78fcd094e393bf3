//! The ids of trades in tables: which column has them, and whose they are.
//!
//! | column | whose |
//! |---|---|
//! | `trade_id`, `tid`, `trdMatchID` | of nobody in particular, as the keys of a tick |
//! | `agg_trade_id` | of Binance's aggregate trades beside `is_buyer_maker`, else of any |
//! | `id` | of Binance's trades beside `is_buyer_maker`; of an exchange's beside `exchange` |
//!
//! Of Binance's files, those of spot markets have `is_best_match`, or without a header one column more. So a file and the stream
//! of the same market agree on their ids.

use super::fields::Field;
use crate::market::IdSpace;

/// The column of ids among a header's words, of which the letters and digits are given, in lower case.
pub(super) fn column(names: &[String]) -> Option<(usize, IdSpace)> {
    let find = |wanted: &str| names.iter().position(|name| name == wanted);
    let plain = ["tradeid", "tid", "trdmatchid"].into_iter().find_map(find);
    if let Some(at) = plain {
        return Some((at, IdSpace::Plain));
    }
    let (is_binance, is_spot) = (find("isbuyermaker").is_some(), find("isbestmatch").is_some());
    if let Some(at) = find("aggtradeid") {
        return Some((at, if is_binance { binance(true, is_spot) } else { IdSpace::PlainAggregate }));
    }
    let at = find("id")?;
    if is_binance {
        return Some((at, binance(false, is_spot)));
    }
    exchange(names).map(|_| (at, IdSpace::Plain))
}

/// The column that says of which exchange a row is.
pub(super) fn exchange(names: &[String]) -> Option<usize> {
    names.iter().position(|name| name == "exchange")
}

/// Whose ids an archive of Binance without a header has, by what its columns mean: of trades the fifth is the stamp, and spot
/// markets have one column more.
pub(super) fn of_archive(columns: &[Option<Field>]) -> IdSpace {
    const STAMP_OF_TRADES: usize = 4;
    let is_aggregate = columns.get(STAMP_OF_TRADES) != Some(&Some(Field::Timestamp));
    binance(is_aggregate, columns.last() == Some(&None))
}

const fn binance(is_aggregate: bool, is_spot: bool) -> IdSpace {
    match (is_aggregate, is_spot) {
        (false, true) => IdSpace::BinanceSpot,
        (false, false) => IdSpace::BinanceFutures,
        (true, true) => IdSpace::BinanceSpotAggregate,
        (true, false) => IdSpace::BinanceFuturesAggregate,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_say_whose_ids_they_have() {
        for (header, expected) in [
            ("timestamp,price,trade_id", Some((2, IdSpace::Plain))),
            ("id,timestamp,price,tid", Some((3, IdSpace::Plain))),
            ("timestamp,symbol,side,size,price,tickdirection,trdmatchid", Some((6, IdSpace::Plain))),
            ("exchange,symbol,timestamp,local_timestamp,id,side,price,amount", Some((4, IdSpace::Plain))),
            ("id,price,qty,quote_qty,time,is_buyer_maker,is_best_match", Some((0, IdSpace::BinanceSpot))),
            ("id,price,qty,quote_qty,time,is_buyer_maker", Some((0, IdSpace::BinanceFutures))),
            ("agg_trade_id,price,quantity,transact_time,is_buyer_maker", Some((0, IdSpace::BinanceFuturesAggregate))),
            ("agg_trade_id,price,transact_time", Some((0, IdSpace::PlainAggregate))),
            ("id,timestamp,price", None),
            ("timestamp,price", None),
        ] {
            let names: Vec<String> = header.split(',').map(super::super::header::key).collect();
            assert_eq!(column(&names), expected, "{header}");
        }
    }

    #[test]
    fn archives_without_a_header_say_it_by_their_columns() {
        for (line, expected) in [
            ("4665846,65083.7,0.25,16270.925,1617321600123,True,True", IdSpace::BinanceSpot),
            ("4665846,65083.7,0.25,16270.925,1617321600123,false", IdSpace::BinanceFutures),
            ("4665846,65083.7,0.25,5665846,5665847,1617321600123,True,True", IdSpace::BinanceSpotAggregate),
            ("4665846,65083.7,0.25,5665846,5665847,1617321600123,true", IdSpace::BinanceFuturesAggregate),
        ] {
            let (_, columns) = super::super::archive::columns(line.as_bytes()).unwrap();
            assert_eq!((of_archive(&columns), columns[0]), (expected, Some(Field::TradeId)), "{line}");
        }
    }
}
