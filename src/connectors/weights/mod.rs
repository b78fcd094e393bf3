//! A directory of weights: one file per network, each replaced as a whole. What stands in the files is not known here.
//!
//! ```text
//!   DIR/BTC.safetensors           written by the job, as it learns
//!   DIR/pooled.safetensors        the same, where all symbols share one network
//!   DIR/initial/BTC.safetensors   what the job starts from
//! ```

mod files;
mod writer;

pub use files::{FILES_MAX, INITIAL, TOTAL_BYTES_MAX, WeightsFileError, check, names, path, read, read_all, write};
pub use writer::{QUEUE_FILES_MAX, WeightsSender, WeightsWriter};
