//! One LSTM for all symbols: the job forecasts what symbols say that share a network by hand, on any number of workers; and a
//! state that is written and read back goes on with the same bits.

use crate::harness;
use crate::harness::{Workers, run_files};
use crate::series;
use crate::series::{Bar, MINUTE_MS, bars_of_returns};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use tickcast::config::{Config, Scope};
use tickcast::features::MARKET_INPUTS;
use tickcast::market::{FeatureRow, Forecast, Symbol, Timestamp};
use tickcast::model::forecaster::{Forecaster, StepResults};
use tickcast::model::pool::Pool;
use tickcast::model::scratch::LearnerScratch;
use tickcast::model::settings::ForecasterConfig;
use tickcast::model::state::StateError;

const MINUTES: usize = 900;
/// Longer than the longest horizon: nothing is waited for in the end.
const REST: std::ops::Range<usize> = 600..700;

fn config() -> ForecasterConfig {
    let mut config = series::config();
    config.job = Config::default().job.id.as_str().into();
    config.parts.market = false;
    config.pooled = true;
    config
}

/// Three names; of two or four workers, one has the third alone.
fn names() -> [Symbol; 3] {
    let names = || ('A'..='Z').map(|letter| Symbol::new(&format!("{letter}{letter}{letter}")).unwrap());
    let mut even = names().filter(|name| name.route() % 2 == 0);
    let odd = names().find(|name| name.route() % 2 == 1).unwrap();
    [even.next().unwrap(), even.next().unwrap(), odd]
}

/// Three symbols whose volatility comes in waves. The third rests, and comes back at an epoch's end: its worker had nothing to
/// do until then, and must have learnt what the others taught it before it contributes again.
fn three_symbols() -> BTreeMap<Symbol, Vec<Bar>> {
    let bars = |place: usize| {
        let change = |minute: usize| {
            let at = (minute * (place + 1)) as f64;
            0.001 * (at * 1.7).sin() * (at * 0.031).cos().exp()
        };
        let bars = bars_of_returns(&(0..MINUTES).map(change).collect::<Vec<_>>()).into_iter().enumerate();
        bars.filter(|(minute, _)| place < 2 || !REST.contains(minute)).map(|(_, bar)| bar).collect()
    };
    names().into_iter().enumerate().map(|(place, name)| (name, bars(place))).collect()
}

/// Forecasters that share a network, without a dataflow around them.
struct Group {
    config: Rc<ForecasterConfig>,
    forecasters: BTreeMap<Symbol, Forecaster>,
    pool: Pool,
    scratch: LearnerScratch,
    forecasts: Vec<Forecast>,
}

impl Group {
    fn new() -> Self {
        let config = Rc::new(config());
        Self {
            forecasters: BTreeMap::new(),
            pool: Pool::new(&config).unwrap(),
            scratch: LearnerScratch::new(&config.learner),
            forecasts: Vec::new(),
            config,
        }
    }

    fn step(&mut self, at: Timestamp, bars: &[(Symbol, Bar)]) {
        let mut results = StepResults::default();
        for (symbol, _) in bars {
            let new = || Forecaster::new(Rc::clone(&self.config), symbol.clone()).unwrap();
            self.forecasters.entry(symbol.clone()).or_insert_with(new);
        }
        for (symbol, forecaster) in &mut self.forecasters {
            let row = bars.iter().find(|(of, _)| of == symbol).map(|(_, (end, bar))| {
                let (symbol, windows) = (symbol.clone(), Box::new([]));
                FeatureRow { symbol, end: *end, windows, bar: Some(*bar), last_price: bar.close }
            });
            if row.is_some() || forecaster.awaits_scores() {
                let (market, pool) = ([0.0; MARKET_INPUTS], Some(&mut self.pool));
                forecaster.close(at, row.as_ref(), &market, &mut self.scratch, pool, &mut results);
            }
        }
        let total = self.pool.take_sum();
        self.pool.learn(at, &total, &mut self.scratch);
        for (symbol, _) in bars {
            let forecaster = self.forecasters.get_mut(symbol).unwrap();
            forecaster.issue(at, &mut self.scratch, Some(&mut self.pool), &mut results);
        }
        self.forecasts.append(&mut results.forecasts);
    }

    fn state(&self) -> Vec<Vec<u8>> {
        let mut states = vec![Vec::new()];
        self.pool.write_state(&self.config, &mut states[0]).unwrap();
        for forecaster in self.forecasters.values() {
            states.push(Vec::new());
            forecaster.write_state(states.last_mut().unwrap()).unwrap();
        }
        states
    }

