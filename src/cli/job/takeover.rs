//! The second half of a start: what was checked is opened for writing, and earlier instances of the job end.

use super::phases::Phases;
use super::prepare::{Prepared, Source};
use super::{Plan, hooks, outputs};
use crate::cli::face::Face;
use crate::config::{CheckpointConfig, Config, KafkaSourceConfig, SourceConfig};
use crate::connectors::files::dead_letters::DeadLetterFile;
use crate::connectors::files::lines_file::Writing;
use crate::connectors::files::sink::FilesSink;
use crate::connectors::kafka::{Begin, DeadLetterSink, KafkaSink};
use crate::connectors::mongodb::MongoSink;
use crate::dataflows::checkpoints::{Checkpoints, KeptFrom};
use crate::dataflows::job::Job;
use crate::delivery::{Resumed, Sink, Stop};
use crate::operators::source::History;
use crate::operators::support::stats::Stats;
use crate::recovery::kept;
use crate::recovery::point;
use crate::recovery::saver::Pace;
use crate::recovery::{Offsets, Progress, RunPlan};
use anyhow::Context as _;
use std::sync::Arc;

/// Opens the sinks, and gives the job that is ready to run.
pub(super) fn take_over(
    config: &Config,
    plan: &Plan,
    prepared: Prepared,
    stop: &Stop,
    stats: &Arc<Stats>,
    face: Option<&Face>,
) -> anyhow::Result<Job> {
    let Prepared { initial, source, computation, plan: run_plan, progress: seen, store, restored, generation } =
        prepared;
    let partitions = source.partitions();
    point::reach("takeover.decided");
    tell(config, plan, &run_plan, partitions);
    let starts = if let Source::Kafka { starts, .. } = &source { starts.clone() } else { Offsets::new() };
    let job = &config.job.id;
    let begin = |found: Option<&Progress>| run_plan.begin(job, &computation, &starts, seen.as_ref(), found);
    let Opened { sinks, mut kafka_sink, mongodb } = open_sinks(config, plan, partitions, &begin, stop)?;
    let progress = kafka_sink.as_ref().map(|sink| sink.progress().clone());
    let begins_anew = plan.bounded || matches!(run_plan, RunPlan::Anew { .. });
    if let (Some(store), RunPlan::Anew { .. }) = (&store, &run_plan) {
        // Of a history that is over. The progress record says so, too, should this not get to its end.
        kept::forget_all(store.as_ref(), job)?;
    }
    let kept_from = KeptFrom::default();
    if let Some(sink) = &mut kafka_sink {
        sink.set_kept_from(Arc::clone(&kept_from));
    }
    let restored = restored.map(Arc::new);
    let at_first = progress.as_ref().map(|progress| progress.partitions).filter(|partitions| *partitions > 0);
    let at_first = at_first.or_else(|| Some(restored.as_ref()?.manifest.partitions));
    let checkpoints = match (store, &config.checkpoint) {
        (Some(store), Some(CheckpointConfig { interval, keep, .. })) => Some(Checkpoints {
            store,
            pace: match &plan.place {
                Some(_) => Pace::new(*interval, *keep).of_several(),
                None => Pace::new(*interval, *keep),
            },
            generation: progress.as_ref().map_or(generation, |progress| progress.generation),
            computation: progress.as_ref().map_or(computation.clone(), |progress| progress.computation.clone()),
            sources: starts.keys().copied().collect(),
            history: progress.as_ref().map(|progress| progress.history).unwrap_or_default(),
            sinks: outputs::sinks(config),
            partitions: at_first.unwrap_or(partitions),
            kept_from,
            files: outputs::written(config),
        }),
        _ => None,
    };
    let history = match &source {
        Source::Kafka { history: Some(history), .. } => Some(History::Joined(Arc::clone(&history.seam))),
        _ => None,
    };
    // That of a history is its own.
    let collection = config.source.mongodb.as_ref().filter(|_| config.source.kafka.is_none());
    let range = collection.map_or(plan.range, |collection| collection.within(plan.range));
    let releases = progress.as_ref().map_or_else(|| run_plan.releases_of_added(), Progress::all_releases);
    Ok(Job {
        config: config.clone(),
        workers: plan.workers,
        cluster: None,
        serialised: false,
        input: hooks::apply(source.into_factory(config, stop)),
        sinks: with_face(face, order(sinks, kafka_sink, mongodb, progress.as_ref()), progress.as_ref(), begins_anew)?,
        bounded: plan.bounded,
        range,
        releases,
        history,
        symbol_shares: at_first.map(|partitions| partitions as usize),
        checkpoints,
        restored,
        initial,
        trace: None,
        stop: stop.clone(),
        stats: Arc::clone(stats),
    })
}

