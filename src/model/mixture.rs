//! Layer 5 of the recipe: experts' quantiles mixed by exponential weights, one horizon, each level by itself.
//!
//! When the label `y` of a forecast with the mixture `m`, the experts' quantiles `x_k` and the scale `s` comes, each
//! expert is credited with `rho_k = (1{y <= m} - tau) (m - x_k) / s`: the slope of the pinball loss at `m` times the way
//! from `x_k` to `m`. Then `w_k ∝ w_k exp(eta rho_k)`, and `w = (1 - a) w + a prior` (fixed share, `a` = [`SHARE`]), so
//! that an expert that was wrong for long can come back soon.
//!
//! # What it guarantees
//!
//! On any labels whatever, also on those of an opponent who knows the weights: for each level and each expert `k`
//!
//! ```text
//! sum of (pinball(m) - pinball(x_k)) / s  <=  sum of rho_k  <=
//!     (ln(1/prior_k) + n ln(1/(1 - a))) / eta  +  eta (1 + 2 D) Q / 8  +  a D S
//! ```
//!
//! with n labels learnt, `D = h - 1`, S and Q the sums over them of `r` and of `r²`, where `r` is the largest `rho_k`
//! less the smallest at that label (at most twice the largest `|rho_k|`). [`Mixture::regret_bound`] is the right side.
//! Proof:
//!
//! 1. Pinball loss is convex, and `1{y <= m} - tau` is a slope of it at `m`: hence the first inequality.
//! 2. Let `v` be the weights just before the update with a label, `Z = sum of v_k exp(eta rho_k)`. The update leaves
//!    expert `k` at least `(1 - a) v_k exp(eta rho_k) / Z`. A weight starts at the prior and never exceeds 1, so over n
//!    labels `eta sum rho_k <= ln(1/prior_k) + n ln(1/(1 - a)) + sum ln Z` (Herbster and Warmuth 1998, no switch).
//! 3. Hoeffding's lemma: `ln Z <= eta v·rho + eta² r² / 8` (Cesa-Bianchi and Lugosi 2006, chapter 2).
//! 4. Without delay `v·rho = 0`, since `m` is the mean of the experts by `v`. Here it is their mean by the weights `w` of
//!    the issue, so `w·rho = 0`, and `v·rho = (v - w)·rho <= |v - w| r / 2`, with `|.|` the sum of absolute values: both
//!    sum to 1, so the middle of the range may be subtracted from `rho`.
//! 5. Between issue and update lie at most D other updates, by labels of the D forecasts before. One of them, with the
//!    range `r'`, moves the weights by at most `eta r' / 2 + 2 a`: on the path `v exp(u rho) / Z(u)`, u from 0 to `eta`,
//!    the speed is the mean absolute deviation of `rho`, at most half its range; then the share moves them by `a` times
//!    their distance to the prior, at most 2.
//! 6. So `v·rho` is at most the sum of `eta r r' / 4 + a r` over the D labels before. As `r r' <= (r² + r'²) / 2`, and a
//!    label is among the D before of at most D others, `sum v·rho <= eta D Q / 4 + a D S`. Steps 2, 3 and 6 together are
//!    the bound.
//!
//! D times the squares is what one learner pays for late labels: the test with the square wave makes it pay nearly half
//! of the bound. (Weinberger and Ordentlich 2002 and Joulani, György and Szepesvári 2013 let h learners take turns instead,
//! each of which sees every h-th label.) `eta = 0.1 / sqrt(h)` lets both sides grow with `sqrt(h)`.
//!
//! From any later label on the same holds with `a prior_k` (what the share leaves at least) in place of `prior_k`, when S
//! and Q include the D labels before: so whoever is best after a switch is found after it.
//!
//! All this is about the mixture as it is; publish [`ascending`] of it, which loses nothing over the five levels.

use crate::market::forecast::LEVELS;
use serde::{Deserialize, Serialize};

/// The part of the weights that goes back to the priors with each label.
pub const SHARE: f64 = 1e-4;
/// Rate of learning one step ahead, per unit of the scale.
const ETA_ONE_STEP: f64 = 0.1;
/// A label with a credit beyond this teaches nothing: not a market's, and its square must stay finite.
const RHO_LIMIT: f64 = 1e100;

/// The weights of one horizon's experts, at each of the five [`LEVELS`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mixture {
    /// `[5, K]`; at each level they sum to 1.
    weights: Vec<f64>,
    /// `[K]`, sum to 1.
    priors: Vec<f64>,
    eta: f64,
    horizon_steps: usize,
    /// `[5]`.
    tallies: Vec<Tally>,
}

/// What the regret's bound depends on, at one level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Tally {
    labels: u64,
    /// Sum of the ranges of the credits.
    ranges: f64,
    /// Sum of their squares.
    squares: f64,
}

impl Mixture {
    /// Weights at the priors, for forecasts `horizon_steps` ahead. Priors need not sum to 1; an expert with the prior 0
    /// takes no part, ever, whatever its quantiles are.
    ///
    /// # Panics
    /// When a prior is negative or not finite, or none is above 0.
    #[must_use]
    pub fn new(priors: &[f64], horizon_steps: usize) -> Self {
        assert!(priors.iter().all(|prior| prior.is_finite() && *prior >= 0.0), "priors are at least 0: {priors:?}");
        let sum: f64 = priors.iter().sum();
        assert!(sum > 0.0 && sum.is_finite(), "an expert needs a prior above 0: {priors:?}");
        let priors: Vec<f64> = priors.iter().map(|prior| prior / sum).collect();
        let horizon_steps = horizon_steps.max(1);
        Self {
            weights: priors.repeat(LEVELS.len()),
            priors,
            eta: ETA_ONE_STEP / (horizon_steps as f64).sqrt(),
            horizon_steps,
            tallies: vec![Tally::default(); LEVELS.len()],
        }
    }

