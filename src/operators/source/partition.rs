//! One partition of the input: reads it, decodes it, and decides what becomes of each record.

mod account;
mod standing;

use super::jump::Jumps;
use super::known::Key;
use super::live::{LiveSymbols, SymbolLimits};
use super::outcome::{Bounds, Outcome, Read, begins};
use super::quiet::Quiet;
use super::seam::{self, AtSeam, History, Near};
use super::stored::stored;
use super::watermark::{Timeliness, Watermark};
use super::{
    Aside, BYTES_PER_READ, Capabilities, Idleness, Outputs, PANES_AHEAD_MAX, PANES_AHEAD_MIN, RECORDS_PER_READ,
    SourceConfig, SourceLinks,
};
use crate::connectors::input::{Flow, Input, InputError, PartitionState};
use crate::formats::Decoder;
use crate::market::{
    DeadLetter, Fixed, Observation, Order, Pane, PartitionId, Quote, Span, Symbol, SymbolTable, Timestamp,
};
use crate::operators::panes::{Tick, TickKind};
use crate::operators::support::board::{BoardEntry, Standing};
use crate::operators::support::repeats::Share;
use crate::operators::support::stats::{Records, Tally, UnusedCounts};
use crate::recovery::cuts::Saving;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

/// One partition: its decoder, its watermark, and what has been read but not sent.
pub(super) struct SourcePartition {
    pub id: PartitionId,
    pub standing: Standing,
    pub capabilities: Option<Capabilities>,
    pub config: Rc<SourceConfig>,
    pub topic: Arc<str>,
    decoder: Decoder,
    pub watermark: Watermark,
    pub live: LiveSymbols,
    /// As the input last said.
    state: PartitionState,
    /// Whether it has held no record so far.
    empty: bool,
    pub next_offset: u64,
    /// The broker's stamp on the last record that had one.
    pub broker_time: Option<Timestamp>,
    /// A tick that lies too far ahead.
    in_hand: Option<Tick>,
    /// Records whose stamps jump.
    pub jumps: Jumps,
    quiet: Quiet,
    ticks: Vec<Tick>,
    aside: Vec<Aside>,
    /// Bytes that this read may still take.
    bytes_left: usize,
    pub counted: Records,
    pub unused: Tally,
    decoded: Vec<Observation>,
    /// Of the trades of one record; empty between records.
    outcomes: Vec<Outcome>,
    /// Why it cannot go on.
    failure: Option<InputError>,
    /// Its part in checkpoints, where there are any.
    pub saving: Option<Saving>,
    /// The cut that its state is wanted for: it is given before the first record of a pane after it.
    pub cut: Timestamp,
    /// What lies before this is in the state that the job goes on from.
    pub state_before: Timestamp,
    /// All that was counted, but for this read.
    pub all_counted: Records,
    pub all_unused: UnusedCounts,
    /// Whether records were counted while others waited in hand.
    passed_in_hold: bool,
    /// What was told of its standing.
    told: Idleness,
    /// Where a history ends, until it is beyond.
    pub seam: Option<Box<AtSeam>>,
    /// The last tick of each symbol, where it looks for the end of a history.
    pub surveyed: Option<BTreeMap<Symbol, Timestamp>>,
    /// Event time to use, `[from, to)`.
    range: (Option<Timestamp>, Option<Timestamp>),
}

impl SourcePartition {
    pub fn new(
        id: PartitionId,
        topic: Arc<str>,
        decoder: Decoder,
        config: Rc<SourceConfig>,
        initial: Capabilities,
    ) -> Self {
        Self {
            watermark: Watermark::new(id, config.slide, config.allowed_lateness, &config.releases),
            live: LiveSymbols::new(config.forget_after, config.slide),
            id,
            standing: Standing::Active,
            capabilities: Some(initial),
            // Only the `data` collection holds what records report.
            decoder: decoder.with_reported(config.stored_ticks),
            jumps: Jumps::new(config.max_ahead),
            topic,
            state: PartitionState::Behind,
            empty: false,
            next_offset: 0,
            broker_time: None,
            in_hand: None,
            quiet: Quiet::new(Instant::now()),
            ticks: Vec::new(),
            aside: Vec::new(),
            bytes_left: 0,
            counted: Records::default(),
            unused: Tally::default(),
            decoded: Vec::new(),
            outcomes: Vec::new(),
            failure: None,
            saving: None,
            cut: Timestamp::MAX,
            state_before: Timestamp::MIN,
            all_counted: Records::default(),
            all_unused: UnusedCounts::default(),
            passed_in_hold: false,
            told: Idleness::None,
            seam: AtSeam::of(config.history.as_ref()),
            range: match &config.history {
                Some(History::Joined(seam)) if id.is_history() => seam.range(),
                _ => config.range,
            },
            surveyed: matches!(config.history, Some(History::Survey(_))).then(BTreeMap::new),
            config,
        }
    }

