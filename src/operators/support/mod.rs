//! What operators stand on and is none: the clock, counters, which numbers were seen, which records repeat others, the sliding aggregate, which steps are due, what sources of a process know of each other, and the
//! way of weights to their writer.

pub mod board;
mod clock;
pub mod gauges;
pub mod keeping;
pub mod last_seen;
pub mod repeats;
pub mod seen;
pub mod sliding;
pub mod stats;
pub mod steps;
pub mod trace;
pub mod weights;
