//! The matrix that online regressions share: `P`, the inverse of `ridge I + Σ x x'`.

use multiversion::multiversion;
use serde::{Deserialize, Serialize};

/// `P` of recursive least squares without forgetting (Plackett 1950): symmetric to the bit, since each entry is changed by a
/// product that commutes. Cost O(inputs²) per update.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Covariance {
    inputs: usize,
    /// `[inputs, inputs]`
    entries: Vec<f64>,
}

impl Covariance {
    /// `I / ridge`.
    #[must_use]
    pub fn new(inputs: usize, ridge: f64) -> Self {
        let mut entries = vec![0.0; inputs * inputs];
        entries.iter_mut().step_by(inputs + 1).for_each(|diagonal| *diagonal = 1.0 / ridge);
        Self { inputs, entries }
    }

    /// Takes in `x`: gives `k = P x / (1 + x' P x)` with the old `P` in `gain`, and lowers `P` by `k (P x)'`.
    ///
    /// # Panics
    /// When a slice is not of the number of inputs.
    pub fn update(&mut self, x: &[f64], gain: &mut [f64]) {
        assert!(x.len() == self.inputs && gain.len() == self.inputs, "made for {} inputs", self.inputs);
        update(&mut self.entries, x, gain);
    }
}

/// Elementwise products and sums in a fixed order: the width of the processor's vectors changes no bit. No fused
/// multiply-add, so that processors with and without it agree.
#[rustversion::attr(since(1.89), multiversion(targets("x86_64+avx512f+avx512vl+avx2", "x86_64+avx2")))]
#[rustversion::attr(before(1.89), multiversion(targets("x86_64+avx2")))]
fn update(entries: &mut [f64], x: &[f64], gain: &mut [f64]) {
    let inputs = x.len();
    gain.fill(0.0);
    for (row, &x) in entries.chunks_exact(inputs).zip(x) {
        for (sum, entry) in gain.iter_mut().zip(row) {
            *sum += x * entry;
        }
    }
    let mut quadratic = 0.0;
    for (x, sum) in x.iter().zip(gain.iter()) {
        quadratic += x * sum;
    }
    // Not negative but for rounding.
    let divisor = 1.0 + f64::max(quadratic, 0.0);
    let root = divisor.sqrt();
    gain.iter_mut().for_each(|value| *value /= root);
    for (at, row) in entries.chunks_exact_mut(inputs).enumerate() {
        let factor = gain[at];
        for (entry, value) in row.iter_mut().zip(gain.iter()) {
            *entry -= factor * value;
        }
        // Rounding must not turn certainty into its opposite.
        row[at] = row[at].max(0.0);
    }
    gain.iter_mut().for_each(|value| *value /= root);
}

/// `Σ x w`: eight sums side by side, added up at the end.
#[must_use]
pub fn dot(x: &[f64], weights: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let (xs, ws) = (x.chunks_exact(8), weights.chunks_exact(8));
    let rest: f64 = xs.remainder().iter().zip(ws.remainder()).map(|(x, weight)| x * weight).sum();
    for (xs, ws) in xs.zip(ws) {
        for (sum, (x, weight)) in sums.iter_mut().zip(xs.iter().zip(ws)) {
            *sum += x * weight;
        }
    }
    sums.iter().sum::<f64>() + rest
}

/// `weights += gain * by`.
pub fn add_scaled(weights: &mut [f64], gain: &[f64], by: f64) {
    for (weight, gain) in weights.iter_mut().zip(gain) {
        *weight += gain * by;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array1, Array2};
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;
    use rand_distr::{Distribution, StandardNormal};

    /// `P` times `ridge I + Σ x x'` is the identity, and the weights are those of ridge regression in one go.
    #[test]
    fn agrees_with_ridge_regression_in_one_go() {
        const N: usize = 7;
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut normal = || -> f64 { StandardNormal.sample(&mut rng) };
        let mut covariance = Covariance::new(N, 3.0);
        let mut information = Array2::<f64>::eye(N) * 3.0;
        let (mut weights, mut gain, mut products) = ([0.0; N], [0.0; N], Array1::<f64>::zeros(N));
        for _ in 0..500 {
            let x: Array1<f64> = (0..N).map(|_| normal()).collect();
            let y = x[0] - 2.0 * x[3] + 0.1 * normal();
            let column = x.view().insert_axis(ndarray::Axis(1));
            information = information + column.dot(&column.t());
            products = products + &x * y;
            let x = x.to_vec();
            let error = y - dot(&x, &weights);
            covariance.update(&x, &mut gain);
            add_scaled(&mut weights, &gain, error);
        }
        let p = Array2::from_shape_vec((N, N), covariance.entries.clone()).unwrap();
        assert_eq!(p, p.t());
        let identity = p.dot(&information);
        assert!((&identity - &Array2::<f64>::eye(N)).iter().all(|gap: &f64| gap.abs() < 1e-9), "{identity}");
        let best = p.dot(&products);
        assert!(best.iter().zip(&weights).all(|(a, b)| (a - b).abs() < 1e-9), "{best} {weights:?}");
    }

    #[test]
    fn a_million_equal_inputs_leave_it_finite() {
        let mut covariance = Covariance::new(3, 1e-3);
        let mut gain = [0.0; 3];
        for _ in 0..1_000_000 {
            covariance.update(&[1.0, 4.0, -4.0], &mut gain);
        }
        assert!(gain.iter().all(|g| g.is_finite()) && covariance.entries.iter().all(|p| p.is_finite()));
        assert!((0..3).all(|at| covariance.entries[at * 4] >= 0.0));
    }
}
