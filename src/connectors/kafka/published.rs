//! Forecasts and scores from the topics that the job publishes them to: what is committed when reading begins.
//!
//! One consumer, and a queue per partition: each is read on its own, so that a judge can take them in the order of event
//! time, whatever the broker sends first.

use super::connect::{Inquirer, START_WAIT};
use super::context::Context;
use super::options::Server;
use super::records::Topics;
use crate::config::KafkaSinkConfig;
use crate::connectors::input::InputError;
use crate::connectors::published::{self, Stream};
use crate::delivery::Stop;
use crate::evaluation::report::{Issued, Settled};
use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a broker may be silent in the middle of a partition.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// Everything that the topics of `[sink.kafka]` hold now.
pub struct StoredTopics {
    /// One per partition of the forecast topic.
    pub forecasts: Vec<Stream<'static, Issued>>,
    /// One per partition of the topic of scores.
    pub scores: Vec<Stream<'static, Settled>>,
}

/// A partition, from its first offset to the end of what is committed.
struct Part {
    topic: String,
    partition: u32,
    end: i64,
}

/// Opens both topics.
///
/// # Errors
/// When no broker answers within 10 seconds, or a topic does not exist.
pub fn open(config: &KafkaSinkConfig) -> Result<StoredTopics, InputError> {
    let server = Server::of_sink(config).map_err(|error| InputError::Failed(error.0))?;
    let topics = Topics::new(&config.topic, None);
    let inquirer =
        Inquirer::new(&server, &server.inquirer(), START_WAIT, &Stop::default()).map_err(InputError::Failed)?;
    let mut parts = Vec::new();
    let mut list = TopicPartitionList::new();
    for topic in [&topics.forecasts, &topics.scores] {
        for partition in 0..inquirer.existing(topic).map_err(InputError::Failed)? {
            let (low, end) = inquirer.watermarks(topic, partition).map_err(InputError::Failed)?;
            if low < end {
                let number = i32::try_from(partition).map_err(|error| InputError::Failed(error.to_string()))?;
                list.add_partition_offset(topic, number, Offset::Offset(low))
                    .map_err(|error| wrong(&server, &error))?;
                parts.push(Part { topic: topic.clone(), partition, end });
            }
        }
    }
    let config = server.consumer("tickcast-report", parts.len());
    let consumer: BaseConsumer<Context> =
        config.create_with_context(Context::default()).map_err(|error| InputError::Failed(server.explain(&error).0))?;
    let consumer = Arc::new(consumer);
    // Before, so that no record can take the common queue; and again, since assigning may undo it.
    let early = parts.iter().map(|part| split(&consumer, part)).collect::<Result<Vec<_>, _>>()?;
    consumer.assign(&list).map_err(|error| wrong(&server, &error))?;
    drop(early);
    let (mut forecasts, mut scores): (Vec<Stream<'static, Issued>>, Vec<Stream<'static, Settled>>) = Default::default();
    for part in parts {
        if part.topic == topics.forecasts {
            forecasts.push(Box::new(Records::open(&consumer, part, published::forecast)?));
        } else {
            scores.push(Box::new(Records::open(&consumer, part, published::score)?));
        }
    }
    Ok(StoredTopics { forecasts, scores })
}

fn split(consumer: &Arc<BaseConsumer<Context>>, part: &Part) -> Result<PartitionQueue<Context>, InputError> {
    let Part { topic, partition, .. } = part;
    let number = i32::try_from(*partition).map_err(|error| InputError::Failed(error.to_string()))?;
    let queue = consumer.split_partition_queue(topic, number);
    queue.ok_or_else(|| InputError::Failed(format!("cannot read {topic}/{partition}")))
}

fn wrong(server: &Server, error: &KafkaError) -> InputError {
    InputError::Failed(server.explain(error).0)
}

struct Records<T> {
    consumer: Arc<BaseConsumer<Context>>,
    queue: PartitionQueue<Context>,
    part: Part,
    at_end: bool,
    read: fn(&[u8]) -> Result<T, String>,
}

impl<T> Records<T> {
    fn open(
        consumer: &Arc<BaseConsumer<Context>>,
        part: Part,
        read: fn(&[u8]) -> Result<T, String>,
    ) -> Result<Self, InputError> {
        let queue = split(consumer, &part)?;
        Ok(Self { consumer: Arc::clone(consumer), queue, part, at_end: false, read })
    }

    fn record(&mut self) -> Result<Option<T>, InputError> {
        let Part { topic, partition, end } = &self.part;
        let heard = Instant::now();
        while !self.at_end {
            // Serves the client's own events.
            if let Some(Ok(message)) = self.consumer.poll(Duration::ZERO) {
                let (topic, partition, offset) = (message.topic(), message.partition(), message.offset());
                return Err(InputError::Failed(format!("record {offset} of {topic}/{partition} left its queue")));
            }
            match self.queue.poll(Duration::from_millis(100)) {
                Some(Ok(message)) => {
                    // A marker of a transaction may be the last that is committed: then the partition's end says so.
                    self.at_end = message.offset() + 1 >= *end;
                    if message.offset() >= *end {
                        break;
                    }
                    let Some(value) = message.payload() else { continue };
                    let at = || format!("offset {} of {topic}/{partition}", message.offset());
                    let read = (self.read)(value);
                    return read.map(Some).map_err(|why| {
                        InputError::Failed(format!("{}: this is not what tickcast writes: {why}", at()))
                    });
                }
                Some(Err(KafkaError::PartitionEOF(_))) => self.at_end = true,
                Some(Err(error)) => {
                    return Err(InputError::Failed(format!("cannot read {topic}/{partition}: {error}")));
                }
                None if heard.elapsed() > SILENCE_MAX => {
                    let reason = self.consumer.client().context().last_trouble();
                    let reason = reason.unwrap_or_else(|| format!("no answer within {} s", SILENCE_MAX.as_secs()));
                    return Err(InputError::Failed(format!("cannot read {topic}/{partition} to its end: {reason}")));
                }
                None => {}
            }
        }
        Ok(None)
    }
}

impl<T> Iterator for Records<T> {
    type Item = Result<T, InputError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.record().transpose()
    }
}
