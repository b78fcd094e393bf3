//! Bars as a monoid: partial aggregates that combine in any grouping to the same bits.

use super::fixed::raw_to_f64;
use super::{Fixed, Order, Side, Symbol, Timestamp};
use serde::{Deserialize, Serialize};

/// Open, high, low, close, volume: the aggregate of a span of time that holds at least one tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ohlcv {
    /// First price by `(event time, partition, offset)`.
    pub open: Fixed,
    /// Highest price.
    pub high: Fixed,
    /// Lowest price.
    pub low: Fixed,
    /// Last price.
    pub close: Fixed,
    /// Sum of sizes, in units of 1e-8.
    pub volume: i128,
    /// Sum of price times size, in units of 1e-16; saturates at 1.7e22.
    pub notional: i128,
    /// Sum of sizes that takers bought less sum of sizes that they sold, in units of 1e-8; what has no side counts 0.
    pub signed_volume: i128,
    /// Number of ticks, or of trades that candles stand for.
    pub count: u64,
    /// Whether `notional` is unknown: a candle in it does not say.
    pub notional_unknown: bool,
    /// Whether `count` is unknown: a candle in it does not say.
    pub count_unknown: bool,
    /// Whether `signed_volume` is unknown: a tick or candle in it has a volume, but does not say who took it.
    pub sides_unknown: bool,
}

/// The prices of a bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prices {
    /// First price.
    pub open: Fixed,
    /// Highest price.
    pub high: Fixed,
    /// Lowest price.
    pub low: Fixed,
    /// Last price.
    pub close: Fixed,
}

/// Why something is no bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OhlcvError {
    /// High is below low.
    #[error("`{high}` is below low `{low}`")]
    HighBelowLow {
        /// Lowest price.
        low: Fixed,
        /// Highest price.
        high: Fixed,
    },
    /// A volume below 0.
    #[error("a volume below 0")]
    NegativeVolume,
    /// More signed volume than volume.
    #[error("takers bought or sold more than the volume")]
    SignedBeyondVolume,
}

impl Ohlcv {
    /// The bar that a candle stands for; what it does not say is none. `volume` and `signed_volume` are in units of 1e-8,
    /// `notional` in units of 1e-16. Open and close were traded at: where they lie outside of low to high, as some
    /// exchanges round, the bar is as wide as they are.
    ///
    /// # Errors
    /// When high is below low, or takers moved more than the volume.
    pub fn new_checked(
        prices: Prices,
        volume: i128,
        notional: Option<i128>,
        signed_volume: Option<i128>,
        count: Option<u64>,
    ) -> Result<Self, OhlcvError> {
        let Prices { open, high, low, close } = prices;
        if high < low {
            return Err(OhlcvError::HighBelowLow { low, high });
        }
        let (low, high) = (low.min(open).min(close), high.max(open).max(close));
        if volume < 0 {
            return Err(OhlcvError::NegativeVolume);
        }
        if signed_volume.is_some_and(|signed| !(-volume..=volume).contains(&signed)) {
            return Err(OhlcvError::SignedBeyondVolume);
        }
        Ok(Self {
            open,
            high,
            low,
            close,
            volume,
            notional: notional.unwrap_or(0),
            signed_volume: signed_volume.unwrap_or(0),
            // A bar whose number of trades is unknown still is one observation.
            count: count.unwrap_or(1),
            notional_unknown: notional.is_none(),
            count_unknown: count.is_none(),
            sides_unknown: signed_volume.is_none(),
        })
    }

    /// The bar of one tick; `side`: where the record says. Nobody took a size of 0, so that its side is not missed.
    #[inline]
    #[must_use]
    pub fn of_tick(price: Fixed, size: Fixed, side: Option<Side>) -> Self {
        Self::of_trade(price, i128::from(size.raw()), side)
    }

    /// The bar of one trade of any size, in units of 1e-8.
    #[inline]
    #[must_use]
    pub fn of_trade(price: Fixed, size: i128, side: Option<Side>) -> Self {
        Self {
            open: price,
            high: price,
            low: price,
            close: price,
            volume: size,
            notional: i128::from(price.raw()).saturating_mul(size),
            signed_volume: size * i128::from(Side::sign(side)),
            count: 1,
            notional_unknown: false,
            count_unknown: false,
            sides_unknown: side.is_none() && size != 0,
        }
    }

    /// Takes in what lies after this bar in time.
    pub fn append(&mut self, later: &Self) {
        self.close = later.close;
        self.add_unordered(later);
    }

