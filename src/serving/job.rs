//! What a running job shows of itself.

mod parts;

use super::metrics::{self, Family};
use crate::market::forecast::EXPERTS;
use crate::market::{Span, Symbol, Timestamp};
use crate::operators::support::gauges::{PartitionGauge, memory_bytes, wall_clock};
use crate::operators::support::stats::{Records, Stats};
use serde::{Serialize, Serializer};
use std::sync::{Arc, PoisonError, RwLock};

/// A job is behind where records wait and the last one that it has read came so long ago.
const BEHIND_AFTER_MS: i64 = 30_000;

/// What is watched: a job, or a collector.
pub trait Watch: Send + Sync {
    /// Everything, as `/api/job` has it; none where there is no job.
    fn status(&self) -> Option<JobStatus>;

    /// What Prometheus gets of it.
    fn families(&self) -> Vec<Family>;

    /// What each expert has of the mixture of a symbol and horizon, in the order of their names; none where that is not known.
    fn weights(&self, _: &Symbol, _: Span) -> Option<[f64; EXPERTS]> {
        None
    }

    /// Why it should be started again; none where it should not.
    fn dead(&self) -> Option<String>;

    /// Why it is not ready, or behind; empty where it is.
    fn unready(&self) -> Vec<String>;
}

/// What a job is, whatever it does.
#[derive(Clone, Debug, Serialize)]
pub struct JobInfo {
    /// Its id.
    pub job: String,
    /// Of the program.
    pub version: &'static str,
    /// What its market has to be called wherever it shows: `SIMULATED MARKET`.
    pub label: Option<String>,
    /// Distance between forecasts.
    pub step: Span,
    /// How far ahead they look.
    pub horizons: Vec<Span>,
    /// Windows that there are bars of.
    pub windows: Vec<Span>,
    /// The share of outcomes that intervals are meant to hold.
    pub coverage: f64,
    /// Where results are read from.
    pub store: String,
    /// Whether `/api/explain` computes forecasts again.
    pub explains: bool,
}

/// A job at a moment.
#[derive(Clone, Debug, Serialize)]
pub struct JobStatus {
    /// What it is.
    #[serde(flatten)]
    pub info: JobInfo,
    /// Where its records come from, in words, where they come from inside this process.
    pub market: Option<String>,
    /// This machine's clock.
    #[serde(serialize_with = "stamp")]
    pub now: Option<Timestamp>,
    /// When it was started, by the same.
    #[serde(serialize_with = "stamp")]
    pub started_at: Option<Timestamp>,
    /// Whether it runs in this process.
    pub runs: bool,
    /// Why it is not ready; empty where it is.
    pub unready: Vec<String>,
    /// Records by outcome.
    pub records: Records,
    /// Records that were not used, by reason; the most frequent first.
    pub unused: Vec<UnusedStatus>,
    /// The first record of each reason.
    pub refused: Vec<RefusedStatus>,
    /// Feature rows.
    pub rows: u64,
    /// Forecasts.
    pub forecasts: u64,
    /// End of the last pane that every sink has.
    #[serde(serialize_with = "stamp")]
    pub published_through: Option<Timestamp>,
    /// Up to where everything was read, in event time.
    #[serde(serialize_with = "stamp")]
    pub watermark: Option<Timestamp>,
    /// How far that is behind this machine's clock.
    pub watermark_lag_seconds: Option<f64>,
    /// The partitions that this process reads.
    pub partitions: Vec<PartitionStatus>,
    /// Records that are there and not read, where that is known.
    pub lag: Option<u64>,
    /// Worker threads of a process.
    pub workers: usize,
    /// Processes.
    pub processes: usize,
    /// Records handed to the sinks and not acknowledged.
    pub pending: usize,
    /// Batches that all sinks have acknowledged.
    pub commits: u64,
    /// Mean time of such a batch.
    pub commit_seconds: Option<f64>,
    /// Its checkpoints; none where it keeps none yet.
    pub checkpoint: Option<CheckpointStatus>,
    /// Memory of this process.
    pub memory_bytes: Option<u64>,
}

/// Records that were not used, of one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnusedStatus {
    /// `late`, `quarantined`, `undecodable` or `ignored`.
    pub outcome: &'static str,
    /// A word out of a closed list.
    pub reason: &'static str,
    /// In all partitions.
    pub count: u64,
}

