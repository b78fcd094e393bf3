//! A record's fields as text, and what is read from them: the same for JSON and CSV.

use super::DecodeError;
use super::error::shown;
use super::json::unescape;
use super::raw::Raw;
use super::stamp;
use crate::market::{Fixed, Side, Symbol, SymbolId, SymbolTable, Timestamp};

/// The fields that ticks and candles have, under all their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Symbol,
    Timestamp,
    Price,
    PriceUsd,
    Size,
    Volume,
    Side,
    Open,
    High,
    Low,
    Close,
    Interval,
    Count,
    Vwap,
    QuoteVolume,
    TakerBuyVolume,
    CloseTime,
    BuyerMaker,
}

/// How many [`Field`]s there are.
const FIELDS: usize = Field::BuyerMaker as usize + 1;

/// One record's fields.
#[derive(Debug, Default)]
pub(super) struct Fields<'a> {
    values: [Raw<'a>; FIELDS],
}

impl<'a> Fields<'a> {
    #[inline]
    pub fn get(&self, field: Field) -> Raw<'a> {
        self.values[field as usize]
    }

    #[inline]
    pub fn set(&mut self, field: Field, value: Raw<'a>) {
        self.values[field as usize] = value;
    }

    /// Whether the record has it, be it `null`.
    pub fn has(&self, field: Field) -> bool {
        !matches!(self.get(field), Raw::Absent)
    }
}

const NUMBER: &str = "a decimal number";

/// A number from its text.
#[inline]
pub(super) fn number(name: &'static str, raw: Raw<'_>) -> Result<Fixed, DecodeError> {
    let text = raw.text(name, NUMBER)?;
    Fixed::parse(text).map_err(|error| DecodeError::wrong_value(name, text, error))
}

/// A price: above 0, also after rounding.
#[inline]
pub(super) fn price(name: &'static str, raw: Raw<'_>) -> Result<Fixed, DecodeError> {
    let value = number(name, raw)?;
    if value > Fixed::ZERO {
        return Ok(value);
    }
    let text = raw.text(name, NUMBER)?;
    Err(DecodeError::wrong_value(name, text, "not positive with eight decimal places"))
}

/// A size or volume: 0 or more.
#[inline]
pub(super) fn size(name: &'static str, raw: Raw<'_>) -> Result<Fixed, DecodeError> {
    let value = number(name, raw)?;
    if value >= Fixed::ZERO {
        return Ok(value);
    }
    let text = raw.text(name, NUMBER)?;
    Err(DecodeError::wrong_value(name, text, "negative"))
}

/// A stamp between 2000 and 2099.
#[inline]
pub(super) fn timestamp(name: &'static str, raw: Raw<'_>) -> Result<Timestamp, DecodeError> {
    let text = raw.text(name, "RFC 3339, or epoch s, ms, us or ns")?;
    stamp::parse(text).map_err(|error| DecodeError::wrong(name, format_args!("`{}` {error}", shown(text))))
}

/// A side, where there is one.
#[inline]
pub(super) fn side(raw: Raw<'_>) -> Result<Option<Side>, DecodeError> {
    const EXPECTED: &str = "neither `buy` nor `sell`";
    match raw {
        Raw::Absent | Raw::Null => Ok(None),
        Raw::Text(text) if text.eq_ignore_ascii_case(b"buy") => Ok(Some(Side::Buy)),
        Raw::Text(text) if text.eq_ignore_ascii_case(b"sell") => Ok(Some(Side::Sell)),
        Raw::Text(text) | Raw::Escaped(text) | Raw::Number(text) => {
            Err(DecodeError::wrong_value("side", text, EXPECTED))
        }
        Raw::Bool(_) | Raw::Object(_) | Raw::Array(_) => {
            Err(DecodeError::wrong("side", format_args!("is {}: {EXPECTED}", raw.kind())))
        }
    }
}

/// The taker's side, from whether the buyer's order was the resting one, where that is said.
#[inline]
pub(super) fn taker(name: &'static str, buyer_is_maker: Raw<'_>) -> Result<Option<Side>, DecodeError> {
    let buyer_is_maker = match buyer_is_maker {
        Raw::Absent | Raw::Null => return Ok(None),
        Raw::Bool(is) => is,
        Raw::Text(text) if text.eq_ignore_ascii_case(b"true") => true,
        Raw::Text(text) if text.eq_ignore_ascii_case(b"false") => false,
        raw => {
            let text = raw.text(name, "true or false")?;
            return Err(DecodeError::wrong_value(name, text, "neither true nor false"));
        }
    };
    Ok(Some(if buyer_is_maker { Side::Sell } else { Side::Buy }))
}

/// What stands in for a symbol that the value lacks, and the table that numbers symbols.
pub(super) struct Names<'c> {
    pub key: Option<&'c [u8]>,
    pub fallback: Option<&'c Symbol>,
    pub symbols: &'c mut SymbolTable,
}

impl Names<'_> {
    /// The number of the value's symbol; where the value has none, of the key, else of the configured one.
    ///
    /// Asked last, so that a record that fails otherwise leaves nothing in the table.
    #[inline]
    pub fn resolve(&mut self, name: &'static str, raw: Raw<'_>) -> Result<SymbolId, DecodeError> {
        if let Raw::Text(text) = raw
            && let Some(last) = self.symbols.last_if(text)
        {
            return Ok(last);
        }
        match raw {
            // Values are checked to be UTF-8 as a whole.
            Raw::Text(text) => self.intern(name, std::str::from_utf8(text).unwrap_or_default()),
            Raw::Escaped(quoted) => match unescape(quoted) {
                Some(text) => self.intern(name, &text),
                None => Err(DecodeError::wrong(name, format_args!("holds half of a surrogate pair"))),
            },
            Raw::Number(_) => Err(DecodeError::wrong(name, format_args!("is a number; it must be a string"))),
            Raw::Bool(_) | Raw::Object(_) | Raw::Array(_) => {
                Err(DecodeError::wrong(name, format_args!("is {}; it must be a string", raw.kind())))
            }
            Raw::Absent | Raw::Null => self.stand_in(name),
        }
    }

    fn stand_in(&mut self, name: &'static str) -> Result<SymbolId, DecodeError> {
        if let Some(key) = self.key {
            let text = std::str::from_utf8(key).map_err(|_| {
                DecodeError::new("wrong_key", format_args!("{name} is missing, and the key is not UTF-8"))
            })?;
            let interned = self.symbols.intern(text);
            return interned
                .map_err(|why| DecodeError::new("wrong_key", format_args!("{name} is missing, and the key {why}")));
        }
        match self.fallback {
            Some(symbol) => self.intern(name, symbol.as_str()),
            None => Err(DecodeError::new(
                "missing_field",
                format_args!("{name} is missing, and there is neither a key nor a configured symbol"),
            )),
        }
    }

    #[inline]
    fn intern(&mut self, name: &'static str, symbol: &str) -> Result<SymbolId, DecodeError> {
        self.symbols
            .intern(symbol)
            .map_err(|why| DecodeError::wrong(name, format_args!("`{}` {why}", shown(symbol.as_bytes()))))
    }
}
