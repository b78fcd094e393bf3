//! The job's own record in each transaction: how far it has published. What stands here has been published, and nothing
//! else has.

use super::computation::Computation;
use crate::market::{Generation, PartitionId, Release, Sequence, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The next offset to read, per partition.
pub type Offsets = BTreeMap<PartitionId, i64>;

/// The format of [`Progress`] that is written, and the only one that is read.
pub const PROGRESS_VERSION: u32 = 1;

/// The value of a record of `<forecast topic>.progress`, as JSON; its key is the job's id. The last one counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// [`PROGRESS_VERSION`]; 0 in a record of a tickcast that did not say what it computed.
    #[serde(default)]
    pub version: u32,
    /// The job's id.
    pub job: String,
    /// How many times the job has been started. A smaller one than what stands here is a zombie's.
    pub generation: Generation,
    /// How many of these records the job has written.
    pub sequence: Sequence,
    /// End of the last published pane, in epoch ms: every forecast issued and every score due by then is published.
    pub through: Timestamp,
    /// What is published of the first pane after `through` that has results; none where that is nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<Within>,
    /// What is computed.
    #[serde(default)]
    pub computation: Computation,
    /// The offsets that `start` was resolved to, and the first ones of partitions that came later.
    pub start: Offsets,
    /// The generation that this history began with: what an earlier one has kept is of another.
    #[serde(default)]
    pub history: Generation,
    /// Releases of lower offsets are no longer on record, since a checkpoint goes on from there; nothing where all are.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub releases_from: Offsets,
    /// How many partitions there were at first: the symbols that the job may have are divided over so many.
    #[serde(default)]
    pub partitions: u32,
    /// Dead letters of lower offsets are published.
    pub dead_letters: Offsets,
    /// All idle releases so far: decided by the wall clock once, replayed ever after.
    pub releases: Vec<Release>,
    /// The partitions that were idle at `through`.
    pub idle: BTreeMap<PartitionId, Release>,
    /// The names of the sinks that `through` holds for.
    #[serde(default)]
    pub covers: Vec<String>,
}

/// A part of a pane's results: they have one order, so that a number says which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Within {
    /// End of the pane.
    pub end: Timestamp,
    /// How many of its scores, then of its forecasts.
    pub records: usize,
}

impl Progress {
    /// Of a job that has never run.
    #[must_use]
    pub fn of(job: &str) -> Self {
        Self { version: PROGRESS_VERSION, job: job.to_owned(), ..Self::default() }
    }

    /// Whether anything is published.
    #[must_use]
    pub fn has_published(&self) -> bool {
        self.through > Timestamp::default() || self.within.is_some() || !self.dead_letters.is_empty()
    }

    /// What a resume has to decide as it was decided before.
    #[must_use]
    pub fn all_releases(&self) -> Vec<Release> {
        self.releases.iter().chain(self.idle.values()).copied().collect()
    }
}
