//! A record's fields as text, and what is read from them: the same for JSON and CSV.

use super::DecodeError;
use super::error::shown;
use super::json::unescape;
use super::raw::Raw;
use super::stamp::{self, Stamp};
use crate::market::fixed::parse_volume;
use crate::market::{Fixed, IdSpace, Quote, Side, Symbol, SymbolId, SymbolTable, Timestamp, TradeId, Zone};
use std::borrow::Cow;

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
    TradeId,
    Exchange,
}

/// How many [`Field`]s there are.
const FIELDS: usize = Field::Exchange as usize + 1;

/// One record's fields.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fields<'a> {
    values: [Raw<'a>; FIELDS],
    /// Whose ids [`Field::TradeId`] is one of.
    pub ids: IdSpace,
    /// How well the name of the key fits that gave it.
    id_rank: u8,
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

    /// Whether it has any of a bar's prices.
    #[inline]
    pub fn has_bar(&self) -> bool {
        [Field::Open, Field::High, Field::Low, Field::Close].into_iter().any(|field| self.has(field))
    }

    /// An id of a trade, from a key that fits by so much: of several keys the best counts, wherever it stands.
    #[inline]
    pub fn set_id(&mut self, rank: u8, ids: IdSpace, value: Raw<'a>) {
        if rank >= self.id_rank && !value.is_absent() {
            (self.id_rank, self.ids) = (rank, ids);
            self.set(Field::TradeId, value);
        }
    }

    /// Which trade it is, where that is said.
    #[inline]
    pub fn identity(&self) -> Option<TradeId> {
        match (self.get(Field::TradeId), self.get(Field::Exchange)) {
            (Raw::Absent, _) => None,
            (id, Raw::Text(exchange)) => trade_id(id, |text| TradeId::parse_at(exchange, self.ids, text)),
            (id, _) => trade_id(id, |text| TradeId::parse(self.ids, text)),
        }
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

/// A size or volume up to 1e18, 0 or more, in units of 1e-8.
#[inline]
pub(super) fn volume(name: &'static str, raw: Raw<'_>) -> Result<i128, DecodeError> {
    let text = raw.text(name, NUMBER)?;
    match parse_volume(text) {
        Ok(units) if units >= 0 => Ok(units),
        Ok(_) => Err(DecodeError::wrong_value(name, text, "negative")),
        Err(error) => Err(DecodeError::wrong_value(name, text, error)),
    }
}

/// The same of an optional field: what cannot be read is unknown, and costs nothing.
#[inline]
pub(super) fn known_volume(raw: Raw<'_>) -> Option<i128> {
    let text = match raw {
        Raw::Text(text) | Raw::Number(text) => text,
        Raw::Object(_) => raw.extended().text("", NUMBER).ok()?,
        _ => return None,
    };
    parse_volume(text).ok().filter(|units| *units >= 0)
}

/// A tick of this size, of 0 where it has none. `NaN` is how tables of numbers write that.
#[inline]
pub(super) fn tick(name: &'static str, price: Fixed, size: Raw<'_>, side: Option<Side>) -> Result<Quote, DecodeError> {
    match size {
        Raw::Absent | Raw::Null => return Ok(Quote::Tick { price, size: Fixed::ZERO, side }),
        Raw::Text(text) | Raw::Number(text) => {
            if let Some(size) = Fixed::parse_plain(text) {
                return Ok(Quote::Tick { price, size, side });
            }
        }
        _ => {}
    }
    tick_of_any_size(name, price, size, side)
}

#[inline(never)]
fn tick_of_any_size(name: &'static str, price: Fixed, size: Raw<'_>, side: Option<Side>) -> Result<Quote, DecodeError> {
    match size {
        Raw::Text(text) if text.eq_ignore_ascii_case(b"nan") => Ok(Quote::tick(price, 0, side)),
        size => Ok(Quote::tick(price, volume(name, size)?, side)),
    }
}

/// A stamp between 2000 and 2099; `zone` is that of stamps that name none.
#[inline]
pub(super) fn timestamp(name: &'static str, raw: Raw<'_>, zone: &Zone) -> Result<Timestamp, DecodeError> {
    if let Raw::Text(text) | Raw::Number(text) = raw
        && let Some(at) = stamp::plain(text)
    {
        return Ok(at);
    }
    written_timestamp(name, raw, zone)
}

#[inline(never)]
fn written_timestamp(name: &'static str, raw: Raw<'_>, zone: &Zone) -> Result<Timestamp, DecodeError> {
    match stamp(name, raw, zone)? {
        Stamp::Moment(at) => Ok(at),
        Stamp::Day(date) => Err(DecodeError::wrong(
            name,
            format_args!("`{date}` is a day without a time: only a candle can be of a whole day"),
        )),
    }
}

/// A stamp between 2000 and 2099, or a day.
pub(super) fn stamp(name: &'static str, raw: Raw<'_>, zone: &Zone) -> Result<Stamp, DecodeError> {
    let text = raw.text(name, "a time, as in 2021-01-21T14:34:31.964Z, or epoch s, ms, us or ns")?;
    stamp::read(text, zone).map_err(|error| DecodeError::wrong(name, format_args!("`{}` {error}", shown(text))))
}

/// A side, where it is clear: nothing that stands there costs the price.
#[inline]
pub(super) fn side(raw: Raw<'_>) -> Option<Side> {
    match raw {
        Raw::Text([b'b' | b'B']) => Some(Side::Buy),
        Raw::Text([b's' | b'S']) => Some(Side::Sell),
        Raw::Text(word @ [_, _, _]) if word.eq_ignore_ascii_case(b"buy") => Some(Side::Buy),
        Raw::Text(word @ [_, _, _, _]) if word.eq_ignore_ascii_case(b"sell") => Some(Side::Sell),
        _ => None,
    }
}

/// Which trade `raw` says it is, as `parse` reads its text. What is no id is none: it never costs a price.
#[inline]
pub(super) fn trade_id(raw: Raw<'_>, parse: impl FnOnce(&[u8]) -> Option<TradeId>) -> Option<TradeId> {
    match raw {
        Raw::Text(text) => parse(text),
        // Of numbers only whole ones: 4665846.0 is a number that lost digits, if it had more.
        Raw::Number(text) => parse(text).filter(|id| id.number().is_some() || text.iter().all(u8::is_ascii_digit)),
        Raw::Object(_) => parse(raw.extended().text("", "an id").ok()?),
        _ => None,
    }
}

/// The taker's side, from whether the buyer's order was the resting one, where that is clear.
#[inline]
pub(super) fn taker(buyer_is_maker: Raw<'_>) -> Option<Side> {
    match buyer_is_maker {
        Raw::Bool(true) => Some(Side::Sell),
        Raw::Bool(false) => Some(Side::Buy),
        Raw::Text(text) if text.eq_ignore_ascii_case(b"true") => Some(Side::Sell),
        Raw::Text(text) if text.eq_ignore_ascii_case(b"false") => Some(Side::Buy),
        _ => None,
    }
}

/// What a key says: itself, a JSON text without its quotes, or the text in Kafka Connect's envelope; none where it is other
/// JSON.
#[inline]
fn key_text(key: &str) -> Option<Cow<'_, str>> {
    match key.as_bytes().first() {
        Some(b'"' | b'{' | b'[') => json_key_text(key),
        _ => Some(Cow::Borrowed(key)),
    }
}

#[cold]
fn json_key_text(key: &str) -> Option<Cow<'_, str>> {
    #[derive(serde::Deserialize)]
    #[serde(untagged)]
    enum Key {
        Text(String),
        Connect { payload: String },
    }
    match serde_json::from_str(key) {
        Ok(Key::Text(text) | Key::Connect { payload: text }) => Some(Cow::Owned(text)),
        Err(_) => None,
    }
}

/// What stands in for a symbol that the value lacks, and the table that numbers symbols.
pub(super) struct Names<'c> {
    pub key: Option<&'c [u8]>,
    pub fallback: Option<&'c Symbol>,
    /// Of stamps that name none.
    pub zone: &'c Zone,
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
            let wrong = |why: std::fmt::Arguments<'_>| {
                let way_out = "; where keys are no symbols, set source.symbol";
                DecodeError::new("wrong_key", format_args!("{name} is missing, and the key {why}{way_out}"))
            };
            let text = std::str::from_utf8(key).map_err(|_| wrong(format_args!("is not UTF-8")))?;
            let text = key_text(text).ok_or_else(|| wrong(format_args!("`{}` is JSON, but no text", shown(key))))?;
            return self.symbols.intern(&text).map_err(|why| wrong(format_args!("{why}")));
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
