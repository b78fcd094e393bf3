//! The simulated market as files, so that a clone without market data proves the same.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::print_stderr)]
#![allow(dead_code, reason = "each test file uses its part")]

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use tickcast::market::Timestamp;
use tickcast::simulation::SimulatedMarket;

/// 2023-11-15T00:00:00Z
pub const START: Timestamp = Timestamp::from_millis(1_700_006_400_000);
const SEED: u64 = 11;

/// The trades of the first `hours`, three symbols: one file, and one for each symbol.
pub fn files(dir: &Path, hours: i64) -> (PathBuf, Vec<PathBuf>) {
    let end = START.millis() + hours * 3_600_000;
    let whole = dir.join(format!("simulated-{hours}h.jsonl"));
    let mut one = std::io::BufWriter::new(std::fs::File::create(&whole).unwrap());
    let mut parts: BTreeMap<&str, Vec<u8>> = BTreeMap::new();
    let mut line = Vec::new();
    for tick in SimulatedMarket::new(SEED, START).take_while(|tick| tick.at.millis() < end) {
        line.clear();
        tick.write_json(&mut line);
        line.push(b'\n');
        one.write_all(&line).unwrap();
        parts.entry(tick.symbol).or_default().extend_from_slice(&line);
    }
    one.flush().unwrap();
    let files = parts.into_iter().map(|(symbol, text)| {
        let path = dir.join(format!("{symbol}-{hours}h.jsonl"));
        std::fs::write(&path, text).unwrap();
        path
    });
    (whole, files.collect())
}
