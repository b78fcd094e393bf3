//! Topics: made, filled, and read to the end, by our client and by Kafka's own console consumer.

use super::{Services, run_to_end};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Headers, Message as _};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Duration, Instant};

const TIMEOUT: Duration = Duration::from_secs(60);

/// A record to be written.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// `None`: by the key's hash.
    pub partition: Option<i32>,
    /// The key.
    pub key: Option<String>,
    /// The value.
    pub value: Vec<u8>,
}

/// A record that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Partition.
    pub partition: i32,
    /// Offset.
    pub offset: i64,
    /// The key.
    pub key: Option<String>,
    /// The value; empty where there was none.
    pub value: Vec<u8>,
    /// Headers, as text.
    pub headers: BTreeMap<String, String>,
}

fn config(brokers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers).set("log_level", "0");
    config
}

/// Makes a topic.
pub fn create_topic(brokers: &str, topic: &str, partitions: i32) {
    let admin: AdminClient<DefaultClientContext> = config(brokers).create().expect("an admin client");
    let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
    let options = AdminOptions::new().operation_timeout(Some(TIMEOUT));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let results = runtime.block_on(admin.create_topics([&new], &options)).expect("the broker answers");
    for result in results {
        result.unwrap_or_else(|(topic, code)| panic!("topic {topic}: {code}"));
    }
}

/// Writes records, in order per partition, and returns when all are acknowledged.
pub fn produce(brokers: &str, topic: &str, records: impl IntoIterator<Item = Record>) {
    let producer: BaseProducer = config(brokers)
        .set("enable.idempotence", "true")
        .set("linger.ms", "5")
        .set("compression.type", "zstd")
        .set("queue.buffering.max.kbytes", "65536")
        .create()
        .expect("a producer");
    for record in records {
        let mut next = BaseRecord::<str, [u8]>::to(topic).payload(&record.value);
        next.partition = record.partition;
        next.key = record.key.as_deref();
        while let Err((error, again)) = producer.send(next) {
            let full = KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull);
            assert_eq!(error, full, "writing to {topic}");
            producer.poll(Duration::from_millis(10));
            next = again;
        }
        producer.poll(Duration::ZERO);
    }
    producer.flush(TIMEOUT).expect("all records are acknowledged");
}

fn partitions(consumer: &BaseConsumer, topic: &str) -> Vec<i32> {
    let metadata = consumer.fetch_metadata(Some(topic), TIMEOUT).expect("the broker answers");
    let found = metadata.topics().first().expect("the topic asked for");
    assert!(found.error().is_none(), "topic {topic}: {:?}", found.error());
    found.partitions().iter().map(rdkafka::metadata::MetadataPartition::id).collect()
}

/// Per partition, the offset that the next record will have (the high watermark).
pub fn end_offsets(brokers: &str, topic: &str) -> BTreeMap<i32, i64> {
    let consumer: BaseConsumer = config(brokers).create().expect("a consumer");
    let ids = partitions(&consumer, topic);
    let end = |id| consumer.fetch_watermarks(topic, id, TIMEOUT).expect("the broker answers").1;
    ids.into_iter().map(|id| (id, end(id))).collect()
}

/// All committed records of a topic, by (partition, offset), from its beginning to the end that `read_committed` sees now.
pub fn read_committed(brokers: &str, topic: &str) -> Vec<Message> {
    let mut messages = Vec::new();
    visit_committed(brokers, topic, |message| messages.push(message));
    messages.sort_by_key(|message| (message.partition, message.offset));
    messages
}

