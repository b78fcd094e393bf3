//! Reading from Kafka: every record once and in order, partitions that pause alone, ends that are found, and a lost
//! offset that is an error.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tickcast::config::KafkaSourceConfig;
use tickcast::connectors::input::{Flow, Input, PartitionState, Payload};
use tickcast::connectors::kafka::*;
use tickcast::delivery::Stop;
use tickcast::formats::Decoder;
use tickcast::market::{PartitionId, SymbolTable};

const WAIT: Duration = Duration::from_secs(30);

fn decoder() -> Decoder {
    Decoder::json(tickcast::config::Format::Auto, None, None)
}

fn config(brokers: &str, topic: &str) -> KafkaSourceConfig {
    KafkaSourceConfig { brokers: brokers.to_owned(), topic: topic.to_owned(), ..KafkaSourceConfig::default() }
}

fn publish(config: &KafkaSourceConfig, create: Option<u32>, range: std::ops::Range<u32>) {
    let stop = Stop::default();
    let mut publisher = Publisher::open(config, create, &stop).unwrap();
    for number in range {
        let key = format!("key-{}", number % 17);
        publisher.send(Some(key.as_bytes()), number.to_string().as_bytes(), &stop).unwrap();
    }
    publisher.flush(&stop).unwrap();
}

type Seen = BTreeMap<PartitionId, Vec<(u64, String)>>;

/// Reads up to `limit` records of one partition.
fn read_some(input: &mut KafkaInput, partition: PartitionId, limit: usize, seen: &mut Seen) -> PartitionState {
    let mut symbols = SymbolTable::default();
    input.serve_events().unwrap();
    let visit = &mut |record: tickcast::connectors::input::Record<'_>, _: &mut SymbolTable| {
        let Payload::Bytes(bytes) = record.value else { panic!("bytes") };
        assert!(record.broker_time.is_some() && record.key.is_some());
        seen.entry(partition).or_default().push((record.offset, String::from_utf8(bytes.to_vec()).unwrap()));
        Flow::Continue
    };
    input.read(partition, limit, &mut symbols, visit).unwrap()
}

/// Whether everything that a partition held was read.
const fn caught_up(state: PartitionState) -> bool {
    matches!(state, PartitionState::CaughtUp { .. })
}

fn ended(state: PartitionState) -> bool {
    state == PartitionState::Ended
}

