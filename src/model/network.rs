//! The LSTM with its optimiser and the mean of its weights: one symbol's own, or one that all symbols share.

use super::adamw::{AdamW, AdamWSettings, clip_norm};
use super::average::WeightAverage;
use super::head::{Head, head_gains, horizon_weights};
use super::history::History;
use super::lstm::{Gradients, Lstm, dropout_mask};
use super::predictor::Predictor;
use super::scratch::{BATCH, Forecasting, LearnerScratch};
use super::settings::LearnerConfig;
use super::shape::ModelError;
use super::weights::Weights;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicU64, Ordering};

const LEARNING_RATE: f64 = 1.6e-3;
const WEIGHT_DECAY: f64 = 0.5;
/// Of every minibatch, and of the mean over symbols.
pub(super) const GRADIENT_NORM_MAX: f64 = 1.0;
const DROPOUT: f32 = 0.5;
/// The weights' mean looks back this many steps, or a quarter of those since the first training where that is less.
const AVERAGE_STEPS: f64 = 2880.0;

/// Weights that learn, and their mean, which forecasts.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Network {
    lstm: Lstm,
    optimiser: AdamW,
    average: WeightAverage,
    head: Head,
    epoch_steps: usize,
    /// Epochs learnt from.
    epochs: u64,
    #[serde(skip)]
    identity: Identity,
}

/// Tells networks apart, copies of one included: by it a thread knows whose weights it has laid out for forecasts.
#[derive(Debug)]
struct Identity(u64);

impl Default for Identity {
    fn default() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

impl Clone for Identity {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Network {
    /// An untrained network. `salt` tells symbols apart.
    ///
    /// # Errors
    /// When a size is zero.
    pub fn new(config: &LearnerConfig, horizon_steps: &[usize], salt: u64) -> Result<Self, ModelError> {
        Ok(Self::of(Lstm::new(config.shape(), config.random_seed ^ salt)?, config, horizon_steps))
    }

    /// A network that starts from weights which fit the configuration. Its optimiser is a new one; the mean of the weights
    /// starts at them, and looks back as far as after all their trainings.
    #[must_use]
    pub fn given(weights: &Weights, config: &LearnerConfig, horizon_steps: &[usize]) -> Self {
        Self { epochs: weights.about.model.version, ..Self::of(weights.lstm.clone(), config, horizon_steps) }
    }

    fn of(lstm: Lstm, config: &LearnerConfig, horizon_steps: &[usize]) -> Self {
        let settings =
            AdamWSettings { learning_rate: LEARNING_RATE, weight_decay: WEIGHT_DECAY, ..AdamWSettings::default() };
        Self {
            optimiser: AdamW::new(settings, lstm.flat().len()),
            average: WeightAverage::new(lstm.flat()),
            lstm,
            head: Head { gains: head_gains(horizon_steps), weights: horizon_weights(horizon_steps) },
            epoch_steps: config.epoch_steps,
            epochs: 0,
            identity: Identity::default(),
        }
    }

    /// The network that forecasts: with the mean of the weights.
    #[must_use]
    pub fn averaged(&self) -> Lstm {
        let mut averaged = self.lstm.clone();
        averaged.flat_mut().copy_from_slice(self.average.flat());
        averaged
    }

    /// The loss on the minibatch in `scratch`, where its clipped gradient is then.
    pub(super) fn gradient(&self, random: &mut ChaCha8Rng, scratch: &mut LearnerScratch) -> f64 {
        let LearnerScratch { workspace, gradients, inputs, base, targets, known, d_outputs, dropout, .. } = scratch;
        dropout_mask(random, DROPOUT, dropout);
        // Made in one piece by `zeros`, so it is a slice.
        let inputs = inputs.as_slice().unwrap_or_default();
        let outputs = self.lstm.forward(inputs, BATCH, Some(dropout), workspace);
        let loss = self.head.loss_and_gradient(outputs, base, targets, known, d_outputs);
        self.lstm.backward(d_outputs, workspace, gradients);
        clip_norm(gradients.flat_mut(), GRADIENT_NORM_MAX);
        loss
    }

    /// One step of the optimiser.
    pub(super) fn descend(&mut self, gradients: &Gradients) {
        self.optimiser.step(self.lstm.flat_mut(), gradients.flat());
    }

    /// Moves the mean of the weights towards them.
    pub(super) fn end_epoch(&mut self) {
        self.epochs += 1;
        let since_first = (self.epochs - 1) as f64 * self.epoch_steps as f64;
        let look_back = AVERAGE_STEPS.min(since_first / 4.0);
        let rate = if look_back <= self.epoch_steps as f64 { 1.0 } else { self.epoch_steps as f64 / look_back };
        self.average.lerp(self.lstm.flat(), rate as f32);
    }

    /// The averaged weights, laid out for forecasts.
    fn predictor<'a>(&self, held: &'a mut Option<Forecasting>) -> &'a mut Predictor {
        let wanted = (self.identity.0, self.epochs);
        let Forecasting { averaged, predictor, loaded } = held.get_or_insert_with(|| Forecasting {
            averaged: self.lstm.clone(),
            predictor: Predictor::new(&self.lstm),
            loaded: (u64::MAX, 0),
        });
        if *loaded != wanted {
            averaged.flat_mut().copy_from_slice(self.average.flat());
            predictor.load(averaged);
            *loaded = wanted;
        }
        predictor
    }

    /// Corrects the quantiles of every horizon, in units of the scale, by the sequence that ends with `step`.
    /// [`LearnerScratch::corrected`] has them then.
    pub fn correct(&self, history: &History, step: i64, scratch: &mut LearnerScratch, bases: &[[f32; 5]]) {
        history.copy_sequence(step, scratch.sequence.view_mut());
        let LearnerScratch { forecasting, sequence, corrected, .. } = scratch;
        // Made in one piece by `zeros`, so it is a slice.
        let outputs = self.predictor(forecasting).predict(sequence.as_slice().unwrap_or_default());
        self.head.quantiles(outputs, bases, corrected);
    }
}
