//! What comes next of one market: pure.
//!
//! Trades come from several sides, repeated, out of order, with holes. What leaves is each id once, ascending. While a hole may
//! still be filled, what lies behind it is held.
//!
//! Where a venue leaves numbers out, none tells of a hole or of an order that is mixed up. There each trade is held for a moment, and
//! all that come after an interruption until the venue was asked. One that comes later still is published out of its turn, not lost.

use super::trade::Trade;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A hole of more ids is not filled (it would take hours), and may be none: a number may be wrong, or all begin anew.
pub const HOLE_MAX: u64 = 1_000_000;
/// So many trades that go on before a hole that large make what lies behind it a stray.
const FOLLOWED_MIN: u32 = 3;
/// So many in a row that lie that far back mean that the venue numbers anew.
const BACK_MIN: u32 = 20;

/// So long a trade waits for those before it, where no number tells of them.
const SETTLES: Duration = Duration::from_millis(100);
/// So many of the last ids are known, where what is not among them may be new.
const RECENT: usize = 256;

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
    /// It is published, though others went before it.
    Late,
    /// It is published, and is the first of a new numbering.
    Anew,
}

/// The state of one market.
#[derive(Debug)]
pub struct Sequence {
    numbering: Numbering,
    last: Option<u64>,
    /// With when it came.
    held: BTreeMap<u64, (Trade, Duration)>,
    /// When the first of those that are held came.
    since: Duration,
    /// Of a venue that leaves numbers out: ids behind which its stream was interrupted, so that something may be missing there.
    doubts: BTreeSet<u64>,
    /// Trades that were published while something was held.
    followed: u32,
    /// Trades in a row that lie further back than any hole.
    back: u32,
    /// The last that were published, of a venue that leaves numbers out.
    recent: BTreeSet<u64>,
}

