//! One symbol's forecaster: closes bars, scores what came due, trains, issues. Pure: no clock, no I/O.

use super::history::{EXAMPLE_STEPS, FRESH_STEPS, History};
use super::learner::{Learner, LearnerConfig, LearnerScratch};
use super::scale::EwmaScale;
use super::shape::ModelError;
use crate::evaluation::pinball::{NORMAL_QUANTILES, mean_pinball};
use crate::evaluation::skill::SkillWindow;
use crate::features::BarStatistics;
use crate::market::{
    FeatureRow, Fixed, Forecast, Interval, ModelInfo, Reasons, Score, ScoreOutcome, Span, Status, Symbol, Timestamp,
};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

/// A log return beyond this is no forecast any more; keeps prices finite.
const LOG_RETURN_MAX: f64 = 20.0;

/// What all forecasters of a job share.
#[derive(Clone, Debug)]
pub struct ForecasterConfig {
    /// The job's id.
    pub job: Arc<str>,
    /// Distance between steps.
    pub step: Span,
    /// A multiple of `step`: the LSTM is trained at its ends.
    pub epoch: Span,
    /// Multiples of `step`.
    pub horizons: Vec<Span>,
    /// Share of outcomes that the interval is meant to hold.
    pub coverage: f64,
    /// The LSTM.
    pub learner: LearnerConfig,
}

/// What one step gives.
#[derive(Clone, Debug, Default)]
pub struct StepResults {
    /// Scores of forecasts that came due.
    pub scores: Vec<Score>,
    /// Forecasts issued.
    pub forecasts: Vec<Forecast>,
}

/// A forecast that waits for its target time.
#[derive(Clone, Copy, Debug)]
struct Pending {
    /// Number of the target's step.
    target: i64,
    price: f64,
    naive_price: f64,
    lower: f64,
    upper: f64,
    quantiles: [f64; 5],
    naive_quantiles: [f64; 5],
}

/// One horizon of one symbol.
#[derive(Clone, Debug)]
struct Horizon {
    span: Span,
    steps: usize,
    pending: VecDeque<Pending>,
    skill: SkillWindow,
}

/// One symbol's state.
#[derive(Debug)]
pub struct Forecaster {
    config: Rc<ForecasterConfig>,
    symbol: Symbol,
    statistics: BarStatistics,
    scale: EwmaScale,
    history: History,
    learner: Learner,
    horizons: Vec<Horizon>,
    /// The model's quantiles of this step, in units of the scale.
    shapes: Vec<[f32; 5]>,
    /// Half-width factor from the 90 % interval to the configured one.
    widen: f64,
    /// Number of the first step with a tick.
    first_step: Option<i64>,
    /// Number of the last step that was closed.
    last_step: i64,
    last_price: Fixed,
    model: ModelInfo,
}

impl Forecaster {
    /// A symbol that has not been seen.
    ///
    /// # Errors
    /// When a size of the LSTM is zero.
    pub fn new(config: Rc<ForecasterConfig>, symbol: Symbol) -> Result<Self, ModelError> {
        let steps_in = |span: &Span| span.in_units_of(config.step).unwrap_or(1).max(1) as usize;
        let horizons: Vec<Horizon> = config
            .horizons
            .iter()
            .map(|span| Horizon {
                span: *span,
                steps: steps_in(span),
                pending: VecDeque::new(),
                skill: SkillWindow::new(steps_in(span)),
            })
            .collect();
        let horizon_steps: Vec<usize> = horizons.iter().map(|h| h.steps).collect();
        let horizon_max = horizon_steps.iter().copied().max().unwrap_or(1);
        Ok(Self {
            statistics: BarStatistics::default(),
            scale: EwmaScale,
            history: History::new(config.learner.steps, horizon_max),
            learner: Learner::new(&config.learner, &horizon_steps, symbol.route())?,
            shapes: vec![[0.0; 5]; horizons.len()],
            widen: widening(config.coverage),
            config,
            symbol,
            horizons,
            first_step: None,
            last_step: 0,
            last_price: Fixed::ZERO,
            model: ModelInfo::default(),
        })
    }

    /// Whether any forecast waits for its target time.
    #[must_use]
    pub fn awaits_scores(&self) -> bool {
        self.horizons.iter().any(|h| !h.pending.is_empty())
    }

    /// The step that ends at `at`; `row` is the symbol's feature row there, where it has one. Steps come in order, those
    /// without a row may be left out while no forecast waits.
    pub fn step(
        &mut self,
        at: Timestamp,
        row: Option<&FeatureRow>,
        scratch: &mut LearnerScratch,
        results: &mut StepResults,
    ) {
        let step = at.millis().div_euclid(self.config.step.millis());
        let bar = row.and_then(|row| row.bar.as_ref());
        if let Some(row) = row {
            self.last_price = row.last_price;
        }
        if bar.is_some() && self.first_step.is_none() {
            self.first_step = Some(step);
        }
        if self.first_step.is_some() {
            self.fill_absent(step);
            let features = self.statistics.step(at, bar);
            self.history.push(step, &features, bar.is_some());
        }
        self.last_step = step;
        self.score(step, at, results);
        if at.millis() % self.config.epoch.millis() == 0 {
            self.train(at, scratch);
        }
        if row.is_some() {
            self.issue(step, at, scratch, results);
        }
    }

