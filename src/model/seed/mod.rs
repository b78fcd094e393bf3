//! The model of the student project that tickcast grew from: an LSTM on the last 400 prices, trained anew each time.
//!
//! ```text
//!   400 rows ─┬─ 320 ─> 315 windows ─> 20 epochs of training ─> weights ─┬─> the next row's price
//!             └─  80 ─>  75 windows ─────────────────────────────────────┴─> errors, beside those of the last price
//! ```
//!
//! | file | holds |
//! |---|---|
//! | [`windows`] | rows to windows of five scaled prices, and what is to be forecast |
//! | [`initial`] | initial weights as Keras draws them |
//! | [`training`] | epochs of minibatches, and Keras' Adam |
//! | [`report`] | a training, and what it is worth on the test windows |
//! | [`forecaster`] | one symbol's rows, model and forecasts |
//!
//! A training is a function of 400 prices and a seed: nothing is carried over from one to the next, as the project was run
//! again. `docs/seed.md` says what it does and how it fares.

pub mod forecaster;
pub mod initial;
pub mod report;
pub mod training;
pub mod windows;

use super::shape::LstmShape;

/// Rows that a model is made of: the last ones. A row is the close of a step with a tick.
pub const ROWS: usize = 400;
/// Of them, the first ones are for training: 80 %.
pub const TRAINING_ROWS: usize = 320;
/// Prices in a window; the one after them is forecast.
pub const WINDOW: usize = 5;
/// Hidden units.
pub const HIDDEN: usize = 100;
/// Passes over the training windows.
pub const EPOCHS: usize = 20;
/// Windows per minibatch; the last one of an epoch has what is left.
pub const BATCH: usize = 32;
/// Share of the last hidden state that is dropped while training.
pub const DROPOUT: f32 = 0.2;

/// One number a step, five steps, one output.
pub const SHAPE: LstmShape = LstmShape { inputs: 1, hidden: HIDDEN, layers: 1, steps: WINDOW, outputs: 1 };

/// Weights that are learnt: Keras' LSTM has one bias. The second one of [`SHAPE`] stays zero.
pub const PARAMETERS: usize = 4 * HIDDEN * (1 + HIDDEN + 1) + HIDDEN + 1;
