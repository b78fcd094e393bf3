//! Writing to Kafka: what a `read_committed` consumer sees, what the progress record says, and what happens when the
//! broker fails, a transaction times out, or another instance takes over.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

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
use tickcast::connectors::sink::{Batch, Sink, SinkError, Stop};
use tickcast::market::{
    DeadLetter, Fixed, Forecast, Interval, ModelInfo, PartitionId, Reasons, Release, Score, Skill, Span, Status,
    Symbol, Timestamp, json,
};

const WAIT: Duration = Duration::from_secs(60);

fn config(brokers: &str, topic: &str) -> KafkaSinkConfig {
    KafkaSinkConfig { brokers: brokers.to_owned(), topic: topic.to_owned(), ..KafkaSinkConfig::default() }
}

fn forecast(symbol: &str, issued_at: i64) -> Forecast {
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
        model: ModelInfo::default(),
    }
}

fn score(symbol: &str, target_at: i64) -> Score {
    let (symbol, target_at) = (Symbol::new(symbol).unwrap(), Timestamp::from_millis(target_at));
    Score { job: "btc".into(), symbol, horizon: Span::from_millis(60_000), target_at, outcome: None }
}

fn letter(offset: u64, value: &[u8]) -> DeadLetter {
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
fn minutes(from: i64, to: i64) -> Batch {
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
fn read(brokers: &str, topic: &str, isolation: &str) -> Vec<OwnedMessage> {
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

fn headers(message: &OwnedMessage) -> BTreeMap<String, String> {
    let Some(headers) = message.headers() else { return BTreeMap::new() };
    let text = |bytes: Option<&[u8]>| String::from_utf8(bytes.unwrap_or_default().to_vec()).unwrap();
    headers.iter().map(|header| (header.key.to_owned(), text(header.value))).collect()
}

fn ids(brokers: &str, topic: &str) -> Vec<String> {
    let mut ids: Vec<String> =
        read(brokers, topic, "read_committed").iter().map(|message| headers(message)["ce_id"].clone()).collect();
    ids.sort_unstable();
    ids
}

fn expected(batch: &Batch) -> Vec<String> {
    let mut ids: Vec<String> = batch.forecasts.iter().map(Forecast::id).collect();
    ids.sort_unstable();
    ids
}

fn embedded() -> EmbeddedBroker {
    EmbeddedBroker::start(&[("f", 3), ("f.scores", 3), ("f.progress", 1), ("dead", 3)]).unwrap()
}

fn open(config: &KafkaSinkConfig) -> (KafkaSink, Option<Progress>) {
    KafkaSink::open(config, "btc", Some(&format!("{}.dead", config.topic)), 3, &Stop::default()).unwrap()
}

fn open_embedded(broker: &EmbeddedBroker) -> KafkaSink {
    KafkaSink::open(&config(&broker.bootstrap(), "f"), "btc", Some("dead"), 3, &Stop::default()).unwrap().0
}

fn check_everything(brokers: &str, topic: &str, dead: &str, mut sink: KafkaSink) {
    let stop = Stop::default();
    sink.set_start(&[(PartitionId(0), 7)].into());
    sink.set_covers(vec!["kafka".to_owned()]);
    let release = Release { partition: PartitionId(1), offset: 3, pane: 4 };
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
    assert_eq!((last.generation, last.sequence, last.through.millis()), (1, 2, 120_000));
    assert_eq!(last.start, [(PartitionId(0), 7)].into());
    assert_eq!(last.dead_letters, [(PartitionId(2), 7)].into());
    assert_eq!((last.releases, last.idle.len(), last.covers), (vec![release], 1, vec!["kafka".to_owned()]));
}

#[test]
fn a_batch_is_written_whole_with_its_progress() {
    let broker = embedded();
    let sink = open_embedded(&broker);
    check_everything(&broker.bootstrap(), "f", "dead", sink);
}

#[test]
fn at_least_once_writes_the_same() {
    let broker = embedded();
    let config = KafkaSinkConfig { delivery: Delivery::AtLeastOnce, ..config(&broker.bootstrap(), "f") };
    let sink = KafkaSink::open(&config, "btc", Some("dead"), 3, &Stop::default()).unwrap().0;
    check_everything(&broker.bootstrap(), "f", "dead", sink);
}

#[test]
fn a_restart_reads_progress_and_leaves_out_what_is_published() {
    let broker = embedded();
    let config = config(&broker.bootstrap(), "f");
    let stop = Stop::default();
    let (mut first, none) = KafkaSink::open(&config, "btc", Some("dead"), 3, &stop).unwrap();
    assert_eq!(none, None);
    first.write(&minutes(0, 2), &stop).unwrap();
    let written = first.progress().clone();
    drop(first);
    let (mut second, found) = KafkaSink::open(&config, "btc", Some("dead"), 3, &stop).unwrap();
    assert_eq!(found, Some(written));
    assert_eq!(second.progress().generation, 2);
    for to in 1..=4 {
        second.write(&minutes(to - 1, to), &stop).unwrap();
    }
    assert_eq!(ids(&broker.bootstrap(), "f"), expected(&minutes(0, 4)));
    let (_, other) = KafkaSink::open(&config, "eth", Some("dead"), 3, &stop).unwrap();
    assert_eq!(other, None, "another job's progress is not ours");
}

/// Lets one request fail, and checks that the batch is there nevertheless. The embedded broker shows aborted records
/// too, hence "at least"; where only the commit fails, it looks as if that had been done and its answer lost: the
/// progress record tells, and nothing is sent twice.
fn survives(key: RDKafkaApiKey, errors: &[RDKafkaRespErr]) {
    let broker = embedded();
    let mut sink = open_embedded(&broker);
    let stop = Stop::default();
    sink.write(&minutes(0, 1), &stop).unwrap();
    let cluster: &MockCluster<'static, DefaultProducerContext> = broker.cluster();
    cluster.request_errors(key, errors);
    sink.write(&minutes(1, 2), &stop).unwrap();
    cluster.clear_request_errors(key);
    sink.write(&minutes(2, 3), &stop).unwrap();
    let mut ids = ids(&broker.bootstrap(), "f");
    if key != RDKafkaApiKey::EndTxn {
        ids.dedup();
    }
    assert_eq!(ids, expected(&minutes(0, 3)), "{key:?} {errors:?}");
    assert_eq!(sink.progress().through.millis(), 180_000);
}

#[test]
fn commits_that_fail_are_mended() {
    use RDKafkaRespErr as E;
    let end = RDKafkaApiKey::EndTxn;
    survives(end, &[E::RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE, E::RD_KAFKA_RESP_ERR_NOT_COORDINATOR]);
    survives(end, &[E::RD_KAFKA_RESP_ERR__TRANSPORT, E::RD_KAFKA_RESP_ERR__TRANSPORT]);
    survives(end, &[E::RD_KAFKA_RESP_ERR_PRODUCER_FENCED]);
    survives(end, &[E::RD_KAFKA_RESP_ERR_INVALID_TXN_STATE]);
}

#[test]
fn records_that_fail_are_sent_again() {
    use RDKafkaRespErr as E;
    survives(
        RDKafkaApiKey::Produce,
        &[E::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, E::RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT],
    );
    survives(RDKafkaApiKey::AddPartitionsToTxn, &[E::RD_KAFKA_RESP_ERR_INVALID_PRODUCER_ID_MAPPING]);
}

#[test]
fn what_only_people_can_mend_is_fatal_and_says_how() {
    use RDKafkaRespErr as E;
    for (error, advice) in [
        (E::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, "grant Write"),
        (E::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, "raise `message.max.bytes`"),
    ] {
        let broker = embedded();
        let mut sink = open_embedded(&broker);
        broker.cluster().request_errors(RDKafkaApiKey::Produce, &[error; 20]);
        match sink.write(&minutes(0, 1), &Stop::default()) {
            Err(SinkError::Fatal(text)) => assert!(text.contains(advice), "{text}"),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_record_above_the_limit_is_fatal_and_says_how() {
    let broker = embedded();
    let mut sink = open_embedded(&broker);
    let batch = Batch { dead_letters: vec![letter(0, &vec![7; 1_100_000])], ..Batch::default() };
    match sink.write(&batch, &Stop::default()) {
        Err(SinkError::Fatal(text)) => {
            assert!(text.contains("1100000 bytes for dead") && text.contains("raise"), "{text}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_broker_that_is_away_is_waited_for_and_stop_ends_the_wait() {
    let broker = embedded();
    let mut sink = open_embedded(&broker);
    broker.cluster().broker_down(-1).unwrap();
    let stop = Stop::default();
    let asked = std::thread::scope(|scope| {
        let writer = scope.spawn(|| sink.write(&minutes(0, 1), &stop));
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_millis(1500) {
            assert!(!writer.is_finished(), "it waits");
            std::thread::sleep(Duration::from_millis(20));
        }
        stop.request();
        let asked = Instant::now();
        assert!(matches!(writer.join().unwrap(), Err(SinkError::Stopped)));
        asked
    });
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    broker.cluster().broker_up(-1).unwrap();
    sink.write(&minutes(0, 1), &Stop::default()).unwrap();
    let mut ids = ids(&broker.bootstrap(), "f");
    ids.dedup();
    assert_eq!(ids, expected(&minutes(0, 1)));
}

#[test]
fn a_batch_that_comes_with_the_stop_is_still_written() {
    let broker = embedded();
    let mut sink = open_embedded(&broker);
    let stop = Stop::default();
    stop.request();
    sink.write(&minutes(0, 1), &stop).unwrap();
    assert_eq!(ids(&broker.bootstrap(), "f"), expected(&minutes(0, 1)));
}

#[test]
fn topics_that_may_not_be_created_must_be_there() {
    let broker = EmbeddedBroker::start(&[("f", 1)]).unwrap();
    let config = KafkaSinkConfig { create_topics: false, ..config(&broker.bootstrap(), "f") };
    match KafkaSink::open(&config, "btc", None, 1, &Stop::default()) {
        Err(SinkError::Fatal(text)) => assert!(text.starts_with("topic `f.scores` does not exist on"), "{text}"),
        _ => panic!("no error"),
    }
}

#[test]
fn dead_letters_go_to_their_topic_without_a_sink() {
    let broker = embedded();
    let stop = Stop::default();
    let mut sink = DeadLetterSink::open(&broker.bootstrap(), &BTreeMap::new(), "dead", 3, &stop).unwrap();
    let batch = Batch { dead_letters: vec![letter(1, b"a"), letter(2, b"b")], ..minutes(0, 1) };
    sink.write(&batch, &stop).unwrap();
    let letters = read(&broker.bootstrap(), "dead", "read_committed");
    assert_eq!(letters.len(), 2);
    assert!(ids(&broker.bootstrap(), "f").is_empty());
}

// From here on against a real broker.

fn real() -> String {
    std::env::var("TICKCAST_TEST_KAFKA").expect("TICKCAST_TEST_KAFKA = host:port")
}

fn fresh(name: &str) -> String {
    let unique = format!("{:?}", Instant::now()).replace(|c: char| !c.is_ascii_digit(), "");
    format!("{name}.{}.{unique}", std::process::id())
}

#[test]
#[ignore = "needs services: run ./deploy/test"]
fn real_topics_are_created_and_a_batch_is_written_whole() {
    let config = config(&real(), &fresh("whole"));
    let (sink, found) = open(&config);
    assert_eq!(found, None);
    check_everything(&config.brokers, &config.topic, &format!("{}.dead", config.topic), sink);
}

#[test]
#[ignore = "needs services: run ./deploy/test"]
fn what_an_earlier_instance_left_open_is_never_seen() {
    let config = config(&real(), &fresh("open"));
    // An id of its own: tests that run beside this one must not fence it.
    let (job, stop) = (fresh("job"), Stop::default());
    let open = || KafkaSink::open(&config, &job, None, 3, &stop).unwrap();
    let (mut sink, _) = open();
    sink.write(&minutes(0, 1), &stop).unwrap();
    drop(sink);
    // A zombie with the job's own id: records without a commit.
    let zombie: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", &config.brokers)
        .set("transactional.id", format!("tickcast-{job}"))
        .create()
        .unwrap();
    zombie.init_transactions(WAIT).unwrap();
    zombie.begin_transaction().unwrap();
    for topic in [config.topic.clone(), format!("{}.progress", config.topic)] {
        zombie.send(BaseRecord::to(&topic).key(&job).payload("rubbish of a zombie")).unwrap();
    }
    while zombie.in_flight_count() > 0 {
        zombie.poll(Duration::from_millis(1));
    }
    let (mut sink, found) = open();
    assert_eq!(found.unwrap().through.millis(), 60_000);
    sink.write(&minutes(0, 2), &stop).unwrap();
    assert!(zombie.commit_transaction(WAIT).is_err(), "it is fenced");
    assert_eq!(ids(&config.brokers, &config.topic), expected(&minutes(0, 2)));
    let all = read(&config.brokers, &config.topic, "read_uncommitted");
    assert!(all.iter().any(|message| message.payload() == Some(b"rubbish of a zombie")), "it was there");
}

#[test]
#[ignore = "needs services: run ./deploy/test"]
fn an_instance_that_was_replaced_says_so_and_writes_no_more() {
    let config = KafkaSinkConfig { topic: fresh("fence"), ..config(&real(), "") };
    let job = fresh("job");
    let stop = Stop::default();
    let open = || KafkaSink::open(&config, &job, None, 1, &stop).unwrap().0;
    let mut first = open();
    first.write(&minutes(0, 1), &stop).unwrap();
    let mut second = open();
    match first.write(&minutes(1, 2), &stop) {
        Err(SinkError::Fatal(text)) => {
            assert!(
                text.starts_with(&format!("another instance of job `{job}` has taken over (generation 2 after 1)")),
                "{text}"
            );
        }
        other => panic!("{other:?}"),
    }
    second.write(&minutes(0, 3), &stop).unwrap();
    assert_eq!(ids(&config.brokers, &config.topic), expected(&minutes(0, 3)));
}

#[test]
#[ignore = "needs services: run ./deploy/test"]
fn a_restart_in_the_middle_neither_loses_nor_doubles() {
    let config = KafkaSinkConfig { topic: fresh("restart"), ..config(&real(), "") };
    let job = fresh("job");
    let stop = Stop::default();
    for start in 0..4 {
        let (mut sink, found) = KafkaSink::open(&config, &job, None, 2, &stop).unwrap();
        assert_eq!(
            found.map(|progress| progress.through.millis()),
            (start > 0).then(|| (start * 3 - 1) * 60_000 + 60_000)
        );
        for minute in 0..(start + 1) * 3 {
            sink.write(&minutes(minute, minute + 1), &stop).unwrap();
        }
    }
    assert_eq!(ids(&config.brokers, &config.topic), expected(&minutes(0, 12)));
}

#[test]
#[ignore = "needs services: run ./deploy/test"]
fn a_producer_that_lost_its_transaction_goes_on_with_a_new_one() {
    // A stranger's init_transactions aborts and fences exactly as the broker's own timeout does.
    let config = KafkaSinkConfig { topic: fresh("lost"), ..config(&real(), "") };
    let job = fresh("job");
    let stop = Stop::default();
    let (mut sink, _) = KafkaSink::open(&config, &job, None, 1, &stop).unwrap();
    sink.write(&minutes(0, 1), &stop).unwrap();
    for round in 1..4 {
        let stranger: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", &config.brokers)
            .set("transactional.id", format!("tickcast-{job}"))
            .create()
            .unwrap();
        stranger.init_transactions(WAIT).unwrap();
        sink.write(&minutes(round, round + 1), &stop).unwrap();
    }
    assert_eq!(ids(&config.brokers, &config.topic), expected(&minutes(0, 4)));
}

#[test]
#[ignore = "needs services: run ./deploy/test"]
fn another_jobs_open_transaction_hides_no_progress() {
    let config = KafkaSinkConfig { topic: fresh("hidden"), ..config(&real(), "") };
    let job = fresh("job");
    let stop = Stop::default();
    let (mut sink, _) = KafkaSink::open(&config, &job, None, 1, &stop).unwrap();
    let other: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", &config.brokers)
        .set("transactional.id", fresh("other"))
        .set("transaction.timeout.ms", "5000")
        .create()
        .unwrap();
    other.init_transactions(WAIT).unwrap();
    other.begin_transaction().unwrap();
    other.send(BaseRecord::to(&format!("{}.progress", config.topic)).key("other").payload("open")).unwrap();
    while other.in_flight_count() > 0 {
        other.poll(Duration::from_millis(1));
    }
    sink.write(&minutes(0, 1), &stop).unwrap();
    drop(sink);
    let (_, found) = KafkaSink::open(&config, &job, None, 1, &stop).unwrap();
    assert_eq!(found.unwrap().through.millis(), 60_000);
}

#[test]
#[ignore = "needs services: run ./deploy/test"]
fn commits_do_not_wait_for_delivery_reports() {
    let config = KafkaSinkConfig { topic: fresh("quick"), ..config(&real(), "") };
    let stop = Stop::default();
    let (mut sink, _) = KafkaSink::open(&config, &fresh("job"), None, 1, &stop).unwrap();
    let mut times: Vec<Duration> = (0..50)
        .map(|minute| {
            let begin = Instant::now();
            sink.write(&minutes(minute, minute + 1), &stop).unwrap();
            begin.elapsed()
        })
        .collect();
    times.sort_unstable();
    println!("a transaction takes {:?} (median), {:?} (p90)", times[25], times[45]);
    assert!(times[5] < Duration::from_millis(90), "undrained commits take 104 ms each: {times:?}");
}

/// Freezes the broker by a signal for longer than `transaction.timeout.ms`, in the middle of writing.
#[test]
#[ignore = "needs services: run ./deploy/test"]
fn a_broker_that_hangs_longer_than_a_transaction_may_take_is_outlived() {
    let Ok(pid) = std::env::var("TICKCAST_TEST_KAFKA_PID") else {
        println!("LEFT OUT: freezing the broker needs TICKCAST_TEST_KAFKA_PID");
        return;
    };
    let signal =
        |name: &str| assert!(std::process::Command::new("kill").args([name, &pid]).status().unwrap().success());
    let config = KafkaSinkConfig { topic: fresh("frozen"), ..config(&real(), "") };
    let stop = Stop::default();
    let (mut sink, _) = KafkaSink::open(&config, &fresh("job"), None, 1, &stop).unwrap();
    sink.write(&minutes(0, 1), &stop).unwrap();
    let (send, receive) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for minute in 1..400 {
                sink.write(&minutes(minute, minute + 1), &stop).unwrap();
                send.send(minute).unwrap();
            }
        });
        while receive.recv().unwrap() < 20 {}
        signal("-STOP");
        let frozen = Instant::now();
        while frozen.elapsed() < Duration::from_secs(25) {
            std::thread::sleep(Duration::from_millis(100));
        }
        signal("-CONT");
        while receive.recv_timeout(Duration::from_secs(120)).unwrap() < 399 {}
    });
    assert_eq!(ids(&config.brokers, &config.topic), expected(&minutes(0, 400)));
}
