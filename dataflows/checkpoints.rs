//! Who gives a part of a checkpoint, and what the thread that writes them has to know of the job.

use super::job::JobError;
use crate::config::{Config, Preset, Scope};
use crate::delivery::committer::Acknowledged;
use crate::market::{Generation, PartitionId, Span, Timestamp};
use crate::model::state::STATE_VERSION;
use crate::operators::support::board::Board;
use crate::operators::support::gauges::wall_clock;
use crate::operators::support::stats::Stats;
use crate::recovery::cuts::Cuts;
use crate::recovery::manifest::{Keeper, Manifest};
use crate::recovery::saver::{Pace, Saver, Subject, Watched};
use crate::recovery::store::Store;
use crate::recovery::{Computation, Fault, Offsets};
use std::collections::BTreeSet;
use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// From which offsets the oldest checkpoint that is kept goes on; shared with the sink of the progress record.
pub type KeptFrom = Arc<Mutex<Offsets>>;

/// Where a job's state goes.
pub struct Checkpoints {
    /// The store.
    pub store: Arc<dyn Store>,
    /// How often, and how many are kept.
    pub pace: Pace,
    /// The job's instance.
    pub generation: Generation,
    /// What it computes.
    pub computation: Computation,
    /// The partitions that it reads.
    pub sources: Vec<PartitionId>,
    /// How many partitions there were at first.
    pub partitions: u32,
    /// The generation that its history began with.
    pub history: Generation,
    /// Where results go, by names that stay.
    pub sinks: Vec<String>,
    /// Told with each checkpoint.
    pub kept_from: KeptFrom,
    /// Files that results are added to: what a checkpoint takes for written has to outlive a power cut.
    pub files: Vec<PathBuf>,
}

impl Checkpoints {
    /// Starts the thread that writes them.
    pub(super) fn start(
        self,
        config: &Config,
        workers: usize,
        board: Arc<Board>,
        progress: Arc<Acknowledged>,
        stats: Arc<Stats>,
    ) -> Result<(Saver, Arc<Cuts>), JobError> {
        let Self { store, pace, generation, computation, sources, partitions, history, sinks, kept_from, files } = self;
        let keepers = keepers(config, workers, &sources);
        let (job, layout) = (config.job.id.clone(), layout());
        let subject = Subject { job, generation, computation, partitions, history, layout, sinks, keepers };
        let (cuts, notes) = Cuts::new();
        let lateness = config.time.allowed_lateness;
        let watched = Box::new(Running { board, progress, lateness, kept_from, files, stats });
        let saver = Saver::spawn(store, subject, pace, Arc::clone(&cuts), notes, watched);
        let saver = saver.map_err(|error| JobError(Fault::failed(format!("cannot start a thread: {error}"))))?;
        Ok((saver, cuts))
    }
}

/// How states are laid out: raised with each change of what an operator keeps.
const LAYOUT: u32 = 1;

/// The layout of a checkpoint's states.
#[must_use]
pub fn layout() -> String {
    format!("{LAYOUT}.{STATE_VERSION}")
}

/// Everybody who remembers something.
fn keepers(config: &Config, workers: usize, sources: &[PartitionId]) -> BTreeSet<(Keeper, usize)> {
    let mut keepers: BTreeSet<_> = sources.iter().map(|partition| (Keeper::Source(*partition), 0)).collect();
    let mut of_workers = vec![Keeper::Windows];
    let mut of_first = Vec::new();
    if config.model.preset != Preset::None {
        of_workers.extend([Keeper::Forecasters, Keeper::Scores]);
    }
    if config.model.preset == Preset::Default {
        if config.model.experts.market {
            of_workers.push(Keeper::Returns);
            of_first.push(Keeper::Market);
        }
        if config.model.scope == Scope::Pooled && config.model.experts.lstm {
            of_first.push(Keeper::Network);
        }
    }
    keepers.extend((0..workers).flat_map(|worker| of_workers.iter().map(move |keeper| (*keeper, worker))));
    keepers.extend(of_first.into_iter().map(|keeper| (keeper, 0)));
    keepers
}

/// The job, while it runs.
struct Running {
    board: Arc<Board>,
    progress: Arc<Acknowledged>,
    lateness: Span,
    kept_from: KeptFrom,
    files: Vec<PathBuf>,
    stats: Arc<Stats>,
}

impl Watched for Running {
    fn latest(&self) -> Option<Timestamp> {
        // A checkpoint needs no history to go on from.
        self.board.history_is_over().then_some(())?;
        self.board.greatest().map(|watermark| watermark.plus(self.lateness))
    }

    fn watermark(&self) -> Option<Timestamp> {
        self.board.greatest()
    }

    fn published(&self) -> Timestamp {
        self.progress.acknowledged()
    }

    fn kept_from(&self, oldest: &Manifest) {
        self.kept_from.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&oldest.offsets);
    }

    fn wrote(&self, cut: Timestamp, bytes: u64, took: Duration) {
        self.stats.gauges.set_checkpoint(|gauge| {
            gauge.written += 1;
            gauge.written_at = Some(wall_clock());
            (gauge.cut, gauge.bytes, gauge.took) = (Some(cut), bytes, took);
        });
    }

    fn could_not_write(&self) {
        self.stats.gauges.set_checkpoint(|gauge| gauge.failed += 1);
    }

    fn sync(&self) -> Result<(), String> {
        for path in self.files.iter().filter(|path| path.is_file()) {
            let synced = File::open(path).and_then(|file| file.sync_data());
            synced.map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        }
        Ok(())
    }
}