    /// Steps that were left out held no tick.
    fn fill_absent(&mut self, step: i64) {
        if self.first_step == Some(step) {
            return;
        }
        let mut first = self.last_step + 1;
        if step - first > EXAMPLE_STEPS as i64 {
            // Nothing that is remembered can be learnt from any more; the hole itself is still seen.
            self.history.clear();
            first = step - self.config.learner.steps.max(FRESH_STEPS) as i64;
        }
        for step in first..step {
            let end = Timestamp::from_millis(step * self.config.step.millis());
            let features = self.statistics.step(end, None);
            self.history.push(step, &features, false);
        }
    }

    fn score(&mut self, step: i64, at: Timestamp, results: &mut StepResults) {
        let void = self.history.is_quiet();
        for horizon in &mut self.horizons {
            while let Some(due) = horizon.pending.front().copied()
                && due.target <= step
            {
                debug_assert_eq!(due.target, step, "no step with a forecast due is left out");
                horizon.pending.pop_front();
                let outcome = (!void).then(|| outcome(&due, self.last_price));
                if let Some(outcome) = &outcome {
                    horizon.skill.add(step, outcome);
                }
                results.scores.push(Score {
                    job: Arc::clone(&self.config.job),
                    symbol: self.symbol.clone(),
                    horizon: horizon.span,
                    target_at: at,
                    outcome,
                });
            }
        }
    }

    fn train(&mut self, at: Timestamp, scratch: &mut LearnerScratch) {
        if let Some(loss) = self.learner.train(&self.history, scratch) {
            self.model = ModelInfo { version: self.model.version + 1, trained_through: Some(at), loss: Some(loss) };
        }
    }

    fn issue(&mut self, step: i64, at: Timestamp, scratch: &mut LearnerScratch, results: &mut StepResults) {
        let (status, reasons) = self.status(step);
        let naive = self.last_price.to_f64();
        if status == Status::Ok {
            self.learner.predict(&self.history, step, scratch, &mut self.shapes);
        }
        for (place, horizon) in self.horizons.iter_mut().enumerate() {
            let scale = self.scale.scale(&self.statistics, horizon.steps);
            let base = NORMAL_QUANTILES;
            let shape = if status == Status::Ok { self.shapes[place].map(f64::from) } else { base };
            let to_price = |log_return: f64| naive * libm::exp(log_return.clamp(-LOG_RETURN_MAX, LOG_RETURN_MAX));
            let returns = shape.map(|z| z * scale);
            let quantiles = returns.map(to_price);
            let naive_quantiles = base.map(|z| to_price(z * scale));
            let median = returns[2];
            let lower = to_price(median + (returns[0] - median) * self.widen);
            let upper = to_price(median + (returns[4] - median) * self.widen);
            let price = quantiles[2];
            let target = step + horizon.steps as i64;
            horizon.pending.push_back(Pending {
                target,
                price,
                naive_price: naive,
                lower,
                upper,
                quantiles,
                naive_quantiles,
            });
            results.forecasts.push(Forecast {
                job: Arc::clone(&self.config.job),
                symbol: self.symbol.clone(),
                horizon: horizon.span,
                issued_at: at,
                target_at: at.plus(horizon.span),
                last_price: self.last_price,
                price,
                interval: Interval { coverage: self.config.coverage, lower, upper },
                quantiles,
                probability_up: probability_up(&returns),
                status,
                reasons,
                skill: horizon.skill.skill(),
                model: self.model,
            });
        }
    }

    fn status(&self, step: i64) -> (Status, Reasons) {
        let reasons = Reasons { quiet: self.history.is_quiet(), gap: self.history.has_gap() };
        let steps = self.config.learner.steps as i64;
        let seen = self.first_step.map_or(0, |first| step - first + 1);
        if seen < steps {
            (Status::Warming, Reasons::default())
        } else if reasons.any() {
            (Status::Abstain, reasons)
        } else {
            (Status::Ok, reasons)
        }
    }
}

fn outcome(due: &Pending, actual_price: Fixed) -> ScoreOutcome {
    let actual = actual_price.to_f64();
    ScoreOutcome {
        actual_price,
        error: due.price - actual,
        naive_error: due.naive_price - actual,
        covered: (due.lower..=due.upper).contains(&actual),
        pinball: mean_pinball(&due.quantiles, actual),
        naive_pinball: mean_pinball(&due.naive_quantiles, actual),
    }
}

/// Probability of a positive return under a normal law with the median, and the spread of the outer quantiles.
fn probability_up(returns: &[f64; 5]) -> f64 {
    let spread = (returns[4] - returns[0]) / (NORMAL_QUANTILES[4] - NORMAL_QUANTILES[0]);
    if spread <= 0.0 {
        return 0.5;
    }
    normal_cdf(returns[2] / spread)
}

/// The standard normal distribution function.
fn normal_cdf(x: f64) -> f64 {
    0.5 * libm::erfc(-x / core::f64::consts::SQRT_2)
}

/// How much wider an interval of `coverage` is than that of 90 %, under the normal law.
fn widening(coverage: f64) -> f64 {
    if (coverage - 0.9).abs() < 1e-12 {
        return 1.0;
    }
    let target = f64::midpoint(1.0, coverage);
    let (mut low, mut high) = (0.0, 40.0);
    for _ in 0..200 {
        let middle = f64::midpoint(low, high);
        if normal_cdf(middle) < target { low = middle } else { high = middle }
    }
    high / NORMAL_QUANTILES[4]
}
