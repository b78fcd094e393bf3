//! The same observation counts once: whatever is repeated, in a partition or in several, the results are those of the input without
//! the repeats, and each record has the outcome that a slow reading of the contract gives it, on any number of workers.

use crate::harness::{ONE, Published, Workers, run, run_source};
use crate::support;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tickcast::config::{Config, FilesSourceConfig, Preset};
use tickcast::connectors::input::Input;
use tickcast::connectors::memory::{MemoryBytes, MemoryInput, MemoryRecord};
use tickcast::dataflows::job::Summary;
use tickcast::market::Timestamp;

const BASE: i64 = 1_700_000_000_000;
const SLIDE: i64 = 5_000;
const LATENESS: i64 = 2_000;
const SYMBOLS: [&str; 3] = ["BTC", "ETH", "XRP"];

fn below(rng: &mut ChaCha8Rng, end: u64) -> u64 {
    rng.next_u64() % end
}

/// What can be known again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Identity {
    /// Nothing.
    None,
    /// A plain tick's `trade_id`.
    Plain(String),
    Kraken(u64),
    /// Interval and open, in ms.
    Candle(i64, i64),
}

#[derive(Clone, Debug)]
struct Seen {
    symbol: usize,
    at: i64,
    identity: Identity,
    price: u64,
}

