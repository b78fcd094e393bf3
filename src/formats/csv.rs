//! CSV: ticks or candles, columns by their header in any order.
//!
//! | field | names, the first that is there counts |
//! |---|---|
//! | symbol | `symbol`, `pair`, `ticker` |
//! | timestamp | `timestamp`, `ts`, `ts_ms`, `time`, `date`, `open_time`, `transact_time` |
//! | price | `price`, `price_usd` |
//! | size, volume | `size`, `volume`, `amount`, `qty`, `quantity` |
//! | side | `side`; or `is_buyer_maker`, which says it the other way round |
//! | id of the trade | `trade_id`, `tid`, `trdMatchID`, `agg_trade_id`, and in some files `id` (see `ids`); `exchange` |
//! | candles | `open`, `high`, `low`, `close`; `interval` or `close_time`; `vwap`; `count`, `trades`, `number_of_trades`; `quote_volume`, `quote_asset_volume`; `taker_buy_volume`, `taker_buy_base_volume`, `taker_buy_base_asset_volume` |
//!
//! Upper and lower case are the same; other columns are passed over. With all of open, high, low and close the lines are
//! candles, else ticks. Binance's archives need no header (`archive`). Cells may be quoted, lines may end with CR LF, an empty cell is an absent value (but an
//! empty symbol is wrong).
//!
//! ```
//! use tickcast::formats::Decoder;
//! use tickcast::market::{Symbol, SymbolTable};
//!
//! let (mut symbols, mut out) = (SymbolTable::default(), Vec::new());
//! let mut decoder = Decoder::csv(b"ts_ms,price,size,side", Some(Symbol::new("XBTUSD").unwrap()), None).unwrap();
//! decoder.decode(None, b"1514764802610,13873.0,10,buy", &mut symbols, &mut out).unwrap();
//! assert_eq!(out[0].quote.price().to_string(), "13873");
//! assert!(Decoder::csv(b"when,what", None, None).unwrap_err().to_string().contains("timestamp"));
//! ```

use super::cell::cell;
use super::error::shown;
use super::fields::{Field, Fields};
use super::raw::Raw;
use super::{DecodeError, archive, ids};
use crate::config::Format;
use crate::market::IdSpace;

/// The most columns of a file.
const COLUMNS_MAX: usize = 1024;

/// Why a first line is no header that can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// Not UTF-8, or a quote is not closed.
    #[error("the first line is no CSV header: it must be UTF-8 text with closed quotes")]
    Unreadable,
    /// More than 1,024.
    #[error("the header has more than 1,024 columns")]
    TooMany,
    /// The same name twice.
    #[error("the header has the column `{0}` twice")]
    Twice(String),
    /// A column that is needed.
    #[error(
        "the header `{found}` has no column for the {field} ({names}); CSV files need a header as their first line, unless they are klines, trades or aggTrades of Binance's archives"
    )]
    Missing {
        /// Which field.
        field: &'static str,
        /// How it may be called.
        names: String,
        /// The header.
        found: String,
    },
    /// No column, and nothing configured.
    #[error("there is no column symbol, pair or ticker: set source.files.symbol")]
    NoSymbol,
}

/// Where a file's columns go.
#[derive(Clone, Debug)]
pub(super) struct Columns {
    slots: Box<[Option<Field>]>,
    /// Whose ids the column of ids has, where there is one.
    pub ids: IdSpace,
    /// Candles or ticks.
    pub format: Format,
    /// Whether the file has no header: its first line is a record.
    pub headless: bool,
}

const SYMBOL: &[&str] = &["symbol", "pair", "ticker"];
const TIMESTAMP: &[&str] = &["timestamp", "ts", "ts_ms", "time", "date", "open_time", "transact_time"];
const PRICE: &[&str] = &["price", "price_usd"];
const SIZE: &[&str] = &["size", "volume", "amount", "qty", "quantity"];
/// Of candles, the name that the contract gives comes first.
const VOLUME: &[&str] = &["volume", "size", "amount", "qty", "quantity"];
/// What candles may have besides.
const MORE: [(Field, &[&str]); 6] = [
    (Field::Interval, &["interval"]),
    (Field::CloseTime, &["close_time"]),
    (Field::Count, &["count", "trades", "number_of_trades"]),
    (Field::Vwap, &["vwap"]),
    (Field::QuoteVolume, &["quote_volume", "quote_asset_volume"]),
    (Field::TakerBuyVolume, &["taker_buy_volume", "taker_buy_base_volume", "taker_buy_base_asset_volume"]),
];
const BARS: [(Field, &[&str]); 4] =
    [(Field::Open, &["open"]), (Field::High, &["high"]), (Field::Low, &["low"]), (Field::Close, &["close"])];

