//! Series whose best forecast is known: what the model gains of it, and how soon after a change.

use crate::series;
use crate::series::{DAY, Run, bars_of_returns, config, run};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rand_distr::{Distribution, StandardNormal};
use tickcast::market::{Fixed, Forecast, Ohlcv, Status, Timestamp};

const SIGMA: f64 = 1e-3;

fn normal(rng: &mut ChaCha8Rng) -> f64 {
    StandardNormal.sample(rng)
}

/// Shares of the oracle's gain in squared error one step ahead, after two days.
struct Share {
    /// By the errors themselves: the noise that nobody can know has a say in it.
    observed: f64,
    /// By the distances of the forecasts to the oracle's: free of that noise.
    expected: f64,
}

/// `oracle`: what is best forecast of each log return.
fn share_of_gain(returns: &[f64], oracle: &[f64]) -> Share {
    let (forecasts, _) = run(&config(), &bars_of_returns(returns));
    let one_step: Vec<&Forecast> = forecasts.iter().filter(|f| f.horizon.millis() == 60_000).collect();
    let (mut model, mut naive, mut best, mut apart, mut known) = (0.0, 0.0, 0.0, 0.0, 0.0);
    // Forecast number n was issued after return n, and is of return n + 1.
    for n in 2 * DAY..returns.len() - 1 {
        let predicted = (one_step[n].price / one_step[n].last_price.to_f64()).ln();
        let (actual, oracle) = (returns[n + 1], oracle[n + 1]);
        model += (actual - predicted).powi(2);
        naive += actual.powi(2);
        best += (actual - oracle).powi(2);
        apart += (oracle - predicted).powi(2);
        known += oracle.powi(2);
    }
    Share { observed: (naive - model) / (naive - best), expected: 1.0 - apart / known }
}

/// The goal is 95 %, which the mean reaches once the noise is out: over the errors of a day it moves a share by some 4 %.
#[test]
fn most_of_the_oracles_gain_on_ar1_after_two_days() {
    let mut shares = Vec::new();
    for seed in 1..=3 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut returns = vec![0.0_f64];
        let mut oracle = vec![0.0];
        for _ in 1..3 * DAY {
            let expected = 0.5 * returns[returns.len() - 1];
            oracle.push(expected);
            returns.push(expected + SIGMA * normal(&mut rng));
        }
        let share = share_of_gain(&returns, &oracle);
        println!(
            "AR(1), seed {seed}: {:.1} % of the oracle's gain in squared error, {:.1} % without the noise",
            share.observed * 100.0,
            share.expected * 100.0
        );
        shares.push(share);
    }
    let mean = |of: fn(&Share) -> f64| shares.iter().map(of).sum::<f64>() / shares.len() as f64;
    println!("AR(1): {:.1} %, {:.1} % in the mean", mean(|s| s.observed) * 100.0, mean(|s| s.expected) * 100.0);
    assert!(shares.iter().all(|share| share.observed >= 0.9 && share.expected >= 0.93));
    assert!(mean(|s| s.expected) >= 0.95);
}

#[test]
fn a_sine_with_noise_is_found() {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let wave = |minute: usize| SIGMA * (minute as f64 * std::f64::consts::TAU / 12.0).sin();
    let oracle: Vec<f64> = (0..3 * DAY).map(wave).collect();
    let returns: Vec<f64> = oracle.iter().map(|expected| expected + SIGMA * normal(&mut rng)).collect();
    let Share { observed, expected } = share_of_gain(&returns, &oracle);
    println!(
        "sine with noise: {:.1} % of the oracle's gain in squared error, {:.1} % without the noise",
        observed * 100.0,
        expected * 100.0
    );
    assert!(observed >= 0.7 && expected >= 0.7, "{observed} {expected}");
}

/// Days at which the series changes: three times the volatility, back again, and a location that turns round.
const SWITCHES: [(usize, &str); 3] = [(3, "volatility x 3"), (6, "volatility / 3"), (9, "phi .5 to -.5")];
const SWITCH_SEEDS: u64 = 16;

/// Hits and forecasts by switch, horizon and day after the switch; and after how many minutes the drift detector saw it, where
/// it did within a day.
#[derive(Default)]
struct AfterSwitch {
    covered: [[[u32; 3]; 4]; 3],
    count: [[[u32; 3]; 4]; 3],
    seen: [Vec<i64>; 3],
    /// Changes found on the three days before the first switch.
    false_alarms: u64,
}

