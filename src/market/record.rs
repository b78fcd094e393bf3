//! Where a record stands in its input, and what becomes of one that cannot be used.

use super::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::Digest as _;
use std::sync::Arc;

/// A Kafka partition's number, or a file's place in the list of files. Partitions of a history that a topic goes on from come
/// before those of the topic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PartitionId(pub u32);

/// Partitions of history have numbers from here on: more than a topic can have.
const HISTORY: u32 = 0xffff_0000;

impl PartitionId {
    /// How many partitions a history may have.
    pub const HISTORY_MAX: u32 = u32::MAX - HISTORY;

    /// The partition of a history with this number, below [`PartitionId::HISTORY_MAX`].
    #[must_use]
    pub const fn of_history(number: u32) -> Self {
        Self(HISTORY + number)
    }

    /// Whether it belongs to a history.
    #[inline]
    #[must_use]
    pub const fn is_history(self) -> bool {
        self.0 >= HISTORY
    }

    /// Its number in what it belongs to.
    #[inline]
    #[must_use]
    pub const fn number(self) -> u32 {
        if self.is_history() { self.0 - HISTORY } else { self.0 }
    }
}

impl Ord for PartitionId {
    #[inline]
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        // Those of history become the smallest.
        self.0.wrapping_sub(HISTORY).cmp(&other.0.wrapping_sub(HISTORY))
    }
}

impl PartialOrd for PartitionId {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// How many times a job has been started: a smaller one than what is on record is a zombie's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Generation(pub u64);

impl Generation {
    /// That of the start after it.
    #[must_use]
    pub const fn following(self) -> Self {
        Self(self.0 + 1)
    }
}

impl std::fmt::Display for Generation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// The number of a progress record among those of its job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sequence(pub u64);

impl Sequence {
    /// That of the record after it.
    #[must_use]
    pub const fn following(self) -> Self {
        Self(self.0 + 1)
    }
}

/// The total order of ticks: event time, then partition, then offset, then place in the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Order {
    /// Event time.
    pub at: Timestamp,
    /// Partition.
    pub partition: PartitionId,
    /// Offset in the partition; of a file, the number of the record, from 0.
    pub offset: u64,
    /// Which of the trades in the record, from 0.
    pub index: u32,
}

/// A record that was not used, with its original bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// Kafka topic or file.
    pub topic: Arc<str>,
    /// Partition.
    pub partition: PartitionId,
    /// Offset.
    pub offset: u64,
    /// The record's key.
    pub key: Option<Vec<u8>>,
    /// The record's value, cut to [`DEAD_LETTER_BYTES_MAX`].
    pub value: Vec<u8>,
    /// SHA-256 of the whole value in hexadecimal digits, where it was cut.
    pub sha256: Option<String>,
    /// What is wrong with it, for people.
    pub error: String,
}

impl DeadLetter {
    /// A dead letter of a record's bytes, cut where they are longer than [`DEAD_LETTER_BYTES_MAX`].
    #[must_use]
    pub fn new(
        topic: Arc<str>,
        partition: PartitionId,
        offset: u64,
        key: Option<&[u8]>,
        value: &[u8],
        error: String,
    ) -> Self {
        let cut = &value[..value.len().min(DEAD_LETTER_BYTES_MAX)];
        let sha256 = (cut.len() < value.len()).then(|| {
            let digest = sha2::Sha256::digest(value);
            digest.iter().map(|byte| format!("{byte:02x}")).collect()
        });
        Self { topic, partition, offset, key: key.map(<[u8]>::to_vec), value: cut.to_vec(), sha256, error }
    }

    /// What it takes up, in memory and as a record.
    #[must_use]
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.value.len() + self.key.as_ref().map_or(0, Vec::len) + self.error.len()
    }
}

/// The most bytes of a record that its dead letter holds.
pub const DEAD_LETTER_BYTES_MAX: usize = 512 * 1024;

/// A partition that was idle came back: its ticks from `offset` on that lie before `before` are late.
///
/// The one decision taken by the wall clock, hence kept in the progress record and replayed by a resume.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Release {
    /// Which partition.
    pub partition: PartitionId,
    /// The first offset after the quiet.
    pub offset: u64,
    /// Start of the first pane that was still open then.
    pub before: Timestamp,
}
