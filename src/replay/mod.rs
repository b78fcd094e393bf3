//! Publishes records that exist already (recorded files, the simulated market) into a topic: merged by event time, at
//! the recorded pace times a factor or as fast as it goes, and never further ahead of a reader than it may be.
//!
//! A [`RecordSource`] hands over records; [`Replayer`] paces them; a [`Publish`] takes them. Buffers go round: in a
//! steady state no record allocates.

pub mod clock;
pub mod files;
pub mod merge;
mod pace;
pub mod throttle;
pub mod topic;

pub use clock::{Clock, SystemClock, wall_clock};
pub use files::FileSource;
pub use merge::Merge;
pub use pace::{Pace, Replayer};
pub use throttle::{Ahead, Throttle};
pub use topic::TopicPublisher;

use crate::market::Timestamp;
use crate::simulation::{self, SimulatedMarket};

/// One record to be published. Its buffers are filled again and again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplayRecord {
    /// Event time.
    pub at: Timestamp,
    /// The partition that the key leads to, where a [`Throttle`] has to know.
    pub partition: Option<u32>,
    /// Key: the symbol.
    pub key: Vec<u8>,
    /// Value.
    pub value: Vec<u8>,
}

/// Why a replay cannot go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// Somebody asked to stop while it waited.
    #[error("stopped while publishing")]
    Stopped,
    /// Nothing that waiting would mend. The message names what is wrong and what to do.
    #[error("{0}")]
    Fatal(String),
}

/// Records in the order in which they are to be published.
pub trait RecordSource {
    /// Fills `record` with the next one; false when there is none.
    ///
    /// # Errors
    /// When the records cannot be read any further.
    fn read_into(&mut self, record: &mut ReplayRecord) -> Result<bool, ReplayError>;
}

/// What records are published to.
pub trait Publish {
    /// Takes one record; may wait while its queue is full. The key decides on the partition.
    ///
    /// # Errors
    /// When it cannot be published, now or ever.
    fn publish(&mut self, key: &[u8], value: &[u8]) -> Result<(), ReplayError>;

    /// Waits until everything that was taken has been acknowledged.
    ///
    /// # Errors
    /// When something was not.
    fn flush(&mut self) -> Result<(), ReplayError>;
}

/// How far a replay is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Records published.
    pub records: u64,
    /// Bytes of their keys and values.
    pub bytes: u64,
    /// Event time of the first one.
    pub first_at: Timestamp,
    /// Event time of the last one.
    pub at: Timestamp,
}

/// How far [`Replayer::run`] is to publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// To the end of the source.
    End,
    /// Up to the first record at or after this stamp, which is kept for the next run.
    Time(Timestamp),
    /// This many records, counted from the first of all runs.
    Records(u64),
}

/// Why [`Replayer::run`] returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The source has no more.
    Source,
    /// What [`Until`] names was reached.
    Until,
    /// Somebody asked to stop.
    Stopped,
}

/// The simulated market as records: each symbol in a partition of its own.
impl RecordSource for SimulatedMarket {
    fn read_into(&mut self, record: &mut ReplayRecord) -> Result<bool, ReplayError> {
        let Some(tick) = self.next() else {
            return Ok(false);
        };
        record.at = tick.at;
        record.partition = Some(simulation::PARTITIONS[tick.index]);
        record.key.clear();
        record.key.extend_from_slice(tick.symbol.as_bytes());
        record.value.clear();
        tick.write_json(&mut record.value);
        Ok(true)
    }
}
