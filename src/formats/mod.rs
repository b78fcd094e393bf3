//! Bytes to observations. One file per format; [`Decoder`] picks the one that fits each message.
//!
//! A record is read in one pass that borrows: its fields stay text (`fields`), and prices and sizes become integers
//! from their digits, never through a float. Nothing is allocated for a tick. `json` and `csv` find the fields,
//! [`tick`], [`candle`] and [`messari`] say what they mean.
//!
//! What cannot be used is a [`DecodeError`] with a reason out of [`REASONS`]; what is well-formed but has no price is
//! [`Decoded::Ignored`] with a kind out of [`IGNORED`]. There is no third way out.

pub mod candle;
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

pub use csv::HeaderError;
pub use error::{DecodeError, REASONS};

use crate::config::Format;
use crate::market::{Observation, Span, Symbol, SymbolTable};
use fields::{Fields, Names};
use record::JsonRecord;

/// The longest value that is read, in bytes: 16 MiB. A longer one is `too_long`, however it ends.
pub const VALUE_BYTES_MAX: usize = 16 << 20;

/// The kinds of well-formed messages without a price, per format.
pub const IGNORED: [(Format, &[&str]); 1] = [(Format::Messari, &[messari::ERROR_BODY])];

/// Turns one partition's records into observations.
#[derive(Debug, Clone)]
pub struct Decoder {
    shape: Shape,
    /// Stands in for a symbol where neither value nor key has one.
    symbol: Option<Symbol>,
    /// Of candles that do not say.
    interval: Span,
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
        Self { shape: Shape::Json(format), symbol, interval: interval.unwrap_or(candle::INTERVAL_DEFAULT) }
    }

    /// A decoder of the lines of a CSV file with this header.
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
        Ok(Self { shape: Shape::Csv(columns), symbol, interval })
    }

    /// A decoder of documents of the `data` collection, written as JSON; `symbol` stands in where they have none.
    #[must_use]
    pub fn documents(symbol: Option<Symbol>) -> Self {
        Self { shape: Shape::Document, symbol, interval: candle::INTERVAL_DEFAULT }
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
            Shape::Json(format) => decode_json(*format, value, self.interval, &mut names, out),
        }
    }
}

/// What every value must be.
#[inline]
fn check(value: &[u8]) -> Result<(), DecodeError> {
    if value.len() > VALUE_BYTES_MAX {
        return Err(DecodeError::new("too_long", format_args!("the value is longer than {VALUE_BYTES_MAX} bytes")));
    }
    if let Err(error) = std::str::from_utf8(value) {
        return Err(DecodeError::new("not_utf8", format_args!("not UTF-8 at byte {}", error.valid_up_to())));
    }
    if value.trim_ascii_start().is_empty() {
        return Err(DecodeError::new("empty", format_args!("the value is empty")));
    }
    Ok(())
}

fn decode_json(
    format: Format,
    value: &[u8],
    interval: Span,
    names: &mut Names<'_>,
    out: &mut Vec<Observation>,
) -> Result<Decoded, DecodeError> {
    // The seed's documents begin with a plus sign, which is no JSON: allowed for them alone.
    let (plus, text) = match value.trim_ascii_start() {
        [b'+', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let mut record = JsonRecord::default();
    record.read(text)?;
    let format = if format == Format::Auto { record.detect()? } else { format };
    if plus && format != Format::Messari {
        return Err(DecodeError::new("not_json", format_args!("not JSON: it begins with `+`")));
    }
    match format {
        Format::Messari => return messari::observe(&record.fields, &record.payload, names, out),
        Format::Candle => out.push(candle::observe(&record.fields, interval, names)?),
        Format::Tick | Format::Auto => out.push(tick::observe(&record.fields, names)?),
    }
    Ok(Decoded::Used)
}