/// Reads all partitions of all inputs until each is in a state of this kind.
fn read_until(inputs: &mut [KafkaInput], is_so: impl Fn(PartitionState) -> bool, seen: &mut Seen) {
    let deadline = Instant::now() + WAIT;
    loop {
        let mut all = true;
        for input in &mut *inputs {
            for partition in input.partitions() {
                all &= is_so(read_some(input, partition, 100, seen));
            }
        }
        if all {
            return;
        }
        assert!(Instant::now() < deadline, "not after {WAIT:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn open(config: &KafkaSourceConfig, reading: &Reading, workers: usize) -> Vec<KafkaInput> {
    (0..workers).map(|worker| KafkaInput::open(config, "t", &decoder(), reading, worker, workers).unwrap()).collect()
}

fn numbers(seen: &Seen) -> Vec<u32> {
    let mut numbers: Vec<u32> = seen.values().flatten().map(|(_, text)| text.parse().unwrap()).collect();
    numbers.sort_unstable();
    numbers
}

#[test]
fn every_record_is_read_once_and_in_order_by_any_number_of_workers() {
    let broker = EmbeddedBroker::start(&[("ticks", 3)]).unwrap();
    let config = config(&broker.bootstrap(), "ticks");
    publish(&config, None, 0..500);
    for workers in [1, 2, 5] {
        let starts = resolve_start(&config, "earliest").unwrap();
        let reading = Reading::new(starts, None);
        let mut inputs = open(&config, &reading, workers);
        let mut seen = Seen::new();
        read_until(&mut inputs, caught_up, &mut seen);
        assert_eq!(numbers(&seen), (0..500).collect::<Vec<_>>(), "{workers} workers");
        for (partition, records) in &seen {
            assert!(records.iter().map(|(offset, _)| *offset).eq(0..records.len() as u64), "{partition:?}");
        }
        assert_eq!(reading.positions.all(), end_offsets(&config).unwrap());
    }
}

#[test]
fn a_live_partition_is_caught_up_until_more_comes() {
    let broker = EmbeddedBroker::start(&[("ticks", 2)]).unwrap();
    let config = config(&broker.bootstrap(), "ticks");
    let reading = Reading::new(resolve_start(&config, "latest").unwrap(), None);
    let mut inputs = open(&config, &reading, 1);
    let mut seen = Seen::new();
    read_until(&mut inputs, caught_up, &mut seen); // empty ones too
    assert!(seen.is_empty());
    for round in 0..3 {
        publish(&config, None, round * 50..round * 50 + 50);
        let deadline = Instant::now() + WAIT;
        while numbers(&seen).len() < (round as usize + 1) * 50 {
            assert!(Instant::now() < deadline);
            for partition in inputs[0].partitions() {
                let before = seen.get(&partition).map_or(0, Vec::len);
                let state = read_some(&mut inputs[0], partition, 1, &mut seen);
                let read = seen.get(&partition).map_or(0, Vec::len) > before;
                assert!(!read || state == PartitionState::Behind, "a record says nothing about the end");
            }
        }
        read_until(&mut inputs, caught_up, &mut seen);
    }
}

#[test]
fn a_partition_that_is_not_read_holds_up_no_other() {
    let broker = EmbeddedBroker::start(&[("ticks", 2)]).unwrap();
    let config = config(&broker.bootstrap(), "ticks");
    publish(&config, None, 0..2000);
    let reading = Reading::new(resolve_start(&config, "earliest").unwrap(), None);
    let mut inputs = open(&config, &reading, 1);
    let mut seen = Seen::new();
    let deadline = Instant::now() + WAIT;
    while !caught_up(read_some(&mut inputs[0], PartitionId(1), 100, &mut seen)) {
        assert!(Instant::now() < deadline);
    }
    assert!(!seen.contains_key(&PartitionId(0)));
    assert_eq!(reading.positions.next(PartitionId(0)), Some(0));
    read_until(&mut inputs, caught_up, &mut seen);
    assert_eq!(numbers(&seen).len(), 2000);
}

#[test]
fn a_record_that_asks_for_a_pause_is_the_last_one() {
    let broker = EmbeddedBroker::start(&[("ticks", 1)]).unwrap();
    let config = config(&broker.bootstrap(), "ticks");
    publish(&config, None, 0..10);
    let reading = Reading::new(resolve_start(&config, "earliest").unwrap(), None);
    let mut inputs = open(&config, &reading, 1);
    let (mut symbols, mut offsets) = (SymbolTable::default(), Vec::new());
    let deadline = Instant::now() + WAIT;
    while offsets.len() < 10 {
        assert!(Instant::now() < deadline);
        let before = offsets.len();
        let state = inputs[0].read(PartitionId(0), 100, &mut symbols, &mut |record, _| {
            offsets.push(record.offset);
            Flow::Pause
        });
        assert!(offsets.len() <= before + 1, "one at a time");
        let here = if offsets.len() > before { PartitionState::Behind } else { PartitionState::Waiting };
        assert_eq!(state.unwrap(), here);
    }
    assert!(offsets.into_iter().eq(0..10));
}

#[test]
fn a_bounded_run_ends_at_the_offsets_found_at_its_start() {
    let broker = EmbeddedBroker::start(&[("ticks", 4)]).unwrap();
    let config = config(&broker.bootstrap(), "ticks");
    publish(&config, None, 0..8);
    let starts = resolve_start(&config, "earliest").unwrap();
    let ends = end_offsets(&config).unwrap();
    publish(&config, None, 8..500);
    let reading = Reading::new(starts, Some(ends.clone()));
    let mut seen = Seen::new();
    read_until(&mut open(&config, &reading, 2), ended, &mut seen);
    assert_eq!(numbers(&seen), (0..8).collect::<Vec<_>>());
    assert_eq!(reading.positions.all(), ends);

    let nothing = Reading::new(ends.clone(), Some(ends));
    for mut input in open(&config, &nothing, 2) {
        for partition in input.partitions() {
            assert_eq!(read_some(&mut input, partition, 1, &mut seen), PartitionState::Ended, "at once");
        }
    }
}

#[test]
fn offsets_that_are_gone_are_an_error_that_says_so() {
    let broker = EmbeddedBroker::start(&[("ticks", 1)]).unwrap();
    let config = config(&broker.bootstrap(), "ticks");
    let stop = Stop::default();
    let options = [("compression.type".to_owned(), "none".to_owned())].into();
    let plain = KafkaSourceConfig { options, ..config.clone() };
    let mut publisher = Publisher::open(&plain, None, &stop).unwrap();
    for _ in 0..150 {
        publisher.send(None, &[7; 60_000], &stop).unwrap();
        publisher.flush(&stop).unwrap();
    }
    let low = resolve_start(&config, "earliest").unwrap()[&PartitionId(0)];
    assert!(low > 0, "the embedded broker cuts at 5 MiB");
    let wanted: Offsets = [(PartitionId(0), 0)].into();
    let state = topic_state(&config).unwrap();
    assert_eq!(state.partitions[&PartitionId(0)], (low, 150));

    let mut input = open(&config, &Reading::new(wanted, None), 1).remove(0);
    let deadline = Instant::now() + WAIT;
    let error = loop {
        assert!(Instant::now() < deadline, "no error");
        input.serve_events().unwrap();
        let visit = &mut |_: tickcast::connectors::input::Record<'_>, _: &mut SymbolTable| panic!("a record");
        if let Err(error) = input.read(PartitionId(0), 10, &mut SymbolTable::default(), visit) {
            break error.to_string();
        }
    };
    let expired = "offsets_expired: offset 0 of ticks/0 is no longer there: the broker has deleted it";
    assert!(error.starts_with(expired) && error.contains(&format!("begins at {low}")), "{error}");
}

#[test]
fn an_idle_partition_is_not_caught_up_while_its_broker_is_away() {
    let broker = EmbeddedBroker::start(&[("ticks", 1)]).unwrap();
    let config = config(&broker.bootstrap(), "ticks");
    publish(&config, None, 0..3);
    let reading = Reading::new(resolve_start(&config, "earliest").unwrap(), None);
    let mut inputs = open(&config, &reading, 1);
    let mut seen = Seen::new();
    read_until(&mut inputs, caught_up, &mut seen);
    broker.cluster().broker_down(-1).unwrap();
    read_until(&mut inputs, |state| state == PartitionState::Waiting, &mut seen);
    broker.cluster().broker_up(-1).unwrap();
    read_until(&mut inputs, caught_up, &mut seen);
    publish(&config, None, 3..6);
    let deadline = Instant::now() + WAIT;
    while numbers(&seen).len() < 6 {
        assert!(Instant::now() < deadline);
        read_some(&mut inputs[0], PartitionId(0), 10, &mut seen);
    }
    assert_eq!(numbers(&seen), (0..6).collect::<Vec<_>>(), "nothing lost, nothing twice");
}

#[test]
fn no_broker_and_no_topic_are_told_in_one_message() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let begin = Instant::now();
    let error = resolve_start(&config(&format!("127.0.0.1:{port}"), "ticks"), "earliest").unwrap_err().to_string();
    assert!(error.starts_with(&format!("no broker answers at 127.0.0.1:{port}: ")), "{error}");
    assert!(error.contains("refused"), "{error}");
    assert!(begin.elapsed() < Duration::from_secs(18));

    let broker = EmbeddedBroker::start(&[("other", 1)]).unwrap();
    let error = topic_state(&config(&broker.bootstrap(), "btc.ticks")).unwrap_err().to_string();
    let expected =
        format!("topic `btc.ticks` does not exist on {}: create it or publish to it first", broker.bootstrap());
    assert_eq!(error, expected);
}

#[test]
fn a_start_that_is_no_time_is_refused() {
    let error = resolve_start(&config("127.0.0.1:1", "ticks"), "yesterday").unwrap_err().to_string();
    assert!(error.contains("`source.kafka.start` = \"yesterday\" is neither"), "{error}");
}

fn real() -> String {
    std::env::var("TICKCAST_TEST_KAFKA").expect("TICKCAST_TEST_KAFKA = host:port")
}

fn fresh(name: &str) -> String {
    format!("{name}.{}.{:?}", std::process::id(), Instant::now())
        .replace(|c: char| !c.is_alphanumeric() && c != '.', "")
}

#[test]
#[ignore = "needs services: run ./deploy/test"]
fn a_start_by_time_begins_at_the_first_record_sent_then() {
    let config = config(&real(), &fresh("times"));
    publish(&config, Some(2), 0..100);
    std::thread::sleep(Duration::from_millis(20)); // two stamps that differ, not a wait for anything
    let between = now_ms();
    std::thread::sleep(Duration::from_millis(20));
    publish(&config, None, 100..150);
    let at = tickcast::market::Timestamp::from_millis(between).to_string();
    let starts = resolve_start(&config, &at).unwrap();
    let ends = end_offsets(&config).unwrap();
    let mut seen = Seen::new();
    read_until(&mut open(&config, &Reading::new(starts, Some(ends.clone())), 1), ended, &mut seen);
    assert_eq!(numbers(&seen), (100..150).collect::<Vec<_>>());
    assert_eq!(resolve_start(&config, "2099-01-01T00:00:00Z").unwrap(), ends, "after the last record: its end");
}

#[allow(clippy::disallowed_methods)] // the broker's stamps are the wall clock's
fn now_ms() -> i64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as i64
}

