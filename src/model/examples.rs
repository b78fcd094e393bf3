//! What the LSTM learns from besides sequences: the quantiles that it was to correct, and what came.
//!
//! Quantiles and labels take one byte each, on a scale that is fine around 0 and coarse far out (2 %): the forecasts are as
//! good as with four.

use serde::{Deserialize, Serialize};
use std::sync::LazyLock;

/// Labels are clipped to ± this, in units of the scale.
const LABEL_MAX: f64 = 12.0;
/// The code of a label that is not known.
const UNKNOWN: i8 = i8::MIN;
/// A code is `CODES asinh(q / UNIT)`: it reaches ±16.
const UNIT: f32 = 0.3;
const CODES: f32 = 27.0;

/// Examples of one symbol in the order of their steps; the oldest make place for new ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Examples {
    horizons: usize,
    /// The most there are.
    capacity: usize,
    /// How many there have ever been: number `n` lies at `n % capacity`.
    count: u64,
    /// Numbers of their steps, from `origin` on.
    steps: Vec<u32>,
    origin: i64,
    /// `[example, horizon, 5]`
    bases: Vec<i8>,
    /// `[example, horizon]`
    labels: Vec<i8>,
}

impl Examples {
    /// None yet, with labels of so many horizons, the longest of them `horizon_max` steps: one for each step of the LSTM's
    /// memory, and one for each whose labels are still to come.
    #[must_use]
    pub fn new(horizons: usize, horizon_max: usize) -> Self {
        let (steps, bases, labels) = Default::default();
        let capacity = super::history::EXAMPLE_STEPS + horizon_max;
        Self { horizons, capacity, count: 0, steps, origin: 0, bases, labels }.reserved()
    }

    /// With memory for all there can be, of which only what is used becomes real.
    #[must_use]
    pub fn reserved(mut self) -> Self {
        let left = self.capacity.saturating_sub(self.steps.len());
        self.steps.reserve_exact(left);
        self.bases.reserve_exact(left * self.horizons * 5);
        self.labels.reserve_exact(left * self.horizons);
        self
    }

    /// Adds the step after all before it, with the quantiles that the LSTM is to correct, in units of the scale; its labels
    /// are not known yet.
    pub fn push(&mut self, step: i64, bases: &[[f32; 5]]) {
        debug_assert_eq!(bases.len(), self.horizons);
        let codes = bases.iter().flatten().map(|&quantile| code(quantile));
        if self.steps.is_empty() {
            self.origin = step;
        }
        // From the origin on there are 8,000 years of minutes, and 136 of seconds.
        let offset = u32::try_from(step - self.origin).unwrap_or(u32::MAX);
        if self.steps.len() < self.capacity {
            self.steps.push(offset);
            self.bases.extend(codes);
            self.labels.extend((0..self.horizons).map(|_| UNKNOWN));
        } else {
            let slot = self.slot(self.count);
            self.steps[slot] = offset;
            let first = slot * self.horizons;
            self.bases[5 * first..].iter_mut().zip(codes).for_each(|(to, code)| *to = code);
            self.labels[first..first + self.horizons].fill(UNKNOWN);
        }
        self.count += 1;
    }

