//! One timely operator per file. None of them asks whether it runs live or over history.

pub mod stats;
