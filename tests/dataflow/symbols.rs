//! Symbols are bounded: those beyond `source.symbols_max` are dead letters, those without a tick for `source.forget_after` are
//! given up, and begin anew when they return; the same on any number of workers.

use crate::harness::{ONE, Published, Workers, run};
use crate::support;
use crate::support::{run_to_end, tickcast};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tickcast::config::{Config, DeadLetterConfig};
use tickcast::connectors::input::Input;
use tickcast::connectors::memory::{MemoryBytes, MemoryInput, MemoryRecord};
use tickcast::market::{Span, Status, Symbol};

const BASE: i64 = 1_700_000_040_000; // the end of a minute
const PARTITIONS: usize = 4;

/// A symbol is given up ten minutes after its last tick.
fn config(symbols_max: usize) -> Config {
    let mut config = Config::default();
    let span = |text: &str| text.parse::<Span>().unwrap();
    config.time.windows = vec![span("1m")];
    config.model.horizons = vec![span("1m"), span("2m")];
    // What one symbol did must not show in the forecasts of another.
    config.model.experts.market = false;
    config.source.symbols_max = symbols_max;
    config.source.forget_after = span("10m");
    config.dead_letter = Some(DeadLetterConfig::default());
    assert_eq!(tickcast::config::check::check(&Config { dead_letter: None, ..config.clone() }), []);
    config
}

type Partitions = Vec<Vec<MemoryRecord>>;

/// Puts a tick where its key's hash says.
fn tick(partitions: &mut Partitions, symbol: &str, second: i64) {
    let price = 100 + symbol.len() as i64 + (second * 7919) % 13;
    let value = format!("{{\"symbol\":\"{symbol}\",\"timestamp\":{},\"price\":{price}}}", BASE + second * 1000);
    let partition = Symbol::new(symbol).unwrap().route() % PARTITIONS as u64;
    let bytes = MemoryBytes { broker_time: None, key: Some(symbol.as_bytes().to_vec()), value: value.into_bytes() };
    partitions[partition as usize].push(MemoryRecord::Bytes(Box::new(bytes)));
}

fn run_memory(config: &Config, workers: Workers, partitions: &Arc<Partitions>) -> Published {
    let partitions = Arc::clone(partitions);
    let input = move |worker, workers| {
        Ok(Box::new(MemoryInput::new(Arc::clone(&partitions), worker, workers)) as Box<dyn Input>)
    };
    run(config, workers, Arc::new(input))
}

fn letters(published: &Published) -> BTreeMap<(u32, u64), (Vec<u8>, String)> {
    let letters = &published.batch.dead_letters;
    let seen: BTreeMap<_, _> =
        letters.iter().map(|l| ((l.partition.0, l.offset), (l.value.clone(), l.error.clone()))).collect();
    assert_eq!(seen.len(), letters.len(), "none twice");
    seen
}

/// An hour: eight symbols that stay, floods of others, and one that comes back after twelve minutes.
fn an_hour(with_first_life: bool) -> Arc<Partitions> {
    let mut partitions = vec![Vec::new(); PARTITIONS];
    for second in 0..3600 {
        if second % 10 == 0 {
            (0..8).for_each(|number| tick(&mut partitions, &format!("STAYS{number}"), second));
        }
        // Before the first flood: it is among the first.
        if second % 5 == 1 && (second < 900 && with_first_life || (1700..3000).contains(&second)) {
            tick(&mut partitions, "BACK", second);
        }
        if (60..260).contains(&second) || (1000..1020).contains(&second) || (2400..2600).contains(&second) {
            tick(&mut partitions, &format!("FLOOD{second}"), second);
        }
    }
    Arc::new(partitions)
}

#[test]
fn too_many_are_dead_letters_and_who_returns_begins_anew_on_any_workers() {
    let (config, partitions) = (config(40), an_hour(true));
    let total: usize = partitions.iter().map(Vec::len).sum();
    let expected = run_memory(&config, ONE, &partitions);
    let records = expected.summary.records;
    assert_eq!((records.total(), records.used + records.undecodable), (total as u64, total as u64));
    let refused = letters(&expected);
    assert_eq!(refused.len() as u64, records.undecodable);
    let mut by_reason: BTreeMap<&str, u64> = BTreeMap::new();
    for (reason, count) in &expected.summary.unused {
        *by_reason.entry(reason.reason).or_default() += count;
    }
    assert_eq!(by_reason, [("too_many_symbols", records.undecodable)].into());
    for (value, error) in refused.values() {
        assert!(error.starts_with("too_many_symbols: "), "{error}");
        assert!(String::from_utf8_lossy(value).contains("FLOOD"), "those that stay were there first");
    }
    // Nine of the first flood have places at least, and less than forty and a margin; those of the second find them free again.
    let admitted = |seconds: std::ops::Range<i64>| {
        let lost = |second: &i64| {
            let name = format!("\"FLOOD{second}\"");
            !refused.values().any(|(value, _)| String::from_utf8_lossy(value).contains(&name))
        };
        seconds.filter(lost).count()
    };
    let (first, second, third) = (admitted(60..260), admitted(1000..1020), admitted(2400..2600));
    println!("of the floods {first}, {second} and {third} were admitted");
    assert!((31..130).contains(&first) && second == 20 && (31..130).contains(&third));

    let bytes = expected.everything(&config);
    for (count, serialised) in [(2, false), (4, false), (2, true)] {
        let workers = Workers { count, serialised };
        let published = run_memory(&config, workers, &partitions);
        assert_eq!(published.summary.records, records, "{workers:?}");
        assert_eq!(published.summary.unused, expected.summary.unused, "{workers:?}");
        assert_eq!(published.summary.scores, expected.summary.scores, "{workers:?}");
        assert!(letters(&published) == refused, "{workers:?}");
        assert!(published.everything(&config) == bytes, "{workers:?}");
    }

    // The second life is as if there had been no first one.
    let second_life = |published: &Published| {
        let issued =
            |f: &&tickcast::market::Forecast| f.symbol.as_str() == "BACK" && f.issued_at.millis() > BASE + 1_700_000;
        let forecasts: Vec<_> = published.batch.forecasts.iter().filter(issued).cloned().collect();
        forecasts
    };
    let anew = second_life(&expected);
    assert!(anew.len() > 40 && anew[0].status == Status::Warming && anew[0].skill.count == 0);
    assert!(anew == second_life(&run_memory(&config, ONE, &an_hour(false))));
    let first_life =
        |f: &&tickcast::market::Forecast| f.symbol.as_str() == "BACK" && f.issued_at.millis() < BASE + 1_000_000;
    assert!(expected.batch.forecasts.iter().rfind(first_life).unwrap().skill.count > 0);
    // Who was given up is not on the board any more: all scores of the first flood are older.
    assert!(expected.summary.scores.contains_key("STAYS0") && expected.summary.scores.contains_key("BACK"));
    assert!(!expected.summary.scores.contains_key("FLOOD60"), "{:?}", expected.summary.scores.keys());
}

