//! Where a history ends and a topic goes on.
//!
//! The partitions of both are read side by side, aligned by event time as any are. What would come twice is told apart symbol by
//! symbol: what a topic has of a symbol before the history's last tick of it, the history has. Of that very millisecond, trades
//! that say their identity are compared; those that do not are taken to be in the history.

use super::partition::SourcePartition;
use crate::market::{Observation, PartitionId, Quote, Span, Symbol, SymbolTable, Timestamp};
use crate::operators::support::stats::{Records, UnusedCounts};
use crate::recovery::manifest::sha256;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The most symbols that are named one by one.
const NAMED_MAX: usize = 5;

/// What a job has to do with a history.
#[derive(Clone, Debug)]
pub enum History {
    /// It looks where one ends.
    Survey(Arc<Survey>),
    /// It reads one, and then goes on with a topic.
    Joined(Arc<Seam>),
}

/// The last tick of each symbol of a history, as a run over it finds them.
#[derive(Debug, Default)]
pub struct Survey(Mutex<BTreeMap<Symbol, Timestamp>>);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Whoever panicked has left whole entries.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Notes that a symbol has a tick at `at`.
pub(super) fn note(ends: &mut BTreeMap<Symbol, Timestamp>, symbol: &Symbol, at: Timestamp) {
    match ends.get_mut(symbol) {
        Some(end) => *end = at.max(*end),
        None => drop(ends.insert(symbol.clone(), at)),
    }
}

impl Survey {
    /// What one partition has found.
    fn add(&self, of_partition: &BTreeMap<Symbol, Timestamp>) {
        let mut ends = lock(&self.0);
        of_partition.iter().for_each(|(symbol, last)| note(&mut ends, symbol, *last));
    }

    /// Where the history ends; none where it has no tick.
    #[must_use]
    pub fn seam(&self, range: (Option<Timestamp>, Option<Timestamp>)) -> Option<Seam> {
        Seam::new(lock(&self.0).clone(), range)
    }
}

/// Where a history ends.
#[derive(Debug)]
pub struct Seam {
    /// The last tick of each symbol.
    ends: BTreeMap<Symbol, Timestamp>,
    /// The first of them.
    first: Timestamp,
    /// The last of them.
    through: Timestamp,
    /// Event time to use of the history, `[from, to)`.
    range: (Option<Timestamp>, Option<Timestamp>),
    /// What became of the history's records, once it is over.
    over: Mutex<(Records, UnusedCounts)>,
}

impl Seam {
    /// From the last tick of each symbol; none where there is no symbol. `range`: event time to use of the history.
    #[must_use]
    pub fn new(ends: BTreeMap<Symbol, Timestamp>, range: (Option<Timestamp>, Option<Timestamp>)) -> Option<Self> {
        let (first, through) = (*ends.values().min()?, *ends.values().max()?);
        Some(Self { ends, first, through, range, over: Mutex::default() })
    }

    /// The last tick of all.
    #[must_use]
    pub const fn through(&self) -> Timestamp {
        self.through
    }

    /// How many symbols the history has.
    #[must_use]
    pub fn symbols(&self) -> usize {
        self.ends.len()
    }

    /// The event time to use of the history.
    #[must_use]
    pub const fn range(&self) -> (Option<Timestamp>, Option<Timestamp>) {
        self.range
    }

    /// Tells one history from another by where its symbols end.
    #[must_use]
    pub fn digest(&self) -> String {
        let ends = self.ends.iter().map(|(symbol, end)| format!("{symbol} {}\n", end.millis()));
        let digest = sha256(ends.collect::<String>().as_bytes());
        let hex = digest.get(..16).unwrap_or(&digest);
        format!("{} symbols through {} ({hex})", self.ends.len(), self.through)
    }

    fn place(&self, symbol: &Symbol, at: Timestamp) -> Place {
        match self.ends.get(symbol) {
            Some(end) if at < *end => Place::Before,
            Some(end) if at == *end => Place::At,
            _ => Place::After,
        }
    }
}

/// Where an event time lies, as the history's end of its symbol goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Before,
    At,
    After,
}

/// A partition's part in it, until its watermark is beyond.
#[derive(Debug)]
pub(super) struct AtSeam {
    seam: Arc<Seam>,
    /// Of a topic's partition: the first that it has of each symbol.
    begins: BTreeMap<Symbol, Timestamp>,
}

