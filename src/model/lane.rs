//! Sixteen floats, aligned to a cache line: the unit in which a minibatch is stored.

/// Floats in a [`Lane`].
pub const LANE: usize = 16;

/// Sixteen neighbours of the fastest dimension; in a minibatch, one number of sixteen sequences.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[repr(C, align(64))]
pub struct Lane(pub [f32; LANE]);

impl Lane {
    /// Sixteen zeros.
    pub const ZERO: Self = Self([0.0; LANE]);

    /// The same number sixteen times.
    #[inline(always)]
    #[must_use]
    pub fn splat(value: f32) -> Self {
        Self([value; LANE])
    }

    /// Adds `a * b`, in one rounding where `FMA`.
    #[inline(always)]
    pub(super) fn add_product<const FMA: bool>(&mut self, a: f32, b: &Self) {
        for (sum, b) in self.0.iter_mut().zip(&b.0) {
            *sum = mul_add::<FMA>(a, *b, *sum);
        }
    }

    /// Sum of the sixteen, in a fixed order.
    #[inline(always)]
    #[must_use]
    pub fn sum(&self) -> f32 {
        let mut sums = self.0;
        let mut width = LANE / 2;
        while width > 0 {
            for at in 0..width {
                sums[at] += sums[at + width];
            }
            width /= 2;
        }
        sums[0]
    }
}

/// `a * b + c`, in one rounding where `FMA`. Callers know at compile time whether the processor has the instruction;
/// without it `f32::mul_add` would be a slow library call.
#[inline(always)]
pub(super) fn mul_add<const FMA: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

/// Lanes that hold `count` numbers.
#[must_use]
pub fn lanes(count: usize) -> usize {
    count.div_ceil(LANE)
}

/// Turns `[rows, columns]` (row-major floats) into `[columns, lanes(rows)]`; missing rows become zero.
pub(super) fn columns_to_lanes(rows: &[f32], columns: usize, out: &mut [Lane]) {
    let width = lanes(rows.len() / columns);
    let (all, _) = out.split_at_mut(columns * width);
    all.fill(Lane::ZERO);
    for (row, values) in rows.chunks_exact(columns).enumerate() {
        for (column, value) in values.iter().enumerate() {
            all[column * width + row / LANE].0[row % LANE] = *value;
        }
    }
}

/// Copies rows of `width` lanes to rows of `columns` floats, leaving out the padding.
pub(super) fn drop_padding(from: &[Lane], width: usize, columns: usize, to: &mut [f32]) {
    for (to, from) in to.chunks_exact_mut(columns).zip(from.chunks_exact(width)) {
        for (to, from) in to.chunks_mut(LANE).zip(from) {
            to.copy_from_slice(&from.0[..to.len()]);
        }
    }
}

/// Turns `[rows, width]` lanes (rows of `16 width` floats) into `[16 width, lanes(rows)]`; missing rows become zero.
pub(super) fn transpose(from: &[Lane], width: usize, to: &mut [Lane]) {
    let rows = from.len() / width;
    let out_width = lanes(rows);
    for column in 0..width {
        for block in 0..out_width {
            let mut square = [[0.0_f32; LANE]; LANE];
            for row in 0..LANE.min(rows - block * LANE) {
                square[row] = from[(block * LANE + row) * width + column].0;
            }
            for at in 0..LANE {
                let out = &mut to[(column * LANE + at) * out_width + block].0;
                for row in 0..LANE {
                    out[row] = square[row][at];
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transposing_twice_gives_the_same_numbers() {
        let mut value = 0.0;
        let mut next = || {
            value += 1.0;
            value
        };
        let from: Vec<Lane> = (0..20 * 2).map(|_| Lane(std::array::from_fn(|_| next()))).collect();
        let mut there = vec![Lane::splat(9.0); 32 * 2];
        transpose(&from, 2, &mut there);
        let mut back = vec![Lane::splat(9.0); 32 * 2];
        transpose(&there, 2, &mut back);
        assert_eq!(back[..40], from);
        assert!(back[40..].iter().all(|lane| *lane == Lane::ZERO));
    }

    #[test]
    fn rows_become_lanes_padded_with_zeros() {
        let rows = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let mut out = [Lane::splat(9.0); 2];
        columns_to_lanes(&rows, 2, &mut out);
        assert_eq!(out[0].0[..4], [1.0, 3.0, 5.0, 0.0]);
        assert_eq!(out[1].0[..4], [2.0, 4.0, 6.0, 0.0]);
    }
}
