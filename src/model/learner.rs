//! Layer 4 of the recipe: the LSTM that corrects the quantiles of the layers below it, trained online.
//!
//! Each epoch draws minibatches of 32 examples, one of them the most recent and the others from the last 10,080 steps, all
//! so old that their labels are known; forecasts use an exponential mean of the weights. With a zero head it starts as the layer below,
//! and can only earn its way from there.

use super::adamw::{AdamW, AdamWSettings, clip_norm};
use super::average::WeightAverage;
use super::examples::{Chosen, Examples};
use super::head::Head;
use super::history::{EXAMPLE_STEPS, History};
use super::horizon::REGRESSORS;
use super::lstm::{Gradients, Lstm, dropout_mask};
use super::predictor::Predictor;
use super::random_features::RandomFeatures;
use super::shape::{LstmShape, ModelError};
use super::workspace::Workspace;
use crate::features::INPUTS;
use ndarray::{Array2, Array3, Axis};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use serde::{Deserialize, Serialize};

/// Examples per minibatch.
pub const BATCH: usize = 32;
/// Fewer examples than this are not worth a training.
const EXAMPLES_MIN: usize = 256;
const LEARNING_RATE: f64 = 1.6e-3;
const WEIGHT_DECAY: f64 = 0.5;
const GRADIENT_NORM_MAX: f64 = 1.0;
const DROPOUT: f32 = 0.5;
/// The weights' mean looks back this many steps, or a quarter of those since the first training where that is less.
const AVERAGE_STEPS: f64 = 2880.0;
/// Gain of the head and weight in the loss at horizons of these many steps; between them by power laws.
const BY_HORIZON: [(f64, f64, f64); 4] = [(1.0, 1.0, 1.0), (5.0, 0.1, 0.3), (15.0, 0.03, 0.1), (60.0, 0.01, 0.05)];

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

/// What a minibatch needs while it is learnt from; one for all learners of a thread.
#[derive(Debug)]
pub struct LearnerScratch {
    workspace: Workspace,
    gradients: Gradients,
    /// `[T, B, F]`
    inputs: Array3<f32>,
    /// `[B, K]`
    base: Vec<[f32; 5]>,
    targets: Vec<f32>,
    known: Vec<f32>,
    /// `[B, 7 K]`
    d_outputs: Vec<f32>,
    /// `[B, H]`
    dropout: Vec<f32>,
    /// `[T, F]`
    sequence: Array2<f32>,
    /// A network to copy averaged weights to.
    averaged: Option<Lstm>,
    /// `[K]`
    corrected: Vec<[f32; 5]>,
    random_features: RandomFeatures,
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
            averaged: None,
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

    /// Quantiles for every horizon, in units of the scale, by the last [`Learner::correct`].
    #[must_use]
    pub fn corrected(&self) -> &[[f32; 5]] {
        &self.corrected
    }
}

/// One symbol's LSTM, its optimiser and its averaged weights.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Learner {
    lstm: Lstm,
    optimiser: AdamW,
    average: WeightAverage,
    /// The averaged weights, laid out for forecasts; made of them where it is missing.
    #[serde(skip)]
    predictor: Option<Predictor>,
    head: Head,
    /// The longest horizon in steps.
    horizon_max: i64,
    minibatches: usize,
    epoch_steps: usize,
    random: ChaCha8Rng,
    /// Epochs learnt from.
    epochs: u64,
}

impl Learner {
    /// An untrained learner. `salt` tells symbols apart.
    ///
    /// # Errors
    /// When a size is zero.
    pub fn new(config: &LearnerConfig, horizon_steps: &[usize], salt: u64) -> Result<Self, ModelError> {
        let seed = config.random_seed ^ salt;
        let lstm = Lstm::new(config.shape(), seed)?;
        let settings =
            AdamWSettings { learning_rate: LEARNING_RATE, weight_decay: WEIGHT_DECAY, ..AdamWSettings::default() };
        let by_horizon: Vec<(f64, f64)> = horizon_steps.iter().map(|&steps| interpolate(steps as f64)).collect();
        Ok(Self {
            optimiser: AdamW::new(settings, lstm.flat().len()),
            average: WeightAverage::new(lstm.flat()),
            predictor: None,
            lstm,
            head: Head {
                gains: by_horizon.iter().map(|(gain, _)| *gain as f32).collect(),
                weights: by_horizon.iter().map(|(_, weight)| *weight as f32).collect(),
            },
            horizon_max: horizon_steps.iter().copied().max().unwrap_or(1) as i64,
            minibatches: config.minibatches,
            epoch_steps: config.epoch_steps,
            random: ChaCha8Rng::seed_from_u64(seed.wrapping_add(0x9e37_79b9_7f4a_7c15)),
            epochs: 0,
        })
    }

