//! What was read of a checkpoint, for the operators that go on from it.

use super::manifest::{Damage, Keeper, Manifest};
use super::store::Store;
use crate::market::symbol::PARTS;
use crate::market::{PartitionId, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Why a state cannot be used, though its bytes are those that were written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the checkpoint's {0:?} cannot be read: {1}")]
pub struct Unreadable(pub Keeper, pub String);

/// Whose state, and of the symbols of which part.
type Kept = (Keeper, Option<u32>);

/// A part of a checkpoint, on its way to another process.
#[derive(Debug, Serialize, Deserialize)]
pub struct RestoredShare {
    manifest: Vec<u8>,
    states: Vec<(Kept, Vec<Vec<u8>>)>,
}

/// A checkpoint in memory; each state is taken once.
#[derive(Debug)]
pub struct Restored {
    /// What it is.
    pub manifest: Manifest,
    states: Mutex<BTreeMap<Kept, Vec<Vec<u8>>>>,
}

impl Restored {
    /// Reads all of a checkpoint.
    ///
    /// # Errors
    /// When something of it is not what was written.
    pub fn read(store: &dyn Store, manifest: Manifest) -> Result<Self, Damage> {
        let mut states: BTreeMap<Kept, Vec<Vec<u8>>> = BTreeMap::new();
        manifest.read_sections(store, |section, bytes| {
            states.entry((section.keeper, section.part)).or_default().push(bytes);
        })?;
        Ok(Self { manifest, states: Mutex::new(states) })
    }

    /// What the workers of one process need of it: those with these numbers, out of so many, which read these partitions.
    #[must_use]
    pub fn share(
        &self,
        of: std::ops::Range<usize>,
        workers: usize,
        reads: impl Fn(PartitionId) -> bool,
    ) -> RestoredShare {
        let states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        let is_needed = |(keeper, part): &Kept| match (keeper, part) {
            (Keeper::Source(partition), _) => reads(*partition),
            (_, Some(part)) => of.contains(&(*part as usize % workers)),
            (_, None) => true,
        };
        let states = states.iter().filter(|(kept, _)| is_needed(kept)).map(|(kept, bytes)| (*kept, bytes.clone()));
        RestoredShare { manifest: self.manifest.to_bytes(), states: states.collect() }
    }

    /// In another process, from its share.
    ///
    /// # Errors
    /// When it is none.
    pub fn from_share(share: RestoredShare) -> Result<Self, Damage> {
        let manifest = Manifest::parse("the checkpoint", &share.manifest)?;
        Ok(Self { manifest, states: Mutex::new(share.states.into_iter().collect()) })
    }

    /// The cut that it goes on from.
    #[must_use]
    pub const fn cut(&self) -> Timestamp {
        self.manifest.cut
    }

    fn take_raw(&self, keeper: Keeper, part: Option<u32>) -> Vec<Vec<u8>> {
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        states.remove(&(keeper, part)).unwrap_or_default()
    }

    /// What belongs to nobody's symbols in particular: of a partition, or of all workers.
    ///
    /// # Errors
    /// When it was written by something else.
    pub fn take<T: DeserializeOwned>(&self, keeper: Keeper) -> Result<Vec<T>, Unreadable> {
        self.take_raw(keeper, None).iter().map(|bytes| decode(keeper, bytes)).collect()
    }

    /// What one worker has written and all go on from: it stays.
    ///
    /// # Errors
    /// When it was written by something else.
    pub fn read_shared<T: DeserializeOwned>(&self, keeper: Keeper) -> Result<Option<T>, Unreadable> {
        self.read_each(keeper).map(|mut all| all.pop())
    }

    /// What each worker has written: it stays.
    ///
    /// # Errors
    /// When it was written by something else.
    pub fn read_each<T: DeserializeOwned>(&self, keeper: Keeper) -> Result<Vec<T>, Unreadable> {
        let states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        states.get(&(keeper, None)).into_iter().flatten().map(|bytes| decode(keeper, bytes)).collect()
    }

    /// The states of the symbols that belong to a worker.
    ///
    /// # Errors
    /// When it was written by something else.
    pub fn take_symbols<T: DeserializeOwned>(
        &self,
        keeper: Keeper,
        worker: usize,
        workers: usize,
    ) -> Result<Vec<T>, Unreadable> {
        let mut all = Vec::new();
        for part in (0..PARTS).filter(|part| *part as usize % workers == worker) {
            for bytes in self.take_raw(keeper, Some(part)) {
                all.append(&mut decode(keeper, &bytes)?);
            }
        }
        Ok(all)
    }
}

fn decode<T: DeserializeOwned>(keeper: Keeper, bytes: &[u8]) -> Result<T, Unreadable> {
    let (value, rest) = postcard::take_from_bytes(bytes).map_err(|error| Unreadable(keeper, error.to_string()))?;
    if rest.is_empty() { Ok(value) } else { Err(Unreadable(keeper, format!("{} bytes too many", rest.len()))) }
}

/// As a state is written.
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    // Plain data into memory: nothing of it can fail.
    postcard::to_extend(value, Vec::new()).unwrap_or_default()
}

/// States of symbols, by the part that each belongs to, as [`super::cuts::Saving::give`] takes them.
pub fn encode_parts<'a, T: Serialize>(
    states: impl IntoIterator<Item = (&'a crate::market::Symbol, T)>,
) -> Vec<(Option<u32>, Vec<u8>)> {
    let mut parts: BTreeMap<u32, Vec<T>> = BTreeMap::new();
    for (symbol, state) in states {
        parts.entry(symbol.part()).or_default().push(state);
    }
    parts.into_iter().map(|(part, states)| (Some(part), encode(&states))).collect()
}
