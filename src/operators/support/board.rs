//! What sources know of each other: each partition's watermark and whether it is idle. Of a cluster, each process has a board of
//! all partitions, and is told by the others what changes on theirs.
//!
//! Timely's frontier is the watermark, but it cannot say what it would be without an idle partition: that partition's own
//! capability holds it. So sources note their watermarks here, and an idle partition follows the others'.

use crate::connectors::input::Wake;
use crate::market::{Pane, PartitionId, Timestamp};
use crossbeam_channel::{Receiver, Sender};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Whether a partition holds the watermark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standing {
    /// It holds the watermark.
    Active,
    /// It is caught up and quiet, or empty: it follows.
    Idle,
    /// It was read to its end.
    Ended,
}

/// One partition, as its source last noted it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoardEntry {
    /// Whether it holds the watermark.
    pub standing: Standing,
    /// The greatest event time seen less the allowed lateness; none before the first tick.
    pub watermark: Option<Timestamp>,
    /// The pane of its capability: nothing before it can come from this partition any more.
    pub pane: Pane,
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

/// What a process has to tell the others of its partitions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoardNews {
    /// Where they stand.
    pub entries: Vec<(PartitionId, BoardEntry)>,
    /// Workers that have said which partitions they own.
    pub joined: usize,
}

impl BoardNews {
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.joined == 0
    }
}

/// The entries of all partitions.
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
    /// What others have not been told, where there are any.
    untold: Option<Untold>,
}

/// Of this process's partitions, what the others have not been told.
struct Untold {
    partitions: BTreeSet<PartitionId>,
    joined: usize,
    /// Somebody who tells them.
    news: Sender<()>,
}

impl Untold {
    fn ring(&self) {
        // Full where it is known already.
        let _ = self.news.try_send(());
    }
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner").field("entries", &self.entries).finish_non_exhaustive()
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

    /// From now on what changes here is kept for other processes, and it rings where there is some.
    #[must_use]
    pub fn share(&self) -> Receiver<()> {
        let (news, ring) = crossbeam_channel::bounded(1);
        self.inner().untold = Some(Untold { partitions: BTreeSet::new(), joined: 0, news });
        ring
    }

    /// What others have not been told.
    #[must_use]
    pub fn take_news(&self) -> BoardNews {
        let mut inner = self.inner();
        let Some(untold) = &mut inner.untold else { return BoardNews::default() };
        let (partitions, joined) = (std::mem::take(&mut untold.partitions), std::mem::take(&mut untold.joined));
        let entries = partitions.iter().filter_map(|partition| Some((*partition, *inner.entries.get(partition)?)));
        BoardNews { entries: entries.collect(), joined }
    }

    /// What another process tells of its partitions.
    pub fn hear(&self, news: BoardNews) {
        let mut inner = self.inner();
        inner.entries.extend(news.entries);
        let mut missing = self.missing.lock().unwrap_or_else(PoisonError::into_inner);
        *missing = missing.saturating_sub(news.joined);
        drop(missing);
        inner.wake_followers();
    }

    /// A worker's partitions, once, and how to wake its source.
    pub fn join(&self, partitions: impl Iterator<Item = (PartitionId, BoardEntry)>, wake: Wake) -> Follower {
        let follower = Follower::default();
        let mut inner = self.inner();
        let partitions: Vec<_> = partitions.collect();
        if let Some(untold) = &mut inner.untold {
            untold.partitions.extend(partitions.iter().map(|(partition, _)| *partition));
            untold.joined += 1;
            untold.ring();
        }
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
        let stands = before.is_some_and(|before| before.standing == note.standing);
        if moved || !stands {
            inner.wake_followers();
        }
        if let (Some(untold), true) =
            (&mut inner.untold, !stands || before.is_none_or(|before| before.pane != note.pane))
        {
            untold.partitions.insert(partition);
            untold.ring();
        }
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

    /// Where a partition stands; none where nobody has said so.
    #[must_use]
    pub fn entry(&self, partition: PartitionId) -> Option<BoardEntry> {
        self.inner().entries.get(&partition).copied()
    }

    /// Whether no partition of a history is still read.
    #[must_use]
    pub fn history_is_over(&self) -> bool {
        let inner = self.inner();
        self.complete() && inner.entries.iter().all(|(id, note)| !id.is_history() || note.standing == Standing::Ended)
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
        BoardEntry { standing, watermark: watermark.map(Timestamp::from_millis), pane: Pane::default() }
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

    /// Two processes with a worker each: what one notes the other knows, once it was told.
    #[test]
    fn boards_of_two_processes_say_the_same() {
        let (one, other) = (Board::new(2), Board::new(2));
        let (rings, others) = (one.share(), other.share());
        let at =
            |pane, watermark| BoardEntry { pane: Pane::from_number(pane), ..entry(Standing::Active, Some(watermark)) };
        one.join(std::iter::once((PartitionId(0), at(1, 10))), nobody());
        assert!(rings.try_recv().is_ok() && others.try_recv().is_err());
        other.hear(one.take_news());
        assert_eq!(other.watermark(), None, "its own worker has not joined");
        other.join(std::iter::once((PartitionId(1), at(1, 5))), nobody());
        one.hear(other.take_news());
        assert_eq!((one.watermark(), one.partitions()), (Some(Timestamp::from_millis(5)), Some(2)));
        assert_eq!(other.watermark(), one.watermark());
        assert!(one.take_news().is_empty(), "what was heard is not told again");
        one.update(PartitionId(0), at(1, 11));
        assert!(one.take_news().is_empty(), "the same pane");
        one.update(PartitionId(0), BoardEntry { standing: Standing::Idle, ..at(1, 11) });
        other.hear(one.take_news());
        one.update(PartitionId(0), at(3, 20));
        other.hear(one.take_news());
        assert_eq!(
            (other.greatest(), other.least_pane()),
            (Some(Timestamp::from_millis(20)), Some(Pane::from_number(1)))
        );
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
