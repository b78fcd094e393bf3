//! Which numbers were seen, of a window at least as long as is promised.
//!
//! There are two generations, the young one and the old one. A number enters the young one; when that holds a window of them, it is
//! the old one from then on, and what was the old one is forgotten. So the last window of numbers is always remembered, two windows
//! at the most, and nothing is ever looked for to be forgotten.
//!
//! Numbers are kept as bits in blocks of 64, since ids of trades and opens of candles mostly follow one another: a block costs what
//! one number would, and that of the last number is at hand, so that most cost a comparison and a bit. Where a generation turns
//! out to have few numbers in a block, they are kept one by one from then on, which takes less than half the space and time.

use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// Fewer numbers than this in a block, and they are kept one by one.
const PER_BLOCK_MIN: usize = 3;

/// Numbers that were seen.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    kept: Kept,
    /// Numbers that entered the young generation.
    count: usize,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
enum Kept {
    InBlocks(Blocks),
    OneByOne { young: Numbers, old: Numbers },
}

impl Default for Kept {
    fn default() -> Self {
        Self::InBlocks(Blocks::default())
    }
}

impl Seen {
    /// Whether a number is remembered.
    #[inline]
    pub fn contains(&mut self, number: u64) -> bool {
        match &mut self.kept {
            Kept::InBlocks(blocks) => blocks.contains(number),
            Kept::OneByOne { young, old } => young.contains(number) || old.contains(number),
        }
    }

    /// Remembers a number: the last `window` of those that were not known are remembered at least.
    #[inline]
    pub fn insert(&mut self, number: u64, window: usize) {
        if self.contains(number) {
            return;
        }
        match &mut self.kept {
            Kept::InBlocks(blocks) => blocks.insert(number),
            Kept::OneByOne { young, .. } => young.insert(number),
        }
        self.count += 1;
        if self.count >= window {
            self.age();
        }
    }

    /// How many blocks or numbers are held.
    #[must_use]
    pub fn held(&self) -> usize {
        match &self.kept {
            Kept::InBlocks(blocks) => blocks.young.len() + blocks.old.len(),
            Kept::OneByOne { young, old } => young.count + old.count,
        }
    }

    #[cold]
    fn age(&mut self) {
        match &mut self.kept {
            Kept::InBlocks(blocks) => {
                blocks.age();
                if self.count < PER_BLOCK_MIN * blocks.old.len() {
                    let mut old = Numbers::default();
                    for (&block, &bits) in &blocks.old {
                        let numbers = (0..64).filter(|at| bits >> at & 1 != 0).map(|at| block << 6 | at);
                        numbers.for_each(|number| old.insert(number));
                    }
                    self.kept = Kept::OneByOne { young: Numbers::default(), old };
                }
            }
            Kept::OneByOne { young, old } => {
                std::mem::swap(young, old);
                young.clear();
            }
        }
        self.count = 0;
    }
}

/// Two generations as bits.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Blocks {
    /// Which block is at hand.
    hot: u64,
    /// Its numbers that are remembered.
    known: u64,
    /// Those of the young generation.
    fresh: u64,
    /// Whether `young` lacks any of them.
    is_new: bool,
    young: HashMap<u64, u64, BuildHasherDefault<BlockHasher>>,
    old: HashMap<u64, u64, BuildHasherDefault<BlockHasher>>,
}

impl Blocks {
    #[inline]
    fn contains(&mut self, number: u64) -> bool {
        if self.hot != number >> 6 {
            self.turn_to(number >> 6);
        }
        self.known & Self::bit(number) != 0
    }

    /// Of a number that was looked for just now.
    #[inline]
    fn insert(&mut self, number: u64) {
        self.known |= Self::bit(number);
        self.fresh |= Self::bit(number);
        self.is_new = true;
    }

    #[inline]
    const fn bit(number: u64) -> u64 {
        1 << (number & 63)
    }

    fn turn_to(&mut self, block: u64) {
        self.put_back();
        self.hot = block;
        self.fresh = self.young.get(&block).copied().unwrap_or(0);
        self.known = self.fresh | self.old.get(&block).copied().unwrap_or(0);
    }

