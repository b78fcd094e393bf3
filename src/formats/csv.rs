//! CSV: ticks or candles, columns by their header in any order, between commas, semicolons, tabs or bars (`|`).
//!
//! | field | names, the first that is there counts |
//! |---|---|
//! | symbol | `symbol`, `pair`, `ticker`, `instrument`, … |
//! | timestamp | `timestamp`, `ts`, `ts_ms`, `unix`, `datetime`, `time`, `date`, …; of candles first `open_time` and the like |
//! | price | `price`, `price_usd`, `last`, `rate`, … |
//! | size | `size`, `qty`, `quantity`, `volume`, `amount`, … |
//! | id of the trade | `trade_id`, `tid`, `trdMatchID`, `agg_trade_id`, and in some files `id` (see `ids`); `exchange` |
//! | side | `side`; or `is_buyer_maker`, which says it the other way round |
//! | candles | `open`, `high`, `low`, `close`; `volume`, `base_volume`, `Volume BTC`, …; `interval` or `close_time`; `vwap`; `count`, `trades`, …; `quote_volume`, `Volume USD`, …; `taker_buy_volume`, … |
//!
//! All names are in `header`; upper and lower case, blanks, underscores, hyphens, dots and brackets are the same, other columns
//! are passed over. With all of open, high, low and close the lines are candles, unless there is a price: then they are ticks
//! with statistics beside them. Binance's archives need no header (`archive`), other files without one need [`Naming`]. Cells
//! may be quoted, lines may end with CR LF. An empty cell, `NaN`, `null`, `N/A` or `-` is an absent value (but an empty symbol
//! is wrong); a line without any price is ignored, as `empty`.
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

use super::cell::{cell, cells, is_absent, likely_delimiters, number_trouble};
use super::error::shown;
use super::fields::{Field, Fields};
use super::header_error::HeaderError;
use super::naming::{Names, Naming, name_of};
use super::raw::Raw;
use super::{DecodeError, archive, header, ids, stamp};
use crate::config::Format;
use crate::market::{IdSpace, Zone};

/// The longest header, which as many columns with names of 64 bytes have.
const HEADER_BYTES_MAX: usize = 64 * COLUMNS_MAX;
/// The word of a field that is not to be read.
const PASSED_OVER: &str = "_";
/// The most columns of a file.
const COLUMNS_MAX: usize = 1024;

/// Where a file's columns go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Columns {
    slots: Box<[Option<Field>]>,
    /// Whose ids the column of ids has, where there is one.
    pub ids: IdSpace,
    /// What stands between cells.
    pub delimiter: u8,
    /// Candles or ticks.
    pub format: Format,
    /// Whether the file has no header: its first line is a record.
    pub headless: bool,
}

impl Columns {
    /// Reads a first line: a header, or a record of a file that needs none.
    ///
    /// # Errors
    /// When it lacks a column, or has one twice. A missing symbol is left to the caller.
    pub fn new(line: &[u8], naming: &Naming) -> Result<Self, HeaderError> {
        let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if let Names::List(fields) = &naming.0 {
            return Self::listed(line, fields);
        }
        if let Some((format, slots)) = archive::columns(line) {
            return Ok(Self::of_archive(format, slots));
        }
        let words = match &naming.0 {
            Names::Words(words) => words.as_slice(),
            _ => &[],
        };
        if line.len() > HEADER_BYTES_MAX {
            return Err(HeaderError::NoHeader(shown(line)));
        }
        let mut wrong = None;
        for delimiter in likely_delimiters(line) {
            match Self::header(line, delimiter, words) {
                Ok(columns) => return Ok(columns),
                Err(error) if wrong.as_ref().is_none_or(HeaderError::is_no_header) => wrong = Some(error),
                Err(_) => {}
            }
        }
        let wrong = wrong.unwrap_or_else(|| HeaderError::NoHeader(shown(line)));
        Err(headless(line).filter(|_| wrong.is_no_header()).unwrap_or(wrong))
    }

    /// Reads a line as a header, whatever else it may be; none of one that is none.
    pub fn of_header(line: &[u8], naming: &Naming) -> Option<Self> {
        let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        let words = match &naming.0 {
            Names::Words(words) => words.as_slice(),
            _ => &[],
        };
        if line.len() > HEADER_BYTES_MAX {
            return None;
        }
        // Lines that begin with a word are many in some files: a number among the cells says at once that there is a record.
        let has_number = |delimiter| {
            cells(line, delimiter, COLUMNS_MAX).is_none_or(|cells| cells.iter().any(|cell| archive::is_number(cell)))
        };
        likely_delimiters(line)
            .filter(|delimiter| !has_number(*delimiter))
            .find_map(|delimiter| Self::header(line, delimiter, words).ok())
    }

