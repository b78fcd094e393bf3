//! What the sources of one process know of each other: each partition's watermark and whether it is idle.
//!
//! Timely's frontier is the watermark, but it cannot say what it would be without an idle partition: that partition's own
//! capability holds it. So sources note their watermarks here, and an idle partition follows the others'.

use crate::market::{PartitionId, Release, Slide, Timestamp};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Whether a partition holds the watermark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It holds the watermark.
    Active,
    /// It is caught up and quiet, or empty: it follows.
    Idle,
    /// It was read to its end.
    Ended,
}

/// One partition, as its source last noted it.
#[derive(Clone, Copy, Debug)]
pub struct BoardEntry {
    /// Whether it holds the watermark.
    pub standing: Standing,
    /// The greatest event time seen less the allowed lateness; none before the first tick.
    pub watermark: Option<Timestamp>,
    /// The next offset.
    pub next_offset: u64,
    /// The pane of its capability: nothing before it can come from this partition any more.
    pub pane: u64,
    /// After an idle time: from which offset on ticks before which pane are late, while this goes beyond its own watermark.
    pub floor: Option<Release>,
}

/// The entries of all partitions of one process.
#[derive(Debug)]
pub struct Board {
    /// Workers that have not yet said which partitions they own.
    missing: Mutex<usize>,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    entries: BTreeMap<PartitionId, BoardEntry>,
    /// Releases that made a tick late, not yet taken.
    effective: Vec<Release>,
}

impl Board {
    /// A board for `workers` workers.
    #[must_use]
    pub fn new(workers: usize) -> Self {
        Self { missing: Mutex::new(workers), inner: Mutex::default() }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A worker's partitions, once.
    pub fn join(&self, partitions: impl Iterator<Item = (PartitionId, BoardEntry)>) {
        self.inner().entries.extend(partitions);
        let mut missing = self.missing.lock().unwrap_or_else(PoisonError::into_inner);
        *missing = missing.saturating_sub(1);
    }

    fn complete(&self) -> bool {
        *self.missing.lock().unwrap_or_else(PoisonError::into_inner) == 0
    }

    /// How many partitions there are; none while it is unknown.
    #[must_use]
    pub fn partitions(&self) -> Option<usize> {
        self.complete().then(|| self.inner().entries.len())
    }

    /// Notes where a partition stands.
    pub fn update(&self, partition: PartitionId, note: BoardEntry) {
        self.inner().entries.insert(partition, note);
    }

    /// A release that made a tick late: it has to be replayed by a resume.
    pub fn add_release(&self, release: Release) {
        self.inner().effective.push(release);
    }

    /// The job's watermark: the least of the partitions that are neither idle nor at their end; when there is none, the
    /// greatest of all, and no further. None while it is unknown.
    #[must_use]
    pub fn watermark(&self) -> Option<Timestamp> {
        if !self.complete() {
            return None;
        }
        let inner = self.inner();
        let mut least: Option<Option<Timestamp>> = None;
        for note in inner.entries.values().filter(|n| n.standing == Standing::Active) {
            least = Some(least.map_or(note.watermark, |least| least.min(note.watermark)));
        }
        least.unwrap_or_else(|| inner.entries.values().filter_map(|n| n.watermark).max())
    }

    /// The first pane that is not closed by the capabilities of the partitions; none while it is unknown or all have ended.
    #[must_use]
    pub fn least_pane(&self) -> Option<u64> {
        if !self.complete() {
            return None;
        }
        self.inner().entries.values().filter(|n| n.standing != Standing::Ended).map(|n| n.pane).min()
    }

    /// For the progress record, at a moment when all panes that end at or before `through` are closed: the releases since
    /// the last call, and what holds for partitions that are idle or have just been.
    ///
    /// Any tick that an idle partition would still bring for a closed pane is late; a resume has to decide the same.
    #[must_use]
    pub fn releases(&self, through: Timestamp, slide: Slide) -> (Vec<Release>, BTreeMap<PartitionId, Release>) {
        let mut inner = self.inner();
        let effective = std::mem::take(&mut inner.effective);
        let pane = slide.pane_of(through);
        let standing = inner.entries.iter().filter_map(|(&partition, note)| match (note.standing, note.floor) {
            (Standing::Idle, _) => Some((partition, Release { partition, offset: note.next_offset, pane })),
            (_, Some(floor)) => Some((partition, floor)),
            _ => None,
        });
        (effective, standing.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(standing: Standing, watermark: Option<i64>) -> BoardEntry {
        BoardEntry { standing, watermark: watermark.map(Timestamp::from_millis), next_offset: 0, pane: 0, floor: None }
    }

    /// The rule of the contract, case by case.
    #[test]
    fn watermark_is_that_of_the_slowest_that_still_counts() {
        use Standing::{Active, Ended, Idle};
        for (entries, expected) in [
            (vec![(Active, Some(5)), (Active, Some(3))], Some(3)),
            (vec![(Active, Some(5)), (Active, None)], None),
            (vec![(Active, Some(5)), (Idle, Some(3))], Some(5)),
            (vec![(Active, Some(5)), (Ended, Some(3))], Some(5)),
            (vec![(Active, Some(5)), (Idle, None)], Some(5)),
            (vec![(Idle, Some(5)), (Idle, Some(9))], Some(9)),
            (vec![(Idle, None), (Idle, None)], None),
        ] {
            let board = Board::new(1);
            board.join(entries.iter().enumerate().map(|(i, &(s, w))| (PartitionId(i as u32), entry(s, w))));
            assert_eq!(board.watermark(), expected.map(Timestamp::from_millis), "{entries:?}");
        }
    }

    #[test]
    fn nothing_is_known_before_every_worker_has_joined() {
        let board = Board::new(2);
        board.join(std::iter::once((PartitionId(0), entry(Standing::Idle, Some(5)))));
        assert_eq!((board.watermark(), board.least_pane()), (None, None));
        board.join(std::iter::once((PartitionId(1), entry(Standing::Active, Some(2)))));
        assert_eq!(board.watermark(), Some(Timestamp::from_millis(2)));
    }
}
