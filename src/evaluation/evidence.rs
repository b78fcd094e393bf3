//! Anytime-valid evidence that a forecast's absolute error is smaller than that of repeating the last price.
//!
//! A betting e-process: wealth is multiplied by `1 + bet * d`, with `d = (|naive error| - |error|) / |price - naive price|`.
//! By the triangle inequality `d` lies in [-1, 1], and its scale is known when the forecast is issued. Under the null
//! hypothesis, that the forecast is on average no better, wealth is a nonnegative supermartingale that starts at 1, whatever
//! the bets, as long as each depends on the past alone: so it exceeds 20 with a probability of at most 1/20, ever (Ville).
//! Bets follow Waudby-Smith and Ramdas (2024), "Estimating means of bounded random variables by betting", section B.3 (aGRAPA).
//!
//! Forecasts that look `h` steps ahead overlap: the outcome of one is not known when the next is issued. So there are `h`
//! wealths, each of forecasts that do not overlap, and their mean is the evidence (as Choe and Ramdas 2023 do for lagged
//! forecasts). Its expectation is at most 1 at any time fixed in advance; for whoever looks all the time the bound of 1/20 holds
//! for each of the wealths, hence for one step ahead, but for longer horizons not for their mean.

use serde::{Deserialize, Serialize};

/// The largest bet: half of the wealth.
const BET_MAX: f64 = 0.5;
/// Logarithms of wealth stay below this, so that the mean stays finite.
const LOG_WEALTH_MAX: f64 = 600.0;

/// Evidence of one symbol and horizon.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    wealths: Vec<Wealth>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Wealth {
    log: f64,
    count: f64,
    sum: f64,
    squares: f64,
}

impl Evidence {
    /// Nothing seen, for forecasts `horizon_steps` ahead.
    #[must_use]
    pub fn new(horizon_steps: usize) -> Self {
        Self { wealths: vec![Wealth::default(); horizon_steps.max(1)] }
    }

    /// Takes in one score; `step` numbers the target's step. A forecast that equals the naive one says nothing.
    pub fn add(&mut self, step: i64, error: f64, naive_error: f64) {
        let scale = (error - naive_error).abs();
        if scale == 0.0 {
            return;
        }
        let place = step.rem_euclid(self.wealths.len() as i64) as usize;
        let gain = ((naive_error.abs() - error.abs()) / scale).clamp(-1.0, 1.0);
        self.wealths[place].bet(gain);
    }

    /// The evidence: 1 at the start; above 20 is evidence at the level of 5 per cent, one step ahead whenever one looks, further
    /// ahead at a time fixed in advance.
    #[must_use]
    pub fn value(&self) -> f64 {
        self.wealths.iter().map(|w| libm::exp(w.log)).sum::<f64>() / self.wealths.len() as f64
    }
}

impl Wealth {
    fn bet(&mut self, gain: f64) {
        // Mean over second moment, both drawn to "no gain, variance 1/4" by one imagined observation.
        let mean = self.sum / (self.count + 1.0);
        let moment = (self.squares + 0.25) / (self.count + 1.0);
        let bet = (mean / moment).clamp(0.0, BET_MAX);
        self.log = (self.log + libm::log1p(bet * gain)).min(LOG_WEALTH_MAX);
        self.count += 1.0;
        self.sum += gain;
        self.squares += gain * gain;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::{Rng, SeedableRng};

    fn uniform(rng: &mut ChaCha8Rng) -> f64 {
        (rng.next_u64() >> 11) as f64 / (1_u64 << 53) as f64 * 2.0 - 1.0
    }

    /// The largest evidence over 2,000 forecasts of `offset` where the change is `drift` plus noise.
    fn largest(seed: u64, drift: f64, offset: f64) -> f64 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut evidence = Evidence::new(1);
        let mut top: f64 = 1.0;
        for step in 0..2000 {
            let change = drift + uniform(&mut rng);
            evidence.add(step, offset - change, -change);
            top = top.max(evidence.value());
        }
        top
    }

    #[test]
    fn a_useless_forecast_rarely_reaches_twenty() {
        let false_alarms = (0..400).filter(|&seed| largest(seed, 0.0, 0.05) >= 20.0).count();
        assert!(false_alarms <= 20, "{false_alarms} of 400 exceed 1/20");
    }

    #[test]
    fn a_good_forecast_is_found_out() {
        let found = (0..50).filter(|&seed| largest(seed, 0.2, 0.2) >= 20.0).count();
        assert!(found >= 48, "{found} of 50");
    }

    #[test]
    fn equal_forecasts_say_nothing_and_extremes_stay_finite() {
        let mut evidence = Evidence::new(3);
        evidence.add(0, 5.0, 5.0);
        assert_eq!(evidence.value(), 1.0);
        for step in 0..100_000 {
            evidence.add(step, 0.0, 1.0);
        }
        assert!(evidence.value().is_finite());
    }
}
