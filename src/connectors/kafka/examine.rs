//! What a cluster and its topics are like, for a person who looks before a job starts. Nothing is written.

use super::connect::{CALL_WAIT, Inquirer, Passing, START_WAIT};
use super::context::Context;
use super::options::{Server, TRANSACTION_TIMEOUT};
use crate::config::{KafkaSinkConfig, KafkaSourceConfig};
use crate::connectors::input::InputError;
use crate::delivery::Stop;
use crate::market::Timestamp;
use rdkafka::admin::{ConfigResource, ResourceSpecifier};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::Message as _;
use rdkafka::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long the last records may take to come.
const RECORDS_WAIT: Duration = Duration::from_secs(3);
/// Partitions whose last record is looked at.
const PARTITIONS_MAX: u32 = 16;

/// A cluster.
#[derive(Clone, Debug, Default)]
pub struct ClusterFacts {
    /// Its id.
    pub id: Option<String>,
    /// How many brokers there are.
    pub brokers: usize,
    /// The longest that a broker lets a transaction take, in milliseconds; none where it does not say.
    pub transaction_max_ms: Option<u64>,
    /// How long a transaction of a job takes at most.
    pub transaction_ms: u64,
}

/// A topic.
#[derive(Clone, Debug, Default)]
pub struct TopicFacts {
    /// How many partitions it has.
    pub partitions: u32,
    /// Records between the first and the last offset.
    pub records: u64,
    /// The fewest copies of a partition.
    pub copies: usize,
    /// How long records are kept, in milliseconds; -1 is for ever; none where the broker does not say.
    pub retention_ms: Option<i64>,
    /// `delete`, `compact`, or both; none where the broker does not say.
    pub cleanup: Option<String>,
    /// The latest stamp on the last records; none where there is none, or it could not be read.
    pub newest: Option<Timestamp>,
    /// Why the last records could not be read.
    pub unreadable: Option<String>,
}

/// A question to a cluster.
pub struct Examination {
    server: Server,
    inquirer: Inquirer,
}

impl Examination {
    /// Of the source's cluster.
    ///
    /// # Errors
    /// Where an option is wrong.
    pub fn of_source(config: &KafkaSourceConfig) -> Result<Self, InputError> {
        Self::new(Server::of_source(config).map_err(|error| InputError::Failed(error.0))?)
    }

    /// Of the sink's cluster.
    ///
    /// # Errors
    /// Where an option is wrong.
    pub fn of_sink(config: &KafkaSinkConfig) -> Result<Self, InputError> {
        Self::new(Server::of_sink(config).map_err(|error| InputError::Failed(error.0))?)
    }

    fn new(server: Server) -> Result<Self, InputError> {
        let inquirer = Inquirer::new(&server, &server.inquirer(), START_WAIT, &Stop::default());
        Ok(Self { inquirer: inquirer.map_err(InputError::Failed)?, server })
    }

    /// The cluster.
    ///
    /// # Errors
    /// When no broker answers.
    pub fn cluster(&self) -> Result<ClusterFacts, InputError> {
        let metadata = self.inquirer.ask(|consumer| consumer.fetch_metadata(None, CALL_WAIT));
        let metadata = metadata.map_err(InputError::Failed)?;
        let broker = metadata.brokers().first().map(rdkafka::metadata::MetadataBroker::id);
        let settings = broker.and_then(|id| self.inquirer.settings(&ResourceSpecifier::Broker(id)));
        let transaction_max = settings.as_ref().and_then(|settings| setting(settings, "transaction.max.timeout.ms"));
        Ok(ClusterFacts {
            id: self.inquirer.cluster_id(),
            brokers: metadata.brokers().len(),
            transaction_max_ms: transaction_max.and_then(|text| text.parse().ok()),
            transaction_ms: u64::try_from(TRANSACTION_TIMEOUT.as_millis()).unwrap_or(u64::MAX),
        })
    }

    /// A topic; none where there is none.
    ///
    /// # Errors
    /// When no broker answers, or not to us.
    pub fn topic(&self, topic: &str) -> Result<Option<TopicFacts>, InputError> {
        let Some(partitions) = self.inquirer.partitions_now(topic).map_err(InputError::Failed)? else {
            return Ok(None);
        };
        let metadata = self.inquirer.ask(|consumer| consumer.fetch_metadata(Some(topic), CALL_WAIT));
        let metadata = metadata.map_err(InputError::Failed)?;
        let found = metadata.topics().iter().find(|found| found.name() == topic);
        let copies = found.and_then(|found| found.partitions().iter().map(|p| p.replicas().len()).min()).unwrap_or(0);
        let (mut records, mut ends) = (0, BTreeMap::new());
        for partition in 0..partitions {
            let (first, next) = self.inquirer.watermarks(topic, partition).map_err(InputError::Failed)?;
            records += u64::try_from(next - first).unwrap_or(0);
            if next > first && partition < PARTITIONS_MAX {
                ends.insert(partition, next);
            }
        }
        let settings = self.inquirer.settings(&ResourceSpecifier::Topic(topic));
        let of = |name: &str| settings.as_ref().and_then(|settings| setting(settings, name));
        let (newest, unreadable) = match self.newest(topic, &ends) {
            Ok(newest) => (newest, None),
            Err(why) => (None, Some(why)),
        };
        let retention_ms = of("retention.ms").and_then(|text| text.parse().ok());
        Ok(Some(TopicFacts {
            partitions,
            records,
            copies,
            retention_ms,
            cleanup: of("cleanup.policy"),
            newest,
            unreadable,
        }))
    }

    /// The latest stamp on the last records of partitions that end there.
    fn newest(&self, topic: &str, ends: &BTreeMap<u32, i64>) -> Result<Option<Timestamp>, String> {
        if ends.is_empty() {
            return Ok(None);
        }
        let words = |error: &rdkafka::error::KafkaError| self.server.explain(error).0;
        let consumer: BaseConsumer<Context> = self
            .server
            .consumer("tickcast-doctor", ends.len())
            .create_with_context(Context::default())
            .map_err(|error| words(&error))?;
        let consumer = Passing::new(consumer);
        let mut list = TopicPartitionList::new();
        for (partition, end) in ends {
            let number = i32::try_from(*partition).map_err(|error| error.to_string())?;
            // Marks of transactions may be the last.
            let offset = Offset::Offset((end - 8).max(0));
            list.add_partition_offset(topic, number, offset).map_err(|error| words(&error))?;
        }
        consumer.assign(&list).map_err(|error| words(&error))?;
        let deadline = Instant::now() + RECORDS_WAIT;
        let (mut newest, mut open) = (None, ends.len());
        while open > 0 && Instant::now() < deadline {
            match consumer.poll(Duration::from_millis(100)) {
                Some(Ok(message)) => {
                    newest = newest.max(message.timestamp().to_millis().map(Timestamp::from_millis));
                }
                Some(Err(rdkafka::error::KafkaError::PartitionEOF(_))) => open -= 1,
                Some(Err(error)) => return Err(words(&error)),
                None => {}
            }
        }
        Ok(newest)
    }
}

fn setting(settings: &ConfigResource, name: &str) -> Option<String> {
    settings.get(name).and_then(|entry| entry.value.clone())
}
