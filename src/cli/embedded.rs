//! A job on an embedded broker, with nothing to install: the broker, a configuration that points at it, the job, and its face. Its
//! checkpoints are there to explain forecasts of which the broker has the records no more; nothing goes on from them.

use super::Usage;
use super::face::{Doorway, Face};
use super::job::computation_of_topic;
use crate::config::{
    CheckpointConfig, Config, DeadLetterConfig, FilesSinkConfig, FilesSourceConfig, KafkaSinkConfig, KafkaSourceConfig,
};
use crate::connectors::checkpoints;
use crate::connectors::files::lines_file::Writing;
use crate::connectors::files::sink::FilesSink;
use crate::connectors::input::Input;
use crate::connectors::kafka::{EmbeddedBroker, KafkaInput, KafkaSink, Reading, resolve_start, topic_bounds};
use crate::dataflows::checkpoints::{Checkpoints, KeptFrom};
use crate::dataflows::job::Job;
use crate::dataflows::model::initial_weights;
use crate::delivery::{Sink, Stop};
use crate::formats::Decoder;
use crate::market::{Span, Symbol};
use crate::operators::support::stats::Stats;
use crate::recovery::saver::Pace;
use crate::recovery::{Progress, RunPlan};
use anyhow::Context;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use tempfile::TempDir;

/// The names of a job and its topics.
#[derive(Clone, Copy, Debug)]
pub struct Names {
    /// Forecasts' ids begin with it.
    pub job: &'static str,
    ticks: &'static str,
    gaps: &'static str,
    forecasts: &'static str,
    dead_letters: &'static str,
}

/// The demo's.
pub const DEMO: Names = Names {
    job: "demo",
    ticks: "demo.ticks",
    gaps: "demo.ticks.gaps",
    forecasts: "demo.forecasts",
    dead_letters: "demo.dead_letters",
};
/// Those of the real market.
pub const LIVE: Names = Names {
    job: "live",
    ticks: "live.ticks",
    gaps: "live.ticks.gaps",
    forecasts: "live.forecasts",
    dead_letters: "live.dead_letters",
};

/// How often state is kept, and how much of it: forecasts of two hours can be computed again, of less where there are many symbols.
const STATE_EVERY: Span = Span::from_millis(120_000);
const STATES_KEPT: usize = 60;
/// What all of it may take, about; of a symbol it is 0.2 MB.
const STATE_BYTES: usize = 256 << 20;
const SYMBOL_BYTES: usize = 220 << 10;

/// A broker, and a directory for the job's state. Both are gone when this is dropped.
pub struct Premises {
    broker: EmbeddedBroker,
    /// None where there is no place for one.
    state: Option<TempDir>,
    states_kept: usize,
}

/// Starts the broker with all topics; its admin API cannot create any.
pub fn premises(names: Names, partitions: u32, symbols: usize) -> anyhow::Result<Premises> {
    let (scores, progress) = (format!("{}.scores", names.forecasts), format!("{}.progress", names.forecasts));
    let topics = [
        (names.ticks, partitions),
        (names.gaps, partitions),
        (names.forecasts, partitions),
        (scores.as_str(), partitions),
        (progress.as_str(), 1),
        (names.dead_letters, 1),
    ];
    let state = tempfile::Builder::new().prefix("tickcast-").tempdir();
    let state = state.inspect_err(|error| {
        tracing::warn!("no directory for the job's state ({error}): older forecasts cannot be explained; TMPDIR names another place");
    });
    let state = state.ok();
    let states_kept = (STATE_BYTES / SYMBOL_BYTES / symbols.max(1)).clamp(3, STATES_KEPT);
    Ok(Premises { broker: EmbeddedBroker::start(&topics)?, state, states_kept })
}

