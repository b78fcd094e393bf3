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

use super::board::{Board, Note, Standing};
use super::panes::Tick;
use super::stats::{Records, Stats};
use crate::config::LatePolicy;
use crate::connectors::input::{Flow, Input, InputError, PartitionState, Payload, Record};
use crate::formats::{Decoded, Decoder};
use crate::market::{
    DeadLetter, Fixed, Observation, Order, PartitionId, Quote, Release, Reported, Slide, Span, StoredTick, SymbolTable,
    Timestamp,
};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use timely::container::CapacityContainerBuilder;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::operators::probe::Handle as ProbeHandle;
use timely::dataflow::{Scope, StreamVec};

/// Records read from one partition before the next has its turn.
const RECORDS_PER_READ: usize = 4096;
/// How soon to look again when no partition has anything.
const POLL_PAUSE: Duration = Duration::from_millis(2);
/// How far, in panes, a partition may run ahead of what the dataflow has finished, beyond the allowed lateness.
pub const PANES_AHEAD_MAX: u64 = 128;

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
    /// What becomes of late ticks.
    pub late: LatePolicy,
    /// Event time to use, `[from, to)`.
    pub range: (Option<Timestamp>, Option<Timestamp>),
    /// Whether records that cannot be used are wanted as dead letters.
    pub dead_letters: bool,
    /// Whether used ticks are wanted for the `data` collection.
    pub stored_ticks: bool,
    /// Releases that an earlier run decided.
    pub releases: Vec<Release>,
}

/// What leaves the source beside ticks.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Aside {
    /// A record that was not used.
    DeadLetter(DeadLetter),
    /// A used tick for the `data` collection.
    Stored(StoredTick),
}

/// What the source shares with the rest of its process.
#[derive(Clone)]
pub struct SourceLinks {
    /// Watermarks of all partitions.
    pub board: Arc<Board>,
    /// Counters.
    pub stats: Arc<Stats>,
    /// How far forecasting has come.
    pub finished: ProbeHandle<u64>,
    /// Whether the sinks have too much to write already.
    pub congested: Arc<dyn Fn() -> bool + Send + Sync>,
    /// Whether to stop reading, with the windows left open.
    pub stopped: Arc<dyn Fn() -> bool + Send + Sync>,
    /// Told when the input cannot go on.
    pub failed: Arc<dyn Fn(String) + Send + Sync>,
}

/// Reads a worker's share of the input.
#[must_use]
pub fn source<'scope>(
    scope: Scope<'scope, u64>,
    input: Box<dyn Input>,
    config: SourceConfig,
    links: SourceLinks,
    symbols: Rc<RefCell<SymbolTable>>,
) -> (StreamVec<'scope, u64, Tick>, StreamVec<'scope, u64, Aside>) {
    let mut builder = OperatorBuilder::new("Source".to_owned(), scope);
    let activator = scope.activator_for(builder.operator_info().address);
    let (ticks, tick_stream) = builder.new_output::<Vec<Tick>>();
    let mut ticks = OutputBuilder::<_, CapacityContainerBuilder<Vec<Tick>>>::from(ticks);
    let (aside, aside_stream) = builder.new_output::<Vec<Aside>>();
    let mut aside = OutputBuilder::<_, CapacityContainerBuilder<Vec<Aside>>>::from(aside);
    builder.build(move |mut capabilities| {
        let side = capabilities.pop();
        let main = capabilities.pop();
        let mut reader = match Reader::new(input, config, links.clone(), main, side) {
            Ok(reader) => Some(reader),
            Err((error, kept)) => {
                // Dropping the capabilities would claim that the input has ended.
                (links.failed)(error.to_string());
                std::mem::forget(kept);
                None
            }
        };
        move |_frontiers| {
            let Some(reader) = &mut reader else { return };
            let pause = reader.activate(&mut ticks, &mut aside, &mut symbols.borrow_mut());
            match pause {
                Some(pause) if pause.is_zero() => activator.activate(),
                Some(pause) => activator.activate_after(pause),
                None => {}
            }
        }
    });
    (tick_stream, aside_stream)
}

type Outputs<'a, D> = &'a mut OutputBuilder<u64, CapacityContainerBuilder<Vec<D>>>;
/// One capability for each output.
type Capabilities = (Capability<u64>, Capability<u64>);

/// One worker's partitions.
struct Reader {
    input: Box<dyn Input>,
    links: SourceLinks,
    partitions: Vec<Partition>,
    failed: bool,
}

