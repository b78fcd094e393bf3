//! What a run did.

use super::scoreboard::ScoreSummary;
use crate::model::seed::forecaster::SeedStanding;
use crate::operators::support::stats::{Records, Refusal, Unused};
use std::collections::BTreeMap;

/// What a run did: the object that `--json` prints.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// Records by outcome.
    pub records: Records,
    /// Those that were not used, by reason and partition.
    pub unused: BTreeMap<Unused, u64>,
    /// The first record that was refused, by outcome and reason.
    pub refusals: BTreeMap<(&'static str, &'static str), Refusal>,
    /// Feature rows.
    pub rows: u64,
    /// Forecasts.
    pub forecasts: u64,
    /// Per symbol, per horizon (`1m`).
    pub scores: BTreeMap<String, BTreeMap<String, ScoreSummary>>,
    /// Per symbol, what the student project's model is worth; none where it does not run.
    pub seed: Option<BTreeMap<String, SeedStanding>>,
    /// Whether a bounded input was not read to its end.
    pub interrupted: bool,
    /// Wall-clock seconds.
    pub seconds: f64,
    /// Peak resident memory of the process.
    pub peak_memory_bytes: u64,
}

/// Peak resident memory of this process; 0 where the system does not tell.
#[must_use]
pub fn peak_memory_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}
