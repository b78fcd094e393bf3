//! Layer 1 of the recipe in its simplest form: the scale of a horizon's log return.

use crate::features::BarStatistics;

/// `s_h = s60 * sqrt(h)`: the volatility of one step by EWMA with a half-life of 60 bars, carried `h` steps ahead as by a
/// random walk.
#[derive(Clone, Copy, Debug, Default)]
pub struct EwmaScale;

impl EwmaScale {
    /// The scale for `horizon` steps ahead.
    #[must_use]
    pub fn scale(&self, statistics: &BarStatistics, horizon: usize) -> f64 {
        statistics.volatility() * (horizon as f64).sqrt()
    }
}
