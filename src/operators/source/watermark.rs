//! The watermark of one partition, and what it makes of an event time. Pure: decided by the partition's own sequence, and by
//! releases that are on record.

use crate::market::{Pane, PartitionId, Release, Slide, Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Whether a tick came in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timeliness {
    /// Its pane is open.
    InTime,
    /// Its pane had ended at or before the watermark of its partition.
    Late,
    /// Its pane was closed while its partition was idle.
    LateAfterIdle,
}

/// What is known of a partition's last release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum ReleaseState {
    /// It made no tick late so far.
    Candidate,
    /// It made a tick late, and has to get into the progress record.
    Effective,
    /// It is on its way there.
    Recorded,
}

/// What of a watermark is kept in a checkpoint; releases are on record elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct WatermarkState {
    latest: Option<Timestamp>,
    floor: Timestamp,
    idle_floor: Timestamp,
    release: Option<(Release, ReleaseState)>,
}

/// The watermark of one partition.
#[derive(Clone, Debug)]
pub(super) struct Watermark {
    partition: PartitionId,
    slide: Slide,
    allowed_lateness: Span,
    /// The greatest event time seen.
    latest: Option<Timestamp>,
    /// Start of the pane of the watermark: what lies before is late.
    floor: Timestamp,
    /// What lies before this is late since the partition was idle.
    idle_floor: Timestamp,
    /// The release behind `idle_floor`.
    release: Option<(Release, ReleaseState)>,
    /// Releases still to be replayed, ascending by offset.
    replay: VecDeque<Release>,
}

impl Watermark {
    /// Before the first tick; `releases` are those of an earlier run, of all partitions.
    pub fn new(partition: PartitionId, slide: Slide, allowed_lateness: Span, releases: &[Release]) -> Self {
        let mut replay: Vec<Release> = releases.iter().filter(|r| r.partition == partition).copied().collect();
        replay.sort_by_key(|release| (release.offset, release.before));
        let never = Timestamp::from_millis(i64::MIN);
        let replay = replay.into();
        Self {
            partition,
            slide,
            allowed_lateness,
            latest: None,
            floor: never,
            idle_floor: never,
            release: None,
            replay,
        }
    }

    /// What has to be kept of it.
    pub fn state(&self) -> WatermarkState {
        let Self { latest, floor, idle_floor, release, .. } = self;
        WatermarkState { latest: *latest, floor: *floor, idle_floor: *idle_floor, release: *release }
    }

    /// Goes on from what [`Watermark::state`] gave; the releases to be replayed stay.
    pub fn restore(&mut self, state: WatermarkState) {
        let WatermarkState { latest, floor, idle_floor, release } = state;
        // What was on its way to the record may not have got there.
        let release = release.map(|(release, state)| match state {
            ReleaseState::Recorded => (release, ReleaseState::Effective),
            state => (release, state),
        });
        (self.latest, self.floor, self.idle_floor, self.release) = (latest, floor, idle_floor, release);
    }

    /// The greatest event time seen less the allowed lateness.
    pub fn value(&self) -> Option<Timestamp> {
        self.latest.map(|latest| latest.minus(self.allowed_lateness))
    }

    /// The greatest event time seen.
    #[inline]
    pub fn latest(&self) -> Option<Timestamp> {
        self.latest
    }

    /// Before a record is read: releases that an earlier run decided at its offset hold from here on.
    pub fn replay_releases(&mut self, offset: u64) {
        while let Some(release) = self.replay.front().copied()
            && release.offset <= offset
        {
            self.replay.pop_front();
            let floor = release.before;
            if floor > self.idle_floor {
                self.idle_floor = floor;
                // Where it came from the partitions that were idle then, only its effect brings it to the releases that stay.
                self.release = Some((release, ReleaseState::Candidate));
            }
        }
    }

    /// The partition was idle, its capability has followed the others to `pane`, and it has a record at `offset` again.
    pub fn wake_from_idle(&mut self, offset: u64, pane: Pane) {
        let floor = self.slide.start_of(pane);
        if floor > self.floor.max(self.idle_floor) {
            self.idle_floor = floor;
            let release = Release { partition: self.partition, offset, before: floor };
            self.release = Some((release, ReleaseState::Candidate));
        }
    }

    /// Whether the pane of an event time is open.
    pub fn is_open(&self, at: Timestamp) -> bool {
        at >= self.floor.max(self.idle_floor)
    }