/// Publishes in transactions, so that control records stand between and behind the records.
fn publish_in_transactions(config: &KafkaSourceConfig, id: &str, fates: &[bool]) {
    use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
    let producer: BaseProducer = rdkafka::ClientConfig::new()
        .set("bootstrap.servers", &config.brokers)
        .set("transactional.id", id)
        .create()
        .unwrap();
    producer.init_transactions(WAIT).unwrap();
    for (number, commit) in fates.iter().enumerate() {
        producer.begin_transaction().unwrap();
        let value = number.to_string();
        producer.send(BaseRecord::to(&config.topic).key("k").payload(&value)).unwrap();
        while producer.in_flight_count() > 0 {
            producer.poll(Duration::from_millis(1));
        }
        if *commit { producer.commit_transaction(WAIT) } else { producer.abort_transaction(WAIT) }.unwrap();
    }
}

#[test]
#[ignore = "needs services: run ./deploy/test"]
fn control_records_are_holes_and_aborted_records_are_invisible() {
    let config = config(&real(), &fresh("holes"));
    publish(&config, Some(1), 0..0);
    publish_in_transactions(&config, &config.topic, &[true, false, true, false]);
    let reading = Reading::new(resolve_start(&config, "earliest").unwrap(), Some(end_offsets(&config).unwrap()));
    let mut seen = Seen::new();
    read_until(&mut open(&config, &reading, 1), ended, &mut seen);
    assert_eq!(seen[&PartitionId(0)], [(0, "0".to_owned()), (4, "2".to_owned())]);
}
