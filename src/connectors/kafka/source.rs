//! One worker's share of a Kafka topic: partitions `p` with `p % workers == worker`, each with a queue of its own, so
//! that a partition that runs ahead is paused by not reading its queue.

use super::context::Context;
use super::describe::Question;
use super::offsets::{Offsets, gone};
use super::options::Server;
use super::positions::Positions;
use super::watch::TopicWatch;
use crate::config::KafkaSourceConfig;
use crate::connectors::input::{Flow, Input, InputError, PartitionState, Payload, Record, Wake};
use crate::formats::Decoder;
use crate::market::time::TIMESTAMP_MIN;
use crate::market::{PartitionId, SymbolTable, Timestamp};
use crate::recovery::Refusal;
use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long the bounds of a partition may take to be told.
const BOUNDS_WAIT: Duration = Duration::from_secs(2);
/// How often the client's own events (logs, errors, statistics) are served: more often than it reports.
const EVENTS_EVERY: Duration = Duration::from_millis(50);
/// The most of them that are served at a time: hundreds a second while a broker is away.
const EVENTS_MAX: usize = 100;

/// What a job reads of a topic; the same for all its workers.
#[derive(Clone, Debug)]
pub struct Reading {
    /// First offsets.
    pub starts: Offsets,
    /// Offsets to stop at, for a bounded run.
    pub ends: Option<Offsets>,
    /// How far it was read.
    pub positions: Arc<Positions>,
    /// The id that the topic was created with, where it is known: a topic with another one is not read on.
    pub topic_id: Option<String>,
    /// Whether a topic that has grown ends the reading, to be begun again with all partitions; else it is warned of.
    pub ends_when_grown: bool,
}

impl Reading {
    /// From `starts` on, up to `ends` where the run is bounded.
    #[must_use]
    pub fn new(starts: Offsets, ends: Option<Offsets>) -> Self {
        let positions = Arc::new(Positions::new(&starts));
        Self { starts, ends, positions, topic_id: None, ends_when_grown: false }
    }
}

/// One worker's share of a topic.
pub struct KafkaInput {
    topic: Arc<str>,
    /// The id that it was created with, where it is known.
    topic_id: Option<String>,
    decoder: Decoder,
    /// None on a worker that owns no partition.
    consumer: Option<Arc<BaseConsumer<Context>>>,
    partitions: BTreeMap<PartitionId, TopicPartition>,
    positions: Arc<Positions>,
    /// When the client's events were last served.
    served: Option<Instant>,
    /// Of the worker that has the first partition.
    watch: Option<TopicWatch>,
}

struct TopicPartition {
    queue: PartitionQueue<Context>,
    next: i64,
    end: Option<i64>,
    /// Whether it held no record when it was opened, and none has come.
    empty: bool,
    ended: bool,
}

/// What came out of a partition's queue, where it is no record.
enum Event {
    EndOfPartition,
    /// Nothing that cannot be waited for.
    Trouble,
    Failed(InputError),
}

impl KafkaInput {
    /// Opens worker `worker`'s share of `workers`.
    ///
    /// # Errors
    /// When the configuration cannot be used. A broker that is away is no error.
    pub fn open(
        config: &KafkaSourceConfig,
        job: &str,
        decoder: &Decoder,
        reading: &Reading,
        worker: usize,
        workers: usize,
    ) -> Result<Self, InputError> {
        assert!(worker < workers, "worker {worker} of {workers}");
        let mine: Vec<(PartitionId, i64)> = reading
            .starts
            .iter()
            .filter(|(partition, _)| partition.0 as usize % workers == worker)
            .map(|(partition, offset)| (*partition, *offset))
            .collect();
        let mut input = Self {
            topic: config.topic.as_str().into(),
            topic_id: reading.topic_id.clone(),
            decoder: decoder.clone(),
            consumer: None,
            partitions: BTreeMap::new(),
            positions: Arc::clone(&reading.positions),
            served: None,
            watch: None,
        };
        if mine.is_empty() {
            return Ok(input);
        }
        let server = Server::of_source(config).map_err(|error| InputError::Failed(error.0))?;
        let consumer: Arc<BaseConsumer<Context>> = server
            .consumer(&format!("tickcast-{job}"), mine.len())
            .create_with_context(Context::watching(&config.topic))
            .map(Arc::new)
            .map_err(|error| InputError::Failed(server.explain(&error).0))?;
        for (partition, queue) in assign(&consumer, &config.topic, &mine)? {
            let next = reading.starts[&partition];
            let end = reading.ends.as_ref().map(|ends| ends.get(&partition).copied().unwrap_or(next));
            let ended = end.is_some_and(|end| next >= end);
            // Asked before the first poll, and of a broker that has just answered. Where it does not, the partition may hold some.
            let number = i32::try_from(partition.0).map_err(|error| InputError::Failed(error.to_string()))?;
            let bounds = consumer.fetch_watermarks(&config.topic, number, BOUNDS_WAIT);
            let empty = bounds.is_ok_and(|(low, high)| low == high);
            input.partitions.insert(partition, TopicPartition { queue, next, end, empty, ended });
        }
        input.consumer = Some(consumer);
        // What a bounded run reads has been looked at.
        if worker == 0 && reading.ends.is_none() {
            let partitions = u32::try_from(reading.starts.len()).unwrap_or(u32::MAX);
            let id = reading.topic_id.clone();
            input.watch = Some(TopicWatch::new(&config.topic, id, partitions, reading.ends_when_grown));
        }
        Ok(input)
    }