impl Columns {
    /// Reads a first line: a header, or a record of an archive that has none.
    ///
    /// # Errors
    /// When it lacks a column, or has one twice. A missing symbol is left to the caller.
    pub fn new(header: &[u8]) -> Result<Self, HeaderError> {
        let header = header.strip_prefix(b"\xef\xbb\xbf").unwrap_or(header);
        if let Some((format, slots)) = archive::columns(header) {
            return Ok(Self { ids: ids::of_archive(&slots), slots, format, headless: true });
        }
        let names = names(header)?;
        let find = |wanted: &[&str]| wanted.iter().find_map(|name| names.iter().position(|found| found == name));
        let is_candle = BARS.iter().all(|(_, wanted)| find(wanted).is_some());
        let mut columns = Self {
            slots: vec![None; names.len()].into_boxed_slice(),
            ids: IdSpace::Plain,
            format: if is_candle { Format::Candle } else { Format::Tick },
            headless: false,
        };
        let mut place = |field, wanted, needed: Option<&'static str>| match (find(wanted), needed) {
            (Some(at), _) => {
                columns.slots[at] = Some(field);
                Ok(())
            }
            (None, None) => Ok(()),
            (None, Some(field)) => Err(HeaderError::Missing { field, names: wanted.join(", "), found: shown(header) }),
        };
        place(Field::Symbol, SYMBOL, None)?;
        place(Field::Timestamp, TIMESTAMP, Some("timestamp"))?;
        if is_candle {
            for (field, wanted) in BARS {
                place(field, wanted, None)?;
            }
            place(Field::Volume, VOLUME, Some("volume"))?;
            for (field, wanted) in MORE {
                place(field, wanted, None)?;
            }
        } else {
            place(Field::Price, PRICE, Some("price"))?;
            place(Field::Size, SIZE, None)?;
            place(Field::Side, &["side"], None)?;
            place(Field::BuyerMaker, &["is_buyer_maker"], None)?;
            if let Some((at, ids)) = ids::column(&names) {
                (columns.slots[at], columns.ids) = (Some(Field::TradeId), ids);
            }
            if let Some(at) = ids::exchange(&names) {
                columns.slots[at] = Some(Field::Exchange);
            }
        }
        Ok(columns)
    }

    /// The field of each column.
    pub fn slots(&self) -> impl Iterator<Item = Option<Field>> {
        self.slots.iter().copied()
    }

    /// Whether there is a column for the symbol.
    pub fn has_symbol(&self) -> bool {
        self.slots.contains(&Some(Field::Symbol))
    }

    /// Takes a line apart, without its line feed.
    #[inline]
    pub fn split<'a>(&self, line: &'a [u8], record: &mut Fields<'a>) -> Result<(), DecodeError> {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        record.ids = self.ids;
        let mut rest = Some(line);
        for slot in &self.slots {
            let Some(text) = rest else { return Err(self.wrong_count(line)) };
            let (cell, after) =
                cell(text).ok_or_else(|| DecodeError::new("wrong_columns", format_args!("a quote is not closed")))?;
            if let Some(field) = *slot {
                let absent = cell.is_empty() && field != Field::Symbol;
                record.set(field, if absent { Raw::Absent } else { Raw::Text(cell) });
            }
            rest = after;
        }
        if rest.is_some() { Err(self.wrong_count(line)) } else { Ok(()) }
    }

    #[cold]
    fn wrong_count(&self, line: &[u8]) -> DecodeError {
        let (mut count, mut rest) = (0_usize, Some(line));
        while let Some((_, after)) = rest.and_then(cell) {
            count += 1;
            rest = after;
        }
        let expected = self.slots.len();
        DecodeError::new("wrong_columns", format_args!("the line has {count} fields, its header {expected}"))
    }
}

/// The names of a header's columns, in lower case.
fn names(header: &[u8]) -> Result<Vec<String>, HeaderError> {
    let header = header.strip_suffix(b"\r").unwrap_or(header);
    let mut names: Vec<String> = Vec::new();
    let mut rest = Some(header);
    while let Some(text) = rest {
        let (cell, after) = cell(text).ok_or(HeaderError::Unreadable)?;
        let name = std::str::from_utf8(cell).map_err(|_| HeaderError::Unreadable)?.to_ascii_lowercase();
        if !name.is_empty() && names.contains(&name) {
            return Err(HeaderError::Twice(name));
        }
        if names.len() == COLUMNS_MAX {
            return Err(HeaderError::TooMany);
        }
        names.push(name);
        rest = after;
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(header: &str, line: &str) -> Result<Vec<String>, &'static str> {
        let columns = Columns::new(header.as_bytes()).unwrap();
        let mut fields = Fields::default();
        columns.split(line.as_bytes(), &mut fields).map_err(|e| e.reason)?;
        let show = |field| match fields.get(field) {
            Raw::Text(text) => String::from_utf8_lossy(text).into_owned(),
            other => format!("{other:?}"),
        };
        Ok([Field::Symbol, Field::Timestamp, Field::Price, Field::Size].map(show).to_vec())
    }

    #[test]
    fn finds_columns_in_any_order_and_case() {
        for (header, line) in [
            ("symbol,timestamp,price,size", "BTC,1,2,3"),
            ("Volume,PRICE_USD,Pair,Date\r", "3,2,BTC,1\r"),
            ("\u{feff}\"ticker\", \"ts_ms\",price , qty,note", "\"BTC\", \"1\" ,2 , 3,\"a, \"\"b\"\"\""),
            ("time,price,amount,ticker,date", "1,2,3,BTC,9"),
        ] {
            assert_eq!(split(header, line).unwrap(), ["BTC", "1", "2", "3"], "{header}");
        }
        assert_eq!(split("symbol,ts,price,size", ",,,").unwrap(), ["", "Absent", "Absent", "Absent"]);
    }

    #[test]
    fn a_line_needs_as_many_fields_as_the_header() {
        for line in ["", "1", "1,2,3", "1,2,3,4,5", "1,2,3,\"4", "1,2,\"3\"x,4"] {
            assert_eq!(split("symbol,ts,price,size", line), Err("wrong_columns"), "{line}");
        }
    }

    #[test]
    fn headers_that_cannot_be_used_say_why() {
        let error = |header: &str| Columns::new(header.as_bytes()).unwrap_err().to_string();
        assert!(error("1617321600,58720.45,58840.43").contains("timestamp, ts, ts_ms, time, date"));
        assert!(error("ts,size").contains("price, price_usd"));
        assert!(error("ts,open,high,low,close").contains("volume"));
        assert!(error("ts,price,Price").contains("`price` twice"));
        assert!(error("\"ts,price").contains("quotes"));
    }
}
