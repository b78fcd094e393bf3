//! Layer 2 of the recipe: the shape of the standardised returns, as empirical quantiles over the last labels.
//!
//! The exact order statistics of 20,000 labels would need 160 kB, and a symbol has two dozen such windows. So labels are
//! counted, twice:
//!
//! - **when**: in which of some thirty *cells* of the axis they fell, in *runs* of at most 250 labels each. The runs leave
//!   one by one; the oldest counts with the share of it that is still inside of the window. This gives the mass of each cell.
//! - **where**: each cell has 24 *bins*, counted in *blocks* of 40 runs. This gives how a cell's mass lies inside of it.
//!
//! A bin that is full halves its cell's bins in its block: proportions stay, and the mass, which comes from the runs, is
//! never lost. Exact zeros, of which quiet markets have many, are a cell of their own.

use super::prior::Magnitudes;
use super::quantile_axis::{Axis, BINS};
use crate::evaluation::pinball::NORMAL_QUANTILES;
use crate::market::forecast::LEVELS;
use serde::{Deserialize, Serialize};

/// Quantiles are as before until more labels than this came.
const LABELS_MIN: u64 = 50;
/// A run holds at most this many labels, so that its counts fit in bytes.
const RUN_LABELS_MAX: usize = 250;
/// A window is split into this many runs, or more.
const RUNS: usize = 80;
/// Runs of a block.
const BLOCK_RUNS: usize = 40;

/// Quantiles at [`LEVELS`] of the last labels, refreshed on demand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QuantileWindow {
    axis: Axis,
    run_labels: usize,
    runs: usize,
    blocks: usize,
    /// Labels so far.
    count: u64,
    /// Ring of one run more than the window has: `[run, cell]`.
    run_counts: Vec<u8>,
    /// Ring of as many blocks as those runs touch: `[block, cell, bin]`.
    bin_counts: Vec<u8>,
    quantiles: [f64; 5],
    /// Labels as of the last refresh.
    refreshed: u64,
}

impl QuantileWindow {
    /// Quantiles of |z|: those at `tau` give the value at level `|2 tau - 1|` with the sign of `tau - 1/2`; the median is 0.
    /// Over the last `labels` labels, rounded up to whole runs.
    #[must_use]
    pub fn symmetric(labels: usize) -> Self {
        Self::new(labels, Axis::ABSOLUTE)
    }

    /// Quantiles of z itself, on a grid half as fine. Over the last `labels` labels, rounded up to whole runs.
    #[must_use]
    pub fn asymmetric(labels: usize) -> Self {
        Self::new(labels, Axis::SIGNED)
    }

    fn new(labels: usize, axis: Axis) -> Self {
        let run_labels = labels.div_ceil(RUNS).clamp(1, RUN_LABELS_MAX);
        let runs = labels.div_ceil(run_labels).max(1);
        let blocks = runs.div_ceil(BLOCK_RUNS) + 1;
        let cells = axis.cells();
        let (run_counts, bin_counts) = (vec![0; (runs + 1) * cells], vec![0; blocks * cells * BINS]);
        Self {
            axis,
            run_labels,
            runs,
            blocks,
            count: 0,
            run_counts,
            bin_counts,
            quantiles: NORMAL_QUANTILES,
            refreshed: 0,
        }
    }

    /// Takes in a label; what is not finite is ignored.
    pub fn add(&mut self, z: f64) {
        if !z.is_finite() {
            return;
        }
        let run_labels = self.run_labels as u64;
        let run = self.count / run_labels;
        if self.count.is_multiple_of(run_labels) {
            let place = self.run_place(run, 0);
            self.run_counts[place..place + self.axis.cells()].fill(0);
            if run.is_multiple_of(BLOCK_RUNS as u64) {
                let place = self.block_place(run, 0);
                self.bin_counts[place..place + self.axis.cells() * BINS].fill(0);
            }
        }
        self.count += 1;
        let (cell, bin) = self.axis.place(z);
        let place = self.run_place(run, cell);
        self.run_counts[place] += 1;
        let place = self.block_place(run, cell);
        let bins = &mut self.bin_counts[place..place + BINS];
        if bins[bin] == u8::MAX {
            bins.iter_mut().for_each(|count| *count = count.div_ceil(2));
        }
        bins[bin] += 1;
    }