    /// The label of step number `step` at one horizon, in units of the scale, where that step is an example.
    pub fn label(&mut self, step: i64, horizon: usize, label: f64) {
        if let Some(slot) = self.find(step) {
            self.labels[slot * self.horizons + horizon] = code(label.clamp(-LABEL_MAX, LABEL_MAX) as f32);
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.count = 0;
        self.steps.clear();
        self.bases.clear();
        self.labels.clear();
    }

    fn slot(&self, number: u64) -> usize {
        (number % self.capacity as u64) as usize
    }

    fn step(&self, slot: usize) -> i64 {
        self.origin + i64::from(self.steps[slot])
    }

    fn oldest(&self) -> u64 {
        self.count - self.steps.len() as u64
    }

    /// The number of the first example at or after `step`.
    fn first_from(&self, step: i64) -> u64 {
        let (mut low, mut high) = (self.oldest(), self.count);
        while low < high {
            let middle = u64::midpoint(low, high);
            if self.step(self.slot(middle)) < step { low = middle + 1 } else { high = middle }
        }
        low
    }

    fn find(&self, step: i64) -> Option<usize> {
        let number = self.first_from(step);
        let slot = self.slot(number);
        (number < self.count && self.step(slot) == step).then_some(slot)
    }

    /// Those with steps in `from..=to`.
    #[must_use]
    pub fn between(&self, from: i64, to: i64) -> Chosen {
        let first = self.first_from(from);
        Chosen { first, count: self.first_from(to.saturating_add(1)).saturating_sub(first) as usize }
    }

    /// The steps of the first and the last of the chosen; none where there is none.
    #[must_use]
    pub fn ends(&self, chosen: Chosen) -> Option<(i64, i64)> {
        let last = chosen.first + (chosen.count as u64).checked_sub(1)?;
        Some((self.step(self.slot(chosen.first)), self.step(self.slot(last))))
    }

    /// The `place`th of the chosen: gives its step, and writes its quantiles, labels and which of them are known (1 or 0).
    ///
    /// # Panics
    /// When there are not so many.
    pub fn read(
        &self,
        chosen: Chosen,
        place: usize,
        bases: &mut [[f32; 5]],
        labels: &mut [f32],
        known: &mut [f32],
    ) -> i64 {
        assert!(place < chosen.count, "there are {} examples", chosen.count);
        let slot = self.slot(chosen.first + place as u64);
        let first = slot * self.horizons;
        for (base, codes) in bases.iter_mut().zip(self.bases[5 * first..].chunks_exact(5)) {
            base.iter_mut().zip(codes).for_each(|(quantile, &code)| *quantile = value(code));
        }
        for ((label, known), &kept) in labels.iter_mut().zip(known).zip(&self.labels[first..first + self.horizons]) {
            *known = f32::from(u8::from(kept != UNKNOWN));
            *label = *known * value(kept);
        }
        self.step(slot)
    }
}

/// Some of the examples, in the order of their steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chosen {
    first: u64,
    /// How many.
    pub count: usize,
}

fn code(value: f32) -> i8 {
    (CODES * libm::asinhf(value / UNIT)).round().clamp(-127.0, 127.0) as i8
}

/// By the code's bits.
static VALUES: LazyLock<[f32; 256]> =
    LazyLock::new(|| std::array::from_fn(|bits| UNIT * libm::sinhf(f32::from((bits as u8).cast_signed()) / CODES)));

fn value(code: i8) -> f32 {
    VALUES[usize::from(code.cast_unsigned())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_make_place_and_labels_find_their_example() {
        let mut examples = Examples::new(2, 60);
        let capacity = examples.capacity;
        let base = |step: i64| [[step as f32 / 10_000.0 - 1.0, -0.5, 0.01, 0.5, 1.6]; 2];
        let steps: Vec<i64> = (0..30_000).filter(|&step| step % 7 < 4).collect();
        for (place, &step) in steps.iter().enumerate() {
            examples.push(step, &base(step));
            examples.label(step / 7 * 7 + 5, 0, 9e9); // No example.
            if place > 5 {
                examples.label(steps[place - 5], 0, step as f64 / 10_000.0);
            }
        }
        let all = examples.between(i64::MIN, i64::MAX);
        assert_eq!(all.count, capacity);
        let (mut bases, mut labels, mut known) = ([[0.0; 5]; 2], [0.0; 2], [0.0; 2]);
        let oldest = steps.len() - capacity;
        for place in 0..capacity {
            let step = examples.read(all, place, &mut bases, &mut labels, &mut known);
            assert_eq!(step, steps[oldest + place]);
            for (kept, given) in bases.iter().flatten().zip(base(step).iter().flatten()) {
                assert!((kept - given).abs() <= 0.006 + 0.02 * given.abs(), "{kept} {given}");
            }
            let late = place + 5 < capacity;
            assert_eq!(known, [f32::from(u8::from(late)), 0.0]);
            if late {
                let given = steps[oldest + place + 5] as f32 / 10_000.0;
                assert!((labels[0] - given).abs() <= 0.006 + 0.02 * given.abs(), "{} {given}", labels[0]);
            }
        }
        assert_eq!(examples.between(steps[oldest + 3], steps[oldest + 7]).count, 5);
        assert_eq!(examples.between(40_000, 50_000).count, 0);
    }
}
