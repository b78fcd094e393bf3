//! One symbol's rows, model and forecasts. Pure: no clock, no I/O.
//!
//! At the end of a step, in this order: take the row, score the forecast that came due, train anew where an epoch ends, forecast
//! the next row. The project's model says a price and no more, so the quantiles around it are those of a normal law with the
//! volatility that is known.

use super::report::{SeedReport, train};
use super::training::Minibatch;
use super::windows::scaled;
use super::{ROWS, SHAPE, WINDOW, initial};
use crate::evaluation::drift::Adwin;
use crate::evaluation::pinball::{NORMAL_QUANTILES, mean_pinball, widening};
use crate::evaluation::skill::SkillWindow;
use crate::features::BarStatistics;
use crate::market::forecast::EXPERTS;
use crate::market::{
    Drift, FeatureRow, Fixed, Forecast, Interval, ModelInfo, Reasons, Score, ScoreOutcome, Span, Status, Symbol,
    Timestamp,
};
use crate::model::forecaster::StepResults;
use crate::model::history::FRESH_STEPS;
use crate::model::horizon::{DRIFT_DELTA, DRIFT_ERROR_MAX};
use crate::model::lstm::Lstm;
use crate::model::pending::{probability_up, to_price};
use crate::model::shape::ModelError;
use crate::model::workspace::Workspace;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

/// What all forecasters of a job share.
#[derive(Clone, Debug)]
pub struct SeedConfig {
    /// The job's id.
    pub job: Arc<str>,
    /// Distance between steps, and the horizon.
    pub step: Span,
    /// A multiple of `step`: a model is trained at its ends.
    pub epoch: Span,
    /// Share of outcomes that the interval is meant to hold.
    pub coverage: f64,
    /// Seeds initial weights, the order of windows and dropout: the same for each training.
    pub random_seed: u64,
}

/// What all symbols of a thread use by turns.
#[derive(Clone, Debug)]
pub struct SeedScratch {
    initial: Lstm,
    minibatch: Minibatch,
    single: Workspace,
}

impl SeedScratch {
    /// With the initial weights of `random_seed`.
    ///
    /// # Errors
    /// As [`initial::weights`].
    pub fn new(random_seed: u64) -> Result<Self, ModelError> {
        let initial = initial::weights(random_seed)?;
        Ok(Self { initial, minibatch: Minibatch::default(), single: Workspace::new(&SHAPE, 1) })
    }
}

/// How far a symbol is: what a run's summary says of it.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct SeedStanding {
    /// Rows that a model can be made of, up to 400.
    pub rows: usize,
    /// End of the last row that the newest model was made of; none where none was trained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trained_through: Option<String>,
    /// What the newest model is worth.
    #[serde(flatten)]
    pub report: Option<SeedReport>,
}

/// The close of a step with a tick.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Row {
    step: i64,
    price: f64,
}

/// A forecast that waits for its target time, the end of the next step.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Pending {
    /// Whether the step of the issue holds a tick.
    present: bool,
    /// Returns to the price and its quantiles.
    returns: [f64; 5],
    /// The volatility at issue.
    volatility: f64,
    naive: f64,
    interval: [f64; 2],
}

/// A trained model.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Model {
    lstm: Lstm,
    info: ModelInfo,
    /// How many rows there had been.
    rows_seen: u64,
}

/// What of a forecaster is kept in a checkpoint: all but what its job's configuration says.
#[derive(Serialize, Deserialize)]
pub struct SeedState {
    /// Whose.
    pub symbol: Symbol,
    statistics: BarStatistics,
    rows: VecDeque<Row>,
    rows_seen: u64,
    model: Option<Model>,
    pending: Option<Pending>,
    skill: SkillWindow,
    drift: Adwin,
    drifted_at: Option<Timestamp>,
    last_step: Option<i64>,
    last_price: Fixed,
}

/// One symbol's state.
#[derive(Clone, Debug)]
pub struct SeedForecaster {
    config: Rc<SeedConfig>,
    symbol: Symbol,
    /// For the volatility alone.
    statistics: BarStatistics,
    /// The last [`ROWS`].
    rows: VecDeque<Row>,
    rows_seen: u64,
    model: Option<Model>,
    pending: Option<Pending>,
    skill: SkillWindow,
    drift: Adwin,
    drifted_at: Option<Timestamp>,
    last_step: Option<i64>,
    last_price: Fixed,
    /// How much wider the interval is than the outer quantiles.
    widening: f64,
}