    fn put_back(&mut self) {
        if self.is_new {
            self.young.insert(self.hot, self.fresh);
            self.is_new = false;
        }
    }

    fn age(&mut self) {
        self.put_back();
        std::mem::swap(&mut self.young, &mut self.old);
        self.young.clear();
        self.turn_to(self.hot);
    }
}

/// Hashes the number of a block, the same in every run.
#[derive(Clone, Copy, Debug, Default)]
struct BlockHasher(u64);

impl Hasher for BlockHasher {
    #[inline]
    fn write_u64(&mut self, block: u64) {
        self.0 = hash(block);
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(self.0 ^ u64::from(*byte)));
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }
}

#[inline]
fn hash(number: u64) -> u64 {
    let product = u128::from(number ^ 0x9e37_79b9_7f4a_7c15) * 0xd6e8_feb8_6659_fd93;
    product as u64 ^ (product >> 64) as u64
}

/// A set of numbers in one piece, at most half full; each in the first free place from that of its hash on.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Numbers {
    /// A power of two of places, 0 where one is free; 0 itself is kept as 1, which costs nobody anything.
    places: Vec<u64>,
    count: usize,
}

impl Numbers {
    const PLACES_MIN: usize = 64;

    #[inline]
    fn contains(&self, number: u64) -> bool {
        self.places.get(self.find(number)).is_some_and(|place| *place != 0)
    }

    fn insert(&mut self, number: u64) {
        if 2 * (self.count + 1) > self.places.len() {
            self.grow();
        }
        let at = self.find(number);
        if self.places[at] == 0 {
            self.places[at] = number.max(1);
            self.count += 1;
        }
    }

    /// Where it is, or would be.
    #[inline]
    fn find(&self, number: u64) -> usize {
        let (number, mask) = (number.max(1), self.places.len().wrapping_sub(1));
        let mut at = hash(number) as usize & mask;
        while self.places.get(at).is_some_and(|place| *place != 0 && *place != number) {
            at = (at + 1) & mask;
        }
        at
    }

    #[cold]
    fn grow(&mut self) {
        let places = vec![0; (2 * self.places.len()).max(Self::PLACES_MIN)];
        let old = std::mem::replace(&mut self.places, places);
        self.count = 0;
        old.into_iter().filter(|number| *number != 0).for_each(|number| self.insert(number));
    }

    fn clear(&mut self) {
        self.places.fill(0);
        self.count = 0;
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
            kind in 0..3,
            window in 1_usize..200,
        ) {
            let (mut seen, mut came, mut at) = (Seen::default(), Vec::new(), 1_u64 << 40);
            for step in steps {
                at = match kind {
                    0 => at.wrapping_add(step / 4),
                    1 => 1 << 40 ^ step,
                    _ => (step & 1023).wrapping_mul(0x9e37_79b9_7f4a_7c15),
                };
                let known = seen.contains(at);
                if came.iter().rev().take(window).any(|number| *number == at) {
                    prop_assert!(known, "{at} is forgotten");
                } else if came.iter().rev().take(2 * window).all(|number| *number != at) {
                    prop_assert!(!known, "{at} never came, or long ago");
                }
                if !known {
                    seen.insert(at, window);
                    came.push(at);
                }
                prop_assert!(seen.contains(at));
                prop_assert!(seen.held() <= 2 * window);
            }
        }
    }

    #[test]
    fn numbers_that_follow_one_another_cost_a_bit_each() {
        let mut seen = Seen::default();
        for number in 0..1_000_000 {
            seen.insert(number, 4096);
        }
        assert!(seen.held() <= 2 * 4096 / 64 + 1, "{} blocks", seen.held());
    }

    #[test]
    fn numbers_without_order_take_one_place_each() {
        let mut seen = Seen::default();
        for number in 0..100_000_u64 {
            seen.insert(hash(number), 4096);
        }
        let Kept::OneByOne { young, old } = &seen.kept else { panic!("{:?}", seen.held()) };
        assert!(young.count + old.count <= 2 * 4096 && young.places.len() + old.places.len() <= 4 * 4096);
        assert!((99_999 - 4096..100_000).all(|number| seen.contains(hash(number))));
    }
}
