//! In which third of all volatilities so far the last one lies. The interval control learns for each third on its own.
//!
//! Volatilities are counted in bins whose ends have a ratio of 1.01, between the smallest and the largest that came: some
//! hundreds of bins, never more than 2,763. A value in the same bin as a boundary lies above it.

use serde::{Deserialize, Serialize};

/// Until more values than this came, all are in the middle.
const VALUES_MIN: u64 = 240;
/// The boundaries are recomputed every this many values.
const REFRESH_VALUES: u64 = 60;
/// Logarithm of the ratio of a bin's ends.
const BIN_LOG_WIDTH: f64 = 0.01;
/// Values outside of these count as the nearer one. A step's log return moves within them by far.
const VALUE_MIN: f64 = 1e-9;
const VALUE_MAX: f64 = 1e3;

/// A third of the volatilities so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Tercile {
    /// The calmest.
    Low,
    /// Neither calm nor wild; also while it is too early to tell.
    #[default]
    Middle,
    /// The wildest.
    High,
}

impl Tercile {
    /// 0, 1, 2 from calm to wild.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// The distribution of all values so far, and the place of the last one in it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Terciles {
    /// Number of the bin that `counts` begins with.
    first: usize,
    counts: Vec<u32>,
    count: u64,
    /// Bins of the lower and the upper boundary.
    boundaries: [usize; 2],
    last: Tercile,
}

impl Terciles {
    /// No value yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in the volatility of a step; what is not a number is ignored.
    pub fn add(&mut self, value: f64) {
        if value.is_nan() {
            return;
        }
        let bin = (libm::log(value.clamp(VALUE_MIN, VALUE_MAX) / VALUE_MIN) / BIN_LOG_WIDTH) as usize;
        let place = self.place(bin);
        self.counts[place] = self.counts[place].saturating_add(1);
        self.count += 1;
        if self.count <= VALUES_MIN {
            return;
        }
        if (self.count - 1).is_multiple_of(REFRESH_VALUES) {
            self.boundaries = [self.order_statistic(self.count / 3), self.order_statistic(2 * self.count / 3)];
        }
        self.last = match self.boundaries {
            [lower, _] if bin < lower => Tercile::Low,
            [_, upper] if bin < upper => Tercile::Middle,
            _ => Tercile::High,
        };
    }

    /// The third in which the last value lies, by the boundaries of when it came.
    #[must_use]
    pub const fn tercile(&self) -> Tercile {
        self.last
    }

    /// Where `bin` is counted; makes room for it.
    fn place(&mut self, bin: usize) -> usize {
        if self.counts.is_empty() {
            self.first = bin;
        }
        if bin < self.first {
            self.counts.splice(0..0, std::iter::repeat_n(0, self.first - bin));
            self.first = bin;
        }
        let place = bin - self.first;
        if place >= self.counts.len() {
            self.counts.resize(place + 1, 0);
        }
        place
    }

    /// The bin of the value that `rank` values lie below.
    fn order_statistic(&self, rank: u64) -> usize {
        let mut below = 0;
        let place = self.counts.iter().position(|count| {
            below += u64::from(*count);
            below > rank
        });
        self.first + place.unwrap_or(self.counts.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;
    use rand_distr::{Distribution, StandardNormal};

    /// The prototype's `buckets`, and whether a value is too near to a boundary for bins to tell.
    fn buckets(values: &[f64]) -> Vec<(usize, bool)> {
        let (mut lower, mut upper) = (0.0, 0.0);
        let mut all = Vec::new();
        for step in 0..values.len() {
            if step >= 240 && step % 60 == 0 {
                let mut sorted = values[..=step].to_vec();
                sorted.sort_by(f64::total_cmp);
                (lower, upper) = (sorted[sorted.len() / 3], sorted[2 * sorted.len() / 3]);
            }
            let value = values[step];
            let near = |boundary: f64| step >= 240 && (value / boundary - 1.0).abs() < 0.0102;
            let tercile = match step {
                0..240 => 1,
                _ if value < lower => 0,
                _ if value < upper => 1,
                _ => 2,
            };
            all.push((tercile, near(lower) || near(upper)));
        }
        all
    }

    /// Volatilities that revert to a mean which moves.
    fn volatilities(count: usize) -> Vec<f64> {
        let (mut rng, mut log) = (ChaCha8Rng::seed_from_u64(3), 0.0);
        let mut next = |step: usize| {
            let shock: f64 = StandardNormal.sample(&mut rng);
            log = 0.995 * log + 0.05 * shock;
            7e-4 * (log + (step as f64 / 3000.0).sin()).exp()
        };
        (0..count).map(&mut next).collect()
    }

    #[test]
    fn agrees_with_sorting_all_values() {
        let values = volatilities(20_000);
        let mut terciles = Terciles::new();
        let (mut counts, mut differences) = ([0; 3], 0);
        for (value, (expected, near)) in values.iter().zip(buckets(&values)) {
            terciles.add(*value);
            let found = terciles.tercile().index();
            assert!(found == expected || near, "{found} for {expected} at {value}");
            differences += usize::from(found != expected);
            counts[found] += 1;
        }
        assert!(differences < 200, "{differences} of 20,000");
        assert!(counts.iter().all(|count| (3000..11_000).contains(count)), "{counts:?}");
        assert!(terciles.counts.len() < 600, "{} bins", terciles.counts.len());
    }

    #[test]
    fn begins_in_the_middle_and_constants_stay_where_they_are() {
        let mut terciles = Terciles::new();
        for step in 0..1000 {
            terciles.add(3e-4);
            // As the prototype has it: what equals the upper boundary lies above it.
            assert_eq!(terciles.tercile(), if step < 240 { Tercile::Middle } else { Tercile::High });
        }
        terciles.add(2e-4);
        assert_eq!(terciles.tercile(), Tercile::Low);
        terciles.add(f64::NAN);
        assert_eq!(terciles.tercile(), Tercile::Low);
    }

    proptest! {
        #[test]
        fn is_bounded_and_a_restored_one_goes_on(
            values in prop::collection::vec(prop_oneof![any::<f64>(), 1e-5..1e-2_f64], 250..600),
            cut in 0..250_usize,
        ) {
            let mut terciles = Terciles::new();
            let mut restored = Terciles::new();
            for (step, value) in values.iter().enumerate() {
                if step == cut {
                    restored = serde_json::from_value(serde_json::to_value(&terciles).unwrap()).unwrap();
                }
                terciles.add(*value);
                restored.add(*value);
            }
            prop_assert!(terciles.counts.len() <= 2765);
            prop_assert_eq!(terciles.counts.iter().map(|count| u64::from(*count)).sum::<u64>(), terciles.count);
            if cut > 0 {
                prop_assert_eq!(terciles, restored);
            }
        }
    }
}
