//! What comes next of one market: pure.
//!
//! Trades come from several sides, repeated, out of order, with holes. What leaves is each id once, ascending. While a hole may
//! still be filled, what lies behind it is held.

use super::trade::Trade;
use std::collections::BTreeMap;
use std::time::Duration;

/// How a venue numbers the trades of a market.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbering {
    /// One after the other: a number that is missing is a trade that is missing.
    Contiguous,
    /// Ascending, with numbers left out: only an interruption tells that something may be missing.
    Ascending,
}

/// Ids that are missing, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hole {
    /// The first one.
    pub first: u64,
    /// The last one.
    pub last: u64,
}

impl Hole {
    /// How many ids.
    #[must_use]
    pub const fn ids(self) -> u64 {
        self.last - self.first + 1
    }
}

/// What became of a trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is published, and whatever waited for it.
    Next,
    /// It was here before.
    Repeat,
    /// It waits for those before it.
    Held,
}

/// The state of one market.
#[derive(Debug)]
pub struct Sequence {
    numbering: Numbering,
    last: Option<u64>,
    held: BTreeMap<u64, Trade>,
    /// When the first of those that are held came.
    since: Duration,
    /// Of a venue that leaves numbers out: something may be missing before the next trade.
    was_interrupted: bool,
}

impl Sequence {
    /// A market of which `last` was published last.
    #[must_use]
    pub const fn new(numbering: Numbering, last: Option<u64>) -> Self {
        Self { numbering, last, held: BTreeMap::new(), since: Duration::ZERO, was_interrupted: last.is_some() }
    }

    /// What was published last.
    #[must_use]
    pub const fn last(&self) -> Option<u64> {
        self.last
    }

    /// How many trades are held.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// The stream was interrupted: something may be missing before the next trade.
    pub fn interrupted(&mut self) {
        self.was_interrupted = self.last.is_some();
    }

    /// Takes in a trade that came `now`; what can be published goes to `out`.
    pub fn take(&mut self, trade: Trade, now: Duration, out: &mut Vec<Trade>) -> Verdict {
        let id = trade.id;
        if self.last.is_some_and(|last| id <= last) || self.held.contains_key(&id) {
            return Verdict::Repeat;
        }
        if self.held.is_empty() {
            self.since = now;
        }
        self.held.insert(id, trade);
        self.drain(out);
        if self.held.contains_key(&id) { Verdict::Held } else { Verdict::Next }
    }

    /// Publishes what nothing is missing before.
    fn drain(&mut self, out: &mut Vec<Trade>) {
        while let Some(first) = self.held.first_entry() {
            let follows = match (self.numbering, self.last) {
                (_, None) => true,
                (Numbering::Contiguous, Some(last)) => *first.key() == last + 1,
                (Numbering::Ascending, Some(_)) => !self.was_interrupted,
            };
            if !follows {
                return;
            }
            self.last = Some(*first.key());
            out.push(first.remove());
        }
    }

    /// What is missing before what is held, and since when.
    #[must_use]
    pub fn hole(&self) -> Option<(Hole, Duration)> {
        let (first_held, _) = self.held.first_key_value()?;
        let first = self.last? + 1;
        // Of a venue that leaves numbers out the very next one may be held: then too it is asked.
        Some((Hole { first, last: (*first_held - 1).max(first) }, self.since))
    }

    /// The venue has told of all that it has through `through`: what is still missing of that is returned, and what lies behind it
    /// goes to `out`.
    pub fn covered(&mut self, through: u64, now: Duration, out: &mut Vec<Trade>) -> Vec<Hole> {
        let mut missing = Vec::new();
        self.since = now;
        match self.numbering {
            Numbering::Contiguous => {
                while let Some((Hole { first, last }, _)) = self.hole().filter(|(hole, _)| hole.first <= through) {
                    let hole = Hole { first, last: last.min(through) };
                    self.last = Some(hole.last);
                    missing.push(hole);
                    self.drain(out);
                }
            }
            Numbering::Ascending => {
                while let Some(first) = self.held.first_entry().filter(|first| *first.key() <= through) {
                    self.last = Some(*first.key());
                    out.push(first.remove());
                }
                if self.held.keys().next().is_some_and(|first| *first <= through.saturating_add(1)) {
                    self.was_interrupted = false;
                    self.drain(out);
                }
            }
        }
        missing
    }

    /// What is missing will not come: returns it, and publishes what lies behind it up to the next hole.
    pub fn give_up(&mut self, now: Duration, out: &mut Vec<Trade>) -> Option<Hole> {
        let (hole, _) = self.hole()?;
        self.was_interrupted = false;
        if self.numbering == Numbering::Contiguous {
            self.last = Some(hole.last);
        }
        self.since = now;
        self.drain(out);
        Some(hole)
    }
}

#[cfg(test)]
mod tests;
