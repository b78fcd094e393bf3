//! A partition is quiet when nothing was written to it, not when we could not see it: neither an open transaction of an
//! upstream producer nor a stop of our own process makes a tick late.

use crate::live::Setup;
use crate::support::{Process, Services, Signal, eventually};
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

const WITHIN: Duration = Duration::from_secs(120);
/// Windows of a second: a partition that lets the others pass is late at once.
const TIME: &str = "[time]\nidle_timeout = \"3s\"\nslide = \"1s\"\nallowed_lateness = \"1s\"\n";

#[allow(clippy::disallowed_methods, reason = "ticks have the time at which they are sent")]
fn now_ms() -> i64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis() as i64
}

fn producer(services: &Services, transactional: Option<&str>) -> BaseProducer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", services.kafka()).set("linger.ms", "0").set("transaction.timeout.ms", "60000");
    if let Some(id) = transactional {
        config.set("transactional.id", id);
    }
    config.create().unwrap()
}

/// Sends a tick of now.
fn send(producer: &BaseProducer, topic: &str, partition: i32) {
    let value = format!("{{\"symbol\":\"S{partition}\",\"timestamp\":{},\"price\":{}}}", now_ms(), 100 + partition);
    let record = BaseRecord::<[u8], [u8]>::to(topic).partition(partition).payload(value.as_bytes());
    producer.send(record).map_err(|(error, _)| error).unwrap();
    producer.poll(Duration::ZERO);
}

/// Sends ticks to one partition, one after each pause, until it is dropped.
struct Feed {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    last: Arc<AtomicI64>,
    thread: Option<JoinHandle<()>>,
}

impl Feed {
    fn start(setup: &Setup<'_>, partition: i32, pause: Duration) -> Self {
        let (producer, topic) = (producer(setup.services, None), setup.ticks.clone());
        let feed = Self { stop: Arc::default(), sent: Arc::default(), last: Arc::default(), thread: None };
        let (stop, sent, last) = (Arc::clone(&feed.stop), Arc::clone(&feed.sent), Arc::clone(&feed.last));
        let run = move || {
            while !stop.load(Ordering::Relaxed) {
                last.store(now_ms(), Ordering::Relaxed);
                send(&producer, &topic, partition);
                sent.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(pause);
            }
            producer.flush(WITHIN).unwrap();
        };
        Self { thread: Some(std::thread::spawn(run)), ..feed }
    }

    /// Ticks sent, and when the last was.
    fn end(mut self) -> (u64, i64) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
        (self.sent.load(Ordering::Relaxed), self.last.load(Ordering::Relaxed))
    }
}

/// Ends the job, and gives its numbers of used and late records.
fn finish(mut job: Process) -> (u64, u64) {
    job.signal(Signal::Term);
    let finished = job.wait(Duration::from_secs(20)).expect_code(0);
    let summary: serde_json::Value = serde_json::from_slice(&finished.stdout).unwrap();
    let records = &summary["records"];
    (records["used"].as_u64().unwrap(), records["late"].as_u64().unwrap())
}

#[test]
#[ignore = "needs services: run ./deploy/test"]
fn an_open_transaction_upstream_holds_the_watermark_until_it_ends() {
    let services = Services::shared();
    let setup = Setup::new(&services, false, TIME);
    let upstream = producer(&services, Some(&setup.ticks));
    upstream.init_transactions(WITHIN).unwrap();
    let transaction = |ticks: u64, pause: Duration, commit: bool| {
        upstream.begin_transaction().unwrap();
        for _ in 0..ticks {
            send(&upstream, &setup.ticks, 1);
            std::thread::sleep(pause);
        }
        upstream.flush(WITHIN).unwrap();
        let ended = if commit { upstream.commit_transaction(WITHIN) } else { upstream.abort_transaction(WITHIN) };
        ended.unwrap();
    };
    let active = Feed::start(&setup, 0, Duration::from_millis(50));
    transaction(1, Duration::ZERO, true);
    let job = setup.start();
    setup.await_through(1, WITHIN);
    // The partition is active when the first begins, and has long been idle when the second does.
    transaction(100, Duration::from_millis(200), true);
    let quiet_since = now_ms();
    eventually("a partition with nothing but a control record at its end is idle", WITHIN, || {
        std::thread::sleep(Duration::from_millis(500));
        (setup.through() > quiet_since + 5_000).then_some(())
    });
    transaction(40, Duration::from_millis(200), true);
    transaction(40, Duration::from_millis(200), false);
    let quiet_since = now_ms();
    setup.await_through(quiet_since + 5_000, WITHIN);
    let (sent, _) = active.end();
    let (used, late) = finish(job);
    assert_eq!(late, 0);
    assert!(used > 141 && used <= sent + 141, "{used} used of {sent} and 141");
}

#[test]
#[ignore = "needs services: run ./deploy/test"]
fn a_stop_of_our_process_is_not_a_partitions_quiet_time() {
    let services = Services::shared();
    let setup = Setup::new(&services, false, TIME);
    let (busy, slow) = (Duration::from_millis(50), Duration::from_secs(1));
    let feeds = [Feed::start(&setup, 0, busy), Feed::start(&setup, 1, slow)];
    // One that is idle by the time of the stop, and active during it.
    let early = Feed::start(&setup, 2, slow);
    std::thread::sleep(slow / 2);
    let (before, idle_since) = early.end();
    let mut job = setup.start();
    setup.await_through(idle_since + 5_000, WITHIN);
    job.signal(Signal::Stop);
    let during = Feed::start(&setup, 2, slow);
    std::thread::sleep(Duration::from_secs(60));
    job.signal(Signal::Cont);
    setup.await_through(now_ms(), WITHIN);
    let (during, _) = during.end();
    let sent: u64 = feeds.into_iter().map(|feed| feed.end().0).sum::<u64>() + before + during;
    let (used, late) = finish(job);
    assert_eq!(late, 0);
    assert!(used > sent / 2 && used <= sent, "{used} used of {sent}");
}
