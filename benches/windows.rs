//! Windows: the whole dataflow from memory on one worker, beside a plain loop without a dataflow, in one run.
//!
//! 2,000,000 ticks of 64 symbols over 8 h, 1 % of them up to 2 s out of order; windows of 1m, 5m and 1h, slide 5s. Then what it
//! costs to know each trade by its id: in one partition, and spread over two, either of which might have the other's.
//! `cargo bench --bench windows`. With a C++ compiler, `TICKCAST_LIMIT_CPP` may name the source of a hand-written program
//! that reads the same ticks (`u32 symbol, u32 pad, i64 ms, f64 price, f64 size`) as its limit: it is built and run beside.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, missing_docs)]

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use std::io::Write as _;
use std::process::Command;
use std::sync::Arc;
use tickcast::config::{Config, Preset};
use tickcast::connectors::input::Input;
use tickcast::connectors::memory::{MemoryInput, MemoryRecord};
use tickcast::dataflows::job::{self, Job};
use tickcast::delivery::Stop;
use tickcast::market::{Fixed, IdSpace, Observation, Ohlcv, Pane, Quote, Side, Symbol, SymbolId, Timestamp, TradeId};
use tickcast::operators::support::sliding::SlidingWindow;
use tickcast::operators::support::stats::Stats;

const TICKS: usize = 2_000_000;
const SYMBOLS: usize = 64;
const SPAN_MS: f64 = 8.0 * 3_600_000.0;
const START_MS: i64 = 1_767_571_200_000;
const SLIDE_MS: i64 = 5000;
const PANES: [u64; 3] = [12, 60, 720];
const ROUNDS: usize = 5;

#[derive(Clone, Copy)]
struct Tick {
    symbol: u32,
    at: i64,
    price: Fixed,
    size: Fixed,
    side: Option<Side>,
}

