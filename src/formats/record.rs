//! One pass over a JSON record: the fields of every format, and which format they are.

use super::DecodeError;
use super::fields::{Field, Fields};
use super::json::{Cursor, Syntax};
use super::messari::{Data, Payload, Status};
use super::raw::Raw;
use crate::config::Format;

/// Everything that a format may ask of a JSON record.
#[derive(Debug, Default)]
pub(super) struct JsonRecord<'a> {
    pub fields: Fields<'a>,
    pub payload: Payload<'a>,
}

impl<'a> JsonRecord<'a> {
    /// Reads an object.
    #[inline]
    pub fn read(&mut self, text: &'a [u8]) -> Result<(), DecodeError> {
        let mut cursor = Cursor::new(text);
        cursor.space();
        if !cursor.take(b'{') {
            return Err(not_an_object(cursor));
        }
        cursor.object(|cursor, key| self.field(cursor, key)).and_then(|()| cursor.end()).map_err(DecodeError::from)
    }

    #[inline(always)]
    fn field(&mut self, cursor: &mut Cursor<'a>, key: &[u8]) -> Result<(), Syntax> {
        let field = match key {
            b"symbol" => Field::Symbol,
            b"timestamp" => Field::Timestamp,
            b"price" => Field::Price,
            b"price_usd" => Field::PriceUsd,
            b"size" => Field::Size,
            b"volume" => Field::Volume,
            b"side" => Field::Side,
            b"open" => Field::Open,
            b"high" => Field::High,
            b"low" => Field::Low,
            b"close" => Field::Close,
            b"interval" => Field::Interval,
            b"count" | b"trades" => Field::Count,
            b"vwap" => Field::Vwap,
            b"status" => {
                self.payload.status = Status::read(cursor)?;
                return Ok(());
            }
            b"data" => {
                self.payload.data = Data::read(cursor)?;
                return Ok(());
            }
            _ => return cursor.value().map(drop),
        };
        // Of a key that comes twice, the last one counts.
        self.fields.set(field, cursor.value()?);
        Ok(())
    }

    /// The format that the keys say.
    ///
    /// # Errors
    /// When they say none.
    #[inline]
    pub fn detect(&self) -> Result<Format, DecodeError> {
        let has = |field| self.fields.has(field);
        let bars = [Field::Open, Field::High, Field::Low, Field::Close];
        if bars.into_iter().all(has) {
            return Ok(Format::Candle);
        }
        if has(Field::Price) || has(Field::PriceUsd) {
            return Ok(Format::Tick);
        }
        if bars.into_iter().any(has) {
            return Ok(Format::Candle);
        }
        if self.payload.is_likely() {
            return Ok(Format::Messari);
        }
        if has(Field::Timestamp) || has(Field::Symbol) {
            return Ok(Format::Tick);
        }
        Err(unknown(format_args!("the object has none of the keys of a record")))
    }
}

#[cold]
fn not_an_object(mut cursor: Cursor<'_>) -> DecodeError {
    match cursor.value().and_then(|value| cursor.end().map(|()| value)) {
        Err(error) => DecodeError::from(error),
        Ok(Raw::Other(kind)) => unknown(format_args!("the value is {kind}, not an object")),
        Ok(_) => unknown(format_args!("the value is no object")),
    }
}

#[cold]
fn unknown(why: std::fmt::Arguments<'_>) -> DecodeError {
    DecodeError::new(
        "unknown_format",
        format_args!(
            "{why}; understood are tick (symbol, timestamp, price), messari (status, data.market_data) and candle (symbol, timestamp, open, high, low, close, volume)"
        ),
    )
}
