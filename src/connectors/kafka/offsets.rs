//! Where reading begins and, for a bounded run, where it ends: resolved once per job, before its workers start.

use super::connect::{CALL_WAIT, Inquirer, START_WAIT};
use super::options::Server;
use crate::config::KafkaSourceConfig;
use crate::connectors::input::InputError;
use crate::delivery::Stop;
use crate::market::PartitionId;
use crate::recovery::{Refusal, TopicState};
use rdkafka::consumer::Consumer;
use rdkafka::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::str::FromStr;

pub use crate::recovery::Offsets;

struct Topic<'a> {
    inquirer: Inquirer,
    name: &'a str,
    partitions: u32,
}

impl<'a> Topic<'a> {
    fn open(config: &'a KafkaSourceConfig) -> Result<Self, InputError> {
        let server = Server::of_source(config).map_err(|error| InputError::Failed(error.0))?;
        let inquirer =
            Inquirer::new(&server, &server.inquirer(), START_WAIT, &Stop::default()).map_err(InputError::Failed)?;
        let partitions = inquirer.existing(&config.topic).map_err(InputError::Failed)?;
        Ok(Self { inquirer, name: &config.topic, partitions })
    }

    fn watermarks(&self) -> Result<BTreeMap<PartitionId, (i64, i64)>, InputError> {
        let ask =
            |p| self.inquirer.watermarks(self.name, p).map(|marks| (PartitionId(p), marks)).map_err(InputError::Failed);
        (0..self.partitions).map(ask).collect()
    }

    fn is_compacted(&self) -> Option<bool> {
        let policy = self.inquirer.topic_setting(self.name, "cleanup.policy")?;
        Some(policy.split(',').any(|part| part.trim() == "compact"))
    }

    fn state(&self, compacted: Option<bool>) -> Result<TopicState, InputError> {
        Ok(TopicState {
            name: self.name.to_owned(),
            cluster_id: self.inquirer.cluster_id(),
            topic_id: self.inquirer.topic_id(self.name),
            partitions: self.watermarks()?,
            compacted,
        })
    }

    fn at_time(&self, at: jiff::Timestamp) -> Result<Offsets, InputError> {
        let found = first_since(&self.inquirer, self.name, self.partitions, at.as_millisecond());
        let found = found.map_err(InputError::Failed)?;
        // After the last record: what comes next is what was asked for.
        let offset = |(partition, (_, end))| (partition, found.get(&partition).copied().unwrap_or(end));
        Ok(self.watermarks()?.into_iter().map(offset).collect())
    }
}

/// The first record of each partition that was sent at `ms` or later; nothing of those that have none.
pub(super) fn first_since(inquirer: &Inquirer, topic: &str, partitions: u32, ms: i64) -> Result<Offsets, String> {
    let mut times = TopicPartitionList::new();
    for (number, _) in (0_i32..).zip(0..partitions) {
        times.add_partition_offset(topic, number, Offset::Offset(ms)).map_err(|error| error.to_string())?;
    }
    let found = inquirer.ask(move |consumer| consumer.offsets_for_times(times.clone(), CALL_WAIT * 2))?;
    let offset = |(number, partition): (i32, u32)| match found.find_partition(topic, number)?.offset() {
        Offset::Offset(offset) => Some((PartitionId(partition), offset)),
        _ => None,
    };
    Ok((0_i32..).zip(0..partitions).filter_map(offset).collect())
}

/// Resolves `earliest`, `latest` or an RFC 3339 time (of sending) to offsets.
///
/// # Errors
/// When no broker answers within 10 seconds, there is no such topic, or `start` is none of the three.
pub fn resolve_start(config: &KafkaSourceConfig, start: &str) -> Result<Offsets, InputError> {
    let time = match start {
        "earliest" | "latest" => None,
        text => Some(jiff::Timestamp::from_str(text).map_err(|_| {
            InputError::Failed(format!(
                "`source.kafka.start` = {text:?} is neither `earliest`, `latest` nor an RFC 3339 time such as 2021-01-21T14:34:00Z"
            ))
        })?),
    };
    let topic = Topic::open(config)?;
    match time {
        Some(at) => topic.at_time(at),
        None => {
            let marks = topic.watermarks()?.into_iter();
            Ok(marks.map(|(p, (low, high))| (p, if start == "earliest" { low } else { high })).collect())
        }
    }
}

/// What the broker says of the topic.
///
/// # Errors
/// When no broker answers within 10 seconds, or there is no such topic.
pub fn topic_state(config: &KafkaSourceConfig) -> Result<TopicState, InputError> {
    let topic = Topic::open(config)?;
    topic.state(topic.is_compacted())
}

/// The same, without asking whether it is compacted: a broker that does not say takes its time.
///
/// # Errors
/// As [`topic_state`].
pub fn topic_bounds(config: &KafkaSourceConfig) -> Result<TopicState, InputError> {
    Topic::open(config)?.state(None)
}

/// Whether the topic's broker deletes all but the last record of each key; none where it does not say.
///
/// # Errors
/// As [`topic_state`].
pub fn is_compacted(config: &KafkaSourceConfig) -> Result<Option<bool>, InputError> {
    Ok(Topic::open(config)?.is_compacted())
}

/// The offsets that the topic ends at now: what a bounded run reads up to.
///
/// # Errors
/// When no broker answers within 10 seconds, or there is no such topic.
pub fn end_offsets(config: &KafkaSourceConfig) -> Result<Offsets, InputError> {
    let watermarks = Topic::open(config)?.watermarks()?;
    Ok(watermarks.into_iter().map(|(partition, (_, high))| (partition, high)).collect())
}

/// What an offset that cannot be read means; `marks`: the first and the next one of the partition, where they are known.
pub(super) fn gone(topic: &str, partition: PartitionId, needed: i64, marks: Option<(i64, i64)>) -> Refusal {
    let topic = topic.to_owned();
    match marks {
        Some((_, end)) if needed > end => Refusal::OffsetsAhead { topic, partition, needed, end: Some(end) },
        marks => Refusal::OffsetsExpired { topic, partition, needed, first: marks.map(|(first, _)| first) },
    }
}
