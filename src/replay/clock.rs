//! The clocks that a replay keeps pace with; tests bring their own.

use crate::delivery::Stop;
use crate::market::Timestamp;
use std::time::{Duration, Instant};

/// What a replay needs of time.
pub trait Clock {
    /// Time since some fixed moment; never goes back.
    fn elapsed(&self) -> Duration;

    /// The time of day.
    fn now(&self) -> Timestamp;

    /// Waits for `pause`, or less when somebody asks to stop. True when nobody did.
    fn wait(&mut self, pause: Duration, stop: &Stop) -> bool;
}

/// The machine's clocks.
#[derive(Debug)]
pub struct SystemClock(Instant);

impl Default for SystemClock {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Clock for SystemClock {
    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    fn now(&self) -> Timestamp {
        wall_clock()
    }

    fn wait(&mut self, pause: Duration, stop: &Stop) -> bool {
        stop.sleep(pause)
    }
}

/// The time of day.
pub use crate::operators::support::gauges::wall_clock;
