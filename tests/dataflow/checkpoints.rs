//! Whatever checkpoint a job goes on from, and with however many workers, what it publishes from there on is what the job that
//! was never interrupted published, and it has counted the same.

use crate::harness::{Keep, Workers};
use crate::support;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tickcast::config::{Config, DeadLetterConfig, Preset, Scope};
use tickcast::connectors::input::{Flow, Input, InputError, PartitionState, Record};
use tickcast::connectors::memory::{MemoryBytes, MemoryInput, MemoryRecord};
use tickcast::dataflows::checkpoints::{Checkpoints, KeptFrom};
use tickcast::dataflows::job::{self, Job, Summary};
use tickcast::delivery::{Batch, Stop};
use tickcast::formats::Decoder;
use tickcast::market::{Generation, PartitionId, Span, SymbolTable, Timestamp};
use tickcast::operators::support::stats::Stats;
use tickcast::recovery::kept;
use tickcast::recovery::manifest::Manifest;
use tickcast::recovery::restored::Restored;
use tickcast::recovery::saver::Pace;
use tickcast::recovery::store::{Directory, Store};
use tickcast::recovery::{Computation, Offsets};

const BASE: i64 = 1_700_006_400_000;
const PARTITIONS: usize = 4;

/// A few records at a time, so that cuts can be announced between them.
struct Slow(MemoryInput);

impl Input for Slow {
    fn partitions(&self) -> Vec<PartitionId> {
        self.0.partitions()
    }

    fn topic(&self, partition: PartitionId) -> Arc<str> {
        self.0.topic(partition)
    }

    fn decoder(&self, partition: PartitionId) -> Result<Decoder, InputError> {
        self.0.decoder(partition)
    }