/// The same one by one, per partition in order, for topics that memory does not hold.
pub fn visit_committed(brokers: &str, topic: &str, mut visit: impl FnMut(Message)) {
    let consumer: BaseConsumer = config(brokers)
        .set("group.id", "unused")
        .set("isolation.level", "read_committed")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .set("auto.offset.reset", "error")
        .create()
        .expect("a consumer");
    let ids = partitions(&consumer, topic);
    let mut assignment = TopicPartitionList::new();
    // A topic that is written to all the time might be followed for ever.
    let mut ends = std::collections::BTreeMap::new();
    for &id in &ids {
        ends.insert(id, consumer.fetch_watermarks(topic, id, TIMEOUT).expect("its bounds").1);
        assignment.add_partition_offset(topic, id, Offset::Beginning).unwrap();
    }
    consumer.assign(&assignment).unwrap();
    let mut ended = std::collections::BTreeSet::new();
    let mut end = Instant::now() + TIMEOUT;
    while ended.len() < ids.len() {
        assert!(Instant::now() < end, "nothing more of {topic} within {TIMEOUT:?}");
        match consumer.poll(Duration::from_millis(100)) {
            None => continue,
            Some(Err(KafkaError::PartitionEOF(partition))) => drop(ended.insert(partition)),
            Some(Err(error)) => panic!("reading {topic}: {error}"),
            Some(Ok(record)) => {
                let (partition, next) = (record.partition(), record.offset() + 1);
                if next <= ends[&partition] {
                    visit(message(&record));
                }
                if next >= ends[&partition] {
                    ended.insert(partition);
                }
            }
        }
        end = Instant::now() + TIMEOUT;
    }
}

fn message(record: &rdkafka::message::BorrowedMessage<'_>) -> Message {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let headers = record.headers().map(|headers| {
        headers.iter().map(|header| (header.key.to_owned(), text(header.value.unwrap_or_default()))).collect()
    });
    Message {
        partition: record.partition(),
        offset: record.offset(),
        key: record.key().map(text),
        value: record.payload().unwrap_or_default().to_vec(),
        headers: headers.unwrap_or_default(),
    }
}

const SEPARATOR: &str = "\u{1f}";

/// All committed records as Kafka's own console consumer prints them, by (partition, offset), without headers. It ends
/// when nothing came for `idle` (10 s are enough on a busy machine), so values must hold no line break.
pub fn console_consumer(services: &Services, topic: &str, idle: Duration) -> Vec<Message> {
    let mut command = Command::new(services.java());
    command.args(["-Xmx256m", "-XX:TieredStopAtLevel=1", "-cp", &services.kafka_libs()]);
    let log = super::project().join("deploy/kafka/log4j2.properties");
    command.arg(format!("-Dlog4j2.configurationFile={}", log.display()));
    command.arg("org.apache.kafka.tools.consumer.ConsoleConsumer");
    command.args(["--bootstrap-server", services.kafka(), "--topic", topic, "--from-beginning"]);
    command.args(["--isolation-level", "read_committed", "--timeout-ms", &idle.as_millis().to_string()]);
    let separator = format!("key.separator={SEPARATOR}");
    for property in ["print.partition=true", "print.offset=true", "print.key=true", &separator] {
        command.args(["--property", property]);
    }
    let done = run_to_end(command, Duration::from_secs(300));
    assert!(done.stderr.contains("Processed a total of"), "the console consumer failed: {}", done.stderr);
    let text = String::from_utf8(done.stdout).expect("UTF-8");
    let mut messages: Vec<Message> = text.lines().map(console_line).collect();
    messages.sort_by_key(|message| (message.partition, message.offset));
    messages
}

fn console_line(line: &str) -> Message {
    let mut parts = line.splitn(4, SEPARATOR);
    let mut part = || parts.next().unwrap_or_else(|| panic!("unexpected line of the console consumer: {line}"));
    let number = |text: &str, name: &str| {
        text.strip_prefix(name).and_then(|n| n.parse::<i64>().ok()).unwrap_or_else(|| panic!("{name} in {line}"))
    };
    let partition = number(part(), "Partition:") as i32;
    let offset = number(part(), "Offset:");
    let key = Some(part().to_owned()).filter(|key| key != "null");
    Message { partition, offset, key, value: part().as_bytes().to_vec(), headers: BTreeMap::new() }
}
