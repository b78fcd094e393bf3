//! The Kafka topic that a replay publishes to.

use super::{Publish, ReplayError};
use crate::connectors::kafka::{PublishError, Publisher};
use crate::connectors::sink::Stop;

/// A [`Publisher`] that gives up waiting when somebody asks to stop.
pub struct TopicPublisher {
    publisher: Publisher,
    stop: Stop,
}

impl TopicPublisher {
    /// Publishes with `publisher` until `stop`.
    #[must_use]
    pub fn new(publisher: Publisher, stop: Stop) -> Self {
        Self { publisher, stop }
    }
}

impl From<PublishError> for ReplayError {
    fn from(error: PublishError) -> Self {
        match error {
            PublishError::Stopped => Self::Stopped,
            PublishError::Fatal(message) => Self::Fatal(message),
        }
    }
}

impl Publish for TopicPublisher {
    fn publish(&mut self, key: &[u8], value: &[u8]) -> Result<(), ReplayError> {
        Ok(self.publisher.send(Some(key), value, &self.stop)?)
    }

    fn flush(&mut self) -> Result<(), ReplayError> {
        Ok(self.publisher.flush(&self.stop)?)
    }
}