impl SeedForecaster {
    /// A symbol that has not been seen.
    #[must_use]
    pub fn new(config: Rc<SeedConfig>, symbol: Symbol) -> Self {
        Self {
            widening: widening(config.coverage),
            config,
            symbol,
            statistics: BarStatistics::default(),
            rows: VecDeque::with_capacity(ROWS),
            rows_seen: 0,
            model: None,
            pending: None,
            skill: SkillWindow::new(1),
            drift: Adwin::new(DRIFT_DELTA),
            drifted_at: None,
            last_step: None,
            last_price: Fixed::ZERO,
        }
    }

    /// What has to be kept, between steps.
    #[must_use]
    pub fn state(&self) -> SeedState {
        let Self { config: _, widening: _, symbol, statistics, rows, rows_seen, model, pending, skill, drift, .. } =
            self;
        SeedState {
            symbol: symbol.clone(),
            statistics: statistics.clone(),
            rows: rows.clone(),
            rows_seen: *rows_seen,
            model: model.clone(),
            pending: *pending,
            skill: skill.clone(),
            drift: drift.clone(),
            drifted_at: self.drifted_at,
            last_step: self.last_step,
            last_price: self.last_price,
        }
    }

    /// Goes on from what was kept, under the same configuration.
    #[must_use]
    pub fn from_state(config: Rc<SeedConfig>, state: SeedState) -> Self {
        let SeedState { symbol, statistics, rows, rows_seen, model, pending, skill, drift, .. } = state;
        let SeedState { drifted_at, last_step, last_price, .. } = state;
        Self {
            widening: widening(config.coverage),
            config,
            symbol,
            statistics,
            rows,
            rows_seen,
            model,
            pending,
            skill,
            drift,
            drifted_at,
            last_step,
            last_price,
        }
    }

    /// Whether a forecast waits for its target time.
    #[must_use]
    pub fn awaits_scores(&self) -> bool {
        self.pending.is_some()
    }

    /// Rows that a model can be made of.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    /// The step that ends at `at`; `row` is the symbol's feature row there, where it has one. Steps come in order, those without
    /// a row may be left out while no forecast waits. Gives the report of a training, where one took place.
    pub fn step(
        &mut self,
        at: Timestamp,
        row: Option<&FeatureRow>,
        scratch: &mut SeedScratch,
        results: &mut StepResults,
    ) -> Option<SeedReport> {
        let step = at.millis().div_euclid(self.config.step.millis());
        let bar = row.and_then(|row| row.bar.as_ref());
        if let Some(row) = row {
            self.last_price = row.last_price;
        }
        if let Some(bar) = bar {
            if self.rows.len() == ROWS {
                self.rows.pop_front();
            }
            self.rows.push_back(Row { step, price: bar.close.to_f64() });
            self.rows_seen += 1;
        }
        // The end of an epoch may lie among steps that were left out.
        let epoch_of = |step: i64| (step * self.config.step.millis()).div_euclid(self.config.epoch.millis());
        let is_epoch = epoch_of(step) > self.last_step.map_or_else(|| epoch_of(step - 1), epoch_of);
        let absent = self.last_step.map_or(0, |last| step - last - 1);
        if absent > 0 {
            self.statistics.pass(absent);
        }
        self.last_step = Some(step);
        let volatility = self.statistics.step(at, bar).volatility;
        self.settle(step, at, bar.is_some(), results);
        let report = if is_epoch { self.train(at, scratch) } else { None };
        if row.is_some() {
            self.issue(at, step, bar.is_some(), volatility, scratch, results);
        }
        report
    }

    /// Trains on the last 400 rows, where there are so many, and some since the last training.
    pub fn train(&mut self, at: Timestamp, scratch: &mut SeedScratch) -> Option<SeedReport> {
        let trained = self.model.as_ref().map_or(0, |model| model.rows_seen);
        if self.rows.len() < ROWS || trained == self.rows_seen {
            return None;
        }
        let prices: Vec<f64> = self.rows.iter().map(|row| row.price).collect();
        let (lstm, report) = train(&prices, &scratch.initial, self.config.random_seed, &mut scratch.minibatch);
        let version = self.model.as_ref().map_or(0, |model| model.info.version) + 1;
        let loss = report.training_loss.last().copied().filter(|loss| loss.is_finite());
        let info = ModelInfo { version, trained_through: Some(at), loss };
        self.model = Some(Model { lstm, info, rows_seen: self.rows_seen });
        Some(report)
    }

