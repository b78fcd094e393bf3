//! A part of a job is computed again, for who asks what a forecast was made of. Sources, progress and checkpoints are read, and
//! nothing is fenced, created, committed or written.

mod ear;
mod records;

use super::Plan;
use super::history;
use super::prepare::{Source, bounded_source, computation, topic_decoder};
use crate::config::{Config, KafkaSourceConfig, SinkConfig};
use crate::connectors::checkpoints;
use crate::connectors::kafka::{self, KafkaSink};
use crate::dataflows::checkpoints::layout;
use crate::dataflows::job::{self, Job, JobError};
use crate::dataflows::model::initial_weights;
use crate::delivery::Stop;
use crate::market::{Release, Timestamp};
use crate::model::lineage::Lineage;
use crate::operators::source::History;
use crate::operators::support::stats::Stats;
use crate::operators::support::trace::Trace;
use crate::recovery::computation::keys;
use crate::recovery::kept;
use crate::recovery::manifest::{Keeper, Manifest};
use crate::recovery::plan::again::{Asked, again};
use crate::recovery::restored::Restored;
use crate::recovery::{Computation, Offsets, Progress, TopicState};
use std::sync::Arc;
use std::time::Instant;

pub use ear::Heard;
pub use records::{Places, RawRecord};

/// Records whose bytes are shown.
const RECORDS_SHOWN: usize = 20;

/// What is asked.
pub struct Question {
    /// Of the operators.
    pub trace: Arc<Trace>,
    /// When the outcome is known.
    pub target_at: Timestamp,
    /// Worker threads.
    pub workers: usize,
    /// Event time to use, as the run had it.
    pub range: (Option<Timestamp>, Option<Timestamp>),
    /// Whether checkpoints are not to be used.
    pub from_start: bool,
}

/// Where it was computed again from.
#[derive(Clone, Debug, Default)]
pub struct Replayed {
    /// The checkpoint; none where it was computed from the beginning.
    pub checkpoint: Option<String>,
    /// What lies before is in the checkpoint's state, and was not read.
    pub cut: Option<Timestamp>,
    /// The first offset of each partition that was read; none for files and collections, which are read whole.
    pub starts: Offsets,
    /// Checkpoints that were passed over, and why.
    pub passed_over: Vec<String>,
    /// Records that were read.
    pub records: u64,
    /// How long it took.
    pub seconds: f64,
    /// Whether it is on record where the job began, and with which numerics.
    pub is_on_record: bool,
    /// Whether the topic has lost its first records, and no record says whether the job had read them.
    pub is_beginning_uncertain: bool,
}

/// What came of it.
pub struct Answer {
    /// What was made.
    pub heard: Heard,
    /// What it was made of; none where the model tells nothing.
    pub lineage: Option<Lineage>,
    /// Where the last records before the issue lie.
    pub shown: Places,
    /// These, as they lie in the source.
    pub records: Vec<RawRecord>,
    /// From where.
    pub replayed: Replayed,
}

/// Everything that the computation starts from.
struct Found {
    source: Source,
    restored: Option<Restored>,
    releases: Vec<Release>,
    symbol_shares: Option<usize>,
    history: Option<History>,
    replayed: Replayed,
}

/// Computes a forecast again, and its outcome where the source has it.
///
/// # Errors
/// When something that it was computed from is gone (the message says what is needed), or cannot be read.
pub fn compute(config: &Config, question: &Question, stop: &Stop, stats: &Arc<Stats>) -> anyhow::Result<Answer> {
    super::check_options(config)?;
    let began = Instant::now();
    let initial = initial_weights(config)?;
    let computation = computation(config, initial.as_deref());
    let found = match &config.source.kafka {
        Some(topic) => of_topic(config, topic, computation, question, stop)?,
        None => Found {
            source: bounded_source(config, &plan(question), stop)?,
            restored: None,
            releases: Vec::new(),
            symbol_shares: None,
            history: None,
            replayed: Replayed::default(),
        },
    };
    let Found { source, restored, releases, symbol_shares, history, mut replayed } = found;
    let mut bare = config.clone();
    (bare.sink, bare.dead_letter, bare.checkpoint) = (SinkConfig::default(), None, None);
    (bare.http, bare.model.weights) = (None, None);
    let (ear, heard) = ear::Ear::new(question, config.model.step, stop.child());
    let collection = config.source.mongodb.as_ref().filter(|_| config.source.kafka.is_none());
    let summary = job::run(Job {
        workers: question.workers,
        cluster: None,
        serialised: false,
        input: source.into_factory(config, stop),
        sinks: vec![Box::new(ear.clone())],
        bounded: true,
        range: collection.map_or(question.range, |collection| collection.within(question.range)),
        releases,
        history,
        symbol_shares,
        checkpoints: None,
        restored: restored.map(Arc::new),
        initial,
        trace: Some(Arc::clone(&question.trace)),
        stop: ear.stop().clone(),
        stats: Arc::clone(stats),
        config: bare,
    })?;
    anyhow::ensure!(!stop.requested(), "stopped before the forecast was computed again");
    (replayed.records, replayed.seconds) = (summary.records.total(), began.elapsed().as_secs_f64());
    let heard = heard.take();
    let shown = heard.last_records(RECORDS_SHOWN);
    let records = records::read(config, question, &shown, stop)?;
    Ok(Answer { heard, lineage: question.trace.take(), shown, records, replayed })
}

