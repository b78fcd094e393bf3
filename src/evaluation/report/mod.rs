//! The figures of a report, from published forecasts and their scores: one pass, in memory that does not grow with the
//! number of forecasts.
//!
//! ```text
//!   forecasts (by issued_at) ──┐
//!                              ├──> Judge ──(symbol, horizon)──> Series ──> Figures
//!   scores (by target_at) ─────┘    filter     join by target     sums
//! ```
//!
//! Each symbol and horizon is a series of its own, and its figures depend on its own records in their own order alone: so
//! files, a database and a topic with any number of partitions give the same bits.

pub mod bins;
pub mod figures;
pub mod hac;
mod judge;
pub mod series;
mod sums;

pub use figures::{Figures, SeriesFigures};
pub use judge::{Filter, Judge, JudgeError};

use crate::market::{Span, Status, Symbol, Timestamp};
use std::sync::Arc;

/// A published forecast, as far as a report needs it.
#[derive(Clone, Debug, PartialEq)]
pub struct Issued {
    /// The job's id.
    pub job: Arc<str>,
    /// Of which symbol.
    pub symbol: Symbol,
    /// How far ahead.
    pub horizon: Span,
    /// When it was made.
    pub issued_at: Timestamp,
    /// For when.
    pub target_at: Timestamp,
    /// The last price, which is the naive forecast.
    pub last_price: f64,
    /// The forecast.
    pub price: f64,
    /// Lower end of the interval.
    pub lower: f64,
    /// Upper end of the interval.
    pub upper: f64,
    /// The share of outcomes that the interval is meant to hold.
    pub coverage: f64,
    /// Prices at [`crate::market::forecast::LEVELS`].
    pub quantiles: [f64; 5],
    /// What the job thought of it.
    pub status: Status,
    /// The evidence so far, as published.
    pub e_value: f64,
    /// Trainings behind the weights.
    pub version: u64,
    /// Mean loss of the last epoch.
    pub loss: Option<f64>,
}

/// A published score, as far as a report needs it.
#[derive(Clone, Debug, PartialEq)]
pub struct Settled {
    /// The job's id.
    pub job: Arc<str>,
    /// Of which symbol.
    pub symbol: Symbol,
    /// How far ahead the forecast looked.
    pub horizon: Span,
    /// Its target time.
    pub target_at: Timestamp,
    /// `None` is `void`.
    pub outcome: Option<Outcome>,
}

/// The figures of a score that is not void; errors and losses in units of price.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    /// The last price at the target time.
    pub actual_price: f64,
    /// Forecast less actual price.
    pub error: f64,
    /// Naive less actual price.
    pub naive_error: f64,
    /// Whether the actual price lay in the interval.
    pub covered: bool,
    /// Mean pinball loss of the quantiles.
    pub pinball: f64,
    /// The same of EWMA-volatility Gaussian quantiles.
    pub naive_pinball: f64,
}
