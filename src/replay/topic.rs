//! The Kafka topic that a replay publishes to.

use super::{Publish, ReplayError};
use crate::connectors::kafka::{PublishError, Publisher};
use crate::delivery::Stop;

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

#[cfg(test)]
mod tests {
    use super::super::{Ahead, Ended, Pace, RecordSource, ReplayRecord, Replayer, SystemClock, Throttle, Until};
    use super::*;
    use crate::config::{Format, KafkaSourceConfig};
    use crate::connectors::input::{Flow, Input};
    use crate::connectors::kafka::{EmbeddedBroker, KafkaInput, Reading, resolve_start};
    use crate::formats::Decoder;
    use crate::market::{PartitionId, SymbolTable};
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    const RECORDS: u64 = 60_000;
    /// Twelve megabytes altogether: more than twice what the embedded broker keeps.
    const BYTES: usize = 200;

    struct Filler(u64);

    impl RecordSource for Filler {
        fn read_into(&mut self, record: &mut ReplayRecord) -> Result<bool, ReplayError> {
            self.0 += 1;
            record.partition = Some(0);
            record.value.clear();
            // Does not compress.
            let mut noise = self.0;
            record.value.extend(
                std::iter::repeat_with(|| {
                    noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    (noise >> 33) as u8
                })
                .take(BYTES),
            );
            Ok(self.0 <= RECORDS)
        }
    }

    /// Reads until it has all; a lost offset is an error of the input.
    fn read_all(config: &KafkaSourceConfig, reading: &Reading) -> u64 {
        let decoder = Decoder::json(Format::Auto, None, None);
        let mut input = KafkaInput::open(config, "test", &decoder, reading, 0, 1).unwrap();
        let (mut next, mut symbols) = (0, SymbolTable::default());
        let deadline = Instant::now() + Duration::from_secs(120);
        while next < RECORDS && Instant::now() < deadline {
            input.serve_events().unwrap();
            let mut visit = |record: crate::connectors::input::Record<'_>, _: &mut SymbolTable| {
                assert_eq!(record.offset, next, "no record is missing");
                next += 1;
                Flow::Continue
            };
            // Small bites, so that the feed has to wait.
            input.read(PartitionId(0), 100, &mut symbols, &mut visit).unwrap();
            std::thread::yield_now();
        }
        next
    }

    #[test]
    fn the_embedded_broker_drops_nothing_that_the_reader_has_not_read() {
        let broker = EmbeddedBroker::start(&[("ticks", 1)]).unwrap();
        let config = KafkaSourceConfig {
            brokers: broker.bootstrap(),
            topic: "ticks".to_owned(),
            ..KafkaSourceConfig::default()
        };
        let reading = Reading::new(resolve_start(&config, "earliest").unwrap(), None);
        let stop = Stop::default();
        let publisher = TopicPublisher::new(Publisher::open(&config, None, &stop).unwrap(), stop.clone());
        let positions = Arc::clone(&reading.positions);
        let position = move |partition| positions.next(PartitionId(partition)).unwrap_or(0) as u64;
        let throttle = Throttle::new(Ahead::default(), Box::new(position));
        let reader = std::thread::spawn(move || read_all(&config, &reading));
        let mut replayer = Replayer::new(Filler(0), publisher, SystemClock::default()).with_throttle(throttle);
        assert_eq!(replayer.run(Pace::Max, Until::End, &stop, &mut |_| {}), Ok(Ended::Source));
        assert_eq!(reader.join().unwrap(), RECORDS);
    }
}
