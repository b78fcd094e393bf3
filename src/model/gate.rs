//! Layer 6 of the recipe: publish a drift only while it has shown to pay.
//!
//! A median that is not 0 claims to know where the price goes. Its gain in absolute error over "no change", in units of the
//! scale, is summed up with a half-life of two weeks of minutes; while the sum does not stand out from noise, 0 is published.
//! So the absolute error stays at or below that of the last price.

use super::lineage::Gate;
use serde::{Deserialize, Serialize};

/// The sums halve in this many labels.
const HALF_LIFE_LABELS: f64 = 20_160.0;
/// Horizons up to this many steps are short.
const SHORT_STEPS: usize = 5;
/// How many standard deviations the gain of a short and of a long horizon must exceed.
const SIGNIFICANCE_SHORT: f64 = 1.0;
const SIGNIFICANCE_LONG: f64 = 2.0;
/// No single gain counts for more scales than this: a scale of almost 0 must not close or open the gate for ever.
const GAIN_MAX: f64 = 1e6;

/// The gate of one symbol and horizon; closed at first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MedianGate {
    /// Horizon in steps: labels overlap, hence so many of them say as much as one.
    horizon: f64,
    significance: f64,
    gain: f64,
    variance: f64,
}

impl MedianGate {
    /// For forecasts `horizon_steps` ahead.
    #[must_use]
    pub fn new(horizon_steps: usize) -> Self {
        let significance = if horizon_steps <= SHORT_STEPS { SIGNIFICANCE_SHORT } else { SIGNIFICANCE_LONG };
        Self { horizon: horizon_steps.max(1) as f64, significance, gain: 0.0, variance: 0.0 }
    }

    /// Takes in a label: the return that came, the median before the gate and the scale of when it was forecast. What is not
    /// finite, or has no scale, is ignored.
    pub fn learn(&mut self, actual: f64, median: f64, scale: f64) {
        if !(actual.is_finite() && median.is_finite() && scale.is_finite() && scale > 0.0) {
            return;
        }
        let keep = libm::exp2(-1.0 / HALF_LIFE_LABELS);
        let gain = ((actual.abs() - (actual - median).abs()) / scale).clamp(-GAIN_MAX, GAIN_MAX);
        self.gain = keep * self.gain + gain;
        self.variance = keep * self.variance + gain * gain;
    }

    /// Whether medians are published.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.gain > self.significance * (self.horizon * self.variance).sqrt()
    }

    /// How it stands; one that is off lets all medians through.
    #[must_use]
    pub fn lineage(&self, is_on: bool) -> Gate {
        let needed = self.significance * (self.horizon * self.variance).sqrt();
        Gate { is_open: !is_on || self.is_open(), gain: self.gain, needed }
    }

    /// The quantiles to publish: as they are while the gate is open, else [`closed`].
    #[must_use]
    pub fn apply(&self, quantiles: [f64; 5]) -> [f64; 5] {
        if self.is_open() { quantiles } else { closed(quantiles) }
    }
}

