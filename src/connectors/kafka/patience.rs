//! What mends an error, and how long to wait for it.

use crate::delivery::{SinkError, Stop};
use crate::recovery::Fault;
use std::time::Duration;

/// What mends an error.
#[derive(Debug)]
pub(super) enum Trouble {
    /// A new producer, later.
    Renew(String),
    /// Nothing: the job stops.
    Stopped,
    /// Somebody.
    Fatal(String),
    /// Nothing here: another instance has taken over, or a person has to decide.
    Refused(Fault),
}

impl From<Trouble> for SinkError {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Stopped => Self::Stopped,
            Trouble::Renew(text) | Trouble::Fatal(text) => Self::Fatal(text),
            Trouble::Refused(fault) => Self::Refused(fault),
        }
    }
}

/// The job's wish to stop: what has begun goes on until its deadline.
pub(super) struct Patience<'a> {
    stop: &'a Stop,
}

impl<'a> Patience<'a> {
    pub fn new(stop: &'a Stop) -> Self {
        Self { stop }
    }

    /// Ends with [`Trouble::Stopped`] at the deadline after the job was asked to stop.
    pub fn check(&mut self) -> Result<(), Trouble> {
        if self.stop.is_over() {
            return Err(Trouble::Stopped);
        }
        Ok(())
    }

    /// The same for what can be taken back: earlier, so that there is time to do it.
    pub fn check_open(&mut self) -> Result<(), Trouble> {
        if self.stop.takes_back() {
            return Err(Trouble::Stopped);
        }
        Ok(())
    }

    /// The wish itself.
    pub fn stop(&self) -> &'a Stop {
        self.stop
    }

    /// Waits before something is begun anew, which is not worth it once the job is to stop.
    pub fn sleep(&self, pause: Duration) -> Result<(), Trouble> {
        if self.stop.sleep(pause) { Ok(()) } else { Err(Trouble::Stopped) }
    }
}

/// Pauses between attempts: 100 ms, doubled up to 5 s.
pub(super) struct Backoff(Duration);

impl Backoff {
    pub fn new() -> Self {
        Self(Duration::from_millis(100))
    }

    pub fn wait(&mut self, patience: &Patience<'_>) -> Result<(), Trouble> {
        patience.sleep(self.0)?;
        self.0 = (self.0 * 2).min(Duration::from_secs(5));
        Ok(())
    }
}
