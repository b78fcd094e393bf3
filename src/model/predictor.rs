//! One sequence through the network: weights are kept transposed, so that lanes run along the gates.

use multiversion::multiversion;
use multiversion::target::target_cfg_f;

use super::forward::activate;
use super::lane::{LANE, Lane, lanes};
use super::lstm::Lstm;
use super::shape::LstmShape;

/// Lanes computed together: enough to hide the latency of the sums.
const BLOCK: usize = 4;

/// An [`Lstm`]'s weights, laid out for one sequence at a time, and the memory that takes.
///
/// Outputs have the same bits as those of [`Lstm::forward`] without dropout. When the network has learnt,
/// [`Predictor::load`] takes its new weights.
#[derive(Clone, Debug)]
pub struct Predictor {
    shape: LstmShape,
    layers: Vec<Affine>,
    head: Affine,
    gates: Vec<Lane>,
    /// Cell state before and after the step at hand, and its tanh.
    cell: [Vec<Lane>; 3],
    hidden: Vec<Lane>,
    /// A step's inputs followed by the hidden state before it.
    joined: Vec<f32>,
    /// Hidden states of a layer, `[T, H]`: the inputs of the next.
    sequence: Vec<f32>,
    head_lanes: Vec<Lane>,
    outputs: Vec<f32>,
}

/// Bias and weights as `[block, input, BLOCK]` lanes.
#[derive(Clone, Debug)]
struct Affine {
    inputs: usize,
    bias: Vec<Lane>,
    weights: Vec<Lane>,
}

impl Affine {
    fn new(inputs: usize, outputs: usize) -> Self {
        let blocks = outputs.div_ceil(BLOCK);
        Self { inputs, bias: vec![Lane::ZERO; blocks * BLOCK], weights: vec![Lane::ZERO; blocks * BLOCK * inputs] }
    }

    /// Sets the weights of one output, `from` input `first` on.
    fn set(&mut self, output: usize, first: usize, from: &[f32]) {
        let (lane, at) = (output / LANE, output % LANE);
        let block = lane / BLOCK * self.inputs;
        for (input, weight) in from.iter().enumerate() {
            self.weights[(block + first + input) * BLOCK + lane % BLOCK].0[at] = *weight;
        }
    }
}

impl Predictor {
    /// Takes a network's weights.
    #[must_use]
    pub fn new(lstm: &Lstm) -> Self {
        let shape = *lstm.shape();
        let width = lanes(shape.hidden);
        let widest = shape.inputs.max(shape.hidden);
        let layer = |layer| Affine::new(shape.layer_inputs(layer) + shape.hidden, 4 * width);
        let head = Affine::new(shape.hidden, lanes(shape.outputs));
        let mut predictor = Self {
            shape,
            layers: (0..shape.layers).map(layer).collect(),
            gates: vec![Lane::ZERO; 4 * width],
            cell: std::array::from_fn(|_| vec![Lane::ZERO; width]),
            hidden: vec![Lane::ZERO; width],
            joined: vec![0.0; widest + shape.hidden],
            sequence: vec![0.0; shape.steps * shape.hidden],
            head_lanes: vec![Lane::ZERO; head.bias.len()],
            outputs: vec![0.0; shape.outputs],
            head,
        };
        predictor.load(lstm);
        predictor
    }

    /// Takes a network's new weights, without allocation.
    ///
    /// # Panics
    /// When the network is of another shape.
    pub fn load(&mut self, lstm: &Lstm) {
        let shape = self.shape;
        assert_eq!(*lstm.shape(), shape, "the predictor was made for another shape");
        let (weights, hidden, padded) = (lstm.flat(), shape.hidden, lanes(shape.hidden) * LANE);
        for (layer, affine) in self.layers.iter_mut().enumerate() {
            let at = shape.layer_ranges(layer);
            let inputs = shape.layer_inputs(layer);
            for row in 0..4 * hidden {
                let output = row / hidden * padded + row % hidden;
                affine.set(output, 0, &weights[at.weight_ih.start + row * inputs..][..inputs]);
                affine.set(output, inputs, &weights[at.weight_hh.start + row * hidden..][..hidden]);
                affine.bias[output / LANE].0[output % LANE] =
                    weights[at.bias_ih.start + row] + weights[at.bias_hh.start + row];
            }
        }
        let (weight, bias) = shape.head_ranges();
        for output in 0..shape.outputs {
            self.head.set(output, 0, &weights[weight.start + output * hidden..][..hidden]);
            self.head.bias[output / LANE].0[output % LANE] = weights[bias.start + output];
        }
    }

    /// The head's outputs, `[O]`, for one sequence, `[T, F]`.
    ///
    /// # Panics
    /// When the sequence has another length.
    pub fn predict(&mut self, sequence: &[f32]) -> &[f32] {
        let shape = self.shape;
        assert_eq!(sequence.len(), shape.steps * shape.inputs, "the sequence must be [T, F]");
        for layer in 0..shape.layers {
            self.cell[0].fill(Lane::ZERO);
            let inputs = shape.layer_inputs(layer);
            for step in 0..shape.steps {
                let from = if layer == 0 { sequence } else { &self.sequence };
                self.joined[..inputs].copy_from_slice(&from[step * inputs..][..inputs]);
                // Before the first step there is no hidden state.
                let known = if step == 0 { inputs } else { inputs + shape.hidden };
                apply(&self.layers[layer], &self.joined[..known], &mut self.gates);
                let [before, after, tanh] = &mut self.cell;
                activate(&mut self.gates, before, after, tanh, &mut self.hidden);
                std::mem::swap(before, after);
                let hidden = &mut self.joined[inputs..][..shape.hidden];
                copy_lanes(&self.hidden, hidden);
                self.sequence[step * shape.hidden..][..shape.hidden].copy_from_slice(hidden);
            }
        }
        let last = &self.sequence[(shape.steps - 1) * shape.hidden..];
        apply(&self.head, last, &mut self.head_lanes);
        copy_lanes(&self.head_lanes, &mut self.outputs);
        &self.outputs
    }
}

fn copy_lanes(from: &[Lane], to: &mut [f32]) {
    for (to, from) in to.chunks_mut(LANE).zip(from) {
        to.copy_from_slice(&from.0[..to.len()]);
    }
}

/// `out = bias + weights · values`, over the first `values.len()` inputs.
#[rustversion::attr(since(1.89), multiversion(targets("x86_64+avx512f+avx512vl+avx2+fma", "x86_64+avx2+fma")))]
#[rustversion::attr(before(1.89), multiversion(targets("x86_64+avx2+fma")))]
fn apply(affine: &Affine, values: &[f32], out: &mut [Lane]) {
    if target_cfg_f!(target_feature = "fma") {
        apply_blocks::<true>(affine, values, out);
    } else {
        apply_blocks::<false>(affine, values, out);
    }
}

#[inline(always)]
fn apply_blocks<const FMA: bool>(affine: &Affine, values: &[f32], out: &mut [Lane]) {
    let blocks = affine.weights.chunks_exact(affine.inputs * BLOCK);
    let (biases, _) = affine.bias.as_chunks::<BLOCK>();
    let (outs, _) = out.as_chunks_mut::<BLOCK>();
    for ((weights, bias), out) in blocks.zip(biases).zip(outs) {
        let mut sums = *bias;
        let (weights, _) = weights.as_chunks::<BLOCK>();
        for (value, weights) in values.iter().zip(weights) {
            for (sum, weight) in sums.iter_mut().zip(weights) {
                sum.add_product::<FMA>(*value, weight);
            }
        }
        *out = sums;
    }
}
