//! Why a record does not decode.

use std::fmt;

/// Why a record does not decode.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct DecodeError {
    /// Counted by this, one of [`REASONS`].
    pub reason: &'static str,
    /// For people: which field, and what is allowed.
    pub detail: String,
}

/// Every [`DecodeError::reason`], with what it means.
pub const REASONS: [(&str, &str); 9] = [
    ("empty", "no bytes, or nothing but white space"),
    ("too_long", "longer than 16 MiB"),
    ("not_utf8", "bytes that are no UTF-8"),
    ("not_json", "text that is no JSON"),
    ("unknown_format", "JSON that is no record of a known format"),
    ("missing_field", "a field that is needed is absent or null"),
    ("wrong_field", "a field of a wrong type, form or range"),
    ("wrong_key", "the key would have to stand in for the symbol, but is none"),
    ("wrong_columns", "a CSV line with another number of fields than its header, or with an open quote"),
];

impl DecodeError {
    #[cold]
    pub(super) fn new(reason: &'static str, detail: fmt::Arguments<'_>) -> Self {
        debug_assert!(REASONS.iter().any(|(known, _)| *known == reason), "{reason} is not on the list");
        Self { reason, detail: detail.to_string() }
    }

    #[cold]
    pub(super) fn missing(name: &'static str) -> Self {
        Self::new("missing_field", format_args!("{name} is missing"))
    }

    #[cold]
    pub(super) fn wrong(name: &'static str, why: fmt::Arguments<'_>) -> Self {
        Self::new("wrong_field", format_args!("{name}: {why}"))
    }

    /// A value that is quoted: `price: `-1` is not positive`.
    #[cold]
    pub(super) fn wrong_value(name: &'static str, text: &[u8], why: impl fmt::Display) -> Self {
        Self::wrong(name, format_args!("`{}` is {why}", shown(text)))
    }
}

/// A value as it is shown in errors: its first 40 bytes or so.
pub(crate) fn shown(text: &[u8]) -> String {
    const SHOWN_BYTES: usize = 40;
    if text.len() <= SHOWN_BYTES {
        return String::from_utf8_lossy(text).into_owned();
    }
    let cut = String::from_utf8_lossy(&text[..SHOWN_BYTES]);
    format!("{}…", cut.trim_end_matches(char::REPLACEMENT_CHARACTER))
}

/// JSON, but no record that is known.
#[cold]
pub(super) fn unknown(why: std::fmt::Arguments<'_>) -> DecodeError {
    DecodeError::new(
        "unknown_format",
        format_args!(
            "{why}; understood are tick (symbol, timestamp, price), messari (status, data.market_data), candle (symbol, timestamp, open, high, low, close, volume) and trade (messages of Binance, Coinbase and Kraken)"
        ),
    )
}
