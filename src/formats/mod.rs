//! Bytes to observations. One file per format; [`Decoder`] picks the one that fits each message.

use crate::market::{Observation, SymbolTable};

/// Turns one partition's records into observations.
#[derive(Debug, Clone)]
pub struct Decoder {}

/// What a record that decodes says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decoded {
    /// At least one observation was appended.
    Used,
    /// Well-formed, but without a price; the kind is counted.
    Ignored(&'static str),
}

/// Why a record does not decode.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct DecodeError {
    /// Counted by this: `not_utf8`, `not_json`, `missing_field`, `wrong_field`, …
    pub reason: &'static str,
    /// For people: which field, and what is allowed.
    pub detail: String,
}

impl Decoder {
    /// Appends the observations of one record to `out`.
    ///
    /// # Errors
    /// When the record cannot be used; `out` is as it was then.
    pub fn decode(
        &mut self,
        _key: Option<&[u8]>,
        _value: &[u8],
        _symbols: &mut SymbolTable,
        _out: &mut Vec<Observation>,
    ) -> Result<Decoded, DecodeError> {
        Ok(Decoded::Used)
    }
}
