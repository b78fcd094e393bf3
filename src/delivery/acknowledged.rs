//! How far the sinks are, and how much waits for them: what the committer tells the dataflow.

use super::batch::Batch;
use crate::market::Timestamp;
use crate::recovery::Fault;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Sources stop reading while more records than this are handed over and not yet acknowledged.
pub const PENDING_RECORDS_MAX: usize = 20_000;
/// Sources stop reading while more bytes than this wait: on their way to the queue, or handed over and not yet acknowledged.
pub const PENDING_BYTES_MAX: usize = 64 << 20;
/// Wakes a part of the dataflow, from the committer's thread.
pub type Wake = Box<dyn Fn() + Send>;

/// How far the sinks are, readable from any thread.
#[derive(Default)]
pub struct Acknowledged {
    /// Epoch ms; 0 before the first acknowledgement.
    acknowledged_ms: AtomicI64,
    /// Records handed over and not yet acknowledged.
    pending: AtomicUsize,
    /// Their bytes.
    pending_bytes: AtomicUsize,
    /// Bytes that sources have sent straight to the sinks' queue, and that have not got there.
    bytes_on_the_way: AtomicUsize,
    /// Merged batches acknowledged.
    commits: AtomicU64,
    /// Of a process without sinks: whether the one that has them is behind.
    told_behind: AtomicBool,
    failure: Mutex<Option<Fault>>,
    wakes: Mutex<Vec<Wake>>,
}

/// A poisoned lock here holds data that is whole: nothing in it can panic halfway through a change.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Acknowledged {
    /// Everything of all panes that end at or before this is in every sink; the epoch before the first batch is.
    #[must_use]
    pub fn acknowledged(&self) -> Timestamp {
        Timestamp::from_millis(self.acknowledged_ms.load(Ordering::Acquire))
    }

    /// Records that were handed over and are not yet acknowledged.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.pending.load(Ordering::Acquire)
    }

    /// Bytes that wait: on their way to the queue, or handed over and not yet acknowledged.
    #[must_use]
    pub fn waiting_bytes(&self) -> usize {
        self.bytes_on_the_way.load(Ordering::Acquire) + self.pending_bytes.load(Ordering::Acquire)
    }

    /// Whether sources should stop reading until sinks have caught up.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        let own = self.pending() > PENDING_RECORDS_MAX || self.waiting_bytes() > PENDING_BYTES_MAX;
        own || self.told_behind.load(Ordering::Acquire)
    }

    /// Notes whether the sinks of another process are behind.
    pub fn set_told_behind(&self, behind: bool) {
        self.told_behind.store(behind, Ordering::Release);
    }

    /// A source has sent dead letters or ticks of so many bytes.
    pub fn add_on_the_way(&self, bytes: usize) {
        self.bytes_on_the_way.fetch_add(bytes, Ordering::AcqRel);
    }

    /// So many of them were handed over.
    pub fn take_off_the_way(&self, bytes: usize) {
        self.bytes_on_the_way.fetch_sub(bytes, Ordering::AcqRel);
    }

    /// How many merged batches every sink has.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    /// Why the job cannot go on, once it cannot.
    #[must_use]
    pub fn failure(&self) -> Option<Fault> {
        lock(&self.failure).clone()
    }

    /// Adds somebody to wake after every commit and at a failure: an activator of timely. It must not add another.
    pub fn add_wake(&self, wake: Wake) {
        lock(&self.wakes).push(wake);
    }

    fn wake(&self) {
        for wake in lock(&self.wakes).iter() {
            wake();
        }
    }

    pub(super) fn add_pending(&self, records: usize, bytes: usize) {
        self.pending.fetch_add(records, Ordering::AcqRel);
        self.pending_bytes.fetch_add(bytes, Ordering::AcqRel);
    }

    pub(super) fn take_pending(&self, records: usize, bytes: usize) {
        self.pending.fetch_sub(records, Ordering::AcqRel);
        self.pending_bytes.fetch_sub(bytes, Ordering::AcqRel);
    }

    pub(super) fn acknowledge(&self, batch: &Batch, bytes: usize) {
        self.acknowledged_ms.fetch_max(batch.through.millis(), Ordering::AcqRel);
        self.take_pending(batch.len(), bytes);
        self.commits.fetch_add(1, Ordering::Relaxed);
        self.wake();
    }

    pub(super) fn fail(&self, fault: Fault) {
        lock(&self.failure).get_or_insert(fault);
        self.wake();
    }
}

impl std::fmt::Debug for Acknowledged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Acknowledged")
            .field("acknowledged", &self.acknowledged())
            .field("pending", &self.pending())
            .field("waiting_bytes", &self.waiting_bytes())
            .field("failure", &self.failure())
            .finish_non_exhaustive()
    }
}
