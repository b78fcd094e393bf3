//! The job: records in, windows, forecasts, results out.
//!
//! ```text
//!   input ──> source ──> panes ══(symbol)══> windows ──┬─────────────> learn ──┬──> scoreboard
//!               │                               │      └──> market ══>──┘      │
//!               │                               │ (rows)                       │ (scores, forecasts)
//!               └───────────(dead letters)──────┴──────────────────────────────┴══(worker 0)══> commit ──> sinks
//! ```
//!
//! `══` is an exchange between workers. The timestamp is the pane; the frontier is the watermark. Two probes look at it: behind
//! `learn`, where the sources see how far they may run ahead, and behind `commit`, where it says what is published.

mod ending;

use super::checkpoints::Checkpoints;
use super::model::forecaster_config;
use super::scoreboard::{Boards, Total, scoreboard};
use super::seed::seed_config;
pub use super::summary::Summary;
use crate::config::{Config, Preset};
use crate::connectors::input::{Input, InputError};
use crate::connectors::weights::{WeightsFileError, WeightsSender, WeightsWriter};
use crate::delivery::committer::{Committer, Limits, OnCommit};
use crate::delivery::{Ending, Sink, SinkError, Stop};
use crate::market::{Pane, Release, Symbol, SymbolTable, Timestamp};
use crate::model::seed::forecaster::SeedStanding;
use crate::model::weights::{InitialWeights, Weights};
use crate::operators::commit::{CommitLinks, Item, commit};
use crate::operators::learn::{Learnt, learn};
use crate::operators::market::market;
use crate::operators::panes::{Held, panes};
use crate::operators::seed::{Standings, seed};
use crate::operators::source::{Finished, SourceConfig, SourceLinks, source};
use crate::operators::support::board::Board;
use crate::operators::support::keeping::Keeping;
use crate::operators::support::stats::Stats;
use crate::operators::support::weights::WeightsOut;
use crate::operators::windows::{WindowsConfig, windows};
use crate::recovery::Fault;
use crate::recovery::cuts::Cuts;
use crate::recovery::restored::{Restored, Unreadable};
use ending::{better, finish_weights, summary};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use timely::dataflow::Scope;
use timely::dataflow::operators::generic::operator::empty;
use timely::dataflow::operators::probe::Handle as ProbeHandle;
use timely::dataflow::operators::vec::Map;
use timely::dataflow::operators::{Concat, Probe};
use timely::worker::Worker;
use timely::{CommunicationConfig, WorkerConfig};

/// Makes a worker's share of the input: `(worker index, number of workers)`.
pub type InputFactory = dyn Fn(usize, usize) -> Result<Box<dyn Input>, InputError> + Send + Sync;

/// Everything that a run needs.
pub struct Job {
    /// Checked configuration.
    pub config: Config,
    /// Worker threads.
    pub workers: usize,
    /// Whether workers talk through serialised channels, as they would between machines; for tests.
    pub serialised: bool,
    /// The input.
    pub input: Arc<InputFactory>,
    /// Where results go, in the order of writing: database, Kafka, files.
    pub sinks: Vec<Box<dyn Sink>>,
    /// Whether the input ends: a stop is then an interruption, and to use nothing of it a failure.
    pub bounded: bool,
    /// Event time to use, `[from, to)`; records outside of it are ignored.
    pub range: (Option<Timestamp>, Option<Timestamp>),
    /// Idle releases that an earlier run decided, to be replayed.
    pub releases: Vec<Release>,
    /// How many partitions the symbols that the job may have are divided over; none: as many as it reads.
    pub symbol_shares: Option<usize>,
    /// Where its state goes, where it is kept.
    pub checkpoints: Option<Checkpoints>,
    /// The state that it goes on from.
    pub restored: Option<Arc<Restored>>,
    /// The weights that the model starts from: [`super::model::initial_weights`].
    pub initial: Option<Arc<InitialWeights>>,
    /// Ends the job without closing the windows that are open.
    pub stop: Stop,
    /// Counters, readable while the job runs.
    pub stats: Arc<Stats>,
}