/// What a tick near the seam is.
pub(super) enum Near {
    /// One like any other.
    Any,
    /// It may be in history and topic: its identity tells.
    Compared,
    /// The history has it.
    Known,
}

impl AtSeam {
    pub fn of(history: Option<&History>) -> Option<Box<Self>> {
        let Some(History::Joined(seam)) = history else { return None };
        Some(Box::new(Self { seam: Arc::clone(seam), begins: BTreeMap::new() }))
    }

    fn judge(&mut self, partition: PartitionId, observation: &Observation, symbol: &Symbol) -> Near {
        let at = observation.at;
        if partition.is_history() {
            let is_last = at >= self.seam.first && self.seam.place(symbol, at) == Place::At;
            return if is_last { Near::Compared } else { Near::Any };
        }
        if !self.begins.contains_key(symbol) {
            self.begins.insert(symbol.clone(), at);
        }
        let is_told_apart = observation.identity.is_some() || matches!(observation.quote, Quote::Candle { .. });
        match self.seam.place(symbol, at) {
            Place::Before => Near::Known,
            Place::At if is_told_apart => Near::Compared,
            Place::At => Near::Known,
            Place::After => Near::Any,
        }
    }

    /// Says how history and topic fit, as far as this partition tells. Gaps up to `usual` are none.
    fn tell(&self, topic: &str, partition: PartitionId, usual: Span) {
        let place = format!("{topic}/{}", partition.number());
        let begins = |symbol: &Symbol| self.begins.get(symbol).copied();
        let known = self.seam.ends.iter().filter_map(|(symbol, end)| Some((symbol, *end, begins(symbol)?)));
        let holes: Vec<_> = known.filter(|(_, end, begin)| *begin > end.plus(usual)).collect();
        for (symbol, end, begin) in holes.iter().take(NAMED_MAX) {
            tracing::warn!(
                "hole: the history of {symbol} ends at {end}, and {place} begins with it at {begin}: nothing is known of the {} between",
                Span::from_millis(begin.millis() - end.millis())
            );
        }
        if holes.len() > NAMED_MAX {
            tracing::warn!("hole: likewise for {} more symbols of {place}", holes.len() - NAMED_MAX);
        }
        if holes.is_empty() {
            let through = self.seam.through;
            tracing::info!("{place} goes on where the history ends, through {through}: no hole in between");
        }
    }
}

impl SourcePartition {
    /// What the seam makes of a tick that came in time.
    #[cold]
    pub(super) fn near_seam(&mut self, observation: &Observation, symbols: &SymbolTable) -> Near {
        let Some(seam) = &mut self.seam else { return Near::Any };
        let near = seam.judge(self.id, observation, symbols.name(observation.symbol));
        let usual = self.config.slide.span().millis().saturating_add(self.config.allowed_lateness.millis());
        let pane = |at: Timestamp| self.config.slide.pane_of(at);
        let is_beyond = self.watermark.value().is_some_and(|watermark| pane(watermark) > pane(seam.seam.through));
        if !self.id.is_history() && is_beyond {
            // What comes from here on and is not late lies in a pane after it.
            seam.tell(&self.topic, self.id, Span::from_millis(usual));
            self.seam = None;
        }
        near
    }

    /// At the end of a partition: what was found of a history, or what became of its records, is told to who keeps it.
    #[cold]
    pub(super) fn end_history(&mut self) {
        if let (Some(found), Some(History::Survey(survey))) = (self.surveyed.take(), &self.config.history) {
            survey.add(&found);
        }
        if let (true, Some(History::Joined(seam))) = (self.id.is_history(), &self.config.history) {
            let mut over = lock(&seam.over);
            over.0.add(&std::mem::take(&mut self.all_counted));
            for (reason, count) in std::mem::take(&mut self.all_unused) {
                *over.1.entry(reason).or_default() += count;
            }
        }
    }

    /// What became of the history's records, where this partition keeps it.
    pub(super) fn history_kept(&self) -> Option<(Records, UnusedCounts)> {
        match &self.config.history {
            Some(History::Joined(seam)) if self.id.0 == 0 => Some(lock(&seam.over).clone()),
            _ => None,
        }
    }
}
