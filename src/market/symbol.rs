//! Symbols, and the table that gives each a small number on one worker.

use super::Pane;
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::fmt;
use std::sync::Arc;

/// The longest symbol, in bytes.
pub const SYMBOL_BYTES_MAX: usize = 64;
/// Into so many parts symbols are divided, by [`Symbol::part`]: more workers have no symbols.
pub const PARTS: u32 = 64;
/// The most symbols that one worker has at a time, whatever the configuration says.
pub const SYMBOLS_MAX: usize = 1 << 20;

/// What a price is of, such as `BTC`: 1 to 64 bytes of UTF-8, ordered by bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Symbol(Arc<str>);

/// Why a text is no [`Symbol`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SymbolError {
    /// The empty text.
    #[error("is empty")]
    Empty,
    /// Longer than [`SYMBOL_BYTES_MAX`].
    #[error("is longer than 64 bytes")]
    TooLong,
    /// A line feed or the like in it.
    #[error("holds control characters")]
    Control,
    /// More than [`SYMBOLS_MAX`] distinct ones.
    #[error("would be one of more than 1,048,576 distinct symbols")]
    TooMany,
}

impl Symbol {
    /// A symbol from its name.
    ///
    /// # Errors
    /// When the name is empty, longer than [`SYMBOL_BYTES_MAX`], or holds control characters.
    pub fn new(name: &str) -> Result<Self, SymbolError> {
        match name.len() {
            0 => Err(SymbolError::Empty),
            1..=SYMBOL_BYTES_MAX if name.contains(char::is_control) => Err(SymbolError::Control),
            1..=SYMBOL_BYTES_MAX => Ok(Self(name.into())),
            _ => Err(SymbolError::TooLong),
        }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part that it belongs to, below [`PARTS`]. A part is one worker's: worker `part % workers`.
    #[must_use]
    pub fn part(&self) -> u32 {
        (self.route() % u64::from(PARTS)) as u32
    }

    /// A hash that never changes between versions, machines or runs: FNV-1a, finished with the mixer of
    /// `SplitMix64` since timely routes by the low bits.
    #[must_use]
    pub fn route(&self) -> u64 {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for &byte in self.0.as_bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        hash ^ (hash >> 31)
    }
}

impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl std::borrow::Borrow<str> for Symbol {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// A symbol's number in one worker's [`SymbolTable`]. Means nothing on another worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SymbolId(pub u32);

/// The symbols of one worker that are in use, each with a number.
///
/// A number is given to every name that is met, and is given anew to another when nobody holds it any more: neither names that
/// were refused nor symbols that are given up stay here. Whoever keeps numbers for longer than a record holds them.
#[derive(Debug, Default)]
pub struct SymbolTable {
    ids: HashMap<Symbol, SymbolId>,
    entries: Vec<Entry>,
    /// Most streams repeat a symbol many times in a row: one comparison instead of a hash.
    last: Option<SymbolId>,
    /// Given since the last [`SymbolTable::settle`].
    fresh: Vec<SymbolId>,
    /// Held by nobody, but ticks of panes up to this one may be on their way.
    leaving: BinaryHeap<Reverse<(Pane, SymbolId)>>,
    free: Vec<SymbolId>,
}

#[derive(Debug)]
struct Entry {
    symbol: Symbol,
    part: u32,
    holders: u32,
    /// Of those that held it, the last pane with a tick.
    last_pane: Pane,
    leaving: bool,
}

impl SymbolTable {
    /// The number of a symbol, newly given where it is new.
    ///
    /// # Errors
    /// When the name is no symbol, or there are too many.
    pub fn intern(&mut self, name: &str) -> Result<SymbolId, SymbolError> {
        if let Some(last) = self.last_if(name.as_bytes()) {
            return Ok(last);
        }
        let id = match self.ids.get(name) {
            Some(&id) => id,
            None => self.insert(Symbol::new(name)?)?,
        };
        self.last = Some(id);
        Ok(id)
    }

    fn insert(&mut self, symbol: Symbol) -> Result<SymbolId, SymbolError> {
        let part = symbol.part();
        let entry = Entry { symbol: symbol.clone(), part, holders: 0, last_pane: Pane::default(), leaving: false };
        let id = match self.free.pop() {
            Some(id) => {
                self.entries[id.0 as usize] = entry;
                id
            }
            None if self.entries.len() >= SYMBOLS_MAX => return Err(SymbolError::TooMany),
            None => {
                let id = SymbolId(u32::try_from(self.entries.len()).map_err(|_| SymbolError::TooMany)?);
                self.entries.push(entry);
                id
            }
        };
        self.ids.insert(symbol, id);
        self.fresh.push(id);
        Ok(id)
    }

    /// The number that was given last, if `name` is its symbol.
    #[inline]
    #[must_use]
    pub fn last_if(&self, name: &[u8]) -> Option<SymbolId> {
        self.last.filter(|last| self.name(*last).as_str().as_bytes() == name)
    }

    /// The symbol of a number that this table gave.
    #[must_use]
    pub fn name(&self, id: SymbolId) -> &Symbol {
        &self.entries[id.0 as usize].symbol
    }

    /// [`Symbol::part`] of a number that this table gave.
    #[must_use]
    pub fn part(&self, id: SymbolId) -> u32 {
        self.entries[id.0 as usize].part
    }

    /// The number is kept until it is released as often as it was held.
    pub fn hold(&mut self, id: SymbolId) {
        let entry = &mut self.entries[id.0 as usize];
        entry.holders += 1;
        entry.leaving = false;
    }

    /// The opposite of [`SymbolTable::hold`]; ticks of panes up to `last_pane` may be on their way.
    pub fn release(&mut self, id: SymbolId, last_pane: Pane) {
        let entry = &mut self.entries[id.0 as usize];
        entry.holders = entry.holders.saturating_sub(1);
        entry.last_pane = entry.last_pane.max(last_pane);
        if entry.holders == 0 {
            entry.leaving = true;
            self.leaving.push(Reverse((entry.last_pane, id)));
        }
    }

    /// After a record: what was met in it and nobody holds is forgotten.
    #[inline]
    pub fn settle(&mut self) {
        if !self.fresh.is_empty() {
            self.settle_fresh();
        }
    }

    #[cold]
    fn settle_fresh(&mut self) {
        while let Some(id) = self.fresh.pop() {
            let entry = &self.entries[id.0 as usize];
            if entry.holders == 0 && !entry.leaving {
                self.remove(id);
            }
        }
    }

    /// No tick of a pane before `pane` is on its way any more: numbers that waited for that are free.
    pub fn close_before(&mut self, pane: Pane) {
        while let Some(&Reverse((last_pane, id))) = self.leaving.peek()
            && last_pane < pane
        {
            self.leaving.pop();
            let entry = &self.entries[id.0 as usize];
            if entry.leaving && entry.last_pane < pane {
                self.remove(id);
            }
        }
    }

    fn remove(&mut self, id: SymbolId) {
        let entry = &mut self.entries[id.0 as usize];
        entry.leaving = false;
        self.ids.remove(&entry.symbol);
        self.free.push(id);
        self.last = self.last.filter(|last| *last != id);
    }

    /// How many symbols there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// How many numbers there are, in use or not: all of them are below this.
    #[must_use]
    pub fn numbers(&self) -> usize {
        self.entries.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interns_once_and_refuses_what_is_no_symbol() {
        let mut table = SymbolTable::default();
        let btc = table.intern("BTC").unwrap();
        let eth = table.intern("ETH").unwrap();
        assert_ne!(btc, eth);
        assert_eq!(table.intern("BTC"), Ok(btc));
        assert_eq!(table.name(eth).as_str(), "ETH");
        assert_eq!(table.intern(""), Err(SymbolError::Empty));
        assert_eq!(table.intern(&"x".repeat(65)), Err(SymbolError::TooLong));
        assert_eq!(table.intern("BTC\n"), Err(SymbolError::Control));
        assert_eq!(table.len(), 2);
    }

    #[test]
    fn numbers_that_nobody_holds_are_given_anew() {
        let mut table = SymbolTable::default();
        let btc = table.intern("BTC").unwrap();
        table.hold(btc);
        table.settle();
        for number in 0..1000 {
            table.intern(&format!("refused {number}")).unwrap();
            table.settle();
            assert_eq!(table.last_if(format!("refused {number}").as_bytes()), None);
        }
        assert_eq!((table.len(), table.numbers()), (1, 2));

        let eth = table.intern("ETH").unwrap();
        table.hold(eth);
        table.hold(eth);
        table.settle();
        table.release(eth, Pane::from_number(7));
        table.close_before(Pane::from_number(100));
        assert_eq!(table.len(), 2, "one holds it still");
        table.release(eth, Pane::from_number(9));
        table.close_before(Pane::from_number(9));
        assert_eq!(table.name(eth).as_str(), "ETH", "ticks of pane 9 may be on their way");
        // It comes back meanwhile, and goes again.
        assert_eq!(table.intern("ETH"), Ok(eth));
        table.hold(eth);
        table.close_before(Pane::from_number(10));
        assert_eq!(table.intern("ETH"), Ok(eth));
        table.release(eth, Pane::from_number(12));
        table.close_before(Pane::from_number(12));
        assert_eq!(table.len(), 2);
        table.close_before(Pane::from_number(13));
        assert_eq!((table.len(), table.intern("XRP")), (1, Ok(eth)));
        assert_eq!((table.name(btc).as_str(), table.part(eth)), ("BTC", Symbol::new("XRP").unwrap().part()));
    }

    #[test]
    fn routes_by_a_hash_that_is_pinned() {
        // A change here moves symbols between state parts: never change it.
        assert_eq!(Symbol::new("BTC").unwrap().route(), 0xccae_7747_8049_658f);
    }
}
