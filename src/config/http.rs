//! `[http]`: what is served of a job.

use crate::market::Span;
use serde::Deserialize;
use std::path::PathBuf;

/// `[http]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpConfig {
    /// Address and port; port 0 is any that is free.
    pub listen: String,
    /// What it is called besides its addresses.
    pub hosts: Option<Vec<String>>,
    /// The embedded store's file; in memory without one.
    pub store: Option<PathBuf>,
    /// Event time that the store keeps.
    pub retention: Span,
    /// Bytes that its file has at most, more or less; in memory, a twentieth.
    pub store_bytes_max: u64,
    /// Open connections.
    pub connections_max: usize,
    /// Open streams.
    pub streams_max: usize,
    /// Of one address.
    pub streams_per_client: usize,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8080".to_owned(),
            hosts: None,
            store: None,
            retention: Span::from_millis(2 * 86_400_000),
            store_bytes_max: 1_000_000_000,
            connections_max: 1024,
            streams_max: 512,
            streams_per_client: 64,
        }
    }
}