/// Why a job failed. The message names what is wrong and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct JobError(pub Fault);

impl JobError {
    fn failed(text: impl Into<String>) -> Self {
        Self(Fault::failed(text))
    }
}

/// How long a worker parks when it has nothing to do. Whatever brings work wakes it; only a wish to stop has to be looked for.
const PARK: Duration = Duration::from_millis(50);

/// What the workers of a job share.
#[derive(Clone)]
struct Shared {
    config: Arc<Config>,
    input: Arc<InputFactory>,
    source: SourceConfig,
    rows_wanted: bool,
    board: Arc<Board>,
    stats: Arc<Stats>,
    stop: Stop,
    failure: Arc<Mutex<Option<Fault>>>,
    commit: CommitLinks,
    scores: Arc<Mutex<Total>>,
    standings: Arc<Mutex<BTreeMap<Symbol, SeedStanding>>>,
    workers: usize,
    initial: Option<Arc<InitialWeights>>,
    /// Where weights go, where they are wanted.
    weights: Option<WeightsSender>,
    /// The best of what workers say of a network that all symbols share.
    shared_weights: Arc<Mutex<Option<Weights>>>,
    /// Which checkpoints are wanted, where there are any.
    cuts: Option<Arc<Cuts>>,
    /// What the job goes on from.
    restored: Option<Arc<Restored>>,
}

impl Shared {
    /// What a worker has to do with checkpoints.
    fn keeping(&self, worker: usize) -> Keeping {
        let (cuts, restored) = (self.cuts.clone(), self.restored.clone());
        Keeping { cuts, restored, worker, workers: self.workers }
    }

    fn fail(&self, fault: Fault) {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(fault);
        self.stop.request();
    }

    fn failed(&self) -> bool {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }
}

/// Runs the job until its input ends or it is asked to stop.
///
/// # Errors
/// When the input or a sink cannot go on.
pub fn run(job: Job) -> Result<Summary, JobError> {
    let started = Instant::now();
    let Job {
        config,
        workers,
        serialised,
        input,
        sinks,
        bounded,
        range,
        releases,
        symbol_shares,
        checkpoints,
        restored,
        initial,
        stop,
        stats,
    } = job;
    let wants = |pick: fn(&dyn Sink) -> bool| sinks.iter().any(|sink| pick(sink.as_ref()));
    let rows_wanted = wants(|sink| sink.wants().rows);
    let source = SourceConfig {
        slide: config.time.slide(),
        allowed_lateness: config.time.allowed_lateness,
        idle_timeout: config.time.idle_timeout,
        max_ahead: config.time.max_ahead,
        symbols_max: config.source.symbols_max,
        symbol_shares,
        forget_after: config.source.forget_after,
        late: config.time.late,
        range,
        dead_letters: config.dead_letter.is_some(),
        stored_ticks: wants(|sink| sink.wants().ticks),
        releases,
    };
    let on_commit: OnCommit = {
        let stats = Arc::clone(&stats);
        Box::new(move |batch, _| stats.set_published_through(batch.through.millis()))
    };
    let trouble = |error: WeightsFileError| JobError::failed(format!("model.weights: {error}"));
    let writer = config.model.weights.as_deref().map(WeightsWriter::spawn).transpose().map_err(trouble)?;
    let limits = Limits::of(&sinks);
    let committer = Committer::spawn(sinks, limits, stop.clone(), on_commit)
        .map_err(|error| JobError::failed(format!("cannot start a thread: {error}")))?;
    let board = Arc::new(Board::new(workers));
    let progress = Arc::clone(committer.sender().progress());
    let saver = checkpoints.map(|checkpoints| checkpoints.start(&config, workers, Arc::clone(&board), progress));
    let (saver, cuts) = saver.transpose()?.unzip();
    let shared = Shared {
        config: Arc::new(config),
        input,
        source,
        rows_wanted,
        commit: CommitLinks { sender: committer.sender(), board: Arc::clone(&board), stop: stop.clone() },
        board,
        stats: Arc::clone(&stats),
        stop,
        failure: Arc::default(),
        scores: Arc::default(),
        standings: Arc::default(),
        workers,
        initial,
        weights: writer.as_ref().map(WeightsWriter::sender),
        shared_weights: Arc::default(),
        cuts,
        restored,
    };
    let outcome = execute(&shared, serialised);
    let ending = if shared.failed() || bounded && shared.stats.records().used_none() {
        Ending::Failed
    } else if bounded && shared.stop.requested() {
        Ending::Stopped
    } else {
        Ending::Complete
    };
    let committed = committer.finish(ending);
    if let Some(saver) = saver {
        saver.finish();
    }
    let written = writer.map_or(Ok(()), |writer| finish_weights(writer, &shared)).map_err(trouble);
    if let Some(fault) = shared.failure.lock().unwrap_or_else(PoisonError::into_inner).take() {
        return Err(JobError(fault));
    }
    outcome?;
    if let Some(fault) = committed.err().as_ref().and_then(SinkError::fault) {
        return Err(JobError(fault));
    }
    written?;
    Ok(Summary { interrupted: ending == Ending::Stopped, ..summary(&shared, started) })
}

