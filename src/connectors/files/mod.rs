//! Files: results as JSON lines, and dead letters.

pub mod dead_letters;
pub mod sink;
