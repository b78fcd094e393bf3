//! CSV files of Binance's archives that have no header: told apart by the number of columns and what stands in them.
//!
//! | file | columns |
//! |---|---|
//! | klines | open time, open, high, low, close, volume, close time, quote volume, count, taker buy volume, taker buy quote volume, ignored |
//! | trades | id, price, qty, quote qty, time, buyer is maker, and of spot markets: best match |
//! | aggTrades | id, price, qty, first id, last id, time, buyer is maker, and of spot markets: best match |
//!
//! Stamps are in ms, or since 2025 in µs; each is judged by its own size.

use super::cell::cell;
use super::fields::Field;
use super::stamp;
use crate::config::Format;

/// The most columns of such a file.
const COLUMNS_MAX: usize = 12;

const KLINES: [Option<Field>; 12] = [
    Some(Field::Timestamp),
    Some(Field::Open),
    Some(Field::High),
    Some(Field::Low),
    Some(Field::Close),
    Some(Field::Volume),
    Some(Field::CloseTime),
    Some(Field::QuoteVolume),
    Some(Field::Count),
    Some(Field::TakerBuyVolume),
    None,
    None,
];
const TRADES: [Option<Field>; 7] = [
    Some(Field::TradeId),
    Some(Field::Price),
    Some(Field::Size),
    None,
    Some(Field::Timestamp),
    Some(Field::BuyerMaker),
    None,
];
const AGG_TRADES: [Option<Field>; 8] = [
    Some(Field::TradeId),
    Some(Field::Price),
    Some(Field::Size),
    None,
    None,
    Some(Field::Timestamp),
    Some(Field::BuyerMaker),
    None,
];

/// What the lines are and what their columns mean, if the first of them looks like one of an archive.
pub(super) fn columns(line: &[u8]) -> Option<(Format, Box<[Option<Field>]>)> {
    let (mut cells, mut count) = ([&b""[..]; COLUMNS_MAX], 0);
    let mut rest = Some(line.strip_suffix(b"\r").unwrap_or(line));
    while let Some(text) = rest {
        let (cell, after) = cell(text, b',')?;
        *cells.get_mut(count)? = cell;
        (count, rest) = (count + 1, after);
    }
    let is_stamp = |at: usize| stamp::unit(cells[at]).is_some();
    let is_flag = |at: usize| cells[at].eq_ignore_ascii_case(b"true") || cells[at].eq_ignore_ascii_case(b"false");
    let are_numbers = |from: usize, to: usize| cells[from..=to].iter().all(|cell| is_number(cell));
    match count {
        12 if is_stamp(0) && is_stamp(6) && are_numbers(1, 5) && are_numbers(7, 10) => {
            Some((Format::Candle, Box::new(KLINES)))
        }
        6 | 7 if is_flag(5) && is_stamp(4) && are_numbers(1, 3) => Some((Format::Tick, TRADES[..count].into())),
        7 | 8 if is_flag(6) && is_stamp(5) && are_numbers(1, 2) => Some((Format::Tick, AGG_TRADES[..count].into())),
        _ => None,
    }
}

/// Whether a cell is a number of any size: whether it is in range is asked of each record.
pub(super) fn is_number(cell: &[u8]) -> bool {
    std::str::from_utf8(cell).is_ok_and(|text| text.parse::<f64>().is_ok_and(f64::is_finite))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_lines_of_archives_are_told_apart() {
        let seen = |line: &str| columns(line.as_bytes()).map(|(format, slots)| (format, slots.len()));
        let kline =
            "1617321600000,58720.45,58840.43,58700.01,58801.2,31.5,1617321659999,1852237.8,913,17.2,1011383.4,0";
        for (line, expected) in [
            (kline, Some((Format::Candle, 12))),
            (&kline.replace("0000,", "0000000,").replace("9999,", "9999999,"), Some((Format::Candle, 12))),
            ("4665846,65083.7,0.25,16270.925,1617321600123,True,True\r", Some((Format::Tick, 7))),
            ("4665846,65083.7,0.25,16270.925,1617321600123,false", Some((Format::Tick, 6))),
            ("4665846,65083.7,0.25,5665846,5665847,1617321600123,True,True", Some((Format::Tick, 8))),
            ("4665846,65083.7,0.25,5665846,5665847,1617321600123,true", Some((Format::Tick, 7))),
            ("open_time,open,high,low,close,volume,close_time,quote_volume,count,a,b,ignore", None),
            ("1617321600000,58720.45,58840.43,58700.01,58801.2,31.5", None),
            ("1617321600,58720.45,58840.43", None),
            ("4665846,65083.7,0.25,16270.925,soon,True,True", None),
            ("1,2,3,4,5,6,7,8,9,10,11,12,13", None),
            ("\"1", None),
            ("", None),
        ] {
            assert_eq!(seen(line), expected, "{line}");
        }
    }
}
