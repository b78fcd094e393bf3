//! What the learning room is told: sizes, spans, seeds, and which parts are on.

use super::experts::Parts;
use super::head::head_gains;
use super::shape::LstmShape;
use super::weights::{About, InitialWeights, Weights, WeightsError};
use crate::features::INPUTS;
use crate::market::{ModelInfo, Span, Symbol, Timestamp};
use std::sync::Arc;

/// What all forecasters of a job share.
#[derive(Clone, Debug)]
pub struct ForecasterConfig {
    /// The job's id.
    pub job: Arc<str>,
    /// Distance between steps.
    pub step: Span,
    /// A multiple of `step`: the LSTM is trained at its ends.
    pub epoch: Span,
    /// Multiples of `step`.
    pub horizons: Vec<Span>,
    /// Share of outcomes that the interval is meant to hold.
    pub coverage: f64,
    /// Which parts of the model are on.
    pub parts: Parts,
    /// Whether all symbols share one LSTM.
    pub pooled: bool,
    /// The LSTM.
    pub learner: LearnerConfig,
    /// The weights that networks start from; others start untrained.
    pub initial: Option<Arc<InitialWeights>>,
}

impl ForecasterConfig {
    pub(super) fn horizon_steps(&self) -> Vec<usize> {
        self.horizons.iter().map(|span| span.in_units_of(self.step).unwrap_or(1).max(1) as usize).collect()
    }

    /// What multiplies the LSTM's outputs of each horizon.
    pub(super) fn head_gains(&self) -> Vec<f32> {
        head_gains(&self.horizon_steps())
    }

    /// Whether a job of this configuration can start from these weights.
    ///
    /// # Errors
    /// [`WeightsError::Unfit`] names each setting that differs.
    pub fn check_fits(&self, weights: &Weights) -> Result<(), WeightsError> {
        let (theirs, ours) = (weights.lstm.shape(), self.learner.shape());
        let mut found = Vec::new();
        let mut compare = |key: &str, theirs: String, ours: String| {
            if theirs != ours {
                found.push(format!("they were learnt with {key} = {theirs}, and it is {ours}"));
            }
        };
        compare("model.hidden", theirs.hidden.to_string(), ours.hidden.to_string());
        compare("model.layers", theirs.layers.to_string(), ours.layers.to_string());
        compare("model.steps", theirs.steps.to_string(), ours.steps.to_string());
        compare("model.step", weights.about.step.to_string(), self.step.to_string());
        let spans = |spans: &[Span]| format!("{spans:?}");
        compare("model.horizons", spans(&weights.about.horizons), spans(&self.horizons));
        if weights.about.head_gains != self.head_gains() {
            found.push("the head's gains are those of another version of tickcast".to_owned());
        }
        if found.is_empty() { Ok(()) } else { Err(WeightsError::Unfit(found)) }
    }

    /// What is to be said of weights that a job of this configuration has learnt, from `first` on.
    pub(super) fn about(&self, symbol: Option<&Symbol>, model: ModelInfo, first: Option<Timestamp>) -> About {
        let initial = self.initial.as_ref().and_then(|initial| initial.of(symbol));
        let before = initial.and_then(|weights| weights.about.trained_from);
        About {
            symbol: symbol.cloned(),
            job: self.job.to_string(),
            step: self.step,
            horizons: self.horizons.clone(),
            head_gains: self.head_gains(),
            model,
            // What was learnt elsewhere counts, whichever came first.
            trained_from: first.into_iter().chain(before).min().filter(|_| model.version > 0),
            random_seed: self.learner.random_seed,
            tickcast_version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

/// Sizes and seed of a learner.
#[derive(Clone, Debug)]
pub struct LearnerConfig {
    /// Hidden units.
    pub hidden: usize,
    /// Layers.
    pub layers: usize,
    /// Sequence length.
    pub steps: usize,
    /// Minibatches per epoch.
    pub minibatches: usize,
    /// Steps per epoch.
    pub epoch_steps: usize,
    /// Number of horizons.
    pub horizons: usize,
    /// Seeds weights, minibatches and dropout, together with the symbol.
    pub random_seed: u64,
}

impl LearnerConfig {
    /// The network's shape.
    #[must_use]
    pub fn shape(&self) -> LstmShape {
        LstmShape {
            inputs: INPUTS,
            hidden: self.hidden,
            layers: self.layers,
            steps: self.steps,
            outputs: super::head::OUTPUTS * self.horizons,
        }
    }
}