/// Quantiles with a median of 0: the others move just as much as it takes to stay on their sides of it.
#[must_use]
pub fn closed(quantiles: [f64; 5]) -> [f64; 5] {
    let [bottom, low, _, high, top] = quantiles;
    let (low, high) = (low.min(0.0), high.max(0.0));
    [bottom.min(low), low, 0.0, high, top.max(high)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;
    use rand_distr::{Distribution, StandardNormal, StudentT};

    /// Returns, medians and scales; the medians know a little of it in the middle half, and mislead otherwise.
    fn stream(count: usize) -> Vec<[f64; 3]> {
        let (mut rng, law) = (ChaCha8Rng::seed_from_u64(11), StudentT::new(5.0).unwrap());
        let next = |step: usize| {
            let scale = 1e-3 * (1.0 + 0.5 * (step as f64 / 500.0).sin());
            let drift: f64 = StandardNormal.sample(&mut rng);
            let share = if (count / 4..3 * count / 4).contains(&step) { 0.3 } else { 0.0 };
            let actual = scale * (law.sample(&mut rng) + share * drift);
            [actual, 0.3 * scale * drift, scale]
        };
        (0..count).map(next).collect()
    }

    /// The prototype's `gate` for one horizon; an issue's label is learnt `horizon` steps later, before the next issue.
    fn prototype(stream: &[[f64; 3]], quantiles: &[[f64; 5]], horizon: usize, c: f64) -> Vec<[f64; 5]> {
        let (mut gain, mut variance, keep) = (0.0_f64, 0.0_f64, 0.5_f64.powf(1.0 / 20160.0));
        let mut out = quantiles.to_vec();
        for t in 0..stream.len() {
            if t >= horizon {
                let [y, _, s] = stream[t - horizon];
                let d = (y.abs() - (y - quantiles[t - horizon][2]).abs()) / s;
                gain = keep * gain + d;
                variance = keep * variance + d * d;
            }
            if gain <= c * (horizon as f64 * variance).sqrt() {
                out[t][2] = 0.0;
                out[t][1] = out[t][1].min(0.0);
                out[t][0] = out[t][0].min(out[t][1]);
                out[t][3] = out[t][3].max(0.0);
                out[t][4] = out[t][4].max(out[t][3]);
            }
        }
        out
    }

    #[test]
    fn publishes_what_the_prototype_does() {
        let stream = stream(30_000);
        let around = |m: f64, s: f64| [m - 1.6 * s, m - 0.1 * s, m, m + 0.1 * s, m + 1.6 * s];
        let quantiles: Vec<[f64; 5]> = stream.iter().map(|[_, m, s]| around(*m, *s)).collect();
        for (horizon, c) in [(1, 1.0), (5, 1.0), (6, 2.0), (60, 2.0)] {
            let expected = prototype(&stream, &quantiles, horizon, c);
            let mut gate = MedianGate::new(horizon);
            let mut open = 0;
            for t in 0..stream.len() {
                if t >= horizon {
                    let [actual, median, scale] = stream[t - horizon];
                    gate.learn(actual, median, scale);
                }
                assert_eq!(gate.apply(quantiles[t]), expected[t], "at {t} of horizon {horizon}");
                open += usize::from(gate.is_open());
            }
            assert!((300..29_000).contains(&open) || horizon == 60, "open {open} times at {horizon}");
        }
    }

    #[test]
    fn opens_for_skill_and_closes_without() {
        let mut gate = MedianGate::new(1);
        assert!(!gate.is_open());
        let stream = stream(60_000);
        let [mut before, mut within] = [false; 2];
        for (step, [actual, median, scale]) in stream.into_iter().enumerate() {
            gate.learn(actual, median, scale);
            match step {
                14_999 => before = gate.is_open(),
                44_999 => within = gate.is_open(),
                _ => {}
            }
        }
        assert_eq!([before, within, gate.is_open()], [false, true, false]);
    }

    #[test]
    fn labels_without_a_scale_change_nothing() {
        let mut gate = MedianGate::new(5);
        gate.learn(1.0, 0.1, 1.0);
        let before = gate.clone();
        for (actual, median, scale) in
            [(f64::NAN, 0.0, 1.0), (1.0, f64::INFINITY, 1.0), (1.0, 0.1, 0.0), (1.0, 0.1, -1.0), (1.0, 0.1, f64::NAN)]
        {
            gate.learn(actual, median, scale);
            assert_eq!(gate, before);
        }
    }

    proptest! {
        #[test]
        fn stays_finite_ascending_and_goes_on_restored(
            labels in prop::collection::vec([any::<f64>(), any::<f64>(), any::<f64>()], 1..60),
            mut quantiles in prop::array::uniform5(-1e300..1e300_f64),
            cut in 0..60_usize,
        ) {
            quantiles.sort_by(f64::total_cmp);
            let mut gate = MedianGate::new(15);
            let mut restored = gate.clone();
            for (step, [actual, median, scale]) in labels.into_iter().enumerate() {
                if step <= cut {
                    restored = serde_json::from_value(serde_json::to_value(&gate).unwrap()).unwrap();
                }
                gate.learn(actual, median, scale);
                restored.learn(actual, median, scale);
                prop_assert!(gate.gain.is_finite() && gate.variance.is_finite());
                prop_assert!(gate.apply(quantiles).is_sorted());
            }
            prop_assert_eq!(gate, restored);
        }
    }
}
