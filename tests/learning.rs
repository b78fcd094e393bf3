//! Series whose best forecast is known: what the model gains of it, and that it claims nothing where there is nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::print_stderr)]

mod series;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rand_distr::{Distribution, StandardNormal};
use series::{Run, bars_of_returns, config, run};
use tickcast::market::{Fixed, Forecast, Ohlcv, Score, Span, Status, Timestamp};

const DAY: usize = 1440;

fn forecast_all(returns: &[f64]) -> (Vec<Forecast>, Vec<Score>) {
    run(&config(), &bars_of_returns(returns))
}

fn normal(rng: &mut ChaCha8Rng) -> f64 {
    StandardNormal.sample(rng)
}

/// Scores one step ahead after two days, and the squared errors of (model, naive, oracle), given the oracle's forecast of each
/// log return.
fn squared_errors(returns: &[f64], oracle: &[f64]) -> (f64, f64, f64) {
    let (forecasts, _) = forecast_all(returns);
    let one_step: Vec<&Forecast> = forecasts.iter().filter(|f| f.horizon.millis() == 60_000).collect();
    let mut sums = (0.0, 0.0, 0.0);
    // Forecast number n was issued after return n, and is of return n + 1.
    for n in 2 * DAY..returns.len() - 1 {
        let predicted = (one_step[n].price / one_step[n].last_price.to_f64()).ln();
        let actual = returns[n + 1];
        sums.0 += (actual - predicted).powi(2);
        sums.1 += actual.powi(2);
        sums.2 += (actual - oracle[n + 1]).powi(2);
    }
    sums
}

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
            returns.push(expected + 1e-3 * normal(&mut rng));
        }
        let (model, naive, best) = squared_errors(&returns, &oracle);
        let share = (naive - model) / (naive - best);
        println!("AR(1), seed {seed}: {:.1} % of the oracle's gain in squared error", share * 100.0);
        shares.push(share);
    }
    assert!(shares.iter().all(|share| *share >= 0.8), "{shares:?}");
}

#[test]
fn a_sine_with_noise_is_found() {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let wave = |minute: usize| 1e-3 * (minute as f64 * std::f64::consts::TAU / 12.0).sin();
    let oracle: Vec<f64> = (0..3 * DAY).map(wave).collect();
    let returns: Vec<f64> = oracle.iter().map(|expected| expected + 1e-3 * normal(&mut rng)).collect();
    let (model, naive, best) = squared_errors(&returns, &oracle);
    let share = (naive - model) / (naive - best);
    println!("sine with noise: {:.1} % of the oracle's gain in squared error", share * 100.0);
    assert!(share >= 0.6, "{share}");
}

#[test]
fn nothing_is_claimed_on_a_random_walk() {
    for seed in 1..=3 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let returns: Vec<f64> = (0..4 * DAY).map(|_| 1e-3 * normal(&mut rng)).collect();
        let (forecasts, scores) = forecast_all(&returns);
        for horizon in ["1m", "5m", "15m", "1h"].map(|text| text.parse::<Span>().unwrap()) {
            let scored = scores.iter().filter(|s| s.horizon == horizon).filter_map(|s| s.outcome.as_ref());
            let (mut count, mut error, mut naive, mut covered) = (0, 0.0, 0.0, 0);
            for outcome in scored.skip(DAY) {
                count += 1;
                error += outcome.error.abs();
                naive += outcome.naive_error.abs();
                covered += u32::from(outcome.covered);
            }
            let (ratio, coverage) = (error / naive, f64::from(covered) / f64::from(count));
            println!("random walk, seed {seed}, {horizon}: MAE ratio {ratio:.4}, coverage {coverage:.3}");
            assert!(ratio <= 1.01, "seed {seed}, {horizon}: {ratio}");
            assert!((0.8..=0.97).contains(&coverage), "seed {seed}, {horizon}: {coverage}");
        }
        // One step ahead forecasts do not overlap, so that their evidence exceeds 20 in 1 of 20 random walks at most.
        let one_step = forecasts.iter().filter(|f| f.horizon.millis() == 60_000);
        let top = one_step.map(|f| f.skill.e_value).fold(0.0, f64::max);
        assert!(top < 20.0, "seed {seed}: evidence of {top} for nothing");
    }
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
