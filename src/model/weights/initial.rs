//! The weights that a job starts from. They decide its forecasts as its records do, so they have a digest that can be kept
//! and compared.

use super::{Weights, WeightsError};
use crate::market::Symbol;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Weights by symbol, or those that all symbols share.
#[derive(Clone, PartialEq)]
pub struct InitialWeights {
    /// By symbol; none where all share them.
    by_symbol: BTreeMap<Option<Symbol>, Weights>,
    digest: String,
}

impl InitialWeights {
    /// From the bytes of files, each of a symbol or of all, of which every one has to fit. None where there
    /// are no files.
    ///
    /// # Errors
    /// Whose file cannot be used, and why.
    pub fn read(
        files: &BTreeMap<Option<Symbol>, Vec<u8>>,
        fits: impl Fn(&Weights) -> Result<(), WeightsError>,
    ) -> Result<Option<Self>, (Option<Symbol>, WeightsError)> {
        let mut hash = Sha256::new();
        let mut by_symbol = BTreeMap::new();
        for (symbol, bytes) in files {
            let weights = Weights::read(bytes).and_then(|weights| fits(&weights).map(|()| weights));
            by_symbol.insert(symbol.clone(), weights.map_err(|error| (symbol.clone(), error))?);
            // Lengths before the parts: no two sets of files are the same bytes.
            let name = symbol.as_ref().map_or("", Symbol::as_str);
            for part in [name.as_bytes(), bytes.as_slice()] {
                hash.update((part.len() as u64).to_le_bytes());
                hash.update(part);
            }
        }
        let digest = hash.finalize().iter().fold(String::new(), |mut text, byte| {
            // Writing to a text cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        });
        Ok((!by_symbol.is_empty()).then_some(Self { by_symbol, digest }))
    }

    /// Those of a symbol, or those that all symbols share.
    #[must_use]
    pub fn of(&self, symbol: Option<&Symbol>) -> Option<&Weights> {
        self.by_symbol.get(&symbol.cloned())
    }

    /// All of them, by symbol.
    pub fn all(&self) -> impl Iterator<Item = &Weights> {
        self.by_symbol.values()
    }

    /// SHA-256 of the files, in hexadecimal digits: other weights have another one.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }
}

impl std::fmt::Debug for InitialWeights {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("InitialWeights").field(&self.digest).finish()
    }
}
