//! Bytes to observations. One file per format; [`Decoder`] picks the one that fits each message.
//!
//! A record is read in one pass that borrows: its fields stay text (`fields`), and prices and sizes become integers
//! from their digits, never through a float. Nothing is allocated for a tick. `json` and `csv` find the fields,
//! [`tick`], [`candle`], [`messari`] and [`trade`] say what they mean.
//!
//! What cannot be used is a [`DecodeError`] with a reason out of [`REASONS`]; what is well-formed but has no price is
//! [`Decoded::Ignored`] with a kind out of [`IGNORED`]. There is no third way out.

mod archive;
pub mod candle;
mod cell;
pub mod columns;
pub mod csv;
pub mod document;
mod error;
mod fields;
mod json;
pub mod messari;
mod raw;
mod record;
mod stamp;
pub mod tick;
pub mod trade;

pub use csv::HeaderError;
pub use error::{DecodeError, REASONS};

use crate::config::Format;
use crate::market::{Observation, Span, Symbol, SymbolTable};
use fields::{Field, Fields, Names};
use json::Cursor;
use raw::Raw;
use record::{JsonRecord, Kind};
use trade::{Sink, Wanted};

/// The longest value that is read, in bytes: 16 MiB. A longer one is `too_long`, however it ends.
pub const VALUE_BYTES_MAX: usize = 16 << 20;

/// The kinds of well-formed messages without a price, per format.
pub const IGNORED: [(Format, &[&str]); 6] = [
    (Format::Messari, &[messari::ERROR_BODY]),
    (Format::Candle, &[candle::UNCLOSED, candle::TRADE]),
    (Format::Trade, trade::binance::IGNORED),
    (Format::Trade, trade::coinbase::IGNORED),
    (Format::Trade, trade::kraken::IGNORED),
    (Format::Trade, &[trade::NO_TRADE]),
];

/// Turns one partition's records into observations.
#[derive(Debug, Clone)]
pub struct Decoder {
    shape: Shape,
    /// Stands in for a symbol where neither value nor key has one.
    symbol: Option<Symbol>,
    /// Of candles that do not say.
    interval: Span,
    /// Whether what a record reports beside its price is wanted.
    with_reported: bool,
}

#[derive(Debug, Clone)]
enum Shape {
    Json(Format),
    Csv(csv::Columns),
    Document,
}

/// What a record that decodes says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decoded {
    /// At least one observation was appended.
    Used,
    /// As [`Decoded::Used`], but the message holds trades that cannot be used: why the first of them, one of [`REASONS`].
    Partly(&'static str),
    /// Well-formed, but without a price; the kind, one of [`IGNORED`], is counted.
    Ignored(&'static str),
}

impl Decoder {
    /// A decoder of JSON objects: Kafka values, or the lines of a file.
    ///
    /// `symbol` stands in where neither the value nor the key has one; `interval` is that of candles that do not say, by
    /// default one minute.
    #[must_use]
    pub fn json(format: Format, symbol: Option<Symbol>, interval: Option<Span>) -> Self {
        let interval = interval.unwrap_or(candle::INTERVAL_DEFAULT);
        Self { shape: Shape::Json(format), symbol, interval, with_reported: true }
    }

    /// A decoder of the lines of a CSV file that begins with this header, or with this record of an archive that has no
    /// header ([`Decoder::is_record`]).
    ///
    /// `symbol` is that of all lines where there is no column for it; `interval` as in [`Decoder::json`].
    ///
    /// # Errors
    /// When the header lacks a column that is needed, or there is no symbol.
    pub fn csv(header: &[u8], symbol: Option<Symbol>, interval: Option<Span>) -> Result<Self, HeaderError> {
        let columns = csv::Columns::new(header)?;
        if symbol.is_none() && !columns.has_symbol() {
            return Err(HeaderError::NoSymbol);
        }
        let interval = interval.unwrap_or(candle::INTERVAL_DEFAULT);
        Ok(Self { shape: Shape::Csv(columns), symbol, interval, with_reported: true })
    }

    /// Whether what a record reports beside its price ([`Observation::reported`]) is wanted, as it is at first: where it
    /// is not, its numbers need not be read.
    #[must_use]
    pub fn with_reported(self, with_reported: bool) -> Self {
        Self { with_reported, ..self }
    }

    /// A decoder of documents of the `data` collection, written as JSON; `symbol` stands in where they have none.
    #[must_use]
    pub fn documents(symbol: Option<Symbol>) -> Self {
        Self { shape: Shape::Document, symbol, interval: candle::INTERVAL_DEFAULT, with_reported: true }
    }

    /// What it reads: of JSON as configured, of CSV as the header says.
    #[must_use]
    pub fn format(&self) -> Format {
        match &self.shape {
            Shape::Json(format) => *format,
            Shape::Csv(columns) => columns.format,
            Shape::Document => Format::Tick,
        }
    }

    /// Whether the first line of a CSV file, which [`Decoder::csv`] was given, is no header but a record.
    #[must_use]
    pub fn is_record(&self) -> bool {
        matches!(&self.shape, Shape::Csv(columns) if columns.headless)
    }

    /// The unit of the epoch stamp in a line of CSV: seconds, milliseconds, microseconds or nanoseconds. None where the
    /// stamp is none, or RFC 3339.
    #[must_use]
    pub fn stamp_unit(&self, line: &[u8]) -> Option<&'static str> {
        let Shape::Csv(columns) = &self.shape else { return None };
        let mut fields = Fields::default();
        columns.split(line, &mut fields).ok()?;
        match fields.get(Field::Timestamp) {
            Raw::Text(text) => stamp::unit(text),
            _ => None,
        }
    }

    /// Appends the observations of one record to `out`.
    ///
    /// # Errors
    /// When the record cannot be used; `out` is as it was then.
    pub fn decode(
        &mut self,
        key: Option<&[u8]>,
        value: &[u8],
        symbols: &mut SymbolTable,
        out: &mut Vec<Observation>,
    ) -> Result<Decoded, DecodeError> {
        check(value)?;
        let mut names = Names { key, fallback: self.symbol.as_ref(), symbols };
        match &self.shape {
            Shape::Csv(columns) => {
                check_utf8(value)?;
                let mut fields = Fields::default();
                columns.split(value, &mut fields)?;
                out.push(match columns.format {
                    Format::Candle => candle::observe(&fields, self.interval, &mut names)?,
                    _ => tick::observe(&fields, &mut names)?,
                });
                Ok(Decoded::Used)
            }
            Shape::Document => {
                out.push(document::observe(value, &mut names)?);
                Ok(Decoded::Used)
            }
            Shape::Json(format) => decode_json(*format, value, self.interval, self.with_reported, &mut names, out),
        }
    }
}

