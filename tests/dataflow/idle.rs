//! A quiet partition stops holding the others up; what it brings for closed windows is late; and a resume decides the same,
//! though the first time the wall clock did.

use crate::harness;
use crate::harness::{Keep, ONE, Workers};
use crate::support::eventually;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tickcast::config::{Config, Format, Preset};
use tickcast::connectors::input::{Flow, Input, InputError, PartitionState, Payload, Record};
use tickcast::connectors::memory::{MemoryBytes, MemoryInput, MemoryRecord};
use tickcast::dataflows::job::{self, Job};
use tickcast::delivery::{Batch, Stop};
use tickcast::formats::Decoder;
use tickcast::market::{FeatureRow, PartitionId, Release, SymbolTable, Timestamp};
use tickcast::operators::support::stats::Stats;

const BASE: i64 = 1_700_000_100_000;
const WITHIN: Duration = Duration::from_secs(20);

/// Partitions that grow while they are read, as a topic's do.
type Topic = Arc<Mutex<BTreeMap<PartitionId, Vec<Vec<u8>>>>>;

struct Live {
    topic: Topic,
    mine: Vec<PartitionId>,
    next: BTreeMap<PartitionId, usize>,
}

impl Input for Live {
    fn partitions(&self) -> Vec<PartitionId> {
        self.mine.clone()
    }

    fn topic(&self, _: PartitionId) -> Arc<str> {
        "live".into()
    }

    fn decoder(&self, _: PartitionId) -> Result<Decoder, InputError> {
        Ok(Decoder::json(Format::Auto, None, None))
    }