fn execute(shared: &Shared, serialised: bool) -> Result<(), JobError> {
    let communication = match (shared.workers, serialised) {
        (1, false) => CommunicationConfig::Thread,
        (workers, false) => CommunicationConfig::Process(workers),
        (workers, true) => CommunicationConfig::ProcessBinary(workers),
    };
    let config = timely::Config { communication, worker: WorkerConfig::default() };
    let workers = {
        let shared = shared.clone();
        timely::execute(config, move |worker| work_guarded(worker, &shared))
    };
    let workers = workers.map_err(|error| JobError::failed(format!("cannot start the workers: {error}")))?;
    workers.join().into_iter().collect::<Result<Vec<()>, String>>().map_err(|error| {
        JobError::failed(format!("a worker panicked: {error}; this is a defect of tickcast, please report it"))
    })?;
    Ok(())
}

/// One worker. Should it panic, the others would wait for it for ever: that ends the job, and claims no progress.
fn work_guarded(worker: &mut Worker, shared: &Shared) {
    let Err(panic) = catch_unwind(AssertUnwindSafe(|| work(worker, shared))) else { return };
    let text = panic.downcast_ref::<&str>().copied();
    let what = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message");
    shared.fail(Fault::failed(format!("a worker panicked: {what}; this is a defect of tickcast, please report it")));
    for dataflow in worker.installed_dataflows() {
        worker.drop_dataflow(dataflow);
    }
}

/// One worker, from its first step to its last.
fn work(worker: &mut Worker, shared: &Shared) {
    let input = match (shared.input)(worker.index(), worker.peers()) {
        Ok(input) => input,
        Err(error) => {
            shared.fail(error.into());
            return;
        }
    };
    let (boards, standings) = (Boards::new(shared.config.source.forget_after), Standings::default());
    let dataflow = worker.next_dataflow_index();
    let finished = Finished::default();
    let built = worker.dataflow(|scope| build(scope, input, shared, &finished, &boards, &standings));
    let (published, learnt) = match built {
        Ok(built) => built,
        Err(error) => {
            shared.fail(Fault::failed(error.to_string()));
            worker.drop_dataflow(dataflow);
            return;
        }
    };
    // Not until everything is published, but until the dataflow is over: the scoreboard stands beside that road.
    while worker.has_dataflows() {
        worker.step_or_park(Some(PARK));
        finished.wake_source();
        if let Some(fault) = shared.commit.sender.progress().failure() {
            shared.fail(fault);
        }
        if shared.stop.requested() {
            let closed = match shared.board.least_pane() {
                Some(open) => !published.less_than(&open),
                None => published.done(),
            };
            if shared.failed() || closed || shared.stop.leaves_the_rest() {
                break;
            }
        }
    }
    if worker.has_dataflows() {
        // A source that keeps its capability would hang the exit, and giving it up would close windows.
        worker.drop_dataflow(dataflow);
    }
    if let Some(weights) = learnt.filter(|_| shared.weights.is_some()).and_then(|learnt| learnt.hand_out()) {
        let mut best = shared.shared_weights.lock().unwrap_or_else(PoisonError::into_inner);
        *best = Some(best.take().map_or_else(|| weights.clone(), |known| better(known, weights.clone())));
    }
    boards.add_to(&mut shared.scores.lock().unwrap_or_else(PoisonError::into_inner));
    shared.standings.lock().unwrap_or_else(PoisonError::into_inner).append(&mut standings.borrow_mut());
}

