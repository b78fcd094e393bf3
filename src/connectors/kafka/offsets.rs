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

    fn at_time(&self, at: jiff::Timestamp) -> Result<Offsets, InputError> {
        let mut times = TopicPartitionList::new();
        for (partition, _) in (0_i32..).zip(0..self.partitions) {
            times
                .add_partition_offset(self.name, partition, Offset::Offset(at.as_millisecond()))
                .map_err(|error| InputError::Failed(error.to_string()))?;
        }
        let ask = |times: &TopicPartitionList| {
            let times = times.clone();
            self.inquirer.ask(move |consumer| consumer.offsets_for_times(times.clone(), CALL_WAIT * 2))
        };
        let found = ask(&times).map_err(InputError::Failed)?;
        let watermarks = self.watermarks()?;
        let mut offsets = Offsets::new();
        for (partition, (_, end)) in watermarks {
            let number = i32::try_from(partition.0).unwrap_or(i32::MAX);
            let at = found.find_partition(self.name, number).map(|element| element.offset());
            // After the last record: what comes next is what was asked for.
            offsets.insert(partition, if let Some(Offset::Offset(offset)) = at { offset } else { end });
        }
        Ok(offsets)
    }
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
    let policy = topic.inquirer.topic_setting(topic.name, "cleanup.policy");
    Ok(TopicState {
        name: topic.name.to_owned(),
        cluster_id: topic.inquirer.cluster_id(),
        topic_id: topic.inquirer.topic_id(topic.name),
        partitions: topic.watermarks()?,
        compacted: policy.map(|policy| policy.split(',').any(|part| part.trim() == "compact")),
    })
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