impl Reader {
    fn new(
        input: Box<dyn Input>,
        config: SourceConfig,
        links: SourceLinks,
        main: Option<Capability<u64>>,
        side: Option<Capability<u64>>,
    ) -> Result<Self, (InputError, Option<Capabilities>)> {
        let Some(initial) = main.zip(side) else {
            return Err((InputError("the source has no outputs".to_owned()), None));
        };
        let config = Rc::new(config);
        let mut partitions = Vec::new();
        for id in input.partitions() {
            match input.decoder(id) {
                Ok(decoder) => {
                    let topic = input.topic(id);
                    partitions.push(Partition::new(id, topic, decoder, Rc::clone(&config), initial.clone()));
                }
                Err(error) => return Err((error, Some(initial))),
            }
        }
        links.board.join(partitions.iter().map(|p| (p.id, p.note())));
        Ok(Self { input, links, partitions, failed: false })
    }

    /// Reads what there is and fits; gives when to look again, or none when there is nothing left to do.
    fn activate(
        &mut self,
        ticks: Outputs<'_, Tick>,
        aside: Outputs<'_, Aside>,
        symbols: &mut SymbolTable,
    ) -> Option<Duration> {
        if self.failed || self.partitions.iter().all(|p| p.capabilities.is_none()) {
            return None;
        }
        if (self.links.stopped)() {
            // Frozen: nothing more is read, no window is closed.
            return None;
        }
        if let Err(error) = self.input.tend() {
            return self.fail(&error);
        }
        let read = !(self.links.congested)();
        let finished = self.links.finished.with_frontier(|f| f.first().copied()).unwrap_or(u64::MAX);
        let mut busy = false;
        for partition in &mut self.partitions {
            if partition.capabilities.is_none() {
                continue;
            }
            if read {
                match partition.read(self.input.as_mut(), finished, symbols, &self.links) {
                    Ok(more) => busy |= more,
                    Err(error) => return self.fail(&error),
                }
                partition.send(ticks, aside);
            }
            partition.settle(&self.links);
        }
        self.follow();
        Some(if busy { Duration::ZERO } else { POLL_PAUSE })
    }

    /// Idle partitions go where the others have gone.
    fn follow(&mut self) {
        if self.partitions.iter().all(|p| p.standing != Standing::Idle) {
            return;
        }
        if let Some(watermark) = self.links.board.watermark() {
            for partition in self.partitions.iter_mut().filter(|p| p.standing == Standing::Idle) {
                partition.downgrade(partition.config.slide.pane_of(watermark));
                self.links.board.update(partition.id, partition.note());
            }
        }
    }

    fn fail(&mut self, error: &InputError) -> Option<Duration> {
        // The capabilities stay: giving them up would claim progress that was not made.
        self.failed = true;
        (self.links.failed)(error.to_string());
        None
    }
}

/// One partition: its decoder, its watermark, and what has been read but not sent.
struct Partition {
    id: PartitionId,
    topic: Arc<str>,
    decoder: Decoder,
    config: Rc<SourceConfig>,
    capabilities: Option<Capabilities>,
    standing: Standing,
    /// As the input last said.
    state: PartitionState,
    /// The greatest event time seen.
    latest: Option<Timestamp>,
    /// Ticks before this are late: the start of the pane of the watermark.
    own_floor: Timestamp,
    /// Ticks before this are late since the partition was idle.
    idle_floor: Timestamp,
    /// The release behind `idle_floor`.
    release: Option<(Release, ReleaseState)>,
    /// Releases still to be replayed, ascending by offset.
    replay: VecDeque<Release>,
    next_offset: u64,
    /// A tick that lies too far ahead.
    in_hand: Option<Tick>,
    /// Whether it never held a record.
    empty: bool,
    last_used: Instant,
    ticks: Vec<Tick>,
    aside: Vec<Aside>,
    counted: Records,
    decoded: Vec<Observation>,
}

