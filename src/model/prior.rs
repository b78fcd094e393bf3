//! What layers 1 and 2 know before their first label.
//!
//! The coefficients of regressions of log ranges are nearly the same for all markets and times (Bollerslev, Hood, Huss and
//! Pedersen 2018, "Risk everywhere: modeling and managing volatility"), and so are the quantiles of scaled returns. So a symbol
//! starts from what others have taught, and its own labels take over.
//!
//! The constants were fitted on minutes of seventeen series of two exchanges, on five minutes and on seconds, cut into starts of
//! three days each, and confirmed once on fourteen series that are in no fit; docs/forecasts.md has the figures. With `h` the
//! horizon in steps and `u = ln(min(h, 240)) / ln 60`, which is 0 a step ahead and 1 sixty steps ahead:
//!
//! - layer 1: weights `a + b u` for both targets, and `P = I / (1000 sqrt(h))`;
//! - layer 2: the .5 and .9 quantile of `|z|` are `exp(c0 + c1 u + c2 u² + (c3 + c4 u) κ)`, worth `50 + 10 h` labels. `κ` says
//!   how jumpy a market is against its mean range ([`jumpiness`]): .06 for dense bars of five minutes, .15 for dense minutes, .7 for
//!   sparse ones, 1.1 for bars of a second.

use super::scale::RANGE_PER_RETURN;
use crate::features::{SCALE_INPUTS, StepFeatures, scale_input};
use serde::{Deserialize, Serialize};

/// Beyond so many steps the priors are those of so many.
const STEPS_MAX: f64 = 240.0;
/// Ridge of layer 1 per root of the horizon's steps.
const SCALE_RIDGE: f64 = 1000.0;
/// The prior of a shape counts for so many labels, and so many more per step of the horizon.
const SHAPE_LABELS: f64 = 50.0;
const SHAPE_LABELS_PER_STEP: f64 = 10.0;
/// The jumpiness is held below this; it is at least 0.
const JUMPINESS_MAX: f64 = 1.2;

/// How much wider the first intervals are: a part that goes with the number of bars, and one of long horizons.
const WIDER_FIRST: f64 = 0.8;
const WIDER_AHEAD: f64 = 0.15;
/// By so many bars half of it is gone, and soon after the rest.
const WIDER_BARS: f64 = 45.0;

/// Places among the inputs of the scale, and their weight as a line in `u`: `[a, b]`. Those that are not named start at 0.
const SCALE_LINES: [(usize, [f64; 2]); 17] = [
    (scale_input::RANGES, [0.119_696, -0.126_861]),
    (scale_input::RANGES + 1, [0.132_102, -0.064_626]),
    (scale_input::RANGES + 2, [0.143_235, -0.008_755]),
    (scale_input::RANGES + 3, [0.106_798, 0.015_705]),
    (scale_input::RANGES + 4, [0.084_027, 0.040_435]),
    (scale_input::RANGES + 5, [0.052_628, 0.037_882]),
    (scale_input::LAST_RANGE, [0.169_994, -0.146_996]),
    (scale_input::VOLUMES, [0.104_700, -0.057_658]),
    (scale_input::VOLUMES + 1, [0.048_003, -0.012_453]),
    (scale_input::VOLUMES + 2, [0.003_509, 0.003_748]),
    (scale_input::ONE, [-0.105_845, 0.133_628]),
    (scale_input::CALENDAR, [-0.009_855, 0.007_834]),
    (scale_input::CALENDAR + 1, [-0.001_413, -0.027_046]),
    (scale_input::CALENDAR + 2, [0.008_564, -0.007_756]),
    (scale_input::CALENDAR + 3, [0.009_200, 0.030_639]),
    (scale_input::CALENDAR + 4, [0.001_742, -0.023_376]),
    (scale_input::CALENDAR + 5, [0.013_710, 0.010_451]),
];

