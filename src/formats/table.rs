//! Decoders of tables: lines of CSV, arrays with names, rows of Parquet. What they have in common with records of a topic is
//! how a tick or candle is read; a table may besides have rows without a price, and candles without a volume.

use super::csv::Columns;
use super::fields::{Field, Fields, Names as SymbolNames};
use super::header_error::HeaderError;
use super::naming::{Names, Naming};
use super::raw::Raw;
use super::record::JsonRecord;
use super::{DecodeError, Decoded, Decoder, Shape, candle, csv, stamp, tick};
use crate::config::Format;
use crate::market::{Observation, Span, Symbol};

/// The kind of a row without a price.
pub(super) const EMPTY: &str = "empty";

impl Decoder {
    /// A decoder of the lines of a CSV file that begins with this header, or with this record of an archive that has no
    /// header ([`Decoder::is_record`]).
    ///
    /// `symbol` is that of all lines where there is no column for it; `interval` as in [`Decoder::json`].
    ///
    /// # Errors
    /// When the header lacks a column that is needed, or there is no symbol.
    pub fn csv(header: &[u8], symbol: Option<Symbol>, interval: Option<Span>) -> Result<Self, HeaderError> {
        Self::named_csv(header, &Naming::default(), symbol, interval)
    }

    /// As [`Decoder::csv`], with names for the columns of the file.
    ///
    /// # Errors
    /// As [`Decoder::csv`], and when the names do not fit.
    pub fn named_csv(
        header: &[u8],
        naming: &Naming,
        symbol: Option<Symbol>,
        interval: Option<Span>,
    ) -> Result<Self, HeaderError> {
        let columns = Columns::new(header, naming)?;
        Self::of_columns(columns, Shape::Csv, symbol, interval)
    }

    /// A decoder of JSON of which each array is a row: its elements are what a list names. What is no array is read as
    /// [`Decoder::json`] does. None where `naming` is no list.
    ///
    /// # Errors
    /// When there is no symbol.
    pub fn arrays(
        naming: &Naming,
        symbol: Option<Symbol>,
        interval: Option<Span>,
    ) -> Option<Result<Self, HeaderError>> {
        let Names::List(fields) = &naming.0 else { return None };
        Some(Self::of_columns(Columns::of_list(fields), Shape::Arrays, symbol, interval))
    }

    /// A decoder of the rows of a typed table, each written as the JSON object that says the same.
    #[must_use]
    pub fn rows(format: Format, symbol: Option<Symbol>, interval: Option<Span>) -> Self {
        Self::new(Shape::Rows(format), symbol, interval)
    }

    /// What to make of an array whose elements have no names, in a file that begins with it: the decoder where they are those of
    /// Binance's klines or trades; none where it is no row of numbers.
    ///
    /// # Errors
    /// When nobody can say what the elements are.
    pub fn unnamed_array(
        array: &[u8],
        symbol: Option<Symbol>,
        interval: Option<Span>,
    ) -> Option<Result<Self, HeaderError>> {
        let cells = super::arrays::scalars(array)?;
        if let Some((format, slots)) = super::archive::columns(&cells.join(&b","[..])) {
            return Some(Self::of_columns(Columns::of_archive(format, slots), Shape::Arrays, symbol, interval));
        }
        csv::unnamed(&cells)
            .map(|example| Err(HeaderError::Unnamed { found: super::error::shown(array), count: cells.len(), example }))
    }

    fn of_columns(
        columns: Columns,
        shape: fn(Columns) -> Shape,
        symbol: Option<Symbol>,
        interval: Option<Span>,
    ) -> Result<Self, HeaderError> {
        if symbol.is_none() && !columns.has_symbol() {
            return Err(HeaderError::NoSymbol);
        }
        let shape = shape(columns);
        Ok(Self::new(shape, symbol, interval))
    }

    /// Whether the first line of a CSV file, which [`Decoder::csv`] was given, is no header but a record.
    #[must_use]
    pub fn is_record(&self) -> bool {
        matches!(&self.shape, Shape::Csv(columns) if columns.headless)
    }

