//! Bytes to observations. One file per format; [`Decoder`] picks the one that fits each message.
//!
//! A record is read in one pass that borrows: its fields stay text (`fields`), and prices and sizes become integers
//! from their digits, never through a float. Nothing is allocated for a tick. `json` and `csv` find the fields,
//! [`tick`], [`candle`], [`messari`] and [`trade`] say what they mean.
//!
//! What cannot be used is a [`DecodeError`] with a reason out of [`REASONS`]; what is well-formed but has no price is
//! [`Decoded::Ignored`] with a kind out of [`IGNORED`]. There is no third way out.

mod archive;
mod arrays;
pub mod candle;
mod cell;
pub mod columns;
pub mod csv;
pub mod document;
pub mod envelope;
mod error;
mod fields;
mod header;
mod header_error;
mod ids;
mod json;
pub mod messari;
mod naming;
mod raw;
mod record;
mod stamp;
mod table;
pub mod tick;
pub mod trade;
mod written;

pub(crate) use error::shown;
pub use error::{DecodeError, REASONS};
pub use header_error::HeaderError;
pub use naming::Naming;

use crate::config::Format;
use crate::market::{Observation, Span, Symbol, SymbolTable, Zone};
use fields::{Fields, Names};
use record::{JsonRecord, Kind};
use trade::Sink;

/// The longest value that is read, in bytes: 16 MiB. A longer one is `too_long`, however it ends.
pub const VALUE_BYTES_MAX: usize = 16 << 20;

/// The kinds of well-formed messages without a price, per format.
pub const IGNORED: [(Format, &[&str]); 8] = [
    (Format::Tick, &[table::EMPTY]),
    (Format::Auto, &[envelope::TOMBSTONE]),
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
    /// Whether keys are no symbols.
    without_keys: bool,
    /// Of candles that do not say.
    interval: Option<Span>,
    /// Of stamps that name none.
    zone: Zone,
    /// Whether what a record reports beside its price is wanted.
    with_reported: bool,
}

#[derive(Debug, Clone)]
enum Shape {
    Json(Format),
    Csv(csv::Columns),
    /// JSON, of which arrays are rows of these columns.
    Arrays(csv::Columns),
    /// Rows of a typed table, as JSON.
    Rows(Format),
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
    /// `symbol` stands in where neither the value nor the key has one; `interval` is that of candles that do not say, which
    /// without it cannot be used.
    #[must_use]
    pub fn json(format: Format, symbol: Option<Symbol>, interval: Option<Span>) -> Self {
        Self::new(Shape::Json(format), symbol, interval)
    }

    fn new(shape: Shape, symbol: Option<Symbol>, interval: Option<Span>) -> Self {
        Self { shape, symbol, without_keys: false, interval, zone: Zone::default(), with_reported: true }
    }

    /// Reads stamps that name no zone by clocks of this one, at first of UTC.
    #[must_use]
    pub fn with_zone(self, zone: Zone) -> Self {
        Self { zone, ..self }
    }

    /// Takes this for the interval of candles that do not say.
    #[must_use]
    pub fn with_interval(self, interval: Option<Span>) -> Self {
        Self { interval, ..self }
    }

    /// The interval of candles that do not say.
    #[must_use]
    pub fn interval(&self) -> Option<Span> {
        self.interval
    }

    /// Keys are no symbols, but ids: they never stand in for one.
    #[must_use]
    pub fn without_keys(self) -> Self {
        Self { without_keys: true, ..self }
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
        Self::new(Shape::Document, symbol, None)
    }

