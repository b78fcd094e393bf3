//! The first half of a start: what is there, and whether the job can do with it. Nothing is fenced, created or written.

use super::{Plan, outputs};
use crate::config::{Config, KafkaSourceConfig, Preset, SourceConfig};
use crate::connectors::files::input::OpenedFiles;
use crate::connectors::input::Input;
use crate::connectors::kafka::{self, KafkaInput, KafkaSink, Reading};
use crate::connectors::mongodb::MongoSink;
use crate::connectors::mongodb::source::MongoSource;
use crate::dataflows::job::InputFactory;
use crate::dataflows::model::initial_weights;
use crate::delivery::Stop;
use crate::formats::Decoder;
use crate::market::Symbol;
use crate::model::numerics;
use crate::model::weights::InitialWeights;
use crate::recovery::computation::keys;
use crate::recovery::plan::Known;
use crate::recovery::{self, Computation, Offsets, Progress, RunPlan, TopicState};
use anyhow::Context as _;
use std::sync::Arc;

/// What a job starts from, all of it there and good.
pub(super) struct Prepared {
    pub initial: Option<Arc<InitialWeights>>,
    pub source: Source,
    /// What the job computes.
    pub computation: Computation,
    /// Where it begins.
    pub plan: RunPlan,
    /// What the job has published; none for one that has never run.
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
    Kafka {
        config: KafkaSourceConfig,
        decoder: Decoder,
        starts: Offsets,
        ends: Option<Offsets>,
        topic_id: Option<String>,
    },
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
            Self::Kafka { config: source, decoder, starts, ends, topic_id } => {
                let (id, reading) = (config.job.id.clone(), Reading { topic_id, ..Reading::new(starts, ends) });
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
    // The source first: without one there is nothing to ask about.
    let topic = config.source.kafka.as_ref().map(kafka::topic_state).transpose()?;
    let progress = match &config.sink.kafka {
        Some(sink) => KafkaSink::published(sink, &config.job.id, stop)?,
        None => None,
    };
    let mut computation = computation(config, initial.as_deref());
    if let Some(topic) = &topic {
        computation.set(keys::CLUSTER_ID, topic.cluster_id.clone());
        computation.set(keys::TOPIC_ID, topic.topic_id.clone());
    }
    let run_plan = recovery::decide(Known {
        job: &config.job.id,
        forecasts: config.sink.kafka.as_ref().map_or("", |sink| &sink.topic),
        computation: &computation,
        progress: progress.as_ref(),
        topic: topic.as_ref(),
        bounded: plan.bounded,
        reset: plan.reset,
        resumes: config.sink.kafka.is_some(),
    })?;
    if topic.as_ref().is_some_and(|topic| topic.compacted == Some(true)) {
        tracing::warn!("the source's topic is compacted: its broker deletes all but the last record of each key");
    }
    if let Some(mongodb) = &config.sink.mongodb {
        MongoSink::check(mongodb, stop)?;
    }
    let source = source(config, plan, &run_plan, topic.as_ref(), stop)?;
    Ok(Prepared { initial, source, computation, plan: run_plan, progress })
}

/// What decides the results, besides the source's ids.
fn computation(config: &Config, initial: Option<&InitialWeights>) -> Computation {
    let mut computation = Computation::new(crate::config::computation::computation(config));
    computation.set(keys::INITIAL_WEIGHTS, initial.map(|initial| initial.digest().to_owned()));
    if config.model.preset != Preset::None {
        computation.set(keys::NUMERICS, Some(numerics()));
    }
    computation
}

fn source(
    config: &Config,
    plan: &Plan,
    run_plan: &RunPlan,
    topic: Option<&TopicState>,
    stop: &Stop,
) -> anyhow::Result<Source> {
    if let (Some(source), Some(topic)) = (config.source.kafka.clone(), topic) {
        let starts = match run_plan {
            RunPlan::Resume { starts, .. } => starts.clone(),
            RunPlan::Fresh | RunPlan::Anew { .. } => kafka::resolve_start(&source, &source.start)?,
        };
        let ends = plan.bounded.then(|| topic.ends());
        let (decoder, topic_id) = (topic_decoder(&config.source)?, topic.topic_id.clone());
        return Ok(Source::Kafka { config: source, decoder, starts, ends, topic_id });
    }
    if let Some(mongodb) = &config.source.mongodb {
        return Ok(Source::MongoDb(MongoSource::open(mongodb, plan.range, stop)?));
    }
    let files = config.source.files.as_ref();
    let files = files.context("no source: give source.kafka, source.files or source.mongodb")?;
    Ok(Source::Files(OpenedFiles::open(files, config.source.format)?))
}
