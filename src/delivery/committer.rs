//! The thread between the dataflow and the sinks.
//!
//! ```text
//!   dataflow --try_send--> bounded queue --merge--> database -> Kafka -> files --> acknowledged, wake the dataflow
//! ```
//!
//! A worker must never block, and a sink blocks for as long as its service is away. So batches wait in a bounded queue,
//! and the sources stop reading while [`Acknowledged::pending`] is above [`PENDING_RECORDS_MAX`]. The thread merges what the
//! queue holds at that moment and never waits for more: an idle job commits at once, a busy one commits much at a time.
//! A batch is acknowledged when every sink has it; each sink gets all batches, in order, once.

use super::batch::{Batch, RECORDS_MAX};
use super::sink::{Ending, Sink, SinkError};
use super::stop::Stop;
use crate::market::Timestamp;
use crossbeam_channel::{Receiver, Sender, TryRecvError, TrySendError};
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Sources stop reading while more records than this are handed over and not yet acknowledged.
pub const PENDING_RECORDS_MAX: usize = 20_000;
/// The most batches that wait in the queue.
pub const QUEUE_BATCHES_MAX: usize = 1024;
/// The longest that one merge goes on while the queue is being refilled.
pub const MERGE_TIME_MAX: Duration = Duration::from_millis(200);

/// How much goes into one write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most records of a merged batch. A single batch that holds more is written whole.
    pub records_max: usize,
    /// The longest that one merge goes on while the queue is being refilled.
    pub merge_time_max: Duration,
    /// The most batches that wait in the queue.
    pub queue_batches_max: usize,
}

impl Limits {
    /// What suits these sinks: the smallest of their [`Sink::records_max`].
    #[must_use]
    pub fn of(sinks: &[Box<dyn Sink>]) -> Self {
        let smallest = sinks.iter().map(|sink| sink.records_max()).min();
        Self {
            records_max: smallest.unwrap_or(RECORDS_MAX),
            merge_time_max: MERGE_TIME_MAX,
            queue_batches_max: QUEUE_BATCHES_MAX,
        }
    }
}

/// Called on the committer's thread after each commit, with the batch that every sink now has and how long it took.
pub type OnCommit = Box<dyn FnMut(&Batch, Duration) + Send>;
/// Wakes a part of the dataflow, from the committer's thread.
pub type Wake = Box<dyn Fn() + Send>;

/// How far the sinks are, readable from any thread.
#[derive(Default)]
pub struct Acknowledged {
    /// Epoch ms; 0 before the first acknowledgement.
    acknowledged_ms: AtomicI64,
    /// Records handed over and not yet acknowledged.
    pending: AtomicUsize,
    /// Merged batches acknowledged.
    commits: AtomicU64,
    failure: Mutex<Option<String>>,
    wakes: Mutex<Vec<Wake>>,
}

/// A poisoned lock here holds data that is whole: nothing in it can panic halfway through a change.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
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

    /// Whether sources should stop reading until sinks have caught up.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        self.pending() > PENDING_RECORDS_MAX
    }

    /// How many merged batches every sink has.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    /// Why the job cannot go on, once it cannot.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
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

    fn acknowledge(&self, batch: &Batch) {
        self.acknowledged_ms.fetch_max(batch.through.millis(), Ordering::AcqRel);
        self.pending.fetch_sub(batch.len(), Ordering::AcqRel);
        self.commits.fetch_add(1, Ordering::Relaxed);
        self.wake();
    }

    fn fail(&self, message: &str) {
        lock(&self.failure).get_or_insert_with(|| message.to_owned());
        self.wake();
    }
}

impl std::fmt::Debug for Acknowledged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Acknowledged")
            .field("acknowledged", &self.acknowledged())
            .field("pending", &self.pending())
            .field("failure", &self.failure())
            .finish_non_exhaustive()
    }
}

