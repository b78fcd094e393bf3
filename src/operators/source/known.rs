//! What one partition has used already: an observation that comes again counts no second time.
//!
//! A trade is known by its venue's id, a candle by its interval and its open time, both per symbol. What was not used is not
//! known: a trade that was late, or of a symbol too many, may still come.

use crate::market::{Observation, Quote, Slide, Span, SymbolId, Timestamp};
use crate::operators::support::seen::Seen;
use serde::{Deserialize, Serialize};

/// Trades of a symbol that are remembered at least: what two collectors or a snapshot after a reconnect repeat lies far nearer.
/// Ids that follow one another take 5 kB, any others up to 130 kB.
const TRADES: usize = 4096;
/// Candles of a symbol that are remembered at least, a month and a half of minutes: 70 kB.
const CANDLES: usize = 65_536;

/// Observations of one pane that are held one by one until it closes, at most: candles, and trades that another partition may have.
/// That is 120 MB of trades, 400 MB of candles; 400,000 trades a second in panes of 5 s are not reached by any market.
const LISTED_MAX: u32 = 1 << 21;

/// What an observation is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// It is not known again.
    None,
    Trade(u64),
    Candle(u64),
}

impl Key {
    #[inline]
    pub fn of(observation: &Observation) -> Self {
        match (&observation.quote, observation.identity) {
            (Quote::Candle { interval, .. }, _) => Self::Candle(candle(observation.at, *interval)),
            (Quote::Tick { .. } | Quote::Large(_), Some(id)) => Self::Trade(id.bits()),
            (Quote::Tick { .. } | Quote::Large(_), None) => Self::None,
        }
    }
}

/// Candles of one interval that open in turn have numbers that follow one another. Those of another interval, or that open at other
/// times of it, lie elsewhere: where, is a hash of 64 bits.
fn candle(at: Timestamp, interval: Span) -> u64 {
    let ms = interval.millis().max(1);
    let open = at.millis() + 1 - ms;
    let (number, rest) = (open.div_euclid(ms), open.rem_euclid(ms));
    let mut series =
        (ms as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (rest as u64).wrapping_mul(0xc2b2_ae3d_27d4_eb4f);
    series = (series ^ series >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93);
    series ^= series >> 32;
    series.wrapping_add(number as u64)
}

/// What a partition has used, by symbol.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// By number.
    symbols: Vec<OfSymbol>,
    listed: Listed,
}

/// How many observations of a pane are held one by one.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Listed {
    /// Of the latest pane, and what came of earlier ones meanwhile.
    count: u32,
    /// Where that pane ends.
    end: Timestamp,
    /// Of panes before this there were too many.
    full_before: Timestamp,
}

impl Default for Listed {
    fn default() -> Self {
        let never = Timestamp::from_millis(i64::MIN);
        Self { count: 0, end: never, full_before: never }
    }
}

/// What was used of one symbol.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct OfSymbol {
    trades: Seen,
    candles: Option<Box<Seen>>,
}

impl Known {
    /// Whether an observation of `symbol` was used.
    #[inline]
    pub fn contains(&mut self, symbol: SymbolId, key: Key) -> bool {
        if key == Key::None {
            return false;
        }
        match (key, self.symbols.get_mut(symbol.0 as usize)) {
            (Key::None, _) | (_, None) => false,
            (Key::Trade(number), Some(known)) => known.trades.contains(number),
            (Key::Candle(number), Some(known)) => {
                known.candles.as_mut().is_some_and(|candles| candles.contains(number))
            }
        }
    }

    /// Whether all of these were used.
    pub fn contains_all(&mut self, observations: &[Observation]) -> bool {
        observations.iter().all(|observation| self.contains(observation.symbol, Key::of(observation)))
    }

    /// An observation of `symbol` is used.
    #[inline]
    pub fn insert(&mut self, symbol: SymbolId, key: Key) {
        let at = symbol.0 as usize;
        match key {
            Key::None => {}
            Key::Trade(number) => self.of(at).trades.insert(number, TRADES),
            Key::Candle(number) => self.of(at).candles.get_or_insert_default().insert(number, CANDLES),
        }
    }

