//! Records to ticks: decoding, the watermark of each partition, late and quarantined records, flow control.
//!
//! ```text
//!   input (one share per worker) ──> [source] ── ticks ──────────> panes
//!                                       └─────── aside ──────────> commit   (dead letters, ticks for the `data` collection)
//! ```
//!
//! Each partition has a capability at the pane of its own watermark: the greatest event time seen in it, less the allowed
//! lateness. Whether a tick is late follows from its partition's sequence alone, hence is the same in a replay. A partition
//! whose next tick lies too far ahead of what the dataflow has finished keeps that tick in hand and is not read: that bounds
//! the open panes. Partitions that are idle follow the others' watermark by way of the [`Board`].
//!
//! A source with nothing to do sleeps: its input wakes it, the board does when others have moved, and the worker when
//! forecasting has got on (`wake`).

mod jump;
mod known;
mod live;
mod outcome;
mod partition;
mod quiet;
mod seam;
mod state;
mod stored;
mod wake;
mod watermark;

use super::panes::{Held, Tick};
use super::support::board::{Board, Follower, Standing};
use super::support::stats::Stats;
use crate::config::LatePolicy;
use crate::connectors::input::{Input, InputError};
use crate::delivery::batch::TICK_BYTES;
use crate::market::{DeadLetter, Pane, PartitionId, Release, Slide, Span, StoredTick, SymbolTable, Timestamp};
use crate::recovery::Fault;
use crate::recovery::cuts::{Cuts, Saving};
use crate::recovery::restored::Restored;
use live::SymbolLimits;
use partition::SourcePartition;
use quiet::Past;
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use timely::container::CapacityContainerBuilder;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::{Scope, StreamVec};
use wake::{CONGESTED_PAUSE, IDLE_LOOK_MIN, LOOK_EVERY, PACE, Schedule};

pub use seam::{History, Seam, Survey};
pub use wake::Finished;

/// Records read from one partition before the next has its turn.
const RECORDS_PER_READ: usize = 4096;
/// Bytes of records read from one partition before the next has its turn: the last record may go beyond.
const BYTES_PER_READ: usize = 2 << 20;
/// How far, in panes, a partition may run ahead of what the dataflow has finished, beyond the allowed lateness.
pub const PANES_AHEAD_MAX: u64 = 128;
/// The same while the open panes hold too much: with fewer, nobody would get on.
const PANES_AHEAD_MIN: u64 = 1;
/// How often it is noted how far a partition is.
const SHOW_EVERY: Duration = Duration::from_secs(1);

/// What the source does with time and with records that it cannot use.
#[derive(Clone, Debug)]
pub struct SourceConfig {
    /// Length of a pane.
    pub slide: Slide,
    /// How far behind its partition's latest a tick may be.
    pub allowed_lateness: Span,
    /// A caught-up partition that is quiet this long is idle.
    pub idle_timeout: Span,
    /// A tick further ahead of its broker's stamp is quarantined.
    pub max_ahead: Span,
    /// The most symbols with a tick in the last `forget_after`.
    pub symbols_max: usize,
    /// How many partitions they are divided over; none: as many as there are.
    pub symbol_shares: Option<usize>,
    /// A symbol without a tick for longer is given up.
    pub forget_after: Span,
    /// What becomes of late ticks.
    pub late: LatePolicy,
    /// Event time to use, `[from, to)`.
    pub range: (Option<Timestamp>, Option<Timestamp>),
    /// Whether records that cannot be used are wanted as dead letters.
    pub dead_letters: bool,
    /// Whether used ticks are wanted for the `data` collection.
    pub stored_ticks: bool,
    /// Of which event time they are wanted, `[from, to)`; none: all of them.
    pub stored_within: Option<(Timestamp, Timestamp)>,
    /// Releases that an earlier run decided.
    pub releases: Vec<Release>,
    /// What there is to do with a history, where there is one.
    pub history: Option<History>,
}

/// What leaves the source beside ticks.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Aside {
    /// A record that was not used.
    DeadLetter(DeadLetter),
    /// A used tick for the `data` collection.
    Stored(StoredTick),
    /// A release that made a tick late: a resume has to decide the same. It leaves before that tick's dead letter, and before
    /// the pane of its partition moves on.
    Release(Release),
    /// How a partition stands from now on.
    Standing(PartitionId, Idleness),
}

/// What a resume has to know of a partition that is idle, or has just been.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Idleness {
    /// Nothing.
    #[default]
    None,
    /// It is idle, and would go on with this offset: what it still brings for a pane that is closed is late.
    Idle {
        /// The next offset.
        next_offset: u64,
    },
    /// It was idle, and this release may still make its ticks late.
    Since(Release),
}

impl Aside {
    /// What it takes up.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            Self::DeadLetter(letter) => letter.bytes(),
            Self::Stored(_) => TICK_BYTES,
            Self::Release(_) | Self::Standing(..) => 0,
        }
    }
}

