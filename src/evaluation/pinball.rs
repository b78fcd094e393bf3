//! Pinball loss of published quantiles, in units of price.

use crate::market::forecast::LEVELS;

/// Standard normal quantiles at [`LEVELS`].
pub const NORMAL_QUANTILES: [f64; 5] =
    [-1.644_853_626_951_472_2, -0.674_489_750_196_081_7, 0.0, 0.674_489_750_196_081_7, 1.644_853_626_951_472_2];

/// Mean pinball (quantile) loss of `quantiles` at [`LEVELS`] when `actual` comes; Koenker and Bassett (1978).
#[must_use]
pub fn mean_pinball(quantiles: &[f64; 5], actual: f64) -> f64 {
    let losses = LEVELS.iter().zip(quantiles).map(|(level, quantile)| {
        let gap = actual - quantile;
        (level * gap).max((level - 1.0) * gap)
    });
    losses.sum::<f64>() / LEVELS.len() as f64
}

/// The standard normal distribution function.
#[must_use]
pub fn normal_cdf(x: f64) -> f64 {
    0.5 * libm::erfc(-x / core::f64::consts::SQRT_2)
}

/// How much wider a central interval of `coverage` is than that of 90 %, under the normal law.
#[must_use]
pub fn widening(coverage: f64) -> f64 {
    if (coverage - 0.9).abs() < 1e-12 {
        return 1.0;
    }
    let target = f64::midpoint(1.0, coverage);
    let (mut low, mut high) = (0.0, 40.0);
    for _ in 0..200 {
        let middle = f64::midpoint(low, high);
        if normal_cdf(middle) < target { low = middle } else { high = middle }
    }
    high / NORMAL_QUANTILES[4]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weighs_both_sides_by_the_level() {
        // 0.05·10, 0.25·10, 0.5·10, 0.75·10, 0.95·10 when the price comes 10 above all quantiles.
        assert!((mean_pinball(&[100.0; 5], 110.0) - 5.0).abs() < 1e-12);
        assert!((mean_pinball(&[100.0; 5], 90.0) - 5.0).abs() < 1e-12);
        assert!(
            (mean_pinball(&[90.0, 95.0, 100.0, 105.0, 110.0], 100.0) - (0.5 + 1.25 + 0.0 + 1.25 + 0.5) / 5.0).abs()
                < 1e-12
        );
    }
}