    /// What to make of an event that is no record.
    fn judge(&self, partition: PartitionId, next: i64, error: &KafkaError) -> Event {
        use RDKafkaErrorCode as Code;
        let topic = &self.topic;
        let number = partition.0;
        let failed = |text: String| Event::Failed(InputError::Failed(text));
        match error {
            KafkaError::PartitionEOF(_) => Event::EndOfPartition,
            KafkaError::MessageConsumptionFatal(code) => failed(format!("Kafka client: {code}")),
            _ => match error.rdkafka_error_code() {
                Some(Code::PartitionEOF) => Event::EndOfPartition,
                Some(Code::AutoOffsetReset | Code::OffsetOutOfRange) => {
                    Event::Failed(self.gone(partition, next).into())
                }
                Some(Code::LogTruncation) => failed(format!(
                    "{topic}/{number} was truncated below offset {next}, which had been read: the broker has lost records"
                )),
                Some(Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition) => {
                    Event::Failed(Refusal::TopicDeleted { topic: topic.to_string() }.into())
                }
                Some(Code::TopicAuthorizationFailed) => {
                    failed(format!("not allowed to read topic `{topic}`: grant Read on it"))
                }
                Some(
                    code @ (Code::BadCompression | Code::BadMessage | Code::InvalidMessage | Code::NotImplemented),
                ) => failed(format!("record {next} or one after it of {topic}/{number} cannot be read: {code}")),
                _ => Event::Trouble,
            },
        }
    }
}

impl KafkaInput {
    /// Why an offset cannot be read: the end of the job, so that the broker may be waited for.
    fn gone(&self, partition: PartitionId, next: i64) -> Refusal {
        let marks = self.consumer.as_ref().and_then(|consumer| {
            let is_another = |id: &String| self.topic_id.as_ref().is_some_and(|known| known != id);
            let answer =
                Question::ask(Arc::clone(consumer), &self.topic, None).and_then(|asked| asked.answer(BOUNDS_WAIT));
            if answer.and_then(|answer| answer.ok()?.id).is_some_and(|id| is_another(&id)) {
                return Some(Err(Refusal::TopicCreatedAnew { topic: self.topic.to_string() }));
            }
            let number = i32::try_from(partition.0).ok()?;
            consumer.fetch_watermarks(&self.topic, number, BOUNDS_WAIT).ok().map(Ok)
        });
        match marks.transpose() {
            Ok(marks) => gone(&self.topic, partition, next, marks),
            Err(another) => another,
        }
    }
}

/// Assigns the partitions and gives each a queue of its own.
fn assign(
    consumer: &Arc<BaseConsumer<Context>>,
    topic: &str,
    mine: &[(PartitionId, i64)],
) -> Result<Vec<(PartitionId, PartitionQueue<Context>)>, InputError> {
    let mut list = TopicPartitionList::with_capacity(mine.len());
    let mut numbers = Vec::with_capacity(mine.len());
    for (partition, offset) in mine {
        let number = i32::try_from(partition.0).map_err(|error| InputError::Failed(error.to_string()))?;
        list.add_partition_offset(topic, number, Offset::Offset(*offset)).map_err(|error| {
            InputError::Failed(format!("cannot read {topic}/{number} from offset {offset}: {error}"))
        })?;
        numbers.push((*partition, number));
    }
    let split = || {
        let queue_of = |&(partition, number): &(PartitionId, i32)| {
            let queue = consumer.split_partition_queue(topic, number);
            queue
                .map(|queue| (partition, queue))
                .ok_or_else(|| InputError::Failed(format!("cannot split {topic}/{number}")))
        };
        numbers.iter().map(queue_of).collect::<Result<Vec<_>, _>>()
    };
    // Before, so that no record can take the common queue; and again, since assigning may undo it.
    let early = split()?;
    consumer
        .assign(&list)
        .map_err(|error| InputError::Failed(format!("cannot assign partitions of {topic}: {error}")))?;
    drop(early);
    split()
}

impl Input for KafkaInput {
    fn partitions(&self) -> Vec<PartitionId> {
        self.partitions.keys().copied().collect()
    }

    fn topic(&self, _: PartitionId) -> Arc<str> {
        Arc::clone(&self.topic)
    }

    fn decoder(&self, _: PartitionId) -> Result<Decoder, InputError> {
        Ok(self.decoder.clone())
    }

