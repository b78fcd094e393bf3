//! The first half of a start: what is there, and whether the job can do with it. Nothing is fenced, created or written.

use super::history::{self, Surveyed};
use super::phases::Phases;
use super::{Plan, outputs};
use crate::config::{Config, KafkaSourceConfig, Preset, SourceConfig};
use crate::connectors::checkpoints;
use crate::connectors::files::input::OpenedFiles;
use crate::connectors::history::Joined;
use crate::connectors::input::Input;
use crate::connectors::kafka::{self, KafkaInput, KafkaSink, Reading};
use crate::connectors::mongodb::MongoSink;
use crate::connectors::mongodb::source::MongoSource;
use crate::dataflows::checkpoints::layout;
use crate::dataflows::job::InputFactory;
use crate::dataflows::model::initial_weights;
use crate::delivery::Stop;
use crate::formats::Decoder;
use crate::market::{Generation, Symbol};
use crate::model::numerics;
use crate::model::weights::InitialWeights;
use crate::recovery::computation::keys;
use crate::recovery::kept;
use crate::recovery::plan::{Found, Known};
use crate::recovery::restored::Restored;
use crate::recovery::store::Store;
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
    /// Where its state is kept, if it is.
    pub store: Option<Arc<dyn Store>>,
    /// The state that it goes on from.
    pub restored: Option<Restored>,
    /// Its generation, where no progress record says one.
    pub generation: Generation,
}

/// How a topic's values are read. Where a symbol is configured, keys are ids and say none.
pub(super) fn topic_decoder(config: &SourceConfig) -> anyhow::Result<Decoder> {
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
        /// What comes before it.
        history: Option<Surveyed>,
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
            Self::Kafka { config: source, decoder, starts, ends, topic_id, history } => {
                // A job that has no record of where it is would begin anew.
                let ends_when_grown = config.sink.kafka.is_some();
                let reading = Reading { topic_id, ends_when_grown, ..Reading::new(starts, ends) };
                let id = config.job.id.clone();
                let history = history.map(|history| history.source.into_factory(config, stop));
                Arc::new(move |worker, workers| {
                    let topic = Box::new(KafkaInput::open(&source, &id, &decoder, &reading, worker, workers)?);
                    Ok(match &history {
                        Some(history) => Box::new(Joined::new(history(worker, workers)?, topic)?),
                        None => topic,
                    })
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
    let mut phases = Phases::begin();
    // The source first: without one there is nothing to ask about.
    let topic = config.source.kafka.as_ref().map(kafka::topic_state).transpose()?;
    phases.end("a look at the topic");
    let progress = match &config.sink.kafka {
        Some(sink) => KafkaSink::published(sink, &config.job.id, stop)?,
        None => None,
    };
    phases.end("a look at the progress");
    let mut computation = computation(config, initial.as_deref());
    let has_history = !plan.bounded && config.source.has_history();
    if let Some(from) = plan.range.0.filter(|_| has_history) {
        computation.set(keys::HISTORY_FROM, Some(from.to_string()));
    }
    if let Some(topic) = &topic {
        computation.set(keys::CLUSTER_ID, topic.cluster_id.clone());
        computation.set(keys::TOPIC_ID, topic.topic_id.clone());
    }
    let store = open_store(config, plan)?;
    let mut checkpoints = match &store {
        Some(store) => kept::found(store.as_ref(), &config.job.id)?,
        None => Vec::new(),
    };
    let generation = RunPlan::generation(&config.job.id, &checkpoints);
    let (sinks, layout) = (outputs::sinks(config), layout());
    let decide = |computation: &Computation, checkpoints: &[Found]| {
        recovery::decide(Known {
            job: &config.job.id,
            forecasts: config.sink.kafka.as_ref().map_or("", |sink| &sink.topic),
            computation,
            progress: progress.as_ref(),
            topic: topic.as_ref(),
            bounded: plan.bounded,
            reset: plan.reset,
            resumes: config.sink.kafka.is_some(),
            checkpoints,
            sinks: &sinks,
            layout: &layout,
        })
    };
    // A checkpoint shows what it is worth when all of it is read: the plan is made anew without one that is damaged.
    let (run_plan, restored) = loop {
        let run_plan = decide(&computation, &checkpoints)?;
        let RunPlan::Resume { checkpoint: Some(manifest), .. } = &run_plan else { break (run_plan, None) };
        let Some(store) = &store else { break (run_plan, None) };
        match Restored::read(store.as_ref(), (**manifest).clone()) {
            Ok(restored) => break (run_plan, Some(restored)),
            Err(damage) => {
                let is_it = |found: &&mut Found| found.1.as_ref().is_ok_and(|found| *found == **manifest);
                checkpoints.iter_mut().filter(is_it).for_each(|found| found.1 = Err(damage.clone()));
            }
        }
    };
    phases.end("reading the state");
    if topic.as_ref().is_some_and(|topic| topic.compacted == Some(true)) {
        tracing::warn!("the source's topic is compacted: its broker deletes all but the last record of each key");
    }
    if let Some(mongodb) = &config.sink.mongodb {
        MongoSink::check(mongodb, stop)?;
    }
    let mut source = source(config, plan, &run_plan, topic.as_ref(), stop)?;
    if let (true, None, false, Source::Kafka { history, .. }) = (has_history, &restored, plan.looks, &mut source) {
        if plan.place.is_some() {
            anyhow::bail!(
                "the history before the topic is read by one process: begin with `tickcast backfill --then-live`, and go on \
                 with the cluster from its first checkpoint on"
            );
        }
        let surveyed = history::survey(config, plan, stop)?;
        computation.set(keys::HISTORY, Some(surveyed.seam.digest()));
        // Of another history something else would come.
        decide(&computation, &checkpoints)?;
        *history = Some(surveyed);
    }
    Ok(Prepared { initial, source, computation, plan: run_plan, progress, store, restored, generation })
}

/// Where a live job's state is kept. A bounded run keeps none: it begins at its beginning, and its files appear whole.
fn open_store(config: &Config, plan: &Plan) -> anyhow::Result<Option<Arc<dyn Store>>> {
    let Some(checkpoint) = config.checkpoint.as_ref().filter(|_| !plan.bounded && config.source.kafka.is_some()) else {
        return Ok(None);
    };
    let store = checkpoints::open(checkpoint)?;
    store.check()?;
    Ok(Some(store))
}

/// What decides the results of a job over a topic.
pub fn computation_of_topic(config: &Config, initial: Option<&InitialWeights>, topic: &TopicState) -> Computation {
    let mut computation = computation(config, initial);
    computation.set(keys::CLUSTER_ID, topic.cluster_id.clone());
    computation.set(keys::TOPIC_ID, topic.topic_id.clone());
    computation
}

/// What decides the results, besides the source's ids.
pub(super) fn computation(config: &Config, initial: Option<&InitialWeights>) -> Computation {
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
        return Ok(Source::Kafka { config: source, decoder, starts, ends, topic_id, history: None });
    }
    bounded_source(config, plan, stop)
}

/// Files or a collection, opened.
pub(super) fn bounded_source(config: &Config, plan: &Plan, stop: &Stop) -> anyhow::Result<Source> {
    if let Some(mongodb) = &config.source.mongodb {
        return Ok(Source::MongoDb(MongoSource::open(mongodb, plan.range, stop)?));
    }
    let files = config.source.files.as_ref();
    let files = files.context("no source: give source.kafka, source.files or source.mongodb")?;
    Ok(Source::Files(OpenedFiles::open(files, config.source.format)?))
}
