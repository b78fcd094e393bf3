//! `[history]`: which archives `history` downloads, and where to.

use super::{Config, FilesSourceConfig, text};
use crate::market::{Span, Timestamp};
use serde::Deserialize;
use std::path::PathBuf;

/// `[history]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HistoryConfig {
    /// Where the files go.
    pub dir: PathBuf,
    /// Whose archives.
    pub venue: HistoryVenue,
    /// Which of the venue's; of tardis the exchange.
    pub market: String,
    /// What records are.
    pub kind: HistoryKind,
    /// How long candles are.
    pub interval: Span,
    /// Markets, as the venue spells them.
    pub symbols: Vec<String>,
    /// The first moment.
    #[serde(deserialize_with = "text::time_or_none")]
    pub from: Option<Timestamp>,
    /// The moment to end before; none for now.
    #[serde(deserialize_with = "text::time_or_none")]
    pub to: Option<Timestamp>,
    /// Where files are instead of the venue's own address.
    #[serde(deserialize_with = "text::or_none")]
    pub url: Option<String>,
    /// Where the venue's HTTP API is instead of its own address.
    #[serde(deserialize_with = "text::or_none")]
    pub api_url: Option<String>,
    /// Which files are asked for first.
    pub files: HistoryFiles,
    /// Whether the venue's API is asked for what its archives lack.
    pub repair: bool,
    /// Files that are downloaded at the same time.
    pub parallel: usize,
    /// How long one answer may take.
    pub timeout: Span,
    /// File of roots that are trusted besides those that are built in.
    pub ca_file: Option<PathBuf>,
}

/// `history.venue`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HistoryVenue {
    /// Its archives, and its API for what they lack.
    #[default]
    Binance,
    /// Its API.
    Coinbase,
    /// Its API.
    Kraken,
    /// Its API.
    Okx,
    /// The free days of tardis.dev.
    Tardis,
}

impl HistoryVenue {
    /// As settings call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Binance => "binance",
            Self::Coinbase => "coinbase",
            Self::Kraken => "kraken",
            Self::Okx => "okx",
            Self::Tardis => "tardis",
        }
    }
}

/// `history.kind`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum HistoryKind {
    /// Candles.
    #[default]
    #[serde(rename = "klines")]
    Klines,
    /// Trades, one by one.
    #[serde(rename = "trades")]
    Trades,
    /// Trades of one order at one price together.
    #[serde(rename = "aggTrades")]
    AggTrades,
}

impl HistoryKind {
    /// As settings and Binance's addresses call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Klines => "klines",
            Self::Trades => "trades",
            Self::AggTrades => "aggTrades",
        }
    }
}

/// `history.files`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HistoryFiles {
    /// Of whole months the month's file, and its days' where that one is faulty.
    #[default]
    Auto,
    /// Both, row by row compared: the days' count where they differ, and are no worse.
    Both,
    /// Those of days alone.
    Daily,
}

impl Config {
    /// Takes the directory of `[history]` for the files of the source, where neither files nor a collection are named.
    pub fn read_history(&mut self) {
        if let (Some(history), None, None) = (&self.history, &self.source.files, &self.source.mongodb) {
            tracing::info!("the history is what {} holds: history.dir", history.dir.display());
            let source = &self.source;
            self.source.files = Some(FilesSourceConfig {
                paths: vec![history.dir.clone()],
                timezone: source.timezone.clone(),
                ..FilesSourceConfig::default()
            });
        }
    }
}

impl Default for HistoryConfig {
    fn default() -> Self {
        Self {
            dir: "history".into(),
            venue: HistoryVenue::Binance,
            market: "spot".to_owned(),
            kind: HistoryKind::Klines,
            interval: Span::from_millis(60_000),
            symbols: Vec::new(),
            from: None,
            to: None,
            url: None,
            api_url: None,
            files: HistoryFiles::Auto,
            repair: true,
            parallel: 4,
            timeout: Span::from_millis(60_000),
            ca_file: None,
        }
    }
}
