//! Who is mixed: ten experts, their names and priors, and which parts of the model are on.

use crate::market::forecast::{EXPERT_NAMES, EXPERTS};

/// One expert; each gives five quantiles per horizon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expert {
    /// EWMA volatility with a half-life of 60 bars, Gaussian quantiles: the baseline of every score.
    Gaussian,
    /// The same volatility, empirical quantiles.
    Empirical,
    /// Layers 1 and 2: the range scale with empirical quantiles.
    RangeScale,
    /// Layers 1 and 2 around a location by least squares.
    Location,
    /// The scale by the range of the whole window, empirical quantiles of either side.
    WindowRange,
    /// The geometric mean of a fast and a slow mean range, empirical quantiles.
    GeometricRange,
    /// EWMA volatility with a half-life of 1,440 bars, empirical quantiles of either side.
    Slow,
    /// Layer 3: online quantile regression.
    QuantileRegression,
    /// Layer 3 with random features, at horizons of up to 5 steps.
    RandomFeatures,
    /// Layer 4: the LSTM on layer 3.
    Lstm,
}

/// All experts, in the order of [`EXPERT_NAMES`].
pub const ALL: [Expert; EXPERTS] = [
    Expert::Gaussian,
    Expert::Empirical,
    Expert::RangeScale,
    Expert::Location,
    Expert::WindowRange,
    Expert::GeometricRange,
    Expert::Slow,
    Expert::QuantileRegression,
    Expert::RandomFeatures,
    Expert::Lstm,
];

/// Horizons of at most so many steps have random features: beyond, they gain nothing.
pub const RANDOM_FEATURES_STEPS: usize = 5;

impl Expert {
    /// Its place in lists of experts.
    #[must_use]
    pub const fn place(self) -> usize {
        self as usize
    }

    /// As it is spelled.
    #[must_use]
    pub const fn name(self) -> &'static str {
        EXPERT_NAMES[self.place()]
    }

    /// Its weight before anything is known, not yet normalised.
    const fn prior(self) -> f64 {
        match self {
            Self::Gaussian | Self::Slow => 0.02,
            Self::Empirical | Self::Location | Self::WindowRange => 0.05,
            Self::RangeScale => 0.15,
            Self::GeometricRange => 0.1,
            Self::QuantileRegression | Self::RandomFeatures => 0.28,
            Self::Lstm => 0.4,
        }
    }
}

/// Which parts of the model are on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parts {
    /// Experts in the mixture.
    pub experts: [bool; EXPERTS],
    /// Layer 6, without which medians are published as they are.
    pub median_gate: bool,
    /// Layer 7, without which intervals are published as they are.
    pub interval_control: bool,
    /// Inputs of layer 3 from the flow of orders.
    pub flow: bool,
    /// Inputs of layer 3 from the market as a whole.
    pub market: bool,
    /// Whether layers 1 and 2 start from what other series have taught ([`super::prior`]) instead of nothing.
    pub prior: bool,
}

impl Default for Parts {
    fn default() -> Self {
        Self {
            experts: [true; EXPERTS],
            median_gate: true,
            interval_control: true,
            flow: true,
            market: true,
            prior: true,
        }
    }
}

impl Parts {
    /// Whether an expert takes part at a horizon of `steps`.
    #[must_use]
    pub fn has(&self, expert: Expert, steps: usize) -> bool {
        self.experts[expert.place()] && (expert != Expert::RandomFeatures || steps <= RANDOM_FEATURES_STEPS)
    }

    /// Priors at a horizon of `steps`; 0 for who takes no part. Beyond the reach of random features, layer 3 has their
    /// prior besides its own. Where everything is off, the baseline speaks.
    #[must_use]
    pub fn priors(&self, steps: usize) -> [f64; EXPERTS] {
        let mut priors = ALL.map(|expert| if self.has(expert, steps) { expert.prior() } else { 0.0 });
        if steps > RANDOM_FEATURES_STEPS && self.experts[Expert::RandomFeatures.place()] {
            priors[Expert::QuantileRegression.place()] += Expert::RandomFeatures.prior();
        }
        if priors.iter().all(|prior| *prior == 0.0) {
            priors[Expert::Gaussian.place()] = 1.0;
        }
        priors
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_places_agree() {
        assert!(ALL.iter().enumerate().all(|(place, expert)| expert.place() == place));
        assert_eq!(Expert::Lstm.name(), "lstm");
    }

    #[test]
    fn who_is_off_has_no_prior_and_somebody_always_speaks() {
        let all = Parts::default();
        assert!((all.priors(1).iter().sum::<f64>() - all.priors(60).iter().sum::<f64>()).abs() < 1e-12);
        assert_eq!(all.priors(60)[Expert::RandomFeatures.place()], 0.0);
        let none = Parts { experts: [false; EXPERTS], ..Parts::default() };
        assert_eq!(none.priors(5)[Expert::Gaussian.place()], 1.0);
    }
}
