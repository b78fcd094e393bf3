//! Records that were counted as used where they were read, and then were found to repeat what another partition's have said.

use crate::market::PartitionId;
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// What share of its record an observation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// Of how many that were used; [`u16::MAX`] of more than that.
    pub of: u16,
    /// Whether the record is counted as partly repeated already.
    pub told: bool,
}

impl Share {
    /// All of its record.
    pub const WHOLE: Self = Self { of: 1, told: false };
}

/// An observation that another partition's records have, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repeat {
    /// The partition of its record.
    pub partition: PartitionId,
    /// The offset of its record.
    pub offset: u64,
    /// What share of the record it is.
    pub share: Share,
}

/// What a repeat makes of its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// All of it is repeated: it is not used. And whether it was counted as partly repeated.
    Whole {
        /// Whether it was.
        told: bool,
    },
    /// Its first repeat, and it may have others: it is partly repeated.
    Partly,
    /// One more.
    More,
}

/// Records of several observations of which some were repeats, and that may yet turn out to be nothing else. Those are of the
/// last panes; the rest, which stays used, is what falls out when there are too many. At 40 bytes each, 2.6 MB.
const RECORDS_MAX: usize = 65_536;

/// What is known of records with repeats.
#[derive(Debug, Default)]
pub struct Repeats {
    /// What partitions are called.
    sources: HashMap<PartitionId, Arc<str>>,
    /// Repeats so far, of records of several observations.
    counts: HashMap<(PartitionId, u64), u16>,
    /// These records in the order in which they were found.
    order: VecDeque<(PartitionId, u64)>,
}

impl Repeats {
    /// A partition's topic or file.
    pub fn name(&mut self, partition: PartitionId, source: &Arc<str>) {
        self.sources.insert(partition, Arc::clone(source));
    }

    /// The topic or file of a partition.
    #[must_use]
    pub fn source(&self, partition: PartitionId) -> Arc<str> {
        self.sources.get(&partition).cloned().unwrap_or_default()
    }

    /// One more repeat.
    pub fn find(&mut self, repeat: &Repeat) -> Found {
        let Share { of, told } = repeat.share;
        if of <= 1 {
            return Found::Whole { told };
        }
        let record = (repeat.partition, repeat.offset);
        match self.counts.get_mut(&record) {
            Some(count) => {
                *count = count.saturating_add(1);
                if *count < of || of == u16::MAX {
                    return Found::More;
                }
                self.counts.remove(&record);
                Found::Whole { told: true }
            }
            None => {
                self.counts.insert(record, 1);
                self.order.push_back(record);
                // Those that are whole are no longer in the counts, but here.
                while self.order.len() > RECORDS_MAX {
                    let oldest = self.order.pop_front();
                    oldest.map(|oldest| self.counts.remove(&oldest));
                }
                if told { Found::More } else { Found::Partly }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repeat(offset: u64, of: u16, told: bool) -> Repeat {
        Repeat { partition: PartitionId(3), offset, share: Share { of, told } }
    }

    #[test]
    fn a_record_is_ignored_when_all_of_it_was_found_elsewhere() {
        let mut repeats = Repeats::default();
        for (offset, of, told, expected) in [
            (1, 1, false, Found::Whole { told: false }),
            (2, 1, true, Found::Whole { told: true }),
            (3, 3, false, Found::Partly),
            (4, 2, true, Found::More),
            (3, 3, false, Found::More),
            (4, 2, true, Found::Whole { told: true }),
            (3, 3, false, Found::Whole { told: true }),
        ] {
            assert_eq!(repeats.find(&repeat(offset, of, told)), expected, "{offset}");
        }
        assert!(repeats.counts.is_empty());
    }

    #[test]
    fn records_that_stay_are_not_kept_for_ever() {
        let mut repeats = Repeats::default();
        for offset in 0..3 * RECORDS_MAX as u64 {
            assert_eq!(repeats.find(&repeat(offset, 2, false)), Found::Partly);
        }
        assert_eq!((repeats.counts.len(), repeats.order.len()), (RECORDS_MAX, RECORDS_MAX));
        assert_eq!(repeats.find(&repeat(3 * RECORDS_MAX as u64 - 1, 2, false)), Found::Whole { told: true });
    }

    #[test]
    fn more_than_can_be_counted_are_never_all() {
        let mut repeats = Repeats::default();
        let found: Vec<Found> = (0..70_000).map(|_| repeats.find(&repeat(1, u16::MAX, false))).collect();
        assert!(found[0] == Found::Partly && found[1..].iter().all(|found| *found == Found::More));
    }
}