    pub fn board_entry(&self) -> BoardEntry {
        BoardEntry {
            standing: self.standing,
            watermark: self.watermark.value(),
            pane: self.capabilities.as_ref().map_or(Pane::LAST, |c| *c.0.time()),
        }
    }

    /// Reads what fits. True when there may be more at once.
    pub fn read(
        &mut self,
        input: &mut dyn Input,
        finished: Pane,
        symbols: &mut SymbolTable,
        limits: SymbolLimits,
        links: &SourceLinks,
    ) -> Result<bool, InputError> {
        let ahead = if links.held.is_full(links.workers) { PANES_AHEAD_MIN } else { PANES_AHEAD_MAX };
        let ahead = ahead + self.config.slide.panes_in(self.config.allowed_lateness);
        let limit = self.config.slide.end_of(finished.plus(ahead));
        if let Some(tick) = self.in_hand.take() {
            if tick.order.at >= limit {
                self.in_hand = Some(tick);
                return Ok(false);
            }
            self.ticks.push(tick);
        }
        self.bytes_left = BYTES_PER_READ;
        self.look_for_cut();
        let used_before = self.counted.used;
        let id = self.id;
        let bounds = Bounds { limit, symbols: limits };
        let state = input
            .read(id, RECORDS_PER_READ, symbols, &mut |record, symbols| self.account_for(record, bounds, symbols))?;
        if state == PartitionState::Ended && self.failure.is_none() {
            self.settle_jumps(None, bounds, symbols);
        }
        if self.saving.is_some() || self.id.is_history() {
            self.all_counted.add(&self.counted);
            self.unused.add_to(&mut self.all_unused);
        }
        links.stats.add_unused(&self.topic, id.number(), &mut self.unused);
        if self.counted.used > used_before {
            self.quiet.end(Instant::now());
        }
        links.stats.add_records(&std::mem::take(&mut self.counted));
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        self.empty = input.is_empty(id);
        self.state = state;
        self.quiet.look(match state {
            PartitionState::CaughtUp { as_of } => Some(as_of),
            _ => None,
        });
        Ok(state == PartitionState::Behind && self.in_hand.is_none())
    }

    fn flow(&self) -> Flow {
        let is_full = self.in_hand.is_some() || self.failure.is_some() || self.bytes_left == 0;
        if is_full { Flow::Pause } else { Flow::Continue }
    }

    /// Whether it lies in the range of event time that is to be used.
    #[inline]
    fn is_asked_for(&self, at: Timestamp) -> bool {
        let (from, to) = self.range;
        from.is_none_or(|from| at >= from) && to.is_none_or(|to| at < to)
    }

    /// Whether it begins too far ahead of its broker's stamp.
    #[inline]
    fn is_ahead(&self, observation: &Observation, read: &Read<'_>) -> bool {
        read.broker_time.is_some_and(|broker| begins(observation) > broker.plus(self.config.max_ahead))
    }

