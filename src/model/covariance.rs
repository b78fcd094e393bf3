//! The matrix that online regressions share: `P`, the inverse of `ridge I + Σ x x'`.

use multiversion::multiversion;
use serde::{Deserialize, Serialize};

/// Numbers side by side.
const BLOCK: usize = 8;
/// Rows of a block that are summed up together: as many sums as the narrower processors have registers for.
const ROWS: usize = 4;
/// The most inputs.
pub const INPUTS_MAX: usize = 96;

type Block = [f64; BLOCK];
/// Inputs, in blocks.
type Blocks = [Block; INPUTS_MAX / BLOCK];

/// `P` of recursive least squares without forgetting (Plackett 1950). Cost O(inputs²) per update.
///
/// It is symmetric, so that only the blocks on and above the diagonal are kept: nearly half of the memory, and of the work
/// of lowering it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Covariance {
    inputs: usize,
    /// Eight rows after eight rows, each from the block on the diagonal to the last one; zeros beyond the inputs.
    entries: Vec<f64>,
}

impl Covariance {
    /// `I / ridge`.
    ///
    /// # Panics
    /// When there are more than [`INPUTS_MAX`] inputs.
    #[must_use]
    pub fn new(inputs: usize, ridge: f64) -> Self {
        assert!(inputs <= INPUTS_MAX, "at most {INPUTS_MAX} inputs");
        let blocks = inputs.div_ceil(BLOCK);
        let mut covariance = Self { inputs, entries: vec![0.0; BLOCK * BLOCK * blocks * (blocks + 1) / 2] };
        (0..inputs).for_each(|at| *covariance.diagonal(at) = 1.0 / ridge);
        covariance
    }

    fn diagonal(&mut self, at: usize) -> &mut f64 {
        let (blocks, block) = (self.inputs.div_ceil(BLOCK), at / BLOCK);
        let before = BLOCK * BLOCK * (block * blocks - block * block.saturating_sub(1) / 2);
        let row = at % BLOCK * BLOCK * (blocks - block);
        &mut self.entries[before + row + at % BLOCK]
    }

    /// Takes in `x`: gives `k = P x / (1 + x' P x)` with the old `P` in `gain`, and lowers `P` by `k (P x)'`.
    ///
    /// # Panics
    /// When a slice is not of the number of inputs.
    pub fn update(&mut self, x: &[f64], gain: &mut [f64]) {
        assert!(x.len() == self.inputs && gain.len() == self.inputs, "made for {} inputs", self.inputs);
        let (mut padded, mut gains) = ([[0.0; BLOCK]; INPUTS_MAX / BLOCK], [[0.0; BLOCK]; INPUTS_MAX / BLOCK]);
        padded.as_flattened_mut()[..x.len()].copy_from_slice(x);
        update(self.entries.as_chunks_mut().0, self.inputs.div_ceil(BLOCK), &padded, &mut gains);
        gain.copy_from_slice(&gains.as_flattened()[..gain.len()]);
    }
}

/// Products and sums in a fixed order: the width of the processor's vectors changes no bit. No fused multiply-add, so that
/// processors with and without it agree.
#[rustversion::attr(since(1.89), multiversion(targets("x86_64+avx512f+avx512vl+avx2", "x86_64+avx2")))]
#[rustversion::attr(before(1.89), multiversion(targets("x86_64+avx2")))]
fn update(entries: &mut [Block], blocks: usize, x: &Blocks, gain: &mut Blocks) {
    product(entries, &x[..blocks], &mut gain[..blocks]);
    let mut sums = [0.0; BLOCK];
    for (x, gain) in x[..blocks].iter().zip(gain.iter()) {
        add_products(&mut sums, x, gain);
    }
    // Not negative but for rounding.
    let divisor = 1.0 + f64::max(sum(&sums), 0.0);
    let root = divisor.sqrt();
    gain[..blocks].as_flattened_mut().iter_mut().for_each(|value| *value /= root);
    lower(entries, &gain[..blocks]);
    gain[..blocks].as_flattened_mut().iter_mut().for_each(|value| *value /= root);
}

