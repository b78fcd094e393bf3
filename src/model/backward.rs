//! Backpropagation through time.

use multiversion::multiversion;
use multiversion::target::target_cfg_f;

use super::lane::{LANE, Lane, columns_to_lanes, drop_padding, lanes, mul_add, transpose};
use super::lstm::{Gradients, Lstm};
use super::product::{OverBatch, Transposed, over_batch, transposed};
use super::workspace::{LayerMemory, Workspace};

impl Lstm {
    /// Sets `gradients` from the loss's gradients by the outputs, `[B, O]`, of the minibatch that was last passed
    /// forward in `workspace`. One backward pass per forward pass: it overwrites what the forward pass kept.
    ///
    /// # Panics
    /// When `workspace` or `gradients` is of another shape or no forward pass came before.
    pub fn backward(&self, d_outputs: &[f32], workspace: &mut Workspace, gradients: &mut Gradients) {
        let shape = *self.shape();
        assert_eq!(workspace.shape, shape, "the workspace was made for another shape");
        assert!(workspace.batch > 0, "a forward pass must come first");
        assert_eq!(d_outputs.len(), workspace.batch * shape.outputs, "d_outputs must be [B, O]");
        assert_eq!(gradients.flat().len(), shape.parameters(), "the gradients are of another shape");
        self.backward_head(d_outputs, workspace, gradients);
        for layer in (0..shape.layers).rev() {
            self.backward_layer(layer, workspace);
            weight_gradients(layer, workspace, gradients);
        }
    }

    /// Leaves the gradient by the last hidden state in `d_hidden`.
    fn backward_head(&self, d_outputs: &[f32], workspace: &mut Workspace, gradients: &mut Gradients) {
        let shape = self.shape();
        let width = lanes(workspace.batch);
        let size = shape.hidden * width;
        let d_head = &mut workspace.head[..shape.outputs * width];
        columns_to_lanes(d_outputs, shape.outputs, d_head);
        let (weight, bias) = shape.head_ranges();
        sum_over_batch(d_head, shape.outputs, width, &mut gradients.flat_mut()[bias]);
        transpose(&workspace.masked[..size], width, &mut workspace.masked_rows);
        let rows = &workspace.masked_rows[..width * LANE * lanes(shape.hidden)];
        let out = &mut gradients.flat_mut()[weight.clone()];
        weight_gradient(d_head, width, rows, shape.hidden, &mut workspace.d_weight, out);
        transposed(Transposed {
            weights: &self.flat()[weight],
            rows: shape.hidden,
            right: d_head,
            width,
            out: &mut workspace.d_hidden[..size],
        });
        for (d_hidden, mask) in workspace.d_hidden[..size].iter_mut().zip(&workspace.mask) {
            for (d_hidden, mask) in d_hidden.0.iter_mut().zip(&mask.0) {
                *d_hidden *= mask;
            }
        }
    }

    /// Turns one layer's gates into their gradients, step by step from the last, and leaves what the layer below needs
    /// in `d_above`.
    fn backward_layer(&self, layer: usize, workspace: &mut Workspace) {
        let shape = self.shape();
        let width = lanes(workspace.batch);
        let size = shape.hidden * width;
        let at = shape.layer_ranges(layer);
        let is_top = layer + 1 == shape.layers;
        let LayerMemory { gates, cell, cell_tanh, .. } = &mut workspace.layers[layer];
        let d_hidden = &mut workspace.d_hidden[..size];
        if !is_top {
            d_hidden.fill(Lane::ZERO);
        }
        workspace.d_cell.fill(Lane::ZERO);
        for step in (0..shape.steps).rev() {
            let gates = &mut gates[step * 4 * size..][..4 * size];
            if !is_top {
                add(&workspace.d_above[step * size..][..size], d_hidden);
            }
            let states = (&cell[step * size..][..size], &cell_tanh[step * size..][..size]);
            deactivate(gates, states.0, states.1, d_hidden, &mut workspace.d_cell[..size]);
            if layer > 0 {
                let out = &mut workspace.d_above[step * size..][..size];
                let weights = &self.flat()[at.weight_ih.clone()];
                transposed(Transposed { weights, rows: shape.hidden, right: gates, width, out });
            }
            if step > 0 {
                let weights = &self.flat()[at.weight_hh.clone()];
                transposed(Transposed { weights, rows: shape.hidden, right: gates, width, out: d_hidden });
            }
        }
    }
}