    /// What it reads: of JSON as configured, of CSV as the header says.
    #[must_use]
    pub fn format(&self) -> Format {
        match &self.shape {
            Shape::Json(format) | Shape::Rows(format) => *format,
            Shape::Csv(columns) | Shape::Arrays(columns) => columns.format,
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
        let key = key.filter(|_| !self.without_keys);
        let mut names = Names { key, fallback: self.symbol.as_ref(), zone: &self.zone, symbols };
        match &self.shape {
            Shape::Csv(columns) => {
                check_utf8(value)?;
                let mut fields = Fields::default();
                columns.split(value, &mut fields)?;
                let seen = table::observe(self, columns.format, &fields, &mut names, out);
                seen.map_err(|error| columns.explained(error, value))
            }
            Shape::Json(format) => self.decode_json(*format, value, &mut names, out),
            Shape::Arrays(_) | Shape::Rows(_) | Shape::Document => self.decode_other(value, &mut names, out),
        }
    }

    #[inline(always)]
    fn decode_json(
        &self,
        format: Format,
        value: &[u8],
        names: &mut Names<'_>,
        out: &mut Vec<Observation>,
    ) -> Result<Decoded, DecodeError> {
        let json = Json { format, interval: self.interval, with_reported: self.with_reported };
        let sink = &mut Sink { json, names, out };
        match value.trim_ascii_start() {
            object @ [b'{' | b'+', ..] => decode_object(object, 0, sink),
            _ => envelope::open(value, 0, sink),
        }
    }

    /// What is neither a line of CSV nor a JSON message: apart, so that those two stay short.
    #[inline(never)]
    fn decode_other(
        &self,
        value: &[u8],
        names: &mut Names<'_>,
        out: &mut Vec<Observation>,
    ) -> Result<Decoded, DecodeError> {
        match &self.shape {
            Shape::Arrays(columns) if value.trim_ascii_start().starts_with(b"[") => {
                check_utf8(value)?;
                let mut fields = Fields::default();
                arrays::split(columns, value, &mut fields)?;
                table::observe(self, columns.format, &fields, names, out)
            }
            Shape::Rows(format) => {
                let mut record = JsonRecord::default();
                let read = record.read(value);
                if read != Ok(true) {
                    check_utf8(value)?;
                }
                read?;
                table::observe(self, *format, &record.fields, names, out)
            }
            Shape::Document => {
                out.push(document::observe(value, names)?);
                Ok(Decoded::Used)
            }
            Shape::Json(_) | Shape::Arrays(_) | Shape::Csv(_) => self.decode_json(Format::Auto, value, names, out),
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

/// How JSON is read.
#[derive(Clone, Copy)]
struct Json {
    format: Format,
    /// Of candles that do not say.
    interval: Option<Span>,
    with_reported: bool,
}

/// Appends the observations of an object; `depth`: how many envelopes it stood in.
fn decode_object(value: &[u8], depth: u8, sink: &mut Sink<'_, '_>) -> Result<Decoded, DecodeError> {
    // The seed's documents begin with a plus sign, which is no JSON: allowed for them alone.
    let (plus, text) = match value {
        [b'+', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let mut record = JsonRecord::default();
    let read = record.read(text);
    if read != Ok(true) {
        // What is not UTF-8 is that first, also where it is no JSON either.
        check_utf8(value)?;
    }
    read?;
    if let Some(content) = record.content() {
        return envelope::open_content(content, depth, sink);
    }
    let json = sink.json;
    let kind = match json.format {
        Format::Auto => record.detect()?,
        Format::Tick => Kind::Tick,
        Format::Messari => Kind::Messari,
        Format::Candle if record.fields.has_bar() => Kind::Candle,
        Format::Candle => record.venue().map_or(Kind::Candle, Kind::Venue),
        Format::Trade => Kind::Venue(record.venue().ok_or_else(|| {
            error::unknown(format_args!("the object is no message of an exchange, and source.format is trade"))
        })?),
    };
    if plus && kind != Kind::Messari {
        return Err(DecodeError::new("not_json", format_args!("not JSON: it begins with `+`")));
    }
    let Sink { names, out, .. } = sink;
    match kind {
        Kind::Messari => return messari::observe(&record.fields, &record.payload, json.with_reported, names, out),
        Kind::Candle => out.push(candle::observe(&record.fields, json.interval, names)?),
        Kind::Tick => out.push(tick::observe(&record.fields, json.with_reported, names)?),
        Kind::Venue(venue) => return record.observe_message(venue, sink),
    }
    Ok(Decoded::Used)
}
