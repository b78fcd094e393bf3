//! From the network's outputs to quantiles: for each horizon seven outputs correct the five quantiles of the layer
//! below it. Zeros leave them as they are.

use serde::{Deserialize, Serialize};

use super::pinball::{clip_target, pinball, pinball_gradient};

/// Outputs per horizon: one widens, one shifts, five move the quantiles one by one.
pub const OUTPUTS: usize = 7;

/// The logarithm of the widening is held within ± this.
pub const WIDEN_LIMIT: f32 = 1.5;

/// How much an output that belongs to a single quantile moves it.
const SINGLE: f32 = 0.5;

/// Gain of the head and weight in the loss at horizons of these many steps; between them by power laws.
const BY_HORIZON: [(f64, f64, f64); 4] = [(1.0, 1.0, 1.0), (5.0, 0.1, 0.3), (15.0, 0.03, 0.1), (60.0, 0.01, 0.05)];

/// Gains and weights of the horizons, in their order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Head {
    /// Multiplies the outputs of a horizon: the slower it can be learnt, the smaller.
    pub gains: Vec<f32>,
    /// Weight of a horizon in the loss.
    pub weights: Vec<f32>,
}

impl Head {
    /// Number of horizons.
    #[must_use]
    pub fn horizons(&self) -> usize {
        self.gains.len()
    }

    /// Number of the network's outputs.
    #[must_use]
    pub fn outputs(&self) -> usize {
        OUTPUTS * self.horizons()
    }

    /// Corrected quantiles for a forecast, in ascending order: `outputs` `[7 horizons]`, `base` and `out` `[horizons]`
    /// in units of the scale.
    pub fn quantiles(&self, outputs: &[f32], base: &[[f32; 5]], out: &mut [[f32; 5]]) {
        let horizons = outputs.chunks_exact(OUTPUTS).zip(&self.gains).zip(base).zip(out);
        for (((outputs, gain), base), out) in horizons {
            *out = correct(outputs, *gain, base).quantiles;
            out.sort_unstable_by(f32::total_cmp);
        }
    }

    /// Mean over the minibatch of the weighted pinball losses, in units of the scale, and its gradient by the outputs.
    ///
    /// With B sequences and K horizons: `outputs` and `d_outputs` are `[B, 7 K]`, `base` `[B, K]`, `targets` `[B, K]`
    /// (clipped here), `known` `[B, K]`: 1 where the target is known, 0 where it is not.
    ///
    /// # Panics
    /// When the lengths do not agree.
    pub fn loss_and_gradient(
        &self,
        outputs: &[f32],
        base: &[[f32; 5]],
        targets: &[f32],
        known: &[f32],
        d_outputs: &mut [f32],
    ) -> f64 {
        let horizons = self.horizons();
        assert_eq!(outputs.len(), targets.len() * OUTPUTS, "outputs must be [B, 7 K]");
        assert_eq!(outputs.len(), d_outputs.len(), "d_outputs must be [B, 7 K]");
        assert!(base.len() == targets.len() && known.len() == targets.len(), "base and known must be [B, K]");
        assert_eq!(targets.len() % horizons, 0, "targets must be [B, K]");
        let batch = (targets.len() / horizons) as f32;
        let mut loss = 0.0;
        for (at, d_outputs) in d_outputs.chunks_exact_mut(OUTPUTS).enumerate() {
            let horizon = at % horizons;
            let weight = self.weights[horizon] * known[at] / batch;
            if weight == 0.0 {
                d_outputs.fill(0.0);
                continue;
            }
            let corrected = correct(&outputs[at * OUTPUTS..][..OUTPUTS], self.gains[horizon], &base[at]);
            let target = clip_target(targets[at]);
            loss += pinball(&corrected.quantiles, target) * f64::from(weight);
            let d_quantiles = pinball_gradient(&corrected.quantiles, target);
            corrected.backward(self.gains[horizon], &base[at], &d_quantiles, weight, d_outputs);
        }
        loss
    }
}

/// One horizon's quantiles, not yet sorted, and what their gradient needs.
struct Corrected {
    quantiles: [f32; 5],
    widening: f32,
    is_clipped: bool,
}

fn correct(outputs: &[f32], gain: f32, base: &[f32; 5]) -> Corrected {
    let log_widening = outputs[0] * gain;
    let widening = libm::expf(log_widening.clamp(-WIDEN_LIMIT, WIDEN_LIMIT));
    let shift = outputs[1] * gain;
    let quantiles = std::array::from_fn(|at| base[at] * widening + shift + SINGLE * gain * outputs[2 + at]);
    Corrected { quantiles, widening, is_clipped: log_widening.abs() > WIDEN_LIMIT }
}

