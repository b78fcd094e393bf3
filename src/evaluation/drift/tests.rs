//! ADWIN against brute force, published figures, and what it promises.

use super::*;
use proptest::prelude::*;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Uniform within [0, 1).
fn uniform(rng: &mut ChaCha8Rng) -> f64 {
    (rng.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
}

fn cut(n0: f64, n1: f64, variance: f64, delta: f64) -> f64 {
    let (m, log) = (1.0 / (1.0 / n0 + 1.0 / n1), (2.0 * (n0 + n1).ln() / delta).ln());
    (2.0 / m * variance * log).sqrt() + 2.0 / (3.0 * m) * log
}

/// The same by brute force: every bucket keeps its values.
struct Slow {
    delta: f64,
    /// Oldest first.
    buckets: Vec<Vec<f64>>,
    seen: u64,
}

impl Slow {
    fn add(&mut self, value: f64) -> bool {
        self.buckets.push(vec![value]);
        let mut size = 1;
        while let Some(places) = self.too_many(size) {
            let newer = self.buckets.remove(places[1]);
            self.buckets[places[0]].extend(newer);
            size *= 2;
        }
        self.seen += 1;
        let mut found = false;
        while self.seen.is_multiple_of(32) && self.differs() {
            self.buckets.remove(0);
            found = true;
        }
        found
    }

    /// Places of the six buckets of `size` values, if there are so many.
    fn too_many(&self, size: usize) -> Option<Vec<usize>> {
        let places: Vec<usize> = (0..self.buckets.len()).filter(|at| self.buckets[*at].len() == size).collect();
        (places.len() > 5).then_some(places)
    }

    fn differs(&self) -> bool {
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let all = self.buckets.concat();
        let centre = mean(&all);
        let variance = mean(&all.iter().map(|x| (x - centre) * (x - centre)).collect::<Vec<_>>());
        (1..self.buckets.len()).any(|at| {
            let (old, new) = all.split_at(self.buckets[..at].concat().len());
            let limit = cut(old.len() as f64, new.len() as f64, variance, self.delta);
            old.len() >= 5 && new.len() >= 5 && (mean(old) - mean(new)).abs() > limit
        })
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Stretches of values around changing means; 64ths, so that the sums are exact either way.
    #[test]
    fn decides_as_brute_force_does(
        stretches in prop::collection::vec((0..48_u32, 1..17_u32, 1..400_usize), 1..6),
        delta in prop::sample::select(vec![0.3, 0.05, 0.002]),
        seed in any::<u64>(),
    ) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let (mut adwin, mut slow) = (Adwin::new(delta), Slow { delta, buckets: Vec::new(), seen: 0 });
        for (base, noise, length) in stretches {
            for _ in 0..length {
                let value = (f64::from(base) + (f64::from(noise) * uniform(&mut rng)).floor()) / 64.0;
                prop_assert_eq!(adwin.add(value), slow.add(value), "at {}", slow.seen);
                let all = slow.buckets.concat();
                prop_assert_eq!(adwin.width(), all.len() as u64);
                prop_assert_eq!(adwin.mean(), all.iter().sum::<f64>() / all.len() as f64);
                let sizes: Vec<u64> = slow.buckets.iter().map(|bucket| bucket.len() as u64).collect();
                prop_assert_eq!(adwin.buckets().map(|(size, _)| size).collect::<Vec<_>>(), sizes);
            }
        }
    }
}

/// The example in the documentation of River's ADWIN: 1,000 values of 0 or 1, then 1,000 of 4 to 7; "Change detected
/// at index 1023, input value: 4". Here the values are divided by 7. `rng = random.Random(12345)` of Python,
/// `rng.choices([0, 1], k=1000)` as bits, then the first of `rng.choices(range(4, 8), k=1000)`.
#[test]
fn finds_the_change_of_rivers_example_where_river_does() {
    let bits = "222aa8771deb7322f655c8c3590c849e39621e8722181576e36149015fd9c4fcc85bf744ae42ffe7036322178ab8793e\
                09c6ec5cd4062f61aec3cfc385de66aa80f28a830440e5e0c5162f97462f674f2fce128367cf93cf374e9cff5c02d1a6\
                be3fbe0531022abebe89e1571121b5878a2675b0c3bbd884f1c14aedfb";
    let low = bits.chars().flat_map(|digit| {
        let digit = digit.to_digit(16).unwrap();
        (0..4).rev().map(move |bit| (digit >> bit) & 1)
    });
    let high = "467467546776475667646674".chars().map(|digit| digit.to_digit(10).unwrap());
    let mut adwin = Adwin::default();
    let found: Vec<_> = low.chain(high).enumerate().filter(|(_, value)| adwin.add(f64::from(*value) / 7.0)).collect();
    assert_eq!(found, [(1023, 4)]);
}

/// Checks are independent enough to count; a series alarms again after an alarm, which only adds to the count.
#[test]
fn false_alarms_are_as_rare_as_delta_says() {
    let shapes: [fn(f64) -> f64; 4] =
        [|u| u, |u| f64::from(u8::from(u < 0.5)), |u| f64::from(u8::from(u < 0.03)), |u| u.powi(6)];
    for (shape, seed) in shapes.iter().zip(1..) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut alarms = 0;
        for _ in 0..100 {
            let mut adwin = Adwin::new(0.05);
            for _ in 0..3200 {
                adwin.add(shape(uniform(&mut rng)));
            }
            alarms += adwin.changes();
        }
        assert!(alarms <= 500, "{alarms} alarms in 10,000 checks exceed 5 %");
    }
}