impl Seen {
    fn text(&self) -> String {
        let Self { symbol, at, price, .. } = self;
        let symbol = SYMBOLS[*symbol];
        match &self.identity {
            Identity::None => format!(r#"{{"symbol":"{symbol}","timestamp":{at},"price":{price},"size":1}}"#),
            Identity::Plain(id) => {
                format!(
                    r#"{{"trade_id":"{id}","symbol":"{symbol}","timestamp":{at},"price":{price},"size":0.5,"side":"buy"}}"#
                )
            }
            Identity::Kraken(_) => kraken(std::slice::from_ref(self)),
            Identity::Candle(interval, open) => {
                let (high, low) = (price + 3, price - 3);
                format!(
                    r#"{{"symbol":"{symbol}","timestamp":{open},"interval":"{interval}ms","open":{low},"high":{high},"low":{low},"close":{price},"volume":{price},"count":7}}"#
                )
            }
        }
    }

    fn pane(&self) -> i64 {
        self.at.div_euclid(SLIDE)
    }
}

/// One message with some trades.
fn kraken(trades: &[Seen]) -> String {
    let trades: Vec<String> = trades
        .iter()
        .map(|Seen { symbol, at, identity, price }| {
            let Identity::Kraken(id) = identity else { panic!("{identity:?}") };
            let at = Timestamp::from_millis(*at);
            format!(
                r#"{{"symbol":"{}","side":"sell","price":{price},"qty":0.25,"ord_type":"limit","trade_id":{id},"timestamp":"{at}"}}"#,
                SYMBOLS[*symbol]
            )
        })
        .collect();
    format!(r#"{{"channel":"trade","type":"update","data":[{}]}}"#, trades.join(","))
}

/// The records of one partition, each with its observations.
type Partition = Vec<Vec<Seen>>;

/// A market that is told of by several partitions, each of which repeats, revises, mixes up and loses some of it.
fn market(rng: &mut ChaCha8Rng, partitions: usize, length: usize) -> Vec<Partition> {
    let mut arrivals: Vec<Vec<(i64, Seen)>> = vec![Vec::new(); partitions];
    let (mut now, mut id) = (BASE, 1_000);
    for _ in 0..length {
        now += below(rng, 3) as i64 * 100;
        id += 1;
        let symbol = below(rng, 3) as usize;
        let (at, identity) = match below(rng, 10) {
            0 => (now, Identity::None),
            1..=2 => (now, Identity::Plain(id.to_string())),
            3 => (now, Identity::Plain(format!("{id:x}-4c36"))),
            4..=7 => (now, Identity::Kraken(id)),
            _ => {
                let interval = [1_000, 2_500, 5_000][below(rng, 3) as usize];
                let open = now.div_euclid(interval) * interval;
                (open + interval - 1, Identity::Candle(interval, open))
            }
        };
        let seen = Seen { symbol, at, identity, price: 100 + below(rng, 50) };
        let once = below(rng, 3) == 0 || seen.identity == Identity::None;
        let copies = if once { 1 } else { 1 + below(rng, 4) };
        for _ in 0..copies {
            let mut copy = seen.clone();
            // A candle that still changed, and now and then a venue that contradicts itself.
            let differs = if matches!(copy.identity, Identity::Candle(..)) { 2 } else { 40 };
            if below(rng, differs) == 0 {
                copy.price = 100 + below(rng, 50);
            }
            if below(rng, 60) == 0 && !matches!(copy.identity, Identity::Candle(..)) {
                copy.at += 700;
            }
            // In time, late within what is allowed, late, or long after.
            let delay = [0, 0, 500, 1_500, 6_000, 20_000][below(rng, 6) as usize];
            arrivals[below(rng, partitions as u64) as usize].push((copy.at + delay, copy));
        }
    }
    arrivals
        .into_iter()
        .map(|mut arrivals| {
            arrivals.sort_by_key(|(arrival, _)| *arrival);
            let mut records: Partition = Vec::new();
            for (_, seen) in arrivals {
                let joins = matches!(seen.identity, Identity::Kraken(_)) && below(rng, 2) == 0;
                match records.last_mut() {
                    Some(last) if joins && matches!(last[0].identity, Identity::Kraken(_)) => last.push(seen),
                    _ => records.push(vec![seen]),
                }
            }
            records
        })
        .collect()
}

/// Where an observation stands: event time, partition, offset, index.
type Order = (i64, usize, usize, usize);

#[derive(Debug, Default, PartialEq, Eq)]
struct Account {
    used: u64,
    unused: BTreeMap<(&'static str, &'static str, u32), u64>,
}

/// The contract, read word by word: what becomes of each record, and the input without repeats.
fn expected(partitions: &[Partition]) -> (Account, Vec<Partition>) {
    let mut account = Account::default();
    let mut looks: Vec<(Order, Seen, bool)> = Vec::new();
    // Of each record the observations that were used, and whether some repeat what its partition had.
    let mut used: BTreeMap<(usize, usize), (BTreeSet<usize>, bool)> = BTreeMap::new();
    for (partition, records) in partitions.iter().enumerate() {
        let (mut latest, mut known) = (None::<i64>, BTreeSet::new());
        for (offset, record) in records.iter().enumerate() {
            let mut record = record.clone();
            record.sort_by_key(|seen| seen.at);
            let mut fates = Vec::new();
            for (index, seen) in record.into_iter().enumerate() {
                let is_open = latest.is_none_or(|latest| (seen.pane() + 1) * SLIDE > latest - LATENESS);
                let key = (seen.symbol, seen.identity.clone());
                let (order, is_candle) = ((seen.at, partition, offset, index), matches!(key.1, Identity::Candle(..)));
                let fate = if known.contains(&key) {
                    if is_candle && is_open {
                        looks.push((order, seen, false));
                    }
                    "duplicate"
                } else {
                    latest = latest.max(Some(seen.at));
                    if is_open {
                        if key.1 != Identity::None {
                            known.insert(key);
                        }
                        looks.push((order, seen, true));
                        "used"
                    } else {
                        "late"
                    }
                };
                fates.push(fate);
            }
            let indices: BTreeSet<usize> = (0..fates.len()).filter(|index| fates[*index] == "used").collect();
            let first_unused = fates.iter().find(|fate| **fate != "used").copied();
            let mut count =
                |outcome, reason| *account.unused.entry((outcome, reason, partition as u32)).or_default() += 1;
            if indices.is_empty() {
                if fates.contains(&"late") {
                    count("late", "late");
                } else {
                    count("ignored", "duplicate");
                }
                continue;
            }
            account.used += 1;
            first_unused.into_iter().for_each(|reason| count("partly", reason));
            used.insert((partition, offset), (indices, first_unused == Some("duplicate")));
        }
    }

    // Across partitions, in a pane: the lowest stays, of a candle with what its latest look says.
    looks.sort_by_key(|(order, ..)| *order);
    let mut kept: BTreeMap<Order, Seen> = BTreeMap::new();
    let mut firsts: BTreeMap<(usize, i64, Identity), (Order, Order)> = BTreeMap::new();
    let mut repeats: Vec<Order> = Vec::new();
    for (order, seen, counted) in looks {
        if seen.identity == Identity::None {
            kept.insert(order, seen);
            continue;
        }
        let key = (seen.symbol, seen.pane(), seen.identity.clone());
        match firsts.get_mut(&key) {
            None => {
                firsts.insert(key, (order, order));
                kept.insert(order, seen);
            }
            Some((first, last)) => {
                if counted {
                    repeats.push(order);
                }
                if matches!(seen.identity, Identity::Candle(..)) && order > *last {
                    *last = order;
                    kept.insert(*first, seen);
                }
            }
        }
    }
    let mut whole: BTreeMap<(usize, usize), usize> = BTreeMap::new();
    for (_, partition, offset, _) in repeats {
        *whole.entry((partition, offset)).or_default() += 1;
    }
    for ((partition, offset), count) in whole {
        let (indices, told) = &used[&(partition, offset)];
        let mut add = |outcome, by: i64| {
            let entry = account.unused.entry((outcome, "duplicate", partition as u32)).or_default();
            *entry = entry.checked_add_signed(by).unwrap();
        };
        if count == indices.len() {
            account.used -= 1;
            add("ignored", 1);
            add("partly", -i64::from(*told));
        } else if !told {
            add("partly", 1);
        }
    }
    account.unused.retain(|_, count| *count > 0);

    let mut clean: Vec<Partition> = vec![Vec::new(); partitions.len()];
    let mut by_place: Vec<(Order, Seen)> = kept.into_iter().collect();
    by_place.sort_by_key(|((_, partition, offset, index), _)| (*partition, *offset, *index));
    by_place.into_iter().for_each(|((_, partition, ..), seen)| clean[partition].push(vec![seen]));
    (account, clean)
}

fn records(partitions: &[Partition]) -> Arc<Vec<Vec<MemoryRecord>>> {
    let record = |seen: &Vec<Seen>| {
        let text = if seen.len() == 1 { seen[0].text() } else { kraken(seen) };
        MemoryRecord::Bytes(Box::new(MemoryBytes { value: text.into_bytes(), ..MemoryBytes::default() }))
    };
    Arc::new(partitions.iter().map(|records| records.iter().map(record).collect()).collect())
}

fn account(summary: &Summary) -> Account {
    let unused = summary.unused.iter().map(|(what, n)| ((what.outcome, what.reason, what.partition), *n)).collect();
    Account { used: summary.records.used, unused }
}

fn run_over(config: &Config, workers: Workers, records: &Arc<Vec<Vec<MemoryRecord>>>) -> ([Vec<u8>; 3], Account, u64) {
    let records = Arc::clone(records);
    let published = run(
        config,
        workers,
        Arc::new(move |worker, workers| {
            Ok(Box::new(MemoryInput::new(Arc::clone(&records), worker, workers)) as Box<dyn Input>)
        }),
    );
    (published.everything(config), account(&published.summary), published.summary.records.total())
}

/// Compares a stream and the same without repeats, on any number of workers; true if records were found to repeat other
/// partitions'.
fn check(config: &Config, partitions: &[Partition], at: &str) -> BTreeSet<(&'static str, &'static str)> {
    let (expected, clean) = expected(partitions);
    let (once, clean_account, clean_total) = run_over(config, ONE, &records(&clean));
    assert_eq!((clean_account.used, clean_account.unused.len()), (clean_total, 0), "{at}: nothing is repeated or late");
    assert!(!once[0].is_empty() && (config.model.preset == Preset::None) == once[1].is_empty(), "{at}");
    let all = records(partitions);
    for (count, serialised) in [(1, false), (2, false), (4, false), (2, true)] {
        let workers = Workers { count, serialised };
        let (bytes, account, total) = run_over(config, workers, &all);
        assert_eq!(account, expected, "{at}, {workers:?}");
        assert_eq!(total, partitions.iter().map(|records| records.len() as u64).sum::<u64>(), "{at}, {workers:?}");
        assert!(bytes == once, "{at}, {workers:?}: the results of the input without repeats");
    }
    expected.unused.keys().map(|(outcome, reason, _)| (*outcome, *reason)).collect()
}

#[test]
fn repeats_change_nothing_but_their_count() {
    let mut config = Config::default();
    config.model.preset = Preset::None;
    assert_eq!([config.time.slide.millis(), config.time.allowed_lateness.millis()], [SLIDE, LATENESS]);
    let mut fates = BTreeSet::new();
    for seed in 0..24 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let partitions = 1 + seed as usize % 4;
        let length = 1 + below(&mut rng, 1_500) as usize;
        let partitions = market(&mut rng, partitions, length);
        fates.extend(check(&config, &partitions, &format!("seed {seed}")));
    }
    let seen = [("ignored", "duplicate"), ("late", "late"), ("partly", "duplicate"), ("partly", "late")];
    assert_eq!(fates, BTreeSet::from(seen));
}

#[test]
fn repeats_change_no_forecast() {
    let mut config = Config::default();
    config.time.windows = vec!["1m".parse().unwrap()];
    let mut rng = ChaCha8Rng::seed_from_u64(99);
    let partitions = market(&mut rng, 3, 12_000);
    check(&config, &partitions, "with a model");
}

/// Runs over small inputs that lie beside the market data, each as a partition.
fn run_cases(files: &[&str], workers: Workers) -> Option<(Published, [Vec<u8>; 3])> {
    let paths: Option<Vec<_>> = files.iter().map(|file| support::data(&format!("../cases/{file}"))).collect();
    let mut config = Config::default();
    config.time.slide = "1m".parse().unwrap();
    let (symbol, interval) = (Some("BTC".to_owned()), Some(config.time.slide));
    let files = FilesSourceConfig { paths: paths?, symbol, interval, ..FilesSourceConfig::default() };
    let published = run_source(&config, workers, files);
    let bytes = published.everything(&config);
    Some((published, bytes))
}

/// Refreshed downloads, two collectors, reconnects: in one file, or the one file beside the other.
#[test]
fn what_collectors_and_downloads_repeat_counts_once() {
    for (once, again, repeats) in [
        ("bars_once.csv", "bars_twice.csv", 40),
        ("binance_once.jsonl.gz", "binance_two_collectors.jsonl.gz", 600),
        ("klines_once.jsonl.gz", "klines_twice.jsonl.gz", 30),
        ("coinbase_once.jsonl.gz", "coinbase_reconnects.jsonl.gz", 12),
    ] {
        let Some((first, expected)) = run_cases(&[once], ONE) else { return };
        assert_eq!(
            (first.summary.records.used, account(&first.summary).unused.len()),
            (first.summary.records.total(), 0)
        );
        assert!(expected[..2].iter().all(|lines| !lines.is_empty()), "{once}");
        let used = first.summary.records.used;
        let check = |files: &[&str], workers: Workers, ignored: &[u64]| {
            let Some((published, bytes)) = run_cases(files, workers) else { return };
            let unused = (0..)
                .zip(ignored)
                .filter(|(_, n)| **n > 0)
                .map(|(partition, n)| (("ignored", "duplicate", partition), *n));
            assert_eq!(
                account(&published.summary),
                Account { used, unused: unused.collect() },
                "{files:?}, {workers:?}"
            );
            assert!(bytes == expected, "{files:?}, {workers:?}");
        };
        check(&[again], ONE, &[repeats]);
        for (count, serialised) in [(1, false), (2, false), (2, true), (4, false)] {
            let workers = Workers { count, serialised };
            check(&[once, once], workers, &[0, used]);
            check(&[again, once, again], workers, &[repeats, used, repeats + used]);
        }
    }
    let (Some((_, expected)), Some((last, bytes))) =
        (run_cases(&["bars_once.csv"], ONE), run_cases(&["bars_partial_then_final.csv"], ONE))
    else {
        return;
    };
    assert_eq!(account(&last.summary).unused, BTreeMap::from([(("ignored", "duplicate", 0), 1)]));
    assert!(bytes == expected, "the latest of the candle counts");
}
