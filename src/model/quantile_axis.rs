//! The axis on which [`super::quantile_window`] counts labels.

use serde::{Deserialize, Serialize};

/// Bins of a cell.
pub(super) const BINS: usize = 24;
/// The far end of the axis; what lies beyond counts as just inside.
pub(super) const MAGNITUDE_MAX: f64 = 1e3;

/// The axis of labels, cut into cells: some of equal width on each side of zero, then some of equal ratio.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Axis {
    /// Cells below zero: none, or as many as above.
    pub(super) negative: usize,
    /// Cells of equal width above zero.
    linear: usize,
    /// Cells of equal ratio beyond those.
    geometric: usize,
    /// Width of the linear ones.
    width: f64,
}

impl Axis {
    /// Of |z|.
    pub(super) const ABSOLUTE: Self = Self { negative: 0, linear: 24, geometric: 7, width: 0.12 };
    /// Of z.
    pub(super) const SIGNED: Self = Self { negative: 16, linear: 12, geometric: 4, width: 0.24 };

    /// All cells, with that of zero.
    pub(super) fn cells(&self) -> usize {
        self.negative + 1 + self.linear + self.geometric
    }

    /// Where the linear cells end.
    fn bend(&self) -> f64 {
        self.linear as f64 * self.width
    }

    /// Logarithm of the ratio of the geometric cells' ends.
    fn log_ratio(&self) -> f64 {
        libm::log(MAGNITUDE_MAX / self.bend()) / self.geometric as f64
    }

    /// How many cells from zero a magnitude lies.
    fn distance(&self, magnitude: f64) -> f64 {
        if magnitude < self.bend() {
            magnitude / self.width
        } else {
            self.linear as f64 + libm::log(magnitude / self.bend()) / self.log_ratio()
        }
    }

    /// The inverse of [`Self::distance`].
    fn magnitude(&self, distance: f64) -> f64 {
        let beyond = distance - self.linear as f64;
        if beyond < 0.0 { distance * self.width } else { self.bend() * libm::exp(beyond * self.log_ratio()) }
    }

    /// Cell and bin of a label; both ascend with it.
    pub(super) fn place(&self, z: f64) -> (usize, usize) {
        let magnitude = if self.negative == 0 { z.abs() } else { z };
        if magnitude == 0.0 {
            return (self.negative, 0);
        }
        let side = self.linear + self.geometric;
        let distance = self.distance(magnitude.abs());
        let step = (distance as usize).min(side - 1);
        let bin = (((distance - step as f64) * BINS as f64) as usize).min(BINS - 1);
        if magnitude > 0.0 { (self.negative + 1 + step, bin) } else { (self.negative - 1 - step, BINS - 1 - bin) }
    }

    /// The value at `position`, in [0, 1], of a cell.
    pub(super) fn value(&self, cell: usize, position: f64) -> f64 {
        match cell.checked_sub(self.negative) {
            Some(0) => 0.0,
            Some(above) => self.magnitude((above - 1) as f64 + position),
            None => -self.magnitude((self.negative - 1 - cell) as f64 + 1.0 - position),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn places_ascend_and_hold_their_values(z in prop_oneof![-999.0..999.0_f64, -2.9..2.9_f64, -1e-9..1e-9_f64]) {
            for axis in [Axis::ABSOLUTE, Axis::SIGNED] {
                let (cell, bin) = axis.place(z);
                let value = if axis.negative == 0 { z.abs() } else { z };
                let low = axis.value(cell, bin as f64 / BINS as f64);
                let high = axis.value(cell, (bin + 1) as f64 / BINS as f64);
                let room = value.abs() * 1e-9;
                prop_assert!(low - room <= value && value <= high + room, "{value} in {low} to {high}");
            }
        }
    }
}