/// Of each [`ShapeKind`], the logarithms of the .5 and the .9 quantile of `|z|`: `[c0, c1, c2, c3, c4]`.
const SHAPE_CURVES: [[[f64; 5]; 2]; 4] = [
    // Empirical
    [
        [-0.360_667, 0.132_010, -0.232_169, -1.176_635, 0.769_838],
        [0.474_881, -0.107_853, 0.143_412, -0.041_084, -0.166_554],
    ],
    // Range
    [
        [-0.304_417, 0.013_882, -0.239_789, 0.086_456, 0.573_605],
        [0.516_153, -0.153_939, 0.046_005, 1.216_771, -0.298_413],
    ],
    // GeometricRange
    [
        [-0.393_118, 0.135_163, -0.231_080, -0.165_455, 0.764_799],
        [0.440_336, -0.115_780, 0.132_830, 0.945_962, -0.086_181],
    ],
    // Slow
    [
        [-0.447_055, 0.143_423, -0.223_409, -1.105_657, 0.722_929],
        [0.441_133, -0.108_969, 0.101_504, -0.019_999, -0.176_543],
    ],
];

/// Whose shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShapeKind {
    /// In units of the EWMA volatility with a half-life of 60 bars.
    Empirical,
    /// In units of a regressed range: of the mixed scale, around the location or not, or of the window's alone.
    Range,
    /// In units of the geometric mean of two mean ranges.
    GeometricRange,
    /// In units of the slow volatility.
    Slow,
}

/// `u`: 0 one step ahead, 1 sixty steps ahead.
fn reach(steps: usize) -> f64 {
    libm::log((steps.max(1) as f64).min(STEPS_MAX)) / libm::log(60.0)
}

/// The weights that both regressions of layer 1 start from, `steps` ahead.
#[must_use]
pub fn scale_weights(steps: usize) -> [f64; SCALE_INPUTS] {
    let (reach, mut weights) = (reach(steps), [0.0; SCALE_INPUTS]);
    for (place, [level, slope]) in SCALE_LINES {
        weights[place] = level + slope * reach;
    }
    weights
}

/// How strongly layer 1 holds on to [`scale_weights`]: the ridge of its least squares, `steps` ahead.
#[must_use]
pub fn scale_ridge(steps: usize) -> f64 {
    SCALE_RIDGE * (steps.max(1) as f64).sqrt()
}

/// `κ = ln(1.6 slow / vl)`, held within 0 and 1.2: the logarithm of the slow volatility over what the mean range lets one expect.
/// It is large where a few jumps make the volatility.
#[must_use]
pub fn jumpiness(features: &StepFeatures) -> f64 {
    let expected = features.range_level / RANGE_PER_RETURN;
    libm::log(features.slow_volatility.max(1e-9) / expected).clamp(0.0, JUMPINESS_MAX)
}

/// What the outer quantiles' distances from the median are multiplied by, `steps` ahead and after so many `bars`:
/// `1 + (.8 / (n + ½) + .15 u²) / (1 + (n / 45)⁴)`.
///
/// The scale of the first minutes stands on a handful of bars, and no label has yet told how far it is off: without this the
/// intervals of the first ten bars hold 75 to 87 % an hour ahead and one step ahead alike, those of the first hour an hour ahead
/// 86 %. Chosen by coverage on starts of six hours of the development series, so that it is gone before it costs anything.
#[must_use]
pub fn first_widening(steps: usize, bars: u64) -> f64 {
    let (bars, reach) = (bars as f64, reach(steps));
    let faded = libm::pow(bars / WIDER_BARS, 4.0);
    1.0 + (WIDER_FIRST / (bars + 0.5) + WIDER_AHEAD * reach * reach) / (1.0 + faded)
}

/// Quantiles of `|z|` before a symbol's own labels tell them, for one horizon.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShapePrior {
    /// How many labels the prior is worth: with as many of one's own, each has half a say.
    labels: f64,
    /// `[kind][quantile]`: logarithm where nothing jumps, and its slope in the jumpiness.
    lines: [[[f64; 2]; 2]; 4],
}

impl ShapePrior {
    /// For `steps` ahead.
    #[must_use]
    pub fn new(steps: usize) -> Self {
        let reach = reach(steps);
        let line = |[c0, c1, c2, c3, c4]: [f64; 5]| [c0 + c1 * reach + c2 * reach * reach, c3 + c4 * reach];
        let labels = SHAPE_LABELS + SHAPE_LABELS_PER_STEP * steps as f64;
        Self { labels, lines: SHAPE_CURVES.map(|curves| curves.map(line)) }
    }

    /// The .5 and the .9 quantile of `|z|` in a market of this [`jumpiness`], and the labels that they are worth.
    #[must_use]
    pub fn magnitudes(&self, kind: ShapeKind, jumpiness: f64) -> Magnitudes {
        let [half, most] = self.lines[kind as usize].map(|[level, slope]| libm::exp(level + slope * jumpiness));
        Magnitudes { half, most, labels: self.labels }
    }
}

