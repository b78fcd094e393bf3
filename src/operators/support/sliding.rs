//! One sliding window in O(1) amortised per pane, by two stacks in one queue.
//!
//! Source: the queue-from-two-stacks aggregate, as in Tangwongsan, Hirzel, Schneider, "Low-Latency Sliding-Window
//! Aggregation in Worst-Case Constant Time" (DEBS 2017), section 2. Its front holds, for each of the older panes, the
//! aggregate from it to the end of the front; its back holds the newer panes, whose running aggregate stands beside. When
//! the front runs out, the back turns into it, in place: each pane is turned once, and lies in memory once. Windows are
//! most of what a job touches per pane, so that bytes are time.

use crate::market::{Ohlcv, Pane};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// The aggregate of the panes of the last `size` panes that hold a tick.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SlidingWindow {
    size: u64,
    /// Oldest first: `front` aggregates, then panes.
    queue: VecDeque<(Pane, Ohlcv)>,
    /// How many of `queue` are aggregates.
    front: usize,
    back_sum: Option<Ohlcv>,
}

impl SlidingWindow {
    /// A window of `size` panes.
    #[must_use]
    pub const fn new(size: u64) -> Self {
        Self { size, queue: VecDeque::new(), front: 0, back_sum: None }
    }

    /// Adds a pane that is later than all before.
    pub fn push(&mut self, pane: Pane, bar: &Ohlcv) {
        debug_assert!(self.queue.back().is_none_or(|(last, _)| *last < pane), "panes come in order");
        if self.queue.len() == self.queue.capacity() {
            self.grow();
        }
        self.queue.push_back((pane, *bar));
        match &mut self.back_sum {
            Some(sum) => sum.append(bar),
            None => self.back_sum = Some(*bar),
        }
    }

    /// Doubles the room, but not beyond the window: the queue goes round through all of it.
    #[cold]
    fn grow(&mut self) {
        let len = self.queue.len();
        let left = usize::try_from(self.size).unwrap_or(usize::MAX).saturating_sub(len);
        self.queue.reserve_exact(len.max(4).min(left).max(1));
    }

    /// Drops what lies before the window that ends with `pane`.
    pub fn evict(&mut self, pane: Pane) {
        let first = pane.following().minus(self.size);
        while self.queue.front().is_some_and(|(oldest, _)| *oldest < first) {
            if self.front == 0 {
                self.turn();
            }
            self.queue.pop_front();
            self.front -= 1;
        }
    }

    fn turn(&mut self) {
        let mut later: Option<Ohlcv> = None;
        for (_, bar) in self.queue.iter_mut().rev() {
            if let Some(later) = &later {
                bar.append(later);
            }
            later = Some(*bar);
        }
        self.front = self.queue.len();
        self.back_sum = None;
    }

    /// The aggregate, where the window holds a tick.
    #[must_use]
    pub fn value(&self) -> Option<Ohlcv> {
        let older = if self.front > 0 { self.queue.front() } else { None };
        match (older, &self.back_sum) {
            (Some((_, older)), Some(newer)) => {
                let mut sum = *older;
                sum.append(newer);
                Some(sum)
            }
            (Some((_, older)), None) => Some(*older),
            (None, newer) => *newer,
        }
    }

    /// Whether the window holds no tick.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::{Fixed, Side};
    use proptest::prelude::*;

    proptest! {
        /// Against adding up the panes of the window one by one.
        #[test]
        fn equals_the_naive_sum(
            size in 1_u64..20,
            gaps in proptest::collection::vec((1_u64..8, 1_i64..1000, -1000_i64..1000), 1..200),
        ) {
            let mut window = SlidingWindow::new(size);
            let mut all: Vec<(u64, Ohlcv)> = Vec::new();
            let mut pane = 0;
            for (gap, price, taken) in gaps {
                for _ in 0..gap {
                    pane += 1;
                    window.evict(Pane::from_number(pane));
                    let mut naive: Option<Ohlcv> = None;
                    for (_, bar) in all.iter().filter(|(p, _)| *p + size > pane) {
                        match &mut naive { Some(sum) => sum.append(bar), None => naive = Some(*bar) }
                    }
                    prop_assert_eq!(window.value(), naive);
                    prop_assert_eq!(window.is_empty(), naive.is_none());
                }
                let side = match taken { -990.. => Some(if taken < 0 { Side::Sell } else { Side::Buy }), _ => None };
                let bar = Ohlcv::of_tick(Fixed::from_raw(price), Fixed::from_raw(taken.abs()), side);
                window.push(Pane::from_number(pane), &bar);
                all.push((pane, bar));
            }
        }
    }
}
