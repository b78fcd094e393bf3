//! Archives of candles, holes and all: every row, every forecast's status and every score against a slow, obvious oracle.

use crate::harness::{Workers, run_source};
use crate::support;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use tickcast::config::{Config, FilesSourceConfig};
use tickcast::market::{Ohlcv, Status};

/// A candle as integers of 1e-8: open, high, low, close, volume.
type Candle = [i64; 5];
/// Candles of one symbol by the number of their step.
type Steps = BTreeMap<i64, Candle>;

const WORKERS: Workers = Workers { count: 2, serialised: false };
/// The LSTM's sequence, and how many absent steps make a hole.
const SEQUENCE: i64 = 16;
const HOLE: i64 = 5;

/// A decimal text in units of 1e-8, rounded half to even.
fn units(text: &str) -> i64 {
    let (number, exponent) = text.split_once(['e', 'E']).map_or((text, 0), |(n, e)| (n, e.parse::<i32>().unwrap()));
    let (whole, places) = number.split_once('.').unwrap_or((number, ""));
    let digits: i128 = format!("{whole}{places}").parse().unwrap();
    let shift = exponent + 8 - places.len() as i32;
    if shift >= 0 {
        return i64::try_from(digits * 10_i128.pow(shift as u32)).unwrap();
    }
    let divisor = 10_i128.pow(-shift as u32);
    let (quotient, rest) = (digits.div_euclid(divisor), digits.rem_euclid(divisor));
    let up = 2 * rest > divisor || (2 * rest == divisor && quotient % 2 != 0);
    i64::try_from(quotient + i128::from(up)).unwrap()
}

/// The lines of an archive that are looked at: all of them, but where everything is slow.
fn lines(path: &std::path::Path) -> Vec<String> {
    let file = BufReader::new(flate2::read::MultiGzDecoder::new(std::fs::File::open(path).unwrap()));
    let most = if cfg!(debug_assertions) { 20_000 } else { usize::MAX };
    file.lines().map(Result::unwrap).take(most).collect()
}

fn read(lines: &[String], symbol: &str, step_ms: i64) -> BTreeMap<String, Steps> {
    let header: Vec<&str> = lines[0].split(',').collect();
    let column = |name: &str| header.iter().position(|h| *h == name);
    let figures = ["open", "high", "low", "close", "volume"].map(|name| column(name).unwrap());
    let mut symbols: BTreeMap<String, Steps> = BTreeMap::new();
    for line in &lines[1..] {
        let fields: Vec<&str> = line.split(',').collect();
        let symbol = column("symbol").map_or(symbol, |at| fields[at]);
        let open_ms = fields[column("timestamp").unwrap()].parse::<i64>().unwrap() * 1000;
        assert_eq!(open_ms % step_ms, 0);
        let candle = figures.map(|at| units(fields[at]));
        let before = symbols.entry(symbol.to_owned()).or_default().insert(open_ms / step_ms, candle);
        assert!(before.is_none(), "two candles of one step");
    }
    symbols
}

/// The window that ends with the step before `end`, candle by candle.
fn window(steps: &Steps, end: i64, size: i64) -> Option<(i64, i64, i64, i64, i128)> {
    let candles: Vec<&Candle> = steps.range(end - size..end).map(|(_, candle)| candle).collect();
    let (first, last) = (candles.first()?, candles.last()?);
    let high = candles.iter().map(|c| c[1]).max().unwrap();
    let low = candles.iter().map(|c| c[2]).min().unwrap();
    Some((first[0], high, low, last[3], candles.iter().map(|c| i128::from(c[4])).sum()))
}

fn figures(bar: &Ohlcv) -> (i64, i64, i64, i64, i128) {
    (bar.open.raw(), bar.high.raw(), bar.low.raw(), bar.close.raw(), bar.volume)
}

/// The last step before `end` with a candle.
fn latest(steps: &Steps, end: i64) -> (i64, i64) {
    let (step, candle) = steps.range(..end).next_back().unwrap();
    (*step, candle[3])
}

/// What the contract says of a forecast at the end of the step before `end`.
fn status(steps: &Steps, end: i64) -> (Status, bool, bool) {
    let first = *steps.keys().next().unwrap();
    if end - first < SEQUENCE {
        return (Status::Warming, false, false);
    }
    let absent = |from: i64| steps.range(from..from + HOLE).next().is_none();
    let quiet = absent(end - HOLE);
    // A hole that a candle ends, still inside of the sequence.
    let gap = (end - SEQUENCE..end - HOLE).any(|from| absent(from) && steps.range(from + HOLE..end).next().is_some());
    (if quiet || gap { Status::Abstain } else { Status::Ok }, quiet, gap)
}

