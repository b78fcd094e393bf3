//! Layer 4 of the recipe: the LSTM that corrects the quantiles of the layers below it, trained online.
//!
//! Each epoch draws minibatches of 32 examples, one of them the most recent and the others from the last 8,640 steps, all
//! so old that their labels are known; forecasts use an exponential mean of the weights. With a zero head it starts as the layer
//! below, and can only earn its way from there. The network is the symbol's own ([`Network`]), or shared by all ([`Pool`]).

use super::examples::{Chosen, Examples};
use super::history::{EXAMPLE_STEPS, History};
use super::network::Network;
use super::pool::Pool;
use super::scratch::{BATCH, LearnerScratch};
use super::settings::LearnerConfig;
use ndarray::Axis;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use serde::{Deserialize, Serialize};

/// Fewer examples than this are not worth a training.
const EXAMPLES_MIN: usize = 256;

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
    /// them of all symbols. `first` is the symbol's first step.
    pub fn contribute(
        &mut self,
        pool: &mut Pool,
        (first, step): (i64, i64),
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
        pool.sum.note_first(first);
    }

    /// The examples whose labels are known at `step`, where they are worth a training.
    fn choose(&self, step: i64, examples: &Examples) -> Option<Chosen> {
        let last = step - self.horizon_max;
        let chosen = examples.between(last - EXAMPLE_STEPS as i64 + 1, last);
        (chosen.count >= EXAMPLES_MIN && self.minibatches > 0).then_some(chosen)
    }

    /// How many examples a training at `step` draws from, and the steps of the first and the last of them.
    #[must_use]
    pub fn known(&self, step: i64, examples: &Examples) -> Option<(usize, i64, i64)> {
        let chosen = self.choose(step, examples)?;
        let (first, last) = examples.ends(chosen)?;
        Some((chosen.count, first, last))
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
pub(super) fn below(random: &mut ChaCha8Rng, count: usize) -> usize {
    ((u128::from(random.next_u64()) * count as u128) >> 64) as usize
}