/// A record that was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RefusedStatus {
    /// As of [`UnusedStatus`].
    pub outcome: &'static str,
    /// As of [`UnusedStatus`].
    pub reason: &'static str,
    /// Topic or file.
    pub source: String,
    /// Its partition.
    pub partition: u32,
    /// Its offset.
    pub offset: u64,
    /// What is wrong with it, and what would be right.
    pub error: String,
}

/// A partition at a moment.
#[derive(Clone, Debug, Serialize)]
pub struct PartitionStatus {
    /// Topic or file.
    pub source: String,
    /// Its number.
    pub partition: u32,
    /// `active`, `idle` or `ended`; none before it is known.
    pub standing: Option<&'static str>,
    /// Up to where it is read, in event time.
    #[serde(serialize_with = "stamp")]
    pub watermark: Option<Timestamp>,
    /// The next offset.
    pub next_offset: u64,
    /// Records that are there and not read, where that is known.
    pub lag: Option<u64>,
    /// The broker's stamp on the last record that was read.
    #[serde(serialize_with = "stamp")]
    pub broker_time: Option<Timestamp>,
}

/// A job's checkpoints at a moment.
#[derive(Clone, Debug, Serialize)]
pub struct CheckpointStatus {
    /// How many this process has written.
    pub written: u64,
    /// How many it could not write.
    pub failed: u64,
    /// When the last one was written, by this machine's clock.
    #[serde(serialize_with = "stamp")]
    pub written_at: Option<Timestamp>,
    /// Up to where it reaches.
    #[serde(serialize_with = "stamp")]
    pub cut: Option<Timestamp>,
    /// How big it is.
    pub bytes: u64,
    /// How long it took to write.
    pub seconds: f64,
}

#[expect(clippy::ref_option, reason = "serde asks for it")]
fn stamp<S: Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => serializer.collect_str(at),
        None => serializer.serialize_none(),
    }
}

/// A job of this process: its counters, which a start anew replaces.
pub struct JobWatch {
    info: JobInfo,
    started_at: Timestamp,
    stats: RwLock<Arc<Stats>>,
    market: RwLock<Option<String>>,
    /// Whether this process publishes the job's results.
    publishes: bool,
}

impl JobWatch {
    /// Of a job that is about to begin.
    #[must_use]
    pub fn new(info: JobInfo) -> Self {
        Self { info, started_at: wall_clock(), stats: RwLock::default(), market: RwLock::default(), publishes: true }
    }

    /// Of a process that takes part in a job whose results another one publishes.
    #[must_use]
    pub fn of_helper(info: JobInfo) -> Self {
        Self { publishes: false, ..Self::new(info) }
    }

    /// It counts here from now on.
    pub fn set_stats(&self, stats: &Arc<Stats>) {
        if self.publishes {
            stats.gauges.want_weights();
        }
        *self.stats.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(stats);
    }

    /// Its records come from there.
    pub fn set_market(&self, words: String) {
        *self.market.write().unwrap_or_else(PoisonError::into_inner) = Some(words);
    }

