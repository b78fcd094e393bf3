//! The job: records in, windows, forecasts, results out.

use crate::config::Config;
use crate::connectors::input::{Input, InputError};
use crate::connectors::sink::{Sink, Stop};
use crate::market::Timestamp;
use crate::operators::stats::{Records, Stats};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Makes a worker's share of the input: `(worker index, number of workers)`.
pub type InputFactory = dyn Fn(usize, usize) -> Result<Box<dyn Input>, InputError> + Send + Sync;

/// Everything that a run needs.
pub struct Job {
    /// Checked configuration.
    pub config: Config,
    /// Worker threads.
    pub workers: usize,
    /// Whether workers talk through serialised channels, as they would between machines; for tests.
    pub serialised: bool,
    /// The input.
    pub input: Arc<InputFactory>,
    /// Where results go, in the order of writing: database, Kafka, files.
    pub sinks: Vec<Box<dyn Sink>>,
    /// Event time to use, `[from, to)`; records outside of it are ignored.
    pub range: (Option<Timestamp>, Option<Timestamp>),
    /// Idle releases that an earlier run decided, to be replayed.
    pub releases: Vec<crate::market::Release>,
    /// Ends the job without closing the windows that are open.
    pub stop: Stop,
    /// Counters, readable while the job runs.
    pub stats: Arc<Stats>,
}

/// Why a job failed. The message names what is wrong and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct JobError(pub String);

/// How forecasts of one symbol and horizon fared over the whole run.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct ScoreSummary {
    /// Scores that are not void.
    pub count: u64,
    /// Mean absolute error over that of repeating the last price.
    pub mae_ratio: Option<f64>,
    /// Share of outcomes inside of the interval.
    pub coverage: Option<f64>,
    /// Mean pinball loss over that of EWMA-volatility Gaussian quantiles.
    pub pinball_ratio: Option<f64>,
}

/// What a run did: the object that `--json` prints.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub struct Summary {
    /// Records by outcome.
    pub records: Records,
    /// Feature rows.
    pub rows: u64,
    /// Forecasts.
    pub forecasts: u64,
    /// Per symbol, per horizon (`1m`).
    pub scores: BTreeMap<String, BTreeMap<String, ScoreSummary>>,
    /// Wall-clock seconds.
    pub seconds: f64,
    /// Peak resident memory of the process.
    pub peak_memory_bytes: u64,
}
