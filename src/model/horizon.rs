//! All layers of one symbol at one horizon.
//!
//! ```text
//!   features ─> 1 scale ─> 2 shape ─> 3 regression ─> 4 LSTM (outside)
//!                   └──────────┴───────────┴─────────────┴─> 5 mixture ─> 6 median gate ─> 7 interval control
//! ```
//!
//! On a label, `h` steps after the issue, every layer learns from what it said at the issue, in this order. All quantiles are
//! of the log return.

mod lineage;

use super::experts::{ALL, Expert, Parts};
use super::gate::{MedianGate, closed};
use super::intervals::IntervalControl;
use super::location::LocationRegression;
use super::mixture::{Mixture, ascending};
use super::prior::{ShapePrior, first_widening};
use super::quantile_regression::QuantileRegression;
use super::random_features::{RANDOM_FEATURES, RandomFeatures};
use super::scale::{RANGE_PER_RETURN, RangeScale, Realised, Scales};
use super::shape_windows::{ShapeWindows, Shaped};
use super::terciles::Tercile;
use crate::evaluation::drift::Adwin;
use crate::evaluation::pinball::{NORMAL_QUANTILES, widening};
use crate::features::{FLOW_INPUTS, LOCATION_INPUTS, MARKET_INPUTS, MarketInputs, StepFeatures, scale_input};
use crate::market::forecast::{EXPERTS, LEVELS};
use serde::{Deserialize, Serialize};

/// Inputs that layer 3 and its random features share: one, the location's, the scale's in short, the clock.
pub const REGRESSORS: usize = 1 + LOCATION_INPUTS + SHORT_SCALE + 3;
/// All inputs of layer 3: those and the flow of orders and the market, which random features do not see.
pub const ALL_REGRESSORS: usize = REGRESSORS + FLOW_INPUTS + MARKET_INPUTS;
/// All inputs of layer 3 with random features: those, then the features.
pub const FEATURED_REGRESSORS: usize = ALL_REGRESSORS + RANDOM_FEATURES;
const SHORT_SCALE: usize = 11;
/// Inputs are clipped to ± this.
const REGRESSOR_MAX: f64 = 4.0;
/// The slow volatility speaks for at most this many times the model's scale.
pub const SLOW_MAX: f64 = 8.0;
/// False alarms of the drift detector, as a probability.
pub(super) const DRIFT_DELTA: f64 = 0.002;
/// Scaled errors beyond this are as good as this to the drift detector.
pub(super) const DRIFT_ERROR_MAX: f64 = 4.0;

/// One step on the clock, as the layers see it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// The symbol's own.
    pub features: StepFeatures,
    /// The market's.
    pub market: MarketInputs,
}

/// The layers of one horizon.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HorizonModel {
    steps: usize,
    starts_wider: bool,
    scale: RangeScale,
    location: LocationRegression,
    shapes: ShapeWindows,
    regression: QuantileRegression,
    /// Layer 3 with random features.
    featured: Option<QuantileRegression>,
    mixture: Mixture,
    gate: MedianGate,
    intervals: IntervalControl,
    /// Where the interval is not that of the outer quantiles.
    other: Option<OtherInterval>,
    drift: Adwin,
}

/// An interval of another coverage than 90 %: the outer quantiles, drawn in or out, under a control of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct OtherInterval {
    widening: f64,
    control: IntervalControl,
}

/// What the experts say at an issue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Opinion {
    /// The model's scale.
    pub scale: f64,
    /// By [`Expert::place`]; who takes no part repeats layer 3.
    pub experts: [[f64; 5]; EXPERTS],
    /// What the LSTM corrects, in units of the scale: layer 3, with random features where it has them.
    pub base: [f64; 5],
    window_scale: f64,
    volatility: f64,
    slow: f64,
    geometric: f64,
    location: f64,
    /// Layer 2 in units of the scale.
    shape: [f64; 5],
    /// What the outer quantiles' distances from the median are multiplied by: more than 1 while a symbol is new.
    widening: f64,
    /// Random features of layer 3's inputs, 40 of them or none: kept, since each takes a tanh.
    random_features: Vec<f64>,
}

/// What is published, as returns, and what the layers have to know of it when its label comes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Issued {
    /// The five quantiles.
    pub quantiles: [f64; 5],
    /// The interval.
    pub interval: [f64; 2],
    /// The mixture before its quantiles are put in order.
    mixed: [f64; 5],
    /// The mixture's median before the gate.
    median: f64,
    tercile: Tercile,
}

impl HorizonModel {
    /// Nothing learnt yet of the symbol itself.
    #[must_use]
    pub fn new(steps: usize, coverage: f64, parts: &Parts) -> Self {
        Self {
            steps,
            starts_wider: parts.prior,
            scale: if parts.prior { RangeScale::with_prior(steps) } else { RangeScale::new(steps) },
            location: LocationRegression::new(steps),
            shapes: ShapeWindows::new(parts.prior.then(|| ShapePrior::new(steps))),
            regression: QuantileRegression::new(ALL_REGRESSORS, steps),
            featured: parts
                .has(Expert::RandomFeatures, steps)
                .then(|| QuantileRegression::new(FEATURED_REGRESSORS, steps)),
            mixture: Mixture::new(&parts.priors(steps), steps),
            gate: MedianGate::new(steps),
            intervals: IntervalControl::new(steps, LEVELS[0]),
            other: (widening(coverage) != 1.0).then(|| OtherInterval {
                widening: widening(coverage),
                control: IntervalControl::new(steps, (1.0 - coverage) / 2.0),
            }),
            drift: Adwin::new(DRIFT_DELTA),
        }
    }

