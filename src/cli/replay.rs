//! `tickcast replay`: recorded files into the source's topic.

use super::args::{ConfigFile, Speed};
use crate::config::Settings;
use crate::market::Symbol;
use clap::Args;
use std::path::PathBuf;

/// Arguments of `replay`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:\n  tickcast replay ticks.csv.gz -c tickcast.toml --speed max\n  \
                        tickcast replay btc.csv eth.csv --set source.kafka.brokers=localhost:9092 --speed 60")]
pub struct ReplayArgs {
    /// Files to publish, merged by event time: CSV or JSON lines, plain, .gz or .zst.
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would show it as help")]
    pub config: ConfigFile,
    /// Times the recorded pace, or max: as fast as it goes.
    #[arg(long, value_name = "X|max", default_value = "1")]
    pub speed: Speed,
    /// The symbol of files without a symbol column.
    #[arg(long, value_parser = parse_symbol)]
    pub symbol: Option<Symbol>,
}

fn parse_symbol(text: &str) -> Result<Symbol, String> {
    Symbol::new(text).map_err(|error| format!("the symbol {error}"))
}

/// Publishes the files.
///
/// # Errors
/// When a file cannot be read or the topic cannot be written.
pub fn run(_args: &ReplayArgs, _settings: &Settings) -> anyhow::Result<()> {
    anyhow::bail!("replay is not part of this build")
}
