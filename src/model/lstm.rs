//! The weights of an LSTM as PyTorch names and lays them out, their initial values, and their gradients.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

use super::shape::{LstmShape, ModelError, Tensor};

/// An LSTM (gates i, f, g, o, two biases) with a linear head on the last step's hidden state.
///
/// The weights are one flat slice; [`LstmShape::tensors`] says which tensor lies where. Optimiser, averaging and
/// checkpoints work on the slice, export and import on the tensors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written")]
pub struct Lstm {
    shape: LstmShape,
    weights: Vec<f32>,
}

/// Gradients of a loss by every weight, in the order of the weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gradients {
    values: Vec<f32>,
}

impl Lstm {
    /// Initial weights as PyTorch draws them: uniform within ±1/√hidden, by ChaCha8 from `seed`. The head is zero, so
    /// that an untrained network puts out zeros.
    ///
    /// # Errors
    /// [`ModelError::Empty`] when a size is zero.
    pub fn new(shape: LstmShape, seed: u64) -> Result<Self, ModelError> {
        shape.check()?;
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let bound = 1.0 / (shape.hidden as f32).sqrt();
        let head = shape.head_ranges().0.start;
        let mut weights = vec![0.0; shape.parameters()];
        for weight in &mut weights[..head] {
            *weight = bound * (2.0 * uniform(&mut random) - 1.0);
        }
        Ok(Self { shape, weights })
    }

    /// Given weights, in the order of [`LstmShape::tensors`].
    ///
    /// # Errors
    /// When a size is zero, or the weights are not as many as the shape has.
    pub fn of_weights(shape: LstmShape, weights: Vec<f32>) -> Result<Self, ModelError> {
        shape.check()?;
        let (expected, found) = (shape.parameters(), weights.len());
        if expected == found {
            Ok(Self { shape, weights })
        } else {
            Err(ModelError::Length { name: "weights".into(), expected, found })
        }
    }

    /// The sizes.
    #[must_use]
    pub fn shape(&self) -> &LstmShape {
        &self.shape
    }

    /// All weights.
    #[must_use]
    pub fn flat(&self) -> &[f32] {
        &self.weights
    }

    /// All weights, for an optimiser.
    pub fn flat_mut(&mut self) -> &mut [f32] {
        &mut self.weights
    }

    /// Every tensor with its numbers, in the fixed order.
    pub fn tensors(&self) -> impl Iterator<Item = (Tensor, &[f32])> {
        self.shape.tensors().into_iter().map(|tensor| {
            let values = &self.weights[tensor.range.clone()];
            (tensor, values)
        })
    }

    /// Replaces one tensor's numbers.
    ///
    /// # Errors
    /// [`ModelError::UnknownTensor`] or [`ModelError::Length`].
    pub fn set_tensor(&mut self, name: &str, values: &[f32]) -> Result<(), ModelError> {
        let tensors = self.shape.tensors();
        let Some(tensor) = tensors.iter().find(|tensor| tensor.name == name) else {
            let known = tensors.into_iter().map(|tensor| tensor.name).collect::<Vec<_>>().join(", ");
            return Err(ModelError::UnknownTensor { name: name.into(), known });
        };
        let (expected, found) = (tensor.range.len(), values.len());
        if expected != found {
            return Err(ModelError::Length { name: name.into(), expected, found });
        }
        self.weights[tensor.range.clone()].copy_from_slice(values);
        Ok(())
    }
}

impl Gradients {
    /// Zero gradients for a shape.
    #[must_use]
    pub fn new(shape: &LstmShape) -> Self {
        Self { values: vec![0.0; shape.parameters()] }
    }

    /// All gradients.
    #[must_use]
    pub fn flat(&self) -> &[f32] {
        &self.values
    }

    /// All gradients, for clipping.
    pub fn flat_mut(&mut self) -> &mut [f32] {
        &mut self.values
    }

    /// Sets all to zero.
    pub fn clear(&mut self) {
        self.values.fill(0.0);
    }

    /// Adds another minibatch's gradients of the same shape. Sums in a fixed order give the same bits.
    pub fn add(&mut self, other: &Self) {
        for (sum, more) in self.values.iter_mut().zip(&other.values) {
            *sum += more;
        }
    }
}

/// Fills an inverted-dropout mask: 0 with `probability`, else `1 / (1 - probability)`.
pub fn dropout_mask(random: &mut ChaCha8Rng, probability: f32, mask: &mut [f32]) {
    let kept = 1.0 / (1.0 - probability);
    for value in mask {
        *value = if uniform(random) < probability { 0.0 } else { kept };
    }
}

/// Uniform in [0, 1) on 2²⁴ points.
pub(super) fn uniform(random: &mut ChaCha8Rng) -> f32 {
    (random.next_u32() >> 8) as f32 / 16_777_216.0
}

/// [`Lstm`] as it was written, before its length is checked.
#[derive(Deserialize)]
struct Written {
    shape: LstmShape,
    weights: Vec<f32>,
}

impl TryFrom<Written> for Lstm {
    type Error = ModelError;

    fn try_from(Written { shape, weights }: Written) -> Result<Self, ModelError> {
        Self::of_weights(shape, weights)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: LstmShape = LstmShape { inputs: 3, hidden: 16, layers: 2, steps: 2, outputs: 4 };

    #[test]
    fn the_seed_decides_the_initial_weights_and_the_head_is_zero() {
        let lstm = Lstm::new(SHAPE, 7).unwrap();
        assert_eq!(lstm, Lstm::new(SHAPE, 7).unwrap());
        assert_ne!(lstm, Lstm::new(SHAPE, 8).unwrap());
        for (tensor, values) in lstm.tensors() {
            if tensor.name.starts_with("head") {
                assert!(values.iter().all(|value| *value == 0.0));
            } else {
                let largest = values.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
                assert!((0.2..=0.25).contains(&largest), "{}: {largest}", tensor.name);
            }
        }
    }

    #[test]
    fn weights_written_and_read_have_the_same_bits() {
        let lstm = Lstm::new(SHAPE, 7).unwrap();
        let read: Lstm = serde_json::from_str(&serde_json::to_string(&lstm).unwrap()).unwrap();
        let bits = |lstm: &Lstm| lstm.flat().iter().map(|weight| weight.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&read), bits(&lstm));
    }

    #[test]
    fn weights_of_another_shape_are_refused() {
        let mut written = serde_json::to_value(Lstm::new(SHAPE, 7).unwrap()).unwrap();
        written["shape"]["hidden"] = 17.into();
        let error = serde_json::from_value::<Lstm>(written).unwrap_err().to_string();
        assert!(error.contains("another shape"), "{error}");
        let mut lstm = Lstm::new(SHAPE, 7).unwrap();
        assert!(matches!(lstm.set_tensor("head.bias", &[1.0]), Err(ModelError::Length { expected: 4, found: 1, .. })));
        assert!(matches!(lstm.set_tensor("head.scale", &[1.0]), Err(ModelError::UnknownTensor { .. })));
    }

    #[test]
    fn dropout_keeps_the_mean() {
        let mut mask = vec![0.0; 100_000];
        dropout_mask(&mut ChaCha8Rng::seed_from_u64(1), 0.5, &mut mask);
        let mean = mask.iter().sum::<f32>() / 100_000.0;
        assert!((mean - 1.0).abs() < 0.01, "{mean}");
        assert!(mask.iter().all(|value| *value == 0.0 || *value == 2.0));
    }
}
