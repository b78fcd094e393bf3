//! Matrix products on lanes. A tile of the result stays in registers while the inner dimension runs; weights are
//! broadcast, so they need no packing. Every number of a result is a sum in the order of the inner dimension, whatever
//! the tile: the width of the processor's vectors does not change bits.

use multiversion::multiversion;
use multiversion::target::match_target;

use super::lane::{LANE, Lane};

/// Repeats an expression for each row of a tile. Written out, because the compiler does not unroll loops of this size,
/// and a tile that is looped over stays in memory: measured 20 times slower.
macro_rules! each_row {
    ($rows:expr, $at:ident => $body:expr) => {
        each_row!($rows, $at => $body; 0 1 2 3 4 5 6 7)
    };
    ($rows:expr, $at:ident => $body:expr; $($index:literal)*) => {
        $(if $index < $rows {
            let $at = $index;
            $body;
        })*
    };
}

#[inline(always)]
fn add_products<const FMA: bool, const L: usize>(sums: &mut [Lane; L], weight: f32, right: &[Lane]) {
    for (sum, right) in sums.iter_mut().zip(right) {
        sum.add_product::<FMA>(weight, right);
    }
}

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
                each_row!(R, at => add_products::<FMA, L>(&mut sums[at], rows[at][k], right));
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
            each_row!(R, at => add_products::<FMA, L>(&mut sums[at], weights[at], right));
        }
        for (at, sums) in sums.iter().enumerate() {
            self.out[(row + at) * self.width + column..][..L].copy_from_slice(sums);
        }
    }
}

/// `out = Σ_t left_t · right_t` over steps, the inner dimension being the batch: `left` is `[steps, rows, batch]` lanes
/// along the batch, `right` `[steps, batch, width]` lanes along the columns, `out` `[rows, width]`.
pub(super) struct OverBatch<'a> {
    pub left: &'a [Lane],
    pub batch: usize,
    pub right: &'a [Lane],
    pub width: usize,
    pub out: &'a mut [Lane],
}

impl Product for OverBatch<'_> {
    #[inline(always)]
    fn tile<const FMA: bool, const R: usize, const L: usize>(&mut self, row: usize, column: usize) {
        let mut sums = [[Lane::ZERO; L]; R];
        let rows = self.out.len() / self.width;
        let lefts = self.left.chunks_exact(rows * self.batch);
        let rights = self.right.chunks_exact(self.batch * LANE * self.width);
        for (left, right) in lefts.zip(rights) {
            for block in 0..self.batch {
                let left: [&[f32; LANE]; R] = std::array::from_fn(|at| &left[(row + at) * self.batch + block].0);
                for (k, right) in right[block * LANE * self.width..].chunks_exact(self.width).take(LANE).enumerate() {
                    let right = &right[column..column + L];
                    each_row!(R, at => add_products::<FMA, L>(&mut sums[at], left[at][k], right));
                }
            }
        }
        for (at, sums) in sums.iter().enumerate() {
            self.out[(row + at) * self.width + column..][..L].copy_from_slice(sums);
        }
    }
}

#[rustversion::attr(since(1.89), multiversion(targets("x86_64+avx512f+avx512vl+avx2+fma", "x86_64+avx2+fma")))]
#[rustversion::attr(before(1.89), multiversion(targets("x86_64+avx2+fma")))]
pub(super) fn affine<const TERMS: usize>(mut product: Affine<'_, TERMS>) {
    let (rows, width) = (product.bias.len(), product.width);
    match_target! {
        "x86_64+avx512f+avx512vl+avx2+fma" => cover::<true, 8, 2>(&mut product, rows, width),
        "x86_64+avx2+fma" => cover::<true, 4, 1>(&mut product, rows, width),
        _ => cover::<false, 4, 1>(&mut product, rows, width),
    }
}

#[rustversion::attr(since(1.89), multiversion(targets("x86_64+avx512f+avx512vl+avx2+fma", "x86_64+avx2+fma")))]
#[rustversion::attr(before(1.89), multiversion(targets("x86_64+avx2+fma")))]
pub(super) fn transposed(mut product: Transposed<'_>) {
    let (rows, width) = (product.rows, product.width);
    match_target! {
        "x86_64+avx512f+avx512vl+avx2+fma" => cover::<true, 8, 2>(&mut product, rows, width),
        "x86_64+avx2+fma" => cover::<true, 4, 1>(&mut product, rows, width),
        _ => cover::<false, 4, 1>(&mut product, rows, width),
    }
}

