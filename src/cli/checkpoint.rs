//! `tickcast checkpoint`: what is kept of a job, whether it is whole, and what a start would make of it.

use super::args::ConfigFile;
use super::{Usage, job, output};
use crate::config::Config;
use crate::connectors::checkpoints;
use crate::recovery::kept;
use crate::recovery::manifest::{Keeper, Manifest};
use crate::recovery::plan::Found;
use crate::recovery::store::Store;
use clap::{Args, Subcommand};
use std::collections::BTreeMap;

/// Arguments of `checkpoint`.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Examples:\n  tickcast checkpoint list -c tickcast.toml\n  tickcast checkpoint show -c tickcast.toml\n  \
                        tickcast checkpoint verify -c tickcast.toml\n\nNothing is changed. Exit code 1: verify found damage."
)]
pub struct CheckpointArgs {
    #[command(subcommand)]
    #[allow(missing_docs, reason = "clap would show it as help")]
    pub what: What,
}

impl CheckpointArgs {
    /// The configuration file that was named.
    #[must_use]
    pub fn config(&self) -> &ConfigFile {
        match &self.what {
            What::List(config) | What::Show { config, .. } | What::Verify(config) => config,
        }
    }
}

/// What to look at.
#[derive(Clone, Debug, Subcommand)]
pub enum What {
    /// The job's checkpoints, the newest first, and what a start would do.
    List(ConfigFile),
    /// What the newest one (or the named one) holds.
    Show {
        /// As `list` has it.
        name: Option<String>,
        #[command(flatten)]
        #[allow(missing_docs, reason = "clap would show it as help")]
        config: ConfigFile,
    },
    /// Reads all of them, and says whether each is what was written.
    Verify(ConfigFile),
}

/// Looks, and says what is there.
///
/// # Errors
/// When there is no store, it does not answer, or something in it is damaged.
pub fn run(args: &CheckpointArgs, config: &Config) -> anyhow::Result<()> {
    let Some(checkpoint) = &config.checkpoint else {
        return Err(Usage(
            "no checkpoints: give checkpoint.url, as in --set checkpoint.url=file:///var/lib/tickcast".to_owned(),
        )
        .into());
    };
    let store = checkpoints::open(checkpoint)?;
    let found = kept::found(store.as_ref(), &config.job.id)?;
    match &args.what {
        What::List(_) => list(store.as_ref(), &found, config),
        What::Show { name, .. } => show(&found, name.as_deref()),
        What::Verify(_) => verify(store.as_ref(), &found),
    }
}

fn list(store: &dyn Store, found: &[Found], config: &Config) -> anyhow::Result<()> {
    let mut text = String::new();
    for (name, manifest) in found {
        text += &match manifest {
            Ok(manifest) => format!(
                "{name}  through {}  generation {}  {} bytes\n",
                manifest.cut,
                manifest.generation,
                manifest.bytes()
            ),
            Err(damage) => format!("{name}  {damage}\n"),
        };
    }
    if found.is_empty() {
        text = format!("no checkpoint of job `{}` in {}\n", config.job.id, store.place());
    }
    let plan = job::would_do(config).unwrap_or_else(|error| format!("refuse, or fail: {error:#}"));
    text += &format!("a start would {plan}\n");
    output::print(&text)
}

fn show(found: &[Found], name: Option<&str>) -> anyhow::Result<()> {
    let wanted = |found: &&Found| name.is_none_or(|name| found.0 == name);
    let Some((name, manifest)) = found.iter().find(wanted) else {
        anyhow::bail!("there is no such checkpoint: `tickcast checkpoint list` shows those that there are");
    };
    let manifest = manifest.as_ref().map_err(|damage| anyhow::anyhow!("{damage}"))?;
    let Manifest { cut, generation, offsets, sections, computation, .. } = manifest;
    let mut text = format!("{name}\nthrough {cut}, written by generation {generation}\n");
    let offsets: Vec<String> = offsets.iter().map(|(partition, offset)| format!("{}:{offset}", partition.0)).collect();
    text += &format!("reading goes on with offsets {}\n", offsets.join(", "));
    let mut by_keeper: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for section in sections {
        let keeper = match section.keeper {
            Keeper::Source(_) => "sources".to_owned(),
            other => format!("{other:?}").to_lowercase(),
        };
        let (count, bytes) = by_keeper.entry(keeper).or_default();
        (*count, *bytes) = (*count + 1, *bytes + section.bytes);
    }
    for (keeper, (count, bytes)) in by_keeper {
        text += &format!("{keeper:<12} {count:>5} sections  {bytes:>12} bytes\n");
    }
    text += "computes\n";
    for (key, value) in computation.iter() {
        text += &format!("  {key} = {value}\n");
    }
    output::print(&text)
}

fn verify(store: &dyn Store, found: &[Found]) -> anyhow::Result<()> {
    let mut damaged = 0;
    let mut text = String::new();
    for (name, manifest) in found {
        let whole = manifest.as_ref().map_err(Clone::clone).and_then(|manifest| manifest.verify(store));
        damaged += usize::from(whole.is_err());
        text += &whole.map_or_else(|damage| format!("{name}  {damage}\n"), |()| format!("{name}  whole\n"));
    }
    output::print(&text)?;
    anyhow::ensure!(damaged == 0, "{damaged} of {} checkpoints are damaged: a start passes over them", found.len());
    anyhow::ensure!(!found.is_empty(), "there is no checkpoint");
    Ok(())
}