/// What begins, in one line of the log.
fn tell(config: &Config, plan: &Plan, run_plan: &RunPlan, partitions: u32) {
    let SourceConfig { kafka, files, mongodb, .. } = &config.source;
    let from = match (kafka, mongodb) {
        (Some(kafka), _) => format!("topic {} of {partitions} partitions", kafka.topic),
        (None, Some(mongodb)) => format!("collection {}.{}", mongodb.database, mongodb.collection),
        (None, None) => format!("{} files", files.as_ref().map_or(0, |files| files.paths.len())),
    };
    let job = &config.job.id;
    let crew = match &plan.place {
        Some(place) => format!("{} processes of {} workers", place.hosts.count(), plan.workers),
        None => format!("{} workers", plan.workers),
    };
    match run_plan {
        RunPlan::Fresh => tracing::info!("job `{job}` on {crew} reads {from}"),
        RunPlan::Resume { starts, added, checkpoint, skipped } => {
            skipped.iter().for_each(|why| tracing::warn!("checkpoint {why}: not used"));
            let state = checkpoint.as_ref().map_or_else(
                || "computes again from the beginning".to_owned(),
                |manifest| format!("goes on from the checkpoint of {}", manifest.cut),
            );
            tracing::info!(
                "job `{job}` on {crew} reads {from}; resumes: {state}, {}, and publishes what is not published yet",
                shown(starts)
            );
            if !added.is_empty() {
                tracing::warn!(
                    "job `{job}` takes in partitions that are new: {}; what they hold of before is late",
                    shown(added)
                );
            }
        }
        RunPlan::Anew { given_up } => tracing::warn!(
            "job `{job}` on {crew} reads {from}; --reset gives up its progress through {given_up}: what is computed from here \
             on is published again, under the same ids; records in the topics stay as they are"
        ),
    }
}

/// `0:17, 1:4`
fn shown(offsets: &Offsets) -> String {
    let each = offsets.iter().map(|(partition, offset)| format!("{}:{offset}", partition.0));
    let listed = each.collect::<Vec<_>>().join(", ");
    if listed.is_empty() { "the beginning".to_owned() } else { format!("offsets {listed}") }
}

/// The sinks of a configuration, opened.
struct Opened {
    /// Files and dead letters.
    sinks: Vec<Box<dyn Sink>>,
    kafka_sink: Option<KafkaSink>,
    mongodb: Option<MongoSink>,
}

fn open_sinks(config: &Config, plan: &Plan, partitions: u32, begin: Begin<'_>, stop: &Stop) -> anyhow::Result<Opened> {
    let mut sinks: Vec<Box<dyn Sink>> = Vec::new();
    let topic = config.dead_letter.as_ref().and_then(|d| d.topic.as_deref());
    // Kafka first: it fences an instance that still runs, before the database's generation moves on.
    let mut phases = Phases::begin();
    let kafka_sink = match &config.sink.kafka {
        Some(kafka) => Some(KafkaSink::take_over(kafka, &config.job.id, topic, partitions, begin, stop)?.0),
        None => None,
    };
    phases.end("taking over");
    let mongodb = match &config.sink.mongodb {
        Some(mongodb) => {
            let (job, windows) = (&config.job.id, &config.time.windows);
            Some(MongoSink::open(mongodb, job, windows, MongoSink::TAKEOVER_WAIT, stop)?)
        }
        None => None,
    };
    let writing = if plan.bounded { Writing::Whole } else { Writing::Append };
    if let Some(files) = &config.sink.files {
        sinks.push(Box::new(FilesSink::open(files, &config.job.id, &config.time.windows, writing)?));
    }
    if let (Some(topic), None) = (topic, &kafka_sink) {
        let KafkaSourceConfig { brokers, options, .. } = config
            .source
            .kafka
            .as_ref()
            .context("dead_letter.topic needs [sink.kafka] or [source.kafka]: give dead_letter.file instead")?;
        sinks.push(Box::new(DeadLetterSink::open(brokers, options, topic, partitions, stop)?));
    }
    if let Some(file) = config.dead_letter.as_ref().and_then(|d| d.file.as_deref()) {
        sinks.push(Box::new(DeadLetterFile::open(file, writing)?));
    }
    Ok(Opened { sinks, kafka_sink, mongodb })
}

/// The embedded store before all others, what shows after them.
fn with_face(
    face: Option<&Face>,
    others: Vec<Box<dyn Sink>>,
    progress: Option<&Progress>,
    begins_anew: bool,
) -> anyhow::Result<Vec<Box<dyn Sink>>> {
    let Some(face) = face else { return Ok(others) };
    let (sink, stored) = face.store_sink(begins_anew)?;
    let first: Box<dyn Sink> = match (stored, progress) {
        // What is published is computed again to the same bytes.
        (Some(stored), Some(progress)) => Box::new(Resumed::new(sink, stored.min(progress.through))),
        _ => sink,
    };
    Ok(std::iter::once(first).chain(others).chain([face.live_sink()]).collect())
}

/// Database, Kafka, files: what Kafka's progress says is published is in the database by then.
fn order(
    rest: Vec<Box<dyn Sink>>,
    kafka_sink: Option<KafkaSink>,
    mongodb: Option<MongoSink>,
    progress: Option<&Progress>,
) -> Vec<Box<dyn Sink>> {
    let mut sinks: Vec<Box<dyn Sink>> = Vec::new();
    let covers: Vec<String> = mongodb.iter().map(MongoSink::covers).collect();
    if let Some(sink) = mongodb {
        let covered = progress.filter(|p| covers.iter().all(|name| p.covers.contains(name)));
        let sink: Box<dyn Sink> = Box::new(sink);
        sinks.push(match covered {
            Some(progress) => Box::new(Resumed::new(sink, progress.through)),
            None => sink,
        });
    }
    if let Some(mut sink) = kafka_sink {
        sink.set_covers(covers);
        sinks.push(Box::new(sink));
    }
    sinks.extend(rest);
    sinks
}
