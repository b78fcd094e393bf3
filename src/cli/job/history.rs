//! A history that comes before a topic: where it ends is looked at first, so that what the topic has of it counts once.

use super::Plan;
use super::prepare::{Source, bounded_source};
use crate::config::{Config, Preset, SinkConfig};
use crate::dataflows::job::{self, InputFactory, Job};
use crate::delivery::Stop;
use crate::market::Timestamp;
use crate::operators::source::{History, Seam, Survey};
use crate::operators::support::stats::Stats;
use anyhow::Context as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// A history that was looked at, to be read.
pub(super) struct Surveyed {
    pub source: Box<Source>,
    pub seam: Arc<Seam>,
}

/// Event time to use of the history, `[from, to)`.
fn range(config: &Config, plan: &Plan) -> (Option<Timestamp>, Option<Timestamp>) {
    config.source.mongodb.as_ref().map_or(plan.range, |mongodb| mongodb.within(plan.range))
}

/// Reads a history once, for where each of its symbols ends.
///
/// # Errors
/// When it cannot be read, or holds nothing that can be used.
pub(super) fn survey(config: &Config, plan: &Plan, stop: &Stop) -> anyhow::Result<Surveyed> {
    let files = config.source.files.as_ref();
    if files.is_some_and(|files| files.paths.iter().any(|path| path == Path::new("-"))) {
        anyhow::bail!(
            "source.files.paths has `-`: a history is read twice, and again after a stop; write it to a file first"
        );
    }
    let began = Instant::now();
    tracing::info!("looks where the history ends");
    let found = Arc::<Survey>::default();
    let range = range(config, plan);
    let input: Arc<InputFactory> = bounded_source(config, plan, stop)?.into_factory(config, stop);
    let mut bare = config.clone();
    (bare.model.preset, bare.model.weights) = (Preset::None, None);
    (bare.time.windows, bare.sink, bare.dead_letter) = (vec![bare.time.slide], SinkConfig::default(), None);
    let summary = job::run(Job {
        config: bare,
        workers: plan.workers,
        cluster: None,
        serialised: false,
        input,
        sinks: Vec::new(),
        bounded: true,
        range,
        releases: Vec::new(),
        history: Some(History::Survey(Arc::clone(&found))),
        symbol_shares: None,
        checkpoints: None,
        restored: None,
        initial: None,
        trace: None,
        stop: stop.child(),
        stats: Arc::new(Stats::default()),
    })
    .context("the history")?;
    if summary.interrupted {
        anyhow::bail!("stopped while looking where the history ends: nothing was changed");
    }
    let used = summary.records.used;
    let seam = found.seam(range).with_context(|| {
        let why = summary.refusals.values().next().map_or_else(String::new, |first| format!(": {}", first.error));
        format!("the history holds no record that can be used, of {} read{why}", summary.records.total())
    })?;
    tracing::info!(
        "the history has {used} records of {} symbols, through {}, read in {:.1} s; what the topic has of a symbol up to there \
         counts once: trades of its last millisecond are told apart by the venue's id, those without one are taken to be in \
         the history",
        seam.symbols(),
        seam.through(),
        began.elapsed().as_secs_f64()
    );
    Ok(Surveyed { source: Box::new(bounded_source(config, plan, stop)?), seam: Arc::new(seam) })
}