/// What travels through the queue.
enum Message {
    Batch(Box<Batch>),
    /// Nothing comes after it, whoever still holds a sender.
    Close(Ending),
}

/// The dataflow's end of the queue.
#[derive(Clone)]
pub struct BatchSender {
    queue: Sender<Message>,
    progress: Arc<Acknowledged>,
}

impl BatchSender {
    /// Hands a batch over; never waits.
    ///
    /// # Errors
    /// The batch itself when the queue is full (offer it again after a wake-up), or when the committer has ended:
    /// after [`Acknowledged::failure`], a stop, or [`CommitterHandle::finish`].
    #[expect(clippy::result_large_err, reason = "the batch goes back whole; boxing it would cost the usual case")]
    pub fn try_send(&self, batch: Batch) -> Result<(), Batch> {
        let records = batch.len();
        // Counted before it is handed over, since the other thread may acknowledge it at once.
        self.progress.pending.fetch_add(records, Ordering::AcqRel);
        match self.queue.try_send(Message::Batch(Box::new(batch))) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(back) | TrySendError::Disconnected(back)) => {
                self.progress.pending.fetch_sub(records, Ordering::AcqRel);
                match back {
                    Message::Batch(batch) => Err(*batch),
                    Message::Close(_) => Ok(()),
                }
            }
        }
    }

    /// How far the sinks are.
    #[must_use]
    pub fn progress(&self) -> &Arc<Acknowledged> {
        &self.progress
    }
}

/// The running committer, for the one that ends it.
pub struct CommitterHandle {
    sender: BatchSender,
    thread: JoinHandle<Result<(), SinkError>>,
}

impl CommitterHandle {
    /// An end of the queue for the dataflow.
    #[must_use]
    pub fn sender(&self) -> BatchSender {
        self.sender.clone()
    }

    /// How far the sinks are.
    #[must_use]
    pub fn progress(&self) -> Arc<Acknowledged> {
        Arc::clone(&self.sender.progress)
    }

    /// [`BatchSender::try_send`].
    ///
    /// # Errors
    /// As there.
    #[expect(clippy::result_large_err, reason = "the batch goes back whole; boxing it would cost the usual case")]
    pub fn try_send(&self, batch: Batch) -> Result<(), Batch> {
        self.sender.try_send(batch)
    }

    /// [`Acknowledged::acknowledged`].
    #[must_use]
    pub fn acknowledged(&self) -> Timestamp {
        self.sender.progress.acknowledged()
    }

    /// [`Acknowledged::pending`].
    #[must_use]
    pub fn pending(&self) -> usize {
        self.sender.progress.pending()
    }

    /// [`Acknowledged::failure`].
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        self.sender.progress.failure()
    }

    /// Closes the queue, waits until what it holds is written, and closes the sinks: as a run that ends so, unless a sink fails.
    ///
    /// # Errors
    /// [`SinkError::Stopped`] when a stop left batches unwritten; the first [`SinkError::Fatal`] of a sink.
    pub fn finish(self, ending: Ending) -> Result<(), SinkError> {
        // Waits for room in the queue; refused only where the thread has ended already.
        let _ = self.sender.queue.send(Message::Close(ending));
        self.thread.join().unwrap_or_else(|_| Err(SinkError::Fatal(PANICKED.to_owned())))
    }
}

const PANICKED: &str = "a sink panicked: this is a defect of tickcast, please report it with the log";

/// The committer; see [`Committer::spawn`].
pub struct Committer {
    sinks: Vec<Box<dyn Sink>>,
    /// The sink that is in no state to be closed.
    failed: Option<usize>,
    queue: Queue,
    stop: Stop,
    progress: Arc<Acknowledged>,
    on_commit: OnCommit,
}