    fn read(states: &[Vec<u8>]) -> Self {
        let mut group = Self::new();
        group.pool = Pool::read_state(&group.config, &states[0]).unwrap();
        for state in &states[1..] {
            let forecaster = Forecaster::read_state(Rc::clone(&group.config), state).unwrap();
            group.forecasters.insert(forecaster.symbol().clone(), forecaster);
        }
        group
    }
}

/// All bars by the end of their step.
fn steps() -> BTreeMap<Timestamp, Vec<(Symbol, Bar)>> {
    let mut steps: BTreeMap<Timestamp, Vec<(Symbol, Bar)>> = BTreeMap::new();
    for (symbol, bars) in three_symbols() {
        bars.into_iter().for_each(|bar| steps.entry(bar.0).or_default().push((symbol.clone(), bar)));
    }
    steps
}

/// The bars as one tick each, in the middle of its minute.
fn write_ticks(dir: &Path) -> PathBuf {
    let mut text = "timestamp,symbol,price,size\n".to_owned();
    for (symbol, (end, bar)) in steps().into_values().flatten() {
        let (at, price) = (end.millis() - MINUTE_MS / 2, bar.close.raw());
        text += &format!("{at},{symbol},{}.{:08},1\n", price / 100_000_000, price % 100_000_000);
    }
    let path = dir.join("ticks.csv");
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn the_job_forecasts_what_a_group_forecasts_by_hand() {
    let dir = tempfile::tempdir().unwrap();
    let ticks = write_ticks(dir.path());
    let mut group = Group::new();
    steps().iter().for_each(|(at, bars)| group.step(*at, bars));
    let last = group.forecasts.last().unwrap().model;
    assert!(last.version > 80 && last.loss.is_some_and(f64::is_finite), "{last:?}");
    let of_third = group.forecasts.iter().filter(|f| f.symbol == names()[2]);
    let versions: Vec<u64> = of_third.map(|f| f.model.version).collect();
    assert!(versions.windows(2).any(|pair| pair[1] - pair[0] > 15), "the third came back to a network that had learnt");

    let mut config = Config::default();
    config.time.slide = "1m".parse().unwrap();
    // A row wherever there is a tick.
    config.time.windows = vec!["1m".parse().unwrap()];
    config.model.scope = Scope::Pooled;
    config.model.experts.market = false;
    for (count, serialised) in [(1, false), (2, false), (4, false), (3, true)] {
        let published = run_files(&config, Workers { count, serialised }, std::slice::from_ref(&ticks), None);
        assert_eq!(published.batch.forecasts.len(), group.forecasts.len());
        let differs = published.batch.forecasts.iter().zip(&group.forecasts).find(|(a, b)| a != b);
        assert!(differs.is_none(), "{count} workers: {differs:?}");
    }
    config.model.scope = Scope::Symbol;
    let alone = run_files(&config, harness::ONE, &[ticks], None);
    assert!(alone.batch.forecasts != group.forecasts, "networks of their own forecast something else");
}

#[test]
fn a_state_that_is_read_back_goes_on_with_the_same_bits() {
    let steps: Vec<_> = steps().into_iter().collect();
    // Not the end of an epoch.
    let (before, after) = steps.split_at(703);
    let mut group = Group::new();
    before.iter().for_each(|(at, bars)| group.step(*at, bars));
    let mut read = Group::read(&group.state());
    group.forecasts.clear();
    for (at, bars) in after {
        group.step(*at, bars);
        read.step(*at, bars);
    }
    assert!(read.forecasts == group.forecasts);
    assert!(read.state() == group.state());
}

#[test]
fn states_are_not_mistaken_for_one_another() {
    let (mut group, mut states) = (Group::new(), Vec::new());
    steps().iter().take(3).for_each(|(at, bars)| group.step(*at, bars));
    states.extend(group.state());
    assert_eq!(Pool::read_state(&group.config, &states[1]).unwrap_err(), StateError::Foreign);
    let alone = ForecasterConfig { pooled: false, ..config() };
    assert_eq!(Pool::read_state(&alone, &states[0]).unwrap_err(), StateError::Configuration);
    assert_eq!(Forecaster::read_state(Rc::new(alone), &states[1]).unwrap_err(), StateError::Configuration);
}
