//! The demo's parts: an embedded broker, a configuration that points at it, and the job.

use crate::cli::Usage;
use crate::cli::face::Face;
use crate::config::{Config, DeadLetterConfig, FilesSinkConfig, FilesSourceConfig, KafkaSinkConfig, KafkaSourceConfig};
use crate::connectors::files::lines_file::Writing;
use crate::connectors::files::sink::FilesSink;
use crate::connectors::input::Input;
use crate::connectors::kafka::{EmbeddedBroker, KafkaInput, KafkaSink, Reading, resolve_start};
use crate::dataflows::job::Job;
use crate::dataflows::model::initial_weights;
use crate::delivery::{Sink, Stop};
use crate::formats::Decoder;
use crate::market::Symbol;
use crate::operators::support::stats::Stats;
use anyhow::Context;
use std::path::Path;
use std::sync::Arc;

/// The demo's name as a job: forecasts' ids begin with it.
const JOB: &str = "demo";
const TICKS: &str = "demo.ticks";
const FORECASTS: &str = "demo.forecasts";
const DEAD_LETTERS: &str = "demo.dead_letters";

/// Starts the broker with all topics; its admin API cannot create any.
pub fn broker(partitions: u32) -> anyhow::Result<EmbeddedBroker> {
    let (scores, progress) = (format!("{FORECASTS}.scores"), format!("{FORECASTS}.progress"));
    let topics = [
        (TICKS, partitions),
        (FORECASTS, partitions),
        (scores.as_str(), partitions),
        (progress.as_str(), 1),
        (DEAD_LETTERS, 1),
    ];
    Ok(EmbeddedBroker::start(&topics)?)
}

/// The user's settings, but every address is the demo's own: nothing simulated leaves this process, except for `out`.
pub fn config(mut config: Config, brokers: &str, out: Option<&Path>) -> Config {
    config.job.id = JOB.to_owned();
    config.source.kafka = Some(KafkaSourceConfig {
        brokers: brokers.to_owned(),
        topic: TICKS.to_owned(),
        start: "earliest".to_owned(),
        ..KafkaSourceConfig::default()
    });
    config.source.files = None;
    config.source.mongodb = None;
    config.sink.mongodb = None;
    config.sink.kafka = Some(KafkaSinkConfig {
        brokers: brokers.to_owned(),
        topic: FORECASTS.to_owned(),
        create_topics: false,
        ..KafkaSinkConfig::default()
    });
    config.sink.files = out.map(|dir| FilesSinkConfig { dir: dir.to_owned(), ..FilesSinkConfig::default() });
    config.dead_letter = Some(DeadLetterConfig { topic: Some(DEAD_LETTERS.to_owned()), file: None });
    config
}

/// The source's table of a configuration that [`config`] made.
pub fn kafka_source(config: &Config) -> anyhow::Result<&KafkaSourceConfig> {
    config.source.kafka.as_ref().context("the demo has no source")
}

/// The job, reading the embedded broker as it would any other, and where it reads.
pub fn job(
    config: &Config,
    like: &FilesSourceConfig,
    workers: usize,
    partitions: u32,
    face: &Face,
    stop: &Stop,
) -> anyhow::Result<(Job, Reading)> {
    let source = kafka_source(config)?.clone();
    let starts = resolve_start(&source, &source.start)?;
    let reading = Reading::new(starts.clone(), None);
    let symbol = like.symbol.as_deref().map(Symbol::new).transpose();
    let symbol = symbol.map_err(|why| Usage(format!("source.files.symbol {why}")))?;
    let decoder = Decoder::json(config.source.format, symbol, like.interval).with_zone(like.timezone.clone());

    let sink = config.sink.kafka.as_ref().context("the demo has no sink")?;
    let (mut kafka, _) = KafkaSink::open(sink, JOB, Some(DEAD_LETTERS), partitions, stop)?;
    kafka.set_start(&starts);
    let mut sinks: Vec<Box<dyn Sink>> = vec![face.store_sink(true)?.0, Box::new(kafka)];
    if let Some(files) = &config.sink.files {
        sinks.push(Box::new(FilesSink::open(files, JOB, &config.time.windows, Writing::Whole)?));
    }
    sinks.push(face.live_sink());
    let input_reading = reading.clone();
    let input = move |worker, workers| {
        let input = KafkaInput::open(&source, JOB, &decoder, &input_reading, worker, workers)?;
        Ok(Box::new(input) as Box<dyn Input>)
    };
    let stats = Arc::new(Stats::default());
    face.watch().set_stats(&stats);
    let job = Job {
        config: config.clone(),
        workers,
        cluster: None,
        serialised: false,
        input: Arc::new(input),
        sinks,
        bounded: false,
        range: (None, None),
        releases: Vec::new(),
        history: None,
        symbol_shares: None,
        checkpoints: None,
        restored: None,
        initial: initial_weights(config)?,
        stop: stop.clone(),
        stats,
    };
    Ok((job, reading))
}