    /// What each expert has of the mixture, by [`Expert::place`]: the mean over the five levels.
    #[must_use]
    pub fn weights(&self) -> [f64; EXPERTS] {
        let of = |level: usize, place: usize| self.mixture.weights(level).get(place).copied().unwrap_or(0.0);
        std::array::from_fn(|place| (0..LEVELS.len()).map(|level| of(level, place)).sum::<f64>() / LEVELS.len() as f64)
    }

    /// What the experts say, but for the LSTM.
    #[must_use]
    pub fn consult(&self, step: &Step, random_features: &RandomFeatures) -> Opinion {
        let Step { features, market } = step;
        let root = (self.steps as f64).sqrt();
        let Scales { mixed: scale, window: window_scale } = self.scale.predict(features);
        let volatility = features.volatility * root;
        // After a jump it stays far too wide for days. The mixture credits experts by the slope of their loss alone, so that a few
        // misses in a row, which far-off quantiles gain most from, would give it the word again and again.
        let slow = (features.slow_volatility * root).min(SLOW_MAX * scale);
        let geometric = (features.geometric_range / RANGE_PER_RETURN + 1e-7) * root;
        let location = self.location.predict(&features.location);
        let shapes = self.shapes.quantiles(features);
        let shape = shapes.range_scale;
        let x = regressors(features, market, scale / root);
        let regression = self.regression.predict(&x, &shape);
        let drawn = self.featured.as_ref().map_or_else(Vec::new, |_| drawn(&x, random_features));
        let featured = self.featured.as_ref().map(|featured| featured.predict(&join(&x, &drawn), &shape));
        let base = featured.unwrap_or(regression);
        let times = |quantiles: [f64; 5], scale: f64| quantiles.map(|z| z * scale);
        let experts = ALL.map(|expert| match expert {
            Expert::Gaussian => times(NORMAL_QUANTILES, volatility),
            Expert::Empirical => times(shapes.empirical, volatility),
            Expert::RangeScale => times(shape, scale),
            Expert::Location => times(shapes.location.map(|z| location + z), scale),
            Expert::WindowRange => times(shapes.window_range, window_scale),
            Expert::GeometricRange => times(shapes.geometric_range, geometric),
            Expert::Slow => times(shapes.slow, slow),
            Expert::QuantileRegression => times(regression, scale),
            Expert::RandomFeatures | Expert::Lstm => times(base, scale),
        });
        let widening = if self.starts_wider { first_widening(self.steps, features.bars) } else { 1.0 };
        Opinion {
            scale,
            experts,
            base,
            window_scale,
            volatility,
            slow,
            geometric,
            location,
            shape,
            widening,
            random_features: drawn,
        }
    }

    /// From opinions to what is published; `tercile` is that of the volatility now. A median that the model does not stand
    /// behind (`median` false) is that of persistence.
    #[must_use]
    pub fn publish(&self, opinion: &Opinion, parts: &Parts, tercile: Tercile, median: bool) -> Issued {
        let mixed = self.mixture.mix(&opinion.experts);
        // What is not a number must not be published, whatever it comes from; the baseline speaks then.
        let sane = mixed.iter().all(|quantile| quantile.is_finite());
        let ordered = if sane { ascending(mixed) } else { opinion.experts[Expert::Gaussian.place()] };
        let gated = if !median || parts.median_gate && !self.gate.is_open() { closed(ordered) } else { ordered };
        let gated = widened(gated, opinion.widening);
        let quantiles =
            if parts.interval_control { self.intervals.apply(gated, opinion.scale, tercile) } else { gated };
        let interval = match &self.other {
            None => [quantiles[0], quantiles[4]],
            Some(other) => {
                let interval = [gated[0], gated[4]].map(|q| gated[2] + (q - gated[2]) * other.widening);
                let [lower, upper] = if parts.interval_control {
                    other.control.offset(interval, opinion.scale, tercile)
                } else {
                    interval
                };
                // No narrower than the outer quantiles where it is to hold more than they, and no wider where less.
                if other.widening > 1.0 {
                    [lower.min(quantiles[0]), upper.max(quantiles[4])]
                } else {
                    [lower.clamp(quantiles[0], quantiles[2]), upper.clamp(quantiles[2], quantiles[4])]
                }
            }
        };
        Issued { quantiles, interval, mixed, median: ordered[2], tercile }
    }