/// Why something else may have come out, as far as the source's broker knows.
pub fn doubt(config: &Config) -> Option<&'static str> {
    let is_compacted = kafka::is_compacted(config.source.kafka.as_ref()?).ok()??;
    is_compacted.then_some("the source's topic is compacted: its broker deletes all but the last record of each key")
}

fn plan(question: &Question) -> Plan {
    let Question { workers, range, .. } = question;
    Plan { workers: *workers, bounded: true, range: *range, reset: false, place: None, looks: true }
}

/// A topic, its progress and its checkpoints: where it is computed again from.
fn of_topic(
    config: &Config,
    topic: &KafkaSourceConfig,
    mut computation: Computation,
    question: &Question,
    stop: &Stop,
) -> anyhow::Result<Found> {
    let state = kafka::topic_bounds(topic)?;
    let progress = match &config.sink.kafka {
        Some(sink) => KafkaSink::published(sink, &config.job.id, stop)?,
        None => None,
    };
    let has_history = config.source.has_history();
    if let Some(from) = question.range.0.filter(|_| has_history) {
        computation.set(keys::HISTORY_FROM, Some(from.to_string()));
    }
    computation.set(keys::CLUSTER_ID, state.cluster_id.clone());
    computation.set(keys::TOPIC_ID, state.topic_id.clone());
    let start = if topic.start == "latest" { None } else { Some(kafka::resolve_start(topic, &topic.start)?) };
    let store = config.checkpoint.as_ref().map(checkpoints::open).transpose()?;
    let mut kept = match &store {
        Some(store) => kept::found(store.as_ref(), &config.job.id)?,
        None => Vec::new(),
    };
    let decide = |computation: &Computation, kept: &[_]| {
        let asked = Asked {
            issued_at: question.trace.issued_at,
            shown_from: question.trace.ticks.0,
            computation,
            progress: progress.as_ref(),
            topic: &state,
            start: start.as_ref(),
            checkpoints: kept,
            layout: &layout(),
            from_start: question.from_start,
        };
        again(asked).map_err(|why| JobError(why.into()))
    };
    // A checkpoint shows what it is worth when all of it is read.
    let (beginning, restored) = loop {
        let beginning = decide(&computation, &kept)?;
        let (Some(manifest), Some(store)) = (&beginning.checkpoint, &store) else { break (beginning, None) };
        let needed = needed(manifest, &question.trace);
        match Restored::read(store.as_ref(), needed) {
            Ok(restored) => break (beginning, Some(restored)),
            Err(damage) => {
                for found in kept.iter_mut().filter(|found| found.1.as_ref().is_ok_and(|found| *found == **manifest)) {
                    found.1 = Err(damage.clone());
                }
            }
        }
    };
    let surveyed = if has_history && restored.is_none() {
        let surveyed = history::survey(config, &plan(question), stop)?;
        computation.set(keys::HISTORY, Some(surveyed.seam.digest()));
        decide(&computation, &kept)?;
        Some(surveyed)
    } else {
        None
    };
    let name = |restored: &Restored| {
        let manifest = &restored.manifest;
        Manifest::name(&manifest.job, manifest.cut, manifest.generation)
    };
    let replayed = Replayed {
        checkpoint: restored.as_ref().map(name),
        cut: restored.as_ref().map(Restored::cut),
        starts: beginning.starts.clone(),
        passed_over: beginning.passed_over,
        is_on_record: progress.is_some() || restored.is_some(),
        is_beginning_uncertain: is_uncertain(&beginning.starts, &state, progress.as_ref(), restored.as_ref()),
        ..Replayed::default()
    };
    let at_first = progress.as_ref().map(|progress| progress.partitions).filter(|partitions| *partitions > 0);
    let at_first = at_first.or_else(|| Some(restored.as_ref()?.manifest.partitions));
    Ok(Found {
        history: surveyed.as_ref().map(|surveyed| History::Joined(Arc::clone(&surveyed.seam))),
        source: Source::Kafka {
            config: topic.clone(),
            decoder: topic_decoder(&config.source)?,
            starts: beginning.starts,
            ends: Some(state.ends()),
            topic_id: state.topic_id,
            history: surveyed,
        },
        restored,
        releases: progress.as_ref().map_or_else(Vec::new, Progress::all_releases),
        symbol_shares: at_first.map(|partitions| partitions as usize),
        replayed,
    })
}

/// A checkpoint without the states of forecasters that need not learn: they are most of it.
fn needed(manifest: &Manifest, trace: &Trace) -> Manifest {
    let mut needed = manifest.clone();
    let others = |part: Option<u32>| trace.alone && part.is_some_and(|part| part != trace.symbol.part());
    needed.sections.retain(|section| section.keeper != Keeper::Forecasters || !others(section.part));
    needed
}

/// Whether the topic begins with a later record than its first, and nobody has noted where the job began.
fn is_uncertain(
    starts: &Offsets,
    topic: &TopicState,
    progress: Option<&Progress>,
    restored: Option<&Restored>,
) -> bool {
    let is_cut = |partition: &_| topic.partitions.get(partition).is_some_and(|(low, _)| *low > 0);
    progress.is_none() && restored.is_none() && starts.keys().any(is_cut)
}