impl Corrected {
    fn backward(&self, gain: f32, base: &[f32; 5], d_quantiles: &[f32; 5], weight: f32, d_outputs: &mut [f32]) {
        let by_widening: f32 = d_quantiles.iter().zip(base).map(|(d, base)| d * base * self.widening).sum();
        let factor = weight * gain;
        d_outputs[0] = if self.is_clipped { 0.0 } else { factor * by_widening };
        d_outputs[1] = factor * d_quantiles.iter().sum::<f32>();
        for (d_output, d_quantile) in d_outputs[2..].iter_mut().zip(d_quantiles) {
            *d_output = factor * SINGLE * d_quantile;
        }
    }
}

/// Gains of the head at horizons of so many steps.
pub(super) fn head_gains(horizon_steps: &[usize]) -> Vec<f32> {
    horizon_steps.iter().map(|&steps| interpolate(steps as f64).0 as f32).collect()
}

/// Weights in the loss of horizons of so many steps.
pub(super) fn horizon_weights(horizon_steps: &[usize]) -> Vec<f32> {
    horizon_steps.iter().map(|&steps| interpolate(steps as f64).1 as f32).collect()
}

/// Gain and loss weight at a horizon.
fn interpolate(steps: f64) -> (f64, f64) {
    let steps = steps.clamp(BY_HORIZON[0].0, BY_HORIZON[3].0);
    let mut result = (BY_HORIZON[3].1, BY_HORIZON[3].2);
    for pair in BY_HORIZON.windows(2) {
        let ((from, gain, weight), (to, next_gain, next_weight)) = (pair[0], pair[1]);
        if (from..=to).contains(&steps) {
            let share = libm::log(steps / from) / libm::log(to / from);
            let between = |a: f64, b: f64| a * libm::pow(b / a, share);
            result = (between(gain, next_gain), between(weight, next_weight));
            break;
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: [f32; 5] = [-1.6, -0.6, 0.05, 0.7, 1.7];

    fn head() -> Head {
        Head { gains: vec![1.0, 0.1], weights: vec![1.0, 0.3] }
    }

    #[test]
    fn zeros_leave_the_base_as_it_is() {
        let mut out = [[9.0; 5]; 2];
        head().quantiles(&[0.0; 14], &[BASE; 2], &mut out);
        assert_eq!(out, [BASE; 2]);
    }

    #[test]
    fn quantiles_never_cross() {
        let mut outputs = [0.0; 14];
        outputs[2] = 8.0;
        outputs[6] = -8.0;
        let mut out = [[0.0; 5]; 2];
        head().quantiles(&outputs, &[BASE; 2], &mut out);
        assert!(out[0].is_sorted(), "{out:?}");
    }

    /// Targets away from the quantiles, where the loss has a slope; one horizon unknown, one widening beyond its limit.
    #[test]
    fn the_gradient_agrees_with_finite_differences() {
        let head = head();
        let mut outputs: Vec<f32> = (0..42).map(|at| (at as f32 * 1.7).sin() * 0.4).collect();
        outputs[14] = 2.0;
        let (base, known) = ([BASE; 6], [1.0, 1.0, 1.0, 0.0, 1.0, 1.0]);
        let targets = [0.33, -1.1, 40.0, 0.2, -0.35, 2.4];
        let mut gradient = vec![9.0; 42];
        let mut ignored = vec![0.0; 42];
        head.loss_and_gradient(&outputs, &base, &targets, &known, &mut gradient);
        for at in 0..42 {
            let mut loss = |by: f32| {
                let mut outputs = outputs.clone();
                outputs[at] += by;
                head.loss_and_gradient(&outputs, &base, &targets, &known, &mut ignored)
            };
            let slope = (loss(0.0078125) - loss(-0.0078125)) / 0.015625;
            let found = f64::from(gradient[at]);
            assert!((slope - found).abs() < 1e-5 + 1e-4 * slope.abs(), "{at}: {found} against {slope}");
        }
        assert!(gradient[21..28].iter().all(|value| *value == 0.0), "an unknown label teaches nothing");
        assert_eq!(gradient[14], 0.0, "beyond its limit the widening has no slope");
    }

    #[test]
    fn gains_and_weights_meet_the_recipe_at_its_horizons() {
        for (steps, gain, weight) in BY_HORIZON {
            let (g, w) = interpolate(steps);
            assert!((g - gain).abs() < 1e-12 && (w - weight).abs() < 1e-12, "{steps}: {g} {w}");
        }
        assert_eq!(interpolate(240.0), (0.01, 0.05));
        let (gain, _) = interpolate(30.0);
        assert!((0.01..0.03).contains(&gain));
    }
}
