//! `tickcast run`: the live job.

use super::Usage;
use super::args::{ConfigFile, Which, Workers, hosts};
use super::face;
use super::job::{self, Place, Plan};
use crate::config::Settings;
use clap::Args;
use std::net::SocketAddr;
use std::path::PathBuf;

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
    /// One process of a cluster: which one, from 0, or `auto`: the one whose host has this machine's name. All are started with the
    /// same hosts and configuration.
    #[arg(long, value_name = "I|auto")]
    pub process: Option<Which>,
    /// File with each process's address, host:port, one a line, in the order of --process; without it cluster.hosts counts.
    #[arg(long, value_name = "FILE", requires = "process")]
    pub hosts: Option<PathBuf>,
    /// Written when all processes are there.
    #[arg(long, hide = true)]
    pub up_file: Option<PathBuf>,
    /// Ends when its standard input does: whoever started it is gone.
    #[arg(long, hide = true)]
    pub supervised: bool,
    /// Serves metrics and probes where http.listen says although it is not process 0: it has its machine to itself.
    #[arg(long, hide = true)]
    pub probes: bool,
    /// Serves a page, an API, metrics and probes there, as http.listen does.
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<SocketAddr>,
    /// Prints the summary as one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// Runs the job until it is stopped.
///
/// # Errors
/// When an input or a sink cannot be opened or cannot go on.
pub fn run(args: &RunArgs, settings: &Settings) -> anyhow::Result<()> {
    let place = place(args, settings)?;
    let plan = Plan {
        workers: args.workers.count(),
        bounded: false,
        range: (None, None),
        reset: args.reset,
        place,
        looks: false,
    };
    job::run_shown(&face::listening(&settings.config, args.listen), &plan, args.json)
}

/// Which process of which cluster it is; none where it runs alone.
fn place(args: &RunArgs, settings: &Settings) -> Result<Option<Place>, Usage> {
    let Some(process) = args.process else {
        if settings.config.cluster.hosts.is_some() {
            tracing::warn!("cluster.hosts is given, and --process is not: this job runs in one process, alone");
        }
        return Ok(None);
    };
    let hosts = hosts(args.hosts.as_deref(), settings)?
        .ok_or_else(|| Usage("--process needs --hosts FILE, or cluster.hosts".to_owned()))?;
    let index = process.index(&hosts)?;
    // What goes by its machine's name has its machine to itself.
    let probes = args.probes || matches!(process, Which::Auto);
    Ok(Some(Place { index, hosts, up_file: args.up_file.clone(), supervised: args.supervised, probes }))
}
