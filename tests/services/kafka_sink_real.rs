//! Writing to a real Kafka: transactions that are isolated, instances that are fenced, transactions that time out.

use crate::kafka_batches::*;
use crate::support::{Service, Services};
use rdkafka::ClientConfig;
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use std::time::{Duration, Instant};
use tickcast::config::KafkaSinkConfig;
use tickcast::connectors::kafka::*;
use tickcast::delivery::{Sink, SinkError, Stop};
use tickcast::recovery::{Cause, Fault};

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
        Err(SinkError::Refused(Fault { cause: Cause::Fenced, text })) => {
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
    // A broker of its own: other tests must not freeze with it.
    let services = Services::own();
    let pid = services.pid(Service::Kafka).to_string();
    let signal =
        |name: &str| assert!(std::process::Command::new("kill").args([name, &pid]).status().unwrap().success());
    let config = KafkaSinkConfig { topic: fresh("frozen"), ..config(services.kafka(), "") };
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
