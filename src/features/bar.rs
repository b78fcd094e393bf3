//! One bar in logarithms, and the few recent ones that inputs look back at.

use crate::market::{Ohlcv, fixed::raw_to_f64};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// The longest look back in bars.
const BARS: usize = 240;
/// Bars whose returns are inputs one by one.
pub const LAGS: usize = 5;
/// Bars in whose range the close is located.
const RANGE_BARS: usize = 15;

/// One bar; prices are logarithms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Bar {
    /// Last price.
    pub close: f64,
    /// Log return since the previous close (of the first bar: since its open).
    pub change: f64,
    /// Highest price, the previous close included.
    pub top: f64,
    /// Lowest price, the previous close included.
    pub bottom: f64,
    /// True range: top less bottom.
    pub range: f64,
    /// Highest price of the bar itself.
    pub high: f64,
    /// Lowest price of the bar itself.
    pub low: f64,
    /// Traded volume.
    pub volume: f64,
    /// Volume that takers bought less what they sold; 0 where that is not known.
    pub signed_volume: f64,
    /// Where the close lies in the true range, from -1 to 1.
    pub place: f64,
}

impl Bar {
    /// The bar after one that closed at `previous`.
    #[must_use]
    pub fn new(bar: &Ohlcv, previous: Option<f64>) -> Self {
        let [open, high, low, close] = [bar.open, bar.high, bar.low, bar.close].map(|price| libm::log(price.to_f64()));
        let previous = previous.unwrap_or(open);
        let (top, bottom) = (high.max(previous), low.min(previous));
        let place = place(close, top, bottom);
        Self {
            close,
            change: close - previous,
            top,
            bottom,
            range: top - bottom,
            high,
            low,
            volume: raw_to_f64(bar.volume),
            signed_volume: bar.known_signed_volume().unwrap_or(0.0),
            place,
        }
    }

    /// A step without a tick after one that closed at `close`.
    #[must_use]
    pub fn absent(close: f64) -> Self {
        Self { close, top: close, bottom: close, high: close, low: close, ..Self::default() }
    }

    /// Mean of high, low and close.
    #[must_use]
    pub fn typical(&self) -> f64 {
        (self.high + self.low + self.close) / 3.0
    }
}

/// Where `close` lies between `bottom` and `top`, from -1 to 1; 0 where they are the same.
fn place(close: f64, top: f64, bottom: f64) -> f64 {
    let range = top - bottom;
    if range > 0.0 { (2.0 * close - top - bottom) / range.max(1e-9) } else { 0.0 }
}

/// The last bars that exist.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RecentBars {
    /// Closes, the latest last: one more than the longest look back.
    closes: VecDeque<f64>,
    /// Returns, the latest first.
    returns: [f64; LAGS],
    /// Highs and lows, the latest last.
    ranges: VecDeque<(f64, f64)>,
}

impl RecentBars {
    /// Takes in the next bar.
    pub fn push(&mut self, bar: &Bar) {
        if self.closes.len() > BARS {
            self.closes.pop_front();
        }
        self.closes.push_back(bar.close);
        self.returns.rotate_right(1);
        self.returns[0] = bar.change;
        if self.ranges.len() == RANGE_BARS {
            self.ranges.pop_front();
        }
        self.ranges.push_back((bar.high, bar.low));
    }

    /// The last close; none before the first bar.
    #[must_use]
    pub fn close(&self) -> Option<f64> {
        self.closes.back().copied()
    }

    /// The last returns, the latest first; 0 where there is none.
    #[must_use]
    pub fn returns(&self) -> &[f64; LAGS] {
        &self.returns
    }

    /// Log return over the last `bars` (at most 240) bars, or since the first close where there are fewer.
    #[must_use]
    pub fn change_over(&self, bars: usize) -> f64 {
        debug_assert!(bars <= BARS);
        let Some(close) = self.close() else { return 0.0 };
        close - self.closes[self.closes.len().saturating_sub(1 + bars)]
    }

    /// Where the last close lies in the range of the last 15 bars, from -1 to 1.
    #[must_use]
    pub fn place_in_range(&self) -> f64 {
        let Some(close) = self.close() else { return 0.0 };
        let top = self.ranges.iter().map(|bar| bar.0).fold(f64::NEG_INFINITY, f64::max);
        let bottom = self.ranges.iter().map(|bar| bar.1).fold(f64::INFINITY, f64::min);
        place(close, top, bottom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(close: f64) -> Bar {
        Bar { high: close + 0.5, low: close - 0.5, ..Bar::absent(close) }
    }

    #[test]
    fn looks_back_over_the_bars_there_are() {
        let mut recent = RecentBars::default();
        assert_eq!((recent.close(), recent.change_over(5), recent.place_in_range()), (None, 0.0, 0.0));
        for at in 0..300 {
            recent.push(&Bar { change: f64::from(at), ..bar(f64::from(at)) });
            let back = at.min(240);
            assert_eq!(recent.change_over(240), f64::from(back), "after {at}");
        }
        assert_eq!(recent.returns(), &[299.0, 298.0, 297.0, 296.0, 295.0]);
        // The close lies 14.5 above the lowest of 15 bars, and half below the top, in a range of 15.
        assert!((recent.place_in_range() - (14.5 - 0.5) / 15.0).abs() < 1e-12);
    }
}
