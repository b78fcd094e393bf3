//! A horizon's forecasts that wait for their target time, and what becomes of them then.

use super::experts::{ALL, Expert, Parts};
use super::horizon::{HorizonModel, Issued, Opinion};
use crate::evaluation::pinball::{NORMAL_QUANTILES, mean_pinball, normal_cdf};
use crate::evaluation::skill::SkillWindow;
use crate::market::{Fixed, ScoreOutcome, Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// A log return beyond this is no forecast any more; keeps prices finite.
const LOG_RETURN_MAX: f64 = 20.0;

/// A forecast that waits for its target time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Pending {
    /// Number of the target's step.
    pub(super) target: i64,
    /// Whether the step of the issue holds a tick: if not, nothing is learnt from it.
    pub(super) present: bool,
    pub(super) opinion: Opinion,
    pub(super) issued: Issued,
    pub(super) price: f64,
    pub(super) naive_price: f64,
    pub(super) lower: f64,
    pub(super) upper: f64,
    pub(super) quantiles: [f64; 5],
}

/// One horizon of one symbol.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Horizon {
    pub(super) span: Span,
    pub(super) steps: usize,
    pub(super) model: HorizonModel,
    pub(super) pending: VecDeque<Pending>,
    pub(super) skill: SkillWindow,
    pub(super) drifted_at: Option<Timestamp>,
}

impl Horizon {
    pub(super) fn new(span: Span, steps: usize, coverage: f64, parts: &Parts) -> Self {
        let model = HorizonModel::new(steps, coverage, parts);
        Self { span, steps, model, pending: VecDeque::new(), skill: SkillWindow::new(steps), drifted_at: None }
    }
}

/// The price after a log return from `naive`.
pub(super) fn to_price(naive: f64, log_return: f64) -> f64 {
    naive * libm::exp(log_return.clamp(-LOG_RETURN_MAX, LOG_RETURN_MAX))
}

/// What a forecast is worth, now that its target's price is known.
pub(super) fn outcome(due: &Pending, actual_price: Fixed, parts: &Parts, steps: usize) -> ScoreOutcome {
    let actual = actual_price.to_f64();
    let pinball = |returns: &[f64; 5]| mean_pinball(&returns.map(|r| to_price(due.naive_price, r)), actual);
    let (experts, priors) = (&due.opinion.experts, parts.priors(steps));
    ScoreOutcome {
        actual_price,
        error: due.price - actual,
        naive_error: due.naive_price - actual,
        covered: (due.lower..=due.upper).contains(&actual),
        pinball: mean_pinball(&due.quantiles, actual),
        naive_pinball: pinball(&experts[Expert::Gaussian.place()]),
        experts: ALL.map(|expert| (priors[expert.place()] > 0.0).then(|| pinball(&experts[expert.place()]))),
    }
}

/// Probability of a positive return under a normal law with the median, and the spread of the outer quantiles.
pub(super) fn probability_up(returns: &[f64; 5]) -> f64 {
    let spread = (returns[4] - returns[0]) / (NORMAL_QUANTILES[4] - NORMAL_QUANTILES[0]);
    if spread > 0.0 { normal_cdf(returns[2] / spread) } else { 0.5 }
}
