//! What forecasting costs, with the default recipe and everything on.
//!
//! `cargo bench --bench forecaster`: a year of minute bars of one symbol through `Forecaster::step` on one core, the time by
//! part, and the memory of a symbol. `-- --symbols 10000`: so many symbols through the whole dataflow on two workers, for
//! `--minutes` (1000) of event time, or until `--seconds` (240) of wall time have passed. With `--checkpoints 60` twice: without
//! checkpoints, and with one in so many seconds.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, clippy::too_many_lines, missing_docs)]

mod many;
mod parts;
mod series;

use series::Minute;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tickcast::features::MARKET_INPUTS;
use tickcast::market::{FeatureRow, Fixed, Forecast, Span, Symbol};
use tickcast::model::experts::Parts;
use tickcast::model::forecaster::{Forecaster, StepResults};
use tickcast::model::scratch::LearnerScratch;
use tickcast::model::settings::ForecasterConfig;
use tickcast::model::settings::LearnerConfig;

const YEAR: usize = 525_600;
/// Two weeks: all that a symbol remembers, and its quantile windows are full.
const MEMORY_STEPS: usize = 20_160;
/// As far as the dataflow of many symbols gets.
const REACH: usize = 510;
const MEMORY_SYMBOLS: u64 = 8;

/// The default recipe on steps of a minute.
fn config() -> ForecasterConfig {
    let horizons: Vec<Span> = ["1m", "5m", "15m", "1h"].map(|text| text.parse().unwrap()).to_vec();
    ForecasterConfig {
        job: "bench".into(),
        step: "1m".parse().unwrap(),
        epoch: "5m".parse().unwrap(),
        coverage: 0.9,
        parts: Parts::default(),
        pooled: false,
        initial: None,
        learner: LearnerConfig {
            hidden: 32,
            layers: 1,
            steps: 16,
            minibatches: 1,
            epoch_steps: 5,
            horizons: horizons.len(),
            random_seed: 42,
        },
        horizons,
    }
}

/// Feeds minutes to a forecaster; gives the time and the forecasts of the last one.
fn feed(forecaster: &mut Forecaster, scratch: &mut LearnerScratch, minutes: &[Minute]) -> (Duration, Vec<Forecast>) {
    let symbol = forecaster.symbol().clone();
    let mut results = StepResults::default();
    let (mut last, mut last_price) = (Vec::new(), Fixed::ZERO);
    let start = Instant::now();
    for (end, bar) in minutes {
        last_price = bar.map_or(last_price, |bar| bar.close);
        let row = FeatureRow { symbol: symbol.clone(), end: *end, windows: Box::new([]), bar: *bar, last_price };
        forecaster.step(*end, Some(&row), &[0.0; MARKET_INPUTS], scratch, &mut results);
        results.scores.clear();
        last.clear();
        last.append(&mut results.forecasts);
    }
    (start.elapsed(), last)
}

fn year(count: usize) {
    let (config, symbol, minutes) = (config(), Symbol::new("X").unwrap(), series::minutes(1, count));
    let mut scratch = LearnerScratch::new(&config.learner);
    let mut forecaster = Forecaster::new(Rc::new(config.clone()), symbol.clone()).unwrap();
    let cpu = thread_cpu();
    let (whole, last) = feed(&mut forecaster, &mut scratch, &minutes);
    let cpu = thread_cpu() - cpu;
    let micros = |time: Duration| time.as_secs_f64() * 1e6 / count as f64;
    println!(
        "{count} steps of one symbol: {:.1} s, {:.2} µs per step; on the core {:.1} s, {:.2} µs per step",
        whole.as_secs_f64(),
        micros(whole),
        cpu.as_secs_f64(),
        micros(cpu),
    );
    let (times, published) = parts::run(&config, &symbol, &minutes);
    for (forecast, returns) in last.iter().zip(&published) {
        let prices = returns.map(|r| forecast.last_price.to_f64() * libm::exp(r));
        assert_eq!(forecast.quantiles, prices, "the parts make the same forecasts as the whole");
    }
    for (name, time) in parts::PARTS.iter().zip(times) {
        println!("  {name:32} {:6.2} µs", micros(time));
    }
    let rest = cpu.as_secs_f64() - times.iter().sum::<Duration>().as_secs_f64();
    println!("  {:32} {:6.2} µs", "scores, records (what is left)", rest * 1e6 / count as f64);
}

/// Gives the forecasters, so that the next measurement does not find their memory free.
fn memory(steps: usize) -> Vec<Forecaster> {
    let shared = Rc::new(config());
    let mut scratch = LearnerScratch::new(&shared.learner);
    let names = (0..MEMORY_SYMBOLS).map(|k| Symbol::new(&format!("M{k}")).unwrap());
    let all: Vec<Vec<Minute>> = (0..MEMORY_SYMBOLS).map(|seed| series::minutes(seed, steps)).collect();
    // The first makes everything real that all share.
    let mut forecasters = vec![Forecaster::new(Rc::clone(&shared), Symbol::new("first").unwrap()).unwrap()];
    feed(&mut forecasters[0], &mut scratch, &all[0]);
    let before = resident_bytes();
    forecasters.extend(names.map(|name| Forecaster::new(Rc::clone(&shared), name).unwrap()));
    for (forecaster, minutes) in forecasters[1..].iter_mut().zip(&all) {
        feed(forecaster, &mut scratch, minutes);
    }
    let grown = (resident_bytes() - before) / MEMORY_SYMBOLS;
    let mut state = Vec::new();
    forecasters[1].write_state(&mut state).unwrap();
    println!("after {steps} steps: state of {} bytes, resident memory of {grown} bytes a symbol", state.len());
    forecasters
}

/// This thread's time on a core; zero where the system does not tell.
fn thread_cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(text.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or(0))
}

/// CPU seconds of this process, in hundredths.
pub fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}

/// Resident memory of this process.
pub fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches("kB").trim().parse::<u64>().unwrap() * 1024
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let given = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        Some(arguments.get(at + 1).and_then(|value| value.parse::<u64>().ok()).expect("a number behind the option"))
    };
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("load average {}", load.trim());
    match given("--symbols") {
        Some(symbols) => {
            let (minutes, seconds) = (given("--minutes").unwrap_or(1000), given("--seconds").unwrap_or(240));
            let without = many::run(symbols as usize, minutes, seconds, None);
            if let Some(every) = given("--checkpoints") {
                let with = many::run(symbols as usize, minutes, seconds, Some(Duration::from_secs(every)));
                println!("throughput with checkpoints: {:.3} of that without", without / with);
            }
        }
        None => {
            let kept = [REACH, MEMORY_STEPS].map(memory);
            drop(kept);
            year(given("--steps").map_or(YEAR, |steps| steps as usize));
        }
    }
}
