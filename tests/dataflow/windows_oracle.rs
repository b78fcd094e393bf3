//! Every feature row against a slow, obvious oracle: for each row, look at every pane of each window.

use crate::harness::{ONE, Published, run_files};
use crate::support;
use std::collections::BTreeMap;
use std::io::BufRead;
use tickcast::config::{Config, Preset};
use tickcast::market::{Fixed, Ohlcv};

/// A tick as plain numbers, in the order of the contract: stamp, place, price, size, and the size with its taker's sign.
type Tick = (i64, usize, i64, i64, i64);
type Panes = BTreeMap<i64, Vec<Tick>>;
/// Open, high, low, close, volume, notional, count, signed volume.
type Figures = (i64, i64, i64, i64, i128, i128, u64, Option<i128>);

/// The window's figures, tick by tick.
fn naive(panes: &Panes, end: i64, size: i64, slide: i64) -> Option<Figures> {
    let mut ticks: Vec<&Tick> = panes.range((end - size) / slide..end / slide).flat_map(|(_, t)| t).collect();
    ticks.sort();
    let (first, last) = (ticks.first()?, ticks.last()?);
    let mut sums = (first.2, i64::MIN, i64::MAX, last.2, 0_i128, 0_i128, 0_u64, Some(0_i128));
    for tick in &ticks {
        sums.1 = sums.1.max(tick.2);
        sums.2 = sums.2.min(tick.2);
        sums.4 += i128::from(tick.3);
        sums.5 += i128::from(tick.2) * i128::from(tick.3);
        sums.6 += 1;
        sums.7 = sums.7.map(|sum| sum + i128::from(tick.4));
    }
    Some(sums)
}

fn figures(bar: &Ohlcv) -> Figures {
    let signed = bar.known_signed_volume_raw();
    (bar.open.raw(), bar.high.raw(), bar.low.raw(), bar.close.raw(), bar.volume, bar.notional, bar.count, signed)
}

/// Rows against the oracle. The long windows are checked on every `stride`th row, all others on every row: the oracle takes
/// time in proportion to ticks per window.
fn compare(published: &Published, panes: &Panes, config: &Config, stride: usize) {
    let slide = config.time.slide.millis();
    let rows = &published.batch.rows;
    let (first, last) = (*panes.keys().next().unwrap(), *panes.keys().last().unwrap());
    let longest = config.time.windows.iter().map(|w| w.millis()).max().unwrap();
    // Rows are there exactly where the longest window holds a tick.
    let mut expected = Vec::new();
    for pane in first..=last {
        let end = (pane + 1) * slide;
        if panes.range((end - longest) / slide..=pane).next().is_some() {
            expected.push(end);
        }
    }
    assert_eq!(rows.iter().map(|row| row.end.millis()).collect::<Vec<_>>(), expected);
    for (number, row) in rows.iter().enumerate() {
        for (size, bar) in config.time.windows.iter().zip(&row.windows) {
            if size.millis() <= 300_000 || number % stride == 0 || number + 1 == rows.len() {
                let expected = naive(panes, row.end.millis(), size.millis(), slide);
                assert_eq!(bar.as_ref().map(figures), expected, "{size} at {}", row.end);
            }
        }
    }
}

#[test]
fn the_million_trades() {
    let Some(path) = support::data("trades/trades_xbtusd_bitmex_20180101_20180105_1M.csv.zst") else { return };
    let mut config = Config::default();
    config.model.preset = Preset::None;
    let published = run_files(&config, ONE, std::slice::from_ref(&path), Some("XBTUSD"));
    assert_eq!(published.summary.records.used, 1_000_000);
    assert_eq!(published.summary.records.total(), 1_000_000);

    let mut panes = Panes::new();
    let text = std::io::BufReader::new(zstd::Decoder::new(std::fs::File::open(path).unwrap()).unwrap());
    for (number, line) in text.lines().skip(1).enumerate() {
        let line = line.unwrap();
        let fields: Vec<&str> = line.split(',').collect();
        let at: i64 = fields[0].parse().unwrap();
        let units = |text: &str| Fixed::parse(text.as_bytes()).unwrap().raw();
        let size = units(fields[2]);
        let signed = match fields[3].trim() {
            "buy" => size,
            "sell" => -size,
            other => panic!("the side `{other}`"),
        };
        panes.entry(at / 5000).or_default().push((at, number, units(fields[1]), size, signed));
    }
    compare(&published, &panes, &config, if cfg!(debug_assertions) { 500 } else { 25 });

    // Over everything: non-overlapping windows of one slide are the panes.
    let (mut count, mut volume, mut notional) = (0_u64, 0_i128, 0_i128);
    let minutes = published.batch.rows.iter().filter(|row| row.end.millis() % 60_000 == 0);
    let tail = published.batch.rows.last().filter(|row| row.end.millis() % 60_000 != 0);
    for row in minutes {
        if let Some(bar) = &row.windows[0] {
            count += bar.count;
            volume += bar.volume;
            notional += bar.notional;
        }
    }
    if let Some(tail) = tail {
        // The last minute is not whole: what it holds since the last full one.
        let begun = tail.end.millis() / 60_000 * 60_000;
        for ticks in panes.range(begun / 5000..).map(|(_, ticks)| ticks) {
            for tick in ticks {
                count += 1;
                volume += i128::from(tick.3);
                notional += i128::from(tick.2) * i128::from(tick.3);
            }
        }
    }
    assert_eq!(count, 1_000_000);
    assert_eq!(volume, 3_240_640_714 * 100_000_000);
    let vwap = notional as f64 / volume as f64 / 1e8;
    assert_eq!(format!("{vwap:.6}"), "14398.412436");
}
