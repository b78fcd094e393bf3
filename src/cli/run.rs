//! `tickcast run`: the live job.

use super::args::{ConfigFile, Workers};
use super::job::{self, Plan};
use crate::config::Settings;
use clap::Args;

/// Arguments of `run`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:\n  tickcast run -c tickcast.toml --workers 2\n  \
                        tickcast run --set source.kafka.brokers=localhost:9092 --set sink.kafka.topic=btc.forecasts\n\n\
                        SIGTERM or Ctrl-C publishes what is closed and ends with a summary; a second one ends at once.")]
pub struct RunArgs {
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would show it as help")]
    pub config: ConfigFile,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would show it as help")]
    pub workers: Workers,
    /// Begins anew where the job cannot go on (or should not): what it has published is given up, and published again.
    #[arg(long)]
    pub reset: bool,
    /// Prints the summary as one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// Runs the job until it is stopped.
///
/// # Errors
/// When an input or a sink cannot be opened or cannot go on.
pub fn run(args: &RunArgs, settings: &Settings) -> anyhow::Result<()> {
    let plan = Plan { workers: args.workers.count(), bounded: false, range: (None, None), reset: args.reset };
    job::run_shown(&settings.config, &plan, args.json)
}
