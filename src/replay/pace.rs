//! The loop that publishes: when each record is due, and what it waits for.

use super::{Clock, Ended, Publish, RecordSource, ReplayError, ReplayRecord, Replayed, Throttle, Until};
use crate::delivery::Stop;
use crate::market::Timestamp;
use std::collections::BTreeMap;
use std::time::Duration;

/// How fast records are published.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// As fast as they go.
    Max,
    /// At the pace of their event times, times this factor (positive).
    Recorded(f64),
}

/// The longest single wait: bounds how late a progress report or a stop can be.
const WAIT_MAX: Duration = Duration::from_millis(50);
/// How long to wait before asking a full partition's reader again.
const THROTTLE_WAIT: Duration = Duration::from_millis(2);
/// A replay that is this far behind its pace goes on from where it is, instead of catching up in a burst.
const BEHIND_MAX: Duration = Duration::from_secs(1);
/// Records between two looks at the clock where nothing has to be waited for.
const RECORDS_PER_LOOK: u64 = 256;
/// Time between two reports of progress.
const REPORT_EVERY: Duration = Duration::from_millis(100);

/// The moment on the clock at which an event time is due; both are set anew whenever the pace was lost.
#[derive(Clone, Copy, Debug)]
struct Anchor {
    at: Timestamp,
    elapsed: Duration,
}

/// Publishes a source's records at a pace.
pub struct Replayer<S, P, C> {
    source: S,
    publisher: P,
    clock: C,
    throttle: Option<Throttle>,
    /// No record is published before the wall clock shows its event time.
    behind_wall_clock: bool,
    next: ReplayRecord,
    /// Whether `next` holds a record that is still to be published.
    pending: bool,
    done: Replayed,
    /// Greatest event time per partition.
    latest: BTreeMap<Option<u32>, Timestamp>,
    reported: Duration,
}

impl<S: RecordSource, P: Publish, C: Clock> Replayer<S, P, C> {
    /// A replay that nothing holds back.
    pub fn new(source: S, publisher: P, clock: C) -> Self {
        Self {
            source,
            publisher,
            clock,
            throttle: None,
            behind_wall_clock: false,
            next: ReplayRecord::default(),
            pending: false,
            done: Replayed::default(),
            latest: BTreeMap::new(),
            reported: Duration::ZERO,
        }
    }

    /// Holds the replay back to what `throttle` admits.
    #[must_use]
    pub fn with_throttle(mut self, throttle: Throttle) -> Self {
        self.throttle = Some(throttle);
        self
    }

    /// Holds each record back until the wall clock shows its event time, however fast the pace.
    #[must_use]
    pub fn behind_wall_clock(mut self) -> Self {
        self.behind_wall_clock = true;
        self
    }

    /// How far it is.
    pub fn replayed(&self) -> Replayed {
        self.done
    }

    /// The least of the partitions' greatest event times: how far a reader's watermark can get, but for its allowed
    /// lateness. None before the first record.
    pub fn least_latest(&self) -> Option<Timestamp> {
        self.latest.values().min().copied()
    }

    /// The source, for what it has to report.
    pub fn source(&self) -> &S {
        &self.source
    }

    /// Publishes until the source ends, `until` is reached, or somebody asks to stop (honoured
    /// within 50 ms); unless stopped, everything published is acknowledged on return. May be called again, with another pace.
    /// `report` is called about ten times a second.
    ///
    /// # Errors
    /// When a record cannot be read or published.
    pub fn run(
        &mut self,
        pace: Pace,
        until: Until,
        stop: &Stop,
        report: &mut dyn FnMut(&Replayed),
    ) -> Result<Ended, ReplayError> {
        let ended = match self.publish_until(pace, until, stop, report) {
            Err(ReplayError::Stopped) => Ended::Stopped,
            ended => ended?,
        };
        match self.publisher.flush() {
            Err(ReplayError::Stopped) => {}
            flushed => flushed?,
        }
        report(&self.done);
        Ok(ended)
    }

