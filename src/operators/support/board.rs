//! What the sources of one process know of each other: each partition's watermark and whether it is idle.
//!
//! Timely's frontier is the watermark, but it cannot say what it would be without an idle partition: that partition's own
//! capability holds it. So sources note their watermarks here, and an idle partition follows the others'.

use crate::connectors::input::Wake;
use crate::market::{Pane, PartitionId, Release, Slide, Timestamp};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
    pub pane: Pane,
    /// After an idle time: from which offset on ticks before which pane are late, while this goes beyond its own watermark.
    pub floor: Option<Release>,
}

/// A worker's source, as the board knows it.
#[derive(Clone, Debug, Default)]
pub struct Follower(Arc<AtomicBool>);

impl Follower {
    /// Whether it is to be woken when partitions of others have moved, since one of its own follows them.
    pub fn set(&self, follows: bool) {
        self.0.store(follows, Ordering::SeqCst);
    }
}

/// The entries of all partitions of one process.
#[derive(Debug)]
pub struct Board {
    /// Workers that have not yet said which partitions they own.
    missing: Mutex<usize>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    followers: Vec<(Follower, Wake)>,
    entries: BTreeMap<PartitionId, BoardEntry>,
    /// Releases that made a tick late, not yet taken.
    effective: Vec<Release>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner")
            .field("entries", &self.entries)
            .field("effective", &self.effective)
            .finish_non_exhaustive()
    }
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

    /// A worker's partitions, once, and how to wake its source.
    pub fn join(&self, partitions: impl Iterator<Item = (PartitionId, BoardEntry)>, wake: Wake) -> Follower {
        let follower = Follower::default();
        let mut inner = self.inner();
        inner.entries.extend(partitions);
        inner.followers.push((follower.clone(), wake));
        let mut missing = self.missing.lock().unwrap_or_else(PoisonError::into_inner);
        *missing = missing.saturating_sub(1);
        drop(missing);
        inner.wake_followers();
        follower
    }

    fn complete(&self) -> bool {
        *self.missing.lock().unwrap_or_else(PoisonError::into_inner) == 0
    }

    /// How many partitions there are; none while it is unknown.
    #[must_use]
    pub fn partitions(&self) -> Option<usize> {
        self.complete().then(|| self.inner().entries.len())
    }

    /// Notes where a partition stands. Sources with partitions that follow are woken where that may move them.
    pub fn update(&self, partition: PartitionId, note: BoardEntry) {
        let mut inner = self.inner();
        let before = inner.entries.insert(partition, note);
        let moved = note.standing != Standing::Idle && before.is_none_or(|before| before.pane != note.pane);
        if moved || before.is_none_or(|before| before.standing != note.standing) {
            inner.wake_followers();
        }
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

    /// The greatest watermark of all partitions; none before the first tick.
    #[must_use]
    pub fn greatest(&self) -> Option<Timestamp> {
        self.inner().entries.values().filter_map(|note| note.watermark).max()
    }

    /// The first pane that is not closed by the capabilities of the partitions; none while it is unknown or all have ended.
    #[must_use]
    pub fn least_pane(&self) -> Option<Pane> {
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
        let before = slide.start_of(slide.pane_of(through));
        let standing = inner.entries.iter().filter_map(|(&partition, note)| match (note.standing, note.floor) {
            (Standing::Idle, _) => Some((partition, Release { partition, offset: note.next_offset, before })),
            (_, Some(floor)) => Some((partition, floor)),
            _ => None,
        });
        (effective, standing.collect())
    }
}

impl Inner {
    fn wake_followers(&self) {
        for (_, wake) in self.followers.iter().filter(|(follower, _)| follower.0.load(Ordering::SeqCst)) {
            wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    fn nobody() -> Wake {
        Arc::new(|| ())
    }

    fn entry(standing: Standing, watermark: Option<i64>) -> BoardEntry {
        BoardEntry {
            standing,
            watermark: watermark.map(Timestamp::from_millis),
            next_offset: 0,
            pane: Pane::default(),
            floor: None,
        }
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
            board.join(entries.iter().enumerate().map(|(i, &(s, w))| (PartitionId(i as u32), entry(s, w))), nobody());
            assert_eq!(board.watermark(), expected.map(Timestamp::from_millis), "{entries:?}");
        }
    }

    #[test]
    fn nothing_is_known_before_every_worker_has_joined() {
        let board = Board::new(2);
        board.join(std::iter::once((PartitionId(0), entry(Standing::Idle, Some(5)))), nobody());
        assert_eq!((board.watermark(), board.least_pane()), (None, None));
        board.join(std::iter::once((PartitionId(1), entry(Standing::Active, Some(2)))), nobody());
        assert_eq!(board.watermark(), Some(Timestamp::from_millis(2)));
    }

    #[test]
    fn who_follows_is_woken_when_others_move_and_nobody_else_is() {
        let woken = Arc::new(AtomicUsize::new(0));
        let wake = || -> Wake {
            let woken = Arc::clone(&woken);
            Arc::new(move || {
                woken.fetch_add(1, Ordering::SeqCst);
            })
        };
        let count = || woken.swap(0, Ordering::SeqCst);
        let board = Board::new(2);
        let (moving, idle) = (PartitionId(0), PartitionId(1));
        let at = |pane| BoardEntry { pane: Pane::from_number(pane), ..entry(Standing::Active, Some(1)) };
        let follows = board.join(std::iter::once((idle, entry(Standing::Idle, None))), wake());
        follows.set(true);
        let others = board.join(std::iter::once((moving, at(1))), wake());
        assert_eq!(count(), 1, "now the watermark is known");
        board.update(moving, at(1));
        assert_eq!(count(), 0, "the same pane");
        board.update(moving, at(2));
        assert_eq!(count(), 1);
        board.update(idle, BoardEntry { pane: Pane::from_number(2), ..entry(Standing::Idle, None) });
        assert_eq!(count(), 0, "nobody follows one that follows");
        others.set(true);
        follows.set(false);
        board.update(moving, BoardEntry { pane: Pane::from_number(2), ..entry(Standing::Idle, Some(1)) });
        assert_eq!(count(), 1);
    }
}
