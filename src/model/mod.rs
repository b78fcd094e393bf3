//! The learning room: pure code, no clock, no I/O, no timely. The same inputs give the same bits.
//!
//! | file | holds |
//! |---|---|
//! | [`forecaster`], [`horizon`], `pending` | one symbol, all layers of one of its horizons, a forecast that waits |
//! | [`settings`], [`scratch`] | what the room is told, and memory that symbols use by turns |
//! | [`lineage`] | what a forecast was made of, for who asks |
//! | [`state`] | a symbol's state as bytes, and back |
//! | [`experts`] | who is mixed, with which priors, and which parts are on |
//! | [`scale`], [`shape_windows`], [`quantile_window`], [`quantile_regression`], [`random_features`] | layers 1 to 3 |
//! | [`prior`] | what layers 1 and 2 know before their first label |
//! | [`location`], [`covariance`] | an expert on location, the matrix that online regressions share |
//! | [`learner`], [`examples`], [`history`] | layer 4: a symbol's part in the LSTM's online training, and what it remembers |
//! | [`network`], [`pool`] | the LSTM that learns and forecasts, and one that all symbols share |
//! | [`mixture`], [`gate`], [`intervals`], [`terciles`] | layers 5 to 7 |
//! | [`shape`], [`lstm`] | sizes, names and layouts of the weights (PyTorch's), initial weights, gradients |
//! | [`workspace`], `forward`, `backward` | a minibatch through the network and back, without allocation |
//! | [`weights`] | weights as files, and those that a job starts from |
//! | [`predictor`] | one sequence through the network, for forecasts |
//! | [`head`], [`pinball`] | network outputs to quantiles, the loss and its gradient |
//! | [`adamw`], [`average`] | gradient clipping, the optimiser, the exponential mean of the weights |
//! | [`seed`] | another model in whole: the student project's |
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
pub mod covariance;
pub mod examples;
pub mod experts;
pub mod forecaster;
mod forward;
pub mod gate;
pub mod head;
pub mod history;
pub mod horizon;
pub mod intervals;
pub mod lane;
pub mod learner;
pub mod lineage;
pub mod location;
pub mod lstm;
pub mod mixture;
pub mod network;
mod numerics;
mod pending;
pub mod pinball;
pub mod pool;
pub mod predictor;
pub mod prior;
mod product;
mod quantile_axis;
pub mod quantile_regression;
pub mod quantile_window;
pub mod random_features;
pub mod scale;
pub mod scratch;
pub mod seed;
pub mod settings;
pub mod shape;
pub mod shape_windows;
pub mod state;
pub mod terciles;
pub mod weights;
pub mod workspace;

pub use adamw::{AdamW, AdamWSettings, clip_norm};
pub use average::WeightAverage;
pub use head::Head;
pub use lstm::{Gradients, Lstm, dropout_mask};
pub use mixture::Mixture;
pub use numerics::{NUMERICS_VERSION, numerics};
pub use predictor::Predictor;
pub use shape::{LstmShape, ModelError, Tensor};
pub use workspace::Workspace;