    /// The experts' weights at one of the levels, by its place.
    #[must_use]
    pub fn weights(&self, level: usize) -> &[f64] {
        &self.weights[level * self.priors.len()..][..self.priors.len()]
    }

    /// The weighted mean of the experts' quantiles at each level. Not yet [`ascending`]: that is for publishing, while
    /// [`Mixture::learn`] needs these.
    ///
    /// # Panics
    /// When the number of experts is not that of the priors.
    #[must_use]
    pub fn mix(&self, experts: &[[f64; 5]]) -> [f64; 5] {
        assert_eq!(experts.len(), self.priors.len(), "as many experts as priors");
        std::array::from_fn(|level| {
            let weighted = experts.iter().zip(self.weights(level));
            // The weight is 0 only where the prior is: no product with what that expert says, it may be NaN.
            weighted.filter(|(_, weight)| **weight > 0.0).map(|(expert, weight)| weight * expert[level]).sum()
        })
    }

    /// Takes in the label of one forecast. `experts`, `mixed` (what [`Mixture::mix`] gave) and `scale` are those of its
    /// issue, `horizon_steps` before; a step learns before it issues. Labels may be absent.
    ///
    /// What is not finite, or a scale not above 0, teaches nothing: a weight that is not a number would never heal, while
    /// a lost label costs next to nothing.
    ///
    /// # Panics
    /// When the number of experts is not that of the priors.
    pub fn learn(&mut self, actual: f64, experts: &[[f64; 5]], mixed: &[f64; 5], scale: f64) {
        assert_eq!(experts.len(), self.priors.len(), "as many experts as priors");
        if !actual.is_finite() || !scale.is_finite() || scale <= 0.0 {
            return;
        }
        for level in 0..LEVELS.len() {
            let mixed = mixed[level];
            let slope = if actual <= mixed { 1.0 - LEVELS[level] } else { -LEVELS[level] };
            self.learn_level(level, experts, |expert| slope * (mixed - expert[level]) / scale);
        }
    }

    fn learn_level(&mut self, level: usize, experts: &[[f64; 5]], rho: impl Fn(&[f64; 5]) -> f64) {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for (expert, _) in experts.iter().zip(&self.priors).filter(|(_, prior)| **prior > 0.0) {
            let rho = rho(expert);
            let is_sane = rho.abs() < RHO_LIMIT;
            if !is_sane {
                return;
            }
            (low, high) = (low.min(rho), high.max(rho));
        }
        self.tallies[level].add(high - low);

        let weights = &mut self.weights[level * self.priors.len()..][..self.priors.len()];
        let mut sum = 0.0;
        for (weight, expert) in weights.iter_mut().zip(experts).filter(|(weight, _)| **weight > 0.0) {
            // Less the largest, so that the exponential cannot overflow; it cancels in the division.
            *weight *= libm::exp(self.eta * (rho(expert) - high));
            sum += *weight;
        }
        for (weight, prior) in weights.iter_mut().zip(&self.priors) {
            *weight = (1.0 - SHARE) * (*weight / sum) + SHARE * prior;
        }
    }

    /// The most by which the mixture's pinball losses, in units of the scale, can exceed the expert's, summed over the
    /// labels that this level has learnt: the module's documentation derives it. Infinite for an expert with the prior 0.
    #[must_use]
    pub fn regret_bound(&self, level: usize, expert: usize) -> f64 {
        self.tallies[level].regret_bound(self.priors[expert], self.eta, self.horizon_steps)
    }
}

impl Tally {
    fn add(&mut self, range: f64) {
        self.labels += 1;
        self.ranges += range;
        self.squares += range * range;
    }

    /// For an expert that has the weight `start` before the first label.
    fn regret_bound(&self, start: f64, eta: f64, horizon_steps: usize) -> f64 {
        let delay = (horizon_steps - 1) as f64;
        let found = (-libm::log(start) - self.labels as f64 * libm::log1p(-SHARE)) / eta;
        found + eta * (1.0 + 2.0 * delay) * self.squares / 8.0 + SHARE * delay * self.ranges
    }
}

/// The quantiles in ascending order, at the same levels.
///
/// Chernozhukov, Fernández-Val and Galichon (2010), "Quantile and probability curves without crossing": sorting never
/// makes the sum of the pinball losses larger. Where levels `a < b` have quantiles `p > q`, exchanging them lowers the
/// sum by `(b - a) (p - q)`, whatever the label: of the loss `tau (y - x) + max(x - y, 0)` the last parts only change
/// places. A running maximum, the other usual remedy, can make it larger: one quantile too high lifts all that follow.
#[must_use]
pub fn ascending(mut quantiles: [f64; 5]) -> [f64; 5] {
    quantiles.sort_unstable_by(f64::total_cmp);
    quantiles
}

#[cfg(test)]
mod tests;