/// Gradients of one layer's weights from its gates' gradients.
fn weight_gradients(layer: usize, workspace: &mut Workspace, gradients: &mut Gradients) {
    let shape = workspace.shape;
    let width = lanes(workspace.batch);
    let (size, row_size) = (shape.hidden * width, width * LANE * lanes(shape.hidden));
    let at = shape.layer_ranges(layer);
    let out = gradients.flat_mut();
    let (below, rest) = workspace.layers.split_at_mut(layer);
    let LayerMemory { gates, hidden, hidden_rows, .. } = &mut rest[0];
    let gates = &gates[..shape.steps * 4 * size];
    sum_over_batch(gates, 4 * shape.hidden, width, &mut out[at.bias_ih.clone()]);
    out.copy_within(at.bias_ih, at.bias_hh.start);
    for (hidden, rows) in hidden.chunks_exact(size).zip(hidden_rows.chunks_exact_mut(row_size)).take(shape.steps - 1) {
        transpose(hidden, width, rows);
    }
    let inputs = match below.last_mut() {
        None => &workspace.input_rows,
        Some(below) => {
            // The layer below overwrites them by the same rows when its turn comes.
            let steps = below.hidden.chunks_exact(size).zip(below.hidden_rows.chunks_exact_mut(row_size));
            for (hidden, rows) in steps.take(shape.steps) {
                transpose(hidden, width, rows);
            }
            &below.hidden_rows
        }
    };
    let columns = shape.layer_inputs(layer);
    let inputs = &inputs[..shape.steps * width * LANE * lanes(columns)];
    weight_gradient(gates, width, inputs, columns, &mut workspace.d_weight, &mut out[at.weight_ih]);
    let before = &hidden_rows[..(shape.steps - 1) * row_size];
    weight_gradient(&gates[4 * size..], width, before, shape.hidden, &mut workspace.d_weight, &mut out[at.weight_hh]);
}

/// Gradient of a weight of `columns` inputs, from the gradients of its outputs and the rows of its inputs.
fn weight_gradient(
    d_outputs: &[Lane],
    batch: usize,
    input_rows: &[Lane],
    columns: usize,
    memory: &mut [Lane],
    out: &mut [f32],
) {
    let width = lanes(columns);
    let padded = &mut memory[..out.len() / columns * width];
    over_batch(OverBatch { left: d_outputs, batch, right: input_rows, width, out: padded });
    drop_padding(padded, width, columns, out);
}

fn add(more: &[Lane], sum: &mut [Lane]) {
    for (sum, more) in sum.iter_mut().zip(more) {
        for (sum, more) in sum.0.iter_mut().zip(&more.0) {
            *sum += more;
        }
    }
}

/// `out[r] = Σ left[t, r, ·]`, `left` being `[steps, rows, width]` lanes.
#[rustversion::attr(since(1.89), multiversion(targets("x86_64+avx512f+avx512vl+avx2+fma", "x86_64+avx2+fma")))]
#[rustversion::attr(before(1.89), multiversion(targets("x86_64+avx2+fma")))]
fn sum_over_batch(left: &[Lane], rows: usize, width: usize, out: &mut [f32]) {
    for (row, out) in out.iter_mut().enumerate() {
        let mut sum = Lane::ZERO;
        for step in left.chunks_exact(rows * width) {
            for lane in &step[row * width..][..width] {
                for (sum, value) in sum.0.iter_mut().zip(&lane.0) {
                    *sum += value;
                }
            }
        }
        *out = sum.sum();
    }
}

/// From the gradients by a step's hidden and cell state: the gates become their gradients before activation, `d_cell`
/// the gradient by the cell state of the step before.
#[rustversion::attr(since(1.89), multiversion(targets("x86_64+avx512f+avx512vl+avx2+fma", "x86_64+avx2+fma")))]
#[rustversion::attr(before(1.89), multiversion(targets("x86_64+avx2+fma")))]
fn deactivate(gates: &mut [Lane], cell_before: &[Lane], cell_tanh: &[Lane], d_hidden: &[Lane], d_cell: &mut [Lane]) {
    if target_cfg_f!(target_feature = "fma") {
        deactivate_lanes::<true>(gates, cell_before, cell_tanh, d_hidden, d_cell);
    } else {
        deactivate_lanes::<false>(gates, cell_before, cell_tanh, d_hidden, d_cell);
    }
}

#[inline(always)]
fn deactivate_lanes<const FMA: bool>(
    gates: &mut [Lane],
    cell_before: &[Lane],
    cell_tanh: &[Lane],
    d_hidden: &[Lane],
    d_cell: &mut [Lane],
) {
    let size = d_hidden.len();
    let (input, rest) = gates.split_at_mut(size);
    let (forget, rest) = rest.split_at_mut(size);
    let (candidate, output) = rest.split_at_mut(size);
    let (output, d_cell) = (&mut output[..size], &mut d_cell[..size]);
    let (cell_before, cell_tanh) = (&cell_before[..size], &cell_tanh[..size]);
    for at in 0..size {
        for lane in 0..LANE {
            let (i, f) = (input[at].0[lane], forget[at].0[lane]);
            let (g, o) = (candidate[at].0[lane], output[at].0[lane]);
            let (t, dh) = (cell_tanh[at].0[lane], d_hidden[at].0[lane]);
            let dc = mul_add::<FMA>(dh * o, 1.0 - t * t, d_cell[at].0[lane]);
            input[at].0[lane] = dc * g * (i * (1.0 - i));
            forget[at].0[lane] = dc * cell_before[at].0[lane] * (f * (1.0 - f));
            candidate[at].0[lane] = dc * i * (1.0 - g * g);
            output[at].0[lane] = dh * t * (o * (1.0 - o));
            d_cell[at].0[lane] = dc * f;
        }
    }
}
