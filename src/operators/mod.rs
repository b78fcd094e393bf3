//! One timely operator per file. None of them asks whether it runs live or over history.

pub mod board;
pub mod commit;
pub mod learn;
pub mod market;
pub mod panes;
pub mod pool;
pub mod seed;
pub mod sliding;
pub mod source;
pub mod stats;
pub mod weights;
pub mod windows;
