//! One symbol's forecaster: closes bars, scores what came due, learns, trains, issues. Pure: no clock, no I/O.

mod learnt;
mod lineage;

use super::examples::Examples;
use super::experts::Expert;
use super::history::{EXAMPLE_STEPS, FRESH_STEPS, History};
use super::horizon::{Opinion, Step};
use super::learner::Learner;
use super::network::Network;
use super::pending::{Horizon, Pending, outcome, probability_up, to_price};
use super::pool::Pool;
use super::scale::Realised;
use super::scratch::LearnerScratch;
use super::settings::ForecasterConfig;
use super::shape::ModelError;
use super::terciles::Terciles;
use crate::features::{BarStatistics, FLOW_INPUTS, MARKET_INPUTS, MarketInputs, StepFeatures};
use crate::market::forecast::EXPERTS;
use crate::market::{
    Drift, FeatureRow, Fixed, Forecast, Interval, ModelInfo, Reasons, Score, Span, Status, Symbol, Timestamp,
};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

/// Empirical quantiles are brought up to date every so many steps.
const REFRESH_STEPS: i64 = 60;
/// Steps from the first one on, besides a whole sequence, before the LSTM has anything to learn from.
const EXAMPLES_AFTER: i64 = 120;
/// For so many epochs after a change in the forecasts' errors, the LSTM trains more.
const EFFORT_EPOCHS: u32 = 24;
/// How many times as much.
const EFFORT: usize = 2;

/// What one step gives.
#[derive(Clone, Debug, Default)]
pub struct StepResults {
    /// Scores of forecasts that came due.
    pub scores: Vec<Score>,
    /// Forecasts issued.
    pub forecasts: Vec<Forecast>,
}

/// One symbol's state.
#[derive(Clone, Debug)]
pub struct Forecaster {
    config: Rc<ForecasterConfig>,
    symbol: Symbol,
    state: State,
}

/// Everything that learns.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct State {
    statistics: BarStatistics,
    /// The last steps on the clock, up to the longest horizon; the latest last.
    recent: VecDeque<Step>,
    terciles: Terciles,
    history: History,
    examples: Examples,
    learner: Learner,
    /// None where all symbols share one.
    network: Option<Network>,
    horizons: Vec<Horizon>,
    /// Number of the first step with a tick.
    first_step: Option<i64>,
    /// Number of the last step that was closed.
    last_step: i64,
    last_price: Fixed,
    model: ModelInfo,
    /// Epochs of more training that are left.
    effort_epochs: u32,
}

impl Forecaster {
    /// A symbol that has not been seen, with the configuration's initial weights where it has some for it.
    ///
    /// # Errors
    /// When a size of the LSTM is zero.
    pub fn new(config: Rc<ForecasterConfig>, symbol: Symbol) -> Result<Self, ModelError> {
        let horizon_steps = config.horizon_steps();
        let horizon_max = horizon_steps.iter().copied().max().unwrap_or(1);
        let horizon = |(span, steps): (&Span, &usize)| Horizon::new(*span, *steps, config.coverage, &config.parts);
        let given = config.initial.as_ref().and_then(|initial| initial.of(Some(&symbol)));
        let (network, model) = match given {
            _ if config.pooled => (None, ModelInfo::default()),
            Some(given) => (Some(Network::given(given, &config.learner, &horizon_steps)), given.about.model),
            None => (Some(Network::new(&config.learner, &horizon_steps, symbol.route())?), ModelInfo::default()),
        };
        let state = State {
            statistics: BarStatistics::default(),
            recent: VecDeque::new(),
            terciles: Terciles::new(),
            history: History::new(config.step, config.learner.steps, horizon_max),
            examples: Examples::new(horizon_steps.len(), horizon_max),
            learner: Learner::new(&config.learner, &horizon_steps, symbol.route()),
            network,
            horizons: config.horizons.iter().zip(&horizon_steps).map(horizon).collect(),
            first_step: None,
            last_step: 0,
            last_price: Fixed::ZERO,
            model,
            effort_epochs: 0,
        };
        Ok(Self { config, symbol, state })
    }

    pub(super) fn config(&self) -> &ForecasterConfig {
        &self.config
    }

    pub(super) fn parts_to_write(&self) -> (&Symbol, &State) {
        (&self.symbol, &self.state)
    }

    pub(super) fn from_written(config: Rc<ForecasterConfig>, (symbol, mut state): (Symbol, State)) -> Self {
        state.examples = state.examples.reserved();
        state.history.reserve();
        Self { config, symbol, state }
    }

    /// Of which symbol.
    #[must_use]
    pub fn symbol(&self) -> &Symbol {
        &self.symbol
    }

