//! A minibatch through the network.

use multiversion::multiversion;
use multiversion::target::target_cfg_f;

use super::activation::{sigmoid, tanh};
use super::lane::{LANE, Lane, columns_to_lanes, lanes, mul_add};
use super::lstm::Lstm;
use super::product::{Affine, affine};
use super::workspace::Workspace;

impl Lstm {
    /// Passes `batch` sequences through the network and returns the head's outputs, `[B, O]`.
    ///
    /// `inputs` is `[T, B, F]`: step by step, each step's numbers sequence by sequence. `dropout`, `[B, H]`, multiplies
    /// the last hidden state before the head (see [`super::dropout_mask`]); none means no dropout.
    ///
    /// # Panics
    /// When `workspace` was made for another shape or fewer sequences, or a slice has another length.
    pub fn forward<'a>(
        &self,
        inputs: &[f32],
        batch: usize,
        dropout: Option<&[f32]>,
        workspace: &'a mut Workspace,
    ) -> &'a [f32] {
        let shape = *self.shape();
        assert_eq!(workspace.shape, shape, "the workspace was made for another shape");
        assert!((1..=workspace.capacity).contains(&batch), "{batch} sequences do not fit the workspace");
        assert_eq!(inputs.len(), shape.steps * batch * shape.inputs, "inputs must be [T, B, F]");
        workspace.batch = batch;
        take_inputs(inputs, workspace);
        for layer in 0..shape.layers {
            self.forward_layer(layer, workspace);
        }
        self.forward_head(dropout, workspace);
        workspace.outputs()
    }

    fn forward_layer(&self, layer: usize, workspace: &mut Workspace) {
        let shape = self.shape();
        let width = lanes(workspace.batch);
        let (hidden, gates) = (shape.hidden * width, 4 * shape.hidden * width);
        let at = shape.layer_ranges(layer);
        let weights = self.flat();
        sum_biases(&weights[at.bias_ih], &weights[at.bias_hh], &mut workspace.bias);
        let (weight_ih, weight_hh) = (&weights[at.weight_ih], &weights[at.weight_hh]);
        let (below, rest) = workspace.layers.split_at_mut(layer);
        let inputs = below.last().map_or(&workspace.inputs, |below| &below.hidden);
        let columns = shape.layer_inputs(layer) * width;
        let memory = &mut rest[0];
        memory.cell[..hidden].fill(Lane::ZERO);
        for step in 0..shape.steps {
            let input = (weight_ih, &inputs[step * columns..][..columns]);
            let (before, now) = memory.hidden.split_at_mut(step * hidden);
            let out = &mut memory.gates[step * gates..][..gates];
            let bias = &workspace.bias;
            if step == 0 {
                affine(Affine { bias, terms: [input], width, out });
            } else {
                let recurrent = (weight_hh, &before[(step - 1) * hidden..]);
                affine(Affine { bias, terms: [input, recurrent], width, out });
            }
            let (old, new) = memory.cell.split_at_mut((step + 1) * hidden);
            activate(
                &mut memory.gates[step * gates..][..gates],
                &old[step * hidden..],
                &mut new[..hidden],
                &mut memory.cell_tanh[step * hidden..][..hidden],
                &mut now[..hidden],
            );
        }
    }

    fn forward_head(&self, dropout: Option<&[f32]>, workspace: &mut Workspace) {
        let shape = self.shape();
        let (batch, width) = (workspace.batch, lanes(workspace.batch));
        let size = shape.hidden * width;
        match dropout {
            Some(mask) => {
                assert_eq!(mask.len(), batch * shape.hidden, "the dropout mask must be [B, H]");
                columns_to_lanes(mask, shape.hidden, &mut workspace.mask);
            }
            None => workspace.mask.fill(Lane::splat(1.0)),
        }
        let last = &workspace.layers[shape.layers - 1].hidden[(shape.steps - 1) * size..][..size];
        for ((masked, hidden), mask) in workspace.masked.iter_mut().zip(last).zip(&workspace.mask) {
            for ((masked, hidden), mask) in masked.0.iter_mut().zip(&hidden.0).zip(&mask.0) {
                *masked = hidden * mask;
            }
        }
        let (weight, bias) = shape.head_ranges();
        affine(Affine {
            bias: &self.flat()[bias],
            terms: [(&self.flat()[weight], &workspace.masked[..size])],
            width,
            out: &mut workspace.head,
        });
        for (row, outputs) in workspace.outputs.chunks_exact_mut(shape.outputs).take(batch).enumerate() {
            for (column, output) in outputs.iter_mut().enumerate() {
                *output = workspace.head[column * width + row / LANE].0[row % LANE];
            }
        }
    }
}

