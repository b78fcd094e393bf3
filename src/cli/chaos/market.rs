//! What the job is fed: several simulated markets, and records that nobody can use, in slices of event time.

use crate::market::{Span, Timestamp};
use crate::simulation::SimulatedMarket;
use std::io::Write as _;
use std::path::Path;

/// 2024-01-01T00:00:00Z: at a whole day, so that all settings of time divide it.
const START: Timestamp = Timestamp::from_millis(1_704_067_200_000);
/// Markets of three symbols each.
const MARKETS: u64 = 3;
/// Of so many records, one cannot be used.
const BAD_EVERY: usize = 97;

/// A record for the topic.
pub struct Fed {
    /// Its key.
    pub key: String,
    /// Its value.
    pub value: Vec<u8>,
}

/// Everything that a job is fed.
pub struct Market {
    /// Slice by slice.
    pub slices: Vec<Vec<Fed>>,
    /// What closes the last of them.
    pub tail: Vec<Fed>,
    /// Where the slices end.
    pub end: Timestamp,
    /// How many of the records cannot be used.
    pub bad: u64,
}

impl Market {
    /// So many slices of this length; `beyond` is how far the tail lies after them.
    pub fn new(seed: u64, slices: usize, length: Span, beyond: Span) -> Self {
        let end = START
            .plus(Span::from_millis(length.millis() * i64::try_from(slices).unwrap_or(i64::MAX / length.millis())));
        let mut all: Vec<(Timestamp, Fed)> = Vec::new();
        let mut keys = std::collections::BTreeMap::new();
        for market in 0..MARKETS {
            for tick in SimulatedMarket::new(seed.wrapping_add(market), START).take_while(|tick| tick.at < end) {
                let mut value = Vec::new();
                tick.write_json(&mut value);
                // Each market has symbols of its own: BTC0.SIM, BTC1.SIM, …
                let name = tick.symbol.replace(".SIM", &format!("{market}.SIM"));
                let value = String::from_utf8_lossy(&value).replace(tick.symbol, &name).into_bytes();
                keys.insert(name.clone(), value.clone());
                all.push((tick.at, Fed { key: name, value }));
            }
        }
        all.sort_by_key(|(at, _)| *at);
        let mut market = Self { slices: Vec::new(), tail: Vec::new(), end, bad: 0 };
        market.slices.resize_with(slices, Vec::new);
        for (number, (at, fed)) in all.into_iter().enumerate() {
            let slice = ((at.millis() - START.millis()) / length.millis()) as usize;
            let Some(slice) = market.slices.get_mut(slice) else { continue };
            if number % BAD_EVERY == 0 {
                // In the partition of a symbol, and none like another.
                slice.push(Fed { key: fed.key.clone(), value: format!("{{\"bad\":{number}").into_bytes() });
                market.bad += 1;
            }
            slice.push(fed);
        }
        let last = end.plus(beyond);
        for (key, value) in keys {
            // The symbol's last trade once more, after the end.
            let mut trade: serde_json::Value = serde_json::from_slice(&value).unwrap_or_default();
            trade["timestamp"] = last.millis().into();
            market.tail.push(Fed { key, value: trade.to_string().into_bytes() });
        }
        market
    }

    /// Writes what can be used of the slices as a file.
    pub fn write(&self, path: &Path) -> std::io::Result<()> {
        let mut file = std::io::BufWriter::new(std::fs::File::create(path)?);
        for fed in self.slices.iter().flatten().filter(|fed| !fed.value.starts_with(b"{\"bad\"")) {
            file.write_all(&fed.value)?;
            file.write_all(b"\n")?;
        }
        file.flush()
    }
}
