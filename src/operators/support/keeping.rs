//! What a worker's operators have to do with checkpoints: their part in new ones, and the state that they go on from.

use crate::market::Timestamp;
use crate::recovery::cuts::{Cuts, Saving};
use crate::recovery::manifest::Keeper;
use crate::recovery::restored::{Restored, Unreadable};
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// Checkpoints, as one worker has to do with them.
#[derive(Clone, Debug, Default)]
pub struct Keeping {
    /// Where there are any.
    pub cuts: Option<Arc<Cuts>>,
    /// What is gone on from.
    pub restored: Option<Arc<Restored>>,
    /// This worker.
    pub worker: usize,
    /// How many there are.
    pub workers: usize,
}

impl Keeping {
    /// An operator's part in checkpoints.
    #[must_use]
    pub fn saving(&self, keeper: Keeper) -> Option<Saving> {
        self.cuts.as_ref().map(|cuts| Saving::new(cuts, keeper, self.worker))
    }

    /// The cut that the job goes on from.
    #[must_use]
    pub fn restored_cut(&self) -> Option<Timestamp> {
        self.restored.as_ref().map(|restored| restored.cut())
    }

    /// The states of this worker's symbols.
    ///
    /// # Errors
    /// When they were written by something else.
    pub fn symbols<T: DeserializeOwned>(&self, keeper: Keeper) -> Result<Vec<T>, Unreadable> {
        let read = |restored: &Arc<Restored>| restored.take_symbols(keeper, self.worker, self.workers);
        self.restored.as_ref().map_or_else(|| Ok(Vec::new()), read)
    }

    /// What one worker has written and all go on from.
    ///
    /// # Errors
    /// When it was written by something else.
    pub fn shared<T: DeserializeOwned>(&self, keeper: Keeper) -> Result<Option<T>, Unreadable> {
        self.restored.as_ref().map_or(Ok(None), |restored| restored.read_shared(keeper))
    }

    /// What all workers have written, for all.
    ///
    /// # Errors
    /// When it was written by something else.
    pub fn each<T: DeserializeOwned>(&self, keeper: Keeper) -> Result<Vec<T>, Unreadable> {
        self.restored.as_ref().map_or_else(|| Ok(Vec::new()), |restored| restored.read_each(keeper))
    }

    /// The same, for the first worker alone, which goes on with the sum.
    ///
    /// # Errors
    /// When it was written by something else.
    pub fn of_all<T: DeserializeOwned>(&self, keeper: Keeper) -> Result<Vec<T>, Unreadable> {
        if self.worker == 0 { self.each(keeper) } else { Ok(Vec::new()) }
    }
}