/// `sums = P x`; `sums` are 0 before. Each entry above the diagonal counts twice: for its column, and for its row.
#[inline(always)]
fn product(entries: &[Block], x: &[Block], sums: &mut [Block]) {
    let mut rest = entries;
    for at in 0..x.len() {
        let (x, sums) = (&x[at..], &mut sums[at..]);
        let width = x.len();
        for row in (0..BLOCK).step_by(ROWS) {
            let rows: [&[Block]; ROWS] = std::array::from_fn(|n| &rest[(row + n) * width..][..width]);
            let factors: [f64; ROWS] = std::array::from_fn(|n| x[0][row + n]);
            let mut across = [[0.0; BLOCK]; ROWS];
            for (across, row) in across.iter_mut().zip(rows) {
                add_products(across, &row[0], &x[0]);
            }
            for column in 1..width {
                let (x, mut down) = (&x[column], sums[column]);
                for n in 0..ROWS {
                    let entries = &rows[n][column];
                    for k in 0..BLOCK {
                        down[k] += factors[n] * entries[k];
                        across[n][k] += entries[k] * x[k];
                    }
                }
                sums[column] = down;
            }
            for (n, across) in across.iter().enumerate() {
                sums[0][row + n] += sum(across);
            }
        }
        rest = &rest[BLOCK * width..];
    }
}

/// `P -= g g'`.
#[inline(always)]
fn lower(entries: &mut [Block], gain: &[Block]) {
    let mut rest = entries;
    for at in 0..gain.len() {
        let gain = &gain[at..];
        let (rows, after) = rest.split_at_mut(BLOCK * gain.len());
        for (n, row) in rows.chunks_exact_mut(gain.len()).enumerate() {
            let row = row.as_flattened_mut();
            let factor = gain[0][n];
            for (entry, value) in row.iter_mut().zip(gain.as_flattened()) {
                *entry -= factor * value;
            }
            // Rounding must not turn certainty into its opposite.
            row[n] = row[n].max(0.0);
        }
        rest = after;
    }
}

#[inline(always)]
fn add_products(sums: &mut Block, a: &Block, b: &Block) {
    for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
        *sum += a * b;
    }
}

/// The sum of eight, in a fixed order.
#[inline(always)]
fn sum(values: &Block) -> f64 {
    let [a, b, c, d, e, f, g, h] = values;
    ((a + e) + (c + g)) + ((b + f) + (d + h))
}

/// `Σ x w`: eight sums side by side, added up at the end.
#[must_use]
#[rustversion::attr(since(1.89), multiversion(targets("x86_64+avx512f+avx512vl+avx2", "x86_64+avx2")))]
#[rustversion::attr(before(1.89), multiversion(targets("x86_64+avx2")))]
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

    /// All of `P`.
    fn whole(covariance: &Covariance) -> Array2<f64> {
        let (blocks, mut rows) = (covariance.inputs.div_ceil(BLOCK), covariance.entries.as_slice());
        let mut p = Array2::zeros((covariance.inputs, covariance.inputs));
        for row in 0..blocks * BLOCK {
            let first = row / BLOCK * BLOCK;
            let (entries, rest) = rows.split_at(blocks * BLOCK - first);
            for (entry, column) in entries.iter().zip(first..) {
                if row.max(column) < covariance.inputs {
                    p[(row, column)] = *entry;
                    p[(column, row)] = *entry;
                } else {
                    assert_eq!(*entry, 0.0, "beyond the inputs");
                }
            }
            rows = rest;
        }
        assert!(rows.is_empty());
        p
    }

    /// `P` times `ridge I + Σ x x'` is the identity, and the weights are those of ridge regression in one go.
    #[test]
    fn agrees_with_ridge_regression_in_one_go() {
        // Less than a block, whole blocks, the most that the model has.
        for inputs in [7, 16, 77] {
            check_ridge_regression(inputs);
        }
    }

    fn check_ridge_regression(inputs: usize) {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut normal = || -> f64 { StandardNormal.sample(&mut rng) };
        let mut covariance = Covariance::new(inputs, 3.0);
        let mut information = Array2::<f64>::eye(inputs) * 3.0;
        let (mut weights, mut gain) = (vec![0.0; inputs], vec![0.0; inputs]);
        let mut products = Array1::<f64>::zeros(inputs);
        for _ in 0..500 {
            let x: Array1<f64> = (0..inputs).map(|_| normal()).collect();
            let y = x[0] - 2.0 * x[3] + 0.1 * normal();
            let column = x.view().insert_axis(ndarray::Axis(1));
            information = information + column.dot(&column.t());
            products = products + &x * y;
            let x = x.to_vec();
            let error = y - dot(&x, &weights);
            covariance.update(&x, &mut gain);
            add_scaled(&mut weights, &gain, error);
        }
        let p = whole(&covariance);
        let identity = p.dot(&information);
        assert!((&identity - &Array2::<f64>::eye(inputs)).iter().all(|gap: &f64| gap.abs() < 1e-9), "{identity}");
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
        assert!((0..3).all(|at| *covariance.diagonal(at) >= 0.0));
    }
}
