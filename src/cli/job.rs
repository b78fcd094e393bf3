//! From a configuration to a running job: opens what it names, and says what is missing.

use super::{Usage, progress, signals, summary};
use crate::config::{Config, KafkaSourceConfig, SourceConfig};
use crate::connectors::files::dead_letters::DeadLetterFile;
use crate::connectors::files::input::FilesInput;
use crate::connectors::files::sink::FilesSink;
use crate::connectors::input::Input;
use crate::connectors::kafka::{self, DeadLetterSink, KafkaInput, KafkaSink, Progress, Reading};
use crate::connectors::mongodb::MongoSink;
use crate::connectors::mongodb::source::MongoSource;
use crate::dataflows::job::{self, InputFactory, Job, Summary};
use crate::dataflows::model::initial_weights;
use crate::delivery::{Resumed, Sink, Stop};
use crate::formats::Decoder;
use crate::market::{Release, Timestamp};
use crate::operators::support::stats::Stats;
use anyhow::Context as _;
use std::sync::Arc;

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
}

/// Runs a job for a person: signals stop it, a bar shows how far it is, a summary comes at the end.
///
/// # Errors
/// As [`run`].
pub fn run_shown(config: &Config, plan: &Plan, json: bool) -> anyhow::Result<()> {
    let stop = Stop::default();
    signals::stop_on_signals(&stop)?;
    let stats = Arc::new(Stats::default());
    let shown = progress::JobBar::show(&stats, None);
    let outcome = run(config, plan, &stop, &stats);
    drop(shown);
    summary::print(&outcome?, json)
}

/// Opens inputs and sinks, and runs the job until its input ends or `stop` is requested.
///
/// # Errors
/// When something that the configuration names cannot be opened, or cannot go on.
pub fn run(config: &Config, plan: &Plan, stop: &Stop, stats: &Arc<Stats>) -> anyhow::Result<Summary> {
    check_options(config)?;
    let initial = initial_weights(config)?;
    let digest = initial.as_ref().map(|initial| initial.digest());
    let partitions = match &config.source.kafka {
        Some(kafka) => kafka::partition_count(kafka)?,
        None => 1,
    };
    if let (true, false, Some(sink)) = (plan.bounded, plan.reset, &config.sink.kafka)
        && KafkaSink::published(sink, &config.job.id, stop)?.is_some_and(|p| p.through > Timestamp::default())
    {
        anyhow::bail!(
            "job `{}` has published to {} before: a backfill would end the live job and publish anew; give --reset to do so, or another job.id",
            config.job.id,
            sink.topic
        );
    }
    let Opened { sinks, mut kafka_sink, progress, mongodb } = open_sinks(config, partitions, stop)?;
    if let (true, Some(sink)) = (plan.reset, &mut kafka_sink) {
        sink.reset();
    }
    let progress = progress.filter(|_| !plan.reset);
    progress.as_ref().map_or(Ok(()), |p| p.check_initial_weights(digest)).map_err(anyhow::Error::msg)?;
    if let Some(sink) = &mut kafka_sink {
        sink.set_initial_weights(digest);
    }
    let input = open_input(config, plan, progress.as_ref(), kafka_sink.as_mut(), stop)?;
    tell(config, plan, partitions, progress.as_ref());
    let releases = progress.as_ref().map_or_else(Vec::new, releases);
    let sinks = order(sinks, kafka_sink, mongodb, progress.as_ref());
    let job = Job {
        config: config.clone(),
        workers: plan.workers,
        serialised: false,
        input,
        sinks,
        range: config.source.mongodb.as_ref().map_or(plan.range, |mongodb| mongodb.within(plan.range)),
        releases,
        initial,
        stop: stop.clone(),
        stats: Arc::clone(stats),
    };
    Ok(job::run(job)?)
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

/// Options of librdkafka that are unknown or not to be set are mistakes of the configuration, found without a broker.
pub(super) fn check_options(config: &Config) -> Result<(), Usage> {
    let source = config.source.kafka.as_ref().map_or(Ok(()), kafka::check_source);
    let sink = config.sink.kafka.as_ref().map_or(Ok(()), kafka::check_sink);
    source.and(sink).map_err(|error| Usage(error.to_string()))
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

fn open_sinks(config: &Config, partitions: u32, stop: &Stop) -> anyhow::Result<Opened> {
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
    if let Some(files) = &config.sink.files {
        sinks.push(Box::new(FilesSink::open(files, &config.time.windows)?));
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
        sinks.push(Box::new(DeadLetterFile::open(file)?));
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

fn open_input(
    config: &Config,
    plan: &Plan,
    progress: Option<&Progress>,
    sink: Option<&mut KafkaSink>,
    stop: &Stop,
) -> anyhow::Result<Arc<InputFactory>> {
    let format = config.source.format;
    let Some(source) = config.source.kafka.clone() else {
        if let Some(mongodb) = &config.source.mongodb {
            let (source, stop) = (MongoSource::open(mongodb, plan.range, stop)?, stop.clone());
            return Ok(Arc::new(move |worker, workers| {
                Ok(Box::new(source.input(worker, workers, &stop)?) as Box<dyn Input>)
            }));
        }
        let files = config.source.files.clone();
        let files = files.context("no source: give source.kafka, source.files or source.mongodb")?;
        return Ok(Arc::new(move |worker, workers| {
            Ok(Box::new(FilesInput::open(&files, format, worker, workers)?) as Box<dyn Input>)
        }));
    };
    let starts = match progress.filter(|p| !p.start.is_empty()) {
        Some(progress) => kafka::resume_start(&source, &progress.start)?,
        None => kafka::resolve_start(&source, &source.start)?,
    };
    if let Some(sink) = sink {
        sink.set_start(&starts);
    }
    let ends = if plan.bounded { Some(kafka::end_offsets(&source)?) } else { None };
    let reading = Reading::new(starts, ends);
    let id = config.job.id.clone();
    let decoder = Decoder::json(format, None, None);
    Ok(Arc::new(move |worker, workers| {
        Ok(Box::new(KafkaInput::open(&source, &id, &decoder, &reading, worker, workers)?) as Box<dyn Input>)
    }))
}
