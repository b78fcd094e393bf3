//! How long a partition has been quiet, as it was lived. Pure: moments come from outside.
//!
//! Only the time between two moments at which it was caught up counts, and no more of it than [`LOOK_MAX`]: what passed
//! while nobody looked (a process that was stopped, a machine that paused) is ours, not the partition's.

use crate::market::Timestamp;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The most that one look adds.
pub(super) const LOOK_MAX: Duration = Duration::from_secs(1);
/// A partition that was caught up within this time may be taken for caught up.
const FRESH: Duration = Duration::from_millis(1500);

/// The quiet time of one partition.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quiet {
    lived: Duration,
    /// When it was last caught up, or brought a tick; none while it is not caught up.
    last: Option<Instant>,
    caught_up: Option<Instant>,
}

impl Quiet {
    /// Quiet from now on.
    pub const fn new(now: Instant) -> Self {
        Self { lived: Duration::ZERO, last: Some(now), caught_up: None }
    }

    /// It brought a tick.
    pub const fn end(&mut self, now: Instant) {
        *self = Self::new(now);
    }

    /// It was caught up at `as_of`; none where nobody knows.
    pub fn look(&mut self, as_of: Option<Instant>) {
        self.caught_up = as_of;
        self.last = match (self.last, as_of) {
            (Some(last), Some(as_of)) => {
                self.lived += as_of.saturating_duration_since(last).min(LOOK_MAX);
                Some(last.max(as_of))
            }
            (_, as_of) => as_of,
        };
    }

    /// How much is missing to `timeout`; none while it is not caught up.
    pub fn missing(&self, timeout: Duration) -> Option<Duration> {
        self.caught_up.map(|_| timeout.saturating_sub(self.lived))
    }

    /// The moment whose watermark of the others it may follow to: now where it was caught up just now, the last moment at
    /// which it was caught up where that is longer ago (we were stopped, or its broker is slow), and none where nobody knows.
    pub fn follows_as_of(&self, now: Instant) -> Option<Instant> {
        self.caught_up.map(|as_of| if now.saturating_duration_since(as_of) <= FRESH { now } else { as_of })
    }
}

/// What the watermark of the others was, and when.
#[derive(Debug, Default)]
pub(super) struct Past(VecDeque<(Instant, Timestamp)>);

/// The most moments that are remembered; who was caught up before them waits.
const MOMENTS_MAX: usize = 256;

impl Past {
    /// Now it is this.
    pub fn note(&mut self, now: Instant, watermark: Timestamp) {
        if self.0.back().is_none_or(|(_, last)| watermark > *last) {
            self.0.push_back((now, watermark));
        }
        if self.0.len() > MOMENTS_MAX {
            self.0.pop_front();
        }
    }

    /// What it was then.
    pub fn at(&self, moment: Instant) -> Option<Timestamp> {
        self.0.iter().rev().find(|(at, _)| *at <= moment).map(|(_, watermark)| *watermark)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(3);

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// A partition that was caught up at each of these moments, in ms from `start`.
    fn looked_at(start: Instant, looks: impl IntoIterator<Item = u64>) -> Quiet {
        let mut quiet = Quiet::new(start);
        looks.into_iter().for_each(|at| quiet.look(Some(start + ms(at))));
        quiet
    }

    #[test]
    fn quiet_is_what_lies_between_looks_that_found_it_caught_up() {
        let start = Instant::now();
        let mut quiet = looked_at(start, (0..=2750).step_by(250));
        assert_eq!(quiet.missing(TIMEOUT), Some(ms(250)));
        quiet.look(Some(start + ms(2750)));
        assert_eq!(quiet.missing(TIMEOUT), Some(ms(250)), "a look without news adds nothing");
        quiet.look(None);
        assert_eq!(quiet.missing(TIMEOUT), None);
        quiet.look(Some(start + ms(60_000)));
        assert_eq!(quiet.missing(TIMEOUT), Some(ms(250)), "nobody knew meanwhile");
        quiet.look(Some(start + ms(60_250)));
        assert_eq!(quiet.missing(TIMEOUT), Some(ms(0)));
        quiet.end(start + ms(60_300));
        quiet.look(Some(start + ms(60_250)));
        assert_eq!(quiet.missing(TIMEOUT), Some(TIMEOUT), "what was known before the tick says nothing of after it");
        quiet.look(Some(start + ms(60_500)));
        assert_eq!(quiet.missing(TIMEOUT), Some(ms(2800)));
    }

    #[test]
    fn our_own_stall_is_not_its_quiet_time() {
        let start = Instant::now();
        let mut quiet = looked_at(start, [250, 500]);
        quiet.look(Some(start + ms(60_500)));
        assert_eq!(quiet.missing(TIMEOUT), Some(ms(1500)));
    }

    #[test]
    fn what_is_known_gets_old() {
        let start = Instant::now();
        let mut quiet = looked_at(start, [250]);
        let at = |ms_since: u64| start + ms(ms_since);
        assert_eq!(quiet.follows_as_of(at(1000)), Some(at(1000)));
        assert_eq!(
            quiet.follows_as_of(at(60_000)),
            Some(at(250)),
            "we were stopped, and it may hold a minute's records"
        );
        quiet.look(None);
        assert_eq!(quiet.follows_as_of(at(250)), None, "an upstream transaction is open");
    }

    #[test]
    fn the_watermark_of_then_is_what_was_noted_by_then() {
        let start = Instant::now();
        let mut past = Past::default();
        assert_eq!(past.at(start), None);
        for (noted, watermark) in [(100, 5), (200, 5), (300, 9)] {
            past.note(start + ms(noted), Timestamp::from_millis(watermark));
        }
        let at = |moment| past.at(start + ms(moment)).map(Timestamp::millis);
        assert_eq!([at(99), at(100), at(299), at(300), at(60_000)], [None, Some(5), Some(5), Some(9), Some(9)]);
    }
}
