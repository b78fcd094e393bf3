//! The second half of a start: what was checked is opened for writing, and earlier instances of the job end.

use super::prepare::{Prepared, Source};
use super::{Plan, hooks};
use crate::config::{Config, KafkaSourceConfig, SourceConfig};
use crate::connectors::files::dead_letters::DeadLetterFile;
use crate::connectors::files::lines_file::Writing;
use crate::connectors::files::sink::FilesSink;
use crate::connectors::kafka::{DeadLetterSink, KafkaSink, Progress};
use crate::connectors::mongodb::MongoSink;
use crate::dataflows::job::Job;
use crate::delivery::{Resumed, Sink, Stop};
use crate::market::Release;
use crate::operators::support::stats::Stats;
use anyhow::Context as _;
use std::sync::Arc;

/// Opens the sinks, and gives the job that is ready to run.
pub(super) fn take_over(
    config: &Config,
    plan: &Plan,
    prepared: Prepared,
    stop: &Stop,
    stats: &Arc<Stats>,
) -> anyhow::Result<Job> {
    let Prepared { initial, source, progress: seen } = prepared;
    let partitions = source.partitions();
    let Opened { sinks, mut kafka_sink, progress, mongodb } = open_sinks(config, plan, partitions, stop)?;
    if let (true, Some(sink)) = (plan.reset, &mut kafka_sink) {
        sink.reset();
    }
    let progress = progress.filter(|_| !plan.reset);
    unchanged(seen.as_ref(), progress.as_ref(), &config.job.id)?;
    if let Some(sink) = &mut kafka_sink {
        sink.set_initial_weights(initial.as_ref().map(|initial| initial.digest()));
        if let Source::Kafka { starts, .. } = &source {
            sink.set_start(starts);
        }
    }
    tell(config, plan, partitions, progress.as_ref());
    let releases = progress.as_ref().map_or_else(Vec::new, releases);
    Ok(Job {
        config: config.clone(),
        workers: plan.workers,
        serialised: false,
        input: hooks::apply(source.into_factory(config, stop)),
        sinks: order(sinks, kafka_sink, mongodb, progress.as_ref()),
        bounded: plan.bounded,
        range: config.source.mongodb.as_ref().map_or(plan.range, |mongodb| mongodb.within(plan.range)),
        releases,
        initial,
        stop: stop.clone(),
        stats: Arc::clone(stats),
    })
}

/// What the job starts from may have been written between the look and the takeover: by another instance that began.
fn unchanged(seen: Option<&Progress>, now: Option<&Progress>, job: &str) -> anyhow::Result<()> {
    let begun = |progress: Option<&Progress>| {
        progress.filter(|p| !p.start.is_empty()).map(|p| (p.start.clone(), p.initial_weights.clone()))
    };
    anyhow::ensure!(
        begun(seen) == begun(now),
        "another instance of job `{job}` began while this one started: see that one of them runs, and start again"
    );
    Ok(())
}

/// What begins, in one line of the log.
fn tell(config: &Config, plan: &Plan, partitions: u32, progress: Option<&Progress>) {
    let SourceConfig { kafka, files, mongodb, .. } = &config.source;
    let from = match (kafka, mongodb) {
        (Some(kafka), _) => format!("topic {} of {partitions} partitions", kafka.topic),
        (None, Some(mongodb)) => format!("collection {}.{}", mongodb.database, mongodb.collection),
        (None, None) => format!("{} files", files.as_ref().map_or(0, |files| files.paths.len())),
    };
    let resumed = progress.filter(|p| !p.start.is_empty()).map_or_else(String::new, |progress| {
        format!("; published through {} before, recomputing from the start", progress.through)
    });
    tracing::info!("job `{}` on {} workers reads {from}{resumed}", config.job.id, plan.workers);
}

fn releases(progress: &Progress) -> Vec<Release> {
    progress.releases.iter().chain(progress.idle.values()).copied().collect()
}

/// The sinks of a configuration, opened.
struct Opened {
    /// Files and dead letters.
    sinks: Vec<Box<dyn Sink>>,
    kafka_sink: Option<KafkaSink>,
    progress: Option<Progress>,
    mongodb: Option<MongoSink>,
}

fn open_sinks(config: &Config, plan: &Plan, partitions: u32, stop: &Stop) -> anyhow::Result<Opened> {
    let mut sinks: Vec<Box<dyn Sink>> = Vec::new();
    let topic = config.dead_letter.as_ref().and_then(|d| d.topic.as_deref());
    // Kafka first: it fences an instance that still runs, before the database's generation moves on.
    let (kafka_sink, progress) = match &config.sink.kafka {
        Some(kafka) => {
            let (sink, progress) = KafkaSink::open(kafka, &config.job.id, topic, partitions, stop)?;
            (Some(sink), progress)
        }
        None => (None, None),
    };
    let mongodb = match &config.sink.mongodb {
        Some(mongodb) => Some(MongoSink::open(mongodb, &config.job.id, &config.time.windows, stop)?),
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
    Ok(Opened { sinks, kafka_sink, progress, mongodb })
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
