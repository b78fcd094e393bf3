//! A broker that takes little: what waits for it is bounded in bytes, what it does not take in time is cut, and a stop leaves
//! nothing open.
//!
//! Writing goes through a proxy at the address that one of the broker's listeners tells its clients; reading does not.

use crate::kafka_batches::{config, forecast, letter};
use crate::proxy::Proxy;
use crate::support::{self, Process, Record, Services, Signal, eventually, read_committed, tickcast, visit_committed};
use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tickcast::connectors::kafka::KafkaSink;
use tickcast::delivery::{Batch, Sink, SinkError, Stop};

/// Bytes of a record.
const LARGE: usize = 400_000;

/// One proxy at a time: there is one address.
struct Slow {
    services: Services,
    proxy: Proxy,
    _alone: MutexGuard<'static, ()>,
}

impl Slow {
    fn new() -> Self {
        static ALONE: Mutex<()> = Mutex::new(());
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let services = Services::shared();
        let (behind, address) = services.kafka_behind_a_proxy();
        let proxy = Proxy::at(address, behind.to_owned());
        Self { services, proxy, _alone: alone }
    }
}

/// A record that is no JSON and says its number; `noise` bytes of it do not compress.
fn record(number: u64, noise: usize) -> Vec<u8> {
    let mut value = format!("no JSON {number:012} ").into_bytes();
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    value.extend((0..noise).map(|_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8 & 0x7f
    }));
    value.resize(LARGE, b'.');
    value
}

/// `TICKCAST_TEST_SLOW_RECORDS` sets the number of records (default 2,000, which are 800 MB; 50,000 take a quarter of an hour).
/// At 2 MB/s of what does not compress.
#[test]
#[ignore = "needs services: run ./deploy/test"]
fn large_dead_letters_wait_in_bounded_memory_and_arrive_once() {
    const NOISE: usize = 20_000;
    let count: u64 = std::env::var("TICKCAST_TEST_SLOW_RECORDS").map_or(2_000, |text| text.parse().unwrap());
    let slow = Slow::new();
    let kafka = slow.services.kafka();
    let name = support::unique("slow");
    let (ticks, dead) = (format!("{name}.ticks"), format!("{name}.dead"));
    support::create_topic(kafka, &ticks, 4);
    support::create_topic(kafka, &dead, 4);
    support::produce(
        kafka,
        &ticks,
        (0..count).map(|number| Record {
            partition: Some((number % 4) as i32),
            key: None,
            value: record(number, NOISE),
        }),
    );
    let dir = support::temp_dir();
    let file = dir.path().join("tickcast.toml");
    let text = format!(
        "[job]\nid = \"{name}\"\n[source.kafka]\nbrokers = \"{kafka}\"\ntopic = \"{ticks}\"\n\
         [sink.kafka]\nbrokers = \"{}\"\ntopic = \"{name}.forecasts\"\n[dead_letter]\ntopic = \"{dead}\"\n",
        slow.proxy.address
    );
    std::fs::write(&file, text).unwrap();
    slow.proxy.set_rate(2_000_000);
    let begun = Instant::now();
    let mut job = Process::spawn(tickcast(["run", "-c", file.to_str().unwrap(), "--workers", "2", "--json"]));
    let limit = Duration::from_secs(120 + count / 20);
    eventually("all dead letters", limit, || {
        let ends = support::end_offsets(kafka, &dead);
        // Records, and a control record of each transaction in each partition.
        (ends.values().sum::<i64>() as u64 >= count).then_some(())
    });
    let mut seen = BTreeSet::new();
    let all = eventually("each of them", limit, || {
        seen.clear();
        let mut twice = 0;
        visit_committed(kafka, &dead, |letter| {
            let number: u64 = String::from_utf8_lossy(&letter.value[8..20]).parse().unwrap();
            assert!(letter.value.len() == LARGE && !letter.headers.contains_key("truncated"));
            twice += u64::from(!seen.insert(number));
        });
        assert_eq!(twice, 0, "arrived twice");
        (seen.len() as u64 == count).then_some(seen.len())
    });
    let took = begun.elapsed();
    job.signal(Signal::Term);
    let finished = job.wait(Duration::from_secs(20)).expect_code(0);
    let summary: serde_json::Value = serde_json::from_slice(&finished.stdout).unwrap();
    let peak = summary["peak_memory_bytes"].as_f64().unwrap();
    println!(
        "{all} dead letters of {LARGE} bytes in {took:.1?}, {:.1} MB on the wire, {:.0} MB of memory at most",
        slow.proxy.passed() as f64 / 1e6,
        peak / 1e6
    );
    assert_eq!(summary["records"]["undecodable"], count);
    assert!(peak < 4e8, "{peak} bytes");
    assert!(slow.proxy.passed() < count * 2 * NOISE as u64 + 20_000_000, "sent again and again");
}

