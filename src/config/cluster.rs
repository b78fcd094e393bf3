//! `[cluster]`: several processes that run one job.

use crate::market::Span;
use serde::Deserialize;

/// `[cluster]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClusterConfig {
    /// How many processes `cluster` starts.
    pub processes: usize,
    /// Each process's address, by its index.
    pub hosts: Option<Vec<String>>,
    /// How long processes wait for each other at the start.
    pub start_timeout: Span,
    /// A process that says nothing for so long is lost.
    pub stall_timeout: Span,
}

impl Default for ClusterConfig {
    fn default() -> Self {
        let (start_timeout, stall_timeout) = (Span::from_millis(60_000), Span::from_millis(10_000));
        Self { processes: 2, hosts: None, start_timeout, stall_timeout }
    }
}
