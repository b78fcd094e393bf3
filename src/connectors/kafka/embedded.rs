//! A Kafka broker inside this process, on loopback, for the demo and for tests: librdkafka's mock cluster.
//!
//! What it does not do: keep anything on disk, isolate transactions (every record is visible at once), fence producers,
//! find offsets by time, create topics by its admin API. It silently cuts a partition at 5 MiB or 100,000 batches, so a
//! reader must not fall far behind. A partition must never be made leaderless: it would crash.

use rdkafka::error::KafkaError;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;

/// Why the embedded broker cannot start.
#[derive(Debug, thiserror::Error)]
#[error("the embedded broker: {0}")]
pub struct EmbeddedError(String);

impl From<KafkaError> for EmbeddedError {
    fn from(error: KafkaError) -> Self {
        Self(error.to_string())
    }
}

/// A broker that lives as long as this value, on the thread that made it.
pub struct EmbeddedBroker {
    cluster: MockCluster<'static, DefaultProducerContext>,
}

impl EmbeddedBroker {
    /// Starts it with topics and their numbers of partitions.
    ///
    /// # Errors
    /// When no port is free, or a topic cannot be created.
    pub fn start(topics: &[(&str, u32)]) -> Result<Self, EmbeddedError> {
        let broker = Self { cluster: MockCluster::new(1)? };
        for (topic, partitions) in topics {
            broker.add_topic(topic, *partitions)?;
        }
        Ok(broker)
    }

    /// `host:port` for clients of this machine.
    #[must_use]
    pub fn bootstrap(&self) -> String {
        self.cluster.bootstrap_servers()
    }

    /// Creates one more topic.
    ///
    /// # Errors
    /// When there is one of that name.
    pub fn add_topic(&self, topic: &str, partitions: u32) -> Result<(), EmbeddedError> {
        let partitions = i32::try_from(partitions).map_err(|error| EmbeddedError(error.to_string()))?;
        Ok(self.cluster.create_topic(topic, partitions, 1)?)
    }

    /// The cluster itself: tests let it fail.
    #[must_use]
    pub fn cluster(&self) -> &MockCluster<'static, DefaultProducerContext> {
        &self.cluster
    }
}
