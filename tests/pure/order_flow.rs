//! Recorded trades, second by second: where the price goes in ten seconds, and what the flow of orders adds to it.

use crate::series;
use crate::series::{Bar, Run};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use tickcast::market::{Fixed, Ohlcv, Side, Span, Timestamp};
use tickcast::model::settings::ForecasterConfig;

const FILE: &str = "trades/trades_xbtusd_bitmex_20180101_20180105_1M.csv.zst";
const STEP_MS: i64 = 1000;
/// Points left out at the start.
const SKIPPED: usize = 1440;

/// Bars of one second, from trades in their order.
fn bars() -> Option<Vec<Bar>> {
    let file = std::fs::File::open(series::data()?.join(FILE)).unwrap();
    let mut bars: Vec<Bar> = Vec::new();
    for line in BufReader::new(zstd::Decoder::new(file).unwrap()).lines().skip(1) {
        let line = line.unwrap();
        let fields: Vec<&str> = line.split(',').collect();
        let [at, price, size, side] = fields[..] else { panic!("{line}") };
        let number = |text: &str| Fixed::parse(text.as_bytes()).unwrap();
        let side = if side == "buy" { Side::Buy } else { Side::Sell };
        let tick = Ohlcv::of_tick(number(price), number(size), Some(side));
        let end = Timestamp::from_millis((at.parse::<i64>().unwrap() / STEP_MS + 1) * STEP_MS);
        match bars.last_mut() {
            Some((last, bar)) if *last == end => bar.append(&tick),
            _ => bars.push((end, tick)),
        }
    }
    Some(bars)
}

/// The default recipe on seconds; the LSTM learns once a minute, so that the test takes seconds.
fn config(horizons: &[&str]) -> ForecasterConfig {
    let mut config = series::config();
    config.step = Span::from_millis(STEP_MS);
    config.epoch = "1m".parse().unwrap();
    config.horizons = horizons.iter().map(|text| text.parse().unwrap()).collect();
    config.learner.horizons = config.horizons.len();
    config.learner.epoch_steps = 60;
    config
}

/// Which points are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Points {
    /// A trade in the second of the issue and in that of the target.
    Both,
    /// A trade in the second of the issue; the target is the last known price.
    Issue,
    /// Every second.
    All,
}

/// What published medians are worth.
struct Worth {
    count: usize,
    /// Share of the squared returns that they explain.
    r2: f64,
    /// Share of right directions where neither is 0.
    direction: f64,
    coverage: f64,
}

/// A forecast: whether a trade came in its second, the log return it says, the price it starts from, the interval.
struct Said {
    present: bool,
    median: f64,
    interval: [f64; 2],
    last: f64,
}

/// By horizon in steps and second.
fn forecast(config: &ForecasterConfig, bars: &[Bar]) -> BTreeMap<i64, Vec<Said>> {
    let mut run = Run::new(config);
    let mut all: BTreeMap<i64, Vec<Said>> = BTreeMap::new();
    for bar in bars {
        run.bar(*bar);
        run.all.scores.clear();
        for f in run.all.forecasts.drain(..) {
            let last = f.last_price.to_f64();
            all.entry(f.horizon.millis() / STEP_MS).or_default().push(Said {
                present: f.issued_at == bar.0,
                median: (f.price / last).ln(),
                interval: [f.interval.lower, f.interval.upper],
                last,
            });
        }
    }
    all
}

fn judge(said: &[Said], steps: usize, points: Points) -> Worth {
    let pairs = said.iter().zip(&said[steps..]);
    let chosen = pairs.filter(|(issue, target)| match points {
        Points::Both => issue.present && target.present,
        Points::Issue => issue.present,
        Points::All => true,
    });
    let (mut count, mut squares, mut errors, mut moves, mut right, mut covered) = (0, 0.0, 0.0, 0, 0, 0);
    for (issue, target) in chosen.skip(SKIPPED) {
        let actual = (target.last / issue.last).ln();
        count += 1;
        squares += actual * actual;
        errors += (actual - issue.median).powi(2);
        covered += u32::from((issue.interval[0]..=issue.interval[1]).contains(&target.last));
        if actual != 0.0 && issue.median != 0.0 {
            moves += 1;
            right += u32::from((actual > 0.0) == (issue.median > 0.0));
        }
    }
    Worth {
        count,
        r2: 1.0 - errors / squares,
        direction: f64::from(right) / f64::from(moves),
        coverage: f64::from(covered) / count as f64,
    }
}

#[test]
fn the_flow_of_orders_tells_where_the_price_goes() {
    let Some(bars) = bars() else { return };
    let seconds = (bars[bars.len() - 1].0.millis() - bars[0].0.millis()) / STEP_MS + 1;
    println!("{} seconds, {:.1} % with trades", seconds, bars.len() as f64 / seconds as f64 * 100.0);
    let horizons = std::env::var("TICKCAST_TEST_HORIZONS").unwrap_or_else(|_| "10s".to_owned());
    let mut r2 = Vec::new();
    for flow in [true, false] {
        let mut config = config(&horizons.split(',').collect::<Vec<_>>());
        config.parts.flow = flow;
        for (steps, said) in forecast(&config, &bars) {
            assert_eq!(said.len() as i64, seconds);
            for points in [Points::Both, Points::Issue, Points::All] {
                let worth = judge(&said, steps as usize, points);
                println!(
                    "{} flow, {steps} s, {points:?}: R2 {:.4}, direction {:.3}, coverage {:.3}, {} points",
                    if flow { "with" } else { "without" },
                    worth.r2,
                    worth.direction,
                    worth.coverage,
                    worth.count
                );
                if steps == 10 && points == Points::Both {
                    assert!(!flow || worth.r2 >= 0.045 && worth.direction >= 0.59, "{}, {}", worth.r2, worth.direction);
                    assert!((worth.coverage - 0.9).abs() < 0.015, "{}", worth.coverage);
                    r2.push(worth.r2);
                }
            }
        }
    }
    assert!(r2.len() < 2 || r2[0] > r2[1] + 0.015, "the flow adds to it: {r2:?}");
}
