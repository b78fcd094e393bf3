//! Drift: has the mean of a stream changed? ADWIN2 of Bifet and Gavaldà (2007), "Learning from time-changing data with
//! adaptive windowing".
//!
//! The window holds the values since the last change. At every cut of it into an older and a newer part, of `n0` and
//! `n1` values, the means are compared; where they differ by more than
//!
//! ```text
//! sqrt(2 v l / m) + 2 l / (3 m),   1/m = 1/n0 + 1/n1,   l = ln(2 ln(n) / delta)
//! ```
//!
//! (v: variance of the n values in the window; Bernstein's inequality for values within [0, 1]), the oldest values are
//! dropped, until no cut shows a difference.
//!
//! The window is an exponential histogram: buckets of 1, 2, 4, … values with their sums, at most [`BUCKETS`] of each
//! size, so that n values take at most about `5 log2(n/5)` buckets; cuts are tried between buckets alone. As in the
//! authors' own implementation they are tried at every 32nd value ([`CHECK_EVERY`]), and both parts hold at least 5.
//!
//! What delta promises: on independent values with one mean, a check reports a change with a probability of at most about
//! delta; in fact far more rarely, as Bernstein's inequality is wide. "About", since the variance is the window's own and
//! cuts are counted as `ln n` (so the paper; its theorem 3.1 takes n). Values that depend on each other, as errors of
//! forecasts whose spans overlap do, alarm more often: give it those of forecasts that do not overlap.

use serde::{Deserialize, Serialize};

/// The usual delta.
pub const DELTA: f64 = 0.002;
/// At most this many buckets of one size; M in the paper.
pub const BUCKETS: usize = 5;
/// Cuts are tried once per this many values.
pub const CHECK_EVERY: u64 = 32;
/// Both parts of a cut hold at least this many values.
const PART_MIN: u64 = 5;

/// A window of values that shrinks when their mean has changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Adwin {
    delta: f64,
    /// Row `i` holds buckets of `2^i` values, the oldest first; each row is older than those before it.
    rows: Vec<Vec<Bucket>>,
    /// Values taken in, ever.
    values: u64,
    changes: u64,
}

/// Some neighbouring values.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Bucket {
    sum: f64,
    /// Sum of the squared distances to their mean.
    spread: f64,
}

/// Number, sum and spread of values.
#[derive(Clone, Copy, Debug, Default)]
struct Moments {
    count: u64,
    sum: f64,
    spread: f64,
}

impl Default for Adwin {
    fn default() -> Self {
        Self::new(DELTA)
    }
}

impl Adwin {
    /// An empty window; `delta`, between 0 and 1, is the probability of a false alarm at a check.
    ///
    /// # Panics
    /// When delta is not between 0 and 1.
    #[must_use]
    pub fn new(delta: f64) -> Self {
        assert!(delta > 0.0 && delta < 1.0, "delta lies between 0 and 1, not {delta}");
        Self { delta, rows: Vec::new(), values: 0, changes: 0 }
    }

    /// Takes in a value, scaled by the caller to [0, 1]: beyond counts as the limit, NaN not at all. Says whether a
    /// change was found now.
    pub fn add(&mut self, value: f64) -> bool {
        if value.is_nan() {
            return false;
        }
        self.push(value.clamp(0.0, 1.0));
        self.values += 1;
        if !self.values.is_multiple_of(CHECK_EVERY) {
            return false;
        }
        let mut is_changed = false;
        while self.shows_change() {
            self.drop_oldest();
            is_changed = true;
        }
        self.changes += u64::from(is_changed);
        is_changed
    }

    /// Mean of the window; 0 when it is empty.
    #[must_use]
    pub fn mean(&self) -> f64 {
        let all = self.moments();
        if all.count == 0 { 0.0 } else { all.sum / all.count as f64 }
    }

    /// Values in the window.
    #[must_use]
    pub fn width(&self) -> u64 {
        self.moments().count
    }

    /// Changes found, ever.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.changes
    }

    fn push(&mut self, value: f64) {
        let mut carried = Bucket { sum: value, spread: 0.0 };
        for level in 0.. {
            if level == self.rows.len() {
                self.rows.push(Vec::with_capacity(BUCKETS + 1));
            }
            let row = &mut self.rows[level];
            row.push(carried);
            if row.len() <= BUCKETS {
                return;
            }
            let (older, newer) = (row.remove(0), row.remove(0));
            carried = older.merged(newer, size(level));
        }
    }

    fn drop_oldest(&mut self) {
        let Some(row) = self.rows.last_mut() else { return };
        row.remove(0);
        if row.is_empty() {
            self.rows.pop();
        }
    }

    /// Number of values and bucket, from the oldest to the newest.
    fn buckets(&self) -> impl Iterator<Item = (u64, &Bucket)> {
        let rows = self.rows.iter().enumerate().rev();
        rows.flat_map(|(level, row)| row.iter().map(move |bucket| (size(level), bucket)))
    }

    /// All of the window, added up anew rather than kept, so that no rounding piles up over dropped buckets.
    fn moments(&self) -> Moments {
        self.buckets().fold(Moments::default(), |sum, (count, bucket)| sum.with(count, bucket))
    }

    /// Whether the means differ at some cut.
    fn shows_change(&self) -> bool {
        let all = self.moments();
        if all.count < 2 * PART_MIN {
            return false;
        }
        let variance = all.spread / all.count as f64;
        let log = libm::log(2.0 * libm::log(all.count as f64) / self.delta);
        let (mut count, mut sum) = (0, 0.0);
        for (size, bucket) in self.buckets() {
            count += size;
            sum += bucket.sum;
            let rest = all.count - count;
            if rest < PART_MIN {
                return false;
            }
            let (n0, n1) = (count as f64, rest as f64);
            let inverse = 1.0 / n0 + 1.0 / n1;
            let limit = (2.0 * inverse * variance * log).sqrt() + 2.0 / 3.0 * inverse * log;
            if count >= PART_MIN && (sum / n0 - (all.sum - sum) / n1).abs() > limit {
                return true;
            }
        }
        false
    }
}

/// Values in a bucket of row `level`.
fn size(level: usize) -> u64 {
    1 << level
}

impl Bucket {
    /// Two buckets of `size` values as one; Chan, Golub and LeVeque (1983) for the spread.
    fn merged(self, newer: Self, size: u64) -> Self {
        let gap = self.sum - newer.sum;
        Self { sum: self.sum + newer.sum, spread: self.spread + newer.spread + gap * gap / (2 * size) as f64 }
    }
}

impl Moments {
    fn with(self, count: u64, bucket: &Bucket) -> Self {
        let (n0, n1) = (self.count as f64, count as f64);
        let gap = if self.count == 0 { 0.0 } else { bucket.sum / n1 - self.sum / n0 };
        Self {
            count: self.count + count,
            sum: self.sum + bucket.sum,
            spread: self.spread + bucket.spread + gap * gap * n0 * n1 / (n0 + n1),
        }
    }
}

#[cfg(test)]
mod tests;