    /// Scores the forecast whose target is `step`.
    fn settle(&mut self, step: i64, at: Timestamp, present: bool, results: &mut StepResults) {
        let Some(due) = self.pending.take() else { return };
        let outcome = (!self.is_quiet(step)).then(|| due.outcome(self.last_price));
        if let Some(outcome) = &outcome {
            self.skill.add(step, outcome);
            if present && due.present {
                let actual = libm::log(outcome.actual_price.to_f64() / due.naive);
                let error = ((actual - due.returns[2]).abs() / due.volatility).min(DRIFT_ERROR_MAX);
                if self.drift.add(error / DRIFT_ERROR_MAX) {
                    self.drifted_at = Some(at);
                }
            }
        }
        results.scores.push(Score {
            job: Arc::clone(&self.config.job),
            symbol: self.symbol.clone(),
            horizon: self.config.step,
            target_at: at,
            outcome,
        });
    }

    /// Whether no tick came in the last 5 steps.
    fn is_quiet(&self, step: i64) -> bool {
        self.rows.back().is_none_or(|row| step - row.step >= FRESH_STEPS as i64)
    }

    /// Whether 5 steps without a tick lie between rows of the last window.
    fn has_gap(&self) -> bool {
        let mut later = self.rows.iter().rev().take(WINDOW).map(|row| row.step);
        let mut newest = later.next().unwrap_or_default();
        later.any(|step| std::mem::replace(&mut newest, step) - step > FRESH_STEPS as i64)
    }

    fn issue(
        &mut self,
        at: Timestamp,
        step: i64,
        present: bool,
        volatility: f64,
        scratch: &mut SeedScratch,
        results: &mut StepResults,
    ) {
        let reasons = Reasons { quiet: self.is_quiet(step), gap: self.has_gap() };
        let (status, reasons) = match &self.model {
            None => (Status::Warming, Reasons::default()),
            Some(_) if reasons.any() => (Status::Abstain, reasons),
            Some(_) => (Status::Ok, reasons),
        };
        let naive = self.last_price.to_f64();
        let median = if status == Status::Ok { self.forecast_return(naive, scratch) } else { 0.0 };
        let returns = NORMAL_QUANTILES.map(|quantile| median + quantile * volatility);
        let quantiles = returns.map(|log_return| to_price(naive, log_return));
        let interval = [returns[0], returns[4]].map(|end| to_price(naive, median + (end - median) * self.widening));
        results.forecasts.push(Forecast {
            job: Arc::clone(&self.config.job),
            symbol: self.symbol.clone(),
            horizon: self.config.step,
            issued_at: at,
            target_at: at.plus(self.config.step),
            last_price: self.last_price,
            price: quantiles[2],
            interval: Interval { coverage: self.config.coverage, lower: interval[0], upper: interval[1] },
            quantiles,
            probability_up: probability_up(&returns),
            status,
            reasons,
            skill: self.skill.skill(),
            drift: Drift { changes: self.drift.changes(), changed_at: self.drifted_at, window: self.drift.width() },
            model: self.model.as_ref().map_or_else(ModelInfo::default, |model| model.info),
        });
        self.pending = Some(Pending { present, returns, volatility, naive, interval });
    }

    /// Log return from the last price to the one that the model puts after the last window; 0 where that is no price.
    fn forecast_return(&self, naive: f64, scratch: &mut SeedScratch) -> f64 {
        let Some(model) = &self.model else { return 0.0 };
        let Some(first) = self.rows.len().checked_sub(WINDOW) else { return 0.0 };
        let window: [f64; WINDOW] = std::array::from_fn(|at| self.rows[first + at].price);
        let outputs = model.lstm.forward(&scaled(&window), 1, None, &mut scratch.single);
        let price = window[0] * (1.0 + f64::from(outputs[0]));
        let log_return = libm::log(price / naive);
        if log_return.is_finite() { log_return } else { 0.0 }
    }
}

impl Pending {
    fn outcome(&self, actual_price: Fixed) -> ScoreOutcome {
        let actual = actual_price.to_f64();
        let price = |log_return: f64| to_price(self.naive, log_return);
        ScoreOutcome {
            actual_price,
            error: price(self.returns[2]) - actual,
            naive_error: self.naive - actual,
            covered: (self.interval[0]..=self.interval[1]).contains(&actual),
            pinball: mean_pinball(&self.returns.map(price), actual),
            naive_pinball: mean_pinball(&NORMAL_QUANTILES.map(|q| price(q * self.volatility)), actual),
            experts: [None; EXPERTS],
        }
    }
}
