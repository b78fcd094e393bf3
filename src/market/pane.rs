//! Panes: what the dataflow counts.

use super::{Span, Timestamp};
use serde::{Deserialize, Serialize};

/// Number of a pane, and the clock of the dataflow: pane `k` is `[k*slide, (k+1)*slide)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pane(u64);

impl Pane {
    /// Behind every other.
    pub const LAST: Self = Self(u64::MAX);

    /// From its number.
    #[must_use]
    pub const fn from_number(number: u64) -> Self {
        Self(number)
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }

    /// The pane after it.
    #[must_use]
    pub const fn following(self) -> Self {
        self.plus(1)
    }

    /// The pane before it; none before the first.
    #[must_use]
    pub const fn previous(self) -> Option<Self> {
        match self.0.checked_sub(1) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// So many panes later, the last one at the most.
    #[must_use]
    pub const fn plus(self, panes: u64) -> Self {
        Self(self.0.saturating_add(panes))
    }

    /// So many panes earlier, the first one at the least.
    #[must_use]
    pub const fn minus(self, panes: u64) -> Self {
        Self(self.0.saturating_sub(panes))
    }
}

/// The length of a pane. Pane `k` is `[k*slide, (k+1)*slide)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slide(i64);

impl Slide {
    /// A slide of `span`.
    ///
    /// # Panics
    /// When `span` is zero: configurations are checked before.
    #[must_use]
    pub fn new(span: Span) -> Self {
        assert!(span.millis() > 0, "slide must be positive");
        Self(span.millis())
    }

    /// The pane that holds `at`; 0 for stamps before 1970.
    #[must_use]
    pub fn pane_of(self, at: Timestamp) -> Pane {
        Pane(u64::try_from(at.millis().div_euclid(self.0)).unwrap_or(0))
    }

    /// The first stamp after pane `pane`.
    #[must_use]
    pub fn end_of(self, pane: Pane) -> Timestamp {
        Timestamp::from_millis((i64::try_from(pane.0).unwrap_or(i64::MAX - 1) + 1).saturating_mul(self.0))
    }

    /// The first stamp of pane `pane`.
    #[must_use]
    pub fn start_of(self, pane: Pane) -> Timestamp {
        self.end_of(pane).minus(self.span())
    }

    /// The pane that ends at `end`, where one does.
    #[must_use]
    pub fn pane_ending_at(self, end: Timestamp) -> Option<Pane> {
        let end = end.millis();
        (end > 0 && end % self.0 == 0).then(|| Pane((end / self.0 - 1) as u64))
    }

    /// The length.
    #[must_use]
    pub const fn span(self) -> Span {
        Span::from_millis(self.0)
    }

    /// How many panes `span` covers, rounded up.
    #[must_use]
    pub fn panes_in(self, span: Span) -> u64 {
        u64::try_from((span.millis() + self.0 - 1) / self.0).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panes_stay_within_what_there_is() {
        assert_eq!((Pane(0).previous(), Pane(1).previous(), Pane(0).minus(3)), (None, Some(Pane(0)), Pane(0)));
        assert_eq!((Pane::LAST.following(), Pane(4).plus(2)), (Pane::LAST, Pane(6)));
    }

    #[test]
    fn panes_are_half_open() {
        let slide = Slide::new(Span::from_millis(5000));
        assert_eq!(slide.pane_of(Timestamp::from_millis(9999)), Pane(1));
        assert_eq!(slide.pane_of(Timestamp::from_millis(10_000)), Pane(2));
        assert_eq!(slide.end_of(Pane(1)), Timestamp::from_millis(10_000));
        assert_eq!(slide.pane_ending_at(Timestamp::from_millis(10_000)), Some(Pane(1)));
        assert_eq!(slide.pane_ending_at(Timestamp::from_millis(10_001)), None);
    }
}