    /// Whether a line of CSV is a record at first sight. Of the others [`Decoder::after_header`] says more.
    #[inline]
    #[must_use]
    pub fn is_surely_record(&self, line: &[u8]) -> bool {
        match &self.shape {
            Shape::Csv(columns) => columns.is_surely_record(line),
            _ => true,
        }
    }

    /// Where a line of a CSV file is another header: the decoder of the lines behind it. None where it is a record.
    ///
    /// # Errors
    /// When the header has no symbol any more, or is one of other records: candles where there were ticks.
    #[must_use]
    pub fn after_header(&self, line: &[u8], naming: &Naming) -> Option<Result<Self, HeaderError>> {
        let Shape::Csv(columns) = &self.shape else { return None };
        let later = Columns::of_header(line, naming)?;
        if naming.is_list() {
            // The names hold for all lines, also for those that have others above them.
            return Some(Ok(self.clone()));
        }
        if later.format != columns.format {
            return Some(Err(HeaderError::OtherRecords(super::error::shown(line))));
        }
        if self.symbol.is_none() && !later.has_symbol() {
            return Some(Err(HeaderError::NoSymbol));
        }
        Some(Ok(Self { shape: Shape::Csv(later), ..self.clone() }))
    }

    /// Whether this decoder reads the same columns as another one.
    #[must_use]
    pub fn has_columns_of(&self, other: &Self) -> bool {
        match (&self.shape, &other.shape) {
            (Shape::Csv(one), Shape::Csv(other)) => one.slots().eq(other.slots()) && one.delimiter == other.delimiter,
            _ => false,
        }
    }

    /// The unit of the epoch stamp in a line of CSV: seconds, milliseconds, microseconds or nanoseconds. None where the
    /// stamp is none, or RFC 3339.
    #[must_use]
    pub fn stamp_unit(&self, line: &[u8]) -> Option<&'static str> {
        if !matches!(self.shape, Shape::Csv(_)) {
            return None;
        }
        stamp::unit(self.stamp_text(line)?)
    }

    /// The text of the stamp in a row of a table.
    #[must_use]
    pub fn stamp_text<'a>(&self, line: &'a [u8]) -> Option<&'a [u8]> {
        let mut fields = Fields::default();
        match &self.shape {
            Shape::Csv(columns) => columns.split(line, &mut fields).ok()?,
            Shape::Arrays(columns) => super::arrays::split(columns, line, &mut fields).ok()?,
            Shape::Rows(_) => {
                let mut record = JsonRecord::default();
                record.read(line).ok()?;
                fields = record.fields;
            }
            Shape::Json(_) | Shape::Document => return None,
        }
        match fields.get(Field::Timestamp) {
            Raw::Text(text) | Raw::Number(text) => Some(text),
            _ => None,
        }
    }

    /// Whether its records are JSON that a topic can carry as they are.
    #[must_use]
    pub fn is_json(&self) -> bool {
        matches!(self.shape, Shape::Json(_) | Shape::Rows(_) | Shape::Document)
    }
}

/// Appends the observation of a row.
#[inline]
pub(super) fn observe(
    decoder: &Decoder,
    format: Format,
    fields: &Fields<'_>,
    names: &mut SymbolNames<'_>,
    out: &mut Vec<Observation>,
) -> Result<Decoded, DecodeError> {
    if format == Format::Candle {
        if csv::BAR.into_iter().all(|field| fields.get(field).is_absent()) {
            return Ok(Decoded::Ignored(EMPTY));
        }
        out.push(candle::observe_row(fields, decoder.interval, names)?);
    } else {
        if fields.get(Field::Price).is_absent() && fields.get(Field::PriceUsd).is_absent() {
            return Ok(Decoded::Ignored(EMPTY));
        }
        out.push(tick::observe(fields, decoder.with_reported, names)?);
    }
    Ok(Decoded::Used)
}
