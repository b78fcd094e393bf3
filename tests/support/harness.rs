//! Runs the job in this process and keeps what it publishes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::print_stderr)]
#![allow(dead_code, reason = "each test file uses its part")]

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use tickcast::config::{Config, FilesSourceConfig};
use tickcast::connectors::files::input::FilesInput;
use tickcast::connectors::input::Input;
use tickcast::dataflows::job::{self, InputFactory, Job, Summary};
use tickcast::delivery::{Batch, Sink, SinkError, Stop, Wants};
use tickcast::market::{Release, json};
use tickcast::operators::source::History;
use tickcast::operators::support::stats::Stats;

/// What a run published, as the bytes of the files sink.
#[derive(Default)]
pub struct Published {
    pub batch: Batch,
    pub summary: Summary,
}

impl Published {
    pub fn forecasts(&self) -> Vec<u8> {
        lines(&self.batch.forecasts, json::write_forecast)
    }

    pub fn scores(&self) -> Vec<u8> {
        lines(&self.batch.scores, json::write_score)
    }

    pub fn rows(&self, config: &Config) -> Vec<u8> {
        lines(&self.batch.rows, |row, out| json::write_row(row, &config.time.windows, out))
    }

    /// All three, for comparing runs.
    pub fn everything(&self, config: &Config) -> [Vec<u8>; 3] {
        [self.rows(config), self.forecasts(), self.scores()]
    }
}

fn lines<T>(items: &[T], write: impl Fn(&T, &mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    for item in items {
        write(item, &mut out);
        out.push(b'\n');
    }
    out
}

/// Keeps every batch.
pub struct Keep(pub Arc<Mutex<Batch>>);

impl Sink for Keep {
    fn name(&self) -> &'static str {
        "keep"
    }

    fn wants(&self) -> Wants {
        Wants { rows: true, ..Wants::default() }
    }

    fn write(&mut self, batch: &Batch, _stop: &Stop) -> Result<(), SinkError> {
        self.0.lock().unwrap().append(batch.clone());
        Ok(())
    }
}

/// How a run is cut to workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Workers {
    pub count: usize,
    pub serialised: bool,
}

pub const ONE: Workers = Workers { count: 1, serialised: false };

/// Runs a bounded input to its end.
pub fn run(config: &Config, workers: Workers, input: Arc<InputFactory>) -> Published {
    run_with(config, workers, input, Vec::new())
}

/// The same, with idle releases that an earlier run decided.
pub fn run_with(config: &Config, workers: Workers, input: Arc<InputFactory>, releases: Vec<Release>) -> Published {
    run_job(config, workers, input, releases, None)
}

/// The same, with a history in it.
pub fn run_joined(config: &Config, workers: Workers, input: Arc<InputFactory>, history: History) -> Published {
    run_job(config, workers, input, Vec::new(), Some(history))
}

fn run_job(
    config: &Config,
    workers: Workers,
    input: Arc<InputFactory>,
    releases: Vec<Release>,
    history: Option<History>,
) -> Published {
    let kept = Arc::new(Mutex::new(Batch::default()));
    let job = Job {
        config: config.clone(),
        workers: workers.count,
        cluster: None,
        serialised: workers.serialised,
        input,
        sinks: vec![Box::new(Keep(Arc::clone(&kept)))],
        bounded: true,
        range: (None, None),
        releases,
        history,
        symbol_shares: None,
        checkpoints: None,
        restored: None,
        initial: tickcast::dataflows::model::initial_weights(config).unwrap(),
        trace: None,
        stop: Stop::default(),
        stats: Arc::new(Stats::default()),
    };
    let summary = job::run(job).unwrap();
    let batch = std::mem::take(&mut *kept.lock().unwrap());
    Published { batch, summary }
}

/// Runs over files, one partition each.
pub fn run_files(config: &Config, workers: Workers, paths: &[PathBuf], symbol: Option<&str>) -> Published {
    let symbol = symbol.map(str::to_owned);
    let files = FilesSourceConfig { paths: paths.to_vec(), symbol, ..FilesSourceConfig::default() };
    run_source(config, workers, files)
}

/// Runs over a source of files.
pub fn run_source(config: &Config, workers: Workers, files: FilesSourceConfig) -> Published {
    let format = config.source.format;
    run(
        config,
        workers,
        Arc::new(move |worker, workers| {
            Ok(Box::new(FilesInput::open(&files, format, worker, workers)?) as Box<dyn Input>)
        }),
    )
}
