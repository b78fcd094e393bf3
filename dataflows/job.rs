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

mod company;
mod ending;
mod workers;

use super::checkpoints::Checkpoints;
use super::cluster::{Cluster, Peers, Wanted};
use super::model::forecaster_config;
use super::scoreboard::{Boards, Total, scoreboard};
use super::seed::seed_config;
pub use super::summary::Summary;
use crate::config::{Config, Preset};
use crate::connectors::input::{Input, InputError};
use crate::connectors::weights::{WeightsSender, WeightsWriter};
use crate::delivery::committer::{Committer, Limits, OnCommit};
use crate::delivery::{Ending, Sink, SinkError, Stop};
use crate::market::{Pane, Release, Span, Symbol, SymbolTable, Timestamp};
use crate::model::seed::forecaster::SeedStanding;
use crate::model::weights::{InitialWeights, Weights};
use crate::operators::commit::{CommitLinks, Item, commit};
use crate::operators::learn::{Learnt, learn};
use crate::operators::market::market;
use crate::operators::panes::{Held, panes};
use crate::operators::seed::{Standings, seed};
use crate::operators::source::{Finished, History, SourceConfig, SourceLinks, source};
use crate::operators::support::board::Board;
use crate::operators::support::gauges::{Running, wall_clock};
use crate::operators::support::keeping::Keeping;
use crate::operators::support::stats::Stats;
use crate::operators::support::trace::Trace;
use crate::operators::support::weights::WeightsOut;
use crate::operators::windows::{PaneRows, WindowsConfig, windows};
use crate::recovery::Fault;
use crate::recovery::cuts::Cuts;
use crate::recovery::restored::{Restored, Unreadable};
use company::{Company, Joined, weights_trouble};
use ending::{finish_weights, gather, summary};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use timely::dataflow::Scope;
use timely::dataflow::operators::generic::operator::empty;
use timely::dataflow::operators::probe::Handle as ProbeHandle;
use timely::dataflow::operators::vec::Map;
use timely::dataflow::operators::{Concat, Probe};
use workers::execute;

/// Makes a worker's share of the input: `(worker index, number of workers)`.
pub type InputFactory = dyn Fn(usize, usize) -> Result<Box<dyn Input>, InputError> + Send + Sync;

/// Everything that a run needs.
pub struct Job {
    /// Checked configuration.
    pub config: Config,
    /// Worker threads; of a cluster, of each process.
    pub workers: usize,
    /// The other processes that run it, where there are any.
    pub cluster: Option<Cluster>,
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
    /// What it has to do with a history that comes before a topic.
    pub history: Option<History>,
    /// How many partitions the symbols that the job may have are divided over; none: as many as it reads.
    pub symbol_shares: Option<usize>,
    /// Where its state goes, where it is kept.
    pub checkpoints: Option<Checkpoints>,
    /// The state that it goes on from.
    pub restored: Option<Arc<Restored>>,
    /// The weights that the model starts from: [`super::model::initial_weights`].
    pub initial: Option<Arc<InitialWeights>>,
    /// Asks what a forecast is made of.
    pub trace: Option<Arc<Trace>>,
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

/// A poisoned lock here holds data that is whole: nothing in it can panic halfway through a change.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the workers of a job share.
#[derive(Clone)]
struct Shared {
    config: Arc<Config>,
    input: Arc<InputFactory>,
    source: SourceConfig,
    rows_wanted: bool,
    bars_wanted: bool,
    board: Arc<Board>,
    stats: Arc<Stats>,
    stop: Stop,
    failure: Arc<Mutex<Option<Fault>>>,
    commit: CommitLinks,
    scores: Arc<Mutex<Total>>,
    standings: Arc<Mutex<BTreeMap<Symbol, SeedStanding>>>,
    /// Worker threads of this process.
    threads: usize,
    /// Of all processes.
    workers: usize,
    /// The other processes, where there are any.
    peers: Option<Peers>,
    initial: Option<Arc<InitialWeights>>,
    trace: Option<Arc<Trace>>,
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
        lock(&self.failure).get_or_insert(fault);
        self.stop.request();
    }

