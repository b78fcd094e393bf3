//! `tickcast backfill`: the same dataflow over bounded history.

use super::Usage;
use super::args::{ConfigFile, Workers, parse_time};
use super::face;
use super::job::{self, Plan};
use crate::config::Settings;
use crate::market::Timestamp;
use clap::Args;
use std::net::SocketAddr;

/// Arguments of `backfill`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:\n  tickcast backfill -c tickcast.toml --json > summary.json\n  \
                        tickcast backfill --set source.files.paths=ticks.csv.gz --set source.files.symbol=BTC --set sink.files.dir=out\n  \
                        tickcast backfill --set source.files.paths=XBTUSD.csv --set source.files.columns=timestamp,price,size --set source.symbol=BTC\n  \
                        tickcast backfill -c tickcast.toml --from 2021-01-01T00:00:00Z --to 2021-02-01T00:00:00Z\n  \
                        tickcast backfill -c tickcast.toml --then-live\n\n\
                        Files appear when the run ends well. One that is stopped, or uses none of its records, ends with 1 and replaces none.")]
pub struct BackfillArgs {
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would show it as help")]
    pub config: ConfigFile,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would show it as help")]
    pub workers: Workers,
    /// Event time to begin with; records before it are ignored.
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub from: Option<Timestamp>,
    /// Event time to end before; records from it on are ignored.
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub to: Option<Timestamp>,
    /// Goes on with source.kafka where the history ends, until it is stopped, as `run` does; the history is that of source.files or
    /// source.mongodb, else what the topic holds. Started again it goes on where it was.
    #[arg(long, conflicts_with = "to")]
    pub then_live: bool,
    /// Starts anew where the job has published before; without it that is refused.
    #[arg(long)]
    pub reset: bool,
    /// Serves a page, an API, metrics and probes there, as http.listen does.
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<SocketAddr>,
    /// Prints the summary as one JSON object.
    #[arg(long)]
    pub json: bool,
}

impl BackfillArgs {
    /// Checks what spans several arguments.
    ///
    /// # Errors
    /// [`Usage`] when the range is empty.
    pub fn check(&self) -> Result<(), Usage> {
        match (self.from, self.to) {
            (Some(from), Some(to)) if from >= to => {
                Err(Usage(format!("--from {from} is not before --to {to}: nothing lies between")))
            }
            _ => Ok(()),
        }
    }
}

/// Runs the job to the end of its input.
///
/// # Errors
/// When an input or a sink cannot be opened or cannot go on.
pub fn run(args: &BackfillArgs, settings: &Settings) -> anyhow::Result<()> {
    if args.then_live && args.from.is_some() && !settings.config.source.has_history() {
        return Err(Usage(
            "--from with --then-live is where a history in source.files or source.mongodb begins: of a topic alone, \
             source.kafka.start says it"
                .to_owned(),
        )
        .into());
    }
    let plan = Plan {
        workers: args.workers.count(),
        bounded: !args.then_live,
        range: (args.from, args.to),
        reset: args.reset,
        place: None,
        looks: false,
    };
    job::run_shown(&face::listening(&settings.config, args.listen), &plan, args.json)
}
