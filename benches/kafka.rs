//! Kafka to features: the job with windows and features over a topic, beside a bare `poll` loop over the same topic, in turns.
//!
//! `eval "$(deploy/services env)"; cargo bench --bench kafka`. The topic has 4 partitions and holds 2,000,000 ticks of 8
//! symbols as JSON, compressed with zstd, as a producer would send them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, missing_docs)]

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tickcast::config::{Config, Format, KafkaSourceConfig, Preset};
use tickcast::connectors::input::Input;
use tickcast::connectors::kafka::{KafkaInput, Publisher, Reading, end_offsets, resolve_start};
use tickcast::dataflows::job::{self, Job};
use tickcast::delivery::Stop;
use tickcast::formats::Decoder;
use tickcast::operators::support::stats::Stats;

const TICKS: u64 = 2_000_000;
const PARTITIONS: u32 = 4;
const ROUNDS: usize = 3;

fn publish(source: &KafkaSourceConfig) {
    let stop = Stop::default();
    let mut options = source.clone();
    options.options.insert("compression.type".to_owned(), "zstd".to_owned());
    let mut publisher = Publisher::open(&options, Some(PARTITIONS), &stop).unwrap();
    for number in 0..TICKS {
        let symbol = format!("S{}", number % 8);
        let price = 10_000 + (number * 7919) % 1000;
        let value = format!(
            "{{\"symbol\":\"{symbol}\",\"timestamp\":{},\"price\":{price}.{:02},\"size\":0.5}}",
            1_700_000_000_000 + number * 10,
            number % 100
        );
        publisher.send(Some(symbol.as_bytes()), value.as_bytes(), &stop).unwrap();
    }
    publisher.flush(&stop).unwrap();
}

/// Messages a second of a loop that does nothing but poll.
fn bare(source: &KafkaSourceConfig) -> f64 {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &source.brokers)
        .set("group.id", "bare")
        .set("enable.partition.eof", "true")
        .set("enable.auto.commit", "false")
        // Without this librdkafka sleeps a second whenever its queue was full, and the loop would look three times as slow.
        .set("fetch.queue.backoff.ms", "1")
        .set("fetch.wait.max.ms", "10")
        .create()
        .unwrap();
    let mut list = TopicPartitionList::new();
    for partition in 0..PARTITIONS as i32 {
        list.add_partition_offset(&source.topic, partition, Offset::Beginning).unwrap();
    }
    let begun = Instant::now();
    consumer.assign(&list).unwrap();
    let (mut count, mut ends, mut bytes) = (0_u64, 0, 0);
    while ends < PARTITIONS {
        match consumer.poll(Duration::from_secs(10)).expect("a message within 10 s") {
            Ok(message) => {
                count += 1;
                bytes += message.payload_len();
            }
            Err(KafkaError::PartitionEOF(_)) => ends += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(count, TICKS);
    std::hint::black_box(bytes);
    TICKS as f64 / begun.elapsed().as_secs_f64()
}

/// Messages a second of the job without a model, on `workers` workers.
fn job(source: &KafkaSourceConfig, workers: usize) -> f64 {
    let begun = Instant::now();
    let starts = resolve_start(source, "earliest").unwrap();
    let reading = Reading::new(starts, Some(end_offsets(source).unwrap()));
    let decoder = Decoder::json(Format::Tick, None, None);
    let mut config = Config::default();
    config.model.preset = Preset::None;
    let source = source.clone();
    let summary = job::run(Job {
        config,
        workers,
        cluster: None,
        serialised: false,
        input: Arc::new(move |worker, workers| {
            let input = KafkaInput::open(&source, "bench", &decoder, &reading, worker, workers)?;
            Ok(Box::new(input) as Box<dyn Input>)
        }),
        sinks: Vec::new(),
        bounded: true,
        range: (None, None),
        releases: Vec::new(),
        history: None,
        symbol_shares: None,
        checkpoints: None,
        restored: None,
        initial: None,
        trace: None,
        stop: Stop::default(),
        stats: Arc::new(Stats::default()),
    })
    .unwrap();
    assert_eq!(summary.records.total(), TICKS);
    TICKS as f64 / begun.elapsed().as_secs_f64()
}

fn main() {
    let Ok(brokers) = std::env::var("TICKCAST_TEST_KAFKA") else {
        println!("needs a broker: deploy/services start; eval \"$(deploy/services env)\"");
        return;
    };
    let topic = format!("bench-{}", std::process::id());
    let source = KafkaSourceConfig { brokers, topic, ..KafkaSourceConfig::default() };
    publish(&source);
    bare(&source); // the broker's caches are warm from here on
    let mut rates: [Vec<f64>; 3] = Default::default();
    for _ in 0..ROUNDS {
        rates[0].push(bare(&source));
        rates[1].push(job(&source, 1));
        rates[2].push(job(&source, 2));
    }
    let median = rates.map(|mut rates| {
        rates.sort_by(f64::total_cmp);
        rates[rates.len() / 2]
    });
    println!("messages a second, median of {ROUNDS} rounds in turns:");
    println!("  bare poll loop            {:>9.0}", median[0]);
    println!("  the job, one worker       {:>9.0}   {:.2} of it", median[1], median[1] / median[0]);
    println!("  the job, two workers      {:>9.0}   {:.2} of it", median[2], median[2] / median[0]);
}
