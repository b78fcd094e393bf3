//! The steps that a symbol's model remembers, as the LSTM sees them.
//!
//! Inputs are kept in one byte each, far finer than the noise that drowns them, so that six days of minutes take 70 kB per
//! symbol; forecasts use the same bytes as training. What follows from the clock is not kept.

use crate::features::{INPUTS, StepFeatures};
use crate::market::{Span, Timestamp};
use ndarray::ArrayViewMut2;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Examples are drawn from this many steps, six days of minutes: less than half of the recipe's, with forecasts as good (to
/// .0001), so that ten thousand symbols fit into 10 GB.
pub const EXAMPLE_STEPS: usize = 8_640;
/// A price is stale when no tick came in this many steps.
pub const FRESH_STEPS: usize = 5;

/// Inputs that are kept; those after them follow from these or from the clock.
const KEPT: usize = 7;
/// Codes per unit of the kept inputs: they reach ±4, ±5.3, ±4.2, ±4.2, ±1, ±3.2, ±4.
const CODES_PER_UNIT: [f32; KEPT] = [31.75, 24.0, 30.0, 30.0, 127.0, 40.0, 31.75];

/// One step on the clock, with or without a tick.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct StepRecord {
    codes: [i8; KEPT],
    /// Whether it holds a tick.
    present: bool,
}

/// Steps of one symbol without holes; absent ones are there, too.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct History {
    records: VecDeque<StepRecord>,
    /// Number of the step after the last.
    next: i64,
    /// Sequence length.
    steps: usize,
    /// Length of a step.
    step: Span,
    capacity: usize,
}

impl History {
    /// For sequences of `steps` of length `step`, and labels up to `horizon_max` steps ahead.
    #[must_use]
    pub fn new(step: Span, steps: usize, horizon_max: usize) -> Self {
        let capacity = EXAMPLE_STEPS + horizon_max + steps;
        let mut history = Self { records: VecDeque::new(), next: 0, steps, step, capacity };
        history.reserve();
        history
    }

    /// Memory for all there can be, of which only what is used becomes real.
    pub(super) fn reserve(&mut self) {
        self.records.reserve_exact(self.capacity - self.records.len().min(self.capacity));
    }

    /// Adds step number `step`, which follows the last one.
    pub fn push(&mut self, step: i64, features: &StepFeatures) {
        assert!(self.records.is_empty() || step == self.next, "steps are without holes");
        if self.records.len() == self.capacity {
            self.records.pop_front();
        }
        let code = |at: usize| (features.inputs[at] * CODES_PER_UNIT[at]).round().clamp(-127.0, 127.0) as i8;
        self.records.push_back(StepRecord { codes: std::array::from_fn(code), present: features.present });
        self.next = step + 1;
    }

    /// Forgets everything: what comes next is too far from what was.
    pub fn clear(&mut self) {
        self.records.clear();
    }

    fn first(&self) -> i64 {
        self.next - self.records.len() as i64
    }

    /// Whether the whole sequence that ends with `step` is remembered.
    #[must_use]
    pub fn holds_sequence(&self, step: i64) -> bool {
        step < self.next && step - self.steps as i64 + 1 >= self.first()
    }

    fn at(&self, step: i64) -> Option<&StepRecord> {
        usize::try_from(step - self.first()).ok().and_then(|place| self.records.get(place))
    }

    /// Whether a step holds a tick; none where it is not remembered.
    #[must_use]
    pub fn is_present(&self, step: i64) -> Option<bool> {
        self.at(step).map(|record| record.present)
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

    /// Copies the sequence that ends with `step` to `out`, `[T, F]`; zeros where nothing is remembered.
    pub fn copy_sequence(&self, step: i64, mut out: ArrayViewMut2<'_, f32>) {
        let first = step - self.steps as i64 + 1;
        for (mut row, step) in out.rows_mut().into_iter().zip(first..) {
            let inputs = self.at(step).map_or([0.0; INPUTS], |record| self.inputs(step, record));
            row.iter_mut().zip(inputs).for_each(|(to, from)| *to = from);
        }
    }

    /// The LSTM's inputs, as [`StepFeatures::inputs`] has them.
    fn inputs(&self, step: i64, record: &StepRecord) -> [f32; INPUTS] {
        let mut inputs = [0.0; INPUTS];
        for (input, (&code, codes)) in inputs.iter_mut().zip(record.codes.iter().zip(CODES_PER_UNIT)) {
            *input = f32::from(code) / codes;
        }
        inputs[KEPT] = inputs[0].abs() - 0.7;
        inputs[KEPT + 1] = f32::from(u8::from(record.present)) - 0.5;
        let end = Timestamp::from_millis(step * self.step.millis());
        inputs[KEPT + 2..].copy_from_slice(&crate::features::clock_inputs(end));
        inputs
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::BarStatistics;
    use crate::market::{Fixed, Ohlcv};

    fn minutes(steps: usize, horizon_max: usize) -> History {
        History::new("1m".parse().unwrap(), steps, horizon_max)
    }

    /// Features of minute number `step`, with a price that moves.
    fn features(statistics: &mut BarStatistics, step: i64, present: bool) -> StepFeatures {
        let bar = Ohlcv::of_tick(Fixed::from_raw(100_000_000 * (1000 + step % 7)), Fixed::from_raw(step % 5), None);
        statistics.step(Timestamp::from_millis(step * 60_000), present.then_some(&bar))
    }

    #[test]
    fn sequences_are_the_inputs_but_for_their_rounding() {
        let (mut history, mut statistics) = (minutes(3, 4), BarStatistics::default());
        let all: Vec<StepFeatures> =
            (0..300).map(|step| features(&mut statistics, 1000 + step, step % 9 != 0)).collect();
        for (step, features) in (1000..).zip(&all) {
            history.push(step, features);
        }
        let mut sequence = ndarray::Array2::zeros((3, INPUTS));
        for last in 1002..1300 {
            history.copy_sequence(last, sequence.view_mut());
            for (row, features) in sequence.rows().into_iter().zip(&all[last as usize - 1002..]) {
                for (at, (kept, input)) in row.iter().zip(features.inputs).enumerate() {
                    assert!((kept - input).abs() <= 0.022, "input {at} of {last}: {kept}, {input}");
                }
            }
        }
        assert!(history.holds_sequence(1299) && !history.holds_sequence(1300) && !history.holds_sequence(1001));
    }

    #[test]
    fn holes_are_seen() {
        let (mut history, mut statistics) = (minutes(8, 1), BarStatistics::default());
        for step in 0..40 {
            history.push(step, &features(&mut statistics, step, !(10..15).contains(&step)));
            let quiet = step == 14;
            // The five absent steps are in the sequences that end with 15 to 17 in whole.
            let gap = (15..=17).contains(&step);
            assert_eq!((history.is_quiet(), history.has_gap()), (quiet, gap), "at {step}");
        }
    }
}
