//! What the source operator reads from: one worker's share of an input, partition by partition, without blocking.

use crate::formats::Decoder;
use crate::market::{Observation, PartitionId, SymbolTable, Timestamp};
use crate::recovery::{Fault, Refusal};
use std::sync::Arc;
use std::time::Instant;

/// Wakes who reads an input, from any thread: there is something to read again.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

/// One record as it came.
#[derive(Debug)]
pub struct Record<'a> {
    /// Offset in its partition; of a file, the number of the record, from 0.
    pub offset: u64,
    /// The broker's stamp, where there is a broker.
    pub broker_time: Option<Timestamp>,
    /// The key, where there is one.
    pub key: Option<&'a [u8]>,
    /// The value.
    pub value: Payload<'a>,
}

/// A record's value.
#[derive(Debug)]
pub enum Payload<'a> {
    /// Bytes that still have to be decoded.
    Bytes(&'a [u8]),
    /// None at all, as Kafka has it: its key was deleted.
    Null,
    /// An observation that needs no decoding: from memory.
    Observed(Observation),
    /// No record: what reads the records from here on, whose columns are others than before.
    Decoder(Decoder),
}

/// What the reader wants next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// More records.
    Continue,
    /// No more for now: this record was the last one that fits.
    Pause,
}

/// Where a partition stands after a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartitionState {
    /// There may be more at once.
    Behind,
    /// Nothing is here now, and nobody knows whether the partition holds more: its server is away or has not answered yet,
    /// or a transaction of an upstream producer is open.
    Waiting,
    /// Everything that the partition held at a moment has been read; more may have come since.
    CaughtUp {
        /// That moment.
        as_of: Instant,
    },
    /// A bounded partition was read to its end: nothing will come any more.
    Ended,
}

/// Why an input cannot go on. Each message names what is wrong and what to do.
#[derive(Clone, Debug, thiserror::Error)]
pub enum InputError {
    /// Something to be mended.
    #[error("{0}")]
    Failed(String),
    /// The source is not what the job was reading.
    #[error("{0}")]
    Refused(Box<Refusal>),
}

impl From<Refusal> for InputError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(Box::new(refusal))
    }
}

impl From<InputError> for Fault {
    fn from(error: InputError) -> Self {
        match error {
            InputError::Failed(text) => Self::failed(text),
            InputError::Refused(refusal) => (*refusal).into(),
        }
    }
}

/// One worker's share of an input.
///
/// Partitions are read one by one, so that one that runs ahead in event time is paused by not reading it.
pub trait Input {
    /// The partitions that this worker owns, ascending.
    fn partitions(&self) -> Vec<PartitionId>;

    /// The name of what a partition belongs to, for dead letters: Kafka topic or file.
    fn topic(&self, partition: PartitionId) -> Arc<str>;

    /// A decoder for a partition's records.
    ///
    /// # Errors
    /// When the partition's records cannot be decoded at all: a CSV file without the columns that are needed.
    fn decoder(&self, partition: PartitionId) -> Result<Decoder, InputError>;

    /// Hands at most `limit` records of `partition` to `visit`, until it says [`Flow::Pause`]; never waits. An input that keeps
    /// numbers of symbols has to [`SymbolTable::hold`] them.
    ///
    /// # Errors
    /// When the input cannot go on. What can be waited for (a broker that is away) is no error.
    fn read(
        &mut self,
        partition: PartitionId,
        limit: usize,
        symbols: &mut SymbolTable,
        visit: &mut dyn FnMut(Record<'_>, &mut SymbolTable) -> Flow,
    ) -> Result<PartitionState, InputError>;

    /// Whether a partition that is caught up holds no record at all.
    fn is_empty(&self, _partition: PartitionId) -> bool {
        false
    }

    /// The offset behind the last record of a partition that can be read, where that is known without asking anybody: for people.
    fn end(&self, _partition: PartitionId) -> Option<u64> {
        None
    }

    /// Takes what to call when there is something to read again where [`Input::read`] found nothing.
    ///
    /// It may be called too often, and a reader has to look by itself now and then: an input need not call it at all.
    fn set_wake(&mut self, _wake: Wake) {}

    /// Serves what belongs to no partition (a Kafka client's events). Called once per activation.
    ///
    /// # Errors
    /// As [`Input::read`].
    fn serve_events(&mut self) -> Result<(), InputError> {
        Ok(())
    }
}
