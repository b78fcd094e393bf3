//! An expert on where the price goes: least squares of the scaled return on where the price comes from.

use super::covariance::{Covariance, add_scaled, dot};
use crate::features::LOCATION_INPUTS;
use serde::{Deserialize, Serialize};

/// Scaled returns are clipped to ± this, so that a jump does not decide.
const TARGET_MAX: f64 = 1.5;

/// The regression of one horizon.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LocationRegression {
    covariance: Covariance,
    weights: Vec<f64>,
}

impl LocationRegression {
    /// For `steps` ahead; the longer, the more its labels overlap and the less it trusts them.
    #[must_use]
    pub fn new(steps: usize) -> Self {
        let ridge = 1000.0 * if steps < 15 { 1.0 } else { steps as f64 / 5.0 };
        Self { covariance: Covariance::new(LOCATION_INPUTS, ridge), weights: vec![0.0; LOCATION_INPUTS] }
    }

    /// The expected return in units of the scale.
    #[must_use]
    pub fn predict(&self, inputs: &[f64; LOCATION_INPUTS]) -> f64 {
        dot(inputs, &self.weights)
    }

    /// Takes in the scaled return that followed on `inputs`.
    pub fn learn(&mut self, inputs: &[f64; LOCATION_INPUTS], scaled_return: f64) {
        let error = scaled_return.clamp(-TARGET_MAX, TARGET_MAX) - self.predict(inputs);
        let mut gain = [0.0; LOCATION_INPUTS];
        self.covariance.update(inputs, &mut gain);
        add_scaled(&mut self.weights, &gain, error);
    }
}