    /// The columns of a table with these names, typed and with no delimiter between.
    ///
    /// # Errors
    /// As [`Columns::new`].
    pub fn of_names(names: &[&str], naming: &Naming) -> Result<Self, HeaderError> {
        let words = match &naming.0 {
            Names::Words(words) => words.as_slice(),
            _ => &[],
        };
        Self::found(names, &names.join(","), b',', words)
    }

    /// The columns of an archive that needs no names.
    pub fn of_archive(format: Format, slots: Box<[Option<Field>]>) -> Self {
        Self { ids: ids::of_archive(&slots), slots, delimiter: b',', format, headless: true }
    }

    /// The columns of elements that a list names.
    pub fn of_list(fields: &[Option<Field>]) -> Self {
        let is_candle = BAR.into_iter().all(|field| fields.contains(&Some(field)));
        let is_tick = fields.contains(&Some(Field::Price));
        let format = if is_candle && !is_tick { Format::Candle } else { Format::Tick };
        Self { slots: fields.into(), ids: IdSpace::Plain, delimiter: b',', format, headless: true }
    }

    /// A line of as many cells as there are names.
    fn listed(line: &[u8], fields: &[Option<Field>]) -> Result<Self, HeaderError> {
        let count = |delimiter| cells(line, delimiter, COLUMNS_MAX).map_or(0, |cells| cells.len());
        if let Some(delimiter) = likely_delimiters(line).find(|delimiter| count(*delimiter) == fields.len()) {
            return Ok(Self { delimiter, ..Self::of_list(fields) });
        }
        let count = likely_delimiters(line).map(count).max().unwrap_or(0);
        Err(HeaderError::Count { found: shown(line), count, named: fields.len() })
    }

    fn header(line: &[u8], delimiter: u8, words: &[(Field, String)]) -> Result<Self, HeaderError> {
        let unreadable = || HeaderError::Unreadable(shown(line));
        let Some(names) = cells(line, delimiter, COLUMNS_MAX) else {
            let is_long = line.iter().filter(|b| **b == delimiter).count() >= COLUMNS_MAX;
            return Err(if is_long { HeaderError::TooMany } else { unreadable() });
        };
        let names: Result<Vec<&str>, _> = names.into_iter().map(std::str::from_utf8).collect();
        Self::found(&names.map_err(|_| unreadable())?, &shown(line), delimiter, words)
    }