    fn publish_until(
        &mut self,
        pace: Pace,
        until: Until,
        stop: &Stop,
        report: &mut dyn FnMut(&Replayed),
    ) -> Result<Ended, ReplayError> {
        let mut anchor = None;
        loop {
            if stop.requested() {
                return Ok(Ended::Stopped);
            }
            if !self.pending {
                if !self.source.read_into(&mut self.next)? {
                    return Ok(Ended::Source);
                }
                self.pending = true;
            }
            let reached = match until {
                Until::End => false,
                Until::Time(stamp) => self.next.at >= stamp,
                Until::Records(count) => self.done.records >= count,
            };
            if reached {
                return Ok(Ended::Until);
            }
            if !self.await_due(pace, &mut anchor, stop, report) || !self.await_room(stop, report)? {
                return Ok(Ended::Stopped);
            }
            self.publish_next()?;
            if self.done.records.is_multiple_of(RECORDS_PER_LOOK) {
                self.report_if_due(report);
            }
        }
    }

    fn publish_next(&mut self) -> Result<(), ReplayError> {
        let ReplayRecord { at, partition, key, value } = &self.next;
        self.publisher.publish(key, value)?;
        let bytes = key.len() + value.len();
        if let (Some(throttle), Some(partition)) = (&mut self.throttle, partition) {
            throttle.published(*partition, bytes);
        }
        let latest = self.latest.entry(*partition).or_insert(*at);
        *latest = (*latest).max(*at);
        if self.done.records == 0 {
            self.done.first_at = *at;
        }
        self.done.records += 1;
        self.done.bytes += bytes as u64;
        self.done.at = *at;
        self.pending = false;
        Ok(())
    }

    /// Waits until the next record is due. False when somebody asked to stop.
    fn await_due(
        &mut self,
        pace: Pace,
        anchor: &mut Option<Anchor>,
        stop: &Stop,
        report: &mut dyn FnMut(&Replayed),
    ) -> bool {
        if pace == Pace::Max && !self.behind_wall_clock {
            return true;
        }
        loop {
            let pause = self.pause(pace, anchor);
            if pause.is_zero() {
                return true;
            }
            // What waits to be batched would otherwise come late.
            self.report_if_due(report);
            if !self.clock.wait(pause.min(WAIT_MAX), stop) {
                return false;
            }
        }
    }

    /// How long to wait for the next record.
    fn pause(&self, pace: Pace, anchor: &mut Option<Anchor>) -> Duration {
        let wall = if self.behind_wall_clock {
            millis(self.next.at.millis().saturating_sub(self.clock.now().millis()))
        } else {
            Duration::ZERO
        };
        let Pace::Recorded(speed) = pace else {
            return wall;
        };
        let elapsed = self.clock.elapsed();
        let fresh = Anchor { at: self.next.at, elapsed };
        let from = *anchor.get_or_insert(fresh);
        let recorded = millis(self.next.at.millis().saturating_sub(from.at.millis()));
        let seconds = recorded.as_secs_f64() / speed;
        // A pace so slow that the moment cannot be told is waited for all the same.
        let offset = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
        let due = from.elapsed.saturating_add(offset);
        if elapsed.saturating_sub(due) > BEHIND_MAX {
            *anchor = Some(fresh);
        }
        due.saturating_sub(elapsed).max(wall)
    }

    /// Waits until the reader leaves room for the next record. False when somebody asked to stop.
    fn await_room(&mut self, stop: &Stop, report: &mut dyn FnMut(&Replayed)) -> Result<bool, ReplayError> {
        let bytes = self.next.key.len() + self.next.value.len();
        let Some(partition) = self.next.partition else {
            return Ok(true);
        };
        let mut flushed = false;
        while self.throttle.as_mut().is_some_and(|throttle| !throttle.admits(partition, bytes)) {
            if !flushed {
                // The reader can only get to what the broker has.
                self.publisher.flush()?;
                flushed = true;
            }
            self.report_if_due(report);
            if !self.clock.wait(THROTTLE_WAIT, stop) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn report_if_due(&mut self, report: &mut dyn FnMut(&Replayed)) {
        let elapsed = self.clock.elapsed();
        if elapsed.saturating_sub(self.reported) >= REPORT_EVERY {
            self.reported = elapsed;
            report(&self.done);
        }
    }
}

fn millis(ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}

#[cfg(test)]
mod tests;
