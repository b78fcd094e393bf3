//! Producers: what `collect` asks or listens to, and publishes to the source's topic. One room per kind of API.

pub mod messari;
pub mod outbound;
pub mod retry_after;
pub mod streams;
mod tail;

use std::hash::{BuildHasher, RandomState};

/// A random number from [0, 1), of the system's own randomness: jitter must differ between machines.
#[must_use]
pub fn chance() -> f64 {
    (RandomState::new().hash_one(0_u8) >> 11) as f64 / (1_u64 << 53) as f64
}
