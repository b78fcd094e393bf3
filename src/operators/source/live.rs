//! The symbols that one partition has, which are bounded: those with a tick in the last `source.forget_after` of event time, by
//! its own watermark.
//!
//! Whether a symbol is admitted follows from its partition's sequence alone, hence is the same in a replay and with any number
//! of workers. It has to be decided where the record is, since the dead letter needs its bytes.

use super::known::{Known, OfSymbol};
use crate::market::{Slide, Span, SymbolId, SymbolTable, Timestamp};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Where a symbol has no tick.
const NEVER: Timestamp = Timestamp::from_millis(i64::MIN);

/// How many symbols a partition may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SymbolLimits {
    /// Of symbols that are their records' keys: each lies in one partition.
    pub keyed: usize,
    /// Of any others: each may lie in every partition.
    pub unkeyed: usize,
    /// How many partitions there are.
    pub partitions: usize,
}

impl SymbolLimits {
    /// Keyed symbols are spread over the partitions by hash: each gets its share, and five standard deviations. `shares`: the
    /// number of partitions when the job began, since a share that became smaller would decide otherwise than before.
    pub fn new(symbols_max: usize, shares: usize, partitions: usize) -> Self {
        let share = symbols_max.div_ceil(shares.max(1));
        let keyed = symbols_max.min(share + 5 * (share.isqrt() + 1));
        Self { keyed, unkeyed: symbols_max, partitions }
    }
}

/// One partition's symbols, and when each had its last tick.
#[derive(Debug)]
pub(super) struct LiveSymbols {
    forget_after: Span,
    slide: Slide,
    /// By number; [`NEVER`] for symbols that are not here.
    last: Vec<Timestamp>,
    count: usize,
    /// What was used of them.
    pub known: Known,
    /// When to look whether a symbol has had another tick, one entry for each.
    due: BinaryHeap<Reverse<(Timestamp, SymbolId)>>,
}

impl LiveSymbols {
    pub fn new(forget_after: Span, slide: Slide) -> Self {
        Self { forget_after, slide, last: Vec::new(), count: 0, known: Known::default(), due: BinaryHeap::new() }
    }

    /// A tick of `symbol` at `at`. False where there are `limit` others, and it is none of them.
    #[inline]
    pub fn admit(
        &mut self,
        symbol: SymbolId,
        at: Timestamp,
        watermark: Timestamp,
        symbols: &mut SymbolTable,
        limit: impl FnOnce(&SymbolTable) -> usize,
    ) -> bool {
        let horizon = watermark.minus(self.forget_after);
        if self.due.peek().is_some_and(|Reverse((at, _))| *at < horizon) {
            self.forget_before(horizon, symbols);
        }
        match self.last.get_mut(symbol.0 as usize) {
            Some(last) if *last != NEVER => {
                *last = at.max(*last);
                true
            }
            _ if self.count >= limit(symbols) => false,
            _ => {
                self.add(symbol, at, symbols);
                true
            }
        }
    }

    /// Each symbol that is here, and when it had its last tick.
    pub fn iter(&self) -> impl Iterator<Item = (SymbolId, Timestamp)> {
        let all = self.last.iter().enumerate().filter(|(_, last)| **last != NEVER);
        all.map(|(number, last)| (SymbolId(number as u32), *last))
    }

    /// Puts back what [`LiveSymbols::iter`] gave, and what was used of it.
    pub fn restore(&mut self, symbol: SymbolId, last: Timestamp, known: OfSymbol, symbols: &mut SymbolTable) {
        self.add(symbol, last, symbols);
        self.known.restore(symbol, known);
    }

    #[cold]
    fn add(&mut self, symbol: SymbolId, at: Timestamp, symbols: &mut SymbolTable) {
        self.last.resize(symbols.numbers().max(self.last.len()), NEVER);
        self.last[symbol.0 as usize] = at;
        self.due.push(Reverse((at, symbol)));
        self.count += 1;
        symbols.hold(symbol);
    }