pub(super) fn sum_biases(bias_ih: &[f32], bias_hh: &[f32], sum: &mut [f32]) {
    for ((sum, ih), hh) in sum.iter_mut().zip(bias_ih).zip(bias_hh) {
        *sum = ih + hh;
    }
}

/// Copies `[T, B, F]` into both layouts.
fn take_inputs(inputs: &[f32], workspace: &mut Workspace) {
    let features = workspace.shape.inputs;
    let (width, row_width) = (lanes(workspace.batch), lanes(features));
    let rows = width * LANE;
    for (step, inputs) in inputs.chunks_exact(workspace.batch * features).enumerate() {
        columns_to_lanes(inputs, features, &mut workspace.inputs[step * features * width..]);
        let out = &mut workspace.input_rows[step * rows * row_width..][..rows * row_width];
        out.fill(Lane::ZERO);
        for (out, row) in out.chunks_exact_mut(row_width).zip(inputs.chunks_exact(features)) {
            for (out, values) in out.iter_mut().zip(row.chunks(LANE)) {
                out.0[..values.len()].copy_from_slice(values);
            }
        }
    }
}

/// Activates the gates and makes the new cell and hidden states.
#[rustversion::attr(since(1.89), multiversion(targets("x86_64+avx512f+avx512vl+avx2+fma", "x86_64+avx2+fma")))]
#[rustversion::attr(before(1.89), multiversion(targets("x86_64+avx2+fma")))]
pub(super) fn activate(
    gates: &mut [Lane],
    cell_before: &[Lane],
    cell: &mut [Lane],
    cell_tanh: &mut [Lane],
    hidden: &mut [Lane],
) {
    if target_cfg_f!(target_feature = "fma") {
        activate_lanes::<true>(gates, cell_before, cell, cell_tanh, hidden);
    } else {
        activate_lanes::<false>(gates, cell_before, cell, cell_tanh, hidden);
    }
}

#[inline(always)]
fn activate_lanes<const FMA: bool>(
    gates: &mut [Lane],
    cell_before: &[Lane],
    cell: &mut [Lane],
    cell_tanh: &mut [Lane],
    hidden: &mut [Lane],
) {
    let size = hidden.len();
    let (input, rest) = gates.split_at_mut(size);
    let (forget, rest) = rest.split_at_mut(size);
    let (candidate, output) = rest.split_at_mut(size);
    let (output, cell_before) = (&mut output[..size], &cell_before[..size]);
    let (cell, cell_tanh) = (&mut cell[..size], &mut cell_tanh[..size]);
    for at in 0..size {
        for lane in 0..LANE {
            let i = sigmoid::<FMA>(input[at].0[lane]);
            let f = sigmoid::<FMA>(forget[at].0[lane]);
            let g = tanh::<FMA>(candidate[at].0[lane]);
            let o = sigmoid::<FMA>(output[at].0[lane]);
            let c = mul_add::<FMA>(f, cell_before[at].0[lane], i * g);
            let t = tanh::<FMA>(c);
            input[at].0[lane] = i;
            forget[at].0[lane] = f;
            candidate[at].0[lane] = g;
            output[at].0[lane] = o;
            cell[at].0[lane] = c;
            cell_tanh[at].0[lane] = t;
            hidden[at].0[lane] = o * t;
        }
    }
}
