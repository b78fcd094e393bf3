//! Lists of a job's status.

use super::{PartitionStatus, RefusedStatus, UnusedStatus};
use crate::operators::support::board::Standing;
use crate::operators::support::stats::Stats;

/// Reasons for unused records that are told, the most frequent first.
const UNUSED_MAX: usize = 100;

pub(super) fn partitions(stats: &Stats) -> Vec<PartitionStatus> {
    let all = stats.gauges.partitions().into_iter();
    let of = all.map(|(partition, gauge, entry)| PartitionStatus {
        source: gauge.source.to_string(),
        partition: partition.number(),
        standing: entry.map(|entry| match entry.standing {
            Standing::Active => "active",
            Standing::Idle => "idle",
            Standing::Ended => "ended",
        }),
        watermark: entry.and_then(|entry| entry.watermark),
        next_offset: gauge.next_offset,
        lag: gauge.lag(),
        broker_time: gauge.broker_time,
    });
    of.collect()
}

pub(super) fn unused(stats: &Stats) -> Vec<UnusedStatus> {
    let mut all: Vec<UnusedStatus> = Vec::new();
    for (of, count) in stats.unused() {
        match all.iter_mut().find(|one| (one.outcome, one.reason) == (of.outcome, of.reason)) {
            Some(known) => known.count += count,
            None => all.push(UnusedStatus { outcome: of.outcome, reason: of.reason, count }),
        }
    }
    all.sort_by_key(|one| std::cmp::Reverse(one.count));
    all.truncate(UNUSED_MAX);
    all
}

pub(super) fn refused(stats: &Stats) -> Vec<RefusedStatus> {
    let each = stats.refusals().into_iter().map(|((outcome, reason), refusal)| RefusedStatus {
        outcome,
        reason,
        source: refusal.source.to_string(),
        partition: refusal.partition,
        offset: refusal.offset,
        error: refusal.error,
    });
    each.collect()
}
