//! Symbols, and the table that gives each a small number on one worker.

use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// The longest symbol, in bytes.
pub const SYMBOL_BYTES_MAX: usize = 64;
/// The most distinct symbols that one worker accepts: a stream of random keys must not fill the memory.
pub const SYMBOLS_MAX: usize = 1 << 20;

/// What a price is of, such as `BTC`: 1 to 64 bytes of UTF-8, ordered by bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Symbol(Arc<str>);

/// Why a text is no [`Symbol`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SymbolError {
    /// The empty text.
    #[error("is empty")]
    Empty,
    /// Longer than [`SYMBOL_BYTES_MAX`].
    #[error("is longer than 64 bytes")]
    TooLong,
    /// More than [`SYMBOLS_MAX`] distinct ones.
    #[error("would be one of more than 1,048,576 distinct symbols")]
    TooMany,
}

impl Symbol {
    /// A symbol from its name.
    ///
    /// # Errors
    /// When the name is empty or longer than [`SYMBOL_BYTES_MAX`].
    pub fn new(name: &str) -> Result<Self, SymbolError> {
        match name.len() {
            0 => Err(SymbolError::Empty),
            1..=SYMBOL_BYTES_MAX => Ok(Self(name.into())),
            _ => Err(SymbolError::TooLong),
        }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A hash that never changes between versions, machines or runs: FNV-1a, finished with the mixer of
    /// `SplitMix64` since timely routes by the low bits. Decides which worker owns the symbol.
    #[must_use]
    pub fn route(&self) -> u64 {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for &byte in self.0.as_bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        hash ^ (hash >> 31)
    }
}

impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl std::borrow::Borrow<str> for Symbol {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// A symbol's number in one worker's [`SymbolTable`]. Means nothing on another worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SymbolId(pub u32);

/// The symbols one worker has met, numbered in order of arrival.
#[derive(Debug, Default)]
pub struct SymbolTable {
    ids: HashMap<Symbol, SymbolId>,
    names: Vec<Symbol>,
    /// Most streams repeat a symbol many times in a row: one comparison instead of a hash.
    last: Option<SymbolId>,
}

impl SymbolTable {
    /// The number of a symbol, newly given where it is new.
    ///
    /// # Errors
    /// When the name is no symbol, or there are too many.
    pub fn intern(&mut self, name: &str) -> Result<SymbolId, SymbolError> {
        if let Some(last) = self.last_if(name.as_bytes()) {
            return Ok(last);
        }
        let id = if let Some(&id) = self.ids.get(name) {
            id
        } else {
            if self.names.len() >= SYMBOLS_MAX {
                return Err(SymbolError::TooMany);
            }
            let symbol = Symbol::new(name)?;
            let id = SymbolId(u32::try_from(self.names.len()).map_err(|_| SymbolError::TooMany)?);
            self.names.push(symbol.clone());
            self.ids.insert(symbol, id);
            id
        };
        self.last = Some(id);
        Ok(id)
    }

    /// The number that was given last, if `name` is its symbol.
    #[inline]
    #[must_use]
    pub fn last_if(&self, name: &[u8]) -> Option<SymbolId> {
        self.last.filter(|last| self.names[last.0 as usize].as_str().as_bytes() == name)
    }

    /// The symbol of a number that this table gave.
    #[must_use]
    pub fn name(&self, id: SymbolId) -> &Symbol {
        &self.names[id.0 as usize]
    }

    /// How many symbols there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there is none yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interns_once_and_refuses_what_is_no_symbol() {
        let mut table = SymbolTable::default();
        let btc = table.intern("BTC").unwrap();
        let eth = table.intern("ETH").unwrap();
        assert_ne!(btc, eth);
        assert_eq!(table.intern("BTC"), Ok(btc));
        assert_eq!(table.name(eth).as_str(), "ETH");
        assert_eq!(table.intern(""), Err(SymbolError::Empty));
        assert_eq!(table.intern(&"x".repeat(65)), Err(SymbolError::TooLong));
        assert_eq!(table.len(), 2);
    }

    #[test]
    fn routes_by_a_hash_that_is_pinned() {
        // A change here moves symbols between state parts: never change it.
        assert_eq!(Symbol::new("BTC").unwrap().route(), 0xccae_7747_8049_658f);
    }
}
