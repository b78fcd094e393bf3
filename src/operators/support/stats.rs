//! What a running job counts, shared by its workers and readable from outside.

mod report;

use super::gauges::Gauges;
use super::repeats::{Found, Repeat, Repeats};
use crate::market::PartitionId;
use std::collections::BTreeMap;
use std::ops::AddAssign as _;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub use report::StatsReport;

/// Records by outcome: every record read is counted in exactly one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Records {
    /// Entered a window.
    pub used: u64,
    /// Came after its pane had closed.
    pub late: u64,
    /// Too far ahead of its broker's stamp.
    pub quarantined: u64,
    /// Could not be read.
    pub undecodable: u64,
    /// Well-formed, but without a price, or one that was used already.
    pub ignored: u64,
}

impl Records {
    /// Adds others.
    pub fn add(&mut self, more: &Self) {
        self.used += more.used;
        self.late += more.late;
        self.quarantined += more.quarantined;
        self.undecodable += more.undecodable;
        self.ignored += more.ignored;
    }

    /// Whether records were read and none was used.
    #[must_use]
    pub fn used_none(&self) -> bool {
        self.used == 0 && self.total() > 0
    }

    /// All records read.
    #[must_use]
    pub fn total(&self) -> u64 {
        let others = self.late + self.quarantined + self.undecodable;
        // One process may take back what another has counted as used: their sum is right.
        self.used.wrapping_add(self.ignored).wrapping_add(others)
    }
}

/// Why records of one partition were not used.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Unused {
    /// `late`, `quarantined`, `undecodable` or `ignored`; `partly`, where it was used, but some of its trades were not.
    pub outcome: &'static str,
    /// A word out of a closed list: of `ignored`, the kind of message.
    pub reason: &'static str,
    /// The topic or file.
    pub source: Arc<str>,
    /// The partition.
    pub partition: u32,
}

/// One record that was refused, and why.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Refusal {
    /// The topic or file.
    pub source: Arc<str>,
    /// The partition.
    pub partition: u32,
    /// Its offset; of a file, its number.
    pub offset: u64,
    /// Which field is wrong, what stood there, and what would be right.
    pub error: String,
}

/// Unused records of one partition by outcome and reason, gathered during a read: there are few of these.
#[derive(Debug, Default)]
pub struct Tally(Vec<Counted>);

/// Unused records by outcome and reason.
pub type UnusedCounts = BTreeMap<(String, String), u64>;

#[derive(Debug)]
struct Counted {
    outcome: &'static str,
    reason: &'static str,
    count: u64,
    /// Offset and words of the first one that was refused.
    refused: Option<(u64, String)>,
}

impl Tally {
    /// Counts one record.
    #[inline]
    pub fn add(&mut self, outcome: &'static str, reason: &'static str) {
        self.counted(outcome, reason).count += 1;
    }

    /// Counts one record that was refused at `offset`; of the first, keeps the words.
    pub fn add_refused(&mut self, outcome: &'static str, reason: &'static str, offset: u64, words: &str) {
        let counted = self.counted(outcome, reason);
        counted.count += 1;
        counted.refused.get_or_insert_with(|| (offset, words.to_owned()));
    }

    /// Adds what was gathered to counts by outcome and reason.
    pub fn add_to(&self, counts: &mut UnusedCounts) {
        for Counted { outcome, reason, count, .. } in &self.0 {
            *counts.entry(((*outcome).to_owned(), (*reason).to_owned())).or_default() += count;
        }
    }

    fn counted(&mut self, outcome: &'static str, reason: &'static str) -> &mut Counted {
        let known = self.0.iter().position(|c| c.outcome == outcome && c.reason == reason);
        let at = known.unwrap_or_else(|| {
            self.0.push(Counted { outcome, reason, count: 0, refused: None });
            self.0.len() - 1
        });
        &mut self.0[at]
    }
}

/// Records that were counted as used and are repeats, by partition: whole ones, and those of which a part is one.
pub type TakenBack = BTreeMap<(PartitionId, bool), i64>;

