//! The model's bars to model inputs: causal statistics over the bars that exist, and 14 inputs per step.
//!
//! Half-lives count bars that exist, so absent steps do not age the state. Prices are logarithms.

use crate::market::{Ohlcv, Timestamp, fixed::raw_to_f64};
use serde::{Deserialize, Serialize};

/// Inputs per step.
pub const INPUTS: usize = 14;

/// Exponentially weighted mean with a half-life in bars, corrected for its start.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
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

    /// The mean so far; 0 before the first value.
    #[must_use]
    pub fn value(&self) -> f64 {
        if self.weight > 0.0 { self.sum / self.weight } else { 0.0 }
    }
}

/// What one step gives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepFeatures {
    /// The LSTM's inputs.
    pub inputs: [f32; INPUTS],
    /// `s60`: standard deviation of one step's log return, by EWMA with a half-life of 60 bars.
    pub volatility: f64,
    /// Logarithm of the last price.
    pub log_price: f64,
}

/// The statistics behind the inputs, of one symbol.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BarStatistics {
    last_close: Option<f64>,
    squared_return: Ewma,
    range_10: Ewma,
    range_90: Ewma,
    range_1440: Ewma,
    volume_1440: Ewma,
    /// Volume-weighted typical price over 10 bars: numerator and denominator.
    vwap_price: Ewma,
    vwap_volume: Ewma,
}

impl Default for BarStatistics {
    fn default() -> Self {
        Self {
            last_close: None,
            squared_return: Ewma::new(60.0),
            range_10: Ewma::new(10.0),
            range_90: Ewma::new(90.0),
            range_1440: Ewma::new(1440.0),
            volume_1440: Ewma::new(1440.0),
            vwap_price: Ewma::new(10.0),
            vwap_volume: Ewma::new(10.0),
        }
    }
}

impl BarStatistics {
    /// The step that ends at `end`, with its bar, or none where it holds no tick.
    pub fn step(&mut self, end: Timestamp, bar: Option<&Ohlcv>) -> StepFeatures {
        let shape = match bar {
            Some(bar) => self.take(bar),
            None => BarShape { close: self.last_close.unwrap_or(0.0), ..BarShape::default() },
        };
        self.inputs(end, &shape, bar.is_some())
    }

    fn take(&mut self, bar: &Ohlcv) -> BarShape {
        let [open, high, low, close] = [bar.open, bar.high, bar.low, bar.close].map(|price| libm::log(price.to_f64()));
        let previous = self.last_close.unwrap_or(open);
        let (top, bottom) = (high.max(previous), low.min(previous));
        let range = top - bottom;
        let volume = raw_to_f64(bar.volume);
        let change = close - previous;
        self.squared_return.add(change * change);
        self.range_10.add(range);
        self.range_90.add(range);
        self.range_1440.add(range);
        self.volume_1440.add(volume);
        let weight = volume + 1e-9;
        self.vwap_price.add((high + low + close) / 3.0 * weight);
        self.vwap_volume.add(weight);
        self.last_close = Some(close);
        let place = if range > 0.0 { (2.0 * close - top - bottom) / range.max(1e-9) } else { 0.0 };
        BarShape { close, change, range, volume, place }
    }

    /// `s60` now.
    #[must_use]
    pub fn volatility(&self) -> f64 {
        (self.squared_return.value() + 1e-12).sqrt()
    }

