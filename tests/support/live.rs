//! A live job against real services, and the backfill that it has to equal.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::print_stderr)]
#![allow(dead_code, reason = "each test file uses its part")]

use crate::support::{self, Message, Process, Services, eventually, read_committed, run_to_end, tickcast};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

pub const PARTITIONS: i32 = 4;

/// One job's names and files.
pub struct Setup<'a> {
    pub services: &'a Services,
    pub dir: tempfile::TempDir,
    pub ticks: String,
    pub forecasts: String,
    pub database: Option<String>,
    pub config: PathBuf,
}

impl<'a> Setup<'a> {
    /// A topic of four partitions, and a configuration of a job over it; `extra` goes to the end of the file.
    pub fn new(services: &'a Services, database: bool, extra: &str) -> Self {
        let dir = support::temp_dir();
        let name = support::unique("live");
        let (ticks, forecasts) = (format!("{name}.ticks"), format!("{name}.forecasts"));
        let database = database.then(|| name.replace('.', "_"));
        let kafka = services.kafka();
        support::create_topic(kafka, &ticks, PARTITIONS);
        // One id for both runs, since forecasts carry it.
        let mut text = format!(
            "[job]\nid = \"{name}\"\n[source.kafka]\nbrokers = \"{kafka}\"\ntopic = \"{ticks}\"\n\
             [sink.kafka]\nbrokers = \"{kafka}\"\ntopic = \"{forecasts}\"\n"
        );
        if let Some(database) = &database {
            let _ = write!(text, "[sink.mongodb]\nuri = \"{}\"\ndatabase = \"{database}\"\n", services.mongodb());
        }
        text.push_str(extra);
        let config = dir.path().join("tickcast.toml");
        std::fs::write(&config, text).unwrap();
        std::fs::write(dir.path().join("backfill.toml"), format!("[job]\nid = \"{name}\"\n{extra}")).unwrap();
        Self { services, dir, ticks, forecasts, database, config }
    }

    pub fn config(&self) -> &str {
        self.config.to_str().unwrap()
    }

    /// Publishes a file into the topic.
    pub fn replay(&self, file: &Path, symbol: Option<&str>) {
        let mut command = tickcast(["replay", file.to_str().unwrap(), "-c", self.config(), "--speed", "max"]);
        if let Some(symbol) = symbol {
            command.args(["--symbol", symbol]);
        }
        run_to_end(command, Duration::from_secs(600)).expect_code(0);
    }

    /// The live job.
    pub fn start(&self) -> Process {
        self.start_with(2)
    }

    /// The live job, on so many workers.
    pub fn start_with(&self, workers: usize) -> Process {
        Process::spawn(tickcast(["run", "-c", self.config(), "--workers", &workers.to_string(), "--json"]))
    }

    /// The forecasts and scores of a backfill over the file.
    pub fn backfill(&self, file: &Path, symbol: Option<&str>) -> Backfilled {
        let out = self.dir.path().join("backfill");
        let config = self.dir.path().join("backfill.toml");
        let paths = format!("source.files.paths=[\"{}\"]", file.display());
        let dir = format!("sink.files.dir={}", out.display());
        let mut command = tickcast(["backfill", "-c", config.to_str().unwrap(), "--set", &paths, "--set", &dir]);
        if let Some(symbol) = symbol {
            command.args(["--set", &format!("source.files.symbol={symbol}")]);
        }
        run_to_end(command, Duration::from_secs(1200)).expect_code(0);
        let lines = |name: &str| -> Vec<String> {
            BufReader::new(std::fs::File::open(out.join(name)).unwrap()).lines().map(Result::unwrap).collect()
        };
        Backfilled { forecasts: lines("forecasts.jsonl"), scores: lines("scores.jsonl") }
    }

    /// How far the job has published, in epoch ms.
    pub fn through(&self) -> i64 {
        let topic = format!("{}.progress", self.forecasts);
        let Ok(records) = std::panic::catch_unwind(|| read_committed(self.services.kafka(), &topic)) else { return 0 };
        let last = records.last().map(|m| serde_json::from_slice::<serde_json::Value>(&m.value).unwrap());
        last.and_then(|value| value["through"].as_i64()).unwrap_or(0)
    }

    /// Waits until everything through `at` is published.
    pub fn await_through(&self, at: i64, within: Duration) {
        eventually(&format!("published through {at}"), within, || {
            std::thread::sleep(Duration::from_millis(500));
            (self.through() >= at).then_some(())
        });
    }
}

/// What a backfill wrote, line by line.
pub struct Backfilled {
    pub forecasts: Vec<String>,
    pub scores: Vec<String>,
}

/// When a forecast was issued, or a score was due.
pub fn stamp(line: &str, field: &str) -> String {
    let value: serde_json::Value = serde_json::from_str(line).unwrap();
    value[field].as_str().unwrap().to_owned()
}