/// What every value must be.
#[inline]
fn check(value: &[u8]) -> Result<(), DecodeError> {
    if value.len() > VALUE_BYTES_MAX {
        return Err(DecodeError::new("too_long", format_args!("the value is longer than {VALUE_BYTES_MAX} bytes")));
    }
    if value.trim_ascii_start().is_empty() {
        return Err(DecodeError::new("empty", format_args!("the value is empty")));
    }
    Ok(())
}

fn check_utf8(value: &[u8]) -> Result<(), DecodeError> {
    match std::str::from_utf8(value) {
        Ok(_) => Ok(()),
        Err(error) => Err(DecodeError::new("not_utf8", format_args!("not UTF-8 at byte {}", error.valid_up_to()))),
    }
}

fn decode_json(
    format: Format,
    value: &[u8],
    interval: Span,
    with_reported: bool,
    names: &mut Names<'_>,
    out: &mut Vec<Observation>,
) -> Result<Decoded, DecodeError> {
    // The seed's documents begin with a plus sign, which is no JSON: allowed for them alone.
    let (plus, text) = match value.trim_ascii_start() {
        [b'+', rest @ ..] => (true, rest),
        [b'[', ..] if matches!(format, Format::Auto | Format::Trade | Format::Candle) => {
            return decode_array(format, value, interval, names, out);
        }
        rest => (false, rest),
    };
    let mut record = JsonRecord::default();
    let read = record.read(text);
    if read != Ok(true) {
        // What is not UTF-8 is that first, also where it is no JSON either.
        check_utf8(value)?;
    }
    read?;
    let kind = match format {
        Format::Auto => record.detect()?,
        Format::Tick => Kind::Tick,
        Format::Messari => Kind::Messari,
        Format::Candle if record.is_bar() => Kind::Candle,
        Format::Candle => record.venue().map_or(Kind::Candle, Kind::Venue),
        Format::Trade => Kind::Venue(record.venue().ok_or_else(|| {
            error::unknown(format_args!("the object is no message of an exchange, and source.format is trade"))
        })?),
    };
    if plus && kind != Kind::Messari {
        return Err(DecodeError::new("not_json", format_args!("not JSON: it begins with `+`")));
    }
    match kind {
        Kind::Messari => return messari::observe(&record.fields, &record.payload, with_reported, names, out),
        Kind::Candle => out.push(candle::observe(&record.fields, interval, names)?),
        Kind::Tick => out.push(tick::observe(&record.fields, names)?),
        Kind::Venue(venue) => {
            let mut sink = Sink { wanted: wanted(format), interval, names, out };
            return record.observe_message(venue, &mut sink);
        }
    }
    Ok(Decoded::Used)
}

/// A message that is an array.
fn decode_array(
    format: Format,
    value: &[u8],
    interval: Span,
    names: &mut Names<'_>,
    out: &mut Vec<Observation>,
) -> Result<Decoded, DecodeError> {
    check_utf8(value)?;
    let mut cursor = Cursor::new(value);
    cursor.space();
    let value = cursor.value()?;
    cursor.end()?;
    let Raw::Array(text) = value else {
        return Err(error::unknown(format_args!("the value is {}", value.kind())));
    };
    trade::observe_array(text, &mut Sink { wanted: wanted(format), interval, names, out })
}

/// What of an exchange's messages a configured format wants.
fn wanted(format: Format) -> Wanted {
    match format {
        Format::Trade => Wanted::Trades,
        Format::Candle => Wanted::Candles,
        Format::Auto | Format::Tick | Format::Messari => Wanted::Both,
    }
}
