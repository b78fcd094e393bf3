//! What the committer writes to. A batch is retried by its sink until it is written, or until the job stops.

use super::batch::{Batch, RECORDS_MAX};
use super::stop::Stop;
use crate::recovery::Fault;

/// What optional streams a sink writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wants {
    /// Feature rows, all of them.
    pub rows: bool,
    /// Feature rows at the ends of whole windows: those at which a window's span divides the time.
    pub bars: bool,
    /// Used ticks.
    pub ticks: bool,
}

/// Why a sink cannot go on. Each message names what is wrong and what to do.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// The job was asked to stop while the sink waited; what was not written is recomputed next time.
    #[error("stopped while writing")]
    Stopped,
    /// Nothing that waiting would mend.
    #[error("{0}")]
    Fatal(String),
    /// Another instance has taken over, or a person has to decide.
    #[error("{0}")]
    Refused(Fault),
}

impl SinkError {
    /// Why it cannot go on; none where it was asked to stop.
    #[must_use]
    pub fn fault(&self) -> Option<Fault> {
        match self {
            Self::Stopped => None,
            Self::Fatal(text) => Some(Fault::failed(text.clone())),
            Self::Refused(fault) => Some(fault.clone()),
        }
    }
}

/// How a run ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Its input ended, and all that follows from it is written.
    Complete,
    /// Somebody asked it to stop: what is written is right, and there is more to come.
    Stopped,
    /// It could not go on.
    Failed,
}

/// Somewhere that results go. Called from the committer's own thread, so it may block.
pub trait Sink: Send {
    /// For messages: `kafka`, `mongodb`, `files`.
    fn name(&self) -> &'static str;

    /// What it writes besides forecasts, scores and dead letters.
    fn wants(&self) -> Wants {
        Wants::default()
    }

    /// The most records that it takes well in one write.
    fn records_max(&self) -> usize {
        RECORDS_MAX
    }

    /// Writes a batch and returns when it is durable. While the service is away it tries again, with a backoff, until `stop`.
    ///
    /// # Errors
    /// [`SinkError::Stopped`] when `stop` came first; [`SinkError::Fatal`] when waiting would not help.
    fn write(&mut self, batch: &Batch, stop: &Stop) -> Result<(), SinkError>;

    /// Closes it after the last batch, of a run that ends so.
    ///
    /// # Errors
    /// As [`Sink::write`].
    fn finish(&mut self, _ending: Ending) -> Result<(), SinkError> {
        Ok(())
    }
}