/// The graph; gives the probe behind `commit`, and what is learnt.
fn build(
    scope: Scope<'_, Pane>,
    input: Box<dyn Input>,
    shared: &Shared,
    finished: &Finished,
    boards: &Boards,
    standings: &Standings,
) -> Result<(ProbeHandle<Pane>, Option<Learnt>), Unreadable> {
    let config = &shared.config;
    let (slide, forget_after) = (config.time.slide(), config.source.forget_after);
    let symbols = Rc::new(RefCell::new(SymbolTable::default()));
    let held = Held::default();
    let links = source_links(shared, finished.clone(), held.clone());
    let (ticks, aside) = source(scope, input, shared.source.clone(), links, Rc::clone(&symbols));
    let parts = panes(ticks, slide, symbols, shared.workers, held);
    let step = (config.model.preset != Preset::None).then_some(config.model.step);
    let windows_config = WindowsConfig { slide, windows: config.time.windows.clone(), step };
    let keeping = shared.keeping(scope.index());
    let rows = windows(parts, windows_config, Arc::clone(&shared.stats), &keeping)?;
    let mut items = aside.map(Item::Aside);
    if shared.rows_wanted {
        items = items.concat(rows.clone().flat_map(Item::rows));
    }
    let stats = Arc::clone(&shared.stats);
    let (verdicts, learnt) = match config.model.preset {
        Preset::Default => {
            let model = forecaster_config(config, shared.initial.clone());
            let market = if model.parts.market {
                market(rows.clone(), slide, model.step, forget_after, &keeping)?
            } else {
                empty(scope)
            };
            let out = shared.weights.clone().map(WeightsOut::new);
            let (verdicts, learnt) = learn(rows.clone(), market, slide, model, forget_after, stats, out, &keeping)?;
            (Some(verdicts), Some(learnt))
        }
        Preset::Seed => {
            let verdicts =
                seed(rows.clone(), slide, seed_config(config), forget_after, stats, Rc::clone(standings), &keeping);
            (verdicts.map_err(|error| shared.fail(Fault::failed(error.to_string()))).ok(), None)
        }
        Preset::None => (None, None),
    };
    match verdicts {
        Some(verdicts) => {
            let verdicts = verdicts.probe_with(finished.probe());
            scoreboard(verdicts.clone(), boards, slide, &keeping)?;
            items = items.concat(verdicts.map(|(pane, verdict)| Item::Verdict(pane, verdict)));
        }
        None => {
            rows.probe_with(finished.probe());
        }
    }
    let published = ProbeHandle::new();
    commit(items, slide, shared.commit.clone()).probe_with(&published);
    Ok((published, learnt))
}

fn source_links(shared: &Shared, finished: Finished, held: Held) -> SourceLinks {
    let progress = || Arc::clone(shared.commit.sender.progress());
    let (waiting, sending) = (progress(), progress());
    let (stop, failing) = (shared.stop.clone(), shared.clone());
    SourceLinks {
        board: Arc::clone(&shared.board),
        stats: Arc::clone(&shared.stats),
        finished,
        held,
        workers: shared.workers,
        cuts: shared.cuts.clone(),
        restored: shared.restored.clone(),
        sent_aside: Arc::new(move |bytes| sending.add_on_the_way(bytes)),
        congested: Arc::new(move || waiting.is_behind()),
        stopped: Arc::new(move || stop.requested()),
        failed: Arc::new(move |fault| failing.fail(fault)),
    }
}