impl Sequence {
    /// A market of which `last` was published last.
    #[must_use]
    pub fn new(numbering: Numbering, last: Option<u64>) -> Self {
        let doubts = last.into_iter().filter(|_| numbering == Numbering::Ascending).collect();
        let (held, recent) = (BTreeMap::new(), BTreeSet::new());
        Self { numbering, last, held, since: Duration::ZERO, doubts, followed: 0, back: 0, recent }
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

    /// The first of those that are held.
    #[must_use]
    pub fn first_held(&self) -> Option<&Trade> {
        self.held.first_key_value().map(|(_, (trade, _))| trade)
    }

    /// The stream was interrupted: something may be missing before the next trade. What came before goes to `out`.
    pub fn interrupted(&mut self, out: &mut Vec<Trade>) {
        if self.numbering == Numbering::Ascending {
            self.drain(out);
            self.doubts.extend(self.held.last_key_value().map(|(id, _)| *id).or(self.last));
        }
    }

    /// What has waited long enough for those before it goes to `out`, where no number tells of them.
    pub fn settle(&mut self, now: Duration, out: &mut Vec<Trade>) {
        if self.numbering == Numbering::Contiguous || !self.doubts.is_empty() {
            return;
        }
        let waited = |(_, came): &(Trade, Duration)| now.saturating_sub(*came) >= SETTLES;
        let last = self.held.iter().rev().find(|(_, held)| waited(held)).map(|(id, _)| *id);
        while let Some(first) = self.held.first_entry().filter(|first| last.is_some_and(|last| *first.key() <= last)) {
            let (trade, _) = first.remove();
            self.publish(trade, out);
        }
    }

    fn publish(&mut self, trade: Trade, out: &mut Vec<Trade>) {
        self.last = self.last.max(Some(trade.id));
        if self.numbering == Numbering::Ascending {
            self.recent.insert(trade.id);
            if self.recent.len() > RECENT {
                self.recent.pop_first();
            }
        }
        out.push(trade);
    }

    /// Whether one of before the last was not here, though those around it were.
    fn is_late(&self, id: u64) -> bool {
        self.recent.first().is_some_and(|first| *first < id) && !self.recent.contains(&id)
    }

    /// Takes in a trade that came `now`; what can be published goes to `out`.
    pub fn take(&mut self, trade: Trade, now: Duration, out: &mut Vec<Trade>) -> Verdict {
        let id = trade.id;
        if self.last.is_some_and(|last| id <= last) || self.held.contains_key(&id) {
            if self.last.is_some_and(|last| id < last) && self.is_late(id) && !self.held.contains_key(&id) {
                self.publish(trade, out);
                return Verdict::Late;
            }
            let is_far_back = self.last.is_some_and(|last| last.saturating_sub(id) > HOLE_MAX);
            self.back = if is_far_back { self.back + 1 } else { 0 };
            if self.back < BACK_MIN {
                return Verdict::Repeat;
            }
            (self.back, self.followed) = (0, 0);
            self.held.clear();
            self.doubts.clear();
            self.recent.clear();
            self.last = Some(id);
            out.push(trade);
            return Verdict::Anew;
        }
        self.back = 0;
        if self.held.is_empty() {
            (self.since, self.followed) = (now, 0);
        }
        self.held.insert(id, (trade, now));
        if self.numbering == Numbering::Contiguous {
            self.drain(out);
        }
        if self.held.contains_key(&id) {
            return Verdict::Held;
        }
        self.followed = self.followed.saturating_add(1);
        Verdict::Next
    }

    /// Publishes what nothing is missing before.
    fn drain(&mut self, out: &mut Vec<Trade>) {
        while let Some(first) = self.held.first_entry() {
            let follows = match (self.numbering, self.last) {
                (_, None) => true,
                (Numbering::Contiguous, Some(last)) => *first.key() == last + 1,
                (Numbering::Ascending, Some(_)) => self.doubts.first().is_none_or(|doubt| first.key() <= doubt),
            };
            if !follows {
                return;
            }
            let (trade, _) = first.remove();
            self.publish(trade, out);
        }
    }

    /// What is missing before what is held, and since when.
    #[must_use]
    pub fn hole(&self) -> Option<(Hole, Duration)> {
        if self.numbering == Numbering::Ascending && self.doubts.is_empty() {
            return None;
        }
        let (first_held, _) = self.held.first_key_value()?;
        let first = self.last? + 1;
        // Of a venue that leaves numbers out the very next one may be held: then too it is asked.
        Some((Hole { first, last: (*first_held - 1).max(first) }, self.since))
    }

    /// Whether more is missing than is asked for; where numbers are left out they do not tell how much it is.
    #[must_use]
    pub fn is_too_large(&self) -> bool {
        self.numbering == Numbering::Contiguous && self.hole().is_some_and(|(hole, _)| hole.ids() > HOLE_MAX)
    }

    /// Takes out what lies behind a hole that is too large, where trades went on before it: its number is wrong.
    pub fn take_stray(&mut self) -> Option<Trade> {
        if !self.is_too_large() || self.followed < FOLLOWED_MIN {
            return None;
        }
        self.held.pop_first().map(|(_, (trade, _))| trade)
    }

    /// The venue has told of all that it has through `through`; `last` was the last id of the hole before that was taken in. What is
    /// still missing of that is returned, and what lies behind it goes to `out`.
    pub fn covered(&mut self, through: u64, last: u64, now: Duration, out: &mut Vec<Trade>) -> Vec<Hole> {
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
                    let (trade, _) = first.remove();
                    self.publish(trade, out);
                }
                if self.doubts.pop_first().is_some() && through < last {
                    // Not all the way: the rest is asked for.
                    self.doubts.extend(self.last);
                }
                self.drain(out);
            }
        }
        missing
    }

    /// What is missing will not come: returns it, and publishes what lies behind it up to the next hole.
    pub fn give_up(&mut self, now: Duration, out: &mut Vec<Trade>) -> Option<Hole> {
        let (hole, _) = self.hole()?;
        match self.numbering {
            Numbering::Contiguous => self.last = Some(hole.last),
            Numbering::Ascending => drop(self.doubts.pop_first()),
        }
        self.since = now;
        self.drain(out);
        Some(hole)
    }
}

#[cfg(test)]
mod tests;
