//! `tickcast demo`: the whole system in one process.

use super::args::{Speed, parse_workers};
use crate::config::Settings;
use clap::Args;
use std::path::PathBuf;

/// Arguments of `demo`.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Examples:\n  tickcast demo\n  tickcast demo --exit --json\n  tickcast demo --data ticks.csv --out out --exit\n\n\
                        The market is simulated unless --data names recorded files: two days as fast as they go, then live."
)]
pub struct DemoArgs {
    /// Times the live pace once the first two days are through, or max: as fast as it goes.
    #[arg(long, value_name = "X|max", default_value = "1")]
    pub speed: Speed,
    /// Ends after the first two days (with --data: at the end of the files) and prints the scores.
    #[arg(long)]
    pub exit: bool,
    /// Writes features, forecasts and scores into this directory too.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Replays these recorded files instead of a simulated market.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub data: Vec<PathBuf>,
    /// Worker threads, 1 to 64. Results are the same with any number.
    #[arg(long, value_name = "N", value_parser = parse_workers, default_value = "1")]
    pub workers: usize,
    /// Prints the summary as one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// Runs the demo.
///
/// # Errors
/// When a file cannot be read or written.
pub fn run(_args: &DemoArgs, _settings: &Settings) -> anyhow::Result<()> {
    anyhow::bail!("demo is not part of this build")
}
