//! A mean's t statistic where neighbours depend on each other: the Diebold-Mariano statistic of a loss difference.
//!
//! Diebold and Mariano (1995), "Comparing predictive accuracy"; the long-run variance after Newey and West (1987), with
//! Bartlett weights `1 - k/(lag + 1)`. In one pass: that estimator equals the sum of squares of all sums over windows of
//! `lag + 1` neighbours (zeros beyond both ends), divided by `lag + 1`. With the mean taken off at the end, three sums and
//! one ring of `lag + 1` values are enough.

use std::collections::VecDeque;

/// How many values are kept until the lag must be known.
const HEAD: usize = 64;

/// The running statistic.
#[derive(Clone, Debug, Default)]
pub struct Hac {
    /// The first values, before `window` is set.
    head: Vec<f64>,
    window: Option<Window>,
}

#[derive(Clone, Debug)]
struct Window {
    /// `lag + 1`
    length: usize,
    ring: VecDeque<f64>,
    count: u64,
    sum: f64,
    /// Sum of the ring, added up anew each time it has gone round, so that rounding does not pile up.
    ring_sum: f64,
    since_sum: usize,
    squares: f64,
    /// Of window sums times the number of values in the window.
    products: f64,
    /// Of squared numbers of values in the window.
    sizes: f64,
}

/// The statistic of a mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MeanTest {
    /// Values.
    pub count: u64,
    /// Their mean.
    pub mean: f64,
    /// Mean over its standard error; none where that is 0.
    pub t: Option<f64>,
    /// The lag that the variance reaches to.
    pub lag: usize,
}

impl Hac {
    /// Takes in a value. `lag` counts as soon as 64 values are there, and not later.
    pub fn add(&mut self, value: f64, lag: usize) {
        if let Some(window) = &mut self.window {
            window.add(value);
            return;
        }
        self.head.push(value);
        if self.head.len() == HEAD {
            self.window = Some(Window::of(&std::mem::take(&mut self.head), lag));
        }
    }

    /// The statistic of all values so far; none of none. `lag` counts where there are fewer than 64.
    #[must_use]
    pub fn test(&self, lag: usize) -> Option<MeanTest> {
        let window = self.window.clone().unwrap_or_else(|| Window::of(&self.head, lag));
        (window.count > 0).then(|| window.finish())
    }
}

impl Window {
    fn of(values: &[f64], lag: usize) -> Self {
        let length = lag + 1;
        let (count, sum, ring_sum, since_sum) = (0, 0.0, 0.0, 0);
        let mut window = Self {
            length,
            ring: VecDeque::new(),
            count,
            sum,
            ring_sum,
            since_sum,
            squares: 0.0,
            products: 0.0,
            sizes: 0.0,
        };
        values.iter().for_each(|value| window.add(*value));
        window
    }

    fn add(&mut self, value: f64) {
        self.count += 1;
        self.sum += value;
        if self.ring.len() == self.length {
            self.drop_oldest();
        }
        self.ring.push_back(value);
        self.ring_sum += value;
        self.since_sum += 1;
        if self.since_sum >= self.length {
            self.since_sum = 0;
            self.ring_sum = self.ring.iter().sum();
        }
        self.take();
    }

    fn drop_oldest(&mut self) {
        if let Some(oldest) = self.ring.pop_front() {
            self.ring_sum -= oldest;
        }
    }

    fn take(&mut self) {
        let size = self.ring.len() as f64;
        self.squares += self.ring_sum * self.ring_sum;
        self.products += self.ring_sum * size;
        self.sizes += size * size;
    }

    fn finish(mut self) -> MeanTest {
        // Windows that reach beyond the start were taken on the way; these reach beyond the end. One that is not full yet
        // reaches beyond both.
        for place in 1..self.length {
            let is_full = self.ring.len() + place > self.length;
            if is_full {
                self.drop_oldest();
            }
            if self.ring.is_empty() {
                break;
            }
            self.take();
        }
        let n = self.count as f64;
        let mean = self.sum / n;
        let variance = (self.squares - 2.0 * mean * self.products + mean * mean * self.sizes) / self.length as f64 / n;
        // What cancellation leaves of values that are all alike is no variance.
        let noise = 1e-12 * self.squares / self.length as f64 / n;
        let t = (variance > noise).then(|| mean / (variance / n).sqrt());
        MeanTest { count: self.count, mean, t, lag: self.length - 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The textbook: autocovariances, weighted.
    fn slow(values: &[f64], lag: usize) -> Option<f64> {
        let n = values.len();
        let mean = values.iter().sum::<f64>() / n as f64;
        let gamma = |k: usize| {
            let products = (k..n).map(|t| (values[t] - mean) * (values[t - k] - mean));
            products.sum::<f64>() / n as f64
        };
        let weighted = (1..=lag.min(n - 1)).map(|k| 2.0 * (1.0 - k as f64 / (lag + 1) as f64) * gamma(k));
        let variance = gamma(0) + weighted.sum::<f64>();
        (variance > 1e-12).then(|| mean / (variance / n as f64).sqrt())
    }

    fn fast(values: &[f64], lag: usize) -> Option<f64> {
        let mut hac = Hac::default();
        values.iter().for_each(|value| hac.add(*value, lag));
        hac.test(lag).and_then(|test| test.t)
    }

    #[test]
    fn by_hand() {
        // Mean 2, autocovariances (4+0+4+0)/4 = 2 and (0+0+0)/4 = 0: variance 2 whatever the weight of lag 1.
        let t = fast(&[4.0, 2.0, 0.0, 2.0], 1).unwrap();
        assert!((t - 2.0 / (2.0_f64 / 4.0).sqrt()).abs() < 1e-12, "{t}");
        // Mean 0.5, variance 0.25, autocovariance at lag 1 -0.25 * 3/4: 0.25 - 0.1875 = 0.0625.
        let t = fast(&[1.0, 0.0, 1.0, 0.0], 1).unwrap();
        assert!((t - 0.5 / (0.0625_f64 / 4.0).sqrt()).abs() < 1e-12, "{t}");
        assert_eq!(fast(&[3.0; 100], 4), None, "no variance, no t");
        assert_eq!(Hac::default().test(3), None);
    }

    proptest! {
        #[test]
        fn equals_the_textbook(values in prop::collection::vec(-5.0..5.0_f64, 2..200), lag in 0_usize..250) {
            let (fast, slow) = (fast(&values, lag), slow(&values, lag));
            match (fast, slow) {
                (Some(fast), Some(slow)) => prop_assert!((fast - slow).abs() <= 1e-6 * slow.abs().max(1.0), "{fast} {slow}"),
                (fast, slow) => prop_assert!(fast.is_none() && slow.is_none(), "{fast:?} {slow:?}"),
            }
        }
    }
}
