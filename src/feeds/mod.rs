//! Producers: what `collect` asks or listens to, and publishes to the source's topic. One room per API.

pub mod messari;
