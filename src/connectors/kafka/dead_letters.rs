//! Dead letters of a job that has no Kafka sink: to a topic, at least once.

use super::budget::Budget;
use super::channel::Channel;
use super::context::Limiter;
use super::options::Server;
use super::patience::{Backoff, Patience, Trouble};
use super::records;
use super::topics::{Wanted, ensure};
use crate::delivery::{Batch, Sink, SinkError, Stop};
use crate::market::DeadLetter;
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

    fn attempt(&mut self, letters: &[DeadLetter], patience: &mut Patience<'_>) -> Result<(), Trouble> {
        let channel = match self.channel.take() {
            Some(channel) => channel,
            None => Channel::open(&self.server, &self.server.producer())?,
        };
        for letter in letters {
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
        let mut left = batch.dead_letters.as_slice();
        let (mut patience, mut backoff) = (Patience::new(stop), Backoff::new());
        while !left.is_empty() {
            if left.len() < batch.dead_letters.len() && stop.begins_nothing() {
                return Err(SinkError::Stopped);
            }
            let (piece, rest) = left.split_at(piece(left));
            match self.attempt(piece, &mut patience) {
                Ok(()) => left = rest,
                Err(Trouble::Renew(why)) => {
                    if self.limiter.pass("write").is_some() {
                        tracing::warn!(target: "tickcast::kafka", "{why}: sending the dead letters again");
                    }
                    backoff.wait(&patience)?;
                }
                Err(other) => return Err(other.into()),
            }
        }
        Ok(())
    }
}

/// How many of them are sent and waited for together: what fails is sent again, all of it.
fn piece(letters: &[DeadLetter]) -> usize {
    let mut left = Budget::FULL;
    letters.iter().enumerate().take_while(|(at, letter)| left.take(letter.bytes(), *at == 0)).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::batch::BYTES_MAX;
    use crate::market::PartitionId;

    #[test]
    fn a_batch_of_any_size_is_cut() {
        let letter = |bytes: usize| {
            let value = vec![0; bytes];
            DeadLetter::new("t".into(), PartitionId(0), 0, None, &value, String::new())
        };
        let letters = vec![letter(400_000); 50];
        let first = piece(&letters);
        assert!((15..=BYTES_MAX / 400_000).contains(&first), "{first}");
        assert_eq!(piece(&letters[48..]), 2);
    }
}
