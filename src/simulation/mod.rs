//! The simulated market: trades of three invented symbols from our own seeded code, for `tickcast demo`.
//!
//! Nothing in it is recorded data, and its symbols say so (`BTC.SIM`, …). It has what real markets are known for:
//! volatility that clusters (two factors of log variance, half-lives 20 minutes and 8 hours, the slow one common to
//! all symbols), a daily cycle, heavy tails (Student-t innovations with 4 degrees of freedom), jumps, correlation
//! between symbols, arrivals in bursts, prices that bounce between bid and ask. The efficient price is a martingale:
//! what can be forecast at all is the width of the interval, and, at one minute, a transient part of the price with
//! a half-life of a minute, worth at most one percent of the error. `docs/simulated-market.md` has the measured figures.
//!
//! The same seed and start give the same trades on every machine with IEEE arithmetic.

mod process;
mod random;
#[cfg(test)]
mod statistics;

use crate::market::encode;
use crate::market::fixed::SCALE;
use crate::market::{Fixed, Side, Span, Timestamp};
use process::{Listing, Market, Process, TRADES_PER_S_MAX, Trade};
use std::collections::VecDeque;

/// Shown wherever the simulated market is.
pub const LABEL: &str = "SIMULATED MARKET";

/// The three symbols.
const LISTINGS: [Listing; 3] = [
    Listing {
        symbol: "BTC.SIM",
        price: 64_000.0,
        price_step_raw: SCALE / 100,
        daily_volatility: 0.025,
        common_share: 0.7,
        half_spread: 0.5e-4,
        trades_per_s: 0.25,
        median_size: 0.02,
        size_step_raw: SCALE / 100_000,
    },
    Listing {
        symbol: "ETH.SIM",
        price: 3_200.0,
        price_step_raw: SCALE / 100,
        daily_volatility: 0.032,
        common_share: 0.6,
        half_spread: 0.7e-4,
        trades_per_s: 0.2,
        median_size: 0.3,
        size_step_raw: SCALE / 10_000,
    },
    Listing {
        symbol: "SOL.SIM",
        price: 150.0,
        price_step_raw: SCALE / 1000,
        daily_volatility: 0.045,
        common_share: 0.5,
        half_spread: 1.5e-4,
        trades_per_s: 0.125,
        median_size: 4.0,
        size_step_raw: SCALE / 1000,
    },
];

/// How many symbols the simulated market has.
pub const SYMBOLS: usize = LISTINGS.len();

/// Where Kafka's usual partitioner (murmur2 of the key) puts each symbol in a topic of three partitions: each has one of
/// its own.
pub const PARTITIONS: [u32; SYMBOLS] = [0, 2, 1];

const DAY: Span = Span::from_millis(86_400_000);

/// One simulated trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SimulatedTick {
    /// Which of the [`SYMBOLS`], from 0.
    pub index: usize,
    /// Its name.
    pub symbol: &'static str,
    /// Event time.
    pub at: Timestamp,
    /// Price, positive.
    pub price: Fixed,
    /// Size, positive.
    pub size: Fixed,
    /// Who took the liquidity.
    pub side: Side,
}

impl SimulatedTick {
    /// Appends the trade as a `tick` message.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        let size = i128::from(self.size.raw());
        let trade = encode::Trade { price: self.price, size, side: Some(self.side), identity: None };
        encode::write_tick(self.symbol, self.at, trade, out);
    }
}

/// The trades of all symbols by event time (within a millisecond, by the order of symbols), without end.
pub struct SimulatedMarket {
    market: Market,
    processes: [Process; SYMBOLS],
    /// The second that is simulated next.
    second: Timestamp,
    /// What is left of the second before: at most [`TRADES_PER_S_MAX`] per symbol.
    ready: VecDeque<SimulatedTick>,
    trades: Vec<Trade>,
}

impl SimulatedMarket {
    /// The market of `seed` from `start` on, which is cut to a whole second.
    #[must_use]
    pub fn new(seed: u64, start: Timestamp) -> Self {
        let mut stream = 0;
        let processes = LISTINGS.map(|listing| {
            stream += 1;
            Process::new(listing, seed, stream)
        });
        Self {
            market: Market::new(seed),
            processes,
            second: Timestamp::from_millis(start.millis().div_euclid(1000) * 1000),
            ready: VecDeque::with_capacity(SYMBOLS * TRADES_PER_S_MAX),
            trades: Vec::with_capacity(TRADES_PER_S_MAX),
        }
    }

    /// Simulates one second. Every symbol draws from its own stream, so that its trades do not depend on the others'.
    fn step(&mut self) {
        let second_of_day = self.second.millis().rem_euclid(DAY.millis()) / 1000;
        let weather = self.market.step(second_of_day as f64);
        for (index, process) in self.processes.iter_mut().enumerate() {
            self.trades.clear();
            process.step(&weather, &mut self.trades);
            self.ready.extend(self.trades.iter().map(|trade| SimulatedTick {
                index,
                symbol: LISTINGS[index].symbol,
                at: self.second.plus(Span::from_millis(trade.ms)),
                price: trade.price,
                size: trade.size,
                side: trade.side,
            }));
        }
        self.ready.make_contiguous().sort_unstable_by_key(|tick| (tick.at, tick.index));
        self.second = self.second.plus(Span::from_millis(1000));
    }
}

