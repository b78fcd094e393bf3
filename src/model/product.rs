//! Matrix products on lanes. A tile of the result stays in registers while the inner dimension runs; weights are
//! broadcast, so they need no packing. Every number of a result is a sum in the order of the inner dimension, whatever
//! the tile: the width of the processor's vectors does not change bits.

use multiversion::multiversion;
use multiversion::target::target_cfg_f;

use super::lane::{LANE, Lane};

/// A product that can compute any tile of its result.
trait Product {
    /// Computes `R` rows by `L` lanes from `(row, column)` on.
    fn tile<const FMA: bool, const R: usize, const L: usize>(&mut self, row: usize, column: usize);
}

/// Covers `rows` by `width` lanes with tiles of `R` by `L`, and smaller ones at the edges.
#[inline(always)]
fn cover<const FMA: bool, const R: usize, const L: usize>(product: &mut impl Product, rows: usize, width: usize) {
    let mut column = 0;
    while column + L <= width {
        cover_column::<FMA, R, L>(product, rows, column);
        column += L;
    }
    while column < width {
        cover_column::<FMA, R, 1>(product, rows, column);
        column += 1;
    }
}

#[inline(always)]
fn cover_column<const FMA: bool, const R: usize, const L: usize>(
    product: &mut impl Product,
    rows: usize,
    column: usize,
) {
    let mut row = 0;
    while row + R <= rows {
        product.tile::<FMA, R, L>(row, column);
        row += R;
    }
    while row + 4 <= rows {
        product.tile::<FMA, 4, L>(row, column);
        row += 4;
    }
    while row < rows {
        product.tile::<FMA, 1, L>(row, column);
        row += 1;
    }
}

/// `out = bias + Σ weights · right`: `out` is `[bias.len(), width]` lanes, each `right` `[columns, width]` with
/// `columns = weights.len() / bias.len()`. The terms are added in their order.
pub(super) struct Affine<'a, const TERMS: usize> {
    pub bias: &'a [f32],
    pub terms: [(&'a [f32], &'a [Lane]); TERMS],
    pub width: usize,
    pub out: &'a mut [Lane],
}

impl<const TERMS: usize> Product for Affine<'_, TERMS> {
    #[inline(always)]
    fn tile<const FMA: bool, const R: usize, const L: usize>(&mut self, row: usize, column: usize) {
        let mut sums = [[Lane::ZERO; L]; R];
        for (sums, bias) in sums.iter_mut().zip(&self.bias[row..row + R]) {
            *sums = [Lane::splat(*bias); L];
        }
        for (weights, right) in self.terms {
            let columns = right.len() / self.width;
            let rows: [&[f32]; R] = std::array::from_fn(|at| &weights[(row + at) * columns..][..columns]);
            for k in 0..columns {
                let right = &right[k * self.width + column..][..L];
                for (sums, row) in sums.iter_mut().zip(&rows) {
                    for (sum, right) in sums.iter_mut().zip(right) {
                        sum.add_product::<FMA>(row[k], right);
                    }
                }
            }
        }
        for (at, sums) in sums.iter().enumerate() {
            self.out[(row + at) * self.width + column..][..L].copy_from_slice(sums);
        }
    }
}

/// `out = weightsᵀ · right`: `weights` is `[inner, rows]`, `right` `[inner, width]` lanes, `out` `[rows, width]`.
pub(super) struct Transposed<'a> {
    pub weights: &'a [f32],
    pub rows: usize,
    pub right: &'a [Lane],
    pub width: usize,
    pub out: &'a mut [Lane],
}

impl Product for Transposed<'_> {
    #[inline(always)]
    fn tile<const FMA: bool, const R: usize, const L: usize>(&mut self, row: usize, column: usize) {
        let mut sums = [[Lane::ZERO; L]; R];
        for (weights, right) in self.weights.chunks_exact(self.rows).zip(self.right.chunks_exact(self.width)) {
            let weights = &weights[row..row + R];
            let right = &right[column..column + L];
            for (sums, weight) in sums.iter_mut().zip(weights) {
                for (sum, right) in sums.iter_mut().zip(right) {
                    sum.add_product::<FMA>(*weight, right);
                }
            }
        }
        for (at, sums) in sums.iter().enumerate() {
            self.out[(row + at) * self.width + column..][..L].copy_from_slice(sums);
        }
    }
}

