//! From a configuration to a running job, in two halves: `prepare` reads and checks everything and changes nothing; only
//! then `takeover` fences, creates and writes.

pub mod again;
mod cluster;
mod history;
mod hooks;
mod outputs;
mod phases;
mod prepare;
mod takeover;

use super::face::{self, Doorway, Face};
use super::{Usage, progress, signals, summary};
use crate::cluster::Hosts;
use crate::config::Config;
use crate::connectors::kafka;
use crate::dataflows::job::{self, Summary};
use crate::delivery::Stop;
use crate::market::Timestamp;
use crate::operators::support::stats::Stats;
use crate::recovery::{Cause, RunPlan};
use crate::serving::JobWatch;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use outputs::check as check_outputs;
pub use prepare::computation_of_topic;

/// Before a job begins again: brokers tell one another within this time.
const AGAIN_PAUSE: Duration = Duration::from_secs(1);

/// How a job is to run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Worker threads.
    pub workers: usize,
    /// Whether the input ends where it ends now.
    pub bounded: bool,
    /// Event time to use, `[from, to)`.
    pub range: (Option<Timestamp>, Option<Timestamp>),
    /// Whether to publish anew what the job has published before.
    pub reset: bool,
    /// Its place in a cluster, where it is a process of one.
    pub place: Option<Place>,
    /// Whether nothing but the plan is wanted.
    pub looks: bool,
}

/// A process's place in a cluster.
#[derive(Clone, Debug)]
pub struct Place {
    /// Which one it is.
    pub index: usize,
    /// Where all are.
    pub hosts: Hosts,
    /// Written when all are there, for who has started it.
    pub up_file: Option<PathBuf>,
    /// Whether it is to end when its standard input does: who has started it is gone, or wants it to.
    pub supervised: bool,
    /// Whether it serves metrics and probes although it is not process 0.
    pub probes: bool,
}

/// Runs a job for a person: signals stop it, a bar shows how far it is, a summary comes at the end. Where its topic has grown it
/// begins again, with the new partitions.
///
/// # Errors
/// As [`run`]; and when a bounded run was stopped, or used none of the records that it read.
pub fn run_shown(config: &Config, plan: &Plan, json: bool) -> anyhow::Result<()> {
    check_options(config)?;
    let is_first = plan.place.as_ref().is_none_or(|place| place.index == 0);
    let serves = plan.place.as_ref().is_none_or(|place| place.index == 0 || place.probes);
    let doorway = if serves { Doorway::open(config)? } else { None };
    if doorway.is_some() && is_first {
        face::check_store(config)?;
    }
    let stop = Stop::default();
    signals::stop_on_signals(&stop)?;
    if plan.place.as_ref().is_some_and(|place| place.supervised) {
        signals::stop_with_standard_input(&stop)?;
    }
    let (face, probes) = match doorway {
        Some(doorway) if is_first => (Some(doorway.serve_job(config, None, plan.bounded, &stop)?), None),
        Some(doorway) => (None, Some(doorway.serve_probes(config)?)),
        None => (None, None),
    };
    if let Some(face) = &face {
        tracing::info!("http://{} has a page, an API, metrics and probes of this job", face.address());
    }
    let watch = face.as_ref().map(Face::watch).or(probes.as_ref().map(|(_, watch)| watch));
    let outcome = run_again_and_again(config, plan, &stop, face.as_ref(), watch);
    if let Some(face) = face {
        face.finish();
    }
    if let Some((server, _)) = probes {
        server.finish();
    }
    let Some(summary) = outcome? else { return Ok(()) };
    if !is_first {
        // Process 0 has all that there is to tell.
        return Ok(());
    }
    summary::print(&summary, json)?;
    if plan.bounded {
        summary::check_done(&summary)?;
    }
    Ok(())
}

/// Runs a job, and begins again where its topic has grown; none where it was stopped between two runs.
fn run_again_and_again(
    config: &Config,
    plan: &Plan,
    stop: &Stop,
    face: Option<&Face>,
    watch: Option<&Arc<JobWatch>>,
) -> anyhow::Result<Option<Summary>> {
    let mut plan = plan.clone();
    loop {
        let stats = Arc::new(Stats::default());
        let shown = progress::JobBar::show(&stats, None);
        if let Some(watch) = watch {
            watch.set_stats(&stats);
        }
        let outcome = run(config, &plan, &stop.child(), &stats, face);
        drop(shown);
        match outcome {
            Err(error)
                if plan.place.is_none() && super::cause(&error) == Cause::StartAgain && stop.sleep(AGAIN_PAUSE) =>
            {
                tracing::warn!("{error:#}: starting again");
                plan.reset = false;
            }
            // Asked to stop in the pause before it begins again.
            Err(error) if plan.place.is_none() && super::cause(&error) == Cause::StartAgain && stop.requested() => {
                return Ok(None);
            }
            outcome => return outcome.map(Some),
        }
    }
}

/// Opens inputs and sinks, and runs the job until its input ends or `stop` is requested.
///
/// # Errors
/// When something that the configuration names cannot be opened, or cannot go on.
pub fn run(
    config: &Config,
    plan: &Plan,
    stop: &Stop,
    stats: &Arc<Stats>,
    face: Option<&Face>,
) -> anyhow::Result<Summary> {
    check_options(config)?;
    if let Some(place) = &plan.place {
        return cluster::run(config, plan, place, stop, stats, face);
    }
    let prepared = prepare::prepare(config, plan, stop)?;
    let job = takeover::take_over(config, plan, prepared, stop, stats, face)?;
    Ok(job::run(job)?)
}

/// What a live start would do now, in a few words; nothing is changed.
///
/// # Errors
/// Why it would fail, or refuse.
pub fn would_do(config: &Config) -> anyhow::Result<String> {
    check_options(config)?;
    let plan = Plan { workers: 1, bounded: false, range: (None, None), reset: false, place: None, looks: true };
    let prepared = prepare::prepare(config, &plan, &Stop::default())?;
    Ok(match prepared.plan {
        RunPlan::Fresh if config.source.has_history() => {
            "read the history, then the topic from source.kafka.start: nothing is published".to_owned()
        }
        RunPlan::Fresh => "begin at source.kafka.start: nothing is published".to_owned(),
        RunPlan::Anew { given_up } => format!("give up what is published through {given_up}, and begin anew"),
        RunPlan::Resume { checkpoint: Some(manifest), .. } => {
            format!("go on from the checkpoint of {}, and publish what is not published yet", manifest.cut)
        }
        RunPlan::Resume { checkpoint: None, .. } => {
            "compute again from the beginning, and publish what is not published yet".to_owned()
        }
    })
}

/// Options of librdkafka that are unknown or not to be set are mistakes of the configuration, found without a broker.
pub(super) fn check_options(config: &Config) -> Result<(), Usage> {
    let source = config.source.kafka.as_ref().map_or(Ok(()), kafka::check_source);
    let sink = config.sink.kafka.as_ref().map_or(Ok(()), kafka::check_sink);
    source.and(sink).map_err(|error| Usage(error.to_string()))
}
