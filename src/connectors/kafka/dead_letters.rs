//! Dead letters of a job that has no Kafka sink: to a topic, at least once.

use super::channel::Channel;
use super::context::Limiter;
use super::options::Server;
use super::patience::{Backoff, Patience, Trouble};
use super::records;
use super::topics::{Wanted, ensure};
use crate::delivery::{Batch, Sink, SinkError, Stop};
use std::collections::BTreeMap;

/// Writes the dead letters of each batch; what else is in it is not its business.
pub struct DeadLetterSink {
    server: Server,
    topic: String,
    channel: Option<Channel>,
    limiter: Limiter,
}

impl DeadLetterSink {
    /// Creates the topic with `partitions` where it is missing. `brokers` and `options` are the source's.
    ///
    /// # Errors
    /// When no broker answers within 10 seconds, when the topic cannot be created, when the options cannot be used.
    pub fn open(
        brokers: &str,
        options: &BTreeMap<String, String>,
        topic: &str,
        partitions: u32,
        stop: &Stop,
    ) -> Result<Self, SinkError> {
        if stop.requested() {
            return Err(SinkError::Stopped);
        }
        let server = Server::of_dead_letters(brokers, options).map_err(|error| SinkError::Fatal(error.0))?;
        ensure(&server, &[Wanted { name: topic, partitions, compacted: false }], true, stop)
            .map_err(|text| if stop.requested() { SinkError::Stopped } else { SinkError::Fatal(text) })?;
        Ok(Self { server, topic: topic.to_owned(), channel: None, limiter: Limiter::default() })
    }

    fn attempt(&mut self, batch: &Batch, patience: &mut Patience<'_>) -> Result<(), Trouble> {
        let channel = match self.channel.take() {
            Some(channel) => channel,
            None => Channel::open(&self.server, &self.server.producer())?,
        };
        for letter in &batch.dead_letters {
            channel.send(records::dead_letter(&self.topic, letter), patience)?;
        }
        channel.drain(patience)?;
        self.channel = Some(channel);
        Ok(())
    }
}

impl Sink for DeadLetterSink {
    fn name(&self) -> &'static str {
        "dead letters"
    }

    fn write(&mut self, batch: &Batch, stop: &Stop) -> Result<(), SinkError> {
        if batch.dead_letters.is_empty() {
            return Ok(());
        }
        let (mut patience, mut backoff) = (Patience::new(stop), Backoff::new());
        loop {
            match self.attempt(batch, &mut patience) {
                Ok(()) => return Ok(()),
                Err(Trouble::Renew(why)) => {
                    if self.limiter.pass("write").is_some() {
                        tracing::warn!(target: "tickcast::kafka", "{why}: sending the dead letters again");
                    }
                    backoff.wait(&patience)?;
                }
                Err(other) => return Err(other.into()),
            }
        }
    }
}
