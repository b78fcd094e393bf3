//! One timely operator per file. None of them asks whether it runs live or over history.
//!
//! [`support`] holds what operators stand on and is none.

pub mod commit;
pub mod learn;
pub mod market;
pub mod panes;
pub mod pool;
pub mod seed;
pub mod source;
pub mod support;
pub mod windows;
