//! Memory that all symbols of a thread use by turns, and what they share without learning it.

use super::horizon::REGRESSORS;
use super::lstm::{Gradients, Lstm};
use super::predictor::Predictor;
use super::random_features::RandomFeatures;
use super::settings::LearnerConfig;
use super::workspace::Workspace;
use crate::features::INPUTS;
use ndarray::{Array2, Array3};

/// Examples per minibatch.
pub const BATCH: usize = 32;

/// Averaged weights, laid out for forecasts: one for all networks of a thread, since a copy per symbol would take 30 kB.
/// Loading another one's takes some microseconds.
#[derive(Debug)]
pub(super) struct Forecasting {
    pub(super) averaged: Lstm,
    pub(super) predictor: Predictor,
    /// Whose, and after how many epochs.
    pub(super) loaded: (u64, u64),
}

/// What a minibatch needs while it is learnt from; one for all learners of a thread.
#[derive(Debug)]
pub struct LearnerScratch {
    pub(super) workspace: Workspace,
    pub(super) gradients: Gradients,
    /// `[T, B, F]`
    pub(super) inputs: Array3<f32>,
    /// `[B, K]`
    pub(super) base: Vec<[f32; 5]>,
    pub(super) targets: Vec<f32>,
    pub(super) known: Vec<f32>,
    /// `[B, 7 K]`
    pub(super) d_outputs: Vec<f32>,
    /// `[B, H]`
    pub(super) dropout: Vec<f32>,
    /// `[T, F]`
    pub(super) sequence: Array2<f32>,
    pub(super) forecasting: Option<Forecasting>,
    /// `[K]`
    pub(super) corrected: Vec<[f32; 5]>,
    pub(super) random_features: RandomFeatures,
}

impl LearnerScratch {
    /// For learners of one configuration.
    #[must_use]
    pub fn new(config: &LearnerConfig) -> Self {
        let shape = config.shape();
        let labels = BATCH * config.horizons;
        Self {
            workspace: Workspace::new(&shape, BATCH),
            gradients: Gradients::new(&shape),
            inputs: Array3::zeros((shape.steps, BATCH, INPUTS)),
            base: vec![[0.0; 5]; labels],
            targets: vec![0.0; labels],
            known: vec![0.0; labels],
            d_outputs: vec![0.0; BATCH * shape.outputs],
            dropout: vec![0.0; BATCH * shape.hidden],
            sequence: Array2::zeros((shape.steps, INPUTS)),
            corrected: vec![[0.0; 5]; config.horizons],
            forecasting: None,
            random_features: RandomFeatures::new(REGRESSORS, config.random_seed),
        }
    }

    /// The same with other projections: those of another implementation, to be compared with it.
    #[must_use]
    pub fn with_random_features(self, random_features: RandomFeatures) -> Self {
        Self { random_features, ..self }
    }

    /// The projections that all symbols share.
    #[must_use]
    pub fn random_features(&self) -> &RandomFeatures {
        &self.random_features
    }

    /// Quantiles for every horizon, in units of the scale, by the last [`super::network::Network::correct`].
    #[must_use]
    pub fn corrected(&self) -> &[[f32; 5]] {
        &self.corrected
    }
}
