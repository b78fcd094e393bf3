//! `[collect]`: which API to ask, for what, and how often.

use super::secrets;
use crate::market::Span;
use serde::Deserialize;
use std::path::PathBuf;

/// `[collect]`
#[derive(Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CollectConfig {
    /// Where the API is: scheme, host, and a path in front of the API's own, if any.
    pub url: String,
    /// Assets, by the API's names.
    pub assets: Vec<String>,
    /// How often each asset is asked for.
    pub every: Span,
    /// How long one answer may take.
    pub timeout: Span,
    /// The API's key. Never shown.
    pub key: Option<String>,
    /// File that holds the key instead.
    pub key_file: Option<PathBuf>,
}

impl Default for CollectConfig {
    fn default() -> Self {
        Self {
            url: "https://data.messari.io".to_owned(),
            assets: vec!["bitcoin".to_owned()],
            every: Span::from_millis(10_000),
            timeout: Span::from_millis(10_000),
            key: None,
            key_file: None,
        }
    }
}

impl std::fmt::Debug for CollectConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { url, assets, every, timeout, key, key_file } = self;
        let mut shown = f.debug_struct("CollectConfig");
        shown.field("url", url).field("assets", assets).field("every", every).field("timeout", timeout);
        shown.field("key", &key.as_ref().map(|_| secrets::MASK)).field("key_file", key_file).finish()
    }
}
