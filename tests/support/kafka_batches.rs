//! What the tests of the Kafka sink share: batches, and what a consumer sees of them.
#![allow(dead_code, unused_imports, clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message, OwnedMessage};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tickcast::config::{Delivery, KafkaSinkConfig};
use tickcast::connectors::kafka::*;
use tickcast::delivery::{Batch, Sink, SinkError, Stop};
use tickcast::market::{
    DeadLetter, Fixed, Forecast, Interval, ModelInfo, PartitionId, Reasons, Release, Score, Skill, Span, Status,
    Symbol, Timestamp, json,
};
use tickcast::recovery::Progress;

pub const WAIT: Duration = Duration::from_secs(60);

pub fn config(brokers: &str, topic: &str) -> KafkaSinkConfig {
    KafkaSinkConfig { brokers: brokers.to_owned(), topic: topic.to_owned(), ..KafkaSinkConfig::default() }
}

pub fn forecast(symbol: &str, issued_at: i64) -> Forecast {
    let (horizon, issued_at) = (Span::from_millis(60_000), Timestamp::from_millis(issued_at));
    Forecast {
        job: "btc".into(),
        symbol: Symbol::new(symbol).unwrap(),
        horizon,
        issued_at,
        target_at: issued_at.plus(horizon),
        last_price: Fixed::from_raw(100),
        price: 1.0,
        interval: Interval { coverage: 0.9, lower: 1.0, upper: 1.0 },
        quantiles: [1.0; 5],
        probability_up: 0.5,
        status: Status::Ok,
        reasons: Reasons::default(),
        skill: Skill::default(),
        drift: tickcast::market::Drift::default(),
        model: ModelInfo::default(),
    }
}

pub fn score(symbol: &str, target_at: i64) -> Score {
    let (symbol, target_at) = (Symbol::new(symbol).unwrap(), Timestamp::from_millis(target_at));
    Score { job: "btc".into(), symbol, horizon: Span::from_millis(60_000), target_at, outcome: None }
}

pub fn letter(offset: u64, value: &[u8]) -> DeadLetter {
    DeadLetter {
        topic: "ticks".into(),
        partition: PartitionId(2),
        offset,
        key: Some(b"raw \xff key".to_vec()),
        value: value.to_vec(),
        sha256: None,
        error: "not JSON".to_owned(),
    }
}

/// Everything of the minutes `from + 1 ..= to`, two symbols.
pub fn minutes(from: i64, to: i64) -> Batch {
    let stamps = (from + 1..=to).map(|minute| minute * 60_000);
    let both = |at| ["BTC", "ETH"].map(|symbol| (symbol, at));
    Batch {
        through: Timestamp::from_millis(to * 60_000),
        forecasts: stamps.clone().flat_map(both).map(|(symbol, at)| forecast(symbol, at)).collect(),
        scores: stamps.flat_map(both).map(|(symbol, at)| score(symbol, at)).collect(),
        ..Batch::default()
    }
}

/// All that `isolation` shows of a topic now, by partition and offset.
pub fn read(brokers: &str, topic: &str, isolation: &str) -> Vec<OwnedMessage> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", "reader")
        .set("enable.partition.eof", "true")
        .set("isolation.level", isolation)
        .create()
        .unwrap();
    let metadata = consumer.fetch_metadata(Some(topic), WAIT).unwrap();
    let partitions = metadata.topics()[0].partitions().len();
    let mut list = TopicPartitionList::new();
    for partition in 0..partitions {
        list.add_partition_offset(topic, partition as i32, Offset::Beginning).unwrap();
    }
    consumer.assign(&list).unwrap();
    let (mut messages, mut ends, deadline) = (Vec::new(), 0, Instant::now() + WAIT);
    while ends < partitions {
        assert!(Instant::now() < deadline, "no end of {topic}");
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => messages.push(message.detach()),
            Some(Err(rdkafka::error::KafkaError::PartitionEOF(_))) => ends += 1,
            Some(Err(_)) | None => {}
        }
    }
    messages.sort_by_key(|message| (message.partition(), message.offset()));
    messages
}

pub fn headers(message: &OwnedMessage) -> BTreeMap<String, String> {
    let Some(headers) = message.headers() else { return BTreeMap::new() };
    let text = |bytes: Option<&[u8]>| String::from_utf8(bytes.unwrap_or_default().to_vec()).unwrap();
    headers.iter().map(|header| (header.key.to_owned(), text(header.value))).collect()
}

pub fn ids(brokers: &str, topic: &str) -> Vec<String> {
    let mut ids: Vec<String> =
        read(brokers, topic, "read_committed").iter().map(|message| headers(message)["ce_id"].clone()).collect();
    ids.sort_unstable();
    ids
}

