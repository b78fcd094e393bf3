//! One network for all symbols: gradients of many symbols, added up on many workers, to the same bits.
//!
//! At the end of an epoch each symbol computes the gradient of its own minibatches by the shared weights, clipped like that of
//! a network of its own. Sums are integers, exact and in any order the same, so every worker adds up the same total, makes the
//! same step of its own copy of the weights, and the copies never part.

use super::adamw::clip_norm;
use super::network::{GRADIENT_NORM_MAX, Network};
use super::scratch::LearnerScratch;
use super::settings::ForecasterConfig;
use super::shape::ModelError;
use super::weights::Weights;
use crate::market::{ModelInfo, Timestamp};
use serde::{Deserialize, Serialize};

/// Units of gradients. Eight million of them can be added, as each is at most 1.
const GRADIENT_UNIT: f64 = (1_u64 << 40) as f64;
/// Units of losses.
const LOSS_UNIT: f64 = (1_u64 << 32) as f64;

/// A sum of gradients.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GradientSum {
    /// By weight, in units of 2⁻⁴⁰; none while nothing was added.
    gradients: Vec<i64>,
    /// In units of 2⁻³².
    loss: i64,
    count: u64,
    /// The first step of the symbols that contributed.
    first: Option<i64>,
}

impl GradientSum {
    /// Whether nothing was added.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Adds one minibatch's clipped gradient and its loss; one that is not finite would spoil those of all others.
    pub fn add(&mut self, gradients: &[f32], loss: f64) {
        if !loss.is_finite() || gradients.iter().any(|gradient| !gradient.is_finite()) {
            return;
        }
        self.gradients.resize(gradients.len(), 0);
        for (sum, gradient) in self.gradients.iter_mut().zip(gradients) {
            *sum += (f64::from(*gradient) * GRADIENT_UNIT).round() as i64;
        }
        self.loss += (loss * LOSS_UNIT).round() as i64;
        self.count += 1;
    }

    /// Notes that a symbol has contributed whose first step is `first`.
    pub fn note_first(&mut self, first: i64) {
        self.first = Some(self.first.map_or(first, |known| known.min(first)));
    }

    /// Adds another worker's sum.
    pub fn merge(&mut self, other: &Self) {
        if self.gradients.len() < other.gradients.len() {
            self.gradients.resize(other.gradients.len(), 0);
        }
        self.gradients.iter_mut().zip(&other.gradients).for_each(|(sum, more)| *sum += more);
        self.loss += other.loss;
        self.count += other.count;
        other.first.into_iter().for_each(|first| self.note_first(first));
    }

    /// Writes the mean gradient, and gives the mean loss.
    fn mean(&self, gradients: &mut [f32]) -> f64 {
        let count = self.count as f64;
        for (mean, sum) in gradients.iter_mut().zip(&self.gradients) {
            *mean = (*sum as f64 / GRADIENT_UNIT / count) as f32;
        }
        self.loss as f64 / LOSS_UNIT / count
    }
}

/// What all symbols share, on one worker.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Pool {
    pub(super) network: Network,
    /// What forecasts tell of it.
    pub(super) model: ModelInfo,
    /// The first step of all symbols that it has learnt from here.
    first_step: Option<i64>,
    /// Of this worker's symbols, in the epoch that is ending; empty between steps.
    #[serde(skip)]
    pub(super) sum: GradientSum,
}

impl Pool {
    /// A network for all symbols: the configuration's initial one, or one that is untrained.
    ///
    /// # Errors
    /// When a size of the LSTM is zero.
    pub fn new(config: &ForecasterConfig) -> Result<Self, ModelError> {
        let horizon_steps = config.horizon_steps();
        let (network, model) = match config.initial.as_ref().and_then(|initial| initial.of(None)) {
            Some(given) => (Network::given(given, &config.learner, &horizon_steps), given.about.model),
            None => (Network::new(&config.learner, &horizon_steps, 0)?, ModelInfo::default()),
        };
        Ok(Self { network, model, first_step: None, sum: GradientSum::default() })
    }

    /// What this worker's symbols have contributed.
    pub fn take_sum(&mut self) -> GradientSum {
        std::mem::take(&mut self.sum)
    }

    /// Learns from what all symbols have contributed to the epoch that ends at `at`.
    pub fn learn(&mut self, at: Timestamp, total: &GradientSum, scratch: &mut LearnerScratch) {
        if total.is_empty() {
            return;
        }
        self.first_step = self.first_step.into_iter().chain(total.first).min();
        let loss = total.mean(scratch.gradients.flat_mut());
        clip_norm(scratch.gradients.flat_mut(), GRADIENT_NORM_MAX);
        self.network.descend(&scratch.gradients);
        self.network.end_epoch();
        self.model = ModelInfo { version: self.model.version + 1, trained_through: Some(at), loss: Some(loss) };
    }

    /// The weights that forecasts are made with; the example is a symbol's own to give.
    #[must_use]
    pub fn weights(&self, config: &ForecasterConfig) -> Weights {
        let first = self.first_step.map(|step| Timestamp::from_millis(step * config.step.millis()));
        Weights { about: config.about(None, self.model, first), lstm: self.network.averaged(), example: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gradient(number: usize) -> Vec<f32> {
        (0..50).map(|at| ((at * 7 + number * 13) as f32).sin() * 10_f32.powi(-((at + number) as i32 % 9))).collect()
    }

    #[test]
    fn sums_are_the_same_in_any_grouping_and_their_mean_is_the_mean() {
        let mut whole = GradientSum::default();
        (0..60).for_each(|number| whole.add(&gradient(number), number as f64 * 0.1));
        for workers in [1, 2, 7] {
            let mut parts = vec![GradientSum::default(); workers];
            (0..60).rev().for_each(|number| parts[number % workers].add(&gradient(number), number as f64 * 0.1));
            let mut total = GradientSum::default();
            parts.iter().rev().for_each(|part| total.merge(part));
            assert_eq!(total, whole);
        }
        let mut mean = vec![0.0; 50];
        assert!((whole.mean(&mut mean) - 2.95).abs() < 1e-8);
        for (at, mean) in mean.iter().enumerate() {
            let expected = (0..60).map(|number| f64::from(gradient(number)[at])).sum::<f64>() / 60.0;
            assert!((f64::from(*mean) - expected).abs() < 1e-7, "{at}: {mean} {expected}");
        }
    }

    #[test]
    fn what_is_not_finite_is_not_added() {
        let mut sum = GradientSum::default();
        sum.add(&[0.5, f32::NAN], 1.0);
        sum.add(&[0.5, 0.5], f64::INFINITY);
        assert!(sum.is_empty());
        sum.add(&[0.5, -0.25], 1.0);
        let mut mean = [0.0; 2];
        assert_eq!((sum.mean(&mut mean), mean), (1.0, [0.5, -0.25]));
    }
}