/// Backfills `ticks`, pairs of symbol and stamp. Gives the summary.
fn backfill(dir: &Path, name: &str, sets: &[&str], ticks: impl Iterator<Item = (String, i64)>) -> serde_json::Value {
    let path = dir.join(name);
    let mut out = BufWriter::new(std::fs::File::create(&path).unwrap());
    writeln!(out, "symbol,timestamp,price").unwrap();
    for (number, (symbol, at)) in ticks.enumerate() {
        writeln!(out, "{symbol},{at},{}", 100 + number % 7).unwrap();
    }
    out.flush().unwrap();
    let paths = format!("source.files.paths={}", path.display());
    let file = format!("dead_letter.file={}", dir.join(format!("{name}.dead")).display());
    let sets = [paths.as_str(), &file].into_iter().chain(sets.iter().copied()).flat_map(|set| ["--set", set]);
    let command = tickcast(["backfill", "--json", "--workers", "2"].into_iter().chain(sets));
    let finished = run_to_end(command, Duration::from_secs(3600)).expect_code(0);
    let summary: serde_json::Value = serde_json::from_slice(&finished.stdout).unwrap();
    println!("{name}: {:.0} MB at most, {:.1} s", peak(&summary) / 1e6, summary["seconds"].as_f64().unwrap());
    summary
}

fn peak(summary: &serde_json::Value) -> f64 {
    summary["peak_memory_bytes"].as_f64().unwrap()
}

/// `TICKCAST_TEST_SYMBOLS_MAX` sets the limit (default 500; 10,000 need gigabytes).
#[test]
fn a_hundred_thousand_symbols_need_the_memory_of_those_that_are_allowed() {
    let symbols_max: usize = std::env::var("TICKCAST_TEST_SYMBOLS_MAX").map_or(500, |text| text.parse().unwrap());
    let dir = support::temp_dir();
    let set = format!("source.symbols_max={symbols_max}");
    let flood = |count: usize| (0..count).map(|number| (format!("id-{number}"), BASE + number as i64 * 10));
    // Both for as long, by a symbol that ticks all the time.
    let steady = (0..1000).map(|second| ("id-0".to_owned(), BASE + 1_000_000 + second * 1000));
    let few = backfill(dir.path(), "few.csv", &[&set], flood(symbols_max).chain(steady.clone()));
    let many = backfill(dir.path(), "many.csv", &[&set], flood(100_000).chain(steady));
    assert_eq!(few["records"]["used"], symbols_max as u64 + 1000);
    assert_eq!(many["records"]["used"], symbols_max as u64 + 1000);
    assert_eq!(many["records"]["undecodable"], 100_000 - symbols_max as u64);
    let letters = BufReader::new(std::fs::File::open(dir.path().join("many.csv.dead")).unwrap());
    let refused = letters.lines().filter(|line| line.as_ref().unwrap().contains("\"error\":\"too_many_symbols: "));
    assert_eq!(refused.count(), 100_000 - symbols_max);
    let (few, many) = (peak(&few), peak(&many));
    assert!(many < 1.2 * few + 3e7, "{few} bytes for {symbols_max} symbols, {many} with 100,000 at the door");
}

/// Each has one tick, and is given up ten minutes later: at most 600 are there at a time.
#[test]
fn a_hundred_thousand_symbols_that_come_and_go_need_the_memory_of_a_few() {
    let dir = support::temp_dir();
    let sets = ["source.symbols_max=1000", "source.forget_after=10m", "time.windows=1m", "model.horizons=1m"];
    let count: i64 = 100_000;
    let stream = |count: i64| (0..count).map(|second| (format!("id-{second}"), BASE + second * 1000));
    let few = backfill(dir.path(), "few-come.csv", &sets, stream(count / 20));
    let many = backfill(dir.path(), "many-come.csv", &sets, stream(count));
    assert_eq!(many["records"]["used"], count as u64, "none is refused: places become free");
    let (few, many) = (peak(&few), peak(&many));
    assert!(many < 1.2 * few + 2e7, "{few} bytes for 5,000 symbols, {many} for 100,000");
}
