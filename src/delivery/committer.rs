//! The thread between the dataflow and the sinks.
//!
//! ```text
//!   dataflow --try_send--> bounded queue --merge--> database -> Kafka -> files --> acknowledged, wake the dataflow
//! ```
//!
//! A worker must never block, and a sink blocks for as long as its service is away. So batches wait in a bounded queue,
//! and the sources stop reading while more than [`PENDING_RECORDS_MAX`] or [`PENDING_BYTES_MAX`] wait. The thread merges what
//! the queue holds at that moment and never waits for more: an idle job commits at once, a busy one commits much at a time.
//! A batch is acknowledged when every sink has it; each sink gets all batches, in order, once.

pub use super::acknowledged::{Acknowledged, PENDING_BYTES_MAX, PENDING_RECORDS_MAX, Wake};
use super::batch::{BYTES_MAX, Batch, RECORDS_MAX};
use super::sink::{Ending, Sink, SinkError};
use super::stop::Stop;
use crate::market::Timestamp;
use crate::recovery::Fault;
use crossbeam_channel::{Receiver, Sender, TryRecvError, TrySendError};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The most batches that wait in the queue.
pub const QUEUE_BATCHES_MAX: usize = 1024;
/// The longest that one merge goes on while the queue is being refilled.
pub const MERGE_TIME_MAX: Duration = Duration::from_millis(200);

/// How much goes into one write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most records of a merged batch. A single batch that holds more is written whole.
    pub records_max: usize,
    /// The most bytes of one, with the same exception.
    pub bytes_max: usize,
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
            bytes_max: BYTES_MAX,
            merge_time_max: MERGE_TIME_MAX,
            queue_batches_max: QUEUE_BATCHES_MAX,
        }
    }
}

/// Called on the committer's thread after each commit, with the batch that every sink now has and how long it took.
pub type OnCommit = Box<dyn FnMut(&Batch, Duration) + Send>;

/// What travels through the queue: a batch with its bytes, which are counted once.
enum Message {
    Batch(Box<Batch>, usize),
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
        if self.queue.is_full() {
            return Err(batch);
        }
        let (records, bytes) = (batch.len(), batch.bytes());
        // Counted before it is handed over, since the other thread may acknowledge it at once.
        self.progress.add_pending(records, bytes);
        match self.queue.try_send(Message::Batch(Box::new(batch), bytes)) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(back) | TrySendError::Disconnected(back)) => {
                self.progress.take_pending(records, bytes);
                match back {
                    Message::Batch(batch, _) => Err(*batch),
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
    pub fn failure(&self) -> Option<Fault> {
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
        if let Some(fault) = written.as_ref().err().and_then(SinkError::fault) {
            self.progress.fail(fault);
        }
        let ending = match &written {
            Ok(()) => self.queue.ending,
            Err(SinkError::Stopped) => Ending::Stopped,
            Err(SinkError::Fatal(_) | SinkError::Refused(_)) => Ending::Failed,
        };
        let closed = self.close_sinks(ending);
        if let Some(fault) = closed.as_ref().err().and_then(SinkError::fault) {
            self.progress.fail(fault);
        }
        drop(guard);
        written.and(closed)
    }

    fn write_all(&mut self) -> Result<(), SinkError> {
        while let Some((batch, bytes)) = self.queue.next() {
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
            self.progress.acknowledge(&batch, bytes);
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
            self.0.fail(Fault::failed(PANICKED));
        }
    }
}

/// The sinks' end of the queue.
struct Queue {
    receiver: Receiver<Message>,
    /// Taken from the queue, but too much for the batch before.
    held: Option<(Batch, usize)>,
    closed: bool,
    /// As the one who closed it said; where nobody did, the job is gone.
    ending: Ending,
    limits: Limits,
}

impl Queue {
    /// The next merged batch and its bytes; waits for the first, never for another. None at the end.
    fn next(&mut self) -> Option<(Batch, usize)> {
        let (mut batch, mut bytes) = match self.held.take() {
            Some(held) => held,
            None if self.closed => return None,
            None => match self.receiver.recv() {
                Ok(Message::Batch(batch, bytes)) => (*batch, bytes),
                Ok(Message::Close(ending)) => {
                    self.ending = ending;
                    return None;
                }
                Err(_) => return None,
            },
        };
        let start = Instant::now();
        let Limits { records_max, bytes_max, merge_time_max, .. } = self.limits;
        while !self.closed && batch.len() < records_max && bytes < bytes_max && start.elapsed() < merge_time_max {
            match self.receiver.try_recv() {
                Ok(Message::Batch(more, more_bytes))
                    if batch.len() + more.len() <= records_max && bytes + more_bytes <= bytes_max =>
                {
                    batch.append(*more);
                    bytes += more_bytes;
                }
                Ok(Message::Batch(more, more_bytes)) => {
                    self.held = Some((*more, more_bytes));
                    break;
                }
                Ok(Message::Close(ending)) => (self.closed, self.ending) = (true, ending),
                Err(TryRecvError::Disconnected) => self.closed = true,
                Err(TryRecvError::Empty) => break,
            }
        }
        Some((batch, bytes))
    }
}

#[cfg(test)]
mod tests;