    fn read(
        &mut self,
        partition: PartitionId,
        limit: usize,
        symbols: &mut SymbolTable,
        visit: &mut dyn FnMut(Record<'_>, &mut SymbolTable) -> Flow,
    ) -> Result<PartitionState, InputError> {
        let topic = &self.topic;
        let Some(mut state) = self.partitions.remove(&partition) else {
            return Err(InputError::Failed(format!("{topic}/{} is not read by this worker", partition.0)));
        };
        let result = self.read_queue(partition, &mut state, limit, symbols, visit);
        self.partitions.insert(partition, state);
        result
    }

    fn is_empty(&self, partition: PartitionId) -> bool {
        self.partitions.get(&partition).is_some_and(|partition| partition.empty)
    }

    fn end(&self, partition: PartitionId) -> Option<u64> {
        self.consumer.as_ref()?.client().context().end(i32::try_from(partition.0).ok()?)
    }

    fn set_wake(&mut self, wake: Wake) {
        for partition in self.partitions.values_mut() {
            let wake = Arc::clone(&wake);
            partition.queue.set_nonempty_callback(move || wake());
        }
    }

    fn serve_events(&mut self) -> Result<(), InputError> {
        let Some(consumer) = &self.consumer else { return Ok(()) };
        if self.served.is_some_and(|served| served.elapsed() < EVENTS_EVERY) {
            return Ok(());
        }
        self.served = Some(Instant::now());
        if let Some(watch) = &mut self.watch {
            watch.look(consumer)?;
        }
        for _ in 0..EVENTS_MAX {
            match consumer.poll(Duration::ZERO) {
                None => {}
                Some(Ok(message)) => {
                    let (partition, offset) = (message.partition(), message.offset());
                    let text = format!("record {offset} of {}/{partition} left its queue", self.topic);
                    return Err(InputError::Failed(text));
                }
                // Told by the context; what concerns a partition comes in its own queue.
                Some(Err(KafkaError::MessageConsumptionFatal(code))) => {
                    return Err(InputError::Failed(format!("Kafka client: {code}")));
                }
                Some(Err(_)) => {}
            }
        }
        Ok(())
    }
}

impl KafkaInput {
    fn read_queue(
        &self,
        id: PartitionId,
        partition: &mut TopicPartition,
        limit: usize,
        symbols: &mut SymbolTable,
        visit: &mut dyn FnMut(Record<'_>, &mut SymbolTable) -> Flow,
    ) -> Result<PartitionState, InputError> {
        for _ in 0..limit {
            if partition.ended {
                return Ok(PartitionState::Ended);
            }
            match partition.queue.poll(Duration::ZERO) {
                None => return Ok(self.state(id)),
                Some(Ok(message)) => {
                    let offset = message.offset();
                    if offset < partition.next {
                        let text = format!("{}/{}: offset {offset} after {}", self.topic, id.0, partition.next - 1);
                        return Err(InputError::Failed(text));
                    }
                    // The end may have fallen into a hole: control records, compaction.
                    if partition.end.is_some_and(|end| offset >= end) {
                        partition.ended = true;
                        return Ok(PartitionState::Ended);
                    }
                    partition.empty = false;
                    let flow = visit(record(&message), symbols);
                    partition.next = offset + 1;
                    partition.ended = partition.end.is_some_and(|end| partition.next >= end);
                    self.positions.advance(id, partition.next);
                    if flow == Flow::Pause && !partition.ended {
                        return Ok(PartitionState::Behind);
                    }
                }
                Some(Err(error)) => match self.judge(id, partition.next, &error) {
                    // The end moves forward only: past the one of now is past the one of the start.
                    Event::EndOfPartition => partition.ended = partition.end.is_some(),
                    Event::Trouble => self.doubt(id),
                    Event::Failed(error) => return Err(error),
                },
            }
        }
        Ok(if partition.ended { PartitionState::Ended } else { PartitionState::Behind })
    }

    /// Where a partition stands whose queue is empty. The client's events were served before it was found so: what they
    /// prove to be here has been read.
    fn state(&self, id: PartitionId) -> PartitionState {
        let proven =
            |consumer: &Arc<BaseConsumer<Context>>| consumer.client().context().proven(i32::try_from(id.0).ok()?);
        match self.consumer.as_ref().and_then(proven) {
            Some(as_of) => PartitionState::CaughtUp { as_of },
            None => PartitionState::Waiting,
        }
    }

    fn doubt(&self, id: PartitionId) {
        if let (Some(consumer), Ok(number)) = (&self.consumer, i32::try_from(id.0)) {
            consumer.client().context().doubt(number);
        }
    }
}

fn record<'a>(message: &'a BorrowedMessage<'_>) -> Record<'a> {
    Record {
        offset: u64::try_from(message.offset()).unwrap_or(0),
        // Some clients write 0 or -1 for none.
        broker_time: message.timestamp().to_millis().map(Timestamp::from_millis).filter(|at| *at >= TIMESTAMP_MIN),
        key: message.key(),
        value: message.payload().map_or(Payload::Null, Payload::Bytes),
    }
}
