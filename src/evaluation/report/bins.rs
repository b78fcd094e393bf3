//! Bins of time that grow wider as the stretch grows longer, so that their number is bounded.

use crate::market::Timestamp;
use std::collections::BTreeMap;

/// The most bins: what a plot of 500 points' width can show.
pub const BINS_MAX: usize = 200;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// Widths in ms up to a day, each a multiple of the one before; from then on they double.
const WIDTHS: [i64; 8] = [MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY];

/// What two neighbouring bins become when they are one.
pub trait Merge: Default {
    /// Adds `other` to this one.
    fn merge(&mut self, other: &Self);
}

/// Bins of equal width, at multiples of it since 1970; those without an entry are absent.
#[derive(Clone, Debug)]
pub struct TimeBins<B> {
    width_ms: i64,
    bins: BTreeMap<i64, B>,
}

impl<B> Default for TimeBins<B> {
    fn default() -> Self {
        Self { width_ms: WIDTHS[0], bins: BTreeMap::new() }
    }
}

impl<B: Merge> TimeBins<B> {
    /// The bin that holds `at`.
    pub fn at(&mut self, at: Timestamp) -> &mut B {
        while self.bins.len() >= BINS_MAX && !self.bins.contains_key(&at.millis().div_euclid(self.width_ms)) {
            self.widen();
        }
        self.bins.entry(at.millis().div_euclid(self.width_ms)).or_default()
    }

    fn widen(&mut self) {
        let next = WIDTHS.into_iter().find(|width| *width > self.width_ms).unwrap_or(2 * self.width_ms);
        let factor = next / self.width_ms;
        let mut wider: BTreeMap<i64, B> = BTreeMap::new();
        for (place, bin) in &self.bins {
            wider.entry(place.div_euclid(factor)).or_default().merge(bin);
        }
        (self.width_ms, self.bins) = (next, wider);
    }

    /// The width of each, in milliseconds.
    #[must_use]
    pub fn width_ms(&self) -> i64 {
        self.width_ms
    }

    /// Start and content of each, in order.
    pub fn iter(&self) -> impl Iterator<Item = (Timestamp, &B)> {
        self.bins.iter().map(|(place, bin)| (Timestamp::from_millis(place * self.width_ms), bin))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default)]
    struct Count(u64);

    impl Merge for Count {
        fn merge(&mut self, other: &Self) {
            self.0 += other.0;
        }
    }

    #[test]
    fn nothing_is_lost_while_bins_widen() {
        let mut bins = TimeBins::<Count>::default();
        let days = 900;
        for minute in 0..days * 24 {
            bins.at(Timestamp::from_millis(minute * HOUR + 17)).0 += 1;
        }
        assert_eq!(bins.iter().map(|(_, bin)| bin.0).sum::<u64>(), days as u64 * 24);
        assert_eq!(bins.width_ms(), 8 * DAY);
        assert!(bins.iter().count() <= BINS_MAX);
        assert!(bins.iter().all(|(start, _)| start.millis() % (8 * DAY) == 0));
    }
}