/// What the source shares with the rest of its process.
#[derive(Clone)]
pub struct SourceLinks {
    /// Watermarks of all partitions.
    pub board: Arc<Board>,
    /// Counters.
    pub stats: Arc<Stats>,
    /// How far forecasting has come.
    pub finished: Finished,
    /// How much the worker's open panes hold.
    pub held: Held,
    /// How many workers there are.
    pub workers: usize,
    /// Told how many bytes leave it beside ticks.
    pub sent_aside: Arc<dyn Fn(usize) + Send + Sync>,
    /// Whether the sinks have too much to write already, those bytes included.
    pub congested: Arc<dyn Fn() -> bool + Send + Sync>,
    /// Whether to stop reading, with the windows left open.
    pub stopped: Arc<dyn Fn() -> bool + Send + Sync>,
    /// Which checkpoints are wanted, where there are any.
    pub cuts: Option<Arc<Cuts>>,
    /// What it goes on from.
    pub restored: Option<Arc<Restored>>,
    /// Told when the input cannot go on.
    pub failed: Arc<dyn Fn(Fault) + Send + Sync>,
}

/// Reads a worker's share of the input.
#[must_use]
pub fn source<'scope>(
    scope: Scope<'scope, Pane>,
    input: Box<dyn Input>,
    config: SourceConfig,
    links: SourceLinks,
    symbols: Rc<RefCell<SymbolTable>>,
) -> (StreamVec<'scope, Pane, Tick>, StreamVec<'scope, Pane, Aside>) {
    let mut builder = OperatorBuilder::new("Source".to_owned(), scope);
    let address = builder.operator_info().address;
    let sync = scope.worker().sync_activator_for(address.to_vec());
    let mut schedule = Schedule::new(scope.activator_for(address), sync);
    let (ticks, tick_stream) = builder.new_output::<Vec<Tick>>();
    let mut ticks = OutputBuilder::<_, CapacityContainerBuilder<Vec<Tick>>>::from(ticks);
    let (aside, aside_stream) = builder.new_output::<Vec<Aside>>();
    let mut aside = OutputBuilder::<_, CapacityContainerBuilder<Vec<Aside>>>::from(aside);
    builder.build(move |mut capabilities| {
        let side = capabilities.pop();
        let main = capabilities.pop();
        let reader = Reader::new(input, config, links.clone(), main, side, &schedule, &mut symbols.borrow_mut());
        let mut reader = match reader {
            Ok(reader) => Some(reader),
            Err((error, kept)) => {
                // Dropping the capabilities would claim that the input has ended.
                (links.failed)(error.into());
                std::mem::forget(kept);
                None
            }
        };
        move |_frontiers| {
            let Some(reader) = &mut reader else { return };
            schedule.begin();
            match reader.activate(&mut ticks, &mut aside, &mut symbols.borrow_mut()) {
                Next::Never => {}
                Next::Now => schedule.again(Duration::ZERO, true),
                Next::Soon => schedule.again(PACE, true),
                Next::Within(pause) => schedule.again(pause, false),
                Next::Finished => {
                    links.finished.await_more(schedule.activator());
                    schedule.again(LOOK_EVERY, false);
                }
            }
        }
    });
    (tick_stream, aside_stream)
}

type Outputs<'a, D> = &'a mut OutputBuilder<Pane, CapacityContainerBuilder<Vec<D>>>;
/// One capability for each output.
type Capabilities = (Capability<Pane>, Capability<Pane>);

/// When to look again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Next {
    /// There may be more at once.
    Now,
    /// Something came: more will.
    Soon,
    /// When woken, or after this time.
    Within(Duration),
    /// The same, and when forecasting has got on.
    Finished,
    Never,
}

/// One worker's partitions.
struct Reader {
    input: Box<dyn Input>,
    links: SourceLinks,
    partitions: Vec<SourcePartition>,
    /// Whether the board has to wake us when others have moved: a partition follows them.
    follows: Follower,
    /// Where the others have been.
    past: Past,
    /// Known when all workers have said which partitions they own.
    limits: Option<SymbolLimits>,
    failed: bool,
    /// When it was last noted how far it is.
    shown: Option<Instant>,
}