/// Where repeats of a partition's records are counted.
fn duplicate(outcome: &'static str, repeats: &Repeats, repeat: &Repeat) -> Unused {
    let source = repeats.source(repeat.partition);
    Unused { outcome, reason: "duplicate", source, partition: repeat.partition.number() }
}

/// How often a reason is told while the job runs.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// What is known of the refusals of one reason.
#[derive(Debug)]
struct Reason {
    first: Refusal,
    told_at: Instant,
    /// Refusals since it was told last.
    since: u64,
}

/// Counters of one job in one process.
#[derive(Debug, Default)]
pub struct Stats {
    used: AtomicU64,
    late: AtomicU64,
    quarantined: AtomicU64,
    undecodable: AtomicU64,
    ignored: AtomicU64,
    rows: AtomicU64,
    forecasts: AtomicU64,
    /// End of the last pane that every sink has, in epoch ms; 0 before the first.
    published_through: AtomicI64,
    /// Below zero where another process has counted what is taken back here.
    unused: Mutex<BTreeMap<Unused, i64>>,
    /// By outcome and reason.
    refused: Mutex<BTreeMap<(&'static str, &'static str), Reason>>,
    repeats: Mutex<Repeats>,
    /// What it shows besides.
    pub gauges: Gauges,
}

impl Stats {
    /// Adds to the records by outcome.
    pub fn add_records(&self, more: &Records) {
        let Records { used, late, quarantined, undecodable, ignored } = *more;
        let counters = [
            (&self.used, used),
            (&self.late, late),
            (&self.quarantined, quarantined),
            (&self.undecodable, undecodable),
            (&self.ignored, ignored),
        ];
        for (counter, by) in counters.into_iter().filter(|(_, by)| *by > 0) {
            counter.fetch_add(by, Ordering::Relaxed);
        }
    }

    /// Adds what was gathered of a partition, and empties it.
    pub fn add_unused(&self, source: &Arc<str>, partition: u32, tally: &mut Tally) {
        if tally.0.is_empty() {
            return;
        }
        let mut unused = self.lock_unused();
        for Counted { outcome, reason, count, refused } in tally.0.drain(..) {
            *unused.entry(Unused { outcome, reason, source: Arc::clone(source), partition }).or_default() +=
                count as i64;
            if let Some((offset, error)) = refused {
                self.refuse((outcome, reason), count, Refusal { source: Arc::clone(source), partition, offset, error });
            }
        }
    }

    /// Adds what an earlier run has counted of a partition.
    pub fn add_all_unused(&self, source: &Arc<str>, partition: u32, counts: UnusedCounts) {
        let mut unused = self.lock_unused();
        for ((outcome, reason), count) in counts {
            // Words out of closed lists, once per start.
            let (outcome, reason) = (String::leak(outcome), String::leak(reason));
            *unused.entry(Unused { outcome, reason, source: Arc::clone(source), partition }).or_default() +=
                count as i64;
        }
    }

    /// Keeps the first refusal of a reason, and tells of it now and then.
    fn refuse(&self, (outcome, reason): (&'static str, &'static str), count: u64, refusal: Refusal) {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let tell = |count: u64, Refusal { source, partition, offset, error }: &Refusal| {
            tracing::warn!(
                "{count} records {outcome} ({reason}), one of them {source}/{partition} offset {offset}: {error}"
            );
        };
        match refused.get_mut(&(outcome, reason)) {
            None => {
                tell(count, &refusal);
                refused.insert((outcome, reason), Reason { first: refusal, told_at: now, since: 0 });
            }
            Some(known) => {
                known.since += count;
                if now.duration_since(known.told_at) >= TELL_EVERY {
                    tell(known.since, &refusal);
                    (known.told_at, known.since) = (now, 0);
                }
            }
        }
    }

    /// The first record that was refused, by outcome and reason.
    #[must_use]
    pub fn refusals(&self) -> BTreeMap<(&'static str, &'static str), Refusal> {
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.iter().map(|(reason, known)| (*reason, known.first.clone())).collect()
    }

