//! Layer 4 of the recipe: the LSTM that corrects the quantiles of the layers below it, trained online.
//!
//! Each epoch draws minibatches of 32 examples, one of them the most recent and the others from the last 10,080 steps, all
//! so old that their labels are known; forecasts use an exponential mean of the weights. With a zero head it starts as the layer
//! below, and can only earn its way from there. The network is the symbol's own ([`Network`]), or shared by all ([`Pool`]).

use super::examples::{Chosen, Examples};
use super::history::{EXAMPLE_STEPS, History};
use super::horizon::REGRESSORS;
use super::lstm::Gradients;
use super::network::{Forecasting, Network};
use super::pool::Pool;
use super::random_features::RandomFeatures;
use super::shape::LstmShape;
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

    /// Quantiles for every horizon, in units of the scale, by the last [`Network::correct`].
    #[must_use]
    pub fn corrected(&self) -> &[[f32; 5]] {
        &self.corrected
    }
}

/// One symbol's part in the learning of a network.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Learner {
    /// The longest horizon in steps.
    horizon_max: i64,
    minibatches: usize,
    random: ChaCha8Rng,
}

impl Learner {
    /// `salt` tells symbols apart.
    #[must_use]
    pub fn new(config: &LearnerConfig, horizon_steps: &[usize], salt: u64) -> Self {
        let seed = config.random_seed ^ salt;
        Self {
            horizon_max: horizon_steps.iter().copied().max().unwrap_or(1) as i64,
            minibatches: config.minibatches,
            random: ChaCha8Rng::seed_from_u64(seed.wrapping_add(0x9e37_79b9_7f4a_7c15)),
        }
    }

    /// Lets the symbol's own network learn from one epoch, when the labels up to `step` are known, `effort` times as much as
    /// usual: the mean loss, or none where there is too little to learn from.
    pub fn train(
        &mut self,
        network: &mut Network,
        step: i64,
        (history, examples): (&History, &Examples),
        effort: usize,
        scratch: &mut LearnerScratch,
    ) -> Option<f64> {
        let chosen = self.choose(step, examples)?;
        let minibatches = self.minibatches * effort;
        let mut loss = 0.0;
        for _ in 0..minibatches {
            self.draw(history, examples, chosen, scratch);
            loss += network.gradient(&mut self.random, scratch);
            network.descend(&scratch.gradients);
        }
        network.end_epoch();
        Some(loss / minibatches as f64)
    }

    /// The same for a network that all symbols share: it gets the gradients of as many minibatches, and learns when it has
    /// them of all symbols.
    pub fn contribute(
        &mut self,
        pool: &mut Pool,
        step: i64,
        (history, examples): (&History, &Examples),
        effort: usize,
        scratch: &mut LearnerScratch,
    ) {
        let Some(chosen) = self.choose(step, examples) else { return };
        for _ in 0..self.minibatches * effort {
            self.draw(history, examples, chosen, scratch);
            let loss = pool.network.gradient(&mut self.random, scratch);
            pool.sum.add(scratch.gradients.flat(), loss);
        }
    }

    /// The examples whose labels are known at `step`, where they are worth a training.
    fn choose(&self, step: i64, examples: &Examples) -> Option<Chosen> {
        let last = step - self.horizon_max;
        let chosen = examples.between(last - EXAMPLE_STEPS as i64 + 1, last);
        (chosen.count >= EXAMPLES_MIN && self.minibatches > 0).then_some(chosen)
    }

    /// Fills a minibatch: the most recent example, and others at random.
    fn draw(&mut self, history: &History, examples: &Examples, chosen: Chosen, scratch: &mut LearnerScratch) {
        let horizons = scratch.corrected.len();
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
}

/// Uniform in `0..count`, without the bias of a remainder (Lemire 2019, the multiplication alone: the bias is below 2⁻⁴⁰).
fn below(random: &mut ChaCha8Rng, count: usize) -> usize {
    ((u128::from(random.next_u64()) * count as u128) >> 64) as usize
}
