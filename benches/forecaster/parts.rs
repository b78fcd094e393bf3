//! A forecaster taken apart: the same steps by the same parts, each with its own clock. Its forecasts must be those of the
//! whole to the bit, else the figures would be of something else.

use crate::series::Minute;
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use tickcast::features::{BarStatistics, MARKET_INPUTS};
use tickcast::market::Symbol;
use tickcast::model::examples::Examples;
use tickcast::model::experts::Expert;
use tickcast::model::history::History;
use tickcast::model::horizon::{HorizonModel, Issued, Opinion, Step};
use tickcast::model::learner::Learner;
use tickcast::model::network::Network;
use tickcast::model::scale::Realised;
use tickcast::model::scratch::LearnerScratch;
use tickcast::model::settings::ForecasterConfig;
use tickcast::model::terciles::Terciles;

/// As the forecaster has them.
const REFRESH_STEPS: i64 = 60;
const EXAMPLES_AFTER: i64 = 120;
const EFFORT_EPOCHS: u32 = 24;

/// What is timed.
pub const PARTS: [&str; 7] = [
    "features, memory",
    "learn: layers 1 to 3, 5 to 7",
    "quantiles of labels, refreshed",
    "LSTM training",
    "consult: layers 1 to 3",
    "LSTM correction",
    "publish: layers 5 to 7",
];

/// No part takes so long: another process had the core. Such laps are left out.
const INTERRUPTED: Duration = Duration::from_millis(1);

struct Horizon {
    steps: i64,
    model: HorizonModel,
    pending: VecDeque<(i64, bool, Opinion, Issued)>,
}

/// The time of each of [`PARTS`], and the quantiles (log returns) that were last issued.
pub fn run(config: &ForecasterConfig, symbol: &Symbol, minutes: &[Minute]) -> ([Duration; PARTS.len()], Vec<[f64; 5]>) {
    let step_ms = config.step.millis();
    let steps: Vec<usize> = config.horizons.iter().map(|span| (span.millis() / step_ms) as usize).collect();
    let longest = steps.iter().copied().max().unwrap();
    let mut scratch = LearnerScratch::new(&config.learner);
    let (mut statistics, mut terciles) = (BarStatistics::default(), Terciles::new());
    let mut history = History::new(config.step, config.learner.steps, longest);
    let mut examples = Examples::new(steps.len(), longest);
    let mut learner = Learner::new(&config.learner, &steps, symbol.route());
    let mut network = Network::new(&config.learner, &steps, symbol.route()).unwrap();
    let model = |&steps: &usize| HorizonModel::new(steps, config.coverage, &config.parts);
    let mut horizons: Vec<Horizon> =
        steps.iter().map(|s| Horizon { steps: *s as i64, model: model(s), pending: VecDeque::new() }).collect();
    let mut recent: VecDeque<Step> = VecDeque::new();
    let (mut effort_epochs, mut published) = (0_u32, Vec::new());
    let first = minutes[0].0.millis() / step_ms;
    let mut times = [Duration::ZERO; PARTS.len()];
    let mut last = Instant::now();
    for (end, bar) in minutes {
        let step = end.millis() / step_ms;
        let mut lap = |part: usize, last: &mut Instant| {
            let now = Instant::now();
            times[part] += Some(now - *last).filter(|lap| *lap < INTERRUPTED).unwrap_or_default();
            *last = now;
        };
        let features = statistics.step(*end, bar.as_ref());
        history.push(step, &features);
        terciles.add(features.volatility);
        if recent.len() > longest {
            recent.pop_front();
        }
        recent.push_back(Step { features, market: [0.0; MARKET_INPUTS] });
        lap(0, &mut last);

        let now = recent.back().unwrap();
        for (place, horizon) in horizons.iter_mut().enumerate() {
            while horizon.pending.front().is_some_and(|due| due.0 <= step) {
                let (_, present, opinion, issued) = horizon.pending.pop_front().unwrap();
                if !(present && now.features.present) {
                    continue;
                }
                let at = recent.len() - 1 - horizon.steps as usize;
                let then = &recent[at];
                let actual = now.features.log_price() - then.features.log_price();
                let realised = Realised::of(recent.range(at + 1..).map(|step| &step.features));
                let is_apart = step % horizon.steps == 0;
                let issue = (then, &opinion, &issued);
                if horizon.model.learn(issue, actual, &realised, is_apart) {
                    effort_epochs = EFFORT_EPOCHS;
                }
                examples.label(step - horizon.steps, place, actual / opinion.scale);
            }
        }
        lap(1, &mut last);
        for horizon in &mut horizons {
            if (step - first) % REFRESH_STEPS == 0 { horizon.model.refresh() } else { horizon.model.refresh_young() }
        }
        lap(2, &mut last);
        if end.millis() % config.epoch.millis() == 0 {
            let effort = if effort_epochs > 0 { 2 } else { 1 };
            effort_epochs = effort_epochs.saturating_sub(1);
            learner.train(&mut network, step, (&history, &examples), effort, &mut scratch);
        }
        lap(3, &mut last);
        let random_features = scratch.random_features();
        let mut opinions: Vec<Opinion> = horizons.iter().map(|h| h.model.consult(now, random_features)).collect();
        lap(4, &mut last);
        let bases: Vec<[f32; 5]> = opinions.iter().map(|opinion| opinion.base.map(|z| z as f32)).collect();
        if now.features.present && step >= first + EXAMPLES_AFTER + config.learner.steps as i64 {
            examples.push(step, &bases);
        }
        if history.holds_sequence(step) {
            network.correct(&history, step, &mut scratch, &bases);
            for (opinion, corrected) in opinions.iter_mut().zip(scratch.corrected()) {
                opinion.experts[Expert::Lstm.place()] = corrected.map(|z| f64::from(z) * opinion.scale);
            }
        }
        lap(5, &mut last);
        let stands_behind =
            step - first + 1 >= config.learner.steps as i64 && !history.is_quiet() && !history.has_gap();
        published.clear();
        for (horizon, opinion) in horizons.iter_mut().zip(opinions) {
            let issued = horizon.model.publish(&opinion, &config.parts, terciles.tercile(), stands_behind);
            published.push(issued.quantiles);
            horizon.pending.push_back((step + horizon.steps, now.features.present, opinion, issued));
        }
        lap(6, &mut last);
    }
    (times, published)
}
