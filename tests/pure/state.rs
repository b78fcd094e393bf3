//! A symbol's state as bytes: what is read back goes on with the same bits, and what is not a state does no harm.

use crate::allocations::asked_by;
use crate::series::{MINUTE_MS, config};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rand_distr::{Distribution, StandardNormal};
use std::rc::Rc;
use tickcast::features::MARKET_INPUTS;
use tickcast::market::{FeatureRow, Fixed, Ohlcv, Symbol, Timestamp};
use tickcast::model::forecaster::{Forecaster, StepResults};
use tickcast::model::scratch::LearnerScratch;
use tickcast::model::settings::ForecasterConfig;
use tickcast::model::state::{STATE_VERSION, StateError};

/// No state asks for more than this in one piece.
const PIECE_MAX: usize = 16 << 20;

/// The end of a step, and its row where there is one.
type Step = (Timestamp, Option<FeatureRow>);

/// Minutes with a volatility and a location that change; with `holes` single ones, a longer one, and an outage from 2,600 on.
fn steps(count: i64, holes: bool) -> Vec<Step> {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let mut normal = || -> f64 { StandardNormal.sample(&mut rng) };
    let (mut log_price, mut change, mut last_price, mut last_tick) = (9.0, 0.0, Fixed::ZERO, i64::MIN / 2);
    let mut step = |minute: i64| {
        let phi = if minute < 1500 { 0.5 } else { -0.6 };
        change = phi * change + 1e-3 * normal() * if minute % 1000 < 700 { 1.0 } else { 3.0 };
        log_price += change;
        let spread = (1e-3 * normal()).abs();
        let outage = (2600..2884).contains(&minute) || (700..709).contains(&minute);
        let absent = outage || minute < 3 || minute % 13 == 5;
        let bar = (!holes || !absent).then(|| {
            let price = |log: f64| Fixed::from_raw((log.exp() * 1e8).round() as i64);
            let mut bar = Ohlcv::of_tick(price(log_price), Fixed::from_raw(100_000_000 * (1 + minute % 7)), None);
            (bar.high, bar.low) = (price(log_price + spread), price(log_price - spread / 2.0));
            bar
        });
        if let Some(bar) = &bar {
            (last_price, last_tick) = (bar.close, minute);
        }
        let end = Timestamp::from_millis(1_700_000_040_000 + MINUTE_MS * minute);
        let symbol = Symbol::new("X").unwrap();
        let row = FeatureRow { symbol, end, windows: Box::new([]), bar, last_price };
        (end, (minute - last_tick < 60).then_some(row))
    };
    (0..count).map(&mut step).collect()
}

/// A forecaster and the memory that it shares with others.
struct Running {
    forecaster: Forecaster,
    scratch: LearnerScratch,
}

impl Running {
    fn new(config: &ForecasterConfig) -> Self {
        let forecaster = Forecaster::new(Rc::new(config.clone()), Symbol::new("X").unwrap()).unwrap();
        Self { forecaster, scratch: LearnerScratch::new(&config.learner) }
    }

    fn step(&mut self, (end, row): &Step) -> StepResults {
        let mut results = StepResults::default();
        self.forecaster.step(*end, row.as_ref(), &[0.0; MARKET_INPUTS], &mut self.scratch, &mut results);
        results
    }

    fn written(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.forecaster.write_state(&mut bytes).unwrap();
        bytes
    }

    /// What goes on from bytes, with memory of its own.
    fn read(config: &ForecasterConfig, bytes: &[u8]) -> Result<Self, StateError> {
        let forecaster = Forecaster::read_state(Rc::new(config.clone()), bytes)?;
        Ok(Self { forecaster, scratch: LearnerScratch::new(&config.learner) })
    }
}

/// All bits of what a step gave: `{:?}` tells -0 from 0, and every other number from every other.
fn bits(results: &StepResults) -> String {
    format!("{:?} {:?}", results.forecasts, results.scores)
}

fn states_after(config: &ForecasterConfig, steps: &[Step], places: &[usize]) -> Vec<Vec<u8>> {
    let mut running = Running::new(config);
    let mut states = Vec::new();
    for (place, step) in steps.iter().enumerate() {
        if places.contains(&place) {
            states.push(running.written());
        }
        running.step(step);
    }
    states
}