    fn market(&self) -> Option<String> {
        self.market.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn stats(&self) -> Arc<Stats> {
        Arc::clone(&self.stats.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) const fn info(&self) -> &JobInfo {
        &self.info
    }
}

impl Watch for JobWatch {
    fn weights(&self, symbol: &Symbol, horizon: Span) -> Option<[f64; EXPERTS]> {
        self.stats().gauges.weights(symbol, horizon)
    }

    fn status(&self) -> Option<JobStatus> {
        let stats = self.stats();
        let running = stats.gauges.running();
        let now = wall_clock();
        let watermark = running.as_ref().and_then(|running| running.board.watermark());
        let commits = stats.gauges.commits.durations();
        let checkpoint = stats.gauges.checkpoint();
        let partitions = parts::partitions(&stats);
        Some(JobStatus {
            info: self.info.clone(),
            market: self.market(),
            now: Some(now),
            started_at: Some(self.started_at),
            runs: running.is_some(),
            unready: self.unready(),
            records: stats.records(),
            unused: parts::unused(&stats),
            refused: parts::refused(&stats),
            rows: stats.rows(),
            forecasts: stats.forecasts(),
            published_through: Some(stats.published_through()).filter(|ms| *ms > 0).map(Timestamp::from_millis),
            watermark,
            watermark_lag_seconds: watermark.map(|at| now.millis().saturating_sub(at.millis()) as f64 / 1000.0),
            lag: partitions.iter().map(|partition| partition.lag).sum(),
            partitions,
            workers: running.as_ref().map_or(0, |running| running.workers),
            processes: running.as_ref().map_or(0, |running| running.processes),
            pending: running.as_ref().map_or(0, |running| running.acknowledged.pending()),
            commits: running.as_ref().map_or(0, |running| running.acknowledged.commits()),
            commit_seconds: (commits.count > 0).then(|| commits.seconds / commits.count as f64),
            checkpoint: (checkpoint.written + checkpoint.failed > 0).then_some(CheckpointStatus {
                written: checkpoint.written,
                failed: checkpoint.failed,
                written_at: checkpoint.written_at,
                cut: checkpoint.cut,
                bytes: checkpoint.bytes,
                seconds: checkpoint.took.as_secs_f64(),
            }),
            memory_bytes: memory_bytes(),
        })
    }

    fn families(&self) -> Vec<Family> {
        metrics::of_job(self)
    }

    fn dead(&self) -> Option<String> {
        let running = self.stats().gauges.running()?;
        running.acknowledged.failure().map(|fault| format!("the job cannot go on: {}", fault.text))
    }

    fn unready(&self) -> Vec<String> {
        let stats = self.stats();
        let Some(running) = stats.gauges.running() else {
            return vec!["starting: the job does not run yet".to_owned()];
        };
        let mut reasons: Vec<String> = self.dead().into_iter().collect();
        let now = wall_clock();
        for (_, gauge, _) in stats.gauges.partitions() {
            reasons.extend(behind(&gauge, now));
        }
        if running.acknowledged.is_behind() {
            let pending = running.acknowledged.pending();
            reasons.push(format!("behind: the sinks have {pending} records to write, and reading waits for them"));
        }
        if self.publishes && stats.published_through() == 0 {
            reasons.push("warming: nothing is published yet".to_owned());
        }
        reasons
    }
}

/// What there is to say of a partition that is not read as fast as it is written.
fn behind(gauge: &PartitionGauge, now: Timestamp) -> Option<String> {
    let lag = gauge.lag().filter(|lag| *lag > 0)?;
    let age = gauge.broker_time.map(|at| now.millis().saturating_sub(at.millis()));
    if age.is_some_and(|age| age <= BEHIND_AFTER_MS) {
        return None;
    }
    let age = age.map_or_else(String::new, |age| format!(", and the last one that was read came {} s ago", age / 1000));
    Some(format!("behind: {lag} records of {} wait{age}", gauge.source))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gauge(lag: u64, broker_ms: Option<i64>) -> PartitionGauge {
        let broker_time = broker_ms.map(Timestamp::from_millis);
        PartitionGauge { source: "t".into(), next_offset: 5, end: Some(5 + lag), broker_time }
    }

    #[test]
    fn behind_is_what_waits_for_long() {
        let now = Timestamp::from_millis(100_000);
        assert_eq!(behind(&gauge(0, Some(1)), now), None, "a quiet market");
        assert_eq!(behind(&gauge(3, Some(90_000)), now), None, "being read");
        let words = "behind: 3 records of t wait, and the last one that was read came 90 s ago";
        assert_eq!(behind(&gauge(3, Some(10_000)), now).as_deref(), Some(words));
        assert_eq!(behind(&gauge(3, None), now).as_deref(), Some("behind: 3 records of t wait"));
    }

    #[test]
    fn a_job_that_does_not_run_is_not_ready_and_not_dead() {
        let info = JobInfo {
            job: "btc".to_owned(),
            version: "0",
            label: None,
            step: Span::from_millis(60_000),
            horizons: vec![],
            windows: vec![],
            coverage: 0.9,
            store: String::new(),
            explains: false,
        };
        let watch = JobWatch::new(info);
        assert_eq!((watch.dead(), watch.unready()), (None, vec!["starting: the job does not run yet".to_owned()]));
        let status = serde_json::to_value(watch.status()).unwrap();
        assert_eq!((&status["job"], &status["runs"], &status["watermark"]), (&"btc".into(), &false.into(), &().into()));
    }
}