/// `out = Σ_t left_t · right_t` over steps, the inner dimension being the batch: `left` is `[steps, rows, batch]` lanes
/// along the batch, `right` `[steps, batch, width]` lanes along the columns, `out` `[rows, columns]` floats.
pub(super) struct OverBatch<'a> {
    pub left: &'a [Lane],
    pub batch: usize,
    pub right: &'a [Lane],
    pub width: usize,
    pub columns: usize,
    pub out: &'a mut [f32],
}

impl Product for OverBatch<'_> {
    #[inline(always)]
    fn tile<const FMA: bool, const R: usize, const L: usize>(&mut self, row: usize, column: usize) {
        let mut sums = [[Lane::ZERO; L]; R];
        let rows = self.out.len() / self.columns;
        let lefts = self.left.chunks_exact(rows * self.batch);
        let rights = self.right.chunks_exact(self.batch * LANE * self.width);
        for (left, right) in lefts.zip(rights) {
            for block in 0..self.batch {
                let left: [&[f32; LANE]; R] = std::array::from_fn(|at| &left[(row + at) * self.batch + block].0);
                for (k, right) in right[block * LANE * self.width..].chunks_exact(self.width).take(LANE).enumerate() {
                    let right = &right[column..column + L];
                    for (sums, left) in sums.iter_mut().zip(&left) {
                        for (sum, right) in sums.iter_mut().zip(right) {
                            sum.add_product::<FMA>(left[k], right);
                        }
                    }
                }
            }
        }
        for (at, sums) in sums.iter().enumerate() {
            let out = &mut self.out[(row + at) * self.columns..][..self.columns];
            for (out, sums) in out[column * LANE..].chunks_mut(LANE).zip(sums) {
                out.copy_from_slice(&sums.0[..out.len()]);
            }
        }
    }
}

#[multiversion(targets("x86_64+avx512f+avx512vl+avx2+fma", "x86_64+avx2+fma"))]
pub(super) fn affine<const TERMS: usize>(mut product: Affine<'_, TERMS>) {
    let (rows, width) = (product.bias.len(), product.width);
    if target_cfg_f!(target_feature = "avx512f") {
        cover::<true, 8, 2>(&mut product, rows, width);
    } else if target_cfg_f!(target_feature = "fma") {
        cover::<true, 4, 1>(&mut product, rows, width);
    } else {
        cover::<false, 4, 1>(&mut product, rows, width);
    }
}

#[multiversion(targets("x86_64+avx512f+avx512vl+avx2+fma", "x86_64+avx2+fma"))]
pub(super) fn transposed(mut product: Transposed<'_>) {
    let (rows, width) = (product.rows, product.width);
    if target_cfg_f!(target_feature = "avx512f") {
        cover::<true, 8, 2>(&mut product, rows, width);
    } else if target_cfg_f!(target_feature = "fma") {
        cover::<true, 4, 1>(&mut product, rows, width);
    } else {
        cover::<false, 4, 1>(&mut product, rows, width);
    }
}

#[multiversion(targets("x86_64+avx512f+avx512vl+avx2+fma", "x86_64+avx2+fma"))]
pub(super) fn over_batch(mut product: OverBatch<'_>) {
    let (rows, width) = (product.out.len() / product.columns, product.width);
    if target_cfg_f!(target_feature = "avx512f") {
        cover::<true, 8, 2>(&mut product, rows, width);
    } else if target_cfg_f!(target_feature = "fma") {
        cover::<true, 4, 1>(&mut product, rows, width);
    } else {
        cover::<false, 4, 1>(&mut product, rows, width);
    }
}