    fn read(
        &mut self,
        partition: PartitionId,
        limit: usize,
        symbols: &mut SymbolTable,
        visit: &mut dyn FnMut(Record<'_>, &mut SymbolTable) -> Flow,
    ) -> Result<PartitionState, InputError> {
        self.0.read(partition, limit.min(16), symbols, visit)
    }
}

/// Some hours of trades with ids, prices without, candles, and whatever cannot be used: late, repeated, ahead of its broker's
/// stamp, jumping, unreadable. Partitions run side by side, one of them ends early.
fn partitions(seed: u64, records: usize) -> Arc<Vec<Vec<MemoryRecord>>> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut below = move |end: u64| rng.next_u64() % end;
    let mut partitions = vec![Vec::new(); PARTITIONS];
    let mut now = BASE;
    for number in 0..records {
        now += below(2_500) as i64;
        let partition = below(PARTITIONS as u64) as usize;
        if partition == 3 && number > records / 2 {
            continue;
        }
        let symbol = ["BTC", "ETH", "XRP", "SOL", "DOGE", "LTC", "ADA"][below(7) as usize];
        let price = 100 + below(50);
        let mut broker = Some(now);
        let text = match below(200) {
            0..=4 => format!(r#"{{"symbol":"{symbol}","timestamp":{},"price":{price}}}"#, now - below(20_000) as i64),
            5..=8 => format!(r#"{{"symbol":"{symbol}","timestamp":{},"price":{price}}}"#, now + 7_200_000),
            9..=12 => "{\"symbol\":\"BTC\",\"timestamp\":".to_owned(),
            13..=16 => r#"{"event":"heartbeat"}"#.to_owned(),
            17 => {
                // No broker vouches for it: it waits for the next.
                broker = None;
                format!(r#"{{"symbol":"{symbol}","timestamp":{},"price":{price}}}"#, now + 9_000_000)
            }
            18..=58 => format!(
                r#"{{"trade_id":"{}","symbol":"{symbol}","timestamp":{now},"price":{price},"size":0.5,"side":"buy"}}"#,
                // Every other one of few, so that most of those have been there before.
                if below(2) == 0 { below(300) as usize } else { number }
            ),
            59..=63 => format!(
                r#"{{"symbol":"{symbol}","timestamp":{},"interval":"5s","open":{price},"high":{price},"low":{price},"close":{price},"volume":1}}"#,
                now / 5_000 * 5_000
            ),
            // A little out of order, and in time.
            _ => {
                let (at, size) = (now - below(2_000) as i64, below(9));
                format!(r#"{{"symbol":"{symbol}","timestamp":{at},"price":{price},"size":{size}}}"#)
            }
        };
        let broker_time = broker.map(Timestamp::from_millis);
        let bytes = MemoryBytes { broker_time, key: None, value: text.into_bytes() };
        partitions[partition].push(MemoryRecord::Bytes(Box::new(bytes)));
    }
    Arc::new(partitions)
}

fn config(preset: Preset, scope: Scope) -> Config {
    let mut config = Config { dead_letter: Some(DeadLetterConfig::default()), ..Config::default() };
    config.model.preset = preset;
    config.model.scope = scope;
    config.model.hidden = 4;
    config.model.horizons = vec![Span::from_millis(60_000), Span::from_millis(300_000)];
    if preset == Preset::Seed {
        config.model.horizons = vec![config.model.step];
        config.time.epoch = Span::from_millis(3_600_000);
    }
    config.time.windows = vec![Span::from_millis(60_000), Span::from_millis(600_000)];
    config
}

struct Run {
    batch: Batch,
    summary: Summary,
}

/// Runs to the end of the input: from a checkpoint, and with checkpoints into `store`, where they are given.
fn run(
    config: &Config,
    workers: Workers,
    partitions: &Arc<Vec<Vec<MemoryRecord>>>,
    restored: Option<Restored>,
    store: Option<Arc<dyn Store>>,
) -> Run {
    let kept = Arc::new(Mutex::new(Batch::default()));
    let starts = restored.as_ref().map_or_else(Offsets::new, |restored| restored.manifest.offsets.clone());
    let partitions = Arc::clone(partitions);
    let input = move |worker, workers| {
        let input = MemoryInput::new(Arc::clone(&partitions), worker, workers).with_starts(&starts);
        Ok(Box::new(Slow(input)) as Box<dyn Input>)
    };
    let checkpoints = store.map(|store| Checkpoints {
        store,
        pace: Pace {
            interval: Span::from_millis(5_000),
            pause: Duration::ZERO,
            keep: 1_000,
            stragglers: Duration::from_secs(1),
        },
        generation: Generation(1),
        computation: Computation::default(),
        sources: (0..PARTITIONS as u32).map(PartitionId).collect(),
        partitions: PARTITIONS as u32,
        history: Generation::default(),
        sinks: Vec::new(),
        kept_from: KeptFrom::default(),
        files: Vec::new(),
    });
    let job = Job {
        config: config.clone(),
        workers: workers.count,
        cluster: None,
        serialised: workers.serialised,
        input: Arc::new(input),
        sinks: vec![Box::new(Keep(Arc::clone(&kept)))],
        bounded: true,
        range: (None, None),
        releases: Vec::new(),
        history: None,
        symbol_shares: None,
        checkpoints,
        restored: restored.map(Arc::new),
        initial: None,
        trace: None,
        stop: Stop::default(),
        stats: Arc::new(Stats::default()),
    };
    let summary = job::run(job).unwrap();
    let batch = std::mem::take(&mut *kept.lock().unwrap());
    Run { batch, summary }
}

/// What the uninterrupted run published after a cut.
fn after(batch: &Batch, cut: Timestamp) -> Batch {
    let mut rest = batch.clone();
    rest.rows.retain(|row| row.end > cut);
    rest.forecasts.retain(|forecast| forecast.issued_at > cut);
    rest.scores.retain(|score| score.target_at > cut);
    rest
}

fn check(preset: Preset, scope: Scope, seed: u64, records: usize) {
    let config = config(preset, scope);
    let partitions = partitions(seed, records);
    let whole = run(&config, Workers { count: 2, serialised: false }, &partitions, None, None);
    assert!(whole.summary.records.late > 0 && whole.summary.records.quarantined > 0);
    assert!(whole.summary.records.undecodable > 0 && whole.summary.records.ignored > 0);
    let mut checked = 0;
    for (turn, count) in [1, 2, 3].into_iter().enumerate() {
        // How many cuts come about depends on the machine: again, until there is one.
        let kept = (0..50).find_map(|_| {
            let dir = support::temp_dir();
            let store: Arc<dyn Store> = Arc::new(Directory::new(dir.path()));
            let same = run(&config, Workers { count, serialised: false }, &partitions, None, Some(Arc::clone(&store)));
            // To keep a state changes nothing.
            assert!(same.batch.forecasts == whole.batch.forecasts && same.batch.rows == whole.batch.rows);
            let found = kept::found(store.as_ref(), &config.job.id).unwrap();
            (!found.is_empty()).then_some((dir, store, found))
        });
        let (_dir, store, found) = kept.expect("a checkpoint");
        let names: Vec<String> = found.iter().map(|(name, _)| name.clone()).collect();
        println!("{preset:?} {scope:?} seed {seed}, {count} workers: {} checkpoints", names.len());
        // A few of them, spread over the run; each with other workers than it was written with.
        for (name, manifest) in found.into_iter().step_by(names.len().div_ceil(4).max(1)) {
            let manifest: Manifest = manifest.unwrap();
            let cut = manifest.cut;
            let workers = Workers { count: 1 + (turn + checked) % 4, serialised: checked % 2 == 1 };
            let restored = Restored::read(store.as_ref(), manifest).unwrap();
            let resumed = run(&config, workers, &partitions, Some(restored), None);
            let expected = after(&whole.batch, cut);
            assert!(!expected.rows.is_empty(), "{name}");
            assert_eq!(resumed.batch.rows, expected.rows, "{name}: rows");
            assert_eq!(resumed.batch.scores, expected.scores, "{name}: scores");
            assert_eq!(resumed.batch.forecasts, expected.forecasts, "{name}: forecasts");
            let told = |summary: &Summary| {
                let seed = format!("{:?}", summary.seed);
                (summary.records, summary.unused.clone(), summary.rows, summary.forecasts, summary.scores.clone(), seed)
            };
            assert_eq!(told(&resumed.summary), told(&whole.summary), "{name}");
            // What was read after the first record behind the cut comes again, each letter once.
            let letters = &resumed.batch.dead_letters;
            assert!(letters.iter().all(|letter| whole.batch.dead_letters.contains(letter)), "{name}: dead letters");
            checked += 1;
        }
    }
    assert!(checked >= 3);
}

#[test]
fn windows_go_on_as_if_nothing_had_been() {
    for seed in 0..6 {
        check(Preset::None, Scope::Symbol, seed, 12_000);
    }
}

#[test]
fn forecasts_go_on_as_if_nothing_had_been() {
    check(Preset::Default, Scope::Symbol, 7, 12_000);
}

#[test]
fn the_student_projects_model_goes_on_as_if_nothing_had_been() {
    check(Preset::Seed, Scope::Symbol, 9, 8_000);
}

#[test]
fn a_model_for_all_goes_on_as_if_nothing_had_been() {
    check(Preset::Default, Scope::Pooled, 8, 8_000);
}
