//! A venue's own candle of a minute: what stands in for trades that were made before we listened.

use super::record::Names;
use super::trade::is_number;
use super::venues::unquoted;
use crate::market::{Span, Timestamp};
use serde_json::value::RawValue;
use std::fmt::Write as _;

/// How long each is.
pub const MINUTE: Span = Span::from_millis(60_000);

/// A candle of a minute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candle {
    /// When it opens.
    pub open_at: Timestamp,
    /// Nothing was traded in it.
    pub is_empty: bool,
    /// Trades in it, where the venue says.
    pub count: Option<u64>,
    /// Its fields as JSON, with the venue's own digits.
    fields: Box<str>,
}

impl Candle {
    /// Of its elements: when it opens, as epoch seconds or milliseconds; open, high, low, close and volume; and others by name.
    ///
    /// # Errors
    /// When one of them is no number.
    pub fn read(at: &RawValue, prices: [&RawValue; 5], more: &[(&str, &RawValue)]) -> Result<Self, String> {
        let open_at = Timestamp::parse(unquoted(at).as_bytes());
        let open_at = open_at.map_err(|error| format!("a candle's time: {} is none: {error}", at.get()))?;
        let names = ["open", "high", "low", "close", "volume"];
        let mut fields = String::new();
        for (name, value) in names.into_iter().zip(prices).chain(more.iter().copied()) {
            let text = unquoted(value);
            if !is_number(text) {
                return Err(format!("a candle's {name}: {text:?} is no number"));
            }
            // A text takes everything.
            let _ = write!(fields, ",\"{name}\":{text}");
        }
        let count = more.iter().find(|(name, _)| *name == "count");
        let count = count.and_then(|(_, value)| unquoted(value).parse().ok());
        let is_empty = !unquoted(prices[4]).bytes().any(|b| matches!(b, b'1'..=b'9'));
        Ok(Self { open_at, is_empty, count, fields: fields.into() })
    }

    /// Writes its record: a `candle`.
    pub fn write(&self, names: &Names, out: &mut Vec<u8>) {
        out.clear();
        let (at, fields) = (self.open_at.millis(), &self.fields);
        out.extend_from_slice(names.head().as_bytes());
        out.extend_from_slice(format!("\"timestamp\":{at},\"interval\":\"1m\"{fields}}}").as_bytes());
    }
}

/// The rows of a table as JSON.
///
/// # Errors
/// When it is none.
pub fn rows(body: &str) -> Result<Vec<Vec<&RawValue>>, String> {
    serde_json::from_str(body).map_err(|error| error.to_string())
}
