//! What runs published to topics: everything that is committed when reading begins.

use super::connect::{Inquirer, START_WAIT};
use super::context::Context;
use super::offsets::first_since;
use super::options::Server;
use crate::connectors::files::dead_letters::write_dead_letter;
use crate::connectors::input::InputError;
use crate::connectors::outputs::{Visit, stopped};
use crate::delivery::Stop;
use crate::market::{DeadLetter, PartitionId, Timestamp};
use crate::recovery::compare::Content;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers as _, Message};
use rdkafka::{Offset, TopicPartitionList};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// How long a broker may be silent in the middle of a topic.
const SILENCE_MAX: Duration = Duration::from_secs(30);

fn inquirer(server: &Server) -> Result<Inquirer, InputError> {
    Inquirer::new(server, &server.inquirer(), START_WAIT, &Stop::default()).map_err(InputError::Failed)
}

/// A topic, and that of its scores where there is one.
///
/// # Errors
/// When no broker answers, or there is no such topic.
pub fn find(brokers: &str, options: &BTreeMap<String, String>, topic: &str) -> Result<Vec<String>, InputError> {
    let server = Server::of_dead_letters(brokers, options).map_err(|error| InputError::Failed(error.0))?;
    let inquirer = inquirer(&server)?;
    inquirer.existing(topic).map_err(InputError::Failed)?;
    let scores = format!("{topic}.scores");
    let has_scores = inquirer.partitions_now(&scores).map_err(InputError::Failed)?.is_some();
    let mut topics = vec![topic.to_owned()];
    topics.extend(has_scores.then_some(scores));
    Ok(topics)
}

/// Hands on the committed records of topics: all, or those that were sent since a moment.
///
/// # Errors
/// When they cannot be read to their end, or it was stopped.
pub fn visit(
    brokers: &str,
    options: &BTreeMap<String, String>,
    topics: &[String],
    since: Option<Timestamp>,
    stop: &Stop,
    visit: Visit<'_>,
) -> Result<(), InputError> {
    let server = Server::of_dead_letters(brokers, options).map_err(|error| InputError::Failed(error.0))?;
    let wrong = |error: KafkaError| InputError::Failed(server.explain(&error).0);
    let inquirer = inquirer(&server)?;
    let (mut list, mut open, mut ends) = (TopicPartitionList::new(), BTreeSet::new(), BTreeMap::new());
    for topic in topics {
        let partitions = inquirer.existing(topic).map_err(InputError::Failed)?;
        let first = |since: Timestamp| first_since(&inquirer, topic, partitions, since.millis());
        let first = since.map(first).transpose().map_err(InputError::Failed)?;
        for partition in 0..partitions {
            let (low, end) = inquirer.watermarks(topic, partition).map_err(InputError::Failed)?;
            let from = first.as_ref().map_or(low, |first| first.get(&PartitionId(partition)).copied().unwrap_or(end));
            if from < end {
                let number = i32::try_from(partition).map_err(|error| InputError::Failed(error.to_string()))?;
                list.add_partition_offset(topic, number, Offset::Offset(from)).map_err(wrong)?;
                open.insert((topic.clone(), number));
                ends.insert((topic.clone(), number), end);
            }
        }
    }
    let config = server.consumer("tickcast-verify", open.len());
    let consumer: BaseConsumer<Context> = config.create_with_context(Context::default()).map_err(wrong)?;
    consumer.assign(&list).map_err(wrong)?;
    let mut heard = Instant::now();
    while !open.is_empty() {
        if stop.requested() {
            return Err(stopped());
        }
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                heard = Instant::now();
                let place = (message.topic().to_owned(), message.partition());
                let end = ends.get(&place).copied().unwrap_or(0);
                if message.offset() < end
                    && let Some(content) = content(&message)
                {
                    visit(content);
                }
                if message.offset() + 1 >= end {
                    open.remove(&place);
                }
            }
            // A marker of a transaction may be the last that is committed: then the partition's end says so.
            Some(Err(KafkaError::PartitionEOF(number))) => {
                let at_end = |(topic, partition): &(String, i32)| {
                    *partition == number
                        && position(&consumer, topic, number) >= ends.get(&(topic.clone(), number)).copied()
                };
                heard = Instant::now();
                open.retain(|place| !at_end(place));
            }
            Some(Err(_)) | None if heard.elapsed() > SILENCE_MAX => {
                let reason = consumer.client().context().last_trouble();
                let reason = reason.unwrap_or_else(|| format!("no answer within {} s", SILENCE_MAX.as_secs()));
                return Err(InputError::Failed(format!("cannot read {} to its end: {reason}", topics.join(" and "))));
            }
            Some(Err(_)) | None => {}
        }
    }
    Ok(())
}

/// The next offset of a partition, control records passed over.
fn position(consumer: &BaseConsumer<Context>, topic: &str, number: i32) -> Option<i64> {
    let positions = consumer.position().ok()?;
    match positions.find_partition(topic, number)?.offset() {
        Offset::Offset(next) => Some(next),
        _ => None,
    }
}

/// A record; a dead letter as the file of dead letters has it. None where it has no value.
fn content(message: &BorrowedMessage<'_>) -> Option<Content> {
    let value = message.payload()?;
    let header = |name: &str| {
        let found = message.headers()?.iter().find(|header| header.key == name)?;
        std::str::from_utf8(found.value?).ok()
    };
    let (Some(topic), Some(partition), Some(offset)) =
        (header("source.topic"), header("source.partition"), header("source.offset"))
    else {
        return Some(Content::Json(value.to_vec()));
    };
    let letter = DeadLetter {
        topic: topic.into(),
        partition: PartitionId(partition.parse().ok()?),
        offset: offset.parse().ok()?,
        key: message.key().map(<[u8]>::to_vec),
        value: value.to_vec(),
        sha256: header("sha256").map(str::to_owned),
        error: header("error").unwrap_or_default().to_owned(),
    };
    let mut bytes = Vec::new();
    write_dead_letter(&letter, &mut bytes);
    Some(Content::Json(bytes))
}
