//! Exponential mean of the weights: forecasts use it instead of the weights themselves, which jump with every minibatch.

use serde::{Deserialize, Serialize};

/// The mean of a slice of weights over the steps so far.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WeightAverage {
    mean: Vec<f32>,
}

impl WeightAverage {
    /// Starts at the weights themselves.
    #[must_use]
    pub fn new(weights: &[f32]) -> Self {
        Self { mean: weights.to_vec() }
    }

    /// The mean.
    #[must_use]
    pub fn flat(&self) -> &[f32] {
        &self.mean
    }

    /// Moves the mean by `rate`, within [0, 1], of its distance to the weights: 0 leaves it, 1 sets it.
    ///
    /// # Panics
    /// When the weights have another length.
    pub fn lerp(&mut self, weights: &[f32], rate: f32) {
        assert_eq!(weights.len(), self.mean.len(), "the mean was made for another number of weights");
        for (mean, weight) in self.mean.iter_mut().zip(weights) {
            // Exact at both ends, as torch.lerp.
            *mean = if rate < 0.5 { *mean + rate * (weight - *mean) } else { weight - (weight - *mean) * (1.0 - rate) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_0_and_1_are_exact_and_those_between_are_between() {
        let weights = [0.3, -7.1, 1e-9];
        let mut average = WeightAverage::new(&[1.7, 2.9, 1e9]);
        average.lerp(&weights, 0.0);
        assert_eq!(average.flat(), [1.7, 2.9, 1e9]);
        average.lerp(&weights, 0.25);
        assert!((average.flat()[0] - 1.35).abs() < 1e-6 && (average.flat()[1] - 0.4).abs() < 1e-6);
        average.lerp(&weights, 1.0);
        assert_eq!(average.flat(), weights);
    }
}