/// A law of `|z|` that labels are to refine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Magnitudes {
    /// Its median.
    pub half: f64,
    /// Its .9 quantile.
    pub most: f64,
    /// How many labels it is worth.
    pub labels: f64,
}

impl Magnitudes {
    /// The quantile at a level of z (not of `|z|`), given that of so many labels, `own`. Where theirs is nearer to zero, it goes
    /// there in a line, which lets it reach zero; where further out, by a geometric mean: a few huge returns of the first minutes
    /// must not blow it up. The median is 0 before there are labels.
    #[must_use]
    pub fn refined(&self, level: f64, own: f64, count: u64) -> f64 {
        let share = count as f64 / (count as f64 + self.labels);
        let side = 2.0 * level - 1.0;
        if side == 0.0 {
            return share * own;
        }
        let prior = if side.abs() > 0.7 { self.most } else { self.half };
        let own = (side.signum() * own).max(0.0);
        let magnitude = match count {
            0 => prior,
            _ if own <= prior => prior + share * (own - prior),
            _ => prior * libm::pow(own / prior, share),
        };
        side.signum() * magnitude
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The prototype's numbers, to its digits.
    #[test]
    fn starts_where_the_prototype_does() {
        for (steps, expected, ridge) in [
            (1, [0.12, 0.107, 0.17, -0.106], 1000.0),
            (5, [0.070_08, 0.113_29, 0.112_22, -0.053_33], 2236.068),
            (60, [-0.007, 0.123, 0.023, 0.028], 7745.967),
        ] {
            let weights = scale_weights(steps);
            let places = [scale_input::RANGES, scale_input::RANGES + 3, scale_input::LAST_RANGE, scale_input::ONE];
            for (place, expected) in places.into_iter().zip(expected) {
                assert!((weights[place] - expected).abs() < 5.5e-4, "{steps} steps, {place}: {}", weights[place]);
            }
            assert_eq!(weights[scale_input::PRESENCE], 0.0);
            assert!((scale_ridge(steps) - ridge).abs() < 1e-3);
        }
        assert_eq!(scale_weights(1000), scale_weights(240));
    }

    #[test]
    fn the_first_intervals_are_wider_and_soon_are_not() {
        for steps in [1, 5, 15, 60, 240] {
            let widenings: Vec<f64> = (1..3000).map(|bars| first_widening(steps, bars)).collect();
            assert!(widenings[0] > 1.5 && widenings.is_sorted_by(|a, b| a >= b), "{steps} steps");
            assert!(widenings[239] < 1.001 && widenings[2998] < 1.0 + 1e-6, "{steps} steps: {}", widenings[239]);
        }
        assert!(
            (first_widening(60, 10) - (1.0 + (0.8 / 10.5 + 0.15) / (1.0 + 0.002_438_652_644_413_961))).abs() < 1e-12
        );
    }

    /// `(level, own, labels)` and what the prototype makes of it, 15 steps ahead.
    #[test]
    fn few_labels_move_a_shape_as_in_the_prototype() {
        let prior = ShapePrior::new(15).magnitudes(ShapeKind::Range, 0.15);
        assert!((prior.half - 0.718_738_22).abs() < 1e-8 && (prior.most - 1.799_251_99).abs() < 1e-8, "{prior:?}");
        assert_eq!(prior.labels, 200.0);
        // Without a label, whatever a window says.
        assert_eq!([0.05, 0.5, 0.75].map(|level| prior.refined(level, 0.3, 0)), [-prior.most, 0.0, prior.half]);
        for (level, own, labels, expected) in [
            (0.95, 1.1, 40, 1.682_709_995_378_471_7),
            (0.05, -6.0, 40, -2.199_219_287_618_485_7),
            (0.25, 0.2, 400, -0.239_579_407_643_464_41),
            (0.5, 0.4, 100, 0.133_333_333_333_333_33),
        ] {
            let said = prior.refined(level, own, labels);
            assert!((said - expected).abs() < 1e-9, "{level} {own} {labels}: {said} {expected}");
        }
        // Many labels have their own way.
        assert!((prior.refined(0.95, 2.5, 1_000_000) - 2.5).abs() < 1e-3);
    }
}
