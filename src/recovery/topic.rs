//! The source's topic, as its broker describes it.

use super::progress::Offsets;
use crate::market::PartitionId;
use std::collections::BTreeMap;

/// What a broker says of a topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicState {
    /// Its name.
    pub name: String,
    /// The cluster that it lies in; none where the broker does not say.
    pub cluster_id: Option<String>,
    /// The id that it was created with; none where the broker does not say.
    pub topic_id: Option<String>,
    /// First and next offset of each partition.
    pub partitions: BTreeMap<PartitionId, (i64, i64)>,
    /// Whether the broker keeps only the last record of each key; none where it does not say.
    pub compacted: Option<bool>,
}

impl TopicState {
    /// The next offsets.
    #[must_use]
    pub fn ends(&self) -> Offsets {
        self.partitions.iter().map(|(partition, (_, high))| (*partition, *high)).collect()
    }
}
