//! The dataflow's clock is the pane: timely and differential are told how panes are ordered and move on.

use crate::market::Pane;
use differential_dataflow::lattice::Lattice;
use timely::order::{PartialOrder, TotalOrder};
use timely::progress::Timestamp;
use timely::progress::timestamp::{PathSummary, Refines};

impl PartialOrder for Pane {
    #[inline]
    fn less_than(&self, other: &Self) -> bool {
        self < other
    }

    #[inline]
    fn less_equal(&self, other: &Self) -> bool {
        self <= other
    }
}

impl TotalOrder for Pane {}

/// A path through the graph takes a number of panes.
impl PathSummary<Pane> for u64 {
    #[inline]
    fn results_in(&self, pane: &Pane) -> Option<Pane> {
        pane.number().checked_add(*self).map(Pane::from_number)
    }

    #[inline]
    fn followed_by(&self, other: &Self) -> Option<Self> {
        self.checked_add(*other)
    }
}

impl Timestamp for Pane {
    type Summary = u64;

    fn minimum() -> Self {
        Self::default()
    }
}

impl Refines<()> for Pane {
    fn to_inner(_: ()) -> Self {
        Self::default()
    }

    fn to_outer(self) {}

    fn summarize(_: u64) {}
}

impl Lattice for Pane {
    #[inline]
    fn join(&self, other: &Self) -> Self {
        *self.max(other)
    }

    #[inline]
    fn meet(&self, other: &Self) -> Self {
        *self.min(other)
    }
}