impl Committer {
    /// Starts the thread that writes to `sinks` in their order: database, Kafka, files.
    ///
    /// # Errors
    /// When the system refuses another thread.
    pub fn spawn(
        sinks: Vec<Box<dyn Sink>>,
        limits: Limits,
        stop: Stop,
        on_commit: OnCommit,
    ) -> std::io::Result<CommitterHandle> {
        let (sender, receiver) = crossbeam_channel::bounded(limits.queue_batches_max);
        let progress = Arc::new(Acknowledged::default());
        let queue = Queue { receiver, held: None, closed: false, ending: Ending::Failed, limits };
        let committer = Self { sinks, failed: None, queue, stop, progress: Arc::clone(&progress), on_commit };
        let thread = std::thread::Builder::new().name("committer".to_owned()).spawn(move || committer.run())?;
        Ok(CommitterHandle { sender: BatchSender { queue: sender, progress }, thread })
    }

    fn run(mut self) -> Result<(), SinkError> {
        let guard = PanicGuard(Arc::clone(&self.progress));
        let written = self.write_all();
        if let Err(SinkError::Fatal(message)) = &written {
            self.progress.fail(message);
        }
        let ending = match &written {
            Ok(()) => self.queue.ending,
            Err(SinkError::Stopped) => Ending::Stopped,
            Err(SinkError::Fatal(_)) => Ending::Failed,
        };
        let closed = self.close_sinks(ending);
        if let Err(SinkError::Fatal(message)) = &closed {
            self.progress.fail(message);
        }
        drop(guard);
        written.and(closed)
    }

    fn write_all(&mut self) -> Result<(), SinkError> {
        while let Some(batch) = self.queue.next() {
            if self.stop.begins_nothing() {
                return Err(SinkError::Stopped);
            }
            let start = Instant::now();
            for (at, sink) in self.sinks.iter_mut().enumerate() {
                if let Err(error) = sink.write(&batch, &self.stop) {
                    self.failed = Some(at);
                    return Err(error);
                }
            }
            (self.on_commit)(&batch, start.elapsed());
            self.progress.acknowledge(&batch);
        }
        Ok(())
    }

    /// Closes every sink but one that failed; the first error counts.
    fn close_sinks(&mut self, ending: Ending) -> Result<(), SinkError> {
        let mut outcome = Ok(());
        for (at, sink) in self.sinks.iter_mut().enumerate() {
            if self.failed != Some(at) {
                outcome = outcome.and(sink.finish(ending));
            }
        }
        outcome
    }
}

/// Tells the dataflow when the thread ends by a panic: it would wait for ever.
struct PanicGuard(Arc<Acknowledged>);

impl Drop for PanicGuard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fail(PANICKED);
        }
    }
}

/// The sinks' end of the queue.
struct Queue {
    receiver: Receiver<Message>,
    /// Taken from the queue, but too much for the batch before.
    held: Option<Batch>,
    closed: bool,
    /// As the one who closed it said; where nobody did, the job is gone.
    ending: Ending,
    limits: Limits,
}

impl Queue {
    /// The next merged batch; waits for the first, never for another. None at the end.
    fn next(&mut self) -> Option<Batch> {
        let mut batch = match self.held.take() {
            Some(batch) => batch,
            None if self.closed => return None,
            None => match self.receiver.recv() {
                Ok(Message::Batch(batch)) => *batch,
                Ok(Message::Close(ending)) => {
                    self.ending = ending;
                    return None;
                }
                Err(_) => return None,
            },
        };
        let start = Instant::now();
        while !self.closed && batch.len() < self.limits.records_max && start.elapsed() < self.limits.merge_time_max {
            match self.receiver.try_recv() {
                Ok(Message::Batch(more)) if batch.len() + more.len() <= self.limits.records_max => batch.append(*more),
                Ok(Message::Batch(more)) => {
                    self.held = Some(*more);
                    break;
                }
                Ok(Message::Close(ending)) => (self.closed, self.ending) = (true, ending),
                Err(TryRecvError::Disconnected) => self.closed = true,
                Err(TryRecvError::Empty) => break,
            }
        }
        Some(batch)
    }
}

#[cfg(test)]
mod tests;
