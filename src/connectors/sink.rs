//! What the committer writes to. A batch is retried by its sink until it is written, or until the job stops.

use crate::market::{DeadLetter, FeatureRow, Forecast, PartitionId, Release, Score, StoredTick, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The most records of a batch that several were merged into, unless a sink asks for less.
pub const RECORDS_MAX: usize = 10_000;

/// What is ready to be published, in order: everything of all panes that end at or before `through` and were not in an
/// earlier batch, and dead letters.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// End of the last closed pane. Not later than the batch before where only dead letters are ready.
    pub through: Timestamp,
    /// Ordered by (`target_at`, symbol, horizon).
    pub scores: Vec<Score>,
    /// Ordered by (`issued_at`, symbol, horizon).
    pub forecasts: Vec<Forecast>,
    /// Ordered by (`end`, symbol). Empty unless a sink [`Sink::wants`] them.
    pub rows: Vec<FeatureRow>,
    /// Empty unless a sink [`Sink::wants`] them.
    pub ticks: Vec<StoredTick>,
    /// Ascending by offset per partition.
    pub dead_letters: Vec<DeadLetter>,
    /// Idle releases since the batch before.
    pub releases: Vec<Release>,
    /// For each partition that is idle now: the next offset, and the end of the last closed pane.
    pub idle: BTreeMap<PartitionId, Release>,
}

impl Batch {
    /// How many records it would publish.
    #[must_use]
    pub fn len(&self) -> usize {
        self.scores.len() + self.forecasts.len() + self.rows.len() + self.ticks.len() + self.dead_letters.len()
    }

    /// Whether there is nothing in it (it may still move `through`).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Puts `later` behind this one.
    pub fn append(&mut self, mut later: Self) {
        self.through = self.through.max(later.through);
        self.scores.append(&mut later.scores);
        self.forecasts.append(&mut later.forecasts);
        self.rows.append(&mut later.rows);
        self.ticks.append(&mut later.ticks);
        self.dead_letters.append(&mut later.dead_letters);
        self.releases.append(&mut later.releases);
        self.idle = later.idle;
    }
}

/// What optional streams a sink writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wants {
    /// Feature rows.
    pub rows: bool,
    /// Used ticks.
    pub ticks: bool,
}

/// Why a sink cannot go on. Each message names what is wrong and what to do.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// The job was asked to stop while the sink waited; what was not written is recomputed next time.
    #[error("stopped while writing")]
    Stopped,
    /// Nothing that waiting would mend.
    #[error("{0}")]
    Fatal(String),
}

/// Somewhere that results go. Called from the committer's own thread, so it may block.
pub trait Sink: Send {
    /// For messages: `kafka`, `mongodb`, `files`.
    fn name(&self) -> &'static str;

    /// What it writes besides forecasts, scores and dead letters.
    fn wants(&self) -> Wants {
        Wants::default()
    }

    /// The most records that it takes well in one write.
    fn records_max(&self) -> usize {
        RECORDS_MAX
    }

    /// Writes a batch and returns when it is durable. While the service is away it tries again, with a backoff, until `stop`.
    ///
    /// # Errors
    /// [`SinkError::Stopped`] when `stop` came first; [`SinkError::Fatal`] when waiting would not help.
    fn write(&mut self, batch: &Batch, stop: &Stop) -> Result<(), SinkError>;

    /// Closes it after the last batch.
    ///
    /// # Errors
    /// As [`Sink::write`].
    fn finish(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}

/// The job's wish to stop, shared by all its threads.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Asks everybody to stop.
    pub fn request(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether somebody asked.
    #[must_use]
    pub fn requested(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    /// The flag itself, for a signal handler.
    #[must_use]
    pub fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0)
    }

    /// Waits for `pause`, or less when somebody asks to stop. True when nobody did.
    #[must_use]
    pub fn sleep(&self, pause: Duration) -> bool {
        let end = Instant::now() + pause;
        while !self.requested() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            std::thread::sleep(left.min(Duration::from_millis(50)));
        }
        false
    }
}

/// A sink that an earlier run has written up to `through`: what lies before is left out.
///
/// Where the progress record says so, every result of a pane that ends by then is in the sink.
pub struct Resumed {
    sink: Box<dyn Sink>,
    through: Timestamp,
}

impl Resumed {
    /// Leaves out what `sink` has through `through`.
    #[must_use]
    pub fn new(sink: Box<dyn Sink>, through: Timestamp) -> Self {
        Self { sink, through }
    }

    fn is_new(&self, batch: &Batch) -> bool {
        let through = self.through;
        batch.scores.first().is_none_or(|s| s.target_at > through)
            && batch.forecasts.first().is_none_or(|f| f.issued_at > through)
            && batch.rows.first().is_none_or(|r| r.end > through)
            && batch.ticks.iter().all(|t| t.at >= through)
    }
}

impl Sink for Resumed {
    fn name(&self) -> &'static str {
        self.sink.name()
    }

    fn wants(&self) -> Wants {
        self.sink.wants()
    }

    fn records_max(&self) -> usize {
        self.sink.records_max()
    }

    fn write(&mut self, batch: &Batch, stop: &Stop) -> Result<(), SinkError> {
        if self.is_new(batch) {
            return self.sink.write(batch, stop);
        }
        let mut rest = batch.clone();
        rest.scores.retain(|s| s.target_at > self.through);
        rest.forecasts.retain(|f| f.issued_at > self.through);
        rest.rows.retain(|r| r.end > self.through);
        rest.ticks.retain(|t| t.at >= self.through);
        if rest.is_empty() { Ok(()) } else { self.sink.write(&rest, stop) }
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        self.sink.finish()
    }
}