    /// Learns from one epoch, when the labels up to `step` are known, `effort` times as much as usual: the mean loss, or
    /// none where there is too little to learn from.
    pub fn train(
        &mut self,
        step: i64,
        history: &History,
        examples: &Examples,
        effort: usize,
        scratch: &mut LearnerScratch,
    ) -> Option<f64> {
        let last = step - self.horizon_max;
        let chosen = examples.between(last - EXAMPLE_STEPS as i64 + 1, last);
        let minibatches = self.minibatches * effort;
        if chosen.count < EXAMPLES_MIN || minibatches == 0 {
            return None;
        }
        let mut loss = 0.0;
        for _ in 0..minibatches {
            self.draw(history, examples, chosen, scratch);
            loss += self.learn(scratch);
        }
        self.epochs += 1;
        let since_first = (self.epochs - 1) as f64 * self.epoch_steps as f64;
        let look_back = AVERAGE_STEPS.min(since_first / 4.0);
        let rate = if look_back <= self.epoch_steps as f64 { 1.0 } else { self.epoch_steps as f64 / look_back };
        self.average.lerp(self.lstm.flat(), rate as f32);
        if let Some(predictor) = &mut self.predictor {
            predictor.load(averaged(&mut scratch.averaged, &self.lstm, &self.average));
        }
        Some(loss / minibatches as f64)
    }

    /// Fills a minibatch: the most recent example, and others at random.
    fn draw(&mut self, history: &History, examples: &Examples, chosen: Chosen, scratch: &mut LearnerScratch) {
        let horizons = self.head.horizons();
        for place in 0..BATCH {
            let number = if place == 0 { chosen.count - 1 } else { below(&mut self.random, chosen.count) };
            let labels = place * horizons..(place + 1) * horizons;
            let step = examples.read(
                chosen,
                number,
                &mut scratch.base[labels.clone()],
                &mut scratch.targets[labels.clone()],
                &mut scratch.known[labels],
            );
            history.copy_sequence(step, scratch.inputs.index_axis_mut(Axis(1), place));
        }
    }

    fn learn(&mut self, scratch: &mut LearnerScratch) -> f64 {
        let LearnerScratch { workspace, gradients, inputs, base, targets, known, d_outputs, dropout, .. } = scratch;
        dropout_mask(&mut self.random, DROPOUT, dropout);
        // Made in one piece by `zeros`, so it is a slice.
        let inputs = inputs.as_slice().unwrap_or_default();
        let outputs = self.lstm.forward(inputs, BATCH, Some(dropout), workspace);
        let loss = self.head.loss_and_gradient(outputs, base, targets, known, d_outputs);
        self.lstm.backward(d_outputs, workspace, gradients);
        clip_norm(gradients.flat_mut(), GRADIENT_NORM_MAX);
        self.optimiser.step(self.lstm.flat_mut(), gradients.flat());
        loss
    }

    /// Corrects the quantiles of every horizon, in units of the scale, by the sequence that ends with `step`.
    /// [`LearnerScratch::corrected`] has them then.
    pub fn correct(&mut self, history: &History, step: i64, scratch: &mut LearnerScratch, bases: &[[f32; 5]]) {
        history.copy_sequence(step, scratch.sequence.view_mut());
        let LearnerScratch { averaged: network, sequence, corrected, .. } = scratch;
        let (lstm, average) = (&self.lstm, &self.average);
        let predictor = self.predictor.get_or_insert_with(|| Predictor::new(averaged(network, lstm, average)));
        // Made in one piece by `zeros`, so it is a slice.
        let outputs = predictor.predict(sequence.as_slice().unwrap_or_default());
        self.head.quantiles(outputs, bases, corrected);
    }
}

/// `lstm` with its averaged weights, in `network`.
fn averaged<'a>(network: &'a mut Option<Lstm>, lstm: &Lstm, average: &WeightAverage) -> &'a Lstm {
    let network = network.get_or_insert_with(|| lstm.clone());
    network.flat_mut().copy_from_slice(average.flat());
    network
}

/// Uniform in `0..count`, without the bias of a remainder (Lemire 2019, the multiplication alone: the bias is below 2⁻⁴⁰).
fn below(random: &mut ChaCha8Rng, count: usize) -> usize {
    ((u128::from(random.next_u64()) * count as u128) >> 64) as usize
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
