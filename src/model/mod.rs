//! The learning room: pure code, no clock, no I/O, no timely. The same inputs give the same bits.
//!
//! | file | holds |
//! |---|---|
//! | [`shape`], [`lstm`] | sizes, names and layouts of the weights (PyTorch's), initial weights, gradients |
//! | [`workspace`], `forward`, `backward` | a minibatch through the network and back, without allocation |
//! | [`predictor`] | one sequence through the network, for forecasts |
//! | [`head`], [`pinball`] | network outputs to quantiles, the loss and its gradient |
//! | [`adamw`], [`average`] | gradient clipping, the optimiser, the exponential mean of the weights |
//! | [`quantile_window`], `quantile_axis` | the shape of the standardised returns, over a window of labels |
//! | [`gate`], [`terciles`], [`intervals`] | what is published of the median, and where the outer quantiles go |
//! | [`activation`], [`lane`], `product` | sigmoid and tanh, sixteen floats at a time, matrix products |
//!
//! A minibatch lies with the batch as the fastest dimension, sixteen sequences to a [`lane::Lane`]: each sequence is
//! computed by the same operations in the same order, wherever in the batch it stands and however large the batch is.
//! Bits may differ between processors with and without fused multiply-add ([`activation::fused`] tells them apart),
//! and agree among all that have it.

pub mod activation;
pub mod adamw;
pub mod average;
mod backward;
pub mod forecaster;
mod forward;
pub mod gate;
pub mod head;
pub mod history;
pub mod intervals;
pub mod lane;
pub mod learner;
pub mod lstm;
pub mod pinball;
pub mod predictor;
mod product;
mod quantile_axis;
pub mod quantile_window;
pub mod scale;
pub mod shape;
pub mod terciles;
pub mod workspace;

pub use adamw::{AdamW, AdamWSettings, clip_norm};
pub use average::WeightAverage;
pub use head::Head;
pub use lstm::{Gradients, Lstm, dropout_mask};
pub use predictor::Predictor;
pub use shape::{LstmShape, ModelError, Tensor};
pub use workspace::Workspace;
