//! What a running job shows of itself besides its counts: how far it is behind, how long things took, when its state was kept.
//!
//! All of it is read from outside while the job runs, and none of it decides anything.

use super::board::{Board, BoardEntry};
use crate::delivery::committer::Acknowledged;
use crate::market::forecast::EXPERTS;
use crate::market::{PartitionId, Span, Symbol, Timestamp};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Upper ends of a [`Histogram`]'s bins, in seconds; what is longer counts in no bin but the whole.
pub const BOUNDS: [f64; 14] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0];
/// The most panes whose last record's arrival is kept until their forecasts are acknowledged.
const ARRIVALS_MAX: usize = 4096;

/// The time of day, to be shown to people or to pace a replay: nothing is computed from it.
#[must_use]
#[allow(clippy::disallowed_methods, reason = "results do not depend on it: it is shown")]
pub fn wall_clock() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Resident memory of this process, as the system says; none where it does not say it so.
#[must_use]
pub fn memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

/// Durations, counted by length; written by some threads, read by others.
#[derive(Debug, Default)]
pub struct Histogram {
    bins: [AtomicU64; BOUNDS.len()],
    count: AtomicU64,
    micros: AtomicU64,
}

/// A [`Histogram`] at a moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Durations {
    /// How many were at most as long as each of [`BOUNDS`], shorter ones included.
    pub cumulative: [u64; BOUNDS.len()],
    /// How many there were.
    pub count: u64,
    /// Their sum, in seconds.
    pub seconds: f64,
}

impl Histogram {
    /// Counts one.
    pub fn add(&self, duration: Duration) {
        let seconds = duration.as_secs_f64();
        if let Some(bin) = BOUNDS.iter().position(|bound| seconds <= *bound) {
            self.bins[bin].fetch_add(1, Ordering::Relaxed);
        }
        self.count.fetch_add(1, Ordering::Relaxed);
        self.micros.fetch_add(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// What was counted so far.
    #[must_use]
    pub fn durations(&self) -> Durations {
        let mut sum = 0;
        let cumulative = std::array::from_fn(|bin| {
            sum += self.bins[bin].load(Ordering::Relaxed);
            sum
        });
        // Another thread may be between two of the additions: a bin never holds more than the whole.
        let count = self.count.load(Ordering::Relaxed).max(sum);
        Durations { cumulative, count, seconds: self.micros.load(Ordering::Relaxed) as f64 / 1e6 }
    }
}

/// How far a partition of the source is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionGauge {
    /// The topic, file or collection.
    pub source: Arc<str>,
    /// The next offset to be read.
    pub next_offset: u64,
    /// Behind the last record that can be read, where that is known.
    pub end: Option<u64>,
    /// The broker's stamp on the last record that was read.
    pub broker_time: Option<Timestamp>,
}

impl PartitionGauge {
    /// Records that are there and not read, where that is known.
    #[must_use]
    pub fn lag(&self) -> Option<u64> {
        self.end.map(|end| end.saturating_sub(self.next_offset))
    }
}

/// What became of checkpoints.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CheckpointGauge {
    /// How many were written.
    pub written: u64,
    /// How many could not be.
    pub failed: u64,
    /// When the last one was written, by this machine's clock.
    pub written_at: Option<Timestamp>,
    /// Up to where in event time it reaches.
    pub cut: Option<Timestamp>,
    /// How big it is.
    pub bytes: u64,
    /// How long it took from the end of its wait to its manifest.
    pub took: Duration,
}

/// A job's parts that others look at, once it runs.
#[derive(Clone, Debug)]
pub struct Running {
    /// Watermarks of all partitions.
    pub board: Arc<Board>,
    /// How far the sinks are.
    pub acknowledged: Arc<Acknowledged>,
    /// Worker threads of this process.
    pub workers: usize,
    /// Processes that run the job.
    pub processes: usize,
}

/// Everything that one process shows.
#[derive(Debug, Default)]
pub struct Gauges {
    running: Mutex<Option<Running>>,
    partitions: Mutex<BTreeMap<PartitionId, PartitionGauge>>,
    checkpoint: Mutex<CheckpointGauge>,
    arrivals: Mutex<BTreeMap<Timestamp, Timestamp>>,
    weights: Mutex<BTreeMap<Symbol, Weights>>,
    wants_weights: AtomicBool,
    /// From the broker's stamp on the record that closed a step to its forecasts being acknowledged by all sinks.
    pub latency: Histogram,
    /// From a batch's turn to its acknowledgement by all sinks.
    pub commits: Histogram,
    /// What forecasting a step of all of a worker's symbols took, training included.
    pub steps: Histogram,
    /// What a step took that ends an epoch: training of all of a worker's symbols is most of it.
    pub training: Histogram,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What each expert has of the mixture, by horizon.
pub type Weights = Vec<(Span, [f64; EXPERTS])>;

impl Gauges {
    /// Somebody looks at the experts' weights from now on.
    pub fn want_weights(&self) {
        self.wants_weights.store(true, Ordering::Relaxed);
    }