    /// Everything but open and close, which depend on the order.
    fn add_unordered(&mut self, other: &Self) {
        self.high = self.high.max(other.high);
        self.low = self.low.min(other.low);
        self.volume = self.volume.saturating_add(other.volume);
        self.notional = self.notional.saturating_add(other.notional);
        // No volume is above 2^87: no sum of fewer than 2^40 saturates, so that signs do not make the grouping matter.
        self.signed_volume = self.signed_volume.saturating_add(other.signed_volume);
        self.count = self.count.saturating_add(other.count);
        self.notional_unknown |= other.notional_unknown;
        self.count_unknown |= other.count_unknown;
        self.sides_unknown |= other.sides_unknown;
    }

    /// The volume-weighted average price in units of 1e-8, rounded half to even; none where the volume is 0 or
    /// a candle does not say.
    #[must_use]
    pub fn vwap_raw(&self) -> Option<i128> {
        if self.volume <= 0 || self.notional_unknown {
            return None;
        }
        let (quotient, remainder) = (self.notional / self.volume, self.notional % self.volume);
        let double = remainder.saturating_mul(2);
        let up = double > self.volume || (double == self.volume && quotient % 2 == 1);
        Some(quotient + i128::from(up))
    }

    /// The volume-weighted average price, as [`Ohlcv::vwap_raw`].
    #[must_use]
    pub fn vwap(&self) -> Option<f64> {
        self.vwap_raw().map(raw_to_f64)
    }

    /// The number of ticks, where it is known.
    #[must_use]
    pub fn known_count(&self) -> Option<u64> {
        (!self.count_unknown).then_some(self.count)
    }

    /// The volume bought less the volume sold by takers, in units of 1e-8, where all sides are known. Between `-volume`
    /// and `volume`.
    #[must_use]
    pub fn known_signed_volume_raw(&self) -> Option<i128> {
        (!self.sides_unknown).then_some(self.signed_volume)
    }

    /// Who took all of its volume, where one side did and that is known.
    #[must_use]
    pub fn taker(&self) -> Option<Side> {
        match self.known_signed_volume_raw()? {
            signed if signed > 0 && signed == self.volume => Some(Side::Buy),
            signed if signed < 0 && -signed == self.volume => Some(Side::Sell),
            _ => None,
        }
    }

    /// As [`Ohlcv::known_signed_volume_raw`].
    #[must_use]
    pub fn known_signed_volume(&self) -> Option<f64> {
        self.known_signed_volume_raw().map(raw_to_f64)
    }
}

/// What a tick adds to the signed volume: one multiplication, no branch on sides that nobody can predict.
#[inline]
fn signed(size: Fixed, side: Option<Side>) -> i128 {
    i128::from(size.raw()) * i128::from(Side::sign(side))
}

/// Whether a tick has a size, but no side.
#[inline]
fn is_missing(size: Fixed, side: Option<Side>) -> bool {
    side.is_none() & (size != Fixed::ZERO)
}

/// A part of one pane of one symbol, from one worker: an [`Ohlcv`] that still knows when its ends are, so that parts
/// combine in any order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Partial {
    /// The aggregate.
    pub bar: Ohlcv,
    /// Where `bar.open` comes from.
    pub first: Order,
    /// Where `bar.close` comes from.
    pub last: Order,
}

impl Partial {
    /// The part that holds one bar (a tick's, or a candle).
    #[must_use]
    pub const fn new(bar: Ohlcv, order: Order) -> Self {
        Self { bar, first: order, last: order }
    }

    /// Takes in one tick: the hot path.
    #[inline]
    pub fn add_tick(&mut self, price: Fixed, size: Fixed, side: Option<Side>, order: Order) {
        let bar = &mut self.bar;
        bar.volume += i128::from(size.raw());
        bar.notional = bar.notional.saturating_add(i128::from(price.raw()) * i128::from(size.raw()));
        bar.signed_volume += signed(size, side);
        bar.sides_unknown |= is_missing(size, side);
        bar.count += 1;
        bar.high = bar.high.max(price);
        bar.low = bar.low.min(price);
        if order > self.last {
            bar.close = price;
            self.last = order;
        } else if order < self.first {
            bar.open = price;
            self.first = order;
        }
    }

    /// Takes in another part of the same pane.
    pub fn merge(&mut self, other: &Self) {
        if other.first < self.first {
            self.bar.open = other.bar.open;
            self.first = other.first;
        }
        if other.last > self.last {
            self.bar.close = other.bar.close;
            self.last = other.last;
        }
        self.bar.add_unordered(&other.bar);
    }
}

