//! How long each part of a start takes, for the log (`TICKCAST_LOG=debug`).

use std::time::Instant;

/// The parts of a start so far.
pub(super) struct Phases {
    last: Instant,
}

impl Phases {
    /// Begins.
    pub fn begin() -> Self {
        Self { last: Instant::now() }
    }

    /// What took until now.
    pub fn end(&mut self, what: &str) {
        let now = Instant::now();
        tracing::debug!("start: {what} took {:.3} s", now.duration_since(self.last).as_secs_f64());
        self.last = now;
    }
}
