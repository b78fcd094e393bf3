//! What there is to show of a job that runs elsewhere.

use super::job::{JobInfo, JobStatus, Watch};
use super::metrics::{self, Family};
use crate::market::Timestamp;
use crate::operators::support::gauges::{memory_bytes, wall_clock};
use crate::operators::support::stats::Records;
use std::sync::{PoisonError, RwLock};

/// A job that runs elsewhere, by what it has written.
pub struct StoredWatch {
    info: JobInfo,
    started_at: Timestamp,
    state: RwLock<(Option<Timestamp>, Option<String>)>,
}

impl StoredWatch {
    /// Of a store that was opened.
    #[must_use]
    pub fn new(info: JobInfo) -> Self {
        Self { info, started_at: wall_clock(), state: RwLock::default() }
    }

    /// Up to where the store is complete, and why it cannot be read.
    pub fn set_state(&self, through: Option<Timestamp>, trouble: Option<String>) {
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = (through, trouble);
    }

    fn state(&self) -> (Option<Timestamp>, Option<String>) {
        self.state.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Watch for StoredWatch {
    fn status(&self) -> Option<JobStatus> {
        Some(JobStatus {
            info: self.info.clone(),
            market: None,
            now: Some(wall_clock()),
            started_at: Some(self.started_at),
            runs: false,
            unready: self.unready(),
            records: Records::default(),
            unused: vec![],
            refused: vec![],
            rows: 0,
            forecasts: 0,
            published_through: self.state().0,
            watermark: None,
            watermark_lag_seconds: None,
            partitions: vec![],
            lag: None,
            workers: 0,
            processes: 0,
            pending: 0,
            commits: 0,
            commit_seconds: None,
            checkpoint: None,
            memory_bytes: memory_bytes(),
        })
    }

    fn families(&self) -> Vec<Family> {
        metrics::of_process()
    }

    fn dead(&self) -> Option<String> {
        None
    }

    fn unready(&self) -> Vec<String> {
        self.state().1.into_iter().collect()
    }
}
