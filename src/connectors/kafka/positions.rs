//! How far a topic was read.

use crate::market::PartitionId;
use crate::recovery::Offsets;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};

/// How far each partition was read, shared by all workers of the process.
#[derive(Debug)]
pub struct Positions(BTreeMap<PartitionId, AtomicI64>);

impl Positions {
    pub(super) fn new(starts: &Offsets) -> Self {
        Self(starts.iter().map(|(partition, offset)| (*partition, AtomicI64::new(*offset))).collect())
    }

    /// The offset after the last record that was read.
    #[must_use]
    pub fn next(&self, partition: PartitionId) -> Option<i64> {
        self.0.get(&partition).map(|next| next.load(Ordering::Acquire))
    }

    /// [`Positions::next`] of all partitions.
    #[must_use]
    pub fn all(&self) -> Offsets {
        self.0.iter().map(|(partition, next)| (*partition, next.load(Ordering::Acquire))).collect()
    }

    pub(super) fn advance(&self, partition: PartitionId, next: i64) {
        if let Some(position) = self.0.get(&partition) {
            position.store(next, Ordering::Release);
        }
    }
}
