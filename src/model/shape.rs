//! Sizes of an LSTM, and the names and places of its weights.

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// What can be wrong with a model that comes from outside (a checkpoint, a file of weights).
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ModelError {
    /// A size is zero.
    #[error("the model's `{0}` is 0; it must be at least 1")]
    Empty(&'static str),
    /// A state does not fit the shape it names.
    #[error(
        "`{name}` holds {found} numbers where the model's shape needs {expected}; was it written for another shape?"
    )]
    Length {
        /// The tensor or state.
        name: String,
        /// Numbers that the shape needs.
        expected: usize,
        /// Numbers found.
        found: usize,
    },
    /// A name that no tensor of this shape has.
    #[error("the model has no tensor `{name}`; it has {known}")]
    UnknownTensor {
        /// The name asked for.
        name: String,
        /// The names there are.
        known: String,
    },
}

/// Sizes of an LSTM with a linear head on the last step's hidden state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LstmShape {
    /// Numbers per sequence step (F).
    pub inputs: usize,
    /// Hidden units per layer (H).
    pub hidden: usize,
    /// Layers, one on the other.
    pub layers: usize,
    /// Sequence length (T).
    pub steps: usize,
    /// Outputs of the head (O).
    pub outputs: usize,
}

/// One tensor's name, dimensions and place in the flat weights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor {
    /// PyTorch's name: `weight_ih_l0`, …, `head.bias`.
    pub name: String,
    /// Dimensions, row-major; gates are stacked i, f, g, o.
    pub dims: Vec<usize>,
    /// Place in [`crate::model::Lstm::flat`].
    pub range: Range<usize>,
}

/// Places of one layer's tensors in the flat weights.
#[derive(Clone, Debug)]
pub(super) struct LayerRanges {
    pub weight_ih: Range<usize>,
    pub weight_hh: Range<usize>,
    pub bias_ih: Range<usize>,
    pub bias_hh: Range<usize>,
}

impl LstmShape {
    /// Refuses sizes of zero.
    ///
    /// # Errors
    /// [`ModelError::Empty`] names the size.
    pub fn check(&self) -> Result<(), ModelError> {
        let sizes = [
            ("inputs", self.inputs),
            ("hidden", self.hidden),
            ("layers", self.layers),
            ("steps", self.steps),
            ("outputs", self.outputs),
        ];
        match sizes.into_iter().find(|(_, size)| *size == 0) {
            Some((name, _)) => Err(ModelError::Empty(name)),
            None => Ok(()),
        }
    }

    /// Number of weights.
    #[must_use]
    pub fn parameters(&self) -> usize {
        self.head_ranges().1.end
    }

    /// Every tensor in the one fixed order: layer by layer `weight_ih`, `weight_hh`, `bias_ih`, `bias_hh`, then the
    /// head's `weight` and `bias`.
    #[must_use]
    pub fn tensors(&self) -> Vec<Tensor> {
        let gates = 4 * self.hidden;
        let mut tensors = Vec::with_capacity(4 * self.layers + 2);
        for layer in 0..self.layers {
            let at = self.layer_ranges(layer);
            let tensor = |kind: &str, dims: &[usize], range| Tensor {
                name: format!("{kind}_l{layer}"),
                dims: dims.to_vec(),
                range,
            };
            tensors.push(tensor("weight_ih", &[gates, self.layer_inputs(layer)], at.weight_ih));
            tensors.push(tensor("weight_hh", &[gates, self.hidden], at.weight_hh));
            tensors.push(tensor("bias_ih", &[gates], at.bias_ih));
            tensors.push(tensor("bias_hh", &[gates], at.bias_hh));
        }
        let (weight, bias) = self.head_ranges();
        tensors.push(Tensor { name: "head.weight".into(), dims: vec![self.outputs, self.hidden], range: weight });
        tensors.push(Tensor { name: "head.bias".into(), dims: vec![self.outputs], range: bias });
        tensors
    }

    /// Inputs of one layer: the sequence's for the first, the hidden state's for the others.
    pub(super) fn layer_inputs(&self, layer: usize) -> usize {
        if layer == 0 { self.inputs } else { self.hidden }
    }

    pub(super) fn layer_ranges(&self, layer: usize) -> LayerRanges {
        let gates = 4 * self.hidden;
        let size = |inputs: usize| gates * (inputs + self.hidden + 2);
        let start = match layer {
            0 => 0,
            _ => size(self.inputs) + (layer - 1) * size(self.hidden),
        };
        let weight_ih = start..start + gates * self.layer_inputs(layer);
        let weight_hh = weight_ih.end..weight_ih.end + gates * self.hidden;
        let bias_ih = weight_hh.end..weight_hh.end + gates;
        let bias_hh = bias_ih.end..bias_ih.end + gates;
        LayerRanges { weight_ih, weight_hh, bias_ih, bias_hh }
    }

    pub(super) fn head_ranges(&self) -> (Range<usize>, Range<usize>) {
        let start = self.layer_ranges(self.layers - 1).bias_hh.end;
        let weight = start..start + self.outputs * self.hidden;
        let bias = weight.end..weight.end + self.outputs;
        (weight, bias)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_lie_side_by_side_without_holes() {
        let shape = LstmShape { inputs: 3, hidden: 5, layers: 3, steps: 2, outputs: 4 };
        let mut end = 0;
        for tensor in shape.tensors() {
            assert_eq!(tensor.range.start, end, "{}", tensor.name);
            assert_eq!(tensor.range.len(), tensor.dims.iter().product::<usize>(), "{}", tensor.name);
            end = tensor.range.end;
        }
        assert_eq!(end, shape.parameters());
        assert_eq!(shape.tensors()[4].dims, [20, 5]);
    }

    #[test]
    fn a_size_of_zero_is_refused_by_name() {
        let shape = LstmShape { inputs: 3, hidden: 0, layers: 1, steps: 2, outputs: 4 };
        assert_eq!(shape.check(), Err(ModelError::Empty("hidden")));
    }
}
