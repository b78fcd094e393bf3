//! Random features: fixed random projections through a tanh, so that a linear regression on them is not linear in the inputs
//! (Rahimi and Recht 2007; an extreme learning machine, Huang, Zhu and Siew 2006).

use core::f64::consts::TAU;
use multiversion::multiversion;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

/// How many there are.
pub const RANDOM_FEATURES: usize = 40;
/// Spread of the projections.
const GAIN: f64 = 1.5;

/// `tanh(1.5 R x / sqrt(inputs) + b)` with `R` and `b` standard normal.
#[derive(Clone, Debug, PartialEq)]
pub struct RandomFeatures {
    /// `[inputs, 40]`, the factor included.
    matrix: Vec<f64>,
    bias: Vec<f64>,
}

impl RandomFeatures {
    /// Drawn from `seed`.
    #[must_use]
    pub fn new(inputs: usize, seed: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let matrix: Vec<f64> = (0..inputs * RANDOM_FEATURES).map(|_| normal(&mut random)).collect();
        let bias: Vec<f64> = (0..RANDOM_FEATURES).map(|_| normal(&mut random)).collect();
        Self::given(&matrix, &bias)
    }

    /// With `matrix`, `[inputs, 40]`, and `bias`, `[40]`.
    ///
    /// # Panics
    /// When the lengths do not agree.
    #[must_use]
    pub fn given(matrix: &[f64], bias: &[f64]) -> Self {
        assert!(
            bias.len() == RANDOM_FEATURES && matrix.len().is_multiple_of(RANDOM_FEATURES),
            "matrix [inputs, 40], bias [40]"
        );
        let factor = GAIN / ((matrix.len() / RANDOM_FEATURES) as f64).sqrt();
        Self { matrix: matrix.iter().map(|value| value * factor).collect(), bias: bias.to_vec() }
    }

    /// Writes the features of `x` to `out`, `[40]`.
    pub fn write(&self, x: &[f64], out: &mut [f64; RANDOM_FEATURES]) {
        out.copy_from_slice(&self.bias);
        project(&self.matrix, x, out);
        out.iter_mut().for_each(|value| *value = libm::tanh(*value));
    }
}

/// `out += x R`, without fused multiply-add: the width of the processor's vectors changes no bit.
#[rustversion::attr(since(1.89), multiversion(targets("x86_64+avx512f+avx512vl+avx2", "x86_64+avx2")))]
#[rustversion::attr(before(1.89), multiversion(targets("x86_64+avx2")))]
fn project(matrix: &[f64], x: &[f64], out: &mut [f64; RANDOM_FEATURES]) {
    let (rows, _) = matrix.as_chunks::<RANDOM_FEATURES>();
    for (row, &x) in rows.iter().zip(x) {
        for (sum, weight) in out.iter_mut().zip(row) {
            *sum += weight * x;
        }
    }
}

/// A standard normal number (Box and Muller 1958).
pub(super) fn normal(random: &mut ChaCha8Rng) -> f64 {
    let mut uniform = || ((random.next_u64() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
    let radius = (-2.0 * libm::log(uniform())).sqrt();
    radius * libm::cos(TAU * uniform())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn are_standard_normal_projections() {
        let features = RandomFeatures::new(30, 1);
        let factor = GAIN / 30.0_f64.sqrt();
        let numbers: Vec<f64> = features.matrix.iter().map(|value| value / factor).collect();
        let mean = numbers.iter().sum::<f64>() / 1200.0;
        let square = numbers.iter().map(|x| x * x).sum::<f64>() / 1200.0;
        assert!(mean.abs() < 0.1 && (square - 1.0).abs() < 0.12, "{mean} {square}");
        let mut out = [0.0; RANDOM_FEATURES];
        features.write(&[0.0; 30], &mut out);
        assert!(out.iter().zip(&features.bias).all(|(out, bias)| *out == libm::tanh(*bias)));
        assert_ne!(features, RandomFeatures::new(30, 2));
    }
}