    /// Brings [`Self::quantiles`] up to date. Changes nothing while at most 50 labels came.
    pub fn refresh(&mut self) {
        if self.count > LABELS_MIN {
            self.refresh_early();
        }
    }

    /// The same from the first label on, for [`Self::refined`].
    pub fn refresh_early(&mut self) {
        if self.count == 0 {
            return;
        }
        let masses = self.cell_masses();
        let labels = self.count.min((self.runs * self.run_labels) as u64) as f64;
        let symmetric = self.axis.negative == 0;
        let mut quantiles = [0.0; 5];
        for (quantile, level) in quantiles.iter_mut().zip(LEVELS) {
            let side = 2.0 * level - 1.0;
            *quantile = if !symmetric {
                self.order_statistic(&masses, (level * labels).floor().min(labels - 1.0))
            } else if side == 0.0 {
                0.0
            } else {
                side.signum() * self.order_statistic(&masses, (side.abs() * labels).floor().min(labels - 1.0))
            };
        }
        (self.quantiles, self.refreshed) = (quantiles, self.count);
    }

    /// Labels so far.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The quantiles as of the last refresh, held to a prior for as long as labels are few; ascending.
    #[must_use]
    pub fn refined(&self, prior: &Magnitudes) -> [f64; 5] {
        let mut quantiles = [0.0; 5];
        for (at, level) in LEVELS.into_iter().enumerate() {
            let quantile = prior.refined(level, self.quantiles[at], self.refreshed);
            quantiles[at] = if at == 0 { quantile } else { quantile.max(quantiles[at - 1]) };
        }
        quantiles
    }

    /// The quantiles at [`LEVELS`], ascending, as of the last refresh; until then those of the standard normal distribution.
    #[must_use]
    pub fn quantiles(&self) -> [f64; 5] {
        self.quantiles
    }

    /// Where the counts of `run` begin at `cell`.
    fn run_place(&self, run: u64, cell: usize) -> usize {
        (run % (self.runs as u64 + 1)) as usize * self.axis.cells() + cell
    }

    /// Where the bins of `cell` begin in the block that `run` belongs to.
    fn block_place(&self, run: u64, cell: usize) -> usize {
        let block = (run / BLOCK_RUNS as u64 % self.blocks as u64) as usize;
        (block * self.axis.cells() + cell) * BINS
    }

    /// The runs that reach into the window, oldest first, and the share of each that is inside of it.
    fn live_runs(&self) -> impl Iterator<Item = (u64, f64)> {
        let newest = self.count.saturating_sub(1) / self.run_labels as u64;
        let filled = self.count - newest * self.run_labels as u64;
        let leaving = newest.checked_sub(self.runs as u64);
        let share = 1.0 - filled as f64 / self.run_labels as f64;
        let first = leaving.map_or(0, |run| run + 1);
        leaving.map(|run| (run, share)).into_iter().chain((first..=newest).map(|run| (run, 1.0)))
    }

    /// Labels of the window in each cell.
    fn cell_masses(&self) -> Vec<f64> {
        let cells = self.axis.cells();
        let mut masses = vec![0.0; cells];
        for (run, share) in self.live_runs() {
            let place = self.run_place(run, 0);
            for (mass, count) in masses.iter_mut().zip(&self.run_counts[place..place + cells]) {
                *mass += share * f64::from(*count);
            }
        }
        masses
    }

    /// The value that `rank` labels of the window lie below.
    fn order_statistic(&self, masses: &[f64], rank: f64) -> f64 {
        // The middle of the label's own place among the masses.
        let mut rest = rank + 0.5;
        let last = masses.len() - 1;
        for (cell, mass) in masses.iter().enumerate() {
            if rest <= *mass || cell == last {
                return self.axis.value(cell, self.position(cell, (rest / mass).min(1.0)));
            }
            rest -= mass;
        }
        0.0
    }