    /// Decides what becomes of one observation, from this partition's sequence alone.
    #[inline]
    fn admit(&mut self, observation: Observation, read: &Read<'_>, index: u32, symbols: &mut SymbolTable) -> Outcome {
        let at = observation.at;
        if !self.is_asked_for(at) {
            return Outcome::Outside;
        }
        let slide = self.config.slide;
        if let Quote::Candle { interval, .. } = observation.quote
            && interval > slide.span()
        {
            return self.spans_panes(interval, read);
        }
        // Before time is looked at: what a reconnect repeats is no late trade. Of a candle in an open pane the latest counts.
        let key = Key::of(&observation);
        let is_known = self.live.known.contains(observation.symbol, key);
        let is_candle = matches!(key, Key::Candle(_));
        if is_known && !(is_candle && self.watermark.is_open(at) && self.live.known.has_room(at, slide)) {
            return Outcome::Duplicate;
        }
        if self.is_ahead(&observation, read) {
            return Outcome::Quarantined;
        }
        match self.watermark.judge(at) {
            Timeliness::InTime => {}
            Timeliness::Late => return Outcome::Late,
            Timeliness::LateAfterIdle => return Outcome::Idle,
        }
        let near = if self.seam.is_some() { self.near_seam(&observation, symbols) } else { Near::Any };
        if let Near::Known = near {
            return Outcome::History;
        }
        // After time was seen to move on: symbols are given up by it, and places become free for others.
        let watermark = self.watermark.value().unwrap_or(at);
        let (symbol, limits) = (observation.symbol, read.bounds.symbols);
        let is_keyed = |symbols: &SymbolTable| read.key == Some(symbols.name(symbol).as_str().as_bytes());
        let limit = |symbols: &SymbolTable| if is_keyed(symbols) { limits.keyed } else { limits.unkeyed };
        if !self.live.admit(symbol, at, watermark, symbols, limit) {
            return Outcome::TooManySymbols;
        }
        if self.config.stored_ticks && self.config.stored_within.is_none_or(|(from, to)| at >= from && at < to) {
            let at = (&self.topic, self.id, read.offset, index);
            self.aside.push(Aside::Stored(stored(&observation, at, symbols)));
        }
        let order = Order { at, partition: self.id, offset: read.offset, index };
        // A symbol that is its records' key lies in this partition alone, and in a history.
        let is_shared = matches!(near, Near::Compared) || limits.partitions > 1 && !is_keyed(symbols);
        let elsewhere = observation.identity.filter(|_| is_shared);
        let id = elsewhere.filter(|_| self.live.known.has_room(at, slide));
        let zero = Fixed::ZERO;
        let (price, size, side, kind) = match observation.quote {
            Quote::Tick { price, size, side } => (price, size, side, TickKind::Trade(id)),
            Quote::Large(bar) => (zero, zero, None, TickKind::Bar { bar, id }),
            Quote::Candle { bar, interval } if is_known || self.live.known.has_room(at, slide) => {
                (zero, zero, None, TickKind::Candle { bar, interval })
            }
            Quote::Candle { bar, .. } => (zero, zero, None, TickKind::Bar { bar, id: None }),
        };
        let tick = Tick { symbol, order, price, size, side, share: Share::WHOLE, kind };
        if at < self.state_before {
            // It is in the state that the job goes on from.
        } else if at >= read.bounds.limit && self.in_hand.is_none() {
            self.in_hand = Some(tick);
        } else {
            self.ticks.push(tick);
        }
        if is_known {
            return Outcome::Duplicate;
        }
        self.live.known.insert(symbol, key);
        if let Some(ends) = &mut self.surveyed {
            seam::note(ends, symbols.name(symbol), at);
        }
        Outcome::Used
    }

    /// A candle longer than a pane. In a file all are: that is a mistake of the configuration. In a topic it may be one of many.
    #[cold]
    fn spans_panes(&mut self, interval: Span, read: &Read<'_>) -> Outcome {
        if read.broker_time.is_none() {
            self.failure = Some(InputError::Failed(format!(
                "{}: its candles are {interval} long, panes only {}: set time.slide to {interval}, or to a multiple of it",
                self.topic,
                self.config.slide.span()
            )));
        }
        Outcome::SpansPanes(interval)
    }

    fn count(&mut self, outcomes: &[Outcome], read: &Read<'_>) {
        if outcomes.contains(&Outcome::Used) {
            self.counted.used += 1;
            return;
        }
        let telling = Outcome::telling(outcomes);
        let Some((outcome, (name, reason))) = telling.and_then(|outcome| Some((outcome, outcome.words()?))) else {
            return;
        };
        *outcome.counter(&mut self.counted) += 1;
        let Some(error) = outcome.error(&self.config) else {
            self.unused.add(name, reason);
            return;
        };
        self.unused.add_refused(name, reason, read.offset, &error);
        if outcome.is_dead_letter(&self.config) {
            self.dead_letter(read, &error);
        }
    }

    fn dead_letter(&mut self, read: &Read<'_>, error: &str) {
        if let (true, Some(bytes)) = (self.config.dead_letters, read.bytes) {
            let letter =
                DeadLetter::new(Arc::clone(&self.topic), self.id, read.offset, read.key, bytes, error.to_owned());
            self.aside.push(Aside::DeadLetter(letter));
        }
    }

    /// Hands on what was read, at the capability that was held before it.
    pub fn send(&mut self, ticks: Outputs<'_, Tick>, aside: Outputs<'_, Aside>, links: &SourceLinks) {
        // First, so that the dead letter of a late tick never gets into a transaction whose progress record lacks its release.
        if let Some(release) = self.watermark.take_effective() {
            self.aside.insert(0, Aside::Release(release));
        }
        self.note_standing();
        let Some((main, side)) = &self.capabilities else { return };
        if !self.ticks.is_empty() {
            ticks.activate().session(main).give_container(&mut self.ticks);
            self.ticks.clear();
        }
        if !self.aside.is_empty() {
            (links.sent_aside)(self.aside.iter().map(Aside::bytes).sum());
            aside.activate().session(side).give_container(&mut self.aside);
            self.aside.clear();
        }
    }
}
