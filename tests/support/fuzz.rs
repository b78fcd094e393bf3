//! Seeded changes of bytes and texts, for tests that read what nobody vouches for.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, reason = "each test file uses its part; these are tests")]

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

/// Tokens that readers trip over.
const TOKENS: [&str; 36] = [
    "0",
    "-0",
    "-1",
    "1",
    "2",
    "4",
    "1e308",
    "1e-400",
    "0.1",
    "18446744073709551615",
    "18446744073709551616",
    "9223372036854775807",
    "4294967296",
    "1000000000000",
    "NaN",
    "inf",
    "null",
    "true",
    "\"\"",
    "[]",
    "{}",
    "[[[[[[[[",
    "\"",
    "\\",
    "\\u0000",
    ",",
    ":",
    "=",
    "\n",
    "F64",
    "I4",
    "head.bias",
    "1d",
    "0s",
    "\u{fc}\u{1f600}",
    "#",
];

/// A stream of random choices that a seed decides.
pub struct Random(ChaCha8Rng);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    pub fn next(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// In `0..count`; 0 where that is empty.
    pub fn below(&mut self, count: usize) -> usize {
        if count == 0 { 0 } else { (self.next() % count as u64) as usize }
    }

    /// Up to `max` random bytes.
    pub fn bytes(&mut self, max: usize) -> Vec<u8> {
        let count = self.below(max);
        (0..count).map(|_| self.next() as u8).collect()
    }

    /// Sets, flips, removes or adds one byte.
    pub fn change_byte(&mut self, bytes: &mut Vec<u8>) {
        let at = self.below(bytes.len());
        match (self.below(4), bytes.is_empty()) {
            (_, true) | (0, _) => bytes.insert(at, self.next() as u8),
            (1, _) => bytes[at] ^= 1 << self.below(8),
            (2, _) => bytes[at] = self.next() as u8,
            _ => {
                bytes.remove(at);
            }
        }
    }

    /// Replaces, repeats, removes or swaps what stands between two marks of a text, or changes a byte.
    pub fn change_token(&mut self, text: &mut Vec<u8>) {
        let is_mark =
            |byte: &u8| matches!(byte, b',' | b':' | b'=' | b'[' | b']' | b'{' | b'}' | b'"' | b'\n' | b' ' | b'.');
        let start = self.below(text.len());
        let from = text[..start].iter().rposition(is_mark).map_or(0, |at| at + 1);
        let to = text[start..].iter().position(is_mark).map_or(text.len(), |at| start + at).max(from);
        let token = text[from..to].to_vec();
        match self.below(6) {
            0 | 1 => drop(text.splice(from..to, TOKENS[self.below(TOKENS.len())].bytes())),
            2 => drop(text.splice(from..from, token)),
            3 => drop(text.drain(from..to)),
            4 => {
                let at = self.below(text.len() + 1);
                drop(text.splice(at..at, token));
            }
            _ => self.change_byte(text),
        }
    }
}

/// How many inputs, and of which seed: `TICKCAST_TEST_FUZZ` and `TICKCAST_TEST_SEED`.
pub fn from_environment() -> (u64, u64) {
    let number = |name: &str, default: u64| {
        std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text}: no number")))
    };
    (number("TICKCAST_TEST_FUZZ", 100_000), number("TICKCAST_TEST_SEED", 1))
}