#[test]
#[ignore = "needs services: run ./deploy/test"]
fn a_transaction_that_takes_too_long_is_cut() {
    let slow = Slow::new();
    let (topic, stop) = (support::unique("cut"), Stop::default());
    let dead = format!("{topic}.dead");
    let (mut sink, _) = KafkaSink::open(&config(&slow.proxy.address, &topic), &topic, Some(&dead), 1, &stop).unwrap();
    // 9.6 MB: a transaction of the usual size takes 13 s, and the broker waits for 10.
    let letters: Vec<_> = (0..24).map(|number| letter(number, &record(number, LARGE))).collect();
    let results = ["BTC", "ETH"].map(|symbol| forecast(symbol, 60_000));
    let batch =
        Batch { through: results[0].issued_at, forecasts: results.to_vec(), dead_letters: letters, ..Batch::default() };
    let before = slow.proxy.passed();
    slow.proxy.set_rate(600_000);
    let begun = Instant::now();
    sink.write(&batch, &stop).unwrap();
    let passed = slow.proxy.passed() - before;
    println!("9.6 MB at 0.6 MB/s: {:.1?}, {:.1} MB on the wire", begun.elapsed(), passed as f64 / 1e6);
    let seen = read_committed(slow.services.kafka(), &dead);
    let offsets: Vec<u64> = seen.iter().map(|letter| letter.headers["source.offset"].parse().unwrap()).collect();
    assert_eq!(offsets, (0..24).collect::<Vec<u64>>());
    assert!(seen.iter().all(|letter| letter.value.len() == LARGE));
    assert_eq!(read_committed(slow.services.kafka(), &topic).len(), 2);
    assert!(begun.elapsed() < Duration::from_secs(90) && passed < 25_000_000);
    // A later instance finds the progress of all of it.
    slow.proxy.set_rate(0);
    let (mut again, found) =
        KafkaSink::open(&config(&slow.proxy.address, &topic), &topic, Some(&dead), 1, &stop).unwrap();
    assert_eq!(found.unwrap().through.millis(), 60_000);
    again.write(&batch, &stop).unwrap();
    assert_eq!(read_committed(slow.services.kafka(), &dead).len(), 24);
}

/// Readers of what is committed need not wait for the broker's time-out of ten seconds.
#[test]
#[ignore = "needs services: run ./deploy/test"]
fn a_stop_aborts_the_transaction_that_is_open() {
    let slow = Slow::new();
    let (topic, stop) = (support::unique("abort"), Stop::default());
    let dead = format!("{topic}.dead");
    let (mut sink, _) = KafkaSink::open(&config(&slow.proxy.address, &topic), &topic, Some(&dead), 1, &stop).unwrap();
    let dead_letters = (0..20).map(|number| letter(number, &record(number, LARGE))).collect();
    let batch = Batch { dead_letters, ..Batch::default() };
    slow.proxy.set_rate(500_000);
    let asked = std::thread::scope(|scope| {
        let writing = scope.spawn(|| sink.write(&batch, &stop));
        std::thread::sleep(Duration::from_secs(2));
        let asked = Instant::now();
        stop.request();
        assert!(matches!(writing.join().unwrap(), Err(SinkError::Stopped)));
        asked
    });
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    support::produce(
        slow.services.kafka(),
        &dead,
        [Record { partition: Some(0), key: None, value: b"after".to_vec() }],
    );
    eventually("what comes after is seen", Duration::from_secs(4), || {
        (read_committed(slow.services.kafka(), &dead).len() == 1).then_some(())
    });
    println!("seen {:.1?} after the wish to stop", asked.elapsed());
}