    /// Learns from the label of an issue: its log return and the steps after it. True where the forecasts' errors have
    /// changed.
    pub fn learn(
        &mut self,
        issue: (&Step, &Opinion, &Issued),
        actual: f64,
        realised: &Realised,
        is_apart: bool,
    ) -> bool {
        let (Step { features, market }, opinion, issued) = issue;
        let scaled = actual / opinion.scale;
        self.scale.learn(features, realised);
        self.shapes.add(&Shaped {
            empirical: actual / opinion.volatility,
            range_scale: scaled,
            location: scaled - opinion.location,
            window_range: actual / opinion.window_scale,
            geometric_range: actual / opinion.geometric,
            slow: actual / opinion.slow,
        });
        self.location.learn(&features.location, scaled);
        let x = regressors(features, market, opinion.scale / (self.steps as f64).sqrt());
        self.regression.learn(&x, &opinion.shape, scaled);
        if let Some(featured) = &mut self.featured {
            featured.learn(&join(&x, &opinion.random_features), &opinion.shape, scaled);
        }
        self.mixture.learn(actual, &opinion.experts, &issued.mixed, opinion.scale);
        self.intervals.learn(actual, [issued.quantiles[0], issued.quantiles[4]], issued.tercile);
        if let Some(other) = &mut self.other {
            other.control.learn(actual, issued.interval, issued.tercile);
        }
        // Labels that overlap tell the same news several times: the detector sees those that do not.
        is_apart && {
            let error = ((actual - issued.quantiles[2]).abs() / opinion.scale).min(DRIFT_ERROR_MAX);
            self.drift.add(error / DRIFT_ERROR_MAX)
        }
    }

    /// Takes in what a median was worth: of every issue with a tick whose score counts, also where none came in the step of the
    /// target. Learnt from labels with a tick at both ends alone, the gate of a sparse market would stay open for moves that do
    /// not come.
    pub fn weigh_median(&mut self, actual: f64, opinion: &Opinion, issued: &Issued) {
        self.gate.learn(actual, issued.median, opinion.scale);
    }

    /// Brings the empirical quantiles up to date.
    pub fn refresh(&mut self) {
        self.shapes.refresh();
    }

    /// Brings them up to date at every step while labels are few, where a prior is held to them.
    pub fn refresh_young(&mut self) {
        self.shapes.refresh_young();
    }

    /// The detector of changes in the forecasts' errors.
    #[must_use]
    pub fn drift(&self) -> &Adwin {
        &self.drift
    }
}

/// The outer quantiles `by` times as far from the median.
fn widened(quantiles: [f64; 5], by: f64) -> [f64; 5] {
    let [bottom, low, median, high, top] = quantiles;
    if by > 1.0 {
        [median + (bottom - median) * by, low, median, high, median + (top - median) * by]
    } else {
        quantiles
    }
}

/// Inputs of layer 3: the [`REGRESSORS`], the flow of orders, the market; clipped to ±4. `scale` is that of one step: the
/// horizon's over the root of its steps.
#[must_use]
pub fn regressors(features: &StepFeatures, market: &MarketInputs, scale: f64) -> [f64; ALL_REGRESSORS] {
    let inputs = &features.scale;
    let expected = libm::log(RANGE_PER_RETURN * scale / features.range_level);
    let mut x = [1.0; ALL_REGRESSORS];
    let (location, rest) = x[1..].split_at_mut(LOCATION_INPUTS);
    location.copy_from_slice(&features.location);
    let (short, rest) = rest.split_at_mut(SHORT_SCALE);
    let (clock, rest) = rest.split_at_mut(features.clock.len());
    let (flow, of_market) = rest.split_at_mut(FLOW_INPUTS);
    short[0] = expected;
    short[1..7].copy_from_slice(&inputs[scale_input::RANGES..scale_input::RANGES + 6]);
    short[7] = inputs[scale_input::LAST_RANGE];
    short[1..8].iter_mut().for_each(|range| *range -= expected);
    short[8..].copy_from_slice(&inputs[scale_input::VOLUMES..scale_input::VOLUMES + 3]);
    short.iter_mut().for_each(|input| *input *= 0.5);
    clock.copy_from_slice(&features.clock);
    flow.copy_from_slice(&features.flow);
    of_market.copy_from_slice(market);
    x.map(|input| input.clamp(-REGRESSOR_MAX, REGRESSOR_MAX))
}

/// The random features of layer 3's inputs: of the first [`REGRESSORS`].
#[must_use]
pub fn drawn(x: &[f64; ALL_REGRESSORS], random_features: &RandomFeatures) -> Vec<f64> {
    let mut drawn = [0.0; RANDOM_FEATURES];
    random_features.write(&x[..REGRESSORS], &mut drawn);
    drawn.to_vec()
}

/// Inputs of layer 3 with their random features behind them.
#[must_use]
pub fn join(x: &[f64; ALL_REGRESSORS], random_features: &[f64]) -> [f64; FEATURED_REGRESSORS] {
    let mut joined = [0.0; FEATURED_REGRESSORS];
    let (inputs, features) = joined.split_at_mut(ALL_REGRESSORS);
    inputs.copy_from_slice(x);
    features.copy_from_slice(random_features);
    joined
}