impl Iterator for SimulatedMarket {
    type Item = SimulatedTick;

    fn next(&mut self) -> Option<SimulatedTick> {
        loop {
            if let Some(tick) = self.ready.pop_front() {
                return Some(tick);
            }
            self.step();
        }
    }
}

/// Names of the symbols.
#[must_use]
pub fn symbols() -> [&'static str; SYMBOLS] {
    LISTINGS.map(|listing| listing.symbol)
}

/// The midnight (UTC) to start from, so that `history` and the hour after it lie before `now`.
#[must_use]
pub fn start_before(now: Timestamp, history: Span) -> Timestamp {
    let latest = now.minus(history).millis() - 3_600_000;
    Timestamp::from_millis(latest.div_euclid(DAY.millis()) * DAY.millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_millis(1_700_006_400_000);

    /// FNV-1a over the messages of the first `count` trades.
    fn digest(seed: u64, count: usize) -> u64 {
        let mut text = Vec::new();
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for tick in SimulatedMarket::new(seed, START).take(count) {
            text.clear();
            tick.write_json(&mut text);
            hash = text.iter().fold(hash, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x0000_0100_0000_01b3));
        }
        hash
    }

    #[test]
    fn the_same_seed_gives_the_same_market() {
        assert_eq!(digest(1, 50_000), digest(1, 50_000));
        assert_ne!(digest(1, 1000), digest(2, 1000));
    }

    #[test]
    fn the_path_does_not_depend_on_the_day() {
        let later = START.plus(Span::from_millis(3 * DAY.millis()));
        let one = SimulatedMarket::new(5, START).take(5000);
        for (a, b) in one.zip(SimulatedMarket::new(5, later)) {
            assert_eq!((a.at.millis() + 3 * DAY.millis(), a.price, a.size), (b.at.millis(), b.price, b.size));
        }
    }

    #[test]
    fn stamps_increase_and_prices_lie_on_the_grid() {
        let mut last = [Timestamp::from_millis(0); SYMBOLS];
        let mut before = (START, 0);
        for tick in SimulatedMarket::new(3, START).take(200_000) {
            assert!(tick.at > last[tick.index], "strictly increasing per symbol");
            assert!((tick.at, tick.index) > before, "merged by event time");
            last[tick.index] = tick.at;
            before = (tick.at, tick.index);
            let listing = &LISTINGS[tick.index];
            assert!(tick.price.raw() > 0 && tick.price.raw() % listing.price_step_raw == 0);
            assert!(tick.size.raw() > 0 && tick.size.raw() % listing.size_step_raw == 0);
        }
    }

    #[test]
    fn memory_does_not_grow() {
        let mut market = SimulatedMarket::new(1, START);
        let room = (market.ready.capacity(), market.trades.capacity());
        assert!(market.by_ref().nth(300_000).is_some());
        assert_eq!(room, (market.ready.capacity(), market.trades.capacity()));
    }

    /// Kafka's murmur2, written down from its definition.
    fn murmur2(data: &[u8]) -> u32 {
        const M: u32 = 0x5bd1_e995;
        let mut hash = 0x9747_b28c ^ data.len() as u32;
        let (words, rest) = data.as_chunks::<4>();
        for word in words {
            let mut k = u32::from_le_bytes(*word).wrapping_mul(M);
            k = (k ^ (k >> 24)).wrapping_mul(M);
            hash = hash.wrapping_mul(M) ^ k;
        }
        if !rest.is_empty() {
            let tail = rest.iter().rev().fold(0, |sum, byte| sum << 8 | u32::from(*byte));
            hash = (hash ^ tail).wrapping_mul(M);
        }
        hash = (hash ^ (hash >> 13)).wrapping_mul(M);
        (hash ^ (hash >> 15)) & 0x7fff_ffff
    }

    #[test]
    fn each_symbol_has_the_partition_that_its_key_leads_to() {
        assert_eq!(symbols().map(|symbol| murmur2(symbol.as_bytes()) % SYMBOLS as u32), PARTITIONS);
    }

    #[test]
    fn starts_at_a_midnight_in_the_past() {
        for hour in 0..48 {
            let now = START.plus(Span::from_millis(hour * 3_600_000 + 1));
            let start = start_before(now, Span::from_millis(2 * DAY.millis()));
            let end = start.millis() + 2 * DAY.millis();
            assert_eq!(start.millis() % DAY.millis(), 0);
            assert!(end + 3_600_000 <= now.millis() && now.millis() - end < 26 * 3_600_000, "hour {hour}");
        }
    }
}
