//! What the LSTM learns from besides sequences: the quantiles that it was to correct, and what came.
//!
//! One step in two is an example, chosen by a hash of its number: neighbours tell much the same, since their labels overlap.
//! Quantiles take one byte each on a scale that is fine around 0 and coarse far out (2 %), labels two.

use serde::{Deserialize, Serialize};
use std::sync::LazyLock;

/// The most examples, about one per two steps of the LSTM's memory.
pub const EXAMPLES_MAX: usize = super::history::EXAMPLE_STEPS / 2;

/// Labels are clipped to ± this, in units of the scale.
const LABEL_MAX: f64 = 12.0;
const LABEL_UNIT: f64 = LABEL_MAX / 32_767.0;
const UNKNOWN: i16 = i16::MIN;
/// A quantile's code is `CODES asinh(q / QUANTILE_UNIT)`: it reaches ±16.
const QUANTILE_UNIT: f32 = 0.3;
const CODES: f32 = 27.0;

/// Examples of one symbol in the order of their steps; the oldest make place for new ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Examples {
    horizons: usize,
    /// How many there have ever been: number `n` lies at `n % EXAMPLES_MAX`.
    count: u64,
    steps: Vec<i64>,
    /// `[example, horizon, 5]`
    bases: Vec<i8>,
    /// `[example, horizon]`
    labels: Vec<i16>,
}

impl Examples {
    /// None yet, with labels of so many horizons.
    #[must_use]
    pub fn new(horizons: usize) -> Self {
        let (steps, bases, labels) = Default::default();
        Self { horizons, count: 0, steps, bases, labels }.reserved()
    }

    /// With memory for all there can be, of which only what is used becomes real.
    #[must_use]
    pub fn reserved(mut self) -> Self {
        let left = EXAMPLES_MAX.saturating_sub(self.steps.len());
        self.steps.reserve_exact(left);
        self.bases.reserve_exact(left * self.horizons * 5);
        self.labels.reserve_exact(left * self.horizons);
        self
    }

    /// Whether step number `step` is to be an example.
    #[must_use]
    pub fn takes(step: i64) -> bool {
        mix(step.cast_unsigned()) & 1 == 0
    }

    /// Adds the step after all before it, with the quantiles that the LSTM is to correct, in units of the scale; its labels
    /// are not known yet.
    pub fn push(&mut self, step: i64, bases: &[[f32; 5]]) {
        debug_assert_eq!(bases.len(), self.horizons);
        let codes = bases.iter().flatten().map(|&quantile| quantile_code(quantile));
        if self.steps.len() < EXAMPLES_MAX {
            self.steps.push(step);
            self.bases.extend(codes);
            self.labels.extend((0..self.horizons).map(|_| UNKNOWN));
        } else {
            let slot = self.slot(self.count);
            self.steps[slot] = step;
            let first = slot * self.horizons;
            self.bases[5 * first..].iter_mut().zip(codes).for_each(|(to, code)| *to = code);
            self.labels[first..first + self.horizons].fill(UNKNOWN);
        }
        self.count += 1;
    }