fn check(path: &str, step: &str, windows: &[&str], horizons: &[&str]) {
    let Some(path) = support::data(path) else { return };
    let lines = lines(&path);
    let mut config = Config::default();
    config.time.slide = step.parse().unwrap();
    config.time.windows = windows.iter().map(|text| text.parse().unwrap()).collect();
    config.model.step = config.time.slide;
    config.model.horizons = horizons.iter().map(|text| text.parse().unwrap()).collect();
    let step_ms = config.model.step.millis();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("archive.csv");
    std::fs::write(&file, lines.join("\n")).unwrap();
    let (symbol, interval) = (Some("BTC".to_owned()), Some(config.time.slide));
    let published = run_source(
        &config,
        WORKERS,
        FilesSourceConfig { paths: vec![file], symbol, interval, ..FilesSourceConfig::default() },
    );
    let symbols = read(&lines, "BTC", step_ms);
    assert_eq!(published.summary.records.used, lines.len() as u64 - 1);
    assert_eq!(published.summary.records.total(), published.summary.records.used);

    let last = *symbols.values().filter_map(|steps| steps.keys().next_back()).max().unwrap();
    let longest = config.time.windows.iter().map(|w| w.millis()).max().unwrap() / step_ms;
    // Rows: where the longest window holds a candle, up to the last step of any symbol.
    let expected: BTreeSet<(i64, &str)> = symbols
        .iter()
        .flat_map(|(symbol, steps)| {
            let first = *steps.keys().next().unwrap();
            (first + 1..=last + 1)
                .filter(|end| steps.range(end - longest..*end).next().is_some())
                .map(|end| (end, symbol.as_str()))
        })
        .collect();
    let rows = &published.batch.rows;
    assert!(rows.iter().map(|row| (row.end.millis() / step_ms, row.symbol.as_str())).eq(expected.iter().copied()));
    for row in rows {
        let (end, steps) = (row.end.millis() / step_ms, &symbols[row.symbol.as_str()]);
        for (size, bar) in config.time.windows.iter().zip(&row.windows) {
            let expected = window(steps, end, size.millis() / step_ms);
            assert_eq!(bar.as_ref().map(figures), expected, "{} {size} at {}", row.symbol, row.end);
            assert!(bar.as_ref().is_none_or(|bar| bar.known_count().is_none()), "candles do not give it");
            assert!(bar.as_ref().is_none_or(|bar| bar.vwap().is_none()), "candles do not give it");
        }
    }

    // Forecasts: one for each row and horizon, with the status that the contract gives it.
    let forecasts = &published.batch.forecasts;
    assert_eq!(forecasts.len(), rows.len() * horizons.len());
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for (number, f) in forecasts.iter().enumerate() {
        let (end, steps) = (f.issued_at.millis() / step_ms, &symbols[f.symbol.as_str()]);
        let row = &rows[number / horizons.len()];
        assert_eq!((row.end, &row.symbol), (f.issued_at, &f.symbol));
        assert_eq!(f.horizon, config.model.horizons[number % horizons.len()]);
        let expected = status(steps, end);
        assert_eq!((f.status, f.reasons.quiet, f.reasons.gap), expected, "{} at {}", f.symbol, f.issued_at);
        assert_eq!(f.last_price.raw(), latest(steps, end).1, "{} at {}", f.symbol, f.issued_at);
        if f.status != Status::Ok {
            assert_eq!(f.price.to_bits(), f.last_price.to_f64().to_bits(), "{} at {}", f.symbol, f.issued_at);
        }
        assert!(f.quantiles.is_sorted() && f.quantiles.iter().all(|q| q.is_finite() && *q > 0.0));
        *counts.entry(format!("{:?} quiet {} gap {}", f.status, f.reasons.quiet, f.reasons.gap)).or_default() += 1;
    }

    // Scores: one for each forecast that came due, void where no candle came in the five steps before the target.
    let due = forecasts.iter().filter(|f| f.target_at.millis() / step_ms <= last + 1).count();
    let scores = &published.batch.scores;
    assert_eq!(scores.len(), due);
    let mut voids = 0;
    for score in scores {
        let (end, steps) = (score.target_at.millis() / step_ms, &symbols[score.symbol.as_str()]);
        let (step, close) = latest(steps, end);
        let void = step < end - HOLE;
        voids += u64::from(void);
        let actual = score.outcome.as_ref().map(|outcome| outcome.actual_price.raw());
        assert_eq!(actual, (!void).then_some(close), "{} at {}", score.symbol, score.target_at);
    }
    println!("{}: {} candles, {} rows, {counts:?}, {voids} void", path.display(), lines.len() - 1, rows.len());
    assert!(cfg!(debug_assertions) || lines.len() > 38_000);
}

const MINUTES: [&str; 3] = ["1m", "5m", "1h"];
const AHEAD: [&str; 4] = ["1m", "5m", "15m", "1h"];

/// No hole at all.
#[test]
fn a_month_of_minutes() {
    check("bars/btcusdt_1m_binance_20210610_20210710.csv.gz", "1m", &MINUTES, &AHEAD);
}

/// Two outages of the exchange, of 284 and 150 minutes.
#[test]
fn minutes_with_two_outages() {
    check("bars/btcusdt_1m_binance_20210402_20210520.csv.gz", "1m", &MINUTES, &AHEAD);
}

/// 119 candles missing in four gaps, 18 without volume.
#[test]
fn five_minutes_of_the_seeds_months() {
    let (windows, horizons) = (["5m", "15m", "2h"], ["5m", "15m", "1h"]);
    check("bars/seedperiod_btcusdt_5m_binance_20210101_20210513.csv.gz", "5m", &windows, &horizons);
}

/// Symbols that begin hours apart, one of them often without volume.
#[test]
fn nine_symbols() {
    check("multi/multi9_1m_binance_20210610_20210710.csv.gz", "1m", &MINUTES, &AHEAD);
}

/// Minutes without trades are absent: up to seven in ten.
#[test]
fn seven_sparse_symbols() {
    check("multi/multi7_1m_bitfinex_201910_sparse.csv.gz", "1m", &MINUTES, &AHEAD);
}