pub fn expected(batch: &Batch) -> Vec<String> {
    let mut ids: Vec<String> = batch.forecasts.iter().map(Forecast::id).collect();
    ids.sort_unstable();
    ids
}

pub fn embedded() -> EmbeddedBroker {
    EmbeddedBroker::start(&[("f", 3), ("f.scores", 3), ("f.progress", 1), ("dead", 3)]).unwrap()
}

pub fn open(config: &KafkaSinkConfig) -> (KafkaSink, Option<Progress>) {
    KafkaSink::open(config, "btc", Some(&format!("{}.dead", config.topic)), 3, &Stop::default()).unwrap()
}

pub fn open_embedded(broker: &EmbeddedBroker) -> KafkaSink {
    KafkaSink::open(&config(&broker.bootstrap(), "f"), "btc", Some("dead"), 3, &Stop::default()).unwrap().0
}

pub fn check_everything(brokers: &str, topic: &str, dead: &str, mut sink: KafkaSink) {
    let stop = Stop::default();
    sink.set_start(&[(PartitionId(0), 7)].into());
    sink.set_covers(vec!["kafka".to_owned()]);
    let release = Release { partition: PartitionId(1), offset: 3, before: Timestamp::from_millis(20_000) };
    let mut batch = minutes(0, 2);
    batch.dead_letters =
        vec![letter(5, b"{\"cut\":"), DeadLetter { sha256: Some("ab".to_owned()), ..letter(6, b"long") }];
    batch.releases = vec![release];
    batch.idle = [(PartitionId(1), release)].into();
    sink.write(&batch, &stop).unwrap();
    sink.write(&batch, &stop).unwrap(); // the same again is left out

    let forecasts = read(brokers, topic, "read_committed");
    assert_eq!(forecasts.len(), 4);
    for message in &forecasts {
        let headers = headers(message);
        let forecast = batch.forecasts.iter().find(|forecast| forecast.id() == headers["ce_id"]).unwrap();
        let mut value = Vec::new();
        json::write_forecast(forecast, &mut value);
        assert_eq!(message.payload().unwrap(), value);
        assert_eq!(message.key().unwrap(), forecast.symbol.as_str().as_bytes());
        let others = ["ce_source", "ce_specversion", "ce_subject", "ce_time", "ce_type", "content-type"]
            .map(|key| headers[key].clone());
        let symbol = forecast.symbol.as_str();
        let time = forecast.issued_at.to_string();
        assert_eq!(others, ["/tickcast/btc", "1.0", symbol, &time, "tickcast.forecast.v1", "application/json"]);
    }
    let same_partition = |symbol: &[u8]| {
        let all: Vec<i32> = forecasts.iter().filter(|m| m.key() == Some(symbol)).map(Message::partition).collect();
        all.iter().all(|partition| *partition == all[0])
    };
    assert!(same_partition(b"BTC") && same_partition(b"ETH"));

    let scores = read(brokers, &format!("{topic}.scores"), "read_committed");
    assert_eq!(scores.len(), 4);
    let first = headers(&scores[0]);
    assert_eq!(first["ce_type"], "tickcast.score.v1");
    assert!(
        batch
            .scores
            .iter()
            .any(|score| score.id() == first["ce_id"] && score.target_at.to_string() == first["ce_time"])
    );

    let mut letters = read(brokers, dead, "read_committed");
    letters.sort_by_key(|message| headers(message)["source.offset"].clone());
    assert_eq!(letters.iter().map(|m| m.payload().unwrap()).collect::<Vec<_>>(), [&b"{\"cut\":"[..], b"long"]);
    assert_eq!(letters[0].key().unwrap(), b"raw \xff key");
    let (whole, cut) = (headers(&letters[0]), headers(&letters[1]));
    assert_eq!(
        ["error", "source.topic", "source.partition", "source.offset"].map(|key| whole[key].as_str()),
        ["not JSON", "ticks", "2", "5"]
    );
    assert!(!whole.contains_key("truncated"));
    assert_eq!((cut["truncated"].as_str(), cut["sha256"].as_str()), ("true", "ab"));

    let records = read(brokers, &format!("{topic}.progress"), "read_committed");
    assert_eq!(records.len(), 2, "one at the start, one with the batch");
    let last: Progress = serde_json::from_slice(records[1].payload().unwrap()).unwrap();
    assert_eq!(records[1].key().unwrap(), b"btc");
    assert_eq!(&last, sink.progress());
    assert_eq!((last.generation.0, last.sequence.0, last.through.millis()), (1, 2, 120_000));
    assert_eq!(last.start, [(PartitionId(0), 7)].into());
    assert_eq!(last.dead_letters, [(PartitionId(2), 7)].into());
    assert_eq!((last.releases, last.idle.len(), last.covers), (vec![release], 1, vec!["kafka".to_owned()]));
}
