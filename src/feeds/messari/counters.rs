//! What collecting has done so far: counted in one place, read by the log, the summary, and whoever exports metrics.

use super::client::{FAILURE_KINDS, FailureKind};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Shared with other threads.
#[derive(Debug, Default)]
pub struct Counters {
    polls: AtomicU64,
    published: AtomicU64,
    unchanged: AtomicU64,
    outdated: AtomicU64,
    failures: [AtomicU64; FAILURE_KINDS.len()],
    unacknowledged: AtomicU64,
    lag_ms: AtomicU64,
}

/// The counters at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Calls that have ended: the sum of the next four.
    pub polls: u64,
    /// Observations that were given to the broker's client.
    pub published: u64,
    /// Answers without a new trade.
    pub unchanged: u64,
    /// Answers that were older than what was published.
    pub outdated: u64,
    /// Calls that failed, by kind.
    pub failures: BTreeMap<&'static str, u64>,
    /// Observations that the broker has not acknowledged.
    pub unacknowledged: u64,
    /// How old the trade was in the latest new or unchanged answer, in milliseconds, by the API's own clocks.
    pub lag_ms: u64,
}

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Given to the broker's client.
    Published,
    /// Nothing new.
    Unchanged,
    /// Older than what was published.
    Outdated,
    /// No answer that can be used.
    Failed(FailureKind),
}

impl Counters {
    /// Counts a call.
    pub fn count(&self, outcome: Outcome) {
        self.polls.fetch_add(1, Relaxed);
        let counter = match outcome {
            Outcome::Published => &self.published,
            Outcome::Unchanged => &self.unchanged,
            Outcome::Outdated => &self.outdated,
            Outcome::Failed(kind) => &self.failures[kind as usize],
        };
        counter.fetch_add(1, Relaxed);
    }

    /// Sets how many observations wait for the broker.
    pub fn set_unacknowledged(&self, count: u64) {
        self.unacknowledged.store(count, Relaxed);
    }

    /// Sets how old the last trade was in an answer.
    pub fn set_lag_ms(&self, lag_ms: u64) {
        self.lag_ms.store(lag_ms, Relaxed);
    }

    /// The counters now.
    #[must_use]
    pub fn tally(&self) -> Tally {
        let read = |counter: &AtomicU64| counter.load(Relaxed);
        Tally {
            polls: read(&self.polls),
            published: read(&self.published),
            unchanged: read(&self.unchanged),
            outdated: read(&self.outdated),
            failures: FAILURE_KINDS.map(|kind| (kind.as_str(), read(&self.failures[kind as usize]))).into(),
            unacknowledged: read(&self.unacknowledged),
            lag_ms: read(&self.lag_ms),
        }
    }
}

impl Tally {
    /// All calls that failed.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.failures.values().sum()
    }
}

/// One line for people.
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { polls, published, unchanged, outdated, failures, unacknowledged, lag_ms } = self;
        write!(f, "{polls} polls: {published} published, {unchanged} unchanged, {outdated} outdated, ")?;
        write!(f, "{} failed", self.failed())?;
        let kinds: Vec<String> =
            failures.iter().filter(|(_, count)| **count > 0).map(|(kind, count)| format!("{count} {kind}")).collect();
        if !kinds.is_empty() {
            write!(f, " ({})", kinds.join(", "))?;
        }
        write!(f, "; {unacknowledged} wait for the broker; last trade {:.1} s old", *lag_ms as f64 / 1000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_call_is_counted_once_and_told() {
        let counters = Counters::default();
        for kind in FAILURE_KINDS {
            counters.count(Outcome::Failed(kind));
        }
        let outcomes = [Outcome::Published, Outcome::Published, Outcome::Unchanged, Outcome::Outdated];
        outcomes.into_iter().for_each(|outcome| counters.count(outcome));
        counters.count(Outcome::Failed(FailureKind::TimedOut));
        let tally = counters.tally();
        assert_eq!((tally.polls, tally.published, tally.unchanged, tally.outdated), (11, 2, 1, 1));
        assert_eq!(tally.polls, tally.published + tally.unchanged + tally.outdated + tally.failed());
        assert_eq!((tally.failures["timed_out"], tally.failures["unusable"]), (2, 1));
        assert_eq!(
            tally.to_string(),
            "11 polls: 2 published, 1 unchanged, 1 outdated, 7 failed (1 connection, 1 rate_limited, 1 refused, \
             1 server_error, 2 timed_out, 1 unusable); 0 wait for the broker; last trade 0.0 s old"
        );
    }
}
