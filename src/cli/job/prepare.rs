//! The first half of a start: what is there, and whether the job can do with it. Nothing is fenced, created or written.

use super::{Plan, outputs};
use crate::config::{Config, KafkaSourceConfig, SourceConfig};
use crate::connectors::files::input::OpenedFiles;
use crate::connectors::input::Input;
use crate::connectors::kafka::{self, KafkaInput, KafkaSink, Offsets, Progress, Reading};
use crate::connectors::mongodb::MongoSink;
use crate::connectors::mongodb::source::MongoSource;
use crate::dataflows::job::InputFactory;
use crate::dataflows::model::initial_weights;
use crate::delivery::Stop;
use crate::formats::Decoder;
use crate::market::{Symbol, Timestamp};
use crate::model::weights::InitialWeights;
use anyhow::Context as _;
use std::sync::Arc;

/// What a job starts from, all of it there and good.
pub(super) struct Prepared {
    pub initial: Option<Arc<InitialWeights>>,
    pub source: Source,
    /// What the job has published; none for one that has never run, or begins anew.
    pub progress: Option<Progress>,
}

/// How a topic's values are read. Where a symbol is configured, keys are ids and say none.
fn topic_decoder(config: &SourceConfig) -> anyhow::Result<Decoder> {
    let symbol = config.symbol.as_deref().map(Symbol::new).transpose();
    let symbol = symbol.map_err(|why| anyhow::anyhow!("source.symbol {why}"))?;
    let has_symbol = symbol.is_some();
    let decoder = Decoder::json(config.format, symbol, config.interval).with_zone(config.timezone.clone());
    Ok(if has_symbol { decoder.without_keys() } else { decoder })
}

/// An input whose records are there to be read.
pub(super) enum Source {
    Kafka { config: KafkaSourceConfig, decoder: Decoder, starts: Offsets, ends: Option<Offsets> },
    Files(OpenedFiles),
    MongoDb(MongoSource),
}

impl Source {
    /// How many partitions topics get that are made for its results.
    pub(super) fn partitions(&self) -> u32 {
        match self {
            Self::Kafka { starts, .. } => u32::try_from(starts.len()).unwrap_or(u32::MAX),
            Self::Files(_) | Self::MongoDb(_) => 1,
        }
    }

    /// For each worker, its share.
    pub(super) fn into_factory(self, config: &Config, stop: &Stop) -> Arc<InputFactory> {
        match self {
            Self::Kafka { config: source, decoder, starts, ends } => {
                let (id, reading) = (config.job.id.clone(), Reading::new(starts, ends));
                Arc::new(move |worker, workers| {
                    Ok(Box::new(KafkaInput::open(&source, &id, &decoder, &reading, worker, workers)?) as Box<dyn Input>)
                })
            }
            Self::Files(files) => {
                Arc::new(move |worker, workers| Ok(Box::new(files.share(worker, workers)) as Box<dyn Input>))
            }
            Self::MongoDb(source) => {
                let stop = stop.clone();
                Arc::new(move |worker, workers| Ok(Box::new(source.input(worker, workers, &stop)?) as Box<dyn Input>))
            }
        }
    }
}

/// Reads and checks everything that a start depends on.
pub(super) fn prepare(config: &Config, plan: &Plan, stop: &Stop) -> anyhow::Result<Prepared> {
    let inputs = config.source.files.as_ref().map_or(&[][..], |files| &files.paths);
    outputs::check(config, inputs, plan.bounded)?;
    let initial = initial_weights(config)?;
    let published = match &config.sink.kafka {
        // Its source first: without one there is nothing to ask about.
        Some(sink) => {
            config.source.kafka.as_ref().map(kafka::partition_count).transpose()?;
            KafkaSink::published(sink, &config.job.id, stop)?
        }
        None => None,
    };
    if let (true, false, Some(sink), Some(published)) = (plan.bounded, plan.reset, &config.sink.kafka, &published)
        && published.through > Timestamp::default()
    {
        anyhow::bail!(
            "job `{}` has published to {} before: a backfill would end the live job and publish anew; give --reset to do so, or another job.id",
            config.job.id,
            sink.topic
        );
    }
    let progress = published.filter(|_| !plan.reset);
    if let Some(progress) = &progress {
        let digest = initial.as_ref().map(|initial| initial.digest());
        progress.check_initial_weights(digest).map_err(anyhow::Error::msg)?;
    }
    if let Some(mongodb) = &config.sink.mongodb {
        MongoSink::check(mongodb, stop)?;
    }
    let source = source(config, plan, progress.as_ref(), stop)?;
    Ok(Prepared { initial, source, progress })
}

fn source(config: &Config, plan: &Plan, progress: Option<&Progress>, stop: &Stop) -> anyhow::Result<Source> {
    if let Some(source) = config.source.kafka.clone() {
        let starts = match progress.filter(|p| !p.start.is_empty()) {
            Some(progress) => kafka::resume_start(&source, &progress.start)?,
            None => kafka::resolve_start(&source, &source.start)?,
        };
        let ends = if plan.bounded { Some(kafka::end_offsets(&source)?) } else { None };
        let decoder = topic_decoder(&config.source)?;
        return Ok(Source::Kafka { config: source, decoder, starts, ends });
    }
    if let Some(mongodb) = &config.source.mongodb {
        return Ok(Source::MongoDb(MongoSource::open(mongodb, plan.range, stop)?));
    }
    let files = config.source.files.as_ref();
    let files = files.context("no source: give source.kafka, source.files or source.mongodb")?;
    Ok(Source::Files(OpenedFiles::open(files, config.source.format)?))
}