    /// Whether a tick at `at` comes in time; from then on it counts as seen.
    #[inline]
    pub fn judge(&mut self, at: Timestamp) -> Timeliness {
        let timeliness = if at < self.floor {
            Timeliness::Late
        } else if at < self.idle_floor {
            self.mark_release();
            Timeliness::LateAfterIdle
        } else {
            Timeliness::InTime
        };
        if self.latest.is_none_or(|latest| at > latest) {
            self.advance(at);
        }
        timeliness
    }

    fn advance(&mut self, at: Timestamp) {
        self.latest = Some(at);
        let watermark = at.minus(self.allowed_lateness);
        // Most ticks do not move the watermark into another pane.
        let within = watermark.millis().saturating_sub(self.floor.millis().max(i64::MIN / 2));
        if within >= self.slide.span().millis() {
            self.floor = self.slide.start_of(self.slide.pane_of(watermark));
        }
    }

    #[cold]
    fn mark_release(&mut self) {
        if let Some((_, state @ ReleaseState::Candidate)) = &mut self.release {
            *state = ReleaseState::Effective;
        }
    }

    /// A release that made a tick late and is not on its way to the progress record: from now on it is.
    pub fn take_effective(&mut self) -> Option<Release> {
        match &mut self.release {
            Some((release, state @ ReleaseState::Effective)) => {
                *state = ReleaseState::Recorded;
                Some(*release)
            }
            _ => None,
        }
    }

    /// The release that may still make ticks late.
    pub fn open_release(&self) -> Option<Release> {
        self.release.filter(|_| self.idle_floor > self.floor).map(|(release, _)| release)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watermark(releases: &[Release]) -> Watermark {
        Watermark::new(PartitionId(3), Slide::new(Span::from_millis(5000)), Span::from_millis(2000), releases)
    }

    const fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000 + ms)
    }

    #[test]
    fn late_is_what_ended_at_or_before_the_greatest_seen_less_the_lateness() {
        use Timeliness::{InTime, Late};
        let mut watermark = watermark(&[]);
        for (ms, expected) in [
            (4_000, InTime),
            (6_999, InTime), // the watermark is 4,999: pane [0, 5000) is open
            (100, InTime),
            (7_000, InTime), // 5,000: it has ended
            (4_999, Late),
            (5_000, InTime),
            (60_000, InTime), // 58,000: panes up to [50000, 55000) have ended
            (54_999, Late),
            (55_000, InTime),
        ] {
            assert_eq!(watermark.judge(at(ms)), expected, "at {ms}");
        }
        assert_eq!(watermark.value(), Some(at(58_000)));
    }

    /// What was decided by the wall clock once is decided by the record the next time.
    #[test]
    fn a_release_is_replayed_as_it_was() {
        use Timeliness::{InTime, Late, LateAfterIdle};
        let slide = Slide::new(Span::from_millis(5000));
        let records: [(u64, i64); 5] = [(7, 1_000), (8, 31_000), (9, 61_000), (10, 40_000), (11, 59_000)];
        let mut live = watermark(&[]);
        let mut seen = Vec::new();
        for (offset, ms) in records {
            live.replay_releases(offset);
            if offset == 8 {
                // Idle meanwhile: the others went on to 60 s.
                live.wake_from_idle(offset, slide.pane_of(at(60_000)));
            }
            seen.push(live.judge(at(ms)));
        }
        assert_eq!(seen, [InTime, LateAfterIdle, InTime, Late, LateAfterIdle]);
        let release = live.take_effective();
        assert!(release.is_some() && live.take_effective().is_none(), "told once");

        let mut replayed = watermark(&release.iter().copied().collect::<Vec<_>>());
        let again: Vec<Timeliness> = records
            .iter()
            .map(|&(offset, ms)| {
                replayed.replay_releases(offset);
                replayed.judge(at(ms))
            })
            .collect();
        assert_eq!(again, seen);
        assert_eq!(replayed.take_effective(), release, "told again: the record keeps one of each");
    }

    #[test]
    fn a_release_that_the_watermark_has_passed_is_closed() {
        let mut watermark = watermark(&[]);
        watermark.judge(at(1_000));
        watermark.wake_from_idle(5, Slide::new(Span::from_millis(5000)).pane_of(at(60_000)));
        assert!(watermark.open_release().is_some());
        watermark.judge(at(70_000));
        assert_eq!(watermark.open_release(), None);
        assert_eq!(watermark.take_effective(), None);
    }
}
