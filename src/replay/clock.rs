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
#[must_use]
#[allow(clippy::disallowed_methods, reason = "a replay may be asked not to run ahead of the wall clock")]
pub fn wall_clock() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