/// The paper's theorem 3.1, part 2: a shift larger than twice the limit is found, but for a part of delta.
#[test]
fn a_shift_is_found_when_it_exceeds_twice_the_limit() {
    let (before, shift) = (3200, 0.3);
    // Uniform noise of width 0.6, and two means `shift` apart.
    let variance = |n1: f64| {
        let part = n1 / (3200.0 + n1);
        0.03 + part * (1.0 - part) * shift * shift
    };
    let deadline =
        (1..).map(|check| f64::from(check) * 32.0).find(|n1| shift > 2.0 * cut(3200.0, *n1, variance(*n1), DELTA));
    let mut delays = Vec::new();
    for seed in 0..50 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut adwin = Adwin::default();
        assert!((0..before).all(|_| !adwin.add(0.6 * uniform(&mut rng))), "a false alarm with seed {seed}");
        let delay = (1..1000).find(|_| adwin.add(0.6 * uniform(&mut rng) + shift));
        delays.push(f64::from(delay.unwrap()));
        for _ in 0..1000 {
            adwin.add(0.6 * uniform(&mut rng) + shift);
        }
        assert!((adwin.mean() - 0.6).abs() < 0.05, "{} still holds old values", adwin.mean());
    }
    assert!(delays.iter().all(|delay| *delay <= deadline.unwrap()), "{delays:?}, not all within {deadline:?}");
}

#[test]
fn a_million_values_take_a_hundred_buckets() {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let mut adwin = Adwin::new(1e-9);
    for count in 1..=1_000_000_u64 {
        adwin.add(uniform(&mut rng));
        if count.is_multiple_of(997) {
            // All rows but the last hold four or five, so `n >= 4 (2^(rows - 1) - 1) + 2^(rows - 1)`.
            let rows = 1 + count.div_ceil(5).ilog2() as usize;
            assert!(adwin.buckets().count() <= BUCKETS * rows, "{} buckets at {count}", adwin.buckets().count());
        }
    }
    assert_eq!((adwin.width(), adwin.changes()), (1_000_000, 0));
    assert!(adwin.buckets().count() <= 95);
    assert!((adwin.mean() - 0.5).abs() < 0.002);
}

#[test]
fn goes_on_from_a_checkpoint_with_the_same_bits() {
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    let mut adwin = Adwin::new(0.3);
    for step in 0..3001 {
        adwin.add(0.5 * uniform(&mut rng) + f64::from(step / 1500) * 0.2);
    }
    let mut again: Adwin = serde_json::from_str(&serde_json::to_string(&adwin).unwrap()).unwrap();
    for step in 0..3000 {
        let value = 0.5 * uniform(&mut rng) + f64::from(step / 1000) * 0.2;
        assert_eq!(adwin.add(value), again.add(value));
    }
    assert_eq!(adwin, again);
    assert!(adwin.changes() >= 2, "{}", adwin.changes());
}

/// Three ones after 29 zeros: a cut would show, but for so few values the variance of the window says little.
#[test]
fn a_part_has_at_least_five_values() {
    assert!(1.0 > cut(29.0, 3.0, 29.0 * 3.0 / 32.0 / 32.0, 0.9));
    let mut adwin = Adwin::new(0.9);
    assert!((0..32).all(|at| !adwin.add(f64::from(u8::from(at >= 29)))));
}

#[test]
fn odd_values_do_no_harm() {
    let mut adwin = Adwin::default();
    assert_eq!((adwin.mean(), adwin.width()), (0.0, 0));
    for value in [f64::NAN, f64::INFINITY, -7.0, 0.5] {
        adwin.add(value);
    }
    assert_eq!((adwin.mean(), adwin.width()), (0.5, 3));
}
