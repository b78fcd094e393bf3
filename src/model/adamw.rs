//! Adam with decoupled weight decay, and clipping by the gradients' norm, both as in PyTorch.

use multiversion::multiversion;
use multiversion::target::target_cfg_f;
use serde::{Deserialize, Serialize};

use super::lane::{LANE, mul_add};
use super::shape::ModelError;

/// Settings of [`AdamW`]; the defaults are `torch.optim.AdamW`'s.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct AdamWSettings {
    /// Learning rate.
    pub learning_rate: f64,
    /// Decay of the gradients' mean.
    pub beta1: f64,
    /// Decay of the squared gradients' mean.
    pub beta2: f64,
    /// Added to the root of the squared gradients' mean.
    pub epsilon: f64,
    /// Each step multiplies the weights by `1 - learning_rate * weight_decay`; 0 gives Adam.
    pub weight_decay: f64,
}

impl Default for AdamWSettings {
    fn default() -> Self {
        Self { learning_rate: 1e-3, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.01 }
    }
}

/// The optimiser and its state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written")]
pub struct AdamW {
    settings: AdamWSettings,
    steps: u64,
    mean: Vec<f32>,
    square: Vec<f32>,
}

/// One step's constants.
struct Factors {
    keep: f32,
    mean_rate: f32,
    square_decay: f32,
    square_rate: f32,
    step_size: f32,
    root_scale: f32,
    epsilon: f32,
}

impl AdamW {
    /// An optimiser of `parameters` weights that has not yet made a step.
    #[must_use]
    pub fn new(settings: AdamWSettings, parameters: usize) -> Self {
        Self { settings, steps: 0, mean: vec![0.0; parameters], square: vec![0.0; parameters] }
    }

    /// The settings.
    #[must_use]
    pub fn settings(&self) -> &AdamWSettings {
        &self.settings
    }

    /// Sets the learning rate of the steps to come.
    pub fn set_learning_rate(&mut self, learning_rate: f64) {
        self.settings.learning_rate = learning_rate;
    }

    /// Sets what is added to the root in the steps to come.
    pub fn set_epsilon(&mut self, epsilon: f64) {
        self.settings.epsilon = epsilon;
    }

    /// Steps made.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Makes a step: changes the weights by their gradients.
    ///
    /// # Panics
    /// When a slice is not of the length the optimiser was made for.
    pub fn step(&mut self, weights: &mut [f32], gradients: &[f32]) {
        assert_eq!(weights.len(), self.mean.len(), "the optimiser was made for another number of weights");
        assert_eq!(gradients.len(), self.mean.len(), "the optimiser was made for another number of weights");
        self.steps += 1;
        let factors = self.factors();
        update(weights, gradients, &mut self.mean, &mut self.square, &factors);
    }

    /// The bias corrections are computed in f64, the weights' update in f32, as PyTorch does.
    #[allow(clippy::cast_possible_truncation)]
    fn factors(&self) -> Factors {
        let AdamWSettings { learning_rate, beta1, beta2, epsilon, weight_decay } = self.settings;
        let steps = i32::try_from(self.steps).unwrap_or(i32::MAX);
        let correction1 = 1.0 - libm::pow(beta1, f64::from(steps));
        let correction2 = 1.0 - libm::pow(beta2, f64::from(steps));
        Factors {
            keep: (1.0 - learning_rate * weight_decay) as f32,
            mean_rate: (1.0 - beta1) as f32,
            square_decay: beta2 as f32,
            square_rate: (1.0 - beta2) as f32,
            step_size: (learning_rate / correction1) as f32,
            root_scale: (1.0 / correction2.sqrt()) as f32,
            epsilon: epsilon as f32,
        }
    }
}

#[rustversion::attr(since(1.89), multiversion(targets("x86_64+avx512f+avx512vl+avx2+fma", "x86_64+avx2+fma")))]
#[rustversion::attr(before(1.89), multiversion(targets("x86_64+avx2+fma")))]
fn update(weights: &mut [f32], gradients: &[f32], means: &mut [f32], squares: &mut [f32], factors: &Factors) {
    if target_cfg_f!(target_feature = "fma") {
        update_all::<true>(weights, gradients, means, squares, factors);
    } else {
        update_all::<false>(weights, gradients, means, squares, factors);
    }
}

