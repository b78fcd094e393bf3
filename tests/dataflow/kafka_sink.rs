//! Writing to Kafka, on the embedded broker: what a consumer sees, what the progress record says, and what happens when the
//! broker fails.

use crate::kafka_batches::*;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tickcast::config::{Delivery, KafkaSinkConfig};
use tickcast::connectors::kafka::*;
use tickcast::delivery::{Batch, Sink, SinkError, Stop};
use tickcast::market::{PartitionId, Release, Timestamp};
use tickcast::recovery::Offsets;

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
    assert_eq!(second.progress().generation.0, 2);
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

/// With a checkpoint now and then the record of what was decided stays small, and holds what a resume from the oldest one needs.
#[test]
fn a_hundred_thousand_releases() {
    let broker = embedded();
    let mut sink = open_embedded(&broker);
    let kept_from = Arc::<Mutex<Offsets>>::default();
    sink.set_kept_from(Arc::clone(&kept_from));
    let (stop, mut most) = (Stop::default(), 0);
    let release = |offset: u64| Release {
        partition: PartitionId((offset % 3) as u32),
        offset,
        before: Timestamp::from_millis(1_700_000_000_000 + 1000 * offset as i64),
    };
    for round in 0..1000_u64 {
        let releases = (100 * round..100 * (round + 1)).map(release).collect();
        let through = Timestamp::from_millis(60_000 * (round as i64 + 1));
        sink.write(&Batch { through, releases, ..Batch::default() }, &stop).unwrap();
        // The oldest of three checkpoints.
        let oldest = 100 * round.saturating_sub(3);
        *kept_from.lock().unwrap() = (0..3).map(|partition| (PartitionId(partition), oldest as i64)).collect();
        most = most.max(serde_json::to_vec(sink.progress()).unwrap().len());
        let needed = (oldest..100 * (round + 1)).map(release);
        assert!(needed.into_iter().all(|release| sink.progress().releases.contains(&release)), "round {round}");
    }
    println!("the record had {most} bytes at most");
    assert!(most < 100_000, "{most}");
    assert!(sink.progress().releases_from.values().all(|from| *from <= 99_600), "no more than what none needs is gone");
}