    #[cold]
    fn forget_before(&mut self, horizon: Timestamp, symbols: &mut SymbolTable) {
        while let Some(&Reverse((seen, symbol))) = self.due.peek()
            && seen < horizon
        {
            self.due.pop();
            let last = &mut self.last[symbol.0 as usize];
            if *last < horizon {
                symbols.release(symbol, self.slide.pane_of(*last));
                *last = NEVER;
                self.known.forget(symbol);
                self.count -= 1;
            } else {
                self.due.push(Reverse((*last, symbol)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::known::Key;
    use super::*;

    const fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000 + ms)
    }

    struct Rig {
        live: LiveSymbols,
        table: SymbolTable,
    }

    impl Rig {
        fn tick(&mut self, name: &str, ms: i64) -> bool {
            let symbol = self.table.intern(name).unwrap();
            let admitted = self.live.admit(symbol, at(ms), at(ms), &mut self.table, |_| 3);
            self.table.settle();
            admitted
        }
    }

    #[test]
    fn the_first_are_admitted_and_places_become_free() {
        let slide = Slide::new(Span::from_millis(5000));
        let mut rig = Rig { live: LiveSymbols::new(Span::from_millis(60_000), slide), table: SymbolTable::default() };
        assert_eq!(["A", "B", "C", "D", "A"].map(|name| rig.tick(name, 0)), [true, true, true, false, true]);
        assert!(rig.tick("B", 30_000) && rig.tick("C", 31_000));
        // A minute after its last tick a symbol is there still, a moment later it is not.
        assert!(!rig.tick("D", 60_000) && rig.tick("D", 60_001));
        assert!(!rig.tick("A", 60_002), "its place was taken");
        assert!(rig.tick("B", 80_000), "it had a tick since");
        // All but that one are gone.
        assert_eq!(["E", "F", "A"].map(|name| rig.tick(name, 140_000)), [true, true, false]);
        rig.table.close_before(crate::market::Pane::LAST);
        assert_eq!((rig.table.len(), rig.live.count, rig.live.due.len()), (3, 3, 3));
        assert!(rig.table.numbers() <= 6, "{}", rig.table.numbers());
    }

    /// What was used of it goes with it, also where its number is another's later.
    #[test]
    fn a_symbol_that_is_given_up_is_not_remembered() {
        let slide = Slide::new(Span::from_millis(5000));
        let mut rig = Rig { live: LiveSymbols::new(Span::from_millis(60_000), slide), table: SymbolTable::default() };
        let key = |number: u64| Key::Trade(number << 6);
        for (name, from) in [("A", 0), ("B", 500)] {
            assert!(rig.tick(name, 0));
            let symbol = rig.table.intern(name).unwrap();
            (from..from + 1000).for_each(|number| rig.live.known.insert(symbol, key(number)));
        }
        let a = rig.table.intern("A").unwrap();
        assert!(rig.live.known.contains(a, key(0)) && rig.live.known.held() >= 1998);
        assert!(rig.tick("B", 50_000) && rig.tick("B", 61_000), "A is given up");
        assert!(!rig.live.known.contains(a, key(0)) && rig.live.known.held() < 1001);
        rig.table.close_before(crate::market::Pane::LAST);
        assert!(rig.tick("C", 62_000));
        assert_eq!(rig.table.intern("C"), Ok(a), "the number is used again");
        assert!(!rig.live.known.contains(a, key(0)));
        assert!(rig.tick("C", 200_000));
        assert_eq!(rig.live.known.held(), 0);
    }

    #[test]
    fn shares_leave_room_for_uneven_hashes_and_stay_below_the_whole() {
        assert_eq!(SymbolLimits::new(10_000, 1, 1), SymbolLimits { keyed: 10_000, unkeyed: 10_000, partitions: 1 });
        let four = SymbolLimits::new(10_000, 4, 4);
        assert!((2_700..2_800).contains(&four.keyed), "{four:?}");
        assert_eq!(SymbolLimits::new(3, 12, 12).keyed, 3);
        // Ten thousand names, hashed: none is refused.
        let mut counts = [0; 12];
        for number in 0..10_000 {
            let route = crate::market::Symbol::new(&format!("S{number}")).unwrap().route();
            counts[(route % 12) as usize] += 1;
        }
        assert!(counts.iter().all(|count| *count <= SymbolLimits::new(10_000, 12, 12).keyed), "{counts:?}");
    }
}