impl Partition {
    fn new(
        id: PartitionId,
        topic: Arc<str>,
        decoder: Decoder,
        config: Rc<SourceConfig>,
        initial: Capabilities,
    ) -> Self {
        let mut replay: Vec<Release> = config.releases.iter().filter(|r| r.partition == id).copied().collect();
        replay.sort_by_key(|r| (r.offset, r.pane));
        Self {
            id,
            topic,
            decoder,
            config,
            capabilities: Some(initial),
            standing: Standing::Active,
            state: PartitionState::Behind,
            latest: None,
            own_floor: Timestamp::from_millis(i64::MIN),
            idle_floor: Timestamp::from_millis(i64::MIN),
            release: None,
            replay: replay.into(),
            next_offset: 0,
            in_hand: None,
            empty: false,
            last_used: Instant::now(),
            ticks: Vec::new(),
            aside: Vec::new(),
            counted: Records::default(),
            decoded: Vec::new(),
        }
    }

    fn watermark(&self) -> Option<Timestamp> {
        self.latest.map(|latest| latest.minus(self.config.allowed_lateness))
    }

    fn note(&self) -> Note {
        Note {
            standing: self.standing,
            watermark: self.watermark(),
            next_offset: self.next_offset,
            pane: self.capabilities.as_ref().map_or(u64::MAX, |c| *c.0.time()),
            floor: self.release.filter(|_| self.idle_floor > self.own_floor).map(|(release, _)| release),
        }
    }

    /// Reads what fits. True when there may be more at once.
    fn read(
        &mut self,
        input: &mut dyn Input,
        finished: u64,
        symbols: &mut SymbolTable,
        links: &SourceLinks,
    ) -> Result<bool, InputError> {
        let ahead = PANES_AHEAD_MAX + self.config.slide.panes_in(self.config.allowed_lateness);
        let last = finished.saturating_add(ahead);
        let limit =
            if last >= i64::MAX as u64 / 2 { Timestamp::from_millis(i64::MAX) } else { self.config.slide.end_of(last) };
        if let Some(tick) = self.in_hand.take() {
            if tick.order.at >= limit {
                self.in_hand = Some(tick);
                return Ok(false);
            }
            self.ticks.push(tick);
        }
        let used_before = self.counted.used;
        let id = self.id;
        let mut reasons = Vec::new();
        let state = input.read(id, RECORDS_PER_READ, symbols, &mut |record, symbols| {
            self.take(record, limit, symbols, &mut reasons)
        })?;
        for (outcome, reason) in reasons {
            links.stats.add_reason(outcome, reason);
        }
        if self.counted.used > used_before {
            self.last_used = Instant::now();
        }
        links.stats.add_records(&std::mem::take(&mut self.counted));
        self.empty = self.next_offset == 0 && input.is_empty(id);
        self.state = state;
        Ok(state == PartitionState::Behind && self.in_hand.is_none())
    }

    /// Takes one record: it is counted in exactly one outcome.
    fn take(&mut self, record: Record<'_>, limit: Timestamp, symbols: &mut SymbolTable, reasons: &mut Reasons) -> Flow {
        let Record { offset, broker_time, key, value } = record;
        self.next_offset = offset + 1;
        self.replay_releases(offset);
        if self.standing == Standing::Idle {
            self.wake(offset);
        }
        let bytes = match value {
            Payload::Bytes(bytes) => bytes,
            Payload::Observed(observation) => {
                let read = Read { offset, broker_time, key, bytes: None, limit };
                let outcome = self.place(observation, &read, 0, symbols);
                self.count(&[outcome], &read, reasons);
                return self.flow();
            }
        };
        let read = Read { offset, broker_time, key, bytes: Some(bytes), limit };
        let mut decoded = std::mem::take(&mut self.decoded);
        decoded.clear();
        match self.decoder.decode(key, bytes, symbols, &mut decoded) {
            Ok(Decoded::Used) if decoded.len() == 1 => {
                if let Some(observation) = decoded.pop() {
                    let outcome = self.place(observation, &read, 0, symbols);
                    self.count(&[outcome], &read, reasons);
                }
            }
            Ok(Decoded::Used) => {
                let placed = decoded.drain(..).zip(0_u32..);
                let outcomes: Vec<Outcome> = placed.map(|(o, index)| self.place(o, &read, index, symbols)).collect();
                self.count(&outcomes, &read, reasons);
            }
            Ok(Decoded::Ignored(kind)) => {
                self.counted.ignored += 1;
                reasons.push(("ignored", kind));
            }
            Err(error) => {
                self.counted.undecodable += 1;
                reasons.push(("undecodable", error.reason));
                self.dead_letter(&read, &error.detail);
            }
        }
        self.decoded = decoded;
        self.flow()
    }

