//! What travels from the dataflow to the sinks.

use crate::market::{DeadLetter, FeatureRow, Forecast, PartitionId, Release, Score, StoredTick, Timestamp};
use std::collections::BTreeMap;

/// The most records of a batch that several were merged into, unless a sink asks for less.
pub const RECORDS_MAX: usize = 10_000;

/// The most bytes of such a batch. A broker that takes 1 MB/s has them within the time that a transaction may take (10 s).
pub const BYTES_MAX: usize = 8 << 20;
/// What a score or a forecast takes up, in memory or as a record with its headers: an estimate, as the next two are.
pub const RESULT_BYTES: usize = 1024;
/// Of a window of a row.
const WINDOW_BYTES: usize = 128;
/// Of a tick for the `data` collection.
pub const TICK_BYTES: usize = 512;

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
    /// Ordered by (`end`, symbol). Empty unless a sink [`Sink::wants`](super::Sink::wants) them.
    pub rows: Vec<FeatureRow>,
    /// Empty unless a sink [`Sink::wants`](super::Sink::wants) them.
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

    /// How many bytes it takes up: dead letters as they are, results by estimate.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let letters: usize = self.dead_letters.iter().map(DeadLetter::bytes).sum();
        let rows: usize = self.rows.iter().map(|row| (row.windows.len() + 1) * WINDOW_BYTES).sum();
        letters + rows + (self.scores.len() + self.forecasts.len()) * RESULT_BYTES + self.ticks.len() * TICK_BYTES
    }

    /// Of these, what came straight from the source: dead letters and ticks.
    #[must_use]
    pub fn aside_bytes(&self) -> usize {
        self.dead_letters.iter().map(DeadLetter::bytes).sum::<usize>() + self.ticks.len() * TICK_BYTES
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