impl AfterSwitch {
    fn add(&mut self, seed: u64) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut returns = vec![0.0_f64];
        for minute in 1..12 * DAY {
            let day = minute / DAY;
            let (phi, sigma) = (if day < 9 { 0.5 } else { -0.5 }, if (3..6).contains(&day) { 3.0 } else { 1.0 });
            returns.push(phi * returns[minute - 1] + sigma * SIGMA * normal(&mut rng));
        }
        let bars = bars_of_returns(&returns);
        let config = config();
        let (forecasts, scores) = run(&config, &bars);
        let minute = |at: Timestamp| (at.millis() - bars[0].0.millis()) / series::MINUTE_MS;
        for score in &scores {
            let place = config.horizons.iter().position(|span| *span == score.horizon).unwrap();
            for (switch, (day, _)) in SWITCHES.iter().enumerate() {
                let after = minute(score.target_at) - (day * DAY) as i64;
                if (0..3 * DAY as i64).contains(&after) {
                    let day = after as usize / DAY;
                    self.count[switch][place][day] += 1;
                    self.covered[switch][place][day] += u32::from(score.outcome.as_ref().unwrap().covered);
                }
            }
        }
        let before = forecasts.iter().take(4 * 3 * DAY).filter(|f| f.horizon.millis() == series::MINUTE_MS);
        self.false_alarms += before.map(|f| f.drift.changes).max().unwrap();
        for (switch, (day, _)) in SWITCHES.iter().enumerate() {
            let after = |f: &Forecast| f.drift.changed_at.map_or(-1, |at| minute(at) - (day * DAY) as i64);
            let one_step = forecasts.iter().filter(|f| f.horizon.millis() == series::MINUTE_MS);
            self.seen[switch].extend(one_step.map(after).find(|after| (0..DAY as i64).contains(after)));
        }
    }
}

/// Over the third day after a switch of the volatility the coverage is 90 ± 2 % at every horizon, over all seeds: the 24 hours of
/// one say little about an hour ahead.
#[test]
fn intervals_recover_from_a_switch_and_its_location_is_noticed() {
    let mut after = AfterSwitch::default();
    (1..=SWITCH_SEEDS).for_each(|seed| after.add(seed));
    for (switch, (_, name)) in SWITCHES.iter().enumerate() {
        for (place, horizon) in config().horizons.iter().enumerate() {
            let share =
                |day: usize| f64::from(after.covered[switch][place][day]) / f64::from(after.count[switch][place][day]);
            println!("{name}, {horizon}: coverage {:.3}, {:.3}, {:.3} on the days after", share(0), share(1), share(2));
            // Once the location has turned round, five minutes and more move a third as far as before, while single minutes move
            // as ever: long intervals, which learn slowly, stay too wide for days. Too narrow they must not be.
            let too_wide = if switch < 2 || place == 0 { 0.02 } else { 0.1 };
            assert!((-0.02..=too_wide).contains(&(share(2) - 0.9)), "{name}, {horizon}: {}", share(2));
        }
        let seen = &mut after.seen[switch];
        seen.sort_unstable();
        let median = seen.get(seen.len() / 2);
        println!("{name}: noticed within a day in {} of {SWITCH_SEEDS}, median {median:?} minutes", seen.len());
    }
    println!("{} changes found in {SWITCH_SEEDS} times three days before the first switch", after.false_alarms);
    assert!(after.false_alarms <= 2);
    assert_eq!(after.seen[2].len(), SWITCH_SEEDS as usize, "the switch of the location is noticed");
}

/// After a quiet so long that everything is forgotten, the hole is seen all the same, and nothing stale is used.
#[test]
fn a_hole_longer_than_the_memory_is_still_a_hole() {
    let mut run = Run::new(&config());
    let mut step = |minute: i64, present: bool| {
        let price = Fixed::from_raw(100_000_000 * (100 + minute % 3));
        let end = Timestamp::from_millis(1_700_000_040_000 + 60_000 * minute);
        if present {
            run.row(end, Some(Ohlcv::of_tick(price, Fixed::from_raw(100_000_000), None)), price);
        } else {
            run.no_row(end);
        }
        std::mem::take(&mut run.all.forecasts).pop()
    };
    let before: Vec<Forecast> = (0..40).filter_map(|minute| step(minute, true)).collect();
    assert_eq!(before.last().unwrap().status, Status::Ok);
    // Until the last forecast has come due; from then on steps are left out.
    assert!((40..100).all(|minute| step(minute, false).is_none()));
    let after: Vec<Forecast> = (30_000..30_040).filter_map(|minute| step(minute, true)).collect();
    for (place, forecast) in after.iter().enumerate() {
        // Fewer than five absent steps are left in the sequence after 12 present ones.
        let expected = if place < 11 { Status::Abstain } else { Status::Ok };
        assert_eq!((forecast.status, forecast.reasons.gap), (expected, place < 11), "step {place} after the hole");
    }
}

/// Examples wait for the labels of the longest horizon: however long it is, the LSTM has something to learn from.
#[test]
fn the_lstm_trains_with_a_horizon_of_a_week() {
    let mut config = config();
    config.horizons = ["1m", "7d"].map(|text| text.parse().unwrap()).to_vec();
    config.learner.horizons = 2;
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let returns: Vec<f64> = (0..8 * DAY).map(|_| 1e-3 * normal(&mut rng)).collect();
    let (forecasts, _) = run(&config, &bars_of_returns(&returns));
    let last = forecasts.last().unwrap();
    // 10,080 steps for the first labels, 136 + 256 for the first examples; then once in five.
    assert!((190..=220).contains(&last.model.version), "{:?}", last.model);
    assert!(forecasts.iter().all(|f| f.price.is_finite() && f.quantiles.is_sorted()));
}
