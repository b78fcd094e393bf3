//! A history and the topic that goes on from it give what one input of both would, whatever they have twice.

use crate::harness::{ONE, Published, Workers, run, run_joined};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use std::sync::Arc;
use tickcast::config::{Config, Preset};
use tickcast::connectors::history::Joined;
use tickcast::connectors::input::Input;
use tickcast::connectors::memory::{MemoryBytes, MemoryInput, MemoryRecord};
use tickcast::dataflows::job::InputFactory;
use tickcast::operators::source::{History, Survey};

const BASE: i64 = 1_700_000_000_000;
const SYMBOLS: [&str; 4] = ["BTC", "ETH", "XRP", "ADA"];

#[derive(Clone, Debug)]
struct Tick {
    symbol: usize,
    at: i64,
    price: u64,
    /// None where the venue gives none.
    id: Option<u64>,
}

fn record(tick: &Tick, keyed: bool) -> MemoryRecord {
    let Tick { symbol, at, price, id } = tick;
    let symbol = SYMBOLS[*symbol];
    let id = id.map_or_else(String::new, |id| format!(r#""trade_id":{id},"#));
    let value = format!(r#"{{{id}"symbol":"{symbol}","timestamp":{at},"price":{price},"size":1}}"#);
    let key = keyed.then(|| symbol.as_bytes().to_vec());
    MemoryRecord::Bytes(Box::new(MemoryBytes { key, value: value.into_bytes(), ..MemoryBytes::default() }))
}

/// Each symbol's ticks ascend; some share their millisecond.
fn market(rng: &mut ChaCha8Rng, ticks: usize, with_ids: bool) -> Vec<Tick> {
    let mut all = Vec::new();
    let mut at = BASE;
    for number in 0..ticks as u64 {
        at += [0, 0, 40, 700, 2_500][rng.next_u64() as usize % 5];
        let symbol = rng.next_u64() as usize % SYMBOLS.len();
        all.push(Tick { symbol, at, price: 1_000 + rng.next_u64() % 50, id: with_ids.then_some(number) });
    }
    all
}

fn memory(partitions: Vec<Vec<MemoryRecord>>) -> Arc<InputFactory> {
    let partitions = Arc::new(partitions);
    Arc::new(move |worker, workers| {
        Ok(Box::new(MemoryInput::new(Arc::clone(&partitions), worker, workers)) as Box<dyn Input>)
    })
}

/// By symbol, as a topic of two partitions has them.
fn topic(ticks: &[Tick]) -> Vec<Vec<MemoryRecord>> {
    let of = |partition: usize| ticks.iter().filter(move |tick| tick.symbol % 2 == partition);
    (0..2).map(|partition| of(partition).map(|tick| record(tick, true)).collect()).collect()
}

/// In one file per symbol.
fn files(ticks: &[Tick]) -> Vec<Vec<MemoryRecord>> {
    let of = |symbol: usize| ticks.iter().filter(move |tick| tick.symbol == symbol);
    (0..SYMBOLS.len()).map(|symbol| of(symbol).map(|tick| record(tick, false)).collect()).collect()
}

fn config() -> Config {
    let mut config = Config::default();
    config.model.preset = Preset::None;
    config
}

fn joined(config: &Config, workers: Workers, history: &[Tick], live: &[Tick]) -> Published {
    let survey = Arc::<Survey>::default();
    run_joined(&config_bare(config), ONE, memory(files(history)), History::Survey(Arc::clone(&survey)));
    let seam = Arc::new(survey.seam((None, None)).unwrap());
    assert_eq!(Some(seam.through().millis()), history.iter().map(|tick| tick.at).max());
    let (past, present) = (memory(files(history)), memory(topic(live)));
    let input: Arc<InputFactory> = Arc::new(move |worker, workers| {
        Ok(Box::new(Joined::new(past(worker, workers)?, present(worker, workers)?)?) as Box<dyn Input>)
    });
    run_joined(config, workers, input, History::Joined(seam))
}

fn config_bare(of: &Config) -> Config {
    let mut config = of.clone();
    config.model.preset = Preset::None;
    config
}

/// Cuts of each symbol: what lies before the first is in the history alone, from the second on in the topic alone.
fn cut(all: &[Tick], mut cuts: impl FnMut(usize) -> (usize, usize)) -> (Vec<Tick>, Vec<Tick>) {
    let (mut history, mut live) = (Vec::new(), Vec::new());
    for symbol in 0..SYMBOLS.len() {
        let of: Vec<&Tick> = all.iter().filter(|tick| tick.symbol == symbol).collect();
        let (topic_from, history_to) = cuts(of.len());
        history.extend(of[..history_to].iter().map(|tick| (*tick).clone()));
        live.extend(of[topic_from..].iter().map(|tick| (*tick).clone()));
    }
    // As it arrives: out of order by less than the allowed lateness, ticks of one millisecond in their order.
    live.sort_by_key(|tick| tick.at + (tick.at.wrapping_mul(7_919) >> 3).rem_euclid(1_500));
    (history, live)
}

fn total(published: &Published) -> u64 {
    published.summary.records.total()
}

#[test]
fn they_overlap_symbol_by_symbol() {
    for seed in 0..30 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let all = market(&mut rng, 1_200, true);
        let whole = run(&config(), ONE, memory(topic(&all)));
        let (history, live) = cut(&all, |count| {
            let from = rng.next_u64() as usize % count;
            // With ids the seam may lie within a millisecond.
            (from, from + rng.next_u64() as usize % (count - from) + usize::from(from == 0))
        });
        let workers = Workers { count: 1 + seed as usize % 3, serialised: seed % 2 == 0 };
        let found = joined(&config(), workers, &history, &live);
        assert!(found.everything(&config()) == whole.everything(&config()), "seed {seed}");
        let (records, twice) = (found.summary.records, history.len() + live.len() - all.len());
        assert_eq!((records.used, records.ignored), (all.len() as u64, twice as u64), "seed {seed}: {records:?}");
        assert_eq!(total(&found), (history.len() + live.len()) as u64);
    }
}

/// Without ids the seam lies between two milliseconds.
#[test]
fn without_ids_time_tells() {
    for seed in 0..30 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let all = market(&mut rng, 1_200, false);
        let whole = run(&config(), ONE, memory(topic(&all)));
        let (history, live) = cut(&all, |count| {
            let from = rng.next_u64() as usize % count;
            (from, (from + rng.next_u64() as usize % (count - from)).max(1))
        });
        // All of the last millisecond.
        let last = |symbol| history.iter().filter(|tick: &&Tick| tick.symbol == symbol).map(|tick| tick.at).max();
        let history: Vec<Tick> = all.iter().filter(|tick| Some(tick.at) <= last(tick.symbol)).cloned().collect();
        let found = joined(&config(), ONE, &history, &live);
        assert!(found.everything(&config()) == whole.everything(&config()), "seed {seed}");
        assert_eq!(found.summary.records.used, all.len() as u64);
    }
}

/// A symbol that only the topic has loses nothing, and one that only the history has either. Training is on.
#[test]
fn a_history_of_some_symbols_and_a_model() {
    let mut config = Config::default();
    config.model.steps = 4;
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let all = market(&mut rng, 9_000, true);
    let whole = run(&config, ONE, memory(topic(&all)));
    let mut symbol = 0;
    let (history, live) = cut(&all, |count| {
        symbol += 1;
        match symbol {
            1 => (count / 3, count / 2),
            2 => (0, 0),
            3 => (count, count),
            _ => (count / 2, count / 2),
        }
    });
    for count in [1, 3] {
        let found = joined(&config, Workers { count, serialised: count == 3 }, &history, &live);
        assert!(!found.batch.forecasts.is_empty());
        assert!(found.everything(&config) == whole.everything(&config), "{count} workers");
    }
}

/// What lies between is nowhere, and so it is in a run over both.
#[test]
fn a_hole_is_a_hole() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let all = market(&mut rng, 2_000, false);
    let (history, live) = cut(&all, |count| (count * 2 / 3, count / 2));
    let mut both: Vec<Tick> = history.iter().chain(&live).cloned().collect();
    both.sort_by_key(|tick| tick.at);
    let whole = run(&config(), ONE, memory(topic(&both)));
    let found = joined(&config(), ONE, &history, &live);
    assert!(found.everything(&config()) == whole.everything(&config()));
    assert_eq!(found.summary.records.ignored, 0);
}
