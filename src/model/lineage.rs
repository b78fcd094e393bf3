//! What a forecast was made of, taken from a forecaster right after the issue: for people who ask where it came from.

use crate::features::{INPUTS, MarketInputs, StepFeatures};
use crate::market::forecast::EXPERTS;
use crate::market::{ModelInfo, Timestamp};

/// What one forecast was made of. Quantiles and returns are logarithms, relative to the last price.
#[derive(Clone, Debug, PartialEq)]
pub struct Lineage {
    /// What the model knew of the step of the issue.
    pub features: StepFeatures,
    /// What it knew of all symbols together.
    pub market: MarketInputs,
    /// The steps of the LSTM's sequence, the oldest first; fewer where not so many are remembered.
    pub sequence: Vec<SequenceStep>,
    /// Whether the LSTM had a whole sequence to go by, and spoke.
    pub lstm_spoke: bool,
    /// End of the step with the symbol's first tick.
    pub first_tick: Option<Timestamp>,
    /// Steps since then, that one included.
    pub steps_seen: i64,
    /// How long a sequence is: fewer steps are too few.
    pub steps_needed: usize,
    /// What had trained the weights.
    pub model: ModelInfo,
    /// What the weights had learnt from begins here; none before the first training.
    pub trained_from: Option<Timestamp>,
    /// The examples that the last training drew from; none where all symbols share a network, or before the first.
    pub examples: Option<ExampleRange>,
    /// What each layer said.
    pub layers: Layers,
}

/// A step as the LSTM sees it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SequenceStep {
    /// Its end.
    pub end: Timestamp,
    /// Whether it holds a tick.
    pub present: bool,
    /// The last price by its end; none where it lies further back than the longest horizon.
    pub close: Option<f64>,
    /// The inputs, by [`INPUT_NAMES`](crate::features::INPUT_NAMES).
    pub inputs: [f32; INPUTS],
}

/// Examples that a training draws from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExampleRange {
    /// How many there are.
    pub count: usize,
    /// End of the step of the first one.
    pub first: Timestamp,
    /// Of the last one: the labels of later ones were not known.
    pub last: Timestamp,
}

/// What the layers of one horizon said.
#[derive(Clone, Debug, PartialEq)]
pub struct Layers {
    /// Layer 1: the scale.
    pub scale: f64,
    /// Layer 2: quantiles in units of the scale.
    pub shape: [f64; 5],
    /// Layer 3 in units of the scale, with random features where it has them: what the LSTM corrects.
    pub regression: [f64; 5],
    /// The experts' quantiles; none where one takes no part.
    pub experts: [Option<[f64; 5]>; EXPERTS],
    /// Their weights in the mixture, by quantile.
    pub weights: [[f64; 5]; EXPERTS],
    /// Layer 5: the mixture, before its quantiles are put in order.
    pub mixed: [f64; 5],
    /// Its median before the gate.
    pub median: f64,
    /// Layer 6.
    pub gate: Gate,
    /// What the outer quantiles' distances from the median were multiplied by: more than 1 while a symbol is new.
    pub widening: f64,
    /// Layer 7.
    pub intervals: Intervals,
    /// The five quantiles, as they were published.
    pub quantiles: [f64; 5],
    /// The interval, as it was published.
    pub interval: [f64; 2],
}

/// Whether medians are published.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gate {
    /// Whether they are.
    pub is_open: bool,
    /// What they have gained over "no change" so far, in units of the scale.
    pub gain: f64,
    /// The gain beyond which they are.
    pub needed: f64,
}

/// The state of the interval control.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Intervals {
    /// In which third of all volatilities so far that of the issue lies.
    pub tercile: &'static str,
    /// How far the lower and the upper end were moved out, in units of the scale.
    pub offsets: [f64; 2],
    /// The same of an interval whose ends are not the outer quantiles.
    pub own_offsets: Option<[f64; 2]>,
}
