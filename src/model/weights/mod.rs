//! The LSTM's weights outside of the job: those that forecasts are made with, what they were learnt from, and a forecast to
//! check a reader by.
//!
//! | file | holds |
//! |---|---|
//! | `about` | what is said of the weights, as texts by name |
//! | `encode`, `decode` | the bytes of a file (safetensors), and back |
//! | `initial` | the weights that a job starts from |
//!
//! Weights alone: what Adam remembers is not among them. A network that starts from a file starts with fresh moments, and
//! with the file's weights as their own mean, which then looks back as far as after that many trainings.

mod about;
mod decode;
mod encode;
mod initial;

pub use about::About;
pub use initial::InitialWeights;

use super::lstm::Lstm;
use crate::market::{Symbol, Timestamp};

/// Of the layout of a file: raised whenever a reader would have to know.
pub const FORMAT_VERSION: &str = "1";
/// The largest file that is read. The largest network that the settings allow takes 119 MB.
pub const FILE_BYTES_MAX: u64 = 128 << 20;
/// The largest header of a file that is read: ours take some kilobytes.
pub const HEADER_BYTES_MAX: u64 = 1 << 20;

/// Weights of one network, and where they come from.
#[derive(Clone, Debug, PartialEq)]
pub struct Weights {
    /// What is said of them.
    pub about: About,
    /// The exponential mean of the weights: forecasts are made with it.
    pub lstm: Lstm,
    /// What they make of one sequence; none while a whole sequence has not been seen.
    pub example: Option<Example>,
}

/// What the LSTM makes of a symbol's last sequence: for another implementation to be compared with.
#[derive(Clone, Debug, PartialEq)]
pub struct Example {
    /// Of which symbol.
    pub symbol: Symbol,
    /// End of the last step of the sequence.
    pub issued_at: Timestamp,
    /// The last price then, in units of price.
    pub last_price: f64,
    /// By horizon, as log returns: a quantile's price is `last_price * exp(scale * quantile)`.
    pub scales: Vec<f64>,
    /// The sequence, `[T, F]`.
    pub inputs: Vec<f32>,
    /// The quantiles that the LSTM corrects, `[K, 5]`, in units of the scale.
    pub bases: Vec<[f32; 5]>,
    /// The corrected quantiles, `[K, 5]`, in units of the scale.
    pub quantiles: Vec<[f32; 5]>,
}

/// Why bytes are no weights, or not those that are wanted.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum WeightsError {
    /// They are something else, or damaged.
    #[error("no safetensors file: {0}")]
    Foreign(String),
    /// Another version of tickcast wrote them.
    #[error("format {found:?}, and this tickcast reads {FORMAT_VERSION}: export the weights again with this version")]
    Format {
        /// Their format.
        found: String,
    },
    /// What is said of them is missing or wrong.
    #[error("its metadata `{name}` {what}; was it exported by tickcast?")]
    About {
        /// The name.
        name: &'static str,
        /// What is wrong with it.
        what: String,
    },
    /// A tensor is missing, or of another type or shape.
    #[error("its tensor `{name}` {what}")]
    Tensor {
        /// The name.
        name: String,
        /// What is wrong with it.
        what: String,
    },
    /// They belong to another model.
    #[error("these weights do not fit the configuration: {}", .0.join("; "))]
    Unfit(Vec<String>),
}