    /// The label of step number `step` at one horizon, in units of the scale, where that step is an example.
    pub fn label(&mut self, step: i64, horizon: usize, label: f64) {
        if let Some(slot) = self.find(step) {
            self.labels[slot * self.horizons + horizon] =
                (label.clamp(-LABEL_MAX, LABEL_MAX) / LABEL_UNIT).round() as i16;
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
        (number % EXAMPLES_MAX as u64) as usize
    }

    fn oldest(&self) -> u64 {
        self.count - self.steps.len() as u64
    }

    /// The number of the first example at or after `step`.
    fn first_from(&self, step: i64) -> u64 {
        let (mut low, mut high) = (self.oldest(), self.count);
        while low < high {
            let middle = u64::midpoint(low, high);
            if self.steps[self.slot(middle)] < step { low = middle + 1 } else { high = middle }
        }
        low
    }

    fn find(&self, step: i64) -> Option<usize> {
        let number = self.first_from(step);
        let slot = self.slot(number);
        (number < self.count && self.steps[slot] == step).then_some(slot)
    }

    /// Those with steps in `from..=to`.
    #[must_use]
    pub fn between(&self, from: i64, to: i64) -> Chosen {
        let first = self.first_from(from);
        Chosen { first, count: self.first_from(to.saturating_add(1)).saturating_sub(first) as usize }
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
            base.iter_mut().zip(codes).for_each(|(quantile, &code)| *quantile = quantile_of(code));
        }
        for ((label, known), &kept) in labels.iter_mut().zip(known).zip(&self.labels[first..first + self.horizons]) {
            *known = f32::from(u8::from(kept != UNKNOWN));
            *label = *known * (f64::from(kept) * LABEL_UNIT) as f32;
        }
        self.steps[slot]
    }
}

/// Some of the examples, in the order of their steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chosen {
    first: u64,
    /// How many.
    pub count: usize,
}

fn quantile_code(quantile: f32) -> i8 {
    (CODES * libm::asinhf(quantile / QUANTILE_UNIT)).round().clamp(-127.0, 127.0) as i8
}

/// By the code's bits.
static QUANTILES: LazyLock<[f32; 256]> = LazyLock::new(|| {
    std::array::from_fn(|bits| QUANTILE_UNIT * libm::sinhf(f32::from((bits as u8).cast_signed()) / CODES))
});

fn quantile_of(code: i8) -> f32 {
    QUANTILES[usize::from(code.cast_unsigned())]
}

/// The last step of splitmix64 (Steele, Lea, Flood 2014): each bit of the result depends on all of `x`.
fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_steps_are_examples_whatever_the_clock_says() {
        for every in [1, 5, 15, 60] {
            let taken = (0..10_000).filter(|step| Examples::takes(step * every + every - 1)).count();
            assert!((4_700..5_300).contains(&taken), "every {every}th step: {taken}");
        }
    }

    #[test]
    fn the_oldest_make_place_and_labels_find_their_example() {
        let mut examples = Examples::new(2);
        let base = |step: i64| [[step as f32 / 10_000.0 - 1.0, -0.5, 0.01, 0.5, 1.6]; 2];
        let steps: Vec<i64> = (0..30_000).filter(|&step| Examples::takes(step)).collect();
        for (place, &step) in steps.iter().enumerate() {
            examples.push(step, &base(step));
            examples.label(step - 1, 0, 9e9); // No example, or another one's label: the last of all wins below.
            if place > 5 {
                examples.label(steps[place - 5], 0, step as f64 / 10_000.0);
            }
        }
        let all = examples.between(i64::MIN, i64::MAX);
        assert_eq!(all.count, EXAMPLES_MAX);
        let (mut bases, mut labels, mut known) = ([[0.0; 5]; 2], [0.0; 2], [0.0; 2]);
        let oldest = steps.len() - EXAMPLES_MAX;
        for place in 0..EXAMPLES_MAX {
            let step = examples.read(all, place, &mut bases, &mut labels, &mut known);
            assert_eq!(step, steps[oldest + place]);
            for (kept, given) in bases.iter().flatten().zip(base(step).iter().flatten()) {
                assert!((kept - given).abs() <= 0.006 + 0.02 * given.abs(), "{kept} {given}");
            }
            let late = place + 5 < EXAMPLES_MAX;
            assert_eq!(known, [f32::from(u8::from(late)), 0.0]);
            if late {
                let given = steps[oldest + place + 5] as f32 / 10_000.0;
                assert!((labels[0] - given).abs() < 1e-3, "{} {given}", labels[0]);
            }
        }
        assert_eq!(examples.between(steps[oldest + 3], steps[oldest + 7]).count, 5);
        assert_eq!(examples.between(40_000, 50_000).count, 0);
    }
}