    /// A partition's topic or file: repeats of its records are counted by it.
    pub fn name_partition(&self, partition: PartitionId, source: &Arc<str>) {
        self.lock_repeats().name(partition, source);
    }

    /// What was counted as used, and turned out to repeat what another partition's records have said: records of which nothing
    /// else is left are ignored. What was taken back is added to `all`.
    pub fn take_back(&self, found: &mut Vec<Repeat>, all: &mut TakenBack) {
        if found.is_empty() {
            return;
        }
        let mut repeats = self.lock_repeats();
        let mut unused = self.lock_unused();
        for repeat in found.drain(..) {
            let partly = match repeats.find(&repeat) {
                Found::Whole { told } => {
                    all.entry((repeat.partition, true)).or_default().add_assign(1);
                    self.used.fetch_sub(1, Ordering::Relaxed);
                    self.ignored.fetch_add(1, Ordering::Relaxed);
                    let ignored = duplicate("ignored", &repeats, &repeat);
                    *unused.entry(ignored).or_default() += 1;
                    -i64::from(told)
                }
                Found::Partly => 1,
                Found::More => 0,
            };
            if partly != 0 {
                all.entry((repeat.partition, false)).or_default().add_assign(partly);
                let key = duplicate("partly", &repeats, &repeat);
                let count = unused.entry(key.clone()).or_default();
                *count += partly;
                if *count == 0 {
                    unused.remove(&key);
                }
            }
        }
    }

    /// Takes back what an earlier run has taken back of a partition.
    pub fn add_taken_back(&self, source: &Arc<str>, partition: PartitionId, all: &TakenBack) {
        let mut unused = self.lock_unused();
        for (&(_, whole), &count) in all.iter().filter(|((of, _), count)| *of == partition && **count != 0) {
            let outcome = if whole { "ignored" } else { "partly" };
            if whole {
                let count = count.unsigned_abs();
                self.used.fetch_sub(count, Ordering::Relaxed);
                self.ignored.fetch_add(count, Ordering::Relaxed);
            }
            let key =
                Unused { outcome, reason: "duplicate", source: Arc::clone(source), partition: partition.number() };
            let known = unused.entry(key.clone()).or_default();
            *known += count;
            if *known == 0 {
                unused.remove(&key);
            }
        }
    }

    fn lock_repeats(&self) -> MutexGuard<'_, Repeats> {
        self.repeats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_unused(&self) -> MutexGuard<'_, BTreeMap<Unused, i64>> {
        self.unused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records by outcome so far.
    #[must_use]
    pub fn records(&self) -> Records {
        Records {
            used: self.used.load(Ordering::Relaxed),
            late: self.late.load(Ordering::Relaxed),
            quarantined: self.quarantined.load(Ordering::Relaxed),
            undecodable: self.undecodable.load(Ordering::Relaxed),
            ignored: self.ignored.load(Ordering::Relaxed),
        }
    }

    /// Unused records so far, by reason and partition.
    #[must_use]
    pub fn unused(&self) -> BTreeMap<Unused, u64> {
        let counted =
            |(of, count): (&Unused, &i64)| Some((of.clone(), u64::try_from(*count).ok().filter(|count| *count > 0)?));
        self.lock_unused().iter().filter_map(counted).collect()
    }

    /// Adds to the feature rows.
    pub fn add_rows(&self, more: u64) {
        self.rows.fetch_add(more, Ordering::Relaxed);
    }

    /// Feature rows so far.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    /// Adds to the forecasts.
    pub fn add_forecasts(&self, more: u64) {
        self.forecasts.fetch_add(more, Ordering::Relaxed);
    }

    /// Forecasts so far.
    #[must_use]
    pub fn forecasts(&self) -> u64 {
        self.forecasts.load(Ordering::Relaxed)
    }

    /// Notes how far everything is published, in epoch ms.
    pub fn set_published_through(&self, ms: i64) {
        self.published_through.fetch_max(ms, Ordering::Relaxed);
    }

    /// End of the last pane that every sink has, in epoch ms; 0 before the first.
    #[must_use]
    pub fn published_through(&self) -> i64 {
        self.published_through.load(Ordering::Relaxed)
    }
}
