//! Sums of what a mean or a ratio needs, for a bin of time, an hour of the day, a range of volatility.

use super::bins::Merge;

/// Basis points in one.
pub(super) const BPS: f64 = 1e4;

/// Sums over scores; errors and losses in basis points of the last price.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Sums {
    pub count: u64,
    pub covered: u64,
    pub error: f64,
    pub naive_error: f64,
    pub pinball: f64,
    pub naive_pinball: f64,
}

impl Merge for Sums {
    fn merge(&mut self, other: &Self) {
        let Self { count, covered, error, naive_error, pinball, naive_pinball } = other;
        self.count += count;
        self.covered += covered;
        self.error += error;
        self.naive_error += naive_error;
        self.pinball += pinball;
        self.naive_pinball += naive_pinball;
    }
}

impl Sums {
    pub fn mae_bps(&self) -> Option<f64> {
        mean(self.error, self.count)
    }

    pub fn naive_mae_bps(&self) -> Option<f64> {
        mean(self.naive_error, self.count)
    }

    pub fn mae_ratio(&self) -> Option<f64> {
        ratio(self.error, self.naive_error)
    }

    pub fn pinball_ratio(&self) -> Option<f64> {
        ratio(self.pinball, self.naive_pinball)
    }

    pub fn coverage(&self) -> Option<f64> {
        mean(self.covered as f64, self.count)
    }
}

/// `sum / count`; none of nothing.
pub(super) fn mean(sum: f64, count: u64) -> Option<f64> {
    (count > 0).then(|| sum / count as f64)
}

/// `a / b`; none where there is nothing to compare with.
pub(super) fn ratio(a: f64, b: f64) -> Option<f64> {
    (b > 0.0).then(|| a / b)
}
