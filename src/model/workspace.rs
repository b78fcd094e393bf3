//! Memory for one minibatch on its way through the network and back: made once, used again and again.

use super::lane::{LANE, Lane, lanes};
use super::shape::LstmShape;

/// What a forward pass keeps for the backward pass, and the backward pass's own intermediate values.
#[derive(Clone, Debug)]
pub struct Workspace {
    pub(super) shape: LstmShape,
    pub(super) capacity: usize,
    /// Sequences in the minibatch that was last passed forward.
    pub(super) batch: usize,
    pub(super) layers: Vec<LayerMemory>,
    /// Inputs, `[T, F, batch]` lanes along the batch.
    pub(super) inputs: Vec<Lane>,
    /// Inputs, `[T, batch, F]` lanes along the inputs.
    pub(super) input_rows: Vec<Lane>,
    /// Dropout mask, `[H, batch]`; ones without dropout.
    pub(super) mask: Vec<Lane>,
    /// Last hidden state times the mask, `[H, batch]` and `[batch, H]`.
    pub(super) masked: Vec<Lane>,
    pub(super) masked_rows: Vec<Lane>,
    /// Head's outputs (and their gradients), `[O, batch]`.
    pub(super) head: Vec<Lane>,
    /// The same for the caller, `[B, O]`.
    pub(super) outputs: Vec<f32>,
    /// Sum of both biases of a layer.
    pub(super) bias: Vec<f32>,
    /// A weight's gradients, each row padded to whole lanes.
    pub(super) d_weight: Vec<Lane>,
    pub(super) d_hidden: Vec<Lane>,
    pub(super) d_cell: Vec<Lane>,
    /// Gradients by a layer's hidden states from the layer above, `[T, H, batch]`.
    pub(super) d_above: Vec<Lane>,
}

/// One layer's states, lanes along the batch but for `hidden_rows`.
#[derive(Clone, Debug)]
pub(super) struct LayerMemory {
    /// Activated gates i, f, g, o, then their gradients before activation, `[T, 4H, batch]`.
    pub gates: Vec<Lane>,
    /// Cell states, `[T + 1, H, batch]`; the first is zero.
    pub cell: Vec<Lane>,
    /// tanh of the cell states, `[T, H, batch]`.
    pub cell_tanh: Vec<Lane>,
    /// Hidden states, `[T, H, batch]`.
    pub hidden: Vec<Lane>,
    /// Hidden states, `[T, batch, H]` lanes along the hidden units.
    pub hidden_rows: Vec<Lane>,
}

impl Workspace {
    /// Memory for minibatches of up to `capacity` sequences.
    #[must_use]
    pub fn new(shape: &LstmShape, capacity: usize) -> Self {
        let width = lanes(capacity);
        let rows = width * LANE;
        let (steps, hidden) = (shape.steps, shape.hidden);
        let zeros = |count: usize| vec![Lane::ZERO; count];
        let layer = || LayerMemory {
            gates: zeros(steps * 4 * hidden * width),
            cell: zeros((steps + 1) * hidden * width),
            cell_tanh: zeros(steps * hidden * width),
            hidden: zeros(steps * hidden * width),
            hidden_rows: zeros(steps * rows * lanes(hidden)),
        };
        Self {
            shape: *shape,
            capacity,
            batch: 0,
            layers: (0..shape.layers).map(|_| layer()).collect(),
            inputs: zeros(steps * shape.inputs * width),
            input_rows: zeros(steps * rows * lanes(shape.inputs)),
            mask: zeros(hidden * width),
            masked: zeros(hidden * width),
            masked_rows: zeros(rows * lanes(hidden)),
            head: zeros(shape.outputs * width),
            outputs: vec![0.0; capacity * shape.outputs],
            bias: vec![0.0; 4 * hidden],
            d_weight: zeros((4 * hidden).max(shape.outputs) * lanes(hidden.max(shape.inputs))),
            d_hidden: zeros(hidden * width),
            d_cell: zeros(hidden * width),
            d_above: zeros(if shape.layers > 1 { steps * hidden * width } else { 0 }),
        }
    }

    /// The head's outputs of the last forward pass, `[B, O]`.
    #[must_use]
    pub fn outputs(&self) -> &[f32] {
        &self.outputs[..self.batch * self.shape.outputs]
    }
}
