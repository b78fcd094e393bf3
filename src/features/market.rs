//! The market as a whole: the mean return of all symbols with a bar in a step, in units of each one's volatility.
//!
//! What moved all others moves a symbol a little later, most of all a sparse one. Sums are integers, so that any number of
//! workers adds them up to the same bits; a step's mean is known when all workers have closed it, and enters forecasts issued
//! at that step.

use super::{Ewma, MARKET_INPUTS};
use crate::market::Ohlcv;
use serde::{Deserialize, Serialize};

/// What forecasts see of the market at a step: its mean return in that step and the one before, and its exponentially
/// weighted means with half-lives of 5 and 20 steps, times the root of twice the half-life.
pub type MarketInputs = [f64; MARKET_INPUTS];

/// Returns are clipped to ± this, in units of volatility.
const RETURN_MAX: f64 = 4.0;
/// Units of the sums.
const UNIT: f64 = (1_u64 << 32) as f64;
/// Half-lives in steps.
const STEPS: [f64; 2] = [5.0, 20.0];
/// A market of fewer symbols in a step says nothing.
const SYMBOLS_MIN: u32 = 2;

/// One symbol's last close and volatility: just what its share in the market takes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SymbolReturn {
    log_close: Option<f64>,
    squared_return: Ewma,
}

impl Default for SymbolReturn {
    fn default() -> Self {
        Self { log_close: None, squared_return: Ewma::new(60.0) }
    }
}

impl SymbolReturn {
    /// The next bar's return in units of the volatility, this return included; the first bar's counts from its open.
    pub fn step(&mut self, bar: &Ohlcv) -> f64 {
        let close = libm::log(bar.close.to_f64());
        let change = close - self.log_close.unwrap_or_else(|| libm::log(bar.open.to_f64()));
        self.log_close = Some(close);
        self.squared_return.add(change * change);
        (change / (self.squared_return.value() + 1e-12).sqrt()).clamp(-RETURN_MAX, RETURN_MAX)
    }
}

/// A sum over symbols with a bar in one step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MarketSum {
    /// In units of 2⁻³².
    sum: i64,
    symbols: u32,
}

impl MarketSum {
    /// Adds one symbol's scaled return.
    pub fn add(&mut self, scaled_return: f64) {
        self.sum += (scaled_return * UNIT) as i64;
        self.symbols += 1;
    }

    /// Adds another worker's sum.
    pub fn merge(&mut self, other: &Self) {
        self.sum += other.sum;
        self.symbols += other.symbols;
    }

    fn mean(&self) -> f64 {
        if self.symbols < SYMBOLS_MIN { 0.0 } else { self.sum as f64 / UNIT / f64::from(self.symbols) }
    }
}

/// From sums to inputs, step by step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Market {
    /// Number of the last step and its mean.
    last: Option<(i64, f64)>,
    means: [Ewma; STEPS.len()],
}

impl Default for Market {
    fn default() -> Self {
        Self { last: None, means: STEPS.map(Ewma::new) }
    }
}

impl Market {
    /// The inputs of step number `step`, after that of the last call; steps between had no bar of any symbol.
    pub fn step(&mut self, step: i64, sum: &MarketSum) -> MarketInputs {
        let mean = sum.mean();
        let mut before = 0.0;
        if let Some((last, last_mean)) = self.last {
            debug_assert!(step > last, "steps come in order");
            // After so many steps without a bar the means are 0.
            for _ in 0..(step - last - 1).min(1000) {
                self.means.iter_mut().for_each(|of| of.add(0.0));
            }
            before = if step == last + 1 { last_mean } else { 0.0 };
        }
        self.means.iter_mut().for_each(|of| of.add(mean));
        self.last = Some((step, mean));
        let [five, twenty] = std::array::from_fn(|at| (2.0 * STEPS[at]).sqrt() * self.means[at].value());
        [mean, before, five, twenty]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::Fixed;

    #[test]
    fn sums_are_the_same_in_any_grouping() {
        let returns: Vec<f64> = (0..100).map(|n| (f64::from(n) * 0.7).sin() * 4.0).collect();
        let mut whole = MarketSum::default();
        returns.iter().for_each(|r| whole.add(*r));
        for workers in [2, 3, 7] {
            let mut parts = vec![MarketSum::default(); workers];
            returns.iter().enumerate().for_each(|(at, r)| parts[at % workers].add(*r));
            let total = parts.iter().rev().fold(MarketSum::default(), |mut sum, part| {
                sum.merge(part);
                sum
            });
            assert_eq!(total, whole);
        }
    }

    #[test]
    fn inputs_are_means_of_the_returns() {
        let mut market = Market::default();
        let sum = |values: &[f64]| {
            let mut sum = MarketSum::default();
            values.iter().for_each(|value| sum.add(*value));
            sum
        };
        let inputs = market.step(10, &sum(&[1.0, 3.0]));
        assert_eq!(inputs[..2], [2.0, 0.0]);
        assert!((inputs[2] - 10_f64.sqrt() * 2.0).abs() < 1e-12);
        assert_eq!(market.step(11, &sum(&[-1.0, 0.0]))[..2], [-0.5, 2.0]);
        assert_eq!(market.step(12, &sum(&[4.0]))[..2], [0.0, -0.5], "one symbol is no market");
        assert_eq!(market.step(20, &sum(&[1.0, 1.0]))[..2], [1.0, 0.0], "the step before had no bar");
        let far = market.step(1_000_000_000, &sum(&[0.0, 0.0]));
        assert!(far.iter().all(|input| input.abs() < 1e-9), "{far:?}");
    }

    #[test]
    fn returns_are_scaled_by_their_volatility() {
        let mut symbol = SymbolReturn::default();
        let bar = |price: f64| Ohlcv::of_tick(Fixed::from_raw((price * 1e8) as i64), Fixed::ZERO, None);
        assert_eq!(symbol.step(&bar(100.0)), 0.0);
        let (change, decay) = (1.01_f64.ln(), 0.5_f64.powf(1.0 / 60.0));
        let expected = change / (change * change * (1.0 - decay) / (1.0 - decay * decay)).sqrt();
        assert!((symbol.step(&bar(101.0)) - expected).abs() < 1e-3);
        assert!((1..100).all(|n| symbol.step(&bar(101.0 * 2_f64.powi(n % 9))).abs() <= 4.0));
    }
}
