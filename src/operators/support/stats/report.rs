//! What one process of a cluster has counted, on its way to another.

use super::{Reason, Records, Refusal, Stats, Unused};
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::Instant;

/// Unused records by outcome and reason; below zero where they were counted elsewhere.
type SignedCounts = Vec<((String, String), i64)>;

/// What the workers of one process have counted.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub struct StatsReport {
    records: Records,
    /// By source and partition.
    unused: Vec<(Arc<str>, u32, SignedCounts)>,
    /// The first, by outcome and reason.
    refusals: Vec<((String, String), Refusal)>,
    rows: u64,
    forecasts: u64,
}

impl Stats {
    /// Everything, for another process.
    #[must_use]
    pub fn report(&self) -> StatsReport {
        let owned = |(outcome, reason): (&str, &str)| (outcome.to_owned(), reason.to_owned());
        let mut unused: BTreeMap<(Arc<str>, u32), Vec<_>> = BTreeMap::new();
        for (Unused { outcome, reason, source, partition }, count) in &*self.lock_unused() {
            unused.entry((Arc::clone(source), *partition)).or_default().push((owned((outcome, reason)), *count));
        }
        StatsReport {
            records: self.records(),
            unused: unused.into_iter().map(|((source, partition), counts)| (source, partition, counts)).collect(),
            refusals: self.refusals().into_iter().map(|(of, refusal)| (owned(of), refusal)).collect(),
            rows: self.rows(),
            forecasts: self.forecasts(),
        }
    }

    /// Adds what another process has counted.
    pub fn add_report(&self, report: StatsReport) {
        let StatsReport { records, unused, refusals, rows, forecasts } = report;
        self.add_records(&records);
        let mut all = self.lock_unused();
        for (source, partition, counts) in unused {
            for ((outcome, reason), count) in counts {
                // Words out of closed lists, once per process.
                let (outcome, reason) = (&*String::leak(outcome), &*String::leak(reason));
                *all.entry(Unused { outcome, reason, source: Arc::clone(&source), partition }).or_default() += count;
            }
        }
        drop(all);
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        for ((outcome, reason), first) in refusals {
            // Words out of closed lists, once per process.
            let of = (&*String::leak(outcome), &*String::leak(reason));
            refused.entry(of).or_insert_with(|| Reason { first, told_at: Instant::now(), since: 0 });
        }
        self.add_rows(rows);
        self.add_forecasts(forecasts);
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::repeats::{Repeat, Share};
    use super::super::{TakenBack, Tally};
    use super::*;
    use crate::market::PartitionId;

    /// The record is counted in one process, and found to be a repeat in another.
    #[test]
    fn sums_of_two_processes_are_what_one_would_have() {
        let (topic, partition): (Arc<str>, _) = ("t".into(), PartitionId(3));
        let (reads, finds) = (Stats::default(), Stats::default());
        reads.add_records(&Records { used: 5, ..Records::default() });
        let mut tally = Tally::default();
        tally.add("partly", "duplicate");
        reads.add_unused(&topic, 3, &mut tally);
        finds.name_partition(partition, &topic);
        let share = Share { of: 1, told: true };
        finds.take_back(&mut vec![Repeat { partition, offset: 9, share }], &mut TakenBack::new());
        let report = postcard::to_allocvec(&finds.report()).unwrap();
        reads.add_report(postcard::from_bytes(&report).unwrap());
        assert_eq!(reads.records(), Records { used: 4, ignored: 1, ..Records::default() });
        let unused: Vec<_> = reads.unused().into_iter().map(|(of, count)| (of.outcome, of.source, count)).collect();
        assert_eq!(unused, [("ignored", topic, 1)]);
    }
}