/// Cut before anything came, before any label, before the first training, right after a change was found, within holes that do
/// and do not empty the row, after the outage, and late.
#[test]
fn what_is_read_back_goes_on_with_the_same_bits() {
    let mut other = config();
    other.coverage = 0.8;
    for (config, name) in [(config(), "default"), (other, "coverage of 80 %")] {
        let steps = steps(3500, true);
        let mut running = Running::new(&config);
        let (mut states, mut results) = (Vec::new(), Vec::new());
        let mut drifted = None;
        let places = [0, 1, 3, 4, 5, 100, 250, 706, 2000, 2603, 2630, 2700, 2883, 2890, 3400];
        for (place, step) in steps.iter().enumerate() {
            if places.contains(&place) || drifted == Some(place) {
                states.push((place, running.written()));
            }
            let result = running.step(step);
            if drifted.is_none() && result.forecasts.iter().any(|f| f.drift.changes > 0) {
                drifted = Some(place + 1);
            }
            results.push(bits(&result));
        }
        let last = running.written();
        assert!(drifted.is_some_and(|place| place < 3400), "no change was found: {drifted:?}");
        assert!(results[300..].iter().any(|bits| bits.contains("Abstain")));
        println!(
            "{name}: {} cuts, the first change found at {drifted:?}, {} bytes at the end",
            states.len(),
            last.len()
        );
        for (place, state) in states {
            let mut resumed = Running::read(&config, &state).unwrap();
            assert!(resumed.written() == state, "reading changes nothing, at {place}");
            for (step, expected) in steps.iter().zip(&results).skip(place) {
                assert!(bits(&resumed.step(step)) == *expected, "cut at {place}, at {:?}", step.0);
            }
            assert!(resumed.written() == last, "the state at the end, cut at {place}");
        }
    }
}

fn error(config: &ForecasterConfig, bytes: &[u8]) -> StateError {
    Running::read(config, bytes).err().expect("refused")
}

#[test]
fn what_is_not_a_state_of_this_configuration_is_refused() {
    let (config, steps) = (config(), steps(600, true));
    let state = states_after(&config, &steps, &[599]).pop().unwrap();
    type Change = fn(&mut ForecasterConfig);
    let changes: [(&str, Change); 10] = [
        ("step", |c| c.step = "30s".parse().unwrap()),
        ("epoch", |c| c.epoch = "10m".parse().unwrap()),
        ("horizons", |c| c.horizons[3] = "2h".parse().unwrap()),
        ("coverage", |c| c.coverage = 0.8),
        ("expert", |c| c.parts.experts[0] = false),
        ("gate", |c| c.parts.median_gate = false),
        ("prior", |c| c.parts.prior = false),
        ("hidden", |c| c.learner.hidden = 16),
        ("steps", |c| c.learner.steps = 8),
        ("seed", |c| c.learner.random_seed = 43),
    ];
    for (name, change) in changes {
        let mut other = config.clone();
        change(&mut other);
        assert_eq!(error(&other, &state), StateError::Configuration, "{name}");
    }
    let mut renamed = config.clone();
    renamed.job = "other".into();
    assert!(Running::read(&renamed, &state).is_ok(), "the job's name is no part of it");

    let mut foreign = state.clone();
    foreign[0] = b'X';
    assert_eq!(error(&config, &foreign), StateError::Foreign);
    assert_eq!(error(&config, b""), StateError::Foreign);
    let mut version = state.clone();
    version[3] += 1;
    assert_eq!(error(&config, &version), StateError::Version { found: STATE_VERSION + 1 });
    for place in (0..20).chain((20..state.len()).step_by(997)).chain(state.len() - 20..state.len()) {
        let found = error(&config, &state[..place]);
        assert!(matches!(found, StateError::Foreign | StateError::Damaged(_)), "cut at {place}: {found}");
    }
    let mut long = state.clone();
    long.extend_from_slice(b"more");
    assert!(matches!(error(&config, &long), StateError::Damaged(_)));
    println!("{}; {}", error(&config, &long), error(&config, &state[..state.len() / 2]));
}

/// Every byte of the head and of the first 2,000, and one in 211 of the rest, each changed in three ways.
#[test]
fn flipped_bytes_neither_panic_nor_take_memory() {
    let config = config();
    let state = states_after(&config, &steps(600, true), &[599]).pop().unwrap();
    let (mut refused, mut accepted) = (0, 0);
    let mut largest = 0;
    for place in (0..2000).chain((2000..state.len()).step_by(211)).chain(state.len() - 200..state.len()) {
        for flip in [0x01, 0x80, 0xff] {
            let mut flipped = state.clone();
            flipped[place] ^= flip;
            let (read, asked) = asked_by(|| Running::read(&config, &flipped));
            match read {
                Ok(_) => accepted += 1,
                Err(_) => refused += 1,
            }
            largest = largest.max(asked.largest_bytes);
            assert!(largest < PIECE_MAX, "{largest} bytes in one piece after a flip of {flip:#x} at {place}");
        }
    }
    println!("{refused} flips refused, {accepted} accepted, at most {largest} bytes in one piece");
}

/// Two weeks of minutes without a hole: more than is remembered.
#[test]
fn two_weeks_of_minutes_take_less_than_a_megabyte() {
    let config = config();
    let mut running = Running::new(&config);
    let mut largest = 0;
    let steps = steps(20_160, false);
    for (place, step) in steps.iter().enumerate() {
        running.step(step);
        if place % 1440 == 1439 {
            let bytes = running.written().len();
            println!("{} days: {bytes} bytes", (place + 1) / 1440);
            largest = largest.max(bytes);
        }
    }
    let bytes = running.written().len();
    println!("{} steps: {bytes} bytes", steps.len());
    assert!(largest.max(bytes) < 1_000_000);
}