    /// Whether one more observation may be held by itself until its pane closes. Where there are too many, which follows from the
    /// partition's sequence alone, the rest of that pane is summed up and never compared again.
    #[inline]
    pub fn has_room(&mut self, at: Timestamp, slide: Slide) -> bool {
        let listed = &mut self.listed;
        if at >= listed.end {
            (listed.count, listed.end) = (0, slide.end_of(slide.pane_of(at)));
        }
        if at < listed.full_before {
            return false;
        }
        listed.count += 1;
        if listed.count > LISTED_MAX {
            listed.full_before = listed.end;
            let (end, span) = (listed.end, slide.span());
            tracing::warn!(
                "more than {LISTED_MAX} trades or candles in the pane of {span} that ends at {end}: the rest is not compared with other partitions"
            );
            return false;
        }
        true
    }

    #[inline]
    fn of(&mut self, at: usize) -> &mut OfSymbol {
        if at >= self.symbols.len() {
            self.symbols.resize_with(at + 1, OfSymbol::default);
        }
        &mut self.symbols[at]
    }

    /// The symbol is given up, and its number may be another's from now on.
    pub fn forget(&mut self, symbol: SymbolId) {
        if let Some(known) = self.symbols.get_mut(symbol.0 as usize) {
            *known = OfSymbol::default();
        }
    }

    /// What was used of a symbol.
    pub fn of_symbol(&self, symbol: SymbolId) -> OfSymbol {
        self.symbols.get(symbol.0 as usize).cloned().unwrap_or_default()
    }

    /// Puts back what [`Known::of_symbol`] gave.
    pub fn restore(&mut self, symbol: SymbolId, known: OfSymbol) {
        *self.of(symbol.0 as usize) = known;
    }

    /// How many are held one by one.
    pub const fn listed(&self) -> Listed {
        self.listed
    }

    /// Puts back what [`Known::listed`] gave.
    pub const fn set_listed(&mut self, listed: Listed) {
        self.listed = listed;
    }

    /// Blocks and numbers that are held.
    #[cfg(test)]
    pub fn held(&self) -> usize {
        let of = |known: &OfSymbol| known.trades.held() + known.candles.as_ref().map_or(0, |candles| candles.held());
        self.symbols.iter().map(of).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn candles_are_told_apart_by_interval_and_open() {
        let mut numbers = BTreeSet::new();
        let mut blocks = BTreeSet::new();
        for interval in [1, 1000, 60_000, 300_000, 3_600_000, 86_400_000] {
            for shift in [0, 1, interval / 2, interval - 1] {
                for number in 0..1000 {
                    let open = 1_700_000_000_000 / interval * interval + shift + number * interval;
                    let seen = candle(Timestamp::from_millis(open + interval - 1), Span::from_millis(interval));
                    let is_new = numbers.insert(seen);
                    assert!(is_new || shift % interval == 0 || interval <= 2, "{interval} {shift} {number}");
                    blocks.insert(seen >> 6);
                }
            }
        }
        // Of six intervals at up to four times each, a thousand candles in turn are 16 or 17 blocks.
        assert!(blocks.len() <= 24 * 17, "{}", blocks.len());
    }

    #[test]
    fn what_is_held_of_a_pane_is_bounded() {
        let (slide, mut known) = (Slide::new(Span::from_millis(5000)), Known::default());
        let at = |ms: i64| Timestamp::from_millis(1_700_000_000_000 + ms);
        for number in 0..2 * LISTED_MAX {
            assert_eq!(known.has_room(at(i64::from(number % 5000)), slide), number < LISTED_MAX, "{number}");
        }
        // The next pane has room, and still has when something of the full one comes late.
        assert!(known.has_room(at(5000), slide) && !known.has_room(at(4999), slide) && known.has_room(at(5001), slide));
    }

    #[test]
    fn a_symbol_that_is_forgotten_gives_everything_back() {
        let mut known = Known::default();
        let (one, other) = (SymbolId(0), SymbolId(7));
        for number in 0..10_000_u64 {
            let id = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            for symbol in [one, other] {
                known.insert(symbol, Key::Trade(id));
                assert!(known.contains(symbol, Key::Trade(id)));
            }
            known.insert(
                one,
                Key::Candle(candle(Timestamp::from_millis(number as i64 * 1000), Span::from_millis(1000))),
            );
        }
        assert!(known.held() <= 2 * 2 * TRADES + 200, "{}", known.held());
        known.forget(one);
        assert!(
            !known.contains(one, Key::Trade(0))
                && known.contains(other, Key::Trade(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(9_999)))
        );
        known.forget(other);
        assert_eq!(known.held(), 0);
    }
}