    fn flow(&self) -> Flow {
        if self.in_hand.is_some() { Flow::Pause } else { Flow::Continue }
    }

    /// Decides what becomes of one observation, from this partition's sequence alone.
    #[inline]
    fn place(&mut self, observation: Observation, read: &Read<'_>, index: u32, symbols: &SymbolTable) -> Outcome {
        let at = observation.at;
        let (from, to) = self.config.range;
        if from.is_some_and(|from| at < from) || to.is_some_and(|to| at >= to) {
            return Outcome::Outside;
        }
        if read.broker_time.is_some_and(|broker| event_start(&observation) > broker.plus(self.config.max_ahead)) {
            return Outcome::Quarantined;
        }
        let late = if at < self.own_floor {
            Some(Outcome::Late)
        } else if at < self.idle_floor {
            self.mark_release();
            Some(Outcome::Idle)
        } else {
            None
        };
        if self.latest.is_none_or(|latest| at > latest) {
            self.advance(at);
        }
        if let Some(late) = late {
            return late;
        }
        if self.config.stored_ticks {
            self.store(&observation, read.offset, index, symbols);
        }
        let order = Order { at, partition: self.id, offset: read.offset, index };
        let tick = match observation.quote {
            Quote::Tick { price, size, .. } => Tick { symbol: observation.symbol, order, price, size, candle: None },
            Quote::Candle(bar) => {
                Tick { symbol: observation.symbol, order, price: bar.close, size: Fixed::ZERO, candle: Some(bar) }
            }
        };
        if at >= read.limit && self.in_hand.is_none() {
            self.in_hand = Some(tick);
        } else {
            self.ticks.push(tick);
        }
        Outcome::Used
    }

    fn advance(&mut self, at: Timestamp) {
        self.latest = Some(at);
        let slide = self.config.slide;
        let watermark = at.minus(self.config.allowed_lateness);
        // Most ticks do not move the watermark into another pane.
        if watermark.millis().saturating_sub(self.own_floor.millis().max(i64::MIN / 2)) >= slide.span().millis() {
            let pane = slide.pane_of(watermark);
            self.own_floor = Timestamp::from_millis(slide.end_of(pane).millis() - slide.span().millis());
        }
    }

    /// The partition was idle, and has a record again.
    fn wake(&mut self, offset: u64) {
        self.standing = Standing::Active;
        let Some((capability, _)) = &self.capabilities else { return };
        let pane = *capability.time();
        let floor = Timestamp::from_millis(self.config.slide.end_of(pane).millis() - self.config.slide.span().millis());
        if floor > self.own_floor.max(self.idle_floor) {
            self.idle_floor = floor;
            self.release = Some((Release { partition: self.id, offset, pane }, ReleaseState::Candidate));
        }
    }

    fn replay_releases(&mut self, offset: u64) {
        while let Some(release) = self.replay.front().copied()
            && release.offset <= offset
        {
            self.replay.pop_front();
            let slide = self.config.slide;
            let floor = Timestamp::from_millis(slide.end_of(release.pane).millis() - slide.span().millis());
            if floor > self.idle_floor {
                self.idle_floor = floor;
                self.release = Some((release, ReleaseState::Recorded));
            }
        }
    }

    /// A release made a tick late: now it has to be replayed by a resume.
    #[cold]
    fn mark_release(&mut self) {
        if let Some((_, state @ ReleaseState::Candidate)) = &mut self.release {
            *state = ReleaseState::Effective;
        }
    }

    fn count(&mut self, outcomes: &[Outcome], read: &Read<'_>, reasons: &mut Reasons) {
        if outcomes.contains(&Outcome::Used) {
            self.counted.used += 1;
            return;
        }
        let Some(outcome) = outcomes.first() else { return };
        let (counter, name, reason) = match outcome {
            Outcome::Outside => (&mut self.counted.ignored, "ignored", "outside"),
            Outcome::Quarantined => (&mut self.counted.quarantined, "quarantined", "ahead"),
            Outcome::Idle => (&mut self.counted.late, "late", "idle"),
            Outcome::Late | Outcome::Used => (&mut self.counted.late, "late", "late"),
        };
        *counter += 1;
        reasons.push((name, reason));
        match outcome {
            Outcome::Quarantined => {
                let error =
                    format!("its event time is more than {} ahead of the broker's timestamp", self.config.max_ahead);
                self.dead_letter(read, &error);
            }
            Outcome::Late | Outcome::Idle if self.config.late == LatePolicy::DeadLetter => {
                let why = if *outcome == Outcome::Idle { " while its partition was idle" } else { "" };
                self.dead_letter(read, &format!("late: its pane had closed{why}"));
            }
            _ => {}
        }
    }

