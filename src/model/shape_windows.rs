//! Layer 2 of one horizon: the shapes of all experts that have one, and the prior that they start from.

use super::prior::{ShapeKind, ShapePrior, jumpiness};
use super::quantile_window::QuantileWindow;
use crate::features::StepFeatures;
use serde::{Deserialize, Serialize};

/// Labels behind empirical quantiles.
const SHAPE_LABELS: usize = 20_000;
const WINDOW_RANGE_LABELS: usize = 10_000;
/// With a prior, shapes are brought up to date at each step until so many labels came.
const YOUNG_LABELS: u64 = 120;

/// One value for each expert with a shape of its own, in units of its scale: a label, or five quantiles.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Shaped<T> {
    /// EWMA volatility.
    pub empirical: T,
    /// The model's scale.
    pub range_scale: T,
    /// The model's scale, around the location.
    pub location: T,
    /// The scale of the window.
    pub window_range: T,
    /// Geometric mean of two mean ranges.
    pub geometric_range: T,
    /// The slow volatility.
    pub slow: T,
}

/// Empirical quantiles in units of an expert's own scale.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShapeWindows {
    empirical: QuantileWindow,
    range_scale: QuantileWindow,
    location: QuantileWindow,
    window_range: QuantileWindow,
    geometric_range: QuantileWindow,
    slow: QuantileWindow,
    prior: Option<ShapePrior>,
}

impl ShapeWindows {
    /// Without a label. Without a prior, quantiles are Gaussian until more than 50 came.
    #[must_use]
    pub fn new(prior: Option<ShapePrior>) -> Self {
        let symmetric = || QuantileWindow::symmetric(SHAPE_LABELS);
        Self {
            empirical: symmetric(),
            range_scale: symmetric(),
            location: symmetric(),
            window_range: QuantileWindow::asymmetric(WINDOW_RANGE_LABELS),
            geometric_range: symmetric(),
            slow: QuantileWindow::asymmetric(SHAPE_LABELS),
            prior,
        }
    }

    /// The quantiles, as of the last refresh. The market of this step says where a prior lies.
    #[must_use]
    pub fn quantiles(&self, features: &StepFeatures) -> Shaped<[f64; 5]> {
        let jumpiness = self.prior.as_ref().map_or(0.0, |_| jumpiness(features));
        let of = |window: &QuantileWindow, kind: ShapeKind| match &self.prior {
            None => window.quantiles(),
            Some(prior) => window.refined(&prior.magnitudes(kind, jumpiness)),
        };
        Shaped {
            empirical: of(&self.empirical, ShapeKind::Empirical),
            range_scale: of(&self.range_scale, ShapeKind::Range),
            location: of(&self.location, ShapeKind::Range),
            window_range: of(&self.window_range, ShapeKind::Range),
            geometric_range: of(&self.geometric_range, ShapeKind::GeometricRange),
            slow: of(&self.slow, ShapeKind::Slow),
        }
    }

    /// Takes in a label.
    pub fn add(&mut self, label: &Shaped<f64>) {
        self.empirical.add(label.empirical);
        self.range_scale.add(label.range_scale);
        self.location.add(label.location);
        self.window_range.add(label.window_range);
        self.geometric_range.add(label.geometric_range);
        self.slow.add(label.slow);
    }

    /// Brings the quantiles up to date.
    pub fn refresh(&mut self) {
        let early = self.prior.is_some();
        self.windows(|window| if early { window.refresh_early() } else { window.refresh() });
    }

    /// Brings the quantiles up to date where a prior is held to few labels: then each of them tells.
    pub fn refresh_young(&mut self) {
        if self.prior.is_some() && self.range_scale.count() < YOUNG_LABELS {
            self.windows(QuantileWindow::refresh_early);
        }
    }

    fn windows(&mut self, each: impl Fn(&mut QuantileWindow)) {
        let Self { empirical, range_scale, location, window_range, geometric_range, slow, prior: _ } = self;
        [empirical, range_scale, location, window_range, geometric_range, slow].into_iter().for_each(each);
    }
}

#[cfg(test)]
mod tests {
    use super::super::prior::Magnitudes;
    use super::*;

    #[test]
    fn a_prior_speaks_until_labels_do() {
        let prior = Magnitudes { half: 0.7, most: 1.8, labels: 60.0 };
        for mut window in [QuantileWindow::symmetric(1000), QuantileWindow::asymmetric(1000)] {
            window.refresh_early();
            assert_eq!(window.refined(&prior), [-1.8, -0.7, 0.0, 0.7, 1.8]);
            (0..60).for_each(|_| window.add(1.2));
            assert_eq!(window.refined(&prior), [-1.8, -0.7, 0.0, 0.7, 1.8], "not refreshed yet");
            window.refresh_early();
            let refined = window.refined(&prior);
            // Half the way: in a line towards zero, by a geometric mean away from it.
            assert!((refined[4] - 1.5).abs() < 0.01 && (refined[3] - 0.84_f64.sqrt()).abs() < 0.01, "{refined:?}");
            assert!(refined.is_sorted());
        }
    }
}
