//! Initial weights as Keras draws them for `LSTM(100)` and `Dense(1)`, in PyTorch's names and layouts.
//!
//! Kernels are Glorot-uniform: within ±√(6 / (inputs + outputs)), the LSTM's outputs being all four gates (Glorot and
//! Bengio 2010). The recurrent kernel is orthogonal: standard normal numbers made orthonormal (Saxe, McClelland and Ganguli
//! 2013). Biases are zero, but for the forget gate's, which is one.

use super::{HIDDEN, SHAPE};
use crate::model::lstm::{Lstm, uniform};
use crate::model::random_features::normal;
use crate::model::shape::ModelError;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;

/// Gates, all four.
const GATES: usize = 4 * HIDDEN;

/// Initial weights from `random_seed`.
///
/// # Errors
/// Never but for a fault in this program: names and sizes are [`SHAPE`]'s own.
pub fn weights(random_seed: u64) -> Result<Lstm, ModelError> {
    let mut random = ChaCha8Rng::seed_from_u64(random_seed);
    let mut lstm = Lstm::new(SHAPE, random_seed)?;
    lstm.set_tensor("weight_ih_l0", &glorot(&mut random, 1, GATES))?;
    lstm.set_tensor("weight_hh_l0", &orthogonal(&mut random))?;
    let mut bias = [0.0; GATES];
    bias[HIDDEN..2 * HIDDEN].fill(1.0);
    lstm.set_tensor("bias_ih_l0", &bias)?;
    lstm.set_tensor("bias_hh_l0", &[0.0; GATES])?;
    lstm.set_tensor("head.weight", &glorot(&mut random, HIDDEN, 1))?;
    lstm.set_tensor("head.bias", &[0.0])?;
    Ok(lstm)
}

fn glorot(random: &mut ChaCha8Rng, inputs: usize, outputs: usize) -> Vec<f32> {
    let limit = (6.0 / (inputs + outputs) as f32).sqrt();
    (0..inputs * outputs).map(|_| limit * (2.0 * uniform(random) - 1.0)).collect()
}

/// `[4H, H]` with orthonormal columns: each is made orthogonal to those before it, twice, since once leaves rounding behind
/// (modified Gram-Schmidt; the Q of a QR decomposition whose R has a positive diagonal, as Keras takes it).
fn orthogonal(random: &mut ChaCha8Rng) -> Vec<f32> {
    let mut columns: Vec<Vec<f64>> = Vec::with_capacity(HIDDEN);
    for _ in 0..HIDDEN {
        let mut column: Vec<f64> = (0..GATES).map(|_| normal(random)).collect();
        for _ in 0..2 {
            for before in &columns {
                let shared = product(before, &column);
                column.iter_mut().zip(before).for_each(|(value, before)| *value -= shared * before);
            }
        }
        let length = product(&column, &column).sqrt();
        column.iter_mut().for_each(|value| *value /= length);
        columns.push(column);
    }
    (0..GATES * HIDDEN).map(|at| columns[at % HIDDEN][at / HIDDEN] as f32).collect()
}

fn product(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(lstm: &Lstm, name: &str) -> Vec<f32> {
        lstm.tensors().find(|(tensor, _)| tensor.name == name).unwrap().1.to_vec()
    }

    #[test]
    fn kernels_fill_glorot_s_range_evenly() {
        let lstm = weights(1).unwrap();
        for (name, limit) in [("weight_ih_l0", (6.0_f32 / 401.0).sqrt()), ("head.weight", (6.0_f32 / 101.0).sqrt())] {
            let values = tensor(&lstm, name);
            let largest = values.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
            assert!(largest <= limit && largest > 0.95 * limit, "{name}: {largest} of {limit}");
            let mean = values.iter().sum::<f32>() / values.len() as f32;
            assert!(mean.abs() < 0.15 * limit, "{name}: {mean}");
        }
    }

    #[test]
    fn the_recurrent_kernel_is_orthogonal() {
        let kernel = tensor(&weights(1).unwrap(), "weight_hh_l0");
        for left in 0..HIDDEN {
            for right in 0..=left {
                let shared: f64 = kernel.chunks(HIDDEN).map(|row| f64::from(row[left]) * f64::from(row[right])).sum();
                let expected = if left == right { 1.0 } else { 0.0 };
                assert!((shared - expected).abs() < 1e-6, "{left}, {right}: {shared}");
            }
        }
    }

    #[test]
    fn the_forget_gate_starts_open_and_the_seed_decides() {
        let lstm = weights(1).unwrap();
        let bias = tensor(&lstm, "bias_ih_l0");
        assert!(bias.iter().enumerate().all(|(at, bias)| *bias == f32::from(u8::from(at / HIDDEN == 1))));
        assert!(tensor(&lstm, "bias_hh_l0").iter().all(|bias| *bias == 0.0));
        assert_eq!(lstm, weights(1).unwrap());
        assert_ne!(lstm, weights(2).unwrap());
    }
}