    fn dead_letter(&mut self, read: &Read<'_>, error: &str) {
        if let (true, Some(bytes)) = (self.config.dead_letters, read.bytes) {
            let letter =
                DeadLetter::new(Arc::clone(&self.topic), self.id, read.offset, read.key, bytes, error.to_owned());
            self.aside.push(Aside::DeadLetter(letter));
        }
    }

    fn store(&mut self, observation: &Observation, offset: u64, index: u32, symbols: &SymbolTable) {
        let (size, side, reported) = match &observation.quote {
            Quote::Tick { size, side, .. } => {
                ((*size != Fixed::ZERO).then_some(*size), *side, observation.reported.as_deref().copied())
            }
            Quote::Candle(bar) => {
                let number = |f: Fixed| Some(f.to_f64());
                let volume = Some(crate::market::fixed::raw_to_f64(bar.volume));
                let (open, high, low, close) = (number(bar.open), number(bar.high), number(bar.low), number(bar.close));
                (None, None, Some(Reported { open, high, low, close, volume }))
            }
        };
        self.aside.push(Aside::Stored(StoredTick {
            symbol: symbols.name(observation.symbol).clone(),
            at: observation.at,
            price: observation.quote.price(),
            size,
            side,
            reported,
            topic: Arc::clone(&self.topic),
            partition: self.id,
            offset,
            index,
        }));
    }

    /// Hands on what was read, at the capability that was held before it.
    fn send(&mut self, ticks: Outputs<'_, Tick>, aside: Outputs<'_, Aside>) {
        let Some((main, side)) = &self.capabilities else { return };
        if !self.ticks.is_empty() {
            ticks.activate().session(main).give_container(&mut self.ticks);
            self.ticks.clear();
        }
        if !self.aside.is_empty() {
            aside.activate().session(side).give_container(&mut self.aside);
            self.aside.clear();
        }
    }

    /// Brings capability and standing up to date after a read.
    fn settle(&mut self, links: &SourceLinks) {
        let slide = self.config.slide;
        if let Some(watermark) = self.watermark() {
            // A tick in hand lies at or after the watermark, so it is never overtaken by its own capability.
            self.downgrade(slide.pane_of(watermark));
        }
        if self.in_hand.is_none() {
            match self.state {
                PartitionState::Ended => {
                    self.standing = Standing::Ended;
                    self.capabilities = None;
                }
                PartitionState::CaughtUp => {
                    let quiet = self.last_used.elapsed() >= self.config.idle_timeout.to_std();
                    if quiet || self.empty {
                        self.standing = Standing::Idle;
                    }
                }
                PartitionState::Behind => {}
            }
        }
        if let Some((release, state @ ReleaseState::Effective)) = &mut self.release {
            links.board.add_release(*release);
            *state = ReleaseState::Recorded;
        }
        links.board.update(self.id, self.note());
    }

    fn downgrade(&mut self, pane: u64) {
        if let Some((main, side)) = &mut self.capabilities
            && pane > *main.time()
        {
            main.downgrade(&pane);
            side.downgrade(&pane);
        }
    }
}

/// Unused records by outcome and reason, gathered during a read.
type Reasons = Vec<(&'static str, &'static str)>;

/// The record at hand.
struct Read<'a> {
    offset: u64,
    broker_time: Option<Timestamp>,
    key: Option<&'a [u8]>,
    /// None where it came from memory, decoded.
    bytes: Option<&'a [u8]>,
    /// A tick at or after this lies too far ahead.
    limit: Timestamp,
}

/// What is known of a partition's last release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ReleaseState {
    /// It made no tick late so far.
    Candidate,
    /// It made a tick late, and has to get into the progress record.
    Effective,
    /// It is on its way there, or came from there.
    Recorded,
}

/// What became of one observation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Used,
    /// Its pane had ended at or before its partition's watermark.
    Late,
    /// Its pane was closed while its partition was idle.
    Idle,
    Quarantined,
    /// Outside of `--from` and `--to`.
    Outside,
}

/// The event time that is held against the broker's stamp: of a candle, its open.
fn event_start(observation: &Observation) -> Timestamp {
    observation.at
}
