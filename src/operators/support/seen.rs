//! Which numbers were seen, of a window at least as long as is promised.
//!
//! Numbers are kept as bits in blocks of 64, since ids of trades and opens of candles follow one another: a block costs what one
//! number would. There are two generations of blocks, the young one and the old one. A number enters the young one; when that
//! holds a window of them, it is the old one from then on, and what was the old one is forgotten. So the last window of numbers is
//! always remembered, two windows at the most, and nothing is ever looked for to be forgotten.
//!
//! The block of the last number is at hand, so that most numbers cost a comparison and a bit.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// One number: its block, and its bit there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Which block; blocks of one kind of number follow one another.
    pub block: u64,
    /// One bit.
    pub bit: u64,
}

impl Mark {
    /// That of a number.
    #[inline]
    #[must_use]
    pub const fn of(number: u64) -> Self {
        Self { block: number >> 6, bit: 1 << (number & 63) }
    }
}

type Blocks = HashMap<u64, u64, BuildHasherDefault<BlockHasher>>;

/// Numbers that were seen.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    hot: Hot,
    young: Blocks,
    old: Blocks,
    /// Numbers that entered the young generation.
    count: usize,
}

/// The block at hand.
#[derive(Clone, Copy, Debug, Default)]
struct Hot {
    block: u64,
    /// Its numbers that are remembered.
    known: u64,
    /// Those of the young generation.
    young: u64,
    /// Whether the young generation lacks any of them.
    is_new: bool,
}

impl Seen {
    /// Whether a number is remembered.
    #[inline]
    pub fn contains(&mut self, mark: Mark) -> bool {
        if self.hot.block != mark.block {
            self.turn_to(mark.block);
        }
        self.hot.known & mark.bit != 0
    }

    /// Remembers a number: the last `window` of those that were not known are remembered at least.
    #[inline]
    pub fn insert(&mut self, mark: Mark, window: usize) {
        if self.contains(mark) {
            return;
        }
        self.hot.known |= mark.bit;
        self.hot.young |= mark.bit;
        self.hot.is_new = true;
        self.count += 1;
        if self.count >= window {
            self.age();
        }
    }

    /// How many blocks are held beside the one at hand.
    #[must_use]
    pub fn blocks(&self) -> usize {
        self.young.len() + self.old.len()
    }

    fn turn_to(&mut self, block: u64) {
        self.put_back();
        let young = self.young.get(&block).copied().unwrap_or(0);
        let known = young | self.old.get(&block).copied().unwrap_or(0);
        self.hot = Hot { block, known, young, is_new: false };
    }

    fn put_back(&mut self) {
        if self.hot.is_new {
            self.young.insert(self.hot.block, self.hot.young);
            self.hot.is_new = false;
        }
    }

    #[cold]
    fn age(&mut self) {
        self.put_back();
        std::mem::swap(&mut self.young, &mut self.old);
        self.young.clear();
        self.count = 0;
        let known = self.old.get(&self.hot.block).copied().unwrap_or(0);
        self.hot = Hot { known, young: 0, ..self.hot };
    }
}

/// Hashes the number of a block, the same in every run.
#[derive(Clone, Copy, Debug, Default)]
struct BlockHasher(u64);

impl Hasher for BlockHasher {
    #[inline]
    fn write_u64(&mut self, block: u64) {
        let product = u128::from(block ^ 0x9e37_79b9_7f4a_7c15) * 0xd6e8_feb8_6659_fd93;
        self.0 = product as u64 ^ (product >> 64) as u64;
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(self.0 ^ u64::from(*byte)));
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Against a plain list of all numbers in the order in which they came.
        #[test]
        fn the_last_window_is_remembered_and_nothing_that_never_came(
            steps in proptest::collection::vec(
                prop_oneof![6 => 0_u64..40, 3 => 0_u64..2_000, 1 => any::<u64>()], 1..1500),
            ascending in any::<bool>(),
            window in 1_usize..200,
        ) {
            let (mut seen, mut came, mut at) = (Seen::default(), Vec::new(), 1 << 40);
            for step in steps {
                at = if ascending { at + step / 4 } else { 1 << 40 ^ step };
                let mark = Mark::of(at);
                let known = seen.contains(mark);
                if came.iter().rev().take(window).any(|number| *number == at) {
                    prop_assert!(known, "{at} is forgotten");
                } else if came.iter().rev().take(2 * window).all(|number| *number != at) {
                    prop_assert!(!known, "{at} never came, or long ago");
                }
                if !known {
                    seen.insert(mark, window);
                    came.push(at);
                }
                prop_assert!(seen.contains(mark));
                prop_assert!(seen.blocks() <= 2 * window);
            }
        }
    }

    #[test]
    fn numbers_that_follow_one_another_cost_a_bit_each() {
        let mut seen = Seen::default();
        for number in 0..1_000_000 {
            seen.insert(Mark::of(number), 4096);
        }
        assert!(seen.blocks() <= 2 * 4096 / 64 + 1, "{} blocks", seen.blocks());
    }
}
