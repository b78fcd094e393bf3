//! Bars as a monoid: partial aggregates that combine in any grouping to the same bits.

use super::fixed::raw_to_f64;
use super::{Fixed, Order, Symbol, Timestamp};
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
    /// Number of ticks, or of trades that candles stand for.
    pub count: u64,
    /// Whether `notional` is unknown: a candle in it does not say.
    pub notional_unknown: bool,
    /// Whether `count` is unknown: a candle in it does not say.
    pub count_unknown: bool,
}

impl Ohlcv {
    /// The bar of one tick.
    #[must_use]
    pub fn of_tick(price: Fixed, size: Fixed) -> Self {
        Self {
            open: price,
            high: price,
            low: price,
            close: price,
            volume: i128::from(size.raw()),
            notional: i128::from(price.raw()) * i128::from(size.raw()),
            count: 1,
            notional_unknown: false,
            count_unknown: false,
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
        self.count = self.count.saturating_add(other.count);
        self.notional_unknown |= other.notional_unknown;
        self.count_unknown |= other.count_unknown;
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
    pub fn add_tick(&mut self, price: Fixed, size: Fixed, order: Order) {
        let bar = &mut self.bar;
        bar.volume += i128::from(size.raw());
        bar.notional = bar.notional.saturating_add(i128::from(price.raw()) * i128::from(size.raw()));
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

    fn part(at: i64, offset: u64, price: i64, size: i64) -> Partial {
        let order = Order { at: Timestamp::from_millis(at), partition: super::super::PartitionId(0), offset, index: 0 };
        Partial::new(Ohlcv::of_tick(Fixed::from_raw(price), Fixed::from_raw(size)), order)
    }

    proptest! {
        /// Any order and grouping of the parts gives the same bits.
        #[test]
        fn parts_combine_in_any_order(
            ticks in proptest::collection::vec((0_i64..5, 1_i64..1_000_000_000_000, 0_i64..1_000_000_000_000), 1..40),
            swaps in proptest::collection::vec((0_usize..40, 0_usize..40), 0..40),
            cut in 0_usize..40,
        ) {
            let mut parts: Vec<Partial> = ticks.iter().enumerate().map(|(i, &(at, p, s))| part(at, i as u64, p, s)).collect();
            let merge = |parts: &[Partial]| parts.iter().skip(1).fold(parts[0], |mut sum, p| { sum.merge(p); sum });
            let whole = merge(&parts);
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
            let mut ticked = parts[0];
            for p in &parts[1..] {
                ticked.add_tick(p.bar.close, Fixed::from_raw(p.bar.volume as i64), p.first);
            }
            prop_assert_eq!(ticked, whole);
        }
    }

    #[test]
    fn vwap_is_exact_and_rounds_half_to_even() {
        let mut bar = part(0, 0, 1, 1).bar;
        bar.append(&part(0, 1, 2, 1).bar);
        assert_eq!(bar.vwap_raw(), Some(2)); // (1 + 2) / 2 = 1.5 units
        bar.volume = 0;
        assert_eq!(bar.vwap_raw(), None);
    }
}