    /// How far into `cell`, in [0, 1], the given share of its mass lies.
    fn position(&self, cell: usize, share: f64) -> f64 {
        let mut bins = [0.0; BINS];
        let (mut block_mass, mut runs) = (0.0, self.live_runs().peekable());
        while let Some((run, run_share)) = runs.next() {
            block_mass += run_share * f64::from(self.run_counts[self.run_place(run, cell)]);
            if runs.peek().is_none_or(|(next, _)| next.is_multiple_of(BLOCK_RUNS as u64)) {
                let place = self.block_place(run, cell);
                let counts = &self.bin_counts[place..place + BINS];
                let total: f64 = counts.iter().map(|count| f64::from(*count)).sum();
                if total > 0.0 {
                    bins.iter_mut().zip(counts).for_each(|(bin, count)| *bin += block_mass * f64::from(*count) / total);
                }
                block_mass = 0.0;
            }
        }
        let mut rest = share * bins.iter().sum::<f64>();
        for (bin, mass) in bins.iter().enumerate() {
            if rest <= *mass && *mass > 0.0 {
                return (bin as f64 + rest / mass) / BINS as f64;
            }
            rest -= mass;
        }
        1.0
    }
}

#[cfg(test)]
mod tests {
    use super::super::quantile_axis::MAGNITUDE_MAX;
    use super::*;
    use proptest::prelude::*;
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;
    use rand_distr::{Distribution, StudentT};

    /// The prototype's answer: order statistics of the last `size` labels.
    fn exact(labels: &[f64], size: usize, symmetric: bool) -> [f64; 5] {
        let size = size.min(labels.len());
        let mut sorted = labels[labels.len() - size..].to_vec();
        if symmetric {
            sorted.iter_mut().for_each(|z| *z = z.abs());
        }
        sorted.sort_by(f64::total_cmp);
        let at = |share: f64| sorted[((share * size as f64) as usize).min(size - 1)];
        LEVELS.map(|level| match (symmetric, 2.0 * level - 1.0) {
            (false, _) => at(level),
            (true, 0.0) => 0.0,
            (true, side) => side.signum() * at(side.abs()),
        })
    }

    /// Heavy tails whose scale changes by a tenth within days of minutes.
    fn noise(count: usize) -> Vec<f64> {
        let (mut rng, law) = (ChaCha8Rng::seed_from_u64(7), StudentT::new(5.0).unwrap());
        let scale = |step: usize| 0.775 * (1.0 + 0.1 * (step as f64 / 1100.0).sin());
        (0..count).map(|step| scale(step) * law.sample(&mut rng)).collect()
    }

    /// Root mean square of the differences to the exact quantiles.
    fn errors(mut window: QuantileWindow, size: usize) -> [f64; 5] {
        let labels = noise(45_000);
        let symmetric = window.axis.negative == 0;
        let (mut squares, mut times) = ([0.0; 5], 0.0);
        for (step, z) in labels.iter().enumerate() {
            window.add(*z);
            if step >= 500 && step % 300 == 0 {
                window.refresh();
                let exact = exact(&labels[..=step], size, symmetric);
                for (place, square) in squares.iter_mut().enumerate() {
                    *square += (window.quantiles()[place] - exact[place]).powi(2);
                }
                times += 1.0;
            }
        }
        squares.map(|square: f64| (square / times).sqrt())
    }

    #[test]
    fn answers_as_exact_order_statistics_do() {
        // The quantiles of 20,000 labels themselves err by .01.
        let of_many = errors(QuantileWindow::symmetric(20_000), 20_000);
        assert!(of_many[4] < 0.0012 && of_many[3] < 0.0007 && of_many[2] == 0.0, "{of_many:?}");
        assert_eq!([of_many[0], of_many[1]], [of_many[4], of_many[3]]);
        let of_few = errors(QuantileWindow::symmetric(10_000), 10_000);
        assert!(of_few[4] < 0.002 && of_few[3] < 0.001, "{of_few:?}");
        let signed = errors(QuantileWindow::asymmetric(20_000), 20_000);
        assert!(signed.iter().all(|error| *error < 0.003), "{signed:?}");
    }

    #[test]
    fn is_gaussian_until_more_than_fifty_labels_came() {
        let mut window = QuantileWindow::symmetric(1000);
        for _ in 0..50 {
            window.add(2.0);
            window.add(f64::NAN);
            window.add(f64::INFINITY);
            window.refresh();
            assert_eq!(window.quantiles(), NORMAL_QUANTILES);
        }
        window.add(-2.0);
        assert_eq!(window.quantiles(), NORMAL_QUANTILES, "not refreshed yet");
        window.refresh();
        assert!((window.quantiles()[4] - 2.0).abs() < 0.005, "{:?}", window.quantiles());
    }

