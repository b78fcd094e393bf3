//! The job's wish to stop, and the one deadline that everybody's last work shares.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// From a request to stop to the moment at which nobody waits for anything any more; what is not written then is recomputed
/// next time. A supervisor gives ten seconds or more before it kills.
pub const STOP_TIME_MAX: Duration = Duration::from_millis(3500);

/// The job's wish to stop, shared by all its threads.
///
/// All budgets are shares of [`STOP_TIME_MAX`], counted from the request: workers publish what is closed in the first two
/// thirds, sinks begin nothing new after the first third, take back after the first half what they can, and what else they have
/// begun ends by the end.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// A part of its own, since a signal handler sets it.
    requested: Arc<AtomicBool>,
    /// When the request was seen first.
    since: OnceLock<Instant>,
    /// Asks for this one, too.
    parent: Option<Stop>,
}

impl Stop {
    /// Asks everybody to stop.
    pub fn request(&self) {
        self.0.requested.store(true, Ordering::SeqCst);
        self.0.since.get_or_init(Instant::now);
    }

    /// Whether somebody asked.
    #[must_use]
    pub fn requested(&self) -> bool {
        let requested = self.0.requested.load(Ordering::SeqCst) || self.0.parent.as_ref().is_some_and(Self::requested);
        if requested {
            self.0.since.get_or_init(Instant::now);
        }
        requested
    }

    /// A wish of its own, for a part of the work that may end by itself: who asks here asks there, not the other way round.
    #[must_use]
    pub fn child(&self) -> Self {
        Self(Arc::new(Inner { parent: Some(self.clone()), ..Inner::default() }))
    }

    /// The flag itself, for a signal handler.
    #[must_use]
    pub fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0.requested)
    }

    /// Time since somebody asked; none before.
    #[must_use]
    pub fn elapsed(&self) -> Option<Duration> {
        self.requested().then(|| self.0.since.get_or_init(Instant::now).elapsed())
    }

    /// Whether it is too late to begin to write something.
    #[must_use]
    pub fn begins_nothing(&self) -> bool {
        self.elapsed().is_some_and(|elapsed| elapsed >= STOP_TIME_MAX / 3)
    }

    /// Whether the workers have had their time to publish what is closed.
    #[must_use]
    pub fn leaves_the_rest(&self) -> bool {
        self.elapsed().is_some_and(|elapsed| elapsed >= STOP_TIME_MAX * 2 / 3)
    }

    /// Whether what has begun has to be given up, too.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.elapsed().is_some_and(|elapsed| elapsed >= STOP_TIME_MAX)
    }

    /// Whether it is time to take back what can be taken back.
    #[must_use]
    pub fn takes_back(&self) -> bool {
        self.elapsed().is_some_and(|elapsed| elapsed >= STOP_TIME_MAX / 2)
    }

    /// What is left until [`Stop::is_over`]; all of it before somebody asked.
    #[must_use]
    pub fn left(&self) -> Duration {
        STOP_TIME_MAX.saturating_sub(self.elapsed().unwrap_or_default())
    }

    /// Waits for `pause`, or less when somebody asks to stop. True when nobody did.
    #[must_use]
    pub fn sleep(&self, pause: Duration) -> bool {
        let end = Instant::now() + pause;
        while !self.requested() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            std::thread::sleep(left.min(Duration::from_millis(50)));
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_clock_runs_from_the_first_request_whoever_sees_it() {
        let stop = Stop::default();
        assert_eq!((stop.elapsed(), stop.is_over(), stop.begins_nothing()), (None, false, false));
        stop.flag().store(true, Ordering::SeqCst); // as a signal handler does
        let seen = stop.clone();
        assert!(seen.requested() && !seen.begins_nothing());
        let first = stop.elapsed().unwrap();
        stop.request();
        assert!(stop.elapsed().unwrap() >= first, "a second request does not start the clock anew");
        assert!(!stop.sleep(Duration::from_secs(60)));
    }

    #[test]
    fn a_part_may_end_by_itself_and_ends_with_the_whole() {
        let whole = Stop::default();
        let (one, other) = (whole.child(), whole.child());
        one.request();
        assert!(one.requested() && !whole.requested() && !other.requested());
        whole.request();
        assert!(other.requested() && other.elapsed().is_some());
    }
}