    /// What each expert has of each horizon's mixture (see [`weights`](super::horizon::HorizonModel::weights)).
    pub fn shares(&self) -> impl Iterator<Item = (Span, [f64; EXPERTS])> + '_ {
        self.state.horizons.iter().map(|horizon| (horizon.span, horizon.model.weights()))
    }

    /// Whether any forecast waits for its target time.
    #[must_use]
    pub fn awaits_scores(&self) -> bool {
        self.state.horizons.iter().any(|h| !h.pending.is_empty())
    }

    /// The step that ends at `at`; `row` is the symbol's feature row there, where it has one. Steps come in order, those
    /// without a row may be left out while no forecast waits.
    pub fn step(
        &mut self,
        at: Timestamp,
        row: Option<&FeatureRow>,
        market: &MarketInputs,
        scratch: &mut LearnerScratch,
        results: &mut StepResults,
    ) {
        self.close(at, row, market, scratch, None, results);
        if row.is_some() {
            self.issue(at, scratch, None, results);
        }
    }

    /// The first half of a step: bar, scores, learning. Where symbols share a network, it is `pool`'s, which learns from all
    /// of them before the second half.
    pub fn close(
        &mut self,
        at: Timestamp,
        row: Option<&FeatureRow>,
        market: &MarketInputs,
        scratch: &mut LearnerScratch,
        pool: Option<&mut Pool>,
        results: &mut StepResults,
    ) {
        let step = at.millis().div_euclid(self.config.step.millis());
        let bar = row.and_then(|row| row.bar.as_ref());
        let state = &mut self.state;
        if let Some(row) = row {
            state.last_price = row.last_price;
        }
        if bar.is_some() && state.first_step.is_none() {
            state.first_step = Some(step);
        }
        if state.first_step.is_some() {
            self.fill_absent(step);
            let mut features = self.state.statistics.step(at, bar);
            let parts = &self.config.parts;
            if !parts.flow {
                features.flow = [0.0; FLOW_INPUTS];
            }
            let market = if parts.market { *market } else { [0.0; MARKET_INPUTS] };
            self.remember(step, features, market);
        }
        self.state.last_step = step;
        self.settle(step, at, results);
        self.refresh(step);
        if at.millis() % self.config.epoch.millis() == 0 {
            self.train(step, at, scratch, pool);
        }
    }

    /// Steps that were left out held no tick.
    fn fill_absent(&mut self, step: i64) {
        if self.state.first_step == Some(step) {
            return;
        }
        let mut first = self.state.last_step + 1;
        if step - first > EXAMPLE_STEPS as i64 {
            // Nothing that is remembered can be learnt from any more; the hole itself is still seen.
            self.state.history.clear();
            self.state.examples.clear();
            self.state.recent.clear();
            let forgotten = first;
            first = step - self.config.learner.steps.max(FRESH_STEPS) as i64;
            self.state.statistics.pass(first - forgotten);
        }
        for step in first..step {
            let end = Timestamp::from_millis(step * self.config.step.millis());
            let features = self.state.statistics.step(end, None);
            // Nothing is issued or learnt there, so that the market does not matter.
            self.remember(step, features, [0.0; MARKET_INPUTS]);
        }
        // All labels had come when steps began to be left out: once is enough.
        if first < step {
            self.state.horizons.iter_mut().for_each(|horizon| horizon.model.refresh());
        }
    }

    fn remember(&mut self, step: i64, features: StepFeatures, market: MarketInputs) {
        let state = &mut self.state;
        let horizon_max = state.horizons.iter().map(|h| h.steps).max().unwrap_or(1);
        state.history.push(step, &features);
        state.terciles.add(features.volatility);
        if state.recent.len() > horizon_max {
            state.recent.pop_front();
        }
        state.recent.push_back(Step { features, market });
    }

    /// Scores every forecast whose target is `step`, then lets every layer learn from it.
    fn settle(&mut self, step: i64, at: Timestamp, results: &mut StepResults) {
        let (config, state) = (&self.config, &mut self.state);
        let void = state.history.is_quiet();
        let Some(now) = state.recent.back() else { return };
        for (place, horizon) in state.horizons.iter_mut().enumerate() {
            while horizon.pending.front().is_some_and(|due| due.target <= step)
                && let Some(due) = horizon.pending.pop_front()
            {
                debug_assert_eq!(due.target, step, "no step with a forecast due is left out");
                let outcome = (!void).then(|| outcome(&due, state.last_price, &config.parts, horizon.steps));
                if let Some(outcome) = &outcome {
                    horizon.skill.add(step, outcome);
                }
                results.scores.push(Score {
                    job: Arc::clone(&config.job),
                    symbol: self.symbol.clone(),
                    horizon: horizon.span,
                    target_at: at,
                    outcome,
                });
                let issued = state.recent.len().checked_sub(1 + horizon.steps);
                let (Some(issued), true) = (issued, due.present) else { continue };
                let then = &state.recent[issued];
                let actual = now.features.log_price() - then.features.log_price();
                if !void {
                    horizon.model.weigh_median(actual, &due.opinion, &due.issued);
                }
                if !now.features.present {
                    continue;
                }
                let realised = Realised::of(state.recent.range(issued + 1..).map(|step| &step.features));
                let is_apart = step.rem_euclid(horizon.steps as i64) == 0;
                let issue = (then, &due.opinion, &due.issued);
                if horizon.model.learn(issue, actual, &realised, is_apart) {
                    horizon.drifted_at = Some(at);
                    state.effort_epochs = EFFORT_EPOCHS;
                }
                state.examples.label(step - horizon.steps as i64, place, actual / due.opinion.scale);
            }
        }
    }

    fn refresh(&mut self, step: i64) {
        let state = &mut self.state;
        let due = state.first_step.is_some_and(|first| (step - first) % REFRESH_STEPS == 0);
        for horizon in &mut state.horizons {
            if due { horizon.model.refresh() } else { horizon.model.refresh_young() }
        }
    }

    fn train(&mut self, step: i64, at: Timestamp, scratch: &mut LearnerScratch, pool: Option<&mut Pool>) {
        if !self.config.parts.experts[Expert::Lstm.place()] {
            return;
        }
        let state = &mut self.state;
        let effort = if state.effort_epochs > 0 { EFFORT } else { 1 };
        state.effort_epochs = state.effort_epochs.saturating_sub(1);
        let memory = (&state.history, &state.examples);
        match (pool, &mut state.network) {
            (Some(pool), _) => {
                let first = state.first_step.unwrap_or(step);
                state.learner.contribute(pool, (first, step), memory, effort, scratch);
            }
            (None, Some(network)) => {
                if let Some(loss) = state.learner.train(network, step, memory, effort, scratch) {
                    let version = state.model.version + 1;
                    state.model = ModelInfo { version, trained_through: Some(at), loss: Some(loss) };
                }
            }
            (None, None) => {}
        }
    }

    /// The second half of a step with a row: the forecasts.
    pub fn issue(
        &mut self,
        at: Timestamp,
        scratch: &mut LearnerScratch,
        pool: Option<&mut Pool>,
        results: &mut StepResults,
    ) {
        let step = self.state.last_step;
        let (status, reasons) = self.status(step);
        let (config, state) = (&self.config, &mut self.state);
        let (network, model) = match pool {
            Some(pool) => (Some(&mut pool.network), pool.model),
            None => (state.network.as_mut(), state.model),
        };
        let Some(now) = state.recent.back() else { return };
        let random_features = scratch.random_features();
        let mut opinions: Vec<Opinion> =
            state.horizons.iter().map(|horizon| horizon.model.consult(now, random_features)).collect();
        if config.parts.experts[Expert::Lstm.place()] {
            let bases: Vec<[f32; 5]> = opinions.iter().map(|opinion| opinion.base.map(|z| z as f32)).collect();
            let ripe =
                state.first_step.is_some_and(|first| step >= first + EXAMPLES_AFTER + config.learner.steps as i64);
            if now.features.present && ripe {
                state.examples.push(step, &bases);
            }
            if let Some(network) = network.filter(|_| state.history.holds_sequence(step)) {
                network.correct(&state.history, step, scratch, &bases);
                for (opinion, corrected) in opinions.iter_mut().zip(scratch.corrected()) {
                    opinion.experts[Expert::Lstm.place()] = corrected.map(|z| f64::from(z) * opinion.scale);
                }
            }
        }
        let tercile = state.terciles.tercile();
        let naive = state.last_price.to_f64();
        for (horizon, opinion) in state.horizons.iter_mut().zip(opinions) {
            // Where no tick came, the price is that of an earlier step: no telling where it goes from there.
            let median = status == Status::Ok && now.features.present;
            let issued = horizon.model.publish(&opinion, &config.parts, tercile, median);
            let quantiles = issued.quantiles.map(|log_return| to_price(naive, log_return));
            let [lower, upper] = issued.interval.map(|log_return| to_price(naive, log_return));
            let drift = horizon.model.drift();
            results.forecasts.push(Forecast {
                job: Arc::clone(&config.job),
                symbol: self.symbol.clone(),
                horizon: horizon.span,
                issued_at: at,
                target_at: at.plus(horizon.span),
                last_price: state.last_price,
                price: quantiles[2],
                interval: Interval { coverage: config.coverage, lower, upper },
                quantiles,
                probability_up: probability_up(&issued.quantiles),
                status,
                reasons,
                skill: horizon.skill.skill(),
                drift: Drift { changes: drift.changes(), changed_at: horizon.drifted_at, window: drift.width() },
                model,
            });
            horizon.pending.push_back(Pending {
                target: step + horizon.steps as i64,
                present: now.features.present,
                opinion,
                issued,
                price: quantiles[2],
                naive_price: naive,
                lower,
                upper,
                quantiles,
            });
        }
    }

    fn status(&self, step: i64) -> (Status, Reasons) {
        let state = &self.state;
        let reasons = Reasons { quiet: state.history.is_quiet(), gap: state.history.has_gap() };
        let steps = self.config.learner.steps as i64;
        let seen = state.first_step.map_or(0, |first| step - first + 1);
        if seen < steps {
            (Status::Warming, Reasons::default())
        } else if reasons.any() {
            (Status::Abstain, reasons)
        } else {
            (Status::Ok, reasons)
        }
    }
}