#[inline(always)]
fn update_all<const FMA: bool>(
    weights: &mut [f32],
    gradients: &[f32],
    means: &mut [f32],
    squares: &mut [f32],
    factors: &Factors,
) {
    let Factors { keep, mean_rate, square_decay, square_rate, step_size, root_scale, epsilon } = *factors;
    for (((weight, gradient), mean), square) in weights.iter_mut().zip(gradients).zip(means).zip(squares) {
        *mean = mul_add::<FMA>(mean_rate, gradient - *mean, *mean);
        *square = mul_add::<FMA>(square_rate * gradient, *gradient, square_decay * *square);
        let root = mul_add::<FMA>(square.sqrt(), root_scale, epsilon);
        *weight = mul_add::<FMA>(-step_size, *mean / root, keep * *weight);
    }
}

/// Scales the gradients so that their Euclidean norm is at most `max_norm`, as `torch.nn.utils.clip_grad_norm_` does,
/// and returns the norm they had. The norm is summed in f64; where it is not finite, so are the gradients afterwards.
#[allow(clippy::cast_possible_truncation)]
pub fn clip_norm(gradients: &mut [f32], max_norm: f64) -> f64 {
    let norm = sum_of_squares(gradients).sqrt();
    let scale = max_norm / (norm + 1e-6);
    if scale < 1.0 || scale.is_nan() {
        let scale = scale as f32;
        for gradient in gradients {
            *gradient *= scale;
        }
    }
    norm
}

/// Sixteen partial sums, added in a fixed order at the end.
#[rustversion::attr(since(1.89), multiversion(targets("x86_64+avx512f+avx512vl+avx2+fma", "x86_64+avx2+fma")))]
#[rustversion::attr(before(1.89), multiversion(targets("x86_64+avx2+fma")))]
fn sum_of_squares(values: &[f32]) -> f64 {
    let mut sums = [0.0_f64; LANE];
    let (chunks, rest) = values.as_chunks::<LANE>();
    for chunk in chunks {
        for (sum, value) in sums.iter_mut().zip(chunk) {
            *sum += f64::from(*value) * f64::from(*value);
        }
    }
    for (sum, value) in sums.iter_mut().zip(rest) {
        *sum += f64::from(*value) * f64::from(*value);
    }
    sums.iter().sum()
}

/// [`AdamW`] as it was written, before its lengths are checked.
#[derive(Deserialize)]
struct Written {
    settings: AdamWSettings,
    steps: u64,
    mean: Vec<f32>,
    square: Vec<f32>,
}

impl TryFrom<Written> for AdamW {
    type Error = ModelError;

    fn try_from(Written { settings, steps, mean, square }: Written) -> Result<Self, ModelError> {
        if mean.len() == square.len() {
            Ok(Self { settings, steps, mean, square })
        } else {
            Err(ModelError::Length { name: "square".into(), expected: mean.len(), found: square.len() })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clipping_shortens_long_gradients_only() {
        let mut long = vec![3.0_f32; 25];
        assert!((clip_norm(&mut long, 1.0) - 15.0).abs() < 1e-12);
        assert!((sum_of_squares(&long).sqrt() - 1.0).abs() < 1e-6);
        let mut short = vec![0.1_f32; 25];
        assert!((clip_norm(&mut short, 1.0) - 0.5).abs() < 1e-6);
        assert!(short.iter().all(|value| *value == 0.1));
    }

    #[test]
    fn a_state_written_and_read_goes_on_with_the_same_bits() {
        let gradients: Vec<f32> = (0..37).map(|at| (at as f32 * 0.7).sin()).collect();
        let mut weights = vec![0.5_f32; 37];
        let mut optimiser = AdamW::new(AdamWSettings::default(), 37);
        for _ in 0..3 {
            optimiser.step(&mut weights, &gradients);
        }
        let mut read: AdamW = serde_json::from_str(&serde_json::to_string(&optimiser).unwrap()).unwrap();
        assert_eq!(read, optimiser);
        let mut other = weights.clone();
        optimiser.step(&mut weights, &gradients);
        read.step(&mut other, &gradients);
        assert_eq!(weights, other);
    }
}