pub fn epoch_ms(stamp: &str) -> i64 {
    stamp.parse::<jiff::Timestamp>().unwrap().as_millisecond()
}

impl Backfilled {
    /// The last time but one that forecasts were issued at: what a live job over the same records reaches.
    pub fn last_but_one(&self) -> i64 {
        let last = stamp(self.forecasts.last().unwrap(), "issued_at");
        let before = self.forecasts.iter().rev().map(|line| stamp(line, "issued_at")).find(|at| *at != last);
        epoch_ms(&before.unwrap())
    }

    /// Forecasts issued, and scores due, by `through`.
    pub fn up_to(&self, through: i64) -> (Vec<&String>, Vec<&String>) {
        let until =
            |lines: &'_ [String], field: &str| lines.partition_point(|line| epoch_ms(&stamp(line, field)) <= through);
        let forecasts = &self.forecasts[..until(&self.forecasts, "issued_at")];
        let scores = &self.scores[..until(&self.scores, "target_at")];
        (forecasts.iter().collect(), scores.iter().collect())
    }
}

/// That a topic holds exactly these lines, none twice, each key's in their order.
pub fn assert_same(published: &[Message], expected: &[&String], what: &str) {
    let mut by_key: BTreeMap<String, Vec<&[u8]>> = BTreeMap::new();
    for message in published {
        by_key.entry(message.key.clone().unwrap()).or_default().push(&message.value);
    }
    let mut wanted: BTreeMap<String, Vec<&[u8]>> = BTreeMap::new();
    for line in expected {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        wanted.entry(value["symbol"].as_str().unwrap().to_owned()).or_default().push(line.as_bytes());
    }
    assert_eq!(by_key.keys().collect::<Vec<_>>(), wanted.keys().collect::<Vec<_>>(), "{what}: symbols");
    for (key, lines) in &wanted {
        let found = &by_key[key];
        let first = found.iter().zip(lines).position(|(a, b)| a != b);
        if let Some(at) = first {
            panic!(
                "{what}, {key}, record {at}:\n  published {}\n  expected  {}",
                String::from_utf8_lossy(found[at]),
                String::from_utf8_lossy(lines[at])
            );
        }
        assert_eq!(found.len(), lines.len(), "{what}, {key}: number of records");
    }
    assert_eq!(published.len(), expected.len(), "{what}");
}

/// The closes of the nine symbols' minute bars as ticks, for some days, in `dir`.
pub fn nine_symbols_as_ticks(dir: &Path, days: f64) -> Option<PathBuf> {
    let bars = support::data("multi/multi9_1m_binance_20210610_20210710.csv.gz")?;
    let text = BufReader::new(flate2::read::MultiGzDecoder::new(std::fs::File::open(bars).unwrap()));
    let path = dir.join("closes.csv");
    let mut out = std::io::BufWriter::new(std::fs::File::create(&path).unwrap());
    writeln!(out, "timestamp,symbol,price").unwrap();
    let mut begun = None;
    for line in text.lines().skip(1).map(Result::unwrap) {
        let fields: Vec<&str> = line.split(',').collect();
        let open: i64 = fields[0].parse().unwrap();
        if (open - *begun.get_or_insert(open)) as f64 >= days * 86_400.0 {
            break;
        }
        writeln!(out, "{},{},{}", open * 1000 + 59_999, fields[1], fields[5]).unwrap();
    }
    out.flush().unwrap();
    Some(path)
}

/// The first `count` of the recorded trades, in `dir`; cut into files at the given records.
pub fn trades(dir: &Path, cuts: &[usize]) -> Option<(PathBuf, Vec<PathBuf>)> {
    let recorded = support::data("trades/trades_xbtusd_bitmex_20180101_20180105_1M.csv.zst")?;
    let text = BufReader::new(zstd::Decoder::new(std::fs::File::open(recorded).unwrap()).unwrap());
    let mut lines = text.lines().map(Result::unwrap);
    let header = lines.next().unwrap();
    let whole = dir.join("trades.csv");
    let mut all = std::io::BufWriter::new(std::fs::File::create(&whole).unwrap());
    writeln!(all, "{header}").unwrap();
    let mut parts = Vec::new();
    let mut done = 0;
    for (number, cut) in cuts.iter().enumerate() {
        let path = dir.join(format!("trades-{number}.csv"));
        let mut part = std::io::BufWriter::new(std::fs::File::create(&path).unwrap());
        writeln!(part, "{header}").unwrap();
        for line in lines.by_ref().take(cut - done) {
            writeln!(part, "{line}").unwrap();
            writeln!(all, "{line}").unwrap();
        }
        done = *cut;
        part.flush().unwrap();
        parts.push(path);
    }
    all.flush().unwrap();
    Some((whole, parts))
}
