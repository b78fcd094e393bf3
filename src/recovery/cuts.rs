//! Which cut is wanted, and what operators give for it: what they share with the thread that writes checkpoints.
//!
//! A cut is a moment of event time. Its checkpoint holds what every operator remembers of the panes that end by then, and for
//! each partition where reading goes on. No barrier travels: a cut is announced while every partition is before it, and each
//! operator gives its part when it comes to the first pane after it. A partition that was past it already says so, and the cut is
//! given up.

use super::manifest::Keeper;
use crate::market::{Pane, PartitionId, Slide, Timestamp};
use crossbeam_channel::{Receiver, Sender};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

/// Where no cut is wanted.
const NONE: i64 = i64::MIN;

/// What an operator says of a cut.
#[derive(Debug, Serialize, Deserialize)]
pub enum Note {
    /// Its part.
    Given(Piece),
    /// It was past the cut when it was announced.
    Missed(Timestamp),
}

/// An operator's part of a checkpoint.
#[derive(Debug, Serialize, Deserialize)]
pub struct Piece {
    /// Which cut.
    pub cut: Timestamp,
    /// Whose.
    pub keeper: Keeper,
    /// On which worker.
    pub worker: usize,
    /// Of a partition: where reading goes on.
    pub offset: Option<u64>,
    /// Its state, by the part that symbols belong to.
    pub states: Vec<(Option<u32>, Vec<u8>)>,
}

/// What the operators of a process share with the thread that writes checkpoints.
#[derive(Debug)]
pub struct Cuts {
    wanted: AtomicI64,
    /// The cut that is to be wanted, once the other processes know of it.
    announced: AtomicI64,
    /// Whether there are others.
    shared: AtomicBool,
    notes: Sender<Note>,
}

impl Cuts {
    /// Nothing is wanted yet; and where notes come out.
    #[must_use]
    pub fn new() -> (Arc<Self>, Receiver<Note>) {
        // Pieces of one cut at a time: bounded by the state.
        let (notes, receiver) = crossbeam_channel::unbounded();
        (
            Arc::new(Self {
                wanted: AtomicI64::new(NONE),
                announced: AtomicI64::new(NONE),
                shared: AtomicBool::new(false),
                notes,
            }),
            receiver,
        )
    }

    /// The cut that is wanted.
    #[must_use]
    pub fn wanted(&self) -> Option<Timestamp> {
        let wanted = self.wanted.load(Ordering::Acquire);
        (wanted != NONE).then(|| Timestamp::from_millis(wanted))
    }

    /// From now on a cut is wanted here when [`Cuts::want`] says so, after it was announced.
    pub fn share(&self) {
        self.shared.store(true, Ordering::SeqCst);
    }

    /// Announces a cut, later than all before.
    pub fn announce(&self, cut: Timestamp) {
        self.announced.store(cut.millis(), Ordering::Release);
        if !self.shared.load(Ordering::SeqCst) {
            self.want(cut);
        }
    }

    /// The cut that was announced last.
    #[must_use]
    pub fn announced(&self) -> Option<Timestamp> {
        let announced = self.announced.load(Ordering::Acquire);
        (announced != NONE).then(|| Timestamp::from_millis(announced))
    }

    /// A cut is wanted.
    ///
    /// In the process of partition 0 the last: where that is still before the cut then, so is the frontier, and everybody else
    /// knows of the cut before anything behind it is worked off.
    pub fn want(&self, cut: Timestamp) {
        self.wanted.store(cut.millis(), Ordering::Release);
    }

    /// No cut is wanted any more.
    pub fn want_none(&self) {
        self.announced.store(NONE, Ordering::Release);
        self.wanted.store(NONE, Ordering::Release);
    }

    /// What an operator says, of this process or another.
    pub fn send(&self, note: Note) {
        // Nobody listens any more: the job ends.
        let _ = self.notes.send(note);
    }
}

/// One operator's part in checkpoints.
#[derive(Clone, Debug)]
pub struct Saving {
    cuts: Arc<Cuts>,
    keeper: Keeper,
    worker: usize,
    /// The last cut that was given or given up.
    done: Timestamp,
}

impl Saving {
    /// Of an operator on a worker.
    #[must_use]
    pub fn new(cuts: &Arc<Cuts>, keeper: Keeper, worker: usize) -> Self {
        Self { cuts: Arc::clone(cuts), keeper, worker, done: Timestamp::from_millis(i64::MIN) }
    }

    /// Of a partition, whichever worker reads it.
    #[must_use]
    pub fn of_partition(cuts: &Arc<Cuts>, partition: PartitionId) -> Self {
        Self::new(cuts, Keeper::Source(partition), 0)
    }

    /// The cut that is wanted, and was not given so far.
    #[inline]
    #[must_use]
    pub fn open(&self) -> Option<Timestamp> {
        self.cuts.wanted().filter(|cut| *cut > self.done)
    }

    /// The same, where all before it is worked off: `next` is the first pane that is not; none where nothing comes any more.
    #[inline]
    #[must_use]
    pub fn due(&self, next: Option<Pane>, slide: Slide) -> Option<Timestamp> {
        self.open().filter(|cut| next.is_none_or(|next| next >= slide.pane_of(*cut)))
    }

    /// Gives what is remembered of everything before the cut.
    pub fn give(&mut self, cut: Timestamp, offset: Option<u64>, states: Vec<(Option<u32>, Vec<u8>)>) {
        self.done = cut;
        let (keeper, worker) = (self.keeper, self.worker);
        self.cuts.send(Note::Given(Piece { cut, keeper, worker, offset, states }));
    }

    /// It is too late for the cut.
    pub fn miss(&mut self, cut: Timestamp) {
        self.done = cut;
        self.cuts.send(Note::Missed(cut));
    }
}
