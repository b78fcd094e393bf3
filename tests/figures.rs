//! What the forecasts are worth on real data, judged as the recipe's figures are.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::print_stderr)]

mod series;

use series::{Bar, MarketSteps};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;
use tickcast::market::forecast::{EXPERT_NAMES, EXPERTS, LEVELS};
use tickcast::model::forecaster::ForecasterConfig;

const HORIZONS: [i64; 4] = [1, 5, 15, 60];
/// Points left out at the start.
const SKIPPED: usize = 1440;

/// One horizon's figures.
#[derive(Debug, Default)]
struct Figures {
    count: usize,
    pinball: f64,
    coverage: f64,
    mae: f64,
    terciles: [f64; 3],
    experts: [f64; EXPERTS],
}

fn pinball(quantiles: &[f64; 5], actual: f64) -> f64 {
    let losses = LEVELS.iter().zip(quantiles).map(|(level, q)| {
        let gap = actual - q;
        (level * gap).max((level - 1.0) * gap)
    });
    losses.sum::<f64>() / 5.0
}

/// Only points with a bar at the issue and at the target, from the 1,441st on.
fn judge(bars: &[Bar], market: MarketSteps, config: &ForecasterConfig) -> Vec<Figures> {
    let (forecasts, scores) = series::run_in(config, bars, market);
    let closes: BTreeMap<i64, f64> = bars.iter().map(|(end, bar)| (end.millis(), bar.close.to_f64())).collect();
    let scores: BTreeMap<_, _> =
        scores.iter().filter_map(|s| Some(((s.target_at.millis(), s.horizon), s.outcome.as_ref()?))).collect();
    let figures = |steps: i64| {
        let points: Vec<_> = forecasts
            .iter()
            .filter(|f| f.horizon.millis() == steps * series::MINUTE_MS)
            .filter(|f| closes.contains_key(&f.issued_at.millis()))
            .filter_map(|f| Some((f, *closes.get(&f.target_at.millis())?)))
            .skip(SKIPPED)
            .collect();
        let (mut sums, mut naive, mut naive_error) = (Figures { count: points.len(), ..Figures::default() }, 0.0, 0.0);
        let mut covered = Vec::new();
        for (f, actual) in &points {
            let outcome = scores[&(f.target_at.millis(), f.horizon)];
            sums.pinball += pinball(&f.quantiles, *actual);
            naive += outcome.naive_pinball;
            sums.mae += (actual - f.price).abs();
            naive_error += (actual - f.last_price.to_f64()).abs();
            let inside = (f.quantiles[0]..=f.quantiles[4]).contains(actual);
            covered.push((outcome.experts[0], outcome.naive_pinball, inside));
            for (sum, expert) in sums.experts.iter_mut().zip(outcome.experts) {
                *sum += expert.unwrap_or(0.0);
            }
        }
        sums.coverage = covered.iter().filter(|c| c.2).count() as f64 / points.len() as f64;
        sums.pinball /= naive;
        sums.mae /= naive_error;
        sums.experts.iter_mut().for_each(|expert| *expert /= naive);
        sums
    };
    HORIZONS.into_iter().map(figures).collect()
}

fn line(figures: &[Figures], of: impl Fn(&Figures) -> f64, digits: usize) -> String {
    figures.iter().map(|f| format!("{:.digits$}", of(f)).replacen("0.", ".", 1)).collect::<Vec<_>>().join(" ")
}

/// `TICKCAST_TEST_SETS` chooses: `dev`, `multi9:ETHUSDT`, with commas between; `TICKCAST_TEST_OFF` switches experts off.
#[test]
fn figures_on_real_data() {
    if series::data().is_none() {
        return;
    }
    let chosen = std::env::var("TICKCAST_TEST_SETS").unwrap_or_else(|_| "dev".to_owned());
    let mut config = series::config();
    for off in std::env::var("TICKCAST_TEST_OFF").unwrap_or_default().split(',').filter(|name| !name.is_empty()) {
        match off {
            "gate" => config.parts.median_gate = false,
            "market" => config.parts.market = false,
            "flow" => config.parts.flow = false,
            "intervals" => config.parts.interval_control = false,
            _ => config.parts.experts[EXPERT_NAMES.iter().position(|name| *name == off).unwrap()] = false,
        }
    }
    if let Ok(epoch) = std::env::var("TICKCAST_TEST_EPOCH") {
        config.epoch = epoch.parse().unwrap();
        config.learner.epoch_steps = config.epoch.in_units_of(config.step).unwrap() as usize;
    }
    if let Ok(seed) = std::env::var("TICKCAST_TEST_SEED") {
        config.learner.random_seed = seed.parse().unwrap();
    }
    let mut work = Vec::new();
    for item in chosen.split(',') {
        let (set, symbol) = item.split_once(':').map_or((item, None), |(set, symbol)| (set, Some(symbol)));
        let all = series::load(set).unwrap();
        let market = if config.parts.market { series::market_of(&all) } else { MarketSteps::new() };
        let series = all.into_iter().filter(|(name, _)| symbol.is_none_or(|s| s == name));
        work.extend(series.map(|(name, bars)| (format!("{set} {name}"), bars, market.clone())));
    }
    let work = Arc::new(Mutex::new(work.into_iter().enumerate().rev().collect::<Vec<_>>()));
    let done = Arc::new(Mutex::new(BTreeMap::new()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let Some((place, (name, bars, market))) = work.lock().unwrap().pop() else { break };
                    let start = Instant::now();
                    let figures = judge(&bars, market, &config);
                    let seconds = start.elapsed().as_secs_f64();
                    let pinball = line(&figures, |f| f.pinball, 4);
                    let coverage =
                        figures.iter().map(|f| format!("{:.1}", f.coverage * 100.0)).collect::<Vec<_>>().join(" ");
                    let mae = line(&figures, |f| f.mae, 4);
                    let mut text = format!(
                        "{name:<16} pinball {pinball} | coverage {coverage} | MAE {mae} | {} bars, {seconds:.1} s\n",
                        bars.len()
                    );
                    if std::env::var_os("TICKCAST_TEST_EXPERTS").is_some() {
                        for (at, expert) in EXPERT_NAMES.iter().enumerate() {
                            text += &format!("    {expert:<20} {}\n", line(&figures, |f| f.experts[at], 4));
                        }
                    }
                    println!("{text}");
                    done.lock().unwrap().insert(place, (name, figures));
                }
            });
        }
    });
}