    fn read(
        &mut self,
        partition: PartitionId,
        limit: usize,
        symbols: &mut SymbolTable,
        visit: &mut dyn FnMut(Record<'_>, &mut SymbolTable) -> Flow,
    ) -> Result<PartitionState, InputError> {
        let topic = self.topic.lock().unwrap();
        let next = self.next.entry(partition).or_default();
        for value in topic[&partition].iter().skip(*next).take(limit) {
            let offset = *next as u64;
            *next += 1;
            let record = Record { offset, broker_time: broker_time(value), key: None, value: Payload::Bytes(value) };
            if visit(record, symbols) == Flow::Pause {
                break;
            }
        }
        let caught_up = PartitionState::CaughtUp { as_of: Instant::now() };
        Ok(if *next < topic[&partition].len() { PartitionState::Behind } else { caught_up })
    }
}

fn tick(symbol: &str, second: i64) -> Vec<u8> {
    let price = 100 + second % 7;
    format!("{{\"symbol\":\"{symbol}\",\"timestamp\":{},\"price\":{price},\"size\":1}}", BASE + second * 1000)
        .into_bytes()
}

/// Sent when it happened.
fn broker_time(value: &[u8]) -> Option<Timestamp> {
    let value: serde_json::Value = serde_json::from_slice(value).unwrap();
    value["timestamp"].as_i64().map(Timestamp::from_millis)
}

/// The rows of the panes that end by `second`.
fn rows_until(batch: &Batch, second: i64) -> Vec<FeatureRow> {
    batch.rows.iter().filter(|row| row.end.millis() <= BASE + second * 1000).cloned().collect()
}

/// The same records from memory, with what is on record of the first run.
fn replayed(config: &Config, topic: &Topic, releases: Vec<Release>) -> Vec<FeatureRow> {
    let held = topic.lock().unwrap();
    let partitions = held.values().map(|values| {
        let bytes = |value: &Vec<u8>| {
            let broker_time = broker_time(value);
            MemoryRecord::Bytes(Box::new(MemoryBytes { value: value.clone(), broker_time, ..MemoryBytes::default() }))
        };
        values.iter().map(bytes).collect::<Vec<_>>()
    });
    let partitions = Arc::new(partitions.collect::<Vec<_>>());
    drop(held);
    let input = move |worker, workers| {
        Ok(Box::new(MemoryInput::new(Arc::clone(&partitions), worker, workers)) as Box<dyn Input>)
    };
    let published = harness::run_with(config, ONE, Arc::new(input), releases);
    rows_until(&published.batch, 110)
}

fn a_quiet_partition(workers: Workers) {
    let mut config = Config::default();
    config.model.preset = Preset::None;
    config.time.idle_timeout = "300ms".parse().unwrap();
    let (a, b) = (PartitionId(0), PartitionId(1));
    let first: Vec<Vec<u8>> = (0..60).map(|second| tick("A", second)).collect();
    let topic: Topic = Arc::new(Mutex::new(BTreeMap::from([(a, first), (b, vec![tick("B", 0)])])));
    let (kept, stop, stats) = (Arc::new(Mutex::new(Batch::default())), Stop::default(), Arc::new(Stats::default()));
    let input = {
        let topic = Arc::clone(&topic);
        move |worker, workers| {
            let mine = [a, b].into_iter().filter(|p| p.0 as usize % workers == worker).collect();
            Ok(Box::new(Live { topic: Arc::clone(&topic), mine, next: BTreeMap::new() }) as Box<dyn Input>)
        }
    };
    let job = Job {
        config: config.clone(),
        workers: workers.count,
        cluster: None,
        serialised: false,
        input: Arc::new(input),
        sinks: vec![Box::new(Keep(Arc::clone(&kept)))],
        bounded: false,
        range: (None, None),
        releases: Vec::new(),
        history: None,
        symbol_shares: None,
        checkpoints: None,
        restored: None,
        initial: None,
        trace: None,
        stop: stop.clone(),
        stats: Arc::clone(&stats),
    };
    let running = std::thread::spawn(move || job::run(job).unwrap());
    let through = |second: i64| {
        eventually(&format!("published through {second} s"), WITHIN, || {
            (stats.published_through() >= BASE + second * 1000).then_some(())
        });
    };
    // B is quiet at 0 s, and A's ticks close windows all the same.
    through(55);
    let idle = kept.lock().unwrap().idle.clone();
    // A may be quiet by then, too.
    let release = idle.get(&b).unwrap_or_else(|| panic!("{idle:?}"));
    assert_eq!((release.partition, release.offset), (b, 1));
    assert!(release.before.millis() >= BASE + 50_000, "{release:?}");
    // B comes back: with a tick in a window that is closed, and with others.
    {
        let mut topic = topic.lock().unwrap();
        let back = [10].into_iter().chain(61..120).map(|second| tick("B", second));
        topic.get_mut(&b).unwrap().extend(back);
        topic.get_mut(&a).unwrap().extend((60..120).map(|second| tick("A", second)));
    }
    through(110);
    stop.request();
    let summary = running.join().unwrap();
    assert_eq!(summary.records.late, 1);
    assert_eq!(summary.records.used, summary.records.total() - 1);
    let why: Vec<_> = summary.unused.iter().map(|(what, n)| (what.outcome, what.reason, what.partition, *n)).collect();
    assert_eq!(why, [("late", "idle", b.0, 1)]);

    let batch = kept.lock().unwrap().clone();
    assert_eq!(batch.releases.len(), 1, "{:?}", batch.releases);
    assert_eq!((batch.releases[0].partition, batch.releases[0].offset), (b, 1));
    let live = rows_until(&batch, 110);
    assert!(replayed(&config, &topic, batch.releases.clone()) == live, "a resume decides as the first run did");
    let killed = replayed(&config, &topic, idle.values().copied().collect());
    assert!(killed == live, "so does one of a job that was killed while B was quiet");
    assert!(replayed(&config, &topic, Vec::new()) != live, "without the record it would not");
}

#[test]
fn a_quiet_partition_of_the_same_worker() {
    a_quiet_partition(ONE);
}

#[test]
fn a_quiet_partition_of_another_worker() {
    a_quiet_partition(Workers { count: 2, serialised: false });
}