#[rustversion::attr(since(1.89), multiversion(targets("x86_64+avx512f+avx512vl+avx2+fma", "x86_64+avx2+fma")))]
#[rustversion::attr(before(1.89), multiversion(targets("x86_64+avx2+fma")))]
pub(super) fn over_batch(mut product: OverBatch<'_>) {
    let (rows, width) = (product.out.len() / product.width, product.width);
    match_target! {
        "x86_64+avx512f+avx512vl+avx2+fma" => cover::<true, 8, 2>(&mut product, rows, width),
        "x86_64+avx2+fma" => cover::<true, 4, 1>(&mut product, rows, width),
        _ => cover::<false, 4, 1>(&mut product, rows, width),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: usize = 13;
    const WIDTH: usize = 3;
    const INNER: usize = 2 * LANE;

    fn wave(count: usize, speed: f32) -> Vec<f32> {
        (0..count).map(|at| (at as f32 * speed).sin()).collect()
    }

    fn wave_lanes(count: usize, speed: f32) -> Vec<Lane> {
        wave(count * LANE, speed).as_chunks::<LANE>().0.iter().copied().map(Lane).collect()
    }

    fn compute(product: impl FnOnce(&mut [Lane])) -> Vec<Lane> {
        let mut out = vec![Lane::splat(9.0); ROWS * WIDTH];
        product(&mut out);
        out
    }

    /// The tiles of every kind of processor agree: in bits where products are fused as here, else nearly.
    macro_rules! check {
        ($dispatch:ident, $out:ident => $product:expr) => {{
            let here = compute(|$out| $dispatch($product));
            let wide = compute(|$out| cover::<true, 8, 2>(&mut $product, ROWS, WIDTH));
            let narrow = compute(|$out| cover::<true, 4, 1>(&mut $product, ROWS, WIDTH));
            let plain = compute(|$out| cover::<false, 4, 1>(&mut $product, ROWS, WIDTH));
            assert_eq!(wide, narrow);
            assert_eq!(here, if crate::model::activation::fused() { narrow } else { plain.clone() });
            for (a, b) in wide.iter().flat_map(|lane| lane.0).zip(plain.iter().flat_map(|lane| lane.0)) {
                assert!((a - b).abs() < 1e-4, "{a} {b}");
            }
            here
        }};
    }

    #[test]
    fn affine_maps_agree_with_the_definition_on_every_kind_of_processor() {
        let (bias, weights) = (wave(ROWS, 0.7), wave(ROWS * INNER, 0.37));
        let right = wave_lanes(INNER * WIDTH, 0.11);
        let terms = [(&weights[..], &right[..]), (&weights[..ROWS * 3], &right[..3 * WIDTH])];
        let out = check!(affine, out => Affine { bias: &bias, terms, width: WIDTH, out });
        for (at, sum) in out.iter().enumerate() {
            let (row, column) = (at / WIDTH, at % WIDTH);
            let mut expected = bias[row];
            for (weights, right) in terms {
                let inner = right.len() / WIDTH;
                expected += (0..inner).map(|k| weights[row * inner + k] * right[k * WIDTH + column].0[5]).sum::<f32>();
            }
            assert!((sum.0[5] - expected).abs() < 1e-4, "{row} {column}");
        }
    }

    #[test]
    fn transposed_products_agree_with_the_definition_on_every_kind_of_processor() {
        let (weights, right) = (wave(INNER * ROWS, 0.37), wave_lanes(INNER * WIDTH, 0.11));
        let out = check!(transposed, out => Transposed {
            weights: &weights,
            rows: ROWS,
            right: &right,
            width: WIDTH,
            out
        });
        for (at, sum) in out.iter().enumerate() {
            let (row, column) = (at / WIDTH, at % WIDTH);
            let expected: f32 = (0..INNER).map(|k| weights[k * ROWS + row] * right[k * WIDTH + column].0[5]).sum();
            assert!((sum.0[5] - expected).abs() < 1e-4, "{row} {column}");
        }
    }

    #[test]
    fn products_over_the_batch_agree_with_the_definition_on_every_kind_of_processor() {
        let (steps, batch) = (2, INNER / LANE);
        let (left, right) = (wave_lanes(steps * ROWS * batch, 0.37), wave_lanes(steps * INNER * WIDTH, 0.11));
        let out = check!(over_batch, out => OverBatch { left: &left, batch, right: &right, width: WIDTH, out });
        for (at, sum) in out.iter().enumerate() {
            let (row, column) = (at / WIDTH, at % WIDTH);
            let term = |step: usize, k: usize| {
                let left = left[(step * ROWS + row) * batch + k / LANE].0[k % LANE];
                left * right[(step * INNER + k) * WIDTH + column].0[5]
            };
            let expected: f32 = (0..steps).flat_map(|step| (0..INNER).map(move |k| term(step, k))).sum();
            assert!((sum.0[5] - expected).abs() < 1e-4, "{row} {column}");
        }
    }
}
