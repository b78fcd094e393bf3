//! Publishes ticks into the input topic: for `replay`, `collect` and the demo.

use super::channel::Channel;
use super::connect::{Inquirer, START_WAIT};
use super::options::Server;
use super::patience::{Patience, Trouble};
use super::records::Outgoing;
use super::topics::{Wanted, ensure};
use crate::config::KafkaSourceConfig;
use crate::delivery::Stop;
use rdkafka::message::{Header, OwnedHeaders};

/// Records between two looks at what was acknowledged.
const SERVE_EVERY: u32 = 256;

/// Why publishing ended early.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// Somebody asked to stop; what was not acknowledged may or may not be in the topic.
    #[error("stopped while publishing")]
    Stopped,
    /// Nothing that waiting would mend. The message names what is wrong and what to do.
    #[error("{0}")]
    Fatal(String),
}

impl From<Trouble> for PublishError {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Stopped => Self::Stopped,
            Trouble::Renew(text) | Trouble::Fatal(text) => Self::Fatal(text),
            Trouble::Refused(fault) => Self::Fatal(fault.text),
        }
    }
}

/// An idempotent producer: in order, without loss or doubles as long as it lives, also while a broker is away.
///
/// Kafka's timestamp is the time of sending: a broker deletes records that look old.
pub struct Publisher {
    channel: Channel,
    topic: String,
    unserved: u32,
}

impl Publisher {
    /// Connects to `[source.kafka]`'s topic. Where it is missing, it is created with `create` partitions, if given.
    ///
    /// # Errors
    /// When no broker answers within 10 seconds, or there is no topic.
    pub fn open(config: &KafkaSourceConfig, create: Option<u32>, stop: &Stop) -> Result<Self, PublishError> {
        if stop.requested() {
            return Err(PublishError::Stopped);
        }
        let server = Server::of_source(config).map_err(|error| PublishError::Fatal(error.0))?;
        let name = config.topic.as_str();
        match create {
            Some(partitions) => ensure(&server, &[Wanted { name, partitions, compacted: false }], true, stop),
            None => Inquirer::new(&server, &server.inquirer(), START_WAIT, stop)
                .and_then(|asks| asks.existing(name))
                .map(drop),
        }
        .map_err(|text| if stop.requested() { PublishError::Stopped } else { PublishError::Fatal(text) })?;
        let channel = Channel::open(&server, &server.producer())?;
        Ok(Self { channel, topic: name.to_owned(), unserved: 0 })
    }

    /// Sends one record; waits while too much is unacknowledged.
    ///
    /// # Errors
    /// [`PublishError::Stopped`] when `stop` came while it waited; [`PublishError::Fatal`] when the broker refuses.
    pub fn send(&mut self, key: Option<&[u8]>, value: &[u8], stop: &Stop) -> Result<(), PublishError> {
        self.send_with(key, value, None, stop)
    }

    /// Sends a record of JSON with a header `source` that says whose it is; waits as [`Publisher::send`] does.
    ///
    /// # Errors
    /// As [`Publisher::send`].
    pub fn send_from(
        &mut self,
        key: Option<&[u8]>,
        value: &[u8],
        source: &str,
        stop: &Stop,
    ) -> Result<(), PublishError> {
        let headers = [("content-type", "application/json"), ("source", source)];
        let headers = headers
            .into_iter()
            .fold(OwnedHeaders::new(), |headers, (key, value)| headers.insert(Header { key, value: Some(value) }));
        self.send_with(key, value, Some(headers), stop)
    }

    fn send_with(
        &mut self,
        key: Option<&[u8]>,
        value: &[u8],
        headers: Option<OwnedHeaders>,
        stop: &Stop,
    ) -> Result<(), PublishError> {
        let topic = &self.topic;
        self.channel.send(Outgoing { topic, key, value, headers }, &mut Patience::new(stop))?;
        self.unserved += 1;
        if self.unserved >= SERVE_EVERY {
            self.unserved = 0;
            self.channel.serve()?;
        }
        Ok(())
    }

    /// Looks at what was acknowledged, without waiting.
    ///
    /// # Errors
    /// As [`Publisher::send`].
    pub fn serve(&mut self) -> Result<(), PublishError> {
        self.unserved = 0;
        Ok(self.channel.serve()?)
    }

    /// Waits until everything is acknowledged.
    ///
    /// # Errors
    /// As [`Publisher::send`].
    pub fn flush(&mut self, stop: &Stop) -> Result<(), PublishError> {
        self.unserved = 0;
        Ok(self.channel.drain(&mut Patience::new(stop))?)
    }

    /// Records that the broker has acknowledged, as far as it has looked: see [`Publisher::serve`].
    #[must_use]
    pub fn acknowledged(&self) -> u64 {
        self.channel.acknowledged()
    }
}
