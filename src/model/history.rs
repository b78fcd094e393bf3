//! The steps that a symbol's model remembers: inputs, prices and scales, from which sequences and labels are cut.

use crate::features::{INPUTS, StepFeatures};
use ndarray::{ArrayView1, ArrayViewMut2};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Examples are drawn from this many steps.
pub const EXAMPLE_STEPS: usize = 20_160;
/// A price is stale when no tick came in this many steps.
pub const FRESH_STEPS: usize = 5;

/// One step on the clock, with or without a tick.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct StepRecord {
    inputs: [f32; INPUTS],
    log_price: f64,
    volatility: f64,
    /// Whether it holds a tick.
    present: bool,
}

/// Steps of one symbol without holes; absent ones are there, too.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct History {
    records: VecDeque<StepRecord>,
    /// Number of the step after the last.
    next: i64,
    /// Steps that may be examples, ascending.
    usable: VecDeque<i64>,
    /// Sequence length.
    steps: usize,
    /// The longest horizon in steps.
    horizon_max: usize,
    capacity: usize,
}

impl History {
    /// For sequences of `steps`, and labels up to `horizon_max` steps ahead.
    #[must_use]
    pub fn new(steps: usize, horizon_max: usize) -> Self {
        let capacity = EXAMPLE_STEPS + horizon_max + steps;
        Self { records: VecDeque::new(), next: 0, usable: VecDeque::new(), steps, horizon_max, capacity }
    }

    /// Adds step number `step`, which follows the last one.
    pub fn push(&mut self, step: i64, features: &StepFeatures, present: bool) {
        assert!(self.records.is_empty() || step == self.next, "steps are without holes");
        if self.records.len() == self.capacity {
            self.records.pop_front();
        }
        let StepFeatures { inputs, volatility, log_price } = *features;
        self.records.push_back(StepRecord { inputs, log_price, volatility, present });
        self.next = step + 1;
        if present && self.sequence_is_whole() {
            self.usable.push_back(step);
        }
        // The labels of the last steps are not known yet: they are no examples, and do not count as such.
        let oldest = self.next - (EXAMPLE_STEPS + self.horizon_max) as i64;
        while self.usable.front().is_some_and(|&first| first < oldest || !self.holds_sequence(first)) {
            self.usable.pop_front();
        }
    }

    /// Forgets everything: what comes next is too far from what was.
    pub fn clear(&mut self) {
        self.records.clear();
        self.usable.clear();
    }

    fn first(&self) -> i64 {
        self.next - self.records.len() as i64
    }

    fn holds_sequence(&self, step: i64) -> bool {
        step - self.steps as i64 + 1 >= self.first()
    }

    fn at(&self, step: i64) -> Option<&StepRecord> {
        usize::try_from(step - self.first()).ok().and_then(|place| self.records.get(place))
    }

    /// Whether the last steps make a sequence without a hole.
    #[must_use]
    pub fn sequence_is_whole(&self) -> bool {
        self.records.len() >= self.steps && !self.has_gap() && !self.is_quiet()
    }

    /// Whether no tick came in the last 5 steps.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.records.iter().rev().take(FRESH_STEPS).all(|record| !record.present)
    }

    /// Whether 5 steps without a tick lie inside of the last sequence, before its last tick.
    #[must_use]
    pub fn has_gap(&self) -> bool {
        let sequence = self.records.iter().rev().take(self.steps).skip_while(|record| !record.present);
        let mut absent = 0;
        for record in sequence {
            absent = if record.present { 0 } else { absent + 1 };
            if absent >= FRESH_STEPS {
                return true;
            }
        }
        false
    }

    /// Whether a tick came in the 5 steps up to `step`.
    fn is_fresh(&self, step: i64) -> bool {
        (0..FRESH_STEPS as i64).any(|back| self.at(step - back).is_some_and(|record| record.present))
    }

    /// Steps that may be examples and whose labels up to `horizon_max` steps ahead are known, ascending.
    #[must_use]
    pub fn examples(&self, horizon_max: usize) -> Examples<'_> {
        let last = self.next - 1 - horizon_max as i64;
        let count = self.usable.partition_point(|&step| step <= last);
        Examples { steps: &self.usable, count }
    }

    /// Copies the sequence that ends with `step` to `out`, `[T, F]`.
    pub fn copy_sequence(&self, step: i64, mut out: ArrayViewMut2<'_, f32>) {
        let first = step - self.steps as i64 + 1;
        for (mut row, step) in out.rows_mut().into_iter().zip(first..) {
            if let Some(record) = self.at(step) {
                row.assign(&ArrayView1::from(&record.inputs));
            } else {
                row.fill(0.0);
            }
        }
    }

    /// The label of `step` for `horizon` steps ahead: the log return over the scale at `step`; none when the price at the
    /// target was stale.
    #[must_use]
    pub fn label(&self, step: i64, horizon: usize) -> Option<f64> {
        let target = step + horizon as i64;
        let (from, to) = (self.at(step)?, self.at(target)?);
        self.is_fresh(target).then(|| (to.log_price - from.log_price) / (from.volatility * (horizon as f64).sqrt()))
    }
}

/// The steps that may be examples.
#[derive(Clone, Copy, Debug)]
pub struct Examples<'a> {
    steps: &'a VecDeque<i64>,
    count: usize,
}

impl Examples<'_> {
    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The number of the `place`th step; places count from the oldest.
    #[must_use]
    pub fn step(&self, place: usize) -> i64 {
        assert!(place < self.count, "there are {} examples", self.count);
        self.steps[place]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn features(value: f64) -> StepFeatures {
        StepFeatures { inputs: [value as f32; INPUTS], volatility: 0.5, log_price: value }
    }

    #[test]
    fn labels_are_known_when_their_target_has_come() {
        let mut history = History::new(3, 4);
        for step in 100..110 {
            history.push(step, &features(step as f64), true);
            let examples = history.examples(4);
            // The first whole sequence ends with 102; its label 4 ahead is known from 106 on.
            assert_eq!(examples.len() as i64, (step - 105).max(0), "at {step}");
        }
        assert_eq!(history.label(102, 4), Some(4.0 / (0.5 * 2.0)));
        assert_eq!(history.label(108, 4), None);
        let mut sequence = ndarray::Array2::zeros((3, INPUTS));
        history.copy_sequence(104, sequence.view_mut());
        assert_eq!(sequence.column(INPUTS - 1).to_vec(), [102.0, 103.0, 104.0]);
    }

    #[test]
    fn holes_make_sequences_unusable_and_labels_void() {
        let mut history = History::new(8, 1);
        for step in 0..40 {
            history.push(step, &features(step as f64), !(10..15).contains(&step));
            let quiet = step == 14;
            // The five absent steps are in the sequences that end with 15 to 17 in whole.
            let gap = (15..=17).contains(&step);
            assert_eq!((history.is_quiet(), history.has_gap()), (quiet, gap), "at {step}");
        }
        assert_eq!(history.label(13, 1), None, "no tick in the five steps before the target");
        assert!(history.label(12, 1).is_some());
    }
}
