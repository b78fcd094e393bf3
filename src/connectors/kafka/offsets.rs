//! Where reading begins and, for a bounded run, where it ends: resolved once per job, before its workers start.

use super::connect::{CALL_WAIT, Inquirer, START_WAIT};
use super::options::Server;
use crate::config::KafkaSourceConfig;
use crate::connectors::input::InputError;
use crate::delivery::Stop;
use crate::market::PartitionId;
use rdkafka::consumer::Consumer;
use rdkafka::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::str::FromStr;

/// The next offset to read, per partition.
pub type Offsets = BTreeMap<PartitionId, i64>;

struct Topic<'a> {
    inquirer: Inquirer,
    name: &'a str,
    partitions: u32,
}

impl<'a> Topic<'a> {
    fn open(config: &'a KafkaSourceConfig) -> Result<Self, InputError> {
        let server = Server::of_source(config).map_err(|error| InputError(error.0))?;
        let inquirer = Inquirer::new(&server, &server.inquirer(), START_WAIT, &Stop::default()).map_err(InputError)?;
        let partitions = inquirer.existing(&config.topic).map_err(InputError)?;
        Ok(Self { inquirer, name: &config.topic, partitions })
    }

    fn watermarks(&self) -> Result<BTreeMap<PartitionId, (i64, i64)>, InputError> {
        let ask = |p| self.inquirer.watermarks(self.name, p).map(|marks| (PartitionId(p), marks)).map_err(InputError);
        (0..self.partitions).map(ask).collect()
    }

    fn at_time(&self, at: jiff::Timestamp) -> Result<Offsets, InputError> {
        let mut times = TopicPartitionList::new();
        for (partition, _) in (0_i32..).zip(0..self.partitions) {
            times
                .add_partition_offset(self.name, partition, Offset::Offset(at.as_millisecond()))
                .map_err(|error| InputError(error.to_string()))?;
        }
        let ask = |times: &TopicPartitionList| {
            let times = times.clone();
            self.inquirer.ask(move |consumer| consumer.offsets_for_times(times.clone(), CALL_WAIT * 2))
        };
        let found = ask(&times).map_err(InputError)?;
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

/// How many partitions the topic has.
///
/// # Errors
/// When no broker answers within 10 seconds, or there is no such topic.
pub fn partition_count(config: &KafkaSourceConfig) -> Result<u32, InputError> {
    Topic::open(config).map(|topic| topic.partitions)
}

/// Resolves `earliest`, `latest` or an RFC 3339 time (of sending) to offsets.
///
/// # Errors
/// As [`partition_count`], and when `start` is none of the three.
pub fn resolve_start(config: &KafkaSourceConfig, start: &str) -> Result<Offsets, InputError> {
    let time = match start {
        "earliest" | "latest" => None,
        text => Some(jiff::Timestamp::from_str(text).map_err(|_| {
            InputError(format!(
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

/// Checks the offsets that an earlier run began at; a partition that is new since then begins at its beginning.
///
/// # Errors
/// As [`partition_count`]; when records from there on are gone; when the topic is not the one that was read.
pub fn resume_start(config: &KafkaSourceConfig, recorded: &Offsets) -> Result<Offsets, InputError> {
    let topic = Topic::open(config)?;
    let watermarks = topic.watermarks()?;
    let name = &config.topic;
    if let Some(missing) = recorded.keys().find(|partition| !watermarks.contains_key(partition)) {
        let message = format!(
            "partition {} of `{name}` was read before and does not exist any more: was the topic created anew? Then give the job a new `job.id`",
            missing.0
        );
        return Err(InputError(message));
    }
    let mut offsets = Offsets::new();
    for (partition, (low, high)) in watermarks {
        let offset = recorded.get(&partition).copied().unwrap_or(low);
        if !(low..=high).contains(&offset) {
            return Err(gone(name, partition, offset, Some((low, high))));
        }
        offsets.insert(partition, offset);
    }
    Ok(offsets)
}

/// The offsets that the topic ends at now: what a bounded run reads up to.
///
/// # Errors
/// As [`partition_count`].
pub fn end_offsets(config: &KafkaSourceConfig) -> Result<Offsets, InputError> {
    let watermarks = Topic::open(config)?.watermarks()?;
    Ok(watermarks.into_iter().map(|(partition, (_, high))| (partition, high)).collect())
}

/// The message for an offset that cannot be read.
pub(super) fn gone(topic: &str, partition: PartitionId, offset: i64, marks: Option<(i64, i64)>) -> InputError {
    let partition = partition.0;
    InputError(match marks {
        Some((_, high)) if offset > high => format!(
            "offset {offset} of {topic}/{partition} is not there yet: the partition ends at {high}. Was the topic created anew? Then give the job a new `job.id`"
        ),
        Some((low, _)) => format!(
            "offset {offset} of {topic}/{partition} is no longer there: the broker has deleted it (retention), and now begins at {low}; give the topic a longer retention, and the job a new `job.id` to begin anew"
        ),
        None => format!(
            "offset {offset} of {topic}/{partition} is no longer there: the broker has deleted it (retention); give the topic a longer retention, and the job a new `job.id` to begin anew"
        ),
    })
}