impl Reader {
    fn new(
        mut input: Box<dyn Input>,
        config: SourceConfig,
        links: SourceLinks,
        main: Option<Capability<Pane>>,
        side: Option<Capability<Pane>>,
        schedule: &Schedule,
        symbols: &mut SymbolTable,
    ) -> Result<Self, (InputError, Option<Capabilities>)> {
        let Some(initial) = main.zip(side) else {
            return Err((InputError::Failed("the source has no outputs".to_owned()), None));
        };
        let config = Rc::new(config);
        let mut partitions = Vec::new();
        for id in input.partitions() {
            match input.decoder(id) {
                Ok(decoder) => {
                    let topic = input.topic(id);
                    links.stats.name_partition(id, &topic);
                    let mut partition = SourcePartition::new(id, topic, decoder, Rc::clone(&config), initial.clone());
                    // History is over before there is a checkpoint.
                    let cuts = links.cuts.as_ref().filter(|_| !id.is_history());
                    partition.saving = cuts.map(|cuts| Saving::of_partition(cuts, id));
                    if let Err(error) = partition.go_on(&links, symbols) {
                        return Err((InputError::Failed(error.to_string()), Some(initial)));
                    }
                    partitions.push(partition);
                }
                Err(error) => return Err((error, Some(initial))),
            }
        }
        let follows = links.board.join(partitions.iter().map(|p| (p.id, p.board_entry())), schedule.wake());
        input.set_wake(schedule.wake());
        Ok(Self { input, links, partitions, follows, past: Past::default(), limits: None, failed: false, shown: None })
    }

    /// Reads what there is and fits.
    fn activate(&mut self, ticks: Outputs<'_, Tick>, aside: Outputs<'_, Aside>, symbols: &mut SymbolTable) -> Next {
        if self.failed || self.partitions.iter().all(|p| p.capabilities.is_none()) {
            return Next::Never;
        }
        if (self.links.stopped)() {
            // Frozen: nothing more is read, no window is closed.
            return Next::Never;
        }
        let Some(limits) = self.limits() else { return Next::Within(IDLE_LOOK_MIN) };
        if let Err(error) = self.input.serve_events() {
            return self.fail(error);
        }
        let finished = self.links.finished.pane();
        let mut next = Next::Within(LOOK_EVERY);
        let (mut found, mut waits, mut all_read) = (false, false, true);
        for partition in &mut self.partitions {
            if partition.capabilities.is_none() {
                continue;
            }
            // Asked anew each time: what one partition has sent counts for the next.
            let read = !(self.links.congested)();
            if read {
                let offset = partition.next_offset;
                match partition.read(self.input.as_mut(), finished, symbols, limits, &self.links) {
                    Ok(true) => next = Next::Now,
                    Ok(false) => {}
                    Err(error) => return self.fail(error),
                }
                found |= partition.next_offset > offset;
                partition.send(ticks, aside, &self.links);
            }
            all_read &= read;
            if !read {
                next = next.min(Next::Within(CONGESTED_PAUSE));
            }
            partition.update_standing(read, &self.links.stats.gauges);
            // While its capability is where it was when that was decided.
            partition.tell_standing(aside, &self.links);
            waits |= partition.waits_for_forecasts();
            if let Some(pause) = partition.idle_within() {
                next = next.min(Next::Within(pause.max(IDLE_LOOK_MIN)));
            }
        }
        self.partitions.iter_mut().for_each(SourcePartition::look_for_cut);
        self.show();
        if all_read {
            // Not while nothing is read: a partition that is not looked at may hold more.
            self.follow();
        }
        // Before anybody sees how far they have come.
        self.partitions.iter_mut().for_each(|partition| partition.save_where_quiet(symbols));
        match next {
            Next::Within(_) if found => Next::Soon,
            Next::Within(_) if all_read && waits => Next::Finished,
            next => next,
        }
    }

    /// Notes for people how far it is, now and then.
    fn show(&mut self) {
        if self.shown.is_some_and(|shown| shown.elapsed() < SHOW_EVERY) {
            return;
        }
        self.shown = Some(Instant::now());
        for partition in &self.partitions {
            let gauge = partition.gauge(self.input.as_ref());
            self.links.stats.gauges.set_partition(partition.id, gauge);
        }
    }

    fn limits(&mut self) -> Option<SymbolLimits> {
        if self.limits.is_none() {
            let config = &self.partitions.first()?.config;
            let of = |count| SymbolLimits::new(config.symbols_max, config.symbol_shares.unwrap_or(count), count);
            self.limits = self.links.board.partitions().map(of);
        }
        self.limits
    }

    /// Idle partitions go where the others have gone, but not while they may hold something themselves.
    fn follow(&mut self) {
        let any = self.partitions.iter().any(|p| p.standing == Standing::Idle);
        // Before the board is asked, so that no move is missed.
        self.follows.set(any);
        if !any {
            return;
        }
        let Some(watermark) = self.links.board.watermark() else { return };
        let now = Instant::now();
        self.past.note(now, watermark);
        for partition in &mut self.partitions {
            if let Some(watermark) = partition.follows_as_of(now).and_then(|as_of| self.past.at(as_of)) {
                partition.downgrade(partition.config.slide.pane_of(watermark));
                self.links.board.update(partition.id, partition.board_entry());
            }
        }
    }

    fn fail(&mut self, error: InputError) -> Next {
        // The capabilities stay: giving them up would claim progress that was not made.
        self.failed = true;
        (self.links.failed)(error.into());
        Next::Never
    }
}