    fn inputs(&self, end: Timestamp, bar: &BarShape, present: bool) -> StepFeatures {
        let s60 = self.volatility();
        let vl = self.range_1440.value() + 1e-6;
        let vs = self.volume_1440.value() + 1e-12;
        let volume = self.vwap_volume.value();
        let vwap = if volume > 0.0 { self.vwap_price.value() / volume } else { bar.close };
        let minute = end.millis().div_euclid(60_000);
        let day = core::f64::consts::TAU * (end.millis().rem_euclid(86_400_000) as f64 / 86_400_000.0);
        let flag = |every: i64| f64::from(u8::from(minute.rem_euclid(every) == every - 1));
        let values: [f64; INPUTS] = [
            (bar.change / s60).clamp(-4.0, 4.0),
            libm::log(bar.range / vl + 0.05),
            libm::log(self.range_10.value() / vl + 0.02),
            libm::log(self.range_90.value() / vl + 0.02),
            bar.place,
            0.5 * libm::log(bar.volume / vs + 0.02),
            ((bar.close - vwap) / (3.0 * s60)).clamp(-4.0, 4.0),
            (bar.change.abs() / s60).min(4.0) - 0.7,
            f64::from(u8::from(present)) - 0.5,
            libm::sin(day),
            libm::cos(day),
            flag(60),
            flag(15),
            flag(5),
        ];
        // A jump of many orders of magnitude must not reach the weights.
        let inputs = values.map(|value| value.clamp(-8.0, 8.0) as f32);
        StepFeatures { inputs, volatility: s60, log_price: bar.close }
    }
}

/// One bar in logarithms.
#[derive(Clone, Copy, Debug, Default)]
struct BarShape {
    close: f64,
    /// Log return since the previous close.
    change: f64,
    /// True range.
    range: f64,
    volume: f64,
    /// Where the close lies in the true range, from -1 to 1.
    place: f64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::Fixed;

    fn bar(open: f64, high: f64, low: f64, close: f64, volume: f64) -> Ohlcv {
        let fixed = |x: f64| Fixed::from_raw((x * 1e8) as i64);
        let mut bar = Ohlcv::of_tick(fixed(open), fixed(volume), None);
        (bar.high, bar.low, bar.close) = (fixed(high), fixed(low), fixed(close));
        bar
    }

    #[test]
    fn inputs_follow_their_formulas() {
        let mut statistics = BarStatistics::default();
        statistics.step(Timestamp::from_millis(60_000), Some(&bar(100.0, 101.0, 99.0, 100.0, 5.0)));
        let step = statistics.step(Timestamp::from_millis(59 * 60_000), Some(&bar(100.0, 103.0, 100.0, 102.0, 10.0)));
        let change = (102.0_f64 / 100.0).ln();
        let a = 0.5_f64.powf(1.0 / 60.0);
        let s60 = ((1.0 - a) * change * change / (1.0 - a * a) + 1e-12).sqrt();
        assert!((step.volatility - s60).abs() < 1e-12);
        assert!((f64::from(step.inputs[0]) - change / s60).abs() < 1e-6);
        assert!((f64::from(step.inputs[8]) - 0.5).abs() < 1e-9);
        assert_eq!(&step.inputs[11..], &[1.0, 1.0, 0.0 + 1.0]);
        assert!((step.log_price - 102.0_f64.ln()).abs() < 1e-12);
    }

    #[test]
    fn absent_steps_leave_the_statistics_alone() {
        let mut statistics = BarStatistics::default();
        let first = statistics.step(Timestamp::from_millis(60_000), Some(&bar(100.0, 101.0, 99.0, 100.5, 5.0)));
        for minute in 2..500 {
            let absent = statistics.step(Timestamp::from_millis(minute * 60_000), None);
            assert_eq!(absent.volatility.to_bits(), first.volatility.to_bits());
            assert_eq!(absent.log_price.to_bits(), first.log_price.to_bits());
            assert!(absent.inputs.iter().all(|x| x.is_finite()));
            assert_eq!(absent.inputs[8], -0.5);
        }
    }

    #[test]
    fn extremes_stay_finite() {
        let mut statistics = BarStatistics::default();
        for (minute, price) in [1e-8, 9e10, 1e-8, 1.0, 1.0, 1.0].into_iter().enumerate() {
            let step = statistics
                .step(Timestamp::from_millis(minute as i64 * 60_000), Some(&bar(price, price, price, price, 0.0)));
            assert!(step.inputs.iter().all(|x| x.is_finite()) && step.volatility.is_finite());
        }
    }
}