/// The user's settings, but every address is this process's own: nothing leaves it, except for `out`.
pub fn config(
    names: Names,
    mut config: Config,
    premises: &Premises,
    like: &FilesSourceConfig,
    out: Option<&Path>,
) -> Config {
    let brokers = premises.broker.bootstrap();
    config.checkpoint = premises.state.as_ref().map(|state| {
        let url = format!("file://{}", state.path().display());
        CheckpointConfig { url, interval: STATE_EVERY, keep: premises.states_kept }
    });
    // What is replayed from files is read as they are.
    config.source.symbol.clone_from(&like.symbol);
    config.source.interval = like.interval;
    config.source.timezone.clone_from(&like.timezone);
    config.job.id = names.job.to_owned();
    config.source.kafka = Some(KafkaSourceConfig {
        brokers: brokers.clone(),
        topic: names.ticks.to_owned(),
        start: "earliest".to_owned(),
        ..KafkaSourceConfig::default()
    });
    config.source.files = None;
    config.source.mongodb = None;
    config.sink.mongodb = None;
    config.sink.kafka = Some(KafkaSinkConfig {
        brokers,
        topic: names.forecasts.to_owned(),
        create_topics: false,
        ..KafkaSinkConfig::default()
    });
    config.sink.files = out.map(|dir| FilesSinkConfig { dir: dir.to_owned(), ..FilesSinkConfig::default() });
    config.dead_letter = Some(DeadLetterConfig { topic: Some(names.dead_letters.to_owned()), file: None });
    config
}

/// The source's table of a configuration that [`config`] made.
pub fn kafka_source(config: &Config) -> anyhow::Result<&KafkaSourceConfig> {
    config.source.kafka.as_ref().context("an embedded job has no source")
}

/// The job, reading the embedded broker as it would any other, and where it reads.
pub fn job(
    names: Names,
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

    let sink = config.sink.kafka.as_ref().context("an embedded job has no sink")?;
    let initial = initial_weights(config)?;
    let computation = computation_of_topic(config, initial.as_deref(), &topic_bounds(&source)?);
    let begin = |found: Option<&Progress>| RunPlan::Fresh.begin(names.job, &computation, &starts, None, found);
    let dead_letters = Some(names.dead_letters);
    let (mut kafka, _) = KafkaSink::take_over(sink, names.job, dead_letters, partitions, &begin, stop)?;
    let kept_from = KeptFrom::default();
    kafka.set_kept_from(Arc::clone(&kept_from));
    let checkpoints = config.checkpoint.as_ref().map(|checkpoint| -> anyhow::Result<Checkpoints> {
        let progress = kafka.progress();
        Ok(Checkpoints {
            store: checkpoints::open(checkpoint)?,
            pace: Pace::new(checkpoint.interval, checkpoint.keep),
            generation: progress.generation,
            computation: progress.computation.clone(),
            sources: starts.keys().copied().collect(),
            partitions: progress.partitions,
            history: progress.history,
            sinks: Vec::new(),
            kept_from,
            files: Vec::new(),
        })
    });
    let checkpoints = checkpoints.transpose()?;
    let mut sinks: Vec<Box<dyn Sink>> = vec![face.store_sink(true)?.0, Box::new(kafka)];
    if let Some(files) = &config.sink.files {
        sinks.push(Box::new(FilesSink::open(files, names.job, &config.time.windows, Writing::Whole)?));
    }
    sinks.push(face.live_sink());
    let input_reading = reading.clone();
    let input = move |worker, workers| {
        let input = KafkaInput::open(&source, names.job, &decoder, &input_reading, worker, workers)?;
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
        checkpoints,
        restored: None,
        initial,
        trace: None,
        stop: stop.clone(),
        stats,
    };
    Ok((job, reading))
}

/// Where it is served: as it was asked to be, else at the usual address, or any other that is free.
pub fn doorway(listen: Option<SocketAddr>, config: &Config) -> anyhow::Result<Doorway> {
    let mut http = config.http.clone().unwrap_or_default();
    // What is in memory is left nowhere.
    http.store = None;
    if let Some(listen) = listen {
        http.listen = listen.to_string();
    } else if config.http.is_none() && Doorway::listen(&http).is_err() {
        http.listen = SocketAddr::from(([127, 0, 0, 1], 0)).to_string();
    }
    Doorway::listen(&http)
}

/// Asks the system for a browser; where there is none, the address was printed.
pub fn open_browser(face: &Face) {
    let program = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let address = format!("http://{}", face.address());
    let quiet = std::process::Stdio::null;
    let started = std::process::Command::new(program).arg(&address).stdout(quiet()).stderr(quiet()).spawn();
    match started {
        // Not waited for: a browser may be open for long.
        Ok(mut browser) => drop(spawn("browser", move || browser.wait())),
        Err(error) => tracing::warn!("{program} cannot be started ({error}): open {address} yourself"),
    }
}

/// Starts a thread with a name.
pub fn spawn<T: Send + 'static>(
    name: &str,
    body: impl FnOnce() -> T + Send + 'static,
) -> anyhow::Result<JoinHandle<T>> {
    std::thread::Builder::new().name(name.to_owned()).spawn(body).context("cannot start a thread")
}