/// One row of features: the sliding windows of one symbol that end at `end`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeatureRow {
    /// Of which symbol.
    pub symbol: Symbol,
    /// End of the pane, exclusive.
    pub end: Timestamp,
    /// The configured windows in their order; `None` where a window holds no tick.
    pub windows: Box<[Option<Ohlcv>]>,
    /// At the end of a step: the window of size `step`, the model's bar.
    pub bar: Option<Ohlcv>,
    /// The last price in or before the pane that ends at `end`.
    pub last_price: Fixed,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn part(at: i64, offset: u64, price: i64, size: i64, side: Option<Side>) -> Partial {
        let order = Order { at: Timestamp::from_millis(at), partition: super::super::PartitionId(0), offset, index: 0 };
        Partial::new(Ohlcv::of_tick(Fixed::from_raw(price), Fixed::from_raw(size), side), order)
    }

    /// Mostly known, as one tick without a side hides the sum.
    fn any_side() -> impl Strategy<Value = Option<Side>> {
        prop_oneof![20 => Just(Some(Side::Buy)), 20 => Just(Some(Side::Sell)), 1 => Just(None)]
    }

    fn any_size() -> impl Strategy<Value = i64> {
        prop_oneof![8 => 0_i64..1_000_000_000_000, 1 => Just(0), 1 => Just(i64::MAX)]
    }

    proptest! {
        /// Any order and grouping of the parts gives the same bits.
        #[test]
        fn parts_combine_in_any_order(
            ticks in proptest::collection::vec((0_i64..5, 1_i64..1_000_000_000_000, any_size(), any_side()), 1..40),
            swaps in proptest::collection::vec((0_usize..40, 0_usize..40), 0..40),
            cut in 0_usize..40,
        ) {
            let mut parts: Vec<Partial> = ticks.iter().enumerate().map(|(i, &(at, p, z, s))| part(at, i as u64, p, z, s)).collect();
            let merge = |parts: &[Partial]| parts.iter().skip(1).fold(parts[0], |mut sum, p| { sum.merge(p); sum });
            let whole = merge(&parts);
            let taken = |wanted| ticks.iter().filter(|t| t.3 == Some(wanted)).map(|t| i128::from(t.2)).sum::<i128>();
            prop_assert_eq!(whole.bar.signed_volume, taken(Side::Buy) - taken(Side::Sell));
            prop_assert_eq!(whole.bar.sides_unknown, ticks.iter().any(|t| t.3.is_none() && t.2 > 0));
            let mut ticked = parts[0];
            for (p, &(_, _, size, side)) in parts.iter().zip(&ticks).skip(1) {
                ticked.add_tick(p.bar.close, Fixed::from_raw(size), side, p.first);
            }
            prop_assert_eq!(ticked, whole);
            for &(a, b) in &swaps {
                let n = parts.len();
                parts.swap(a % n, b % n);
            }
            prop_assert_eq!(merge(&parts), whole);
            let cut = cut % parts.len();
            if cut > 0 {
                let mut left = merge(&parts[..cut]);
                left.merge(&merge(&parts[cut..]));
                prop_assert_eq!(left, whole);
            }
        }
    }

    #[test]
    fn the_signed_volume_is_known_where_each_size_has_a_side() {
        let mut bar = part(0, 0, 1, 300, Some(Side::Buy)).bar;
        bar.append(&part(0, 1, 1, 500, Some(Side::Sell)).bar);
        assert_eq!(
            (bar.volume, bar.known_signed_volume_raw(), bar.known_signed_volume()),
            (800, Some(-200), Some(-2e-6))
        );
        bar.append(&part(0, 2, 1, 0, None).bar);
        assert_eq!(bar.known_signed_volume_raw(), Some(-200));
        bar.append(&part(0, 3, 1, 1, None).bar);
        assert_eq!((bar.known_signed_volume_raw(), bar.known_signed_volume()), (None, None));
        bar.append(&part(0, 4, 1, 1, Some(Side::Buy)).bar);
        assert_eq!(bar.known_signed_volume_raw(), None);
    }

    #[test]
    fn vwap_is_exact_and_rounds_half_to_even() {
        let mut bar = part(0, 0, 1, 1, None).bar;
        bar.append(&part(0, 1, 2, 1, None).bar);
        assert_eq!(bar.vwap_raw(), Some(2)); // (1 + 2) / 2 = 1.5 units
        bar.volume = 0;
        assert_eq!(bar.vwap_raw(), None);
    }
}