    fn found(names: &[&str], line: &str, delimiter: u8, words: &[(Field, String)]) -> Result<Self, HeaderError> {
        let found = || shown(line.as_bytes());
        let keys: Vec<String> = names.iter().map(|name| header::key(name)).collect();
        let mut given = Vec::new();
        for (field, word) in words {
            // As it is written, else by its letters and digits.
            let exact = names.iter().position(|name| name == word);
            let at = exact.or_else(|| keys.iter().position(|key| !key.is_empty() && *key == header::key(word)));
            if at.is_none() && word != PASSED_OVER {
                let field = name_of(*field);
                // Of a line that is no header at all, that is what there is to say.
                let is_any = header::find(&keys, &[]).is_any();
                return Err(if is_any {
                    HeaderError::NoSuchColumn { found: found(), word: word.clone(), field }
                } else {
                    HeaderError::NoHeader(found())
                });
            }
            given.push((*field, at));
        }
        let search = header::find(&keys, &given);
        if !search.is_any() {
            return Err(HeaderError::NoHeader(found()));
        }
        if search.is_book {
            return Err(HeaderError::OrderBook(found()));
        }
        if let Some(field) = search.missing {
            return Err(HeaderError::Missing { field: name_of(field), names: header::names_of(field), found: found() });
        }
        let mut slots = vec![None; names.len()].into_boxed_slice();
        for (field, at) in search.fields {
            let is_given = given.iter().any(|(named, _)| *named == field);
            if !is_given && keys.iter().filter(|key| **key == keys[at]).count() > 1 {
                return Err(HeaderError::Twice(names[at].to_ascii_lowercase()));
            }
            slots[at] = Some(field);
        }
        Ok(Self { slots, ids: search.ids, delimiter, format: search.format, headless: false })
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
            let (cell, after) = cell(text, self.delimiter)
                .ok_or_else(|| DecodeError::new("wrong_columns", format_args!("a quote is not closed")))?;
            if let Some(field) = *slot {
                // Nearly always a number: one comparison.
                let is_absent = !matches!(cell, [b'0'..=b'9', ..]) && is_absent(cell) && field != Field::Symbol;
                record.set(field, if is_absent { Raw::Absent } else { Raw::Text(cell) });
            }
            rest = after;
        }
        if rest.is_some() { Err(self.wrong_count(line)) } else { Ok(()) }
    }

    /// Whether there is a number where the stamp is: then a line is no header. Quotes are not looked at, since every line is
    /// asked; what that may hide is a header with a delimiter within one of its words, and a digit behind it.
    #[inline]
    pub fn is_surely_record(&self, line: &[u8]) -> bool {
        let mut rest = line;
        for slot in &self.slots {
            if *slot == Some(Field::Timestamp) {
                return matches!(rest, [b'0'..=b'9', ..] | [b'"', b'0'..=b'9', ..]);
            }
            match rest.iter().position(|b| *b == self.delimiter) {
                Some(at) => rest = &rest[at + 1..],
                None => return false,
            }
        }
        false
    }

    /// An error of a line, with what people call the number that is none.
    #[cold]
    pub fn explained(&self, mut error: DecodeError, line: &[u8]) -> DecodeError {
        let cells = cells(line, self.delimiter, COLUMNS_MAX).unwrap_or_default();
        for (slot, cell) in self.slots.iter().zip(cells) {
            if let Some(field) = *slot
                && error.detail.starts_with(&format!("{}:", name_of(field)))
                && let Some(trouble) = number_trouble(cell)
            {
                error.detail = format!("{}; {trouble}", error.detail);
                break;
            }
        }
        error
    }

    #[cold]
    fn wrong_count(&self, line: &[u8]) -> DecodeError {
        let (mut count, mut rest) = (0_usize, Some(line));
        while let Some((_, after)) = rest.and_then(|rest| cell(rest, self.delimiter)) {
            count += 1;
            rest = after;
        }
        let expected = self.slots.len();
        DecodeError::new("wrong_columns", format_args!("the line has {count} fields, its header {expected}"))
    }
}

/// A bar's prices.
pub(super) const BAR: [Field; 4] = [Field::Open, Field::High, Field::Low, Field::Close];

/// What to say of a line that looks like a record.
fn headless(line: &[u8]) -> Option<HeaderError> {
    let split = |delimiter| cells(line, delimiter, COLUMNS_MAX).unwrap_or_default();
    // Of as many columns the earlier delimiter counts.
    let cells = likely_delimiters(line).map(split).reduce(|a, b| if b.len() > a.len() { b } else { a })?;
    let example = unnamed(&cells)?;
    Some(HeaderError::Headless { found: shown(line), count: cells.len(), example })
}

/// For cells of a record, two of which are numbers or stamps: names that they may have, as a list in the configuration.
pub(super) fn unnamed(cells: &[&[u8]]) -> Option<String> {
    /// More names than these are not shown.
    const NAMES_SHOWN_MAX: usize = 12;
    let is_figure = |cell: &&&[u8]| {
        let is_number = archive::is_number(cell) || number_trouble(cell).is_some();
        is_number || (cell.first().is_some_and(u8::is_ascii_digit) && stamp::read(cell, &Zone::default()).is_ok())
    };
    if cells.iter().filter(is_figure).count() < 2 {
        return None;
    }
    let likely: &[&str] = match cells.len() {
        3 => &["timestamp", "price", "size"],
        4 => &["timestamp", "price", "size", "side"],
        5..=7 => &["timestamp", "open", "high", "low", "close", "volume", "count"],
        _ => &["timestamp", "price"],
    };
    let mut names: Vec<String> = likely.iter().take(cells.len()).map(|name| format!("\"{name}\"")).collect();
    names.resize(cells.len().min(NAMES_SHOWN_MAX), "\"_\"".to_owned());
    if cells.len() > NAMES_SHOWN_MAX {
        names.push("…".to_owned());
    }
    Some(names.join(","))
}

#[cfg(test)]
#[path = "csv_tests.rs"]
mod tests;
