//! `tickcast cluster`: several processes on this machine that run one job, started again together where one is lost.

use super::args::{ConfigFile, Which, Workers, hosts};
use super::output::{self, LogFormat};
use super::{Ended, Usage, signals};
use crate::cluster::supervisor::{Launch, supervise};
use crate::cluster::{Hosts, PROCESSES_MAX};
use crate::config::Settings;
use crate::delivery::Stop;
use clap::Args;
use std::ffi::OsString;
use std::path::PathBuf;

/// Arguments of `cluster`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:\n  tickcast cluster -c tickcast.toml --processes 2 --workers 2\n  \
                        tickcast cluster -c tickcast.toml --process auto --workers 4     on each machine of cluster.hosts\n\n\
                        Each line of the log begins with the number of its process. Where one dies or hangs, all are started again from \
                        the last checkpoint; where a person has to decide, the command ends with that process's exit code.")]
pub struct ClusterArgs {
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would show it as help")]
    pub config: ConfigFile,
    /// How many processes, 1 to 64; without it, cluster.processes.
    #[arg(long, value_name = "P")]
    pub processes: Option<usize>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would show it as help")]
    pub workers: Workers,
    /// Only one process of a cluster that spans machines: which one, from 0, or `auto`: the one whose host has this machine's name. It
    /// is started again where it or another is lost; start the same on the other machines.
    #[arg(long, value_name = "I|auto", conflicts_with = "processes")]
    pub process: Option<Which>,
    /// File with each process's address, host:port, one a line, in the order of --process; without it cluster.hosts counts.
    #[arg(long, value_name = "FILE")]
    pub hosts: Option<PathBuf>,
    /// Begins anew where the job cannot go on (or should not): what it has published is given up, and published again.
    #[arg(long)]
    pub reset: bool,
    /// Prints the summary as one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// Runs the cluster until it is stopped.
///
/// # Errors
/// When it cannot go on.
pub fn run(args: &ClusterArgs, settings: &Settings, sets: &[String]) -> anyhow::Result<()> {
    let stop = Stop::default();
    signals::stop_on_signals(&stop)?;
    match supervise(&launch(args, settings, sets)?, &|| stop.requested())? {
        0 => Ok(()),
        code => Err(Ended(code).into()),
    }
}

/// What its processes are started with.
pub fn launch(args: &ClusterArgs, settings: &Settings, sets: &[String]) -> anyhow::Result<Launch> {
    let cluster = &settings.config.cluster;
    let hosts = hosts(args.hosts.as_deref(), settings)?;
    let only = match (args.process, &hosts) {
        (Some(process), Some(hosts)) => Some(process.index(hosts)?),
        (Some(_), None) => return Err(Usage("--process needs --hosts FILE, or cluster.hosts".to_owned()).into()),
        (None, _) => None,
    };
    let given = hosts.as_ref().filter(|_| only.is_some() || args.hosts.is_some()).map(Hosts::count);
    let processes = args.processes.or(given).unwrap_or(cluster.processes);
    if !(1..=PROCESSES_MAX).contains(&processes) {
        return Err(Usage(format!("--processes {processes}: write 1 to {PROCESSES_MAX}")).into());
    }
    if hosts.as_ref().is_some_and(|hosts| hosts.count() != processes) {
        return Err(Usage(format!("--processes {processes}: cluster.hosts has another number of addresses")).into());
    }
    // Of this machine's processors.
    let workers = args.workers.count_of(if only.is_some() { 1 } else { processes });
    let mut arguments: Vec<OsString> = vec!["run".into(), "--workers".into(), workers.to_string().into()];
    if let Some(path) = args.config.path() {
        arguments.extend(["-c".into(), path.into()]);
    }
    arguments.extend(sets.iter().map(|set| format!("--set={set}").into()));
    // Whatever the environment says, which they have, too.
    arguments.push(match output::format() {
        LogFormat::Text => "--log-format=text".into(),
        LogFormat::Json => "--log-format=json".into(),
    });
    if args.json {
        arguments.push("--json".into());
    }
    if only.is_some() {
        arguments.push("--probes".into());
    }
    let at_first = if args.reset { vec!["--reset".into()] } else { Vec::new() };
    let program = std::env::current_exe()?;
    Ok(Launch { program, arguments, at_first, processes, only, hosts, log: None, variables: Vec::new() })
}