    fn failed(&self) -> bool {
        lock(&self.failure).is_some()
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
        workers: threads,
        cluster,
        serialised,
        input,
        sinks,
        bounded,
        range,
        releases,
        history,
        symbol_shares,
        checkpoints,
        restored,
        initial,
        trace,
        stop,
        stats,
    } = job;
    let wanted = cluster
        .as_ref()
        .and_then(|cluster| cluster.wanted)
        .unwrap_or_else(|| Wanted::by(&sinks, config.dead_letter.is_some()));
    let workers = threads * cluster.as_ref().map_or(1, |cluster| cluster.hosts.count());
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
        dead_letters: wanted.dead_letters,
        stored_ticks: wanted.ticks,
        stored_within: trace.as_ref().map(|trace| trace.ticks),
        releases,
        history,
    };
    let on_commit: OnCommit = {
        let stats = Arc::clone(&stats);
        Box::new(move |batch, took| {
            stats.set_published_through(batch.through.millis());
            stats.gauges.commits.add(took);
            if !batch.forecasts.is_empty() {
                stats.gauges.note_acknowledged(batch.through, wall_clock());
            }
        })
    };
    let limits = Limits::of(&sinks);
    let no_thread = |error: std::io::Error| JobError::failed(format!("cannot start a thread: {error}"));
    let committer = Committer::spawn(sinks, limits, stop.clone(), on_commit).map_err(no_thread)?;
    let board = Arc::new(Board::new(workers));
    let progress = Arc::clone(committer.sender().progress());
    let saver = checkpoints
        .map(|own| own.start(&config, workers, Arc::clone(&board), Arc::clone(&progress), Arc::clone(&stats)));
    let (saver, mut cuts) = saver.transpose()?.unzip();
    stats.gauges.set_running(Running {
        board: Arc::clone(&board),
        acknowledged: Arc::clone(&progress),
        workers: threads,
        processes: cluster.as_ref().map_or(1, |cluster| cluster.hosts.count()),
    });
    let failure = Arc::<Mutex<Option<Fault>>>::default();
    let company = Company {
        cluster,
        threads,
        board: Arc::clone(&board),
        progress: Arc::clone(&progress),
        stop: stop.clone(),
        failure: Arc::clone(&failure),
        weights: config.model.weights.clone(),
    };
    let Joined { sockets, peers, writer } = company.join(&mut cuts)?;
    let taken = {
        let (peers, progress) = (peers.clone(), Arc::clone(&progress));
        move |worker: usize, bytes: usize| match &peers {
            Some(peers) if worker >= threads => peers.note_taken(worker, bytes),
            _ => progress.take_off_the_way(bytes),
        }
    };
    let shared = Shared {
        config: Arc::new(config),
        input,
        source,
        rows_wanted: wanted.rows,
        bars_wanted: wanted.bars,
        commit: CommitLinks { sender: committer.sender(), taken: Arc::new(taken), stop: stop.clone() },
        board,
        stats: Arc::clone(&stats),
        stop,
        failure,
        scores: Arc::default(),
        standings: Arc::default(),
        threads,
        workers,
        peers,
        initial,
        trace,
        weights: writer.as_ref().map(WeightsWriter::sender),
        shared_weights: Arc::default(),
        cuts,
        restored,
    };
    let outcome = execute(&shared, sockets, serialised);
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
    let is_first = shared.peers.as_ref().is_none_or(Peers::is_first);
    let (writer, carried) = if is_first { (writer, None) } else { (None, writer) };
    let carried = carried.map_or(Ok(()), WeightsWriter::finish).map_err(weights_trouble);
    let reported = gather(&shared, ending != Ending::Failed && committed.is_ok());
    let written = writer.map_or(Ok(()), |writer| finish_weights(writer, &shared)).map_err(weights_trouble);
    if let Some(fault) = lock(&shared.failure).take() {
        return Err(JobError(fault));
    }
    outcome?;
    if let Some(fault) = committed.err().as_ref().and_then(SinkError::fault) {
        return Err(JobError(fault));
    }
    carried?;
    written?;
    let others = reported.map_err(JobError)?;
    Ok(Summary { interrupted: ending == Ending::Stopped, ..summary(&shared, started, others) })
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
    let worker = u32::try_from(scope.index()).unwrap_or(u32::MAX);
    let mut items = aside.map(move |aside| Item::Aside(worker, aside));
    if shared.rows_wanted {
        items = items.concat(rows.clone().flat_map(Item::rows));
    } else if shared.bars_wanted {
        let windows: Vec<Span> = config.time.windows.iter().copied().chain(step).collect();
        let is_whole = move |end: Timestamp| windows.iter().any(|window| end.is_multiple_of(*window));
        let bars = move |rows: PaneRows| is_whole(slide.end_of(rows.pane)).then(|| Item::rows(rows));
        items = items.concat(rows.clone().flat_map(move |rows| bars(rows).into_iter().flatten()));
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
            let trace = shared.trace.clone();
            let rows = rows.clone();
            let (verdicts, learnt) = learn(rows, market, slide, model, forget_after, stats, out, trace, &keeping)?;
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
        workers: shared.threads,
        cuts: shared.cuts.clone(),
        restored: shared.restored.clone(),
        sent_aside: Arc::new(move |bytes| sending.add_on_the_way(bytes)),
        congested: Arc::new(move || waiting.is_behind()),
        stopped: Arc::new(move || stop.requested()),
        failed: Arc::new(move |fault| failing.fail(fault)),
    }
}
