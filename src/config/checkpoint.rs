//! `[checkpoint]`: where a live job keeps its state.

use crate::market::Span;
use serde::Deserialize;
use std::path::PathBuf;

/// `[checkpoint]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CheckpointConfig {
    /// `file:///DIRECTORY`.
    pub url: String,
    /// Of event time between two; of wall time, where event time runs faster.
    pub interval: Span,
    /// How many are kept.
    pub keep: usize,
}

impl Default for CheckpointConfig {
    fn default() -> Self {
        Self { url: String::new(), interval: Span::from_millis(60_000), keep: 3 }
    }
}

impl CheckpointConfig {
    /// The directory that `url` names.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn directory(&self) -> Result<PathBuf, String> {
        let wrong = || format!("checkpoint.url = {:?}: write file:///DIRECTORY", self.url);
        let path = self.url.strip_prefix("file://").ok_or_else(wrong)?;
        if path.starts_with('/') && path.len() > 1 { Ok(PathBuf::from(path)) } else { Err(wrong()) }
    }
}
