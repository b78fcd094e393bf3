//! Layer 3 of the recipe: online quantile regression by stochastic Newton steps.
//!
//! `q_τ = e_τ + w_τ·x` around the shape `e` of layer 2. A label moves `w_τ` along `P x`, by the slope of the pinball loss over
//! the density there: the stochastic Newton algorithm for quantiles (Bercu, Godichon, Portier 2020, for logistic regression;
//! Koenker 2005, section 4.2, for the density), with the densities of a Gaussian at the five levels instead of estimated ones.
//! Order on a label: `P`, then the five weights, each by its own quantile before the step.

use super::covariance::{Covariance, INPUTS_MAX, add_scaled, dot};
use crate::market::forecast::LEVELS;
use serde::{Deserialize, Serialize};

/// Standard normal density at the quantiles of [`LEVELS`], rounded.
const DENSITIES: [f64; 5] = [0.10, 0.33, 0.48, 0.33, 0.10];
/// Ridge per step of the horizon.
const RIDGE: f64 = 1000.0;

/// The regressions of one horizon.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QuantileRegression {
    covariance: Covariance,
    /// `[5, inputs]`
    weights: Vec<f64>,
}

impl QuantileRegression {
    /// For `steps` ahead, on so many inputs.
    ///
    /// # Panics
    /// When there are more than [`INPUTS_MAX`] of them.
    #[must_use]
    pub fn new(inputs: usize, steps: usize) -> Self {
        let covariance = Covariance::new(inputs, RIDGE * steps.max(1) as f64);
        Self { covariance, weights: vec![0.0; LEVELS.len() * inputs] }
    }

    /// Quantiles around the shape `base`, in units of the scale, ascending.
    #[must_use]
    pub fn predict(&self, x: &[f64], base: &[f64; 5]) -> [f64; 5] {
        let mut quantiles = *base;
        for (quantile, weights) in quantiles.iter_mut().zip(self.weights.chunks_exact(x.len())) {
            *quantile += dot(x, weights);
        }
        for at in 1..quantiles.len() {
            quantiles[at] = quantiles[at].max(quantiles[at - 1]);
        }
        quantiles
    }

    /// Takes in the scaled return that followed on `x` and the shape `base` at the issue.
    pub fn learn(&mut self, x: &[f64], base: &[f64; 5], scaled_return: f64) {
        let mut gain = [0.0; INPUTS_MAX];
        let gain = &mut gain[..x.len()];
        self.covariance.update(x, gain);
        for (level, weights) in self.weights.chunks_exact_mut(x.len()).enumerate() {
            let below = scaled_return <= base[level] + dot(x, weights);
            let slope = LEVELS[level] - f64::from(u8::from(below));
            add_scaled(weights, gain, slope / DENSITIES[level]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;
    use rand_distr::{Distribution, StandardNormal};

    /// Labels whose location and spread depend on `x`: the quantiles come out as the law that made them.
    #[test]
    fn finds_the_quantiles_of_a_linear_law() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let mut normal = || -> f64 { StandardNormal.sample(&mut rng) };
        let base = crate::evaluation::pinball::NORMAL_QUANTILES;
        let mut regression = QuantileRegression::new(2, 1);
        for _ in 0..100_000 {
            let x = [1.0, f64::from(u8::from(normal() > 0.0))];
            let label = 0.5 * x[1] + (1.0 + x[1]) * normal();
            regression.learn(&x, &base, label);
        }
        for x in [0.0, 1.0] {
            let quantiles = regression.predict(&[1.0, x], &base);
            for (quantile, normal) in quantiles.iter().zip(base) {
                let expected = 0.5 * x + (1.0 + x) * normal;
                assert!((quantile - expected).abs() < 0.05, "{x}: {quantiles:?}, {expected}");
            }
        }
    }
}