    /// Whether somebody does.
    #[must_use]
    pub fn wants_weights(&self) -> bool {
        self.wants_weights.load(Ordering::Relaxed)
    }

    /// Notes the weights of symbols, as they are now.
    pub fn set_weights(&self, of: impl Iterator<Item = (Symbol, Weights)>) {
        lock(&self.weights).extend(of);
    }

    /// The weights of a symbol and horizon, as last noted; none where another process has them, or there are none.
    #[must_use]
    pub fn weights(&self, symbol: &Symbol, horizon: Span) -> Option<[f64; EXPERTS]> {
        let weights = lock(&self.weights);
        weights.get(symbol)?.iter().find(|(of, _)| *of == horizon).map(|(_, weights)| *weights)
    }

    /// The job runs from now on.
    pub fn set_running(&self, running: Running) {
        *lock(&self.running) = Some(running);
    }

    /// Its parts; none before it runs.
    #[must_use]
    pub fn running(&self) -> Option<Running> {
        lock(&self.running).clone()
    }

    /// Notes how far a partition is read.
    pub fn set_partition(&self, partition: PartitionId, gauge: PartitionGauge) {
        lock(&self.partitions).insert(partition, gauge);
    }

    /// The partitions that this process reads, and where they stand.
    #[must_use]
    pub fn partitions(&self) -> Vec<(PartitionId, PartitionGauge, Option<BoardEntry>)> {
        let board = self.running().map(|running| running.board);
        let entry = |partition| board.as_ref().and_then(|board| board.entry(partition));
        let all = lock(&self.partitions);
        all.iter().map(|(partition, gauge)| (*partition, gauge.clone(), entry(*partition))).collect()
    }

    /// A record with this stamp of the broker has closed all panes that end at or before `end`.
    pub fn note_arrival(&self, end: Timestamp, broker_time: Timestamp) {
        let mut arrivals = lock(&self.arrivals);
        let at = arrivals.entry(end).or_insert(broker_time);
        *at = (*at).max(broker_time);
        while arrivals.len() > ARRIVALS_MAX {
            arrivals.pop_first();
        }
    }

    /// Everything through `through` is acknowledged, forecasts among it, at `now` by this machine's clock.
    pub fn note_acknowledged(&self, through: Timestamp, now: Timestamp) {
        let mut arrivals = lock(&self.arrivals);
        let mut last = None;
        while arrivals.first_key_value().is_some_and(|(end, _)| *end <= through) {
            last = arrivals.pop_first();
        }
        drop(arrivals);
        if let Some((_, broker_time)) = last {
            let millis = now.millis().saturating_sub(broker_time.millis());
            // Clocks of two machines: a broker that is ahead has no latency below zero.
            self.latency.add(Duration::from_millis(u64::try_from(millis).unwrap_or(0)));
        }
    }

    /// A checkpoint was written, or could not be.
    pub fn set_checkpoint(&self, change: impl FnOnce(&mut CheckpointGauge)) {
        change(&mut lock(&self.checkpoint));
    }

    /// What became of checkpoints.
    #[must_use]
    pub fn checkpoint(&self) -> CheckpointGauge {
        *lock(&self.checkpoint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_counted_by_length() {
        let histogram = Histogram::default();
        for millis in [1, 2, 80, 120_000] {
            histogram.add(Duration::from_millis(millis));
        }
        let Durations { cumulative, count, seconds } = histogram.durations();
        assert_eq!((cumulative[0], cumulative[1], cumulative[5], cumulative[6], cumulative[13]), (1, 2, 2, 3, 3));
        assert_eq!((count, seconds), (4, 120.083));
    }

    #[test]
    fn latency_is_that_of_the_record_that_closed_the_last_pane() {
        let gauges = Gauges::default();
        let at = Timestamp::from_millis;
        gauges.note_arrival(at(5000), at(105_000));
        gauges.note_arrival(at(5000), at(104_000));
        gauges.note_arrival(at(10_000), at(110_000));
        gauges.note_arrival(at(15_000), at(115_000));
        gauges.note_acknowledged(at(4000), at(1));
        assert_eq!(gauges.latency.durations().count, 0, "no pane was closed by then");
        gauges.note_acknowledged(at(10_000), at(110_250));
        let Durations { count, seconds, .. } = gauges.latency.durations();
        assert_eq!((count, seconds), (1, 0.25));
        gauges.note_acknowledged(at(20_000), at(100_000));
        assert_eq!(gauges.latency.durations().seconds, 0.25, "a broker's clock that is ahead");
        for end in 0..10_000 {
            gauges.note_arrival(at(end), at(0));
        }
        assert_eq!(lock(&gauges.arrivals).len(), ARRIVALS_MAX);
    }

    #[test]
    fn lag_is_what_is_there_and_not_read() {
        let gauge = PartitionGauge { source: "t".into(), next_offset: 7, end: Some(10), broker_time: None };
        assert_eq!(gauge.lag(), Some(3));
        assert_eq!(PartitionGauge { end: Some(5), ..gauge.clone() }.lag(), Some(0), "the end is told now and then");
        assert_eq!(PartitionGauge { end: None, ..gauge }.lag(), None);
    }
}
