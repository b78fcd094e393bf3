//! Epochs of minibatches: mean squared error, Adam as Keras has it, dropout before the head.

use super::windows::Windows;
use super::{BATCH, DROPOUT, HIDDEN, PARAMETERS, SHAPE};
use crate::model::adamw::{AdamW, AdamWSettings};
use crate::model::lstm::{Gradients, Lstm, dropout_mask};
use crate::model::workspace::Workspace;
use rand_chacha::ChaCha8Rng;

/// Keras' defaults; [`Training`] sets epsilon step by step.
const ADAM: AdamWSettings =
    AdamWSettings { learning_rate: 1e-3, beta1: 0.9, beta2: 0.999, epsilon: EPSILON, weight_decay: 0.0 };
const EPSILON: f64 = 1e-7;

/// Memory for minibatches; one for all models of a thread.
#[derive(Clone, Debug)]
pub struct Minibatch {
    workspace: Workspace,
    gradients: Gradients,
    /// `[T, B, 1]`
    inputs: Vec<f32>,
    targets: Vec<f32>,
    d_outputs: Vec<f32>,
    /// `[B, H]`
    dropout: Vec<f32>,
}

impl Default for Minibatch {
    fn default() -> Self {
        Self {
            workspace: Workspace::new(&SHAPE, BATCH),
            gradients: Gradients::new(&SHAPE),
            inputs: vec![0.0; SHAPE.steps * BATCH],
            targets: vec![0.0; BATCH],
            d_outputs: vec![0.0; BATCH],
            dropout: vec![0.0; BATCH * HIDDEN],
        }
    }
}

impl Minibatch {
    /// The model's forecasts for these windows, without dropout.
    pub fn outputs(&mut self, lstm: &Lstm, windows: &Windows) -> Vec<f32> {
        let numbers: Vec<usize> = (0..windows.len()).collect();
        let mut all = Vec::with_capacity(numbers.len());
        for numbers in numbers.chunks(BATCH) {
            all.extend_from_slice(self.forward(lstm, windows, numbers, None));
        }
        all
    }

    /// Passes the windows of these numbers through the network, with dropout where there is something to draw it from.
    fn forward(
        &mut self,
        lstm: &Lstm,
        windows: &Windows,
        numbers: &[usize],
        dropout: Option<&mut ChaCha8Rng>,
    ) -> &[f32] {
        let size = numbers.len();
        let inputs = &mut self.inputs[..SHAPE.steps * size];
        windows.gather(numbers, inputs, &mut self.targets);
        let mask = dropout.map(|random| {
            let mask = &mut self.dropout[..size * HIDDEN];
            dropout_mask(random, DROPOUT, mask);
            &*mask
        });
        lstm.forward(inputs, size, mask, &mut self.workspace)
    }
}

/// Weights on their way.
#[derive(Clone, Debug)]
pub struct Training {
    lstm: Lstm,
    optimiser: AdamW,
}

impl Training {
    /// From initial weights of [`SHAPE`].
    ///
    /// # Panics
    /// When they are of another shape.
    #[must_use]
    pub fn new(lstm: Lstm) -> Self {
        assert_eq!(*lstm.shape(), SHAPE, "weights of another shape");
        Self { optimiser: AdamW::new(ADAM, lstm.flat().len()), lstm }
    }

    /// The weights now.
    #[must_use]
    pub fn lstm(&self) -> &Lstm {
        &self.lstm
    }

    /// The weights.
    #[must_use]
    pub fn into_lstm(self) -> Lstm {
        self.lstm
    }

    /// One pass over `windows` in this order, in minibatches of 32, the last one smaller; with dropout where there is
    /// something to draw it from. Gives the mean loss over the windows, each as it was when its minibatch came.
    ///
    /// # Panics
    /// When a number is not that of a window.
    pub fn epoch(
        &mut self,
        windows: &Windows,
        order: &[usize],
        mut dropout: Option<&mut ChaCha8Rng>,
        minibatch: &mut Minibatch,
    ) -> f64 {
        let mut sum = 0.0;
        for numbers in order.chunks(BATCH) {
            minibatch.forward(&self.lstm, windows, numbers, dropout.as_deref_mut());
            sum += self.learn(numbers.len(), minibatch);
        }
        sum / order.len() as f64
    }

    /// Learns from what was passed forward last. Gives the sum of its squared errors.
    fn learn(&mut self, size: usize, minibatch: &mut Minibatch) -> f64 {
        let Minibatch { workspace, gradients, targets, d_outputs, .. } = minibatch;
        let mut sum = 0.0;
        let d_outputs = &mut d_outputs[..size];
        for ((d_output, output), target) in d_outputs.iter_mut().zip(workspace.outputs()).zip(targets.iter()) {
            let error = output - target;
            sum += f64::from(error) * f64::from(error);
            *d_output = 2.0 * error / size as f32;
        }
        self.lstm.backward(d_outputs, workspace, gradients);
        // Keras' LSTM has one bias. The second one is zero, learns nothing, and so stays zero.
        gradients.flat_mut()[second_bias()].fill(0.0);
        // Keras adds epsilon to the root before the correction of its bias, PyTorch and `AdamW` after it.
        let steps = self.optimiser.steps() + 1;
        let correction = 1.0 - libm::pow(ADAM.beta2, steps as f64);
        self.optimiser.set_epsilon(EPSILON / correction.sqrt());
        self.optimiser.step(self.lstm.flat_mut(), gradients.flat());
        sum
    }
}

/// Where the bias that Keras does not have lies: before the head, at the end of the layer.
fn second_bias() -> std::ops::Range<usize> {
    let head = HIDDEN + 1;
    let end = SHAPE.parameters() - head;
    end - (SHAPE.parameters() - PARAMETERS)..end
}

#[cfg(test)]
mod tests {
    use super::super::initial;
    use super::*;
    use rand_chacha::rand_core::SeedableRng as _;

    #[test]
    fn the_model_has_the_project_s_40901_parameters() {
        assert_eq!(PARAMETERS, 40_901);
        let tensor = SHAPE.tensors().into_iter().find(|tensor| tensor.name == "bias_hh_l0").unwrap();
        assert_eq!(second_bias(), tensor.range);
    }

    #[test]
    fn training_learns_and_leaves_the_second_bias_alone() {
        let prices: Vec<f64> = (0..70).map(|row| 100.0 + (f64::from(row) * 0.9).sin()).collect();
        let windows = Windows::of(&prices);
        let order: Vec<usize> = (0..windows.len()).collect();
        let mut training = Training::new(initial::weights(3).unwrap());
        let (mut minibatch, mut random) = (Minibatch::default(), ChaCha8Rng::seed_from_u64(3));
        let first = training.epoch(&windows, &order, Some(&mut random), &mut minibatch);
        for _ in 0..30 {
            training.epoch(&windows, &order, Some(&mut random), &mut minibatch);
        }
        let last = training.epoch(&windows, &order, Some(&mut random), &mut minibatch);
        assert!(last < first / 2.0, "{first} to {last}");
        assert!(training.lstm().flat()[second_bias()].iter().all(|bias| bias.to_bits() == 0));
    }
}