fn ticks() -> Vec<Tick> {
    let mut rng = ChaCha8Rng::seed_from_u64(42);
    let mut uniform = move || (rng.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
    let mut prices: Vec<f64> = (0..SYMBOLS).map(|_| 10_f64.powf(4.6 * uniform())).collect();
    let mut at = START_MS as f64;
    let mut arrivals: Vec<(i64, Tick)> = Vec::with_capacity(TICKS);
    for _ in 0..TICKS {
        at += (-uniform().max(1e-12).ln() * SPAN_MS / TICKS as f64).clamp(1.0, 1000.0);
        let symbol = (uniform() * SYMBOLS as f64) as usize;
        prices[symbol] *= 1.0 + 4e-4 * (uniform() - 0.5);
        let delay = if uniform() < 0.01 { (uniform() * 1999.0) as i64 } else { 0 };
        let fixed = |x: f64| Fixed::from_raw((x * 1e4).round() as i64 * 10_000);
        let (price, size) = (fixed(prices[symbol]), fixed(0.01 + uniform()));
        let side = Some(if size.raw() / 10_000 % 2 == 0 { Side::Buy } else { Side::Sell });
        let tick = Tick { symbol: symbol as u32, at: at as i64, price, size, side };
        arrivals.push((tick.at + delay, tick));
    }
    arrivals.sort_by_key(|(arrival, _)| *arrival);
    arrivals.into_iter().map(|(_, tick)| tick).collect()
}

/// CPU seconds of this process.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Several rounds' CPU seconds per million ticks, and what the last one gave.
fn measure(rounds: usize, mut run: impl FnMut() -> u64) -> (f64, u64) {
    let mut result = 0;
    let times = (0..rounds).map(|_| {
        let begun = cpu_seconds();
        result = run();
        (cpu_seconds() - begun) / (TICKS as f64 / 1e6)
    });
    (median(times.collect()), result)
}

/// The same panes and windows in one loop, rows counted as they come.
fn plain_loop(ticks: &[Tick]) -> u64 {
    let mut panes: Vec<[Option<Ohlcv>; 2]> = vec![[None; 2]; SYMBOLS];
    let mut windows: Vec<[SlidingWindow; 3]> = (0..SYMBOLS).map(|_| PANES.map(SlidingWindow::new)).collect();
    let (mut pane, mut latest, mut rows, mut sum) = (START_MS / SLIDE_MS, 0, 0, 0_i128);
    let mut close = |pane: i64, panes: &mut Vec<[Option<Ohlcv>; 2]>| {
        for (bars, windows) in panes.iter_mut().zip(&mut windows) {
            for window in windows.iter_mut() {
                window.evict(Pane::from_number(pane as u64));
                if let Some(bar) = &bars[0] {
                    window.push(Pane::from_number(pane as u64), bar);
                }
            }
            for value in windows.iter().filter_map(SlidingWindow::value) {
                sum += value.volume;
            }
            rows += u64::from(!windows[2].is_empty());
            bars.swap(0, 1);
            bars[1] = None;
        }
    };
    for tick in ticks {
        latest = latest.max(tick.at);
        while (pane + 1) * SLIDE_MS <= latest - 2000 {
            close(pane, &mut panes);
            pane += 1;
        }
        let bar = Ohlcv::of_tick(tick.price, tick.size, tick.side);
        let slot = &mut panes[tick.symbol as usize][(tick.at / SLIDE_MS - pane).clamp(0, 1) as usize];
        match slot {
            Some(sum) => sum.append(&bar),
            none => *none = Some(bar),
        }
    }
    while pane <= latest / SLIDE_MS {
        close(pane, &mut panes);
        pane += 1;
    }
    std::hint::black_box(sum);
    rows
}

fn dataflow(partitions: &Arc<Vec<Vec<MemoryRecord>>>, names: &Arc<[Symbol]>, config: &Config) -> u64 {
    let (partitions, names) = (Arc::clone(partitions), Arc::clone(names));
    let summary = job::run(Job {
        config: config.clone(),
        workers: 1,
        cluster: None,
        serialised: false,
        input: Arc::new(move |worker, workers| {
            let input = MemoryInput::new(Arc::clone(&partitions), worker, workers).with_names(Arc::clone(&names));
            Ok(Box::new(input) as Box<dyn Input>)
        }),
        sinks: Vec::new(),
        bounded: true,
        range: (None, None),
        releases: Vec::new(),
        history: None,
        symbol_shares: None,
        checkpoints: None,
        restored: None,
        initial: None,
        trace: None,
        stop: Stop::default(),
        stats: Arc::new(Stats::default()),
    });
    let summary = summary.unwrap();
    assert_eq!(summary.records.used as usize, TICKS);
    summary.rows
}

/// The ticks in turn spread over partitions, each with its id.
fn records(ticks: &[Tick], partitions: usize, id: impl Fn(usize) -> Option<TradeId>) -> Arc<Vec<Vec<MemoryRecord>>> {
    let mut all = vec![Vec::with_capacity(ticks.len() / partitions + 1); partitions];
    for (number, tick) in ticks.iter().enumerate() {
        all[number % partitions].push(MemoryRecord::Observed(Observation {
            symbol: SymbolId(tick.symbol),
            at: Timestamp::from_millis(tick.at),
            quote: Quote::Tick { price: tick.price, size: tick.size, side: tick.side },
            identity: id(number),
            reported: None,
        }));
    }
    Arc::new(all)
}

/// CPU seconds per million ticks of the hand-written program, where it can be had.
fn limit(ticks: &[Tick]) -> Option<f64> {
    let source = std::env::var_os("TICKCAST_LIMIT_CPP")?;
    let dir = tempfile::tempdir().unwrap();
    let (program, data) = (dir.path().join("limit"), dir.path().join("ticks.bin"));
    let built =
        Command::new("g++").args(["-O3", "-march=native", "-std=c++17", "-o"]).arg(&program).arg(source).status();
    assert!(built.unwrap().success(), "the limit program does not build");
    let mut file = std::io::BufWriter::new(std::fs::File::create(&data).unwrap());
    for tick in ticks {
        file.write_all(&tick.symbol.to_le_bytes()).unwrap();
        file.write_all(&[0; 4]).unwrap();
        file.write_all(&tick.at.to_le_bytes()).unwrap();
        file.write_all(&tick.price.to_f64().to_le_bytes()).unwrap();
        file.write_all(&tick.size.to_f64().to_le_bytes()).unwrap();
    }
    drop(file);
    let out = Command::new(program).arg(data).args(["mem", "9"]).output().unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    println!("{}", text.trim_end());
    let figure = text.split("cpu_s/Mtick=").nth(1)?.split_whitespace().next()?;
    figure.parse().ok()
}

fn main() {
    let ticks = ticks();
    let names: Arc<[Symbol]> = (0..SYMBOLS).map(|k| Symbol::new(&format!("S{k:03}")).unwrap()).collect();
    let partitions = records(&ticks, 1, |_| None);
    let mut config = Config::default();
    config.model.preset = Preset::None;

    let (plain, plain_rows) = measure(ROUNDS, || plain_loop(&ticks));
    let (ours, rows) = measure(ROUNDS, || dataflow(&partitions, &names, &config));
    drop(partitions);
    let mut next = [7_000_000_000_u64; SYMBOLS];
    let mut following = |tick: &Tick| {
        next[tick.symbol as usize] += 1;
        next[tick.symbol as usize]
    };
    let following: Vec<u64> = ticks.iter().map(&mut following).collect();
    let scattered: Vec<u64> = (1..=TICKS as u64).map(|number| number.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect();
    for (split, whose) in [(1, "one partition"), (2, "two partitions")] {
        let run = |ids: Option<&[u64]>| {
            let id = |tick: usize| ids.map(|ids| TradeId::new(IdSpace::Plain, ids[tick]));
            let partitions = records(&ticks, split, id);
            measure(ROUNDS, || dataflow(&partitions, &names, &config))
        };
        let (without, same) = run(None);
        println!("{whose}: {without:.4} CPU seconds per million ticks without ids");
        for (which, ids) in [("that follow one another", &following), ("without any order", &scattered)] {
            let (with, again) = run(Some(ids));
            let (ns, ratio) = ((with - without) * 1e3, with / without);
            println!("  with ids {which:24} {with:.4}   {ratio:.2} of that: {ns:.1} ns a trade");
            assert_eq!([same, again], [rows; 2], "the same rows");
        }
    }
    let limit = limit(&ticks);
    println!("CPU seconds per million ticks (median of {ROUNDS}), {rows} rows:");
    println!("  plain loop, no dataflow   {plain:.4}   ({plain_rows} rows)");
    println!("  the whole dataflow        {ours:.4}   {:.2} of the plain loop", ours / plain);
    if let Some(limit) = limit {
        println!("  hand-written C++          {limit:.4}   the dataflow takes {:.2} times it", ours / limit);
    }
    assert_eq!(rows, plain_rows, "both give the same rows");
}