    #[test]
    fn full_bins_lose_no_mass_and_zeros_are_exact() {
        let mut symmetric = QuantileWindow::symmetric(20_000);
        let mut asymmetric = QuantileWindow::asymmetric(20_000);
        for step in 0..70_000 {
            let z = [0.0, 0.7004, 0.0, -3.0, 0.0, -3.0, 0.0, -0.7012, 0.0, -0.0][step % 10];
            symmetric.add(z);
            asymmetric.add(z);
        }
        symmetric.refresh();
        asymmetric.refresh();
        let [_, low, middle, high, top] = symmetric.quantiles();
        assert_eq!([low, middle, high], [0.0; 3]);
        assert!((top - 3.0).abs() < 0.11, "{top}");
        let [bottom, low, middle, high, top] = asymmetric.quantiles();
        assert!((bottom + 3.0).abs() < 0.21 && (low + 0.7012).abs() < 0.011, "{bottom} {low}");
        assert_eq!([middle, high], [0.0; 2]);
        assert!((top - 0.7004).abs() < 0.011, "{top}");
    }

    #[test]
    fn proportions_survive_full_bins() {
        let mut window = QuantileWindow::symmetric(20_000);
        // Both in one cell; the bin of the first overflows often. Level .9 is among the second.
        for step in 0..30_000 {
            window.add(if step % 5 == 4 { 0.715 } else { 0.602 });
        }
        window.refresh();
        let [.., half, most] = window.quantiles();
        assert!((half - 0.602).abs() < 0.005 && (most - 0.715).abs() < 0.005, "{half} {most}");
    }

    #[test]
    fn old_labels_leave() {
        for size in [10_000, 20_000, 777] {
            let (mut window, mut fresh) = (QuantileWindow::symmetric(size), QuantileWindow::symmetric(size));
            let held = window.runs * window.run_labels;
            assert!((size..size + size / 50).contains(&held), "{held} of {size}");
            let labels = noise(4 * held);
            labels[..3 * held].iter().for_each(|z| window.add(5.0 * z));
            labels[3 * held..].iter().for_each(|z| window.add(*z));
            labels[3 * held..].iter().for_each(|z| fresh.add(*z));
            window.refresh();
            fresh.refresh();
            for (old, new) in window.quantiles().iter().zip(fresh.quantiles()) {
                // How labels lie inside of a cell is known by blocks, which begin elsewhere.
                assert!((old - new).abs() < 0.005, "{old} for {new} with {size}");
            }
        }
    }

    #[test]
    fn a_window_takes_five_kilobytes() {
        for window in [QuantileWindow::symmetric(20_000), QuantileWindow::asymmetric(10_000)] {
            let bytes = window.run_counts.len() + window.bin_counts.len() + size_of::<QuantileWindow>();
            assert!(bytes < 5300, "{bytes}");
        }
    }

    proptest! {
        #[test]
        fn quantiles_ascend_and_a_restored_window_goes_on(
            labels in prop::collection::vec(prop_oneof![any::<f64>(), -3.0..3.0_f64, Just(0.0)], 60..400),
            size in 1..300_usize,
            cut in 0..400_usize,
        ) {
            for mut window in [QuantileWindow::symmetric(size), QuantileWindow::asymmetric(size)] {
                let mut restored = window.clone();
                for (step, z) in labels.iter().enumerate() {
                    if step == cut.min(labels.len() - 1) {
                        restored = serde_json::from_value(serde_json::to_value(&window).unwrap()).unwrap();
                    }
                    window.add(*z);
                    window.refresh();
                    restored.add(*z);
                    restored.refresh();
                    let quantiles = window.quantiles();
                    prop_assert!(quantiles.iter().all(|q| q.abs() <= MAGNITUDE_MAX * 1.000_001), "{quantiles:?}");
                    prop_assert!(quantiles.is_sorted(), "{quantiles:?}");
                }
                prop_assert_eq!(&window, &restored);
            }
        }
    }
}
