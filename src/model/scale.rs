//! Layer 1 of the recipe: the scale of a horizon's log return.
//!
//! The logarithm of the range of the steps to come is regressed on those of the ranges behind us, on volumes and the
//! calendar, by recursive least squares: the heterogeneous autoregression of Corsi (2009) with ranges instead of realised
//! variances (Parkinson 1980), and smooth half-lives instead of day, week and month. Order on a label: both weights with the
//! gain of the old `P`, since the two targets share their inputs.

use super::covariance::{Covariance, add_scaled, dot};
use super::prior::{scale_ridge, scale_weights};
use crate::features::{SCALE_INPUTS, StepFeatures};
use serde::{Deserialize, Serialize};

const RIDGE: f64 = 100.0;
/// A return has about this share of its range.
pub const RANGE_PER_RETURN: f64 = 1.6;
/// The regressed logarithm is held within these.
const LOG_MIN: f64 = -3.0;
const LOG_MAX: f64 = 4.0;
/// Weight of the mean range in the target; the rest is the range of the whole window.
const MEAN_SHARE: f64 = 0.7;
/// Added to ranges, in units of the range level, before logarithms are taken.
const FLOOR: f64 = 0.05;

/// Scale of a horizon: what a typical log return over it comes to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scales {
    /// By mean range and window range: the scale of the model.
    pub mixed: f64,
    /// By the window range alone, for an expert of its own.
    pub window: f64,
}

/// What became of the steps of one horizon.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Realised {
    /// Sum of the true ranges.
    range_sum: f64,
    /// Bars that exist.
    bars: f64,
    top: f64,
    bottom: f64,
}

impl Realised {
    /// Of the steps after the issue, up to the target.
    #[must_use]
    pub fn of<'a>(steps: impl Iterator<Item = &'a StepFeatures>) -> Self {
        let start = Self { top: f64::NEG_INFINITY, bottom: f64::INFINITY, ..Self::default() };
        steps.fold(start, |sum, step| Self {
            range_sum: sum.range_sum + step.bar.range,
            bars: sum.bars + f64::from(u8::from(step.present)),
            top: sum.top.max(step.bar.top),
            bottom: sum.bottom.min(step.bar.bottom),
        })
    }
}

/// The regressions of one horizon.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RangeScale {
    /// Horizon in steps.
    steps: f64,
    covariance: Covariance,
    mixed: Vec<f64>,
    window: Vec<f64>,
}

impl RangeScale {
    /// For `steps` ahead, from nothing.
    #[must_use]
    pub fn new(steps: usize) -> Self {
        Self::starting(steps, RIDGE, &[0.0; SCALE_INPUTS])
    }

    /// For `steps` ahead, from what is known of other series: [`super::prior`].
    #[must_use]
    pub fn with_prior(steps: usize) -> Self {
        Self::starting(steps, scale_ridge(steps), &scale_weights(steps))
    }

    fn starting(steps: usize, ridge: f64, weights: &[f64; SCALE_INPUTS]) -> Self {
        Self {
            steps: steps as f64,
            covariance: Covariance::new(SCALE_INPUTS, ridge),
            mixed: weights.to_vec(),
            window: weights.to_vec(),
        }
    }

    /// The scales now.
    #[must_use]
    pub fn predict(&self, features: &StepFeatures) -> Scales {
        let scale = |weights: &[f64]| {
            let log = dot(&features.scale, weights).clamp(LOG_MIN, LOG_MAX);
            features.range_level * libm::exp(log) * self.steps.sqrt() / RANGE_PER_RETURN
        };
        Scales { mixed: scale(&self.mixed), window: scale(&self.window) }
    }

    /// Takes in what became of the steps after the issue.
    pub fn learn(&mut self, issue: &StepFeatures, realised: &Realised) {
        let level = issue.range_level;
        let target = |range: f64| libm::log(range / level + FLOOR);
        let bars = realised.bars.max(1.0);
        let mean = target(realised.range_sum / bars * (bars / self.steps).sqrt());
        let window = target((realised.top - realised.bottom) / self.steps.sqrt());
        let mixed = MEAN_SHARE * mean + (1.0 - MEAN_SHARE) * window;
        let mut gain = [0.0; SCALE_INPUTS];
        let (mixed_error, window_error) =
            (mixed - dot(&issue.scale, &self.mixed), window - dot(&issue.scale, &self.window));
        self.covariance.update(&issue.scale, &mut gain);
        add_scaled(&mut self.mixed, &gain, mixed_error);
        add_scaled(&mut self.window, &gain, window_error);
    }
}
