//! Exponentially weighted means.

use serde::{Deserialize, Serialize};

/// Exponentially weighted mean with a half-life in bars, corrected for its start.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ewma {
    decay: f64,
    sum: f64,
    weight: f64,
}

impl Ewma {
    /// With a half-life of `bars`.
    #[must_use]
    pub fn new(bars: f64) -> Self {
        Self { decay: libm::exp2(-1.0 / bars), sum: 0.0, weight: 0.0 }
    }

    /// Takes in the next bar's value.
    pub fn add(&mut self, value: f64) {
        self.sum = self.decay * self.sum + (1.0 - self.decay) * value;
        self.weight = self.decay * self.weight + (1.0 - self.decay);
    }

    /// Takes in `count` zeros.
    pub fn add_zeros(&mut self, count: i64) {
        let decay = libm::pow(self.decay, count.max(0) as f64);
        self.sum *= decay;
        self.weight = 1.0 - (1.0 - self.weight) * decay;
    }

    /// The mean so far; 0 before the first value.
    #[must_use]
    pub fn value(&self) -> f64 {
        if self.weight > 0.0 { self.sum / self.weight } else { 0.0 }
    }
}

/// The same quantity at several half-lives.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ewmas(Vec<Ewma>);

impl Ewmas {
    /// With these half-lives in bars.
    #[must_use]
    pub fn new(half_lives: &[f64]) -> Self {
        Self(half_lives.iter().map(|&bars| Ewma::new(bars)).collect())
    }

    /// Takes in the next bar's value.
    pub fn add(&mut self, value: f64) {
        self.0.iter_mut().for_each(|mean| mean.add(value));
    }

    /// Takes in `count` zeros.
    pub fn add_zeros(&mut self, count: i64) {
        self.0.iter_mut().for_each(|mean| mean.add_zeros(count));
    }

    /// The mean at the half-life that was named at `place`.
    #[must_use]
    pub fn value(&self, place: usize) -> f64 {
        self.0[place].value()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_half_life_later_a_value_counts_half() {
        let mut means = Ewmas::new(&[4.0, 1e9]);
        means.add(1.0);
        assert_eq!((means.value(0), means.value(1)), (1.0, 1.0));
        (0..4).for_each(|_| means.add(0.0));
        // Weights 1/2 for the first, and those of the four others add up with it to 1/2 + 1/2 (1 + .. ) / (..): by the formula.
        let mut at_once = Ewmas::new(&[4.0, 1e9]);
        at_once.add(1.0);
        at_once.add_zeros(4);
        assert!((at_once.value(0) - means.value(0)).abs() < 1e-12 && (at_once.value(1) - means.value(1)).abs() < 1e-6);
        let a = 0.5_f64.powf(0.25);
        let expected = a.powi(4) / (0..5).map(|n| a.powi(n)).sum::<f64>();
        assert!((means.value(0) - expected).abs() < 1e-12);
        assert!((means.value(1) - 0.2).abs() < 1e-6);
    }
}
