//! `[collect]`: which API to ask, for what, and how often.

use super::secrets;
use crate::market::Span;
use serde::Deserialize;
use std::collections::BTreeMap;
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
    /// File of roots that are trusted besides those that are built in.
    pub ca_file: Option<PathBuf>,
    /// Exchanges whose public trades are collected instead, by their streams.
    pub venues: Vec<VenueConfig>,
    /// Names of symbols, and the markets that each is made of.
    pub markets: BTreeMap<String, Vec<String>>,
    /// How long trades wait for those before them that are missing.
    pub repair_wait: Span,
}

/// Which stream of a venue tells of its trades.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum TradeStream {
    /// Each trade by itself.
    #[default]
    #[serde(rename = "trade")]
    Trade,
    /// What one order took at one price is one: Binance alone has it.
    #[serde(rename = "aggTrade")]
    AggTrade,
}

/// One exchange of `collect.venues`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VenueConfig {
    /// Which: one of [`VENUES`](super::venues::VENUES).
    pub venue: String,
    /// Its markets, as it spells them.
    pub symbols: Vec<String>,
    /// Which of its streams.
    #[serde(default)]
    pub stream: TradeStream,
    /// Where its stream is, instead of its own address.
    pub stream_url: Option<String>,
    /// Where its HTTP API is, instead of its own address.
    pub api_url: Option<String>,
}

impl CollectConfig {
    /// The symbol that a market of a venue goes by.
    #[must_use]
    pub fn name_of(&self, venue: &str, market: &str) -> String {
        let is_it = |known: &String| known == market || known.split_once(':') == Some((venue, market));
        let name = self.markets.iter().find(|(_, markets)| markets.iter().any(is_it));
        name.map_or_else(|| market.to_owned(), |(name, _)| name.clone())
    }
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
            ca_file: None,
            venues: Vec::new(),
            markets: BTreeMap::new(),
            repair_wait: Span::from_millis(60_000),
        }
    }
}

impl std::fmt::Debug for CollectConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { url, assets, every, timeout, key, key_file, ca_file, venues, markets, repair_wait } = self;
        let mut shown = f.debug_struct("CollectConfig");
        shown.field("url", url).field("assets", assets).field("every", every).field("timeout", timeout);
        shown.field("key", &key.as_ref().map(|_| secrets::MASK)).field("key_file", key_file);
        shown.field("ca_file", ca_file);
        shown.field("venues", venues).field("markets", markets).field("repair_wait", repair_wait).finish()
    }
}
